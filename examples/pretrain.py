"""Pre-train BERT: hide words and let it guess them, show two segments and let it say whether they belong together.

    python examples/pretrain.py                          about five minutes, on the English that Python itself carries
    python examples/pretrain.py --text wiki.txt          your own text: UTF-8, a blank line between documents
    python examples/pretrain.py --resume --out RUN       go on where a run stopped

Source: Devlin et al. 2019, section 3.1 and appendix A.
"""
import argparse
import collections
import hashlib
import itertools
import math
import sys
import time
import warnings

import numpy as np

from numbert import BertConfig, BertForPreTraining, WordPieceTokenizer, files, svg
from numbert.tasks.evaluation import blanks, evaluate, fill_mask, hits
from numbert.tasks.floors import neighbours_floor, unigram_floor
from numbert.tasks.pretraining import PretrainingData
from numbert.tasks.sentence_pairs import OBJECTIVES
from numbert.text.corpus import hold_out, python_documents, read_documents, split_sentences
from numbert.training.checkpoint import compare, load_checkpoint, read_settings, save_checkpoint
from numbert.training.loop import NonFiniteError, finishing_on_interrupt, train
from numbert.training.optimizer import AdamW, global_norm, linear_schedule
from numbert.training.parallel import Workers, cores, loss_and_gradients
from numbert.training.run_folder import Progress, RunFolder

RECORDED = ("text", "size", "vocab_size", "objective", "max_length", "batch_size", "lr", "mask_rate", "whole_words",
            "dropout", "seed", "workers", "steps")          # what a run depends on, and a resumed run must not change
LIMITS = {"steps": (1, 1e12), "minutes": (1e-3, 1e6), "save_every": (1, 1e12), "seed": (0, 1e18), "workers": (1, 1e4),
          "vocab_size": (6, 1e9), "max_length": (5, 512), "batch_size": (1, 1e6), "lr": (1e-12, 10),
          "mask_rate": (1e-3, 1), "dropout": (0, 0.99)}
QUICK = {"steps": 30, "vocab_size": 1000, "batch_size": 8, "max_length": 32}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--text", nargs="+", metavar="FILE_OR_FOLDER", help="UTF-8 text, a blank line between documents; of a folder "
        "all *.txt files (default: the manual, docstrings and comments of this Python and of NumPy)")
    add("--out", default="runs/pretrain", help="the run folder (default: %(default)s)")
    add("--resume", action="store_true", help="go on with the run in --out, with the options it was started with")
    add("--steps", type=int, help="how many batches to learn from (default: as many as fit into --minutes)")
    add("--minutes", type=float, default=4.5, help="train for about that long: the first batches are timed, the number "
        "of steps is fixed from that and recorded (default: %(default)s)")
    add("--size", choices=("tiny", "mini", "small", "base"), default="tiny", help="Google's sizes: 2 layers of 128, "
        "4 of 256, 4 of 512, 12 of 768 (default: %(default)s)")
    add("--vocab-size", type=int, default=8000, help="entries of the vocabulary, learnt from the text (%(default)s)")
    add("--objective", choices=OBJECTIVES, default="mlm+nsp", help="masked words alone, or with the next sentence, or "
        "with the order of two sentences (default: %(default)s)")
    add("--max-length", type=int, default=32, help="tokens in an example (default: %(default)s)")
    add("--batch-size", type=int, default=64, help="examples in a batch (default: %(default)s)")
    add("--lr", type=float, default=2e-3, help="the highest learning rate (default: %(default)s)")
    add("--mask-rate", type=float, default=0.3, help="share of the tokens to guess; held-out text is always "
        "measured with BERT's 0.15 (default: %(default)s)")
    add("--whole-words", action="store_true", help="mask all pieces of a word or none")
    add("--dropout", type=float, default=0.0, help="BERT's 0.1 is for weeks on 3.3 billion words; a few passes over a "
        "small text fare better without (default: %(default)s)")
    add("--seed", type=int, default=0, help="everything that is drawn comes from it (default: %(default)s)")
    add("--workers", type=int, default=cores(), help="threads; the result depends on it in the last digits "
        "(default: all cores, %(default)s here)")
    add("--save-every", type=int, default=200, help="steps between two checkpoints (default: %(default)s)")
    add("--quick", action="store_true", help="see everything work once, in seconds: "
        + ", ".join(f"{name} {value}" for name, value in QUICK.items()))
    return parser


