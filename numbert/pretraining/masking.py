"""Fill in the blank: which tokens are hidden, and what the model sees in their place.

BERT learns a language by guessing hidden tokens (Devlin et al. 2019, section 3.1 and appendix A.1).  15% of the
tokens of a sequence are chosen.  Of those

    80%  become [MASK]                my dog is hairy -> my dog is [MASK]
    10%  become a random token        my dog is hairy -> my dog is apple
    10%  stay as they are             my dog is hairy -> my dog is hairy

and the model must guess all of them.  If every chosen token became [MASK], the model could learn that any other
token is right as it stands, and would learn nothing for text without [MASK], the only text in
fine-tuning.

What is chosen together, the `unit`, decides how hard the guess is: a piece of a word is easy to
guess from its other pieces, and a word of a fixed phrase from the rest of the phrase.

    token   each by itself                                          BERT
    word    all pieces of a word                                    BERT's later "whole word masking"
    ngram   runs of n words, n = 1, 2, 3, p(n) ~ 1/n                ALBERT (Lan et al. 2020, section 3.1)
    span    runs of n words, n = 1..10, p(n) ~ 0.8^n, mean 3.8      SpanBERT (Joshi et al. 2020, section 3.1): the
                                                                    80/10/10 is then drawn once for the whole run

Two tables over the vocabulary say what the ids are: `ordinary` (everything but [CLS], [SEP], ...) and `continues`
(pieces such as ##ing, that continue a word).
"""
from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from ..tokenizers.tokenizer import Tokenizer

IGNORED = -100                                                # the label of a position that is not to be guessed
UNITS = ("token", "word", "ngram", "span")
WEIGHTS = {"ngram": 1 / np.arange(1, 4), "span": 0.8 ** np.arange(1, 11)}            # of runs of 1, 2, ... words


def ordinary_table(tokenizer: Tokenizer) -> np.ndarray:
    """(V,) bool: True for the ids that may be hidden and may be drawn as random tokens, so not the special ones."""
    ordinary = np.zeros(max(tokenizer.vocab.values()) + 1, bool)
    ordinary[list(tokenizer.vocab.values())] = True           # an id that no token has stays False
    ordinary[list(tokenizer.all_special_ids)] = False
    return ordinary


def continues_table(tokenizer: Tokenizer) -> np.ndarray:
    """(V,) bool: True for the pieces that continue a word, as the tokenizer says."""
    return np.array(tokenizer.continues, bool)


