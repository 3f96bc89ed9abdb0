"""Sums and products of matrices."""
from ..autograd import op


@op
def add(x, y):
    """x + y, of the same shape."""
    return x + y, None


@add.vjp
def add_backward(dy, saved):
    return dy, dy.copy()


@op
def scale(x, *, factor):
    """factor · x, for a number."""
    return x * float(factor), (float(factor),)                      # a NumPy number would make float64 of float32


@scale.vjp
def scale_backward(dy, saved):
    factor, = saved
    return (dy * factor,)


@op
def linear(x, weight, bias):
    """y = x weightᵀ + bias, for x (N, D), weight (F, D), bias (F,) or None; y is (N, F).

    The weight lies as PyTorch lays it, so that a checkpoint's matrices are ours as they are, and so that a table of
    word vectors (V, D) is at the same time the matrix that scores every word: the tied decoder is this op too.
    """
    y = x @ weight.T
    if bias is not None:
        y += bias
    return y, (x, weight, bias is not None)


@linear.vjp
def linear_backward(dy, saved):
    x, weight, biased = saved
    return dy @ weight, dy.T @ x, dy.sum(0) if biased else None
