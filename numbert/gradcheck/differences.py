"""Is every derivative right? Hand-written backward passes against central differences.

The derivative of f at x is the limit of (f(x + h) - f(x - h)) / 2h. In float64, with h = 1e-5, that quotient is good to
about ten digits (the error of the formula is about h² = 1e-10, that of rounding 1e-16 / h = 1e-11), so a backward pass
agrees to six digits or it is wrong. The gradient of the output, the `upstream`, is random: with ones, for
instance, everything that should flow back through a softmax or a layer norm sums to zero, and mistakes with it.

    python -m numbert.gradcheck             ops element by element; layers and models along random directions
    python -m numbert.gradcheck NAME ...    only these: layer_norm, attention, BertForQuestionAnswering, ...
    python -m numbert.gradcheck --mutants   tests the check: backward passes with one mistake in each
"""
from __future__ import annotations

import argparse
import copy
import difflib
import inspect
import sys
import traceback
import types
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from .. import autograd
from ..autograd import REGISTRY, gradients
from ..recording import no_grad
from ..sparse import SparseRows
from ..training.command import name_of, one_line
from .cases import Case, Subject, op_cases, subjects
from .mutants import EQUIVALENT, mutants

STEP, RTOL, ATOL = 1e-5, 1e-6, 1e-9
DIRECTIONS = 3                                      # per parameter of a layer or model


class GradientResult(NamedTuple):
    """One element of a gradient by the backward pass and by central differences: the first one where they disagree, or
    if they agree everywhere, the one with the largest error."""
    subject: str                                    # the op, layer or model
    input: str                                      # its input or parameter
    shape: tuple[int, ...]
    place: str                                      # the element's indices; of layers and models, the direction
    backward: float
    difference: float

    @property
    def error(self) -> float:
        """|backward - difference| / (|difference| + ATOL / RTOL): at most RTOL = 1e-6 if all is well."""
        return abs(self.backward - self.difference) / (abs(self.difference) + ATOL / RTOL)

    @property
    def passed(self) -> bool:
        """Whether the error is at most RTOL; NaN does not pass."""
        return bool(self.error <= RTOL)

    def __str__(self):
        where = f"{self.subject}: gradient of {self.input} {self.shape}"
        if self.passed:
            return f"{where} is right: largest error {self.error:.0e}, at {self.place}"
        return (f"{where} is WRONG at {self.place}: backward says {self.backward!r}, the central difference "
                f"{self.difference!r}")


def central_differences(evaluate, x, upstream, directions):
    """The slopes of sum(upstream * evaluate()) along `directions` (n, *x.shape). evaluate reads x; x is restored."""
    before, slopes = x.copy(), []
    for direction in directions:
        x[...] = before + STEP * direction
        above = np.array(evaluate())                # a copy: the output may be a view of x
        x[...] = before - STEP * direction
        slopes.append(np.sum((above - evaluate()) * upstream) / (2 * STEP))
        x[...] = before
    return np.array(slopes)


def elements(shape):
    """The directions in which one element of an array of this shape changes."""
    size = int(np.prod(shape))
    return np.eye(size).reshape(size, *shape)


def unit_vectors(n, shape, rng):
    """n random directions of length 1."""
    x = rng.standard_normal((n, *shape))
    return x / np.sqrt((x * x).sum(tuple(range(1, x.ndim)), keepdims=True))


def compare(subject, name, gradient, shape, directions, slopes, *, every_element=False):
    """A `GradientResult`. Raises ValueError for a gradient of the wrong shape or dtype."""
    if gradient.shape != shape or gradient.dtype != np.float64:
        raise ValueError(f"{subject}: the gradient of {name} must be float64 {shape}, "
                         f"got {gradient.dtype} {gradient.shape}")
    claimed = gradient.reshape(-1)                  # the product with a direction would spread a single NaN everywhere
    if not every_element:
        claimed = directions.reshape(len(directions), -1) @ claimed
    errors = np.abs(claimed - slopes) / (np.abs(slopes) + ATOL / RTOL)
    wrong = ~(errors <= RTOL)                       # NaN is wrong
    shown = int(np.argmax(wrong if wrong.any() else errors))
    place = str([int(i) for i in np.unravel_index(shown, shape)]) if every_element else f"direction {shown}"
    return GradientResult(subject, name, shape, place, float(claimed[shown]), float(slopes[shown]))


