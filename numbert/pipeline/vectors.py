"""Vectors of texts, and how similar two texts are by them."""
from __future__ import annotations

import numpy as np

from ..models.auto import AutoModel
from ..models.config import ModelConfig
from ..tasks.embedding import check_pooling, pool
from .base import Pipeline, bars
from .classes import TRUNCATION


class FeatureExtraction(Pipeline):
    """The vectors of the last layer: vectors("A text.") gives [[D numbers of each token, special ones included]].

    pooling: "mean", their mean, or "cls", the first token's vector: then it gives D numbers. The numbers are lists, or
    with return_tensors an array, float32. truncation: cut texts that are too long.
    """
    task, auto_class, unused = "feature-extraction", AutoModel, ("pooler.",)
    arguments = {"--pooling": {"choices": ("mean", "cls"), "help": "one vector for a text (default: one for each "
                               "token)"}} | TRUNCATION

    @classmethod
    def check(cls, model_class: type, config: ModelConfig, *, pooling: str | None = None, **options) -> None:
        if pooling is not None:
            check_pooling(pooling, model_class)

    def results(self, texts: list[str], *, pooling: str | None = None, truncation: bool = False,
                return_tensors: bool = False) -> list:
        self.check(type(self.model), self.model.config, pooling=pooling)
        rows = [self.encode(text, truncation=truncation) for text in texts]

        def vectors(batch):
            x = self.model(**batch).last_hidden_state.data                              # (B, T, D)
            mask = batch["attention_mask"]
            if pooling is not None:
                return pool(x, mask, pooling)                                           # (B, D)
            return [each[None, :n].copy() for each, n in zip(x, mask.sum(1), strict=True)]

        found = self.apply(vectors, rows)
        return found if return_tensors else [x.tolist() for x in found]

    def picture(self, given: str | dict, result: dict | list | float) -> str:
        x = np.atleast_2d(np.squeeze(np.asarray(result)))
        lines = [" ".join(f"{value:>7.3f}" for value in row[:8]) + (" ..." if len(row) > 8 else "") for row in x]
        return "\n".join([f"  {len(x)} x {x.shape[1]}", *(f"  {line}" for line in lines)])


class SentenceSimilarity(Pipeline):
    """The cosine of the angle between the vectors of texts: similar(["One.", "Two."], source_sentence="Uno.")

    gives a number for each of the texts, from -1 to 1. An input may also be {"source_sentence": text, "sentences":
    [text, ...]}, and gives such a list. pooling, truncation: as in `FeatureExtraction`, but the mean by default.
    (Reimers and Gurevych 2019, section 3)
    """
    task, auto_class, unused = "sentence-similarity", AutoModel, ("pooler.",)
    arguments = {"--source-sentence": {"metavar": "TEXT", "help": "what the texts are compared with"},
                 "--pooling": {"choices": ("mean", "cls"), "help": "(default: mean)"}} | TRUNCATION

    @classmethod
    def check(cls, model_class: type, config: ModelConfig, *, pooling: str = "mean", **options) -> None:
        check_pooling(pooling, model_class)

    def __call__(self, sentences: str | dict | list, **options) -> float | list:
        return super().__call__(sentences, **options)

    def results(self, sentences: list, *, source_sentence: str | None = None, pooling: str = "mean",
                truncation: bool = False) -> list:
        self.check(type(self.model), self.model.config, pooling=pooling)
        asked = [_asked(given, source_sentence) for given in sentences]
        texts = list(dict.fromkeys(text for source, others in asked for text in (source, *others)))
        rows = [self.encode(text, truncation=truncation) for text in texts]
        found = self.apply(lambda batch: pool(self.model(**batch).last_hidden_state.data, batch["attention_mask"],
                                              pooling), rows)
        x = {text: each / np.linalg.norm(each) for text, each in zip(texts, found, strict=True)}        # (D,) each
        cosines = [[float(x[source] @ x[other]) for other in others] for source, others in asked]
        return [row if isinstance(given, dict) else row[0] for row, given in zip(cosines, sentences, strict=True)]

    def picture(self, given: str | dict, result: dict | list | float) -> str:
        if isinstance(given, dict):
            return bars(zip(result, given["sentences"], strict=True))
        return f"  {result:.3f}"


def _asked(given, source):
    """(a text, the texts that it is compared with) of an input."""
    if isinstance(given, dict):
        if given.keys() != {"source_sentence", "sentences"} or not isinstance(given["sentences"], list):
            raise ValueError("an input must be {'source_sentence': text, 'sentences': [text, ...]}, "
                             f"got {given!r:.100}")
        return given["source_sentence"], given["sentences"]
    if source is None:
        raise ValueError("sentence-similarity needs a source_sentence, with which the texts are compared")
    return source, [given]
