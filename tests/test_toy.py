"""The toy comparison: a vocabulary without gaps, splits without repeats, a body that is made once, honest verdicts; and
every example that stands on it, from beginning to end."""
import importlib.util
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from numbert import BertForPreTraining
from numbert.tasks import toy
from numbert.text.toyworld import documents, nli_examples, qa_examples, sentiment_examples
from numbert.training.parallel import Workers
from numbert.training.seeds import Seeds

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder in which one quick body was pre-trained already, for all tests here."""
    folder = tmp_path_factory.mktemp("toy")
    with pytest.MonkeyPatch.context() as patch, Workers(1) as workers:
        patch.chdir(folder)
        toy.pretrained(options("--quick"), workers)
    return folder


def options(*arguments, **defaults):
    return toy.parse(toy.arguments("", name="test", **defaults), list(arguments))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_word_has_an_entry(language):
    tokenizer = toy.tokenizer_of(language)
    texts = [sentence for document in documents(300, np.random.default_rng(99), language) for sentence in document]
    texts += [example["question"] for example in qa_examples(100, np.random.default_rng(99), language)]
    texts += [text for *pair, _ in nli_examples(100, np.random.default_rng(99), language) for text in pair]
    ids = tokenizer.encode_batch(texts)
    assert sum(row.count(tokenizer.unk_token_id) for row in ids) == 0
    assert not any(token.startswith("##") for token in tokenizer.tokens) and len(tokenizer) < 500


def test_splits_share_no_text():
    parts = toy.splits(sentiment_examples, options("--examples", "200", "--test", "300"), key=lambda e: e[0])
    assert [len(part) for part in parts] == [200, 150, 300]
    texts = [text for part in parts for text, _ in part]
    assert len(set(texts)) == 650
    assert parts == toy.splits(sentiment_examples, options("--examples", "200", "--test", "300"), key=lambda e: e[0])


def test_quick_gives_way_to_what_is_said():
    assert options("--quick").examples == toy.QUICK["examples"] and options("--quick").seeds == 1
    assert options("--quick", "--examples", "7").examples == 7
    assert options(epochs=9).epochs == 9 and options(epochs=9).seeds == 5


def test_the_body_is_made_once(made, monkeypatch, capsys):
    monkeypatch.chdir(made)
    folder = made / "runs" / "toy-en-quick"
    before = (folder / "model.safetensors").stat().st_mtime_ns
    with Workers(1) as workers:
        assert toy.pretrained(options("--quick", "--model", "elsewhere"), workers) == "elsewhere"
        toy.pretrained(options("--quick"), workers)
        assert "takes the model" in capsys.readouterr().out
        assert (folder / "model.safetensors").stat().st_mtime_ns == before
        (folder / "recipe.json").write_text("{}")               # as of another version
        toy.pretrained(options("--quick"), workers)
    assert "pre-trains for 20 steps" in capsys.readouterr().out
    assert json.loads((folder / "recipe.json").read_text())["steps"] == 20
    assert BertForPreTraining.from_pretrained(folder, strict=True).config.vocab_size == len(toy.tokenizer_of("en"))


def of(*values):
    return Seeds([{"accuracy": value} for value in values], {"accuracy": 0.5})


@pytest.mark.parametrize("ours,scratch,said", [
    ((0.8, 0.9), (0.5, 0.5), r"\+0\.350 accuracy, \+4\.9 times .*: more than luck\."),
    ((0.5, 0.5), (0.8, 0.9), r"-0\.350 accuracy, -4\.9 times .*: a loss that is more than luck\."),
    ((0.6, 0.8), (0.5, 0.7), r"\+0\.100 accuracy, \+0\.5 times .*: too little to tell from luck\."),
    ((0.9,), (0.5,), r"\+0\.400 accuracy here; .* one seed cannot tell\."),
    ((0.9, 0.9), (0.5, 0.5), r"\+0\.400 accuracy; no two seeds differ\.")])
def test_verdict(ours, scratch, said):
    assert re.fullmatch(f"Pre-training is worth {said}", toy.verdict(of(*ours), of(*scratch)))


def test_mean_curve():
    records = [{"epoch": 1, "f": 0.2}, {"epoch": 2, "f": 0.4}, {"epoch": 1, "f": 0.4}]
    assert toy.mean_curve(records, "f") == [(1, pytest.approx(0.3)), (2, 0.4)]


# ---- the examples ----------------------------------------------------------------------------------------------------


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["classify", "infer", "tag"])
def test_example(made, monkeypatch, capsys, name):
    monkeypatch.chdir(made)
    load(name).main(["--quick", "--workers", "1"])
    said = capsys.readouterr().out
    rows = dict(re.findall(r"^(pre-trained|from scratch|majority) +([\d.]+)", said, re.M))
    assert rows.keys() == {"pre-trained", "from scratch", "majority"} and all(0 < float(x) < 1 for x in rows.values())
    assert "one seed cannot tell" in said and "Try next" in said
    chart = (made / "runs" / name / "curves.svg").read_text()
    assert all(line in chart for line in ("pre-trained", "from scratch", "majority"))
    records = [json.loads(line) for line in (made / "runs" / name / "metrics.jsonl").read_text().splitlines()]
    assert len(records) == 1 and math.isfinite(records[0]["loss"])


@pytest.mark.parametrize("arguments,message", [
    (["--model", "nowhere"], "classify.py: nowhere"), (["--epochs", "0"], "classify.py: epochs and patience"),
    (["--examples", "0"], "classify.py: 0 examples")])
def test_errors_are_one_line(made, monkeypatch, arguments, message):
    monkeypatch.chdir(made)
    with pytest.raises(SystemExit) as error:
        load("classify").main(["--quick", "--workers", "1", *arguments])
    assert str(error.value.code).startswith(message) and "\n" not in str(error.value.code)
