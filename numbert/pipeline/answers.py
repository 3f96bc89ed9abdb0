"""Answers to questions, as stretches of a context. They are scored as in transformers' pipeline, window by window:

P(start) and P(end) are softmaxes over the window's tokens of the context and [CLS]; the score of an answer is their
product, added up over the windows and spans that give the same text. (`tasks.squad.answers` weighs all spans of
all windows together, as Google's code does; its scores are comparable between windows, and there is a threshold.)
"""
from __future__ import annotations

import numpy as np

from ..models.auto import AutoModelForQuestionAnswering
from ..tasks.squad.answers import AnswerSpan
from ..tasks.squad.data import Example
from ..tasks.squad.show import highlight
from ..tasks.squad.windows import batch_of, make_passages, windows_of
from .base import Pipeline, bars, softmax

AROUND = 200                        # characters of the context that a picture shows on either side of an answer


class QuestionAnswering(Pipeline):
    """The answer to a question: answer(question="Who slept?", context="Anna slept.") gives {"score", "start", "end",
    "answer"}, where context[start:end] is the answer.

    An input is a question, with a `context` for all or a list of one for each, or {"question": ..., "context": ...}.
    With top_k above 1 it gives a list, the most probable first. handle_impossible_answer: "" may be the answer, with
    the probability of [CLS]. max_answer_len: in tokens. A context that is too long is read in windows of max_seq_len
    tokens with the question (default: 384, or what the model takes), that share doc_stride tokens (default: 128, or
    half of max_seq_len). align_to_words: an answer begins and ends with a word.
    """
    task, auto_class, may_be_0 = "question-answering", AutoModelForQuestionAnswering, ("doc_stride",)
    arguments = {"--context": {"metavar": "TEXT", "help": "where the answers are; the texts are questions"},
                 "--top-k": {"type": int, "metavar": "N", "help": "how many answers (default: 1)"},
                 "--handle-impossible-answer": {"action": "store_true", "help": "there may be no answer"},
                 "--max-answer-len": {"type": int, "metavar": "N", "help": "in tokens (default: 15)"},
                 "--max-seq-len": {"type": int, "metavar": "N", "help": "tokens of a window with the question "
                                   "(default: 384, or what the model takes)"},
                 "--doc-stride": {"type": int, "metavar": "N", "help": "tokens that two windows share (default: 128, "
                                  "or half of --max-seq-len)"}}

    def __call__(self, question: str | dict | list, **options) -> dict | list:
        context = (self.options | options).get("context")
        if isinstance(context, list | tuple):
            if not isinstance(question, list | tuple) or len(question) != len(context):
                raise ValueError(f"{len(context)} contexts need as many questions")
            options = {name: value for name, value in options.items() if name != "context"}
            question = [{"question": q, "context": c} for q, c in zip(question, context, strict=True)]
        return super().__call__(question, **options)

    def results(self, questions: list, *, context: str | list[str] | None = None, top_k: int = 1,
                handle_impossible_answer: bool = False, max_answer_len: int = 15, max_seq_len: int | None = None,
                doc_stride: int | None = None, align_to_words: bool = True) -> list:
        longest = self.model.max_tokens
        if max_seq_len is not None and max_seq_len > longest:
            raise ValueError(f"max_seq_len = {max_seq_len}, but the model takes only {longest} tokens")
        max_seq_len = max_seq_len or min(384, longest)
        doc_stride = min(max_seq_len // 2, 128) if doc_stride is None else doc_stride
        if doc_stride > max_seq_len:
            raise ValueError(f"doc_stride must be from 0 to max_seq_len = {max_seq_len}, got {doc_stride}")
        examples = [_example(given, context) for given in questions]
        try:
            passages = make_passages(examples, self.tokenizer, max_length=max_seq_len, overlap=doc_stride,
                                     max_question_length=max_seq_len)
        except ValueError as error:                     # the length has another name here, that of transformers
            raise ValueError(str(error).replace("max_length", "max_seq_len")) from None

        def scores(batch):
            output = self.model(**batch)
            return zip(output.start_logits.data, output.end_logits.data, strict=True)

        found = iter(self.apply(scores, windows_of(passages), size=lambda pair: pair[1][1] - pair[1][0],
                                collate=lambda some: self.model.accepted(batch_of(some, self.tokenizer))))
        return [self._best(passage, [next(found) for _ in passage.windows], top_k, handle_impossible_answer,
                           max_answer_len, align_to_words) for passage in passages]

    def _best(self, passage, scores, top_k, handle_impossible_answer, max_answer_len, align_to_words):
        """The top_k answers of all windows, or the one."""
        answers, none, most = {}, 1.0, 2 * top_k + 10 if align_to_words else top_k
        for window, (start, end) in zip(passage.windows, scores, strict=True):
            null, spans = self._spans(passage, window, start, end, max_answer_len, most)
            none = min(none, null)
            for first, last, score in spans:
                text, *place = _text(passage, window, first, last, align_to_words)
                answer = answers.setdefault(text.lower(), dict(zip(("score", "start", "end", "answer"),
                                                                   (0.0, *place, text), strict=True)))
                answer["score"] += score
        listed = list(answers.values())
        if handle_impossible_answer:
            listed.append({"score": none, "start": 0, "end": 0, "answer": ""})
        listed = sorted(listed, key=lambda one: -one["score"])[:top_k]
        return listed[0] if len(listed) == 1 else listed

    def _spans(self, passage, window, start, end, max_answer_len, most):
        """(the probability of no answer, the `most` best spans as (first token, last token, probability))."""
        here = slice(passage.column, passage.column + window[1] - window[0])
        first = slice(0, int(bool(self.tokenizer.frame[0][0])))                         # [CLS], if there is one
        probs = [softmax(np.concatenate([logits[first], logits[here]])) for logits in (start, end)]
        null = float(probs[0][0] * probs[1][0]) if first.stop else 0.0
        starts, ends = (each[first.stop:] for each in probs)
        both = np.tril(np.triu(starts[:, None] * ends), max_answer_len - 1)             # [i, j]: from i to j
        flat = both.ravel()
        best = np.argpartition(-flat, most)[:most] if len(flat) > most else np.arange(len(flat))
        best = best[np.argsort(-flat[best], kind="stable")]
        return null, [(window[0] + i, window[0] + j, float(both[i, j]))
                      for i, j in zip(*np.unravel_index(best, both.shape), strict=True) if both[i, j] > 0]

    def picture(self, given: str | dict, result: dict | list | float) -> str:
        context = _example(given, self.options.get("context")).context
        listed = [result] if isinstance(result, dict) else result
        picture = bars((one["score"], one["answer"] or "(no answer)") for one in listed)
        if not listed or not listed[0]["answer"]:
            return picture
        start, end = listed[0]["start"], listed[0]["end"]
        first = max(0, start - AROUND)
        span = AnswerSpan("", start - first, end - first, 0.0, 0.0)
        return f"{picture}\n{highlight(context[first:end + AROUND], span)}"


def _example(given, context):
    """The `Example` of an input; its id is the question, for messages."""
    if isinstance(given, dict):
        if given.keys() != {"question", "context"}:
            raise ValueError(f"an input must be {{'question': ..., 'context': ...}}, got {given!r:.100}")
        given, context = given["question"], given["context"]
    for name, text in (("question", given), ("context", context)):
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"question-answering needs a {name}, a text that is not empty, got {text!r:.100}")
    return Example(given, given, context, None, False)


def _text(passage, window, first, last, align_to_words):
    """(text, start, end) of the tokens first..last, or of the words that they are in, as far as the window has them."""
    if align_to_words:
        words, (begin, stop) = passage.words, window
        while first > begin and words[first - 1] == words[first]:
            first -= 1
        while last + 1 < stop and words[last + 1] == words[last]:
            last += 1
    start, end = passage.offsets[first][0], passage.offsets[last][1]
    return passage.example.context[start:end], start, end
