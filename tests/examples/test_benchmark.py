"""The benchmark runs without any of the others installed, and its measuring drops what it should."""
import importlib.util
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import spawned

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "examples"))

import benchmark  # noqa: E402
from benchmarking import ablation, curves, ranks, rounds  # noqa: E402
from benchmarking.cases import MASK, Case, all_cases, grouped  # noqa: E402
from benchmarking.contender import Contender  # noqa: E402
from benchmarking.contenders import CONTENDERS, contenders_of, prepare  # noqa: E402

from numbert import GPT2Config  # noqa: E402
from numbert.models import cost  # noqa: E402
from numbert.ops import IGNORE  # noqa: E402
from numbert.recording import watching  # noqa: E402
from numbert.training import parallel  # noqa: E402

TINY = Case("tiny", "pretrain", vocab_size=50, batch=4, length=16, threads=1)


def test_quick_run():
    command = [sys.executable, ROOT / "examples/benchmark.py", "--quick", "--against", "--batch", "4", "--length", "16",
               "--rounds", "1", "--round-seconds", "0.01", "--text", ROOT / "LICENSE"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines() if line[:1] == "|"]
    assert tuple(rows[0]) == benchmark.HEADER
    assert [row[0] for row in rows[2:]] == list(benchmark.QUICK)
    for row in rows[2:]:
        milliseconds, unit = row[2].split()
        assert unit == "ms" and float(milliseconds) > 0
        assert 10 < float(row[8]) < 4000                        # MB: a Python with NumPy, and not a whole machine
    assert "G operations a second" in done.stdout and "Python's share" in done.stdout


def test_unknown_case():
    with pytest.raises(SystemExit, match="no case is called nothing"):
        benchmark.main(["--cases", "nothing"])


class Scripted:
    """In place of a process: plays rounds whose seconds and disturbances are given."""

    def __init__(self, name, log, script):
        self.name, self.log, self.script = name, log, iter(script)

    def call(self, what):
        if what == "round":
            self.log.append(self.name)
            seconds, others = next(self.script)
            return rounds.Round(seconds, 1, 1.0, others)
        return {"warm_up": np.array([1.0]), "memory": 1}[what]


def scripted(a, b):
    log = []
    return log, {"a": Scripted("a", log, a), "b": Scripted("b", log, b)}


def test_rounds_in_turn_and_disturbed_ones_dropped(monkeypatch):
    monkeypatch.setattr(rounds, "PAUSE", 0)
    log, players = scripted([(1, 0), (2, 0), (9, 0.5), (3, 0.05)], [(2, 0), (8, 0), (9, 0), (4, 0)])
    result = rounds.play(players, 3)
    assert "".join(log) == "abbaabba"
    assert result.dropped == 1 and result.quiet
    assert result.ratios("a", "b") == [0.25, 0.5, 0.75] and result.seconds("a") == 2


def test_all_rounds_disturbed(monkeypatch):
    monkeypatch.setattr(rounds, "PAUSE", 0)
    _, players = scripted([(1, 1)] * 9, [(2, 0)] * 9)
    result = rounds.play(players, 2)
    assert not result.quiet and result.dropped == 6 and len(result.rounds["a"]) == 6


@pytest.mark.parametrize("others, disturbed", [(None, False), (0.0, False), (0.12, False), (0.14, True)])
def test_disturbed(others, disturbed):
    assert rounds.Round(seconds=0.1, steps=20, wall=2.0, others=others).disturbed == disturbed


class Work(Contender):
    def step(self):
        sum(range(1000))


def test_own_work_is_not_taken_for_a_disturbance(monkeypatch):
    monkeypatch.setattr(rounds.os, "sched_setaffinity", lambda *arguments: None, raising=False)  # keep ours
    timed = rounds.Timed(lambda case: Work(), TINY, 0.2)
    timed.steps = 20
    monkeypatch.setattr(rounds, "machine_seconds", iter([100.0, 101.5]).__next__)
    monkeypatch.setattr(rounds.time, "process_time", iter([3.0, 4.25]).__next__)
    played = timed.round()
    assert played.others == 0.25                                # 1.5 seconds of the machine, 1.25 of them our own
    assert played.steps == 20 and 0 < played.seconds * 20 <= played.wall


