"""Backward passes with one mistake in each, made from the right one. The gradient check must find them all.

The mistakes are those that people make: a term is forgotten or has the wrong sign, a factor is lost, a line is missing,
a transpose is missing, an index or an axis is one too high, a branch is not taken. They are made in the syntax tree of
the function, and in those of the functions of its own file that it calls. Further mistakes are made in what it returns.
"""
import ast
import inspect
import itertools
import textwrap
from functools import partial
from typing import NamedTuple

import numpy as np

from ..sparse import SparseRows

# Mutants that compute the same gradient as the right function: (op, mistake) -> why.
EQUIVALENT = {
    ("add", "gradients 0 and 1: exchanged"):
        "both terms of a sum have the same gradient",
    ("linear", "dy.sum(0) if biased else None -> dy.sum(0)"):
        "also a shortcut: nobody asks for the gradient of a bias that is not there",
}


class Mutant(NamedTuple):
    """`what` the mistake is; `forward` and `backward`, one of which is wrong; the `line` of its file, and the statement
    `before` and `after`, in their first lines. None for a mistake in what it returns."""
    what: str
    forward: object
    backward: object
    line: int | None = None
    before: str | None = None
    after: str | None = None


def mutants(op, inputs):
    """A Mutant for every mistake in the backward pass of `op`; `inputs` are those of all its cases."""
    yield from _in_the_source(op)
    for what, backward in _in_what_it_returns(op.backward, inputs):
        yield Mutant(what, op.forward, backward)


def _in_the_source(op):
    """Mutants of the source, also of functions named ..._backward, with which a forward pass computes a gradient."""
    for what, backward, *where in _changed(op.backward, lambda function: True):
        yield Mutant(what, op.forward, backward, *where)
    for what, forward, *where in _changed(op.forward, lambda function: function.__name__.endswith("_backward")):
        yield Mutant(what, forward, op.backward, *where)


def _changed(function, wanted):
    """(description, function, line, before, after) for every mistake in it and in those that it calls, as far as they
    are `wanted`."""
    called = {node.id for node in ast.walk(_parse(function)) if isinstance(node, ast.Name)}
    helpers = [f for f in map(function.__globals__.get, sorted(called))
               if inspect.isfunction(f) and f.__module__ == function.__module__]
    trees = {f: _parse(f) for f in (function, *helpers)}
    statement = {id(node): one for tree in trees.values() for one in ast.walk(tree) if isinstance(one, ast.stmt)
                 for node in ast.walk(one)}         # the innermost: it comes last
    for f, (node, put) in [(f, place) for f, tree in trees.items() if wanted(f) for place in _places(tree)]:
        for new in _mistakes(node):
            around, before = statement[id(node)], _first_line(statement[id(node)])
            put(new)
            yield (f"{_first_line(node)} -> {_first_line(new)}", _build(trees.values(), function),
                   f.__code__.co_firstlineno - 1 + node.lineno, before, _first_line(new if around is node else around))
            put(node)


def _parse(function):
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    tree.body[0].decorator_list.clear()
    for node, put in list(_places(tree)):
        match node:
            case ast.UnaryOp(ast.USub(), ast.Constant(value)):
                put(ast.copy_location(ast.Constant(-value), node))    # -1 is one number, not a sign and a number
            case ast.Attribute(_, "empty_like"):
                node.attr = "zeros_like"            # memory left uninitialised could hold the right answer
    return tree


def _places(tree):
    """(node, function that puts another in its place) for every node below `tree`."""
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if isinstance(value, list):
                yield from ((child, partial(value.__setitem__, i)) for i, child in enumerate(value)
                            if isinstance(child, ast.AST))
            elif isinstance(value, ast.AST):
                yield value, partial(setattr, parent, field)


def _mistakes(node):
    """What could stand in the place of `node` by mistake."""
    match node:
        case ast.BinOp(a, ast.Add(), b):
            yield from (a, b, ast.BinOp(a, ast.Sub(), b))
        case ast.BinOp(a, ast.Sub(), b):
            yield from (a, b, ast.BinOp(a, ast.Add(), b))
        case ast.BinOp(a, ast.Mult() | ast.MatMult(), b):
            yield from (a, b)
        case ast.BinOp(a, ast.Div(), b):
            yield from (a, ast.BinOp(a, ast.Mult(), b))
        case ast.AugAssign(x, ast.Add(), y):
            yield from (ast.Pass(), ast.AugAssign(x, ast.Sub(), y))
        case ast.AugAssign(x, ast.Sub(), y):
            yield from (ast.Pass(), ast.AugAssign(x, ast.Add(), y))
        case ast.AugAssign() | ast.Expr(ast.Call()) | ast.Assign([ast.Subscript()]):
            yield ast.Pass()
        case ast.Attribute(x, "T") | ast.Call(ast.Attribute(x, "swapaxes" | "transpose")):
            yield x
        case ast.Constant(int() | float() as value) if not isinstance(value, bool):
            yield ast.Constant(value + 1)
        case ast.IfExp(_, a, b):
            yield from (a, b)
        case ast.If(_, a, b):
            yield from (ast.If(ast.Constant(True), a, b), ast.If(ast.Constant(False), a, b))


def _first_line(node):
    return ast.unparse(node).splitlines()[0]


def _build(trees, function):
    namespace = dict(function.__globals__)
    for tree in trees:
        exec(compile(ast.fix_missing_locations(tree), f"<mutant of {function.__name__}>", "exec"), namespace)
    return namespace[function.__name__]


def _in_what_it_returns(backward, inputs):
    def changed(i, change, dy, saved):
        found = [g.dense() if isinstance(g, SparseRows) else g for g in backward(dy, saved)]
        found[i] = None if found[i] is None else change(found[i])
        return found

    def exchanged(i, j, dy, saved):
        found = list(backward(dy, saved))
        found[i], found[j] = found[j], found[i]
        return found

    changes = {"zeros": np.zeros_like, "1.001 times too large": lambda g: 1.001 * g, "the wrong sign": np.negative}
    arguments = list(zip(*inputs, strict=True))     # of each input, what it is in every case
    for i, arrays in enumerate(arguments):
        for what, change in changes.items():
            yield f"gradient {i}: {what}", partial(changed, i, change)
        if any(x is not None and x.ndim == 2 for x in arrays):
            yield f"gradient {i}: transposed where square", partial(
                changed, i, lambda g: g.T if g.ndim == 2 and len(g) == g.shape[1] else g)
    for i, j in itertools.combinations(range(len(arguments)), 2):
        yield f"gradients {i} and {j}: exchanged", partial(exchanged, i, j)
