"""Fine-tuning: a pre-trained body gets a new head, and both are trained on a few labelled examples.

The step is that of pre-training (`loop.py`). The difference is that there is little data and there are few steps. So
training takes several epochs, the model is evaluated on held-out examples after each (or after so many steps), and the
best one is kept. How much the result depends on the seed is the subject of `seeds.py`.

Sources: Devlin et al. 2019, section 4 and appendix A.3; Mosbach et al. 2021, "On the Stability of Fine-tuning BERT"
(why Adam's bias correction and a warm-up matter); Howard and Ruder 2018, section 3.2 (learning rates by layer).
"""
import contextlib
import itertools
import math
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..hub.checkpoint import load_weights
from ..hub.errors import CheckpointError, read_json
from ..module import shapes_only
from .loop import finishing_on_interrupt, train
from .optimizer import AdamW, linear_schedule
from .run_folder import Progress, RunFolder

RECENT = 50                         # steps of which the line of progress shows the mean loss


class Trial(NamedTuple):
    """One fine-tuning of several: its learning rate and its seed."""
    lr: float
    seed: int


def names(trials):
    """{trial: what it is called}: by its seed, and by its learning rate if there are several."""
    several = len({trial.lr for trial in trials}) > 1
    return {trial: (f"lr {trial.lr}, " if several else "") + f"seed {trial.seed}" for trial in trials}


class BestEpoch(NamedTuple):
    """`figures` of the best evaluation, after how many epochs it was (`epoch`, a fraction if it was within one), and
    `history`: a dict for each evaluation, with epoch, step, the mean training loss since the one before, and the
    figures."""
    figures: dict
    epoch: int | float
    history: list


@dataclass
class Course:
    """The state of a fine-tuning: all that its next step depends on when an evaluation has ended, and the `best` so far
    (a BestEpoch) with the parameters' values then, `weights`, in the order of optimizer.parameters."""
    model: object
    optimizer: AdamW
    history: list = field(default_factory=list)
    best: BestEpoch | None = None
    weights: list | None = None

    @property
    def step(self):
        """How many steps are done."""
        return self.history[-1]["step"] if self.history else 0

    def judge(self, figures, **record):
        """Add an evaluation that has just ended to the history. The first of equal ones is the best."""
        self.history.append(record | figures)
        if self.best is None or rank(figures) > rank(self.best.figures):
            self.best = BestEpoch(figures, record["epoch"], self.history)
            self.weights = [parameter.data.copy() for parameter in self.optimizer.parameters]

    def best_is_new(self):
        """Whether the last evaluation was the best."""
        return self.since_best() == 0

    def since_best(self):
        """How many evaluations there were after the best one; None before the first."""
        return self.best and sum(record["epoch"] > self.best.epoch for record in self.history)

    def back_to_best(self):
        """Give the parameters the values that they had at the best evaluation, if there was one."""
        for parameter, array in zip(self.optimizer.parameters, self.weights or (), strict=self.weights is not None):
            np.copyto(parameter.data, array)


