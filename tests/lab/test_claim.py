"""The instrument of a claim: what is computed once, what survives an interruption, what goes into picture and table."""
import json
import math
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
    options = SimpleNamespace(bodies=3, minutes=1, seed=2, heads=1, steps=None, test=1, epochs=1, quick=False,
                              out=tmp_path, workers=1)
    settle("some", claim, options, None, "the command")
    content = json.loads((tmp_path / "some.json").read_text())
    assert content["claim"] == "b is more than a" and content["command"] == "the command"
    expected = effects.effect([0.7, 0.8, 0.9])                      # bodies 2, 3 and 4
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
    found = worth(0.7, sizes, contrasts)
    assert effects.difference(found.ours, found.others).values == pytest.approx((2, 3))
    assert "reach 70%" in found.what and "1 of 2 bodies censored" in found.what


@pytest.mark.parametrize("factor", [1.0, 4.0])
def test_what_labels_are_worth_in_simulated_curves(factor):
    """With pre-training as good as with `factor` times the labels: the interval of five bodies, in doublings, holds the
    truth nineteen times in twenty, though every figure is measured with an error."""
    rng, sizes = np.random.default_rng(1), np.array([25, 50, 100, 200, 400, 800])
    truth = {"ours": 0.5 + 0.08 * np.log2(sizes * factor / 25), "others": 0.5 + 0.08 * np.log2(sizes / 25)}
    found = []
    for _ in range(300):
        measured = {which: curve + rng.normal(0, 0.01, (5, 6)) for which, curve in truth.items()}
        one = worth(0.75, sizes, [Contrast("", "above", measured["ours"][:, [i]], measured["others"][:, [i]])
                                  for i in range(6)])
        found.append(effects.difference(one.ours, one.others))
    assert "censored" not in one.what
    assert abs(np.mean([one.mean for one in found]) - math.log2(factor)) < 0.02
    share = np.mean([one.low < math.log2(factor) < one.high for one in found])
    assert abs(share - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 300)
