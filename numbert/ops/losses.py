"""Losses: each is one number, summed over its rows and divided by `count`.

`count` is by default the number of rows that have a label. When a batch is computed in parts, every part is given the
count of the whole batch, and the parts' losses add up to the batch's.
"""
import contextlib
from contextvars import ContextVar

import numpy as np

from ..autograd import op
from ..machine import blocks

BLOCK = 1 << 17                     # logits: a few rows of a large vocabulary
IGNORE = -100                       # the label of a row that has none, as in PyTorch
_overwriting = ContextVar("overwriting_logits", default=False)


@contextlib.contextmanager
def overwriting_logits():
    """Within this block, the backward pass of a `cross_entropy` that owns its logits writes their gradient over them.

    For those who look at the logits before `gradients` or never: the scores of 30,000 words are what most of a small
    model's memory is for, and are then held once instead of twice.
    """
    token = _overwriting.set(True)
    try:
        yield
    finally:
        _overwriting.reset(token)


@op
def cross_entropy(logits, *, labels, count=None, weights=None, owned=False):
    """Σ -ln softmax(logits)[label] / count, for logits (N, C) and integer labels (N,); rows labelled -100 do not count.

    weights (C,): the term of a row is multiplied by weights[label], and the sum still divided by `count`.
    owned: these logits were made for this loss alone, and no other op uses them; see `overwriting_logits`.
    0 if no row has a label. Raises ValueError for a label outside 0..C-1, and for weights that are not (C,).
    """
    if labels.shape != logits.shape[:1]:
        raise ValueError(f"labels must be (N,) = {logits.shape[:1]}, got {labels.shape}")
    rows = np.flatnonzero(labels != IGNORE)
    labels, classes = labels[rows], logits.shape[-1]
    if len(rows) and not (0 <= labels.min() and labels.max() < classes):
        wrong = labels[(labels < 0) | (labels >= classes)][0]
        raise ValueError(f"labels must be 0..{classes - 1}, or {IGNORE} for none; got {wrong}")
    if weights is not None and np.shape(weights) != (classes,):
        raise ValueError(f"weights must be (C,) = {(classes,)}, got {np.shape(weights)}")
    count = float(max(1, len(rows) if count is None else count))    # a NumPy number would make float64 of float32
    weight = 1.0 if weights is None else np.asarray(weights, logits.dtype)[labels]
    x = logits if len(rows) == len(logits) else logits[rows]
    largest, total = np.empty((2, len(rows), 1), x.dtype)
    for s in blocks(x, BLOCK):
        x[s].max(-1, keepdims=True, out=largest[s])
        np.exp(x[s] - largest[s]).sum(-1, keepdims=True, out=total[s])
    chosen = x[np.arange(len(rows)), labels] - largest[:, 0]
    loss = (weight * (np.log(total[:, 0]) - chosen)).sum() / count
    overwrite = owned and _overwriting.get()
    return loss.astype(logits.dtype), (x, overwrite, largest, total, rows, labels, weight, count, logits.shape)


@cross_entropy.vjp
def cross_entropy_backward(dy, saved):
    x, overwrite, largest, total, rows, labels, weight, count, shape = saved
    dlogits = x if overwrite else np.empty_like(x)
    scale = (weight * (dy / count))[..., None]          # a number, or one for each row
    factor = scale / total
    for s in blocks(x, BLOCK):                             # softmax(x) · scale
        np.multiply(np.exp(x[s] - largest[s]), factor[s], out=dlogits[s])
    dlogits[np.arange(len(rows)), labels] -= scale[..., 0]
    if len(rows) == shape[0]:
        return (dlogits,)
    everywhere = np.zeros(shape, dlogits.dtype)
    everywhere[rows] = dlogits
    return (everywhere,)


@op
def mean_squared_error(x, *, labels, count=None):
    """Σ (x - labels)² / count over all elements; by default the mean.

    Raises ValueError for a label that is no number.
    """
    labels = _numbers(labels, x)
    count = float(max(1, x.size if count is None else count))
    difference = x - labels
    return np.asarray((difference * difference).sum() / count, x.dtype), (difference, count)


@mean_squared_error.vjp
def mean_squared_error_backward(dy, saved):
    difference, count = saved
    return (difference * (2 * dy / count),)


@op
def binary_cross_entropy(logits, *, labels, count=None):
    """Σ -(y ln σ(x) + (1 - y) ln(1 - σ(x))) / count over all elements, for logits x and labels y in [0, 1].

    Computed as max(x, 0) - x y + ln(1 + exp(-|x|)), which no x overflows. Raises ValueError for a label that is no
    number.
    """
    labels = _numbers(labels, logits)
    count = float(max(1, logits.size if count is None else count))
    loss = np.maximum(logits, 0) - logits * labels + np.log1p(np.exp(-np.abs(logits)))
    return np.asarray(loss.sum() / count, logits.dtype), (logits, labels, count)


@binary_cross_entropy.vjp
def binary_cross_entropy_backward(dy, saved):
    logits, labels, count = saved
    sigmoid = 0.5 * (1 + np.tanh(0.5 * logits))
    return ((sigmoid - labels) * (dy / count),)


def _numbers(labels, x):
    """`labels` in the dtype of x, checked: of its shape, none infinite or NaN."""
    if labels.shape != x.shape:
        raise ValueError(f"labels must have the shape {x.shape}, got {labels.shape}")
    with np.errstate(over="ignore"):
        numbers = labels.astype(x.dtype)
    if not (finite := np.isfinite(numbers)).all():
        place = tuple(np.argwhere(~finite)[0].tolist())
        raise ValueError(f"labels must be finite numbers ({x.dtype}), got {labels[place]} at {place}")
    return numbers