class Measured(NamedTuple):
    """A `Case` with its upstream gradient and central differences."""
    case: Case
    upstream: np.ndarray
    slopes: list                                    # for each input the differences along its elements, or None

    def of(self, forward):
        """The same for another forward pass, whose output is the same."""
        return self._replace(case=self.case._replace(op=types.SimpleNamespace(name=self.case.op.name, forward=forward)))


def measure(case, rng):
    """Central differences of a case along every element of every input, for a random upstream."""
    inputs = [None if x is None else x.copy() for x in case.inputs]
    upstream = rng.standard_normal(np.shape(case.forward(*inputs)[0]))
    return Measured(case, upstream, [
        None if x is None else central_differences(lambda: case.forward(*inputs)[0], x, upstream, elements(x.shape))
        for x in inputs])


def judge(measured, backward):
    """A `GradientResult` for each input that is there. Raises what `backward` raises, ValueError for a wrong shape."""
    case, upstream, slopes = measured
    _, saved = case.forward(*case.inputs)
    found = backward(upstream.copy(), saved)
    if not isinstance(found, tuple | list):
        raise ValueError(f"{case.name}: backward must return a tuple of gradients, got {type(found).__name__}")
    if len(found) != len(case.inputs):
        raise ValueError(f"{case.name}: {len(case.inputs)} inputs need as many gradients, got {len(found)}")
    names, results = list(inspect.signature(case.op.forward).parameters), []
    for name, x, slope, g in zip(names[:len(found)], case.inputs, slopes, found, strict=True):
        if x is not None and x.size:
            g = g.dense() if isinstance(g, SparseRows) else np.zeros(x.shape) if g is None else g
            results.append(compare(case.name, name, g, x.shape, elements(x.shape), slope, every_element=True))
    return results


def check(op: autograd.op, inputs: Sequence[ArrayLike | None], options: dict | None = None,
          rng: Generator | None = None) -> list[GradientResult]:
    """Does the backward pass of an op agree with central differences? A `GradientResult` for each input that is there.

        for result in check(layer_norm, [x, gain, bias], {"eps": 1e-12}):
            print(result)

    inputs   float64 arrays, or None, as the op takes them by position; small ones, since each element costs two forward
             passes. At a point where the derivative jumps (relu at 0) there is nothing to agree with
    options  what the op takes by name; copied for each pass, so a generator among them draws the same each time
    rng      draws the random gradient of the output (default: np.random.default_rng(0))

    `result.passed` says whether all elements agree to six digits; a result that did not pass names the first element
    that is wrong, and both numbers. Raises TypeError for what is not an op and for inputs that are not float64, and
    ValueError for a forward or backward pass that breaks the contract of `numbert.op`: no backward pass, another number
    of gradients, a wrong shape or dtype, an array changed that is not its own, memory returned twice. An error of the
    passes themselves is raised as it is.
    """
    if not isinstance(op, autograd.op):
        raise TypeError(f"check takes a function decorated with @op, got {type(op).__name__}")
    if op.backward is None:
        raise ValueError(f"{op.name} has no backward pass: decorate one with @{op.name}.vjp")
    if not isinstance(inputs, list | tuple):
        raise TypeError(f"{op.name}: inputs must be a list of arrays, got {type(inputs).__name__}")
    arrays = [None if x is None else np.array(x) for x in inputs]
    for i, x in enumerate(arrays):
        if x is not None and x.dtype != np.float64:
            raise TypeError(f"{op.name}: input {i} must be float64, in which differences are exact enough, got "
                            f"{x.dtype}; what has no gradient is an option")
    case = Case(op, "", tuple(arrays), {} if options is None else options)
    op(*arrays, **copy.deepcopy(case.options))                      # raises unless it returns (output, saved)
    measured = measure(case, np.random.default_rng(0) if rng is None else rng)
    results = judge(measured, op.backward)
    _check_memory(measured, op.backward)
    return results


