"""Selecting rows and putting them back: embeddings, the tokens that a head reads, unpacking of batches."""
from __future__ import annotations

import math

import numpy as np

from ..autograd import Array, op
from ..sparse import SparseRows
from .shapes import check_array, check_shapes


@op
def take(table: Array, *, ids: Array):
    """Rows of a table (V, ...), by integers `ids` (N,): an embedding, or a selection of tokens. Gives (N, ...).

    Raises ValueError for ids outside 0..V-1, and for what is not (N,) integers.
    """
    check_integers("take", "ids", ids, len(table))
    return table[ids], (ids, table.shape)                       # 1  (N, ...)


@take.vjp
def take_backward(dy, saved):
    ids, shape = saved
    return (SparseRows(ids, dy, shape),)                        # 1  a row that was taken twice gets the sum


@op
def unpack(rows: Array, *, padded_index: Array, shape: tuple[int, ...], fill: float = 0.0):
    """The inverse of packing: row n of `rows` (N, ...) goes to index `padded_index[n]` of an array.

    `shape` are the first axes of that array: with (B, T), and `padded_index` counting b·T + t, it is (B, T, ...).
    Elements that no row goes to hold `fill`. Raises ValueError unless each row has an index of its own.
    """
    places = math.prod(shape)
    check_integers("unpack", "padded_index", padded_index, places)
    check_shapes("unpack", rows=(rows, "N ..."), padded_index=(padded_index, "N"))
    taken = np.zeros(places, bool)
    taken[padded_index] = True
    if taken.sum() != len(padded_index):
        raise ValueError(f"unpack: each row needs a place of its own, got {taken.sum()} places for {len(rows)} rows")
    y = np.full((places, *rows.shape[1:]), fill, rows.dtype)
    y[padded_index] = rows                                      # 1
    return y.reshape(*shape, *rows.shape[1:]), (padded_index, len(shape))


@unpack.vjp
def unpack_backward(dy, saved):
    padded_index, axes = saved
    return (dy.reshape(-1, *dy.shape[axes:])[padded_index],)    # 1  (N, ...)


@op
def column(x: Array, *, index: int):
    """x[..., index] (N, ...) of x (N, ..., C): one of the numbers that a head gives for each token.

    Raises ValueError for an index not in 0..C-1.
    """
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
def reshape(x: Array, *, shape: tuple[int, ...]):
    """The same numbers, in the same order, in another shape. Raises ValueError if they do not fit in it."""
    return x.reshape(shape), (x.shape,)                         # 1


@reshape.vjp
def reshape_backward(dy, saved):
    shape, = saved
    return (dy.reshape(shape),)                                 # 1


def check_integers(op: str, name: str, ids: Array, limit: int) -> None:
    """Raise ValueError unless ids are (N,) integers in 0..limit-1, TypeError if they are no array."""
    check_array(name, ids)
    if np.ndim(ids) != 1 or ids.dtype.kind not in "iu":
        raise ValueError(f"{op}: {name} must be (N,) integers, got {ids.dtype} {np.shape(ids)}")
    if len(ids) and not (0 <= ids.min() and ids.max() < limit):
        raise ValueError(f"{op}: {name} must be 0..{limit - 1}, got {ids[(ids < 0) | (ids >= limit)][0]}")
