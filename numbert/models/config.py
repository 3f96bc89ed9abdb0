"""Configurations of models, under the names of Hugging Face's config.json: what all share, and BERT's."""
from __future__ import annotations

import dataclasses
import logging
import re
import warnings
from dataclasses import dataclass, field
from typing import TypeVar

from .. import ops

log = logging.getLogger("numbert")
Config = TypeVar("Config", bound="ModelConfig")

ACTIVATIONS = {"gelu": ops.gelu, "gelu_python": ops.gelu, "relu": ops.relu, "tanh": ops.tanh,
               **dict.fromkeys(("gelu_new", "gelu_fast", "gelu_accurate", "gelu_pytorch_tanh", "gelu_python_tanh"),
                               ops.gelu_tanh)}

# What may stand in a config.json and changes nothing here, and why. A key that is neither a field of the configuration
# nor in `only` nor here is kept, written back, and logged as not followed.
FROM = "where the file came from"
SPEED = "memory and time, not results"
OUTPUT = "what a model gives back besides; ours gives what its docstring says"
NUMBERS = "from_pretrained(dtype=...) decides"
WRITING = "an argument of generate"
CROSS = "of decoders that read an encoder, which are refused"
UNREAD = "of Google's code; no model reads it"
TOKENIZER = "the tokenizer's files say it"
NO_INFLUENCE = {key: reason for reason, keys in {
    FROM: "_name_or_path name_or_path transformers_version _commit_hash finetuning_task architectures",
    SPEED: "use_cache gradient_checkpointing chunk_size_feed_forward _attn_implementation attn_implementation "
           "_attn_implementation_autoset reorder_and_upcast_attn",
    OUTPUT: "return_dict output_hidden_states output_attentions output_past torchscript xla_device",
    NUMBERS: "dtype torch_dtype use_bfloat16",
    TOKENIZER: "tokenizer_class prefix sep_token_id bos_token_id eos_token_id",
    CROSS: "decoder_start_token_id cross_attention_hidden_size tie_encoder_decoder",
    WRITING: "task_specific_params max_length min_length max_new_tokens do_sample early_stopping num_beams "
             "num_beam_groups diversity_penalty temperature top_k top_p typical_p repetition_penalty length_penalty "
             "no_repeat_ngram_size encoder_no_repeat_ngram_size bad_words_ids num_return_sequences output_scores "
             "return_dict_in_generate forced_bos_token_id forced_eos_token_id remove_invalid_values "
             "exponential_decay_length_penalty suppress_tokens begin_suppress_tokens eos_token_ids",
    UNREAD: "directionality pooler_fc_size pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head "
            "pooler_type down_scale_factor gap_size net_structure_type num_memory_blocks layers_to_keep "
            "tf_legacy_loss",
    "id2label says it, and is refused where the two contradict each other": "label2id",
}.items() for key in keys.split()}

# Turc et al. 2019, table 1, and Devlin et al. 2019, section 3: layers and width; heads are 64 wide, F = 4 D.
SIZES = {"tiny": (2, 128), "mini": (4, 256), "small": (4, 512), "base": (12, 768)}

MAX_LAYERS = 1000           # far more than real models have; bounds the time to build one


