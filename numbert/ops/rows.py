"""Choosing rows and putting them back: embeddings, the tokens a head looks at, the way out of packed batches."""
import math

import numpy as np

from ..autograd import op
from ..sparse import SparseRows
from .shapes import check_shapes


@op
def take(table, *, ids):
    """Rows of a table (V, ...), by integers `ids` (N,): an embedding, or a selection of tokens. Gives (N, ...).

    Raises ValueError for ids outside 0..V-1, and for what is not (N,) integers.
    """
    check_integers("take", "ids", ids, len(table))
    return table[ids], (ids, table.shape)                       # 1  (N, ...)


@take.vjp
def take_backward(dy, saved):
    ids, shape = saved
    return (SparseRows(ids, dy, shape),)                        # 1  a row that was taken twice gets both gradients


@op
def pad(rows, *, at, shape, fill=0.0):
    """The inverse of packing: row n of `rows` (N, ...) goes to place `at[n]` of an array whose first axes are `shape`.

    With shape = (B, T) and `at` counting b·T + t, gives (B, T, ...). Places that no row goes to hold `fill`. Raises
    ValueError unless each row has a place of its own in that array.
    """
    places = math.prod(shape)
    check_integers("pad", "at", at, places)
    check_shapes("pad", rows=(rows, "N ..."), at=(at, "N"))
    taken = np.zeros(places, bool)
    taken[at] = True
    if taken.sum() != len(at):
        raise ValueError(f"pad: each row needs a place of its own, got {len(at)} rows and {taken.sum()} places")
    y = np.full((places, *rows.shape[1:]), fill, rows.dtype)
    y[at] = rows                                                # 1
    return y.reshape(*shape, *rows.shape[1:]), (at, len(shape))


@pad.vjp
def pad_backward(dy, saved):
    at, axes = saved
    return (dy.reshape(-1, *dy.shape[axes:])[at],)              # 1  (N, ...)


@op
def column(x, *, index):
    """x[..., index]: one of the numbers that a head gives for each token. Raises ValueError for an index not in x."""
    if not 0 <= index < np.shape(x)[-1]:
        raise ValueError(f"column: index must be 0..{np.shape(x)[-1] - 1}, got {index}")
    return x[..., index].copy(), (x.shape, index)               # 1


@column.vjp
def column_backward(dy, saved):
    shape, index = saved
    dx = np.zeros(shape, dy.dtype)
    dx[..., index] = dy                                         # 1
    return (dx,)


@op
def reshape(x, *, shape):
    """The same numbers in another shape."""
    return x.reshape(shape), (x.shape,)                         # 1


@reshape.vjp
def reshape_backward(dy, saved):
    shape, = saved
    return (dy.reshape(shape),)                                 # 1


def check_integers(op, name, ids, limit):
    """Raise ValueError unless ids are (N,) integers in 0..limit-1."""
    if np.ndim(ids) != 1 or ids.dtype.kind not in "iu":
        raise ValueError(f"{op}: {name} must be (N,) integers, got {ids.dtype} {np.shape(ids)}")
    if len(ids) and not (0 <= ids.min() and ids.max() < limit):
        raise ValueError(f"{op}: {name} must be 0..{limit - 1}, got {ids[(ids < 0) | (ids >= limit)][0]}")
