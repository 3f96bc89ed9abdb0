"""Fine-tuning on the command line: a task, a run folder to start from, several learning rates and seeds.

    parser = argparse.ArgumentParser()
    add_options(parser)
    settings = FineTuning.of(parser.parse_args())
    with Workers() as workers:
        runs = run(task, "runs/pretrain", settings, workers)
    print(runs.table())
"""
import contextlib
import dataclasses
import logging
import math
import statistics
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ..machine import cores
from .finetuning import Trial, finetune, names, rank, starting_point
from .rehearsal import rehearse
from .seeds import Seeds, over_seeds, table

RANGES = {                              # what a setting must be: whether a number is
    "at least 1": lambda number: number >= 1,
    "at least 0": lambda number: 0 <= number < math.inf,
    "above 0 and finite": lambda number: 0 < number < math.inf,
    "in [0, 1)": lambda number: 0 <= number < 1,
    "in (0, 1]": lambda number: 0 < number <= 1,
    "in [0, 1]": lambda number: 0 <= number <= 1,
}


def setting(default, must_be, told, *flags, **option):
    """A field of FineTuning. must_be: one of RANGES, None for a switch. told: the help of its option, which is called
    as the field if there are no `flags`. option: further arguments of argparse."""
    return field(default=default, metadata={"must_be": must_be, "help": told, "flags": flags, "option": option})


