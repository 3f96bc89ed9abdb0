"""What the tests of RoBERTa, ALBERT and GPT-2 share."""
import json

import numpy as np
import pytest
from golden import make

import numbert as nb
from numbert.hub import safetensors


def shaken(cls, config, seed=0, dtype=np.float64):
    """A model in which no bias is 0 and no gain 1."""
    rng = np.random.default_rng(seed)
    model = cls(config, rng=rng, dtype=dtype)
    for p in model.parameters():
        p.data = p.data + (0.2 * rng.standard_normal(p.shape)).astype(dtype)
    return model


def text(vocabulary, lengths, seed=0, low=0):
    """{input_ids, attention_mask} (B, T), padding behind the texts."""
    rng = np.random.default_rng(seed)
    mask = np.arange(max(lengths)) < np.asarray(lengths)[:, None]
    return {"input_ids": np.where(mask, rng.integers(low, vocabulary, mask.shape), low),
            "attention_mask": mask.astype(int)}


def check_golden(family):
    """Loss and every gradient of the recorded cases of a family."""
    for name, kind, changes, batch in make.family_cases():
        if make.family(kind) != family:
            continue
        golden = dict(json.loads(make.FAMILY_FILE.read_text())[name])
        config = getattr(nb, f"{family}Config")(**make.CONFIGS[family] | changes)
        model = getattr(nb, kind)(config, rng=np.random.default_rng(0), dtype=np.float64)
        model.load_state_dict({name: make.weight(name, array.shape) for name, array in model.state_dict().items()},
                              strict=True)
        loss = model(**batch).loss
        assert float(loss) == pytest.approx(golden.pop("loss"), rel=1e-9)
        found = make.probes(model.state_dict(nb.gradients(loss, model.parameters())), names=None)
        assert found.keys() == golden.keys()
        for probed, values in golden.items():
            np.testing.assert_allclose(found[probed], values, rtol=1e-9, atol=1e-11, err_msg=f"{name}, {probed}")


def folder_with(path, config, arrays):
    path.mkdir(exist_ok=True)
    safetensors.write(path / "model.safetensors", arrays)
    (path / "config.json").write_text(json.dumps(config.to_dict()))
    return path


def same_bits(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(a[n].dtype == b[n].dtype and a[n].tobytes() == b[n].tobytes() for n in a)


def check_there_and_back(model, tmp_path):
    """Saved and loaded, and from a file with and without the prefix of the body's names: the same bits."""
    cls, names, dtype = type(model), model.state_dict(), model.parameters()[0].dtype
    model.save_pretrained(tmp_path / "saved")
    plain = {name.removeprefix(cls.base): x for name, x in names.items()}
    full = names if plain.keys() != names.keys() else {cls.base + name: x for name, x in names.items()}
    for i, arrays in enumerate((plain, full)):
        folder_with(tmp_path / str(i), model.config, arrays)
    for folder in ("saved", "0", "1"):
        loaded = cls.from_pretrained(tmp_path / folder, dtype=dtype, rng=np.random.default_rng(9), strict=True)
        assert same_bits(model, loaded)
        assert loaded.config.replace(extra={}).to_dict() == model.config.to_dict()
        assert not loaded.load_report.new and not loaded.load_report.unused


def close(actual, expected, tolerance=1e-12):
    np.testing.assert_allclose(np.asarray(actual), np.asarray(expected), rtol=tolerance, atol=tolerance)
