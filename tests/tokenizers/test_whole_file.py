"""tokenizer.json, written beside the other files, says the same alone: our own reader makes the same tokenizer of it.

`tests/pipeline_parity.py` reads it with `tokenizers` and transformers.
"""
import json

import every_family
import pytest

import numbert as nb
from numbert.pretraining.families import train_tokenizer
from numbert.tokenizers.byte_bpe_files import GPT2

TEXTS = [*every_family.TEXTS[:2], "", " Old  [E] CAT\tx", "Öl, [MASK] naïve <mask> 東京!", "a new word [CLS]</s>",
         "\x00é "]
WORDS = train_tokenizer("bert", every_family.TEXTS, 60).tokens
BYTES, GPT = (train_tokenizer(family, every_family.TEXTS, 300) for family in ("roberta", "gpt"))
ADDED = {"added_tokens": {"[E]": True, "new word": False}, "strip_left": ["[E]"], "single_word": ["new word"],
         "normalized": ["new word"]}
CASES = {
    "BERT": lambda: nb.WordPieceTokenizer(WORDS),
    "cased": lambda: nb.WordPieceTokenizer(WORDS, lowercase=False, strip_accents=True, tokenize_chinese_chars=False),
    "short words": lambda: nb.WordPieceTokenizer(WORDS, max_input_chars_per_word=3, clean_text=False, tidy=False),
    "added": lambda: nb.WordPieceTokenizer(WORDS, **ADDED),
    "other names": lambda: nb.WordPieceTokenizer([*WORDS, "<a>", "<b>"], special_tokens={"cls": "<a>", "mask": "<b>"}),
    "one type": lambda: nb.WordPieceTokenizer(WORDS, pair_type_id=0),
    "left": lambda: nb.WordPieceTokenizer(WORDS, padding_side="left", truncation_side="left", model_max_length=9),
    "RoBERTa": lambda: BYTES,
    "no prefix": lambda: nb.ByteLevelBPETokenizer(BYTES.tokens, BYTES.merges, **ADDED),
    "untrimmed": lambda: nb.ByteLevelBPETokenizer(BYTES.tokens, BYTES.merges, trim_offsets=False),
    "spaces kept": lambda: nb.ByteLevelBPETokenizer(BYTES.tokens, BYTES.merges, trim_first_space=False),
    "GPT-2": lambda: GPT,
    "GPT-2, trimmed": lambda: nb.ByteLevelBPETokenizer(GPT.tokens, GPT.merges, special_tokens=GPT2, trim_offsets=True),
}


@pytest.mark.parametrize("name", CASES)
def test_it_says_the_same_alone(tmp_path, name):
    tokenizer = CASES[name]()
    tokenizer.save_pretrained(tmp_path)
    beside = type(tokenizer).from_pretrained(tmp_path)
    for other in ("vocab.txt", "vocab.json", "merges.txt", "special_tokens_map.json"):
        (tmp_path / other).unlink(missing_ok=True)
    alone = nb.AutoTokenizer.from_pretrained(tmp_path)
    assert type(alone) is type(tokenizer)
    for again in (beside, alone):
        for attribute in ("tokens", "special_tokens", "all_special_ids", "pair_type_id", "continues",
                          "padding_side", "truncation_side", "model_max_length"):
            assert getattr(again, attribute) == getattr(tokenizer, attribute), attribute
        for text in TEXTS:
            for options in ({}, {"special_tokens_in_text": True}, {"max_length": 6}):
                assert again(text, **options) == tokenizer(text, **options)
                assert again(text, "a cat", **options) == tokenizer(text, "a cat", **options)
    ids = tokenizer("The old cat, a dog.").input_ids
    assert alone.decode(ids) == tokenizer.decode(ids)


def test_an_older_one_in_the_folder_is_replaced(tmp_path):
    """Otherwise it would contradict the new files."""
    nb.WordPieceTokenizer(WORDS).save_pretrained(tmp_path)
    nb.WordPieceTokenizer(WORDS[:-1], lowercase=False).save_pretrained(tmp_path)
    assert nb.WordPieceTokenizer.from_pretrained(tmp_path).tokens == WORDS[:-1]


def test_a_token_that_comes_twice_cannot_be_written_there(tmp_path):
    nb.WordPieceTokenizer(WORDS).save_pretrained(tmp_path)
    twice = nb.WordPieceTokenizer([*WORDS, WORDS[-1]])
    twice.save_pretrained(tmp_path)
    assert not (tmp_path / "tokenizer.json").exists()
    assert nb.WordPieceTokenizer.from_pretrained(tmp_path).tokens == twice.tokens


def test_a_folder_without_it_still_loads(tmp_path):
    for tokenizer in (CASES["added"](), CASES["RoBERTa"]()):
        tokenizer.save_pretrained(tmp_path / type(tokenizer).__name__)
        (tmp_path / type(tokenizer).__name__ / "tokenizer.json").unlink()
        again = nb.AutoTokenizer.from_pretrained(tmp_path / type(tokenizer).__name__)
        assert [again(text) for text in TEXTS] == [tokenizer(text) for text in TEXTS]


def test_two_files_that_mean_different_tokenizers_are_refused(tmp_path):
    nb.WordPieceTokenizer(WORDS).save_pretrained(tmp_path)
    whole = json.loads((tmp_path / "tokenizer.json").read_text())
    whole["normalizer"]["lowercase"] = False
    (tmp_path / "tokenizer.json").write_text(json.dumps(whole))
    with pytest.raises(nb.CheckpointError, match="lowercase is True here, but False in tokenizer.json"):
        nb.WordPieceTokenizer.from_pretrained(tmp_path)
