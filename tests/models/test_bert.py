"""BERT over rows against BERT over a padded rectangle, and what never changes a result."""
import re

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from numbert.autograd import gradients
from numbert.models.bert import BertForPreTraining, BertModel
from numbert.models.config import BertConfig
from numbert.ops import IGNORE
from numbert.recording import watching

CONFIG = BertConfig(vocab_size=13, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12,
                    max_position_embeddings=9, initializer_range=0.4)

# Recorded from transformers 5.23.0: the names of BertForPreTraining(BertConfig(num_hidden_layers=1)).named_parameters()
NAMES = """
bert.embeddings.word_embeddings.weight
bert.embeddings.position_embeddings.weight
bert.embeddings.token_type_embeddings.weight
bert.embeddings.LayerNorm.weight
bert.embeddings.LayerNorm.bias
bert.encoder.layer.0.attention.self.query.weight
bert.encoder.layer.0.attention.self.query.bias
bert.encoder.layer.0.attention.self.key.weight
bert.encoder.layer.0.attention.self.key.bias
bert.encoder.layer.0.attention.self.value.weight
bert.encoder.layer.0.attention.self.value.bias
bert.encoder.layer.0.attention.output.dense.weight
bert.encoder.layer.0.attention.output.dense.bias
bert.encoder.layer.0.attention.output.LayerNorm.weight
bert.encoder.layer.0.attention.output.LayerNorm.bias
bert.encoder.layer.0.intermediate.dense.weight
bert.encoder.layer.0.intermediate.dense.bias
bert.encoder.layer.0.output.dense.weight
bert.encoder.layer.0.output.dense.bias
bert.encoder.layer.0.output.LayerNorm.weight
bert.encoder.layer.0.output.LayerNorm.bias
bert.pooler.dense.weight
bert.pooler.dense.bias
cls.predictions.bias
cls.predictions.transform.dense.weight
cls.predictions.transform.dense.bias
cls.predictions.transform.LayerNorm.weight
cls.predictions.transform.LayerNorm.bias
cls.seq_relationship.weight
cls.seq_relationship.bias
""".split()


def config(**changes):
    return BertConfig(**{**vars(CONFIG), **changes})


def model(cls=BertForPreTraining, dtype=np.float64, seed=0, **changes):
    """A model in which no bias is 0 and no gain 1."""
    rng = np.random.default_rng(seed)
    made = cls(config(**changes), rng=rng, dtype=dtype)
    for p in made.parameters():
        p.data = p.data + (0.2 * rng.standard_normal(p.shape)).astype(dtype)
    return made


def batch(B=4, T=7, seed=0, full=False):
    """input_ids, token_type_ids, attention_mask; the padding is behind the text, and there is nonsense on it."""
    rng = np.random.default_rng(seed)
    lengths = np.full(B, T) if full else rng.integers(1, T + 1, size=B)
    mask = (np.arange(T) < lengths[:, None]).astype(int)
    return rng.integers(13, size=(B, T)), rng.integers(2, size=(B, T)), mask


def masked_labels(ids, mask, share=0.4, seed=1):
    return np.where((np.random.default_rng(seed).random(ids.shape) < share) & (mask == 1), ids, IGNORE)


def close(actual, expected, tolerance=1e-12):
    np.testing.assert_allclose(np.asarray(actual), expected, rtol=tolerance, atol=tolerance)


# --- against the reference -------------------------------------------------------------------------------------------

@settings(max_examples=25, deadline=None)
@given(st.integers(1, 5), st.integers(1, 9), st.sampled_from(["gelu", "gelu_new", "relu"]), st.sampled_from([1, 2, 8]),
       st.booleans(), st.integers(0, 2**32 - 1))
def test_packed_equals_padded(B, T, activation, heads, tied, seed):
    bert = model(seed=seed, hidden_act=activation, num_attention_heads=heads, tie_word_embeddings=tied)
    ids, segments, mask = batch(B, T, seed)
    expected = reference.bert_forward(bert.state_dict(), bert.config, ids, segments, mask)
    real, out, body = mask == 1, bert(ids, segments, mask), bert.body(ids, segments, mask)
    close(body.last_hidden_state.data[real], expected["last_hidden_state"][real])
    close(body.pooler_output, expected["pooler_output"])
    close(out.prediction_logits.data[real], expected["prediction_logits"][real])
    close(out.seq_relationship_logits, expected["seq_relationship_logits"])
    assert out.loss is None
    assert not body.last_hidden_state.data[~real].any() and not out.prediction_logits.data[~real].any()

    labels, next_label = masked_labels(ids, mask), np.arange(B) % 2
    out = bert(ids, segments, mask, labels=labels, next_sentence_label=next_label)
    mlm = reference.cross_entropy(expected["prediction_logits"].reshape(B * T, -1), labels.reshape(-1))
    nsp = reference.cross_entropy(expected["seq_relationship_logits"], next_label)
    close(out.losses["mlm"], mlm)
    close(out.losses["nsp"], nsp)
    close(out.loss, mlm + nsp)


