"""A run of minutes: planned again it ends in time, whatever the machine does, and goes on from the saved plan."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numbert.training.optimizer import linear_schedule
from numbert.training.plan import Budget, Plan


class Clock:
    """A time that passes when it is told to."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def go(seconds, first, cost, measuring=0.0, saving=0.0, save_every=200, plan=None, start=0, used=0.0):
    """Seconds that a run takes whose step at the time t takes cost(t), and its Plan: as examples/pretrain.py."""
    clock, plan = Clock(), plan or Plan(first)
    clock.now += used
    budget, every, step = Budget(plan, seconds, start, used, clock), max(1, first // 10), start
    while step < plan.steps:
        step += 1
        clock.now += cost(clock.now - 1000)
        if step == plan.steps or plan.passes(step, every) and budget.may_pause():
            clock.now += measuring
            budget.paused_for(measuring)
        if step < plan.steps and budget.due(step):
            budget.plan_again(step, pauses=int(np.ceil(10 * (1 - plan.position(step) / first))))
            clock.now += saving
        elif step % save_every == 0:
            clock.now += saving
    return clock.now - 1000, plan


def test_a_plan_that_is_never_changed_is_the_number_of_the_step():
    plan, rate = Plan(230), linear_schedule(230, 1e-3)
    assert plan.steps == 230 and all(rate(plan.position(step)) == rate(step) for step in range(230))
    assert [step for step in range(1, 231) if plan.passes(step, 23)] == list(range(23, 231, 23))
    plan = Plan(7)
    assert [step for step in range(1, 8) if plan.passes(step, 2)] == [2, 4, 6, 7]


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 500), st.lists(st.tuples(st.integers(1, 100), st.integers(1, 300)), max_size=4))
def test_positions_rise_to_the_end_without_a_jump(first, changes):
    plan, step = Plan(first), 0
    for later, left in changes:
        step = min(step + later, plan.steps - 1)
        before = plan.position(step)
        plan.change(step, step + left)
        assert plan.position(step) == before
    positions = [plan.position(step) for step in range(plan.steps + 1)]
    assert positions[0] == 0 and positions[-1] == pytest.approx(first) and positions == sorted(positions)
    rate = linear_schedule(first, 1.0)
    assert all(0 < rate(position) <= 1 for position in positions[:-1])
    again = Plan(first, [list(change) for change in plan.changes])      # as it comes back from JSON
    assert [again.position(step) for step in range(plan.steps + 1)] == positions


@pytest.mark.parametrize("cost, what", [
    (lambda t: 0.1, "as timed"), (lambda t: 0.1 if t < 20 else 0.5, "five times slower from a third on"),
    (lambda t: 0.5 if t < 20 else 0.1, "five times faster"), (lambda t: 1.0, "ten times slower at once"),
    (lambda t: 0.01, "ten times faster"), (lambda t: 0.1 if t < 57 else 0.8, "slow at the very end"),
    (lambda t: 0.1 if int(t / 4) % 2 else 0.4, "now and then busy")])
@pytest.mark.parametrize("measuring, saving", [(0.0, 0.0), (0.5, 0.3), (3.0, 0.1)])
def test_it_ends_within_a_tenth_of_what_was_promised(cost, what, measuring, saving):
    taken, plan = go(60.0, 600, cost, measuring, saving)
    assert 0.9 * 60 <= taken <= 1.1 * 60, (what, taken)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 1.0), st.floats(0.0, 3.0))
def test_chance_makes_no_difference(seed, usual, measuring):
    """Steps that take now this long and now that, on a machine of another pace than the first steps had."""
    rng = np.random.default_rng(seed)
    taken, plan = go(60.0, 300, lambda t: usual * rng.exponential(), measuring)
    assert 0.85 * 60 <= taken <= 1.1 * 60 + 4 * usual


def test_a_machine_that_keeps_its_pace_keeps_its_plan():
    """Then a run that was stopped and resumed is the very run that was not."""
    taken, plan = go(60.0, 600, lambda t: 0.1005)
    assert plan.changes == [] and taken == pytest.approx(60.3)


def test_a_resumed_run_has_the_time_that_was_left():
    taken, plan = go(60.0, 600, lambda t: 0.1, plan=Plan(600), start=300, used=30.0)
    assert taken == pytest.approx(60.0) and plan.changes == []
    taken, plan = go(60.0, 600, lambda t: 0.3, plan=Plan(600), start=300, used=30.0)
    assert 54 <= taken <= 66 and plan.steps < 600
