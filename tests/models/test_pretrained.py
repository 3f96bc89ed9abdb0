import copy
import json
import logging
import os
import tracemalloc

import numpy as np
import pytest
import tiny_bert

import numbert as nb
from numbert.hub import safetensors
from numbert.hub.checkpoint import load_weights
from numbert.module import shapes_only
from numbert.training.finetuning import starting_point

CLASSES = (nb.BertModel, nb.BertForPreTraining, nb.BertForMaskedLM, nb.BertForNextSentencePrediction,
           nb.BertForSequenceClassification, nb.BertForTokenClassification, nb.BertForQuestionAnswering,
           nb.BertForMultipleChoice)
TINY = {"vocab_size": 40, "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20,
        "max_position_embeddings": 20}
WORDS = "bert.embeddings.word_embeddings.weight"
DECODER = "cls.predictions.decoder"


def build(kind=nb.BertForPreTraining, seed=0, dtype=np.float32, **changes):
    return kind(tiny_bert.config(**changes), rng=np.random.default_rng(seed), dtype=dtype)


def folder_with(path, arrays, **settings):
    """A folder that holds these weights, and the tiny configuration with some settings changed."""
    path.mkdir(exist_ok=True)
    safetensors.write(path / "model.safetensors", arrays)
    (path / "config.json").write_text(json.dumps(tiny_bert.config().to_dict() | settings))
    return path


def same_bits(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(a[n].dtype == b[n].dtype and a[n].tobytes() == b[n].tobytes() for n in a)


# There and back


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", CLASSES)
def test_saved_and_loaded_it_is_the_same_bit_for_bit(kind, dtype, tmp_path, caplog):
    model = build(kind, dtype=dtype, num_labels=2, tie_word_embeddings=dtype is np.float32, hidden_act="gelu_new")
    model.save_pretrained(tmp_path / "new" / "folder")
    with caplog.at_level(logging.WARNING, "numbert"):
        loaded = kind.from_pretrained(tmp_path / "new" / "folder", dtype=dtype, rng=np.random.default_rng(9))
    assert same_bits(model, loaded) and loaded.config == model.config.replace(extra=loaded.config.extra)
    assert sorted(loaded.load_report.loaded) == sorted(model.state_dict())
    assert not loaded.load_report.new and not loaded.load_report.unused and not caplog.records
    assert sorted(os.listdir(tmp_path / "new" / "folder")) == ["config.json", "model.safetensors"]
    settings = json.loads((tmp_path / "new" / "folder" / "config.json").read_text())
    assert settings["architectures"] == [kind.__name__] and settings["torch_dtype"] == np.dtype(dtype).name


def test_repr_of_an_output_computes_nothing():
    model, ids = build(nb.BertForMaskedLM), np.array([[1, 2, 3]])
    output = model(ids, labels=np.array([[-100, 2, -100]]))
    text = repr(output)
    assert text.startswith("Output(loss=<Tensor () float32, made by column: ") and "\n" not in text
    assert "counts={'mlm': 1}" in text and text.endswith("logits=<computed when it is read>)")
    assert output.logits.shape[0] == 1 and "logits=<Tensor (1, " in repr(output) and "computed" not in repr(output)


def test_strict_takes_what_save_pretrained_wrote(tmp_path):
    for kind in CLASSES:
        for tied in (True, False):
            build(kind, tie_word_embeddings=tied).save_pretrained(tmp_path)
            kind.from_pretrained(tmp_path, strict=True)


def test_the_dtype_is_that_of_the_one_who_loads(tmp_path):
    model = build(dtype=np.float64)
    model.save_pretrained(tmp_path)
    loaded = nb.BertForPreTraining.from_pretrained(tmp_path)
    for name, array in loaded.state_dict().items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, model.state_dict()[name].astype(np.float32))
    loaded.save_pretrained(tmp_path)
    assert {array.dtype for array in load_weights(tmp_path).values()} == {np.dtype(np.float32)}


def test_only_one_dtype_is_written_down(tmp_path):
    """Newer files call it dtype, older ones torch_dtype; what is saved must not carry the old one along."""
    folder_with(tmp_path, build().state_dict(), dtype="bfloat16", torch_dtype="float16")
    nb.BertForPreTraining.from_pretrained(tmp_path, dtype=np.float64).save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    assert settings["torch_dtype"] == "float64" and settings.get("dtype", "float64") == "float64"


