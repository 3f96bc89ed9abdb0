"""Every exhibit is caught by its check, and by that check alone because of the bug; the course shows what it claims."""
import contextlib
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "examples"))

from museum import BUGS, CHECKS  # noqa: E402
from museum.checks import CheckFailed, failed  # noqa: E402
from museum.course import run  # noqa: E402
from museum.exhibit import Bug, Edit  # noqa: E402

from numbert import ops  # noqa: E402
from numbert.pretraining.masking import mask_tokens  # noqa: E402

NAMED = {bug.name: bug for bug in BUGS}
every_bug = pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)


@pytest.mark.parametrize("name", CHECKS)
def test_without_a_bug_the_check_passes(name):
    assert failed(name) is None


@every_bug
def test_with_the_bug_its_check_fails_and_without_it_passes_again(bug):
    before = [edit.function.__code__ for edit in bug.edits]
    with bug.patch(), np.errstate(all="ignore"):
        assert all(edit.function.__code__ is not code for edit, code in zip(bug.edits, before, strict=True))
        with pytest.raises(CheckFailed):                # by what it checks, not by a crash
            CHECKS[bug.caught_by]()
    assert all(edit.function.__code__ is code for edit, code in zip(bug.edits, before, strict=True))
    assert failed(bug.caught_by) is None


