"""WordPiece, the tokenizer of BERT (Devlin et al. 2019, section 3): words in the vocabulary stay whole, others are cut.

    "An unaffable AI"  ->  an  un  ##aff  ##able  ai

A text is normalised into words (normalise.py). A word is cut greedily: take the longest vocabulary entry that the word
begins with, then the longest one, marked by ##, that the rest begins with, and so on (`split_word` below). A word that
cannot be cut up to its end is one [UNK]. How a vocabulary is learnt stands in wordpiece_training.py, what the files of
published ones look like in wordpiece_files.py, what a call returns in encoding.py.

Ids, offsets and word ids are those of `BertWordPieceTokenizer` in Hugging Face's `tokenizers`. So a word of more than
100 characters is [UNK]; in Google's code the limit is 200.
"""
import re
import warnings
from collections import Counter
from itertools import chain

from numbert.text import wordpiece_files
from numbert.text.encoding import Encoding, Piece, check_truncation, pad, truncated_lengths
from numbert.text.normalise import Normaliser
from numbert.text.wordpiece_training import PREFIX, SCORES, learn_vocabulary

SPECIAL_TOKENS = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}


def special_token_id(role):
    return property(lambda self: self.id_of_role(role), doc=f"The id of the {role} token. ValueError without one.")


class WordPieceTokenizer:
    """Texts to token ids and back.

    vocabulary: the tokens in the order of their ids. special_tokens: their names, by role; a role whose token is not in
    the vocabulary is an error only where it is needed. added_tokens: {token: is it special} for further tokens that no
    text is cut inside of. lowercase, strip_accents, tokenize_chinese_chars, clean_text: see `Normaliser`.
    model_max_length: how many tokens the model takes, for information only; a call cuts at its own `max_length`.
    """

    def __init__(self, vocabulary, *, special_tokens=SPECIAL_TOKENS, added_tokens=None, lowercase=True,
                 strip_accents=None, tokenize_chinese_chars=True, clean_text=True, max_input_chars_per_word=100,
                 model_max_length=None):
        self.tokens = list(vocabulary)
        self.vocab = {token: index for index, token in enumerate(self.tokens)}
        self.special_tokens = SPECIAL_TOKENS | special_tokens
        self.added_tokens = dict(added_tokens or {})
        self.normaliser = Normaliser(lowercase, strip_accents, tokenize_chinese_chars, clean_text)
        self.max_input_chars_per_word = max_input_chars_per_word
        self.model_max_length = model_max_length
        self._longest_token = max(map(len, self.tokens), default=0)
        self._chunk_ids = _ChunkCache(self)
        ordinary = [token for token, special in self.added_tokens.items() if not special]
        self._find_added = _any_of(ordinary)
        self._find_special = _any_of(ordinary + [self.tokens[index] for index in self.all_special_ids])

    # Learning, loading, saving

    @classmethod
    def train(cls, texts, vocab_size=8000, algorithm="bpe", min_frequency=2, lowercase=True, strip_accents=None,
              tokenize_chinese_chars=True):
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
            counts.update(word for word in normaliser.words(_checked(text)) if len(word) <= 100)
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
    def from_pretrained(cls, folder):
        """The tokenizer saved in `folder`: vocab.txt with its configuration files, or else tokenizer.json.

        Raises ValueError, naming the file, for anything that this class would not apply as its authors meant it.
        """
        return cls(**wordpiece_files.read(folder))

    def save_pretrained(self, folder):
        """Write vocab.txt, tokenizer_config.json and special_tokens_map.json, as transformers reads them."""
        wordpiece_files.write(folder, self)

    # Texts to ids

    def split_word(self, word):
        """Greedy longest-match-first: the pieces of a normalised word, each (id, start, end) for word[start:end].

        No piece is longer than the longest token, so the work is in proportion to the length of the word.
        """
        vocab, pieces, start = self.vocab, [], 0
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

    def __call__(self, text, text_pair=None, *, max_length=None, truncation="longest_first", add_special_tokens=True,
                 special_tokens_in_text=False):
        """An `Encoding` of [CLS] text [SEP], or of [CLS] text [SEP] text_pair [SEP].

        At most `max_length` tokens remain; truncation ("longest_first", "only_first", "only_second" or False) says
        which text gives way, see `truncated_lengths`. special_tokens_in_text: a literal "[MASK]" in a text means the
        special token; without it, that is the three words [ mask ], so that no text can smuggle one in.
        """
        truncation = check_truncation(truncation)
        first = self._pieces(text, special_tokens_in_text)
        second = [] if text_pair is None else self._pieces(text_pair, special_tokens_in_text)
        if max_length is not None:
            special = 0 if not add_special_tokens else 2 if text_pair is None else 3
            keep_first, keep_second = truncated_lengths(len(first), len(second), _room(max_length, special), truncation)
            first, second = first[:keep_first], second[:keep_second]
        parts = [(piece, 0, 0) for piece in first]
        parts_pair = [(piece, 1, 1) for piece in second]
        if add_special_tokens:
            cls, sep = (Piece(self.id_of_role(role), self.special_tokens[role], 0, 0, None) for role in ("cls", "sep"))
            parts = [(cls, 0, None), *parts, (sep, 0, None)]
            parts_pair = [] if text_pair is None else [*parts_pair, (sep, 1, None)]
        return Encoding.of(parts + parts_pair)

    def encode_batch(self, texts, add_special_tokens=True, max_length=None, special_tokens_in_text=False):
        """The ids alone of many texts, a list of lists: the `input_ids` of calling each, several times faster."""
        if isinstance(texts, str):
            raise TypeError("texts must be an iterable of str, got one str; write encode_batch([text])")
        before, after = ([self.cls_token_id], [self.sep_token_id]) if add_special_tokens else ([], [])
        room = None if max_length is None else _room(max_length, len(before + after))
        return [[*before, *self._ids(text, special_tokens_in_text)[:room], *after] for text in texts]

    def tokenize(self, text, special_tokens_in_text=False):
        """The pieces of a text, as a list of str."""
        return [self.tokens[index] for index in self._ids(text, special_tokens_in_text)]

    def pad(self, examples, max_length=None):
        """B Encodings, or lists of ids, as a dict of int64 arrays input_ids, token_type_ids, attention_mask, (B, T)."""
        return pad(examples, self.pad_token_id, max_length)

    def _pieces(self, text, special_tokens_in_text):
        pieces, start, word = [], 0, 0
        for stretch, is_token in self._stretches(text, special_tokens_in_text):
            if is_token:
                pieces.append(Piece(self.vocab[stretch], stretch, start, start + len(stretch), word))
                word += 1
            else:
                normalised, sources = self.normaliser.align(stretch)
                for match in re.finditer("[^ ]+", normalised):
                    source = sources[match.start():match.end()]
                    for index, first, end in self.split_word(match.group()):
                        span = start + source[first], start + source[end - 1] + 1
                        pieces.append(Piece(index, self.tokens[index], *span, word))
                    word += 1
            start += len(stretch)
        return pieces

    def _ids(self, text, special_tokens_in_text):
        """The ids of `_pieces`. The cache is asked for the text between one space and the next."""
        ids = []
        for stretch, is_token in self._stretches(text, special_tokens_in_text):
            if is_token:
                ids.append(self.vocab[stretch])
            else:
                chunks = stretch.replace("\n", " ").split(" ")
                ids += chain.from_iterable(map(self._chunk_ids.__getitem__, chunks))
        return ids

    def _stretches(self, text, special_tokens_in_text):
        """The text, cut where a token stands in it literally: pairs of a stretch and whether it is such a token."""
        _checked(text)
        pattern = self._find_special if special_tokens_in_text else self._find_added
        if pattern is None:
            return [(text, False)]
        return [(stretch, index % 2 == 1) for index, stretch in enumerate(pattern.split(text))]

    # Ids to texts

    def decode(self, ids, skip_special_tokens=True):
        """The text of `ids`, as near as it can be had: pieces joined, no space before . , ! ? and around apostrophes.

        Capitals, accents and the original spaces are gone. The rules for spaces are those of Hugging Face transformers.
        """
        special = set(self.all_special_ids) if skip_special_tokens else ()
        tokens = self.convert_ids_to_tokens([index for index in ids if index not in special])
        text = " ".join(tokens).replace(" " + PREFIX, "")
        text = re.sub(r" ([.?!,])", r"\1", text).replace(" ' ", "'")
        return re.sub(r" (n't|'m|'s|'ve|'re)", r"\1", text)

    def convert_ids_to_tokens(self, ids):
        """The token of an id, or the list of those of several ids. ValueError for an id outside the vocabulary."""
        if hasattr(ids, "__iter__"):
            return [self.convert_ids_to_tokens(index) for index in ids]
        if not 0 <= ids < len(self.tokens):
            raise ValueError(f"id {ids} is not in the vocabulary of {len(self.tokens)} tokens")
        return self.tokens[ids]

    def convert_tokens_to_ids(self, tokens):
        """The id of a token, or the list of those of several tokens; the id of [UNK] for one not in the vocabulary."""
        if not isinstance(tokens, str):
            return [self.convert_tokens_to_ids(token) for token in tokens]
        return self.vocab[tokens] if tokens in self.vocab else self.unk_token_id

    # The vocabulary

    def __len__(self):
        return len(self.tokens)

    pad_token_id = special_token_id("pad")
    unk_token_id = special_token_id("unk")
    cls_token_id = special_token_id("cls")
    sep_token_id = special_token_id("sep")
    mask_token_id = special_token_id("mask")

    def id_of_role(self, role):
        token = self.special_tokens[role]
        if token not in self.vocab:
            raise ValueError(f"the vocabulary of {len(self)} tokens has no {token}, the {role} token, needed here")
        return self.vocab[token]

    @property
    def all_special_ids(self):
        """The ids of the special tokens that the vocabulary has, in the order pad, unk, cls, sep, mask, added ones."""
        added = [token for token, special in self.added_tokens.items() if special]
        names = dict.fromkeys([*self.special_tokens.values(), *added])
        return [self.vocab[name] for name in names if name in self.vocab]


