"""Pre-train BERT: it guesses hidden words, and says whether two segments belong together.

    python examples/pretrain.py                          about five minutes, on the English that Python itself carries
    python examples/pretrain.py --text wiki.txt          your own text: UTF-8, a blank line between documents
    python examples/pretrain.py --resume --out RUN       go on where a run stopped
    mpiexec -n 4 python examples/pretrain.py ...         the same on 4 processes, --workers threads each (numbert[mpi])
    python examples/pretrain.py --model gpt --out RUN    or roberta, or albert: the same layers, taught in another way

Ctrl-C lets the step end, saves, and says how to go on; under mpiexec it ends all processes.
Sources: Devlin et al. 2019, section 3.1 and appendix A; for the others, see the first lines of numbert/models/.
"""
import argparse
import collections
import functools
import hashlib
import itertools
import math
import sys
import time
import warnings

import numpy as np

from numbert import AutoTokenizer
from numbert.hub import files
from numbert.lab import svg
from numbert.machine import cores
from numbert.models.config import SIZES
from numbert.pretraining.baselines import baselines
from numbert.pretraining.batches import PretrainingData, separator_of
from numbert.pretraining.corpus import hold_out, python_documents, split_sentences
from numbert.pretraining.documents import Documents
from numbert.pretraining.evaluation import (
    TASKS,
    blanks,
    characters_per_token,
    continuations,
    describe,
    evaluate,
    fill_mask,
    hits,
    training_figures,
)
from numbert.pretraining.families import FAMILIES, build_model, check_vocab_size, train_tokenizer
from numbert.pretraining.masking import UNITS
from numbert.pretraining.sentence_pairs import OBJECTIVES
from numbert.pretraining.token_file import tokenised
from numbert.training import command
from numbert.training.checkpoint import compare, load_checkpoint, read_settings, read_state, save_checkpoint
from numbert.training.loop import finishing_on_interrupt, train
from numbert.training.optimizer import OPTIMIZERS, global_norm, linear_schedule
from numbert.training.parallel import Workers, loss_and_gradients
from numbert.training.plan import Budget, Plan
from numbert.training.ranks import together
from numbert.training.run_folder import Progress, RunFolder

RECORDED = ("text", "model", "size", "vocab_size", "objective", "max_length", "batch_size", "lr", "mask_rate",
            "mask_unit", "dropout", "seed", "workers", "steps")  # what a resumed run must not change
LATER = {"optimizer": "adamw"}      # nor this; not recorded if it has this value, as in runs from before it was offered
LARGE = 16 << 20                    # bytes: a larger text is tokenised into a file, and then
SAMPLE = 4 << 20                    # the vocabulary is learnt from so many bytes of it,
HELD_OUT = 1 << 20                  # so many are held out at most,
COUNTED = 2_000_000                 # and the baselines are counted on so many tokens
LIMITS = {"steps": (1, 1e12), "minutes": (1e-3, 1e6), "save_every": (1, 1e12), "seed": (0, 1e18), "workers": (1, 1e4),
          "vocab_size": (6, 1e9), "max_length": (5, 512), "batch_size": (1, 1e6), "lr": (1e-12, 10),
          "mask_rate": (1e-3, 1), "dropout": (0, 0.99)}
