"""The scripts in examples/, as modules to test."""
import importlib.util
import json
import re
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def path_of(name):
    """The script NAME.py in examples/ or one of its folders, where a number may stand before the name."""
    found = [path for path in (*EXAMPLES.glob("*.py"), *EXAMPLES.glob("*/*.py"))
             if re.fullmatch(rf"(\d\d_)?{name}", path.stem)]
    assert len(found) == 1, f"{name}: {found}"
    return found[0]


def load(name):
    """The script NAME.py, as a module."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", path_of(name))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module                     # a dataclass looks its module up
    sys.path.insert(0, str(EXAMPLES))                   # for the packages beside the scripts
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(EXAMPLES))
    return module


def quick(name, folder, monkeypatch, capsys, *more):
    """(what the script said, its results.json)"""
    monkeypatch.chdir(folder)
    load(name).main(["--quick", "--workers", "1", *more])
    return capsys.readouterr().out, json.loads((folder / "runs" / name / "results.json").read_text())
