"""Texts to ids."""
import itertools
import json
from pathlib import Path

import numpy as np

from numbert import ByteLevelBPETokenizer, WordPieceTokenizer
from numbert.tokenizers.byte_bpe_files import GPT2

from .contender import Contender

TOKENIZERS = {"WordPiece": WordPieceTokenizer, "byte-level BPE": ByteLevelBPETokenizer}


def learn(case, texts):
    """Write to case.folder a vocabulary that is learnt from the texts, and the texts."""
    learner = TOKENIZERS[case.tokenizer]
    options = {} if learner is WordPieceTokenizer else {"special_tokens": GPT2}     # which puts nothing around a text
    learner.train(texts, vocab_size=case.vocab_size, **options).save_pretrained(case.folder)
    (Path(case.folder) / "texts.json").write_text(json.dumps(texts), encoding="utf-8")


class Tokenising(Contender):
    """A list of paragraphs to ids, or to ids with the places in the text that they come from."""

    def __init__(self, case):
        self.case = case
        self.texts = json.loads((Path(case.folder) / "texts.json").read_text(encoding="utf-8"))
        self.tokenizer = self.new()

    def reset(self):
        if not self.case.warm:
            self.tokenizer = self.new()

    def proof(self):
        """All ids, or all offsets, one after another."""
        flat = itertools.chain.from_iterable(self.encode())
        return np.array(list(flat), np.int32)

    def step(self):
        self.encode()


class NumbertTokenising(Tokenising):
    def new(self):
        return TOKENIZERS[self.case.tokenizer].from_pretrained(self.case.folder)

    def encode(self):
        if self.case.offsets:
            return [e.offsets for e in map(self.tokenizer, self.texts)]
        return self.tokenizer.encode_batch(self.texts)


class RustTokenising(Tokenising):
    """`tokenizers`, on all cores that the process has; its encode_batch works out offsets, wanted or not."""

    def new(self):
        import tokenizers
        if self.case.tokenizer == "WordPiece":
            return tokenizers.BertWordPieceTokenizer(f"{self.case.folder}/vocab.txt")
        return tokenizers.ByteLevelBPETokenizer(f"{self.case.folder}/vocab.json", f"{self.case.folder}/merges.txt")

    def encode(self):
        found = self.tokenizer.encode_batch(self.texts)
        return [e.offsets if self.case.offsets else e.ids for e in found]


class FastRustTokenising(RustTokenising):
    """Its method for those who do not want offsets."""

    def encode(self):
        return [e.ids for e in self.tokenizer._tokenizer.encode_batch_fast(self.texts)]
