"""Baselines of the loss: how well counting alone guesses the tokens that a model must guess.

A loss of 4.2 nats says nothing by itself.  Count models, which learn no representations, give it a scale:

unigram       knows how frequent each token is and sees no context.  A model with a higher loss has learnt nothing.
neighbours    knows how often tokens stood side by side and sees the token on the left and the one on the right, as the
              model sees them: they may be [MASK] or a random token themselves.  A model with a lower loss uses
              more of the sentence than the two nearest words.
trigram       the same for a causal model: sees the last token and the one before that.

All are measured on the same tokens of the held-out text as the model, in nats per token.
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ..tokenizers.encoding import Batch
from .batches import PretrainingData
from .masking import IGNORED, mask_tokens

# The context tokens, as distances from the token to be guessed.
NEIGHBOURS = ((-1,), (1,), (-1, 1))
TRIGRAM = ((-1,), (-2, -1))


def baselines(training: PretrainingData, batches: Sequence[Batch]) -> dict[str, float]:
    """{"unigram": nats, "neighbours" or "trigram": nats}: see `unigram_baseline` and `neighbour_baseline`."""
    labels = np.concatenate([batch["labels"].reshape(-1) for batch in batches])
    counts = np.bincount(training.text.tokens, minlength=len(training.ordinary))
    return {"unigram": unigram_baseline(counts, labels),
            "trigram" if training.objective == "causal" else "neighbours": neighbour_baseline(training, batches)}


def unigram_baseline(counts: ArrayLike, labels: ArrayLike) -> float:
    """Cross-entropy (nats per token) of `labels` under the frequencies of the training text.

    counts     (V,) how often each id occurs in the training text: np.bincount(tokens, minlength=V)
    labels     any shape, -100 where nothing is to be guessed

    One is added to every count (Laplace), so that no token is impossible: p(w) = (c(w) + 1) / (N + V).
    """
    return _cross_entropy(_unigram(np.asarray(counts))[_hidden(labels, len(counts))])


def neighbour_baseline(training: PretrainingData, batches: Sequence[Batch]) -> float:
    """Cross-entropy (nats per token) of a model that counts neighbours.

    training   a PretrainingData of the training text
    batches    the held-out batches: dicts with input_ids and labels, (B, T) each

    With l and r the tokens left and right of the blank, and c counted in the training text,

        p(w | l, r) = a0 p(w) + a1 c(l w)/c(l .) + a2 c(w r)/c(. r) + a3 c(l w r)/c(l . r)

    where p(w) is the unigram model with one added. The weights a0 + a1 + a2 + a3 = 1 depend on how often the contexts
    (l .), (. r) and (l . r) were seen: each is put into one of the classes 0, 1-3, 4-31, 32 and more times, and a
    context never seen (as those with [MASK]) has weight 0. This is deleted interpolation (Jelinek and Mercer 1980): the
    weights are fitted by expectation maximisation on every tenth document of the *training* text, masked like the
    batches; the counts are those of the other nine tenths while the weights are fitted, and of all for the baseline.

    For causal data the contexts are l and k l, the last token and the last two: a trigram model.
    """
    text, V = training.text, len(training.ordinary)
    if len(text.documents) < 3:
        raise ValueError("the weights are fitted on documents that are not counted: at least 2 are needed, got 1")
    document = np.repeat(np.arange(len(text.documents) - 1), np.diff(text.sentences[text.documents]))       # (N,)
    fitted = document % 10 == min(9, document[-1])
    stretch = document if text.separator is None else np.zeros_like(document)        # within which neighbours count

    rows = _rows(text.tokens[fitted], training.max_length)
    if training.objective == "causal":
        contexts, seen, labels = TRIGRAM, rows, np.where(np.arange(rows.shape[1]) > 0, rows, IGNORED)
    else:
        contexts, (seen, labels) = NEIGHBOURS, mask_tokens(rows, np.random.default_rng(0), **training.masking)
    counts = _Counts(text.tokens[~fitted], stretch[~fitted], V, contexts)
    weights = _fit(*counts.components(*_asked(seen, labels, V, contexts)))

    counts = _Counts(text.tokens, stretch, V, contexts)
    asked = [_asked(batch["input_ids"], batch["labels"], V, contexts) for batch in batches]
    probabilities, classes = counts.components(*np.concatenate([np.zeros((3, 0), np.int64), *asked], axis=1))
    return _cross_entropy((weights[classes] * probabilities).sum(axis=1))


class _Counts:
    """How often tokens occur, and in which contexts; only neighbours of one stretch (document) count."""

    def __init__(self, tokens, stretch, V, contexts):
        tokens = tokens.astype(np.int64)
        self.base = V + 1                                     # V itself stands for "no neighbour", never counted
        self.unigram = _unigram(np.bincount(tokens, minlength=V))
        self.contexts, self.distances = contexts, _distances(contexts)
        near = {}                                             # distance -> the token there, for each token
        for distance in self.distances:
            place = np.arange(len(tokens)) + distance
            inside = (place >= 0) & (place < len(tokens))
            place[~inside] = 0
            near[distance] = np.where(inside & (stretch[place] == stretch), tokens[place], V)
        self.alone, self.together = [], []                    # c(l .) and c(l w), sorted by key, for each context
        for context in contexts:
            there = np.all([near[distance] < V for distance in context], axis=0)
            ids = [near[distance][there] for distance in context]
            self.alone.append(np.unique(self._key(*ids), return_counts=True))
            self.together.append(np.unique(self._key(*ids, tokens[there]), return_counts=True))

    def components(self, word, *near):
        """The probabilities of each word without and with each context (M, 1 + contexts), and the class (M,) of how
        often the contexts were seen, each 0..3."""
        near = dict(zip(self.distances, near, strict=True))
        keys = [[near[distance] for distance in context] for context in self.contexts]
        alone = [_look_up(table, self._key(*ids)) for table, ids in zip(self.alone, keys, strict=True)]
        together = [_look_up(table, self._key(*ids, word)) for table, ids in zip(self.together, keys, strict=True)]
        often = np.searchsorted([1, 4, 32], alone, side="right")                     # (contexts, M) in 0..3
        probabilities = np.stack([self.unigram[word], *(np.array(together) / np.maximum(alone, 1))], axis=1)
        return probabilities, np.ravel_multi_index(tuple(often), (4,) * len(often))

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
    """The weights (classes, 1 + contexts) of maximum likelihood. One extra token for each class is shared equally among
    the contexts seen, so that every class has weights and no a0 is 0."""
    contexts = probabilities.shape[1] - 1
    seen = np.ones((4 ** contexts, 1 + contexts))
    seen[:, 1:] = np.stack(np.unravel_index(np.arange(4 ** contexts), (4,) * contexts), axis=1) > 0
    prior = weights = seen / seen.sum(axis=1, keepdims=True)
    for _ in range(iterations):
        shares = weights[classes] * probabilities
        shares /= shares.sum(axis=1, keepdims=True)
        weights = prior + np.stack([np.bincount(classes, share, minlength=len(prior)) for share in shares.T], axis=1)
        weights /= weights.sum(axis=1, keepdims=True)
    return weights


def _cross_entropy(probabilities):
    if not len(probabilities):
        raise ValueError("no token is asked for: every label is -100")
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


def _distances(contexts):
    """The distances that occur in contexts, in order."""
    return sorted({distance for context in contexts for distance in context})


def _asked(input_ids, labels, V, contexts):
    """(1 + distances, M): each token to be guessed, and what the model sees at each distance; V where nothing is.
    """
    hidden, T = np.asarray(labels) != IGNORED, np.shape(input_ids)[1]
    around = np.pad(input_ids, ((0, 0), (2, 2)), constant_values=V)
    return np.stack([_hidden(labels, V), *(around[:, 2 + distance:][:, :T][hidden]
                                           for distance in _distances(contexts))])


def _rows(tokens, T):
    """One stream of tokens as rows (n, T); the rest of less than a row is left out, unless there is nothing else."""
    T = min(T, len(tokens))
    return tokens[:len(tokens) // T * T].reshape(-1, T)
