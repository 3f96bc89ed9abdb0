"""The same short training for every bug: a layer of width 32 on stories of a closed little world, in under a second.

Small as it is, it passes wherever a bug may be: dropout, two tasks, padding, clipping, and a stop halfway after which
it goes on from its checkpoint. What is reported on the way is what the buggy code says of itself. The held-out
losses are computed afterwards from the weights that were kept, by the code without the bug: what anyone else would
get from such a checkpoint.
"""
import contextlib
import functools
import math
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from numbert import (
    BertConfig,
    BertForPreTraining,
    GPT2Config,
    GPT2LMHeadModel,
    RobertaConfig,
    RobertaForMaskedLM,
    WordPieceTokenizer,
    no_grad,
)
from numbert.pretraining.batches import PretrainingData
from numbert.tokenizers.wordpiece import SPECIAL_TOKENS
from numbert.toyworld import documents
from numbert.training.checkpoint import load_checkpoint, save_checkpoint
from numbert.training.loop import NonFiniteError, train
from numbert.training.optimizer import AdamW, linear_schedule
from numbert.training.parallel import Workers

STEPS, BATCH, LENGTH, LR, WIDTH = 150, 32, 16, 1e-2, 32
SNAPSHOTS = 6                                       # held-out losses along the way


class Curve(NamedTuple):
    """Losses by name, as [(step, nats), ...]: `reported` while training, `held_out` measured without the bug."""
    reported: dict
    held_out: dict

    def figures(self):
        """The loss of the first step, the mean of the last tenth, and the held-out one at the end, by task."""
        found = {}
        for name in self.held_out:
            losses = [loss for _, loss in self.reported.get(name, [(1, math.inf)])]
            found |= {f"{name} first": losses[0], f"{name} last": float(np.mean(losses[-max(1, len(losses) // 10):])),
                      f"{name} held out": self.held_out[name][-1][1]}
        return found


@functools.cache
def world():
    """(tokenizer, stories to learn, stories to be measured on).

    The stories use few words. The vocabulary has those of the open world too, so that there is something to rule out.
    """
    stories = list(documents(700, np.random.default_rng(1), "en", "closed"))
    more = documents(300, np.random.default_rng(0))
    split = WordPieceTokenizer([]).normaliser.words
    words = {word for text in (*stories, *more) for sentence in text for word in split(sentence)}
    return WordPieceTokenizer([*SPECIAL_TOKENS.values(), *sorted(words)]), stories[100:], stories[:100]


def data(course, stories, seed):
    """The batches of a course: words to guess and pairs for BERT, words to guess for RoBERTa, text for GPT."""
    objective = {"bert": "mlm+nsp", "roberta": "mlm", "gpt": "causal"}[course]
    return PretrainingData(stories, world()[0], objective=objective, max_length=LENGTH, batch_size=BATCH, mask_rate=0.3,
                           seed=seed)


def new_model(course, seed):
    words, rng = len(world()[0]), np.random.default_rng(seed)
    if course == "gpt":
        config = GPT2Config(vocab_size=words, n_embd=WIDTH, n_layer=1, n_head=4, n_inner=2 * WIDTH, n_positions=LENGTH,
                            initializer_range=0.1)
        return GPT2LMHeadModel(config, rng=rng)
    kind, configuration = ((BertForPreTraining, BertConfig) if course == "bert" else
                           (RobertaForMaskedLM, RobertaConfig))
    return kind(configuration(vocab_size=words, hidden_size=WIDTH, num_hidden_layers=1, num_attention_heads=4,
                              intermediate_size=2 * WIDTH, max_position_embeddings=LENGTH + 1, pad_token_id=0,
                              initializer_range=0.1), rng=rng)


def run(course, *, bug=None, seed=0, steps=STEPS):
    """The `Curve` of a course, with a `Bug` or without. A run that breaks down ends there, with infinity."""
    world()                                             # made before anything is patched
    reported, kept = {}, []
    with bug.patch() if bug else contextlib.nullcontext(), np.errstate(all="ignore"):
        try:
            for number, losses, weights in _learn(course, seed, steps):
                for name, loss in losses.items():
                    reported.setdefault(name, []).append((number, loss))
                if weights:
                    kept.append((number, weights))
        except NonFiniteError:
            kept.append((steps, None))
    held_out = {}
    for number, weights in kept:
        for name, loss in _measure(course, weights).items():
            held_out.setdefault(name, []).append((number, loss))
    return Curve(reported, held_out)


def _learn(course, seed, steps):
    """Yield (step, its losses, copies of the weights at every sixth part of the way, else None)."""
    text, half = data(course, world()[1], seed), steps // 2
    with Workers(1) as workers, tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "checkpoint.safetensors"
        for start, stop in ((0, half), (half, steps)):          # the second time as if in another process
            model = new_model(course, seed)
            optimizer = AdamW(model.parameters())
            if start:
                start = load_checkpoint(checkpoint, model, optimizer, {})
            for step in train(model, text.batches(start), optimizer=optimizer,
                              lr=linear_schedule(steps, LR), steps=stop, seed=seed, workers=workers, start=start):
                keep = step.number == steps or step.number % max(1, steps // SNAPSHOTS) == 0
                yield (step.number, {name: step.sums[name] for name in step.sums if name != "loss"},
                       [p.data.copy() for p in model.parameters()] if keep else None)
            save_checkpoint(checkpoint, model, optimizer, stop, {})


@functools.cache
def _held_out(course):
    return list(data(course, world()[2], 1).evaluation_batches())


def _measure(course, weights):
    """The held-out losses of the model with these weights; infinity for a run that broke down."""
    model, batches = new_model(course, 0), _held_out(course)
    if weights is None:
        with no_grad():
            return dict.fromkeys(model(**batches[0]).losses, math.inf)
    for parameter, array in zip(model.parameters(), weights, strict=True):
        parameter.data = array
    sums, counts = {}, {}
    with no_grad(), np.errstate(all="ignore"):
        for batch in batches:                           # of unequal numbers of labels: no mean of means
            output = model(**batch)
            for name, loss in output.losses.items():
                sums[name] = sums.get(name, 0.0) + float(loss) * output.counts[name]
                counts[name] = counts.get(name, 0) + output.counts[name]
    return {name: sums[name] / max(1, counts[name]) for name in sums}
