"""The measures: golden values recorded from the references, the references themselves where installed, and errors.

Recorded with scikit-learn 1.9.1, SciPy 1.17.1 and seqeval 1.2.2:
    sklearn.metrics.{accuracy_score, f1_score, matthews_corrcoef}, scipy.stats.{pearsonr, spearmanr},
    seqeval.metrics.{precision_score, recall_score, f1_score}, strict with mode="strict" and scheme=IOB2, IOE2, IOBES
"""
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numbert.tasks.metrics import (
    accuracy,
    average_ranks,
    entities,
    entity_scores,
    f1,
    macro_f1,
    matthews_correlation,
    pearson,
    spearman,
)

# labels, predictions, then accuracy, f1, macro f1, Matthews
CLASSES = [
    ([0, 1, 1, 0, 1, 0, 1, 1], [0, 1, 0, 0, 1, 1, 1, 0], 0.625, 2 / 3, 0.6190476190476191, 0.2581988897471611),
    ([0, 1, 2, 2, 1, 0, 1], [0, 2, 2, 1, 1, 0, 1], 0.7142857142857143, None, 0.7222222222222222, 0.5625),
    ([0, 1], [1, 1], 0.5, 2 / 3, 1 / 3, 0.0),     # constant predictions
    ([1, 1], [1, 1], 1.0, 1.0, 1.0, 0.0),         # constant both
    ([0, 0], [0, 0], 1.0, 0.0, 1.0, 0.0),         # the class is nowhere
    ([0, 1], [1, 0], 0.0, 0.0, 0.0, -1.0),
]
# x, y, then Pearson, Spearman
NUMBERS = [
    ([1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 1.0, 4.0, 3.0, 7.0], 0.824163383692134, 0.8),
    ([1.0, 1.0, 2.0, 3.0, 3.0], [0.5, 2.5, 2.5, 2.5, 9.0], 0.6542333887950217, 0.7071067811865476),   # ties
    ([1.0, 2.0], [2.0, 1.0], -1.0, -1.0),
    ([1.0, 1.0, 1.0], [1.0, 2.0, 3.0], math.nan, math.nan),
    ([0.1, 0.1, 0.1], [1.0, 2.0, 4.0], math.nan, math.nan),
    ([1.0, 2.0, math.nan], [1.0, 2.0, 3.0], math.nan, math.nan),
    ([1.0, 2.0, math.inf], [1.0, 2.0, 3.5], math.nan, 1.0),
    ([1e300, -1e300, 0.0], [1.0, 2.0, 4.0], -0.3273268353539885, -0.5),
    ([0.0, 1e-200, 3e-200], [1.0, 2.0, 4.0], 0.9999999999999998, 1.0),
]
GOLD = [["B-PER", "I-PER", "O", "B-LOC"], ["B-ORG", "I-ORG", "I-ORG", "O"]]
GUESS = [["B-PER", "I-PER", "O", "I-LOC"], ["B-ORG", "I-LOC", "I-ORG", "O"]]
IOBES_GOLD = [["B-PER", "E-PER", "O", "S-LOC"], ["B-ORG", "I-ORG", "E-ORG", "O"]]
IOBES_GUESS = [["B-PER", "E-PER", "O", "I-LOC"], ["B-ORG", "I-ORG", "E-LOC", "S-ORG"]]


@pytest.mark.parametrize("labels, predictions, right, f, macro, matthews", CLASSES)
def test_classes_golden(labels, predictions, right, f, macro, matthews):
    assert accuracy(labels, predictions) == pytest.approx(right, abs=1e-15)
    assert macro_f1(labels, predictions) == pytest.approx(macro, abs=1e-15)
    assert matthews_correlation(labels, predictions) == pytest.approx(matthews, abs=1e-15)
    if f is not None:
        assert f1(labels, predictions) == pytest.approx(f, abs=1e-15)


