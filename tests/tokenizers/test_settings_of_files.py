"""Every setting that the reference writes is followed, refused by name, or known to have no influence: the tables of
the readers are walked, and for each entry a file with an unusual value is loaded.

tests/golden/keys.json has the keys (tests/golden/keys.py says how they were recorded).
"""
import base64
import copy
import dataclasses
import io
import json
import logging
from pathlib import Path

import numpy as np
import pytest
from unigram_folder import PIECES, charsmap, whole_unigram

import numbert as nb
from numbert.hub.settings import ANY, FOLLOWED, Only, Settings
from numbert.models import generation_config
from numbert.tokenizers import albert, byte_bpe_files, unigram_files, wordpiece_files
from numbert.tokenizers.files import NAMES

KEYS = json.loads((Path(__file__).parents[1] / "golden" / "keys.json").read_text("utf-8"))
CONFIGS = {"Bert": nb.BertConfig, "Roberta": nb.RobertaConfig, "Albert": nb.AlbertConfig, "GPT2": nb.GPT2Config}
TABLES = {("Bert", "tokenizer_config.json"): wordpiece_files.TOKENIZER_CONFIG,
          ("Bert", "tokenizer.json"): wordpiece_files.TOKENIZER_JSON,
          ("Albert", "tokenizer_config.json"): albert.TOKENIZER_CONFIG,
          **{(kind, "tokenizer_config.json"): byte_bpe_files.TOKENIZER_CONFIG for kind in ("Roberta", "GPT2")},
          **{(kind, "tokenizer.json"): byte_bpe_files.TOKENIZER_JSON for kind in ("Roberta", "GPT2")},
          ("Unigram", "tokenizer.json"): unigram_files.TOKENIZER_JSON,
          **{(kind, "special_tokens_map.json"): NAMES for kind in ("Bert", "Roberta", "GPT2")},
          ("GPT2", "generation_config.json"): generation_config.TABLE}
ODD = [True, 7, -1, 2.5, "odd", ["odd"], {"odd": 1}]


def entry_of(table, path):
    """What a table says of a key such as "model.unk_token"."""
    entry = table
    for name in path.split("."):
        entry = entry[-1] if isinstance(entry, tuple | list) else entry
        if not isinstance(entry, dict):
            return entry                                        # below something that is followed or refused as a whole
        entry = entry.get(name, entry.get(ANY))
    return entry


def leaves(table, place=""):
    """(path, entry) of everything in a table that is no object with a table of its own."""
    for name, entry in table.items():
        inner = entry[-1] if isinstance(entry, tuple | list) else entry
        if isinstance(inner, dict):
            yield from leaves(inner, f"{place}{name}.")
        if not isinstance(entry, dict | list):
            yield place + name, entry


@pytest.mark.parametrize("name", [name for name in KEYS if name != "versions"])
def test_every_key_that_the_reference_writes_is_in_a_table(name):
    kind, file = name.split("/")
    if file == "config.json":
        config = CONFIGS[kind]
        known = {f.name for f in dataclasses.fields(config) if f.init} | config.only.keys() | config.no_influence.keys()
        assert set(KEYS[name]) - known == {"model_type"}
        assert len(KEYS["versions"]) == 2
    else:
        assert [key for key in KEYS[name] if entry_of(TABLES[kind, file], key) is None] == []


# ---- tokenizers ----

WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] a b ab é e É A 東 東京 , ##b x".split()
BERT_CONFIG = {"tokenizer_class": "BertTokenizer", "added_tokens_decoder": {
    str(len(WORDS)): {"content": "x y", "special": False, "lstrip": False, "rstrip": False, "single_word": False,
                      "normalized": False}}}
TEXTS = ("a ab É e 東京 , A\x00b", "zx y  x y", "X Y ab,", "x yab", "abbb b", "A [MASK] a [SEP]", "", "[x] <s> é", " x")


