"""Two languages in one model: stories in both, nearness of a word and its translation, tasks that cross over.

    data, held = two_languages(recipe, tokenizer_of(*LANGUAGES))        # no story in both, and no token
    rank, chance, means = alignment(model, tokenizer, told=300)         # the mean reciprocal rank of the translation
    task = crossed("tag", "en", splits, tokenizer, setup, workers)      # learnt in one language, reported in both

`shared` puts the English names of people into a Chinese text: anchors, tokens that both languages have.
"""
import itertools
import re

import numpy as np

from ..pretraining.batches import PretrainingData
from ..recording import no_grad
from ..tasks import tagging
from ..tasks.squad.answers import best_threshold
from ..tasks.squad.reader import read_passages, scores
from ..toyworld import LANGUAGES, documents, stories
from ..toyworld.lexicon import PEOPLE
from .bodies import story_count
from .toy_tasks import passages, toy_task

ENGLISH = {person.zh: name for name, person in PEOPLE.items()}


def shared(text):
    """The text with the English names of people for the Chinese ones."""
    return re.sub("|".join(ENGLISH), lambda found: ENGLISH[found[0]], text)


def unchanged(text):
    return text


def new_stories(language, told):
    """So many stories that are as new to a model as their twins in the other language."""
    return itertools.islice(stories(np.random.default_rng([9, LANGUAGES.index(language)]), language), told)


def word_vectors(model, tokenizer, language, told, change=unchanged):
    """({(category, name): vector (D,)}, the mean of all tokens' vectors (D,)), of the last layer, over `told` new
    stories, whose text `change` may change."""
    sums, counts, everything = {}, {}, []
    for story in new_stories(language, told):
        encoding = tokenizer(change(story.text), max_length=model.max_tokens)
        with no_grad():
            vectors = model.body(**tokenizer.pad([encoding])).last_hidden_state.data[0]
        begins = np.array([start for start, _ in encoding.offsets])
        real = np.array([word is not None for word in encoding.word_ids])
        everything.append(vectors[real])
        for sentence, before in zip(story.sentences, story.starts, strict=True):
            for category, name, *ends in sentence.mentions:
                start, end = (len(change(story.text[:before + one])) for one in ends)
                inside = real & (start <= begins) & (begins < end)
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


def pairs_of(model, tokenizer, told, change=unchanged, without=()):
    """(what both languages have a word for, its vectors in each language (n, D), both means (D,)). Chinese texts are
    changed by `change`; categories of words in `without` are left out."""
    (one, its_mean), (other, other_mean) = (
        word_vectors(model, tokenizer, language, told, change if language == "zh" else unchanged)
        for language in LANGUAGES)
    both = sorted(key for key in one.keys() & other.keys() if key[0] not in without)
    if not both:
        raise ValueError(f"--told must be more than {told}: such stories name nothing in both languages")
    return (both, np.stack([one[key] for key in both]) - its_mean, np.stack([other[key] for key in both]) - other_mean,
            (its_mean, other_mean))


def alignment(model, tokenizer, told, change=unchanged, without=()):
    """(mean reciprocal rank, what chance would give, the vectors of both languages' means); see `pairs_of`."""
    both, one, other, means = pairs_of(model, tokenizer, told, change, without)
    return mean_reciprocal_rank(one, other), by_chance(len(both)), means


def two_languages(recipe, tokenizer, change=unchanged):
    """PretrainingData and held-out batches of stories in both languages, each story in one; Chinese sentences are
    changed by `change`."""
    halves = [(max(2, story_count(recipe) // 2), 3), (50, 4)]
    parts = [[[change(text) if language == "zh" else text for text in document]
              for number, language in enumerate(LANGUAGES)
              for document in documents(count, np.random.default_rng([seed, number]), language)]
             for count, seed in halves]
    settings = dict(objective=recipe.objective, batch_size=recipe.batch_size, max_length=recipe.max_length,
                    mask_rate=recipe.mask_rate, seed=recipe.seed)
    training, held = (PretrainingData(part, tokenizer, **settings) for part in parts)
    return training, list(held.evaluation_batches())


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
