"""Who is faster? Each contender in a process of its own, taken in turn, A B B A, and rounds in which anything else ran
on the machine are dropped.

A machine is faster in one minute than in the next; so what counts is the ratio of two times that were taken one right
after the other, and of those ratios the median.
"""
import contextlib
import multiprocessing
import os
import statistics
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path

PAUSE = 0.15            # seconds between two rounds: the threads of the last one stop spinning first


def machine_seconds():
    """CPU seconds that all processes have used since the machine started, or None where that is not told."""
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    except OSError:
        return None
    user, nice, system, _, _, irq, softirq, steal = map(int, fields[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Round:
    """`steps` steps took `seconds` each; meanwhile `others` CPU seconds went to other processes, of `wall` in all."""
    seconds: float
    steps: int
    wall: float
    others: float | None

    @property
    def disturbed(self):
        return self.others is not None and self.others > 0.03 + 0.05 * self.wall    # /proc/stat counts in 0.01 s


class Timed:
    """A contender (see contender.py) in the process that it runs in."""

    def __init__(self, make, case, round_seconds):
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:case.threads])
        self.contender, self.round_seconds = make(case), round_seconds
        self.steps = 1

    def warm_up(self):
        """The contender's proof of work, and how many steps make a round."""
        proof = self.contender.proof()
        self.round()
        fitting, cycle = self.round_seconds / self.round().seconds, self.contender.cycle
        self.steps = cycle * max(1, round(fitting / cycle))
        return proof

    def round(self):
        others, own = machine_seconds(), self.contender.processor_seconds()
        began, seconds = time.perf_counter(), 0.0
        for _ in range(self.steps):
            self.contender.reset()
            start = time.perf_counter()
            self.contender.step()
            seconds += time.perf_counter() - start
        if others is not None:
            others = (machine_seconds() - others) - (self.contender.processor_seconds() - own)
        return Round(seconds / self.steps, self.steps, time.perf_counter() - began, others)

    def memory(self):
        return self.contender.memory()


def serve(pipe, make, arguments):
    """The main loop of a process: make an object, then call its methods as they are asked for."""
    served = None
    with contextlib.suppress(EOFError, ConnectionError, KeyboardInterrupt):     # the other end is gone: so are we
        while True:
            name, error, value = pipe.recv(), None, None
            try:
                if name == "make":
                    served = make(*arguments)
                else:
                    value = getattr(served, name)()
            except Exception as raised:
                traceback.print_exc()
                error = f"{type(raised).__name__}: {raised}"
            pipe.send((error, value))


def ask(pipes, name):
    """Call a method of the objects that are served at the other ends of the pipes, of all at once: what each returns.
    Raises RuntimeError as soon as one of them raises an error, or is gone."""
    found = {}
    try:
        for pipe in pipes:
            pipe.send(name)
        while len(found) < len(pipes):
            for pipe in wait([pipe for pipe in pipes if pipe not in found]):
                error, found[pipe] = pipe.recv()
                if error:
                    raise RuntimeError(error)
    except (EOFError, OSError):
        raise RuntimeError("the process ended by itself (out of memory?)") from None
    return [found[pipe] for pipe in pipes]


class Apart:
    """An object in a process of its own; call("name") calls its method there. A context: at the end it is gone."""

    def __init__(self, name, make, *arguments, environment=None):
        self.name, context = name, multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, make, arguments), daemon=True)
        before = dict(os.environ)
        os.environ.update(environment or {})            # which the new process inherits
        try:
            self.process.start()
        finally:
            os.environ.clear()
            os.environ.update(before)
        theirs.close()

    def __enter__(self):
        self.call("make")
        return self

    def __exit__(self, *error):
        self.pipe.close()
        self.process.join(5)
        self.process.kill()

    def call(self, name):
        try:
            return ask([self.pipe], name)[0]
        except RuntimeError as error:
            raise RuntimeError(f"{self.name}: {error}") from None


def call_apart(function, *arguments):
    """function(*arguments), computed in a process of its own, which leaves nothing behind in this one."""
    with Apart(function.__name__, _Call, function, arguments) as there:
        return there.call("run")


class _Call:
    def __init__(self, function, arguments):
        self.function, self.arguments = function, arguments

    def run(self):
        return self.function(*self.arguments)


@dataclass(frozen=True)
class Result:
    """What came of several contenders: rounds {name: [Round, ...]} that were kept, how many were dropped, proofs of
    work, peak memory in bytes. `quiet` is false if something else ran in every round: then all of them stand here."""
    rounds: dict
    dropped: int
    quiet: bool
    proofs: dict
    memory: dict

    def seconds(self, name):
        return statistics.median(r.seconds for r in self.rounds[name])

    def ratios(self, ours, theirs):
        """Our time over theirs, round by round, sorted."""
        return sorted(a.seconds / b.seconds for a, b in zip(self.rounds[ours], self.rounds[theirs], strict=True))


def play(contenders, rounds):
    """Rounds in turn, there and back, until `rounds` of them were quiet or three times as many were played.

    contenders: {name: Apart(..., Timed, ...)}, entered.
    """
    proofs = {name: timed.call("warm_up") for name, timed in contenders.items()}
    kept, loud = [], []
    for number in range(3 * rounds):
        played = {}
        for name in list(contenders)[::1 if number % 2 == 0 else -1]:
            time.sleep(PAUSE)
            played[name] = contenders[name].call("round")
        (loud if any(r.disturbed for r in played.values()) else kept).append(played)
        if len(kept) == rounds:
            break
    used = kept or loud
    return Result({name: [played[name] for played in used] for name in contenders}, len(loud), bool(kept), proofs,
                  {name: timed.call("memory") for name, timed in contenders.items()})
