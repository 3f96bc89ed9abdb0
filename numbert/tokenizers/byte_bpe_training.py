"""Learning byte-pair encoding (Sennrich, Haddow and Birch 2016, section 3.2): join the commonest pair, again and again.

    low low low lower lowest         l o w   l o w   l o w   l o w e r   l o w e s t
    join (l, o), found 5 times       lo w    lo w    lo w    lo w e r    lo w e s t
    join (lo, w), found 5 times      low     low     low     low e r     low e s t
    join (low, e), found 2 times     low     low     low     lowe r      lowe s t

The pairs in the order in which they were joined, the merges, are what is learnt: new text is cut by joining in the same
order (byte_bpe.py). Of equally common pairs the one with the smaller ids is taken, as in Hugging Face's `tokenizers`.

Joining one occurrence does not look at the rest of its word, so one word of a million letters takes as long as a
million letters in short words.
"""
import heapq
from collections import Counter, defaultdict


def learn_merges(word_counts, tokens, size, min_frequency=2):
    """Learn merges until there are `size` tokens, or no pair occurs `min_frequency` times.

    word_counts: word -> how often, words written in the characters of `tokens`. tokens: the list of str that there are
    before any merge; a pair that spells one of them, so a special token, is never joined, as it may be in `tokenizers`.
    Returns (all tokens, the merges), the latter a list of pairs of str.
    """
    given, tokens, merges = set(tokens), list(tokens), []
    ids = {token: index for index, token in enumerate(tokens)}
    text = BytePairText([[ids[char] for char in word] for word in word_counts], word_counts.values())

    # The commonest pair is on top of a heap. Its count may have fallen since it was pushed: that is seen when it gets
    # to the top, and it is pushed again. When a count rises the pair is pushed at once. So no count in it is too low.
    heap = [(-count, pair) for pair, count in text.counts.items()]
    heapq.heapify(heap)
    while heap and len(tokens) < size:
        count, pair = heapq.heappop(heap)
        if -count != text.counts[pair]:
            heapq.heappush(heap, (-text.counts[pair], pair))
            continue
        if -count < max(min_frequency, 1):
            break
        left, right = (tokens[index] for index in pair)
        if left + right in given:
            continue
        merges.append((left, right))
        if left + right not in ids:  # it may have been joined from other parts before
            ids[left + right] = len(tokens)
            tokens.append(left + right)
        for other in text.join(pair, ids[left + right]):
            heapq.heappush(heap, (-text.counts[other], other))
    return tokens, merges


class BytePairText:
    """All words in one long list of symbols, None between them, with the number of every pair of neighbours.

    A joined pair stays at the place of its left symbol. `before` and `after` lead from a place to its neighbours.
    """

    def __init__(self, words, word_counts):
        self.symbols, self.weights = [None], [0]
        for word, count in zip(words, word_counts, strict=True):
            self.symbols += [*word, None]
            self.weights += [count] * (len(word) + 1)
        size = len(self.symbols)
        self.before, self.after = [*range(-1, size - 1)], [*range(1, size), 0]
        self.counts, self.places = Counter(), defaultdict(set)  # of a pair, the places where it begins
        for place in range(size):
            self._count(place)

    def join(self, pair, symbol):
        """Make every occurrence of `pair`, from left to right, one `symbol`. Returns the pairs that this brings."""
        symbols, before, after = self.symbols, self.before, self.after
        brought = set()
        for left in sorted(self.places.pop(pair)):
            right = after[left]
            if (symbols[left], symbols[right]) != pair:
                continue  # of three equal symbols the first two have just been joined
            for place in (before[left], left, right):
                self._uncount(place)
            symbols[left], symbols[right] = symbol, None
            after[left] = after[right]
            before[after[left]] = left
            for place in (before[left], left):
                brought.add(self._count(place))
        return brought - {None}

    def _count(self, place):
        """Count the pair that begins at `place`, and return it; None if there is none."""
        pair = self.symbols[place], self.symbols[self.after[place]]
        if None in pair:
            return None
        self.counts[pair] += self.weights[place]
        self.places[pair].add(place)
        return pair

    def _uncount(self, place):
        pair = self.symbols[place], self.symbols[self.after[place]]
        if None not in pair:
            self.counts[pair] -= self.weights[place]
            self.places[pair].discard(place)
