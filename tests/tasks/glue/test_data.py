"""GLUE's files: every task's own layouts, the ones that differ, scores, the average, and what is handed in."""
import math
from pathlib import Path

import numpy as np
import pytest

from numbert.tasks.glue import data as glue_data
from numbert.tasks.glue.data import TASKS, GlueExample, average, evaluate, read, submission, write_submission

REAL = Path(__file__).parents[4] / "shared" / "data" / "glue"

MNLI_TEXT = "i\tp\tq\tfiction\t(a)\t(b)\t(A)\t(B)\tOne.\tTwo.\t"
MNLI_HEADER = ("index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\t"
               "sentence2_parse\tsentence1\tsentence2")
STSB_HEADER = "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2"
# task, a labelled file, its examples, a file without labels, its examples: the layouts of GLUE's own files
LAYOUTS = [
    ("CoLA", 'gj04\t1\t\tOne "quoted.\ngj04\t0\t*\tTwo.\n', [('One "quoted.', None, 1, 0), ("Two.", None, 0, 1)],
     "index\tsentence\n0\tOne.\n", [("One.", None, -1, 0)]),
    ("SST-2", "sentence\tlabel\none \t0\ntwo\t1\n", [("one ", None, 0, 0), ("two", None, 1, 1)],
     "index\tsentence\n7\tone\n", [("one", None, -1, 7)]),
    ("MRPC", '\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n1\t10\t20\t"One\tTwo"\r\n', [('"One', 'Two"', 1, 0)],
     "\ufeffindex\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t1\t2\tOne\tTwo\n", [("One", "Two", -1, 0)]),
    ("STS-B", f"{STSB_HEADER}\tscore\n0\tg\tf\t2012\t1\ts\tt\tOne\tTwo\t3.800\n", [("One", "Two", 3.8, 0)],
     f"{STSB_HEADER}\n0\tg\tf\t2012\t1\ts\tt\tOne\tTwo\n", [("One", "Two", -1, 0)]),
    ("QQP", "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n9\t1\t2\tOne?\tTwo?\t1\n", [("One?", "Two?", 1, 0)],
     "id\tquestion1\tquestion2\n3\tOne?\tTwo?\n", [("One?", "Two?", -1, 3)]),
    ("MNLI", f"{MNLI_HEADER}\tlabel1\tgold_label\n{MNLI_TEXT}neutral\tneutral\n", [("One.", "Two.", 1, 0)],
     f"{MNLI_HEADER}\n4{MNLI_TEXT[1:-1]}\n", [("One.", "Two.", -1, 4)]),
    ("QNLI", "index\tquestion\tsentence\tlabel\n0\tWhat?\tThis.\tnot_entailment\n", [("What?", "This.", 1, 0)],
     "index\tquestion\tsentence\n0\tWhat?\tThis.\n", [("What?", "This.", -1, 0)]),
    ("RTE", "index\tsentence1\tsentence2\tlabel\n5\tOne\tTwo\tentailment\n", [("One", "Two", 0, 0)],
     "index\tsentence1\tsentence2\n0\tOne\tTwo\n", [("One", "Two", -1, 0)]),
    ("WNLI", "index\tsentence1\tsentence2\tlabel\n0\tOne\tTwo\t1", [("One", "Two", 1, 0)],
     "index\tsentence1\tsentence2\n0\tOne\tTwo\n", [("One", "Two", -1, 0)]),
]


@pytest.fixture
def file(tmp_path):
    def write(text):
        (tmp_path / "f.tsv").write_bytes(text.encode())
        return tmp_path / "f.tsv"
    return write


def test_all_nine_tasks_are_here():
    assert [layout[0] for layout in LAYOUTS] == list(TASKS) and len(TASKS) == 9


@pytest.mark.parametrize("task, labelled, expected, test, expected_test", LAYOUTS)
def test_glue_layouts(file, task, labelled, expected, test, expected_test):
    assert read(task, file(labelled)) == (expected, [])
    assert read(task, file(test)) == (expected_test, [])