def whole_bert():
    steps = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
             {"SpecialToken": {"id": "[SEP]", "type_id": 0}}]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 5, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0,
                    "pad_type_id": 0, "pad_token": "[PAD]"},
        "added_tokens": [{"id": i, "content": token, "special": True} | flags for i, token in enumerate(WORDS[:5])]
        + [{"id": len(WORDS), "content": "x y", "special": False} | flags],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                       "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", "single": steps, "pair": [
            *steps, {"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
            "special_tokens": {token: {"id": token, "ids": [i], "tokens": [token]}
                               for i, token in ((2, "[CLS]"), (3, "[SEP]"))}},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": {token: i for i, token in enumerate(WORDS)}}}


def bytes_and_files():
    """(the files of a byte-level tokenizer apart, its tokenizer.json)."""
    trained = nb.ByteLevelBPETokenizer.train(["ab ab x y"] * 3, vocab_size=265)
    size = len(trained)
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    other, entry = ({"content": content, "special": False} | flags for content in ("yab", "x y"))
    named = [{"id": trained.vocab[token], "content": token, "special": True} | flags
             for token in ("<s>", "<pad>", "</s>", "<unk>", "<mask>")]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    whole = {
        "version": "1.0", "truncation": whole_bert()["truncation"], "normalizer": None,
        "padding": whole_bert()["padding"] | {"pad_token": "<pad>", "pad_id": trained.vocab["<pad>"]},
        "added_tokens": [*named, {"id": size} | other, {"id": size + 1} | entry],
        "pre_tokenizer": byte_level, "decoder": dict(byte_level),
        "post_processor": {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0], "trim_offsets": True,
                           "add_prefix_space": False},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
                  "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": trained.vocab, "merges": [list(pair) for pair in trained.merges]}}
    plain = {"vocab.json": trained.vocab, "tokenizer_config.json": {"tokenizer_class": "RobertaTokenizer",
             "added_tokens_decoder": {str(size + 1): entry, str(size): other}},
             "merges.txt": "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in trained.merges)}
    return plain, {"tokenizer.json": whole}


PLAIN_BYTES, WHOLE_BYTES = bytes_and_files()
FOLDERS = {                 # (kind, file): the class, the files of a folder in which the table is walked, and the table
    ("Bert", "tokenizer_config.json"): (
        nb.WordPieceTokenizer, {"vocab.txt": "\n".join(WORDS), "tokenizer_config.json": BERT_CONFIG}),
    ("Bert", "special_tokens_map.json"): (nb.WordPieceTokenizer, {
        "vocab.txt": "\n".join(WORDS), "special_tokens_map.json": {}}),
    ("Bert", "tokenizer.json"): (nb.WordPieceTokenizer, {"tokenizer.json": whole_bert()}),
    ("Roberta", "tokenizer_config.json"): (nb.ByteLevelBPETokenizer, PLAIN_BYTES),
    ("Roberta", "special_tokens_map.json"): (nb.ByteLevelBPETokenizer, PLAIN_BYTES | {"special_tokens_map.json": {}}),
    ("Roberta", "tokenizer.json"): (nb.ByteLevelBPETokenizer, WHOLE_BYTES),
    ("Unigram", "tokenizer.json"): (nb.UnigramTokenizer, {"tokenizer.json": whole_unigram() | {
        "padding": whole_bert()["padding"] | {"pad_token": "<pad>"}, "truncation": whole_bert()["truncation"],
        "added_tokens": [*whole_unigram()["added_tokens"], whole_bert()["added_tokens"][-1] | {"id": len(PIECES)}]}}),
}
ADDED = {"content": ["a b"], "special": [True], "lstrip": [True], "rstrip": [True], "single_word": [True],
         "normalized": [True], "id": []}


def names(*, token):
    """For each role a token that it does not have in the base."""
    return {f"{role}_token": [token] for role in ("bos", "eos", "pad", "unk", "cls", "sep", "mask")}


# For what is followed, values each of which must be seen in what the tokenizer does. An empty list: it stands in an
# object that is tested as a whole, or has no meaning there.
VALUES = {
    ("Bert", "tokenizer_config.json"): names(token="x") | {
        "tokenizer_class": ["OtherTokenizer"], "model_max_length": [9], "max_len": [9], "padding_side": ["left"],
        "truncation_side": ["left"], "model_input_names": [["input_ids"]], "do_lower_case": [False],
        "strip_accents": [False], "tokenize_chinese_chars": [False], "clean_text": [False],
        "max_input_chars_per_word": [1], "additional_special_tokens": [["x"], [{"content": "x", "lstrip": True}]],
        "extra_special_tokens": [["x"], {"image_token": "x"}],
        **{f"added_tokens_decoder.{len(WORDS)}.{key}": values for key, values in ADDED.items()}},
    ("Bert", "special_tokens_map.json"): names(token="x") | {
        "additional_special_tokens": [["x"]], "extra_special_tokens": [["x"]]},
    ("Bert", "tokenizer.json"): {
        "truncation.direction": ["Left"], "padding.direction": ["Left"], "padding.pad_token": ["x"],
        "padding.pad_id": [1], "added_tokens.id": [3],
        **dict.fromkeys(("normalizer.clean_text", "normalizer.handle_chinese_chars", "normalizer.strip_accents",
                         "normalizer.lowercase"), [False]),
        "pre_tokenizer.type": ["Whitespace"], "post_processor.type": ["Other"], "post_processor.sep": [],
        "post_processor.cls": [], "decoder.cleanup": [False], "model.type": ["BPE"], "model.unk_token": ["x"],
        "model.max_input_chars_per_word": [1], "model.vocab.*": [],
        **{f"added_tokens.{key}": values for key, values in ADDED.items() if key != "id"}},
    ("Roberta", "tokenizer_config.json"): names(token="x") | {
        "tokenizer_class": ["GPT2Tokenizer"], "model_max_length": [9], "max_len": [9], "padding_side": ["left"],
        "truncation_side": ["left"], "add_prefix_space": [True], "trim_offsets": [False], "trim_first_space": [False],
        "additional_special_tokens": [["x"]], "extra_special_tokens": [["x"]],
        **{f"added_tokens_decoder.{len(PLAIN_BYTES['vocab.json']) + 1}.{key}": found for key, found in ADDED.items()}},
    ("Roberta", "special_tokens_map.json"): names(token="x") | {
        "additional_special_tokens": [["x"]], "extra_special_tokens": [["x"]]},
    ("Roberta", "tokenizer.json"): {
        "truncation.direction": ["Left"], "padding.direction": ["Left"], "padding.pad_token": ["x"],
        "padding.pad_id": [3], "added_tokens.id": [3], "pre_tokenizer.type": ["Whitespace"],
        "pre_tokenizer.add_prefix_space": [True], "post_processor.type": ["Other"], "post_processor.sep": [["x", 1]],
        "post_processor.cls": [["</s>", 2]], "post_processor.trim_offsets": [False],
        "post_processor.add_prefix_space": [True], "model.type": ["WordPiece"], "model.vocab.*": [],
        "model.merges": [[["a", "b", "c"]], []], "model.unk_token": [],
        **{f"added_tokens.{key}": values for key, values in ADDED.items() if key != "id"}},
    ("Unigram", "tokenizer.json"): {
        "truncation.direction": ["Left"], "padding.direction": ["Left"], "padding.pad_token": ["x"],
        "padding.pad_id": [1], "added_tokens.id": [3],
        # of the list, whose last step is Precompiled; and of the object that holds the list
        "normalizer.type": ["NFC", "Lowercase"], "normalizer.normalizers.type": ["NFC", "Lowercase", "Replace"],
        "normalizer.normalizers.precompiled_charsmap": [
            "7", "AAAA", base64.b64encode(charsmap({"x": "a"})).decode()],
        **dict.fromkeys([f"normalizer.{inner}{name}" for inner in ("", "normalizers.") for name in (
            "pattern.String", "pattern.Regex", "content")] + ["normalizer.precompiled_charsmap"], []),
        "pre_tokenizer.type": ["Metaspace", "Whitespace"], "pre_tokenizer.pretokenizers.type": ["WhitespaceSplit"],
        "post_processor.type": ["Other"], "post_processor.sep": [], "post_processor.cls": [], "model.type": ["BPE"],
        "model.unk_id": [0, -1, len(PIECES)], "model.vocab": [PIECES[:-1], PIECES + [["a", 0.0]], [["a"]]],
        **{f"added_tokens.{key}": values for key, values in ADDED.items() if key != "id"}},
}
TEMPLATE = tuple(f"post_processor.{key}" for key in ("single", "pair", "special_tokens", "processors"))


def loaded(cls, folder, contents):
    """What a tokenizer of these files does; or the CheckpointError."""
    for path in folder.iterdir():
        path.unlink()
    for name, content in contents.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / name).write_text(text, encoding="utf-8")
    try:
        tokenizer = cls.from_pretrained(folder)
    except nb.CheckpointError as error:
        assert "\n" not in str(error)
        return error
    seen = [tokenizer.all_special_ids, tokenizer.model_max_length, tokenizer.tokens, tokenizer.special_tokens]
    for in_text in (False, True):
        seen += [tokenizer(text, special_tokens_in_text=in_text) for text in TEXTS]
    seen += [tokenizer("a b", "x"), tokenizer("a b x", max_length=4), tokenizer.encode_batch(["a b x"], max_length=4)]
    if tokenizer.special_tokens.get("pad") in tokenizer.vocab:
        seen.append({name: x.tolist() for name, x in tokenizer.pad([tokenizer("a"), tokenizer("a b")]).items()})
    return [*seen, tokenizer.decode(tokenizer("a , x").input_ids)]