def finetune(model, batches_of_epoch, *, epochs, lr, evaluate, workers, seed, max_steps=None, eval_steps=None,
             warmup=0.1, weight_decay=0.01, layer_decay=1.0, freeze_body=False, patience=None, accumulation=1,
             say=print, restore=None, keep=None):
    """Train `model` in place for `epochs` passes over labelled examples, and leave it as it was when it was best.

    batches_of_epoch(rng): the batches of one pass, shuffled with `rng` (see `Shuffled`); as many in every pass.
    max_steps: train for so many steps instead of `epochs`. eval_steps: evaluate after every so many steps, and after
    the last; None: after each epoch. evaluate(model): a dict of figures on held-out examples. They decide when the
    model is best: higher is better, the next figure decides if the first is equal, then the earlier evaluation; NaN is
    worst. lr: the highest learning rate, after a share `warmup` of the steps; then it falls to 0. layer_decay: each
    layer's learning rate is that of the layer above it times this. freeze_body: only the head (and the pooler) is
    trained; the body is frozen (`requires_grad`). patience: stop when that many evaluations in a row were no better
    than the best before them. accumulation: see `parallel.loss_and_gradients`. say(text): gets a line for every
    evaluation, and one every few seconds (`Progress`); None prints nothing. keep(course): is called after every
    evaluation, before its line is printed, to save the state; restore(course): before the first step, to put back what
    was saved.

    Returns BestEpoch. Raises ValueError for invalid settings. Ctrl-C lets the step end, leaves the model as it
    was when it was best, and raises KeyboardInterrupt.
    """
    for name, value in (("epochs", epochs), ("max_steps", max_steps), ("eval_steps", eval_steps),
                        ("patience", patience)):
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if freeze_body:
        freeze(model)
    course = Course(model, AdamW(model.trainable_parameters(), weight_decay=weight_decay,
                                 lr_factors=layer_lr_factors(model, layer_decay), ranks=workers.ranks))
    if restore:
        restore(course)

    def of_epoch(number):
        return batches_of_epoch(np.random.default_rng([seed, 1 + number]))

    def batches(start):
        for epoch in itertools.count(start // per_epoch):
            done = max(0, start - epoch * per_epoch)
            yield from map(model.accepted, itertools.islice(of_epoch(epoch), done, None))

    def over():
        return course.step >= steps or (patience is not None and (course.since_best() or 0) >= patience)

    per_epoch = len(of_epoch(0))
    steps, every = max_steps or epochs * per_epoch, eval_steps or per_epoch
    progress, losses = Progress(steps, course.step, say=say or (lambda text: None)), []
    training = () if over() else train(
        model, batches(course.step), optimizer=course.optimizer, lr=linear_schedule(steps, lr, warmup), steps=steps,
        start=course.step, seed=seed, workers=workers, accumulation=accumulation)
    with finishing_on_interrupt(workers.ranks) as interrupted:
        for step in training:
            losses.append(step.sums["loss"])
            if step.number % every and step.number < steps:
                progress.update(step, lambda: f"loss {statistics.fmean(losses[-RECENT:]):.3f}")
                if interrupted():
                    course.back_to_best()
                    raise KeyboardInterrupt
                continue
            began, figures = time.monotonic(), evaluate(model)
            epoch = step.number / per_epoch if step.number % per_epoch else step.number // per_epoch
            course.judge(figures, epoch=epoch, step=step.number, loss=statistics.fmean(losses))
            losses.clear()
            if keep:
                keep(course)
            progress.paused_for(time.monotonic() - began)
            stop = interrupted()
            if say:
                say(f"epoch {in_epochs(epoch)}/{in_epochs(steps / per_epoch)}  loss {course.history[-1]['loss']:.3f}  "
                    + describe(figures))
            if stop or (interrupted() and not over()):      # SIGPIPE at the last line stops nothing
                course.back_to_best()
                raise KeyboardInterrupt
            if over():
                break
    course.back_to_best()
    return course.best


class Shuffled:
    """`batches_of_epoch` for `finetune`: examples in a new order each time, `batch_size` at a time.

    collate(list of examples) makes a batch, just before it is used.
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
    """How far each parameter is from the input: embeddings 0, layer i (from 0) i + 1, what reads the last layer
    (pooler and head) L + 1. In the order of `parameters()`."""
    body = model.body
    level = dict.fromkeys(map(id, body.embeddings.parameters()), 0)
    for depth, layer in enumerate(body.layers, 1):
        level |= dict.fromkeys(map(id, layer.parameters()), depth)
    return [level.get(id(parameter), 1 + len(body.layers)) for parameter in model.parameters()]


def freeze(model):
    """Freeze the embeddings and all layers, so that only what reads the last layer is trained."""
    levels = depths(model)
    for parameter, depth in zip(model.parameters(), levels, strict=True):
        if depth < max(levels):
            parameter.requires_grad = False


def layer_lr_factors(model, layer_decay):
    """The factor of each trainable parameter: layer_decay to the power of its distance from the head."""
    if not 0 < layer_decay <= 1:
        raise ValueError(f"layer_decay must be in (0, 1], got {layer_decay}")
    levels = depths(model)
    return [layer_decay ** (max(levels) - depth) for parameter, depth in zip(model.parameters(), levels, strict=True)
            if parameter.requires_grad]


# ---- where it starts, what it leaves ---------------------------------------------------------------------------------


def starting_point(cls, folder, *, from_scratch=False, keep_head=False, **changes):
    """A function seed -> model of class `cls`, with the configuration in `folder` but for `changes`, as fine-tuning
    starts from it: the body as it is saved there, or drawn `from_scratch`; the head drawn. The seed decides the draws.

    `changes` as in `from_pretrained`. keep_head: start from the head in the folder. It must be one for the same
    task: of the same class, size, and names of labels. What was loaded and what not is logged once. Raises
    CheckpointError if the folder does not fit.
    """
    path = Path(folder) / "config.json"
    settings = read_json(path)
    options = {name: changes.pop(name) for name in cls.options if name in changes}
    try:
        config = cls.config_class.from_dict(settings, **changes)
        with shapes_only():
            model = cls(config, rng=None)
    except CheckpointError:
        raise
    except (ValueError, TypeError) as error:
        raise CheckpointError(path, str(error)) from None
    weights = {}
    if not from_scratch:
        if keep_head:
            _check_head(cls, config, settings, path)
        weights, dropped = load_weights(folder), {}
        if not keep_head:
            weights, dropped = model.without_head(weights)
        report = model.load_state_dict(weights, source=folder)
        if not report.loaded:
            raise CheckpointError(folder, f"none of its tensors belongs to a {cls.__name__}")
        report.unused |= dropped
        report.new |= {name: "the head is new" for name in report.new if name in dropped}
        if keep_head and report.new:
            raise CheckpointError(folder, f"has no head to keep: it lacks {', '.join(report.new)}")
        report.log()

    def draw(seed):
        # the two further numbers give another stream than the shuffling; NumPy would ignore a last number of 0
        with shapes_only() as drawing:
            model = cls(config, rng=np.random.default_rng([seed, 0, 1]), **options)
        model.draw_new(model.load_state_dict(weights, source=folder), drawing)
        return model
    return draw


def _check_head(cls, config, settings, path):
    """Raises CheckpointError unless the head that stands in a folder with these settings is for the same task."""
    made_by = settings.get("architectures")
    if made_by != [cls.__name__]:
        raise CheckpointError(path, f"the head to keep must be that of a {cls.__name__}, this is {made_by}")
    theirs = type(config).from_dict(settings)
    for name in ("num_labels", "id2label", "problem_type"):
        ours, saved = getattr(config, name), getattr(theirs, name)
        if name == "id2label" and saved == {i: str(i) for i in range(theirs.num_labels)}:
            continue                                    # numbers are no names
        if ours != saved and (name != "problem_type" or None not in (ours, saved)):
            raise CheckpointError(path, f"the head to keep was learnt with {name} = {saved}, the task has {ours}")


def save(folder, model, tokenizer, records):
    """A run folder: tokenizer and model, for `from_pretrained`, and metrics.jsonl with `records`, dicts, one a line.

    folder: a path, or a RunFolder that is open already.
    """
    with contextlib.nullcontext(folder) if isinstance(folder, RunFolder) else RunFolder(folder) as folder:
        tokenizer.save_pretrained(folder.path)
        model.save_pretrained(folder.path)
        folder.rewrite(records)


# ---- figures ---------------------------------------------------------------------------------------------------------


def rank(figures):
    """A key for comparison: the figures in their order; NaN is below everything."""
    return tuple(-math.inf if math.isnan(value) else value for value in figures.values())


def in_epochs(number):
    """A number of epochs, or of a fraction of one, as it is shown."""
    return f"{round(number, 2):g}"


def describe(figures):
    return "  ".join(f"{name} {value:.3f}" for name, value in figures.items())
