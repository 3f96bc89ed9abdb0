"""GPT-2: what it changes in BERT, that nothing comes from the future, and that it is what transformers computes."""
import functools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_family import check_golden, check_there_and_back, close, folder_with, same_bits, shaken, text

import numbert as nb
from numbert import ops
from numbert.models.gpt2 import GPT2Layer
from numbert.packing import pack
from numbert.recording import watching

CONFIG = nb.GPT2Config(vocab_size=20, n_embd=8, n_layer=2, n_head=2, n_positions=10, bos_token_id=1, eos_token_id=2)
BERT = nb.BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12,
                     max_position_embeddings=10)

# Recorded from transformers 5.23.0: GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=8, n_inner=12, ...)), names and shapes
SHAPES = {
    "transformer.wte.weight": (20, 8), "transformer.wpe.weight": (10, 8),
    "transformer.h.0.ln_1.weight": (8,), "transformer.h.0.ln_1.bias": (8,),
    "transformer.h.0.attn.c_attn.weight": (8, 24), "transformer.h.0.attn.c_attn.bias": (24,),
    "transformer.h.0.attn.c_proj.weight": (8, 8), "transformer.h.0.attn.c_proj.bias": (8,),
    "transformer.h.0.ln_2.weight": (8,), "transformer.h.0.ln_2.bias": (8,),
    "transformer.h.0.mlp.c_fc.weight": (8, 12), "transformer.h.0.mlp.c_fc.bias": (12,),
    "transformer.h.0.mlp.c_proj.weight": (12, 8), "transformer.h.0.mlp.c_proj.bias": (8,),
    "transformer.ln_f.weight": (8,), "transformer.ln_f.bias": (8,)}


def test_golden():
    check_golden("GPT2")


# --- which token sees which -------------------------------------------------------------------------------------------

def masked_bert(mask):
    model = shaken(nb.BertModel, BERT)
    model.mask = mask
    return model


MODELS = {"GPT-2": (lambda: shaken(nb.GPT2Model, CONFIG), 0), "BERT, causal": (lambda: masked_bert(ops.causal), 0),
          "BERT, prefix of 3": (lambda: masked_bert(ops.prefix(3)), 3)}


def sees(prefix, i, j):
    return j <= i or j < prefix


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_a_changed_future_token_never_changes_an_earlier_output(name, data):
    make, prefix = MODELS[name]
    model, T = make(), data.draw(st.integers(1, 10))
    batch = text(20, [T, T], seed=data.draw(st.integers(0, 2**32 - 1)))
    place = data.draw(st.integers(0, T - 1))
    changed = batch["input_ids"].copy()
    changed[0, place] = (changed[0, place] + data.draw(st.integers(1, 19))) % 20
    before, after = (model(input_ids=ids).last_hidden_state.data for ids in (batch["input_ids"], changed))
    same = [i for i in range(T) if not sees(prefix, i, place)]
    assert np.array_equal(before[0, same], after[0, same]) and np.array_equal(before[1], after[1])
    others = [i for i in range(T) if i not in same]
    assert (np.abs(before[0, others] - after[0, others]).max(-1) > 0).all()          # and all that see it notice


@pytest.mark.parametrize("name", MODELS)
def test_no_gradient_reaches_the_future(name):
    """The gradient of output i by the vector of place j, which stands in the table of positions."""
    make, prefix = MODELS[name]
    model, ids = make(), text(20, [6])["input_ids"]
    for i in range(6):
        upstream = np.zeros((1, 6, 8))
        upstream[0, i] = np.random.default_rng(i).standard_normal(8)
        gradient, = nb.gradients(model(ids).last_hidden_state, [model.embeddings.position.weight], upstream)
        assert [bool(gradient[j].any()) for j in range(6)] == [sees(prefix, i, j) for j in range(6)]


