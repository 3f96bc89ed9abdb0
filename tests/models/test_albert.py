"""ALBERT: what it changes in BERT, and that it is what transformers computes."""
import importlib.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_family import check_golden, check_there_and_back, close, folder_with, same_bits, shaken, text

import numbert as nb
from numbert.recording import watching

CONFIG = nb.AlbertConfig(vocab_size=20, embedding_size=5, hidden_size=8, num_hidden_layers=4, num_attention_heads=2,
                         intermediate_size=12, max_position_embeddings=9, initializer_range=0.3)
CLASSES = (nb.AlbertModel, nb.AlbertForPreTraining, nb.AlbertForMaskedLM, nb.AlbertForSequenceClassification,
           nb.AlbertForTokenClassification, nb.AlbertForQuestionAnswering, nb.AlbertForMultipleChoice)

# Recorded from transformers 5.23.0: the names of AlbertForPreTraining(AlbertConfig(...)).named_parameters()
NAMES = """
albert.embeddings.word_embeddings.weight
albert.embeddings.position_embeddings.weight
albert.embeddings.token_type_embeddings.weight
albert.embeddings.LayerNorm.weight
albert.embeddings.LayerNorm.bias
albert.encoder.embedding_hidden_mapping_in.weight
albert.encoder.embedding_hidden_mapping_in.bias
albert.encoder.albert_layer_groups.0.albert_layers.0.full_layer_layer_norm.weight
albert.encoder.albert_layer_groups.0.albert_layers.0.full_layer_layer_norm.bias
albert.encoder.albert_layer_groups.0.albert_layers.0.attention.query.weight
albert.encoder.albert_layer_groups.0.albert_layers.0.attention.query.bias
albert.encoder.albert_layer_groups.0.albert_layers.0.attention.key.weight
albert.encoder.albert_layer_groups.0.albert_layers.0.attention.key.bias
albert.encoder.albert_layer_groups.0.albert_layers.0.attention.value.weight
albert.encoder.albert_layer_groups.0.albert_layers.0.attention.value.bias
albert.encoder.albert_layer_groups.0.albert_layers.0.attention.dense.weight
albert.encoder.albert_layer_groups.0.albert_layers.0.attention.dense.bias
albert.encoder.albert_layer_groups.0.albert_layers.0.attention.LayerNorm.weight
albert.encoder.albert_layer_groups.0.albert_layers.0.attention.LayerNorm.bias
albert.encoder.albert_layer_groups.0.albert_layers.0.ffn.weight
albert.encoder.albert_layer_groups.0.albert_layers.0.ffn.bias
albert.encoder.albert_layer_groups.0.albert_layers.0.ffn_output.weight
albert.encoder.albert_layer_groups.0.albert_layers.0.ffn_output.bias
albert.pooler.weight
albert.pooler.bias
predictions.bias
predictions.LayerNorm.weight
predictions.LayerNorm.bias
predictions.dense.weight
predictions.dense.bias
sop_classifier.classifier.weight
sop_classifier.classifier.bias
""".split()


def pretraining_batch():
    batch = text(20, [9, 4, 6])
    labels = np.where((np.random.default_rng(1).random((3, 9)) < 0.5) & (batch["attention_mask"] == 1), 3, -100)
    return batch | {"labels": labels, "sentence_order_label": np.array([0, 1, 1])}


def test_golden():
    check_golden("Albert")


@pytest.mark.parametrize("L, groups, inner, expected", [
    (4, 1, 1, [0, 0, 0, 0]), (4, 4, 1, [0, 1, 2, 3]), (4, 2, 1, [0, 0, 1, 1]), (5, 2, 1, [0, 0, 0, 1, 1]),
    (3, 1, 2, [0, 1, 0, 1, 0, 1]), (3, 2, 2, [0, 1, 0, 1, 2, 3]), (1, 1, 3, [0, 1, 2])])
def test_which_layer_is_applied_when(L, groups, inner, expected):
    model = nb.AlbertModel(CONFIG.replace(num_hidden_layers=L, num_hidden_groups=groups, inner_group_num=inner),
                           rng=np.random.default_rng(0))
    assert len(model.layers) == groups * inner
    assert [model.layers.index(layer) for layer in model.sequence()] == expected


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 2), st.integers(0, 2**32 - 1))
def test_the_gradient_of_a_shared_layer_is_the_sum_over_unshared_copies(L, groups, inner, seed):
    config = CONFIG.replace(num_hidden_layers=L, num_hidden_groups=groups, inner_group_num=inner)
    shared = shaken(nb.AlbertForPreTraining, config, seed)
    apart = nb.AlbertForPreTraining(config.replace(num_hidden_groups=L), rng=np.random.default_rng(0), dtype=np.float64)
    order = [shared.body.layers.index(layer) for layer in shared.body.sequence()]
    for layer, n in zip(apart.body.layers, order, strict=True):
        for copy, original in zip(layer.parameters(), shared.body.layers[n].parameters(), strict=True):
            copy.data = original.data.copy()
    rest = {name: p for name, p in shared.named_parameters().items() if "layers." not in name}
    for name, p in rest.items():
        apart.named_parameters()[name].data = p.data.copy()

    batch = pretraining_batch()
    losses = [model(**batch, rng=np.random.default_rng(5)).loss for model in (shared, apart)]
    close(losses[0], losses[1])
    one, other = (dict(zip(model.named_parameters(), nb.gradients(loss, model.parameters()), strict=True))
                  for model, loss in zip((shared, apart), losses, strict=True))
    for name in rest:
        close(one[name], other[name])
    for n, layer in enumerate(shared.body.layers):
        for name in layer.named_parameters():
            copies = [other[f"body.layers.{i}.{name}"] for i, m in enumerate(order) if m == n]
            close(one[f"body.layers.{n}.{name}"], sum(copies, np.zeros(layer.named_parameters()[name].shape)))


