"""The machine: its description, and its highest speed at matrix multiplication."""
import contextlib
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from ..machine import cores
from ..training.parallel import Workers

SIZE, REPEATS = 1536, 10
PACKAGES = ("numpy", "torch", "transformers", "onnxruntime", "tokenizers")


def sgemm_peak(threads, size=SIZE):
    """The most floating-point operations a second measured in products of float32 matrices, by library.

    NumPy is measured as numbert uses it: a product on each of `threads` threads. torch and ONNX Runtime are measured if
    they are installed.
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
    with contextlib.suppress(ImportError):
        import onnx
        import onnxruntime
        ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, x.shape) for name in "xy"]
        node = onnx.helper.make_node("MatMul", ["x", "x"], ["y"])
        graph = onnx.helper.make_graph([node], "product", ends[:1], ends[1:])
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        peaks["ONNX Runtime"] = _best(lambda: session.run(None, {"x": x}), 2 * size**3)
    return peaks


def slow_path_of_mkl() -> str | None:
    """A sentence if PyTorch multiplies by Intel's MKL and MKL does not take the fastest path of this processor, as on
    those that are not Intel's; None otherwise. It rests on what MKL says of itself, and the processor of itself."""
    says, has = _mkl_says(), _instructions()
    best = next((name for name, flag in (("AVX-512", "avx512f"), ("AVX2", "avx2")) if flag in has), None)
    if not says or not best or best in says:
        return None
    return (f"PyTorch multiplies by MKL, which does not name the {best} of this processor among what it uses: it says "
            f'"{says}".')


def _mkl_says():
    """How MKL names the processor and the instructions that it uses of it, in PyTorch; "" if there is no PyTorch, or it
    has no MKL."""
    program = "import torch; torch.ones(64, 64) @ torch.ones(64, 64)"
    done = subprocess.run([sys.executable, "-c", program], env=os.environ | {"MKL_VERBOSE": "1"}, capture_output=True,
                          text=True)
    found = re.search(r"^MKL_VERBOSE oneMKL .*? architecture (.*?processors)", done.stdout, re.MULTILINE)
    return found[1] if found else ""


def _instructions():
    """The words in what Linux says of the processor, its sets of instructions among them; none elsewhere."""
    with contextlib.suppress(OSError):
        return set(re.findall(r"\w+", Path("/proc/cpuinfo").read_text()))
    return set()


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
