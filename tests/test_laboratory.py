"""The laboratory's shared parts: options, results.json, bodies by seed."""
import json

import numpy as np
import pytest

from numbert import svg
from numbert.tasks import laboratory
from numbert.tasks.toy_body import Recipe
from numbert.tasks.toy_tasks import draw, toy_task
from numbert.text.wordpiece import WordPieceTokenizer
from numbert.training.parallel import Workers
from numbert.training.seeds import Seeds


def options(*argv):
    return laboratory.parse(laboratory.arguments("", name="x", quick={"seeds": 1}, seeds=5, lr=0.5), list(argv))


def test_quick_gives_way_to_what_is_said():
    assert options().seeds == 5 and options().out == "runs/x"
    assert options("--quick").seeds == 1 and options("--quick", "--seeds", "3").seeds == 3
    assert options("--quick", "--lr", "0.25").lr == 0.25 and "quick_values" not in vars(options())


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


def test_downstream_takes_each_body_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Workers(1) as workers:
        folders = laboratory.bodies(Recipe(steps=2, batch_size=4, width=32, layers=1), 2, workers)
        assert len(set(folders)) == 2
        chosen = laboratory.settings(options(), epochs=1, workers=1)
        assert (chosen.epochs, chosen.lr, chosen.batch_size) == (1, 0.5, 16)
        task = toy_task("classify", draw("classify", (24, 12, 24)), WordPieceTokenizer.from_pretrained(folders[0]),
                        chosen, workers)
        both = laboratory.downstream(task, folders, chosen, workers)
        again = laboratory.downstream(task, folders[:1], chosen, workers)
    assert len(both.figures) == 2 and both.figures[0] == again.figures[0]
