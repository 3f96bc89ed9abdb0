"""The loss and its floor: two losses fall, towards the lowest values that any model can reach.

    python examples/lecture/03_entropy.py                 about a minute
    python examples/lecture/03_entropy.py --steps 6000    closer to the floor
    python examples/lecture/03_entropy.py --variant tiny  a world that is learnt in seconds

BERT minimises a sum of two negative log-likelihoods: of the hidden words (token-level), and of "does B continue A?"
(sentence-level). How low can they go? Nobody knows that of English. A small variant of the toy world has so few stories
that they can all be listed with their probabilities, and the best possible guess is Bayes' rule over the list
(numbert/toyworld/entropy.py). Source: Devlin et al. 2019, section 3.1 and appendix A.2.
"""
import math
from itertools import islice

import numpy as np

from numbert import BertForPreTraining, WordPieceTokenizer, no_grad, ops
from numbert.lab import laboratory, svg
from numbert.lab.bodies import Recipe, config_of
from numbert.pretraining.masking import mask_tokens, ordinary_table
from numbert.tokenizers.wordpiece import SPECIAL_TOKENS
from numbert.toyworld import stories
from numbert.toyworld.entropy import (
    enumerated,
    loss_of_best_guess,
    loss_of_best_verdict,
    masked_word_entropy,
    next_sentence_entropy,
    splits,
    tokens,
    unigram_entropy,
)
from numbert.training.loop import train
from numbert.training.optimizer import AdamW, linear_schedule
from numbert.training.run_folder import Progress

RATE, MASK_SHARE, RANDOM_SHARE = 0.15, 0.8, 0.1                 # BERT's: 15% are hidden, of them 80 / 10 / 10
QUICK = {"variant": "tiny", "steps": 20, "held": 20, "points": 2, "width": 32}


def main(argv=None):
    parser = laboratory.arguments(__doc__, name="entropy", quick=QUICK, variant="closed", steps=2000, batch=16,
                                  held=400, points=16, lr=1e-3, layers=2, width=128, seed=0)
    laboratory.start(entropy, parser, argv)


# %% All the stories there are
# 30,720 in the closed variant, each with its exact probability. Any words that two stories have in common are counted
# where both are; so what can be known from the words that are seen is a sum over the list.


