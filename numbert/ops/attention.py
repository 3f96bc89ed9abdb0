"""Scaled dot-product attention with H heads (Vaswani et al. 2017, section 3.2), over sequences that lie end to end.

This is the only op that knows where one sequence ends and the next begins. The rows hold no padding, so no token
attends to any.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from ..autograd import Array, op
from .activations import check_rate, keep_mask
from .shapes import check_shapes

# (query_positions (Tq,), key_positions (T,)) -> booleans (Tq, T), True where the query sees the key
Mask = Callable[[Array, Array], Array]


class Bucket(NamedTuple):
    """`count` sequences of equal length, end to end: the rows of their queries, and of their keys and values."""
    queries: slice
    keys: slice
    count: int = 1
    query_positions: np.ndarray | None = None       # (Tq,) positions in the sequence; None: all T


def causal(query_positions: Array, key_positions: Array) -> Array:
    """The mask of a left-to-right model, booleans (Tq, T): a token sees itself and what stands before it."""
    return key_positions[None, :] <= query_positions[:, None]


def prefix(n: int) -> Mask:
    """The `Mask` of a prefix language model: the first n tokens see each other, later ones what stands before them.

    Source: Raffel et al. 2020, section 3.2.1.
    """
    def mask(query_positions, key_positions):
        return causal(query_positions, key_positions) | (key_positions < n)[None, :]
    return mask


def split_heads(rows: Array, count: int, heads: int) -> Array:
    """(count·T, H·K) -> a (count, H, T, K) view."""
    return rows.reshape(count, -1, heads, rows.shape[-1] // heads).transpose(0, 2, 1, 3)


def softmax(x: Array) -> Array:
    """exp(x) / Σ exp(x) over the last axis, in place; a row with only -inf becomes zeros."""
    largest = x.max(-1, keepdims=True, initial=-np.inf)
    largest[np.isneginf(largest)] = 0
    x -= largest
    np.exp(x, out=x)
    total = x.sum(-1, keepdims=True)
    total[total == 0] = 1
    x /= total
    return x


def attention_probs(query: Array, key: Array, *, buckets: Sequence[Bucket], heads: int,
                    mask: Mask | None = None) -> list[Array]:
    """Attention probabilities softmax(q kᵀ / √K), (count, H, Tq, T) for each bucket, of arrays.

    Arguments as for `attention`.
    """
    return [_probs(query, key, bucket, heads, mask) for bucket in buckets]


def _probs(query, key, bucket, heads, mask):
    q, k = split_heads(query[bucket.queries], bucket.count, heads), split_heads(key[bucket.keys], bucket.count, heads)
    scores = (q * (1 / math.sqrt(q.shape[-1]))) @ k.swapaxes(-1, -2)                # 1     (count, H, Tq, T)
    if mask is not None:
        places = np.arange(k.shape[2])
        scores[..., ~mask(places if bucket.query_positions is None else bucket.query_positions, places)] = -np.inf
    return softmax(scores)                                                          # 2     (count, H, Tq, T)


@op
def attention(query: Array, key: Array, value: Array, *, buckets: Sequence[Bucket], heads: int,
              mask: Mask | None = None, rate: float = 0.0, rng: Generator | None = None):
    """softmax(q kᵀ / √K) v, for every head of every sequence. query (Nq, D), key and value (N, D); gives (Nq, D).

    `buckets` (see `Bucket`) says which rows of query meet which rows of key and value. `mask(query_positions,
    key_positions)`, such as `causal`, gives booleans (Tq, T): where False, the probability is 0.
    A query that sees no key, or that is in no bucket, gets zeros. With a generator `rng`, a share `rate` of the
    probabilities is dropped. Raises ValueError for other shapes, for a D that is no multiple of `heads`, and for a rate
    outside [0, 1).
    """
    check_shapes("attention", query=(query, "Nq D"), key=(key, "N D"), value=(value, "N D"))
    check_rate("attention", rate)
    if query.shape[1] % heads:
        raise ValueError(f"attention: D = {query.shape[1]} cannot be cut into {heads} heads of equal width")
    out, looks = np.zeros_like(query), []
    for bucket in buckets:
        probs = _probs(query, key, bucket, heads, mask)                             # 1, 2  (count, H, Tq, T)
        keep = keep_mask(probs.shape, rate, rng) if rng is not None and rate > 0 else None
        dropped = _dropped(probs, keep, rate)                                       # 3     (count, H, Tq, T)
        v = split_heads(value[bucket.keys], bucket.count, heads)                    #       (count, H, T, K)
        np.matmul(dropped, v, out=split_heads(out[bucket.queries], bucket.count, heads))  # 4     (count, H, Tq, K)
        looks.append((probs, keep))
    return out, (query, key, value, out, buckets, heads, rate, looks)


def _dropped(probs, keep, rate):
    """Probabilities after dropout. The backward pass computes them again: `keep` takes a quarter of the memory."""
    if keep is None:
        return probs
    dropped = probs * keep
    dropped *= 1 / (1 - rate)
    return dropped


# The softmax of one row of scores s, p = exp(s) / Σ exp(s), has the derivatives ∂pᵢ/∂sⱼ = pᵢ (δᵢⱼ - pⱼ), so
#   ds = p (dp - Σ p dp).
# With dropout dp = keep/(1 - rate) · ddropped, and p · dp = dropped · ddropped. The sum over the keys is
# Σⱼ droppedⱼ (do · vⱼ) = do · Σⱼ droppedⱼ vⱼ = do · out: a sum over the K numbers of a head, which is shorter.
@attention.vjp
def attention_backward(dy, saved):
    query, key, value, out, buckets, heads, rate, looks = saved
    dquery, dkey, dvalue = np.zeros_like(query), np.zeros_like(key), np.zeros_like(value)
    scale = 1 / math.sqrt(query.shape[-1] // heads)
    for bucket, (probs, keep) in zip(buckets, looks, strict=True):
        def of(x, rows, bucket=bucket):
            return split_heads(x[rows], bucket.count, heads)
        q, k, v = of(query, bucket.queries), of(key, bucket.keys), of(value, bucket.keys)
        do, o = of(dy, bucket.queries), of(out, bucket.queries)                     #       (count, H, Tq, K)
        dropped = _dropped(probs, keep, rate)
        np.matmul(dropped.swapaxes(-1, -2), do, out=of(dvalue, bucket.keys))        # 4     (count, H, T, K)
        ddropped = do @ v.swapaxes(-1, -2)                                          # 4     (count, H, Tq, T)
        dscores = ddropped
        dscores *= dropped                                                          # 3, 2
        dscores -= probs * np.vecdot(do, o)[..., None]                              # 2
        dscores *= scale                                                            # 1
        np.matmul(dscores, k, out=of(dquery, bucket.queries))                       # 1     (count, H, Tq, K)
        np.matmul(dscores.swapaxes(-1, -2), q, out=of(dkey, bucket.keys))           # 1     (count, H, T, K)
    return dquery, dkey, dvalue
