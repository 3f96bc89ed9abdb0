"""A small torch.save: the same bytes in the same order, from NumPy arrays."""
import io
import pickle
import zipfile
from collections import OrderedDict
from typing import NamedTuple

import numpy as np

from numbert.hub import torch_pickle

KINDS = {"f8": "Double", "f4": "Float", "f2": "Half", "i8": "Long", "i4": "Int", "i2": "Short", "i1": "Char",
         "u1": "Byte", "b1": "Bool"}


class Name(NamedTuple):
    module: str
    name: str


class Calls(NamedTuple):
    function: Name
    arguments: tuple
    state: object = None


class Storage(NamedTuple):
    kind: Name
    key: str
    count: int


class Pickler(pickle._Pickler):
    """Writes names and calls as they are said, whether or not such a thing exists here."""
    legacy = False

    def persistent_id(self, value):
        if isinstance(value, Storage):
            return ("storage", value.kind, value.key, "cpu", value.count) + (None,) * self.legacy

    def save(self, value, save_persistent_id=True):
        if isinstance(value, Name):
            self.write(pickle.GLOBAL + f"{value.module}\n{value.name}\n".encode())
        elif isinstance(value, Calls):
            self.save(value.function)
            self.save(value.arguments)
            self.write(pickle.REDUCE)
            if value.state is not None:
                self.save(value.state)
                self.write(pickle.BUILD)
        else:
            super().save(value, save_persistent_id)


def dumps(value, legacy=False, protocol=2):
    file = io.BytesIO()
    pickler = Pickler(file, protocol)
    pickler.legacy = legacy
    pickler.dump(value)
    return file.getvalue()


def describe(arrays):
    """What torch.save makes of arrays: (state dict, storages by key). Views of one array share its storage."""
    roots, state = {}, OrderedDict()
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            state[name] = array
            continue
        root = array
        while isinstance(root.base, np.ndarray):
            root = root.base
        key = str(list(roots).index(id(root)) if id(root) in roots else len(roots))
        roots[id(root)] = root
        offset = array.__array_interface__["data"][0] - root.__array_interface__["data"][0]
        storage = Storage(Name("torch", KINDS[array.dtype.str[1:]] + "Storage"), key, root.size)
        strides = [stride // array.itemsize for stride in array.strides]
        state[name] = tensor(storage, offset // array.itemsize, array.shape, strides)
    return state, {str(key): root.tobytes(order="A") for key, root in enumerate(roots.values())}


def tensor(storage, offset, shape, strides, *extra):
    return Calls(Name("torch._utils", "_rebuild_tensor_v2"),
                 (storage, offset, tuple(shape), tuple(strides), False, OrderedDict(), *extra))


def save_zip(path, state, storages, byteorder=b"little", protocol=2, records=()):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", state if isinstance(state, bytes) else dumps(state, protocol=protocol))
        if byteorder is not None:
            archive.writestr("model/byteorder", byteorder)
        for key, data in storages.items():
            archive.writestr(f"model/data/{key}", data)
        archive.writestr("model/version", b"3\n")
        for record in records:
            archive.writestr(*record)


def save_legacy(path, state, storages, widths=None, protocol=2):
    facts = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    parts = [dumps(torch_pickle.MAGIC_NUMBER), dumps(1001), dumps(facts),
             state if isinstance(state, bytes) else dumps(state, True, protocol), dumps(list(storages))]
    widths = widths or {call.arguments[0].key: np.dtype(next(code for code, kind in KINDS.items() if
                        call.arguments[0].kind.name == kind + "Storage")).itemsize
                        for call in state.values() if isinstance(call, Calls)}
    parts += [(len(data) // widths[key]).to_bytes(8, "little") + data for key, data in storages.items()]
    path.write_bytes(b"".join(parts))
