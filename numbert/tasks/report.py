"""What a model gets right and what it gets wrong: scores by class, a confusion matrix, the most confident mistakes.

    report = Report("dev", ("text",), rows, figures, classes)
    print(in_words(report))
    save(report, "runs/classify")

Every task fills a Report; what is printed, the files, and the tables of the model card (card.py) are made from it.
"""
import math
import unicodedata
from pathlib import Path
from typing import NamedTuple

from .. import svg
from ..hub.files import write_text
from . import metrics

WIDEST = 100                                # characters of a table; a larger confusion matrix is shown as a list
SHOWN = 5                                   # mistakes that are printed


class Row(NamedTuple):
    """A prediction beside what is right. cells: the text it is about, one or several columns. gold, predicted: labels,
    or numbers; gold is None where it is not known. probability: of the prediction; None where there is no such thing.
    right: whether it is right, if this is not the same as gold == predicted. shown: what is printed for the cells."""
    cells: tuple
    gold: str | float | None
    predicted: str | float
    probability: float | None
    right: bool | None = None
    shown: str | None = None


class Report(NamedTuple):
    """The predictions for a set of examples. split: its name, such as dev. columns: the names of the rows' cells.
    figures: {name: value}, {} where the labels are not known. classes: the labels in their order; () if predictions are
    numbers or texts. entities: {type: metrics.Scores}, if the labels are tags of entities."""
    split: str
    columns: tuple
    rows: list
    figures: dict
    classes: tuple = ()
    entities: dict | None = None

    @property
    def labelled(self):
        """The rows whose gold label is known."""
        return [row for row in self.rows if row.gold is not None]


def confusion(report):
    """(names, counts (C, C)) of the classes that occur, gold or predicted; gold labels that the model does not know
    stand last. ((), None) where there are no classes or no gold labels."""
    pairs = [(row.gold, row.predicted) for row in report.labelled]
    if not report.classes or not pairs:
        return (), None
    occurring = {label for pair in pairs for label in pair}
    names = [name for name in report.classes if name in occurring]
    names += sorted(occurring - set(names))
    places = {name: i for i, name in enumerate(names)}
    gold, predicted = ([places[label] for label in labels] for labels in zip(*pairs, strict=True))
    return tuple(names), metrics.confusion(gold, predicted, range(len(names)))


def scores(report):
    """[(name, metrics.Scores)] of each type of entity and each class, each followed by its macro average; [] if there
    is nothing of the kind."""
    names, counts = confusion(report)
    if counts is None:
        return []
    of_classes = metrics.class_scores(counts)
    found = [*zip(names, of_classes, strict=True), ("macro average", metrics.macro_scores(of_classes))]
    if report.entities:
        of_entities = list(report.entities.values())
        found = [*((f"entity {kind}", one) for kind, one in report.entities.items()),
                 ("entities, macro average", metrics.macro_scores(of_entities)), *found]
    return found


def score_table(report):
    """The header and the rows of a table of `scores`; () if there are none."""
    rows = [(name, *(f"{value:.3f}" for value in one[:3]), f"{one.support}") for name, one in scores(report)]
    return (("", "precision", "recall", "F1", "count"), *rows) if rows else ()


def confusion_table(report):
    """The header and the rows of a table of the confusion matrix; () if there is none."""
    names, counts = confusion(report)
    if counts is None:
        return ()
    return (("gold \\ predicted", *names),
            *((name, *map(str, row)) for name, row in zip(names, counts.tolist(), strict=True)))


def most_confused(report, most=10):
    """[(gold, predicted, how often)] of the most frequent confusions, the most frequent first."""
    names, counts = confusion(report)
    wrong = [(names[i], names[j], count) for i, row in enumerate(counts.tolist()) for j, count in enumerate(row)
             if count and i != j]
    return sorted(wrong, key=lambda one: -one[2])[:most]


def mistakes(report, most=SHOWN):
    """The rows that are wrong: the most confident first, or where predictions are numbers the largest errors."""
    numbers = [row for row in report.labelled if isinstance(row.predicted, float)]
    if numbers:
        return sorted(numbers, key=lambda row: -abs(row.gold - row.predicted))[:most]
    wrong = [row for row in report.labelled if not (row.gold == row.predicted if row.right is None else row.right)]
    return sorted(wrong, key=lambda row: -row.probability)[:most]


