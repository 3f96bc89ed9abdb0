import copy
import json
import pickle
import random
import re
import time
import unicodedata
import warnings
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_settings import write_with_an_odd_value

from numbert.hub.errors import CheckpointError
from numbert.tokenizers.byte_bpe import ByteLevelBPETokenizer
from numbert.tokenizers.byte_bpe_files import GPT2, ROBERTA
from numbert.tokenizers.byte_bpe_training import learn_merges
from numbert.tokenizers.byte_bpe_words import SHAPES, printable_bytes, split_words

DATA = Path(__file__).parents[3] / "shared" / "data"
BYTES = sorted(printable_bytes())
MERGES = [tuple(pair.split()) for pair in ("l o", "lo w", "Ġ low", "e s", "es t", "Ã ©", "Ġ t", "h e", "Ġt he", "Ġ Ġ",
                                           "' t", "Ġ æ", "Ċ Ċ", "1 2")]
TOKENS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *BYTES, *map("".join, MERGES)]
TOKENIZER = ByteLevelBPETokenizer(TOKENS, MERGES)

# Text -> token:start-end/word, recorded from tokenizers 0.23.3: ByteLevelBPETokenizer(TOKENS with ids, MERGES) and
# RobertaProcessing (AS_ROBERTA, and _PREFIXED with add_prefix_space = True) or ByteLevel(trim_offsets=False) (AS_GPT2).
AS_ROBERTA = {
    'low lowest': 'low:0-3/0 Ġlow:4-7/1 est:7-10/1',
    ' low': 'Ġlow:1-4/0',
    '  low': 'Ġ:1-1/0 Ġlow:2-5/1',
    'The the\tthe \n\nthe\n\n':
        'T:0-1/0 he:1-3/0 Ġthe:4-7/1 ĉ:7-8/2 t:8-9/3 he:9-11/3 Ġ:12-12/4 Ċ:12-13/4 Ċ:13-14/5 t:14-15/6 '
        'he:15-17/6 ĊĊ:17-19/7',
    "don't DON'T": "d:0-1/0 o:1-2/0 n:2-3/0 't:3-5/1 Ġ:6-6/2 D:6-7/2 O:7-8/2 N:8-9/2 ':9-10/3 T:10-11/4",
    '\xe9 \xe9\u6771 \u6771': 'Ã©:0-1/0 Ġ:2-2/1 Ã©:2-3/1 æ:3-4/1 Ŀ:3-4/1 ±:3-4/1 Ġæ:5-6/2 Ŀ:5-6/2 ±:5-6/2',
    '12½ x12': '12:0-2/0 Â:2-3/0 ½:2-3/0 Ġ:4-4/1 x:4-5/1 12:5-7/2',
    'a\xa0b\u3000c': 'a:0-1/0 Â:1-2/1 ł:1-2/1 b:2-3/2 ã:3-4/3 Ģ:3-4/3 Ģ:3-4/3 c:4-5/4',
    '': '',
    '   ': 'ĠĠ:2-2/0 Ġ:3-3/0',
    '\x1f \x85': 'ğ:0-1/0 Ġ:2-2/1 Â:2-3/1 ħ:2-3/1',
    '<mask> </s>': '<:0-1/0 m:1-2/1 a:2-3/1 s:3-4/1 k:4-5/1 >:5-6/2 Ġ:7-7/3 <:7-8/3 /:8-9/3 s:9-10/4 >:10-11/5',
    'Ġlow Ãl': 'Ä:0-1/0 ł:0-1/0 low:1-4/0 Ġ:5-5/1 Ã:5-6/1 ĥ:5-6/1 l:6-7/1',
    'e\u0301\u0661\u200d\U0001f600':
        'e:0-1/0 Ì:1-2/1 ģ:1-2/1 Ù:2-3/2 ¡:2-3/2 â:3-4/3 Ģ:3-4/3 į:3-4/3 ð:4-5/3 Ł:4-5/3 ĺ:4-5/3 Ģ:4-5/3',
}
AS_ROBERTA_PREFIXED = {
    'low lowest': 'Ġlow:0-3/0 Ġlow:4-7/1 est:7-10/1',
    ' low': 'Ġlow:0-4/0',
    '  low': 'Ġ:0-0/0 Ġlow:2-5/1',
    '\xe9 \xe9\u6771 \u6771': 'Ġ:0-0/0 Ã©:0-1/0 Ġ:2-2/1 Ã©:2-3/1 æ:3-4/1 Ŀ:3-4/1 ±:3-4/1 Ġæ:5-6/2 Ŀ:5-6/2 ±:5-6/2',
    '': '',
    '   ': 'ĠĠ:2-2/0 Ġ:3-3/0',
}
AS_GPT2 = {
    'low lowest': 'low:0-3/0 Ġlow:3-7/1 est:7-10/1',
    ' low': 'Ġlow:0-4/0',
    '  low': 'Ġ:0-1/0 Ġlow:1-5/1',
    '\xe9 \xe9\u6771 \u6771': 'Ã©:0-1/0 Ġ:1-2/1 Ã©:2-3/1 æ:3-4/1 Ŀ:3-4/1 ±:3-4/1 Ġæ:4-6/2 Ŀ:5-6/2 ±:5-6/2',
    '': '',
    '   ': 'ĠĠ:0-2/0 Ġ:2-3/0',
}


