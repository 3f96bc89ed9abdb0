"""Pictures as SVG, which is text: every browser shows it, and the standard library can write it."""
import math
import unicodedata
from html import escape

COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b")
WIDTH, HEIGHT, LEFT, TOP, GAP = 640, 300, 60, 40, 50
FEW = 12                                # a line with at most so many points marks them
FONT = 'font-family="sans-serif" font-size="12"'


def ticks(low, high, about=6):
    """Round numbers in low..high, about as many as asked for."""
    raw = (high - low) / about
    unit = 10 ** math.floor(math.log10(raw))
    step = next(unit * m for m in (1, 2, 5, 10) if unit * m >= raw)
    return [k * step for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def log_ticks(low, high, about=6):
    """Round numbers whose log10 is in low..high: powers of ten, and 2 and 5 times these where there is room."""
    if high - low < 0.5:
        return ticks(10**low, 10**high, about)
    decades = range(math.floor(low), math.ceil(high) + 1)
    found = [m * 10.0 ** k for k in decades for m in ((1, 2, 5) if high - low < about / 2 else (1,))]
    found = [tick for tick in found if low - 1e-9 <= math.log10(tick) <= high + 1e-9]
    return found[::max(1, math.ceil(len(found) / (3 * about)))]


def chart(title, x_label, y_label, lines, levels=None, *, log=""):
    """One chart, for `page`: `lines` {name: [(x, y), ...]}, and `levels` {name: y}, drawn as dashed horizontal lines:
    what a curve is to be compared with. Axes in `log` ("x", "y" or "xy") are logarithmic: there powers are straight
    lines, and what is not above 0 is left out.
    """
    return title, x_label, y_label, lines, levels or {}, log


def page(charts):
    """The text of an SVG file with the charts one below the other. Values that are not finite are left out."""
    height = len(charts) * (HEIGHT + TOP + GAP)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 190}" height="{height}" {FONT}>',
             '<rect width="100%" height="100%" fill="white"/>']
    for i, one in enumerate(charts):
        parts += [f'<g transform="translate({LEFT},{i * (HEIGHT + TOP + GAP) + TOP})">', *_draw(*one), "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


class _Axis:
    """Where a value stands in 0..1, and what is written along the axis."""

    def __init__(self, values, log):
        self.log = log
        self.low, self.high = _range([self.scaled(value) for value in values] or [0])
        self.ticks = (log_ticks if log else ticks)(self.low, self.high)

    def scaled(self, value):
        return math.log10(value) if self.log else value

    def place(self, value):
        return (self.scaled(value) - self.low) / (self.high - self.low)


def _draw(title, x_label, y_label, lines, levels, log):
    def shown(value, axis):
        return 1e-300 < value < 1e300 if axis in log else math.isfinite(value)

    lines = {name: [(x, y) for x, y in points if shown(x, "x") and shown(y, "y")] for name, points in lines.items()}
    levels = {name: y for name, y in levels.items() if shown(y, "y")}
    along = _Axis([x for points in lines.values() for x, _ in points], "x" in log)
    up = _Axis([y for points in lines.values() for _, y in points] + list(levels.values()), "y" in log)

    def px(x):
        return along.place(x) * WIDTH

    def py(y):
        return HEIGHT - up.place(y) * HEIGHT

    yield f'<text x="0" y="-14" font-size="15">{escape(title)}</text>'
    for y in up.ticks:
        yield f'<path d="M0 {py(y):.1f}H{WIDTH}" stroke="#eee"/>'
        yield f'<text x="-6" y="{py(y) + 4:.1f}" text-anchor="end">{y:g}</text>'
    for x in along.ticks:
        yield f'<text x="{px(x):.1f}" y="{HEIGHT + 16}" text-anchor="middle">{x:g}</text>'
    yield f'<path d="M0 0V{HEIGHT}H{WIDTH}" stroke="black" fill="none"/>'
    yield f'<text x="{WIDTH / 2}" y="{HEIGHT + 34}" text-anchor="middle">{escape(x_label)}</text>'
    yield f'<text transform="translate(-46,{HEIGHT / 2}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text>'
    for row, (name, colour, dash, path) in enumerate(
            [(name, COLOURS[i % len(COLOURS)], "", "M" + "L".join(f"{px(x):.1f} {py(y):.1f}" for x, y in points))
             for i, (name, points) in enumerate(lines.items()) if points]
            + [(f"{name} {y:.2f}", COLOURS[-1 - i % len(COLOURS)], "6 4", f"M0 {py(y):.1f}H{WIDTH}")
               for i, (name, y) in enumerate(levels.items())]):
        stroke = f'stroke="{colour}" stroke-width="1.5" stroke-dasharray="{dash}" fill="none"'
        yield f'<path d="{path}" {stroke}/><path d="M{WIDTH + 10} {row * 18 + 8}h20" {stroke}/>'
        yield f'<text x="{WIDTH + 36}" y="{row * 18 + 12}">{escape(name)}</text>'
    for i, points in enumerate(lines.values()):
        for x, y in points if len(points) <= FEW else ():
            yield f'<circle cx="{px(x):.1f}" cy="{py(y):.1f}" r="2.5" fill="{COLOURS[i % len(COLOURS)]}"/>'


def _range(values):
    low, high = min(values), max(values)
    margin = max(0.03 * (high - low) or 0.5, 1e-6 * max(high, -low))    # the second: what a float can tell apart
    return low - margin, high + margin


def _pixels(label):
    """The approximate width of a text of size 12: Chinese characters are as wide as they are high."""
    return sum(12 if unicodedata.east_asian_width(char) in "WF" else 7 for char in label)


def heat_map(title, labels, matrix):
    """The text of an SVG file: numbers in -1..1 as colours, blue to white to red, a row for each of `labels`."""
    cell, left = 44, 12 + max(map(_pixels, labels))
    size = cell * len(labels)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + size + 20}" height="{size + 60}" {FONT}>',
             '<rect width="100%" height="100%" fill="white"/>',
             f'<text x="10" y="24" font-size="15">{escape(title)}</text>']
    for row, (label, values) in enumerate(zip(labels, matrix, strict=True)):
        middle = 40 + cell * row + cell // 2 + 4
        parts.append(f'<text x="{left - 8}" y="{middle}" text-anchor="end">{escape(label)}</text>')
        for column, value in enumerate(values):
            fade = round(255 * (1 - min(1, abs(value))))
            colour = f"rgb(255,{fade},{fade})" if value > 0 else f"rgb({fade},{fade},255)"
            x = left + cell * column
            parts += [f'<rect x="{x}" y="{40 + cell * row}" width="{cell}" height="{cell}" fill="{colour}"/>',
                      f'<text x="{x + cell / 2}" y="{middle}" text-anchor="middle">{value:.2f}</text>']
    return "\n".join([*parts, "</svg>"]) + "\n"


