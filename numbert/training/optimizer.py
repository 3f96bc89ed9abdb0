"""AdamW and LAMB, the norm of a gradient, and the learning rate over time."""
from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from ..autograd import Array
from ..machine import blocks
from ..module import Parameter
from .parallel import Workers
from .ranks import Alone

BLOCK = 131072                      # elements: w, g, m and v of one stay in the cache over all the lines below; with
                                    # half of it two threads wait for Python's lock, and take a tenth longer


def global_norm(gradients: Sequence[Array], workers: Workers) -> float:
    """The Euclidean norm of all gradients together, as one vector."""
    def squares(g):
        g = g.reshape(-1)
        return sum(float(np.dot(g[s], g[s])) for s in blocks(g, BLOCK))
    return math.sqrt(sum(workers.map(squares, gradients)))


def adamw(w: Array, g: Array, m: Array, v: Array, t: int, lr: float, *, betas: tuple[float, float], eps: float,
          weight_decay: float, scale: float = 1.0) -> None:
    """One step of Adam with decoupled weight decay on arrays of one shape: w, m and v change, the gradient g does not.

    t: the number of this step, from 1. scale: the gradient is multiplied by it.
    (Kingma and Ba 2015, algorithm 1, in the order of its section 2; Loshchilov and Hutter 2019, algorithm 2.)
    """
    beta1, beta2 = betas
    correction1, correction2 = 1 - beta1**t, 1 - beta2**t
    g = g * scale                                   # a copy, reused for intermediate results below
    m *= beta1                                      # m = β₁ m + (1 - β₁) g
    m += (1 - beta1) * g
    v *= beta2                                      # v = β₂ v + (1 - β₂) g²
    g *= g
    g *= 1 - beta2
    v += g
    np.divide(v, correction2, out=g)                # w = (1 - lr λ) w - lr m̂ / (√v̂ + ε)
    np.sqrt(g, out=g)                               # with m̂ = m / (1 - β₁ᵗ),  v̂ = v / (1 - β₂ᵗ)
    g += eps
    np.divide(m, g, out=g)
    g *= lr / correction1
    w *= 1 - lr * weight_decay
    w -= g


