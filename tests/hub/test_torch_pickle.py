import io
import os
import pickle
import tracemalloc
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
from torch_save import KINDS, Calls, Name, Storage, describe, dumps, save_legacy, save_zip, tensor

from numbert.hub import torch_pickle
from numbert.hub import unpickle as unpickle_module
from numbert.hub.errors import CheckpointError
from numbert.hub.unpickle import unpickle


def widths_for(save, width):
    """What save_legacy needs to be told when its state dict is already pickled."""
    return {"widths": {"0": width}} if save is save_legacy else {}


SAVE = {"zip": save_zip, "legacy": save_legacy}
both_formats = pytest.mark.parametrize("save", SAVE.values(), ids=SAVE.keys())


def some_arrays():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(5, 4)).astype(np.float32)
    arrays = {code: rng.integers(0, 2, (2, 3)).astype(code) for code in KINDS}
    return arrays | {
        "table": table, "tied": table, "transposed": table.T, "rows": table[1:3], "every other": table[::2, 1::2],
        "expanded": np.broadcast_to(table[0, 1:2, None], (3, 2)), "overlapping":
            np.ndarray((4, 6), "f4", table, 4, (8, 4)), "diagonal": np.diagonal(table),
        "scalar": np.array(7), "of the table": table[4, 3, ...], "none": np.zeros((0, 3), np.float32),
        "nan": np.array([np.nan, -0.0, np.inf])}


# --- right files -----------------------------------------------------------------------------------------------------

@both_formats
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_arrays_come_back(tmp_path, save, protocol):
    arrays = some_arrays()
    save(tmp_path / "x", *describe(arrays), protocol=protocol)
    read = torch_pickle.read(tmp_path / "x")
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype and read[name].shape == array.shape, name
        assert read[name].tobytes() == array.tobytes() and not read[name].flags.writeable, name
    assert np.shares_memory(read["table"], read["tied"]) and np.shares_memory(read["table"], read["of the table"])
    assert read["transposed"].strides == (4, 16) and read["expanded"].strides == (0, 0)


def test_bfloat16_and_parameters_and_hidden_state(tmp_path):
    halves = np.array([0x3F80, 0xC049, 0x7FC1], "<u2")
    storage = Storage(Name("torch.cuda", "BFloat16Storage"), "0", 3)
    parameter = Calls(Name("torch._utils", "_rebuild_parameter"), (tensor(storage, 1, (2,), (1,)), True, OrderedDict()))
    ordered = Name("collections", "OrderedDict")
    state = Calls(ordered, (), {"_metadata": Calls(ordered, (), {"version": 1})})
    # The items follow the attributes here, as if an OrderedDict were filled after BUILD; torch does it in either order.
    whole = dumps(state)[:-1] + dumps({"a": tensor(storage, 0, (3,), (1,)), "b": parameter})[3:-1] + b"."
    save_zip(tmp_path / "x", whole, {"0": halves.tobytes()})
    read = torch_pickle.read(tmp_path / "x")
    assert read["a"].dtype == np.float32 and np.shares_memory(read["a"], read["b"])
    assert (read["a"].view(np.uint32) == halves.astype(np.uint32) << 16).all()
    assert read["b"][0] == -3.140625 and not read["a"].flags.writeable


@both_formats
def test_wide_unsigned_integers(tmp_path, save):
    storage = Storage(Name("torch.storage", "UntypedStorage"), "0", 9)
    call = Calls(Name("torch._utils", "_rebuild_tensor_v3"),
                 (storage, 1, (2,), (2,), False, OrderedDict(), Name("torch", "uint16")))
    save(tmp_path / "x", dumps({"a": call}, save is save_legacy),
         {"0": np.arange(65_531, 65_535, dtype="<u2").tobytes() + b"!"}, **widths_for(save, 1))
    array = torch_pickle.read(tmp_path / "x")["a"]
    assert array.dtype == np.uint16 and array.tolist() == [65_532, 65_534]


def test_byte_order(tmp_path):
    state, _ = describe({"a": np.array([1.5, -2], "f4")})
    save_zip(tmp_path / "x", state, {"0": np.array([1.5, -2], ">f4").tobytes()}, byteorder=b"big")
    array = torch_pickle.read(tmp_path / "x")["a"]
    assert array.dtype == np.dtype("f4") and array.dtype.isnative and array.tolist() == [1.5, -2]
    save_zip(tmp_path / "x", state, {"0": np.array([1.5, -2], "<f4").tobytes()}, byteorder=None)
    assert torch_pickle.read(tmp_path / "x")["a"].tolist() == [1.5, -2]
    save_zip(tmp_path / "x", state, {"0": bytes(8)}, byteorder=b"middle")
    with pytest.raises(CheckpointError, match="byteorder must be little or big, got b'middle'"):
        torch_pickle.read(tmp_path / "x")


