"""One worked instance: the numbers that are shown are those of the model."""
import math
import re

import numpy as np
import pytest

from numbert import BertForPreTraining
from numbert.lab import instance
from numbert.lab.bodies import Recipe, config_of, tokenizer_of


@pytest.fixture(scope="module")
def tokenizer():
    return tokenizer_of("en")


@pytest.fixture(scope="module")
def model(tokenizer):
    return BertForPreTraining(config_of(Recipe(width=32, layers=1), len(tokenizer)), rng=np.random.default_rng(0))


def test_hidden_words(tokenizer, model):
    ids = np.array(tokenizer("anna is in the kitchen.").input_ids)
    labels = np.full_like(ids, -100)
    labels[[1, 5]] = ids[[1, 5]]
    ids[1] = tokenizer.mask_token_id
    head, first, second, mean = instance.hidden_words(model, tokenizer, ids, labels, best=3).splitlines()
    logits = model(ids[None]).prediction_logits.data[0].astype(float)          # (T, V), without labels
    losses = []
    for line, place, word, given in ((first, 1, "anna", "[MASK]"), (second, 5, "kitchen", "kitchen")):
        shares = np.exp(logits[place]) / np.exp(logits[place]).sum()
        p = shares[tokenizer.vocab[word]]
        losses.append(-math.log(p))
        top = ", ".join(f"{tokenizer.tokens[i]} {shares[i]:.3f}" for i in np.argsort(-shares)[:3])
        assert re.split(" {2,}", line) == [word, given, f"{p:.3f}", f"{losses[-1]:.3f}", top]
    assert mean.split() == ["mean", f"{np.mean(losses):.3f}"] and "3 best guesses" in head
    assert np.mean(losses) == pytest.approx(float(model(ids[None], labels=labels[None]).losses["mlm"].data), rel=1e-5)


def test_in_order(tokenizer, model):
    encoding = tokenizer("anna is here.", "tom is there.")
    row = {"input_ids": np.array(encoding.input_ids), "token_type_ids": np.array(encoding.token_type_ids)}
    loss = model(row["input_ids"][None], row["token_type_ids"][None], next_sentence_label=np.array([0])).losses["nsp"]
    assert -math.log(instance.in_order(model, row)) == pytest.approx(float(loss.data), rel=1e-5)


def test_text_class(tokenizer):
    model = instance.untrained_classifier(tokenizer, ["bad", "good"])
    gets, label, says, loss = instance.text_class(model, tokenizer, "anna is sad.", None, "bad").splitlines()
    assert gets.endswith("[CLS] anna is sad . [SEP]") and label.endswith(" bad")
    ids = np.array(tokenizer("anna is sad.").input_ids)
    expected = float(model(ids[None], labels=np.array([0])).loss.data)
    assert float(loss.split()[-1]) == pytest.approx(expected, abs=6e-4)
    assert float(re.search(r"bad (0\.\d+)", says)[1]) == pytest.approx(math.exp(-expected), abs=6e-4)
