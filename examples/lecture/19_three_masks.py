# %% [markdown]
"""One block, three masks: not the weights but the mask decides whether a Transformer reads or writes.

    python examples/lecture/19_three_masks.py  a few seconds
    python examples/lecture/19_three_masks.py --text "a text of your own, a few words"

The same weights read the same text three times. The gradient of each token's output by each token's input is computed:
where it is 0, the output does not depend on that input, through any number of layers.

    bidirectional   every token sees every token: BERT, which reads
    causal          a token sees itself and those before it: GPT, which writes, since the next word is not there yet
    prefix          the first n tokens see each other, those after them see these and go on as under the causal mask: a
                    model that reads a question and writes an answer (Raffel et al. 2020, section 3.2.1)
"""
# %%
import argparse

import numpy as np

from numbert import BertConfig, BertModel, gradients, ops
from numbert.lab import laboratory, svg
from numbert.training import command

parser = argparse.ArgumentParser(prog="three_masks.py", description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--text", default="where is tom ? he is in the kitchen", help="(default: %(default)s)")
parser.add_argument("--prefix", type=int, default=4, help="tokens read from both sides (default: %(default)s)")
parser.add_argument("--layers", type=int, default=2, help="(default: %(default)s)")
parser.add_argument("--quick", dest="as_ever", action="store_true", help="changes nothing: it takes a second anyway")
parser.add_argument("--out", default="runs/three_masks", help="where the pictures go (default: %(default)s)")
options, _ = command.begin(parser)
words = options.text.split()
if len(words) < 2:
    raise ValueError(f"--text must have two words or more, got {options.text!r}")
results = laboratory.Results(options)

# %% One text, three masks: what each token may look at
masks = {"bidirectional": None, "causal": ops.causal, "prefix": ops.prefix(options.prefix)}
places = np.arange(len(words))
for name, mask in masks.items():
    allowed = np.ones((len(words),) * 2, bool) if mask is None else mask(places, places)
    print(f"{name}:")
    for word, row in zip(words, allowed, strict=True):
        print(f"  {word:>12}  may look at: " + " ".join(w for w, may in zip(words, row, strict=True) if may))
    print()

# %% Who sees whom
# Ask one output for its gradient by every input. Zero means: whatever stood there, this output would be the same.


def influence(model, ids):
    """(T, T): how much output i depends on input j, the length of the gradient; each row divided by its largest."""
    T, size = len(ids), model.config.hidden_size
    lengths = np.zeros((T, T))
    for i in range(T):
        upstream = np.zeros((1, T, size))
        upstream[0, i] = np.random.default_rng(i).standard_normal(size)
        # a token's input is what it is plus where it stands, and each place has a row of its own in the table of places
        x = model(ids[None], attention_mask=np.ones_like(ids)[None]).last_hidden_state      # id 0 is a word here
        gradient, = gradients(x, [model.embeddings.position.weight], upstream)
        lengths[i] = np.linalg.norm(gradient[:T], axis=1)
    return lengths / lengths.max(axis=1, keepdims=True)


# %% The same weights under three masks
vocabulary = sorted(set(words))
ids = np.array([vocabulary.index(word) for word in words])
config = BertConfig(vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=options.layers,
                    num_attention_heads=4, intermediate_size=128, max_position_embeddings=len(words),
                    initializer_range=0.3)
model = BertModel(config, rng=np.random.default_rng(0), dtype=np.float64, add_pooling_layer=False)
seen = {}
for name, mask in masks.items():
    model.mask = mask                                   # this line is all that differs
    seen[name] = influence(model, ids)
    print(f"\n{name}: {int((seen[name] > 0).sum())} of {seen[name].size} pairs see each other")
    for word, row in zip(words, seen[name], strict=True):
        print(f"  {word:>12}  " + " ".join("#" if x > 0 else "." for x in row))

# %% The pictures
# Look at the first row: under the causal mask it knows its own word only. Look at the last row: it sees everything each
# time, so the last word of a text can be asked what the whole text says, or which word comes next.
print()
pictures = {name: results.draw(name, svg.heat_map(f"{name}: how much a row depends on a column", words, matrix))
            for name, matrix in seen.items()}
pictures["prefix"]                                      # which a notebook shows

# %% The takeaway
pairs = ", ".join(f"{int((matrix > 0).sum())} ({name})" for name, matrix in seen.items())
laboratory.end(
    options, f"of {len(words)**2} pairs of tokens, with the same weights, this many see each other: {pairs}; under the "
    f"causal mask {int((np.triu(seen['causal'], 1) > 0).sum())} of them look into the future, through {options.layers} "
    "layers.", "--layers 8 (does more depth bring anything from the future?), --prefix 1 and --prefix 9.")
