"""The machine that this process runs on: the memory it keeps, the cores it may use, the threads of NumPy's BLAS.

These are settings of the whole process. No other file in the package changes any.
"""
import contextlib
import ctypes
import functools
import math
import os
import sys
import threading
import warnings
from pathlib import Path

import numpy as np

# ---- memory ----------------------------------------------------------------------------------------------------------

MALLOC = {                          # numbers of glibc's malloc.h: value
    -8: 1,                          # M_ARENA_MAX: one heap for all threads
    -3: 32 << 20,                   # M_MMAP_THRESHOLD: only larger arrays bypass the heap (the largest value allowed)
    -1: 256 << 20,                  # M_TRIM_THRESHOLD: how much free memory is kept at the heap's end
}


def keep_memory():
    """Tell glibc to keep freed memory for later arrays, from now on. With another C library this does nothing.

    By default glibc returns freed memory to the system and soon asks for it again, and the system fills every page with
    zeros first. Each thread also has a heap of its own, whose free memory no other thread can use. A pass through a
    model allocates and frees arrays of a few megabytes all the time: with these settings one sequence through BERT-base
    takes three quarters of the time, and a training step at tiny size 5% less time and a seventh less memory. A library
    whose threads allocate many small objects gets slower by the one heap (`tokenizers` with two threads: twice the
    time). Where the environment has NUMBERT_KEEP_MEMORY=0, nothing is changed.
    """
    if os.environ.get("NUMBERT_KEEP_MEMORY") == "0":
        return
    with contextlib.suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        for setting, value in MALLOC.items():
            mallopt(setting, value)


def peak_memory():
    """The most memory that this process ever held, in bytes; None where the system does not say."""
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


# ---- cores -----------------------------------------------------------------------------------------------------------


