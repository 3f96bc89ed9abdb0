from collections import defaultdict
from itertools import islice

import numpy as np
import pytest
from toyworld_reader import Incoherent, Reader

from numbert.toyworld.language import GRAMMAR
from numbert.toyworld.story import VARIANTS, documents, plots, stories


def some(n, seed=0, **options):
    return list(islice(stories(np.random.default_rng(seed), **options), n))


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_an_independent_reader_finds_every_story_coherent(variant):
    for story in some(1500, seed=1, variant=variant):
        Reader(story.text)


def test_a_changed_order_of_sentences_is_often_seen_from_the_state_alone():
    rng = np.random.default_rng(2)
    noticed = []
    for story in some(500, seed=2):
        texts = [one.text for one in story.sentences]
        first = rng.integers(len(texts) - 1)
        texts[first:first + 2] = texts[first + 1], texts[first]
        try:
            Reader(" ".join(texts))
            noticed.append(False)
        except Incoherent:
            noticed.append(True)
    assert np.mean(noticed) > 0.5


def test_a_sentence_of_another_story_does_not_follow():
    told = some(200, seed=3)
    noticed = []
    for story, other in zip(told, told[1:], strict=False):
        try:
            Reader(story.text + " " + other.sentences[-1].text)
            noticed.append(False)
        except Incoherent:
            noticed.append(True)
    assert np.mean(noticed) > 0.6         # the rest begins with "she", or with "he"


def test_the_same_seed_tells_the_same_story_in_both_languages():
    for english, chinese in zip(some(500), some(500, language="zh"), strict=True):
        assert english.plot == chinese.plot
        assert len(english.sentences) == len(chinese.sentences)
        for one, other in zip(english.sentences, chinese.sentences, strict=True):
            assert sorted(mention[:2] for mention in one.mentions) == sorted(mention[:2] for mention in other.mentions)


def test_the_same_seed_gives_the_same_documents_and_another_seed_does_not():
    first, again, other = (documents(50, np.random.default_rng(seed)) for seed in (7, 7, 8))
    assert first == again and first != other
    assert first == [[one.text for one in story.sentences] for story in some(50, seed=7)]


def test_sentence_starts():
    for story in some(50, language="zh") + some(50):
        for one, start in zip(story.sentences, story.starts, strict=True):
            assert story.text.startswith(one.text, start)


def test_stories_hardly_repeat_and_every_kind_of_event_is_told():
    told = list(islice(plots(np.random.default_rng(4)), 4000))
    openings = {tuple((event.kind, str(event.roles)) for event in plot[:4]) for plot in told}
    assert len(openings) > 0.99 * len(told)
    assert {event.kind for plot in told for event in plot} == set(GRAMMAR)
    assert {(event.kind, event.style) for plot in told for event in plot} == {
        (kind, style) for kind, ways in GRAMMAR.items() for style in range(len(ways))}


@pytest.mark.parametrize("language, ambiguous", [
    ("en", "was there to walk light rain left saw watch orange rest play present rose so clean dry"),
    ("zh", "在 给 把"),
])
def test_vocabulary_and_words_whose_tag_depends_on_context(language, ambiguous):
    tags = defaultdict(set)
    for story in some(4000, seed=5, language=language):
        assert 4 <= len(story.sentences) <= 20
        for one in story.sentences:
            for word, tag in zip(one.words, one.tags, strict=True):
                tags[word.lower()].add(tag)
    assert {word for word, seen in tags.items() if len(seen) > 1} >= set(ambiguous.split())
    assert 250 <= len(tags) <= 600


def test_unknown_variant_is_named():
    with pytest.raises(ValueError, match="open, closed, tiny, got 'huge'"):
        next(stories(np.random.default_rng(0), variant="huge"))