@pytest.mark.skipif(rounds.machine_seconds() is None, reason="this system has no /proc/stat")
def test_machine_seconds_holds_our_own():
    own, machine = time.process_time(), rounds.machine_seconds()
    while time.process_time() < own + 0.1:
        Work().step()
    assert rounds.machine_seconds() - machine > 0.07


def test_what_goes_wrong_in_another_process_is_told(capfd):
    with pytest.raises(RuntimeError, match="explode: ValueError: no such thing"):
        rounds.call_apart(spawned.explode)
    with pytest.raises(RuntimeError, match="vanish: the process ended by itself"):
        rounds.call_apart(spawned.vanish)


def test_a_process_has_its_own_environment(monkeypatch):
    monkeypatch.delenv("NUMBERT_KEEP_MEMORY", raising=False)
    with rounds.Apart("memory", spawned.Memory, environment=benchmark.OTHERS) as there:
        assert there.call("told") == "0" and "NUMBERT_KEEP_MEMORY" not in os.environ


def test_only_numbert_has_its_settings_of_memory(monkeypatch):
    given = {}

    class Apart:
        def __init__(self, name, *arguments, environment):
            given[name] = environment

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

    monkeypatch.setattr(benchmark, "Apart", Apart)
    monkeypatch.setattr(benchmark, "play", lambda contenders, rounds: None)
    monkeypatch.setattr(benchmark, "call_apart", lambda *arguments: None)
    options = benchmark.arguments().parse_args([])
    names = "numbert", "numbert on ranks", "Hugging Face", "tokenizers"
    benchmark.measure(TINY, dict.fromkeys(names), options)
    assert given == dict(zip([f"tiny, {name}" for name in names], [{}, {}, benchmark.OTHERS, benchmark.OTHERS],
                             strict=True))
    given.clear()
    benchmark.measure(TINY, ablation.CONTENDERS, benchmark.arguments().parse_args(["--ablation"]))
    assert given == {f"tiny, {name}": {} for name in ablation.CONTENDERS}


def test_unlike():
    assert benchmark.unlike(np.array([1.0, 2.0]), np.array([1.0, 2.0])) == 0
    assert benchmark.unlike(np.array([1.0, 2.1]), np.array([1.0, 2.0])) == pytest.approx(0.05)
    assert benchmark.unlike(np.array([7, 7, 7, 8]), np.array([7, 7, 7, 9])) == 0.25
    assert benchmark.unlike(np.array([7, 7]), np.array([7, 7, 7])) == np.inf


def test_data_is_the_same_for_all_and_padded_as_stated():
    case = replace(TINY, batch=1000, length=40)
    one, two = case.data(), case.data()
    assert all(np.array_equal(a[name], b[name]) for a, b in zip(one, two, strict=True) for name in a)
    batch = one[0]
    lengths = batch["attention_mask"].sum(1)
    assert (lengths == 40).mean() == pytest.approx(0.5 + 0.5 / 31, abs=0.02)
    assert lengths.min() == 10 and lengths[lengths < 40].mean() == pytest.approx(24.5, abs=1)
    masked = batch["labels"] != IGNORE
    assert (batch["input_ids"][masked] == MASK).all() and not masked[:, 0].any()
    assert (masked.sum(1) == np.round(0.15 * lengths)).all()
    assert not (batch["input_ids"] * (1 - batch["attention_mask"])).any()
    assert (replace(case, padded=False).data()[0]["attention_mask"] == 1).all()


def test_short_sentences_are_padded_to_the_longest():
    batch = replace(TINY, kind="classify", batch=100, length=40, full=0).data()[0]
    lengths = batch["attention_mask"].sum(1)
    assert (lengths == 40).sum() < 10 and lengths.max() == 40 and lengths.min() >= 10
    assert batch["labels"].shape == (100,)


