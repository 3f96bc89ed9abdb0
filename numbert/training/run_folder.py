"""The folder of a run, its metrics.jsonl, and the line of progress that it prints."""
import json
import os
import platform
import time
import weakref
from pathlib import Path

from ..hub.files import json_text, naming, read_text, replacing
from .ranks import Alone


class RunFolder:
    """A folder for one run. Raises OSError at once, not after hours, if nothing can be written there.

    A run works in it as `with RunFolder(path) as folder:`, and then nobody else does: a second run in the same folder
    is refused with a ValueError before it has changed anything. Several `ranks` open it together, and only rank 0 takes
    it and writes.
    """

    def __init__(self, path, ranks=None):
        self.path, self.ranks = Path(path), ranks or Alone()
        self._lock = _Lock(self.path / "run.lock")
        self.ranks.first(self._prepare)

    def _prepare(self):
        self._lock.refuse_others()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(f"{self.path} cannot be a run folder: {error.strerror}") from None
        probe = self.path / ".writable"
        with naming(self.path, instead_of=probe), replacing(probe) as file:
            file.write(bytes(4096))                     # on a full disk an empty file may still find a place
        os.unlink(probe)

    checkpoint = property(lambda self: self.path / "checkpoint.safetensors")
    metrics = property(lambda self: self.path / "metrics.jsonl")

    def hold(self):
        """Take the folder, until a `with` block ends, or this object is gone. Gives itself."""
        self.ranks.first(self._take)
        return self

    def _take(self):
        self._lock.take()
        try:
            self.records()                              # refuse a metrics.jsonl that no run wrote
        except BaseException:
            self.__exit__()
            raise
        for half in self.path.glob(".checkpoint.safetensors.*.tmp"):    # of a run that was killed while it saved
            half.unlink(missing_ok=True)

    __enter__ = hold

    def __exit__(self, *error):
        self._lock.release()

    def log(self, record):
        """Append one line to metrics.jsonl."""
        if self.ranks.rank:
            return
        with naming(self.metrics), open(self.metrics, "a", encoding="utf-8") as file:
            file.write(json_text(record) + "\n")

    def records(self):
        """The lines of metrics.jsonl; one that was cut short, as by a kill, is left out. Raises ValueError if it is
        not what a run writes: an object with a step in each line."""
        if not self.metrics.is_file():
            return []
        records = []
        for number, line in enumerate(read_text(self.metrics).split("\n")[:-1], 1):
            try:
                records.append(json.loads(line))
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{self.metrics}: line {number} is not JSON: {error}") from None
            if not isinstance(records[-1], dict) or not isinstance(records[-1].get("step"), int):
                raise ValueError(f"{self.metrics}: line {number} is no record of a run: it has no step")
        return records

    def rewind(self, step):
        """Forget the metrics after `step`: they will be measured again."""
        self.rewrite([record for record in self.records() if record["step"] <= step])

    def rewrite(self, records):
        """metrics.jsonl with these records alone."""
        with replacing(self.metrics) as file:
            file.write("".join(json_text(record) + "\n" for record in records).encode())


class _Lock:
    """A file that says which process uses a folder. It is ignored if that process has ended."""

    def __init__(self, path):
        self.path, self._finalizer = path, None

    def refuse_others(self):
        """Raises ValueError if another process that is alive has it."""
        owner = self._owner()
        if owner and owner != _me() and _alive(owner):
            raise ValueError(f"{self.path.parent} is in use by process {owner['pid']} on {owner['host']}: take another "
                             f"folder (if there is no such process any more, delete {self.path})")

    def take(self):
        self.refuse_others()
        if (owner := self._owner()) == _me():
            raise ValueError(f"{self.path.parent} is in use by this very process")
        if owner:                                       # of a process that was killed
            self.path.unlink(missing_ok=True)
        with naming(self.path):
            try:
                file = open(self.path, "x", encoding="utf-8")
            except FileExistsError:                     # another process was faster
                raise ValueError(f"{self.path.parent} is in use: another run has just begun") from None
            with file:
                json.dump(_me(), file)
        self._finalizer = weakref.finalize(self, _delete, self.path, os.getpid())

    def release(self):
        if self._finalizer:
            self._finalizer()

    def _owner(self):
        """{"pid", "host", "started"} of the process that has it, or None."""
        try:
            owner = json.loads(self.path.read_bytes())
            return owner if {"pid", "host"} <= owner.keys() else None
        except (OSError, ValueError, AttributeError):
            return None


def _me():
    return {"pid": os.getpid(), "host": platform.node(), "started": _started(os.getpid())}


def _started(pid):
    """When a process began, in the system's own units, since process ids are reused. None if it is not known, or
    the process has ended and is only remembered."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text(encoding="latin-1").rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in "ZX" else int(rest[18])


def _alive(owner):
    if owner["host"] != platform.node() or os.name == "nt":             # nothing is known of it
        return True
    if Path("/proc/self/stat").exists():
        return _started(owner["pid"]) is not None and _started(owner["pid"]) == owner.get("started")
    try:
        os.kill(owner["pid"], 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _delete(path, pid):
    if os.getpid() == pid:                              # and not in a process that this one made
        path.unlink(missing_ok=True)


class Progress:
    """Prints a line about a long loop, every few seconds: what was done, how fast, and how long it will still take."""

    def __init__(self, steps, start=0, every=5.0, say=lambda text: print(text, flush=True)):
        self.steps, self.start, self.every, self.say = steps, start, every, say
        self.began = self.last = time.monotonic()
        self.tokens, self.paused = 0, 0.0

    def update(self, step, text):
        """After each step. `step` is a `training.loop.Step`, `text` a function that gives the text to print."""
        now = time.monotonic()
        self.tokens += step.tokens
        if now - self.last < self.every and step.number < self.steps:
            return
        self.last = now
        elapsed, done = now - self.began, step.number - self.start
        left = elapsed / done * (self.steps - step.number)
        self.say(f"step {step.number}/{self.steps}  {text()}  lr {step.lr:.1e}  "
                 f"{self.tokens / (elapsed - self.paused):,.0f} tokens/s  {minutes(left)} left")

    def paused_for(self, seconds):
        """Something other than a step took so long, such as an evaluation: it slows the run down, not the steps."""
        self.paused += seconds


def minutes(seconds):
    """75.2 -> 1:15"""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
