"""dna.py, two_languages.py, objectives.py: their measures are right, and each leaves the numbers that it speaks of."""
import re

import numpy as np
import pytest
from example_scripts import load, quick

from numbert import BertForPreTraining
from numbert.lab.bodies import Recipe, config_of, tokenizer_of

# ---- dna -------------------------------------------------------------------------------------------------------------


def test_made_up_sequences_have_their_signals():
    found = load("dna").made_up(3000, np.random.default_rng(0))
    assert all(len(sequence) == 60 and set(sequence) <= set("ACGT") for sequence, _ in found)
    share = {label: np.mean([bool(re.search("GGT[AG]AGT", sequence[10:50])) for sequence, one in found if one == label])
             for label in ("EI", "IE", "N")}
    assert share["EI"] > 0.2 > 0.05 > max(share["IE"], share["N"])          # 0.85 ** 7 = 0.32


def test_a_file_of_sequences(tmp_path):
    dna = load("dna")
    path = tmp_path / "some.csv"
    path.write_text("label,name,sequence\nEI,  one,   CCAN\nN,two,acgt\n")
    assert dna.read(path) == [("CCAN", "EI"), ("ACGT", "N")]
    assert dna.as_words("CAN", {"A": "red", "C": "ball"}) == "ball red ?!"
    path.write_text("label,name,sequence\nEI,one\n")
    with pytest.raises(ValueError, match="line 2 is not label, name, sequence"):
        dna.read(path)


def test_dna(tmp_path, monkeypatch, capsys):
    said, results = quick("dna", tmp_path, monkeypatch, capsys)
    assert set(results["accuracy"]) == {"pre-trained", "from scratch", "shuffled", "same norms"}
    for name, seeds in results["accuracy"].items():
        assert re.search(rf"^{name} +{seeds['mean']:.3f}", said, re.M)
    assert len(set(results["words"].values())) == 4
    assert "one seed cannot tell" in results["verdicts"]["shuffled"] and "Try next" in said


# ---- two languages ---------------------------------------------------------------------------------------------------


def test_mean_reciprocal_rank():
    script, rng = load("two_languages"), np.random.default_rng(0)
    one = rng.standard_normal((50, 16))
    assert script.mean_reciprocal_rank(one, 3 * one) == 1
    other = np.array([[1.0, 0.1], [0.0, 1.0]])                  # from each side: one word is first, the other second
    assert script.mean_reciprocal_rank(np.array([[1.0, 0.0], [1.0, 0.2]]), other) == pytest.approx(0.75)
    luck = [script.mean_reciprocal_rank(rng.standard_normal((50, 64)), rng.standard_normal((50, 64)))
            for _ in range(40)]
    assert np.mean(luck) == pytest.approx(script.by_chance(50), rel=0.1)


def test_vectors_are_moved_towards_the_second_language():
    script, read = load("two_languages"), []
    tokenizer = tokenizer_of("en", "zh")
    model = BertForPreTraining(config_of(Recipe(width=32, layers=1), len(tokenizer)), rng=np.random.default_rng(0))

    def head(vectors, words):
        read.append(vectors.data.copy())
        return vectors
    model.mlm = head
    means = np.random.default_rng(1).standard_normal((2, 32)).astype(np.float32)
    for strength in (0.0, 2.0):
        script.turned(model, tokenizer, means, 1, strength)
    np.testing.assert_allclose(read[1] - read[0], np.tile(2 * (means[1] - means[0]), (len(read[0]), 1)), atol=1e-5)


def test_two_languages(tmp_path, monkeypatch, capsys):
    said, results = quick("two_languages", tmp_path, monkeypatch, capsys)
    ranks = np.array(results["reciprocal_ranks"])
    assert ranks.shape == (1, len(results["steps"])) and results["steps"] == [0, 6, 12]
    assert f"{ranks[0, -1]:.3f} (chance {results['chance']:.3f})" in said
    assert set(results["downstream"]) == {"answer", "tag"}
    assert set(results["downstream"]["tag"]["tuned on English"]["baseline"]) == {"accuracy_en", "accuracy_zh"}
    assert np.shape(results["share_chinese"]) == (1, len(results["strengths"]))
    assert (tmp_path / "runs/two_languages/two_languages.svg").exists()


# ---- objectives ------------------------------------------------------------------------------------------------------


def test_objectives(tmp_path, monkeypatch, capsys):
    said, results = quick("objectives", tmp_path, monkeypatch, capsys)
    assert set(results["pretraining"]) == {"bert,mlm+sop", "gpt,causal"}
    for row, one in results["pretraining"].items():
        assert re.search(rf"{re.escape(row)} +{one['parameters']:,} .*{one['bits_per_character']:.3f}", said)
    assert set(results["downstream"]["gpt,causal"]) == {"classify", "answer"}
    assert set(results["verdicts"]) == {"gpt,causal, classify", "gpt,causal, answer"}