@pytest.mark.parametrize("kind", ["pretrain", "classify", "finetune"])
def test_grouped_batches_hold_the_same_sequences(kind):
    def rows(batches):
        """What a sequence is without its padding, sorted."""
        return sorted(tuple((name, x[b].tolist() if x[b].ndim == 0 else x[b][:length].tolist())
                            for name, x in sorted(batch.items()))
                      for batch in batches for b, length in enumerate(batch["attention_mask"].sum(1)))

    given = replace(TINY, kind=kind, batch=8, length=40).data()
    found = grouped(given)
    assert rows(found) == rows(given)
    assert [len(batch["input_ids"]) for batch in found] == [8] * len(given)
    widths = [batch["input_ids"].shape[1] for batch in found]
    assert widths == [batch["attention_mask"].sum(1).max() for batch in found]      # no column of padding alone
    assert sorted(widths, reverse=True) == widths and widths[-1] < 40


def test_operations_of_grouped_batches_lie_between():
    case = replace(TINY, kind="finetune", batch=8, length=40)
    ours, groups, theirs = (sum(case.operations(**options).values()) for options in (
        {}, {"padded": True, "batches": grouped(case.data())}, {"padded": True}))
    assert ours < groups < theirs


def test_operations_of_the_others():
    full = replace(TINY, padded=False)
    rows, masked = 4 * 16, 4 * 2
    more = full.operations(padded=True, all_words=True) - full.operations(padded=True)
    assert more == cost.masked_lm_head(full.config(), cost.TRAINING * (rows - masked))
    ours, theirs = TINY.operations(), TINY.operations(padded=True)
    assert all(ours[part] < theirs[part] for part in ("linear", "attention")) and ours["decoder"] == theirs["decoder"]


@pytest.mark.parametrize("name", list(ablation.CONTENDERS)[1:])
def test_without_an_idea_there_is_more_work_and_the_same_result(name, tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, "PART_TOKENS", 32)                # the batch has 51 tokens: two parts
    case, proofs, linear = replace(TINY, folder=str(tmp_path)), {}, {}
    prepare(case, None, False)
    for who in ("numbert", name):
        contender, linear[who] = ablation.CONTENDERS[who](case), []
        proofs[who] = contender.proof()
        with watching(lambda op, inputs, options, output, node, rows=linear[who]:
                      rows.append(output.shape) if op.name == "linear" else None):
            contender.train(case.data()[3], dropout=False)
    np.testing.assert_allclose(proofs[name], proofs["numbert"], rtol=1e-6)
    calls, rows = len(linear[name]), sum(shape[0] for shape in linear[name])
    if name in ("without parts", "without all three"):
        assert calls < len(linear["numbert"])
    if name != "without parts":
        assert rows > sum(shape[0] for shape in linear["numbert"])


def test_what_does_not_work_here_is_named(monkeypatch):
    monkeypatch.setitem(CONTENDERS, "encode", {"numbert": (Work, ()), "a": (Work, ("no_such_package",)),
                                               "b": (Work, (lambda: "no compiler",)), "c": (Work, (lambda: None,))})
    made, missing = contenders_of(replace(TINY, kind="encode"))
    assert list(made) == ["numbert", "c"] and missing == {"a": ["no_such_package"], "b": ["no compiler"]}


@pytest.fixture
def under_mpi(monkeypatch):
    if not (importlib.util.find_spec("mpi4py") and ranks.mpiexec()):
        pytest.skip("mpi4py and mpiexec are not installed: pip install 'numbert[mpi]'")
    for name in ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"):
        monkeypatch.setenv(name, "1")                               # as in a container


