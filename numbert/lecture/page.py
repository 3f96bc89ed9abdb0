"""All of it in one file: cards, pictures, source with values, proofs. No address of the web, the same bytes twice."""
import json
import re
from html import escape
from importlib.resources import files as resources

from ..autograd import REGISTRY
from . import markup, run, source, verdicts
from .contents import CARDS, PLACES
from .drawing import both, chart_of
from .figures import FIGURES
from .listing import Lister

LANGUAGES = ("en", "zh")


def read(name):
    """A file that lies beside this one: package data, so that the page can be made where numbert is installed."""
    return (resources(__package__) / name).read_text(encoding="utf-8")


def texts():
    """{language: {key: markup.Card}} as they are written, with the names of facts in them."""
    return {language: markup.cards(read(f"text.{language}.md")) for language in LANGUAGES}


def watched():
    """{part of the run: the plain functions that its cards show}."""
    found = {}
    for code in (code for entry in CARDS for code in entry.code if code.part):
        part = "pairs" if code.part in ("nsp", "sop") else code.part        # one part of the run records both
        functions = found.setdefault(part, [])
        functions.append(source.function_of(PLACES[code.place]))
        if code.place in REGISTRY:
            functions.append(REGISTRY[code.place].backward)
    return {part: list(dict.fromkeys(functions)) for part, functions in found.items()}


def filled(text, facts):
    """A text with the run's facts in it: {name} or {name:format}."""
    return re.sub(r"\{(\w+)(?::([^}]*))?\}", lambda found: format(facts[found[1]], found[2] or ""), text)


