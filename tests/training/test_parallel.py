import contextlib
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
import weakref
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
import spawned
import tiny_bert
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled import CASES, FAMILIES, LENGTHS, case
from words import WordTokenizer

import numbert as nb
from numbert.machine import blas_controls
from numbert.models.pretrained import PretrainedModel
from numbert.pretraining.batches import PretrainingData
from numbert.training import parallel
from numbert.training.parallel import Workers, cores, cut, loss_and_gradients, parts_of
from numbert.training.ranks import Ranks


@pytest.fixture(scope="module")
def model():
    return nb.BertForPreTraining(tiny_bert.config(), rng=np.random.default_rng(0), dtype=np.float64)


def whole(model, batch):
    """Loss and gradients of the batch in one piece, without anything from `parallel`."""
    output = model(**batch)
    return float(output.loss), nb.gradients(output.loss, model.parameters())


def no_dropout(part):
    return None


def assert_close(found, expected):
    scale = max(abs(g).max() for g in expected)
    for f, e in zip(found, expected, strict=True):
        np.testing.assert_allclose(f, e, rtol=1e-12, atol=1e-12 * scale)


def test_the_batch_of_these_tests_has_unequal_parts():
    """Otherwise a part that divides by its own number of labels would pass."""
    batch = tiny_bert.pretraining_batch(np.random.default_rng(1), LENGTHS)
    masked = (batch["labels"] != -100).sum(1)
    assert len(set(masked)) >= 3 and masked[-1] == 0


@pytest.mark.parametrize("part_tokens", [1, 15, 4096])
@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_any_cut_and_any_workers_give_the_whole_batch(model, n, part_tokens, monkeypatch):
    monkeypatch.setattr(parallel, "PART_TOKENS", part_tokens)
    batch = tiny_bert.pretraining_batch(np.random.default_rng(1), LENGTHS)
    loss, gradients = whole(model, batch)
    with Workers(n) as workers:
        parts = parts_of(batch, workers)
        sums, found = loss_and_gradients(model, batch, no_dropout, workers)
    assert [number for number, _ in parts] == list(range(len(parts)))
    assert len(parts) == (6 if part_tokens == 1 else min(n * -(-46 // (n * part_tokens)), 6))
    if len(parts) == 6:
        assert any((part["labels"] == -100).all() for _, part in parts)
    assert sums["loss"] == pytest.approx(loss, rel=1e-12)
    assert sums["mlm"] + sums["nsp"] == pytest.approx(loss, rel=1e-12)
    assert_close(found, gradients)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(2, 12), min_size=1, max_size=7), st.integers(1, 4), st.integers(1, 40), st.integers(0, 99))
def test_whatever_the_lengths(lengths, n, part_tokens, seed):
    model = nb.BertForPreTraining(tiny_bert.config(num_hidden_layers=1), rng=np.random.default_rng(0), dtype=np.float64)
    batch = tiny_bert.pretraining_batch(np.random.default_rng(seed), lengths, share=0.2)
    loss, gradients = whole(model, batch)
    with pytest.MonkeyPatch.context() as patch, Workers(n) as workers:
        patch.setattr(parallel, "PART_TOKENS", part_tokens)
        sums, found = loss_and_gradients(model, batch, no_dropout, workers)
    assert sums["loss"] == pytest.approx(loss, rel=1e-12)
    assert_close(found, gradients)


def test_a_batch_without_any_label_of_one_kind(model):
    batch = tiny_bert.pretraining_batch(np.random.default_rng(1), LENGTHS)
    batch["labels"][:] = -100
    with Workers(2) as workers:
        sums, found = loss_and_gradients(model, batch, no_dropout, workers)
    assert sums["mlm"] == 0 and sums["nsp"] > 0
    assert_close(found, whole(model, batch)[1])


# Every class, every kind of label, any cut


def test_every_class_with_a_loss_is_walked():
    bodies = {f"{family}Model" for family in FAMILIES}
    models = {name for name, x in vars(nb).items() if isinstance(x, type) and issubclass(x, PretrainedModel)}
    assert {name for name, _ in CASES} == models - bodies


@pytest.mark.parametrize("name, what", CASES)
def test_any_cut_gives_the_whole(name, what, monkeypatch):
    """Losses and gradients, for every class and kind of label; also where a part has no label of some kind."""
    model, batch = case(name, what, tiny_bert.text(np.random.default_rng(1), LENGTHS))
    out = model(**batch)
    loss, losses = float(out.loss), {name: float(x) for name, x in out.losses.items()}
    expected, empty = nb.gradients(out.loss, model.parameters()), False
    for n, part_tokens in ((1, 4096), (1, 1), (2, 12), (3, 4096), (7, 1)):
        monkeypatch.setattr(parallel, "PART_TOKENS", part_tokens)
        with Workers(n) as workers:
            parts = [model.label_counts(**part) for _, part in parts_of(batch, workers)]
            sums, found = loss_and_gradients(model, batch, no_dropout, workers)
        assert {name: sum(part[name] for part in parts) for name in parts[0]} == model.label_counts(**batch)
        empty |= any(0 in part.values() for part in parts)
        assert sums == {name: pytest.approx(x, rel=1e-12, abs=1e-14) for name, x in ({"loss": loss} | losses).items()}
        assert_close(found, expected)
    assert empty or "holes" not in what


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(CASES), st.lists(st.integers(2, 12), min_size=6, max_size=6), st.integers(1, 4),
       st.integers(1, 40))
