"""Extractive question answering drawn in plain text: the windows, the answer in its context, the candidates."""
import sys
import textwrap

from .squad_windows import answer_tokens, scored_by


def draw_windows(passage, span=None, width=72):
    """How the context is cut, a line for each window: '#' where it scores a token, '-' where it holds one that another
    window scores, with more context (`squad_windows.scored_by`); below, '^' under a `Span`. If they fit, a mark is
    a token.
    """
    tokens = len(passage.context)
    columns = [tokens * column // min(width, tokens) for column in range(min(width, tokens))]
    scored = scored_by(passage.windows, tokens)
    lines = [f"{tokens} tokens, behind a question of {len(passage.question)}"
             + ("" if len(columns) == tokens else f"; a mark is {tokens / width:.1f} tokens")]
    for number, (start, stop) in enumerate(passage.windows):
        bar = "".join(" " if not start <= token < stop else "#" if scored[token] == number else "-"
                      for token in columns)
        lines.append(f"window {number:<2} tokens {start:>4} to {stop - 1:>4}  {bar.rstrip()}")
    if span and (found := answer_tokens(passage.offsets, span.start, span.end)):
        marked = {max((column for column, token in enumerate(columns) if token <= place), default=0)
                  for place in range(found[0], found[1] + 1)}
        bar = "".join("^" if column in marked else " " for column in range(len(columns)))
        lines.append(f"{'answer':<31}" + bar.rstrip())
    return "\n".join(lines)


def highlight(context, span=None, width=100, colour=None):
    """The context, wrapped, with the `Span` in reversed colours, or between >> and << where there are no colours.

    colour: None for what the terminal can do.
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
