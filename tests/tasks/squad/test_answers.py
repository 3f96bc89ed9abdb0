"""From scores to answers: the best spans, "no answer", the threshold, and the oracle that loses nothing."""
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numbert import WordPieceTokenizer
from numbert.tasks.squad.answers import (
    AnswerSpan,
    Reading,
    best_threshold,
    no_answer_probabilities,
    oracle,
    predictions,
    read_answers,
    with_threshold,
)
from numbert.tasks.squad.data import Answer, Example, read
from numbert.tasks.squad.metrics import evaluate, evaluate_cmrc
from numbert.tasks.squad.windows import make_passages
from numbert.toyworld import qa_examples

REAL = Path(__file__).parents[4] / "shared" / "data"
LETTERS = "abcdefghijklmnopqrstuvwxyz"
TOKENIZER = WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *("##" + c for c in LETTERS)])


def passage_of(context, answers=(), identity="q", **cutting):
    example = Example(identity, "w", context, answers, not answers)
    return make_passages([example], TOKENIZER, **cutting)[0]


def scores_of(passage, rng):
    return [rng.normal(size=(2, passage.column + stop - start + 1)) for start, stop in passage.windows]


def test_one_window_by_hand():
    passage = passage_of("a b c")                                       # columns [CLS] w [SEP] a b c [SEP]
    start = np.array([1.0, 9, 9, 0, 2, 1, 9])                           # the 9s are no places for an answer
    end = np.array([0.5, 9, 9, 3, 0, 1, 9])
    reading = read_answers(passage, [(start, end)], n_best=2)
    z = sum(math.exp(x) for x in (3, 0, 1, 2, 3, 2)) + math.exp(1.5)    # a, a b, a b c, b, b c, c; no answer
    assert reading.answers == [AnswerSpan("a", 0, 1, 3.0, pytest.approx(math.exp(3) / z)),
                               AnswerSpan("b c", 2, 5, 3.0, pytest.approx(math.exp(3) / z))]
    assert reading.null_score == 1.5 and reading.null_probability == pytest.approx(math.exp(1.5) / z)
    assert reading.no_answer == pytest.approx(1 / (1 + math.exp(3 - 1.5)))
    assert reading.text == "a"
    assert with_threshold([reading], 0.1)[0].text == ""
    assert with_threshold([reading], None)[0].text == "a"
    short = read_answers(passage, [(start, end)], max_answer_length=1)
    assert [span.text for span in short.answers] == ["a", "b", "c"]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 25), st.integers(5, 15), st.integers(1, 8),
       st.one_of(st.none(), st.integers(1, 30)))
def test_against_plain_loops(seed, tokens, max_length, step, max_answer_length):
    rng = np.random.default_rng(seed)
    passage = passage_of(" ".join(rng.choice(list("abc"), tokens)), max_length=max_length, step=step)
    scores = scores_of(passage, rng)
    spans = {}                                                          # (first, last) -> (context, score)
    for (start, stop), (s, e) in zip(passage.windows, scores, strict=True):
        for i in range(start, stop):
            for j in range(i, stop):
                context = min(i - start, stop - 1 - j) + 0.01 * (stop - start)
                if (max_answer_length is None or j - i < max_answer_length) and (
                        (i, j) not in spans or context > spans[i, j][0]):
                    spans[i, j] = context, s[passage.column + i - start] + e[passage.column + j - start]
    null = min(s[0] + e[0] for s, e in scores)
    z = sum(math.exp(score) for _, score in spans.values()) + math.exp(null)
    texts = {}
    for (i, j), (_, score) in spans.items():
        text = passage.text(i, j)[0]
        texts[text] = max(score, texts.get(text, -math.inf))
    reading = read_answers(passage, scores, n_best=7, max_answer_length=max_answer_length)
    expected = sorted(texts.values(), reverse=True)[:7]
    assert np.allclose([span.score for span in reading.answers], expected, rtol=1e-12)
    for span in reading.answers:
        assert passage.example.context[span.start:span.end] == span.text
        assert span.score == pytest.approx(texts[span.text], rel=1e-12)
        assert span.probability == pytest.approx(math.exp(span.score) / z)
    assert reading.null_score == pytest.approx(null) and reading.null_probability == pytest.approx(math.exp(null) / z)


