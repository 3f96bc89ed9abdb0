"""The tokenizer.json of an ALBERT, made by hand in helpers/unigram_folder.py; by transformers in pipeline_parity.py."""
import copy
import itertools
import json
import pickle
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unigram_folder import PIECES, charsmap, whole_unigram

import numbert as nb
from numbert.tokenizers.charsmap import CharsMap, clusters


def folder_of(path, whole=None, **files):
    path.mkdir(parents=True, exist_ok=True)
    (path / "tokenizer.json").write_text(json.dumps(whole_unigram() if whole is None else whole), "utf-8")
    for name, content in files.items():
        (path / f"{name}.json").write_text(json.dumps(content), "utf-8")
    return path


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return nb.AutoTokenizer.from_pretrained(folder_of(
        tmp_path_factory.mktemp("albert"), tokenizer_config={"tokenizer_class": "AlbertTokenizer"}))


def older():
    """As transformers 4 wrote it: no WhitespaceSplit, spaces joined, two token types; and with accents."""
    whole = whole_unigram()
    steps = whole["normalizer"]["normalizers"]
    steps[2:4] = []
    steps.append({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "})
    whole["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True}
    whole["post_processor"]["pair"][3]["Sequence"]["type_id"] = 1
    whole["post_processor"]["pair"][4]["SpecialToken"]["type_id"] = 1
    return whole


# The pieces and places that `tokenizers` 0.22 gives of the two files, but for those of the text that begins with \x07.
NEW = {
    "The  cát-the ``a''": "▁the:0-3 ▁cat:5-8 -:8-9 ▁the:9-12 ▁:14-15 \":14-15 a:15-16 \":17-18",
    "\x07the\u200bcat ½ e\u0301 É": "▁the:1-4 ▁cat:5-8 ▁:9-10 1:9-10 <unk>:9-10 2:9-10 ▁:11-12 e:11-12 ▁:14-15 e:14-15",
    "abab  東京東 unaffable 9,": "▁:0-1 a:0-1 b:1-2 a:2-3 b:3-4 ▁:6-7 <unk>:6-9 ▁un:10-12 aff:12-15 able:15-19 "
                                 "▁:20-21 9,:20-22",
    "": "", " \t": ""}
OLD = {
    "The  cát-the ``a''": "▁the:0-3 ▁:4-5 c:5-6 <unk>:6-8 -:8-9 ▁the:9-12 ▁:12-13 \":14-15 a:15-16 \":17-18",
    "the\u200bcat ½": "▁the:0-3 ▁cat:3-7 ▁:7-8 1:8-9 /:8-9 2:8-9",
    "e\u0301a": "▁:0-1 <unk>:0-1 a:2-3", "a \t": "▁:0-1 a:0-1 ▁:1-2 <unk>:2-3"}


@pytest.mark.parametrize("make, text, pieces", [(make, text, pieces) for make, cases in (
    (whole_unigram, NEW), (older, OLD)) for text, pieces in cases.items()])
def test_pieces_and_places(tmp_path, make, text, pieces):
    encoding = nb.AutoTokenizer.from_pretrained(folder_of(tmp_path, make()))(text, add_special_tokens=False)
    assert " ".join(f"{token}:{start}-{end}" for token, (start, end) in
                    zip(encoding.tokens, encoding.offsets, strict=True)) == pieces


def test_a_text_and_a_pair(tokenizer, tmp_path):
    assert type(tokenizer) is nb.UnigramTokenizer
    encoding = tokenizer("The cat-a", "a b")
    assert encoding.tokens == "[CLS] ▁the ▁cat - ▁ a [SEP] ▁ a ▁ b [SEP]".split()
    assert encoding.word_ids == [None, 0, 1, 2, 3, 3, None, 0, 0, 1, 1, None]
    assert encoding.token_type_ids == [0] * 12                  # as the file has it
    two = nb.AutoTokenizer.from_pretrained(folder_of(tmp_path, older()))("The cat-a", "a b")
    assert two.token_type_ids == [0] * 7 + [1] * 5 and two.input_ids == encoding.input_ids
    assert tokenizer.encode_batch(["The cat-a"]) == [tokenizer("The cat-a").input_ids]
    assert tokenizer.decode(tokenizer("The cat, a").input_ids) == "the cat, a"
    assert (tokenizer.pad_token_id, tokenizer.unk_token_id, tokenizer.mask_token_id) == (0, 1, 4)
    assert dict(zip(tokenizer.tokens, tokenizer.continues, strict=True))["aff"]


def test_no_text_smuggles_in_a_special_token(tokenizer):
    text = "the [MASK] <PAD> <unk>[SEP]"
    assert not {0, 2, 3, 4} & set(tokenizer(text, add_special_tokens=False).input_ids)
    assert tokenizer.tokenize("the [MASK]cat", special_tokens_in_text=True) == ["▁the", "[MASK]", "▁cat"]


def test_symbols_that_transformers_lists_as_extra_tokens_are_found_in_any_text(tmp_path, tokenizer):
    """transformers 5 lists all added tokens as extra_special_tokens, and so ALBERT's "-" and "."."""
    extra = folder_of(tmp_path, tokenizer_config={"tokenizer_class": "AlbertTokenizer", "extra_special_tokens": [
        "<pad>", "[CLS]", "-"]})
    assert nb.AutoTokenizer.from_pretrained(extra)("cat-a") == tokenizer("cat-a")


def ways(word, pieces):
    """All ways to cut a word: lists of ids."""
    if not word:
        yield []
    for piece, index in pieces.items():
        if word.startswith(piece):
            yield from ([index, *rest] for rest in ways(word[len(piece):], pieces))


def test_the_most_probable_of_all_ways_is_taken():
    rng = random.Random(0)
    words = ["".join(letters) for length in (1, 2, 3) for letters in itertools.product("ab", repeat=length)]
    for _ in range(20):
        pieces = [("<unk>", 0.0), *((word, -rng.random()) for word in words if len(word) == 1 or rng.random() < 0.5)]
        tokenizer = nb.UnigramTokenizer(pieces, 0)
        for length in range(1, 8):
            word = "".join(rng.choices("ab", k=length))
            found = [index for index, _, _ in tokenizer.cut_word(word)]
            scores = [sum(tokenizer.scores[index] for index in way) for way in ways(word, tokenizer._ordinary)]
            assert "".join(tokenizer.tokens[index] for index in found) == word
            assert sum(tokenizer.scores[index] for index in found) == pytest.approx(max(scores), abs=1e-12)


CHARACTERS = st.characters(codec="utf-8") | st.sampled_from(
    "ab9, '`\"-(É½ﬁ한\u0301\u1100\u1161 \t\x00\x07\x1c\u200b\u200d\u3000東ΣİＡ▁[]MASK")


@settings(max_examples=200, deadline=None)
@given(st.text(CHARACTERS, max_size=25), st.booleans(), st.booleans())
def test_offsets_stand_in_the_text_in_order(tokenizer, text, lowercase, keep_accents):
    tokenizer = nb.UnigramTokenizer(PIECES, 1, lowercase=lowercase, keep_accents=keep_accents,
                                    charsmap=tokenizer.charsmap, split_spaces=lowercase, join_spaces=keep_accents)
    prepared, places = tokenizer.prepare(text)
    assert len(prepared) == len(places) and places == sorted(places)
    encoding = tokenizer(text, add_special_tokens=False)
    assert encoding.input_ids == tokenizer.encode_batch([text], add_special_tokens=False)[0]
    place = 0
    for start, end in encoding.offsets:
        assert 0 <= place <= start < end <= len(text)
        place = start


def test_a_charsmap():
    table = CharsMap(charsmap())
    assert [table.find(text) for text in ("½", "½x", "x", "", "\u200b", "\x07", "\0", "e", "e\u0301")] == [
        "1/2", "1/2", None, None, " ", "", None, None, "é"]
    assert table.replacements("xe\u0301½\x07") == [("x", "x"), ("e\u0301", "é"), ("½", "1/2"), ("\x07", "")]
    assert clusters("e\u0301\r\na\u200d\n\u0301") == ["e\u0301", "\r\n", "a\u200d", "\n", "\u0301"]
    for data in (b"", b"\4\0\0\0", b"\3\0\0\0abcd", b"\0\0\0\0"):
        with pytest.raises(ValueError, match=f"does not fit in a charsmap of {len(data)}"):
            CharsMap(data)
    whole = charsmap()
    for place in range(0, 2000, 7):                             # damaged, it may replace otherwise, and does no harm
        CharsMap(whole[:place] + b"\xff" + whole[place + 1:] if place > 3 else whole).find("½")


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda tokenizer: pickle.loads(pickle.dumps(tokenizer))])
def test_copies(tokenizer, duplicate):
    assert duplicate(tokenizer)("the cat ½", "9,") == tokenizer("the cat ½", "9,")


# Files


@pytest.mark.parametrize("make", [whole_unigram, older])
def test_what_is_saved_comes_back(tmp_path, make):
    tokenizer = nb.AutoTokenizer.from_pretrained(folder_of(tmp_path / "old", make(), tokenizer_config={
        "model_max_length": 512, "padding_side": "left", "mask_token": {"content": "[MASK]", "lstrip": True}}))
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "spiece.model").write_bytes(b"of another tokenizer")
    tokenizer.save_pretrained(tmp_path / "new")
    again = nb.AutoTokenizer.from_pretrained(tmp_path / "new")
    for attribute in ("tokens", "scores", "unknown", "special_tokens", "all_special_ids", "pair_type_id", "quotes",
                      "lowercase", "keep_accents", "join_spaces", "split_spaces", "padding_side", "model_max_length"):
        assert getattr(again, attribute) == getattr(tokenizer, attribute), attribute
    for text in [*NEW, *OLD, "the [MASK] cat"]:
        for options in ({}, {"special_tokens_in_text": True}):
            assert again(text, "a", **options) == tokenizer(text, "a", **options)
    saved = json.loads((tmp_path / "new" / "tokenizer.json").read_text("utf-8"))
    assert saved["model"] == make()["model"] and saved["normalizer"] == make()["normalizer"]
    assert saved["post_processor"] == make()["post_processor"]


