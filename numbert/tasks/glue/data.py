"""GLUE's nine tasks: what their files look like, how each is scored, and the files of a submission.

GLUE (Wang et al. 2018, "GLUE: A Multi-Task Benchmark and Analysis Platform for Natural Language Understanding") is
nine folders of tab-separated files, no two laid out alike. The table `TASKS` holds all differences between them; one
reader, one writer and one average serve all tasks. A quotation mark is a character like any other in these files, a
line ends at a newline and nowhere else, and a file that differs from its layout is refused.
"""
import math
from dataclasses import dataclass, field
from typing import NamedTuple

from ...hub.errors import MAX_DIGITS
from ...hub.files import read_text, write_text
from .. import metrics


@dataclass(frozen=True)
class GlueTask:
    """One task of GLUE.

    columns: what we call a column -> what its files call it; the roles are sentence or sentence1 and sentence2, and
      label. The label column is absent from test files.
    labels: the words of the label column, in the order of the class ids; () for STS-B, whose labels are numbers.
    measures: names of the functions in numbert/tasks/metrics.py that score it.
    test_headers: the complete headers of its files without labels.
    files: split -> GLUE's file name.  submissions: split -> the name of the file to hand in.
    names: what the classes are called, where the labels are numbers.
    no_header: the names of the columns of its labelled files if those have no header (CoLA).
    unlabelled: a label that says that the annotators did not agree (MNLI): such rows are skipped.
    """
    columns: dict
    labels: tuple
    measures: tuple
    test_headers: tuple
    submissions: dict
    files: dict = field(default_factory=lambda: {split: f"{split}.tsv" for split in ("train", "dev", "test")})
    names: tuple = ()
    no_header: tuple = ()
    unlabelled: str | None = None

    @property
    def id2label(self):
        """{class id: what it is called}"""
        return dict(enumerate(self.names or self.labels))


PAIR = {"sentence1": "sentence1", "sentence2": "sentence2", "label": "label"}
INDEX_PAIR = ("index", "sentence1", "sentence2")
ENTAILMENT = ("entailment", "not_entailment")

TASKS = {
    "CoLA": GlueTask({"sentence": "sentence", "label": "label"}, ("0", "1"), ("matthews_correlation",),
                 (("index", "sentence"),), {"test": "CoLA.tsv"}, names=("unacceptable", "acceptable"),
                 no_header=("source", "label", "mark", "sentence")),
    "SST-2": GlueTask({"sentence": "sentence", "label": "label"}, ("0", "1"), ("accuracy",),
                  (("index", "sentence"),), {"test": "SST-2.tsv"}, names=("negative", "positive")),
    "MRPC": GlueTask({"sentence1": "#1 String", "sentence2": "#2 String", "label": "Quality"}, ("0", "1"),
                 ("f1", "accuracy"), (("index", "#1 ID", "#2 ID", "#1 String", "#2 String"),), {"test": "MRPC.tsv"},
                 names=("not_equivalent", "equivalent")),
    "STS-B": GlueTask(PAIR | {"label": "score"}, (), ("pearson", "spearman"),
                  (("index", "genre", "filename", "year", "old_index", "source1", "source2", "sentence1",
                    "sentence2"),), {"test": "STS-B.tsv"}),
    "QQP": GlueTask({"sentence1": "question1", "sentence2": "question2", "label": "is_duplicate"}, ("0", "1"),
                ("f1", "accuracy"), (("id", "question1", "question2"),), {"test": "QQP.tsv"},
                names=("not_duplicate", "duplicate")),
    "MNLI": GlueTask(PAIR | {"label": "gold_label"}, ("entailment", "neutral", "contradiction"), ("accuracy",),
                 (("index", "promptID", "pairID", "genre", "sentence1_binary_parse", "sentence2_binary_parse",
                   "sentence1_parse", "sentence2_parse", "sentence1", "sentence2"), INDEX_PAIR),
                 {"test_matched": "MNLI-m.tsv", "test_mismatched": "MNLI-mm.tsv", "diagnostic": "AX.tsv"},
                 {split: f"{split}.tsv" for split in ("train", "dev_matched", "dev_mismatched", "test_matched",
                                                      "test_mismatched", "diagnostic")}, unlabelled="-"),
    "QNLI": GlueTask({"sentence1": "question", "sentence2": "sentence", "label": "label"}, ENTAILMENT, ("accuracy",),
                 (("index", "question", "sentence"),), {"test": "QNLI.tsv"}),
    "RTE": GlueTask(PAIR, ENTAILMENT, ("accuracy",), (INDEX_PAIR,), {"test": "RTE.tsv"}),
    "WNLI": GlueTask(PAIR, ("0", "1"), ("accuracy",), (INDEX_PAIR,), {"test": "WNLI.tsv"},
                 names=("not_entailment", "entailment")),
}


class GlueExample(NamedTuple):
    """text and pair: the sentences (pair is None where the task has one). label: class id, a float for STS-B, and -1
    where the file has none. index: the file's own in a test file, elsewhere the number of the row from 0."""
    text: str
    pair: str | None
    label: int | float
    index: int