def test_unknown_settings_are_written_back(tmp_path):
    folder_with(tmp_path, build().state_dict(), my_key={"a": [1, 2]}, use_cache=False)
    nb.BertForPreTraining.from_pretrained(tmp_path).save_pretrained(tmp_path / "copy")
    settings = json.loads((tmp_path / "copy" / "config.json").read_text())
    assert settings["my_key"] == {"a": [1, 2]} and settings["use_cache"] is False


# Names


RENAMED = {
    "without the prefix": lambda name: name.removeprefix("bert."),
    "with the prefix": lambda name: name if name.startswith(("bert.", "cls.")) else "bert." + name,
    "gamma and beta": lambda name: name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias",
                                                                                             "LayerNorm.beta"),
}


@pytest.mark.parametrize("rename", RENAMED.values(), ids=RENAMED)
@pytest.mark.parametrize("kind", [nb.BertModel, nb.BertForPreTraining])
def test_names_that_mean_the_same(kind, rename, tmp_path):
    model = build(kind)
    renamed = {rename(name): array for name, array in model.state_dict().items()}
    assert len(renamed) == len(model.state_dict())
    loaded = kind.from_pretrained(folder_with(tmp_path, renamed), rng=np.random.default_rng(5), strict=True)
    assert same_bits(model, loaded)


def test_a_tensor_under_two_names_is_refused(tmp_path):
    arrays = build().state_dict()
    arrays["bert.embeddings.LayerNorm.gamma"] = arrays["bert.embeddings.LayerNorm.weight"]
    with pytest.raises(nb.CheckpointError, match="LayerNorm.gamma': is the same tensor as '.*LayerNorm.weight'"):
        nb.BertForPreTraining.from_pretrained(folder_with(tmp_path, arrays))


def test_position_ids_are_a_buffer(tmp_path, caplog):
    model = build()
    arrays = model.state_dict() | {"bert.embeddings.position_ids": np.arange(12)[None]}
    with caplog.at_level(logging.INFO, "numbert"):
        loaded = nb.BertForPreTraining.from_pretrained(folder_with(tmp_path, arrays))
    assert loaded.load_report.unused == {"bert.embeddings.position_ids": "a buffer, not a weight"}
    assert same_bits(model, loaded) and [record.levelname for record in caplog.records] == ["INFO"]


# The decoder


def tied_file(model, keep):
    """The arrays of a tied model under those of the four names of two tensors that `keep` asks for."""
    arrays = model.state_dict()
    found = {"words": {WORDS: arrays.pop(WORDS)}, "bias": {"cls.predictions.bias": arrays.pop("cls.predictions.bias")}}
    found["decoder.weight"] = {f"{DECODER}.weight": found["words"][WORDS]}
    found["decoder.bias"] = {f"{DECODER}.bias": found["bias"]["cls.predictions.bias"]}
    for part in keep:
        arrays |= found[part]
    return arrays


@pytest.mark.parametrize("keep", [("words", "bias"), ("words", "bias", "decoder.weight"),
                                  ("words", "bias", "decoder.weight", "decoder.bias"), ("words", "decoder.bias"),
                                  ("words", "bias", "decoder.bias"), ("decoder.weight", "bias"),
                                  ("decoder.weight", "decoder.bias")])
@pytest.mark.parametrize("kind", [nb.BertForPreTraining, nb.BertForMaskedLM])
def test_a_tied_decoder_however_it_is_written(kind, keep, tmp_path):
    model = build(kind)
    loaded = kind.from_pretrained(folder_with(tmp_path, tied_file(model, keep)), rng=np.random.default_rng(5),
                                  strict=True)
    assert same_bits(model, loaded)


def test_a_decoder_that_differs_from_the_words_it_is_tied_to_is_reported(tmp_path):
    model = build()
    arrays = tied_file(model, ("words", "bias")) | {f"{DECODER}.weight": model.state_dict()[WORDS] + 1}
    loaded = nb.BertForPreTraining.from_pretrained(folder_with(tmp_path, arrays))
    assert same_bits(model, loaded)
    assert loaded.load_report.unused == {f"{DECODER}.weight": "differs from the word embeddings, to which the "
                                                              "configuration ties it"}


