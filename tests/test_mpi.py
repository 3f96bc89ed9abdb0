"""Ranks under a real mpiexec: the same numbers as one process. Skipped where mpi4py or mpiexec is not installed."""
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

TESTS = Path(__file__).parent
MPIEXEC = shutil.which("mpiexec", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
pytestmark = pytest.mark.skipif(not (MPIEXEC and importlib.util.find_spec("mpi4py")),
                                reason="mpi4py and mpiexec are not installed: pip install 'numbert[mpi]'")


def environment(**more):
    """Root and more ranks than cores, as in a container, are refused by Open MPI unless they are allowed."""
    allowed = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OPENBLAS_NUM_THREADS": "1",
               "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe", "PYTHONPATH": f"{TESTS.parent}:{TESTS}"}
    return os.environ | allowed | more


def command(ranks, *words):
    return [*([MPIEXEC, "-n", str(ranks)] if ranks > 1 else []), sys.executable, *map(str, words)]


def run(ranks, *words, **more):
    """The finished process of a Python program with these words, on so many ranks."""
    return subprocess.run(command(ranks, *words), env=environment(**more), capture_output=True, text=True, timeout=300)


def steps(folder, ranks, what, dtype="float64", workers=1):
    """What each rank found, a list of dicts of arrays."""
    folder.mkdir()
    done = run(ranks, TESTS / "mpi_steps.py", folder, what, dtype, workers)
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


def test_single_precision_within_rounding(tmp_path):
    one, = steps(tmp_path / "one", 1, "gradients", "float32")
    assert_close(steps(tmp_path / "ranks", 3, "gradients", "float32")[0], one, 1e-5)


@pytest.mark.parametrize("ranks", [2, 3])
def test_a_shared_update_is_the_update_of_everybody(ranks, tmp_path):
    """Steps of training with the optimiser shared out, and with everybody moving everything: the same bits."""
    shared = steps(tmp_path / "shared", ranks, "shared")
    plain = steps(tmp_path / "plain", ranks, "plain")
    for rank in (*shared, *plain):
        assert_same(rank, plain[0])
    one, = steps(tmp_path / "one", 1, "plain")
    assert_close(shared[0], one, 1e-10)


def test_the_same_cut_twice_gives_the_same_bits(tmp_path):
    first, second = (steps(tmp_path / name, 3, "shared", "float32", 2) for name in "ab")
    assert_same(first[0], second[0])
    one, = steps(tmp_path / "one", 1, "plain", "float32")
    assert_close(first[0], one, 1e-3)
