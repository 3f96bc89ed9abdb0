"""What can be traced: the class that a folder holds, how many operations it should take, and labels for its loss.

A folder says in config.json, under `architectures`, which class was saved there. A loss needs labels: words that are
hidden, a class for the text, a class for each word, or the place of an answer. Labels that are not given are the
model's prediction, the highest score.
"""
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .. import ops
from ..models import cost
from ..models.albert import AlbertForPreTraining
from ..models.auto import CLASSES, AutoModelForPreTraining, named_class
from ..models.bert import BertForPreTraining, BertModel
from ..models.gpt2 import GPT2ForSequenceClassification, GPT2LMHeadModel, GPT2Model
from ..models.heads import (
    BertForMaskedLM,
    BertForNextSentencePrediction,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
)
from ..recording import no_grad


class Given(NamedTuple):
    """The input: the two texts (pair: None for none), their `Encoding`, its batch of one, and the label that
    was given, in words (None for none)."""
    text: str
    pair: str | None
    encoding: object
    batch: dict
    label: str | None


class Use(NamedTuple):
    """labels(model, tokenizer, given, rng): (the batch with labels, what they are in words); None: there is no loss.
    predicted(config, batch): the operations of the forward pass, a Counter."""
    labels: Callable | None
    predicted: Callable


def use_of(kind):
    """The `Use` of a class of models: its own, or that of the class that it is made of; None if it has none."""
    return next((USES[cls] for cls in kind.__mro__ if cls in USES), None)


def class_in(folder):
    """(the class of the model in a folder, whether config.json names it): if not, that of its family's pre-training.
    Raises CheckpointError if it cannot be traced."""
    named = named_class(folder, {name: cls for name, cls in CLASSES.items() if use_of(cls)})
    return named or AutoModelForPreTraining.class_of(folder), named is not None


# ---- labels ----------------------------------------------------------------------------------------------------------