def test_any_cut_of_any_lengths_gives_the_whole(which, lengths, n, part_tokens):
    model, batch = case(*which, tiny_bert.text(np.random.default_rng(3), lengths))
    loss, gradients = whole(model, batch)
    with pytest.MonkeyPatch.context() as patch, Workers(n) as workers:
        patch.setattr(parallel, "PART_TOKENS", part_tokens)
        sums, found = loss_and_gradients(model, batch, no_dropout, workers)
    assert sums["loss"] == pytest.approx(loss, rel=1e-12, abs=1e-14)
    assert_close(found, gradients)


def test_a_batch_without_labels_is_refused(model):
    batch = tiny_bert.text(np.random.default_rng(1), LENGTHS)
    with Workers(2) as workers, pytest.raises(ValueError, match="no labels.*holds input_ids, token_type_ids, attent"):
        loss_and_gradients(model, batch, no_dropout, workers)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_next_words_add_up_too(n, monkeypatch):
    """The model never looks at the label of a row's first token: a batch must not have one that would be counted."""
    monkeypatch.setattr(parallel, "PART_TOKENS", 20)
    texts = [f"a{i} b c{i % 3} d. " * (1 + i % 4) for i in range(9)]
    tokenizer = WordTokenizer(texts)
    batches = list(PretrainingData([[text] for text in texts], tokenizer, objective="causal", max_length=12,
                                   batch_size=5).evaluation_batches())
    model = nb.GPT2LMHeadModel(nb.GPT2Config(vocab_size=len(tokenizer.vocab), n_positions=12, n_embd=16, n_layer=2,
                                             n_head=2), rng=np.random.default_rng(0), dtype=np.float64)
    assert len({len(batch["labels"]) for batch in batches}) == 2
    for batch in batches:
        loss, gradients = whole(model, batch)
        with Workers(n) as workers:
            sums, found = loss_and_gradients(model, batch, no_dropout, workers)
        assert sums["loss"] == sums["lm"] == pytest.approx(loss, rel=1e-12)
        assert_close(found, gradients)
        assert model.label_counts(**batch) == {"lm": batch["attention_mask"].sum() - len(batch["labels"])}


