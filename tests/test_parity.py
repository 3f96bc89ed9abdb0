"""A small part of the parity card (tests/parity.py), where torch and transformers are installed."""
import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import parity  # noqa: E402


@pytest.mark.parametrize("kind", ["BertModel", "BertForPreTraining", "BertForQuestionAnswering", "RobertaForMaskedLM",
                                  "RobertaForSequenceClassification", "AlbertForPreTraining", "GPT2LMHeadModel"])
def test_loss_outputs_and_gradients_agree(kind):
    for name, dtype, *found in parity.rows([kind], [np.float64], configurations=2):
        assert name.startswith(kind) and dtype == "float64"
        for differences in found:
            assert max(differences.absolute, differences.relative) <= parity.LIMIT
        loss, outputs, gradients = found
        assert loss.arrays == (2 if kind != "BertModel" else 0) and outputs.arrays >= 2 and gradients.arrays > 50


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("kind", ["BertForPreTraining", "RobertaForMaskedLM", "AlbertForPreTraining",
                                  "GPT2LMHeadModel"])
def test_a_round_trip_gives_every_bit_back(kind, number, tmp_path):
    settings = parity.FAMILIES[parity.split(kind)[0]][1][number]
    assert parity.round_trip(kind, settings, tmp_path) == ({}, True)


def test_a_step_of_the_optimizer():
    assert parity.adamw_step(np.float64) <= parity.LIMIT
