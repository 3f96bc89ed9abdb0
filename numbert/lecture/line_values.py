"""Which line gave which value: functions are watched while they run, and every array that a line made is copied.

    with LineValues([function, ...]) as seen:
        model(**batch)
    seen.calls[3].values[line_number]["probs"]
"""
import sys
from dataclasses import dataclass, field

import numpy as np

from ..autograd import Tensor
from ..module import Module
from ..recording import watching
from ..sparse import SparseRows


@dataclass(eq=False)
class RecordedCall:
    """One call of a watched function: its `name`, the path of the `module` at work, `arguments` as they came, and
    `values` {line: {name: value}}, what each line made or changed. A line that ran more than once has its first values.
    `given` are the parts of what it returned in `last_line`, copied. Of an op, `node` is that of the graph."""
    name: str
    file: str
    first_line: int
    module: str
    arguments: dict
    values: dict = field(default_factory=dict)
    given: list = field(default_factory=list)
    last_line: int = 0
    node: object = None

    def is_of(self, function):
        """Whether it is a call of a plain function."""
        code = function.__code__
        return (self.file, self.first_line) == (code.co_filename, code.co_firstlineno)


class LineValues:
    """Watches `functions`, and those within them, in a `with` block. `model`: so that calls know their module."""

    def __init__(self, functions, model=None):
        self.calls = []
        self._spans = [(f.__code__.co_filename, f.__code__.co_firstlineno, _last_line(f.__code__)) for f in functions]
        self._files = {file for file, _, _ in self._spans}
        self._modules = {id(module): path for path, module in _modules(model)} if model else {}

    def __enter__(self):
        self._watching = watching(lambda op, inputs, options, output, node: self._mark(op.forward, node),
                                  lambda node, dy, found: self._mark(node.op.backward, node))
        self._watching.__enter__()
        self._before = sys.gettrace()
        sys.settrace(self._enter)
        return self

    def __exit__(self, *error):
        sys.settrace(self._before)
        self._watching.__exit__(*error)

    def _mark(self, function, node):
        """The last call of `function` belongs to `node`."""
        for call in reversed(self.calls):
            if call.is_of(function):
                call.node = node
                return

    def find(self, function, module=None, number=0):
        """The call of a plain function by a module whose path ends with `module`. LookupError if there is none."""
        found = [call for call in self.calls
                 if call.is_of(function) and (module is None or call.module.endswith(module))]
        if len(found) <= number:
            raise LookupError(f"{function.__name__} was not called" + (f" by {module}" if module else "")
                              + f" {number + 1} times; it was by "
                              f"{sorted({call.module for call in self.calls if call.name == function.__name__})}")
        return found[number]

    def backward_of(self, call, backward):
        """The call of the backward pass that undid `call`, of a forward pass. None if there is none."""
        return next((other for other in self.calls
                     if other.is_of(backward) and call.node is not None and other.node is call.node), None)

    def inside(self, call):
        """The calls of named functions that were defined in `call`'s lines, in their order."""
        file, first, last = next(s for s in self._spans if s[:2] == (call.file, call.first_line))
        return [other for other in self.calls if other.file == file and first < other.first_line <= last
                and not other.name.startswith("<")]

    def _enter(self, frame, event, argument):
        code = frame.f_code
        if code.co_filename not in self._files or not any(
                file == code.co_filename and first <= code.co_firstlineno <= last for file, first, last in self._spans):
            return None
        call = RecordedCall(code.co_name, code.co_filename, code.co_firstlineno, self._module(frame),
                            dict(frame.f_locals))
        self.calls.append(call)
        known = {name: _copy(value) for name, value in frame.f_locals.items()}
        line = frame.f_lineno

        def follow(frame, event, argument):
            nonlocal line
            made = call.values.setdefault(line, {})
            for name, value in frame.f_locals.items():
                copied = _copy(value)
                if name not in known or not _same(copied, known[name]):
                    known[name] = copied
                    if copied is not None:
                        made.setdefault(name, copied)
            if event == "return":
                call.last_line = frame.f_lineno
                whole = _copy(argument)
                call.given = [_copy(part) for part in argument] if isinstance(argument,
                                                                              tuple) and whole is None else [whole]
            line = frame.f_lineno
            return follow
        return follow

    def _module(self, frame):
        while frame:
            path = self._modules.get(id(frame.f_locals.get("self")))
            if path is not None:
                return path
            frame = frame.f_back
        return ""


def _last_line(code):
    inner = [_last_line(constant) for constant in code.co_consts if hasattr(constant, "co_code")]
    return max([line for *_, line in code.co_lines() if line] + inner)


def _modules(model, prefix=""):
    yield prefix.rstrip("."), model
    for name, value in vars(model).items():
        for path, item in ([(f"{name}.{i}", v) for i, v in enumerate(value)] if isinstance(value, list)
                           else [(name, value)]):
            if isinstance(item, Module):
                yield from _modules(item, f"{prefix}{path}.")


def _copy(value):
    """A value that can be shown, as it is now: an array, a number, a word, or a list of these; None for all others."""
    if isinstance(value, Tensor):
        value = value.data
    if isinstance(value, SparseRows):
        value = value.dense()
    if isinstance(value, np.ndarray):
        return value.copy() if value.dtype.kind in "fiub" else None
    if isinstance(value, bool | np.bool_ | int | float | np.integer | np.floating):
        return np.asarray(value)
    if isinstance(value, str):
        return value
    if isinstance(value, tuple | list) and value:
        pairs = all(isinstance(item, tuple) and len(item) == len(value[0]) for item in value)
        numbers = [x for item in value for x in item] if pairs else value
        if numbers and all(isinstance(x, int | float | np.integer) for x in numbers):
            return np.asarray(value)
        if all(isinstance(item, str) for item in value):
            return list(value)
    return None


def _same(a, b):
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    return type(a) is type(b) and not isinstance(a, np.ndarray) and a == b
