"""What every tokenizer here does in the same way: special tokens, pairs of texts, truncation, batches, ids and tokens.

A kind of tokenizer (wordpiece.py, byte_bpe.py, sentence_piece.py, unigram.py) says how plain text is cut (`cut`), how
to do the same faster (`cut_to_pieces`, and `cut_to_ids` when nothing but ids is wanted), and which special tokens stand
around a text (`frame`).
"""
from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import overload

from .encoding import Batch, Encoding, Pieces, check_side, check_truncation, pad, truncated_lengths


def special_token_id(role: str) -> property:
    """A property of a tokenizer: the id of its token of this role."""
    return property(lambda self: self.id_of_role(role), doc=f"The id of the {role} token. ValueError without one.")


NO_FRAMES = [[Pieces([], [], [], [])] * 2] * 2


class Tokenizer:
    """Tokens, their ids, and what is common to all ways of cutting a text into them.

    vocabulary: the tokens in the order of their ids. special_tokens: their names, by role; a role whose token is not in
    the vocabulary is an error only where it is needed. added_tokens: {token: is it special} for further tokens that no
    text is cut inside of; those that are not in the vocabulary get the ids behind it. Of these and of the special ones
        strip_left, strip_right  are those that take the white space before or after them with them,
        single_word              those that are not found inside a word,
        normalized               those that are looked for in the text as `normalise` leaves it, as it leaves them:
                                 "COVID-19" is then found in "Covid-19", where small letters are made. (The others are
                                 looked for first, in the text as it is.)
    pair_type_id: the token type of a second text; the first has 0. padding_side, truncation_side: where `pad` puts the
    padding and where a text that is too long is cut, "left" or "right". model_max_length: how many tokens the model
    takes, for information only; a call cuts at its own `max_length`.
    """

    frame = ((), ()), ((), ())  # roles of the special tokens before and after the first text, and the second
    has_segments = True         # whether a batch has token_type_ids

    def __init__(self, vocabulary: Iterable[str], special_tokens: dict[str, str],
                 added_tokens: dict[str, bool] | None = None, *, strip_left: Iterable[str] = (),
                 strip_right: Iterable[str] = (), single_word: Iterable[str] = (), normalized: Iterable[str] = (),
                 pair_type_id: int = 1, padding_side: str = "right", truncation_side: str = "right",
                 model_max_length: int | None = None):
        self.tokens = list(vocabulary)
        self.cut_from, known = len(self.tokens), set(self.tokens)   # words are cut into tokens[:cut_from]
        self.tokens += [token for token in added_tokens or () if token not in known]
        self.vocab = {token: index for index, token in enumerate(self.tokens)}
        self.special_tokens = dict(special_tokens)
        self.added_tokens = dict(added_tokens or {})
        if "" in self.added_tokens:
            raise ValueError("an added token must have at least one character")
        self.strip_left, self.strip_right = frozenset(strip_left), frozenset(strip_right)
        self.single_word, self.normalized = frozenset(single_word), frozenset(normalized)
        self.pair_type_id = pair_type_id
        self.padding_side = check_side("padding_side", padding_side)
        self.truncation_side = check_side("truncation_side", truncation_side)
        self.model_max_length = model_max_length

    # Tokens that are found in a text before it is cut

    @cached_property
    def _special(self):
        return frozenset(self.tokens[index] for index in self.all_special_ids)

    @cached_property
    def _always_found(self):
        """The added tokens that are not special: those that are found in any text."""
        return [token for token, special in self.added_tokens.items() if not special]

    @cached_property
    def _finders(self):
        """(what finds tokens in a text as it is, what finds tokens in a normalised text): patterns and {what a match
        looks like: its token}. Of two tokens that look the same once normalised, the one with the lower id is found."""
        found = sorted({*self._special, *self._always_found}, key=self.vocab.get, reverse=True)
        return (_finder({token: token for token in found if token not in self.normalized}),
                _finder({self.normalise(token): token for token in found if token in self.normalized}))

    # Texts to ids

    def __call__(self, text: str, text_pair: str | None = None, *, max_length: int | None = None,
                 truncation: str | bool = "longest_first", add_special_tokens: bool = True,
                 special_tokens_in_text: bool = False) -> Encoding:
        """An `Encoding` of a text or of two, with the special tokens of the model around them.

        At most `max_length` tokens remain; truncation ("longest_first", "only_first", "only_second" or False) says
        which text gives way: see `encoding.truncated_lengths`. special_tokens_in_text: a literal "[MASK]" in a text
        means the special token; without it, that is plain text like any other, so that no text can insert one.

        Raises TypeError for what is not a str, and ValueError if max_length has no room for the special tokens, or
        cutting the text that `truncation` names is not enough.
        """
        truncation = check_truncation(truncation)
        texts = [text] if text_pair is None else [text, text_pair]
        parts = [self._pieces(text, special_tokens_in_text) for text in texts]
        frames = self._frames if add_special_tokens else NO_FRAMES
        if max_length is not None:
            room = _room(max_length, sum(len(side.ids) for sides in frames[:len(texts)] for side in sides))
            lengths = truncated_lengths(len(parts[0].ids), sum(len(part.ids) for part in parts[1:]), room, truncation)
            parts = [Pieces(*(list(self._kept(column, length)) for column in part))
                     for part, length in zip(parts, lengths, strict=False)]
        rows = []
        for which, (part, (before, after)) in enumerate(zip(parts, frames, strict=False)):
            type_id = which * self.pair_type_id
            rows += [(before, type_id, None), (part, type_id, which), (after, type_id, None)]
        return Encoding(rows, self.tokens)

    def encode_batch(self, texts: Iterable[str], add_special_tokens: bool = True, max_length: int | None = None,
                     special_tokens_in_text: bool = False) -> list[list[int]]:
        """The ids alone of many texts, a list of lists: the `input_ids` of calling each, several times faster.

        Raises TypeError for one str in the place of many, and ValueError as a call does.
        """
        if isinstance(texts, str):
            raise TypeError("texts must be an iterable of str, got one str; write encode_batch([text])")
        before, after = ([self.id_of_role(role) for role in roles if add_special_tokens] for roles in self.frame[0])
        room = None if max_length is None else _room(max_length, len(before + after))
        return [[*before, *self._kept(self._ids(text, special_tokens_in_text), room), *after] for text in texts]

    def encode_words(self, words: Iterable[str]) -> list[list[int]]:
        """The ids of each of the words of a text, a list of lists: as cut with a space before it."""
        return self.encode_batch([word if word.startswith(" ") else " " + word for word in words],
                                 add_special_tokens=False)

    def tokenize(self, text: str, special_tokens_in_text: bool = False) -> list[str]:
        """The pieces of a text, as a list of str."""
        return [self.tokens[index] for index in self._ids(text, special_tokens_in_text)]

    def pad(self, examples: Sequence[Encoding | Sequence[int]], max_length: int | None = None,
            side: str | None = None) -> Batch:
        """B Encodings, or lists of ids, as a dict of int64 arrays (B, T): input_ids, token_type_ids (where the
        tokenizer's models have segments), attention_mask. Without a pad token, the padding is eos.

        T is max_length, or the longest example. side: where the padding stands, "left" or "right"; None means
        `padding_side`. Raises TypeError for one example in the place of several, and ValueError for one longer than
        max_length.
        """
        named = [role for role in ("pad", "eos") if self.special_tokens.get(role) in self.vocab]
        side = self.padding_side if side is None else check_side("side", side)
        return pad(examples, self.id_of_role(named[0] if named else "pad"), max_length, side, self.has_segments)

    def normalise(self, text: str) -> str:
        """The text in which tokens of `normalized` are looked for."""
        return text

    def align_normalised(self, text: str) -> list[tuple[int, int]]:
        """For each character of `normalise(text)` the (start, end) of what it came from in `text`."""
        return [(place, place + 1) for place in range(len(text))]

    def cut(self, text: str) -> Iterable[Sequence[tuple[int, int, int]]]:
        """The words of plain text, each a list of its pieces (id, start, end), which stand for text[start:end]."""
        raise NotImplementedError

    def cut_to_pieces(self, text: str) -> Pieces:
        """The `Pieces` of `cut`."""
        rows = [(*piece, number) for number, word in enumerate(self.cut(text)) for piece in word]
        return Pieces(*map(list, zip(*rows, strict=True))) if rows else Pieces([], [], [], [])

    def cut_to_ids(self, text: str) -> Iterable[int]:
        """The ids of `cut`, an iterable."""
        raise NotImplementedError

    def _pieces(self, text, special_tokens_in_text):
        if not (special_tokens_in_text or self._always_found):
            return self.cut_to_pieces(text) if check_text(text) else Pieces([], [], [], [])
        whole = Pieces([], [], [], [])
        for start, end, token in self._stretches(text, special_tokens_in_text):
            part = (self.cut_to_pieces(text[start:end]) if token is None
                    else Pieces([self.vocab[token]], [0], [end - start], [0]))
            words = 1 + whole.word_ids[-1] if whole.word_ids else 0
            whole.ids.extend(part.ids)
            whole.starts.extend(start + first for first in part.starts)
            whole.ends.extend(start + last for last in part.ends)
            whole.word_ids.extend(words + word for word in part.word_ids)
        return whole

    def _ids(self, text, special_tokens_in_text):
        """The ids of `_pieces`, an iterable."""
        if not (special_tokens_in_text or self._always_found):
            return self.cut_to_ids(text) if check_text(text) else ()
        return chain.from_iterable(self.cut_to_ids(text[start:end]) if token is None else [self.vocab[token]]
                                   for start, end, token in self._stretches(text, special_tokens_in_text))

    def _kept(self, column, room):
        """`room` entries of the ids, starts ... of a text, an iterable, all if it is None; `truncation_side` says where
        it is cut."""
        if room is None:
            return column
        if self.truncation_side == "right":
            return islice(column, room)
        column = list(column)
        return column[max(len(column) - room, 0):]

    def _stretches(self, text, special_tokens_in_text):
        """Cut `text` where a token stands in it literally: (start, end, that token or None for the text between)."""
        literal, normalised = self._finders
        for start, end, token in self._found(check_text(text), literal, special_tokens_in_text):
            clean = self.normalise(text[start:end]) if token is None and normalised else ""
            if not clean or not normalised[0].search(clean):
                yield start, end, token
                continue
            spans, place = self.align_normalised(text[start:end]), start
            for first, last, token in self._found(clean, normalised, special_tokens_in_text):
                if token is not None:           # a character that became several is not cut: no part of it is the token
                    left = start + spans[first][first > 0 and spans[first - 1] == spans[first]]
                    right = start + spans[last - 1][last == len(spans) or spans[last] != spans[last - 1]]
                    left, right = max(left, place), max(left, right, place)
                    if place < left:
                        yield place, left, None
                    yield left, right, token
                    place = right
            if place < end:
                yield place, end, None

    def _found(self, text, finder, special_tokens_in_text):
        """Cut `text` as `_stretches` does, by one finder alone. The rules are those of Hugging Face's `tokenizers`: a
        match that does not count, because it is special or part of a word, hides what else begins inside it."""
        place = 0
        for match in finder[0].finditer(text) if finder else ():
            token, (start, end) = finder[1][match.group()], match.span()
            if token in self._special and not special_tokens_in_text:
                continue
            if token in self.single_word and (_is_word(text[start - 1:start]) or _is_word(text[end:end + 1])):
                continue
            if token in self.strip_left:
                start = place + len(text[place:start].rstrip(SPACES))
            if token in self.strip_right:
                end = _SPACES.match(text, end).end()
            if place < start:
                yield place, start, None
            yield start, end, token
            place = end
        if place < len(text):
            yield place, len(text), None

    @cached_property
    def _frames(self):
        """`frame` as `Pieces`."""
        return [[Pieces([self.id_of_role(role) for role in roles], [0] * len(roles), [0] * len(roles),
                        [None] * len(roles)) for roles in sides] for sides in self.frame]

    # Ids to texts and tokens

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = True) -> str:
        """The text of `ids`, as far as it can be told; special tokens are left out, or written as they are called."""
        raise NotImplementedError

    @overload
    def convert_ids_to_tokens(self, ids: int) -> str: ...

    @overload
    def convert_ids_to_tokens(self, ids: Iterable[int]) -> list[str]: ...

    def convert_ids_to_tokens(self, ids: int | Iterable[int]) -> str | list[str]:
        """The token of an id, or the list of those of several ids. ValueError for an id outside the vocabulary."""
        if hasattr(ids, "__iter__"):
            return [self.convert_ids_to_tokens(index) for index in ids]
        if not 0 <= ids < len(self.tokens):
            raise ValueError(f"id {ids} is not in the vocabulary of {len(self.tokens)} tokens")
        return self.tokens[ids]

    @overload
    def convert_tokens_to_ids(self, tokens: str) -> int: ...

    @overload
    def convert_tokens_to_ids(self, tokens: Iterable[str]) -> list[int]: ...

    def convert_tokens_to_ids(self, tokens: str | Iterable[str]) -> int | list[int]:
        """The id of a token, or the list of those of several; the id of the unk token for one not in the vocabulary, or
        ValueError if there is no unk token."""
        if not isinstance(tokens, str):
            return [self.convert_tokens_to_ids(token) for token in tokens]
        return self.vocab[tokens] if tokens in self.vocab else self.unk_token_id

    # The vocabulary

    @property
    def continues(self) -> list[bool]:
        """For each id whether it continues a word."""
        raise NotImplementedError

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the files of the tokenizer into `folder`, as transformers reads them."""
        raise NotImplementedError

    def __len__(self):
        return len(self.tokens)

    def __repr__(self):
        roles = [f"{role} {token} {self.vocab[token]}" for role, token in self.special_tokens.items()
                 if token in self.vocab]
        return f"<{type(self).__name__} of {len(self):,} tokens: {', '.join(roles)}>"

    pad_token_id = special_token_id("pad")
    unk_token_id = special_token_id("unk")
    cls_token_id = special_token_id("cls")
    sep_token_id = special_token_id("sep")
    mask_token_id = special_token_id("mask")

    def id_of_role(self, role: str) -> int:
        """The id of the special token of a role, such as "pad" or "mask". Raises ValueError without one."""
        token = self.special_tokens.get(role)
        if (index := self.vocab.get(token)) is None:
            name = "" if token is None else f"{token}, the "
            raise ValueError(f"the vocabulary of {len(self)} tokens has no {name}{role} token, needed here")
        return index

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of the special tokens that the vocabulary has, in the order of their roles, then the added ones."""
        added = [token for token, special in self.added_tokens.items() if special]
        names = dict.fromkeys([*self.special_tokens.values(), *added])
        return [self.vocab[name] for name in names if name in self.vocab]