def test_reference_equals_transformers():
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    settings = {name: getattr(CONFIG, name) for name in (
        "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
        "max_position_embeddings", "initializer_range")}
    bert, theirs = model(), transformers.BertForPreTraining(transformers.BertConfig(**settings)).double().eval()
    assert {name for name, _ in theirs.named_parameters()} == set(bert.state_dict())
    theirs.load_state_dict({name: torch.tensor(x) for name, x in bert.state_dict().items()}, strict=False)
    ids, segments, mask = batch()
    with torch.no_grad():
        out = theirs(*map(torch.tensor, (ids, mask, segments)))
    expected = reference.bert_forward(bert.state_dict(), CONFIG, ids, segments, mask)
    close(expected["prediction_logits"][mask == 1], out.prediction_logits.numpy()[mask == 1])
    close(expected["seq_relationship_logits"], out.seq_relationship_logits.numpy())


def test_float32_is_near_float64():
    ids, segments, mask = batch()
    one, other = (model(dtype=dtype)(ids, segments, mask) for dtype in (np.float32, np.float64))
    assert one.prediction_logits.dtype == one.seq_relationship_logits.dtype == np.float32
    close(one.prediction_logits, other.prediction_logits.data, 1e-4)


def test_gradients_keep_the_dtype():
    ids, segments, mask = batch()
    bert = model(dtype=np.float32)
    out = bert(ids, segments, mask, masked_labels(ids, mask), [0, 1, 0, 1], rng=np.random.default_rng(0))
    assert out.loss.dtype == np.float32
    assert {g.dtype for g in gradients(out.loss, bert.parameters())} == {np.dtype(np.float32)}


# --- labels ----------------------------------------------------------------------------------------------------------

def test_with_labels_only_labelled_rows_are_scored():
    bert, (ids, segments, mask) = model(), batch()
    labels = masked_labels(ids, mask)
    whole, some = bert(ids, segments, mask), bert(ids, segments, mask, labels=labels)
    assert some.prediction_logits.shape == ((labels >= 0).sum(), 13)
    close(some.prediction_logits, whole.prediction_logits.data[labels >= 0])        # in reading order
    close(some.seq_relationship_logits, whole.seq_relationship_logits.data)


@pytest.mark.parametrize("label", [0, 12])
def test_no_class_is_special(label):
    """Class 0 is trained like any other, in both tasks."""
    bert, (ids, segments, mask) = model(), batch(full=True)
    labels = np.full(ids.shape, IGNORE)
    labels[0, 0] = label
    out = bert(ids, segments, mask, labels=labels, next_sentence_label=np.zeros(4, int))
    probs = np.exp(out.prediction_logits.data[0])
    close(out.losses["mlm"], -np.log(probs[label] / probs.sum()))
    assert float(out.losses["nsp"]) > 0
    assert np.abs(gradients(out.losses["nsp"], [bert.nsp.bias])[0]).min() > 0


def test_no_labelled_word_at_all():
    bert, (ids, segments, mask) = model(), batch()
    out = bert(ids, segments, mask, labels=np.full(ids.shape, IGNORE), next_sentence_label=[IGNORE] * 4)
    assert float(out.loss) == 0 and out.prediction_logits.shape == (0, 13)
    assert not any(g.any() for g in gradients(out.loss, bert.parameters()))


def test_each_loss_is_the_mean_over_its_own_labels():
    bert, (ids, segments, mask) = model(), batch()
    labels, next_label = masked_labels(ids, mask), [0, 1, IGNORE, 1]
    counts = {"mlm": (labels >= 0).sum(), "nsp": 3}
    output = bert(ids, segments, mask, labels, next_label)
    assert output.counts == counts
    for name, logits, right in (("mlm", output.prediction_logits, labels[labels >= 0]),
                                ("nsp", output.seq_relationship_logits, next_label)):
        log_probs = logits.data - np.log(np.exp(logits.data).sum(-1, keepdims=True))
        terms = [-row[label] for row, label in zip(log_probs, right, strict=True) if label >= 0]
        assert len(terms) == counts[name] and float(output.losses[name]) == pytest.approx(np.mean(terms))
    assert float(output.loss) == pytest.approx(float(output.losses["mlm"]) + float(output.losses["nsp"]))
    assert bert.label_counts(ids, segments, mask, labels=labels, next_sentence_label=next_label) == counts