def put(name, **parts):
    """A file that lies beside this one, with the parts where it has {{their names}}."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], read(name))


def frame(contents, main, data):
    """A whole page. data: what its script needs, arrays and the names of their rows and columns."""
    data = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
    return put("page.html", style=read("page.css"), contents="".join(contents), main="".join(main), data=data,
               script=read("page.js"))


class Maker:
    """Makes the page of a run."""

    def __init__(self, done):
        self.run, self.lister, self.texts = done, Lister(done), texts()

    def page(self):
        contents, cards, last = [], [], None
        for number, entry in enumerate(CARDS, 1):
            title, chapter = (both(*(escape(getattr(self.texts[language][entry.key], name)) for language in LANGUAGES))
                              for name in ("title", "chapter"))
            if chapter != last:
                cards.append(f'<h1 class="chapter">{chapter}</h1>')
                contents.append(f'<li class="head">{chapter}</li>')
            last = chapter
            contents.append(f'<li><a href="#{entry.key}">{number}. {title}</a></li>')
            cards.append(self.card(number, title, entry))
        hero = put("hero.html", story=escape(f"{run.FIRST} {run.SECOND}"), facts=self.facts())
        return frame(contents, [hero, *cards], self.data())

    def card(self, number, title, entry):
        english, chinese = (self.texts[language][entry.key] for language in LANGUAGES)

        def each(of):                               # blocks in both languages
            return f'<div class="en">{of(english)}</div><div class="zh">{of(chinese)}</div>'

        def line(one, other):                       # a line in both languages
            return both(markup.inline(self.say(one)), markup.inline(self.say(other)))

        def bodies(kind):
            return each(lambda card: "".join(markup.block(self.say(section.body)) for section in card.of(kind)))

        def folded(kind):
            return "".join(
                f'<details class="{kind}" data-ask="{one.key}"><summary>{line(one.title, other.title)}</summary>'
                f'<div class="en">{markup.block(self.say(one.body))}</div>'
                f'<div class="zh">{markup.block(self.say(other.body))}</div></details>'
                for one, other in zip(english.of(kind), chinese.of(kind), strict=True))

        figures = {False: [], True: []}             # those beside the text, and those that need the whole width
        for one, other in zip(english.of("figure"), chinese.of("figure"), strict=True):
            drawn = FIGURES[one.key](self.run)
            caption = f"<figcaption>{line(one.body.strip(), other.body.strip())}</figcaption>"
            figures['class="maps"' in drawn].append(f"<figure>{drawn}{caption}</figure>")
        proven = set()
        code = "".join(self.lister.code(one, proven) for one in entry.code)
        parts = [f'<header><span class="no">{number}</span><h2>{title}</h2></header>',
                 '<div class="top"><div class="prose">',
                 each(lambda card: markup.block(self.say(card.says))),
                 f'<p class="takeaway">{line(english.takeaway, chinese.takeaway)}</p>',
                 f'<div class="differs"><h4>{both("How the code differs", "代码与课上不同的地方")}</h4>',
                 bodies("differs"), "</div></div>",
                 f'<div class="figs">{"".join(figures[False])}</div>' if figures[False] else "", "</div>",
                 *figures[True], self.brief(entry, each), '<div class="code">']
        if english.of("derivation"):
            parts.append(f'<details class="derivation"><summary>{both("Derivation", "推导")}</summary>'
                         f'{bodies("derivation")}</details>')
        parts += [code, f'</div><div class="asks"><div><h4>{both("Think first", "先想，再看答案")}</h4>',
                  folded("predict"), "</div>"]
        if english.of("ask"):
            parts.append(f'<div><h4>{both("Frequently asked", "常见问题")}</h4>{folded("ask")}</div>')
        parts.append(f"</div>{self.foot(entry)}")
        if verdicts.settled(entry, "en"):
            parts.append('<div class="settled">' + "".join(
                f'<div class="{language}">{markup.block(verdicts.settled(entry, language))}</div>'
                for language in LANGUAGES) + "</div>")
        return f'<section class="card" id="{entry.key}">{"".join(parts)}</section>'

    def brief(self, entry, each):
        """The card's table, as bars as well if it has no other picture, and all that was measured, folded."""
        def table(card):
            return markup.block(self.say(card.only("table").body))

        def bars(card):
            return chart_of(markup.rows(card.only("table").body))

        caption = both(*(markup.inline(self.say(self.texts[language][entry.key].only("table").title))
                         for language in LANGUAGES))
        parts = [f'<div class="brief"><h4>{caption}</h4>']
        parts += [f"<figure>{each(bars)}</figure>"] if entry.picture is None else []
        parts.append(f'<div class="{"only" if entry.picture else ""}">{each(table)}</div>')
        for i, measured in enumerate(self.texts["en"][entry.key].of("measured")):
            summary = both(f"All figures, recorded on {measured.key}", f"全部数字，记录于 {measured.key}")
            full = each(lambda card, i=i: markup.block(card.of("measured")[i].body))
            parts.append(f'<details class="full"><summary>{summary}</summary>{full}</details>')
        return "".join(parts) + "</div>"

    def foot(self, entry):
        """What to do next: the exercise, the commands, the tests."""
        def codes(these):
            return "<br>".join(f"<code>{escape(one)}</code>" for one in these)
        lines = [(both("Try", "动手"), codes(entry.commands)),
                 (both("What would fail if this were wrong", "说错了就会失败的测试"), codes(entry.tests))]
        if entry.source:
            lines.append((both("More source", "另见源码"), codes(entry.source)))
        if entry.exercise:
            lines.insert(0, (both("Exercise", "练习"), f"<code>pytest examples/exercises -k {entry.exercise}</code> "
                             f"<small>examples/exercises/{entry.exercise}.py</small>"))
        return '<dl class="foot">' + "".join(f"<dt>{name}</dt><dd>{what}</dd>" for name, what in lines) + "</dl>"

    def say(self, text):
        return filled(text, self.run.facts)

    def data(self):
        """What the page's script needs: arrays, and the tokens that rows and columns stand for."""
        words, shown = self.run.tokenizer.tokens, self.run.shown
        axes = {"pretraining": [words[i] for i in shown["masked"][0]], "masking": shown["tokens"].tokens,
                "tagged": shown["tags"][0], "answer": shown["answer"]["tokens"], "gpt": shown["gpt"][0]}
        data = {"values": self.lister.values.items, "axes": axes, "vocab": words}
        return data

    def facts(self):
        return both(*(self.say(text) for text in (
            "{parameters:,} parameters, {V} words, width {D}, {L} layers, {H} heads, {steps} steps of pre-training",
            "{parameters:,} 个参数，{V} 个词，宽度 {D}，{L} 层，{H} 个 head，预训练 {steps} 步")))


def make():
    """The text of the page."""
    return Maker(run.perform(watched())).page()