def changed(path, value):
    whole = place = whole_unigram()
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return whole


@pytest.mark.parametrize("whole, config, message", [
    (changed(["normalizer"], {"type": "BertNormalizer"}), {}, "normalizer.type must be one of the steps"),
    (changed(["normalizer", "normalizers", 2], {"type": "NFKC"}), {}, r"normalizers\[2\].type must be .* got 'NFKC'"),
    (changed(["normalizer", "normalizers", 3], {"type": "NFKD"}), {}, r"normalizers\[3\].type must be .*order"),
    (changed(["normalizer", "normalizers", 2], {"type": "Lowercase"}), {}, r"normalizers\[3\].type must be .*order"),
    (changed(["normalizer"], {"type": "NFKD"}), {}, "must have both NFKD and StripAccents, or none"),
    (changed(["normalizer", "normalizers", 0, "content"], "x"), {}, r"normalizers\[0\].content must be '\"', got"),
    (changed(["normalizer", "normalizers", 5, "precompiled_charsmap"], "é"), {}, "charsmap must be one, in base64"),
    (changed(["pre_tokenizer"], {"type": "ByteLevel"}), {}, "pre_tokenizer.type must be Metaspace, or a Sequence of"),
    (changed(["pre_tokenizer"], None), {}, "pre_tokenizer.type must be Metaspace, or a Sequence of"),
    (changed(["pre_tokenizer", "pretokenizers", 1, "prepend_scheme"], "never"), {}, "prepend_scheme must be 'always'"),
    (changed(["post_processor"], None), {}, "post_processor.type must be 'TemplateProcessing', got None"),
    (changed(["post_processor", "pair"], []), {}, r"post_processor.pair must be \[CLS\]:0 A:0"),
    (changed(["model", "unk_id"], None), {}, "model.unk_id must be a whole number, got None"),
    (changed(["model", "unk_id"], 99), {}, "model.unk_id must be the id of one of 26 pieces, got 99"),
    (changed(["model", "byte_fallback"], True), {}, "model.byte_fallback must be False, got True"),
    (changed(["model", "vocab", 7], ["x"]), {}, r"model.vocab\[7\] must be a piece and its score, got \['x'\]"),
    (changed(["model", "vocab", 7], ["x", "0"]), {}, r"model.vocab\[7\] must be a piece and its score"),
    (changed(["model", "vocab", 7], ["x", 0]), {}, "model.vocab has 'x' twice"),
    (whole_unigram(), {"do_lower_case": False}, "do_lower_case must be True, as the normalizer of"),
    (whole_unigram(), {"keep_accents": True}, "keep_accents must be False, as the normalizer of"),
    (whole_unigram(), {"remove_space": False}, "remove_space must be True, got False"),
])
def test_refused_by_name(tmp_path, whole, config, message):
    folder_of(tmp_path, whole, tokenizer_config=config)
    with pytest.raises(nb.CheckpointError, match=message) as caught:
        nb.AutoTokenizer.from_pretrained(tmp_path)
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


