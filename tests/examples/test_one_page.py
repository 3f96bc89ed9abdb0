"""BERT on one page is the same function as numbert's BertForMaskedLM, and what it says when it runs is checked."""
import runpy
import subprocess
import sys

import numpy as np
import pytest
from example_scripts import EXAMPLES, load

import numbert as nb

PAGE = EXAMPLES / "bert_on_one_page.py"
PATH = str(PAGE)

SHAPES = {                      # layers, heads, D, F, V, T, places of the table of positions, masked places
    "as the script": (2, 2, 16, 32, 27, 7, 7, [1, 2, 4, 5]),
    "one layer, one head": (1, 1, 6, 5, 11, 9, 12, [0, 3, 8]),
    "heads of width one": (1, 4, 4, 3, 8, 5, 5, [2, 3]),
    "three layers": (3, 3, 12, 20, 40, 12, 16, [1, 5, 6, 11]),
    "one label": (2, 3, 12, 20, 40, 10, 12, [4]),
    "one token": (2, 2, 8, 12, 9, 1, 4, [0]),
    "every token is asked": (2, 2, 8, 12, 6, 8, 8, range(8)),
}


def problem(layers, heads, D, F, V, T, positions, masked, seed=0):
    """(model, ids, segments, labels): no weight is 0 or 1, some words come twice and both segments are there."""
    rng = np.random.default_rng(seed)
    model = nb.BertForMaskedLM(
        nb.BertConfig(vocab_size=V, hidden_size=D, num_hidden_layers=layers, num_attention_heads=heads,
                      intermediate_size=F, max_position_embeddings=positions, initializer_range=0.5), rng=rng,
        dtype=np.float64)
    for parameter in model.parameters():
        parameter.data = parameter.data + 0.3 * rng.standard_normal(parameter.shape)
    ids, segments, labels = rng.integers(V, size=T), np.arange(T) * 2 // (T + 1), np.full(T, -100)
    ids[-1] = ids[0]
    labels[list(masked)] = rng.integers(V, size=len(masked))
    return model, ids, segments, labels


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_loss_and_every_gradient_are_those_of_the_model(shape):
    page = load("bert_on_one_page")
    for seed in range(3):
        model, ids, segments, labels = problem(*shape, seed=seed)
        names = model.named_parameters()
        loss, found = page.masked_lm(ids, segments, labels, {name: p.data for name, p in names.items()},
                                     layers=shape[0], heads=shape[1])
        expected = model(ids[None], segments[None], np.ones((1, len(ids)), int), labels[None]).loss
        assert loss == pytest.approx(float(expected), rel=1e-12, abs=0)
        assert found.keys() == names.keys()
        for name, gradient in zip(names, nb.gradients(expected, names.values()), strict=True):
            assert found[name].shape == gradient.shape
            np.testing.assert_allclose(found[name], gradient, rtol=1e-12, atol=1e-12, err_msg=name)


def test_the_weights_are_left_alone():
    page = load("bert_on_one_page")
    model, ids, segments, labels = problem(*SHAPES["as the script"])
    w = {name: p.data for name, p in model.named_parameters().items()}
    before = {name: weight.copy() for name, weight in w.items()}
    page.masked_lm(ids, segments, labels, w, 2, 2)
    assert all((w[name] == before[name]).all() for name in w)


def test_it_is_one_page():
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 160
    assert [line for line in lines if line.startswith(("import", "from"))] == ["import math", "import numpy as np"]


def test_run():
    """All gradients are printed, the loss falls, and every blank is filled in; the ambiguous one by both its words."""
    run = subprocess.run([sys.executable, PATH, "--quick"], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    lines = [line.split() for line in run.stdout.splitlines()]
    model, *_ = problem(*SHAPES["as the script"])
    checked = {words[0]: words for words in lines if "worst" in words}
    assert checked.keys() == model.named_parameters().keys()
    assert all(abs(float(words[1]) - float(words[2])) < 1e-7 and float(words[-1]) < 1e-7 for words in checked.values())
    losses = [float(words[-1]) for words in lines if words[0] == "epoch"]
    assert losses[-1] < 0.2 < 1 < losses[0]
    blanks = [line for line in run.stdout.splitlines() if "[MASK]" in line]
    assert len(blanks) == 32
    both = next(line.split() for line in blanks if line.startswith("[MASK] fly in the sky"))
    assert {both[5], both[7]} == {"birds", "planes"} and min(float(both[6]), float(both[8])) > 0.3


def broken(tmp_path, line, instead):
    """What a copy of the page with one changed line says when it is run: its exit."""
    text = PAGE.read_text(encoding="utf-8")
    assert text.count(line) == 1, line
    copy = tmp_path / "page.py"
    copy.write_text(text.replace(line, instead), encoding="utf-8")
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(copy), run_name="__main__")
    return str(end.value)


MISTAKES = {
    "layer norm without its second mean": (" - xhat * (dxhat * xhat).mean(-1, keepdims=True)", ""),
    "layer norm with a sign turned": ("dxhat - dxhat.mean(", "dxhat + dxhat.mean("),
    "layer norm without its gain": ('dxhat = dy * w[f"{name}.gain"]', "dxhat = dy"),
    "gelu without the slope of its cdf": (" + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)", ""),
    "softmax without its sum": (" - (dprobs * probs).sum(-1, keepdims=True)", ""),
    "scores that are not scaled": ("dscores, q) / math.sqrt(q.shape[2])", "dscores, q)"),
    "a residual that is forgotten": ("return da + attention_backward", "return attention_backward"),
    "a word that comes twice": ('np.add.at(g["body.embeddings.word.weight"], ids, de)',
                                'g["body.embeddings.word.weight"][ids] += de'),
    "the decoder is not tied": ('    g["body.embeddings.word.weight"] += dlogits.T @ h', ""),
    "cross-entropy without the right word": ("(probs - right) / len(masked)", "probs / len(masked)"),
    "a loss that is summed": ("(probs - right) / len(masked)", "probs - right"),
    "a bias with a sign turned": ('g[f"{name}.bias"] += dy.sum(0)                                                     '
                                  ' # 1', 'g[f"{name}.bias"] -= dy.sum(0)  # 1'),
}


@pytest.mark.parametrize("line,instead", MISTAKES.values(), ids=MISTAKES)
def test_its_check_finds_a_mistake(tmp_path, capsys, line, instead):
    end = broken(tmp_path, line, instead)
    name = end.removeprefix("the gradient of ").removesuffix(" is wrong")
    assert name in problem(*SHAPES["as the script"])[0].named_parameters()
    assert capsys.readouterr().out.splitlines()[-1].split()[0] == name          # and it stops there


def test_a_blank_that_is_filled_wrongly_fails(tmp_path, capsys):
    assert broken(tmp_path, "range(1, 91)", "range(1, 2)").endswith("was never read there")
