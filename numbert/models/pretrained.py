"""What every model can do: name its parameters as Hugging Face does, load a checkpoint, say what came of it, save."""
import functools
import json
import logging
import types
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .. import files, ops
from ..heap import keep_memory
from ..hub import safetensors
from ..hub.checkpoint import load_weights
from ..hub.errors import CheckpointError, read_json
from ..layers import Module, shapes_only

log = logging.getLogger("numbert")


class Output(types.SimpleNamespace):
    """What a model gives back: `loss` (a scalar Tensor, or None without labels) and its outputs, by name."""

    def refuse(self, name, error):
        """What is called `name` cannot be had; who asks for it gets the ValueError `error`."""
        self.__dict__.setdefault("_refused", {})[name] = error

    def __getattr__(self, name):                    # only asked for what is not there
        if error := self.__dict__.get("_refused", {}).get(name):
            raise error
        raise AttributeError(f"the output has no {name}, only {', '.join(self.__dict__)}")


def total(losses):
    """The sum of the losses of a dict, None if there are none."""
    return functools.reduce(ops.add, losses.values()) if losses else None


def check_dtype(dtype):
    """Whole numbers would be all zeros, and float16 is neither fast nor exact enough to train in."""
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise TypeError(f"dtype must be float32 or float64, got {np.dtype(dtype)}")


@dataclass
class LoadReport:
    """What became of a checkpoint: names that were `loaded`, `new` ones and `unused` ones, each with the reason."""
    source: str
    loaded: list = field(default_factory=list)
    new: dict = field(default_factory=dict)
    unused: dict = field(default_factory=dict)

    def __str__(self):
        lines = [f"{self.source}: {len(self.loaded)} tensors loaded, {len(self.new)} new, {len(self.unused)} not used"]
        lines += [f"  new       {name}: {reason}" for name, reason in self.new.items()]
        lines += [f"  not used  {name}: {reason}" for name, reason in self.unused.items()]
        return "\n".join(lines)


class PretrainedModel(Module):
    """A Module with a configuration, and with Hugging Face's name for every parameter.

    A subclass has `config_class`, the prefix `base` that the body has in files, and
    `names`, an aligned table of (our part of a name, their part); then, without the prefix, their names of the word
    embeddings, of the decoder that may be tied to them, and of the bias of a tied one (None if there is none).
    """
    config_class = None
    base = ""
    names = ()
    their_words = their_decoder = their_bias = None
    buffers = ("position_ids",)             # how the names of arrays end that stand in files and are no weights

    def __new__(cls, *arguments, dtype=np.float32, **options):
        """Raises TypeError for a dtype that we do not compute in."""
        check_dtype(dtype)
        keep_memory()
        return super().__new__(cls)

    @classmethod
    def class_of(cls, folder):
        """The class for the model in `folder`: this one. (The classes of `auto.py` look into the folder.)"""
        return cls

    @property
    def max_tokens(self):
        """How many tokens the longest text has."""
        return self.config.max_tokens

    def accepted(self, batch):
        """A batch of a tokenizer as the model takes it: without token_type_ids where it has no segments."""
        return batch if self.config.type_vocab_size > 1 else {
            name: x for name, x in batch.items() if name != "token_type_ids"}

    def _their_name(self, name):
        for ours, theirs in self.names:
            name = name.replace(ours, theirs)
        return name

    def state_dict(self, values=None):
        """{Hugging Face's name: array}: the parameters, or any `values` (arrays) in the order of `parameters()`."""
        parameters = self.named_parameters()
        values = [p.data for p in parameters.values()] if values is None else values
        return self._to_file({self._their_name(name): value for name, value in zip(parameters, values, strict=True)})

    def load_state_dict(self, arrays, *, source="state_dict", strict=False):
        """Copy arrays, by Hugging Face's names, into the parameters. Returns a LoadReport.

        Known to be the same: names with and without the `base` prefix, gamma and beta for weight and bias of layer
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
        for parameter, array in matched:
            parameter.data = np.array(array, parameter.dtype, order="C")
        return report

    def _plain(self, name):
        """A name without what differs between files that mean the same."""
        for old, new in ((".gamma", ".weight"), (".beta", ".bias")):
            if name.endswith(old):
                name = name.removesuffix(old) + new
        return name.removeprefix(self.base)

    def _to_file(self, arrays):
        """Our arrays under Hugging Face's names, in Hugging Face's layout."""
        return arrays

    def _from_file(self, arrays, source):
        """The inverse. Raises CheckpointError for a shape that cannot be."""
        return arrays

    def _tie(self, given, report):
        """Take out of `given` what only says again that two tensors are one.

        A tied decoder may stand in a file again, or stand there alone; its bias has two names.
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
    def from_pretrained(cls, folder, *, dtype=np.float32, rng=None, strict=False, **changes):
        """The model in a folder of the Hugging Face format: config.json and weights, as safetensors or for PyTorch.

        Parameters that the file lacks, such as the head of a new task, are drawn with `rng` (default:
        np.random.default_rng(0)). `changes` replace values of the configuration, as in num_labels=3. What was loaded,
        what is new and what was not used is kept in `load_report`, and logged if there is something to say.
        Raises CheckpointError, and TypeError for a dtype other than float32 and float64.
        """
        check_dtype(dtype)
        path = Path(folder) / "config.json"
        try:
            config = cls.config_class.from_dict(read_json(path), **changes)
            with shapes_only():
                model = cls(config, rng=None, dtype=dtype)
        except CheckpointError:
            raise
        except (ValueError, TypeError) as error:
            raise CheckpointError(path, str(error)) from None
        model.load_report = model.load_state_dict(load_weights(folder), source=folder, strict=strict)
        if not model.load_report.loaded:
            raise CheckpointError(folder, f"none of its tensors belongs to a {cls.__name__}")
        if model.load_report.new:
            drawn = cls(config, rng=np.random.default_rng(0) if rng is None else rng, dtype=dtype).named_parameters()
            for name, parameter in model.named_parameters().items():
                if model._their_name(name) in model.load_report.new:
                    parameter.data = drawn[name].data
        notable = model.load_report.new or any("buffer" not in reason for reason in model.load_report.unused.values())
        log.log(logging.WARNING if notable else logging.INFO, "%s", model.load_report)
        return model

    def save_pretrained(self, folder):
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
