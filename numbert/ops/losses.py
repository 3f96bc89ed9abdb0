"""Losses: each is one number, the mean over the labels, and 0 if there are none."""
import numpy as np

from ..autograd import op
from .shapes import check_shapes

IGNORE = -100                       # the label of a row that has none, as in PyTorch


def label_count(labels):
    """How many labels a loss is the mean over: of classes (integers) all but -100, of numbers every one."""
    return int((labels != IGNORE).sum()) if labels.dtype.kind in "iu" else labels.size


def labelled_rows(labels, classes):
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


def check_floating(name, x):
    """Raises TypeError for integers: labels and gradients would be rounded to whole numbers."""
    if x.dtype.kind != "f":
        raise TypeError(f"{name} must be floating-point numbers, got {x.dtype}")


@op
def cross_entropy(logits, *, labels, weights=None, smoothing=0.0):
    """The mean of -ln softmax(logits)[label], for logits (N, C) and integer labels (N,), over the M rows with a label.

    A row labelled -100 has none. weights (C,): the term of a row is multiplied by weights[label]; the sum is divided by
    M all the same. smoothing: the target probabilities of a row are not 1 at its label and 0 elsewhere, but 1 -
    smoothing there, and smoothing / C more for every class (Szegedy et al. 2016, "Rethinking the Inception
    Architecture for Computer Vision", section 7); every logit must then be finite. Raises TypeError for logits or
    labels of the wrong kind, and ValueError for a label outside 0..C-1, for weights that are not (C,), and for a
    smoothing outside [0, 1).
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
def mean_squared_error(x, *, labels):
    """The mean of (x - labels)² over all elements.

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
def binary_cross_entropy(logits, *, labels):
    """The mean of -(y ln σ(x) + (1 - y) ln(1 - σ(x))) over all elements, for logits x and labels y in [0, 1].

    Computed as max(x, 0) - x y + ln(1 + exp(-|x|)), which no x overflows. Raises TypeError for logits of integers, and
    ValueError for labels of another shape or a label that is no number.
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
    if labels.shape != x.shape:
        raise ValueError(f"labels must have the shape {x.shape}, got {labels.shape}")
    with np.errstate(over="ignore"):
        numbers = labels.astype(x.dtype)
    if not (finite := np.isfinite(numbers)).all():
        place = tuple(np.argwhere(~finite)[0].tolist())
        raise ValueError(f"labels must be finite numbers ({x.dtype}), got {labels[place]} at {place}")
    return numbers
