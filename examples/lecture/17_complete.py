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
import argparse
import math
import re
import statistics
import time
from typing import NamedTuple

import numpy as np

from numbert import ByteLevelBPETokenizer, GPT2Config, GPT2LMHeadModel, WordPieceTokenizer
from numbert.hub import files
from numbert.lab import svg
from numbert.machine import cores
from numbert.pretraining.baselines import unigram_baseline
from numbert.pretraining.batches import end_of_text_id
from numbert.pretraining.corpus import hold_out, python_documents
from numbert.pretraining.evaluation import evaluate
from numbert.tokenizers.byte_bpe_files import GPT2
from numbert.tokenizers.wordpiece import SPECIAL_TOKENS
from numbert.toyworld import documents, enumerated
from numbert.training import command
from numbert.training.loop import train
from numbert.training.optimizer import AdamW, linear_schedule
from numbert.training.run_folder import Progress, RunFolder

WAYS = {"greedy": None, "temperature 0.5": {"temperature": 0.5}, "temperature 1": {}, "temperature 1.5":
        {"temperature": 1.5}, "top-p 0.9": {"top_p": 0.9}}
TEXTS = {"closed": {"steps": 600, "seeds": 3, "width": 64, "length": 40},
         "open": {"steps": 800, "seeds": 1, "width": 128, "length": 128},
         "python": {"steps": 1200, "seeds": 1, "width": 128, "length": 64}}
QUICK = {"steps": 20, "seeds": 1, "width": 32, "written": 20}
ROWS = 400                              # held-out rows that the loss is measured on