def test_without_a_mask_all_see_all():
    model, ids = shaken(nb.BertModel, BERT), text(20, [6])["input_ids"]
    changed = ids.copy()
    changed[0, 5] = (changed[0, 5] + 1) % 20
    before, after = (model(x).last_hidden_state.data for x in (ids, changed))
    assert (np.abs(before - after).max(-1) > 0).all()


# --- the layer --------------------------------------------------------------------------------------------------------

def test_a_layer_adds_to_what_it_reads():
    """With the last matrices 0, x passes unchanged and unnormalised; in BERT's layer it would not."""
    rng = np.random.default_rng(0)
    layer = GPT2Layer(4, 2, 6, ops.gelu, eps=1e-5, dropout=0.0, attention_dropout=0.0, rng=rng, std=0.5,
                      dtype=np.float64)
    packed = pack([[1, 2, 3], [1, 2, 3]], None, [[1, 1, 1], [1, 0, 0]], vocab_size=5, type_vocab_size=1)
    x, rows = rng.standard_normal((4, 4)), np.array([1, 3])
    whole = layer(x, packed, mask=ops.causal)
    close(layer(x, packed, rows=rows, mask=ops.causal), whole.data[rows])
    assert np.abs(whole.data - x).max() > 0.1
    for last in (layer.attention.output, layer.feed_forward.contract):
        last.weight.data[:] = 0
    assert np.array_equal(layer(x, packed, mask=ops.causal).data, x)


def test_initial_values():
    model = nb.GPT2Model(nb.GPT2Config(vocab_size=50, n_embd=64, n_layer=8, n_head=2, n_positions=4),
                         rng=np.random.default_rng(0))
    for layer in model.layers:
        assert layer.attention.query.weight.data.std() == pytest.approx(0.02, rel=0.05)
        for last in (layer.attention.output, layer.feed_forward.contract):
            assert last.weight.data.std() == pytest.approx(0.02 / 4, rel=0.05) and last.weight.dtype == np.float32


def test_where_dropout_is():
    found, config = [], CONFIG.replace(embd_pdrop=0.2, attn_pdrop=0.3, resid_pdrop=0.4)
    with watching(lambda op, inputs, options, output, node: found.append((op.name, options.get("rate")))):
        shaken(nb.GPT2LMHeadModel, config)(**text(20, [3, 2]), rng=np.random.default_rng(0))
    assert [entry for entry in found if entry[1]] == [("dropout", 0.2)] + 2 * [("attention", 0.3), ("dropout", 0.4),
                                                                              ("dropout", 0.4)]


# --- the loss ---------------------------------------------------------------------------------------------------------

def loss_by_hand(logits, labels):
    """The mean of -ln p(next token) over the tokens that have a labelled one after them."""
    terms = []
    for b, row in enumerate(labels):
        for t in range(1, len(row)):
            if row[t] != -100:
                z = logits[b, t - 1]
                terms.append(np.log(np.exp(z).sum()) - z[row[t]])
    return np.mean(terms), len(terms)


def labelled(seed=0, lengths=(9, 4, 1)):
    batch = text(20, lengths, seed)
    dropped = np.random.default_rng(seed + 1).random(batch["input_ids"].shape) < 0.3
    return batch | {"labels": np.where((batch["attention_mask"] == 0) | dropped, -100, batch["input_ids"])}


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
def test_the_loss_is_that_of_the_next_token(lengths, seed):
    model, batch = shaken(nb.GPT2LMHeadModel, CONFIG), labelled(seed, lengths)
    whole = model(batch["input_ids"], batch["attention_mask"])
    out = model(**batch)
    labels = batch["labels"][:, 1:]
    close(out.logits, whole.logits.data[:, :-1][labels != -100])
    assert whole.loss is None and out.logits.shape == ((labels != -100).sum(), 20)
    if (labels != -100).any():
        expected, count = loss_by_hand(whole.logits.data, batch["labels"])
        close(out.loss, expected)
        assert out.counts == model.label_counts(**batch) == {"lm": count}
    else:
        assert float(out.loss) == 0


