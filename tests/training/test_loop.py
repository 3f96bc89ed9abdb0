import os
import re
import signal

import numpy as np
import pytest
import tiny_bert

import numbert as nb
from numbert.training.loop import NonFiniteError, finishing_on_interrupt, train
from numbert.training.optimizer import AdamW, global_norm, linear_schedule
from numbert.training.parallel import Workers, loss_and_gradients


def build(kind=nb.BertForPreTraining, dtype=np.float32, **changes):
    return kind(tiny_bert.config(**changes), rng=np.random.default_rng(0), dtype=dtype)


def run(model, steps, *, start=0, seed=0, n=2, optimizer=None, lr=None, feed=None, **options):
    """The list of steps, and the parameters as bytes."""
    with Workers(n) as workers:
        done = list(train(model, feed or tiny_bert.batches(start), optimizer=optimizer or AdamW(model.parameters()),
                          lr=lr or linear_schedule(10, 1e-2), steps=steps, seed=seed, workers=workers, start=start,
                          **options))
    return done, bits(model)


def bits(model):
    return b"".join(p.data.tobytes() for p in model.parameters())


# The learning rate


def test_the_schedule_climbs_and_falls_in_straight_lines():
    lr = linear_schedule(20, 1.0, warmup=0.25)
    assert [lr(s) for s in range(5)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert [lr(s) for s in range(5, 20)] == pytest.approx([(20 - s) / 15 for s in range(5, 20)])
    assert linear_schedule(100, 2e-3)(9) == pytest.approx(2e-3) == max(map(linear_schedule(100, 2e-3), range(100)))


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_schedule_of_few_steps_never_rests(steps):
    assert all(0 < linear_schedule(steps, 1.0)(s) <= 1 for s in range(steps))


# A step


def test_a_step_is_the_optimizers_step_on_the_batchs_gradients():
    """One step of the loop against its parts by hand: clipped to norm 1, with the rate of that step."""
    model, twin = build(dtype=np.float64), build(dtype=np.float64)
    (step,), _ = run(model, 1, lr=lambda s: 0.01 + s)
    batch = next(tiny_bert.batches())
    with Workers(2) as workers:
        sums, gradients = loss_and_gradients(twin, batch, lambda part: None, workers)
        norm = np.sqrt(sum((g**2).sum() for g in gradients))
        assert norm > 1
        AdamW(twin.parameters()).step([g / norm for g in gradients], 0.01, workers)
    assert step.number == 1 and step.lr == 0.01 and step.gradient_norm == pytest.approx(norm, rel=1e-12)
    assert step.sums == sums and step.sums.keys() == {"loss", "mlm", "nsp"}
    assert step.tokens == batch["attention_mask"].sum() and step.seconds > 0
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        np.testing.assert_allclose(p.data, q.data, rtol=1e-12, atol=1e-12)


class Recorder:
    """Stands where the optimizer stands, and keeps how long the gradient was that it was asked to follow."""

    def __init__(self):
        self.norms = []

    def step(self, gradients, lr, workers, *, scale):
        self.norms.append(global_norm(gradients, workers) * scale)


@pytest.mark.parametrize("clip_norm, expected", [(0.5, 0.5), (1e9, None)])
def test_longer_gradients_are_clipped_and_shorter_ones_are_not(clip_norm, expected):
    recorder = Recorder()
    (step,), _ = run(build(), 1, optimizer=recorder, clip_norm=clip_norm)
    assert recorder.norms == pytest.approx([expected or step.gradient_norm], rel=1e-6)
    assert step.gradient_norm > 0.5                                              # what is reported is not clipped


def test_measures_reach_the_step():
    (step,), _ = run(build(), 1, measure=lambda part, output: {"sequences": len(part["labels"])})
    assert step.sums["sequences"] == 4


def test_steps_are_counted_from_where_the_run_goes_on():
    done, _ = run(build(), 5, start=3)
    assert [step.number for step in done] == [4, 5]
    assert [step.lr for step in done] == [linear_schedule(10, 1e-2)(s) for s in (3, 4)]
    assert run(build(), 3, start=3)[0] == []


# Randomness


@pytest.mark.parametrize("n", [1, 2])
def test_one_seed_one_result(n):
    """Bit for bit, with dropout; another seed gives other dropout, and nothing else changes."""
    def trained(seed, **changes):
        return run(build(**changes), 4, seed=seed, n=n)[1]
    dropout = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}
    assert trained(0, **dropout) == trained(0, **dropout) != trained(1, **dropout)
    assert trained(0) == trained(1) != trained(0, **dropout)


