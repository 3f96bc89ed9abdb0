"""Windows: they cover the context, their labels point at the answer, and nothing is lost without being counted."""
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numbert import WordPieceTokenizer
from numbert.tasks.squad.data import Answer, Example
from numbert.tasks.squad.windows import (
    NO_ANSWER,
    UNKNOWN,
    answer_tokens,
    batch_of,
    context_around,
    cut_windows,
    describe,
    make_passages,
    scored_by,
    windows_of,
)

LETTERS = "abcdefghijklmnopqrstuvwxyz"
TOKENIZER = WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *("##" + c for c in LETTERS),
                                ".", ",", "?"])
CUTS = st.tuples(st.integers(0, 60), st.integers(1, 20), st.integers(1, 25))


def passage_of(context, answer=None, question="who ?", **cutting):
    """The Passage of a question whose answer is a piece of text (None: there is none)."""
    answers = () if answer is None else (Answer(answer, context.index(answer)),)
    return make_passages([Example("q", question, context, answers, not answers)], TOKENIZER, **cutting)[0]


# ---- cutting ----


def test_windows_by_hand():
    assert cut_windows(10, 6, 3) == [(0, 6), (3, 9), (6, 10)]           # the drawing in the module's docstring
    assert scored_by(cut_windows(10, 6, 3), 10).tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 2, 2]
    assert cut_windows(6, 6, 1) == [(0, 6)]                             # all of it in one: no second window
    assert cut_windows(7, 6, 6) == [(0, 6), (6, 7)]                     # no overlap
    assert cut_windows(7, 3, 99) == [(0, 3), (3, 6), (6, 7)]            # a step beyond the room would leave tokens out
    assert cut_windows(0, 6, 3) == [(0, 0)]
    with pytest.raises(ValueError, match="room = 0, step = 3"):
        cut_windows(5, 0, 3)


@settings(deadline=None)
@given(CUTS)
def test_every_token_is_in_a_window_and_every_window_is_needed(cut):
    tokens, room, step = cut
    windows = cut_windows(tokens, room, step)
    assert {t for start, stop in windows for t in range(start, stop)} == set(range(tokens))
    assert all(stop - start <= room for start, stop in windows)
    for (a, a_stop), (b, b_stop) in zip(windows, windows[1:], strict=False):
        assert b - a == min(step, room) and b_stop > a_stop             # progress, and always something new


@settings(deadline=None)
@given(CUTS)
def test_every_token_is_scored_by_one_window_the_first_of_those_with_most_context(cut):
    tokens, room, step = cut
    windows = cut_windows(tokens, room, step)
    owner = scored_by(windows, tokens)
    for token in range(tokens):
        best, chosen = None, None                                       # the rule as a plain loop
        for number, (start, stop) in enumerate(windows):
            if start <= token < stop:
                context = min(token - start, stop - 1 - token) + 0.01 * (stop - start)
                if best is None or context > best:
                    best, chosen = context, number
        assert owner[token] == chosen


@settings(deadline=None)
@given(CUTS, st.data())
def test_a_span_has_context_only_where_all_of_it_stands(cut, data):
    tokens, room, step = cut
    first = data.draw(st.integers(0, tokens))
    last = data.draw(st.integers(first, tokens))
    for start, stop in cut_windows(tokens, room, step):
        assert np.isfinite(context_around((start, stop), first, last)) == (start <= first and last < stop)


# ---- labels ----


@settings(deadline=None)
@given(st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=25), st.data())
def test_labels_point_at_the_answer_in_the_models_input(words, data):
    i = data.draw(st.integers(0, len(words) - 1))
    j = data.draw(st.integers(i, len(words) - 1))
    context, start = " ".join(words), len(" ".join(words[:i])) + (i > 0)
    gold = Answer(" ".join(words[i:j + 1]), start)
    example = Example("q", "who ?", context, (gold,), False)
    passage, = make_passages([example], TOKENIZER, max_length=data.draw(st.integers(10, 30)),
                             step=data.draw(st.integers(1, 8)))
    assert not passage.misaligned
    assert passage.text(*passage.answer) == (gold.text, start, start + len(gold.text))
    pairs = windows_of([passage])
    batch = batch_of(pairs, TOKENIZER, labels=True)
    whole = 0
    for row, (_, (begin, stop)) in enumerate(pairs):
        length = batch["attention_mask"][row].sum()
        ids = batch["input_ids"][row, :length].tolist()
        assert TOKENIZER.convert_ids_to_tokens(ids[:7]) == ["[CLS]", "w", "##h", "##o", "?", "[SEP]"] + (
            TOKENIZER.convert_ids_to_tokens(passage.context[begin:begin + 1]) or ["[SEP]"])
        assert batch["token_type_ids"][row, :length].tolist() == [0] * 6 + [1] * (stop - begin + 1)
        first, last = int(batch["start_positions"][row]), int(batch["end_positions"][row])
        if begin <= passage.answer[0] and passage.answer[1] < stop:
            whole += 1
            answer = TOKENIZER.encode_batch([gold.text], add_special_tokens=False)[0]
            assert ids[first:last + 1] == answer
        else:
            assert (first, last) == NO_ANSWER
    assert passage.beyond == (whole == 0)


