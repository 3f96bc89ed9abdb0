"""Gradients that are zero outside some rows: a batch looks up a few hundred of 30,522 words."""
from __future__ import annotations

import numpy as np

Array = np.ndarray


class SparseRows:
    """The gradient of a table: `values` (n, ...) are for its rows `ids` (n,), all other rows are zero.

    A row may be listed more than once; its values then add up.
    """
    __slots__ = ("ids", "values", "shape")

    def __init__(self, ids: Array, values: Array, shape: tuple[int, ...]):
        self.ids, self.values, self.shape = ids, values, shape

    def merged(self) -> SparseRows:
        """The same gradient, but each row is listed once, in ascending order."""
        if not len(self.ids):
            return self
        order = np.argsort(self.ids, kind="stable")
        ids = self.ids[order]
        first = np.flatnonzero(np.concatenate(([True], ids[1:] != ids[:-1])))       # of each run of equal ids
        return SparseRows(ids[first], np.add.reduceat(self.values[order], first, axis=0), self.shape)

    def add_to(self, table: Array) -> Array:
        """table += this gradient; returns the table."""
        once = self.merged()                    # table[self.ids] += self.values would keep one of several values
        table[once.ids] += once.values
        return table

    def dense(self) -> Array:
        """The same gradient as an array."""
        return self.add_to(np.zeros(self.shape, self.values.dtype))


def dense(gradient: Array | SparseRows | None) -> Array | None:
    """An array or `SparseRows` as an array (None stays None)."""
    return gradient.dense() if isinstance(gradient, SparseRows) else gradient


def accumulate(total: Array | SparseRows | None, gradient: Array | SparseRows) -> Array | SparseRows:
    """total + gradient, in total's memory if that is an array; either may be `SparseRows`, and total may be None.

    The sum of two `SparseRows` lists the rows of both, unless these are as many as the table has: then it is an array.
    Either way the values of one are added up before those of the other come to them, so the sum is the same bits.
    """
    if total is None:
        return gradient
    if isinstance(total, SparseRows):
        if isinstance(gradient, SparseRows) and len(total.ids) + len(gradient.ids) < total.shape[0]:
            a, b = total.merged(), gradient.merged()
            return SparseRows(np.concatenate((a.ids, b.ids)), np.concatenate((a.values, b.values)), total.shape)
        total, gradient = (total.dense(), gradient) if isinstance(gradient, SparseRows) else (gradient, total)
    if isinstance(gradient, SparseRows):
        return gradient.add_to(total)
    total += gradient
    return total
