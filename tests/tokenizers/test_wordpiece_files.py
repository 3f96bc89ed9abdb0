import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_settings import write_with_an_odd_value

from numbert.hub.errors import CheckpointError
from numbert.tokenizers.wordpiece import WordPieceTokenizer

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##b", "é", "e", "東", "東京", "A"]
TEXT = "a ab é A 東京 [MASK] zz"


def tokenizer_json(vocab=TOKENS, **changes):
    """The content of a tokenizer.json as Hugging Face's tokenizers writes it for BERT."""
    def special(name, type_id):
        return {"SpecialToken": {"id": name, "type_id": type_id}}

    single = [special("[CLS]", 0), {"Sequence": {"id": "A", "type_id": 0}}, special("[SEP]", 0)]
    parts = {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": vocab.index(token), "content": token, "special": True, "single_word": False,
                          "lstrip": False, "rstrip": False, "normalized": False}
                         for token in vocab if token.startswith("[")],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                       "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", "single": single,
                           "special_tokens": {name: {"id": name, "ids": [vocab.index(name)], "tokens": [name]}
                                              for name in ("[CLS]", "[SEP]")},
                           "pair": [*single, {"Sequence": {"id": "B", "type_id": 1}}, special("[SEP]", 1)]},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": {token: vocab.index(token) for token in sorted(vocab)}},
    }
    return parts | changes