@pytest.mark.parametrize("bias", [f"{DECODER}.bias", "cls.predictions.bias"])
def test_an_untied_decoder(bias, tmp_path):
    model = build(tie_word_embeddings=False)
    arrays = model.state_dict()
    arrays[bias] = arrays.pop(f"{DECODER}.bias") + 1
    loaded = nb.BertForPreTraining.from_pretrained(folder_with(tmp_path, arrays, tie_word_embeddings=False),
                                                   strict=True)
    np.testing.assert_array_equal(loaded.state_dict()[f"{DECODER}.bias"], arrays[bias])
    np.testing.assert_array_equal(loaded.state_dict()[f"{DECODER}.weight"], arrays[f"{DECODER}.weight"])


def test_an_untied_decoder_is_written_with_both_names_of_its_bias(tmp_path):
    build(tie_word_embeddings=False).save_pretrained(tmp_path)
    arrays = load_weights(tmp_path)
    np.testing.assert_array_equal(arrays[f"{DECODER}.bias"], arrays["cls.predictions.bias"])
    assert f"{DECODER}.weight" in arrays
    build().save_pretrained(tmp_path)
    assert not any(name.startswith(DECODER) for name in load_weights(tmp_path))


# What is missing, what is too much


def test_a_new_head_is_drawn_and_said_to_be_new(tmp_path, caplog):
    body = build(nb.BertForPreTraining)
    body.save_pretrained(tmp_path)

    def load(seed):
        return nb.BertForSequenceClassification.from_pretrained(tmp_path, rng=np.random.default_rng(seed), num_labels=3)
    with caplog.at_level(logging.WARNING, "numbert"):
        model = load(1)
    report = model.load_report
    assert report.new == {"classifier.weight": "not in the file", "classifier.bias": "not in the file"}
    assert set(report.unused) == {name for name in body.state_dict() if name.startswith("cls.")}
    assert set(report.unused.values()) == {"BertForSequenceClassification has no such part"}
    assert "2 new, 7 not used" in caplog.text and "not used  cls.predictions.bias: " in caplog.text
    for name in report.loaded:
        np.testing.assert_array_equal(model.state_dict()[name], body.state_dict()[name])
    drawn = model.state_dict()["classifier.weight"]
    assert drawn.shape == (3, 12) and 0.1 < drawn.std() < 0.6             # initializer_range is 0.3 here
    assert same_bits(model, load(1)) and not same_bits(model, load(2))
    assert same_bits(nb.BertForTokenClassification.from_pretrained(tmp_path),
                     nb.BertForTokenClassification.from_pretrained(tmp_path))


class Counted(np.random.Generator):
    """A generator that counts what is drawn."""
    drawn = 0

    def standard_normal(self, size=None, **options):
        self.drawn += int(np.prod(size))
        return super().standard_normal(size, **options)


def test_the_new_head_alone_is_drawn(tmp_path):
    """The seed decides it, whatever the body: of another depth, or a checkpoint with more to load."""
    heads = []
    for i, changes in enumerate(({}, {"num_hidden_layers": 5}, {"vocab_size": 100})):
        build(**changes).save_pretrained(tmp_path / str(i))
        rng = Counted(np.random.PCG64(7))
        model = nb.BertForSequenceClassification.from_pretrained(tmp_path / str(i), rng=rng, num_labels=3)
        assert rng.drawn == 3 * 12
        heads.append(model.classifier.weight.data)
    expected = (np.random.Generator(np.random.PCG64(7)).standard_normal((3, 12)) * 0.3).astype(np.float32)
    assert all(head.tobytes() == expected.tobytes() for head in heads)
    rng = Counted(np.random.PCG64(7))
    nb.BertModel.from_pretrained(tmp_path / "0", rng=rng)
    assert rng.drawn == 0


@pytest.mark.parametrize("cls, config, lost", [
    (nb.BertForPreTraining, tiny_bert.config(), "bert.pooler.dense.weight"),
    (nb.RobertaForSequenceClassification, nb.RobertaConfig(**TINY), "classifier.dense.weight"),
    (nb.AlbertForPreTraining, nb.AlbertConfig(**TINY, embedding_size=6), "albert.pooler.weight"),
    (nb.GPT2LMHeadModel, nb.GPT2Config(vocab_size=40, n_embd=12, n_layer=2, n_head=2, n_positions=8,
                                       tie_word_embeddings=False), "transformer.h.1.mlp.c_proj.weight")])
