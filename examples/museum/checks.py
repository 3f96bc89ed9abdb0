"""What has to hold, whoever wrote the code: the register of the checks, and the tiny things that they look at.

Each check is small, takes milliseconds (derivatives: half a second), and knows nothing of the bugs. They are in
`model_checks.py`, `data_checks.py` and `training_checks.py`.
"""
import numpy as np

from numbert import BertConfig, BertForPreTraining
from numbert.ops import IGNORE
from numbert.pretraining.batches import PretrainingData
from numbert.training.loop import train
from numbert.training.parallel import Workers

CHECKS = {}
WORDS, PLACES, PAD, CLS, SEP, MASK = 40, 12, 0, 2, 3, 4


class CheckFailed(AssertionError):
    """Says what was expected and what was found."""


def check(function):
    """Decorator: puts a check into the register, by its name."""
    CHECKS[function.__name__] = function
    return function


def failed(name):
    """What the check of this name has found wrong, in words; None if nothing. A crash counts as found."""
    try:
        with np.errstate(all="ignore"):
            CHECKS[name]()
    except CheckFailed as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def equal(what, found, expected, rtol=1e-9, atol=1e-12):
    """Raises CheckFailed, with the first place where two arrays differ."""
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape:
        raise CheckFailed(f"{what}: shape {found.shape}, expected {expected.shape}")
    wrong = ~np.isclose(found, expected, rtol=rtol, atol=atol, equal_nan=False)
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise CheckFailed(f"{what}{list(place) if place else ''}: found {found[place]}, expected {expected[place]}")


def holds(what, condition):
    """Raises CheckFailed(what) unless the condition is true."""
    if not condition:
        raise CheckFailed(what)


# ---- what the checks look at -----------------------------------------------------------------------------------------


SIZES = dict(vocab_size=WORDS, hidden_size=12, num_hidden_layers=2, num_attention_heads=3, intermediate_size=20,
             initializer_range=0.3)


def bert(cls=BertForPreTraining, dropout=0.0, **changes):
    """Two layers of width 12 in float64, drawn, not trained."""
    config = BertConfig(**SIZES | {"max_position_embeddings": PLACES, "hidden_dropout_prob": dropout,
                                   "attention_probs_dropout_prob": dropout} | changes)
    return cls(config, rng=np.random.default_rng(0), dtype=np.float64)


def batch(lengths=(9, 12, 5, 7)):
    """Texts of these lengths, with a label on two or three tokens of each and one for each text."""
    rng, lengths = np.random.default_rng(1), np.array(lengths)
    mask = np.arange(lengths.max()) < lengths[:, None]
    labelled = mask & (rng.random(mask.shape) < 0.3)
    labelled[:, 1] = True
    return {"input_ids": np.where(mask, rng.integers(5, WORDS, mask.shape), PAD),
            "attention_mask": mask.astype(np.int64),
            "labels": np.where(labelled, rng.integers(0, WORDS, mask.shape), IGNORE),
            "next_sentence_label": np.arange(len(lengths)) % 2}


class Words:
    """A tokenizer for texts that are numbers already."""
    pad_token_id, unk_token_id, cls_token_id, sep_token_id, mask_token_id = PAD, 1, CLS, SEP, MASK
    all_special_ids = (PAD, 1, CLS, SEP, MASK)
    vocab = {str(i): i for i in range(WORDS)}
    continues = [False] * WORDS

    def encode_batch(self, texts, add_special_tokens):
        return [[int(word) for word in text.rstrip(".").split()] for text in texts]


def pairs(documents=20, **options):
    """Pre-training data of documents of six sentences of three words."""
    rng = np.random.default_rng(2)
    texts = [[" ".join(map(str, rng.integers(5, WORDS, 3))) + "." for _ in range(6)] for _ in range(documents)]
    return PretrainingData(texts, Words(), max_length=PLACES, **{"batch_size": 4} | options)


class Recorder:
    """Stands where the optimiser stands, moves nothing, and keeps what it was asked to follow."""

    def __init__(self):
        self.rates, self.gradients = [], []

    def step(self, gradients, lr, workers, *, scale=1.0):
        self.rates.append(lr)
        self.gradients.append([g * scale for g in gradients])


def steps(model, batches, optimizer, **options):
    """The list of steps that training takes over these batches."""
    with Workers(1) as workers:
        return list(train(model, iter(batches), optimizer=optimizer, workers=workers, seed=0,
                          **{"lr": lambda step: 1e-2, "steps": len(batches)} | options))
