"""The few marks that the texts use, as HTML: **strong**, `code`, $formula$, paragraphs, lists and tables.

A text file is chapters (`# Title`) of cards (`## key: Title`) of sections (`### kind key: Title`); what stands
above the first section of a card is what the lecture says, and `> ...` in it the takeaway. Its first chapter has no
cards: it is the head of the guide.
"""
import re
from dataclasses import dataclass, field
from html import escape

from .formula import mathml


@dataclass
class Section:
    """`### kind key: title`, with or without a key, and what stands below."""
    kind: str
    key: str
    title: str
    body: str = ""


@dataclass
class Card:
    """One paragraph of the lecture in one language."""
    key: str
    title: str
    chapter: str
    says: str = ""
    takeaway: str = ""
    sections: list = field(default_factory=list)

    def of(self, kind):
        return [section for section in self.sections if section.kind == kind]

    def only(self, kind):
        """The one section of this kind."""
        section, = self.of(kind)
        return section


def cards(text):
    """{key: Card} of a text file, in its order. ValueError for a key that comes twice."""
    found, chapter, card = {}, "", None
    for line in text.splitlines():
        mark, _, rest = line.partition(" ")
        head, _, title = (part.strip() for part in rest.partition(": "))
        if mark == "#":
            chapter, card = rest.strip(), None
        elif mark == "##":
            if head in found:
                raise ValueError(f"the card {head!r} comes twice")
            card = found[head] = Card(head, title, chapter)
        elif mark == "###":
            kind, _, key = head.partition(" ")
            card.sections.append(Section(kind, key, title))
        elif card is None:
            continue
        elif card.sections:
            card.sections[-1].body += line + "\n"
        elif mark == ">":
            card.takeaway = (card.takeaway + " " + rest).strip()
        else:
            card.says += line + "\n"
    return found


def head(text):
    """The first chapter of a text file, which has no cards."""
    return text[:text.index("\n# ") + 1]


def rows(text):
    """The cells of a table: a list for each of its lines, the first the head."""
    return [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in text.strip().splitlines()]


def inline(text):
    """One line of text."""
    parts = re.split(r"(`[^`]+`|\$[^$]+\$)", text)
    out = []
    for part in parts:
        if part[:1] == "`" and len(part) > 1:
            out.append(f"<code>{escape(part[1:-1])}</code>")
        elif part[:1] == "$" and len(part) > 1:
            out.append(mathml(part[1:-1]))
        else:
            out.append(re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", escape(part, quote=False)))
    return "".join(out)


def block(text):
    """Paragraphs, lists (`- `), tables (`| a | b |`, the first row its head) and formulas on a line of their own."""
    out = []
    for piece in re.split(r"\n\s*\n", text.strip()):
        lines = piece.splitlines()
        if not piece.strip():
            continue
        if all(line.startswith("|") for line in lines):
            out.append('<div class="wide"><table>' + "".join(
                "<tr>" + "".join(f"<{tag}>{inline(cell)}</{tag}>" for cell in row) + "</tr>"
                for tag, row in zip(["th"] + ["td"] * len(lines), rows(piece), strict=False)) + "</table></div>")
        elif lines[0].startswith("- "):
            items = re.split(r"^- ", piece, flags=re.M)[1:]
            out.append("<ul>" + "".join(f"<li>{inline(joined(item))}</li>" for item in items) + "</ul>")
        elif all(re.fullmatch(r"\$[^$]+\$", line.strip()) for line in lines):
            out.append('<div class="eq">' + "".join(f"<div>{inline(line.strip())}</div>" for line in lines) + "</div>")
        else:
            out.append(f"<p>{inline(joined(piece))}</p>")
    return "".join(out)


def joined(text):
    """Lines that were broken for the eye: with a space between them, but not between Chinese characters."""
    return re.sub(r"(?<=[\u3000-\u9fff\uff00-\uffef])\n\s*(?=[\u3000-\u9fff\uff00-\uffef])", "",
                  text.strip()).replace("\n", " ")
