"""SentencePiece, the tokenizer of ALBERT (Lan et al. 2020; Kudo and Richardson 2018): spaces are ordinary characters.

    "Unaffable,  9,000"  ->  cleaned: unaffable, 9,000  ->  ▁unaffable,▁9,000  ->  ▁un  aff  able  ,  ▁9  ,  000

A space is written ▁, so the pieces alone say how a text was spaced. The file spiece.model gives each piece
a probability, and of all ways to cut a text the most probable is taken. That is done by the package
`sentencepiece`, which wrote the file (the extra `sentencepiece`); what ALBERT does before and after is done here:

    before  spaces are made single ones, ``quotes'' made "quotes", accents and capitals taken off
    after   a piece that is a number and a comma, "▁9,", is cut once more, so that 9,000 and 9 share the piece of 9

Pieces and ids are those of `AlbertTokenizer` in Hugging Face transformers 4. That of transformers 5 leaves the second
step out, and does not know ALBERT's symbols of their own, such as "-", inside a word.
"""
from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from ..hub import files
from ..hub.errors import CheckpointError, exists, map_file
from ..hub.settings import FOLLOWED, Only, Settings
from .files import (
    CONFIG,
    NAMES,
    add_extra,
    add_tokens,
    added_tokens,
    check_agreement,
    common_options,
    extra_tokens,
    flags_of,
    listed_tokens,
    model_of,
    names_by_role,
    options_of,
    pair_type_id,
    told_tokens,
    write_json,
)
from .tokenizer import Tokenizer

