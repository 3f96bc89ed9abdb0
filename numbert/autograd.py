"""Reverse-mode differentiation of NumPy functions.

An *op* is a pair of plain functions over plain arrays. The first computes an array and what its derivative will need.
The second turns the gradient of that output, `dy`, into the gradients of the inputs, in their order:

    @op
    def multiply(x, y):
        return x * y, (x, y)

    @multiply.vjp
    def multiply_backward(dy, saved):
        x, y = saved
        return dy * y, dy * x

Called with a `Tensor` among its inputs, an op gives a `Tensor` and remembers where it came from; called with arrays
alone, it gives an array. `gradients` walks back through the recorded nodes. It returns arrays and changes nothing that
is shared, so any number of threads may differentiate at once with respect to the same parameters.

One rule makes most copies unnecessary: a backward function changes only arrays that it allocated, and never returns the
same memory twice (it may return `dy` itself, once).
"""
import functools

import numpy as np

from .recording import recording, watchers
from .sparse import accumulate, dense

REGISTRY = {}                                   # every op by name; the tests check the derivative of each
_RELEASED = "released"                          # stands for what a node had saved once a backward pass has used it


class Node:
    """How a tensor was made: by `op`, from `parents` of these `shapes`. It keeps `saved`, and not the tensor's value.

    The node of a parameter has no op: the walk ends there, and `backward()` adds to its `grad`.
    """
    __slots__ = ("op", "parents", "shapes", "saved", "depth", "grad")

    def __init__(self, op=None, parents=(), shapes=(), saved=None):
        self.op, self.parents, self.shapes, self.saved, self.grad = op, parents, shapes, saved, None
        self.depth = 1 + max((parent.depth for parent in parents if parent), default=0)


class Tensor:
    """An array, `data`, and the `node` that records how it was made (None: no gradient reaches it)."""
    __slots__ = ("data", "node")

    def __init__(self, data, node=None):
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

    def __bool__(self):
        return bool(self.data)

    def __len__(self):
        return len(self.data)

    def __repr__(self):
        return f"{type(self).__name__}({self.data!r})"

    def backward(self):
        """Add the gradient of this scalar into `.grad` of every `Parameter` that it was computed from."""
        leaves = [node for node in _ancestors(self.node) if node.op is None] if self.node else []
        for leaf, gradient in zip(leaves, _walk(self, leaves, None), strict=True):
            leaf.grad = gradient if leaf.grad is None else leaf.grad + gradient


class op:
    """Makes of `forward(*inputs, **options) -> (output, saved)` a function that records itself on tensors."""

    def __init__(self, forward):
        functools.update_wrapper(self, forward)
        self.name, self.forward, self.backward = forward.__name__, forward, None
        REGISTRY[self.name] = self

    def __repr__(self):
        return f"<op {self.name}>"

    def __reduce__(self):                       # copied and pickled by name: there is one of each op
        return self.__qualname__

    def vjp(self, backward):
        """Decorator for the second function: the vector-Jacobian product."""
        self.backward = backward
        return backward

    def __call__(self, *inputs, **options):
        for name, value in options.items():
            if isinstance(value, Tensor):
                raise TypeError(f"{self.name}: no gradient reaches an option; give the Tensor {name} by position")
        arrays = [x.data if isinstance(x, Tensor) else x for x in inputs]
        output, saved = self.forward(*arrays, **options)
        parents, node = [x.node if isinstance(x, Tensor) else None for x in inputs], None
        if any(parents) and recording.get():
            node = Node(self, parents, [np.shape(x) for x in arrays], saved)
        if watch := watchers.get()[0]:
            watch(self, inputs, options, output, node)
        return Tensor(output, node) if any(isinstance(x, Tensor) for x in inputs) else output


def gradients(output, tensors, upstream=None):
    """The gradient of `output` with respect to each of `tensors`, as a list of arrays shaped like them.

    `output` is a scalar Tensor, or of any shape with `upstream` an array of that shape; then it is the gradient of
    sum(output * upstream). A tensor that output does not depend on gets zeros. The graph can be used only once: saved
    arrays are released on the way. Raises ValueError if `output` is no scalar and has no upstream, or depends on no
    recorded tensor, if its graph was used before, or if a backward pass returns what cannot be a gradient.
    """
    tensors = list(tensors)
    found = _walk(output, [t.node for t in tensors], upstream)
    return [np.zeros_like(t.data) if g is None else g for t, g in zip(tensors, found, strict=True)]


def _ancestors(node):
    nodes, seen = [node], {node}
    for node in nodes:                          # the list grows while it is walked; no recursion, whatever the depth
        new = [parent for parent in dict.fromkeys(node.parents) if parent and parent not in seen]
        nodes += new
        seen.update(new)
    return nodes


def _walk(output, wanted, upstream):
    if output.node is None:
        raise ValueError("nothing to differentiate: the output was computed from plain arrays or under no_grad()")
    if upstream is None and output.data.size != 1:
        raise ValueError(f"the output has shape {output.shape}: only a scalar has a gradient without an upstream")
    upstream = np.ones(output.shape) if upstream is None else upstream
    if np.shape(upstream) != output.shape:
        raise ValueError(f"upstream must have the output's shape {output.shape}, got {np.shape(upstream)}")

    # deepest first: everything that was computed from a node comes before it
    nodes = sorted(_ancestors(output.node), key=lambda node: node.depth, reverse=True)
    total, kept = {output.node: np.array(upstream, output.dtype)}, set(wanted)
    for node in nodes:
        if node.op and node in total:
            dy = dense(total.pop(node))
            if node in kept:
                total[node] = dy.copy()
            for parent, gradient in zip(node.parents, _backward(node, dy), strict=True):
                if parent and gradient is not None:
                    total[parent] = accumulate(total.get(parent), gradient)
    found = [dense(total.get(node)) for node in wanted]
    return [g.copy() if g is not None and node in wanted[:i] else g
            for i, (node, g) in enumerate(zip(wanted, found, strict=True))]


def _backward(node, dy):
    """The gradient of each input of one op, held to the contract; what was saved is released."""
    name, saved, node.saved = node.op.name, node.saved, _RELEASED
    if saved is _RELEASED:
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
