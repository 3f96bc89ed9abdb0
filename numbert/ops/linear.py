"""Sums and products of matrices."""
from __future__ import annotations

import numpy as np

from ..autograd import Array, op
from ..machine import blas_thread_count, blocks
from .shapes import check_shapes

FEW = 128                           # rows up to which `_few_rows` is faster: 2 take a third of the time, 128 all but 4%
FEWEST, WIDE = 4, 128               # rows up to which, and width from which `_fewest_rows` is faster still
CACHED = 1 << 17                    # elements of a block of the weight that stays in the cache of one core
SHARED = 1 << 20                    # the same for several: enough for BLAS to share them out


@op
def add(x: Array, y: Array):
    """x + y, of any one shape. Raises ValueError for two shapes: nothing is broadcast."""
    if x.shape != y.shape:
        raise ValueError(f"add: x and y must have the same shape, got {x.shape} and {y.shape}")
    return x + y, ()                                            # 1


@add.vjp
def add_backward(dy, saved):
    return dy, dy.copy()                                        # 1


@op
def scale(x: Array, *, factor: float):
    """factor · x, for a number and x of any shape."""
    factor = float(factor)                                      # a NumPy float64 would turn float32 into float64
    return x * factor, (factor,)                                # 1


@scale.vjp
def scale_backward(dy, saved):
    factor, = saved
    return (dy * factor,)                                       # 1


@op
def linear(x: Array, weight: Array, bias: Array | None):
    """y = x weightᵀ + bias, for x (N, D), weight (F, D), bias (F,) or None; y is (N, F). Raises ValueError for others.

    The weight has PyTorch's layout. So the matrices of a checkpoint are used unchanged, and a table of word vectors
    (V, D) is also the matrix that scores every word: the tied decoder is this op too.
    """
    check_shapes("linear", x=(x, "N D"), weight=(weight, "F D"), **({} if bias is None else {"bias": (bias, "F")}))
    y = x @ weight.T if len(x) > FEW else _few_rows(x, weight)  # 1  (N, F)
    if bias is not None:
        y += bias                                               # 2  (N, F)
    return y, (x, weight, bias is not None)


def _few_rows(x, weight):
    """x weightᵀ as the transpose of weight xᵀ: OpenBLAS then reads the weight, most of the work, along its rows."""
    if len(x) <= FEWEST and x.shape[1] >= WIDE and weight.flags.c_contiguous:
        return _fewest_rows(x, weight)
    return (weight @ x.T).T.copy()


def _fewest_rows(x, weight):
    """x weightᵀ row by row: memory decides, and it is read only once, since a block of the weight stays in the cache
    until every row of x has met it. Several threads read it faster than one; alone, dot products are fastest."""
    y = np.empty((len(x), len(weight)), np.result_type(x, weight))
    if blas_thread_count() > 1:
        for block in blocks(weight, SHARED):
            for row, out in zip(x, y, strict=True):
                np.matmul(weight[block], row, out=out[block])
        return y
    for block in blocks(weight, CACHED):
        np.vecdot(weight[block], x[:, None], out=y[:, block])
    return y


@linear.vjp
def linear_backward(dy, saved):
    x, weight, biased = saved
    dbias = dy.sum(0) if biased else None                       # 2  (F,)    every row got the same bias
    dweight = dy.T @ x                                          # 1  (F, D)  y[n,f] = Σ_d x[n,d] weight[f,d]
    dx = dy @ weight                                            # 1  (N, D)
    return dx, dweight, dbias
