"""Texts and their labels from a user's own file: CSV, TSV or JSON lines.

    text,label                      {"text": "a good film", "label": "positive"}
    a good film,positive            {"text": "a bad day", "label": "negative"}
    "a bad, bad day",negative

A file has one text or two in each row, and a label where it is known. Which column is which is read off the header, or
said by the user. Nothing is guessed silently: what was found is in `Sheet.columns`, and a file that can be understood
in two ways is refused.
"""
import csv
import io
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..hub.errors import CheckpointError, parse_json
from ..hub.files import read_text

FORMATS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
SHEETS = (".xls", ".xlsx", ".xlsm", ".xlsb", ".ods", ".numbers")
DELIMITERS = (",", ";", "\t")
# What columns are called, without regard to capitals, spaces and dashes; of several the first that a file has.
NAMES = {
    "text": ("text", "sentence", "sentence1", "text1", "premise", "question1", "question", "review", "content",
             "document", "comment", "message", "tweet", "body", "title"),
    "pair": ("pair", "text2", "textpair", "sentence2", "hypothesis", "question2"),
    "label": ("label", "labels", "goldlabel", "gold", "class", "category", "target", "sentiment", "score", "rating",
              "stars", "tag", "intent"),
}


class LabelledText(NamedTuple):
    """text, and pair where there are two (else None). label: as it stands in the file, without white space around it;
    None if there is none. place: where the label stands, "file: line N, column C", for messages."""
    text: str
    pair: str | None
    label: str | None
    place: str


class Sheet(NamedTuple):
    """The rows of a file. columns: {role: the column's name, or its number from 0 without a header}; the roles are
    text, pair and label. unused: the names of the other columns. skipped: a line for each row that was left out."""
    rows: list
    columns: dict
    unused: list
    skipped: list


