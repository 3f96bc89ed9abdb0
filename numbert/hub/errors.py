"""Checks of files from others before their content is used.

A weight file may be cut short, damaged, or made to harm the user who opens it. Every reader in this folder
starts from the functions here, and whatever is wrong ends in one `CheckpointError` that names the file.
"""
from __future__ import annotations

import json
import math
import mmap
import os
import re
from pathlib import Path

from . import files

MAX_JSON = 100_000_000  # bytes; the limit that safetensors sets for its header
MAX_DIGITS = 100  # of one integer; real files hold int(1e30), and converting n digits takes n² steps

INSTEAD = {"config.json": {
    "bert_config.json": "as Google's own code calls it: rename it",
    "albert_config.json": "as Google's own code calls it: rename it",
    "adapter_config.json": "that of an adapter: merge it into its model first (merge_and_unload of peft)"}}
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class CheckpointError(ValueError):
    """A file of weights or settings that cannot be believed: `file`, `problem`, and `tensor` if it is about one."""

    def __init__(self, file: str | Path, problem: str, tensor: str | None = None):
        super().__init__(file, problem, tensor)
        self.file, self.problem, self.tensor = file, problem, tensor

    def __str__(self):
        return f"{self.file}: {self.problem}" if self.tensor is None else \
            f"{self.file}: tensor {quoted(self.tensor)}: {self.problem}"


def quoted(text: str) -> str:
    """Text from a file for a one-line message: in quotes, line ends escaped, 100 characters at most."""
    return repr(text) if len(text) <= 100 else repr(text[:100]) + "..."


def map_file(path: str | Path) -> mmap.mmap:
    """The bytes of a file, mapped and not read: a page is read from the disk when it is first used.

    Links are followed. Like every mapping, it is valid as long as the file is not truncated; to replace a file,
    write a new one and rename it (`replacing` in files.py). Raises CheckpointError if there is nothing to map.
    """
    try:
        with files.open_to_read(path) as file:
            if not file.seek(0, 2):
                raise CheckpointError(path, "the file is empty")
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (FileNotFoundError, NotADirectoryError):
        raise CheckpointError(path, _absence(path)) from None
    except OSError as error:
        raise CheckpointError(path, "is not a regular file" if os.path.isdir(path) else error.strerror) from None
    except ValueError as error:
        raise CheckpointError(path, str(error).removeprefix(f"{path}: ")) from None
    if data[:23] == b"version https://git-lfs":
        raise CheckpointError(path, "a Git LFS pointer stands in the file's place: fetch the file with git lfs pull")
    return data


def _absence(path):
    """Say that the file is missing, and what is there instead."""
    if os.path.islink(path):
        return f"is a link to {os.readlink(path)}, where there is no file"
    folder, name = os.path.split(path)
    for other, what in INSTEAD.get(name, {}).items():
        if os.path.exists(os.path.join(folder, other)):
            return f"there is no such file, only {other}, {what}"
    return "there is no such file"


def exists(path: str | Path) -> bool:
    """Whether something is there to be read; also a link to nothing, which is not the same as no file: reading it says
    what is wrong."""
    return os.path.lexists(path)


def read_json(path: str | Path, kind: type | None = dict, limit: int | None = MAX_JSON) -> dict:
    """The JSON value in a UTF-8 file, which must be of type `kind` (None: any) and have at most `limit` bytes.

    Raises CheckpointError, also for what Python's json accepts: a key that comes twice, NaN and infinity, an
    integer of thousands of digits, nesting thousands deep, half of a surrogate pair.
    """
    data = map_file(path)
    if limit is not None and len(data) > limit:
        raise CheckpointError(path, f"{len(data):,} bytes of JSON, more than {limit:,}")
    return parse_json(path, data[:].removeprefix(b"\xef\xbb\xbf"), kind)


def parse_json(path: str | Path, data: bytes, kind: type | None = dict) -> dict:
    """`read_json` for bytes that stand inside the file `path`."""
    try:
        text = str(data, "utf-8")
        value = json.loads(text, object_pairs_hook=_unique, parse_int=_integer, parse_float=_finite,
                           parse_constant=_finite)
        if SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError as error:
        raise CheckpointError(path, f"not UTF-8: byte {data[error.start]:#04x} at offset {error.start}") from None
    except UnicodeEncodeError as error:
        raise CheckpointError(path, f"half of a surrogate pair, {error.object[error.start]!a}, is no text") from None
    except RecursionError:
        raise CheckpointError(path, "JSON nested too deeply") from None
    except json.JSONDecodeError as error:
        raise CheckpointError(path, f"not JSON: line {error.lineno} column {error.colno}: {error.msg}") from None
    except ValueError as error:
        raise CheckpointError(path, f"not JSON: {error}") from None
    return value if kind is None else expect_type(path, "the JSON text", value, kind)


def expect_type(path: str | Path, what: str, value: object, kind: type) -> object:
    """`value`, if it is of type `kind` (True is not an integer; an integer will do for a float)."""
    if type(value) is kind or (kind is float and type(value) is int):
        return value
    raise CheckpointError(path, f"{what} must be of type {kind.__name__}, got {type(value).__name__}")


def _unique(pairs):
    settings = {}
    for key, value in pairs:
        if key in settings:
            raise ValueError(f"key {quoted(key)} comes twice")
        settings[key] = value
    return settings


def _integer(digits):
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"an integer of {len(digits)} digits")
    return int(digits)


def _finite(literal):
    number = float(literal)
    if not math.isfinite(number):
        raise ValueError(f"{quoted(literal)} is not a finite number")
    return number
