"""What every model can do: name its parameters as Hugging Face does, load a checkpoint, report on it, save."""
from __future__ import annotations

import functools
import json
import logging
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, DTypeLike

from .. import ops
from ..autograd import Array, Tensor
from ..hub import files, safetensors
from ..hub.checkpoint import load_weights
from ..hub.errors import CheckpointError, read_json
from ..module import Module, Parameter, shapes_only
from ..packing import Packed
from ..recording import no_grad, recording
from ..tokenizers.encoding import Batch
from .config import ModelConfig

log = logging.getLogger("numbert")
Model = TypeVar("Model", bound="PretrainedModel")

# Parameters that a file lacks may hold so many numbers, or so many for each that was loaded. A file that claims more is
# in error, and would fill the memory. An untied decoder doubles a model, and word vectors are a fifth of BERT-base.
NEW_NUMBERS, NEW_PER_LOADED = 2**24, 16


class Output(types.SimpleNamespace):
    """What a model returns: `loss` (a scalar Tensor, or None without labels) and its outputs, by name.

    With labels `loss` is the sum of `losses`, {name: scalar Tensor}, each the mean over as many labels as `counts`
    says. `when_read`, {name: function}: outputs that are computed when they are first read, without recording if the
    call was under `no_grad`.
    """

    def __init__(self, *, when_read: dict[str, Callable[[], Tensor]] | None = None, **outputs):
        super().__init__(**outputs)
        if when_read:
            self._when_read = {name: f if recording.get() else no_grad()(f) for name, f in when_read.items()}

    def __repr__(self):
        there = [f"{name}={value!r}" for name, value in vars(self).items() if not name.startswith("_")]
        later = [f"{name}=<computed when it is read>" for name in vars(self).get("_when_read", {})
                 if name not in vars(self)]
        return f"{type(self).__name__}({', '.join(there + later)})"

    def __getattr__(self, name):                # called for attributes that are not there, or not yet
        later = vars(self).get("_when_read", {})
        if name not in later:
            there = dict.fromkeys(name for name in (*vars(self), *later) if not name.startswith("_"))
            raise AttributeError(f"the output has no {name}, only {', '.join(there)}")
        setattr(self, name, later[name]())
        return getattr(self, name)


class WithLosses(Module):
    """A body with a head on it: its labels, their number, and its `Output`. What `training.loop.train` trains.

    A model of one's own has a `body` with a method `pack` (or a `pack` itself), and

        def targets(self, packed, *, labels=None):          # {name of a loss: labels as that loss takes them}
            return {} if labels is None else {"tagging": packed.labels("labels", labels)}

        def __call__(self, input_ids, token_type_ids=None, attention_mask=None, labels=None, *, rng=None):
            packed = self.pack(input_ids, token_type_ids, attention_mask)
            ...
            return self.output({"tagging": loss}, self.targets(packed, labels=labels), logits=logits)
    """

    def __call__(self, *inputs, **options) -> Output:
        """The output for a batch of texts; each model's class says what it takes."""
        raise NotImplementedError

    def pack(self, input_ids: ArrayLike, token_type_ids: ArrayLike | None = None,
             attention_mask: ArrayLike | None = None) -> Packed:
        """`Packed` rows of (B, T) arrays, as the body takes them."""
        return self.body.pack(input_ids, token_type_ids, attention_mask)

    def label_counts(self, input_ids: ArrayLike, token_type_ids: ArrayLike | None = None,
                     attention_mask: ArrayLike | None = None, **labels: ArrayLike) -> dict[str, int]:
        """{name of a loss: how many labels of a batch it is the mean over}. The batch is given as in a call."""
        targets = self.targets(self.pack(input_ids, token_type_ids, attention_mask), **labels)
        return {name: ops.label_count(target) for name, target in targets.items()}

    def output(self, losses: dict[str, Tensor], targets: dict[str, Array], **outputs) -> Output:
        """An `Output` with the sum of the losses as its `loss`."""
        return Output(loss=functools.reduce(ops.add, losses.values()) if losses else None, losses=losses,
                      counts={name: ops.label_count(targets[name]) for name in losses}, **outputs)


