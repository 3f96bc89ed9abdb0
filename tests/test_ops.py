"""Each op against its meaning in plain loops, in both precisions, and the rule of memory for every one of them."""
import contextlib
import copy
import itertools
import math
import sys
import tracemalloc

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from numbert import ops
from numbert.autograd import Tensor, gradients
from numbert.gradcheck.cases import op_cases
from numbert.machine import blas_threads
from numbert.module import Parameter
from numbert.ops import IGNORE, Bucket
from numbert.ops.activations import keep_mask, normal_cdf, normal_pdf
from numbert.ops.attention import softmax
from numbert.recording import no_grad
from numbert.sparse import SparseRows

CASES = op_cases()
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
quick = settings(max_examples=40, deadline=None)
sizes, seeds = st.integers(0, 6), st.integers(0, 2**32 - 1)
widths = st.integers(1, 6)


def close(actual, expected, rtol=1e-12, atol=1e-13):
    assert np.shape(actual) == np.shape(expected)
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol)


def arrays_in(value):
    """All arrays in nested tuples and lists."""
    if isinstance(value, np.ndarray):
        return [value]
    if isinstance(value, SparseRows):
        return [value.values]
    return [x for item in value for x in arrays_in(item)] if isinstance(value, tuple | list) else []


def run(case, dtype, upstream=None):
    """(inputs, output, saved, upstream, gradients) of a case in one precision."""
    inputs = [None if x is None else x.astype(dtype) for x in case.inputs]
    output, saved = case.forward(*inputs)
    output = np.asarray(output)
    if upstream is None:
        upstream = np.asarray(np.random.default_rng(0).standard_normal(output.shape))
    upstream = upstream.astype(dtype)
    return inputs, output, saved, upstream, case.op.backward(upstream, saved)


# --- for every op ----------------------------------------------------------------------------------------------------

@every_case
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_in_is_dtype_out(case, dtype):
    _, output, saved, _, gradients = run(case, dtype)
    assert output.dtype == dtype
    assert {x.dtype for x in arrays_in(saved) if x.dtype.kind == "f"} <= {np.dtype(dtype)}
    assert {x.dtype for x in arrays_in(list(gradients))} == {np.dtype(dtype)}


@every_case
def test_float32_is_near_float64(case):
    _, output, _, _, gradients = run(case, np.float64)
    _, output32, _, _, gradients32 = run(case, np.float32)
    close(output32, output, rtol=2e-5, atol=2e-6)
    for g, g32 in zip(gradients, gradients32, strict=True):
        if g is not None:
            g, g32 = (x.dense() if isinstance(x, SparseRows) else x for x in (g, g32))
            close(g32, g, rtol=2e-5, atol=5e-6)


@every_case
def test_backward_changes_nothing_and_returns_no_memory_twice(case):
    inputs, output, saved, upstream, _ = run(case, np.float64)
    untouched = arrays_in([inputs, case.options, output, saved, upstream, list(case.options.values())])
    before = [x.copy() for x in untouched]
    gradients = arrays_in(list(case.op.backward(upstream, saved)))
    assert all(np.array_equal(x, y) for x, y in zip(untouched, before, strict=True))

    taken = [x for x in arrays_in([inputs, saved]) + [output] if not np.shares_memory(x, upstream)]
    for g in gradients:
        assert not any(np.shares_memory(g, x) for x in taken)
    for g, other in itertools.combinations(gradients, 2):
        assert not np.shares_memory(g, other)


@every_case
def test_forward_changes_nothing(case):
    inputs = [None if x is None else x.copy() for x in case.inputs]
    options = copy.deepcopy({name: x for name, x in case.options.items() if name != "rng"})
    case.forward(*inputs)
    for x, y in zip(inputs, case.inputs, strict=True):
        assert x is y is None or np.array_equal(x, y)
    for name, x in options.items():
        assert not isinstance(x, np.ndarray) or np.array_equal(x, case.options[name])


@every_case
def test_any_memory_layout(case):
    """Transposed and strided arrays give what their copies give."""
    def strange(x):
        x = np.asfortranarray(x)
        return np.repeat(x, 2, axis=0)[::2] if x.ndim == 1 else x

    inputs, output, saved, upstream, gradients = run(case, np.float64)
    output2, saved2 = case.forward(*[None if x is None else strange(x) for x in inputs])
    close(output2, output)
    for g, g2 in zip(gradients, case.op.backward(strange(upstream), saved2), strict=True):
        if g is not None:
            close(*(x.dense() if isinstance(x, SparseRows) else x for x in (g2, g)))


@pytest.mark.parametrize("op,labels", [(ops.cross_entropy, np.array([1, IGNORE])),
                                       (ops.mean_squared_error, np.ones((2, 3))),
                                       (ops.binary_cross_entropy, np.ones((2, 3)))])
