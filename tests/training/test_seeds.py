"""Several seeds: mean, standard deviation, who collapsed, and the table that says it."""
import math
import re

import pytest

from numbert.training.seeds import Seeds, differences, in_words, over_seeds, plural, table


def seeds(*values, baseline=0.5, name="accuracy"):
    return Seeds([{name: value} for value in values], {name: baseline})


def test_mean_and_standard_deviation():
    found = seeds(0.7, 0.8, 0.9)
    assert found.mean() == pytest.approx(0.8) and found.std() == pytest.approx(0.1)
    assert seeds(0.7).mean() == 0.7 and math.isnan(seeds(0.7).std())


def test_the_margin_is_measured_in_the_spread_of_a_difference():
    difference, spread = seeds(0.7, 0.8, 0.9).margin(seeds(0.4, 0.6))
    assert difference == pytest.approx(0.3) and spread == pytest.approx(math.sqrt(0.01 + 0.02))


@pytest.mark.parametrize("values,baseline,count", [
    ((0.7, 0.8), 0.5, 0), ((0.5, 0.8), 0.5, 1), ((0.4, 0.5), 0.5, 2),
    ((math.nan, 0.8), math.nan, 1), ((0.0, 0.1), math.nan, 1), ((-0.2, 0.1), 0.0, 1)])
def test_collapsed(values, baseline, count):
    assert seeds(*values, baseline=baseline).collapsed() == count


def test_over_seeds_runs_each():
    ran = over_seeds(lambda seed: {"f1": seed / 4, "accuracy": 1.0}, range(3), {"f1": 0.25, "accuracy": 0.9})
    assert [figures["f1"] for figures in ran.figures] == [0.0, 0.25, 0.5]
    assert ran.mean() == 0.25 and ran.mean("accuracy") == 1.0 and ran.collapsed() == 2
    with pytest.raises(ValueError, match="at least 1, got 0"):
        over_seeds(None, [], {})


def test_table():
    text = table({"one": seeds(0.7, 0.8, 0.9), "other": seeds(0.5, 0.5), "single": seeds(0.6)})
    lines = [line.split() for line in text.splitlines()]
    assert lines == [["mean", "±", "standard", "deviation", "accuracy"], ["one", "0.800", "±", "0.100"],
                     ["other", "0.500", "±", "0.000", *"2 of 2 collapsed to the majority".split()],
                     ["single", "0.600"], ["majority", "0.500"]]


def test_where_no_majority_answers_nothing_collapses():
    text = table({"other": seeds(0.5, 0.5)}, "one vector for all")
    assert "collapsed" not in text and text.splitlines()[-1].split() == ["one", "vector", "for", "all", "0.500"]


def test_plural():
    assert [plural(n, "seed") for n in (0, 1, 2, 3000)] == ["0 seeds", "1 seed", "2 seeds", "3,000 seeds"]


def of(*values):
    return Seeds([{"accuracy": value} for value in values], {"accuracy": 0.5})


@pytest.mark.parametrize("ours,scratch,said", [
    ((0.8, 0.9), (0.5, 0.5), r"\+0\.350 accuracy, \+4\.9 times .*: significant"),
    ((0.5, 0.5), (0.8, 0.9), r"-0\.350 accuracy, -4\.9 times .*: a significant loss"),
    ((0.6, 0.8), (0.5, 0.7), r"\+0\.100 accuracy, \+0\.5 times .*: not significant"),
    ((0.9,), (0.5,), r"\+0\.400 accuracy here; .* one seed cannot tell"),
    ((0.9, 0.9), (0.5, 0.5), r"\+0\.400 accuracy; no two seeds differ")])
def test_in_words(ours, scratch, said):
    assert re.fullmatch(said, in_words(of(*ours), of(*scratch)))


@pytest.mark.parametrize("times,said", [(2.05, "significant"), (1.95, "not significant"),
                                        (-1.95, "not significant"), (-2.05, "a significant loss")])
def test_two_standard_deviations_are_the_line(times, said):
    ours, other = of(0.4, 0.6), of(0.5, 0.5)                     # the spread of a difference: 0.2 / √2
    shift = times * 0.2 / math.sqrt(2)
    assert in_words(of(0.4 + shift, 0.6 + shift), other).split(": ")[1].startswith(said) and ours.margin(other)[0] == 0


def test_differences():
    text = differences({"a": (of(0.8, 0.9), of(0.5, 0.5)), "b": (of(0.6, 0.8), of(0.5, 0.7)), "c": (of(0.9), of(0.5)),
                        "d": (of(0.9, 0.9), of(0.5, 0.5)), "e": (of(0.5, 0.5), of(0.8, 0.9))})
    head, *rows = [re.split(r"  +", line.strip()) for line in text.splitlines()]
    assert head == ["difference of means", "in standard deviations", "significant at two"]
    assert rows == [["a", "+0.350 accuracy", "+4.9", "yes"], ["b", "+0.100 accuracy", "+0.5", "no"],
                    ["c", "+0.400 accuracy", "?", "cannot be told"], ["d", "+0.400 accuracy", "?", "cannot be told"],
                    ["e", "-0.350 accuracy", "-4.9", "yes"]]
    assert of(0.4, 0.6).times(of(0.5, 0.5)) == 0 and math.isnan(of(0.5).times(of(0.5)))