def pieces(tokenizer, text):
    encoding = tokenizer(text, add_special_tokens=False)
    columns = zip(encoding.tokens, encoding.offsets, encoding.word_ids, strict=True)
    return " ".join(f"{token}:{start}-{end}/{word}" for token, (start, end), word in columns)


def test_by_hand():
    """l-o and o-w are found 5 times, and l has the smaller id; then lo-w; then low-e, Ġ-low and Ġlow-e 2 times."""
    tokenizer = ByteLevelBPETokenizer.train(["low low\nlow", "low lower lowest"], vocab_size=265)
    assert tokenizer.tokens[:5] == ["<s>", "<pad>", "</s>", "<unk>", "<mask>"] and tokenizer.tokens[5:261] == BYTES
    assert tokenizer.merges == [("l", "o"), ("lo", "w"), ("Ġ", "low"), ("Ġlow", "e")]
    assert tokenizer.tokens[261:] == ["lo", "low", "Ġlow", "Ġlowe"]
    encoding = tokenizer("low lowest", "é")
    assert encoding.tokens == ["<s>", "low", "Ġlowe", "s", "t", "</s>", "</s>", "Ã", "©", "</s>"]
    assert encoding.input_ids == [0, 262, 264, *(5 + BYTES.index(char) for char in "st"), 2, 2,
                                  *(5 + BYTES.index(char) for char in "Ã©"), 2]
    assert encoding.token_type_ids == [0] * 10 and encoding.attention_mask == [1] * 10
    assert encoding.special_tokens_mask == [1, 0, 0, 0, 0, 1, 1, 0, 0, 1]
    assert encoding.offsets == [(0, 0), (0, 3), (4, 8), (8, 9), (9, 10), (0, 0), (0, 0), (0, 1), (0, 1), (0, 0)]
    assert encoding.word_ids == [None, 0, 1, 1, 1, None, None, 0, 0, None]
    assert encoding.sequence_ids == [None, 0, 0, 0, 0, None, None, 1, 1, None]
    assert tokenizer.decode(encoding.input_ids) == "low lowesté"


# Words

def test_words():
    assert split_words("They're 12 — now\n") == ["They", "'re", " 12", " —", " now", "\n"]
    assert split_words("a  b \n c\n\nd") == ["a", " ", " b", " \n", " c", "\n", "\n", "d"]
    assert split_words("I'll 'tis ’s 3rd x²") == ["I", "'ll", " '", "tis", " ’", "s", " 3", "rd", " x", "²"]
    assert split_words("") == []


@pytest.mark.parametrize("char, shape", [
    ("\u0870", "letter"), ("\u1c89", "letter"), ("\U0002ebf0", "letter"), ("\U000323af", "letter"),  # Unicode 14 to 16
    ("\U00010d40", "number"), ("\U00011f50", "number"), ("\u216b", "number"), ("½", "number"), ("ª", "letter"),
    ("\u0300", "other"), ("\x1c", "other"), ("\u200b", "other"), ("\ud800", "other"), ("\ue000", "other"),
    ("\x85", "space"), ("\u2028", "space"), ("\u3000", "space"), ("\u180e", "other"), ("\u0378", "other")])
def test_classes_of_characters(char, shape):
    expected = {"letter": ["A" + char, "0", "!"], "number": ["A", char + "0", "!"], "other": ["A", "0", char + "!"],
                "space": ["A", "0", "!"]}[shape]
    found = [split_words("A" + char)[0], split_words(char + "0")[-1], split_words(char + "!")[-1]]
    assert found == expected


def test_bytes_have_characters_of_their_own():
    characters = printable_bytes()
    assert len(set(characters)) == 256 and characters[ord("a")] == "a" and characters[0xe9] == "é"
    assert (characters[0], characters[10], characters[32], characters[0xad]) == ("Ā", "Ċ", "Ġ", "Ń")
    assert all(char.isprintable() and not char.isspace() for char in characters)


TEXTS = st.text() | st.text("lowest' \n\té東12.,\x85\u3000\U0001f600") | st.lists(
    st.sampled_from(["low", " lowest", "don't", "<mask>", "</s>", "  ", "\n", "é", "[E]"])).map("".join)


@given(st.text("ab1.'\"’s \n\té東", max_size=20) | TEXTS)
@settings(max_examples=300, deadline=None)
def test_words_are_those_of_the_printed_pattern(text):
    printed = re.compile(r"'(?:s|t|re|ve|m|ll|d)| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+", re.ASCII)
    assert split_words(text) == [text[slice(*match.span())] for match in printed.finditer(text.translate(SHAPES))]


@given(TEXTS)
@settings(max_examples=200, deadline=None)
def test_words_are_the_text(text):
    words = split_words(text)
    assert "".join(words) == text and "" not in words
    assert all(split_words(word) == [word] for word in words)


# Texts to ids

@pytest.mark.parametrize("text", AS_ROBERTA)
def test_golden_roberta(text):
    assert pieces(TOKENIZER, text) == AS_ROBERTA[text]


@pytest.mark.parametrize("text", AS_GPT2)
def test_golden_prefixed_and_gpt2(text):
    prefixed = ByteLevelBPETokenizer(TOKENS, MERGES, add_prefix_space=True)
    assert pieces(prefixed, text) == AS_ROBERTA_PREFIXED[text]
    assert pieces(ByteLevelBPETokenizer(TOKENS, MERGES, special_tokens=GPT2), text) == AS_GPT2[text]


