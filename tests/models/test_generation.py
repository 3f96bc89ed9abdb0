"""Writing token by token: the cache against computing all anew, and what is drawn from which distribution."""
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_family import close, shaken, text

import numbert as nb
from numbert.models.generation import CachedDecoder, _ranking, choose

CONFIG = nb.GPT2Config(vocab_size=20, n_embd=8, n_layer=3, n_head=2, n_positions=12, bos_token_id=None,
                       eos_token_id=None)


@pytest.fixture(scope="module")
def model():
    return shaken(nb.GPT2LMHeadModel, CONFIG)


def recomputed(model, ids, steps, choice):
    """The plain way: the whole text again for every token."""
    ids = list(ids)
    for _ in range(steps):
        ids.append(int(choice(model(np.array([ids])).logits.data[0, -1])))
    return ids


# --- the cache --------------------------------------------------------------------------------------------------------

@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=3), st.integers(0, 2**32 - 1))
def test_the_cache_gives_the_logits_of_the_whole_text(model, lengths, seed):
    """Texts that are read in pieces of any size, in any company."""
    rng, B = np.random.default_rng(seed), len(lengths)
    texts = [rng.integers(0, 20, n) for n in lengths]
    read, done = CachedDecoder(model, B, 9), [0] * B
    while any(n < len(ids) for n, ids in zip(done, texts, strict=True)):
        new = {b: texts[b][done[b]:done[b] + rng.integers(1, 4)] for b in range(B)
               if done[b] < lengths[b] and rng.random() < 0.7}
        if not new:
            continue
        logits = read(new)
        for b, row in zip(new, logits, strict=True):
            done[b] += len(new[b])
            close(row, model(texts[b][None, :done[b]]).logits.data[0, -1])
    assert read.lengths.tolist() == done


def test_a_reader_is_full_when_it_is_full(model):
    read = CachedDecoder(model, 2, 3)
    read({0: [1, 2, 3], 1: [4]})
    with pytest.raises(ValueError, match="there is room for 3 tokens in a text, got 4"):
        read({0: [1], 1: [2]})
    close(read({1: [5, 6]})[0], model(np.array([[4, 5, 6]])).logits.data[0, -1])


def test_greedy_is_the_best_token_each_time(model):
    ids = text(20, [4, 4])["input_ids"]
    written = model.generate(ids, 8)
    assert written.shape == (2, 12) and np.array_equal(written[:, :4], ids)
    assert written.tolist() == [recomputed(model, row, 8, np.argmax) for row in ids]


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.integers(0, 6), st.integers(0, 2**32 - 1), st.booleans())
def test_texts_of_different_length(model, lengths, steps, seed, left):
    """Each goes on as it would alone, wherever its padding stands; what was written follows the text at once."""
    batch = text(20, lengths, seed)
    ids, mask = batch["input_ids"], batch["attention_mask"]
    given = [row[:n].tolist() for row, n in zip(ids, lengths, strict=True)]
    if left:
        ids, mask = (np.stack([np.roll(row, len(row) - n) for row, n in zip(x, lengths, strict=True)])
                     for x in (ids, mask))
    written = model.generate(ids, steps, attention_mask=mask)
    assert written.shape == (len(lengths), max(lengths) + steps)
    for row, start in zip(written, given, strict=True):
        expected = recomputed(model, start, steps, np.argmax)
        assert row.tolist() == expected + [0] * (len(row) - len(expected))


def test_float32():
    model = nb.GPT2LMHeadModel(CONFIG, rng=np.random.default_rng(0))
    assert CachedDecoder(model, 1, 3)({0: [1, 2]}).dtype == np.float32
    assert model.generate([[1, 2]], 3).shape == (1, 5)


def test_the_end(model):
    """A text ends after the token of the end, which is kept; padding fills up; nothing more is computed."""
    ids = text(20, [4, 4])["input_ids"]
    free = model.generate(ids, 8)
    eos = int(free[0, 6])
    written = model.generate(ids, 8, eos_token_id=eos)
    ends = [next((t + 1 for t in range(4, 12) if row[t] == eos), 12) for row in free]
    assert ends[0] <= 7 and written.shape[1] == max(ends)
    for row, plain, end in zip(written, free, ends, strict=True):
        assert np.array_equal(row[:end], plain[:end]) and (row[end:] == eos).all()
    model_with_padding = shaken(nb.GPT2LMHeadModel, CONFIG.replace(pad_token_id=13))
    row = model_with_padding.generate(np.concatenate([ids[:1], ids[:1]]), 8, eos_token_id=eos,
                                      attention_mask=[[1] * 4, [1, 0, 0, 0]])[0]
    assert (row[ends[0]:] == 13).all()


def test_nothing_is_recorded_or_changed(model):
    before = [p.data.copy() for p in model.parameters()]
    model.generate([[1, 2, 3]], 4, rng=np.random.default_rng(0))
    assert all(np.array_equal(a, p.data) for a, p in zip(before, model.parameters(), strict=True))