def main(argv=None):
    parser = arguments()
    options, given = vars(parser.parse_args(argv)), only_given(arguments(), argv)
    try:
        for name, (low, high) in LIMITS.items():
            if options[name] is not None and not low <= options[name] <= high:
                raise ValueError(f"--{name.replace('_', '-')} must be in {low:g}..{high:g}, got {options[name]}")
        folder = RunFolder(options["out"])
        if options["resume"]:
            options |= recorded_options(folder, given)
        elif folder.checkpoint.exists():
            raise ValueError(f"{folder.path} holds a run: --resume goes on with it, another --out starts a new one")
        elif (folder.path / "config.json").exists():
            raise ValueError(f"{folder.path} holds a model, which would be overwritten: take another --out")
        elif options["quick"]:
            options |= {name: value for name, value in QUICK.items() if name not in given}
        with Workers(options["workers"]) as workers:
            pretrain(folder, options, workers)
    except (ValueError, OSError, NonFiniteError) as error:
        sys.exit(f"pretrain.py: {error}")
    except KeyboardInterrupt:
        sys.exit("pretrain.py: interrupted")


def only_given(parser, argv):
    """The options that stand on the command line, without the defaults."""
    for action in parser._actions:
        action.default = argparse.SUPPRESS
    return vars(parser.parse_args(argv))


def recorded_options(folder, given):
    """The options that the run in `folder` was started with. What is given again must not differ."""
    if not folder.checkpoint.exists():
        raise ValueError(f"{folder.path} holds no checkpoint.safetensors: there is nothing to resume")
    _, settings = read_settings(folder.checkpoint)
    if not settings.keys() >= set(RECORDED):
        raise ValueError(f"{folder.checkpoint} is not from this script: it does not record "
                         + ", ".join(sorted(set(RECORDED) - settings.keys())))
    recorded = {name: settings[name] for name in RECORDED}
    if differences := compare(recorded, recorded | {name: given[name] for name in RECORDED if name in given}):
        raise ValueError(f"{folder.path} was started with other options: " + "; ".join(differences))
    return recorded


# %% The run


