# %% [markdown]
"""NSP and SOP: do two segments belong together, are they in order, and does such a task help?

    python examples/lecture/02_sentence_pairs.py               two minutes: words counted, then models, as many as fit
    python examples/lecture/02_sentence_pairs.py --full        fifteen of them, however long it takes
    python examples/lecture/02_sentence_pairs.py --steps 3000  models that have read more

The lecture: besides guessing words BERT was asked whether the second of two segments follows the first (next sentence
prediction, NSP; Devlin et al. 2019). It turned out not to help (RoBERTa: Liu et al. 2019, section 4.2), perhaps because
it is too easy: a segment from another document has another topic. ALBERT predicts instead whether two neighbours are in
order or exchanged (sentence order prediction, SOP; Lan et al. 2020, section 3.1, table 5).
"""
# %%
import math
from itertools import islice

import numpy as np

from numbert import BertForPreTraining, Parameter, gradients, ops
from numbert.lab import instance, laboratory, svg
from numbert.lab.bodies import Recipe, body_step_seconds, config_of, tokenizer_of
from numbert.lab.lesson import Lesson, head_seconds
from numbert.lab.toy_tasks import class_task, draw, toy_task
from numbert.pretraining.batches import PretrainingData
from numbert.pretraining.evaluation import evaluate
from numbert.tasks.metrics import accuracy
from numbert.toyworld import documents
from numbert.toyworld.glue import answers
from numbert.toyworld.lexicon import COLOURS, PEOPLE, PLACES, THINGS
from numbert.training.optimizer import AdamW
from numbert.training.seeds import Seeds, plural, table

PAIRS = {"NSP": "mlm+nsp", "SOP": "mlm+sop"}
LABELS = {"NSP": ("B follows A", "B is from another document"), "SOP": ("B follows A", "A and B are swapped")}
DOWNSTREAM = {"tag": "parts of speech, one text", "QNLI": "does the sentence answer the question, two texts"}

options, workers = laboratory.begin(laboratory.arguments(
    __doc__, name="sentence_pairs",
    quick={"steps": 4, "seeds": 1, "stories": 40, "held_out": 20, "sentences": 16, "pairs": 16, "test": 16,
           "epochs": 1},
    least={"seeds": 2, "steps": 200}, claim="pairs",
    steps=800, width=64, max_length=32, pretraining_lr=3e-3, seeds=5, stories=1000, held_out=200, sentences=60,
    pairs=400, test=300, epochs=8, lr=7e-4))
lesson, results = Lesson(options), laboratory.Results(options)

# %% One pair of each kind
# Only the vector of [CLS] is read. A model that has learnt nothing gives either answer about half, so its loss is about
# ln 2. Can you tell from the words alone?


def plain_pairs(stories, tokenizer, objective, options, seed=0):
    """The batches of one pass over stories; of the words to be guessed all stay as they are, so nothing is hidden."""
    return list(PretrainingData(stories, tokenizer, objective=objective, max_length=options.max_length, seed=seed,
                                mask_share=0.0, random_share=0.0).evaluation_batches())


def first_of_each(batches):
    """[the first row with label 0, with label 1]: {name: (T,)}, without its padding."""
    rows = {}
    for batch in batches:
        for i, label in enumerate(batch["next_sentence_label"].tolist()):
            real = batch["attention_mask"][i] > 0
            rows.setdefault(label, {name: batch[name][i][real] for name in ("input_ids", "token_type_ids")})
    return [rows[label] for label in sorted(rows)]


def show(model):
    for name, rows in examples.items():
        for label, row in enumerate(rows):
            right = abs(label - instance.in_order(model, row))              # in_order is the probability of label 0
            print(f"{name}, label {label}, {LABELS[name][label]}:\n  {tokenizer.decode(row['input_ids'], False)}\n"
                  f"  p(label) {right:.3f}, -ln p(label) {-math.log(right):.3f}")


tokenizer = tokenizer_of("en")
recipe = Recipe(steps=options.steps, width=options.width, max_length=options.max_length, lr=options.pretraining_lr)


def held_out(objective, seed):
    return plain_pairs(documents(options.held_out, np.random.default_rng([4, seed, 1])), tokenizer, objective, options,
                       seed)


examples = {name: first_of_each(held_out(objective, 0)) for name, objective in PAIRS.items()}
print(f"A model that has learnt nothing (ln 2 = {math.log(2):.3f}):\n")
untrained = BertForPreTraining(config_of(recipe, len(tokenizer)), rng=np.random.default_rng(0))
show(untrained)