SPACE = "▁"
SPECIAL_TOKENS = {"pad": "<pad>", "unk": "<unk>", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
TOKENIZER_CONFIG = CONFIG | {
    "do_lower_case": FOLLOWED, "keep_accents": FOLLOWED, "remove_space": Only(True, None),
    "sp_model_kwargs": Only({}, None), "add_prefix_space": Only(True, None),
    "trim_offsets": "offsets leave the space before a word out, as in `tokenizers`",
    "_spm_precompiled_charsmap": "a part of spiece.model",
}

class SentencePieceTokenizer(Tokenizer):
    """Texts to token ids and back. A text stands in [CLS] text [SEP], a pair in [CLS] text [SEP] text_pair [SEP].

    model: the bytes of a spiece.model. special_tokens, added_tokens, options: see `Tokenizer`. lowercase:
    small letters only. keep_accents: é stays é; otherwise it becomes e.
    Raises ImportError without the package `sentencepiece`, ValueError if the bytes are no model.
    """

    frame = (("cls",), ("sep",)), ((), ("sep",))

    def __init__(self, model: bytes, *, special_tokens: dict[str, str] = SPECIAL_TOKENS,
                 added_tokens: dict[str, bool] | None = None, lowercase: bool = True, keep_accents: bool = False,
                 **options):
        self.model, self.lowercase, self.keep_accents = bytes(model), bool(lowercase), bool(keep_accents)
        self.processor = _processor(self.model)
        tokens = [self.processor.id_to_piece(index) for index in range(len(self.processor))]
        super().__init__(tokens, SPECIAL_TOKENS | special_tokens, added_tokens, **options)
        special = set(self.all_special_ids)
        # What the pieces of plain text may be: whatever the model says, none is a special token.
        self._ordinary = {token: index for token, index in self.vocab.items() if index not in special}
        self._unknown = self.processor.unk_id()

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> SentencePieceTokenizer:
        """The tokenizer saved in `folder`: spiece.model with its configuration files, if there are any.

        Raises CheckpointError, naming the file, for anything that this class would not apply as its authors meant it.
        """
        folder = Path(folder)
        config = Settings.read(folder / "tokenizer_config.json", TOKENIZER_CONFIG)
        config.expect("tokenizer_class", "AlbertTokenizer", "AlbertTokenizerFast", None)
        named = Settings.read(folder / "special_tokens_map.json", NAMES)
        path, whole = folder / "spiece.model", Settings.read(folder / "tokenizer.json")
        if not exists(path) and whole.values:
            raise CheckpointError(path, "there is no such file, and the pieces are read from it, not from "
                                  "tokenizer.json: take it from the checkpoint that this one was made from")
        data = map_file(path)[:]
        try:
            tokens = cls(data).tokens
        except ValueError as error:
            raise CheckpointError(path, str(error)) from None
        added = add_extra(tokens, added_tokens(folder, config), extra_tokens(named, config), path)
        arguments = {"added_tokens": add_tokens(tokens, added, path)} | flags_of(told_tokens(named, config) + added)
        if whole.values:
            entries = add_extra(tokens, listed_tokens(whole), extra_tokens(named, config), whole.path)
            theirs = {"added_tokens": add_tokens(tokens, entries, whole.path), "vocabulary": _pieces_of(whole)}
            ours = arguments | {"vocabulary": tokens}
            check_agreement(path, ours, theirs | flags_of(entries))
        return cls(data, special_tokens=names_by_role(named) | names_by_role(config),
                   lowercase=config.get("do_lower_case", bool, True),
                   keep_accents=config.get("keep_accents", bool, False), **arguments, **pair_type_id(config),
                   **common_options(config, whole))

    def save_pretrained(self, folder: str | Path) -> None:
        """Write spiece.model, tokenizer_config.json and special_tokens_map.json, as transformers reads them."""
        folder = Path(folder)
        config = options_of(self) | {
            "tokenizer_class": "AlbertTokenizer",
            "do_lower_case": self.lowercase,
            "keep_accents": self.keep_accents,
            "remove_space": True,
        }
        folder.mkdir(parents=True, exist_ok=True)
        with files.replacing(folder / "spiece.model") as file:
            file.write(self.model)
        write_json(folder / "special_tokens_map.json", {name: config[name] for name in NAMES if name in config})
        write_json(folder / "tokenizer_config.json", config)

    # Texts to ids

    def clean(self, text: str) -> str:
        """The text that is cut, as Python's string functions make it of `text`."""
        return self._letters(" ".join(text.split()).replace("``", '"').replace("''", '"'))

    def align(self, text: str) -> list[tuple[int, int]]:
        """For each character of `clean(text)` the (start, end) of what it came from in `text`."""
        spans, first = [], len(text) - len(text.lstrip())
        for match in re.finditer(r"``|''|\s+|\S", text[first:].rstrip()):
            start, end, part = match.start(), match.end(), match.group()
            part = " " if part.isspace() else part if len(part) == 1 else '"'
            spans += [(first + start, first + end)] * (1 if part.isascii() else len(self._letters(part)))
        return spans

    def normalise(self, text: str) -> str:
        return self.clean(text)

    def align_normalised(self, text: str) -> list[tuple[int, int]]:
        return self.align(text)

    def _letters(self, text):
        if self.lowercase:
            text = text.replace("Σ", "σ").lower()           # Python alone would make it ς at the end of a word
        if not self.keep_accents:
            text = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
        return text.lower() if self.lowercase else text     # again: the plain form of a small letter may be a capital

    def split_piece(self, piece: str) -> list[str]:
        """A piece as ALBERT leaves it: of one that ends in a digit and a comma, the comma is cut off, and what stands
        before it is cut anew."""
        if not (len(piece) > 1 and piece[-1] == "," and piece[-2].isdigit()):
            return [piece]
        before = self.processor.encode(piece[:-1].replace(SPACE, ""), out_type=str)
        if not piece.startswith(SPACE) and before[0].startswith(SPACE):
            before = [before[0][1:], *before[1:]] if len(before[0]) > 1 else before[1:]
        return [*before, ","]

    def cut(self, text: str) -> list[list[tuple[int, int, int]]]:
        """A word is what stands between spaces. The offsets leave its space out; a piece that is nothing but the space
        has those of the next character, as in `tokenizers`."""
        cleaned, spans = self.clean(text), self.align(text)
        normalised, places = self.processor.normalize(cleaned, with_offsets=True)
        words, end = [], 0
        for piece in self.processor.encode(cleaned, out_type=str):
            end += len(piece)
            if not words or piece.startswith(SPACE):
                words.append([])
            parts = self.split_piece(piece)
            place = end - sum(map(len, parts))
            for part in parts:
                first, place = place + part.startswith(SPACE), place + len(part)
                last = max(first, place - 1)            # in `normalised`; places[i] is where its character i begins
                words[-1].append((self._id(part), spans[places[first]][0],
                                  spans[max(places[last], places[last + 1] - 1)][1]))
        return words

    def cut_to_ids(self, text: str) -> list[int]:
        return [self._id(part) for piece in self.processor.encode(self.clean(text), out_type=str)
                for part in self.split_piece(piece)]

    def _id(self, piece):
        return self._ordinary.get(piece, self._unknown)

    # Ids to texts

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = True) -> str:
        """The text of `ids`. Capitals, accents and the original spaces are gone."""
        special = set(self.all_special_ids)
        tokens = [self.convert_ids_to_tokens(index) for index in ids if not skip_special_tokens or index not in special]
        return self.convert_tokens_to_string(tokens)

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """The text of `tokens`, as `decode` gives it."""
        return "".join(tokens).replace(SPACE, " ").strip()

    @property
    def continues(self) -> list[bool]:
        """For each id whether it continues a word: a list of bool, True for pieces that do not begin with a space."""
        whole = {*self.added_tokens, *self.special_tokens.values()}
        return [token not in whole and not token.startswith(SPACE) for token in self.tokens]


def _pieces_of(whole):
    """The pieces in a tokenizer.json, which are those of spiece.model."""
    model = model_of(whole, "Unigram", hint="unk_id")
    listed = model.need("vocab", list)
    if not all(isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) for pair in listed):
        raise CheckpointError(whole.path, "model.vocab must be pairs of a piece and its score")
    return [piece for piece, _ in listed]


def _processor(model):
    try:
        from sentencepiece import SentencePieceProcessor
    except ImportError:
        raise ImportError("a spiece.model is read by the package sentencepiece, which is not installed: "
                          "pip install sentencepiece (the extra `sentencepiece`)") from None
    try:
        processor = SentencePieceProcessor(model_proto=model)
    except RuntimeError:
        raise ValueError(f"these {len(model)} bytes are no model of sentencepiece") from None
    if any(map(processor.is_byte, range(len(processor)))):
        raise ValueError("the model writes unknown characters as bytes, which is not supported")
    return processor
