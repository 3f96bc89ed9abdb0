"""The cases of the gradient check: every op, layer and model, with inputs that reach every line of a backward pass.

A new op belongs into `op_cases` (a test checks it), a new layer into `subjects`, a new model into `MODELS`.
"""
from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .. import ops
from ..autograd import Tensor, op
from ..layers import Embedding, FeedForward, LayerNorm, Linear, SelfAttention, TransformerLayer
from ..models.albert import (
    AlbertConfig,
    AlbertForMaskedLM,
    AlbertForMultipleChoice,
    AlbertForPreTraining,
    AlbertForQuestionAnswering,
    AlbertForSequenceClassification,
    AlbertForTokenClassification,
    AlbertModel,
)
from ..models.bert import BertEmbeddings, BertForPreTraining, BertModel, MaskedLMHead
from ..models.config import BertConfig
from ..models.gpt2 import (
    GPT2Config,
    GPT2ForQuestionAnswering,
    GPT2ForSequenceClassification,
    GPT2ForTokenClassification,
    GPT2LMHeadModel,
    GPT2Model,
)
from ..models.heads import (
    BertForMaskedLM,
    BertForMultipleChoice,
    BertForNextSentencePrediction,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
)
from ..models.roberta import (
    RobertaConfig,
    RobertaForMaskedLM,
    RobertaForMultipleChoice,
    RobertaForQuestionAnswering,
    RobertaForSequenceClassification,
    RobertaForTokenClassification,
    RobertaModel,
)
from ..module import Module, Parameter
from ..ops import IGNORE, Bucket
from ..packing import pack


class Case(NamedTuple):
    """Inputs (float64 arrays, or None) and options of an op, and what is particular about them."""
    op: op
    note: str
    inputs: tuple[np.ndarray | None, ...]
    options: dict = {}

    name = property(lambda self: f"{self.op.name}, {self.note}" if self.note else self.op.name)

    def forward(self, *inputs: np.ndarray | None) -> tuple:
        """(output, saved). Options are copied for each call: a generator that was drawn from is another generator."""
        return self.op.forward(*inputs, **copy.deepcopy(self.options))


class Subject(NamedTuple):
    """A module, what to compute with it, and which inputs beside its own parameters to check."""
    name: str
    module: Module
    compute: Callable[..., Tensor]                  # of the module
    inputs: dict[str, Parameter] = {}


