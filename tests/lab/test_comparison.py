"""The toy comparison: a vocabulary without gaps, splits without repeats, a body that is made once, honest verdicts; and
every example that stands on it, from beginning to end."""
import json
import math
import re

import pytest
from example_scripts import ran, run

from numbert.lab import comparison as toy
from numbert.lab.lesson import Lesson
from numbert.training import command
from numbert.training.parallel import Workers


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder in which one quick body was pre-trained already, for all tests here."""
    folder = tmp_path_factory.mktemp("toy")
    with pytest.MonkeyPatch.context() as patch, Workers(1) as workers:
        patch.chdir(folder)
        body("--quick", workers=workers)
    return folder


def options(*arguments, **defaults):
    return command.parse(toy.arguments("", name="test", **defaults), list(arguments))


def body(*arguments, workers):
    said = options(*arguments)
    return toy.body(said, Lesson(said), workers)


def test_splits_share_no_text():
    parts = toy.splits("classify", options("--examples", "200", "--test", "300"))
    assert [len(part) for part in parts] == [200, 150, 300]
    texts = [text for part in parts for text, _ in part]
    assert len(set(texts)) == 650
    assert parts == toy.splits("classify", options("--examples", "200", "--test", "300"))


def test_quick_gives_way_to_what_is_said():
    assert options("--quick").examples == toy.QUICK["examples"] and options("--quick").seeds == 1
    assert options("--quick", "--examples", "7").examples == 7
    assert options(epochs=9).epochs == 9 and options(epochs=9).seeds == 5


def test_the_body_is_that_of_the_options(made, monkeypatch, capsys):
    monkeypatch.chdir(made)
    with Workers(1) as workers:
        assert body("--quick", "--model", "elsewhere", workers=workers) == "elsewhere"
        assert body("--quick", workers=workers).as_posix() == "runs/toy-en-steps=20"
    assert "takes the model" in capsys.readouterr().out


def test_mean_curve():
    records = [{"epoch": 1, "f": 0.2}, {"epoch": 2, "f": 0.4}, {"epoch": 1, "f": 0.4}]
    assert toy.mean_curve(records, "f") == [(1, pytest.approx(0.3)), (2, 0.4)]


# ---- the examples ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["classify", "infer", "tag", "answer"])
def test_example(name):
    said, folder = ran(name).said, ran(name).folder / "runs" / name
    figure = r"[\d.]+"
    rows = dict(re.findall(rf"^(pre-trained|from scratch|majority) +({figure})", said, re.M))
    assert rows.keys() == {"pre-trained", "from scratch", "majority"}
    assert all(0 <= float(x) < 1 or name == "answer" for x in rows.values())
    assert "significant" not in said and "Try next" in said
    chart = (folder / "curves.svg").read_text()
    assert all(line in chart for line in ("pre-trained", "from scratch", "majority"))
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert len(records) == 1 and math.isfinite(records[0]["loss"])


@pytest.mark.parametrize("name", ["classify", "infer"])
def test_the_instance_is_a_test_example(name):
    script, before = ran(name).script, ran(name).before_training
    *texts, label = script.splits[2][0]
    tokens = re.search("^the model gets  (.*)$", before, re.M)[1]
    assert tokens == " ".join(script.tokenizer(*texts).tokens) and tokens.count("[SEP]") == len(texts)
    shares = dict(re.findall(r"(\w+) (0\.\d{3})", re.search("^the model says  (.*)$", before, re.M)[1]))
    assert set(shares) == {label for *_, label in script.splits[2]}
    loss = float(re.search(r"^-ln p\(label\) +(.*)$", before, re.M)[1])
    assert loss == pytest.approx(-math.log(float(shares[label])), abs=3e-3)


@pytest.mark.parametrize("arguments,message", [
    (["--model", "nowhere"], "classify.py: nowhere"),
    (["--epochs", "0"], "classify.py: --epochs must be at least 1, got 0"),
    (["--lr", "nan"], "classify.py: --lr must be above 0, got nan"),
    (["--dropout", "-0.1"], "classify.py: --dropout must be at least 0, got -0.1"),
    (["--lr", "1e30"], "classify.py: step ")])
def test_errors_are_one_line(made, arguments, message):
    with pytest.raises(SystemExit) as error:
        run("classify", made, "--workers", "1", *arguments)
    assert str(error.value.code).startswith(message) and "\n" not in str(error.value.code)
