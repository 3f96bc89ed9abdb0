"""One worked instance: what a model gets, what is asked of it, and what it answers, as a text to print."""
import dataclasses
import math

import numpy as np

from ..models.heads import BertForSequenceClassification
from ..ops import IGNORE
from ..ops.attention import softmax
from ..recording import no_grad
from ..tasks.classification import classify
from .bodies import Recipe, config_of


def hidden_words(model, tokenizer, input_ids, labels, best=5):
    """A line for each word that is asked for in one text, ids and labels (T,): the word, what the model gets in its
    place, and the loss -ln p(the word); the `best` guesses and their probabilities. Below, the mean: the loss of the
    text."""
    probabilities = softmax(answer(model, input_ids=input_ids, labels=labels).prediction_logits.data.astype(np.float64))
    asked, names = labels != IGNORE, tokenizer.tokens                               # probabilities: (M, V)
    lines, losses = [f"{'the word':12}{'is given as':13}{'p(word)':>7}{'-ln p':>7}   the {best} best guesses"], []
    for word, given, shares in zip(labels[asked], input_ids[asked], probabilities, strict=True):
        losses.append(-math.log(shares[word]))
        guesses = ", ".join(f"{names[i]} {shares[i]:.3f}" for i in np.argsort(-shares, kind="stable")[:best])
        lines.append(f"{names[word]:12}{names[given]:13}{shares[word]:7.3f}{losses[-1]:7.3f}   {guesses}")
    return "\n".join([*lines, f"{'mean':32}{np.mean(losses):7.3f}"])


def in_order(model, row):
    """The probability by a model for pre-training that B of a pair belongs behind A (label 0). row: {name: (T,)}."""
    logits = answer(model, **row).seq_relationship_logits.data.astype(np.float64)
    return float(softmax(logits)[0, 0])


def untrained_classifier(tokenizer, names):
    """A BertForSequenceClassification that has learnt nothing, for classes with these names."""
    config = dataclasses.replace(config_of(Recipe(), len(tokenizer)), num_labels=len(names),
                                 id2label=dict(enumerate(names)))
    return BertForSequenceClassification(config, rng=np.random.default_rng(0))


def text_class(model, tokenizer, text, pair, label):
    """What a model for classes gets of a text or a pair, the probability of each class, and -ln p(label)."""
    shares = classify(model, tokenizer, text, pair)
    said = ", ".join(f"{name} {share:.3f}" for name, share in shares.items())
    return (f"the model gets  {' '.join(tokenizer(text, pair).tokens)}\nthe label       {label}\n"
            f"the model says  {said}\n-ln p(label)    {-math.log(shares[label]):.3f}")


def answer(model, **row):
    """The model's output for a batch of one text: arrays (T,), or a label ()."""
    with no_grad():
        return model(**{name: np.asarray(values)[None] for name, values in row.items()})
