"""ALBERT (Lan et al. 2020): BERT with a tenth of the parameters, and a harder task on pairs of sentences.

    factorised embeddings  word vectors do not depend on the context and need less width than hidden states: they have
                           width E and are projected to width D, so V·D parameters become V·E + E·D
    shared layers          one set of parameters is applied L times. The gradient of a shared parameter is the sum
                           over its uses; `gradients` adds them up
    sentence order (SOP)   B follows A, or the two were exchanged. In BERT's next-sentence task the topic alone often
                           gives the answer; here both orders have the same topic

All three are in section 3.1.

Between one set and L sets lie `num_hidden_groups`: layer i uses group ⌊i · groups / L⌋. A group may hold
`inner_group_num` layers, which are applied one after the other.
Details: no dropout by default, and never after the feed-forward network; GELU by its approximation with tanh.
"""
from __future__ import annotations

import re
from dataclasses import dataclass, field

from numpy.random import Generator
from numpy.typing import ArrayLike, DTypeLike

from ..autograd import Array, Tensor
from ..layers import Linear, TransformerLayer
from ..packing import Packed
from .bert import BertEmbeddings, BertForPreTraining, BertModel, BertPretrainedModel, BertWithHead
from .config import MAX_LAYERS, BertConfig
from .heads import (
    BertForMaskedLM,
    BertForMultipleChoice,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    head_dropout,
)
from .pretrained import Output


@dataclass(frozen=True)
class AlbertConfig(BertConfig):
    """Hugging Face's defaults, which are those of ALBERT-xxlarge."""
    vocab_size: int = 30000
    embedding_size: int = 128
    hidden_size: int = 4096
    num_attention_heads: int = 64
    intermediate_size: int = 16384
    num_hidden_groups: int = 1
    inner_group_num: int = 1
    hidden_act: str = "gelu_new"
    hidden_dropout_prob: float = 0.0
    attention_probs_dropout_prob: float = 0.0
    classifier_dropout_prob: float = 0.1
    classifier_dropout: None = field(default=None, init=False, repr=False)      # BERT's name for it, unknown here

    model_type = "albert"
    no_influence = BertConfig.no_influence | {"classifier_dropout": "BERT's; ALBERT's is classifier_dropout_prob"}
    whole = (*BertConfig.whole, "embedding_size", "num_hidden_groups", "inner_group_num")
    probabilities = ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout_prob")

    def __post_init__(self):
        super().__post_init__()
        if self.num_hidden_groups * self.inner_group_num > MAX_LAYERS:
            raise ValueError(f"num_hidden_groups x inner_group_num must be at most {MAX_LAYERS}, got "
                             f"{self.num_hidden_groups} x {self.inner_group_num}")

    @property
    def head_dropout_prob(self) -> float:
        """The dropout before a classifier."""
        return self.classifier_dropout_prob


class AlbertEmbeddings(BertEmbeddings):
    """BERT's embeddings, of width E, and then a projection to width D."""

    def __init__(self, config: AlbertConfig, *, rng: Generator, dtype: DTypeLike):
        super().__init__(config, rng=rng, dtype=dtype)
        self.projection = Linear(config.embedding_size, config.hidden_size, rng=rng, std=config.initializer_range,
                                 dtype=dtype)

    def __call__(self, packed: Packed, rng: Generator | None = None) -> Tensor:
        """The vectors (N, D) of packed tokens."""
        return self.projection(super().__call__(packed, rng))                        # (N, E) -> (N, D)


class AlbertLayer(TransformerLayer):
    """BERT's layer without the last dropout."""

    def __init__(self, *sizes, **options):
        super().__init__(*sizes, **options)
        self.feed_forward_dropout = 0.0


