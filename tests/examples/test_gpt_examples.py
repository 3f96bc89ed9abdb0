"""The examples of GPT: what they ask and count, and that they run."""
import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from example_scripts import EXAMPLES, load, path_of
from hypothesis import given, settings
from hypothesis import strategies as st

import numbert as nb
from numbert.toyworld import enumerated
from numbert.training import command
from numbert.training.parallel import Workers

in_context, complete = load("in_context"), load("complete")


def run(name, *arguments):
    path = os.pathsep.join(filter(None, [str(EXAMPLES.parent), os.environ.get("PYTHONPATH")]))
    return subprocess.run([sys.executable, str(path_of(name)), *map(str, arguments)], capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"})


# --- in context -------------------------------------------------------------------------------------------------------

@settings(max_examples=20, deadline=None)
@given(st.sampled_from(in_context.SHOTS), st.integers(0, 2**32 - 1))
def test_a_question_has_so_many_shots(shots, seed):
    ids = in_context.questions(20, shots, np.random.default_rng(seed))
    assert ids.shape == (20, 32)
    for row in ids.tolist():
        *shown, (word, answer) = zip(row[::2], row[1::2], strict=True)
        assert [pair[0] for pair in shown].count(word) == shots == shown.count((word, answer))
        assert len(dict(shown)) == len(set(shown)) <= 8 and not set(row[::2]) & set(row[1::2])
        assert (answer in row[:-1]) == (shots > 0)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_repetition_asks_for_what_can_be_known(seed):
    batch = in_context.repetitions(np.random.default_rng(seed), B=20)
    for row, labels in zip(batch["input_ids"].tolist(), batch["labels"].tolist(), strict=True):
        period = row.index(row[0], 1)
        assert 4 <= period <= 12 and len(set(row[:period])) == period
        assert row == (row[:period] * 8)[:32]
        assert labels == [-100] * (period + 1) + row[period + 1:]       # the first to come again is not foreseen


def tiny(seed=0, layers=2):
    config = nb.GPT2Config(vocab_size=26, n_embd=16, n_layer=layers, n_head=4, n_positions=32, bos_token_id=None,
                           eos_token_id=None, initializer_range=0.3)
    return nb.GPT2LMHeadModel(config, rng=np.random.default_rng(seed), dtype=np.float64)


def test_where_heads_look():
    """Against the definition, in loops."""
    model = tiny()
    ids = in_context.questions(3, 4, np.random.default_rng(0))
    layers = in_context.attention(model, ids)
    assert len(layers) == 2 and all(shares.shape == (3, 4, 32, 32) for shares in layers)
    for shares in layers:
        np.testing.assert_allclose(shares.sum(-1), 1)
        assert not np.triu(shares[0, 0], 1).any()
    found = in_context.roles(layers, ids)
    for (layer, head), role in found.items():
        shares = layers[layer][:, head]
        back = np.mean([shares[b, t, t - 1] for b in range(3) for t in range(1, 32)])
        places = [(b, t) for b in range(3) for t in range(30) if ids[b, t] == ids[b, 30]]
        assert len(places) == 12
        np.testing.assert_allclose(role, (back, sum(shares[b, 30, t + 1] for b, t in places) / 3))


def test_without_a_head():
    """What a head would add is gone; without all heads a layer of attention adds its bias alone."""
    model, ids = tiny(layers=1), np.array([[3, 4, 3]])
    before = model(ids).logits.data.copy()
    changed = model
    for head in range(4):
        one = in_context.without(model, 0, head)
        assert np.abs(one(ids).logits.data - before).max() > 1e-6
        changed = in_context.without(changed, 0, head)
    assert not changed.body.layers[0].attention.output.weight.data.any()
    assert np.array_equal(model(ids).logits.data, before)


def test_fine_tuning_learns_the_pairs_and_leaves_the_model():
    model = tiny()
    before = [p.data.copy() for p in model.parameters()]
    options = in_context.arguments().parse_args(["--questions", "40"])
    with Workers(1) as workers:
        found = in_context.fine_tuned(model, 0, options, workers)
    assert list(found) == list(in_context.TUNING) and found[32][0] > found[0][0]
    assert all(np.array_equal(a, p.data) for a, p in zip(before, model.parameters(), strict=True))


def test_in_context(tmp_path):
    done = run("in_context", "--quick", "--out", tmp_path)
    assert done.returncode == 0 and not done.stderr, done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["chance"] == 1 / 26 and len(results["heads"]) == 8
    assert set(results["accuracy"]) == {"one layer", "two layers"} and results["options"]["steps"] == 20
    assert f"with one {results['accuracy']['two layers']['1'][0]:.1%}" in done.stdout
    assert all((tmp_path / name).read_text().startswith("<svg") for name in ("shots.svg", "head.svg"))
    for arguments, message in ((("--steps", "0"), "--steps must be at least 1, got 0"),
                               (("--quick", "--lr", "nan"), "--lr must be above 0, got nan")):
        done = run("in_context", *arguments, "--out", tmp_path)
        assert done.returncode == 1 and done.stderr == f"18_in_context.py: {message}\n"


# --- completing -------------------------------------------------------------------------------------------------------

@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=30), min_size=1, max_size=5), st.integers(2, 12))
def test_rows_ask_for_every_token_once(texts, length):
    rows = complete.rows_of(texts, 0, length)
    assert all(2 <= len(row) <= length for row in rows)
    asked = [token for row in rows for token in row[1:]]
    assert asked == [token for text in texts for token in [*text, 0]]
    batch = complete.batch_of(rows)
    assert batch["labels"][batch["labels"] != -100].tolist() == asked
    masks = batch["attention_mask"] > 0
    assert [row[mask].tolist() for row, mask in zip(batch["input_ids"], masks, strict=True)] == rows


