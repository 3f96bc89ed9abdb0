import json
import re
import warnings

import pytest

from numbert import BertConfig
from numbert.models.config import ACTIVATIONS

PUBLISHED = {                                        # config.json of bert-base-uncased, as it is on the hub
    "architectures": ["BertForMaskedLM"], "attention_probs_dropout_prob": 0.1, "gradient_checkpointing": False,
    "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "hidden_size": 768, "initializer_range": 0.02,
    "intermediate_size": 3072, "layer_norm_eps": 1e-12, "max_position_embeddings": 512, "model_type": "bert",
    "num_attention_heads": 12, "num_hidden_layers": 12, "pad_token_id": 0, "position_embedding_type": "absolute",
    "transformers_version": "4.6.0.dev0", "type_vocab_size": 2, "use_cache": True, "vocab_size": 30522}


def test_the_published_bert_is_the_default():
    config = BertConfig.from_dict(PUBLISHED)
    assert config.replace(extra={}) == BertConfig()


def test_unknown_keys_are_kept_and_written_back():
    settings = PUBLISHED | {"_name_or_path": "somewhere", "task_specific_params": {"a": [1, None]}, "extra": {"b": 1}}
    written = BertConfig.from_dict(settings).to_dict()
    assert {name: written[name] for name in settings} == settings
    assert BertConfig.from_dict(json.loads(json.dumps(written))).to_dict() == written


@pytest.mark.parametrize("size, layers, width, heads", [("tiny", 2, 128, 2), ("mini", 4, 256, 4), ("small", 4, 512, 8),
                                                        ("base", 12, 768, 12)])
def test_presets_are_googles_sizes(size, layers, width, heads):
    config = BertConfig.preset(size, vocab_size=100)
    assert (config.num_hidden_layers, config.hidden_size, config.num_attention_heads, config.intermediate_size,
            config.vocab_size) == (layers, width, heads, 4 * width, 100)
    with pytest.raises(ValueError, match="size must be one of tiny, mini, small, base; got 'huge'"):
        BertConfig.preset("huge")


WHOLE = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
         "max_position_embeddings", "type_vocab_size", "num_labels")


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("value", ["12", 12.0, None, True, [12], {}])
def test_a_number_of_things_is_a_whole_number(name, value):
    with pytest.raises(ValueError, match=re.escape(f"{name} must be a whole number, got {value!r}")):
        BertConfig(**{name: value})


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("value", [0, -1])
def test_and_at_least_one(name, value):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got {value}"):
        BertConfig(**{name: value})


IMPOSSIBLE = [
    ("hidden_size", 770, "hidden_size = 770 must be divisible by num_attention_heads = 12"),
    ("hidden_dropout_prob", 1, "hidden_dropout_prob must be a probability below 1, got 1"),
    ("attention_probs_dropout_prob", -0.1, "attention_probs_dropout_prob must be a probability below 1, got -0.1"),
    ("classifier_dropout", "0.1", "classifier_dropout must be a probability below 1, got '0.1'"),
    ("hidden_dropout_prob", None, "hidden_dropout_prob must be a probability below 1, got None"),
    ("hidden_dropout_prob", float("nan"), "hidden_dropout_prob must be a probability below 1, got nan"),
    ("initializer_range", 0, "initializer_range must be a positive number, got 0"),
    ("layer_norm_eps", float("inf"), "layer_norm_eps must be a positive number, got inf"),
    ("layer_norm_eps", "1e-12", "layer_norm_eps must be a positive number, got '1e-12'"),
    ("hidden_act", "silu", "hidden_act must be one of gelu, gelu_python, relu, tanh, gelu_new, .*; got 'silu'"),
    ("hidden_act", ["gelu"], r"hidden_act must be one of .*; got \['gelu'\]"),
    ("problem_type", "ranking", "problem_type must be regression, .*; got 'ranking'"),
    ("problem_type", [], r"problem_type must be regression, .*; got \[\]"),
    ("tie_word_embeddings", 1, "tie_word_embeddings must be true or false, got 1"),
    ("id2label", ["a", "b"], r"id2label must map numbers to names, got \['a', 'b'\]"),
    ("id2label", {"first": "a"}, "id2label must map numbers to names, got {'first': 'a'}"),
    ("id2label", {"0": "a", "00": "b"}, "id2label must map numbers to names, got {'0': 'a', '00': 'b'}"),
    ("id2label", {"0": "a", " 1": "b"}, "id2label must map numbers to names"),
    ("id2label", {"0": "a", "1_0": "b"}, "id2label must map numbers to names"),
    ("pruned_heads", {"0": [1]}, "pruned_heads = {'0': .1.} is not implemented, only {}"),
    ("quantization_config", {"bits": 4}, "quantization_config = {'bits': 4} is not implemented, only None"),
    ("auto_map", {"AutoModel": "x.Y"}, "auto_map = .* is not implemented, only {}"),
    ("pad_token_id", "0", "pad_token_id must be a whole number, got '0'"),
    ("id2label", {"0": ["a"], "1": "b"}, r"id2label must map numbers to names, got {0: \['a'\], 1: 'b'}"),
    ("position_embedding_type", "relative_key", "position_embedding_type = 'relative_key' is not implemented, only "
                                                "'absolute'"),
    ("is_decoder", True, "is_decoder = True is not implemented, only False"),
    ("add_cross_attention", True, "add_cross_attention = True is not implemented"),
    ("model_type", "roberta", "model_type is 'roberta', and BertConfig is for 'bert'"),
    ("model_type", None, "model_type is None, and"),
]