@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_same_cut_gives_the_same_bits_with_dropout_on(n, monkeypatch):
    monkeypatch.setattr(parallel, "PART_TOKENS", 8)
    model = nb.BertForPreTraining(tiny_bert.config(hidden_dropout_prob=0.2, attention_probs_dropout_prob=0.2),
                                  rng=np.random.default_rng(0))
    batch = tiny_bert.pretraining_batch(np.random.default_rng(1), LENGTHS)
    asked = []

    def rngs(part, seed=3):
        asked.append(part)
        return np.random.default_rng([seed, part])

    def bits(rngs):
        with Workers(n) as workers:
            sums, found = loss_and_gradients(model, batch, rngs, workers)
        return sums, [g.tobytes() for g in found]
    first = bits(rngs)
    assert len(asked) == len(set(asked)) == 6                   # a generator for each part, and none for two
    assert all(bits(rngs) == first for _ in range(5))
    assert bits(lambda part: rngs(part, seed=4)) != first


def test_measures_add_up(model, monkeypatch):
    monkeypatch.setattr(parallel, "PART_TOKENS", 10)
    batch = tiny_bert.pretraining_batch(np.random.default_rng(1), LENGTHS)
    with Workers(2) as workers:
        sums, _ = loss_and_gradients(model, batch, no_dropout, workers, lambda part, output: {
            "rows": len(output.prediction_logits), "parts": 1, "scores": (output.prediction_logits.data**2).sum()})
    scores = model(**batch).prediction_logits.data
    assert sums["scores"] == pytest.approx((scores**2).sum(), rel=1e-12)
    assert sums["rows"] == (batch["labels"] != -100).sum() and sums["parts"] == 6


def test_logits_are_not_kept_during_the_backward_pass(model, monkeypatch):
    """They are the largest array of all; the graph lets them go on its way, if nobody else holds them."""
    outputs, alive, batch = [], [], tiny_bert.pretraining_batch(np.random.default_rng(1), LENGTHS)

    def gradients(loss, parameters, **options):
        alive.append(outputs[-1]() is not None)
        return nb.gradients(loss, parameters, **options)

    monkeypatch.setattr(parallel, "gradients", gradients)
    with Workers(1) as workers:
        loss_and_gradients(model, batch, no_dropout, workers, lambda part, out: outputs.append(weakref.ref(out)) or {})
    assert alive == [False]


def test_the_scores_of_all_words_are_never_held_at_once():
    model = nb.BertForPreTraining(tiny_bert.config(vocab_size=20000), rng=np.random.default_rng(0))
    batch = tiny_bert.pretraining_batch(np.random.default_rng(1), 100 * LENGTHS)
    scores = (batch["labels"] != -100).sum() * 20000 * 4
    with Workers(1) as workers:
        tracemalloc.start()
        loss_and_gradients(model, batch, no_dropout, workers)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 0.5 * scores


def test_a_table_that_is_only_looked_up_in_has_one_gradient_of_its_size():
    """Not one for each part: those are rows, until they are added up."""
    model = nb.BertForSequenceClassification(tiny_bert.config(vocab_size=50000), rng=np.random.default_rng(0))
    batch = tiny_bert.text(np.random.default_rng(1), LENGTHS) | {"labels": np.zeros(len(LENGTHS), int)}
    with Workers(2) as workers:
        tracemalloc.start()
        loss_and_gradients(model, batch, no_dropout, workers)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 1.5 * model.body.embeddings.word.weight.data.nbytes


def test_a_mistake_in_a_part_reaches_the_caller(model):
    batch = tiny_bert.pretraining_batch(np.random.default_rng(1), LENGTHS)
    batch["input_ids"][3, 0] = 99
    with Workers(2) as workers, pytest.raises(ValueError, match="99 is outside 0..39"):
        loss_and_gradients(model, batch, no_dropout, workers)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=20), st.integers(1, 8))
