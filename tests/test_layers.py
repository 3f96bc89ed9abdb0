"""The layers against the reference, and how modules find and name their parameters."""
import numpy as np
import pytest
import reference

from numbert import ops
from numbert.autograd import gradients
from numbert.layers import Embedding, FeedForward, LayerNorm, Linear, SelfAttention, TransformerLayer
from numbert.module import Module, Parameter, normal
from numbert.ops.activations import keep_mask
from numbert.packing import pack

LENGTHS = [3, 1, 4]
IDS = np.arange(12).reshape(3, 4)
MASK = np.arange(4) < np.array(LENGTHS)[:, None]
PACKED = pack(IDS, None, MASK, vocab_size=12, type_vocab_size=1)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def new(rng, **more):
    return dict(rng=rng, std=0.5, dtype=np.float64, **more)


def close(actual, expected, rtol=1e-11, atol=1e-12):
    np.testing.assert_allclose(np.asarray(actual), expected, rtol=rtol, atol=atol)


def shake(module, rng):
    """Let no bias be 0 and no gain 1."""
    for p in module.parameters():
        p.data = p.data + 0.3 * rng.standard_normal(p.shape)
    return module


def test_names_are_paths_in_the_order_of_making():
    class Pair(Module):
        def __init__(self):
            self.second, self.first = Parameter(np.zeros(2)), Parameter(np.zeros(1))
            self.inside = [LayerNorm(3, eps=0.1, dtype=float), Parameter(np.zeros(4))]
            self.size, self.words, self.nothing = 7, ["a"], None

    pair = Pair()
    found = pair.named_parameters("x.")
    assert list(found) == ["x.second", "x.first", "x.inside.0.gain", "x.inside.0.bias", "x.inside.1"]
    assert pair.parameters() == list(found.values()) and found["x.second"] is pair.second


def test_trainable_parameters(rng):
    layer = Linear(2, 3, **new(rng))
    assert layer.trainable_parameters() == layer.parameters()
    layer.weight.requires_grad = False
    assert layer.trainable_parameters() == [layer.bias]


@pytest.mark.parametrize("module,names", [
    (lambda r: Linear(2, 3, **new(r)), {"weight": (3, 2), "bias": (3,)}),
    (lambda r: Embedding(5, 2, **new(r)), {"weight": (5, 2)}),
    (lambda r: LayerNorm(2, eps=0.1, dtype=float), {"gain": (2,), "bias": (2,)}),
    (lambda r: FeedForward(2, 3, ops.gelu, **new(r)),
     {"expand.weight": (3, 2), "expand.bias": (3,), "contract.weight": (2, 3), "contract.bias": (2,)}),
])
def test_shapes(module, names, rng):
    assert {name: p.shape for name, p in module(rng).named_parameters().items()} == names


def test_initial_values(rng):
    x = normal(rng, (200, 300), 0.02, np.float64).data
    assert abs(x.mean()) < 3e-4 and x.std() == pytest.approx(0.02, rel=0.02)
    layer = Linear(4, 3, **new(rng))
    assert not layer.bias.data.any() and layer.weight.data.std() > 0.1
    norm = LayerNorm(3, eps=0.1, dtype=np.float32)
    assert (norm.gain.data == 1).all() and (norm.bias.data == 0).all() and norm.gain.dtype == np.float32


def test_the_draws_do_not_depend_on_the_dtype():
    one, other = (normal(np.random.default_rng(1), (3, 4), 0.02, dtype).data for dtype in (np.float32, np.float64))
    assert one.dtype == np.float32 and (one == other.astype(np.float32)).all()


def test_linear_embedding_and_layer_norm(rng):
    linear, norm, table = (shake(m, rng) for m in (
        Linear(4, 3, **new(rng)), LayerNorm(4, eps=1e-5, dtype=np.float64), Embedding(6, 4, **new(rng))))
    x, ids = rng.standard_normal((5, 4)), np.array([5, 0, 5])
    close(linear(x), reference.linear(x, linear.weight.data, linear.bias.data))
    close(norm(x), reference.layer_norm(x, norm.gain.data, norm.bias.data, 1e-5))
    close(table(ids), reference.take(table.weight.data, ids))


