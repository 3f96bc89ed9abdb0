"""Reports: the scores of classes are those of their definitions; who is taken for whom; mistakes; tables."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numbert.tasks import metrics
from numbert.tasks.report import (
    Report,
    Row,
    aligned,
    confusion,
    confusion_table,
    in_words,
    mistakes,
    most_confused,
    save,
    score_table,
    show,
    tsv,
)

ROWS = [Row(("a",), "x", "x", 0.9), Row(("b",), "x", "y", 0.6), Row(("c",), "y", "x", 0.8), Row(("d",), "y", "y", 0.7),
        Row(("e",), "y", "y", 0.5)]
REPORT = Report("dev", ("text",), ROWS, {"accuracy": 0.6}, ("x", "y", "never"))


def test_a_small_one_by_hand(tmp_path, capsys):
    names, counts = confusion(REPORT)
    assert names == ("x", "y") and counts.tolist() == [[1, 1], [1, 2]]
    assert confusion_table(REPORT) == (("gold \\ predicted", "x", "y"), ("x", "1", "1"), ("y", "1", "2"))
    assert score_table(REPORT) == (("", "precision", "recall", "F1", "count"), ("x", "0.500", "0.500", "0.500", "2"),
                                   ("y", "0.667", "0.667", "0.667", "3"),
                                   ("macro average", "0.583", "0.583", "0.583", "5"))
    assert [row.cells for row in mistakes(REPORT)] == [("c",), ("b",)]
    assert [row.cells for row in mistakes(REPORT, 1)] == [("c",)]
    show(REPORT)
    said = capsys.readouterr().out
    assert said.startswith("\ndev, 5 predictions: accuracy 0.600\n") and "  0.800  y predicted as x: c\n" in said
    assert save(REPORT, tmp_path) == {"predictions": tmp_path / "dev.predictions.tsv",
                                      "confusion matrix": tmp_path / "dev.confusion.svg"}
    assert (tmp_path / "dev.predictions.tsv").read_text().splitlines()[:3] == [
        "text\tgold\tpredicted\tprobability", "a\tx\tx\t0.9000", "b\tx\ty\t0.6000"]
    assert "dev: 3 of 5 right" in (tmp_path / "dev.confusion.svg").read_text()


LABELS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30)


@settings(max_examples=40, deadline=None)
@given(LABELS)
def test_scores_of_classes_are_the_measures(pairs):
    """As metrics.f1, macro_f1 and accuracy say, and precision and recall by their definitions."""
    labels, predictions = (np.array(values) for values in zip(*pairs, strict=True))
    counts = metrics.confusion(labels, predictions, range(4))
    assert counts.sum() == len(pairs) and counts.trace() / len(pairs) == metrics.accuracy(labels, predictions)
    scores = metrics.class_scores(counts)
    for k, one in enumerate(scores):
        right = sum(a == b == k for a, b in pairs)
        given_, wanted = sum(b == k for _, b in pairs), sum(a == k for a, _ in pairs)
        assert one == (right / given_ if given_ else 0, right / wanted if wanted else 0,
                       pytest.approx(metrics.f1(labels, predictions, positive=k)), wanted)
    present = [scores[k] for k in {*labels.tolist(), *predictions.tolist()}]
    assert metrics.macro_scores(present).f1 == pytest.approx(metrics.macro_f1(labels, predictions))


@settings(max_examples=40, deadline=None)
@given(LABELS)
def test_the_report_counts_every_row_once(pairs):
    rows = [Row(("text",), f"c{a}", f"c{b}", 0.5) for a, b in pairs]
    report = Report("dev", ("text",), rows, {}, tuple(f"c{i}" for i in range(3)))       # c3 is unknown to the model
    names, counts = confusion(report)
    assert list(names) == sorted({f"c{i}" for pair in pairs for i in pair})
    assert counts.sum() == len(pairs)
    wrong = [one for one in most_confused(report, 99)]
    assert sum(count for *_, count in wrong) == len(mistakes(report, 99)) == sum(a != b for a, b in pairs)
    assert [count for *_, count in wrong] == sorted((count for *_, count in wrong), reverse=True)
    assert in_words(report)


def test_labels_that_are_unknown_and_numbers(tmp_path, capsys):
    unknown = Report("test", ("text",), [Row((f"{i}",), None, "x", 0.9) for i in range(7)], {}, ("x", "y"))
    assert score_table(unknown) == () and in_words(unknown) == "" and list(save(unknown, tmp_path)) == ["predictions"]
    assert "0\t\tx\t0.9000\n" in tsv(unknown)
    show(unknown)
    assert "  0.900  x: 0\n" in (said := capsys.readouterr().out) and "... and 2 more" in said
    numbers = Report("dev", ("text", "pair"), [Row(("a", "b"), 1.0, 1.5, None), Row(("c", "d"), 3.0, -1.25, None)],
                     {"pearson": float("nan")})
    assert in_words(numbers) == "The largest errors:\n  3 predicted as -1.25: c | d\n  1 predicted as 1.50: a | b"
    assert "c\td\t3.0000\t-1.2500\t\n" in tsv(numbers)


def test_texts_with_every_kind_of_space():
    row = Row(("a\tb\nc\r\nd\u2028e",), "x", "y", 0.25)
    text = tsv(Report("dev", ("text",), [row], {}, ("x", "y")))
    assert len(text.splitlines()) == 2 and text.splitlines()[1] == "a b c  d e\tx\ty\t0.2500"


def test_a_wide_matrix_becomes_a_list():
    names = tuple(f"class number {i}" for i in range(20))
    rows = [Row(("t",), names[i], names[i // 2 * 2], 0.5) for i in range(20)]
    text = in_words(Report("dev", ("text",), rows, {}, names))
    assert "gold \\ predicted" not in text and "     1  class number 3 predicted as class number 2" in text


def test_columns_of_a_table_stand_below_each_other():
    assert aligned([("", "aa", "b"), ("标签", "1", "222")]) == "      aa    b\n标签   1  222"


def test_entities_have_a_table_of_their_own():
    scores = metrics.entity_scores_by_type([["B-P", "I-P", "O", "B-L"]], [["B-P", "O", "O", "B-L"]])
    assert scores == {"L": (1.0, 1.0, 1.0, 1), "P": (0.0, 0.0, 0.0, 1)}
    rows = [Row((f"{i}", "w"), gold, predicted, 0.5) for i, (gold, predicted) in enumerate(
        [("B-P", "B-P"), ("I-P", "O"), ("O", "O"), ("B-L", "B-L")])]
    table = score_table(Report("dev", ("sentence", "word"), rows, {}, ("B-L", "B-P", "I-P", "O"), scores))
    assert [row[0] for row in table] == ["", "entity L", "entity P", "entities, macro average", "B-L", "B-P", "I-P",
                                         "O", "macro average"]
    assert table[3] == ("entities, macro average", "0.500", "0.500", "0.500", "2")


def test_an_unknown_class_is_refused():
    with pytest.raises(ValueError, match="'z' is none of the classes x, y"):
        metrics.confusion(["x", "z"], ["x", "y"], ("x", "y"))
