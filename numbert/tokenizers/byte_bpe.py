"""Byte-level BPE, the tokenizer of GPT-2 and RoBERTa (Radford et al. 2019, section 2.2): nothing is ever unknown.

    "low lowest"  ->  words "low" " lowest"  ->  l o w   Ġ l o w e s t  ->  low   Ġlow est

A text is cut into words, a space being part of the word behind it, and a word is taken as its UTF-8 bytes, each written
as a character that can be seen: the space is Ġ (byte_bpe_words.py). There are 256 bytes and all are tokens, so any text
can be written, and read back as it was. Then neighbours are joined, in the order in which training joined them
(byte_bpe_training.py). byte_bpe_files.py describes the files of published tokenizers.

Ids, offsets and word ids are those of `ByteLevelBPETokenizer` in Hugging Face's `tokenizers`.

Bytes that are no UTF-8 are written as Python writes them in a str: tokenizer(data.decode("utf-8", "surrogateescape")).
"""
from __future__ import annotations

import heapq
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import pairwise, repeat
from pathlib import Path

from . import byte_bpe_files
from .byte_bpe_files import ROBERTA
from .byte_bpe_training import learn_merges
from .byte_bpe_words import printable_bytes, split_words
from .tokenizer import SPACES, Cache, Tokenizer, check_text, special_token_id

CHARACTERS = printable_bytes()
BYTES = {char: byte for byte, char in enumerate(CHARACTERS)}
SPACE = CHARACTERS[ord(" ")]
SHORT = 32                          # bytes of a word up to which `_join` is faster: 8 take two thirds of the time


