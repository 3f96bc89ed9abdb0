import json
import os
import pickle

import numpy as np
import pytest
from fuzz_checkpoints import run
from torch_save import describe, save_legacy, save_zip

from numbert.hub import safetensors
from numbert.hub.checkpoint import NAMES, load_parameters, load_weights, save_parameters
from numbert.hub.errors import CheckpointError, expect_type, read_json
from numbert.layers import FeedForward, Linear
from numbert.ops import relu

DATA = {name: np.full(2, number, "f4") for number, name in enumerate("abcd")}


def write_index(folder, weight_map, kind="safetensors"):
    name = {"safetensors": "model.safetensors", "bin": "pytorch_model.bin"}[kind] + ".index.json"
    (folder / name).write_text(json.dumps({"metadata": {"total_size": 32}, "weight_map": weight_map}))
    return folder / name


def test_the_order_of_preference(tmp_path):
    with pytest.raises(CheckpointError, match="no weights: looked for model.safetensors, model.safetensors.index.json, "
                                              "pytorch_model.bin, pytorch_model.bin.index.json"):
        load_weights(tmp_path)
    save_legacy(tmp_path / "d.bin", *describe({"x": DATA["d"]}))
    write_index(tmp_path, {"x": "d.bin"}, "bin")
    assert load_weights(tmp_path)["x"][0] == 3
    save_zip(tmp_path / "pytorch_model.bin", *describe({"x": DATA["c"]}))
    assert load_weights(tmp_path)["x"][0] == 2
    safetensors.write(tmp_path / "b.safetensors", {"x": DATA["b"]})
    write_index(tmp_path, {"x": "b.safetensors"})
    assert load_weights(tmp_path)["x"][0] == 1
    safetensors.write(tmp_path / "model.safetensors", {"x": DATA["a"]})
    assert load_weights(str(tmp_path))["x"][0] == 0
    for number, name in enumerate(NAMES):
        assert load_weights(tmp_path / name)["x"][0] == number
    assert load_weights(tmp_path / "b.safetensors")["x"][0] == 1 and load_weights(tmp_path / "d.bin")["x"][0] == 3


def test_a_damaged_first_choice_is_not_passed_over(tmp_path):
    save_zip(tmp_path / "pytorch_model.bin", *describe({"x": DATA["c"]}))
    (tmp_path / "model.safetensors").write_bytes(b"x")
    with pytest.raises(CheckpointError, match="model.safetensors: 1 bytes, too short"):
        load_weights(tmp_path)


def test_paths_that_are_no_weights(tmp_path):
    (tmp_path / "vocab.txt").write_text("a")
    os.mkfifo(tmp_path / "pipe.bin")
    (tmp_path / "folder.bin").mkdir()
    for name, message in (("vocab.txt", "weights are read from"), ("missing.bin", "there is no such file"),
                          ("missing", "weights are read from"), ("pipe.bin", "is not a regular file"),
                          ("folder.bin", "the folder has no weights")):
        with pytest.raises(CheckpointError, match=message) as caught:
            load_weights(tmp_path / name)
        assert str(caught.value).startswith(str(tmp_path / name))


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_shards(tmp_path, kind):
    for shard, names in (("1", "ab"), ("2", "cd")):
        arrays = {name: DATA[name] for name in names} | {"both": np.array([int(shard)])}
        if kind == "safetensors":
            safetensors.write(tmp_path / f"{shard}.safetensors", arrays)
        else:
            save_zip(tmp_path / f"{shard}.bin", *describe(arrays))
    write_index(tmp_path, {"d": f"2.{kind}", "a": f"1.{kind}", "both": f"2.{kind}", "b": f"1.{kind}"}, kind)
    arrays = load_weights(tmp_path)
    assert list(arrays) == ["d", "a", "both", "b"]  # "c" is in a shard and not in the index
    assert all((arrays[name] == DATA[name]).all() for name in "abd") and arrays["both"].tolist() == [2]


