"""Damage right weight files at random: each must be refused with CheckpointError, or load as a second reader reads it.

    python tests/fuzz_checkpoints.py --cases 100000 --seed 0
    python tests/fuzz_checkpoints.py --seed 0 --only 4711       (one case again, with its outcome)

The second readers, below, are short, trusting and share no code with the first: Python's json and pickle, and an
index computed for every element. They see only files that the first reader has let through.
"""
import argparse
import collections
import io
import json
import os
import pickle
import pickletools
import resource
import sys
import tempfile
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np

for folder in (Path(__file__).parents[1], Path(__file__).parent / "helpers"):     # of a script only its own is there
    sys.path.insert(0, str(folder))

from torch_save import Calls, Name, Storage, describe, dumps, save_legacy, save_zip, tensor  # noqa: E402

from numbert.hub import safetensors  # noqa: E402
from numbert.hub.checkpoint import load_weights  # noqa: E402
from numbert.hub.errors import CheckpointError  # noqa: E402

MEMORY = 2 * 2**30  # bytes of address space: a case that would take more ends in a MemoryError
WIDTHS = {"BOOL": "?", "U8": "u1", "I8": "i1", "I16": "<i2", "U16": "<u2", "F16": "<f2", "BF16": "<u2", "I32": "<i4",
          "U32": "<u4", "F32": "<f4", "F64": "<f8", "I64": "<i8", "U64": "<u8"}
STORAGES = {"FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "BFloat16Storage": "BF16",
            "LongStorage": "<i8", "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "i1", "ByteStorage": "u1",
            "BoolStorage": "?"}
NASTY = [0, 1, -1, 3, 2**31, 2**63, 2**64, 10**80, "5000 digits", True, False, None, 0.5, 2.0, float("nan"),
         float("inf"), "", "F64", "BF16", "F31", [], {}, [0], [0, 0], [[]], {"a": "b"}, "__metadata__", "../x",
         "/etc/passwd", ".", "..", "two.safetensors", "model.safetensors.index.json", "\0", "\ud800", "x" * 5000,
         "a/b.safetensors"]


# --- right files -----------------------------------------------------------------------------------------------------

def right_files(folder):
    """kind -> {file name: bytes}; for the torch formats also what they are made of."""
    rng = np.random.default_rng(0)
    table = rng.normal(size=(4, 3)).astype("f4")
    arrays = {"table": table, "tied": table, "t": table.T, "rows": table[1:3],
              "wide": np.broadcast_to(table[0], (2, 3)), "half": rng.normal(size=5).astype("f2"),
              "ids": np.arange(6).reshape(1, 6), "mask": np.array([True, False]), "scalar": np.array(2.5),
              "none": np.zeros((0, 3), "f4"), "nan": np.array([np.nan, -0.0], "f4")}
    safetensors.write(folder / "one", arrays, {"format": "pt"})
    safetensors.write(folder / "two", {"bias": np.arange(3.0)})
    whole = (folder / "one").read_bytes()
    index = {"metadata": {"total_size": 1}, "weight_map": {name: "one.safetensors" for name in arrays}}
    index["weight_map"]["bias"] = "two.safetensors"

    state, storages = describe(arrays)
    halves = Storage(Name("torch", "BFloat16Storage"), "b", 3)
    parameter = Calls(Name("torch._utils", "_rebuild_parameter"), (tensor(halves, 1, (2,), (1,)), True, {}))
    state |= {"bf16": tensor(halves, 0, (3,), (1,)), "parameter": parameter}
    storages["b"] = np.array([0x3F80, 0xC049, 0x7FC1], "<u2").tobytes()
    save_zip(folder / "zip", state, storages)
    del state["parameter"]
    save_legacy(folder / "legacy", state, storages, {call.arguments[0].key: np.dtype(
        STORAGES[call.arguments[0].kind.name].replace("BF16", "u2")).itemsize for call in state.values()})
    return {"safetensors": {"model.safetensors": whole},
            "index": {"model.safetensors.index.json": json.dumps(index).encode(), "one.safetensors": whole,
                      "two.safetensors": (folder / "two").read_bytes()},
            "zip": {"pytorch_model.bin": (folder / "zip").read_bytes()},
            "legacy": {"pytorch_model.bin": (folder / "legacy").read_bytes()}}, (dumps(state), storages)


# --- damage ----------------------------------------------------------------------------------------------------------

def damage_bytes(rng, data):
    data = bytearray(data)
    at = int(rng.integers(len(data)))
    match rng.integers(7):
        case 0 | 1:  # flip bits
            for _ in range(rng.integers(1, 4)):
                data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        case 2:  # other bytes
            data[at] = rng.integers(256)
        case 3:  # a length or an offset
            value = int(rng.choice(np.array([0, 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1, 7], np.uint64)))
            data[at:at + 8] = value.to_bytes(8, "little")[:len(data[at:at + 8])]
        case 4:
            del data[at:]
        case 5:
            del data[at:at + int(rng.integers(1, 30))]
        case 6:
            data[at:at] = data[at:at + int(rng.integers(1, 30))]
    return bytes(data)


