# %% [markdown]
"""Ruined text in, whole text out (MASS, BART): does it matter for later tasks how the text was ruined?

    python examples/lecture/20_restore.py                         two minutes; --full takes about five
    python examples/lecture/20_restore.py --ways masked permuted  two of the five ways

A model reads a ruined text and writes the whole one. The text can be ruined in many ways; here are five:

    masked     a run of half of the tokens is hidden, each behind a [MASK]      MASS, Song et al. 2019
    infilled   the same run becomes a single [MASK]                             BART, Lewis et al. 2020, section 2.2
    deleted    a third of the tokens is gone, nobody says where                 BART
    permuted   the sentences stand in random order                              BART
    rotated    the text begins at another token, and its beginning is its end   BART

MASS and BART have two networks, one that reads and one that writes. Here one does both, a GPT with another mask: the
ruined text, n places in front, is seen from both sides, and what is written behind it sees all of that and what is
already written (ops.prefix; Raffel et al. 2020, section 3.2.1). So this compares five ways to ruin a text, not the two
papers. Then each body tags parts of speech, beside one that has learnt to write the next token, and one from scratch.
"""
# %%
import itertools

import numpy as np

from numbert import ops
from numbert.lab import laboratory, svg
from numbert.lab.bodies import Recipe, learn, story_count, tokenizer_of
from numbert.lab.lesson import Lesson, head_seconds, step_seconds
from numbert.lab.toy_tasks import draw, toy_task
from numbert.models.gpt2 import GPT2ForTokenClassification
from numbert.ops import IGNORE
from numbert.pretraining.families import build_model
from numbert.toyworld import documents
from numbert.training.seeds import plural, table

N = 32                                                      # places for the ruined text
parser = laboratory.arguments(
    __doc__, name="restore", quick={"steps": 6, "width": 32, "ways": ["masked", "permuted"], "examples": 16, "test": 16,
                                    "epochs": 1, "seeds": 1}, least={"seeds": 1, "ways": 2, "steps": 100},
    steps=400, width=64, layers=2, batch_size=32, examples=60, test=500, epochs=8, lr=7e-4, seeds=2)
parser.add_argument("--ways", nargs="+", choices=["masked", "infilled", "deleted", "permuted", "rotated"],
                    default=["masked", "infilled", "deleted", "permuted", "rotated"], help="(default: all five)")
options, workers = laboratory.begin(parser)
lesson, results, tokenizer = Lesson(options), laboratory.Results(options), tokenizer_of("en")
recipe = Recipe(steps=options.steps, batch_size=options.batch_size, width=options.width, layers=options.layers, lr=3e-3)

# %% One text, ruined in five ways


def ruined(sentences, way, rng):
    """The ids of the sentences, a list of lists of ids, ruined."""
    ids = sum(sentences, [])
    half = len(ids) // 2
    start = int(rng.integers(len(ids) - half + 1))
    if way == "permuted":
        return sum((sentences[i] for i in rng.permutation(len(sentences))), [])
    if way == "deleted":
        return [one for one in ids if rng.random() > 1 / 3]
    if way == "rotated":
        return ids[start:] + ids[:start]
    hidden = [tokenizer.mask_token_id] * (half if way == "masked" else 1)
    return ids[:start] + hidden + ids[start + half:]


def pieces(stories):
    """As many sentences as fit into N tokens, from the beginning of each story on: lists of lists of ids."""
    found = []
    for story in stories:
        piece = []
        for ids in tokenizer.encode_batch(story, add_special_tokens=False):
            if sum(map(len, piece)) + len(ids) > N:
                found.append(piece)
                piece = []
            piece.append(ids)
    return [piece for piece in found if len(piece) > 1]


def batch_of(some, way, rng):
    """[ruined text, filled up to N] [CLS] text [SEP]; with a loss at the text. way None: the text alone."""
    end, rows, begins = [tokenizer.sep_token_id], [], 1 if way is None else N + 1
    for piece in some:
        front = [] if way is None else ruined(piece, way, rng)
        front = front + [tokenizer.pad_token_id] * (begins - 1 - len(front))
        rows.append(front + [tokenizer.cls_token_id] + sum(piece, []) + end)
    places, lengths = np.arange(max(map(len, rows))), np.array([[len(row)] for row in rows])
    ids = np.array([row + [tokenizer.pad_token_id] * (len(places) - len(row)) for row in rows])
    real = places < lengths
    return {"input_ids": ids, "attention_mask": real.astype(np.int64),
            "labels": np.where(real & (places >= begins), ids, IGNORE)}


told, held_out = (pieces(documents(count, np.random.default_rng(seed))) for count, seed in
                  ((story_count(recipe), 3), (100, 4)))
