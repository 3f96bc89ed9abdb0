"""AdamW and LAMB against the printed algorithms, number by number; the norm; the schedule."""
import math

import numpy as np
import pytest
import reference

from numbert.machine import blocks
from numbert.module import Parameter
from numbert.training import optimizer
from numbert.training.optimizer import BLOCK, LAMB, OPTIMIZERS, AdamW, adamw, global_norm, linear_schedule
from numbert.training.parallel import Workers

SHAPES = [(3, 4), (5,), (2, 3, 2), ()]


def parameters(rng, shapes, dtype=np.float64):
    return [Parameter(rng.standard_normal(shape).astype(dtype)) for shape in shapes]


@pytest.mark.parametrize("shape", [(1,), (4, 3), ()])
def test_a_gradient_of_another_shape_is_refused(shape):
    """One number, for instance, would be added to all."""
    p = Parameter(np.ones((3, 4)))
    optimizer = AdamW([p])
    with Workers(1) as workers, pytest.raises(ValueError, match=r"gradient 0 must have the shape .* \(3, 4\), got "):
        optimizer.step([np.ones(shape)], 1e-3, workers)
    assert (p.data == 1).all() and optimizer.t == 0


def test_repr():
    assert repr(AdamW(parameters(np.random.default_rng(0), SHAPES), weight_decay=0.3)) == (
        "<AdamW of 4 parameters, 30 numbers, after 0 steps: betas=(0.9, 0.999), eps=1e-06, weight_decay=0.3>")


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_adamw(workers, scale):
    rng = np.random.default_rng(0)
    ps = parameters(rng, SHAPES)
    before, lrs = [p.data.copy() for p in ps], [0.1, 0.05, 0.02, 0.5]
    steps = [[rng.standard_normal(shape) for shape in SHAPES] for _ in lrs]
    given = [[g.copy() for g in gradients] for gradients in steps]
    adamw = AdamW(ps, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.3)
    with Workers(workers) as threads:
        for gradients, lr in zip(steps, lrs, strict=True):
            adamw.step(gradients, lr, threads, scale=scale)
    assert adamw.t == 4
    for i, p in enumerate(ps):
        for place in np.ndindex(p.shape):
            expected = reference.adamw(before[i][place], [scale * g[i][place] for g in steps], lrs, beta1=0.8,
                                       beta2=0.95, eps=1e-3, decay=0.3 if p.data.ndim > 1 else 0.0)
            assert p.data[place] == pytest.approx(expected, rel=1e-13)
        assert all((g[i] == s[i]).all() for g, s in zip(given, steps, strict=True))     # gradients are only read


def test_the_first_step_by_hand():
    """m̂ / √v̂ is the sign of the gradient at first, whatever its size."""
    ps = [Parameter(np.array([1.0, 1.0])), Parameter(np.array([[1.0]]))]
    with Workers(1) as workers:
        AdamW(ps, eps=1e-12, weight_decay=0.1).step([np.array([1e-3, -50.0]), np.array([[7.0]])], 0.01, workers)
    np.testing.assert_allclose(ps[0].data, [0.99, 1.01], rtol=1e-8)                     # one axis: no decay
    np.testing.assert_allclose(ps[1].data, [[1 - 0.01 * 0.1 - 0.01]], rtol=1e-8)        # a matrix decays


def test_the_function_is_the_class():
    """The same bits, in one piece and by hand."""
    rng = np.random.default_rng(3)
    w, m, v = rng.standard_normal((4, 5)), np.zeros((4, 5)), np.zeros((4, 5))
    p = Parameter(w.copy())
    optimizer = AdamW([p], betas=(0.8, 0.9), eps=1e-3, weight_decay=0.2)
    with Workers(2) as workers:
        for t in (1, 2, 3):
            g = rng.standard_normal((4, 5))
            kept = g.copy()
            adamw(w, g, m, v, t, 0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.2, scale=0.5)
            optimizer.step([g], 0.1, workers, scale=0.5)
            assert (g == kept).all() and (p.data == w).all()


@pytest.mark.parametrize("block", [4, 10**9])
@pytest.mark.parametrize("workers", [1, 2])
def test_lamb(workers, block, monkeypatch):
    """Matrices, one of them of zeros, and what has one axis; in one piece each, and in several."""
    monkeypatch.setattr(optimizer, "BLOCK", block)
    rng = np.random.default_rng(0)
    ps = [*parameters(rng, SHAPES), Parameter(np.zeros((2, 2)))]
    before, lrs, factors = [p.data.copy() for p in ps], [0.1, 0.05, 0.02], [1.0, 0.5, 0.25, 1.0, 1.0]
    steps = [[rng.standard_normal(p.shape) for p in ps] for _ in lrs]
    steps[0][0] *= 1e3                                      # a norm of the gradient that does not matter at first
    lamb = LAMB(ps, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.3, lr_factors=factors)
    with Workers(workers) as threads:
        for gradients, lr in zip(steps, lrs, strict=True):
            lamb.step(gradients, lr, threads, scale=0.5)
    for i, p in enumerate(ps):
        matrix = p.data.ndim > 1
        expected = reference.lamb(before[i].reshape(-1).tolist(), [(0.5 * g[i]).reshape(-1).tolist() for g in steps],
                                  [lr * factors[i] for lr in lrs], beta1=0.8, beta2=0.95, eps=1e-3,
                                  decay=0.3 if matrix else 0.0, adapt=matrix)
        np.testing.assert_allclose(p.data.reshape(-1), expected, rtol=1e-12)


