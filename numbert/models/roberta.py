"""RoBERTa (Liu et al. 2019): BERT, trained better. The network is the same; the training differs.

    no next-sentence task      it did not help (section 4.2): no segments, and pre-training is masked words alone
    full sentences, new masks  texts are joined until they fill T tokens, and masked anew each time (sections 4.1, 4.2)
    bytes instead of words     a vocabulary of byte sequences, so that no text has unknown words (section 4.4)
    longer, on more            larger batches and ten times the text (sections 4.3 and 5)

Only details of the model differ. Positions start at pad_token_id + 1, as in the library in which it was written
(fairseq). The head for masked words always uses GELU. The head for classes has a pooler of its own, with dropout before
it, since there was no next-sentence task to train one.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, DTypeLike

from .. import ops
from ..autograd import Array, Tensor
from ..layers import Linear
from ..module import Module
from ..packing import Packed
from .bert import BertModel, BertPretrainedModel, BertWithHead, MaskedLMHead
from .config import BertConfig, ModelConfig
from .heads import (
    BertForMaskedLM,
    BertForMultipleChoice,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    head,
    head_dropout,
)


@dataclass(frozen=True)
class RobertaConfig(BertConfig):
    """Hugging Face's defaults. (The published models have layer_norm_eps 1e-5, 514 positions and one type of token.)"""
    vocab_size: int = 50265
    pad_token_id: int = 1

    model_type = "roberta"

    def __post_init__(self):
        super().__post_init__()
        pad, places = self.pad_token_id, self.max_position_embeddings
        if isinstance(pad, bool) or not isinstance(pad, int) or not 0 <= pad < places - 1:
            raise ValueError(f"pad_token_id must be in 0..{places - 2}, because positions are counted from behind it "
                             f"and max_position_embeddings is {places}; got {pad!r}")

    @property
    def max_tokens(self) -> int:
        """How many tokens the longest text may have: positions start at pad_token_id + 1."""
        return self.max_position_embeddings - self.pad_token_id - 1


class RobertaPretrainedModel(BertPretrainedModel):
    """Configuration and Hugging Face's names, for all RoBERTas."""
    config: RobertaConfig
    config_class = RobertaConfig
    base = "roberta."
    names = (("body.",              "roberta."),
             ("mlm.transform.",     "lm_head.dense."),
             ("mlm.norm.",          "lm_head.layer_norm."),
             ("mlm.decoder.",       "lm_head.decoder."),
             ("mlm.bias",           "lm_head.bias"),
             ("classifier.output.", "classifier.out_proj."),
             *BertPretrainedModel.names[1:])
    their_decoder, their_bias = "lm_head.decoder", "lm_head.bias"


class RobertaModel(RobertaPretrainedModel, BertModel):
    """BERT's body with other positions."""

    def positions(self, packed: Packed, input_ids: Array) -> Array:
        """pad_token_id + 1, + 2, ..., and pad_token_id for padding that is not masked."""
        real = input_ids != self.config.pad_token_id                                                        # (B, T)
        return (self.config.pad_token_id + np.cumsum(real, axis=1) * real).reshape(-1)[packed.padded_index]  # (N,)


class RobertaLMHead(MaskedLMHead):
    """BERT's head for masked words, with GELU whatever the body's activation is."""

    def __init__(self, config: ModelConfig, *, rng: Generator, dtype: DTypeLike):
        super().__init__(config, rng=rng, dtype=dtype)
        self.activation = ops.gelu


class RobertaClassificationHead(Module):
    """The first token of each text (B, D) -> logits (B, C), through a hidden layer of width D."""

    def __init__(self, config: ModelConfig, *, rng: Generator, dtype: DTypeLike):
        self.config = config
        self.dense = Linear(config.hidden_size, config.hidden_size, rng=rng, std=config.initializer_range, dtype=dtype)
        self.output = head(config, config.num_labels, rng, dtype)

    def __call__(self, first: Tensor, rng: Generator | None) -> Tensor:
        """first (B, D) -> (B, C)."""
        x = ops.tanh(self.dense(head_dropout(self.config, first, rng)))              # (B, D)
        return self.output(head_dropout(self.config, x, rng))                        # (B, C)


class RobertaWithHead(RobertaPretrainedModel, BertWithHead):
    """RoBERTa's body with a head on it."""
    body_class, mlm_class = RobertaModel, RobertaLMHead


class RobertaForMaskedLM(RobertaWithHead, BertForMaskedLM):
    """RoBERTa with the head that it is pre-trained with."""


class RobertaForSequenceClassification(RobertaWithHead, BertForSequenceClassification):
    """As BERT's, with another head."""

    def __init__(self, config: ModelConfig, *, rng: Generator, dtype: DTypeLike = np.float32,
                 class_weights: ArrayLike | None = None, label_smoothing: float = 0.0):
        self.config = config
        self.body = RobertaModel(config, rng=rng, dtype=dtype, add_pooling_layer=False)
        self.classifier = RobertaClassificationHead(config, rng=rng, dtype=dtype)
        self.class_weights, self.label_smoothing = class_weights, label_smoothing

    def score(self, packed: Packed, rng: Generator | None) -> Tensor:
        """Logits (B, C) of packed texts."""
        return self.classifier(self.body.encode(packed, rows=packed.first_rows(), rng=rng), rng)            # (B, C)


class RobertaForTokenClassification(RobertaWithHead, BertForTokenClassification):
    """As BERT's."""


class RobertaForQuestionAnswering(RobertaWithHead, BertForQuestionAnswering):
    """As BERT's."""


class RobertaForMultipleChoice(RobertaWithHead, BertForMultipleChoice):
    """As BERT's."""
