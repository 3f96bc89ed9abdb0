"""Tagging files: what is read, that writing changes the tags and nothing else, and what is refused."""
import codecs
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numbert.tasks.conll import read_conll, read_conllu

REAL = Path(__file__).parents[3] / "shared" / "data" / "pos" / "en_ewt-dev.conllu"

CONLLU = """\
# sent_id = 1
# text = I don't (know) it.
1\tI\tI\tPRON\tPRP\t_\t3\tnsubj\t_\t_
2-3\tdon't\t_\t_\t_\t_\t_\t_\t_\tSpaceAfter=No
2\tdo\tdo\tAUX\tVBP\t_\t3\taux\t_\t_
3\tn't\tnot\tPART\tRB\t_\t0\troot\t_\t_
3.1\tknow\tknow\tVERB\tVB\t_\t_\t_\t0:root\t_
4\tNew York\tit\t_\tPRP\t_\t3\tobj\t_\t_
5\t_\t_\tPUNCT\t_\t_\t3\tpunct\t_\t_

# sent_id = 2
0.1\tx\t_\tVERB\t_\t_\t_\t_\t0:root\t_
1\t#\t#\tSYM\tNN\t_\t0\troot\t_\t_
"""
CONLL = "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nrejects  VBZ B-VP O\n \nPeter NNP B-NP B-PER"


@pytest.fixture
def file(tmp_path):
    def write(text):
        (tmp_path / "f").write_bytes(text.encode())
        return tmp_path / "f"
    return write


def test_conllu_reads_words_only(file):
    first, second = read_conllu(file(CONLLU)).sentences
    assert first.words == ["I", "do", "n't", "New York", "_"]
    assert first.tags == ["PRON", "AUX", "PART", None, "PUNCT"]
    assert (second.words, second.tags) == (["#"], ["SYM"])
    assert read_conllu(file(CONLLU), "XPOS").sentences[0].tags == ["PRP", "VBP", "RB", "PRP", None]


def test_conllu_writes_in_place(file):
    tagged = read_conllu(file(CONLLU))
    assert tagged.with_tags([["A", "B", "C", "D", None], ["LONGER"]]) == (
        CONLLU.replace("\tPRON\t", "\tA\t").replace("\tAUX\t", "\tB\t").replace("\tPART\t", "\tC\t")
        .replace("it\t_\t", "it\tD\t").replace("\tSYM\t", "\tLONGER\t"))
    xpos = read_conllu(file(CONLLU), "XPOS").with_tags([["Q"] * 5, ["Q"]])
    assert xpos == re.sub(r"(?m)^(\d+\t[^\t]+\t[^\t]+\t[^\t]+\t)[^\t]+", r"\1Q", CONLLU)


def test_conll_columns(file):
    tagged = read_conll(file(CONLL), column=-1)
    assert [s.words for s in tagged.sentences] == [["EU", "rejects"], ["Peter"]]
    assert [s.tags for s in tagged.sentences] == [["B-ORG", "O"], ["B-PER"]]
    assert tagged.with_tags([["O", "B-X"], ["O"]]) == (
        "-DOCSTART- -X- -X- O\n\nEU NNP B-NP O\nrejects  VBZ B-VP B-X\n \nPeter NNP B-NP O")
    assert read_conll(file(CONLL), column=1).sentences[0].tags == ["NNP", "VBZ"]
    two = read_conll(file("-DOCSTART-\n\nNew York\tB-LOC\n\u3000\tO\n#\tO\n"))
    assert two.sentences[0].words == ["New York", "\u3000", "#"] and two.sentences[0].tags == ["B-LOC", "O", "O"]
    assert read_conll(file("a O\nb O")).sentences[0].words == ["a", "b"]
    assert read_conll(file("\n\n")).sentences == [] == read_conll(file("")).sentences


WORD = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\n\r \ufeff"), min_size=1, max_size=4)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.tuples(WORD, st.sampled_from(["O", "B-A", "I-A"])), min_size=1, max_size=4), max_size=4),
       st.sampled_from(["\n", "\r\n"]), st.sampled_from(["\t", " ", "  "]), st.sampled_from(["", "\n", "\n\n\n"]),
       st.booleans())
