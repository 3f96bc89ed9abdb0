"""What the two tokenizers of ALBERT have in common: that of spiece.model (sentence_piece.py) and that of tokenizer.json
(unigram.py). A piece that begins a word has the word's space, written ▁, as its first character."""
from __future__ import annotations

from collections.abc import Iterable

from ..hub.settings import FOLLOWED, Only
from .files import CONFIG
from .tokenizer import Tokenizer

SPACE = "▁"
SPECIAL_TOKENS = {"pad": "<pad>", "unk": "<unk>", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
TOKENIZER_CONFIG = CONFIG | {
    "do_lower_case": FOLLOWED, "keep_accents": FOLLOWED, "remove_space": Only(True, None),
    "sp_model_kwargs": Only({}, None), "add_prefix_space": Only(True, None),
    "trim_offsets": "offsets leave the space before a word out, as in `tokenizers`",
    "_spm_precompiled_charsmap": "a part of spiece.model and of tokenizer.json", "unk_id": "the model says which",
}


class AlbertPieces(Tokenizer):
    """Pieces to texts, and [CLS] text [SEP] text_pair [SEP]. How a text is cut into pieces is said elsewhere."""

    frame = (("cls",), ("sep",)), ((), ("sep",))

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
