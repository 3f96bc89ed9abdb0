"""The measures of the tasks, each a few lines of NumPy under its formula.

Right answers come first, predictions second. Where a formula divides by zero (a constant prediction, no
entity at all) the value is the one that scikit-learn, SciPy or seqeval gives, and the docstring says which.
Everything is a Python float; nothing is multiplied by 100.
"""
import math
from collections import defaultdict
from typing import NamedTuple

import numpy as np


def accuracy(labels, predictions):
    """The share of predictions that are right. Both (N,), of any type that compares with `==`; N >= 1."""
    labels, predictions = _pair(labels, predictions)
    return float((labels == predictions).mean())


def f1(labels, predictions, positive=1):
    """F1 of one class: the harmonic mean of precision TP/(TP+FP) and recall TP/(TP+FN).

        F1 = 2 TP / (2 TP + FP + FN)

    (van Rijsbergen 1979, Information Retrieval, chapter 7, with equal weights.) 0 if the class is neither in
    `labels` nor predicted. All values other than `positive` are negative. Both (N,); N >= 1.
    """
    labels, predictions = _pair(labels, predictions)
    wanted, given = labels == positive, predictions == positive
    true_positives = int((wanted & given).sum())
    total = int(wanted.sum()) + int(given.sum())
    return 2 * true_positives / total if total else 0.0


def macro_f1(labels, predictions):
    """The plain mean of every class's F1, over the classes that are in `labels` or predicted. Both (N,); N >= 1."""
    labels, predictions = _pair(labels, predictions)
    classes = np.union1d(labels, predictions)
    return sum(f1(labels, predictions, positive=c) for c in classes) / len(classes)


def matthews_correlation(labels, predictions):
    """Matthews correlation: Pearson's correlation between right and predicted classes, in -1..1.

    With n rows, c of them right, t_k rows whose label is k and p_k rows predicted k:

        (c n - Σ t_k p_k) / sqrt((n² - Σ p_k²) (n² - Σ t_k²))

    For two classes this is (TP TN - FP FN) / sqrt((TP+FP)(TP+FN)(TN+FP)(TN+FN)) (Matthews 1975; for more classes
    Gorodkin 2004, "Comparing two K-category assignments by a K-category correlation coefficient", equation 8).
    0 if all labels or all predictions are the same. Both (N,); N >= 1.
    """
    labels, predictions = _pair(labels, predictions)
    classes = np.union1d(labels, predictions)
    t = [int((labels == k).sum()) for k in classes]
    p = [int((predictions == k).sum()) for k in classes]
    n, c = len(labels), int((labels == predictions).sum())
    # Python's integers, not NumPy's: n to the fourth overflows 64 bits at 55,109 rows.
    spread = (n * n - sum(pk * pk for pk in p)) * (n * n - sum(tk * tk for tk in t))
    return (c * n - sum(tk * pk for tk, pk in zip(t, p, strict=True))) / math.sqrt(spread) if spread else 0.0


