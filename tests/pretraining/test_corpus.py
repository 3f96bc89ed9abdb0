"""Documents from files, from Python's own sources, cut into sentences and held out."""
import sys
import sysconfig
import textwrap

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numbert.pretraining import corpus
from numbert.pretraining.corpus import hold_out, prose, python_documents, read_documents, split_sentences

# ---- files


def test_a_blank_line_ends_a_document(tmp_path):
    file = tmp_path / "a.txt"
    file.write_bytes("\ufeff\n\n One. \r\nTwo.\r\n \t\r\n\nThrée.\n\n\n".encode())
    assert read_documents(file) == read_documents([str(file)]) == [["One.", "Two."], ["Thrée."]]


def test_folders_are_read_sorted_with_those_inside(tmp_path):
    (tmp_path / "b" / "deep").mkdir(parents=True)
    for name in ("c.txt", "b/deep/z.txt", "a.txt", "b/b.txt", "ignored.md"):
        (tmp_path / name).write_text(f"in {name}\n")
    assert read_documents(tmp_path) == [["in a.txt"], ["in b/b.txt"], ["in b/deep/z.txt"], ["in c.txt"]]
    assert read_documents([tmp_path / "ignored.md", tmp_path / "b"])[0] == ["in ignored.md"]


LINE = st.text(st.characters(codec="utf-8", exclude_characters="\n\ufeff")).filter(lambda line: line.strip())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(LINE, min_size=1, max_size=3), min_size=1, max_size=3))
def test_what_is_written_is_read(tmp_path_factory, documents):
    file = tmp_path_factory.mktemp("text") / "a.txt"
    file.write_bytes("\n\n".join("\n".join(document) for document in documents).encode())
    assert read_documents(file) == [[line.strip() for line in document] for document in documents]


def test_file_errors(tmp_path):
    (tmp_path / "empty.txt").write_text(" \n\n")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9 au lait")
    (tmp_path / "folder").mkdir()
    for name, message in [("missing", "missing: no such file or folder"), ("empty.txt", "empty.txt: no text"),
                          ("latin.txt", "latin.txt: not UTF-8: byte 0xe9 at offset 3"),
                          ("folder", r"folder: no \*.txt file")]:
        with pytest.raises(ValueError, match=message) as caught:
            read_documents(tmp_path / name)
        assert "\n" not in str(caught.value)


@settings(max_examples=60, deadline=None)
@given(st.integers(4, 60), st.floats(0.001, 0.999), st.integers(0, 99))
def test_hold_out(count, share, seed):
    documents = [[f"document {i}"] for i in range(count)]
    training, held_out = hold_out(documents, share, np.random.default_rng(seed))
    assert (training, held_out) == hold_out(documents, share, np.random.default_rng(seed))
    assert sorted(training + held_out) == sorted(documents)
    assert [d for d in documents if d in training] == training and [d for d in documents if d in held_out] == held_out
    assert len(held_out) == min(max(2, round(share * count)), count - 2)


def test_hold_out_is_random_and_says_what_is_wrong():
    documents = [[str(i)] for i in range(100)]
    one, other = (hold_out(documents, 0.1, np.random.default_rng(seed))[1] for seed in (0, 1))
    assert one != other
    for share in (0, 1, -0.5):
        with pytest.raises(ValueError, match=f"got {share}"):
            hold_out(documents, share, np.random.default_rng(0))
    with pytest.raises(ValueError, match="at least 4 documents, two on each side, got 3"):
        hold_out(documents[:3], 0.5, np.random.default_rng(0))


# ---- sentences


@pytest.mark.parametrize("text", [
    "One is here. | Two is there! | Three?",
    "Dr. J. R. Smith of the U.S. Army paid 3.14 dollars, i.e. Nothing much. | See Fig. 3, e.g. Monday, cf. Eq. 2.",
    'He said "Stop." | "Why?" | (Nobody knew.) | Then numpy.array was called. | What?! | Wait... | Yes.',
    "It was 3 p.m. and dark; version 2.0 came out, etc. and so on.",
    "Use `x.sum()`. | `Y` is next. | 7 days later. | École fermée. été",
    "他走了。|真的嗎？|「好！」|他說。|最後",
    "今天 3.14 元。|好",
    "",
])
def test_sentences(text):
    sentences = [part.strip() for part in text.split("|") if part]
    assert split_sentences(text.replace(" | ", " ").replace("|", "")) == sentences


@settings(max_examples=200, deadline=None)
@given(st.text("aB .!?\")(1é。？」\n"))
def test_no_letter_is_lost(text):
    sentences = split_sentences(text)
    assert "".join("".join(sentences).split()) == "".join(text.split())
    assert all(sentence and sentence == sentence.strip() for sentence in sentences)


@pytest.mark.parametrize("unit", [".", "a", "。", "a.", '!"', "A. ", " ", ". \n"])
def test_long_monotonous_text_takes_linear_time(unit):
    split_sentences(unit * 100_000)                           # minutes, if a pattern tried all ways to match


