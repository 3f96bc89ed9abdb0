"""A figure of the page as a picture that stands alone: one SVG file in one language, for the guide.

On the page a figure is HTML, whose lines break where the screen ends. Here its parts (see `drawing`) are put below each
other in a width that is fixed; tables and reports are left out.
"""
import re
from html import unescape
from importlib.resources import files as resources

from .drawing import label, wide

CSS = (resources(__package__) / "page.css").read_text(encoding="utf-8")
STYLE = (re.search(r":root\{.*?\}", CSS, re.S)[0] + "svg{font:12.5px var(--sans);fill:var(--ink)}"
         + "".join(re.findall(r"svg [^{}]+\{[^}]*\}", CSS)))
SHADES = {"": "#efebe2"} | dict(re.findall(r"\.tok\.(\w+)\{background:(#\w+)\}", CSS))
WIDTH = 520
PART = re.compile(r'<p class="lab">(?P<said>.*?)</p>|<div class="toks">(?P<tokens>.*?)</div>'
                  r'|<div class="bar">(?P<bar>.*?)</div>'
                  r'|<svg viewBox="0 0 (?P<w>\d+) (?P<h>\d+)"[^>]*>(?P<svg>.*?)</svg>', re.S)


def still(figure, language):
    """The text of an SVG file: a figure of the page, in one language. Of several attention maps, the first."""
    other = {"en": "zh", "zh": "en"}[language]
    figure = re.sub(rf'<span class="{other}">.*?</span>|<text[^>]*class="(?:[^"]* )?{other}"[^>]*>.*?</text>', "",
                    figure)
    parts, y, width = [], 6, 0
    for part in PART.finditer(figure):
        kind = part.lastgroup
        made, right, height = {"said": _said, "tokens": _tokens, "bar": _bar, "svg": _svg}[kind](part, y)
        parts, y, width = [*parts, *made], y + height, max(width, right)
        if kind == "svg" and 'class="maps"' in figure:
            break
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width + 6} {y + 6}" width="{width + 6}" '
            f'height="{y + 6}"><style>{STYLE}</style><rect width="100%" height="100%" fill="#fff"/>'
            + "\n".join(parts) + "</svg>\n")


# Each gives the shapes of a part that begins at a height y, how far they reach to the right, and their height.

def _said(part, y):
    text = _plain(part["said"])
    return [label(6, y + 14, text)], 6 + wide(text), 22


def _tokens(part, y):
    shapes, x, line, high = [], 6, y, 0
    for kind, text, below in re.findall(r'<span class="tok ([^"]*)"><b>(.*?)</b>(.*?)</span>(?=<span class="tok|$)',
                                        part["tokens"], re.S):
        lines = [_plain(text), *map(_plain, re.findall(r"<i>(.*?)</i>", below))]
        across, high = max(map(wide, lines)) + 12, max(high, 8 + 15 * len(lines))
        if x + across > WIDTH:
            x, line, high = 6, line + high + 5, 8 + 15 * len(lines)
        shapes.append(f'<rect x="{x}" y="{line}" width="{across}" height="{8 + 15 * len(lines)}" rx="6" '
                      f'fill="{SHADES[kind if kind in SHADES else ""]}"/>')
        shapes += [label(x + across / 2, line + 15 + 15 * i, text, look="strong" if i == 0 else "small",
                         text_anchor="middle") for i, text in enumerate(lines)]
        x += across + 5
    return shapes, WIDTH, line + high + 8 - y


def _bar(part, y):
    name, share, colour, number = re.match(
        r'<span class="name">(.*)</span><span class="track"><span style="width:([\d.]+)%;background:(.*?)"></span>'
        r'</span><span class="num">(.*)</span>', part["bar"], re.S).groups()
    left, track, name, number = 220, 190, _plain(name), _plain(number)
    return [label(left, y + 13, name, text_anchor="end"),
            f'<rect x="{left + 8}" y="{y + 2}" width="{max(1, track * float(share) / 100):.1f}" height="13" '
            f'fill="{colour}"/>', label(left + 16 + track, y + 13, number)], left + 16 + track + wide(number), 19


def _svg(part, y):
    inner = re.sub(r'<a href="[^"]*">|</a>|<title>.*?</title>| data-say="[^"]*"', "", part["svg"])
    return [f'<g transform="translate(6,{y})">{inner}</g>'], 6 + int(part["w"]), int(part["h"]) + 4


def _plain(text):
    return unescape(re.sub(r"<[^>]+>", " " if "<br>" in text else "", text)).strip()
