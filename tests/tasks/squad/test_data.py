"""Question answering files: the three layouts, answers put right or reported, and what is refused and where."""
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numbert.tasks.squad.data import NEARBY, Answer, Example, find_answer, read

REAL = Path(__file__).parents[4] / "shared" / "data"
CONTEXT = "The cat sat on the mat. The cat slept."


@pytest.fixture
def file(tmp_path):
    def write(document):
        text = document if isinstance(document, str) else json.dumps(document)
        (tmp_path / "f.json").write_text(text, encoding="utf-8")
        return tmp_path / "f.json"
    return write


def squad(*qas, context=CONTEXT):
    return {"version": "x", "data": [{"title": "t", "paragraphs": [{"context": context, "qas": list(qas)}]}]}


def question(identity="q", answers=(("cat", 4),), **more):
    return {"id": identity, "question": "Who?",
            "answers": [{"text": text, "answer_start": start} for text, start in answers]} | more


def test_squad_1_and_2(file):
    questions = read(file(squad(question("a"), question("b", [("cat", 28), ("The cat", 24)]))))
    assert questions.examples == [
        Example("a", "Who?", CONTEXT, (Answer("cat", 4),), False),
        Example("b", "Who?", CONTEXT, (Answer("cat", 28), Answer("The cat", 24)), False)]
    assert questions.moved == questions.lost == []
    v2 = squad(question("c", is_impossible=False), question("d", [], is_impossible=True, plausible_answers=[{}]))
    assert [(e.answers, e.is_impossible) for e in read(file(v2)).examples] == [((Answer("cat", 4),), False), ((), True)]
    unlabelled = {"id": "e", "question": "Who?"}
    assert read(file(squad(unlabelled))).examples == [Example("e", "Who?", CONTEXT, None, False)]


def test_cmrc_list_layout(file):
    document = [{"context_id": "T", "context_text": "猫坐在垫子上。猫睡着了。", "title": "t", "qas": [
        {"query_id": "T_0", "query_text": "谁？", "answers": ["垫子", "猫", "狗"]}]}]
    path = file(document)
    questions = read(path)
    assert questions.examples[0].id == "T_0" and questions.examples[0].question == "谁？"
    assert questions.examples[0].answers == (Answer("垫子", 3), Answer("猫", 0), Answer("狗", None))
    where = f"{path}: [0].qas[0].answers"
    assert questions.moved == [f"{where}[1]: question T_0: '猫' stands 2 times, taken at 0, the first"]
    assert questions.lost == [f"{where}[2]: question T_0: '狗' does not stand in the context"]


def test_misplaced_answers_are_moved_or_lost_and_listed(file):
    path = file(squad(question("q", [("cat", 5), ("cat", 27), ("mat", 900), ("cat", 900), ("dog", 4), ("", 4)])))
    questions = read(path)
    assert [answer.start for answer in questions.examples[0].answers] == [4, 28, 19, None, None, None]
    where = f"{path}: data[0].paragraphs[0].qas[0].answers"
    assert questions.moved == [f"{where}[0]: question q: 'cat' does not stand at 5, found at 4",
                               f"{where}[1]: question q: 'cat' does not stand at 27, found at 28",
                               f"{where}[2]: question q: 'mat' does not stand at 900, found at 19"]
    far = "stands only far from 900, at several places in the context"
    assert questions.lost == [f"{where}[3]: question q: 'cat' {far}",
                              f"{where}[4]: question q: 'dog' does not stand in the context",
                              f"{where}[5]: question q: '' does not stand in the context"]


def test_find_answer_rule():
    assert find_answer("xaxxxax", "a", 3) == 1                              # equally near: the first
    assert find_answer("xaxxxax", "a", 4) == 5
    assert find_answer("aaa", "aa", 1) == 1                                 # occurrences may overlap
    assert find_answer("xa", "a", -1) == 1                                  # -1 is no place from the end
    assert find_answer("a" + "x" * (NEARBY + 1), "a", NEARBY + 1) == 0      # the only one, however far
    assert find_answer("aa" + "x" * NEARBY, "a", NEARBY + 1) == 1
    assert find_answer("aa" + "x" * (NEARBY + 1), "a", NEARBY + 2) is None
    assert find_answer("xaxa", "a") == 1
    assert find_answer("x", "a") is None and find_answer("x", "", 0) is None


