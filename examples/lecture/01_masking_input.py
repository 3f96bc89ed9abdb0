# %% [markdown]
"""Masking input: which words are hidden, what replaces them, and what a model learns from it.

    python examples/lecture/01_masking_input.py               two minutes: counts, then small models, as many as fit
    python examples/lecture/01_masking_input.py --full        fifteen of them, however long it takes
    python examples/lecture/01_masking_input.py --steps 3000  models that have read more

The lecture: BERT hides some words of a text, by [MASK] or by a word drawn at random, and guesses them. Devlin et al.
2019 (appendix A.1) choose 15% of the words; 80% of these become [MASK], 10% a random word, 10% stay; appendix C.2 asks,
as this script does, how other mixtures compare.
"""
# %%
import math
import time

import numpy as np

from numbert import BertForPreTraining
from numbert.lab import instance, laboratory, svg
from numbert.lab.bodies import Recipe, body_step_seconds, config_of, tokenizer_of
from numbert.lab.lesson import Lesson, head_seconds
from numbert.lab.toy_tasks import draw, toy_task
from numbert.ops import IGNORE
from numbert.pretraining.baselines import unigram_baseline
from numbert.pretraining.batches import PretrainingData
from numbert.pretraining.evaluation import evaluate
from numbert.pretraining.masking import UNITS
from numbert.toyworld import documents
from numbert.training.seeds import Seeds, plural, table

MIXTURES = {"only [MASK]": (1.0, 0.0), "only random": (0.0, 1.0), "80/10/10": (0.8, 0.1)}
FATES = ("[MASK]", "random", "itself")

options, workers = laboratory.begin(laboratory.arguments(
    __doc__, name="masking_input",
    quick={"steps": 4, "seeds": 1, "stories": 100, "held_out": 20, "examples": 16, "test": 16, "epochs": 1},
    least={"seeds": 2, "steps": 200}, claim="masking",
    steps=600, width=64, max_length=32, pretraining_lr=3e-3, seeds=5, stories=2000, held_out=300, examples=60,
    test=200, epochs=10, lr=7e-4))
lesson, results = Lesson(options), laboratory.Results(options)

# %% One text
# As it stands there, as a model gets it, and what a model says that has learnt nothing: its loss is about ln V, that of
# guessing at random. It is the first of the held-out texts with most fates.


def fates(batch, mask_id):
    """{fate: (B, T) bool}: what became of the words of a batch that have a label."""
    asked = batch["labels"] != IGNORE
    hidden, same = batch["input_ids"] == mask_id, batch["input_ids"] == batch["labels"]
    return {"[MASK]": asked & hidden, "random": asked & ~hidden & ~same, "itself": asked & same}


tokenizer = tokenizer_of("en")
recipe = Recipe(objective="mlm", steps=options.steps, width=options.width, max_length=options.max_length,
                lr=options.pretraining_lr)
held_out = documents(options.held_out, np.random.default_rng(4))


def held(**shares):
    return list(PretrainingData(held_out, tokenizer, objective="mlm", max_length=options.max_length,
                                **shares).evaluation_batches())


mixed = held()
number, row = max(((i, j) for i, batch in enumerate(mixed) for j in range(len(batch["labels"]))), key=lambda place: sum(
    where[place[1]].any() for where in fates(mixed[place[0]], tokenizer.mask_token_id).values()))
ids, labels = (mixed[number][name][row][mixed[number]["attention_mask"][row] > 0] for name in ("input_ids", "labels"))
print("the text        " + tokenizer.decode(np.where(labels == IGNORE, ids, labels), skip_special_tokens=False))
print("the model gets  " + tokenizer.decode(ids, skip_special_tokens=False))
untrained = BertForPreTraining(config_of(recipe, len(tokenizer)), rng=np.random.default_rng(0))
print(f"\nA model that has learnt nothing (ln V = {math.log(len(tokenizer)):.3f}):\n")
print(instance.hidden_words(untrained, tokenizer, ids, labels))

# %% What is chosen
# Of n words exactly round(0.15 n), so no text goes without a blank. The choice is blind: a word is hidden as often
# as it is written, so many of the blanks are full stops and words such as "the", which teach little.


def counted(batches, ordinary, mask_id):
    """How many pieces of text, words, chosen words and words of each fate; `off`: pieces with another number of chosen
    words than max(1, round(0.15 n))."""
    totals = dict.fromkeys(("texts", "words", "chosen", "off", *FATES), 0)
    for batch in batches:
        asked = batch["labels"] != IGNORE
        words, chosen = (asked | ordinary[batch["input_ids"]]).sum(1), asked.sum(1)
        totals["texts"] += len(words)
        totals["words"] += int(words.sum())
        totals["chosen"] += int(chosen.sum())
        totals["off"] += int((chosen != np.maximum(1, np.rint(0.15 * words))).sum())
        for fate, where in fates(batch, mask_id).items():
            totals[fate] += int(where.sum())
    return totals


