"""The examples of GPT: what they ask and count, and that they run."""
import json
import math
import re
from types import SimpleNamespace

import numpy as np
import pytest
from example_scripts import ran, run
from hypothesis import given, settings
from hypothesis import strategies as st

import numbert as nb
from numbert.lab import written
from numbert.ops import IGNORE
from numbert.toyworld import enumerated
from numbert.training.parallel import Workers


@pytest.fixture(scope="module")
def in_context():
    return ran("in_context").script


@pytest.fixture(scope="module")
def complete():
    return ran("complete").script


# --- in context -------------------------------------------------------------------------------------------------------

@settings(max_examples=20, deadline=None)
@given(shots=st.sampled_from((0, 1, 2, 4, 8)), seed=st.integers(0, 2**32 - 1))
def test_a_question_has_so_many_shots(in_context, shots, seed):
    ids = in_context.questions(20, shots, np.random.default_rng(seed))
    assert ids.shape == (20, 32)
    for row in ids.tolist():
        *shown, (word, answer) = zip(row[::2], row[1::2], strict=True)
        assert [pair[0] for pair in shown].count(word) == shots == shown.count((word, answer))
        assert len(dict(shown)) == len(set(shown)) <= 8 and not set(row[::2]) & set(row[1::2])
        assert (answer in row[:-1]) == (shots > 0)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_repetition_asks_for_what_can_be_known(in_context, seed):
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


def test_where_heads_look(in_context):
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


def test_without_a_head(in_context):
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


def test_fine_tuning_learns_the_pairs_and_leaves_the_model(in_context):
    model = tiny()
    before = [p.data.copy() for p in model.parameters()]
    options = SimpleNamespace(questions=40)
    with Workers(1) as workers:
        found = in_context.fine_tuned(model, 0, options, workers)
    assert list(found) == list(in_context.TUNING) and found[32][0] > found[0][0]
    assert all(np.array_equal(a, p.data) for a, p in zip(before, model.parameters(), strict=True))


def test_in_context():
    done = ran("in_context")
    assert done.results["chance"] == 1 / 26 and len(done.results["heads"]) == 8
    assert set(done.results["accuracy"]) == {"one layer", "two layers"} and done.results["settings"]["steps"] == 20
    shown = re.search("^two layers +(.*)$", done.said, re.M)[1].split()
    assert shown == [f"{values[0]:.1%}" for values in done.results["accuracy"]["two layers"].values()]
    assert all((done.folder / "runs/in_context" / f"{name}.svg").read_text().startswith("<svg")
               for name in ("shots", "head"))


def test_the_instance_is_a_question_of_its_dictionary(in_context):
    text, asked, right, p, loss = re.search(r"((?:[a-z]{2} ){15})([a-z])\?\n  right is ([a-z]), p\([a-z]\) = (0.\d+), "
                                            r"-ln p = (\d.\d+)", ran("in_context").before_training).groups()
    assert text.split().count(asked + right) == in_context.FEW
    assert float(loss) == pytest.approx(-math.log(float(p)), abs=0.02)


@pytest.mark.parametrize("arguments, message", [(("--steps", "0"), "--steps must be at least 1, got 0"),
                                                (("--lr", "nan"), "--lr must be above 0, got nan")])
def test_errors_of_in_context_are_one_line(tmp_path, arguments, message):
    with pytest.raises(SystemExit) as error:
        run("in_context", tmp_path, *arguments)
    assert str(error.value.code) == f"in_context.py: {message}"


# --- completing -------------------------------------------------------------------------------------------------------

@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=30), min_size=1, max_size=5), st.integers(2, 12))
def test_rows_ask_for_every_token_once(texts, length):
    rows = written.rows_of(texts, 0, length)
    assert all(2 <= len(row) <= length for row in rows)
    asked = [token for row in rows for token in row[1:]]
    assert asked == [token for text in texts for token in [*text, 0]]
    batch = written.batch_of(rows)
    assert batch["labels"][batch["labels"] != -100].tolist() == asked
    masks = batch["attention_mask"] > 0
    assert [row[mask].tolist() for row, mask in zip(batch["input_ids"], masks, strict=True)] == rows


