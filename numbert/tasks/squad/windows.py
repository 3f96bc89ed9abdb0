"""A context is often longer than BERT can read: it is cut into windows that overlap, each behind the question.

    [CLS] question [SEP] window [SEP]           what stands around the two is the tokenizer's: for RoBERTa
    <s> question </s></s> window </s>           two separators between them, for GPT-2 nothing at all

    tokens of the context    0  1  2  3  4  5  6  7  8  9        room 6, step 3, so overlap 3
    window 0                [0  1  2  3  4  5]
    window 1                         [3  4  5  6  7  8]
    window 2                                  [6  7  8  9]
    scored by window         0  0  0  0  0  1  1  1  2  2        in which a token has most context: `context_around`

`step` is what windows advance by: Google's doc_stride. Hugging Face's stride is the overlap, room - step. A window is
labelled with the columns of the answer's first and last token if it holds all of it, and else with (0, 0): its [CLS]
stands for "no answer here" (Devlin et al. 2019, sections 4.2 and 4.3; the windows are those of Google's run_squad.py).
Without a [CLS] it is the question's first token, as in Hugging Face's run_qa.py.
"""
from dataclasses import dataclass

import numpy as np

from ...ops import IGNORE
from .data import Answer, Example

NO_ANSWER = (0, 0)                  # the label of a window without the answer: both vectors point at [CLS]
UNKNOWN = (IGNORE, IGNORE)          # the label where nobody knows the answer; never to be trained on


@dataclass(frozen=True)
class Passage:
    """A question and its context in tokens. A window is (first, stop), a range of the tokens of the context.

    question, context: ids; before, after: ids of what the model reads before a window, the question and the special
    tokens around it, and after it. offsets: where each token of the context stands in its text, (start, end) in
    characters.
    gold: the answer to learn, None if there is none or it is not known where; answer: its first and last token.
    cut: how many tokens the question was too long. words: the number of the word that each token of the context is in.
    """
    example: Example
    question: list
    before: list
    context: list
    after: list
    offsets: list
    windows: list
    gold: Answer | None
    answer: tuple | None
    cut: int
    words: list = ()

    @property
    def column(self):
        """The column of a window's first token in the model's input."""
        return len(self.before)

    @property
    def labelled(self):
        """Whether it is known where the answer is, or that there is none."""
        return self.answer is not None or self.example.answers == ()

    @property
    def misaligned(self):
        """Whether the answer begins or ends inside a token, so that its tokens hold more than the answer."""
        return self.answer is not None and self.text(*self.answer)[0] != self.gold.text.strip()

    def text(self, first, last):
        """(text, start, end) of the tokens first..last of the context, without white space around it, which some
        tokenizers make part of a word; start and end in characters."""
        start, end = self.offsets[first][0], self.offsets[last][1]
        text = self.example.context[start:end]
        start += len(text) - len(text.lstrip())
        return text.strip(), start, start + len(text.strip())

    def label(self, window):
        """The columns of the answer's first and last token in a window, NO_ANSWER or UNKNOWN."""
        if not self.labelled:
            return UNKNOWN
        start, stop = window
        if self.answer is None or self.answer[0] < start or self.answer[1] >= stop:
            return NO_ANSWER
        return tuple(token - start + self.column for token in self.answer)

    @property
    def beyond(self):
        """Whether there is an answer, but no window that holds all of it."""
        return self.answer is not None and all(self.label(window) == NO_ANSWER for window in self.windows)