@pytest.mark.parametrize("x, y, r, rho", NUMBERS)
def test_numbers_golden(x, y, r, rho):
    assert pearson(x, y) == pytest.approx(r, abs=1e-14, nan_ok=True)
    assert spearman(x, y) == pytest.approx(rho, abs=1e-14, nan_ok=True)


def test_by_hand():
    # TP 3, TN 1, FP 1, FN 2
    labels, predictions = [1, 1, 1, 1, 1, 0, 0], [1, 1, 1, 0, 0, 0, 1]
    assert f1(labels, predictions) == 6 / 9
    assert f1(labels, predictions, positive=0) == 2 / 5
    assert matthews_correlation(labels, predictions) == pytest.approx((3 * 1 - 1 * 2) / math.sqrt(4 * 5 * 2 * 3))
    assert average_ranks([7.0, 5.0, 7.0, 9.0]).tolist() == [2.5, 1.0, 2.5, 4.0]
    assert spearman([1.0, 2.0, 3.0], [1.0, 10.0, 100.0]) == pytest.approx(1.0)
    assert math.isnan(spearman([1.0], [2.0]))
    assert accuracy(["a", "b"], ["a", "c"]) == 0.5 and f1(["a", "b"], ["a", "c"], positive="a") == 1.0


def test_matthews_of_many_rows_does_not_overflow():
    labels = np.tile(np.array([0, 1]), 60_000)
    assert matthews_correlation(labels, labels) == 1.0
    assert matthews_correlation(labels, 1 - labels) == -1.0


def test_entities_lenient_and_strict():
    tags = ["I-PER", "I-PER", "I-LOC", "O", "B-LOC", "B-LOC", "I-LOC", "I-PER"]
    assert entities(tags) == [("PER", 0, 1), ("LOC", 2, 2), ("LOC", 4, 4), ("LOC", 5, 6), ("PER", 7, 7)]
    assert entities(tags, "IOB2") == [("LOC", 4, 4), ("LOC", 5, 6)]
    tags = ["B-A", "I-A", "O", "B-A", "E-A", "S-B", "E-B", "B-A", "I-B", "E-B"]
    assert entities(tags, "BIOES") == [("A", 3, 4), ("B", 5, 5)]
    assert entities(["I-A", "I-A", "I-B", "E-B", "E-B"], "IOE2") == [("B", 2, 3), ("B", 4, 4)]
    assert entities(["B", "I", "O", "B-x-y"]) == [("_", 0, 1), ("x-y", 3, 3)]
    assert entities([]) == []


@pytest.mark.parametrize("labels, predictions, scheme, expected", [
    (GOLD, GUESS, None, (0.4, 2 / 3, 0.5, 3)),
    (GOLD, GUESS, "IOB2", (0.5, 1 / 3, 0.4, 3)),
    (IOBES_GOLD, IOBES_GUESS, None, (0.4, 2 / 3, 0.5, 3)),
    (IOBES_GOLD, IOBES_GUESS, "IOBES", (0.5, 1 / 3, 0.4, 3)),
    ([["O", "O"]], [["O", "O"]], None, (0.0, 0.0, 0.0, 0)),
    ([["O", "O"]], [["B-A", "O"]], None, (0.0, 0.0, 0.0, 0)),
    ([["B-A", "O"]], [["O", "O"]], "IOB2", (0.0, 0.0, 0.0, 1)),
    ([[]], [[]], None, (0.0, 0.0, 0.0, 0)),
])
def test_entity_scores_golden(labels, predictions, scheme, expected):
    assert entity_scores(labels, predictions, scheme) == pytest.approx(expected)


def test_an_entity_does_not_cross_sentences():
    assert entity_scores([["B-A"], ["I-A"]], [["B-A"], ["I-A"]]).support == 2


