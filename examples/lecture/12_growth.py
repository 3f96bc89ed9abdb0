# %% [markdown]
"""How knowledge grows: what does BERT learn first, nouns or verbs, "the" or "kitchen"? Looked at during pre-training.

    python examples/lecture/12_growth.py                two minutes: small models, each looked at nine times
    python examples/lecture/12_growth.py --full         five of them, however long it takes
    python examples/lecture/12_growth.py --language zh  the same world in Chinese

A word of a story that the model has never read is hidden, and the model guesses it. The toy world knows the part
of speech of every word. So at points of one pre-training run we can ask: of the hidden nouns, what share is restored?
Of the verbs, the determiners, the names?

But "the" is also frequent, and what is frequent is learnt early, whatever its part of speech. So each class is
compared with words of *other* classes that are as frequent in the training text (within a factor of two): the
remaining difference is not due to frequency. In the lecture, after Chiang, Huang and Lee 2020, "Pretrained
Language Model Embryology".
"""
# %%
import itertools
import time

import numpy as np

from numbert import BertForPreTraining
from numbert.lab import instance, laboratory, svg
from numbert.lab.bodies import Recipe, body_step_seconds, config_of, learn, stories_to_learn, tokenizer_of
from numbert.lab.lesson import Lesson
from numbert.pretraining.masking import IGNORED, mask_tokens, ordinary_table
from numbert.recording import no_grad
from numbert.toyworld import LANGUAGES, stories
from numbert.training.seeds import Seeds, plural

# Universal Dependencies' own division; punctuation is in neither.
OPEN = ("NOUN", "PROPN", "VERB", "ADJ", "ADV", "NUM")
CLOSED = ("DET", "ADP", "AUX", "PRON", "PART", "CCONJ", "SCONJ")
FEWEST = 20                                 # hidden words that a class must have to be shown
QUICK = {"steps": 8, "points": 2, "width": 32, "held_out": 40, "seeds": 1}

parser = laboratory.arguments(__doc__, name="growth", quick=QUICK, least={"seeds": 2, "steps": 600},
                              full={"seeds": 5}, steps=1800, points=9, width=64, batch_size=16,
                              lr=4e-3, held_out=400, seeds=3)
parser.add_argument("--language", choices=LANGUAGES, default="en", help="(default: %(default)s)")
options, workers = laboratory.begin(parser)
lesson, results = Lesson(options), laboratory.Results(options)

# %% One story with hidden words, each with its part of speech


def questions(told, tokenizer, language, max_length, seed=6):
    """(batch, tags): `told` new stories as arrays (B, T) with 15% of the words hidden, and an array of the part of
    speech of each hidden token (M,) in reading order. Always [MASK]: a word that may be seen is no question."""
    rng, rows, tags = np.random.default_rng([seed, 1]), [], []
    for story in itertools.islice(stories(np.random.default_rng(seed), language), told):
        words = [word for sentence in story.sentences for word in sentence.words]
        parts = [tag for sentence in story.sentences for tag in sentence.tags]
        pieces = tokenizer.encode_batch(words, add_special_tokens=False)        # a Chinese word may be several
        ids = [id for one in pieces for id in one][:max_length - 2]
        rows.append([tokenizer.cls_token_id, *ids, tokenizer.sep_token_id])
        tags.append(["", *(tag for one, tag in zip(pieces, parts, strict=True) for _ in one)][:len(ids) + 1] + [""])
    batch = tokenizer.pad(rows)
    batch["input_ids"], batch["labels"] = mask_tokens(batch["input_ids"], rng, ordinary=ordinary_table(tokenizer),
                                                      mask_id=tokenizer.mask_token_id, mask_share=1.0,
                                                      random_share=0.0)
    T = batch["labels"].shape[1]
    tags = np.array([row + [""] * (T - len(row)) for row in tags])
    return batch, tags[batch["labels"] != IGNORED]


def answers(model, batch, workers, size=32):
    """(M,) bool: which hidden words the model's first guess restores, in reading order."""
    def one(start):
        part = {name: array[start:start + size] for name, array in batch.items()}
        with no_grad():
            return model(**part).prediction_logits.data.argmax(-1)
    guesses = np.concatenate(workers.map(one, range(0, len(batch["labels"]), size)))
    return guesses == batch["labels"][batch["labels"] != IGNORED]


recipe = Recipe(language=options.language, objective="mlm", steps=options.steps, batch_size=options.batch_size,
                width=options.width, lr=options.lr)
