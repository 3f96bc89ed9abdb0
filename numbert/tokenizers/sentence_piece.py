"""SentencePiece, the tokenizer of ALBERT (Lan et al. 2020; Kudo and Richardson 2018): spaces are ordinary characters.

    "Unaffable,  9,000"  ->  cleaned: unaffable, 9,000  ->  ▁unaffable,▁9,000  ->  ▁un  aff  able  ,  ▁9  ,  000

A space is written ▁, so the pieces alone say how a text was spaced. The file spiece.model gives each piece
a probability, and of all ways to cut a text the most probable is taken. That is done by the package
`sentencepiece`, which wrote the file (the extra `sentencepiece`); what ALBERT does before and after is done here:

    before  spaces are made single ones, ``quotes'' made "quotes", accents and capitals taken off
    after   a piece that is a number and a comma, "▁9,", is cut once more, so that 9,000 and 9 share the piece of 9

Pieces and ids are those of `AlbertTokenizer` in Hugging Face transformers 4. That of transformers 5 leaves the second
step out, and does not know ALBERT's symbols of their own, such as "-", inside a word: unigram.py.
"""
from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from ..hub import files
from ..hub.errors import CheckpointError, exists, map_file
from ..hub.settings import Settings
from .albert import SPACE, SPECIAL_TOKENS, TOKENIZER_CONFIG, AlbertPieces
from .files import (
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


class SentencePieceTokenizer(AlbertPieces):
    """Texts to token ids and back. A text stands in [CLS] text [SEP], a pair in [CLS] text [SEP] text_pair [SEP].

    model: the bytes of a spiece.model. special_tokens, added_tokens, options: see `Tokenizer`. lowercase:
    small letters only. keep_accents: é stays é; otherwise it becomes e.
    Raises ImportError without the package `sentencepiece`, ValueError if the bytes are no model.
    """

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
            raise CheckpointError(path, "there is no such file; AutoTokenizer reads tokenizer.json alone")
        data = map_file(path)[:]
        try:
            model = cls(data)
        except ValueError as error:
            raise CheckpointError(path, str(error)) from None
        tokens, symbols = model.tokens, _symbols(model.processor)
        # transformers 5 calls ALBERT's own symbols extra tokens, and so special: they would not be found in plain text.
        extra = [name for name in extra_tokens(named, config) if name not in symbols]
        added = add_extra(tokens, added_tokens(folder, config), extra, path)
        arguments = {"added_tokens": add_tokens(tokens, added, path)} | flags_of(told_tokens(named, config) + added)
        if whole.values:
            entries = add_extra(tokens, listed_tokens(whole), extra, whole.path)
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


def _pieces_of(whole):
    """The pieces in a tokenizer.json, which are those of spiece.model."""
    model = model_of(whole, "Unigram", hint="unk_id")
    listed = model.need("vocab", list)
    if not all(isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) for pair in listed):
        raise CheckpointError(whole.path, "model.vocab must be pairs of a piece and its score")
    return [piece for piece, _ in listed]


def _symbols(processor):
    """The pieces that the model finds in every text, as ALBERT's "-": of all plain ones they alone have score 0."""
    return {processor.id_to_piece(index) for index in range(len(processor)) if processor.get_score(index) == 0
            and not (processor.is_control(index) or processor.is_unknown(index) or processor.is_unused(index))}


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