def correct(logits: Tensor, labels: Array) -> int:
    """For how many labels (N,) is theirs the highest of the row of logits (N, C)? Rows labelled -100 do not count."""
    return int((logits.data.argmax(-1) == labels).sum())


def word_loss(decoding: tuple[Tensor, Tensor, Tensor | None],
              labels: Array) -> tuple[Tensor, int, Callable[[], Tensor]]:
    """(loss, how many labels are right, function that gives the logits (M, V)) for rows with labels (M,).

    decoding: the inputs of the product that gives the logits: rows (M, D), their matrix (V, D), and a bias or None.
    """
    both = ops.linear_cross_entropy(*decoding, labels=labels)
    return ops.column(both, index=0), int(both.data[1]), lambda: ops.linear(*decoding)


def check_dtype(dtype: DTypeLike) -> None:
    """Raises TypeError but for float32 and float64. float16 is neither fast nor exact enough to train in."""
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise TypeError(f"dtype must be float32 or float64, got {np.dtype(dtype)}")


@dataclass
class LoadReport:
    """The result of loading a checkpoint: names that were `loaded`, `new` ones and `unused` ones, each with the reason;
    and `damaged`, loaded ones with values that are not finite."""
    source: str
    loaded: list = field(default_factory=list)
    new: dict = field(default_factory=dict)
    unused: dict = field(default_factory=dict)
    damaged: dict = field(default_factory=dict)

    def __str__(self):
        lines = [f"{self.source}: {len(self.loaded)} tensors loaded, {len(self.new)} new, {len(self.unused)} not used"]
        lines += [f"  new       {name}: {reason}" for name, reason in self.new.items()]
        lines += [f"  not used  {name}: {reason}" for name, reason in self.unused.items()]
        lines += [f"  DAMAGED   {name}: {reason}" for name, reason in self.damaged.items()]
        return "\n".join(lines)

    def log(self) -> None:
        """Log a warning if anything is new, unused or damaged."""
        notable = self.new or self.damaged or any("buffer" not in reason for reason in self.unused.values())
        log.log(logging.WARNING if notable else logging.INFO, "%s", self)


def _damage(array, loaded):
    """What is wrong with the values of an array as it was loaded, in words, or None."""
    bad = loaded.size - int(np.isfinite(loaded).sum())
    if not bad:
        return None
    over = int(np.isfinite(array).sum()) - (loaded.size - bad)
    return f"{bad} of {loaded.size} values are not finite" + (
        f", of which {over} are too large for {loaded.dtype}" if over else "")


