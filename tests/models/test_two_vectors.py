"""Question answering is two vectors: what `BertForQuestionAnswering` says of them is so."""
import re

import numpy as np
import pytest
import tiny_bert

import numbert as nb
from numbert.tasks.squad.answers import read_answers
from numbert.tasks.squad.data import Example
from numbert.tasks.squad.show import two_vectors
from numbert.tasks.squad.windows import batch_of, make_passages

IGNORE = -100
LENGTHS = (9, 12, 5, 7)


def build(dtype=np.float64):
    model = nb.BertForQuestionAnswering(tiny_bert.config(), rng=np.random.default_rng(0), dtype=dtype)
    model.qa_outputs.bias.data[:] = 0.3, -0.2
    return model


def texts():
    """Four texts; the second has no label for its start, the third none for its end."""
    return tiny_bert.text(np.random.default_rng(1), LENGTHS) | {
        "start_positions": np.array([3, IGNORE, 0, 6]), "end_positions": np.array([4, 11, IGNORE, 2])}


def vectors(model, batch):
    """(B, T, D), zeros on padding."""
    packed = model.body.pack(*(batch[name] for name in ("input_ids", "token_type_ids", "attention_mask")))
    return packed.unpack(model.body.encode(packed)).data


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def test_scores_are_dot_products_with_two_rows():
    model, batch = build(), texts()
    output, h, (S, E), (b_S, b_E) = model(**batch), vectors(model, batch), *(
        p.data for p in model.qa_outputs.parameters())
    real = batch["attention_mask"] == 1
    for b, t in np.argwhere(real):
        assert output.start_logits.data[b, t] == pytest.approx(sum(S * h[b, t]) + b_S, rel=1e-12)
        assert output.end_logits.data[b, t] == pytest.approx(sum(E * h[b, t]) + b_E, rel=1e-12)
    assert np.isneginf(output.start_logits.data[~real]).all() and np.isneginf(output.end_logits.data[~real]).all()


def test_gradients_of_the_vectors_and_of_the_bias():
    """Of each vector Σ (p - y) h over all tokens of the labelled texts, of the bias Σ (p - y) = 1 - 1."""
    model, batch = build(), texts()
    h, rows, expected = vectors(model, batch), model.qa_outputs.weight.data, np.zeros((2, 12))
    for k, name in enumerate(("start_positions", "end_positions")):
        labels = batch[name]
        for b in np.flatnonzero(labels != IGNORE):
            p = softmax(h[b, :LENGTHS[b]] @ rows[k] + model.qa_outputs.bias.data[k])
            p[labels[b]] -= 1
            expected[k] += p @ h[b, :LENGTHS[b]] / (2 * (labels != IGNORE).sum())
    weight, bias = nb.gradients(model(**batch).loss, model.qa_outputs.parameters())
    np.testing.assert_allclose(weight, expected, rtol=1e-11, atol=1e-14)
    assert np.abs(weight).max() > 0.01 and np.abs(bias).max() < 1e-15
    weight, bias = nb.gradients((single := build(np.float32))(**batch).loss, single.qa_outputs.parameters())
    assert np.abs(weight).max() > 0.01 and np.abs(bias).max() < 1e-6


def test_only_what_shifts_all_scores_alike_gets_nothing():
    """The bias; that of the last layer norm, which adds the same to every h; and the keys', inside attention."""
    model = build()
    found = dict(zip(model.named_parameters(), nb.gradients(model(**texts()).loss, model.parameters()), strict=True))
    still = {name for name, g in found.items() if np.abs(g).max() < 1e-14}
    assert still == {"qa_outputs.bias", "body.layers.1.feed_forward_norm.bias",
                     "body.layers.0.attention.key.bias", "body.layers.1.attention.key.bias"}


def test_the_loss_does_not_see_a_shift():
    model, batch = build(), texts()
    before = float(model(**batch).loss)
    model.qa_outputs.bias.data += [5.0, -7.0]
    assert float(model(**batch).loss) == pytest.approx(before, rel=1e-12)