def _check_memory(measured, backward):
    """Raises ValueError if a backward pass changes what is not its own, or returns memory that another array uses."""
    case, upstream, _ = measured
    inputs = [None if x is None else x.copy() for x in case.inputs]
    output, saved = case.forward(*inputs)
    dy = upstream.copy()
    found = backward(dy, saved)
    if not np.array_equal(dy, upstream):
        raise ValueError(f"{case.name}: the backward pass changed dy, which other gradients may need; work on a copy")
    for i, (x, before) in enumerate(zip(inputs, case.inputs, strict=True)):
        if x is not None and not np.array_equal(x, before, equal_nan=True):
            raise ValueError(f"{case.name}: input {i} was changed; work on a copy")
    mine = [g for g in found if isinstance(g, np.ndarray)] if isinstance(found, tuple | list) else []
    for i, g in enumerate(mine):
        if any(x is not None and np.shares_memory(g, x) for x in (*inputs, output)):
            raise ValueError(f"{case.name}: gradient {i} is an input or the output itself; return a copy")
        if any(np.shares_memory(g, other) for other in mine[:i]):
            raise ValueError(f"{case.name}: gradient {i} is memory that another gradient uses; return a copy")


def check_module(subject: Subject, rng: Generator | None = None) -> list[GradientResult]:
    """Do the gradients of a layer or model agree with central differences, along random directions?

        x = Parameter(rng.standard_normal((5, 4)))                  # (N, D)
        check_module(Subject("mine", module, lambda m: m(x), {"x": x}))

    Gives a `GradientResult` for each parameter and input of a `Subject`, whose parameters must be float64 and are moved
    at random while it is checked. What is computed must be the same each time: dropout takes a new generator of one
    seed. rng: draws the directions (default: np.random.default_rng(0)). Raises ValueError for parameters of another
    dtype.
    """
    rng = np.random.default_rng(0) if rng is None else rng
    tensors = subject.module.named_parameters() | subject.inputs
    for name, tensor in tensors.items():
        if tensor.dtype != np.float64:
            raise ValueError(f"{subject.name}: {name} must be float64, in which differences are exact enough, got "
                             f"{tensor.dtype}: make the module with dtype=np.float64")
    before = [(p, p.data) for p in subject.module.parameters()]
    try:
        for p, data in before:                      # biases of 0 and gains of 1 would hide what multiplies them
            p.data = data + 0.2 * rng.standard_normal(p.shape)
        return _along_directions(subject, tensors, rng)
    finally:
        for p, data in before:
            p.data = data


def _along_directions(subject, tensors, rng):
    output = subject.compute(subject.module)
    upstream, = unit_vectors(1, output.shape, rng)
    found, results = gradients(output, tensors.values(), upstream), []
    for (name, tensor), gradient in zip(tensors.items(), found, strict=True):
        directions = unit_vectors(DIRECTIONS, tensor.shape, rng)
        with no_grad():
            slopes = central_differences(lambda: subject.compute(subject.module).data, tensor.data, upstream,
                                         directions)
        results.append(compare(subject.name, name, gradient, tensor.shape, directions, slopes))
    return results


def fate(backward, measured):
    """The result of a wrong backward pass over all cases of its op: "error", "wrong" number, or None, not found."""
    try:
        with np.errstate(all="ignore"):
            return None if all(result.passed for m in measured for result in judge(m, backward)) else "wrong"
    except Exception:                               # a mistake that raises an error is found, too
        return "error"


def check_mutants(op, rng):
    """[(description, fate)] of each mutant of the backward pass of `op`."""
    measured = [measure(case, rng) for case in op_cases() if case.op is op]
    return [(one.what, fate(one.backward, [m.of(one.forward) for m in measured]))
            for one in mutants(op, [m.case.inputs for m in measured])]


def names():
    """What there is to check: names of ops, and of layers and models."""
    return sorted(REGISTRY), sorted({type(subject.module).__name__ for subject in subjects()})