def plain_cut(tokenizer, word):
    """The definition: look at all pairs for each join, and take the first of those with the lowest rank."""
    ranks = {pair: rank for rank, pair in enumerate(tokenizer.merges)}
    parts = [printable_bytes()[byte] for byte in word.encode()]
    while True:
        found = [(ranks[pair], place) for place, pair in enumerate(pairwise(parts)) if pair in ranks]
        if not found:
            return tokenizer.convert_tokens_to_ids(parts)
        place = min(found)[1]
        parts[place:place + 2] = ["".join(parts[place:place + 2])]


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), max_size=12), st.text("ab", max_size=30))
@settings(max_examples=150, deadline=None)
def test_cut_word_is_the_plain_definition(joins, word):
    """Merges of any two tokens, in any order: also such as no training would find."""
    tokens, merges = ["a", "b"], []
    for left, right in joins:
        pair = tokens[left % len(tokens)], tokens[right % len(tokens)]
        if "".join(pair) not in tokens and len("".join(pair)) < 9:
            merges.append(pair)
            tokens.append("".join(pair))
    for order in (merges, merges[::-1]):
        tokenizer = ByteLevelBPETokenizer([*TOKENS[:5], *BYTES, *tokens[2:]], order)
        expected, symbols = plain_cut(tokenizer, word), [tokenizer._byte_ids[byte] for byte in word.encode()]
        assert tokenizer.cut_word(word) == expected
        assert tokenizer._join(symbols.copy()) == tokenizer._join_many(symbols) == expected  # short and long


@given(TEXTS, TEXTS, st.booleans(), st.booleans(), st.booleans())
@settings(max_examples=150, deadline=None)
def test_texts_come_back_and_offsets_cut_them_in_order(text, pair, prefix, trim, in_text):
    tokenizer = ByteLevelBPETokenizer([*TOKENS, "[E]"], MERGES, added_tokens={"[E]": False}, add_prefix_space=prefix,
                                      trim_offsets=trim)
    try:
        encoding = tokenizer(text, pair, special_tokens_in_text=in_text)
    except ValueError:
        assert any("\ud800" <= char <= "\udfff" for char in text + pair)
        return
    for which, source in enumerate((text, pair)):
        rows = [row for row, sequence in enumerate(encoding.sequence_ids) if sequence == which]
        spans = [encoding.offsets[row] for row in rows]
        assert all(0 <= start <= end <= len(source) for start, end in spans)
        assert spans == sorted(spans) or prefix and trim  # as in tokenizers: "[E]0" has (0, 3), (4, 4), (3, 4)
        words = [encoding.word_ids[row] for row in rows]
        assert sorted(set(words)) == list(range(len(set(words)))) and words == sorted(words)
        ids = [encoding.input_ids[row] for row in rows]
        options = {"add_special_tokens": False, "special_tokens_in_text": in_text}
        assert tokenizer.encode_batch([source], **options) == [ids]
        if not trim:
            covered = {place for start, end in spans for place in range(start, end)}
            assert covered == set(range(len(source)))
        if not prefix and "<mask>" not in source:
            assert tokenizer.decode(ids, skip_special_tokens=False, errors="surrogateescape") == source


PARTS = [b"low", b" ", "é東".encode(), b"\xe6\x9d", b"\xff", b"\0"]


@given(st.binary() | st.lists(st.sampled_from(PARTS)).map(b"".join))
@settings(max_examples=200, deadline=None)
def test_every_byte_string_comes_back(data):
    ids = TOKENIZER(data.decode("utf-8", "surrogateescape")).input_ids
    assert TOKENIZER.decode_bytes(ids) == data
    assert TOKENIZER.decode(ids) == data.decode("utf-8", "replace")


@given(st.lists(st.integers(5, len(TOKENS) - 1)))
@settings(max_examples=100, deadline=None)
def test_any_ids_have_bytes(ids):
    data = TOKENIZER.decode_bytes(ids)
    assert TOKENIZER.decode_bytes(TOKENIZER(data.decode("utf-8", "surrogateescape")).input_ids) == data


def test_decode():
    assert TOKENIZER.decode(np.array([0, *TOKENIZER.encode_batch(["low"])[0]])) == "low"
    assert TOKENIZER.decode([0, 4, 1], skip_special_tokens=False) == "<s><mask><pad>"
    first = TOKENIZER.encode_batch(["東"], add_special_tokens=False)[0][:1]
    assert TOKENIZER.decode(first) == "\ufffd" and TOKENIZER.decode_bytes(first) == b"\xe6"
    with pytest.raises(UnicodeDecodeError):
        TOKENIZER.decode(first, errors="strict")
    with pytest.raises(ValueError, match="id 999 is not in the vocabulary"):
        TOKENIZER.decode([999])
    tokenizer = ByteLevelBPETokenizer([*TOKENS, "[é]", "東"], MERGES, added_tokens={"[é]": False})
    assert tokenizer.decode(tokenizer("a[é] 東").input_ids) == "a[é] 東" and tokenizer.decode([len(TOKENS) + 1]) == "東"