def pearson(labels, predictions):
    """Pearson's correlation: the cosine of the angle between x and y, each less its mean, in -1..1.

        Σ (x - x̄)(y - ȳ) / sqrt(Σ (x - x̄)² Σ (y - ȳ)²)

    (Pearson 1895.) NaN if x or y is constant, or holds a NaN or an infinity. Both (N,) of numbers; N >= 2.
    """
    x, y = _pair(labels, predictions, dtype=np.float64)
    if len(x) < 2:
        raise ValueError(f"a correlation needs at least 2 rows, got {len(x)}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()) or (x == x[0]).all() or (y == y[0]).all():
        return math.nan
    return float(np.clip(_unit(x) @ _unit(y), -1.0, 1.0))


def spearman(labels, predictions):
    """Spearman's correlation: Pearson's between the ranks; equal values share the mean of their ranks.

    (Spearman 1904.) NaN if x or y is constant or holds a NaN, or with fewer than 2 rows. Both (N,) of numbers; N >= 1.
    """
    x, y = _pair(labels, predictions, dtype=np.float64)
    if len(x) < 2 or np.isnan(x).any() or np.isnan(y).any():
        return math.nan
    return pearson(average_ranks(x), average_ranks(y))


def average_ranks(values):
    """The rank of each value, 1 the smallest; k equal values share the mean of the k ranks they fill. (N,) float64."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[which]


class Scores(NamedTuple):
    """Precision, recall and F1 of a class, or of whole entities, and how many of these the labels hold."""
    precision: float
    recall: float
    f1: float
    support: int

    @classmethod
    def of(cls, right, predicted, support):
        """From counts: precision = right / predicted, recall = right / support, F1 = their harmonic mean. A fraction
        whose denominator is 0 is 0."""
        precision, recall = right / predicted if predicted else 0.0, right / support if support else 0.0
        return cls(precision, recall, 2 * precision * recall / (precision + recall) if right else 0.0, support)


def confusion(labels, predictions, classes):
    """How often each class (row) was predicted as each class (column): (C, C) int64, in the order of `classes`.

    Raises ValueError for a label or prediction that is not one of them. Both (N,); N >= 1.
    """
    labels, predictions = _pair(labels, predictions)
    place = {name: i for i, name in enumerate(classes)}
    strange = {*labels.tolist(), *predictions.tolist()} - place.keys()
    if strange:
        raise ValueError(f"{sorted(strange, key=str)[0]!r} is none of the classes {', '.join(map(str, place))}")
    counts = np.zeros((len(place), len(place)), np.int64)
    np.add.at(counts, tuple([place[value] for value in values.tolist()] for values in (labels, predictions)), 1)
    return counts


def class_scores(counts):
    """A `Scores` for each class of a confusion matrix (C, C), as scikit-learn's classification_report gives them."""
    return [Scores.of(int(counts[i, i]), int(counts[:, i].sum()), int(counts[i].sum())) for i in range(len(counts))]


def macro_scores(scores):
    """The plain means of precision, recall and F1 of several `Scores`, and the sum of their supports."""
    return Scores(*(math.fsum(values) / len(scores) for values in list(zip(*scores, strict=True))[:3]),
                  sum(one.support for one in scores))


# For each scheme: the letters it uses, those that may begin an entity, those that may end one. With None any letter
# may do either: what conlleval does, and the customary score of CoNLL-2003.
SCHEMES = {
    None: ("BIESO", "BIES", "BIES"),
    "IOB2": ("BIO", "B", "BI"),
    "IOE2": ("IEO", "IE", "E"),
    "IOBES": ("BIESO", "BS", "ES"),
}
SCHEMES["BIO"], SCHEMES["BIOES"] = SCHEMES["IOB2"], SCHEMES["IOBES"]


def entities(tags, scheme=None):
    """The entities of one tagged sentence: a list of (type, first word, last word), both words included.

    A tag is O or one of B, I, E, S with a type behind a dash (B-PER; a bare B has type "_"). An I or E goes on with
    the entity that is open (one whose last tag is B or I) if it has the same type. A tag that does not go on with
    one begins one, if its letter may; an entity counts if the letter of its last tag may end one (`SCHEMES`).

    `scheme=None` is lenient, and reads IOB1, IOB2 and IOBES alike: I-PER after O begins an entity. "IOB2" (or
    "BIO"), "IOE2" and "IOBES" (or "BIOES") are strict: an I-PER after O is no entity, nor is a B-PER without its
    E-PER in IOBES. These are seqeval's default and strict mode. Raises ValueError for a tag outside the scheme.
    """
    if scheme not in SCHEMES:
        raise ValueError(f"scheme must be one of {', '.join(map(str, SCHEMES))}, got {scheme!r}")
    letters, may_begin, may_end = SCHEMES[scheme]
    letter_and_type = [_split_tag(tag, letters, scheme) for tag in tags]
    found, first = [], 0
    while first < len(tags):
        letter, kind = letter_and_type[first]
        last = first
        if letter in may_begin:
            goes_on = {("I", kind), ("E", kind)}
            while letter in "BI" and last + 1 < len(tags) and letter_and_type[last + 1] in goes_on:
                last += 1
                letter = letter_and_type[last][0]
            if letter in may_end:
                found.append((kind, first, last))
        first = last + 1
    return found


def entity_scores(labels, predictions, scheme=None):
    """Precision, recall and F1 of entities over all sentences: one is right if its type and both its ends are.

        precision = right / predicted,  recall = right / in the labels,  F1 = 2 precision recall / (precision + recall)

    (Tjong Kim Sang and De Meulder 2003, "Introduction to the CoNLL-2003 shared task", section 2.4; seqeval's micro
    average.) A fraction whose denominator is 0 is 0. `labels`, `predictions`: lists of sentences, each a list
    of tags; `scheme` as in `entities`. Returns Scores.
    """
    counts = _entity_counts(labels, predictions, scheme)
    return Scores.of(*(sum(count[i] for count in counts.values()) for i in range(3)))


def entity_scores_by_type(labels, predictions, scheme=None):
    """`entity_scores` of each type of entity that is in labels or predictions: {type: Scores}, sorted by type."""
    return {kind: Scores.of(*count) for kind, count in sorted(_entity_counts(labels, predictions, scheme).items())}


def _entity_counts(labels, predictions, scheme):
    """{type: [how many entities are right, are predicted, are in the labels]}"""
    if len(labels) != len(predictions):
        raise ValueError(f"{len(labels)} sentences of labels, {len(predictions)} of predictions")
    counts = defaultdict(lambda: [0, 0, 0])
    for number, (wanted, given) in enumerate(zip(labels, predictions, strict=True)):
        if len(wanted) != len(given):
            raise ValueError(f"sentence {number} has {len(wanted)} labels and {len(given)} predictions")
        wanted, given = set(entities(wanted, scheme)), set(entities(given, scheme))
        for i, found in enumerate((wanted & given, given, wanted)):
            for kind, *_ in found:
                counts[kind][i] += 1
    return counts


def _split_tag(tag, letters, scheme):
    """B-PER -> ("B", "PER")."""
    letter, dash, kind = tag.partition("-")
    if len(letter) != 1 or letter not in letters or (letter == "O" and dash):
        raise ValueError(f"{tag!r} is no tag of the scheme {scheme or 'IOB'}: expected O, "
                         f"or one of {', '.join(letters[:-1])} with a dash and a type")
    return letter, kind or "_"


def _pair(labels, predictions, dtype=None):
    """Both as arrays of the same length, at least 1."""
    labels, predictions = np.asarray(labels, dtype), np.asarray(predictions, dtype)
    if labels.ndim != 1 or labels.shape != predictions.shape:
        raise ValueError(f"labels and predictions must both be (N,), got {labels.shape} and {predictions.shape}")
    if not len(labels):
        raise ValueError("no rows to measure")
    if (labels.dtype.kind in "US") != (predictions.dtype.kind in "US"):
        raise ValueError(f"labels are {labels.dtype}, predictions {predictions.dtype}: words and numbers never agree")
    return labels, predictions


def _unit(x):
    """x less its mean, scaled to length 1. It is scaled before it is squared, so that the squares do not overflow."""
    x = x / np.abs(x).max()
    x = x - x.mean()
    x = x / np.abs(x).max()
    return x / math.sqrt(x @ x)
