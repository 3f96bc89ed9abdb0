# %% [markdown]
"""Objectives side by side: BERT, RoBERTa, ALBERT and GPT, each pre-trained in its own way, and what each is good for.

    python examples/lecture/16_objectives.py                       two minutes: one task, few steps
    python examples/lecture/16_objectives.py --full                all of it, with progress
    python examples/lecture/16_objectives.py --tasks classify tag  two of the four tasks
    python examples/lecture/16_objectives.py --rows gpt bert,mlm   some of the rows

All read the same toy stories with the same vocabulary (every word is a token), with as many layers of the same width
and as many steps. Then each is fine-tuned on the toy world's four tasks, five times. So the rows differ in what was
guessed, and in the network: ALBERT has one layer, used again and again, and GPT sees only what stands before a token.

A loss in bits per character can be compared between vocabularies, but not between the two kinds: GPT's is the length of
the text when it is compressed with the model; that of the others says how hard the hidden tokens are when the rest is
known. Sources: Devlin et al. 2019, Liu et al. 2019 (RoBERTa), Lan et al. 2020 (ALBERT), Radford et al. 2019 (GPT-2).
"""
# %%
import math

import numpy as np

from numbert.lab import laboratory, svg
from numbert.lab.bodies import Recipe, body_step_seconds, config_of, learn, story_count, tokenizer_of
from numbert.lab.lesson import Lesson, head_seconds
from numbert.lab.toy_tasks import SOURCES, draw, toy_task
from numbert.ops import IGNORE
from numbert.pretraining.batches import PretrainingData
from numbert.pretraining.evaluation import characters_per_token, evaluate
from numbert.pretraining.families import FAMILIES, build_model
from numbert.toyworld import documents
from numbert.training.experiment import run

ROWS = ["bert,mlm", "bert,mlm+nsp", "bert,mlm+sop", "roberta,full-sentences", "albert,mlm+sop", "gpt,causal"]

parser = laboratory.arguments(
    __doc__, name="objectives", quick={"rows": ["bert,mlm+sop", "gpt,causal"], "tasks": ["classify", "answer"],
                                       "steps": 6, "width": 32, "batch_size": 4, "examples": 24, "test": 24,
                                       "epochs": 1, "seeds": 1},
    least={"seeds": 2, "tasks": 1, "epochs": 3, "steps": 200}, claim="objectives",
    steps=1500, width=128, layers=2, batch_size=16, examples=500, test=500, epochs=6, lr=5e-4, seeds=5)
parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS, help="(default: all)", metavar="ROW")
parser.add_argument("--tasks", nargs="+", choices=list(SOURCES), default=list(SOURCES), help="(default: all four)")
options, workers = laboratory.begin(parser)
lesson, results = Lesson(options), laboratory.Results(options)

# %% One text, asked in as many ways
# All have one vocabulary. RoBERTa and GPT know no segments, and are given none: there only the [SEP] between them tells
# the two texts of a pair apart. A model that has learnt nothing has a loss of about ln V for words, ln 2 for pairs.
tokenizer = tokenizer_of("en")
recipe = Recipe(steps=options.steps, batch_size=options.batch_size, layers=options.layers, width=options.width)


def data_of(row, told, learning):
    """PretrainingData of a row; held out, every row has its loss at BERT's 15%, single tokens."""
    family, objective = row.split(",")
    settings = {"objective": objective, "max_length": recipe.max_length, "batch_size": recipe.batch_size}
    if FAMILIES[family].pair_label:
        settings["pair_label"] = FAMILIES[family].pair_label
    if learning and objective != "causal":
        settings |= {"mask_rate": recipe.mask_rate, "mask_unit": FAMILIES[family].mask_unit}
    return PretrainingData(told, tokenizer, **settings)


