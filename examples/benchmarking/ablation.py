"""Where the time goes: numbert without each of its three ideas, and without all of them.

    packing       every op computes the padding, too; attention still does not look at it
    masked rows   the last layer is computed for every token, and so are the scores of all words
    parts         the batch is computed in one piece, with all threads inside each product of matrices

The results are the same in all cases, which the benchmark checks. Without all three it is what most people would write
first. The ideas are taken out here, from the outside, so that numbert itself has no switch for being slow.
"""
import types
from dataclasses import dataclass
from functools import partial

import numpy as np

from numbert import ops
from numbert.machine import blas_threads
from numbert.models.pretrained import correct
from numbert.packing import Packed
from numbert.training import parallel
from numbert.training.parallel import Workers

from .training import NumbertTraining

IDEAS = ("packing", "masked rows", "parts")


class Without(NumbertTraining):
    def __init__(self, case, ideas):
        super().__init__(case)
        body = self.model.body
        if "packing" in ideas:
            body.pack = partial(rectangle, body.pack)
        if "masked rows" in ideas:
            self.model.read = types.MethodType(read_everywhere, self.model)
        if "parts" in ideas:
            self.workers.__exit__()
            self.workers, parallel.PART_TOKENS = Workers(1).__enter__(), 1 << 60
            self.blas = blas_threads(case.threads)          # kept: it is undone when it is forgotten
            self.blas.__enter__()


@dataclass(frozen=True)
class Rectangle(Packed):
    """All B·T tokens as rows, padding too; of sequence b the first lengths[b] are real and can be attended to."""
    lengths: np.ndarray = None      # (B,)

    def buckets(self, rows=None):
        rows = np.arange(len(self.ids)) if rows is None else rows
        return [bucket._replace(keys=slice(bucket.keys.start, bucket.keys.start + length))
                for bucket, length in zip(super().buckets(rows), self.lengths, strict=True)]


def rectangle(pack, input_ids, token_type_ids, attention_mask):
    """What `pack` gives if it takes padding for text."""
    packed = pack(input_ids, token_type_ids, np.ones_like(attention_mask))
    return Rectangle(**vars(packed), lengths=attention_mask.sum(1))


def read_everywhere(model, packed, targets, rng):
    """`BertForPreTraining.read` with labels, for all rows: those without a label are left to the loss."""
    x = model.body.encode(packed, rng=rng)
    logits = model.mlm(x, model.body.embeddings.word.weight)
    loss = ops.cross_entropy(logits, labels=targets["mlm"])
    return model.body.pool(ops.take(x, ids=packed.first_rows())), {
        "losses": {"mlm": loss}, "correct": {"mlm": correct(logits, targets["mlm"])}, "prediction_logits": logits}


CONTENDERS = {"numbert": NumbertTraining,
              **{f"without {idea}": partial(Without, ideas=(idea,)) for idea in IDEAS},
              "without all three": partial(Without, ideas=IDEAS)}
