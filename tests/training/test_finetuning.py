"""Fine-tuning: the best epoch is kept, frozen stays frozen, rates fall by layer, weights weigh, and it learns."""
import functools
import math
import re

import numpy as np
import pytest
import reference
import tiny_run
from hypothesis import given, settings
from hypothesis import strategies as st

from numbert import BertForSequenceClassification, BertForTokenClassification, WordPieceTokenizer, gradients, ops
from numbert.module import Parameter
from numbert.ops import IGNORE
from numbert.training import finetuning, parallel
from numbert.training.finetuning import (
    Shuffled,
    Trial,
    depths,
    finetune,
    freeze,
    layer_lr_factors,
    names,
    rank,
    save,
    starting_point,
)
from numbert.training.optimizer import AdamW
from numbert.training.parallel import Workers, loss_and_gradients, parts_of
from numbert.training.run_folder import Progress, RunFolder


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    folder, _ = tiny_run.write(tmp_path_factory.mktemp("run"))
    return starting_point(BertForSequenceClassification, folder)


@pytest.fixture(scope="module")
def workers():
    with Workers(1) as workers:
        yield workers


def example(rng):
    """Random words with good (5) or bad (6) among them: which of them it is, is the label."""
    label = int(rng.integers(2))
    ids = rng.integers(7, 20, 6)
    ids[rng.integers(6)] = 5 + label
    return [2, *ids.tolist(), 3], label


def examples(count, seed=0):
    rng = np.random.default_rng(seed)
    return [example(rng) for _ in range(count)]


def collate(rows):
    ids = np.array([ids for ids, _ in rows])
    return {"input_ids": ids, "attention_mask": np.ones_like(ids), "labels": np.array([label for _, label in rows])}


def accuracy_on(rows):
    def evaluate(model):
        batch = collate(rows)
        labels = batch.pop("labels")
        return {"accuracy": float((model(**batch).logits.data.argmax(-1) == labels).mean())}
    return evaluate


def scripted(figures, seen):
    """evaluate: gives these figures one after another, and keeps a copy of the parameters each time."""
    script = iter(figures)

    def evaluate(model):
        seen.append([p.data.copy() for p in model.parameters()])
        return {"figure": next(script)}
    return evaluate


def train(model, evaluate, workers, **options):
    options = {"epochs": 3, "lr": 1e-3, "seed": 0, "say": None} | options
    return finetune(model, Shuffled(examples(20), 8, collate), evaluate=evaluate, workers=workers, **options)


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def arrays(model):
    return [p.data for p in model.parameters()]


# ---- the run ---------------------------------------------------------------------------------------------------------


def test_it_learns_what_was_not_in_the_training_examples(start, workers):
    model, held_out = start(0), examples(200, seed=1)
    before = accuracy_on(held_out)(model)["accuracy"]
    result = finetune(model, Shuffled(examples(120), 8, collate), epochs=12, lr=3e-3, evaluate=accuracy_on(held_out),
                      workers=workers, seed=0, say=None)
    assert before < 0.7 and result.figures["accuracy"] > 0.95
    assert accuracy_on(held_out)(model) == result.figures


@pytest.mark.parametrize("figures,best", [
    ([0.1, 0.9, 0.3], 2), ([0.5, 0.5, 0.5], 1), ([math.nan, 0.0, math.nan], 2), ([0.1, 0.2, 0.3], 3),
    ([math.nan] * 3, 1), ([-0.5, -0.2, -0.9], 2)])
def test_the_best_epoch_is_put_back(start, workers, figures, best):
    model, seen = start(0), []
    result = train(model, scripted(figures, seen), workers)
    assert result.epoch == best and len(result.history) == 3
    assert not same(seen[0], seen[1])
    assert same(arrays(model), seen[best - 1])
    assert result.figures["figure"] == figures[best - 1] or math.isnan(figures[best - 1])


@pytest.mark.parametrize("patience,epochs_done,best", [(1, 3, 2), (2, 4, 2), (3, 6, 5), (None, 6, 5)])
def test_patience(start, workers, patience, epochs_done, best):
    model, seen = start(0), []
    result = train(model, scripted([0.1, 0.5, 0.4, 0.5, 0.9, 0.8], seen), workers, epochs=6, patience=patience)
    assert (len(seen), len(result.history), result.epoch) == (epochs_done, epochs_done, best)
    assert same(arrays(model), seen[best - 1])