def test_a_head_without_labels_has_no_loss():
    bert, (ids, segments, mask) = model(), batch()
    assert list(bert(ids, segments, mask, labels=masked_labels(ids, mask)).losses) == ["mlm"]
    assert list(bert(ids, segments, mask, next_sentence_label=[0, 1, 0, 1]).losses) == ["nsp"]


# --- what never changes a result -------------------------------------------------------------------------------------

def losses_and_gradients(bert, ids, segments, mask, labels, next_label, **more):
    out = bert(ids, segments, mask, labels, next_label, **more)
    return [out.loss.data, *gradients(out.loss, bert.parameters())]


@pytest.mark.parametrize("rng", [None, 5])
def test_padding_is_never_looked_at(rng):
    """Not its ids, nor its segments, nor how much of it there is: the same bits."""
    bert, (ids, segments, mask) = model(dtype=np.float32), batch()
    labels, next_label = masked_labels(ids, mask), np.array([0, 1, 1, 0])

    def run(ids, segments, mask, labels):
        return losses_and_gradients(bert, ids, segments, mask, labels, next_label,
                                    rng=None if rng is None else np.random.default_rng(rng))

    plain = run(ids, segments, mask, labels)
    nonsense = run(np.where(mask, ids, 999_999), np.where(mask, segments, -7), mask, labels)
    wide = run(*(np.pad(x, ((0, 0), (0, 2)), constant_values=c)
                 for x, c in ((ids, 3), (segments, 1), (mask, 0), (labels, IGNORE))))
    for a, b, c in zip(plain, nonsense, wide, strict=True):
        assert np.array_equal(a, b) and np.array_equal(a, c)


def test_batch_mates_do_not_meet():
    bert, (ids, segments, mask) = model(), batch()
    together = bert(ids, segments, mask)
    for b in range(4):
        alone = bert(ids[b:b + 1], segments[b:b + 1], mask[b:b + 1])
        close(alone.prediction_logits.data[0], together.prediction_logits.data[b])
        close(alone.seq_relationship_logits.data[0], together.seq_relationship_logits.data[b])


def test_the_vector_of_a_word_depends_on_its_context():
    """Before the first layer it does not; behind it every token of the text has had its say, and no place is free."""
    bert, ids = model(), np.array([[2, 7, 8, 9, 3]])
    ones = np.ones_like(ids)
    for place in (0, 1, 3, 4):                                      # whichever of the other tokens is another one
        other = ids.copy()
        other[0, place] = 10
        packed = [bert.body.pack(one, 0 * ones, ones) for one in (ids, other)]
        for read, same in ((bert.body.embeddings, True), (bert.body.encode, False)):
            one, two = (read(each).data[2] for each in packed)
            assert np.array_equal(one, two) == same


def test_order_of_the_batch():
    bert, (ids, segments, mask) = model(), batch()
    order = [2, 0, 3, 1]
    close(bert(ids[order], segments[order], mask[order]).prediction_logits,
          bert(ids, segments, mask).prediction_logits.data[order])


def test_gaps_in_the_text_keep_their_positions():
    """A masked-out token in the middle is not attended to, and those behind it stay where they stood."""
    bert, (ids, segments, _) = model(), batch()
    mask = np.ones_like(ids)
    mask[:, 2] = 0
    mask[1, 4:6] = 0
    expected = reference.bert_forward(bert.state_dict(), CONFIG, ids, segments, mask)
    out = bert(ids, segments, mask)
    close(out.prediction_logits.data[mask == 1], expected["prediction_logits"][mask == 1])
    close(out.seq_relationship_logits, expected["seq_relationship_logits"])


# --- randomness ------------------------------------------------------------------------------------------------------

def test_the_same_seed_gives_the_same_bits():
    ids, segments, mask = batch()
    labels = masked_labels(ids, mask)

    def run(seed, draws):
        bert = BertForPreTraining(CONFIG, rng=np.random.default_rng(seed))
        return losses_and_gradients(bert, ids, segments, mask, labels, [0, 1, 0, 1], rng=np.random.default_rng(draws))

    one, same = run(1, 2), run(1, 2)
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert one[0] != run(3, 2)[0] and one[0] != run(1, 4)[0]