print("the text    " + tokenizer.decode(sum(held_out[0], [])) + "\n")
for way in options.ways:
    print(f"{way:<12}" + tokenizer.decode(ruined(held_out[0], way, np.random.default_rng(0)), False))

# %% Learning to restore it


class Data:
    """Endless batches of a way to ruin."""

    def __init__(self, way, seed):
        self.way, self.seed = way, seed

    def batches(self):
        for number in itertools.count():
            rng = np.random.default_rng([self.seed, number])
            yield batch_of([told[i] for i in rng.integers(len(told), size=recipe.batch_size)], self.way, rng)


def untrained(way, seed):
    """A GPT that sees the ruined text from both sides; one for the next token sees none."""
    model = build_model("gpt", tokenizer, layers=recipe.layers, width=recipe.width, max_positions=2 * N + 2,
                        heads=recipe.width // 32, rng=np.random.default_rng(seed))
    model.body.mask = ops.causal if way is None else ops.prefix(N)
    return model


def restoring(way, seed):
    """(The folder of a model that restores what is ruined in this way, the share of held-out tokens it gets right)."""
    model, held = untrained(way, seed), [batch_of(held_out, way, np.random.default_rng(0))]
    settings = recipe.replace(seed=seed, steps=options.steps)
    for record in learn(model, Data(way, seed), held, settings, workers, points=1):
        right = record["lm_accuracy"]
    folder = results.folder / f"{way or 'next token'}-{seed}"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if way and not seed:
        asked = held[0]["input_ids"][:1, :N + 1]
        print(f"{way}: " + tokenizer.decode(asked[0], False).replace("[PAD]", "").strip() + " writes "
              + tokenizer.decode(model.generate(asked, N)[0, N + 1:]), flush=True)
    return folder, right


class Reading(GPT2ForTokenClassification):
    """A tagger in which every token sees every token, as the ruined texts were seen."""

    def __init__(self, config, **options):
        super().__init__(config, **options)
        self.body.mask = None


setup = laboratory.settings(options)
splits = draw("tag", (options.examples, max(1, options.test // 2), options.test))
task = toy_task("tag", splits, tokenizer, setup, workers)._replace(model_class=Reading)
if names := lesson.open("seeds", "ways", "steps"):
    model = untrained(options.ways[0], 0)
    each = step_seconds(model, Data(options.ways[0], 0).batches(), workers)
    head = head_seconds(task, model.config, setup, workers)(setup)
    lesson.fit(lambda o: o.seeds * ((len(o.ways) + 1) * (o.steps * each + head) + head), *names,
               pace=f"{1 / each:.1f} steps a second")
ways = [*options.ways, None]
restored = {way: [restoring(way, seed) for seed in range(options.seeds)] for way in ways}
right = {way: float(np.mean([share for _, share in found])) for way, found in restored.items()}

# %% What is it good for? Parts of speech from few labels
names = {way: way or "next token" for way in ways}
rows = {names[way]: laboratory.downstream(task, [folder for folder, _ in found], setup, workers)
        for way, found in restored.items()}
folders = [folder for folder, _ in restored[None]]
rows["from scratch"] = laboratory.downstream(task, folders, setup, workers, from_scratch=True)
print(f"\n{options.examples} tagged sentences, {plural(options.seeds, 'seed')} of both trainings:\n\n{table(rows)}")
differences = laboratory.compare(options, {f"{name} against {other}": (rows[name], rows[other])
                                           for name in options.ways for other in ("next token", "from scratch")})
results.add(restored={names[way]: share for way, share in right.items()}, downstream=rows, differences=differences)

# %% The picture
# The easier a text is to restore, the less there is to learn from it? Compare both.
results.draw("restore", [
    svg.bars("Held-out tokens that are written right, each behind the right ones", "share", {
        "right": {names[way]: share for way, share in right.items()}}),
    svg.bars("Parts of speech: mean and standard deviation of the seeds", "accuracy", {
        "fine-tuned": {name: (seeds.mean(), seeds.std()) for name, seeds in rows.items()}},
        {"majority": task.baseline["accuracy"]})])

# %% The takeaway
best = max(rows, key=lambda name: rows[name].mean())
laboratory.end(
    options, f"the highest mean has {best} ({rows[best].mean():.3f}; from scratch {rows['from scratch'].mean():.3f}); "
    f"{sum(abs(one['in_standard_deviations']) > 2 for one in differences.values())} of {len(differences)} differences "
    "are significant at two standard deviations.",
    "--steps 2000 (does the order stay?), --examples 500 (is pre-training still needed?).")
