"""The Reader: the model's own scores, whatever is read beside it; and a tiny model that learns to read."""
import numpy as np
import pytest

from numbert import BertConfig, BertForPreTraining, BertForQuestionAnswering, WordPieceTokenizer
from numbert.ops import IGNORE
from numbert.recording import no_grad
from numbert.tasks.squad.answers import with_threshold
from numbert.tasks.squad.data import Answer, Example
from numbert.tasks.squad.reader import Reader, always_no_answer, qa_task, read_passages, scores
from numbert.tasks.squad.windows import make_passages
from numbert.training.finetuning import finetune
from numbert.training.parallel import Workers

LETTERS = "bcdefghijklmnopqrstuvwxyz"
TOKENIZER = WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS])
CONFIG = BertConfig(vocab_size=len(TOKENIZER), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                    intermediate_size=32, max_position_embeddings=32, hidden_dropout_prob=0.0,
                    attention_probs_dropout_prob=0.0)


def model_of(seed=0, dtype=np.float64):
    return BertForQuestionAnswering(CONFIG.replace(initializer_range=0.5), rng=np.random.default_rng(seed), dtype=dtype)


def finding(count, rng, length=6):
    """Questions that name a letter, which is the answer where it stands in the context; every fourth does not."""
    examples = []
    for number in range(count):
        letters = rng.choice(list(LETTERS[:10]), length + 1, replace=False).tolist()
        asked = letters[0] if number % 4 == 3 else letters[1 + number % length]
        context = " ".join(letters[1:])
        answers = (Answer(asked, context.index(asked)),) if asked in letters[1:] else ()
        examples.append(Example(f"{number}", asked, context, answers, not answers))
    return examples


def test_a_reading_is_made_of_the_models_scores():
    model, context = model_of(), "b c d e"
    reading = Reader(model, TOKENIZER)("f", context)
    with no_grad():
        output = model(**TOKENIZER.pad([TOKENIZER("f", context)]))
    start, end = output.start_logits.data[0], output.end_logits.data[0]
    assert reading.null_score == pytest.approx(start[0] + end[0])
    spans = {(i, j): start[i] + end[j] for i in range(3, 7) for j in range(i, 7)}
    (i, j), best = max(spans.items(), key=lambda item: item[1])
    answer = reading.answers[0]
    assert answer.score == pytest.approx(best)
    assert (answer.start, answer.end) == (2 * (i - 3), 2 * (j - 3) + 1)
    assert context[answer.start:answer.end] == answer.text
    assert len(reading.answers) == len(spans)                           # 10 spans, fewer than n_best


def test_what_is_read_beside_it_and_who_computes_it_does_not_matter():
    model, examples = model_of(), finding(9, np.random.default_rng(0), length=9)
    alone = Reader(model, TOKENIZER, max_length=9, step=2)
    readings = alone.read(examples)
    assert all(len(p.windows) > 1 for p in make_passages(examples, TOKENIZER, max_length=9, step=2))
    for example, reading in zip(examples, readings, strict=True):
        one = alone(example.question, example.context)
        assert one.answers[0].text == reading.answers[0].text
        assert one.null_score == pytest.approx(reading.null_score, abs=1e-12)
    with Workers(2) as workers:
        passages = make_passages(examples, TOKENIZER, max_length=9, step=2)
        threaded = read_passages(model, TOKENIZER, passages, workers, batch_size=5)
    assert [r.answers[0].text for r in threaded] == [r.answers[0].text for r in readings]
    assert alone.read([]) == []


def test_settings():
    reader = Reader(model_of(), TOKENIZER, threshold=0.0, n_best=2, max_answer_length=1)
    reading = reader("f", "b c d e")
    assert reading.text == "" and len(reading.answers) == 2 and all(len(span.text) == 1 for span in reading.answers)
    with pytest.raises(ValueError, match="max_length = 33, but the model has only 32 positions"):
        Reader(model_of(), TOKENIZER, max_length=33)
    assert Reader(model_of(), TOKENIZER).cutting["max_length"] == 32    # 384 would not fit
    with pytest.raises(TypeError, match="got int"):
        reader(5, "b c")


