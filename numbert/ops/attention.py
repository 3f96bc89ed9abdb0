"""Scaled dot-product attention with H heads (Vaswani et al. 2017, section 3.2), over sequences that lie end to end.

This is the only op that knows where one sequence ends and the next begins. Padding does not exist here, so none is
attended to.
"""
import math
from typing import NamedTuple

import numpy as np

from ..autograd import op
from .dropout import check_rate, keep_mask
from .shapes import check_shapes


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


def attention_probs(query, key, *, spans, heads, mask=None):
    """Who looks at whom: softmax(q kᵀ / √K), an array (count, H, Tq, T) for each span. Arguments as for `attention`."""
    return [_probs(query, key, span, heads, mask) for span in spans]


def _probs(query, key, span, heads, mask):
    q, k = split_heads(query[span.queries], span.count, heads), split_heads(key[span.keys], span.count, heads)
    scores = (q * (1 / math.sqrt(q.shape[-1]))) @ k.swapaxes(-1, -2)                # 1  (count, H, Tq, T)
    if mask is not None:
        places = np.arange(k.shape[2])
        scores[..., ~mask(places if span.at is None else span.at, places)] = -np.inf
    return softmax(scores)                                                          # 2  (count, H, Tq, T)


@op
def attention(query, key, value, *, spans, heads, mask=None, rate=0.0, rng=None):
    """softmax(q kᵀ / √K) v, for every head of every sequence. query (Nq, D), key and value (N, D); gives (Nq, D).

    `spans` (see `Span`) says which rows of query meet which rows of key and value. `mask(query_positions,
    key_positions)`, such as `causal`, gives booleans (Tq, T): what is False is not seen at all, whatever its score.
    A token that sees nothing, or that no span holds, gets zeros. With a generator `rng`, a share `rate` of the
    probabilities is dropped. Raises ValueError for other shapes, for a D that is no multiple of `heads`, and for a rate
    outside [0, 1).
    """
    check_shapes("attention", query=(query, "Nq D"), key=(key, "N D"), value=(value, "N D"))
    check_rate("attention", rate)
    if query.shape[1] % heads:
        raise ValueError(f"attention: D = {query.shape[1]} cannot be cut into {heads} heads of equal width")
    out, looks = np.zeros_like(query), []
    for span in spans:
        probs = _probs(query, key, span, heads, mask)                               # 1, 2  (count, H, Tq, T)
        keep = keep_mask(probs.shape, rate, rng) if rng is not None and rate > 0 else None
        dropped = _dropped(probs, keep, rate)                                       # 3     (count, H, Tq, T)
        v = split_heads(value[span.keys], span.count, heads)                        #       (count, H, T, K)
        np.matmul(dropped, v, out=split_heads(out[span.queries], span.count, heads))        # 4  (count, H, Tq, K)
        looks.append((probs, keep))
    return out, (query, key, value, out, spans, heads, rate, looks)


def _dropped(probs, keep, rate):
    """Computed anew in the backward pass: `keep` takes a quarter of the memory."""
    if keep is None:
        return probs
    dropped = probs * keep
    dropped *= 1 / (1 - rate)
    return dropped


# The softmax of one row of scores s, p = exp(s) / Σ exp(s), has the slopes ∂pᵢ/∂sⱼ = pᵢ (δᵢⱼ - pⱼ), so
#   ds = p (dp - Σ p dp).
# With dropout dp = keep/(1 - rate) · ddropped, and p · dp = dropped · ddropped. The sum over the keys needs no pass of
# its own: Σⱼ droppedⱼ (do · vⱼ) = do · Σⱼ droppedⱼ vⱼ = do · out, a sum over the width instead.
@attention.vjp
def attention_backward(dy, saved):
    query, key, value, out, spans, heads, rate, looks = saved
    dquery, dkey, dvalue = np.zeros_like(query), np.zeros_like(key), np.zeros_like(value)
    scale = 1 / math.sqrt(query.shape[-1] // heads)
    for span, (probs, keep) in zip(spans, looks, strict=True):
        def of(x, rows, span=span):
            return split_heads(x[rows], span.count, heads)
        q, k, v = of(query, span.queries), of(key, span.keys), of(value, span.keys)
        do, o = of(dy, span.queries), of(out, span.queries)                         #    (count, H, Tq, K)
        dropped = _dropped(probs, keep, rate)
        np.matmul(dropped.swapaxes(-1, -2), do, out=of(dvalue, span.keys))          # 4  (count, H, T, K)
        ddropped = do @ v.swapaxes(-1, -2)                                          # 4  (count, H, Tq, T)
        dscores = ddropped
        dscores *= dropped                                                          # 3, 2
        dscores -= probs * np.vecdot(do, o)[..., None]                              # 2
        dscores *= scale                                                            # 1
        np.matmul(dscores, k, out=of(dquery, span.queries))                         # 1  (count, H, Tq, K)
        np.matmul(dscores.swapaxes(-1, -2), q, out=of(dkey, span.keys))             # 1  (count, H, T, K)
    return dquery, dkey, dvalue
