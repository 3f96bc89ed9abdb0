"""Fine-tuning: a pre-trained body gets a new head, and both go on learning, on a few labelled examples.

The step is that of pre-training (`loop.py`). What is different is that data is scarce and steps are few. So the data is
passed over several times, the model is judged after each pass on examples kept apart, and the best one is kept. How
much of the result was luck is the subject of `seeds.py`.

Sources: Devlin et al. 2019, section 4 and appendix A.3; Mosbach et al. 2021, "On the Stability of Fine-tuning BERT"
(why Adam's bias correction and a warm-up matter); Howard and Ruder 2018, section 3.2 (learning rates by layer).
"""
import math
import re
import statistics
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..hub.checkpoint import load_weights
from ..hub.errors import read_json
from .loop import train
from .optimizer import AdamW, linear_schedule
from .run_folder import RunFolder


class Result(NamedTuple):
    """`figures` of the best epoch, the number of that `epoch` (from 1), and `history`: a dict for each epoch, with
    epoch, step, the mean training loss, and the figures."""
    figures: dict
    epoch: int
    history: list


def finetune(model, batches_of_epoch, *, epochs, lr, evaluate, workers, seed, warmup=0.1, weight_decay=0.01,
             layer_decay=1.0, freeze_body=False, patience=None, say=print):
    """Train `model` in place for `epochs` passes over labelled examples, and leave it as it was after the best one.

    batches_of_epoch(rng): the batches of one pass, shuffled with `rng` (see `Shuffled`); as many in every pass.
    evaluate(model): a dict of figures on examples kept apart. The first decides which epoch is best: higher is better,
    of equals the first; NaN is worst. lr: the highest learning rate, after a share `warmup` of the steps; then it falls
    to 0. layer_decay: each layer's learning rate is that of the layer above it times this. freeze_body: only the head
    learns (and the pooler); the body stays frozen (`requires_grad`). patience: stop when that many epochs in a row were
    no better than the best before them. say(text): is told about every epoch; None for silence.
    Returns Result. Raises ValueError for settings that cannot be.
    """
    if epochs < 1 or (patience is not None and patience < 1):
        raise ValueError(f"epochs and patience must be at least 1, got {epochs} and {patience}")
    if freeze_body:
        freeze(model)
    optimizer = AdamW(model.trainable_parameters(), weight_decay=weight_decay, factors=factors(model, layer_decay))
    best, history, schedule = None, [], None
    for epoch in range(epochs):
        batches = batches_of_epoch(np.random.default_rng([seed, 1 + epoch]))
        schedule = schedule or linear_schedule(epochs * len(batches), lr, warmup)
        start = epoch * len(batches)
        losses = [step.sums["loss"] for step in train(
            model, map(model.accepted, batches), optimizer=optimizer, lr=schedule, start=start,
            steps=start + len(batches), seed=seed, workers=workers)]
        figures = evaluate(model)
        history.append({"epoch": epoch + 1, "step": start + len(batches), "loss": statistics.fmean(losses)} | figures)
        if say:
            say(f"epoch {epoch + 1}/{epochs}  loss {history[-1]['loss']:.3f}  {describe(figures)}")
        if best is None or rank(figures) > rank(best.figures):
            best, weights = Result(figures, epoch + 1, history), [p.data.copy() for p in optimizer.parameters]
        elif patience is not None and epoch + 1 - best.epoch >= patience:
            break
    for parameter, array in zip(optimizer.parameters, weights, strict=True):
        np.copyto(parameter.data, array)
    return best


class Shuffled:
    """`batches_of_epoch` for `finetune`: examples in a new order each time, `batch_size` at a time.

    collate(list of examples) makes the batch, when its turn comes.
    """

    def __init__(self, examples, batch_size, collate):
        self.examples, self.batch_size, self.collate = examples, batch_size, collate
        if not len(examples) or batch_size < 1:
            raise ValueError(f"{len(examples)} examples cannot be cut into batches of {batch_size}")

    def __call__(self, rng):
        return _Epoch(self, rng.permutation(len(self.examples)))


class _Epoch:
    def __init__(self, source, order):
        self.source, self.order = source, order

    def __len__(self):
        return -(-len(self.order) // self.source.batch_size)

    def __iter__(self):
        size = self.source.batch_size
        for start in range(0, len(self.order), size):
            yield self.source.collate([self.source.examples[i] for i in self.order[start:start + size]])


# ---- near the input, near the output ---------------------------------------------------------------------------------


def depths(model):
    """How far each parameter is from the input: embeddings 0, layer i (from 0) i + 1, whatever reads the last layer
    (pooler and head) L + 1. In the order of `parameters()`."""
    names = list(model.named_parameters())
    layer = [re.search(r"\blayers\.(\d+)\.", name) for name in names]
    top = 1 + max((int(found[1]) + 1 for found in layer if found), default=0)
    return [int(found[1]) + 1 if found else 0 if "embeddings." in name else top
            for name, found in zip(names, layer, strict=True)]


def freeze(model):
    """Freeze the embeddings and all layers, so that only what reads the last layer learns."""
    levels = depths(model)
    for parameter, depth in zip(model.parameters(), levels, strict=True):
        if depth < max(levels):
            parameter.requires_grad = False


def factors(model, layer_decay):
    """Of each trainable parameter, layer_decay to the power of its distance from the top: 1 for the head."""
    if not 0 < layer_decay <= 1:
        raise ValueError(f"layer_decay must be in (0, 1], got {layer_decay}")
    levels = depths(model)
    return [layer_decay ** (max(levels) - depth) for parameter, depth in zip(model.parameters(), levels, strict=True)
            if parameter.requires_grad]


# ---- where it starts, what it leaves ---------------------------------------------------------------------------------


def starting_point(cls, folder, *, from_scratch=False, **changes):
    """A function seed -> model of class `cls`, with the configuration in `folder` but for `changes`, as fine-tuning
    starts from it: the body as it is saved there, or drawn `from_scratch`; the head drawn. The seed decides the draws.

    What was loaded and what not is logged once. Raises CheckpointError if the folder does not fit.
    """
    if from_scratch:
        config, weights = cls.config_class.from_dict(read_json(Path(folder) / "config.json"), **changes), {}
    else:
        config, weights = cls.from_pretrained(folder, **changes).config, load_weights(folder)

    def draw(seed):
        # two numbers behind the seed keep it apart from the shuffling; and a last one of 0 would not count, for NumPy
        model = cls(config, rng=np.random.default_rng([seed, 0, 1]))
        model.load_state_dict(weights, source=folder)
        return model
    return draw


def save(folder, model, tokenizer, records):
    """A run folder: model and tokenizer, for `from_pretrained`, and metrics.jsonl with `records`, dicts, one a line."""
    folder = RunFolder(folder)
    folder.rewind(-1)
    for record in records:
        folder.log(record)
    model.save_pretrained(folder.path)
    tokenizer.save_pretrained(folder.path)


# ---- figures ---------------------------------------------------------------------------------------------------------


def rank(figures):
    """The figure that decides, for comparison: the first; NaN is below everything."""
    value = next(iter(figures.values()))
    return -math.inf if math.isnan(value) else value


def describe(figures):
    return "  ".join(f"{name} {value:.3f}" for name, value in figures.items())
