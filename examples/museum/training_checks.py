"""The training: what is done with a gradient, step by step, and after a stop."""
import math
import tempfile
from pathlib import Path

import numpy as np

from numbert import Parameter
from numbert.training.checkpoint import load_checkpoint, save_checkpoint
from numbert.training.loop import train
from numbert.training.optimizer import AdamW, global_norm
from numbert.training.parallel import Workers, loss_and_gradients

from .checks import Recorder, batch, bert, check, equal, holds, pairs, steps


@check
def adamw_is_the_printed_algorithm():
    """Loshchilov and Hutter 2019, algorithm 2, number by number, for a matrix, which decays, and a bias, which not."""
    rng, lr, b1, b2, eps = np.random.default_rng(0), 0.1, 0.9, 0.999, 1e-6
    parameters = [Parameter(rng.standard_normal((2, 2))), Parameter(rng.standard_normal(2))]
    start = [p.data.copy() for p in parameters]
    gradients = [[rng.standard_normal(p.shape) for p in parameters] for _ in range(3)]
    adamw = AdamW(parameters, betas=(b1, b2), eps=eps, weight_decay=0.3)
    with Workers(1) as workers:
        for one in gradients:
            adamw.step(one, lr, workers)
    for i, (p, name) in enumerate(zip(parameters, ("matrix", "bias"), strict=True)):
        for place in np.ndindex(p.shape):
            w, m, v, decay = start[i][place], 0.0, 0.0, 0.3 * (p.data.ndim > 1)
            for t in (1, 2, 3):
                g = gradients[t - 1][i][place]
                m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
                w -= lr * (m / (1 - b1**t) / (math.sqrt(v / (1 - b2**t)) + eps) + decay * w)
            equal(f"{name} at {place}", p.data[place], w)


@check
def clipping_keeps_the_direction():
    """What the optimiser gets is the gradient, made shorter, all of it alike."""
    free, clipped = Recorder(), Recorder()
    steps(bert(), [batch()], free, clip_norm=1e9)
    step, = steps(bert(), [batch()], clipped, clip_norm=0.5)
    with Workers(1) as workers:
        norm = global_norm(clipped.gradients[0], workers)
    holds(f"clipped to length 0.5, the gradient is {norm:.6f} long", abs(norm - 0.5) < 1e-6)
    for whole, short in zip(free.gradients[0], clipped.gradients[0], strict=True):
        equal("a clipped gradient", short, whole * 0.5 / step.gradient_norm)


@check
def a_step_follows_its_own_batch():
    """The same batch three times, and nothing moves: the same gradient three times."""
    recorder = Recorder()
    steps(bert(), [batch()] * 3, recorder, clip_norm=1e9)
    for number, later in enumerate(recorder.gradients[1:], 2):
        for first, g in zip(recorder.gradients[0], later, strict=True):
            equal(f"step {number}: a gradient", g, first)


@check
def any_cut_of_a_batch_gives_the_same_gradient():
    """One part, or two of different lengths: each loss is divided by the count of the whole batch."""
    model, one = bert(), batch((12, 3, 3, 4))
    found = []
    for n in (1, 2):
        with Workers(n) as workers:
            found.append(loss_and_gradients(model, one, lambda part: None, workers))
    (whole, gradients), (parts, others) = found
    equal("the loss from two parts", parts["loss"], whole["loss"])
    for name, g, other in zip(model.named_parameters(), gradients, others, strict=True):
        equal(f"the gradient of {name} from two parts", other, g, rtol=1e-6, atol=1e-9)


@check
def the_learning_rate_is_that_of_the_step():
    """What the optimiser gets in step s is lr(s)."""
    recorder = Recorder()
    steps(bert(), [batch()] * 3, recorder, lr=lambda step: 0.1 + step)
    equal("learning rate of step", recorder.rates, [0.1, 1.1, 2.1])


@check
def every_step_has_dropout_of_its_own():
    """The same batch again and again, and nothing moves: the loss is another each time."""
    losses = [step.sums["loss"] for step in steps(bert(dropout=0.3), [batch()] * 3, Recorder())]
    holds(f"the losses of three steps: {losses}", len(set(losses)) == 3)


@check
def a_resumed_run_is_the_same_run():
    """Six steps; and three, a checkpoint, another process, three more: the same weights, bit for bit."""
    def go(model, optimizer, start, stop):
        with Workers(1) as workers:
            list(train(model, data.batches(start), optimizer=optimizer, lr=lambda step: 1e-2, steps=stop, seed=0,
                       workers=workers, start=start))

    data = pairs()
    whole, half, rest = bert(), bert(), bert()
    go(whole, AdamW(whole.parameters()), 0, 6)
    optimizer = AdamW(half.parameters())
    go(half, optimizer, 0, 3)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.safetensors"
        save_checkpoint(path, half, optimizer, 3, {})
        optimizer = AdamW(rest.parameters())
        go(rest, optimizer, load_checkpoint(path, rest, optimizer, {}), 6)
    for name, p, q in zip(whole.named_parameters(), whole.parameters(), rest.parameters(), strict=True):
        equal(f"{name} after six steps", q.data, p.data, rtol=0, atol=0)