def test_the_softmax_of_training_covers_cls_question_and_sep():
    """The gradient of a token's score is p - y; it sums to 0 only over all tokens, not over the document's alone."""
    model, batch = build(), texts()
    output = model(**batch)
    g, = nb.gradients(output.loss, [output.start_logits])
    for b in (0, 2, 3):                                 # those with a start; three of them, and two losses
        p = softmax(output.start_logits.data[b, :LENGTHS[b]])
        p[batch["start_positions"][b]] -= 1
        np.testing.assert_allclose(g[b, :LENGTHS[b]], p / 6, rtol=1e-11)
        assert (g[b, LENGTHS[b]:] == 0).all()
    assert (g[1] == 0).all()
    question = (batch["token_type_ids"][0] == 0)[:LENGTHS[0]]
    assert question[0] and (np.abs(g[0, :LENGTHS[0]][question]) > 1e-4).all()


# ---- the table -------------------------------------------------------------------------------------------------------

LETTERS = "bcdefghijklm"
TOKENIZER = nb.WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS])


def passage_of(context, **cutting):
    return make_passages([Example("q", "b c", context, (), True)], TOKENIZER, **cutting)[0]


def read(model, passage, **deciding):
    output = model(**batch_of([(passage, window) for window in passage.windows], TOKENIZER))
    scores = list(zip(output.start_logits.data, output.end_logits.data, strict=True))
    return read_answers(passage, scores, **deciding), scores


def test_the_table_shows_the_models_own_numbers():
    model, passage = build(), passage_of("d e f g h i j k l m", max_length=11, step=3)
    reading, scores = read(model, passage, threshold=None)
    assert len(passage.windows) == 3
    for (first, stop), (start, end) in zip(passage.windows, scores, strict=True):
        lines = two_vectors(model, TOKENIZER, passage, (first, stop), reading).split("\n")
        assert lines[0].split() == ["S·h", "softmax", "E·h", "softmax", "token"]
        assert lines[1].split()[:2] == [f"{start[0]:+.2f}", f"{end[0]:+.2f}"] and "[CLS]" in lines[1]
        columns = slice(passage.column, passage.column + stop - first)
        p, q = softmax(start[columns]), softmax(end[columns])
        assert len(lines) == 2 + stop - first + 4
        for i, line in enumerate(lines[2:2 + stop - first]):
            name, s, ps, e, qs, token = line.replace("*", "").split()
            assert (name, token) == (f"d{first + i + 1}", "defghijklm"[first + i])
            assert (s, e) == (f"{start[columns][i]:+.2f}", f"{end[columns][i]:+.2f}")
            assert (ps, qs) == (f"{p[i]:.1%}", f"{q[i]:.1%}")
            assert line.count("*") == (i == p.argmax()) + (i == q.argmax())
        assert f"d{first + 1 + p.argmax()} starts, d{first + 1 + q.argmax()} ends" in lines[-3]
        i, j = (int(n) for n in re.search(r"d(\d+) to d(\d+)", lines[-2]).groups())
        assert passage.text(i - 1, j - 1)[0] == reading.answers[0].text
        assert lines[-1] == f"The answer: {reading.text!r}."


def test_the_best_pair_is_not_the_two_maxima():
    """Where the end vector's maximum stands before the start vector's, and where [CLS] is better than every span."""
    passage, model = passage_of("d e f"), build()
    start, end = np.full((2, 8), -9.0)
    start[[4, 6]], end[[4, 5, 6]] = (1, 3), (4, 0.5, 0)
    reading = read_answers(passage, [(start, end)])
    assert (start[4:7].argmax(), end[4:7].argmax()) == (2, 0) and reading.text == "d"
    start[0], end[0] = 9, 9
    text = two_vectors(model, TOKENIZER, passage, passage.windows[0], read_answers(passage, [(start, end)]))
    assert text.endswith("at [CLS] it is +18.00.\nThe answer: there is none.")


def test_an_empty_document():
    passage, model = passage_of(""), build()
    reading, _ = read(model, passage)
    lines = two_vectors(model, TOKENIZER, passage, passage.windows[0], reading).split("\n")
    assert len(lines) == 3 and lines[-1] == "The answer: there is none."