tokenizer = tokenizer_of(options.language)
batch, tags = questions(options.held_out, tokenizer, options.language, recipe.max_length)
labels = batch["labels"][batch["labels"] != IGNORED]
story, hidden = (batch[name][0][batch["attention_mask"][0] > 0] for name in ("input_ids", "labels"))
model = BertForPreTraining(config_of(recipe, len(tokenizer)), rng=np.random.default_rng(0))
print(tokenizer.decode(story, skip_special_tokens=False) + "\n\nhidden: " + ", ".join(
    f"{tokenizer.tokens[id]} ({tag})" for id, tag in zip(labels, tags[:(hidden != IGNORED).sum()], strict=False))
    + "\n\nA model that has learnt nothing says:\n\n" + instance.hidden_words(model, tokenizer, story, hidden) + "\n")

# %% Frequency, taken out


def frequency_bins(labels, counts):
    """The bin of each word by how often it is in the training text: 2^k .. 2^(k+1) - 1 times is bin k, never is -1."""
    return np.frexp(counts[labels].astype(float))[1] - 1


def advantage(right, ours, others, bins):
    """How much larger the share of right answers is among `ours` than among `others` *of the same frequency*.

    right, ours, others: (M,) bool; bins (M,). Each of ours is compared with all others in its bin; those without any
    such companion are left out. Returns (the mean difference, the share of ours that could be compared); NaN if none.
    """
    difference, compared = 0.0, 0
    for one in np.unique(bins[ours]):
        inside, companions = ours & (bins == one), others & (bins == one)
        if companions.any():
            difference += inside.sum() * (right[inside].mean() - right[companions].mean())
            compared += inside.sum()
    return (difference / compared if compared else np.nan), compared / max(1, ours.sum())


def half_way(steps, shares):
    """The step at which a curve of shares, from 0 at step 0, first reaches half of its last value (between two points
    on a straight line)."""
    steps, shares = [0, *steps], [0.0, *shares]
    for i in range(1, len(steps)):
        if shares[i] >= shares[-1] / 2 and shares[i] > shares[i - 1]:
            return steps[i - 1] + (steps[i] - steps[i - 1]) * (shares[-1] / 2 - shares[i - 1]) / (
                shares[i] - shares[i - 1])
    return float(steps[-1])


def seeds_of(figures):
    """{name: values over the seeds} as Seeds."""
    (name, values), = figures.items()
    return Seeds([{name: float(value)} for value in values], {name: 0.0})


def chart(title, y_label, curves, steps, tags, levels=None):
    return svg.chart(title, "step", y_label, {tag: list(zip(steps, curves[tag].mean(0), strict=True))
                                              for tag in tags if tag in curves}, levels)


# %% How much of it there is time for
if names := lesson.open("seeds", "steps"):
    each, began = body_step_seconds(recipe, workers), time.perf_counter()
    answers(model, batch, workers)
    look = 1.5 * (time.perf_counter() - began)              # and the loss of a hundred stories
    lesson.fit(lambda o: o.seeds * (o.steps * each + o.points * look), *names, pace=f"{1 / each:.1f} steps a second")
    recipe = recipe.replace(steps=options.steps)

# %% One pre-training run, looked at on the way
data, held = stories_to_learn(recipe, tokenizer)
counts = np.bincount(data.text.tokens, minlength=len(tokenizer))
bins = frequency_bins(labels, counts)
shown = [tag for tag in (*CLOSED, *OPEN, "PUNCT") if (tags == tag).sum() >= FEWEST]
members = {tag: tags == tag for tag in shown} | {"closed": np.isin(tags, CLOSED), "open": np.isin(tags, OPEN)}
print(f"{len(labels)} hidden words of {options.held_out} new stories; {data.text.tokens.size} words to learn from")

runs = []                                                   # of each seed: the answers (points, M) bool
for seed in range(options.seeds):
    model = BertForPreTraining(config_of(recipe, len(tokenizer)), rng=np.random.default_rng(seed))
    steps, found = [], []
    seeded, _ = (data, held) if seed == 0 else stories_to_learn(recipe.replace(seed=seed), tokenizer)
    for record in learn(model, seeded, held, recipe.replace(seed=seed), workers, points=options.points):
        found.append(answers(model, batch, workers))
        steps.append(record["step"])
        print(f"seed {seed}  step {steps[-1]}: {found[-1].mean():.1%} of the hidden words restored, "
              + ", ".join(f"{tag} {found[-1][members[tag]].mean():.0%}" for tag in ("closed", "open")), flush=True)
    runs.append(np.array(found))
