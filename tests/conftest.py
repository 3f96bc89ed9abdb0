"""Modules of this folder by their names. The folder itself is not searched: in it `tokenizers` would be the tests'."""
import importlib.util
import sys
from pathlib import Path

for name in ("reference", "fuzz_checkpoints", "parity"):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
