"""Text to learn from: documents, each a list of paragraphs.

BERT's pre-training wants documents, not loose lines: the next sentence must be known, and a random sentence must come
from somewhere else.  The file format is that of Google's BERT: UTF-8, a paragraph (or a sentence) a line, a blank line
between documents.

No download is needed to try it: every Python carries its manual and its docstrings with it, and those of NumPy.
`python_documents` makes a small corpus of English from them, without a download.
"""
from __future__ import annotations

import ast
import inspect
import itertools
import os
import re
import sysconfig
import tokenize
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.random import Generator

from ..hub.files import read_text
from .documents import Documents, text_files

# ---- files -----------------------------------------------------------------------------------------------------------


def read_documents(paths: str | os.PathLike | Iterable[str | os.PathLike]) -> list[list[str]]:
    """The documents of text files: a list of documents, each a list of paragraphs (str, not empty).

    `paths` is one path or several; `Documents.of` says what is read of a folder and what is refused, and gives the same
    without reading all of it into memory.
    """
    documents = []
    for file in text_files([paths] if isinstance(paths, str | os.PathLike) else paths):
        blocks = re.split(r"\n\s*\n", read_text(file).strip())
        found = [[line.strip() for line in block.split("\n")] for block in blocks if block]
        if not found:
            raise ValueError(f"{file}: no text in it")
        documents += found
    return documents


def hold_out(documents: Sequence[list[str]], share: float,
             rng: Generator) -> tuple[Sequence[list[str]], Sequence[list[str]]]:
    """Split documents into (training, held-out), both in their old order; `share` of the documents is held out.

    Whole documents are held out, so that no sentence is learnt from its neighbours. At least two stay on each side:
    the next-sentence task needs another document. Raises ValueError for fewer than four.
    """
    if not 0 < share < 1:
        raise ValueError(f"share must be between 0 and 1, got {share}")
    if len(documents) < 4:
        raise ValueError(f"holding out needs at least 4 documents, two on each side, got {len(documents)}")
    count = min(max(2, round(share * len(documents))), len(documents) - 2)
    held = set(rng.permutation(len(documents))[:count].tolist())
    sides = [i for i in range(len(documents)) if i not in held], sorted(held)
    return tuple(documents.chosen(side) if isinstance(documents, Documents) else [documents[i] for i in side]
                 for side in sides)


# ---- sentences -------------------------------------------------------------------------------------------------------

_ABBREVIATIONS = frozenset("""
    mr mrs ms dr prof st jr sr vs cf fig figs eq eqs sec secs ch vol pp ed eds al approx ca viz resp
    jan feb mar apr jun jul aug sep sept oct nov dec
    """.split())
_INITIALS = re.compile(r"[A-Z]|(?:[A-Za-z]\.)+[A-Za-z]")                             # J. Smith, U.S. Army, i.e. this
_END = re.compile(r"""
    (?<![.!?]) (?P<mark> [.!?]+ ) [\"'”’»)\]`*]* \s+ (?= [\"'“‘«(\[`*]* (?P<next> [^\W_] ) )  # a space
  | [。！？]+ [”’」』）】]* \s*                                                              # Chinese: none needed
    """, re.VERBOSE)


def split_sentences(text: str) -> list[str]:
    """The sentences of a paragraph, a list of str.

    A sentence ends at . ! or ? (with the quotes or brackets that close after it) before white space and a capital or a
    digit, so `3.14` and `numpy.array` stay whole; but not after an abbreviation (`Dr.`, `Fig.`), an initial
    (`J. Smith`) or letters with full stops (`i.e.`, `U.S.`). In Chinese it ends at 。！？ and the quotes that follow.

    This is a heuristic: it misses the end in "He left the U.S. Then ..." and splits after "No. 5".
    """
    sentences, start = [], 0
    for end in _END.finditer(text):
        if end["mark"] and end["next"].islower():
            continue
        if end["mark"] == "." and _is_abbreviation(text[max(start, end.start() - 40):end.start()]):
            continue
        sentences.append(text[start:end.end()].strip())
        start = end.end()
    sentences.append(text[start:].strip())
    return [sentence for sentence in sentences if sentence]


def _is_abbreviation(before):
    """Whether the full stop after this text (its end is enough) belongs to its last word."""
    word = re.search(r"\w*(?:\.\w+)*\Z", before).group()
    return word.lower() in _ABBREVIATIONS or _INITIALS.fullmatch(word) is not None


# ---- the text that every Python has ----------------------------------------------------------------------------------

_SKIPPED_FOLDERS = frozenset("site-packages dist-packages test tests idle_test __pycache__ pydoc_data".split())
_LONG = 8                                                     # words; a paragraph that long is kept only once


def python_documents() -> list[list[str]]:
    """English without a download: the manual, docstrings and comments of Python's standard library and of NumPy.

    Returns documents like `read_documents`: each topic of the manual (`pydoc_data.topics`) and each module is one; a
    module's paragraphs are its docstrings and comments in the order of the source. The source is parsed, never
    imported; test packages are left out. Code, tables, headings and parameter lists are dropped as far as they are
    easily recognised, and a paragraph of eight words or more is kept only where it occurs first (so held-out documents
    share none with training). It takes some seconds. The order is the same each time; the text depends on the versions:
    Python 3.11 and NumPy 2.4 give 630,000 words.
    """
    sources = [path for root in (sysconfig.get_paths()["stdlib"], Path(np.__file__).parent)
               for path in _python_files(Path(root))]
    texts = itertools.chain(_topics(), map(_module_texts, sources))
    seen, documents = set(), []
    for document in texts:
        paragraphs = []
        for paragraph in itertools.chain.from_iterable(map(prose, document)):
            if paragraph not in seen:
                paragraphs.append(paragraph)
                if paragraph.count(" ") >= _LONG - 1:
                    seen.add(paragraph)
        if paragraphs:
            documents.append(paragraphs)
    return documents


