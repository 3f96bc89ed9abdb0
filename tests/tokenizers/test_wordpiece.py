import copy
import json
import pickle
import random
import threading
import time
import unicodedata
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numbert.tokenizers.tokenizer import Tokenizer
from numbert.tokenizers.wordpiece import WordPieceTokenizer

VOCABULARY = """[PAD] [UNK] [CLS] [SEP] [MASK] un ##aff ##able the cr ##eme ##e e a ##a b ##b c ##c i ##i ##s ᄒ ##ᅡ ##ᆫ
    東 京 σ ##α ##σ , . ' [ ] mask don t = ; ##東 ½ $ 5 é ##é É""".split()
TOKENIZER = WordPieceTokenizer(VOCABULARY)
DATA = Path(__file__).parents[3] / "shared" / "data"

# Text -> token:start-end/word, recorded from tokenizers 0.23.3: BertWordPieceTokenizer(vocab.txt, lowercase=...) with
# encode_special_tokens = True and encode(text, add_special_tokens=False).
UNCASED = {
    "unaffable": "un:0-2/0 ##aff:2-5/0 ##able:5-9/0",
    "the unaffableX Cr\xe8me, THE cr\xe8me.":
        "the:0-3/0 [UNK]:4-14/1 cr:15-17/2 ##eme:17-20/2 ,:20-21/3 the:22-25/4 cr:26-28/5 ##eme:28-31/5 .:31-32/6",
    "  a\tb\n": "a:2-3/0 b:4-5/1",
    "a\u200db\x00c a\x1fb": "a:0-1/0 ##b:2-3/0 ##c:4-5/0 a:6-7/1 ##b:8-9/1",
    "e\u0301a \xe9": "e:0-1/0 ##a:2-3/0 e:4-5/1",
    "\u6771\u4eaca\u6771 a\u6771\u4eac": "東:0-1/0 京:1-2/1 a:2-3/2 東:3-4/3 a:5-6/4 東:6-7/5 京:7-8/6",
    "don't": "don:0-3/0 ':3-4/1 t:4-5/2",
    "[MASK] a [mask]": "[:0-1/0 mask:1-5/1 ]:5-6/2 a:7-8/3 [:9-10/4 mask:10-14/5 ]:14-15/6",
    "a\xa0b\u3000c": "a:0-1/0 b:2-3/1 c:4-5/2",
    "\u0130s \u03a3\u0391\u03a3": "i:0-1/0 ##s:1-2/0 σ:3-4/1 ##α:4-5/1 ##σ:5-6/1",
    "\ud55c a": "ᄒ:0-1/0 ##ᅡ:0-1/0 ##ᆫ:0-1/0 a:2-3/1",
    "\u2260a\u037eb": "=:0-1/0 a:1-2/1 ;:2-3/2 b:3-4/3",
    "zzz a": "[UNK]:0-3/0 a:4-5/1",
    "$5 \xbd": "$:0-1/0 5:1-2/1 ½:3-4/2",
    "\u0301": "",
    "\xc9a \xc9": "e:0-1/0 ##a:1-2/0 e:3-4/1",
}
CASED = {
    "the unaffableX Cr\xe8me, THE cr\xe8me.":
        "the:0-3/0 [UNK]:4-14/1 [UNK]:15-20/2 ,:20-21/3 [UNK]:22-25/4 [UNK]:26-31/5 .:31-32/6",
    "e\u0301a \xe9": "[UNK]:0-3/0 é:4-5/1",
    "\u0130s \u03a3\u0391\u03a3": "[UNK]:0-2/0 [UNK]:3-6/1",
    "\xc9a \xc9": "É:0-1/0 ##a:1-2/0 É:3-4/1",
}


def pieces(tokenizer, text):
    encoding = tokenizer(text, add_special_tokens=False)
    columns = zip(encoding.tokens, encoding.offsets, encoding.word_ids, strict=True)
    return " ".join(f"{token}:{start}-{end}/{word}" for token, (start, end), word in columns)


def test_repr_names_size_and_special_tokens():
    roles = "pad [PAD] 0, unk [UNK] 1, cls [CLS] 2, sep [SEP] 3, mask [MASK] 4"
    assert repr(TOKENIZER) == f"<WordPieceTokenizer of {len(TOKENIZER)} tokens: {roles}>"
    large = WordPieceTokenizer(["[UNK]", *map(str, range(1500))])
    assert repr(large) == "<WordPieceTokenizer of 1,501 tokens: unk [UNK] 0>"


