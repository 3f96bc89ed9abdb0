"""From raw text to plain words: what BERT does to a text before WordPiece sees it.

    "Crème brûlée,\\n東京"  ->  creme  brulee  ,  東  京

Control characters go, white space becomes a space, letters lose accents and capitals, and every punctuation mark
and every Chinese character becomes a word of its own. Each of these steps looks at one character at a time. So the
whole pipeline is a table from a character to the text that takes its place, and `str.translate` applies it:

    "É" -> "e"     "," -> " , "     "東" -> " 東 "     "\\n" -> " "     "\\0" -> ""

The same table tells where each character of the result came from (`align`).

The steps are those of `BasicTokenizer` in google-research/bert (tokenization.py). Published vocabularies are used with
Hugging Face's `tokenizers` today, and where the two differ this file follows the latter, checked on every code point:
- its character classes are those of Unicode 8 (2015): a younger mark is no accent, a younger stop no punctuation
  (`YOUNGER` below), and unassigned characters stay in the word where Google's code deletes them;
- U+2B820..U+2B91F are not spaced as Chinese.
Two differences remain. Capital letters are those of Python's Unicode, which may be older or younger than that of
`tokenizers`. And marks stay where they are, where `tokenizers` sorts them (Unicode's canonical order); that can be seen
in the offsets of a word in which a mark that is no accent, such as U+302E, stands beside another mark.
"""
from __future__ import annotations

import unicodedata
from collections.abc import Sequence


class Normaliser(dict):
    """The table of replacements, code point -> str, filled in as characters are met; `str.translate` takes it as it is.

    lowercase: small letters only. strip_accents: é becomes e; None means "as lowercase", as in BERT.
    tokenize_chinese_chars: each Chinese character is a word. clean_text: control characters go.
    """

    def __init__(self, lowercase: bool = True, strip_accents: bool | None = None, tokenize_chinese_chars: bool = True,
                 clean_text: bool = True):
        super().__init__()
        self.lowercase = bool(lowercase)
        self.strip_accents = self.lowercase if strip_accents is None else bool(strip_accents)
        self.tokenize_chinese_chars = bool(tokenize_chinese_chars)
        self.clean_text = bool(clean_text)
        self.letters = Letters(self.lowercase, self.strip_accents, self.tokenize_chinese_chars, self.clean_text)

    def words(self, text: str) -> list[str]:
        """The words of `text`, a list of str."""
        text = text.translate(self)
        # Python's split() takes U+001C..U+001F for white space; they are part of a word, unless cleaning removed them.
        return text.split() if self.clean_text else [word for word in text.split(" ") if word]

    def align(self, text: str) -> tuple[list[str], Sequence[int]]:
        """The words of `text`, and for each of their characters the index in `text` of the one that it came from."""
        words = self.words(text)
        if text.isascii() and sum(map(len, words)) == len(text):  # each character has become one: the usual case
            return words, range(len(text))
        return words, [index for index, char in enumerate(text) for part in self[ord(char)] if part != " "]

    def clean(self, text: str) -> str:
        """`text` before punctuation is set apart."""
        return text.translate(self.letters)

    def align_clean(self, text: str) -> list[tuple[int, int]]:
        """For each character of `clean(text)` the (start, end) of the one that it came from in `text`."""
        return [(place, place + 1) for place, char in enumerate(text) for _ in self.letters[ord(char)]]

    def __missing__(self, code_point):
        self[code_point] = text = "".join(" " if is_white_space(part) else f" {part} " if is_punctuation(part) else part
                                          for part in self.letters[code_point])
        return text


class Letters(dict):
    """The table of `Normaliser.clean`."""

    def __init__(self, lowercase: bool, strip_accents: bool, tokenize_chinese_chars: bool, clean_text: bool):
        super().__init__()
        self.lowercase, self.strip_accents = lowercase, strip_accents
        self.tokenize_chinese_chars, self.clean_text = tokenize_chinese_chars, clean_text

    def __missing__(self, code_point):
        self[code_point] = text = self._cleaned(chr(code_point))
        return text

    def _cleaned(self, char):
        if self.clean_text and is_control(char):
            return ""
        if is_white_space(char):
            return " " if self.clean_text else char
        text = char
        if self.strip_accents:
            text = "".join(part for part in decompose(char) if category(part) != "Mn")
        if self.lowercase:
            text = text.lower()
        return f" {text} " if self.tokenize_chinese_chars and is_chinese(char) else text


def is_control(char: str) -> bool:
    """True for what cleaning deletes: control, format and private characters, U+FFFD, halves of surrogate pairs."""
    return char == "\ufffd" or (category(char) in ("Cc", "Cf", "Co", "Cs") and char not in "\t\n\r")


def is_white_space(char: str) -> bool:
    """True for Unicode's spaces and ends of lines, and for tabulators."""
    return char in "\t\n\v\f\r\x85" or category(char) in ("Zs", "Zl", "Zp")


def is_punctuation(char: str) -> bool:
    """True for Unicode's punctuation and for every printable ASCII character that is no letter or digit ($, +, ^)."""
    if char < "\x7f":
        return char > " " and not char.isalnum()
    return category(char).startswith("P")


def is_chinese(char: str) -> bool:
    """True for the CJK ideographs. Japanese kana and Korean Hangul are not among them: those are written in words."""
    return any(first <= char <= last for first, last in CHINESE)


def decompose(char: str) -> str:
    """`char` as a base letter followed by its marks (Unicode's NFD), a Hangul syllable as its letters."""
    return char if char in YOUNGER else unicodedata.normalize("NFD", char)


def category(char: str) -> str:
    """Unicode's general category of `char` as of Unicode 8, whatever the version of Python."""
    if char in YOUNGER:
        return "Lo"
    return CHANGED.get(char) or unicodedata.category(char)


def characters(ranges: str) -> frozenset[str]:
    """The characters of ranges written as "5C8-5C9 61D", hexadecimal, ends included."""
    bounds = [[int(end, 16) for end in part.split("-")] for part in ranges.split()]
    return frozenset(chr(code) for ends in bounds for code in range(ends[0], ends[-1] + 1))


CHINESE = ("\u4e00", "\u9fff"), ("\u3400", "\u4dbf"), ("\U00020000", "\U0002a6df"), ("\U0002a700", "\U0002b81f"), \
          ("\U0002b920", "\U0002ceaf"), ("\uf900", "\ufaff"), ("\U0002f800", "\U0002fa1f")

# Marks, punctuation, format characters and composed letters that came after Unicode 8 (looked up in Unicode 18), and
# for shorter ranges the code points between them, to which nothing is done either.
YOUNGER = characters("""
    5C8-5C9 61D 7FD 890-8E2 9FD-9FE A76 AFA-AFF B53-B55 C04-C3C C77 C84 D00 D3B-D3C D81 EBA ECE 180F-1886 1ABF-1AF0
    1B4E-1B4F 1B7D-1B7F 1DF6-1DFB 2E43-2E63 A82C A8C5 A8FF A9BD 105C9-105E4 10D24-10F89 11070-11074 110C2-110CD 111CF
    1123E-11241 1133B 11383-1145E 11660-1166C 116B9 1182F-1183B 11938-11FFF 12FF1-13455 1611E-1612F 16D68-16D6F
    16E97-16F4F 16FE2-16FE4 1CF00-1D128 1D25B-1D25C 1E000-1E6F5 1E944-1E95F""")
CHANGED = {"\u166d": "Po", "\u1734": "Mn", "\U000111c9": "Po", "\U0001171e": "Mn"}  # put in another category since