def mask_tokens(input_ids: ArrayLike, rng: Generator, *, ordinary: np.ndarray, mask_id: int, unit: str = "token",
                continues: np.ndarray | None = None, rate: float = 0.15, mask_share: float = 0.8,
                random_share: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Hide some tokens of each sequence. Returns (masked ids, labels), both (B, T).

    input_ids     (B, T) integers, with special tokens and padding in them
    ordinary      (V,) bool: the ids that may be chosen, and from which random tokens are drawn
    unit          what is chosen together: "token", "word", "ngram" or "span"
    continues     (V,) bool, for all units but "token": the ids that continue the word of the token before them
    rate          share of the ordinary tokens that is chosen
    mask_share, random_share    of those, the shares that become `mask_id` and a random token; the rest stays. That is
                  drawn token by token, also within words and n-grams, as in Google's code; for "span" once a run

    The masked ids have the dtype of `input_ids`, which is not changed; labels (int64) are the original id where a
    token was chosen and -100 elsewhere.  Of n > 0 ordinary tokens exactly max(1, round(rate * n)) are chosen, as in
    Google's create_pretraining_data.py (which counts [CLS] and [SEP] too): unlike with a separate draw for each
    token, no sequence is without a blank and the number of blanks in a batch hardly varies.  Whole words are taken in
    random order while they fit, so the number may fall a little short, and a word larger than the whole number is taken
    only where all words are.  Runs are taken in random order, each from its first word on, so the last one may be cut
    short.

    Raises ValueError if shapes, ids or shares do not fit.
    """
    input_ids, ordinary = np.asarray(input_ids), np.asarray(ordinary, bool)
    check_masking(ordinary, mask_id, unit, continues, rate, mask_share, random_share)
    if input_ids.ndim != 2 or not np.issubdtype(input_ids.dtype, np.integer):
        raise ValueError(f"input_ids must be integers (B, T), got {input_ids.dtype} {input_ids.shape}")
    if input_ids.size and not 0 <= input_ids.min() <= input_ids.max() < len(ordinary):
        raise ValueError(f"input_ids must be in 0..{len(ordinary) - 1}, "
                         f"got {input_ids.min()}..{input_ids.max()}")
    candidate = ordinary[input_ids]
    starts = candidate.copy()                                 # where a word begins; each token is one, for "token"
    if unit != "token":
        starts[:, 1:] &= ~(np.asarray(continues, bool)[input_ids][:, 1:] & candidate[:, :-1])
    runs = starts if unit not in WEIGHTS else _cut_into_runs(starts, candidate, WEIGHTS[unit], rng)
    word, run = _latest(starts), _latest(runs)
    chosen = _choose(candidate, word, run, rate, rng)

    labels = np.where(chosen, input_ids, IGNORED).astype(np.int64)
    masked = input_ids.copy()
    originals = masked[chosen]                                                       # (M,)
    fate = rng.random(len(originals))
    if unit == "span":                                        # one replacement kind for the whole run
        row, _ = np.nonzero(chosen)
        fate = fate[np.unique(row * run.shape[1] + run[chosen], return_inverse=True)[1]]
    drawn = rng.choice(np.flatnonzero(ordinary), size=len(originals))
    masked[chosen] = np.where(fate < mask_share, mask_id, np.where(fate < mask_share + random_share, drawn, originals))
    return masked, labels


def _cut_into_runs(starts, candidate, weights, rng):
    """(B, T) bool: which of the words' `starts` begin a run of n words, n drawn anew for each run by `weights`.

    What is no candidate, such as [SEP], ends a run.
    """
    lengths = 1 + rng.choice(len(weights), size=starts.shape, p=weights / weights.sum())
    runs, left = np.zeros_like(starts), np.zeros(len(starts), int)
    for t in range(starts.shape[1]):                          # left (B,): how many words the run still has room for
        left[~candidate[:, t]] = 0
        runs[:, t] = starts[:, t] & (left == 0)
        left = np.where(runs[:, t], lengths[:, t], left) - starts[:, t]
    return runs


def _latest(starts):
    """(B, T): for each place the latest one, up to it, where `starts` is True; 0 if there is none."""
    return np.maximum.accumulate(np.where(starts, np.arange(starts.shape[1]), 0), axis=1)


def _choose(candidate, word, run, rate, rng):
    """(B, T) bool: the chosen tokens. `word` and `run` (B, T) say where the word and the run of each token begin."""
    B, T = candidate.shape
    size = np.zeros((B, T), np.int64)                         # at a word's start its number of tokens, elsewhere 0
    np.add.at(size, (np.arange(B)[:, None], word), candidate)
    smallest = np.where(size > 0, size, T).min(axis=1, initial=T)
    budget = np.maximum(np.rint(rate * candidate.sum(axis=1)), smallest)             # (B,)

    order = np.take_along_axis(rng.random((B, T)), run, axis=1)
    order = np.argsort(order, axis=1, kind="stable")          # runs in random order, in each its words one by one
    size = np.take_along_axis(size, order, axis=1)
    taken = np.zeros((B, T), bool)
    while True:                                               # a few rounds; with words of one token a single one
        left = (budget - (size * taken).sum(axis=1))[:, None]
        fits = ~taken & (size > 0) & (size <= left)
        if not fits.any():
            break
        taken |= fits & (np.cumsum(size * fits, axis=1) <= left)                     # those before the first misfit
    chosen = np.zeros((B, T), bool)
    np.put_along_axis(chosen, order, taken, axis=1)
    return np.take_along_axis(chosen, word, axis=1) & candidate


def check_masking(ordinary: np.ndarray, mask_id: int, unit: str, continues: np.ndarray | None, rate: float,
                  mask_share: float, random_share: float) -> None:
    """Raises ValueError if these arguments of `mask_tokens` do not fit, whatever the text."""
    if not 0 <= mask_id < len(ordinary) or ordinary[mask_id]:
        raise ValueError(f"mask_id {mask_id} must be an id of the vocabulary (V = {len(ordinary)}) and not ordinary")
    if not ordinary.any():
        raise ValueError("the vocabulary has no ordinary token")
    if unit not in UNITS:
        raise ValueError(f"unit must be one of {', '.join(UNITS)}, got {unit!r}")
    if unit != "token" and np.shape(continues) != ordinary.shape:
        raise ValueError(f"continues must be (V,) = {ordinary.shape} for the unit {unit!r}, got {np.shape(continues)}")
    if not 0 < rate <= 1:
        raise ValueError(f"rate must be in (0, 1], got {rate}")
    if not (mask_share >= 0 and random_share >= 0 and mask_share + random_share <= 1 + 1e-9):
        raise ValueError(f"mask_share and random_share must be shares of one, got {mask_share} and {random_share}")
