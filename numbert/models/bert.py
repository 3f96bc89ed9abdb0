"""BERT (Devlin et al. 2019): a Transformer encoder that reads a text from both sides at once.

The body, and the two heads that it is pre-trained with. Heads for its uses are in `heads.py`.
"""
from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, DTypeLike

from .. import ops
from ..autograd import Array, Tensor
from ..layers import Embedding, LayerNorm, Linear, TransformerLayer
from ..module import Module, zeros
from ..packing import Packed, pack
from .config import ACTIVATIONS, BertConfig, ModelConfig
from .pretrained import Output, PretrainedModel, WithLosses, correct, word_loss


class BertEmbeddings(Module):
    """The sum of three vectors for each token: of its word, its position and its segment."""

    def __init__(self, config: ModelConfig, *, rng: Generator, dtype: DTypeLike):
        size, tables = config.embedding_size, dict(rng=rng, std=config.initializer_range, dtype=dtype)
        self.word = Embedding(config.vocab_size, size, **tables)
        self.position = Embedding(config.max_position_embeddings, size, **tables)
        self.segment = Embedding(config.type_vocab_size, size, **tables)
        self.norm = LayerNorm(size, eps=config.layer_norm_eps, dtype=dtype)
        self.dropout = config.hidden_dropout_prob

    def __call__(self, packed: Packed, rng: Generator | None = None) -> Tensor:
        """The vectors (N, E) of packed tokens; E = D but in ALBERT."""
        x = ops.add(ops.add(self.word(packed.ids), self.position(packed.positions)), self.segment(packed.segments))
        return ops.dropout(self.norm(x), rate=self.dropout, rng=rng)                 # (N, E)