def changed(contents, file, path, value):
    """The files with one value replaced, or put in; in a list of objects in the last of them."""
    contents = copy.deepcopy(contents)
    *before, last = path.split(".")
    place = contents[file]
    for name in before:
        place = place.setdefault(name, {})
        place = place[-1] if isinstance(place, list) else place
    place[last] = value
    return contents


def own_paths(table, contents, place=""):
    """`leaves`, with the names that a file has instead of ANY; objects in place of a text are left out."""
    for path, entry in leaves(table):
        if "_token." in path or path.startswith(TEMPLATE):
            continue
        if path.startswith("added_tokens_decoder."):
            index = next(iter(contents.get("added_tokens_decoder", {})), None)
            if index is None:
                continue
            path = path.replace(ANY, index)
        yield path, entry


@pytest.mark.parametrize("kind, file", FOLDERS, ids=["-".join(key) for key in FOLDERS])
def test_each_entry_is_what_the_table_says(tmp_path, kind, file):
    (cls, contents), table, values = FOLDERS[kind, file], TABLES[kind, file], VALUES[kind, file]
    base, walked = loaded(cls, tmp_path, contents), []
    assert isinstance(base, list)
    for path, entry in own_paths(table, contents[file]):
        walked.append(path)
        if isinstance(entry, Only):
            for value in (odd for odd in ODD if odd not in entry.values):
                error = loaded(cls, tmp_path, changed(contents, file, path, value))
                assert isinstance(error, nb.CheckpointError) and path.split(".")[-1] in str(error), (path, value)
                assert str(tmp_path / file) in str(error)
            for value in entry.values:
                if value is not None:
                    assert loaded(cls, tmp_path, changed(contents, file, path, value)) == base, (path, value)
        elif entry == FOLLOWED or isinstance(entry, tuple):
            for value in values[path]:                      # KeyError: an entry that the test does not know
                assert loaded(cls, tmp_path, changed(contents, file, path, value)) != base, (path, value)
        else:
            for value in ODD:
                assert loaded(cls, tmp_path, changed(contents, file, path, value)) == base, (path, value)
    assert set(values) <= set(walked)


