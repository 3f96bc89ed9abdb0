"""That freed memory is kept, and that nothing happens where the C library has no such settings."""
import ctypes
import platform
import subprocess
import sys

import pytest

from numbert import heap

FAULTS = """
import resource, numpy as np
from numbert.heap import keep_memory
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
                                           capture_output=True, text=True).stdout) for first in ("keep_memory()", ""))
    assert kept < 100 < given_back                      # pages that the system had to fill with zeros


@pytest.mark.parametrize("error", [OSError, AttributeError, TypeError])
def test_another_c_library(monkeypatch, error):
    def none(name):
        raise error

    monkeypatch.setattr(ctypes, "CDLL", none)
    assert heap.keep_memory() is None
