"""The machine: its description, and its highest speed at matrix multiplication."""
import contextlib
import importlib.metadata
import os
import platform
import time
from pathlib import Path

import numpy as np

from ..machine import cores
from ..training.parallel import Workers

SIZE, REPEATS = 1536, 10
PACKAGES = ("numpy", "torch", "transformers", "onnxruntime", "tokenizers")


def sgemm_peak(threads, size=SIZE):
    """The most floating-point operations a second measured in products of float32 matrices, by library.

    NumPy is measured as numbert uses it: a product on each of `threads` threads. torch is measured if it is installed.
    """
    x = np.random.default_rng(0).standard_normal((size, size), dtype=np.float32)
    with Workers(threads) as workers:
        outs = [np.empty_like(x) for _ in range(threads)]
        peaks = {"NumPy": _best(lambda: workers.map(lambda out: np.matmul(x, x, out=out), outs), threads * 2 * size**3)}
    with contextlib.suppress(ImportError):
        import torch
        torch.set_num_threads(threads)
        y = torch.from_numpy(x)
        peaks["torch"] = _best(lambda: torch.mm(y, y, out=torch.empty_like(y)), 2 * size**3)
    return peaks


def _best(run, operations):
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return operations / min(seconds)


def processor():
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def description(threads):
    """One line: processor, cores, versions, and the settings of OpenBLAS that stand in the environment."""
    versions = [f"Python {platform.python_version()}"]
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{package} {importlib.metadata.version(package)}")
    line = f"{processor()}, {cores()} cores, {threads} threads; {', '.join(versions)}; {time.strftime('%Y-%m-%d')}"
    settings = [f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith("OPENBLAS_")]
    return line + (f"; set in the environment: {' '.join(settings)} (this may halve NumPy's speed)" if settings else "")