def damage_json(rng, text):
    """Change one node somewhere in a JSON text."""
    tree = json.loads(text)
    node = tree
    while True:
        keys = list(node) if isinstance(node, dict) else range(len(node))
        if not len(keys):
            break
        key = keys[rng.integers(len(keys))]
        if isinstance(node[key], dict | list) and rng.random() < 0.8:
            node = node[key]
            continue
        match rng.integers(5):
            case 0:
                del node[key]
            case 1 if isinstance(node, dict):
                node[str(NASTY[rng.integers(len(NASTY) - 8, len(NASTY))])] = node.pop(key)
            case _ if isinstance(node[key], int) and rng.random() < 0.5:
                node[key] += int(rng.integers(-9, 10))
            case _:
                node[key] = NASTY[rng.integers(len(NASTY))]
        break
    text = json.dumps(tree).replace('"5000 digits"', "9" * 5000)
    if rng.random() < 0.1:  # a key twice
        text = text.replace(", ", ', "table": 1, ', 1)
    return text.encode()


def damage_pickle(rng, program):
    """Change, drop, repeat or swap instructions."""
    cuts = [position for _, _, position in pickletools.genops(program)] + [len(program)]
    parts = [program[a:b] for a, b in zip(cuts, cuts[1:], strict=False)]
    for _ in range(rng.integers(1, 3)):
        at, other = rng.integers(len(parts), size=2)
        match rng.integers(5):
            case 0:
                parts[at] = pickletools.opcodes[rng.integers(len(pickletools.opcodes))].code.encode("latin-1") + \
                    parts[at][1:]
            case 1:
                parts[at] = b""
            case 2:
                parts[at] = parts[at] * 2
            case 3:
                parts[at], parts[other] = parts[other], parts[at]
            case 4 if parts[at][:1] in b"KM":  # a number: a size, stride, offset or count
                number = int(rng.choice([0, 1, 2, 3, 4, 5, 6, 12, 255, 65_535, 2**31 - 1, -1]))
                parts[at] = pickle.dumps(number, 2)[2:-1]
    return b"".join(parts)


def damage_legacy(rng, data):
    """Damage one of the five pickles of a legacy file."""
    file, ends = io.BytesIO(data), [0]
    for _ in range(5):
        for _ in pickletools.genops(file):
            pass
        ends.append(file.tell())
    which = rng.choice(5, p=[0.02, 0.02, 0.06, 0.7, 0.2])
    return data[:ends[which]] + damage_pickle(rng, data[ends[which]:ends[which + 1]]) + data[ends[which + 1]:]


def damage(rng, kind, files, zip_parts, folder):
    name = list(files)[rng.integers(len(files))]
    data = files[name]
    if rng.random() < 0.4:
        data = damage_bytes(rng, data)
    elif kind == "zip":
        program, storages = zip_parts
        save_zip(folder / "damaged", damage_pickle(rng, program), storages)
        data = (folder / "damaged").read_bytes()
        (folder / "damaged").unlink()
    elif kind == "legacy":
        data = damage_legacy(rng, data)
    elif name.endswith(".json"):
        data = damage_json(rng, data)
    else:
        start = 8 + int.from_bytes(data[:8], "little")
        header = damage_json(rng, data[8:start])
        data = len(header).to_bytes(8, "little") + header + data[start:]
    return files | {name: data}


# --- second readers: name -> (shape, dtype, bytes) -------------------------------------------------------------------

def widen(values):
    return (values.astype(np.uint32) << 16).view(np.float32)


def trust_safetensors(data):
    start = 8 + int.from_bytes(data[:8], "little")
    result = {}
    for name, entry in json.loads(data[8:start]).items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            values = np.frombuffer(data[start:][begin:end], WIDTHS[entry["dtype"]])
            values = widen(values) if entry["dtype"] == "BF16" else values
            result[name] = tuple(entry["shape"]), values.dtype, values.tobytes()
    return result


def trust_index(files):
    shards = {name: trust_safetensors(data) for name, data in files.items() if name.endswith(".safetensors")}
    weight_map = json.loads(files["model.safetensors.index.json"])["weight_map"]
    return {name: shards[shard][name] for name, shard in weight_map.items()}


class Trusting(pickle._Unpickler):
    """Python's own machine, with PyTorch's functions played by functions of this file.

    The one in Python: that in C makes its memo as long as the highest place in it, and one PUT can say 2**32 - 1.
    """

    def __init__(self, file, storage_bytes):
        super().__init__(file)
        self.storage_bytes = storage_bytes

    def find_class(self, module, name):
        class OrderedDict(collections.OrderedDict):
            __setstate__ = None
        OrderedDict.__setstate__ = lambda self, state: None
        return {"OrderedDict": OrderedDict, "_rebuild_tensor_v2": self.rebuild, "_rebuild_parameter": lambda t, *_: t,
                }.get(name, name)

    def persistent_load(self, key):
        _, kind, key, _, count = key[:5]
        return STORAGES[kind], key, count

    def rebuild(self, storage, offset, shape, strides, *_):
        return storage, offset, shape, strides


