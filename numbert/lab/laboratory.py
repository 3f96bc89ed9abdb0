"""What the scripts of the laboratory share: their options, their result files, and pre-trained bodies for each seed.

A laboratory script measures one claim of the lecture. It writes pictures and results.json, with the settings and every
number that it prints, into a folder. It reports a difference only as far as the standard deviation over its seeds
allows (`training.seeds.differences`). One that would take longer than two minutes does as much as fits into them, and
says how much that is (`lesson`): --minutes 10 does more, --full all of it. Its cells (`# %%`) are those of a notebook:

    options, workers = laboratory.begin(laboratory.arguments(__doc__, name="x", quick={"steps": 4}, steps=600))
    results = laboratory.Results(options)
    # %% One text: an instance, printed in full
    # %% The experiment
    laboratory.compare(options, {"this against that": (seeds_of_this, seeds_of_that)})
    results.draw("picture", [svg.chart(...)])
    # %% The takeaway
    laboratory.end(options, "One sentence, made of what was measured.", "--steps 3000 (what changes?)")
"""
import argparse
import shlex
import sys
import textwrap
import time
from pathlib import Path

import numpy as np

from .. import svg
from ..hub import files
from ..machine import cores
from ..training import command
from ..training.command import add_quick
from ..training.experiment import FineTuning, run
from ..training.parallel import Workers
from ..training.run_folder import RunFolder
from ..training.seeds import Seeds, differences
from .bodies import body_step_seconds, is_made, pretrained_body
from .lesson import add_lesson, head_seconds

SETTINGS = {"epochs": 12, "lr": 7e-4, "batch_size": 16, "seeds": 5, "dropout": 0.0}     # of fine-tuning, on toy tasks


def arguments(description, *, name, quick, least=None, full=None, claim=None, **defaults):
    """A parser with --out, --quick, --workers, and an option for each of `defaults`, of its type: seeds=5 becomes
    --seeds. quick: {option: value} for --quick, where the option is not given. least, full, claim: of a script that
    takes more than two minutes, see `lesson.add_lesson`."""
    parser = argparse.ArgumentParser(prog=f"{name}.py", description=description,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    for option, value in defaults.items():
        add(f"--{option.replace('_', '-')}", type=type(value), default=value, help="(default: %(default)s)")
    add("--out", default=f"runs/{name}", help="where numbers and pictures go (default: %(default)s)")
    add("--workers", type=int, default=cores(), help="threads (default: all cores, %(default)s here)")
    add_quick(parser, quick)
    if least:
        add_lesson(parser, least, full, claim)
    return parser


def begin(parser, argv=None):
    """(options, `Workers` at work) of a script: see `command.begin`. Says that --quick means nothing. One worker where
    there is no --workers. Where the parser has --minutes, options.least is what a `Lesson` may lower, and options.again
    the command as it was typed."""
    options, leaving = command.begin(parser, argv)
    if "least" in vars(options):
        given = command.given(parser, argv)
        options.least = {name: one for name, one in options.least.items() if name not in given}
        script = parser.prog if command.in_notebook() else sys.argv[0]
        options.again = shlex.join(["python", script, *command.words_of(argv)])
    if options.quick:
        print("--quick: everything is done once, with very little of it. The numbers mean nothing.\n")
    return options, leaving.enter_context(Workers(getattr(options, "workers", 1)))


def compare(options, pairs):
    """Print `seeds.differences` of {what: (ours, other)}, but after --quick nothing. Gives them as numbers."""
    if not options.quick:
        print(f"\n{differences(pairs)}")
    return {what: {"difference": ours.mean() - other.mean(), "in_standard_deviations": ours.times(other)}
            for what, (ours, other) in pairs.items()}


def end(options, takeaway, try_next):
    """Print the takeaway, a sentence made of what was measured, and what to try next. After --quick there is none."""
    quick = getattr(options, "quick", False)
    if not quick and getattr(options, "again", ""):
        print(f"\nThe same again: {options.again}")
    for text in [*([] if quick else [f"Takeaway: {takeaway}"]), f"Try next: {try_next}"]:
        print("\n" + "\n".join(textwrap.fill(line, 120, break_long_words=False, break_on_hyphens=False)
                              for line in text.splitlines()))
    if quick:
        print("\n--quick: the numbers above mean nothing. Without it they do.")


class Results:
    """A folder with results.json: the settings, the numbers that are added, and how many seconds it took."""

    def __init__(self, options):
        self.run_folder, self.began = RunFolder(options.out), time.monotonic()
        self.folder = self.run_folder.path
        if not command.in_notebook():                   # where the same cell may be run again
            self.run_folder.hold()
        self.content = {"settings": vars(options)}

    def add(self, **numbers):
        """Keep numbers, lists and dicts of them; Seeds are kept with every run, mean and standard deviation."""
        self.content |= numbers
        seconds = {"seconds": round(time.monotonic() - self.began, 1)}
        text = files.json_text(_plain(self.content | seconds), indent=1)
        files.write_text(self.folder / "results.json", text + "\n")

    def draw(self, name, picture):
        """Write a picture, or a list of charts (`svg.chart`, `svg.bars`), into NAME.svg, and say so. Gives the
        picture, which a notebook shows below the cell."""
        return draw(self.folder / f"{name}.svg", picture)


def draw(path, picture):
    """What `Results.draw` does, for any path."""
    picture = svg.page(picture) if isinstance(picture, list) else picture
    files.write_text(path, picture)
    print(f"{path}: open it in a browser")
    return picture


def _plain(value):
    """The value in the types that JSON has."""
    if isinstance(value, Seeds):
        value = {"runs": value.figures, "mean": value.mean(), "std": value.std(), "baseline": value.baseline}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Path):
        return str(value)
    return value


def body(recipe, options, lesson, workers, option="pretraining_steps", share=0.5):
    """The folder of a model made as `recipe` says, but for the steps, which stand in that option. The lesson may lower
    them: to as many as fit into that share of the time, or more if such a body is there already."""
    def of(options):
        return recipe.replace(steps=getattr(options, option))
    if lesson.open(option) and not is_made(of(options)):
        each = body_step_seconds(recipe, workers)
        lesson.fit(lambda o: 0.0 if is_made(of(o)) else getattr(o, option) * each, option, share=share,
                   pace=f"{1 / each:.1f} steps a second")
    return pretrained_body(of(options), workers)


def fit_heads(task, body, options, lesson, workers, count, *names):
    """Lower the options `names` until count(options) fine-tunings of the task fit into the time that is left."""
    if lesson.open(*names):
        each = head_seconds(task, body, settings(options), workers)
        lesson.fit(lambda o: count(o) * each(settings(o)), *names,
                   pace=f"{each(settings(options)):.1f} seconds a fine-tuning")


def bodies(recipe, seeds, workers):
    """The folders of models made as `recipe` says with each seed of 0..seeds-1."""
    return [pretrained_body(recipe.replace(seed=seed), workers) for seed in range(seeds)]


def settings(options, **changes):
    """The `FineTuning` of a script: `changes`, then what its options say, then the toy examples' settings."""
    return FineTuning.of(options, defaults=SETTINGS, **changes)


def downstream(task, folders, settings, workers, *, from_scratch=False):
    """`Seeds` of fine-tuning with seed i from the model in folders[i]: its standard deviation covers both trainings."""
    runs = [run(task, folder, settings, workers, from_scratch=from_scratch, seeds=[seed], say=None)
            for seed, folder in enumerate(folders)]
    return Seeds([one for r in runs for one in r.seeds.figures], task.baseline)
