"""What the tests let other processes do: functions that those can import."""
import os

import numbert as nb
from numbert.machine import blas_controls
from numbert.training.parallel import Workers


def own_workers(numbers):
    """The absolutes, by two workers, and how many threads BLAS has meanwhile."""
    with Workers(2) as workers:
        return workers.map(abs, numbers), [get() for get, _ in blas_controls()]


def losses(model, batch):
    """The losses by name, and the gradients."""
    out = model(**batch)
    return {name: float(x) for name, x in out.losses.items()}, nb.gradients(out.loss, model.trainable_parameters())


def explode():
    raise ValueError("no such thing")


def vanish():
    os._exit(3)


class Meeting:
    """What a rank is given its communicator for: to know its place, and two ways to leave the others alone in MPI."""

    def __init__(self, communicator):
        self.communicator = communicator

    def place(self):
        return self.communicator.rank, self.communicator.size

    def miss(self):
        if self.communicator.rank == self.communicator.size - 1:
            explode()
        self.communicator.Barrier()

    def vanish(self):
        if self.communicator.rank == self.communicator.size - 1:
            vanish()
        self.communicator.Barrier()


class Memory:
    """Whether this process leaves memory to the C library: what the environment says."""

    def told(self):
        return os.environ.get("NUMBERT_KEEP_MEMORY")
