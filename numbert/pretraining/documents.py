"""Documents that stay in their files: only where each begins and ends is kept, so a text may be larger than memory."""
from __future__ import annotations

import array
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ..hub.errors import exists
from ..hub.files import open_to_read


class Documents(Sequence):
    """The documents of text files, each a list of paragraphs (str, not empty) that is read when it is asked for.

    files   paths, as they are read
    places  (D, 3) int64: document d stands in the file with this number, from this byte to that
    words   how many there are in the files
    digest  a text that differs where the files do, or the places

    Made by `Documents.of`; `chosen` gives some of them.
    """

    def __init__(self, files: Iterable[Path], places: np.ndarray, words: int | None, digest: str):
        self.files, self.places, self.words, self.digest = list(files), places, words, digest

    @classmethod
    def of(cls, paths: Iterable[str | Path]) -> Documents:
        """All documents of these files; of a folder, of all *.txt files inside, also in folders within, sorted by name.

        A blank line ends a document, and so does the end of a file. Raises ValueError, naming the path: nothing there,
        a folder without *.txt files, a file without text, bytes that are not UTF-8 (with their place).
        """
        files = text_files(paths)
        places, words, content = [], 0, hashlib.sha256()
        for number, file in enumerate(files):
            found, more = _scan(file, content)
            if not len(found):
                raise ValueError(f"{file}: no text in it")
            places.append(np.column_stack([np.full(len(found), number), found]))
            words += more
        places = np.concatenate(places) if places else np.zeros((0, 3), np.int64)
        return cls(files, places, words, content.hexdigest())

    @property
    def bytes(self) -> int:
        """How many bytes of the files they are."""
        return int((self.places[:, 2] - self.places[:, 1]).sum())

    def chosen(self, numbers: Sequence[int] | slice) -> Documents:
        """The documents with these numbers, a list of int or a slice."""
        places = self.places[numbers]
        return Documents(self.files, places, None, hashlib.sha256(self.digest.encode() + places.tobytes()).hexdigest())

    def groups(self, size: int) -> Iterator[Documents]:
        """All documents in their order, a few at a time: groups of about so many bytes."""
        ends = np.cumsum(self.places[:, 2] - self.places[:, 1])
        cuts = np.flatnonzero(np.diff(ends // size)) + 1
        for start, stop in zip([0, *cuts], [*cuts, len(self)], strict=True):
            if start < stop:
                yield self.chosen(slice(start, stop))

    def __len__(self):
        return len(self.places)

    def __getitem__(self, number):
        return list(self.chosen(number if isinstance(number, slice) else [number]))[0 if isinstance(number, int)
                                                                                    else slice(None)]

    def __iter__(self):
        opened, file = None, None
        try:
            for number, start, stop in self.places.tolist():
                if number != opened:
                    if file:
                        file.close()
                    opened, file = number, open_to_read(self.files[number])
                file.seek(start)
                text = file.read(stop - start).decode("utf-8")
                lines = (text if start else text.removeprefix("\ufeff")).split("\n")
                yield [line.strip() for line in lines if line.strip()]
        finally:
            if file:
                file.close()


def text_files(paths: Iterable[str | Path]) -> list[Path]:
    """The files that are read of these files and folders."""
    return [file for path in map(Path, paths) for file in _inside(path)]


def _inside(path):
    if not exists(path):
        raise ValueError(f"{path}: no such file or folder")
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.rglob("*.txt") if not file.is_dir())
    if not files:
        raise ValueError(f"{path}: no *.txt file in this folder")
    return files


def _scan(path, content):
    """((D, 2) int64, where each document of a file starts and stops, the number of words); the bytes go to `content`, a
    hash."""
    bounds, words, start, place = array.array("q"), 0, None, 0
    with open_to_read(path) as file:
        for line in file:
            content.update(line)
            try:
                found = line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise ValueError(f"{path}: not UTF-8: byte {line[error.start]:#04x} at offset "
                                 f"{place + error.start}") from None
            n = len((found if place else found.removeprefix("\ufeff")).split())
            words += n
            if n and start is None:
                start = place
            elif not n and start is not None:
                bounds.extend((start, place))
                start = None
            place += len(line)
    if start is not None:
        bounds.extend((start, place))
    return np.array(bounds, np.int64).reshape(-1, 2), words
