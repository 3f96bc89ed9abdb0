"""Rectangles to rows and back, against loops; and what is refused, with the values that are at fault."""
import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numbert import packing
from numbert.ops import IGNORE
from numbert.packing import integers, pack

LIMITS = dict(vocab_size=10, type_vocab_size=2)
quick = settings(max_examples=60, deadline=None)


@st.composite
def batches(draw):
    """ids, segments, mask (B, T), with padding anywhere and nonsense on it."""
    B, T = draw(st.integers(0, 4)), draw(st.integers(0, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    mask = (rng.random((B, T)) < draw(st.sampled_from([0.0, 0.5, 1.0]))).astype(int)
    ids, segments = rng.integers(10, size=(B, T)), rng.integers(2, size=(B, T))
    return np.where(mask, ids, 999), np.where(mask, segments, -5), mask


@quick
@given(batches())
def test_pack_against_loops(batch):
    ids, segments, mask = batch
    (B, T), packed = ids.shape, pack(*batch, **LIMITS)
    rows, starts = [], [0]
    for b in range(B):
        rows += [(b, t) for t in range(T) if mask[b, t]]
        starts.append(len(rows))
    assert packed.shape == (B, T) and packed.starts.tolist() == starts
    assert packed.ids.tolist() == [ids[b, t] for b, t in rows]
    assert packed.segments.tolist() == [segments[b, t] for b, t in rows]
    assert packed.positions.tolist() == [t for b, t in rows]
    assert packed.padded_index.tolist() == [b * T + t for b, t in rows]


@quick
@given(batches())
def test_unpack_inverts_pack(batch):
    ids, segments, mask = batch
    packed = pack(*batch, **LIMITS)
    assert (packed.unpack(packed.ids.astype(float), fill=-1) == np.where(mask, ids, -1)).all()
    vectors = np.arange(2.0 * len(packed.ids)).reshape(-1, 2) + 1
    back = packed.unpack(vectors)
    assert back.shape == (*ids.shape, 2) and (back[mask == 1] == vectors).all() and not back[mask == 0].any()


@quick
@given(batches(), st.integers(0, 2**32 - 1))
def test_spans(batch, seed):
    packed = pack(*batch, **LIMITS)
    N, B = len(packed.ids), len(batch[0])
    cuts = []
    for span in packed.buckets():
        assert span.queries == span.keys and span.query_positions is None
        cuts += np.linspace(span.keys.start, span.keys.stop, span.count, endpoint=False).tolist()
    assert cuts == packed.starts[:-1].tolist()
    assert [n for span in packed.buckets() for n in range(span.keys.start, span.keys.stop)] == list(range(N))

    rows = np.flatnonzero(np.random.default_rng(seed).random(N) < 0.5)
    buckets = packed.buckets(rows)
    ends = zip(packed.starts[:-1], packed.starts[1:], strict=True)
    assert [s.keys for s in buckets] == [slice(a, b) for a, b in ends]
    assert len(buckets) == B and all(s.count == 1 for s in buckets)
    asked = [(b, s.keys.start + at) for b, s in enumerate(buckets) for at in s.query_positions]
    assert [row for _, row in asked] == rows.tolist()                           # each once, in order
    assert [n for s in buckets for n in range(s.queries.start, s.queries.stop)] == list(range(len(rows)))
    assert all(packed.starts[b] <= row < packed.starts[b + 1] for b, row in asked)      # in its own sequence


def test_neighbours_of_equal_length_share_a_span(monkeypatch):
    def counts():
        return [span.count for span in pack(np.ones((6, 4), int), None, mask, **LIMITS).buckets()]

    mask = (np.arange(4) < np.array([4, 4, 4, 2, 4, 4])[:, None]).astype(int)
    assert counts() == [3, 1, 2]
    monkeypatch.setattr(packing, "SCORES", 2 * 4**2)            # no more than two sequences of four
    assert counts() == [2, 1, 1, 2]
    monkeypatch.setattr(packing, "SCORES", 1)                   # a longer one has a span to itself
    assert counts() == [1, 1, 1, 1, 1, 1]


def test_defaults():
    packed = pack([[1, 2], [3, 4]], **LIMITS)
    assert packed.ids.tolist() == [1, 2, 3, 4] and packed.segments.tolist() == [0] * 4
    assert packed.starts.tolist() == [0, 2, 4] and packed.first_rows().tolist() == [0, 2]


@pytest.mark.parametrize("mask", [np.array([[True, False]]), np.array([[1.0, 0.0]]), [[1, 0]],
                                  np.array([[1, 0]], np.uint8)])
def test_kinds_of_masks(mask):
    assert pack([[1, 2]], None, mask, **LIMITS).ids.tolist() == [1]


def test_first_rows_of_empty_batches():
    assert pack(np.zeros((0, 3), int), **LIMITS).first_rows().tolist() == []


@pytest.mark.parametrize("mask,b", [([[1, 1], [0, 1]], 1), ([[0, 0], [1, 1]], 0), ([[1, 0], [0, 0]], 1)])
def test_first_rows_on_padding(mask, b):
    with pytest.raises(ValueError, match=rf"attention_mask\[{b}, 0\] is 0"):
        pack(np.ones((2, 2), int), None, mask, **LIMITS).first_rows()


def test_first_rows_do_not_depend_on_how_positions_are_counted():
    packed = dataclasses.replace(pack([[1, 2], [3, 4]], **LIMITS), positions=np.array([2, 3, 2, 3]))
    assert packed.first_rows().tolist() == [0, 2]


def refused(message, *args, error=ValueError):
    with pytest.raises(error, match=re.escape(message)):
        pack(*args, **LIMITS)


def test_errors():
    ids = np.ones((2, 3), int)
    refused("input_ids must be (B, T), got (3,); for one sequence use input_ids[None]", [1, 2, 3])
    refused("input_ids must be (B, T), got (1, 2, 3)", np.ones((1, 2, 3), int))
    refused("input_ids must be integers, got float64", ids * 1.0, error=TypeError)
    refused("attention_mask must be (B, T) = (2, 3), got (2, 2)", ids, None, np.ones((2, 2)))
    refused("attention_mask must hold 0 (padding) and 1 (text) only, got 2", ids, None, [[1, 1, 1], [1, 2, 0]])
    refused("token_type_ids must be (B, T) = (2, 3), got (3, 2)", ids, ids.T)
    refused("token_type_ids must be integers, got float64", ids, ids * 0.0, error=TypeError)
    refused("input_ids[1, 2] = 10 is outside 0..9 (vocab_size = 10)", [[1, 2, 9], [0, 1, 10]])
    refused("input_ids[0, 1] = -1 is outside 0..9", [[1, -1, 9], [0, 1, 10]])
    refused("input_ids[1, 1] = 77 is outside", [[1, 99, 2], [0, 77, 1]], None, [[1, 0, 1], [1, 1, 1]])
    refused("token_type_ids[0, 2] = 2 is outside 0..1 (type_vocab_size = 2)", ids, [[0, 1, 2], [0, 0, 0]])


def test_labels():
    packed = pack([[1, 2, 3], [4, 5, 6]], None, [[1, 1, 0], [1, 0, 0]], **LIMITS)
    assert packed.labels("labels", [[7, IGNORE, IGNORE], [0, IGNORE, IGNORE]]).tolist() == [7, IGNORE, 0]
    with pytest.raises(ValueError, match=re.escape("labels[1, 2] = 0 stands on padding")):     # class 0 is a label, too
        packed.labels("labels", [[7, IGNORE, IGNORE], [8, IGNORE, 0]])
    with pytest.raises(ValueError, match=re.escape("labels must be (B, T) = (2, 3), got (3, 2)")):
        packed.labels("labels", np.zeros((3, 2), int))
    with pytest.raises(TypeError, match="tags must be integers, got float64"):
        packed.labels("tags", np.zeros((2, 3)))
    assert packed.sequence_labels("next", [0, 1]).tolist() == [0, 1]
    with pytest.raises(ValueError, match=re.escape("next must be (B,) = (2,), got (3,)")):
        packed.sequence_labels("next", [0, 1, 1])


def test_integers():
    assert integers("x", [1, 2]).tolist() == [1, 2]
    for wrong in ([1.0], [True], ["a"], [None]):
        with pytest.raises(TypeError, match="x must be integers"):
            integers("x", wrong)
