# %% [markdown]
"""The cost meter: how long does a BERT take to train on this machine, and how long would BERT itself take?

    python examples/lecture/11_cost.py                    about a minute, and 3 GB of memory for the base size
    python examples/lecture/11_cost.py --sizes tiny,mini  the small ones alone

A model's operations follow from its configuration and the lengths of the texts (numbert/models/cost.py). How fast a
machine gets through them is measured on a small model; with that rate a larger one is predicted, and then measured too.
That gives an estimate of what cannot be measured here: the pre-training of the paper, on 3.3 billion words.
Source: Devlin et al. 2019, section 3.1 and appendix A.2.
"""
# %%
import time
from dataclasses import dataclass

import numpy as np

from numbert import BertConfig, BertForPreTraining
from numbert.lab import laboratory, svg
from numbert.lab.peak import processor, sgemm_peak
from numbert.models import cost
from numbert.models.config import SIZES
from numbert.training.optimizer import AdamW
from numbert.training.parallel import loss_and_gradients

QUICK = {"sizes": "tiny", "rounds": 1, "tokens": 512}
LENGTHS = (128, 512)
MASKED = 0.15


options, workers = laboratory.begin(laboratory.arguments(__doc__, name="cost", quick=QUICK, sizes=",".join(SIZES),
                                                         rounds=3, tokens=4096))
asked = options.sizes.split(",")
if unknown := [size for size in asked if size not in SIZES]:
    raise ValueError(f"--sizes must be of {', '.join(SIZES)}, separated by commas; got {unknown[0]!r}")
if options.tokens < max(LENGTHS):
    raise ValueError(f"--tokens must be at least {max(LENGTHS)}, got {options.tokens}")
sizes = [size for size in SIZES if size in asked]                   # each once, from small to large
results = laboratory.Results(options)


@dataclass
class Case:
    """A model and a batch of B texts of T tokens; what was measured is in seconds, one number a round."""
    size: str
    T: int
    B: int

    def __post_init__(self):
        self.config = BertConfig.preset(self.size)
        self.gradient, self.update, self.parameters = [], [], 0

    @property
    def operations(self):
        return self.step_of(self.B)

    def step_of(self, B):
        """Operations of one step on B texts."""
        return cost.TRAINING * cost.pretraining(self.config, [self.T] * B, [round(MASKED * self.T)] * B).total()

    def batch(self, rng):
        ids = rng.integers(5, self.config.vocab_size, (self.B, self.T))
        labels = np.full(ids.shape, -100)
        hidden = np.argsort(rng.random((self.B, self.T - 1)), axis=1)[:, :round(MASKED * self.T)] + 1
        np.put_along_axis(labels, hidden, np.take_along_axis(ids, hidden, 1), 1)
        return {"input_ids": ids, "token_type_ids": np.zeros_like(ids), "attention_mask": np.ones_like(ids),
                "labels": labels, "next_sentence_label": rng.integers(0, 2, self.B)}


# %% One step, counted
# Every product of matrices (N, D) and (D, F) takes 2 N D F operations, a multiplication and an addition for each term;
# all else is small beside it. Only masked words are scored, and of the last layer only what the heads read.
case = Case(sizes[0], LENGTHS[0], 1)
forward = cost.pretraining(case.config, [case.T], [round(MASKED * case.T)])
print(f"One text of {case.T} tokens through {case.size} ({case.config.num_hidden_layers} layers of "
      f"{case.config.hidden_size}, {case.config.vocab_size:,} words), {round(MASKED * case.T)} of them masked:\n")
for part, operations in forward.most_common():
    print(f"  {part:<22}{operations / 1e6:>9.2f} M operations{operations / forward.total():>8.1%}")
print(f"  {'forward':<22}{forward.total() / 1e6:>9.2f} M\n  {'and backward':<22}{case.operations / 1e6:>9.2f} M"
      f"    {cost.TRAINING} times: the gradient of a product takes two more of its size")

# %% Predicted and measured: one step of pre-training
# A step is the gradient, whose operations are three times those of the forward pass, and the optimiser, which touches
# every parameter once, whatever the batch. A rate for each predicts the next case: from texts of 128 tokens the same
# model on texts of 512, and the next larger model on texts of 128.


