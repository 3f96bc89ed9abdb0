"""What is said of an effect holds for simulated bodies whose effect is known."""
import math

import numpy as np
import pytest

from numbert.lab.effects import (
    Effect,
    ascending,
    difference,
    effect,
    labels_needed,
    picture,
    t_distribution,
    t_quantile,
    verdict,
)

# quantiles from the tables of textbooks: (share, degrees of freedom): t
TABLE = {(0.975, 1): 12.706, (0.975, 2): 4.303, (0.975, 3): 3.182, (0.975, 4): 2.776, (0.975, 9): 2.262,
         (0.8, 4): 0.941, (0.95, 7): 1.895, (0.975, 30): 2.042}


@pytest.mark.parametrize("share, df", TABLE)
def test_quantiles(share, df):
    assert t_quantile(share, df) == pytest.approx(TABLE[share, df], abs=6e-4)
    assert t_distribution(t_quantile(share, df), df) == pytest.approx(share, abs=1e-12)
    assert t_distribution(-1.3, df) == pytest.approx(1 - t_distribution(1.3, df), abs=1e-12)


def test_an_effect_by_hand():
    one = difference([[3.0, 5.0], [2.0, 4.0], [5.0, 7.0]], [[1.0], [2.0], [2.0]])   # differences 3, 1, 4
    assert one.values == (3.0, 1.0, 4.0) and one.mean == pytest.approx(8 / 3)
    error = math.sqrt(7 / 3) / math.sqrt(3)
    assert one.high - one.mean == pytest.approx(4.3027 * error, rel=1e-4)
    assert one.mean - one.low == pytest.approx(one.high - one.mean)
    assert one.could_be_seen == pytest.approx((4.3027 + 1.0607) * error, rel=1e-3)


@pytest.mark.parametrize("level, needed", [
    (0.6, (50, "exactly")), (0.65, (100, "exactly")), (0.7, (200, "exactly")), (0.5, (25, "at most")),
    (0.3, (25, "at most")), (0.71, (200, "at least"))])
def test_labels_needed_by_hand(level, needed):
    found = labels_needed((25, 50, 200), (0.5, 0.6, 0.7), level)            # 100 is half way from 50 to 200
    assert found == (pytest.approx(needed[0]), needed[1])


def test_a_curve_that_falls_is_made_ascending():
    assert ascending([1, 3, 2, 4]) == [1, 2.5, 2.5, 4] and ascending([3, 2, 1]) == [2, 2, 2]
    rng = np.random.default_rng(0)
    for values in rng.standard_normal((50, 6)):
        found = np.array(ascending(values))
        assert (np.diff(found) >= 0).all() and found.sum() == pytest.approx(values.sum())
        for other in np.sort(rng.standard_normal((50, 6))):                 # no ascending numbers are nearer
            assert ((found - values) ** 2).sum() <= ((other - values) ** 2).sum()


def simulated(size, bodies, times, spread_of_bodies=1.0, spread_of_heads=2.0, heads=3):
    """`times` experiments in which one condition is better by `size`, as rows of heads for each body."""
    rng = np.random.default_rng(0)
    for _ in range(times):
        of_bodies = rng.normal(0, spread_of_bodies, (2, bodies, 1))
        figures = of_bodies + rng.normal(0, spread_of_heads, (2, bodies, heads))
        yield figures[0] + size, figures[1]


def test_the_interval_holds_the_true_effect_nineteen_times_in_twenty():
    found = [difference(*pair) for pair in simulated(0.7, bodies=5, times=4000)]
    share = np.mean([one.low < 0.7 < one.high for one in found])
    assert abs(share - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 4000)


def test_heads_taken_for_bodies_would_claim_too_much():
    """Why the body is the unit: with no effect at all, heads counted one by one find one far too often."""
    wrong, right = [], []
    for ours, others in simulated(0.0, bodies=3, times=1000, spread_of_heads=0.3, heads=5):
        wrong.append(effect((ours - others).reshape(-1)))
        right.append(difference(ours, others))
    assert np.mean([one.low > 0 or one.high < 0 for one in wrong]) > 0.3
    assert np.mean([one.low > 0 or one.high < 0 for one in right]) < 0.08


def test_an_effect_that_could_be_seen_is_seen_four_times_in_five():
    true_std = math.sqrt(2 * (1.0 + 4.0 / 3))                       # of a difference of two bodies, three heads each
    size = (t_quantile(0.975, 7) + t_quantile(0.8, 7)) * true_std / math.sqrt(8)
    seen = [difference(*pair).low > 0 for pair in simulated(size, bodies=8, times=3000)]
    assert 0.75 < np.mean(seen) < 0.87


@pytest.mark.parametrize("low, high, claim, said", [
    (0.1, 0.9, "above", "shown"), (-0.1, 0.9, "above", "undecided"), (-0.5, -0.1, "above", "refuted"),
    (-0.5, 0.15, "above", "refuted"), (-0.9, -0.1, "below", "shown"), (-0.9, 0.1, "below", "undecided"),
    (-0.1, 0.5, "below", "refuted"), (-0.1, 0.1, "equal", "shown"), (0.05, 0.15, "equal", "shown"),
    (0.05, 0.3, "equal", "undecided"), (0.3, 0.6, "equal", "refuted"), (-0.6, -0.3, "equal", "refuted")])
def test_verdicts(low, high, claim, said):
    assert verdict(Effect((low + high) / 2, low, high, 0.5, ()), claim, margin=0.2) == said


def test_what_cannot_be():
    with pytest.raises(ValueError, match="at least two bodies, got 1"):
        effect([1.0])
    with pytest.raises(ValueError, match='must be "above", "below" or "equal", got \'more\''):
        verdict(effect([1.0, 2.0]), "more", 0.1)
    with pytest.raises(ValueError):
        difference([[1.0], [2.0]], [[1.0]])


def test_the_picture_has_a_dot_for_each_body():
    drawn = picture("Sizes & effects", "accuracy", {"a < b": effect([0.1, 0.2, 0.3]), "c": effect([-1.0, 1.0])}, 0.05)
    assert drawn.count("<circle") == 3 + 2 + 2                      # the bodies, and a mean for each row
    assert "a &lt; b" in drawn and "Sizes &amp; effects" in drawn and "nan" not in drawn