def test_special_tokens_in_a_text_only_when_asked_for():
    text = "low  <mask> low</s>"
    assert TOKENIZER.mask_token_id not in TOKENIZER(text).input_ids
    encoding = TOKENIZER(text, special_tokens_in_text=True)
    assert encoding.tokens == ["<s>", "low", "<mask>", "Ġlow", "</s>", "</s>"]  # <mask> takes the spaces before it
    assert encoding.offsets == [(0, 0), (0, 3), (5, 11), (12, 15), (15, 19), (0, 0)]
    assert encoding.word_ids == [None, 0, 1, 2, 3, None] and encoding.special_tokens_mask == [1, 0, 0, 0, 0, 1]
    assert TOKENIZER.tokenize(text, special_tokens_in_text=True) == encoding.tokens[1:-1]
    plain = ByteLevelBPETokenizer(TOKENS, MERGES, strip_left=(), strip_right=["</s>"])
    assert plain.tokenize("a <mask></s> \x1fa", special_tokens_in_text=True) == ["a", "Ġ", "<mask>", "</s>", "ğ", "a"]


def test_ids_of_special_tokens():
    ids = [TOKENIZER.bos_token_id, TOKENIZER.pad_token_id, TOKENIZER.eos_token_id, TOKENIZER.unk_token_id,
           TOKENIZER.mask_token_id]
    assert ids == TOKENIZER.all_special_ids == [0, 1, 2, 3, 4]
    assert (TOKENIZER.cls_token_id, TOKENIZER.sep_token_id) == (0, 2)
    assert TOKENIZER.pad([TOKENIZER("low"), [7]])["input_ids"].tolist() == [[0, TOKENIZER.vocab["low"], 2], [7, 1, 1]]
    assert len(TOKENIZER) == len(TOKENS) and TOKENIZER.convert_tokens_to_ids(["low", "?!"]) == [TOKENS.index("low"), 3]
    gpt = ByteLevelBPETokenizer([*BYTES, "<|endoftext|>"], [], special_tokens=GPT2)
    assert gpt.bos_token_id == gpt.eos_token_id == gpt.unk_token_id == 256 and gpt.all_special_ids == [256]
    encoding = gpt("a", "b")
    assert encoding.tokens == ["a", "b"] and encoding.token_type_ids == [0, 1]
    assert gpt("<|endoftext|>", special_tokens_in_text=True).input_ids == [256]
    assert gpt.pad([[0], [1, 2]])["input_ids"].tolist() == [[0, 256], [1, 2]]      # the mask says that it is no text
    for use, role in [(lambda: gpt.cls_token_id, "cls"), (lambda: gpt.pad_token_id, "pad")]:
        with pytest.raises(ValueError, match=f"257 tokens has no {role} token"):
            use()


def test_continues():
    """What begins with a space begins a word; the comma in "low, low" is part of the word before it."""
    continues = dict(zip(TOKENIZER.tokens, TOKENIZER.continues, strict=True))
    assert continues["low"] and continues[","] and continues["ĊĊ"]
    assert not any(continues[token] for token in ("Ġlow", "Ġ", "<s>", "<mask>"))


@pytest.mark.parametrize("truncation, tokens", [
    ("longest_first", "<s> a Ġ </s> </s> b Ġ b </s>"), ("only_second", "<s> a Ġ a Ġ </s> </s> b </s>"),
    (False, "<s> a Ġ a Ġ </s> </s> b Ġ b Ġ b </s>")])
def test_truncation(truncation, tokens):
    assert " ".join(TOKENIZER("a a ", "b b b", max_length=9, truncation=truncation).tokens) == tokens
    with pytest.raises(ValueError, match="must leave room for 4 special tokens, got 3"):
        TOKENIZER("a", "b", max_length=3)


def test_mistakes():
    for use in (lambda: TOKENIZER(["a"]), lambda: TOKENIZER.encode_batch(["a", None]), lambda: TOKENIZER.tokenize(b"a"),
                lambda: ByteLevelBPETokenizer.train([b"a"])):
        with pytest.raises(TypeError, match="a text must be a str, got"):
            use()
    for use in (lambda: TOKENIZER.encode_batch("a"), lambda: ByteLevelBPETokenizer.train("a text")):
        with pytest.raises(TypeError, match="got one str"):
            use()
    with pytest.raises(ValueError, match=r"half of a surrogate pair, '\\ud83d'"):
        TOKENIZER("low \ud83d")
    with pytest.raises(ValueError, match="no token for the byte 0xc3 of 'aé'"):
        ByteLevelBPETokenizer(["a"], []).tokenize("aé")
    with pytest.raises(ValueError, match="merge 0 joins a and b, but ab is not in the vocabulary"):
        ByteLevelBPETokenizer(["a", "b"], [("a", "b")])


# Training

def test_train():
    with pytest.warns(UserWarning, match="give only 264 entries, not vocab_size = 300.*min_frequency = 3"):
        tokenizer = ByteLevelBPETokenizer.train([" low low"] * 2, vocab_size=300, min_frequency=3)
    assert tokenizer.merges == [("l", "o"), ("Ġ", "lo"), ("Ġlo", "w")]  # all four times; Ġ has a smaller id than lo
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gpt = ByteLevelBPETokenizer.train(["low low"], vocab_size=260, special_tokens=GPT2, add_prefix_space=True)
        assert gpt.tokens[0] == "<|endoftext|>" and gpt.tokenize("low") == ["Ġlow"]
        assert len(ByteLevelBPETokenizer.train([], vocab_size=261)) == 261
    with pytest.raises(ValueError, match="vocab_size must be at least 261, .* got 260"):
        ByteLevelBPETokenizer.train(["a"], vocab_size=260)


