"""The core: what is recorded, how the walk adds up, what it releases, and that threads do not meet."""
import gc
import pickle
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from numbert import autograd, ops
from numbert.autograd import Tensor, gradients, op
from numbert.models.bert import BertForPreTraining
from numbert.models.config import BertConfig
from numbert.module import Parameter
from numbert.recording import no_grad, recording, watching
from numbert.sparse import SparseRows, accumulate


@op
def multiply(x, y):
    return x * y, (x, y)


@multiply.vjp
def multiply_backward(dy, saved):
    x, y = saved
    return dy * y, dy * x


@op
def total(x):
    return x.sum(), x.shape


@total.vjp
def total_backward(dy, shape):
    return (np.full(shape, dy),)


for mine in (multiply, total):                      # ops of the tests are not the package's
    del autograd.REGISTRY[mine.name]


def parameter(*values):
    return Parameter(np.array(values, float))


# --- recording -------------------------------------------------------------------------------------------------------

def test_arrays_in_array_out():
    y = multiply(np.array([2.0]), np.array([3.0]))
    assert type(y) is np.ndarray and y == 6


def test_tensors_in_tensor_out():
    constant = Tensor([2.0])
    y, z = multiply(constant, np.array([3.0])), multiply(parameter(2), constant)
    assert type(y) is type(z) is Tensor
    assert y.node is None and z.node is not None    # nothing to differentiate in y
    assert (y.data, z.data, float(total(z))) == (6, 4, 4) and (z.shape, z.dtype, len(z)) == ((1,), float, 1)
    assert "6." in repr(y)


def test_there_is_nothing_to_differentiate_in_an_array():
    with pytest.raises(ValueError, match="nothing to differentiate: the output was computed from plain arrays"):
        gradients(ops.tanh(np.ones(1)), [parameter(1)])


def test_repr_is_one_short_line():
    x = parameter(1, 2)
    assert repr(x) == "<Parameter (2,) float64: [1. 2.]>"
    assert repr(multiply(x, x)) == "<Tensor (2,) float64, made by multiply: [1. 4.]>"
    assert repr(total(x)) == "<Tensor () float64, made by total: 3.>"
    assert repr(Tensor(np.array([[True]]))) == "<Tensor (1, 1) bool: [[ True]]>"
    large = repr(Parameter(np.arange(6000, dtype=np.float32).reshape(20, 30, 10)))
    assert large.startswith("<Parameter (20, 30, 10) float32: [[[ 0. ... 9.] ... ")
    assert "\n" not in large and len(large) < 200
    x.requires_grad = False
    assert repr(x) == "<frozen Parameter (2,) float64: [1. 2.]>"
    assert repr(multiply) == "<op multiply>"


@pytest.mark.parametrize("made", [np.ones((2, 3)), [np.ones(2), ()], (np.ones(2),), 1.0, (np.ones(2), np.ones(2)),
                                  (np.ones(2), None)])
def test_a_forward_pass_that_forgets_what_it_saves_is_refused(made):
    """An array of two rows, for one, would be taken for an output and what it saved."""
    forgetful = op(lambda x: made)
    del autograd.REGISTRY[forgetful.name]
    for x in (np.ones(2), parameter(1, 2)):
        with pytest.raises(ValueError, match=r"the forward pass must return \(output, saved\), and saved"):
            forgetful(x)


def test_a_tensor_is_an_array_to_numpy():
    x = parameter(1, 2)
    assert np.asarray(x) is x.data and np.array(x) is not x.data
    assert np.asarray(x, np.float32).dtype == np.float32


def test_options_are_not_inputs():
    labels = np.array([0])
    y = ops.cross_entropy(Parameter(np.zeros((1, 2))), labels=labels)
    assert len(y.node.parents) == 1


def test_no_grad_records_nothing_and_ends():
    x = parameter(1)
    assert recording.get()
    with no_grad():
        assert not recording.get()
        with no_grad():
            pass
        assert not recording.get()
        y = ops.tanh(x)
    assert recording.get() and y.node is None
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert recording.get() and ops.tanh(x).node is not None


def test_no_grad_is_of_its_thread():
    inside, outside = threading.Event(), threading.Event()

    def infer():
        with no_grad():
            inside.set()
            outside.wait(5)
            return recording.get()

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(infer)
        assert inside.wait(5) and recording.get()
        outside.set()
        assert other.result() is False