def test_a_cut_keeps_every_sequence_once_and_balances_tokens(lengths, parts):
    mask = np.arange(30) < np.array(lengths)[:, None]
    batch = {"input_ids": np.arange(mask.size).reshape(mask.shape), "attention_mask": mask.astype(int),
             "label": np.arange(len(lengths))}
    pieces = list(cut(batch, parts))
    assert len(pieces) <= parts
    chosen = np.concatenate([piece["label"] for piece in pieces])
    assert sorted(chosen) == list(range(len(lengths)))
    for piece in pieces:
        np.testing.assert_array_equal(piece["input_ids"], batch["input_ids"][piece["label"]])
    loads = [piece["attention_mask"].sum() for piece in pieces] + [0] * (parts - len(pieces))
    assert max(loads) - min(loads) <= max(lengths)


class OneOf(Ranks):
    """One of several ranks that never speak."""

    def __init__(self, rank, size):
        self.rank, self.size = rank, size


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=40), st.integers(1, 4), st.integers(1, 3), st.integers(1, 99),
       st.sampled_from([0, 20, 64]))
def test_ranks_compute_the_parts_that_as_many_threads_do(lengths, size, threads, part_tokens, dealt):
    """Every row once, in the same parts with the same numbers; in a large batch a rank has a run of rows, and its share
    of the tokens."""
    mask = (np.arange(30) < np.array(lengths)[:, None]).astype(int)
    batch, asked = {"attention_mask": mask, "label": np.arange(len(lengths))}, []

    class Undrawn:
        lengths = mask.sum(1)

        def rows(self, start, stop):
            asked.append((start, stop))
            return {name: x[start:stop] for name, x in batch.items()}

    def rows(parts):
        return [(number, part["label"].tolist()) for number, part in parts]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parallel, "PART_TOKENS", part_tokens)
        patch.setattr(parallel, "DEALT", dealt)
        one = rows(parts_of(batch, Workers(size * threads)))
        of_ranks = [rows(parts_of(batch, Workers(threads, OneOf(rank, size)))) for rank in range(size)]
        for rank in range(size):
            assert rows(parts_of(Undrawn(), Workers(threads, OneOf(rank, size)))) == of_ranks[rank]
    assert sorted(part for parts in of_ranks for part in parts) == one
    assert sorted(row for _, part in one for row in part) == list(range(len(lengths)))
    assert all(number % (size * threads) // threads == rank for rank, parts in enumerate(of_ranks)
               for number, _ in parts)
    if len(lengths) > dealt:
        assert all(stop == start for (_, stop), (start, _) in zip(asked, asked[1:], strict=False))
        for start, stop in asked:
            assert abs(sum(lengths[start:stop]) - sum(lengths) / size) <= max(lengths)


def test_choices_are_cut_between_questions():
    mask = np.ones((3, 2, 5), int)
    assert [piece["attention_mask"].shape for piece in cut({"attention_mask": mask}, 2)] == [(2, 2, 5), (1, 2, 5)]


# Threads


def test_workers_keep_the_order_and_work_in_threads_of_their_own():
    with Workers(3) as workers:
        names = workers.map(lambda i: (i, threading.current_thread() is threading.main_thread()), range(20))
    assert names == [(i, False) for i in range(20)]
    with Workers(1) as workers:
        assert workers.map(lambda a, b: a + b, [1, 2], [3, 4]) == [4, 6]
    assert Workers().n == cores() >= 1
    for n in (0, -1):
        with pytest.raises(ValueError, match=f"at least 1 worker, got {n}"):
            Workers(n)