def test_other_bytes_stay(tmp_path_factory, sentences, newline, separator, end, marked):
    if any(word == "-DOCSTART-" for s in sentences for word, _ in s):
        return
    path = tmp_path_factory.getbasetemp() / "bytes.conll"

    def text(tags):
        blocks = [newline.join(f"{w}{separator}{new or old}" for (w, old), new in zip(s, t, strict=True))
                  for s, t in zip(sentences, tags, strict=True)]
        return (codecs.BOM_UTF8 if marked else b"") + ((newline * 2).join(blocks) + end).encode()

    nothing = [[None] * len(s) for s in sentences]
    path.write_bytes(text(nothing))
    tagged = read_conll(path)
    assert [list(zip(s.words, s.tags, strict=True)) for s in tagged.sentences] == sentences
    for tags in (nothing, [["S-LONG"] * len(s) for s in sentences]):
        tagged.write(path, tags)
        assert path.read_bytes() == text(tags)


def line(identity):
    return "\t".join([identity] + ["_"] * 9)


@pytest.mark.parametrize("text, message", [
    ("1\ta\tb\n", "f: line 1: 3 columns that are not empty and 2 tabs, CoNLL-U has 10 columns and 9 tabs"),
    ("# c\n" + line("1").replace("\t_", "\t", 1), "line 2: 9 columns that are not empty and 9 tabs"),
    (line("1") + "\n" + line("3"), "line 2: ID '3' is out of order: 1 words of the sentence so far"),
    (line("2-3"), "ID '2-3' is out of order: 0 words"),
    (line("1") + "\n" + line("2-1"), "ID '2-1' is out of order"),
    (line("1.1"), "ID '1.1' is out of order"),
    (line("1") + "\n\n" + line("2"), "line 3: ID '2' is out of order"),
    (line("x"), "ID 'x' is no number, range"),
    (line("١"), "is no number"),
])
def test_conllu_errors(file, text, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        read_conllu(file(text))


@pytest.mark.parametrize("text, column, message", [
    (CONLL.replace("-DOCSTART- -X- -X- O", ""), None, r"line 3: 4 columns, expected 2, a word and its tag \(column=-1"),
    ("word\n", None, "line 1: 1 columns, expected 2"),
    ("a O\nb\n", None, "line 2: 1 columns, expected 2 as in the lines before"),
    ("a\tO\nb O\n", None, "line 2: 1 columns, expected 2"),
    ("a b O\n", 3, "3 columns, so the tag cannot be column 3"),
    ("a b O\n", 0, "so the tag cannot be column 0"),
    ("a b O\n", -3, "so the tag cannot be column -3"),
    ("a O\n# id 1\n", None, "line 2: 3 columns, expected 2"),
])
def test_conll_errors(file, text, column, message):
    with pytest.raises(ValueError, match=message):
        read_conll(file(text), column)


def test_tags_that_cannot_be_written(file):
    tagged = read_conll(file("a O\nb O\n\nc O\n"))
    for tags, message in [([["O", "O"]], "2 sentences, tags for 1"),
                          ([["O", "O"], ["O", "O"]], "the sentence at line 4 has 1 words, tags for 2"),
                          ([["O", ""], ["O"]], "line 2: '' cannot be a tag"),
                          ([["O", "B X"], ["O"]], "line 2: 'B X' cannot be a tag")]:
        with pytest.raises(ValueError, match=message):
            tagged.with_tags(tags)
    with pytest.raises(ValueError, match="column must be one of ID, FORM.*got 'POS'"):
        read_conllu(file(CONLLU), "POS")


@pytest.mark.skipif(not REAL.exists(), reason="no real treebank here")
def test_real_treebank():
    tagged = read_conllu(REAL)
    assert (len(tagged.sentences), sum(len(s.words) for s in tagged.sentences)) == (2001, 25147)
    assert tagged.with_tags([s.tags for s in tagged.sentences]).encode() == REAL.read_bytes()
