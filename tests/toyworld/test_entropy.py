import itertools
import math
from collections import Counter, defaultdict

import numpy as np
import pytest

from numbert.toyworld.entropy import (
    Language,
    bert_masking_entropy,
    entropy_of_one_masked,
    enumerated,
    every_run,
    loss_of_best_guess,
    loss_of_best_verdict,
    masked_posterior,
    masked_word_entropy,
    next_sentence_entropy,
    splits,
    tokens,
    unigram_entropy,
)
from numbert.toyworld.story import stories


def language_of(texts):
    """A Language from {"a b c": probability}."""
    words = sorted({word for text in texts for word in text.split()})
    lengths = np.array([len(text.split()) for text in texts])
    ids = np.full((len(texts), lengths.max()), -1)
    for row, text in zip(ids, texts, strict=True):
        row[:len(text.split())] = [words.index(word) for word in text.split()]
    return Language(ids, lengths, np.array(list(texts.values())), tuple(words))


def texts_of(known):
    return {tuple(known.words[number] for number in row[:length]): p
            for row, length, p in zip(known.texts, known.lengths, known.probabilities, strict=True)}


def brute_entropy(texts):
    """-sum p log p(word | the others) by dictionaries of whole contexts."""
    contexts = defaultdict(Counter)
    for text, p in texts.items():
        for t, word in enumerate(text):
            contexts[text[:t], text[t + 1:]][word] += p / len(text)
    return -sum(p * math.log(p / sum(words.values())) for words in contexts.values() for p in words.values())


def test_every_run_walks_all_choices_with_their_chances():
    def program(choose):
        first = choose("ab", [3, 1])
        return first + (choose("xyz") if first == "a" else "")

    assert dict((text, p) for p, text in every_run(program)) == pytest.approx(
        {"ax": 0.25, "ay": 0.25, "az": 0.25, "b": 0.25})


def test_entropy_by_hand():
    coin = language_of({"heads fell": 0.5, "tails fell": 0.5})
    assert entropy_of_one_masked(coin) == pytest.approx(math.log(2) / 2)        # "fell" is certain
    biased = language_of({"a": 0.25, "b": 0.75})
    assert entropy_of_one_masked(biased) == pytest.approx(-0.25 * math.log(0.25) - 0.75 * math.log(0.75))
    assert entropy_of_one_masked(language_of({"a b": 0.5, "b a": 0.5})) == pytest.approx(0)
    assert entropy_of_one_masked(language_of({"a": 0.5, "a b": 0.5})) == pytest.approx(0)    # the length is seen


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("unit", ["story", "sentence"])
def test_entropy_equals_its_brute_force_twin(language, unit):
    known = enumerated("tiny", language, unit)
    assert known.probabilities.sum() == pytest.approx(1, abs=1e-12)
    assert masked_word_entropy("tiny", language, unit) == pytest.approx(brute_entropy(texts_of(known)), rel=1e-9)
    assert masked_word_entropy("tiny", language, unit) >= 0


def test_entropy_equals_its_twin_on_arbitrary_languages():
    rng = np.random.default_rng(0)
    for _ in range(30):
        texts = {" ".join(rng.choice(list("abc"), size=rng.integers(1, 5))): None for _ in range(15)}
        p = rng.dirichlet(np.ones(len(texts)))
        known = language_of(dict(zip(texts, p, strict=True)))
        assert entropy_of_one_masked(known) == pytest.approx(brute_entropy(texts_of(known)), rel=1e-9, abs=1e-12)


def test_the_list_has_the_frequencies_of_the_stories():
    exact = texts_of(enumerated("tiny"))
    n = 12000
    seen = Counter()
    for story, _ in zip(stories(np.random.default_rng(0), variant="tiny"), range(n), strict=False):
        seen[tuple(word for one in story.sentences for word in tokens(one, "en"))] += 1
    assert set(seen) == set(exact)
    expected = np.array([n * p for p in exact.values()])
    found = np.array([seen[text] for text in exact])
    chi_square = ((found - expected) ** 2 / expected).sum()
    assert abs(chi_square - len(exact)) < 5 * math.sqrt(2 * len(exact))