def _topics():
    """The texts of pydoc_data/topics.py, which is one literal: topics = {name: text, ...}."""
    _, tree = _parse(Path(sysconfig.get_paths()["stdlib"], "pydoc_data", "topics.py"))
    for node in tree.body:
        if isinstance(node, ast.Assign):
            yield from ([text] for text in ast.literal_eval(node.value).values())


def _python_files(root):
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(set(folders) - _SKIPPED_FOLDERS)
        yield from (Path(folder, file) for file in sorted(files) if file.endswith(".py"))


def _module_texts(path):
    """Docstrings, other strings over several lines, and runs of comment lines, in the order of the source."""
    source, tree = _parse(path)
    found = dict(_strings(tree))
    for comment in re.finditer(r"(?:^[ \t]*#.*\n)+", source, re.MULTILINE):
        line = source.count("\n", 0, comment.start()) + 1
        found.setdefault(line, re.sub(r"^[ \t]*#+[:!|]?", "", comment.group(), flags=re.MULTILINE))
    return [text for _, text in sorted(found.items())]


def _strings(node):
    """(line, text) of the strings that are statements or stand on several lines. Only what spans lines is entered."""
    for child in ast.iter_child_nodes(node):
        string = child.value if isinstance(child, ast.Expr) else child
        spans_lines = getattr(child, "end_lineno", 0) > getattr(child, "lineno", 0)
        if isinstance(string, ast.Constant) and isinstance(string.value, str) and (spans_lines or string is not child):
            yield string.lineno, string.value
        elif spans_lines:
            yield from _strings(child)


def _parse(path):
    """Source and syntax tree of a file; both empty if this Python cannot read it (a template, an older syntax)."""
    try:
        with warnings.catch_warnings(), tokenize.open(path) as file:
            warnings.simplefilter("ignore")                   # invalid escapes in other people's strings
            source = file.read()
            return source, ast.parse(source)
    except (SyntaxError, ValueError):
        return "", ast.Module([], [])


_RULE = re.compile(r"([-=~*^\"#+_.:`])\1{2,}")
_ITEM = re.compile(r"^(?:[-*+•o]|\(?\d{1,2}[.)]|\(?[a-z]\))\s+(?=\S)")
_DEFINITION = re.compile(r"\S+(?:, ?\S+)* :((?: .*)?)")
_MARKUP = [(re.compile(r":[\w:]+:`([^`]*)`"), r"\1"), (re.compile(r"`+([^`]*)`+_*"), r"\1"),
           (re.compile(r"(?<!\w)\*{1,2}(\w[^*]*?)\*{1,2}(?!\w)"), r"\1"), (re.compile(r"::$"), ":"),
           (re.compile(r"\s+"), " ")]
_WORD = re.compile(r"[\"'(\[]*[^\W\d_]+(?:[-'’][^\W\d_]+)*[\"')\]]*[.,;:!?]*[\"')\]]*")


def prose(text: str) -> list[str]:
    """The paragraphs of a docstring that read as English, each on one line.

    Dropped are, line by line: everything from `>>>` to the next blank line, headings with a line of dashes below,
    directives (`.. note::`) and parameter lines (`x : array_like`); then, indented after `::`, code; and last any
    paragraph with fewer than four words or in which less than 70% of the words are plain ones (letters and
    punctuation). Mark-up for code and emphasis is taken off. A new paragraph begins after a blank line, at a list
    item, and where indentation ends.
    """
    paragraphs = [" ".join(lines) for lines in _paragraph_lines(inspect.cleandoc(text).split("\n"))]
    for pattern, replacement in _MARKUP:
        paragraphs = [pattern.sub(replacement, paragraph).strip() for paragraph in paragraphs]
    return [paragraph for paragraph in paragraphs if _is_english(paragraph)]


def _paragraph_lines(lines):
    """Lists of lines that belong together, without the lines whose form is not that of prose."""
    paragraphs, last, code = [[]], "", None                   # code: the indentation that a block of code goes beyond
    for line, below in itertools.pairwise([*lines, ""]):
        words, indent = line.strip(), _indent(line)
        if code is not None and (not words or indent > code):
            code = None if code < 0 and not words else code   # a blank line ends a session (-1), not what follows "::"
            paragraphs.append([])
            continue
        code = -1 if words.startswith((">>>", "$ ")) else indent if words.endswith("::") else None
        definition = _DEFINITION.fullmatch(words)
        if definition:
            words = definition[1].strip() if definition[1].endswith(".") else ""
        heading = _RULE.fullmatch(words) or _RULE.fullmatch(below.strip())
        deeper = indent - _indent(last)
        if not words or heading or code == -1 or words.startswith(".."):
            paragraphs.append([])
        elif definition or deeper < 0 or (deeper > 0 and last.endswith(":")) or _ITEM.match(words):
            paragraphs.append([_ITEM.sub("", words)])
        else:
            paragraphs[-1].append(words)
        last = line.rstrip()
    return paragraphs


def _indent(line):
    return len(line) - len(line.lstrip())


def _is_english(paragraph):
    words = paragraph.split()
    return len(words) >= 4 and sum(_WORD.fullmatch(word) is not None for word in words) >= 0.7 * len(words)