def share(part, whole, model):
    """[loss, *gradients] of a part of a batch, weighted by its share of the labels."""
    loss = functools.reduce(ops.add, [ops.scale(x, factor=part.counts[name] / whole.counts[name])
                                      for name, x in part.losses.items()])
    return [loss.data, *nb.gradients(loss, model.parameters())]


def test_a_padded_batch_is_its_texts_one_by_one():
    model, batch = shaken(nb.GPT2LMHeadModel, CONFIG), labelled()
    out = model(**batch)
    together = [out.loss.data, *nb.gradients(out.loss, model.parameters())]
    parts = []
    for b, n in enumerate((9, 4, 1)):
        parts.append(share(model(batch["input_ids"][b:b + 1, :n], labels=batch["labels"][b:b + 1, :n]), out, model))
    for a, *shares in zip(together, *parts, strict=True):
        close(sum(shares), a)
    scribbled = batch | {"input_ids": np.where(batch["attention_mask"], batch["input_ids"], 10**6)}
    assert float(model(**scribbled).loss) == float(out.loss)


def test_the_label_of_a_first_token_is_not_looked_at():
    model, batch = shaken(nb.GPT2LMHeadModel, CONFIG), labelled()
    loss = float(model(**batch).loss)
    batch["labels"][:, 0] = 7
    assert float(model(**batch).loss) == loss


@pytest.mark.parametrize("arguments, message", [
    (dict(input_ids=[[1] * 11]), "max_position_embeddings is 10"),
    (dict(input_ids=[[1, 20]]), "input_ids[0, 1] = 20 is outside 0..19 (vocab_size = 20)"),
    (dict(input_ids=[[1, 2]], labels=[[1, 3]], attention_mask=[[1, 0]]), "labels[0, 1] = 3 stands on padding"),
    (dict(input_ids=[[1, 2]], labels=[[1, 20]]), "labels must be 0..19, or -100 for none; got 20"),
    (dict(input_ids=[[1, 2]], labels=[[1]]), "labels must be (B, T) = (1, 2), got (1, 1)"),
])
def test_mistakes_are_named(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        shaken(nb.GPT2LMHeadModel, CONFIG)(**arguments)


# --- configuration and files ------------------------------------------------------------------------------------------

def test_settings():
    config = nb.GPT2Config()
    assert nb.GPT2Config.from_dict({"model_type": "gpt2", "n_ctx": 1024}).replace(extra={}) == config
    assert config.intermediate_size == 3072 and CONFIG.replace(n_inner=5).intermediate_size == 5
    for name, value, message in (
            ("n_embd", 9, "n_embd = 9 must be divisible by n_head = 2"), ("n_layer", 0, "n_layer must be at least 1"),
            ("n_inner", 1.5, "n_inner must be a whole number, got 1.5"),
            ("attn_pdrop", 1, "attn_pdrop must be a probability below 1, got 1"),
            ("classifier_dropout", -0.5, "classifier_dropout must be a probability below 1, got -0.5"),
            ("activation_function", "silu", "activation_function must be one of gelu, .*; got 'silu'"),
            ("scale_attn_by_inverse_layer_idx", True, "scale_attn_by_inverse_layer_idx = True is not implemented"),
            ("add_cross_attention", True, "add_cross_attention = True is not implemented"),
            ("model_type", "bert", "model_type is 'bert', and GPT2Config is for 'gpt2'")):
        with pytest.raises(ValueError, match=message):
            nb.GPT2Config.from_dict(CONFIG.to_dict() | {name: value})


def test_names_and_layout():
    model = shaken(nb.GPT2LMHeadModel, CONFIG.replace(n_layer=1, n_inner=12))
    arrays, layer = model.state_dict(), model.body.layers[0]
    assert {name: x.shape for name, x in arrays.items()} == SHAPES
    fused = np.concatenate([layer.attention.query.weight.data, layer.attention.key.weight.data,
                            layer.attention.value.weight.data])
    assert np.array_equal(arrays["transformer.h.0.attn.c_attn.weight"], fused.T)
    assert np.array_equal(arrays["transformer.h.0.mlp.c_fc.weight"], layer.feed_forward.expand.weight.data.T)
    assert all(x.flags.c_contiguous for x in arrays.values())
    body = model.body.state_dict()
    assert {f"transformer.{name}" for name in body} == set(SHAPES)
    untied = nb.GPT2LMHeadModel(CONFIG.replace(tie_word_embeddings=False), rng=np.random.default_rng(0))
    assert untied.state_dict()["lm_head.weight"].shape == (20, 8)


def test_gradients_have_the_same_layout():
    model, batch = shaken(nb.GPT2LMHeadModel, CONFIG), labelled()
    found = nb.gradients(model(**batch).loss, model.parameters())
    named = dict(zip(model.named_parameters(), found, strict=True))
    gradient = model.state_dict(found)["transformer.h.1.attn.c_attn.bias"]
    assert np.array_equal(gradient, np.concatenate([named[f"body.layers.1.attention.{part}.bias"]
                                                    for part in ("query", "key", "value")]))


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cls", [nb.GPT2Model, nb.GPT2LMHeadModel, nb.GPT2ForSequenceClassification,
                                 nb.GPT2ForTokenClassification, nb.GPT2ForQuestionAnswering])
