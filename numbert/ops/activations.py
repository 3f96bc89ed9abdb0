"""Activation functions: GELU (exact and by tanh), ReLU, tanh. And dropout, which sets some of the activations to 0.

GELU weights its input by the share of a standard normal population that lies below it: x Φ(x)
(Hendrycks and Gimpel 2016, section 2). NumPy has no Φ, so this file begins with one.
"""
from __future__ import annotations

import math

import numpy as np
from numpy.polynomial.chebyshev import chebval
from numpy.random import Generator

from ..autograd import Array, op
from ..machine import blocks
from ..recording import recording

# ln(erfc(z) exp(z²) / t) as a Chebyshev series in 2t - 1, where t = 2 / (2 + z) and z ≥ 0. Fitted in 40 digits;
# the terms left out are below 4e-18.
_ERFC = np.array([
    -0.651326859890854718, 0.641969792356490262, 0.0194764732041858352, -0.00956151478680863066,
    -0.000946595344482037628, 0.00036683949785276195, 0.0000425233248069075634, -0.0000202785781125343362,
    -1.62429000464663635e-6, 1.30365583557985951e-6, 1.56264417229677258e-8, -8.52380959160163159e-8,
    6.52905444031680091e-9, 5.05934349427236519e-9, -9.91364155223109513e-10, -2.27365123484154683e-10,
    9.64679120668059185e-11, 2.3940372380751957e-12, -6.88602692943066479e-12, 8.94487610656062003e-13,
    3.13092159130981817e-13, -1.12707944712539497e-13, 3.8052930748414209e-16, 7.10690982956656358e-15,
    -1.52404629917514877e-15, -9.34073787112295093e-17, 1.19771269030544075e-16, -2.68984871866314751e-17,
])

BLOCK = 131072                      # elements that stay in the cache over the twenty passes below: a third faster; half
                                    # as many make two threads wait for Python's lock

# P(x²) such that Φ(x) = ½ + ½ tanh(x P(x²)), fitted for |x Φ(x)| in float32; highest power first.
_TANH_OF_CDF = [1.8139308553323504e-09, -1.3378335466835597e-07, 3.974073190734169e-06, -5.5273403607841305e-05,
                -3.302664976499481e-05, 3.633414906178078e-02, 7.97884268413531e-01]


def normal_cdf(x: Array) -> Array:
    """Φ(x), the standard normal distribution function, in the dtype of x.

    float64: to within 4e-16. Otherwise in float32, to within 2e-7, in a fifth of the time.
    """
    if x.dtype == np.float64:
        z = np.abs(x) / math.sqrt(2)
        t = 2 / (2 + z)
        tail = 0.5 * t * np.exp(chebval(2 * t - 1, _ERFC) - z * z)          # Φ(-|x|) = ½ erfc(|x| / √2)
        return np.where(x < 0, tail, 1 - tail)
    with np.errstate(over="ignore"):                                        # of a huge x: tanh(∞) is 1
        square = x * x
        y = square * _TANH_OF_CDF[0]
        for coefficient in _TANH_OF_CDF[1:-1]:
            y += coefficient
            y *= square
        y += _TANH_OF_CDF[-1]
        y *= x
    np.tanh(y, out=y)
    y *= 0.5
    y += 0.5
    return y


def normal_pdf(x: Array) -> Array:
    """φ(x) = exp(-x²/2) / √2π, the derivative of Φ."""
    y = x * x
    y *= -0.5
    np.exp(y, out=y)
    y *= 1 / math.sqrt(2 * math.pi)
    return y


@op
def gelu(x: Array):
    """x Φ(x), element by element, for x of any shape, as BERT uses it: with erf, not with its approximation by tanh."""
    flat = x.reshape(-1)
    y, slope = np.empty_like(flat), np.empty_like(flat) if recording.get() else None
    for s in blocks(flat, BLOCK):
        cdf = normal_cdf(flat[s])
        np.multiply(flat[s], cdf, out=y[s])                     # 1
        if slope is not None:                   # one array for the backward pass instead of two, x and Φ
            weighted = normal_pdf(flat[s])      # (x Φ)' = Φ + x φ
            weighted *= flat[s]
            np.add(cdf, weighted, out=slope[s])
    return y.reshape(x.shape), (slope,)


@gelu.vjp
def gelu_backward(dy, saved):
    slope, = saved
    return (dy * slope.reshape(dy.shape),)                      # 1


@op
def gelu_tanh(x: Array):
    """½ x (1 + tanh(√(2/π) (x + 0.044715 x³))), the approximation in section 2 of the paper.

    Element by element, for x of any shape. Hugging Face's configurations call it `gelu_new` or `gelu_pytorch_tanh`.
    """
    t = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))        # 1
    return 0.5 * x * (1 + t), (x, t)                                        # 2


@gelu_tanh.vjp
def gelu_tanh_backward(dy, saved):
    x, t = saved
    inner = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)             # 1  derivative of the argument of tanh
    return (dy * 0.5 * (1 + t + x * (1 - t * t) * inner),)                  # 2, 1  tanh' = 1 - tanh²


@op
def relu(x: Array):
    """max(x, 0), element by element, for x of any shape. At 0 the derivative is taken as 0."""
    return np.maximum(x, 0), (x > 0,)                           # 1


@relu.vjp
def relu_backward(dy, saved):
    positive, = saved
    return (dy * positive,)                                     # 1


@op
def tanh(x: Array):
    """The hyperbolic tangent, element by element, for x of any shape."""
    y = np.tanh(x)                                              # 1
    return y, (y,)


@tanh.vjp
def tanh_backward(dy, saved):
    y, = saved
    return (dy * (1 - y * y),)                                  # 1


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
    """Set each element of x to 0 with probability `rate`, and divide the others by 1 - rate: the mean stays.

    Without a generator `rng` nothing is dropped: inference (Srivastava et al. 2014, scaled in training).

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
