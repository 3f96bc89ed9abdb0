"""Scores of answers: by hand, against values recorded from the official algorithm, incomplete and malformed input."""
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numbert.tasks.squad.data import Answer, Example, read
from numbert.tasks.squad.metrics import (
    cmrc_exact_match,
    cmrc_f1,
    cmrc_units,
    evaluate,
    evaluate_cmrc,
    exact_match,
    main,
    normalize_answer,
    sweep_thresholds,
    word_f1,
)

REAL = Path(__file__).parents[4] / "shared" / "data" / "squad" / "squad2-8-articles.json"


def example(identity, *answers):
    return Example(identity, "?", " ".join(answers), tuple(Answer(text, None) for text in answers), not answers)


EXAMPLES = [example("a", "the Normans", "Normans of Normandy"), example("b", "10th century"), example("c", "The", "an"),
            example("d"), example("e"), example("f", "a", "Rollo!")]
PREDICTIONS = {"a": "Normans in Normandy", "b": "10th century", "c": "the", "d": "", "e": "Rollo", "f": "rollo",
               "of no question": "x"}
NA_PROBS = {"f": 0.2, "e": 0.5, "d": 0.9, "c": 0.5, "b": 0.7, "a": 0.1}


def test_normalize_by_hand():
    assert normalize_answer(" The  U.S. -- an Army, a team") == "us army team"
    assert normalize_answer("Theatre of a\u00a0the") == "theatre of"
    assert normalize_answer("The.") == "" and normalize_answer("L'été—«ici»") == "lété—«ici»"
    assert exact_match("the Cat!", "cat") == 1 and exact_match("cat", "cats") == 0


def test_word_f1_by_hand():
    # 2 words in common ("of" once, "b" once), 4 predicted, 3 in the gold answer
    assert word_f1("of b c", "of of b d") == pytest.approx(2 * 2 / (4 + 3))
    assert word_f1("a cat", "the cat") == 1
    assert (word_f1("the", ""), word_f1("the", "cat"), word_f1("cat", "the"), word_f1("cat", "dog")) == (1, 0, 0, 0)


def test_evaluate_by_hand():
    # a: F1 max of 2*1/(3+1) and 2*2/(3+3); c: articles alone, so only what normalises to nothing is right; f: "Rollo!"
    f1 = {"a": 2 / 3, "b": 1, "c": 1, "d": 1, "e": 0, "f": 1}
    assert evaluate(EXAMPLES, PREDICTIONS) == pytest.approx({
        "exact": 400 / 6, "f1": 100 * sum(f1.values()) / 6, "total": 6,
        "HasAns_exact": 75, "HasAns_f1": 100 * (3 + 2 / 3) / 4, "HasAns_total": 4,
        "NoAns_exact": 50, "NoAns_f1": 50, "NoAns_total": 2})


def test_thresholds_by_hand():
    result = evaluate(EXAMPLES, PREDICTIONS, NA_PROBS, na_prob_thresh=0.4)
    assert list(result) == ["exact", "f1", "total", "HasAns_exact", "HasAns_f1", "HasAns_total", "NoAns_exact",
                            "NoAns_f1", "NoAns_total", "best_exact", "best_exact_thresh", "best_f1", "best_f1_thresh"]
    # above 0.4: b, c, d, e are withheld
    assert (result["HasAns_exact"], result["NoAns_exact"]) == (25, 100)
    # from 2 (d, e): a +0, f +1, e -1, c +1, b +1, d +0
    assert (result["best_exact"], result["best_exact_thresh"]) == (pytest.approx(100 * 4 / 6), 0.7)
    assert (result["best_f1"], result["best_f1_thresh"]) == (pytest.approx(100 * (4 + 2 / 3) / 6), 0.7)
    # equal to the threshold is not above it
    assert evaluate(EXAMPLES, PREDICTIONS, NA_PROBS, na_prob_thresh=0.5)["HasAns_exact"] == 50
    # without na_probs every question has 0, as in the official script
    assert evaluate(EXAMPLES, PREDICTIONS, na_prob_thresh=-1.0)["exact"] == pytest.approx(100 * 2 / 6)
    # nothing beats "no answer" everywhere: threshold 0
    assert sweep_thresholds({"d": 0}, {"d": "x"}, {"d": -3.0}, {"d": False}) == (1, 0.0)
    # ties keep the order of na_probs, and the sum between them counts
    scores, has = {"x": 1, "y": 0}, {"x": True, "y": False}
    assert sweep_thresholds(scores, {"x": "x", "y": "y"}, {"x": 0.5, "y": 0.5}, has) == (2, 0.5)
    assert sweep_thresholds(scores, {"x": "x", "y": "y"}, {"y": 0.5, "x": 0.5}, has) == (1, 0.0)