def test_watching():
    seen = []
    x = parameter(1, 2)

    def forward(op, inputs, options, output, node):
        seen.append((op.name, len(inputs), options, output.tolist(), node and node.op))

    def backward(node, dy, found):
        seen.append((node.op.name, dy.tolist(), [g.tolist() for g in found]))

    with watching(forward, backward):
        y = ops.column(ops.add(x, x), index=0)
        gradients(y, [x])
        with no_grad():
            ops.add(x, x)
    gradients(ops.column(ops.add(x, x), index=0), [x])
    assert seen == [("add", 2, {}, [2, 4], ops.add), ("column", 1, {"index": 0}, 2, ops.column),
                    ("column", 1.0, [[1, 0]]), ("add", [1, 0], [[1, 0], [1, 0]]), ("add", 2, {}, [2, 4], None)]


def test_a_node_keeps_what_is_saved_and_not_the_value():
    x = parameter(1, 2)
    middle = ops.add(x, x)                          # backward needs neither its inputs nor its output
    value = weakref.ref(middle.data)
    y = ops.add(middle, x)
    del middle
    assert value() is None
    assert gradients(y, [x], np.ones(2))[0].tolist() == [3, 3]


@pytest.mark.parametrize("name,call", [
    ("mean", np.mean), ("sum", lambda x: np.sum(x, axis=0)), ("concatenate", lambda x: np.concatenate([x, x])),
    ("stack", lambda x: np.stack([x, x])), ("where", lambda x: np.where(True, x, 0)), ("dot", lambda x: np.dot(x, x)),
    ("norm", np.linalg.norm), ("einsum", lambda x: np.einsum("i->", x)), ("clip", lambda x: np.clip(x, 0, 1)),
    ("reshape", lambda x: np.reshape(x, (2, 1))), ("copy", np.copy)])
def test_a_numpy_function_raises_instead_of_losing_the_history(name, call):
    for x in (parameter(1, 2), Tensor([1.0, 2.0])):
        with pytest.raises(TypeError, match=f"np.{name} of a Tensor would lose how it was made"):
            call(x)
        call(x.data)
    assert (np.shape(x), np.ndim(x), np.size(x)) == ((2,), 1, 2)        # which lose nothing


@pytest.mark.parametrize("call", [
    np.exp, lambda x: np.ones(2) + x, lambda x: x + np.ones(2), lambda x: 2 * x, lambda x: np.add(x, x),
    lambda x: x @ x, lambda x: -x, lambda x: x[0], list])
def test_so_does_an_operator(call):
    with pytest.raises(TypeError):
        call(parameter(1, 2))


def test_a_tensor_among_the_options():
    with pytest.raises(TypeError, match="layer_norm: no gradient reaches an option; give the Tensor gain by position"):
        ops.layer_norm(Parameter(np.ones((2, 3))), gain=parameter(1, 2, 3), bias=parameter(1, 2, 3), eps=1e-12)


def test_integers_become_numbers_that_have_a_gradient():
    x = Parameter(np.array([1, 2], np.int32))
    assert x.dtype == np.float64
    assert gradients(ops.mean_squared_error(x, labels=np.array([0.5, 1.5])), [x])[0].tolist() == [0.5, 0.5]


@pytest.mark.parametrize("data", [np.array([True]), np.array([1 + 2j]), ["a"]])
def test_a_parameter_is_of_floating_point_numbers(data):
    with pytest.raises(TypeError, match="must hold floating-point numbers, got"):
        Parameter(data)


def test_a_parameter_is_freed_when_it_is_dropped():
    gc.disable()                                        # by its last reference, not when Python looks for cycles
    try:
        x = parameter(1, 2)
        total(multiply(x, x)).backward()
        array = weakref.ref(x.data)
        del x
        assert array() is None
    finally:
        gc.enable()


def test_a_parameter_can_be_pickled():
    x = parameter(1, 2)
    total(multiply(x, x)).backward()
    y = pickle.loads(pickle.dumps(x))
    assert y.data.tolist() == [1, 2] and y.grad.tolist() == [2, 4] and y.node is y.leaf is not x.node
    total(y).backward()
    assert y.grad.tolist() == [3, 5] and x.grad.tolist() == [2, 4]


# --- the walk --------------------------------------------------------------------------------------------------------