class _ChunkCache(dict):
    """A stretch of text without spaces -> its ids, worked out when it is first met. Most words of a text are repeats.

    Measured on 630,000 words: 0.9 s without it, 0.8 s when it is empty at first, 0.4 s from then on. Starts afresh when
    it is full. Threads may share it: at worst, two of them work out the same entry.
    """

    entries, length = 100_000, 50  # at most so many stretches, of at most so many characters: about 25 MB

    def __init__(self, tokenizer):
        super().__init__()
        self.tokenizer = tokenizer

    def __missing__(self, chunk):
        ids = []
        for word in self.tokenizer.normaliser.words(chunk):
            index = self.tokenizer.vocab.get(word)
            if index is None or len(word) > self.tokenizer.max_input_chars_per_word:
                ids.extend(index for index, _, _ in self.tokenizer.split_word(word))
            else:
                ids.append(index)
        if len(chunk) <= self.length:
            if len(self) >= self.entries:
                self.clear()
            self[chunk] = ids
        return ids


def _any_of(tokens):
    """A pattern that finds any of `tokens`, the longest where several begin; None if there are none."""
    alternatives = "|".join(map(re.escape, sorted(tokens, key=len, reverse=True)))
    return re.compile(f"({alternatives})") if tokens else None


def _checked(text):
    if not isinstance(text, str):
        raise TypeError(f"a text must be a str, got {type(text).__name__}")
    return text


def _room(max_length, special):
    if max_length < special:
        raise ValueError(f"max_length must leave room for {special} special tokens, got {max_length}")
    return max_length - special
