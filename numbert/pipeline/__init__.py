"""Raw text in, answers out: a fine-tuned model applied to texts, with the keys and numbers of transformers' pipelines.

    classify = nb.pipeline("text-classification", model=folder)
    classify("A film to see twice.")                        # [{"label": "positive", "score": 0.98}]
    classify(["A film to see twice.", "Never again."])      # a list in, a list out

The folder is one that a command of numbert left or that transformers saved, of any family that can do the task. What
can be refused is refused before any weight is read. The options of a task are those of its class below, given here for
all calls or to one call:

    task                        class, and its file
    fill-mask                   FillMask                words.py
    text-generation             TextGeneration          words.py
    text-classification         TextClassification      classes.py
    zero-shot-classification    ZeroShotClassification  classes.py
    token-classification        TokenClassification     tags.py
    question-answering          QuestionAnswering       answers.py
    feature-extraction          FeatureExtraction       vectors.py
    sentence-similarity         SentenceSimilarity      vectors.py

On the command line: `python -m numbert.pipeline TASK FOLDER [TEXT ...]`.
"""
from __future__ import annotations

from pathlib import Path

from ..models.pretrained import PretrainedModel
from ..tokenizers.tokenizer import Tokenizer
from .answers import QuestionAnswering
from .base import Pipeline
from .classes import TextClassification, ZeroShotClassification
from .tags import TokenClassification
from .vectors import FeatureExtraction, SentenceSimilarity
from .words import FillMask, TextGeneration

TASKS = {cls.task: cls for cls in (FillMask, TextGeneration, TextClassification, ZeroShotClassification,
                                   TokenClassification, QuestionAnswering, FeatureExtraction, SentenceSimilarity)}
OTHER_NAMES = {"ner": "token-classification", "sentiment-analysis": "text-classification"}      # as in transformers


def pipeline(task: str, model: str | Path | PretrainedModel, tokenizer: str | Path | Tokenizer | None = None,
             **options) -> Pipeline:
    """The `Pipeline` of a task: called with texts it gives what the model says of them.

    task: one of those in the module's docstring. model: a folder with model and tokenizer, or a model; tokenizer: a
    folder or a tokenizer, by default that in the folder of the model. options: those of the task, and of `Pipeline`.
    Raises ValueError or CheckpointError for a task that there is not, a family that cannot do it, and a model that was
    not trained for it; TypeError for an option that the task does not have.
    """
    cls = TASKS.get(OTHER_NAMES.get(task, task))
    if cls is None:
        raise ValueError(f"task must be one of {', '.join(TASKS)}, got {task!r}")
    return cls.of(model, tokenizer, **options)