def test_counting_more_and_more_stories_comes_down_to_the_entropy_from_above():
    exact = texts_of(enumerated("tiny"))
    words = len(enumerated("tiny").words)
    floor = masked_word_entropy("tiny")
    told = stories(np.random.default_rng(1), variant="tiny")
    counts, losses = defaultdict(Counter), []
    for n in (200, 2000, 12000):
        for story in itertools.islice(told, n - n // 10 * (n > 200)):
            text = tuple(word for one in story.sentences for word in tokens(one, "en"))
            for t, word in enumerate(text):
                counts[text[:t], text[t + 1:]][word] += 1
        losses.append(-sum(
            p / len(text) * math.log((seen[text[t]] + 0.01) / (seen.total() + 0.01 * words))
            for text, p in exact.items() for t in range(len(text)) for seen in [counts[text[:t], text[t + 1:]]]))
    assert losses[0] > losses[1] > losses[2] > floor
    assert losses[2] < floor + 0.01
    assert losses[0] > floor + 0.1


def test_a_posterior_of_several_masks():
    known = language_of({"a x": 0.2, "a y": 0.3, "b y": 0.5, "b y c": 0.0})
    assert masked_posterior(known, ["a", None]) == {1: pytest.approx({"x": 0.4, "y": 0.6})}
    assert masked_posterior(known, [None, None]) == {0: pytest.approx({"a": 0.5, "b": 0.5}),
                                                     1: pytest.approx({"x": 0.2, "y": 0.8})}
    with pytest.raises(ValueError, match=r"no text agrees with 'c \[MASK\]'"):
        masked_posterior(known, ["c", None])


def berts_outcomes(known, rate, masked, random, size):
    """All that BERT's masking can do: (chance, text, seen, selection) with ids, -1 for [MASK]."""
    for row, length, p in zip(known.texts, known.lengths, known.probabilities, strict=True):
        text = row[:length]
        selections = list(itertools.combinations(range(length), max(1, round(rate * length))))
        fates = [(masked, -1), (1 - masked - random, None)] + [(random / size, word) for word in range(size)]
        for selection in selections:
            for fate in itertools.product(fates, repeat=len(selection)):
                seen, chance = text.copy(), p / len(selections)
                for t, (part, word) in zip(selection, fate, strict=True):
                    chance *= part
                    seen[t] = text[t] if word is None else word
                if chance:
                    yield chance, text, seen, selection


@pytest.mark.parametrize("rate, masked, random, extra", [
    (0.15, 0.8, 0.1, 0), (0.5, 0.8, 0.1, 2), (0.6, 0.2, 0.6, 0), (0.9, 0.3, 0.4, 0), (0.5, 1.0, 0.0, 0)])
def test_berts_masking_equals_its_brute_force_twin(rate, masked, random, extra):
    known = language_of({"a x c": 0.2, "a y c": 0.25, "b y c": 0.3, "b x a c": 0.1, "b y a c": 0.15})
    size = len(known.words) + extra
    outcomes = list(berts_outcomes(known, rate, masked, random, size))
    found = defaultdict(Counter)            # (what is seen, the selected position) -> true word -> chance
    for chance, text, seen, selection in outcomes:
        for t in selection:
            found[tuple(seen), t][text[t]] += chance / len(selection)
    exact = -sum(p * math.log(p / words.total()) for words in found.values() for p in words.values())

    rows = {(*text, *seen, *selection): (text, seen, selection) for _, text, seen, selection in outcomes}
    loss = {key: loss_of_best_guess(known, *row, 1 - masked - random + random / size, random / size)
            for key, row in rows.items()}
    expected = sum(chance * loss[(*text, *seen, *selection)] for chance, text, seen, selection in outcomes)
    assert expected == pytest.approx(exact, rel=1e-9)
    mean, error = bert_masking_entropy(known, np.random.default_rng(0), 2000, rate, masked, random, size)
    assert error < 0.03 and abs(mean - exact) < 4 * error


def test_more_context_is_never_worse():
    assert 0 < masked_word_entropy("tiny", "en", "story") < masked_word_entropy("tiny", "en", "sentence")


def test_the_entropy_of_the_closed_variant_is_the_mean_loss_of_its_posteriors_on_drawn_stories():
    rng, known, losses = np.random.default_rng(0), enumerated("closed"), []
    for story in itertools.islice(stories(rng, variant="closed"), 1000):
        visible = [word for one in story.sentences for word in tokens(one, "en")]
        t = int(rng.integers(len(visible)))
        word, visible[t] = visible[t], None
        losses.append(-math.log(masked_posterior(known, visible)[t][word]))
    error = np.std(losses) / math.sqrt(len(losses))
    assert abs(np.mean(losses) - masked_word_entropy("closed")) < 4 * error < 0.06


def test_the_unigram_entropy_by_hand():
    assert unigram_entropy(language_of({"a a": 0.5, "a b": 0.5})) == pytest.approx(
        -0.75 * math.log(0.75) - 0.25 * math.log(0.25))
    assert unigram_entropy(enumerated("tiny")) > masked_word_entropy("tiny", "en", "sentence")


def test_the_next_sentence_entropy_by_hand():
    """Of the pairs from two texts half look as if from one, and are half as likely; the others give themselves away."""
    known = language_of({"a . b .": 0.5, "c . d .": 0.5})
    assert next_sentence_entropy(known) == pytest.approx((math.log(1.5) + math.log(3) / 2) / 2)
    assert next_sentence_entropy(language_of({"a . b .": 1.0})) == pytest.approx(math.log(2))       # a coin


def brute_next_sentence(texts):
    """The same by a table of all pairs, also those that no text falls into."""
    together, losses = Counter(), 0.0
    for text, p in texts.items():
        ends = [t + 1 for t, word in enumerate(text[:-1]) if word in ".。"]
        for end in ends:
            together[text[:end], text[end:]] += p / len(ends)
    for a in {a for a, _ in together}:
        for b in {b for _, b in together}:
            front = sum(p for (x, _), p in together.items() if x == a)
            back = sum(p for (_, y), p in together.items() if y == b)
            parts = together[a, b], front * back
            losses += sum(-part / 2 * math.log(part / sum(parts)) for part in parts if part)
    return losses


def test_the_next_sentence_entropy_equals_its_brute_force_twin():
    rng = np.random.default_rng(0)
    for _ in range(20):
        texts = {" ".join(" . ".join(rng.choice(list("abc"), size=n)) + " ." for n in [rng.integers(2, 5)]): None
                 for _ in range(9)}
        known = language_of(dict(zip(texts, rng.dirichlet(np.ones(len(texts))), strict=True)))
        assert next_sentence_entropy(known) == pytest.approx(brute_next_sentence(texts_of(known)), rel=1e-9)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_next_sentence_entropy_is_the_mean_loss_on_drawn_pairs(language):
    rng, known = np.random.default_rng(0), enumerated("tiny", language)
    chances, ids, halves, losses = splits(known), {word: i for i, word in enumerate(known.words)}, [], []
    for story in itertools.islice(stories(rng, language, variant="tiny"), 6000):
        cut = int(rng.integers(1, len(story.sentences)))
        halves.append([tuple(ids[word] for one in part for word in tokens(one, language))
                       for part in (story.sentences[:cut], story.sentences[cut:])])
    for (a, b), (_, other) in zip(halves[::2], halves[1::2], strict=True):
        follows = rng.random() < 0.5
        losses.append(loss_of_best_verdict(chances, a, b if follows else other, follows))
    error = np.std(losses) / math.sqrt(len(losses))
    assert abs(np.mean(losses) - next_sentence_entropy(known)) < 4 * error < 0.04


def test_what_cannot_be_listed_is_refused():
    with pytest.raises(ValueError, match="variant 'open' has too many stories"):
        masked_word_entropy("open")
    with pytest.raises(ValueError, match="unit must be story or sentence, got 'word'"):
        masked_word_entropy("tiny", unit="word")
