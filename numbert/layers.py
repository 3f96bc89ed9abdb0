"""The layers that the models share.

A layer holds its parameters; `__call__` is its forward pass on rows (N, D). It has no backward pass of its own: the
gradient comes from the ops that it calls.
"""
from . import ops
from .module import Module, normal, ones, zeros


class Linear(Module):
    """x (N, D) -> x weightᵀ + bias (N, F)."""

    def __init__(self, size_in, size_out, *, rng, std, dtype):
        self.weight = normal(rng, (size_out, size_in), std, dtype)
        self.bias = zeros(size_out, dtype)

    def __call__(self, x):
        return ops.linear(x, self.weight, self.bias)                                # (N, F)


class Embedding(Module):
    """ids (N,) -> rows of a table (V, D)."""

    def __init__(self, entries, size, *, rng, std, dtype):
        self.weight = normal(rng, (entries, size), std, dtype)

    def __call__(self, ids):
        return ops.take(self.weight, ids=ids)                                       # (N, D)


class LayerNorm(Module):
    """x (N, D) -> rows of mean 0 and variance 1, times gain (D,), plus bias (D,)."""

    def __init__(self, size, *, eps, dtype):
        self.gain, self.bias, self.eps = ones(size, dtype), zeros(size, dtype), eps

    def __call__(self, x):
        return ops.layer_norm(x, self.gain, self.bias, eps=self.eps)                # (N, D)


class SelfAttention(Module):
    """Attention with H heads of width K = D / H: each token has a query, a key and a value in each of them."""

    def __init__(self, size, heads, *, dropout, rng, std, dtype):
        self.query, self.key, self.value, self.output = (
            Linear(size, size, rng=rng, std=std, dtype=dtype) for _ in range(4))
        self.heads, self.dropout = heads, dropout

    def __call__(self, x_query, x, buckets, *, mask=None, rng=None, cache=None):
        """`x_query` (Nq, D) are the rows of x (N, D) whose output is computed.

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
    """The same two-layer network for each token: D -> F, an activation function, F -> D."""

    def __init__(self, size, hidden, activation, *, rng, std, dtype):
        self.expand = Linear(size, hidden, rng=rng, std=std, dtype=dtype)
        self.contract = Linear(hidden, size, rng=rng, std=std, dtype=dtype)
        self.activation = activation

    def __call__(self, x):
        hidden = self.activation(self.expand(x))                                    # (N, F)
        return self.contract(hidden)                                                # (N, D)


class TransformerLayer(Module):
    """Attention, then the feed-forward network; after each, x + sublayer(x) is normalised (post-layer-norm)."""

    def __init__(self, size, heads, hidden, activation, *, eps, dropout, attention_dropout, rng, std, dtype):
        self.attention = SelfAttention(size, heads, dropout=attention_dropout, rng=rng, std=std, dtype=dtype)
        self.attention_norm = LayerNorm(size, eps=eps, dtype=dtype)
        self.feed_forward = FeedForward(size, hidden, activation, rng=rng, std=std, dtype=dtype)
        self.feed_forward_norm = LayerNorm(size, eps=eps, dtype=dtype)
        self.dropout = self.feed_forward_dropout = dropout

    def __call__(self, x, packed, *, rows=None, mask=None, rng=None):
        """x (N, D) -> (N, D), or with `rows` (Nq,) the output of these rows alone, (Nq, D): they attend to all N."""
        x_query = x if rows is None else ops.take(x, ids=rows)                      # (Nq, D)
        a = self.attention(x_query, x, packed.buckets(rows), mask=mask, rng=rng)    # (Nq, D)
        a = ops.dropout(a, rate=self.dropout, rng=rng)
        h = self.attention_norm(ops.add(x_query, a))                                 # (Nq, D)
        f = self.feed_forward(h)                                                    # (Nq, D)
        f = ops.dropout(f, rate=self.feed_forward_dropout, rng=rng)
        return self.feed_forward_norm(ops.add(h, f))                                # (Nq, D)
