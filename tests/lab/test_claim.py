"""The instrument of a claim: what is computed once, what survives an interruption, what goes into picture and table."""
import json
from types import SimpleNamespace

import numpy as np
import pytest

from numbert.lab import effects
from numbert.lab.claim import Contrast, Experiment, settle, worth
from numbert.lab.grid import Grid


@pytest.fixture
def lab(tmp_path):
    return Experiment(Grid(tmp_path / "some.json", {}, say=None), SimpleNamespace(bodies=2, minutes=1), None)


def test_figures_of_one_computation_are_computed_once(lab):
    calls = []

    def compute():
        calls.append(1)
        return {"gap": 0.5, "nearest": 1}
    for _ in range(2):
        lab.measured({"gap, BERT": "gap", "nearest, BERT": "nearest"}, 0, compute)
    assert len(calls) == 1
    assert lab.grid.content["figures"] == {"gap, BERT / 0 / 0": 0.5, "nearest, BERT / 0 / 0": 1}


def test_a_body_that_was_interrupted_is_made_anew(lab):
    def interrupted(folder):
        (folder / "half").write_text("")
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        lab.kept("body", interrupted)()
    folder = lab.kept("body", lambda folder: (folder / "whole").write_text(""))()
    assert [path.name for path in folder.iterdir()] == ["whole"]
    assert lab.kept("body", interrupted)() == folder                    # it is there: nothing is made


def test_what_is_settled(tmp_path, capsys):
    def claim(lab):
        """b is more than a"""
        for body in lab.bodies():
            for condition, figure in {"a": body, "b": body + 0.5 + 0.1 * body}.items():
                lab.grid.cell(condition, body, 0, lambda figure=figure: figure)
        return [lab.contrast("b against a", "above", "b", "a"),
                Contrast("in doublings", "above", [[3.0], [3.1], [3.2]], [[0.0]] * 3, unit="doublings")]
    options = SimpleNamespace(bodies=3, minutes=1, heads=1, steps=None, test=1, epochs=1, quick=False, out=tmp_path,
                              workers=1)
    settle("some", claim, options, None, "the command")
    content = json.loads((tmp_path / "some.json").read_text())
    assert content["claim"] == "b is more than a" and content["command"] == "the command"
    expected = effects.effect([0.5, 0.6, 0.7])
    for one, mean in zip(content["contrasts"], (expected.mean, 3.1), strict=True):
        assert one["mean"] == pytest.approx(mean, abs=1e-4) and one["verdict"] == "shown"
        assert one["high"] - one["low"] == pytest.approx(expected.high - expected.low, abs=2e-4)
    picture = (tmp_path / "some.svg").read_text()
    assert "b against a" in picture and "doublings" not in picture
    assert "in doublings  +3.100 [" in capsys.readouterr().out


def test_what_labels_are_worth():
    """One body needs 400 labels from scratch for what 100 do with pre-training, one never gets there."""
    sizes = 25, 100, 400, 800
    scratch = np.array([[0.5, 0.6, 0.7, 0.8], [0.5, 0.55, 0.6, 0.65]])
    ours = np.array([[0.6, 0.7, 0.8, 0.9], [0.6, 0.7, 0.8, 0.9]])
    contrasts = [Contrast(f"{size} labels", "above", mine[:, None] + [[-0.01, 0.01]], theirs[:, None])
                 for size, mine, theirs in zip(sizes, ours.T, scratch.T, strict=True)]
    found = worth(100, sizes, contrasts)
    assert found.ours == [[pytest.approx(2)], [pytest.approx(3)]] and found.others == [[0], [0]]
    assert "100 labels" in found.what and "of 1 of 2 bodies at least" in found.what
