"""Extractive question answering drawn in plain text: the scores of the two vectors, the windows, the answer in its
context, the candidates. The tokens of a context are counted from one here, as in the lecture: d1, d2, ...
"""
import sys
import textwrap

import numpy as np

from ...recording import no_grad
from .windows import answer_tokens, batch_of, scored_by


def two_vectors(model, tokenizer, passage, window, reading):
    """The lecture's picture in numbers: the tokens of a window, their dot products with the start and the end vector
    (and the bias), a softmax of either over the window, where the two are highest ('*'), and the span that is chosen.

    model: for question answering, such as `BertForQuestionAnswering`. reading: the `Reading` of the whole passage.
    """
    batch, (first, stop) = batch_of([(passage, window)], tokenizer), window
    with no_grad():
        h = model.body.encode(model.body.pack(**batch)).data            # (T, D): one text, without padding
    scores = h @ model.qa_outputs.weight.data.T + model.qa_outputs.bias.data            # (T, 2)
    document = scores[passage.column:passage.column + stop - first]
    probs = np.exp(document - document.max(0, initial=-np.inf))
    probs /= probs.sum(0)
    highest = document.argmax(0) if len(document) else ()

    none, = batch["input_ids"][0, :1]
    lines = [f"{'':5}{'S·h':>8}{'softmax':>9}{'E·h':>10}{'softmax':>9}    token",
             f"{'':5}{scores[0, 0]:>+8.2f}{'':9}{scores[0, 1]:>+10.2f}{'':9}    {tokenizer.tokens[none]}: no answer"]
    for i, token in enumerate(passage.context[first:stop]):
        start, end = (f"{document[i, k]:>+8.2f}{probs[i, k]:>9.1%}{'*' if i == highest[k] else ' '}" for k in (0, 1))
        lines.append(f"{f'd{first + i + 1}':5}{start} {end}   {tokenizer.tokens[token]}")
    if len(document):
        lines.append("\nThe two maxima: d{} starts, d{} ends.".format(*first + 1 + highest))
    if reading.answers:
        best = reading.answers[0]
        i, j = answer_tokens(passage.offsets, best.start, best.end)
        lines.append(f"The best pair i <= j of all windows: d{i + 1} to d{j + 1}, {best.text!r}, S·h + E·h = "
                     f"{best.score:+.2f}; at [CLS] it is {reading.null_score:+.2f}.")
    lines.append(f"The answer: {reading.text!r}." if reading.text else "The answer: there is none.")
    return "\n".join(lines)


def draw_windows(passage, span=None, width=72):
    """How the context is cut, a line for each window: '#' where it scores a token, '-' where it holds one that another
    window scores, with more context (`windows.scored_by`); below, '^' under a `Span`. If they fit, a mark is
    a token.
    """
    tokens = len(passage.context)
    columns = [tokens * column // min(width, tokens) for column in range(min(width, tokens))]
    scored = scored_by(passage.windows, tokens)
    lines = [f"{tokens} tokens, counted from 1, behind a question of {len(passage.question)}"
             + ("" if len(columns) == tokens else f"; a mark is {tokens / width:.1f} tokens")]
    for number, (start, stop) in enumerate(passage.windows):
        bar = "".join(" " if not start <= token < stop else "#" if scored[token] == number else "-"
                      for token in columns)
        lines.append(f"window {number:<2} tokens {start + 1:>4} to {stop:>4}  {bar.rstrip()}")
    if span and (found := answer_tokens(passage.offsets, span.start, span.end)):
        marked = {max((column for column, token in enumerate(columns) if token <= place), default=0)
                  for place in range(found[0], found[1] + 1)}
        bar = "".join("^" if column in marked else " " for column in range(len(columns)))
        lines.append(f"{'answer':<31}" + bar.rstrip())
    return "\n".join(lines)


def highlight(context, span=None, width=100, colour=None):
    """The context, wrapped, with the `Span` in reversed colours, or between >> and << where there are no colours.

    colour: None: as the terminal allows.
    """
    colour = sys.stdout.isatty() if colour is None else colour
    before, after = ("\x1b[7m", "\x1b[0m") if colour else (">>", "<<")
    if span:
        context = context[:span.start] + before + context[span.start:span.end] + after + context[span.end:]
    return textwrap.fill(context, width, break_on_hyphens=False)


def candidates(reading, count=5):
    """The best spans and "no answer" in their order, as a table of probability, score and text."""
    rows = [(span.score, span.probability, f"{_short(span.text)!r} at {span.start}")
            for span in reading.answers[:count]]
    rows.append((reading.null_score, reading.null_probability, "(no answer)"))
    rows.sort(key=lambda row: -row[0])
    lines = [f"  {probability:>6.1%}  score {score:>6.2f}  {text}" for score, probability, text in rows]
    rule = ("a threshold is not set: there is always an answer" if reading.threshold is None else
            f"no answer is said above {reading.threshold:.3g}")
    return "\n".join([*lines, f"  of no answer and the best span, no answer has {reading.no_answer:.1%}; {rule}"])


def _short(text, limit=60):
    return text if len(text) <= limit else text[:limit - 3] + "..."
