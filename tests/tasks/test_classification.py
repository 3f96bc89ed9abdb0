"""Classification: texts to batches and logits to labels, whatever the batch; baselines and weights; and it learns."""
import math

import numpy as np
import pytest
import tiny_run

from numbert import BertForSequenceClassification
from numbert.tasks.classification import (
    balanced_weights,
    classify,
    collate,
    decide,
    encode,
    evaluation,
    majority,
    predict,
)
from numbert.tasks.metrics import accuracy, pearson
from numbert.training.finetuning import Shuffled, finetune, starting_point
from numbert.training.parallel import Workers

ROWS = [("good film", None, 1), ("a very bad day", None, 0), ("the film was good and the day was bad .", None, 1)]
PAIRS = [("good film", "bad day", 2), ("a film", "a film", 0), ("the day was very good", "not bad", 1)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return tiny_run.write(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def workers():
    with Workers(2) as workers:
        yield workers


def model(made, **settings):
    return starting_point(BertForSequenceClassification, made[0], **settings)(0)


def measure(labels, predictions):
    return {"accuracy": accuracy(labels, predictions)}


def test_a_batch(made):
    tokenizer = made[1]
    batch = collate(tokenizer)(encode(PAIRS[:2], tokenizer, 40))
    assert tokenizer.convert_ids_to_tokens(batch["input_ids"][0]) == "[CLS] good film [SEP] bad day [SEP]".split()
    assert batch["token_type_ids"].tolist() == [[0, 0, 0, 0, 1, 1, 1]] * 2
    assert batch["labels"].tolist() == [2, 0] and batch["labels"].dtype == np.int64
    assert batch.keys() == {"input_ids", "token_type_ids", "attention_mask", "labels"}


def test_what_stands_behind_the_label_is_not_looked_at(made):
    assert encode([(*ROWS[0], 17)], made[1], 40) == encode(ROWS[:1], made[1], 40)


def test_long_texts_are_cut(made):
    (encoding, _), = encode([("a " * 50, "b " * 9, 0)], made[1], 20)
    assert len(encoding) == 20 and encoding.sequence_ids.count(1) == 8


@pytest.mark.parametrize("batch_size", [1, 2, 3, 64])
@pytest.mark.parametrize("rows", [ROWS, PAIRS])
def test_predictions_do_not_depend_on_the_batches(made, workers, batch_size, rows):
    m, examples = model(made, num_labels=3), encode(rows, made[1], 40)
    alone = [m(**made[1].pad([encoding])).logits.data[0] for encoding, _ in examples]
    found = predict(m, made[1], examples, workers, batch_size)
    assert found.shape == (3, 3)
    np.testing.assert_allclose(found, alone, rtol=1e-4, atol=1e-5)


def test_decisions(made):
    logits = np.array([[0.1, -0.2, 0.05], [-3.0, 2.0, 1.0]], np.float32)
    assert decide(model(made, num_labels=3).config, logits).tolist() == [0, 1]
    several = model(made, num_labels=3, problem_type="multi_label_classification").config
    assert decide(several, logits).tolist() == [[1, 0, 1], [0, 1, 1]]
    number = decide(model(made, num_labels=1).config, logits[:, :1])
    assert number.dtype == np.float64 and number.tolist() == pytest.approx([0.1, -3.0])


def test_evaluation(made, workers):
    m, examples = model(made), encode(ROWS, made[1], 40)
    given = decide(m.config, predict(m, made[1], examples, workers))
    right = [(text, pair, int(label)) for (text, pair, _), label in zip(ROWS, given, strict=True)]
    assert evaluation(encode(right, made[1], 40), made[1], measure, workers)(m) == {"accuracy": 1.0}
    wrong = [(text, pair, 1 - label) for text, pair, label in right]
    assert evaluation(encode(wrong, made[1], 40), made[1], measure, workers)(m) == {"accuracy": 0.0}


@pytest.mark.parametrize("training,labels,expected", [
    ([1, 1, 0], [0, 0, 0, 1], 0.25), ([2, 0, 2, 0], [0, 2], 0.5), ([1], [0], 0.0)])
def test_majority_is_that_of_the_training_labels(training, labels, expected):
    assert majority(training, labels, measure) == {"accuracy": expected}


def test_majority_of_equals_is_the_lowest():
    assert majority([2, 0, 2, 0], [0, 0, 2], lambda y, p: {"0": float((p == 0).mean())}) == {"0": 1.0}


def test_majority_of_numbers_is_their_mean():
    figures = majority([1.0, 4.0], [2.0, 3.0], lambda y, p: {"mean": float(p.mean()), "pearson": pearson(y, p)})
    assert figures["mean"] == 2.5 and math.isnan(figures["pearson"])


def test_balanced_weights():
    assert balanced_weights([0, 0, 0, 1], 2).tolist() == pytest.approx([4 / 6, 2.0])
    assert balanced_weights([0, 2, 2, -100], 4).tolist() == pytest.approx([1.5, 0.0, 0.75, 0.0])
    labels = np.random.default_rng(0).integers(5, size=40)
    assert balanced_weights(labels, 5)[labels].mean() == pytest.approx(1.0)


def test_classify(made):
    m = model(made, num_labels=3, id2label={0: "yes", 1: "maybe", 2: "no"})
    found = classify(m, made[1], "good film", "bad day")
    logits = m(**made[1].pad([made[1]("good film", "bad day")])).logits.data[0].astype(float)
    assert list(found) == [("yes", "maybe", "no")[i] for i in np.argsort(-logits)]
    assert sum(found.values()) == pytest.approx(1.0)
    assert math.log(found["yes"] / found["no"]) == pytest.approx(logits[0] - logits[2], abs=1e-6)
    assert set(classify(model(made), made[1], "good")) == {0, 1}
    assert isinstance(classify(model(made, num_labels=1), made[1], "good"), float)
    several = classify(model(made, num_labels=2, problem_type="multi_label_classification"), made[1], "a " * 99)
    assert all(0 < share < 1 for share in several.values()) and sum(several.values()) != pytest.approx(1.0)


def test_it_learns_numbers_and_several_classes(made, workers):
    """The number of "good" in a text; and which of "good" and "bad" occur in it."""
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(["good", "bad", "film", "day", "a"], 6)) for _ in range(240)]
    tokenizer = made[1]

    def trained(rows, measure, **settings):
        m = model(made, **settings, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        examples = encode(rows, tokenizer, 40)
        return finetune(m, Shuffled(examples[:160], 8, collate(tokenizer)), epochs=8, lr=3e-3, workers=workers, seed=0,
                        evaluate=evaluation(examples[160:], tokenizer, measure, workers), say=None).figures
    counts = [(text, None, float(text.split().count("good"))) for text in texts]
    assert trained(counts, lambda y, p: {"pearson": pearson(y, p)}, num_labels=1)["pearson"] > 0.9
    both = [(text, None, [int("good" in text), int("bad" in text)]) for text in texts]
    share = trained(both, lambda y, p: {"right": float((y == p).mean())}, num_labels=2,
                    problem_type="multi_label_classification")
    assert np.mean([row[2] for row in both]) < 0.8 and share["right"] > 0.95


@pytest.mark.parametrize("rows, needed", [(ROWS, 3), (PAIRS, 5)])
def test_a_length_that_leaves_nothing_of_a_text_is_refused(made, rows, needed):
    assert all(len(encoding) == needed for encoding, _ in encode(rows[-1:], made[1], needed))
    with pytest.raises(ValueError, match=f"max_length must be at least {needed} .*, got {needed - 1}"):
        encode(rows, made[1], needed - 1)
