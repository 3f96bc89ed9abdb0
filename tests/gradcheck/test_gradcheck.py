"""Backward passes agree with central differences, and the check that says so finds every mistake made on purpose."""
import ast
import inspect
import re
from pathlib import Path

import numpy as np
import pytest

from numbert import ops
from numbert.autograd import REGISTRY, op
from numbert.gradcheck import differences as gradcheck
from numbert.gradcheck import mutants
from numbert.gradcheck.cases import MODELS, Case, Subject, op_cases, subjects
from numbert.layers import Linear
from numbert.models import albert, bert, gpt2, heads, roberta
from numbert.models.pretrained import PretrainedModel
from numbert.module import Parameter

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
              and not cls.__name__.endswith(("PretrainedModel", "WithHead"))}
    assert models == {cls for cls, *_ in MODELS}


def test_names_are_unique():
    names = [case.name for case in CASES] + [subject.name for subject in SUBJECTS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_ops(case, rng):
    results = gradcheck.check(case.op, case.inputs, case.options, rng)
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
    copies = list(mutants._in_the_source(REGISTRY[name]))
    assert all(gradcheck.fate(one.backward, [m.of(one.forward) for m in measured]) is None for one in copies)


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_a_mutant_knows_its_line(name):
    """What was replaced stands in that line, and the statement around it says what changed."""
    lines = Path(inspect.getsourcefile(REGISTRY[name].forward)).read_text(encoding="utf-8").splitlines()
    for one in mutants._in_the_source(REGISTRY[name]):
        word = re.search(r"\w+", one.what.split(" -> ")[0])
        assert word is None or word[0] in lines[one.line - 1] or word[0] == "zeros_like", (one.what, one.line)
        assert one.before != one.after


def test_a_gradient_that_the_forward_pass_computes_has_mutants_too():
    found = [one.what for one in mutants._in_the_source(ops.linear_cross_entropy)
             if one.forward is not ops.linear_cross_entropy.forward]
    assert "dweight[v] += dscores[:, v].T @ x -> pass" in found and len(found) > 15


def test_what_a_mutant_forgets_to_fill_is_zero():
    """Fresh memory might hold the right answer, left there by the right function."""
    def backward(dy, saved):
        dx = np.empty_like(dy)
        dx[...] = dy
        return (dx,)

    assert "empty_like" not in ast.unparse(mutants._parse(backward))


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
        return x**3, (x,)

    @cube.vjp
    def cube_backward(dy, saved):
        x, = saved
        return (3 * dy * x**2,)

    result, = gradcheck.check(cube, [rng.standard_normal(4)], {}, rng)
    assert result.passed and result.input == "x"


@pytest.fixture
def own(monkeypatch):
    """A function that makes an op of a forward and a backward pass; the package's ops stay as they are."""
    monkeypatch.setattr("numbert.autograd.REGISTRY", {})

    def make(forward, backward):
        made = op(forward)
        if backward is not None:
            made.vjp(backward)
        return made
    return make


def product(x, y):
    return x * y, (x, y)


def product_backward(dy, saved):
    x, y = saved
    return dy * y, dy * x


def test_check_says_what_is_right_and_where_it_is_wrong(own):
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((2, 3)), rng.standard_normal((2, 3))
    right = gradcheck.check(own(product, product_backward), [x, y])
    assert [str(r).partition(":")[0] for r in right] == ["product", "product"] and all(r.passed for r in right)
    assert re.fullmatch(r"product: gradient of x \(2, 3\) is right: largest error \S+, at \[\d, \d\]", str(right[0]))

    def wrong(dy, saved):
        dx, dy = product_backward(dy, saved)
        dy[1, 2] *= 2
        return dx, dy
    first, second = gradcheck.check(own(product, wrong), [x, y])
    assert first.passed and not second.passed and second.place == "[1, 2]"
    assert f"gradient of y (2, 3) is WRONG at [1, 2]: backward says {second.backward!r}" in str(second)


def test_check_draws_the_gradient_of_the_output(own):
    """With ones, a backward pass that forgets dy would pass; and the draws are those of the generator that is given."""
    forgetful = own(product, lambda dy, saved: (saved[1].copy(), saved[0].copy()))
    x, y = np.ones((2, 2)), 2 * np.ones((2, 2))
    assert not any(r.passed for r in gradcheck.check(forgetful, [x, y]))
    one, two, other = (gradcheck.check(forgetful, [x, y], rng=np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert one == two != other


@pytest.mark.parametrize(("forward", "backward", "said"), [
    (product, None, "product has no backward pass: decorate one with @product.vjp"),
    (lambda x, y: x * y, product_backward, r"the forward pass must return \(output, saved\)"),
    (product, lambda dy, saved: (dy,), "2 inputs need as many gradients, got 1"),
    (product, lambda dy, saved: dy, "backward must return a tuple of gradients, got ndarray"),
    (product, lambda dy, saved: (dy[:1], dy), r"gradient of x must be float64 \(2, 3\), got float64 \(1, 3\)"),
    (product, lambda dy, saved: (dy.astype(np.float32), dy), "gradient of x must be float64"),
    (product, lambda dy, saved: (np.multiply(dy, saved[1], out=dy), dy * saved[0]), "changed dy"),
    (product, lambda dy, saved: (dy, dy), "gradient 1 is memory that another gradient uses"),
    (product, lambda dy, saved: (dy, dy[::-1]), "gradient 1 is memory that another gradient uses"),
    (product, lambda dy, saved: (dy, saved[0]), "gradient 1 is an input or the output itself"),
    (product, lambda dy, saved: (dy, np.negative(saved[0], out=saved[0]) * dy), "input 0 was changed"),
    (lambda x, y: (np.negative(x, out=x), ()), lambda dy, saved: (-dy, None), "input 0 was changed")])
def test_check_refuses_what_breaks_the_contract(forward, backward, said, own):
    x, y = np.arange(6.0).reshape(2, 3) + 1, np.full((2, 3), 2.0)
    with pytest.raises(ValueError, match=said):
        gradcheck.check(own(forward, backward), [x, y])


@pytest.mark.parametrize(("what", "inputs", "said"), [
    (product, [np.ones(2)], "check takes a function decorated with @op, got function"),
    (ops.tanh, np.ones(2), "tanh: inputs must be a list of arrays, got ndarray"),
    (ops.tanh, [np.ones(2, np.float32)], "tanh: input 0 must be float64, .*, got float32"),
    (ops.add, [np.ones(2), [1, 2]], "add: input 1 must be float64, .*, got int64")])
def test_check_refuses_what_it_cannot_check(what, inputs, said):
    with pytest.raises(TypeError, match=said):
        gradcheck.check(what, inputs)


def test_check_of_a_module_leaves_it_as_it_was(rng):
    x = Parameter(rng.standard_normal((5, 4)))
    layer = Linear(4, 3, rng=rng, std=0.5, dtype=np.float64)
    before = [p.data.copy() for p in layer.parameters()]
    results = gradcheck.check_module(Subject("mine", layer, lambda m: m(x), {"x": x}))
    assert [r.input for r in results] == ["weight", "bias", "x"] and all(r.passed for r in results)
    assert all((p.data == data).all() for p, data in zip(layer.parameters(), before, strict=True))
    narrow = Linear(4, 3, rng=rng, std=0.5, dtype=np.float32)
    with pytest.raises(ValueError, match="mine: weight must be float64, .* got float32: make the module with dtype="):
        gradcheck.check_module(Subject("mine", narrow, lambda m: m(x)))


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


# ---- names -----------------------------------------------------------------------------------------------------------

def checked(out):
    """The subjects that a table speaks of."""
    return {line[:50].strip() for line in out.splitlines() if line.endswith((" ok", " FAILED"))}


def test_ops_are_checked_by_name(capsys):
    assert gradcheck.main(["layer_norm", "tanh"]) == 0
    assert checked(capsys.readouterr().out) == {case.name for case in CASES if case.op in (ops.layer_norm, ops.tanh)}
    for name in REGISTRY:
        assert gradcheck.main([name]) == 0
        assert checked(capsys.readouterr().out) == {case.name for case in CASES if case.op.name == name and any(
            x is not None and x.size for x in case.inputs)}


def test_layers_and_models_are_checked_by_name(capsys):
    assert gradcheck.main(["SelfAttention", "BertForNextSentencePrediction", "relu"]) == 0
    out = capsys.readouterr().out
    assert checked(out) == {"SelfAttention", "SelfAttention, some ask", "BertForNextSentencePrediction.loss",
                            "relu, away from 0"}


def test_mutants_by_name(capsys):
    assert gradcheck.main(["--mutants", "tanh", "relu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["relu", "tanh"] and lines[-1].endswith("was found")
    assert len(lines) == 5


@pytest.mark.parametrize(("arguments", "start"), [
    (["layernorm"], "gradcheck: there is no 'layernorm'; is it layer_norm? The ops are add, attention, "),
    (["tanh", "zzz"], "gradcheck: there is no 'zzz'. The ops are"),
    (["--mutants", "LayerNorm"], "gradcheck: there is no 'LayerNorm'")])
def test_an_unknown_name_says_which_there_are(arguments, start):
    with pytest.raises(SystemExit) as error:
        gradcheck.main(arguments)
    said = str(error.value)
    assert said.startswith(start) and "\n" not in said and ("BertModel" in said) != ("--mutants" in arguments)


def missing(monkeypatch, backward):
    monkeypatch.setattr(ops.layer_norm, "backward", backward)
    return gradcheck.main(["layer_norm"])


def test_a_missing_backward_is_one_line(capsys, monkeypatch):
    assert missing(monkeypatch, None) == 1
    assert capsys.readouterr().out.splitlines()[1:] == [
        f"{'layer_norm':50}its backward pass is not written yet  FAILED", "", "NOT EVERY DERIVATIVE AGREES"]
    assert gradcheck.main(["LayerNorm"]) == 1
    assert f"{'LayerNorm':50}ValueError: layer_norm has no backward pass: decorate" in capsys.readouterr().out


def not_written(dy, saved):
    raise NotImplementedError


def raises(dy, saved):
    raise IndexError("first line\nsecond line")


@pytest.mark.parametrize(("backward", "said"), [
    (not_written, "not written yet"),
    (raises, "IndexError: first line (test_gradcheck.py:"),
    (lambda dy, saved: None, "ValueError: layer_norm: backward must return a tuple of gradients, got NoneType"),
    (lambda dy, saved: dy, "ValueError: layer_norm: backward must return a tuple of gradients, got ndarray"),
    (lambda dy, saved: (dy,), "ValueError: layer_norm: 3 inputs need as many gradients, got 1"),
    (lambda dy, saved: (dy, dy, dy), "ValueError: layer_norm: the gradient of gain must be float64 (5,), got float64"),
    (lambda dy, saved: (dy, 1, 2), "AttributeError: ")])
def test_what_cannot_be_checked_is_one_line(backward, said, capsys, monkeypatch):
    assert missing(monkeypatch, backward) == 1
    lines = [line for line in capsys.readouterr().out.splitlines()[1:] if not line.endswith(" ok")]
    first = next(line for line in lines if said in line)
    assert first.startswith("layer_norm") and first.endswith("  FAILED") and lines[-1] == "NOT EVERY DERIVATIVE AGREES"
    assert len([line for line in lines if line.startswith("layer_norm")]) <= 2


def test_an_op_without_a_case_does_not_pass(capsys, monkeypatch):
    monkeypatch.setattr(gradcheck, "op_cases", lambda: [case for case in CASES if case.op is not ops.tanh])
    assert gradcheck.main(["tanh"]) == 1
    assert "nothing was checked  FAILED" in capsys.readouterr().out


def test_the_first_wrong_element_is_named(rng):
    """Not the worst one, which may be a consequence."""
    def wrong(dy, saved):
        dx, = ops.tanh.backward(dy, saved)
        dx[0, 1] += 0.5
        dx[1, 2] = np.nan
        return (dx,)

    measured = gradcheck.measure(Case(ops.tanh, "", (rng.standard_normal((2, 3)),)), rng)
    result, = gradcheck.judge(measured, wrong)
    assert result.place == "[0, 1]" and result.backward == pytest.approx(result.difference + 0.5, abs=1e-8)
