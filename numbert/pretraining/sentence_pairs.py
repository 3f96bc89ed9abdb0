"""Cut documents into the examples of pre-training: one segment, two that belong together or do not, or running text.

For BERT the recipe is that of Google's create_pretraining_data.py (Devlin et al. 2019, appendix A.2).  Sentences are
collected until they fill the sequence; A is a random number of them from the front; B is the rest, or, half of the
time, sentences from another document, and then the rest is put back to be used again.  Sentence order prediction (Lan
et al. 2020, section 3.1) keeps the two true neighbours and swaps them half of the time.

RoBERTa and GPT read on from document to document, with a separator between: RoBERTa as many full sentences as fit (Liu
et al. 2019, section 4.2, FULL-SENTENCES), GPT rows of equal length, wherever they begin.

All tokens stand in one flat array, and the sentences of a segment follow one another in it, so an example is five
integers: where A starts and stops, where B starts and stops, and the label.  An epoch of examples is a small table.

Three small differences of the pairs from Google's code, each for a reason:
- A short target length is drawn for each example, not once for a document: documents can be long.
- A chunk always has at least two sentences.  Google's chunk of one long sentence, or of the last sentence of a
  document, always gets a random B, which unbalances the labels and lets the model read the label from A.  A sentence
  left alone at the end of a document therefore starts no example in this epoch.
- A random B which reads exactly as the true continuation (repeated text) is drawn again.
"""
from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.random import Generator

from ..hub.files import gathered

PAIRS = ("mlm+nsp", "mlm+sop")            # objectives with two segments,
RUNNING = ("full-sentences", "causal")    # and those that read on beyond the end of a document
OBJECTIVES = ("mlm", *PAIRS, *RUNNING)
IN_ORDER, NOT_IN_ORDER = 0, 1             # labels, as in Hugging Face: 0 = B continues A, 1 = random (or swapped)
LISTED = 10_000                           # examples that are written to a file at a time
SHORT_SHARE = 0.1                         # examples that are shorter on purpose, so that short inputs are known too


class TokenizedText:
    """Documents as one flat array of token ids.

    tokens       (N,) int32, all tokens
    sentences    (number of sentences + 1,) int64: sentence i is tokens[sentences[i]:sentences[i + 1]]
    documents    (number of documents + 1,) int64: document i is sentences documents[i] to documents[i + 1] - 1

    Built from documents given as lists of sentences given as lists of ids. Sentences without tokens and documents
    without sentences are left out. With a `separator`, an id, the first sentence of each document begins with it.
    """

    def __init__(self, documents: Iterable[Iterable[Sequence[int]]], separator: int | None = None):
        self.separator = separator
        pieces, lengths, counts = [], [], []
        for document in documents:
            sentences = [np.asarray(sentence, np.int32) for sentence in document if len(sentence)]
            if sentences:
                if separator is not None:
                    sentences[0] = np.concatenate([[separator], sentences[0]], dtype=np.int32)
                pieces.append(np.concatenate(sentences))
                lengths.extend(map(len, sentences))
                counts.append(len(sentences))
        self.tokens = np.concatenate(pieces) if pieces else np.zeros(0, np.int32)
        self.sentences = np.cumsum([0, *lengths])
        self.documents = np.cumsum([0, *counts])

    @classmethod
    def of(cls, tokens: np.ndarray, sentences: np.ndarray, documents: np.ndarray,
           separator: int | None = None) -> TokenizedText:
        """One of these arrays."""
        text = cls((), separator)
        text.tokens, text.sentences, text.documents = tokens, sentences, documents
        return text

    def beginning(self, tokens: int) -> TokenizedText:
        """The first documents, of about so many tokens, at least two of them."""
        count = max(2, int(np.searchsorted(self.sentences[self.documents], tokens)))
        documents = self.documents[:count + 1]
        sentences = self.sentences[:documents[-1] + 1]
        return TokenizedText.of(self.tokens[:sentences[-1]], sentences, documents, self.separator)


def draw_examples(text: TokenizedText, rng: Generator, *, objective: str, max_length: int,
                  folder: str | Path | None = None) -> np.ndarray:
    """One pass over `text`: an int64 table (number of examples, 5) in the order of the text, of the rows of `examples`.

    folder: where the table is kept, a nameless file that is mapped into memory; None: in memory (see `files.gathered`).
    """
    rows = examples(text, rng, objective=objective, max_length=max_length)
    blocks = (np.fromiter(itertools.islice(rows, LISTED), np.dtype((np.int64, 5))) for _ in itertools.count())
    return gathered(itertools.takewhile(len, blocks), np.int64, folder).reshape(-1, 5)


