"""Four ways to pre-train the same Transformer, side by side: what differs between BERT, RoBERTa, ALBERT and GPT.

             text becomes     learns by                                    the network
    bert     WordPiece        hidden words; does B follow A?               as it is
    roberta  bytes, joined    hidden words of full rows of sentences       as it is, without segments
    albert   WordPiece        hidden runs of words; is B A in order?       one layer used again and again, E < D
    gpt      bytes, joined    the next word                                causal, norms before the sublayers

The first of a family's `objectives` is the one of its paper.
"""
from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import DTypeLike

from ..models.albert import AlbertForPreTraining
from ..models.bert import BertForPreTraining
from ..models.gpt2 import GPT2Config, GPT2LMHeadModel
from ..models.pretrained import PretrainedModel
from ..models.roberta import RobertaForMaskedLM
from ..tokenizers.byte_bpe import ByteLevelBPETokenizer
from ..tokenizers.byte_bpe_files import GPT2, ROBERTA
from ..tokenizers.tokenizer import Tokenizer
from ..tokenizers.wordpiece import WordPieceTokenizer
from .batches import end_of_text_id


class Family(NamedTuple):
    """One row of `FAMILIES`; `mask_unit` and `pair_label`: see `PretrainingData`."""
    model_class: type
    tokenizer_class: type
    tokenizer_options: dict
    objectives: tuple
    mask_unit: str = "token"
    pair_label: str | None = None


BYTES = {"add_prefix_space": True}          # so that a word is the same token at every position
FAMILIES = {
    "bert": Family(BertForPreTraining, WordPieceTokenizer, {},
                   ("mlm+nsp", "mlm", "mlm+sop", "full-sentences"), "token", "next_sentence_label"),
    "roberta": Family(RobertaForMaskedLM, ByteLevelBPETokenizer, BYTES | {"special_tokens": ROBERTA},
                      ("full-sentences", "mlm")),
    "albert": Family(AlbertForPreTraining, WordPieceTokenizer, {},
                     ("mlm+sop", "mlm", "mlm+nsp", "full-sentences"), "ngram", "sentence_order_label"),
    "gpt": Family(GPT2LMHeadModel, ByteLevelBPETokenizer, BYTES | {"special_tokens": GPT2},
                  ("causal",)),
}


def train_tokenizer(family: str, texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """The family's own kind of tokenizer, its vocabulary of `vocab_size` entries learnt from `texts`, (str, ...)."""
    row = FAMILIES[family]
    return row.tokenizer_class.train(texts, vocab_size=vocab_size, **row.tokenizer_options)


def check_vocab_size(family: str, vocab_size: int) -> None:
    """Raises ValueError for a vocabulary without room for what all tokenizers of the family have."""
    row = FAMILIES[family]
    if row.tokenizer_class is ByteLevelBPETokenizer:
        least = len(set(row.tokenizer_options["special_tokens"].values())) + 256
        if vocab_size < least:
            raise ValueError(f"vocab_size must be at least {least}, the special tokens and 256 bytes, got {vocab_size}")


def build_model(family: str, tokenizer: Tokenizer, *, layers: int, width: int, max_positions: int,
                heads: int | None = None, dropout: float = 0.0, rng: Generator,
                dtype: DTypeLike = np.float32) -> PretrainedModel:
    """A new model of a family, for texts of up to `max_positions` tokens of any tokenizer.

    heads: None for Google's heads, 64 wide. Weights are drawn from N(0, s²), s = 0.02 √(768 / width): BERT's 0.02 is
    for 768 wide matrices, a narrower one needs larger weights for equally large sums. ALBERT's E is half the width, at
    most the published 128.
    """
    heads = max(1, width // 64) if heads is None else heads
    std = 0.02 * math.sqrt(768 / width)
    if family == "gpt":
        end = end_of_text_id(tokenizer)
        config = GPT2Config(vocab_size=len(tokenizer), n_layer=layers, n_embd=width, n_head=heads,
                            n_positions=max_positions, resid_pdrop=dropout, embd_pdrop=dropout, attn_pdrop=dropout,
                            initializer_range=std, bos_token_id=end, eos_token_id=end)
        return GPT2LMHeadModel(config, rng=rng, dtype=dtype)
    pad = tokenizer.pad_token_id
    own = {
        "bert": {},
        "roberta": {"type_vocab_size": 1, "layer_norm_eps": 1e-5, "max_position_embeddings": max_positions + pad + 1},
        "albert": {"embedding_size": min(128, width // 2)},
    }[family]
    model_class = FAMILIES[family].model_class
    config = model_class.config_class(**{
        "vocab_size": len(tokenizer), "num_hidden_layers": layers, "hidden_size": width, "num_attention_heads": heads,
        "intermediate_size": 4 * width, "max_position_embeddings": max_positions, "hidden_dropout_prob": dropout,
        "attention_probs_dropout_prob": dropout, "initializer_range": std, "pad_token_id": pad} | own)
    return model_class(config, rng=rng, dtype=dtype)
