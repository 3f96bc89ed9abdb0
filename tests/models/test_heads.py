import functools
import json

import numpy as np
import pytest
import tiny_bert
from golden import make

import numbert as nb
from numbert import ops
from numbert.recording import no_grad, watching

CLASSES = (nb.BertForPreTraining, nb.BertForMaskedLM, nb.BertForNextSentencePrediction,
           nb.BertForSequenceClassification, nb.BertForTokenClassification, nb.BertForQuestionAnswering,
           nb.BertForMultipleChoice)


def build(kind, seed=0, **changes):
    return kind(tiny_bert.config(**changes), rng=np.random.default_rng(seed), dtype=np.float64)


def nll(logits, labels):
    """The mean of -ln softmax(logits)[label] over the rows that have one, by the definition."""
    rows = labels != -100
    p = np.exp(logits[rows])
    return -np.log(p[np.arange(rows.sum()), labels[rows]] / p.sum(-1)).mean()


def example(kind, rng, lengths=(9, 12, 5, 7)):
    """A batch with labels for a class of heads (3 classes where the configuration says how many)."""
    batch, B = tiny_bert.text(rng, lengths), len(lengths)
    mask = batch["attention_mask"] == 1
    words = tiny_bert.pretraining_batch(np.random.default_rng(1), lengths)
    match kind.__name__:
        case "BertForPreTraining":
            return words
        case "BertForMaskedLM":
            words.pop("next_sentence_label")
            return words
        case "BertForNextSentencePrediction":
            return batch | {"next_sentence_label": rng.integers(0, 2, B)}
        case "BertForSequenceClassification":
            return batch | {"labels": rng.integers(0, 3, B)}
        case "BertForTokenClassification":
            return batch | {"labels": np.where(mask & (rng.random(mask.shape) < 0.7), rng.integers(0, 3, mask.shape),
                                               -100)}
        case "BertForQuestionAnswering":
            return batch | {"start_positions": rng.integers(0, lengths), "end_positions": rng.integers(0, lengths)}
        case "BertForMultipleChoice":
            return {name: np.stack([x, x[::-1], np.roll(x, 1, 0)], 1) for name, x in batch.items()} | {
                "labels": rng.integers(0, 3, B)}


def expected_losses(output, batch):
    """By hand, from the logits that the model gave."""
    names = ("logits", "prediction_logits", "seq_relationship_logits", "start_logits", "end_logits")
    logits = {name: getattr(output, name).data for name in names if hasattr(output, name)}
    chosen = batch["labels"][batch["labels"] != -100] if "labels" in batch else None
    if "prediction_logits" in logits:
        return {"mlm": nll(logits["prediction_logits"], chosen),
                "nsp": nll(logits["seq_relationship_logits"], batch["next_sentence_label"])}
    if "start_logits" in logits:
        return {name: nll(logits[f"{name}_logits"], batch[f"{name}_positions"]) / 2 for name in ("start", "end")}
    if "next_sentence_label" in batch:
        return {"nsp": nll(logits["logits"], batch["next_sentence_label"])}
    name, = output.losses
    if name == "mlm":
        return {name: nll(logits["logits"], chosen)}
    return {name: nll(logits["logits"].reshape(-1, logits["logits"].shape[-1]), batch["labels"].reshape(-1))}


@pytest.mark.parametrize("kind", CLASSES)
def test_the_loss_is_that_of_the_logits(kind):
    model, batch = build(kind, num_labels=3), example(kind, np.random.default_rng(5))
    output = model(**batch)
    by_hand = expected_losses(output, batch)
    assert output.losses.keys() == by_hand.keys()
    for name, value in by_hand.items():
        assert float(output.losses[name]) == pytest.approx(value, rel=1e-12)
    assert float(output.loss) == pytest.approx(sum(by_hand.values()), rel=1e-12)