class ByteLevelBPETokenizer(Tokenizer):
    """Texts to token ids and back. Batches have no token_type_ids: neither GPT-2 nor RoBERTa has segments.

    vocabulary: the tokens in the order of their ids. merges: pairs of tokens, in the order in which they are joined.
    special_tokens: their names, by role, such as `ROBERTA` and `GPT2` of byte_bpe_files.py. With a cls and a sep among
    them a text is framed as in RoBERTa, <s> text </s> and <s> text </s></s> text_pair </s>, all token type ids 0;
    without, not at all. Merges are followed as they are: if a file has one that spells a special token, so may a text.

    added_tokens, strip_left, options: see `Tokenizer`. <mask> of RoBERTa stands for a word with the space before it.

    add_prefix_space: treat the first word of a text as if a space stood before it, as before all others.
    trim_offsets: let the offsets of " word" be those of "word"; None means as in RoBERTa, True, or GPT-2, False.
    trim_first_space: also for the first token of a text; None means unless add_prefix_space put the space there.
    """

    has_segments = False

    def __init__(self, vocabulary: Iterable[str], merges: Iterable[tuple[str, str]], *,
                 special_tokens: dict[str, str] = ROBERTA, added_tokens: dict[str, bool] | None = None,
                 strip_left: Iterable[str] = ("<mask>",), add_prefix_space: bool = False,
                 trim_offsets: bool | None = None, trim_first_space: bool | None = None, **options):
        super().__init__(vocabulary, special_tokens, added_tokens, strip_left=strip_left, **options)
        self.merges = [tuple(pair) for pair in merges]
        framed = {"cls", "sep"} <= self.special_tokens.keys()
        if framed:
            self.frame, self.pair_type_id = ((("cls",), ("sep",)), (("sep",), ("sep",))), 0
        self.add_prefix_space = bool(add_prefix_space)
        self.trim_offsets = framed if trim_offsets is None else bool(trim_offsets)
        self.trim_first_space = not self.add_prefix_space if trim_first_space is None else bool(trim_first_space)
        self._byte_ids = {byte: self.vocab[char] for byte, char in enumerate(CHARACTERS) if char in self.vocab}
        self._ranks, self._joined = {}, []  # pair of ids -> its rank among the merges; by rank, the id that it becomes
        for rank, pair in enumerate(self.merges):
            for token in (*pair, "".join(pair)):
                if token not in self.vocab:
                    raise ValueError(f"merge {rank} joins {' and '.join(pair)}, but {token} is not in the vocabulary")
            left, right, joined = (self.vocab[token] for token in (*pair, "".join(pair)))
            self._ranks[left, right] = rank
            self._joined.append(joined)
        self._word_ids = Cache(self._ids_of_word)

    # Learning, loading, saving

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int = 8000, min_frequency: int = 2,
              special_tokens: dict[str, str] = ROBERTA, add_prefix_space: bool = False,
              **options) -> ByteLevelBPETokenizer:
        """A tokenizer whose vocabulary of `vocab_size` entries is learnt from `texts`, an iterable of str.

        The special tokens come first, for RoBERTa <s> <pad> </s> <unk> <mask>, then the 256 bytes, then longer pieces
        in the order in which they were joined. Pairs seen fewer than `min_frequency` times are not joined. The same
        texts give the same vocabulary, that of `tokenizers`. options: see the class. Warns when the texts are too small
        for that many entries.
        """
        first = [*dict.fromkeys([*special_tokens.values(), *(options.get("added_tokens") or ())])]
        first += sorted(char for char in CHARACTERS if char not in first)
        if vocab_size < len(first):
            raise ValueError(f"vocab_size must be at least {len(first)}, the special tokens and 256 bytes, "
                             f"got {vocab_size}")
        if isinstance(texts, str):
            raise TypeError("texts must be an iterable of str, got one str")
        counts = Counter()
        for text in texts:
            counts.update(split_words(_prefixed(check_text(text), add_prefix_space)))
        counts = {"".join(CHARACTERS[byte] for byte in _encode(word)): count for word, count in counts.items()}
        tokens, merges = learn_merges(counts, first, vocab_size, min_frequency)
        if len(tokens) < vocab_size:
            warnings.warn(f"the texts give only {len(tokens)} entries, not vocab_size = {vocab_size}: "
                          f"no other pair is worth joining (min_frequency = {min_frequency})", stacklevel=2)
        return cls(tokens, merges, special_tokens=special_tokens, add_prefix_space=add_prefix_space, **options)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> ByteLevelBPETokenizer:
        """The tokenizer saved in `folder`: vocab.json and merges.txt with their configuration, or else tokenizer.json.

        Raises ValueError, naming the file, for anything that this class would not apply as its authors meant it.
        """
        return cls(**byte_bpe_files.read(folder))

    def save_pretrained(self, folder: str | Path) -> None:
        """Write vocab.json, merges.txt, two files of configuration and tokenizer.json, as transformers reads them."""
        byte_bpe_files.write(folder, self)

    # Texts to ids

    def cut_word(self, word: str) -> list[int]:
        """The ids of one word: the pair of neighbours that is first among the merges, the leftmost among equals, is
        joined, until there is none."""
        try:
            symbols = list(map(self._byte_ids.__getitem__, _encode(word)))
        except KeyError as error:
            byte, = error.args
            raise ValueError(f"the vocabulary has no token for the byte {byte:#04x} of {word[:50]!r}") from None
        return self._join(symbols) if len(symbols) <= SHORT else self._join_many(symbols)

    def _join(self, symbols):
        """Looks through all ranks again and again: faster where they are few."""
        rank_of, none = self._ranks.get, len(self._joined)
        symbols = [*symbols, None]      # is joined with nothing; at -1, it also stands before the first
        ranks = [*map(rank_of, pairwise(symbols), repeat(none)), none]
        while (rank := min(ranks)) < none:
            left = ranks.index(rank)
            symbols[left] = symbol = self._joined[rank]
            del symbols[left + 1], ranks[left]
            ranks[left - 1] = rank_of((symbols[left - 1], symbol), none)
            ranks[left] = rank_of((symbol, symbols[left + 1]), none)
        return symbols[:-1]

    def _join_many(self, symbols):
        """A heap has the pairs, so a word of n bytes takes time in proportion to n log n."""
        ranks, size = self._ranks, len(symbols)
        before, after = list(range(-1, size - 1)), list(range(1, size + 1))
        heap = [(ranks[pair], place) for place, pair in enumerate(pairwise(symbols)) if pair in ranks]
        heapq.heapify(heap)
        while heap:
            rank, left = heapq.heappop(heap)
            right = after[left]
            if right == size or ranks.get((symbols[left], symbols[right])) != rank:
                continue  # one of the two has been joined with another neighbour since
            symbol = self._joined[rank]
            symbols[left], symbols[right] = symbol, None
            after[left] = end = after[right]
            if end < size:
                before[end] = left
                if (pair := (symbol, symbols[end])) in ranks:
                    heapq.heappush(heap, (ranks[pair], left))
            if (start := before[left]) >= 0 and (pair := (symbols[start], symbol)) in ranks:
                heapq.heappush(heap, (ranks[pair], start))
        return [symbol for symbol in symbols if symbol is not None]

    def cut(self, text: str) -> Iterator[list[tuple[int, int, int]]]:
        prefixed = _prefixed(text, self.add_prefix_space)
        place = len(text) - len(prefixed)  # in `text`; the space that was put in is at -1, and counts as character 0
        for word in split_words(prefixed):
            # For each byte of the word the character of the text that it is from (the short way for ASCII saves 20%).
            sources = range(place, place + len(word)) if word.isascii() else \
                [place + index for index, char in enumerate(word) for _ in _encode(char)]
            parts, first = [], 0
            for index in self._word_ids[word]:
                end = first + len(self.tokens[index])  # a character of a token is a byte of the text
                parts.append((index, max(sources[first], 0), max(sources[end - 1], 0) + 1))
                first = end
            yield parts
            place += len(word)

    def cut_to_ids(self, text: str) -> Iterable[int]:
        words = split_words(_prefixed(text, self.add_prefix_space))
        ids = []
        any(map(ids.extend, map(self._word_ids.__getitem__, words)))    # extend returns None; faster than chaining them
        return ids

    def _ids_of_word(self, word):
        return tuple(self.cut_word(word))       # which the garbage collector need not visit

    def _pieces(self, text, special_tokens_in_text):
        pieces = super()._pieces(text, special_tokens_in_text)
        if not self.trim_offsets:
            return pieces
        spans = [self._trim(self.tokens[index], start, end, text)
                 for index, start, end in zip(*pieces[:3], strict=True)]
        return pieces._replace(starts=[start for start, _ in spans], ends=[end for _, end in spans])

    def _trim(self, token, start, end, text):
        """The offsets of a piece without the white space that it begins and ends with, as RoBERTa's leave it out."""
        stripped = token in self.strip_left or token in self.strip_right
        surface = text[start:end] if stripped else token
        leading = len(surface) - len(surface.lstrip(SPACE + SPACES))
        trailing = len(surface) - len(surface.rstrip(SPACE + SPACES))
        if not leading and not trailing:
            return start, end
        if start == 0 and leading == 1 and not self.trim_first_space:
            leading = 0
        start = min(start + leading, end)
        return start, max(end - trailing, start)

    # Ids to texts

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = True, errors: str = "replace") -> str:
        """The text of `ids`. What is no UTF-8, such as half a character, becomes U+FFFD; errors: see bytes.decode."""
        return self.decode_bytes(ids, skip_special_tokens).decode("utf-8", errors)

    def decode_bytes(self, ids: Iterable[int], skip_special_tokens: bool = True) -> bytes:
        """The bytes of `ids`: exactly those that were encoded."""
        special = set(self.all_special_ids)
        tokens = self.convert_ids_to_tokens([index for index in ids if not skip_special_tokens or index not in special])
        return b"".join(map(self._bytes_of, tokens))

    def convert_tokens_to_string(self, tokens: list[str], errors: str = "replace") -> str:
        """The text of `tokens`, as `decode` gives it."""
        return b"".join(map(self._bytes_of, tokens)).decode("utf-8", errors)

    def _bytes_of(self, token):
        if token in self._as_they_stand or not BYTES.keys() >= set(token):
            return token.encode("utf-8")
        return bytes(BYTES[char] for char in token)

    @cached_property
    def _as_they_stand(self):
        """The tokens that are no bytes, but text."""
        return self._special | self.added_tokens.keys()

    # The vocabulary

    bos_token_id = special_token_id("bos")
    eos_token_id = special_token_id("eos")

    @property
    def continues(self) -> list[bool]:
        """For each id whether it continues a word: a list of bool, True for ordinary tokens that do not begin with Ġ.

        A comma is part of the word before it, as in RoBERTa's own code (fairseq).
        """
        whole = {*self.added_tokens, *self.special_tokens.values()}
        return [token not in whole and not token.startswith(SPACE) for token in self.tokens]


def _prefixed(text, add_prefix_space):
    return " " + text if add_prefix_space and not text.startswith(" ") else text


def _encode(text):
    """The bytes of `text`; surrogates that Python put in place of bytes that were no UTF-8 are these bytes again."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise ValueError(f"the text has half of a surrogate pair, {text[error.start]!a}, which stands for nothing: "
                         "write such texts with errors='surrogateescape' or without it") from None
