"""examples/lecture/02_sentence_pairs.py: the bag of words is what it says, and results.json holds what is printed."""
import json
import re
from argparse import Namespace
from collections import Counter

import numpy as np
import pytest
from example_scripts import load

from numbert.lab.bodies import tokenizer_of
from numbert.toyworld import documents
from numbert.training.parallel import Workers

sentence_pairs = load("sentence_pairs")


@pytest.fixture(scope="module")
def tokenizer():
    return tokenizer_of("en")


@pytest.mark.parametrize("objective", sentence_pairs.PAIRS.values())
def test_pairs_are_plain_and_bags_count_them(tokenizer, objective):
    stories = documents(12, np.random.default_rng(0))
    batches = sentence_pairs.plain_pairs(stories, tokenizer, objective, Namespace(max_length=32))
    told = " ".join(" ".join(story) for story in stories)
    known = set(tokenizer.encode_batch([told], add_special_tokens=False)[0])
    a, b, labels = sentence_pairs.bags_of(batches, len(tokenizer))
    rows = [(ids, kinds, mask) for batch in batches for ids, kinds, mask in
            zip(batch["input_ids"].tolist(), batch["token_type_ids"].tolist(), batch["attention_mask"].tolist(),
                strict=True)]
    assert len(rows) == len(a) == len(b) == len(labels) and set(labels.tolist()) == {0, 1}
    for row, (ids, kinds, mask) in enumerate(rows):
        assert tokenizer.mask_token_id not in ids and set(ids) - set(tokenizer.all_special_ids) <= known
        for bag, segment in ((a, 0), (b, 1)):
            counts = Counter(i for i, kind, real in zip(ids, kinds, mask, strict=True) if real and kind == segment)
            assert {i: int(n) for i, n in enumerate(bag[row]) if n} == counts


def test_features():
    a, b = np.array([[1.0, 2, 0, 3]]), np.array([[5.0, 0, 1, 2]])
    assert sentence_pairs.features(a, b, np.array([True, False, False, True])).tolist() == [[1, 3, 5, 2, 5, 6]]


def test_logistic_regression_learns_what_products_tell():
    """Whether the same one of four words stands in both: no sum of counts can tell, the products can."""
    rng = np.random.default_rng(0)
    first, second = rng.integers(4, size=(2, 400))
    second = np.where(rng.random(400) < 0.4, first, second)
    one_hot, labels = np.eye(4, dtype=np.float32), (first != second).astype(int)
    a, b = one_hot[first], one_hot[second]
    with Workers(1) as workers:
        x = sentence_pairs.features(a, b, np.ones(4, bool))
        both = sentence_pairs.logistic_regression(x, labels, workers, steps=300)
        sums = sentence_pairs.logistic_regression(x[:, :8], labels, workers, steps=300)
    assert (sentence_pairs.guess(both, x) == labels).all()
    assert (sentence_pairs.guess(sums, x[:, :8]) == labels).mean() < 0.75


def test_logistic_regression_goes_downhill_to_the_optimum():
    """One feature that says nothing: the bias alone must give the shares of the labels."""
    x, labels = np.zeros((10, 1), np.float32), np.array(3 * [0] + 7 * [1])
    with Workers(1) as workers:
        _, bias = sentence_pairs.logistic_regression(x, labels, workers, steps=600)
    assert np.exp(bias[1]) / np.exp(bias).sum() == pytest.approx(0.7, abs=1e-3)


def test_quick(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    sentence_pairs.main(["--quick", "--workers", "1"])
    said = capsys.readouterr().out
    content = json.loads((tmp_path / "runs/sentence_pairs/results.json").read_text())
    tables = re.split(r"\n(?=NSP: |SOP: |NSP, |SOP, |parts of speech, |does the sentence )", said)
    for name in ("NSP", "SOP"):
        bags, bert = (next(part for part in tables if part.startswith(f"{name}{mark}")) for mark in ":,")
        for kind, seeds in content["bag_of_words"][name].items():
            assert re.search(rf"^{kind} +{seeds['mean']:.3f}", bags, re.M)
        for how, seeds in content["bert"][name].items():
            assert re.search(rf"^BERT, {how} +{seeds['mean']:.3f}", bert, re.M)
    for task, described in sentence_pairs.DOWNSTREAM.items():
        shown = next(part for part in tables if part.startswith(described))
        for name, seeds in content["downstream"][task].items():
            assert re.search(rf"^{re.escape(name)} +{seeds['mean']:.3f}", shown, re.M)
    assert len(content["verdicts"]) == 4 and all(verdict in said for verdict in content["verdicts"])
    assert "one seed cannot tell" in said and "Try next" in said and "nan" not in said
    assert (tmp_path / "runs/sentence_pairs/pairs.svg").read_text().startswith("<svg")


def test_errors_are_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as error:
        sentence_pairs.main(["--quick", "--workers", "1", "--max-length", "4"])
    assert str(error.value.code) == ("sentence_pairs.py: max_length must be at least 5 (three special tokens, A and "
                                     "B), got 4")
