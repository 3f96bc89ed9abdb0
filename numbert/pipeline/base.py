"""What all pipelines share: a model is loaded or refused, texts become tokens, batches run on all cores.

A pipeline for a task is a subclass that says which model it needs (`auto_class`) and what becomes of a list of inputs
(`results`). The arguments of `results` are the task's options; `arguments` has those that the command line takes.
"""
from __future__ import annotations

import inspect
import math
import types
import typing
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from ..hub.errors import quoted
from ..models.auto import AutoConfig, check_head, look
from ..models.config import ModelConfig
from ..models.pretrained import PretrainedModel
from ..recording import no_grad
from ..tokenizers.auto import AutoTokenizer
from ..tokenizers.encoding import Encoding
from ..tokenizers.tokenizer import Tokenizer
from ..training.experiment import without_reports
from ..training.parallel import Workers


class Pipeline:
    """A model, its tokenizer, and the options of all calls.

    Called with one input (a str, or a dict where the task needs several texts) it gives the result for it, with a list
    the list of results. batch_size: at most so many texts at once on a core. workers: threads (None: all cores).
    """
    task = ""
    auto_class = None           # the class of `models.auto` that has the head for the task
    unused = ()                 # parts of names of weights that the task does not need
    arguments = {}              # {option of the command line: arguments of add_argument}
    may_be_0 = ()               # the whole numbers among the options that may be; all others are at least 1

    def __init__(self, model: PretrainedModel, tokenizer: Tokenizer, *, batch_size: int = 32,
                 workers: int | None = None, **options):
        self.known({"batch_size": batch_size, "workers": workers}, "batch_size", "workers")
        self.model, self.tokenizer, self.batch_size, self.workers = model, tokenizer, batch_size, Workers(workers).n
        self.options = self.known(options)
        self.check(type(model), model.config, **options)

    @classmethod
    def of(cls, model: str | Path | PretrainedModel, tokenizer: str | Path | Tokenizer | None = None, *,
           dtype: type = np.float32, **options) -> Pipeline:
        """The pipeline of a model or of the one in a folder, see `pipeline`. dtype: of the weights in a folder."""
        if isinstance(model, PretrainedModel):
            if not isinstance(tokenizer, Tokenizer):
                raise ValueError(f"a {type(model).__name__} needs its tokenizer: pipeline({cls.task!r}, model, "
                                 "tokenizer)")
            return cls(model, tokenizer, **options)
        of_task = cls.known(options, "batch_size", "workers")
        needed = cls.auto_class.class_of(model)
        check_head(model, cls.auto_class)
        cls.check(needed, AutoConfig.from_pretrained(model), **of_task)
        if tokenizer is None:
            tokenizer, _ = look(model, cls.auto_class)
        elif not isinstance(tokenizer, Tokenizer):
            tokenizer = AutoTokenizer.from_pretrained(tokenizer)
        with without_reports():
            loaded = needed.from_pretrained(model, dtype=dtype)
        report = loaded.load_report
        if lacking := [name for name in report.new if not any(part in name for part in cls.unused)]:
            raise ValueError(f"{model}: this model was not trained for {cls.task}: the file lacks {', '.join(lacking)}")
        if report.damaged:
            report.log()
        return cls(loaded, tokenizer, **options)

    @classmethod
    def check(cls, model_class: type, config: ModelConfig, **options) -> None:
        """Raise ValueError for a model of this class and configuration that cannot do the task with these options."""

    @classmethod
    def known(cls, options: dict, *others) -> dict:
        """The options without `others`, which are those of `Pipeline`. Raises TypeError for one that the task does not
        have, and for a value of another type than the hint says; ValueError for a number that none of them can be."""
        of_task, of_all = (_keywords(function) for function in (cls.results, Pipeline.__init__))
        if unknown := options.keys() - {*of_task, *others}:
            raise TypeError(f"{cls.task} has no option {min(unknown)}, only {', '.join(of_task)}")
        for name, value in options.items():
            spelled, hint = (of_task | of_all)[name]
            if not _fits(value, hint):
                raise TypeError(f"{name} must be {spelled}, got {value!r:.100}")
            if _fits(value, float):                     # a whole number fits, too
                least = None if _fits(0.5, hint) else int(name not in cls.may_be_0)
                if value < least if least is not None else not 0 < value < math.inf:
                    raise ValueError(f"{name} must be {'finite and above 0' if least is None else f'at least {least}'}"
                                     f", got {value}")
        return {name: value for name, value in options.items() if name in of_task}

    def __call__(self, inputs: str | dict | list, **options) -> dict | list | float:
        """The result for an input, or for a list the list of results. options: override those of the pipeline."""
        several = isinstance(inputs, list | tuple)
        for one in inputs if several else [inputs]:
            if not isinstance(one, str | dict):
                raise TypeError(f"{self.task} takes texts (str), or dicts of them, got {one!r:.100}")
        results = self.results(list(inputs) if several else [inputs], **self.options | self.known(options))
        return results if several else results[0]

    def results(self, inputs: list) -> list:
        """The results for a list of inputs."""
        raise NotImplementedError

    def picture(self, given: str | dict, result: dict | list | float) -> str:
        """The result for one input as text for a terminal."""
        raise NotImplementedError

    def encode(self, text: str, pair: str | None = None, *, truncation: bool | str = False, **options) -> Encoding:
        """The `Encoding` of a text or two as the model reads it. truncation: whether one that is too long is cut, or
        which of the two; otherwise, and for a text without any token, ValueError. TypeError for what is no text."""
        for one in (text, pair):
            if not isinstance(one, str | None):
                raise TypeError(f"{self.task} takes texts (str), got {one!r:.100}")
        longest = self.model.max_tokens
        encoding = self.tokenizer(text, pair, max_length=longest if truncation else None, truncation=truncation,
                                  **options)
        if not len(encoding):
            raise ValueError(f"there is nothing to read in the text {quoted(text)}: it has no tokens")
        if len(encoding) > longest:
            raise ValueError(f"the text {quoted(text)} has {len(encoding)} tokens, and the model takes {longest}"
                             + ("; with truncation it is cut" if "--truncation" in self.arguments else ""))
        return encoding

    def apply(self, forward: Callable, rows: Sequence, collate: Callable | None = None, size: Callable = len,
              most: int | None = None) -> list:
        """The result for each of `rows`, in their order; forward(batch) gives those of a batch.

        Rows of about equal size share a batch, at most `most` of them (default: batch_size), and the cores share the
        batches. collate: rows -> batch (default: the tokenizer's `pad`, as the model takes it).
        """
        collate = collate or (lambda some: self.model.accepted(self.tokenizer.pad(some, side="right")))
        order = sorted(range(len(rows)), key=lambda i: size(rows[i]))
        most = min(most or self.batch_size, -(-len(rows) // self.workers) or 1)
        chosen = [order[start:start + most] for start in range(0, len(order), most)]

        def work(some):
            with no_grad():
                return forward(collate([rows[i] for i in some]))

        if len(chosen) > 1:
            with Workers(self.workers) as workers:
                found = workers.map(work, chosen)
        else:                                           # one batch has all threads of BLAS for itself
            found = map(work, chosen)
        results = [None] * len(rows)
        for some, values in zip(chosen, found, strict=True):
            for i, value in zip(some, values, strict=True):
                results[i] = value
        return results


def softmax(scores: np.ndarray) -> np.ndarray:
    """Probabilities from scores (..., C), in float64."""
    shifted = np.exp(scores.astype(np.float64) - scores.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def sigmoid(scores: np.ndarray) -> np.ndarray:
    """Each score alone as a probability, in float64."""
    return 0.5 * (1 + np.tanh(0.5 * scores.astype(np.float64)))


def names_of(config: ModelConfig) -> list[str]:
    """The names of the classes in the order of their numbers, as transformers calls them where no file does."""
    return [f"LABEL_{i}" if config.id2label is None else str(config.id2label[i]) for i in range(config.num_labels)]


def _keywords(function):
    """{name: (its hint as it is written, its hint)} of the parameters of a function that are given by name alone."""
    hints = typing.get_type_hints(function)
    return {name: (parameter.annotation, hints[name]) for name, parameter in inspect.signature(
        function).parameters.items() if parameter.kind is parameter.KEYWORD_ONLY}


def _fits(value, hint):
    """Whether a value is of a type, as the hints of options are written. True and False are no numbers."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType or origin is typing.Union:
        return any(_fits(value, one) for one in arguments)
    if origin is typing.Literal:
        return isinstance(value, str) and value in arguments
    if origin is list:
        return isinstance(value, list | tuple) and all(_fits(one, arguments[0]) for one in value)
    if hint in (int, float):
        kinds = (int, np.integer) if hint is int else (int, float, np.integer, np.floating)
        return isinstance(value, kinds) and not isinstance(value, bool)
    return isinstance(value, (bool, np.bool_) if hint is bool else hint)


def bars(rows: Iterable[tuple[float, str]], width: int = 20) -> str:
    """Lines with the probability, a bar and the text of each of `rows`, [(probability, text), ...]."""
    return "\n".join(f"  {share:>6.1%}  {'#' * round(width * share):{width}}  {text}" for share, text in rows)