def make_passages(examples, tokenizer, *, max_length=384, step=None, overlap=None, max_question_length=64):
    """A Passage for each Example. The defaults are Google's; without `step` windows advance by max_length // 3.
    overlap: how many tokens two windows share, in place of `step`.

    max_length: tokens of question, window and the special ones together. A question of more than
    `max_question_length` tokens loses its end (`Passage.cut`). Raises ValueError, with the numbers, if a question
    leaves no room for a window.
    """
    step = max(1, max_length // 3) if step is None else step
    if step < 1:
        raise ValueError(f"step must be at least 1, or the windows never reach the end, got {step}")
    if max_question_length < 1:
        raise ValueError(f"max_question_length must be at least 1, got {max_question_length}")
    (first, behind), (ahead, last) = [[[tokenizer.id_of_role(role) for role in roles] for roles in sides]
                                      for sides in tokenizer.frame]
    special = len(first + behind + ahead + last)
    contexts, passages = {}, []                         # a context is tokenized once for all of its questions
    for example in examples:
        if example.context not in contexts:
            contexts[example.context] = tokenizer(example.context, add_special_tokens=False)
        context = contexts[example.context]
        question = tokenizer(example.question, add_special_tokens=False).input_ids
        kept = question[:max_question_length]
        room = max_length - special - len(kept)
        if room < 1:
            raise ValueError(f"question {example.id!r}: max_length = {max_length} leaves no room for the context: "
                             f"{len(kept)} tokens of the question and {special} special ones come first")
        gold, answer = _answer(example, context.offsets)
        windows = cut_windows(len(context), room, step if overlap is None else max(1, room - overlap))
        passages.append(Passage(example, kept, [*first, *kept, *behind, *ahead], context.input_ids, last,
                                context.offsets, windows, gold, answer,
                                len(question) - len(kept), context.word_ids))
    return passages


def cut_windows(tokens, room, step):
    """The windows (first, stop) that cover `tokens` tokens: at most `room` long, `step` apart, the last one at the end.

    A step beyond the room would leave tokens out, and is shortened to the room. No tokens: one empty window.
    """
    if room < 1 or step < 1:
        raise ValueError(f"room and step must be at least 1, got room = {room}, step = {step}")
    windows = [(0, min(tokens, room))]
    while windows[-1][1] < tokens:
        start = windows[-1][0] + min(step, room)
        windows.append((start, min(tokens, start + room)))
    return windows


def context_around(window, first, last):
    """How much context the tokens first..last (numbers or arrays) have in a window; -inf where they stick out.

    The smaller of the two sides counts, plus a hundredth of the window's length (Google's measure). Of several windows
    that with most context scores a token or a span, of equal ones the first: a token at the edge of one window
    has more context in another. Google compares the context of a span's first token alone. Here the whole span counts;
    otherwise an answer is lost if its first token has most context in a window that ends before its last.
    """
    start, stop = window
    sides = np.minimum(first - start, stop - 1 - last)
    return np.where(sides < 0, -np.inf, sides + 0.01 * (stop - start))


def scored_by(windows, tokens):
    """For each token of a context the number of the window that scores it, int array (tokens,)."""
    token = np.arange(tokens)
    return np.argmax([context_around(window, token, token) for window in windows], axis=0)


def answer_tokens(offsets, start, end):
    """(first, last) token that shares a character with start..end of the text, or None if there is no such token."""
    inside = [i for i, (begin, stop) in enumerate(offsets) if begin < end and stop > start]
    return (inside[0], inside[-1]) if inside else None


def _answer(example, offsets):
    """The first answer with a known start that covers a token, and its tokens; (None, None) if there is none."""
    for gold in example.answers or ():
        if gold.start is not None and (found := answer_tokens(offsets, gold.start, gold.start + len(gold.text))):
            return gold, found
    return None, None


def windows_of(passages):
    """Every window of every passage: pairs (passage, window)."""
    return [(passage, window) for passage in passages for window in passage.windows]


def batch_of(pairs, tokenizer, labels=False):
    """The model's arguments for B pairs (passage, window): a dict of int64 arrays, (B, T), padded on the right.

    token_type_ids, where the tokenizer's models have them, are 1 for the window and what stands after it.
    With `labels` also start_positions and end_positions (B,), columns of input_ids.
    """
    rows = [[*passage.before, *passage.context[start:stop], *passage.after] for passage, (start, stop) in pairs]
    batch = tokenizer.pad(rows, side="right")
    if "token_type_ids" in batch:
        for types, row, (passage, _) in zip(batch["token_type_ids"], rows, pairs, strict=True):
            types[passage.column:len(row)] = tokenizer.pair_type_id
    if labels:
        positions = np.array([passage.label(window) for passage, window in pairs], np.int64).reshape(-1, 2)
        batch |= {"start_positions": positions[:, 0], "end_positions": positions[:, 1]}
    return batch


def describe(passages):
    """A summary of the windows of a data set, as lines of text: it counts everything that is lost."""
    windows = [len(passage.windows) for passage in passages]
    labels = [passage.label(window) for passage, window in windows_of(passages) if passage.labelled]
    without = labels.count(NO_ANSWER)
    lines = [f"{len(passages)} questions, {sum(windows)} windows: {sum(windows) / max(1, len(windows)):.2f} a question,"
             f" at most {max(windows, default=0)}",
             f"windows without the answer: {without}, {without / max(1, len(labels)):.1%}"]
    pairs = [passage.windows[:2] for passage in passages if len(passage.windows) > 1]
    if pairs:
        lines.append(f"step between windows (Google's doc_stride): {_range(b[0] - a[0] for a, b in pairs)} tokens; "
                     f"overlap (Hugging Face's stride): {_range(a[1] - b[0] for a, b in pairs)}")
    for meaning, count in (
            ("answers that begin or end inside a token, labelled with the tokens that cover them",
             sum(passage.misaligned for passage in passages)),
            ("answers that no window holds whole", sum(passage.beyond for passage in passages)),
            ("questions that were too long and lost their end", sum(passage.cut > 0 for passage in passages)),
            ("questions whose answer is not known, not trained on", sum(not p.labelled for p in passages))):
        if count:
            lines.append(f"{meaning}: {count}")
    return lines


def _range(values):
    values = sorted(values)
    return f"{values[0]}" if values[0] == values[-1] else f"{values[0]} to {values[-1]}"