class MaskedLMHead(Module):
    """Scores of all V words for a token: a layer of its own, then the word embeddings themselves as the last matrix."""

    def __init__(self, config: ModelConfig, *, rng: Generator, dtype: DTypeLike):
        size = config.embedding_size
        self.transform = Linear(config.hidden_size, size, rng=rng, std=config.initializer_range, dtype=dtype)
        self.norm = LayerNorm(size, eps=config.layer_norm_eps, dtype=dtype)
        self.activation = ACTIVATIONS[config.hidden_act]
        if config.tie_word_embeddings:
            self.bias = zeros(config.vocab_size, dtype)
        else:
            self.decoder = Linear(size, config.vocab_size, rng=rng, std=config.initializer_range, dtype=dtype)

    def __call__(self, x: Tensor, words: Tensor) -> Tensor:
        """x (M, D) and the table of word embeddings (V, E) -> logits (M, V)."""
        return ops.linear(*self.decoding(x, words))                                  # (M, V)

    def loss(self, x: Tensor, words: Tensor, labels: Array) -> tuple[Tensor, int, Callable[[], Tensor]]:
        """`word_loss` of x (M, D) with labels (M,)."""
        return word_loss(self.decoding(x, words), labels)

    def decoding(self, x: Tensor, words: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The inputs of the last product: (M, E), (V, E), (V,)."""
        h = self.norm(self.activation(self.transform(x)))                            # (M, E)
        return (h, self.decoder.weight, self.decoder.bias) if hasattr(self, "decoder") else (h, words, self.bias)


class BertPretrainedModel(PretrainedModel):
    """Configuration and Hugging Face's names, for all BERTs."""
    config: BertConfig
    config_class = BertConfig
    base = "bert."
    names = (("body.",                "bert."),
             ("embeddings.word.",     "embeddings.word_embeddings."),
             ("embeddings.position.", "embeddings.position_embeddings."),
             ("embeddings.segment.",  "embeddings.token_type_embeddings."),
             ("embeddings.norm.",     "embeddings.LayerNorm."),
             ("layers.",              "encoder.layer."),
             ("attention.query.",     "attention.self.query."),
             ("attention.key.",       "attention.self.key."),
             ("attention.value.",     "attention.self.value."),
             ("attention.output.",    "attention.output.dense."),
             ("attention_norm.",      "attention.output.LayerNorm."),
             ("feed_forward.expand.", "intermediate.dense."),
             ("feed_forward.contract.", "output.dense."),
             ("feed_forward_norm.",   "output.LayerNorm."),
             ("pooler.",              "pooler.dense."),
             ("mlm.transform.",       "cls.predictions.transform.dense."),
             ("mlm.norm.",            "cls.predictions.transform.LayerNorm."),
             ("mlm.decoder.",         "cls.predictions.decoder."),
             ("mlm.bias",             "cls.predictions.bias"),
             ("nsp.",                 "cls.seq_relationship."),
             (".gain",                ".weight"))
    their_words = "embeddings.word_embeddings.weight"
    their_decoder, their_bias = "cls.predictions.decoder", "cls.predictions.bias"


class BertModel(BertPretrainedModel):
    """The body: a vector of width D for every token, and one, pooled from the first token, for the whole text."""
    embeddings_class, layer_class = BertEmbeddings, TransformerLayer
    mask = None                             # the `mask` of `ops.attention`; None: each token sees all

    def __init__(self, config: ModelConfig, *, rng: Generator, dtype: DTypeLike = np.float32,
                 add_pooling_layer: bool = True):
        self.config = config
        self.embeddings = self.embeddings_class(config, rng=rng, dtype=dtype)
        self.layers = [self.layer_class(config.hidden_size, config.num_attention_heads, config.intermediate_size,
                                        ACTIVATIONS[config.hidden_act], eps=config.layer_norm_eps,
                                        dropout=config.hidden_dropout_prob,
                                        attention_dropout=config.attention_probs_dropout_prob,
                                        rng=rng, std=config.initializer_range, dtype=dtype)
                       for _ in range(self.distinct_layers)]
        self.pooler = Linear(config.hidden_size, config.hidden_size, rng=rng, std=config.initializer_range,
                             dtype=dtype) if add_pooling_layer else None

    def pack(self, input_ids: ArrayLike, token_type_ids: ArrayLike | None = None,
             attention_mask: ArrayLike | None = None) -> Packed:
        """`Packed` rows of (B, T) arrays, checked against the configuration. Warns, once, of padding without a mask."""
        c = self.config
        packed = pack(input_ids, token_type_ids, attention_mask, vocab_size=c.vocab_size,
                      type_vocab_size=c.type_vocab_size)
        input_ids = np.asarray(input_ids)
        if attention_mask is None and input_ids.size and (input_ids[:, [0, -1]] == c.pad_token_id).any():
            warnings.warn(f"input_ids begin or end with pad_token_id = {c.pad_token_id}, and there is no "
                          "attention_mask: padding is read as if it were text", stacklevel=1)
        positions = self.positions(packed, input_ids)
        if (positions >= c.max_position_embeddings).any():
            behind = "" if c.max_tokens == c.max_position_embeddings else (
                f", counted from behind pad_token_id = {c.pad_token_id}")
            raise ValueError(f"input_ids are (B, T) = {packed.shape}, but max_position_embeddings is "
                             f"{c.max_position_embeddings}{behind}: shorten the text, e.g. "
                             f"tokenizer(text, max_length={c.max_tokens})")
        return dataclasses.replace(packed, positions=positions)

    def positions(self, packed: Packed, input_ids: Array) -> Array:
        """The position of each token (N,): the column in which it stands."""
        return packed.positions

    @property
    def distinct_layers(self) -> int:
        """How many layers have parameters of their own."""
        return self.config.num_hidden_layers

    def sequence(self) -> list[TransformerLayer]:
        """The layers in the order in which a token passes them."""
        return self.layers

    def encode(self, packed: Packed, *, rows: Array | None = None, rng: Generator | None = None) -> Tensor:
        """(N, D) for all tokens; with `rows` (ascending) for these alone, and the last layer computes no others."""
        x = self.embeddings(packed, rng)                                             # (N, D)
        *before, last = self.sequence()
        for layer in before:
            x = layer(x, packed, mask=self.mask, rng=rng)                            # (N, D)
        return last(x, packed, rows=rows, mask=self.mask, rng=rng)                   # (N, D), or as many as rows

    def pool(self, first: Tensor) -> Tensor:
        """tanh of a linear layer, on the first token of each sequence (B, D)."""
        return ops.tanh(self.pooler(first))                                          # (B, D)

    def __call__(self, input_ids: ArrayLike, token_type_ids: ArrayLike | None = None,
                 attention_mask: ArrayLike | None = None, *, rng: Generator | None = None) -> Output:
        """input_ids, token_type_ids, attention_mask: integers (B, T). Dropout is on if and only if `rng` is given.

        token_type_ids: 0 for the first segment, 1 for the second (None: all 0); attention_mask: 1 for text, 0 for
        padding (None: all 1). Gives `last_hidden_state` (B, T, D), zeros on padding, and `pooler_output` (B, D) (None
        without a pooler; asking for it raises ValueError if the first token of a text is padding). Raises ValueError or
        TypeError, naming the argument, for a wrong shape or kind, for an id outside the tables of embeddings, and for a
        text that is too long.
        """
        packed = self.pack(input_ids, token_type_ids, attention_mask)
        x = self.encode(packed, rng=rng)                                             # (N, D)

        def pooled():
            return self.pooler and self.pool(ops.take(x, ids=packed.first_rows()))               # (B, D)
        try:
            pooler_output = {"pooler_output": pooled()}
        except ValueError:                              # raised again when it is read
            pooler_output = {"when_read": {"pooler_output": pooled}}
        return Output(**pooler_output, last_hidden_state=packed.unpack(x))           # (B, D), (B, T, D)


class BertWithHead(WithLosses, BertPretrainedModel):
    """A body with a head on it. A family of models sets the classes of both."""
    body_class, mlm_class = BertModel, MaskedLMHead


class BertForPreTraining(BertWithHead):
    """BERT with both heads that it is pre-trained with: which words were masked, and does B follow A?"""

    def __init__(self, config: ModelConfig, *, rng: Generator, dtype: DTypeLike = np.float32):
        self.config = config
        self.body = self.body_class(config, rng=rng, dtype=dtype)
        self.mlm = self.mlm_class(config, rng=rng, dtype=dtype)
        self.nsp = Linear(config.hidden_size, 2, rng=rng, std=config.initializer_range, dtype=dtype)

    def targets(self, packed: Packed, *, labels: ArrayLike | None = None,
                next_sentence_label: ArrayLike | None = None) -> dict[str, Array]:
        """The labels of each loss: "mlm" (N,), "nsp" (B,)."""
        found = {}
        if labels is not None:
            found["mlm"] = packed.labels("labels", labels)
        if next_sentence_label is not None:
            found["nsp"] = packed.sequence_labels("next_sentence_label", next_sentence_label)
        return found

    def __call__(self, input_ids: ArrayLike, token_type_ids: ArrayLike | None = None,
                 attention_mask: ArrayLike | None = None, labels: ArrayLike | None = None,
                 next_sentence_label: ArrayLike | None = None, *, rng: Generator | None = None) -> Output:
        """labels (B, T): the masked words, -100 elsewhere; next_sentence_label (B,): 0 where B follows A, 1 otherwise.

        Gives `loss`, the sum over the labels that were given (section 3.1), `prediction_logits` and
        `seq_relationship_logits` (B, 2). Without labels the prediction logits are (B, T, V). With labels they are
        (M, V), for the M labelled tokens in reading order, and are computed only if they are read, because the loss
        never holds them all at once. `correct` says how many labels of each task the model predicts right.

        Other arguments: see `BertModel`. Raises ValueError or TypeError, naming the argument, for what does not fit.
        """
        packed = self.pack(input_ids, token_type_ids, attention_mask)
        targets = self.targets(packed, labels=labels, next_sentence_label=next_sentence_label)
        pooled, words = self.read(packed, targets, rng)                              # (B, D), dict
        return self.both(targets, words, "nsp", seq_relationship_logits=self.nsp(pooled))

    def read(self, packed: Packed, targets: dict[str, Array], rng: Generator | None) -> tuple[Tensor, dict]:
        """Computed once for both tasks: pooled first tokens (B, D), and arguments of `output` for the words."""
        first, words = packed.first_rows(), self.body.embeddings.word.weight
        if "mlm" not in targets:
            x = self.body.encode(packed, rng=rng)
            found = {"losses": {}, "correct": {}, "prediction_logits": packed.unpack(self.mlm(x, words))}
        else:
            masked = np.flatnonzero(targets["mlm"] != ops.IGNORE)                    # (M,)
            rows = np.union1d(masked, first)                                   # (R,) masked and first rows, ascending
            x = self.body.encode(packed, rows=rows, rng=rng)                         # (R, D)
            first = np.searchsorted(rows, first)                                     # (B,) where they are in x
            masked_x = ops.take(x, ids=np.searchsorted(rows, masked))                # (M, D)
            loss, right, logits = self.mlm.loss(masked_x, words, targets["mlm"][masked])
            found = {"losses": {"mlm": loss}, "correct": {"mlm": right}, "when_read": {"prediction_logits": logits}}
        return self.body.pool(ops.take(x, ids=first)), found                         # (B, D), dict

    def both(self, targets: dict[str, Array], words: dict, pairs: str, **logits: Tensor) -> Output:
        """The output of both tasks: `words` as `read` gives it, and the task `pairs` with its logits."""
        if pairs in targets:
            scores, = logits.values()
            words["losses"][pairs] = ops.cross_entropy(scores, labels=targets[pairs])
            words["correct"][pairs] = correct(scores, targets[pairs])
        return self.output(targets=targets, **words, **logits)
