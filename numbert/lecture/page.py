"""All of it in one file: cards, pictures, source with values, proofs; no address of the web, the same bytes every time."""
import json
import re
from html import escape
from importlib.resources import files as resources

import numpy as np

from ..autograd import REGISTRY, Tensor
from . import markup, proof, run, source
from .contents import CARDS, PLACES
from .figures import FIGURES, both

MOST = 3000                         # numbers of an array that the page holds; of a longer one the first rows
LANGUAGES = ("en", "zh")
UNFILLED = "{} not filled yet"
CHINESE = {"forward": "前向", "backward": "反向", "Takeaway": "一句话", "How the code differs": "代码与课上不同的地方",
           "Derivation": "推导", "The same in plain loops": "用普通循环写的同一件事", "The proof": "证明", "Exercise": "练习",
           "Try": "动手", "The test that would fail": "错了就会失败的测试", "Think first": "先想，再看答案", "Asked in public": "常见问题",
           "break": "改错", "Mistakes in what it returns": "返回值的错误", "in": "于", "input": "输入", "shape": "形状",
           "largest error": "最大误差", "verdict": "结论", "agrees": "一致"}


def texts():
    """{language: {key: markup.Card}} as they are written, with the names of facts in them."""
    return {language: markup.cards(read(f"text.{language}.md")) for language in LANGUAGES}


def read(name):
    return (resources(__package__) / name).read_text(encoding="utf-8")


def tr(english):
    return both(english, CHINESE[english])


def watched():
    """{part of the run: the plain functions that its cards show}."""
    found = {}
    for entry in CARDS:
        for code in entry.code:
            if code.part:
                functions = found.setdefault(code.part, [])
                functions.append(source.function_of(PLACES[code.place]))
                if code.place in REGISTRY:
                    functions.append(REGISTRY[code.place].backward)
    if "sop" in found or "nsp" in found:                # one function draws both kinds of pairs
        found["pairs"] = found.get("nsp", []) + found.get("sop", [])
    return {part: list(dict.fromkeys(functions)) for part, functions in found.items()}