def test_mnli_dev_diagnostic_and_no_gold_label(file):
    dev = f"{MNLI_HEADER}\tlabel1\tlabel2\tlabel3\tlabel4\tlabel5\tgold_label\n"
    five = "neutral\tentailment\tneutral\tcontradiction\tentailment\t"
    path = file(f"{dev}{MNLI_TEXT}{five}contradiction\n{MNLI_TEXT}{five}-\n{MNLI_TEXT}{five}entailment\n")
    rows = read("MNLI", path)
    assert [(e.label, e.index) for e in rows.examples] == [(2, 0), (0, 2)]
    assert rows.skipped == [f"{path}: line 3: label '-': the annotators did not agree"]
    assert read("MNLI", file("index\tsentence1\tsentence2\n0\ta\tb\n")).examples == [("a", "b", -1, 0)]


def test_a_line_ends_only_at_a_newline(file):
    # characters at which str.splitlines would cut
    text = "one\u2028two\x0bthree\x1cfour\x85five\rsix"
    assert read("SST-2", file(f"sentence\tlabel\n{text}\t1\n")).examples == [(text, None, 1, 0)]


def test_broken_rows(file):
    path = file("id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
                "1\t1\t2\ta\tb\t0\n1\t1\t2\ta\nb\tc\t1\n2\t3\t4\tc\td\t1\n")
    with pytest.raises(ValueError, match=r"f.tsv: line 3: 4 columns, expected 6 \(skip_broken=True"):
        read("QQP", path)
    rows = read("QQP", path, skip_broken=True)
    assert [e.text for e in rows.examples] == ["a", "c"] and [e.index for e in rows.examples] == [0, 3]
    assert rows.skipped == [f"{path}: line 3: 4 columns, expected 6", f"{path}: line 4: 3 columns, expected 6"]


def test_other_layouts_by_name_and_by_number(file):
    text = "text\tlabel\nit is\t1\n"
    assert read("SST-2", file(text), columns={"sentence": "text", "label": "label"}).examples == [("it is", None, 1, 0)]
    assert read("SST-2", file(text), columns={"sentence": 0}).examples == [("it is", None, -1, 0)]
    assert read("CoLA", file("it is\t1\n"), columns={"sentence": 0, "label": 1}, header=False).examples == [
        ("it is", None, 1, 0)]
    columns = {"sentence1": "sentence1", "sentence2": "sentence2", "label": "label", "index": "idx"}
    assert read("RTE", file("sentence1\tsentence2\tlabel\tidx\na\tb\t1\t12\n"), columns=columns,
                labels={"0": 0, "1": 1}).examples == [("a", "b", 1, 12)]