def test_a_loss_has_the_dtype_of_what_it_judges(op, labels):
    x = np.random.default_rng(0).standard_normal((2, 3)).astype(np.float32)
    loss, saved = op.forward(x, labels=labels)
    assert isinstance(saved, tuple)
    dx, = op.backward(np.ones((), np.float32), saved)
    assert loss.dtype == dx.dtype == np.float32


# --- linear, add, rows -----------------------------------------------------------------------------------------------

@quick
@given(sizes, widths, widths, st.booleans(), seeds)
def test_linear(N, D, F, biased, seed):
    rng = np.random.default_rng(seed)
    x, weight, bias = rng.standard_normal((N, D)), rng.standard_normal((F, D)), rng.standard_normal(F)
    close(ops.linear(x, weight, bias if biased else None), reference.linear(x, weight, bias if biased else None))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("D", [5, 128, 2**16 + 1])              # the last: a block of the weight is a single row of it
@pytest.mark.parametrize("N", [0, 1, 2, 4, 5, 127, 128, 129])
@pytest.mark.parametrize("threads", [1, 2])
def test_few_rows_and_many(threads, N, D, order, dtype, monkeypatch):
    rng = np.random.default_rng(N)
    monkeypatch.setattr(sys.modules["numbert.ops.linear"], "SHARED", 2 * D)             # two rows of the weight
    x, bias = rng.standard_normal((N, D)).astype(dtype), rng.standard_normal(3).astype(dtype)
    weight = np.array(rng.standard_normal((3, D)) / np.sqrt(D), dtype, order=order)
    with blas_threads(threads):
        y = ops.linear(x, weight, bias)
    if N * D < 1e5:
        expected = reference.linear(x, weight, bias)
    else:                                                       # loops would take seconds
        expected = x.astype(np.float64) @ weight.T.astype(np.float64) + bias
    single = dtype == np.float32
    np.testing.assert_allclose(y, expected, rtol=1e-5 if single else 1e-12, atol=1e-5 if single else 1e-13)
    assert y.dtype == dtype and y.flags.c_contiguous and y.flags.owndata


def test_add():
    close(ops.add(np.array([1.0, 2.0]), np.array([10.0, 20.0])), [11, 22])


@quick
@given(sizes, widths, widths, seeds)
def test_take_with_repeated_ids(N, V, D, seed):
    rng = np.random.default_rng(seed)
    table, ids, dy = rng.standard_normal((V, D)), rng.integers(V, size=N), rng.standard_normal((N, D))
    y, saved = ops.take.forward(table, ids=ids)
    close(y, reference.take(table, ids))
    expected = np.zeros((V, D))
    for n, i in enumerate(ids):
        expected[i] += dy[n]
    dtable, = ops.take.backward(dy, saved)
    assert isinstance(dtable, SparseRows)                 # it stays sparse
    close(dtable.dense(), expected)


@quick
@given(st.integers(0, 3), st.integers(0, 4), st.integers(0, 2), seeds)
def test_pad(B, T, axes, seed):
    rng = np.random.default_rng(seed)
    at = np.sort(rng.permutation(B * T)[:rng.integers(B * T + 1)])
    rows = rng.standard_normal((len(at), 3, 2)[:1 + axes])
    y = ops.unpack(rows, padded_index=at, shape=(B, T), fill=-7.0)
    close(y, reference.pad(rows, at, (B, T), -7.0))


def test_column_and_reshape():
    x = np.arange(12.0).reshape(2, 3, 2)
    close(ops.column(x, index=1), x[:, :, 1])
    assert not np.shares_memory(ops.column(x, index=1), x)
    close(ops.reshape(x, shape=(4, 3)), np.arange(12.0).reshape(4, 3))


# --- activations -----------------------------------------------------------------------------------------------------

floats = st.lists(st.floats(-50, 50), min_size=1, max_size=20).map(np.array)


@quick
@given(floats)
def test_activations(x):
    close(ops.gelu(x), reference.gelu(x), rtol=1e-12, atol=1e-14)
    close(ops.gelu_tanh(x), reference.gelu_tanh(x))
    close(ops.relu(x), [max(v, 0) for v in x])
    close(ops.tanh(x), [math.tanh(v) for v in x])


def test_gelu_by_hand():
    """Φ(1) = 0.841344746..., from any table of the normal distribution."""
    close(ops.gelu(np.array([-1.0, 0, 1])), [-0.15865525393145707, 0, 0.8413447460685429], rtol=1e-15)


def test_gelu_saves_its_slope_and_nothing_where_nobody_will_ask():
    x = np.array([-1.0, 0, 1])
    slope, = ops.gelu.forward(x)[1]
    close(slope, [-0.08331547058768624, 0.5, 1.0833154705876863])      # Φ(x) + x φ(x)
    with no_grad():
        assert ops.gelu.forward(x)[1] == (None,)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gelu_in_blocks_is_gelu_in_one(dtype, monkeypatch):
    x = np.random.default_rng(0).standard_normal((5, 7)).astype(dtype)
    whole = ops.gelu.forward(x)
    for block in (1, 6, 34, 35):
        monkeypatch.setattr(ops.activations, "BLOCK", block)
        for found, expected in zip(ops.gelu.forward(x), whole, strict=True):
            close(found, expected)