@every_bug
def test_the_change_is_small_and_is_shown(bug):
    lines = [line for line in bug.diff().splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    assert 1 <= len(lines) <= 8
    for edit in bug.edits:
        assert edit.old.strip() and edit.old != edit.new
        assert all(line in bug.diff() for line in (*edit.old.splitlines(), *edit.new.splitlines()))
    assert all(f"--- numbert/{file}" in bug.diff() for file in bug.files())


def test_the_collection():
    assert len(BUGS) == len(NAMED) >= 24
    assert {bug.caught_by for bug in BUGS} == set(CHECKS)              # no check that catches nothing
    for bug in BUGS:
        assert bug.symptom.endswith(".") and bug.story and bug.course in ("bert", "roberta", "gpt")


@pytest.mark.parametrize("name", ["softmax over the wrong axis of attention", "scores scaled twice",
                                  "heads cut by reshape alone"])
def test_a_gradient_check_finds_no_wrong_formula_with_its_own_gradient(name):
    with NAMED[name].patch():
        assert failed("the_gradients_of_the_ops") is None


# Patching


def test_whoever_imported_the_function_meets_the_bug():
    bug, rng = NAMED["random words may be special tokens"], np.random.default_rng(0)
    ids, ordinary = rng.integers(5, 10, (200, 20)), np.arange(10) >= 5
    with bug.patch():
        masked, _ = mask_tokens(ids, rng, ordinary=ordinary, mask_id=4, mask_share=0.0, random_share=1.0)
    assert (masked < 5).any()
    masked, _ = mask_tokens(ids, rng, ordinary=ordinary, mask_id=4, mask_share=0.0, random_share=1.0)
    assert not (masked < 5).any()


def test_an_error_takes_the_bug_away_too():
    bug = NAMED["dropout does not rescale what it keeps"]
    before = ops.dropout.forward.__code__
    with contextlib.suppress(ZeroDivisionError), bug.patch():
        assert ops.dropout.forward.__code__ is not before
        raise ZeroDivisionError
    assert ops.dropout.forward.__code__ is before


@pytest.mark.parametrize("old, count", [("no such text", 0), ("x", "[0-9]+")])
def test_a_source_that_does_not_read_as_expected(old, count):
    bug = Bug("gone", "", "", (Edit(ops.layer_norm.forward, old, "y"),), "")
    with pytest.raises(ValueError, match=f"gone: layer_norm in .*normalization.py holds '{old}' {count} times"):
        bug.diff()


def test_a_copy_has_the_bug_and_can_be_repaired(tmp_path):
    """Two functions of one file, one of them a method; judged by another process that imports the copy."""
    def judge(name):
        return subprocess.run([sys.executable, ROOT / "examples/bug_hunt.py", "--check", name], capture_output=True,
                              text=True, env=os.environ | {"PYTHONPATH": str(tmp_path)})

    NAMED["scores scaled twice"].write_package(tmp_path)
    path = Path("ops/attention.py")
    copy, right = (folder / "numbert" / path for folder in (tmp_path, ROOT))
    differing = [pair for pair in zip(copy.read_text("utf-8").splitlines(), right.read_text("utf-8").splitlines(),
                                      strict=True) if pair[0] != pair[1]]
    assert differing[1][0].strip().startswith("dscores *= scale * scale ") and len(differing) == 2
    done = judge("attention_is_the_printed_formula")
    assert done.returncode == 1 and str(tmp_path) in done.stdout and "FAILED" in done.stdout, done.stderr
    copy.write_text(right.read_text("utf-8"), "utf-8")
    done = judge("attention_is_the_printed_formula")
    assert done.returncode == 0 and str(tmp_path) in done.stdout and "FAILED" not in done.stdout, done.stderr
    with pytest.raises(ValueError, match="is there already"):
        NAMED["scores scaled twice"].write_package(tmp_path)


def test_a_copied_method_keeps_its_place(tmp_path):
    bug = NAMED["biases and layer norms decay, too"]
    bug.write_package(tmp_path)
    copy = (tmp_path / "numbert/training/optimizer.py").read_text("utf-8").splitlines()
    assert "        rows = [([x.reshape(-1) for x in (p.data, g, m, v)], lr * factor, self.weight_decay)" in copy
    compile("\n".join(copy), "optimizer.py", "exec")


# The course


STEPS = 24


def test_a_course_is_the_same_every_time_and_learns():
    first, second, other = run("bert", steps=STEPS), run("bert", steps=STEPS), run("bert", seed=1, steps=STEPS)
    assert first == second != other
    assert first.reported.keys() == first.held_out.keys() == {"mlm", "nsp"}
    assert [step for step, _ in first.reported["mlm"]] == list(range(1, STEPS + 1))
    assert [step for step, _ in first.held_out["mlm"]] == [4, 8, 12, 16, 20, 24]
    figures = first.figures()
    assert figures["mlm first"] > 5 and figures["mlm last"] < 4 > figures["mlm held out"]


@pytest.mark.parametrize("course, task", [("roberta", "mlm"), ("gpt", "lm")])
def test_the_other_courses_learn(course, task):
    curve = run(course, steps=STEPS)
    assert curve.reported.keys() == {task} and curve.figures()[f"{task} held out"] < 4


def test_what_is_held_out_is_measured_by_the_right_code():
    """A model that was only spoilt when it is asked, is as good as ever; one that cheated is found out."""
    right = run("bert", steps=STEPS)
    assert run("bert", bug=NAMED["dropout also when nobody learns"], steps=STEPS) == right
    right, cheat = (run("gpt", bug=bug, steps=STEPS).figures() for bug in (None, NAMED["labels are not shifted"]))
    assert cheat["lm last"] < right["lm last"] - 1 and cheat["lm held out"] > right["lm held out"] + 1


def test_a_course_is_stopped_and_resumed_halfway():
    right = run("bert", steps=STEPS).reported["mlm"]
    buggy = run("bert", bug=NAMED["only the weights come back from a checkpoint"], steps=STEPS).reported["mlm"]
    first = next(step for (step, a), (_, b) in zip(right, buggy, strict=True) if a != b)
    assert first == STEPS // 2 + 2                # the first step after the stop is that of the same weights


def test_a_run_that_breaks_down_is_infinitely_bad():
    bug = Bug("infinite", "", "", (Edit(ops.layer_norm.forward, "1 / np.sqrt(", "np.inf / np.sqrt("),), "")
    curve = run("bert", bug=bug, steps=STEPS)
    assert not curve.reported and curve.held_out["mlm"] == [(STEPS, math.inf)]
    assert math.isinf(curve.figures()["mlm held out"])
