"""Two languages, one model: does what is learnt in English help in Chinese, which it never saw translated?

    python examples/lecture/15_two_languages.py  two and a half minutes
    python examples/lecture/15_two_languages.py --steps 6000 --seeds 3

A BERT reads toy stories in English and other toy stories in Chinese, nowhere the same story in both, and no token is
common to both but the special ones. Then three things are measured, which the lecture tells of Multi-BERT:

    alignment       is "kitchen" nearer to 厨房 than to other Chinese words? The mean reciprocal rank, at several points
                                                 of the training, since alignment is said to come with much data
    zero-shot       fine-tuned on English questions, how well does it answer Chinese ones? And with parts of speech?
    difference      the mean of all Chinese vectors less the mean of all English ones is one vector. Added to an English
                    sentence's vectors, does it turn the words that are read from them into Chinese ones?

Sources: Hsu et al. 2019 (zero-shot questions), Dufter and Schütze 2020, "Identifying elements essential for BERT's
multilinguality" (small worlds), Liu et al. 2020, "A study of cross-lingual ability and language-specific information
in multilingual BERT" (the mean difference).
"""
# %%
import itertools
from pathlib import Path

import numpy as np

from numbert import BertForPreTraining, no_grad
from numbert.lab import laboratory, svg
from numbert.lab.bodies import Recipe, config_of, learn, story_count, tokenizer_of
from numbert.lab.toy_tasks import draw, passages, toy_task
from numbert.pretraining.batches import PretrainingData
from numbert.tasks import tagging
from numbert.tasks.squad.answers import best_threshold
from numbert.tasks.squad.reader import read_passages, scores
from numbert.toyworld import LANGUAGES, documents, stories
from numbert.training.finetuning import save
from numbert.training.seeds import in_words, table

QUICK = {"steps": 12, "points": 2, "width": 32, "examples": 24, "test": 24, "epochs": 1, "seeds": 1, "told": 20}


def arguments():
    return laboratory.arguments(__doc__, name="two_languages", quick=QUICK, steps=1500, points=5, width=128,
                                examples=500, test=400, epochs=5, lr=5e-4, seeds=2, told=300)


# %% Words that mean the same
# The toy world knows for every story who and what each of its words names. So the pairs (kitchen, 厨房) are known
# without a dictionary, and no model has seen them. A word's vector is the mean over all places where it stands, of all
# its tokens (one a character in Chinese), less the mean of its language.


def word_vectors(model, tokenizer, language, told):
    """({(category, name): vector (D,)}, the mean of all tokens' vectors (D,)), of the last layer, over `told` stories
    that are as new to the model as their twins in the other language."""
    sums, counts, everything = {}, {}, []
    for story in itertools.islice(stories(np.random.default_rng([9, LANGUAGES.index(language)]), language), told):
        encoding = tokenizer(story.text, max_length=model.max_tokens)
        with no_grad():
            vectors = model.body(**tokenizer.pad([encoding])).last_hidden_state.data[0]
        starts = np.array([start for start, _ in encoding.offsets])
        real = np.array([word is not None for word in encoding.word_ids])
        everything.append(vectors[real])
        for sentence, begin in zip(story.sentences, story.starts, strict=True):
            for category, name, start, end in sentence.mentions:
                inside = real & (begin + start <= starts) & (starts < begin + end)
                if inside.any():
                    key = category, name
                    sums[key] = sums.get(key, 0.0) + vectors[inside].mean(0)
                    counts[key] = counts.get(key, 0) + 1
    return {key: sums[key] / counts[key] for key in sums}, np.concatenate(everything).mean(0)


def mean_reciprocal_rank(one, other):
    """Of two arrays (n, D) with the same meaning in each row: the mean of 1 / (the place of the right row of `other`
    when its rows are sorted by cosine), from each row of `one` and the other way round, halved."""
    one, other = (array / np.linalg.norm(array, axis=1, keepdims=True) for array in (one, other))
    cosine = one @ other.T
    return float(np.mean([1 / (matrix >= np.diag(matrix)[:, None]).sum(1) for matrix in (cosine, cosine.T)]))


