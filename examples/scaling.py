"""How far does training scale? A step on n machines, predicted from what one machine needs and what the network costs.

    python examples/scaling.py                        minutes; on one machine, then on paper up to 1,024
    mpiexec -n 2 python examples/scaling.py           also measured on the ranks, beside what was predicted for them
    python examples/scaling.py --bandwidth 25 --latency 10       another network: Gb/s, µs

A step is the gradient of a rank's share of the batch, the sum of all gradients (an all-reduce of 4 bytes a parameter),
the update of a rank's share of the parameters, and their exchange (an all-gather of as many bytes). The gradient of a
share takes so long for each text, and some time however few they are. The network is a ring, in which the bytes that a
machine sends hardly depend on n, and the latencies add up to 3 (n - 1) of them.

Sources: Patarasuk and Yuan 2009 (the ring); Devlin et al. 2019 (batches of 256 texts); You et al. 2020 (of 32,768).
Such a batch needs a learning rate far above BERT's, and a longer warm-up: You et al. found AdamW unable to use it, and
made LAMB (`numbert.training.optimizer`); Nado et al. 2021 found Adam, well tuned, to do as well with batches as large.
"""
import argparse
import contextlib
import os
import statistics
import time
from pathlib import Path

import numpy as np

from numbert import BertConfig, BertForPreTraining
from numbert.hub import files
from numbert.lab import svg
from numbert.machine import cores
from numbert.models.config import SIZES
from numbert.models.cost import ring
from numbert.training import command
from numbert.training.optimizer import AdamW, global_norm
from numbert.training.parallel import Workers, loss_and_gradients

QUICK = {"sizes": ["tiny"], "texts": 4, "rounds": 1}
T, MASKED, MACHINES, BATCHES = 128, 19, (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024), (256, 32768)
EACH = 32                           # texts on every machine where the batch grows with them
PARTS = {"texts": "the gradient of the texts", "idle": "waiting for those with a text more",
         "fixed": "what a gradient takes without any text", "latency": "latency", "bytes": "bandwidth",
         "update": "the update"}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--sizes", nargs="+", choices=SIZES, default=["tiny", "base"], help="the models (default: tiny base)")
    add("--texts", type=int, default=32, help=f"texts of {T} tokens in a rank's share when it is timed (%(default)s)")
    add("--rounds", type=int, default=5, help="how often each is timed; the median counts (default: %(default)s)")
    add("--latency", type=float, default=50.0, help="of a message, in µs (default: %(default)s)")
    add("--bandwidth", type=float, nargs="+", default=[10.0, 100.0], help="in Gb/s (default: 10 100)")
    add("--workers", type=int, default=cores(), help="threads of a machine (default: all cores, %(default)s here)")
    add("--processor-time", action="store_true", help="measure the machine in seconds of its processor, where others "
        "use it as well: right for --workers 1")
    add("--out", default="runs/scaling", help="the folder for scaling.svg (default: %(default)s)")
    command.add_quick(parser, QUICK)
    return parser


def main(argv=None):
    command.start(scaling, arguments(), argv, shared=True)


def scaling(options, workers):
    charts = []
    for size in options.sizes:
        one = measure(size, options)
        print(f"\n## {size}\n\n{one['parameters']:,} parameters. A machine of {options.workers} threads needs "
              f"{human(one['text'])} for the gradient of a text of {T} tokens, {human(one['fixed'])} more for that of "
              f"a batch, {human(one['update'])} for the update.", flush=True)
        if workers.ranks.size > 1:
            check(size, options, one, workers)
        lines = {}
        for gigabits in options.bandwidth:
            network = {"latency": options.latency * 1e-6, "bandwidth": gigabits * 1e9 / 8}
            found = {name: predicted(one, texts, network) for name, texts in CASES.items()}
            table(found, f"{options.latency:g} µs, {gigabits:g} Gb/s")
            lines |= {f"{name}, {gigabits:g} Gb/s": [(n, efficiency) for n, _, efficiency in rows]
                      for name, rows in found.items()}
        charts.append(svg.chart(f"{size}: efficiency", "machines", "of the ideal", lines, {"a half": 0.5}, log="x"))
    if workers.ranks.rank == 0:
        Path(options.out).mkdir(parents=True, exist_ok=True)
        files.write_text(Path(options.out) / "scaling.svg", svg.page(charts))
        print(f"\nThe curves are in {Path(options.out) / 'scaling.svg'}.")


# %% Measured


def batch_of(texts, vocabulary, rng):
    ids = rng.integers(5, vocabulary, (texts, T))
    labels = np.full(ids.shape, -100)
    labels[:, 1:1 + MASKED] = ids[:, 1:1 + MASKED]
    return {"input_ids": ids, "token_type_ids": np.zeros_like(ids), "attention_mask": np.ones_like(ids),
            "labels": labels, "next_sentence_label": rng.integers(0, 2, texts)}


class Stage:
    """A model and its optimiser, of which steps are timed."""

    def __init__(self, size, ranks=None, clock=time.perf_counter):
        self.clock, self.config = clock, BertConfig.preset(size)
        self.model = BertForPreTraining(self.config, rng=np.random.default_rng(0))
        self.optimizer = AdamW(self.model.parameters(), ranks=ranks)

    def step(self, texts, workers):
        """Seconds: (gradient, update)."""
        batch = batch_of(texts, self.config.vocab_size, np.random.default_rng(0))
        began = self.clock()
        _, gradients = loss_and_gradients(self.model, batch, np.random.default_rng, workers)
        global_norm(gradients, workers)
        middle = self.clock()
        self.optimizer.step(gradients, 0.0, workers)            # a rate of 0 leaves the parameters as they are
        return middle - began, self.clock() - middle


