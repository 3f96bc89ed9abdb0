"""A user's own file: its format, its header, its columns; what cannot be understood is refused with its place."""
import csv
import io
import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numbert.tasks import spreadsheet
from numbert.tasks.spreadsheet import LabelledText, as_numbers, label_names, read, split_off

BAD = "the film was bad, very bad"
SAME = {
    "header.csv": f'text,label\na film,good\n"{BAD}",bad\n',
    "no-header.csv": f'a film,good\n"{BAD}",bad\n',
    "mark.csv": f'\ufefftext,label\na film,good\n"{BAD}",bad\n',
    "windows.csv": f'text,label\r\na film,good\r\n"{BAD}",bad\r\n',
    "old-mac.csv": f'text,label\ra film,good\r"{BAD}",bad\r',
    "capitals.CSV": f'Label;Review Text;id;Sentence\ngood;x;1;a film\nbad;x;2;{BAD}\n',
    "semicolons.csv": f"text;label\na film;good\n{BAD};bad\n",
    "tabs-inside.csv": f"text\tlabel\na film\tgood\n{BAD}\tbad\n",
    "blank-rows.csv": f'\ntext,label,,\na film,good,,\n,,,\n"{BAD}", bad ,,\n,,,\n',
    "tabs.tsv": f"label\tsentence\ngood\ta film\nbad\t{BAD}\n",
    "no-header.tsv": f"a film\tgood\n{BAD}\tbad\n",
    "lines.jsonl": f'{{"text": "a film", "label": "good"}}\n\n{{"label": "bad", "text": "{BAD}", "id": [1]}}\n',
    "lines.ndjson": f'{{"sentence": "a film", "gold_label": "good"}}\r\n{{"gold_label": "bad", "sentence": "{BAD}"}}',
    "list.json": json.dumps([{"text": "a film", "label": "good"}, {"text": BAD, "label": "bad"}], indent=1),
}


def write(folder, name, text):
    path = folder / name
    path.write_bytes(text.encode("utf-8"))
    return str(path)


@pytest.mark.parametrize("name", SAME)
def test_the_same_rows_in_every_format(name, tmp_path):
    sheet = read(write(tmp_path, name, SAME[name]))
    assert [row[:3] for row in sheet.rows] == [("a film", None, "good"), (BAD, None, "bad")]
    assert not sheet.skipped and set(sheet.columns) == {"text", "label"}
    for number, row in enumerate(sheet.rows):
        place = re.search(r"(line|row) (\d+), column ", row.place)
        lines = re.split("\r\n|\r|\n", SAME[name])
        assert place[1] == "row" or row.text.split(",")[0] in lines[int(place[2]) - 1], number


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_broken_row_does_not_hide_the_delimiter(tmp_path, delimiter):
    rows = ["text,label", "a film,good", "a,b,c", "a day,bad", "short"]
    path = write(tmp_path, "a.csv", "\n".join(rows).replace(",", delimiter))
    with pytest.raises(ValueError, match="line 3: 3 columns, expected 2"):
        read(path)
    sheet = read(path, skip_broken=True)
    assert [row[:3] for row in sheet.rows] == [("a film", None, "good"), ("a day", None, "bad")]
    assert len(sheet.skipped) == 2


def test_two_texts(tmp_path):
    for name, text in {"names.csv": "hypothesis,premise,label\nb,a,1\n", "places.csv": "a,b,1\nc,d,0\n",
                       "names.jsonl": '{"question1": "a", "question2": "b", "is_x": 0, "label": 1}'}.items():
        assert read(write(tmp_path, name, text)).rows[0][:3] == ("a", "b", "1")


def test_columns_that_are_named(tmp_path):
    path = write(tmp_path, "a.csv", "id,body,mood,stars\n7,a film,good,5\n8,a day,bad,1\n")
    sheet = read(path, {"text": "body", "label": "mood"})
    assert [row[:3] for row in sheet.rows] == [("a film", None, "good"), ("a day", None, "bad")]
    assert sheet.columns == {"text": "body", "label": "mood"} and sheet.unused == ["id", "stars"]
    assert [row[:3] for row in read(path, {"label": 3, "text": 1, "pair": 2}).rows][1] == ("a day", "bad", "1")
    plain = write(tmp_path, "b.csv", "7,a film,good\n8,a day,bad\n")
    assert [row.label for row in read(plain, {"text": 1, "label": 2}, header=False).rows] == ["good", "bad"]
    assert [row.label for row in read(plain, {"text": 1, "label": 2}).rows] == ["bad"]      # the first row has names


def test_a_name_that_is_a_label_is_no_header(tmp_path):
    rows = read(write(tmp_path, "a.csv", "what is it,question\nit is,answer\nis it,question\n")).rows
    assert [row.label for row in rows] == ["question", "answer", "question"]


