"""What a fine-tuning command saves in its run folder after each evaluation, and how it is resumed from there.

    with opened(options.out, options.model, options.resume, default="runs/tagging") as folder:
        kept = Kept(folder, tokenizer, settings, options.resume)
        runs = experiment.run(task, options.model, settings, workers, kept=kept)
        ...                                             # whatever else there is to say and to write
        kept.finish()
"""
import contextlib
import dataclasses
import hashlib
import itertools
import math
import shutil
from pathlib import Path

import numpy as np

from .. import svg
from ..hub import files
from .checkpoint import compare, load_best, load_checkpoint, read_settings, read_state, save_checkpoint
from .finetuning import BestEpoch, Trial, describe, in_epochs, names
from .ranks import Alone
from .run_folder import RunFolder


def add_run_options(parser, out):
    """Add the options of a command that fine-tunes: those of `add_options`, where it starts and what it leaves. out:
    the default folder, in words; None if there is none."""
    add = parser.add_argument
    add("--from-scratch", action="store_true", help="take only sizes and tokenizer from --model, not its weights")
    add("--keep-head", action="store_true", help="go on with the head that --model has for this same task (default: a "
        "new one is drawn)")
    add("--out", metavar="FOLDER", required=out is None, help="the run folder: the best model so far, metrics.jsonl"
        + (f" (default: {out}, or with a number behind it, if that holds a run already)" if out else ""))
    add("--resume", action="store_true", help="go on with the run in --out after its last evaluation, with the same "
        "options")


@contextlib.contextmanager
def opened(out, model, resume=False, *, default=None, ranks=None, replacing=False):
    """The RunFolder for a fine-tuning of the model in the folder `model`. out: its path; None: the default, or with a
    number behind it. replacing: what an earlier run left there may be overwritten, as by a script that is run again.
    Raises ValueError if it is not for such a run: nothing is changed in it then. Folders that it makes, and in which
    nothing is written, are removed at the end."""
    ranks = ranks or Alone()
    path = ranks.first(lambda: Path(out or _numbered(default, resume)))
    if path.exists() and Path(model).exists() and path.samefile(model):
        raise ValueError(f"--out and --model are the same folder, {path}: the model would be overwritten")
    new = [] if ranks.rank else [one for one in (path, *path.parents) if not one.exists()]
    try:
        with RunFolder(path, ranks) as folder:
            ranks.first(lambda: _refuse_others(folder, resume, replacing))
            try:
                yield folder
            except KeyboardInterrupt as interrupt:
                if not interrupt.args and folder.checkpoint.exists():
                    interrupt.args = (f"{path} keeps what was done; the same command with --resume goes on",)
                raise
    finally:
        with contextlib.suppress(OSError):              # only an empty folder can be removed
            for one in new:
                one.rmdir()


def _refuse_others(folder, resume, replacing):
    path, stopped = folder.path, folder.checkpoint.exists()
    if resume and not stopped:
        raise ValueError(f"{path} holds no run that was stopped: there is nothing to resume")
    if stopped and not resume:
        raise ValueError(f"{path} holds a run that was stopped: --resume goes on with it, another --out starts a new "
                         "one")
    ours = (records := folder.records()) and all("epoch" in record for record in records)
    if not stopped and (path / "config.json").exists() and not (replacing and ours):
        raise ValueError(f"{path} holds a model, which would be overwritten: take another --out")


def _numbered(path, resume):
    """path, path-2, path-3, ...: the first that does not exist; to resume, the last that does."""
    names = (path if number == 1 else f"{path}-{number}" for number in itertools.count(1))
    taken = list(itertools.takewhile(lambda name: Path(name).exists() and any(Path(name).iterdir()), names))
    return (taken or [path])[-1] if resume else path if not taken else f"{path}-{len(taken) + 1}"


def recorded(options, settings, *data):
    """What a resumed run must not change: settings (a FineTuning), the other options but for paths, and the data."""
    free = ("model", "out", "resume", "train", "dev", "test", "data", "files", "dry_run")
    said = vars(options) | dataclasses.asdict(settings)
    return {name: value for name, value in said.items() if name not in free} | {"data": fingerprint(*data)}