QUICK = {"steps": 30, "vocab_size": 1000, "batch_size": 8, "max_length": 32}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--text", nargs="+", metavar="FILE_OR_FOLDER", help="UTF-8 text, a blank line between documents; of a folder "
        "all *.txt files (default: the manual, docstrings and comments of this Python and of NumPy)")
    add("--cache", metavar="FOLDER", help=f"where the ids of a text of more than {LARGE >> 20} MB are kept and found "
        "again (default: tokens, in the run folder)")
    add("--out", default="runs/pretrain", help="the run folder (default: %(default)s)")
    add("--resume", action="store_true", help="go on with the run in --out, with the options it was started with")
    add("--steps", type=int, help="how many batches to learn from (default: as many as fit into --minutes)")
    add("--minutes", type=float, default=4.5, help="train for about that long: the first batches are timed, which "
        "gives the number of steps; it changes if the machine gets slower or faster (default: %(default)s)")
    add("--model", choices=FAMILIES, default="bert", help="each with its paper's own tokenizer (default: %(default)s)")
    add("--size", choices=SIZES, default="tiny", help="Google's sizes: 2 layers of 128, "
        "4 of 256, 4 of 512, 12 of 768 (default: %(default)s)")
    add("--vocab-size", type=int, default=8000, help="entries of the vocabulary, learnt from the text (%(default)s)")
    add("--objective", choices=OBJECTIVES, help="masked words alone, or with the next sentence, or with the order of "
        "two sentences; masked words in rows full of sentences; the next word (default: the paper's, "
        + ", ".join(f"{name} {family.objectives[0]}" for name, family in FAMILIES.items()) + ")")
    add("--max-length", type=int, default=32, help="tokens in an example (default: %(default)s)")
    add("--batch-size", type=int, default=64, help="examples in a batch (default: %(default)s)")
    add("--lr", type=float, default=2e-3, help="the highest learning rate (default: %(default)s)")
    add("--optimizer", choices=OPTIMIZERS, default="adamw", help="lamb gives each matrix a step in proportion to its "
        "own norm: made for batches of thousands of examples and their high learning rates (default: %(default)s)")
    add("--mask-rate", type=float, default=0.3, help="share of the tokens to guess; held-out text is always "
        "measured with BERT's 0.15 (default: %(default)s)")
    add("--mask-unit", choices=UNITS, help="what is masked together: a token, a word, 1 to 3 words or 1 to 10 "
        "(default: token, for albert ngram); held-out text is always measured with token")
    add("--dropout", type=float, default=0.0, help="BERT's 0.1 is for weeks on 3.3 billion words; a few passes over a "
        "small text fare better without (default: %(default)s)")
    add("--seed", type=int, default=0, help="everything that is drawn comes from it (default: %(default)s)")
    add("--workers", type=int, default=cores(), help="threads; the result depends on it in the last digits "
        "(default: all cores, %(default)s here)")
    add("--save-every", type=int, default=200, help="steps between two checkpoints (default: %(default)s)")
    command.add_quick(parser, QUICK)
    return parser


def main(argv=None):
    parser = arguments()
    with together(command.name_of(parser)) as ranks:
        options, given = vars(command.parse(parser, argv, check_limits)), only_given(arguments(), argv)
        with (command.one_line(command.name_of(parser)), command.in_options(parser),
              RunFolder(options["out"], ranks) as folder):
            options |= ranks.first(lambda: chosen(folder, options, given))
            with Workers(options["workers"], ranks) as workers:
                pretrain(folder, options, workers)


def chosen(folder, options, given):
    """The options that the folder or the model decides. A folder that is not for such a run is refused."""
    if options["resume"]:
        return recorded_options(folder, given)
    if folder.checkpoint.exists():
        raise ValueError(f"{folder.path} holds a run: --resume goes on with it, another --out starts a new one")
    if (folder.path / "config.json").exists():
        raise ValueError(f"{folder.path} holds a model, which would be overwritten: take another --out")
    return by_family(options, given)


def check_limits(options):
    for name, (low, high) in LIMITS.items():
        if options[name] is not None and not low <= options[name] <= high:
            raise ValueError(f"--{name.replace('_', '-')} must be in {low:g}..{high:g}, got {options[name]}")


def by_family(options, given):
    """The options whose defaults the model decides. What does not go together is refused."""
    model, family = options["model"], FAMILIES[options["model"]]
    objective = options["objective"] or family.objectives[0]
    if objective not in family.objectives:
        raise ValueError(f"--model {model} learns by {' or '.join(family.objectives)}, not by {objective}")
    for name in ("mask_unit", "mask_rate"):
        if objective == "causal" and name in given:
            raise ValueError(f"--{name.replace('_', '-')} is for masked words, and --model {model} masks none")
    check_vocab_size(model, options["vocab_size"])
    return {"objective": objective, "mask_unit": options["mask_unit"] or family.mask_unit}


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
    recorded = {name: settings[name] for name in RECORDED} | {n: settings.get(n, usual) for n, usual in LATER.items()}
    state = read_state(folder.checkpoint)
    promised = {"minutes": state["minutes"]} if "minutes" in state and "steps" not in given else {}
    said = recorded | promised
    if differences := compare(said, said | {name: given[name] for name in said if name in given}):
        raise ValueError(f"{folder.path} was started with other options: " + "; ".join(differences))
    return recorded | {"state": state}