class PretrainedModel(Module):
    """A Module with a configuration, and with Hugging Face's name for every parameter.

    `cls(config, rng=np.random.default_rng(0), dtype=np.float32)` is a new one, whose parameters are drawn with `rng`;
    `cls.from_pretrained(folder)` reads one.

    A subclass has `config_class`, the prefix `base` that the body has in files, and `names`, an aligned table of (our
    part of a name, their part); then, without the prefix, their names of the word embeddings, of the decoder that may
    be tied to them, and of the bias of a tied one (None if there is none).
    """
    config: ModelConfig
    load_report: LoadReport                 # of a model that was read from files
    config_class = None
    base = ""
    names: tuple[tuple[str, str], ...] = ()
    their_words = their_decoder = their_bias = None
    buffers: tuple[str, ...] = ("position_ids",)    # ends of names in files that are not weights
    options: tuple[str, ...] = ()           # names of arguments that are not in the configuration

    def __new__(cls, *arguments, dtype=np.float32, **options):
        """Raises TypeError for a dtype other than float32 and float64."""
        check_dtype(dtype)
        return super().__new__(cls)

    def __call__(self, *inputs, **options) -> Output:
        """The output for a batch of texts; each model's class says what it takes."""
        raise NotImplementedError

    @classmethod
    def class_of(cls: type[Model], folder: str | Path) -> type[Model]:
        """The class for the model in `folder`: this one. (The classes of `auto.py` look into the folder.)"""
        return cls

    @property
    def max_tokens(self) -> int:
        """How many tokens the longest text may have."""
        return self.config.max_tokens

    def accepted(self, batch: Batch) -> Batch:
        """A batch of a tokenizer as the model takes it: without token_type_ids where it has no segments."""
        return batch if self.config.type_vocab_size > 1 else {
            name: x for name, x in batch.items() if name != "token_type_ids"}

    def _their_name(self, name):
        for ours, theirs in self.names:
            name = name.replace(ours, theirs)
        return name

    def state_dict(self, values: Iterable[Array] | None = None) -> dict[str, Array]:
        """{Hugging Face's name: array}: the parameters, or any `values` (arrays) in the order of `parameters()`."""
        parameters = self.named_parameters()
        values = [p.data for p in parameters.values()] if values is None else values
        return self._to_file({self._their_name(name): value for name, value in zip(parameters, values, strict=True)})

    def load_state_dict(self, arrays: dict[str, Array], *, source: str | Path = "state_dict",
                        strict: bool = False) -> LoadReport:
        """Copy arrays, by Hugging Face's names, into the parameters. Returns a LoadReport.

        The same parameter: names with and without the `base` prefix, gamma and beta for weight and bias of layer
        norms. A parameter that the arrays lack keeps its value and is listed as new; an array that fits nowhere is
        listed as not used; with `strict` either raises. CheckpointError for a shape that does not fit, or for arrays
        that are not floating-point numbers.
        """
        report, arrays = LoadReport(str(source)), self._from_file(arrays, source)
        given = {self._plain(name): (name, array) for name, array in arrays.items()}
        if len(given) < len(arrays):
            twice = next(name for name in arrays if given[self._plain(name)][0] != name)
            raise CheckpointError(source, f"is the same tensor as {given[self._plain(twice)][0]!r}", twice)
        self._tie(given, report)
        matched = []
        for name, parameter in self.named_parameters().items():
            theirs = self._their_name(name)
            if (found := given.pop(self._plain(theirs), None)) is None:
                report.new[theirs] = "not in the file"
                continue
            their_name, array = found
            if array.shape != parameter.shape:
                raise CheckpointError(source, f"has shape {array.shape}, the model needs {parameter.shape}", their_name)
            if array.dtype.kind != "f":
                raise CheckpointError(source, f"holds {array.dtype}, not floating-point numbers", their_name)
            matched.append((parameter, array))
            report.loaded.append(theirs)
        for name, _ in given.values():
            report.unused[name] = ("a buffer, not a weight" if name.endswith(self.buffers)
                                   else f"{type(self).__name__} has no such part")
        if strict and (report.new or report.unused):
            raise CheckpointError(source, "does not fit exactly (strict=True)\n" + str(report))
        for (parameter, array), name in zip(matched, report.loaded, strict=True):
            with np.errstate(over="ignore"):
                parameter.data = np.array(array, parameter.dtype, order="C")
            if reason := _damage(array, parameter.data):
                report.damaged[name] = reason
        return report

    def draw_new(self, report: LoadReport, drawing: dict[Parameter, Callable[[], Array]]) -> None:
        """Draw the parameters that are new in a LoadReport, in the order of their creation; `drawing` is what
        `shapes_only` gave when the model was made.

        Raises CheckpointError if they are far larger than what was loaded.
        """
        new = {p for name, p in self.named_parameters().items() if self._their_name(name) in report.new}
        size = sum(p.data.size for p in new)
        limit = max(NEW_NUMBERS, NEW_PER_LOADED * sum(p.data.size for p in drawing if p not in new))
        if report.loaded and size > limit:
            raise CheckpointError(report.source, f"{len(new)} tensors are new, from {next(iter(report.new))} on; the "
                                  f"configuration claims {size:,} numbers in them: beside what was loaded at most "
                                  f"{limit:,} are drawn")
        for parameter, draw in drawing.items():
            if parameter in new:
                parameter.data = draw()

    def without_head(self, arrays: dict[str, Array]) -> tuple[dict[str, Array], dict[str, str]]:
        """(arrays, {name: reason}): arrays by Hugging Face's names without those that this model's head would take,
        and what was left out: heads of all kinds have the same names, whatever they were trained for."""
        head = {self._plain(self._their_name(name)) for name in self.named_parameters() if not name.startswith("body.")}
        left_out = {name: f"the head of an earlier task, {array.shape}" for name, array in arrays.items()
                    if self._plain(name) in head}
        return {name: array for name, array in arrays.items() if name not in left_out}, left_out

    def _plain(self, name):
        """A name in the one form that the variants of different files are brought to."""
        for old, new in ((".gamma", ".weight"), (".beta", ".bias")):
            if name.endswith(old):
                name = name.removesuffix(old) + new
        return name.removeprefix(self.base)

    def _to_file(self, arrays):
        """Our arrays under Hugging Face's names, in Hugging Face's layout."""
        return arrays

    def _from_file(self, arrays, source):
        """The inverse. Raises CheckpointError for an impossible shape."""
        return arrays

    def _tie(self, given, report):
        """Remove the second copy of tied tensors from `given`.

        A file may hold a tied decoder beside the word embeddings or instead of them; its bias has two names.
        """
        weight, bias = f"{self.their_decoder}.weight", f"{self.their_decoder}.bias"
        if self.config.tie_word_embeddings and weight in given:
            given.setdefault(self.their_words, given[weight])
            name, array = given.pop(weight)
            if not np.array_equal(array, given[self.their_words][1], equal_nan=True):
                report.unused[name] = "differs from the word embeddings, to which the configuration ties it"
        if self.their_bias:
            kept, other = (self.their_bias, bias) if self.config.tie_word_embeddings else (bias, self.their_bias)
            if other in given:
                given.setdefault(kept, given[other])
                del given[other]

    @classmethod
    def from_pretrained(cls: type[Model], folder: str | Path, *, dtype: DTypeLike = np.float32,
                        rng: Generator | None = None, strict: bool = False, **changes) -> Model:
        """The model in a folder of the Hugging Face format: config.json and weights, as safetensors or for PyTorch.

        Parameters that the file lacks, such as the head of a new task, are drawn with `rng` (default:
        np.random.default_rng(0)), and only these: the same seed gives the same head for every body. `changes` replace
        values of the configuration, as in num_labels=3, or are further arguments of the class, such as class_weights.
        What was loaded, what is new and what was not used is kept in `load_report`, and logged unless all fits.
        Raises CheckpointError, and TypeError for a dtype other than float32 and float64.
        """
        check_dtype(dtype)
        path = Path(folder) / "config.json"
        options = {name: changes.pop(name) for name in cls.options if name in changes}
        try:
            config = cls.config_class.from_dict(read_json(path), **changes)
            with shapes_only() as drawing:
                model = cls(config, rng=np.random.default_rng(0) if rng is None else rng, dtype=dtype, **options)
        except CheckpointError:
            raise
        except (ValueError, TypeError) as error:
            raise CheckpointError(path, str(error)) from None
        model.load_report = model.load_state_dict(load_weights(folder), source=folder, strict=strict)
        if not model.load_report.loaded:
            raise CheckpointError(folder, f"none of its tensors belongs to a {cls.__name__}")
        model.draw_new(model.load_report, drawing)
        model.load_report.log()
        return model

    def save_pretrained(self, folder: str | Path) -> None:
        """Write `folder`/model.safetensors and config.json, each whole or not at all, for numbert and transformers."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        safetensors.write(folder / "model.safetensors", self._exported(), {"format": "pt"})
        settings = self.config.to_dict() | {"architectures": [type(self).__name__],
                                            "torch_dtype": str(self.parameters()[0].dtype)}
        settings.pop("dtype", None)                 # what newer files call torch_dtype: that of the file that was read
        files.write_text(folder / "config.json", json.dumps(settings, indent=2, sort_keys=True) + "\n")

    def _exported(self):
        """With an untied decoder, older versions of transformers look for its bias under another name too."""
        arrays = self.state_dict()
        if self.their_bias and f"{self.their_decoder}.bias" in arrays:
            arrays[self.their_bias] = arrays[f"{self.their_decoder}.bias"]
        return arrays