def test_no_text_twice_and_the_best_place_of_it():
    passage = passage_of("a b a")
    start, end = np.zeros((2, 7))
    start[5] = end[5] = 4                                               # the second a
    reading = read_answers(passage, [(start, end)], n_best=3)
    assert reading.answers[0][:3] == ("a", 4, 5)
    assert len({span.text for span in reading.answers}) == len(reading.answers) == 3


def test_one_window_with_an_answer_is_enough():
    passage = passage_of("a b c d", max_length=5, step=2)               # room 1 after [CLS] w [SEP] [SEP]
    assert passage.windows == [(0, 1), (1, 2), (2, 3), (3, 4)]
    scores = [np.zeros((2, 5)) for _ in passage.windows]
    for window in (0, 1, 3):
        scores[window][:, 0] = 5
    scores[2][:, 3] = 4
    reading = read_answers(passage, scores)
    assert (reading.text, reading.null_score) == ("c", 0.0)             # the lowest of the windows' null scores


def test_an_empty_context_and_huge_scores():
    empty = read_answers(passage_of(""), [np.zeros((2, 4))])
    assert empty == Reading([], 0.0, 1.0, 0.5) and empty.text == "" and empty.no_answer == 1.0
    assert with_threshold([empty], None)[0].text == ""
    start = end = np.array([0, 0, 0, 4e4, 0], np.float32)
    reading = read_answers(passage_of("a"), [(start, end)])
    assert reading.answers[0].probability == 1.0 and reading.no_answer == 0.0
    reading = read_answers(passage_of("a"), [(-start, -end)])
    assert reading.no_answer == 1.0 and reading.text == ""
    with pytest.raises(ValueError, match="question 'q': the model's scores are not finite"):
        read_answers(passage_of("a"), [np.full((2, 5), np.nan)])
    for wrong in ({"n_best": 0}, {"max_answer_length": 0}):
        with pytest.raises(ValueError, match="must be at least 1"):
            read_answers(passage_of("a"), [(start, end)], **wrong)


# ---- the threshold ----


def reading_of(text, score, null, threshold=0.5):
    return Reading([AnswerSpan(text, 0, len(text), score, 0.5)], null, 0.1, threshold)


def test_the_best_threshold_by_hand():
    passages = [passage_of("x", (Answer("x", 0),), "1"), passage_of("x", (), "2"),
                passage_of("x", (Answer("x", 0),), "3"), passage_of("x", (), "4")]
    readings = [reading_of("x", 3, 0), reading_of("x", 2, 0), reading_of("x", 1, 0), reading_of("x", 0, 3)]
    threshold = best_threshold(passages, readings)                      # let 1 through, or 1, 2 and 3: 3 are right
    assert threshold == readings[0].no_answer == pytest.approx(1 / (1 + math.exp(3)))
    decided = with_threshold(readings, threshold)
    assert predictions(passages, decided) == {"1": "x", "2": "", "3": "", "4": ""}
    assert no_answer_probabilities(passages, decided)["4"] == pytest.approx(1 / (1 + math.exp(-3)))
    assert best_threshold(passages[:1] + passages[2:3], readings[:2]) is None


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from("xy"), st.integers(-9, 9), st.floats(-0.4, 0.4)), min_size=1,
                max_size=12))
def test_no_threshold_is_better(drawn):
    passages = [passage_of("x y", (Answer("x", 0),) if has else (), str(i)) for i, (has, *_) in enumerate(drawn)]
    readings = [reading_of(text, whole + part, 0.0) for _, text, whole, part in drawn]
    found = best_threshold(passages, readings)
    examples = [passage.example for passage in passages]

    def f1(threshold):
        return evaluate(examples, predictions(passages, with_threshold(readings, threshold)))["f1"]

    if all(has for has, *_ in drawn):
        assert found is None
    elif len({reading.no_answer for reading in readings}) == len(readings):      # ties flatter: see squad_metrics
        assert f1(found) == max(f1(t) for t in [0.0] + [reading.no_answer for reading in readings])


# ---- the oracle ----