def test_parts_of_texts():
    assert complete.sentences("anna was here. where is tom? he") == ["anna was here.", "where is tom?", "he"]
    share = complete.found_in({"anna was here."}, complete.sentences)
    assert share(complete.Written([], ["anna was here. anna was here", "anna was here."])) == 2 / 3
    assert math.isnan(share(complete.Written(["anna was here."], [""])))


@pytest.fixture(scope="module")
def material():
    return complete.closed(command.parse(complete.arguments(["--quick"]), ["--quick"]))


def test_the_small_world_is_checked_exactly(material):
    """Every story of the list is possible; with two words exchanged it is one of the list, or is found impossible."""
    language = enumerated("tiny")
    stories = [[language.words[i] for i in text[:n]] for text, n in zip(language.texts, language.lengths, strict=True)]
    texts = [material.tokenizer.decode([material.tokenizer.vocab[word] for word in story]) for story in stories]
    assert texts[0].count(".") == stories[0].count(".") and len(set(texts)) == len(texts)
    sentences, possible, unseen = material.checks.values()
    assert sentences(complete.Written(texts, texts)) == possible(complete.Written(texts, texts)) == 1
    assert possible(complete.Written(["tom took the ball."] + texts[:3], [])) == 0.75
    assert sentences(complete.Written([], ["tom took the ball. ball took the tom."])) == 0.5
    training, held = ({material.tokenizer.decode(ids) for ids in part} for part in
                      (material.training, material.held_out))
    assert not training & held and training | held <= set(texts) and 0.3 < len(training) / len(texts) < 0.7
    assert unseen(complete.Written([*sorted(held)[:3], sorted(training)[0], "no story"], [])) == 0.75


def test_the_floor_is_that_of_the_probabilities(material):
    """The mean of -ln p over the held-out texts, for each token and the end."""
    language = enumerated("tiny")
    chances = {tuple(material.tokenizer.vocab[language.words[i]] for i in text[:n]): p for text, n, p in
               zip(language.texts, language.lengths, language.probabilities, strict=True)}
    nats = sum(-math.log(chances[tuple(ids)]) for ids in material.held_out)
    assert material.floor == pytest.approx(nats / sum(len(ids) + 1 for ids in material.held_out), rel=1e-12)


def test_what_is_written_goes_on_from_the_beginning(material):
    tokenizer = material.tokenizer
    model = nb.GPT2LMHeadModel(nb.GPT2Config(vocab_size=len(tokenizer), n_embd=32, n_layer=1, n_head=1, n_positions=40),
                               rng=np.random.default_rng(0))
    starts = [material.held_out[0][:5], material.held_out[1][:3]]
    for way in complete.WAYS.values():
        written = complete.write(model, material, starts, way, 0)
        for whole, new, start in zip(written.whole, written.new, starts, strict=True):
            assert whole.startswith(tokenizer.decode(start)) and whole.endswith(new)
    assert complete.write(model, material, starts, {}, 1) == complete.write(model, material, starts, {}, 1)


def test_complete(tmp_path):
    done = run("complete", "--quick", "--out", tmp_path)
    assert done.returncode == 0 and not done.stderr, done.stderr
    results = json.loads((tmp_path / "closed.json").read_text())
    assert set(results["shares"]) == set(complete.WAYS) and set(results["real"].values()) >= {1.0}
    assert results["losses"][0]["nats"] > results["levels"]["floor"] > 0
    assert (tmp_path / "closed.svg").read_text().startswith("<svg")
    assert f"{results['losses'][0]['nats']:.3f} nats a token" in done.stdout
    for arguments, message in (
            (("--width", "20"), "--width must be a multiple of 32, the width of a head, got 20"),
            (("--length", "2"), "--length must be at least 3, a token between two ends, got 2"),
            (("--quick", "--length", "10"), "--length 10 is too short: every held-out text has more than 8 tokens"),
            (("--lr", "-1"), "--lr must be above 0, got -1.0")):
        done = run("complete", *arguments, "--out", tmp_path)
        assert done.returncode == 1 and done.stderr == f"17_complete.py: {message}\n"