def test_history(start, workers):
    spoken = []
    result = train(start(0), scripted([0.1, 0.3], []), workers, epochs=2, say=spoken.append)
    assert [(r["epoch"], r["step"], r["figure"]) for r in result.history] == [(1, 3, 0.1), (2, 6, 0.3)]
    assert all(0.3 < r["loss"] < 2 for r in result.history)
    assert len(spoken) == 2 and spoken[1].startswith("epoch 2/2  loss ") and spoken[1].endswith("figure 0.300")


@pytest.mark.parametrize("options,steps,epochs", [
    ({"eval_steps": 2}, [2, 4, 6, 8, 9], [2 / 3, 4 / 3, 2, 8 / 3, 3]), ({"eval_steps": 100}, [9], [3]),
    ({"max_steps": 4}, [3, 4], [1, 4 / 3]), ({"max_steps": 2, "eval_steps": 1}, [1, 2], [1 / 3, 2 / 3]),
    ({"max_steps": 12, "eval_steps": 6}, [6, 12], [2, 4])])
def test_when_it_is_evaluated(start, workers, options, steps, epochs):
    """An epoch has three steps. More steps than there are in --epochs go on with further epochs."""
    spoken = []
    result = train(start(0), scripted([0.1 * i for i in range(9)], []), workers, say=spoken.append, **options)
    assert [r["step"] for r in result.history] == steps and [r["epoch"] for r in result.history] == epochs
    assert result.epoch == epochs[-1] and len(spoken) == len(steps)
    assert spoken[0].startswith(f"epoch {round(epochs[0], 2):g}/{round(epochs[-1], 2):g}  loss ")


def test_evaluations_change_nothing(start, workers):
    """Whenever they are, the steps are the same bits."""
    def run(**options):
        model, seen = start(0), []
        train(model, scripted([0.1 * i for i in range(9)], seen), workers, **options)
        return seen
    often, seldom = run(eval_steps=1), run()
    assert all(same(often[3 * i + 2], seldom[i]) for i in range(3))


@pytest.mark.parametrize("patience,seen_in_all,best", [(1, 3, 2), (2, 4, 2), (3, 9, 8)])
def test_patience_counts_evaluations(start, workers, patience, seen_in_all, best):
    model, seen = start(0), []
    figures = [0.1, 0.5, 0.4, 0.3, 0.6, 0.6, 0.1, 0.7, 0.2]
    result = train(model, scripted(figures, seen), workers, eval_steps=1, patience=patience)
    assert (len(seen), result.epoch) == (seen_in_all, best / 3) and same(arrays(model), seen[best - 1])


def test_progress_within_an_epoch(start, workers, monkeypatch):
    monkeypatch.setattr(finetuning, "Progress", functools.partial(Progress, every=0.0))
    spoken = []
    train(start(0), scripted([0.1, 0.2, 0.3], []), workers, lr=1e-3, epochs=2, say=spoken.append)
    assert [line.split()[0] for line in spoken] == ["step", "step", "epoch"] * 2
    assert re.fullmatch(r"step 5/6  loss 0\.\d{3}  lr \d\.\de-04  [\d,]+ tokens/s  0:0\d left", spoken[4]), spoken[4]


def test_accumulation_is_the_same_gradient_in_more_parts(start, workers):
    batch, found = collate(examples(8)), []
    for accumulation, parts in ((1, 1), (3, 3), (100, 8)):
        assert len(parts_of(batch, workers, accumulation)) == parts
        found.append(loss_and_gradients(start(0), batch, lambda part: None, workers, accumulation=accumulation))
    for sums, those in found[1:]:
        assert sums["loss"] == pytest.approx(found[0][0]["loss"], rel=1e-6)
        for a, b in zip(those, found[0][1], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7)


