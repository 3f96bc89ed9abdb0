"""Checks that the arrays given to an op have the axes that its docstring says."""
from __future__ import annotations

import numpy as np

from ..autograd import Array


def check_array(name: str, x: Array) -> None:
    """Raises TypeError unless x is an array: a list has neither a shape nor a dtype."""
    if not isinstance(x, np.ndarray):
        raise TypeError(f"{name} must be an array, got {type(x).__name__}")


def check_shapes(op: str, **arrays: tuple[Array, str]) -> None:
    """Raise ValueError unless every array has the axes that its letters name, and each letter has one size.

    check_shapes("linear", x=(x, "N D"), weight=(weight, "F D")): x has two axes, and the second axis of each is D.
    "N ..." is one axis, followed by any others. Without the check NumPy might broadcast an array, and its gradient
    would have another shape.
    """
    sizes = {}
    for name, (array, axes) in arrays.items():
        shape, letters = np.shape(array), axes.removesuffix(" ...").split()
        given = shape[:len(letters)] if axes.endswith("...") else shape
        if len(given) != len(letters) or any(sizes.get(a, n) != n for a, n in zip(letters, given, strict=True)):
            end = "," if len(letters) == 1 and not axes.endswith("...") else ""
            wanted = ", ".join(str(sizes.get(letter, letter)) for letter in letters)
            raise ValueError(f"{op}: {name} must be ({', '.join(axes.split())}{end}) = ({wanted}{end}), got {shape}")
        sizes |= dict(zip(letters, given, strict=True))
