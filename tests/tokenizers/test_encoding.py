import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numbert.tokenizers.encoding import Encoding, Pieces, check_truncation, pad, spans, truncated_lengths

PARTS = [
    (Pieces([2], [0], [0], [None]), 0, None),
    (Pieces([7, 9], [0, 3], [3, 5], [0, 0]), 0, 0),
    (Pieces([3], [0], [0], [None]), 0, None),
    (Pieces([], [], [], []), 1, None),
    (Pieces([8], [0], [3], [0]), 1, 1),
    (Pieces([3], [0], [0], [None]), 1, None),
]
EXAMPLE = Encoding(PARTS, [None, None, "[CLS]", "[SEP]", None, None, None, "how", "ten", "##ev"])


def test_columns():
    columns = dict(
        input_ids=[2, 7, 9, 3, 8, 3],
        tokens=["[CLS]", "how", "##ev", "[SEP]", "ten", "[SEP]"],
        token_type_ids=[0, 0, 0, 0, 1, 1],
        attention_mask=[1, 1, 1, 1, 1, 1],
        special_tokens_mask=[1, 0, 0, 1, 0, 1],
        offsets=[(0, 0), (0, 3), (3, 5), (0, 0), (0, 3), (0, 0)],
        word_ids=[None, 0, 0, None, 0, None],
        sequence_ids=[None, 0, 0, None, 1, None],
    )
    assert EXAMPLE.columns() == columns and len(EXAMPLE) == 6
    assert repr(EXAMPLE) == f"Encoding({', '.join(f'{name}={column}' for name, column in columns.items())})"
    assert Encoding([], []).offsets == []


def test_equal_copied_pickled():
    same = Encoding(PARTS, ["?"] * 2 + EXAMPLE.tokens[:1] + ["[SEP]", "?", "?", "?", "how", "ten", "##ev"])
    other = Encoding(PARTS[:-1], ["?"] * 10)
    assert same == EXAMPLE != other and EXAMPLE != EXAMPLE.columns()
    for copied in (copy.copy(EXAMPLE), copy.deepcopy(same), pickle.loads(pickle.dumps(same))):
        assert copied == EXAMPLE


def test_a_copy_has_its_tokens_and_no_vocabulary():
    vocabulary = [f"token {index}" for index in range(10000)]
    assert len(pickle.dumps(Encoding(PARTS, vocabulary))) < 1000
    assert pickle.loads(pickle.dumps(Encoding(PARTS, vocabulary))).tokens == [vocabulary[2], *(
        vocabulary[index] for index in (7, 9, 3, 8, 3))]


@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 30))))
def test_spans_are_pairs(pieces):
    starts, ends = [start for start, _ in pieces], [start + length for start, length in pieces]
    assert spans(starts, ends) == list(zip(starts, ends, strict=True))


@pytest.mark.parametrize("first, second, room, strategy, kept", [
    (3, 9, 10, "longest_first", (3, 7)),
    (9, 3, 10, "longest_first", (7, 3)),
    (9, 9, 5, "longest_first", (2, 3)),
    (9, 8, 5, "longest_first", (3, 2)),
    (9, 0, 5, "longest_first", (5, 0)),
    (9, 3, 10, "only_first", (7, 3)),
    (3, 9, 10, "only_second", (3, 7)),
    (3, 9, 10, False, (3, 9)),
    (3, 9, 12, "only_first", (3, 9)),
    (3, 9, 0, "only_first", (0, 0)),
])
def test_truncated_lengths(first, second, room, strategy, kept):
    assert truncated_lengths(first, second, room, strategy) == kept


def remove_one_by_one(first, second, room):
    """The meaning of longest_first: take from the longer text; of two equal ones, from that which was shorter."""
    odd_to_first = first > second
    while first + second > room:
        if first > second or (first == second and not odd_to_first):
            first -= 1
        else:
            second -= 1
    return first, second


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 45))
def test_longest_first_is_removing_tokens_one_by_one(first, second, room):
    assert truncated_lengths(first, second, room, "longest_first") == remove_one_by_one(first, second, room)


@pytest.mark.parametrize("first, second, strategy",
                         [(2, 9, "only_first"), (9, 2, "only_second"), (9, 0, "only_second")])
def test_a_text_that_is_too_short_to_cut(first, second, strategy):
    with pytest.raises(ValueError, match=strategy):
        truncated_lengths(first, second, 5, strategy)


def test_check_truncation():
    assert check_truncation(True) == "longest_first"
    assert check_truncation(False) is False
    for wrong in ("longest", None, 1, 0, ["only_first"]):
        with pytest.raises(ValueError, match="truncation must be"):
            check_truncation(wrong)


def test_pad():
    batch = pad([EXAMPLE, [5, 6]], pad_token_id=4, max_length=7)
    assert batch["input_ids"].tolist() == [[2, 7, 9, 3, 8, 3, 4], [5, 6, 4, 4, 4, 4, 4]]
    assert batch["token_type_ids"].tolist() == [[0, 0, 0, 0, 1, 1, 0], [0] * 7]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1, 1, 1, 0], [1, 1, 0, 0, 0, 0, 0]]
    assert {array.dtype for array in batch.values()} == {np.dtype(np.int64)}


def test_pad_to_the_longest_and_edges():
    assert pad([[1], [2, 3], []], 0)["input_ids"].tolist() == [[1, 0], [2, 3], [0, 0]]
    assert pad([np.array([1, 2])], 0)["attention_mask"].tolist() == [[1, 1]]
    assert pad([], 0)["input_ids"].shape == (0, 0)
    assert pad([], 0, max_length=4)["input_ids"].shape == (0, 4)


def test_pad_refuses():
    with pytest.raises(ValueError, match="example 1 has 3 tokens, more than max_length = 2"):
        pad([[1], [1, 2, 3]], 0, max_length=2)
    for one_example in (EXAMPLE, [1, 2], np.array([1, 2])):
        with pytest.raises(TypeError, match="list of examples"):
            pad(one_example, 0)
