"""Scaled dot-product attention with H heads (Vaswani et al. 2017, section 3.2), over sequences that lie end to end.

This is the only op that knows where one sequence ends and the next begins. Padding does not exist here, so none is
attended to.
"""
import math
from typing import NamedTuple

import numpy as np

from ..autograd import op
from .dropout import keep_mask


class Span(NamedTuple):
    """`count` sequences of equal length that lie end to end: which rows ask, and which rows answer."""
    queries: slice
    keys: slice
    count: int = 1
    at: np.ndarray | None = None        # places of the asking tokens in their sequence; None: every token asks


def causal(query_positions, key_positions):
    """The mask of a left-to-right model: a token sees itself and what stands before it."""
    return key_positions[None, :] <= query_positions[:, None]


def prefix(n):
    """The mask of a model that is given n tokens, to be read from both sides, and writes on from left to right.

    Source: Raffel et al. 2020, section 3.2.1.
    """
    def mask(query_positions, key_positions):
        return causal(query_positions, key_positions) | (key_positions < n)[None, :]
    return mask


def split_heads(rows, count, heads):
    """(count·T, H·K) -> a (count, H, T, K) view."""
    return rows.reshape(count, -1, heads, rows.shape[-1] // heads).transpose(0, 2, 1, 3)


def softmax(x):
    """exp(x) / Σ exp(x) over the last axis, in place; a row of nothing but -inf becomes zeros."""
    largest = x.max(-1, keepdims=True, initial=-np.inf)
    largest[np.isneginf(largest)] = 0
    x -= largest
    np.exp(x, out=x)
    total = x.sum(-1, keepdims=True)
    total[total == 0] = 1
    x /= total
    return x


@op
def attention(query, key, value, *, spans, heads, mask=None, rate=0.0, rng=None):
    """softmax(q kᵀ / √K) v, for every head of every sequence. query (Nq, D), key and value (N, D); gives (Nq, D).

    `spans` (see `Span`) says which rows of query meet which rows of key and value. `mask(query_positions,
    key_positions)`, such as `causal`, gives booleans (Tq, Tk): what is False is not seen at all, whatever its score.
    A token that sees nothing, or that no span holds, gets zeros. With a generator `rng`, a share `rate` of the
    probabilities is dropped.
    """
    scale = 1 / math.sqrt(query.shape[-1] // heads)
    out, saved = np.zeros_like(query), []
    for span in spans:
        q, k, v = (split_heads(x, span.count, heads) for x in (query[span.queries], key[span.keys], value[span.keys]))
        probs = (q * scale) @ k.swapaxes(-1, -2)                            # (count, H, Tq, Tk)
        if mask is not None:
            places = np.arange(k.shape[2])
            probs[..., ~mask(places if span.at is None else span.at, places)] = -np.inf
        softmax(probs)
        keep = keep_mask(probs.shape, rate, rng) if rng is not None and rate > 0 else None
        np.matmul(_dropped(probs, keep, rate), v, out=split_heads(out[span.queries], span.count, heads))
        saved.append((probs, keep))
    return out, (query, key, value, out, spans, heads, scale, rate, saved)


def _dropped(probs, keep, rate):
    """Computed anew in the backward pass: `keep` takes a quarter of the memory."""
    if keep is None:
        return probs
    dropped = probs * keep
    dropped *= 1 / (1 - rate)
    return dropped


@attention.vjp
def attention_backward(dy, saved):
    query, key, value, out, spans, heads, scale, rate, saved = saved
    dquery, dkey, dvalue = np.zeros_like(query), np.zeros_like(key), np.zeros_like(value)
    for span, (probs, keep) in zip(spans, saved, strict=True):
        dropped = _dropped(probs, keep, rate)

        def rows(x, which, span=span):
            return split_heads(x[which], span.count, heads)
        q, k, v = rows(query, span.queries), rows(key, span.keys), rows(value, span.keys)
        do, o = rows(dy, span.queries), rows(out, span.queries)
        # out = dropped v
        np.matmul(dropped.swapaxes(-1, -2), do, out=rows(dvalue, span.keys))
        dscores = do @ v.swapaxes(-1, -2)
        # dropped = keep · probs and probs = softmax(scores): dscores = probs · (dprobs - Σ probs · dprobs), and that
        # sum over the keys is the same number as Σ do · out over the width
        dscores *= dropped
        dscores -= probs * np.vecdot(do, o)[..., None]
        # scores = scale · q kᵀ
        dscores *= scale
        np.matmul(dscores, k, out=rows(dquery, span.queries))
        np.matmul(dscores.swapaxes(-1, -2), q, out=rows(dkey, span.keys))
    return dquery, dkey, dvalue
