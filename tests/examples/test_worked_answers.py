"""The lecture's worked answers, s = e = 17 and s = 77, e = 79: tokens counted from 1, columns, and back to text."""
import numpy as np
import pytest
from example_scripts import ran, run

import numbert as nb
from numbert.tasks.squad.answers import oracle, read_answers
from numbert.tasks.squad.windows import NO_ANSWER, batch_of, windows_of
from numbert.training.optimizer import AdamW
from numbert.training.parallel import Workers


@pytest.fixture(scope="module")
def example():
    """examples/lecture/10_windows.py, as a module."""
    return ran("windows").script


def cases(example, **cutting):
    tokenizer, passages = example.worked(**cutting)
    return tokenizer, [(passage, *example.WORKED[passage.example.question]) for passage in passages]


def test_the_lectures_numbers(example):
    """Counted by splitting, without our tokenizer: d_1 is the first word, and marks are tokens of their own."""
    document = example.DOCUMENT
    for mark in ",.:":
        document = document.replace(mark, f" {mark}")
    d = [None, *document.split()]
    assert [(s, e) for s, e, _ in example.WORKED.values()] == [(17, 17), (77, 79)]
    for s, e, text in example.WORKED.values():
        assert " ".join(d[s:e + 1]) == text
    assert [text for _, _, text in example.WORKED.values()] == ["gravity", "within a cloud"]


def test_from_the_lectures_numbers_to_columns_and_back(example):
    tokenizer, found = cases(example)
    for passage, s, e, text in found:
        assert passage.answer == (s - 1, e - 1)
        M = len(passage.question)
        assert passage.label(passage.windows[0]) == (M + 2 + s - 1, M + 2 + e - 1)      # [CLS] question [SEP] d_1 ...
        batch = batch_of(windows_of([passage]), tokenizer, labels=True)
        start, end = int(batch["start_positions"][0]), int(batch["end_positions"][0])
        ids = batch["input_ids"][0]
        assert tokenizer.decode(ids[start:end + 1].tolist()) == text
        assert tokenizer.decode(ids[:start].tolist(), skip_special_tokens=False).startswith("[CLS]")
        assert passage.text(s - 1, e - 1)[0] == text
        assert passage.text(s, e)[0] != text and passage.text(s - 2, e - 2)[0] != text  # one off is another answer


def test_a_model_that_points_there_answers_so(example):
    """A tiny model that has learnt one answer by heart: from its scores to the text."""
    tokenizer, found = cases(example)
    for passage, _, _, text in found:
        config = nb.BertConfig(vocab_size=len(tokenizer), hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
                               intermediate_size=8, max_position_embeddings=128)
        model = nb.BertForQuestionAnswering(config, rng=np.random.default_rng(0))
        batch = batch_of(windows_of([passage]), tokenizer, labels=True)
        optimizer = AdamW(model.parameters())
        with Workers(1) as workers:
            for _ in range(60):
                loss = model(**batch).loss
                optimizer.step(nb.gradients(loss, model.parameters()), 0.03, workers)
        output = model(**batch)
        reading = read_answers(passage, [(output.start_logits.data[0], output.end_logits.data[0])])
        assert float(output.loss) < 0.1 and reading.text == text


@pytest.mark.parametrize(("max_length", "step"), [(40, 10), (40, 27), (24, 4)])
def test_in_windows_too(example, max_length, step):
    tokenizer, found = cases(example, max_length=max_length, step=step)
    for passage, s, e, text in found:
        assert len(passage.windows) > 2
        holding = [w for w in passage.windows if w[0] <= s - 1 and e - 1 < w[1]]
        assert holding and [w for w in passage.windows if passage.label(w) != NO_ANSWER] == holding
        for window in holding:
            row = batch_of([(passage, window)], tokenizer)["input_ids"][0].tolist()
            start, end = passage.label(window)
            assert tokenizer.decode(row[start:end + 1]) == text
        assert oracle([passage]).predictions == {passage.example.id: text}
        assert read_answers(passage, example.perfect(passage)).text == text


# ---- the script ------------------------------------------------------------------------------------------------------

def test_what_is_kept_is_predicted(example):
    config = example.small(256)
    model = nb.BertForTokenClassification(config, rng=np.random.default_rng(0))
    for T in (128, 256):
        assert example.memory(model, T) == pytest.approx(sum(example.kept(config, T)), rel=0.03)
    attention, rest = example.kept(nb.BertConfig(), 16 * 64)
    assert attention == pytest.approx(rest, rel=0.02)                   # T = 16 K
    attention, rest = example.operations(config, 6 * 64)
    assert attention == pytest.approx(rest, rel=0.01)                   # T = 6 D, but for the classifier


def test_powers_and_crossings(example):
    lengths = [2**k for k in range(5, 12)]
    assert example.power(lengths, [3 * T**2 for T in lengths]) == pytest.approx(2)
    assert example.power(lengths, [1000 if T < 256 else T**1.5 for T in lengths]) == pytest.approx(1.5)
    line, square = np.array(lengths) * 300.0, np.array(lengths) ** 2.0
    assert example.crossing(lengths, square, line) == 300
    assert example.crossing(lengths, line / 1e6, square) is None


def test_script():
    done = ran("windows")
    assert done.results["lengths"] == [32, 64, 128, 256] and done.results["crossing"]["operations"] == 384
    assert [one["answer"] for one in done.results["lecture"]] == ["gravity", "within a cloud"]
    table = done.results["windows"]
    assert [one["step"] for one in table] == sorted((one["step"] for one in table), reverse=True)
    windows, context = ([one[name] for one in table] for name in ("windows", "context"))
    assert windows == sorted(windows) and context == sorted(context)
    for name in ("length.svg", "windows.svg"):
        assert (done.folder / "runs/windows" / name).read_text().startswith("<svg")


def test_a_length_that_is_too_short(tmp_path):
    with pytest.raises(SystemExit, match="^windows.py: --longest must be at least 128, got 64$"):
        run("windows", tmp_path, "--longest", "64")