def test_accumulation_and_weight_decay_reach_the_steps(start, workers, monkeypatch):
    cuts = []
    monkeypatch.setattr(parallel, "deal", lambda lengths, n, deal=parallel.deal: cuts.append(n) or deal(lengths, n))
    moved = []
    for options in ({}, {"accumulation": 4}, {"weight_decay": 0.5}, {"warmup": 1.0}):
        model = start(0)
        train(model, scripted([0.1], []), workers, epochs=1, **options)
        moved.append(arrays(model))
    assert cuts == [1] * 3 + [4] * 3 + [1] * 6
    assert not any(same(moved[0], other) for other in moved[1:])


def test_names_of_trials():
    one, two, three = Trial(1e-4, 0), Trial(1e-4, 1), Trial(2e-5, 0)
    assert names([one, two]) == {one: "seed 0", two: "seed 1"}
    assert names([one, three]) == {one: "lr 0.0001, seed 0", three: "lr 2e-05, seed 0"}


def test_a_seed_decides_everything(start, workers):
    def run(seed):
        model = start(seed)
        train(model, scripted([0.1, 0.2, 0.3], []), workers, seed=seed)
        return arrays(model)
    assert same(run(0), run(0))
    assert not same(run(0), run(1))


def test_shuffled_is_a_pass_over_the_examples():
    source = Shuffled(list(range(10)), 4, list)
    epochs = [list(source(np.random.default_rng(seed))) for seed in (0, 1)]
    assert len(source(np.random.default_rng(0))) == 3
    assert [[len(batch) for batch in epoch] for epoch in epochs] == [[4, 4, 2]] * 2
    assert all(sorted(x for batch in epoch for x in batch) == list(range(10)) for epoch in epochs)
    assert epochs[0] != epochs[1]


# ---- layers ----------------------------------------------------------------------------------------------------------


def test_depths(start):
    found = dict(zip(start(0).named_parameters(), depths(start(0)), strict=True))
    expected = {"embeddings": 0, "layers.0": 1, "layers.1": 2, "pooler": 3, "classifier": 3}
    for name, depth in found.items():
        part, = (part for part in expected if part in name)
        assert depth == expected[part], name
    assert set(found.values()) == {0, 1, 2, 3}


def test_factors(start):
    model = start(0)
    assert layer_lr_factors(model, 1.0) == [1.0] * len(model.parameters())
    assert layer_lr_factors(model, 0.5) == [0.5 ** (3 - depth) for depth in depths(model)]
    freeze(model)
    assert layer_lr_factors(model, 0.5) == [1.0] * 4


@pytest.mark.parametrize("factor", [0.25, 1.0])
def test_a_factor_is_a_learning_rate_of_its_own(workers, factor):
    rng = np.random.default_rng(0)
    first = rng.standard_normal((3, 4))
    steps = [rng.standard_normal((3, 4)) for _ in range(4)]
    one, two, alone = (Parameter(first.copy()) for _ in range(3))
    both, single = AdamW([one, two], lr_factors=[1.0, factor]), AdamW([alone])
    for gradient in steps:
        both.step([gradient, gradient], 0.1, workers)
        single.step([gradient], 0.1 * factor, workers)
    assert np.array_equal(two.data, alone.data)
    assert np.array_equal(one.data, two.data) == (factor == 1.0)


def test_layer_decay_moves_the_lower_layers_less(start, workers):
    def moved(layer_decay):
        model, before = start(0), arrays(start(0))
        train(model, scripted([0.1], []), workers, epochs=1, layer_decay=layer_decay, weight_decay=0.0)
        return {depth: max(np.abs(p - b).max() for p, b, d in zip(arrays(model), before, depths(model), strict=True)
                           if d == depth) for depth in range(4)}
    alike, decayed = moved(1.0), moved(0.1)
    for depth in range(4):
        assert decayed[depth] == pytest.approx(alike[depth] * 0.1 ** (3 - depth), rel=0.2)


# ---- frozen ----------------------------------------------------------------------------------------------------------


def test_a_frozen_parameter_is_not_recorded():
    w, b = Parameter(np.ones((2, 2))), Parameter(np.ones(2))
    w.requires_grad = False
    assert not w.requires_grad and ops.linear(np.ones((1, 2)), w, None).node is None
    loss = ops.mean_squared_error(ops.linear(np.ones((1, 2)), w, b), labels=np.zeros((1, 2)))
    dw, db = gradients(loss, [w, b])
    assert not dw.any() and db.tolist() == [3.0, 3.0]
    w.requires_grad = True
    dw, _ = gradients(ops.mean_squared_error(ops.linear(np.ones((1, 2)), w, b), labels=np.zeros((1, 2))), [w, b])
    assert w.requires_grad and dw.tolist() == [[3.0, 3.0]] * 2