@pytest.mark.parametrize("shard", ["../x.safetensors", "/x.safetensors", "sub/x.safetensors", "./x.safetensors", "..",
                                   ".", "", "x.safetensors/", "sub/../x.safetensors", None, 3, ["x.safetensors"],
                                   "y" * 5000, "y\0.safetensors", "missing.safetensors", "y\nz.safetensors"],
                         ids=lambda shard: repr(shard)[:20])
def test_an_index_stays_in_its_folder(tmp_path, shard):
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    for place in (tmp_path, folder, folder / "sub"):
        safetensors.write(place / "x.safetensors", {"a": DATA["a"]})
    write_index(folder, {"a": shard})
    with pytest.raises(CheckpointError, match="tensor 'a': its shard") as caught:
        load_weights(folder)
    assert str(caught.value).startswith(f"{folder / 'model.safetensors.index.json'}: tensor 'a': ")
    assert caught.value.tensor == "a" and len(str(caught.value).splitlines()) == 1


def test_an_absolute_shard(tmp_path):
    safetensors.write(tmp_path / "x.safetensors", {"a": DATA["a"]})
    write_index(tmp_path, {"a": str(tmp_path / "x.safetensors")})
    with pytest.raises(CheckpointError, match="must be the name of a file beside the index"):
        load_weights(tmp_path)


def test_links_are_followed(tmp_path):
    """As in the Hugging Face cache: snapshots/x/model.safetensors -> ../../blobs/0f3a."""
    for folder in ("blobs", "snapshots/x"):
        (tmp_path / folder).mkdir(parents=True)
    safetensors.write(tmp_path / "blobs/0f3a", {"a": DATA["b"]})
    index = write_index(tmp_path / "blobs", {"a": "1.safetensors"})
    snapshot = tmp_path / "snapshots/x"
    (snapshot / "1.safetensors").symlink_to("../../blobs/0f3a")
    (snapshot / "model.safetensors.index.json").symlink_to(f"../../blobs/{index.name}")
    assert load_weights(snapshot)["a"][0] == 1


@pytest.mark.parametrize("content, message", [
    ({}, "weight_map must be of type dict, got NoneType"), ({"weight_map": [1]}, "weight_map must be of type dict"),
    ([], "must be of type dict, got list"), ({"weight_map": {"z": "x.safetensors"}}, "tensor 'z': .* does not hold it"),
    ({"weight_map": {"a": "model.safetensors.index.json"}}, "weights are read from"),
    ({"weight_map": {"a": "bad.safetensors"}}, "bad.safetensors: 3 bytes, too short")])
def test_wrong_indexes(tmp_path, content, message):
    safetensors.write(tmp_path / "x.safetensors", {"a": DATA["a"]})
    (tmp_path / "bad.safetensors").write_bytes(b"abc")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=message):
        load_weights(tmp_path)


@pytest.mark.parametrize("data, message", [
    (b"", "the file is empty"), (b"{", "not JSON"), (b"[]", "must be of type dict, got list"), (b"nul", "not JSON"),
    (b'{"a": "\xe9"}', "not UTF-8: byte 0xe9 at offset 7"), (b'{"a": 1, "a": 1}', "key 'a' comes twice"),
    (b'{"a": NaN}', "not a finite number"), (b'{"a": {"b": -Infinity}}', "not a finite"),
    (b'{"a": 1e400}', "not a finite number"),
    (b'{"a": ' + b"1" * 5000 + b"}", "an integer of 5000 digits"), (b'{"a":' * 50_000, "nested too deeply|not JSON"),
    (b'{"a":' + b"[" * 50_000, "nested too deeply|not JSON"), (b"{} {}", "not JSON"), (b"\xff\xfe{\0}\0", "not UTF-8"),
    (b'{"a": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", "nested too deeply"),
    (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "nested too deeply")])
def test_json_that_is_refused(tmp_path, data, message):
    path = tmp_path / "config.json"
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=message) as caught:
        read_json(path)
    assert str(caught.value).startswith(f"{path}: ") and len(str(caught.value).splitlines()) == 1


