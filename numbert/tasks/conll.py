"""Tagged sentences, one word a line: CoNLL-U (Universal Dependencies) and the older column files (CoNLL-2003).

A file is read into sentences of words and tags, and its text is kept: `TaggedFile.with_tags` returns it with other
tags in the same places and every other character unchanged, so a prediction has the format of its input.
"""
import re
from typing import NamedTuple

from ..hub.files import read_text, write_text

CONLLU_COLUMNS = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")


class TaggedSentence(NamedTuple):
    """words and tags, one tag a word (None where CoNLL-U says "_", not specified), and where in the file each tag
    stands: (number of the line from 0, first character, character after the last)."""
    words: list
    tags: list
    places: list


class TaggedFile(NamedTuple):
    """The sentences of a file, its lines without their newlines, and the byte-order mark it began with or ""."""
    sentences: list
    lines: list
    mark: str

    def with_tags(self, tags):
        """The text of the file with these tags: for each sentence one for each word; None leaves what stands there.

        Raises ValueError if the counts differ or a tag is empty or holds white space.
        """
        if len(tags) != len(self.sentences):
            raise ValueError(f"{len(self.sentences)} sentences, tags for {len(tags)}")
        lines = list(self.lines)
        for sentence, new in zip(self.sentences, tags, strict=True):
            if len(new) != len(sentence.words):
                raise ValueError(f"the sentence at line {sentence.places[0][0] + 1} has {len(sentence.words)} words, "
                                 f"tags for {len(new)}")
            for (line, start, end), tag in zip(sentence.places, new, strict=True):
                if tag is None:
                    continue
                if not tag or re.search(r"\s", tag):
                    raise ValueError(f"line {line + 1}: {tag!r} cannot be a tag: it is empty or holds white space")
                lines[line] = lines[line][:start] + tag + lines[line][end:]
        return self.mark + "\n".join(lines)

    def write(self, path, tags):
        """Write `with_tags(tags)` to `path`."""
        write_text(path, self.with_tags(tags))


def read_conllu(path, column="UPOS"):
    """A CoNLL-U file (universaldependencies.org/format.html). Returns TaggedFile.

    Ten columns with a tab between them, a blank line after each sentence, comments behind "#". The words are the
    syntactic words, numbered 1, 2, 3...: "don't" as 1-2 stands in the file beside 1 "do" and 2 "n't" and has no tag
    of its own; an empty node (8.1) is no word. column: "UPOS" or "XPOS" (any of CONLLU_COLUMNS is taken).
    Raises ValueError with file and line for anything else.
    """
    if column not in CONLLU_COLUMNS:
        raise ValueError(f"column must be one of {', '.join(CONLLU_COLUMNS)}, got {column!r}")
    at = CONLLU_COLUMNS.index(column)

    def word_and_tag(line, words_so_far, place):
        if line.startswith("#"):
            return None
        spans = _spans(line, "\t")
        if len(spans) != 10 or line.count("\t") != 9:
            raise ValueError(f"{place}: {len(spans)} columns that are not empty and {line.count(chr(9))} tabs, "
                             f"CoNLL-U has 10 columns and 9 tabs")
        identity, form = line[slice(*spans[0])], line[slice(*spans[1])]
        kind = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9})|(\.\d+))?", identity, re.ASCII)
        if not kind:
            raise ValueError(f"{place}: ID {identity!r} is no number, range (1-2) or empty node (1.1)")
        number, last_of_range, empty = kind.groups()
        expected = words_so_far + (0 if empty else 1)               # 8.1 stands behind 8, the range 9-10 before 9
        if int(number) != expected or (last_of_range and int(last_of_range) < expected):
            raise ValueError(f"{place}: ID {identity!r} is out of order: {words_so_far} words of the sentence so far")
        return None if last_of_range or empty else (form, spans[at])

    return _read(path, word_and_tag, unspecified="_")


def read_conll(path, column=None):
    """A file of columns, as CoNLL-2003's: first the word, in another column its tag. Returns TaggedFile.

    Columns are separated by tabs if the first line with a word has one, else by spaces; a blank line ends a sentence;
    lines of the word -DOCSTART- separate documents and are no words. column: which one holds the tag, from 0 or, below
    0, from the end (-1: the last); None: there are two columns. Raises ValueError with file and line if a line has
    another number of columns than the first.
    """
    separator, width = None, None

    def word_and_tag(line, words_so_far, place):
        nonlocal separator, width
        if re.match(r"-DOCSTART-(\s|$)", line):
            return None
        separator = separator or ("\t" if "\t" in line else " ")
        spans = _spans(line, separator)
        if width is None:
            width = len(spans)
            if column is None and width != 2:
                raise ValueError(f"{place}: {width} columns, expected 2, a word and its tag (column=-1: the last)")
            if column is not None and not (0 < column < width or 0 < column + width < width):
                raise ValueError(f"{place}: {width} columns, so the tag cannot be column {column}")
        if len(spans) != width:
            raise ValueError(f"{place}: {len(spans)} columns, expected {width} as in the lines before")
        return line[slice(*spans[0])], spans[1 if column is None else column]

    return _read(path, word_and_tag)


def _read(path, word_and_tag, unspecified=None):
    """TaggedFile of a file whose lines `word_and_tag(line, words so far, place)` reads: (word, span of tag) or None."""
    text = read_text(path, keep_mark=True)
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    lines = text.removeprefix(mark).split("\n")
    sentences, sentence = [], TaggedSentence([], [], [])
    for number, line in enumerate(lines):
        if not line.strip(" \t\r"):
            if sentence.words:
                sentences.append(sentence)
                sentence = TaggedSentence([], [], [])
            continue
        found = word_and_tag(line.removesuffix("\r"), len(sentence.words), f"{path}: line {number + 1}")
        if found:
            word, (start, end) = found
            tag = line[start:end]
            sentence.words.append(word)
            sentence.tags.append(None if tag == unspecified else tag)
            sentence.places.append((number, start, end))
    if sentence.words:
        sentences.append(sentence)
    return TaggedFile(sentences, lines, mark)


def _spans(line, separator):
    """Where the columns of a line begin and end: [(start, end)]; several separators in a row count as one."""
    return [match.span() for match in re.finditer(f"[^{separator}]+", line)]
