"""GPT-2 (Radford et al. 2019): the same Transformer layer, trained to predict the next token and to generate text.

    causal mask         a token sees itself and what stands before it, so every token is trained to predict the next
                        one; BERT sees both sides, and is trained on the few masked words alone
    pre-layer-norm      the input of each sublayer is normalised, and its output added: x + sublayer(norm(x)). The last
                        sum is normalised once more (section 2.3)
    scaled residuals    the matrices whose output is added to x are drawn 1 / √(2L) times as large, since 2L outputs add
                        up (section 2.3)

There are no segments, and no norm after the embeddings. The word embeddings are also the matrix that scores the words.
Generation is in `generation.py`.

The files keep query, key and value in one matrix, and every matrix as its transpose, (D, 3D): `_to_file`, `_from_file`.
"""
from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, DTypeLike

from .. import ops
from ..autograd import Array, Tensor
from ..hub.errors import CheckpointError
from ..layers import Embedding, LayerNorm, TransformerLayer
from ..module import Module, rescale
from ..ops import Mask
from ..packing import Packed
from .bert import BertModel, BertWithHead
from .config import ModelConfig
from .generation import generate
from .generation_config import ONLY, read_generation_config
from .heads import BertForQuestionAnswering, BertForSequenceClassification, BertForTokenClassification
from .pretrained import Output, PretrainedModel, WithLosses, word_loss


@dataclass(frozen=True)
class GPT2Config(ModelConfig):
    """The published small GPT-2 by default, under the names of its files; BERT's names for the same are below."""
    vocab_size: int = 50257
    n_positions: int = 1024
    n_embd: int = 768
    n_layer: int = 12
    n_head: int = 12
    n_inner: int | None = None                      # None: 4 n_embd
    activation_function: str = "gelu_new"
    resid_pdrop: float = 0.1
    embd_pdrop: float = 0.1
    attn_pdrop: float = 0.1
    classifier_dropout: float | None = None         # before the classes of tokens; None: 0.1
    layer_norm_epsilon: float = 1e-5
    bos_token_id: int | None = 50256
    eos_token_id: int | None = 50256
    pad_token_id: int | None = None

    model_type = "gpt2"
    whole = ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head", "n_inner")
    probabilities = ("resid_pdrop", "embd_pdrop", "attn_pdrop", "classifier_dropout")
    positive = ("initializer_range", "layer_norm_epsilon")
    width, heads, activation = "n_embd", "n_head", "activation_function"
    only = ModelConfig.only | {"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False,
                               "hidden_dropout": None, **ONLY}
    no_influence = {name: reason for name, reason in ModelConfig.no_influence.items()
                    if name not in {*ONLY, "bos_token_id", "eos_token_id"}} | {
        "n_ctx": "n_positions counts",
        **dict.fromkeys(("summary_type", "summary_use_proj", "summary_activation", "summary_first_dropout",
                         "summary_proj_to_labels"), "of GPT2DoubleHeadsModel")}

    hidden_size                  = property(lambda self: self.n_embd)
    num_hidden_layers            = property(lambda self: self.n_layer)
    num_attention_heads          = property(lambda self: self.n_head)
    intermediate_size            = property(lambda self: self.n_inner or 4 * self.n_embd)
    hidden_act                   = property(lambda self: self.activation_function)
    hidden_dropout_prob          = property(lambda self: self.resid_pdrop)
    attention_probs_dropout_prob = property(lambda self: self.attn_pdrop)
    max_position_embeddings      = property(lambda self: self.n_positions)
    type_vocab_size              = property(lambda self: 1)
    layer_norm_eps               = property(lambda self: self.layer_norm_epsilon)

    @property
    def head_dropout_prob(self) -> float:
        """The dropout before the classes of tokens: 0.1, as in transformers, where the configuration does not say."""
        return 0.1 if self.classifier_dropout is None else self.classifier_dropout


class GPT2Embeddings(Module):
    """The sum of two vectors for each token: of its word and its position."""

    def __init__(self, config: GPT2Config, *, rng: Generator, dtype: DTypeLike):
        tables = dict(rng=rng, std=config.initializer_range, dtype=dtype)
        self.word = Embedding(config.vocab_size, config.n_embd, **tables)
        self.position = Embedding(config.n_positions, config.n_embd, **tables)
        self.dropout = config.embd_pdrop

    def __call__(self, packed: Packed, rng: Generator | None = None) -> Tensor:
        """The vectors (N, D) of packed tokens."""
        return ops.dropout(ops.add(self.word(packed.ids), self.position(packed.positions)), rate=self.dropout, rng=rng)