@pytest.mark.parametrize("kind, file", FOLDERS, ids=["-".join(key) for key in FOLDERS])
def test_an_unknown_key_is_refused_or_said(tmp_path, caplog, kind, file):
    cls, contents = FOLDERS[kind, file]
    base = loaded(cls, tmp_path, contents)
    with caplog.at_level(logging.WARNING, "numbert"):
        found = loaded(cls, tmp_path, changed(contents, file, "brand_new", 3))
    if file == "tokenizer.json":
        assert f"{tmp_path / file}: brand_new is not known, so it cannot be followed" == str(found)
        for path in ("model.brand_new", "normalizer.brand_new", "added_tokens.brand_new", "decoder.brand_new"):
            if path.split(".")[0] != "normalizer" or contents[file]["normalizer"]:
                assert "brand_new" in str(loaded(cls, tmp_path, changed(contents, file, path, "x")))
        assert loaded(cls, tmp_path, changed(contents, file, "model.brand_new", False)) == base     # it is off
    else:
        assert found == base and f"{tmp_path / file}: not followed, because unknown: brand_new" in caplog.text


@pytest.mark.parametrize("key, offsets, inside", [
    ("lstrip", (0, 7), True), ("rstrip", (1, 8), True), ("single_word", (1, 7), False), ("normalized", (1, 7), True)])