def test_parts_of_texts():
    assert written.sentences("anna was here. where is tom? he") == ["anna was here.", "where is tom?", "he"]
    share = written.found_in({"anna was here."}, written.sentences)
    assert share(written.Written([], ["anna was here. anna was here", "anna was here."])) == 2 / 3
    assert math.isnan(share(written.Written(["anna was here."], [""])))


@pytest.fixture(scope="module")
def material():
    return written.closed(quick=True)


def test_the_small_world_is_checked_exactly(material):
    """Every story of the list is possible; with two words exchanged it is one of the list, or is found impossible."""
    language = enumerated("tiny")
    stories = [[language.words[i] for i in text[:n]] for text, n in zip(language.texts, language.lengths, strict=True)]
    texts = [material.tokenizer.decode([material.tokenizer.vocab[word] for word in story]) for story in stories]
    assert texts[0].count(".") == stories[0].count(".") and len(set(texts)) == len(texts)
    sentences, possible, unseen = material.checks.values()
    assert sentences(written.Written(texts, texts)) == possible(written.Written(texts, texts)) == 1
    assert possible(written.Written(["tom took the ball."] + texts[:3], [])) == 0.75
    assert sentences(written.Written([], ["tom took the ball. ball took the tom."])) == 0.5
    training, held = ({material.tokenizer.decode(ids) for ids in part} for part in
                      (material.training, material.held_out))
    assert not training & held and training | held <= set(texts) and 0.3 < len(training) / len(texts) < 0.7
    assert unseen(written.Written([*sorted(held)[:3], sorted(training)[0], "no story"], [])) == 0.75


def test_the_floor_is_that_of_the_probabilities(material):
    """The mean of -ln p over the held-out texts, for each token and the end."""
    language = enumerated("tiny")
    chances = {tuple(material.tokenizer.vocab[language.words[i]] for i in text[:n]): p for text, n, p in
               zip(language.texts, language.lengths, language.probabilities, strict=True)}
    nats = sum(-math.log(chances[tuple(ids)]) for ids in material.held_out)
    assert material.floor == pytest.approx(nats / sum(len(ids) + 1 for ids in material.held_out), rel=1e-12)


def test_what_is_written_goes_on_from_the_beginning(complete, material):
    tokenizer = material.tokenizer
    model = nb.GPT2LMHeadModel(nb.GPT2Config(vocab_size=len(tokenizer), n_embd=32, n_layer=1, n_head=1, n_positions=40),
                               rng=np.random.default_rng(0))
    starts = [material.held_out[0][:5], material.held_out[1][:3]]
    for way in complete.WAYS.values():
        texts = complete.write(model, material, starts, way, 0)
        for whole, new, start in zip(texts.whole, texts.new, starts, strict=True):
            assert whole.startswith(tokenizer.decode(start)) and whole.endswith(new)
    assert complete.write(model, material, starts, {}, 1) == complete.write(model, material, starts, {}, 1)


def test_complete(complete):
    done, folder = ran("complete"), ran("complete").folder / "runs/complete"
    results = json.loads((folder / "closed.json").read_text())
    assert set(results["shares"]) == set(complete.WAYS) and set(results["real"].values()) >= {1.0}
    assert results["losses"][0]["nats"] > results["levels"]["floor"] > 0
    assert (folder / "closed.svg").read_text().startswith("<svg")
    assert f"{results['losses'][0]['nats']:.3f} nats a token" in done.said


