"""A small folder of each family, as pre-training leaves it, and texts for it: for tests that walk all four."""
import numpy as np

import numbert as nb
from numbert.pretraining.families import FAMILIES, build_model, train_tokenizer
from numbert.training.experiment import without_reports

TEXTS = ["the old cat saw a dog in the garden", "where is the dog now ? it is in the kitchen .",
         "good films are long , bad films are longer", "anna went to the kitchen and bob to the garden ."] * 3
LONGEST = 24                                            # tokens that each of the models takes


def write(folder, family, longest=LONGEST, **more):
    """(model, tokenizer), both saved in `folder`. longest: tokens that the model takes."""
    tokenizer = train_tokenizer(family, TEXTS, {"roberta": 300, "gpt": 300}.get(family, 60))
    model = build_model(family, tokenizer, layers=2, width=16, heads=2, max_positions=longest,
                        rng=np.random.default_rng(0), **more)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model, tokenizer


def write_with_head(folder, family, head, longest=LONGEST, **changes):
    """The same with a head, "ForSequenceClassification" ..., or "Model", and weights far from 0: it has opinions."""
    _, tokenizer = write(folder, family, longest)
    rng = np.random.default_rng(1)
    with without_reports():
        model = getattr(nb, "AutoModel" + head.removeprefix("Model")).from_pretrained(folder, rng=rng, **changes)
    for p in model.parameters():
        p.data = p.data + (0.2 * rng.standard_normal(p.shape)).astype(p.dtype)
    model.save_pretrained(folder)
    return model, tokenizer


__all__ = ["FAMILIES", "LONGEST", "TEXTS", "write", "write_with_head"]