def test_a_special_token_described_by_an_object(tmp_path, key, offsets, inside):
    """The flags of {"content": ...}, in either file that names special tokens."""
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        (tmp_path / "vocab.txt").write_text("\n".join(WORDS))
        (tmp_path / name).write_text(json.dumps({"mask_token": {"content": "[MASK]", key: True}}))
        tokenizer = nb.WordPieceTokenizer.from_pretrained(tmp_path)
        options = {"special_tokens_in_text": True, "add_special_tokens": False}
        assert tokenizer(" [MASK] a", **options).offsets[0] == offsets
        assert ("[MASK]" in tokenizer("x[MASK]", **options).tokens) == inside
        assert ("[MASK]" in tokenizer("[mask]", **options).tokens) == (key == "normalized")


def test_what_is_read_must_be_followed_in_the_table():
    settings = Settings("f.json", {"a": 1, "b": 2}, known={"a": FOLLOWED, "b": "a reason", "c": Only(1)})
    assert settings.get("a", int) == 1
    for name in ("b", "c", "d"):
        with pytest.raises(KeyError, match=f"{name} is read, but the table does not say that it is followed"):
            settings.get(name, int)


# ---- models ----

SMALL = {"Bert": dict(vocab_size=30, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=8,
                      max_position_embeddings=16),
         "GPT2": dict(vocab_size=30, n_embd=8, n_layer=2, n_head=2, n_positions=16)}
SMALL |= {"Roberta": SMALL["Bert"], "Albert": SMALL["Bert"] | {"embedding_size": 4}}
OTHER = {"hidden_act": "relu", "activation_function": "relu", "problem_type": "regression", "id2label": {"0": "a"},
         "tie_word_embeddings": False, "num_labels": 3}


@pytest.mark.parametrize("kind", CONFIGS)
def test_each_key_of_a_config(kind, caplog):
    cls, base = CONFIGS[kind], SMALL[kind]
    plain = cls.from_dict(base)
    for key, only in cls.only.items():
        for value in (odd for odd in ODD if odd != only):
            with pytest.raises(ValueError, match=f"{key} = .* is not implemented, only"):
                cls.from_dict(base | {key: value})
        assert cls.from_dict(base | {key: None}).replace(extra={}) == plain
    for key in cls.no_influence:
        for value in ODD:
            assert cls.from_dict(base | {key: value}).replace(extra={}) == plain, key
    for field in dataclasses.fields(cls):
        if field.init and field.name != "extra":
            old = getattr(plain, field.name)
            new = (OTHER[field.name] if field.name in OTHER else 0.25 if isinstance(old, float) or "drop" in field.name
                   else (old or 0) + 2)
            found = cls.from_dict(base | {field.name: new})
            assert getattr(found, field.name) != old, field.name
    assert not caplog.records
    assert cls.from_dict(base | {"brand_new": 3}).to_dict()["brand_new"] == 3
    assert f"configuration of {cls.model_type}: not followed, because unknown: brand_new" in caplog.text


