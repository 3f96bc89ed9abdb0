"""Controls keep what they say they keep, and nothing else."""
import numpy as np
import pytest

from numbert import BertForPreTraining, WordPieceTokenizer
from numbert.lab.bodies import Recipe, pretrained_body
from numbert.lab.controls import changed, same_norm, shuffled
from numbert.training.parallel import Workers


@pytest.mark.parametrize("change", [shuffled, same_norm])
def test_a_changed_copy(change, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Workers(1) as workers:
        folder = pretrained_body(Recipe(steps=2, batch_size=4, width=32, layers=1), workers)
    copy = changed(folder, tmp_path / "copy", change, seed=3)
    before, after = (BertForPreTraining.from_pretrained(one, strict=True).named_parameters() for one in (folder, copy))
    for name, parameter in before.items():
        old, new = parameter.data, after[name].data
        assert new.dtype == old.dtype
        np.testing.assert_allclose(np.linalg.norm(new), np.linalg.norm(old), rtol=1e-5)
        if change is shuffled:
            np.testing.assert_array_equal(np.sort(new, None), np.sort(old, None))
        if "word" in name and "weight" in name:
            assert np.abs(np.corrcoef(new.reshape(-1), old.reshape(-1))[0, 1]) < 0.1
    assert WordPieceTokenizer.from_pretrained(copy).tokens == WordPieceTokenizer.from_pretrained(folder).tokens
    again = changed(folder, tmp_path / "again", change, seed=3)
    assert (again / "model.safetensors").read_bytes() == (copy / "model.safetensors").read_bytes()