def examples(text: TokenizedText, rng: Generator, *, objective: str,
             max_length: int) -> Iterator[tuple[int, int, int, int, int]]:
    """One pass over `text`: (A start, A stop, B start, B stop, label) of each example, places in `text.tokens`.

    Without pairs B is empty and the label 0. [CLS] A [SEP] or [CLS] A [SEP] B [SEP] is never longer than `max_length`,
    nor is A alone for "causal".
    """
    if objective in RUNNING:
        rows = causal(text, max_length) if objective == "causal" else full_sentences(text, max_length - 2)
        yield from ((start, stop, stop, stop, IN_ORDER) for start, stop in rows)
        return
    pairs = objective in PAIRS
    room = max_length - (3 if pairs else 2)
    sentences, bounds = memoryview(text.sentences), memoryview(text.documents)       # faster to read one by one
    for document, (first, last) in enumerate(zip(bounds[:-1], bounds[1:], strict=True)):
        while last - first > pairs:
            short = rng.random() < SHORT_SHARE
            target = rng.integers(2, room, endpoint=True) if short else room
            stop = bisect.bisect_left(sentences, sentences[first] + target, first + 1 + pairs, last)
            if pairs:
                middle = int(rng.integers(first + 1, stop))                          # A has at least one sentence
                a, b, label = (first, middle), (middle, stop), IN_ORDER
                if rng.random() < 0.5:
                    label = NOT_IN_ORDER
                    if objective == "mlm+sop":
                        a, b = b, a
                    else:
                        needed = target - (sentences[middle] - sentences[first])
                        b, label = _random_segment(text, sentences, bounds, document, middle, needed, rng)
                        stop = middle                                                # put the rest back
            else:
                a, b, label = (first, stop), (stop, stop), IN_ORDER
            yield (*_cut(sentences, a, b, room, rng), label)
            first = stop


def _random_segment(text, sentences, bounds, document, middle, needed, rng):
    """Sentences of another document, about `needed` tokens; the true ones if ten draws all read like those."""
    following = slice(sentences[middle], sentences[middle + 1])
    for _ in range(10):
        other = int(rng.integers(len(bounds) - 2))
        other += other >= document
        start = int(rng.integers(bounds[other], bounds[other + 1]))
        drawn = slice(sentences[start], sentences[start + 1])
        if not np.array_equal(text.tokens[drawn], text.tokens[following]):
            stop = bisect.bisect_left(sentences, sentences[start] + needed, start + 1, bounds[other + 1])
            return (start, stop), NOT_IN_ORDER
    return (middle, middle + 1), IN_ORDER


def _cut(sentences, a, b, room, rng):
    """Segments in sentences -> places in tokens, cut to `room` tokens at their fronts and backs at random."""
    places = []
    lengths = [sentences[stop] - sentences[start] for start, stop in (a, b)]
    for (start, stop), length, kept in zip((a, b), lengths, kept_lengths(*lengths, room), strict=True):
        front = int(rng.binomial(length - kept, 0.5)) if kept < length else 0
        places += [sentences[start] + front, sentences[stop] - (length - kept - front)]
    return places


def kept_lengths(a: int, b: int, room: int) -> tuple[int, int]:
    """How many of a and b tokens stay when the longer one gives up a token (B, if they are equal) until all fit."""
    if a + b <= room:
        return a, b
    if b <= room // 2:
        return room - b, b
    a = min(a, room - room // 2)
    return a, room - a


def full_sentences(text: TokenizedText, room: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of each row: as many whole sentences as fit into `room` tokens, also of several documents.

    A separator stands between documents, and so not first in a row. A sentence longer than a row goes on in the next.
    """
    bounds, start = memoryview(text.sentences), 0
    while start < len(text.tokens):
        start += int(text.tokens[start] == text.separator)
        stop = bounds[bisect.bisect_right(bounds, start + room) - 1]
        if stop <= start:
            stop = start + room
        yield start, stop
        start = stop


def causal(text: TokenizedText, length: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of each row: rows of `length` tokens; the last may be shorter.

    Each row begins with the last token of the row before it, so that every token but the very first, a separator, is
    the next token of another one exactly once.
    """
    end = len(text.tokens)
    yield from ((start, min(start + length, end)) for start in range(0, end - 1, length - 1))