def test_each_key_of_a_generation_config(tmp_path, caplog):
    model = nb.GPT2LMHeadModel(nb.GPT2Config.from_dict(SMALL["GPT2"]), rng=np.random.default_rng(0))
    model.save_pretrained(tmp_path)

    def config(settings):
        (tmp_path / "generation_config.json").write_text(json.dumps(settings))
        return nb.GPT2LMHeadModel.from_pretrained(tmp_path).config

    base = config({})
    for key, entry in generation_config.TABLE.items():
        if isinstance(entry, Only):
            for value in (odd for odd in ODD if odd not in entry.values):
                with pytest.raises(nb.CheckpointError, match=f"generation_config.json: {key} must .*, got"):
                    config({key: value})
            assert all(config({key: value}) == base for value in entry.values)
        elif entry == FOLLOWED:
            assert getattr(config({key: 7}), key) == 7 and config({key: None}) == base
            with pytest.raises(nb.CheckpointError, match=f"{key} must be"):
                config({key: "7"})
        else:
            assert all(config({key: value}) == base for value in ODD)
    assert config({"eos_token_id": [3, 4]}).eos_token_id == [3, 4]
    assert config({"eos_token_id": 5, "pad_token_id": 6}) == base.replace(eos_token_id=5, pad_token_id=6)
    assert nb.GPT2LMHeadModel.from_pretrained(tmp_path, eos_token_id=8).config.eos_token_id == 8
    assert not caplog.records
    config({"brand_new": 1})
    assert "generation_config.json: not followed, because unknown: brand_new" in caplog.text


def test_albert_is_walked_too(tmp_path):
    sentencepiece = pytest.importorskip("sentencepiece")
    file = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a b x y ab é", "the cat , sat"] * 20), model_writer=file, vocab_size=40,
        hard_vocab_limit=False, pad_id=0, unk_id=1, bos_id=-1, eos_id=-1, minloglevel=2, num_threads=1,
        control_symbols=["[CLS]", "[SEP]", "[MASK]"])
    (tmp_path / "spiece.model").write_bytes(file.getvalue())

    def seen(config):
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
        try:
            tokenizer = nb.SentencePieceTokenizer.from_pretrained(tmp_path)
        except nb.CheckpointError as error:
            return error
        return [tokenizer(text, "a", special_tokens_in_text=True) for text in TEXTS] + [
            tokenizer.all_special_ids, tokenizer.model_max_length, tokenizer("a b x", max_length=4).tokens,
            tokenizer.pad([tokenizer("a"), tokenizer("a b x")])["input_ids"].tolist()]

    values = names(token="▁a") | VALUES["Bert", "tokenizer_config.json"] | {
        "do_lower_case": [False], "keep_accents": [True], "additional_special_tokens": [["▁a"]],
        "extra_special_tokens": [["▁a"]]} | names(token="▁a")
    for path, entry in own_paths(albert.TOKENIZER_CONFIG, {}):
        if isinstance(entry, Only):
            for value in (odd for odd in ODD if odd not in entry.values):
                assert f"tokenizer_config.json: {path}" in str(seen({path: value}))
        elif entry == FOLLOWED or isinstance(entry, tuple):
            assert all(seen({path: value}) != seen({}) for value in values[path]), path
        else:
            assert all(seen({path: value}) == seen({}) for value in ODD), path