class AlbertPretrainedModel(BertPretrainedModel):
    """Configuration and Hugging Face's names, for all ALBERTs."""
    config: AlbertConfig
    config_class = AlbertConfig
    base = "albert."
    names = (("body.",                  "albert."),
             ("embeddings.projection.", "encoder.embedding_hidden_mapping_in."),
             ("embeddings.word.",       "embeddings.word_embeddings."),
             ("embeddings.position.",   "embeddings.position_embeddings."),
             ("embeddings.segment.",    "embeddings.token_type_embeddings."),
             ("embeddings.norm.",       "embeddings.LayerNorm."),
             ("attention.output.",      "attention.dense."),
             ("attention_norm.",        "attention.LayerNorm."),
             ("feed_forward.expand.",   "ffn."),
             ("feed_forward.contract.", "ffn_output."),
             ("feed_forward_norm.",     "full_layer_layer_norm."),
             ("mlm.transform.",         "predictions.dense."),
             ("mlm.norm.",              "predictions.LayerNorm."),
             ("mlm.decoder.",           "predictions.decoder."),
             ("mlm.bias",               "predictions.bias"),
             ("nsp.",                   "sop_classifier.classifier."),
             (".gain",                  ".weight"))
    their_decoder, their_bias = "predictions.decoder", "predictions.bias"

    def _their_name(self, name):
        def place(found):
            group, inner = divmod(int(found[1]), self.config.inner_group_num)
            return f"encoder.albert_layer_groups.{group}.albert_layers.{inner}."
        return re.sub(r"\blayers\.(\d+)\.", place, super()._their_name(name))


class AlbertModel(AlbertPretrainedModel, BertModel):
    """BERT's body with few distinct layers, each used several times."""
    embeddings_class, layer_class = AlbertEmbeddings, AlbertLayer

    @property
    def distinct_layers(self) -> int:
        """How many layers have parameters of their own."""
        return self.config.num_hidden_groups * self.config.inner_group_num

    def sequence(self) -> list[TransformerLayer]:
        """The layers in the order in which a token passes them."""
        inner, L = self.config.inner_group_num, self.config.num_hidden_layers
        each = L / self.config.num_hidden_groups        # a float, as in Hugging Face's code: it matters for 14 of 18
        return [self.layers[int(i / each) * inner + j] for i in range(L) for j in range(inner)]


class AlbertWithHead(AlbertPretrainedModel, BertWithHead):
    """ALBERT's body with a head on it."""
    body_class = AlbertModel


class AlbertForPreTraining(AlbertWithHead, BertForPreTraining):
    """ALBERT with both heads that it is pre-trained with: which words were masked, and were A and B exchanged?"""

    def targets(self, packed: Packed, *, labels: ArrayLike | None = None,
                sentence_order_label: ArrayLike | None = None) -> dict[str, Array]:
        """The labels of each loss: "mlm" (N,), "sop" (B,)."""
        found = super().targets(packed, labels=labels)
        if sentence_order_label is not None:
            found["sop"] = packed.sequence_labels("sentence_order_label", sentence_order_label)
        return found

    def __call__(self, input_ids: ArrayLike, token_type_ids: ArrayLike | None = None,
                 attention_mask: ArrayLike | None = None, labels: ArrayLike | None = None,
                 sentence_order_label: ArrayLike | None = None, *, rng: Generator | None = None) -> Output:
        """labels (B, T): the masked words, -100 elsewhere; sentence_order_label (B,): 0 for A B in order, 1 for B A.

        Gives `loss`, the sum over the labels that were given, `prediction_logits` (as BERT's) and `sop_logits` (B, 2).

        Other arguments: see `BertModel`. Raises ValueError or TypeError, naming the argument, for what does not fit.
        """
        packed = self.pack(input_ids, token_type_ids, attention_mask)
        targets = self.targets(packed, labels=labels, sentence_order_label=sentence_order_label)
        pooled, words = self.read(packed, targets, rng)                              # (B, D), dict
        return self.both(targets, words, "sop", sop_logits=self.nsp(head_dropout(self.config, pooled, rng)))


class AlbertForMaskedLM(AlbertWithHead, BertForMaskedLM):
    """As BERT's."""


class AlbertForSequenceClassification(AlbertWithHead, BertForSequenceClassification):
    """As BERT's."""


class AlbertForTokenClassification(AlbertWithHead, BertForTokenClassification):
    """As BERT's."""


class AlbertForQuestionAnswering(AlbertWithHead, BertForQuestionAnswering):
    """As BERT's."""


class AlbertForMultipleChoice(AlbertWithHead, BertForMultipleChoice):
    """As BERT's."""
