"""Masking: exact counts, labels only at chosen tokens, shares of 80/10/10, words and runs of words against loops."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from words import WordTokenizer

from numbert.pretraining.masking import UNITS, continues_table, mask_tokens, ordinary_table

V, MASK, SPECIALS = 30, 4, 5
ORDINARY = np.arange(V) >= SPECIALS
CONTINUES = np.arange(V) % 3 == 0                             # also of special ids, where it must not matter


@st.composite
def batches(draw):
    B, T = draw(st.integers(1, 4)), draw(st.integers(1, 40))
    ids = np.random.default_rng(draw(st.integers(0, 2**32))).integers(0, V, (B, T))
    ids[:, draw(st.integers(0, T)):] = 0                      # padding, perhaps nothing else
    return ids


PUBLISHED = {"ngram": np.array([6, 3, 2]) / 11, "span": 0.8 ** np.arange(10) / sum(0.8 ** n for n in range(10))}


def runs_of_words(ids, unit, lengths):
    """Runs of words of lists of places. `lengths`: how many words the run that begins at a place is to have."""
    runs = [[]]
    for t, token in enumerate(ids):
        if not ORDINARY[token]:
            runs.append([])                                   # ends a word and a run
        elif unit != "token" and CONTINUES[token] and runs[-1]:
            runs[-1][-1].append(t)
        elif unit in PUBLISHED and runs[-1] and len(runs[-1]) < lengths[runs[-1][0][0]]:
            runs[-1].append([t])
        else:
            runs.append([[t]])
    return [run for run in runs if run]


def google_choice(runs, keys, budget):
    """create_pretraining_data.py: words in the random order of their runs, skipping those that do not fit any more."""
    budget, chosen = max(budget, min(len(word) for run in runs for word in run)), set()
    for run in sorted(runs, key=lambda run: keys[run[0][0]]):
        for word in run:
            if len(chosen) + len(word) <= budget:
                chosen |= set(word)
    return chosen


@settings(max_examples=150, deadline=None)
@given(batches(), st.floats(0.01, 1), st.sampled_from(UNITS), st.integers(0, 99))
def test_what_is_chosen_and_what_becomes_of_it(ids, rate, unit, seed):
    before = ids.copy()
    masked, labels = mask_tokens(ids, np.random.default_rng(seed), ordinary=ORDINARY, mask_id=MASK, rate=rate,
                                 unit=unit, continues=CONTINUES)
    chosen = labels != -100
    assert (ids == before).all() and masked.dtype == ids.dtype and labels.dtype == np.int64
    assert (masked[~chosen] == ids[~chosen]).all()
    assert (labels[chosen] == ids[chosen]).all() and ORDINARY[ids[chosen]].all()
    assert (ORDINARY[masked[chosen]] | (masked[chosen] == MASK)).all()
    counts = ORDINARY[ids].sum(axis=1)
    wanted = np.where(counts > 0, np.maximum(1, [round(rate * int(count)) for count in counts]), 0)
    if unit == "token":
        assert (chosen.sum(axis=1) == wanted).all()
    assert (chosen.any(axis=1) == (counts > 0)).all()
    rng, lengths = np.random.default_rng(seed), np.zeros(ids.shape, int)
    if unit in PUBLISHED:
        lengths = 1 + rng.choice(len(PUBLISHED[unit]), size=ids.shape, p=PUBLISHED[unit])
    keys = rng.random(ids.shape)
    for b in np.flatnonzero(counts):
        runs = runs_of_words(ids[b], unit, lengths[b])
        assert set(np.flatnonzero(chosen[b])) == google_choice(runs, keys[b], wanted[b])
    again = mask_tokens(ids, np.random.default_rng(seed), ordinary=ORDINARY, mask_id=MASK, rate=rate, unit=unit,
                        continues=CONTINUES)
    assert (masked == again[0]).all() and (labels == again[1]).all()


@settings(max_examples=60, deadline=None)
@given(batches(), st.floats(0.2, 1), st.integers(0, 99))
def test_a_span_has_one_fate(ids, rate, seed):
    masked, labels = mask_tokens(ids, np.random.default_rng(seed), ordinary=ORDINARY, mask_id=MASK, rate=rate,
                                 unit="span", continues=CONTINUES, mask_share=0.5, random_share=0)
    rng = np.random.default_rng(seed)
    lengths = 1 + rng.choice(10, size=ids.shape, p=PUBLISHED["span"])
    for row, label, now, length in zip(ids, labels, masked, lengths, strict=True):
        for run in runs_of_words(row, "span", length):
            places = [t for word in run for t in word if label[t] != -100]
            assert len(set(now[places] == MASK)) <= 1


@pytest.mark.parametrize("unit", PUBLISHED)
def test_runs_are_as_long_as_published(unit):
    """Few and far between, so that two hardly ever touch, and of many only one is cut short."""
    ids = np.full((40, 20_000), 10)
    _, labels = mask_tokens(ids, np.random.default_rng(4), ordinary=ORDINARY, mask_id=MASK, rate=0.01, unit=unit,
                            continues=CONTINUES)
    edges = np.diff(np.pad((labels != -100).astype(int), ((0, 0), (1, 1))).reshape(-1))
    found = np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)
    counts, p = np.bincount(found, minlength=len(PUBLISHED[unit]) + 1)[1:], PUBLISHED[unit]
    assert counts[len(p):].sum() < 0.03 * len(found)
    assert len(found) > 2000 and all(map(within_five_sigma, counts[:len(p)], [len(found)] * len(p), p))
    assert found.mean() == pytest.approx({"ngram": 18 / 11, "span": 3.8}[unit], abs=0.12)


def test_words_and_ngrams_draw_a_fate_for_each_token():
    ids = np.full((50, 1000), 9)                              # one long word, all of it chosen
    for unit in ("token", "word", "ngram"):
        masked, _ = mask_tokens(ids, np.random.default_rng(5), ordinary=ORDINARY, mask_id=MASK, rate=1.0, unit=unit,
                                continues=CONTINUES)
        assert all(within_five_sigma((row == MASK).sum(), 1000, 0.8) for row in masked)


@pytest.mark.parametrize("unit", UNITS)
def test_shares_hold_for_every_unit(unit):
    ids = np.full((200, 300), 10)
    masked, _ = mask_tokens(ids, np.random.default_rng(6), ordinary=ORDINARY, mask_id=MASK, rate=1.0, unit=unit,
                            continues=CONTINUES)
    spans = 200 * 300 / 3.8 if unit == "span" else 200 * 300
    assert abs((masked == MASK).mean() - 0.8) < 5 * np.sqrt(0.16 * 2 / spans)        # 2: spans differ in length
    assert abs((masked == 10).mean() - 0.1 - 0.1 / 25) < 5 * np.sqrt(0.1 * 2 / spans)


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


@pytest.mark.parametrize("unit", ["token", "word"])
def test_every_place_is_chosen_alike(unit):
    ids = np.tile(np.array([2, 7, 8, 10, 11, 13, 14, 16, 17, 19, 20, 3, 0]), (20_000, 1))        # no piece continues
    _, labels = mask_tokens(ids, np.random.default_rng(2), ordinary=ORDINARY, mask_id=MASK, rate=0.3,
                            unit=unit, continues=CONTINUES)
    chosen = (labels != -100).sum(axis=0)
    assert chosen[[0, -2, -1]].sum() == 0
    assert all(within_five_sigma(count, 20_000, 0.3) for count in chosen[1:-2])


def test_pieces_of_a_word_share_their_fate_of_being_chosen():
    ids = np.array([[2, 7, 9, 12, 8, 9, 10, 3, 9, 7, 3]] * 300)                      # 7 9 12 | 8 9 | 10 | 9 | 7
    _, labels = mask_tokens(ids, np.random.default_rng(3), ordinary=ORDINARY, mask_id=MASK, rate=0.4,
                            unit="word", continues=CONTINUES)
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
    (dict(unit="ngram", continues=np.zeros(V + 1, bool)), r"\(V,\) = \(30,\) for the unit 'ngram', got \(31,\)"),
    (dict(unit="word"), r"\(V,\) = \(30,\) for the unit 'word', got \(\)"),
    (dict(unit="sentence"), "one of token, word, ngram, span, got 'sentence'"),
    (dict(rate=0), "rate must be .* got 0"),
    (dict(rate=1.5), "got 1.5"),
    (dict(mask_share=0.8, random_share=0.3), "0.8 and 0.3"),
    (dict(mask_share=-0.1), "-0.1"),
    (dict(random_share=float("nan")), "0.8 and nan"),
])
def test_errors(change, message):
    arguments = dict(input_ids=np.array([[5, 6]]), ordinary=ORDINARY, mask_id=MASK) | change
    with pytest.raises(ValueError, match=message):
        mask_tokens(arguments.pop("input_ids"), np.random.default_rng(0), **arguments)
