"""Modules of this folder by their names. The folder itself is not searched: in it `tokenizers` would be the tests'."""
import importlib.util
import sys
import types
from pathlib import Path

HERE = Path(__file__).parent

sys.modules["golden"] = types.ModuleType("golden")
sys.modules["golden"].__path__ = [str(HERE / "golden")]
for name in ("reference", "fuzz_checkpoints", "parity", "pipeline_parity", "finetuning_parity"):
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