def test_no_text_spells_a_special_token():
    """<s> and <mask> are three words each; a special token that is one word is not joined, as it is in tokenizers."""
    assert not {0, 4} & set(TOKENIZER.encode_batch(["<s><mask>"], add_special_tokens=False)[0])
    names = ROBERTA | {"mask": "low"}
    tokenizer = ByteLevelBPETokenizer.train(["low lowest"] * 9, vocab_size=265, special_tokens=names)
    assert ("lo", "w") not in tokenizer.merges and tokenizer.tokenize("low")[:1] == ["lo"]
    assert tokenizer.mask_token_id not in tokenizer("low lowest").input_ids


def plain_learn(word_counts, tokens, size, min_frequency):
    """The definition: count everything again for every join. Every join brings a token, or takes pairs away."""
    tokens, merges = list(tokens), []
    words = {word: [tokens.index(char) for char in word] for word in word_counts}
    while len(tokens) < size:
        counts = Counter()
        for word, symbols in words.items():
            for pair in pairwise(symbols):
                counts[pair] += word_counts[word]
        best = min(counts, key=lambda pair: (-counts[pair], pair), default=None)
        if best is None or counts[best] < min_frequency:
            break
        parts = tokens[best[0]], tokens[best[1]]
        merges.append(parts)
        if "".join(parts) not in tokens:
            tokens.append("".join(parts))
        for symbols in words.values():
            place = 0
            while place < len(symbols) - 1:
                if (symbols[place], symbols[place + 1]) == best:
                    symbols[place:place + 2] = [tokens.index("".join(parts))]
                place += 1
    return tokens, merges


WORD_COUNTS = st.dictionaries(st.text("abc", min_size=1, max_size=12), st.integers(1, 9), max_size=8)


@given(WORD_COUNTS, st.integers(3, 25), st.integers(1, 4))
@settings(max_examples=150, deadline=None)
def test_learning_is_the_plain_definition(word_counts, size, min_frequency):
    assert learn_merges(word_counts, "abc", size, min_frequency) == plain_learn(word_counts, "abc", size, min_frequency)


# Files

@pytest.mark.parametrize("options", [
    {}, {"special_tokens": GPT2}, {"add_prefix_space": True}, {"trim_offsets": False}, {"trim_first_space": False},
    {"added_tokens": {"[E]": False, "[S]": True}, "strip_left": ["[E]"], "strip_right": ["</s>"]},
    {"special_tokens": ROBERTA | {"mask": "[S]"}, "model_max_length": 512}])
def test_what_is_saved_comes_back(tmp_path, options):
    tokenizer = ByteLevelBPETokenizer([*TOKENS, "[E]", "[S]"], MERGES, **options)
    tokenizer.save_pretrained(tmp_path / "new")
    again = ByteLevelBPETokenizer.from_pretrained(str(tmp_path / "new"))
    text = " low  <mask> é [E] [S] </s>  a"
    for options in ({"special_tokens_in_text": False}, {"special_tokens_in_text": True}):
        assert again(text, text, **options) == tokenizer(text, text, **options)
    assert (again.tokens, again.merges) == (tokenizer.tokens, MERGES)
    assert again.model_max_length == tokenizer.model_max_length and again.all_special_ids == tokenizer.all_special_ids
    assert again.special_tokens == tokenizer.special_tokens and again.continues == tokenizer.continues
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "merges.txt", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json", "vocab.json"]


def folder_with(folder, vocab=None, merges=None, **contents):
    if vocab is not None:
        contents["vocab"] = {token: index for index, token in enumerate(vocab)} if isinstance(vocab, list) else vocab
    if merges is not None:
        (folder / "merges.txt").write_text(merges, encoding="utf-8")
    for name, content in contents.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_vocabulary_and_merges_alone(tmp_path):
    """RoBERTa's where <s> and </s> are, else GPT-2's; a pair of number signs is no comment."""
    merges = "#version: 0.2\r\nl o\r\n# #\r\n"
    tokenizer = ByteLevelBPETokenizer.from_pretrained(folder_with(tmp_path, [*TOKENS, "##"], merges))
    assert tokenizer.merges == [("l", "o"), ("#", "#")]
    assert tokenizer("lo##").tokens == ["<s>", "lo", "##", "</s>"] and tokenizer.trim_offsets
    tokenizer = ByteLevelBPETokenizer.from_pretrained(folder_with(tmp_path, [*TOKENS[5:], "<|endoftext|>"], "l o"))
    assert tokenizer("lo").tokens == ["lo"] and tokenizer.eos_token_id == len(TOKENS) - 5
    assert not tokenizer.trim_offsets and tokenizer.merges == [("l", "o")]
    assert ByteLevelBPETokenizer.from_pretrained(folder_with(tmp_path, BYTES, "#version: 0.2\n")).merges == []


def test_configuration(tmp_path):
    folder_with(tmp_path, TOKENS, "l o\n", tokenizer_config={
        "tokenizer_class": "RobertaTokenizerFast", "add_prefix_space": True, "mask_token": {"content": "<mask>"},
        "sep_token": None, "model_max_length": 1e30}, special_tokens_map={"cls_token": "<pad>"},
        added_tokens={"[E]": len(TOKENS)})
    tokenizer = ByteLevelBPETokenizer.from_pretrained(tmp_path)
    assert tokenizer("lo [E]").tokens == ["<pad>", "Ġ", "lo", "Ġ", "[E]", "</s>"]
    assert tokenizer.strip_left == frozenset() and tokenizer.model_max_length is None
    folder_with(tmp_path, tokenizer_config={"tokenizer_class": "GPT2Tokenizer", "cls_token": "<s>"})
    assert ByteLevelBPETokenizer.from_pretrained(tmp_path)("lo").tokens == ["lo"]