@pytest.mark.parametrize("zipped", [True, False])
def test_torch_agrees(tmp_path, zipped):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    table = torch.randn(6, 4)
    dtypes = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
              torch.int8, torch.uint8, torch.bool]
    if zipped:  # torch writes these to legacy files, and cannot read them back
        dtypes += [torch.uint16, torch.uint32, torch.uint64]
    state = OrderedDict({str(dtype): torch.randint(0, 2, (3, 2)).to(dtype) for dtype in dtypes})
    state |= {"table": table, "tied": table, "t": table.t(), "rows": table[2:4], "step": table[::2, 1::3],
              "expanded": torch.randn(1).expand(3, 4), "row": torch.randn(1, 5).expand(7, 5),
              "scalar": torch.tensor(3.0), "cell": table[5, 3], "none": torch.empty(0, 3),
              "end": table.view(-1)[24:], "bf": torch.randn(9).bfloat16(),
              "parameter": torch.nn.Parameter(torch.randn(3)), "half": torch.nn.Parameter(torch.randn(3, 2).half().t()),
              "over": torch.as_strided(table, (4, 6), (2, 1), 1), "nan": torch.tensor([float("nan"), -0.0])}
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    for number, saved in enumerate((state, dict(state), model.state_dict())):
        for protocol in (2, 4):
            path = tmp_path / f"{number}.{protocol}"
            torch.save(saved, path, _use_new_zipfile_serialization=zipped, pickle_protocol=protocol)
            loaded, read = torch.load(path, weights_only=False), torch_pickle.read(path)
            assert list(read) == list(loaded)
            for name, value in loaded.items():
                value = value.detach()
                assert read[name].dtype == (value.float() if value.dtype == torch.bfloat16 else value).numpy().dtype
                expected = (value.float() if value.dtype == torch.bfloat16 else value).contiguous().numpy()
                assert read[name].shape == expected.shape and read[name].tobytes() == expected.tobytes(), name
                if value.numel() and value.dtype != torch.bfloat16:
                    assert all(ours == theirs * value.element_size() for ours, theirs, n in
                               zip(read[name].strides, value.stride(), value.shape, strict=True) if n > 1)


@both_formats
def test_torch_reads_the_files_of_these_tests(tmp_path, save):
    torch = pytest.importorskip("torch")
    arrays = some_arrays()
    save(tmp_path / "x", *describe(arrays))
    for name, value in torch.load(tmp_path / "x", weights_only=True).items():
        assert value.contiguous().numpy().tobytes() == arrays[name].tobytes()


# --- pickles that would do something ---------------------------------------------------------------------------------

@both_formats
@pytest.mark.parametrize("module, name", [
    ("os", "system"), ("posix", "system"), ("builtins", "eval"), ("builtins", "getattr"), ("functools", "partial"),
    ("torch", "load"), ("torch._utils", "_rebuild_tensor_v2.__globals__"), ("torch.storage", "_load_from_bytes"),
    ("numpy.core.multiarray", "_reconstruct"), ("collections", "OrderedDict.fromkeys"), ("collections", "defaultdict"),
    ("numbert.hub.unpickle", "Call"), ("__main__", "Config")])
def test_a_call_is_refused_by_name_and_never_made(tmp_path, save, module, name):
    state, storages = describe({"ok": np.zeros(2)})
    state["weight"] = Calls(Name(module, name), (f"touch {tmp_path}/harm",))
    save(tmp_path / "x", dumps(state, save is save_legacy), storages, **widths_for(save, 8))
    with pytest.raises(CheckpointError, match=f"tensor 'weight': .* names '{module}.{name}'"):
        torch_pickle.read(tmp_path / "x")
    assert os.listdir(tmp_path) == ["x"]


def run(program, known=torch_pickle.KNOWN):
    return unpickle(io.BytesIO(program), "x.bin", known)


def refused(program, message, known=torch_pickle.KNOWN):
    with pytest.raises(CheckpointError, match=message) as caught:
        run(program, known)
    assert len(str(caught.value)) < 300 and len(str(caught.value).splitlines()) == 1
    return caught.value


