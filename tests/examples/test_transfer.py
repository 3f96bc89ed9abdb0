"""dna.py, two_languages.py, objectives.py: their measures are right, and each leaves the numbers that it speaks of."""
import re

import numpy as np
import pytest
from example_scripts import ran

from numbert import BertForPreTraining
from numbert.lab import splice, translations
from numbert.lab.bodies import Recipe, config_of, tokenizer_of

# ---- dna -------------------------------------------------------------------------------------------------------------


def test_made_up_sequences_have_their_signals():
    found = splice.made_up(3000, np.random.default_rng(0))
    assert all(len(sequence) == 60 and set(sequence) <= set("ACGT") for sequence, _ in found)
    share = {label: np.mean([bool(re.search("GGT[AG]AGT", sequence[10:50])) for sequence, one in found if one == label])
             for label in ("EI", "IE", "N")}
    assert share["EI"] > 0.2 > 0.05 > max(share["IE"], share["N"])          # 0.85 ** 7 = 0.32


def test_a_file_of_sequences(tmp_path):
    path = tmp_path / "some.csv"
    path.write_text("label,name,sequence\nEI,  one,   CCAN\nN,two,acgt\n")
    assert splice.read(path) == [("CCAN", "EI"), ("ACGT", "N")]
    assert splice.as_words("CAN", {"A": "red", "C": "ball"}) == "ball red ?!"
    path.write_text("label,name,sequence\nEI,one\n")
    with pytest.raises(ValueError, match="line 2 is not label, name, sequence"):
        splice.read(path)


def test_dna():
    said, results = ran("dna").said, ran("dna").results
    assert set(results["accuracy"]) == {"pre-trained", "from scratch", "shuffled", "same norms"}
    for name, seeds in results["accuracy"].items():
        assert re.search(rf"^{name} +{seeds['mean']:.3f}", said, re.M)
    assert len(set(results["words"].values())) == 4
    assert results["differences"]["pre-trained against shuffled"]["in_standard_deviations"] is None


def test_the_instance_is_the_sequence_in_words():
    script, before = ran("dna").script, ran("dna").before_training
    gets = re.search("^the model gets  (.*)$", before, re.M)[1].split()
    letters = {word: letter for letter, word in script.words.items()}
    sequence = "".join(letters[word] for word in gets[1:-1])
    assert sequence == script.training[0][0] and f"\n{sequence}\n" in before


# ---- two languages ---------------------------------------------------------------------------------------------------


def test_mean_reciprocal_rank():
    rng = np.random.default_rng(0)
    one = rng.standard_normal((50, 16))
    assert translations.mean_reciprocal_rank(one, 3 * one) == 1
    other = np.array([[1.0, 0.1], [0.0, 1.0]])                  # from each side: one word is first, the other second
    assert translations.mean_reciprocal_rank(np.array([[1.0, 0.0], [1.0, 0.2]]), other) == pytest.approx(0.75)
    drawn = [translations.mean_reciprocal_rank(rng.standard_normal((50, 64)), rng.standard_normal((50, 64)))
             for _ in range(40)]
    assert np.mean(drawn) == pytest.approx(translations.by_chance(50), rel=0.1)


def test_vectors_are_moved_towards_the_second_language():
    script, read = ran("two_languages").script, []
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


def test_two_languages():
    run = ran("two_languages")
    results, ranks = run.results, np.array(run.results["reciprocal_ranks"])
    assert ranks.shape == (1, len(results["steps"])) and results["steps"] == [0, 6, 12]
    assert f"{ranks[0, -1]:.3f} (chance {results['chance']:.3f})" in run.said
    assert set(results["downstream"]) == {"answer", "tag"}
    assert set(results["downstream"]["tag"]["tuned on English"]["baseline"]) == {"accuracy_en", "accuracy_zh"}
    for name, figure in (("answer", "f1_zh"), ("tag", "accuracy_zh")):
        ours, other = (results["downstream"][name][row]["runs"][0][figure]
                       for row in ("tuned on English", "English, from scratch"))
        found = results["differences"][f"{name} in Chinese, tuned on English, against from scratch"]
        assert found["difference"] == pytest.approx(ours - other)
    assert np.shape(results["share_chinese"]) == (1, len(results["strengths"]))
    assert (run.folder / "runs/two_languages/two_languages.svg").exists()


def test_a_word_and_its_translation_are_shown():
    """Before the training and after it: the rank of the translation among all Chinese words is that of the measure."""
    run = ran("two_languages")
    found = r"nearest to 'farm': (.*); its translation 农场 \((.*)\) is number (\d+) of (\d+)"
    assert re.search(r"^farm +\[MASK\] ", run.before_training, re.M)
    assert len(re.findall(found, run.before_training)) == 1 and len(re.findall(found, run.said)) == 2
    script = run.script
    both, one, other, _ = script.pairs_of(script.model, script.tokenizer, script.told)
    (row, cosine, place, n), cosines = re.findall(found, run.said)[-1], [
        float(one[both.index(script.key)] @ vector / np.linalg.norm(one[both.index(script.key)])
              / np.linalg.norm(vector)) for vector in other]
    ours = cosines[both.index(script.key)]
    assert float(cosine) == pytest.approx(ours, abs=6e-3) and int(n) == len(both)
    assert int(place) == 1 + sum(one > ours for one in cosines)
    assert float(row.split(",")[0].split()[-1]) == pytest.approx(max(cosines), abs=6e-3)


# ---- objectives ------------------------------------------------------------------------------------------------------


def test_objectives():
    said, results = ran("objectives").said, ran("objectives").results
    assert set(results["pretraining"]) == {"bert,mlm+sop", "gpt,causal"}
    for row, one in results["pretraining"].items():
        assert re.search(rf"{re.escape(row)} +{one['parameters']:,} .*{one['bits_per_character']:.3f}", said)
    assert set(results["downstream"]["gpt,causal"]) == {"classify", "answer"}
    assert set(results["differences"]) == {"classify: gpt,causal against bert,mlm+sop",
                                           "answer: gpt,causal against bert,mlm+sop"}


def test_the_instance_is_asked_by_each_objective():
    """The loss that is shown is that of what is shown: for GPT every token but the first, for BERT the hidden ones."""
    script, before = ran("objectives").script, ran("objectives").before_training
    for row, loss in re.findall(r"^(\S+,\S+)\n(?:  .*\n)+?  loss .*: (?:mlm|lm) ([\d.]+)", before, re.M):
        batch = next(script.data_of(row, script.held_out, learning=True).evaluation_batches())
        asked = batch["labels"][0][batch["labels"][0] != -100]
        assert "tokens: " + " ".join(script.tokenizer.tokens[i] for i in asked) in before
        assert abs(float(loss) - np.log(len(script.tokenizer))) < 0.5
    assert before.count("a loss at") == 2
