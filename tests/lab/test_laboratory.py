"""The laboratory's shared parts: options, results.json, bodies by seed."""
import contextlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from numbert.lab import laboratory, svg
from numbert.lab.bodies import Recipe
from numbert.lab.toy_tasks import draw, toy_task
from numbert.tokenizers.wordpiece import WordPieceTokenizer
from numbert.training import command
from numbert.training.loop import NonFiniteError
from numbert.training.parallel import Workers
from numbert.training.seeds import Seeds

ROOT = Path(__file__).parents[2]


def options(*argv):
    return command.parse(laboratory.arguments("", name="x", quick={"seeds": 1}, seeds=5, lr=0.5), list(argv))


def test_quick_gives_way_to_what_is_said():
    assert options().seeds == 5 and options().out == "runs/x"
    assert options("--quick").seeds == 1 and options("--quick", "--seeds", "3").seeds == 3
    assert options("--quick", "--lr", "0.25").lr == 0.25 and "quick_values" not in vars(options())


@pytest.mark.parametrize("argv, message", [
    (["--seeds", "0"], "--seeds must be at least 1, got 0"),
    (["--workers", "-1"], "--workers must be at least 1, got -1"),
    (["--lr", "0"], "--lr must be above 0, got 0.0"), (["--lr", "nan"], "--lr must be above 0, got nan")])
def test_numbers_that_are_too_small(argv, message):
    for some in (argv, ["--quick", *argv]):
        with pytest.raises(SystemExit, match=f"^x.py: {message}$"):
            options(*some)


def test_a_seed_may_be_0_and_not_less():
    parser = laboratory.arguments("", name="x", quick={}, seed=0)
    assert command.parse(parser, []).seed == 0
    with pytest.raises(SystemExit, match="^x.py: --seed must be at least 0, got -1$"):
        command.parse(parser, ["--seed", "-1"])


@pytest.mark.parametrize("error, said", [
    (ValueError("no such thing: 3"), "x.py: no such thing: 3"), (OSError("disk is full"), "x.py: disk is full"),
    (NonFiniteError("step 2: loss nan"), "x.py: step 2: loss nan"), (KeyboardInterrupt(), "x.py: interrupted")])
def test_what_stops_an_experiment_is_said_in_one_line(error, said):
    def experiment(options, workers):
        assert options.seeds == 5 and workers.n == 1
        raise error
    with pytest.raises(SystemExit) as stopped:
        command.start(experiment, laboratory.arguments("", name="x", quick={}, seeds=5), ["--workers", "1"])
    assert stopped.value.code == said


def test_results(tmp_path, capsys):
    results = laboratory.Results(options("--out", str(tmp_path / "r")))
    results.add(loss=np.float32(0.5), curve=np.arange(3))
    results.add(accuracy=Seeds([{"accuracy": 0.5}, {"accuracy": 1.0}], {"accuracy": 0.25}))
    results.draw("curves", [svg.chart("t", "x", "y", {"a": [(0, 0), (1, 1)]})])
    content = json.loads((tmp_path / "r" / "results.json").read_text())
    assert content["loss"] == 0.5 and content["curve"] == [0, 1, 2] and content["settings"]["seeds"] == 5
    assert content["accuracy"]["mean"] == 0.75 and content["accuracy"]["std"] == pytest.approx(0.35355339)
    assert content["seconds"] >= 0 and (tmp_path / "r" / "curves.svg").exists()
    assert "curves.svg" in capsys.readouterr().out


def test_results_hold_nothing_that_json_does_not_know(tmp_path):
    results = laboratory.Results(options("--out", str(tmp_path)))
    results.add(one=Seeds([{"pearson": np.float32(0.5)}], {"pearson": float("nan")}), curve={2: (1.5, np.inf)},
                place=tmp_path, none=None, which=np.int64(3))
    content = json.loads((tmp_path / "results.json").read_text(), parse_constant=pytest.fail)
    assert content["one"] == {"runs": [{"pearson": 0.5}], "mean": 0.5, "std": None, "baseline": {"pearson": None}}
    assert content["curve"] == {"2": [1.5, None]} and content["place"] == str(tmp_path)
    assert content["none"] is None and content["which"] == 3


