"""A class for each of your own texts: fine-tune a model on a spreadsheet, evaluate it, predict what has no labels.

    python -m numbert.tasks.classify --train my.csv --dev my-dev.csv --model RUN_FOLDER
    python -m numbert.tasks.classify --evaluate FINE_TUNED --dev more.csv

The files are CSV, TSV or JSON lines, with one text or two and a label in each row (spreadsheet.py). The labels are
those found in them, and are saved by name with the model. Without --dev a part of --train is split off.
"""
import argparse
import re

import numpy as np

from ..training import command
from . import metrics, spreadsheet, text_command
from .evaluating import add_model_options


def arguments():
    parser = argparse.ArgumentParser(
        prog="python -m numbert.tasks.classify", description="Fine-tune a model to give each text (or pair of texts) "
        "its class, and evaluate it. The files end in " + ", ".join(spreadsheet.FORMATS) + ".")
    add = parser.add_argument
    add("--train", metavar="FILE", help="texts and labels to learn from")
    add("--dev", metavar="FILE", help="texts and labels by which the best epoch is chosen (default: a part of --train)")
    add("--test", metavar="FILE", help="texts to report on (default: those of --dev), or without labels, to predict")
    add_model_options(parser)
    add("--columns", nargs="+", metavar="ROLE=COLUMN", help="which column is text, pair (a second text) and label: "
        "text=review label=stars; names of the header, or numbers from 0")
    add("--no-header", action="store_true", help="the first row is an example already (default: if no name in it is "
        "known)")
    add("--skip-broken", action="store_true", help="leave out rows with too few or too many columns, without a text "
        "or without a label")
    add("--regression", action="store_true", help="the labels are amounts, as in 3.5: predict a number")
    add("--dev-share", type=float, default=0.1, help="the share of --train that is split off without --dev, of each "
        "label alike (default: %(default)s)")
    add("--split-seed", type=int, default=0, help="which rows these are (default: %(default)s)")
    text_command.add_training_options(parser, "runs/classify")
    return parser


def main(argv=None):
    command.start(classify, arguments(), argv, shared=True)


def classify(options, workers):
    if options.evaluate is None and options.train is None:
        raise ValueError("--train FILE is needed to fine-tune")
    if options.evaluate is not None and not (options.dev or options.test):
        raise ValueError("--dev FILE or --test FILE is needed to evaluate")
    text_command.run_or_evaluate(options, workers, arguments(), lambda config: texts_of(options, config),
                                 name=_name(options), numbers=options.regression, default="runs/classify",
                                 files=("dev", "test", "columns", "no_header", "skip_broken"))


def texts_of(options, config=None):
    """The `text_command.Texts` of the files. config: that of the model to evaluate, whose labels are known."""
    splits = {split: rows_of(path, options, test=split == "test" or config is not None) for split, path in
              (("train", options.train), ("dev", options.dev), ("test", options.test)) if path}
    regression = options.regression if config is None else not text_command.label_names(config)
    if "train" in splits and not regression:
        check_labels([row.label for row in splits["train"]], options.train)
    if "train" in splits and "dev" not in splits:
        if not 0 < options.dev_share < 1:
            raise ValueError(f"--dev-share must be above 0 and below 1, got {options.dev_share}")
        splits |= dict(zip(("train", "dev"), spreadsheet.split_off(
            splits["train"], options.dev_share, np.random.default_rng(options.split_seed), stratified=not regression),
            strict=True))
        print(f"without --dev, {len(splits['dev'])} of {options.train}'s rows are split off to evaluate on, "
              f"{'' if regression else 'of each label alike, '}by --split-seed {options.split_seed}; "
              f"{len(splits['train'])} are left to learn from")
    _say_what_is_twice(splits)
    unlabelled = tuple(split for split, rows in splits.items() if rows[0].label is None)
    if regression:
        numbers = {split: spreadsheet.as_numbers(rows) for split, rows in splits.items()}
        return text_command.Texts(_name(options), numbers, (), in_correlation, unlabelled)
    names = _labels_found(splits) if config is None else text_command.label_names(config)
    ids = {name: i for i, name in enumerate(names)}
    if all(name == f"LABEL_{i}" for i, name in enumerate(names)):
        ids |= {f"{i}": i for i in range(len(names))}
    for rows in splits.values():
        for row in rows:
            if row.label is not None and row.label not in ids:
                raise ValueError(f"{row.place}: the label {row.label[:60]!r} is none of {', '.join(names)[:200]}, "
                                 f"which {options.evaluate} predicts")
    numbered = {split: [row._replace(label=ids.get(row.label), place="") for row in rows]
                for split, rows in splits.items()}
    return text_command.Texts(_name(options), numbered, names, in_classes, unlabelled)


