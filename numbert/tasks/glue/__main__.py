"""GLUE on the command line: fine-tune a pre-trained model on one of the nine tasks, measure it, write the submission.

    python -m numbert.tasks.glue --task rte --data GLUE/RTE --model RUN_FOLDER

The tasks and their files are described in data.py, the model in tasks/classification.py.
"""
import argparse
from pathlib import Path

from ...models.auto import AutoModelForSequenceClassification, look
from ...training import command
from ...training.experiment import FineTuning, Task, add_options, run
from ...training.finetuning import Shuffled
from ...training.kept import Kept, add_run_options, opened, recorded
from ..classification import balanced_weights, collate, decide, encode, evaluation, majority, predict
from . import data as glue_data


def arguments():
    parser = argparse.ArgumentParser(
        prog="python -m numbert.tasks.glue", description="Fine-tune a model on a task of GLUE, measure it on the "
        "development set, and write the predictions for the test set if there is one.")
    add = parser.add_argument
    add("--task", required=True, help=", ".join(glue_data.TASKS) + " (capitals and dashes do not matter)")
    add("--data", required=True, metavar="FOLDER", help="the folder with the task's files (train.tsv, dev.tsv, ...)")
    add("--model", required=True, metavar="RUN_FOLDER", help="a pre-trained model with its tokenizer")
    add("--files", nargs="+", metavar="SPLIT=NAME", help="files with other names, as in train=rte-train.tsv")
    add("--columns", nargs="+", metavar="ROLE=COLUMN", help="a layout that is not GLUE's: sentence=text label=label; "
        "names of the header, or numbers from 0")
    add("--no-header", action="store_true", help="with --columns: the first line is an example already")
    add("--labels", nargs="+", metavar="WORD=LABEL", help="other words in the label column, as in "
        "0=entailment 1=not_entailment")
    add("--skip-broken", action="store_true", help="leave out rows with too few or too many columns")
    add("--class-weights", action="store_true", help="let every class count the same, however frequent")
    add_run_options(parser, "runs/glue-TASK")
    add_options(parser, max_length=None)
    return parser


def main(argv=None):
    command.start(glue, arguments(), argv, shared=True)


def glue(options, workers):
    name = task_name(options.task)
    if not glue_data.find(name).labels and (options.class_weights or options.label_smoothing):
        raise ValueError(f"--class-weights and --label-smoothing are for classes, and {name} has numbers")
    with opened(options.out, options.model, options.resume, default=f"runs/glue-{name}",
                ranks=workers.ranks) as folder:
        tokenizer, positions = look(options.model, AutoModelForSequenceClassification,
                                    from_scratch=options.from_scratch)
        settings = FineTuning.of(options, positions=positions)
        splits = read_splits(name, options)
        splits["train"] = splits["train"][:settings.max_train_samples]
        encoded = {split: encode(rows, tokenizer, settings.max_length) for split, rows in splits.items()}
        task = task_of(name, encoded, tokenizer, settings, workers, class_weights=options.class_weights)
        kept = Kept(folder, tokenizer, recorded(options, settings, splits), options.resume)
        runs = run(task, options.model, settings, workers, from_scratch=options.from_scratch,
                   keep_head=options.keep_head, kept=kept)
        print(f"\n{name}, development set:\n\n{runs.table()}\n")
        print("The best epoch was chosen on these same examples, so the figures are a little too good.")
        print(f"the best model: {folder.path}")
        for split, submission in glue_data.find(name).submissions.items():
            if split in splits:
                answers = decide(runs.model.config, predict(runs.model, tokenizer, encoded[split], workers))
                glue_data.write_submission(folder.path, name, split, splits[split], answers)
                print(f"predictions for {split}: {folder.path}/{submission}")
        kept.finish()


def task_name(given):
    """The task's name in data.TASKS, from "rte", "sst2" and such."""
    plain = {name.replace("-", "").lower(): name for name in glue_data.TASKS}
    return plain.get(given.replace("-", "").replace("_", "").lower(), given)


def read_splits(name, options):
    """{split: examples}: training and development sets, which must be there, and test sets, if they are there."""
    task = glue_data.find(name)
    names = task.files | assignments("--files", options.files, known=task.files)
    columns = {role: int(column) if column.isdigit() else column
               for role, column in assignments("--columns", options.columns).items()} or None
    ids = {label: i for labels in (task.labels, task.names) for i, label in enumerate(labels)}
    words = {word: ids.get(label, label) for word, label in assignments("--labels", options.labels).items()} or None
    splits = {}
    for split, file in names.items():
        path, test = Path(options.data) / file, split in task.submissions
        if test and not path.exists():
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


def assignments(option, given, known=None):
    """{"a": "b"} of ["a=b"]."""
    found = {}
    for text in given or ():
        left, equals, right = text.rpartition("=") if option == "--labels" else text.partition("=")
        if not (left and equals and right) or (known is not None and left not in known):
            expected = f"one of {', '.join(known)}, = and a name" if known else "NAME=VALUE"
            raise ValueError(f"{option} takes {expected}, got {text!r}")
        found[left] = right
    return found


def task_of(name, encoded, tokenizer, settings, workers, class_weights=False):
    """The `experiment.Task`: the task's own measures on its development sets, of which the first decides.

    settings: an `experiment.FineTuning`. class_weights: every class has the same total weight, however frequent.
    """
    labels, id2label = glue_data.find(name).labels, glue_data.find(name).id2label
    training = [label for _, label in encoded["train"]]
    development = [split for split in encoded if split.startswith("dev")]

    def on_all(figures_of):
        """The figures of each development set, those behind the first under their split's name."""
        return {measure if split == development[0] else f"{measure} ({split})": value
                for split in development for measure, value in figures_of(split).items()}

    def measure(wanted, given):
        return glue_data.evaluate(name, wanted, given)

    evaluations = {split: evaluation(encoded[split], tokenizer, measure, workers) for split in development}
    changes = ({"num_labels": len(labels), "id2label": id2label, "problem_type": None} if labels else
               {"num_labels": 1, "id2label": None, "problem_type": "regression"})
    return Task(AutoModelForSequenceClassification, changes,
                Shuffled(encoded["train"], settings.batch_size, collate(tokenizer)),
                evaluate=lambda model: on_all(lambda split: evaluations[split](model)),
                baseline=on_all(lambda split: majority(training, [label for _, label in encoded[split]], measure)),
                class_weights=balanced_weights(training, len(labels)) if class_weights and labels else None)


if __name__ == "__main__":
    main()