def tokenizer_json(vocab=TOKENS, model=(), **changes):
    """The content of a tokenizer.json as Hugging Face's tokenizers writes it for RoBERTa."""
    parts = {
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None,
        "added_tokens": [{"id": index, "content": token, "special": True, "single_word": False, "rstrip": False,
                          "lstrip": token == "<mask>", "normalized": False} for index, token in enumerate(vocab[:5])],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "post_processor": {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0], "trim_offsets": True,
                           "add_prefix_space": False},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
                  "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {token: index for index, token in enumerate(vocab)}, "merges": MERGES} | dict(model),
    }
    return parts | changes


def special(name):
    return {"SpecialToken": {"id": name, "type_id": 0}}


A, B = {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}
TEMPLATE = {"type": "TemplateProcessing", "single": [special("<s>"), A, special("</s>")],
            "pair": [special("<s>"), A, special("</s>"), special("</s>"), B, special("</s>")],
            "special_tokens": {name: {"id": name, "ids": [index], "tokens": [name]}
                               for index, name in ((0, "<s>"), (2, "</s>"))}}
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}


@pytest.mark.parametrize("changes", [
    {}, {"post_processor": None}, {"post_processor": BYTE_LEVEL | {"trim_offsets": False}},
    {"post_processor": BYTE_LEVEL}, {"post_processor": TEMPLATE},
    {"post_processor": {"type": "Sequence", "processors": [BYTE_LEVEL, TEMPLATE]}},
    {"post_processor": TEMPLATE | {"single": [A], "pair": [A, {"Sequence": {"id": "B", "type_id": 1}}]}},
    {"pre_tokenizer": BYTE_LEVEL}, {"model": {"merges": [" ".join(pair) for pair in MERGES]}}],
    ids=lambda changes: "-".join(changes))
def test_tokenizer_json_as_tokenizers_reads_it(tmp_path, changes):
    folder_with(tmp_path, tokenizer=tokenizer_json(**changes))
    ours = ByteLevelBPETokenizer.from_pretrained(tmp_path)
    assert ours.mask_token_id == 4 and ours.merges == MERGES
    tokenizers = pytest.importorskip("tokenizers", minversion="0.13")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in (" low low", "", "\n<mask> é 東  <mask>a</s>"):
        assert_same(ours(text, special_tokens_in_text=True), theirs.encode(text))
        assert_same(ours(text, "  low", special_tokens_in_text=True), theirs.encode(text, "  low"))


@pytest.mark.parametrize("contents, message", [
    ({}, "neither vocab.json nor tokenizer.json"),
    ({"vocab": ["a"]}, "merges.txt: there is no such file"),
    ({"vocab": {"a": 1}, "merges": ""}, "vocab.json: the ids of the vocabulary are not 0, 1, 2, ..."),
    ({"vocab": BYTES, "merges": "#version: 0.2\na b\na b c\n"}, "merges.txt: line 3 must be two tokens .*got 'a b c'"),
    ({"vocab": BYTES, "merges": "a b\n\n"}, "merges.txt: line 2 must be two tokens .*got ''"),
    ({"vocab": BYTES, "merges": "a b"}, "merge 0 makes 'ab' of 'a' and 'b', but the vocabulary does not have all"),
    ({"vocab": BYTES, "merges": "", "tokenizer_config": {"tokenizer_class": "DebertaTokenizer"}}, "got 'DebertaTok"),
    ({"vocab": BYTES, "merges": "", "tokenizer_config": {"add_bos_token": True}}, "add_bos_token must be False"),
    ({"tokenizer": {}}, "tokenizer.json: model.type must be 'BPE', got None"),
    ({"tokenizer": tokenizer_json(model={"type": "WordPiece"})}, "model.type must be 'BPE', got 'WordPiece'"),
    ({"tokenizer": tokenizer_json(model={"type": "Unigram"})}, "model.type must be 'BPE', got 'Unigram'"),
    ({"tokenizer": tokenizer_json(model={"dropout": 0.1})}, "model.dropout must not be set, got 0.1"),
    ({"tokenizer": tokenizer_json(model={"ignore_merges": True})}, "model.ignore_merges must be False, got True"),
    ({"tokenizer": tokenizer_json(model={"byte_fallback": True})}, "model.byte_fallback must be False"),
    ({"tokenizer": tokenizer_json(model={"end_of_word_suffix": "</w>"})}, "end_of_word_suffix must not be set"),
    ({"tokenizer": tokenizer_json(model={"merges": [["a", "b", "c"]]})}, r"model.merges\[0\] must be two tokens"),
    ({"tokenizer": tokenizer_json(TOKENS[:50], model={"unk_token": "<unk>"})}, "model.unk_token must .* '<unk>'"),
    ({"tokenizer": tokenizer_json(normalizer={"type": "NFC"})}, "normalizer must not be set, got {'type': 'NFC'}"),
    ({"tokenizer": tokenizer_json(pre_tokenizer=None)}, "pre_tokenizer.type must be 'ByteLevel', got None"),
    ({"tokenizer": tokenizer_json(pre_tokenizer={"type": "Whitespace"})}, "got 'Whitespace'"),
    ({"tokenizer": tokenizer_json(pre_tokenizer=BYTE_LEVEL | {"use_regex": False})}, "use_regex must be True"),
    ({"tokenizer": tokenizer_json(decoder=None)}, "decoder.type must be 'ByteLevel', got None"),
    ({"tokenizer": tokenizer_json(post_processor={"type": "BertProcessing"})}, "post_processor.type .*'Bert"),
    ({"tokenizer": tokenizer_json(post_processor=TEMPLATE | {"single": [special("<s>"), A]})}, "post_processor.single"),
    ({"tokenizer": tokenizer_json(post_processor=TEMPLATE | {"pair": [A, B]})}, "post_processor.pair"),
])
def test_refused_by_name(tmp_path, contents, message):
    with pytest.raises(CheckpointError, match=message) as caught:
        ByteLevelBPETokenizer.from_pretrained(folder_with(tmp_path, **contents))
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("whole", [True, False])
def test_whatever_a_setting_is_it_loads_or_is_refused_as_a_bad_file(tmp_path, whole):
    contents = {"tokenizer.json": tokenizer_json(post_processor={"type": "Sequence", "processors": [
        BYTE_LEVEL, TEMPLATE]}, padding={"pad_token": "<pad>"}, model={"merges": [["l", "o"]], "vocab": {
            token: index for index, token in enumerate([*TOKENS[:5], *"loĠ", "lo"])}})} if whole else {
        "added_tokens.json": {"[E1]": len(TOKENS)}, "special_tokens_map.json": {"mask_token": {"content": "<mask>"}},
        "tokenizer_config.json": {
            "tokenizer_class": "RobertaTokenizer", "add_prefix_space": True, "trim_offsets": True, "sep_token": "</s>",
            "trim_first_space": None, "model_max_length": 1e30, "add_bos_token": False, "added_tokens_decoder": {
                str(len(TOKENS) + 1): {"content": "[E2]", "lstrip": True, "rstrip": False, "special": True}}}}
    if not whole:
        folder_with(tmp_path, TOKENS, "l o\n")

    @given(st.data())
    @settings(max_examples=200, deadline=None)
    def check(data):
        write_with_an_odd_value(tmp_path, contents, data)
        try:
            tokenizer = ByteLevelBPETokenizer.from_pretrained(tmp_path)
        except CheckpointError as error:
            assert str(tmp_path) in str(error) and "\n" not in str(error)
            return
        if {"l", "o", "Ġ"} <= tokenizer.vocab.keys():
            ids, = tokenizer.encode_batch(["lo"], add_special_tokens=False)
            assert ids and all(0 <= index < len(tokenizer) for index in ids)

    check()


