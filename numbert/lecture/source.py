"""Lines of a function, found by what they say and not by their numbers, and painted for a page.

A target is `module:name` or `module:Class.method`, as in `numbert.ops.attention:attention`. Of an op, its forward pass
is meant, and `backward=True` its backward pass.
"""
import ast
import importlib
import inspect
import io
import keyword
import re
import textwrap
import tokenize
from html import escape
from pathlib import Path
from typing import NamedTuple

from ..autograd import op

ROOT = Path(__file__).resolve().parents[2]          # of the checkout; in an installed package, where packages are


class Excerpt(NamedTuple):
    """`lines` {number in the file: text} of a function in `path`, its `name`, and `span`, the first and last number of
    the whole function."""
    path: str
    name: str
    lines: dict
    span: tuple


def function_of(target, *, backward=False):
    """The plain function that a target names. LookupError where there is none."""
    module, _, path = target.partition(":")
    try:
        found = importlib.import_module(module)
        for name in path.split("."):
            found = inspect.getattr_static(found, name) if inspect.isclass(found) else getattr(found, name)
    except (ImportError, AttributeError):
        raise LookupError(f"{target}: there is no such function") from None
    if isinstance(found, op):
        found = found.backward if backward else found.forward
    if isinstance(found, property):
        found = found.fget
    return inspect.unwrap(getattr(found, "__func__", found))


def excerpt(target, markers=(), *, backward=False):
    """The Excerpt of a function without its docstring, or of ranges of its lines behind its signature: `markers` are
    what the first and the last line of a range contain, of each range in turn. LookupError names one that is not there.
    """
    function = function_of(target, backward=backward)
    text, start = inspect.getsourcelines(function)
    return _cut("".join(text), start, target, markers, Path(inspect.getsourcefile(function)), function.__name__)


def excerpt_of_file(path, name):
    """The Excerpt of a whole function of a file that is not imported; None where the file or function is not there."""
    if not path.is_file():
        return None
    text = path.read_text(encoding="utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            lines = text.splitlines(keepends=True)[node.lineno - 1:node.end_lineno]
            return _cut("".join(lines), node.lineno, name, (), path, name)
    return None


def _cut(text, start, target, markers, path, name):
    plain = textwrap.dedent(text)
    node = ast.parse(plain).body[0]
    body = node.body[1:] if isinstance(node, ast.FunctionDef) and ast.get_docstring(node, clean=False) else node.body
    lines = plain.splitlines()
    if not isinstance(node, ast.FunctionDef):
        head, rest = [], range(1, len(lines) + 1)
    else:
        head, rest = range(node.lineno, node.body[0].lineno), range(body[0].lineno, len(lines) + 1)
        between = range((node.body[0].end_lineno if body is not node.body else head[-1]) + 1, body[0].lineno)
        rest = [*between, *rest]                        # a comment above the first statement belongs to it
    if markers:
        rest = _ranges(list(rest), lines, target, markers)
    shown = {number: lines[number - 1] for number in [*head, *rest]}
    while shown and not list(shown.values())[-1].strip():
        shown.popitem()
    return Excerpt(_relative(path), name, {start + number - 1: line for number, line in shown.items()},
                   (start, start + len(lines) - 1))


def _ranges(numbers, lines, target, markers):
    found, after = [], 0
    for first, last in zip(markers[::2], markers[1::2], strict=True):
        ends = []
        for marker in (first, last):
            after = next((n for n in numbers if n >= after and marker in lines[n - 1]), None)
            if after is None:
                raise LookupError(f"{target}: no line contains {marker!r}"
                                  + (f" behind line {ends[0]}" if ends else ""))
            ends.append(after)
        found += [n for n in numbers if ends[0] <= n <= ends[1]]
        after += 1
    return found


def _relative(path):
    path = path.resolve()
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name


def names_in(excerpts):
    """Every name that stands in the excerpts."""
    return {word for one in excerpts for line in one.lines.values() for word in re.findall(r"[^\W\d]\w*", line)}


def number_of(line):
    """The number that a line of a forward pass shares with the line of the backward pass that inverts it: `# 2` at its
    end, before a shape or a reason. None where there is none."""
    found = re.search(r"#\s*(\d+(?:,\s*\d+)*)(?=\s|$|[:.])", line)
    return found[1].replace(" ", "") if found else None


def paint(lines, twins):
    """{number: HTML}: keywords, strings, comments, and each name marked with what it is a twin of: `dx` of x where x is
    one of the names in `twins`, so that a click marks both."""
    numbers, text = list(lines), "\n".join(lines.values()) + "\n"
    marks = {number: [] for number in numbers}
    try:
        for token in tokenize.generate_tokens(io.StringIO(_closed(text)).readline):
            for row in range(token.start[0], min(token.end[0], len(numbers)) + 1):
                begin = token.start[1] if row == token.start[0] else 0
                end = token.end[1] if row == token.end[0] else len(lines[numbers[row - 1]])
                marks[numbers[row - 1]].append((begin, end, token.type, token.string))
    except (tokenize.TokenError, IndentationError, IndexError):
        pass                                            # a range may end within a bracket: what was read is painted
    return {number: _painted(line, marks[number], twins) for number, line in lines.items()}


def _closed(text):
    return "if True:\n" + text if text[:1].isspace() else text


def _painted(line, marks, twins):
    out, at = [], 0
    for begin, end, kind, word in marks:
        if begin < at or end <= begin or kind in (tokenize.INDENT, tokenize.DEDENT, tokenize.NEWLINE, tokenize.NL):
            continue
        out.append(escape(line[at:begin]))
        piece = escape(line[begin:end])
        if kind == tokenize.COMMENT:
            out.append(f'<span class="c">{piece}</span>')
        elif kind == tokenize.STRING:
            out.append(f'<span class="s">{piece}</span>')
        elif kind == tokenize.NAME and keyword.iskeyword(word):
            out.append(f'<span class="k">{piece}</span>')
        elif kind == tokenize.NAME:
            twin = word[1:] if word[:1] == "d" and word[1:] in twins else word
            out.append(f'<span class="n" data-n="{escape(twin)}">{piece}</span>')
        else:
            out.append(piece)
        at = end
    return "".join([*out, escape(line[at:])])