@pytest.mark.parametrize("task, text, options, message", [
    ("SST-2", "text\tlabel\na\t1\n", {}, "line 1: no column 'sentence': SST-2 needs a header with sentence, label, or "
     "without labels exactly index, sentence; got text, label; say columns="),
    ("SST-2", "sentence\tlabels\na\t1\n", {}, "no column 'label'"),
    ("SST-2", "sentence\tlabel\tlabel\na\t1\t0\n", {}, "line 1: more than one column 'label'"),
    ("SST-2", "", {}, "line 1: no column 'sentence'"),
    ("RTE", "index\tsentence1\tsentence2\tlabels\n0\ta\tb\tentailment\n", {}, "no column 'label'"),
    ("CoLA", "a b c\t1\n", {}, r"line 1: 2 columns, CoLA has 4 without a header \(source, label, mark, sentence\)"),
    ("CoLA", "x\t1\t\ta\nx\t2\t\tb\n", {}, "line 2, column 2: label '2' is not one of 0, 1"),
    ("RTE", "sentence1\tsentence2\tlabel\tidx\na\tb\t1\t0\n", {}, "line 2, column 3: label '1' is not one of entail"),
    ("MNLI", f"{MNLI_HEADER}\tgold_label\n{MNLI_TEXT}maybe\n", {}, "line 2, column 11: label 'maybe' is not one of"),
    ("STS-B", f"{STSB_HEADER}\tscore\n" + "0\t" * 9 + "6\n", {}, "line 2, column 10: score '6' is not a number from 0"),
    ("STS-B", f"{STSB_HEADER}\tscore\n" + "0\t" * 9 + "nan\n", {}, "score 'nan' is not a number from 0 to 5"),
    ("STS-B", f"{STSB_HEADER}\tscore\n" + "0\t" * 9 + "\n", {}, "score '' is not"),
    ("WNLI", "index\tsentence1\tsentence2\nx\ta\tb\n", {}, "line 2, column 1: index 'x' is not a number"),
    ("WNLI", "index\tsentence1\tsentence2\n0\ta\tb\n\n", {}, "line 3: 1 columns, expected 3"),
    ("WNLI", "index\tsentence1\tsentence2\n0\ta\tb\tc\n", {}, "line 2: 4 columns, expected 3"),
    ("SST-2", "a\t1\n", {"columns": {"text": 0}}, "columns of SST-2 are sentence, label, index; not among them: text"),
    ("RTE", "a\t1\n", {"columns": {"sentence1": 0}}, "not among them: none; missing: sentence2"),
    ("SST-2", "a\t1\n", {"columns": {"sentence": 2}}, "line 1: 2 columns, so sentence cannot be column 2"),
    ("SST-2", "a\t1\n", {"columns": {"sentence": -1}}, "cannot be column -1"),
    ("SST-2", "a\t1\n", {"columns": {"sentence": "b"}}, "line 1: no column 'b', got a, 1"),
    ("SST-2", "a\t1\n", {"columns": {"sentence": "a"}, "header": False}, "without a header are numbers, got 'a'"),
    ("SST-2", "sentence\tlabel\n", {"labels": {"good": 2}}, r"must map words to class ids 0\.\.1, got 2"),
    ("STS-B", "", {"labels": {"good": 2}}, "STS-B has no label words"),
    ("SST", "", {}, "task must be one of CoLA, SST-2, .*, WNLI, got 'SST'"),
])
def test_errors_name_the_line_and_what_was_expected(file, task, text, options, message):
    with pytest.raises(ValueError, match=message) as error:
        read(task, file(text), **options)
    assert "\n" not in str(error.value)


def test_evaluate_gives_each_task_its_measures():
    labels, predictions = [1, 1, 0, 0], [1, 0, 0, 0]
    for task in ("SST-2", "MNLI", "QNLI", "RTE", "WNLI"):
        assert evaluate(task, labels, predictions) == {"accuracy": 0.75}
    for task in ("MRPC", "QQP"):
        assert evaluate(task, labels, predictions) == {"f1": pytest.approx(2 / 3), "accuracy": 0.75}
    assert evaluate("CoLA", labels, predictions) == {"matthews_correlation": pytest.approx(1 / math.sqrt(3))}
    assert evaluate("STS-B", [1.0, 2.0, 4.0], [1.0, 2.0, 9.0]) == {
        "pearson": pytest.approx(13 / math.sqrt(14 / 3 * 38)), "spearman": pytest.approx(1.0)}
    with pytest.raises(ValueError, match=r"RTE: 1 of 2 rows have no label \(-1\)"):
        evaluate("RTE", [1, -1], [1, 1])