def test_every_step_and_every_part_has_a_dropout_of_its_own():
    """The same batch again and again, no learning: the loss differs from step to step."""
    batch = tiny_bert.pretraining_batch(np.random.default_rng(0))
    done, _ = run(build(hidden_dropout_prob=0.3), 5, optimizer=Recorder(), feed=iter([batch] * 5))
    assert len({step.sums["loss"] for step in done}) == 5
    twice = {name: np.concatenate([x, x]) for name, x in batch.items()}         # two workers get the same sequences
    losses = []
    run(build(hidden_dropout_prob=0.3), 1, optimizer=Recorder(), feed=iter([twice]),
        measure=lambda part, output: losses.append(float(output.loss)) or {})
    assert len(losses) == 2 and losses[0] != losses[1]


# Learning


def test_a_small_model_learns_what_can_be_learnt():
    """The class of a sequence is whether it holds the word 7, which half of them do."""
    def draw(rng, B):
        batch = tiny_bert.text(rng, rng.integers(4, 12, B))
        batch["input_ids"][batch["input_ids"] == 7] = 8
        labels = rng.integers(0, 2, B)
        batch["input_ids"][labels == 1, 2] = 7
        return batch, labels

    def feed():
        rng = np.random.default_rng(0)
        while True:
            batch, labels = draw(rng, 16)
            yield batch | {"labels": labels}
    model = build(nb.BertForSequenceClassification, initializer_range=0.1)
    done, _ = run(model, 200, lr=linear_schedule(200, 1e-2), feed=feed())
    losses = [step.sums["loss"] for step in done]
    assert np.mean(losses[:10]) > 0.6 and np.mean(losses[-10:]) < 0.05
    batch, labels = draw(np.random.default_rng(99), 64)
    with nb.no_grad():
        assert (model(**batch).logits.data.argmax(-1) == labels).mean() > 0.95


# When it goes wrong


def spoil_table(model):
    model.body.embeddings.word.weight.data[:, 3] = np.inf
    return r"take on \(40, 12\)"


def spoil_nan(model):
    model.body.layers[1].feed_forward.contract.weight.data[0, 0] = np.nan
    return r"linear on \(\d+, 20\), \(12, 20\), \(12,\)"


def spoil_overflow(model):
    """Finite weights, of which float32 cannot hold the product."""
    model.mlm.transform.weight.data[:] = 3e38
    model.body.layers[-1].feed_forward_norm.bias.data[:] = 10
    return r"linear on \(\d+, 12\), \(12, 12\), \(12,\)"


def spoil_overflow_below(model):
    model.nsp.weight.data[:] = -3e38
    model.body.pooler.bias.data[:] = 10
    return r"linear on \(\d, 12\), \(2, 12\), \(2,\)"


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("spoil", [spoil_table, spoil_nan, spoil_overflow, spoil_overflow_below])
def test_a_loss_that_is_not_finite_names_step_and_op(spoil):
    model = build()
    run(model, 2)
    optimizer = AdamW(model.parameters())
    message = spoil(model)
    before = bits(model)
    with pytest.raises(NonFiniteError, match="^step 3: loss .*, gradient norm .*: the first op to give a value that is "
                                             "not finite is " + message):
        run(model, 10, start=2, optimizer=optimizer)
    assert bits(model) == before and optimizer.t == 0 and not any(m.any() for m in optimizer.m)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_logits_of_padding_are_not_taken_for_a_mistake():
    """They are -inf by intention; what is wrong comes before them."""
    model = build(nb.BertForQuestionAnswering)
    batch = tiny_bert.text(np.random.default_rng(0)) | {"start_positions": np.zeros(4, int),
                                                       "end_positions": np.zeros(4, int)}
    (step,), _ = run(model, 1, feed=iter([batch]))
    assert np.isfinite(step.sums["loss"])
    model.qa_outputs.bias.data[0] = np.inf
    with pytest.raises(NonFiniteError, match=r"not finite is linear on \(\d+, 12\), \(2, 12\), \(2,\)"):
        run(model, 1, feed=iter([batch]))


def test_a_gradient_that_is_not_finite_is_told_apart(monkeypatch):
    model = build()

    def spoiled(*arguments):
        sums, gradients = loss_and_gradients(*arguments)
        gradients[0][0, 0] = np.nan
        return sums, gradients
    monkeypatch.setattr("numbert.training.loop.loss_and_gradients", spoiled)
    before = bits(model)
    with pytest.raises(NonFiniteError, match=r"step 1: loss \d.*norm nan: every op's output is finite, the backward"):
        run(model, 1)
    assert bits(model) == before


# Ctrl-C


def test_an_interrupt_is_remembered_and_a_second_one_interrupts():
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    for number in (signal.SIGINT, signal.SIGTERM):
        with finishing_on_interrupt() as interrupted:
            assert not interrupted()
            os.kill(os.getpid(), number)
            assert interrupted()
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_error_messages_are_one_line():
    model = build()
    spoil_nan(model)
    with pytest.raises(NonFiniteError) as error:
        run(model, 1)
    assert re.fullmatch(r"[^\n]+", str(error.value))
