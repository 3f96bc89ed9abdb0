"""examples/lecture/02_sentence_pairs.py: the bag of words is what it says, and results.json holds what is printed."""
import math
import re
from argparse import Namespace
from collections import Counter

import numpy as np
import pytest
from example_scripts import ran, run

from numbert.lab.bodies import tokenizer_of
from numbert.toyworld import documents
from numbert.training.parallel import Workers


@pytest.fixture(scope="module")
def sentence_pairs():
    return ran("sentence_pairs").script


@pytest.fixture(scope="module")
def tokenizer():
    return tokenizer_of("en")


@pytest.mark.parametrize("objective", ["mlm+nsp", "mlm+sop"])
def test_pairs_are_plain_and_bags_count_them(sentence_pairs, tokenizer, objective):
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


def test_features(sentence_pairs):
    a, b = np.array([[1.0, 2, 0, 3]]), np.array([[5.0, 0, 1, 2]])
    assert sentence_pairs.features(a, b, np.array([True, False, False, True])).tolist() == [[1, 3, 5, 2, 5, 6]]


def test_logistic_regression_learns_what_products_tell(sentence_pairs):
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


def test_logistic_regression_goes_downhill_to_the_optimum(sentence_pairs):
    """One feature that says nothing: the bias alone must give the shares of the labels."""
    x, labels = np.zeros((10, 1), np.float32), np.array(3 * [0] + 7 * [1])
    with Workers(1) as workers:
        _, bias = sentence_pairs.logistic_regression(x, labels, workers, steps=600)
    assert np.exp(bias[1]) / np.exp(bias).sum() == pytest.approx(0.7, abs=1e-3)


def test_quick(sentence_pairs):
    said, content = ran("sentence_pairs").said, ran("sentence_pairs").results
    tables = re.split(r"\n(?=NSP: |SOP: |NSP, the|SOP, the|parts of speech, |does the sentence )", said)
    for name in ("NSP", "SOP"):
        bags, bert = (next(part for part in tables if part.startswith(f"{name}{mark}"))
                          for mark in (":", ", the"))
        for kind, seeds in content["bag_of_words"][name].items():
            assert re.search(rf"^{kind} +{seeds['mean']:.3f}", bags, re.M)
        for how, seeds in content["bert"][name].items():
            assert re.search(rf"^BERT, {how} +{seeds['mean']:.3f}", bert, re.M)
    for task, described in sentence_pairs.DOWNSTREAM.items():
        shown = next(part for part in tables if part.startswith(described))
        for name, seeds in content["downstream"][task].items():
            assert re.search(rf"^{re.escape(name)} +{seeds['mean']:.3f}", shown, re.M)
    assert len(content["differences"]) == 11
    assert "Try next" in said and "significant" not in said and not re.search(r"\bnan\b", said)
    assert (ran("sentence_pairs").folder / "runs/sentence_pairs/pairs.svg").read_text().startswith("<svg")


def test_the_instances_are_pairs_of_both_labels(sentence_pairs):
    before = ran("sentence_pairs").before_training
    shown = re.findall(r"^(NSP|SOP), label (0|1), .+:\n  (.+)\n  p\(label\) (.+), -ln p\(label\) (.+)$", before, re.M)
    assert [(name, label) for name, label, *_ in shown] == [("NSP", "0"), ("NSP", "1"), ("SOP", "0"), ("SOP", "1")]
    for _, _, text, p, loss in shown:
        assert text.startswith("[CLS]") and text.count("[SEP]") == 2
        assert float(loss) == pytest.approx(-math.log(float(p)), abs=0.002)
    stories = sentence_pairs.documents(sentence_pairs.options.held_out, np.random.default_rng([4, 0, 1]))
    told = [" ".join(story).lower() for story in stories]
    places = [[(story.index(a.strip()), story.index(b.strip())) for story in told if a.strip() in story
               and b.strip() in story] for *_, text, _, _ in shown
              for a, b in [text.removeprefix("[CLS]").split("[SEP]")[:2]]]
    assert all(a < b for a, b in places[0] + places[2]) and places[0] and places[2]
    assert not places[1] and places[3] and all(a > b for a, b in places[3])


def test_errors_are_one_line(tmp_path):
    with pytest.raises(SystemExit) as error:
        run("sentence_pairs", tmp_path, "--workers", "1", "--max-length", "4")
    assert str(error.value.code) == ("sentence_pairs.py: max_length must be at least 5 (three special tokens, A and "
                                     "B), got 4")
