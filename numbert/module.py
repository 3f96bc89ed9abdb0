"""Parameters, the modules that hold them, and their initial values."""
from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from contextvars import ContextVar

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, DTypeLike

from .autograd import Array, Node, Tensor

Shape = int | tuple[int, ...]


class Parameter(Tensor):
    """A tensor to differentiate with respect to. Integers become float64, since gradients are not integers; raises
    TypeError for anything but numbers.

    An optimizer changes `data` in place. `grad` is what `Tensor.backward` has added up, an array of the same shape, or
    None; `requires_grad = False` freezes the parameter.
    """
    __slots__ = ("leaf",)                       # its node, also while it is frozen

    def __init__(self, data: ArrayLike):
        data = np.asarray(data, order="C")      # contiguous, so that it can be updated in place
        if data.dtype.kind in "iu":
            data = data.astype(np.float64)
        if data.dtype.kind != "f":
            raise TypeError(f"a parameter must hold floating-point numbers, got {data.dtype}")
        self.leaf = Node()
        super().__init__(data, self.leaf)

    grad = property(lambda self: self.leaf.grad, lambda self, value: setattr(self.leaf, "grad", value),
                    doc="The sum of the gradients that `Tensor.backward` computed, shaped like the data; None before.")

    def __repr__(self):
        shown = super().__repr__()
        return shown if self.requires_grad else f"<frozen {shown[1:]}"

    @property
    def requires_grad(self) -> bool:
        """False: frozen. Nothing that is computed from it alone is recorded, and its gradient is zeros."""
        return self.node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool):
        self.node = self.leaf if value else None


class Module:
    """Something with parameters: its own attributes, and those of the modules in its attributes and lists.

    A module of one's own makes them in `__init__` and computes with them in `__call__`, out of ops and other modules:

        class Scale(Module):
            def __init__(self, size, *, dtype=np.float32):
                self.gain = ones(size, dtype)                       # a Parameter

            def __call__(self, x):                                  # x (N, D)
                return scale_rows(x, self.gain)                     # an op

    `repr` shows the tree of modules with the shapes and the numbers of parameters.
    """

    def named_parameters(self, prefix: str = "") -> dict[str, Parameter]:
        """{name: Parameter}, in the order in which they were made; a name is the path of attributes to it.

        A parameter that is shared between modules has its first name alone. Raises TypeError for parameters in a dict,
        a tuple or a list of lists, where they would be neither trained nor saved.
        """
        found = {}
        for name, value in vars(self).items():
            for path, item in ([(f"{name}.{i}", v) for i, v in enumerate(value)] if isinstance(value, list)
                               else [(name, value)]):
                if isinstance(item, Parameter):
                    found[prefix + path] = item
                elif isinstance(item, Module):
                    found |= item.named_parameters(f"{prefix}{path}.")
                elif isinstance(item, list | tuple | set | dict) and any(
                        isinstance(x, Parameter | Module) for x in (item.values() if isinstance(item, dict) else item)):
                    raise TypeError(f"{type(self).__name__}.{path} is a {type(item).__name__} with parameters in it, "
                                    "which would not be trained: keep them in attributes or in a list")
        first = {parameter: name for name, parameter in reversed(found.items())}
        return {name: parameter for name, parameter in found.items() if first[parameter] == name}

    def parameters(self) -> list[Parameter]:
        """The parameters, in the order of `named_parameters`."""
        return list(self.named_parameters().values())

    def trainable_parameters(self) -> list[Parameter]:
        """The parameters that are not frozen, in the same order."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def __repr__(self):
        dtypes = sorted({str(p.dtype) for p in self.parameters()})
        return "\n".join(_tree(self, " parameters of " + " and ".join(dtypes) if dtypes else " parameters"))


def _tree(module, unit=""):
    """Lines: the module's name, how many numbers are in it, its own parameters; then, indented, the modules in it."""
    own, inside = [], []
    for name, value in vars(module).items():
        if isinstance(value, Parameter):
            own.append(_shape(name, value))
        elif isinstance(value, Module):
            inside += _below(f"({name}): ", _tree(value))
        elif isinstance(value, list):
            own += [_shape(f"{name}.{i}", item) for i, item in enumerate(value) if isinstance(item, Parameter)]
            if trees := [(i, _tree(item)) for i, item in enumerate(value) if isinstance(item, Module)]:
                inside += [f"  ({name}):", *("  " + line for line in _folded(trees))]
    count = sum(p.data.size for p in set(module.parameters()))
    return [f"{type(module).__name__}, {count:,}{unit}" + (": " + ", ".join(own) if own else ""), *inside]


def _shape(name, parameter):
    return f"{name} {parameter.shape}" + ("" if parameter.requires_grad else " frozen")


def _below(name, tree):
    return [f"  {name}{tree[0]}", *("  " + line for line in tree[1:])]


def _folded(trees):
    """The lines of numbered trees; neighbours that look the same are shown once."""
    lines = []
    for _, same in itertools.groupby(trees, key=lambda numbered: numbered[1]):
        (first, tree), *others = same
        if others:
            head, colon, shapes = tree[0].partition(":")
            tree = [f"{1 + len(others)} x {head} each{colon}{shapes}", *tree[1:]]
        lines += _below(f"({first}-{others[-1][0]}): " if others else f"({first}): ", tree)
    return lines


_drawing = ContextVar("drawing", default=None)


@contextlib.contextmanager
def shapes_only() -> Iterator[dict[Parameter, Callable[[], Array]]]:
    """Within this block parameters are made that have a shape, and take no memory: all of their entries are one zero.

    So a model can be compared with a file before the sizes in a configuration are trusted and memory is allocated.
    Gives {parameter: function without arguments that draws its values}, in the order of creation.
    """
    token = _drawing.set(drawing := {})
    try:
        yield drawing
    finally:
        _drawing.reset(token)


def parameter(shape: Shape, dtype: DTypeLike, fill: Callable[[Shape], Array]) -> Parameter:
    """A Parameter of `shape` and `dtype` with the values of `fill(shape)`, or without any within `shapes_only`."""
    def draw():
        return fill(shape).astype(dtype, copy=False)

    if (drawing := _drawing.get()) is None:
        return Parameter(draw())
    empty = Parameter(np.zeros((), dtype))
    empty.data = np.broadcast_to(empty.data, shape)
    drawing[empty] = draw
    return empty


def rescale(parameter: Parameter, factor: float) -> None:
    """Multiply the values of a new parameter, those drawn already or later, by `factor`."""
    if (drawing := _drawing.get()) is None:
        parameter.data *= factor
    else:
        draw = drawing[parameter]
        drawing[parameter] = lambda: draw() * factor


def normal(rng: Generator, shape: Shape, std: float, dtype: DTypeLike) -> Parameter:
    """A parameter of `shape` drawn from N(0, std²): a matrix. The draws are the same for every dtype."""
    return parameter(shape, dtype, lambda shape: rng.standard_normal(shape) * std)


def zeros(shape: Shape, dtype: DTypeLike) -> Parameter:
    """A parameter of zeros: a bias."""
    return parameter(shape, dtype, np.zeros)


def ones(shape: Shape, dtype: DTypeLike) -> Parameter:
    """A parameter of ones: a gain."""
    return parameter(shape, dtype, np.ones)
