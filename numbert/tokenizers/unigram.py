"""Unigram, ALBERT's tokenizer as a tokenizer.json describes it (Kudo 2018). Each piece has a score, the logarithm of
its probability. Of all ways to cut a word into pieces, the one with the largest sum of scores is taken.

    "The  Únaffable"  ->  prepared: the  unaffable  ->  ▁the  |  ▁unaffable  ->  ▁the  |  ▁un  aff  able

Pieces, ids and offsets are those of Hugging Face's `tokenizers`, and so of `AlbertTokenizer` in transformers 5, which
saves no spiece.model. With a spiece.model of the same pieces some texts are cut in another way: see sentence_piece.py.

These differences from `tokenizers` remain. No text becomes a special token when it is made small ("<PAD>"). Where the
charsmap takes out the first characters of a text, the offsets are right; those of `tokenizers` are too small by as many
characters. And marks stay where they are, where `tokenizers` sorts them (in canonical order). The capitals of some 50
young letters are known to only one of Python and `tokenizers`.
"""
from __future__ import annotations

import re
import unicodedata
from math import inf
from pathlib import Path

from . import unigram_files
from .albert import SPACE, SPECIAL_TOKENS, AlbertPieces
from .charsmap import CharsMap, is_mark
from .normalise import YOUNGER, characters
from .tokenizer import SPACES, Cache

RARER = 10.0            # how much the score of an unknown character is below that of the rarest piece
# Marks and composed letters that came after Unicode 9, which `tokenizers` leaves as they are. (In the steps of BERT it
# goes by Unicode 8.)
UNTOUCHED = YOUNGER - characters("""8D4-8E1 1885-1886 1DFB A8C5 A9BD 1123E 11435-11446 11C2F-11CB6 1E000-1E02A
    1E944-1E94A""") | characters("""1715 1CF7 32FF A7F2-A7F4 AB69 10781-107BA 11145-11146 111C9 111CE 1182C-1182E
    11930-11937 16F7F-16F87 16FF0-16FF1 1F16C 1FBF0-1FBF9""")