def test_there_and_back(cls, dtype, tied, tmp_path):
    check_there_and_back(shaken(cls, CONFIG.replace(tie_word_embeddings=tied), dtype=dtype), tmp_path)


def test_a_file_as_the_hub_has_it(tmp_path):
    """gpt2: names without the prefix, and the causal mask beside the weights; others hold the tied decoder, too."""
    model = shaken(nb.GPT2LMHeadModel, CONFIG)
    arrays = {name.removeprefix("transformer."): x for name, x in model.state_dict().items()}
    arrays |= {"h.0.attn.bias": np.tril(np.ones((1, 1, 10, 10))), "h.0.attn.masked_bias": np.array(-1e4),
               "lm_head.weight": arrays["wte.weight"]}
    loaded = nb.GPT2LMHeadModel.from_pretrained(folder_with(tmp_path, CONFIG, arrays), dtype=np.float64)
    assert same_bits(model, loaded)
    assert set(loaded.load_report.unused.values()) == {"a buffer, not a weight"} and not loaded.load_report.new
    arrays["lm_head.weight"] = arrays["wte.weight"] + 1
    report = model.load_state_dict(arrays)
    assert report.unused["lm_head.weight"].startswith("differs from the word embeddings")


@pytest.mark.parametrize("shape, message", [
    ((8, 23), r"c_attn.weight': has shape \(8, 23\): not three of one size"),
    ((), r"has shape \(\): not three of one size"),
    ((24, 8), r"has shape \(24, 8\): not three of one size"),
    ((8, 27), r"weight\[query\]': has shape \(9, 8\), the model needs \(8, 8\)")])
def test_shapes_that_do_not_fit(shape, message):
    model = shaken(nb.GPT2Model, CONFIG)
    with pytest.raises(nb.CheckpointError, match=message):
        model.load_state_dict(model.state_dict() | {"h.0.attn.c_attn.weight": np.zeros(shape)})


def test_what_is_missing_is_named():
    model = shaken(nb.GPT2Model, CONFIG)
    arrays = model.state_dict()
    del arrays["h.1.attn.c_attn.bias"]
    report = model.load_state_dict(arrays)
    assert set(report.new) == {f"h.1.attn.c_attn.bias[{part}]" for part in ("query", "key", "value")}


# --- heads ------------------------------------------------------------------------------------------------------------

HEADS = (nb.GPT2ForSequenceClassification, nb.GPT2ForTokenClassification, nb.GPT2ForQuestionAnswering)
THREE = CONFIG.replace(num_labels=3)