def op_cases():
    """For every op, cases that between them reach every line of its backward pass; at least one is square."""
    rng = np.random.default_rng(1)

    def normal(*shape):
        return rng.standard_normal(shape)

    def rows_of(*lengths):                          # the slices of sequences that lie end to end
        ends = np.cumsum(lengths)
        return [slice(int(end - n), int(end)) for n, end in zip(lengths, ends, strict=True)]

    def self_attention(*lengths):
        return [Bucket(s, s) for s in rows_of(*lengths)]

    def before(queries, keys):                      # the first token of a sequence sees nothing
        return keys[None, :] < queries[:, None]

    def generator():
        return np.random.default_rng(2)

    wide = 3 * normal(4, 4)
    some = [Bucket(q, k, query_positions=np.array(at, int)) for q, k, at in
            zip(rows_of(2, 0, 1), rows_of(3, 2, 2), ([0, 2], [], [0]), strict=True)]
    label, some_labels = np.array([4, 0, 2, 2]), np.array([IGNORE, 1, 1, 0, IGNORE, 2])
    return [
        Case(ops.add, "", (normal(3, 3), normal(3, 3))),
        Case(ops.linear, "", (normal(5, 3), normal(4, 3), normal(4))),
        Case(ops.linear, "square", (normal(3, 3), normal(3, 3), normal(3))),
        Case(ops.linear, "no bias", (normal(5, 3), normal(4, 3), None)),
        Case(ops.linear, "no rows", (normal(0, 3), normal(2, 3), normal(2))),
        Case(ops.take, "repeated ids", (normal(5, 5),), {"ids": np.array([4, 1, 1, 0, 1, 4, 2])}),
        Case(ops.take, "no ids", (normal(3, 2),), {"ids": np.array([], int)}),
        Case(ops.take, "three axes", (normal(3, 2, 2),), {"ids": np.array([2, 2])}),
        Case(ops.unpack, "", (normal(3, 3),), {"padded_index": np.array([1, 2, 6]), "shape": (2, 4)}),
        Case(ops.unpack, "numbers", (normal(3),), {"padded_index": np.array([3, 0, 1]), "shape": (2, 2), "fill": 7.0}),
        Case(ops.column, "", (normal(3, 3),), {"index": 1}),
        Case(ops.column, "three axes", (normal(2, 3, 2),), {"index": 0}),
        Case(ops.reshape, "", (normal(4, 4),), {"shape": (2, 8)}),
        Case(ops.gelu, "", (wide,)),
        Case(ops.gelu_tanh, "", (wide,)),
        Case(ops.relu, "away from 0", (wide + 0.1 * np.sign(wide),)),
        Case(ops.tanh, "", (wide / 2,)),
        Case(ops.layer_norm, "", (2 + normal(4, 5), normal(5), normal(5)), {"eps": 1e-12}),
        Case(ops.layer_norm, "square, large eps", (normal(4, 4), normal(4), normal(4)), {"eps": 0.5}),
        Case(ops.layer_norm, "width 1", (normal(3, 1), normal(1), normal(1)), {"eps": 0.1}),
        Case(ops.dropout, "", (normal(4, 4),), {"rate": 0.3, "rng": generator()}),
        Case(ops.dropout, "no generator", (normal(3, 2),), {"rate": 0.3, "rng": None}),
        Case(ops.dropout, "rate 0", (normal(3, 2),), {"rate": 0.0, "rng": generator()}),
        Case(ops.attention, "square", (normal(6, 6), normal(6, 6), normal(6, 6)),
             {"buckets": self_attention(3, 1, 2), "heads": 2}),
        Case(ops.attention, "one head", (normal(3, 2), normal(3, 2), normal(3, 2)),
             {"buckets": self_attention(3), "heads": 1}),
        Case(ops.attention, "heads of width 1", (normal(3, 2), normal(3, 2), normal(3, 2)),
             {"buckets": self_attention(3), "heads": 2}),
        Case(ops.attention, "causal, an empty sequence", (normal(5, 4), normal(5, 4), normal(5, 4)),
             {"buckets": self_attention(2, 0, 3), "heads": 2, "mask": ops.causal}),
        Case(ops.attention, "a token that sees nothing", (normal(4, 4), normal(4, 4), normal(4, 4)),
             {"buckets": self_attention(3, 1), "heads": 2, "mask": before}),
        Case(ops.attention, "some tokens ask", (normal(3, 4), normal(7, 4), normal(7, 4)),
             {"buckets": some, "heads": 2}),
        Case(ops.attention, "some tokens ask, causal", (normal(3, 4), normal(7, 4), normal(7, 4)),
             {"buckets": some, "heads": 2, "mask": ops.causal}),
        Case(ops.attention, "some tokens ask, prefix", (normal(3, 4), normal(7, 4), normal(7, 4)),
             {"buckets": some, "heads": 2, "mask": ops.prefix(2)}),
        Case(ops.attention, "sequences of one length", (normal(8, 4), normal(8, 4), normal(8, 4)),
             {"buckets": [Bucket(slice(0, 6), slice(0, 6), 3), Bucket(slice(6, 8), slice(6, 8))], "heads": 2}),
        Case(ops.attention, "dropout", (normal(7, 4), normal(7, 4), normal(7, 4)),
             {"buckets": self_attention(4, 3), "heads": 2, "mask": ops.causal, "rate": 0.4, "rng": generator()}),
        Case(ops.scale, "", (normal(3, 3),), {"factor": 0.3}),
        Case(ops.cross_entropy, "", (normal(4, 5),), {"labels": label}),
        Case(ops.cross_entropy, "square", (normal(4, 4),), {"labels": label % 4}),
        Case(ops.cross_entropy, "as many labels as rows", (normal(6, 4),), {"labels": some_labels}),
        Case(ops.cross_entropy, "no labels", (normal(2, 3),), {"labels": np.array([IGNORE, IGNORE])}),
        Case(ops.cross_entropy, "weights of classes", (normal(6, 4),),
             {"labels": some_labels, "weights": np.array([0.5, 2.0, 0.0, 3.0])}),
        Case(ops.cross_entropy, "smoothed labels", (normal(6, 4),),
             {"labels": some_labels, "weights": np.array([0.5, 2.0, 0.0, 3.0]), "smoothing": 0.3}),
        Case(ops.linear_cross_entropy, "", (normal(4, 3), normal(5, 3), normal(5)), {"labels": label}),
        Case(ops.linear_cross_entropy, "square", (normal(4, 4), normal(4, 4), normal(4)), {"labels": label % 4}),
        Case(ops.linear_cross_entropy, "no bias", (normal(6, 2), normal(3, 2), None), {"labels": some_labels}),
        Case(ops.linear_cross_entropy, "several blocks", (normal(6, 2), normal(3, 2), normal(3)),
             {"labels": some_labels, "block": 6}),
        Case(ops.linear_cross_entropy, "no labels", (normal(2, 3), normal(4, 3), normal(4)),
             {"labels": np.array([IGNORE, IGNORE])}),
        Case(ops.mean_squared_error, "", (normal(3, 3),), {"labels": normal(3, 3)}),
        Case(ops.mean_squared_error, "a row of numbers", (normal(4),), {"labels": normal(4)}),
        Case(ops.binary_cross_entropy, "", (wide,), {"labels": rng.integers(2, size=(4, 4))}),
        Case(ops.binary_cross_entropy, "shares", (normal(3, 2),), {"labels": rng.random((3, 2))}),
    ]