def test_refused_arguments():
    with pytest.raises(ValueError, match="piece 'a' comes twice"):
        nb.UnigramTokenizer([("a", 0.0), ("a", 0.0)], 0)
    with pytest.raises(ValueError, match="unknown must be the id of one of 1 pieces, got 1"):
        nb.UnigramTokenizer([("a", 0.0)], 1)
    with pytest.raises(nb.CheckpointError, match="there is no such file"):
        nb.UnigramTokenizer.from_pretrained("nowhere")


@pytest.mark.parametrize("make", [whole_unigram, older])
def test_any_text_as_the_library_tokenizers(tmp_path, make):
    """Ids and offsets; without U+0007, of which the docstring of unigram.py speaks."""
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = nb.AutoTokenizer.from_pretrained(folder_of(tmp_path, make()))
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))

    @settings(max_examples=300, deadline=None)
    @given(st.text(st.sampled_from("abe9x, '`\"-(É½ﬁ한\u0301\u1100\u1161 \t\x00\x1c\u200b\u200d\u3000東ΣİＡ▁[]हिन्"),
                   max_size=25))
    def check(text):
        wanted, found = theirs.encode(text), tokenizer(text, special_tokens_in_text=True)
        assert (found.input_ids, found.offsets) == (wanted.ids, wanted.offsets)

    check()
