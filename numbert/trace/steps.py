"""What one run of a model did: an `OpStep` for every call of an op, in the order of the forward pass."""
import contextlib
import sys
import time
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from .. import autograd, ops
from ..autograd import Tensor, gradients
from ..module import Module
from ..recording import no_grad, watching
from ..sparse import dense


class Attention(NamedTuple):
    """The attention probabilities of one sequence, `shares` (H, Tq, T), and the places of the queries (Tq,) in it."""
    query_positions: np.ndarray
    shares: np.ndarray


@dataclass
class OpStep:
    """One call of an op, and of its backward pass if there was one.

    module: the layer that called it, as the path of attributes from the model. where: (file, line) of the call, then of
    the call of the function around it, and so on outwards. shapes: of all arrays that went in but parameters.
    parameters: their names and shapes. operations: see `operations`, forward pass. seconds: since the step before, so
    that those of all steps are the time of the whole pass. attention: for each sequence; None for other ops.
    norm: the length of the gradient that reached the output. norms: that of what this step adds to each parameter's.
    """
    op: str
    module: str
    where: list
    shapes: list
    output: tuple
    parameters: dict
    operations: int
    seconds: float
    attention: list | None = None
    norm: float | None = None
    norms: dict = field(default_factory=dict)
    backward_seconds: float = 0.0


class Trace(NamedTuple):
    """The steps; what the model gave; the gradients of model.parameters(), None if they were not asked for."""
    steps: list
    output: object
    gradients: list | None


def trace(model, batch, *, backward=False):
    """Run model(**batch) and record it: a Trace. With `backward` also through the gradient of its loss.

    Dropout that is off returns its input, and makes no step.
    """
    watcher = _Watcher(model)
    with contextlib.nullcontext() if backward else no_grad(), watching(watcher.forward, watcher.backward):
        output = model(**batch)
        watcher.began = time.perf_counter()
        return Trace(watcher.steps, output, gradients(output.loss, model.parameters()) if backward else None)


class _Watcher:
    """Makes an OpStep of every call that is reported to it."""

    def __init__(self, model):
        self.modules = {id(model): ""} | {id(module): path for path, module in submodules(model)}
        self.parameters = {id(parameter): name for name, parameter in model.named_parameters().items()}
        self.steps, self.of_node, self.began = [], {}, time.perf_counter()

    def forward(self, op, inputs, options, output, node):
        seconds = time.perf_counter() - self.began
        if any(isinstance(x, Tensor) and x.data is output for x in inputs):
            return
        names = [self.parameters.get(id(x)) for x in inputs]
        given = [x for x, name in zip(inputs, names, strict=True) if name is None] + list(options.values())
        step = OpStep(op.name, *self.caller(),
                    shapes=[np.shape(x) for x in given if isinstance(x, Tensor | np.ndarray)], output=np.shape(output),
                    parameters={name: x.shape for name, x in zip(names, inputs, strict=True) if name},
                    operations=operations(op, inputs, options), seconds=seconds,
                    attention=look(inputs, options) if op is ops.attention else None)
        self.steps.append(step)
        if node is not None:
            self.of_node[node] = step, [name if name and x.requires_grad else None
                                        for name, x in zip(names, inputs, strict=True)]
        self.began = time.perf_counter()

    def backward(self, node, dy, found):
        if node in self.of_node:
            step, names = self.of_node[node]
            step.backward_seconds, step.norm = time.perf_counter() - self.began, length(dy)
            step.norms = {name: length(gradient) for name, gradient in zip(names, found, strict=True) if name}
        self.began = time.perf_counter()

    def caller(self):
        """(path of the innermost module at work, [(file, line), ...] from the call of the op outwards)."""
        frame, module, where = sys._getframe(), None, []
        while frame and frame.f_code is not trace.__code__:
            if frame.f_code.co_filename not in (__file__, autograd.__file__):
                where.append((frame.f_code.co_filename, frame.f_lineno))
                if module is None:
                    module = self.modules.get(id(frame.f_locals.get("self")))
            frame = frame.f_back
        return module or "", where


def submodules(module, prefix=""):
    """(path of attributes, module) for everything below a module."""
    for name, value in vars(module).items():
        for path, item in ([(f"{name}.{i}", v) for i, v in enumerate(value)] if isinstance(value, list)
                           else [(name, value)]):
            if isinstance(item, Module):
                yield prefix + path, item
                yield from submodules(item, f"{prefix}{path}.")


def length(gradient):
    """The root of the sum of squares."""
    return float(np.linalg.norm(dense(gradient)))


def operations(op, inputs, options):
    """Floating-point operations of the products of matrices in one call of an op: 2nmk for (n, m) times (m, k)."""
    if op in (ops.linear, ops.linear_cross_entropy):
        x, weight = inputs[:2]
        return 2 * x.shape[0] * weight.shape[0] * weight.shape[1]
    if op is ops.attention:
        (Nq, D), (N, _) = inputs[0].shape, inputs[1].shape
        return sum(4 * D * len(range(Nq)[bucket.queries]) * len(range(N)[bucket.keys]) // bucket.count
                   for bucket in options["buckets"])
    return 0


def look(inputs, options):
    """The `Attention` of each sequence, without dropout, which draws anew in every run."""
    query, key, _ = (np.asarray(x) for x in inputs)
    buckets, mask = options["buckets"], options.get("mask")
    found = ops.attention_probs(query, key, buckets=buckets, heads=options["heads"], mask=mask)
    return [Attention(np.arange(one.shape[1]) if bucket.query_positions is None else bucket.query_positions, one)
            for bucket, probs in zip(buckets, found, strict=True) for one in probs]
