"""The exercises: their checks pass what the package does, find the mistakes that are made, and the stubs are stubs."""
import ast
import configparser
import doctest
import importlib
import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import exercise_answers
import numpy as np
import pytest
from example_scripts import EXAMPLES

import numbert as nb
from numbert import ops
from numbert.gradcheck.cases import op_cases
from numbert.gradcheck.mutants import mutants
from numbert.pretraining import masking
from numbert.tasks.squad.answers import read_answers
from numbert.tasks.squad.data import Answer, Example
from numbert.tasks.squad.windows import Passage, cut_windows
from numbert.training.optimizer import AdamW
from numbert.training.parallel import Workers

ROOT, FOLDER = EXAMPLES.parent, EXAMPLES / "exercises"


def load():
    """The modules of the folder, {name: module}; its names are too common to stay in sys.modules."""
    before, names = set(sys.modules), [path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("test_")]
    sys.path.insert(0, str(FOLDER))
    try:
        found = {name: importlib.import_module(name) for name in names}
    finally:
        sys.path.remove(str(FOLDER))
        for name in set(names) - before:
            sys.modules.pop(name, None)
    assert all(Path(module.__file__).parent == FOLDER for module in found.values())
    return found


MODULES = load()
CHECKS, FILES, verdict = (getattr(MODULES["verdict"], name) for name in ("CHECKS", "FILES", "verdict"))
STUBS = sorted(set(FILES.values()))


# ---- what the package does passes ------------------------------------------------------------------------------------


def cross_entropy(logits, labels):
    return ops.cross_entropy(logits, labels=labels)


def cross_entropy_backward(dy, logits, labels):
    return ops.cross_entropy.backward(np.asarray(dy), ops.cross_entropy.forward(logits, labels=labels)[1])[0]


def layer_norm_backward(dy, x, gain, eps):
    return ops.layer_norm.backward(dy, ops.layer_norm.forward(x, gain, np.zeros_like(gain), eps=eps)[1])


def rows(x):
    """(H, T, K) -> (T, H·K), as the package has it."""
    return x.swapaxes(0, 1).reshape(x.shape[1], -1)


def heads(x, H):
    return x.reshape(len(x), H, -1).swapaxes(0, 1)


def attention_options(q, k, mask):
    return {"buckets": [ops.Bucket(slice(0, q.shape[1]), slice(0, k.shape[1]), query_positions=np.arange(q.shape[1]))],
            "heads": len(q), "mask": None if mask is None else lambda queries, keys: mask}


def attention(q, k, v, mask):
    return heads(ops.attention(rows(q), rows(k), rows(v), **attention_options(q, k, mask)), len(q))


def attention_backward(dy, q, k, v, mask):
    _, saved = ops.attention.forward(rows(q), rows(k), rows(v), **attention_options(q, k, mask))
    return [heads(x, len(q)) for x in ops.attention.backward(rows(dy), saved)]


def adamw_step(w, g, m, v, t, *, lr, beta1, beta2, eps, weight_decay):
    parameter = nb.Parameter(w.copy())
    optimizer = AdamW([parameter], betas=(beta1, beta2), eps=eps, weight_decay=weight_decay)
    optimizer.t, optimizer.m[0][...], optimizer.v[0][...] = t - 1, m, v
    with Workers(1) as workers:
        optimizer.step([g], lr, workers)
    return parameter.data, optimizer.m[0], optimizer.v[0]


def passage(windows, column, answer=None):
    n = max(stop for _, stop in windows)
    text = "".join(chr(97 + i) for i in range(n))
    gold = answer and Answer(text[answer[0]:answer[1] + 1], answer[0])
    return Passage(Example("", "", text, (gold,) if gold else (), gold is None), question=[0] * (column - 2),
                   before=[0] * column, context=list(range(n)), after=[0], offsets=[(i, i + 1) for i in range(n)],
                   windows=windows, gold=gold, answer=answer, cut=0)


def window_label(answer, window, column):
    return passage([(0, 10)], column, answer).label(window)


def best_span(windows, scores, column, longest):
    reading = read_answers(passage(windows, column), scores, max_answer_length=longest)
    return (reading.answers[0].start, reading.answers[0].end - 1) if reading.text else None


def wordpiece(word, vocabulary):
    tokens = ["[UNK]", *sorted(vocabulary)]
    return [tokens[index] for index, _, _ in nb.WordPieceTokenizer(tokens).split_word(word)]