def test_by_hand():
    assert TOKENIZER.tokenize("unaffable") == ["un", "##aff", "##able"]
    assert TOKENIZER.split_word("unaffable") == [(5, 0, 2), (6, 2, 5), (7, 5, 9)]
    assert TOKENIZER.tokenize("unaffably") == ["[UNK]"]  # a word that cannot be cut to its end is unknown as a whole
    encoding = TOKENIZER("An unaffable", "b")
    assert encoding.tokens == ["[CLS]", "[UNK]", "un", "##aff", "##able", "[SEP]", "b", "[SEP]"]
    assert encoding.input_ids == [2, 1, 5, 6, 7, 3, 15, 3]
    assert encoding.token_type_ids == [0, 0, 0, 0, 0, 0, 1, 1]
    assert encoding.attention_mask == [1] * 8
    assert encoding.special_tokens_mask == [1, 0, 0, 0, 0, 1, 0, 1]
    assert encoding.offsets == [(0, 0), (0, 2), (3, 5), (5, 8), (8, 12), (0, 0), (0, 1), (0, 0)]
    assert encoding.word_ids == [None, 0, 1, 1, 1, None, 0, None]
    assert encoding.sequence_ids == [None, 0, 0, 0, 0, None, 1, None]


def test_the_longest_piece_comes_first():
    tokenizer = WordPieceTokenizer(["[UNK]", "a", "ab", "abc", "##c", "##d", "##cd", "##bcd"])
    assert tokenizer.tokenize("abcd ab abcc abx") == ["abc", "##d", "ab", "abc", "##c", "[UNK]"]


@pytest.mark.parametrize("text", UNCASED)
def test_golden_uncased(text):
    assert pieces(TOKENIZER, text) == UNCASED[text]


@pytest.mark.parametrize("text", CASED)
def test_golden_cased(text):
    assert pieces(WordPieceTokenizer(VOCABULARY, lowercase=False), text) == CASED[text]


def test_words_of_100_characters_and_more():
    text = "a" * 100 + " " + "a" * 101
    encoding = TOKENIZER(text, add_special_tokens=False)
    assert encoding.tokens == ["a"] + ["##a"] * 99 + ["[UNK]"]
    assert encoding.offsets[-1] == (101, 202)
    assert TOKENIZER.encode_batch([text], add_special_tokens=False) == [encoding.input_ids]
    assert WordPieceTokenizer(VOCABULARY, max_input_chars_per_word=2).tokenize("the a the") == ["[UNK]", "a", "[UNK]"]
    tokenizer = WordPieceTokenizer(["[UNK]", "the"], max_input_chars_per_word=2)
    assert tokenizer.encode_batch(["the"], add_special_tokens=False) == [[0]]  # although it is in the vocabulary


TEXTS = st.text() | st.text("abceéÉ unaff東ᄒ한́.[]'\n\t\x1f\x85 \u3000") | st.lists(
    st.sampled_from(["unaffable", "[MASK]", "[SEP]", "Crème", "東京", "don't", " ", "\n", "\0"])).map("".join)


@given(st.lists(TEXTS), st.booleans(), st.booleans(), st.none() | st.integers(2, 9))
@settings(max_examples=200, deadline=None)
def test_encode_batch_is_the_ids_of_calls(texts, special, in_text, max_length):
    options = {"add_special_tokens": special, "max_length": max_length, "special_tokens_in_text": in_text}
    assert TOKENIZER.encode_batch(texts, **options) == [TOKENIZER(text, **options).input_ids for text in texts]


@given(TEXTS, TEXTS, st.booleans())
@settings(max_examples=200, deadline=None)
def test_offsets_cut_the_text_in_order(text, pair, in_text):
    encoding = TOKENIZER(text, pair, special_tokens_in_text=in_text)
    for which, source in enumerate((text, pair)):
        rows = [index for index, sequence in enumerate(encoding.sequence_ids) if sequence == which]
        spans = [encoding.offsets[row] for row in rows]
        assert all(0 <= start < end <= len(source) for start, end in spans)
        assert spans == sorted(spans)
        words = [encoding.word_ids[row] for row in rows]
        assert sorted(set(words)) == list(range(len(set(words)))) and words == sorted(words)
        assert [TOKENIZER.tokens[encoding.input_ids[row]] for row in rows] == [encoding.tokens[row] for row in rows]
        for row, (start, end) in zip(rows, spans, strict=True):
            token, covered = encoding.tokens[row], source[start:end]
            letters = "".join(TOKENIZER.normaliser.words(covered))
            assert token in ("[UNK]", covered) or token.removeprefix("##") in letters


