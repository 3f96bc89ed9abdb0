"""Parameters, what holds them, and how they are drawn."""
import contextlib
from contextvars import ContextVar

import numpy as np

from .autograd import Node, Tensor


class Parameter(Tensor):
    """A tensor to differentiate with respect to. Integers become float64, since no gradient is a whole number; raises
    TypeError for what is no number."""
    __slots__ = ("leaf",)                       # its node, also while it is frozen

    def __init__(self, data):
        data = np.asarray(data, order="C")      # in one piece, so that it can be moved in place
        if data.dtype.kind in "iu":
            data = data.astype(np.float64)
        if data.dtype.kind != "f":
            raise TypeError(f"a parameter must hold floating-point numbers, got {data.dtype}")
        self.leaf = Node()
        super().__init__(data, self.leaf)

    grad = property(lambda self: self.leaf.grad, lambda self, value: setattr(self.leaf, "grad", value))

    @property
    def requires_grad(self):
        """False: frozen. Nothing that is computed from it alone is recorded, and its gradient is zeros."""
        return self.node is not None

    @requires_grad.setter
    def requires_grad(self, value):
        self.node = self.leaf if value else None


class Module:
    """Something with parameters: its own attributes, and those of the modules in its attributes and lists."""

    def named_parameters(self, prefix=""):
        """{name: Parameter}, in the order in which they were made; a name is the path of attributes to it."""
        found = {}
        for name, value in vars(self).items():
            for path, item in ([(f"{name}.{i}", v) for i, v in enumerate(value)] if isinstance(value, list)
                               else [(name, value)]):
                if isinstance(item, Parameter):
                    found[prefix + path] = item
                elif isinstance(item, Module):
                    found |= item.named_parameters(f"{prefix}{path}.")
        return found

    def parameters(self):
        """The parameters, in the order of `named_parameters`."""
        return list(self.named_parameters().values())

    def trainable_parameters(self):
        """Those of them that are not frozen."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]


_drawing = ContextVar("drawing", default=None)


@contextlib.contextmanager
def shapes_only():
    """Within this block parameters are made that have a shape, and take no memory: all of their entries are one zero.

    So a model can be compared with a file before anything is allocated that a configuration merely claims. Gives
    {parameter: function of nothing that draws its values}, in the order in which they are made, to draw some later.
    """
    token = _drawing.set(drawing := {})
    try:
        yield drawing
    finally:
        _drawing.reset(token)


def parameter(shape, dtype, fill):
    """A Parameter of `shape`, with the values that `fill(shape)` gives."""
    def draw():
        return fill(shape).astype(dtype, copy=False)

    if (drawing := _drawing.get()) is None:
        return Parameter(draw())
    empty = Parameter(np.zeros((), dtype))
    empty.data = np.broadcast_to(empty.data, shape)
    drawing[empty] = draw
    return empty


def rescale(parameter, factor):
    """Make the values that a new parameter has, or will be drawn, `factor` times as large."""
    if (drawing := _drawing.get()) is None:
        parameter.data *= factor
    else:
        draw = drawing[parameter]
        drawing[parameter] = lambda: draw() * factor


def normal(rng, shape, std, dtype):
    """A parameter drawn from N(0, std²). The draws are the same for every dtype."""
    return parameter(shape, dtype, lambda shape: rng.standard_normal(shape) * std)


def zeros(shape, dtype):
    return parameter(shape, dtype, np.zeros)


def ones(shape, dtype):
    return parameter(shape, dtype, np.ones)