PACKAGE = {function.__name__: function for function in (
    cross_entropy, cross_entropy_backward, layer_norm_backward, attention, attention_backward, adamw_step,
    masking.mask_tokens, cut_windows, window_label, best_span, wordpiece)}


def test_every_exercise_is_plugged_in():
    assert set(PACKAGE) == set(CHECKS) and len(CHECKS) == 11


@pytest.mark.parametrize("name", CHECKS)
def test_what_the_package_does_passes(name):
    assert verdict(name, PACKAGE[name]) is None


@pytest.mark.parametrize("name", CHECKS)
def test_a_plain_answer_passes(name):
    assert verdict(name, getattr(exercise_answers, name)) is None


@pytest.mark.parametrize("stub", STUBS)
def test_the_numbers_in_the_text_are_right(stub):
    """The instances of the stubs are doctests; here what the package does is called."""
    mine = [name for name, file in FILES.items() if file == stub]
    ran = 0
    for name in mine:
        names = {"np": np} | {one: PACKAGE[one] for one in mine}
        for test in doctest.DocTestFinder().find(getattr(MODULES[stub], name), name, globs=names):
            result = doctest.DocTestRunner(verbose=False).run(test)
            assert result.failed == 0
            ran += result.attempted
    assert ran >= 2 or stub == "mask_tokens"


def test_the_instance_of_masking():
    """Its three outcomes are all that there are, but for the one token that is chosen."""
    ids, ordinary = np.array([[2, 10, 11, 12, 13, 3, 0]]), np.arange(45) >= 5
    numbers = [[int(n) for n in re.findall(r"-?\d+", line.partition("  in ")[0])]
               for line in MODULES["mask_tokens"].__doc__.splitlines()
               if re.match(r"    (masked ids|labels|input_ids)? +-?\d", line)]
    assert numbers[0][:7] == ids[0].tolist() and numbers[-1] == [-100] * 4 + [13, -100, -100]
    outcomes = set()
    for seed in range(300):
        masked, labels = masking.mask_tokens(ids, np.random.default_rng(seed), ordinary=ordinary, mask_id=4)
        if labels[0, 4] != -100:
            outcomes.add(tuple(masked[0]))
            assert labels[0].tolist() == numbers[-1]
    assert {tuple(one) for one in (numbers[1], numbers[3])} <= outcomes
    assert all(one[:4] + one[5:] == (2, 10, 11, 12, 3, 0) for one in outcomes)


# ---- mistakes are found ----------------------------------------------------------------------------------------------