def test_the_two_answers_of_the_lecture():
    """The document is d_0, d_1, ...; "gravity" is s = e = 17, "within a cloud" is s = 77, e = 79.

    The slide leaves out the middle of the paragraph; words of one letter stand for it here, so many that the second
    answer stands where the slide says.
    """
    head = ("In meteorology, precipitation is any product of the condensation of atmospheric water vapor that falls "
            "under gravity. The main forms of precipitation include drizzle, rain, sleet, snow, graupel and hail... ")
    tail = ("Precipitation forms as smaller droplets coalesce via collision with other rain drops or ice crystals "
            "within a cloud. Short, intense periods of rain in scattered locations are called showers.")
    context = head + "x " * 23 + tail
    words = re.findall(r"\w+|[^\w ]", context.lower())
    tokenizer = WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys(words)])
    for text, s, e in (("gravity", 17, 17), ("within a cloud", 77, 79)):
        example = Example("q", "What causes precipitation to fall?", context,
                          (Answer(text, context.index(text)),), False)
        passage, = make_passages([example], tokenizer)
        assert passage.answer == (s, e) and words[s:e + 1] == text.split()
        assert passage.text(s, e)[0] == text
        column = 1 + 6 + 1                                              # [CLS], the question, [SEP]
        assert passage.label(*passage.windows) == (column + s, column + e)


def test_an_answer_in_a_part_of_a_token_gets_the_tokens_that_cover_it():
    tokenizer = WordPieceTokenizer([*TOKENIZER.tokens, "abcd", "##ef"])
    example = Example("q", "who ?", "x abcdef y", (Answer("bcde", 3),), False)
    passage, = make_passages([example], tokenizer)
    assert passage.answer == (1, 2) and passage.misaligned
    assert passage.text(1, 2) == ("abcdef", 2, 8)
    assert not passage_of("ab cd", "ab cd").misaligned
    spaced, = make_passages([Example("q", "who ?", "ab cd", (Answer(" cd", 2),), False)], TOKENIZER)
    assert not spaced.misaligned                                        # no token stands for a space


def test_answer_tokens():
    offsets = [(0, 3), (3, 4), (5, 8)]
    assert answer_tokens(offsets, 0, 3) == (0, 0)
    assert answer_tokens(offsets, 2, 6) == (0, 2)
    assert answer_tokens(offsets, 4, 5) is None
    assert answer_tokens([], 0, 5) is None


def test_what_is_not_known_is_not_labelled_as_unanswerable():
    context = "ab cd"
    cases = {"lost": (Answer("ef", None),), "blank": (Answer(" ", 2),), "test file": None}
    for name, answers in cases.items():
        passage, = make_passages([Example("q", "who ?", context, answers, False)], TOKENIZER)
        assert not passage.labelled, name
        assert passage.label(passage.windows[0]) == UNKNOWN
    second, = make_passages([Example("q", "who ?", context, (Answer("x", None), Answer("cd", 3)), False)], TOKENIZER)
    assert second.gold == Answer("cd", 3)                               # another annotator's answer is there
    none = passage_of(context)
    assert none.labelled and none.label(none.windows[0]) == NO_ANSWER


# ---- too long ----


def test_a_long_question_loses_its_end_and_is_counted():
    passage = passage_of("ab", "ab", question="a b c d e", max_question_length=3)
    assert passage.cut == 2 and TOKENIZER.convert_ids_to_tokens(passage.question) == ["a", "b", "c"]
    assert "questions that were too long and lost their end: 1" in describe([passage])


def test_a_question_that_leaves_no_room():
    with pytest.raises(ValueError, match="'q': max_length = 8 leaves no room for the context: 5 tokens of"):
        passage_of("ab", "ab", question="a b c d e", max_length=8)
    assert len(passage_of("abc", question="a b c d e", max_length=9).windows) == 3
    with pytest.raises(ValueError, match="step must be at least 1, or the windows never reach the end, got 0"):
        passage_of("ab", step=0)
    with pytest.raises(ValueError, match="max_question_length must be at least 1, got 0"):
        passage_of("ab", max_question_length=0)


def test_an_empty_context_is_one_window_without_tokens():
    passage = passage_of("")
    batch = batch_of(windows_of([passage]), TOKENIZER, labels=True)
    assert TOKENIZER.convert_ids_to_tokens(batch["input_ids"][0]) == ["[CLS]", "w", "##h", "##o", "?", "[SEP]", "[SEP]"]
    assert batch["token_type_ids"][0].tolist() == [0, 0, 0, 0, 0, 0, 1]
    assert batch["start_positions"].tolist() == [0]


def test_the_description_counts_everything():
    passages = [passage_of("a b c d e f g h", "a b c d e f", max_length=12, step=2),    # room 5: no window holds it
                passage_of("a b c d e f g h", "g", max_length=12, step=2),
                passage_of("ab", max_length=12)]
    passages += make_passages([Example("x", "who ?", "ab", (Answer("b", 1), ), False),
                               Example("y", "who ?", "ab", None, False)],
                              WordPieceTokenizer([*TOKENIZER.tokens, "ab"]), max_length=12)
    assert [len(p.windows) for p in passages] == [3, 3, 1, 1, 1]
    assert describe(passages) == [
        "5 questions, 9 windows: 1.80 a question, at most 3",
        "windows without the answer: 5, 62.5%",                         # 3 + 1 + 1 of the 8 that are labelled
        "step between windows (Google's doc_stride): 2 tokens; overlap (Hugging Face's stride): 3",
        "answers that begin or end inside a token, labelled with the tokens that cover them: 1",
        "answers that no window holds whole: 1",
        "questions whose answer is not known, not trained on: 1"]


def test_a_context_is_tokenized_once_for_all_its_questions():
    calls = []

    class Counting(WordPieceTokenizer):
        def __call__(self, text, *rest, **options):
            calls.append(text)
            return super().__call__(text, *rest, **options)

    make_passages([Example(str(i), "who ?", "ab cd", (), True) for i in range(3)], Counting(TOKENIZER.tokens))
    assert calls.count("ab cd") == 1
