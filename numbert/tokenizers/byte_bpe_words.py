"""Words as GPT-2 cuts them, and their bytes as characters that can be printed (Radford et al. 2019, section 2.2).

    "They're 12 — now\\n"  ->  "They"  "'re"  " 12"  " —"  " now"  "\\n"

Every character stays, in some word, and a space belongs to the word behind it: so putting the words side by side gives
back the text. The rule is one regular expression, `WORD`. As GPT-2 writes it, it needs \\p{L} and \\p{N}, all letters
and all numbers of Unicode, which Python's `re` lacks. So the text is first replaced, character by character, by its
shape, in which every letter that is not ASCII is an A, every number a 0; then ASCII's classes are enough.

The classes are those of Unicode 16, as in Hugging Face's `tokenizers` 0.23, whatever the version of Python (checked on
every code point with Unicode 13 to 15.1). One difference can arise: a Python that knows a younger Unicode has letters
and numbers in scripts that were added since.
"""
import re
import unicodedata

from .tokenizer import SPACES

# In GPT-2's own words: '(?:s|t|re|ve|m|ll|d)| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+. With what is usual
# in front, and with a space or none as two alternatives instead of an optional space, the same words are found sooner.
WORD = re.compile(" [A-Za-z]+|[A-Za-z]+"
                  "|'(?:s|t|re|ve|m|ll|d)"     # the English endings of they're, it's, we'll, ...
                  r"|[^\sA-Za-z0-9]+| [^\sA-Za-z0-9]+"
                  "| ?[0-9]+"
                  r"|\s+(?!\S)"                # white space, but for the last one when a word comes behind it,
                  r"|\s+",                     # which is part of that word if it is a space, and alone if not
                  re.ASCII)


def split_words(text):
    """The words of `text`, a list of str that together are `text`."""
    if text.isascii():
        return WORD.findall(text)
    return [text[match.start():match.end()] for match in WORD.finditer(text.translate(SHAPES))]


class Shapes(dict):
    """The table of shapes, code point -> a character of ASCII, filled in as characters are met."""

    def __missing__(self, code_point):
        self[code_point] = shape = self._shape(chr(code_point))
        return shape

    def _shape(self, char):
        if char.isascii():
            return char
        if char in SPACES:
            return "\t"
        category = unicodedata.category(char)
        if category == "Cn":
            category = "L" if _is_in(char, YOUNGER_LETTERS) else "N" if _is_in(char, YOUNGER_NUMBERS) else "Cn"
        return {"L": "A", "N": "0"}.get(category[0], "!")


def printable_bytes():
    """For each byte a character that can be seen: itself where Latin-1 has one, else one of U+0100, U+0101, ...

    So a token is a str that fits on a line and holds no space. The space is Ġ, the line feed Ċ.
    """
    characters = [chr(byte) for byte in range(256)]
    hidden = [byte for byte in range(256) if not (0x21 <= byte <= 0x7e or 0xa1 <= byte <= 0xff) or byte == 0xad]
    for position, byte in enumerate(hidden):
        characters[byte] = chr(0x100 + position)
    return characters


def _is_in(char, ranges):
    return any(first <= ord(char) <= last for first, last in ranges)


def _ranges(text):
    """The ranges written as "C5D 870-887", hexadecimal, ends included."""
    bounds = [[int(end, 16) for end in part.split("-")] for part in text.split()]
    return [(ends[0], ends[-1]) for ends in bounds]


# What came with Unicode 14, 15, 15.1 and 16: for versions of Python that do not know it yet.
YOUNGER_LETTERS = _ranges("""
    870-887 889-88E 8B5 8C8-8C9 C5D CDD 170D 171F 1B4C 1C89-1C8A 2C2F 2C5F 9FFD-9FFF A7C0-A7C1 A7CB-A7CD A7D0-A7D1 A7D3
    A7D5-A7DC A7F2-A7F4 10570-1057A 1057C-1058A 1058C-10592 10594-10595 10597-105A1 105A3-105B1 105B3-105B9 105BB-105BC
    105C0-105F3 10780-10785 10787-107B0 107B2-107BA 10D4A-10D65 10D6F-10D85 10EC2-10EC4 10F70-10F81 11071-11072 11075
    1123F-11240 11380-11389 1138B 1138E 11390-113B5 113B7 113D1 113D3 11740-11746 11AB0-11ABF 11BC0-11BE0 11F02
    11F04-11F10 11F12-11F33 12F90-12FF0 1342F 13441-13446 13460-143FA 16100-1611D 16A70-16ABE 16D40-16D6C 18CFF
    1AFF0-1AFF3 1AFF5-1AFFB 1AFFD-1AFFE 1B11F-1B122 1B132 1B155 1DF00-1DF1E 1DF25-1DF2A 1E030-1E06D 1E290-1E2AD
    1E4D0-1E4EB 1E5D0-1E5ED 1E5F0 1E7E0-1E7E6 1E7E8-1E7EB 1E7ED-1E7EE 1E7F0-1E7FE 2A6DE-2A6DF 2B735-2B739 2EBF0-2EE5D
    31350-323AF""")
YOUNGER_NUMBERS = _ranges("""
    10D40-10D49 116D0-116E3 11BF0-11BF9 11F50-11F59 16130-16139 16AC0-16AC9 16D70-16D79 1CCF0-1CCF9 1D2C0-1D2D3
    1E4F0-1E4F9 1E5F1-1E5FA""")

SHAPES = Shapes()