MUTANTS = [
    ("cross_entropy", "losses.mean()", "losses.sum()"),
    ("cross_entropy", "losses.mean()", "losses.sum() / len(labels)"),
    ("cross_entropy", "losses.mean()", "-losses.mean()"),
    ("cross_entropy", "np.exp(x).sum(-1)", "np.exp(x).sum()"),
    ("cross_entropy", "x = logits[rows] - logits[rows].max(-1, keepdims=True)", "x = logits[rows]"),
    ("cross_entropy", "rows = np.flatnonzero(labels != -100)",
     "rows = np.arange(len(labels)); labels = np.maximum(labels, 0)"),
    ("cross_entropy_backward", "p[rows, labels[rows]] -= 1", "pass"),
    ("cross_entropy_backward", "p[labels == -100] = 0", "pass"),
    ("cross_entropy_backward", "p.sum(-1, keepdims=True)", "p.sum(0, keepdims=True)"),
    ("cross_entropy_backward", "* dy / len(rows)", "/ len(rows)"),
    ("cross_entropy_backward", "/ len(rows)", "/ len(labels)"),
    ("cross_entropy_backward", "logits - logits.max(-1, keepdims=True)", "logits"),
    ("layer_norm_backward", " - dxhat.mean(-1, keepdims=True)", ""),
    ("layer_norm_backward", " - xhat * (dxhat * xhat).mean(-1, keepdims=True)", ""),
    ("layer_norm_backward", "(dxhat * xhat).mean(-1, keepdims=True)", "(dxhat * xhat).mean(0, keepdims=True)"),
    ("layer_norm_backward", "dxhat.mean(-1, keepdims=True)", "dxhat.sum(-1, keepdims=True)"),
    ("layer_norm_backward", "dxhat = dy * gain", "dxhat = dy"),
    ("layer_norm_backward", "dx = rstd * (", "dx = ("),
    ("layer_norm_backward", " + eps", ""),
    ("layer_norm_backward", "(dy * xhat).sum(0)", "(dy * xhat).sum(-1)"),
    ("layer_norm_backward", "(dy * xhat).sum(0)", "(dy * x).sum(0)"),
    ("layer_norm_backward", "dy.sum(0)", "dy.mean(0)"),
    ("layer_norm_backward", "(dy * xhat).sum(0), dy.sum(0)", "(dy * xhat).sum(0)"),
    ("attention", " / np.sqrt(q.shape[-1])", ""),
    ("attention", "np.sqrt(q.shape[-1])", "np.sqrt(k.shape[1])"),
    ("attention", "e.sum(-1, keepdims=True)", "e.sum(-2, keepdims=True)"),
    ("attention", "np.where(seen, scores, -np.inf)", "np.where(seen, scores, 0)"),
    ("attention", "np.where(seen, scores, -np.inf)", "scores"),
    ("attention", "np.where(seen, scores, -np.inf)", "np.where(seen.T, scores, -np.inf)"),
    ("attention", "scores - np.where(seen.any(-1)[:, None], largest, 0)", "scores"),
    ("attention", "np.where(seen.any(-1)[:, None], e.sum(-1, keepdims=True), 1)", "e.sum(-1, keepdims=True)"),
    ("attention_backward", "dp - (p * dp).sum(-1, keepdims=True)", "dp"),
    ("attention_backward", "(p * dp).sum(-1, keepdims=True)", "(p * dp).sum(-2, keepdims=True)"),
    ("attention_backward", "dscores = p * (", "dscores = ("),
    ("attention_backward", "(dp - (p * dp).sum(-1, keepdims=True)) / np.sqrt(q.shape[-1])",
     "(dp - (p * dp).sum(-1, keepdims=True))"),
    ("attention_backward", "dv = p.swapaxes(-1, -2) @ dy", "dv = p @ dy"),
    ("attention_backward", "dscores.swapaxes(-1, -2) @ q", "dscores @ q"),
    ("attention_backward", "return dscores @ k, dscores.swapaxes(-1, -2) @ q",
     "return dscores.swapaxes(-1, -2) @ q, dscores @ k"),
    ("adamw_step", " / (1 - beta1 ** t)", ""),
    ("adamw_step", "v / (1 - beta2 ** t)", "v"),
    ("adamw_step", "(np.sqrt(v / (1 - beta2 ** t)) + eps)", "np.sqrt(v / (1 - beta2 ** t) + eps)"),
    ("adamw_step", " + weight_decay * w", ""),
    ("adamw_step", "g ** 2", "g"),
    ("adamw_step", "m = beta1 * m", "g = g + weight_decay * w; m = beta1 * m"),
    ("adamw_step", "beta1 * m + (1 - beta1) * g", "beta1 * m + g"),
    ("adamw_step", "beta2 * v + (1 - beta2)", "beta1 * v + (1 - beta1)"),
    ("adamw_step", "return w -", "return w +"),
    ("adamw_step", "m = beta1 * m + (1 - beta1) * g", "m *= beta1; m += (1 - beta1) * g"),
    ("adamw_step", ", m, v\n", ", v, m\n"),
    ("mask_tokens", "if fate < 0.8:", "if True:"),
    ("mask_tokens", "elif fate < 0.9:", "else:"),
    ("mask_tokens", "fate < 0.8", "fate < 0.85"),
    ("mask_tokens", "labels[b, t] = text[t]", "pass"),
    ("mask_tokens", "labels[b, t] = text[t]", "labels[b, t] = mask_id"),
    ("mask_tokens", "np.full(input_ids.shape, -100)", "input_ids.copy()"),
    ("mask_tokens", "masked, labels = input_ids.copy()", "masked, labels = input_ids"),
    ("mask_tokens", "rng.choice(np.flatnonzero(ordinary))", "rng.integers(len(ordinary))"),
    ("mask_tokens", "rng.choice(np.flatnonzero(ordinary))", "rng.integers(5, 20)"),
    ("mask_tokens", "np.flatnonzero(ordinary[text])", "np.flatnonzero(text)"),
    ("mask_tokens", "max(1, round(0.15 * len(places)))", "round(0.15 * len(places))"),
    ("mask_tokens", "0.15 * len(places)", "0.15 * (2 + len(places))"),
    ("mask_tokens", "rng.choice(places, n, replace=False)", "places[:n]"),
    ("mask_tokens", "rng.choice(places, n, replace=False)", "rng.choice(places, n)"),
    ("mask_tokens", "masked, labels = input", "rng = np.random.default_rng(0); masked, labels = input"),
    ("mask_tokens", "fate = rng.random()", "fate = np.random.random()"),
    ("mask_tokens", "return masked, labels", "return labels, masked"),
    ("cut_windows", "windows[-1][0] + step", "windows[-1][1]"),
    ("cut_windows", "windows.append((first, min(first + room, tokens)))", "windows.append((first, first + room))"),
    ("cut_windows", "[(0, min(room, tokens))]", "[(0, room)]"),
    ("cut_windows", "windows[-1][1] < tokens", "windows[-1][0] + step < tokens"),
    ("window_label", "answer[1] >= window[1]", "answer[1] > window[1]"),
    ("window_label", "answer[0] < window[0] or ", ""),
    ("window_label", "column + answer[1] - window[0]", "column + answer[1] - window[0] + 1"),
    ("window_label", "column + answer[0] - window[0]", "answer[0] - window[0]"),
    ("window_label", "column + answer[0] - window[0]", "column + answer[0]"),
    ("best_span", "range(i, min(i + longest, stop))", "range(first, min(i + longest, stop))"),
    ("best_span", "range(i, min(i + longest, stop))", "range(i, stop)"),
    ("best_span", "range(i, min(i + longest, stop))", "range(i, min(i + longest + 1, stop))"),
    ("best_span", "none = min(", "none = max("),
    ("best_span", "found[best][1] > none", "True"),
    ("best_span", "column + j - first", "column + j - first + 1"),
    ("best_span", "column + i - first", "i - first"),
    ("best_span", " or context > found[i, j][0]", ""),
    ("best_span", "context > found[i, j][0]", "score > found[i, j][1]"),
    ("best_span", "if (i, j) not in found or context > found[i, j][0]:", "if True:"),
    ("best_span", "min(i - first, stop - 1 - j)", "min(i - first, stop - 1 - i)"),
    ("best_span", " + 0.01 * (stop - first)", ""),
    ("wordpiece", "ends[-1]", "ends[0]"),
    ("wordpiece", "(\"##\" if start else \"\") + word[start:end] in", "word[start:end] in"),
    ("wordpiece", "pieces.append((\"##\" if start else \"\") + ", "pieces.append("),
    ("wordpiece", "pieces if start == len(word) else [\"[UNK]\"]", "pieces + [\"[UNK]\"] * (start < len(word))"),
    ("wordpiece", "pieces if start == len(word) else [\"[UNK]\"]", "pieces"),
    ("wordpiece", " <= 100", ""),
    ("wordpiece", "<= 100", "< 100"),
]
SOURCE = inspect.getsource(exercise_answers)


