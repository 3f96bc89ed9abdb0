"""A model that answers questions: Reader applies it, qa_task describes its fine-tuning.

    reader = Reader.from_pretrained("runs/answer")
    reading = reader("Where is the banana now?", "David took the banana. He went to the forest.")
    reading.text, reading.answers[0].probability, reading.answers[0].start, reading.no_answer

The model's scores do not say from which probability on there is no answer. That threshold is chosen on development
questions and saved in the model's folder, in answers.json.

(Devlin et al. 2019, sections 4.2 and 4.3.)
"""
import json
from pathlib import Path

from ...hub import files
from ...hub.errors import CheckpointError, exists, read_json
from ...models.auto import AutoModelForQuestionAnswering
from ...recording import no_grad
from ...tokenizers.auto import AutoTokenizer
from ...training.experiment import Task, check_length
from ...training.finetuning import Shuffled
from .answers import Reading, best_threshold, predictions, read_answers, with_threshold
from .data import Example
from .metrics import evaluate, evaluate_cmrc
from .windows import batch_of, make_passages, windows_of


class Reader:
    """Answers questions: `Reader(model, tokenizer)(question, context)` is an `answers.Reading`.

    model: a BertForQuestionAnswering, or that of another family, that was fine-tuned. max_length: 384 by default, or
    what the model takes if that is less; step, max_question_length: see `make_passages`. n_best, max_answer_length,
    threshold: see `read_answers`; with a model that never saw a question without an answer, use threshold=None. Raises
    ValueError for a max_length that the model cannot take.
    """

    def __init__(self, model, tokenizer, *, max_length=None, step=None, max_question_length=64, n_best=20,
                 max_answer_length=30, threshold=0.5):
        max_length = min(384, model.max_tokens) if max_length is None else max_length
        check_length(max_length, model.max_tokens)
        self.model, self.tokenizer = model, tokenizer
        self.cutting = {"max_length": max_length, "step": step, "max_question_length": max_question_length}
        self.deciding = {"n_best": n_best, "max_answer_length": max_answer_length, "threshold": threshold}

    @classmethod
    def from_pretrained(cls, folder, **settings):
        """The Reader of a folder with model and tokenizer; its threshold is the one in answers.json if there is one,
        and not among `settings`. ValueError if the model was not fine-tuned for answers."""
        model = AutoModelForQuestionAnswering.from_pretrained(folder)
        if model.load_report.new:
            raise ValueError(f"{folder}: not fine-tuned for answers: it lacks {', '.join(model.load_report.new)}")
        return cls(model, AutoTokenizer.from_pretrained(folder), **load_threshold(folder) | settings)

    def __call__(self, question, context):
        return self.read([Example("", question, context, None, False)])[0]

    def read(self, examples, workers=None):
        """A Reading for each Example, computed on all `workers` (`training.parallel`) if there are any."""
        passages = make_passages(examples, self.tokenizer, **self.cutting)
        return read_passages(self.model, self.tokenizer, passages, workers, **self.deciding)


def save_threshold(folder, threshold):
    """Write answers.json in `folder`: the threshold above which there is no answer; None: always answer."""
    files.write_text(Path(folder) / "answers.json", json.dumps({"threshold": threshold}) + "\n")


def load_threshold(folder):
    """{"threshold": what `save_threshold` wrote}, or {} without a file. Raises CheckpointError for anything else."""
    path = Path(folder) / "answers.json"
    if not exists(path):
        return {}
    content = read_json(path)
    if "threshold" not in content:
        raise CheckpointError(path, "must have a threshold, a number or null")
    threshold = content["threshold"]
    if threshold is not None and (isinstance(threshold, bool) or not isinstance(threshold, int | float)):
        raise CheckpointError(path, f"threshold must be a number or null, got {threshold!r}")
    return {"threshold": threshold}


def read_passages(model, tokenizer, passages, workers=None, *, batch_size=16, **deciding):
    """A Reading for each Passage; the model is given `batch_size` windows at a time. deciding: see `read_answers`."""
    pairs = windows_of(passages)

    def score(some):
        with no_grad():
            output = model(**model.accepted(batch_of(some, tokenizer)))
        return list(zip(output.start_logits.data, output.end_logits.data, strict=True))

    batches = [pairs[i:i + batch_size] for i in range(0, len(pairs), batch_size)]
    scores = iter([pair for batch in (workers.share if workers else map)(score, batches) for pair in batch])
    return [read_answers(passage, [next(scores) for _ in passage.windows], **deciding) for passage in passages]


# ---- learning to read ----


def qa_task(tokenizer, training, dev, workers, *, test=None, batch_size=32, cmrc=False, **deciding):
    """Fine-tuning for answers, an `experiment.Task`: it learns from every window of the passages that are labelled.

    training, dev, test: lists of Passage. The threshold is the best one on `dev`, and with it the f1 of `dev` chooses
    the epoch; reported are the `scores` of `test`, or without it those of `dev`. deciding: see `read_answers`.
    Raises ValueError if nothing is labelled.
    """
    pairs = windows_of(passage for passage in training if passage.labelled)
    if not pairs:
        raise ValueError(f"none of {len(training)} questions has a known answer to learn from")

    def read(model, passages):
        return read_passages(model, tokenizer, passages, workers, **deciding)

    threshold = deciding.get("threshold")               # given by the user, else the best for the last model

    def evaluated(model):
        nonlocal threshold
        readings = read(model, dev)
        best = best_threshold(dev, readings)
        threshold = deciding.get("threshold") if deciding.get("threshold") is not None else best
        return scores(dev, with_threshold(readings, best), cmrc)

    def tested(model):
        return scores(test, with_threshold(read(model, test), best_threshold(dev, read(model, dev))), cmrc)

    return Task(AutoModelForQuestionAnswering, {}, evaluate=evaluated, test=tested if test else None,
                save_beside=lambda folder: save_threshold(folder, threshold),
                batches_of_epoch=Shuffled(pairs, batch_size, lambda some: batch_of(some, tokenizer, labels=True)),
                baseline=scores(test or dev, always_no_answer(test or dev), cmrc))


def scores(passages, readings, cmrc=False):
    """How good the answers are, in percent: f1 and exact, with `cmrc` CMRC's. If some questions have no answer, also
    HasAns_f1 and NoAns_f1, of those that have one and those that have none, and span_f1: HasAns_f1 if "no answer" were
    never predicted. So span_f1 measures whether the model finds the place, the others also whether it finds that there
    is none.
    """
    examples, answers = [passage.example for passage in passages], predictions(passages, readings)
    if cmrc:
        found = evaluate_cmrc(examples, answers)
        return {"f1": found["F1"], "exact": found["EM"]}
    found = evaluate(examples, answers)
    if all(example.answers for example in examples):
        return {name: found[name] for name in ("f1", "exact")}
    spans = evaluate(examples, predictions(passages, with_threshold(readings, None)))
    return {name: found[name] for name in ("f1", "exact", "HasAns_f1", "NoAns_f1") if name in found} | (
        {"span_f1": spans["HasAns_f1"]} if "HasAns_f1" in spans else {})


def always_no_answer(passages):
    """The readings of the constant baseline: it always predicts that there is no answer."""
    return [Reading([], 0.0, 1.0, None) for _ in passages]