# %% What comes afterwards, and how much of all this there is time for
# Two tasks, one with two texts as in NSP and SOP. Each seed is a pre-training and a fine-tuning of its own.


def downstream_tasks(tokenizer, options, settings, workers):
    """{name: Task}, as DOWNSTREAM describes them."""
    sizes = [max(1, options.test // 2), options.test]
    rows = islice(answers(np.random.default_rng([5, 1]), "en"), options.pairs + sum(sizes))
    parts = [list(islice(rows, size)) for size in (options.pairs, *sizes)]
    return {"tag": toy_task("tag", draw("tag", (options.sentences, *sizes)), tokenizer, settings, workers),
            "QNLI": class_task(("entailment", "not_entailment"), parts, tokenizer, settings, workers)}


settings = laboratory.settings(options, max_length=64)
tasks = downstream_tasks(tokenizer, options, settings, workers)
if names := lesson.open("seeds", "steps"):
    each = body_step_seconds(recipe, workers)
    heads = sum(head_seconds(task, untrained.config, settings, workers)(settings) for task in tasks.values())
    lesson.fit(lambda o: o.seeds * (3 * o.steps * each + 4 * heads), *names, share=0.9,     # words are counted, too
               pace=f"{1 / each:.1f} steps a second")
    recipe = recipe.replace(steps=options.steps)
held = {name: [held_out(objective, seed) for seed in range(options.seeds)] for name, objective in PAIRS.items()}

# %% A classifier that cannot read
# A bag of words knows how often each word stands in A and in B, and which words stand in both, but not where. What
# can it say? And with which words: those that say what a text is about (people, places, things, colours), or
# all the others?


def bags_of(batches, V):
    """How often each of V words stands in A and in B, both (N, V) float32, and the labels of the pairs (N,)."""
    a, b = np.zeros((2, sum(len(batch["input_ids"]) for batch in batches), V), np.float32)
    first = 0
    for batch in batches:
        for bag, segment in ((a, 0), (b, 1)):
            rows, places = np.nonzero(batch["attention_mask"] & (batch["token_type_ids"] == segment))
            np.add.at(bag, (first + rows, batch["input_ids"][rows, places]), 1)
        first += len(batch["input_ids"])
    return a, b, np.concatenate([batch["next_sentence_label"] for batch in batches])


def features(a, b, words):
    """(N, 3 W) for W chosen `words` (V,) bool: their counts in A, in B, and the products: what stands in both."""
    a, b = a[:, words], b[:, words]
    return np.concatenate([a, b, a * b], axis=1)


def logistic_regression(x, labels, workers, steps=100, lr=0.03, weight_decay=0.1):
    """(weight (2, F), bias (2,)) that make -ln softmax(x weightᵀ + bias)[label] small on average, for x (N, F)."""
    parameters = [Parameter(np.zeros((2, x.shape[1]), x.dtype)), Parameter(np.zeros(2, x.dtype))]
    optimizer = AdamW(parameters, weight_decay=weight_decay)
    for _ in range(steps):
        loss = ops.cross_entropy(ops.linear(x, *parameters), labels=labels)
        optimizer.step(gradients(loss, parameters), lr, workers)
    return [parameter.data for parameter in parameters]


def guess(model, x):
    """The likelier label (N,) of each row."""
    return ops.linear(x, *model).argmax(-1)


topic = np.zeros(len(tokenizer), bool)
topic[[tokenizer.vocab[word.lower()] for names in (PEOPLE, PLACES, THINGS, COLOURS) for word in names
       if word.lower() in tokenizer.vocab]] = True
kinds = {"topic words": topic, "all other words": ~topic, "all words": topic | True}
bags = {}
for name, objective in PAIRS.items():
    runs = {kind: [] for kind in kinds}
    for seed in range(options.seeds):
        stories = documents(options.stories, np.random.default_rng([3, seed, 1]))
        *counts, wanted = bags_of(plain_pairs(stories, tokenizer, objective, options, seed), len(tokenizer))
        *tested, labels = bags_of(held[name][seed], len(tokenizer))
        for kind, words in kinds.items():
            model = logistic_regression(features(*counts, words), wanted, workers)
            runs[kind].append({"accuracy": accuracy(labels, guess(model, features(*tested, words)))})
    labels = np.concatenate([batch["next_sentence_label"] for batches in held[name] for batch in batches])
    majority = {"accuracy": max(labels.mean(), 1 - labels.mean())}
    bags[name] = {kind: Seeds(figures, majority) for kind, figures in runs.items()}
    print(f"\n{name}: a bag of words, fitted to {len(wanted)} pairs, on {len(labels) // options.seeds} held-out "
          f"ones, {plural(options.seeds, 'seed')} with pairs of their own:\n\n{table(bags[name])}")
differences = laboratory.compare(options, {
    f"{name}: topic words against the others": (one["topic words"], one["all other words"])
    for name, one in bags.items()} | {f"{kind}: NSP against SOP": (bags["NSP"][kind], bags["SOP"][kind])
                                      for kind in kinds})
results.add(bag_of_words=bags)

# %% BERT on the same pairs
# Three ways to pre-train, and one table as in ALBERT's paper: each model is also asked the question that it was
# not trained on. Does a model that recognises a swap also recognise a stranger? And the other way round?


def asked(folders, held, bags, workers):
    """Seeds of how many pairs the models in these folders tell right, each asked for batches of its own."""
    figures = [evaluate(BertForPreTraining.from_pretrained(folder), batches, workers)
               for folder, batches in zip(folders, held, strict=True)]
    return Seeds([{"accuracy": one["nsp_accuracy"]} for one in figures], bags["all words"].baseline)


folders = {}
for name, objective in (("MLM", "mlm"), ("MLM + NSP", "mlm+nsp"), ("MLM + SOP", "mlm+sop")):
    print(f"\n{name}")
    folders[name] = laboratory.bodies(recipe.replace(objective=objective), options.seeds, workers)
bert = {name: {"trained on " + trained: asked(folders[f"MLM + {trained}"], held[name], bags[name], workers)
               for trained in PAIRS} for name in PAIRS}
for name in PAIRS:
    rows = {"bag of words": bags[name]["all words"]} | {f"BERT, {how}": one for how, one in bert[name].items()}
    print(f"\n{name}, the same held-out pairs, {options.steps} steps of pre-training:\n\n{table(rows)}")
differences |= laboratory.compare(options, {
    f"{name}: BERT against the bag of words": (bert[name]["trained on " + name], bags[name]["all words"])
    for name in PAIRS})
results.add(bert=bert)
for name in PAIRS:
    print(f"\nThe pairs from above, after MLM + {name}:\n")
    show(BertForPreTraining.from_pretrained(folders[f"MLM + {name}"][0]))

# %% And afterwards?
downstream, in_tasks = {}, {}
for task_name, task in tasks.items():
    described = DOWNSTREAM[task_name]
    rows = {name: laboratory.downstream(task, some, settings, workers) for name, some in folders.items()}
    rows["from scratch"] = laboratory.downstream(task, folders["MLM"], settings, workers, from_scratch=True)
    print(f"\n{described}: {options.sentences if task_name == 'tag' else options.pairs} to learn from, "
          f"{options.test} to report on, {plural(options.seeds, 'seed')}:\n\n{table(rows)}")
    in_tasks |= laboratory.compare(options, {f"{task_name}: {name} against MLM": (rows[name], rows["MLM"])
                                             for name in ("MLM + NSP", "MLM + SOP")})
    downstream[task_name] = rows
results.add(downstream=downstream, differences=differences | in_tasks)

# %% The picture
results.draw("pairs", [svg.bars(
    "Accuracy on pairs: mean and standard deviation of the seeds", "accuracy",
    {name: {kind: (one.mean(), one.std()) for kind, one in (
        bags[name] | {"BERT": bert[name]["trained on " + name]}).items()} for name in PAIRS},
    {f"majority {name}": bags[name]["all words"].baseline["accuracy"] for name in PAIRS})])

# %% The takeaway
# How easy each is depends on the text, too: all toy stories are about the same two dozen people, unlike the books of a
# library; and they first introduce who and what there is, with "a" and "had", which gives a swap away.
laboratory.end(
    options, f"topic words alone classify {bags['NSP']['topic words'].mean():.3f} of the pairs of NSP and "
    f"{bags['SOP']['topic words'].mean():.3f} of SOP correctly, all words {bags['NSP']['all words'].mean():.3f} and "
    f"{bags['SOP']['all words'].mean():.3f}; of what NSP and SOP change in two tasks, "
    f"{sum(abs(one['in_standard_deviations']) > 2 for one in in_tasks.values())} of {len(in_tasks)} differences are "
    "significant at two standard deviations.",
    "--steps 3000 (does BERT overtake the bag of words?), --pairs 100, --sentences 10. Look at pairs.svg: how far is "
    "each bar above its majority? And which of the two tasks helps in the other?")
