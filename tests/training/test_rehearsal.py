"""A dry run: what it says is made of what was measured, and the model is as it was."""
import types

import numpy as np
import pytest
import tiny_run

from numbert import BertForSequenceClassification
from numbert.training import rehearsal
from numbert.training.experiment import FineTuning
from numbert.training.finetuning import Shuffled, starting_point
from numbert.training.loop import Step
from numbert.training.parallel import Workers, loss_and_gradients

LENGTHS = [4, 6, 10, 3, 5, 2, 4]                        # in the order of this epoch


def collate(rows):
    [length] = rows
    return {"input_ids": np.full((1, length), 5), "attention_mask": np.ones((1, length), int), "labels": np.array([1])}


@pytest.fixture
def model(tmp_path):
    return starting_point(BertForSequenceClassification, tiny_run.write(tmp_path)[0])(0)


def task(evaluate):
    class InOrder(Shuffled):
        def __call__(self, rng):
            return list(map(collate, [[length] for length in LENGTHS]))
    return types.SimpleNamespace(batches_of_epoch=InOrder(LENGTHS, 1, collate), evaluate=evaluate)


def lines(text):
    return dict(line.split(": ", 1) for line in text.splitlines()[1:])


@pytest.mark.parametrize("settings, steps, time", [
    ({}, "21 a run, 7 an epoch of 34 tokens; evaluations: 3 a run", (34 * 3, 21, 3)),
    ({"eval_steps": 2}, "21 a run, 7 an epoch of 34 tokens; evaluations: 11 a run", (34 * 3, 21, 11)),
    ({"max_steps": 9, "patience": 2}, "9 a run, 7 an epoch of 34 tokens; evaluations: 2 a run", (44, 9, 2))])
def test_the_time_is_that_of_all_steps_and_evaluations(model, monkeypatch, settings, steps, time):
    """The batch with most tokens is done first, and is not timed; the next three take 2 seconds a token."""
    clock, done = [0.0], []

    def train(model, batches, *, steps, **others):
        for number, batch in enumerate(batches, 1):
            done.append(batch["input_ids"].size)
            yield Step(number, {}, 0.0, 1.0, done[-1], 2.0 * done[-1] if number > 1 else 1000.0)

    def evaluate(model):
        clock[0] += 30.0
    monkeypatch.setattr(rehearsal, "train", train)
    monkeypatch.setattr(rehearsal.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(rehearsal, "peak_memory", lambda: 100 << 20)
    with Workers(1) as workers:
        said = lines(rehearsal.rehearse(task(evaluate), model, FineTuning(**settings), workers, 2))
    tokens, count, evaluations = time
    each = 2 * tokens + 30 * evaluations
    assert done == [10, 4, 6, 10] and said["steps"] == steps
    assert said["time"] == (f"{2 * each // 60}:{2 * each % 60:02d} in all, {each // 60}:{each % 60:02d} a run "
                            f"({2 * tokens / count:.2f} s a step, 0 tokens/s, 30.00 s an evaluation)"
                            + ", or less, if it stops early" * ("patience" in settings))
    assert said["memory"] == "about 100 MB"             # and the copy of the weights, which is less than half of one


def test_the_model_is_as_it_was(model):
    before = [p.data.copy() for p in model.parameters()]
    seen = []
    with Workers(1) as workers:
        rehearsal.rehearse(task(lambda model: seen.append([p.data.copy() for p in model.parameters()])), model,
                           FineTuning(), workers, 1)
        _, gradients = loss_and_gradients(model, collate([4]), lambda part: None, workers)
    assert any(g.any() for g in gradients)              # steps of another learning rate would have moved them
    assert all(np.array_equal(a, b) for a, b in zip(before, seen[0], strict=True))


def test_a_frozen_body_is_counted(model):
    with Workers(1) as workers:
        said = lines(rehearsal.rehearse(task(lambda model: None), model, FineTuning(freeze_body=True, lr=[1e-3, 1e-4]),
                                        workers, 2))
    trained = 16 * 16 + 16 + 2 * 16 + 2                 # pooler and classifier
    assert said["model"].endswith(f" parameters, of which {trained} are trained")
    assert said["runs"] == "2 (lr 0.001 0.0001; 1 seed)"