def test_setting_requires_grad_again_changes_nothing():
    w = Parameter(np.ones(2))
    y = ops.tanh(w)
    w.requires_grad = True
    dw, = gradients(y, [w], upstream=np.ones(2))
    assert dw.all()


def test_frozen_gradients_are_those_of_the_whole(start, workers):
    model, batch = start(0), collate(examples(8))
    _, whole = loss_and_gradients(model, batch, lambda part: None, workers)
    wanted = [g for g, depth in zip(whole, depths(model), strict=True) if depth == 3]
    freeze(model)
    _, found = loss_and_gradients(model, batch, lambda part: None, workers)
    assert len(found) == 4 and same(found, wanted)


def test_freeze_body(start, workers):
    model, before = start(0), arrays(start(0))
    train(model, scripted([0.1, 0.2, 0.3], []), workers, freeze_body=True)
    for name, now, then, depth in zip(model.named_parameters(), arrays(model), before, depths(model), strict=True):
        assert np.array_equal(now, then) == (depth < 3), name


# ---- class weights ---------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 8), st.integers(1, 5), st.sampled_from([0.0, 0.1, 0.9]), st.integers(0, 2**32 - 1))
def test_weighted_cross_entropy(N, C, smoothing, seed):
    rng = np.random.default_rng(seed)
    logits, labels, weights = rng.standard_normal((N, C)), rng.integers(C, size=N), 3 * rng.random(C)
    labels[rng.random(N) < 0.2] = IGNORE
    count = max(1, int((labels != IGNORE).sum()))
    expected = sum(weights[label] * reference.cross_entropy(logits[i:i + 1], labels[i:i + 1], count,
                                                             smoothing=smoothing)
                   for i, label in enumerate(labels) if label != IGNORE)
    found = ops.cross_entropy(logits, labels=labels, weights=weights, smoothing=smoothing)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
    cut = int(rng.integers(N + 1))
    parts = [ops.cross_entropy(logits[s], labels=labels[s], weights=weights, smoothing=smoothing)
             * ops.label_count(labels[s]) / count for s in (slice(cut), slice(cut, N))]
    np.testing.assert_allclose(sum(parts), found, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(ops.cross_entropy(logits, labels=labels, weights=np.ones(C)),
                               ops.cross_entropy(logits, labels=labels), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("shape", [(2,), (4,), (3, 1), ()])
def test_weights_have_one_entry_for_each_class(shape):
    with pytest.raises(ValueError, match=r"weights must be \(C,\) = \(3,\), got "):
        ops.cross_entropy(np.zeros((2, 3)), labels=np.array([0, 1]), weights=np.ones(shape))


def batch_for(cls):
    """Eight texts of eight tokens with a class for each text, or for each token."""
    batch = collate(examples(8))
    if cls is BertForTokenClassification:
        batch["labels"] = np.repeat(batch["labels"][:, None], 8, 1)
    return batch


@pytest.mark.parametrize("cls", [BertForSequenceClassification, BertForTokenClassification])
def test_a_class_of_weight_0_teaches_nothing(tmp_path, workers, cls):
    folder, _ = tiny_run.write(tmp_path)
    batch = batch_for(cls)

    def step(batch, **weights):
        for from_scratch in (True, False):
            model = starting_point(cls, folder, from_scratch=from_scratch, **weights)(0)
            found = loss_and_gradients(model, batch, lambda part: None, workers)
        model = cls.from_pretrained(folder, rng=np.random.default_rng([0, 0, 1]), **weights)
        assert (model.class_weights is None) == (not weights)
        return found

    sums, plain = step(batch)
    doubled, _ = step(batch, class_weights=np.array([2.0, 2.0]))
    assert doubled["loss"] == pytest.approx(2 * sums["loss"], rel=1e-5)
    _, one = step(batch | {"labels": np.ones_like(batch["labels"])}, class_weights=np.array([1.0, 0.0]))
    assert any(g.any() for g in plain) and not any(g.any() for g in one)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, math.nan])