def test_what_is_drawn_later_is_drawn_as_a_new_model_is(cls, config, lost, tmp_path):
    """In the same order, and from the same distribution: GPT-2's last matrices are smaller."""
    with shapes_only() as drawing:
        model = cls(config, rng=np.random.default_rng(5))
    for parameter, draw in drawing.items():
        parameter.data = draw()
    assert same_bits(model, cls(config, rng=np.random.default_rng(5)))
    arrays = model.state_dict()
    part = {name: array for name, array in arrays.items() if name != lost}
    model.save_pretrained(tmp_path)
    safetensors.write(tmp_path / "model.safetensors", part)
    loaded = cls.from_pretrained(tmp_path, rng=np.random.default_rng(6))
    assert list(loaded.load_report.new) == [lost]
    assert loaded.state_dict()[lost].std() == pytest.approx(arrays[lost].std(), rel=0.2)
    assert all(loaded.state_dict()[name].tobytes() == array.tobytes() for name, array in part.items())


def test_a_pooler_that_is_missing_is_new(tmp_path):
    arrays = {name: array for name, array in build().state_dict().items() if "pooler" not in name}
    loaded = nb.BertForPreTraining.from_pretrained(folder_with(tmp_path, arrays))
    assert set(loaded.load_report.new) == {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}
    assert not loaded.load_report.unused


def test_the_body_alone_takes_what_it_needs(tmp_path):
    model = build()
    model.save_pretrained(tmp_path)
    body = nb.BertModel.from_pretrained(tmp_path)
    batch = tiny_bert.text(np.random.default_rng(0))
    np.testing.assert_array_equal(body(**batch).last_hidden_state.data, model.body(**batch).last_hidden_state.data)
    assert not body.load_report.new and all(name.startswith("cls.") for name in body.load_report.unused)


@pytest.mark.parametrize("change", ["new", "unused"])
def test_strict_raises_on_any_difference(change, tmp_path):
    arrays = build().state_dict()
    if change == "new":
        del arrays["cls.seq_relationship.bias"]
    else:
        arrays["cls.seq_relationship.scale"] = np.ones(2, np.float32)
    folder_with(tmp_path, arrays)
    nb.BertForPreTraining.from_pretrained(tmp_path)
    with pytest.raises(nb.CheckpointError, match=r"strict=True.*\n.*\n.*cls.seq_relationship.(bias|scale)"):
        nb.BertForPreTraining.from_pretrained(tmp_path, strict=True)


def test_shapes_that_do_not_fit_are_both_named(tmp_path):
    arrays = build().state_dict()
    arrays["bert.pooler.dense.bias"] = np.zeros(13, np.float32)
    folder_with(tmp_path, arrays)
    with pytest.raises(nb.CheckpointError, match=r"pooler.dense.bias': has shape \(13,\), the model needs \(12,\)"):
        nb.BertForPreTraining.from_pretrained(tmp_path)
    build(nb.BertForSequenceClassification, num_labels=3).save_pretrained(tmp_path)
    with pytest.raises(nb.CheckpointError, match=r"classifier.weight': has shape \(3, 12\), the model needs \(5, 12\)"):
        nb.BertForSequenceClassification.from_pretrained(tmp_path, num_labels=5)


def test_a_load_that_fails_changes_nothing():
    model, other = build(seed=0), build(seed=1)
    arrays = other.state_dict() | {"cls.seq_relationship.bias": np.zeros(3, np.float32)}
    before = {name: array.copy() for name, array in model.state_dict().items()}
    with pytest.raises(nb.CheckpointError):
        model.load_state_dict(arrays)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_whole_numbers_are_no_weights():
    model = build()
    arrays = model.state_dict() | {"cls.seq_relationship.bias": np.zeros(2, np.int64)}
    with pytest.raises(nb.CheckpointError, match="cls.seq_relationship.bias': holds int64, not floating-point numbers"):
        model.load_state_dict(arrays)