def test_a_cell_over_several_lines(tmp_path):
    sheet = read(write(tmp_path, "a.csv", 'text,label\n"one\ntwo ""three""",a\nfour,b\n'))
    assert sheet.rows[0].text == 'one\ntwo "three"'
    assert [row.place.split(": ")[1] for row in sheet.rows] == ["line 2, column 'label'", "line 4, column 'label'"]


def test_quotation_marks_in_tsv_are_characters(tmp_path):
    sheet = read(write(tmp_path, "a.tsv", 'text\tlabel\n"a\t0\nb"\t1\n'))
    assert [row[:3] for row in sheet.rows] == [('"a', None, "0"), ('b"', None, "1")]


def test_without_labels(tmp_path):
    for text in ("text\na\nb\n", "text,label\na,\nb,\n"):
        rows = read(write(tmp_path, "a.csv", text), labelled=None).rows
        assert [row[:3] for row in rows] == [("a", None, None), ("b", None, None)]
    rows = read(write(tmp_path, "a.csv", "body\na\n"), {"text": "body", "label": "mood"}, labelled=None).rows
    assert rows[0].label is None


def test_broken_rows_can_be_left_out(tmp_path):
    path = write(tmp_path, "a.csv", "text,label\na,0\nb\n ,1\nc,\nd,1\n")
    sheet = read(path, skip_broken=True)
    assert [row.text for row in sheet.rows] == ["a", "d"]
    assert [line.removeprefix(f"{path}: ") for line in sheet.skipped] == [
        "line 3: 1 columns, expected 2 as in the first row", "line 4, column 'text': the text is empty",
        "line 5, column 'label': the label is empty"]


@pytest.mark.parametrize("name,text,message", [
    ("a.txt", "a,b", r"a\.txt: the name of the file must end in \.csv, \.tsv"),
    ("a.csv", "", "a.csv: no row in it"),
    ("a.csv", "text,label\n", "a.csv: no row in it that can be read"),
    ("a.csv", "text,label\na,0\nb,c,0\n", "line 3: 3 columns, expected 2 as in the first row .--skip-broken"),
    ("a.csv", 'text,label\na,0\n"b,0\nc,1\n', "line 3: a quotation mark opens a cell and is never closed"),
    ("a.csv", 'text,label\na,0\n"b" c,0\n', r"line 3: .*expected after"),
    ("a.csv", "text,label\na,0\n,1\n", "line 3, column 'text': the text is empty"),
    ("a.csv", "text,label\na,0\nb,\n", "line 3, column 'label': the label is empty"),
    ("a.csv", "a,0\nb, \n", "line 2, column 2: the label is empty"),
    ("a.csv", "a,b,c,d\ne,f,g,h\n", "line 1: 4 columns, and none has a name that is known"),
    ("a.csv", "review body,mood\na,1\nb,0\nc,1\nd,0\n", "line 1: is it a header. 'mood' is the label of no other row"),
    ("a.csv", "text,text,label\na,b,1\n", "more than one column is called 'text'"),
    ("a.csv", "text,id,n\na,b,1\n", "no column is called label"),
    ("a.csv", "label,id,n\na,b,1\n", "no column is called text"),
    ("a.jsonl", '{"text": "a", "label": 1}\n{"text": "b" "label": 1}\n', "line 2: not JSON: column 14"),
    ("a.jsonl", '{"text": "a", "label": 1}\n[1]\n', "line 2: must be an object such as .*, got list"),
    ("a.jsonl", '{"text": "a", "label": 1}\n{"label": 1}\n', "line 2, column 'text': the text is empty"),
    ("a.jsonl", '{"text": ["a"], "label": 1}\n', "line 1, column 'text': text must be a text or a number"),
    ("a.json", '{"text": "a"}', "must be a list of objects, got dict"),
    ("a.json", '[{"text": "a", "label": 1}, {"text": "b"}]', "row 2, column 'label': the label is empty"),
])
def test_what_is_refused(name, text, message, tmp_path):
    path = write(tmp_path, name, text)
    with pytest.raises(ValueError, match=message) as error:
        read(path)
    assert str(error.value).startswith(path) and "\n" not in str(error.value)


