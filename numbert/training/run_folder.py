"""What a run leaves behind, and what it says while it works: the folder, metrics.jsonl, the line of progress."""
import json
import os
import time
from pathlib import Path

from ..files import read_text, replacing


class RunFolder:
    """A folder for one run. Raises OSError at once, not after hours, if nothing can be written there."""

    def __init__(self, path):
        self.path = Path(path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(f"{self.path} cannot be a run folder: {error.strerror}") from None
        with replacing(self.path / ".writable") as probe:
            probe.write(b"")
        os.unlink(self.path / ".writable")
        for half in self.path.glob(".checkpoint.safetensors.*.tmp"):    # of a run that was killed while it saved
            half.unlink(missing_ok=True)

    checkpoint = property(lambda self: self.path / "checkpoint.safetensors")
    metrics = property(lambda self: self.path / "metrics.jsonl")

    def log(self, record):
        """Append one line to metrics.jsonl."""
        with open(self.metrics, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def records(self):
        """The lines of metrics.jsonl; one that was cut short, as by a kill, is left out."""
        if not self.metrics.exists():
            return []
        lines = read_text(self.metrics).split("\n")[:-1]
        try:
            return [json.loads(line) for line in lines]
        except json.JSONDecodeError as error:
            number = 1 + lines.index(error.doc)
            raise ValueError(f"{self.metrics}: line {number} is not JSON: {error}") from None

    def rewind(self, step):
        """Forget the metrics after `step`: they will be measured again."""
        kept = [record for record in self.records() if record["step"] <= step]
        with replacing(self.metrics) as file:
            file.write("".join(json.dumps(record) + "\n" for record in kept).encode())


class Progress:
    """Prints a line about a long loop, every few seconds: what was done, how fast, how long it will take still."""

    def __init__(self, steps, start=0, every=5.0):
        self.steps, self.start, self.every = steps, start, every
        self.began = self.last = time.monotonic()
        self.tokens = 0

    def update(self, step, text):
        """After each step. `step` is a `training.loop.Step`, `text` a function that says what is to be read."""
        now = time.monotonic()
        self.tokens += step.tokens
        if now - self.last < self.every and step.number < self.steps:
            return
        self.last = now
        elapsed, done = now - self.began, step.number - self.start
        left = elapsed / done * (self.steps - step.number)
        print(f"step {step.number}/{self.steps}  {text()}  lr {step.lr:.1e}  {self.tokens / elapsed:,.0f} tokens/s  "
              f"{int(left) // 60}:{int(left) % 60:02d} left", flush=True)