def with_labels(cls, seed=0, lengths=(9, 4, 1)):
    """A batch with labels for a class of heads."""
    rng, batch = np.random.default_rng(seed), text(20, lengths, seed)
    mask = batch["attention_mask"] == 1
    if cls is nb.GPT2ForQuestionAnswering:
        return batch | {f"{end}_positions": rng.integers(0, lengths) for end in ("start", "end")}
    if cls is nb.GPT2ForTokenClassification:
        return batch | {"labels": np.where(mask & (rng.random(mask.shape) < 0.7), rng.integers(0, 3, mask.shape), -100)}
    return batch | {"labels": rng.integers(0, 3, len(lengths))}


def scores_by_hand(model, batch):
    """The head's matrix on the body's vectors; of a class for the whole text on that of its last token."""
    vectors = model.body(batch["input_ids"], batch["attention_mask"]).last_hidden_state.data
    arrays = model.state_dict()
    if isinstance(model, nb.GPT2ForSequenceClassification):
        last = batch["attention_mask"].sum(1) - 1
        return np.stack([vectors[b, t] for b, t in enumerate(last)]) @ arrays["score.weight"].T
    name = "classifier" if isinstance(model, nb.GPT2ForTokenClassification) else "qa_outputs"
    return vectors @ arrays[f"{name}.weight"].T + arrays[f"{name}.bias"]


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(HEADS), st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
def test_scores_of_heads(cls, lengths, seed):
    model, batch = shaken(cls, THREE), with_labels(cls, seed, lengths)
    out, expected, mask = model(**batch), scores_by_hand(model, batch), batch["attention_mask"] == 1
    if cls is nb.GPT2ForQuestionAnswering:
        for i, logits in enumerate((out.start_logits.data, out.end_logits.data)):
            close(logits[mask], expected[mask][:, i])
            assert np.isneginf(logits[~mask]).all()
        return
    real = np.ones(len(lengths), bool) if cls is nb.GPT2ForSequenceClassification else mask
    close(out.logits.data[real], expected[real])
    rows = real & (batch["labels"] != -100)
    shares = np.exp(expected[rows])
    shares = shares / shares.sum(-1, keepdims=True)
    terms = -np.log(shares[np.arange(len(shares)), batch["labels"][rows]])
    close(out.loss, terms.mean() if len(terms) else 0.0)


@pytest.mark.parametrize("cls", HEADS)
def test_a_padded_batch_of_a_head_is_its_texts_one_by_one(cls):
    model, batch = shaken(cls, THREE), with_labels(cls)
    out = model(**batch)
    together = [out.loss.data, *nb.gradients(out.loss, model.parameters())]
    parts = []
    for b, n in enumerate((9, 4, 1)):
        part = model(**{name: x[b:b + 1, :n] if x.ndim > 1 else x[b:b + 1] for name, x in batch.items()})
        parts.append(share(part, out, model))
    for a, *shares in zip(together, *parts, strict=True):
        close(sum(shares), a)
    scribbled = batch | {"input_ids": np.where(batch["attention_mask"], batch["input_ids"], 10**6)}
    assert float(model(**scribbled).loss) == float(out.loss)


def test_a_class_is_read_where_the_text_ends():
    """Wherever its padding stands; and every token of the text has a share in it."""
    model = shaken(nb.GPT2ForSequenceClassification, THREE)
    ids, mask = np.array([[3, 4, 5, 0], [0, 3, 4, 5]]), np.array([[1, 1, 1, 0], [0, 1, 1, 1]])
    vectors = model.body(ids, mask).last_hidden_state.data
    close(model(ids, attention_mask=mask).logits,
          np.stack([vectors[0, 2], vectors[1, 3]]) @ model.state_dict()["score.weight"].T)
    before = model(ids[:1]).logits.data
    for place in range(4):
        changed = ids[:1].copy()
        changed[0, place] += 1
        assert np.abs(model(changed).logits.data - before).max() > 1e-6


