"""The house has floors: imports point downwards, in no circle, and to nothing but NumPy and the standard library."""
import ast
import sys
from pathlib import Path

import numpy as np
import pytest

import numbert as nb
from numbert.training.optimizer import AdamW
from numbert.training.parallel import Workers

ROOT = Path(__file__).parent.parent
FILES = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
         for path in sorted((ROOT / "numbert").rglob("*.py"))}

# From the ground up; what stands in one line may not import each other, but for files of one folder.
FLOORS = [
    {"machine", "recording", "sparse", "svg"},
    {"autograd"},
    {"ops"},
    {"module", "packing"},
    {"layers"},
    {"hub"},
    {"tokenizers", "toyworld"},
    {"models"},
    {"training"},
    {"gradcheck", "pretraining"},
    {"tasks"},
    {"pipeline"},
    {"lab"},
    {"trace"},
    {"lecture"},
    {""},                                           # numbert/__init__.py
]


def part(module):
    """numbert.ops.rows -> ops"""
    return module.split(".")[1] if "." in module else ""


def floor(module):
    return next((i for i, parts in enumerate(FLOORS) if part(module) in parts), None)


def imports(module):
    """(the module or package that is imported, whether inside a function) for every import of a file."""
    tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
    inside = {id(node) for function in ast.walk(tree) if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
              for node in ast.walk(function)}
    package = module if FILES[module].name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[:len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:                # from . import ops means the module ops
                name = f"{source}.{alias.name}"
                yield name if name in FILES else source, id(node) in inside


def inner(module):
    return {name for name, _ in imports(module) if name in FILES}


def test_the_walk_sees_imports():
    """A test of absence needs to know that it looks."""
    assert {"numbert.autograd", "numbert.ops.activations"} <= inner("numbert.ops.attention")
    assert {"numbert.ops", "numbert.module"} <= inner("numbert.layers")
    assert inner("numbert.ops") >= {"numbert.ops.rows", "numbert.ops.losses"}
    assert "numbert.models.bert" in inner("numbert")
    assert ("numpy", False) in set(imports("numbert.packing"))


@pytest.mark.parametrize("module", FILES)
def test_imports_point_downwards(module):
    assert floor(module) is not None, f"give {module} a floor"
    for other in inner(module):
        below = floor(other) < floor(module) or part(other) == part(module) != ""
        assert below, f"{module} imports {other}, which is not below it"


def test_no_circles():
    below = {module: inner(module) - {module} for module in FILES}
    while ground := [module for module, others in below.items() if not others]:
        for module in ground:
            del below[module]
        below = {module: others - set(ground) for module, others in below.items()}
    assert not below, f"these import each other: {sorted(below)}"


@pytest.mark.parametrize("module", FILES)
def test_only_numpy_and_the_standard_library(module):
    """An optional extra may be imported where it is needed, inside a function."""
    for name, inside in imports(module):
        top = name.partition(".")[0]
        assert inside or top in {"numbert", "numpy"} or top in sys.stdlib_module_names, f"{module} imports {name}"
        assert name in FILES or top != "numbert", f"{module} imports {name}, which is not there"


def test_every_folder_is_a_package():
    assert all((path.parent / "__init__.py").exists() for path in FILES.values())


def test_one_name_one_thing():
    """No two classes of the package have one name."""
    places = {}
    for module, path in FILES.items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(module)
    assert {name: modules for name, modules in places.items() if len(modules) > 1} == {}


def test_a_step_of_training_is_read_in_few_files():
    model = nb.BertForPreTraining(nb.BertConfig.preset("tiny", vocab_size=100), rng=np.random.default_rng(0))
    ids = np.random.default_rng(1).integers(5, 100, (4, 16))
    batch = {"input_ids": ids, "attention_mask": np.ones_like(ids), "next_sentence_label": np.array([0, 1, 0, 1]),
             "labels": np.where(np.arange(16) % 5 == 2, ids, nb.ops.IGNORE)}
    entered = set()

    def watch(frame, event, _):
        path = Path(frame.f_code.co_filename)
        if event == "call" and ROOT / "numbert" in path.parents:
            entered.add(path.relative_to(ROOT / "numbert").as_posix())

    with Workers(1) as workers:
        optimizer = AdamW(model.trainable_parameters())
        sys.setprofile(watch)
        try:
            out = model(**batch, rng=np.random.default_rng(2))
            optimizer.step(nb.gradients(out.loss, model.trainable_parameters()), 1e-3, workers)
        finally:
            sys.setprofile(None)
    assert {"autograd.py", "ops/attention.py", "models/bert.py", "training/optimizer.py"} <= entered
    assert len(entered) < 18, sorted(entered)


def test_the_core_is_one_screen_and_a_half():
    assert len(FILES["numbert.autograd"].read_text(encoding="utf-8").splitlines()) <= 180
