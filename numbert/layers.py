"""The layers that the models share.

A layer holds its parameters; a call is its forward pass on rows (N, D), a tensor or array of its dtype, and gives a
tensor. It has no backward pass of its own: the gradient comes from the ops that it calls, which say what shapes they
refuse (ValueError).

Every layer is made with `dtype`, float32 or float64, and one with matrices with `rng` and `std`: their entries are
drawn from N(0, std²). Biases begin with 0, gains with 1. In a call, `rng` turns dropout on.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence

from numpy.random import Generator
from numpy.typing import DTypeLike

from . import ops
from .autograd import Array, Tensor
from .module import Module, normal, ones, zeros
from .ops import Bucket, Mask
from .packing import Packed


class Linear(Module):
    """x (N, D) -> x weightᵀ + bias (N, F), for D = size_in, F = size_out: weight (F, D), bias (F,)."""

    def __init__(self, size_in: int, size_out: int, *, rng: Generator, std: float, dtype: DTypeLike):
        self.weight = normal(rng, (size_out, size_in), std, dtype)
        self.bias = zeros(size_out, dtype)

    def __call__(self, x: Tensor | Array) -> Tensor:
        """x (N, D) -> (N, F)."""
        return ops.linear(x, self.weight, self.bias)                                # (N, F)


class Embedding(Module):
    """Integers ids (N,) -> rows (N, D) of a table weight (V, D), for V = entries, D = size."""

    def __init__(self, entries: int, size: int, *, rng: Generator, std: float, dtype: DTypeLike):
        self.weight = normal(rng, (entries, size), std, dtype)

    def __call__(self, ids: Array) -> Tensor:
        """ids (N,) -> (N, D). Raises ValueError for ids outside 0..V-1."""
        return ops.take(self.weight, ids=ids)                                       # (N, D)


class LayerNorm(Module):
    """x (N, D) -> rows of mean 0 and variance 1, times gain (D,), plus bias (D,), for D = size. eps: see
    `ops.layer_norm`."""

    def __init__(self, size: int, *, eps: float, dtype: DTypeLike):
        self.gain, self.bias, self.eps = ones(size, dtype), zeros(size, dtype), eps

    def __call__(self, x: Tensor | Array) -> Tensor:
        """x (N, D) -> (N, D)."""
        return ops.layer_norm(x, self.gain, self.bias, eps=self.eps)                # (N, D)


class SelfAttention(Module):
    """Attention with H heads of width K = D / H: each token has a query, a key and a value in each of them.

    size: D, a multiple of heads, H. dropout: the rate for the attention probabilities.
    """

    def __init__(self, size: int, heads: int, *, dropout: float, rng: Generator, std: float, dtype: DTypeLike):
        self.query, self.key, self.value, self.output = (
            Linear(size, size, rng=rng, std=std, dtype=dtype) for _ in range(4))
        self.heads, self.dropout = heads, dropout

    def __call__(self, x_query: Tensor | Array, x: Tensor | Array, buckets: Sequence[Bucket], *,
                 mask: Mask | None = None, rng: Generator | None = None, cache: Callable | None = None) -> Tensor:
        """`x_query` (Nq, D) are the rows of x (N, D) whose output (Nq, D) is computed; both are x where all are.

        `buckets` says where sequences begin and end (`Packed.buckets`), `mask` what a token may see (`ops.attention`).

        `cache(self, key, value)`, if given, returns the keys and values of the earlier tokens and these, for `buckets`.
        """
        key, value = self.key(x), self.value(x)                                     # (N, D) each
        if cache is not None:
            key, value = cache(self, key, value)
        query = self.query(x_query)                                                 # (Nq, D)
        mixed = ops.attention(query, key, value, buckets=buckets, heads=self.heads, mask=mask, rate=self.dropout,
                              rng=rng)                                              # (Nq, D)
        return self.output(mixed)                                                   # (Nq, D)


class FeedForward(Module):
    """The same two-layer network for each token: x (N, D) -> (N, F), an activation function, -> (N, D).

    size: D; hidden: F; activation: an op of one input, such as `ops.gelu`.
    """

    def __init__(self, size: int, hidden: int, activation: Callable, *, rng: Generator, std: float, dtype: DTypeLike):
        self.expand = Linear(size, hidden, rng=rng, std=std, dtype=dtype)
        self.contract = Linear(hidden, size, rng=rng, std=std, dtype=dtype)
        self.activation = activation

    def __call__(self, x: Tensor | Array) -> Tensor:
        """x (N, D) -> (N, D)."""
        hidden = self.activation(self.expand(x))                                    # (N, F)
        return self.contract(hidden)                                                # (N, D)


class TransformerLayer(Module):
    """Attention, then the feed-forward network; after each, x + sublayer(x) is normalised (post-layer-norm).

    size: D; heads: H; hidden: F; activation: see `FeedForward`. dropout: the rate after attention and after the
    feed-forward network; attention_dropout: that for the attention probabilities.
    """

    def __init__(self, size: int, heads: int, hidden: int, activation: Callable, *, eps: float, dropout: float,
                 attention_dropout: float, rng: Generator, std: float, dtype: DTypeLike):
        self.attention = SelfAttention(size, heads, dropout=attention_dropout, rng=rng, std=std, dtype=dtype)
        self.attention_norm = LayerNorm(size, eps=eps, dtype=dtype)
        self.feed_forward = FeedForward(size, hidden, activation, rng=rng, std=std, dtype=dtype)
        self.feed_forward_norm = LayerNorm(size, eps=eps, dtype=dtype)
        self.dropout = self.feed_forward_dropout = dropout

    def __call__(self, x: Tensor | Array, packed: Packed, *, rows: Array | None = None, mask: Mask | None = None,
                 rng: Generator | None = None) -> Tensor:
        """x (N, D) -> (N, D), or with `rows` (Nq,) the output of these rows alone, (Nq, D): they attend to all N.

        `packed`, of `packing.pack`, knows where the sequences begin; `rows` are ascending; `mask`: see `ops.attention`.
        """
        x_query = x if rows is None else ops.take(x, ids=rows)                      # (Nq, D)
        a = self.attention(x_query, x, packed.buckets(rows), mask=mask, rng=rng)    # (Nq, D)
        a = ops.dropout(a, rate=self.dropout, rng=rng)
        h = self.attention_norm(ops.add(x_query, a))                                 # (Nq, D)
        f = self.feed_forward(h)                                                    # (Nq, D)
        f = ops.dropout(f, rate=self.feed_forward_dropout, rng=rng)
        return self.feed_forward_norm(ops.add(h, f))                                # (Nq, D)