def test_the_number_of_parameters_of_albert_base():
    config = nb.AlbertConfig(hidden_size=768, num_attention_heads=12, intermediate_size=3072)
    model = nb.AlbertModel(config, rng=np.random.default_rng(0))
    assert sum(p.data.size for p in model.parameters()) == 11_683_584           # as transformers' albert-base-v2


def test_labels_change_no_logits():
    """With labels only labelled rows pass the last application; the others are the same layer, and need all rows."""
    model, batch = shaken(nb.AlbertForPreTraining, CONFIG.replace(inner_group_num=2)), pretraining_batch()
    whole, some = model(batch["input_ids"], None, batch["attention_mask"]), model(**batch)
    close(some.prediction_logits, whole.prediction_logits.data[batch["labels"] >= 0])
    close(some.sop_logits, whole.sop_logits)
    assert whole.loss is None and list(some.losses) == ["mlm", "sop"]


def test_losses_by_hand():
    model, batch = shaken(nb.AlbertForPreTraining, CONFIG), pretraining_batch()
    out = model(**batch)
    for name, logits, labels in (("mlm", out.prediction_logits.data, batch["labels"][batch["labels"] >= 0]),
                                 ("sop", out.sop_logits.data, batch["sentence_order_label"])):
        p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        close(out.losses[name], -np.log(p[np.arange(len(labels)), labels]).mean())
    close(out.loss, float(out.losses["mlm"]) + float(out.losses["sop"]))
    assert out.counts == model.label_counts(**batch) == {"mlm": (batch["labels"] >= 0).sum(), "sop": 3}


def test_where_dropout_is():
    """After the embeddings and the attention of each layer, not after its feed-forward network; before the SOP head."""
    found = []
    model = shaken(nb.AlbertForPreTraining, CONFIG.replace(
        num_hidden_layers=2, hidden_dropout_prob=0.2, attention_probs_dropout_prob=0.3, classifier_dropout_prob=0.4))
    with watching(lambda op, inputs, options, output, node: found.append((op.name, options.get("rate")))):
        model(**text(20, [3, 2]), rng=np.random.default_rng(0))
    assert [entry for entry in found if entry[1]] == [("dropout", 0.2)] + 2 * [("attention", 0.3), ("dropout", 0.2)] + [
        ("dropout", 0.4)]


def test_settings():
    config = nb.AlbertConfig()
    assert (config.hidden_size, config.embedding_size, config.hidden_act) == (4096, 128, "gelu_new")
    assert config.hidden_dropout_prob == 0 and config.classifier_dropout_prob == 0.1
    with pytest.raises(TypeError, match="classifier_dropout"):
        nb.AlbertConfig(classifier_dropout=0.3)
    with pytest.raises(ValueError, match="num_hidden_groups must be at least 1, got 0"):
        CONFIG.replace(num_hidden_groups=0)
    with pytest.raises(ValueError, match="embedding_size must be a whole number, got 1.5"):
        CONFIG.replace(embedding_size=1.5)
    with pytest.raises(ValueError, match="classifier_dropout_prob must be a probability below 1, got None"):
        CONFIG.replace(classifier_dropout_prob=None)
    written = CONFIG.to_dict()
    assert written["embedding_size"] == 5 and "classifier_dropout" not in written
    assert nb.AlbertConfig.from_dict(written | {"classifier_dropout": None}).extra["classifier_dropout"] is None


def test_names():
    model = nb.AlbertForPreTraining(CONFIG, rng=np.random.default_rng(0))
    assert sorted(model.state_dict()) == sorted(NAMES)
    groups = nb.AlbertModel(CONFIG.replace(num_hidden_groups=2, inner_group_num=3), rng=np.random.default_rng(0))
    assert {name.split(".attention")[0] for name in groups.state_dict() if ".query.weight" in name} == {
        f"encoder.albert_layer_groups.{g}.albert_layers.{j}" for g in range(2) for j in range(3)}
    assert len(groups.state_dict()) == len(groups.parameters())


@pytest.mark.parametrize("changes", [{}, {"tie_word_embeddings": False, "num_hidden_groups": 2, "inner_group_num": 2}])
@pytest.mark.parametrize("cls", CLASSES)
def test_there_and_back(cls, changes, tmp_path):
    check_there_and_back(shaken(cls, CONFIG.replace(**changes), dtype=np.float32), tmp_path)


def test_a_tied_decoder_however_it_is_written(tmp_path):
    model = shaken(nb.AlbertForMaskedLM, CONFIG)
    arrays = model.state_dict()
    arrays["predictions.decoder.bias"] = arrays.pop("predictions.bias")
    arrays["predictions.decoder.weight"] = arrays["albert.embeddings.word_embeddings.weight"]
    folder_with(tmp_path, CONFIG, arrays)
    assert same_bits(model, nb.AlbertForMaskedLM.from_pretrained(tmp_path, dtype=np.float64, strict=True))


def test_a_real_one_loads():
    if (found := importlib.util.find_spec("rxnmapper")) is None:
        pytest.skip("needs pip install --no-deps rxnmapper==0.4.3")
    folder = f"{found.submodule_search_locations[0]}/models/transformers/albert_heads_8_uspto_all_1310k"
    report = nb.AlbertForMaskedLM.from_pretrained(folder).load_report
    assert not report.new and set(report.unused) == {"albert.pooler.weight", "albert.pooler.bias"}