def test_diamonds():
    """((x + x)(x + x))² = 16 x⁴: what flows together adds up."""
    x = parameter(1, 2, -3)
    y = multiply(ops.add(x, x), ops.add(x, x))
    dx, = gradients(total(multiply(y, y)), [x])
    assert dx.tolist() == (64 * x.data**3).tolist()


def test_paths_of_different_length():
    """The deepest comes first: a gradient passes on only when all of it has arrived."""
    x = parameter(0.5)
    short = ops.tanh(x)
    long = short
    for _ in range(5):
        long = multiply(long, short)                # tanh(x)⁶
    dx, = gradients(ops.add(long, short), [x], np.ones(1))
    t = np.tanh(0.5)
    assert dx == pytest.approx((6 * t**5 + 1) * (1 - t * t), rel=1e-14)


def test_intermediate_tensors_and_the_output_itself():
    x = parameter(1, 2)
    h = multiply(x, x)
    y = multiply(h, h)
    dy, dx, dh = gradients(total(y), [y, x, h])
    assert dy.tolist() == [1, 1]
    assert dh.tolist() == (2 * x.data**2).tolist()
    assert dx.tolist() == (4 * x.data**3).tolist()
    loss = total(multiply(x, x))
    assert gradients(loss, [loss]) == [1]
    assert gradients(x, [x], np.array([5.0, 7.0]))[0].tolist() == [5, 7]


def test_no_influence_no_gradient():
    x, other, constant = parameter(1, 2), Parameter(np.ones((2, 3), np.float32)), Tensor([1.0])
    dother, dconstant = gradients(total(multiply(x, constant)), [other, constant])
    assert dother.shape == (2, 3) and dother.dtype == np.float32 and not dother.any()
    assert dconstant.tolist() == [0]


def test_no_gradient_through_a_missing_input():
    x, weight = Parameter(np.ones((2, 3))), Parameter(np.ones((4, 3)))
    dx, dweight = gradients(ops.linear(x, weight, None), [x, weight], np.ones((2, 4)))
    assert (dx == 4).all() and (dweight == 2).all()


def test_upstream_is_not_changed_and_takes_the_outputs_dtype():
    x = Parameter(np.ones(2, np.float32))
    upstream = np.array([1.0, 2.0])
    h = ops.reshape(x, shape=(2,))                  # whose backward returns dy's own memory
    dx, dh = gradients(ops.add(h, h), [x, h], upstream)
    assert dx.dtype == dh.dtype == np.float32 and upstream.tolist() == [1, 2]
    assert not any(np.shares_memory(a, b) for a, b in ((dx, dh), (dx, x.data), (dh, x.data)))
    same, = gradients(ops.reshape(x, shape=(2,)), [x], given := np.ones(2, np.float32))
    assert not np.shares_memory(same, given)


def test_100000_nodes():
    """Also when it is released: neither the walk nor Python's own cleaning up may recurse."""
    x = parameter(1)
    y = x
    for _ in range(100_000):
        y = ops.add(y, x)
    assert gradients(y, [x]) == [100_001]
    del y


def test_a_node_is_visited_once():
    """2⁶⁰ paths lead to x."""
    x = y = parameter(1)
    for _ in range(60):
        y = ops.add(y, y)
    assert gradients(y, [x]) == [2.0**60]


def test_a_second_backward_raises():
    x = parameter(1, 2)
    h = multiply(x, x)
    first, second = total(h), total(multiply(h, h))
    gradients(first, [x])
    for used in (first, second):                    # the second shares a part with the first
        with pytest.raises(ValueError, match="differentiated before.*compute it again"):
            gradients(used, [x])
    assert h.node.saved is None                     # its arrays are released


def test_errors():
    x = parameter(1, 2)
    with pytest.raises(ValueError, match=r"shape \(2,\), got \(\): only a scalar"):
        gradients(multiply(x, x), [x])
    with pytest.raises(ValueError, match=r"output's shape \(2,\), got \(3,\)"):
        gradients(multiply(x, x), [x], np.ones(3))
    with pytest.raises(ValueError, match="nothing to differentiate"):
        gradients(Tensor(1.0), [x])
    with pytest.raises(ValueError, match="nothing to differentiate"):
        Tensor(1.0).backward()
    with no_grad():
        y = total(x)
    with pytest.raises(ValueError, match="no_grad"):
        gradients(y, [x])


def broken(forward, backward):
    """An op that is not registered."""
    made = op(forward)
    autograd.REGISTRY.pop(made.name)
    made.backward = backward
    return made


