"""Reverse-mode differentiation of NumPy functions.

An *op* is a pair of plain functions over plain arrays. The first computes an array and what its
derivative will need. The second turns the gradient of that output, `dy`, into the gradients of the
inputs, in their order:

    @op
    def multiply(x, y):
        return x * y, (x, y)

    @multiply.vjp
    def multiply_backward(dy, saved):
        x, y = saved
        return dy * y, dy * x

Called with a `Tensor` among its inputs, an op gives a `Tensor` and remembers where it came from;
called with arrays alone, it gives an array. `gradients` walks back through what was remembered.
It returns arrays and writes nothing that is shared, so any number of threads may differentiate at
once over the same parameters.

One rule keeps memory safe and copies few: a backward function changes nothing that it did not
allocate, and returns no memory twice (`dy` itself it may return, once).
"""
import contextlib
import functools
from contextvars import ContextVar

import numpy as np

REGISTRY = {}                                   # every op by name; the tests check the derivative of each
_recording = ContextVar("recording", default=True)
_watcher = ContextVar("watcher", default=None)


class Node:
    """How a tensor was made. It keeps what `saved` keeps, and not the tensor's value."""
    __slots__ = ("op", "parents", "saved", "then", "depth")

    def __init__(self, op=None, parents=(), saved=None, then=None):
        self.op, self.parents, self.saved, self.then = op, parents, saved, then
        self.depth = 1 + max((parent.depth for parent in parents if parent), default=0)


class Tensor:
    """An array, `data`, and the `node` that tells how it was made (None: no gradient reaches it)."""
    __slots__ = ("data", "node")

    def __init__(self, data, node=None):
        self.data, self.node = np.asarray(data), node

    __array_ufunc__ = None                      # array + tensor is a TypeError: it would lose the history silently
    shape = property(lambda self: self.data.shape)
    dtype = property(lambda self: self.data.dtype)

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
        leaves = [node for node in _ancestors(self.node) if isinstance(node, _Leaf)] if self.node else []
        for leaf, gradient in zip(leaves, _walk(self, leaves, None), strict=True):
            old = leaf.parameter.grad
            leaf.parameter.grad = gradient if old is None else old + gradient


class _Leaf(Node):
    """Where the walk ends: the node of a parameter."""
    __slots__ = ("parameter",)

    def __init__(self, parameter):
        super().__init__()
        self.parameter = parameter


class Parameter(Tensor):
    """A tensor to differentiate with respect to. `grad` is written by `backward()` and by nothing else."""
    __slots__ = ("grad",)

    def __init__(self, data):
        super().__init__(np.asarray(data, order="C"), _Leaf(self))      # in one piece, so that it can be moved in place
        self.grad = None

    @property
    def requires_grad(self):
        """False: frozen. Nothing that is computed from it alone is recorded, and its gradient is zeros."""
        return self.node is not None

    @requires_grad.setter
    def requires_grad(self, value):
        self.node = (self.node or _Leaf(self)) if value else None


class op:
    """Makes of `forward(*inputs, **options) -> (output, saved)` a function that records itself on tensors."""

    def __init__(self, forward):
        functools.update_wrapper(self, forward)
        self.name, self.forward, self.backward = forward.__name__, forward, None
        REGISTRY[self.name] = self

    def __repr__(self):
        return f"<op {self.name}>"

    def vjp(self, backward):
        """Decorator for the second function: the vector-Jacobian product."""
        self.backward = backward
        return backward

    def __call__(self, *inputs, **options):
        output, saved = self.forward(*[x.data if isinstance(x, Tensor) else x for x in inputs], **options)
        watch = _watcher.get()
        then = watch(self, inputs, options, output) if watch else None
        if not any(isinstance(x, Tensor) for x in inputs):
            return output
        parents = [x.node if isinstance(x, Tensor) else None for x in inputs]
        return Tensor(output, Node(self, parents, saved, then) if any(parents) and _recording.get() else None)


def recording():
    """Whether an op that is called now may be asked for its backward pass later."""
    return _recording.get()


@contextlib.contextmanager
def no_grad():
    """Within this block nothing is recorded: for inference, which then keeps no intermediate arrays."""
    token = _recording.set(False)
    try:
        yield
    finally:
        _recording.reset(token)


