"""safetensors: arrays by name, in the simplest file that can hold them.

    8 bytes   n, the length of the header: an unsigned integer, lowest byte first
    n bytes   the header, JSON: {"__metadata__": {text: text, ...},
                                 "a.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}
    the rest  the numbers, row by row, lowest byte first; data_offsets count from the beginning of this part

The arrays follow each other with no gap and no overlap and fill the rest of the file exactly. Spaces at the end
of the header bring the numbers to a multiple of 8 bytes. Nothing in the file can be executed, and an array can be
used where it lies: `read` maps the file into memory, and a weight that is not used is never read.

Source: the format's description in the README of github.com/huggingface/safetensors.
"""
from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from .errors import MAX_JSON, CheckpointError, map_file, parse_json, quoted
from .files import replacing

DTYPES = {"BOOL": "|b1", "U8": "|u1", "I8": "|i1", "I16": "<i2", "U16": "<u2", "F16": "<f2", "BF16": "<u2",
          "I32": "<i4", "U32": "<u4", "F32": "<f4", "F64": "<f8", "I64": "<i8", "U64": "<u8"}
MAX_DIMENSIONS = 64


def read(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays of a safetensors file by name, in the header's order, and its metadata (a dict of str to str).

    Arrays are read-only views of the mapped file, in its own dtype; BF16, which NumPy lacks, becomes float32
    (exactly, in memory of its own). Raises CheckpointError if any byte of the file is not accounted for.
    """
    data = map_file(path)
    if len(data) < 8:
        raise CheckpointError(path, f"{len(data)} bytes, too short for a safetensors file")
    start = 8 + int.from_bytes(data[:8], "little")
    if start > min(len(data), 8 + MAX_JSON):
        raise CheckpointError(path, f"header of {start - 8:,} bytes in a file of {len(data):,} (limit {MAX_JSON:,})")
    header = parse_json(path, data[8:start])
    metadata = _check_metadata(path, header.pop("__metadata__", None) or {})

    entries = {name: _check_entry(path, name, entry) for name, entry in header.items()}
    position = 0
    for name, (_, _, begin, end) in sorted(entries.items(), key=lambda entry: entry[1][2:]):
        if begin != position:
            raise CheckpointError(path, f"begins at byte {begin} of the data, but the one before it ends at {position}",
                                  name)
        position = end
    if position != len(data) - start:
        raise CheckpointError(path, f"the header describes {position:,} bytes of data, "
                                    f"the file holds {len(data) - start:,}")

    raw = np.frombuffer(data, np.uint8)[start:]
    return {name: _array(path, name, raw[begin:end], dtype, shape)
            for name, (dtype, shape, begin, end) in entries.items()}, metadata


def write(path: str | Path, arrays: dict[str, ArrayLike], metadata: dict[str, str] | None = None) -> None:
    """Write arrays by name to `path`, whole or not at all; `arrays` may be views of the very file that is replaced.

    `arrays` maps str to anything `np.asarray` takes, of a dtype in `DTYPES`, any byte order and memory layout;
    `metadata` maps str to str. The same arrays in any order give the same bytes: wide dtypes come first, so that
    every array is aligned, then by name. Raises CheckpointError and writes nothing if something cannot be stored.
    """
    metadata = _check_metadata(path, metadata or {})
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    codes = {name: _code(path, name, array) for name, array in arrays.items()}
    # The order, and with it every byte, is that of the safetensors package.
    order = sorted(arrays, key=lambda name: (-list(DTYPES).index(codes[name]), name))

    header = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    position = 0
    for name in order:
        header[name] = {"dtype": codes[name], "shape": arrays[name].shape,
                        "data_offsets": [position, position + arrays[name].nbytes]}
        position += arrays[name].nbytes
    try:
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    except UnicodeEncodeError:
        raise CheckpointError(path, "half a surrogate pair in a name or in metadata is not text") from None
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_JSON:
        raise CheckpointError(path, f"header of {len(text):,} bytes, more than {MAX_JSON:,}")

    with replacing(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            stored = np.ascontiguousarray(arrays[name], DTYPES[codes[name]])
            file.write(stored.reshape(-1).view(np.uint8))


def decode(path: str | Path, name: str, raw: np.ndarray, dtype: str, byteorder: str = "<") -> np.ndarray:
    """Bytes as they stand in a file, uint8 (n,), as a read-only 1-D array of the dtype that `DTYPES` calls `dtype`.

    A view if this machine can use the bytes as they are. BF16 is the upper half of a float32.
    """
    stored = raw.view(np.dtype(DTYPES[dtype]).newbyteorder(byteorder))
    if dtype == "BOOL" and raw.max(initial=0) > 1:
        raise CheckpointError(path, f"byte {raw.max():#04x} in a BOOL array is neither false (0) nor true (1)", name)
    if dtype == "BF16":
        values = (stored.astype(np.uint32) << 16).view(np.float32)
    else:
        values = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    values.flags.writeable = False
    return values


def _array(path, name, raw, dtype, shape):
    values = decode(path, name, raw, dtype)
    try:
        return values.reshape(shape)
    except ValueError:  # zero-size, and yet too wide: (0, 2**62, 2**62)
        raise CheckpointError(path, f"NumPy cannot hold the shape {shape}", name) from None


def _check_entry(path, name, entry):
    """(dtype, shape, begin, end) of a header entry; raises CheckpointError unless all four fit together."""
    match entry:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [begin, end], **rest} if not rest:
            pass
        case _:
            raise CheckpointError(path, "its header entry must have dtype, shape and two data_offsets only", name)
    if dtype not in DTYPES:
        raise CheckpointError(path, f"dtype {quoted(dtype)} is not one of {', '.join(DTYPES)}", name)
    if len(shape) > MAX_DIMENSIONS:
        raise CheckpointError(path, f"{len(shape)} dimensions, more than NumPy's {MAX_DIMENSIONS}", name)
    if any(type(number) is not int or not 0 <= number < 2**63 for number in (*shape, begin, end)):
        raise CheckpointError(path, "shape and data_offsets must be integers from 0 to 2**63 - 1", name)
    if end - begin != math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize:
        raise CheckpointError(path, f"data_offsets span {end - begin} bytes, shape {shape} of {dtype} does not", name)
    return dtype, shape, begin, end


def _check_metadata(path, metadata):
    if type(metadata) is not dict or any(type(text) is not str for pair in metadata.items() for text in pair):
        raise CheckpointError(path, "__metadata__ must map text to text")
    return metadata


def _code(path, name, array):
    """What the header calls the dtype of `array`."""
    if type(name) is not str or name == "__metadata__":
        raise CheckpointError(path, "an array's name must be text other than '__metadata__'", str(name))
    code = {stored: code for code, stored in DTYPES.items() if code != "BF16"}.get(array.dtype.newbyteorder("<").str)
    if code is None:
        raise CheckpointError(path, f"arrays of dtype {array.dtype} cannot be stored", name)
    return code