def plain_attention(layer, asking, x, at=None, mask=None):
    q, k, v = (reference.linear(rows, part.weight.data, part.bias.data)
               for rows, part in ((asking, layer.query), (x, layer.key), (x, layer.value)))
    mixed = reference.attention(q, k, v, LENGTHS, layer.heads, mask, at)
    return reference.linear(mixed, layer.output.weight.data, layer.output.bias.data)


def plain_feed_forward(layer, x):
    hidden = reference.gelu(reference.linear(x, layer.expand.weight.data, layer.expand.bias.data))
    return reference.linear(hidden, layer.contract.weight.data, layer.contract.bias.data)


def test_self_attention(rng):
    layer, x = shake(SelfAttention(6, 3, dropout=0.5, **new(rng)), rng), rng.standard_normal((8, 6))
    close(layer(x, x, PACKED.buckets()), plain_attention(layer, x, x))
    close(layer(x, x, PACKED.buckets(), mask=ops.causal), plain_attention(layer, x, x, mask=lambda q, k: k <= q))
    rows = np.array([1, 4, 7])
    close(layer(x[rows], x, PACKED.buckets(rows)), plain_attention(layer, x[rows], x, at=[[1], [], [0, 3]]))


@pytest.mark.parametrize("dropped", [False, True])
def test_transformer_layer(dropped, rng):
    layer = shake(TransformerLayer(4, 2, 6, ops.gelu, eps=1e-5, dropout=0.3, attention_dropout=0, **new(rng)), rng)
    x, draws = rng.standard_normal((8, 4)), np.random.default_rng(5)

    def norm(x, module):
        return reference.layer_norm(x, module.gain.data, module.bias.data, 1e-5)

    def dropout(x):
        return x * keep_mask(x.shape, 0.3, draws) / 0.7 if dropped else x

    middle = norm(x + dropout(plain_attention(layer.attention, x, x)), layer.attention_norm)
    expected = norm(middle + dropout(plain_feed_forward(layer.feed_forward, middle)), layer.feed_forward_norm)
    close(layer(x, PACKED, rng=np.random.default_rng(5) if dropped else None), expected)


@pytest.mark.parametrize("rows", [[0, 3, 4], [5], [], list(range(8))])
@pytest.mark.parametrize("mask", [None, ops.causal])
def test_chosen_rows_are_rows_of_the_whole(rows, mask, rng):
    """Values and gradients: what is not asked for is not computed, and not missed."""
    layer = shake(TransformerLayer(4, 2, 6, ops.gelu, eps=1e-5, dropout=0.5, attention_dropout=0.5, **new(rng)), rng)
    x, rows = Parameter(rng.standard_normal((8, 4))), np.array(rows, int)
    whole, part = ops.take(layer(x, PACKED, mask=mask), ids=rows), layer(x, PACKED, rows=rows, mask=mask)
    close(part, whole.data)
    upstream, tensors = rng.standard_normal(part.shape), [x, *layer.parameters()]
    for one, other in zip(gradients(part, tensors, upstream), gradients(whole, tensors, upstream), strict=True):
        close(one, other)


def test_dropout_is_on_if_and_only_if_there_is_a_generator(rng):
    x = rng.standard_normal((8, 4))

    def run(dropout, attention_dropout, seed):
        layer = TransformerLayer(4, 2, 6, ops.gelu, eps=1e-5, dropout=dropout, attention_dropout=attention_dropout,
                                 **new(np.random.default_rng(1)))
        return np.asarray(layer(x, PACKED, rng=None if seed is None else np.random.default_rng(seed)))

    for rates in ((0.5, 0), (0, 0.5), (0.5, 0.5)):
        assert (run(*rates, None) == run(0, 0, None)).all()
        assert (run(*rates, 3) == run(*rates, 3)).all()
        assert (run(*rates, 3) != run(*rates, 4)).any() and (run(*rates, 3) != run(0, 0, None)).any()
    assert (run(0, 0, 3) == run(0, 0, None)).all()