def test_json_that_is_right(tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(b'\xef\xbb\xbf{"max_length": 1000000000000000019884624838656, "eps": 1e-12, "x": [null, true]}')
    assert read_json(path) == {"max_length": int(1e30), "eps": 1e-12, "x": [None, True]}
    with open(path, "wb") as file:
        file.truncate(100_000_001)
    with pytest.raises(CheckpointError, match="100,000,001 bytes of JSON, more than"):
        read_json(path)


def test_types():
    assert expect_type("f", "n", 3, int) == 3 and expect_type("f", "n", 3, float) == 3
    for value, kind in ((True, int), (True, float), (3.0, int), (None, str), ([], dict)):
        with pytest.raises(CheckpointError, match=f"f: n must be of type {kind.__name__}, got {type(value).__name__}"):
            expect_type("f", "n", value, kind)


def test_the_error_is_a_value_error_of_one_line_that_can_be_pickled():
    error = CheckpointError("a/b.bin", "is wrong", "x\ny")
    assert isinstance(error, ValueError) and str(error) == r"a/b.bin: tensor 'x\ny': is wrong"
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) and (again.file, again.problem, again.tensor) == ("a/b.bin", "is wrong", "x\ny")
    assert len(str(CheckpointError("f", "p", "n" * 10_000))) < 200


def test_random_damage():
    """2,000 cases of fuzz_checkpoints; the script runs any number."""
    outcomes, slowest = run(2_000, seed=0)
    assert outcomes.total() == 2_000 and slowest < 10
    for kind in ("safetensors", "index", "zip", "legacy"):  # both happen often, or the fuzz would show nothing
        assert outcomes[kind, "loaded"] > 25 and outcomes[kind, "refused"] > 250


# ---- the parameters of a module of one's own -------------------------------------------------------------------------


def module(seed=0, size=3, dtype=np.float32):
    return FeedForward(size, 2 * size, relu, rng=np.random.default_rng(seed), std=0.1, dtype=dtype)


def test_parameters_are_saved_and_loaded(tmp_path):
    path, ours, other, wide = tmp_path / "m.safetensors", module(), module(seed=1), module(seed=1, dtype=np.float64)
    save_parameters(path, ours)
    for new in (other, wide):
        load_parameters(path, new)
        assert all((a.data == b.data).all() for a, b in zip(new.parameters(), ours.parameters(), strict=True))
    assert {p.dtype for p in wide.parameters()} == {np.dtype(np.float64)}
    other.parameters()[0].data += 1                                         # memory of its own, not that of the file


@pytest.mark.parametrize(("make", "said"), [
    (lambda: module(size=4), r"tensor 'expand.weight': is float32 \(6, 3\), the module needs .* \(8, 4\)"),
    (lambda: Linear(3, 6, rng=np.random.default_rng(0), std=0.1, dtype=np.float32),
     "tensor 'bias': only the module has it")])
def test_parameters_that_do_not_fit_change_nothing(make, said, tmp_path):
    path = tmp_path / "m.safetensors"
    save_parameters(path, module())
    other = make()
    before = [p.data.copy() for p in other.parameters()]
    with pytest.raises(CheckpointError, match=said):
        load_parameters(path, other)
    assert all((p.data == x).all() for p, x in zip(other.parameters(), before, strict=True))


def test_parameters_are_not_broadcast_and_whole_numbers_are_none(tmp_path):
    path, bias = tmp_path / "m.safetensors", {"contract.bias": np.zeros(1, np.float32)}
    arrays = {name: p.data for name, p in module().named_parameters().items()}
    for wrong in (bias, {"contract.bias": np.zeros(3, np.int64)}):
        safetensors.write(path, arrays | wrong)
        with pytest.raises(CheckpointError, match="tensor 'contract.bias': is "):
            load_parameters(path, module())