# ---- Python's own text


def test_prose():
    assert prose('''Return the sum of array elements over a given axis.

        The :class:`dtype` of *a* is used by ``default``, as in
        the function `numpy.sum`.

        Parameters
        ----------
        a : array_like
            Elements to sum
            in any order.
        axis, keepdims : None or int or tuple of ints, optional
            Axis or axes along which a sum is made.

        Returns
        -------
        sum_along_axis : ndarray
            An array with the same shape.

        .. versionadded:: 1.7.0

        See Also
        --------
        numpy.add : The equivalent for two arrays.

        Notes
        -----
        Some lists follow this line:

        - the first item is here
          and goes on
        1. the second item is there

        -c         This option has a description
                   of two lines.
        And a line follows it.

        Use it like this, please::

            for x in the list of all the numbers:

                print the number and go on

        The code above is gone.

        ==== ====
        a    b
        ==== ====

        >>> the sum of these numbers is
        and this result is not prose
        10.0

        x = f(a[0], b=3) + 1''') == [
        "Return the sum of array elements over a given axis.",
        "The dtype of a is used by default, as in the function numpy.sum.",
        "Elements to sum in any order.",
        "Axis or axes along which a sum is made.",
        "An array with the same shape.",
        "The equivalent for two arrays.",
        "Some lists follow this line:",
        "the first item is here and goes on",
        "the second item is there",
        "-c This option has a description of two lines.",
        "And a line follows it.",
        "Use it like this, please:",
        "The code above is gone.",
    ]


@pytest.fixture
def small_python(tmp_path, monkeypatch):
    """A Python installation of a few files, and no NumPy."""
    def write(path, text):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(textwrap.dedent(text).encode())

    write("lib/pydoc_data/topics.py", r"""
        # Autogenerated by Sphinx
        topics = {'assert': 'The statement\n*************\n\nAsserts are a convenient way to debug.\n',
                  'zero': r'''Nothing
        is divided by zero here.
        '''}
        """)
    write("lib/module.py", '''
        """The module does something useful."""
        raise SystemExit("this module is not to be imported")

        class A:
            # This comment is about the class
            # and has two lines.

            def b(self):
                "A single line is a docstring too."
                return """this is not a docstring
                    but has two lines."""

        add_newdoc("a", ("b", """
            An array whose documentation stands in a call of a function.
            """))

        def c():
            """An array whose documentation stands in a call of a function."""
            "short but not long enough to count"
        def d():
            """Do it.

            short but not long enough to count
            """
        ''')
    write("lib/broken.py", '"""This cannot be read by any Python."""\nprint "x"\n')
    write("lib/latin.py", "# -*- coding: latin-1 -*-\n'''The word is written here.'''\n")
    for skipped in ("site-packages/p.py", "test/t.py", "sub/tests/t.py", "sub/__pycache__/c.py"):
        write(f"lib/{skipped}", '"""The text of a file that is skipped."""')
    write("lib/sub/z.py", '"""The last of the modules is here."""')
    write("numpy/__init__.py", '"""The last of the modules is here, but longer than that."""')
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"stdlib": str(tmp_path / "lib")})
    monkeypatch.setattr(np, "__file__", str(tmp_path / "numpy" / "__init__.py"))


def test_documents_of_a_small_python(small_python):
    assert python_documents() == [
        ["Asserts are a convenient way to debug."],
        ["Nothing is divided by zero here."],
        ["The word is written here."],
        ["The module does something useful.",
         "This comment is about the class and has two lines.",
         "A single line is a docstring too.",
         "this is not a docstring but has two lines.",
         "An array whose documentation stands in a call of a function.",
         "short but not long enough to count",
         "short but not long enough to count"],
        ["The last of the modules is here."],
        ["The last of the modules is here, but longer than that."],
    ]


def test_the_text_of_this_python(monkeypatch):
    every = corpus._python_files
    monkeypatch.setattr(corpus, "_python_files", lambda root: list(every(root))[::4])        # a quarter of the time
    modules = set(sys.modules)
    documents = python_documents()
    imported = set(sys.modules) - modules
    assert all(name.startswith("encodings.") for name in imported)                   # sources are read, not imported
    paragraphs = [paragraph for document in documents for paragraph in document]
    words = [word for paragraph in paragraphs for word in paragraph.split()]
    assert len(documents) > 150 and len(words) > 100_000
    long = [paragraph for paragraph in paragraphs if len(paragraph.split()) >= 8]
    assert len(set(long)) == len(long)
    assert not any("\n" in paragraph or paragraph.startswith(">>>") for paragraph in paragraphs)
    assert sum(word in {"the", "a", "is", "of", "to"} for word in words) > 0.11 * len(words)
    assert any("assert" in paragraph for paragraph in documents[0])
