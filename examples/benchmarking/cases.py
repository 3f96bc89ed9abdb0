"""What is measured: kinds of work, and the data that every contender is given."""
import itertools
from collections import Counter
from dataclasses import dataclass

import numpy as np

from numbert import BertConfig, GPT2Config
from numbert.models import cost
from numbert.ops import IGNORE

MASK, FIRST_WORD = 4, 5             # ids: below 5 stand special tokens
BATCHES = 4                         # different batches, used over and over, so that shapes vary as they do in training
PROOF_STEPS = 3
SIX_LAYERS = dict(num_hidden_layers=6, hidden_size=384, num_attention_heads=12, intermediate_size=1536)    # as MiniLM


@dataclass(frozen=True)
class Case:
    """kind: "pretrain", "classify" (sentences), "finetune" (answers in windows), "encode", "generate" or "tokenise";
    the other fields as far as the kind needs them."""
    name: str
    kind: str
    size: str = "tiny"
    vocab_size: int = 30522
    batch: int = 32
    length: int = 128
    padded: bool = True
    full: float = 0.5               # padded: the share of the sequences that fill the batch
    new_tokens: int = 0             # generate: how many
    tokenizer: str = "WordPiece"    # tokenise: or "byte-level BPE"
    offsets: bool = False           # tokenise: offsets too, or ids alone
    warm: bool = False              # tokenise: the text was tokenised before by the same object
    threads: int = 2
    folder: str = ""                # where the weights, or the vocabulary and the text, are

    def config(self):
        if self.kind == "generate":
            return GPT2Config(vocab_size=self.vocab_size)                       # the published small one
        if self.size == "6-layer":
            return BertConfig(vocab_size=self.vocab_size, **SIX_LAYERS)
        return BertConfig.preset(self.size, vocab_size=self.vocab_size)

    def lengths(self, rng):
        """Real tokens of each sequence. With padding a share `full`, but at least one, fills the batch, and the rest
        are uniform in T/4..T."""
        lengths = np.full(self.batch, self.length)
        if self.padded:
            short = min(self.batch - 1, int(self.batch * (1 - self.full)))
            lengths[:short] = rng.integers(max(2, self.length // 4), self.length + 1, short)
        return rng.permutation(lengths)

    def data(self):
        """BATCHES batches, dicts of int64 arrays: the models' arguments."""
        return [self._batch(np.random.default_rng(number)) for number in range(BATCHES)]

    def _batch(self, rng):
        lengths, columns = self.lengths(rng), np.arange(self.length)
        mask = (columns < lengths[:, None]).astype(np.int64)
        ids = rng.integers(FIRST_WORD, self.vocab_size, mask.shape)
        batch = {"input_ids": ids * mask, "attention_mask": mask,
                 "token_type_ids": (columns >= lengths[:, None] // 2) * mask}
        if self.kind == "pretrain":
            labels = np.full(mask.shape, IGNORE)
            for b, length in enumerate(lengths):
                chosen = 1 + rng.permutation(length - 1)[:max(1, round(0.15 * length))]
                labels[b, chosen] = ids[b, chosen]
                batch["input_ids"][b, chosen] = MASK
            batch |= {"labels": labels, "next_sentence_label": rng.integers(0, 2, self.batch)}
        elif self.kind == "classify":
            batch |= {"labels": rng.integers(0, 2, self.batch)}
        elif self.kind == "finetune":
            start = rng.integers(0, lengths)
            batch |= {"start_positions": start, "end_positions": rng.integers(start, lengths)}
        return batch

    def operations(self, padded=False, all_words=False, batches=None):
        """A Counter of floating-point operations of one step by part, the mean over the batches (default: `data`).
        padded: also for padding, all layers whole; all_words: with the scores of all words for every token, not for
        masked ones only."""
        batches = batches or self.data()
        total = sum((self._operations(batch, padded, all_words) for batch in batches), Counter())
        return Counter({part: n / len(batches) for part, n in total.items()})

    def _operations(self, batch, padded, all_words):
        config, lengths = self.config(), batch["attention_mask"].sum(1)
        sequences, width = batch["input_ids"].shape
        lengths = np.full(sequences, width) if padded else lengths
        masked = (batch["labels"] != IGNORE).sum(1) if self.kind == "pretrain" else None
        pooled = cost.classifier(config, sequences, 2, pooled=True)
        if self.kind == "encode":
            return cost.encoder(config, lengths) + cost.classifier(config, sequences, 0, pooled=True)
        if self.kind == "finetune":
            forward = cost.encoder(config, lengths) + cost.classifier(config, int(lengths.sum()), 2)
        elif self.kind == "classify":
            forward = cost.encoder(config, lengths, None if padded else np.ones(sequences)) + pooled
        elif padded:
            forward = (cost.encoder(config, lengths) + pooled
                       + cost.masked_lm_head(config, int(lengths.sum() if all_words else masked.sum())))
        else:
            forward = cost.pretraining(config, lengths, masked)
        return Counter({part: cost.TRAINING * n for part, n in forward.items()})


def grouped(batches):
    """The same sequences in as many batches of the same size, but of about equal lengths, each cut to its longest.

    That is what the trainer of Hugging Face does if it is told to group by length.
    """
    rows = [{name: x[b] for name, x in batch.items()} for batch in batches for b in range(len(batch["input_ids"]))]
    rows.sort(key=lambda row: -row["attention_mask"].sum())
    size, found = len(batches[0]["input_ids"]), []
    for first in range(0, len(rows), size):
        of_batch = rows[first:first + size]
        longest = int(of_batch[0]["attention_mask"].sum())
        found.append({name: np.stack([row[name][:longest] if np.ndim(row[name]) else row[name] for row in of_batch])
                      for name in of_batch[0]})
    return found


def all_cases(threads, batch, length):
    """{name: Case}, in the order of the table."""
    common = dict(threads=threads, batch=batch, length=length)
    cases = [Case(f"pretrain-{size}-{vocabulary}-{'padded' if padded else 'full'}", "pretrain", size=size,
                  vocab_size=vocabulary, padded=padded, **common)
             for vocabulary, padded, size in itertools.product((30522, 8000), (True, False),
                                                               ("tiny", "mini", "small", "base"))]
    cases += [Case("finetune-mini-padded", "finetune", size="mini", **common),
              Case("finetune-6-layer-windows", "finetune", size="6-layer", threads=threads, batch=16, length=256),
              Case("finetune-6-layer-sentences", "classify", size="6-layer", threads=threads, length=48, full=0)]
    cases += [Case("encode-base-padded", "encode", size="base", **common),
              Case("encode-base-full", "encode", size="base", padded=False, **common),
              Case("encode-base-single", "encode", size="base", padded=False, **common | {"batch": 1}),
              Case("encode-tiny-padded", "encode", size="tiny", **common)]
    cases += [Case(f"generate-gpt2-{texts}", "generate", vocab_size=50257, threads=threads, batch=texts, length=32,
                   padded=False, new_tokens=64) for texts in (1, 8)]
    cases += [Case(f"tokenise-{what}-{cache}", "tokenise", offsets=what == "offsets", warm=cache == "warm",
                   vocab_size=8000, threads=threads)
              for what, cache in (("ids", "cold"), ("ids", "warm"), ("offsets", "cold"))]
    cases += [Case(f"tokenise-bpe-ids-{cache}", "tokenise", tokenizer="byte-level BPE", warm=cache == "warm",
                   vocab_size=8000, threads=threads) for cache in ("cold", "warm")]
    return {case.name: case for case in cases}