@pytest.mark.parametrize("call, message", [
    (lambda: accuracy([1, 2], [1]), r"must both be \(N,\), got \(2,\) and \(1,\)"),
    (lambda: macro_f1([[1]], [[1]]), r"must both be \(N,\)"),
    (lambda: f1([], []), "no rows"),
    (lambda: accuracy([1], ["1"]), "words and numbers never agree"),
    (lambda: pearson([1.0], [1.0]), "at least 2 rows, got 1"),
    (lambda: entities(["B-A", "NOUN"]), "'NOUN' is no tag"),
    (lambda: entities(["S-A"], "IOB2"), "'S-A' is no tag of the scheme IOB2: expected O, or one of B, I with"),
    (lambda: entities(["O-A"]), "'O-A' is no tag"),
    (lambda: entities([""]), "'' is no tag"),
    (lambda: entities(["O"], "IOB3"), "scheme must be one of None, IOB2, IOE2, IOBES, BIO, BIOES, got 'IOB3'"),
    (lambda: entity_scores([["O"]], []), "1 sentences of labels, 0 of predictions"),
    (lambda: entity_scores([["O"], ["O"]], [["O"], []]), "sentence 1 has 1 labels and 0 predictions"),
])
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def pairs(elements, min_size=1):
    rows = st.lists(st.tuples(elements, elements), min_size=min_size, max_size=30)
    return rows.map(lambda rows: list(zip(*rows, strict=True)))


@settings(deadline=None, max_examples=200)
@given(pairs(st.integers(0, 3)))
def test_classes_agree_with_sklearn(rows):
    sklearn = pytest.importorskip("sklearn.metrics")
    labels, predictions = rows
    binary = [c == 1 for c in labels], [c == 1 for c in predictions]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert accuracy(*rows) == pytest.approx(sklearn.accuracy_score(*rows), abs=1e-14)
        assert f1(*rows) == pytest.approx(sklearn.f1_score(*binary), abs=1e-14)
        assert macro_f1(*rows) == pytest.approx(sklearn.f1_score(*rows, average="macro"), abs=1e-14)
        assert matthews_correlation(*rows) == pytest.approx(sklearn.matthews_corrcoef(*rows), abs=1e-14)


NUMBER = st.one_of(st.integers(-3, 3).map(float), st.floats(-100, 100, width=16))


@settings(deadline=None, max_examples=200)
@given(pairs(NUMBER, min_size=2))
def test_numbers_agree_with_scipy(rows):
    stats = pytest.importorskip("scipy.stats")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert pearson(*rows) == pytest.approx(stats.pearsonr(*rows).statistic, abs=1e-9, nan_ok=True)
        assert spearman(*rows) == pytest.approx(stats.spearmanr(*rows).statistic, abs=1e-12, nan_ok=True)
        assert average_ranks(rows[0]).tolist() == stats.rankdata(rows[0]).tolist()


def tagged(letters):
    tag = st.one_of(st.just("O"), st.tuples(st.sampled_from(letters), st.sampled_from(["-A", "-B", "-A-B", ""]))
                    .map("".join))
    sentence = st.lists(st.tuples(tag, tag), max_size=8)
    return st.lists(sentence, min_size=1, max_size=5).map(
        lambda rows: ([[t for t, _ in s] for s in rows], [[p for _, p in s] for s in rows]))


@settings(deadline=None, max_examples=150)
@given(st.data(), st.sampled_from([(None, "BIES"), (None, "BI"), ("IOB2", "BI"), ("IOE2", "IE"), ("IOBES", "BIES")]))
def test_entities_agree_with_seqeval(data, scheme_and_letters):
    metrics = pytest.importorskip("seqeval.metrics")
    import seqeval.scheme
    scheme, letters = scheme_and_letters
    labels, predictions = data.draw(tagged(letters))
    mode = {"mode": "strict", "scheme": getattr(seqeval.scheme, scheme)} if scheme else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = [getattr(metrics, f"{name}_score")(labels, predictions, **mode)
                    for name in ("precision", "recall", "f1")]
    assert entity_scores(labels, predictions, scheme)[:3] == pytest.approx(expected, abs=1e-14)
