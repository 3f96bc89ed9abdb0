"""The loss and its floor: every example's best guess, a loss that is the model's own, and an alarm below the floor."""
import json
import math
import re

import numpy as np
import pytest
from example_scripts import ran, run

from numbert import BertForPreTraining
from numbert.lab.bodies import Recipe, config_of
from numbert.lab.told import Told
from numbert.toyworld.entropy import bert_masking_entropy, enumerated, next_sentence_entropy


@pytest.fixture(scope="module")
def entropy():
    return ran("entropy").script


@pytest.fixture(scope="module")
def told():
    return Told(enumerated("tiny"), "tiny")


def test_the_words_of_a_batch_are_those_of_a_story(told):
    batch = told.masked(50, np.random.default_rng(0))
    texts = {tuple(row[:length]) for row, length in zip(told.known.texts, told.known.lengths, strict=True)}
    for row, labels, mask in zip(batch["input_ids"], batch["labels"], batch["attention_mask"], strict=True):
        true = np.where(labels == -100, row, labels)[mask > 0]
        assert tuple(true[1:-1] - told.offset) in texts
        assert (labels != -100).sum() == max(1, round(0.15 * (len(true) - 2)))
    assert (batch["next_sentence_label"] == -100).all()


def test_pairs_are_half_of_one_story(told):
    batch = told.pairs(400, np.random.default_rng(0))
    assert (batch["labels"] == -100).all() and 150 < batch["next_sentence_label"].sum() < 250
    losses, counts = told.best("next sentence", batch)
    assert (losses >= 0).all() and (counts == 1).all()
    assert np.isfinite(losses[batch["next_sentence_label"] == 0]).all()     # what was cut from one text may be so


def test_a_batch_asks_for_both(told):
    batch = next(told.batches(8, np.random.default_rng(0)))
    assert {len(array) for array in batch.values()} == {16}
    assert ((batch["labels"] != -100).any(axis=1) == ([True] * 8 + [False] * 8)).all()
    assert ((batch["next_sentence_label"] != -100) == ([False] * 8 + [True] * 8)).all()
    assert (batch["labels"][batch["attention_mask"] == 0] == -100).all()


def test_the_best_guesses_on_held_out_examples_cost_the_entropy(told):
    rng = np.random.default_rng(1)
    for name, batch, (exact, error) in (
            ("words", told.masked(1500, rng), bert_masking_entropy(told.known, rng, 1500)),
            ("next sentence", told.pairs(3000, rng), (next_sentence_entropy(told.known), 0))):
        losses, counts = told.best(name, batch)
        spread = math.hypot(error, (losses / counts).std() / math.sqrt(len(losses)))
        assert abs((losses / counts).mean() - exact) < 4 * spread < 0.05, name


def test_the_losses_add_up_to_the_models_own(told, entropy):
    model = BertForPreTraining(config_of(Recipe(width=32), len(told.tokenizer)), rng=np.random.default_rng(0))
    for name, batch, loss in (("words", told.masked(9, np.random.default_rng(2)), "mlm"),
                              ("next sentence", told.pairs(9, np.random.default_rng(2)), "nsp")):
        found = entropy.losses_of(model, name, batch)
        counts = told.best(name, batch)[1]
        assert found.shape == (9,) and found.sum() / counts.sum() == pytest.approx(
            float(model(**batch).losses[loss].data), rel=1e-5)


def test_what_lies_below_the_floor_is_an_error(entropy):
    best, counts = np.linspace(0.1, 0.3, 50), np.ones(50, int)
    record = {"step": 7} | entropy.compare(best + np.linspace(0, 0.1, 50), best, counts)
    assert record["above"] == pytest.approx(0.05) and record["loss"] - record["best"] == pytest.approx(0.05)
    assert "0.050 ± 0.004" in entropy.verdict("words", [record])
    below = {"step": 7} | entropy.compare(best + np.linspace(-1, 0.99, 50), best, counts)
    assert "words" in entropy.verdict("words", [below])                     # below, but not significantly
    below = {"step": 8} | entropy.compare(best - np.linspace(0, 0.1, 50), best, counts)
    with pytest.raises(ArithmeticError, match="words: at step 8 0.0500 nats below what is possible"):
        entropy.verdict("words", [record, below, record])


def test_a_small_model_comes_down_to_the_floor_of_the_tiny_world(tmp_path):
    out = tmp_path / "out"
    said = run("entropy", tmp_path, "--steps", "150", "--lr", "3e-3", "--workers", "1", "--out", str(out)).said
    content = json.loads((out / "results.json").read_text())
    for name, start, end in (("words", "unigram", 2.7), ("next sentence", "guessing", 0.9)):
        curve = content["curves"][name]
        assert [record["step"] for record in curve] == [0, 75, 150]
        assert curve[0]["loss"] > content["exact"][start] * 0.95
        assert curve[-1]["loss"] < end and curve[-1]["above"] > -4 * curve[-1]["error"]
    assert (out / "entropy.svg").read_text().startswith("<svg") and "still to be learnt" in said


def test_the_instance_is_guessed_by_counting_stories(entropy):
    """The best guess at the hidden word, against the stories that agree, counted here in a plain loop."""
    before, weights = ran("entropy").before_training, {}
    for row, length, p in zip(entropy.known.texts, entropy.known.lengths, entropy.known.probabilities, strict=True):
        words = [entropy.known.words[i] for i in row[:length]]
        if len(words) == len(entropy.story) and all(
                a == b or t == entropy.place for t, (a, b) in enumerate(zip(words, entropy.story, strict=True))):
            weights[words[entropy.place]] = weights.get(words[entropy.place], 0) + p
    right = entropy.story[entropy.place]
    assert re.search(rf"^-ln p\({re.escape(right)}\) = {abs(math.log(weights[right] / sum(weights.values()))):.3f}$",
                     before, re.M)
    assert " ".join(entropy.story) in before and before.count("[MASK]") == 2


@pytest.mark.parametrize("arguments, message", [
    (["--variant", "open"], "entropy.py: variant 'open' has too many stories"),
    (["--steps", "0"], "entropy.py: --steps must be at least 1, got 0"),
    (["--held", "1"], "entropy.py: --held must be at least 2, got 1"),
])
def test_errors_are_one_line(tmp_path, arguments, message):
    with pytest.raises(SystemExit) as error:
        run("entropy", tmp_path, "--out", str(tmp_path), *arguments)
    assert str(error.value.code).startswith(message) and "\n" not in str(error.value.code)