MASKED = [[4, IGNORE, IGNORE, 1, IGNORE], [IGNORE, 2, IGNORE, IGNORE, IGNORE], [IGNORE] * 5]

SMALL = {"vocab_size": 7, "hidden_size": 4, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 6,
         "initializer_range": 0.5}
CONFIGS = {
    BertConfig: BertConfig(**SMALL, max_position_embeddings=6),
    RobertaConfig: RobertaConfig(**SMALL, max_position_embeddings=7),
    AlbertConfig: AlbertConfig(**SMALL, max_position_embeddings=6, embedding_size=3, hidden_dropout_prob=0.1,
                               attention_probs_dropout_prob=0.1),
    GPT2Config: GPT2Config(vocab_size=7, n_embd=4, n_layer=2, n_head=2, n_inner=6, n_positions=6,
                           initializer_range=0.5),
}
ANSWERS = {"start_positions": [1, IGNORE, 2], "end_positions": [3, 0, 2]}

# class, changes of the configuration, labels, and which of its outputs to differentiate
MODELS = [
    (BertModel, {}, {}, "last_hidden_state"),
    (BertModel, {}, {}, "pooler_output"),
    (BertForPreTraining, {}, {}, "prediction_logits"),
    (BertForPreTraining, {}, {"labels": MASKED, "next_sentence_label": [1, 0, 1]}, "loss"),
    (BertForMaskedLM, {"tie_word_embeddings": False}, {"labels": MASKED}, "loss"),
    (BertForNextSentencePrediction, {}, {"next_sentence_label": [1, IGNORE, 0]}, "loss"),
    (BertForSequenceClassification, {"num_labels": 3}, {"labels": [2, 0, 1]}, "loss"),
    (BertForSequenceClassification, {"num_labels": 1}, {"labels": [0.5, -1.0, 3.0]}, "loss"),
    (BertForSequenceClassification, {"num_labels": 2}, {"labels": [[0.0, 1.0], [1.0, 1.0], [0.0, 0.0]]}, "loss"),
    (BertForTokenClassification, {"num_labels": 7}, {"labels": MASKED}, "loss"),
    (BertForQuestionAnswering, {}, ANSWERS, "loss"),
    (BertForMultipleChoice, {}, {"labels": [2]}, "loss"),
    (RobertaModel, {}, {}, "pooler_output"),
    (RobertaForMaskedLM, {}, {"labels": MASKED}, "loss"),
    (RobertaForSequenceClassification, {"num_labels": 3}, {"labels": [2, 0, 1]}, "loss"),
    (RobertaForTokenClassification, {"num_labels": 7}, {"labels": MASKED}, "loss"),
    (RobertaForQuestionAnswering, {}, ANSWERS, "loss"),
    (RobertaForMultipleChoice, {}, {"labels": [2]}, "loss"),
    (AlbertModel, {"inner_group_num": 2}, {}, "last_hidden_state"),
    (AlbertForPreTraining, {}, {"labels": MASKED, "sentence_order_label": [1, 0, 1]}, "loss"),
    (AlbertForMaskedLM, {"tie_word_embeddings": False}, {"labels": MASKED}, "loss"),
    (AlbertForSequenceClassification, {"num_labels": 3}, {"labels": [2, 0, 1]}, "loss"),
    (AlbertForTokenClassification, {"num_labels": 7}, {"labels": MASKED}, "loss"),
    (AlbertForQuestionAnswering, {}, ANSWERS, "loss"),
    (AlbertForMultipleChoice, {}, {"labels": [2]}, "loss"),
    (GPT2Model, {}, {}, "last_hidden_state"),
    (GPT2LMHeadModel, {}, {}, "logits"),
    (GPT2LMHeadModel, {"tie_word_embeddings": False}, {"labels": MASKED}, "loss"),
    (GPT2ForSequenceClassification, {"num_labels": 3}, {"labels": [2, 0, 1]}, "loss"),
    (GPT2ForTokenClassification, {"num_labels": 7}, {"labels": MASKED}, "loss"),
    (GPT2ForQuestionAnswering, {}, ANSWERS, "loss"),
]


