"""One idea at three scales: the gradient of a batch is the sum of the gradients of its parts.

Parts one after another are gradient accumulation, parts on threads are all the cores of one machine, parts on processes
are many machines. They differ only in who computes them. NumPy lets go of Python's lock inside its loops and matrix
products, so threads are enough here, each with one thread of BLAS: two workers on two parts are faster than one worker
whose every small product is split over two cores.

Each part divides each of its losses by the whole batch's count for that loss (masked words for one, sequences for the
other), so that the parts' losses and gradients simply add up, whatever the cut.
"""
import contextlib
import ctypes
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from ..autograd import accumulate, gradients
from ..ops import IGNORE, overwriting_logits

PART_TOKENS = 4096                  # a part's rows: parts of 512 were a sixth slower, larger ones leave the cache


def cores():
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _openblas():
    """(get, set) for the number of threads of the OpenBLAS that lies beside NumPy, or None where there is none."""
    package = Path(np.__file__).parent
    for folder in (package.parent / "numpy.libs", package / ".dylibs", package / ".libs"):
        for path in sorted(folder.glob("*openblas*")):
            with contextlib.suppress(OSError):
                library = ctypes.CDLL(str(path))
                for name in ("scipy_openblas_{}_num_threads64_", "scipy_openblas_{}_num_threads",
                             "openblas_{}_num_threads64_", "openblas_{}_num_threads"):
                    if hasattr(library, name.format("set")):
                        return getattr(library, name.format("get")), getattr(library, name.format("set"))
    return None


@contextlib.contextmanager
def blas_threads(n):
    """Within this block NumPy's matrix products use n threads each, where its library lets itself be told."""
    found = _openblas()
    if found is None:
        yield
        return
    get, put = found
    before = get()
    put(ctypes.c_int(n))
    try:
        yield
    finally:
        put(ctypes.c_int(before))


class Workers:
    """n threads that share a list of jobs; to be used in a `with` block, at whose end BLAS has its threads back."""

    def __init__(self, n=None):
        self.n = cores() if n is None else n
        if self.n < 1:
            raise ValueError(f"there must be at least 1 worker, got {n}")

    def __enter__(self):
        self._exit = contextlib.ExitStack()
        self._exit.enter_context(blas_threads(1))
        self._pool = self._exit.enter_context(ThreadPoolExecutor(self.n)) if self.n > 1 else None
        return self

    def __exit__(self, *error):
        self._exit.close()

    def map(self, function, *iterables):
        """The list of function(...) over the iterables, in their order."""
        return list((self._pool.map if self._pool else map)(function, *iterables))


def text_lengths(batch):
    """How many tokens the texts of a batch have, (B,); all of them without an attention_mask."""
    mask = batch["attention_mask"] if "attention_mask" in batch else np.ones_like(batch["input_ids"])
    return mask.reshape(len(mask), -1).sum(1)


def cut(batch, parts):
    """Split a batch, a dict of arrays (B, ...), into at most `parts` of about equal numbers of tokens.

    The longest sequences first, each to the part that has least.
    """
    lengths = text_lengths(batch)
    bins, load = [[] for _ in range(parts)], np.zeros(parts)
    for b in np.argsort(-lengths, kind="stable"):
        lightest = int(load.argmin())
        bins[lightest].append(b)
        load[lightest] += lengths[b]
    for chosen in filter(None, bins):
        yield {name: x[chosen] for name, x in batch.items()}


def parts_of(batch, workers):
    """The numbered parts of a batch: one for each worker, more if they would be larger than PART_TOKENS."""
    tokens = int(text_lengths(batch).sum())
    return list(enumerate(cut(batch, workers.n * max(1, -(-tokens // (workers.n * PART_TOKENS))))))


def label_counts(batch):
    """How many labels a batch has of each kind: what its losses are divided by. Only classes can be -100 for none."""
    return {name: int((x != IGNORE).sum()) if x.dtype.kind in "iu" else x.size for name, x in batch.items()
            if name.endswith(("label", "labels", "positions"))}


def loss_and_gradients(model, batch, rngs, workers, measure=None):
    """The losses of a batch by name, and the gradients of model.trainable_parameters(), computed in parts.

    `rngs(part)` gives each part its own generator for dropout (or None). The same cut gives the same bits. Losses are
    those in the model's `losses`, "loss" their sum; `measure(part, output)` may add other numbers that add up.
    """
    jobs, counts, parameters = parts_of(batch, workers), label_counts(batch), model.trainable_parameters()

    def work(mine):                                     # one worker, its parts one after another
        sums, total = {}, [None] * len(parameters)
        for number, part in mine:
            with overwriting_logits():                  # `measure` sees them before `gradients` does
                out = model(**part, rng=rngs(number), counts=counts)
            numbers = {"loss": out.loss} | out.losses | (measure(part, out) if measure else {})
            for name, value in numbers.items():
                sums[name] = sums.get(name, 0.0) + float(value)
            loss = out.loss
            del out, numbers                            # so that the logits go as soon as nothing needs them any more
            total = [accumulate(a, b) for a, b in zip(total, gradients(loss, parameters), strict=True)]
        return sums, total

    results = workers.map(work, [jobs[i::workers.n] for i in range(min(workers.n, len(jobs)))])
    sums = {name: sum(s[name] for s, _ in results) for name in results[0][0]}

    def add_up(arrays):
        for other in arrays[1:]:
            accumulate(arrays[0], other)
        return arrays[0]
    return sums, workers.map(add_up, zip(*(total for _, total in results), strict=True))