DAY = 86400
UNITS = (("years", 365.25 * DAY), ("days", DAY), ("hours", 3600), ("minutes", 60), ("s", 1), ("ms", 1e-3), ("µs", 1e-6))


def human(seconds):
    """A time in the unit that leaves at least 1 before the point: 0.25 -> 250 ms; None -> nothing."""
    if seconds is None:
        return ""
    unit, size = next(((unit, size) for unit, size in UNITS if seconds >= size), UNITS[-1])
    return f"{seconds / size:.3g} {unit}"


def rate(operations):
    """Operations a second: 2.5e11 -> 250 G/s."""
    unit, size = ("T", 1e12) if operations >= 1e12 else ("G", 1e9)
    return f"{operations / size:.3g} {unit}/s"


def cases_of(sizes, tokens):
    """Larger models get fewer tokens: 1 for tiny, 1/2 for mini, 1/4 for small, 1/8 for base; none fewer than a text."""
    return [Case(size, T, max(1, tokens // 2**list(SIZES).index(size) // T)) for size in sizes for T in LENGTHS]


def measure(cases, rounds, workers):
    """Fill in the times of the cases, all of one size (so that one model is in memory at a time)."""
    model = BertForPreTraining(cases[0].config, rng=np.random.default_rng(0))
    optimizer = AdamW(model.parameters())
    for number in range(-1, rounds):                    # the first round is only to get warm
        for case in cases:
            began = time.perf_counter()
            _, found = loss_and_gradients(model, case.batch(np.random.default_rng(0)), np.random.default_rng, workers)
            middle = time.perf_counter()
            optimizer.step(found, 0.0, workers)         # a learning rate of 0: the weights stay as they are
            case.parameters = sum(p.data.size for p in model.parameters())
            if number >= 0:
                case.gradient.append(middle - began)
                case.update.append(time.perf_counter() - middle)


def references(cases):
    """For each case that from which it is predicted: its size on short texts, or the size before, or None."""
    short = [case for case in cases if case.T == LENGTHS[0]]
    return [known for before, case in zip([None, *short], short, strict=False) for known in (before, case)]


cases, peaks = cases_of(sizes, options.tokens), []
print(f"\n{processor()}, {options.workers} workers", flush=True)
for size in sizes:
    peaks.append(sgemm_peak(options.workers, size=1024)["NumPy"])
    measure([case for case in cases if case.size == size], options.rounds, workers)
    print(f"{size} measured", flush=True)
peak = max(peaks)
print(f"NumPy multiplies matrices at {rate(peak)} at best.\n\n{'':<49}the gradient{'':>30}the optimiser\n"
      f"{'size':<6}{'T':>5}{'B':>4}{'operations':>12}{'at peak':>10}{'predicted':>11}{'measured':>10}"
      f"{'ratio':>7}{'rate':>12}{'of peak':>9}{'predicted':>12}{'measured':>10}")
table = []
for case, known in zip(cases, references(cases), strict=True):
    taken, update, ratio = min(case.gradient), min(case.update), ""
    row = {"size": case.size, "T": case.T, "B": case.B, "operations": case.operations,
           "parameters": case.parameters, "gradient_seconds": case.gradient, "update_seconds": case.update,
           "peak_seconds": case.operations / peak, "predicted_seconds": None, "predicted_update_seconds": None}
    if known:
        row["predicted_seconds"] = min(known.gradient) * case.operations / known.operations
        ratio = f"{taken / row['predicted_seconds']:.2f}"
        row["predicted_update_seconds"] = min(known.update) * case.parameters / known.parameters
    table.append(row)
    print(f"{case.size:<6}{case.T:>5}{case.B:>4}{case.operations / 1e9:>10.1f} G{human(row['peak_seconds']):>10}"
          f"{human(row['predicted_seconds']):>11}{human(taken):>10}"
          f"{ratio:>7}{rate(case.operations / taken):>12}"
          f"{case.operations / taken / peak:>9.0%}{human(row['predicted_update_seconds']):>12}{human(update):>10}")
results.add(processor=processor(), peak=peak, cases=table)

# %% BERT's own pre-training, here
# A million steps of 256 texts; 90% of the steps with 128 tokens, the rest with 512. Each size goes on at the rates that
# were measured, one for each length; their range over the rounds is that of the estimate. (Operations are counted as
# numbert computes: of the last layer only what the heads read.)

STEPS, BATCH, SHARES = 1_000_000, 256, {128: 0.9, 512: 0.1}
WORDS = 3.3e9                                           # BooksCorpus and the English Wikipedia
TPU_DAYS, TPU_CHIPS = 4, 16


def tokens_read(shares):
    """In all of pre-training."""
    return sum(STEPS * share * BATCH * T for T, share in shares.items())


def whole(cases, pick):
    """Seconds of BERT's pre-training for a model that was measured in `cases`, one for each length.

    pick: which of the times of the rounds to believe, min or max.
    """
    return sum(STEPS * SHARES[case.T] * (pick(case.gradient) / case.operations * case.step_of(BATCH)
                                         + pick(case.update)) for case in cases)


short, full = tokens_read(SHARES), tokens_read({512: 1.0})
print(f"\nBERT's own pre-training: {STEPS:,} steps of {BATCH} texts. If all of them had 512 tokens, that would be\n"
      f"{full / 1e9:.0f} billion tokens, {full / WORDS:.0f} times the {WORDS / 1e9:g} billion words, the paper's "
      f"40 epochs.\nWith 90% of the steps at 128 tokens it is {short / 1e9:.0f} billion, {short / WORDS:.0f} times."
      f"\n\n{'size':<6}{'operations':>14}{'here':>32}{'for one pass over the words':>30}")
found, lines = {}, {"at the rates measured": []}
for size in dict.fromkeys(case.size for case in cases):
    mine = [case for case in cases if case.size == size]
    low, high = (whole(mine, pick) for pick in (min, max))
    total = sum(STEPS * SHARES[case.T] * case.step_of(BATCH) for case in mine)
    found[size] = {"operations": total, "seconds": [low, high]}
    lines["at the rates measured"].append((mine[0].parameters / 1e6, low / DAY))
    print(f"{size:<6}{total:>14.2e}{f'{human(low)} to {human(high)}':>32}{human(low * WORDS / short):>30}")
size, one = list(found.items())[-1]
base = Case("base", 128, 1), Case("base", 512, 1)
operations = sum(STEPS * SHARES[case.T] * case.step_of(BATCH) for case in base)
chips = operations / (TPU_DAYS * DAY)
speed = one["operations"] / one["seconds"][0]
note = "" if size == "base" else f", at the rate of {size}, the largest that was measured,"
results.add(pretraining=found, base_operations=operations, seconds_of_base=operations / speed, tpu_rate=chips,
            tokens={"read": short, "at 512": full})

# %% The picture
results.draw("steps", [
    svg.chart(f"The gradient of a batch of texts of {T} tokens", "G operations", "seconds", {
        name: [(row["operations"] / 1e9, value(row) or np.nan) for row in table if row["T"] == T]
        for name, value in (("measured", lambda row: min(row["gradient_seconds"])),
                            ("predicted", lambda row: row["predicted_seconds"]),
                            ("products at peak", lambda row: row["peak_seconds"]))}, log="xy") for T in LENGTHS])
results.draw("pretraining", [svg.chart("BERT's own pre-training on this machine", "million parameters", "days",
                                       lines, {"the paper's TPUs, base": TPU_DAYS}, log="xy")])

# %% The takeaway
# Look at the ratios above: where does the rate of one model tell the time of another, and which sizes are off? The
# optimiser of the last size takes as long for one text as for 256.
laboratory.end(
    options, f"BERT-base takes {operations:.1e} operations. Here{note} that is {human(operations / speed)}; the "
    f"paper's {TPU_CHIPS} TPU chips took {TPU_DAYS} days, {rate(chips)} together, {chips / speed:.0f} times as fast.",
    "--workers 1 (is one core half as fast?), --tokens 16384 (does a larger batch come nearer to the peak?), and how "
    "many years BERT-large would take: num_hidden_layers=24, hidden_size=1024, num_attention_heads=16, "
    "intermediate_size=4096 as further arguments of BertConfig.preset in `Case`.")
