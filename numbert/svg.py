"""Pictures as SVG, which is text: every browser shows it, and the standard library can write it."""
import functools
import math
import textwrap
import unicodedata
from html import escape

COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b")
WIDTH, HEIGHT, LEFT, TOP, GAP = 640, 300, 60, 40, 50
FEW = 12                                # a line with at most so many points marks them
FONT = 'font-family="sans-serif" font-size="12"'


class Picture(str):
    """The text of an SVG file, which a notebook shows as a picture."""

    def _repr_svg_(self):
        return str(self)


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
    return functools.partial(_draw, title, x_label, y_label, lines, levels or {}, log)


def bars(title, y_label, series, levels=None):
    """One bar chart, for `page`: `series` {name: {category: y or (y, its standard deviation)}}, a colour for each, side
    by side above the name of the category. Bars stand on 0. `levels`: as in `chart`."""
    return functools.partial(_draw_bars, title, y_label, series, levels or {})


def page(charts):
    """The text of an SVG file with the charts one below the other. Values that are not finite are left out."""
    height = len(charts) * (HEIGHT + TOP + GAP)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 190}" height="{height}" {FONT}>',
             '<rect width="100%" height="100%" fill="white"/>']
    for i, one in enumerate(charts):
        parts += [f'<g transform="translate({LEFT},{i * (HEIGHT + TOP + GAP) + TOP})">', *one(), "</g>"]
    return _picture(parts)


def _picture(parts):
    return Picture("\n".join([*parts, "</svg>"]) + "\n")


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

    yield from _frame(title, y_label, up)
    for x in along.ticks:
        yield f'<text x="{px(x):.1f}" y="{HEIGHT + 16}" text-anchor="middle">{x:g}</text>'
    yield f'<text x="{WIDTH / 2}" y="{HEIGHT + 34}" text-anchor="middle">{escape(x_label)}</text>'
    paths = {name: "M" + "L".join(f"{px(x):.1f} {py(y):.1f}" for x, y in points)
             for name, points in lines.items() if points}
    for i, (name, points) in enumerate(lines.items()):
        colour = COLOURS[i % len(COLOURS)]
        if points:
            yield f'<path d="{paths[name]}" {_stroke(colour)}/>'
        for x, y in points if len(points) <= FEW else ():
            yield f'<circle cx="{px(x):.1f}" cy="{py(y):.1f}" r="2.5" fill="{colour}"/>'
    yield from _levels(levels, py)
    yield from _legend([(name, _stroke(COLOURS[list(lines).index(name) % len(COLOURS)])) for name in paths], levels)


def _draw_bars(title, y_label, series, levels):
    pairs = {name: {category: y if isinstance(y, tuple) else (y, math.nan) for category, y in row.items()}
             for name, row in series.items()}
    pairs = {name: {category: (y, spread if math.isfinite(spread) else 0) for category, (y, spread) in row.items()
                    if math.isfinite(y)} for name, row in pairs.items()}
    levels = {name: y for name, y in levels.items() if math.isfinite(y)}
    categories = list(dict.fromkeys(category for row in series.values() for category in row))
    up = _Axis([0.0, *levels.values(), *(end for row in pairs.values() for y, spread in row.values()
                                         for end in (y - spread, y + spread))], False)

    def py(y):
        return HEIGHT - up.place(y) * HEIGHT

    yield from _frame(title, y_label, up)
    step = WIDTH / max(1, len(categories))
    wide = step * 0.8 / max(1, len(pairs))
    for i, (name, row) in enumerate(pairs.items()):
        for category, (y, spread) in row.items():
            x, top = step * (categories.index(category) + 0.1) + wide * i, py(max(y, 0))
            yield (f'<rect x="{x:.1f}" y="{top:.1f}" width="{wide * 0.92:.1f}" height="{py(min(y, 0)) - top:.1f}" '
                   f'fill="{COLOURS[i % len(COLOURS)]}"><title>{escape(f"{name}, {category}: {y:.3f}")}</title></rect>')
            if spread:
                yield f'<path d="M{x + wide * 0.46:.1f} {py(y - spread):.1f}V{py(y + spread):.1f}" {_stroke("black")}/>'
    for i, category in enumerate(categories):
        for row, part in enumerate(textwrap.wrap(category, max(4, int(step / 7)))[:3]):
            yield (f'<text x="{step * (i + 0.5):.1f}" y="{HEIGHT + 16 + 14 * row}" text-anchor="middle">'
                   f"{escape(part)}</text>")
    yield f'<path d="M0 {py(0):.1f}H{WIDTH}" stroke="black"/>'
    yield from _levels(levels, py)
    yield from _legend([(name, f'stroke="{COLOURS[i % len(COLOURS)]}" stroke-width="10"')
                        for i, name in enumerate(pairs)], levels)


