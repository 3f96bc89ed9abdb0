"""RoBERTa: what it changes in BERT, and that it is what transformers computes."""
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_family import check_golden, check_there_and_back, close, folder_with, same_bits, shaken, text

import numbert as nb
from numbert.models.roberta import RobertaWithHead
from numbert.recording import watching

CONFIG = nb.RobertaConfig(vocab_size=20, hidden_size=8, num_hidden_layers=2, num_attention_heads=2,
                          intermediate_size=12, max_position_embeddings=11, type_vocab_size=1, num_labels=3)
CLASSES = (nb.RobertaModel, nb.RobertaForMaskedLM, nb.RobertaForSequenceClassification,
           nb.RobertaForTokenClassification, nb.RobertaForQuestionAnswering, nb.RobertaForMultipleChoice)

# Recorded from transformers 5.23.0: names of parameters that are not named as in BERT
MASKED_LM = {"lm_head.bias", "lm_head.dense.weight", "lm_head.dense.bias", "lm_head.layer_norm.weight",
             "lm_head.layer_norm.bias"}
CLASSIFIER = {"classifier.dense.weight", "classifier.dense.bias", "classifier.out_proj.weight",
              "classifier.out_proj.bias"}


def test_golden():
    check_golden("Roberta")


def test_it_is_bert_with_shifted_positions():
    """The same weights, but for a position table that begins behind the padding id."""
    roberta, batch = shaken(nb.RobertaModel, CONFIG), text(20, [9, 4, 6], low=2)
    bert = nb.BertModel(nb.BertConfig(**{name: getattr(CONFIG, name) for name in (
        "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
        "type_vocab_size")}, max_position_embeddings=9), rng=np.random.default_rng(0), dtype=np.float64)
    weights = roberta.state_dict()
    weights["embeddings.position_embeddings.weight"] = weights["embeddings.position_embeddings.weight"][2:]
    bert.load_state_dict(weights, strict=True)
    for one, other in zip(vars(roberta(**batch)).values(), vars(bert(**batch)).values(), strict=True):
        close(one, other, 0)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.integers(1, 8), st.integers(0, 2), st.integers(0, 2**32 - 1))
def test_positions_against_loops(B, T, pad, seed):
    """Counted over what is not the padding id, from pad + 1; the padding id itself has position pad."""
    rng = np.random.default_rng(seed)
    ids, mask = rng.integers(0, 5, (B, T)), (rng.random((B, T)) < 0.8).astype(int)
    packed = nb.RobertaModel(CONFIG.replace(pad_token_id=pad), rng=rng).pack(ids, None, mask)
    expected = []
    for b in range(B):
        count = 0
        for t in range(T):
            count += ids[b, t] != pad
            if mask[b, t]:
                expected.append(pad if ids[b, t] == pad else pad + count)
    assert packed.positions.tolist() == expected


def test_the_longest_text():
    model = shaken(nb.RobertaModel, CONFIG)
    assert model(np.full((1, 9), 3)).last_hidden_state.shape == (1, 9, 8)
    with pytest.raises(ValueError, match=re.escape("(B, T) = (1, 10), but max_position_embeddings is 11, counted "
                                                   "from behind pad_token_id = 1: shorten the text, e.g. "
                                                   "tokenizer(text, max_length=9)")):
        model(np.full((1, 10), 3))
    with pytest.raises(ValueError, match=re.escape("(B, T) = (1, 12), but max_position_embeddings is 11")):
        model(np.full((1, 12), 3))


@pytest.mark.parametrize("pad", [True, "1", 1.0, [1]])
def test_a_padding_id_is_a_whole_number(pad):
    with pytest.raises(ValueError, match=re.escape(f"pad_token_id must be a whole number, got {pad!r}")):
        CONFIG.replace(pad_token_id=pad)


@pytest.mark.parametrize("pad", [-1, 10, None])
def test_padding_ids_that_leave_no_positions(pad):
    with pytest.raises(ValueError, match=re.escape(f"pad_token_id must be in 0..9, because positions are counted from "
                                                   f"behind it and max_position_embeddings is 11; got {pad!r}")):
        CONFIG.replace(pad_token_id=pad)


