"""The ONNX graph of each model gives what the model gives, by ONNX Runtime, for any number of texts of any length."""
import sys

import every_family
import numpy as np
import pytest

from numbert.models.onnx_file import write_onnx

HEADS = {"Model": {}, "ForMaskedLM": {}, "ForCausalLM": {}, "ForSequenceClassification": {"num_labels": 3},
         "ForTokenClassification": {"num_labels": 4}, "ForQuestionAnswering": {}}
CASES = [(family, head) for family in every_family.FAMILIES for head in HEADS
         if head != ("ForMaskedLM" if family == "gpt" else "ForCausalLM")]


@pytest.mark.parametrize("family, head", CASES)
def test_the_same_outputs(tmp_path, family, head):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    model, tokenizer = every_family.write_with_head(tmp_path, family, head, **HEADS[head])
    write_onnx(model, tmp_path / "model.onnx")
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    names = [output.name for output in session.get_outputs()]
    for texts in (every_family.TEXTS[:1], ["a dog", "where is the dog now ?", "the old cat"]):
        batch = model.accepted(tokenizer.pad([tokenizer(text) for text in texts], side="right"))
        ours, real, compared = model(**batch), batch["attention_mask"] == 1, 0
        for name, value in zip(names, session.run(None, batch), strict=True):
            wanted = getattr(ours, name).data
            assert value.shape == wanted.shape and value.dtype == np.float32
            tokens = value.ndim == 3 or head == "ForQuestionAnswering"          # on padding it means nothing
            value, wanted = (value[real], wanted[real]) if tokens else (value, wanted)
            np.testing.assert_allclose(value, wanted, rtol=1e-4, atol=2e-5)
            compared += value.size
        assert compared >= 3


def test_what_has_no_graph(tmp_path):
    pytest.importorskip("onnx")
    model, _ = every_family.write(tmp_path, "bert")
    with pytest.raises(ValueError, match="a BertForPreTraining has no ONNX graph here"):
        write_onnx(model, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_without_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    model, _ = every_family.write(tmp_path, "bert")
    with pytest.raises(ImportError, match=r"pip install onnx \(the extra `onnx`\)"):
        write_onnx(model, tmp_path / "model.onnx")