def test_stack_global_and_old_ways_to_call():
    refused(b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "names 'os.system'")
    refused(b"\x80\x04K\1\x8c\x06system\x93.", "a name that is not text")
    refused(b"(S'ls'\nios\nsystem\n.", "instruction STRING|instruction INST")
    refused(b"(cos\nsystem\no.", "names 'os.system'")
    refused(b"(X\2\0\0\0lsccollections\nOrderedDict\no.", "instruction OBJ")
    refused(b"ccollections\nOrderedDict\n)\x81.", "instruction NEWOBJ")
    refused(b"\x82\1.", "instruction EXT1")
    refused(b"X\2\0\0\0ls)R.", "would call a str")
    refused(b"ccollections\nOrderedDict\n)R)R.", "would call a dict")
    refused(b"ccollections\nOrderedDict\n}X\2\0\0\0lsK\1sb.", "sets attributes of a Global")
    refused(b"]}b.", "sets attributes of a list")


def test_attributes_are_dropped_and_change_nothing():
    items = b"}X\5\0\0\0items}sX\3\0\0\0popK\1s"
    for state in (items, b"N" + items + b"\x86"):
        value = run(b"ccollections\nOrderedDict\n)RX\1\0\0\0aK\5s" + state + b"b.")
        assert value == {"a": 5} and type(value) is dict


@pytest.mark.parametrize("program, message", [
    (b"", "exhausted"), (b".", "lacks its operands"), (b"\x80\2", "exhausted"), (b"q\0.", "lacks its operands"),
    (b"h\0.", "nothing was put at place 0"), (b"N\x86.", "lacks its operands"), (b"t.", "lacks its operands"),
    (b"}(NNu.", "key of type NoneType"), (b"}(K\1u.", "items without a dict"), (b"](K\1K\2u.", "items without a dict"),
    (b"}K\1a.", "values without a list"), (b"}X\1\0\0\0aNX\1\0\0\0aN(u.", "lacks|without"), (b"\xff.", "unknown"),
    (b"}(X\1\0\0\0aNX\1\0\0\0aNu.", "key 'a' comes twice"), (b"X\1\0\0\0\xff.", "utf-8"), (b"NQR.", "lacks"),
    (b"N0.", "instruction POP "), (b"}2.", "instruction DUP"), (b"I" + b"9" * 10_000 + b"\n.", "INT|limit")])
def test_damaged_pickles(program, message):
    refused(program, message)


