"""The machine that this process runs on: the memory it keeps, the cores it may use, the threads of NumPy's BLAS.

These are settings of the whole process, and nothing else in the package has any.
"""
import contextlib
import ctypes
import math
import os
import re
import threading
import warnings
from pathlib import Path

import numpy as np

# ---- memory ----------------------------------------------------------------------------------------------------------

MALLOC = {                          # numbers of glibc's malloc.h: value
    -8: 1,                          # M_ARENA_MAX: one heap for all threads
    -3: 32 << 20,                   # M_MMAP_THRESHOLD: only larger arrays (the most that can be set) bypass the heap
    -1: 256 << 20,                  # M_TRIM_THRESHOLD: so much free memory is kept at the heap's end
}


def keep_memory():
    """Let the C library, where it is glibc, keep the memory of arrays that are gone, from now on; else do nothing.

    By itself it gives what is freed back to the system, to ask for it again a moment later, and the system fills every
    page with zeros first. And each thread gets a heap of its own, whose holes no other thread can use. A pass through a
    model makes and drops arrays of a few megabytes all the time: with these settings one sequence through BERT-base
    takes three quarters of the time, and a training step at tiny size 5% less time and a seventh less memory.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        for setting, value in MALLOC.items():
            mallopt(setting, value)


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

# (get, set) the number of threads, as the libraries call it; OpenBLAS's names come with prefixes and suffixes
_CONTROLS = [*((f"{prefix}openblas_get_num_threads{suffix}", f"{prefix}openblas_set_num_threads{suffix}")
               for prefix in ("scipy_", "") for suffix in ("64_", "_64", "")),
             ("MKL_Get_Max_Threads", "MKL_Set_Num_Threads"),
             ("bli_thread_get_num_threads", "bli_thread_set_num_threads")]
_lock, _requests, _controls = threading.RLock(), [], []         # [[n], ...]; [(set, number before), ...]


def _libraries():
    """Paths of the loaded libraries that could be a BLAS; where the system does not list them, those beside NumPy."""
    with contextlib.suppress(OSError):
        loaded = {line.split(maxsplit=5)[-1] for line in Path("/proc/self/maps").read_text().splitlines()}
        return sorted(path for path in loaded if re.search(r"blas|mkl_rt|libblis", Path(path).name))
    package = Path(np.__file__).parent
    folders = package.parent / "numpy.libs", package / ".dylibs", package / ".libs"
    return sorted(str(path) for folder in folders for path in folder.glob("*blas*"))


def blas_controls():
    """[(get, set)]: functions that read and set the number of threads of each BLAS library in this process."""
    found = []
    for path in _libraries():
        with contextlib.suppress(OSError):
            library = ctypes.CDLL(path)
            for get, put in _CONTROLS:
                if hasattr(library, get) and hasattr(library, put):
                    found.append((getattr(library, get), getattr(library, put)))
                    break
    return found


@contextlib.contextmanager
def blas_threads(n):
    """Within this block NumPy's matrix products use n threads each, so that other threads may have the other cores.

    Blocks may overlap, in several threads too: the one that began last counts, and when the last one ends the number is
    again what it was. Warns once where no library lets itself be told.
    """
    request = [n]
    with _lock:
        if not _requests:
            _controls[:] = [(put, get()) for get, put in blas_controls()]
            if not _controls and "OMP_NUM_THREADS" not in os.environ:
                warnings.warn("no BLAS library was found whose threads can be set: if NumPy's uses all cores, training "
                              "may be 8 to 30 times slower. Set OMP_NUM_THREADS=1 (on macOS VECLIB_MAXIMUM_THREADS=1) "
                              "before Python starts", stacklevel=3)
        _requests.append(request)
        _tell()
    try:
        yield
    finally:
        with _lock:
            _requests[:] = [other for other in _requests if other is not request]
            _tell()


def _tell():
    for put, before in _controls:
        put(ctypes.c_int(_requests[-1][0] if _requests else before))


# ---- cache -----------------------------------------------------------------------------------------------------------


def blocks(x, elements):
    """Slices along the first axis of x, of at most about so many elements each, that cover it in order: so few stay in
    the processor's cache while several lines work on them."""
    step = max(1, elements // max(1, math.prod(x.shape[1:])))
    return [slice(i, i + step) for i in range(0, len(x), step)]