@pytest.mark.parametrize("columns,message", [
    ({"label": "mood"}, "--columns takes text=, pair= and label=, text at least; got label"),
    ({"text": "body", "mood": "mood"}, "--columns takes .* got text, mood"),
    ({"text": "title"}, "no column 'title', its columns are 'body', 'mood'"),
    ({"text": 2}, r"2 columns, so text cannot be column 2 \(they count from 0\)"),
])
def test_columns_that_are_not_there(columns, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        read(write(tmp_path, "a.csv", "body,mood\na,b\n"), columns)


TEXTS = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0\ufeff"), min_size=1, max_size=20)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(TEXTS.filter(str.strip), st.sampled_from(["good", "bad"])), min_size=1, max_size=6))
def test_whatever_csv_and_json_can_hold(tmp_path_factory, rows):
    """What Python's own writers write comes back, every character."""
    folder, text = tmp_path_factory.mktemp("csv"), io.StringIO()
    csv.writer(text).writerows([("text", "label"), *rows])
    lines = "\n".join(json.dumps({"text": text, "label": label}) for text, label in rows)
    for path in write(folder, "a.csv", text.getvalue()), write(folder, "a.jsonl", lines):
        assert [(row.text, row.label) for row in read(path).rows] == rows


# ---- splitting, labels -----------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from("aaab"), min_size=2, max_size=40), st.floats(0.05, 0.9), st.integers(0, 9))
def test_a_part_is_split_off_by_label(labels, share, seed):
    rows = [LabelledText(f"{i}", None, label, "") for i, label in enumerate(labels)]
    counts = {label: labels.count(label) for label in labels}
    if max(counts.values()) == 1:
        with pytest.raises(ValueError, match="2 rows cannot be split"):
            split_off(rows, share, np.random.default_rng(seed))
        return
    rest, part = split_off(rows, share, np.random.default_rng(seed))
    assert sorted(rest + part, key=lambda row: int(row.text)) == rows
    assert [int(row.text) for row in part] == sorted(int(row.text) for row in part)
    for label, count in counts.items():
        drawn = sum(row.label == label for row in part)
        assert drawn < count and (count == 1 or drawn >= 1)
        assert abs(drawn - share * count) <= 1
    assert split_off(rows, share, np.random.default_rng(seed)) == (rest, part)


def test_the_seed_decides_the_part():
    rows = [LabelledText(f"{i}", None, "a", "") for i in range(50)]
    parts = {tuple(row.text for row in split_off(rows, 0.2, np.random.default_rng(seed))[1]) for seed in range(5)}
    assert len(parts) == 5 and {len(part) for part in parts} == {10}


def test_labels():
    assert label_names(["10", "9", "-1", "9"]) == ["-1", "9", "10"]
    assert label_names(["b", "10", "9"]) == ["10", "9", "b"]
    rows = [LabelledText("a", None, label, "f: line 3, column 2") for label in ("1.5", None, "-2e3")]
    assert [row.label for row in as_numbers(rows)] == [1.5, None, -2000.0]
    for label in ("good", "nan", "inf"):
        with pytest.raises(ValueError, match=f"f: line 3, column 2: the label '{label}' is no finite number"):
            as_numbers([LabelledText("a", None, label, "f: line 3, column 2")])


def test_no_known_name_has_two_roles():
    names = [name for names in spreadsheet.NAMES.values() for name in names]
    assert len(set(names)) == len(names) and all(re.fullmatch("[a-z]+[12]?", name) for name in names)


# ---- what Excel and other programs write -----------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("separator, first, suffix", [
    *((mark, first, ".csv") for mark in ",;\t" for first in ("", f"sep={mark}", f'"sep={mark}"')),
    ("|", "sep=|", ".csv"), ("\t", "", ".tsv"), (";", "sep=;", ".tsv")])
def test_files_of_other_programs_are_read_alike(tmp_path, encoding, end, separator, first, suffix):
    path = tmp_path / f"sheet{suffix}"
    rows = ["text", "label"], ["ein schönes Bild", "gut"], ["nie wieder", "schlecht"]
    lines = [*([first] if first else []), *map(separator.join, rows)]
    text = end.join([*lines, ""])
    path.write_bytes(("\ufeff" + text).encode("utf-16-be") if encoding == "utf-16-be" else text.encode(encoding))
    sheet = read(path)
    assert [(row.text, row.label) for row in sheet.rows] == [("ein schönes Bild", "gut"), ("nie wieder", "schlecht")]
    assert sheet.rows[-1].place == f"{path}: line {len(lines)}, column 'label'"


@pytest.mark.parametrize("name, content, message", [
    ("sheet.xlsx", b"PK\3\4", "save the sheet as CSV"), ("sheet.ods", b"PK\3\4", "save the sheet as CSV"),
    ("sheet.txt", b"text\tlabel\n", "call it .tsv"), ("sheet.csv", b"\xff\xfea", "begins as UTF-16"),
    ("sheet.csv", "text,label\nschön,gut\n".encode("latin-1"), "not UTF-8: byte 0xf6 at offset 14, in line 2: save the "
     "file as UTF-8")])
def test_files_that_cannot_be_read_say_what_to_do(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read(tmp_path / name)