@settings(deadline=None, max_examples=100)
@given(st.text("ab ", min_size=1, max_size=60), st.data())
def test_found_answers_stand_where_they_say(context, data):
    text = data.draw(st.text("ab", min_size=1, max_size=2))
    start = data.draw(st.none() | st.integers(-2, 70))
    found = find_answer(context, text, start)
    if found is not None:
        assert context[found:found + len(text)] == text
    if start is not None and start >= 0 and context[start:start + len(text)] == text:
        assert found == start


@pytest.mark.parametrize("document, message", [
    ('{"data": [}', "f.json: not JSON: line 1 column 11: "),
    ('"x"', "f.json: the whole file: expected an object with 'data', got a string"),
    ({}, "f.json: the whole file: no 'data'; it has nothing"),
    ({"data": {}}, "f.json: data: expected a list, got an object"),
    ({"data": [None]}, r"data\[0\]: expected an object with 'paragraphs', got null"),
    ({"data": [{"paragraph": []}]}, r"data\[0\]: no 'paragraphs'; it has paragraph"),
    (squad(question(), context=3), r"data\[0\].paragraphs\[0\].context: expected a string, got a whole number"),
    (squad(question(), {"id": "b"}), r"data\[0\].paragraphs\[0\].qas\[1\]: no 'question'; it has id"),
    (squad(question(7)), r"qas\[0\].id: expected a string, got a whole number"),
    (squad(question() | {"answers": "cat"}), r"qas\[0\].answers: expected a list, got a string"),
    (squad(question() | {"answers": [{"text": "cat"}]}), r"qas\[0\].answers\[0\]: no 'answer_start'; it has text"),
    (squad(question(answers=[("cat", 4.0)])), r"answers\[0\].answer_start: expected a whole number, got a number"),
    (squad(question(answers=[("cat", True)])), r"answers\[0\].answer_start: expected a whole number, got true"),
    (squad(question(answers=[(None, 4)])), r"answers\[0\].text: expected a string, got null"),
    (squad(question(is_impossible="no")), r"is_impossible: expected true or false, got a string"),
    (squad(question(is_impossible=True)), r"qas\[0\]: is_impossible is true beside 1 answers"),
    (squad(question(), question()), r"qas\[1\]: id 'q' is that of data\[0\].paragraphs\[0\].qas\[0\] already"),
    ([{"context_text": "x", "qas": [{"query_id": "a"}]}], r"f.json: \[0\].qas\[0\]: no 'query_text'; it has query_id"),
])
def test_errors_name_the_place(file, document, message):
    with pytest.raises(ValueError, match=message) as error:
        read(file(document))
    assert "\n" not in str(error.value)


@pytest.mark.skipif(not REAL.exists(), reason="no real data here")
def test_real_files():
    squad2 = read(REAL / "squad" / "squad2-8-articles.json")
    assert (len(squad2.examples), sum(e.is_impossible for e in squad2.examples)) == (2805, 1527)
    assert squad2.moved == squad2.lost == []
    cmrc = read(REAL / "zh" / "cmrc2018-trial.json")
    assert (len(cmrc.examples), len(cmrc.moved), len(cmrc.lost)) == (1002, 5, 0)
    assert all(e.context.startswith(a.text, a.start) for e in cmrc.examples for a in e.answers)


# ---- other layouts ----

ROW = {"id": "q", "title": "t", "context": CONTEXT, "question": "Who?",
       "answers": {"text": ["cat", "mat"], "answer_start": [4, 19]}}


@pytest.mark.parametrize("layout", ["list", "data", "lines"])
def test_rows_as_datasets_has_them(file, layout):
    rows = [ROW, ROW | {"id": "none", "answers": {"text": [], "answer_start": []}},
            {name: ROW[name] for name in ("context", "question")} | {"id": "test"}]
    document = {"list": rows, "data": {"version": "1", "data": rows},
                "lines": "\n".join(json.dumps(row) for row in rows) + "\n\n"}[layout]
    found = read(file(document))
    assert [(e.id, e.question, e.context, e.answers) for e in found.examples] == [
        ("q", "Who?", CONTEXT, (Answer("cat", 4), Answer("mat", 19))), ("none", "Who?", CONTEXT, ()),
        ("test", "Who?", CONTEXT, None)]
    assert found.moved == found.lost == []