def pretrain(folder, options, workers):
    say = Stopwatch()
    documents = read_documents(options["text"]) if options["text"] else python_documents()
    training, held_out = hold_out(documents, 0.05, np.random.default_rng(options["seed"]))
    say(f"{len(documents)} documents, {sum(len(p.split()) for d in documents for p in d):,} words; "
        f"{len(held_out)} documents are held out")

    if options["resume"]:
        tokenizer = WordPieceTokenizer.from_pretrained(folder.path)
    else:
        tokenizer = WordPieceTokenizer.train((p for d in training for p in d), vocab_size=options["vocab_size"])
        tokenizer.save_pretrained(folder.path)
    recipe = {name: options[name] for name in ("objective", "max_length", "mask_rate", "whole_words", "seed")}
    data = PretrainingData(training, tokenizer, batch_size=options["batch_size"], **recipe)
    measured = recipe | {"mask_rate": 0.15}         # BERT's, whatever the training's: so that runs can be compared
    held = list(PretrainingData(held_out, tokenizer, **measured).evaluation_batches())
    say(f"{len(tokenizer)} entries in the vocabulary, {len(data.text.tokens):,} tokens, "
        f"{data.batches_per_epoch} batches an epoch")

    labels = np.concatenate([batch["labels"].reshape(-1) for batch in held])
    floors = {"unigram": unigram_floor(np.bincount(data.text.tokens, minlength=len(tokenizer)), labels),
              "neighbours": neighbours_floor(data, held)}
    say("held-out loss to be read against: " + ", ".join(f"{name} {nats:.3f}" for name, nats in floors.items())
        + " nats a masked token")

    config = BertConfig.preset(options["size"], vocab_size=len(tokenizer), hidden_dropout_prob=options["dropout"],
                               attention_probs_dropout_prob=options["dropout"])
    # BERT's 0.02 is for 768 wide matrices; a narrower one needs larger weights for sums as large
    config = config.replace(initializer_range=0.02 * math.sqrt(768 / config.hidden_size))
    model = BertForPreTraining(config, rng=np.random.default_rng([options["seed"], 1]))
    optimizer = AdamW(model.parameters())
    say(f"{sum(p.data.size for p in model.parameters()):,} parameters, {options['workers']} workers")
    if options["steps"] is None:
        options["steps"] = steps_within(options["minutes"], model, data, workers)
        say(f"{options['steps']} steps fit into {options['minutes']:g} minutes")
    settings = {name: options[name] for name in RECORDED} | {
        "vocabulary": digest("\n".join(tokenizer.tokens).encode()), "tokens": digest(data.text.tokens.tobytes())}

    start = 0
    if options["resume"]:
        start = load_checkpoint(folder.checkpoint, model, optimizer, settings)
        say(f"goes on after step {start}")
    else:
        save_checkpoint(folder.checkpoint, model, optimizer, 0, settings)
    folder.rewind(start)

    if not learn(folder, options, settings, workers, model, optimizer, data, held, start):
        print(f"stopped; python examples/pretrain.py --resume --out {folder.path}  goes on")
        return
    model.save_pretrained(folder.path)
    draw(folder, floors)
    report(folder, model, tokenizer, floors, held_out, options)


