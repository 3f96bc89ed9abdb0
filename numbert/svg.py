"""Line charts as SVG, a picture that is text: every browser shows it, and the standard library can write it."""
import math
from html import escape

COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b")
WIDTH, HEIGHT, LEFT, TOP, GAP = 640, 300, 60, 40, 50


def ticks(low, high, about=6):
    """Round numbers in low..high, about as many as asked for."""
    raw = (high - low) / about
    unit = 10 ** math.floor(math.log10(raw))
    step = next(unit * m for m in (1, 2, 5, 10) if unit * m >= raw)
    return [k * step for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def chart(title, x_label, y_label, lines, levels=None):
    """One chart, as (title, x label, y label, {name: [(x, y), ...]}, {name: y}), for `page`.

    `levels` are drawn as dashed horizontal lines: what a curve is to be compared with.
    """
    return title, x_label, y_label, lines, levels or {}


def page(charts):
    """The text of an SVG file with the charts one below the other. Values that are not finite are left out."""
    height = len(charts) * (HEIGHT + TOP + GAP)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 190}" height="{height}" '
             'font-family="sans-serif" font-size="12">', '<rect width="100%" height="100%" fill="white"/>']
    for i, one in enumerate(charts):
        parts += [f'<g transform="translate({LEFT},{i * (HEIGHT + TOP + GAP) + TOP})">', *_draw(*one), "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _draw(title, x_label, y_label, lines, levels):
    lines = {name: [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
             for name, points in lines.items()}
    levels = {name: y for name, y in levels.items() if math.isfinite(y)}
    xs = [x for points in lines.values() for x, _ in points] or [0]
    ys = [y for points in lines.values() for _, y in points] + list(levels.values()) or [0]
    (x0, x1), (y0, y1) = _range(xs), _range(ys)

    def px(x):
        return (x - x0) / (x1 - x0) * WIDTH

    def py(y):
        return HEIGHT - (y - y0) / (y1 - y0) * HEIGHT

    yield f'<text x="0" y="-14" font-size="15">{escape(title)}</text>'
    for y in ticks(y0, y1):
        yield f'<path d="M0 {py(y):.1f}H{WIDTH}" stroke="#eee"/>'
        yield f'<text x="-6" y="{py(y) + 4:.1f}" text-anchor="end">{y:g}</text>'
    for x in ticks(x0, x1):
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


def _range(values):
    low, high = min(values), max(values)
    margin = max(0.03 * (high - low) or 0.5, 1e-6 * max(high, -low))    # the second: what a float can tell apart
    return low - margin, high + margin


def heat_map(title, labels, matrix):
    """The text of an SVG file: numbers in -1..1 as colours, blue to white to red, a row for each of `labels`."""
    cell, left = 44, 12 + 7 * max(map(len, labels))
    size = cell * len(labels)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + size + 20}" height="{size + 60}" '
             'font-family="sans-serif" font-size="12">', '<rect width="100%" height="100%" fill="white"/>',
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