def source_of(name):
    """The source of an answer, with that of the helper that it calls."""
    called = {node.id for node in ast.walk(ast.parse(inspect.getsource(getattr(exercise_answers, name))))
              if isinstance(node, ast.Name)}
    return "\n\n".join(inspect.getsource(f) for key, f in vars(exercise_answers).items()
                       if inspect.isfunction(f) and (key == name or key in called - set(CHECKS)))


def mutant(name, old, new):
    text = source_of(name)
    assert text.count(old) >= 1, (name, old)
    namespace = {"np": np}
    exec(compile(text.replace(old, new), "<mutant>", "exec"), namespace)
    return namespace[name]


@pytest.mark.parametrize(("name", "old", "new"), MUTANTS, ids=lambda text: text[:40])
def test_a_mistake_is_found_and_its_first_element_named(name, old, new):
    said = verdict(name, mutant(name, old, new))
    assert said and said.startswith(f"{name}: ") and "\n" not in said
    assert re.search(r"expected .+, got .+|must return .+, got .+", said), said


def test_every_exercise_has_mutants():
    assert {name for name, *_ in MUTANTS} == set(CHECKS)


def test_the_mutants_of_the_package_are_found(monkeypatch):
    """Those of layer norm, every one; the other ops can do more than their exercises ask."""
    inputs = [case.inputs for case in op_cases() if case.op is ops.layer_norm]
    found = list(mutants(ops.layer_norm, inputs))
    assert len(found) > 20
    wrong_numbers = 0
    for mutant in found:
        monkeypatch.setattr(ops.layer_norm, "forward", mutant.forward)
        monkeypatch.setattr(ops.layer_norm, "backward", mutant.backward)
        said = verdict("layer_norm_backward", layer_norm_backward)
        assert said, mutant.what
        wrong_numbers += "]: expected " in said
    assert wrong_numbers > 2 * len(found) / 3           # the others cannot be computed


