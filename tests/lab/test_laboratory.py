"""The laboratory's shared parts: options, results.json, bodies by seed."""
import json

import numpy as np
import pytest

from numbert.lab import laboratory, svg
from numbert.lab.bodies import Recipe
from numbert.lab.toy_tasks import draw, toy_task
from numbert.tokenizers.wordpiece import WordPieceTokenizer
from numbert.training.loop import NonFiniteError
from numbert.training.parallel import Workers
from numbert.training.seeds import Seeds


def options(*argv):
    return laboratory.parse(laboratory.arguments("", name="x", quick={"seeds": 1}, seeds=5, lr=0.5), list(argv))


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
    assert laboratory.parse(parser, []).seed == 0
    with pytest.raises(SystemExit, match="^x.py: --seed must be at least 0, got -1$"):
        laboratory.parse(parser, ["--seed", "-1"])


@pytest.mark.parametrize("error, said", [
    (ValueError("no such thing: 3"), "x.py: no such thing: 3"), (OSError("disk is full"), "x.py: disk is full"),
    (NonFiniteError("step 2: loss nan"), "x.py: step 2: loss nan"), (KeyboardInterrupt(), "x.py: interrupted")])
def test_what_stops_an_experiment_is_said_in_one_line(error, said):
    def experiment(options, workers):
        assert options.seeds == 5 and workers.n == 1
        raise error
    with pytest.raises(SystemExit) as stopped:
        laboratory.start(experiment, laboratory.arguments("", name="x", quick={}, seeds=5), ["--workers", "1"])
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