@pytest.mark.parametrize("kind", CLASSES)
def test_without_labels_there_is_no_loss_and_the_same_logits(kind):
    model, batch = build(kind, num_labels=3), example(kind, np.random.default_rng(6))
    inputs = {name: batch[name] for name in ("input_ids", "token_type_ids", "attention_mask")}
    with_labels, without = model(**batch), model(**inputs)
    assert without.loss is None and without.losses == {}
    for name, logits in vars(without).items():
        if name.endswith("logits"):                     # of a call with labels they may be computed only now
            full, given = logits.data, getattr(with_labels, name).data
            if full.ndim == 3 and full.shape[-1] == tiny_bert.WORDS:    # logits of words: with labels only (M, V)
                full = full[batch["labels"] != -100]
            assert full.shape == given.shape
            np.testing.assert_allclose(full, given, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", CLASSES)
def test_the_labels_are_counted_as_the_losses_divide_by_them(kind):
    model, batch = build(kind, num_labels=3), example(kind, np.random.default_rng(7))
    counts, output = model.label_counts(**batch), model(**batch)
    assert counts == output.counts and counts.keys() == output.losses.keys()
    names = {"mlm": "labels", "nsp": "next_sentence_label", "start": "start_positions", "end": "end_positions"}
    assert counts == {name: (batch[names.get(name, "labels")] != -100).sum() for name in counts}
    inputs = {name: batch[name] for name in ("input_ids", "token_type_ids", "attention_mask")}
    assert model.label_counts(**inputs) == model(**inputs).counts == {}


@pytest.mark.parametrize("kind", CLASSES)
def test_a_padded_batch_is_its_sequences_one_by_one(kind):
    """Loss and gradients: batch-mates, padding and what stands on padding make no difference."""
    model, batch = build(kind, num_labels=3), example(kind, np.random.default_rng(8))
    output = model(**batch)
    together = nb.gradients(output.loss, model.parameters())
    alone, loss = [np.zeros_like(g) for g in together], 0.0
    for b in range(len(batch["input_ids"])):
        T = batch["attention_mask"][b].sum(-1).max()
        one = {name: x[b:b + 1, ..., :T] if x[b].ndim else x[b:b + 1] for name, x in batch.items()
               if not (name == "labels" and x[b].ndim and T < x.shape[-1])}
        if "labels" in batch and "labels" not in one:
            one["labels"] = batch["labels"][b:b + 1, :T]
        part = model(**one)
        shares = [ops.scale(x, factor=part.counts[name] / output.counts[name]) for name, x in part.losses.items()]
        share = functools.reduce(ops.add, shares)
        loss += float(share)
        alone = [a + g for a, g in zip(alone, nb.gradients(share, model.parameters()), strict=True)]
    assert float(output.loss) == pytest.approx(loss, rel=1e-12)
    for a, g in zip(alone, together, strict=True):
        np.testing.assert_allclose(g, a, rtol=1e-9, atol=1e-12)

    scribbled = dict(batch)
    for name in ("input_ids", "token_type_ids"):
        scribbled[name] = np.where(batch["attention_mask"] == 1, batch[name], 10**6)
    assert float(model(**scribbled).loss) == float(output.loss)


@pytest.mark.parametrize("kind", CLASSES)
def test_ignored_labels_have_no_share(kind):
    """Loss with a sequence's labels set to -100 = loss of the batch without that sequence; all ignored: 0."""
    model, batch = build(kind, num_labels=3), example(kind, np.random.default_rng(9))
    names = [name for name in batch if name.endswith(("label", "labels", "positions"))]
    ignored = batch | {name: np.concatenate([batch[name][:-2], np.full_like(batch[name][-2:], -100)])
                       for name in names}
    shorter = {name: x[:-2] for name, x in batch.items()}
    assert float(model(**ignored).loss) == pytest.approx(float(model(**shorter).loss), rel=1e-12)
    nothing = model(**batch | {name: np.full_like(batch[name], -100) for name in names})
    assert float(nothing.loss) == 0
    assert not any(g.any() for g in nb.gradients(nothing.loss, model.parameters()))


@pytest.mark.parametrize("kind", CLASSES)
def test_dropout_is_on_with_a_generator_only(kind):
    model = build(kind, num_labels=3, hidden_dropout_prob=0.3, attention_probs_dropout_prob=0.3)
    batch = example(kind, np.random.default_rng(10))
    assert float(model(**batch).loss) == float(model(**batch).loss)
    drawn = [float(model(**batch, rng=np.random.default_rng(seed)).loss) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_head_has_a_dropout_of_its_own():
    for kind in (nb.BertForSequenceClassification, nb.BertForTokenClassification, nb.BertForMultipleChoice):
        batch = example(kind, np.random.default_rng(11))
        quiet, own, body = (build(kind, num_labels=3, classifier_dropout=c, hidden_dropout_prob=h)
                            for c, h in ((0.0, 0.0), (0.5, 0.0), (None, 0.5)))
        losses = [float(m(**batch, rng=np.random.default_rng(0)).loss) for m in (quiet, own, body)]
        assert losses[0] == float(quiet(**batch).loss) and len(set(losses)) == 3


# What a batch must not be


BAD = [
    (nb.BertForPreTraining, "labels", lambda b: b["labels"][:, :-1],
     r"labels must be \(B, T\) = \(4, 12\), got \(4, 11\)"),
    (nb.BertForMaskedLM, "labels", lambda b: with_value(b["labels"], (2, 8), 7),
     r"labels\[2, 8\] = 7 stands on padding .*-100"),
    (nb.BertForMaskedLM, "labels", lambda b: with_value(b["labels"], (0, 1), 40),
     "labels must be 0..39, or -100 for none; got 40"),
    (nb.BertForMaskedLM, "labels", lambda b: with_value(b["labels"], (0, 1), -1),
     "labels must be 0..39, or -100 for none; got -1"),
    (nb.BertForPreTraining, "next_sentence_label", lambda b: np.zeros((4, 1), int),
     r"next_sentence_label must be \(B,\) = \(4,\), got \(4, 1\)"),
    (nb.BertForNextSentencePrediction, "next_sentence_label", lambda b: np.array([0, 1, 2, 0]),
     "labels must be 0..1, or -100 for none; got 2"),
    (nb.BertForSequenceClassification, "labels", lambda b: np.array([0, 1, 3, 0]),
     "labels must be 0..2, or -100 for none; got 3"),
    (nb.BertForSequenceClassification, "labels", lambda b: np.zeros(3, int),
     r"labels must be \(B,\) = \(4,\), got \(3,\)"),
    (nb.BertForSequenceClassification, "labels", lambda b: np.zeros((3, 4)),
     r"labels for multi_label_classification must be \(4, 3\), got \(3, 4\)"),
    (nb.BertForSequenceClassification, "labels", lambda b: np.full((4, 3), -100.0),
     r"labels for multi_label_classification must be in 0..1, got -100.0"),
    (nb.BertForSequenceClassification, "labels", lambda b: with_value(np.zeros((4, 3)), (1, 2), np.nan),
     r"labels must be finite numbers .*got nan at \(1, 2\)"),
    (nb.BertForTokenClassification, "labels", lambda b: with_value(b["labels"], (3, 7), 1),
     r"labels\[3, 7\] = 1 stands on"),
    (nb.BertForTokenClassification, "labels", lambda b: with_value(b["labels"], (0, 0), 3), "must be 0..2, .*got 3"),
    (nb.BertForTokenClassification, "labels", lambda b: b["labels"].T, r"must be \(B, T\) = \(4, 12\), got \(12, 4\)"),
    (nb.BertForQuestionAnswering, "start_positions", lambda b: np.array([0, 1, 5, 0]),
     r"start_positions\[2\] = 5 is not a place in its text of 5 tokens"),
    (nb.BertForQuestionAnswering, "end_positions", lambda b: np.array([0, 12, 0, 0]),
     r"end_positions\[1\] = 12 is not a place in its text of 12 tokens"),
    (nb.BertForQuestionAnswering, "end_positions", lambda b: np.array([-1, 0, 0, 0]),
     r"end_positions\[0\] = -1 is not a"),
    (nb.BertForQuestionAnswering, "end_positions", lambda b: np.zeros(5, int), r"must be \(B,\) = \(4,\), got \(5,\)"),
    (nb.BertForMultipleChoice, "labels", lambda b: np.array([0, 1, 3, 0]), "labels must be 0..2, .*got 3"),
    (nb.BertForMultipleChoice, "labels", lambda b: np.zeros((4, 3), int), r"must be \(B,\) = \(4,\), got \(4, 3\)"),
    (nb.BertForMultipleChoice, "input_ids", lambda b: b["input_ids"][0], r"must be \(B, C, T\), got \(3, 12\)"),
    (nb.BertForMultipleChoice, "attention_mask", lambda b: b["attention_mask"].transpose(1, 0, 2),
     r"attention_mask must be \(B, C, T\) = \(4, 3, 12\), got \(3, 4, 12\)"),
    (nb.BertForMultipleChoice, "token_type_ids", lambda b: b["token_type_ids"][:, 0],
     r"token_type_ids must be \(B, C, T\) = \(4, 3, 12\), got \(4, 12\)"),
]


def with_value(array, place, value):
    changed = array.copy()
    changed[place] = value
    return changed


@pytest.mark.parametrize("kind, name, wrong, message", BAD)
def test_bad_labels_are_refused_with_their_values(kind, name, wrong, message):
    batch = example(kind, np.random.default_rng(0))
    with pytest.raises(ValueError, match=message):
        build(kind, num_labels=3)(**batch | {name: wrong(batch)})


@pytest.mark.parametrize("kind", CLASSES)
def test_labels_that_are_not_whole_numbers_are_refused(kind):
    batch = example(kind, np.random.default_rng(0))
    name = next(n for n in batch if n.endswith(("labels", "label", "positions")))
    error = ValueError if kind is nb.BertForSequenceClassification else TypeError      # there they mean several labels
    with pytest.raises(error, match=f"^{name}.*must be"):
        build(kind, num_labels=3)(**batch | {name: batch[name] * 1.0})


# Sequence classification can mean three things


def test_regression():
    """One label: the mean squared error, for labels (B,), (B, 1) and whole numbers."""
    model, batch = build(nb.BertForSequenceClassification, num_labels=1), tiny_bert.text(np.random.default_rng(0))
    wanted = np.array([0.5, -2.0, 3.0, 1.0])
    output = model(**batch, labels=wanted)
    assert output.logits.shape == (4, 1)
    assert float(output.loss) == pytest.approx(((output.logits.data[:, 0] - wanted)**2).mean(), rel=1e-12)
    assert float(model(**batch, labels=wanted[:, None]).loss) == float(output.loss)
    assert float(model(**batch, labels=np.array([1, 2, 3, 4])).loss) == pytest.approx(
        ((output.logits.data[:, 0] - [1, 2, 3, 4])**2).mean(), rel=1e-12)
    with pytest.raises(ValueError, match=r"labels for regression must be \(4, 1\), got \(3,\)"):
        model(**batch, labels=wanted[:3])


def test_regression_for_several_numbers_must_be_asked_for():
    model = build(nb.BertForSequenceClassification, num_labels=3, problem_type="regression")
    wanted = np.random.default_rng(0).standard_normal((4, 3))
    output = model(**tiny_bert.text(np.random.default_rng(0)), labels=wanted)
    assert float(output.loss) == pytest.approx(((output.logits.data - wanted)**2).mean(), rel=1e-12)


def test_a_regression_label_of_minus_100_is_a_label():
    model, batch = build(nb.BertForSequenceClassification, num_labels=1), tiny_bert.text(np.random.default_rng(0))
    for labels in (np.array([-100.0, 1.0, 2.0, 3.0]), np.array([-100, 1, 2, 3])):
        output = model(**batch, labels=labels)
        assert output.counts == model.label_counts(**batch, labels=labels) == {"classification": 4}
        assert float(output.loss) == pytest.approx(((output.logits.data[:, 0] - labels)**2).mean(), rel=1e-12)


@pytest.mark.parametrize("labels", [np.eye(4, 3), np.eye(4, 3, dtype=bool), np.full((4, 3), 0.25)])
def test_several_labels_at_once(labels):
    model = build(nb.BertForSequenceClassification, num_labels=3)
    output = model(**tiny_bert.text(np.random.default_rng(0)), labels=labels)
    p = 1 / (1 + np.exp(-output.logits.data))
    by_hand = -np.where(labels, labels * np.log(p) + (1.0 - labels) * np.log(1 - p), np.log(1 - p)).mean()
    assert float(output.loss) == pytest.approx(by_hand, rel=1e-12)


def test_whole_numbers_mean_several_labels_when_the_configuration_says_so():
    model = build(nb.BertForSequenceClassification, num_labels=3, problem_type="multi_label_classification")
    batch = tiny_bert.text(np.random.default_rng(0))
    assert float(model(**batch, labels=np.eye(4, 3, dtype=int)).loss) == float(model(**batch, labels=np.eye(4, 3)).loss)
    with pytest.raises(ValueError, match=r"must be \(4, 3\), got \(4,\)"):
        model(**batch, labels=np.array([0, 1, 2, 0]))


@pytest.mark.parametrize("kind", [nb.BertForSequenceClassification, nb.BertForTokenClassification])
def test_class_weights_multiply_the_terms_of_the_sum(kind):
    weights, batch = np.array([0.0, 1.0, 2.5]), example(kind, np.random.default_rng(4))
    model = kind(tiny_bert.config(num_labels=3), rng=np.random.default_rng(0), dtype=np.float64, class_weights=weights)
    output, labels = model(**batch), batch["labels"].reshape(-1)
    logits, labelled = output.logits.data.reshape(len(labels), 3), np.flatnonzero(labels >= 0)
    terms = [nll(logits[i:i + 1], labels[i:i + 1]) * weights[labels[i]] for i in labelled]
    assert float(output.loss) == pytest.approx(np.mean(terms), rel=1e-12)


@pytest.mark.parametrize("labels, problem", [(np.ones((4, 1)), "regression"),
                                             (np.ones((4, 2)), "multi_label_classification")])
def test_class_weights_are_for_one_class_of_several(labels, problem):
    model = nb.BertForSequenceClassification(tiny_bert.config(num_labels=labels.shape[1]), rng=np.random.default_rng(0),
                                             class_weights=[1.0, 2.0])
    with pytest.raises(ValueError, match=f"class_weights are for single_label_classification, not for {problem}"):
        model(**tiny_bert.text(np.random.default_rng(0)), labels=labels)


# Scores of all words, when somebody asks


@pytest.mark.parametrize("kind", [nb.BertForPreTraining, nb.BertForMaskedLM])
def test_the_scores_of_all_words_are_computed_when_they_are_read(kind):
    model, batch, seen = build(kind), example(kind, np.random.default_rng(5)), []
    name = "logits" if kind is nb.BertForMaskedLM else "prediction_logits"
    with watching(lambda op, inputs, options, output, node: seen.append(np.shape(output))):
        output = model(**batch)
        M = output.counts["mlm"]
        assert (M, tiny_bert.WORDS) not in seen
        logits = getattr(output, name)
        assert seen[-1] == logits.shape == (M, tiny_bert.WORDS) and getattr(output, name) is logits
    assert output.correct["mlm"] == (logits.data.argmax(-1) == batch["labels"][batch["labels"] != -100]).sum()
    with pytest.raises(AttributeError, match="the output has no scores, only"):
        _ = output.scores
    assert not hasattr(model.body(batch["input_ids"]), "losses")


def test_scores_that_are_read_late_have_a_gradient_if_the_call_had():
    model, batch = build(nb.BertForMaskedLM), example(nb.BertForMaskedLM, np.random.default_rng(5))
    with no_grad():
        output = model(**batch)
    assert output.logits.node is None
    output = model(**batch)
    assert all(g.any() for g in nb.gradients(output.logits, [model.mlm.bias], np.ones(output.logits.shape)))


# Question answering


def test_padding_has_no_share_in_an_answer():
    model, batch = build(nb.BertForQuestionAnswering), example(nb.BertForQuestionAnswering, np.random.default_rng(3))
    output = model(**batch)
    padding = batch["attention_mask"] == 0
    for logits in (output.start_logits.data, output.end_logits.data):
        assert np.isneginf(logits[padding]).all() and np.isfinite(logits[~padding]).all()
    assert all(np.isfinite(g).all() for g in nb.gradients(output.loss, model.parameters()))


def test_one_end_of_an_answer_alone():
    model, batch = build(nb.BertForQuestionAnswering), example(nb.BertForQuestionAnswering, np.random.default_rng(3))
    both = model(**batch)
    del batch["end_positions"]
    assert model(**batch).losses.keys() == {"start"}
    assert float(model(**batch).loss) == float(both.losses["start"])


# Golden values


@pytest.mark.parametrize("name, kind, changes, batch", make.cases(), ids=[case[0] for case in make.cases()])
def test_loss_and_gradients_are_those_of_transformers(name, kind, changes, batch):
    golden = dict(json.loads(make.FILE.read_text())[name])
    model = getattr(nb, kind)(nb.BertConfig(**make.CONFIG | changes), rng=np.random.default_rng(0), dtype=np.float64)
    report = model.load_state_dict({theirs: make.weight(theirs.removeprefix("bert."), array.shape)
                                    for theirs, array in model.state_dict().items()}, strict=True)
    assert len(report.loaded) == len(model.parameters())
    loss = model(**batch).loss
    assert float(loss) == pytest.approx(golden.pop("loss"), rel=1e-9)
    found = make.probes(model.state_dict(nb.gradients(loss, model.parameters())))
    assert found.keys() == golden.keys() and len(golden) >= 9
    for probed, values in golden.items():
        np.testing.assert_allclose(found[probed], values, rtol=1e-9, atol=1e-11, err_msg=probed)


def test_next_sentence_labels_have_two_names():
    model = nb.BertForNextSentencePrediction(tiny_bert.config(), rng=np.random.default_rng(0), dtype=np.float64)
    ids, labels = np.array([[5, 6, 7], [7, 6, 5]]), np.array([0, 1])
    assert float(model(ids, labels=labels).loss) == float(model(ids, next_sentence_label=labels).loss)


def test_a_number_that_is_missing_is_no_label_for_regression():
    """NaN would make the loss NaN, and every parameter after the next step."""
    model = build(nb.BertForSequenceClassification, num_labels=1)
    with pytest.raises(ValueError, match=r"labels must be finite numbers \(float64\), got nan at \(2, 0\)"):
        model(np.ones((3, 4), int), labels=np.array([0.5, 2.0, np.nan]))
