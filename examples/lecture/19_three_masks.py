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
import argparse

import numpy as np

from numbert import BertConfig, BertModel, gradients, ops
from numbert.hub import files
from numbert.lab import svg
from numbert.training import command
from numbert.training.run_folder import RunFolder


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", default="where is tom ? he is in the kitchen", help="(default: %(default)s)")
    parser.add_argument("--prefix", type=int, default=4, help="tokens read from both sides (default: %(default)s)")
    parser.add_argument("--layers", type=int, default=2, help="(default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="changes nothing here: it takes a second anyway")
    parser.add_argument("--out", default="runs/three_masks", help="where the pictures go (default: %(default)s)")
    return parser


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


def main(argv=None):
    parser = arguments()
    options = command.parse(parser, argv)
    with command.one_line(command.name_of(parser)):
        show(options)


def show(options):
    words = options.text.split()
    if len(words) < 2:
        raise ValueError(f"--text must have two words or more, got {options.text!r}")
    vocabulary = sorted(set(words))
    ids = np.array([vocabulary.index(word) for word in words])
    config = BertConfig(vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=options.layers,
                        num_attention_heads=4, intermediate_size=128, max_position_embeddings=len(words),
                        initializer_range=0.3)
    model = BertModel(config, rng=np.random.default_rng(0), dtype=np.float64, add_pooling_layer=False)
    run_folder = RunFolder(options.out).hold()          # ours as long as we are there
    out = run_folder.path
    for name, mask in (("bidirectional", None), ("causal", ops.causal), ("prefix", ops.prefix(options.prefix))):
        model.mask = mask                                   # this line is all that differs
        seen = influence(model, ids)
        files.write_text(out / f"{name}.svg", svg.heat_map(f"{name}: row sees column", words, seen))
        print(f"\n{name}: {int((seen > 0).sum())} of {seen.size} pairs see each other")
        for word, row in zip(words, seen, strict=True):
            print(f"  {word:>12}  " + " ".join("#" if x > 0 else "." for x in row))
    print(f"""
In {out}: bidirectional.svg, causal.svg and prefix.svg, with the strengths. Look at the first row: under the
causal mask it knows its own word only. Look at the last row: it sees everything each time, so the last word of a text
can be asked what the whole text says, or which word comes next.
Try next: --layers 8 (does more depth bring anything from the future?), --prefix 1 and --prefix 9.""")


if __name__ == "__main__":
    main()
