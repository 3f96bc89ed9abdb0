"""GLUE on the command line: fine-tune a pre-trained model on one of the nine tasks, measure it, write the submission.

    python -m numbert.tasks.glue --task rte --data GLUE/RTE --model RUN_FOLDER
    python -m numbert.tasks.glue --task rte --data GLUE/RTE --evaluate FINE_TUNED

The tasks and their files are described in data.py, the model in tasks/classification.py, the run in
tasks/text_command.py.
"""
import argparse
from pathlib import Path

from ...training import command
from .. import text_command
from ..evaluating import add_model_options
from . import data as glue_data


def arguments():
    parser = argparse.ArgumentParser(
        prog="python -m numbert.tasks.glue", description="Fine-tune a model on a task of GLUE, measure it on the "
        "development set, and write the predictions for the test set if there is one.")
    add = parser.add_argument
    add("--task", required=True, help=", ".join(glue_data.TASKS) + " (capitals and dashes do not matter)")
    add("--data", required=True, metavar="FOLDER", help="the folder with the task's files (train.tsv, dev.tsv, ...)")
    add_model_options(parser)
    add("--files", nargs="+", metavar="SPLIT=NAME", help="files with other names, as in train=rte-train.tsv")
    add("--columns", nargs="+", metavar="ROLE=COLUMN", help="a layout that is not GLUE's: sentence=text label=label; "
        "names of the header, or numbers from 0")
    add("--no-header", action="store_true", help="with --columns: the first line is an example already")
    add("--labels", nargs="+", metavar="WORD=LABEL", help="other words in the label column, as in "
        "0=entailment 1=not_entailment")
    add("--skip-broken", action="store_true", help="leave out rows with too few or too many columns")
    text_command.add_training_options(parser, "runs/glue-TASK")
    return parser


def main(argv=None):
    command.start(glue, arguments(), argv, shared=True)


def glue(options, workers):
    name = task_name(options.task)
    task = glue_data.find(name)

    def read(config):
        if config:
            text_command.check_labels(options.evaluate, config, name, task.labels, task.names or task.labels)
        return texts_of(name, read_splits(name, options))

    def hand_in(folder, split, examples, answers):
        glue_data.write_submission(folder, name, split, examples, answers)
        return f"{folder}/{task.submissions[split]}"

    text_command.run_or_evaluate(
        options, workers, arguments(), read, name=name, numbers=not task.labels, default=f"runs/glue-{name}",
        hand_in=hand_in, files=("task", "data", "files", "columns", "no_header", "labels", "skip_broken"))


def task_name(given):
    """The task's name in data.TASKS, from "rte", "sst2" and such."""
    plain = {name.replace("-", "").lower(): name for name in glue_data.TASKS}
    return plain.get(given.replace("-", "").replace("_", "").lower(), given)


def read_splits(name, options):
    """{split: examples}: training (to fine-tune) and development sets, which must be there, and test sets, if they are
    there."""
    task = glue_data.find(name)
    names = task.files | text_command.assignments("--files", options.files, known=task.files)
    columns = {role: int(column) if column.isdigit() else column
               for role, column in text_command.assignments("--columns", options.columns).items()} or None
    ids = {label: i for labels in (task.labels, task.names) for i, label in enumerate(labels)}
    words = {word: ids.get(label, label)
             for word, label in text_command.assignments("--labels", options.labels).items()} or None
    splits = {}
    for split, file in names.items():
        path, test = Path(options.data) / file, split in task.submissions
        if test and not path.exists() or split == "train" and options.evaluate:
            continue
        mine = {role: column for role, column in columns.items() if role != "label"} if columns and test else columns
        rows = glue_data.read(name, path, columns=mine, header=not options.no_header, labels=words,
                              skip_broken=options.skip_broken)
        if not rows.examples:
            raise ValueError(f"{path}: no example in it")
        if not test and any(example.label == -1 for example in rows.examples):
            raise ValueError(f"{path}: no labels in it (a column for them: --columns)")
        print(f"{path}: {len(rows.examples)} examples" + (f", {len(rows.skipped)} rows left out, the first: "
                                                         f"{rows.skipped[0]}" if rows.skipped else ""))
        splits[split] = rows.examples
    return splits


def texts_of(name, splits):
    """The `text_command.Texts` of a task."""
    task = glue_data.find(name)
    return text_command.Texts(name, splits, task.names or task.labels,
                              lambda gold, given: glue_data.evaluate(name, gold, given), tuple(task.submissions))


def task_of(name, encoded, tokenizer, settings, workers, class_weights=False):
    """The `experiment.Task` of `encode`d examples by split: the task's own measures on its development sets, of which
    the first decides. For the rest see `text_command.task_of`."""
    return text_command.task_of(texts_of(name, encoded), encoded, tokenizer, settings, workers, class_weights)


if __name__ == "__main__":
    main()
