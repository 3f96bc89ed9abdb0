"""A text that is tokenised once, into a file of ids that is mapped into memory: shared by all processes, used again by
the next run on the same text.

The ids are written as they come, so what is in memory at any time is a few megabytes of text; the work is shared out
over processes (threads would wait for Python's lock) and over the ranks.
"""
import contextlib
import functools
import hashlib
import multiprocessing
import signal
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from ..hub.errors import read_json
from ..hub.files import json_text, replacing, write_text
from .batches import encoded
from .sentence_pairs import TokenizedText

FILES = "tokens.int32", "sentences.int64", "documents.int64"
GROUP = 1 << 20                     # bytes of text that a process tokenises at a time


def tokenised(documents, tokenizer, separator, folder, workers, say=print):
    """A `TokenizedText` of `Documents` whose ids stand in `folder`: found there, or tokenised on workers.n processes of
    each rank. say(text): is told every few seconds how far it is.

    In the folder: tokens.int32, sentences.int64, documents.int64, the arrays of TokenizedText, which are mapped into
    memory, and text.json, written last, which tells whether they belong to this text and this tokenizer.
    """
    folder, ranks = Path(folder), workers.ranks
    vocabulary = "\n".join([type(tokenizer).__name__, *tokenizer.tokens])
    wanted = {"text": documents.digest, "vocabulary": hashlib.sha256(vocabulary.encode("utf-8", "replace")).hexdigest(),
              "separator": separator}
    if not ranks.first(lambda: _kept(folder) == wanted):
        ranks.first(lambda: folder.mkdir(parents=True, exist_ok=True))
        with contextlib.ExitStack() as stack:
            tokens, *bounds = (stack.enter_context(replacing(folder / file)) for file in FILES)
            ends = [np.zeros(1, np.int64)] * 2          # of the last sentence and the last document
            for file, end in zip(bounds, ends, strict=True):
                file.write(end)
            for text in _encode_all(documents, tokenizer, separator, workers, say):
                tokens.write(text.tokens)
                for i, found in enumerate((text.sentences, text.documents)):
                    bounds[i].write(ends[i] + found[1:])
                    ends[i] = ends[i] + found[-1]
        write_text(folder / "text.json", json_text(wanted))
        ranks.everybody(None)                           # nobody reads before rank 0 has written
    return TokenizedText.of(*(np.asarray(np.memmap(folder / file, file.partition(".")[2], "r")) for file in FILES),
                            separator)


def _encode_all(documents, tokenizer, separator, workers, say):
    """A TokenizedText of each group of documents, in their order, on every rank."""
    ranks, size, done, told = workers.ranks, documents.bytes, 0, time.monotonic()
    groups = documents.groups(GROUP)
    with _processes(workers.n, tokenizer, separator) as encode:
        while together := [group for _, group in zip(range(2 * workers.n * ranks.size), groups)]:  # noqa: B905
            mine = list(encode(_encode, together[ranks.rank::ranks.size]))
            found = [None] * len(together)
            for rank, texts in enumerate(ranks.everybody(mine)):
                found[rank::ranks.size] = texts
            yield from found
            done += sum(group.bytes for group in together)
            if time.monotonic() > told + 5:
                told = time.monotonic()
                say(f"{done / 1e6:,.0f} of {size / 1e6:,.0f} MB are tokenised")


_settings = {}                      # of a process that tokenises: set once, since a tokenizer is much to send


def _begin(tokenizer, separator, alone):
    _settings.update(tokenizer=tokenizer, separator=separator)
    if not alone:
        signal.signal(signal.SIGINT, signal.SIG_IGN)    # Ctrl-C is for the process that started this one


def _encode(documents):
    return TokenizedText(encoded(documents, _settings["tokenizer"]), _settings["separator"])


@contextlib.contextmanager
def _processes(n, tokenizer, separator):
    """A function like `map`, on n processes."""
    if n == 1:
        _begin(tokenizer, separator, alone=True)
        yield map
        return
    with ProcessPoolExecutor(n, mp_context=multiprocessing.get_context("spawn"), initializer=_begin,
                             initargs=(tokenizer, separator, False)) as pool:
        yield functools.partial(pool.map, chunksize=1)


def _kept(folder):
    try:
        return read_json(folder / "text.json") if all((folder / file).exists() for file in FILES) else None
    except (OSError, ValueError):
        return None
