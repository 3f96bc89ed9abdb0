"""Ranks under a real mpiexec: the same numbers as one process. Skipped where mpi4py or mpiexec is not installed."""
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tiny_run

HELPERS = Path(__file__).parents[1] / "helpers"
ROOT = HELPERS.parents[1]
MPIEXEC = shutil.which("mpiexec", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
pytestmark = pytest.mark.skipif(not (MPIEXEC and importlib.util.find_spec("mpi4py")),
                                reason="mpi4py and mpiexec are not installed: pip install 'numbert[mpi]'")
OPEN_MPI = MPIEXEC and "Open MPI" in subprocess.run([MPIEXEC, "--version"], capture_output=True, text=True).stdout
CTRL_C = signal.SIGUSR1 if OPEN_MPI else signal.SIGINT      # Open MPI's mpiexec kills the ranks upon the latter


def environment(**more):
    """Root and more ranks than cores, as in a container, are refused by Open MPI unless they are allowed."""
    allowed = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OPENBLAS_NUM_THREADS": "1",
               "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
               "PYTHONPATH": os.pathsep.join([str(ROOT), str(HELPERS)])}
    return os.environ | allowed | more


def command(ranks, *words):
    return [*([MPIEXEC, "-n", str(ranks)] if ranks > 1 else []), sys.executable, *map(str, words)]


def run(ranks, *words, **more):
    """The finished process of a Python program with these words, on so many ranks."""
    return subprocess.run(command(ranks, *words), env=environment(**more), capture_output=True, text=True, timeout=300)


def steps(folder, ranks, what, dtype="float64", workers=1, *more):
    """What each rank found, a list of dicts of arrays."""
    folder.mkdir()
    done = run(ranks, HELPERS / "mpi_steps.py", folder, what, dtype, workers, *more)
    assert done.returncode == 0, done.stderr
    return [dict(np.load(folder / f"{rank}.npz")) for rank in range(ranks)]


def assert_close(found, expected, tolerance):
    scale = max(abs(x).max() for name, x in expected.items() if name.startswith("a"))
    assert found.keys() == expected.keys()
    for name in found:
        np.testing.assert_allclose(found[name], expected[name], rtol=tolerance, atol=tolerance * scale)


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name in found:
        assert found[name].tobytes() == expected[name].tobytes(), name


@pytest.mark.parametrize("ranks, workers", [(2, 1), (3, 1), (2, 2), (3, 3)])
def test_ranks_give_the_gradient_of_one_process(ranks, workers, tmp_path):
    """3 ranks of 3 threads are more than there are sequences: some have nothing to compute."""
    one, = steps(tmp_path / "one", 1, "gradients")
    found = steps(tmp_path / "ranks", ranks, "gradients", workers=workers)
    for rank in found:
        assert_same(rank, found[0])
        assert rank["sum sequences"] == 6
    assert_close(found[0], one, 1e-12)


def test_the_losses_are_to_the_bit_those_of_as_many_threads(tmp_path):
    threads, = steps(tmp_path / "threads", 1, "gradients", workers=4)
    found, _ = steps(tmp_path / "ranks", 2, "gradients", workers=2)
    for name in ("sum loss", "sum mlm", "sum nsp"):
        assert found[name] == threads[name]


def test_ranks_with_a_run_of_rows_each(tmp_path):
    """As for a large batch: still the gradient of one process, and to the bit the losses of as many threads."""
    one, = steps(tmp_path / "one", 1, "gradients")
    threads, = steps(tmp_path / "threads", 1, "gradients", "float64", 4, "adamw", 1)
    first, second = steps(tmp_path / "ranks", 2, "gradients", "float64", 2, "adamw", 1)
    assert_same(first, second)
    assert_close(first, one, 1e-12)
    assert first["sum sequences"] == 6 and first["sum loss"] == threads["sum loss"]


def test_single_precision_within_rounding(tmp_path):
    one, = steps(tmp_path / "one", 1, "gradients", "float32")
    assert_close(steps(tmp_path / "ranks", 3, "gradients", "float32")[0], one, 1e-5)


@pytest.mark.parametrize("ranks, optimizer", [(2, "adamw"), (3, "lamb")])
def test_a_shared_update_is_the_update_of_everybody(ranks, optimizer, tmp_path):
    """Steps of training with the optimiser shared out, and with everybody moving everything: the same bits."""
    shared = steps(tmp_path / "shared", ranks, "shared", "float64", 1, optimizer)
    plain = steps(tmp_path / "plain", ranks, "plain", "float64", 1, optimizer)
    for rank in (*shared, *plain):
        assert_same(rank, plain[0])
    one, = steps(tmp_path / "one", 1, "plain", "float64", 1, optimizer)
    assert_close(shared[0], one, 1e-10)