class AdamW:
    """`adamw` for all parameters of a model, in blocks that several workers share, and several `ranks` if given.

    Matrices decay, biases and layer norms (all that has one axis) do not, as in Google's BERT. `lr_factors`, one for
    each parameter, multiply its learning rate.

    Each of n ranks moves its own blocks, about an nth of all elements, and is then sent the others. Only there are its
    `m` and `v` right (elsewhere they stay zeros, for which the system needs no memory); `moments` gives the whole of
    them. Without `ranks` every process moves all blocks: the same numbers, n times the work.
    """

    def __init__(self, parameters: Iterable[Parameter], *, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-6,
                 weight_decay: float = 0.01, lr_factors: Iterable[float] | None = None, ranks: Alone | None = None):
        self.parameters, self.betas, self.eps, self.weight_decay = list(parameters), betas, eps, weight_decay
        self.lr_factors = [1.0] * len(self.parameters) if lr_factors is None else list(lr_factors)
        self.m = [np.zeros_like(p.data) for p in self.parameters]
        self.v = [np.zeros_like(p.data) for p in self.parameters]
        self.t, self.ranks = 0, ranks or Alone()
        self.pieces = [(i, s) for i, p in enumerate(self.parameters) for s in blocks(p.data.reshape(-1), BLOCK)]
        starts = np.cumsum([0, *(len(self.parameters[i].data.reshape(-1)[s]) for i, s in self.pieces)])
        self.owners = [int(start) * self.ranks.size // int(starts[-1]) for start in starts[:-1]]

    def __repr__(self):
        size = sum(p.data.size for p in self.parameters)
        return (f"<{type(self).__name__} of {len(self.parameters)} parameters, {size:,} numbers, after {self.t} steps: "
                f"betas={self.betas}, eps={self.eps}, weight_decay={self.weight_decay}>")

    def _exchange(self, arrays):
        """Each rank is sent what it does not own of arrays shaped like the parameters."""
        self.ranks.exchange([arrays[i].reshape(-1)[s] for i, s in self.pieces], self.owners)

    def moments(self) -> tuple[list[Array], list[Array]]:
        """(m, v), whole, on every rank. All ranks must ask together."""
        if self.ranks.size == 1:
            return self.m, self.v
        whole = [m.copy() for m in self.m], [v.copy() for v in self.v]
        for arrays in whole:
            self._exchange(arrays)
        return whole

    def step(self, gradients: Sequence[Array], lr: float, workers: Workers, *, scale: float = 1.0) -> None:
        """Update the parameters in place with `scale` times the gradients, arrays in the order of the parameters.

        lr: the learning rate of this step. workers: `parallel.Workers` within their `with` block, which share the work.
        Raises ValueError for a gradient that has not the shape of its parameter; then nothing is changed.
        """
        for i, (p, g) in enumerate(zip(self.parameters, gradients, strict=True)):
            if g.shape != p.shape:
                raise ValueError(f"gradient {i} must have the shape of its parameter {p.shape}, got {g.shape}")
        self.t += 1
        rows = [([x.reshape(-1) for x in (p.data, g, m, v)], lr * factor, self.weight_decay if p.data.ndim > 1 else 0.0)
                for p, g, m, v, factor in zip(self.parameters, gradients, self.m, self.v, self.lr_factors, strict=True)]
        mine = [n for n, owner in enumerate(self.owners) if owner == self.ranks.rank]

        def each(work):
            """Call work(n, w, g, m, v, rate, decay) for every piece n of this rank, on all workers."""
            def several(numbers):
                for n in numbers:
                    i, s = self.pieces[n]
                    flat, rate, decay = rows[i]
                    work(n, *(x[s] for x in flat), rate, decay)

            workers.map(several, [mine[k::workers.n] for k in range(workers.n)])

        self._move(each, betas=self.betas, eps=self.eps, scale=scale)
        if self.ranks.size > 1:
            self._exchange([p.data for p in self.parameters])

    def _move(self, each, **settings):
        each(lambda n, w, g, m, v, rate, decay: adamw(w, g, m, v, self.t, rate, weight_decay=decay, **settings))


class LAMB(AdamW):
    """AdamW in which a matrix moves by a share of its own norm, for large batches: w -= lr ‖w‖ / ‖u‖ u, where u is the
    direction of AdamW, m̂ / (√v̂ + ε) + λ w. (You et al. 2020, algorithm 2, with φ(x) = x.)

    What has one axis moves by lr u, and so does a matrix if one of the two norms is 0: both as in an author's program
    (lamb_optimizer.py in google-research/albert, which excludes from the ratio what does not decay). That leaves out
    Adam's bias correction; algorithm 2 has it, and so have optax and timm. The norms are sums over the pieces in their
    order, so it does not matter who computes which.
    """

    def _move(self, each, **settings):
        of, directions, squares = [i for i, _ in self.pieces], {}, np.zeros((len(self.pieces), 2))

        def direct(n, w, g, m, v, rate, decay):
            u = directions[n] = np.zeros_like(w)
            adamw(u, g, m, v, self.t, 1.0, weight_decay=0.0, **settings)
            np.negative(u, out=u)                       # m̂ / (√v̂ + ε), which adamw has taken from 0
            u += decay * w
            squares[n] = np.dot(w, w), np.dot(u, u)

        def move(n, w, g, m, v, rate, decay):
            w -= rate * ratios[of[n]] * directions[n]

        each(direct)
        sums = np.zeros((len(self.parameters), 2))
        np.add.at(sums, of, self.ranks.add_up([squares])[0])
        ratios = [math.sqrt(w / u) if p.data.ndim > 1 and w and u else 1.0
                  for p, (w, u) in zip(self.parameters, sums.tolist(), strict=True)]
        each(move)


OPTIMIZERS = {"adamw": AdamW, "lamb": LAMB}


def linear_schedule(steps: int, peak: float, warmup: float = 0.1) -> Callable[[float], float]:
    """lr(step) for step 0..steps-1: linearly up to `peak` over a share `warmup` of the steps, then down to 0.

    A step may also be a fraction (see `plan`). Raises ValueError for a peak that is not above 0 and finite.
    """
    if not 0 < peak < math.inf:
        raise ValueError(f"a learning rate must be above 0 and finite, got {peak}")
    rising = max(1, round(steps * warmup))

    def lr(step):
        return peak * min(1.0, (step + 1) / rising, (steps - step) / max(1, steps - rising))
    return lr
