"""Losses: each is one number, the mean over the labels, and 0 if there are none."""
from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..autograd import Array, op
from ..machine import blocks
from ..recording import recording
from .shapes import check_array, check_shapes

IGNORE = -100                       # the label of a row that has none, as in PyTorch
BLOCK = 1 << 23                     # scores held at a time, 274 rows of 30,522 words: half as many take a tenth longer
CACHE = 1 << 17                     # scores that stay in the cache while several lines work on them


def label_count(labels: Array) -> int:
    """How many labels a loss is the mean over: of classes (integers) all but -100, of numbers every one."""
    check_array("labels", labels)
    return int((labels != IGNORE).sum()) if labels.dtype.kind in "iu" else labels.size


def labelled_rows(labels: Array, classes: int) -> tuple[Array, Array]:
    """The rows (M,) that have a label, and their labels (M,); -100 in `labels` (N,) stands for none.

    Raises TypeError for labels that are not integers, and ValueError for a label outside 0..classes-1.
    """
    if labels.dtype.kind not in "iu":
        raise TypeError(f"labels must be integers, got {labels.dtype}")
    rows = np.flatnonzero(labels != IGNORE)
    labels = labels[rows]
    if len(rows) and not (0 <= labels.min() and labels.max() < classes):
        wrong = labels[(labels < 0) | (labels >= classes)][0]
        raise ValueError(f"labels must be 0..{classes - 1}, or {IGNORE} for none; got {wrong}")
    return rows, labels


def check_floating(name: str, x: Array) -> None:
    """Raises TypeError for integers: labels and gradients would be rounded to whole numbers."""
    check_array(name, x)
    if x.dtype.kind != "f":
        raise TypeError(f"{name} must be floating-point numbers, got {x.dtype}")


@op
def cross_entropy(logits: Array, *, labels: Array, weights: ArrayLike | None = None, smoothing: float = 0.0):
    """The mean of -ln softmax(logits)[label], for logits (N, C) and integer labels (N,), over the M rows with a label.

    Gives one number, of the dtype of the logits. A row labelled -100 has no label. weights (C,): the term of a row is
    multiplied by weights[label]; the sum is divided by M all the same. smoothing: the target probabilities of a row are
    not 1 at its label and 0 elsewhere, but 1 - smoothing there, and smoothing / C more for every class (Szegedy et al.
    2016, "Rethinking the Inception Architecture for Computer Vision", section 7); every logit must then be finite.
    Raises TypeError for logits or labels of the wrong kind, and ValueError for a label outside 0..C-1, for weights that
    are not (C,), and for a smoothing outside [0, 1).
    """
    check_floating("logits", logits)
    check_shapes("cross_entropy", logits=(logits, "N C"), labels=(labels, "N"),
                 **({} if weights is None else {"weights": (weights, "C")}))
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothing must be in [0, 1), got {smoothing}")
    n = max(1, label_count(labels))
    rows, labels = labelled_rows(labels, logits.shape[1])
    weight = np.ones(len(rows), logits.dtype) if weights is None else np.asarray(weights, logits.dtype)[labels]
    x = logits[rows]                                                            # 1  (M, C)
    z = x - x.max(-1, keepdims=True)                                            # 2  (M, C), its softmax is that of x
    log_probs = z - np.log(np.exp(z).sum(-1, keepdims=True))                    # 3  (M, C)
    term = log_probs[np.arange(len(rows)), labels]                              # 4  (M,)
    if smoothing:
        term = (1 - smoothing) * term + smoothing * log_probs.mean(-1)          # 5  (M,)
    loss = -(weight * term).sum() / n                                           # 6  ()
    return np.asarray(loss, logits.dtype), (log_probs, rows, labels, weight, n, smoothing, logits.shape)


@cross_entropy.vjp
def cross_entropy_backward(dy, saved):
    # A row with label t and weight w has the loss L = w/n (ln Σ_j exp x_j - x_t).
    # The derivative of ln Σ_j exp x_j by x_i is exp x_i / Σ_j exp x_j = softmax(x)_i, that of x_t is 1 where i = t.
    # So dL/dx_i = w/n (softmax(x)_i - [i = t]): the probability of each class, less 1 for the true one. Over a row it
    # sums to 0. So the maximum, which line 2 subtracts from the whole row, adds nothing to the gradient. Smoothing puts
    # the target (1 - smoothing) [i = t] + smoothing / C in the place of [i = t]; it sums to 1 as well.
    log_probs, rows, labels, weight, n, smoothing, shape = saved
    scale = (weight * (dy / n))[:, None]                                        # 6  (M, 1)
    dx = (np.exp(log_probs) - smoothing / shape[1]) * scale                     # 3, 5  (M, C)
    dx[np.arange(len(rows)), labels] -= (1 - smoothing) * scale[:, 0]           # 3, 4, 5
    dlogits = np.zeros(shape, dx.dtype)
    dlogits[rows] = dx                                                          # 1  (N, C)
    return (dlogits,)


