"""Settings of the process: that freed memory is kept, how many cores there are, how many threads BLAS uses."""
import ctypes
import importlib
import math
import os
import platform
import subprocess
import sys
import threading
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


def test_memory_is_left_alone_where_that_is_wanted(monkeypatch):
    told = []
    library = types.SimpleNamespace(mallopt=lambda *setting: told.append(setting))
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    monkeypatch.setenv("NUMBERT_KEEP_MEMORY", "0")
    machine.keep_memory()
    assert not told
    monkeypatch.setenv("NUMBERT_KEEP_MEMORY", "1")
    machine.keep_memory()
    assert told == list(machine.MALLOC.items())


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


def helpers(_=None):
    """How much processor time other threads spend on this thread's matrix products, as a share of its own."""
    x = np.ones((1200, 1200), np.float32)
    time.sleep(0.5)                                     # idle threads of OpenBLAS wait for work at full speed at first
    own, all_ = time.thread_time(), time.process_time()
    for _ in range(4):
        x @ x
    own, all_ = time.thread_time() - own, time.process_time() - all_
    return all_ / own - 1


@pytest.mark.skipif(machine.cores() == 1, reason="one core")
@pytest.mark.skipif(not hasattr(time, "thread_time"), reason="no clock for a thread")
def test_the_library_is_the_one_that_numpy_uses(get):
    """Set to one thread it computes with one, in the main thread and in those of Workers."""
    with machine.blas_threads(2):
        assert helpers() > 0.1                          # so the measurement sees them
    with machine.blas_threads(1):
        assert helpers() < 0.05
    with Workers(2) as workers:
        share, = workers.map(helpers, [0])
    assert share < 0.05


def test_the_library_is_not_one_that_something_else_loaded():
    pytest.importorskip("scipy.linalg", reason="SciPy brings a second OpenBLAS")
    controls = ("import {first}\nfrom numbert import machine\n"
                "print(*(function.__name__ for pair in machine.blas_controls() for function in pair))")
    plain, second = (subprocess.run([sys.executable, "-c", controls.format(first=first)], check=True, text=True,
                                    capture_output=True).stdout for first in ("numpy", "scipy.linalg"))
    assert plain == second and len(plain.split()) in (0, 2)


def test_blas_has_its_threads_back(get):
    before = get()
    with machine.blas_threads(2):
        assert get() == machine.blas_thread_count() == 2
        with machine.blas_threads(1):
            assert get() == machine.blas_thread_count() == 1
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


@pytest.fixture
def unwarned(monkeypatch):
    monkeypatch.setattr(machine, "_warned", False)
    monkeypatch.setattr(machine, "cores", lambda: 4)
    for name in machine._ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def nothing(monkeypatch, unwarned):
    """A NumPy whose BLAS has no function for it."""
    monkeypatch.setattr(machine, "_libraries", lambda: [types.SimpleNamespace(cblas_sgemm=None)])


def test_without_a_library_one_thread_is_counted(nothing, monkeypatch):
    monkeypatch.setattr(machine, "_counters", machine._counters.__wrapped__)            # nothing is remembered
    assert machine.blas_thread_count() == 1


def test_without_a_library_it_says_so_once(nothing):
    with pytest.warns(UserWarning, match=r"BLAS.*8 to 30 times slower. Set OMP_NUM_THREADS=1 .*VECLIB.* starts$"), \
            machine.blas_threads(1):
        pass
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with machine.blas_threads(1), Workers(2) as workers:
            assert workers.map(abs, [-1]) == [1]


@pytest.mark.parametrize("name", machine._ENVIRONMENT)
def test_who_has_set_it_is_not_told(nothing, name, monkeypatch):
    monkeypatch.setenv(name, "1")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with machine.blas_threads(1):
            pass
    monkeypatch.setenv(name, "8")
    with pytest.warns(UserWarning, match="8 to 30 times"), machine.blas_threads(1):
        pass


def test_one_core_needs_nothing(nothing, monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with machine.blas_threads(1):
            pass


@pytest.mark.parametrize("names", machine._CONTROLS)
def test_other_libraries_are_known(names, monkeypatch, unwarned):
    calls = []
    library = types.SimpleNamespace(**dict(zip(names, (lambda: 6, calls.append), strict=True)))
    monkeypatch.setattr(machine, "_libraries", lambda: [types.SimpleNamespace(), library])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with machine.blas_threads(1):
            pass
    assert calls == [1, 6]


def test_accelerate_knows_one_thread_and_many(monkeypatch, unwarned):
    state = [0]
    library = types.SimpleNamespace(BLASGetThreading=lambda: state[-1], BLASSetThreading=state.append)
    monkeypatch.setattr(machine, "_libraries", lambda: [library])
    with machine.blas_threads(1):
        with machine.blas_threads(3):
            pass
    assert state == [0, 1, 0, 1, 0]
    state.append(1)                                     # it was one before
    with machine.blas_threads(2):
        assert state[-1] == 0
    assert state[-1] == 1


def test_a_number_for_each_thread_is_told_to_each_worker(monkeypatch, unwarned):
    """As OpenMP keeps it: what the main thread says holds in no other."""
    number, here = {}, threading.get_ident
    library = types.SimpleNamespace(omp_get_max_threads=lambda: number.get(here(), 4),
                                    omp_set_num_threads=lambda n: number.update({here(): n}))
    monkeypatch.setattr(machine, "_libraries", lambda: [library])
    with Workers(3) as workers:
        meet = threading.Barrier(3, timeout=20)
        assert workers.map(lambda _: (meet.wait(), library.omp_get_max_threads())[1], range(3)) == [1, 1, 1]
        assert library.omp_get_max_threads() == 1
    assert library.omp_get_max_threads() == 4


def test_on_windows_threadpoolctl_is_asked(monkeypatch, nothing):
    calls = []
    one = types.SimpleNamespace(get_num_threads=lambda: 8, set_num_threads=calls.append)
    found = types.SimpleNamespace(select=lambda user_api: types.SimpleNamespace(lib_controllers=[one]))
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)         # not installed
    with pytest.warns(UserWarning, match="or install threadpoolctl$"), machine.blas_threads(1):
        pass
    monkeypatch.setitem(sys.modules, "threadpoolctl", types.SimpleNamespace(ThreadpoolController=lambda: found))
    with machine.blas_threads(1):
        pass
    assert calls == [1, 8]