def _frame(title, y_label, up):
    """The title, and what belongs to the vertical axis."""
    yield f'<text x="0" y="-14" font-size="15">{escape(title)}</text>'
    for y in up.ticks:
        yield f'<path d="M0 {HEIGHT - up.place(y) * HEIGHT:.1f}H{WIDTH}" stroke="#eee"/>'
        yield f'<text x="-6" y="{HEIGHT - up.place(y) * HEIGHT + 4:.1f}" text-anchor="end">{y:g}</text>'
    yield f'<path d="M0 0V{HEIGHT}H{WIDTH}" stroke="black" fill="none"/>'
    yield f'<text transform="translate(-46,{HEIGHT / 2}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text>'


def _stroke(colour, dash=""):
    return f'stroke="{colour}" stroke-width="1.5" stroke-dasharray="{dash}" fill="none"'


def _levels(levels, py):
    for i, y in enumerate(levels.values()):
        yield f'<path d="M0 {py(y):.1f}H{WIDTH}" {_stroke(COLOURS[-1 - i % len(COLOURS)], "6 4")}/>'


def _legend(named, levels):
    """Names with a line of their own `stroke`, one below the other to the right of the chart."""
    named += [(f"{name} {y:.2f}", _stroke(COLOURS[-1 - i % len(COLOURS)], "6 4"))
              for i, (name, y) in enumerate(levels.items())]
    for row, (name, stroke) in enumerate(named):
        yield f'<path d="M{WIDTH + 10} {row * 18 + 8}h20" {stroke}/>'
        yield f'<text x="{WIDTH + 36}" y="{row * 18 + 12}">{escape(name)}</text>'


def _range(values):
    low, high = min(values), max(values)
    margin = max(0.03 * (high - low) or 0.5, 1e-6 * max(high, -low))    # the second: what a float can tell apart
    return low - margin, high + margin


def _pixels(label):
    """The approximate width of a text of size 12: Chinese characters are as wide as they are high."""
    return sum(12 if unicodedata.east_asian_width(char) in "WF" else 7 for char in label)


def heat_map(title, rows, matrix, columns=None):
    """The text of an SVG file: a number in each cell, and a colour for it, with a key. A row for each of `rows`, a
    column for each of `columns` (default: the same names).

    The colours fit the numbers: from white, the least, to red, the greatest; where there are numbers below 0 and above,
    from blue over white, which is 0, to red.
    """
    columns = rows if columns is None else columns
    values = [value for line in matrix for value in line if math.isfinite(value)] or [0.0]
    low, high = min(values), max(values)
    if low < 0 < high:
        low, high = -max(-low, high), max(-low, high)

    def colour(value):
        share = (value - low) / (high - low) if high > low else 1.0
        if low < 0 < high and share < 0.5:
            return f"rgb({(fade := round(510 * share))},{fade},255)"
        fade = round(255 * (1 - share) * (2 if low < 0 < high else 1))
        return f"rgb(255,{fade},{fade})"

    cell, left, top = 44, 12 + max(map(_pixels, rows)), 52 + max(map(_pixels, columns))
    wide, high_up = left + cell * len(columns), top + cell * len(rows)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{max(wide + 90, 20 + 9 * len(title))}" '
             f'height="{max(high_up, top + 200) + 20}" {FONT}>',
             '<rect width="100%" height="100%" fill="white"/>',
             f'<text x="10" y="24" font-size="15">{escape(title)}</text>']
    for column, label in enumerate(columns):
        x = left + cell * column + cell // 2 + 4
        parts.append(f'<text transform="translate({x},{top - 8}) rotate(-90)">{escape(label)}</text>')
    for row, (label, line) in enumerate(zip(rows, matrix, strict=True)):
        middle = top + cell * row + cell // 2 + 4
        parts.append(f'<text x="{left - 8}" y="{middle}" text-anchor="end">{escape(label)}</text>')
        for column, value in enumerate(line):
            x = left + cell * column
            ink = "white" if low < 0 < high and value < 0.6 * low else "black"         # on dark blue
            parts += [f'<rect x="{x}" y="{top + cell * row}" width="{cell}" height="{cell}" '
                      f'fill="{colour(value) if math.isfinite(value) else "#ddd"}"/>',
                      f'<text x="{x + cell / 2}" y="{middle}" text-anchor="middle" fill="{ink}">{value:.2f}</text>']
    for step in range(11):                              # the key: from the greatest down to the least
        value, y = high - (high - low) * step / 10, top + 18 * step
        parts.append(f'<rect x="{wide + 16}" y="{y}" width="18" height="18" fill="{colour(value)}"/>')
        if step % 5 == 0:
            parts.append(f'<text x="{wide + 40}" y="{y + 13}">{value:.2f}</text>')
    return _picture(parts)


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
    return _picture([*parts, "</g>"])


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
    return _picture([*parts, "</g>"])