def attention_map(title, rows, columns, shares, *, cell=12, most=4):
    """The text of an SVG picture of one head: `shares` (rows, columns) in 0..1, dark where a token (row) looks.

    Black is the largest share, and the title says how much that is. Who points at a row reads where it looks `most`.
    """
    left, top = (12 + max(map(_pixels, labels), default=0) for labels in (rows, columns))
    largest = max((share for line in shares for share in line), default=0)
    width, height = max(left + cell * len(columns), 7 * len(title) + 90) + 8, 20 + top + cell * len(rows) + 8
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" {FONT}>',
             '<rect width="100%" height="100%" fill="white"/>',
             f'<text x="4" y="14">{escape(title)}, black: {largest:.0%}</text>',
             f'<g transform="translate({left},{20 + top})" font-size="{cell - 2}">']
    for column, label in enumerate(columns):
        parts.append(f'<text transform="translate({cell * column + cell - 3},-4) rotate(-90)">{escape(label)}</text>')
    for row, (label, line) in enumerate(zip(rows, shares, strict=True)):
        best = sorted(range(len(columns)), key=lambda column: -line[column])[:most]
        looks = ", ".join(f"{columns[column]} {line[column]:.0%}" for column in best)
        parts += [f'<g transform="translate(0,{cell * row})"><title>{escape(f"{label} looks at {looks}")}</title>',
                  f'<text x="-4" y="{cell - 3}" text-anchor="end">{escape(label)}</text>',
                  f'<rect width="{cell * len(columns)}" height="{cell}" fill="white"/>']
        for column, share in enumerate(line):
            if (darkness := share / largest if largest else 0) >= 0.005:
                parts.append(f'<rect x="{cell * column}" width="{cell}" height="{cell}" '
                             f'fill-opacity="{darkness:.2f}"/>')
        parts.append("</g>")
    return "\n".join([*parts, "</g>", "</svg>"]) + "\n"


def confusion_matrix(title, names, counts):
    """The text of an SVG picture of `counts` (C, C): how often the class of a row (gold) was predicted as that of a
    column. The darker, the larger the share of its row; what is right is blue, a mistake red. `names` (C,)."""
    largest = max((count for row in counts for count in row), default=0)
    cell = max(20, 7 * len(f"{largest}") + 8, 44 if len(names) <= 12 else 0)
    left, top, size = 40 + max(map(_pixels, names), default=0), 50, cell * len(names)
    below = 14 + max(map(_pixels, names), default=0)
    width, height = max(left + size, _pixels(title)) + 20, top + size + below + 30
    middle = size / 2
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" {FONT}>',
             '<rect width="100%" height="100%" fill="white"/>',
             f'<text x="10" y="24" font-size="15">{escape(title)}</text>',
             f'<g transform="translate({left},{top})">',
             f'<text transform="translate({22 - left},{middle}) rotate(-90)" text-anchor="middle">gold</text>',
             f'<text x="{middle}" y="{size + below + 18}" text-anchor="middle">predicted</text>']
    for i, (name, row) in enumerate(zip(names, counts, strict=True)):
        total, y = sum(row), cell * i
        parts += [f'<text x="-8" y="{y + cell / 2 + 4}" text-anchor="end">{escape(name)}</text>',
                  f'<text transform="translate({y + cell / 2 + 4},{size + 8}) rotate(-90)" text-anchor="end">'
                  f'{escape(name)}</text>']
        for j, (other, count) in enumerate(zip(names, row, strict=True)):
            share, x = count / total if total else 0.0, cell * j
            parts += [f'<g><title>{escape(f"{name} predicted as {other}: {count} of {total}")}</title>',
                      f'<rect x="{x}" y="{y}" width="{cell}" height="{cell}" stroke="#ddd" '
                      f'fill="{COLOURS[i != j]}" fill-opacity="{share:.3f}"/>']
            if count:
                ink = "white" if share > 0.6 else "black"
                parts.append(f'<text x="{x + cell / 2}" y="{y + cell / 2 + 4}" text-anchor="middle" fill="{ink}">'
                             f'{count}</text>')
            parts.append("</g>")
    return "\n".join([*parts, "</g>", "</svg>"]) + "\n"
