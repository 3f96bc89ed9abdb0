"""The floor under the loss: how well anyone can guess a masked word of the toy world, or the next sentence.

A small variant of the world has finitely many stories, and a story is made by random choices of known probability.
So all stories can be listed with their exact probabilities. The best possible guess at a masked word is Bayes' rule
over the list: keep the stories that agree with the visible words, and add up their probabilities by the word at the
mask. The mean of -log p(true word | visible words) is an entropy in nats. No model's expected loss on the same task
lies below it: this is the floor.
"""
import math
from collections import Counter
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .story import find_variant, render, tell


class Language(NamedTuple):
    """All texts of a variant, and the probability of each.

    texts (n, T) int64: word ids, -1 behind the end of a shorter text; lengths (n,) int64; probabilities (n,) float64
    that sum to 1; words: id -> word (lower-cased English words, or Chinese characters).
    """
    texts: np.ndarray
    lengths: np.ndarray
    probabilities: np.ndarray
    words: tuple


def every_run(program):
    """Run program(choose) once for each combination of choices: pairs of (probability, result).

    A choice is uniform over its options, or in proportion to their weights.
    """
    path = []               # one [number of the option taken, number of options] for each choice so far
    while True:
        depth, probability = 0, 1.0

        def choose(options, weights=None):
            nonlocal depth, probability
            if depth == len(path):
                path.append([0, len(options)])
            number = path[depth][0]
            probability *= weights[number] / sum(weights) if weights else 1 / len(options)
            depth += 1
            return options[number]

        result = program(choose)
        yield probability, result
        while path and path[-1][0] + 1 == path[-1][1]:
            path.pop()
        if not path:
            return
        path[-1][0] += 1


@lru_cache(maxsize=4)
def enumerated(variant="closed", language="en", unit="story"):
    """The Language of a variant: all its stories, or with unit="sentence" all sentences, with the probabilities
    of drawing a story and then one of its sentences uniformly. Raises ValueError for a variant with too many stories to
    list."""
    if unit not in ("story", "sentence"):
        raise ValueError(f"unit must be story or sentence, got {unit!r}")
    described = find_variant(variant)
    if described.moods or described.openings:
        raise ValueError(f"variant {variant!r} has too many stories to list them: choose closed or tiny")
    probabilities = Counter()
    for probability, plot in every_run(lambda choose: tell(choose, described)):
        story = [tuple(tokens(one, language)) for one in render(plot, language).sentences]
        for text in story if unit == "sentence" else [sum(story, ())]:
            probabilities[text] += probability / (len(story) if unit == "sentence" else 1)
    words = tuple(sorted({word for text in probabilities for word in text}))
    ids = {word: number for number, word in enumerate(words)}
    lengths = np.array([len(text) for text in probabilities])
    texts = np.full((len(lengths), lengths.max()), -1)
    for row, text in zip(texts, probabilities, strict=True):
        row[:len(text)] = [ids[word] for word in text]
    return Language(texts, lengths, np.array(list(probabilities.values())), words)


def tokens(sentence, language):
    """The words of a Sentence in lower case, as a BERT tokenizer with all of them in its vocabulary cuts it."""
    return list(sentence.text) if language == "zh" else [word.lower() for word in sentence.words]


def masked_word_entropy(variant="closed", language="en", unit="story"):
    """The exact expected loss, in nats, of the best guess at one masked word, when all other words of its story (or of
    its sentence alone) are visible. The masked word is drawn uniformly from the text. Full stops count as words."""
    return entropy_of_one_masked(enumerated(variant, language, unit))


def entropy_of_one_masked(known):
    """The same for any Language. Two texts agree around position t if their first t words and all words after t do;
    with the beginnings and the ends numbered, that is a comparison of two numbers."""
    beginnings, ends = _numbered(known.texts), _numbered(known.texts[:, ::-1])[:, ::-1]
    total = 0.0
    for t in range(known.texts.shape[1]):
        there = known.lengths > t
        pairs = beginnings[there, t] * (len(known.texts) + 1) + ends[there, t + 1]
        context = np.unique(pairs, return_inverse=True)[1]
        p = known.probabilities[there]
        seen = np.bincount(context, p)[context]
        total += float((p / known.lengths[there] * np.log(seen / p)).sum())
    return total


def unigram_entropy(known):
    """The same without any visible word: the entropy of one word drawn uniformly from a text."""
    weights = np.repeat(known.probabilities / known.lengths, known.lengths)
    share = np.bincount(known.texts[known.texts >= 0], weights)
    return float(-(share * np.log(share)).sum())


class Splits(NamedTuple):
    """The probability that a text, cut at the end of a uniformly drawn sentence (not the last), becomes A and B:
    `together` {(A, B): chance}, `first` {A: chance}, `second` {B: chance}; A and B are tuples of word ids."""
    together: Counter
    first: Counter
    second: Counter


def splits(known):
    """The Splits of a Language."""
    stops = [number for number, word in enumerate(known.words) if word in (".", "。")]
    found = Splits(Counter(), Counter(), Counter())
    for row, length, p in zip(known.texts, known.lengths, known.probabilities, strict=True):
        text = tuple(row[:length].tolist())
        cuts = [t + 1 for t in range(length - 1) if text[t] in stops]
        for cut in cuts:
            found.together[text[:cut], text[cut:]] += p / len(cuts)
            found.first[text[:cut]] += p / len(cuts)
            found.second[text[cut:]] += p / len(cuts)
    return found