def test_the_layout_of_the_course(file):
    answer = {"answer_text": "cat", "answer_start": 4, "answer_end": 6}
    entry = {"id": 0, "paragraph_id": 1, "question_text": "Who?"} | answer
    unknown = {"id": 1, "paragraph_id": 0, "question_text": "?"} | dict.fromkeys(answer)
    found = read(file({"questions": [entry, unknown], "paragraphs": ["x", CONTEXT]}))
    assert found.examples == [Example("0", "Who?", CONTEXT, (Answer("cat", 4),), False),
                              Example("1", "?", "x", None, False)]
    found = read(file({"questions": [entry | {"answer_start": 5, "answer_end": 7}], "paragraphs": ["x", CONTEXT]}))
    assert found.examples[0].answers == (Answer("cat", 4),) and len(found.moved) == 1


def test_an_answer_may_be_a_number(file):
    """The development set of CMRC 2018 has such; its own script compares their digits."""
    entry = {"query_id": "a", "query_text": "？", "answers": [4.9, 3]}
    document = [{"context_text": "涨了4.9，共3元。", "qas": [entry]}]
    assert read(file(document)).examples[0].answers == (Answer("4.9", 2), Answer("3", 7))
    assert read(file(squad(question(answers=[(4.9, 8)]), context="it rose 4.9"))).examples[0].answers == (
        Answer("4.9", 8),)


COURSE = {"id": 0, "paragraph_id": 0, "question_text": "?", "answer_text": "x", "answer_start": 0, "answer_end": 0}


@pytest.mark.parametrize("document, message", [
    ([ROW | {"answers": {"text": ["cat"], "answer_start": []}}], r"\[0\].answers: 1 texts, 0 starts"),
    ([ROW | {"answers": {"text": ["cat"], "answer_start": ["4"]}}], r"answers.answer_start\[0\]: expected a whole num"),
    ([ROW | {"answers": {"text": ["cat"]}}], r"\[0\].answers: no 'answer_start'; it has text"),
    ([ROW | {"answers": "cat"}], r"\[0\].answers: expected a list, got a string"),
    ([ROW, {"id": "x"}], r"\[1\]: no 'context_text'; it has id"),
    (json.dumps(ROW) + "\n" + json.dumps(ROW)[:-2] + "}", "row 2, one on each line: not JSON: line 1"),
    (json.dumps(ROW) + "\n[]", "row 2, one on each line: the JSON text must be of type dict, got list"),
    ({"questions": [COURSE | {"paragraph_id": 1}], "paragraphs": ["x"]}, r"\[0\].paragraph_id: 1 is none of 0..0"),
    ({"questions": [COURSE | {"paragraph_id": -1}], "paragraphs": ["x"]}, "-1 is none of 0..0, the paragraphs"),
    ({"questions": [COURSE | {"answer_end": 3}], "paragraphs": ["xyza"]}, "0 and answer_end 3 are 4 characters, the "),
    ({"questions": [COURSE | {"answer_end": None}], "paragraphs": ["x"]}, "answer_end: expected a whole number, got "),
    ({"questions": [COURSE], "paragraphs": [None]}, r"paragraphs\[0\]: expected a string, got null"),
    ('{"data": [], "data": []}', "not JSON: key 'data' comes twice"),
    ('{"data": ' + "[" * 100_000 + "]" * 100_000 + "}", "JSON nested too deeply"),
    ('{"data": ' + "9" * 5000 + "}", "an integer of 5000 digits"),
    (r'[{"context_text": "\ud800", "qas": []}]', r"half of a surrogate pair, '\\ud800', is no text"),
    ("", "f.json: the file is empty"),
])
def test_errors_of_the_other_layouts(file, document, message):
    with pytest.raises(ValueError, match=message) as error:
        read(file(document))
    assert "\n" not in str(error.value)