def test_defaults_are_hugging_faces():
    assert nb.RobertaConfig.from_dict({"model_type": "roberta"}) == nb.RobertaConfig()
    assert (nb.RobertaConfig().vocab_size, nb.RobertaConfig().pad_token_id) == (50265, 1)
    with pytest.raises(ValueError, match="model_type is 'bert', and RobertaConfig is for 'roberta'"):
        nb.RobertaConfig.from_dict({"model_type": "bert"})


def test_padding_and_batch_mates_change_nothing():
    model, batch = shaken(nb.RobertaForSequenceClassification, CONFIG), text(20, [9, 4, 6], low=2)
    together = model(**batch).logits.data
    scribbled = batch | {"input_ids": np.where(batch["attention_mask"], batch["input_ids"], 999)}
    assert np.array_equal(model(**scribbled).logits.data, together)
    for b, n in enumerate([9, 4, 6]):
        close(model(batch["input_ids"][b:b + 1, :n]).logits.data[0], together[b])


def test_the_head_for_words_bends_with_gelu_whatever_the_body_does():
    found = []
    model = shaken(nb.RobertaForMaskedLM, CONFIG.replace(hidden_act="relu"))
    with watching(lambda op, *_: found.append(op.name)):
        model(**text(20, [3]))
    assert [name for name in found if name in ("relu", "gelu")] == ["relu", "relu", "gelu"]


def test_where_dropout_is_in_the_head_for_classes():
    """Before the dense layer and after its tanh."""
    found = []
    model = shaken(nb.RobertaForSequenceClassification, CONFIG.replace(classifier_dropout=0.3))
    with watching(lambda op, inputs, options, output, node: found.append((op.name, options.get("rate")))):
        model(**text(20, [3, 2]), rng=np.random.default_rng(0))
    assert found[-5:] == [("dropout", 0.3), ("linear", None), ("tanh", None), ("dropout", 0.3), ("linear", None)]


def test_names():
    def names(cls):
        return set(cls(CONFIG, rng=np.random.default_rng(0)).state_dict())
    body = {f"roberta.{name}" for name in nb.BertModel(nb.BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12),
        rng=np.random.default_rng(0), add_pooling_layer=False).state_dict()}
    assert names(nb.RobertaForMaskedLM) == body | MASKED_LM
    assert names(nb.RobertaForSequenceClassification) == body | CLASSIFIER
    assert names(nb.RobertaForTokenClassification) == body | {"classifier.weight", "classifier.bias"}
    assert names(nb.RobertaForQuestionAnswering) == body | {"qa_outputs.weight", "qa_outputs.bias"}
    assert {f"roberta.{name}" for name in names(nb.RobertaModel)} == body | {"roberta.pooler.dense.weight",
                                                                           "roberta.pooler.dense.bias"}


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("cls", CLASSES)
def test_there_and_back(cls, tied, tmp_path):
    assert not issubclass(cls, RobertaWithHead) or cls.body_class is nb.RobertaModel
    check_there_and_back(shaken(cls, CONFIG.replace(tie_word_embeddings=tied), dtype=np.float32), tmp_path)


def test_a_file_as_the_hub_has_it(tmp_path):
    """roberta-base: positions as a buffer, the decoder's weight a second time, a pooler that a masked LM lacks."""
    model = shaken(nb.RobertaForMaskedLM, CONFIG)
    arrays = model.state_dict() | {
        "roberta.embeddings.position_ids": np.arange(11)[None], "roberta.pooler.dense.weight": np.zeros((8, 8)),
        "lm_head.decoder.weight": model.state_dict()["roberta.embeddings.word_embeddings.weight"],
        "lm_head.decoder.bias": model.state_dict()["lm_head.bias"]}
    del arrays["lm_head.bias"]
    loaded = nb.RobertaForMaskedLM.from_pretrained(folder_with(tmp_path, CONFIG, arrays), dtype=np.float64)
    assert same_bits(model, loaded)
    assert loaded.load_report.unused == {"roberta.embeddings.position_ids": "a buffer, not a weight",
                                         "roberta.pooler.dense.weight": "RobertaForMaskedLM has no such part"}
