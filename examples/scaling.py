"""How far does training scale? A step on n machines, predicted from what one machine needs and what the network costs.

    python examples/scaling.py                        a minute; on one machine, then on paper up to 1,024
    mpiexec -n 2 python examples/scaling.py           also measured on the ranks, beside what was predicted for them
    python examples/scaling.py --bandwidth 25 --latency 10       another network: Gb/s, µs

A step is the gradient of a rank's share of the batch, the sum of all gradients (an all-reduce of 4 bytes a parameter),
the update of a rank's share of the parameters, and their exchange (an all-gather of as many bytes). Only the first and
the third are divided by n. The network is a ring, in which the bytes that a machine sends hardly depend on n, and the
waiting grows with n. Sources: Patarasuk and Yuan 2009 (the ring); Devlin et al. 2019 (batches of 256 texts); You et al.
2020 (of 32,768, which need another optimiser, LAMB: with AdamW the learning rate that such a batch asks for diverges).
"""
import argparse
import statistics
import time

import numpy as np

from numbert import BertConfig, BertForPreTraining
from numbert.machine import cores
from numbert.models.config import SIZES
from numbert.models.cost import ring
from numbert.training import command
from numbert.training.optimizer import AdamW, global_norm
from numbert.training.parallel import Workers, loss_and_gradients

QUICK = {"sizes": ["tiny"], "texts": 4, "rounds": 1}
T, MASKED, MACHINES, BATCHES = 128, 19, (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024), (256, 32768)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--sizes", nargs="+", choices=SIZES, default=["tiny", "mini"], help="the models (default: tiny mini)")
    add("--texts", type=int, default=16, help=f"texts of {T} tokens in a rank's share when it is timed (%(default)s)")
    add("--rounds", type=int, default=5, help="how often each is timed; the median counts (default: %(default)s)")
    add("--latency", type=float, default=50.0, help="of a message, in µs (default: %(default)s)")
    add("--bandwidth", type=float, nargs="+", default=[10.0, 100.0], help="in Gb/s (default: 10 100)")
    add("--workers", type=int, default=cores(), help="threads of a machine (default: all cores, %(default)s here)")
    command.add_quick(parser, QUICK)
    return parser


def main(argv=None):
    command.start(scaling, arguments(), argv, shared=True)


def scaling(options, workers):
    for size in options.sizes:
        with Workers(options.workers) as alone:
            one = measure(size, options.texts, options.rounds, alone)
        print(f"{size}: {one['parameters']:,} parameters; {options.workers} threads need {human(one['text'])} for the "
              f"gradient of a text, {human(one['update'])} for the update", flush=True)
        if workers.ranks.size > 1:
            check(size, options, one, workers)
        for bandwidth in options.bandwidth:
            table(one, options.latency * 1e-6, bandwidth)


# %% Measured


def batch_of(texts, vocabulary, rng):
    ids = rng.integers(5, vocabulary, (texts, T))
    labels = np.full(ids.shape, -100)
    labels[:, 1:1 + MASKED] = ids[:, 1:1 + MASKED]
    return {"input_ids": ids, "token_type_ids": np.zeros_like(ids), "attention_mask": np.ones_like(ids),
            "labels": labels, "next_sentence_label": rng.integers(0, 2, texts)}


def measure(size, texts, rounds, workers):
    """Seconds, medians: of the gradient of a text, of the update, of a whole step."""
    config = BertConfig.preset(size)
    model = BertForPreTraining(config, rng=np.random.default_rng(0))
    optimizer, times = AdamW(model.parameters(), ranks=workers.ranks), []
    batch = batch_of(texts, config.vocab_size, np.random.default_rng(0))
    for _ in range(rounds + 1):
        began = time.perf_counter()
        _, gradients = loss_and_gradients(model, batch, np.random.default_rng, workers)
        global_norm(gradients, workers)
        middle = time.perf_counter()
        optimizer.step(gradients, 0.0, workers)
        times.append((middle - began, time.perf_counter() - middle, time.perf_counter() - began))
    gradient, update, step = (statistics.median(column) for column in zip(*times[1:], strict=True))
    return {"parameters": sum(p.data.size for p in model.parameters()), "text": gradient / texts, "update": update,
            "step": step}


def check(size, options, one, workers):
    """A step of all ranks, each with as many texts as one had, and its prediction with the figures of this network."""
    n, floats = workers.ranks.size, np.zeros(one["parameters"], np.float32)

    def seconds(array):
        times = []
        for _ in range(options.rounds + 1):
            began = time.perf_counter()
            workers.ranks.add_up([array])
            times.append(time.perf_counter() - began)
        return statistics.median(times[1:])

    latency = seconds(floats[:1]) / (2 * (n - 1))
    bandwidth = 2 * (n - 1) / n * floats.nbytes / seconds(floats)
    predicted = step(one, n, n * options.texts, latency, bandwidth)
    measured = measure(size, n * options.texts, options.rounds, workers)["step"]
    print(f"{size} on {n} ranks, {n * options.texts} texts: predicted {human(predicted)}, measured {human(measured)}"
          f", {measured / predicted:.2f} of it; this network: {latency * 1e6:.0f} µs, {bandwidth * 8e-9:.1f} Gb/s",
          flush=True)


# %% On paper


def step(one, n, texts, latency, bandwidth):
    """Seconds of a step of n machines on so many texts, of which one has at least one (the others wait)."""
    size, network = 4 * one["parameters"], {"latency": latency, "bandwidth": bandwidth}
    return (one["text"] * -(-texts // n) + ring(n, size, rounds=2, **network)
            + one["update"] / n + ring(n, size, rounds=1, **network))


def table(one, latency, gigabits):
    """Strong scaling: the same batch on more machines. Weak: as many texts on each. Efficiency is the share of a
    machine's time that is not spent on the network or in waiting."""
    bandwidth = gigabits * 1e9 / 8
    print(f"\n{f'{latency * 1e6:g} µs, {gigabits:g} Gb/s':<18}" + "".join(f"{f'batch {B:,}':>24}" for B in BATCHES)
          + f"{'32 texts on each':>24}\n{'machines':<18}" + f"{'step':>12}{'efficiency':>12}" * 3)
    below = {}
    for n in MACHINES:
        row = f"{n:<18}"
        for name, texts in (*((f"batch {B:,}", B) for B in BATCHES), ("32 texts on each", 32 * n)):
            first = step(one, 1, texts if "batch" in name else 32, latency, bandwidth)
            now = step(one, n, texts, latency, bandwidth)
            efficiency = first / (now * n) if "batch" in name else first / now
            if efficiency < 0.5:
                below.setdefault(name, n)
            row += f"{human(now):>12}{efficiency:>12.0%}"
        print(row)
    print("Efficiency falls below a half at: " + ("; ".join(f"{name}, {n} machines" for name, n in below.items())
                                                  or "none of these") + ".", flush=True)


def human(seconds):
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"


if __name__ == "__main__":
    main()