def test_only_one_kind_of_question():
    assert list(evaluate(EXAMPLES[:1], PREDICTIONS)) == ["exact", "f1", "total", "HasAns_exact", "HasAns_f1",
                                                         "HasAns_total"]
    assert list(evaluate(EXAMPLES[3:4], PREDICTIONS))[3:] == ["NoAns_exact", "NoAns_f1", "NoAns_total"]


def test_missing_predictions_are_counted_and_wrong():
    result = evaluate(EXAMPLES, {"b": "10th century"}, {"a": 0.1, "b": 0.5, "of no question": 0.2}, na_prob_thresh=-1.0)
    assert result["missing"] == 5 and result["exact"] == result["f1"] == result["NoAns_exact"] == 0
    assert result["total"] == 6 and result["best_exact"] == pytest.approx(100 / 6)
    assert evaluate(EXAMPLES, {"b": "10th century"})["exact"] == pytest.approx(100 / 6)


WORDS = st.lists(st.sampled_from(["the", "a", "cat", "Cat.", "dog", "!", "theatre"]), max_size=4).map(" ".join)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.lists(WORDS, max_size=3), WORDS, st.integers(0, 3)), min_size=1, max_size=8),
       st.sampled_from([-1.0, 1.0, 2.0, 5.0]))
def test_what_must_hold_of_any_scores(rows, threshold):
    examples = [example(str(i), *answers) for i, (answers, _, _) in enumerate(rows)]
    predictions = {str(i): prediction for i, (_, prediction, _) in enumerate(rows)}
    na_probs = {str(i): probability for i, (_, _, probability) in enumerate(rows)}
    result = evaluate(examples, predictions, na_probs, threshold)
    parts = [(result.get(f"{p}_total", 0), result.get(f"{p}_exact", 0), result.get(f"{p}_f1", 0))
             for p in ("HasAns", "NoAns")]
    assert result["total"] == sum(total for total, _, _ in parts) == len(rows)
    assert result["exact"] == pytest.approx(sum(total * exact for total, exact, _ in parts) / len(rows))
    assert result["f1"] == pytest.approx(sum(total * f1 for total, _, f1 in parts) / len(rows))
    assert 0 <= result["exact"] <= result["f1"] <= 100 + 1e-9
    withheld = evaluate(examples, {i: "" if na_probs[i] > threshold else text for i, text in predictions.items()})
    if all(not answers or any(normalize_answer(a) for a in answers) for answers, _, _ in rows):
        assert withheld["f1"] == pytest.approx(result["f1"])


# Recorded from a literal transliteration of the official script's algorithm on the predictions built below.
RECORDED = {
    "exact": 59.25133689839572, "f1": 62.98326047807929, "total": 2805, "HasAns_exact": 10.641627543035995,
    "HasAns_f1": 18.832586573562118, "HasAns_total": 1278, "NoAns_exact": 99.93451211525868,
    "NoAns_f1": 99.93451211525868, "NoAns_total": 1527, "best_exact": 59.25133689839572, "best_exact_thresh": 0.49,
    "best_f1": 62.959493395488806, "best_f1_thresh": 0.5,
}


@pytest.mark.skipif(not REAL.exists(), reason="no real data here")
def test_recorded_from_the_official_algorithm():
    examples = read(REAL).examples
    predictions, na_probs = predictions_for(examples)
    assert evaluate(examples, predictions, na_probs, 0.5) == RECORDED


def predictions_for(examples):
    """Spans of the context, gold answers, gold answers with a word too many, and none, in turn."""
    rng = np.random.default_rng(0)
    predictions, na_probs = {}, {}
    for number, e in enumerate(examples):
        words = e.context.split()
        at = int(rng.integers(len(words)))
        span = " ".join(words[at:at + 3])
        gold = e.answers[-1].text if e.answers else ""
        predictions[e.id] = ("", span, gold, f"{gold} {words[at]}", "the")[number % 5]
        na_probs[e.id] = round(float(rng.random()) + (0.0 if e.answers else 0.5), 2)
    return predictions, na_probs


def test_cmrc_units():
    assert cmrc_units("基于《BERT-Base》的Model 3.5版本，约1,000个。") == [
        "基", "于", "bertbase", "的", "model", "3.5", "版", "本", "约", "1,000", "个"]
    assert cmrc_units("U.S. (army), 50% it.") == ["u.s.", "(", "army", ")", ",", "50", "%", "it", "."]
    assert cmrc_units("，。") == []