def rows_of(path, options, test):
    """The rows of a file, and what was found in it is printed. test: whether it may be without labels."""
    columns = {role: int(column) if column.isdigit() else column
               for role, column in text_command.assignments("--columns", options.columns).items()} or None
    header = False if options.no_header else None
    sheet = spreadsheet.read(path, columns, header, options.skip_broken, labelled=None if test else True)
    print(f"{path}: {len(sheet.rows)} rows; columns: "
          + ", ".join(f"{role} = {column!r}" for role, column in sheet.columns.items())
          + (" (no header, counted from 0)" if isinstance(sheet.columns["text"], int) else "")
          + (f" (not used: {', '.join(map(repr, sheet.unused))})"[:200] if sheet.unused else "")
          + (f"; {len(sheet.skipped)} rows left out, the first: {sheet.skipped[0]}" if sheet.skipped else ""))
    return sheet.rows


def check_labels(labels, path):
    """Raises ValueError if these cannot be the names of classes to learn."""
    names = spreadsheet.label_names(labels)
    if len(names) < 2:
        raise ValueError(f"{path}: every row has the label {names[0][:60]!r}: there is nothing to learn")
    if len(names) > 10 and 2 * len(names) > len(labels):
        raise ValueError(f"{path}: {len(names)} different labels in {len(labels)} rows: is the column right "
                         "(--columns)?" + (" If they are amounts: --regression" if _numbers(names) else ""))


def in_classes(gold, predicted):
    return {"accuracy": metrics.accuracy(gold, predicted), "macro_f1": metrics.macro_f1(gold, predicted)}


def in_correlation(gold, predicted):
    return {"pearson": metrics.pearson(gold, predicted), "spearman": metrics.spearman(gold, predicted)}


def _labels_found(splits):
    """The names of the labels in all files, sorted; what is odd about them is printed."""
    labels = {split: [row.label for row in rows if row.label is not None] for split, rows in splits.items()}
    names = spreadsheet.label_names(label for some in labels.values() for label in some)
    amounts = len(names) > 2 and _numbers(names)
    print(f"{len(names)} labels: {', '.join(names)[:300]}"
          + ("; numbers, read as the names of classes (--regression: as amounts)" if amounts else ""))
    alike = {}
    for name in names:
        alike.setdefault(name.casefold(), []).append(name)
    for some in alike.values():
        if len(some) > 1:
            print(f"labels that differ in capitals alone are different classes here: {', '.join(some)[:200]}")
    for split, some in labels.items():
        if new := sorted(set(some) - set(labels["train"])):
            print(f"{split}: {sum(label in new for label in some)} rows have a label that training never shows: "
                  f"{', '.join(new)[:200]}")
    return tuple(names)


def _numbers(names):
    return all(re.fullmatch(r"-?\d+(\.\d+)?", name, re.ASCII) for name in names)


def _say_what_is_twice(splits):
    seen = {row[:2] for row in splits.get("train", ())}
    for split, rows in splits.items():
        if split != "train" and (count := sum(row[:2] in seen for row in rows)):
            print(f"{split}: {count} of {len(rows)} texts stand in the training rows, too: the figures are too good")


def _name(options):
    return (options.train or options.dev or options.test).replace("\\", "/").rpartition("/")[2]


if __name__ == "__main__":
    main()
