import math
import os
import random
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from numbert.tokenizers.wordpiece_training import (
    WordPieceText,
    join_in_word,
    joined,
    learn_vocabulary,
    likelihood_gain,
    most_common_characters,
    split_characters,
)

WORD_COUNTS = st.dictionaries(st.text("abc", min_size=1, max_size=6), st.integers(1, 9), min_size=1, max_size=8)


def test_by_hand():
    """3 times "aab", 2 times "ab", 1 time "cb": (a, ##b) 2, (a, ##a) 3, (##a, ##b) 3, (c, ##b) 1."""
    words = {"aab": 3, "ab": 2, "cb": 1}
    assert learn_vocabulary(words, 9, min_frequency=1) == ["##a", "##b", "a", "c", "##ab", "aab", "ab", "cb"]
    assert learn_vocabulary(words, 9, min_frequency=2) == ["##a", "##b", "a", "c", "##ab", "aab", "ab"]
    assert learn_vocabulary(words, 5, min_frequency=2) == ["##a", "##b", "a", "c", "##ab"]


def test_likelihood_prefers_pairs_that_belong_together():
    """(q, ##u) is always together; (e, ##a) is more frequent, but both letters go with everything."""
    words = {"qu": 20, "ea": 22, "eb": 20, "ec": 20, "ba": 20, "ca": 20, "da": 20}
    characters = most_common_characters(words, 99)
    assert learn_vocabulary(words, len(characters) + 1, "bpe")[-1] == "ea"
    assert learn_vocabulary(words, len(characters) + 1, "likelihood")[-1] == "qu"


def test_parts():
    assert split_characters("able") == ["a", "##b", "##l", "##e"]
    assert joined(("un", "##able")) == "unable" and joined(("##a", "##b")) == "##ab"
    assert join_in_word(["a", "##a", "##a", "##a", "##a"], ("##a", "##a")) == ["a", "##aa", "##aa"]
    assert most_common_characters({"ab": 1, "ac": 2, "d": 1}, 3) == ["##b", "##c", "a"]


def plain_learn(word_counts, size, algorithm, min_frequency):
    """The definition: count everything again for every join."""
    words = {word: split_characters(word) for word in word_counts}
    symbols = sorted({symbol for parts in words.values() for symbol in parts})
    while len(symbols) < size:
        counts, pairs = Counter(), Counter()
        for word, parts in words.items():
            for symbol in parts:
                counts[symbol] += word_counts[word]
            for pair in pairwise(parts):
                pairs[pair] += word_counts[word]

        def score(pair, counts=counts, pairs=pairs):
            if algorithm == "bpe":
                return pairs[pair]
            after = counts.copy()
            after.subtract({pair[0]: pairs[pair]})
            after.subtract({pair[1]: pairs[pair]})
            return log_likelihood([*after.values(), pairs[pair]]) - log_likelihood(counts.values())

        candidates = [pair for pair, count in pairs.items() if count >= min_frequency and score(pair) > 1e-9]
        if not candidates:
            break
        best = max(map(score, candidates))
        pair = min(pair for pair in candidates if score(pair) > best - 1e-9)
        if algorithm == "likelihood" and sum(score(other) > best - 1e-6 for other in candidates) > 1:
            break  # rounding may order equal likelihoods either way
        if joined(pair) not in symbols:
            symbols.append(joined(pair))
        words = {word: join_in_word(parts, pair) for word, parts in words.items()}
    return symbols


def log_likelihood(counts):
    counts = [count for count in counts if count > 0]
    return sum(count * math.log(count / sum(counts)) for count in counts)


@given(WORD_COUNTS, st.integers(6, 20), st.integers(1, 4))
@settings(max_examples=200, deadline=None)
def test_bpe_is_the_plain_definition(word_counts, size, min_frequency):
    assert learn_vocabulary(word_counts, size, "bpe", min_frequency) == \
        plain_learn(word_counts, size, "bpe", min_frequency)


def test_likelihood_is_the_plain_definition():
    joins = 0
    for seed in range(100):
        rng = random.Random(seed)  # letters of a word differ: for runs see the next test
        words = {"".join(rng.sample("abcdef", rng.randint(1, 6))): rng.randint(1, 500) for _ in range(12)}
        expected = plain_learn(words, 22, "likelihood", 2)
        assert learn_vocabulary(words, len(expected), "likelihood", 2) == expected
        joins += len(expected) - len(most_common_characters(words, 99))
    assert joins > 500


@given(st.dictionaries(st.text("abc", min_size=1, max_size=5), st.integers(1, 9), min_size=1), st.data())
@settings(max_examples=200, deadline=None)
def test_likelihood_gain_is_what_joining_does(word_counts, data):
    text = WordPieceText(word_counts, most_common_characters(word_counts, 99))
    assume(text.pair_counts)
    pair = data.draw(st.sampled_from(sorted(text.pair_counts)))
    # "##a ##a ##a" holds two pairs, of which only one can be joined: no exact count for a run of three.
    assume(pair[0] != pair[1] or not any(pair[0][2:] * 3 in word[1:] for word in word_counts))
    gain, before = likelihood_gain(text, pair), log_likelihood(text.symbol_counts.values())
    text.join(pair)
    assert gain == pytest.approx(log_likelihood(text.symbol_counts.values()) - before, rel=1e-9, abs=1e-9)


@given(WORD_COUNTS, st.data())
@settings(max_examples=100, deadline=None)
def test_counts_stay_right(word_counts, data):
    text = WordPieceText(word_counts, most_common_characters(word_counts, 99))
    for _ in range(4):
        pairs = sorted(pair for pair, count in text.pair_counts.items() if count)
        if pairs:
            text.join(data.draw(st.sampled_from(pairs)))
    symbols, pairs = Counter(), Counter()
    for word, count in zip(text.words, text.word_counts, strict=True):
        symbols.update({symbol: count * number for symbol, number in Counter(word).items()})
        pairs.update({pair: count * number for pair, number in Counter(pairwise(word)).items()})
    assert +text.symbol_counts == symbols and +text.pair_counts == pairs and text.length == symbols.total()
    assert ["".join(part.removeprefix("##") for part in word) for word in text.words] == list(word_counts)


def test_too_many_characters():
    """Room for two of three characters: the rarest goes, and with it the words that need it."""
    assert learn_vocabulary({"ab": 5, "a": 3, "c": 1, "cab": 1}, 3, min_frequency=1) == ["##b", "a", "c"]
    assert learn_vocabulary({"ac": 1, "ab": 5}, 2) == ["##b", "a"]


@pytest.mark.parametrize("algorithm", ["bpe", "likelihood"])
def test_the_same_in_every_process(algorithm):
    """Sets of strings come in another order in every process; the vocabulary must not."""
    code = ("from numbert.tokenizers.wordpiece_training import learn_vocabulary as learn; import itertools\n"
            "words = [''.join(letters) for letters in itertools.permutations('abcde')]\n"
            "words = {word: 1 + 99 * ('ab' in word) + 99 * ('cde' in word) for word in words}\n"
            f"print(learn(words, 60, {algorithm!r}))")
    outputs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                              env=os.environ | {"PYTHONHASHSEED": seed}).stdout for seed in ("1", "2")]
    assert outputs[0] == outputs[1] and len(outputs[0]) > 120
