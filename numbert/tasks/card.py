"""The model card of a fine-tuned model: README.md, with the head in YAML that the Hugging Face Hub reads.

What stands in it is what the run knows: data, settings, figures, the command, and how the model is used. The same
figures stand in results.json, for programs.

Source: Mitchell et al. 2019, "Model Cards for Model Reporting"; https://huggingface.co/docs/hub/model-cards.
"""
import json
import math
from pathlib import Path
from typing import NamedTuple

from ..hub.errors import CheckpointError, exists, read_json
from ..hub.files import json_text, read_text, write_text
from .report import score_table, scores

MARK = "<!-- Written by numbert. Without this line the next fine-tuning in this folder leaves the file as it is. -->"
METRICS = {"macro_f1": "f1", "exact": "exact_match", "pearson": "pearsonr", "spearman": "spearmanr"}
#          what the Hub calls our figures, where it is another name

AUTO_CLASSES = {"text-classification": "AutoModelForSequenceClassification",
                "token-classification": "AutoModelForTokenClassification",
                "question-answering": "AutoModelForQuestionAnswering"}
THEIRS = """from transformers import AutoTokenizer, {name}

model = {name}.from_pretrained(FOLDER)
tokenizer = AutoTokenizer.from_pretrained(FOLDER)"""


class ModelCard(NamedTuple):
    """task: its name for a reader. kind: what the Hub calls it, one of AUTO_CLASSES. data: {split: what is in
    it}. model: the folder that was started from. from_scratch: whether only its sizes were used. settings: {name:
    value}. figures: the table of all runs. command: that made it. code: how the model is used in Python. reports: a
    `report.Report` of the saved model for each split that has labels."""
    task: str
    kind: str
    data: dict
    model: str
    from_scratch: bool
    settings: dict
    figures: str
    command: str
    code: str
    reports: list


def save(folder, card):
    """Write README.md and results.json into `folder`, and say so. A README.md that somebody else wrote is left as it
    is."""
    folder = Path(folder)
    results = {"task": card.task, "model": card.model, "settings": card.settings, "command": card.command,
               "data": card.data, "figures": {report.split: report.figures for report in card.reports},
               "scores": {report.split: [{"name": name} | one._asdict() for name, one in scores(report)]
                          for report in card.reports}}
    write_text(folder / "results.json", json_text(results, ensure_ascii=False, indent=1) + "\n")
    ours = not exists(folder / "README.md") or MARK in read_text(folder / "README.md")
    if ours:
        write_text(folder / "README.md", text(card))
    print(f"model card: {folder / 'README.md'}" + ("" if ours else ", which somebody wrote, is left as it is"))


def max_length_of(folder):
    """The max_length with which the model in `folder` was fine-tuned, by its results.json; None if it is not known."""
    path = Path(folder) / "results.json"
    if not exists(path):
        return None
    settings = read_json(path).get("settings")
    value = settings.get("max_length") if isinstance(settings, dict) else None
    if value is not None and (type(value) is not int or value < 1):
        raise CheckpointError(path, f"max_length must be a whole number of at least 1, got {value!r}")
    return value


def text(card):
    """The text of README.md."""
    parts = [f"---\n{_head(card)}\n---", MARK, f"# {_title(card)}",
             (f"It has the sizes of the model in `{card.model}` and was trained from scratch" if card.from_scratch else
              f"It began as the model in `{card.model}` and was fine-tuned") + " with numbert, BERT in NumPy.",
             "## Data", "\n".join(f"- {split}: {what}" for split, what in card.data.items()),
             "## Figures", f"```\n{card.figures}\n```"]
    for report in card.reports:
        parts.append(f"Of the saved model, {report.split}: " + ", ".join(
            f"{name} {value:.4f}" for name, value in report.figures.items()) + ".")
        if table := score_table(report):
            parts += [_markdown(table), f"![confusion matrix]({report.split}.confusion.svg)"]
        parts.append(f"Every prediction beside what is right: `{report.split}.predictions.tsv`.")
    if not any(report.split.startswith("test") for report in card.reports):
        parts.append("The best epoch was chosen on these same examples, so the figures are a little too good.")
    parts.append("![the curves of training](curves.svg)")
    parts += ["## Use", f"```python\n{card.code}\n```", "The same in transformers:",
              f"```python\n{THEIRS.format(name=AUTO_CLASSES[card.kind])}\n```",
              "`FOLDER` is the folder in which this file stands.",
              "## Settings", _markdown([("setting", "value"), *(
                  (f"`{name}`", _shown(value)) for name, value in card.settings.items()
                  if value is not None and value is not False)]),
              "## Command", f"```\n{card.command}\n```"]
    return "\n\n".join(parts) + "\n"


def _title(card):
    return f"{Path(card.model).resolve().name}, fine-tuned: {card.task}"


def _head(card):
    """The YAML. Strings are written as in JSON, which YAML understands."""
    lines, results = ["library_name: transformers", f"pipeline_tag: {card.kind}", "tags:", "- numbert"], []
    for report in card.reports:
        figures = {name: value for name, value in report.figures.items() if math.isfinite(value)}
        if figures:
            results += ["  - task:", f"      type: {card.kind}", "    dataset:", f"      name: {_quoted(card.task)}",
                        "      type: custom", f"      split: {_quoted(report.split)}", "    metrics:"]
        for name, value in figures.items():
            results += [f"    - type: {METRICS.get(name, name)}", f"      name: {_quoted(name)}",
                        f"      value: {value:.6f}"]
    if results:
        lines += ["model-index:", f"- name: {_quoted(_title(card))}", "  results:", *results]
    return "\n".join(lines)


def _quoted(text):
    return json.dumps(text, ensure_ascii=False)


def _markdown(table):
    header, *rows = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in table]
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)


def _shown(value):
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else value
