"""Fine-tuning in two minutes, offline: a small BERT reads toy stories, then learns a task from few examples.

What the examples share: `pretrained` gives the body, from a run folder if one is there; `splits` draws labelled
examples; `compare` fine-tunes the body beside the same model from scratch, with several seeds, and says whether the
difference is more than luck.
"""
import argparse
import json
import statistics
from pathlib import Path

import numpy as np

from .. import files, svg
from ..models.bert import BertForPreTraining
from ..models.config import BertConfig
from ..text.toyworld import LANGUAGES, documents, nli_examples, qa_examples
from ..text.wordpiece import SPECIAL_TOKENS, WordPieceTokenizer
from ..training.finetuning import save
from ..training.loop import train
from ..training.optimizer import AdamW, linear_schedule
from ..training.run_folder import Progress
from ..training.seeds import table
from .evaluation import evaluate
from .experiment import add_options, run, save_runs
from .pretraining import PretrainingData

QUICK = {"pretraining_steps": 20, "examples": 48, "test": 48, "epochs": 1, "seeds": 1}


def arguments(description, *, name, **defaults):
    """A parser with the options of an example; `defaults` are those of `experiment.add_options`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--model", help="the run folder of a pre-trained model (default: pre-train one on toy stories, once for all "
        "examples, in runs/toy-LANGUAGE)")
    add("--pretraining-steps", type=int, default=3000, help="if there is none yet (default: %(default)s)")
    add("--language", choices=LANGUAGES, default="en", help="the toy world tells the same in both (default: "
        "%(default)s)")
    add("--examples", type=int, default=500, help="labelled examples to learn from (default: %(default)s)")
    add("--test", type=int, default=1000, help="labelled examples to report on; half as many choose the best epoch "
        "(default: %(default)s)")
    add("--out", default=f"runs/{name}", help="the folder for the best model and the curves (default: %(default)s)")
    add("--quick", action="store_true", help="see everything work once, in seconds: "
        + ", ".join(f"--{key.replace('_', '-')} {value}" for key, value in QUICK.items()))
    add_options(parser, **{"epochs": 12, "lr": 7e-4, "batch_size": 16, "seeds": 5, "dropout": 0.0} | defaults)
    return parser


def parse(parser, argv=None):
    """The options; with --quick small ones where none was given."""
    if parser.parse_args(argv).quick:
        parser.set_defaults(**QUICK)
    return parser.parse_args(argv)


# ---- the body --------------------------------------------------------------------------------------------------------


def tokenizer_of(language):
    """A tokenizer with every word of the toy world (every character, in Chinese) as one entry, and no pieces."""
    texts = [sentence for document in documents(3000, np.random.default_rng(0), language) for sentence in document]
    texts += [text for *pair, _ in nli_examples(500, np.random.default_rng(1), language) for text in pair]
    texts += [example["question"] for example in qa_examples(200, np.random.default_rng(2), language)]
    normaliser = WordPieceTokenizer([]).normaliser
    words = {word for text in texts for word in normaliser.words(text)}
    return WordPieceTokenizer([*SPECIAL_TOKENS.values(), *sorted(words)])


def pretrained(options, workers):
    """The folder of a pre-trained model with its tokenizer: `options.model`, or runs/toy-LANGUAGE, made if need be."""
    if options.model:
        return options.model
    recipe = {"language": options.language, "steps": options.pretraining_steps, "batch_size": 16, "lr": 1.5e-3,
              "mask_rate": 0.25, "max_length": 64, "objective": "mlm+nsp", "layers": 2, "width": 128, "seed": 0}
    folder = Path(f"runs/toy-{options.language}" + ("-quick" if options.quick else ""))
    record = folder / "recipe.json"
    if record.exists() and json.loads(files.read_text(record)) == recipe:
        print(f"takes the model in {folder}, pre-trained for {recipe['steps']} steps")
    else:
        record.unlink(missing_ok=True)
        pretrain(folder, recipe, workers)
        files.write_text(record, json.dumps(recipe, indent=2) + "\n")
    return folder


def pretrain(folder, recipe, workers):
    """Masked words and the next sentence, on stories that are told once (`recipe`: see `pretrained`)."""
    steps, language = recipe["steps"], recipe["language"]
    tokenizer = tokenizer_of(language)
    settings = {name: recipe[name] for name in ("batch_size", "mask_rate", "max_length", "objective", "seed")}
    count = 20 + steps * recipe["batch_size"] * 2 // 5             # a story makes about two and a half examples
    print(f"pre-trains for {steps} steps on {count} stories, {len(tokenizer)} words")
    data = PretrainingData(documents(count, np.random.default_rng(3), language), tokenizer, **settings)
    held = list(PretrainingData(documents(100, np.random.default_rng(4), language), tokenizer,
                                **settings).evaluation_batches())
    config = BertConfig(vocab_size=len(tokenizer), hidden_size=recipe["width"], num_hidden_layers=recipe["layers"],
                        num_attention_heads=recipe["width"] // 32, intermediate_size=4 * recipe["width"],
                        max_position_embeddings=256, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    model = BertForPreTraining(config, rng=np.random.default_rng(recipe["seed"]))
    progress, records = Progress(steps), []
    for step in train(model, data.batches(), optimizer=AdamW(model.parameters()),
                      lr=linear_schedule(steps, recipe["lr"]), steps=steps, seed=recipe["seed"], workers=workers):
        progress.update(step, lambda step=step: f"loss {step.sums['loss']:.3f}")
        if step.number % max(1, steps // 5) == 0 or step.number == steps:
            records.append({"step": step.number} | evaluate(model, held, workers))
    figures = records[-1]
    print(f"held-out stories: masked words {figures['mlm']:.3f} nats ({figures['mlm_accuracy']:.1%} right), "
          f"next sentence {figures['nsp_accuracy']:.1%} right")
    save(folder, model, tokenizer, records)


# ---- the examples ----------------------------------------------------------------------------------------------------


def splits(draw, options, key):
    """Training, development and test examples, so many as the options say; no two of them have the same `key`.

    draw(n, rng, language): examples of a task, from `numbert.text.toyworld`.
    """
    seen, parts = set(), []
    for number, size in enumerate((options.examples, max(1, options.test // 2), options.test)):
        part, rng = [], np.random.default_rng([5, number, 1])
        while len(part) < size:
            for example in draw(size, rng, options.language):
                if len(part) < size and key(example) not in seen:
                    seen.add(key(example))
                    part.append(example)
        parts.append(part)
    return parts


# ---- the comparison --------------------------------------------------------------------------------------------------


def compare(task, folder, tokenizer, options, workers):
    """Fine-tune `task` from the model in `folder` and from scratch; print what came of it and draw both curves.

    Returns {"pre-trained": Runs, "from scratch": Runs}. In `options.out`: the best pre-trained model, curves.svg.
    """
    runs = {}
    for name in ("pre-trained", "from scratch"):
        print(f"\n{name}, {options.seeds} seeds")
        runs[name] = run(task, folder, options, workers, from_scratch=name == "from scratch")
    seeds = {name: one.seeds for name, one in runs.items()}
    print(f"\nOn {options.test} test examples, after learning from {options.examples}:\n\n{table(seeds)}\n")
    print(verdict(*seeds.values()))
    save_runs(options.out, runs["pre-trained"], tokenizer)
    figure = seeds["pre-trained"].deciding
    curves = {name: mean_curve(one.records, figure) for name, one in runs.items()}
    chart = svg.chart(f"{figure} on the development examples, mean of the seeds", "epoch", figure, curves,
                      {"majority": task.baseline[figure]})
    files.write_text(Path(options.out) / "curves.svg", svg.page([chart]))
    print(f"In {options.out}: the best model and its tokenizer, metrics.jsonl, curves.svg (open it in a browser).")
    return runs


def mean_curve(records, figure):
    """[(epoch, mean over the seeds), ...]; a run that stopped early counts for the epochs that it has."""
    epochs = sorted({record["epoch"] for record in records})
    return [(epoch, statistics.fmean(record[figure] for record in records if record["epoch"] == epoch))
            for epoch in epochs]


def verdict(ours, scratch):
    """What the spread over the seeds lets one say, in words."""
    difference, spread = ours.margin(scratch)
    text = f"Pre-training is worth {difference:+.3f} {ours.deciding}"
    if len(ours.figures) < 2:
        return text + " here; how much of that is luck, one seed cannot tell."
    if spread == 0:
        return text + "; no two seeds differ."
    times = difference / spread
    said = ("more than luck" if times > 2 else "a loss that is more than luck" if times < -2 else
            "too little to tell from luck")
    return text + f", {times:+.1f} times the standard deviation of a difference between two runs: {said}."
