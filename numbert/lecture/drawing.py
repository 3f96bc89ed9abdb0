"""What pictures are made of: tokens, bars, curves, matrices, attention maps. HTML and SVG, both languages at once."""
import re
from html import escape
from unicodedata import east_asian_width

import numpy as np

ORANGE, BLUE, TEAL, ROSE, GREY = (f"var(--{name})" for name in ("orange", "blue", "teal", "rose", "grey"))
SPECIAL = {"[CLS]", "[SEP]", "[MASK]"}


def both(english, chinese):
    """A text in both languages, of which the page shows one."""
    return f'<span class="en">{english}</span><span class="zh">{chinese}</span>'


def svg(width, height, *parts):
    return (f'<svg viewBox="0 0 {width:.0f} {height:.0f}" style="max-width:{width:.0f}px" role="img">'
            + "".join(parts) + "</svg>")


def label(x, y, english, chinese=None, look="", **attributes):
    """A text in a picture; without a translation it is a name or a number. look: a class of page.css."""
    more = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return "".join(f'<text x="{x:.1f}" y="{y:.1f}"{more} class="{f"{look} {kind}".strip()}">{escape(text)}</text>'
                   for text, kind in ([(english, "")] if chinese is None else [(english, "en"), (chinese, "zh")]))


def line(path, look="grid", **attributes):
    more = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return f'<path d="{path}" class="{look}"{more}/>'


def pointed(said):
    """What is said of a shape when it is pointed at: below the figure, and where the pointer is."""
    return f' data-say="{escape(said)}"><title>{escape(said)}</title>'


def token(text, kind="", below=()):
    """One token with lines of small print below it."""
    kind = kind or ("special" if text in SPECIAL else "")
    small = "".join(f"<i>{one}</i>" for one in below)
    return f'<span class="tok {kind}"><b>{escape(text)}</b>{small}</span>'


def strip(tokens, heading=""):
    """Tokens in a row that wraps, below a heading in HTML."""
    return said(heading) * bool(heading) + f'<div class="toks">{"".join(tokens)}</div>'


def said(text):
    """A line above a part of a figure."""
    return f'<p class="lab">{text}</p>'


def bars(rows, most=None):
    """rows: (name in HTML, value, what stands behind the bar, colour)."""
    most = most or max(value for _, value, *_ in rows) or 1
    return '<div class="bars">' + "".join(
        f'<div class="bar"><span class="name">{name}</span><span class="track"><span style="width:'
        f'{100 * value / most:.1f}%;background:{colour}"></span></span><span class="num">{number}</span></div>'
        for name, value, number, colour in rows) + "</div>"


def wide(text):
    """About how many pixels a text of size 12.5 takes: Chinese characters are as wide as they are high."""
    return sum(13 if east_asian_width(char) in "WF" else 7 for char in text)


def chart(rows, series=("",)):
    """Bars, each below its name, as SVG in one language. rows: (name, [(value, spread or None, what stands behind)]),
    a value for each of the `series`, whose names stand above if there are several. A spread is a thin line."""
    colours, width, right = (TEAL, GREY, ORANGE), 440, 96
    ends = [value + side * (spread or 0) for _, values in rows for value, spread, _ in values for side in (-1, 1)]
    low, high = min(0, *ends), max(0, *ends) or 1

    def px(value):
        return 4 + (value - low) / (high - low) * (width - right - 8)
    parts, x, y = [], 4, 4
    for name, colour in zip(series, colours, strict=False) if len(series) > 1 else ():
        parts += [f'<rect x="{x}" y="{y}" width="11" height="11" fill="{colour}"/>', label(x + 16, y + 10, name)]
        x += 32 + wide(name)
    y += 22 * (len(series) > 1)
    for name, values in rows:
        parts.append(label(4, y + 12, name))
        y += 18
        for (value, spread, number), colour in zip(values, colours, strict=False):
            left, far = sorted((px(0), px(value)))
            parts += [f'<rect x="{left:.1f}" y="{y}" width="{max(1, far - left):.1f}" height="12" fill="{colour}"/>',
                      label(width - 4, y + 10.5, number, text_anchor="end")]
            if spread:
                parts.append(line(f"M{px(value - spread):.1f} {y + 6}H{px(value + spread):.1f}", "spread"))
            y += 15
        y += 6
    if low < 0:
        parts.append(line(f"M{px(0):.1f} {4 + 22 * (len(series) > 1)}V{y}"))
    return svg(width, y, *parts)


def chart_of(rows):
    """The chart of a table: rows of cells, the head first. A column is drawn if each of its cells is a number, with or
    without its spread (0.97 ± 0.03, 49%); None if no column is."""
    def number(cell):
        found = re.fullmatch(r"([−+]?[\d,]*\.?\d+)(?: ± (\d*\.?\d+))?%?", cell)
        return found and (float(found[1].replace("−", "-").replace(",", "")), found[2] and float(found[2]), cell)
    head, *rest = rows
    columns = [j for j in range(1, len(head)) if all(number(row[j]) for row in rest)]
    return chart([(row[0], [number(row[j]) for j in columns]) for row in rest],
                 [head[j] for j in columns]) if columns else None


def table(head, rows, look=""):
    """A table of cells in HTML, which may be scrolled sideways on a narrow screen."""
    lines = [f"<tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr>"]
    lines += [row if isinstance(row, str) else f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>"
              for row in rows]
    return f'<div class="wide"><table class="{look}">{"".join(lines)}</table></div>'


