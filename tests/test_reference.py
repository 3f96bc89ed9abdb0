"""The backward passes of `reference.py`: right by central differences of its forward passes; the ops held to them."""
import numpy as np
import pytest
import reference
import tiny_bert
from hypothesis import given, settings
from hypothesis import strategies as st

from numbert import BertModel, Parameter, gradients, ops
from numbert.ops.activations import keep_mask

PACKER = BertModel(tiny_bert.config(), rng=np.random.default_rng(0))        # whose way from (B, T) to rows is asked for
quick = settings(max_examples=40, deadline=None)
seeds = st.integers(0, 2**32 - 1)
MASKS = {"all": None, "causal": lambda q, k: k <= q, "prefix of two": lambda q, k: k <= q or k < 2}
OPS_MASKS = {"all": None, "causal": ops.causal, "prefix of two": ops.prefix(2)}


def close(found, expected, tolerance=1e-12):
    """To `tolerance` of the largest number."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    scale = max(1.0, np.abs(expected).max(initial=0))
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)


def op_gradients(op, inputs, upstream, **options):
    """The package's gradients, asked for as anybody would."""
    parameters = [Parameter(x) for x in inputs]
    return gradients(op(*parameters, **options), parameters, upstream)


def differences(function, inputs, upstream, h=1e-6):
    """The derivative of sum(function(*inputs) * upstream) with respect to each input, by central differences."""
    found = []
    for n, x in enumerate(inputs):
        slope = np.zeros(x.shape)
        for place in np.ndindex(x.shape):
            up, down = ([y.copy() for y in inputs] for _ in range(2))
            up[n][place] += h
            down[n][place] -= h
            slope[place] = np.sum((np.asarray(function(*up)) - function(*down)) * upstream) / (2 * h)
        found.append(slope)
    return found


# --- GELU ------------------------------------------------------------------------------------------------------------

@quick
@given(st.integers(0, 4), st.integers(1, 5), st.sampled_from([0.1, 1.0, 8.0]), seeds)
def test_gelu(N, D, scale, seed):
    rng = np.random.default_rng(seed)
    x, dy = scale * rng.standard_normal((N, D)), rng.standard_normal((N, D))
    twin = reference.gelu_backward(dy, x)
    close(twin, differences(reference.gelu, [x], dy)[0], 1e-7)
    close(op_gradients(ops.gelu, [x], dy)[0], twin)


# --- layer norm ------------------------------------------------------------------------------------------------------

@quick
@given(st.integers(0, 4), st.integers(2, 6), st.sampled_from([1e-12, 1e-5, 0.1]), st.sampled_from([0.3, 1.0, 30.0]),
       seeds)
def test_layer_norm(N, D, eps, scale, seed):
    rng = np.random.default_rng(seed)
    x, gain, bias = scale * rng.standard_normal((N, D)) + 2, rng.standard_normal(D), rng.standard_normal(D)
    dy = rng.standard_normal((N, D))
    twin = reference.layer_norm_backward(dy, x, gain, eps)
    for found, expected in zip(op_gradients(ops.layer_norm, [x, gain, bias], dy, eps=eps), twin, strict=True):
        close(found, expected, 1e-9)                        # two numbers may be near each other, and r then large


def test_layer_norm_by_differences():
    rng = np.random.default_rng(0)
    x, gain, bias, dy = (rng.standard_normal(shape) for shape in ((3, 5), 5, 5, (3, 5)))
    for eps in (1e-12, 0.1):
        expected = differences(lambda *inputs, eps=eps: reference.layer_norm(*inputs, eps), [x, gain, bias], dy)
        for found, slope in zip(reference.layer_norm_backward(dy, x, gain, eps), expected, strict=True):
            close(found, slope, 1e-7)


# --- softmax and attention -------------------------------------------------------------------------------------------

def test_softmax_by_differences():
    rng = np.random.default_rng(0)
    scores, dprobs = rng.standard_normal((2, 6))
    found = reference.softmax_backward(dprobs, reference.softmax(scores))
    close(found, differences(reference.softmax, [scores], dprobs)[0], 1e-8)


def sequences(rng, lengths, asking_share=None):
    """Packed sequences, and for an `asking_share` of their tokens (None: all) the rows and the places that ask."""
    T = max(lengths)
    mask = (np.arange(T) < np.array(lengths)[:, None]).astype(int)
    packed = PACKER.pack(np.zeros_like(mask), attention_mask=mask)
    if asking_share is None:
        return packed, None, None
    chosen = rng.random(sum(lengths)) < asking_share
    parts = np.split(chosen, np.cumsum(lengths)[:-1])
    return packed, np.flatnonzero(chosen), [np.flatnonzero(part).tolist() for part in parts]


