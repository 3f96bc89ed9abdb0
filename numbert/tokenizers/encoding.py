"""What a tokenizer returns for one example, how a long one is cut, and how several become arrays.

For the pair ("How old?", "Ten.") the columns of an Encoding are

    tokens               [CLS]   how    old    ?     [SEP]   ten    .     [SEP]
    input_ids            101     2129   2214   1029  102     2702   1012  102
    token_type_ids       0       0      0      0     0       1      1     1      first or second segment (BERT's A, B)
    attention_mask       1       1      1      1     1       1      1     1      1: a real token, 0: padding
    special_tokens_mask  1       0      0      0     1       0      0     1      1: put there by the tokenizer
    offsets              (0,0)   (0,3)  (4,7)  (7,8) (0,0)   (0,3)  (3,4) (0,0)  text[start:end] is what it covers
    word_ids             None    0      1      2     None    0      1     None   which word of its text
    sequence_ids         None    0      0      0     None    1      1     None   which of the two texts
"""
from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property
from itertools import chain
from operator import getitem, sub
from typing import NamedTuple

import numpy as np

COLUMNS = ("input_ids", "tokens", "token_type_ids", "attention_mask", "special_tokens_mask", "offsets", "word_ids",
           "sequence_ids")

# What a model is called with, the arguments by name: input_ids, token_type_ids, attention_mask, each (B, T).
Batch = dict[str, np.ndarray]


class Pieces(NamedTuple):
    """How a text was cut: four lists, one entry per piece. Lists of numbers, because a tuple or object per piece would
    take most of the time of cutting it.

    A piece stands for text[start:end]; its word id is the index of the word it is part of.
    """

    ids: list[int]
    starts: list[int]
    ends: list[int]
    word_ids: list[int]


class Encoding:
    """One encoded example: eight lists of the same length, one entry per token (see the table above).

    Offsets count characters of the text as it was given, before any cleaning. A special token that was put in has
    (0, 0). A list is made when it is first read, since most callers want one or two.
    """

    def __init__(self, parts: Sequence[tuple[Pieces, int, int | None]], tokens: Sequence[str]):
        """parts: a list of (Pieces, type id, sequence id), where a sequence id of None marks special tokens that were
        put in. `tokens` are those of the vocabulary, by their ids."""
        self._parts, self._vocabulary = parts, tokens
        self.input_ids = list(chain.from_iterable([part.ids for part, _, _ in parts]))

    def __len__(self):
        return len(self.input_ids)

    def __getstate__(self):
        """A copy has its tokens instead of the vocabulary."""
        return {name: value for name, value in (vars(self) | {"tokens": self.tokens}).items() if name != "_vocabulary"}

    @cached_property
    def tokens(self) -> list[str]:
        return [self._vocabulary[index] for index in self.input_ids]

    @cached_property
    def token_type_ids(self) -> list[int]:
        return [type_id for part, type_id, _ in self._parts for _ in part.ids]

    @cached_property
    def attention_mask(self) -> list[int]:
        return [1] * len(self)

    @cached_property
    def special_tokens_mask(self) -> list[int]:
        return [int(sequence_id is None) for sequence_id in self.sequence_ids]

    @cached_property
    def offsets(self) -> list[tuple[int, int]]:
        return list(chain.from_iterable([spans(part.starts, part.ends) for part, _, _ in self._parts]))

    @cached_property
    def word_ids(self) -> list[int | None]:
        return list(chain.from_iterable([part.word_ids for part, _, _ in self._parts]))

    @cached_property
    def sequence_ids(self) -> list[int | None]:
        return [sequence_id for part, _, sequence_id in self._parts for _ in part.ids]

    def columns(self) -> dict[str, list]:
        """{name: list} of all eight."""
        return {name: getattr(self, name) for name in COLUMNS}

    def __eq__(self, other):
        return self.columns() == other.columns() if isinstance(other, Encoding) else NotImplemented

    def __repr__(self):
        return f"Encoding({', '.join(f'{name}={column!r}' for name, column in self.columns().items())})"