def entropy(options, workers):
    if options.held < 2:
        raise ValueError(f"--held must be at least 2, got {options.held}: its spread is measured")
    results = laboratory.Results(options)
    known = enumerated(options.variant)
    floors = {"words": masked_word_entropy(options.variant), "unigram": unigram_entropy(known),
              "next sentence": next_sentence_entropy(known)}
    print(f"{len(known.texts)} stories of {known.lengths.min()} to {known.lengths.max()} words, "
          f"{len(known.words)} different ones. Nats a word, at best: {floors['unigram']:.3f} with no word visible, "
          f"{floors['words']:.3f} with all the others visible.")
    told = Told(known, options.variant)

    # %% Held-out examples, and the best guess at each
    # The floor is known for every single example, so the model is compared with it example by example: the sampling
    # error is the same for both and cancels in the difference.
    rng = np.random.default_rng([options.seed, 1])
    held = {"words": told.masked(options.held, rng), "next sentence": told.pairs(options.held, rng)}
    best = {name: told.best(name, batch) for name, batch in held.items()}
    for name, (losses, counts) in best.items():
        print(f"{name}: {counts.sum()} held out, at which the best guess costs {losses.sum() / counts.sum():.3f} nats")

    # %% Training
    # Half of a batch are whole stories with hidden words, half are pairs that are seen in full, A from the front of a
    # story and B from behind, of the same story or of another one. BERT asks both of the same text; here they are kept
    # apart, so that each of the two losses is measured on what its floor was computed for.
    config = config_of(Recipe(layers=options.layers, width=options.width), len(told.tokenizer))
    model = BertForPreTraining(config, rng=np.random.default_rng(options.seed))
    curves = {"words": [], "next sentence": []}
    progress, every = Progress(options.steps), math.ceil(options.steps / options.points)

    def look(step):
        for name, batch in held.items():
            curves[name].append({"step": step} | compare(losses_of(model, name, batch), *best[name]))

    look(0)
    for step in train(model, told.batches(options.batch, np.random.default_rng([options.seed, 2])),
                      optimizer=AdamW(model.parameters()), lr=linear_schedule(options.steps, options.lr),
                      steps=options.steps, seed=options.seed, workers=workers):
        progress.update(step, lambda sums=step.sums: f"words {sums['mlm']:.3f}  next sentence {sums['nsp']:.3f}")
        if step.number % every == 0 or step.number == options.steps:
            look(step.number)

    # %% What was seen
    results.add(exact={**floors, "guessing": math.log(2)}, curves=curves)
    results.draw("entropy", [
        svg.chart("hidden words, held out", "step", "nats", {"model": line(curves["words"], "loss")},
                  {"unigram": floors["unigram"], "best guess": curves["words"][-1]["best"],
                   "one hidden": floors["words"]}),
        svg.chart("does B follow A? held out", "step", "nats", {"model": line(curves["next sentence"], "loss")},
                  {"guessing": math.log(2), "best guess": curves["next sentence"][-1]["best"]})])
    print()
    for name in curves:
        print(verdict(name, curves[name]))
    print("""
Look at both curves: where do most of the nats go, and which cost most? No point lies significantly below the lowest
dashed line: that would be an error in the program, not a good model.
Try next: --steps 6000, --layers 1 (what cannot be reached without a second layer?).""")


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
                    part[name] = np.pad(part[name], more, constant_values=ops.IGNORE if name == "labels" else 0)
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
        return batch | {"labels": np.full_like(batch["input_ids"], ops.IGNORE),
                        "next_sentence_label": np.full(len(rows), ops.IGNORE)}

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
        losses, counts = [], (batch["labels"] != ops.IGNORE).sum(axis=1)
        for row, labels, count in zip(rows, batch["labels"], counts, strict=True):
            seen, labels = row[1:-1], labels[1:1 + len(row) - 2]
            selected = np.flatnonzero(labels != ops.IGNORE)
            text = np.where(labels != ops.IGNORE, labels - self.offset, seen)
            seen = np.where(seen == self.tokenizer.mask_token_id - self.offset, -1, seen)
            losses.append(count * loss_of_best_guess(self.known, text, seen, selected,
                                                     1 - MASK_SHARE - RANDOM_SHARE + replaced, replaced))
        return np.array(losses), counts


def losses_of(model, name, batch):
    """(B,): the model's loss in each example, the sum over its hidden words."""
    with no_grad():
        output = model(**batch)
    words = name == "words"
    logits = (output.prediction_logits if words else output.seq_relationship_logits).data.astype(np.float64)
    labels = batch["labels" if words else "next_sentence_label"]
    asked = labels != ops.IGNORE
    logits -= logits.max(axis=1, keepdims=True)
    right = np.take_along_axis(logits, labels[asked][:, None], axis=1)[:, 0]
    return np.bincount(np.nonzero(asked)[0], np.log(np.exp(logits).sum(axis=1)) - right, minlength=len(labels))


def compare(losses, best, counts):
    """The mean loss and that of the best guesser, how much the one lies above the other, and its standard error."""
    above = (losses - best) * len(counts) / counts.sum()
    return {"loss": losses.sum() / counts.sum(), "best": best.sum() / counts.sum(), "above": above.mean(),
            "error": above.std(ddof=1) / math.sqrt(len(above))}


def line(records, figure):
    return [(record["step"], record[figure]) for record in records]


def verdict(name, records):
    """One sentence. Raises ArithmeticError where a loss lies below the floor by more than four standard errors."""
    lowest = min(records, key=lambda record: record["above"] + 4 * record["error"])
    if lowest["above"] + 4 * lowest["error"] < 0:
        raise ArithmeticError(f"{name}: at step {lowest['step']} {-lowest['above']:.4f} nats below what is possible, "
                              f"standard error {lowest['error']:.4f}: the floor or the loss is computed wrongly")
    end = records[-1]
    return (f"{name}: {records[0]['loss']:.3f} nats at first, {end['loss']:.3f} in the end; the best guess costs "
            f"{end['best']:.3f}, so {end['above']:.3f} ± {end['error']:.3f} are still to be learnt")


if __name__ == "__main__":
    main()
