"""Exercise: softmax with cross-entropy, forward and backward.

    pytest examples/exercises -k cross_entropy

Task. Write the loss of classification, and its gradient. The loss is the mean of -ln softmax(logits)[label] over the
rows that have a label; a row labelled -100 has none and does not count, neither in the sum nor in the number by which
it is divided. Logits of 1000 must not overflow. For the gradient write ln softmax as a difference first; the derivative
with respect to a row is then short.

Before you start: the card "Cross-entropy"; the chain rule; a softmax does not change if all its inputs are shifted.
Time: 45 minutes.
Solution: numbert/ops/losses.py, cross_entropy; there `python -m numbert.gradcheck cross_entropy` checks it.
"""


def cross_entropy(logits, labels):
    """The mean loss, a number. logits (N, C) float64; labels (N,) integers, 0..C-1 or -100; at least one has a label.

    One instance: the odds 1 : 3 of the first row give its label 1 the probability 3/4, and the second row none.

    >>> logits, labels = np.log([[1.0, 3.0], [5.0, 1.0]]), np.array([1, -100])
    >>> round(float(cross_entropy(logits, labels)), 4)              # -ln 0.75
    0.2877
    """
    raise NotImplementedError


def cross_entropy_backward(dy, logits, labels):
    """The gradient of `logits` (N, C), where dy, a number, is the gradient of the loss.

    >>> logits, labels = np.log([[1.0, 3.0], [5.0, 1.0]]), np.array([1, -100])
    >>> cross_entropy_backward(2.0, logits, labels).round(4).tolist()
    [[0.5, -0.5], [0.0, 0.0]]
    """
    raise NotImplementedError
