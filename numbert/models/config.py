"""What a BERT is in numbers, under the names of Hugging Face's config.json."""
import dataclasses
import warnings
from dataclasses import dataclass, field

from .. import ops

ACTIVATIONS = {"gelu": ops.gelu, "gelu_new": ops.gelu_tanh, "gelu_pytorch_tanh": ops.gelu_tanh, "relu": ops.relu}

# Turc et al. 2019, table 1, and Devlin et al. 2019, section 3: layers and width; heads are 64 wide, F = 4 D.
SIZES = {"tiny": (2, 128), "mini": (4, 256), "small": (4, 512), "base": (12, 768)}


@dataclass(frozen=True)
class BertConfig:
    """The published BERT by default. Raises ValueError for what cannot be, naming the value and the limit.

    `extra` holds the keys of a config.json that are not BERT's numbers; they are written back as they came.
    """
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
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int = 0
    tie_word_embeddings: bool = True
    num_labels: int = 2
    id2label: dict | None = None
    problem_type: str | None = None                 # for sequence classification; None: by num_labels and the labels
    extra: dict = field(default_factory=dict)

    model_type = "bert"

    def __post_init__(self):
        for name in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
                     "max_position_embeddings", "type_vocab_size", "num_labels"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise ValueError(f"{name} must be a whole number, got {value!r}")
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"):
            value = getattr(self, name)
            if value is None and name == "classifier_dropout":
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
                raise ValueError(f"{name} must be a probability below 1, got {value!r}")
        for name in ("initializer_range", "layer_norm_eps"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
                raise ValueError(f"{name} must be a positive number, got {value!r}")
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(f"hidden_size = {self.hidden_size} must be divisible by num_attention_heads = "
                             f"{self.num_attention_heads}: every head gets the same width")
        if self.hidden_act not in tuple(ACTIVATIONS):               # a tuple: a file may name what cannot be hashed
            raise ValueError(f"hidden_act must be one of {', '.join(ACTIVATIONS)}; got {self.hidden_act!r}")
        if self.problem_type not in (None, "regression", "single_label_classification", "multi_label_classification"):
            raise ValueError("problem_type must be regression, single_label_classification or "
                             f"multi_label_classification; got {self.problem_type!r}")
        if not isinstance(self.tie_word_embeddings, bool):
            raise ValueError(f"tie_word_embeddings must be true or false, got {self.tie_word_embeddings!r}")
        if self.id2label is not None:
            if not isinstance(self.id2label, dict) or not all(isinstance(n, str | int) for n in self.id2label.values()):
                raise ValueError(f"id2label must map numbers to names, got {self.id2label!r}")
            if len(self.id2label) != self.num_labels:
                raise ValueError(f"num_labels = {self.num_labels}, but id2label names {len(self.id2label)} labels")

    @classmethod
    def preset(cls, size, **changes):
        """One of Google's sizes: tiny, mini, small or base."""
        if size not in SIZES:
            raise ValueError(f"size must be one of {', '.join(SIZES)}; got {size!r}")
        layers, width = SIZES[size]
        return cls(**{"num_hidden_layers": layers, "hidden_size": width, "num_attention_heads": width // 64,
                      "intermediate_size": 4 * width, **changes})

    def replace(self, **changes):
        """The same configuration with some values changed."""
        return dataclasses.replace(self, **changes)

    @classmethod
    def from_dict(cls, settings, **changes):
        """From the contents of a config.json. What we do not implement is refused by name."""
        if not isinstance(settings, dict):
            raise ValueError(f"a configuration must be an object of names and values, got {type(settings).__name__}")
        settings = dict(settings)
        if (kind := settings.pop("model_type", cls.model_type)) != cls.model_type:
            raise ValueError(f"model_type is {kind!r}, and {cls.__name__} is for {cls.model_type!r}")
        for name, only in (("position_embedding_type", "absolute"), ("is_decoder", False),
                           ("add_cross_attention", False), ("is_encoder_decoder", False)):
            if settings.get(name, only) not in (only, None):
                raise ValueError(f"{name} = {settings[name]!r} is not implemented, only {only!r}")
        known = {f.name for f in dataclasses.fields(cls)} - {"extra"}
        settings["id2label"], settings["num_labels"] = _labels(settings)
        if changes.get("num_labels", settings["num_labels"]) != settings["num_labels"]:
            settings["id2label"] = None
        fields = {name: value for name, value in settings.items() if name in known}
        extra = {name: value for name, value in settings.items() if name not in known | {"label2id"}}
        return cls(**{**fields, "extra": extra, **changes})

    def to_dict(self):
        """The contents of a config.json."""
        settings = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        settings |= {"model_type": self.model_type, **settings.pop("extra")}
        names = settings.pop("id2label")
        count = settings.pop("num_labels")
        if names is None and count != 2:
            names = {i: f"LABEL_{i}" for i in range(count)}
        if names is not None:                       # Hugging Face reads the number of labels off their names
            settings["id2label"] = {str(i): name for i, name in names.items()}
            settings["label2id"] = {name: i for i, name in names.items()}
        return settings


def _labels(settings):
    """id2label with whole numbers for keys, and num_labels; where they disagree, the names count."""
    names, count = settings.get("id2label"), settings.get("num_labels")
    if names is None:
        return None, 2 if count is None else count
    if not isinstance(names, dict):
        raise ValueError(f"id2label must map numbers to names, got {names!r}")
    try:
        names = {int(i): name for i, name in names.items()}
    except ValueError:
        raise ValueError(f"id2label must map numbers to names, got {names!r}") from None
    if count is not None and count != len(names):
        warnings.warn(f"num_labels is {count}, but id2label names {len(names)}, which counts", stacklevel=3)
    return names, len(names)
