import json
import os

import numpy as np
import pytest
import tiny_bert
from tiny_bert import batches

import numbert as nb
from numbert.hub import safetensors
from numbert.training.checkpoint import compare, load_checkpoint, read_settings, save_checkpoint
from numbert.training.loop import train
from numbert.training.optimizer import AdamW, linear_schedule
from numbert.training.parallel import Workers

SETTINGS = {"seed": 3, "lr": 1e-2, "steps": 7, "text": ["a.txt", "b.txt"], "dropout": 0.1, "minutes": None}


def build(seed=0, dtype=np.float32):
    model = nb.BertForPreTraining(tiny_bert.config(hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1),
                                  rng=np.random.default_rng(seed), dtype=dtype)
    return model, AdamW(model.parameters())


def advance(model, optimizer, start, steps, n):
    with Workers(n) as workers:
        for _ in train(model, batches(start), optimizer=optimizer, lr=linear_schedule(7, 1e-2), steps=steps, seed=3,
                       workers=workers, start=start):
            pass


def state(model, optimizer):
    return optimizer.t, [array.tobytes() for p, m, v in zip(model.parameters(), optimizer.m, optimizer.v, strict=True)
                         for array in (p.data, m, v)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 2])
def test_stopping_and_going_on_is_as_if_nothing_had_been(n, dtype, tmp_path):
    """N + M steps = N steps, save, a fresh model, load, M steps: weights, both moments and t, bit for bit."""
    through = build(dtype=dtype)
    advance(*through, 0, 7, n)

    first = build(dtype=dtype)
    advance(*first, 0, 3, n)
    save_checkpoint(tmp_path / "c.safetensors", *first, 3, SETTINGS)
    second = build(seed=1, dtype=dtype)
    assert load_checkpoint(tmp_path / "c.safetensors", *second, SETTINGS) == 3
    assert state(*second) == state(*first)
    advance(*second, 3, 7, n)
    assert state(*second) == state(*through)


def test_what_was_loaded_is_a_copy(tmp_path):
    path, pair = tmp_path / "c.safetensors", build()
    save_checkpoint(path, *pair, 0, SETTINGS)
    before = path.read_bytes()
    other = build(seed=1)
    load_checkpoint(path, *other, SETTINGS)
    advance(*other, 0, 2, 1)
    assert path.read_bytes() == before
    save_checkpoint(path, *other, 2, SETTINGS)
    assert read_settings(path) == (2, SETTINGS) and os.listdir(tmp_path) == ["c.safetensors"]


def test_the_same_state_gives_the_same_bytes(tmp_path):
    pair = build()
    for name in "ab":
        save_checkpoint(tmp_path / name, *pair, 5, SETTINGS)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_other_settings_are_refused_and_every_difference_is_listed(tmp_path):
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, *build(), 3, SETTINGS)
    other = build(seed=1)
    before = state(*other)
    with pytest.raises(ValueError) as error:
        load_checkpoint(path, *other, {**SETTINGS, "lr": 0.5, "text": ["a.txt"], "size": "mini"})
    assert str(error.value) == (f"{path} belongs to another run: lr is 0.5, was 0.01; size is 'mini', was None; "
                                "text is ['a.txt'], was ['a.txt', 'b.txt']")
    assert state(*other) == before


def test_compare():
    assert compare(SETTINGS, json.loads(json.dumps(SETTINGS))) == []
    assert compare({"a": 1, "b": 2}, {"b": 3, "a": 1}) == ["b is 3, was 2"]


def damaged(change):
    """A checkpoint of `build()` with `change(arrays, metadata)` made to it."""
    def write(path):
        save_checkpoint(path, *build(), 3, SETTINGS)
        arrays, metadata = safetensors.read(path)
        arrays, metadata = {name: array.copy() for name, array in arrays.items()}, dict(metadata)
        change(arrays, metadata)
        safetensors.write(path, arrays, metadata)
    return write


def replace(place, name, value):
    def change(*both):
        both[place][name] = value
    return damaged(change)


def cut_short(path):
    save_checkpoint(path, *build(), 3, SETTINGS)
    path.write_bytes(path.read_bytes()[:-1])


DAMAGE = {
    "not there": (lambda path: None, "there is no such file"),
    "empty": (lambda path: path.write_bytes(b""), "the file is empty"),
    "cut short": (cut_short, "the header describes"),
    "a model's weights": (lambda path: safetensors.write(path, build()[0].state_dict()), "not a checkpoint of"),
    "no step": (damaged(lambda a, m: m.pop("step")), "not a checkpoint of a training run"),
    "no t": (damaged(lambda a, m: m.pop("t")), "not a checkpoint of a training run"),
    "a step in words": (replace(1, "step", "three"), "not a checkpoint of a training run"),
    "settings cut short": (replace(1, "settings", '{"seed": 3'), "not a checkpoint of a training run"),
    "settings that are a list": (replace(1, "settings", "[]"), "not a checkpoint of a training run"),
    "settings nested deeply": (replace(1, "settings", '{"a":' * 10**5), "not a checkpoint of a training run"),
    "a tensor missing": (damaged(lambda a, m: a.pop("m.nsp.bias")), "tensors that only one side has: m.nsp.bias"),
    "a tensor too many": (replace(0, "m.nothing", np.ones(3)), "tensors that only one side has: m.nothing"),
    "another shape": (replace(0, "v.nsp.bias", np.ones(1, "f4")),
                      r"v.nsp.bias': is float32 \(1,\), must be float32 \(2,\)"),
    "another dtype": (replace(0, "m.nsp.bias", np.ones(2)), r"m.nsp.bias': is float64 \(2,\), must be float32 \(2,\)"),
}


@pytest.mark.parametrize("write, message", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_refused_and_changes_nothing(write, message, tmp_path):
    path = tmp_path / "c.safetensors"
    write(path)
    pair = build(seed=1)
    before = state(*pair)
    with pytest.raises(nb.CheckpointError, match=f"c.safetensors: .*{message}"):
        load_checkpoint(path, *pair, SETTINGS)
    assert state(*pair) == before


def test_settings_alone_are_read_without_trust(tmp_path):
    for name, (write, _) in DAMAGE.items():
        if name not in ("a tensor missing", "a tensor too many", "another shape", "another dtype"):
            write(tmp_path / name)
            with pytest.raises(nb.CheckpointError):
                read_settings(tmp_path / name)


def test_a_write_that_fails_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, *build(), 3, SETTINGS)
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(path, *build(seed=1), 4, SETTINGS)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["c.safetensors"]
