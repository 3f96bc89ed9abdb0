"""Reading and writing files so that nothing is lost and every complaint says where.

A file is written under a temporary name in its own folder, flushed to the disk and then renamed:
whoever looks, and whenever the machine stops, finds the old file or the new one, whole.
"""
import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path


@contextlib.contextmanager
def replacing(path):
    """A binary file to write to; it takes the place of `path` when the block ends without an error."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(temporary)
        if isinstance(error, OSError) and error.filename == str(temporary):
            raise type(error)(error.errno, error.strerror, str(path)) from None       # the name that the user knows
        raise
    _flush_folder(path.parent)


def write_text(path, text):
    """Write `text` to `path` as UTF-8, whole or not at all."""
    with replacing(path) as file:
        file.write(text.encode("utf-8"))


def open_to_read(path):
    """The regular file at `path`, opened for reading bytes. Raises ValueError for anything else that can be opened:
    a named pipe to which nobody writes would wait for ever, and /dev/zero has no end.

    It is looked at after it has been opened, so that what was looked at is what is read.
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


def read_text(path, keep_mark=False):
    """The text of a UTF-8 file, without its byte-order mark unless `keep_mark`. Raises ValueError for what is no
    regular file, and with the byte offset for what is not UTF-8."""
    with open_to_read(path) as file:
        data = file.read()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8: byte {data[error.start]:#04x} at offset {error.start}") from None
    return text if keep_mark else text.removeprefix("\ufeff")


def _flush_folder(folder):
    """Make the rename itself survive a power cut, where the system lets a folder be opened."""
    with contextlib.suppress(OSError, AttributeError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
