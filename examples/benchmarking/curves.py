"""How the cost grows: time and memory of a training step against the length of the sequences, their number, the size of
the model and the vocabulary, beside the time that the matrix products would take at the machine's best.

If a curve of time runs alongside the predicted one, the matrix products explain it, and the gap between the two is all
the rest: exponentials, memory, Python.
"""
import time
from dataclasses import replace

import numpy as np

from numbert import BertForPreTraining, Parameter
from numbert.lab import svg
from numbert.machine import blocks
from numbert.models import cost
from numbert.training.optimizer import BLOCK, AdamW
from numbert.training.parallel import Workers, loss_and_gradients

from .cases import Case
from .contenders import prepare
from .rounds import Timed, call_apart
from .training import NumbertTraining

BASE = dict(kind="pretrain", vocab_size=8000, padded=False)
SWEEPS = {  # title: (label of the x axis, x of a case, cases)
    "Length of a sequence (mini, 4,096 tokens a batch)": ("T", lambda c: c.length, [
        Case(f"T={T}", size="mini", batch=4096 // T, length=T, **BASE) for T in (32, 64, 128, 256, 512)]),
    "Sequences in a batch (mini, T = 128)": ("B", lambda c: c.batch, [
        Case(f"B={B}", size="mini", batch=B, **BASE) for B in (4, 8, 16, 32, 64)]),
    "Size of the model: tiny, mini, small, base (B = 8, T = 128)": ("million weights in the layers",
        lambda c: cost.encoder(c.config(), [1])["linear"] / 2e6, [
        Case(f"size={size}", size=size, batch=8, **BASE) for size in ("tiny", "mini", "small", "base")]),
    "Vocabulary (tiny, B = 32, T = 128)": ("thousand words", lambda c: c.vocab_size / 1000, [
        Case(f"V={V}", size="tiny", **BASE | {"vocab_size": V}) for V in (1000, 8000, 30522, 60000)]),
}
BASE_STEPS, BASE_BATCH, LONG_SHARE, LONG, SHORT = 1_000_000, 256, 0.1, 512, 128     # Devlin et al. 2019, appendix A.2


def measure(case, seconds):
    """(seconds of a step, peak memory in bytes), numbert alone."""
    timed = Timed(NumbertTraining, case, seconds)
    timed.warm_up()
    return min(timed.round().seconds for _ in range(3)), timed.memory()


def in_folder(case, folder, threads):
    case = replace(case, folder=str(folder / case.name), threads=threads)
    call_apart(prepare, case, None, False)
    return case


def draw(folder, threads, peak, seconds, say, sweeps=SWEEPS):
    """The SVG text of all curves; `peak` in operations a second."""
    charts = []
    for title, (label, place, cases) in sweeps.items():
        lines = {name: [] for name in ("measured", "matrix products at peak", "of these, attention")}
        memory = []
        for case in cases:
            case = in_folder(case, folder, threads)
            taken, held = call_apart(measure, case, seconds)
            parts = case.operations()
            total = sum(parts.values())
            for name, value in zip(lines, (taken, total / peak, parts["attention"] / peak), strict=True):
                lines[name].append((place(case), 1000 * value))
            memory.append((place(case), (held or float("nan")) / 2**20))
            say(f"{case.name}: {total / 1e9:.1f} G operations, {1000 * total / peak:.0f} ms at peak, measured "
                f"{1000 * taken:.0f} ms, {memory[-1][1]:.0f} MB")
        charts += [svg.chart(f"{title}: time of a training step", label, "ms", lines),
                   svg.chart(f"{title}: peak memory", label, "MB", {"process": memory})]
    return svg.page(charts)


def published(folder, threads, seconds):
    """What BERT-base's own pre-training would take here: a sentence, from two measured batches of numbert's."""
    days, details = 0.0, []
    for length, batch, share in ((SHORT, 8, 1 - LONG_SHARE), (LONG, 2, LONG_SHARE)):
        case = in_folder(Case(f"base-{length}", "pretrain", size="base", batch=batch, length=length, padded=False),
                         folder, threads)
        taken, _ = call_apart(measure, case, seconds)
        operations = sum(case.operations().values())
        whole = sum(replace(case, batch=BASE_BATCH).operations().values())
        days += BASE_STEPS * share * whole / (operations / taken) / 86400
        details.append(f"{share:.0%} at {length} tokens with {whole / 1e12:.1f} T operations a step, "
                       f"{operations / taken / 1e9:.0f} G a second")
    return (f"BERT-base's own pre-training, {BASE_STEPS:,} steps of {BASE_BATCH} sequences ({'; '.join(details)}), "
            f"would take {days / 365:.1f} years on this machine.")


def python_share(case):
    """(seconds of a step at `case`, seconds of its shrunken twin).

    The twin makes the same calls (as many layers, sequences, parts, blocks of AdamW) over arrays of almost nothing:
    what is left is Python, and the way into NumPy and out of it.
    """
    real = BertForPreTraining(case.config(), rng=np.random.default_rng(0))
    twin = BertForPreTraining(real.config.replace(hidden_size=2, num_attention_heads=real.config.num_attention_heads,
                                                  intermediate_size=2, vocab_size=16), rng=np.random.default_rng(0))
    one_a_block = [Parameter(np.zeros(1, np.float32)) for p in real.parameters()
                   for _ in blocks(p.data.reshape(-1), BLOCK)]
    short = replace(case, length=4, vocab_size=16)
    with Workers(case.threads) as workers:
        def seconds(model, batch, parameters):
            optimizer, best = AdamW(parameters), {}
            for _ in range(8):
                marks = [time.perf_counter()]
                loss_and_gradients(model, batch, lambda part: np.random.default_rng(part), workers)
                marks.append(time.perf_counter())
                optimizer.step([p.data for p in parameters], 0.0, workers)
                marks.append(time.perf_counter())
                for i in (0, 1):
                    best[i] = min(best.get(i, 1e9), marks[i + 1] - marks[i])
            return sum(best.values())
        return seconds(real, case.data()[0], real.parameters()), seconds(twin, short.data()[0], one_a_block)