# %% The run


def pretrain(folder, options, workers):
    say, pair_label, ranks = Stopwatch(), FAMILIES[options["model"]].pair_label, workers.ranks
    tokenizer = AutoTokenizer.from_pretrained(folder.path) if options["resume"] else None
    state = options.get("state", {})
    training, held_out = split(options["text"], options["seed"], None if tokenizer is None else state, say)
    large = isinstance(training, Documents) and training.bytes > LARGE
    if tokenizer is None:
        sample = some(training, SAMPLE, np.random.default_rng(options["seed"])) if large else training
        if large:
            say(f"the vocabulary is learnt from {sample.bytes / 1e6:.0f} MB of the text, drawn at random")
        tokenizer = train_tokenizer(options["model"], (p for d in sample for p in d), options["vocab_size"])
    recipe = {name: options[name] for name in ("objective", "max_length", "mask_rate", "mask_unit", "seed")}
    recipe["pair_label"] = pair_label
    if large:
        training = tokenised(training, tokenizer, separator_of(tokenizer, options["objective"]),
                             options["cache"] or folder.path / "tokens", workers, say)
    data = PretrainingData(training, tokenizer, batch_size=options["batch_size"], **recipe,
                           folder=folder.path if large else None)
    measured = recipe | {"mask_rate": 0.15, "mask_unit": "token"}   # BERT's: so that runs can be compared
    held = list(PretrainingData(held_out, tokenizer, **measured).evaluation_batches())
    say(f"{len(tokenizer)} entries in the vocabulary, {len(data.text.tokens):,} tokens, "
        f"{data.batches_per_epoch} batches an epoch")

    levels = ranks.first(lambda: baselines(data.beginning(COUNTED) if large else data, held))
    say("held-out loss to be read against: " + ", ".join(f"{name} {nats:.3f}" for name, nats in levels.items())
        + f" nats a {'token' if options['objective'] == 'causal' else 'masked token'}")

    layers, width = SIZES[options["size"]]
    model = build_model(options["model"], tokenizer, layers=layers, width=width, max_positions=512,
                        dropout=options["dropout"], rng=np.random.default_rng([options["seed"], 1]))
    make = OPTIMIZERS[options["optimizer"]]
    optimizer = make(model.parameters(), ranks=ranks)
    say(f"{sum(p.data.size for p in model.parameters()):,} parameters, {options['workers']} workers"
        + (f" on each of {ranks.size} ranks" if ranks.size > 1 else ""))
    if (before := state.get("ranks", 1)) != ranks.size and options["resume"]:
        say(f"the run had {before} ranks so far, now {ranks.size}: sums will be rounded differently")
    state |= {"ranks": ranks.size, "held_out": len(held_out)}
    if options["steps"] is None:
        state |= {"minutes": options["minutes"], "seconds": 0.0, "changes": []}
        options["steps"] = steps_within(options["minutes"], model, data, workers, make)
        say(f"{options['steps']} steps fit into {options['minutes']:g} minutes")
    settings = {name: options[name] for name in RECORDED} | {
        name: options[name] for name, usual in LATER.items() if options[name] != usual} | {
        "vocabulary": digest("\n".join(tokenizer.tokens).encode()), "tokens": digest(data.text.tokens)}

    start = 0
    if options["resume"]:
        start = load_checkpoint(folder.checkpoint, model, optimizer, settings)
        say(f"goes on after step {start}")
    else:                                   # only now: a folder is left as it was by what is refused or interrupted
        tokenizer.save_pretrained(folder.path)
        save_checkpoint(folder.checkpoint, model, optimizer, 0, settings, state=state)
    folder.rewind(start)

    characters = ranks.first(lambda: characters_per_token(held_out, tokenizer))
    measure = functools.partial(evaluate, model, held, workers, characters)
    if not learn(folder, options, settings, state, workers, model, optimizer, data, measure, start):
        mpiexec = f"mpiexec -n {ranks.size} " if ranks.size > 1 else ""
        print(f"stopped; {mpiexec}python examples/pretrain.py --resume --out {folder.path}  goes on")
        return
    if ranks.rank == 0:
        model.save_pretrained(folder.path)
        draw(folder, levels)
        report(folder, model, tokenizer, levels, held_out, options)