def test_ranks_do_the_same_work_and_wait_without_a_core(under_mpi, tmp_path):
    ranks.no_ranks.cache_clear()
    case = replace(TINY, threads=2, folder=str(tmp_path))
    prepare(case, None, False)
    made, _ = contenders_of(case, ["numbert on ranks"])
    threads, on_ranks = (make(case) for make in made.values())
    threads.step()
    on_ranks.step()
    assert on_ranks.proof().tolist() == threads.proof().tolist()    # the same cut, so the same bits, with dropout too
    assert on_ranks.memory() > 2 * 20e6                             # two Pythons with NumPy
    before = on_ranks.processor_seconds()
    assert before > time.process_time() + 0.2                       # both have imported NumPy
    time.sleep(0.5)
    assert on_ranks.processor_seconds() - before < 0.1


def test_a_mistake_of_one_rank_ends_all(under_mpi):
    for what, said in (("miss", "ValueError: no such thing"), ("vanish", "the process ended by itself")):
        there = ranks.OnRanks(2, spawned.Meeting)
        assert there.call("place") == [(0, 2), (1, 2)]
        with pytest.raises(RuntimeError, match=said):
            there.call(what)
        assert there.mpiexec.wait(20) is not None


def test_why_there_are_no_ranks(monkeypatch, tmp_path):
    program = tmp_path / "mpiexec"
    program.write_text("#!/bin/sh\necho -----\necho there are no places 1>&2\necho more\nexit 1\n")
    program.chmod(0o700)
    monkeypatch.setattr(ranks, "mpiexec", lambda: str(program))
    assert ranks.no_ranks.__wrapped__() == "there are no places"
    with pytest.raises(RuntimeError, match="mpiexec ended with 1 before"):
        ranks.OnRanks(2, spawned.Meeting)
    monkeypatch.setattr(ranks, "mpiexec", lambda: None)
    assert ranks.no_ranks.__wrapped__() == "mpiexec"


def proven(case, folder):
    """(numbert's contender after a step, its proof of work)"""
    case = replace(case, folder=str(folder))
    prepare(case, ["the dog barks, the cat sleeps", "the dogs bark"] * 9, False)
    contender = contenders_of(case, [])[0]["numbert"](case)
    contender.reset()
    contender.step()
    return contender, contender.proof()


def test_generating(tmp_path, monkeypatch):
    monkeypatch.setattr(Case, "config", lambda case: GPT2Config(vocab_size=50, n_embd=8, n_layer=2, n_head=2))
    case = replace(TINY, kind="generate", padded=False, batch=2, length=5, new_tokens=4)
    contender, proof = proven(case, tmp_path)
    assert proof.shape == (2 * 4,)
    whole = contender.ids
    for _ in range(4):                                              # without the cache
        best = contender.model(whole).logits.data[:, -1].argmax(-1)
        whole = np.concatenate([whole, best[:, None]], 1)
    assert proof.tolist() == whole[:, 5:].reshape(-1).tolist()


@pytest.mark.filterwarnings("ignore:the texts give only")
@pytest.mark.parametrize("tokenizer", ["WordPiece", "byte-level BPE"])
def test_tokenising(tokenizer, tmp_path):
    case = replace(TINY, kind="tokenise", tokenizer=tokenizer, vocab_size=300)
    contender, proof = proven(case, tmp_path)
    assert proof.tolist() == [i for text in contender.texts for i in contender.tokenizer(text).input_ids]


def test_all_kinds_have_contenders():
    for case in all_cases(2, 32, 128).values():
        made, missing = contenders_of(case)
        assert list(made)[0] == "numbert" and len(made) + len(missing) >= 2
        assert list(contenders_of(case, [])[0]) == ["numbert"]


def test_curves(tmp_path):
    lines = []
    sweeps = {"Length": ("T", lambda case: case.length, [replace(TINY, name="a", length=8), TINY])}
    drawn = curves.draw(tmp_path, 1, 1e10, 0.01, lines.append, sweeps)
    assert drawn.startswith("<svg") and drawn.count("<g ") == 2
    assert len(lines) == 2 and "G operations" in lines[0]