def test_the_first_wrong_element_is_the_first():
    def wrong(dy, x, gain, eps):
        dx, dgain, dbias = layer_norm_backward(dy, x, gain, eps)
        if len(x) == 3:
            dx[1, 3:] += [0.25, 7]
            dx[2] = np.nan
        return dx, dgain, dbias

    said = verdict("layer_norm_backward", wrong)
    found = re.fullmatch(r"layer_norm_backward: x \(3, 5\), eps 1e-12: dx\[1, 3\]: expected (\S+), got (\S+)", said)
    assert float(found[2]) - float(found[1]) == pytest.approx(0.25, abs=1e-6)


@pytest.mark.parametrize(("function", "said"), [
    (lambda *_: None, "layer_norm_backward: it returns nothing"),
    (lambda dy, *_: dy, "layer_norm_backward: it must return (dx, dgain, dbias), got ndarray"),
    (lambda dy, *_: (dy, dy), "layer_norm_backward: it must return (dx, dgain, dbias), got 2 of them"),
    (lambda dy, *_: (dy[0], dy, dy), "layer_norm_backward: x (1, 2), eps 3.0: dx: expected the shape (1, 2), got (2,)"),
    (lambda dy, *_: (None, dy, dy), "layer_norm_backward: x (1, 2), eps 3.0: dx: expected an array, got None"),
    (lambda dy, x, gain, eps: gain.fill(0), "it changes what it is given: gain[0]: expected "),
    (lambda dy: dy, "layer_norm_backward: TypeError: ")])
def test_what_is_no_gradient_at_all(function, said):
    assert said in verdict("layer_norm_backward", function)


def test_an_error_of_the_students_is_one_line_with_its_place():
    def broken(dy, x, gain, eps):
        return np.ones(3) + np.ones(2)

    line = inspect.getsourcelines(broken)[1] + 1
    said = verdict("layer_norm_backward", broken)
    assert said.startswith("layer_norm_backward: ValueError: operands could not be broadcast") and "\n" not in said
    assert said.endswith(f"(test_exercise_checks.py, line {line})")


# ---- the stubs -------------------------------------------------------------------------------------------------------


def run(folder, *arguments):
    """(exit code, what pytest said) in the folder of exercises."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTEST_ADDOPTS"} | {"COLUMNS": "200"}
    done = subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(folder), *arguments],
                          cwd=Path(folder).parent, env=environment, capture_output=True, text=True, timeout=300)
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


def test_untouched_stubs_fail_with_one_line_each():
    code, out = run(FOLDER)
    assert code == 1 and f"{len(CHECKS)} failed" in out and "Traceback" not in out and "\n>" not in out
    lines = [line for line in out.splitlines() if "is not written yet: " in line and not line.startswith("FAILED")]
    assert lines == [f"{name} is not written yet: {FILES[name]}.py" for name in CHECKS]


@pytest.mark.parametrize("stub", STUBS)
def test_one_exercise_is_chosen_by_its_name(stub):
    expected = sum(file == stub for file in FILES.values())
    code, out = run(FOLDER, "-k", stub)
    assert code == 1 and f"{expected} failed, {len(CHECKS) - expected} deselected" in out


def test_a_student_fills_in_a_stub(tmp_path):
    """First with a mistake, then right, then with something that cannot be read."""
    folder = Path(shutil.copytree(FOLDER, tmp_path / "exercises", ignore=shutil.ignore_patterns("__pycache__")))
    path, answer = folder / "layer_norm.py", source_of("layer_norm_backward")
    stub = path.read_text(encoding="utf-8")
    head = stub[:stub.index("def layer_norm_backward")]
    path.write_text(head + answer.replace(" - dxhat.mean(-1, keepdims=True)", ""), encoding="utf-8")
    code, out = run(folder, "-k", "layer_norm")
    line = r"^layer_norm_backward: x \(1, 2\), eps 3.0: dx\[0, 0\]: expected \S+, got \S+$"
    assert code == 1 and re.search(line, out, re.MULTILINE)
    path.write_text(head + answer, encoding="utf-8")
    code, out = run(folder, "-k", "layer_norm")
    assert code == 0 and "1 passed" in out
    path.write_text(head + "def layer_norm_backward(:", encoding="utf-8")
    code, out = run(folder, "-k", "layer_norm")
    assert code == 1 and "layer_norm.py cannot be read: " in out and "Traceback" not in out


def test_the_projects_own_tests_leave_the_stubs_alone():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    assert settings["tool:pytest"]["testpaths"].split() == ["tests"]
    names = {path.stem for path in FOLDER.glob("test_*.py")}
    assert not names & {path.stem for path in (ROOT / "tests").rglob("test_*.py")}     # both can be run in one go


@pytest.mark.parametrize("stub", STUBS)
def test_a_stub_says_what_it_needs(stub):
    text = MODULES[stub].__doc__
    assert text.startswith("Exercise: ") and f"\n    pytest examples/exercises -k {stub}\n" in text
    fields = [field for field in ("Task.", "Before you start:", "Time:", "Solution:") if f"\n{field} " in text]
    assert len(fields) == 4 and re.search(r"\nTime: \d+ minutes", text)
    headings = re.findall(r"^## (.+)", (EXAMPLES / "LECTURE.md").read_text(encoding="utf-8"), re.MULTILINE)
    cards = re.findall(r'the cards? "([^"]+)"', text)
    assert cards and all(card in headings for card in cards)
    for path, names in re.findall(r"(numbert/[\w/]+\.py), ([\w., ]+?)(?=[.;(\n])", text):
        for name in re.split(r", | and ", names):
            tree = SimpleNamespace(names={node.name for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8")))
                                          if isinstance(node, ast.FunctionDef | ast.ClassDef)})
            assert set(name.strip().split(".")) <= tree.names, (path, name)
    functions = [node for node in ast.parse((FOLDER / f"{stub}.py").read_text("utf-8")).body
                 if isinstance(node, ast.FunctionDef)]
    left = {f.name for f in functions if ast.unparse(f.body[-1]) == "raise NotImplementedError"}
    assert left == {name for name, file in FILES.items() if file == stub}


# ---- the page for teachers -------------------------------------------------------------------------------------------

PAGES = {name: (FOLDER / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh.md")}


def table(text, columns):
    """The rows of the table of a page that has so many columns, without its head."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return [row for row in rows if len(row) == columns and not set(row[0]) <= {"-"}][1:]