STEPS = 20_000  # in place of MAX_STEPS, to be quick
DEEP = STEPS // 2 - 10
BOMBS = {
    "bytes of 2**62": b"\x8e" + (2**62).to_bytes(8, "little") + b"x.",
    "text of 2**62": b"\x8d" + (2**62).to_bytes(8, "little") + b"x.",
    "text of 2**64 - 1": b"\x8d" + b"\xff" * 8 + b"x.",
    "text of 4 GB": b"X\xff\xff\xff\xffx.",
    "bytearray": b"\x96" + (2**62).to_bytes(8, "little") + b"x.",
    "integer of 2 GB": b"\x8b\xff\xff\xff\x7fx.",
    "frame of 2**62": b"\x95" + (2**62).to_bytes(8, "little") + b"N0.",
    "memo place 2**32 - 1, the last": b"Nr\xff\xff\xff\xff0.",
    "many lists": b"]" * (2 * STEPS),
    "many marks": b"(" * (2 * STEPS),
    "lists in lists": b"]" * DEEP + b"a" * (DEEP - 1) + b"0.",
    "tuples in tuples": b")" + b"\x85" * DEEP + b"0.",
    "tuples in tuples as a key": b"})" + b"\x85" * DEEP + b"Ns.",
    "references to references": b"N" + b"Q" * DEEP + b"0.",
    "dicts in dicts": b"}" + b"X\1\0\0\0a}" * (DEEP // 2) + b"s" * (DEEP // 2 + 2) + b".",
    "doubling lists": b"]q\0" + b"".join(b"](h%ch%ceq%c" % (n, n, n + 1) for n in range(200)) + b"0.",
    "doubling tuples": b"Nq\0" + b"".join(b"h%ch%c\x86q%c" % (n, n, n + 1) for n in range(200)) + b"0.",
    "a list in itself": b"]q\0h\0a0.",
    "copies of a long list": b"](" + b"N" * 9_000 + b"eq\0" + b"ccollections\nOrderedDict\nh\0\x85R" * 2_000 + b"0.",
    "keys that collide": b"}(" + b"".join(b"\x8a\x10" + (n * (2**61 - 1)).to_bytes(16, "little") + b"N"
                                          for n in range(1, 9_000)) + b"u.",
}


@pytest.mark.parametrize("program", BOMBS.values(), ids=BOMBS.keys())
def test_bombs(monkeypatch, program):
    monkeypatch.setattr(unpickle_module, "MAX_STEPS", STEPS)
    tracemalloc.start()
    refused(program, "x.bin: .*pickle refused")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200 * STEPS


def test_a_bomb_inside_a_state_dict(tmp_path):
    lists = b"]q\0" + b"".join(b"](h%ch%ceq%c" % (n, n, n + 1) for n in range(200))
    save_zip(tmp_path / "x", b"}X\1\0\0\0a(" + lists + b"ts.", {})
    with pytest.raises(CheckpointError, match="tensor 'a': must be a tensor as torch.save describes it, got tuple"):
        torch_pickle.read(tmp_path / "x")


def test_a_tower_that_is_taken_down_again():
    value = run(b")" + b"\x85" * (unpickle_module.MAX_STEPS - 2) + b".")
    assert type(value) is tuple
    refused(b")" + b"\x85" * (unpickle_module.MAX_STEPS - 1) + b".", "more than 250,000 instructions")
    del value


# --- descriptions that do not fit the storages -----------------------------------------------------------------------

FLOATS = Storage(Name("torch", "FloatStorage"), "0", 6)
WRONG = {
    "past the end": (tensor(FLOATS, 1, (2, 3), (3, 1)), "its last element is number 6 of a storage of 6"),
    "stride": (tensor(FLOATS, 0, (2, 3), (4, 1)), "its last element is number 6"),
    "scalar past the end": (tensor(FLOATS, 6, (), ()), "its last element is number 6"),
    "negative stride": (tensor(FLOATS, 5, (6,), (-1,)), "must be integers"),
    "negative offset": (tensor(FLOATS, -1, (1,), (1,)), "must be integers"),
    "negative shape": (tensor(FLOATS, 0, (-2, -3), (3, 1)), "must be integers"),
    "boolean": (tensor(FLOATS, 0, (True,), (1,)), "must be integers"),
    "fraction": (tensor(FLOATS, 0, (2.0,), (1,)), "must be integers"),
    "huge": (tensor(FLOATS, 0, (2**70,), (0,)), "must be integers"),
    "text": (tensor(FLOATS, "0", (2,), (1,)), "must be integers"),
    "lengths differ": (tensor(FLOATS, 0, (2, 3), (1,)), "tuples of one length"),
    "no tuple": (tensor(FLOATS, 0, (2,), (1,))._replace(arguments=(FLOATS, 0, [2], [1], False, None)), "tuples of one"),
    "65 dimensions": (tensor(FLOATS, 0, (1,) * 65, (1,) * 65), "65 dimensions"),
    "repeated for ever": (tensor(FLOATS, 0, (2**40,), (0,)), "repeats its 6 elements to more"),
    "repeated beyond counting": (tensor(FLOATS, 0, (2**40, 2**40), (0, 0)), "repeats its 6 elements to more"),
    "wide zero": (tensor(FLOATS, 0, (0, 2**62, 2**62), (1, 1, 1)), "NumPy cannot hold"),
    "count too large": (tensor(FLOATS._replace(count=7), 0, (2,), (1,)), "storage '0'"),
    "count too small": (tensor(FLOATS._replace(count=5), 0, (2,), (1,)), "storage '0'"),
    "count huge": (tensor(FLOATS._replace(count=2**62), 0, (2,), (1,)), "storage '0'"),
    "no count": (tensor(FLOATS._replace(count=None), 0, (2,), (1,)), "must be integers"),
    "other width": (tensor(FLOATS._replace(kind=Name("torch", "DoubleStorage")), 0, (2,), (1,)), "storage '0'"),
    "other key": (tensor(FLOATS._replace(key="1"), 0, (2,), (1,)), "storage '1' is missing|what storage '0' holds"),
    "path as key": (tensor(FLOATS._replace(key="../data.pkl"), 0, (1,), (1,)), "missing|what storage '0' holds"),
    "number as key": (tensor(FLOATS._replace(key=0), 0, (2,), (1,)), "must be a tensor"),
    "not a storage class": (tensor(FLOATS._replace(kind=Name("torch", "uint16")), 0, (2,), (1,)), "must be a tensor"),
    "untyped": (tensor(FLOATS._replace(kind=Name("torch.storage", "UntypedStorage")), 0, (2,), (1,)), "must be a ten"),
    "negated": (tensor(FLOATS, 0, (2,), (1,), {"neg": True}), "kind of view"),
    "few arguments": (Calls(Name("torch._utils", "_rebuild_tensor_v2"), (FLOATS, 0)), "must be a tensor"),
    "no storage": (tensor(None, 0, (2,), (1,)), "must be a tensor"),
    "parameter of nothing": (Calls(Name("torch._utils", "_rebuild_parameter"), (1, 2, 3)), "must be a tensor"),
    "storage itself": (FLOATS, "must be a tensor as torch.save describes it, got Persistent"),
    "number": (3, "must be a tensor as torch.save describes it, got int"),
    "state dict in a dict": (OrderedDict(a=3), "must be a tensor as torch.save describes it, got dict"),
}


@both_formats
@pytest.mark.parametrize("value, message", WRONG.values(), ids=WRONG.keys())
def test_wrong_descriptions(tmp_path, save, value, message):
    data = {"0": np.arange(6, dtype="<f4").tobytes()}
    save(tmp_path / "x.bin", dumps({"the weight": value}, save is save_legacy), data, **widths_for(save, 4))
    with pytest.raises(CheckpointError, match=message) as caught:
        torch_pickle.read(tmp_path / "x.bin")
    assert str(caught.value).startswith(f"{tmp_path / 'x.bin'}: ") and len(str(caught.value).splitlines()) == 1
    if "what storage" not in str(caught.value):
        assert caught.value.tensor == "the weight"


def test_bool_of_2(tmp_path):
    save_zip(tmp_path / "x", describe({"a": np.zeros(3, bool)})[0], {"0": b"\0\1\2"})
    with pytest.raises(CheckpointError, match="tensor 'a': byte 0x02"):
        torch_pickle.read(tmp_path / "x")


def test_not_a_state_dict(tmp_path):
    for value, message in (([1], "must hold a dict of tensors, holds a list"), (None, "NoneType")):
        save_zip(tmp_path / "x", dumps(value), {})
        with pytest.raises(CheckpointError, match=message):
            torch_pickle.read(tmp_path / "x")
    for data, message in ((b"hello", "neither of the formats"), (pickle.dumps({"a": 1}, 2), "not of torch.save"),
                          (dumps(torch_pickle.MAGIC_NUMBER) + dumps(1002), "unknown protocol version")):
        (tmp_path / "x").write_bytes(data)
        with pytest.raises(CheckpointError, match=message):
            torch_pickle.read(tmp_path / "x")


# --- containers that lie ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("record, message", [
    (("/etc/passwd", b"x"), "not a plain path"), (("model/../../x", b"x"), "not a plain path"),
    (("model/data/..", b"x"), "not a plain path"), (("model\\data\\7", b"x"), "not a plain path"),
    (("other/data.pkl", b"x"), "got 2"), (("a/b/data.pkl", b"x"), "got 2"),
    (("model/data/0", b"x" * 48), "stands in the archive twice"),
    (("model/bomb", b"\0" * 10_000_000, zipfile.ZIP_DEFLATED), "is compressed")])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_zip_records(tmp_path, record, message):
    save_zip(tmp_path / "x", *describe({"a": np.arange(6.0)}), records=[record])
    with pytest.raises(CheckpointError, match=message):
        torch_pickle.read(tmp_path / "x")


