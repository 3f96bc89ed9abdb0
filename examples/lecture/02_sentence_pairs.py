"""NSP and SOP: do two segments belong together, are they in order, and does it help to have been asked?

    python examples/lecture/02_sentence_pairs.py               about two minutes: words counted, then fifteen models
    python examples/lecture/02_sentence_pairs.py --seeds 2     fewer models: the spread is known less well
    python examples/lecture/02_sentence_pairs.py --steps 3000  models that have read more

The lecture: besides guessing words BERT was asked whether the second of two segments follows the first (next sentence
prediction, NSP; Devlin et al. 2019). It turned out not to help (RoBERTa: Liu et al. 2019, section 4.2), perhaps because
it is too easy: a segment from another document speaks of other things. ALBERT asks instead whether two neighbours stand
in order or have changed places (sentence order prediction, SOP; Lan et al. 2020, section 3.1, table 5).
"""
from itertools import islice

import numpy as np

from numbert import BertForPreTraining, Parameter, WordPieceTokenizer, gradients, ops
from numbert.lab import laboratory, svg
from numbert.lab.bodies import Recipe, tokenizer_of
from numbert.lab.toy_tasks import class_task, draw, toy_task
from numbert.pretraining.batches import PretrainingData
from numbert.pretraining.evaluation import evaluate
from numbert.tasks.metrics import accuracy
from numbert.toyworld import documents
from numbert.toyworld.glue import answers
from numbert.toyworld.lexicon import COLOURS, PEOPLE, PLACES, THINGS
from numbert.training.optimizer import AdamW
from numbert.training.seeds import Seeds, in_words, table

PAIRS = {"NSP": "mlm+nsp", "SOP": "mlm+sop"}
DOWNSTREAM = {"tag": "parts of speech, one text", "QNLI": "does the sentence answer the question, two texts"}


def main(argv=None):
    parser = laboratory.arguments(
        __doc__, name="sentence_pairs",
        quick={"steps": 4, "seeds": 1, "stories": 40, "held_out": 20, "sentences": 16, "pairs": 16, "test": 16,
               "epochs": 1},
        steps=800, width=64, max_length=32, pretraining_lr=3e-3, seeds=5, stories=1000, held_out=200, sentences=60,
        pairs=400, test=300, epochs=8, lr=7e-4)
    laboratory.start(sentence_pairs, parser, argv)


