"""Source on the page: lines with the values behind them, forward beside backward, and the proof below."""
import json
import re
from html import escape

import numpy as np

from ..autograd import REGISTRY, Tensor
from . import proof, source
from .contents import PLACES
from .drawing import both, table

MOST = 3000                         # numbers of an array that the page holds; of a longer one the first rows
TEST = "tests/gradcheck/test_gradcheck.py::test_ops"


class Values:
    """The arrays behind the lines: `items`, each once, for the end of the page."""

    def __init__(self):
        self.items, self._numbers = [], {}

    def add(self, array):
        """The number of an array among the items."""
        kept = array if array.size <= MOST else array[:max(1, MOST * len(array) // array.size)]
        item = {"s": list(array.shape), "d": [_digits(x) for x in kept.reshape(-1).tolist()]}
        key = json.dumps(item)
        if key not in self._numbers:
            self._numbers[key] = len(self.items)
            self.items.append(item)
        return self._numbers[key]


def _digits(x):
    """A number in four digits, as JSON can hold it."""
    if isinstance(x, bool | int):
        return int(x)
    return float(f"{x:.4g}") if np.isfinite(x) else str(x)


class Lister:
    """Lists the source of a run's page. `values` collects what the page must hold."""

    def __init__(self, run):
        self.run, self.values, self._fates = run, Values(), {}

    def code(self, code, proven):
        """One `contents.Code` as HTML. proven: names of ops whose proof this card has already."""
        target = PLACES[code.place]
        op = REGISTRY.get(code.place) if target.startswith("numbert.ops.") else None
        forward, backward = source.excerpt(target, code.lines), source.excerpt(target, backward=True) if op else None
        twins = source.names_in([forward, backward] if op else [forward])
        seen = self.run.seen[code.part] if code.part else None
        call = seen.find(source.function_of(target), code.module) if seen else None
        where = f"{forward.path}<b>::{escape(target.partition(':')[2])}</b>"
        parts = [f'<h3 class="where">{where} <small>{escape(call.module if call else "")}</small></h3>']
        lines = self.lines(forward, made(call, seen), twins, code.part)
        if op:
            other = seen.backward_of(call, op.backward)
            back = made(other, seen, [f"→ d{name}" for name in call.arguments])
            mistakes = {}
            for fate in self.fates(op):
                mistakes.setdefault(fate.mutant.line, []).append(fate)
            lower = self.lines(backward, back, twins, code.part, mistakes)
            parts.append(f'<div class="pair two"><div><h4>{both("forward", "前向")}</h4>{lines}</div>'
                         f'<div><h4>{both("backward", "反向")}</h4>{lower}</div></div>')
        else:
            parts.append(f'<div class="pair">{lines}</div>')
        twin = f"tests/reference.py::{code.twin}"
        plain = [source.excerpt_of_file(source.ROOT / "tests" / "reference.py", name)
                 for name in (code.twin, f"{code.twin}_backward")] if code.twin else []
        if any(plain):                              # tests are not installed with the package
            shown = "".join(self.lines(one, {}, source.names_in([one]), None) for one in plain if one)
            summary = both("The same in plain loops: ", "用普通循环写的同一件事：") + twin
            parts.append(f'<details class="twin"><summary>{summary}</summary>{shown}</details>')
        if op and op.name not in proven:
            proven.add(op.name)
            parts.append(self.proof(op, call, set(backward.lines)))
        return "".join(parts)

    def lines(self, excerpt, made, twins, part, mistakes=None):
        """The lines of an excerpt, below each what it made, and what may be wrong with those of a backward pass."""
        painted, out, before = source.paint(excerpt.lines, twins), [], None
        for number, text in excerpt.lines.items():
            if before is not None and number > before + 1:
                out.append('<div class="l gap"><u></u><code>⋯</code></div>')
            before, k, wrong = number, source.number_of(text), (mistakes or {}).get(number)
            chips = "".join(self.chip(name, value, part) for name, value in _mentioned(text, made.get(number, {})))
            said = re.sub(r"(?<=\S) {3,}", "  ", painted[number].strip())      # comments come closer
            line = [f'<u>{number}</u><code>{said or " "}</code>']
            if wrong:
                line.append(f'<details class="break"><summary>{both("break", "改错")} {len(wrong)}</summary>'
                            f"{_broken(wrong)}</details>")
            if chips:
                line.append(f'<div class="vals">{chips}</div>')
            look = f'class="l{" has" if wrong else ""}"' + (f' data-k="{k}"' if k else "")
            out.append(f'<div {look} style="--w:{len(text) - len(text.lstrip())}">{"".join(line)}</div>')
        return f'<div class="src">{"".join(out)}</div>'

    def chip(self, name, value, part):
        """A value in a few words: its shape and its first numbers; a click shows all of it."""
        shape = first = ""
        if isinstance(value, str | list):
            first = value if isinstance(value, str) else " ".join(value)
        elif value.ndim == 0:
            first = str(_digits(value.item()))
        else:
            shape = str(value.shape)
            first = " ".join(f"{float(x):.3g}" for x in value.reshape(-1)[:4]) + (" …" if value.size > 4 else "")
        text = f"<b>{escape(name)}</b> <i>{shape}</i> {escape(first)}"
        if not isinstance(value, np.ndarray) or value.size <= 4:
            return f'<span class="v">{text}</span>'
        return f'<button class="v" data-v="{self.values.add(value)}" data-part="{part}">{text}</button>'

    def fates(self, op):
        if op.name not in self._fates:
            self._fates[op.name] = proof.fates(op)
        return self._fates[op.name]

    def proof(self, op, call, shown):
        """The gradient check at the values above, and the mistakes that belong to no line that is `shown`."""
        arguments = [(name, value.data if isinstance(value, Tensor) else value)
                     for name, value in call.arguments.items()]
        arrays = op.forward.__code__.co_argcount
        options = {name: None if name == "rng" else value for name, value in arguments[arrays:]}
        results, fates = proof.verdicts(op, [value for _, value in arguments[:arrays]], options), self.fates(op)
        found = sum(fate.end != "same" for fate in fates)
        passed = " ".join(f"{result.input} {'✓' if result.passed else '✗'}" for result in results)
        head = [both("input", "输入"), both("shape", "形状"), both("largest error", "最大误差"), both("agrees", "一致")]
        rows = [(f"<code>{result.input}</code>", result.shape, f"{result.error:.0e}", "✓" if result.passed else "✗")
                for result in results]
        others = [fate for fate in fates if fate.mutant.line not in shown]
        said = both(
            f"The values above, against central differences in float64; and {len(fates)} backward passes with one "
            f"mistake in each: {found} are found, {len(fates) - found} change nothing.",
            f"上面的数值在 float64 下与中心差分比较；再做 {len(fates)} 个各有一处错误的反向传播：发现 {found} 个，"
            f"{len(fates) - found} 个不改变结果。")
        count = both(f"{found} of {len(fates)} mistakes found", f"{len(fates)} 个错误，发现 {found} 个")
        returned = both("Mistakes in what it returns", "返回值的错误")
        return (f'<details class="proof"><summary>{both("The proof: ", "证明：")}<code>{op.name}</code> '
                f"<small>{passed}; {count}</small></summary><p>{said}</p>{table(head, rows)}"
                f"<details><summary>{returned}: {len(others)}</summary>{_broken(others)}</details></details>")


def made(call, seen, returned=("→",)):
    """{line: {name: value}} of a call and of the functions within it, with names for what it returned."""
    found = {}
    for one in (call, *seen.inside(call)) if call else ():
        for line, values in one.values.items():
            found[line] = values | found.get(line, {})
    if call:
        last = found.setdefault(call.last_line, {})
        last |= {name: value for name, value in zip(returned, call.given, strict=False) if value is not None}
    return found


def _mentioned(text, made):
    """[(name, value), ...] of the names that a line mentions, in its order, then of what it returns. An array that is
    not filled yet is only a shape."""
    places = {name: len(text) if name[0] == "→" else found.start() for name in made
              if (found := re.search(rf"\b{name}\b", text)) or name[0] == "→"}
    empty = "np.empty" in text
    return [(name, f"{made[name].shape} …" if empty and np.ndim(made[name]) else made[name])
            for name in sorted(places, key=places.get)]


def _broken(fates):
    """Mistakes, and how each was found."""
    items = []
    for fate in fates:
        one = fate.mutant
        change = f"<del>{escape(one.before)}</del><ins>{escape(one.after)}</ins>" if one.before else escape(one.what)
        said = (both(f"changes nothing: {escape(fate.said)}", f"什么也没有改变：{escape(fate.said)}")
                if fate.end == "same" else f'{both("found:", "被发现：")} <samp>{escape(fate.said)}</samp> '
                f"<small>{TEST}[{escape(fate.case)}]</small>")
        items.append(f'<li class="{fate.end}"><code>{change}</code><br>{said}</li>')
    return f"<ul>{''.join(items)}</ul>"
