"""Reading and writing files so that nothing is lost and every error names the file.

A file is written under a temporary name in its own folder, flushed to the disk and then renamed:
at every moment, also after a crash, there is either the whole old file or the whole new one.
"""
from __future__ import annotations

import codecs
import contextlib
import errno
import json
import math
import os
import secrets
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[BinaryIO]:
    """A binary file to write to; it takes the place of `path` when the block ends without an error.

    A link stays a link, and the file that it leads to is replaced. Anything but a regular file (/dev/stdout, a pipe)
    is written to. An OSError names `path`.
    """
    if not writes():
        with open(os.devnull, "wb") as nowhere:
            yield nowhere
        return
    target = _to_replace(path)
    if target is None:
        with naming(path), open(path, "ab") as file:
            yield file
        return
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        with naming(path, instead_of=temporary):
            with open(temporary, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(temporary)
        raise
    _flush_folder(target.parent)


_writes = [True]


def writes() -> bool:
    """Whether this process writes files; it does not in a block of `writing_nothing`."""
    return _writes[-1]


@contextlib.contextmanager
def writing_nothing() -> Iterator[None]:
    """A block in which `replacing` changes no file: another process does the same work, and writes for both."""
    _writes.append(False)
    try:
        yield
    finally:
        _writes.pop()


@contextlib.contextmanager
def naming(path: str | Path, instead_of: str | Path | None = None) -> Iterator[None]:
    """A block whose OSErrors name `path`, if they name nothing, as a full disk does, or only `instead_of`."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(instead_of)):
            raise
        raise type(error)(error.errno, error.strerror, str(path)) from None


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, whole or not at all."""
    with replacing(path) as file:
        file.write(text.encode("utf-8"))


def json_text(value: object, **options) -> str:
    """`value` as JSON, which knows neither NaN nor infinity: null stands for both. options: of `json.dumps`."""
    return json.dumps(_finite(value), allow_nan=False, **options)


def _finite(value):
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def gathered(blocks: Iterable[np.ndarray], dtype: np.typing.DTypeLike, folder: str | Path | None = None) -> np.ndarray:
    """All numbers of arrays of this dtype, one array behind the other, as one flat array. In memory; or in a file
    without a name in `folder` that is mapped into memory, of which the system holds as much as there is room for, and
    which is gone when the array is."""
    if folder is None:
        return np.concatenate([np.empty(0, dtype), *(block.reshape(-1) for block in blocks)])
    with naming(folder), tempfile.TemporaryFile(dir=folder) as file:
        for block in blocks:
            file.write(np.ascontiguousarray(block, dtype))
        file.flush()
        return np.asarray(np.memmap(file, dtype, "r+")) if file.tell() else np.empty(0, dtype)


def open_to_read(path: str | Path) -> BinaryIO:
    """The regular file at `path`, opened for reading bytes. Raises ValueError for anything else that can be opened:
    a named pipe to which nobody writes would wait for ever, and /dev/zero has no end.

    It is checked after it has been opened, so that the checked file is the one that is read.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        kind = os.fstat(handle).st_mode
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(kind):
            raise ValueError(f"{path}: is not a regular file but a pipe or a device; write what comes out of it to a "
                             "file first")
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_text(path: str | Path, keep_mark: bool = False) -> str:
    """The text of a UTF-8 file, without its byte-order mark unless `keep_mark`; or of one in UTF-16 with such a mark,
    which Excel calls Unicode text. Raises ValueError for anything but a regular file, and with the byte offset and the
    line for text that is neither."""
    with open_to_read(path) as file:
        data = file.read()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return "\ufeff" * keep_mark + data.decode("utf-16")
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: begins as UTF-16, and is not at offset {error.start}: save the file as UTF-8"
                             ) from None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}: not UTF-8: byte {data[error.start]:#04x} at offset {error.start}, in line {line}: "
                         "save the file as UTF-8") from None
    return text if keep_mark else text.removeprefix("\ufeff")


def _to_replace(path):
    """The path of the regular file that `path` is, or leads to, or will be; None if it is something else.

    What the system shows in /dev and /proc is never replaced: behind /dev/stdout may be a file, and others write to it.
    """
    step = Path(path)
    for _ in range(40):                                 # links in a circle end in an error below, as for the system
        if not step.is_symlink():
            break
        if os.path.realpath(step.parent).startswith(("/dev", "/proc")):
            return None
        step = step.parent / os.readlink(step)
    try:
        regular = stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        regular = True
    return Path(os.path.realpath(path)) if regular else None


def _flush_folder(folder):
    """Make the rename itself survive a power cut, where the system lets a folder be opened."""
    with contextlib.suppress(OSError, AttributeError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
