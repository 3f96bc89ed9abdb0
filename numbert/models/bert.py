"""BERT (Devlin et al. 2019): a Transformer encoder that reads a text from both sides at once.

The body, and the two heads that it is pre-trained with. Heads for its uses are in `heads.py`.
"""
import dataclasses
import warnings

import numpy as np

from .. import ops
from ..layers import Embedding, LayerNorm, Linear, Module, TransformerLayer, zeros
from ..packing import pack
from .config import ACTIVATIONS, BertConfig
from .pretrained import Output, PretrainedModel, total


class BertEmbeddings(Module):
    """What a token is, where it stands, and which of the two segments it is in: three vectors, added."""

    def __init__(self, config, *, rng, dtype):
        size, tables = config.embedding_size, dict(rng=rng, std=config.initializer_range, dtype=dtype)
        self.word = Embedding(config.vocab_size, size, **tables)
        self.position = Embedding(config.max_position_embeddings, size, **tables)
        self.segment = Embedding(config.type_vocab_size, size, **tables)
        self.norm = LayerNorm(size, eps=config.layer_norm_eps, dtype=dtype)
        self.dropout = config.hidden_dropout_prob

    def __call__(self, packed, rng=None):
        x = ops.add(ops.add(self.word(packed.ids), self.position(packed.positions)), self.segment(packed.segments))
        return ops.dropout(self.norm(x), rate=self.dropout, rng=rng)


class MaskedLMHead(Module):
    """Scores of all V words for a token: a layer of its own, then the word embeddings themselves as the last matrix."""

    def __init__(self, config, *, rng, dtype):
        size = config.embedding_size
        self.transform = Linear(config.hidden_size, size, rng=rng, std=config.initializer_range, dtype=dtype)
        self.norm = LayerNorm(size, eps=config.layer_norm_eps, dtype=dtype)
        self.activation = ACTIVATIONS[config.hidden_act]
        if config.tie_word_embeddings:
            self.bias = zeros(config.vocab_size, dtype)
        else:
            self.decoder = Linear(size, config.vocab_size, rng=rng, std=config.initializer_range, dtype=dtype)

    def __call__(self, x, words):
        """x (M, D) and the table of word embeddings (V, D) -> logits (M, V)."""
        h = self.norm(self.activation(self.transform(x)))
        return self.decoder(h) if hasattr(self, "decoder") else ops.linear(h, words, self.bias)


class BertPretrainedModel(PretrainedModel):
    """Configuration and Hugging Face's names, for all BERTs."""
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
    mask = None                             # which token sees which, as `ops.attention` wants it; None: each sees all

    def __init__(self, config, *, rng, dtype=np.float32, add_pooling_layer=True):
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

    def pack(self, input_ids, token_type_ids=None, attention_mask=None):
        """(B, T) arrays to rows, checked against the configuration. Warns, once, of padding without a mask."""
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

    def positions(self, packed, input_ids):
        """The position of each token (N,): the column in which it stands."""
        return packed.positions

    @property
    def distinct_layers(self):
        """How many layers have parameters of their own."""
        return self.config.num_hidden_layers

    def sequence(self):
        """The layers in the order in which a token passes them."""
        return self.layers

    def encode(self, packed, *, rows=None, rng=None):
        """(N, D) for all tokens; with `rows` (ascending) only for those, and the last layer does only their work."""
        x = self.embeddings(packed, rng)
        *before, last = self.sequence()
        for layer in before:
            x = layer(x, packed, mask=self.mask, rng=rng)
        return last(x, packed, rows=rows, mask=self.mask, rng=rng)

    def pool(self, first):
        """tanh of a linear layer, on the first token of each sequence (B, D)."""
        return ops.tanh(self.pooler(first))

    def __call__(self, input_ids, token_type_ids=None, attention_mask=None, *, rng=None):
        """input_ids, token_type_ids, attention_mask: integers (B, T). Dropout is on if and only if `rng` is given.

        Gives `last_hidden_state` (B, T, D), zeros on padding, and `pooler_output` (B, D) (None without a pooler;
        asking for it raises ValueError if the first token of a text is padding).
        """
        packed = self.pack(input_ids, token_type_ids, attention_mask)
        x = self.encode(packed, rng=rng)
        output = Output()
        try:
            output.pooler_output = self.pool(ops.take(x, ids=packed.first_rows())) if self.pooler else None
        except ValueError as error:
            output.refuse("pooler_output", error)
        output.last_hidden_state = packed.unpack(x)
        return output


class BertTask(BertPretrainedModel):
    """A body with a head on it. The classes of both are the family's."""
    body_class, mlm_class = BertModel, MaskedLMHead


class BertForPreTraining(BertTask):
    """BERT with both heads that it is pre-trained with: which words were masked, and does B follow A?"""

    def __init__(self, config, *, rng, dtype=np.float32):
        self.config = config
        self.body = self.body_class(config, rng=rng, dtype=dtype)
        self.mlm = self.mlm_class(config, rng=rng, dtype=dtype)
        self.nsp = Linear(config.hidden_size, 2, rng=rng, std=config.initializer_range, dtype=dtype)

    def __call__(self, input_ids, token_type_ids=None, attention_mask=None, labels=None, next_sentence_label=None, *,
                 rng=None, counts=None):
        """labels (B, T): the masked words, -100 elsewhere; next_sentence_label (B,): 0 where B follows A, 1 otherwise.

        Gives `loss`, the sum over the labels that were given (section 3.1), `prediction_logits` and
        `seq_relationship_logits` (B, 2). Without labels the prediction logits are (B, T, V); with labels they are
        (M, V), for the M labelled tokens in reading order, because nobody looks at the others.
        `counts` divides each loss by a number of your own, {"labels": M, "next_sentence_label": B}: see `training`.
        """
        packed, counts = self.body.pack(input_ids, token_type_ids, attention_mask), counts or {}
        prediction_logits, pooled, losses = self.read(packed, labels, counts, rng)
        seq_relationship_logits = self.nsp(pooled)
        if next_sentence_label is not None:
            label = packed.sequence_labels("next_sentence_label", next_sentence_label)
            losses["nsp"] = ops.cross_entropy(seq_relationship_logits, labels=label,
                                              count=counts.get("next_sentence_label"))
        return Output(loss=total(losses), losses=losses, prediction_logits=prediction_logits,
                      seq_relationship_logits=seq_relationship_logits)

    def read(self, packed, labels, counts, rng):
        """What both tasks need, computed together: (logits of words, pooled first tokens (B, D), {"mlm": loss})."""
        first, words, losses = packed.first_rows(), self.body.embeddings.word.weight, {}
        if labels is None:
            x = self.body.encode(packed, rng=rng)
            logits = packed.unpack(self.mlm(x, words))
        else:
            labels = packed.labels("labels", labels)
            masked = np.flatnonzero(labels != ops.IGNORE)
            rows = np.union1d(masked, first)
            x = self.body.encode(packed, rows=rows, rng=rng)
            first = np.searchsorted(rows, first)
            logits = self.mlm(ops.take(x, ids=np.searchsorted(rows, masked)), words)
            losses["mlm"] = ops.cross_entropy(logits, labels=labels[masked], count=counts.get("labels"), owned=True)
        return logits, self.body.pool(ops.take(x, ids=first)), losses