def test_equal_to_transformers(model, tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    model.save_pretrained(tmp_path)
    theirs = transformers.GPT2LMHeadModel.from_pretrained(tmp_path).double()
    ids = text(20, [5, 5, 5])["input_ids"]
    found = theirs.generate(torch.tensor(ids), attention_mask=torch.ones(3, 5), max_new_tokens=7, do_sample=False,
                            pad_token_id=0)
    assert found.tolist() == model.generate(ids, 7).tolist()


# --- what is drawn ----------------------------------------------------------------------------------------------------

def test_the_same_generator_gives_the_same_text(model):
    ids = text(20, [3, 2])["input_ids"]
    one, same, other = (model.generate(ids, 9, rng=np.random.default_rng(seed), temperature=1.5).tolist()
                        for seed in (1, 1, 2))
    assert one == same != other


LOGITS = np.log([[0.4, 0.05, 0.3, 0.05, 0.2]])


@pytest.mark.parametrize("options, expected", [
    ({}, [0.4, 0.05, 0.3, 0.05, 0.2]),
    ({"temperature": 0.5}, np.array([0.16, 0.0025, 0.09, 0.0025, 0.04]) / 0.295),
    ({"top_k": 1}, [1, 0, 0, 0, 0]), ({"top_k": 2}, [4 / 7, 0, 3 / 7, 0, 0]),
    ({"top_k": 4}, np.array([0.4, 0.05, 0.3, 0, 0.2]) / 0.95),              # of equals the first
    ({"top_k": 99}, [0.4, 0.05, 0.3, 0.05, 0.2]),
    ({"top_p": 0.3}, [1, 0, 0, 0, 0]), ({"top_p": 0.5}, [4 / 7, 0, 3 / 7, 0, 0]),
    ({"top_p": 0.699}, [4 / 7, 0, 3 / 7, 0, 0]),
    ({"top_p": 0.75}, np.array([0.4, 0, 0.3, 0, 0.2]) / 0.9), ({"top_p": 1.0}, [0.4, 0.05, 0.3, 0.05, 0.2]),
    ({"top_k": 2, "top_p": 0.5}, [1, 0, 0, 0, 0]),                          # the p of what top_k has left: 4/7 > 0.5
    ({"top_p": 0.5, "temperature": 0.5}, [1, 0, 0, 0, 0]),                  # the p after the temperature: 0.54
])
def test_frequencies_are_the_probabilities(options, expected):
    n = 40_000
    drawn = choose(np.repeat(LOGITS, n, axis=0), np.random.default_rng(0), **options)
    counts, expected = np.bincount(drawn, minlength=5), np.array(expected)
    assert not counts[expected == 0].any()
    deviations = (counts - n * expected) / np.sqrt(n * np.maximum(expected * (1 - expected), 1 / n))
    assert np.abs(deviations).max() < 4


def test_rows_are_drawn_apart():
    logits = np.array([[0.0, 50.0, 0.0], [90.0, 0.0, 0.0], [0.0, 0.0, 1e300]])
    assert choose(logits, np.random.default_rng(0)).tolist() == choose(logits, None).tolist() == [1, 0, 2]
    assert choose(logits, np.random.default_rng(0), temperature=1e-3).tolist() == [1, 0, 2]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(0, 2**32 - 1), st.integers(1, 8), st.floats(0.01, 1.0), st.floats(0.1, 5.0))
def test_the_nucleus_against_loops(V, seed, k, p, temperature):
    """Add the best tokens, until there are k of them or they have the share p."""
    logits = np.random.default_rng(seed).standard_normal((1, V))
    probs = np.exp(logits[0] / temperature)
    best = sorted(range(V), key=lambda i: -probs[i])[:k]
    share, allowed = 0.0, []
    for i in best:
        allowed.append(i)
        share += probs[i] / probs[best].sum()
        if share >= p:
            break
    drawn = choose(np.repeat(logits, 300, axis=0), np.random.default_rng(seed), temperature=temperature, top_k=k,
                   top_p=p)
    assert set(drawn.tolist()) <= set(allowed)


@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 10), st.integers(0, 2**32 - 1))
def test_the_best_k_are_the_first_of_all_in_order(B, V, k, seed):
    logits = np.random.default_rng(seed).integers(-2, 3, (B, V)).astype(np.float32)     # with many equal ones
    logits[0, seed % V], logits[-1, seed // 9 % V] = -np.inf, np.nan
    best = np.argsort(-logits, axis=-1, kind="stable")
    np.testing.assert_array_equal(_ranking(logits, None), best)
    np.testing.assert_array_equal(_ranking(logits, k), best[:, :k])


@pytest.mark.parametrize("arguments, message", [
    (dict(temperature=0, rng=0), "temperature cannot be 0"), (dict(top_k=0, rng=0), "top_k cannot be 0"),
    (dict(top_p=0.0, rng=0), "top_p cannot be 0.0"), (dict(top_p=1.5, rng=0), "top_p cannot be 1.5"),
    (dict(max_new_tokens=-1), "max_new_tokens cannot be -1"),
    (dict(top_k=3), "temperature, top_k and top_p are for drawing tokens: pass rng="),
    (dict(temperature=0.7), "are for drawing tokens"),
    (dict(max_new_tokens=10), "3 tokens and max_new_tokens = 10 are more than the 12 positions of the model"),
    (dict(attention_mask=[[1, 1, 1], [0, 0, 0]]), "text 1 is empty: there is nothing to go on from"),
    (dict(input_ids=[[1, 20]]), "input_ids[0, 1] = 20 is outside 0..19"),
])
def test_mistakes_are_named(model, arguments, message):
    if "rng" in arguments:
        arguments = arguments | {"rng": np.random.default_rng(0)}
    with pytest.raises(ValueError, match=re.escape(message)):
        model.generate(**{"input_ids": [[1, 2, 3], [4, 5, 6]], "max_new_tokens": 2} | arguments)


def test_no_texts_and_no_new_tokens(model):
    assert model.generate(np.zeros((0, 3), int), 2).shape[0] == 0
    assert model.generate([[1, 2]], 0).tolist() == [[1, 2]]