class Rows(NamedTuple):
    """The examples of a file, and one line "file: line: reason" for each row that was left out."""
    examples: list
    skipped: list


def read(task, path, columns=None, header=True, labels=None, skip_broken=False):
    """The rows of a file of GLUE, or of one laid out otherwise. Returns Rows.

    A labelled file must name the columns of `TASKS[task]` in its header (others may stand beside them); a file
    without labels must have exactly GLUE's header for it. For any other layout say where the columns are:

        read("SST-2", path, columns={"sentence": "text", "label": "label"})          # other names
        read("CoLA", path, columns={"sentence": 0, "label": 1}, header=False)        # by number, from 0; no header
        read("RTE", path, columns={...}, labels={"0": 0, "1": 1})                    # other words: word -> class id

    columns: role -> name or number; the roles are those of the task's `columns`, and index. Without "label" the
      examples have label -1. header: whether the first line names the columns; used only with `columns`.
    skip_broken: leave out rows with too few or too many columns, and list them; without it they are an error.
      (QQP has some that a newline inside a question cut in two.) MNLI's rows with the label "-" are always left out.
    Raises ValueError with the file, the line and what was expected; labels that the task does not know always raise.
    """
    name, task = task, find(task)
    if labels is not None and not task.labels:
        raise ValueError(f"{name} has no label words: its labels are numbers from 0 to 5")
    words = {word: k for k, word in enumerate(task.labels)} if labels is None else dict(labels)
    wrong = [k for k in words.values() if k not in range(len(task.labels))]
    if wrong:
        raise ValueError(f"labels must map words to class ids 0..{len(task.labels) - 1}, got {wrong[0]!r}")
    lines = [line.removesuffix("\r") for line in read_text(path).removesuffix("\n").split("\n")]
    where, width, first = _find_columns(name, task, path, lines[0].split("\t"), columns, header)
    examples, skipped = [], []
    for number, line in enumerate(lines[first:], first + 1):
        cells = line.split("\t")
        place = f"{path}: line {number}"
        if len(cells) != width:
            reason = f"{place}: {len(cells)} columns, expected {width}"
            if not skip_broken:
                raise ValueError(f"{reason} (skip_broken=True leaves such rows out)")
            skipped.append(reason)
            continue
        row = {role: cells[at] for role, at in where.items()}
        if task.unlabelled is not None and row.get("label") == task.unlabelled:
            skipped.append(f"{place}: label {task.unlabelled!r}: the annotators did not agree")
            continue
        text, pair = (row["sentence"], None) if "sentence" in row else (row["sentence1"], row["sentence2"])
        label = _label(row["label"], task, words, f"{place}, column {where['label'] + 1}") if "label" in row else -1
        index = _index(row["index"], f"{place}, column {where['index'] + 1}") if "index" in row else number - first - 1
        examples.append(GlueExample(text, pair, label, index))
    return Rows(examples, skipped)


def evaluate(task, labels, predictions):
    """A task's own measures: name -> value in 0..1 (correlations: -1..1). Both (N,): class ids; floats for STS-B."""
    name, task = task, find(task)
    if any(label == -1 for label in labels):
        raise ValueError(f"{name}: {sum(label == -1 for label in labels)} of {len(labels)} rows have no label (-1)")
    return {measure: getattr(metrics, measure)(labels, predictions) for measure in task.measures}


AVERAGED = tuple(name for name in TASKS if name != "MNLI") + ("MNLI-m", "MNLI-mm")


def average(scores):
    """GLUE's single number: the mean of nine task scores, each the mean of the task's measures.

    MRPC and QQP count as (F1 + accuracy) / 2, STS-B as (Pearson + Spearman) / 2, MNLI as the mean of its matched and
    mismatched accuracy (Wang et al. 2018, section 2; the leaderboard's macro-average, which with the paper's
    WNLI makes BERT-large's 80.5). scores: name -> {measure: value} as from `evaluate`, for the eight tasks other
    than MNLI, and for "MNLI-m" and "MNLI-mm". Raises ValueError if one is missing.
    """
    if set(scores) != set(AVERAGED):
        missing = [name for name in AVERAGED if name not in scores]
        unknown = [name for name in scores if name not in AVERAGED]
        raise ValueError(f"the average needs {', '.join(AVERAGED)}; missing: {', '.join(missing) or 'none'}; "
                         f"not among them: {', '.join(map(str, unknown)) or 'none'}")
    by_task = {}
    for name, measures in scores.items():
        expected = find(name.split("-m")[0]).measures
        if set(measures) != set(expected):
            raise ValueError(f"{name} is scored by {', '.join(expected)}, got {', '.join(measures) or 'nothing'}")
        by_task[name] = sum(measures.values()) / len(measures)
    by_task["MNLI"] = (by_task.pop("MNLI-m") + by_task.pop("MNLI-mm")) / 2
    return sum(by_task.values()) / len(by_task)


