"""Examples from a world whose stories can all be listed, and the best guess that is possible at each."""
from itertools import islice

import numpy as np

from ..ops import IGNORE
from ..pretraining.masking import mask_tokens, ordinary_table
from ..tokenizers.wordpiece import SPECIAL_TOKENS, WordPieceTokenizer
from ..toyworld import stories
from ..toyworld.entropy import loss_of_best_guess, loss_of_best_verdict, splits, tokens

RATE, MASK_SHARE, RANDOM_SHARE = 0.15, 0.8, 0.1                 # BERT's: 15% are hidden, of them 80 / 10 / 10


class Told:
    """Examples from the stories of a variant, and the best guess at each. Words are `known`'s ids in tuples, and
    `tokenizer`'s ids, `offset` higher, in batches."""

    def __init__(self, known, variant):
        self.known, self.variant, self.splits = known, variant, splits(known)
        self.tokenizer = WordPieceTokenizer([*SPECIAL_TOKENS.values(), *known.words])
        self.offset = len(SPECIAL_TOKENS)
        self.ordinary = ordinary_table(self.tokenizer)
        self.ids = {word: number for number, word in enumerate(known.words)}

    def stories(self, count, rng):
        """Stories as lists of sentences, each a list of word ids."""
        return [[[self.ids[word] for word in tokens(one, "en")] for one in story.sentences]
                for story in islice(stories(rng, variant=self.variant), count)]

    def masked(self, count, rng):
        """[CLS] story [SEP] with hidden words; nothing is asked about pairs."""
        batch = self._batch([sum(story, []) for story in self.stories(count, rng)], [[]] * count)
        batch["input_ids"], batch["labels"] = mask_tokens(
            batch["input_ids"], rng, ordinary=self.ordinary, mask_id=self.tokenizer.mask_token_id, rate=RATE,
            mask_share=MASK_SHARE, random_share=RANDOM_SHARE)
        return batch

    def pairs(self, count, rng):
        """[CLS] A [SEP] B [SEP], half of the time from one story (0), otherwise from two (1); no word is hidden."""
        cut = [(story, int(rng.integers(1, len(story)))) for story in self.stories(2 * count, rng)]
        labels = rng.integers(2, size=count)
        halves = [(sum(story[:k], []), sum(story[k:], [])) for story, k in cut]
        a = [first for first, _ in halves[:count]]
        b = [halves[i + count * label][1] for i, label in enumerate(labels.tolist())]
        return self._batch(a, b) | {"next_sentence_label": labels}

    def batches(self, count, rng):
        """Endless batches of `count` stories with hidden words and `count` pairs."""
        while True:
            parts = self.masked(count, rng), self.pairs(count, rng)
            T = max(part["input_ids"].shape[1] for part in parts)
            for part in parts:                          # a filling that is never read: attention_mask is 0 there
                for name in ("input_ids", "token_type_ids", "attention_mask", "labels"):
                    more = [(0, 0), (0, T - part[name].shape[1])]
                    part[name] = np.pad(part[name], more, constant_values=IGNORE if name == "labels" else 0)
            yield {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _batch(self, first, second):
        """The arrays of [CLS] first [SEP] second [SEP], without the last part where second is empty; nothing asked."""
        cls, sep = [self.tokenizer.cls_token_id], [self.tokenizer.sep_token_id]
        rows = [cls + [self.offset + i for i in a] + sep + ([self.offset + i for i in b] + sep if b else [])
                for a, b in zip(first, second, strict=True)]
        batch = {"input_ids": np.full((len(rows), max(map(len, rows))), self.tokenizer.pad_token_id)}
        batch |= {name: np.zeros_like(batch["input_ids"]) for name in ("token_type_ids", "attention_mask")}
        for i, (row, a) in enumerate(zip(rows, first, strict=True)):
            batch["input_ids"][i, :len(row)], batch["attention_mask"][i, :len(row)] = row, 1
            batch["token_type_ids"][i, len(a) + 2:len(row)] = 1
        return batch | {"labels": np.full_like(batch["input_ids"], IGNORE),
                        "next_sentence_label": np.full(len(rows), IGNORE)}

    def best(self, name, batch):
        """(losses (B,), how many were asked in each example (B,)) of the best guesser."""
        rows = [row[mask > 0] - self.offset for row, mask in zip(batch["input_ids"], batch["attention_mask"],
                                                                 strict=True)]
        if name == "next sentence":
            sep = self.tokenizer.sep_token_id - self.offset
            cuts = [int(np.flatnonzero(row == sep)[0]) for row in rows]
            return np.array([loss_of_best_verdict(self.splits, tuple(row[1:cut].tolist()),
                                                  tuple(row[cut + 1:-1].tolist()), label == 0)
                             for row, cut, label in zip(rows, cuts, batch["next_sentence_label"], strict=True)]
                            ), np.ones(len(rows), int)
        replaced = RANDOM_SHARE / len(self.known.words)
        losses, counts = [], (batch["labels"] != IGNORE).sum(axis=1)
        for row, labels, count in zip(rows, batch["labels"], counts, strict=True):
            seen, labels = row[1:-1], labels[1:1 + len(row) - 2]
            selected = np.flatnonzero(labels != IGNORE)
            text = np.where(labels != IGNORE, labels - self.offset, seen)
            seen = np.where(seen == self.tokenizer.mask_token_id - self.offset, -1, seen)
            losses.append(count * loss_of_best_guess(self.known, text, seen, selected,
                                                     1 - MASK_SHARE - RANDOM_SHARE + replaced, replaced))
        return np.array(losses), counts