class Cache(dict):
    """A short text -> `compute` of it, worked out when it is first met. Most words of a text are repeats.

    Starts afresh when it is full. Threads may share it: at worst, two of them work out the same entry.
    """

    entries, length = 100_000, 50  # at most so many texts, of at most so many characters: 20 to 35 MB

    def __init__(self, compute: Callable[[str], object]):
        super().__init__()
        self.compute = compute

    def __missing__(self, text):
        return self.keep(text, self.compute(text))

    def keep(self, text: str, result: object) -> object:
        """The result, which is kept for the text unless that is too long."""
        if len(text) <= self.length:
            if len(self) >= self.entries:
                self.clear()
            self[text] = result
        return result


# Unicode's white space. Python's own notion of it adds U+001C..U+001F.
SPACES = "".join(char for char in map(chr, range(0x3001)) if char.isspace() and char not in "\x1c\x1d\x1e\x1f")
_SPACES = re.compile(f"[{SPACES}]*")


def check_text(text: str) -> str:
    """`text`. Raises TypeError if it is not a str."""
    if not isinstance(text, str):
        raise TypeError(f"a text must be a str, got {type(text).__name__}")
    return text


def _finder(tokens):
    """(a pattern that finds any of `tokens`, the longest where several begin, `tokens`), None if there are none."""
    tokens = {spelling: token for spelling, token in tokens.items() if spelling}
    longest_first = sorted(tokens, key=len, reverse=True)
    return (re.compile("|".join(map(re.escape, longest_first))), tokens) if tokens else None


def _is_word(char):
    """True for what Unicode's rules for regular expressions let a word consist of; False for the empty text."""
    return bool(char) and (char in "\u200c\u200d" or unicodedata.category(char) in
                           ("Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "Pc"))


def _room(max_length, special):
    if max_length < special:
        raise ValueError(f"max_length must leave room for {special} special tokens, got {max_length}")
    return max_length - special
