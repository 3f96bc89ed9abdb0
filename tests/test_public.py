"""The public surface: every function, class and method of it has type hints that resolve, and a docstring."""
import importlib
import importlib.resources
import inspect
import typing

import pytest

import numbert
from numbert.autograd import op

MODULES = [importlib.import_module(f"numbert.{name}") for name in """
    autograd recording sparse module packing layers
    ops.activations ops.attention ops.linear ops.losses ops.normalization ops.rows ops.shapes
    hub.checkpoint hub.errors hub.files hub.packages hub.safetensors hub.torch_pickle
    tokenizers.albert tokenizers.auto tokenizers.byte_bpe tokenizers.charsmap tokenizers.encoding
    tokenizers.normalise tokenizers.sentence_piece tokenizers.tokenizer tokenizers.unigram tokenizers.wordpiece
    models.albert models.auto models.bert models.config models.cost models.generation models.gpt2 models.heads
    models.pretrained models.roberta models.onnx_file
    training.loop training.optimizer training.parallel
    pretraining.baselines pretraining.batches pretraining.corpus pretraining.documents pretraining.evaluation
    pretraining.families pretraining.masking pretraining.sentence_pairs
    gradcheck pipeline pipeline.answers pipeline.base pipeline.classes pipeline.tags pipeline.vectors pipeline.words
    """.split()]


def named(module):
    """(name, function, class or op) for everything public that a module defines."""
    return [(name, value) for name, value in vars(module).items() if not name.startswith("_")
            and (inspect.isclass(value) or inspect.isfunction(value) or isinstance(value, op))
            and (value.__module__ == module.__name__ or name in getattr(module, "__all__", ()))]


def functions(value):
    """(name, function) for what can be called: the function itself, or the methods that a class defines."""
    if not inspect.isclass(value):
        yield "", inspect.unwrap(value) if inspect.isfunction(value) else value.forward
        return
    for name, member in vars(value).items():
        if name.startswith("_") and name not in ("__init__", "__call__", "__enter__"):
            continue
        member = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if inspect.isfunction(member) and member.__name__ != "<lambda>" and member.__module__ == value.__module__:
            yield name, inspect.unwrap(member)


def without_hints(function, is_op=False):
    """What has no hint: names of parameters, "return". *inputs and **options, which are passed on, need none."""
    signature, hints = inspect.signature(function), typing.get_type_hints(function)
    missing = [name for name, parameter in signature.parameters.items() if name not in ("self", "cls", *hints)
               and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)]
    returns = is_op or function.__name__ == "__init__" or "return" in hints
    return missing if returns else [*missing, "return"]


def is_backward(module, function):
    return function in [value.backward for value in vars(module).values() if isinstance(value, op)]


PLACES = [pytest.param(module, value, id=f"{module.__name__.removeprefix('numbert.')}.{name}")
          for module in MODULES for name, value in named(module) if not is_backward(module, value)]


def test_the_walk_sees_what_is_missing():
    def bare(x, y: int):
        pass

    def full(x: int, *more: str) -> None:
        pass

    class Some:
        def method(self, x) -> None:
            pass

        @property
        def size(self):
            return 1

    assert without_hints(bare) == ["x", "return"] and without_hints(full) == []
    assert [(name, without_hints(f)) for name, f in functions(Some)] == [("method", ["x"]), ("size", ["return"])]
    assert {name for name, _ in functions(numbert.BertModel)} > {"__init__", "__call__", "encode", "distinct_layers"}


def test_all_that_numbert_exports_is_walked():
    walked = [value for module in MODULES for _, value in named(module)]
    assert [name for name in numbert.__all__ if getattr(numbert, name) not in walked] == []
    assert [name for name in numbert.ops.__all__ if callable(getattr(numbert.ops, name))
            and name != "Mask" and getattr(numbert.ops, name) not in walked] == []


@pytest.mark.parametrize(("module", "value"), PLACES)
def test_hints(module, value):
    assert {name: missing for name, function in functions(value)
            if (missing := without_hints(function, isinstance(value, op)))} == {}


@pytest.mark.parametrize(("module", "value"), PLACES)
def test_help_shows_short_names(module, value):
    """ArrayLike, as it stands in the source, and not the union of seven types of NumPy's that it is."""
    assert not [name for name, function in functions(value) if "numpy._typing" in str(inspect.signature(function))]


@pytest.mark.parametrize(("module", "value"), PLACES)
def test_docstrings(module, value):
    """A class's says what making and calling it does; a method may have that of the method that it overrides."""
    said = value.__doc__ or ""
    assert said and not said.startswith(f"{value.__name__}("), "a dataclass describes itself by its fields alone"
    if inspect.isclass(value):
        methods = [name for name, _ in functions(value) if not name.startswith("__") or name == "__call__"]
        assert [name for name in methods if inspect.getdoc(getattr(value, name)) in (None, type.__call__.__doc__)] == []


def test_the_package_says_that_it_is_typed():
    assert (importlib.resources.files("numbert") / "py.typed").is_file()