def test_the_instance_is_the_real_text_token_by_token(complete):
    before, real = ran("complete").before_training, complete.asked[0]
    lines = re.findall(r"^(\S+) +(0\.\d{3}) +(\d\.\d{3})   ", before, re.M)
    start = len(complete.beginnings[0])
    assert [word for word, *_ in lines] == [complete.material.tokenizer.tokens[i] for i in real[start:start + 6]]
    model = complete.untrained(complete.material, 0, complete.options)
    ids = np.array([[complete.end, *real]])
    labels = np.where((np.arange(ids.shape[1]) > start) & (np.arange(ids.shape[1]) <= start + 6), ids, -100)
    loss = float(model(ids, labels=labels).loss.data)
    assert np.mean([float(one) for *_, one in lines]) == pytest.approx(loss, abs=1e-3)
    assert complete.material.tokenizer.decode(real) in before


@pytest.mark.parametrize("arguments, message", [
    (("--width", "20"), "--width must be a multiple of 32, the width of a head, got 20"),
    (("--length", "2"), "--length must be at least 3, a token between two ends, got 2"),
    (("--length", "10"), "--length 10 is too short: every held-out text has more than 8 tokens"),
    (("--lr", "-1"), "--lr must be above 0, got -1.0")])
def test_errors_of_complete_are_one_line(tmp_path, arguments, message):
    with pytest.raises(SystemExit) as error:
        run("complete", tmp_path, *arguments)
    assert str(error.value.code) == f"complete.py: {message}"


# ---- restoring -------------------------------------------------------------------------------------------------------


def test_five_ways_to_ruin_a_text():
    script, rng = ran("restore").script, np.random.default_rng(0)
    sentences, mask = [[11, 12, 13], [14, 15], [16, 17, 18, 19]], script.tokenizer.mask_token_id
    whole = list(range(11, 20))
    for _ in range(50):
        masked, infilled, deleted, permuted, rotated = (
            script.ruined(sentences, way, rng) for way in ("masked", "infilled", "deleted", "permuted", "rotated"))
        hidden = [place for place, one in enumerate(masked) if one == mask]
        assert len(masked) == 9 and hidden == list(range(hidden[0], hidden[0] + 4))
        assert all(one in (mask, right) for one, right in zip(masked, whole, strict=True))
        assert len(infilled) == 6 and infilled.count(mask) == 1
        assert infilled == [*whole[:infilled.index(mask)], mask, *whole[infilled.index(mask) + 4:]]
        assert deleted == sorted(deleted) and set(deleted) <= set(whole)
        assert sorted(permuted) == whole and all(
            permuted[permuted.index(one[0]):][:len(one)] == one for one in sentences)
        start = rotated.index(11)
        assert rotated[start:] + rotated[:start] == whole


def test_what_is_restored_is_the_text_and_nothing_before_it():
    script = ran("restore").script
    piece = script.held_out[0]
    batch, whole = script.batch_of([piece, piece[:1]], "permuted", np.random.default_rng(0)), sum(piece, [])
    row, labels = batch["input_ids"][0], batch["labels"][0]
    end = script.N + 1 + len(whole)
    assert row[script.N] == script.tokenizer.cls_token_id and row[script.N + 1:end].tolist() == whole
    assert (labels[:script.N + 1] == IGNORE).all() and (labels[script.N + 1:] == row[script.N + 1:]).all()
    assert batch["attention_mask"][1].sum() == script.N + 2 + len(piece[0])
    assert (batch["labels"][1] != IGNORE).sum() == len(piece[0]) + 1                    # [SEP], too, is written


def test_restore():
    said, results = ran("restore").said, ran("restore").results
    assert set(results["restored"]) == {"masked", "permuted", "next token"}
    for name, seeds in results["downstream"].items():
        assert re.search(rf"^{name} +{seeds['mean']:.3f}", said, re.M)
    found = results["differences"]["masked against next token"]["difference"]
    assert found == pytest.approx(results["downstream"]["masked"]["mean"] - results["downstream"]["next token"]["mean"])
