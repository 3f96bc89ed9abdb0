"""The drawings: what is marked is what stands there."""
import re

from numbert import WordPieceTokenizer
from numbert.tasks.squad.answers import AnswerSpan, Reading
from numbert.tasks.squad.data import Example
from numbert.tasks.squad.show import candidates, draw_windows, highlight
from numbert.tasks.squad.windows import make_passages

LETTERS = "bcdefghijklm"
TOKENIZER = WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS])
SPAN = AnswerSpan("e f", 6, 9, 2.0, 0.6)


def passage_of(context, **cutting):
    return make_passages([Example("q", "x", context, (), True)], TOKENIZER, **cutting)[0]


def test_windows_are_drawn():
    passage = passage_of("b c d e f g h i j k", max_length=10, step=3)
    assert draw_windows(passage, SPAN) == (
        "10 tokens, counted from 1, behind a question of 1\n"
        "window 0  tokens    1 to    6  #####-\n"
        "window 1  tokens    4 to    9     --###-\n"
        "window 2  tokens    7 to   10        --##\n"
        "answer                            ^^")


def test_a_long_context_is_drawn_to_scale():
    passage = passage_of(" ".join("bcdefghij" * 20), max_length=64)
    lines = draw_windows(passage, AnswerSpan("j", 178 * 2, 178 * 2 + 1, 1.0, 0.5), width=60).split("\n")
    assert lines[0] == "180 tokens, counted from 1, behind a question of 1; a mark is 3.0 tokens"
    bars = [line[31:] for line in lines[1:-1]]
    assert len(bars) == len(passage.windows) and max(map(len, bars)) == 60
    for column in range(60):                                            # one window scores each token
        assert sum(bar[column:column + 1] == "#" for bar in bars) == 1
    assert lines[-1].rindex("^") == 31 + 59


def test_an_empty_context_is_drawn():
    assert draw_windows(passage_of("")).startswith("0 tokens, counted from 1, behind a question of 1\nwindow 0")


def test_the_answer_is_highlighted():
    assert highlight("b c d e f g", SPAN, colour=False) == "b c d >>e f<< g"
    assert highlight("b c d e f g", SPAN, colour=True) == "b c d \x1b[7me f\x1b[0m g"
    assert highlight("b c d", None, colour=False) == "b c d"
    assert max(map(len, highlight("word " * 50, width=40).split("\n"))) <= 40


def test_candidates_stand_in_their_order():
    reading = Reading([SPAN, AnswerSpan("g", 10, 11, -1.0, 0.1)], 1.0, 0.3, 0.5)
    lines = candidates(reading).split("\n")
    assert [re.search(r"'.*'|\(.*\)", line).group() for line in lines[:3]] == ["'e f'", "(no answer)", "'g'"]
    assert lines[0].split() == ["60.0%", "score", "2.00", "'e", "f'", "at", "6"]
    assert "no answer has 26.9%" in lines[3] and lines[3].endswith("no answer is said above 0.5")
    assert "there is always an answer" in candidates(Reading([SPAN], 1.0, 0.3, None))
    assert len(candidates(reading, count=1).split("\n")) == 3
    long = Reading([AnswerSpan("x" * 99, 0, 99, 1.0, 0.5)], 0.0, 0.1, 0.5)
    assert f"'{'x' * 57}...' at 0" in candidates(long)