def by_chance(n):
    """The mean reciprocal rank of a lot among n words: the mean of 1, 1/2, ..., 1/n."""
    return float(np.mean(1 / np.arange(1, n + 1)))


def alignment(model, tokenizer, told):
    """(mean reciprocal rank, what chance would give, the vectors of both languages' means)."""
    (one, its_mean), (other, other_mean) = (word_vectors(model, tokenizer, language, told) for language in LANGUAGES)
    both = sorted(one.keys() & other.keys())
    rank = mean_reciprocal_rank(np.stack([one[key] for key in both]) - its_mean,
                                np.stack([other[key] for key in both]) - other_mean)
    return rank, by_chance(len(both)), (its_mean, other_mean)


# %% One vector that turns English into Chinese?


def turned(model, tokenizer, means, told, strength):
    """English stories with `strength` times the difference of the means added to their last vectors: the share of the
    tokens that the masked-word head then reads as Chinese."""
    shift = strength * (means[1] - means[0])
    chinese = np.array([any("\u4e00" <= c <= "\u9fff" for c in token) for token in tokenizer.tokens])
    words = model.body.embeddings.word.weight
    found = []
    for story in itertools.islice(stories(np.random.default_rng(10), "en"), told):
        with no_grad():
            packed = model.body.pack(**tokenizer.pad([tokenizer(story.text)]))
            vectors = model.body.encode(packed)
            vectors.data[...] += shift
            read = model.mlm(vectors, words).data[1:-1].argmax(-1)
        found.append(chinese[read])
    return float(np.concatenate(found).mean())


# %% Learning: both languages in one text, no story in both


def main(argv=None):
    laboratory.start(experiment, arguments(), argv)