def test_a_first_step_of_lamb_by_hand():
    """The direction is all ones, of norm 2; the matrix has norm 4, so it moves by twice the rate. No share of zeros."""
    ps = [Parameter(np.full((2, 2), 2.0)), Parameter(np.array([2.0, 2.0])), Parameter(np.zeros((1, 2)))]
    with Workers(1) as workers:
        LAMB(ps, eps=1e-12, weight_decay=0.0).step([np.full(p.shape, 7.0) for p in ps], 0.1, workers)
    for p, expected in zip(ps, (2 - 0.1 * 2, 2 - 0.1, -0.1), strict=True):
        np.testing.assert_allclose(p.data, np.full(p.shape, expected), rtol=1e-9)


def test_factors_multiply_the_rate():
    """Of a matrix, its decay included: as if it had an optimiser of its own."""
    rng = np.random.default_rng(0)
    start, gradient = rng.standard_normal((2, 3)), rng.standard_normal((2, 3))

    def run(lr, **more):
        p = Parameter(start.copy())
        with Workers(1) as workers:
            AdamW([p], **more).step([gradient], lr, workers)
        return p.data

    assert (run(0.1, lr_factors=[0.25]) == run(0.025)).all() and (run(0.1) != run(0.025)).all()
    with pytest.raises(ValueError):
        run(0.1, lr_factors=[1.0, 1.0])


@pytest.mark.parametrize("size", [0, 1, 6, 7, 8, 50])
def test_blocks_change_nothing(size, monkeypatch):
    """The same bits, however the array is cut and whoever works on it."""
    rng = np.random.default_rng(1)
    start, gradient = rng.standard_normal((2, size)), rng.standard_normal((2, size))

    def run(block, n):
        monkeypatch.setattr(optimizer, "BLOCK", block)
        p = Parameter(start.copy())
        adamw = AdamW([p])
        with Workers(n) as workers:
            for _ in range(3):
                adamw.step([gradient], 0.1, workers)
        return p.data

    plain = run(10**9, 1)
    for block, n in ((7, 1), (7, 2), (1, 2)):
        assert (run(block, n) == plain).all()


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_blocks_cover_everything_once(size):
    x = np.empty(size)
    covered = [i for s in blocks(x, BLOCK) for i in np.arange(size)[s]]
    assert covered == list(range(size)) and all(x[s].size <= BLOCK for s in blocks(x, BLOCK))


@pytest.mark.parametrize("cls", OPTIMIZERS.values())
def test_dtype_stays(cls):
    rng = np.random.default_rng(0)
    ps = parameters(rng, SHAPES, np.float32)
    made = cls(ps)
    with Workers(1) as workers:
        made.step([rng.standard_normal(s).astype(np.float32) for s in SHAPES], 0.1, workers, scale=0.5)
    assert {x.dtype for x in [*made.m, *made.v, *(p.data for p in ps)]} == {np.dtype(np.float32)}


@pytest.mark.parametrize("cls", OPTIMIZERS.values())
def test_a_gradient_too_few_raises(cls):
    with Workers(1) as workers, pytest.raises(ValueError):
        cls(parameters(np.random.default_rng(0), SHAPES)).step([np.zeros((3, 4))], 0.1, workers)


@pytest.mark.parametrize("workers", [1, 2])
def test_global_norm(workers):
    rng = np.random.default_rng(0)
    gradients = [rng.standard_normal(shape) for shape in (*SHAPES, (3, BLOCK), (0,))]
    with Workers(workers) as threads:
        norm = global_norm(gradients, threads)
        assert global_norm([], threads) == 0
    squares = [v * v for g in gradients for v in g.reshape(-1).tolist()]
    assert norm == pytest.approx(math.sqrt(math.fsum(squares)), rel=1e-12)


def test_linear_schedule():
    lr = linear_schedule(10, 1.0, warmup=0.2)
    assert [lr(step) for step in range(10)] == pytest.approx(
        [0.5, 1.0, 1.0, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8])


@pytest.mark.parametrize("steps,warmup", [(1, 0.1), (2, 0.5), (7, 0.0), (100, 0.1), (5, 1.0)])
def test_linear_schedule_climbs_to_the_peak_and_comes_down(steps, warmup):
    rates = [linear_schedule(steps, 3.0, warmup)(step) for step in range(steps)]
    top = rates.index(max(rates))
    assert rates == sorted(rates[:top]) + sorted(rates[top:], reverse=True)
    assert min(rates) > 0 and max(rates) == 3.0