def measure(size, options):
    """Seconds, medians of steps on many and on few texts in turn: of the gradient for each `text`, and besides
    (`fixed`), and of the `update`."""
    clock = time.process_time if options.processor_time else time.perf_counter
    stage, many, few = Stage(size, clock=clock), options.texts, max(1, options.texts // 4)
    with Workers(options.workers) as alone:
        stage.step(many, alone)
        rounds = [(*stage.step(many, alone), *stage.step(few, alone)) for _ in range(options.rounds)]
    large, update, small, _ = map(statistics.median, zip(*rounds, strict=True))
    text = (large - small) / (many - few)
    return {"parameters": sum(p.data.size for p in stage.model.parameters()), "text": text,
            "fixed": max(0.0, large - many * text), "update": update}


def check(size, options, one, workers):
    """A step of all ranks, each with as many texts as one had, beside its prediction with the figures of this network;
    and beside as many threads in one process, which is another way to use the cores of one machine."""
    n, floats = workers.ranks.size, np.zeros(one["parameters"], np.float32)
    stage, alone = Stage(size, workers.ranks), Stage(size)

    def seconds(array):
        times = []
        for _ in range(options.rounds + 1):
            began = time.perf_counter()
            workers.ranks.add_up([array])
            times.append(time.perf_counter() - began)
        return statistics.median(times[1:])

    latency = seconds(floats[:1]) / (2 * (n - 1))
    bandwidth = 2 * (n - 1) / n * floats.nbytes / seconds(floats)
    expected = sum(step(one, n, n * options.texts, {"latency": latency, "bandwidth": bandwidth}).values())
    rounds = []
    for _ in range(options.rounds + 1):
        together = sum(stage.step(n * options.texts, workers))
        with others_asleep(workers.ranks), Workers(n * options.workers) as threads:
            rounds.append((together, sum(alone.step(n * options.texts, threads)) if workers.ranks.rank == 0 else 0.0))
    measured, in_threads = map(statistics.median, zip(*rounds[1:], strict=True))
    ratios = sorted(a / max(b, 1e-9) for a, b in rounds[1:])
    print(f"\n{n} ranks of {options.workers} threads, {n * options.texts} texts: predicted {human(expected)}, measured "
          f"{human(measured)}, {measured / expected:.2f} of it; this network: {latency * 1e6:.0f} µs, "
          f"{bandwidth * 8e-9:.3g} Gb/s.\nOne process of {n * options.workers} threads: {human(in_threads)}; the ranks "
          f"took {statistics.median(ratios):.2f} of it ({ratios[0]:.2f} to {ratios[-1]:.2f} in {len(ratios)} pairs).",
          flush=True)


@contextlib.contextmanager
def others_asleep(ranks):
    """A block in which rank 0 has the machine to itself: all its cores, though mpiexec has bound it to some, and the
    others wait without the loop in which MPI waits."""
    bound = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    if ranks.rank == 0:
        if bound:
            os.sched_setaffinity(0, range(os.cpu_count()))
        yield
        if bound:
            os.sched_setaffinity(0, bound)
    done = ranks.communicator.Ibarrier()
    while not done.Test():
        time.sleep(0.002)
    if ranks.rank:
        yield


# %% On paper

CASES = {f"batch {B:,}": lambda n, B=B: B for B in BATCHES} | {f"{EACH} texts on each": lambda n: EACH * n}


def step(one, n, texts, network):
    """Seconds of a step of n machines on so many texts, by what they are spent on (the keys of PARTS)."""
    size, share = 4 * one["parameters"], texts / n
    return {"texts": one["text"] * share, "idle": one["text"] * (-(-texts // n) - share), "fixed": one["fixed"],
            "latency": ring(n, 0, rounds=3, **network),         # two rounds add up, the third collects
            "bytes": ring(n, size, rounds=3, **network | {"latency": 0.0}), "update": one["update"] / n}


def predicted(one, texts, network):
    """[(n, seconds by part, efficiency)] for a batch of texts(n). Efficiency is the share of n machines' time that one
    machine would need for the same number of texts: strong scaling for a fixed batch, weak if it grows with n."""
    alone, rows = sum(step(one, 1, texts(1), network).values()) / texts(1), []
    for n in MACHINES:
        parts = step(one, n, texts(n), network)
        rows.append((n, parts, alone * texts(n) / (n * sum(parts.values()))))
    return rows


def table(found, network):
    print(f"\n| {network} | " + " | ".join(f"{name}: step | efficiency" for name in found) + " |\n"
          + "|---" * (1 + 2 * len(found)) + "|")
    for rows in zip(*found.values(), strict=True):
        print(f"| {rows[0][0]:,} | " + " | ".join(f"{human(sum(parts.values()))} | {share:.0%}"
                                                  for _, parts, share in rows) + " |")
    print()
    for name, rows in found.items():
        n, parts, _ = next((row for row in rows if row[2] < 0.5), (None, {}, None))
        why = max((part for part in parts if part != "texts"), key=parts.get, default=None)
        print(f"{name}: " + (f"below a half at {n:,} machines; most of the loss is {PARTS[why]}, "
                             f"{parts[why] / sum(parts.values()):.0%} of the step." if n else "never below a half."),
              flush=True)


def human(seconds):
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"


if __name__ == "__main__":
    main()
