# %% [markdown]
"""A GPT writes: it reads many texts from left to right, and then continues the beginning of a new one.

    python examples/lecture/17_complete.py                a minute: stories of a small world, of which all is known
    python examples/lecture/17_complete.py --text open    a minute or two: stories of a larger world
    python examples/lecture/17_complete.py --text python  a minute or two: docstrings, in pieces of words

There is no other task than the next token, and so no labels: what comes next stands in the text. To write, one takes a
token from the model's answer, appends it, and asks again. Which one? The best ("greedy"), or one drawn from the
probabilities, sharpened by a temperature below 1, flattened by one above; or drawn from the best that have a share p of
the probability together ("top-p": Holtzman et al. 2020). They are shown side by side.

Is what it writes any good? Mostly that is a matter of taste. The small world has 30,720 stories, and all are known with
their probabilities. So it can be checked: how many sentences are those of the world, how many stories can be true (who
takes the ball must be where it lies), how many of these the model has never read, and how near its loss is to the
lowest that there can be. Source: Radford et al. 2019, section 2.
"""
# %%
import argparse
import math
import statistics

import numpy as np

from numbert import GPT2Config, GPT2LMHeadModel, no_grad
from numbert.hub import files
from numbert.lab import laboratory, svg
from numbert.lab.written import READ, Written, batch_of, rows_of
from numbert.machine import cores
from numbert.ops.attention import softmax
from numbert.pretraining.baselines import unigram_baseline
from numbert.pretraining.batches import end_of_text_id
from numbert.pretraining.evaluation import evaluate
from numbert.training import command
from numbert.training.loop import train
from numbert.training.optimizer import AdamW, linear_schedule
from numbert.training.run_folder import Progress

WAYS = {"greedy": None, "temperature 0.5": {"temperature": 0.5}, "temperature 1": {}, "temperature 1.5":
        {"temperature": 1.5}, "top-p 0.9": {"top_p": 0.9}}
TEXTS = {"closed": {"steps": 600, "seeds": 3, "width": 64, "length": 40},
         "open": {"steps": 800, "seeds": 1, "width": 128, "length": 128},
         "python": {"steps": 1200, "seeds": 1, "width": 128, "length": 64}}
ROWS = 400                              # held-out rows that the loss is measured on

