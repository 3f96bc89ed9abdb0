"""How large is an effect, and how small a one could have been seen? Conditions x bodies x heads, the body as the unit.

A *body* is one pre-training, a *head* one fine-tuning of it. All heads of a body share what that pre-training happened
to learn; so five heads of one body are one observation, measured five times. Here the figures of a body's heads are
averaged. Where two conditions are compared, body i of one is compared with body i of the other (the same seed, the same
labelled examples), and the unit is their difference:

    effect of n bodies   the mean d of n differences, with the 95% interval  d ± t(0.975, n-1) s / √n
    could be seen        (t(0.975, n-1) + t(0.8, n-1)) s / √n: an effect of this size is told from 0 in four of five
                         such experiments

s is the standard deviation of the differences. Sources: Student 1908 for the interval; Bloom 1995, "Minimum detectable
effects", Evaluation Review 19, for what could be seen; Schuirmann 1987 for saying that two conditions are equal.
"""
import math
import statistics
from html import escape
from typing import NamedTuple

from ..svg import COLOURS, FONT, ticks

LEVEL, POWER = 0.95, 0.8


class Effect(NamedTuple):
    """The mean of what n bodies gave, its 95% interval (low, high), what `could_be_seen`, and the n `values`."""
    mean: float
    low: float
    high: float
    could_be_seen: float
    values: tuple

    def __str__(self):
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def effect(values, level=LEVEL, power=POWER):
    """The `Effect` that n numbers show, one for each body. Raises ValueError for fewer than two."""
    values = [float(value) for value in values]
    if len(values) < 2:
        raise ValueError(f"an interval needs at least two bodies, got {len(values)}")
    mean, df = statistics.fmean(values), len(values) - 1
    error = statistics.stdev(values) / math.sqrt(len(values))
    half = t_quantile((1 + level) / 2, df) * error
    return Effect(mean, mean - half, mean + half, half + t_quantile(power, df) * error, tuple(values))


def difference(ours, others):
    """The `Effect` of ours less others, each with a row of figures (one for each head) for every body."""
    return effect([statistics.fmean(a) - statistics.fmean(b) for a, b in zip(ours, others, strict=True)])


def verdict(effect, claim, margin):
    """"shown", "refuted" or "undecided": what an `Effect` says of a claim that it is "above" 0, "below" 0 or "equal".

    margin: the size below which an effect does not matter. "above" is shown if the whole interval is above 0, and
    refuted if all of it is below the margin; "equal" is shown if all of it is within ± margin, and refuted if all of it
    is outside. Raises ValueError for another claim.
    """
    low, high = effect.low, effect.high
    if claim == "below":
        low, high = -high, -low
    elif claim == "equal":
        within, outside = -margin < low and high < margin, low > margin or high < -margin
        return "shown" if within else "refuted" if outside else "undecided"
    elif claim != "above":
        raise ValueError(f'claim must be "above", "below" or "equal", got {claim!r}')
    return "shown" if low > 0 else "refuted" if high < margin else "undecided"


def labels_needed(sizes, curve, level):
    """(The number of labels at which a learning curve reaches a level, what is known of it).

    sizes: numbers of labels, ascending; curve: the figure with so many. More labels do not make a model worse, so the
    curve is made ascending (`ascending`); between two sizes it is a straight line over the logarithm of the labels.
    Known is "exactly"; or "at least" the largest size, where the level is never reached (the number is censored); or
    "at most" the smallest, where it is reached at once.
    """
    curve = ascending(curve)
    if level <= curve[0]:
        return float(sizes[0]), "at most"
    if level > curve[-1]:
        return float(sizes[-1]), "at least"
    above = next(i for i, figure in enumerate(curve) if figure >= level)
    share = (level - curve[above - 1]) / (curve[above] - curve[above - 1])
    return sizes[above - 1] * (sizes[above] / sizes[above - 1]) ** share, "exactly"


def ascending(values):
    """The ascending numbers nearest to `values` by squares (isotonic regression): where they fall, neighbours are
    replaced by their mean ("pool adjacent violators", Ayer et al. 1955, Annals of Mathematical Statistics 26)."""
    pools = []                                          # [sum, count]
    for value in values:
        pools.append([float(value), 1])
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] > pools[-1][0] / pools[-1][1]:
            total, count = pools.pop()
            pools[-1] = [pools[-1][0] + total, pools[-1][1] + count]
    return [total / count for total, count in pools for _ in range(count)]


def t_distribution(t, df):
    """The share of Student's t distribution with a whole number `df` of degrees of freedom that lies below t.

    (Abramowitz and Stegun 1964, formulas 26.7.3 and 26.7.4.)
    """
    angle = math.atan2(t, math.sqrt(df))
    cosine, term, total = math.cos(angle), math.cos(angle) if df % 2 else 1.0, 0.0
    for k in range(3 if df % 2 else 2, df + 1, 2):
        total += term
        term *= cosine * cosine * (k - 1) / k
    inner = (2 / math.pi) * (angle + math.sin(angle) * total) if df % 2 else math.sin(angle) * total
    return (1 + inner) / 2


def t_quantile(share, df):
    """The t below which that share of Student's distribution lies, for 0.5 <= share < 1."""
    high = 1.0
    while t_distribution(high, df) < share:
        high *= 2
    low = 0.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if t_distribution(middle, df) < share else (low, middle)
    return high


def picture(title, label, rows, margin=0.0):
    """The text of an SVG picture of `rows` {name: Effect}: a dot for each body, the mean and its interval, and 0.

    label: what is measured, below the axis. Between ± margin, which is grey, an effect does not matter.
    """
    width, height = 420, 34 * len(rows)
    left = 20 + 7 * max(map(len, rows))
    ends = [0.0, margin, -margin] + [x for one in rows.values() for x in (one.low, one.high, *one.values)]
    low, high = min(ends), max(ends)
    room = 0.04 * (high - low) or 0.5
    low, high = low - room, high + room

    def px(x):
        return (x - low) / (high - low) * width

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{max(left + width + 20, 8 * len(title) + 20)}" '
             f'height="{height + 90}" {FONT}>', '<rect width="100%" height="100%" fill="white"/>',
             f'<text x="10" y="22" font-size="15">{escape(title)}</text>', f'<g transform="translate({left},40)">',
             f'<rect x="{px(-margin):.1f}" width="{px(margin) - px(-margin):.1f}" height="{height}" fill="#eee"/>',
             f'<path d="M{px(0):.1f} 0V{height}" stroke="black"/>', f'<path d="M0 {height}H{width}" stroke="black"/>']
    for x in ticks(low, high):
        parts.append(f'<text x="{px(x):.1f}" y="{height + 16}" text-anchor="middle">{x:g}</text>')
    parts.append(f'<text x="{width / 2}" y="{height + 36}" text-anchor="middle">{escape(label)}</text>')
    for row, (name, one) in enumerate(rows.items()):
        y = 34 * row + 17
        parts.append(f'<text x="-10" y="{y + 4}" text-anchor="end">{escape(name)}</text>')
        parts += [f'<circle cx="{px(x):.1f}" cy="{y - 6}" r="3" fill="{COLOURS[0]}" opacity="0.6"/>'
                  for x in one.values]
        parts.append(f'<path d="M{px(one.low):.1f} {y + 6}H{px(one.high):.1f}" stroke="{COLOURS[1]}" stroke-width="2"/>'
                     f'<circle cx="{px(one.mean):.1f}" cy="{y + 6}" r="4" fill="{COLOURS[1]}"/>')
    return "\n".join([*parts, "</g></svg>"]) + "\n"