def untrained(row):
    """A model of the row's family whose weights are drawn."""
    return build_model(row.split(",")[0], tokenizer, layers=recipe.layers, width=recipe.width, max_positions=256,
                       heads=recipe.width // 32, rng=np.random.default_rng(0))


held_out = documents(100, np.random.default_rng(4), "en")
for row in options.rows:
    batch = next(data_of(row, held_out, learning=True).evaluation_batches())
    batch = {name: array[:1] for name, array in batch.items()}
    real = batch["attention_mask"][0] > 0
    labels, model = batch["labels"][0][real], untrained(row)
    losses = model(**model.accepted(batch)).losses
    print(f"{row}\n  gets    {tokenizer.decode(batch['input_ids'][0][real], False)}\n  a loss at "
          f"{int((labels != IGNORE).sum())} tokens: " + " ".join(tokenizer.tokens[i] for i in labels[labels != IGNORE])
          + "".join(f"\n  and on the label of the pair: {array[0]}" for name, array in batch.items()
                    if name.endswith("_label"))
          + "\n  loss of a model that has learnt nothing: "
          + ", ".join(f"{name} {float(loss.data):.3f}" for name, loss in losses.items()))
print(f"  (ln V = {math.log(len(tokenizer)):.3f}, ln 2 = {math.log(2):.3f})")

# %% How much of it there is time for
# All rows are taken to cost what the first kind of BERT costs.
sizes = options.examples, max(1, options.test // 2), options.test
splits = {name: draw(name, sizes) for name in options.tasks}
if names := lesson.open("seeds", "tasks", "epochs", "steps"):
    setup, config, each = laboratory.settings(options), config_of(recipe, len(tokenizer)), body_step_seconds(
        recipe, workers)
    heads = {name: head_seconds(toy_task(name, splits[name], tokenizer, setup, workers), config, setup, workers)
             for name in options.tasks}
    lesson.fit(lambda o: len(o.rows) * (o.steps * each + o.seeds * sum(
        heads[name](laboratory.settings(o)) for name in o.tasks)), *names, pace=f"{1 / each:.1f} steps a second")
    recipe = recipe.replace(steps=options.steps)
told = documents(story_count(recipe), np.random.default_rng(3), "en")

# %% Pre-training: the same stories, the same number of steps


def pretrained(row, options, workers, folder):
    """The figures of a row's pre-training; the model goes into `folder`."""
    held, model = list(data_of(row, held_out, learning=False).evaluation_batches()), untrained(row)
    speeds = []
    for _ in learn(model, data_of(row, told, learning=True), held, recipe, workers, points=1,
                   each=lambda step: speeds.append(step.tokens / step.seconds)):
        pass
    model.save_pretrained(folder)
    figures = evaluate(model, held, workers, characters_per_token(held_out, tokenizer))
    loss = figures.get("mlm", figures.get("lm"))
    pairs = figures.get("nsp_accuracy", figures.get("sop_accuracy"))
    return {"parameters": sum(p.data.size for p in model.parameters()), "tokens_per_second": float(np.median(speeds)),
            "nats_per_token": loss, "bits_per_character": figures["bits_per_character"], "pairs_right": pairs}


# %% Fine-tuning: each body with its own family's head, which it finds in the folder


def tuned(name, splits, folder, options, workers):
    setup = laboratory.settings(options)
    return run(toy_task(name, splits, tokenizer, setup, workers), folder, setup, workers, say=None).seeds


def spread(seeds):
    return f"{seeds.mean():.3f}" + (f" ± {seeds.std():.3f}" if len(seeds.figures) > 1 else "")


pretraining, downstream = {}, {row: {} for row in options.rows}
for row in options.rows:
    print(f"\n{row}: {options.steps} steps", flush=True)
    folder = results.folder / row.replace(",", "-")
    pretraining[row] = pretrained(row, options, workers, folder)
    for name in options.tasks:
        downstream[row][name] = tuned(name, splits[name], folder, options, workers)
        print(f"{row}, {name}: {spread(downstream[row][name])}", flush=True)
    results.add(pretraining=pretraining, downstream=downstream)

# %% What came of it
print(f"\n{'':<24}parameters  tokens/s  nats/token  bits/character  pairs right")
for row, one in pretraining.items():
    pairs = "" if one["pairs_right"] is None else f"{one['pairs_right']:.1%}"
    print(f"{row:<24}{one['parameters']:>10,}{one['tokens_per_second']:>10,.0f}{one['nats_per_token']:>12.3f}"
          f"{one['bits_per_character']:>16.3f}{pairs:>13}")
print("(bits per character: of the text for gpt; of hidden tokens, given all others, for the rest)")
print(f"\n{'mean ± standard deviation':<26}" + "".join(f"{name:>18}" for name in options.tasks))
for row in options.rows:
    print(f"{row:<26}" + "".join(f"{spread(downstream[row][name]):>18}" for name in options.tasks))
majority = {name: seeds.baseline[seeds.deciding] for name, seeds in downstream[options.rows[0]].items()}
print(f"{'majority':<26}" + "".join(f"{value:>18.3f}" for value in majority.values()))
print("(accuracy, of answers F1 in percent; one body, so the standard deviation is that of fine-tuning)")
first, *others = options.rows
differences = laboratory.compare(options, {
    f"{name}: {row} against {first}": (downstream[row][name], downstream[first][name])
    for name in options.tasks for row in others})
results.add(differences=differences)

# %% The picture
results.draw("objectives", [svg.bars(
    "Downstream: mean and standard deviation of the seeds", "accuracy (answers: F1 / 100)",
    {name: {row: (downstream[row][name].mean() / scale, downstream[row][name].std() / scale) for row in options.rows}
     for name in options.tasks for scale in [100 if name == "answer" else 1]})])

# %% The takeaway
highest = {name: max(options.rows, key=lambda row, name=name: downstream[row][name].mean()) for name in options.tasks}
laboratory.end(
    options, "the highest mean has " + ", ".join(f"{row} at {name}" for name, row in highest.items())
    + f"; against {first} {sum(abs(one['in_standard_deviations']) > 2 for one in differences.values())} of "
    f"{len(differences)} differences are significant at two standard deviations.",
    "--steps 5000 (does the order stay?), --layers 4 (ALBERT grows by nothing), --examples 100. Look at GPT, which has "
    "a loss at every token, beside those that have one at a quarter of them: who learns more from the same stories? "
    "And at what the second task of a pair is worth, and where.")
