"""Dropout (Srivastava et al. 2014), in the form that leaves inference alone: what is kept grows by 1 / (1 - rate)."""
import math

import numpy as np

from ..autograd import op


def keep_mask(shape, rate, rng):
    """Booleans that are False with probability `rate`, to within 2⁻¹⁷ (8 bits would make 0.1016 of 0.1)."""
    n = math.prod(shape)
    words = rng.integers(2**64, size=-(-n // 4), dtype=np.uint64)           # four 16-bit draws in each
    return (words.view(np.uint16)[:n] >= round(rate * 65536)).reshape(shape)


@op
def dropout(x, *, rate, rng):
    """Zero each element of x with probability `rate`. Without a generator `rng` nothing is dropped: inference."""
    if rng is None or rate == 0:
        return x, None
    keep, scale = keep_mask(x.shape, rate, rng), 1 / (1 - rate)
    y = x * keep
    y *= scale
    return y, (keep, scale)


@dropout.vjp
def dropout_backward(dy, saved):
    if saved is None:
        return (dy,)
    keep, scale = saved
    dx = dy * keep
    dx *= scale
    return (dx,)
