"""Settings of the process: that freed memory is kept, how many cores there are, how many threads BLAS uses."""
import ctypes
import importlib
import math
import os
import platform
import subprocess
import sys
import time
import types
import warnings

import numpy as np
import pytest
import tiny_bert

import numbert
from numbert import machine
from numbert.training.parallel import Workers

FAULTS = """
import resource, numpy as np
{first}
def work():
    for _ in range(20):
        arrays = [np.ones(2**20, np.float32) for _ in range(4)]         # 16 MB
        del arrays
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="settings of glibc")
def test_freed_memory_is_not_asked_for_again():
    kept, given_back = (int(subprocess.run([sys.executable, "-c", FAULTS.format(first=first)], check=True,
                                           capture_output=True, text=True).stdout) for first in ("import numbert", ""))
    assert kept < 100 < given_back                      # pages that the system had to fill with zeros


def test_importing_the_package_settles_it(monkeypatch):
    told = {}
    monkeypatch.setattr(ctypes, "CDLL", lambda name: types.SimpleNamespace(mallopt=told.__setitem__))
    importlib.reload(numbert)
    assert told[-8] == 1 and told[-3] == 2**25 and told[-1] > told[-3]      # numbers of glibc's malloc.h
    told.clear()
    numbert.BertModel(tiny_bert.config(), rng=np.random.default_rng(0))
    assert not told                                     # nothing else settles anything


@pytest.mark.parametrize("error", [OSError, AttributeError, TypeError])
def test_another_c_library(monkeypatch, error):
    def none(name):
        raise error

    monkeypatch.setattr(ctypes, "CDLL", none)
    assert machine.keep_memory() is None


# --- cores -----------------------------------------------------------------------------------------------------------

def group(folder, path, **files):
    (folder / path).mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / path / name.replace("__", ".")).write_text(text)


@pytest.mark.parametrize("groups,files,cores", [
    ("0::/a/b\n", {"a": "max 100000", "a/b": "150000 100000"}, 1.5),
    ("0::/a/b\n", {"a": "50000 100000", "a/b": "150000 100000"}, 0.5),       # that of a group above counts too
    ("0::/a\n", {"a": "max 100000"}, math.inf),
    ("0::/\n", {".": "200000 100000"}, 2),                                   # as inside a container
    ("nonsense", {}, math.inf),
])
def test_the_quota_of_a_control_group(tmp_path, groups, files, cores):
    for path, text in files.items():
        group(tmp_path, path, cpu__max=text)
    (tmp_path / "groups").write_text(groups)
    assert machine._quota(tmp_path, tmp_path / "groups") == cores


def test_the_quota_of_a_control_group_of_version_1(tmp_path):
    group(tmp_path, "cpu/a", cpu__cfs_quota_us="300000", cpu__cfs_period_us="100000")
    group(tmp_path, "cpu", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    (tmp_path / "groups").write_text("5:memory:/x\n3:cpu,cpuacct:/a\n")
    assert machine._quota(tmp_path, tmp_path / "groups") == 3


def test_cores_are_bound_by_the_quota(monkeypatch):
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    for quota, expected in ((math.inf, bound), (0.5, 1), (1.2, min(2, bound))):
        monkeypatch.setattr(machine, "_quota", lambda *_, quota=quota: quota)
        assert machine.cores() == expected


# --- BLAS ------------------------------------------------------------------------------------------------------------

@pytest.fixture
def get():
    if not (found := machine.blas_controls()):
        pytest.skip("the BLAS of this NumPy does not let itself be told")
    return found[0][0]


def test_the_library_is_the_one_that_numpy_loaded(get):
    """Set to one thread it computes with one: products take no processor time on other cores."""
    x = np.ones((1500, 1500), np.float32)
    with machine.blas_threads(1):
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(3):
            x @ x
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert cpu < 1.3 * wall


def test_blas_has_its_threads_back(get):
    before = get()
    with machine.blas_threads(2):
        assert get() == 2
        with machine.blas_threads(1):
            assert get() == 1
        assert get() == 2
    assert get() == before
    with pytest.raises(KeyError), Workers(2):
        assert get() == 1
        raise KeyError
    assert get() == before


def test_overlapping_blocks(get):
    """The first one ends before the second: what was before both must come back, not what was between."""
    before = get()
    first, second = machine.blas_threads(1), machine.blas_threads(2)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert get() == 2
    second.__exit__(None, None, None)
    assert get() == before


def test_without_a_library_it_says_so_once(monkeypatch):
    monkeypatch.setattr(machine, "blas_controls", lambda: [])
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with pytest.warns(UserWarning, match="no BLAS library.*OMP_NUM_THREADS=1"), machine.blas_threads(1):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with machine.blas_threads(1):               # within a block that has said it
                pass


def test_other_libraries_are_found_by_name(monkeypatch):
    calls = []
    library = types.SimpleNamespace(MKL_Get_Max_Threads=lambda: 6, MKL_Set_Num_Threads=lambda n: calls.append(n.value))
    monkeypatch.setattr(machine, "_libraries", lambda: ["/opt/lib/libmkl_rt.so.2"])
    monkeypatch.setattr(ctypes, "CDLL", lambda path: library)
    with machine.blas_threads(1):
        pass
    assert calls == [1, 6]
