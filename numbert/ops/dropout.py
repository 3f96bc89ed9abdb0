"""Dropout (Srivastava et al. 2014), scaled in training: kept elements are multiplied by 1 / (1 - rate)."""
import math

import numpy as np
from numpy.random import Generator

from ..autograd import Array, op


def check_rate(op: str, rate: float) -> None:
    """Raise ValueError unless rate is in [0, 1): with 1, nothing would be left to scale up."""
    if not 0 <= rate < 1:
        raise ValueError(f"{op}: rate must be in [0, 1), got {rate}")


def keep_mask(shape: tuple[int, ...], rate: float, rng: Generator) -> Array:
    """Booleans that are False with probability `rate`, to within 2⁻¹⁷ (with 8 bits 0.1 would become 0.1016)."""
    n = math.prod(shape)
    words = rng.integers(2**64, size=-(-n // 4), dtype=np.uint64)           # four 16-bit draws in each
    return (words.view(np.uint16)[:n] >= round(rate * 65536)).reshape(shape)


@op
def dropout(x: Array, *, rate: float, rng: Generator | None):
    """Zero each element of x with probability `rate`, and multiply the others by 1 / (1 - rate).

    x is of any shape. Without a generator `rng` nothing is dropped: inference.
    Raises ValueError for a rate outside [0, 1).
    """
    check_rate("dropout", rate)
    if rng is None or rate == 0:
        return x, ()
    keep, scale = keep_mask(x.shape, rate, rng), 1 / (1 - rate)
    y = x * keep                                                # 1
    y *= scale                                                  # 2
    return y, (keep, scale)


@dropout.vjp
def dropout_backward(dy, saved):
    if not saved:
        return (dy,)
    keep, scale = saved
    dx = dy * keep                                              # 1
    dx *= scale                                                 # 2
    return (dx,)
