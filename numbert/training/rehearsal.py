"""A dry run: what a fine-tuning will do, how long that takes and how much memory, told before it begins.

A few steps and one evaluation are measured with a model that is dropped afterwards; nothing is written.
"""
import itertools
import time
from typing import NamedTuple

import numpy as np

from ..machine import peak_memory
from .finetuning import freeze
from .loop import train
from .optimizer import AdamW
from .parallel import text_lengths
from .run_folder import minutes
from .seeds import plural

TIMED = 3                           # steps, after the first, which is slower


class Rehearsal(NamedTuple):
    """What a few steps and one evaluation have shown: the tokens of each batch of an epoch, the tokens/s of steps, and
    the seconds of an evaluation."""
    tokens: list
    speed: float
    pause: float

    def steps(self, settings):
        return settings.max_steps or settings.epochs * len(self.tokens)

    def evaluations(self, settings):
        return -(-self.steps(settings) // (settings.eval_steps or len(self.tokens)))

    def training(self, settings):
        """Seconds of the steps of a run."""
        return sum(itertools.islice(itertools.cycle(self.tokens), self.steps(settings))) / self.speed

    def seconds(self, settings):
        """Seconds of a run."""
        return self.training(settings) + self.evaluations(settings) * self.pause


def timed(task, model, settings, workers):
    """The `Rehearsal` of a task (`experiment.Task`) with settings (`experiment.FineTuning`)."""
    if settings.freeze_body:
        freeze(model)
    tokens, chosen = [], []                             # of each batch; the batch with most tokens, and the first ones
    for batch in task.batches_of_epoch(np.random.default_rng([settings.seed, 1])):
        tokens.append(int(text_lengths(batch).sum()))
        if tokens[-1] > max(tokens[:-1], default=0):
            chosen[:1] = [batch]
        if len(tokens) <= TIMED:
            chosen.append(batch)
    measured = [*train(model, map(model.accepted, chosen), lr=lambda step: 0.0, seed=settings.seed, workers=workers,
                       optimizer=AdamW(model.trainable_parameters(), ranks=workers.ranks), steps=len(chosen),
                       accumulation=settings.gradient_accumulation)][1:]
    speed = sum(step.tokens for step in measured) / sum(step.seconds for step in measured)
    began = time.perf_counter()
    task.evaluate(model)
    return Rehearsal(tokens, speed, time.perf_counter() - began)


def rehearse(task, model, settings, workers, runs):
    """The lines of a dry run of so many `runs`, as measured by `timed`."""
    timing = timed(task, model, settings, workers)
    each, steps, training = (of(settings) for of in (timing.seconds, timing.steps, timing.training))
    parameters, trained = ([p.data for p in some] for some in (model.parameters(), model.trainable_parameters()))
    memory = peak_memory()
    if memory is not None:
        memory += sum(x.nbytes for x in trained)        # the copy of the best weights so far
    return "\n".join([
        "A dry run: a few steps and one evaluation were measured, nothing is kept.",
        f"model: {type(model).__name__}, {sum(x.size for x in parameters):,} parameters, of which "
        f"{sum(x.size for x in trained):,} are trained",
        f"runs: {runs} (lr {' '.join(map(str, settings.rates))}; {plural(settings.seeds, 'seed')})",
        f"steps: {steps:,} a run, {len(timing.tokens):,} an epoch of {sum(timing.tokens):,} tokens; evaluations: "
        f"{timing.evaluations(settings):,} a run",
        f"time: {minutes(each * runs)} in all, {minutes(each)} a run ({training / steps:.2f} s a step, "
        f"{timing.speed:,.0f} tokens/s, {timing.pause:.2f} s an evaluation)"
        + (", or less, if it stops early" if settings.patience else ""),
        "memory: " + ("not told by this system" if memory is None else f"about {memory / 2**20:,.0f} MB")])
