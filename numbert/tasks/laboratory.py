"""What the scripts of the laboratory share: their options, what they leave behind, and bodies with their seeds.

A laboratory script measures one claim of the lecture. It leaves results.json, with the settings and every number that
it speaks of, and pictures, in a folder; and it says no more than the spread over its seeds allows
(`training.seeds.in_words`).
"""
import argparse
import json
import time
from pathlib import Path

from .. import files, svg
from ..training.parallel import cores
from ..training.run_folder import RunFolder
from ..training.seeds import Seeds
from .experiment import run
from .toy import SETTINGS
from .toy_body import made


def arguments(description, *, name, quick, **defaults):
    """A parser with --out, --quick, --workers, and an option for each of `defaults`, of its type: seeds=5 becomes
    --seeds. quick: {option: value} for --quick, where the option is not given."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
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
    """The options; with --quick small ones where none was given."""
    options = parser.parse_args(argv)
    if options.quick:
        parser.set_defaults(**options.quick_values)
        options = parser.parse_args(argv)
    del options.quick_values
    return options


class Results:
    """A folder with results.json: the settings, the numbers that are added, and how many seconds it took."""

    def __init__(self, options):
        self.folder, self.began = RunFolder(options.out).path, time.monotonic()
        self.content = {"settings": vars(options)}

    def add(self, **numbers):
        """Keep numbers, lists and dicts of them; Seeds are kept with every run, mean and standard deviation."""
        self.content |= numbers
        seconds = {"seconds": round(time.monotonic() - self.began, 1)}
        text = json.dumps(self.content | seconds, indent=1, default=_plain)
        files.write_text(self.folder / "results.json", text + "\n")

    def draw(self, name, charts):
        """Write the charts (`svg.chart`) into the picture NAME.svg, and say so."""
        path = self.folder / f"{name}.svg"
        files.write_text(path, svg.page(charts))
        print(f"{path}: open it in a browser")


def _plain(value):
    """For json: Seeds, NumPy's arrays and numbers."""
    if isinstance(value, Seeds):
        return {"runs": value.figures, "mean": value.mean(), "std": value.std(), "baseline": value.baseline}
    if isinstance(value, Path):
        return str(value)
    return value.tolist()


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
