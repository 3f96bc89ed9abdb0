"""The toy body: a recipe names its folder, is made once, and every word of the world has an entry."""
import json

import numpy as np
import pytest

from numbert import BertForPreTraining
from numbert.lab.bodies import Recipe, pretrain, pretrained_body, tokenizer_of
from numbert.toyworld import documents, nli_examples, qa_examples
from numbert.training.parallel import Workers

SMALL = Recipe(steps=6, batch_size=4, width=32, layers=1)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_word_has_an_entry(language):
    tokenizer = tokenizer_of(language)
    texts = [sentence for document in documents(300, np.random.default_rng(99), language) for sentence in document]
    texts += [example["question"] for example in qa_examples(100, np.random.default_rng(99), language)]
    texts += [text for *pair, _ in nli_examples(100, np.random.default_rng(99), language) for text in pair]
    ids = tokenizer.encode_batch(texts)
    assert sum(row.count(tokenizer.unk_token_id) for row in ids) == 0
    assert not any(token.startswith("##") for token in tokenizer.tokens) and len(tokenizer) < 500


def test_two_languages_share_a_vocabulary():
    both = set(tokenizer_of("en", "zh").vocab)
    assert both == set(tokenizer_of("en").vocab) | set(tokenizer_of("zh").vocab)


def test_a_folder_tells_what_is_special():
    assert Recipe().folder.as_posix() == "runs/toy-en"
    assert Recipe(language="zh", steps=7, objective="mlm").folder.as_posix() == "runs/toy-zh-objective=mlm-steps=7"


@pytest.mark.parametrize("wrong, message", [
    ({"steps": 0}, "steps of pre-training must be at least 1, got 0"),
    ({"width": 30}, "width must be a multiple of 32, the width of a head, got 30"),
    ({"width": 0}, "width must be a multiple of 32, the width of a head, got 0")])
def test_recipes_that_make_no_model(wrong, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**wrong)


def test_made_once(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with Workers(1) as workers:
        folder = pretrained_body(SMALL, workers)
        assert "pre-trains for 6 steps" in capsys.readouterr().out
        before = (folder / "model.safetensors").read_bytes()
        assert pretrained_body(SMALL, workers) == folder and "takes the model" in capsys.readouterr().out
        (folder / "recipe.json").write_text("{")
        with pytest.raises(ValueError, match="recipe.json: not JSON"):
            pretrained_body(SMALL, workers)
        (folder / "recipe.json").write_text("{}")                   # as of another version
        pretrained_body(SMALL, workers)
    assert "pre-trains for 6 steps" in capsys.readouterr().out
    assert (folder / "model.safetensors").read_bytes() == before    # the same recipe makes the same bits
    assert json.loads((folder / "recipe.json").read_text())["steps"] == 6
    assert BertForPreTraining.from_pretrained(folder, strict=True).config.vocab_size == len(tokenizer_of("en"))


@pytest.mark.parametrize("objective,has_pairs", [("mlm", False), ("mlm+nsp", True), ("mlm+sop", True)])
def test_objectives_and_records(objective, has_pairs):
    with Workers(1) as workers:
        _, _, records = pretrain(SMALL.replace(objective=objective), workers)
    assert [record["step"] for record in records] == [2, 4, 6] and ("nsp" in records[-1]) == has_pairs
    assert all(np.isfinite(record["training"]) and record["mlm"] > 0 for record in records)


def test_the_seed_matters():
    with Workers(1) as workers:
        one, other = (pretrain(SMALL.replace(seed=seed), workers)[2][-1]["mlm"] for seed in (0, 1))
    assert one != other
