"""What the scripts of the laboratory share: their options, what they leave behind, and bodies with their seeds.

A laboratory script measures one claim of the lecture. It leaves results.json, with the settings and every number that
it speaks of, and pictures, in a folder; and it says no more than the spread over its seeds allows
(`training.seeds.in_words`).
"""
import argparse
import json
import math
import sys
import time
from pathlib import Path

import numpy as np

from .. import files, svg
from ..machine import cores
from ..training.parallel import Workers
from ..training.run_folder import RunFolder
from ..training.seeds import Seeds
from .experiment import run
from .toy import SETTINGS
from .toy_body import made


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
    add("--quick", action="store_true", help="see everything work once, in seconds: "
        + ", ".join(f"--{key.replace('_', '-')} {' '.join(map(str, value)) if isinstance(value, list) else value}"
                    for key, value in quick.items()))
    parser.set_defaults(quick_values=quick)
    return parser


def parse(parser, argv=None):
    """The options of a parser from `arguments` or `toy.arguments`; with --quick small ones where none was given.

    Ends the program, in one line, if a number is too small: a whole one below 1 (a seed below 0), any other that is not
    above 0 (a dropout below 0)."""
    options = parser.parse_args(argv)
    if options.quick:
        parser.set_defaults(**options.quick_values)
        options = parser.parse_args(argv)
    del options.quick_values
    for name, value in vars(options).items():
        least = 0 if name in ("seed", "dropout") else 1
        fault = (f"at least {least}" if (type(value) is int or name == "dropout") and not value >= least else
                 "above 0" if type(value) is float and name != "dropout" and not value > 0 else None)
        if fault:
            sys.exit(f"{parser.prog}: --{name.replace('_', '-')} must be {fault}, got {value}")
    return options


def start(experiment, parser, argv=None):
    """Call experiment(options, workers). What a user may do wrong, and Ctrl-C, ends the program in one line."""
    options = parse(parser, argv)
    try:
        with Workers(options.workers) as workers:
            experiment(options, workers)
    except (ValueError, OSError) as error:
        sys.exit(f"{parser.prog}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{parser.prog}: interrupted")


class Results:
    """A folder with results.json: the settings, the numbers that are added, and how many seconds it took."""

    def __init__(self, options):
        self.folder, self.began = RunFolder(options.out).path, time.monotonic()
        self.content = {"settings": vars(options)}

    def add(self, **numbers):
        """Keep numbers, lists and dicts of them; Seeds are kept with every run, mean and standard deviation."""
        self.content |= numbers
        seconds = {"seconds": round(time.monotonic() - self.began, 1)}
        text = json.dumps(_plain(self.content | seconds), indent=1, allow_nan=False)
        files.write_text(self.folder / "results.json", text + "\n")

    def draw(self, name, charts):
        """Write the charts (`svg.chart`) into the picture NAME.svg, and say so."""
        path = self.folder / f"{name}.svg"
        files.write_text(path, svg.page(charts))
        print(f"{path}: open it in a browser")


def _plain(value):
    """As JSON can have it; which knows no NaN (the standard deviation of one seed) and no infinity: None."""
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
    return None if isinstance(value, float) and not math.isfinite(value) else value


def bodies(recipe, seeds, workers):
    """The folders of models made as `recipe` says with each seed of 0..seeds-1."""
    return [made(recipe.replace(seed=seed), workers) for seed in range(seeds)]


def settings(options, **changes):
    """What fine-tuning reads of options: the toy examples' settings where neither `options` nor `changes` has them."""
    general = dict(max_length=128, layer_decay=1.0, patience=None, freeze_body=False)
    return argparse.Namespace(**general | SETTINGS | (vars(options) if options else {}) | changes)


def downstream(task, folders, options, workers, *, from_scratch=False):
    """`Seeds` of fine-tuning with seed i from the model in folders[i]: its spread is the luck of both trainings."""
    runs = [run(task, folder, options, workers, from_scratch=from_scratch, seeds=[seed], say=None)
            for seed, folder in enumerate(folders)]
    return Seeds([one for r in runs for one in r.seeds.figures], task.baseline)
