"""The training loop, as a generator: it yields after each step, and what is printed, measured or saved between two
steps is in the `for` loop of the caller.

    for step in train(model, batches, optimizer=..., lr=linear_schedule(1000, 1e-3), steps=1000, seed=0, workers=...):
        print(step.number, step.sums["loss"])

No random state is carried from one step to the next: the dropout of part p in step s is drawn by a generator made from
(seed, s, p). So a run resumed at step s is bit for bit what it would have been without the stop.
"""
from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from ..autograd import Tensor
from ..models.pretrained import WithLosses
from ..module import Parameter
from ..recording import no_grad, watching
from ..tokenizers.encoding import Batch
from .optimizer import AdamW, global_norm
from .parallel import Drawable, Workers, loss_and_gradients, parts_of, text_lengths
from .ranks import Alone


class NonFiniteError(ValueError):
    """The loss or its gradient became infinite or NaN; says at which step and which op was the first."""


@dataclass(frozen=True)
class Step:
    """What one step did. `number` counts from 1; `sums` are the batch's losses and measures by name."""
    number: int
    sums: dict[str, float]
    lr: float
    gradient_norm: float
    tokens: int
    seconds: float


def train(model: WithLosses, batches: Iterable[Batch | Drawable], *, optimizer: AdamW, lr: Callable[[float], float],
          steps: int, seed: int, workers: Workers, start: int = 0, clip_norm: float = 1.0,
          measure: Callable | None = None, accumulation: int = 1) -> Iterator[Step]:
    """Yield a `Step` after each of the steps start + 1, ..., steps, with the parameters already updated.

    batches: an iterator of dicts of arrays, the model's arguments, or of what draws them (`parallel.Drawable`), that
    begins with the batch of step `start`.
    lr: a function of the step, counted from 0. clip_norm: gradients with a larger norm are scaled down to it.
    accumulation: see `parallel.loss_and_gradients`.
    Raises NonFiniteError, before the parameters are changed.
    """
    for number, batch in zip(range(start, steps), batches):  # noqa: B905 (batches may be endless)
        began = time.perf_counter()

        def rngs(part, number=number):
            return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number, part)))

        sums, gradients = loss_and_gradients(model, batch, rngs, workers, measure, accumulation)
        norm = global_norm(gradients, workers)
        if not math.isfinite(sums["loss"] + norm):
            raise NonFiniteError(f"step {number + 1}: loss {sums['loss']}, gradient norm {norm}: "
                                 + first_non_finite(model, parts_of(batch, workers, accumulation), rngs,
                                                    workers.ranks))
        scale = clip_norm / norm if norm > clip_norm else 1.0
        optimizer.step(gradients, lr(number), workers, scale=scale)
        del gradients                       # or they would be kept while the next ones are computed
        yield Step(number + 1, sums, lr(number), norm, int(text_lengths(batch).sum()), time.perf_counter() - began)


def first_non_finite(model: WithLosses, parts: Iterable[tuple[int, Batch]], rngs: Callable[[int], Generator],
                     ranks: Alone) -> str:
    """Compute the forward pass of numbered parts again and say which op was the first to give infinity or NaN."""
    def check(op, inputs, options, output, node):
        had = [x for x in inputs if not isinstance(x, Parameter)]
        if not_finite(output) - not_finite(*had, *options.values()):    # -inf on padding comes from an option
            shapes = ", ".join(str(np.shape(x)) for x in inputs)
            raise NonFiniteError(f"the first op to give a value that is not finite is {op.name} on {shapes}")

    said = None
    with no_grad(), watching(check), np.errstate(all="ignore"):
        try:
            for number, part in parts:
                model(**part, rng=rngs(number))
        except NonFiniteError as error:
            said = str(error)
    found = filter(None, ranks.everybody(said))
    return next(found, "every op's output is finite, the backward pass is not")


def not_finite(*values: object) -> set[str]:
    """Which of "nan", "inf" and "-inf" occur in arrays, tensors and numbers; other values are ignored."""
    arrays = [np.asarray(x) for x in values if isinstance(x, float | np.ndarray | Tensor)]
    return {str(x) for array in arrays if array.dtype.kind == "f" for x in np.unique(array[~np.isfinite(array)])}


@contextlib.contextmanager
def finishing_on_interrupt(ranks: Alone | None = None) -> Iterator[Callable[[], bool]]:
    """Gives a function that says whether Ctrl-C was pressed within this block, or the process was asked to end (by
    SIGTERM, or SIGUSR1, as clusters do), or its terminal was closed, or nobody reads its output any more (a pipe to
    `head`). Several `ranks` must ask together: whether any of them noticed it.

    So a step is always completed. A second Ctrl-C interrupts at once. Outside the main thread no signal is caught.
    """
    pressed = []

    def remember(number, frame):
        if pressed and number != getattr(signal, "SIGPIPE", None):      # which comes with every line
            raise KeyboardInterrupt
        pressed.append(number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGPIPE", "SIGUSR1"):    # a system has some of them
            if (number := getattr(signal, name, None)) is None:
                continue
            if name == "SIGHUP" and signal.getsignal(number) == signal.SIG_IGN:
                continue                                                # nohup: the terminal may be closed
            before[number] = signal.signal(number, remember)
    try:
        yield lambda: any((ranks or Alone()).everybody(bool(pressed)))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
