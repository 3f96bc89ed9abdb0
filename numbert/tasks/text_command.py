"""What the commands glue and classify share: a classifier of texts is fine-tuned, or a finished one is evaluated.

    def main(argv=None):
        command.start(classify, arguments(), argv, shared=True)

    def classify(options, workers):
        text_command.run_or_evaluate(options, workers, arguments(), read, default="runs/classify")
"""
import dataclasses
from collections import Counter
from typing import NamedTuple

import numpy as np

from ..models.auto import AutoModelForSequenceClassification, look
from ..training import command
from ..training.experiment import FineTuning, Task, add_options, run
from ..training.finetuning import Shuffled
from ..training.kept import Kept, add_run_options, opened, recorded
from . import card
from .classification import balanced_weights, collate, decide, encode, evaluation, majority, predict, softmax
from .evaluating import finished, output
from .report import Report, Row, save, show

USE = """import numbert as nb
from numbert.tasks.classification import classify

model = nb.AutoModelForSequenceClassification.from_pretrained(FOLDER)
tokenizer = nb.AutoTokenizer.from_pretrained(FOLDER)
print(classify(model, tokenizer, {texts}))
"""


class Texts(NamedTuple):
    """What a command has read. name: of the task. splits: {split: examples (text, pair, label, ...)}, whose names begin
    with train, dev or test. labels: the names of the classes, by class id; () if labels are numbers. measure(gold,
    predicted): a dict of figures. unlabelled: the splits whose labels are not known."""
    name: str
    splits: dict
    labels: tuple
    measure: object
    unlabelled: tuple = ()

    @property
    def reported(self):
        """The splits whose figures are reported: those of a test, if it has labels, else those of development."""
        known = [split for split in self.splits if split not in self.unlabelled and split != "train"]
        return [split for split in known if split.startswith("test")] or known


def add_training_options(parser, out):
    """Add what both commands take for fine-tuning. out: the default folder, in words."""
    parser.add_argument("--class-weights", action="store_true",
                        help="let every class count the same, however frequent")
    add_run_options(parser, out)
    add_options(parser, max_length=None)


def run_or_evaluate(options, workers, parser, read, *, name, numbers, default, files, hand_in=None):
    """The work of such a command. read(config): the Texts; config is that of the model to evaluate, None to fine-tune.
    name: of the task. numbers: whether its labels are numbers. default: the folder of a run. files: the names of the
    options that say what is read. hand_in(folder, split, examples, decisions): write the predictions for a split
    without labels, and return the path."""
    if not options.evaluate:
        if numbers and (options.class_weights or options.label_smoothing):
            raise ValueError(f"--class-weights and --label-smoothing are for classes, and {name} has numbers")
        fine_tune(options, workers, parser, read, default, hand_in)
        return
    tokenizer, model, max_length = finished(options, parser, AutoModelForSequenceClassification, files)
    if model.config.problem_type == "multi_label_classification":
        raise ValueError(f"{options.evaluate}: several classes hold at once in this model (problem_type in "
                         "config.json), and this command takes one label for each text")
    texts = read(model.config)
    encoded = {split: encode(rows, tokenizer, max_length) for split, rows in texts.splits.items()}
    with output(options, workers) as folder:
        shown_and_written(folder and folder.path, judge(model, tokenizer, texts, encoded, workers), texts, hand_in)


def check_labels(folder, config, name, *accepted):
    """Raises ValueError if the model in `folder`, with this `config`, was not fine-tuned for task `name`, whose labels
    are called as in one of `accepted`. A model without names of labels is taken as it is, if it has as many."""
    theirs = label_names(config)
    unnamed = all(label in (f"LABEL_{i}", f"{i}") for i, label in enumerate(theirs))
    if theirs not in accepted and not (unnamed and len(theirs) == len(accepted[0])):
        raise ValueError(f"{folder} predicts {', '.join(theirs) or 'a number'}; {name} has "
                         f"{', '.join(accepted[-1]) or 'numbers'}")


def label_names(config):
    """The names of a model's classes, by class id; () if it predicts a number."""
    if config.problem_type == "regression" or config.num_labels == 1:
        return ()
    return tuple(str(config.label_names[i]) for i in range(config.num_labels))


