"""The four uses of BERT on the toy world: labelled examples, and what fine-tuning must know of each task.

    splits = draw("classify", sizes=(500, 500, 1000))
    task = toy_task("classify", splits, tokenizer, settings, workers)            # an experiment.Task
"""
import numpy as np

from ..models.auto import AutoModelForSequenceClassification
from ..tasks import tagging
from ..tasks.classification import collate, encode, evaluation, majority
from ..tasks.metrics import accuracy
from ..tasks.squad.data import Answer, Example
from ..tasks.squad.reader import qa_task
from ..tasks.squad.windows import make_passages
from ..toyworld import NLI_LABELS, SENTIMENT_LABELS, nli_examples, pos_examples, qa_examples, sentiment_examples
from ..training.experiment import Task
from ..training.finetuning import Shuffled

# name: (examples of it, what no two examples may have in common)
SOURCES = {
    "classify": (sentiment_examples, lambda one: one[0]),                           # (text, label)
    "tag": (pos_examples, lambda one: " ".join(one[0])),                            # (words, tags)
    "infer": (nli_examples, lambda one: one[:2]),                                   # (story, statement, label)
    "answer": (qa_examples, lambda one: (one["question"], one["context"])),         # a dict, SQuAD 2.0's fields
}


def draw(name, sizes, language="en", seed=5):
    """Training, development and test examples of a task, as many as `sizes` (3,) says; no two are the same.

    Raises ValueError for a size below 1, and for more examples than there are.
    """
    if min(sizes) < 1:
        raise ValueError(f"{sizes[0]} examples to learn from, {sizes[1]} to choose by and {sizes[2]} to report on: "
                         "each must be at least 1")
    source, key = SOURCES[name]
    seen, parts = set(), []
    for number, size in enumerate(sizes):
        part, rng = [], np.random.default_rng([seed, number, 1])
        while len(part) < size:
            before = len(part)
            for example in source(max(size, 100), rng, language):
                if len(part) < size and key(example) not in seen:
                    seen.add(key(example))
                    part.append(example)
            if len(part) == before:
                raise ValueError(f"{name}: there are hardly more than {len(seen)} different examples, and {sum(sizes)} "
                                 "were asked for")
        parts.append(part)
    return parts


def toy_task(name, splits, tokenizer, settings, workers):
    """The Task of learning from the first of `splits`, with the best epoch by the second, reported on the third.

    settings: an `experiment.FineTuning`. The first figure is the accuracy, of answers F1.
    """
    if name == "classify":
        pairs = [[(text, None, label) for text, label in part] for part in splits]
        return class_task(SENTIMENT_LABELS, pairs, tokenizer, settings, workers)
    if name == "infer":
        return class_task(NLI_LABELS, splits, tokenizer, settings, workers)
    training, development, test = splits
    if name == "tag":
        return tagging.task_of(training, development, tokenizer, settings, workers, test)[0]
    training, development, test = (passages(part, tokenizer, settings.max_length) for part in splits)
    return qa_task(tokenizer, training, development, workers, test=test, batch_size=settings.batch_size)


def class_task(names, splits, tokenizer, settings, workers):
    """The same for any texts with classes: `splits` of (text, pair or None, one of `names`)."""
    training, development, test = (
        encode([(text, pair, names.index(label)) for text, pair, label in part], tokenizer, settings.max_length)
        for part in splits)
    baseline = majority(*([label for _, label in part] for part in (training, test)), measure)
    return Task(AutoModelForSequenceClassification, {"num_labels": len(names), "id2label": dict(enumerate(names))},
                Shuffled(training, settings.batch_size, collate(tokenizer)),
                evaluate=evaluation(development, tokenizer, measure, workers),
                test=evaluation(test, tokenizer, measure, workers), baseline=baseline)


def measure(labels, predictions):
    return {"accuracy": accuracy(labels, predictions)}


def passages(part, tokenizer, max_length):
    """Questions in SQuAD's fields as Passages of tasks/squad/windows.py."""
    examples = [Example(f"{number}", one["question"], one["context"],
                        tuple(Answer(gold["text"], gold["answer_start"]) for gold in one["answers"]),
                        one["is_impossible"]) for number, one in enumerate(part)]
    return make_passages(examples, tokenizer, max_length=max_length)