def read(path, columns=None, header=None, skip_broken=False, labelled=True):
    """The `Sheet` of a file, whose format is that of its ending: one of `FORMATS`.

    .csv is read as RFC 4180 has it: quotation marks around a cell with commas or line ends, doubled inside; semicolons
    or tabs take the commas' place where more rows have the length of the first with them, or any other character that
    a first line such as sep=; names, as in Excel. In .tsv a quotation mark is a character like any other. .jsonl has an
    object in each line, .json a list of such objects.

    columns: {role: name, or number from 0}. None: by the names in the header (`NAMES`), else two columns are text and
    label, three are text, pair and label. header: whether the first row has the names; None: if it has the name of a
    text or label. skip_broken: leave out rows with another number of cells, without a text or without a label, and
    list them. labelled: whether there must be labels; None: in all rows or in none.
    Raises ValueError with file, line and column for what cannot be understood.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise ValueError(f"{path}: the name of the file must end in {', '.join(FORMATS)}, to say its format"
                         + ("; save the sheet as CSV" if suffix in SHEETS else
                            "; if tabs separate its columns, call it .tsv" if suffix in (".txt", ".tab") else ""))
    names, records = _records(path, suffix)
    if not records:
        raise ValueError(f"{path}: no row in it")
    width = len(records[0].cells)
    if names is None and (_is_header(records) if header is None and not columns else header is not False):
        names, records = records[0].cells, records[1:]
    if columns:
        where = _given(path, columns, names, width, labelled)
    else:
        where = _by_place(records) if names is None else _by_name(path, names)
    if labelled and "label" not in where:
        raise ValueError(f"{path}: no column is called {', '.join(NAMES['label'][:4])} or such, only "
                         f"{', '.join(map(repr, names))[:200]}: --columns text=NAME label=NAME")
    if labelled is None and all(_cell(record, where.get("label")) == "" for record in records):
        where.pop("label", None)
    sheet = Sheet([], {role: names[i] if names else i for role, i in where.items()},
                  [name for i, name in enumerate(names or ()) if i not in where.values() and name], [])
    for record in records:
        row = _row(record, where, sheet.columns, width)
        if isinstance(row, LabelledText):
            sheet.rows.append(row)
        elif skip_broken:
            sheet.skipped.append(row)
        else:
            raise ValueError(f"{row} (--skip-broken leaves such rows out)")
    if not sheet.rows:
        raise ValueError(f"{path}: no row in it that can be read")
    return sheet


class _Record(NamedTuple):
    place: str
    cells: list


def _row(record, where, columns, width):
    """The LabelledText of a record, or what is wrong with it."""
    if len(record.cells) != width:
        return f"{record.place}: {len(record.cells)} columns, expected {width} as in the first row"
    found, place = {}, ""
    for role, i in where.items():                       # the label is the last
        value, called = record.cells[i], i + 1 if isinstance(columns[role], int) else repr(columns[role])
        place = f"{record.place}, column {called}"
        if isinstance(value, dict | list):
            return f"{place}: {role} must be a text or a number, got {str(value)[:60]}"
        found[role] = _cell(record, i)
        if not found[role].strip():
            return f"{place}: the {'label' if role == 'label' else 'text'} is empty"
    label = found["label"].strip() if "label" in found else None
    return LabelledText(found["text"], found.get("pair"), label, place)


def _cell(record, i):
    """The text in a column; "" where there is none."""
    value = None if i is None or i >= len(record.cells) else record.cells[i]
    return "" if value is None else str(value)


# ---- records ---------------------------------------------------------------------------------------------------------


def _records(path, suffix):
    """(names of the columns if the format has them, else None; a _Record for each row that is not empty)."""
    text = read_text(path)
    if suffix in (".csv", ".tsv"):
        said = re.match(r"\"?sep=(.)\"?\r?(?=\n)", text)             # the line stays, empty: lines keep their numbers
        text = text[said.end():] if said else text
        rows = (_plain(path, text) if suffix == ".tsv" and said is None else
                list(_parsed(path, text, said[1])) if said else _quoted(path, text))
        return None, [row for row in rows if any(cell.strip() for cell in row.cells)]
    if suffix == ".json":
        values = parse_json(path, text.encode(), kind=None)
        if not isinstance(values, list):
            raise ValueError(f"{path}: must be a list of objects, got {type(values).__name__}")
        rows = [_Record(f"{path}: row {number}", value) for number, value in enumerate(values, 1)]
    else:
        rows = [_Record(f"{path}: line {number}", _json(path, number, line))
                for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    for place, value in rows:
        if not isinstance(value, dict):
            raise ValueError(f"{place}: must be an object such as {{\"text\": ..., \"label\": ...}}, got "
                             f"{type(value).__name__}")
    names = list(dict.fromkeys(name for _, value in rows for name in value))
    return names, [_Record(place, [value.get(name) for name in names]) for place, value in rows]


def _json(path, number, line):
    try:
        return parse_json(path, line.encode(), kind=None)
    except CheckpointError as error:
        raise ValueError(f"{path}: line {number}: {error.problem.replace('line 1 column', 'column')}") from None


def _plain(path, text):
    return [_Record(f"{path}: line {number}", line.removesuffix("\r").split("\t"))
            for number, line in enumerate(text.split("\n"), 1)]


def _quoted(path, text):
    """Rows of CSV: with that of `DELIMITERS` with which the most of them are as long as the first, at least 2; of
    equals with the first of them; else with commas."""
    best, most = None, 0
    for delimiter in DELIMITERS:
        try:
            rows = list(_parsed(path, text, delimiter))
        except ValueError:
            continue
        widths = [len(row.cells) for row in rows if any(cell.strip() for cell in row.cells)]
        if widths and widths[0] > 1 and widths.count(widths[0]) / len(widths) > most:
            best, most = rows, widths.count(widths[0]) / len(widths)
    return best or list(_parsed(path, text, ","))


def _parsed(path, text, delimiter):
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1                      # a quoted cell may go on over several lines
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reason = "a quotation mark opens a cell and is never closed" if "end of data" in str(error) else error
            raise ValueError(f"{path}: line {line}: {reason}") from None
        yield _Record(f"{path}: line {line}", cells)


# ---- which column is which -------------------------------------------------------------------------------------------


def _plain_name(name):
    return re.sub(r"[\s_\-#]", "", name).lower()


def _is_header(records):
    """Whether the first row has the name of a column that is not also the value of another row there."""
    known = {name for names in NAMES.values() for name in names}
    return any(_plain_name(cell) in known and not any(cell == cells[i] for _, cells in records[1:] if i < len(cells))
               for i, cell in enumerate(records[0].cells))


def _by_name(path, names):
    """{role: number of its column} by the names of the columns."""
    plain, where = [_plain_name(name) for name in names], {}
    for role, called in NAMES.items():
        if name := next((name for name in called if name in plain), None):
            if plain.count(name) > 1:
                raise ValueError(f"{path}: more than one column is called {names[plain.index(name)]!r}: --columns says "
                                 "which is meant, by number")
            where[role] = plain.index(name)
    if len(names) == 2 and len(where) == 1 and "pair" not in where:     # the other one is what is left
        where["label" if "text" in where else "text"] = 1 - next(iter(where.values()))
    if "text" not in where:
        raise ValueError(f"{path}: no column is called {', '.join(NAMES['text'][:4])} or such, only "
                         f"{', '.join(map(repr, names))[:200]}: --columns text=NAME label=NAME")
    return {role: where[role] for role in NAMES if role in where}


def _by_place(records):
    place, cells = records[0]
    if len(cells) not in (2, 3):
        raise ValueError(f"{place}: {len(cells)} columns, and none has a name that is known: two are text and label, "
                         "three are text, pair and label; others are named by --columns text=NAME label=NAME")
    first, *others = [record.cells[-1].strip() for record in records if len(record.cells) == len(cells)]
    if first not in others and 0 < 2 * len(set(others)) <= len(others):
        raise ValueError(f"{place}: is it a header? {first[:60]!r} is the label of no other row: --columns "
                         "text=NAME label=NAME if it is, --no-header if it is not")
    return dict(zip(("text", "pair", "label") if len(cells) == 3 else ("text", "label"), range(3), strict=False))


def _given(path, columns, names, width, labelled):
    """{role: number of its column} of columns that the user gives by name, or by number from 0."""
    unknown = [role for role in columns if role not in NAMES]
    if unknown or "text" not in columns:
        raise ValueError(f"--columns takes text=, pair= and label=, text at least; got {', '.join(columns)}")
    where = {}
    for role, column in columns.items():
        if isinstance(column, int):
            if column not in range(width):
                raise ValueError(f"{path}: {width} columns, so {role} cannot be column {column} (they count from 0)")
            where[role] = column
        elif names is None:
            raise ValueError(f"{path}: columns of a file without a header are numbers, got {column!r} for {role}")
        elif role == "label" and labelled is None and column not in names:
            continue
        elif names.count(column) != 1:
            fault = "no column" if column not in names else "more than one column"
            raise ValueError(f"{path}: {fault} {column!r}, its columns are {', '.join(map(repr, names))[:200]}")
        else:
            where[role] = names.index(column)
    return {role: where[role] for role in NAMES if role in where}


# ---- a part for development ------------------------------------------------------------------------------------------


def split_off(rows, share, rng, stratified=True):
    """(the rest, the part) of `rows` (LabelledText), both in their order. The part has about a `share` of the rows of
    each label, at least one of them but never all, drawn with `rng`. stratified: False draws from all rows alike, as
    for labels that are numbers.

    Raises ValueError if one of them would be empty.
    """
    groups = {}
    for i, row in enumerate(rows):
        groups.setdefault(row.label if stratified else None, []).append(i)
    chosen = set()
    for places in groups.values():
        count = min(max(1, round(share * len(places))), len(places) - 1)
        chosen.update(rng.permutation(places)[:count].tolist())
    if not chosen or len(chosen) == len(rows):
        raise ValueError(f"{len(rows)} rows cannot be split into a part to learn from and one to evaluate on")
    return [row for i, row in enumerate(rows) if i not in chosen], [rows[i] for i in sorted(chosen)]


def label_names(labels):
    """The different labels, sorted: by value if all are whole numbers, else as texts."""
    names = sorted(set(labels))
    return sorted(names, key=int) if all(re.fullmatch(r"-?\d{1,18}", name, re.ASCII) for name in names) else names


def as_numbers(rows):
    """The rows with their labels as floats (None stays), without their places. Raises ValueError with the place of a
    label that is no number."""
    return [row._replace(label=None if row.label is None else _number(row), place="") for row in rows]


def _number(row):
    try:
        number = float(row.label)
    except ValueError:
        number = np.nan
    if not np.isfinite(number):
        raise ValueError(f"{row.place}: the label {row.label[:60]!r} is no finite number")
    return number
