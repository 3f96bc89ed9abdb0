"""The guide, examples/LECTURE.md and LECTURE.zh.md: the cards as Markdown, for who reads them beside the files.

It has no text of its own: what it says is in text.en.md and text.zh.md. What needs the page (the source with its
values, the derivations, the proofs) is left there.
"""
import re

from . import markup, verdicts
from .contents import CARDS, PLACES
from .drawing import chart_of
from .figures import FIGURES
from .page import filled, read
from .stills import still

FILES = {"en": "LECTURE.md", "zh": "LECTURE.zh.md"}
PICTURES = "results/lecture"            # their folder, seen from the guide
WORDS = {"en": {"says": "What the lecture says", "source": "Source", "tests": "What would fail if this were wrong",
                "commands": "Command", "exercise": "Exercise", "measured": "All figures, recorded on {}", "colon": ": ",
                "comma": ", "},
         "zh": {"says": "课上说", "source": "源码", "tests": "说错了就会失败的测试", "commands": "命令",
                "exercise": "练习", "measured": "全部数字，记录于 {}", "colon": "：", "comma": "、"}}


def guide(language, facts):
    """The text of the guide. facts: of a run, for the texts."""
    text = filled(read(f"text.{language}.md"), facts)
    cards, parts, chapter = markup.cards(text), [markup.head(text)], None
    for entry in CARDS:
        card = cards[entry.key]
        if card.chapter != chapter:
            chapter = card.chapter
            links = [f"[{one.title}](#{slug(one.title)})" for one in cards.values() if one.chapter == chapter]
            parts.append(f"# {chapter}\n\n{' · '.join(links)}\n")
        parts.append(section(entry, card, language))
    return "\n".join(parts)


def section(entry, card, language):
    """An entry of the guide."""
    words, table = WORDS[language], card.only("table")
    caption = next((one.body for one in card.of("figure") if one.key == entry.picture), table.title)
    caption = markup.joined(caption)
    parts = [f"## {card.title}", f"> **{card.takeaway}**", f"![{caption}]({picture_of(entry, language)})"]
    parts += [f"*{caption}*"] * (caption != table.title)
    parts += [f"**{table.title}**", block(table.body), folded(words["says"], card.says)]
    parts += [folded(one.title, one.body) for one in card.of("ask") + card.of("predict")]
    lines = [("source", [link(place) for place in sources(entry)]), ("tests", map(link, entry.tests)),
             ("commands", [f"`{command}`" for command in entry.commands])]
    if entry.exercise:
        lines.append(("exercise", [link(f"examples/exercises/{entry.exercise}.py")]))
    parts.append("\n".join(f"- {words[name]}{words['colon']}{words['comma'].join(these)}" for name, these in lines))
    parts += [folded(words["measured"].format(one.key), one.body) for one in card.of("measured")]
    parts += [verdicts.settled(entry, language)]
    return "\n\n".join(filter(None, parts)) + "\n"


def sources(entry):
    """Where the card's lines stand, path::name, and further places."""
    places = [PLACES[code.place].replace(".", "/", PLACES[code.place].partition(":")[0].count("."))
              for code in entry.code]
    return list(dict.fromkeys([place.replace(":", ".py::") for place in places] + list(entry.source)))


def drawn(entry, language, done):
    """The text of the entry's picture, an SVG file. done: the run."""
    if entry.picture:
        return still(FIGURES[entry.picture](done), language)
    card = markup.cards(read(f"text.{language}.md"))[entry.key]
    return still(chart_of(markup.rows(card.only("table").body)), language)


def picture_of(entry, language):
    """Where the entry's picture is, seen from the guide."""
    return f"{PICTURES}/{entry.key}.{language}.svg"


def link(place):
    """[place](path from the folder examples), for path or path::name."""
    path = place.partition("::")[0]
    return f"[`{place}`]({path.removeprefix('examples/') if path.startswith('examples/') else '../' + path})"


def slug(title):
    """The name under which GitHub finds a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def folded(title, body):
    return f"<details><summary>{markup.inline(title)}</summary>\n\n{block(body)}\n\n</details>"


def block(text):
    """Paragraphs on a line each, and tables with the rule below their head that Markdown asks for."""
    pieces = []
    for piece in re.split(r"\n\s*\n", text.strip()):
        if piece.startswith("|"):
            head, *rest = piece.splitlines()
            pieces.append("\n".join([head, "|---" * (head.count("|") - 1) + "|", *rest]))
        else:
            pieces.append(markup.joined(piece))
    return "\n\n".join(pieces)