@quick
@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(1, 3), st.integers(1, 3),
       st.sampled_from(list(MASKS)), st.sampled_from([None, 0.0, 0.5]), st.sampled_from([0.3, 1.0, 20.0]), seeds)
def test_attention(lengths, H, K, seen, asking_share, scale, seed):
    rng = np.random.default_rng(seed)
    packed, rows, asking = sequences(rng, lengths, asking_share)
    N = sum(lengths)
    Nq = N if rows is None else len(rows)
    inputs = [scale * rng.standard_normal((n, H * K)) for n in (Nq, N, N)]
    dy = rng.standard_normal((Nq, H * K))
    twin = reference.attention_backward(dy, *inputs, lengths, H, MASKS[seen], asking)
    found = op_gradients(ops.attention, inputs, dy, buckets=packed.buckets(rows), heads=H, mask=OPS_MASKS[seen])
    for one, other in zip(found, twin, strict=True):
        close(one, other)


@pytest.mark.parametrize("seen", MASKS)
def test_attention_with_dropout(seen):
    rng = np.random.default_rng(1)
    lengths, H, rate = [3, 3, 1, 4], 2, 0.4
    packed, *_ = sequences(rng, lengths)
    inputs, dy = [rng.standard_normal((11, 6)) for _ in range(3)], rng.standard_normal((11, 6))
    draws = np.random.default_rng(5)                        # the op's own draws: one for neighbours of equal length
    keep = [part for n, T in ((2, 3), (1, 1), (1, 4)) for part in keep_mask((n, H, T, T), rate, draws)]
    assert not all(part.all() for part in keep)
    found = op_gradients(ops.attention, inputs, dy, buckets=packed.buckets(), heads=H, mask=OPS_MASKS[seen], rate=rate,
                         rng=np.random.default_rng(5))
    twin = reference.attention_backward(dy, *inputs, lengths, H, MASKS[seen], keep=keep, rate=rate)
    for one, other in zip(found, twin, strict=True):
        close(one, other)


@pytest.mark.parametrize("rate", [0.0, 0.4])
@pytest.mark.parametrize("seen", MASKS)
def test_attention_by_differences(seen, rate):
    rng = np.random.default_rng(2)
    lengths, asking = [3, 4], [[0, 2], [1, 2, 3]]
    inputs, dy = [rng.standard_normal((n, 4)) for n in (5, 7, 7)], rng.standard_normal((5, 4))
    keep = [rng.random((2, len(a), n)) > rate for a, n in zip(asking, lengths, strict=True)]
    options = dict(mask=MASKS[seen], asking=asking, keep=keep, rate=rate)
    expected = differences(lambda *inputs: reference.attention(*inputs, lengths, 2, **options), inputs, dy)
    for found, slope in zip(reference.attention_backward(dy, *inputs, lengths, 2, **options), expected, strict=True):
        close(found, slope, 1e-8)


# --- cross-entropy ---------------------------------------------------------------------------------------------------

@quick
@given(st.integers(1, 6), st.integers(2, 6), st.sampled_from([0.3, 1.0, 5e4]), st.booleans(),
       st.sampled_from([0.0, 0.1]), seeds)
def test_cross_entropy(N, C, scale, weighted, smoothing, seed):
    rng = np.random.default_rng(seed)
    logits, labels, dy = scale * rng.standard_normal((N, C)), rng.integers(C, size=N), rng.standard_normal()
    labels[rng.random(N) < 0.4] = -100
    weights = 3 * rng.random(C) if weighted else None
    twin = reference.cross_entropy_backward(dy, logits, labels, weights, smoothing)
    assert (twin[labels == -100] == 0).all()
    close(op_gradients(ops.cross_entropy, [logits], np.float64(dy), labels=labels, weights=weights,
                       smoothing=smoothing)[0], twin)


@pytest.mark.parametrize("weights", [None, np.array([0.5, 2.0, 0.0, 1.3])])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_by_differences(weights, smoothing):
    rng = np.random.default_rng(3)
    logits, labels, dy = rng.standard_normal((5, 4)), np.array([3, -100, 0, 1, 2]), -1.7
    expected, = differences(lambda x: reference.cross_entropy(x, labels, weights=weights, smoothing=smoothing),
                            [logits], dy)
    close(reference.cross_entropy_backward(dy, logits, labels, weights, smoothing), expected, 1e-8)