def cores():
    """How many cores this process may use: those it is bound to, or fewer where its control group (a container) has a
    quota of processor time, or where mpiexec has started others on this machine."""
    all_cores = os.cpu_count() or 1
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else all_cores
    ranks = int(os.environ.get("OMPI_COMM_WORLD_LOCAL_SIZE") or os.environ.get("MPI_LOCALNRANKS") or 1)
    quota = _quota(Path("/sys/fs/cgroup"), Path("/proc/self/cgroup"))
    return max(1, min(math.ceil(min(bound, quota)), math.ceil(min(all_cores, quota)) // ranks))


def _quota(root, groups):
    """The least number of cores that the control groups of this process allow, infinity without any (version 2:
    cpu.max; version 1: cpu.cfs_quota_us)."""
    quotas = [math.inf]
    with contextlib.suppress(OSError, ValueError):
        for line in groups.read_text().splitlines():
            _, kinds, path = line.split(":", 2)
            if kinds and "cpu" not in kinds.split(","):
                continue
            top = root / "cpu" if kinds else root
            for group in (top / path.lstrip("/"), *(top / path.lstrip("/")).parents):
                with contextlib.suppress(OSError, ValueError):
                    quota, period = ((group / "cpu.max").read_text().split() if not kinds else
                                     [(group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period")])
                    if quota != "max" and int(quota) > 0:
                        quotas.append(int(quota) / int(period))
                if group == top:
                    break
    return min(quotas)


# ---- BLAS ------------------------------------------------------------------------------------------------------------

# Names of the functions (get, set) for the number of threads, in the order in which they are tried: FlexiBLAS first, as
# it calls another BLAS, and OpenMP last, for libraries without such functions. OpenBLAS's names have prefixes and
# suffixes.
_CONTROLS = [("flexiblas_get_num_threads", "flexiblas_set_num_threads"),
             *((f"{prefix}openblas_get_num_threads{suffix}", f"{prefix}openblas_set_num_threads{suffix}")
               for prefix in ("scipy_", "") for suffix in ("64_", "_64", "")),
             ("MKL_Get_Max_Threads", "MKL_Set_Num_Threads"),
             ("bli_thread_get_num_threads", "bli_thread_set_num_threads"),
             ("omp_get_max_threads", "omp_set_num_threads")]
_ENVIRONMENT = "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"
_lock, _requests, _controls = threading.RLock(), [], []         # [[n], ...]; [(set, number before), ...]
_warned = False
if hasattr(os, "register_at_fork"):         # the lock must be free in a forked process
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


def _libraries():
    """The shared libraries in which the functions of NumPy's BLAS are looked up.

    The first is NumPy's own module for matrix products: the system also searches the libraries that it is linked to,
    and no others. Windows does not, and there the library that comes with NumPy's wheel is opened by its file.
    """
    paths = sorted((Path(np.__file__).parent.parent / "numpy.libs").glob("*blas*.dll"))
    with contextlib.suppress(AttributeError):
        paths.insert(0, np._core._multiarray_umath.__file__)
    for path in paths:
        with contextlib.suppress(OSError):
            yield ctypes.CDLL(str(path))


def _accelerate(get, put):
    """Apple's library has two settings since macOS 15: 0, many threads, and 1, one thread."""
    return lambda: 1 if get() else cores(), lambda n: put(int(n == 1))


def blas_controls():
    """[(get, set)]: functions that read and set the number of threads of the BLAS that NumPy uses, in the thread that
    calls them or in all. Empty where it has none. On Windows, `threadpoolctl` finds more, if it is installed."""
    for library in _libraries():
        for get, put in _CONTROLS:
            if hasattr(library, get) and hasattr(library, put):
                return [(getattr(library, get), getattr(library, put))]
        if hasattr(library, "BLASGetThreading") and hasattr(library, "BLASSetThreading"):
            return [_accelerate(library.BLASGetThreading, library.BLASSetThreading)]
    if sys.platform == "win32":
        with contextlib.suppress(ImportError):
            from threadpoolctl import ThreadpoolController
            return [(one.get_num_threads, one.set_num_threads)
                    for one in ThreadpoolController().select(user_api="blas").lib_controllers]
    return []


_counters = functools.cache(lambda: [get for get, _ in blas_controls()])


def blas_thread_count():
    """How many threads NumPy's matrix products use now, 1 if that is not told."""
    return max((get() for get in _counters()), default=1)


@contextlib.contextmanager
def blas_threads(n):
    """Within this block NumPy's matrix products use n threads each, so that other threads may have the other cores.

    Blocks may overlap, also in several threads: the one that began last counts, and when the last one ends the number
    before all of them is restored. Threads that are started within the block call `tell_blas`. Warns, once in a
    process, if the number of threads of NumPy's BLAS cannot be set.
    """
    request = [n]
    with _lock:
        if not _requests:
            _controls[:] = [(put, get()) for get, put in blas_controls()]
            if not _controls:
                _warn()
        _requests.append(request)
        tell_blas()
    try:
        yield
    finally:
        with _lock:
            _requests[:] = [other for other in _requests if other is not request]
            tell_blas()


def tell_blas():
    """Set the number of threads of NumPy's BLAS to that of the current block. Accelerate and libraries built on OpenMP
    keep a number for each calling thread, so a new thread has to set it again."""
    with _lock:
        for put, before in _controls:
            put(_requests[-1][0] if _requests else before)


def _warn():
    global _warned
    if _warned or cores() == 1 or any(os.environ.get(name) == "1" for name in _ENVIRONMENT):
        return
    _warned = True
    more = ", or install threadpoolctl" if sys.platform == "win32" else ""
    warnings.warn("the BLAS library of this NumPy does not let its threads be set: if it uses all cores, training may "
                  f"be 8 to 30 times slower. Set {_ENVIRONMENT[0]}=1 (on macOS {_ENVIRONMENT[1]}=1) before Python "
                  f"starts{more}", stacklevel=4)


# ---- cache -----------------------------------------------------------------------------------------------------------


def blocks(x, elements):
    """Slices along the first axis of x, in order, of about `elements` elements each at most, so that a block stays in
    the processor's cache while several lines work on it."""
    step = max(1, elements // max(1, math.prod(x.shape[1:])))
    return [slice(i, i + step) for i in range(0, len(x), step)]