def test_bart_is_roberta_by_another_name(tmp_path):
    folder_with(tmp_path, TOKENS, "l o\n", tokenizer_config={"tokenizer_class": "BartTokenizerFast"})
    assert ByteLevelBPETokenizer.from_pretrained(tmp_path)("lo", "lo").tokens == [
        "<s>", "lo", "</s>", "</s>", "lo", "</s>"]


def test_a_merge_that_does_not_fit_on_a_line_loses_nothing(tmp_path):
    TOKENIZER.save_pretrained(tmp_path)
    for pair in (("a b", "c"), ("a", "\n")):
        with pytest.raises(ValueError, match="merges.txt: merge .* does not fit on a line"):
            ByteLevelBPETokenizer([*pair, "".join(pair)], [pair]).save_pretrained(tmp_path)
    assert ByteLevelBPETokenizer.from_pretrained(tmp_path).merges == MERGES


# Speed and safety

@pytest.mark.parametrize("text", ["a" * 10**5, "low" * 10**4, "東" * 10**4, " " * 10**5, "<mask" * 10**4, "\n " * 10**4,
                                  " " * 10**5 + "<mask>", "".join(random.Random(0).choices("lowest", k=10**5))],
                         ids=lambda text: ascii(text[:6]))
def test_no_text_takes_long(text):
    """A tenth of a second or so each; work that grew with the square of the length would take hours."""
    start = time.perf_counter()
    ids = TOKENIZER.encode_batch([text], special_tokens_in_text=True)[0]
    assert TOKENIZER(text, special_tokens_in_text=True).input_ids == ids
    assert time.perf_counter() - start < 20


def test_learning_from_a_long_word_does_not_take_long():
    start = time.perf_counter()
    text = "".join(random.Random(0).choices("abcdef", k=3 * 10**4))
    assert len(ByteLevelBPETokenizer.train([text], vocab_size=1000)) == 1000
    assert time.perf_counter() - start < 20


def test_the_cache_is_bounded(monkeypatch):
    tokenizer = ByteLevelBPETokenizer(TOKENS, MERGES)
    monkeypatch.setattr(type(tokenizer._word_ids), "entries", 10)
    texts = [f"a{'b' * index} " + "ab" * 40 for index in range(40)]
    expected = [tokenizer(text).input_ids for text in texts]
    assert tokenizer.encode_batch(texts) == expected == tokenizer.encode_batch(texts)
    assert 0 < len(tokenizer._word_ids) <= 10 and max(map(len, tokenizer._word_ids)) <= 50


def test_results_are_the_callers_own():
    TOKENIZER.encode_batch(["low"], add_special_tokens=False)[0].append(99)
    assert TOKENIZER.tokenize("low") == ["low"]


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda tokenizer: pickle.loads(pickle.dumps(tokenizer))])
def test_copies(duplicate):
    TOKENIZER.encode_batch(["low"])
    assert duplicate(TOKENIZER)("low lowest", "c") == TOKENIZER("low lowest", "c")