def fine_tune(options, workers, parser, read, default, hand_in=None):
    """Fine-tune, report, and write what belongs beside the model."""
    with opened(options.out, options.model, options.resume, default=default, ranks=workers.ranks) as folder:
        tokenizer, positions = look(options.model, AutoModelForSequenceClassification,
                                    from_scratch=options.from_scratch)
        settings = FineTuning.of(options, positions=positions)
        texts = read(None)
        texts.splits["train"] = texts.splits["train"][:settings.max_train_samples]
        if settings.max_train_samples:
            _say_what_is_not_shown(texts)
        encoded = {split: encode(rows, tokenizer, settings.max_length) for split, rows in texts.splits.items()}
        task = task_of(texts, encoded, tokenizer, settings, workers, class_weights=options.class_weights)
        kept = Kept(folder, tokenizer, recorded(options, settings, texts.splits), options.resume)
        runs = run(task, options.model, settings, workers, from_scratch=options.from_scratch,
                   keep_head=options.keep_head, kept=kept)
        figures = runs.table()
        tested = any(split.startswith("test") for split in texts.reported)
        print(f"\n{texts.name}, {'test' if tested else 'development'} set:\n\n{figures}\n")
        if not tested:
            print("The best epoch was chosen on these same examples, so the figures are a little too good.")
        print(f"the best model: {folder.path}")
        reports = judge(runs.model, tokenizer, texts, encoded, workers)
        shown_and_written(folder.path, reports, texts, hand_in)
        pair = any(row[1] is not None for row in texts.splits["train"][:1])
        card.save(folder.path, card.ModelCard(
            texts.name, "text-classification", {split: described(texts, split) for split in texts.splits},
            options.model, options.from_scratch, dataclasses.asdict(settings), figures,
            command.spelled(parser, options), USE.format(texts='"a text"' + ', "another"' * pair).strip(),
            [report for report in reports if report.split in texts.reported]))
        kept.finish()


def _say_what_is_not_shown(texts):
    """A file may be sorted by its labels, and its first rows show only one of them."""
    shown = {label for _, _, label, *_ in texts.splits["train"]}
    if missing := [name for i, name in enumerate(texts.labels) if i not in shown]:
        print(f"the first {len(texts.splits['train'])} training examples never show {', '.join(missing)[:200]}: "
              "--max-train-samples takes them as they stand in the file")


def task_of(texts, encoded, tokenizer, settings, workers, class_weights=False):
    """The `experiment.Task`: the task's own measures on its development sets, of which the first decides.

    settings: an `experiment.FineTuning`. class_weights: every class has the same total weight, however frequent.
    """
    training = [label for _, label in encoded["train"]]
    reported = texts.reported
    development = [split for split in encoded if split.startswith("dev")]
    evaluations = {split: evaluation(encoded[split], tokenizer, texts.measure, workers)
                   for split in dict.fromkeys(development + reported)}

    def on_all(splits, figures_of):
        """The figures of each set, those behind the first under their split's name."""
        return {measure if split == splits[0] else f"{measure} ({split})": value
                for split in splits for measure, value in figures_of(split).items()}

    def on(splits):
        return lambda model: on_all(splits, lambda split: evaluations[split](model))

    classes = len(texts.labels)
    changes = ({"num_labels": classes, "id2label": dict(enumerate(texts.labels)), "problem_type": None} if classes else
               {"num_labels": 1, "id2label": None, "problem_type": "regression"})
    return Task(AutoModelForSequenceClassification, changes,
                Shuffled(encoded["train"], settings.batch_size, collate(tokenizer)),
                evaluate=on(development), test=None if reported == development else on(reported),
                baseline=on_all(reported, lambda split: majority(training, [label for _, label in encoded[split]],
                                                                 texts.measure)),
                class_weights=balanced_weights(training, classes) if class_weights and classes else None)


def judge(model, tokenizer, texts, encoded, workers):
    """A `report.Report` for every split but that of training."""
    reports = []
    for split, examples in texts.splits.items():
        if split == "train":
            continue
        logits = predict(model, tokenizer, encoded[split], workers)
        decisions = decide(model.config, logits)
        likely = softmax(logits).max(-1).tolist() if texts.labels else [None] * len(examples)
        known = split not in texts.unlabelled
        rows = []
        for (text, pair, gold, *_), decision, probability in zip(examples, decisions.tolist(), likely, strict=True):
            name = texts.labels.__getitem__ if texts.labels else float
            rows.append(Row((text,) if pair is None else (text, pair), name(gold) if known else None, name(decision),
                            probability))
        gold = np.array([label for _, label in encoded[split]]) if known else None
        reports.append(Report(split, ("text", "pair")[:len(rows[0].cells)], rows,
                              texts.measure(gold, decisions) if known else {}, texts.labels))
    return reports


def shown_and_written(folder, reports, texts, hand_in=None):
    """Print the reports, and write what belongs to them into `folder`, if there is one."""
    for report in reports:
        known = report.split not in texts.unlabelled
        if known or not folder:
            show(report)
        if folder and (known or hand_in is None):
            for what, path in save(report, folder).items():
                print(f"{what} for {report.split}: {path}")
        elif folder:
            ids = {label: i for i, label in enumerate(texts.labels)}
            path = hand_in(folder, report.split, texts.splits[report.split],
                           [ids.get(row.predicted, row.predicted) for row in report.rows])
            print(f"predictions for {report.split}: {path}")


def described(texts, split):
    """How many examples, and of which labels."""
    examples = texts.splits[split]
    said = f"{len(examples)} examples"
    if split in texts.unlabelled:
        return said + " without labels"
    if not texts.labels:
        numbers = [example[2] for example in examples]
        return said + f", labels from {min(numbers):g} to {max(numbers):g}"
    counts = Counter(example[2] for example in examples)
    return said + " (" + ", ".join(f"{name}: {counts[i]}" for i, name in enumerate(texts.labels)) + ")"


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