def check_oracle(examples, passages, cmrc=False):
    """Everything must come back but for what is counted. Returns the Oracle."""
    found = oracle(passages)
    counted = {*found.unknown, *found.misaligned, *found.beyond}
    left = [example for example in examples if example.id not in counted]
    if cmrc:
        assert evaluate_cmrc(left, found.predictions)["AVERAGE"] == 100
    else:
        figures = evaluate(left, found.predictions)
        assert figures["exact"] == figures["f1"] == 100
    for identity in found.beyond:
        assert found.predictions[identity] == ""
    return found


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text("bcd", min_size=1, max_size=4), min_size=1, max_size=25), st.data())
def test_gold_answers_come_back_from_generated_text(words, data):
    context, examples = " ".join(words), []
    for number in range(3):
        start = data.draw(st.integers(0, len(context) - 1))
        end = data.draw(st.integers(start + 1, len(context)))
        examples.append(Example(f"{number}", "w", context, (Answer(context[start:end], start),), False))
    examples.append(Example("none", "w", context, (), True))
    passages = make_passages(examples, TOKENIZER, max_length=data.draw(st.integers(5, 30)),
                             step=data.draw(st.integers(1, 10)))
    found = check_oracle(examples, passages)
    assert found.misaligned == []                                       # with a token for each letter, none can be
    for passage in passages[:3]:
        stripped = passage.example.answers[0].text.strip()
        assert (passage.example.id in found.unknown) == (not stripped)
        if not passage.beyond and stripped:
            assert found.predictions[passage.example.id] == stripped


@pytest.mark.parametrize("language", ("en", "zh"))
@pytest.mark.parametrize("max_length", (128, 40, 24))
def test_gold_answers_come_back_from_the_toy_world(language, max_length):
    drawn = qa_examples(60, np.random.default_rng(0), language)
    examples = [Example(one["id"], one["question"], one["context"],
                        tuple(Answer(gold["text"], gold["answer_start"]) for gold in one["answers"]),
                        one["is_impossible"]) for one in drawn]
    words = {word for e in examples for text in (e.question, e.context) for word in TOKENIZER.normaliser.words(text)}
    tokenizer = WordPieceTokenizer([*TOKENIZER.tokens[:5], *sorted(words)])
    passages = make_passages(examples, tokenizer, max_length=max_length)
    found = check_oracle(examples, passages, cmrc=False)
    assert (found.unknown, found.misaligned, found.beyond) == ([], [], [])
    assert max_length == 128 or max(len(passage.windows) for passage in passages) > 1


def test_an_answer_whose_first_token_is_better_placed_elsewhere_comes_back():
    passage = passage_of("a b c d e f g h i j", (Answer("f g h i", 10),), max_length=12, step=4)
    assert passage.windows == [(0, 8), (4, 10)]
    assert oracle([passage]).predictions == {"q": "f g h i"}
    assert passage.answer == (5, 8)                                     # f has most context in the second window anyway
    passage = passage_of("a b c d e f g h i j", (Answer("e f g h i", 8),), max_length=12, step=4)
    assert oracle([passage]).predictions == {"q": "e f g h i"}          # e in the first, which ends before i


@pytest.mark.skipif(not (REAL / "squad").exists(), reason="needs the shared data")
@pytest.mark.parametrize("max_length", (384, 128))
def test_gold_answers_come_back_from_squad(max_length):
    questions = read(REAL / "squad" / "squad2-8-articles.json")
    examples = questions.examples[::8]
    texts = {text for example in examples for text in (example.context, example.question)}
    tokenizer = WordPieceTokenizer.train(sorted(texts), vocab_size=2000)
    found = check_oracle(examples, make_passages(examples, tokenizer, max_length=max_length))
    assert (questions.lost, found.unknown, found.misaligned, found.beyond) == ([], [], [], [])


@pytest.mark.skipif(not (REAL / "zh").exists(), reason="needs the shared data")
def test_gold_answers_come_back_from_cmrc():
    vocabulary = (REAL / "zh" / "bert-base-chinese-vocab.txt").read_text(encoding="utf-8").split("\n")
    questions = read(REAL / "zh" / "cmrc2018-trial.json")
    passages = make_passages(questions.examples, WordPieceTokenizer(vocabulary), max_length=384)
    found = check_oracle(questions.examples, passages, cmrc=True)
    assert (len(questions.moved), len(questions.lost), len(found.unknown)) == (5, 0, 0)
    assert (len(found.misaligned), len(found.beyond)) == (1, 3)
