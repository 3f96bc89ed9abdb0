"""The command: `python -m numbert.trace --help`."""
import argparse
import warnings
from pathlib import Path

import numpy as np

from ..hub import files
from ..models.bert import BertForPreTraining
from ..models.config import BertConfig
from ..tokenizers.auto import AutoTokenizer
from ..tokenizers.wordpiece import WordPieceTokenizer
from ..training.command import name_of, one_line
from . import __doc__ as description
from .report import page, summary, table
from .steps import trace
from .uses import Given, class_in, use_of

HOME = "runs/pretrain"                          # where examples/pretrain.py leaves its model
SEED = 0                                        # of the random model, and of the choice of the words to hide


def arguments():
    parser = argparse.ArgumentParser(prog="python -m numbert.trace", description=description.partition("Nothing")[0],
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("text", help='what to read; "..." "..." for two segments')
    add("pair", nargs="?", help="the second segment")
    add("--model", metavar="FOLDER", help="a BERT, RoBERTa, ALBERT or GPT-2, pre-trained or fine-tuned, and its "
        f"tokenizer; the class is that of its config.json (default: {HOME}, or if that is not there a random BERT of 2 "
        f"layers of 64, drawn with seed {SEED}, whose words are those of the text)")
    add("--backward", action="store_true", help="show the gradient of the loss too. Of pre-training: a seventh of the "
        "tokens is hidden ([MASK]), and with a second segment the loss of next sentences is added; of a GPT-2 that of "
        "the next words")
    add("--label", help="of a fine-tuned model, for --backward: the class (name or number), a class for each word "
        "(separated by spaces), or the answer as it stands in the second text (default: the model's own guess)")
    add("--html", metavar="FILE", help="write a page with all this and the attention of all heads")
    return parser


def load(folder, texts):
    """(model, tokenizer, where they come from, the report of loading)."""
    if folder is None and Path(HOME, "config.json").exists():
        folder = HOME
    if folder is not None:
        cls, named = class_in(folder)
        model = cls.from_pretrained(folder)
        said = "" if named else f"config.json names no class: taken for a {cls.__name__}\n"
        return model, AutoTokenizer.from_pretrained(folder), folder, f"{said}{model.load_report}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")                 # training warns that so short a text gives few words
        tokenizer = WordPieceTokenizer.train(texts, vocab_size=1000, min_frequency=1)
    config = BertConfig(vocab_size=len(tokenizer), hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
                        intermediate_size=256, initializer_range=0.1)
    return BertForPreTraining(config, rng=np.random.default_rng(SEED)), tokenizer, f"random BERT, seed {SEED}", ""


def show(options):
    if options.label is not None and not options.backward:
        raise ValueError("--label is for --backward")
    model, tokenizer, source, loaded = load(options.model, [options.text, options.pair or ""])
    encoding = tokenizer(options.text, options.pair, special_tokens_in_text=True)
    if all(encoding.special_tokens_mask):
        raise ValueError(f"there is no word in {options.text!r}")
    use, batch, labels = use_of(type(model)), model.accepted(tokenizer.pad([encoding])), ""
    if options.backward:
        if use.labels is None:
            raise ValueError(f"a {type(model).__name__} has no loss, so there is nothing for --backward")
        given = Given(options.text, options.pair, encoding, batch, options.label)
        batch, labels = use.labels(model, tokenizer, given, np.random.default_rng(SEED))
    trace(model, batch, backward=options.backward)      # a run to warm up: the first one is slow
    found, c = trace(model, batch, backward=options.backward), model.config
    size = sum(p.data.size for p in model.parameters())
    title = (f"{source}: L = {c.num_hidden_layers}, D = {c.hidden_size}, H = {c.num_attention_heads}, "
             f"F = {c.intermediate_size}, V = {c.vocab_size}, {size:,} parameters, a {type(model).__name__}")
    tokens = tokenizer.convert_ids_to_tokens(batch["input_ids"][0].tolist())
    operations = use.predicted(c, batch)
    parts = ", ".join(f"{part} {count:,}" for part, count in operations.items())
    head = "\n".join(filter(None, [title, loaded, f"{len(tokens)} tokens: {' '.join(tokens)}", labels]))
    print(f"{head}\n\n{table(found)}\n\n{summary(found)}")
    print(f"predicted by models/cost.py for the forward pass: {operations.total():,} ({parts})")
    if options.html:
        files.write_text(options.html, page(found, tokens, title))
        print(f"{options.html}: the same with the backward pass's equations, all callers, and all heads")


def main(argv=None):
    parser = arguments()
    options = parser.parse_args(argv)
    with one_line(name_of(parser)):
        show(options)


if __name__ == "__main__":
    main()
