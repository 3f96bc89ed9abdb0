"""What becomes of models: a dropped one is freed at once, and a copy, also in another process, is the same."""
import contextlib
import copy
import gc
import multiprocessing
import pickle
import weakref
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
import tiny_bert
from labelled import CASES, LENGTHS, case
from spawned import losses

import numbert as nb
from numbert.autograd import REGISTRY, op
from numbert.recording import watching
from numbert.training.optimizer import AdamW
from numbert.training.parallel import Workers, loss_and_gradients

TEXT = tiny_bert.text(np.random.default_rng(1), LENGTHS)
FIRST = list({name: what for name, what in reversed(CASES)}.items())           # one case for each class


@contextlib.contextmanager
def without_gc():
    """Arrays must go with their last reference, and not when Python looks for cycles."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Alive:
    """How many of the arrays that were seen are still there."""

    def __init__(self):
        self.refs = []

    def see(self, *arrays):
        self.refs += [weakref.ref(x) for x in arrays if isinstance(x, np.ndarray)]

    def of(self, model):
        self.see(*(p.data for p in model.parameters()))
        return model

    def watching(self):
        """Within this block every op's output and every gradient of one is seen."""
        return watching(lambda op, inputs, options, output, node: self.see(output),
                        lambda node, dy, found: self.see(*found))

    def count(self):
        return sum(ref() is not None for ref in self.refs)


def test_what_is_alive_is_seen():
    alive, x = Alive(), np.zeros(3)
    alive.see(x, np.ones(2))
    assert alive.count() == 1


# A dropped model is freed at once


@pytest.mark.parametrize("name, what", FIRST)
def test_a_model_goes_with_its_last_reference(name, what, tmp_path):
    alive = Alive()
    with without_gc():
        model, batch = case(name, what, TEXT)
        alive.of(model).save_pretrained(tmp_path)
        del model
        assert alive.count() == 0
        for _ in range(2):
            alive.of(getattr(nb, name).from_pretrained(tmp_path))
        assert len(alive.refs) > 20 and alive.count() == 0


@pytest.mark.parametrize("name, what", FIRST)
@pytest.mark.parametrize("n", [1, 2])
def test_nothing_is_left_of_training(name, what, n):
    alive = Alive()
    with without_gc():
        model, batch = case(name, what, TEXT)
        optimizer = AdamW(alive.of(model).parameters())
        with alive.watching():
            out = model(**batch)
            out.loss.backward()
            alive.see(*(p.grad for p in model.parameters()))
            for logits in ("logits", "prediction_logits"):          # computed when they are read
                with contextlib.suppress(AttributeError):
                    alive.see(getattr(out, logits).data)
            out = model(**batch)                                    # and one that nobody differentiates
        with Workers(n) as workers:
            _, found = loss_and_gradients(model, batch, lambda part: None, workers)
            alive.see(*found)
            optimizer.step(found, 1e-3, workers)
            alive.see(*optimizer.m, *optimizer.v)
        assert alive.count() > 20
        del model, optimizer, out, found, logits
        assert alive.count() == 0


def test_nothing_is_left_of_writing():
    """Also not the keys and values of earlier tokens."""
    alive = Alive()
    with without_gc():
        model, _ = case("GPT2LMHeadModel", "holes", TEXT)
        alive.of(model)
        for rng in (None, np.random.default_rng(0)):
            with alive.watching():
                model.generate(np.array([[1, 2, 3], [4, 5, 6]]), 4, rng=rng)
        del model
        assert alive.count() == 0


@pytest.mark.parametrize("name", ["BertModel", "GPT2LMHeadModel"])
def test_nothing_is_left_of_a_mistake(name, tmp_path):
    alive = Alive()
    with without_gc():
        model, batch = case("BertForMaskedLM" if name == "BertModel" else name, "holes", TEXT)
        alive.of(model)
        with pytest.raises(ValueError, match="99 is outside"), alive.watching():
            model(**batch | {"input_ids": np.where(batch["input_ids"] == 5, 99, 99)})
        del model
        assert alive.count() == 0


