"""The floors: by hand, against plain loops, and on texts whose entropy is known."""
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from words import WordTokenizer

from numbert.pretraining.baselines import (
    NEIGHBOURS,
    TRIGRAM,
    _Counts,
    _fit,
    baselines,
    neighbour_baseline,
    unigram_baseline,
)
from numbert.pretraining.batches import PretrainingData

MASK, SPECIALS = 4, 5


def pretraining(documents, V=20, **settings):
    """From documents of ids 0..V-1, which become the words w0, w1, ... in order, with the ids 5, 6, ..."""
    tokenizer = WordTokenizer([" ".join(f"w{i}" for i in range(V))])
    texts = [[" ".join(f"w{i}" for i in sentence) for sentence in document] for document in documents]
    return PretrainingData(texts, tokenizer, **dict(objective="mlm", max_length=32, batch_size=4) | settings)


def markov(count, seed, stay, V=20, length=30):
    """Documents in which token v is followed by v + 1 with probability `stay` and by a random one otherwise."""
    rng = np.random.default_rng(seed)
    documents = []
    for _ in range(count):
        sentence = [int(rng.integers(V))]
        for _ in range(length - 1):
            sentence.append((sentence[-1] + 1) % V if rng.random() < stay else int(rng.integers(V)))
        documents.append([sentence])
    return documents


def held_out(text):
    return list(text.evaluation_batches())


def test_unigram_by_hand():
    labels = np.array([[-100, 0, 2], [1, -100, 0]])
    expected = -(2 * math.log(4 / 9) + math.log(3 / 9) + math.log(2 / 9)) / 4        # counts 3, 2, 1 and one each
    assert unigram_baseline([3, 2, 1], labels) == pytest.approx(expected, rel=1e-12)
    assert unigram_baseline(np.zeros(50, int), labels) == pytest.approx(math.log(50), rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=12), min_size=1, max_size=4), st.integers(1, 12))
def test_counts_are_those_of_plain_loops(documents, queries):
    V = 4
    ones, pairs, after, before, around, triples = (Counter() for _ in range(6))
    for document in documents:
        ones.update(document)
        for a, b in zip(document, document[1:], strict=False):
            pairs[a, b] += 1
            after[a] += 1
            before[b] += 1
        for a, b, c in zip(document, document[1:], document[2:], strict=False):
            around[a, c] += 1
            triples[a, b, c] += 1
    tokens = np.concatenate(documents)
    counts = _Counts(tokens, np.repeat(np.arange(len(documents)), list(map(len, documents))), V, NEIGHBOURS)
    left, word, right = np.random.default_rng(queries).integers(0, [[V + 1], [V], [V + 1]], (3, queries))
    probabilities, classes = counts.components(word, left, right)

    def share(part, whole):
        return part / whole if whole else 0
    def often(count):
        return (count >= 1) + (count >= 4) + (count >= 32)
    for a, b, c, row, kind in zip(left.tolist(), word.tolist(), right.tolist(), probabilities, classes, strict=True):
        assert row == pytest.approx([(ones[b] + 1) / (len(tokens) + V), share(pairs[a, b], after[a]),
                                     share(pairs[b, c], before[c]), share(triples[a, b, c], around[a, c])])
        assert kind == 16 * often(after[a]) + 4 * often(before[c]) + often(around[a, c])


def test_probabilities_of_all_words_sum_to_one():
    tokens = np.random.default_rng(0).integers(0, 6, 500)
    for contexts, columns in ((NEIGHBOURS, 4), (TRIGRAM, 3)):
        counts = _Counts(tokens, np.zeros(500, int), 6, contexts)
        for one, other in [(0, 0), (3, 5), (2, 1)]:
            probabilities, _ = counts.components(np.arange(6), np.full(6, one), np.full(6, other))
            assert probabilities.sum(axis=0) == pytest.approx([1] * columns)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=30))
