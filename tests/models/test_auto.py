"""What a folder holds is found out, by its files alone, or refused by name."""
import json
import re

import every_family
import numpy as np
import pytest

import numbert as nb
from numbert.models.auto import look

TYPES = {"bert": "Bert", "roberta": "Roberta", "albert": "Albert", "gpt": "GPT2"}
HEADS = ["", "ForPreTraining", "ForMaskedLM", "ForCausalLM", "ForSequenceClassification", "ForTokenClassification",
         "ForQuestionAnswering", "ForMultipleChoice"]
# What is not called by the family's name and the head's, as in transformers' own tables; None: there is none.
OTHERS = {"AutoModelForPreTraining": {"bert": "BertForPreTraining", "roberta": "RobertaForMaskedLM",
                                      "albert": "AlbertForPreTraining", "gpt": "GPT2LMHeadModel"},
          "AutoModelForMaskedLM": {"gpt": None}, "AutoModelForMultipleChoice": {"gpt": None},
          "AutoModelForCausalLM": {"bert": None, "roberta": None, "albert": None, "gpt": "GPT2LMHeadModel"}}


def expected(auto, family):
    head = auto.removeprefix("AutoModel")
    return OTHERS.get(auto, {}).get(family, TYPES[family] + (head or "Model"))


@pytest.fixture(scope="module", params=every_family.FAMILIES)
def made(request, tmp_path_factory):
    """(family, folder, model, tokenizer)"""
    folder = tmp_path_factory.mktemp(request.param)
    return request.param, folder, *every_family.write(folder, request.param)


@pytest.mark.parametrize("head", HEADS)
def test_each_head_of_each_family(made, head):
    family, folder, model, _ = made
    auto = f"AutoModel{head}"
    if expected(auto, family) is None:
        with pytest.raises(nb.CheckpointError) as error:
            getattr(nb, auto).from_pretrained(folder)
        kind, refusal = model.config.model_type, str(error.value)
        assert re.search(rf"config\.json: model_type is '{kind}', and {auto} is for (?!.*{kind}\b)\w+", refusal)
        return
    found = getattr(nb, auto).from_pretrained(folder, dtype=np.float64)
    assert type(found) is getattr(nb, expected(auto, family)) and found.parameters()[0].dtype == np.float64
    word = "body.embeddings.word.weight" if head else "embeddings.word.weight"
    assert np.array_equal(found.named_parameters()[word].data, model.body.embeddings.word.weight.data)


def test_changes_are_handed_on(made):
    model = nb.AutoModelForSequenceClassification.from_pretrained(made[1], num_labels=5)
    assert model.config.num_labels == 5 and nb.AutoConfig.from_pretrained(made[1], num_labels=5) == model.config


def test_the_tables_are_those_of_transformers():
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    configs = {family: getattr(transformers, TYPES[family] + "Config") for family in TYPES}
    for head in HEADS:
        theirs = getattr(transformers, f"AutoModel{head}")._model_mapping
        for family, config in configs.items():
            if head != "ForCausalLM" or family == "gpt":                # theirs has decoders that are made of BERT
                found = theirs[config].__name__ if config in theirs.keys() else None
                assert expected(f"AutoModel{head}", family) == found


def test_the_tokenizer(made):
    _, folder, _, tokenizer = made
    found = nb.AutoTokenizer.from_pretrained(folder)
    assert type(found) is type(tokenizer) and found.tokens == tokenizer.tokens
    for text in every_family.TEXTS:
        assert found(text) == tokenizer(text)


def test_the_class_of_the_tokenizer_is_named_or_its_files_say(made, tmp_path):
    _, folder, _, tokenizer = made
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    kind = settings.pop("tokenizer_class")
    for changed in (settings | {"tokenizer_class": kind + "Fast"}, settings):
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(changed))
        assert type(nb.AutoTokenizer.from_pretrained(tmp_path)) is type(tokenizer)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "XLMRobertaTokenizer"}))
    assert type(nb.AutoTokenizer.from_pretrained(tmp_path)) is type(tokenizer)      # tokenizer.json says it all
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(nb.CheckpointError, match="tokenizer_class must be one of BertTokenizer.*RobertaTokenizer.*"
                                                 "AlbertTokenizer, got 'XLMRobertaTokenizer'"):
        nb.AutoTokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize("model, message", [
    ({"type": "WordLevel"}, "tokenizer.json: model.type must be one of WordPiece, BPE, Unigram, got 'WordLevel'"),
    ({"type": "Unigram"}, "tokenizer.json: model.vocab must be a list, got None"),
    (None, "there is no tokenizer in it: looked for vocab.txt, vocab.json, spiece.model, tokenizer.json"),
])
def test_tokenizers_that_cannot_be_read(tmp_path, model, message):
    if model:
        (tmp_path / "tokenizer.json").write_text(json.dumps({"model": model}))
    with pytest.raises(nb.CheckpointError, match=re.escape(message)):
        nb.AutoTokenizer.from_pretrained(tmp_path)


def test_a_tokenizer_in_one_file(tmp_path):
    """Which kind it is stands in its model, whatever transformers calls the class."""
    vocab = {token: i for i, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat"])}
    (tmp_path / "tokenizer.json").write_text(json.dumps({
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "vocab": vocab, "max_input_chars_per_word": 100},
        "pre_tokenizer": {"type": "BertPreTokenizer"}, "added_tokens": []}))
    for name in (None, "PreTrainedTokenizerFast", "TokenizersBackend"):
        (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": name}))
        assert nb.AutoTokenizer.from_pretrained(tmp_path).tokens == list(vocab)


@pytest.mark.parametrize("changes, message", [
    ({"model_type": "t5"}, "config.json: model_type must be one of bert, roberta, albert, gpt2, got 't5'"),
    ({"model_type": None, "architectures": None}, "model_type must be one of bert, roberta, albert, gpt2, got None"),
    ({"model_type": ["bert"]}, "model_type must be one of"),
    ({"hidden_size": 15, "n_embd": 15}, "must be divisible by"),
])
def test_models_that_cannot_be_read(made, tmp_path, changes, message):
    settings = json.loads((made[1] / "config.json").read_text()) | changes
    (tmp_path / "config.json").write_text(json.dumps(settings))
    for use in (nb.AutoModel, nb.AutoModelForTokenClassification, nb.AutoConfig):
        with pytest.raises(nb.CheckpointError, match=re.escape(message)):
            use.from_pretrained(tmp_path)


def test_an_old_file_that_names_only_the_class(made, tmp_path):
    settings = json.loads((made[1] / "config.json").read_text())
    del settings["model_type"]
    (tmp_path / "config.json").write_text(json.dumps(settings))
    assert nb.AutoModel.class_of(tmp_path) is nb.AutoModel.class_of(made[1])


def test_a_folder_is_looked_at_before_work_begins(made, tmp_path):
    family, folder, model, tokenizer = made
    head = nb.AutoModelForQuestionAnswering
    found, longest = look(folder, head)
    assert type(found) is type(tokenizer) and longest == model.max_tokens == every_family.LONGEST
    for name in ("config.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "merges.txt"):
        if (folder / name).exists():
            (tmp_path / name).write_bytes((folder / name).read_bytes())
    assert look(tmp_path, head, from_scratch=True)[1] == longest
    with pytest.raises(nb.CheckpointError, match="the folder has no weights"):
        look(tmp_path, head)
    if family == "gpt":
        with pytest.raises(nb.CheckpointError, match="AutoModelForMaskedLM is for bert, roberta, albert"):
            look(folder, nb.AutoModelForMaskedLM)