# The leaderboard's rows of BERT (Devlin et al. 2019): CoLA, SST-2, MRPC, STS-B, QQP, MNLI-m, MNLI-mm, QNLI, RTE, WNLI.
@pytest.mark.parametrize("published, row", [
    (80.5, (60.5, 94.9, (89.3, 85.4), (87.6, 86.5), (72.1, 89.3), 86.7, 85.9, 92.7, 70.1, 65.1)),
    (78.3, (52.1, 93.5, (88.9, 84.8), (87.1, 85.8), (71.2, 89.2), 84.6, 83.4, 90.5, 66.4, 65.1)),
])
def test_average_is_the_leaderboards(published, row):
    names = ("CoLA", "SST-2", "MRPC", "STS-B", "QQP", "MNLI-m", "MNLI-mm", "QNLI", "RTE", "WNLI")
    scores = {}
    for name, value in zip(names, row, strict=True):
        measures = TASKS[name.split("-m")[0]].measures
        scores[name] = dict(zip(measures, value if isinstance(value, tuple) else (value,), strict=True))
    assert round(average(scores), 1) == published
    del scores["MNLI-mm"]
    with pytest.raises(ValueError, match="missing: MNLI-mm; not among them: none"):
        average(scores)
    with pytest.raises(ValueError, match="MRPC is scored by f1, accuracy, got accuracy"):
        average(scores | {"MNLI-mm": {"accuracy": 1.0}, "MRPC": {"accuracy": 1.0}})


def test_submission_words(tmp_path):
    examples = [GlueExample("a", "b", -1, index) for index in (0, 1, 2)]
    assert submission("MNLI", examples, np.array([2, 0, 1])) == (
        "index\tprediction\n0\tcontradiction\n1\tentailment\n2\tneutral\n")
    assert submission("RTE", examples, [1, 0, 0]) == (
        "index\tprediction\n0\tnot_entailment\n1\tentailment\n2\tentailment\n")
    assert submission("QQP", examples, [1, 0, 0]) == "index\tprediction\n0\t1\n1\t0\n2\t0\n"
    assert submission("STS-B", examples, np.array([-0.5, 2.34567, 7.0])) == (
        "index\tprediction\n0\t0.000\n1\t2.346\n2\t5.000\n")
    write_submission(tmp_path, "MNLI", "test_mismatched", examples, [0, 0, 0])
    assert (tmp_path / "MNLI-mm.tsv").read_text() == "index\tprediction\n0\tentailment\n1\tentailment\n2\tentailment\n"
    assert {name for task in TASKS.values() for name in task.submissions.values()} == {
        "CoLA.tsv", "SST-2.tsv", "MRPC.tsv", "STS-B.tsv", "QQP.tsv", "MNLI-m.tsv", "MNLI-mm.tsv", "QNLI.tsv", "RTE.tsv",
        "WNLI.tsv", "AX.tsv"}


@pytest.mark.parametrize("call, message", [
    (lambda: submission("RTE", [GlueExample("a", "b", -1, 0)], []), "RTE: 1 examples, 0 predictions"),
    (lambda: submission("RTE", [GlueExample("a", "b", -1, 4)], [2]), r"RTE: row 4: .* a class id 0\.\.1, got 2"),
    (lambda: submission("RTE", [GlueExample("a", "b", -1, 4)], [0.5]), "got 0.5"),
    (lambda: submission("STS-B", [GlueExample("a", "b", -1, 4)], [math.nan]), "row 4: a prediction is a finite number"),
    (lambda: write_submission(".", "RTE", "dev", [], []), "RTE hands in predictions for test, not for 'dev'"),
])
def test_submission_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_files_that_differ_are_refused_or_read_as_told():
    if not REAL.exists():
        pytest.skip("no real GLUE files here")
    for task, name in (("CoLA", "cola-dev"), ("SST-2", "sst2-dev"), ("RTE", "rte-dev")):
        with pytest.raises(ValueError, match=f"{name}.tsv: line "):
            read(task, REAL / f"{name}.tsv")
    assert len(read("CoLA", REAL / "cola-dev.tsv", columns={"sentence": 0, "label": 1}, header=False).examples) == 516
    assert len(read("SST-2", REAL / "sst2-dev.tsv", columns={"sentence": "text", "label": 1}).examples) == 872
    # One row of this copy is two rows run together, its newline lost.
    rows = glue_data.read("MRPC", REAL / "mrpc-train.tsv", skip_broken=True)
    assert (len(rows.examples), len(rows.skipped)) == (3674, 1)
