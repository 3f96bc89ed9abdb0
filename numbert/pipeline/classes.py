"""Classes of a text: those that a model was trained for, or any, with a model that was trained for entailment."""
from __future__ import annotations

from typing import Literal

import numpy as np

from ..models.auto import AutoModelForSequenceClassification
from ..models.config import ModelConfig
from .base import Pipeline, bars, names_of, sigmoid, softmax

FUNCTIONS = {"softmax": softmax, "sigmoid": sigmoid, "none": lambda scores: scores.astype(np.float64)}
TRUNCATION = {"--truncation": {"action": "store_true", "help": "cut texts that are longer than the model takes "
                               "(default: they are refused)"}}


class TextClassification(Pipeline):
    """The class of a text, or of two: classify("A film to see twice.") gives [{"label", "score"}].

    An input is a text or {"text": ..., "text_pair": ...}. Without top_k a result is the most probable class alone: a
    list of inputs gives a flat list. With top_k (an int, or None for all classes) it is a list, the most probable
    first. function_to_apply: "softmax", "sigmoid" or "none"; by default none for regression, sigmoid for
    several classes at once and for a single score, softmax otherwise. truncation: cut texts that are too long.
    """
    task, auto_class = "text-classification", AutoModelForSequenceClassification
    arguments = {"--top-k": {"type": int, "metavar": "N", "help": "the N most probable classes (default: the best)"},
                 "--function-to-apply": {"choices": tuple(FUNCTIONS), "help": "how scores become probabilities "
                                         "(default: as the model was trained)"}} | TRUNCATION

    def __call__(self, inputs: str | dict | list, **options) -> dict | list:
        found = super().__call__(inputs, **options)
        return [found] if isinstance(inputs, str) and isinstance(found, dict) else found

    def results(self, inputs: list, *, top_k: int | Literal["best"] | None = "best",
                function_to_apply: str | None = None, truncation: bool = False) -> list:
        config = self.model.config
        if function_to_apply is None:
            function_to_apply = ("none" if config.problem_type == "regression" else
                                 "sigmoid" if config.problem_type == "multi_label_classification"
                                 or config.num_labels == 1 else "softmax")
        if function_to_apply not in FUNCTIONS:
            raise ValueError(f"function_to_apply must be one of {', '.join(FUNCTIONS)}, got {function_to_apply!r}")
        rows = [self.encode(*_texts(given), truncation=truncation) for given in inputs]
        found = []
        for logits in self.apply(lambda batch: self.model(**batch).logits.data, rows):
            scores = FUNCTIONS[function_to_apply](logits)
            order = np.argsort(-scores, kind="stable").tolist()
            named = [{"label": names_of(config)[i], "score": float(scores[i])} for i in order]
            found.append(named[0] if top_k == "best" else named[:top_k])
        return found

    def picture(self, given: str | dict, result: dict | list | float) -> str:
        listed = [result] if isinstance(result, dict) else result
        if self.model.config.problem_type == "regression":
            return "\n".join(f"  {one['score']:.4g}  {one['label']}" for one in listed)
        return bars((one["score"], one["label"]) for one in listed)


def _texts(given):
    """The one or two texts of an input."""
    if not isinstance(given, dict):
        return (given,)
    if not {"text"} <= given.keys() <= {"text", "text_pair"}:
        raise ValueError(f"two texts are given as {{'text': ..., 'text_pair': ...}}, got {given!r:.100}")
    return given["text"], given.get("text_pair")


class ZeroShotClassification(Pipeline):
    """Classes of one's own: sort("I want my money back.", candidate_labels=["complaint", "praise"])

    gives {"sequence", "labels", "scores"}, the most probable label first. The model was trained to tell whether a first
    text entails a second one, and the second is hypothesis_template with a label in place of {}. The scores are a
    softmax over the labels, or with multi_label each label's own, of entailment against contradiction. truncation: cut
    texts that are too long, never the label. (Yin et al. 2019)
    """
    task, auto_class = "zero-shot-classification", AutoModelForSequenceClassification
    arguments = {"--candidate-labels": {"required": True, "metavar": "LABELS", "help": "separated by commas"},
                 "--hypothesis-template": {"metavar": "TEXT", "help": "with {} for the label (default: This example is "
                                           "{}.)"},
                 "--multi-label": {"action": "store_true", "help": "several labels may hold"}} | TRUNCATION

    @classmethod
    def check(cls, model_class: type, config: ModelConfig, **options) -> None:
        if _entailment(config) is None or config.num_labels < 2:
            raise ValueError(f"{cls.task} needs a model trained for entailment, with a label whose name begins with "
                             f"entail; this one has {', '.join(map(str, names_of(config)))}")

    def results(self, texts: list[str], *, candidate_labels: str | list[str] | None = None,
                hypothesis_template: str = "This example is {}.", multi_label: bool = False,
                truncation: bool = False) -> list[dict]:
        labels = candidate_labels
        if isinstance(labels, str):
            labels = [label.strip() for label in labels.split(",") if label.strip()]
        if not labels:
            raise ValueError(f"{self.task} needs candidate_labels, at least one")
        if "{}" not in hypothesis_template:
            raise ValueError(f"hypothesis_template must have {{}} where the label goes, got {hypothesis_template!r}")
        rows = [self.encode(text, hypothesis_template.replace("{}", label), truncation=truncation and "only_first")
                for text in texts for label in labels]
        logits = self.apply(lambda batch: self.model(**batch).logits.data, rows)
        logits = np.reshape(logits, (len(texts), len(labels), self.model.config.num_labels))
        entailment = _entailment(self.model.config)
        if multi_label or len(labels) == 1:
            contradiction = -1 if entailment == 0 else 0
            scores = softmax(logits[:, :, [contradiction, entailment]])[:, :, 1]
        else:
            scores = softmax(logits[:, :, entailment])
        return [{"sequence": text, "labels": [labels[i] for i in order], "scores": row[order].tolist()}
                for text, row in zip(texts, scores, strict=True)
                for order in [np.argsort(-row, kind="stable")]]

    def picture(self, given: str | dict, result: dict | list | float) -> str:
        return bars(zip(result["scores"], result["labels"], strict=True))


def _entailment(config):
    """The number of the class that means "the first text entails the second"; None if no name says so."""
    return next((i for i, name in enumerate(names_of(config)) if str(name).lower().startswith("entail")), None)
