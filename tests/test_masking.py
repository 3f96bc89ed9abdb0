"""Masking: exact counts, labels only at chosen tokens, shares of 80/10/10, whole words against loops."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from words import WordTokenizer

from numbert.tasks.masking import continues_table, mask_tokens, ordinary_table

V, MASK, SPECIALS = 30, 4, 5
ORDINARY = np.arange(V) >= SPECIALS
CONTINUES = np.arange(V) % 3 == 0                             # also of special ids, where it must not matter


@st.composite
def batches(draw):
    B, T = draw(st.integers(1, 4)), draw(st.integers(1, 40))
    ids = np.random.default_rng(draw(st.integers(0, 2**32))).integers(0, V, (B, T))
    ids[:, draw(st.integers(0, T)):] = 0                      # padding, perhaps nothing else
    return ids


def google_choice(ids, order, budget):
    """create_pretraining_data.py: whole words in random order, skipping those that do not fit any more."""
    words = []
    for t, token in enumerate(ids):
        if not ORDINARY[token]:
            words.append([])                                  # ends a word
        elif CONTINUES[token] and words and words[-1]:
            words[-1].append(t)
        else:
            words.append([t])
    words = [word for word in words if word]
    chosen = set()
    for word in sorted(words, key=lambda word: order.index(word[0])):
        if len(chosen) + len(word) <= max([budget, min(map(len, words))]):
            chosen |= set(word)
    return chosen


@settings(max_examples=150, deadline=None)
@given(batches(), st.floats(0.01, 1), st.booleans(), st.integers(0, 99))
def test_what_is_chosen_and_what_becomes_of_it(ids, rate, whole_words, seed):
    before = ids.copy()
    masked, labels = mask_tokens(ids, np.random.default_rng(seed), ordinary=ORDINARY, mask_id=MASK, rate=rate,
                                 continues=CONTINUES if whole_words else None)
    chosen = labels != -100
    assert (ids == before).all() and masked.dtype == ids.dtype and labels.dtype == np.int64
    assert (masked[~chosen] == ids[~chosen]).all()
    assert (labels[chosen] == ids[chosen]).all() and ORDINARY[ids[chosen]].all()
    assert (ORDINARY[masked[chosen]] | (masked[chosen] == MASK)).all()
    counts = ORDINARY[ids].sum(axis=1)
    wanted = np.where(counts > 0, np.maximum(1, [round(rate * int(count)) for count in counts]), 0)
    if whole_words:
        assert (chosen.any(axis=1) == (counts > 0)).all()
        order = np.argsort(np.random.default_rng(seed).random(ids.shape), axis=1).tolist()
        for row in range(len(ids)):
            if counts[row]:
                assert set(np.flatnonzero(chosen[row])) == google_choice(ids[row], order[row], wanted[row])
    else:
        assert (chosen.sum(axis=1) == wanted).all()


def within_five_sigma(successes, trials, probability):
    """A wrong alarm once in two million times, were the seed not fixed."""
    return abs(successes - trials * probability) <= 5 * np.sqrt(trials * probability * (1 - probability))


@pytest.mark.parametrize("shares", [(0.8, 0.1), (0.5, 0.2), (1.0, 0.0), (0.0, 1.0)])
def test_shares(shares):
    rng = np.random.default_rng(1)
    ordinary = np.arange(1005) >= 5
    ids = rng.integers(5, 1005, (500, 100))
    ids[:, 0], ids[:, -1] = 2, 3
    masked, labels = mask_tokens(ids, rng, ordinary=ordinary, mask_id=4, mask_share=shares[0], random_share=shares[1])
    chosen = labels != -100
    M = chosen.sum()
    assert M == 500 * 15                                      # round(0.15 * 98)
    assert within_five_sigma((masked[chosen] == 4).sum(), M, shares[0])
    assert within_five_sigma((masked[chosen] == labels[chosen]).sum(), M, 1 - sum(shares) + shares[1] / 1000)
    drawn = masked[chosen & (masked != 4) & (masked != labels)]
    assert within_five_sigma(len(drawn), M, shares[1] * 999 / 1000)
    if len(drawn):
        assert within_five_sigma((drawn < 255).sum(), len(drawn), 0.25) and drawn.min() >= 5 and drawn.max() <= 1004


@pytest.mark.parametrize("continues", [None, CONTINUES])
def test_every_place_is_chosen_alike(continues):
    ids = np.tile(np.array([2, 7, 8, 10, 11, 13, 14, 16, 17, 19, 20, 3, 0]), (20_000, 1))        # no piece continues
    _, labels = mask_tokens(ids, np.random.default_rng(2), ordinary=ORDINARY, mask_id=MASK, rate=0.3,
                            continues=continues)
    chosen = (labels != -100).sum(axis=0)
    assert chosen[[0, -2, -1]].sum() == 0
    assert all(within_five_sigma(count, 20_000, 0.3) for count in chosen[1:-2])


def test_pieces_of_a_word_share_their_fate_of_being_chosen():
    ids = np.array([[2, 7, 9, 12, 8, 9, 10, 3, 9, 7, 3]] * 300)                      # 7 9 12 | 8 9 | 10 | 9 | 7
    _, labels = mask_tokens(ids, np.random.default_rng(3), ordinary=ORDINARY, mask_id=MASK, rate=0.4,
                            continues=CONTINUES)
    chosen = labels != -100
    assert (chosen[:, 1] == chosen[:, 2]).all() and (chosen[:, 2] == chosen[:, 3]).all()
    assert (chosen[:, 4] == chosen[:, 5]).all()
    assert (chosen[:, 5] != chosen[:, 6]).any() and (chosen[:, 8] != chosen[:, 6]).any()
    assert chosen[:, 1].any() and (chosen.sum(axis=1) <= 3).all()


def test_tables():
    tokenizer = WordTokenizer(["play ##ing far ##s"])
    assert np.flatnonzero(ordinary_table(tokenizer)).tolist() == [5, 6, 7, 8]
    assert np.flatnonzero(continues_table(tokenizer)).tolist() == [6, 8]
    assert ordinary_table(tokenizer).shape == continues_table(tokenizer).shape == (9,)
    tokenizer.vocab["away"] = 11                              # ids 9 and 10 have no token
    assert np.flatnonzero(ordinary_table(tokenizer)).tolist() == [5, 6, 7, 8, 11]


@pytest.mark.parametrize("change, message", [
    (dict(input_ids=np.zeros(3, int)), r"\(B, T\), got int64 \(3,\)"),
    (dict(input_ids=np.zeros((1, 3))), "integers .* got float64"),
    (dict(input_ids=np.array([[5, 30]])), r"in 0\.\.29, got 5\.\.30"),
    (dict(input_ids=np.array([[5, -1]])), r"in 0\.\.29, got -1\.\.5"),
    (dict(mask_id=7), "mask_id 7"),
    (dict(mask_id=30), "mask_id 30"),
    (dict(ordinary=np.zeros(V, bool)), "no ordinary token"),
    (dict(continues=np.zeros(V + 1, bool)), r"\(V,\) = \(30,\), got \(31,\)"),
    (dict(rate=0), "rate must be .* got 0"),
    (dict(rate=1.5), "got 1.5"),
    (dict(mask_share=0.8, random_share=0.3), "0.8 and 0.3"),
    (dict(mask_share=-0.1), "-0.1"),
])
def test_errors(change, message):
    arguments = dict(input_ids=np.array([[5, 6]]), ordinary=ORDINARY, mask_id=MASK) | change
    with pytest.raises(ValueError, match=message):
        mask_tokens(arguments.pop("input_ids"), np.random.default_rng(0), **arguments)