def test_relu_has_no_slope_at_0():
    _, saved = ops.relu.forward(np.array([-1.0, -0.0, 0.0, 1.0]))
    assert ops.relu.backward(np.ones(4), saved)[0].tolist() == [0, 0, 0, 1]


def test_normal_cdf_in_float64():
    rng = np.random.default_rng(0)
    x = np.concatenate([np.linspace(-40, 40, 40001), 2 * rng.standard_normal(40000), [0.0, -0.0, np.inf, -np.inf]])
    exact = np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in x])
    error = np.abs(normal_cdf(x) - exact)
    assert error.max() <= 4e-16                     # its docstring's claim
    tail = (x < 0) & (exact > 1e-300)
    assert (error[tail] / exact[tail]).max() < 2e-13    # and no digits are lost where Φ is small
    assert normal_cdf(np.array([-np.inf, 0, np.inf])).tolist() == [0, 0.5, 1]


def test_normal_cdf_in_float32():
    every = np.arange(0, 2**32, 9973, dtype=np.uint64).astype(np.uint32).view(np.float32)
    x = np.concatenate([np.linspace(-12, 12, 100001, dtype=np.float32), every[np.abs(every) < 1e18]])
    exact = np.array([0.5 * math.erfc(-float(v) / math.sqrt(2)) for v in x])
    y = normal_cdf(x)
    assert y.dtype == np.float32 and y.min() >= 0 and y.max() <= 1
    assert np.abs(y - exact).max() <= 2e-7          # its docstring's claim


def test_normal_pdf():
    x = np.linspace(-9, 9, 101)
    close(normal_pdf(x), [math.exp(-v * v / 2) / math.sqrt(2 * math.pi) for v in x])


# --- layer norm ------------------------------------------------------------------------------------------------------

@quick
@given(sizes, widths, st.sampled_from([1e-12, 1e-5, 0.1]), st.sampled_from([0.01, 1.0, 1e4]), seeds)
def test_layer_norm(N, D, eps, scale, seed):
    rng = np.random.default_rng(seed)
    x, gain, bias = scale * rng.standard_normal((N, D)), rng.standard_normal(D), rng.standard_normal(D)
    close(ops.layer_norm(x, gain, bias, eps=eps), reference.layer_norm(x, gain, bias, eps), rtol=1e-9, atol=1e-9)


def test_layer_norm_far_from_zero():
    """E[x²] - E[x]² would lose all digits here."""
    x = np.array([[1e4 - 1, 1e4, 1e4 + 1]], np.float32)
    close(ops.layer_norm(x, np.ones(3, np.float32), np.zeros(3, np.float32), eps=1e-12),
          np.float32([[-math.sqrt(1.5), 0, math.sqrt(1.5)]]), rtol=1e-6)


@pytest.mark.parametrize("x", [[[3.0]], [[0.1, 0.1, 0.1]]])
def test_layer_norm_of_a_constant_row_is_the_bias(x):
    x = np.array(x)
    bias = np.full(x.shape[1], 7.0)
    y, saved = ops.layer_norm.forward(x, np.ones(x.shape[1]), bias, eps=1e-12)
    close(y, [bias], atol=1e-4)                     # the rounding of a mean over √eps
    assert all(np.isfinite(g).all() for g in ops.layer_norm.backward(np.ones_like(x), saved))


# --- dropout ---------------------------------------------------------------------------------------------------------

def test_dropout_zeroes_or_scales():
    x = np.random.default_rng(0).standard_normal((50, 7))
    y = ops.dropout(x, rate=0.25, rng=np.random.default_rng(1))
    kept = keep_mask(x.shape, 0.25, np.random.default_rng(1))
    close(y, np.where(kept, x / 0.75, 0))


def test_dropout_off():
    x = np.ones((2, 3))
    assert (ops.dropout(x, rate=0.5, rng=None) == x).all()
    assert (ops.dropout(x, rate=0.0, rng=np.random.default_rng(0)) == x).all()


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.9])
def test_keep_mask_statistics(rate):
    n = 2**20
    kept = keep_mask((n,), rate, np.random.default_rng(7))
    sigma = math.sqrt(rate * (1 - rate) / n)
    assert abs((~kept).mean() - rate) < 4 * sigma + 2**-17
    for lag in (1, 2, 3, 4, 8):                     # the draws that share a 64-bit word know nothing of each other
        together = (~kept[lag:] & ~kept[:-lag]).mean()
        assert abs(together - rate**2) < 6 * sigma


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3,), (4,), (5, 7), (2, 0, 3)])
def test_keep_mask_shapes(shape):
    kept = keep_mask(shape, 0.5, np.random.default_rng(0))
    assert kept.shape == shape and kept.dtype == bool


