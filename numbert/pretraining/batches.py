"""The batches of pre-training: text -> examples -> batches with blanks, fresh in every epoch, the same for one seed.

Google writes a data set with ten fixed maskings to disk.  Here each epoch draws new pairs and each batch new blanks
(as RoBERTa does, Liu et al. 2019, section 4.1), and nothing is stored: a batch is a pure function of the seed, the
epoch and its number in the epoch, and so are some of its rows, which a process draws without the others.  So training
that stops can continue exactly where it was, from the number of the step alone.
"""
from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from ..hub.files import gathered
from ..tokenizers.encoding import Batch
from ..tokenizers.tokenizer import Tokenizer
from .corpus import split_sentences
from .masking import IGNORED, check_masking, continues_table, mask_tokens, ordinary_table
from .sentence_pairs import LISTED, OBJECTIVES, PAIRS, RUNNING, TokenizedText, draw_examples

MASKED = 64                         # rows that one generator draws the blanks of; a process draws no fewer


class PretrainingData:
    """Batches for one way of pre-training.

    documents    lists of paragraphs (`numbert.pretraining.corpus`), which are cut into sentences here; or all of it as
                 a TokenizedText
    tokenizer    encodes sentences and knows its special tokens; [CLS] and [SEP] are its own, as <s> and </s>
    objective    "mlm"             [CLS] A [SEP]             some tokens are hidden and must be guessed
                 "mlm+nsp"         [CLS] A [SEP] B [SEP]     and B continues A (0) or comes from another document (1)
                 "mlm+sop"         [CLS] A [SEP] B [SEP]     and A and B are neighbours in order (0) or swapped (1)
                 "full-sentences"  [CLS] A A A [SEP]         as "mlm", A filled up with sentences to the full length,
                                                             with one more [SEP] where a document ends
                 "causal"          A A A                     the next token must be guessed; documents are separated by
                                                             the end-of-text token (</s>, or else [SEP])
    max_length   T of the longest example, special tokens included
    mask_rate, mask_unit, mask_share, random_share      what is hidden, and how: see `mask_tokens`
    pair_label   the name that the model has for the labels of pairs; ALBERT's is "sentence_order_label"
    folder       where the table of an epoch's examples is kept, in files without names; None: in memory

    A batch is a dict of int64 arrays: input_ids, token_type_ids, attention_mask and labels (B, T), labels -100 where
    nothing is to be guessed, T the longest example of the batch; and next_sentence_label (B,) where there are pairs.
    With "causal" there are no token_type_ids, and the labels are the input_ids themselves (GPT2LMHeadModel shifts
    them), but -100 for the first token of a row, which no other one is asked for.

    Every epoch has `batches_per_epoch` full batches. A pass over the text gives a few examples more or fewer each time
    it is drawn: those over the last full batch are dropped, and where some are missing a few are used twice (with
    other blanks), so that the number of a step tells its epoch. Which examples are dropped changes from epoch to epoch.

    Raises TypeError if a document is a string; ValueError for settings that do not fit, for "mlm+nsp" with fewer than
    two documents, and for a text that makes no example, or (when it is to be trained on) less than one batch of them.
    """

    def __init__(self, documents: Iterable[list[str]] | TokenizedText, tokenizer: Tokenizer, *,
                 objective: str = "mlm+nsp", max_length: int = 128, batch_size: int = 32, mask_rate: float = 0.15,
                 mask_unit: str = "token", mask_share: float = 0.8, random_share: float = 0.1, seed: int = 0,
                 pair_label: str = "next_sentence_label", folder: str | Path | None = None):
        if objective not in OBJECTIVES:
            raise ValueError(f"objective must be one of {', '.join(OBJECTIVES)}, got {objective!r}")
        if max_length < 5:
            raise ValueError(f"max_length must be at least 5 (three special tokens, A and B), got {max_length}")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if seed < 0:
            raise ValueError(f"seed must not be negative, got {seed}")
        self.objective, self.max_length, self.batch_size, self.seed = objective, max_length, batch_size, seed
        self.pair_label, self.folder = pair_label, folder
        self.ordinary = ordinary_table(tokenizer)
        if objective == "causal":
            self.pad_id = end_of_text_id(tokenizer)
        else:
            self.pad_id, self.cls_id = tokenizer.pad_token_id, tokenizer.cls_token_id
            self.sep_id = tokenizer.sep_token_id
            self.masking = dict(ordinary=self.ordinary, mask_id=tokenizer.mask_token_id, unit=mask_unit,
                                continues=None if mask_unit == "token" else continues_table(tokenizer),
                                rate=mask_rate, mask_share=mask_share, random_share=random_share)
            check_masking(**self.masking)

        self.text = documents if isinstance(documents, TokenizedText) else TokenizedText(
            encoded(documents, tokenizer), separator_of(tokenizer, objective))
        count = len(self.text.documents) - 1
        if objective == "mlm+nsp" and count < 2:
            raise ValueError(f"mlm+nsp takes random segments from another document: at least 2 are needed, got {count}")
        self._drawn = None
        self.examples_per_pass = len(self._pass(0)[0])
        if not self.examples_per_pass:
            raise ValueError(f"{count} documents with {len(self.text.tokens)} tokens make no example of {objective}"
                             + (": each needs two sentences of one document" if objective in PAIRS else ""))

    @property
    def batches_per_epoch(self) -> int:
        """The number of batches of an epoch, the same in every epoch."""
        if self.examples_per_pass < self.batch_size:
            raise ValueError(f"the text makes {self.examples_per_pass} examples of up to {self.max_length} tokens, "
                             f"fewer than one batch of {self.batch_size}")
        return self.examples_per_pass // self.batch_size

    def batches(self, start_step: int = 0) -> Iterator[Batch]:
        """The batches of all epochs, endlessly, from step `start_step` on (steps count from 0)."""
        return (batch.rows() for batch in self.undrawn(start_step))

    def epoch(self, number: int, first_batch: int = 0) -> Iterator[Batch]:
        """The batches of epoch `number` (0, 1, ...), shuffled; the same whenever they are asked for."""
        return (batch.rows() for batch in self._epoch(number, first_batch))

    def undrawn(self, start_step: int = 0) -> Iterator[Undrawn]:
        """The same as `batches`, each as an `Undrawn`: for many processes, each of which draws what it computes."""
        first, batch = divmod(start_step, self.batches_per_epoch)
        yield from self._epoch(first, batch)
        for number in itertools.count(first + 1):
            yield from self._epoch(number)

    def _epoch(self, number, first_batch=0):
        examples, order = self._pass(number)
        for batch in range(first_batch, self.batches_per_epoch):
            rows = range(batch * self.batch_size, (batch + 1) * self.batch_size)
            yield Undrawn(self, examples[order.take(rows, mode="wrap")], number, batch)

    def beginning(self, tokens: int) -> PretrainingData:
        """The same for the first documents of the text, of about so many tokens; itself if it has no more."""
        if len(self.text.tokens) <= tokens:
            return self
        part = copy.copy(self)
        part.text, part._drawn = self.text.beginning(tokens), None
        return part

    def evaluation_batches(self) -> Iterator[Batch]:
        """One pass over held-out documents: the same examples and blanks every time, in the order of the text;
        the last batch may be smaller."""
        examples, _ = self._pass(0)
        for batch, start in enumerate(range(0, len(examples), self.batch_size)):
            yield Undrawn(self, examples[start:start + self.batch_size], 0, batch).rows()

    def _rng(self, epoch, batch=None, group=0):
        """The generator of an epoch's examples, or of the blanks of a batch's rows, for each group of MASKED another.

        The third number tells the two apart: NumPy treats the seeds [s, e] and [s, e, 0] as equal.
        """
        return np.random.default_rng([self.seed, epoch, 0 if batch is None else 1 + batch] + [group] * (group > 0))

    def _pass(self, epoch):
        """The table of an epoch's examples and the order in which they are used. The last one is kept."""
        if self._drawn is None or self._drawn[0] != epoch:
            self._drawn, rng = None, self._rng(epoch)                   # no two at once: they are large
            examples = draw_examples(self.text, rng, objective=self.objective, max_length=self.max_length,
                                     folder=self.folder)
            starts = range(0, len(examples), LISTED)
            order = gathered((np.arange(i, min(i + LISTED, len(examples))) for i in starts), np.int64, self.folder)
            rng.shuffle(order)
            self._drawn = epoch, examples, order
        return self._drawn[1:]

    def _batch(self, examples, T, rng):
        """The dict of arrays for rows of the table of examples, (B, T) where they are filled up."""
        rows = [self._row(*places) for places in examples[:, :4]]
        attention_mask = (np.arange(T) < [[len(row)] for row in rows]).astype(np.int64)          # (B, T)
        input_ids = np.full(attention_mask.shape, self.pad_id, np.int64)
        input_ids[attention_mask > 0] = np.concatenate(rows)
        if self.objective == "causal":
            labels = np.where(attention_mask > 0, input_ids, IGNORED)
            labels[:, 0] = IGNORED
            return dict(input_ids=input_ids, attention_mask=attention_mask, labels=labels)
        masked, labels = mask_tokens(input_ids, rng, **self.masking)
        batch = dict(input_ids=masked, token_type_ids=np.zeros_like(input_ids), attention_mask=attention_mask,
                     labels=labels)
        if self.objective in PAIRS:
            b_start = examples[:, 1] - examples[:, 0] + 2              # behind the first [SEP]
            batch["token_type_ids"] = attention_mask * (np.arange(T) >= b_start[:, None])
            batch[self.pair_label] = examples[:, 4].copy()
        return batch

    def _row(self, a, a_stop, b, b_stop):
        """The ids of one example, from places in the text."""
        A, B = self.text.tokens[a:a_stop], self.text.tokens[b:b_stop]
        if self.objective == "causal":
            return A
        sep = [self.sep_id]
        return np.concatenate([[self.cls_id], A, sep, B, sep] if self.objective in PAIRS else [[self.cls_id], A, sep])