def central(data, name):
    """Where the archive's own entry for a record begins; the fields are counted from there."""
    at = data.rindex(name.encode()) - 46
    assert data[at:at + 4] == b"PK\1\2"
    return at


@pytest.mark.parametrize("record, field, value, message", [
    ("model/data/0", 20, (47).to_bytes(4, "little"), "compressed"),  # sizes differ
    ("model/data/0", 20, (47).to_bytes(4, "little") * 2, "should hold 6 elements of 8 bytes, holds 47"),
    ("model/data/0", 20, (2**30).to_bytes(4, "little") * 2, "runs past the end|verlap"),
    ("model/data/0", 10, b"\x08\0", "compressed"), ("model/data/0", 10, b"\x63\0", "compressed|damaged"),
    ("model/data/0", 8, b"\1\0", "encrypted"), ("model/data/0", 8, b"\x20\0", "or a patch: flags 0x0020"),
    ("model/data/0", 42, b"\0\0\0\0", "another record|verlap"),
    ("model/data/0", 42, b"\1\0\0\0", "does not begin where|verlap"),
    ("model/data/0", 42, b"\0\0\0\x7f", "does not begin where|damaged|verlap"),
    ("model/data/0", 46 + 11, b"1", "another record stands"), ("model/data.pkl", 46 + 6, b"DATA", "got 0"),
    ("model/data.pkl", 20, (9).to_bytes(4, "little") * 2, "the pickle ends at byte")])
