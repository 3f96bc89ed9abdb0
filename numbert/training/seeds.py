"""Training with several seeds: the mean and standard deviation of the results.

On a few hundred examples the order of the batches and the first values of the head change the result by more than many
published improvements (Dodge et al. 2020, "Fine-Tuning Pretrained Language Models"). Every result is shown beside the
majority baseline, which always gives the most frequent answer. A run that is no better has collapsed: it learned to
give that answer.
"""
import math
import statistics


class Seeds:
    """The same training with several seeds: `figures`, a dict for each, beside those of the majority `baseline`."""

    def __init__(self, figures, baseline):
        self.figures, self.baseline = list(figures), baseline
        self.deciding = next(iter(baseline))

    def mean(self, name=None):
        """The mean of a figure; of the first, which decides, if none is named."""
        return statistics.fmean(self._values(name))

    def std(self, name=None):
        """Its standard deviation over the seeds (n - 1 in the denominator); NaN for one seed."""
        return statistics.stdev(self._values(name)) if len(self.figures) > 1 else math.nan

    def collapsed(self):
        """How many runs are no better than the majority baseline in the figure that decides."""
        level = self.baseline[self.deciding]
        level = 0.0 if math.isnan(level) else level         # the correlation with a constant is counted as none
        return sum(not figures[self.deciding] > level for figures in self.figures)

    def times(self, other):
        """How much higher the mean is than that of `other` Seeds, in standard deviations of a difference of two runs;
        NaN where no two runs differ, or there is but one."""
        difference, spread = self.margin(other)
        return difference / spread if spread else math.nan

    def _values(self, name):
        return [figures[name or self.deciding] for figures in self.figures]

    def only(self, name):
        """The same runs with one figure, which then decides."""
        return Seeds([{name: value} for value in self._values(name)], {name: self.baseline[name]})

    def margin(self, other):
        """(How much higher the mean is than that of `other` Seeds, the standard deviation of a difference of two runs).
        """
        return self.mean() - other.mean(), math.hypot(self.std(), other.std())


def over_seeds(run, seeds, baseline):
    """`Seeds` of run(seed) -> figures for every one of `seeds`."""
    if not len(seeds):
        raise ValueError("seeds must be at least 1, got 0")
    return Seeds([run(seed) for seed in seeds], baseline)


def in_words(ours, other):
    """What the spread over the seeds lets one say about two `Seeds`: "+0.120 accuracy, +3.1 times ...: significant".

    Only a difference of more than two standard deviations of a difference between two runs is called significant.
    """
    difference, spread = ours.margin(other)
    text = f"{difference:+.3f} {ours.deciding}"
    if len(ours.figures) < 2:
        return text + " here; how far another seed would differ, one seed cannot tell"
    if spread == 0:
        return text + "; no two seeds differ"
    times = difference / spread
    said = "significant" if times > 2 else "a significant loss" if times < -2 else "not significant"
    return text + f", {times:+.1f} times the standard deviation of a difference between two runs: {said}"


def differences(pairs):
    """{what: (ours, other)} of Seeds as a text: how much higher the mean of ours is, the same in standard deviations of
    a difference between two runs, and whether it is significant at two of them."""
    lines = [["", "difference of means", "in standard deviations", "significant at two"]]
    for what, (ours, other) in pairs.items():
        times = ours.times(other)
        lines.append([what, f"{ours.mean() - other.mean():+.3f} {ours.deciding}", f"{times:+.1f}".replace("+nan", "?"),
                      "cannot be told" if math.isnan(times) else "yes" if abs(times) > 2 else "no"])
    return _aligned(lines)


def table(rows, floor="majority"):
    """{name: Seeds} as a text: mean ± standard deviation of each figure, the baseline, how many runs collapsed to it.
    floor: what the baseline is called. Of another than the majority's answer nothing is said of a collapse."""
    baseline = next(iter(rows.values())).baseline
    several = any(len(seeds.figures) > 1 for seeds in rows.values())
    lines = [["mean ± standard deviation" if several else "", *baseline, ""]]
    for row, seeds in rows.items():
        cells = [f"{seeds.mean(name):.3f}" + (f" ± {seeds.std(name):.3f}" if len(seeds.figures) > 1 else "")
                 for name in baseline]
        note = f"{seeds.collapsed()} of {len(seeds.figures)} collapsed to the majority"
        note = note if floor == "majority" and seeds.collapsed() else ""
        lines.append([row, *cells, note])
    lines.append([floor, *(f"{value:.3f}" for value in baseline.values()), ""])
    return _aligned(lines)


def plural(number, name):
    """1, "seed" -> "1 seed"; 3, "seed" -> "3 seeds"."""
    return f"{number:,} {name}{'s' * (number != 1)}"


def _aligned(lines):
    """Lines of cells as a text: the first and the last column to the left, those between them to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join([row.ljust(widths[0]), *map(str.rjust, cells, widths[1:-1]), note]).rstrip()
                     for row, *cells, note in lines)
