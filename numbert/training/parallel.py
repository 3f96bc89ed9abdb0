"""Training in parts: the gradient of a batch is the sum of the gradients of its parts.

Parts one after another are gradient accumulation, parts on threads are all the cores of one machine, parts on processes
(`ranks.py`) are many machines. They differ only in who computes them. NumPy lets go of Python's lock inside its loops
and matrix products, so threads are enough on one machine, each with one thread of BLAS: two workers on two parts are
faster than one worker whose every small product is split over two cores.

Each of a model's losses is a mean over the labels that it is given. That of a part is weighted by its share of the
batch's labels for that loss (masked words for one, sequences for the other). So the losses and gradients of the parts
add up to those of the batch, however it is split; an unweighted mean of means would be another number.
"""
from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
from numpy.random import Generator

from .. import ops
from ..autograd import Array, gradients
from ..machine import blas_threads, cores, tell_blas
from ..models.pretrained import WithLosses
from ..sparse import accumulate, dense
from ..tokenizers.encoding import Batch
from .ranks import Alone

PART_TOKENS = 4096                  # rows of a part: 512 were a sixth slower, more do not fit in the cache
DEALT = 64                          # rows of a batch that are dealt to parts by length; of more, each worker has a run


class Workers:
    """n threads that share a list of jobs, each with one thread of BLAS; and as many on each of the other `ranks`, if
    there are any. They work within a `with` block alone."""

    def __init__(self, n: int | None = None, ranks: Alone | None = None):
        self.n = cores() if n is None else n
        self.ranks = ranks or Alone()
        if self.n < 1:
            raise ValueError(f"there must be at least 1 worker, got {n}")
        self._exit = None

    def __enter__(self) -> Workers:
        if self._exit is not None:
            raise ValueError("these Workers are at work already: make others for another `with` block")
        self._start()
        return self

    def _start(self):
        stack = contextlib.ExitStack()
        stack.enter_context(blas_threads(1))
        self._pool = stack.enter_context(ThreadPoolExecutor(self.n, initializer=tell_blas)) if self.n > 1 else None
        self._process, self._exit = os.getpid(), stack

    def __exit__(self, *error):
        leaving, self._exit = self._exit, None
        if self._process == os.getpid():
            leaving.close()

    def map(self, function: Callable, *iterables: Iterable) -> list:
        """The list of function(...) over the iterables, which are of one length, in their order; computed here, not on
        other ranks.

        Raises the error of the first job, in order, that raised one. Jobs that have not begun are dropped then, and
        after Ctrl-C. Raises ValueError outside of `with`.
        """
        if self._exit is None:
            raise ValueError("Workers work within a `with` block: with Workers() as workers: ...")
        if self._process != os.getpid():                # a forked process has only the thread that forked it
            self._start()
        jobs, futures = list(zip(*iterables, strict=True)), deque()
        if self._pool is None:
            return [function(*job) for job in jobs]
        try:
            for job in jobs:
                futures.append(self._pool.submit(function, *job))
            return [futures.popleft().result() for _ in jobs]   # removed, or an error would refer to its own future
        finally:
            for future in futures:
                future.cancel()

    def share(self, function: Callable, items: Iterable) -> list:
        """The list of function(item), in their order, on every rank: each computes some, and is sent the others."""
        items, ranks = list(items), self.ranks
        found = [None] * len(items)
        for rank, values in enumerate(ranks.everybody(self.map(function, items[ranks.rank::ranks.size]))):
            found[rank::ranks.size] = values
        return found


class Drawable(Protocol):
    """A batch whose rows are drawn when they are asked for; its texts have `lengths` (B,) tokens."""
    lengths: Array

    def rows(self, start: int, stop: int) -> Batch:
        """The batch of the rows start..stop-1."""


def text_lengths(batch: Batch | Drawable) -> Array:
    """How many tokens the texts of a batch have, (B,); all of them without an attention_mask."""
    if not isinstance(batch, dict):
        return batch.lengths
    mask = batch["attention_mask"] if "attention_mask" in batch else np.ones_like(batch["input_ids"])
    return mask.reshape(len(mask), -1).sum(1)


def cut(batch: Batch, parts: int) -> Iterator[Batch]:
    """Split a batch, a dict of arrays (B, ...), into at most `parts` of about equal numbers of tokens."""
    for chosen in deal(text_lengths(batch), parts):
        yield {name: x[chosen] for name, x in batch.items()}