def test_zip_directories_that_lie(tmp_path, record, field, value, message):
    save_zip(tmp_path / "x", *describe({"a": np.arange(6.0)}))
    data = bytearray((tmp_path / "x").read_bytes())
    at = central(data, record) + field
    data[at:at + len(value)] = value
    if "DATA" in str(value):  # in both places
        data[:] = data.replace(b"model/data.pkl", b"model/DATA.pkl")
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(CheckpointError, match=message):
        torch_pickle.read(tmp_path / "x")


def test_records_inside_each_other(tmp_path):
    """Many storages that all reach to the end of the file would become that many copies in float32."""
    inner = b"PK\3\4" + bytes(22) + len(b"model/data/1").to_bytes(2, "little") + bytes(2) + b"model/data/1" + bytes(8)
    storage = Storage(Name("torch", "BFloat16Storage"), "0", len(inner) // 2)
    save_zip(tmp_path / "x", {"a": tensor(storage, 0, (1,), (1,))}, {"0": inner, "1": bytes(8)})
    data = bytearray((tmp_path / "x").read_bytes())
    assert torch_pickle.read(tmp_path / "x")["a"][0] > 0
    at = central(data, "model/data/1") + 42
    data[at:at + 4] = data.index(inner).to_bytes(4, "little")
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(CheckpointError, match="verlap"):
        torch_pickle.read(tmp_path / "x")


def test_a_pickle_and_its_record_end_together(tmp_path):
    state, storages = describe({"a": np.arange(6.0)})
    save_zip(tmp_path / "x", dumps(state) + b"!", storages)
    with pytest.raises(CheckpointError, match="the pickle ends at byte .*, its record at"):
        torch_pickle.read(tmp_path / "x")


def test_a_record_that_calls_itself_compressed(tmp_path):
    save_zip(tmp_path / "x", *describe({"a": np.arange(6.0)}))
    data = bytearray((tmp_path / "x").read_bytes())
    data[data.index(b"model/data/0") - 30 + 8] = 8
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(CheckpointError, match="does not begin where the archive says"):
        torch_pickle.read(tmp_path / "x")


@both_formats
def test_every_beginning_of_a_file(tmp_path, save):
    save(tmp_path / "whole", *describe({"a": np.arange(6.0), "b": np.zeros((2, 2), bool)}))
    data = (tmp_path / "whole").read_bytes()
    for length in range(len(data)):
        path = tmp_path / str(length)  # a new file each time is much faster than the same one
        path.write_bytes(data[:length])
        with pytest.raises(CheckpointError):
            torch_pickle.read(path)


def test_legacy_storages_that_lie(tmp_path):
    path = tmp_path / "x"
    state, storages = describe({"a": np.arange(6.0), "b": np.arange(3, dtype="i2")})
    save_legacy(path, state, storages)
    good = path.read_bytes()
    assert torch_pickle.read(path)["b"].tolist() == [0, 1, 2]
    for data, message in (
            (good + b"!", "1 bytes follow the last storage"),
            (good.replace(b"\6" + bytes(7) + bytes(8), b"\xff" * 8 + bytes(8)), "says 18446744073709551615"),
            (good.replace(dumps(["0", "1"]), dumps(["0", "0"])), "different texts"),
            (good.replace(dumps(["0", "1"]), dumps(["0", 1])), "different texts"),
            (good.replace(dumps(["0", "1"]), dumps("01")), "different texts"),
            (good.replace(dumps(["0", "1"]), dumps(["0", "1", "2"])), "what storage '2' holds"),
            (good[:-14].replace(dumps(["0", "1"]), dumps(["0"])), "tensor 'b': its storage '1' is missing")):
        assert data != good
        path.write_bytes(data)
        with pytest.raises(CheckpointError, match=message):
            torch_pickle.read(path)


def test_nothing_is_read_before_it_is_used(tmp_path):
    for save in SAVE.values():
        save(tmp_path / "x", *describe({"a": np.arange(2**21, dtype="f8")}))
        tracemalloc.start()
        array = torch_pickle.read(tmp_path / "x")["a"]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 200_000 and array[-1] == 2**21 - 1