# Copies


def same(a, b):
    a, b = a.named_parameters(), b.named_parameters()
    return list(a) == list(b) and all(
        a[name].dtype == b[name].dtype and a[name].data.tobytes() == b[name].data.tobytes()
        and a[name].requires_grad == b[name].requires_grad and a[name] is not b[name] for name in a)


def pickled(model):
    return pickle.loads(pickle.dumps(model))


@pytest.mark.parametrize("copied", [pickled, copy.deepcopy])
@pytest.mark.parametrize("name, what", CASES)
def test_a_copy_is_the_same(name, what, copied):
    model, batch = case(name, what, TEXT)
    frozen = model.parameters()[::3]
    for parameter in frozen:
        parameter.requires_grad = False
    twin = copied(model)
    assert same(model, twin) and type(twin) is type(model) and twin.config == model.config
    (a, found), (b, other) = losses(model, batch), losses(twin, batch)
    assert a == b and [x.tobytes() for x in found] == [x.tobytes() for x in other]
    for parameter in twin.parameters():                             # it shares nothing
        parameter.data += 1
        parameter.requires_grad = True
    assert not any(parameter.requires_grad for parameter in frozen) and losses(model, batch)[0] == a


@pytest.mark.parametrize("copied", [pickled, copy.deepcopy])
def test_what_was_one_parameter_stays_one(copied):
    model = nb.BertForMaskedLM(tiny_bert.config(), rng=np.random.default_rng(0))
    model.mlm.transform.weight = model.body.layers[0].attention.output.weight
    twin = copied(model)
    assert twin.mlm.transform.weight is twin.body.layers[0].attention.output.weight
    assert twin.mlm.activation is model.mlm.activation is REGISTRY["gelu"]
    twin(**TEXT, labels=np.where(TEXT["attention_mask"], TEXT["input_ids"], -100)).loss.backward()
    assert twin.mlm.transform.weight.grad is not None and model.mlm.transform.weight.grad is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_loaded_model_with_its_gradients_can_be_pickled(dtype, tmp_path):
    nb.BertModel(tiny_bert.config(), rng=np.random.default_rng(0)).save_pretrained(tmp_path)
    model = nb.BertForSequenceClassification.from_pretrained(tmp_path, dtype=dtype)
    model(**TEXT, labels=np.zeros(len(LENGTHS), int)).loss.backward()
    twin = pickled(model)
    assert same(model, twin) and twin.classifier.weight.dtype == dtype
    assert str(twin.load_report) == str(model.load_report)
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        np.testing.assert_array_equal(a.grad, b.grad)


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_an_op_is_itself_in_every_copy(name):
    if REGISTRY[name].__module__.startswith("numbert."):
        assert pickled(REGISTRY[name]) is copy.deepcopy(REGISTRY[name]) is REGISTRY[name]


def test_an_op_that_cannot_be_found_again_says_so(monkeypatch):
    monkeypatch.setattr("numbert.autograd.REGISTRY", {})

    @op
    def inner(x):
        return x, ()
    with pytest.raises((pickle.PicklingError, AttributeError), match="inner"):
        pickle.dumps(inner)


def test_in_a_spawned_process():
    cases = [case(name, what, TEXT) for name, what in FIRST
             if name in ("BertForPreTraining", "RobertaForMaskedLM", "AlbertForPreTraining", "GPT2LMHeadModel")]
    assert len(cases) == 4
    for model, _ in cases:
        model.parameters()[1].requires_grad = False
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as processes:
        jobs = [processes.submit(losses, *one) for one in cases]
        for one, job in zip(cases, jobs, strict=True):
            (expected, gradients), (found, others) = losses(*one), job.result(timeout=120)
            assert found == pytest.approx(expected, rel=1e-12) and len(gradients) == len(others)
            for a, b in zip(gradients, others, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