class Undrawn:
    """A batch of `PretrainingData` before its ids and blanks are drawn: `lengths` (B,), the tokens of each row."""

    def __init__(self, data: PretrainingData, examples: np.ndarray, epoch: int, number: int):
        self._data, self._examples, self._place = data, examples, (epoch, number)
        specials = 0 if data.objective == "causal" else 3 if data.objective in PAIRS else 2
        self.lengths = examples[:, 1] - examples[:, 0] + examples[:, 3] - examples[:, 2] + specials

    def rows(self, start: int = 0, stop: int | None = None) -> Batch:
        """The dict of arrays for these rows; the same, whichever others are drawn with them."""
        stop = len(self.lengths) if stop is None else stop
        first, T = start // MASKED, self.lengths.max()
        groups = [self._data._batch(self._examples[MASKED * group:][:MASKED], T, self._data._rng(*self._place, group))
                  for group in range(first, -(-stop // MASKED))]
        rows = slice(start - MASKED * first, stop - MASKED * first)
        return {name: np.concatenate([group[name] for group in groups])[rows] for name in groups[0]}


def end_of_text_id(tokenizer: Tokenizer) -> int:
    """The id that ends a document: eos, or sep of a tokenizer without eos, such as WordPiece."""
    return tokenizer.eos_token_id if hasattr(tokenizer, "eos_token_id") else tokenizer.sep_token_id


def separator_of(tokenizer: Tokenizer, objective: str) -> int | None:
    """The id that stands between two documents, None for an objective whose examples end with a document."""
    return (end_of_text_id(tokenizer) if objective == "causal" else
            tokenizer.sep_token_id if objective in RUNNING else None)


def encoded(documents: Iterable[list[str]], tokenizer: Tokenizer) -> Iterator[list[list[int]]]:
    """Each document as a list of sentences, each a list of ids.

    They are encoded with a space before them, as between them in the text: byte-level BPE makes it a part of the word.
    """
    for document in documents:
        if isinstance(document, str):
            raise TypeError(f"each document must be a list of paragraphs, got a string: {document[:40]!r}")
        sentences = [" " + sentence for paragraph in document for sentence in split_sentences(paragraph)]
        yield tokenizer.encode_batch(sentences, add_special_tokens=False) if sentences else []
