"""The example: a puzzle is the same for the same number and does not give itself away; the gallery says what it saw."""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "examples"))

import bug_hunt  # noqa: E402
from museum import BUGS, CHECKS  # noqa: E402
from museum.course import Curve  # noqa: E402


def test_every_bug_has_one_number_and_not_the_order_of_the_collection():
    assert sorted(bug_hunt.PUZZLES) == list(range(len(BUGS))) != bug_hunt.PUZZLES


def test_a_puzzle_at_random(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, ROOT / "examples/bug_hunt.py", "--quick"], capture_output=True, text=True,
                          env=environment, cwd=tmp_path)
    assert done.returncode == 0 and not done.stderr
    number = int(re.match(rf"Puzzle (\d+) of {len(BUGS)}\.", done.stdout)[1])
    assert f"with --number {number}:" in done.stdout
    assert (tmp_path / f"runs/bug_hunt/puzzle-{number}.svg").read_text().startswith("<svg")
    bug = BUGS[bug_hunt.PUZZLES[number - 1]]
    assert bug.name not in done.stdout and bug.caught_by not in done.stdout


def test_going_on_with_a_number(tmp_path, capsys):
    number = 1 + bug_hunt.PUZZLES.index([bug.name for bug in BUGS].index("layer norm with the unbiased variance"))

    def say(*options):
        status = bug_hunt.main(["--number", str(number), *options])
        return status, capsys.readouterr().out

    assert say("--hint", "1") == (0, f"What one may notice: {BUGS[0].symptom}\n")
    assert say("--hint", "2") == (0, "Look into numbert/ops/normalization.py.\n")
    assert "layer_norm_is_the_printed_formula fails:\n  row 0[0]: found" in say("--hint", "3")[1]
    status, text = say("--check", "all")
    assert status == 1 and re.findall("FAILED +(.+)", text) == [
        "layer_norm_is_the_printed_formula", "the_gradients_of_the_ops"]
    assert text.count("  ok  ") == len(CHECKS) - 2
    assert say("--check", "dropout_keeps_the_mean")[0] == 0
    text = say("--reveal")[1]
    assert "(x.shape[-1] - 1)" in text and BUGS[0].story in text.replace("\n", " ")
    assert say("--copy", str(tmp_path))[0] == 0
    assert "(x.shape[-1] - 1)" in (tmp_path / "numbert/ops/normalization.py").read_text("utf-8")
    assert bug_hunt.main(["--check", "layer_norm_is_the_printed_formula"]) == 0          # without a number: as it is


@pytest.mark.parametrize("argv, message", [
    (["--number", "0"], f"--number must be in 1..{len(BUGS)}, got 0"),
    (["--check", "everything"], "--check must be all, or one of\n(.|\n)*got everything"),
    (["--reveal"], "need the --number of a puzzle"),
])
def test_errors(argv, message):
    with pytest.raises(ValueError, match=message):
        bug_hunt.main(argv)


def test_the_gallery(tmp_path, capsys):
    bug_hunt.main(["--gallery", "--quick", "--out", str(tmp_path)])
    text = capsys.readouterr().out
    results = json.loads((tmp_path / "results.json").read_text())
    assert [record["name"] for record in results["bugs"]] == [bug.name for bug in BUGS[:3]]
    assert len(results["right"]["bert"]) == 2 and results["steps"] == bug_hunt.QUICK
    assert all(record["name"] in text for record in results["bugs"])
    picture = (tmp_path / "gallery.svg").read_text()
    assert all(f"{record['name']}: mlm" in picture for record in results["bugs"])


def curve(first, last, held_out):
    return Curve({"mlm": [(1, first), (2, last)]}, {"mlm": [(2, held_out)]})


@pytest.mark.parametrize("buggy, shows", [
    (curve(5.0, 2.0, 2.0), "nothing at all"),
    (curve(5.0, 2.1, 2.2), "nothing significant"),
    (curve(5.0, 2.0, 9.0), "the held-out loss alone"),
    (curve(5.0, 2.0, float("inf")), "the held-out loss alone"),
    (curve(9.0, 2.0, 2.0), "the reported curve"),
    (curve(5.0, 1.0, 2.0), "the reported curve"),
])
def test_where_a_bug_shows(buggy, shows):
    """The right runs have a standard deviation of 0.1."""
    right = [curve(5.0 + x, 2.0 + x, 2.0 + x) for x in (0.0, 0.1, -0.1)]
    record = bug_hunt.compare(BUGS[0], right, [buggy])
    assert record["shows"] == shows
    json.loads(json.dumps(record, allow_nan=False))
