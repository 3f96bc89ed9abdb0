"""A task, a run folder to start from, and several seeds: what every fine-tuning on the command line does.

    parser = argparse.ArgumentParser()
    add_options(parser)
    options = parser.parse_args()
    with Workers() as workers:
        runs = run(task, "runs/pretrain", options, workers)
    print(table({"fine-tuned": runs.seeds}))
"""
import contextlib
import logging
from typing import NamedTuple

import numpy as np

from ..training.finetuning import finetune, rank, save, starting_point
from ..training.parallel import cores
from ..training.seeds import over_seeds


class Task(NamedTuple):
    """What fine-tuning must know of a task.

    model_class: with a head, such as BertForSequenceClassification, or AutoModelForSequenceClassification if the folder
      that is started from says which family.  settings: its changes to the configuration, such
      as num_labels.  batches_of_epoch: training batches, see `training.finetuning.Shuffled`.
    evaluate: model -> figures, by which the best epoch is chosen.
    test: model -> figures that are reported; None: those of `evaluate`, a little too good since they were chosen by.
    baseline: the figures of the majority answer, on the same examples as those that are reported.
    class_weights: how much each class counts in the loss (C,), or None.
    """
    model_class: type
    settings: dict
    batches_of_epoch: object
    evaluate: object
    baseline: dict
    test: object = None
    class_weights: np.ndarray | None = None


class Runs(NamedTuple):
    """`seeds`: the figures of all runs (`training.seeds.Seeds`). `model`: that of the best run by `evaluate`.
    `records`: a dict for every epoch of every run, as they go to metrics.jsonl."""
    seeds: object
    model: object
    records: list


def add_options(parser, *, epochs=3, lr=1e-4, batch_size=32, max_length=128, seeds=1, dropout=0.1):
    """Add the options that `run` and the tasks read. Which defaults are good depends on the size of model and data."""
    add = parser.add_argument
    add("--epochs", type=int, default=epochs, help="passes over the training examples (default: %(default)s)")
    add("--lr", type=float, default=lr, help="the highest learning rate (default: %(default)s)")
    add("--batch-size", type=int, default=batch_size, help="examples in a batch (default: %(default)s)")
    add("--max-length", type=int, default=max_length, help="tokens in an example (default: %(default)s)")
    add("--seeds", type=int, default=seeds, help="train that often, with other draws (default: %(default)s)")
    add("--dropout", type=float, default=dropout, help="while fine-tuning (default: %(default)s)")
    add("--layer-decay", type=float, default=1.0, help="the learning rate of a layer, as a share of that of the layer "
        "above it (default: %(default)s, all alike)")
    add("--patience", type=int, help="stop after so many epochs without a better one (default: never)")
    add("--freeze-body", action="store_true", help="train only the head (and the pooler)")
    add("--workers", type=int, default=cores(), help="threads (default: all cores, %(default)s here)")


def run(task, folder, options, workers, *, from_scratch=False, seeds=None, say=print):
    """Fine-tune from the model in `folder`, or with its sizes from scratch, with each of `seeds` (default:
    0..options.seeds-1).

    say(text): is told about every epoch; None for silence, also about what was loaded. Returns Runs.
    """
    if seeds is None and options.seeds < 1:
        raise ValueError(f"seeds must be at least 1, got {options.seeds}")
    model_class = task.model_class.class_of(folder)
    rates = dict.fromkeys(model_class.config_class.probabilities, options.dropout)
    with contextlib.nullcontext() if say else _without_reports():
        start = starting_point(model_class, folder, from_scratch=from_scratch, **rates, **task.settings)
    best, records = None, []

    def one(seed):
        nonlocal best
        model = start(seed)
        model.class_weights = task.class_weights
        result = finetune(model, task.batches_of_epoch, epochs=options.epochs, lr=options.lr, evaluate=task.evaluate,
                          workers=workers, seed=seed, layer_decay=options.layer_decay, patience=options.patience,
                          freeze_body=options.freeze_body, say=say and (lambda text: say(f"seed {seed}  {text}")))
        records.extend({"seed": seed} | record for record in result.history)
        if best is None or rank(result.figures) > rank(best[0].figures):
            best = result, model
        return task.test(model) if task.test else result.figures

    seeds = over_seeds(one, range(options.seeds) if seeds is None else seeds, task.baseline)
    return Runs(seeds, best[1], records)


@contextlib.contextmanager
def _without_reports():
    log = logging.getLogger("numbert")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def save_runs(folder, runs, tokenizer):
    """The best model, its tokenizer and metrics.jsonl, in a run folder."""
    save(folder, runs.model, tokenizer, runs.records)