class Values:
    """The arrays behind the lines: each once, as JSON at the end of the page."""

    def __init__(self):
        self.items, self.numbers = [], {}

    def add(self, array):
        array = np.asarray(array)
        kept = array if array.size <= MOST else array[:max(1, MOST * len(array) // array.size)]
        item = {"s": list(array.shape), "d": [number(x) for x in kept.reshape(-1).tolist()]}
        key = json.dumps(item)
        if key not in self.numbers:
            self.numbers[key] = len(self.items)
            self.items.append(item)
        return self.numbers[key]


def number(x):
    """A number in four digits, as JSON can hold it."""
    if isinstance(x, bool | int):
        return int(x)
    return float(f"{x:.4g}") if np.isfinite(x) else str(x)


def short(value):
    """A value in a few words: its shape and its first numbers."""
    if isinstance(value, str):
        return "", value
    if isinstance(value, list):
        return "", " ".join(value)
    if value.ndim == 0:
        return "", f"{number(value.item())}"
    shown = " ".join(f"{float(x):.3g}" if np.isfinite(x) else str(x) for x in value.reshape(-1)[:4].tolist())
    return f"({', '.join(map(str, value.shape))}{',' if value.ndim == 1 else ''})", shown + (" …" if value.size > 4 else "")


def chip(name, value, values, part):
    shape, first = short(value)
    text = f'<b>{escape(name)}</b> <i>{shape}</i> {escape(first)}'
    if isinstance(value, np.ndarray) and value.size > 4:
        return f'<button class="v" data-v="{values.add(value)}" data-part="{part}">{text}</button>'
    return f'<span class="v">{text}</span>'


def listing(excerpt, made, twins, values, part, mistakes=None):
    """The lines of an excerpt, the values behind each, and what happens if it is broken."""
    painted, out, before = source.paint(excerpt.lines, twins), [], None
    for line, text in excerpt.lines.items():
        if before is not None and line > before + 1:
            out.append('<div class="l gap"><u></u><code>⋯</code></div>')
        before = line
        k = source.number_of(text)
        tools = ""
        if mistakes and (found := mistakes.get(line)):
            tools = f'<details class="break"><summary>{tr("break")} {len(found)}</summary>{broken(found)}</details>'
        chips = "".join(chip(name, value, values, part) for name, value in _said(text, made.get(line, {})))
        number, breakable = (f' data-k="{k}"' if k else ""), (" has" if tools else "")
        out.append(f'<div class="l{breakable}"{number} style="--w:{len(text) - len(text.lstrip())}"><u>{line}</u>'
                   f'<code>{painted[line].strip() or " "}</code>{tools}'
                   + (f'<div class="vals">{chips}</div>' if chips else "") + "</div>")
    return f'<div class="src">{"".join(out)}</div>'


def _said(text, made):
    """[(name, value), ...] of the names that a line mentions, in its order; all that it made if it mentions none. An array
    that is not filled yet is only a shape."""
    places = {name: found.start() for name in made if (found := re.search(rf"\b{name}\b", text))}
    names = sorted(places, key=places.get) or list(made)
    return [(name, UNFILLED.format(made[name].shape) if "np.empty" in text and isinstance(made[name], np.ndarray)
             else made[name]) for name in names]


def broken(fates):
    rows = []
    for fate in fates:
        old, _, new = fate.what.partition(" -> ")
        change = f"<del>{escape(old)}</del> <ins>{escape(new)}</ins>" if new else escape(fate.what)
        if fate.end == "same":
            said = both(f"changes nothing: {escape(fate.said)}", f"什么也没有改变：{escape(fate.said)}")
        else:
            said = (both("found:", "被发现：") + f" <samp>{escape(fate.said)}</samp> "
                    f"<small>tests/test_gradcheck.py::test_ops[{escape(fate.case)}]</small>")
        rows.append(f'<li class="{fate.end}"><code>{change}</code><br>{said}</li>')
    return f"<ul>{''.join(rows)}</ul>"


class Maker:
    """Makes the page of a run."""

    def __init__(self, done):
        self.run, self.values, self.texts, self._fates = done, Values(), texts(), {}

    def fates(self, op):
        if op.name not in self._fates:
            self._fates[op.name] = proof.fates(op)
        return self._fates[op.name]

    def call_of(self, code, function):
        """The recorded call that a Code shows, or None."""
        return self.run.recordings[code.part].find(function, code.module) if code.part else None

    def code(self, code, twin_shown):
        target = PLACES[code.place]
        function = source.function_of(target)
        op = REGISTRY.get(code.place) if target.startswith("numbert.ops.") else None
        forward = source.excerpt(target, code.lines)
        call = self.call_of(code, function)
        recording = self.run.recordings[code.part] if code.part else None
        made = self.made(call, recording)
        backward = source.excerpt(target, backward=True) if op and op.backward else None
        twins = source.names_in([forward, *([backward] if backward else [])])
        where = f"{forward.path}<b>::{escape(target.partition(':')[2])}</b>"
        if call is not None and call.module:
            where += f" <small>{escape(call.module)}</small>"
        parts = [f'<h3 class="where">{where}</h3>']
        if not backward:
            parts.append(f'<div class="pair">{listing(forward, made, twins, self.values, code.part)}</div>')
        else:
            fates = self.fates(op)
            mistakes = {}
            for fate in fates:
                mistakes.setdefault(fate.line, []).append(fate)
            other = recording.backward_of(call, op.backward) if call else None
            down = self.made(other, recording, [f"d{name}" for name in call.arguments] if call else ())
            parts.append('<div class="pair two">'
                         f'<div><h4>{tr("forward")}</h4>{listing(forward, made, twins, self.values, code.part)}</div>'
                         f'<div><h4>{tr("backward")}</h4>{listing(backward, down, twins, self.values, code.part, mistakes)}</div></div>')
        if code.twin and (plain := source.excerpt_of_file(source.ROOT / "tests" / "reference.py", code.twin)):
            parts.append(f'<details><summary>{tr("The same in plain loops")}: tests/reference.py::{code.twin}</summary>'
                         f'{listing(plain, {}, set(), self.values, None)}</details>')
        if backward and op.name not in twin_shown:
            twin_shown.add(op.name)
            parts.append(self.proof(op, call, fates, mistakes))
        return "".join(parts)

    def made(self, call, recording, returned=("→",)):
        """{line: {name: value}} of a call and of the functions within it."""
        if call is None:
            return {}
        made = {}
        for one in (call, *recording.inside(call)):
            for line, values in one.values.items():
                made[line] = values | made.get(line, {})
        named = {name: value for name, value in zip(returned, call.given, strict=False) if value is not None}
        known = made.setdefault(call.last_line, {})
        known |= {name: value for name, value in named.items() if name not in call.values.get(call.last_line, {})}
        return made

    def proof(self, op, call, fates, mistakes):
        inputs, options = [], {}
        for name, value in (call.arguments if call else {}).items():
            value = value.data if isinstance(value, Tensor) else value
            (inputs.append(value) if len(inputs) < self.inputs(op) else options.__setitem__(name, value))
        checked = proof.verdicts(op, inputs, options | ({"rng": None} if "rng" in options else {}))
        rows = "".join(
            f'<tr><td><code>{escape(r.input)}</code></td><td>{escape(str(r.shape))}</td><td>{r.error:.0e}</td>'
            f'<td>{"✓" if r.passed else "✗"}</td></tr>'
            for r in checked)
        found = sum(f.end != "same" for f in fates)
        passed = " ".join(f"{r.input} {'✓' if r.passed else '✗'}" for r in checked)
        table = (f'<div class="wide"><table><tr><th>{tr("input")}</th><th>{tr("shape")}</th><th>{tr("largest error")}</th>'
                 f'<th>{tr("agrees")}</th></tr>{rows}</table></div>')
        summary = both(
            f"The values above against central differences in float64, and {len(fates)} backward passes with one mistake in each: "
            f"{found} are found, {len(fates) - found} change nothing.",
            f"用上面的数值在 float64 下与中心差分比较；再做 {len(fates)} 个各有一处错误的反向传播：发现 {found} 个，{len(fates) - found} 个不改变结果。")
        returned = [f for line, here in mistakes.items() if line is None for f in here]
        shown = {line for line in source.excerpt(f"{op.forward.__module__}:{op.name}", backward=True).lines}
        elsewhere = [f for line, here in mistakes.items() if line is not None and line not in shown for f in here]
        return (f'<details class="proof"><summary>{tr("The proof")}: <code>{op.name}</code> <small>{passed}; '
                f'{both(f"{found} of {len(fates)} mistakes found", f"{len(fates)} 个错误发现 {found} 个")}</small></summary><p>{summary}</p>{table}'
                f'<details><summary>{tr("Mistakes in what it returns")}: {len(returned) + len(elsewhere)}</summary>'
                f'{broken(returned + elsewhere)}</details></details>')

    def inputs(self, op):
        """How many arrays an op takes: its parameters before the keyword-only options."""
        return op.forward.__code__.co_argcount

    def card(self, number, entry):
        cards = {language: self.texts[language][entry.key] for language in LANGUAGES}
        facts = self.run.facts

        def say(text):
            return re.sub(r"\{(\w+)(:[^}]*)?\}", lambda m: format(facts[m[1]], (m[2] or ":")[1:]), text)

        def each(make):
            return "".join(f'<div class="{language}">{make(cards[language])}</div>' for language in LANGUAGES)

        def sections(kind, title, fold=True):
            if not cards["en"].of(kind):
                return ""
            body = each(lambda card: "".join(
                (f"<h4>{escape(s.title)}</h4>" if s.title else "") + markup.block(say(s.body)) for s in card.of(kind)))
            return (f'<details class="{kind}"><summary>{tr(title)}</summary>{body}</details>' if fold else
                    f'<div class="{kind}"><h4>{tr(title)}</h4>{body}</div>')

        def asked(kind):
            return "".join(f'<details class="{kind}" data-ask="{e.key}"><summary>{both(question(e), question(z))}'
                           f'</summary><div class="en">{markup.block(say(e.body))}</div><div class="zh">{markup.block(say(z.body))}</div></details>'
                           for e, z in zip(cards["en"].of(kind), cards["zh"].of(kind), strict=True))

        def question(section):
            return markup.inline(say(section.title))

        seen = set()
        code = "".join(self.code(one, seen) for one in entry.code)
        drawn = [FIGURES[name](self.run) for name in entry.figures]
        wide, figures = ("".join(f"<figure>{figure}</figure>" for figure in drawn if ('class="maps"' in figure) is large)
                         for large in (True, False))
        foot = [(tr("Try"), f"<code>{escape(entry.command)}</code>"), (tr("The test that would fail"), f"<code>{entry.test}</code>")]
        if entry.exercise:
            foot.insert(0, (tr("Exercise"), f"<code>pytest examples/exercises -k {entry.exercise}</code> "
                            f"<small>examples/exercises/{entry.exercise}.py</small>"))
        return (f'<section class="card" id="{entry.key}"><header><span class="no">{number}</span><h2>'
                f'{both(*(escape(cards[language].title) for language in LANGUAGES))}</h2></header>'
                f'<div class="top"><div class="prose">{each(lambda c: markup.block(say(c.says)))}'
                f'<p class="takeaway">{both(*(markup.inline(say(cards[language].takeaway)) for language in LANGUAGES))}</p>'
                f'{sections("differs", "How the code differs", fold=False)}</div>{f"<div class={chr(34)}figs{chr(34)}>{figures}</div>" if figures else ""}</div>'
                f'{wide}<div class="code">{sections("derivation", "Derivation")}{code}</div>'
                f'<div class="asks"><div><h4>{tr("Think first")}</h4>{asked("predict")}</div>'
                + (f'<div><h4>{tr("Asked in public")}</h4>{asked("ask")}</div>' if cards["en"].of("ask") else "") + '</div>'
                '<dl class="foot">' + "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in foot) + "</dl></section>")

    def page(self):
        chapters, cards, last = [], [], None
        for number, entry in enumerate(CARDS, 1):
            titles = both(*(escape(self.texts[language][entry.key].title) for language in LANGUAGES))
            chapter = both(*(escape(self.texts[language][entry.key].chapter) for language in LANGUAGES))
            if chapter != last:
                cards.append(f'<h1 class="chapter">{chapter}</h1>')
                chapters.append(f"<li class='head'>{chapter}</li>")
                last = chapter
            chapters.append(f'<li><a href="#{entry.key}">{number}. {titles}</a></li>')
            cards.append(self.card(number, entry))
        data = json.dumps({"values": self.values.items, "axes": self.axes(), "vocab": self.run.tokenizer.tokens,
                           "D": self.run.facts["D"]}, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
        return (read("page.html").replace("{{style}}", read("page.css")).replace("{{contents}}", "".join(chapters))
                .replace("{{cards}}", "".join(cards)).replace("{{story}}", escape(f"{run.FIRST} {run.SECOND}"))
                .replace("{{facts}}", self.facts()).replace("{{data}}", data).replace("{{script}}", read("page.js")))

    def axes(self):
        """{part: the tokens that its rows stand for}."""
        tok, shown = self.run.tokenizer, self.run.shown
        return {"pretraining": [tok.tokens[i] for i in shown["masked"][0]], "masking": shown["tokens"].tokens,
                "tagged": shown["tags"][0], "answer": shown["answer"]["tokens"], "gpt": shown["gpt"][0]}

    def facts(self):
        f = self.run.facts
        return both(f"{f['parameters']:,} parameters, {f['V']} words, width {f['D']}, {f['L']} layers, {f['H']} heads, "
                    f"{f['steps']} steps of pre-training",
                    f"{f['parameters']:,} 个参数，{f['V']} 个词，宽度 {f['D']}，{f['L']} 层，{f['H']} 个 head，预训练 {f['steps']} 步")


def make():
    """The text of the page."""
    return Maker(run.perform(watched())).page()