def show(report):
    """Print what there is to see; of predictions without gold labels the first ones."""
    figures = "  ".join(f"{name} {value:.3f}" for name, value in report.figures.items())
    print(f"\n{report.split}, {len(report.rows)} predictions" + (f": {figures}" if figures else ""))
    if text := in_words(report) if report.labelled else _first_predictions(report):
        print(f"\n{text}\n")


def _first_predictions(report):
    lines = [f"  {_sure(row)}{_predicted(row)}: {_said(row)}" for row in report.rows[:SHOWN]]
    return "\n".join([*lines, *([f"  ... and {len(report.rows) - SHOWN} more"] if len(report.rows) > SHOWN else [])])


def in_words(report):
    """The tables and the mistakes, as text for a terminal; "" where no label is known."""
    parts = []
    if table := score_table(report):
        parts.append(aligned(table))
        matrix = aligned(confusion_table(report))
        parts.append(matrix if matrix.index("\n") <= WIDEST else "\n".join(
            ["The most frequent confusions:",
             *(f"{count:6}  {gold} predicted as {predicted}" for gold, predicted, count in most_confused(report))]))
    if wrong := mistakes(report):
        numbers = isinstance(wrong[0].predicted, float)
        parts.append("\n".join(["The largest errors:" if numbers else "The most confident mistakes:",
                                *map(_mistake_in_words, wrong)]))
    return "\n\n".join(parts)


def save(report, folder):
    """Write SPLIT.predictions.tsv and, if there is one, the picture SPLIT.confusion.svg. Returns {what it is: path}."""
    paths = {"predictions": Path(folder) / f"{report.split}.predictions.tsv"}
    write_text(paths["predictions"], tsv(report))
    names, counts = confusion(report)
    if counts is not None:
        paths["confusion matrix"] = Path(folder) / f"{report.split}.confusion.svg"
        write_text(paths["confusion matrix"], svg.confusion_matrix(
            f"{report.split}: {counts.trace()} of {counts.sum()} right", names, counts.tolist()))
    return paths


def tsv(report):
    """Tab-separated: the text, gold, predicted, and the probability of the prediction, a line for each row.

    There is no quoting in this format: a tab or a line end inside a text becomes a space.
    """
    lines = ["\t".join([*report.columns, "gold", "predicted", "probability"])]
    for row in report.rows:
        cells = [*row.cells, "" if row.gold is None else row.gold, row.predicted,
                 "" if row.probability is None else f"{row.probability:.4f}"]
        lines.append("\t".join(map(_cell, cells)))
    return "\n".join(lines) + "\n"


def aligned(table):
    """A table as text: the first column to the left, the others to the right."""
    widths = [max(map(_width, column)) for column in zip(*table, strict=True)]
    gaps = [[" " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)] for row in table]
    return "\n".join("  ".join([first + gap, *(space + cell for cell, space in zip(rest, spaces, strict=True))])
                     for (first, *rest), (gap, *spaces) in zip(table, gaps, strict=True))


def _width(text):
    """How many columns of a terminal a text takes: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def one_line(text, most):
    """The text without its line ends, shortened to `most` characters."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[:most - 3] + "..."


def _cell(value):
    if isinstance(value, float):
        return f"{value:.4f}" if math.isfinite(value) else str(value)
    return "".join(" " if char in "\t\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029" else char for char in str(value))


def _said(row):
    cells = row.cells if row.shown is None else (row.shown,)
    return " | ".join(one_line(cell, WIDEST // len(cells)) for cell in cells)


def _sure(row):
    return "" if row.probability is None else f"{row.probability:.3f}  "


def _predicted(row):
    return f"{row.predicted:.2f}" if isinstance(row.predicted, float) else one_line(row.predicted, 40) or "(none)"


def _mistake_in_words(row):
    gold = f"{row.gold:g}" if isinstance(row.gold, float) else one_line(row.gold, 40) or "(none)"
    return f"  {_sure(row)}{gold} predicted as {_predicted(row)}: {_said(row)}"
