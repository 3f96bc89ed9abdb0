"""Classes that choose the family of a model by `model_type` in config.json. For a folder with a RoBERTa,
`AutoModelForMaskedLM.from_pretrained(folder)` gives a `RobertaForMaskedLM`. A model that a family does not have raises
CheckpointError before any weight is read.
"""
from __future__ import annotations

from pathlib import Path

from ..hub.checkpoint import weights_file
from ..hub.errors import CheckpointError, read_json
from ..tokenizers.auto import AutoTokenizer
from ..tokenizers.tokenizer import Tokenizer
from . import albert, bert, gpt2, heads, roberta
from .config import BertConfig, ModelConfig
from .pretrained import PretrainedModel

CONFIGS = {"bert": BertConfig, "roberta": roberta.RobertaConfig, "albert": albert.AlbertConfig,
           "gpt2": gpt2.GPT2Config}
CLASSES = {name: cls for module in (bert, heads, roberta, albert, gpt2) for name, cls in vars(module).items()
           if isinstance(cls, type) and issubclass(cls, PretrainedModel) and cls.config_class}


class AutoConfig:
    """The configuration of a model of any family."""

    @staticmethod
    def from_pretrained(folder: str | Path, **changes) -> ModelConfig:
        """That in `folder`/config.json, with `changes`. Raises CheckpointError."""
        path = Path(folder) / "config.json"
        settings = read_json(path)
        try:
            return CONFIGS[_model_type(path, settings)].from_dict(settings, **changes)
        except CheckpointError:
            raise
        except (ValueError, TypeError) as error:
            raise CheckpointError(path, str(error)) from None


def _model_type(path, settings):
    """The family by config.json; older files only name the class that was saved, such as BertForMaskedLM."""
    kind = settings.get("model_type")
    if kind is None:
        name = (_saved_as(settings) or "").lower()
        kind = next((family for family in CONFIGS if name.startswith(family)), None)
    if not isinstance(kind, str) or kind not in CONFIGS:
        raise CheckpointError(path, f"model_type must be one of {', '.join(CONFIGS)}, got {kind!r:.100}")
    return kind


def _saved_as(settings):
    """The name of the class that was saved, None if config.json does not name exactly one."""
    match settings.get("architectures"):
        case [str(name)]:
            return name


def named_class(folder: str | Path, classes: dict[str, type]) -> type | None:
    """The class that config.json in `folder` says was saved, None if it names none.

    Raises CheckpointError if it is none of `classes`, {name: class}.
    """
    path = Path(folder) / "config.json"
    settings = read_json(path)
    if not (named := settings.get("architectures")):
        return None
    if (name := _saved_as(settings)) not in classes:
        raise CheckpointError(path, f"architectures must be one of {', '.join(sorted(classes))}, got {named!r:.100}")
    return classes[name]


class _AutoModel:
    """`classes`: model_type -> the class of a model."""
    classes = {}

    @classmethod
    def class_of(cls, folder: str | Path) -> type[PretrainedModel]:
        """The class for the model in `folder`. Raises CheckpointError for a family that has none, and says which do."""
        path = Path(folder) / "config.json"
        kind = _model_type(path, read_json(path))
        if kind not in cls.classes:
            raise CheckpointError(path, f"model_type is {kind!r}, and {cls.__name__} is for {', '.join(cls.classes)}")
        return cls.classes[kind]

    @classmethod
    def from_pretrained(cls, folder: str | Path, **options) -> PretrainedModel:
        """The model in `folder`; options as for `BertModel.from_pretrained`. Raises CheckpointError."""
        return cls.class_of(folder).from_pretrained(folder, **options)


class AutoModel(_AutoModel):
    """The body of a model."""
    classes = {"bert": bert.BertModel, "roberta": roberta.RobertaModel, "albert": albert.AlbertModel,
               "gpt2": gpt2.GPT2Model}


class AutoModelForPreTraining(_AutoModel):
    """A model with the heads of its pre-training."""
    classes = {"bert": bert.BertForPreTraining, "roberta": roberta.RobertaForMaskedLM,
               "albert": albert.AlbertForPreTraining, "gpt2": gpt2.GPT2LMHeadModel}


class AutoModelForMaskedLM(_AutoModel):
    """A model that predicts masked words."""
    classes = {"bert": heads.BertForMaskedLM, "roberta": roberta.RobertaForMaskedLM,
               "albert": albert.AlbertForMaskedLM}


class AutoModelForCausalLM(_AutoModel):
    """A model that predicts the next word."""
    classes = {"gpt2": gpt2.GPT2LMHeadModel}


class AutoModelForSequenceClassification(_AutoModel):
    """A model with a class for each text."""
    classes = {"bert": heads.BertForSequenceClassification, "roberta": roberta.RobertaForSequenceClassification,
               "albert": albert.AlbertForSequenceClassification, "gpt2": gpt2.GPT2ForSequenceClassification}


class AutoModelForTokenClassification(_AutoModel):
    """A model with a class for each token."""
    classes = {"bert": heads.BertForTokenClassification, "roberta": roberta.RobertaForTokenClassification,
               "albert": albert.AlbertForTokenClassification, "gpt2": gpt2.GPT2ForTokenClassification}


class AutoModelForQuestionAnswering(_AutoModel):
    """A model that predicts the start and end of an answer."""
    classes = {"bert": heads.BertForQuestionAnswering, "roberta": roberta.RobertaForQuestionAnswering,
               "albert": albert.AlbertForQuestionAnswering, "gpt2": gpt2.GPT2ForQuestionAnswering}


class AutoModelForMultipleChoice(_AutoModel):
    """A model with a score for each of several texts."""
    classes = {"bert": heads.BertForMultipleChoice, "roberta": roberta.RobertaForMultipleChoice,
               "albert": albert.AlbertForMultipleChoice}


HEADS_CALLED_ALIKE = "ForSequenceClassification", "ForTokenClassification", "ForMultipleChoice"


def check_head(folder: str | Path, auto_class: type[_AutoModel]) -> None:
    """Raises CheckpointError if the model in `folder` was saved with the head of another task, whose weights have the
    same names as those of `auto_class`, so that nothing else would tell."""
    path = Path(folder) / "config.json"
    name = _saved_as(read_json(path)) or ""
    saved, needed = (next((head for head in HEADS_CALLED_ALIKE if called.endswith(head)), None)
                     for called in (name, auto_class.__name__))
    if saved and needed and saved != needed:
        raise CheckpointError(path, f"the model was trained as {name}, and {auto_class.__name__} is needed")


def look(folder: str | Path, auto_class: type[_AutoModel], *, from_scratch: bool = False) -> tuple[Tokenizer, int]:
    """(tokenizer, how many tokens the longest text has) of the model in `folder`, before work begins.

    Reads no weights. Raises CheckpointError for a family without such a model, for settings or a tokenizer that are not
    supported, and for a folder without weights, unless only its sizes are used (`from_scratch`).
    """
    auto_class.class_of(folder)
    config = AutoConfig.from_pretrained(folder)
    if not from_scratch:
        weights_file(folder)
    return AutoTokenizer.from_pretrained(folder), config.max_tokens