def test_number_and_names_of_labels_that_disagree(tmp_path):
    model = build(nb.BertForTokenClassification, num_labels=3)
    folder_with(tmp_path, model.state_dict(), num_labels=7, id2label={"0": "O", "1": "B", "2": "I"})
    with pytest.warns(UserWarning, match="num_labels is 7, but id2label names 3, which counts"):
        loaded = nb.BertForTokenClassification.from_pretrained(tmp_path, strict=True)
    assert loaded.config.id2label == {0: "O", 1: "B", 2: "I"} and same_bits(model, loaded)


@pytest.mark.parametrize("settings, message", [
    ({"hidden_size": "12"}, "hidden_size must be a whole number, got '12'"),
    ({"num_hidden_layers": 2.0}, "num_hidden_layers must be a whole number, got 2.0"),
    ({"hidden_act": ["gelu"]}, r"hidden_act must be one of gelu, .*; got \['gelu'\]"),
    ({"hidden_act": {}}, "hidden_act must be one of gelu, .*; got {}"),
    ({"id2label": 3}, "id2label must map numbers to names, got 3"),
    ({"position_embedding_type": "relative_key_query"}, "position_embedding_type = 'relative_key_query' is not"),
    ({"position_embedding_type": ["absolute"]}, r"position_embedding_type = \['absolute'\] is not implemented"),
    ({"model_type": "distilbert"}, "model_type is 'distilbert', and BertConfig is for 'bert'"),
    ({"tie_word_embeddings": "yes"}, "tie_word_embeddings must be true or false, got 'yes'"),
])
def test_a_configuration_that_cannot_be_believed(settings, message, tmp_path):
    folder_with(tmp_path, build().state_dict(), **settings)
    with pytest.raises(nb.CheckpointError, match=f"config.json: {message}"):
        nb.BertForPreTraining.from_pretrained(tmp_path)


def test_a_folder_without_a_file(tmp_path):
    with pytest.raises(nb.CheckpointError, match="config.json: there is no such file"):
        nb.BertModel.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(tiny_bert.config().to_dict()))
    with pytest.raises(nb.CheckpointError, match="the folder has no weights: looked for model.safetensors"):
        nb.BertModel.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"vocab_size": 40')
    with pytest.raises(nb.CheckpointError, match="config.json: not JSON"):
        nb.BertModel.from_pretrained(tmp_path)


# Writing


def test_saving_over_the_folder_that_was_read(tmp_path):
    """The file is mapped while it is read: neither the model nor what was handed out may change under it."""
    build(seed=0).save_pretrained(tmp_path)
    mapped = load_weights(tmp_path)
    before = {name: array.copy() for name, array in mapped.items()}
    model = nb.BertForPreTraining.from_pretrained(tmp_path)
    for parameter in model.parameters():
        parameter.data += 1
    model.save_pretrained(tmp_path)
    for name, array in mapped.items():
        np.testing.assert_array_equal(array, before[name])
    assert same_bits(model, nb.BertForPreTraining.from_pretrained(tmp_path))
    for name, array in load_weights(tmp_path).items():
        np.testing.assert_array_equal(array, before[name] + 1)