runs = np.array(runs)                                                               # (seeds, points, M)

# %% By part of speech, and with frequency taken out
most_frequent = labels == counts.argmax()
accuracy = {tag: runs[:, :, inside].mean(-1) for tag, inside in members.items()}     # (seeds, points) each
others = {tag: ~inside for tag, inside in members.items()} | {"closed": members["open"], "open": members["closed"]}
controlled = {tag: np.array([[advantage(right, inside, others[tag], bins)[0] for right in one] for one in runs])
              for tag, inside in members.items()}
rows = {}
for tag, inside in members.items():
    rows[tag] = {"words": int(inside.sum()), "median_count": float(np.median(counts[labels[inside]])),
                 "most_frequent_word": float(most_frequent[inside].mean()),
                 "half_way": [half_way(steps, one) for one in accuracy[tag]],
                 "accuracy": accuracy[tag], "advantage": controlled[tag],
                 "compared": float(advantage(runs[0, 0], inside, others[tag], bins)[1])}
early = len(steps) // 2 - 1
print(f"\nThe mean of {plural(options.seeds, 'seed')} (other first weights, other words hidden while it learns; the "
      "same stories). 'always':\nthe share for guessing the most frequent word every time. 'half way': the step that "
      "reaches half of the last share.\n'against as frequent': the share restored less that of words of other classes "
      "of the same frequency (for closed, of\nopen ones), "
      f"early (step {steps[early]}) and last; and how many words have such companions.\n")
print(f"{'':<8}{'hidden':>7}{'median count':>14}{'always':>8}{'early':>8}{'last':>7}{'half way':>10}"
      f"{'against as frequent':>21}{'compared':>10}")
for tag, row in rows.items():
    print(f"{tag:<8}{row['words']:>7}{row['median_count']:>14.0f}{row['most_frequent_word']:>8.0%}"
          f"{row['accuracy'][:, early].mean():>8.0%}{row['accuracy'][:, -1].mean():>7.0%}"
          f"{np.mean(row['half_way']):>10.0f}{row['advantage'][:, early].mean():>+13.2f}"
          f"{row['advantage'][:, -1].mean():>+8.2f}{row['compared']:>10.0%}")

# %% What came of it
# The comparison was fixed before any number was seen: closed classes ("the", "in", "and") against open ones.
pairs, nothing = {}, seeds_of({"advantage": np.zeros(len(runs))})
for when, point in ((f"step {steps[early]}", early), (f"step {steps[-1]}", -1)):
    pairs[f"{when}, as they are"] = [seeds_of({"accuracy": accuracy[tag][:, point]}) for tag in ("closed", "open")]
    pairs[f"{when}, against as frequent words"] = seeds_of({"advantage": controlled["closed"][:, point]}), nothing
closed, opened = (seeds_of({"steps to half way": rows[tag]["half_way"]}) for tag in ("closed", "open"))
pairs["steps to half way"] = closed, opened
pairs |= {f"{tag}, step {steps[-1]}, against as frequent words": (
    seeds_of({"advantage": controlled[tag][:, -1]}), nothing) for tag in shown}
differences = laboratory.compare(options, pairs)            # the first five: closed classes against open ones
results.add(steps=steps, early=steps[early], classes=rows, differences=differences, hidden=len(labels))

# %% The picture
# Is a class that is ahead in the upper charts still ahead in the lower ones?
results.draw("growth", [
    chart(f"Restored: {name} classes, mean of the seeds", "share", accuracy, steps, some)
    for name, some in (("closed", CLOSED), ("open", OPEN))] + [
    chart(f"The same less that of words as frequent: {name} classes", "difference", controlled, steps, some,
          {"as frequent words": 0.0}) for name, some in (("closed", CLOSED), ("open", OPEN))])

# %% The takeaway
# And look at the names (PROPN): whom a story is about is known only from the other places where the name stands.
gains = [controlled["closed"][:, point].mean() for point in (early, -1)]
laboratory.end(
    options, f"Closed classes are half way after {closed.mean():.0f} steps, open ones after {opened.mean():.0f}; where "
    "as frequent words of both can be compared, the share of closed ones that is restored is higher by "
    f"{gains[0]:+.2f} at step {steps[early]} and by {gains[1]:+.2f} at the end.",
    "--steps 6000 (do the names catch up?), --width 128, --language zh, and a question of your own: is a word that "
    "stands in the story once more restored more often than one that does not?")
