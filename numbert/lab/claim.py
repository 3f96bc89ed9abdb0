"""A claim and its experiment: several bodies, a file of figures, contrasts of conditions, and what they say.

    def labels(lab):                            # lab: an Experiment; the docstring of such a function is the claim
        for body in lab.bodies():
            folder = made(lab.recipe(body, 3000), lab.workers)
            for how in ("pre-trained", "from scratch"):
                lab.tuned(how, body, folder, "classify", 100, from_scratch=how == "from scratch")
        return [lab.contrast("pre-trained against from scratch", "above", "pre-trained", "from scratch")]

    settle("labels", labels, options, workers, command="python examples/claims.py labels")
"""
import functools
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..hub import files
from ..models.bert import BertForPreTraining
from ..tokenizers.wordpiece import WordPieceTokenizer
from ..training.experiment import FineTuning, run
from ..training.loop import train
from ..training.optimizer import AdamW, linear_schedule
from . import effects
from .bodies import Recipe, config_of, pretrained_body
from .grid import Grid
from .toy_tasks import draw, toy_task

ACCURACY = 0.02                                 # a smaller difference of accuracies, or of F1 / 100, does not matter


class Contrast(NamedTuple):
    """One comparison of a claim: `ours` less `others`, rows of heads for each body; claimed to be `above`, `below` or
    `equal` to 0. What is no difference of shares has another `unit`, and is left out of the picture."""
    what: str
    claim: str
    ours: list
    others: list
    margin: float = ACCURACY
    unit: str = "difference"


class Experiment:
    """What the claims share: the grid of figures, the options, the workers."""

    def __init__(self, grid, options, workers):
        self.grid, self.options, self.workers = grid, options, workers

    def bodies(self):
        return self.grid.bodies(self.options.bodies, self.options.minutes, self.options.seed)

    def recipe(self, body, steps, **settings):
        return Recipe(steps=self.options.steps or steps, seed=body, **settings)

    def size(self, labels):
        """So many labelled examples, half of --test to choose by, and --test to report on."""
        return 16 if self.options.quick else labels, self.options.test // 2, self.options.test

    def contrast(self, what, claim, ours, others, **settings):
        """The Contrast of two conditions."""
        return Contrast(what, claim, self.grid.figures(ours), self.grid.figures(others), **settings)

    def tuned(self, condition, body, folder, name, labels, *, from_scratch=False, **settings):
        """Fine-tune each head on `labels` examples of a toy task, drawn anew for each body and alike for all
        conditions."""
        def task(setup):
            return toy_task(name, draw(name, self.size(labels), seed=100 + body),
                            WordPieceTokenizer.from_pretrained(folder()), setup, self.workers)
        self.heads({condition: None}, body, folder, task, from_scratch=from_scratch, **settings)

    def heads(self, conditions, body, folder, task, *, from_scratch=False, **settings):
        """Cells for each head, as `measured`: fine-tuned from folder() on the Task that task(setup) gives, both made
        when a figure is missing. The name None is the figure that decides; F1 is a share, too. settings: of the
        FineTuning, where they differ."""
        setup = FineTuning(**{"epochs": self.options.epochs, "lr": 7e-4, "batch_size": 16, "dropout": 0.0} | settings)
        prepared = functools.cache(lambda: task(setup))

        def one(head):
            found = run(prepared(), folder(), setup, self.workers, from_scratch=from_scratch, seeds=[100 * body + head],
                        say=None).seeds
            shares = {name: found.mean(name) / (100 if name.startswith("f1") else 1) for name in found.baseline}
            return shares | {None: shares[found.deciding]}

        for head in range(self.options.heads):
            self.measured(conditions, body, functools.partial(one, head), head)

    def measured(self, conditions, body, compute, head=0):
        """A cell for each of `conditions` {condition: name} with that one of the figures {name: figure} that compute()
        gives. It is called once, if a cell is missing."""
        found = functools.cache(compute)
        for condition, name in conditions.items():
            self.grid.cell(condition, body, head, lambda name=name: found()[name])

    def kept(self, name, make):
        """A function that gives a folder beside the result file. make(folder) fills it when it is first asked for. The
        name tells all settings of what is in it."""
        folder = self.grid.path.parent / "bodies" / name

        def found():
            if not folder.exists():
                unfinished = folder.with_name(f"{name}.unfinished")
                shutil.rmtree(unfinished, ignore_errors=True)
                unfinished.mkdir(parents=True)
                make(unfinished)
                unfinished.rename(folder)
            return folder
        return found