def sentence_pairs(options, workers):
    results = laboratory.Results(options)
    tokenizer = tokenizer_of("en")
    held = {name: [plain_pairs(documents(options.held_out, np.random.default_rng([4, seed, 1])), tokenizer, objective,
                               options, seed) for seed in range(options.seeds)] for name, objective in PAIRS.items()}

    # %% A classifier that cannot read
    # A bag of words knows how often each word stands in A and in B, and which words stand in both, but not where. What
    # can it say? And with which words: those that say what a text is about (people, places, things, colours), or
    # all the others?
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
              f"ones, {options.seeds} seeds with pairs of their own:\n\n{table(bags[name])}\n")
        print(f"Topics against the other words: {in_words(bags[name]['topic words'], bags[name]['all other words'])}.")
    results.add(bag_of_words=bags)

    # %% BERT on the same pairs
    # Three ways to pre-train, and one table as in ALBERT's paper: each model is also asked the question that it was
    # not trained on. Who can tell a swap from the right order can tell a stranger too? And the other way round?
    recipe = Recipe(steps=options.steps, width=options.width, max_length=options.max_length, lr=options.pretraining_lr)
    folders = {}
    for name, objective in (("MLM", "mlm"), ("MLM + NSP", "mlm+nsp"), ("MLM + SOP", "mlm+sop")):
        print(f"\n{name}")
        folders[name] = laboratory.bodies(recipe.replace(objective=objective), options.seeds, workers)
    bert = {name: {"trained on " + trained: asked(folders[f"MLM + {trained}"], held[name], bags[name], workers)
                   for trained in PAIRS} for name in PAIRS}
    for name in PAIRS:
        rows = {"bag of words": bags[name]["all words"]} | {f"BERT, {how}": one for how, one in bert[name].items()}
        print(f"\n{name}, the same held-out pairs, {options.steps} steps of pre-training:\n\n{table(rows)}\n")
        print(f"BERT against the bag of words: {in_words(bert[name]['trained on ' + name], bags[name]['all words'])}.")
    results.add(bert=bert)

    # %% And afterwards?
    # Two tasks, one with two texts as in NSP and SOP. Each seed is a pre-training and a fine-tuning of its own.
    settings = laboratory.settings(options, max_length=64)
    tasks = downstream_tasks(WordPieceTokenizer.from_pretrained(folders["MLM"][0]), options, settings, workers)
    downstream, verdicts = {}, []
    for task_name, task in tasks.items():
        described = DOWNSTREAM[task_name]
        rows = {name: laboratory.downstream(task, some, settings, workers) for name, some in folders.items()}
        rows["from scratch"] = laboratory.downstream(task, folders["MLM"], settings, workers, from_scratch=True)
        print(f"\n{described}: {options.sentences if task_name == 'tag' else options.pairs} to learn from, "
              f"{options.test} to report on, {options.seeds} seeds:\n\n{table(rows)}\n")
        for name in ("MLM + NSP", "MLM + SOP"):
            verdicts.append(f"{described}: {name} against MLM alone: {in_words(rows[name], rows['MLM'])}.")
        downstream[task_name] = rows
    results.add(downstream=downstream, verdicts=verdicts)
    results.draw("pairs", [svg.chart(
        "Who can tell? (1 topic words, 2 all other words, 3 all words, 4 BERT)", "", "accuracy",
        {name: list(enumerate([*(bags[name][kind].mean() for kind in ("topic words", "all other words", "all words")),
                               bert[name]["trained on " + name].mean()], 1)) for name in PAIRS},
        {f"majority {name}": bags[name]["all words"].baseline["accuracy"] for name in PAIRS})])

    topics, others, every = ({name: bags[name][kind] for name in PAIRS} for kind in bags["NSP"])
    print(f"""
What was seen: topic words alone tell a bag of words {topics['NSP'].mean():.3f} of NSP's pairs and \
{topics['SOP'].mean():.3f} of SOP's:
NSP against SOP {in_words(topics['NSP'], topics['SOP'])}.
All other words tell it {others['NSP'].mean():.3f} of NSP's and {others['SOP'].mean():.3f} of SOP's. With all words
NSP against SOP {in_words(every['NSP'], every['SOP'])}.
How easy each is depends on the text, too: all toy stories are about the same two dozen people, unlike the books of a
library; and they first introduce who and what there is, with "a" and "had", which gives a swap away.""")
    print("In tasks (what is not significant is a tie):", *verdicts, sep="\n  ")
    print("""Look at: pairs.svg, how far each line is above its majority; and which of the two questions carries over.
Try next: --steps 3000 (does BERT overtake the bag of words?), --pairs 100, --sentences 10.""")


# %% What the steps above are made of


def plain_pairs(stories, tokenizer, objective, options, seed=0):
    """The batches of one pass over stories; of the words to be guessed all stay as they are, so nothing is hidden."""
    return list(PretrainingData(stories, tokenizer, objective=objective, max_length=options.max_length, seed=seed,
                                mask_share=0.0, random_share=0.0).evaluation_batches())


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


def downstream_tasks(tokenizer, options, settings, workers):
    """{name: Task}, as DOWNSTREAM describes them."""
    sizes = [max(1, options.test // 2), options.test]
    rows = islice(answers(np.random.default_rng([5, 1]), "en"), options.pairs + sum(sizes))
    parts = [list(islice(rows, size)) for size in (options.pairs, *sizes)]
    return {"tag": toy_task("tag", draw("tag", (options.sentences, *sizes)), tokenizer, settings, workers),
            "QNLI": class_task(("entailment", "not_entailment"), parts, tokenizer, settings, workers)}


def asked(folders, held, bags, workers):
    """Seeds of how many pairs the models in these folders tell right, each asked for batches of its own."""
    figures = [evaluate(BertForPreTraining.from_pretrained(folder), batches, workers)
               for folder, batches in zip(folders, held, strict=True)]
    return Seeds([{"accuracy": one["nsp_accuracy"]} for one in figures], bags["all words"].baseline)


if __name__ == "__main__":
    main()