class GPT2Layer(TransformerLayer):
    """BERT's layer with each norm before its sublayer instead of after it."""

    def __call__(self, x: Tensor | Array, packed: Packed, *, rows: Array | None = None, mask: Mask | None = None,
                 rng: Generator | None = None) -> Tensor:
        """x (N, D) -> (N, D), or with `rows` (Nq,) the output of these rows alone, (Nq, D): they attend to all N."""
        h = self.attention_norm(x)                                                   # (N, D)
        if rows is None:
            x_query = h                                                              # (N, D)
        else:
            x, x_query = ops.take(x, ids=rows), ops.take(h, ids=rows)                # (Nq, D) each
        a = self.attention(x_query, h, packed.buckets(rows), mask=mask, rng=rng, cache=packed.cache)        # (Nq, D)
        x = ops.add(x, ops.dropout(a, rate=self.dropout, rng=rng))                   # (Nq, D)
        f = self.feed_forward(self.feed_forward_norm(x))                             # (Nq, D)
        return ops.add(x, ops.dropout(f, rate=self.feed_forward_dropout, rng=rng))      # (Nq, D)


TRANSPOSED = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
FUSED = ("attn.c_attn.weight", "attn.c_attn.bias")
PARTS = ("[query]", "[key]", "[value]")             # our names for the parts of what is one tensor in a file


class GPT2PretrainedModel(PretrainedModel):
    """Configuration, Hugging Face's names and layout."""
    config: GPT2Config
    config_class = GPT2Config
    base = "transformer."
    names = (("body.",                  "transformer."),
             ("embeddings.word.",       "wte."),
             ("embeddings.position.",   "wpe."),
             ("layers.",                "h."),
             ("attention_norm.",        "ln_1."),
             ("attention.query.weight", "attn.c_attn.weight[query]"),
             ("attention.query.bias",   "attn.c_attn.bias[query]"),
             ("attention.key.weight",   "attn.c_attn.weight[key]"),
             ("attention.key.bias",     "attn.c_attn.bias[key]"),
             ("attention.value.weight", "attn.c_attn.weight[value]"),
             ("attention.value.bias",   "attn.c_attn.bias[value]"),
             ("attention.output.",      "attn.c_proj."),
             ("feed_forward_norm.",     "ln_2."),
             ("feed_forward.expand.",   "mlp.c_fc."),
             ("feed_forward.contract.", "mlp.c_proj."),
             ("final_norm.",            "ln_f."),
             (".gain",                  ".weight"))
    their_words, their_decoder, their_bias = "wte.weight", "lm_head", None
    buffers = (".attn.bias", ".attn.masked_bias")   # older files hold the causal mask

    def _to_file(self, arrays):
        """Query, key and value joined in one array, and each matrix transposed: new arrays."""
        parts = {}
        for name, array in arrays.items():
            parts.setdefault(name.partition("[")[0], []).append(array)
        whole = {name: np.concatenate(p) if name.endswith(FUSED) else p[0] for name, p in parts.items()}
        return {name: np.ascontiguousarray(x.T) if name.endswith(TRANSPOSED) else x for name, x in whole.items()}

    def _from_file(self, arrays, source):
        """The inverse of `_to_file`, as views."""
        found = {}
        for name, array in arrays.items():
            x = array.T if name.endswith(TRANSPOSED) else array
            if name.endswith(FUSED):
                if not x.ndim or len(x) % len(PARTS):
                    raise CheckpointError(source, f"has shape {array.shape}: not three of one size", name)
                found |= {name + part: y for part, y in zip(PARTS, np.split(x, len(PARTS)), strict=True)}
            else:
                found[name] = x
        return found


class GPT2Model(GPT2PretrainedModel, BertModel):
    """The body: a vector of width D for every token, computed from it and the tokens before it."""
    embeddings_class, layer_class = GPT2Embeddings, GPT2Layer
    mask = staticmethod(ops.causal)

    def __init__(self, config: GPT2Config, *, rng: Generator, dtype: DTypeLike = np.float32,
                 add_pooling_layer: bool = False):
        if add_pooling_layer:
            raise ValueError("GPT-2 has no pooling layer: a text's first token has seen nothing of it")
        super().__init__(config, rng=rng, dtype=dtype, add_pooling_layer=False)
        self.final_norm = LayerNorm(config.n_embd, eps=config.layer_norm_epsilon, dtype=dtype)
        for layer in self.layers:
            for last in (layer.attention.output, layer.feed_forward.contract):
                rescale(last.weight, 1 / math.sqrt(2 * config.n_layer))

    def positions(self, packed: Packed, input_ids: Array) -> Array:
        """Counted from the first token of each text, wherever its padding stands."""
        return np.arange(len(packed.padded_index)) - np.repeat(packed.starts[:-1], np.diff(packed.starts))

    def encode(self, packed: Packed, *, rows: Array | None = None, rng: Generator | None = None) -> Tensor:
        """(N, D) for all tokens; with `rows` (ascending) for these alone."""
        return self.final_norm(super().encode(packed, rows=rows, rng=rng))           # (N, D), or as many as rows

    def __call__(self, input_ids: ArrayLike, attention_mask: ArrayLike | None = None, *,
                 rng: Generator | None = None) -> Output:
        """input_ids, attention_mask: integers (B, T). Gives `last_hidden_state` (B, T, D), zeros on padding."""
        packed = self.pack(input_ids, None, attention_mask)
        return Output(last_hidden_state=packed.unpack(self.encode(packed, rng=rng)))  # (B, T, D)