def folder_with(folder, **contents):
    for name, content in contents.items():
        name = {"vocab": "vocab.txt"}.get(name, f"{name}.json")
        (folder / name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return folder


@pytest.mark.parametrize("options", [
    {}, {"lowercase": False}, {"strip_accents": False}, {"tokenize_chinese_chars": False}, {"clean_text": False},
    {"max_input_chars_per_word": 1}, {"model_max_length": 512},
    {"special_tokens": {"cls": "a", "mask": "é"}}, {"added_tokens": {"東京": False, "é": True}},
])
def test_what_is_saved_comes_back(tmp_path, options):
    tokenizer = WordPieceTokenizer(TOKENS, **options)
    tokenizer.save_pretrained(tmp_path / "new" / "folder")
    again = WordPieceTokenizer.from_pretrained(str(tmp_path / "new" / "folder"))
    assert again(TEXT, TEXT, special_tokens_in_text=True) == tokenizer(TEXT, TEXT, special_tokens_in_text=True)
    assert again(TEXT) == tokenizer(TEXT) and again.tokens == TOKENS
    assert again.model_max_length == tokenizer.model_max_length
    assert again.all_special_ids == tokenizer.all_special_ids and again.mask_token_id == tokenizer.mask_token_id
    names = sorted(path.name for path in (tmp_path / "new" / "folder").iterdir())
    assert names == ["special_tokens_map.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"]


def test_a_vocabulary_alone_means_berts_defaults(tmp_path):
    tokenizer = WordPieceTokenizer.from_pretrained(folder_with(tmp_path, vocab="\n".join(TOKENS)))
    assert tokenizer.tokenize("Ab É 東京") == ["a", "##b", "e", "東", "[UNK]"]
    assert tokenizer("a").input_ids == [2, 5, 3]


def test_lines_of_a_vocabulary(tmp_path):
    """Only a line feed ends a token, \\r\\n counts as one, white space behind a token is none of it, and of two equal
    lines the last gives the id."""
    folder_with(tmp_path, vocab="[UNK] \r\na\u2028b\t\r\n\u0085\r\nc\r\nc\u3000\r\n")
    tokenizer = WordPieceTokenizer.from_pretrained(tmp_path)
    assert tokenizer.tokens == ["[UNK]", "a\u2028b", "", "c", "c"]
    assert tokenizer.convert_tokens_to_ids("c") == 4 and tokenizer("a zz c", add_special_tokens=False).input_ids[1] == 0


def test_configuration(tmp_path):
    folder_with(tmp_path, vocab="\n".join(TOKENS), special_tokens_map={"mask_token": "a", "cls_token": "e"},
                tokenizer_config={"do_lower_case": False, "tokenize_chinese_chars": False, "model_max_length": 1e30,
                                  "cls_token": {"content": "é", "lstrip": True}, "sep_token": None})
    tokenizer = WordPieceTokenizer.from_pretrained(tmp_path)
    assert tokenizer("A é 東京").tokens == ["é", "A", "é", "東京", "[SEP]"]
    assert tokenizer.mask_token_id == 5 and tokenizer.model_max_length is None
    folder_with(tmp_path, tokenizer_config={"strip_accents": False, "model_max_length": 77})
    tokenizer = WordPieceTokenizer.from_pretrained(tmp_path)
    assert tokenizer.tokenize("É A") == ["é", "a"] and tokenizer.model_max_length == 77


def test_added_tokens_beside_a_vocabulary(tmp_path):
    folder_with(tmp_path, vocab="\n".join(TOKENS), added_tokens={"[E1]": 12, "[E3]": 14},
                tokenizer_config={"added_tokens_decoder": {"13": {"content": "[E2]", "special": True},
                                                           "0": {"content": "[PAD]", "special": True}}})
    tokenizer = WordPieceTokenizer.from_pretrained(tmp_path)
    assert tokenizer.tokens[12:] == ["[E1]", "[E2]", "[E3]"]
    assert tokenizer.tokenize("a[E1][E3]") == ["a", "[E1]", "[E3]"]
    assert tokenizer.all_special_ids == [0, 1, 2, 3, 4, 13]


def test_tokenizer_json_alone(tmp_path):
    order = ["a", "##b", "[SEP]", "é", "[MASK]", "e", "東", "[UNK]", "[CLS]", "[PAD]"]
    tokenizer = WordPieceTokenizer.from_pretrained(folder_with(tmp_path, tokenizer=tokenizer_json(order)))
    assert tokenizer.tokens == order
    assert tokenizer("Ab É zz 東").input_ids == [8, 0, 1, 5, 7, 6, 2]
    assert (tokenizer.pad_token_id, tokenizer.mask_token_id) == (9, 4)


def test_flags_of_tokenizer_json(tmp_path):
    normaliser = {"type": "BertNormalizer", "clean_text": False, "handle_chinese_chars": False, "strip_accents": False,
                  "lowercase": False}
    parts = tokenizer_json(normalizer=normaliser, post_processor={
        "type": "BertProcessing", "sep": ["e", 8], "cls": ["A", 11]}, padding={"pad_token": "é"})
    parts["model"]["max_input_chars_per_word"] = 2
    parts["added_tokens"].append({"id": 12, "content": "<E>", "special": False})
    tokenizer = WordPieceTokenizer.from_pretrained(folder_with(tmp_path, tokenizer=parts))
    assert tokenizer("A é 東京<E> abb").tokens == ["A", "A", "é", "東京", "<E>", "[UNK]", "e"]
    assert tokenizer.pad_token_id == 7 and len(tokenizer) == 13
    folder_with(tmp_path, tokenizer=tokenizer_json(normalizer=None, post_processor=None))
    assert WordPieceTokenizer.from_pretrained(tmp_path).tokenize("A é 東京") == ["A", "é", "東京"]


def test_special_tokens_by_other_names(tmp_path):
    parts = tokenizer_json(["<unk>", "a", "<mask>", "<pad>", "[CLS]", "[SEP]"])
    parts["model"]["unk_token"] = "<unk>"
    parts["added_tokens"] += [{"id": 2, "content": "<mask>", "special": True},
                              {"id": 3, "content": "<pad>", "special": True}]
    tokenizer = WordPieceTokenizer.from_pretrained(folder_with(tmp_path, tokenizer=parts))
    assert (tokenizer.unk_token_id, tokenizer.mask_token_id, tokenizer.pad_token_id) == (0, 2, 3)
    folder_with(tmp_path, special_tokens_map={"mask_token": "a"})
    assert WordPieceTokenizer.from_pretrained(tmp_path).mask_token_id == 1


SAME_TYPE = tokenizer_json()["post_processor"]
SAME_TYPE["pair"] = [*SAME_TYPE["single"], {"Sequence": {"id": "B", "type_id": 0}}, SAME_TYPE["single"][2]]


def model(**changes):
    parts = tokenizer_json()
    return parts | {"model": parts["model"] | changes}


@pytest.mark.parametrize("contents, message", [
    ({}, "neither vocab.txt nor tokenizer.json"),
    ({"vocab": ""}, "vocab.txt: the file is empty"),
    ({"vocab": "a", "tokenizer_config": "{"}, "tokenizer_config.json: not JSON"),
    ({"vocab": "a", "tokenizer_config": "[]"}, "tokenizer_config.json: the JSON text must be .*got list"),
    ({"vocab": "a", "tokenizer_config": {"do_basic_tokenize": False}}, "do_basic_tokenize"),
    ({"vocab": "a", "added_tokens": {"b": 3}}, "added token 'b' should have id 3, which is past the end, 1"),
    ({"vocab": "a", "added_tokens": {"b": 0}}, "added token 'b' should have id 0, which is 'a'"),
    ({"tokenizer": model(type="BPE")}, "tokenizer.json: model.type must be 'WordPiece', got 'BPE'"),
    ({"tokenizer": model(type="Unigram")}, "model.type must be 'WordPiece', got 'Unigram'"),
    ({"tokenizer": {}}, "model.type must be 'WordPiece', got None"),
    ({"tokenizer": model(continuing_subword_prefix="@@")}, "continuing_subword_prefix must be '##', got '@@'"),
    ({"tokenizer": model(vocab={"a": 0, "b": 2})}, "not 0, 1, 2, ... without gaps"),
    ({"tokenizer": model(vocab=["a"])}, "model.vocab must be an object"),
    ({"tokenizer": tokenizer_json(pre_tokenizer={"type": "ByteLevel"})}, "pre_tokenizer.type .*got 'ByteLevel'"),
    ({"tokenizer": tokenizer_json(pre_tokenizer=None)}, "pre_tokenizer.type must be .*got None"),
    ({"tokenizer": tokenizer_json(normalizer={"type": "NFKC"})}, "normalizer.type must be .*got 'NFKC'"),
    ({"tokenizer": tokenizer_json(post_processor={"type": "RobertaProcessing"})}, "got 'RobertaProcessing'"),
    ({"tokenizer": tokenizer_json(post_processor={"type": "TemplateProcessing", "single": [], "pair": []})},
     "post_processor.single must be cls:0 A:0 sep:0"),
    ({"tokenizer": tokenizer_json(post_processor=SAME_TYPE)}, r"pair must be \[CLS\]:0 A:0 \[SEP\]:0 B:1 \[SEP\]:1"),
    ({"vocab": "a", "tokenizer_config": {"tokenizer_class": "BertJapaneseTokenizer"}}, "tokenizer_class must be one of "
     ".*got 'BertJapaneseTokenizer'"),
    ({"vocab": "a", "config": {"tokenizer_class": "MPNetTokenizerFast"}}, "config.json: tokenizer_class must be one of "
     ".*DistilBertTokenizer.*got 'MPNetTokenizerFast'"),
    ({"vocab": "a", "tokenizer_config": {"word_tokenizer_type": "mecab"}}, "word_tokenizer_type must be 'basic', got "),
    ({"vocab": "a", "tokenizer_config": {"tokenizer_class": 3}}, "tokenizer_class must be a string, got 3"),
    ({"vocab": "a", "tokenizer_config": {"do_lower_case": "yes"}}, "do_lower_case must be true or false, got 'yes'"),
    ({"vocab": "a", "tokenizer_config": {"strip_accents": 0}}, "strip_accents must be true or false, got 0"),
    ({"vocab": "a", "tokenizer_config": {"model_max_length": "512"}}, "model_max_length must be a number, got '512'"),
    ({"vocab": "a", "tokenizer_config": {"max_input_chars_per_word": True}}, "must be a whole number, got True"),
    ({"vocab": "a", "tokenizer_config": {"mask_token": ["a"]}}, "mask_token must be a string, got .'a'"),
    ({"vocab": "a", "tokenizer_config": {"mask_token": {"special": True}}}, "mask_token.content must be a string"),
    ({"vocab": "a", "tokenizer_config": {"added_tokens_decoder": {"first": {}}}}, "must have ids for names, got 'fir"),
    ({"vocab": "a", "tokenizer_config": {"added_tokens_decoder": {"0": "a"}}}, "added_tokens_decoder.0 must be an obj"),
    ({"vocab": "a", "added_tokens": {"b": "1"}}, "added_tokens.json: b must be a whole number, got '1'"),
    ({"vocab": "a", "special_tokens_map": {"cls_token": 5}}, "special_tokens_map.json: cls_token must be a string"),
    ({"tokenizer": model(vocab={"a": "0"})}, "the ids of model.vocab are not 0, 1, 2"),
    ({"tokenizer": tokenizer_json(added_tokens=[7])}, r"added_tokens\[0\] must be an object, got 7"),
])
def test_refused_by_name(tmp_path, contents, message):
    with pytest.raises(CheckpointError, match=message) as caught:
        WordPieceTokenizer.from_pretrained(folder_with(tmp_path, **contents))
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_vocabulary_that_is_not_utf8(tmp_path):
    (tmp_path / "vocab.txt").write_bytes(b"a\n\xff\n")
    with pytest.raises(CheckpointError, match="vocab.txt: not UTF-8: byte 0xff at offset 2"):
        WordPieceTokenizer.from_pretrained(tmp_path)


def test_a_token_that_does_not_fit_on_a_line_loses_nothing(tmp_path):
    WordPieceTokenizer(TOKENS).save_pretrained(tmp_path)
    for token in ("a\nb", "a\r"):
        with pytest.raises(ValueError, match="vocab.txt: token .* does not fit on a line"):
            WordPieceTokenizer([token]).save_pretrained(tmp_path)
    assert WordPieceTokenizer.from_pretrained(tmp_path).tokens == TOKENS


def test_tokenizer_json_as_tokenizers_reads_it(tmp_path):
    tokenizers = pytest.importorskip("tokenizers", minversion="0.13")
    folder_with(tmp_path, tokenizer=tokenizer_json())
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    ours = WordPieceTokenizer.from_pretrained(tmp_path)
    for text in (TEXT, "", "É[SEP]é"):
        assert ours(text, special_tokens_in_text=True).input_ids == theirs.encode(text).ids
        assert ours(text, "a", special_tokens_in_text=True).offsets == theirs.encode(text, "a").offsets


@pytest.mark.parametrize("files", [
    {"tokenizer_config": {"tokenizer_class": "DistilBertTokenizer", "never_split": None, "strip_accents": None}},
    {"tokenizer_config": {"tokenizer_class": "BertTokenizerFast", "do_basic_tokenize": True}},
    {"tokenizer_config": {"tokenizer_class": None}, "config": {"model_type": "electra"}},
    {"config": {"tokenizer_class": "ElectraTokenizerFast"}},
    {"tokenizer_config": {"word_tokenizer_type": "basic", "subword_tokenizer_type": "wordpiece"}},
])
def test_classes_that_are_bert_in_all_but_name(tmp_path, files):
    tokenizer = WordPieceTokenizer.from_pretrained(folder_with(tmp_path, vocab="\n".join(TOKENS), **files))
    assert tokenizer("Ab É").tokens == ["[CLS]", "a", "##b", "e", "[SEP]"]


def test_another_class_is_read_from_the_file_that_says_all(tmp_path):
    """vocab.txt would mean lower case; nothing but tokenizer.json says that this one keeps capitals."""
    whole = tokenizer_json(normalizer=None)
    for name in ("PreTrainedTokenizerFast", "TokenizersBackend"):
        folder_with(tmp_path, vocab="\n".join(TOKENS), tokenizer=whole, tokenizer_config={"tokenizer_class": name})
        assert WordPieceTokenizer.from_pretrained(tmp_path).tokenize("A a") == ["A", "a"]
    folder_with(tmp_path, tokenizer_config={"tokenizer_class": "BertTokenizer"})
    with pytest.raises(CheckpointError, match="vocab.txt: lowercase is True here, but False in tokenizer.json"):
        WordPieceTokenizer.from_pretrained(tmp_path)
    folder_with(tmp_path, tokenizer_config={"tokenizer_class": "BertTokenizer", "do_lower_case": False,
                                            "tokenize_chinese_chars": False, "clean_text": False})
    assert WordPieceTokenizer.from_pretrained(tmp_path).tokenize("A a") == ["A", "a"]


@pytest.mark.parametrize("names", [["tokenizer_config", "added_tokens", "special_tokens_map"], ["tokenizer"]])
def test_whatever_a_setting_is_it_loads_or_is_refused_as_a_bad_file(tmp_path, names):
    contents = {
        "added_tokens": {"[E1]": 12}, "special_tokens_map": {"mask_token": "[MASK]"},
        "tokenizer_config": {
            "tokenizer_class": "BertTokenizer", "do_lower_case": True, "strip_accents": None, "model_max_length": 512,
            "tokenize_chinese_chars": True, "clean_text": True, "max_input_chars_per_word": 100,
            "do_basic_tokenize": True, "cls_token": {"content": "[CLS]"}, "sep_token": "[SEP]",
            "added_tokens_decoder": {"13": {"content": "[E2]", "special": True, "lstrip": False}}},
        "tokenizer": tokenizer_json(padding={"pad_token": "[PAD]"})}
    if "tokenizer" not in names:
        folder_with(tmp_path, vocab="\n".join(TOKENS))

    @settings(max_examples=200, deadline=None)
    @given(st.data())
    def check(data):
        write_with_an_odd_value(tmp_path, {f"{name}.json": contents[name] for name in names}, data)
        try:
            tokenizer = WordPieceTokenizer.from_pretrained(tmp_path)
        except CheckpointError as error:
            assert str(tmp_path) in str(error) and "\n" not in str(error)
            return
        if tokenizer.special_tokens["unk"] in tokenizer.vocab:
            ids, = tokenizer.encode_batch([TEXT], add_special_tokens=False)
            assert all(0 <= index < len(tokenizer) for index in ids)

    check()


# ---- added tokens, sides, and files that contradict each other ----


def with_added(folder, **flags):
    """A tokenizer whose file lists "Covid-19" as token 12, with flags."""
    entry = {"id": 12, "content": "Covid-19", "special": False, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False} | flags
    parts = tokenizer_json()
    parts["added_tokens"].append(entry)
    return WordPieceTokenizer.from_pretrained(folder_with(folder, tokenizer=parts))


@pytest.mark.parametrize("flags, found", [
    ({"normalized": True}, {"Covid-19", "covid-19", "a COVID-19", "aCovid-19b", "Cóvid-19", "Co\u0301vid-19"}),
    ({}, {"Covid-19", "aCovid-19b"}),
    ({"normalized": True, "single_word": True}, {"Covid-19", "covid-19", "a COVID-19", "Cóvid-19", "Co\u0301vid-19"}),
    ({"single_word": True}, {"Covid-19"})])
def test_where_an_added_token_is_found(tmp_path, flags, found):
    texts = ["Covid-19", "covid-19", "a COVID-19", "aCovid-19b", "Cóvid-19", "Co\u0301vid-19", "Covid - 19", "Covid"]
    tokenizer = with_added(tmp_path, **flags)
    assert {text for text in texts if 12 in tokenizer(text).input_ids} == found
    tokenizer.save_pretrained(tmp_path / "again")
    again = WordPieceTokenizer.from_pretrained(tmp_path / "again")
    for text in texts:
        assert again(text) == tokenizer(text) and again.encode_batch([text]) == tokenizer.encode_batch([text])


def test_the_offsets_of_a_token_in_a_normalised_text(tmp_path):
    encoding = with_added(tmp_path, normalized=True)("東a\x00Co\u0301VID-19\x00b", add_special_tokens=False)
    assert encoding.tokens == ["東", "a", "Covid-19", "[UNK]"]
    assert encoding.offsets == [(0, 1), (1, 2), (3, 12), (13, 14)]
    assert encoding.word_ids == [0, 1, 2, 3]


def test_a_special_match_hides_what_begins_inside_it(tmp_path):
    tokenizer = WordPieceTokenizer(TOKENS, added_tokens={"<a>": True, "a>": False})
    assert tokenizer.tokenize("a>") == ["a>"] and "a>" not in tokenizer.tokenize("<a>")
    assert tokenizer.tokenize("<a>", special_tokens_in_text=True) == ["<a>"]


def test_a_word_is_not_cut_into_added_tokens(tmp_path):
    """They are no part of the vocabulary that words are cut into, in memory and in the files."""
    tokenizer = WordPieceTokenizer(TOKENS, added_tokens={"##c": False, "abc": False}, single_word=["abc"])
    assert tokenizer.tokenize("ac abcd abc") == ["[UNK]", "[UNK]", "abc"]
    tokenizer.save_pretrained(tmp_path)
    assert (tmp_path / "vocab.txt").read_text("utf-8").split("\n")[:-1] == TOKENS
    assert WordPieceTokenizer.from_pretrained(tmp_path).tokenize("ac abcd abc") == ["[UNK]", "[UNK]", "abc"]


def test_an_added_token_that_ends_in_a_space_comes_back(tmp_path):
    tokenizer = WordPieceTokenizer(TOKENS, added_tokens={"x ": False, "\n": False})
    tokenizer.save_pretrained(tmp_path)
    assert WordPieceTokenizer.from_pretrained(tmp_path)("ax \na") == tokenizer("ax \na")


def test_sides(tmp_path):
    folder_with(tmp_path, vocab="\n".join(TOKENS), tokenizer_config={"padding_side": "left", "truncation_side": "left"})
    tokenizer = WordPieceTokenizer.from_pretrained(tmp_path)
    assert tokenizer("a ab é", "e 東", max_length=6).tokens == ["[CLS]", "##b", "e", "[SEP]", "東", "[SEP]"]
    assert tokenizer("a ab é", max_length=4).offsets == [(0, 0), (3, 4), (5, 6), (0, 0)]
    assert tokenizer.encode_batch(["a ab é", ""], max_length=4) == [[2, 6, 8, 3], [2, 3]]
    batch = tokenizer.pad([tokenizer("a"), tokenizer("a", "e")], max_length=6)
    assert batch["input_ids"].tolist() == [[0, 0, 0, 2, 5, 3], [0, 2, 5, 3, 8, 3]]
    assert batch["attention_mask"].tolist() == [[0, 0, 0, 1, 1, 1], [0, 1, 1, 1, 1, 1]]
    assert batch["token_type_ids"].tolist() == [[0] * 6, [0, 0, 0, 0, 1, 1]]
    assert tokenizer.pad([[2, 3], [2]], side="right")["input_ids"].tolist() == [[2, 3], [2, 0]]
    tokenizer.save_pretrained(tmp_path / "again")
    again = WordPieceTokenizer.from_pretrained(tmp_path / "again")
    assert (again.padding_side, again.truncation_side) == ("left", "left")
    for name in ("padding_side", "truncation_side"):
        with pytest.raises(ValueError, match=f"{name} must be \"left\" or \"right\", got 'middle'"):
            WordPieceTokenizer(TOKENS, **{name: "middle"})
        folder_with(tmp_path, tokenizer_config={name: "middle"})
        with pytest.raises(CheckpointError, match=f"tokenizer_config.json: {name} must be 'right', got 'middle'"):
            WordPieceTokenizer.from_pretrained(tmp_path)


OTHER_ORDER = ["a", *TOKENS[1:5], "[PAD]", *TOKENS[6:]]


@pytest.mark.parametrize("contents, message", [
    ({"vocab": "\n".join(TOKENS[:-1] + ["x"])}, r"vocab.txt: vocabulary\[11\] is 'x' here, but 'A' in tokenizer.json"),
    ({"vocab": "\n".join(TOKENS[:-1])}, r"vocabulary\[11\] is None here, but 'A' in tokenizer.json"),
    ({"vocab": "\n".join(OTHER_ORDER)}, r"vocabulary\[0\] is 'a' here, but '\[PAD\]' in tokenizer.json"),
    ({"tokenizer_config": {"do_lower_case": False}}, "lowercase is False here, but True in tokenizer.json"),
    ({"tokenizer_config": {"strip_accents": False}}, "strip_accents is False here, but True in tokenizer.json"),
    ({"tokenizer_config": {"tokenize_chinese_chars": False}}, "tokenize_chinese_chars is False here"),
    ({"special_tokens_map": {"cls_token": "a"}}, r"special_tokens\[0\] is 'cls a' here, but 'cls \[CLS\]' in tok"),
    ({"added_tokens": {"new": 12}}, r"added_tokens\[0\] is 'new' here, but None in tokenizer.json: delete the file"),
])
def test_two_descriptions_that_disagree(tmp_path, contents, message):
    folder_with(tmp_path, vocab="\n".join(TOKENS), tokenizer=tokenizer_json())
    assert WordPieceTokenizer.from_pretrained(tmp_path).tokens == TOKENS
    with pytest.raises(CheckpointError, match=message):
        WordPieceTokenizer.from_pretrained(folder_with(tmp_path, **contents))


TEMPLATE = tokenizer_json()["post_processor"]


@pytest.mark.parametrize("changes, message", [
    ({"post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 2]}},
     r"post_processor.sep must agree with the vocabulary, in which id 2 is '\[CLS\]' and not '\[SEP\]'"),
    ({"post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 99]}}, "id 99 is nothing"),
    ({"post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", True]}}, "id True is nothing"),
    ({"post_processor": TEMPLATE | {"special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [3], "tokens": ["[CLS]"]}}}},
     r"post_processor.special_tokens.\[CLS\] must agree with the vocabulary"),
    ({"post_processor": TEMPLATE | {"special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2, 3], "tokens": ["[CLS]"]}}}},
     "must be one token and its id"),
    ({"padding": {"pad_token": "[PAD]", "pad_id": 1}}, "padding.pad_id must agree with the vocabulary"),
    ({"added_tokens": [{"id": 12, "content": "", "special": False}]}, r"added_tokens\[0\].content must have at least"),
    ({"added_tokens": [{"id": 12, "content": "a", "special": False}]}, "added token 'a' has two ids"),
    ({"model": tokenizer_json()["model"] | {"max_input_chars_per_word": -1}}, "_chars_per_word must be at least 0"),
])
def test_one_file_that_contradicts_itself(tmp_path, changes, message):
    with pytest.raises(CheckpointError, match=message):
        WordPieceTokenizer.from_pretrained(folder_with(tmp_path, tokenizer=tokenizer_json(**changes)))


@pytest.mark.parametrize("contents, message", [
    ({"tokenizer_config": {"max_input_chars_per_word": -1}}, "max_input_chars_per_word must be at least 0, got -1"),
    ({"added_tokens": {"": 12}}, "must have at least one character"),
    ({"tokenizer_config": {"added_tokens_decoder": {"12": {"content": ""}}}}, "12.content must have at least one char"),
    ({"tokenizer_config": {"added_tokens_decoder": {"00": {"content": "[PAD]"}}}}, "must have ids for names, got '00'"),
    ({"tokenizer_config": {"additional_special_tokens": ["<new>"]}}, "special token '<new>' has no id in the voc"),
    ({"tokenizer_config": {"extra_special_tokens": [3]}}, "extra_special_tokens must be a list of tokens, got .3"),
    ({"tokenizer_config": {"never_split": ["a"]}}, "never_split must not be set, got"),
])
def test_more_that_is_refused_beside_a_vocabulary(tmp_path, contents, message):
    with pytest.raises(CheckpointError, match=message):
        WordPieceTokenizer.from_pretrained(folder_with(tmp_path, vocab="\n".join(TOKENS), **contents))
