"""Many processes under MPI, on one machine or many: the ranks, each of which computes some parts of every batch.

    mpiexec -n 4 python examples/pretrain.py --text FOLDER

All ranks run the same program on the same data, and a batch is a function of the seed and the step. So they take the
same decisions, and all that has to be sent are gradients, losses and parameters. Rank 0 speaks and writes for all. What
they cannot know alike is agreed upon: what stands in a folder, what time it is, whether Ctrl-C was pressed.

The text and the run folder must be where all ranks find them. MPICH's mpiexec hands Ctrl-C on to the ranks: the step
ends, rank 0 saves, and all end. Open MPI's kills them half a second later, which no setting changes, and few steps end
so soon. There `kill -USR1` with the number of mpiexec's process does the same (with either mpiexec); clusters send
this signal before time is over.

The engine is MPI itself, through mpi4py, an optional extra: this file is the only one that knows of it.
"""
import contextlib
import io
import os
import sys
import time
import traceback

import numpy as np

from ..hub.files import writing_nothing

LAUNCHED = (("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"), ("PMI_SIZE", "PMI_RANK"))     # Open MPI; MPICH and others
TABLE, FEW = 10_000, 0.3            # of a table of so many rows those that are not zero are sent, if they are so few
PATIENCE = 2.0                      # seconds in which the other ranks may meet the same error


class Alone:
    """One process by itself. What `Ranks` does for many is nothing here."""
    rank, size = 0, 1

    def add_up(self, arrays):
        """The sums of such arrays over all ranks, on every rank; the arrays may have changed."""
        return arrays

    def exchange(self, pieces, owners):
        """Arrays (n,), the same list on every rank, get the values that the rank owners[i] has for pieces[i]."""

    def everybody(self, value):
        """The values of all ranks, in their order, on every rank."""
        return [value]

    def first(self, function):
        """What function() gives on rank 0, which alone calls it, on every rank; or its error, everywhere."""
        return function()


class Ranks(Alone):
    """All processes of a communicator of mpi4py."""

    def __init__(self, communicator):
        self.communicator, self.rank, self.size = communicator, communicator.rank, communicator.size

    def add_up(self, arrays):
        sums, rows = list(arrays), [self._rows(x) for x in arrays]
        sent = [x if chosen is None else x[chosen] for x, chosen in zip(arrays, rows, strict=True)]
        for kind in _dtypes(arrays):
            places = [i for i, x in enumerate(arrays) if x.dtype == kind]
            total = np.concatenate([sent[i].reshape(-1) for i in places])       # one message, not one for each array
            self.communicator.Allreduce(_mpi().IN_PLACE, total)
            ends = np.cumsum([sent[i].size for i in places])
            for i, flat in zip(places, np.split(total, ends[:-1]), strict=True):
                if rows[i] is None:
                    sums[i] = flat.reshape(arrays[i].shape)
                else:
                    sums[i][rows[i]] = flat.reshape(sent[i].shape)
        return sums

    def _rows(self, x):
        """The rows of a large table that are not zero on every rank, None if they are many: few of all words stand in
        the texts of a fine-tuning, but pre-training scores all of them."""
        if x.ndim != 2 or len(x) < TABLE:
            return None
        few = x[::50].any(1).mean() < FEW                                       # a look at some spares one at all
        nonzero = x.any(1) if few else np.ones(len(x), bool)
        self.communicator.Allreduce(_mpi().IN_PLACE, nonzero, _mpi().LOR)
        return np.flatnonzero(nonzero) if nonzero.mean() < FEW else None

    def exchange(self, pieces, owners):
        for kind in _dtypes(pieces):
            group = sorted(((owner, i) for i, owner in enumerate(owners) if pieces[i].dtype == kind))
            counts = [sum(len(pieces[i]) for owner, i in group if owner == rank) for rank in range(self.size)]
            mine = np.concatenate([np.empty(0, kind), *(pieces[i] for owner, i in group if owner == self.rank)])
            whole = np.empty(sum(counts), kind)
            self.communicator.Allgatherv(mine, [whole, counts])
            ends = np.cumsum([len(pieces[i]) for _, i in group])
            for (owner, i), values in zip(group, np.split(whole, ends[:-1]), strict=True):
                if owner != self.rank:
                    pieces[i][...] = values

    def everybody(self, value):
        return self.communicator.allgather(value)

    def first(self, function):
        value = error = None
        if self.rank == 0:
            try:
                value = function()
            except (ValueError, OSError) as found:
                error = found
        value, said = self.communicator.bcast((value, error and str(error)))
        if said is not None:
            raise error or ValueError(said)
        return value


def _dtypes(arrays):
    return sorted({x.dtype for x in arrays}, key=str)


def _mpi():
    from mpi4py import MPI
    return MPI


# ---- a command on all ranks ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def together(command, shared=True):
    """A block that a command runs in on all ranks that mpiexec started it on: gives them, or `Alone`.

    Ranks other than 0 print nothing and write nothing. An error that all ranks meet is said once; one that a single
    rank meets is said with the rank's name, and ends all. command: its name, for these lines. shared: whether it can
    share its work; if not, several ranks are refused. Without mpi4py they are refused, too.
    """
    size, rank = next(((int(os.environ[size]), int(os.environ.get(rank, 0))) for size, rank in LAUNCHED
                       if size in os.environ), (1, 0))
    if size == 1:
        yield Alone()
        return
    refused = None if shared else "this command does not share its work between processes: start it without mpiexec"
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:        # RuntimeError: no MPI library is found
        refused = refused or f"started by mpiexec, but without mpi4py ({error}): pip install 'numbert[mpi]'"
    if refused:
        sys.exit(f"{command}: {refused}" if rank == 0 else 0)
    ranks = Ranks(MPI.COMM_WORLD)
    if rank == 0 and LAUNCHED[0][0] in os.environ:
        print(f"{command}: Open MPI's mpiexec does not let a step end after Ctrl-C; kill -USR1 {os.getppid()} does, "
              "and what is done is saved", file=sys.stderr, flush=True)
    errors = MPI.COMM_WORLD.Dup()                       # on which nothing else is sent
    try:
        with _silent() if ranks.rank else contextlib.nullcontext():
            yield ranks
    except BaseException as error:
        if isinstance(error, SystemExit) and not error.code:
            raise
        said = _said(error)
        barrier, began = errors.Ibarrier(), time.monotonic()
        while not (met := barrier.Test()) and time.monotonic() < began + PATIENCE:
            time.sleep(0.01)
        if ranks.rank == 0 or not met:
            where = "" if ranks.rank == 0 else f"rank {ranks.rank} on {MPI.Get_processor_name()}: "
            print(where + said, file=sys.stderr, end="", flush=True)
        if not met:
            MPI.COMM_WORLD.Abort(1)
        raise SystemExit(0 if ranks.rank else error.code if _is_number(error) else 1) from None


def _said(error):
    """What Python prints of an exception that ends a program."""
    if isinstance(error, SystemExit):
        return "" if _is_number(error) else f"{error.code}\n"
    return "".join(traceback.format_exception(error))


def _is_number(error):
    """Whether it is the end of a program that has said already what there is to say, as argparse."""
    return isinstance(error, SystemExit) and isinstance(error.code, int)


@contextlib.contextmanager
def _silent():
    with (writing_nothing(), open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere),
          contextlib.redirect_stderr(io.StringIO())):
        yield
