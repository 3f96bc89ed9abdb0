"""Text generation: predict the next token, choose one, append it, and repeat.

A token attends to the keys and values of the tokens before it. Under a causal mask these do not depend on later tokens,
so they are stored (the "key/value cache"). Each new token is computed alone, and generating a text of T tokens computes
T rows in the layers instead of T²/2.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from ..autograd import Array
from ..layers import SelfAttention
from ..ops import Bucket
from ..packing import Packed
from ..recording import no_grad
from .pretrained import PretrainedModel


@dataclass(frozen=True)
class Continuation(Packed):
    """The next tokens of some of B texts. `padded_index` counts b·T + t, where T tokens of each text fit in `store`."""
    store: dict                             # {SelfAttention: (keys, values)} of all texts so far, (B·T, D) each

    def cache(self, attention: SelfAttention, key: Array, value: Array) -> tuple[Array, Array]:
        """Store the new keys and values (N, D); returns all, (B·T, D) each."""
        keys, values = self.store[attention]
        keys[self.padded_index], values[self.padded_index] = key, value
        return keys, values

    def buckets(self, rows: Array | None = None) -> list[Bucket]:
        """As `Packed.buckets`; the keys and values are rows of the store."""
        rows = np.arange(len(self.padded_index)) if rows is None else rows
        found = []
        for start, end in zip(self.starts[:-1], self.starts[1:], strict=True):
            first = self.padded_index[start] - self.positions[start]
            queries = slice(*np.searchsorted(rows, [start, end]))
            found.append(Bucket(queries, slice(first, self.padded_index[end - 1] + 1),
                                query_positions=self.positions[rows[queries]]))
        return found


class CachedDecoder:
    """Reads B texts step by step, up to `room` tokens each, and gives the logits of the next token."""

    def __init__(self, model: PretrainedModel, B: int, room: int):
        self.model, self.room, self.lengths = model, room, np.zeros(B, int)
        word = model.body.embeddings.word.weight
        self.store = {layer.attention: tuple(np.empty((B * room, word.shape[1]), word.dtype) for _ in range(2))
                      for layer in model.body.layers}

    def __call__(self, tokens: dict[int, Sequence[int]]) -> Array:
        """tokens: {b: next ids of text b, at least one}. Gives the logits (len(tokens), V) after the last of each."""
        ids = np.concatenate([np.asarray(new) for new in tokens.values()])
        positions = np.concatenate([self.lengths[b] + np.arange(len(new)) for b, new in tokens.items()])
        if positions.max() >= self.room:
            raise ValueError(f"there is room for {self.room} tokens in a text, got {positions.max() + 1}")
        starts = np.concatenate([[0], np.cumsum([len(new) for new in tokens.values()])])
        at = positions + self.room * np.repeat(list(tokens), np.diff(starts))
        step = Continuation(ids, np.zeros_like(ids), positions, starts, at, (len(self.lengths), self.room), self.store)
        with no_grad():
            logits = self.model.score(self.model.body.encode(step, rows=starts[1:] - 1)).data
        for b, new in tokens.items():
            self.lengths[b] += len(new)
        return logits


def choose(logits: Array, rng: Generator | None, *, temperature: float = 1.0, top_k: int | None = None,
           top_p: float | None = None) -> Array:
    """A token for each row of logits (B, V), drawn from softmax(logits / temperature); without `rng` the most probable.

    top_k: only the k most probable. top_p: after that, only the fewest most probable tokens whose probabilities add up
    to at least p (Holtzman et al. 2020, section 3.1). Among equals the lower id comes first.
    """
    if rng is None:
        return logits.argmax(-1)
    order = _ranking(logits, top_k)
    ranked = np.take_along_axis(logits, order, -1).astype(np.float64)
    probs = np.exp((ranked - ranked[:, :1]) / temperature)              # not yet divided by their sum
    reached = np.cumsum(probs, axis=-1)
    if top_p is not None:
        probs[:, 1:][reached[:, :-1] >= top_p * reached[:, -1:]] = 0
        reached = np.cumsum(probs, axis=-1)
    drawn = rng.random((len(logits), 1)) * reached[:, -1:]
    return np.take_along_axis(order, (reached[:, :-1] <= drawn).sum(-1, keepdims=True), -1)[:, 0]


def _ranking(logits, k):
    """The ids of the k largest (None: of all) in each row of logits (B, V), from the largest down: (B, k)."""
    costs = -logits
    if k is None or k >= costs.shape[1]:
        return np.argsort(costs, axis=-1, kind="stable")
    bounds = np.partition(costs, k - 1)[:, k - 1]                       # (B,) what costs more need not be sorted
    found = [np.flatnonzero(~(row > bound)) for row, bound in zip(costs, bounds, strict=True)]      # NaN costs most
    return np.stack([ids[np.argsort(row[ids], kind="stable")[:k]] for row, ids in zip(costs, found, strict=True)])


def generate(model: PretrainedModel, input_ids: ArrayLike, max_new_tokens: int, *,
             attention_mask: ArrayLike | None = None, rng: Generator | None = None, temperature: float = 1.0,
             top_k: int | None = None, top_p: float | None = None,
             eos_token_id: int | Sequence[int] | None = None) -> Array:
    """Generate up to `max_new_tokens` after each text of input_ids (B, T); attention_mask (B, T) says what is text.

    Without a generator `rng` always the best token ("greedy"); with one they are drawn: see `choose` for
    temperature > 0, top_k >= 1 and 0 < top_p <= 1. A text is finished after a token eos_token_id, an id or a list of
    them; None: the configuration's, if it has one; an empty list: none is the end.
    Gives ids (B, up to T + max_new_tokens): the texts, each followed by the new tokens, padding behind them
    (pad_token_id of the configuration, or the first eos_token_id, or 0). Raises ValueError for a text that is empty or
    already has as many tokens as the model takes.
    """
    for name, value, good in (("temperature", temperature, temperature > 0),
                              ("top_k", top_k, top_k is None or top_k >= 1),
                              ("top_p", top_p, top_p is None or 0 < top_p <= 1),
                              ("max_new_tokens", max_new_tokens, max_new_tokens >= 0)):
        if not good:
            raise ValueError(f"{name} cannot be {value}")
    if rng is None and (temperature != 1 or top_k is not None or top_p is not None):
        raise ValueError("temperature, top_k and top_p are for drawing tokens: pass rng=np.random.default_rng(0)")
    c = model.config
    ends = c.eos_token_id if eos_token_id is None else eos_token_id
    ends = [] if ends is None else [int(end) for end in np.ravel(ends)]
    packed = model.body.pack(input_ids, None, attention_mask)
    lengths = np.diff(packed.starts)
    if not lengths.all():
        raise ValueError(f"text {int(np.flatnonzero(lengths == 0)[0])} is empty: there is nothing to go on from")
    room = int(lengths.max(initial=0)) + max_new_tokens
    if room > c.max_tokens:
        raise ValueError(f"{room - max_new_tokens} tokens and max_new_tokens = {max_new_tokens} are more than the "
                         f"{c.max_tokens} positions of the model")

    fill = next((i for i in (c.pad_token_id, *ends) if i is not None), 0)
    texts = np.full((len(lengths), room), fill)
    unread = dict(enumerate(np.split(packed.ids, packed.starts[1:-1]))) if len(lengths) else {}
    for b, ids in unread.items():
        texts[b, :len(ids)] = ids
    read = CachedDecoder(model, len(lengths), room)
    for _ in range(max_new_tokens):
        if not unread:
            break
        chosen = choose(read(unread), rng, temperature=temperature, top_k=top_k, top_p=top_p)
        for b, token in zip(unread, chosen, strict=True):
            texts[b, lengths[b]] = token
            lengths[b] += 1
        unread = {b: [token] for b, token in zip(unread, chosen, strict=True) if token not in ends}
    return texts[:, :lengths.max(initial=0)]