@pytest.mark.parametrize("backward,message", [
    (lambda dy, saved: (dy, dy.copy()), r"spread: the gradient of input 1 must have its shape \(2,\), got \(3, 2\)"),
    (lambda dy, saved: (dy, np.float64(1.0)), r"spread: the gradient of input 1 must have its shape \(2,\), got \(\)"),
    (lambda dy, saved: (dy,), "spread has 2 inputs: its backward pass must return as many gradients"),
    (lambda dy, saved: dy, "spread has 2 inputs"),
    (None, "spread has no backward pass: decorate one with @spread.vjp"),
])
def test_a_backward_pass_that_breaks_the_contract(backward, message):
    """A student's own op that broadcasts: an error, never a gradient of the wrong shape."""
    def spread(x, y):
        return x + y, ()

    x, y = Parameter(np.ones((3, 2))), Parameter(np.ones(2))
    with pytest.raises(ValueError, match=message):
        gradients(broken(spread, backward)(x, y), [x, y], np.ones((3, 2)))
    with pytest.raises(ValueError, match=message):
        total(ops.reshape(broken(spread, backward)(x, y), shape=(6,))).backward()
    assert x.grad is None and y.grad is None


def test_the_same_memory_returned_twice():
    def twice(x, y):
        return x + y, ()

    x = parameter(1, 2)
    with pytest.raises(ValueError, match="twice: its backward pass returned the same memory twice"):
        gradients(broken(twice, lambda dy, saved: (dy, dy))(x, x), [x], np.ones(2))


def test_no_gradient_for_an_input():
    def first(x, y):
        return x.copy(), ()

    x, y = parameter(1, 2), parameter(3, 4)
    found = gradients(broken(first, lambda dy, saved: (dy, None))(x, y), [x, y], np.ones(2))
    assert [g.tolist() for g in found] == [[1, 1], [0, 0]]


# --- .backward() -----------------------------------------------------------------------------------------------------

def test_backward_adds_into_grad():
    x, y, other = parameter(1, 2), parameter(3, 4), parameter(5)
    total(multiply(x, y)).backward()
    assert x.grad.tolist() == [3, 4] and y.grad.tolist() == [1, 2] and other.grad is None
    before = x.grad
    total(multiply(x, x)).backward()
    assert x.grad.tolist() == [5, 8] and y.grad.tolist() == [1, 2]
    assert before.tolist() == [3, 4]                # who holds the old array keeps it
    gradients(total(x), [x])
    assert x.grad.tolist() == [5, 8]                # `gradients` writes nothing


def test_backward_of_rows_is_dense():
    table = Parameter(np.zeros((3, 2)))
    total(ops.take(table, ids=np.array([1, 1]))).backward()
    assert table.grad.tolist() == [[0, 0], [2, 2], [0, 0]]


def test_a_frozen_parameter():
    x, frozen = parameter(1, 2), parameter(3, 4)
    frozen.requires_grad = False
    assert x.requires_grad and not frozen.requires_grad
    assert multiply(frozen, frozen).node is None    # nothing is recorded for its sake
    total(multiply(x, frozen)).backward()
    assert x.grad.tolist() == [3, 4] and frozen.grad is None
    assert [g.tolist() for g in gradients(total(multiply(x, frozen)), [x, frozen])] == [[3, 4], [0, 0]]
    frozen.requires_grad = True
    total(multiply(x, frozen)).backward()
    assert frozen.grad.tolist() == [1, 2]
    node, x.requires_grad = x.node, True
    assert x.node is node                           # what was recorded before still reaches it


# --- rows ------------------------------------------------------------------------------------------------------------

def both(rng, ids):
    """The same gradient as `SparseRows` and as an array."""
    values = rng.standard_normal((len(ids), 3))
    array = np.zeros((5, 3))
    for i, v in zip(ids, values, strict=True):
        array[i] += v
    return SparseRows(np.array(ids, int), values, (5, 3)), array


@pytest.mark.parametrize("ids,more", [([1, 4, 1, 1, 0], [2, 1, 2]), ([], [3, 3]), ([0], []), ([], [])])
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("second", [0, 1])
def test_accumulate_in_all_combinations(ids, more, first, second):
    rng = np.random.default_rng(0)
    x, y = both(rng, ids), both(rng, more)
    expected = x[1] + y[1]
    values = y[0].values.copy()
    got = accumulate(x[first], y[second])
    np.testing.assert_allclose(got.dense() if isinstance(got, SparseRows) else got, expected, rtol=1e-14, atol=1e-15)
    assert (y[0].values == values).all()
    if first == 1:
        assert got is x[1]                          # added in place
    assert accumulate(None, y[second]) is y[second]


