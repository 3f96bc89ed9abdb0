"""Reverse-mode differentiation of NumPy functions.

`op` makes of two plain functions over arrays one that remembers where its output came from, if called on a `Tensor`.
`gradients` walks back through the recorded nodes and changes nothing that is shared: any number of threads may do so.
"""
from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from .recording import recording, watchers
from .sparse import Array, accumulate, dense

REGISTRY: dict[str, op] = {}                  # every op by name; the tests check the derivative of each


class Node:
    """How a tensor was made: by `op` (that of a parameter: by none), from `parents` of these `shapes`."""
    __slots__ = ("op", "parents", "shapes", "saved", "depth", "grad")       # saved arrays are kept, the value is not

    def __init__(self, op: op | None = None, parents: Sequence = (), shapes: Sequence = (), saved: object = None):
        self.op, self.parents, self.shapes, self.saved, self.grad = op, parents, shapes, saved, None
        self.depth = 1 + max((parent.depth for parent in parents if parent), default=0)


class Tensor:
    """An array, `data`, and the `node` that records how it was made (None: no gradient reaches it).

    It has no arithmetic and no indexing: call an op, or work on `data`, to which no gradient leads.
    """
    __slots__ = ("data", "node")

    def __init__(self, data: ArrayLike, node: Node | None = None):
        self.data, self.node = np.asarray(data), node

    shape = property(lambda self: self.data.shape)
    dtype = property(lambda self: self.data.dtype)
    __array_ufunc__ = None                      # array + tensor is a TypeError: it would lose the history silently

    def __array_function__(self, function, types, arguments, options):
        if function in (np.shape, np.ndim, np.size):
            return function(self.data)
        raise TypeError(f"np.{function.__name__} of a Tensor would lose how it was made: use an op, or .data")

    def __array__(self, dtype=None, copy=None):
        return np.array(self.data, dtype=dtype) if copy else np.asarray(self.data, dtype=dtype)

    def __float__(self):
        return float(self.data)

    def __len__(self):
        return len(self.data)

    def __repr__(self):
        how = f", made by {self.node.op.name}" if self.node and self.node.op else ""
        numbers = " ".join(np.array2string(self.data, precision=4, threshold=12, edgeitems=1).split())
        return f"<{type(self).__name__} {self.shape} {self.dtype}{how}: {numbers}>"

    def backward(self) -> None:
        """Add the gradient of this scalar into `.grad` of every `Parameter` that it was computed from."""
        leaves = [node for node in _ancestors(self.node) if node.op is None] if self.node else []
        for leaf, gradient in zip(leaves, _walk(self, leaves, None), strict=True):
            leaf.grad = gradient if leaf.grad is None else leaf.grad + gradient


class op:
    """A function and its derivative: a pair of plain functions over plain arrays.

        @op
        def multiply(x, y):
            return x * y, (x, y)                # the output, and a tuple of what its derivative will need

        @multiply.vjp
        def multiply_backward(dy, saved):       # the gradient of the output -> those of the inputs, in their order
            x, y = saved
            return dy * y, dy * x

    Inputs are given by position: a gradient has the shape and dtype of its input, or is None. Options are given by name
    and have no gradient. A backward function changes only arrays that it allocated, and never returns the same memory
    twice (it may return `dy` itself, once). `numbert.gradcheck.check` says whether its gradients are right.
    """

    def __init__(self, forward: Callable):
        functools.update_wrapper(self, forward)
        self.name, self.forward, self.backward = forward.__name__, forward, None
        REGISTRY[self.name] = self

    def __repr__(self):
        return f"<op {self.name}>"

    def __reduce__(self):                       # copied and pickled by name: there is one of each op
        return self.__qualname__

    def vjp(self, backward: Callable) -> Callable:
        """Decorator for the second function, the vector-Jacobian product: `backward(dy, saved)` gives the gradients."""
        self.backward = backward
        return backward

    def __call__(self, *inputs: Tensor | Array | None, **options) -> Tensor | Array:
        """A Tensor if one is among the inputs, and otherwise an array. Raises TypeError for one among the options."""
        if tensors := [name for name, value in options.items() if isinstance(value, Tensor)]:
            raise TypeError(f"{self.name}: no gradient reaches an option; give the Tensor {tensors[0]} by position")
        arrays = [x.data if isinstance(x, Tensor) else x for x in inputs]
        made = self.forward(*arrays, **options)
        if not isinstance(made, tuple) or len(made) != 2 or not isinstance(made[1], tuple):
            raise ValueError(f"{self.name}: the forward pass must return (output, saved), and saved must be a tuple")
        output, saved = made
        parents, node = [x.node if isinstance(x, Tensor) else None for x in inputs], None
        if any(parents) and recording.get():
            node = Node(self, parents, [np.shape(x) for x in arrays], saved)
        if watch := watchers.get()[0]:
            watch(self, inputs, options, output, node)
        return Tensor(output, node) if any(isinstance(x, Tensor) for x in inputs) else output


