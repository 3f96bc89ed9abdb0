"""`AutoTokenizer` loads the tokenizer that a folder holds, of the class that its files name."""
from __future__ import annotations

from pathlib import Path

from ..hub.errors import CheckpointError, exists
from .byte_bpe import ByteLevelBPETokenizer
from .byte_bpe_files import DEFAULTS
from .files import Settings
from .sentence_piece import SentencePieceTokenizer
from .tokenizer import Tokenizer
from .unigram import UnigramTokenizer
from .wordpiece import WordPieceTokenizer
from .wordpiece_files import CLASSES

# The classes of transformers' tokenizers that are the same, the file of the vocabulary, the model in tokenizer.json.
READERS = {WordPieceTokenizer: (CLASSES, "vocab.txt", "WordPiece"),
           ByteLevelBPETokenizer: (tuple(DEFAULTS), "vocab.json", "BPE"),
           SentencePieceTokenizer: (("AlbertTokenizer",), "spiece.model", "Unigram")}


class AutoTokenizer:
    """`AutoTokenizer.from_pretrained(folder)` gives a `WordPieceTokenizer`, a `ByteLevelBPETokenizer`, a
    `SentencePieceTokenizer` or a `UnigramTokenizer`, whichever the folder holds."""

    @staticmethod
    def from_pretrained(folder: str | Path) -> Tokenizer:
        """The tokenizer saved in `folder`. Raises CheckpointError for one that cannot be read, and says which can."""
        return tokenizer_class(folder).from_pretrained(folder)


def tokenizer_class(folder: str | Path) -> type[Tokenizer]:
    """The class that reads the tokenizer in `folder`: by the name that tokenizer_config.json (or config.json) has for
    it, or else by the files that are there. Raises CheckpointError."""
    folder = Path(folder)
    cls = _reader(folder)
    alone = not exists(folder / "spiece.model") and exists(folder / "tokenizer.json")
    return UnigramTokenizer if cls is SentencePieceTokenizer and alone else cls


def _reader(folder):
    for name in ("tokenizer_config.json", "config.json"):
        settings = Settings.read(folder / name)
        if kind := settings.get("tokenizer_class", str):
            break
    plain = (kind or "").removesuffix("Fast")
    for cls, (classes, _, _) in READERS.items():
        if plain in classes:
            return cls
    if not kind:
        for cls, (_, file, _) in READERS.items():
            if exists(folder / file):
                return cls
    if exists(folder / "tokenizer.json"):               # it holds the whole tokenizer, whatever the class is called
        model = Settings.read(folder / "tokenizer.json").inner("model")
        for cls, (_, _, written) in READERS.items():
            if model.values.get("type") == written:
                return cls
        if model.values.get("type") is not None or kind:
            raise model.error("type", f"must be one of {', '.join(row[2] for row in READERS.values())}")
        return ByteLevelBPETokenizer if "merges" in model.values else WordPieceTokenizer     # old files do not name it
    if kind:
        raise settings.error("tokenizer_class", "must be one of "
                             + ", ".join(name for classes, _, _ in READERS.values() for name in classes))
    if not folder.is_dir():
        raise CheckpointError(folder, "there is no such folder")
    raise CheckpointError(folder, "there is no tokenizer in it: looked for "
                          + ", ".join([*(file for _, file, _ in READERS.values()), "tokenizer.json"]))