def test_cmrc_by_hand():
    assert cmrc_f1("猫坐在垫子上", "坐在垫子上了") == pytest.approx(2 * 5 / (6 + 6))
    assert cmrc_f1("猫坐在垫子上", "猫在垫子上") == pytest.approx(2 * 4 / (6 + 5))     # a run, not a subsequence
    assert cmrc_f1("猫", "狗") == cmrc_f1("，", "，") == cmrc_f1("猫", "") == 0.0
    assert cmrc_exact_match("《猫》", " 猫") == 1 and cmrc_exact_match("猫", "猫儿") == 0
    examples = [example("a", "猫坐", "猫"), example("b", "狗"), example("c", "鱼")]
    assert evaluate_cmrc(examples, {"a": "猫", "b": "狗狗"}) == pytest.approx({
        "AVERAGE": (100 / 3 + 100 * (1 + 2 / 3) / 3) / 2, "F1": 100 * (1 + 2 / 3) / 3, "EM": 100 / 3, "TOTAL": 3,
        "SKIP": 1})


@settings(deadline=None, max_examples=100)
@given(st.text("猫狗鱼", max_size=7), st.text("猫狗鱼", max_size=7))
def test_cmrc_f1_is_that_of_the_longest_common_substring(gold, prediction):
    longest = max(len(gold[i:j]) for i in range(len(gold) + 1) for j in range(i, len(gold) + 1)
                  if gold[i:j] in prediction)
    expected = 2 * longest / (len(gold) + len(prediction)) if longest else 0.0
    assert cmrc_f1(gold, prediction) == pytest.approx(expected)


@pytest.mark.parametrize("call, message", [
    (lambda: evaluate([], {}), "no questions to evaluate"),
    (lambda: evaluate([Example("a", "", "", None, False)], {}), "question 'a' has no entry for answers"),
    (lambda: evaluate(EXAMPLES, {"a": None}), "the prediction for 'a' must be a string, got None"),
    (lambda: evaluate(EXAMPLES, PREDICTIONS, {"a": 0.1}), "na_probs lacks 5 of 6 questions, the first 'b'"),
    (lambda: evaluate(EXAMPLES, {"a": ""}, {"a": math.nan}), "na_probs of 'a' must be a number, got nan"),
    (lambda: evaluate(EXAMPLES, {"a": ""}, {"a": "0"}), "na_probs of 'a' must be a number, got '0'"),
    (lambda: evaluate_cmrc(EXAMPLES, {}), "2 questions have no gold answer, the first 'd'"),
])
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.fixture
def files(tmp_path):
    qas = [{"id": e.id, "question": "?", "answers": [{"text": a.text, "answer_start": 0} for a in e.answers]}
           for e in EXAMPLES]
    for name, content in (("data", {"data": [{"paragraphs": [{"context": "c", "qas": qas}]}]}), ("list", []),
                          ("predictions", PREDICTIONS), ("na", NA_PROBS), ("some", {"a": "the Normans"})):
        (tmp_path / name).write_text(json.dumps(content))
    (tmp_path / "broken").write_text('{\n"a"')
    return tmp_path


def test_command(files, capsys):
    main([f"{files}/data", f"{files}/predictions"])
    out, err = capsys.readouterr()
    assert json.loads(out) == evaluate(EXAMPLES, PREDICTIONS) and err == ""
    arguments = [f"{files}/data", f"{files}/predictions", "-n", f"{files}/na", "-t", "0.4", "-o", f"{files}/out"]
    main(arguments)
    assert capsys.readouterr().out == ""
    assert json.loads((files / "out").read_text()) == evaluate(EXAMPLES, PREDICTIONS, NA_PROBS, 0.4)
    main([f"{files}/data", f"{files}/some"])
    out, err = capsys.readouterr()
    assert json.loads(out)["missing"] == 5
    assert err == f"{files}/some: no prediction for 5 of 6 questions, scored as wrong: b, c, d, e, f\n"


@pytest.mark.parametrize("arguments, message", [
    (("data", "broken"), "broken: not JSON: line 2 column 4: "),
    (("data", "list"), "list: the JSON text must be of type dict, got list"),
    (("predictions", "predictions"), "predictions: the whole file: no 'data'; it has a, b, c"),
    (("data", "nowhere"), "nowhere: there is no such file"),
    (("data", "predictions", "--cmrc"), "2 questions have no gold answer"),
    (("data", "predictions", "--cmrc", "-n", "na"), "--na-prob-file is SQuAD's"),
    (("data", "predictions", "-n", "some"), "na_probs lacks 5 of 6"),
])
def test_command_errors_are_one_line(files, capsys, arguments, message):
    with pytest.raises(SystemExit) as ended:
        main([a if a.startswith("-") else f"{files}/{a}" for a in arguments])
    said = ended.value.code
    assert capsys.readouterr().out == "" and said.startswith("squad --evaluate: ") and message in said
    assert "\n" not in said