@op
def linear_cross_entropy(x: Array, weight: Array, bias: Array | None, *, labels: Array, block: int = BLOCK):
    """Cross-entropy of x weightᵀ + bias, for x (N, D), weight (V, D), bias (V,) or None and integer labels (N,).

    The last matrix product and its loss as one op, so that the scores of all V words are never held at once: for a
    small model the scores (M, V) of M rows with a label are the largest array of all. They are computed for one block
    of rows at a time, and then dropped. That works because the loss is one number, and so its upstream gradient is one
    factor: the gradient of a block is computed in the forward pass, from the same exponentials, and multiplied by the
    factor later. The plain twin is `cross_entropy(linear(x, weight, bias), labels=labels)`.

    Gives two numbers, (2,): the mean of -ln softmax(scores)[label] over the rows with a label (-100 is none), 0 without
    any; and how many of these labels have the highest score of their row (of equals the first), which has no gradient.
    block: how many scores are held at a time. Raises TypeError for x or labels of the wrong kind, and ValueError for
    shapes that do not fit and for a label outside 0..V-1.
    """
    check_floating("x", x)
    check_shapes("linear_cross_entropy", x=(x, "N D"), weight=(weight, "V D"), labels=(labels, "N"),
                 **({} if bias is None else {"bias": (bias, "V")}))
    n, loss, correct = max(1, label_count(labels)), 0.0, 0
    rows, labels = labelled_rows(labels, len(weight))
    chosen, gradients = x[rows], None                                           # 1  (M, D)
    if recording.get():
        gradients = [a if a is None else np.zeros(a.shape, x.dtype) for a in (chosen, weight, bias)]
    for s in blocks(chosen, block // max(1, len(weight)) * x.shape[1]):
        scores = chosen[s] @ weight.T                                           # 2  (m, V), m rows of a block
        if bias is not None:
            scores += bias                                                      # 3  (m, V)
        losses, right, probs = _softmax(scores, labels[s])                      # 4  (m,), (m,), (m, V)
        loss, correct = loss + float(losses.sum()), correct + int(right.sum())  # 5
        if gradients:
            _block_backward(probs, labels[s], chosen[s], weight, s, *gradients)
        del scores, probs                                                       # before the next block's are made
    return np.array([loss / n, correct], x.dtype), (gradients, rows, len(x), n)


def _softmax(scores, labels):
    """Of scores (m, V): -ln softmax at the labels (m,), whether the label's is the highest (m,), and softmax (m, V).

    The last is written over the scores.
    """
    losses, right = np.empty(len(labels), scores.dtype), np.empty(len(labels), bool)
    for s in blocks(scores, CACHE):
        x, row = scores[s], np.arange(len(labels[s]))
        best = x.argmax(-1)
        x -= x[row, best][:, None]
        at_label = x[row, labels[s]]
        np.exp(x, out=x)
        total = x.sum(-1)
        x *= (1 / total)[:, None]
        losses[s], right[s] = np.log(total) - at_label, best == labels[s]
    return losses, right, scores


def _block_backward(probs, labels, x, weight, s, dx, dweight, dbias):
    """The gradient of a block's summed losses into rows `s` of dx, and added to dweight (V, D) and dbias (V,).

    As in `cross_entropy`, that of the scores is softmax less 1 at the label. It is written over the softmax.
    """
    dscores = probs
    dscores[np.arange(len(labels)), labels] -= 1                                # 5, 4  (m, V)
    if dbias is not None:
        dbias += dscores.sum(0)                                                 # 3
    dx[s] = dscores @ weight                                                    # 2  (m, D)
    for v in blocks(weight, CACHE):
        dweight[v] += dscores[:, v].T @ x                                       # 2  (V, D), some words at a time


@linear_cross_entropy.vjp
def linear_cross_entropy_backward(dy, saved):
    (dchosen, dweight, dbias), rows, N, n = saved
    scale = dy[0] / n
    dx = np.zeros((N, dchosen.shape[1]), dchosen.dtype)
    dx[rows] = scale * dchosen                                                  # 1  (N, D)
    return dx, scale * dweight, None if dbias is None else scale * dbias


@op
def mean_squared_error(x: Array, *, labels: Array):
    """The mean of (x - labels)² over all elements, for x and labels of one shape. Gives one number, of x's dtype.

    Raises TypeError for an x of integers, and ValueError for labels of another shape or a label that is no number.
    """
    labels = _numbers("x", x, labels)
    n = max(1, label_count(labels))
    difference = x - labels                                                     # 1  the shape of x
    return np.asarray((difference * difference).sum() / n, x.dtype), (difference, n)    # 2  ()


@mean_squared_error.vjp
def mean_squared_error_backward(dy, saved):
    difference, n = saved
    return (difference * (2 * dy / n),)                                         # 2, 1


@op
def binary_cross_entropy(logits: Array, *, labels: Array):
    """The mean of -(y ln σ(x) + (1 - y) ln(1 - σ(x))) over all elements, for logits x and labels y in [0, 1].

    Both are of one shape; gives one number, of the logits' dtype. Computed as max(x, 0) - x y + ln(1 + exp(-|x|)), for
    which no x is too large. Raises TypeError for logits of integers, and ValueError for labels of another shape or a
    label that is no number.
    """
    labels = _numbers("logits", logits, labels)
    n = max(1, label_count(labels))
    loss = np.maximum(logits, 0) - logits * labels + np.log1p(np.exp(-np.abs(logits)))  # 1  the shape of logits
    return np.asarray(loss.sum() / n, logits.dtype), (logits, labels, n)                # 2  ()


@binary_cross_entropy.vjp
def binary_cross_entropy_backward(dy, saved):
    logits, labels, n = saved
    sigmoid = 0.5 * (1 + np.tanh(0.5 * logits))
    return ((sigmoid - labels) * (dy / n),)                                     # 2, 1: σ' = σ (1 - σ) cancels


def _numbers(name, x, labels):
    """`labels` in the dtype of x, checked: of its shape, none infinite or NaN."""
    check_floating(name, x)
    check_array("labels", labels)
    if labels.shape != x.shape:
        raise ValueError(f"labels must have the shape {x.shape}, got {labels.shape}")
    with np.errstate(over="ignore"):
        numbers = labels.astype(x.dtype)
    if not (finite := np.isfinite(numbers)).all():
        place = tuple(np.argwhere(~finite)[0].tolist())
        raise ValueError(f"labels must be finite numbers ({x.dtype}), got {labels[place]} at {place}")
    return numbers