@dataclass(frozen=True)
class ModelConfig:
    """What the configurations of all families share: checks, reading and writing config.json.

    A subclass lists in `whole`, `probabilities` and `positive` which of its numbers are of which kind (None is allowed
    where it is the default). `extra` holds the keys of a config.json that are not the model's numbers; they are written
    back as they came.
    """
    initializer_range: float = 0.02
    tie_word_embeddings: bool = True
    num_labels: int = 2
    id2label: dict | None = None
    problem_type: str | None = None                 # for sequence classification; None: by num_labels and the labels
    extra: dict = field(default_factory=dict)

    model_type = ""
    whole = ()
    probabilities = ()
    positive = ("initializer_range",)
    width, heads, activation = "hidden_size", "num_attention_heads", "hidden_act"       # what the family calls them
    only = {"is_decoder": False, "add_cross_attention": False, "is_encoder_decoder": False,     # all that there is here
            "pruned_heads": {}, "quantization_config": None, "auto_map": {}}
    no_influence = NO_INFLUENCE

    def __post_init__(self):
        optional = {f.name for f in dataclasses.fields(self) if f.default is None and getattr(self, f.name) is None}
        for name in (*self.whole, "num_labels"):
            value = getattr(self, name)
            if name in optional:
                continue
            if isinstance(value, bool) or not isinstance(value, int):
                raise ValueError(f"{name} must be a whole number, got {value!r}")
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
            if "layer" in name and value > MAX_LAYERS:
                raise ValueError(f"{name} must be at most {MAX_LAYERS}, got {value}")
        for name in self.probabilities:
            value = getattr(self, name)
            if name in optional:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
                raise ValueError(f"{name} must be a probability below 1, got {value!r}")
        for name in self.positive:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
                raise ValueError(f"{name} must be a positive number, got {value!r}")
        size, heads, activation = (getattr(self, name) for name in (self.width, self.heads, self.activation))
        if size % heads:
            raise ValueError(f"{self.width} = {size} must be divisible by {self.heads} = {heads}: every head gets the "
                             "same width")
        if activation not in tuple(ACTIVATIONS):                    # a tuple: the value in a file may be unhashable
            raise ValueError(f"{self.activation} must be one of {', '.join(ACTIVATIONS)}; got {activation!r}")
        for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
            value = getattr(self, name, None)
            some = value if name == "eos_token_id" and isinstance(value, list) else [value]
            if not all(i is None or (isinstance(i, int) and not isinstance(i, bool)) for i in some):
                raise ValueError(f"{name} must be a whole number, got {value!r}")
        if self.problem_type not in (None, "regression", "single_label_classification", "multi_label_classification"):
            raise ValueError("problem_type must be regression, single_label_classification or "
                             f"multi_label_classification; got {self.problem_type!r}")
        if not isinstance(self.tie_word_embeddings, bool):
            raise ValueError(f"tie_word_embeddings must be true or false, got {self.tie_word_embeddings!r}")
        if self.id2label is not None:
            if not isinstance(self.id2label, dict) or not all(isinstance(n, str | int) for n in self.id2label.values()):
                raise ValueError(f"id2label must map numbers to names, got {self.id2label!r}")
            if set(self.id2label) != set(range(len(self.id2label))):
                raise ValueError(f"id2label must name the labels 0, 1, 2, ..., got {sorted(self.id2label, key=str)}")
            if len(self.id2label) != self.num_labels:
                raise ValueError(f"num_labels = {self.num_labels}, but id2label names {len(self.id2label)} labels")

    @property
    def max_tokens(self) -> int:
        """How many tokens the longest text may have."""
        return self.max_position_embeddings

    @property
    def label_names(self) -> dict:
        """{class id: its name}; without names the ids themselves."""
        return self.id2label or {i: i for i in range(self.num_labels)}

    def replace(self: Config, **changes) -> Config:
        """The same configuration with some values changed."""
        return dataclasses.replace(self, **changes)

    @classmethod
    def from_dict(cls: type[Config], settings: dict, **changes) -> Config:
        """From the contents of a config.json. What we do not implement is refused by name."""
        if not isinstance(settings, dict):
            raise ValueError(f"a configuration must be an object of names and values, got {type(settings).__name__}")
        settings = dict(settings)
        if (kind := settings.pop("model_type", cls.model_type)) != cls.model_type:
            raise ValueError(f"model_type is {kind!r}, and {cls.__name__} is for {cls.model_type!r}")
        for name, only in cls.only.items():
            if settings.get(name, only) not in (only, None):
                raise ValueError(f"{name} = {settings[name]!r} is not implemented, only {only!r}")
        known = {f.name for f in dataclasses.fields(cls) if f.init} - {"extra"}
        unknown = sorted(settings.keys() - known - cls.only.keys() - cls.no_influence.keys())
        if unknown:
            log.warning("configuration of %s: not followed, because unknown: %s", cls.model_type, ", ".join(unknown))
        settings["id2label"], settings["num_labels"] = _labels(settings)
        if changes.get("num_labels", settings["num_labels"]) != settings["num_labels"]:
            settings["id2label"] = None
        fields = {name: value for name, value in settings.items() if name in known}
        extra = {name: value for name, value in settings.items() if name not in known | {"label2id"}}
        return cls(**{**fields, "extra": extra, **changes})

    def to_dict(self) -> dict:
        """The contents of a config.json."""
        settings = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.init}
        settings |= {"model_type": self.model_type, **settings.pop("extra")}
        names = settings.pop("id2label")
        count = settings.pop("num_labels")
        if names is None and count != 2:
            names = {i: f"LABEL_{i}" for i in range(count)}
        if names is not None:                       # Hugging Face reads the number of labels off their names
            settings["id2label"] = {str(i): name for i, name in names.items()}
            settings["label2id"] = {name: i for i, name in names.items()}
        return settings


@dataclass(frozen=True)
class BertConfig(ModelConfig):
    """The published BERT by default. Raises ValueError for an invalid value, naming it and the limit."""
    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    classifier_dropout: float | None = None         # None: hidden_dropout_prob
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12
    pad_token_id: int = 0

    model_type = "bert"
    whole = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
             "max_position_embeddings", "type_vocab_size")
    probabilities = ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout")
    positive = ("initializer_range", "layer_norm_eps")
    only = ModelConfig.only | {"position_embedding_type": "absolute"}

    @property
    def embedding_size(self) -> int:
        """The width of the word vectors: that of the model."""
        return self.hidden_size

    @property
    def head_dropout_prob(self) -> float:
        """The dropout before a classifier."""
        return self.hidden_dropout_prob if self.classifier_dropout is None else self.classifier_dropout

    @classmethod
    def preset(cls: type[Config], size: str, **changes) -> Config:
        """One of Google's sizes: tiny, mini, small or base."""
        if size not in SIZES:
            raise ValueError(f"size must be one of {', '.join(SIZES)}; got {size!r}")
        layers, width = SIZES[size]
        return cls(**{"num_hidden_layers": layers, "hidden_size": width, "num_attention_heads": width // 64,
                      "intermediate_size": 4 * width, **changes})


def _labels(settings):
    """id2label with integer keys, and num_labels; if they disagree, the names are used."""
    names, count = settings.get("id2label"), settings.get("num_labels")
    if names is None:
        return None, 2 if count is None else count
    if not isinstance(names, dict):
        raise ValueError(f"id2label must map numbers to names, got {names!r}")
    if not all(isinstance(i, int) or re.fullmatch("0|[1-9][0-9]{0,8}", i) for i in names):     # "00" is another 0
        raise ValueError(f"id2label must map numbers to names, got {names!r:.200}")
    names, ids = {int(i): name for i, name in names.items()}, settings.get("label2id") or {}
    for i, name in names.items():
        if isinstance(ids, dict) and isinstance(name, str) and ids.get(name, i) != i and names.get(ids[name]) != name:
            raise ValueError(f"label2id has {name!r:.100} for {ids[name]!r:.20}, which id2label calls "
                             f"{names.get(ids[name])!r:.100}; delete the wrong one")
    if count is not None and count != len(names):
        warnings.warn(f"num_labels is {count}, but id2label names {len(names)}, which counts", stacklevel=3)
    return names, len(names)
