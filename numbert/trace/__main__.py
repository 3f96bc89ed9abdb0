"""The command: `python -m numbert.trace --help`."""
import argparse
import warnings
from pathlib import Path

import numpy as np

from .. import files, ops
from ..command import name_of, one_line
from ..models import cost
from ..models.bert import BertForPreTraining
from ..models.config import BertConfig
from ..text.wordpiece import WordPieceTokenizer
from . import __doc__ as description
from .report import page, summary, table
from .steps import trace

HOME = "runs/pretrain"                          # where examples/pretrain.py leaves its model
SEED = 0                                        # of the random model, and of the choice of the words to hide


def arguments():
    parser = argparse.ArgumentParser(prog="python -m numbert.trace", description=description.partition("Nothing")[0],
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("text", help='what to read; "..." "..." for two segments')
    add("pair", nargs="?", help="the second segment")
    add("--model", metavar="FOLDER", help=f"a BERT and its tokenizer (default: {HOME}, or if that is not there a "
        f"random BERT of 2 layers of 64, drawn with seed {SEED}, whose words are those of the text)")
    add("--backward", action="store_true", help="hide a seventh of the tokens ([MASK]) and show the gradient of "
        "pre-training's loss; with a second segment that of both of its losses")
    add("--html", metavar="FILE", help="write a page with all this and the attention of all heads")
    return parser


def load(folder, texts):
    """(model, tokenizer, where they are from)."""
    if folder is None and Path(HOME, "config.json").exists():
        folder = HOME
    if folder is not None:
        return BertForPreTraining.from_pretrained(folder), WordPieceTokenizer.from_pretrained(folder), folder
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")                 # that so short a text gives few words is known
        tokenizer = WordPieceTokenizer.train(texts, vocab_size=1000, min_frequency=1)
    config = BertConfig(vocab_size=len(tokenizer), hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
                        intermediate_size=256, initializer_range=0.1)
    return BertForPreTraining(config, rng=np.random.default_rng(SEED)), tokenizer, f"random BERT, seed {SEED}"


def hide(batch, encoding, mask_id, rng):
    """The batch of one text with a seventh of its tokens, at least one, replaced by [MASK] and made labels."""
    words = np.flatnonzero(np.equal(encoding.special_tokens_mask, 0) & (batch["input_ids"][0] != mask_id))
    if not len(words):
        raise ValueError("there is no word to hide, only [MASK]")
    hidden = rng.choice(words, max(1, len(words) // 7), replace=False)
    labels = np.full_like(batch["input_ids"], ops.IGNORE)
    labels[0, hidden] = batch["input_ids"][0, hidden]
    return batch | {"input_ids": np.where(labels == ops.IGNORE, batch["input_ids"], mask_id), "labels": labels}


def predicted(config, batch):
    """The operations of the forward pass, by models/cost.py."""
    tokens = batch["input_ids"].shape[1]
    if "labels" in batch:
        return cost.pretraining(config, [tokens], [int((batch["labels"] != ops.IGNORE).sum())])
    return (cost.encoder(config, [tokens]) + cost.masked_lm_head(config, tokens)
            + cost.classifier(config, 1, 2, pooled=True))


def show(options):
    model, tokenizer, source = load(options.model, [options.text, options.pair or ""])
    encoding = tokenizer(options.text, options.pair, special_tokens_in_text=True)
    if all(encoding.special_tokens_mask):
        raise ValueError(f"there is no word in {options.text!r}")
    batch = tokenizer.pad([encoding])
    if options.backward:
        batch = hide(batch, encoding, tokenizer.mask_token_id, np.random.default_rng(SEED))
        if options.pair is not None:
            batch["next_sentence_label"] = np.zeros(1, int)
    trace(model, batch, backward=options.backward)      # once unseen: the first run of anything is slow
    found, c = trace(model, batch, backward=options.backward), model.config
    size = sum(p.data.size for p in model.parameters())
    title = (f"{source}: L = {c.num_hidden_layers}, D = {c.hidden_size}, H = {c.num_attention_heads}, "
             f"F = {c.intermediate_size}, V = {c.vocab_size}, {size:,} parameters")
    tokens = tokenizer.convert_ids_to_tokens(batch["input_ids"][0].tolist())
    parts = ", ".join(f"{part} {count:,}" for part, count in predicted(c, batch).items())
    print(f"{title}\n{len(tokens)} tokens: {' '.join(tokens)}\n\n{table(found)}\n\n{summary(found)}")
    print(f"predicted by models/cost.py for the forward pass: {predicted(c, batch).total():,} ({parts})")
    if options.html:
        files.write_text(options.html, page(found, tokens, title))
        print(f"{options.html}: the same with the backward pass's equations, everybody who called, and all heads")


def main(argv=None):
    parser = arguments()
    options = parser.parse_args(argv)
    with one_line(name_of(parser)):
        show(options)


if __name__ == "__main__":
    main()