def hidden_words(model, tokenizer, given, rng):
    """A seventh of the tokens, at least one, replaced by [MASK]; and a second segment follows the first."""
    if given.label is not None:
        raise ValueError(f"{type(model).__name__} learns from words that are hidden: it takes no --label")
    ids = given.batch["input_ids"]
    words = np.flatnonzero(np.equal(given.encoding.special_tokens_mask, 0) & (ids[0] != tokenizer.mask_token_id))
    if not len(words):
        raise ValueError("there is no word to hide, only [MASK]")
    hidden = np.sort(rng.choice(words, max(1, len(words) // 7), replace=False))
    labels = np.full_like(ids, ops.IGNORE)
    labels[0, hidden] = ids[0, hidden]
    batch = given.batch | {"input_ids": np.where(labels == ops.IGNORE, ids, tokenizer.mask_token_id), "labels": labels}
    if isinstance(model, BertForPreTraining) and given.pair is not None:
        order = isinstance(model, AlbertForPreTraining)
        batch["sentence_order_label" if order else "next_sentence_label"] = np.zeros(1, int)
    return batch, "hidden: " + " ".join(tokenizer.convert_ids_to_tokens(ids[0, hidden].tolist()))


def next_words(model, tokenizer, given, rng):
    """Every token but the first is guessed from those before it."""
    if given.label is not None:
        raise ValueError(f"{type(model).__name__} learns from the words that follow: it takes no --label")
    if len(given.encoding) < 2:
        raise ValueError("there is no next word to guess in a text of one token")
    labels = given.batch["input_ids"].copy()
    labels[0, 0] = ops.IGNORE
    return given.batch | {"labels": labels}, "to guess: each token but the first"


def class_of_the_text(model, tokenizer, given, rng):
    """One class; or a number (or several); or, where the classes are independent, all that hold."""
    names = names_of(model)
    kind = model.config.problem_type if isinstance(model, BertForSequenceClassification) else None
    if kind == "regression" or (kind is None and len(names) == 1):
        if given.label is None:
            raise ValueError(f"this {type(model).__name__} gives a number, and its own guess has no gradient: give "
                             "another one, --label NUMBER")
        return given.batch | {"labels": np.array([[number(word) for word in given.label.split()]])}, \
            f"label: {given.label}"
    if kind == "multi_label_classification":
        chosen = [numbered(word, names) for word in given.label.split()] if given.label is not None else \
            np.flatnonzero(guess(model, given).logits.data[0] > 0).tolist()
        return (given.batch | {"labels": np.isin(np.arange(len(names)), chosen)[None].astype(float)},
                f"labels: {' '.join(names[i] for i in chosen) or '(none)'}{by(given)}")
    label = (numbered(given.label, names) if given.label is not None else
             int(guess(model, given).logits.data[0].argmax()))
    return given.batch | {"labels": np.array([label])}, f"label: {names[label]}{by(given)}"


def class_of_each_word(model, tokenizer, given, rng):
    """One class for each word, at its first token."""
    names = names_of(model)
    places = list(zip(given.encoding.sequence_ids, given.encoding.word_ids, strict=True))
    first = [t for t, place in enumerate(places) if place[0] is not None and place not in places[:t]]
    if given.label is None:
        chosen = guess(model, given).logits.data[0, first].argmax(-1).tolist()
    else:
        chosen = [numbered(word, names) for word in given.label.split()]
    if len(chosen) != len(first):
        words = " ".join(given.encoding.tokens[t] for t in first)
        raise ValueError(f"--label must name a class for each of {len(first)} words ({words}), got {len(chosen)}")
    labels = np.full_like(given.batch["input_ids"], ops.IGNORE)
    labels[0, first] = chosen
    return given.batch | {"labels": labels}, f"labels: {' '.join(names[i] for i in chosen)}{by(given)}"


def place_of_the_answer(model, tokenizer, given, rng):
    """First and last token of the answer in the second text; "" for no answer, which is the first token, [CLS]."""
    if given.pair is None:
        raise ValueError(f"{type(model).__name__} reads a question and a text: give both")
    document = [t for t, which in enumerate(given.encoding.sequence_ids) if which == 1]
    if not document:
        raise ValueError(f"there is no word in {given.pair!r}")
    offsets = [given.encoding.offsets[t] for t in document]
    if given.label is None:
        output = guess(model, given)
        scores = output.start_logits.data[0, document][:, None] + output.end_logits.data[0, document]
        i, j = np.unravel_index(np.where(np.tri(len(document), dtype=bool).T, scores, -np.inf).argmax(), scores.shape)
        inside = [i, j]
    elif given.label:
        start = given.pair.find(given.label)
        inside = [k for k, (a, b) in enumerate(offsets) if start >= 0 and a < start + len(given.label) and b > start]
        if not inside:
            raise ValueError(f"--label {given.label!r} is not a part of the second text")
    else:
        inside = []
    first, last = (document[inside[0]], document[inside[-1]]) if inside else (0, 0)
    found = repr(given.pair[offsets[inside[0]][0]:offsets[inside[-1]][1]]) if inside else "none"
    return (given.batch | {"start_positions": np.array([first]), "end_positions": np.array([last])},
            f"answer: {found}, columns {first} to {last}{by(given)}")


def names_of(model):
    """The classes' names, in the order of their numbers."""
    if isinstance(model, BertForNextSentencePrediction) and model.config.num_labels != 2:
        return ["0", "1"]
    return [str(model.config.label_names.get(i, i)) for i in range(model.config.num_labels)]


def numbered(word, names):
    """The number of a class, by its name or as a number."""
    if word in names:
        return names.index(word)
    if word.isascii() and word.isdigit() and int(word) < len(names):
        return int(word)
    raise ValueError(f"--label must be one of {', '.join(names)}; got {word!r}")


def number(word):
    try:
        return float(word)
    except ValueError:
        raise ValueError(f"--label must be a number, got {word!r}") from None


def guess(model, given):
    with no_grad():
        return model(**given.batch)


def by(given):
    return " (the model's own guess)" if given.label is None else ""


# ---- operations ------------------------------------------------------------------------------------------------------


def of_body(config, batch):
    return cost.encoder(config, _lengths(batch)) + cost.classifier(config, 1, 0, pooled=True)


def of_pretraining(config, batch):
    if "labels" in batch:
        return cost.pretraining(config, _lengths(batch), [(batch["labels"] != ops.IGNORE).sum()])
    return (cost.encoder(config, _lengths(batch)) + cost.masked_lm_head(config, *_lengths(batch))
            + cost.classifier(config, 1, 2, pooled=True))


def of_hidden_words(config, batch):
    if "labels" in batch:
        return cost.masked_language_modelling(config, _lengths(batch), [(batch["labels"] != ops.IGNORE).sum()])
    return cost.encoder(config, _lengths(batch)) + cost.masked_lm_head(config, *_lengths(batch))


def of_next_sentence(config, batch):
    return cost.encoder(config, _lengths(batch), [1]) + cost.classifier(config, 1, 2, pooled=True)


def of_text(config, batch):
    return cost.encoder(config, _lengths(batch), [1]) + cost.classifier(config, 1, config.num_labels, pooled=True)


def of_each_word(config, batch):
    return cost.encoder(config, _lengths(batch)) + cost.classifier(config, *_lengths(batch), config.num_labels)


def of_answer(config, batch):
    return cost.encoder(config, _lengths(batch)) + cost.classifier(config, *_lengths(batch), 2)


def of_gpt2_body(config, batch):
    return cost.encoder(config, _lengths(batch))


def of_next_words(config, batch):
    if "labels" in batch:
        return cost.language_modelling(config, _lengths(batch))
    return cost.encoder(config, _lengths(batch)) + cost.causal_lm_head(config, *_lengths(batch))


def of_gpt2_text(config, batch):
    return cost.encoder(config, _lengths(batch), [1]) + cost.classifier(config, 1, config.num_labels)


def _lengths(batch):
    return [batch["input_ids"].shape[1]]


USES = {                                            # RoBERTa's and ALBERT's classes are made of BERT's
    BertModel: Use(None, of_body),
    BertForPreTraining: Use(hidden_words, of_pretraining),
    BertForMaskedLM: Use(hidden_words, of_hidden_words),
    BertForNextSentencePrediction: Use(class_of_the_text, of_next_sentence),
    BertForSequenceClassification: Use(class_of_the_text, of_text),
    BertForTokenClassification: Use(class_of_each_word, of_each_word),
    BertForQuestionAnswering: Use(place_of_the_answer, of_answer),
    GPT2Model: Use(None, of_gpt2_body),
    GPT2LMHeadModel: Use(next_words, of_next_words),
    GPT2ForSequenceClassification: Use(class_of_the_text, of_gpt2_text),
}