def gradients(output: Tensor, tensors: Iterable[Tensor], upstream: ArrayLike | None = None, *,
              sparse: bool = False) -> list[Array]:
    """The gradient of `output`, a scalar, or of sum(output * upstream), by each of `tensors`: arrays shaped like them.

    A tensor that output does not depend on gets zeros. sparse: a table gets `SparseRows` if it was only looked up in.
    The graph can be used once: what was saved is released. Raises ValueError if `upstream` has not the output's shape,
    if the output depends on no recorded tensor, if its graph was used before, or for a backward pass without gradients.
    """
    tensors = list(tensors)
    found = _walk(output, [t.node for t in tensors], upstream, sparse)
    return [np.zeros_like(t.data) if g is None else g for t, g in zip(tensors, found, strict=True)]


def _ancestors(node):
    nodes, seen = [node], {node}
    for node in nodes:                          # the list grows while it is walked; no recursion, whatever the depth
        new = [parent for parent in dict.fromkeys(node.parents) if parent and parent not in seen]
        nodes += new
        seen.update(new)
    return nodes


def _walk(output, wanted, upstream, sparse=False):
    if getattr(output, "node", None) is None:
        raise ValueError("nothing to differentiate: the output was computed from plain arrays or under no_grad()")
    upstream = np.ones(output.shape) if upstream is None and output.data.size == 1 else upstream
    if np.shape(upstream) != output.shape:
        raise ValueError(f"upstream must have the output's shape {output.shape}, got {np.shape(upstream)}"
                         + ": only a scalar has a gradient without an upstream" * (upstream is None))
    nodes = sorted(_ancestors(output.node), key=lambda node: node.depth, reverse=True)     # each before its parents
    total, kept = {output.node: np.array(upstream, output.dtype)}, set(wanted)
    for node in nodes:
        if node.op and node in total:
            dy = dense(total.pop(node))
            if node in kept:
                total[node] = dy.copy()
            for parent, gradient in zip(node.parents, _backward(node, dy), strict=True):
                if parent and gradient is not None:
                    total[parent] = accumulate(total.get(parent), gradient)
    found = [total.get(node) if sparse else dense(total.get(node)) for node in wanted]
    return [g.copy() if isinstance(g, Array) and node in wanted[:i] else g
            for i, (node, g) in enumerate(zip(wanted, found, strict=True))]


def _backward(node, dy):
    """The gradient of each input of one op, held to the contract; what was saved is released."""
    name, saved, node.saved = node.op.name, node.saved, None
    if saved is None:
        raise ValueError(f"this graph was differentiated before and {name} released what it saved: compute it again")
    if node.op.backward is None:
        raise ValueError(f"{name} has no backward pass: decorate one with @{name}.vjp")
    found = node.op.backward(dy, saved)
    if not isinstance(found, tuple | list) or len(found) != len(node.parents):
        raise ValueError(f"{name} has {len(node.parents)} inputs: its backward pass must return as many gradients")
    for i, (gradient, parent, shape) in enumerate(zip(found, node.parents, node.shapes, strict=True)):
        if parent and gradient is not None and np.shape(gradient) != shape:
            raise ValueError(f"{name}: the gradient of input {i} must have its shape {shape}, got {np.shape(gradient)}")
        if any(gradient is other is not None for other in found[:i]):
            raise ValueError(f"{name}: its backward pass returned the same memory twice; return a copy")
    if watch := watchers.get()[1]:
        watch(node, dy, found)
    return found