class UnigramTokenizer(AlbertPieces):
    """Texts to token ids and back. A text stands in [CLS] text [SEP], a pair in [CLS] text [SEP] text_pair [SEP].

    pieces: (piece, score) in the order of their ids. unknown: the id of what no piece matches. special_tokens,
    added_tokens, options: see `Tokenizer`. A text is prepared in these steps:
        quotes          ``quotes'' become "quotes"
        keep_accents    if False, é becomes e and ﬁ becomes fi: the compatible characters (NFKD) without marks
        lowercase       small letters only
        charsmap        the replacements of a `CharsMap`, None for none
        join_spaces     several spaces become one
        split_spaces    white space of any kind ends a word, and is left out; otherwise each space begins a word
    Raises ValueError for a piece that comes twice and for an unknown that is no id.
    """

    def __init__(self, pieces: list[tuple[str, float]], unknown: int, *,
                 special_tokens: dict[str, str] = SPECIAL_TOKENS, added_tokens: dict[str, bool] | None = None,
                 quotes: bool = True, keep_accents: bool = False, lowercase: bool = True,
                 charsmap: CharsMap | None = None, join_spaces: bool = False, split_spaces: bool = True, **options):
        super().__init__((piece for piece, _ in pieces), SPECIAL_TOKENS | special_tokens, added_tokens, **options)
        own = self.tokens[:self.cut_from]
        if len(set(own)) < len(own):
            raise ValueError(f"piece {min(piece for piece in set(own) if own.count(piece) > 1)!r:.100} comes twice")
        if not 0 <= unknown < len(own):
            raise ValueError(f"unknown must be the id of one of {len(own)} pieces, got {unknown}")
        self.scores, self.unknown = [score for _, score in pieces], unknown
        self.quotes, self.keep_accents, self.lowercase = quotes, keep_accents, lowercase
        self.charsmap, self.join_spaces, self.split_spaces = charsmap, join_spaces, split_spaces
        special = {*self.all_special_ids, unknown}
        # What the pieces of plain text may be: whatever the scores say, none is a special token.
        self._ordinary = {piece: index for index, piece in enumerate(own) if index not in special}
        self._longest = max(map(len, self._ordinary), default=0)
        self._letters, self._words = Cache(self._plain_letters), Cache(self.cut_word)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> UnigramTokenizer:
        """The tokenizer saved in `folder`: tokenizer.json with its configuration files, if there are any.

        Raises CheckpointError, naming the file, for anything that this class would not apply as its authors meant it.
        """
        return cls(**unigram_files.read(folder))

    def save_pretrained(self, folder: str | Path) -> None:
        """Write tokenizer.json, tokenizer_config.json and special_tokens_map.json, as transformers reads them."""
        unigram_files.write(folder, self)

    # Texts to ids

    def normalise(self, text: str) -> str:
        return self.prepare(text)[0]

    def align_normalised(self, text: str) -> list[tuple[int, int]]:
        return [(place, place + 1) for place in self.prepare(text)[1]]

    def prepare(self, text: str) -> tuple[str, list[int]]:
        """(the text that is cut, for each of its characters the index in `text` of the one that it came from)."""
        places = list(range(len(text)))
        for quote in ("``", "''") if self.quotes else ():
            text, places = _joined(quote, '"', text, places)
        text, places = _replaced([(char, self._letters[char]) for char in text], places)
        if self.charsmap:
            text, places = _replaced(self.charsmap.replacements(text), places)
        return _joined(" {2,}", " ", text, places) if self.join_spaces else (text, places)

    def _plain_letters(self, char):
        if not self.keep_accents and char not in UNTOUCHED:
            char = "".join(part for part in unicodedata.normalize("NFKD", char) if not is_mark(part))
        return "".join(part.lower() for part in char) if self.lowercase else char

    def cut_word(self, word: str) -> list[tuple[int, int, int]]:
        """The most probable pieces of a word, (id, start, end): Viterbi's algorithm. Unknown characters that stand side
        by side are one piece."""
        unknown = min(self.scores) - RARER
        best = [(0.0, 0, 0)] + [(-inf, 0, 0)] * len(word)    # for each end: the sum of scores, last piece's start, id
        for start in range(len(word)):
            found = [(end, index) for end in range(start + 1, min(start + self._longest, len(word)) + 1)
                     if (index := self._ordinary.get(word[start:end])) is not None]
            steps = [(end, index, self.scores[index]) for end, index in found]
            if not found or found[0][0] > start + 1:
                steps.append((start + 1, self.unknown, unknown))
            for end, index, score in steps:
                if best[start][0] + score > best[end][0]:
                    best[end] = best[start][0] + score, start, index
        pieces, end = [], len(word)
        while end:
            _, start, index = best[end]
            if pieces and index == self.unknown == pieces[-1][0]:
                pieces[-1] = index, start, pieces[-1][2]
            else:
                pieces.append((index, start, end))
            end = start
        return pieces[::-1]

    def cut(self, text: str) -> list[list[tuple[int, int, int]]]:
        """A word begins with ▁, for the space before it; where there is none, the ▁ has the place of the next
        character."""
        text, places = self.prepare(text)
        words = []
        for stretch in re.finditer(f"[^{SPACES}]+", text) if self.split_spaces else re.finditer("(?s).+", text):
            spaced, at = stretch.group().replace(" ", SPACE), places[stretch.start():stretch.end()]
            if not spaced.startswith(SPACE):
                spaced, at = SPACE + spaced, [at[0], *at]
            for word in re.finditer(f"{SPACE}[^{SPACE}]*", spaced):
                first = word.start()
                words.append([(index, at[first + start], at[first + end - 1] + 1)
                              for index, start, end in self._words[word.group()]])
        return words

    def cut_to_ids(self, text: str) -> list[int]:
        return [index for word in self.cut(text) for index, _, _ in word]


def _replaced(parts, places):
    """The text and the places of (old, new) parts: new characters beyond the number of old ones have the last place."""
    kept, first = [], 0
    for old, new in parts:
        kept += [places[first + min(i, len(old) - 1)] for i in range(len(new))]
        first += len(old)
    return "".join(new for _, new in parts), kept


def _joined(pattern, new, text, places):
    """The text and the places when a character takes the place of what matches, as in `tokenizers` that of its end."""
    for match in reversed(list(re.finditer(pattern, text))):
        del places[match.start():match.end() - 1]
    return re.sub(pattern, new, text), places
