"""Why do pre-trained weights help? Control models whose weights have the same sizes but nothing learnt.

shuffled      the entries of each parameter in random order: the same values, so the same mean and spread
same norms    new random weights, each parameter as long as the pre-trained one

If fine-tuning from one of these is as good as from the pre-trained model, then the size of the weights was what helped.
"""
import numpy as np

from ..models.auto import AutoModelForPreTraining
from ..tokenizers.auto import AutoTokenizer
from ..training.run_folder import RunFolder


def shuffled(array, rng):
    """The entries of an array in random order."""
    return rng.permutation(array.reshape(-1)).reshape(array.shape)


def same_norm(array, rng):
    """Normal noise of the array's shape, dtype and Euclidean length."""
    noise = rng.standard_normal(array.shape)
    return (noise * (np.linalg.norm(array) / np.linalg.norm(noise))).astype(array.dtype)


def changed(folder, out, change, seed=0):
    """A copy of the pre-trained model and its tokenizer in `folder`, with change(array, rng) for each parameter's
    array, in the folder `out`. Gives `out`."""
    model, rng = AutoModelForPreTraining.from_pretrained(folder), np.random.default_rng(seed)
    for parameter in model.parameters():
        parameter.data[...] = change(parameter.data, rng)
    out = RunFolder(out).path
    model.save_pretrained(out)
    AutoTokenizer.from_pretrained(folder).save_pretrained(out)
    return out
