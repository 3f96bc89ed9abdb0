"""`pytorch_model.bin` without PyTorch: the state dicts that `torch.save` writes.

Such a file has two parts: a pickle that describes the tensors, and the storages, plain runs of numbers. A tensor is
a window onto a storage: where it begins (offset), its shape, and how many elements lie between neighbours along each
dimension (strides). A transposed matrix has the strides of the original in reverse; tied weights are two windows
onto one storage. In the pickle:

    {name: torch._utils._rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks), ...}

where storage is a reference, ("storage", its class, its key, device, number of elements); _v3 is for a storage
without a dtype, which comes last then, and a parameter wraps such a call in another. Two containers exist:

    zip      (PyTorch 1.6 on) an uncompressed zip archive: NAME/data.pkl, NAME/data/KEY for each storage, and
             NAME/byteorder, "little" or "big"
    legacy   five pickles one after the other: a magic number, the protocol version, facts about the machine, the
             state dict, the list of storage keys; then, for each of these keys, the number of elements in 8 bytes
             and the elements. Always lowest byte first.

The pickle is read, not run: see `unpickle`. Source: torch/serialization.py and torch/_utils.py of PyTorch.
"""
from __future__ import annotations

import math
import struct
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .errors import CheckpointError, map_file, quoted
from .safetensors import DTYPES, MAX_DIMENSIONS, decode
from .unpickle import Call, Global, Persistent, unpickle

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001
ZIP_FLAGS = 0x808  # these two do not change the data: sizes follow the record, the name is UTF-8
MAX_REPEATED = 2**26  # bytes; the most that a tensor may look like by repeating its elements (a stride of 0)

# What the pickle may name; for a storage class or a dtype of PyTorch, what it is called in safetensors.
_KINDS = {"Double": "F64", "Float": "F32", "Half": "F16", "BFloat16": "BF16", "Long": "I64", "Int": "I32",
             "Short": "I16", "Char": "I8", "Byte": "U8", "Bool": "BOOL"}
STORAGES = {f"{module}.{kind}Storage": dtype for kind, dtype in _KINDS.items() for module in ("torch", "torch.cuda")}
UNTYPED = "torch.storage.UntypedStorage"
UNTYPED_DTYPES = {"torch.uint16": "U16", "torch.uint32": "U32", "torch.uint64": "U64"}
KNOWN = {"collections.OrderedDict", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3",
         "torch._utils._rebuild_parameter", *STORAGES, UNTYPED, *UNTYPED_DTYPES}


class StorageWindow(NamedTuple):
    """A tensor as the pickle describes it."""
    key: str  # of its storage
    count: int  # of the elements of its storage
    width: int  # of one of them, in bytes
    dtype: str  # one of safetensors.DTYPES
    offset: int  # in elements of that dtype, as are the strides
    shape: tuple
    strides: tuple