def report(chosen=()):
    """Print a table of all checks, or of those whose names are `chosen`; whether all passed.

    Of a layer or model, the worst parameter is shown. A check that raises an error is one line, too.
    """
    rng, good, cases = np.random.default_rng(0), True, op_cases()
    some = [name for name in REGISTRY if not chosen or name in chosen]
    if some:
        print(f"{'op':50}{'input':42}{'shape':12}{'error':>8}")
    for name in some:
        good &= _attempt(name, lambda name=name: _check_op(REGISTRY[name], cases, rng))
    modules = [subject for subject in subjects() if not chosen or type(subject.module).__name__ in chosen]
    if modules:
        print(f"\n{'layer or model':50}{'worst parameter':42}{'shape':12}{'error':>8}")
    for subject in modules:
        good &= _attempt(subject.name, lambda subject=subject: _check_subject(subject, rng))
    print("\nevery derivative agrees" if good else "\nNOT EVERY DERIVATIVE AGREES")
    return good


def _check_op(op, cases, rng):
    mine = [case for case in cases if case.op is op]
    if op.backward is None:
        raise NotImplementedError("its backward pass is not written yet")
    if not mine:
        raise NotImplementedError("it has no case in gradcheck/cases.py, so nothing was checked")
    return all([_print(judge(measure(case, rng), op.backward)) for case in mine])


def _check_subject(subject, rng):
    results = check_module(subject, rng)
    return _print([r for r in results if not r.passed] or [max(results, key=lambda result: result.error)])


def _attempt(name, check):
    """The result of check(); if it raises an error, print one line with the reason, and give False."""
    try:
        return check()
    except NotImplementedError as error:
        print(f"{name:50}{str(error) or 'not written yet'}  FAILED")
    except Exception as error:                      # any error of a backward pass is one line
        where = traceback.extract_tb(error.__traceback__)[-1]
        said = (str(error).splitlines() or [""])[0]
        print(f"{name:50}{type(error).__name__}: {said} ({Path(where.filename).name}:{where.lineno})  FAILED")
    return False


def _print(results):
    for r in results:
        print(f"{r.subject:50}{r.input:42}{r.shape!s:12}{r.error:8.0e}  {'ok' if r.passed else 'FAILED'}")
        if not r.passed:
            print(f"    {r}")
    return all(r.passed for r in results)


def report_mutants(chosen=()):
    """Print how many mutants of each op (or of those `chosen`) were made and found; whether all were, except those
    that compute the same gradient."""
    print(f"{'op':24}{'mutants':>8}{'wrong number':>14}{'error':>8}{'not found':>11}")
    count, good = 0, True
    for name, op in sorted(REGISTRY.items()):
        if chosen and name not in chosen:
            continue
        fates = check_mutants(op, np.random.default_rng(0))
        count += len(fates)
        ends = [end for _, end in fates]
        print(f"{name:24}{len(fates):8}{ends.count('wrong'):14}{ends.count('error'):8}{ends.count(None):11}")
        for what in (what for what, end in fates if end is None):
            reason = EQUIVALENT.get((name, what))
            good = good and reason is not None
            print(f"    {what}\n        " + (f"changes nothing: {reason}" if reason else "NOT FOUND"))
    print(f"\n{count} mutants, {'every one that changes a gradient was found' if good else 'NOT ALL FOUND'}")
    return good


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m numbert.gradcheck", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="ops, layers or models (default: all that there are)")
    parser.add_argument("--mutants", action="store_true", help="check the check, with mistakes made on purpose in ops")
    options = parser.parse_args(arguments)
    with one_line(name_of(parser)):
        ops, modules = names()
        known = ops if options.mutants else ops + modules
        if unknown := [name for name in options.names if name not in known]:
            near = difflib.get_close_matches(unknown[0], known, 1)
            raise ValueError(f"there is no {unknown[0]!r}{f'; is it {near[0]}?' if near else '.'} The ops are "
                             f"{', '.join(ops)}" + ("" if options.mutants else f"; layers and models "
                                                    f"{', '.join(modules)}"))
        return 0 if (report_mutants if options.mutants else report)(options.names) else 1


if __name__ == "__main__":
    sys.exit(main())
