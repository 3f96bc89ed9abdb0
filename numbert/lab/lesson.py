"""A script that fits into a lesson: as much of its experiment as two minutes have room for, on the machine it runs on.

    options, workers = laboratory.begin(parser)                     # which has --minutes and --full: `add_lesson`
    lesson = Lesson(options)
    each = step_seconds(model, batches, workers)                    # the first steps on this machine are timed
    lesson.fit(lambda o: o.seeds * o.steps * each, "seeds", "steps", pace=f"{1 / each:.0f} steps a second")
    # 41 steps a second here: 2 minutes have room for 2 of 5 seeds and 1,800 of 3,000 steps (about 1:28 of 1:55 left);
    # --minutes 7 runs all of it

What stands on the command line is taken as it is given. What was chosen stands in the options from then on, and so in
results.json; the command that `laboratory.end` prints gives all of it, so that nothing is chosen any more, and the
numbers are the same on any day. --full runs all of it; --quick has its own few steps, and no limit of time.
"""
import argparse
import json
import math
import tempfile
import time
from pathlib import Path

from ..hub import files
from ..training.command import add_preset, said
from ..training.experiment import without_reports
from ..training.finetuning import starting_point
from ..training.loop import train
from ..training.optimizer import AdamW
from ..training.rehearsal import timed
from ..training.run_folder import minutes

TARGET = 0.9                            # of the time: the rest is for what is not estimated, such as pictures


def add_lesson(parser, least, full=None, claim=None):
    """Add --minutes and --full to the parser of a script. least: {option: its least value, or how many of a list}, in
    the order in which they are lowered. full: {option: value} that --full sets, beside no limit of time. claim: of
    examples/claims.py, which measures the same with several bodies."""
    lowered = ", ".join(f"--{name.replace('_', '-')}" for name in least)
    parser.add_argument("--minutes", type=float, default=2.0, help="do as much as fits into this time on this machine: "
                        f"{lowered} may become less, where not given (default: %(default)g)")
    add_preset(parser, "full", {"minutes": None} | (full or {}), "no limit of time: all of it"
               + (f", with {said(full)}" if full else "")
               + (f"; python examples/claims.py {claim} settles the claim with several bodies" if claim else ""))
    parser.set_defaults(least=least)


class Lesson:
    """The time of a script, from now on. options: those of `laboratory.begin`; of them `least`, which is removed, says
    what may be lowered. clock() gives seconds; say(text) prints a line."""

    def __init__(self, options, clock=time.monotonic, say=print):
        self.options, self.clock, self.say, self.began = options, clock, say, clock()
        least = vars(options).pop("least", {})
        self.least = {} if options.quick or options.minutes is None else least

    def left(self):
        """Seconds that are left. Only of a Lesson that may lower something, and so has a limit."""
        return 60 * self.options.minutes - (self.clock() - self.began)

    def open(self, *names):
        """Those of the options `names` that may be lowered: none of those that were given."""
        return [name for name in names if name in self.least]

    def fit(self, seconds, *names, share=1.0, pace=""):
        """Lower the options `names` that were not given, one after another, each to no less than its least, until
        seconds(options) is within that share of the time that is left. Says what was chosen and how long it takes.
        pace: what was measured on this machine, in words. `names` are settled then: nothing lowers them again."""
        names = self.open(*names)
        if not names:
            return
        left, wanted = max(0.0, self.left()), {name: getattr(self.options, name) for name in names}
        chosen, room = dict(wanted), TARGET * share * left

        def takes(values):
            return seconds(argparse.Namespace(**vars(self.options) | values))

        for name in names:
            values = smaller(wanted[name], self.least.pop(name))
            chosen[name] = next((one for one in values if takes(chosen | {name: one}) <= room), values[-1])
        vars(self.options).update(chosen)
        self.options.again = " ".join([getattr(self.options, "again", ""), *(said({name: one}) for name, one in
                                                                              chosen.items())])
        self.say(_in_words(self.options.minutes, pace, [(name, chosen[name], wanted[name]) for name in names],
                           takes(chosen), left, takes(chosen) <= share * left,
                           60 * self.options.minutes - left + takes(wanted) / share / TARGET))


def smaller(value, least):
    """`value` and what may stand in its place, from large to small: every whole number down to `least`, tenths of one
    above 20; of a list its first few, at least so many."""
    if isinstance(value, list):
        return [value[:n] for n in range(len(value), min(least, len(value)) - 1, -1)]
    least = min(value, least)
    steps = range(value, least, -1) if value <= 20 else (value * tenths // 10 for tenths in range(10, 0, -1))
    return [*(one for one in steps if one > least), least]


def _in_words(limit, pace, values, seconds, left, fits, whole):
    """The line that says what was chosen: `values` of (name, what was chosen, what was wanted)."""
    parts = " and ".join(_of(*one) for one in values)
    room = f"{limit:g} minute{'s' * (limit != 1)} {'has' if limit == 1 else 'have'} room for"
    lowered = any(value != wanted for _, value, wanted in values)
    how = "less than the least, " if not fits else "" if lowered else "all of it, "
    return (f"{pace} here: " * bool(pace) + f"{room} {how}{parts} (about {minutes(seconds)} of {minutes(left)} left)"
            + f"; --minutes {math.ceil(whole / 60)} runs all of it" * lowered)


def _of(name, value, wanted):
    """ "1,800 of 3,000 steps", "2 of 4 tasks (classify tag)", or "5 seeds" where it is all of them."""
    name = name.replace("_", " ")
    if isinstance(value, list):
        return f"{len(value)} of {len(wanted)} {name}" + f" ({' '.join(map(str, value))})" * (value != wanted)
    return f"{value:,} {name}" if value == wanted else f"{value:,} of {wanted:,} {name}"


# ---- what this machine takes -----------------------------------------------------------------------------------------


def step_seconds(model, batches, workers, steps=10):
    """The mean time of a few training steps after the first two, which are slower. The learning rate is 0, so that the
    model keeps its parameters."""
    times = [time.perf_counter() for _ in train(model, batches, optimizer=AdamW(model.parameters()), steps=steps + 2,
                                                lr=lambda step: 0.0, seed=0, workers=workers)]
    return (times[-1] - times[1]) / (len(times) - 2)


def head_seconds(task, body, settings, workers):
    """A function of the settings (FineTuning) that tells how long one such fine-tuning takes, with its evaluations and
    its report: a few steps and one of each are measured. body: a folder or, before there is one, its configuration."""
    with tempfile.TemporaryDirectory() as folder:
        if isinstance(body, str | Path):
            folder = body
        else:
            files.write_text(Path(folder) / "config.json", json.dumps(body.to_dict()))
        model_class = task.model_class.class_of(folder)
        with without_reports():
            model = starting_point(model_class, folder, from_scratch=True, **task.settings)(0)
    timing, began = timed(task, model, settings, workers), time.perf_counter()
    (task.test or task.evaluate)(model)
    report = time.perf_counter() - began
    return lambda settings: timing.seconds(settings) + report
