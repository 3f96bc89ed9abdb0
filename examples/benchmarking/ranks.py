"""numbert's training on ranks: processes under MPI, as many as the other contenders have threads, each with one thread.

The process that is timed starts them by mpiexec, tells all of them what to do, and waits until all have done it. Each
waits for the next order at a pipe of its own: MPI waits in a loop, on a core that the others are measured on meanwhile.
"""
import contextlib
import functools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Client, Listener
from pathlib import Path

from numbert.training.parallel import Workers
from numbert.training.ranks import Ranks

from .contender import Contender
from .rounds import ask, serve
from .training import NumbertTraining

TWO = """
import sys
try:
    from mpi4py import MPI
    sys.exit(None if MPI.COMM_WORLD.size == 2 else "mpiexec belongs to another MPI than mpi4py")
except (ImportError, RuntimeError) as error:
    sys.exit(str(error))
"""


def mpiexec():
    """Its path: beside this Python, where pip puts it, or where the system finds it. None if there is none."""
    places = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
    return shutil.which("mpiexec", path=os.pathsep.join(places))


def start(n, *words, **options):
    """The process of mpiexec, which runs Python with these words on n ranks. Ctrl-C does not reach them.

    Open MPI may put several ranks on one core, or it would count two threads of a core as one place.
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path),
                                "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe"}
    return subprocess.Popen([mpiexec(), "-n", str(n), sys.executable, *words], stdin=subprocess.DEVNULL,
                            env=environment, start_new_session=True, **options)


@functools.cache
def no_ranks():
    """Why ranks do not work here, in a few words; None if they do."""
    if not mpiexec():
        return "mpiexec"
    if sys.platform == "win32":
        return "sockets with the names of files"
    process = start(2, "-c", TWO, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = [line for line in process.communicate()[0].splitlines() if any(map(str.isalpha, line))]
    return (said or [f"mpiexec ended with {process.returncode}"])[0][:80] if process.returncode else None


class OnRanks:
    """An object on each of n ranks, made by make(communicator, *arguments); call("name") calls its method on all, and
    gives the list of what it returns."""

    def __init__(self, n, make, *arguments):
        with tempfile.TemporaryDirectory() as folder:
            self.mpiexec = start(n, "-m", __spec__.name, folder)
            self.pipes = [self._pipe(os.path.join(folder, str(rank))) for rank in range(n)]
            for pipe in self.pipes:
                pipe.send((make, arguments))
            self.call("make")

    def _pipe(self, address):
        while True:
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):        # not there yet
                return Client(address)
            if self.mpiexec.poll() is not None:
                raise RuntimeError(f"mpiexec ended with {self.mpiexec.returncode} before the ranks were there")
            time.sleep(0.01)

    def call(self, name):
        try:
            return ask(self.pipes, name)
        except RuntimeError:
            self.mpiexec.terminate()            # or those that wait for a rank in MPI would do so for ever
            raise


def obey(folder):
    """What each rank does, until its pipe is closed."""
    from mpi4py import MPI
    with Listener(os.path.join(folder, str(MPI.COMM_WORLD.rank))) as listener:
        pipe = listener.accept()
    make, arguments = pipe.recv()
    serve(pipe, make, (MPI.COMM_WORLD, *arguments))


class OnOneRank(NumbertTraining):
    """A rank's share of the work, on the cores that all contenders have, to whichever mpiexec has bound it."""

    def __init__(self, communicator, case, cores):
        if cores:
            os.sched_setaffinity(0, cores)
        super().__init__(case, Workers(1, Ranks(communicator)))


class RanksTraining(Contender):
    operations = staticmethod(NumbertTraining.operations)

    def __init__(self, case):
        cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
        self.ranks = OnRanks(case.threads, OnOneRank, case, cores)

    def proof(self):
        return self.ranks.call("proof")[0]              # the losses are sums over all ranks, on every rank

    def step(self):
        self.ranks.call("step")

    def processor_seconds(self):
        return super().processor_seconds() + sum(self.ranks.call("processor_seconds"))

    def memory(self):
        """That of the ranks alone: they do all the work."""
        each = self.ranks.call("memory")
        return None if None in each else sum(each)


if __name__ == "__main__":
    obey(sys.argv[1])