def spans(starts: list[int], ends: list[int]) -> list[tuple[int, int]]:
    """The pairs of two lists of the same length, where each end is at least its start.

    Pairs that are usual in a text are made once and shared: making a million tuples keeps Python's garbage collector
    busy for a third of the time of the tokenizer.
    """
    try:
        return list(map(getitem, map(_shared_spans().__getitem__, map(sub, ends, starts)), starts))
    except IndexError:
        return list(zip(starts, ends, strict=True))


@cache
def _shared_spans():
    """By length and start: 25,000 tuples, 3 MB."""
    return [[(start, start + length) for start in range(1024)] for length in range(24)]


def truncated_lengths(first: int, second: int, room: int, strategy: str | bool) -> tuple[int, int]:
    """How many tokens to keep of two texts that have `first` and `second` tokens (0 where there is no second text).

    room: tokens that fit, special ones already subtracted. strategy: "longest_first" cuts the longer text, then both
    to equal length (of an odd room, the text that was longer, or else the second, gets the odd token), "only_first" and
    "only_second" cut that one only, False none. These are the numbers that Hugging Face's `tokenizers` keeps; Google's
    `_truncate_seq_pair` gives the odd token to the first text. Raises ValueError when cutting one text is not enough.
    """
    excess = first + second - room
    if excess <= 0 or strategy is False:
        return first, second
    if room == 0:
        return 0, 0
    if strategy == "longest_first":
        shorter, longer = sorted((first, second))
        shorter, longer = min(shorter, room // 2), room - min(shorter, room // 2)
        return (longer, shorter) if first > second else (shorter, longer)
    cut = first if strategy == "only_first" else second
    if cut <= excess:
        raise ValueError(f'truncation="{strategy}" must remove {excess} tokens, but that text has only {cut}')
    return (first - excess, second) if strategy == "only_first" else (first, second - excess)


def check_truncation(strategy: str | bool) -> str | bool:
    """`strategy` as `truncated_lengths` takes it; True means "longest_first". Raises ValueError for anything else."""
    if strategy is True:
        return "longest_first"
    if strategy is False or strategy in ("longest_first", "only_first", "only_second"):
        return strategy
    raise ValueError(f'truncation must be "longest_first", "only_first", "only_second" or False, got {strategy!r}')


def check_side(name: str, side: str) -> str:
    """`side`. Raises ValueError if it is neither "left" nor "right"."""
    if side not in ("left", "right"):
        raise ValueError(f'{name} must be "left" or "right", got {side!r}')
    return side


def pad(examples: Sequence[Encoding | Sequence[int]], pad_token_id: int, max_length: int | None = None,
        side: str = "right", segments: bool = True) -> Batch:
    """A batch of B examples (Encodings, or sequences of ids) as int64 arrays, each (B, T), padding on one side.

    T is `max_length`, or the longest example. Returns a dict of input_ids, token_type_ids (if `segments`) and
    attention_mask; for bare ids every token type is 0. Raises ValueError for an example longer than `max_length`:
    padding never cuts.
    """
    if isinstance(examples, Encoding) or any(isinstance(example, (int, np.integer)) for example in examples):
        raise TypeError("pad takes a list of examples, got one example; write pad([example])")
    longest = max(map(len, examples), default=0)
    width = longest if max_length is None else max_length
    if longest > width:
        index = next(index for index, example in enumerate(examples) if len(example) > width)
        raise ValueError(f"example {index} has {len(examples[index])} tokens, more than max_length = {max_length}")
    shape = len(examples), width
    batch = {
        "input_ids": np.full(shape, pad_token_id, np.int64),
        "token_type_ids": np.zeros(shape, np.int64),
        "attention_mask": np.zeros(shape, np.int64),
    }
    if not segments:
        del batch["token_type_ids"]
    for row, example in enumerate(examples):
        text = slice(len(example)) if side == "right" else slice(width - len(example), width)
        if isinstance(example, Encoding):
            for name, array in batch.items():
                array[row, text] = getattr(example, name)
        else:
            batch["input_ids"][row, text] = example
            batch["attention_mask"][row, text] = 1
    return batch
