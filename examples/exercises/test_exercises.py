"""The verdict on each exercise: pytest examples/exercises -k layer_norm"""
import importlib

import checks  # noqa: F401  (the checks register themselves)
import pytest
from verdict import CHECKS, FILES, verdict


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
