"""Examples cut from documents: where A and B come from, that the labels tell the truth, and the shares of each kind."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numbert.pretraining.sentence_pairs import PAIRS, TokenizedText, causal, draw_examples, full_sentences, kept_lengths

DOCUMENTS = st.lists(st.lists(st.integers(0, 12), max_size=12), min_size=2, max_size=6)      # lengths of sentences


def all_different(lengths):
    """Documents in which every token is its own place in the text."""
    places = iter(range(10**6))
    return [[[next(places) for _ in range(length)] for length in document] for document in lengths]


def draw(documents, seed, objective, max_length):
    text = TokenizedText(documents)
    return text, draw_examples(text, np.random.default_rng(seed), objective=objective, max_length=max_length)


def within_five_sigma(successes, trials, probability):
    return abs(successes - trials * probability) <= 5 * np.sqrt(trials * probability * (1 - probability))


def test_flat_text():
    text = TokenizedText([[[7, 8], [], [9]], [], [[]], [[3]]])
    assert text.tokens.tolist() == [7, 8, 9, 3] and text.tokens.dtype == np.int32
    assert text.sentences.tolist() == [0, 2, 3, 4] and text.documents.tolist() == [0, 2, 3]
    assert len(TokenizedText([]).tokens) == 0 and TokenizedText([]).documents.tolist() == [0]
    text = TokenizedText([[[7, 8], [], [9]], [], [[]], [[3]]], separator=1)
    assert text.tokens.tolist() == [1, 7, 8, 9, 1, 3] and text.tokens.dtype == np.int32
    assert text.sentences.tolist() == [0, 3, 4, 6] and text.documents.tolist() == [0, 2, 3]


@given(st.integers(1, 60), st.integers(1, 60), st.integers(2, 60))
def test_kept_lengths_are_those_of_googles_loop(a, b, room):
    kept = kept_lengths(a, b, room)
    while a + b > room:                                       # truncate_seq_pair
        if a > b:
            a -= 1
        else:
            b -= 1
    assert kept == (a, b)


@settings(max_examples=200, deadline=None)
@given(DOCUMENTS, st.sampled_from(["mlm", *PAIRS]), st.integers(5, 40), st.integers(0, 99))
def test_segments_come_from_where_the_label_says(lengths, objective, max_length, seed):
    documents = all_different(lengths)
    if sum(map(any, documents)) < 2:
        return
    text, examples = draw(documents, seed, objective, max_length)
    document = np.repeat(np.arange(len(text.documents) - 1), np.diff(text.sentences[text.documents]))
    sentence = np.repeat(np.arange(len(text.sentences) - 1), np.diff(text.sentences))
    room = max_length - (2 if objective == "mlm" else 3)
    for a, a_stop, b, b_stop, label in examples.tolist():
        assert a < a_stop and len(set(document[a:a_stop])) == 1
        assert (a_stop - a) + (b_stop - b) <= room
        if objective == "mlm":
            assert b == b_stop and label == 0
            continue
        assert b < b_stop and len(set(document[b:b_stop])) == 1
        if objective == "mlm+nsp" and label:
            assert document[a] != document[b]
            continue
        if label:                                             # swapped
            a, a_stop, b, b_stop = b, b_stop, a, a_stop
        assert document[a] == document[b] and sentence[a_stop - 1] < sentence[b]
        if (a_stop - a) + (b_stop - b) < room:                # nothing was cut
            assert a_stop == b


@settings(max_examples=100, deadline=None)
@given(DOCUMENTS, st.integers(5, 40), st.integers(0, 99))
def test_one_segment_uses_the_text_once_and_loses_only_what_is_cut(lengths, max_length, seed):
    text, examples = draw(all_different(lengths), seed, "mlm", max_length)
    used = np.concatenate([np.arange(a, stop) for a, stop, *_ in examples.tolist()] + [np.zeros(0, int)])
    assert (np.diff(used) > 0).all()
    full = examples[examples[:, 1] - examples[:, 0] == max_length - 2]
    lost = np.setdiff1d(np.arange(len(text.tokens)), used)
    for run in np.split(lost, np.flatnonzero(np.diff(lost) > 1) + 1) if len(lost) else ():
        assert run[0] in full[:, 1] or run[-1] + 1 in full[:, 0]


def test_unused_sentences_are_put_back():
    """With a random B, the next A starts right behind the last one; with the true B, behind that."""
    _, examples = draw(all_different([[1] * 5000, [1] * 5000]), 0, "mlm+nsp", 33)
    first = examples[examples[:, 0] < 5000]
    behind = np.where(first[:, 4] == 1, first[:, 1], first[:, 3])
    assert len(first) > 100 and (first[1:, 0] == behind[:-1]).all()
    assert behind[-1] >= 4999                                 # at most one sentence is left alone at the end


@pytest.mark.parametrize("objective", ["mlm+nsp", "mlm+sop"])
@pytest.mark.parametrize("length", [1, 40])                   # 40: a single sentence fills the sequence
def test_half_of_the_labels_are_one(objective, length):
    _, examples = draw(all_different([[length] * 20000 if length == 1 else [length] * 2000] * 3), 1, objective, 32)
    assert len(examples) > 2000
    assert within_five_sigma(examples[:, 4].sum(), len(examples), 0.5)


def test_a_tenth_is_short():
    _, examples = draw(all_different([[1] * 200_000]), 2, "mlm", 12)
    lengths = examples[:-1, 1] - examples[:-1, 0]             # the last one is what is left
    assert lengths.min() == 2 and lengths.max() == 10
    assert within_five_sigma((lengths < 10).sum(), len(lengths), 0.1 * 8 / 9)
    assert within_five_sigma((lengths < 6).sum(), len(lengths), 0.1 * 4 / 9)


def test_a_is_any_number_of_sentences_from_the_front():
    _, examples = draw(all_different([[1] * 100_000]), 3, "mlm+sop", 13)
    a, b = examples[:, 1] - examples[:, 0], examples[:, 3] - examples[:, 2]
    first = a[(a + b == 10) & (examples[:, 4] == 0)]
    counts = np.bincount(first, minlength=10)
    assert counts[0] == 0 and len(counts) == 10
    assert all(within_five_sigma(count, len(first), 1 / 9) for count in counts[1:])


def test_random_segments_start_anywhere_in_any_other_document():
    text, examples = draw(all_different([[1] * 20000, [1] * 10, [1] * 10, [1] * 10]), 4, "mlm+nsp", 8)
    document = np.repeat(np.arange(4), np.diff(text.sentences[text.documents]))
    drawn = examples[(examples[:, 4] == 1) & (document[examples[:, 0]] == 0), 2]
    assert len(drawn) > 1000
    counts = np.bincount(drawn - 20000, minlength=30)
    assert all(within_five_sigma(count, len(drawn), 1 / 30) for count in counts)


def test_cuts_fall_on_both_ends():
    text, examples = draw(all_different([[60, 60]] * 2000), 5, "mlm+sop", 43)
    full = examples[:, 1] - examples[:, 0] == 20
    front = examples[full, 0] % 60                            # 40 of 60 go, front and back by 40 coins
    assert len(front) > 1500 and within_five_sigma(front.sum(), 40 * len(front), 0.5)
    assert front.var() == pytest.approx(10, abs=5 * 10 * np.sqrt(2 / len(front)))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=8), min_size=2, max_size=5), st.integers(0, 99))
def test_a_random_segment_never_reads_like_the_continuation(words, seed):
    """Documents of one-word sentences out of three words: a random sentence often is the true next one by chance."""
    text, examples = draw([[[word] for word in document] for document in words], seed, "mlm+nsp", 60)
    for _, a_stop, b, _, label in examples.tolist():
        if label:
            assert text.tokens[b] != text.tokens[a_stop]
        else:
            assert text.tokens[b] == text.tokens[a_stop]


def test_text_without_a_different_continuation_has_only_true_ones():
    _, examples = draw([[[7, 8]] * 50] * 5, 6, "mlm+nsp", 30)
    assert len(examples) and (examples[:, 4] == 0).all()


# Running text

SEPARATOR = 10**6


def test_full_sentences_by_hand():
    text = TokenizedText([[[1, 2], [3, 4, 5]], [[6, 7], [8]], [[9] * 7]], SEPARATOR)
    rows = [text.tokens[start:stop].tolist() for start, stop in full_sentences(text, 6)]
    assert rows == [[1, 2, 3, 4, 5], [6, 7, 8], [9] * 6, [9]]
    rows = [text.tokens[start:stop].tolist() for start, stop in full_sentences(text, 8)]
    assert rows == [[1, 2, 3, 4, 5, SEPARATOR, 6, 7], [8], [9] * 7]


@settings(max_examples=150, deadline=None)
@given(DOCUMENTS, st.integers(1, 30))
def test_full_sentences_are_full_and_lose_nothing(lengths, room):
    text = TokenizedText(all_different(lengths), SEPARATOR)
    rows, bounds = list(full_sentences(text, room)), set(text.sentences.tolist())
    used = np.concatenate([np.arange(start, stop) for start, stop in rows] + [np.zeros(0, int)])
    assert (np.diff(used) > 0).all()
    lost = np.setdiff1d(np.arange(len(text.tokens)), used)
    assert (text.tokens[lost] == SEPARATOR).all() and set(lost) <= {start - 1 for start, _ in rows}
    for start, stop in rows:
        assert 0 < stop - start <= room and text.tokens[start] != SEPARATOR and text.tokens[stop - 1] != SEPARATOR
        if stop not in bounds:                                # a sentence that no row can hold is cut where a row ends
            assert stop - start == room and not bounds & set(range(start + 1, stop))
        elif stop < len(text.tokens):
            following = min(bound for bound in bounds if bound > stop)
            assert following - start > room


@settings(max_examples=100, deadline=None)
@given(DOCUMENTS, st.integers(2, 30))
def test_causal_rows_ask_for_every_token_but_the_first_once(lengths, T):
    text = TokenizedText(all_different(lengths), SEPARATOR)
    rows = list(causal(text, T))
    assert all(stop - start == T for start, stop in rows[:-1]) and all(2 <= stop - start <= T for start, stop in rows)
    assert [t for start, stop in rows for t in range(start + 1, stop)] == list(range(1, len(text.tokens)))


@pytest.mark.parametrize("objective, rows", [("full-sentences", [(1, 6), (7, 10)]),
                                             ("causal", [(0, 8), (7, 10)])])
def test_running_text_as_a_table_of_examples(objective, rows):
    text = TokenizedText([[[1, 2], [3, 4, 5]], [[6, 7], [8]]], SEPARATOR)
    examples = draw_examples(text, np.random.default_rng(0), objective=objective, max_length=8)
    assert examples.tolist() == [[start, stop, stop, stop, 0] for start, stop in rows]
    nothing = draw_examples(TokenizedText([], SEPARATOR), np.random.default_rng(0), objective=objective, max_length=8)
    assert nothing.shape == (0, 5)