class GPT2LMHeadModel(WithLosses, GPT2PretrainedModel):
    """GPT-2 with the scores of all V words for the token that comes next."""

    def __init__(self, config: GPT2Config, *, rng: Generator, dtype: DTypeLike = np.float32):
        self.config = config
        self.body = GPT2Model(config, rng=rng, dtype=dtype)
        self.lm_head = None if config.tie_word_embeddings else Embedding(
            config.vocab_size, config.n_embd, rng=rng, std=config.initializer_range, dtype=dtype)

    def targets(self, packed: Packed, *, labels: ArrayLike | None = None) -> dict[str, Array]:
        """The labels of the loss: "lm" (N,), for each token the label of the next; -100 for the last one of a text."""
        if labels is None:
            return {}
        labels = packed.labels("labels", labels)
        following = np.append(labels[1:], ops.IGNORE)[:len(labels)]                  # (N,)
        following[packed.starts[1:] - 1] = ops.IGNORE
        return {"lm": following}

    def __call__(self, input_ids: ArrayLike, attention_mask: ArrayLike | None = None, labels: ArrayLike | None = None,
                 *, rng: Generator | None = None) -> Output:
        """labels (B, T): usually input_ids again, with -100 on padding. They are shifted here: the output at a token
        is compared with the label of the token after it. The label of a text's first token is not used.

        `logits` are (B, T, V). With labels they are (M, V), for the M tokens before a labelled one in reading order,
        and are computed only if they are read. `correct` says how many labels the model predicts right.

        Other arguments: see `BertModel`. Raises ValueError or TypeError, naming the argument, for what does not fit.
        """
        packed = self.pack(input_ids, None, attention_mask)
        targets = self.targets(packed, labels=labels)
        if not targets:
            return self.output({}, targets, logits=packed.unpack(self.score(self.body.encode(packed, rng=rng))))
        rows = np.flatnonzero(targets["lm"] != ops.IGNORE)                           # (M,)
        loss, right, logits = word_loss(self.decoding(self.body.encode(packed, rows=rows, rng=rng)),
                                        targets["lm"][rows])
        return self.output({"lm": loss}, targets, correct={"lm": right}, when_read={"logits": logits})

    def score(self, x: Tensor) -> Tensor:
        """x (M, D) -> logits (M, V)."""
        return ops.linear(*self.decoding(x))                                         # (M, V)

    def decoding(self, x: Tensor) -> tuple[Tensor, Tensor, None]:
        """The inputs of the last product: (M, D), (V, D) and no bias."""
        return x, (self.body.embeddings.word if self.lm_head is None else self.lm_head).weight, None

    generate = generate

    @classmethod
    def from_pretrained(cls, folder: str | Path, **options) -> GPT2LMHeadModel:
        """As `PretrainedModel.from_pretrained`. The ids of special tokens in generation_config.json override
        those in config.json. Raises CheckpointError, naming the setting, for what `generate` cannot do."""
        return super().from_pretrained(folder, **{**read_generation_config(folder), **options})


class GPT2WithHead(GPT2PretrainedModel, BertWithHead):
    """GPT-2's body with one of BERT's heads on it (Radford et al. 2018, figure 1)."""
    body_class = GPT2Model


class GPT2ForSequenceClassification(GPT2WithHead, BertForSequenceClassification):
    """As BERT's, but it is the last token that is read, the only one to have seen the whole text; by a plain matrix."""
    names = (*GPT2PretrainedModel.names, ("classifier.", "score."))

    def __init__(self, config: GPT2Config, *, rng: Generator, dtype: DTypeLike = np.float32,
                 class_weights: ArrayLike | None = None, label_smoothing: float = 0.0):
        self.config = config
        self.body = GPT2Model(config, rng=rng, dtype=dtype)
        self.classifier = Embedding(config.num_labels, config.n_embd, rng=rng, std=config.initializer_range,
                                    dtype=dtype)
        self.class_weights, self.label_smoothing = class_weights, label_smoothing

    def score(self, packed: Packed, rng: Generator | None) -> Tensor:
        """Logits (B, C) of packed texts."""
        if empty := np.flatnonzero(np.diff(packed.starts) == 0).tolist():
            raise ValueError(f"text {empty[0]} is empty: it has no last token to read")
        last = self.body.encode(packed, rows=packed.starts[1:] - 1, rng=rng)         # (B, D)
        return ops.linear(last, self.classifier.weight, None)                        # (B, C)


class GPT2ForTokenClassification(GPT2WithHead, BertForTokenClassification):
    """As BERT's; no token knows what comes after it."""


class GPT2ForQuestionAnswering(GPT2WithHead, BertForQuestionAnswering):
    """As BERT's; so the question has to stand before the text."""