def test_smoothing_is_a_share(smoothing):
    with pytest.raises(ValueError, match=r"smoothing must be in \[0, 1\), got "):
        ops.cross_entropy(np.zeros((2, 3)), labels=np.array([0, 1]), smoothing=smoothing)


@pytest.mark.parametrize("cls", [BertForSequenceClassification, BertForTokenClassification])
def test_smoothed_labels_in_a_model(tmp_path, workers, cls):
    """The loss is the mean of that of the label and that of all classes, (1 - s) to s."""
    folder, _ = tiny_run.write(tmp_path)
    batch = batch_for(cls)

    def loss(labels, **options):
        model = starting_point(cls, folder, num_labels=2, **options)(0)
        return loss_and_gradients(model, batch | {"labels": labels}, lambda part: None, workers)[0]["loss"]
    right, wrong = loss(batch["labels"]), loss(1 - batch["labels"])
    assert loss(batch["labels"], label_smoothing=0.3) == pytest.approx(0.85 * right + 0.15 * wrong, rel=1e-5)


# ---- where it starts, what it leaves ---------------------------------------------------------------------------------


def test_starting_point(tmp_path):
    folder, _ = tiny_run.write(tmp_path)
    warm, cold = (starting_point(BertForSequenceClassification, folder, from_scratch=scratch, num_labels=3)
                  for scratch in (False, True))
    def parts(model):
        return {name: p.data for name, p in model.named_parameters().items()}
    one, other, again, drawn = parts(warm(0)), parts(warm(1)), parts(warm(0)), parts(cold(0))
    assert one["classifier.weight"].shape == (3, 16)
    for name in one:
        assert np.array_equal(one[name], again[name])
        if name.startswith("classifier.weight"):
            assert not np.array_equal(one[name], other[name])
        else:
            assert np.array_equal(one[name], other[name])
        if name.endswith("query.weight"):
            assert not np.array_equal(one[name], drawn[name])


def test_what_was_loaded_is_said_once(tmp_path, caplog):
    folder, _ = tiny_run.write(tmp_path)
    draw = starting_point(BertForSequenceClassification, folder)
    assert len(caplog.records) == 1 and "classifier.weight: not in the file" in caplog.text
    draw(0), draw(1), starting_point(BertForSequenceClassification, folder, from_scratch=True)(0)
    assert len(caplog.records) == 1


def test_save(tmp_path, start):
    _, tokenizer = tiny_run.write(tmp_path / "first")
    model = start(0)
    for _ in range(2):                                  # a second run in the same folder replaces the first
        save(tmp_path / "out", model, tokenizer, [{"step": 3, "accuracy": 0.5}])
    back = BertForSequenceClassification.from_pretrained(tmp_path / "out", strict=True)
    assert same(arrays(back), arrays(model))
    assert WordPieceTokenizer.from_pretrained(tmp_path / "out").tokens == tokenizer.tokens
    assert RunFolder(tmp_path / "out").records() == [{"step": 3, "accuracy": 0.5}]


# ---- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options,message", [
    ({"epochs": 0}, "epochs must be at least 1, got 0"), ({"patience": 0}, "patience must be at least 1, got 0"),
    ({"max_steps": 0}, "max_steps must be at least 1"), ({"eval_steps": -1}, "eval_steps must be at least 1, got -1"),
    ({"layer_decay": 0.0}, r"layer_decay must be in \(0, 1\], got 0.0"), ({"layer_decay": 1.5}, "got 1.5")])
def test_errors(start, workers, options, message):
    with pytest.raises(ValueError, match=message):
        train(start(0), scripted([], []), workers, **options)


@pytest.mark.parametrize("rows,size", [([], 4), ([1], 0)])
def test_shuffled_refuses_what_makes_no_batch(rows, size):
    with pytest.raises(ValueError, match=f"{len(rows)} examples cannot be cut into batches of {size}"):
        Shuffled(rows, size, list)


def test_rank_puts_nan_last():
    assert rank({"a": math.nan}) < rank({"a": -1.0}) < rank({"a": 0.5, "b": math.nan})