@given(TEXTS, st.sampled_from([TOKENIZER, WordPieceTokenizer(VOCABULARY, lowercase=False, clean_text=False)]))
@settings(max_examples=300, deadline=None)
def test_the_fast_ways_are_the_plain_one(text, tokenizer):
    plain = Tokenizer.cut_to_pieces(tokenizer, text)                # the words of `cut`, without any cache
    for _ in ("empty cache", "full cache"):
        assert tokenizer.cut_to_pieces(text) == plain
        assert list(tokenizer.cut_to_ids(text)) == plain.ids


# Special tokens

def test_special_tokens_in_a_text_only_when_asked_for():
    text = "a [MASK]b[SEP] [mask]"
    assert TOKENIZER.tokenize(text)[:4] == ["a", "[", "mask", "]"]
    assert 4 not in TOKENIZER(text).input_ids
    encoding = TOKENIZER(text, special_tokens_in_text=True)
    assert encoding.tokens == ["[CLS]", "a", "[MASK]", "b", "[SEP]", "[", "mask", "]", "[SEP]"]
    assert encoding.offsets[2] == (2, 8) and encoding.word_ids[1:5] == [0, 1, 2, 3]
    assert encoding.special_tokens_mask == [1, 0, 0, 0, 0, 0, 0, 0, 1]  # marks what was put in, as in tokenizers
    assert TOKENIZER.tokenize(text, special_tokens_in_text=True) == encoding.tokens[1:-1]


def test_added_tokens():
    tokenizer = WordPieceTokenizer([*VOCABULARY, "[E]", "[E]2", "<x>"], added_tokens={"[E]": False, "[E]2": False,
                                                                                     "<x>": True})
    assert tokenizer.tokenize("a[E]b [E]2 <x>") == ["a", "[E]", "b", "[E]2", "[UNK]", "[UNK]", "[UNK]"]
    assert tokenizer.tokenize("a <x>[e]", special_tokens_in_text=True) == ["a", "<x>", "[", "e", "]"]
    assert tokenizer.all_special_ids == [0, 1, 2, 3, 4, len(VOCABULARY) + 2]


def test_ids_of_special_tokens():
    assert [TOKENIZER.pad_token_id, TOKENIZER.unk_token_id, TOKENIZER.cls_token_id, TOKENIZER.sep_token_id,
            TOKENIZER.mask_token_id] == TOKENIZER.all_special_ids == [0, 1, 2, 3, 4]
    other = WordPieceTokenizer(["a", "<pad>", "<s>", "</s>", "<unk>"],
                               special_tokens={"pad": "<pad>", "cls": "<s>", "sep": "</s>", "unk": "<unk>"})
    assert other("a x").input_ids == [2, 0, 4, 3]
    assert other.pad([[0], [0, 0]])["input_ids"].tolist() == [[0, 1], [0, 0]]


def test_missing_special_tokens_matter_where_they_are_needed():
    tokenizer = WordPieceTokenizer(["a", "##b"])
    assert tokenizer.tokenize("a ab") == ["a", "a", "##b"] and tokenizer.all_special_ids == []
    for use, name in [(lambda: tokenizer.tokenize("b"), "UNK"), (lambda: tokenizer("a"), "CLS"),
                      (lambda: tokenizer.mask_token_id, "MASK"), (lambda: tokenizer.pad([[0]]), "PAD"),
                      (lambda: tokenizer.encode_batch(["a"]), "CLS"),
                      (lambda: tokenizer.convert_tokens_to_ids("b"), "UNK")]:
        with pytest.raises(ValueError, match=rf"2 tokens has no \[{name}\]"):
            use()


# Truncation

@pytest.mark.parametrize("truncation, tokens", [
    ("longest_first", "[CLS] a a [SEP] b b b [SEP]"),
    ("only_second", "[CLS] a a a a [SEP] b [SEP]"),
    (False, "[CLS] a a a a [SEP] b b b b b [SEP]"),
    (True, "[CLS] a a [SEP] b b b [SEP]"),
])
def test_truncation(truncation, tokens):
    assert " ".join(TOKENIZER("a a a a", "b b b b b", max_length=8, truncation=truncation).tokens) == tokens


