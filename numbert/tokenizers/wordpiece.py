"""WordPiece, the tokenizer of BERT (Devlin et al. 2019, section 3): words in the vocabulary stay whole, others are cut.

    "An unaffable AI"  ->  an  un  ##aff  ##able  ai

A text is normalised into words (normalise.py). A word is cut greedily: take the longest vocabulary entry that the word
begins with, then the longest one, marked by ##, that the rest begins with, and so on (`split_word` below). A word that
cannot be cut up to its end is one [UNK]. Learning a vocabulary is in wordpiece_training.py, the files of published ones
in wordpiece_files.py, what all tokenizers have in common in tokenizer.py, and what a call returns in encoding.py.

Ids, offsets and word ids are those of `BertWordPieceTokenizer` in Hugging Face's `tokenizers`. So a word of more than
100 characters is [UNK]; in Google's code the limit is 200.
"""
from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import accumulate, chain, compress
from operator import lt
from pathlib import Path

from . import wordpiece_files
from .encoding import Pieces
from .normalise import Normaliser
from .tokenizer import Cache, Tokenizer, check_text
from .wordpiece_files import SPECIAL_TOKENS
from .wordpiece_training import PREFIX, SCORES, learn_vocabulary

NOTHING = -1                        # in place of an id: see _pieces_of_chunk