@dataclass(frozen=True)
class FineTuning:
    """The settings that all fine-tunings share. Each is an option of the commands too (`add_options`), whose help says
    what it is. Raises ValueError for an invalid one."""
    epochs: int = setting(3, "at least 1", "passes over the training examples")
    max_steps: int | None = setting(None, "at least 1", "train for so many steps, whatever --epochs says")
    batch_size: int = setting(32, "at least 1", "examples in a step")
    gradient_accumulation: int = setting(1, "at least 1", "compute a step in at least so many parts on each thread, "
        "one after another: the same gradient with less memory; --batch-size stays the examples of all parts")
    lr: float | list = setting(1e-4, "above 0 and finite", "the highest learning rate; of several all are tried, and "
        "the development examples say which is best", nargs="+")
    warmup: float = setting(0.1, "in [0, 1]", "share of the steps in which the learning rate rises, before it falls to "
        "0")
    weight_decay: float = setting(0.01, "at least 0", "that of AdamW, for all matrices")
    label_smoothing: float = setting(0.0, "in [0, 1)", "share of each label that is spread over all classes, in the "
        "loss of training")
    dropout: float = setting(0.1, "in [0, 1)", "while fine-tuning")
    layer_decay: float = setting(1.0, "in (0, 1]", "the learning rate of a layer, as a share of that of the layer "
        "above it; 1: all alike")
    freeze_body: bool = setting(False, None, "train only the head (and the pooler)")
    max_length: int = setting(128, "at least 1", "tokens in an example")
    max_train_samples: int | None = setting(None, "at least 1", "learn from the first so many training examples alone")
    eval_steps: int | None = setting(None, "at least 1", "evaluate after every so many steps, and after the last "
        "(default: after each epoch)")
    patience: int | None = setting(None, "at least 1", "stop after so many evaluations without a better one (default: "
        "never)", "--early-stopping", "--patience", metavar="EVALUATIONS")
    seeds: int = setting(1, "at least 1", "train that often, with other draws")
    seed: int = setting(0, "at least 0", "the first of the seeds")
    dry_run: bool = setting(False, None, "say what would be done, how long it would take and how much memory, and stop")

    def __post_init__(self):
        for one in dataclasses.fields(self):
            value, must_be = getattr(self, one.name), one.metadata["must_be"]
            for number in value if isinstance(value, list) else [value]:
                if must_be and number is not None and not RANGES[must_be](number):
                    raise ValueError(f"{one.name} must be {must_be}, got {number}")
        if len(set(self.rates)) < len(self.rates) or not self.rates:
            raise ValueError(f"lr must be different rates, got {self.lr}")

    @property
    def rates(self):
        """The learning rates to try."""
        return self.lr if isinstance(self.lr, list) else [self.lr]

    @classmethod
    def of(cls, options, *, defaults=None, positions=math.inf, **changes):
        """`changes`, then what `options` (of argparse, or a FineTuning) say, then `defaults`, then those of the class.

        positions: how many tokens the model takes. A larger max_length is refused, and a max_length of None is the
        default or, if that is less, this.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        said = {name: value for name, value in vars(options).items() if name in names}
        given = (defaults or {}) | said | changes
        if given.get("max_length", 0) is None:
            given["max_length"] = min(cls.max_length, positions)
        if isinstance(given.get("lr"), list) and len(given["lr"]) == 1:
            given["lr"] = given["lr"][0]
        settings = cls(**given)
        check_length(settings.max_length, positions)
        return settings


class Task(NamedTuple):
    """What fine-tuning needs to know about a task.

    model_class: with a head, such as BertForSequenceClassification, or AutoModelForSequenceClassification if the folder
      that is started from says which family.  settings: its changes to the configuration, such
      as num_labels.  batches_of_epoch: training batches, see `training.finetuning.Shuffled`.
    evaluate: model -> figures, by which the best epoch is chosen.
    test: model -> figures that are reported; None: those of `evaluate`, slightly too high, since they chose the epoch.
    baseline: the figures of the majority answer, on the same examples as the reported figures.
    class_weights: how much each class counts in the loss (C,), or None.
    save_beside: folder -> writes what belongs to the model that `evaluate` saw last, beside it; or None.
    """
    model_class: type
    settings: dict
    batches_of_epoch: object
    evaluate: object
    baseline: dict
    test: object = None
    class_weights: np.ndarray | None = None
    save_beside: object = None


class Runs(NamedTuple):
    """`seeds`: the figures of all seeds (`training.seeds.Seeds`), with the learning rate that was best on average by
    `evaluate`. `model`: that of the best run of all by `evaluate`. `records`: a dict for every evaluation of every run,
    the lines of metrics.jsonl. `trials`: {`finetuning.Trial`: its figures} of all runs, `lr`: the best rate."""
    seeds: object
    model: object
    records: list
    trials: dict | None = None
    lr: float | None = None

    def table(self):
        """A text with the figures: a row for each seed, if there are several, and one for their mean; all these for
        each learning rate, if there are several, and then which was the best."""
        rates, called, rows = list(dict.fromkeys(trial.lr for trial in self.trials)), names(self.trials), {}
        for lr in rates:
            those = {trial: figures for trial, figures in self.trials.items() if trial.lr == lr}
            if len(those) > 1:
                rows |= {called[trial]: Seeds([one], self.seeds.baseline) for trial, one in those.items()}
            rows[f"lr {lr}" if len(rates) > 1 else "fine-tuned"] = Seeds(those.values(), self.seeds.baseline)
        best = f"\n\nThe best learning rate on the development examples: {self.lr}." if len(rates) > 1 else ""
        return table(rows) + best


def check_length(max_length, positions):
    """Raises ValueError for a text of more tokens than the model has positions."""
    if max_length > positions:
        raise ValueError(f"max_length = {max_length}, but the model has only {positions} positions")


def add_options(parser, *, up_to=128, **defaults):
    """Add the options of FineTuning, and --workers. defaults: those that differ from the class's. Which are good
    depends on the size of model and data. up_to: what the command takes for a max_length of None, if the model can."""
    for one in dataclasses.fields(FineTuning):
        default = defaults.pop(one.name, one.default)
        switch = isinstance(one.default, bool)
        kind = {"action": "store_true"} if switch else {"type": float if isinstance(one.default, float) else int}
        shown = ("" if switch or one.default is None else " (default: %(default)s)" if default is not None else
                 f" (default: {up_to}, or what the model takes, if that is less)")
        parser.add_argument(*one.metadata["flags"] or [f"--{one.name.replace('_', '-')}"], dest=one.name,
                            default=default, help=one.metadata["help"] + shown, **kind, **one.metadata["option"])
    if defaults:
        raise TypeError(f"these are no settings of a fine-tuning: {', '.join(defaults)}")
    parser.add_argument("--workers", type=int, default=cores(), help="threads (default: all cores, %(default)s here)")


def run(task, folder, settings, workers, *, from_scratch=False, keep_head=False, seeds=None, say=print, kept=None):
    """Fine-tune from the model in `folder`, or with its sizes from scratch, with each learning rate of the settings and
    each of `seeds` (default: as many as the settings say).

    settings: a FineTuning. keep_head: see `starting_point`. say(text): gets the lines of `finetune`; None prints
    nothing, also not what was loaded. kept: a `kept.Kept`, to save on the way. Returns Runs. Ctrl-C raises
    KeyboardInterrupt, which says what is kept. After a dry run, which only tells what would be done, it raises
    SystemExit.
    """
    model_class = task.model_class.class_of(folder)
    changes = dict.fromkeys(model_class.config_class.probabilities, settings.dropout)
    changes |= {} if task.class_weights is None else {"class_weights": task.class_weights}
    if settings.label_smoothing:
        if "label_smoothing" not in model_class.options:
            raise ValueError(f"label_smoothing is for classes of texts or words, a {model_class.__name__} has none")
        changes["label_smoothing"] = settings.label_smoothing
    with contextlib.nullcontext() if say else without_reports():
        start = starting_point(model_class, folder, from_scratch=from_scratch, keep_head=keep_head, **changes,
                               **task.settings)
    seeds = range(settings.seed, settings.seed + settings.seeds) if seeds is None else seeds
    trials = [Trial(lr, seed) for lr in settings.rates for seed in seeds]
    if settings.dry_run:
        if kept and kept.resume:
            raise ValueError("dry_run tells what a new run takes: leave --resume out")
        (say or print)(rehearse(task, start(trials[0].seed), settings, workers, len(trials)))
        raise SystemExit
    state = kept.begin(start, trials) if kept else {}
    finished = {Trial(lr, seed): figures for lr, seed, *figures in state.get("finished", ())}
    records, top, best, called = list(state.get("records", [])), state.get("top"), None, names(trials)

    def one(trial):
        """The figures of a trial. finished: by which it is judged, and those."""
        nonlocal best
        if trial in finished:
            return finished[trial][1]
        model = start(trial.seed)

        def keep(course):
            nonlocal top, best
            records.append(trial._asdict() | course.history[-1])
            new = course.best_is_new() and (top is None or rank(course.best.figures) > rank(top))
            if new:
                top, best = course.best.figures, model
            if kept:
                kept.evaluation(task, course, trial, finished, records, top)

        result = finetune(model, task.batches_of_epoch, epochs=settings.epochs, lr=trial.lr, evaluate=task.evaluate,
                          workers=workers, seed=trial.seed, max_steps=settings.max_steps,
                          eval_steps=settings.eval_steps, warmup=settings.warmup, weight_decay=settings.weight_decay,
                          layer_decay=settings.layer_decay, freeze_body=settings.freeze_body,
                          patience=settings.patience, accumulation=settings.gradient_accumulation,
                          say=say and (lambda text: say(f"{called[trial]}  {text}")),
                          restore=kept and (lambda course: kept.before(course, trial, state)), keep=keep)
        finished[trial] = result.figures, task.test(model) if task.test else result.figures
        return finished[trial][1]

    def by_development(lr):
        those = [figures for trial, (figures, _) in finished.items() if trial.lr == lr]
        return rank({name: statistics.fmean(figures[name] for figures in those) for name in those[0]})

    try:
        found = {lr: over_seeds(lambda seed, lr=lr: one(Trial(lr, seed)), seeds, task.baseline)
                 for lr in settings.rates}
    except KeyboardInterrupt:
        raise KeyboardInterrupt(*([kept.in_words()] if kept else [])) from None
    lr = max(settings.rates, key=by_development)
    if kept:
        path = kept.draw(records, {} if task.test else task.baseline)
        if say:
            say(f"{kept.folder.path} keeps {kept.saved}; the curves of all runs: {path}")
    return Runs(found[lr], best or task.model_class.from_pretrained(kept.folder.path), records,
                {trial: figures for trial, (_, figures) in finished.items()}, lr)


@contextlib.contextmanager
def without_reports():
    """A block in which nothing is logged of what was loaded, but for errors."""
    log = logging.getLogger("numbert")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