def test_downstream_takes_each_body_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Workers(1) as workers:
        folders = laboratory.bodies(Recipe(steps=2, batch_size=4, width=32, layers=1), 2, workers)
        assert len(set(folders)) == 2
        chosen = laboratory.settings(options(), epochs=1)
        assert (chosen.epochs, chosen.lr, chosen.batch_size) == (1, 0.5, 16)
        task = toy_task("classify", draw("classify", (24, 12, 24)), WordPieceTokenizer.from_pretrained(folders[0]),
                        chosen, workers)
        both = laboratory.downstream(task, folders, chosen, workers)
        again = laboratory.downstream(task, folders[:1], chosen, workers)
    assert len(both.figures) == 2 and both.figures[0] == again.figures[0]


# ---- how a script begins and ends ------------------------------------------------------------------------------------

SCRIPT = """
from numbert.lab import laboratory
options, workers = laboratory.begin(laboratory.arguments("", name="x", quick={"seeds": 1}, seeds=5))
print(workers.map(abs, [-options.seeds]))
STEP
laboratory.end(options, "so it is.", "more of it")
"""


def started(tmp_path, step, *arguments, **environment):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT.replace("STEP", step))
    return subprocess.run([sys.executable, str(path), "--workers", "2", *arguments], capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": str(ROOT)} | environment)


@pytest.mark.parametrize("step, said", [
    ("raise ValueError('no such thing: 3')", "x.py: no such thing: 3\n"), ("open('nowhere')", "x.py: [Errno 2]"),
    ("raise KeyboardInterrupt('2 of 3 are done')", "x.py: interrupted; 2 of 3 are done\n"),
    ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "x.py: interrupted\n")])
def test_what_stops_a_script_is_said_in_one_line(tmp_path, step, said):
    done = started(tmp_path, step)
    assert done.returncode == 1 and done.stderr.startswith(said) and done.stderr.count("\n") == 1
    assert done.stdout == "[5]\n"


def test_an_error_of_the_program_is_shown_whole(tmp_path):
    done = started(tmp_path, "1 / 0")
    assert done.returncode == 1 and done.stderr.startswith("Traceback") and "ZeroDivisionError" in done.stderr


def test_the_takeaway_is_not_that_of_a_quick_run(tmp_path):
    done = started(tmp_path, "")
    assert (done.stdout, done.stderr) == ("[5]\n\nTakeaway: so it is.\n\nTry next: more of it\n", "")
    done = started(tmp_path, "", "--quick")
    assert done.returncode == 0 and "Takeaway" not in done.stdout and "[1]" in done.stdout
    first, *_, last = done.stdout.splitlines()
    assert first.startswith("--quick: ") and last.startswith("--quick: ") and done.stdout.count("mean nothing") == 2


def test_in_a_notebook_the_options_come_from_the_environment(monkeypatch):
    parser = laboratory.arguments("", name="x", quick={"seeds": 1}, seeds=5)
    leaving, hook = contextlib.ExitStack(), sys.excepthook
    monkeypatch.setitem(sys.modules, "ipykernel", None)
    monkeypatch.setattr(sys, "argv", ["ipykernel_launcher.py", "-f", "kernel.json"])
    monkeypatch.setattr(command, "atexit", SimpleNamespace(register=leaving.callback))
    with leaving:
        assert laboratory.begin(parser)[0].seeds == 5
        monkeypatch.setenv("NUMBERT_OPTIONS", "--quick --out 'a folder'")
        options, workers = laboratory.begin(parser)
        assert (options.seeds, options.out, workers.map(abs, [-1])) == (1, "a folder", [1])
        assert laboratory.begin(parser, ["--seeds", "3"])[0].seeds == 3
    assert sys.excepthook is hook                       # the kernel's own shows what is wrong


def test_differences_are_not_those_of_a_quick_run(capsys):
    pair = Seeds([{"f": 0.5}, {"f": 0.7}], {"f": 0.1}), Seeds([{"f": 0.1}, {"f": 0.1}], {"f": 0.1})
    for argv in ((), ("--quick",)):
        found = laboratory.compare(options(*argv), {"a against b": pair})["a against b"]
        assert found["difference"] == pytest.approx(0.5)
        assert found["in_standard_deviations"] == pytest.approx(0.5 / math.sqrt(0.02))
        assert bool(argv) != ("significant at two" in capsys.readouterr().out)