def test_dropout_is_off_without_a_generator():
    ids, segments, mask = batch()
    bert, never = model(), model(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    close(bert(ids, segments, mask).prediction_logits, never(ids, segments, mask).prediction_logits.data, 0)
    dropped = bert(ids, segments, mask, rng=np.random.default_rng(0)).prediction_logits.data
    assert np.abs(dropped - bert(ids, segments, mask).prediction_logits.data).max() > 1e-3
    close(never(ids, segments, mask, rng=np.random.default_rng(0)).prediction_logits,
          never(ids, segments, mask).prediction_logits.data, 0)


def test_where_dropout_is():
    """After the embeddings, on the attention of each layer, and after both of its parts (Devlin et al. 2019, A.2)."""
    found, draws = [], np.random.default_rng(0)

    def watch(op, inputs, options, output, node):
        if options.get("rng") is not None:
            assert options["rng"] is draws
            found.append((op.name, options["rate"]))

    with watching(watch):
        model(hidden_dropout_prob=0.2, attention_probs_dropout_prob=0.3)(*batch(), rng=draws)
    assert found == [("dropout", 0.2)] + 2 * [("attention", 0.3), ("dropout", 0.2), ("dropout", 0.2)]


# --- names and errors ------------------------------------------------------------------------------------------------

def test_state_dict_has_hugging_faces_names():
    bert = BertForPreTraining(config(num_hidden_layers=1), rng=np.random.default_rng(0))
    assert sorted(bert.state_dict()) == sorted(NAMES)
    untied = BertForPreTraining(config(num_hidden_layers=1, tie_word_embeddings=False), rng=np.random.default_rng(0))
    assert set(untied.state_dict()) - set(NAMES) == {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}
    assert set(NAMES) - set(untied.state_dict()) == {"cls.predictions.bias"}     # the decoder's own is meant then
    body = BertModel(config(num_hidden_layers=1), rng=np.random.default_rng(0))
    assert sorted(body.state_dict()) == sorted(n.removeprefix("bert.") for n in NAMES if n.startswith("bert."))


def test_state_dict_of_other_values():
    bert, (ids, segments, mask) = model(), batch()
    found = gradients(bert(ids, segments, mask, next_sentence_label=[0, 1, 0, 1]).loss, bert.parameters())
    named = bert.state_dict(found)
    assert list(named) == list(bert.state_dict()) and named["cls.seq_relationship.bias"] is found[-1]
    with pytest.raises(ValueError):
        bert.state_dict(found[1:])


def test_layers_are_named_apart():
    names = model(num_hidden_layers=12).state_dict()
    assert len(names) == len(model(num_hidden_layers=12).parameters())
    assert "bert.encoder.layer.11.output.LayerNorm.bias" in names


def test_a_body_without_a_pooler():
    body = BertModel(CONFIG, rng=np.random.default_rng(0), add_pooling_layer=False)
    assert body([[1, 2]]).pooler_output is None and not any("pooler" in name for name in body.state_dict())
    body([[1, 2]], attention_mask=[[0, 1]])         # nobody reads the first token here


@pytest.mark.parametrize("size,count", [("tiny", 4_385_920), ("mini", 11_170_560)])
def test_number_of_parameters(size, count):
    """Counted in transformers 5.23.0's BertModel of the same configuration."""
    body = BertModel(BertConfig.preset(size), rng=np.random.default_rng(0))
    assert sum(p.data.size for p in body.parameters()) == count


@pytest.mark.parametrize("arguments,message", [
    (dict(input_ids=[1, 2]), "input_ids must be (B, T), got (2,)"),
    (dict(input_ids=[[1] * 10]), "max_position_embeddings is 9"),
    (dict(input_ids=[[1, 13]]), "input_ids[0, 1] = 13 is outside 0..12 (vocab_size = 13)"),
    (dict(input_ids=[[1, 2]], token_type_ids=[[0, 2]]), "token_type_ids[0, 1] = 2 is outside 0..1"),
    (dict(input_ids=[[1, 2]], attention_mask=[[1]]), "attention_mask must be (B, T) = (1, 2), got (1, 1)"),
    (dict(input_ids=[[1, 2]], attention_mask=[[0, 1]]), "attention_mask[0, 0] is 0"),
    (dict(input_ids=[[1, 2]], labels=[[1]]), "labels must be (B, T) = (1, 2), got (1, 1)"),
    (dict(input_ids=[[1, 2]], labels=[[1, 13]]), "labels must be 0..12, or -100 for none; got 13"),
    (dict(input_ids=[[1, 2]], labels=[[1, -1]]), "labels must be 0..12, or -100 for none; got -1"),
    (dict(input_ids=[[1, 2]], labels=[[1, 3]], attention_mask=[[1, 0]]), "labels[0, 1] = 3 stands on padding"),
    (dict(input_ids=[[1, 2]], next_sentence_label=[0, 1]), "next_sentence_label must be (B,) = (1,), got (2,)"),
    (dict(input_ids=[[1, 2]], next_sentence_label=[2]), "labels must be 0..1, or -100 for none; got 2"),
])
def test_mistakes_are_named(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        model()(**arguments)