def test_what_heads_cannot_read():
    with pytest.raises(ValueError, match="text 1 is empty: it has no last token to read"):
        shaken(nb.GPT2ForSequenceClassification, THREE)([[1, 2], [3, 4]], attention_mask=[[1, 1], [0, 0]])
    with pytest.raises(ValueError, match=re.escape("token_type_ids[0, 1] = 1 is outside 0..0")):
        shaken(nb.GPT2ForTokenClassification, THREE)([[1, 2]], token_type_ids=[[0, 1]])
    with pytest.raises(ValueError, match="GPT-2 has no pooling layer"):
        nb.GPT2Model(CONFIG, rng=np.random.default_rng(0), add_pooling_layer=True)


# Recorded from transformers 5.23.0, GPT2Config(n_embd=8, num_labels=3, ...): names and shapes
@pytest.mark.parametrize("cls, shapes", [
    (nb.GPT2ForSequenceClassification, {"score.weight": (3, 8)}),
    (nb.GPT2ForTokenClassification, {"classifier.weight": (3, 8), "classifier.bias": (3,)}),
    (nb.GPT2ForQuestionAnswering, {"qa_outputs.weight": (2, 8), "qa_outputs.bias": (2,)})])
def test_names_of_heads(cls, shapes, tmp_path):
    """A head is all that a file of the language model lacks, and the language model's body is what it keeps."""
    language = shaken(nb.GPT2LMHeadModel, CONFIG)
    language.save_pretrained(tmp_path)
    model = cls.from_pretrained(tmp_path, dtype=np.float64, num_labels=3)
    arrays = model.state_dict()
    assert {name: x.shape for name, x in arrays.items() if not name.startswith("transformer.")} == shapes
    assert set(model.load_report.new) == set(shapes) and not model.load_report.unused
    body = language.state_dict()
    assert body.keys() == arrays.keys() - shapes.keys()
    assert all(np.array_equal(x, arrays[name]) for name, x in body.items())


@pytest.mark.parametrize("given, found", [(None, 0.1), (0.0, 0.0), (0.25, 0.25)])
def test_dropout_before_the_classes_of_tokens(given, found):
    rates, config = [], THREE.replace(resid_pdrop=0.4, classifier_dropout=given)
    with watching(lambda op, inputs, options, output, node: rates.append((op.name, options.get("rate")))):
        for cls in HEADS[:2]:
            shaken(cls, config)(**with_labels(cls), rng=np.random.default_rng(0))
    drops = [entry for entry in rates if entry[0] == "dropout"]
    assert len(drops) == 11                              # five in each body, and one more
    assert drops[-1] == ("dropout", found) and drops[4] == ("dropout", 0.4) and drops[5] == ("dropout", 0.1)


@pytest.mark.parametrize("kind", [cls.__name__ for cls in HEADS])
def test_heads_are_those_of_transformers(kind):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    parity = pytest.importorskip("parity")
    for _, _, *found in parity.rows([kind], [np.float64], configurations=2):
        assert all(max(one.absolute, one.relative) <= parity.LIMIT and one.arrays >= 2 for one in found)


# --- it learns --------------------------------------------------------------------------------------------------------

def test_it_learns_to_count():
    """A cycle of tokens: after some steps each is followed by the next."""
    model = nb.GPT2LMHeadModel(CONFIG.replace(initializer_range=0.1), rng=np.random.default_rng(0), dtype=np.float64)
    ids = (np.arange(8)[None] + np.arange(5)[:, None]) % 5
    for _ in range(60):
        loss = model(ids, labels=ids).loss
        for parameter, gradient in zip(model.parameters(), nb.gradients(loss, model.parameters()), strict=True):
            parameter.data -= 0.5 * gradient
    assert float(loss) < 0.1
    assert model.generate(np.array([[3]]), 6, eos_token_id=[]).tolist() == [[3, 4, 0, 1, 2, 3, 4]]
    assert model.generate(np.array([[3]]), 6).tolist() == [[3, 4, 0, 1, 2]]                 # 2 is the end
