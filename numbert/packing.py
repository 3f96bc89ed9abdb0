"""Packed batches: the real tokens of all sequences as rows, one sequence after the other, without padding.

    input_ids (B, T) = (3, 4)      attention_mask          packed: N = 8 rows
        7 4 9 .                     1 1 1 0                7 4 9 | 5 2 | 8 8 1
        5 2 . .                     1 1 0 0                starts = 0, 3, 5, 8
        8 8 1 .                     1 1 1 0

Everything that works on one token at a time (linear, layer norm, GELU, loss) then takes a matrix (N, D), and nothing
is computed for padding. Only attention needs to know where the sequences begin.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .autograd import Array, Tensor
from .ops import IGNORE, Bucket, unpack

SCORES = 1 << 17                    # of one head in a bucket: with 32 tokens each 8% of a step, with 16 15%; more than
                                    # these would only take memory


@dataclass(frozen=True)
class Packed:
    """N tokens of B sequences; sequence b is rows starts[b]:starts[b + 1]."""
    ids: np.ndarray             # (N,)
    segments: np.ndarray        # (N,)
    positions: np.ndarray       # (N,) of the token in its text: its column of input_ids, or as the model counts
    starts: np.ndarray          # (B + 1,)
    padded_index: np.ndarray    # (N,) b·T + t of each row
    shape: tuple[int, int]      # (B, T)

    cache = None                # function that keeps keys and values during generation: models/generation.py

    def buckets(self, rows: Array | None = None) -> list[Bucket]:
        """The `Bucket`s of all sequences, for `ops.attention`. `rows`, ascending: the queries (default: all).

        Where all tokens are queries, neighbours of equal length share a bucket: one product of many small matrices.
        """
        if rows is None:
            return self._shared_buckets()
        keys = [slice(a, b) for a, b in zip(self.starts[:-1], self.starts[1:], strict=True)]
        cuts = np.searchsorted(rows, self.starts)
        queries = [slice(a, b) for a, b in zip(cuts[:-1], cuts[1:], strict=True)]
        return [Bucket(q, k, query_positions=rows[q] - k.start) for q, k in zip(queries, keys, strict=True)]

    def _shared_buckets(self):
        starts, lengths, buckets, b = self.starts.tolist(), np.diff(self.starts).tolist(), [], 0
        while b < len(lengths):
            n = 1
            while lengths[b + n:b + n + 1] == lengths[b:b + 1] and (n + 1) * lengths[b]**2 <= SCORES:
                n += 1
            rows = slice(starts[b], starts[b + n])
            buckets.append(Bucket(rows, rows, n))
            b += n
        return buckets

    def first_rows(self) -> Array:
        """The row of each sequence's first token, [CLS]: (B,). Raises ValueError if one stands on padding."""
        columns = np.arange(self.shape[1])[None]
        if (place := self.on_padding(columns == 0)) is not None:
            raise ValueError(f"the first token of every sequence is read, but attention_mask[{place[0]}, 0] is 0: "
                             "put the padding behind the text")
        return self.starts[:-1]

    def on_padding(self, wanted: Array) -> tuple[int, int] | None:
        """(b, t) of the first True in `wanted` (B, T) that is padding; None if there is none."""
        padding = np.ones(self.shape[0] * self.shape[1], bool)
        padding[self.padded_index] = False
        places = np.argwhere(padding.reshape(self.shape) & wanted)
        return tuple(places[0].tolist()) if len(places) else None

    def unpack(self, rows: Tensor | Array, fill: float = 0.0) -> Tensor | Array:
        """(N, ...) -> (B, T, ...), with `fill` on padding."""
        return unpack(rows, padded_index=self.padded_index, shape=self.shape, fill=fill)

    def labels(self, name: str, labels: ArrayLike) -> Array:
        """Labels (B, T) -> (N,). Raises ValueError for a wrong shape, and for a label on padding."""
        labels = integers(name, labels, self.shape)
        if (place := self.on_padding(labels >= 0)) is not None:
            raise ValueError(f"{name}[{place[0]}, {place[1]}] = {labels[place]} stands on padding (attention_mask is 0 "
                             "there); use -100 for no label")
        return labels.reshape(-1)[self.padded_index]

    def sequence_labels(self, name: str, labels: ArrayLike) -> Array:
        """Labels (B,), checked."""
        return integers(name, labels, self.shape[:1])

    def columns(self, name: str, columns: ArrayLike) -> Array:
        """Columns of input_ids (B,), or -100 for none, checked. Raises ValueError for a column that is padding."""
        columns = integers(name, columns, self.shape[:1])
        outside = (columns != IGNORE) & ((columns < 0) | (columns >= self.shape[1]))
        place = self.on_padding(np.arange(self.shape[1]) == columns[:, None])
        if outside.any() or place is not None:
            b = int(outside.argmax()) if place is None else place[0]
            raise ValueError(f"{name}[{b}] = {columns[b]} is not a place in its text of "
                             f"{np.diff(self.starts)[b]} tokens")
        return columns


def integers(name: str, array: ArrayLike, shape: tuple[int, ...] | None = None) -> Array:
    """`array` as integers of `shape`, or a ValueError or TypeError that names it."""
    array = np.asarray(array)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, got {array.dtype}")
    if shape is not None and array.shape != shape:
        axes = "(" + ", ".join("BT"[:len(shape)]) + ("," if len(shape) == 1 else "") + ")"
        raise ValueError(f"{name} must be {axes} = {shape}, got {array.shape}")
    return array


def pack(input_ids: ArrayLike, token_type_ids: ArrayLike | None = None, attention_mask: ArrayLike | None = None, *,
         vocab_size: int, type_vocab_size: int) -> Packed:
    """(B, T) integers and a mask of 0 and 1, to `Packed`.

    token_type_ids default to 0, the mask to 1. Raises ValueError or TypeError for a wrong shape or kind, and for values
    outside the tables of embeddings; values on padding are not checked.
    """
    input_ids = integers("input_ids", input_ids)
    if input_ids.ndim != 2:
        raise ValueError(f"input_ids must be (B, T), got {input_ids.shape}; for one sequence use input_ids[None]")
    shape = input_ids.shape
    if attention_mask is None:
        real = np.ones(shape, bool)
    else:
        attention_mask = np.asarray(attention_mask)
        if attention_mask.shape != shape:
            raise ValueError(f"attention_mask must be (B, T) = {shape}, got {attention_mask.shape}")
        real = attention_mask == 1
        if not (real | (attention_mask == 0)).all():
            raise ValueError("attention_mask must hold 0 (padding) and 1 (text) only, got "
                             f"{attention_mask[~real & (attention_mask != 0)][0]}")
    at = np.flatnonzero(real)
    ids = input_ids.reshape(-1)[at]
    segments = (np.zeros(len(at), np.int64) if token_type_ids is None
                else integers("token_type_ids", token_type_ids, shape).reshape(-1)[at])
    for name, values, limit, setting in (("input_ids", ids, vocab_size, "vocab_size"),
                                         ("token_type_ids", segments, type_vocab_size, "type_vocab_size")):
        if len(values) and not (0 <= values.min() and values.max() < limit):
            n = int(np.flatnonzero((values < 0) | (values >= limit))[0])
            b, t = divmod(int(at[n]), shape[1])
            raise ValueError(f"{name}[{b}, {t}] = {values[n]} is outside 0..{limit - 1} ({setting} = {limit}): "
                             "do the tokenizer and the model belong together?")
    starts = np.concatenate(([0], np.cumsum(real.sum(1))))
    return Packed(ids, segments, at % shape[1] if shape[1] else at, starts, at, shape)
