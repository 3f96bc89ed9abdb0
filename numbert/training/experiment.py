"""Fine-tuning on the command line: a task, a run folder to start from, and several seeds.

    parser = argparse.ArgumentParser()
    add_options(parser)
    settings = FineTuning.of(parser.parse_args())
    with Workers() as workers:
        runs = run(task, "runs/pretrain", settings, workers)
    print(table({"fine-tuned": runs.seeds}))
"""
import contextlib
import dataclasses
import logging
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..machine import cores
from .finetuning import finetune, rank, starting_point
from .seeds import over_seeds


@dataclass(frozen=True)
class FineTuning:
    """The settings that all fine-tunings share; `add_options` says what each is. Raises ValueError for an
    invalid one."""
    epochs: int = 3
    lr: float = 1e-4
    batch_size: int = 32
    max_length: int = 128
    seeds: int = 1
    dropout: float = 0.1
    layer_decay: float = 1.0
    patience: int | None = None
    freeze_body: bool = False

    def __post_init__(self):
        for name in ("epochs", "batch_size", "max_length", "seeds", "patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if not 0 < self.lr < math.inf:
            raise ValueError(f"lr must be above 0 and finite, got {self.lr}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")
        if not 0 < self.layer_decay <= 1:
            raise ValueError(f"layer_decay must be in (0, 1], got {self.layer_decay}")

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
    """`seeds`: the figures of all runs (`training.seeds.Seeds`). `model`: that of the best run by `evaluate`.
    `records`: a dict for every epoch of every run, the lines of metrics.jsonl."""
    seeds: object
    model: object
    records: list


def check_length(max_length, positions):
    """Raises ValueError for a text of more tokens than the model has positions."""
    if max_length > positions:
        raise ValueError(f"max_length = {max_length}, but the model has only {positions} positions")


def add_options(parser, *, epochs=3, lr=1e-4, batch_size=32, max_length=128, seeds=1, dropout=0.1):
    """Add the options of FineTuning, and --workers. Which defaults are good depends on the size of model and data."""
    add = parser.add_argument
    add("--epochs", type=int, default=epochs, help="passes over the training examples (default: %(default)s)")
    add("--lr", type=float, default=lr, help="the highest learning rate (default: %(default)s)")
    add("--batch-size", type=int, default=batch_size, help="examples in a batch (default: %(default)s)")
    add("--max-length", type=int, default=max_length, help="tokens in an example (default: "
        + (f"{FineTuning.max_length}, or what the model takes, if that is less)" if max_length is None else
           "%(default)s)"))
    add("--seeds", type=int, default=seeds, help="train that often, with other draws (default: %(default)s)")
    add("--dropout", type=float, default=dropout, help="while fine-tuning (default: %(default)s)")
    add("--layer-decay", type=float, default=1.0, help="the learning rate of a layer, as a share of that of the layer "
        "above it (default: %(default)s, all alike)")
    add("--patience", type=int, help="stop after so many epochs without a better one (default: never)")
    add("--freeze-body", action="store_true", help="train only the head (and the pooler)")
    add("--workers", type=int, default=cores(), help="threads (default: all cores, %(default)s here)")


def run(task, folder, settings, workers, *, from_scratch=False, keep_head=False, seeds=None, say=print, kept=None):
    """Fine-tune from the model in `folder`, or with its sizes from scratch, with each of `seeds` (default:
    0..settings.seeds-1).

    settings: a FineTuning. keep_head: see `starting_point`. say(text): gets a line for every epoch; None prints
    nothing, also not what was loaded. kept: a `kept.Kept`, to save on the way. Returns Runs. Ctrl-C raises
    KeyboardInterrupt, which says what is kept.
    """
    model_class = task.model_class.class_of(folder)
    rates = dict.fromkeys(model_class.config_class.probabilities, settings.dropout)
    weights = {} if task.class_weights is None else {"class_weights": task.class_weights}
    with contextlib.nullcontext() if say else without_reports():
        start = starting_point(model_class, folder, from_scratch=from_scratch, keep_head=keep_head, **rates, **weights,
                               **task.settings)
    seeds = range(settings.seeds) if seeds is None else seeds
    state = kept.begin(start, seeds) if kept else {}
    figures = {int(seed): those for seed, those in state.get("figures", {}).items()}
    records, top, best = list(state.get("records", [])), state.get("top"), None

    def one(seed):
        nonlocal best
        if seed in figures:
            return figures[seed]
        model = start(seed)

        def keep(course):
            nonlocal top, best
            records.append({"seed": seed} | course.history[-1])
            new = course.best_is_new() and (top is None or rank(course.best.figures) > rank(top))
            if new:
                top, best = course.best.figures, model
            if kept:
                kept.epoch(task, course, seed, figures, records, top)

        result = finetune(model, task.batches_of_epoch, epochs=settings.epochs, lr=settings.lr, evaluate=task.evaluate,
                          workers=workers, seed=seed, layer_decay=settings.layer_decay, patience=settings.patience,
                          freeze_body=settings.freeze_body, say=say and (lambda text: say(f"seed {seed}  {text}")),
                          restore=kept and (lambda course: kept.before(course, seed, state)), keep=keep)
        figures[seed] = task.test(model) if task.test else result.figures
        return figures[seed]

    try:
        found = over_seeds(one, seeds, task.baseline)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(*([kept.in_words()] if kept else [])) from None
    return Runs(found, best or task.model_class.from_pretrained(kept.folder.path), records)


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
