"""The claims: each experiment runs, its contrasts compare what they say, and what is kept is what was computed."""
import json
from pathlib import Path

import pytest
from example_scripts import load

from numbert.lab import effects

claims = load("claims")
ROOT = Path(__file__).parents[2]
RESULTS = sorted(claims.RESULTS.glob("*.json"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("claims")


def run(folder, monkeypatch, *arguments):
    monkeypatch.chdir(folder)
    claims.main([*arguments, "--quick", "--workers", "1"])
    return {name: json.loads((folder / "runs/claims-quick" / f"{name}.json").read_text()) for name in arguments
            if name in claims.CLAIMS}


def test_an_experiment_from_beginning_to_end(folder, monkeypatch, capsys):
    content = run(folder, monkeypatch, "masking")["masking"]
    assert len(content["figures"]) == 4 * 2 * 2                     # kinds, frozen or not, bodies
    figures = content["figures"]
    first = content["contrasts"][0]
    assert first["what"] == "80/10/10 against only [MASK], fine-tuned" and first["bodies"] == 2
    expected = effects.effect([figures[f"80/10/10, fine-tuned / {body} / 0"]
                               - figures[f"only [MASK], fine-tuned / {body} / 0"] for body in range(2)])
    assert first["mean"] == pytest.approx(expected.mean, abs=1e-4)
    assert first["low"] == pytest.approx(expected.low, abs=1e-4)
    assert "shown" not in capsys.readouterr().out                   # a quick run says nothing of the claim
    assert (folder / "runs/claims-quick/masking.svg").read_text().startswith("<svg")
    again = run(folder, monkeypatch, "masking")["masking"]
    assert again["figures"] == figures and "step 4/4" not in capsys.readouterr().out    # nothing was trained again


@pytest.mark.parametrize("arguments, said", [
    (["masks"], "no claim is called masks; there are inference"),
    (["order", "--bodies", "1"], "--bodies must be at least 2, got 1"),
    (["order", "--seed", "-1"], "--seed must be at least 0, got -1")])
def test_mistakes_are_one_line(arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=said):
        claims.main(arguments)


def test_the_command_is_what_was_typed():
    options = claims.arguments().parse_args(["order", "--heads", "4", "--minutes", "7"])
    assert claims.typed("order", options) == "python examples/claims.py order --heads 4"
    options = claims.arguments().parse_args(["order", "--seed", "5"])
    assert claims.typed("order", options) == "python examples/claims.py order --seed 5"


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_a_kept_result_follows_from_its_figures(path):
    content = json.loads(Path(path).read_text())
    assert content["claim"] == claims.CLAIMS[path.stem].__doc__ and not content["settings"]["quick"]
    for one in content["contrasts"]:
        shown = effects.Effect(one["mean"], one["low"], one["high"], one["could_be_seen"], ())
        assert effects.verdict(shown, one["claim"], one["margin"]) == one["verdict"]
        assert one["low"] < one["mean"] < one["high"] and one["bodies"] >= 2
        row = f"| {one['what']} | {one['mean']:+.3f} [{one['low']:+.3f}, {one['high']:+.3f}] | "
        assert row in (ROOT / "examples" / "results" / "EXPERIMENTS.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_the_cards_say_what_the_results_say(path, language):
    text = " ".join((ROOT / "numbert" / "lecture" / f"text.{language}.md").read_text(encoding="utf-8").split())
    words = {"shown": "shown", "refuted": "refuted", "undecided": "undecided"} if language == "en" else {
        "shown": "成立", "refuted": "不成立", "undecided": "没有定论"}
    for one in json.loads(path.read_text())["contrasts"]:
        interval = f"{one['mean']:+.3f} [{one['low']:+.3f}, {one['high']:+.3f}]".replace("-", "−")
        assert interval in text, one["what"]
        assert f"**{words[one['verdict']]}**" in text[text.index(interval):][:120]
