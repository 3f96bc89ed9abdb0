"""Choosing rows and putting them back: embeddings, the tokens a head looks at, the way out of packed batches."""
import math

import numpy as np

from ..autograd import Rows, op


@op
def take(table, *, ids):
    """Rows of a table (V, ...), by integers `ids` (N,): an embedding, or a selection of tokens. Gives (N, ...).

    Raises ValueError for ids outside 0..V-1.
    """
    if len(ids) and not (0 <= ids.min() and ids.max() < len(table)):
        raise ValueError(f"ids must be 0..{len(table) - 1}, got {ids[(ids < 0) | (ids >= len(table))][0]}")
    return table[ids], (ids, table.shape)


@take.vjp
def take_backward(dy, saved):
    ids, shape = saved
    return (Rows(ids, dy, shape),)


@op
def pad(rows, *, at, shape, fill=0.0):
    """The inverse of packing: row n of `rows` (N, ...) goes to place `at[n]` of an array whose first axes are `shape`.

    With shape = (B, T) and `at` counting b·T + t, gives (B, T, ...). Places that no row goes to hold `fill`.
    """
    y = np.full((math.prod(shape), *rows.shape[1:]), fill, rows.dtype)
    y[at] = rows
    return y.reshape(*shape, *rows.shape[1:]), (at, len(shape))


@pad.vjp
def pad_backward(dy, saved):
    at, axes = saved
    return (dy.reshape(-1, *dy.shape[axes:])[at],)


@op
def column(x, *, index):
    """x[..., index]: one of the numbers that a head gives for each token."""
    return x[..., index].copy(), (x.shape, index)


@column.vjp
def column_backward(dy, saved):
    shape, index = saved
    dx = np.zeros(shape, dy.dtype)
    dx[..., index] = dy
    return (dx,)


@op
def reshape(x, *, shape):
    """The same numbers in another shape."""
    return x.reshape(shape), x.shape


@reshape.vjp
def reshape_backward(dy, saved):
    return (dy.reshape(saved),)