def test_the_same_cut_twice_gives_the_same_bits(tmp_path):
    first, second = (steps(tmp_path / name, 3, "shared", "float32", 2) for name in "ab")
    assert_same(first[0], second[0])
    one, = steps(tmp_path / "one", 1, "plain", "float32")
    assert_close(first[0], one, 1e-3)


# --- pretrain.py and the fine-tuning commands -------------------------------------------------------------------------

PRETRAIN = ROOT / "examples" / "pretrain.py"
QUICK = ("--steps", "30", "--vocab-size", "300", "--batch-size", "8", "--max-length", "32")


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """A file of 60 documents, each of a few sentences of words that follow one another in some order."""
    rng, path = np.random.default_rng(0), tmp_path_factory.mktemp("text") / "text.txt"
    words = ["".join(rng.choice(list("abcdefghij"), rng.integers(2, 8))) for _ in range(150)]
    path.write_text("\n\n".join("\n".join(" ".join(rng.choice(words, rng.integers(5, 12))) + "."
                                          for _ in range(rng.integers(3, 9))) for _ in range(60)))
    return path


def pretrain(ranks, text, out, *more):
    return run(ranks, PRETRAIN, "--text", text, "--out", out, *QUICK, *more)


def metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def same_files(a, b):
    assert sorted(path.name for path in a.iterdir()) == sorted(path.name for path in b.iterdir())
    for path in a.iterdir():
        assert path.read_bytes() == (b / path.name).read_bytes(), path.name


