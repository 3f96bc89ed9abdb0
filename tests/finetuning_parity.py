"""The same fine-tuning by numbert and by Hugging Face transformers: the same command, files, batches and first weights.

    python tests/finetuning_parity.py [--steps 8 | --seeds 2] [--workers 2] -- sst-2=numbert.tasks.glue --task sst-2 ...

Behind NAME=MODULE stand the options of that command, without --out; `--` and another NAME=MODULE begin the next one.
Each command runs as it is, and once more with the steps and the evaluation by transformers: PyTorch computes the
gradient, clips it and takes the step of its own AdamW, and its model answers the questions of the development set. All
else is numbert's: reading, tokenising, batches, rates, figures. So a difference of a figure comes from other dropout
draws and from rounding. A Markdown table is printed.

--steps N: dropout is off, and only N steps are taken: their losses and gradient norms must agree.
"""
import argparse
import contextlib
import importlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from types import SimpleNamespace

import numpy as np

from numbert.training import experiment, finetuning
from numbert.training.loop import Step

ENGINES = ("numbert", "transformers")
LIMITS = {"loss": 1e-5, "norm": 1e-4}           # relative, over a few steps in float32
COLUMNS = ("task", "figure", *ENGINES, "majority", "processor time of the steps", "of the evaluations", "memory")


class Twin:
    """A model of transformers with the weights of one of numbert, which answers as that does."""

    def __init__(self, ours):
        import transformers
        self.ours, self.accepted, self.config = ours, ours.accepted, ours.config
        with tempfile.TemporaryDirectory() as folder:
            ours.save_pretrained(folder)
            kind = type(ours).__name__
            self.model = getattr(transformers, "AutoModel" + kind[kind.index("For"):]).from_pretrained(
                folder, attn_implementation="sdpa")

    def give_back(self):
        """Copy the weights into numbert's model."""
        with tempfile.TemporaryDirectory() as folder:
            self.model.save_pretrained(folder)
            back = type(self.ours).from_pretrained(folder)
        for ours, theirs in zip(self.ours.parameters(), back.parameters(), strict=True):
            np.copyto(ours.data, theirs.data)

    def __call__(self, **batch):
        import torch
        self.model.eval()
        with torch.inference_mode():
            output = self.model(**self.tensors(batch))
        return SimpleNamespace(**{name: SimpleNamespace(data=value.numpy()) for name, value in output.items()
                                  if hasattr(value, "numpy")})

    @staticmethod
    def tensors(batch):
        import torch
        return {name: torch.from_numpy(np.asarray(array)) for name, array in batch.items()}

    def train(self, _, batches, *, optimizer, lr, steps, seed, start=0, clip_norm=1.0, **_rest):
        """`training.loop.train`, by PyTorch: the same groups of parameters, the same rates, clipped as there."""
        import torch
        torch.manual_seed(seed)
        decays = [p for p in self.model.parameters() if p.requires_grad and p.ndim > 1]
        others = [p for p in self.model.parameters() if p.requires_grad and p.ndim == 1]
        adamw = torch.optim.AdamW([{"params": decays, "weight_decay": optimizer.weight_decay},
                                   {"params": others, "weight_decay": 0.0}], betas=optimizer.betas, eps=optimizer.eps)
        for number, batch in zip(range(start, steps), batches, strict=False):
            began = time.perf_counter()
            self.model.train()
            for group in adamw.param_groups:
                group["lr"] = lr(number)
            loss = self.model(**self.tensors(batch)).loss
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), clip_norm)
            adamw.step()
            adamw.zero_grad()
            yield Step(number + 1, {"loss": loss.item()}, lr(number), norm.item(),
                       int(batch["attention_mask"].sum()), time.perf_counter() - began)


class Measured:
    """What the steps and the evaluations of a command did, as they are called by it."""

    def __init__(self, engine):
        self.engine, self.steps, self.seconds, self.evaluated, self.twin, self.seeds = engine, [], 0.0, 0.0, None, None
        self.finetune, self.train, self.run_seeds = experiment.finetune, finetuning.train, experiment.over_seeds

    def over_seeds(self, *inputs):
        self.seeds = self.run_seeds(*inputs)
        return self.seeds

    def tune(self, model, batches, *, evaluate, **settings):
        self.twin = Twin(model) if self.engine == "transformers" else None

        def timed(model):
            if self.twin:
                self.twin.give_back()
            began = time.process_time()
            figures = evaluate(self.twin or model)
            self.evaluated += time.process_time() - began
            return figures
        return self.finetune(model, batches, evaluate=timed, **settings)

    def steps_of(self, *inputs, **settings):
        train = iter((self.twin.train if self.twin else self.train)(*inputs, **settings))
        while True:
            began = time.process_time()
            step = next(train, None)
            if step is None:
                return
            self.seconds += time.process_time() - began
            self.steps.append({"loss": step.sums["loss"], "norm": step.gradient_norm})
            yield step