def trust_windows(state, storages, byteorder="little"):
    result = {}
    for name, ((kind, key, _), offset, shape, strides) in state.items():
        values = np.frombuffer(storages[key], "<u2" if kind == "BF16" else kind)
        if byteorder == "big":
            values = values.byteswap()
        values = widen(values) if kind == "BF16" else values
        if 0 in shape:  # (0, 2**31 - 1) has no elements, and np.indices would count to 2**31
            result[name] = tuple(shape), values.dtype, b""
            continue
        places = np.full(shape, offset)
        for axis, stride in zip(np.indices(shape, sparse=True), strides, strict=True):
            places = places + axis * (stride if axis.size > 1 else 0)
        result[name] = tuple(shape), values.dtype, values[places].tobytes()
    return result


def trust_zip(data):
    records = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            with archive.open(info) as record:
                record._expected_crc = None
                records[info.filename.partition("/")[2]] = record.read()
    state = Trusting(io.BytesIO(records["data.pkl"]), None).load()
    storages = {name.removeprefix("data/"): data for name, data in records.items()}
    return trust_windows(state, storages, records.get("byteorder", b"little").decode())


def trust_legacy(data):
    file = io.BytesIO(data)
    for _ in range(3):
        pickle._Unpickler(file).load()
    state = Trusting(file, None).load()
    widths = {key: np.dtype("u2" if kind == "BF16" else kind).itemsize for (kind, key, _), *_ in state.values()}
    storages = {}
    for key in pickle._Unpickler(file).load():
        storages[key] = file.read(int.from_bytes(file.read(8), "little") * widths[key])
    return trust_windows(state, storages)


def trust(kind, files):
    if kind == "index":
        return trust_index(files)
    (data,) = files.values()
    return {"safetensors": trust_safetensors, "zip": trust_zip, "legacy": trust_legacy}[kind](data)


# --- the comparison --------------------------------------------------------------------------------------------------

def one_case(seed, case, right, zip_parts, folder, measure=False):
    """(kind, outcome) with outcome "loaded" or the complaint; anything else that happens is raised."""
    rng = np.random.default_rng([seed, case])
    kind = list(right)[case % len(right)]
    files = damage(rng, kind, right[kind], zip_parts, folder)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    try:
        if measure:
            tracemalloc.start()
        try:
            arrays = load_weights(folder)
        except CheckpointError as error:
            assert str(error).startswith(str(folder)) and len(str(error).splitlines()) == 1, str(error)
            return kind, str(error).removeprefix(str(folder))
        finally:
            if measure:
                peak = tracemalloc.get_traced_memory()[1]
                tracemalloc.stop()
                assert peak < 200_000 + 50 * sum(map(len, files.values())), f"{peak:,} bytes of memory"
        expected = trust(kind, files)
        assert list(arrays) == list(expected), "other names"
        for name, array in arrays.items():
            assert (array.shape, array.dtype, array.tobytes()) == expected[name], f"other values in {name!r}"
        return kind, "loaded"
    finally:
        for name in files:
            (folder / name).unlink()


def run(cases, seed, only=None):
    """Outcomes by kind: (kind, loaded or refused) -> how many. A case that fails raises with its number."""
    shared_memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    outcomes, slowest = collections.Counter(), 0.0
    with tempfile.TemporaryDirectory(dir=shared_memory) as folder:
        folder = Path(folder)
        right, zip_parts = right_files(folder)
        for kind, files in right.items():
            assert trust(kind, files)
        for path in folder.iterdir():
            path.unlink()
        for case in range(cases) if only is None else [only]:
            begin = time.perf_counter()
            try:
                kind, outcome = one_case(seed, case, right, zip_parts, folder, measure=case % 50 == 0)
            except BaseException as error:
                error.add_note(f"--seed {seed} --only {case}") if hasattr(error, "add_note") else print("case", case)
                raise
            slowest = max(slowest, time.perf_counter() - begin)
            outcomes[kind, "loaded" if outcome == "loaded" else "refused"] += 1
            if only is not None:
                print(kind, outcome)
    return outcomes, slowest


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int)
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    begin = time.perf_counter()
    outcomes, slowest = run(options.cases, options.seed, options.only)
    for (kind, outcome), count in sorted(outcomes.items()):
        print(f"{kind:12} {outcome:8} {count:7,}")
    print(f"{outcomes.total():,} cases in {time.perf_counter() - begin:.0f} s, the slowest {slowest:.2f} s")


if __name__ == "__main__":
    main()
