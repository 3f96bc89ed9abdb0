"""What a bug is here: a few characters of one function (rarely of two), and what they should be.

An exhibit keeps no copy of the function. Its twin is made from the source of the working one, in which `old` becomes
`new`, so that what is shown as the difference is what runs, and nothing else differs. The twin's code is put into the
function object itself, so that whoever imported it, under whatever name, meets the bug.
"""
import ast
import contextlib
import difflib
import inspect
import shutil
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numbert


class Edit(NamedTuple):
    """In the source of `function`, the text `old`, which stands there once, becomes `new`."""
    function: Callable
    old: str
    new: str


@dataclass(frozen=True)
class Bug:
    """One exhibit.

    symptom   what a reader of the training curve, or of the code, may notice
    story     where such a bug was met, and why it is easily made
    edits     the smallest change that makes it
    caught_by the name of the check that must fail (`checks.py`)
    course    which training shows it: "bert", "roberta" or "gpt" (`course.py`)
    """
    name: str
    symptom: str
    story: str
    edits: tuple
    caught_by: str
    course: str = "bert"

    def sources(self):
        """[(function, its source, the source with the bug)], in the order in which they are first edited.

        Raises ValueError if the source does not read as expected: it is another version, or the bug is there already.
        """
        changed = {}
        for function, old, new in self.edits:
            source = changed.setdefault(function, _source(function))
            if source.count(old) != 1:
                raise ValueError(f"{self.name}: {function.__qualname__} in {inspect.getsourcefile(function)} holds "
                                 f"{old!r} {source.count(old)} times, it should once: has it been changed?")
            changed[function] = source.replace(old, new)
        return [(function, _source(function), text) for function, text in changed.items()]

    @contextlib.contextmanager
    def patch(self):
        """Within this block numbert has the bug."""
        twins = [(function, _code(function, text)) for function, _, text in self.sources()]
        before = [function.__code__ for function, _ in twins]
        try:
            for function, code in twins:
                function.__code__ = code
            yield
        finally:
            for (function, _), code in zip(twins, before, strict=True):
                function.__code__ = code

    def files(self):
        """The files that the bug is in, as paths below the package."""
        return list(dict.fromkeys(_file(function) for function, _, _ in self.sources()))

    def diff(self):
        """The difference between the working functions and their twins, as text."""
        lines = []
        for function, source, text in self.sources():
            where = f"numbert/{_file(function)}"
            lines += difflib.unified_diff(source.splitlines(), text.splitlines(), where, f"{where}, with the bug",
                                          n=2, lineterm="")
        return "\n".join(lines)

    def write_package(self, folder):
        """A copy of the package with the bug in it, as `folder`/numbert: to be read, and to be repaired."""
        target = Path(folder) / "numbert"
        if target.exists():
            raise ValueError(f"{target} is there already; remove it to start afresh")
        edited = sorted(self.sources(), key=lambda one: inspect.getsourcelines(one[0])[1], reverse=True)
        shutil.copytree(_package(), target, ignore=shutil.ignore_patterns("__pycache__"))
        for function, _, text in edited:                # of a file the last function first: line numbers stay right
            path = target / _file(function)
            found, first = inspect.getsourcelines(function)
            indent = found[0][:len(found[0]) - len(found[0].lstrip())]
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            lines[first - 1:first - 1 + len(found)] = textwrap.indent(text, indent).splitlines(keepends=True)
            path.write_text("".join(lines), encoding="utf-8")


def _source(function):
    return textwrap.dedent(inspect.getsource(function))


def _code(function, source):
    """The code of `function` compiled from another source. The function keeps its globals, defaults and closure."""
    tree = ast.parse(source)
    tree.body[0].decorator_list.clear()
    # super() needs a variable from outside, __class__: the twin is compiled inside a function that has it
    around = ast.parse(f"def around({', '.join(function.__code__.co_freevars)}):\n    return {function.__name__}")
    around.body[0].body.insert(0, tree.body[0])
    namespace = dict(function.__globals__)
    exec(compile(ast.fix_missing_locations(around), f"<{function.__qualname__} with a bug>", "exec"), namespace)
    return namespace["around"](*function.__code__.co_freevars).__code__


def _package():
    return Path(numbert.__file__).parent


def _file(function):
    return Path(inspect.getsourcefile(function)).relative_to(_package()).as_posix()