def made(recipe, workers):
    """A function that gives the folder of such a body, which is pre-trained when it is first asked for."""
    return functools.cache(lambda: pretrained_body(recipe, workers))


def new_bert(recipe, tokenizer):
    """A model as the recipe says, with the words of any tokenizer."""
    return BertForPreTraining(config_of(recipe, len(tokenizer)), rng=np.random.default_rng(recipe.seed))


def pretrained(model, data, recipe, workers, each=lambda step: None):
    """The model after recipe.steps steps; each(step) is called after every one."""
    for step in train(model, data.batches(), optimizer=AdamW(model.parameters()), steps=recipe.steps, seed=recipe.seed,
                   lr=linear_schedule(recipe.steps, recipe.lr), workers=workers):
        each(step)
    return model


def worth(level, sizes, contrasts):
    """The Contrast of how many labels pre-training is worth: to reach that level, how many times as many labels does a
    model from scratch need? In doublings, so 1 is twice as many. contrasts: of both, with each number of `sizes`.

    Where scratch never reaches the level, the largest size counts, and the mean is too low; where the pre-trained model
    never does, it is the other way round. The Contrast names the number of such bodies (censored).
    """
    ours, scratch = (np.array([[np.mean(heads) for heads in getattr(one, which)] for one in contrasts]).T
                     for which in ("ours", "others"))                                       # (bodies, sizes)
    needed = [[effects.labels_needed(sizes, curve, level) for curve in pair]
              for pair in zip(ours, scratch, strict=True)]
    censored = sum(any(known != "exactly" for _, known in pair) for pair in needed)
    return Contrast(f"labels to reach {level:.0%}, from scratch against pre-trained, in doublings"
                    + (f" ({censored} of {len(needed)} bodies censored)" if censored else ""), "above",
                    *([[np.log2(pair[which][0])] for pair in needed] for which in (1, 0)), margin=0.5, unit="doublings")


def settle(name, claim, options, workers, command):
    """Run the experiment of a claim, a function of an Experiment whose docstring is the claim; print and keep what it
    says, with the `command` that says it again."""
    settings = {key: getattr(options, key) for key in ("heads", "steps", "test", "epochs", "quick")}
    path = Path(options.out) / f"{name}.json"
    grid = Grid(path, settings, workers=options.workers)
    print(f"\n{name}: {claim.__doc__}")
    contrasts = claim(Experiment(grid, options, workers))
    rows = {one.what: effects.difference(one.ours, one.others) for one in contrasts}
    grid.save(claim=claim.__doc__, command=command, contrasts=[
        {"what": one.what, "claim": one.claim, "margin": one.margin, "bodies": len(one.ours),
         **{field: round(getattr(rows[one.what], field), 4) for field in ("mean", "low", "high", "could_be_seen")},
         "verdict": effects.verdict(rows[one.what], one.claim, one.margin)} for one in contrasts])
    drawn = {one.what: rows[one.what] for one in contrasts if one.unit == "difference"}
    files.write_text(path.with_suffix(".svg"), effects.picture(name, "difference", drawn, ACCURACY))
    if not options.quick:
        print("\n" + table(grid.content) + f"\n{path.with_suffix('.svg')}: a dot for each body")


def table(content):
    """The contrasts of a result file, as lines of text."""
    lines = [("", "difference [95%]", "could be seen", "bodies", "claimed", "verdict")]
    lines += [(one["what"], f"{one['mean']:+.3f} [{one['low']:+.3f}, {one['high']:+.3f}]",
               f"{one['could_be_seen']:.3f}", str(one["bodies"]), one["claim"], one["verdict"])
              for one in content["contrasts"]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
