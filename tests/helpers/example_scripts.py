"""The scripts in examples/, as modules to test.

Scripts that are notebooks as well have their steps at the top level: to have their functions means to run them.
"""
import atexit
import contextlib
import functools
import importlib.util
import io
import json
import os
import re
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from numbert.training import command
from numbert.training.optimizer import AdamW

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


def run(name, folder, *arguments, quick=True):
    """Run the script NAME.py in a folder, with --quick (if `quick`) and `arguments`, as its command would.

    Gives `script`, the module with what its cells leave behind; `said`, what it printed, `before_training`, up to the
    first step of an optimizer; `folder`; and `results`, its results.json if it writes one. Raises SystemExit as the
    command does.
    """
    said, lengths, step = io.StringIO(), [], AdamW.step

    def noted(*arguments, **options):
        lengths.append(len(said.getvalue()))
        return step(*arguments, **options)

    before = os.getcwd()
    words = [name, *["--quick"] * quick, *arguments]
    with (mock.patch.object(sys, "argv", words), mock.patch.object(sys, "excepthook"),
          mock.patch.object(AdamW, "step", noted), contextlib.redirect_stdout(said), command.one_line(f"{name}.py"),
          contextlib.ExitStack() as leaving, mock.patch.object(command, "atexit", SimpleNamespace(
              register=leaving.callback))):
        os.chdir(folder)
        try:
            module = load(name)
        finally:
            os.chdir(before)
    text, path = said.getvalue(), Path(folder, "runs", name, "results.json")
    return SimpleNamespace(script=module, said=text, before_training=text[:lengths[0]] if lengths else text,
                           folder=Path(folder), results=json.loads(path.read_text()) if path.exists() else None)


@functools.cache
def ran(name):
    """`run` once for all tests, in a folder in which all scripts are run: a body that one has made the others find."""
    return run(name, _folder())


@functools.cache
def _folder():
    folder = tempfile.TemporaryDirectory(prefix="scripts-")
    atexit.register(folder.cleanup)
    return folder.name