def test_saving_and_loading(tmp_path):
    model = model_of()
    model.save_pretrained(tmp_path)
    TOKENIZER.save_pretrained(tmp_path)
    loaded = Reader.from_pretrained(tmp_path, threshold=None)("f", "b c d e")
    assert loaded.text == Reader(model, TOKENIZER, threshold=None)("f", "b c d e").text
    BertForPreTraining(CONFIG, rng=np.random.default_rng(0)).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="not fine-tuned for answers: it lacks qa_outputs.weight, qa_outputs.bias"):
        Reader.from_pretrained(tmp_path)


def test_the_task_learns_from_labelled_windows_only():
    lost = Example("lost", "b", "c d", (Answer("b", None),), False)
    unlabelled = Example("test", "b", "c d", None, False)
    examples = [*finding(4, np.random.default_rng(0)), lost, unlabelled]
    passages = make_passages(examples, TOKENIZER, max_length=8, step=2)
    with Workers(1) as workers:
        task = qa_task(TOKENIZER, passages, passages[:4], workers, batch_size=5)
        with pytest.raises(ValueError, match="none of 2 questions has a known answer to learn from"):
            qa_task(TOKENIZER, passages[4:], passages[:4], workers)
    batches = list(task.batches_of_epoch(np.random.default_rng(0)))
    positions = np.concatenate([batch["start_positions"] for batch in batches])
    assert len(positions) == sum(len(passage.windows) for passage in passages[:4]) and IGNORE not in positions
    assert task.baseline == {"f1": 25.0, "exact": 25.0, "HasAns_f1": 0.0, "NoAns_f1": 100.0, "span_f1": 0.0}
    assert task.test is None


def test_scores():
    passages = make_passages(finding(4, np.random.default_rng(0)), TOKENIZER)
    assert scores(passages, always_no_answer(passages))["NoAns_f1"] == 100
    model = model_of()
    readings = with_threshold(read_passages(model, TOKENIZER, passages), None)
    assert scores(passages, readings)["NoAns_f1"] == 0
    silent, spoken = scores(passages, with_threshold(readings, 0.0)), scores(passages, readings)
    assert silent["span_f1"] == spoken["span_f1"] == spoken["HasAns_f1"] and silent["HasAns_f1"] == 0
    assert set(scores(passages[:3], readings[:3])) == {"f1", "exact"}
    assert set(scores(passages[:3], readings[:3], cmrc=True)) == {"f1", "exact"}


def test_a_tiny_model_learns_where_the_answer_is_and_that_there_is_none():
    """The answer is the letter z, and a third of the contexts have none; the windows are shorter than the contexts."""
    def draw(count, rng):
        examples = []
        for number in range(count):
            letters = rng.choice(list(LETTERS[:-1]), 6)
            if number % 3:
                letters[rng.integers(6)] = "z"
            context = " ".join(letters)
            answers = (Answer("z", context.index("z")),) if number % 3 else ()
            examples.append(Example(f"{number}", "b", context, answers, not answers))
        return make_passages(examples, TOKENIZER, max_length=8, step=2)

    rng = np.random.default_rng(1)
    training, dev, test = draw(40, rng), draw(15, rng), draw(30, rng)
    assert len(training[0].windows) == 2                                # room 4 of 6
    model = BertForQuestionAnswering(CONFIG.replace(initializer_range=0.1), rng=np.random.default_rng(0))
    with Workers(1) as workers:
        task = qa_task(TOKENIZER, training, dev, workers, test=test, batch_size=16)
        assert task.test(model)["f1"] < 50
        finetune(model, task.batches_of_epoch, epochs=6, lr=1e-2, evaluate=task.evaluate, workers=workers,
                 seed=0, say=None)
        assert task.test(model) == {"f1": 100, "exact": 100, "HasAns_f1": 100, "NoAns_f1": 100, "span_f1": 100}