class WordPieceTokenizer(Tokenizer):
    """Texts to token ids and back. A text stands in [CLS] text [SEP], a pair in [CLS] text [SEP] text_pair [SEP].

    vocabulary, special_tokens, added_tokens, options: see `Tokenizer`. lowercase, strip_accents,
    tokenize_chinese_chars, clean_text: see `Normaliser`. tidy: whether `decode` takes out spaces before . , ! ? and in
    contractions.
    """

    frame = (("cls",), ("sep",)), ((), ("sep",))

    def __init__(self, vocabulary: Iterable[str], *, special_tokens: dict[str, str] = SPECIAL_TOKENS,
                 added_tokens: dict[str, bool] | None = None, lowercase: bool = True, strip_accents: bool | None = None,
                 tokenize_chinese_chars: bool = True, clean_text: bool = True, max_input_chars_per_word: int = 100,
                 tidy: bool = True, **options):
        super().__init__(vocabulary, SPECIAL_TOKENS | special_tokens, added_tokens, **options)
        if max_input_chars_per_word < 0:
            raise ValueError(f"max_input_chars_per_word must be at least 0, got {max_input_chars_per_word}")
        self.tidy = bool(tidy)
        self.normaliser = Normaliser(lowercase, strip_accents, tokenize_chinese_chars, clean_text)
        self.max_input_chars_per_word = max_input_chars_per_word
        own = self.tokens[:self.cut_from]
        self._own = self.vocab if own == self.tokens else {token: index for index, token in enumerate(own)}
        self._longest_token = max(map(len, own), default=0)
        # Measured on 630,000 words, without caches, with caches that are empty at first, and from then on: ids alone
        # 0.42, 0.35, 0.16 s; all pieces 1.5, 0.75, 0.46 s.
        self._begins_word = [not continues for continues in self.continues]
        self._chunk_ids, self._chunk_pieces = Cache(self._ids_of_chunk), Cache(self._pieces_of_chunk)
        self._word_pieces = Cache(self._pieces_of_word)

    # Learning, loading, saving

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int = 8000, algorithm: str = "bpe", min_frequency: int = 2,
              lowercase: bool = True, strip_accents: bool | None = None,
              tokenize_chinese_chars: bool = True) -> WordPieceTokenizer:
        """A tokenizer whose vocabulary of `vocab_size` entries is learnt from `texts`, an iterable of str.

        [PAD] [UNK] [CLS] [SEP] [MASK] come first, then the characters, then longer pieces in the order in which they
        were found. algorithm: "bpe" or "likelihood"; wordpiece_training.py says what they do and what was measured.
        Pairs seen fewer than `min_frequency` times are not joined. The same texts give the same vocabulary. Warns when
        the texts are too small for that many entries, or have more different characters than there is room for.
        """
        special = list(SPECIAL_TOKENS.values())
        room = vocab_size - len(special)
        if algorithm not in SCORES:
            raise ValueError(f"algorithm must be one of {', '.join(SCORES)}, got {algorithm!r}")
        if room < 1:
            raise ValueError(f"vocab_size must be more than the {len(special)} special tokens, got {vocab_size}")
        if isinstance(texts, str):
            raise TypeError("texts must be an iterable of str, got one str")
        options = {"lowercase": lowercase, "strip_accents": strip_accents,
                   "tokenize_chinese_chars": tokenize_chinese_chars}
        normaliser = Normaliser(**options)
        counts = Counter()
        for text in texts:
            counts.update(word for word in normaliser.words(check_text(text)) if len(word) <= 100)
        learnt = learn_vocabulary(counts, room, algorithm, min_frequency)
        characters = len({(index > 0, char) for word in counts for index, char in enumerate(word)})
        if characters > room:
            warnings.warn(f"the texts have {characters} different characters (counting those inside a word apart), but "
                          f"vocab_size = {vocab_size} has room for {room}: words with the rarest become [UNK]",
                          stacklevel=2)
        elif len(learnt) < room:
            warnings.warn(f"the texts give only {len(special) + len(learnt)} entries, not vocab_size = {vocab_size}: "
                          f"no other pair is worth joining (min_frequency = {min_frequency})", stacklevel=2)
        return cls(special + learnt, **options)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> WordPieceTokenizer:
        """The tokenizer saved in `folder`: vocab.txt with its configuration files, or else tokenizer.json.

        Raises ValueError, naming the file, for anything that this class would not apply as its authors meant it.
        """
        return cls(**wordpiece_files.read(folder))

    def save_pretrained(self, folder: str | Path) -> None:
        """Write vocab.txt, tokenizer_config.json, special_tokens_map.json and tokenizer.json, as transformers reads
        them."""
        wordpiece_files.write(folder, self)

    # Texts to ids

    def normalise(self, text: str) -> str:
        return self.normaliser.clean(text)

    def align_normalised(self, text: str) -> list[tuple[int, int]]:
        return self.normaliser.align_clean(text)

    def split_word(self, word: str) -> list[tuple[int, int, int]]:
        """Greedy longest-match-first: the pieces of a normalised word, each (id, start, end) for word[start:end].

        No piece is longer than the longest token, so the work is in proportion to the length of the word.
        """
        vocab, pieces, start = self._own, [], 0
        if word in vocab and len(word) <= self.max_input_chars_per_word:
            return [(vocab[word], 0, len(word))]                                # what the loop would find, sooner
        while start < len(word) <= self.max_input_chars_per_word:
            prefix = PREFIX if start else ""
            for end in range(min(len(word), start + self._longest_token), start, -1):
                piece = prefix + word[start:end]
                if piece in vocab:
                    break
            else:
                break
            pieces.append((vocab[piece], start, end))
            start = end
        return pieces if start == len(word) else [(self.unk_token_id, 0, len(word))]

    def cut(self, text: str) -> Iterator[list[tuple[int, int, int]]]:
        (words, sources), place = self.normaliser.align(text), 0
        for word in words:
            yield [(index, sources[place + start], sources[place + end - 1] + 1)
                   for index, start, end in self.split_word(word)]
            place += len(word)

    def cut_to_pieces(self, text: str) -> Pieces:
        """The caches are asked for the text between one space and the next; a piece that continues no word begins one.
        """
        numbers = list(chain.from_iterable(map(self._chunk_pieces.__getitem__, _chunks(text))))
        ids = numbers[::3]
        del numbers[::3]
        edges = list(accumulate(numbers, initial=-1))                           # -1: as if a space stood before it all
        starts, ends = edges[1::2], edges[2::2]
        if NOTHING in ids:
            real = list(map(lt, starts, ends))
            ids, starts, ends = (list(compress(column, real)) for column in (ids, starts, ends))
        words = list(accumulate(map(self._begins_word.__getitem__, ids), initial=-1))
        del words[0]
        return Pieces(ids, starts, ends, words)

    def cut_to_ids(self, text: str) -> Iterable[int]:
        return chain.from_iterable(map(self._chunk_ids.__getitem__, _chunks(text)))

    def _ids_of_chunk(self, chunk):
        return tuple([index for word in self.normaliser.words(chunk) for index, _, _ in self.split_word(word)])

    def _pieces_of_chunk(self, chunk):
        """For each piece three numbers: its id, how far its start is from the end of the one before, and its length.

        The first is counted from the space before the chunk. What is left behind the last piece, such as a character
        that cleaning deletes, is a piece NOTHING of length 0: so the sums over all chunks are places in the text.
        """
        words, sources = self.normaliser.align(chunk)
        if words and isinstance(sources, range):        # each character stayed one: nothing lies between two pieces
            pieces = list(chain.from_iterable(map(self._word_pieces.__getitem__, words)))
            pieces[1] = 1
            return tuple(pieces)
        pieces, last, place = [], -1, 0
        for word in words:
            for index, start, end in self.split_word(word):
                start, end = sources[place + start], sources[place + end - 1] + 1
                pieces += index, start - last, end - start
                last = end
            place += len(word)
        if last < len(chunk):
            pieces += NOTHING, len(chunk) - last, 0
        return tuple(pieces)

    def _pieces_of_word(self, word):
        """These three numbers for the pieces of a word that touches the word before it."""
        return tuple(chain.from_iterable((index, 0, end - start) for index, start, end in self.split_word(word)))

    # Ids to texts

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = True) -> str:
        """The text of `ids`, approximately: pieces joined, no space before . , ! ? and around apostrophes.

        Capitals, accents and the original spaces are gone. The rules for spaces are those of Hugging Face transformers.
        """
        special = set(self.all_special_ids) if skip_special_tokens else ()
        return self.convert_tokens_to_string(
            self.convert_ids_to_tokens([index for index in ids if index not in special]))

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """The text of `tokens`, as `decode` gives it."""
        text = " ".join(tokens).replace(" " + PREFIX, "")
        if not self.tidy:
            return text
        text = re.sub(r" ([.?!,])", r"\1", text).replace(" ' ", "'")
        return re.sub(r" (n't|'m|'s|'ve|'re)", r"\1", text)

    @property
    def continues(self) -> list[bool]:
        """For each id whether it continues a word: a list of bool, True for pieces such as ##ing."""
        return [token.startswith(PREFIX) and token != PREFIX for token in self.tokens]


def _chunks(text):
    """The text between one space and the next, where the end of a line counts as a space."""
    return text.replace("\n", " ").split(" ")