def test_gradients_may_stay_rows():
    """Also of a table that is asked for twice; one that is also multiplied gets an array."""
    rng = np.random.default_rng(0)
    table, tied = (Parameter(rng.standard_normal((9, 3))) for _ in range(2))

    def loss():
        x = ops.add(ops.take(table, ids=np.array([1, 4, 1])), ops.take(tied, ids=np.array([0, 0, 8])))
        return ops.cross_entropy(ops.linear(x, tied, None), labels=np.array([2, 0, 5]))

    expected = gradients(loss(), [table, tied])
    *rows, array = gradients(loss(), [table, table, tied], sparse=True)
    assert all(isinstance(found, SparseRows) and found.shape == (9, 3) and len(found.ids) == 3 for found in rows)
    for found in rows:
        np.testing.assert_array_equal(found.dense(), expected[0])
    np.testing.assert_array_equal(array, expected[1])


def test_the_sum_of_rows_is_never_longer_than_the_table():
    rng = np.random.default_rng(0)
    total, expected = None, np.zeros((5, 3))
    for ids in ([0, 1], [1, 4], [2, 2, 2], [3]):
        rows, array = both(rng, ids)
        total, expected = accumulate(total, rows), expected + array
        assert isinstance(total, np.ndarray) or len(total.ids) < 5
    np.testing.assert_allclose(total, expected, rtol=1e-14)


def test_a_sum_of_rows_is_the_same_bits_as_of_arrays():
    """Threads add rows, and ranks add arrays: what they train must not differ."""
    rng, kind = np.random.default_rng(0), np.float32
    parts = [SparseRows(rng.integers(0, 5, 9), rng.standard_normal((9, 3)).astype(kind), (40, 3)) for _ in range(4)]
    rows = accumulate(accumulate(parts[0], parts[1]), accumulate(parts[2], parts[3]))
    assert isinstance(rows, SparseRows)
    first, second, third, fourth = (part.dense() for part in parts)
    np.testing.assert_array_equal(rows.dense(), (first + second) + (third + fourth))


def test_rows_keep_their_dtype():
    assert SparseRows(np.array([1, 1]), np.ones((2, 2), np.float32), (3, 2)).dense().dtype == np.float32


@pytest.mark.parametrize("table_first", [True, False])
def test_a_tied_table_gets_both_gradients(table_first):
    """Word embeddings are looked up in a table and scored against the same table."""
    rng = np.random.default_rng(0)
    table, ids, dy = Parameter(rng.standard_normal((4, 2))), np.array([3, 1, 3]), rng.standard_normal((3, 4))
    x = ops.take(table, ids=ids)
    if table_first:
        x = ops.add(x, ops.take(table, ids=np.array([0, 0, 1])))
    dtable, = gradients(ops.linear(x, table, None), [table], dy)
    expected, back = dy.T @ x.data, dy @ table.data
    for n in range(3):
        expected[ids[n]] += back[n]
        if table_first:
            expected[[0, 0, 1][n]] += back[n]
    np.testing.assert_allclose(dtable, expected, rtol=1e-13)


# --- threads ---------------------------------------------------------------------------------------------------------

def test_threads_differentiate_over_the_same_parameters():
    rng = np.random.default_rng(0)
    config = BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                        intermediate_size=32, max_position_embeddings=20)
    model = BertForPreTraining(config, rng=rng)
    before = [p.data.copy() for p in model.parameters()]

    def work(seed):
        draws = np.random.default_rng(seed)
        ids = draws.integers(50, size=(4, 20))
        labels = np.where(draws.random(ids.shape) < 0.2, ids, -100)
        loss = model(ids, labels=labels, next_sentence_label=np.array([0, 1, 1, 0]), rng=draws).loss
        return [float(loss), *gradients(loss, model.parameters())]

    alone = [work(seed) for seed in range(8)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(work, range(8)))
    for one, other in zip(alone, together, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(one, other, strict=True))
    assert all(np.array_equal(x, p.data) for x, p in zip(before, model.parameters(), strict=True))
    assert all(p.grad is None for p in model.parameters())
