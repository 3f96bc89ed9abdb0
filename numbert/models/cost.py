"""How many floating-point operations a model takes, computed from its configuration and the lengths of the texts.

Only products of matrices count, since they are nearly all there is. Multiplying (n, m) by (m, k) takes 2nmk operations:
n·k sums of m products. So a linear layer D -> F takes 2·N·D·F for N rows, and attention, whose two products are
(T, K)(K, T) and (T, T)(T, K) in each of H heads, 4·D·T² for a sequence of T tokens. So all cost is
linear in the number of tokens, except attention, which is quadratic in the length of a sequence. It exceeds that of the
linear layers of a Transformer layer, 24·T·D² where F = 4 D, at T = 6 D.

Every function gives a `Counter` of operations by part for one forward pass, to be added up with +. The parts are
"linear" (all in the layers, poolers and transforms), "attention", and "decoder" (the scores of all V words).

ALBERT saves parameters, not operations: a layer that is used L times is computed L times. Its word vectors have width
E, so there is one more projection, E -> D, and scoring words takes E/D of the work. GPT's causal mask saves nothing
either: the scores that it masks are computed and discarded.
"""
from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import ArrayLike

from .albert import AlbertConfig
from .config import ModelConfig

TRAINING = 3        # times the forward pass: each product has two derivatives, each again a product of that size


def encoder(config: ModelConfig, lengths: ArrayLike, asked: ArrayLike | None = None) -> Counter[str]:
    """The layers, for sequences of `lengths` (B,) tokens. `asked` (B,): for how many tokens of each the last layer's
    output is computed; all by default."""
    D, F, L = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    keys = np.asarray(lengths)
    total = Counter()
    if isinstance(config, AlbertConfig):
        L *= config.inner_group_num
        total["linear"] += int(2 * config.embedding_size * D * keys.sum())
    for layer in range(L):
        queries = keys if asked is None or layer < L - 1 else np.asarray(asked)
        total["linear"] += int(2 * (2 * D * D) * keys.sum()                         # key, value
                               + (2 * (2 * D * D) + 2 * (2 * D * F)) * queries.sum())   # query, output, feed-forward
        total["attention"] += int(4 * D * (queries * keys).sum())
    return total


def masked_lm_head(config: ModelConfig, rows: int) -> Counter[str]:
    """The transform D -> E (E = D but in ALBERT) and the scores of all words, for so many rows."""
    D, E = config.hidden_size, config.embedding_size
    return Counter(linear=2 * rows * D * E, decoder=2 * rows * E * config.vocab_size)


def causal_lm_head(config: ModelConfig, rows: int) -> Counter[str]:
    """The scores of all words for the next one, for so many rows."""
    return Counter(decoder=2 * rows * config.hidden_size * config.vocab_size)


def classifier(config: ModelConfig, rows: int, classes: int, pooled: bool = False) -> Counter[str]:
    """D -> classes for so many rows, after the pooler if `pooled`."""
    D = config.hidden_size
    return Counter(linear=2 * rows * D * (classes + D * pooled))


def pretraining(config: ModelConfig, lengths: ArrayLike, masked: ArrayLike) -> Counter[str]:
    """BertForPreTraining or AlbertForPreTraining with labels, as this package computes them: of the last layer only the
    masked tokens, `masked` (B,) in each sequence, and the first ones (which are not masked), and word scores for the
    masked ones."""
    masked = np.asarray(masked)
    return (encoder(config, lengths, masked + 1) + masked_lm_head(config, int(masked.sum()))
            + classifier(config, len(masked), 2, pooled=True))


def masked_language_modelling(config: ModelConfig, lengths: ArrayLike, masked: ArrayLike) -> Counter[str]:
    """RobertaForMaskedLM and such with labels: of the last layer only the masked tokens, `masked` (B,)."""
    masked = np.asarray(masked)
    return encoder(config, lengths, masked) + masked_lm_head(config, int(masked.sum()))


def language_modelling(config: ModelConfig, lengths: ArrayLike) -> Counter[str]:
    """GPT2LMHeadModel with labels: every token but the last of each text predicts the next one."""
    asked = np.maximum(np.asarray(lengths) - 1, 0)
    return encoder(config, lengths, asked) + causal_lm_head(config, int(asked.sum()))


def ring(n: int, size: float, *, latency: float, bandwidth: float, rounds: int) -> float:
    """Seconds in which n machines in a ring pass on `size` bytes in n equal pieces: each round has n - 1 steps, in each
    of which every machine sends one piece. rounds: 2 to add up (all-reduce), 1 to collect (all-gather).

    latency: seconds of a message. bandwidth: bytes a second, in each direction. (Patarasuk and Yuan 2009, section 4.)
    """
    return rounds * (n - 1) * (latency + size / (n * bandwidth))