def read(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a state dict by name, in the file's order.

    Arrays are read-only, in their own dtype (BF16 becomes float32), with the strides they were saved with; tensors
    that shared a storage share memory, and where this machine can use the file's bytes they are views of the mapped
    file. Raises CheckpointError for whatever is not a dict of tensors; nothing in the file is ever executed.
    """
    data = map_file(path)
    if data[:4] == b"PK\x03\x04":
        windows, storages, byteorder = _read_zip(path, data)
    elif data[:1] == b"\x80":
        windows, storages, byteorder = *_read_legacy(path, data), "<"
    else:
        raise CheckpointError(path, "neither of the formats of torch.save: not a zip archive, not a pickle")

    elements, arrays = {}, {}
    for name, window in windows.items():
        if window.key not in storages:
            raise CheckpointError(path, f"its storage {quoted(window.key)} is missing", name)
        raw = storages[window.key]
        if raw.size // window.width != window.count:
            raise CheckpointError(path, f"its storage {quoted(window.key)} should hold {window.count} elements of "
                                        f"{window.width} bytes, holds {raw.size} bytes", name)
        storage = window.key, window.dtype  # decoded once, however many tensors share it
        if storage not in elements:
            whole = raw.size // _width(window.dtype) * _width(window.dtype)
            elements[storage] = decode(path, name, raw[:whole], window.dtype, byteorder)
        arrays[name] = _look_through(path, name, window, elements[storage])
    return arrays


def _read_zip(path, data):
    """(name -> StorageWindow, key -> bytes, byte order) of the zip format."""
    records = _zip_records(path, data)
    folders = {name.removesuffix("/data.pkl") for name in records if name.endswith("/data.pkl")}
    if len(folders) != 1:
        raise CheckpointError(path, f"the archive must hold one record NAME/data.pkl, got {len(folders)}")
    folder = folders.pop()
    start, end = records[f"{folder}/data.pkl"]
    data.seek(start)
    windows = _read_windows(path, data)
    if data.tell() != end:
        raise CheckpointError(path, f"the pickle ends at byte {data.tell()}, its record at {end}")

    start, end = records.get(f"{folder}/byteorder", (0, 0))
    byteorder = {b"little": "<", b"big": ">", b"": "<"}.get(data[start:end])
    if byteorder is None:
        raise CheckpointError(path, f"byteorder must be little or big, got {quoted(data[start:end])}")
    raw = np.frombuffer(data, np.uint8)
    prefix = f"{folder}/data/"
    storages = {name.removeprefix(prefix): raw[start:end] for name, (start, end) in records.items()
                if name.startswith(prefix)}
    return windows, storages, byteorder


def _zip_records(path, data):
    """Where each record of the archive begins and ends in the file, by name. Checksums are not looked at."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, OSError, struct.error) as error:
        raise CheckpointError(path, f"damaged zip archive: {error}") from None
    records = {}
    for entry in entries:
        name, begin = entry.orig_filename, entry.header_offset
        if name in records:
            raise CheckpointError(path, f"record {quoted(name)} stands in the archive twice")
        if name.startswith("/") or ".." in name.split("/") or "\\" in name or "\0" in name:
            raise CheckpointError(path, f"record {quoted(name)} is not a plain path inside the archive")
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise CheckpointError(path, f"record {quoted(name)} is compressed; torch.save stores it plain")
        if entry.flag_bits & ~ZIP_FLAGS:
            raise CheckpointError(path, f"record {quoted(name)} is encrypted or a patch: flags {entry.flag_bits:#06x}")
        # In front of the record stand 30 bytes that end in two lengths, its name again, and padding.
        header = data[begin:begin + 30] if begin >= 0 else b""
        if len(header) < 30 or header[:4] != b"PK\x03\x04" or header[8:10] != b"\0\0":  # 0: not compressed
            raise CheckpointError(path, f"record {quoted(name)} does not begin where the archive says")
        name_end = begin + 30 + int.from_bytes(header[26:28], "little")
        start = name_end + int.from_bytes(header[28:30], "little")
        if data[begin + 30:name_end] != name.encode("utf-8" if entry.flag_bits & 0x800 else "cp437"):
            raise CheckpointError(path, f"another record stands where the archive says {quoted(name)} is")
        if start + entry.file_size > len(data):
            raise CheckpointError(path, f"record {quoted(name)} runs past the end of the file")
        records[name] = start, start + entry.file_size
    # Records inside each other would let a small file stand for a large model.
    spans = sorted(records.values())
    if any(end > start for (_, end), (start, _) in zip(spans, spans[1:], strict=False)):
        raise CheckpointError(path, "records of the archive overlap")
    return records


def _read_legacy(path, data):
    """(name -> StorageWindow, key -> bytes) of the legacy format."""
    if unpickle(data, path) != MAGIC_NUMBER or unpickle(data, path) != PROTOCOL_VERSION:
        raise CheckpointError(path, "a pickle, but not of torch.save: no magic number, or an unknown protocol version")
    unpickle(data, path)  # facts about the machine that wrote it; the numbers do not depend on them
    windows = _read_windows(path, data)
    keys = unpickle(data, path)
    if type(keys) is not list or any(type(key) is not str for key in keys) or len(set(keys)) != len(keys):
        raise CheckpointError(path, "the list of storage keys must hold different texts")

    owners = {window.key: name for name, window in windows.items()}  # a tensor for each storage
    raw = np.frombuffer(data, np.uint8)
    position, storages = data.tell(), {}
    for key in keys:
        if key not in owners:
            raise CheckpointError(path, f"no tensor says what storage {quoted(key)} holds")
        window, start = windows[owners[key]], position + 8
        stated = int.from_bytes(data[position:start], "little")
        position = start + window.count * window.width
        if stated != window.count or position > len(data):
            raise CheckpointError(path, f"its storage {quoted(key)} should hold {window.count} elements, it says "
                                        f"{stated}, and {max(len(data) - start, 0)} bytes are left", owners[key])
        storages[key] = raw[start:position]
    if position != len(data):
        raise CheckpointError(path, f"{len(data) - position} bytes follow the last storage")
    return windows, storages


def _read_windows(path, data):
    """The state dict at the current position of `data`: name -> StorageWindow."""
    state = unpickle(data, path, KNOWN)
    if type(state) is not dict:
        raise CheckpointError(path, f"must hold a dict of tensors, holds a {type(state).__name__}")
    return {name: _describe(path, name, value) for name, value in state.items()}


def _describe(path, name, value):
    """The StorageWindow that the calls in the pickle describe, in range, but not yet checked against the storage."""
    match value:
        case Call(Global("torch._utils._rebuild_parameter"), (tensor, _, _)):
            value = tensor
    match value:
        case Call(Global("torch._utils._rebuild_tensor_v2"),
                  (Persistent(("storage", Global(kind), str(key), _, count, *view)),
                   offset, shape, strides, _, _, *extra)) if kind in STORAGES:
            dtype = STORAGES[kind]
            width = _width(dtype)
        case Call(Global("torch._utils._rebuild_tensor_v3"),
                  (Persistent(("storage", Global(kind), str(key), _, count, *view)),
                   offset, shape, strides, _, _, Global(kind_of_element), *extra)) if (
                       kind == UNTYPED and kind_of_element in UNTYPED_DTYPES):
            dtype = UNTYPED_DTYPES[kind_of_element]
            width = 1
        case _:
            found = value.function.name if type(value) is Call else type(value).__name__
            raise CheckpointError(path, f"must be a tensor as torch.save describes it, got {found}", name)
    if view not in ([], [None]) or extra not in ([], [None]):  # a part of a storage, negated or conjugated numbers
        raise CheckpointError(path, "is a kind of view that is not supported", name)
    if type(shape) is not tuple or type(strides) is not tuple or len(shape) != len(strides):
        raise CheckpointError(path, "shape and strides must be tuples of one length", name)
    if len(shape) > MAX_DIMENSIONS:
        raise CheckpointError(path, f"{len(shape)} dimensions, more than NumPy's {MAX_DIMENSIONS}", name)
    if any(type(number) is not int or not 0 <= number < 2**63 for number in (count, offset, *shape, *strides)):
        raise CheckpointError(path, "shape, strides, offset and size must be integers from 0 to 2**63 - 1", name)
    return StorageWindow(key, count, width, dtype, offset, shape, strides)


def _look_through(path, name, window, elements):
    """The array that `window` shows of its storage `elements`, a 1-D array."""
    size = math.prod(window.shape)
    width = elements.itemsize
    last = window.offset + sum((n - 1) * stride for n, stride in zip(window.shape, window.strides, strict=True))
    if size and last >= elements.size:
        raise CheckpointError(path, f"its last element is number {last} of a storage of {elements.size}", name)
    if size > elements.size and size * width > MAX_REPEATED:
        raise CheckpointError(path, f"repeats its {elements.size} elements to more than {MAX_REPEATED:,} bytes", name)
    # A dimension of length 1 is never stepped along; its stride may be anything.
    strides = [stride * width if n > 1 and size else 0 for n, stride in zip(window.shape, window.strides, strict=True)]
    try:
        return np.ndarray(window.shape, elements.dtype, elements, window.offset * width if size else 0, strides)
    except ValueError:  # zero-size, and yet too wide: (0, 2**62, 2**62)
        raise CheckpointError(path, f"NumPy cannot hold the shape {window.shape}", name) from None


def _width(dtype):
    return np.dtype(DTYPES[dtype]).itemsize