def loss_of_best_verdict(splits, a, b, follows):
    """-log p(`follows` | A, B), in nats, under the best possible guess: half of the time A and B are cut from one text
    (True), half of the time from two independent texts (False)."""
    one, two = splits.together[a, b], splits.first[a] * splits.second[b]
    return math.log1p(two / one) if follows else math.log1p(one / two)


def next_sentence_entropy(known):
    """The exact expected loss, in nats, of the best guess whether B continues A, when both are visible.

    The sum runs over all (A, B) that a text can be cut into: any other B certainly comes from another text and
    adds no loss.
    """
    chances, total = splits(known), 0.0
    for (a, b), one in chances.together.items():
        total += one / 2 * loss_of_best_verdict(chances, a, b, True)
        total += chances.first[a] * chances.second[b] / 2 * loss_of_best_verdict(chances, a, b, False)
    return total


def _numbered(texts):
    """(n, T + 1): a number for the first t words of each text, equal for two texts if and only if these words are."""
    numbers = np.zeros((len(texts), texts.shape[1] + 1), np.int64)
    for t in range(texts.shape[1]):
        pairs = numbers[:, t] * (texts.max() + 2) + texts[:, t] + 1
        numbers[:, t + 1] = np.unique(pairs, return_inverse=True)[1]
    return numbers


def masked_posterior(known, visible):
    """For each None in `visible` (a list of words and Nones), {word: probability} given the visible words.

    Returns {position: {word: probability}}. Raises ValueError if no text of the Language looks like that.
    """
    ids = {word: number for number, word in enumerate(known.words)}
    agree = np.flatnonzero(known.lengths == len(visible))
    for t, word in enumerate(visible):
        if word is not None:
            agree = agree[known.texts[agree, t] == ids.get(word, -1)]
    if known.probabilities[agree].sum() == 0:
        raise ValueError(f"no text agrees with {' '.join(word or '[MASK]' for word in visible)!r}")
    p = known.probabilities[agree] / known.probabilities[agree].sum()
    found = {}
    for t in (t for t, word in enumerate(visible) if word is None):
        weights = np.bincount(known.texts[agree, t], p, minlength=len(known.words))
        found[t] = {known.words[number]: float(weights[number]) for number in np.flatnonzero(weights)}
    return found


def bert_masking_entropy(known, rng, samples, rate=0.15, masked=0.8, random=0.1, vocabulary_size=None):
    """The same floor under BERT's masking (Devlin et al. 2019, section 3.1): (mean, its standard error), in nats.

    Of T words max(1, round(rate T)) are selected; a selected one becomes [MASK] (80%), a word drawn uniformly
    from `vocabulary_size` words (10%; default: the words of the Language) or stays (10%), and must be guessed. The best
    guess weights every text by the probability that masking it gives the visible words. `samples` texts are drawn; the
    posterior of each selected word is exact.
    """
    size = vocabulary_size or len(known.words)
    kept = 1 - masked - random + random / size          # a selected word looks as before: kept, or drawn again
    losses = []
    for row in rng.choice(len(known.texts), size=samples, p=known.probabilities / known.probabilities.sum()):
        length = int(known.lengths[row])
        text = known.texts[row, :length]
        selected = rng.permutation(length)[:max(1, round(rate * length))]
        seen, fate = text.copy(), rng.random(len(selected))
        seen[selected[fate < masked]] = -1
        drawn = selected[(fate >= masked) & (fate < masked + random)]
        seen[drawn] = rng.integers(size, size=len(drawn))
        losses.append(loss_of_best_guess(known, text, seen, selected, kept, random / size))
    return float(np.mean(losses)), float(np.std(losses, ddof=1) / math.sqrt(samples))


def loss_of_best_guess(known, text, seen, selected, kept, replaced):
    """The mean of -log p(text[t] | seen, t is selected) over the selected t, in nats.

    text, seen (T,): word ids, -1 in `seen` for [MASK]. A selected word looks as before with chance `kept`, and becomes
    any one other word with chance `replaced`.
    A text x that differs from `seen` at d words outside the masks had those d drawn at random; the rest of the
    selected ones stayed, and may be any of its other words: binomial(others, stayed) kept^stayed replaced^d. Since t
    is known to be selected, there is one choice fewer.
    """
    same_length = known.lengths == len(text)
    texts, p = known.texts[same_length, :len(text)], known.probabilities[same_length]
    shown = seen >= 0
    differs = (texts != seen) & shown
    d = differs.sum(axis=1)
    stayed = len(selected) - int((~shown).sum()) - d        # how many of the selected words look as before
    possible = stayed >= 0
    texts, differs, d, stayed = texts[possible], differs[possible], d[possible], stayed[possible]
    chance = p[possible] * kept ** stayed * replaced ** d.astype(float)
    choose = np.array([[math.comb(n, k) for k in range(stayed.max() + 1)] for n in range(len(text) + 1)], float)
    total = 0.0
    for t in selected:
        fixed = shown[t] & ~differs[:, t]                   # t itself is among those that stayed
        ways = np.where(fixed > stayed, 0, choose[shown.sum() - d - fixed, np.maximum(stayed - fixed, 0)])
        weight = chance * ways
        total -= math.log(weight[texts[:, t] == text[t]].sum() / weight.sum())
    return total / len(selected)