class Kept:
    """Saves a fine-tuning after each evaluation: first the best model so far, if it is new, then the state to resume
    from, and last the line in metrics.jsonl.

    folder: a RunFolder that is open.  settings: all that decides the result, as JSON values. They must be the same when
    it is resumed. None: no state to resume from is saved.
    """

    def __init__(self, folder, tokenizer, settings=None, resume=False):
        self.folder, self.tokenizer, self.settings, self.resume = folder, tokenizer, settings, resume
        self.saved = None                               # description of the model in the folder

    def begin(self, start, trials):
        """The state to resume from, {} without one. start: seed -> model."""
        self.names = names(trials)
        if self.settings is None:
            return {}
        first = start(trials[0].seed)
        self.settings = self.settings | {"seeds": list(dict.fromkeys(trial.seed for trial in trials)), "start":
                                         fingerprint(first.config.to_dict(), *(p.data for p in first.parameters()))}
        if not self.resume:
            return {}
        if differences := compare(read_settings(self.folder.checkpoint)[1], self.settings):
            raise ValueError(f"{self.folder.checkpoint} belongs to another run: {'; '.join(differences)}")
        state = _with_nan(read_state(self.folder.checkpoint))
        if not state.keys() >= {"trial", "finished", "records", "best", "top", "saved"}:
            raise ValueError(f"{self.folder.checkpoint} is not from a fine-tuning")
        self.saved = state["saved"]
        return state | {"trial": Trial(*state["trial"])}

    def before(self, course, trial, state):
        """Before the first step of a trial: put its course back to where the state was saved, if that was in it. A new
        run saves its state for the first time, so that what cannot be written fails now."""
        ranks = self.folder.ranks
        if not state and self.settings is not None and ranks.first(lambda: not self.folder.checkpoint.exists()):
            self._checkpoint(course, trial, {}, [], None)
            ranks.first(self._check_space)
        if state.get("trial") != trial:
            return
        load_checkpoint(self.folder.checkpoint, course.model, course.optimizer, self.settings)
        course.history += [{name: value for name, value in record.items() if name not in Trial._fields}
                           for record in state["records"] if Trial(record["lr"], record["seed"]) == trial]
        if state["best"]:
            figures, epoch = state["best"]
            course.best = BestEpoch(figures, epoch, course.history)
            course.weights = load_best(self.folder.checkpoint, course.model, course.optimizer)
            if course.weights is None:                  # the last evaluation was the best
                course.weights = [parameter.data.copy() for parameter in course.optimizer.parameters]
        if self.saved:
            self.folder.rewrite(state["records"])

    def _check_space(self):
        needed, free = 2 * self.folder.checkpoint.stat().st_size, shutil.disk_usage(self.folder.path).free
        if free < needed:
            self.finish()
            raise OSError(f"{self.folder.path}: {needed:,} bytes will be needed, {free:,} are free")

    def evaluation(self, task, course, trial, finished, records, top):
        """After an evaluation. finished: {trial: two dicts of figures}.  records: of all evaluations.  top: the best
        figures of all."""
        begins = self.saved is None
        if course.best_is_new() and course.best.figures is top:
            if begins:                                  # replace the files of an earlier run
                self.tokenizer.save_pretrained(self.folder.path)
            course.model.save_pretrained(self.folder.path)
            if task.save_beside:
                task.save_beside(self.folder.path)
            self.saved = f"the model of epoch {in_epochs(course.best.epoch)}, {self.names[trial]} ({describe(top)})"
        if self.settings is not None:
            self._checkpoint(course, trial, finished, records, top)
        if begins:
            self.folder.rewrite([])
        self.folder.log(records[-1])

    def _checkpoint(self, course, trial, finished, records, top):
        state = {"trial": list(trial), "finished": [[*done, *figures] for done, figures in finished.items()],
                 "records": records, "best": course.best and [course.best.figures, course.best.epoch], "top": top,
                 "saved": self.saved}
        save_checkpoint(self.folder.checkpoint, course.model, course.optimizer, course.step, self.settings,
                        state=state, best=None if course.best_is_new() else course.weights)

    def draw(self, records, levels):
        """curves.svg: the training loss and each figure of all trials against the number of steps. levels: {figure: the
        value to compare it with}. Gives the path."""
        charts = []
        for figure in (name for name in records[0] if name not in (*Trial._fields, "epoch", "step")):
            lines = {name: [(record["step"], record[figure]) for record in records
                            if Trial(record["lr"], record["seed"]) == trial] for trial, name in self.names.items()}
            title, unit = ("training loss", "nats") if figure == "loss" else (f"{figure}, held out", figure)
            charts.append(svg.chart(title, "step", unit, lines,
                                    {"majority": levels[figure]} if figure in levels else None))
        path = self.folder.path / "curves.svg"
        if self.folder.ranks.rank == 0:
            files.write_text(path, svg.page(charts))
        return path

    def finish(self):
        """The run is over, with all that it had to write: there is nothing to go on from any more."""
        if self.folder.ranks.rank == 0:
            self.folder.checkpoint.unlink(missing_ok=True)

    def in_words(self):
        """Describe what a stopped run has saved."""
        return (f"{self.folder.path} keeps " + (self.saved or "no model yet: no epoch was finished")
                + ("" if self.settings is None else "; the same command with --resume goes on"))


def fingerprint(*values):
    """A hash of `values`, arrays and objects with a repr: tells whether a resumed run has the same data."""
    digest = hashlib.sha256()
    for value in values:
        digest.update(value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode("utf-8", "replace"))
    return digest.hexdigest()[:16]


def _with_nan(value):
    """Figures with NaN where JSON has null."""
    if isinstance(value, dict):
        return {name: math.nan if one is None and name not in ("best", "top", "saved") else _with_nan(one)
                for name, one in value.items()}
    return [_with_nan(one) for one in value] if isinstance(value, list) else value