def subjects():
    """Every layer and model, with dropout on, over a batch with padding."""
    rng = np.random.default_rng(3)
    new = dict(rng=rng, std=0.5, dtype=np.float64)

    def draws():                                    # the same for each evaluation
        return np.random.default_rng(4)

    config = CONFIGS[BertConfig]
    ids = np.array([[2, 5, 3, 3, 0], [1, 6, 0, 0, 0], [2, 3, 1, 4, 6]])
    segments = np.array([[0, 0, 1, 1, 0], [0, 1, 0, 0, 0], [0, 0, 0, 1, 1]])
    mask = np.array([[1, 1, 1, 1, 0], [1, 1, 0, 0, 0], [1, 1, 1, 1, 1]])
    packed = pack(ids, segments, mask, vocab_size=7, type_vocab_size=2)

    x, x_query, words = (Parameter(rng.standard_normal(shape)) for shape in ((11, 4), (3, 4), (7, 4)))
    rows = np.array([0, 2, 6])                      # queries: 2, 0 and 1 tokens of the three sequences
    layer = dict(eps=1e-5, dropout=0.2, attention_dropout=0.2, **new)
    untied = dataclasses.replace(config, tie_word_embeddings=False)

    def model_subject(model, changes, labels, output):
        batch = {"input_ids": ids, "token_type_ids": segments, "attention_mask": mask}
        if model.config_class is GPT2Config:
            del batch["token_type_ids"]
        if model.__name__.endswith("MultipleChoice"):
            batch = {name: x[None] for name, x in batch.items()}
        return Subject(", ".join([model.__name__, *(f"{k}={v}" for k, v in changes.items())]) if changes else
                       f"{model.__name__}.{output}",
                       model(dataclasses.replace(CONFIGS[model.config_class], **changes), rng=rng, dtype=np.float64),
                       lambda m: getattr(m(**batch, **labels, rng=draws()), output))

    return [
        Subject("Linear", Linear(4, 3, **new), lambda m: m(x), {"x": x}),
        Subject("Embedding", Embedding(7, 3, **new), lambda m: m(packed.ids)),
        Subject("LayerNorm", LayerNorm(4, eps=1e-5, dtype=np.float64), lambda m: m(x), {"x": x}),
        Subject("SelfAttention", SelfAttention(4, 2, dropout=0.2, **new),
                lambda m: m(x, x, packed.buckets(), mask=ops.causal, rng=draws()), {"x": x}),
        Subject("SelfAttention, some ask", SelfAttention(4, 2, dropout=0.2, **new),
                lambda m: m(x_query, x, packed.buckets(rows), rng=draws()), {"x_query": x_query, "x": x}),
        Subject("FeedForward", FeedForward(4, 6, ops.gelu_tanh, **new), lambda m: m(x), {"x": x}),
        Subject("TransformerLayer", TransformerLayer(4, 2, 6, ops.gelu, **layer),
                lambda m: m(x, packed, mask=ops.causal, rng=draws()), {"x": x}),
        Subject("TransformerLayer, some ask", TransformerLayer(4, 2, 6, ops.gelu, **layer),
                lambda m: m(x, packed, rows=rows, rng=draws()), {"x": x}),
        Subject("BertEmbeddings", BertEmbeddings(config, rng=rng, dtype=np.float64), lambda m: m(packed, draws())),
        Subject("MaskedLMHead", MaskedLMHead(config, rng=rng, dtype=np.float64), lambda m: m(x, words),
                {"x": x, "words": words}),
        Subject("MaskedLMHead, untied", MaskedLMHead(untied, rng=rng, dtype=np.float64), lambda m: m(x, words),
                {"x": x}),
        *(model_subject(*row) for row in MODELS),
    ]