@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_files(fails, tmp_path, monkeypatch):
    old = build(seed=0)
    old.save_pretrained(tmp_path)
    files = {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)}

    def full(*_):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(os, fails, full)
    with pytest.raises(OSError, match="No space left"):
        build(seed=1).save_pretrained(tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == files


@pytest.mark.parametrize("name, size", [("vocab_size", 10**9), ("vocab_size", 10**15), ("hidden_size", 4 * 10**8),
                                        ("max_position_embeddings", 10**9), ("intermediate_size", 10**9),
                                        ("num_hidden_layers", 10**9)])
def test_a_configuration_that_claims_too_much_takes_no_memory(name, size, tmp_path):
    folder = folder_with(tmp_path / "lie", build().state_dict(), **{name: size})
    tracemalloc.start()
    with pytest.raises(nb.CheckpointError):
        nb.BertForPreTraining.from_pretrained(folder)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * 2**20


HUGE = 10**6
LIES = [(nb.BertForSequenceClassification, "classifier.bias", (2,), {"hidden_size": HUGE, "num_attention_heads": 1}),
        (nb.BertForMaskedLM, "bert.embeddings.LayerNorm.bias", (12,),
         {"hidden_size": 12, "num_attention_heads": 1, "vocab_size": 10**9}),
        (nb.BertForTokenClassification, "bert.embeddings.LayerNorm.bias", (12,),
         {"hidden_size": 12, "num_attention_heads": 1, "num_labels": 10**9}),
        (nb.BertModel, "embeddings.LayerNorm.bias", (12,),
         {"hidden_size": 12, "num_attention_heads": 1, "intermediate_size": 10**9, "num_hidden_layers": 1000}),
        (nb.RobertaForQuestionAnswering, "qa_outputs.bias", (2,), {"hidden_size": HUGE, "num_attention_heads": 1}),
        (nb.AlbertForPreTraining, "sop_classifier.classifier.bias", (2,), {"hidden_size": HUGE}),
        (nb.AlbertModel, "embeddings.LayerNorm.bias", (128,), {"num_hidden_groups": 1000, "inner_group_num": HUGE}),
        (nb.AlbertModel, "embeddings.LayerNorm.bias", (128,), {"num_hidden_groups": HUGE}),
        (nb.GPT2ForTokenClassification, "classifier.bias", (2,), {"n_embd": HUGE, "n_head": 1}),
        (nb.GPT2LMHeadModel, "transformer.ln_f.bias", (12,), {"n_embd": 12, "n_positions": 10**12})]


@pytest.mark.parametrize("cls, name, shape, settings", LIES)
@pytest.mark.parametrize("way", ["from_pretrained", "starting_point"])
def test_sizes_that_only_the_configuration_claims_take_no_memory(cls, name, shape, settings, way, tmp_path):
    """One small tensor fits, and all others would have to be drawn."""
    safetensors.write(tmp_path / "model.safetensors", {name: np.zeros(shape, np.float32)})
    (tmp_path / "config.json").write_text(json.dumps({"model_type": cls.config_class.model_type} | settings))
    tracemalloc.start()
    with pytest.raises(nb.CheckpointError, match="claims [0-9,]+ numbers|must be at most 1000|none of its"):
        cls.from_pretrained(tmp_path) if way == "from_pretrained" else starting_point(cls, tmp_path)(0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30 * 2**20                            # objects for a thousand layers


def test_a_file_of_which_nothing_fits_is_refused(tmp_path):
    folder = folder_with(tmp_path / "other", {"something.else": np.zeros(3, np.float32)})
    with pytest.raises(nb.CheckpointError, match="none of its tensors"):
        nb.BertModel.from_pretrained(folder)


@pytest.mark.parametrize("dtype", [int, np.float16, bool, ">f8", complex])
@pytest.mark.parametrize("kind", [*CLASSES, nb.RobertaModel, nb.AlbertModel, nb.GPT2Model])
def test_only_two_dtypes(kind, dtype, tmp_path):
    with pytest.raises(TypeError, match="dtype must be float32 or float64, got"):
        kind(kind.config_class(), rng=None, dtype=dtype)
    with pytest.raises(TypeError, match="dtype must be float32 or float64, got"):
        kind.from_pretrained(tmp_path, dtype=dtype)


def test_a_model_can_be_copied():
    assert same_bits(copy.deepcopy(build()), build())


@pytest.mark.parametrize("value, said", [
    (np.nan, "1 of 6 values are not finite"), (np.inf, "1 of 6 values are not finite"),
    (1e300, "1 of 6 values are not finite, of which 1 are too large for float32")])
def test_values_that_are_not_finite_are_reported(value, said, tmp_path, caplog):
    """And loaded: nobody can say better what they should be."""
    model = nb.BertForSequenceClassification(tiny_bert.config(num_labels=3, hidden_size=2, num_attention_heads=1),
                                             rng=np.random.default_rng(0))
    arrays = {name: array.astype(np.float64) for name, array in model.state_dict().items()}
    arrays["classifier.weight"][1, 1] = value
    model.save_pretrained(tmp_path)
    safetensors.write(tmp_path / "model.safetensors", arrays)
    caplog.clear()
    with np.errstate(all="raise"):
        loaded = nb.BertForSequenceClassification.from_pretrained(tmp_path)
    assert loaded.load_report.damaged == {"classifier.weight": said}
    assert f"DAMAGED   classifier.weight: {said}" in caplog.text
    assert not np.isfinite(loaded.classifier.weight.data[1, 1])