def one(engine, module, options, steps, workers):
    """Run a command here; print a line of JSON with its figures and what they took."""
    measured = Measured(engine)
    experiment.finetune, finetuning.train, experiment.over_seeds = measured.tune, measured.steps_of, measured.over_seeds
    command = importlib.import_module(module)
    if hasattr(command, "__path__"):                                # a package, such as numbert.tasks.glue
        command = importlib.import_module(module + ".__main__")
    if engine == "transformers":
        import torch
        torch.set_num_threads(workers)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        only = ["--dropout", "0", "--max-steps", str(steps)] if steps else []
        command.main([*options, *only, "--workers", str(workers), "--out", f"{folder}/run"])
    print(json.dumps({
        "figures": measured.seeds.figures, "baseline": measured.seeds.baseline, "steps": measured.steps,
        "seconds": measured.seconds, "evaluated": measured.evaluated,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def apart(engine, command, options):
    """What `one` prints, run in a process of its own. That of transformers uses memory as it does without numbert."""
    environment = os.environ | ({} if engine == "numbert" else {"NUMBERT_KEEP_MEMORY": "0"})
    done = subprocess.run([sys.executable, __file__, "--engine", engine, "--steps", str(options.steps), "--workers",
                           str(options.workers), "--", *command],
                          stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def row(name, ours, theirs):
    """A line of the table."""
    figure = next(iter(ours["figures"][0]))

    def shown(found):
        values = [figures[figure] for figures in found["figures"]]
        return f"{statistics.fmean(values):.3g}" + (f" ± {statistics.stdev(values):.2g}" if len(values) > 1 else "")

    def ratio(what):
        return f"{ours[what] / theirs[what]:.2f}"
    return (name, figure, shown(ours), shown(theirs), f"{ours['baseline'][figure]:.3g}",
            f"{ratio('seconds')} ({ours['seconds']:.0f} s, {theirs['seconds']:.0f} s)", ratio("evaluated"),
            ratio("megabytes"))


def compare_steps(name, ours, theirs):
    """The largest relative difference of the losses and of the gradient norms of all steps; says if it is too large."""
    found = {what: max(abs(a[what] - b[what]) / abs(b[what]) for a, b in zip(ours["steps"], theirs["steps"],
                                                                             strict=True)) for what in LIMITS}
    print(f"{name}: {len(ours['steps'])} steps without dropout, the largest relative difference of the loss "
          f"{found['loss']:.1e}, of the gradient norm {found['norm']:.1e}", flush=True)
    return all(found[what] <= limit for what, limit in LIMITS.items())


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--steps", type=int, default=0, help="only so many, without dropout, and compared one by one")
    add("--workers", type=int, default=1, help="threads of both (default: %(default)s)")
    add("--engine", choices=ENGINES, help=argparse.SUPPRESS)
    return parser


def main(argv):
    mine, *commands = split(argv)
    options = arguments().parse_args(mine)
    if options.engine:
        (first, *rest), = commands
        one(options.engine, first.partition("=")[2], rest, options.steps, options.workers)
        return True
    agreed = True
    if not options.steps:
        print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|", flush=True)
    for command in commands:
        name = command[0].partition("=")[0]
        ours, theirs = (apart(engine, command, options) for engine in ENGINES)
        if options.steps:
            agreed &= compare_steps(name, ours, theirs)
        else:
            print("| " + " | ".join(row(name, ours, theirs)) + " |", flush=True)
    return agreed


def split(words):
    """Lists of the words before, between and behind "--"."""
    lists = [[]]
    for word in words:
        if word == "--":
            lists.append([])
        else:
            lists[-1].append(word)
    return lists


if __name__ == "__main__":
    sys.exit(not main(sys.argv[1:]))
