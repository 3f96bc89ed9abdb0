"""That freed memory is kept, and that nothing happens where the C library has no such settings."""
import ctypes
import platform
import subprocess
import sys
import types

import numpy as np
import pytest
import tiny_bert

from numbert import BertModel, heap

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


def test_making_a_model_settles_everything(monkeypatch):
    told = {}
    monkeypatch.setattr(ctypes, "CDLL", lambda name: types.SimpleNamespace(mallopt=told.__setitem__))
    BertModel(tiny_bert.config(), rng=np.random.default_rng(0))
    assert told[-8] == 1 and told[-3] == 2**25 and told[-1] > told[-3]      # numbers of glibc's malloc.h


@pytest.mark.parametrize("error", [OSError, AttributeError, TypeError])
def test_another_c_library(monkeypatch, error):
    def none(name):
        raise error

    monkeypatch.setattr(ctypes, "CDLL", none)
    assert heap.keep_memory() is None