def split(text, seed, state, say):
    """(training, held-out) documents of --text, or of Python itself. A twentieth is held out, but no more than HELD_OUT
    bytes of a large text, or as many documents as the run that is resumed had. state: None for a new run."""
    documents = Documents.of(text) if text else python_documents()
    share = 0.05
    if text and documents.bytes > LARGE and (state is None or "held_out" in state):
        share = min(share, HELD_OUT / documents.bytes)
    training, held_out = hold_out(documents, share, np.random.default_rng(seed))
    words = documents.words if text else sum(len(p.split()) for d in documents for p in d)
    say(f"{len(documents)} documents, {words:,} words; {len(held_out)} documents are held out")
    return training, list(held_out)


def some(documents, size, rng):
    """Documents drawn at random, of about so many bytes together."""
    order = rng.permutation(len(documents))
    lengths = (documents.places[:, 2] - documents.places[:, 1])[order]
    return documents.chosen(np.sort(order[:max(1, int(np.searchsorted(np.cumsum(lengths), size)))]))


def learn(folder, options, settings, state, workers, model, optimizer, data, measure, start):
    """Train from step `start` to the end, or to Ctrl-C (then False); measure on held-out text ten times on the way.

    state: {"ranks"} and, if it was minutes that were promised, {"minutes", "seconds" used, "changes" of the plan}.
    """
    clock = functools.partial(workers.ranks.first, time.monotonic)      # one for all ranks: they must plan alike
    plan = Plan(options["steps"], state.get("changes", ()))
    budget = Budget(plan, 60 * state["minutes"], start, state["seconds"], clock) if "minutes" in state else None
    rate, every = linear_schedule(plan.first, options["lr"]), max(1, plan.first // 10)
    window = collections.deque(maxlen=max(1, plan.first // 100))    # the steps of which progress shows the mean
    progress = Progress(plan.steps, start)
    if start >= plan.steps:
        return True
    training = train(model, data.undrawn(start), optimizer=optimizer, lr=lambda step: rate(plan.position(step)),
                     steps=sys.maxsize, seed=options["seed"], workers=workers, start=start, measure=hits)
    with finishing_on_interrupt(workers.ranks) as interrupted:
        for step in training:
            window.append(step)
            last = step.number == plan.steps
            progress.update(step, lambda: describe(training_figures(window)))
            folder.log({"step": step.number, "split": "training", "lr": step.lr, "norm": step.gradient_norm}
                       | training_figures([step]))
            if last or (plan.passes(step.number, every) and (not budget or budget.may_pause())):
                began, figures = clock(), measure()
                folder.log({"step": step.number, "split": "held-out"} | figures)
                print(f"step {step.number}/{plan.steps}  held out: {describe(figures)}", flush=True)
                seconds = clock() - began
                progress.paused_for(seconds)
                if budget:
                    budget.paused_for(seconds)
            stop = interrupted()                            # asked once: what stops must have been saved
            due = budget and not last and budget.due(step.number)
            if last or stop or due or step.number % options["save_every"] == 0:
                if due:
                    budget.plan_again(step.number, pauses=math.ceil(10 * (1 - plan.position(step.number) / plan.first)))
                    progress.steps = plan.steps
                state |= {"seconds": budget.used, "changes": plan.changes} if budget else {}
                save_checkpoint(folder.checkpoint, model, optimizer, step.number, settings, state=state)
            if last:
                return True
            if stop:
                return False


def steps_within(minutes, model, data, workers, make):
    """How many steps take that long on this machine now: the first batches are done twice, at first without effect."""
    optimizer, seconds = make(model.parameters(), ranks=workers.ranks), []
    for batch in itertools.islice(data.undrawn(), 12):
        began = time.perf_counter()
        _, gradients = loss_and_gradients(model, batch, lambda part: np.random.default_rng(part), workers, hits)
        global_norm(gradients, workers)
        optimizer.step(gradients, 0.0, workers)             # with a learning rate of 0 the parameters stay as they are
        seconds.append(time.perf_counter() - began)
    return workers.ranks.first(lambda: max(1, round(60 * minutes / np.median(seconds))))


# %% What came of it

NAMES = {"mlm": "Masked words", "lm": "Next words", "nsp": "Sentence pairs", "sop": "Sentence order"}


def draw(folder, levels):
    """curves.svg: the losses and the shares of right guesses against the number of steps."""
    records = folder.records()
    charts = []
    for task in (task for task in TASKS if task in records[-1]):
        for figure, unit in ((task, "nats"), (f"{task}_accuracy", "share of right guesses")):
            lines = {split: means([(r["step"], r[figure]) for r in records if r["split"] == split])
                     for split in ("training", "held-out")}
            marks = levels if task in ("mlm", "lm") else {"guessing": math.log(2)}
            charts.append(svg.chart(f"{NAMES[task]}: {unit}", "step", unit, lines, marks if figure == task else None))
    files.write_text(folder.path / "curves.svg", svg.page(charts))


def means(points, about=100):
    """The curve (N, 2) as the means of about so many runs of neighbouring points: what single batches show is noise."""
    n = max(1, len(points) // about)
    return [tuple(np.mean(points[i:i + n], axis=0)) for i in range(0, len(points), n)]


def report(folder, model, tokenizer, levels, held_out, options):
    sentences = [s for document in held_out for paragraph in document for s in split_sentences(paragraph)]
    rng, causal = np.random.default_rng(options["seed"]), options["objective"] == "causal"
    if causal:
        print("\nBeginnings of held-out sentences, and how the model would go on:")
        shown = continuations(model, tokenizer, sentences, rng, tokens=options["max_length"])
        for begin, written, end in shown:
            print(f"  {begin} ...\n    ...{written}   (the text says {end!r})")
    else:
        print("\nBlanks in held-out sentences, and what the model would put there:")
        shown = blanks(sentences, tokenizer, rng, tokens=options["max_length"])
        for text, word in shown:
            guesses = [(readable(tokenizer, [token]), share) for token, share in fill_mask(model, tokenizer, text)[0]]
            right = guesses[0][0] == readable(tokenizer, tokenizer.tokenize(word))
            print(f"  {text}\n    " + "  ".join(f"{token} {share:.0%}" for token, share in guesses)
                  + f"   ({'right' if right else f'the text says {word!r}'})")
    if not shown:
        print("  (none: this takes sentences of 8 to 25 words with spaces between them)")

    figures = [record for record in folder.records() if record["split"] == "held-out"][-1]
    count = f"{figures['scored']:,} tokens" if causal else f"{figures['masked']:,} masked tokens"
    print(f"\nHeld out: {describe(figures)}, {count}" + (f", {figures['pairs']} pairs" if "pairs" in figures else ""))
    for name, nats in levels.items():
        below = nats - figures["lm" if causal else "mlm"]
        print(f"  {abs(below):.3f} nats {'below' if below > 0 else 'ABOVE'} the {name} baseline of {nats:.3f}")
    print(f"  {figures['bits_per_character']:.3f} bits per character, " + (
        "the code length of the text (what masked models give is another quantity)" if causal else
        "of the masked words given all around them: not a code length, as that of GPT is"))
    vocabulary = "vocab.txt" if (folder.path / "vocab.txt").exists() else "vocab.json and merges.txt"
    measured = f""" (Held-out text is measured with 15% of the tokens hidden,
training here with {options['mask_rate']:.0%}.)"""
    idea = "--model bert (what is it worth to see both sides?)" if causal else (
        "--objective mlm (what is the rest of it worth?), --mask-rate 0.15")
    print(f"""
In {folder.path}: model.safetensors and config.json (also for Hugging Face transformers), {vocabulary},
tokenizer.json, metrics.jsonl, checkpoint.safetensors (for --resume), curves.svg (open it in a browser).
Look at the curves: the loss falls at once to the unigram baseline (which words are frequent), bends there, and falls on
as attention finds the neighbours, and then more than these.{'' if causal else measured}
Try next: {idea},
--minutes 30 --size mini, or --text with your own files.""")


def readable(tokenizer, tokens):
    return tokenizer.decode(tokenizer.convert_tokens_to_ids(tokens), skip_special_tokens=False).strip()


def digest(data):
    return hashlib.sha256(data).hexdigest()[:16]


class Stopwatch:
    """Prints what was done, and at what second."""

    def __init__(self):
        self.began = time.monotonic()

    def __call__(self, text):
        print(f"[{time.monotonic() - self.began:5.1f} s] {text}", flush=True)


if __name__ == "__main__":
    warnings.showwarning = lambda message, *where: print(f"note: {message}", flush=True)
    main()
