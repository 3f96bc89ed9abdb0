"""The last matrix product and its loss as one op, so that the scores of all V words are never held at once.

    linear_cross_entropy(x, weight, bias, labels=labels)[0] == cross_entropy(linear(x, weight, bias), labels=labels)

For a small model the scores (M, V) are the largest array of all. Here they are computed for one block of rows at a
time, and then dropped. That works because the loss is one number, and so its upstream gradient is one factor. The
gradient of a block is computed during the forward pass, from the same exponentials, and multiplied by the factor later.
"""
import numpy as np

from ..autograd import op
from ..machine import blocks
from ..recording import recording
from .losses import check_floating, label_count, labelled_rows
from .shapes import check_shapes

BLOCK = 1 << 22                     # scores held at a time, 137 rows of 30,522 words: half as many take a sixth longer
CACHE = 1 << 17                     # scores that stay in the cache while several lines work on them


@op
def linear_cross_entropy(x, weight, bias, *, labels, block=BLOCK):
    """Cross-entropy of x weightᵀ + bias, for x (N, D), weight (V, D), bias (V,) or None and integer labels (N,).

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
    if recording():
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