def started(ranks, text, out, *more, until=5):
    """pretrain.py on its way, after so many lines of metrics.jsonl."""
    process = subprocess.Popen(command(ranks, PRETRAIN, "--text", text, "--out", out, *QUICK, "--steps", "100000",
                                       "--save-every", "5", *more),
                               env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(600):
        time.sleep(0.1)
        if (out / "metrics.jsonl").exists() and len((out / "metrics.jsonl").read_text().splitlines()) > until:
            return process
    process.kill()
    raise AssertionError(process.communicate())


def children_of(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def words_of(line):
    """Of what stands on the terminal: our lines, without mpiexec's own and what is said of Open MPI's."""
    return [part for part in line.splitlines() if (part.startswith("pretrain.py") and "Open MPI" not in part)
            or "Traceback" in part]


def test_pretraining_on_ranks(text, tmp_path):
    """The same cut twice is the same files; against one process with as many threads, the same within rounding."""
    first, second = (pretrain(2, text, tmp_path / name, "--workers", "1") for name in "ab")
    assert first.returncode == second.returncode == 0, first.stderr
    assert first.stdout.count("documents are held out") == 1
    assert "1 workers on each of 2 ranks" in first.stdout
    same_files(tmp_path / "a", tmp_path / "b")
    assert pretrain(1, text, tmp_path / "one", "--workers", "2").returncode == 0
    ranks, one = metrics(tmp_path / "a"), metrics(tmp_path / "one")
    assert len(ranks) == len(one) > 30
    for r, o in zip(ranks, one, strict=True):
        assert r.keys() == o.keys() and r["step"] == o["step"]
        assert r["mlm"] == pytest.approx(o["mlm"], rel=1e-3)
    assert ranks[0]["mlm"] == one[0]["mlm"]             # before anything was rounded in another order


def test_a_stopped_run_goes_on(text, tmp_path):
    """Ctrl-C, or SIGUSR1, which mpiexec hands to all ranks, saves and ends all; --resume gives what an uninterrupted
    run gives, and with another number of ranks it says so and goes on."""
    process = started(2, text, tmp_path / "stopped", "--workers", "1")
    process.send_signal(CTRL_C)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert out.count("stopped; ") == 1 and f"mpiexec -n 2 python examples/pretrain.py --resume --out {tmp_path}" in out
    assert not words_of(errors) and (f"kill -USR1 {process.pid}" in errors) == bool(OPEN_MPI)
    assert not (tmp_path / "stopped" / "run.lock").exists()
    saved = metrics(tmp_path / "stopped")[-1]["step"]
    shutil.copytree(tmp_path / "stopped", tmp_path / "three")
    for folder, ranks in (("stopped", 2), ("three", 3)):
        process = subprocess.Popen(command(ranks, PRETRAIN, "--resume", "--out", tmp_path / folder), env=environment(),
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        while len(metrics(tmp_path / folder)) < saved + 5:
            assert process.poll() is None, process.communicate()
            time.sleep(0.2)
        process.send_signal(signal.SIGUSR1)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0 and f"goes on after step {saved}" in out
        assert ("the run had 2 ranks so far, now 3" in out) == (ranks == 3)
    whole = started(2, text, tmp_path / "whole", "--workers", "1", until=saved + 4)
    whole.send_signal(signal.SIGUSR1)
    whole.communicate(timeout=60)
    whole, resumed, three = (metrics(tmp_path / name) for name in ("whole", "stopped", "three"))
    n = min(map(len, (whole, resumed, three)))
    assert n >= saved + 4 and whole[:n] == resumed[:n]
    for a, b in zip(whole[:n], three[:n], strict=True):
        assert a["mlm"] == pytest.approx(b["mlm"], rel=1e-3)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the ranks are found in /proc, and there is none")
def test_a_rank_that_is_killed_ends_all(text, tmp_path):
    """mpiexec says so; the last checkpoint is whole, and the lock of a process that is no more is no obstacle."""
    process = started(2, text, tmp_path / "run", "--workers", "1", until=8)
    owner = json.loads((tmp_path / "run" / "run.lock").read_text())["pid"]
    children = children_of(process.pid)
    if len(children) == 1:                              # MPICH's has a process between it and the ranks
        children = children_of(*children)
    assert owner in children and len(children) == 2
    os.kill(next(pid for pid in children if pid != owner), signal.SIGKILL)
    said = "".join(process.communicate(timeout=30))
    assert process.returncode != 0 and "killed" in said.lower() and not words_of(said)
    for _ in range(50):
        if not any(map(alive, children)):
            break
        time.sleep(0.1)
    assert not any(map(alive, children))
    lines = len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines())
    again = started(2, text, tmp_path / "run", "--resume", until=lines + 5)     # more than there were: it is on its way
    again.send_signal(signal.SIGUSR1)
    assert "goes on after step" in again.communicate(timeout=60)[0]


def test_a_fine_tuning_on_ranks(tmp_path):
    folder, _ = tiny_run.write(tmp_path / "model")
    rows = [f"{words}\t{label}" for words, label in (("good film", 1), ("a bad day", 0), ("very good", 1),
                                                     ("the film was not good", 0)) for _ in range(6)]
    for name in ("train", "dev"):
        (tmp_path / f"{name}.tsv").write_text("\n".join(["sentence\tlabel", *rows]) + "\n")

    def glue(ranks, out, *more):
        return run(ranks, "-m", "numbert.tasks.glue", "--task", "sst-2", "--data", tmp_path, "--model", folder, "--out",
                   tmp_path / out, "--epochs", "3", "--batch-size", "5", "--max-length", "16", "--lr", "1e-3", *more)

    first, second = (glue(2, out, "--workers", "1") for out in ("a", "b"))
    assert first.returncode == second.returncode == 0, first.stderr
    assert first.stdout.count("epoch 1/3") == 1
    same_files(tmp_path / "a", tmp_path / "b")
    assert not (tmp_path / "a" / "checkpoint.safetensors").exists()
    assert glue(1, "one", "--workers", "2").returncode == 0
    for r, o in zip(metrics(tmp_path / "a"), metrics(tmp_path / "one"), strict=True):
        assert r == pytest.approx(o, rel=1e-4)


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_a_mistake_that_all_ranks_meet_is_said_once(text, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    for out, more in ((tmp_path, ()), (tmp_path / "new", ("--text", tmp_path / "none.txt"))):
        done = pretrain(3, text, out, *more)
        assert done.returncode == 1 and len(words_of(done.stderr)) == 1, done.stderr
    assert pretrain(2, text, tmp_path / "new", "--steps", "x").returncode == 2


def test_a_mistake_of_one_rank_ends_all(tmp_path):
    program = tmp_path / "program.py"
    program.write_text("from numbert.training.ranks import together\n"
                       "with together('program') as ranks:\n"
                       "    print('I am', ranks.rank)\n"
                       "    if ranks.rank == 1: raise SystemExit('program: no memory')\n"
                       "    ranks.everybody(0)\n")
    done = run(2, program)
    assert done.returncode != 0 and done.stdout == "I am 0\n"
    line, = (line for line in done.stderr.splitlines() if "program: no memory" in line)
    assert line.lstrip("\0").startswith("rank 1 on ")       # mpiexec may put a zero byte between two ranks' lines


def test_without_mpi4py_there_is_one_line_and_no_run(text, tmp_path):
    (tmp_path / "mpi4py.py").write_text("raise ImportError('there is none')\n")
    done = subprocess.run(command(3, PRETRAIN, "--text", text, "--out", tmp_path / "run", *QUICK), capture_output=True,
                          env=environment(PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)])), text=True)
    line, = words_of(done.stderr)
    assert done.returncode == 1 and "pip install 'numbert[mpi]'" in line and not (tmp_path / "run").exists()


def test_a_command_that_does_not_share_its_work_is_refused(tmp_path):
    done = run(2, ROOT / "examples" / "use" / "continue_training.py", "--quick", "--out", tmp_path / "run")
    assert done.returncode == 1 and done.stderr.count("start it without mpiexec") == 1
    assert not (tmp_path / "run").exists()
