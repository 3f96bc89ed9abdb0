"""examples/lecture/01_masking_input.py: what it counts is right, and results.json holds what it prints."""
import math
import re

import numpy as np
import pytest
from example_scripts import ran, run

MASK, PAD = 1, 0
ORDINARY = np.array([False, False, False] + 7 * [True])
BATCH = {"input_ids": np.array([[2, 5, 1, 7, 2, 0], [2, 1, 1, 9, 4, 2]]),          # 2 is [CLS] and [SEP]
         "labels": np.array([[-100, 5, 6, -100, -100, -100], [-100, 3, 4, 8, -100, -100]])}


@pytest.fixture(scope="module")
def masking_input():
    return ran("masking_input").script


def test_fates(masking_input):
    found = {fate: np.argwhere(where).tolist() for fate, where in masking_input.fates(BATCH, MASK).items()}
    assert found == {"[MASK]": [[0, 2], [1, 1], [1, 2]], "random": [[1, 3]], "itself": [[0, 1]]}
    kept = [masking_input.with_fate([BATCH], fate, MASK)[0] for fate in masking_input.FATES]
    assert [int((one["labels"] != -100).sum()) for one in kept] == [3, 1, 1]
    assert (sum(np.where(one["labels"] == -100, 0, one["labels"]) for one in kept)
            == np.where(BATCH["labels"] == -100, 0, BATCH["labels"])).all()
    assert (kept[0]["input_ids"] == BATCH["input_ids"]).all()


def test_counted(masking_input):
    """3 and 4 words, so 1 each should be chosen; 2 and 3 are."""
    assert masking_input.counted([BATCH], ORDINARY, MASK) == {
        "texts": 2, "words": 7, "chosen": 5, "off": 2, "[MASK]": 3, "random": 1, "itself": 1}
    right = {"input_ids": np.array([[2, 1, 7, 8, 2]]), "labels": np.array([[-100, 5, -100, -100, -100]])}
    assert masking_input.counted([right], ORDINARY, MASK)["off"] == 0


def test_run_length(masking_input):
    assert masking_input.run_length([BATCH]) == 5 / 2
    assert masking_input.run_length([{"labels": np.array([[3, -100, 4], [-100, -100, 5]])}]) == 1


def test_most_frequent(masking_input):
    words = masking_input.most_frequent([BATCH], ORDINARY, 10)
    assert dict((i, (blanks, share)) for i, blanks, share in words)[4] == (1 / 5, 2 / 7)
    assert words[0][0] == 4 and sum(share for *_, share in words) == pytest.approx(1)


def test_expected_counts_are_those_of_the_draws(masking_input):
    """The mean and the standard deviation of 4000 times 200 draws, as masking.mask_tokens makes them, over 5 words."""
    rng, n = np.random.default_rng(0), 200
    fate, drawn = rng.random((4000, n)), rng.integers(5, size=(4000, n))
    random = ((fate >= 0.8) & (fate < 0.9) & (drawn != 0)).sum(1)
    counts = {"[MASK]": (fate < 0.8).sum(1), "random": random, "itself": n - (fate < 0.8).sum(1) - random}
    rows = masking_input.against_expected({"chosen": n} | {fate: int(one[0]) for fate, one in counts.items()}, V=5)
    for fate, row in rows.items():
        assert row["mean"] == pytest.approx(counts[fate].mean(), abs=4 * row["std"] / math.sqrt(4000))
        assert row["std"] == pytest.approx(counts[fate].std(), rel=0.05)
        assert row["off"] == pytest.approx((counts[fate][0] - row["mean"]) / row["std"])


def test_quick(masking_input):
    said, content = ran("masking_input").said, ran("masking_input").results
    assert content["settings"]["seeds"] == 1 and content["seconds"] > 0
    for fate in masking_input.FATES:
        row = content["counts"][fate]
        assert f"{fate:10}{row['mean']:10.1f}{row['std']:20.1f}{row['counted']:10}{row['off']:+37.2f}" in said
    assert sum(content["counts"][fate]["counted"] for fate in masking_input.FATES) == content["counts"]["chosen"]
    for name in masking_input.MIXTURES:
        losses = content["losses"][name]
        assert list(losses) == ["80/10/10", "of these [MASK]", "of these random", "of these itself", "only [MASK]"]
        assert re.search(re.escape(name) + "".join(rf" +{loss:.3f}" for loss in losses.values()), said)
        parts = content[f"held_out {name}"][0]              # the whole is the mean of its parts
        whole = sum(parts[f"of these {fate}"]["mlm"] * parts[f"of these {fate}"]["masked"]
                    for fate in masking_input.FATES)
        assert losses["80/10/10"] == pytest.approx(whole / parts["80/10/10"]["masked"])
        for rows in content["downstream"].values():
            assert re.search(rf"^{re.escape(name)} +{rows[name]['mean']:.3f}", said, re.M)
    assert content["runs"]["span"] > content["runs"]["ngram"] > content["runs"]["token"] >= 1
    assert "Try next" in said and "significant" not in said and "nan" not in said
    assert (ran("masking_input").folder / "runs/masking_input/losses.svg").read_text().startswith("<svg")


def test_the_instance_has_the_losses_of_the_model(masking_input):
    """The mean of the words' losses is the model's own loss, before training near ln V; each fate that a held-out text
    has is there."""
    ids, labels = masking_input.ids, masking_input.labels
    loss = float(masking_input.untrained(ids[None], labels=labels[None]).loss.data)
    before = ran("masking_input").before_training
    assert f"{'mean':32}{loss:7.3f}" in before and abs(loss - math.log(len(masking_input.tokenizer))) < 0.5
    assert before.count("\n[SEP]") == 0 and before.count("the model gets  [CLS]") == 1
    asked = labels != -100
    words = [masking_input.tokenizer.tokens[i] for i in labels[asked]]
    assert re.findall(r"^(\S+) +\S+ +0\.\d{3} +\d\.\d{3}   ", before, re.M) == words


@pytest.mark.parametrize("arguments, message", [
    (["--stories", "0"], "--stories must be at least 1, got 0"),
    (["--held-out", "0"], "--held-out must be at least 1, got 0"),
    (["--width", "30"], "width must be a multiple of 32, the width of a head, got 30"),
    (["--max-length", "4"], "max_length must be at least 5 (three special tokens, A and B), got 4"),
])
def test_errors_are_one_line(tmp_path, arguments, message):
    with pytest.raises(SystemExit) as error:
        run("masking_input", tmp_path, "--workers", "1", *arguments)
    assert str(error.value.code) == f"masking_input.py: {message}"
