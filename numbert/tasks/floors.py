"""What a loss must be read against: how well counting alone guesses the hidden tokens.

A loss of 4.2 nats says nothing by itself.  Two predictors without any learning of representations give it a scale:

unigram       knows how frequent each token is and sees no context.  A model above this floor has learnt nothing.
neighbours    knows how often tokens stood side by side and sees the token on the left and the one on the right, as the
              model sees them: they may be [MASK] or a random token themselves.  A model below it uses more of the
              sentence than the two nearest words.

Both are measured on the same hidden tokens of the held-out text as the model, in nats per hidden token.
"""
import numpy as np

from .masking import IGNORED, mask_tokens


def unigram_floor(counts, labels):
    """Cross-entropy (nats per hidden token) of `labels` under the frequencies of the training text.

    counts     (V,) how often each id occurs in the training text: np.bincount(tokens, minlength=V)
    labels     any shape, -100 where nothing is hidden

    One is added to every count (Laplace), so that no token is impossible: p(w) = (c(w) + 1) / (N + V).
    """
    return _cross_entropy(_unigram(np.asarray(counts))[_hidden(labels, len(counts))])


def neighbours_floor(training, batches):
    """Cross-entropy (nats per hidden token) of a model that counts neighbours.

    training   a PretrainingData of the training text
    batches    the held-out batches: dicts with input_ids and labels, (B, T) each

    With l and r the tokens left and right of the blank, and c counted in the training text,

        p(w | l, r) = a0 p(w) + a1 c(l w)/c(l .) + a2 c(w r)/c(. r) + a3 c(l w r)/c(l . r)

    where p(w) is the unigram model with one added. The weights a0 + a1 + a2 + a3 = 1 depend on how often the contexts
    (l .), (. r) and (l . r) were seen: each is put into one of the classes 0, 1-3, 4-31, 32 and more times, and a
    context never seen (as those with [MASK]) has weight 0. This is deleted interpolation (Jelinek and Mercer 1980): the
    weights are fitted by expectation maximisation on every tenth document of the *training* text, masked like the
    batches; the counts are those of the other nine tenths while the weights are fitted, and of all for the floor.
    """
    text, V = training.text, len(training.ordinary)
    if len(text.documents) < 3:
        raise ValueError("the weights are fitted on documents that are not counted: at least 2 are needed, got 1")
    document = np.repeat(np.arange(len(text.documents) - 1), np.diff(text.sentences[text.documents]))       # (N,)
    fitted = document % 10 == min(9, document[-1])

    rows = _rows(text.tokens[fitted], training.max_length)
    masked, labels = mask_tokens(rows, np.random.default_rng(0), ordinary=training.ordinary, mask_id=training.mask_id,
                                 rate=training.mask_rate, continues=training.continues)
    counts = _Counts(text.tokens[~fitted], document[~fitted], V)
    weights = _fit(*counts.components(*_blanks(masked, labels, V)))

    counts = _Counts(text.tokens, document, V)
    blanks = [_blanks(batch["input_ids"], batch["labels"], V) for batch in batches]
    probabilities, classes = counts.components(*np.concatenate([np.zeros((3, 0), np.int64), *blanks], axis=1))
    return _cross_entropy((weights[classes] * probabilities).sum(axis=1))


class _Counts:
    """How often tokens, pairs and triples of neighbours occur; only neighbours of one document count."""

    def __init__(self, tokens, document, V):
        tokens = tokens.astype(np.int64)
        self.base = V + 1                                     # V itself stands for "no neighbour", never counted
        self.unigram = _unigram(np.bincount(tokens, minlength=V))
        pair = document[1:] == document[:-1]
        triple = document[2:] == document[:-2]
        left, right = tokens[:-1][pair], tokens[1:][pair]
        self.after = np.bincount(left, minlength=self.base)                          # c(l .)
        self.before = np.bincount(right, minlength=self.base)                        # c(. r)
        self.pairs = np.unique(self._key(left, right), return_counts=True)           # c(l w), sorted by key
        left, word, right = tokens[:-2][triple], tokens[1:-1][triple], tokens[2:][triple]
        self.around = np.unique(self._key(left, right), return_counts=True)          # c(l . r)
        self.triples = np.unique(self._key(left, word, right), return_counts=True)   # c(l w r)

    def components(self, left, word, right):
        """The four probabilities of each word (M, 4), and the class of its three contexts (M,) in 0..63."""
        contexts = np.stack([self.after[left], self.before[right], _look_up(self.around, self._key(left, right))], 1)
        together = np.stack([_look_up(self.pairs, self._key(left, word)), _look_up(self.pairs, self._key(word, right)),
                             _look_up(self.triples, self._key(left, word, right))], axis=1)
        often = np.searchsorted([1, 4, 32], contexts, side="right")                  # (M, 3) in 0..3
        probabilities = np.column_stack([self.unigram[word], together / np.maximum(contexts, 1)])
        return probabilities, often @ [16, 4, 1]

    def _key(self, *ids):
        """One integer for a pair or triple of ids."""
        key = ids[0]
        for more in ids[1:]:
            key = key * self.base + more
        return key


def _look_up(table, keys):
    """The count of each key, 0 for those that are not in the table."""
    known, counts = table
    if not len(known):
        return np.zeros(len(keys), np.int64)
    place = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.where(known[place] == keys, counts[place], 0)


def _fit(probabilities, classes, iterations=30):
    """The weights (64, 4) that make the hidden tokens most likely, with one more token a class that is shared evenly
    among the contexts seen, so that no class is without weights and no a0 is 0."""
    seen = np.ones((64, 4))
    seen[:, 1:] = np.stack(np.unravel_index(np.arange(64), (4, 4, 4)), axis=1) > 0
    prior = weights = seen / seen.sum(axis=1, keepdims=True)
    for _ in range(iterations):
        shares = weights[classes] * probabilities
        shares /= shares.sum(axis=1, keepdims=True)
        weights = prior + np.stack([np.bincount(classes, share, minlength=64) for share in shares.T], axis=1)
        weights /= weights.sum(axis=1, keepdims=True)
    return weights


def _cross_entropy(probabilities):
    if not len(probabilities):
        raise ValueError("no token is hidden: every label is -100")
    return float(-np.log(probabilities).mean())


def _unigram(counts):
    return (counts + 1) / (counts.sum() + len(counts))


def _hidden(labels, V):
    """(M,): the labels that are not -100."""
    labels = np.asarray(labels)
    hidden = labels[labels != IGNORED]
    if len(hidden) and not 0 <= hidden.min() <= hidden.max() < V:
        raise ValueError(f"labels must be -100 or in 0..{V - 1}, got {hidden.min()}..{hidden.max()}")
    return hidden


def _blanks(input_ids, labels, V):
    """(3, M): what stands left of each hidden token, the token, what stands right; V where there is nothing."""
    around = np.pad(input_ids, ((0, 0), (1, 1)), constant_values=V)
    is_hidden = np.asarray(labels) != IGNORED
    return np.stack([around[:, :-2][is_hidden], _hidden(labels, V), around[:, 2:][is_hidden]])


def _rows(tokens, T):
    """One stream of tokens as rows (n, T); the rest of less than a row is left out, unless there is nothing else."""
    T = min(T, len(tokens))
    return tokens[:len(tokens) // T * T].reshape(-1, T)