def test_workers_need_their_block():
    workers = Workers(2)
    with pytest.raises(ValueError, match="with Workers"):
        workers.map(abs, [1])
    with workers:
        with pytest.raises(ValueError, match="at work already"), workers:
            pass
        assert workers.map(abs, [-1, 2]) == [1, 2]
    with pytest.raises(ValueError, match="with Workers"):
        workers.map(abs, [1])
    with workers:                                       # and may work again
        assert workers.map(abs, [-3]) == [3]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_has_workers_of_its_own():
    with Workers(2) as workers:
        assert workers.map(abs, [-1, 2]) == [1, 2]
        child = os.fork()
        if child == 0:
            signal.alarm(20)                            # a child that waits for its parent's threads is ended
            os._exit(0 if workers.map(abs, [-1, 2, -3]) == [1, 2, 3]
                     and {get() for get, _ in blas_controls()} <= {1} else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert workers.map(abs, [-5]) == [5]


class Odd(Exception):
    """Of more than one argument, as some libraries have them."""
    def __init__(self, a, b):
        super().__init__(a, b)


@pytest.mark.parametrize("error", [Odd(1, 2), StopIteration(3), KeyboardInterrupt(), SystemExit(4), MemoryError()])
@pytest.mark.parametrize("n", [1, 2])
def test_what_a_job_raises_is_raised_as_it_is(n, error):
    def job(i):
        if i == 2:
            raise error
        return i

    with Workers(n) as workers:
        with pytest.raises(type(error)) as caught:
            workers.map(job, range(5))
        assert caught.value is error
        assert workers.map(abs, [-1]) == [1]            # and they work on


@pytest.mark.parametrize("n", [1, 2])
def test_lists_of_different_lengths_are_refused(n):
    with Workers(n) as workers, pytest.raises(ValueError, match="argument 2 is shorter"):
        workers.map(max, [1, 2], [3])


def test_an_error_does_not_hold_itself():
    """It would keep the arrays of its job until Python looks for cycles."""
    class Array:
        pass

    def job(i):
        if i == 1:
            array = Array()
            alive.append(weakref.ref(array))
            raise KeyError
    alive = []
    gc.disable()
    try:
        with Workers(2) as workers, contextlib.suppress(KeyError):
            workers.map(job, range(4))
        assert alive[0]() is None
    finally:
        gc.enable()


def test_after_a_mistake_nobody_begins_another_part(model, monkeypatch):
    monkeypatch.setattr(parallel, "PART_TOKENS", 1)
    batch, begun = tiny_bert.pretraining_batch(np.random.default_rng(1), LENGTHS), []

    def rngs(part):
        begun.append(part)
        if part == 0:
            raise KeyError
        time.sleep(0.3)                                 # until the mistake has reached the main thread

    with Workers(2) as workers:
        assert len(parts_of(batch, workers)) == 6
        with pytest.raises(KeyError):
            loss_and_gradients(model, batch, rngs, workers)
    assert len(begun) <= 3


INTERRUPTED = """
import sys, time
from numbert.training.parallel import Workers
done = []
def job(i):
    if i < 2:
        print("at work\\n", end="", flush=True)        # in one piece: two threads write
    time.sleep(0.1)
    done.append(i)
try:
    with Workers({n}) as workers:
        workers.map(job, range(600))
except KeyboardInterrupt:
    print(len(done))
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("n", [1, 2])
def test_ctrl_c_ends_the_jobs_that_have_not_begun(n):
    with subprocess.Popen([sys.executable, "-c", INTERRUPTED.format(n=n)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "at work\n"
        child.send_signal(signal.SIGINT)
        rest, _ = child.communicate(timeout=30)
    assert child.returncode == 0 and int(rest.split()[-1]) < 100


def test_workers_in_two_threads_at_once():
    """Each has its own list of jobs, and BLAS has its threads back when both have ended, in whichever order."""
    before, meet, found = [get() for get, _ in blas_controls()], threading.Barrier(2, timeout=20), {}

    def user(name, linger):
        with Workers(2) as workers:
            meet.wait()
            found[name] = workers.map(lambda i: name * i, range(5))
            meet.wait()
            time.sleep(linger)
    users = [threading.Thread(target=user, args=x) for x in (("a", 0), ("b", 0.2))]
    for one in users:
        one.start()
    for one in users:
        one.join(20)
    assert found == {name: [name * i for i in range(5)] for name in "ab"}
    assert [get() for get, _ in blas_controls()] == before


def test_workers_in_a_spawned_process():
    with Workers(2), ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as processes:
        absolute, threads = processes.submit(spawned.own_workers, [-1, 2]).result(timeout=60)
    assert absolute == [1, 2] and set(threads) <= {1}