def most_frequent(batches, ordinary, count):
    """[(id, its share of the blanks, its share of all words), ...] of the most frequent words."""
    blanks, words = np.zeros((2, len(ordinary)), np.int64)
    for batch in batches:
        asked = batch["labels"] != IGNORE
        original = np.where(asked, batch["labels"], batch["input_ids"])
        np.add.at(blanks, original[asked], 1)
        np.add.at(words, original[ordinary[original]], 1)
    blanks, shares = blanks / blanks.sum(), words / words.sum()
    return [(int(i), float(blanks[i]), float(shares[i])) for i in np.argsort(-words)[:count]]


stories = documents(options.stories, np.random.default_rng(3))


def blanks(**settings):
    return PretrainingData(stories, tokenizer, objective="mlm", max_length=options.max_length, **settings)


data = blanks()
batches = list(data.evaluation_batches())
found = counted(batches, data.ordinary, tokenizer.mask_token_id)
print(f"\n{len(stories)} stories in {found['texts']} pieces of up to {options.max_length} tokens, {found['words']} "
      f"words (and full stops)\nchosen: {found['chosen']} words, {found['chosen'] / found['words']:.2%}; pieces with "
      f"another number than round(0.15 n), at least 1: {found['off']}")
common = most_frequent(batches, data.ordinary, count=5)
print("of the blanks: " + ", ".join(f"{tokenizer.tokens[i]!r} {share:.1%} (of all words {whole:.1%})"
                                    for i, share, whole in common))

# %% What becomes of it
# The fate of each chosen word is drawn on its own, so a count has a binomial distribution: with n draws of
# probability p the mean n p and the standard deviation sqrt(n p (1 - p)). One random word in V is, by chance, the
# word that stood there; from the input alone it looks like one that stayed.


def against_expected(found, V):
    """{fate: {mean, std, counted, off}} of the binomial distribution, V ordinary words; `off` is in its standard
    deviations `std`."""
    shares = {"[MASK]": 0.8, "random": 0.1 * (1 - 1 / V), "itself": 0.1 * (1 + 1 / V)}
    rows = {}
    for fate, p in shares.items():
        mean, std = found["chosen"] * p, math.sqrt(found["chosen"] * p * (1 - p))
        rows[fate] = {"mean": mean, "std": std, "counted": found[fate], "off": (found[fate] - mean) / std}
    return rows


def run_length(batches):
    """The mean number of neighbours with a label in a row."""
    chosen = [batch["labels"] != IGNORE for batch in batches]
    starts = sum(int(one[:, 0].sum() + (one[:, 1:] & ~one[:, :-1]).sum()) for one in chosen)
    return sum(int(one.sum()) for one in chosen) / starts


print(f"\n{'becomes':10}{'mean':>10}{'standard deviation':>20}{'counted':>10}"
      f"{'difference, in standard deviations':>37}")
for fate, row in against_expected(found, V=int(data.ordinary.sum())).items():
    print(f"{fate:10}{row['mean']:10.1f}{row['std']:20.1f}{row['counted']:10}{row['off']:+37.2f}")
    found[fate] = row
print("\nWhat is chosen together (`mask_unit`): how many neighbours in a row are hidden, on average")
runs = {unit: run_length(blanks(mask_unit=unit).evaluation_batches()) for unit in UNITS}
print("  " + ", ".join(f"{unit} {length:.2f}" for unit, length in runs.items())
      + "   (a word of the toy world is one token)")
results.add(counts=found, common={tokenizer.tokens[i]: [share, whole] for i, share, whole in common}, runs=runs)

# %% Three ways to hide, and what is learnt
# Everything else is the same: text, steps, and which words have a label. All models are then tested on the same
# words of the same held-out texts; the fate of a word tells which of the three situations a model was trained for.


def with_fate(batches, fate, mask_id):
    """The same batches, asked only for the words of one fate."""
    return [batch | {"labels": np.where(fates(batch, mask_id)[fate], batch["labels"], IGNORE)} for batch in batches]


def measured(folder, asked, workers):
    """{name: figures} of the model in a folder, on each list of batches."""
    model = BertForPreTraining.from_pretrained(folder)
    return {name: evaluate(model, batches, workers) for name, batches in asked.items()}


def mean_and_std(seeds):
    """The loss that Seeds of negative losses stand for, as a text."""
    return f"{-seeds.mean():.3f}" + (f" ± {seeds.std():.3f}" if len(seeds.figures) > 1 else "")


asked = {"80/10/10": mixed} | {f"of these {fate}": with_fate(mixed, fate, tokenizer.mask_token_id)
                               for fate in FATES} | {"only [MASK]": held(mask_share=1.0, random_share=0.0)}
