"""From the scores of tokens to answers: the best spans of all windows, and whether there is an answer at all.

The score of the span from token i to token j is start[i] + end[j]; that of "no answer" is the score of the span from
[CLS] to [CLS]. A span is the answer if its score beats that of "no answer" by a margin, and the margin is chosen on
development questions (Devlin et al. 2019, sections 4.2 and 4.3).
"""
import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from .metrics import evaluate
from .windows import context_around


class AnswerSpan(NamedTuple):
    """A candidate: context[start:end] == text, in characters."""
    text: str
    start: int
    end: int
    score: float
    probability: float


@dataclass(frozen=True)
class Reading:
    """The model's reading of a question. answers: Spans, best first, no text twice.

    null_score: the score of "no answer". Probabilities are the softmax over the scores of all the spans that are
    allowed and null_score, so those of `answers` and null_probability add up to at most 1.
    threshold: above which `no_answer` there is none; None: always answer.
    """
    answers: list
    null_score: float
    null_probability: float
    threshold: float | None

    @property
    def no_answer(self):
        """exp(null_score) / (exp(null_score) + exp(the best span's score)): how probable is "no answer", of these two?

        Above 0.5 where "no answer" has the higher score; a threshold t means the paper's margin τ = ln(1/t - 1).
        """
        return _sigmoid(self.null_score - self.answers[0].score) if self.answers else 1.0

    @property
    def text(self):
        """The answer, "" for none."""
        withheld = self.threshold is not None and self.no_answer > self.threshold
        return "" if withheld or not self.answers else self.answers[0].text


def read_answers(passage, scores, *, n_best=20, max_answer_length=30, threshold=0.5):
    """The Reading of a passage.

    scores: for each of its windows a pair of arrays (T,), start and end scores by column of the model's input.
    max_answer_length: in tokens; None for no limit. Every allowed span is weighed, not only those of the best starts
    and ends. Of the windows that hold a span the one with most context scores it (`context_around`). Of the windows'
    scores for "no answer" the lowest counts: one window with an answer is enough (as in Google's run_squad.py).
    Raises ValueError for scores that are not finite.
    """
    check_limits(n_best, max_answer_length)
    spans = span_scores(passage, scores, max_answer_length)
    null_score = min(float(start[0]) + float(end[0]) for start, end in scores)
    highest = max(null_score, float(spans.max(initial=-np.inf)))
    if not math.isfinite(highest):
        raise ValueError(f"question {passage.example.id!r}: the model's scores are not finite numbers")
    total = float(np.exp(spans - highest).sum()) + math.exp(null_score - highest)

    answers, left = {}, spans.copy()
    while len(answers) < n_best and left.max(initial=-np.inf) > -np.inf:
        first, more = np.unravel_index(left.argmax(), left.shape)
        text, start, end = passage.text(first, first + more)
        score, left[first, more] = float(left[first, more]), -np.inf
        if text:                                        # some tokens are nothing but white space
            answers.setdefault(text, AnswerSpan(text, start, end, score, math.exp(score - highest) / total))
    return Reading(list(answers.values()), null_score, math.exp(null_score - highest) / total, threshold)


def check_limits(n_best, max_answer_length):
    """Raises ValueError for arguments of `read_answers` that leave no answer."""
    if n_best < 1 or (max_answer_length is not None and max_answer_length < 1):
        raise ValueError(f"n_best and max_answer_length must be at least 1, got {n_best} and {max_answer_length}")


def span_scores(passage, scores, max_answer_length):
    """The score of every span of a context, float64 (tokens, longest): [i, k] is that of the tokens i..i+k.

    -inf where no window holds the span. For the arguments see `read_answers`.
    """
    longest = max(stop - start for start, stop in passage.windows)
    longest = max(1, longest if max_answer_length is None else min(longest, max_answer_length))
    found, most = np.full((2, len(passage.context), longest), -np.inf)
    for window, (start, end) in zip(passage.windows, scores, strict=True):
        if window[0] == window[1]:
            continue
        here = slice(*window)
        columns = slice(passage.column, passage.column + window[1] - window[0])
        first = np.arange(*window)[:, None]
        context = context_around(window, first, first + np.arange(longest))
        ends = np.concatenate([np.asarray(end[columns], np.float64), np.full(longest - 1, -np.inf)])
        here_scores = np.asarray(start[columns])[:, None] + np.lib.stride_tricks.sliding_window_view(ends, longest)
        better = context > most[here]
        found[here][better], most[here][better] = here_scores[better], context[better]
    return found


def predictions(passages, readings):
    """id -> Reading.text: the contents of SQuAD's prediction file."""
    return {passage.example.id: reading.text for passage, reading in zip(passages, readings, strict=True)}


def no_answer_probabilities(passages, readings):
    """id -> Reading.no_answer: the contents of SQuAD's na-prob file."""
    return {passage.example.id: reading.no_answer for passage, reading in zip(passages, readings, strict=True)}


def best_threshold(passages, readings):
    """The value of Reading.no_answer above which to say "no answer" for the best F1; None if all have an answer.

    It is chosen on these questions, so F1 with it on the same questions is a little too high.
    """
    examples = [passage.example for passage in passages]
    if all(example.answers for example in examples):
        return None
    spans = predictions(passages, with_threshold(readings, None))
    return evaluate(examples, spans, no_answer_probabilities(passages, readings))["best_f1_thresh"]


def with_threshold(readings, threshold):
    """The same readings, decided by another threshold."""
    return [replace(reading, threshold=threshold) for reading in readings]


class Oracle(NamedTuple):
    """The answers of a perfect model: predictions, id -> text; and the ids for which even these may be wrong.

    unknown: no answer is known to stand anywhere; misaligned: it begins or ends inside a token; beyond: no window holds
    all of it.
    """
    predictions: dict
    unknown: list
    misaligned: list
    beyond: list


def oracle(passages):
    """Send the gold answers through the windows and back: no model can recover what is lost there. An Oracle.

    Each window gets a score of 1 where its label points and 0 elsewhere, and the rest is as for a model, without a
    limit on the answer's length.
    """
    readings = []
    for passage in passages:
        scores = []
        for start, stop in passage.windows:
            scores.append(np.zeros((2, passage.column + stop - start + len(passage.after))))
            if passage.labelled:
                scores[-1][[0, 1], passage.label((start, stop))] = 1
        length = 1 + passage.answer[1] - passage.answer[0] if passage.answer else 1
        readings.append(read_answers(passage, scores, n_best=1, max_answer_length=max(30, length)))
    return Oracle(predictions(passages, readings),
                  unknown=[passage.example.id for passage in passages if not passage.labelled],
                  misaligned=[passage.example.id for passage in passages if passage.misaligned],
                  beyond=[passage.example.id for passage in passages if passage.beyond])


def _sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