def learn(folder, options, settings, workers, model, optimizer, data, held, start):
    """Train from step `start` to the end, or to Ctrl-C (then False); measure on held-out text ten times on the way."""
    steps = options["steps"]
    window = collections.deque(maxlen=max(1, steps // 100))     # the steps of which progress shows the mean
    progress = Progress(steps, start)
    training = train(model, data.batches(start), optimizer=optimizer, lr=linear_schedule(steps, options["lr"]),
                     steps=steps, seed=options["seed"], workers=workers, start=start, measure=hits)
    with finishing_on_interrupt() as interrupted:
        for step in training:
            window.append(step)
            progress.update(step, lambda: describe(summary(window)))
            last = step.number == steps
            folder.log({"step": step.number, "split": "training", "lr": step.lr, "norm": step.gradient_norm}
                       | summary([step]))
            if last or step.number % max(1, steps // 10) == 0:
                figures = evaluate(model, held, workers)
                folder.log({"step": step.number, "split": "held-out"} | figures)
                print(f"step {step.number}/{steps}  held out: {describe(figures)}", flush=True)
            stop = interrupted()                            # asked once: what stops must have been saved
            if last or stop or step.number % options["save_every"] == 0:
                save_checkpoint(folder.checkpoint, model, optimizer, step.number, settings)
            if stop and not last:
                return False
    return True


def summary(steps):
    """The figures of several training steps, like those of `evaluate`."""
    def mean(name):
        return sum(step.sums[name] for step in steps) / len(steps)

    def share(hits, labels):
        return sum(step.sums[hits] for step in steps) / max(1, sum(step.counts[labels] for step in steps))

    figures = {"mlm": mean("mlm"), "mlm_accuracy": share("mlm_hits", "labels")}
    if "nsp" in steps[0].sums:
        figures |= {"nsp": mean("nsp"), "nsp_accuracy": share("nsp_hits", "next_sentence_label")}
    return figures


def describe(figures):
    """One line of figures: losses in nats, and the shares of right guesses."""
    text = f"mlm {figures['mlm']:.3f} ({figures['mlm_accuracy']:.1%})"
    if "nsp" in figures:
        text += f"  nsp {figures['nsp']:.3f} ({figures['nsp_accuracy']:.1%})"
    return text


def steps_within(minutes, model, data, workers):
    """How many steps take that long on this machine now: the first batches are done twice, at first without effect."""
    optimizer, seconds = AdamW(model.parameters()), []
    for batch in itertools.islice(data.batches(), 12):
        began = time.perf_counter()
        _, gradients = loss_and_gradients(model, batch, lambda part: np.random.default_rng(part), workers, hits)
        global_norm(gradients, workers)
        optimizer.step(gradients, 0.0, workers)             # with a learning rate of 0 the parameters stay as they are
        seconds.append(time.perf_counter() - began)
    return max(1, round(60 * minutes / np.median(seconds)))


# %% What came of it


def draw(folder, floors):
    """curves.svg: both losses and both accuracies against the number of steps."""
    records = folder.records()
    charts = []
    for task, name, levels in (("mlm", "Masked words", floors), ("nsp", "Sentence pairs", {"guessing": math.log(2)})):
        for figure, unit in ((task, "nats"), (f"{task}_accuracy", "share of right guesses")):
            lines = {split: means([(r["step"], r[figure]) for r in records if r["split"] == split and figure in r])
                     for split in ("training", "held-out")}
            if any(lines.values()):
                charts.append(svg.chart(f"{name}: {unit}", "step", unit, lines, levels if figure == task else None))
    files.write_text(folder.path / "curves.svg", svg.page(charts))


def means(points, about=100):
    """The curve (N, 2) as the means of about so many runs of neighbouring points: what single batches show is noise."""
    n = max(1, len(points) // about)
    return [tuple(np.mean(points[i:i + n], axis=0)) for i in range(0, len(points), n)]


def report(folder, model, tokenizer, floors, held_out, options):
    sentences = [s for document in held_out for paragraph in document for s in split_sentences(paragraph)]
    print("\nBlanks in held-out sentences, and what the model would put there:")
    rng = np.random.default_rng(options["seed"])
    for text, word in blanks(sentences, tokenizer, rng, tokens=options["max_length"]):
        guesses, = fill_mask(model, tokenizer, text)
        right = "right" if guesses[0][0] == word.lower() else f"the text says {word!r}"
        print(f"  {text}\n    " + "  ".join(f"{token} {share:.0%}" for token, share in guesses) + f"   ({right})")

    figures = [record for record in folder.records() if record["split"] == "held-out"][-1]
    print(f"\nHeld out: {describe(figures)}, {figures['masked']:,} masked tokens"
          + (f", {figures['pairs']} pairs" if "pairs" in figures else ""))
    for name, nats in floors.items():
        below = nats - figures["mlm"]
        print(f"  {abs(below):.3f} nats {'below' if below > 0 else 'ABOVE'} the {name} floor of {nats:.3f}")
    print(f"""
In {folder.path}: model.safetensors and config.json (also for Hugging Face transformers), vocab.txt, metrics.jsonl,
checkpoint.safetensors (for --resume), curves.svg (open it in a browser).
Look at the curves: the loss falls at once to the unigram floor (which words are frequent), bends there, and falls on as
attention finds the neighbours, and then more than these. (Held-out text is measured with 15% of the tokens hidden,
training here with {options['mask_rate']:.0%}.)
Try next: --objective mlm (is the second task worth its share?), --mask-rate 0.15, --minutes 30 --size mini, or --text
with your own files.""")


def digest(data):
    return hashlib.sha256(data).hexdigest()[:16]


class Stopwatch:
    """Prints what was done, and at what second."""

    def __init__(self):
        self.began = time.monotonic()

    def __call__(self, text):
        print(f"[{time.monotonic() - self.began:5.1f} s] {text}", flush=True)


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")            # a terminal that cannot show a character of the text
    warnings.showwarning = lambda message, *where: print(f"note: {message}", flush=True)
    main()