def test_trigrams_are_those_of_plain_loops(tokens):
    """before, last, word: what stood two places before a word, and one."""
    counts = _Counts(np.array(tokens), np.zeros(len(tokens), int), 3, TRIGRAM)
    for before, last, word in np.ndindex(4, 4, 3):                                   # 3: nothing stands there
        (_, two, three), _ = (x[0] for x in counts.components(*np.array([[word], [before], [last]])))
        after = [tokens[i] for i in range(1, len(tokens)) if tokens[i - 1] == last]
        further = [tokens[i] for i in range(2, len(tokens)) if tokens[i - 2:i] == [before, last]]
        assert two == pytest.approx(after.count(word) / max(1, len(after)))
        assert three == pytest.approx(further.count(word) / max(1, len(further)))


def test_the_trigram_floor_sees_what_stands_before_and_nothing_else():
    """Two tokens decide the third, one does not: a, b, a + b (mod 7), ...; so only the context of two is any use."""
    def sums(count, seed):
        rng, documents = np.random.default_rng(seed), []
        for _ in range(count):
            sentence = rng.integers(0, 7, 2).tolist()
            while len(sentence) < 40:
                sentence.append((sentence[-1] + sentence[-2]) % 7 if len(sentence) % 8 else int(rng.integers(7)))
            documents.append([sentence])
        return documents
    training, held = (pretraining(sums(*which), V=7, objective="causal") for which in ((300, 0), (30, 1)))
    batches = held_out(held)
    found = baselines(training, batches)
    assert found.keys() == {"unigram", "trigram"}
    labels = np.concatenate([batch["labels"].ravel() for batch in batches])
    assert found["unigram"] == unigram_baseline(np.bincount(training.text.tokens, minlength=12), labels)
    right = 7 / 8 + 1 / 56                                               # how often the sum is
    entropy = -right * math.log(right) - (1 - right) * math.log((1 - right) / 6)
    assert found["unigram"] > math.log(7) and entropy < found["trigram"] < entropy + 0.25    # the starts of texts, rows
    for batch in batches:
        batch["input_ids"][:, -1] = 3                                    # nothing is asked for that comes after it
    assert neighbour_baseline(training, batches) == found["trigram"]


def test_both_floors_at_once():
    training, batches = pretraining(markov(100, 0, 0.8)), held_out(pretraining(markov(40, 1, 0.8)))
    labels = np.concatenate([batch["labels"].ravel() for batch in batches])
    assert baselines(training, batches) == {
        "unigram": unigram_baseline(np.bincount(training.text.tokens, minlength=25), labels),
        "neighbours": neighbour_baseline(training, batches)}


def test_the_fit_finds_the_weights_of_a_mixture():
    """Words drawn from a known mixture of four distributions over 50 words, all in one class."""
    rng = np.random.default_rng(1)
    true, M = np.array([0.1, 0.2, 0.3, 0.4]), 20_000
    tables = rng.dirichlet(np.full(50, 0.1), size=4)          # spiky, so that they can be told apart
    source = rng.choice(4, size=M, p=true)
    words = np.array([rng.choice(50, p=tables[k]) for k in source])
    weights = _fit(tables[:, words].T, np.full(M, 63))
    assert weights.sum(axis=1) == pytest.approx(np.ones(64))
    assert weights[63] == pytest.approx(true, abs=0.03)
    assert weights[[0, 16, 4, 1]] == pytest.approx(np.array(  # none, left, right, both: contexts not seen have weight 0
        [[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.5, 0, 0.5, 0], [0.5, 0, 0, 0.5]]))
    assert (weights[:, 0] > 0).all()


def test_neighbours_of_a_deterministic_text_say_it_all():
    """A cycle of 20 tokens: one neighbour is enough, and 20 equally frequent tokens without it are log 20."""
    training, batches = pretraining(markov(300, 0, 1.0)), held_out(pretraining(markov(40, 1, 1.0), seed=7))
    labels = np.concatenate([batch["labels"].ravel() for batch in batches])
    unigram = unigram_baseline(np.bincount(training.text.tokens, minlength=25), labels)
    assert unigram == pytest.approx(math.log(20), abs=0.02)
    assert neighbour_baseline(training, batches) < 0.35         # what is left: neighbours that are hidden themselves


def test_neighbours_of_a_text_without_structure_say_nothing():
    training, batches = pretraining(markov(300, 0, 0.0)), held_out(pretraining(markov(40, 1, 0.0), seed=7))
    assert math.log(20) - 0.03 < neighbour_baseline(training, batches) < math.log(20) + 0.06