@pytest.mark.parametrize("page", PAGES)
def test_the_page_lists_every_exercise_and_the_bug_hunt_first(page):
    listed = [re.match(r"\[(.+?)\]\((.+?)\)", row[0]).groups() for row in table(PAGES[page], 5)]
    assert listed[0] == ("bug_hunt.py", "../bug_hunt.py")
    assert sorted(listed[1:]) == [(f"{stub}.py", f"{stub}.py") for stub in STUBS]
    assert all((FOLDER / path).is_file() for _, path in listed)
    for row in table(PAGES[page], 5)[1:]:
        stub = row[0].partition(".py")[0].strip("[")
        assert re.search(r"\nTime: (\d+) minutes", MODULES[stub].__doc__)[1] == row[4]
    if page == "README.md":                             # the cards that the stub names
        for row in table(PAGES[page], 5)[1:]:
            assert row[2] in re.findall(r'the cards? "([^"]+)"', MODULES[row[0].partition(".py")[0].strip("[")].__doc__)
    guide = (EXAMPLES / page.replace("README", "LECTURE")).read_text(encoding="utf-8")
    assert {row[2] for row in table(PAGES[page], 5)} <= set(re.findall(r"^## (.+)", guide, re.MULTILINE))


def test_both_pages_say_the_same():
    english, chinese = (re.findall(r"`([^`]+)`", text) for text in PAGES.values())
    assert [" ".join(one.split()) for one in english] == [" ".join(one.split()) for one in chinese]
    one, other = (re.findall(r"^    (p.+?)(?:  |$)", text, re.MULTILINE) for text in PAGES.values())
    assert one == other and len(one) == 3


@pytest.mark.parametrize("page", PAGES)
def test_the_points_of_the_homework_are_where_the_page_says(page):
    points = table(PAGES[page], 4)
    assert len(points) == 6
    for _, _, where, test in points:
        for reference in re.findall(r"`([^`]+::[^`]+)`", where + test):
            path, _, name = reference.partition("::")
            tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
            found = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
            assert set(name.split(".")) <= found, reference
        assert where.count("::") and test.count("::test_") == 1


def test_the_checks_need_nothing_of_the_package():
    for name in ("checks", "verdict", *STUBS):
        tree = ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
        imported = {alias.name.partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import)
                    for alias in node.names} | {node.module.partition(".")[0] for node in ast.walk(tree)
                                                if isinstance(node, ast.ImportFrom)}
        assert imported <= {"numpy", "verdict"} | sys.stdlib_module_names