parser = argparse.ArgumentParser(prog="complete.py", description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
add = parser.add_argument
add("--text", choices=TEXTS, default="closed", help="what it reads and writes (default: %(default)s)")
for name, what in (("steps", "batches of --batch-size texts to learn from"), ("width", "D of the model"),
                   ("seeds", "train that often, with other draws"), ("length", "tokens in a text at most")):
    add(f"--{name}", type=int, help=f"{what} (default: "
        + ", ".join(f"{text} {defaults[name]}" for text, defaults in TEXTS.items()) + ")")
add("--layers", type=int, default=2, help="(default: %(default)s)")
add("--batch-size", type=int, default=64, help="(default: %(default)s)")
add("--lr", type=float, default=3e-3, help="the highest learning rate (default: %(default)s)")
add("--written", type=int, default=200, help="texts that are written in each way (default: %(default)s)")
add("--workers", type=int, default=cores(), help="threads (default: all cores, %(default)s here)")
add("--out", default="runs/complete", help="where picture and figures go (default: %(default)s)")
command.add_quick(parser, {"steps": 20, "seeds": 1, "width": 32, "written": 20})
options, workers = laboratory.begin(parser)
for name, value in TEXTS[options.text].items():
    if getattr(options, name) is None:
        setattr(options, name, value)
if options.length < 3:
    raise ValueError(f"--length must be at least 3, a token between two ends, got {options.length}")
if options.width % 32:
    raise ValueError(f"--width must be a multiple of 32, the width of a head, got {options.width}")
results = laboratory.Results(options)

# %% One text, to be continued
# Each text stands between two tokens that mean "end": the first is what the model starts from. Each token is asked for,
# from all those before it.


def untrained(material, seed, options):
    """A GPT whose weights are drawn."""
    end = end_of_text_id(material.tokenizer)
    config = GPT2Config(vocab_size=len(material.tokenizer), n_embd=options.width, n_layer=options.layers,
                        n_head=options.width // 32, n_positions=options.length, embd_pdrop=0.0, resid_pdrop=0.0,
                        attn_pdrop=0.0, bos_token_id=end, eos_token_id=end,
                        initializer_range=0.02 * math.sqrt(768 / options.width))    # 0.02 is for 768 wide matrices
    return GPT2LMHeadModel(config, rng=np.random.default_rng([seed, 0]))


def continued(model, material, ids, start, count=6):
    """A line for each of `count` tokens of a text, lists of ids, from place `start` on: the token, its probability and
    loss, and the five best guesses at it."""
    tokenizer, end = material.tokenizer, end_of_text_id(material.tokenizer)
    with no_grad():
        shares = softmax(model(np.array([[end, *ids]])).logits.data[0].astype(np.float64))      # (T + 1, V)
    lines = [f"{'the next token':16}{'p(it)':>7}{'-ln p':>7}   the 5 best guesses"]
    for token, row in list(zip(ids, shares, strict=False))[start:start + count]:
        best = ", ".join(f"{tokenizer.decode([i], False)} {row[i]:.3f}" for i in np.argsort(-row)[:5].tolist())
        lines.append(f"{tokenizer.decode([token], False):16}{row[token]:7.3f}{-math.log(row[token]):7.3f}   {best}")
    return f"{tokenizer.decode(ids[:start])} ...\n" + "\n".join(lines)


material = READ[options.text](options.quick)
whole = [ids for ids in material.held_out if len(ids) <= options.length - 2]
if not whole:
    raise ValueError(f"--length {options.length} is too short: every held-out text has more than {options.length - 2} "
                     "tokens")
asked = [whole[i] for i in np.random.default_rng(3).integers(len(whole), size=options.written)]
beginnings = [ids[:material.prompt(ids)] for ids in asked]
print(f"{material.tokenizer.decode(asked[0])}\n\nA model that has learnt nothing (ln {len(material.tokenizer)} = "
      f"{math.log(len(material.tokenizer)):.3f}):\n")
print(continued(untrained(material, 0, options), material, asked[0], len(beginnings[0])) + "\n")

# %% What it reads
# Long texts are cut. To compare: the loss of one who knows how often each token occurs, and of one who knows the
# probability of every text.
end = end_of_text_id(material.tokenizer)
rows, held_rows = (rows_of(texts, end, options.length) for texts in (material.training, material.held_out))
held_rows = held_rows[:ROWS]
held = [batch_of(held_rows[i:i + 64]) for i in range(0, len(held_rows), 64)]
characters = sum(len(material.tokenizer.decode(row[1:])) for row in held_rows)
levels = {"unigram": unigram_baseline(np.bincount(np.concatenate([row[1:] for row in rows]),
                                                  minlength=len(material.tokenizer)),
                                      np.concatenate([batch["labels"].reshape(-1) for batch in held]))}
if material.floor is not None:
    levels["floor"] = material.floor
print(f"{len(material.training)} texts, {len(material.tokenizer)} tokens in the vocabulary; {options.seeds} models of "
      f"{options.layers} layers, {options.width} wide", flush=True)

# %% Reading and writing


def trained(material, rows, seed, options, workers):
    """A GPT that has read `options.steps` batches of the rows."""
    model, rng = untrained(material, seed, options), np.random.default_rng([seed, 1])
    batches = (batch_of([rows[i] for i in rng.integers(len(rows), size=options.batch_size)]) for _ in iter(int, 1))
    progress = Progress(options.steps)
    for step in train(model, batches, optimizer=AdamW(model.parameters()),
                      lr=linear_schedule(options.steps, options.lr), steps=options.steps, seed=seed, workers=workers):
        progress.update(step, lambda step=step: f"seed {seed}  loss {step.sums['loss']:.3f}")
    return model


def write(model, material, beginnings, way, seed):
    """`Written` from the beginnings of texts, lists of ids."""
    end, room = end_of_text_id(material.tokenizer), model.config.n_positions
    given = batch_of([[end, *ids] for ids in beginnings])
    ids = model.generate(given["input_ids"], room - given["input_ids"].shape[1], eos_token_id=end,
                         attention_mask=given["attention_mask"],
                         **({} if way is None else {"rng": np.random.default_rng([seed, 2]), **way}))
    whole, new = [], []
    for row, start in zip(ids[:, 1:].tolist(), beginnings, strict=True):
        text = row[:row.index(end)] if end in row else row
        whole.append(material.tokenizer.decode(text))
        new.append(material.tokenizer.decode(text[len(start):]).strip())
    return Written(whole, new)


def judged(material, written):
    """{what is counted: share}, and how many of the texts differ."""
    return {name: check(written) for name, check in material.checks.items()} | {
        "different texts": len(set(written.whole)) / len(written.whole)}


def spread(values, percent=False):
    """Mean and standard deviation over the seeds; a seed in which there was nothing to count is left out."""
    values = [value for value in values if not math.isnan(value)]
    if not values:
        return "none"
    form = ".1%" if percent else ".3f"
    return f"{statistics.fmean(values):{form}}" + (f" ± {statistics.stdev(values):{form}}" if len(values) > 1 else "")


losses, shares, samples, models = [], {way: [] for way in WAYS}, {}, []
for seed in range(options.seeds):
    model = trained(material, rows, seed, options, workers)
    models.append(model)
    figures = evaluate(model, held, workers)
    losses.append({"nats": figures["lm"],
                   "bits per character": figures["lm"] * figures["scored"] / math.log(2) / characters})
    for way, settings in WAYS.items():
        written = write(model, material, beginnings, settings, seed)
        shares[way].append(judged(material, written))
        samples.setdefault(way, written)

decode = material.tokenizer.decode
real = judged(material, Written([decode(ids) for ids in asked],
                                [decode(ids[len(start):]).strip()
                                 for ids, start in zip(asked, beginnings, strict=True)]))
print(f"\nThe text from above, after training:\n\n{continued(models[0], material, asked[0], len(beginnings[0]))}")
for number, (ids, start) in enumerate(zip(asked[:3], beginnings, strict=False)):
    print(f"\n{decode(start)} ...\n  {'the real text':<16}... {decode(ids[len(start):]).strip()}")
    for way, written in samples.items():
        print(f"  {way:<16}... {written.new[number]}")
nats, bits = ([one[name] for one in losses] for name in ("nats", "bits per character"))
print(f"\nHeld-out texts: {spread(nats)} nats a token, {spread(bits)} bits a character. To compare: "
      + ", ".join(f"{name} {value:.3f}" for name, value in levels.items()) + " nats")
print(f"\n{options.written} texts in each way" + (f", mean ± standard deviation of {options.seeds} seeds"
                                                  if options.seeds > 1 else "") + "\n")
print(" " * 16 + "".join(f"{name:>26}" for name in real))
for way, found in shares.items():
    print(f"{way:<16}" + "".join(f"{spread([one[name] for one in found], percent=True):>26}" for name in real))
print(f"{'real texts':<16}" + "".join(f"{value:>26.1%}" for value in real.values()) + "\n")
files.write_text(results.folder / f"{options.text}.json", files.json_text({
    "options": {name: value for name, value in vars(options).items() if name != "out"}, "losses": losses,
    "levels": levels, "real": real, "shares": {way: [
        {name: None if math.isnan(x) else x for name, x in one.items()} for one in found]
        for way, found in shares.items()},
    "samples": {way: written.whole[:20] for way, written in samples.items()}}, indent=1) + "\n")

# %% The picture
means = {way: {name: statistics.fmean(one[name] for one in found) for name in real} for way, found in shares.items()}
results.draw(options.text, [svg.bars("What is written, in each way; mean of the seeds", "share", {
    name: {way: found[name] for way, found in (means | {"real texts": real}).items()} for name in real})])

# %% The takeaway
first, floor = next(iter(real)), material.floor
laboratory.end(
    options, f"of what is written, these are {first}: " + ", ".join(
        f"{found[first]:.1%} ({way})" for way, found in means.items()) + f"; of the texts differ "
    f"{means['greedy']['different texts']:.1%} greedily and {means['temperature 1']['different texts']:.1%} at "
    "temperature 1" + ("" if floor is None else f"; the loss is {statistics.fmean(nats) - floor:.3f} nats above the "
                       "lowest that there can be") + ".",
    f"--steps {2 * options.steps} (do the sentences or the stories gain?), --layers 1 and 4, --text "
    f"{'open' if options.text == 'closed' else 'closed'}.")