def submission(task, examples, predictions):
    """The text of the file to hand in: `index<TAB>prediction`, one line for each example.

    predictions: class ids, written as the task's label words (0 and 1 where those are its words); for STS-B floats,
    kept within 0..5 and written with three decimals. Raises ValueError if a prediction is none of these.
    """
    name, task = task, find(task)
    if len(predictions) != len(examples):
        raise ValueError(f"{name}: {len(examples)} examples, {len(predictions)} predictions")
    lines = ["index\tprediction"]
    for example, prediction in zip(examples, predictions, strict=True):
        if task.labels:
            if prediction not in range(len(task.labels)):
                raise ValueError(f"{name}: row {example.index}: a prediction is a class id 0..{len(task.labels) - 1}, "
                                 f"got {prediction}")
            word = task.labels[int(prediction)]
        else:
            if not math.isfinite(prediction):
                raise ValueError(f"{name}: row {example.index}: a prediction is a finite number, got {prediction}")
            word = f"{min(max(float(prediction), 0.0), 5.0):.3f}"
        lines.append(f"{example.index}\t{word}")
    return "\n".join(lines) + "\n"


def write_submission(folder, task, split, examples, predictions):
    """Write `submission` under the name that GLUE wants, e.g. MNLI-mm.tsv for split "test_mismatched"."""
    names = find(task).submissions
    if split not in names:
        raise ValueError(f"{task} hands in predictions for {', '.join(names)}, not for {split!r}")
    write_text(f"{folder}/{names[split]}", submission(task, examples, predictions))


def find(task):
    """The Task of that name. Raises ValueError with the names there are."""
    if task not in TASKS:
        raise ValueError(f"task must be one of {', '.join(TASKS)}, got {task!r}")
    return TASKS[task]


def _find_columns(name, task, path, first_row, columns, header):
    """-> role -> number of its column, columns of every row, number of header lines."""
    if columns is not None:
        return _given_columns(name, task, path, first_row, columns, header)
    place = f"{path}: line 1"
    hint = "say columns=... if this file is laid out otherwise"
    texts = {role: column for role, column in task.columns.items() if role != "label"}
    if tuple(first_row) in task.test_headers:
        where = {role: first_row.index(column) for role, column in texts.items()} | {"index": 0}
        return where, len(first_row), 1
    if task.no_header:
        if len(first_row) != len(task.no_header):
            raise ValueError(f"{place}: {len(first_row)} columns, {name} has {len(task.no_header)} without a header "
                             f"({', '.join(task.no_header)}); {hint}")
        return {role: task.no_header.index(c) for role, c in task.columns.items()}, len(first_row), 0
    for column in task.columns.values():
        if first_row.count(column) != 1:
            fault = "no column" if column not in first_row else "more than one column"
            tests = " or ".join(", ".join(test) for test in task.test_headers)
            raise ValueError(f"{place}: {fault} {column!r}: {name} needs a header with "
                             f"{', '.join(task.columns.values())}, or without labels exactly {tests}; "
                             f"got {_short(', '.join(first_row))}; {hint}")
    return {role: first_row.index(column) for role, column in task.columns.items()}, len(first_row), 1


def _given_columns(name, task, path, first_row, columns, header):
    roles = (*task.columns, "index")
    unknown = [role for role in columns if role not in roles]
    missing = [role for role in task.columns if role != "label" and role not in columns]
    if unknown or missing:
        raise ValueError(f"columns of {name} are {', '.join(roles)}; not among them: {', '.join(unknown) or 'none'}; "
                         f"missing: {', '.join(missing) or 'none'}")
    where = {}
    for role, column in columns.items():
        if isinstance(column, int):
            if column not in range(len(first_row)):
                raise ValueError(f"{path}: line 1: {len(first_row)} columns, so {role} cannot be column {column} "
                                 f"(they count from 0)")
            where[role] = column
        elif not header:
            raise ValueError(f"{path}: columns of a file without a header are numbers, got {column!r} for {role}")
        elif first_row.count(column) != 1:
            fault = "no column" if column not in first_row else "more than one column"
            raise ValueError(f"{path}: line 1: {fault} {column!r}, got {_short(', '.join(first_row))}")
        else:
            where[role] = first_row.index(column)
    return where, len(first_row), int(header)


def _label(cell, task, words, place):
    """The class id that `cell` stands for; for STS-B the number in it."""
    if task.labels:
        if cell not in words:
            raise ValueError(f"{place}: label {_short(cell)!r} is not one of {', '.join(words)} "
                             f"(labels=... names other words)")
        return words[cell]
    try:
        score = float(cell)
    except ValueError:
        score = math.nan
    if not 0 <= score <= 5:
        raise ValueError(f"{place}: score {_short(cell)!r} is not a number from 0 to 5")
    return score


def _index(cell, place):
    if not (cell.isascii() and cell.isdigit() and len(cell) <= MAX_DIGITS):
        raise ValueError(f"{place}: index {_short(cell)!r} is not a number")
    return int(cell)


def _short(text):
    """The cell, shortened for an error of one line."""
    return text if len(text) <= 80 else text[:77] + "..."
