"""A class for a text or for a pair of texts: sentiment, inference, paraphrase, stance, acceptability.

The text becomes [CLS] text [SEP], the pair [CLS] text [SEP] pair [SEP]; a linear layer on the first token's vector
gives a score for each class (Devlin et al. 2019, figure 4a and b). With one score and no softmax it is a number
instead: how similar are two sentences, from 0 to 5?
"""
from collections import Counter

import numpy as np

from ..recording import no_grad


def encode(rows, tokenizer, max_length):
    """[(Encoding, label), ...] of rows (text, pair, label): pair None for a single text; further entries are ignored.

    label: a class id, a float for regression, or C numbers 0 and 1 where several classes may hold. Of texts too long
    for `max_length` tokens the longer one is cut. Raises ValueError if not even a token of each text would be left, and
    for an example without any token: an empty text, where the tokenizer puts nothing around it.
    """
    for pair in {None if row[1] is None else "" for row in rows}:
        needed = len(tokenizer("", pair)) + (1 if pair is None else 2)
        if max_length < needed:
            raise ValueError(f"max_length must be at least {needed} (a token of each text, and the special tokens "
                             f"around them), got {max_length}")
    examples = []
    for text, pair, label, *_ in rows:
        examples.append((tokenizer(text, pair, max_length=max_length), label))
        if not len(examples[-1][0]):
            raise ValueError(f"the text of example {len(examples)} is empty, and this tokenizer puts no tokens around "
                             "it: there is nothing to read")
    return examples


def collate(tokenizer):
    """A function that makes a batch of such examples: what `tokenizer.pad` gives, and labels."""
    def batch_of(examples):
        batch = tokenizer.pad([encoding for encoding, _ in examples], side="right")
        return batch | {"labels": np.array([y for _, y in examples])}
    return batch_of


def predict(model, tokenizer, examples, workers, batch_size=64):
    """Logits (B, C) for B `encode`d examples, in their order. Their labels are ignored."""
    def logits(start):
        with no_grad():
            batch = tokenizer.pad([x for x, _ in examples[start:start + batch_size]], side="right")
            return model(**model.accepted(batch)).logits.data
    return np.concatenate(workers.share(logits, range(0, len(examples), batch_size)))


def softmax(logits):
    """Probabilities (..., C), float64, of logits (..., C)."""
    shares = np.exp(np.asarray(logits, np.float64) - logits.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True)


def decide(config, logits):
    """Decisions from logits (B, C): class ids (B,); numbers (B,) for regression; for several classes 0 or 1 (B, C)."""
    if config.problem_type == "multi_label_classification":
        return (logits > 0).astype(np.int64)
    if config.problem_type == "regression" or config.num_labels == 1:
        return logits[:, 0].astype(np.float64)
    return logits.argmax(-1)


def evaluation(examples, tokenizer, measure, workers):
    """evaluate(model) -> measure(labels, decisions), a dict of figures, for `training.finetuning`."""
    labels = np.array([label for _, label in examples])

    def evaluate(model):
        return measure(labels, decide(model.config, predict(model, tokenizer, examples, workers)))
    return evaluate


def majority(training_labels, labels, measure):
    """The figures of a constant prediction for `labels`: the most frequent class of the training labels (the lowest of
    equally frequent ones), or their mean if they are floats."""
    if isinstance(training_labels[0], float):
        answer = sum(training_labels) / len(training_labels)
    else:
        counts = Counter(training_labels)
        answer = min(counts, key=lambda label: (-counts[label], label))
    return measure(np.array(labels), np.array([answer] * len(labels)))


def balanced_weights(training_labels, classes):
    """Class weights (C,) that give every class the same total weight, 1 on average over the examples:
    examples / (classes that occur · examples of the class), and 0 for a class that does not occur."""
    counts = np.bincount([label for label in training_labels if label >= 0], minlength=classes)
    return np.where(counts, counts.sum() / (np.maximum(counts, 1) * (counts > 0).sum()), 0.0)


def classify(model, tokenizer, text, pair=None):
    """{label: probability}, the likeliest first, for one text or pair; for regression the number.

    Labels have the names in the model's configuration, or are 0, 1, ... With several classes at once the probabilities
    are independent and do not add up to 1.
    """
    config = model.config
    with no_grad():
        [(encoding, _)] = encode([(text, pair, None)], tokenizer, config.max_tokens)
        logits = model(**model.accepted(tokenizer.pad([encoding], side="right"))).logits.data[0].astype(np.float64)
    if config.problem_type == "regression" or config.num_labels == 1:
        return float(logits[0])
    if config.problem_type == "multi_label_classification":
        shares = 0.5 * (1 + np.tanh(0.5 * logits))
    else:
        shares = softmax(logits)
    return {config.label_names[i]: float(shares[i]) for i in np.argsort(-shares, kind="stable").tolist()}