def deal(lengths: Array, parts: int) -> list[Array]:
    """The row numbers of at most `parts` parts of about equal numbers of tokens, of texts with `lengths` (B,) tokens.

    The longest texts first, each to the part with the fewest tokens.
    """
    bins, load = [[] for _ in range(parts)], np.zeros(parts)
    for b in np.argsort(-lengths, kind="stable"):
        lightest = int(load.argmin())
        bins[lightest].append(b)
        load[lightest] += lengths[b]
    return [np.array(chosen) for chosen in bins if chosen]


def parts_of(batch: Batch | Drawable, workers: Workers, accumulation: int = 1) -> list[tuple[int, Batch]]:
    """The parts of a batch that this rank computes, [(number, dict of arrays)]. Of all n workers of all ranks, the wth
    has the parts w, w + n, w + 2n, ...: `accumulation` of them, or more, so that none exceeds PART_TOKENS.

    Of more than DEALT rows each worker has its share in one run, so that a rank has to draw no others. The cut depends
    on n, and not on how many ranks there are.
    """
    lengths, here, ranks = text_lengths(batch), workers.n, workers.ranks
    n, start, stop = here * ranks.size, 0, len(lengths)
    each = max(accumulation, -(-int(lengths.sum()) // (n * PART_TOKENS)))
    if len(lengths) <= DEALT:
        rows = {i: chosen for i, chosen in enumerate(deal(lengths, n * each)) if i % n // here == ranks.rank}
    else:
        mine, ends = range(ranks.rank * here, (ranks.rank + 1) * here), np.cumsum(lengths)
        owners = (2 * ends - lengths) * n // (2 * ends[-1] + 1)     # whose the token in the middle of a text is
        starts = np.searchsorted(owners, range(n + 1))
        start, stop = starts[mine[0]], starts[mine[-1] + 1]
        rows = {w + n * i: starts[w] + chosen for w in mine
                for i, chosen in enumerate(deal(lengths[starts[w]:starts[w + 1]], each))}
    if not rows:
        return []
    drawn = {name: x[start:stop] for name, x in batch.items()} if isinstance(batch, dict) else batch.rows(start, stop)
    return [(i, {name: x[chosen - start] for name, x in drawn.items()}) for i, chosen in sorted(rows.items())]


def loss_and_gradients(model: WithLosses, batch: Batch | Drawable, rngs: Callable[[int], Generator | None],
                       workers: Workers, measure: Callable | None = None,
                       accumulation: int = 1) -> tuple[dict[str, float], list[Array]]:
    """The losses of a batch by name, and the gradients of model.trainable_parameters(), computed in parts.

    batch: as for `parts_of`. `rngs(part)` gives each part its own generator for dropout (or None). The same cut gives
    the same bits. All ranks are given the same batch, compute their own parts of it, and get the same sums. Losses are
    those in the model's `losses`, "loss" their sum; `measure(part, output)` may add other numbers that add up.
    accumulation: how many parts each worker computes at least, one after another.
    Raises ValueError for a batch without labels.
    """
    n, ranks, parameters = workers.n * workers.ranks.size, workers.ranks, model.trainable_parameters()
    jobs, ended = parts_of(batch, workers, accumulation), threading.Event()
    labels = Counter()
    for counts in ranks.everybody([model.label_counts(**part) for _, part in jobs]):
        for count in counts:
            labels.update(count)
    if not labels:
        raise ValueError(f"the batch has no labels, so there is no loss: it holds {', '.join(batch)}")

    def work(mine):                                     # one worker, its parts one after another
        sums, total = {}, [None] * len(parameters)
        for number, part in mine:
            if ended.is_set():
                break
            out = model(**part, rng=rngs(number))
            losses = {name: ops.scale(loss, factor=out.counts[name] / max(1, labels[name]))
                      for name, loss in out.losses.items()}
            loss = functools.reduce(ops.add, losses.values())
            numbers = {"loss": loss} | losses | (measure(part, out) if measure else {})
            for name, value in numbers.items():
                sums[name] = sums.get(name, 0.0) + float(value)
            del out, numbers, losses                    # free what the backward pass does not need
            found = gradients(loss, parameters, sparse=True)
            total = [accumulate(a, b) for a, b in zip(total, found, strict=True)]
        return sums, total

    try:
        results = workers.map(work, [own for w in range(n) if (own := [job for job in jobs if job[0] % n == w])])
    finally:
        ended.set()                                     # after a mistake in one part, or Ctrl-C, nobody begins another
    found = [s for of_rank in ranks.everybody([s for s, _ in results]) for s in of_rank]
    sums = {name: sum(s[name] for s in found) for name in found[0]}

    def add_up(found):
        return dense(functools.reduce(accumulate, found))
    mine = workers.map(add_up, zip(*(total for _, total in results), strict=True))
    return sums, ranks.add_up(mine or [np.zeros_like(p.data) for p in parameters])