def two_languages(recipe, tokenizer):
    """PretrainingData and held-out batches of stories in both languages, each story in one."""
    halves = [(max(2, story_count(recipe) // 2), 3), (50, 4)]
    parts = [[document for number, language in enumerate(LANGUAGES)
              for document in documents(count, np.random.default_rng([seed, number]), language)]
             for count, seed in halves]
    settings = dict(objective=recipe.objective, batch_size=recipe.batch_size, max_length=recipe.max_length,
                    mask_rate=recipe.mask_rate, seed=recipe.seed)
    training, held = (PretrainingData(part, tokenizer, **settings) for part in parts)
    return training, list(held.evaluation_batches())


def experiment(options, workers):
    results = laboratory.Results(options)
    tokenizer, told = tokenizer_of(*LANGUAGES), options.told
    one, other = (set(tokenizer_of(language).vocab) for language in LANGUAGES)
    print(f"{len(one)} English tokens, {len(other)} Chinese ones; in both: {' '.join(sorted(one & other))}")
    runs, shares, folders = [], [], []
    strengths = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0]
    for seed in range(options.seeds):
        # masked words alone: a random next sentence in the other language would be too easy to tell
        recipe = Recipe(objective="mlm", steps=options.steps, width=options.width, seed=seed)
        data, held = two_languages(recipe, tokenizer)
        model = BertForPreTraining(config_of(recipe, len(tokenizer)), rng=np.random.default_rng(seed))
        points = [(0, *alignment(model, tokenizer, told)[:2])]
        for record in learn(model, data, held, recipe, workers, points=options.points):
            rank, chance, means = alignment(model, tokenizer, told)
            points.append((record["step"], rank, chance))
            print(f"seed {seed}  step {record['step']}: masked words {record['mlm']:.3f} nats, mean reciprocal rank "
                  f"{rank:.3f} (chance {chance:.3f})", flush=True)
        runs.append(points)
        shares.append([turned(model, tokenizer, means, max(2, told // 10), strength) for strength in strengths])
        folders.append(Path(results.folder) / f"body-{seed}")
        save(folders[-1], model, tokenizer, [])

    # %% Fine-tuned on English, tested on Chinese
    setup = laboratory.settings(options)
    tables = {}
    for name in ("answer", "tag"):
        sizes = options.examples, options.test // 2, options.test
        splits = {language: draw(name, sizes, language) for language in LANGUAGES}
        tasks = {language: crossed(name, language, splits, tokenizer, setup, workers) for language in LANGUAGES}
        one = laboratory.downstream
        tables[name] = {
            "tuned on English": one(tasks["en"], folders, setup, workers),
            "tuned on Chinese": one(tasks["zh"], folders, setup, workers),
            "English, from scratch": one(tasks["en"], folders, setup, workers, from_scratch=True)}
        print(f"\n{name}: tested in both languages, {options.examples} examples of the language it was tuned on, "
              f"{options.seeds} seeds\n\n{table(tables[name])}", flush=True)

    # %% What came of it
    ranks = np.array([[rank for _, rank, _ in points] for points in runs])
    steps, chance = [step for step, _, _ in runs[0]], runs[0][-1][2]
    print(f"\nMean reciprocal rank of the translation: {ranks[:, 0].mean():.3f} before the training, after it "
          + ", ".join(f"{rank:.3f}" for rank in ranks[:, -1]) + f" (chance {chance:.3f})")
    print("English tokens read as Chinese, with so many times the difference added: "
          + ", ".join(f"{strength:g}: {share:.0%}" for strength, share in
                      zip(strengths, np.mean(shares, axis=0), strict=True)))
    verdicts = {}
    for name, rows in tables.items():
        figure = rows["tuned on English"].deciding
        figure = figure.removesuffix("_en")
        chinese = {row: seeds.only(f"{figure}_zh") for row, seeds in rows.items()}
        verdicts[name] = in_words(chinese["tuned on English"], chinese["English, from scratch"])
        print(f"{name}, Chinese, tuned on English: the body that reads both is worth {verdicts[name]}")
    results.add(steps=steps, reciprocal_ranks=ranks, chance=chance, strengths=strengths, share_chinese=shares,
                downstream=tables, verdicts=verdicts)
    results.draw("two_languages", [
        svg.chart("Is the translation the nearest word?", "step", "mean reciprocal rank",
                  {f"seed {seed}": list(zip(steps, row, strict=True)) for seed, row in enumerate(ranks)},
                  {"chance": chance}),
        svg.chart("English vectors moved towards Chinese", "times the mean difference", "share of Chinese words",
                  {f"seed {seed}": list(zip(strengths, row, strict=True)) for seed, row in enumerate(shares)})])
    print("""
Look at the curve of ranks: does it rise with the training, and when? And which task crosses from one language to the
other? Where even the language that was tuned on is no better than the majority, as questions after so short a training,
nothing is there to cross. Try next: --steps 6000 (the lecture's alignment comes with data), --width 64 (with less room,
must the languages share more?).""")


def crossed(name, language, splits, tokenizer, setup, workers):
    """A task learnt in one language. It is reported in it and in the other, as FIGURE_en and FIGURE_zh. All that is
    chosen by development examples, also how sure a model must be that there is no answer, is chosen in the one."""
    tasks = {one: toy_task(name, splits[one], tokenizer, setup, workers) for one in LANGUAGES}
    figure = next(iter(tasks[language].baseline))

    def score(model, one):
        if name == "tag":                       # by the model's own names of tags: Chinese may not have all of them
            words, tags = zip(*splits[one][2], strict=True)
            return tagging.measure(tags, tagging.tag(model, tokenizer, words, workers))[figure]
        dev, test = (passages(part, tokenizer, setup.max_length) for part in (splits[language][1], splits[one][2]))
        threshold = best_threshold(dev, read_passages(model, tokenizer, dev, workers))
        return scores(test, read_passages(model, tokenizer, test, workers, threshold=threshold))[figure]

    return tasks[language]._replace(
        test=lambda model: {f"{figure}_{one}": score(model, one) for one in LANGUAGES},
        baseline={f"{figure}_{one}": tasks[one].baseline[figure] for one in LANGUAGES})


if __name__ == "__main__":
    main()