def test_truncation_refuses():
    with pytest.raises(ValueError, match="must leave room for 3 special tokens, got 2"):
        TOKENIZER("a", "b", max_length=2)
    with pytest.raises(ValueError, match="must leave room for 2 special tokens, got 1"):
        TOKENIZER.encode_batch(["a"], max_length=1)
    with pytest.raises(ValueError, match="only_first.*remove 3 tokens, .* only 1"):
        TOKENIZER("a", "b b b b", max_length=5, truncation="only_first")
    with pytest.raises(ValueError, match="truncation must be"):
        TOKENIZER("a", truncation="first")
    assert TOKENIZER("a", max_length=2).tokens == ["[CLS]", "[SEP]"]
    assert TOKENIZER("", "").tokens == ["[CLS]", "[SEP]", "[SEP]"]


def test_wrong_types():
    for use in (lambda: TOKENIZER(["a"]), lambda: TOKENIZER("a", 3), lambda: TOKENIZER.encode_batch(["a", None]),
                lambda: TOKENIZER.tokenize(b"a"), lambda: WordPieceTokenizer.train([b"a"])):
        with pytest.raises(TypeError, match="a text must be a str, got"):
            use()
    for use in (lambda: TOKENIZER.encode_batch("a"), lambda: WordPieceTokenizer.train("a text")):
        with pytest.raises(TypeError, match="got one str"):
            use()


# Ids to tokens and texts

def test_conversions():
    assert TOKENIZER.convert_ids_to_tokens([5, 6]) == ["un", "##aff"] and TOKENIZER.convert_ids_to_tokens(0) == "[PAD]"
    assert TOKENIZER.convert_ids_to_tokens(np.array([5])) == ["un"]
    assert TOKENIZER.convert_tokens_to_ids(["un", "nonsense"]) == [5, 1] and TOKENIZER.convert_tokens_to_ids("un") == 5
    assert len(TOKENIZER) == len(VOCABULARY) == len(TOKENIZER.vocab) and TOKENIZER.vocab["un"] == 5
    for wrong in (-1, len(VOCABULARY)):
        with pytest.raises(ValueError, match=f"id {wrong} is not in the vocabulary"):
            TOKENIZER.convert_ids_to_tokens([wrong])


def test_continues():
    tokenizer = WordPieceTokenizer(["[UNK]", "play", "##ing", "##", "#", "###"])
    assert tokenizer.continues == [False, False, True, False, False, True]


def test_decode():
    assert TOKENIZER.decode(TOKENIZER("The  unaffable, don't.").input_ids) == "the unaffable, don't."
    assert TOKENIZER.decode([2, 5, 6, 3, 0], skip_special_tokens=False) == "[CLS] unaff [SEP] [PAD]"
    assert TOKENIZER.decode(np.array([2, 5, 4])) == "un" and TOKENIZER.decode([]) == ""
    with pytest.raises(ValueError, match="id 999"):
        TOKENIZER.decode([999])


def test_pad_takes_encodings_and_ids():
    batch = TOKENIZER.pad([TOKENIZER("a", "b"), [13]])
    assert batch["input_ids"].tolist() == [[2, 13, 3, 15, 3], [13, 0, 0, 0, 0]]
    assert batch["token_type_ids"].tolist() == [[0, 0, 0, 1, 1], [0] * 5]
    assert batch["attention_mask"].sum(1).tolist() == [5, 1]


# Training