def test_same_generator_same_mask():
    one, two, other = (keep_mask((9, 9), 0.4, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert (one == two).all() and (one != other).any()


# --- attention -------------------------------------------------------------------------------------------------------

def spans_for(lengths, asking=None):
    ends = np.cumsum(lengths)
    keys = [slice(int(e - n), int(e)) for n, e in zip(lengths, ends, strict=True)]
    if asking is None:
        return [Bucket(k, k) for k in keys]
    cuts = np.cumsum([0, *map(len, asking)])
    return [Bucket(slice(int(a), int(b)), k, query_positions=np.array(at, int))
            for a, b, k, at in zip(cuts[:-1], cuts[1:], keys, asking, strict=True)]


@quick
@given(st.lists(st.integers(0, 5), min_size=1, max_size=4), st.integers(1, 3), st.integers(1, 3), st.booleans(),
       st.booleans(), st.sampled_from([1.0, 300.0]), seeds)
def test_attention(lengths, H, K, left_to_right, some, scale, seed):
    rng = np.random.default_rng(seed)
    asking = [sorted(rng.permutation(n)[:rng.integers(n + 1)].tolist()) for n in lengths] if some else None
    N = sum(lengths)
    Nq = N if asking is None else sum(map(len, asking))
    q, k, v = (scale * rng.standard_normal((n, H * K)) for n in (Nq, N, N))
    y = ops.attention(q, k, v, buckets=spans_for(lengths, asking), heads=H, mask=ops.causal if left_to_right else None)
    mask = (lambda q, k: k <= q) if left_to_right else None
    close(y, reference.attention(q, k, v, lengths, H, mask, asking), rtol=1e-9, atol=1e-9 * scale)


def test_attention_dropout_and_sequences_of_one_length():
    rng = np.random.default_rng(0)
    q, k, v = rng.standard_normal((3, 8, 4))
    buckets, lengths = [Bucket(slice(0, 6), slice(0, 6), 3), Bucket(slice(6, 8), slice(6, 8))], [2, 2, 2, 2]
    close(ops.attention(q, k, v, buckets=buckets, heads=2), reference.attention(q, k, v, lengths, 2))
    y = ops.attention(q, k, v, buckets=buckets, heads=2, rate=0.4, rng=np.random.default_rng(5))
    draws = np.random.default_rng(5)
    keep = [*keep_mask((3, 2, 2, 2), 0.4, draws), *keep_mask((1, 2, 2, 2), 0.4, draws)]
    close(y, reference.attention(q, k, v, lengths, 2, keep=keep, rate=0.4))


def test_a_mask_holds_against_any_score():
    """Adding -10,000 to a score would not: this one is larger."""
    q, k, v = np.array([[50.0], [1e6]]), np.array([[1.0], [1e6]]), np.array([[3.0], [1e9]])
    close(ops.attention(q, k, v, buckets=spans_for([2]), heads=1, mask=ops.causal), [[3], [1e9]])


def test_a_token_that_sees_nothing_gets_zeros_and_no_gradient():
    q, k, v = np.random.default_rng(0).standard_normal((3, 3, 4))
    y, saved = ops.attention.forward(q, k, v, buckets=spans_for([3]), heads=2,
                                     mask=lambda q, k: (k[None, :] < 2) & (q[:, None] > 0))
    dq, dk, dv = ops.attention.backward(np.ones((3, 4)), saved)
    assert (y[0] == 0).all() and (dq[0] == 0).all()                 # the first token sees nothing
    assert (dk[2] == 0).all() and (dv[2] == 0).all()                # the last is not seen by anyone
    assert np.isfinite(y).all() and np.isfinite(dq).all() and np.isfinite(dk).all()


def test_keys_of_a_sequence_in_which_nobody_asks_get_a_gradient_of_zero():
    rng = np.random.default_rng(0)
    q, k, v = (rng.standard_normal((n, 2)) for n in (1, 5, 5))
    _, saved = ops.attention.forward(q, k, v, buckets=spans_for([2, 3], [[1], []]), heads=1)
    _, dk, dv = ops.attention.backward(np.ones((1, 2)), saved)
    assert (dk[2:] == 0).all() and (dv[2:] == 0).all() and (dv[:2] != 0).all()


def test_rows_that_no_span_holds_get_zeros():
    rng = np.random.default_rng(0)
    q, k, v, dy = rng.standard_normal((4, 6, 8))
    _ = [np.full((6, 8), np.nan) for _ in range(20)]       # so that memory taken as it is found is not zero by chance
    y, saved = ops.attention.forward(q, k, v, buckets=[Bucket(slice(0, 4), slice(0, 3))], heads=2)
    dq, dk, dv = ops.attention.backward(dy, saved)
    assert (y[:4] != 0).all() and (y[4:] == 0).all() and (dq[4:] == 0).all()
    assert (dk[3:] == 0).all() and (dv[3:] == 0).all()


@given(st.integers(0, 7), st.lists(st.integers(0, 5), max_size=4), st.integers(0, 6))
def test_a_prefix_is_seen_by_all_and_the_rest_as_under_the_causal_mask(n, asking, T):
    seen = ops.prefix(n)(np.array(asking, int), np.arange(T))
    assert seen.shape == (len(asking), T)
    assert seen.tolist() == [[k < n or k <= q for k in range(T)] for q in asking]


def test_a_later_token_never_changes_a_causal_output():
    rng = np.random.default_rng(0)
    q, k, v = rng.standard_normal((3, 6, 4))
    before = ops.attention(q, k, v, buckets=spans_for([6]), heads=2, mask=ops.causal)
    for t in range(1, 6):
        later = [x.copy() for x in (q, k, v)]
        for x in later:
            x[t:] = 1e5 * rng.standard_normal(x[t:].shape)
        after = ops.attention(*later, buckets=spans_for([6]), heads=2, mask=ops.causal)
        assert (after[:t] == before[:t]).all()


@quick
@given(st.lists(st.sampled_from([-math.inf, -5e4, -1.0, 0.0, 2.5, 5e4]), min_size=1, max_size=6))
def test_softmax(scores):
    close(softmax(np.array([scores])), [reference.softmax(scores)])


# --- losses ----------------------------------------------------------------------------------------------------------

@quick
@given(sizes, widths, st.sampled_from([1.0, 5e4]), st.booleans(), seeds)
def test_cross_entropy(N, C, scale, weighted, seed):
    rng = np.random.default_rng(seed)
    logits, labels = scale * rng.standard_normal((N, C)), rng.integers(C, size=N)
    labels[rng.random(N) < 0.4] = IGNORE
    weights = 3 * rng.random(C) if weighted else None
    close(ops.cross_entropy(logits, labels=labels, weights=weights),
          reference.cross_entropy(logits, labels, weights=weights))


def test_cross_entropy_by_hand():
    """Two classes with equal scores: -ln ½."""
    close(ops.cross_entropy(np.zeros((3, 2)), labels=np.array([0, 1, 1])), math.log(2))


def test_cross_entropy_of_extreme_logits():
    logits = np.array([[5e4, 0, -5e4], [-np.inf, 0, 1]], np.float32)
    loss, saved = ops.cross_entropy.forward(logits, labels=np.array([2, 1]))
    dlogits, = ops.cross_entropy.backward(np.float32(1), saved)
    close(loss, np.float32((1e5 + math.log(1 + math.e)) / 2), rtol=1e-6)
    close(dlogits[0], np.float32([0.5, 0, -0.5]))
    assert dlogits[1, 0] == 0 and np.isfinite(dlogits).all()


@pytest.mark.parametrize("N", [0, 3])
def test_cross_entropy_without_labels_is_0(N):
    loss, saved = ops.cross_entropy.forward(np.ones((N, 4)), labels=np.full(N, IGNORE))
    assert loss == 0
    dlogits, = ops.cross_entropy.backward(np.float64(1), saved)
    assert dlogits.shape == (N, 4) and (dlogits == 0).all()


@pytest.mark.parametrize("wrong", [-1, 4, -99, 1000])
def test_cross_entropy_refuses_other_labels(wrong):
    with pytest.raises(ValueError, match=rf"labels must be 0..3, or -100 for none; got {wrong}"):
        ops.cross_entropy(np.zeros((3, 4)), labels=np.array([0, wrong, IGNORE]))


def test_cross_entropy_wants_a_weight_for_each_class():
    with pytest.raises(ValueError, match=r"weights must be \(C,\) = \(4,\), got \(3,\)"):
        ops.cross_entropy(np.zeros((3, 4)), labels=np.zeros(3, int), weights=np.ones(3))


def test_an_ignored_row_changes_nothing():
    rng = np.random.default_rng(0)
    logits, labels = rng.standard_normal((4, 3)), np.array([0, IGNORE, 2, 1])
    one = ops.cross_entropy(logits, labels=labels)
    logits[1] = np.nan
    assert ops.cross_entropy(logits, labels=labels) == one


@quick
@given(sizes, widths, st.sampled_from([1.0, 1e3]), seeds)
def test_losses_of_numbers(N, C, scale, seed):
    rng = np.random.default_rng(seed)
    x, target, share = scale * rng.standard_normal((N, C)), rng.standard_normal((N, C)), rng.random((N, C))
    close(ops.mean_squared_error(x, labels=target), reference.mean_squared_error(x, target))
    for y in (share, share > 0.5):
        close(ops.binary_cross_entropy(x, labels=y), reference.binary_cross_entropy(x, y), rtol=1e-11)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("op", [ops.mean_squared_error, ops.binary_cross_entropy])
def test_a_label_that_is_no_number(op, wrong):
    labels = np.ones((2, 3))
    labels[1, 2] = wrong
    with pytest.raises(ValueError, match=rf"labels must be finite numbers \(float32\), got {wrong} at \(1, 2\)"):
        op(np.ones((2, 3), np.float32), labels=labels)
    with pytest.raises(ValueError, match="got 1e[+]300 at"):            # infinite as float32
        op(np.ones(1, np.float32), labels=np.array([1e300]))
    assert np.isfinite(op(np.ones(1, np.float64), labels=np.array([1e30])).data)


def test_binary_cross_entropy_of_extreme_logits():
    x = np.array([5e4, -5e4, 5e4], np.float32)
    loss, saved = ops.binary_cross_entropy.forward(x, labels=np.array([1, 0, 0]))
    close(loss, np.float32(5e4 / 3), rtol=1e-6)
    close(ops.binary_cross_entropy.backward(np.float32(3), saved)[0], np.float32([0, 0, 1]))


@pytest.mark.parametrize("op,labels", [(ops.cross_entropy, np.array([0, 1, 1, 0])),
                                       (ops.mean_squared_error, np.ones((4, 2))),
                                       (ops.binary_cross_entropy, np.ones((4, 2)))])
def test_losses_of_parts_add_up_by_their_share_of_the_labels(op, labels):
    x, n = np.random.default_rng(0).standard_normal((4, 2)), ops.label_count(labels)
    assert n == (4 if op is ops.cross_entropy else 8)
    parts = [op(x[s], labels=labels[s]) * ops.label_count(labels[s]) / n for s in (slice(0, 1), slice(1, 4))]
    close(sum(parts), op(x, labels=labels), rtol=1e-14)


def test_what_counts_as_a_label():
    assert ops.label_count(np.array([[3, -100], [-100, 0]])) == 2
    assert ops.label_count(np.array([1, 2], np.uint8)) == 2
    assert ops.label_count(np.array([-100.0, 2.0])) == 2 and ops.label_count(np.zeros((2, 0), int)) == 0


@pytest.mark.parametrize("loss", [
    lambda x: ops.cross_entropy(x, labels=np.array([0, 1])),
    lambda x: ops.linear_cross_entropy(x, np.ones((3, 2)), None, labels=np.array([0, 1])),
    lambda x: ops.mean_squared_error(x, labels=np.full((2, 2), 0.4)),
    lambda x: ops.binary_cross_entropy(x, labels=np.full((2, 2), 0.4))])
def test_a_loss_of_integers_is_refused(loss):
    """In their dtype labels of 0.4 would be zeros, and so would the gradient."""
    loss(np.ones((2, 2)))
    for x in (np.ones((2, 2), int), Tensor(np.ones((2, 2), np.int32)), np.ones((2, 2), bool)):
        with pytest.raises(TypeError, match="must be floating-point numbers, got (int|bool)"):
            loss(x)


@pytest.mark.parametrize("loss", [lambda labels: ops.cross_entropy(np.ones((2, 3)), labels=labels),
                                  lambda labels: ops.linear_cross_entropy(np.ones((2, 4)), np.ones((3, 4)), None,
                                                                          labels=labels)])
def test_classes_are_integers_one_for_each_row(loss):
    with pytest.raises(TypeError, match="labels must be integers, got float64"):
        loss(np.ones(2))
    for shape in ((3,), (2, 1), ()):
        with pytest.raises(ValueError, match=r"labels must be \(N,\) = \(2,\), got"):
            loss(np.ones(shape, int))


# --- the decoder with its cross-entropy ------------------------------------------------------------------------------


def plain(x, weight, bias, labels, upstream):
    """(loss, how many are right, gradients) by the ops that are written for one thing each."""
    inputs = [a if a is None else Parameter(a) for a in (x, weight, bias)]
    logits = ops.linear(*inputs)
    loss = ops.cross_entropy(logits, labels=labels)
    right = (logits.data.argmax(-1) == labels).sum()
    return loss.data, right, gradients(loss, [a for a in inputs if a is not None], upstream)


@quick
@given(sizes, widths, widths, st.sampled_from([1.0, 1e3]), st.integers(1, 40), st.booleans(),
       st.sampled_from([np.float64, np.float32]), seeds)
def test_linear_cross_entropy_is_linear_and_cross_entropy(N, D, V, scale, block, biased, dtype, seed):
    rng = np.random.default_rng(seed)
    x, weight = (rng.standard_normal(shape).astype(dtype) for shape in ((N, D), (V, D)))
    bias = (scale * rng.standard_normal(V)).astype(dtype) if biased else None
    labels = rng.integers(V, size=N)
    labels[rng.random(N) < 0.4] = IGNORE
    tolerance = {"rtol": 1e-12, "atol": 1e-12} if dtype is np.float64 else {"rtol": 1e-4, "atol": 1e-5}
    loss, right, expected = plain(x, weight, bias, labels, dtype(0.7))
    inputs = [a if a is None else Parameter(a) for a in (x, weight, bias)]
    both = ops.linear_cross_entropy(*inputs, labels=labels, block=block)
    found = gradients(both, [a for a in inputs if a is not None], np.array([0.7, 5.0], dtype))
    assert both.dtype == dtype and all(g.dtype == dtype for g in found)
    np.testing.assert_allclose(both.data[0], loss, **tolerance)
    assert both.data[1] == right or dtype is np.float32
    for g, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(g, wanted, **tolerance)
    with no_grad():
        assert (ops.linear_cross_entropy(*inputs, labels=labels, block=block).data == both.data).all()
    if dtype is np.float64:
        logits = reference.linear(x, weight, np.zeros(V) if bias is None else bias)
        close(both.data[0], reference.cross_entropy(logits, labels), rtol=1e-10)


def test_of_equal_scores_the_first_is_the_guess():
    x, weight = np.zeros((3, 2)), np.ones((4, 2))
    assert ops.linear_cross_entropy(x, weight, None, labels=np.array([0, 1, 0])).tolist() == [
        pytest.approx(math.log(4), rel=1e-12), 2]


def test_linear_cross_entropy_changes_nothing_that_it_was_given_or_saved():
    rng = np.random.default_rng(0)
    given = [rng.standard_normal(shape) for shape in ((5, 3), (7, 3), (7,))]
    before = [a.copy() for a in given]
    _, saved = ops.linear_cross_entropy.forward(*given, labels=rng.integers(7, size=5), block=14)
    dy, kept = np.array([1.0, 0.0]), [a.copy() for a in saved[0]]
    first, second = (ops.linear_cross_entropy.backward(dy, saved) for _ in range(2))
    assert all((a == b).all() for a, b in zip(given, before, strict=True))
    assert all((a == b).all() for a, b in zip(saved[0], kept, strict=True))
    for a, b, c in zip(first, second, saved[0], strict=True):
        assert (a == b).all() and not np.shares_memory(a, b) and not np.shares_memory(a, c)


def test_linear_cross_entropy_holds_a_block_of_scores_at_a_time():
    x, weight = (np.random.default_rng(0).standard_normal(shape).astype(np.float32) for shape in ((400, 4), (5000, 4)))
    labels = np.arange(400)

    def peak(record):
        tracemalloc.start()
        with contextlib.nullcontext() if record else no_grad():
            ops.linear_cross_entropy(Parameter(x), weight, None, labels=labels, block=40 * 5000)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found / (4 * 400 * 5000)             # as a share of all scores

    assert 0.1 < peak(False) < 0.17 and 0.1 < peak(True) < 0.2


@pytest.mark.parametrize("shapes, message", [
    (((2, 3), (4, 2), None), r"linear_cross_entropy: weight must be \(V, D\) = \(V, 3\), got \(4, 2\)"),
    (((2,), (4, 2), None), r"x must be \(N, D\) = \(N, D\), got \(2,\)"),
    (((2, 3), (4, 3), (3,)), r"bias must be \(V,\) = \(4,\), got \(3,\)"),
    (((2, 3), (4, 3), (1,)), r"bias must be \(V,\) = \(4,\), got \(1,\)"),
    (((3, 3), (4, 3), None), r"labels must be \(N,\) = \(3,\), got \(2,\)"),
    (((2, 3), (2, 3), None), r"labels must be 0..1, or -100 for none; got 2")])
def test_linear_cross_entropy_checks_what_it_is_given(shapes, message):
    with pytest.raises(ValueError, match=message):
        ops.linear_cross_entropy(*(s if s is None else np.ones(s) for s in shapes), labels=np.array([0, 2]))


# --- at the door -----------------------------------------------------------------------------------------------------

def rows(*shape):
    return Parameter(np.ones(shape))


@pytest.mark.parametrize("call,message", [
    (lambda: ops.add(rows(3, 4), rows(4)), r"add: x and y must have the same shape, got \(3, 4\) and \(4,\)"),
    (lambda: ops.add(rows(3, 4), rows(3, 1)), "add: .*same shape"),
    (lambda: ops.add(rows(1), rows()), "add: .*same shape"),
    (lambda: ops.linear(rows(3, 4), rows(5, 4), rows(1)), r"linear: bias must be \(F,\) = \(5,\), got \(1,\)"),
    (lambda: ops.linear(rows(3, 4), rows(5, 3), None), r"linear: weight must be \(F, D\) = \(F, 4\), got \(5, 3\)"),
    (lambda: ops.linear(rows(2, 3, 4), rows(5, 4), None), r"linear: x must be \(N, D\) = \(N, D\), got \(2, 3, 4\)"),
    (lambda: ops.linear(rows(4), rows(5, 4), None), r"linear: x must be \(N, D\)"),
    (lambda: ops.layer_norm(rows(3, 4), rows(1), rows(4), eps=1e-5), r"layer_norm: gain must be \(D,\) = \(4,\), got "),
    (lambda: ops.layer_norm(rows(3, 4), rows(4), rows(3, 4), eps=1e-5), r"layer_norm: bias must be \(D,\) = \(4,\)"),
    (lambda: ops.layer_norm(rows(4), rows(4), rows(4), eps=1e-5), r"layer_norm: x must be \(N, D\)"),
    (lambda: ops.take(rows(3, 4), ids=np.array([[0, 1]])), r"take: ids must be \(N,\) integers, got int64 \(1, 2\)"),
    (lambda: ops.take(rows(3, 4), ids=np.array([0.0])), r"take: ids must be \(N,\) integers, got float64"),
    (lambda: ops.take(rows(3, 4), ids=np.array([True, False, True])), r"take: ids must be \(N,\) integers, got bool"),
    (lambda: ops.take(rows(3, 4), ids=np.array([3])), r"take: ids must be 0\.\.2, got 3"),
    (lambda: ops.take(rows(3, 4), ids=np.array([-1])), r"take: ids must be 0\.\.2, got -1"),
    (lambda: ops.unpack(rows(2, 4), padded_index=np.array([0]), shape=(2, 2)),
     r"unpack: padded_index must be \(N,\) = \(2,\), got \(1,\)"),
    (lambda: ops.unpack(rows(2, 4), padded_index=np.array([0, 4]), shape=(2, 2)),
     r"unpack: padded_index must be 0\.\.3, got 4"),
    (lambda: ops.unpack(rows(2, 4), padded_index=np.array([1, 1]), shape=(2, 2)), "each row needs a place of its own"),
    (lambda: ops.column(rows(2, 4), index=4), r"column: index must be 0\.\.3, got 4"),
    (lambda: ops.column(rows(2, 4), index=-1), r"column: index must be 0\.\.3, got -1"),
    *((lambda rate=rate: ops.dropout(rows(2), rate=rate, rng=None), rf"dropout: rate must be in \[0, 1\), got {rate}")
      for rate in (-0.1, 1, 1.5, math.nan)),
    (lambda: attention(rate=1.0), r"attention: rate must be in \[0, 1\), got 1.0"),
    (lambda: attention(heads=3), "attention: D = 4 cannot be cut into 3 heads"),
    (lambda: attention(key=rows(3, 6)), r"attention: key must be \(N, D\) = \(N, 4\), got \(3, 6\)"),
    (lambda: attention(value=rows(2, 4)), r"attention: value must be \(N, D\) = \(3, 4\), got \(2, 4\)"),
])
def test_what_does_not_fit_is_refused_at_the_door(call, message):
    """Nothing is broadcast: the gradient would have another shape than its value."""
    with pytest.raises(ValueError, match=message):
        call()


def attention(key=None, value=None, heads=2, rate=0.0):
    key, value = (rows(3, 4) if x is None else x for x in (key, value))
    return ops.attention(rows(3, 4), key, value, buckets=[ops.Bucket(slice(0, 3), slice(0, 3))], heads=heads, rate=rate)


def test_attention_probs_are_those_of_the_op():
    """Of each span a row for each token that asks; times the values they are the output."""
    rng = np.random.default_rng(0)
    query, key, value = (rng.standard_normal((6, 4)) for _ in range(3))
    buckets = [ops.Bucket(slice(0, 4), slice(0, 4), 2), ops.Bucket(slice(4, 6), slice(4, 6))]
    options = {"buckets": buckets, "heads": 2, "mask": ops.causal}
    found = ops.attention_probs(query, key, **options)
    assert [p.shape for p in found] == [(2, 2, 2, 2), (1, 2, 2, 2)]
    out = ops.attention(query, key, value, **options)
    for b, probs in enumerate(np.concatenate(found)):
        part = slice(2 * b, 2 * b + 2)
        mixed = probs @ value[part].reshape(2, 2, 2).transpose(1, 0, 2)         # (H, Tq, K)
        np.testing.assert_allclose(out[part], mixed.transpose(1, 0, 2).reshape(2, 4), rtol=1e-13)
        np.testing.assert_allclose(probs.sum(-1), 1, rtol=1e-14)
        assert (np.triu(probs, 1) == 0).all()


@pytest.mark.parametrize("call", [
    lambda x: ops.take(x, ids=[0, 1]), lambda x: ops.cross_entropy(x, labels=[0, 1]),
    lambda x: ops.linear_cross_entropy(x, x, None, labels=[0, 1]), lambda x: ops.mean_squared_error(x, labels=[[0, 1]]),
    lambda x: ops.binary_cross_entropy(x, labels=[[0, 1]]), lambda x: ops.unpack(x, padded_index=[0, 1], shape=(2,))])
def test_lists_are_refused_where_an_array_is_needed(call):
    with pytest.raises(TypeError, match="(ids|labels|padded_index) must be an array, got list"):
        call(np.ones((2, 2)))
