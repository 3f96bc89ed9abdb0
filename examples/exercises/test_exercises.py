"""The verdict on each exercise: pytest examples/exercises -k layer_norm"""
import importlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))          # the stubs stand beside this file

import checks  # noqa: E402, F401  (the checks register themselves)
from verdict import CHECKS, FILES, verdict  # noqa: E402


@pytest.mark.parametrize("name", CHECKS, ids=lambda name: name if FILES[name] in name else f"{FILES[name]}-{name}")
def test_exercise(name):
    try:
        function = getattr(importlib.import_module(FILES[name]), name)
    except Exception as error:
        said = f"{FILES[name]}.py cannot be read: {error}"
    else:
        said = verdict(name, function)
    if said:
        pytest.fail(said, pytrace=False)