@pytest.mark.parametrize("name, value, message", IMPOSSIBLE)
def test_what_cannot_be_is_refused_with_its_value(name, value, message):
    with pytest.raises(ValueError, match=message):
        BertConfig.from_dict(PUBLISHED | {name: value})


@pytest.mark.parametrize("settings", [[], "bert", None, 3])
def test_a_configuration_is_an_object(settings):
    with pytest.raises(ValueError, match=f"must be an object of names and values, got {type(settings).__name__}"):
        BertConfig.from_dict(settings)


def test_every_activation_is_accepted():
    for name in ACTIVATIONS:
        assert BertConfig(hidden_act=name).hidden_act == name


def test_activations_that_are_other_names_of_a_formula():
    """hidden_act of transformers: gelu_python is the formula of gelu, gelu_fast and gelu_accurate that of gelu_new."""
    for name, same in (("gelu_python", "gelu"), ("gelu_fast", "gelu_new"), ("gelu_accurate", "gelu_new"),
                       ("gelu_python_tanh", "gelu_new"), ("gelu_pytorch_tanh", "gelu_new")):
        assert ACTIVATIONS[name] is ACTIVATIONS[same]
    assert ACTIVATIONS["gelu"] is not ACTIVATIONS["gelu_new"]


# Labels


def test_names_that_contradict_their_ids():
    settings = {"id2label": {"0": "no", "1": "yes"}, "label2id": {"no": 1, "yes": 0}}
    with pytest.raises(ValueError, match="label2id has 'no' for 1, which id2label calls 'yes'; delete the wrong one"):
        BertConfig.from_dict(settings)
    for fine in ({"no": 0, "yes": 1}, {"LABEL_0": 0, "LABEL_1": 1}, {}, None, {"no": 0}):
        assert BertConfig.from_dict(settings | {"label2id": fine}).id2label == {0: "no", 1: "yes"}
    same = {"id2label": {"0": "x", "1": "x"}, "label2id": {"x": 1}}
    assert BertConfig.from_dict(same).num_labels == 2


def test_names_of_labels_give_their_number():
    config = BertConfig.from_dict({"id2label": {"0": "no", "1": "yes", "2": "maybe"}})
    assert config.num_labels == 3 and config.id2label == {0: "no", 1: "yes", 2: "maybe"}
    written = config.to_dict()
    assert written["id2label"] == {"0": "no", "1": "yes", "2": "maybe"}
    assert written["label2id"] == {"no": 0, "yes": 1, "maybe": 2}
    assert "num_labels" not in written


def test_a_number_of_labels_gives_names():
    """transformers counts the names: without them, it would take the default of two."""
    written = BertConfig(num_labels=3).to_dict()
    assert written["id2label"] == {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}
    assert BertConfig.from_dict(written).num_labels == 3
    assert "id2label" not in BertConfig(num_labels=2).to_dict()


def test_where_number_and_names_disagree_the_names_count():
    with pytest.warns(UserWarning, match="num_labels is 5, but id2label names 3, which counts"):
        config = BertConfig.from_dict({"num_labels": 5, "id2label": {"0": "a", "1": "b", "2": "c"}})
    assert config.num_labels == 3 and config.id2label == {0: "a", 1: "b", 2: "c"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert BertConfig.from_dict({"num_labels": None, "id2label": None}).num_labels == 2
    with pytest.raises(ValueError, match="num_labels = 5, but id2label names 1 labels"):
        BertConfig(num_labels=5, id2label={0: "a"})


def test_a_new_number_of_labels_takes_the_place_of_old_names():
    old = {"id2label": {"0": "no", "1": "yes", "2": "maybe"}}
    assert BertConfig.from_dict(old, num_labels=5).id2label is None
    assert BertConfig.from_dict(old, num_labels=5).num_labels == 5
    assert BertConfig.from_dict(old, num_labels=3).id2label == {0: "no", 1: "yes", 2: "maybe"}
    renamed = BertConfig.from_dict(old, num_labels=1, id2label={0: "score"})
    assert (renamed.num_labels, renamed.id2label) == (1, {0: "score"})


def test_changes_count_more_than_the_file():
    assert BertConfig.from_dict(PUBLISHED, hidden_dropout_prob=0.0).hidden_dropout_prob == 0
    with pytest.raises(TypeError, match="hidden_sise"):
        BertConfig.from_dict(PUBLISHED, hidden_sise=12)