@contextlib.contextmanager
def watching(callback):
    """Within this block, `callback(op, inputs, options, output)` is called after every op's forward pass.

    If it returns a function, that is called after the op's backward pass, whenever that is, as then(dy, gradients):
    what the backward pass got and what it gave, to be looked at, neither changed nor kept.
    """
    token = _watcher.set(callback)
    try:
        yield
    finally:
        _watcher.reset(token)


class Rows:
    """A gradient that is zero outside some rows of a table: `values` (n, ...) belong to the rows `ids` (n,).

    A row may be listed more than once; its values then add up.
    """
    __slots__ = ("ids", "values", "shape")

    def __init__(self, ids, values, shape):
        self.ids, self.values, self.shape = ids, values, shape

    def add_to(self, table):
        # table[ids] += values would keep only one of several values for the same row: sort, and reduce each run
        if len(self.ids):
            order = np.argsort(self.ids, kind="stable")
            ids = self.ids[order]
            first = np.flatnonzero(np.concatenate(([True], ids[1:] != ids[:-1])))
            table[ids[first]] += np.add.reduceat(self.values[order], first, axis=0)
        return table

    def dense(self):
        return self.add_to(np.zeros(self.shape, self.values.dtype))


def accumulate(total, gradient):
    """total + gradient, in total's memory where that is an array; either may be `Rows`, and total None."""
    if total is None:
        return gradient
    if isinstance(total, Rows):
        total, gradient = (total.dense(), gradient) if isinstance(gradient, Rows) else (gradient, total)
    if isinstance(gradient, Rows):
        return gradient.add_to(total)
    total += gradient
    return total


def gradients(output, tensors, upstream=None):
    """The gradient of `output` with respect to each of `tensors`, as a list of arrays shaped like them.

    `output` is a scalar Tensor, or of any shape with `upstream` an array of that shape: the gradient of
    sum(output * upstream) is meant then. A tensor without influence gets zeros. The graph is used up: what it
    saved is released on the way. Raises ValueError if `output` is not a scalar and has no upstream, if it does
    not depend on any recorded tensor, or if its graph was used before.
    """
    tensors = list(tensors)
    found = _walk(output, [t.node for t in tensors], upstream)
    return [np.zeros_like(t.data) if g is None else g for t, g in zip(tensors, found, strict=True)]


def _ancestors(node):
    nodes, seen = [node], {node}
    for node in nodes:                          # the list grows while it is walked; no recursion, whatever the depth
        for parent in node.parents:
            if parent and parent not in seen:
                seen.add(parent)
                nodes.append(parent)
    return nodes


def _walk(output, wanted, upstream):
    if output.node is None:
        raise ValueError("nothing to differentiate: the output was computed from plain arrays or under no_grad()")
    if upstream is None:
        if output.data.size != 1:
            raise ValueError(f"the output has shape {output.shape}: only a scalar has a gradient without an upstream")
        upstream = np.ones_like(output.data)
    elif np.shape(upstream) != output.shape:
        raise ValueError(f"upstream must have the output's shape {output.shape}, got {np.shape(upstream)}")

    # deepest first: when a node's turn comes, everything that was computed from it has had its turn
    nodes = sorted(_ancestors(output.node), key=lambda node: node.depth, reverse=True)
    total, kept = {output.node: np.array(upstream, output.dtype)}, set(wanted)
    for node in nodes:
        if node.op and node in total:
            if node.saved is _RELEASED:
                raise ValueError(f"this graph was differentiated before and {node.op.name} has released what it saved: "
                                 "compute the output again")
            dy = total.pop(node)
            dy = dy.dense() if isinstance(dy, Rows) else dy
            if node in kept:
                total[node] = dy.copy()
            given = node.op.backward(dy, node.saved)
            if node.then:
                node.then(dy, given)
            for parent, gradient in zip(node.parents, given, strict=True):
                if parent and gradient is not None:
                    total[parent] = accumulate(total.get(parent), gradient)
            node.saved = _RELEASED
    found = [total.get(node) for node in wanted]
    found = [g.dense() if isinstance(g, Rows) else g for g in found]
    return [g.copy() if g is not None and node in wanted[:i] else g
            for i, (node, g) in enumerate(zip(wanted, found, strict=True))]


_RELEASED = "released"
