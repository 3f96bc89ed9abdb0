"""Backward passes agree with central differences, and the check that says so finds every mistake made on purpose."""
import ast
import inspect
import re
from pathlib import Path

import numpy as np
import pytest

from numbert import gradcheck, mutants, ops
from numbert.autograd import REGISTRY, op
from numbert.gradcheck_cases import MODELS, Case, op_cases, subjects
from numbert.models import albert, bert, gpt2, heads, roberta
from numbert.models.pretrained import PretrainedModel

CASES, SUBJECTS = op_cases(), subjects()


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_every_op_has_a_case():
    assert {case.op.name for case in CASES} == set(REGISTRY)
    assert all(op.backward is not None for op in REGISTRY.values())


def test_every_model_has_a_case():
    models = {cls for module in (bert, heads, roberta, albert, gpt2) for cls in vars(module).values()
              if isinstance(cls, type) and issubclass(cls, PretrainedModel)
              and not cls.__name__.endswith(("PretrainedModel", "Task"))}
    assert models == {cls for cls, *_ in MODELS}


def test_names_are_unique():
    names = [case.name for case in CASES] + [subject.name for subject in SUBJECTS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_ops(case, rng):
    results = gradcheck.judge(gradcheck.measure(case, rng), case.op.backward)
    assert [r.input for r in results], "nothing was checked"
    for result in results:
        assert result.passed, result


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_layers_and_models(subject, rng):
    results = gradcheck.check_module(subject, rng)
    assert {r.input for r in results} == set(subject.module.named_parameters()) | set(subject.inputs)
    for result in results:
        assert result.passed, result


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_all_mutants_are_found(name, rng):
    fates = gradcheck.check_mutants(REGISTRY[name], rng)
    print(f"{name}: {len(fates)} mutants")
    assert any(end == "wrong" for _, end in fates)
    missed = {what for what, end in fates if end is None}
    expected = {what for of, what in mutants.EQUIVALENT if of == name}
    assert missed == expected                       # nothing slips through, and no entry of the table is stale


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_a_mutant_without_a_mistake_passes(name, rng, monkeypatch):
    """Otherwise the mutants would be found because of how they are made."""
    op, mistakes = REGISTRY[name], mutants._mistakes
    monkeypatch.setattr(mutants, "_mistakes", lambda node: [node] * len(list(mistakes(node))))
    measured = [gradcheck.measure(case, rng) for case in CASES if case.op is op]
    copies = list(mutants._in_the_source(op.backward))
    assert all(gradcheck.fate(copy.backward, measured) is None for copy in copies)


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_a_mutant_knows_its_line(name):
    """What was replaced stands in that line, and the statement around it says what changed."""
    backward = REGISTRY[name].backward
    lines = Path(inspect.getsourcefile(backward)).read_text(encoding="utf-8").splitlines()
    for one in mutants._in_the_source(backward):
        old = one.what.split(" -> ")[0]
        word = re.search(r"\w+", old)
        assert word is None or word[0] in lines[one.line - 1] or word[0] == "zeros_like", (one.what, one.line)
        assert one.before != one.after


def test_what_a_mutant_forgets_to_fill_is_zero():
    """Fresh memory might hold the right answer, left there by the right function."""
    assert "empty_like" in inspect.getsource(ops.cross_entropy.backward)
    assert "empty_like" not in ast.unparse(mutants._parse(ops.cross_entropy.backward))


def test_a_failure_names_op_input_element_and_both_numbers(rng):
    def wrong(dy, saved):
        dx, dweight, dbias = ops.linear.backward(dy, saved)
        dweight[1, 0] += 0.25
        return dx, dweight, dbias

    case = Case(ops.linear, "", (rng.standard_normal((2, 3)), rng.standard_normal((4, 3)), None))
    measured = gradcheck.measure(case, rng)
    right, bad = (gradcheck.judge(measured, f)[1] for f in (ops.linear.backward, wrong))
    assert right.passed and not bad.passed
    assert (bad.subject, bad.input, bad.shape, bad.place) == ("linear", "weight", (4, 3), "[1, 0]")
    assert bad.backward == pytest.approx(bad.difference + 0.25, abs=1e-8)
    assert all(str(part) in str(bad) for part in ("linear", "weight", (4, 3), "[1, 0]", bad.backward, bad.difference))


@pytest.mark.parametrize("gradient", [np.zeros((3, 2)), np.zeros((2, 3), np.float32)])
def test_wrong_shape_and_dtype_raise(gradient, rng):
    measured = gradcheck.measure(Case(ops.tanh, "", (rng.standard_normal((2, 3)),)), rng)
    with pytest.raises(ValueError, match="gradient of x must be float64"):
        gradcheck.judge(measured, lambda dy, saved: (gradient,))


def test_missing_gradient_raises(rng):
    measured = gradcheck.measure(Case(ops.add, "", (np.ones(2), np.ones(2))), rng)
    with pytest.raises(ValueError, match="2 inputs need as many gradients, got 1"):
        gradcheck.judge(measured, lambda dy, saved: (dy,))


def test_not_a_number_does_not_pass(rng):
    measured = gradcheck.measure(Case(ops.tanh, "", (rng.standard_normal(3),)), rng)
    result, = gradcheck.judge(measured, lambda dy, saved: (np.array([dy[0] * np.nan, 0, 0]),))
    assert not result.passed and result.place == "[0]"


def test_check_on_an_op_of_ones_own(rng, monkeypatch):
    monkeypatch.setattr("numbert.autograd.REGISTRY", {})

    @op
    def cube(x):
        return x**3, x

    @cube.vjp
    def cube_backward(dy, x):
        return (3 * dy * x**2,)

    result, = gradcheck.check(cube, [rng.standard_normal(4)], {}, rng)
    assert result.passed and result.input == "x"


def test_inputs_are_put_back(rng):
    x = rng.standard_normal((3, 3))
    before = x.copy()
    gradcheck.check(ops.gelu, [x], {}, rng)
    assert (x == before).all()


def test_command_line(capsys, monkeypatch):
    assert gradcheck.main([]) == 0
    table = capsys.readouterr().out
    assert all(name in table for name in REGISTRY) and "BertForPreTraining.loss" in table
    monkeypatch.setattr(gradcheck, "subjects", list)
    monkeypatch.setattr(ops.tanh, "backward", lambda dy, saved: (dy,))
    assert gradcheck.main([]) == 1
    assert "backward says" in capsys.readouterr().out


def test_command_line_mutants(capsys, monkeypatch):
    assert gradcheck.main(["--mutants"]) == 0
    assert "mutants, every one that changes a gradient was found" in capsys.readouterr().out
    monkeypatch.setattr(gradcheck, "RTOL", 0.01)    # too lenient to see 1.001
    monkeypatch.setattr(gradcheck, "ATOL", 0.01)
    assert gradcheck.main(["--mutants"]) == 1
    assert "1.001 times too large\n        NOT FOUND" in capsys.readouterr().out