splits = draw("tag", (options.examples, max(1, options.test // 2), options.test))
if names := lesson.open("seeds", "steps"):
    each, began = body_step_seconds(recipe, workers), time.perf_counter()
    for some in asked.values():
        evaluate(untrained, some, workers)
    judged, heads = time.perf_counter() - began, 0.0
    for frozen in (False, True):
        task = toy_task("tag", splits, tokenizer, laboratory.settings(options), workers)
        chosen = laboratory.settings(options, freeze_body=frozen)
        heads += head_seconds(task, untrained.config, chosen, workers)(chosen)
    lesson.fit(lambda o: o.seeds * (len(MIXTURES) * (o.steps * each + judged) + (len(MIXTURES) + 1) * heads), *names,
               pace=f"{1 / each:.1f} steps a second")
    recipe = recipe.replace(steps=options.steps)
counts = np.bincount(data.text.tokens, minlength=len(tokenizer))
baseline = {name: unigram_baseline(counts, np.concatenate([batch["labels"].reshape(-1) for batch in some]))
            for name, some in asked.items()}
folders, losses = {}, {}
for name, (mask_share, random_share) in MIXTURES.items():
    print(f"\n{name}")
    folders[name] = laboratory.bodies(recipe.replace(mask_share=mask_share, random_share=random_share),
                                      options.seeds, workers)
    figures = [measured(folder, asked, workers) for folder in folders[name]]
    losses[name] = {which: Seeds([{"nats": -one[which]["mlm"]} for one in figures], {"nats": -baseline[which]})
                    for which in asked}
    results.add(**{f"held_out {name}": figures})
print("\nHeld-out loss in nats a word, mean ± standard deviation of the seeds; columns: the text it was tested on\n")
print(f"{'trained with':14}" + "".join(f"{which:>18}" for which in asked))
for name, one in losses.items():
    print(f"{name:14}" + "".join(f"{mean_and_std(each):>18}" for each in one.values()))
print(f"{'word counts':14}" + "".join(f"{nats:>18.3f}" for nats in baseline.values()))
lower = laboratory.compare(options, {
    f"on {which}: how much lower after 80/10/10 than after {other}": (losses["80/10/10"][which], losses[other][which])
    for which in asked for other in MIXTURES if other != "80/10/10"})
print("\nThe text from above, after 80/10/10:\n")
print(instance.hidden_words(BertForPreTraining.from_pretrained(folders["80/10/10"][0]), tokenizer, ids, labels))

# %% And afterwards?
# In a task no [MASK] is ever seen. If every hidden word was a [MASK], a model never had to say anything about the
# words that it sees. When all of it is trained further that may matter little; a body that stays frozen has nothing
# but what it learnt.
downstream, differences = {}, {}
for how, frozen in (("fine-tuned", False), ("frozen body", True)):
    settings = laboratory.settings(options, freeze_body=frozen)
    task = toy_task("tag", splits, tokenizer, settings, workers)
    rows = {name: laboratory.downstream(task, folders[name], settings, workers) for name in MIXTURES}
    rows["from scratch"] = laboratory.downstream(task, folders["80/10/10"], settings, workers, from_scratch=True)
    print(f"\nParts of speech, {options.examples} sentences to learn from, {how}, {plural(options.seeds, 'seed')}:\n")
    print(table(rows))
    differences |= laboratory.compare(options, {f"{how}: 80/10/10 against {other}": (rows["80/10/10"], rows[other])
                                                for other in MIXTURES if other != "80/10/10"})
    downstream[how] = rows
results.add(losses={name: {which: -one.mean() for which, one in row.items()} for name, row in losses.items()},
            std={name: {which: one.std() for which, one in row.items()} for name, row in losses.items()},
            word_counts=baseline, downstream=downstream, differences=lower | differences)

# %% The picture
results.draw("losses", [svg.bars("Held-out loss, by what became of the word: mean and standard deviation of the seeds",
                                 "nats a word", {f"after {name}": {
                                     fate: (-row[f"of these {fate}"].mean(), row[f"of these {fate}"].std())
                                     for fate in FATES} for name, row in losses.items()},
                                 {"word counts": baseline["80/10/10"]})])

# %% The takeaway
lowest = {fate: max(MIXTURES, key=lambda name, fate=fate: losses[name][f"of these {fate}"].mean()) for fate in FATES}
laboratory.end(
    options, "the lowest loss, where the word became " + ", ".join(
        f"{fate}: after {name}" for fate, name in lowest.items()) + "; of the differences between the mixtures in "
    f"tagging {sum(abs(one['in_standard_deviations']) > 2 for one in differences.values())} of {len(differences)} are "
    "significant at two standard deviations.",
    "--steps 3000 (do the differences stay?), --examples 10, and MIXTURES in this file: (0.0, 0.0) hides nothing, so "
    'that the answer always stands there. Look at losses.svg: where do the bars change places? The answer to "itself" '
    "stands in the text.")