# The reference implementation, where it is installed

def assert_same(ours, theirs):
    assert ours.input_ids == theirs.ids
    assert ours.tokens == [token.strip() for token in theirs.tokens]  # theirs show the space that <mask> took
    assert ours.offsets == theirs.offsets
    assert ours.word_ids == theirs.word_ids
    assert ours.sequence_ids == theirs.sequence_ids
    assert ours.token_type_ids == theirs.type_ids
    assert ours.special_tokens_mask == theirs.special_tokens_mask


def reference(tokenizer, special_tokens_in_text):
    """The same tokenizer as tokenizers has it, set up as transformers does for RoBERTa and GPT-2."""
    tokenizers = pytest.importorskip("tokenizers", minversion="0.13")
    theirs = tokenizers.ByteLevelBPETokenizer(tokenizer.vocab, tokenizer.merges,
                                              add_prefix_space=tokenizer.add_prefix_space)._tokenizer
    theirs.add_special_tokens([tokenizers.AddedToken(token, lstrip=token in tokenizer.strip_left, normalized=False)
                               for token in tokenizer.convert_ids_to_tokens(tokenizer.all_special_ids)])
    theirs.encode_special_tokens = not special_tokens_in_text
    if "cls" in tokenizer.special_tokens:
        theirs.post_processor = tokenizers.processors.RobertaProcessing(
            ("</s>", 2), ("<s>", 0), tokenizer.trim_offsets, tokenizer.add_prefix_space)
    return theirs


@pytest.mark.parametrize("options", [{}, {"add_prefix_space": True}, {"special_tokens": GPT2}], ids=str)
@pytest.mark.parametrize("in_text", [True, False])
def test_any_text_as_tokenizers(options, in_text):
    ours = ByteLevelBPETokenizer(TOKENS, MERGES, **options)
    theirs = reference(ours, in_text)
    # Python from 3.15 on knows letters that came after Unicode 16.
    known = st.characters(exclude_categories=["Cs"] if unicodedata.unidata_version < "17" else ["Cs", "L", "N"])
    texts = st.text(known) | TEXTS.map(lambda text: text.encode("utf-8", "ignore").decode())

    @given(texts, st.none() | texts)
    @settings(max_examples=100, deadline=None)
    def check(text, pair):
        encoding = theirs.encode(text) if pair is None else theirs.encode(text, pair)
        assert_same(ours(text, pair, special_tokens_in_text=in_text), encoding)

    check()


def test_truncation_is_that_of_tokenizers():
    theirs, rng = reference(TOKENIZER, False), random.Random(0)
    for _ in range(500):
        text, pair = ("a " * rng.randrange(5), rng.choice([None, "b " * rng.randrange(5)]))
        options = {"max_length": rng.randrange(4, 14), "add_special_tokens": rng.random() < 0.7}
        strategy = rng.choice(["longest_first", "only_first", "only_second"])
        theirs.enable_truncation(options["max_length"], strategy=strategy)
        arguments = (text,) if pair is None else (text, pair)
        try:
            expected = theirs.encode(*arguments, add_special_tokens=options["add_special_tokens"])
        except Exception:
            with pytest.raises(ValueError):
                TOKENIZER(*arguments, truncation=strategy, **options)
        else:
            assert_same(TOKENIZER(*arguments, truncation=strategy, **options), expected)


def reference_merges(texts, size, min_frequency):
    tokenizers = pytest.importorskip("tokenizers", minversion="0.13")
    theirs = tokenizers.ByteLevelBPETokenizer()
    theirs.train_from_iterator(texts, size, min_frequency, show_progress=False, special_tokens=TOKENS[:5])
    parts = json.loads(theirs.to_str())["model"]
    return sorted(parts["vocab"], key=parts["vocab"].get), [tuple(pair) for pair in parts["merges"]]


def test_training_is_that_of_tokenizers():
    rng = random.Random(0)
    for _ in range(30):
        texts = ["".join(rng.choices("ab é", k=rng.randrange(60))) for _ in range(5)]
        size, min_frequency = rng.randrange(261, 290), rng.randrange(4)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ours = ByteLevelBPETokenizer.train(texts, size, min_frequency)
        assert (ours.tokens, ours.merges) == reference_merges(texts, size, min_frequency)


def test_real_texts_as_tokenizers():
    """Learnt from a part of Wikipedia, applied to a sample of English and Chinese."""
    if not DATA.exists():
        pytest.skip("needs ../shared/data")
    wiki = (DATA / "text" / "wiki.txt").read_text(encoding="utf-8").split("\n")
    ours = ByteLevelBPETokenizer.train(wiki[::10], 2000)
    assert (ours.tokens, ours.merges) == reference_merges(wiki[::10], 2000, 2)
    theirs = reference(ours, False)
    texts = wiki[::40] + (DATA / "text" / "jargon.txt").read_text(encoding="utf-8").split("\n\n")[::40]
    for article in json.loads((DATA / "zh" / "cmrc2018-trial.json").read_text(encoding="utf-8"))["data"][::20]:
        texts += [paragraph["context"] for paragraph in article["paragraphs"]]
    assert len(texts) > 300
    for text, expected in zip(texts, theirs.encode_batch(texts), strict=True):
        assert_same(ours(text), expected)
    assert ours.encode_batch(texts) == [ours(text).input_ids for text in texts]