def test_neighbours_against_the_entropy_of_a_markov_chain():
    """Where both neighbours are seen, the best possible loss is the entropy of p(w | l, r), computed from the chain."""
    V, stay = 20, 0.7
    step = np.full((V, V), (1 - stay) / V) + stay * np.roll(np.eye(V), 1, axis=1)    # step[v, v + 1] is large
    joint = step[:, :, None] * step[None] / V                 # p(l, w, r)
    conditional = joint / joint.sum(axis=1, keepdims=True)
    entropy = -(joint * np.log(conditional)).sum()
    training = pretraining(markov(2000, 0, stay))
    rng = np.random.default_rng(5)
    ids = np.array([document[0] for document in markov(300, 1, stay)]) + SPECIALS
    place = rng.integers(1, 29, 300)
    labels = np.full(ids.shape, -100)
    labels[np.arange(300), place] = ids[np.arange(300), place]
    ids[np.arange(300), place] = MASK
    floor = neighbour_baseline(training, [dict(input_ids=ids, labels=labels)])
    assert entropy - 0.15 < floor < entropy + 0.3             # 300 blanks: their mean has a deviation of about 0.06


def test_hidden_neighbours_leave_the_unigram():
    training = pretraining(markov(100, 0, 0.9))
    ids, labels = np.full((2, 7), MASK), np.full((2, 7), -100)
    labels[:, 3] = [6, 9]
    unigram = unigram_baseline(np.bincount(training.text.tokens, minlength=25), labels)
    assert neighbour_baseline(training, [dict(input_ids=ids, labels=labels)]) == pytest.approx(unigram, rel=1e-12)
    edge = np.full((2, 7), -100)
    edge[:, 0] = [6, 9]                                       # nothing stands left of it
    assert neighbour_baseline(training, [dict(input_ids=ids, labels=edge)]) == pytest.approx(unigram, rel=1e-12)


def test_nothing_is_fitted_on_the_held_out_text():
    """The floor of two batches is the mean of their floors: one batch has no influence on the loss of the other."""
    training, batches = pretraining(markov(100, 0, 0.8)), held_out(pretraining(markov(40, 1, 0.2)))[:2]
    hidden = [(batch["labels"] >= 0).sum() for batch in batches]
    alone = [neighbour_baseline(training, [batch]) for batch in batches]
    assert neighbour_baseline(training, batches) == pytest.approx(np.average(alone, weights=hidden), rel=1e-12)


def test_weights_are_fitted_on_documents_that_are_not_counted():
    """Each document repeats a word of its own. Counts that held the documents of the fit would foresee every blank, and
    the weights would trust neighbours that say nothing about new text, where the word between them is another."""
    V = 200
    training = pretraining([[[v] * 40] for v in range(V)], V=V)
    ids = np.array([[5 + v, MASK, 5 + v] for v in range(100)])
    labels = np.full(ids.shape, -100)
    labels[:, 1] = ids[:, 2] + 50
    floor = neighbour_baseline(training, [dict(input_ids=ids, labels=labels)])
    assert floor < math.log(V) + math.log(4) + 0.1            # nothing fitted: the four weights are equal


def test_errors():
    with pytest.raises(ValueError, match="every label is -100"):
        unigram_baseline(np.ones(5), np.full((2, 3), -100))
    with pytest.raises(ValueError, match=r"in 0\.\.4, got 1\.\.5"):
        unigram_baseline(np.ones(5), np.array([1, 5]))
    training = pretraining(markov(20, 0, 0.5))
    with pytest.raises(ValueError, match="every label is -100"):
        neighbour_baseline(training, [])
    with pytest.raises(ValueError, match=r"in 0\.\.24, got -1\.\.-1"):
        neighbour_baseline(training, [dict(input_ids=np.ones((1, 2), int), labels=np.full((1, 2), -1))])
    with pytest.raises(ValueError, match="at least 2 are needed, got 1"):
        neighbour_baseline(pretraining(markov(1, 0, 0.5, length=200), batch_size=1), [])