def test_train():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tokenizer = WordPieceTokenizer.train(["Low lower, löw!", "low"] * 3, vocab_size=16)
    assert tokenizer.tokens[:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert tokenizer.tokens[5:] == ["!", "##e", "##o", "##r", "##w", ",", "l", "##ow", "low", "##er", "lower"]
    assert tokenizer.tokenize("Lower low") == ["lower", "low"]


def test_train_says_when_the_texts_are_too_small():
    with pytest.warns(UserWarning, match="give only 9 entries, not vocab_size = 100.*min_frequency = 2"):
        tokenizer = WordPieceTokenizer.train(["ab ab ac"], vocab_size=100)
    assert tokenizer.tokens[5:] == ["##b", "##c", "a", "ab"]
    with pytest.warns(UserWarning, match="have 3 different characters.*vocab_size = 7 has room for 2"):
        tokenizer = WordPieceTokenizer.train(["ab ab ac"], vocab_size=7)
    assert tokenizer.tokenize("ab ac") == ["a", "##b", "[UNK]"]


def test_train_options():
    texts = ["Éa Éa 東京"] * 2
    with pytest.warns(UserWarning):
        assert "Éa" in WordPieceTokenizer.train(texts, lowercase=False).vocab
        assert "éa" in WordPieceTokenizer.train(texts, strip_accents=False).vocab
        assert "東京" in WordPieceTokenizer.train(texts, tokenize_chinese_chars=False).vocab
        assert "東京" not in WordPieceTokenizer.train(texts).vocab
        assert WordPieceTokenizer.train([]).tokens == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    with pytest.raises(ValueError, match="algorithm must be one of bpe, likelihood, got 'unigram'"):
        WordPieceTokenizer.train(texts, algorithm="unigram")
    with pytest.raises(ValueError, match="vocab_size must be more than the 5 special tokens, got 5"):
        WordPieceTokenizer.train(texts, vocab_size=5)


@pytest.mark.parametrize("algorithm", ["bpe", "likelihood"])
def test_what_was_learnt_from_is_never_unknown(algorithm):
    rng = random.Random(0)
    syllables = ["la", "mé", "rost", "kin", "u", ",", "東"]
    texts = [" ".join("".join(rng.choices(syllables, k=rng.randint(1, 3))) for _ in range(30)) for _ in range(20)]
    tokenizer = WordPieceTokenizer.train(texts, vocab_size=50, algorithm=algorithm)
    assert len(tokenizer) == len(set(tokenizer.tokens)) == 50
    for text, ids in zip(texts, tokenizer.encode_batch(texts), strict=True):
        assert tokenizer.unk_token_id not in ids
        spaced = " ".join(tokenizer.normaliser.words(text))
        assert tokenizer.decode(ids).replace(" ", "") == spaced.replace(" ", "")


# Speed and safety

@pytest.mark.parametrize("text", ["a" * 10**6, "東" * 10**5, "," * 10**5, "\u0301" * 10**6, " " * 10**6,
                                  "[MASK" * 10**5, ("unaffable" * 11 + " ") * 1000], ids=lambda text: ascii(text[:6]))
def test_no_text_takes_long(text):
    """A million letters in a second or so; work that grew with the square of their number would take hours."""
    start = time.perf_counter()
    ids = TOKENIZER.encode_batch([text], special_tokens_in_text=True)[0]
    assert TOKENIZER(text, special_tokens_in_text=True).input_ids == ids
    assert time.perf_counter() - start < 20


def test_the_cache_is_bounded(monkeypatch):
    tokenizer = WordPieceTokenizer(VOCABULARY)
    monkeypatch.setattr(type(tokenizer._chunk_ids), "entries", 10)
    texts = [f"a{'b' * index} " + "ab" * 40 for index in range(40)]
    expected = [Tokenizer.cut_to_pieces(tokenizer, text) for text in texts]
    for _ in range(2):
        assert [tokenizer.cut_to_pieces(text) for text in texts] == expected
        assert tokenizer.encode_batch(texts, add_special_tokens=False) == [pieces.ids for pieces in expected]
    for cache in (tokenizer._chunk_ids, tokenizer._chunk_pieces):
        assert 0 < len(cache) <= 10 and max(map(len, cache)) <= 50


def test_threads_may_share_a_tokenizer(monkeypatch):
    tokenizer = WordPieceTokenizer(VOCABULARY)
    monkeypatch.setattr(type(tokenizer._chunk_ids), "entries", 20)
    texts = [" ".join("a" + "b" * ((index * step) % 50) for step in range(60)) for index in range(50)]
    expected, results = [tokenizer(text).input_ids for text in texts], {}
    threads = [threading.Thread(target=lambda name=name: results.update({name: tokenizer.encode_batch(texts)}))
               for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4 and all(result == expected for result in results.values())


def test_results_are_the_callers_own():
    first = TOKENIZER.encode_batch(["unaffable", "unaffable"], add_special_tokens=False)
    first[0].append(99)
    assert first[1] == [5, 6, 7] and TOKENIZER.encode_batch(["unaffable"], add_special_tokens=False) == [[5, 6, 7]]


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda tokenizer: pickle.loads(pickle.dumps(tokenizer))])
def test_copies(duplicate):
    TOKENIZER.encode_batch(["unaffable"])
    twin = duplicate(TOKENIZER)
    assert twin("unaffable b", "c") == TOKENIZER("unaffable b", "c")
    assert twin.encode_batch(["a the b"]) == TOKENIZER.encode_batch(["a the b"])


