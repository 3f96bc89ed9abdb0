"""What the scripts of the laboratory share: their options, their result files, and pre-trained bodies for each seed.

A laboratory script measures one claim of the lecture. It writes pictures and results.json, with the settings and every
number that it prints, into a folder. It reports a difference only as far as the standard deviation over its seeds
allows (`training.seeds.in_words`).
"""
import argparse
import time
from pathlib import Path

import numpy as np

from .. import svg
from ..hub import files
from ..machine import cores
from ..training.command import add_quick, parse, start  # noqa: F401 (scripts call laboratory.start)
from ..training.experiment import FineTuning, run
from ..training.run_folder import RunFolder
from ..training.seeds import Seeds
from .bodies import pretrained_body
from .comparison import SETTINGS


def arguments(description, *, name, quick, **defaults):
    """A parser with --out, --quick, --workers, and an option for each of `defaults`, of its type: seeds=5 becomes
    --seeds. quick: {option: value} for --quick, where the option is not given."""
    parser = argparse.ArgumentParser(prog=f"{name}.py", description=description,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    for option, value in defaults.items():
        add(f"--{option.replace('_', '-')}", type=type(value), default=value, help="(default: %(default)s)")
    add("--out", default=f"runs/{name}", help="where numbers and pictures go (default: %(default)s)")
    add("--workers", type=int, default=cores(), help="threads (default: all cores, %(default)s here)")
    add_quick(parser, quick)
    return parser


class Results:
    """A folder with results.json: the settings, the numbers that are added, and how many seconds it took."""

    def __init__(self, options):
        self.run_folder, self.began = RunFolder(options.out).hold(), time.monotonic()
        self.folder = self.run_folder.path
        self.content = {"settings": vars(options)}

    def add(self, **numbers):
        """Keep numbers, lists and dicts of them; Seeds are kept with every run, mean and standard deviation."""
        self.content |= numbers
        seconds = {"seconds": round(time.monotonic() - self.began, 1)}
        text = files.json_text(_plain(self.content | seconds), indent=1)
        files.write_text(self.folder / "results.json", text + "\n")

    def draw(self, name, charts):
        """Write the charts (`svg.chart`) into the picture NAME.svg, and say so."""
        path = self.folder / f"{name}.svg"
        files.write_text(path, svg.page(charts))
        print(f"{path}: open it in a browser")


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