def percent(p):
    return f"{p:.1%}" if 0.0005 <= p <= 0.9995 or p in (0, 1) else f"{p:.2%}" if p > 0.5 else f"{p:.1e}"


def curve(values, colour, levels, top):
    """A loss over the steps, the mean of eight at a time. levels: [((English, Chinese), value)], dashed."""
    left, width, height, window = 46, 560, 220, 8

    def px(step):
        return left + step / max(1, len(values) - 1) * width

    def py(value):
        return 16 + height * (1 - min(value, top) / top)
    parts, unit = [], next(u for u in (0.1, 0.2, 0.5, 1, 2, 5) if top / u <= 6)
    for y in np.arange(0, top + 1e-9, unit):
        parts += [line(f"M{left} {py(y):.1f}h{width}"), label(left - 8, py(y) + 4, f"{y:g}", text_anchor="end")]
    for step in range(0, len(values), max(1, len(values) // 4)):
        parts.append(label(px(step), height + 34, str(step), text_anchor="middle"))
    for (english, chinese), y in levels:
        parts += [line(f"M{left} {py(y):.1f}h{width}", "level"),
                  label(left + width - 4, py(y) - 5, f"{english} {y:.2f}", f"{chinese} {y:.2f}", "small",
                        text_anchor="end")]
    means = [np.mean(values[max(0, i - window + 1):i + 1]) for i in range(len(values))]
    path = "L".join(f"{px(i):.1f} {py(mean):.1f}" for i, mean in enumerate(means))
    parts += [line(f"M{path}", "", fill="none", stroke=colour, stroke_width=2),
              label(left + width / 2, height + 54, "step", "步", "small", text_anchor="middle"),
              label(left + 6, 12, "nats", look="small")]
    return svg(left + width + 12, height + 62, *parts)


def cells(matrix, x, y, size, most=None):
    """A matrix as colours: blue below 0, orange above, the deeper the larger."""
    most = most or float(np.abs(matrix).max()) or 1
    return "".join(
        f'<rect x="{x + j * size:.1f}" y="{y + i * size:.1f}" width="{size - 1:.1f}" height="{size - 1:.1f}" '
        f'fill="{ORANGE if value > 0 else BLUE}" fill-opacity="{min(1, abs(value) / most):.2f}"'
        + pointed(f"[{i}, {j}] {value:.3f}") + "</rect>"
        for i, row in enumerate(matrix) for j, value in enumerate(row))


def vectors(rows, most=None, gap=30, left=96, size=19):
    """Vectors below each other: rows of (English, Chinese, vector, colour of the name)."""
    most = most or [None] * len(rows)
    parts = [label(left - 8, 17 + gap * i, english, chinese, text_anchor="end", fill=colour)
             + cells(np.asarray(vector)[None], left, 3 + gap * i, size, most[i])
             for i, (english, chinese, vector, colour) in enumerate(rows)]
    return f'<div class="wide">{svg(left + size * len(rows[0][2]) + 4, gap * len(rows), *parts)}</div>'


def attention_map(english, chinese, rows, columns, shares):
    """One head: who (row) looks at whom (column). The number of a cell stands in it, in percent."""
    cell, left, top = 24, 14 + 8.2 * max(map(len, rows)), 26 + 7.4 * max(map(len, columns))
    parts = [label(0, 14, english, chinese, "strong")]
    for j, word in enumerate(columns):
        place = f"translate({left + cell * j + cell / 2 + 4:.1f},{top - 6:.1f}) rotate(-90)"
        parts.append(f'<text transform="{place}">{escape(word)}</text>')
    for i, word in enumerate(rows):
        parts.append(label(left - 6, top + cell * i + 16, word, text_anchor="end"))
        for j, share in enumerate(shares[i]):
            x, y = left + cell * j, top + cell * i
            square = f'x="{x:.1f}" y="{y:.1f}" width="{cell - 1}" height="{cell - 1}"'
            number = label(x + cell / 2 - 0.5, y + 15.5, f"{100 * share:.0f}" if share >= 0.005 else "",
                           look="in light" if share > 0.55 else "in", text_anchor="middle")
            parts.append(f'<g class="cell"{pointed(f"{word} → {columns[j]}: {share:.1%}")}<rect {square} fill="{TEAL}" '
                         f'fill-opacity="{share:.3f}"/><rect class="edge" {square}/>{number}</g>')
    return svg(left + cell * len(columns) + 6, top + cell * len(rows) + 6, *parts)


def colour_key(name):
    """What the depth of the colour of an attention map means. name: of the gradient, once on a page."""
    return svg(330, 40, f'<defs><linearGradient id="{name}"><stop offset="0" stop-color="{TEAL}" stop-opacity="0"/>'
               f'<stop offset="1" stop-color="{TEAL}"/></linearGradient></defs>'
               f'<rect x="36" y="4" width="200" height="12" fill="url(#{name})" stroke="var(--line)"/>',
               label(30, 15, "0%", text_anchor="end"), label(242, 15, "100%"),
               label(36, 34, "attention weights; a row adds up to 100%", "attention 的权重；一行加起来是 100%",
                     "small"))


def attention_maps(name, heads):
    """Heads of (English, Chinese, rows, columns, shares), the colour key, and a line for the number pointed at."""
    grid = "".join(f'<div class="map">{attention_map(*head)}</div>' for head in heads)
    hint = both("Point at a cell, or tap it.", "把鼠标移到格子上，或点一下。")
    return f'<div class="maps">{grid}</div>{colour_key(name)}<p class="said" aria-live="polite">{hint}</p>'