# The reference implementation, where it is installed

def reference(folder, vocabulary, lowercase, special_tokens_in_text=False):
    tokenizers = pytest.importorskip("tokenizers", minversion="0.13")
    path = folder / "vocab.txt"
    path.write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    tokenizer = tokenizers.BertWordPieceTokenizer(str(path), lowercase=lowercase)._tokenizer
    tokenizer.encode_special_tokens = not special_tokens_in_text
    return tokenizer


def assert_same(ours, theirs):
    assert ours.input_ids == theirs.ids
    assert ours.tokens == theirs.tokens
    assert ours.offsets == theirs.offsets
    assert ours.word_ids == theirs.word_ids
    assert ours.sequence_ids == theirs.sequence_ids
    assert ours.token_type_ids == theirs.type_ids
    assert ours.attention_mask == theirs.attention_mask
    assert ours.special_tokens_mask == theirs.special_tokens_mask


def test_golden_cases_are_those_of_tokenizers(tmp_path):
    for lowercase, cases in ((True, UNCASED), (False, CASED)):
        tokenizer = reference(tmp_path, VOCABULARY, lowercase)
        for text in cases:
            assert_same(WordPieceTokenizer(VOCABULARY, lowercase=lowercase)(text), tokenizer.encode(text))


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("in_text", [True, False])
def test_any_text_as_tokenizers(tmp_path, lowercase, in_text):
    theirs = reference(tmp_path, VOCABULARY, lowercase, in_text)
    ours = WordPieceTokenizer(VOCABULARY, lowercase=lowercase)

    def comparable(char):
        """Not a capital that only one of two Unicode versions knows, or a mark that is moved: see normalise.py."""
        moved = unicodedata.combining(char) and ours.normaliser.words(char)
        return not moved and (char < "\u1c80" or unicodedata.category(char) not in ("Cn", "Cs", "Lu"))

    texts = st.text(st.characters(exclude_categories=["Cs"]).filter(comparable)) | TEXTS.filter(
        lambda text: all(map(comparable, text)))

    @given(texts, st.none() | texts)
    @settings(max_examples=300, deadline=None)
    def check(text, pair):
        encoding = theirs.encode(text) if pair is None else theirs.encode(text, pair)
        assert_same(ours(text, pair, special_tokens_in_text=in_text), encoding)

    check()


def test_truncation_is_that_of_tokenizers(tmp_path):
    theirs, rng = reference(tmp_path, VOCABULARY, True), random.Random(0)
    for _ in range(2000):
        text, pair = ("a " * rng.randrange(9), rng.choice([None, "b " * rng.randrange(9)]))
        options = {"max_length": rng.randrange(3, 14), "add_special_tokens": rng.random() < 0.7}
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


def test_real_texts_as_tokenizers(tmp_path):
    """A sample of English and Chinese with the real vocabulary of bert-base-chinese, which has both."""
    path = DATA / "zh" / "bert-base-chinese-vocab.txt"
    if not path.exists():
        pytest.skip("needs ../shared/data")
    vocabulary = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    theirs = reference(tmp_path, vocabulary, True)
    ours = WordPieceTokenizer.from_pretrained(tmp_path)
    texts = (DATA / "text" / "wiki.txt").read_text(encoding="utf-8").split("\n")[::40]
    texts += (DATA / "text" / "jargon.txt").read_text(encoding="utf-8").split("\n\n")[::40]
    for article in json.loads((DATA / "zh" / "cmrc2018-trial.json").read_text(encoding="utf-8"))["data"][::20]:
        texts += [paragraph["context"] for paragraph in article["paragraphs"]]
    assert len(texts) > 300
    for text, expected in zip(texts, theirs.encode_batch(texts), strict=True):
        assert_same(ours(text), expected)
    assert ours.encode_batch(texts) == [ours(text).input_ids for text in texts]
