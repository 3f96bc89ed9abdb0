"""How a function that was written is judged: it is called, compared, and the verdict is one line.

The line names the first element that is wrong, what was expected and what was got.
"""
import inspect
import itertools
import traceback
from pathlib import Path

import numpy as np

CHECKS = {}                                             # by the name of the function that is to be written
FILES = {}                                              # the name of the file that it stands in, without .py


class Wrong(Exception):
    """The verdict on a function."""


def check(file):
    """Decorator: check_NAME becomes the check of the function NAME in `file`.py."""
    def register(function):
        name = function.__name__.removeprefix("check_")
        CHECKS[name], FILES[name] = function, file
        return function
    return register


def verdict(name, function):
    """None if the function is right, else one line."""
    try:
        with np.errstate(all="ignore"):
            CHECKS[name](function)
    except Wrong as wrong:
        return f"{name}: {wrong}"
    except NotImplementedError:
        return f"{name} is not written yet: {FILES[name]}.py"
    except Exception as error:                          # the last line of the student's own
        lines = traceback.extract_tb(error.__traceback__)
        source = inspect.getsourcefile(function)
        own = [line for line in lines if line.filename == source] or lines
        said = (str(error).splitlines() or [""])[0]
        return f"{name}: {type(error).__name__}: {said} ({Path(own[-1].filename).name}, line {own[-1].lineno})"


# ---- comparing -------------------------------------------------------------------------------------------------------


def call(function, *arguments, **options):
    """What the function returns. Wrong if that is nothing, or if it changes an array that it is given."""
    given = [x.copy() if isinstance(x, np.ndarray) else x for x in arguments]
    found = function(*given, **options)
    for name, x, before in zip(inspect.signature(function).parameters, given, arguments, strict=False):
        if isinstance(x, np.ndarray):
            equal(f"it changes what it is given: {name}", x, before)
    if found is None:
        raise Wrong("it returns nothing")
    return found


def several(found, *names):
    """The parts of a tuple that was returned."""
    if not isinstance(found, tuple | list) or len(found) != len(names):
        got = f"{len(found)} of them" if isinstance(found, tuple | list) else type(found).__name__
        raise Wrong(f"it must return ({', '.join(names)}), got {got}")
    return found


def equal(what, got, expected, rtol=1e-9, atol=1e-12):
    """Wrong, with the first element, if two arrays (or numbers) differ."""
    if got is None:
        raise Wrong(f"{what}: expected an array, got None")
    got, expected = np.asarray(got), np.asarray(expected)
    if got.shape != expected.shape:
        raise Wrong(f"{what}: expected the shape {expected.shape}, got {got.shape}")
    wrong = ~np.isclose(got, expected, rtol=rtol, atol=atol)
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise Wrong(f"{what}{list(place) if place else ''}: expected {float(expected[place]):.10g}, "
                    f"got {float(got[place]):.10g}")


def same(what, got, expected):
    """Wrong, with the first element, if two lists (or anything else) differ."""
    if isinstance(expected, list) and isinstance(got, list | tuple):
        for i, (one, other) in enumerate(itertools.zip_longest(got, expected, fillvalue="nothing")):
            same(f"{what}, [{i}]", one, other)
    elif got != expected:
        raise Wrong(f"{what}: expected {expected!r}, got {got!r}")


def gradient(what, got, loss, x):
    """Wrong if `got` is not the gradient of loss() with respect to x, an array that loss reads."""
    step, slopes = 1e-5, np.empty_like(x)
    for place in np.ndindex(x.shape):
        before, sides = x[place], []
        for moved in (before + step, before - step):
            x[place] = moved
            sides.append(loss())
        x[place], slopes[place] = before, (sides[0] - sides[1]) / (2 * step)
    equal(what, got, slopes, rtol=1e-6, atol=1e-8)