def arguments(argv=None):
    """The parser; what is read, --text, decides its defaults."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
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
    command.add_quick(parser, QUICK)
    parser.set_defaults(**TEXTS[parser.parse_args(argv).text])
    return parser


def main(argv=None):
    command.start(complete, arguments(argv), argv)


# %% What it reads
# Each text stands between two tokens that mean "end": the first is what the model starts from. Long ones are cut.


class Material(NamedTuple):
    """training, held_out: texts as lists of ids.  prompt: function of such a list -> how many tokens of it are given.
    checks: {what is counted: function of Written -> share}.  floor: nats a token on `held_out`,
    for one who knows the probability of every text.
    """
    tokenizer: object
    training: list
    held_out: list
    prompt: object
    checks: dict
    floor: float | None = None


class Written(NamedTuple):
    """Texts (list of str), from their beginnings on, and what of each was written by the model."""
    whole: list
    new: list


def sentences(text):
    return [one.strip() for one in re.findall(r"[^.?]+[.?]?", text) if one.strip()]


def words(text):
    return re.findall(r"[a-z]+", text.lower())


def found_in(known, parts=lambda text: [text], of="new"):
    """A check: the share of the parts of texts that are among the known ones."""
    def share(written):
        found = [part in known for text in getattr(written, of) for part in parts(text)]
        return statistics.fmean(found) if found else math.nan
    return share


def closed(options):
    """A world whose stories are all known, each with its probability. Half of them are never shown to the model."""
    language, rng = enumerated("tiny" if options.quick else "closed"), np.random.default_rng(0)
    tokenizer = WordPieceTokenizer([*SPECIAL_TOKENS.values(), *language.words])
    ours = np.array([tokenizer.vocab[word] for word in language.words])
    stories = [ours[text[:length]].tolist() for text, length in zip(language.texts, language.lengths, strict=True)]
    texts = list(map(tokenizer.decode, stories))
    hidden = rng.random(len(stories)) < 0.5
    training, held_out = (rng.choice(len(stories), size, p=p / p.sum()) for p, size in (
        (language.probabilities * ~hidden, 20_000), (language.probabilities * hidden, ROWS)))
    possible, unseen = set(texts), {text for text, one in zip(texts, hidden, strict=True) if one}
    checks = {"sentences of the world": found_in({s for text in texts for s in sentences(text)}, sentences),
              "stories that can be": found_in(possible, of="whole"),
              "of these never read": lambda written: found_in(unseen, of="whole")(
                  Written([text for text in written.whole if text in possible], []))}
    nats = -np.log(language.probabilities[held_out]).sum() / (language.lengths[held_out] + 1).sum()
    return Material(tokenizer, [stories[i] for i in training], [stories[i] for i in held_out],
                    lambda ids: 1 + ids.index(tokenizer.vocab["."]), checks, float(nats))


def open_world(options):
    """24 people, 16 places, 42 things, moods and weather: too many stories to be listed, so 20,000 must do."""
    parts = [documents(n, np.random.default_rng([1, n]), "en") for n in (20_000, 400)]
    normaliser = WordPieceTokenizer([]).normaliser
    known = sorted({word for story in parts[0] for text in story for word in normaliser.words(text)})
    tokenizer = WordPieceTokenizer([*SPECIAL_TOKENS.values(), *known])
    training, held_out = ([tokenizer(" ".join(story), add_special_tokens=False).input_ids for story in part]
                          for part in parts)
    seen = {s for ids in training for s in sentences(tokenizer.decode(ids))}
    return Material(tokenizer, training, held_out, lambda ids: 1 + ids.index(tokenizer.vocab["."]),
                    {"sentences that were read": found_in(seen, sentences)})


def python(options):
    """The manual, docstrings and comments of this Python and of NumPy, a paragraph a text, in pieces of words."""
    parts = [[paragraph for document in part for paragraph in document]
             for part in hold_out(python_documents(), 0.05, np.random.default_rng(0))]
    tokenizer = ByteLevelBPETokenizer.train(parts[0], vocab_size=4000, special_tokens=GPT2)
    training, held_out = (tokenizer.encode_batch(part, add_special_tokens=False) for part in parts)
    return Material(tokenizer, training, held_out, lambda ids: min(8, len(ids)),
                    {"words that were read": found_in({word for text in parts[0] for word in words(text)}, words)})


READ = {"closed": closed, "open": open_world, "python": python}


def rows_of(texts, end, length):
    """Lists of at most `length` ids: each text with an end before and after it, cut so that each token comes after
    another one exactly once."""
    framed = ([end, *ids, end] for ids in texts)
    return [ids[start:start + length] for ids in framed for start in range(0, len(ids) - 1, length - 1)]


def batch_of(rows):
    """{input_ids, attention_mask, labels} (B, T): a token is asked for the one behind it."""
    lengths = np.array(list(map(len, rows)))
    mask = np.arange(lengths.max()) < lengths[:, None]
    ids = np.zeros(mask.shape, np.int64)
    ids[mask] = np.concatenate(rows)
    labels = np.where(mask, ids, -100)
    labels[:, 0] = -100
    return {"input_ids": ids, "attention_mask": mask.astype(np.int64), "labels": labels}


# %% Reading


def trained(material, rows, seed, options, workers):
    """A GPT that has read `options.steps` batches of the rows."""
    end = end_of_text_id(material.tokenizer)
    config = GPT2Config(vocab_size=len(material.tokenizer), n_embd=options.width, n_layer=options.layers,
                        n_head=options.width // 32, n_positions=options.length, embd_pdrop=0.0, resid_pdrop=0.0,
                        attn_pdrop=0.0, bos_token_id=end, eos_token_id=end,
                        initializer_range=0.02 * math.sqrt(768 / options.width))    # 0.02 is for 768 wide matrices
    model, rng = GPT2LMHeadModel(config, rng=np.random.default_rng([seed, 0])), np.random.default_rng([seed, 1])
    batches = (batch_of([rows[i] for i in rng.integers(len(rows), size=options.batch_size)]) for _ in iter(int, 1))
    progress = Progress(options.steps)
    for step in train(model, batches, optimizer=AdamW(model.parameters()),
                      lr=linear_schedule(options.steps, options.lr), steps=options.steps, seed=seed, workers=workers):
        progress.update(step, lambda step=step: f"seed {seed}  loss {step.sums['loss']:.3f}")
    return model


# %% Writing


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


# %% All of it


def complete(options, workers):
    if options.length < 3:
        raise ValueError(f"--length must be at least 3, a token between two ends, got {options.length}")
    if options.width % 32:
        raise ValueError(f"--width must be a multiple of 32, the width of a head, got {options.width}")
    run_folder = RunFolder(options.out).hold()          # ours as long as we are there
    out = run_folder.path
    began = time.monotonic()
    material = READ[options.text](options)
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
    print(f"[{time.monotonic() - began:.1f} s] {len(material.training)} texts, {len(material.tokenizer)} tokens in the "
          f"vocabulary; {options.seeds} models of {options.layers} layers, {options.width} wide", flush=True)

    whole = [ids for ids in material.held_out if len(ids) <= options.length - 2]
    if not whole:
        raise ValueError(f"--length {options.length} is too short: every held-out text has more than "
                         f"{options.length - 2} tokens")
    asked = [whole[i] for i in np.random.default_rng(3).integers(len(whole), size=options.written)]
    beginnings = [ids[:material.prompt(ids)] for ids in asked]
    losses, shares, samples = [], {way: [] for way in WAYS}, {}
    for seed in range(options.seeds):
        model = trained(material, rows, seed, options, workers)
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
    print(f"{'real texts':<16}" + "".join(f"{value:>26.1%}" for value in real.values()))
    save(options, out, losses, levels, shares, real, samples)
    report(options, out, material, statistics.fmean(nats), levels, shares, real)


def spread(values, percent=False):
    """Mean and standard deviation over the seeds; a seed in which there was nothing to count is left out."""
    values = [value for value in values if not math.isnan(value)]
    if not values:
        return "none"
    form = ".1%" if percent else ".3f"
    return f"{statistics.fmean(values):{form}}" + (f" ± {statistics.stdev(values):{form}}" if len(values) > 1 else "")


def save(options, out, losses, levels, shares, real, samples):
    means = {way: {name: statistics.fmean(one[name] for one in found) for name in real}
             for way, found in shares.items()}
    heat = {"greedy": 0.0} | {way: settings.get("temperature", 1.0) for way, settings in WAYS.items()
                              if settings is not None and "top_p" not in settings}
    chart = svg.chart("What is written, against the temperature (0: greedy)", "temperature", "share",
                      {name: [(heat[way], means[way][name]) for way in heat] for name in real},
                      {f"{name}, top-p": means["top-p 0.9"][name] for name in real})
    files.write_text(out / f"{options.text}.svg", svg.page([chart]))
    files.write_text(out / f"{options.text}.json", files.json_text({
        "options": {name: value for name, value in vars(options).items() if name != "out"}, "losses": losses,
        "levels": levels, "real": real, "shares": {way: [
            {name: None if math.isnan(x) else x for name, x in one.items()} for one in found]
            for way, found in shares.items()},
        "samples": {way: written.whole[:20] for way, written in samples.items()}}, indent=1) + "\n")


def report(options, out, material, nats, levels, shares, real):
    first, *_ = real

    def mean(way, name=first):
        return statistics.fmean(one[name] for one in shares[way])
    print(f"\nIn {out}: {options.text}.svg (open it in a browser), {options.text}.json.\nWhat was seen"
          f"{' (of far too few steps)' if options.quick else ''}: ", end="")
    if material.floor is not None:
        print(f"the loss is {nats - material.floor:.3f} nats above the lowest that there can be. ", end="")
    print(f"""{first}:
{mean("greedy"):.1%} of what is written greedily, {mean("temperature 0.5"):.1%} at temperature 0.5, {
    mean("temperature 1"):.1%} at 1, {mean("temperature 1.5"):.1%} at 1.5. Different texts: {
    mean("greedy", "different texts"):.1%} greedily, {mean("temperature 1", "different texts"):.1%} at temperature 1.
Try next: --steps {2 * options.steps} (do the sentences or the stories gain?), --layers 1 and 4, --text {
    "open" if options.text == "closed" else "closed"}.""")


if __name__ == "__main__":
    main()
