"""Fine-tuning in two minutes, offline: a small BERT reads toy stories, then learns a task from few examples.

What the examples share: their options; `body`, the pre-trained model to start from; `compare`, which fine-tunes it
beside the same model from scratch, with several seeds; and `end`, which says whether the difference is significant.
"""
import argparse
import statistics
from pathlib import Path

from .. import svg
from ..tokenizers.auto import AutoTokenizer
from ..toyworld import LANGUAGES
from ..training.command import add_quick
from ..training.experiment import FineTuning, add_options, run
from ..training.kept import Kept, opened
from ..training.seeds import in_words, plural, table
from . import laboratory
from .bodies import Recipe, tokenizer_of
from .lesson import add_lesson
from .toy_tasks import draw

QUICK = {"pretraining_steps": 20, "examples": 48, "test": 48, "epochs": 1, "seeds": 1}
LEAST = {"pretraining_steps": 600, "seeds": 2, "epochs": 4}


def arguments(description, *, name, claim=None, **defaults):
    """A parser with the options of an example, for `laboratory.begin`; `defaults` are those of
    `experiment.add_options`. claim: see `add_lesson`."""
    parser = argparse.ArgumentParser(prog=f"{name}.py", description=description,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--model", help="the run folder of a pre-trained model (default: pre-train one on toy stories, once for all "
        "examples, in runs/toy-LANGUAGE)")
    add("--pretraining-steps", type=int, default=3000, help="if there is none yet (default: %(default)s)")
    add("--language", choices=LANGUAGES, default="en", help="the toy world tells the same in both (default: "
        "%(default)s)")
    add("--examples", type=int, default=500, help="labelled examples to learn from (default: %(default)s)")
    add("--test", type=int, default=1000, help="labelled examples to report on; half as many choose the best epoch "
        "(default: %(default)s)")
    add("--out", default=f"runs/{name}", help="the folder for the best model and the curves (default: %(default)s)")
    add_quick(parser, QUICK)
    add_lesson(parser, LEAST, claim=claim)
    add_options(parser, **laboratory.SETTINGS | defaults)
    return parser


def body(options, lesson, workers):
    """The folder of a pre-trained model with its tokenizer: `options.model`, or one that is made if need be."""
    return options.model or laboratory.body(Recipe(language=options.language), options, lesson, workers)


def tokenizer(options):
    """The tokenizer of `body`, before there is one."""
    return AutoTokenizer.from_pretrained(options.model) if options.model else tokenizer_of(options.language)


def splits(name, options):
    """Training, development and test examples of a task, as many as the options say."""
    return draw(name, (options.examples, max(1, options.test // 2), options.test), options.language)


def compare(task, folder, tokenizer, options, lesson, workers):
    """Fine-tune `task` from the model in `folder` and from scratch, with as many seeds as the lesson has room for, and
    print the results. Gives {"pre-trained": Runs, "from scratch": Runs}. The best pre-trained model is in
    `options.out`."""
    laboratory.fit_heads(task, folder, options, lesson, workers, lambda o: 2 * o.seeds * len(FineTuning.of(o).rates),
                         "seeds", "epochs")
    runs = {}
    with opened(options.out, folder) as out:
        for name, kept in (("pre-trained", Kept(out, tokenizer)), ("from scratch", None)):
            print(f"\n{name}, {plural(options.seeds, 'seed')}")
            runs[name] = run(task, folder, FineTuning.of(options), workers, from_scratch=name == "from scratch",
                             kept=kept)
    seeds = {name: one.seeds for name, one in runs.items()}
    print(f"\nOn {options.test} test examples, after learning from {options.examples}:\n\n{table(seeds)}")
    laboratory.compare(options, {"pre-trained against from scratch": seeds.values()})
    return runs


def draw_curves(task, runs, options):
    """The picture of both curves, in `options.out`."""
    figure = runs["pre-trained"].seeds.deciding
    curves = {name: mean_curve(one.records, figure) for name, one in runs.items()}
    picture = laboratory.draw(Path(options.out) / "curves.svg", [svg.chart(
        f"{figure} on the development examples, mean of the seeds", "epoch", figure, curves,
        {"majority": task.baseline[figure]})])
    print(f"In {options.out}: the best model and its tokenizer, metrics.jsonl, curves.svg.")
    return picture


def end(runs, options, try_next):
    """`laboratory.end` with the difference that pre-training makes."""
    ours, other = (one.seeds for one in runs.values())
    laboratory.end(options, f"pre-trained against from scratch: {in_words(ours, other)}.", try_next)


def mean_curve(records, figure):
    """[(epoch, mean over the seeds), ...]; a run that stopped early counts for the epochs that it has."""
    epochs = sorted({record["epoch"] for record in records})
    return [(epoch, statistics.fmean(record[figure] for record in records if record["epoch"] == epoch))
            for epoch in epochs]
