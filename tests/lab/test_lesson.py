"""How much of an experiment fits into the time: the choice with a clock that does not tick, what it says, and that the
command it prints chooses nothing any more and gives the same numbers."""
import json
import re
import shlex
from types import SimpleNamespace

import numpy as np
import pytest
from example_scripts import EXAMPLES, load, run

from numbert.lab import bodies, laboratory, lesson
from numbert.lab.bodies import Recipe, config_of
from numbert.lab.lesson import Lesson, head_seconds, smaller, step_seconds
from numbert.lab.toy_tasks import draw, toy_task
from numbert.models.bert import BertForPreTraining
from numbert.training import command
from numbert.training.parallel import Workers

LEAST = {"seeds": 2, "steps": 300}


def options(*argv, **more):
    parser = laboratory.arguments("", name="x", quick={"seeds": 1}, least=LEAST, seeds=5, steps=3000, **more)
    found = command.parse(parser, list(argv))
    found.least = {name: least for name, least in found.least.items() if name not in command.given(parser, list(argv))}
    return found


def chosen(*argv, second=0.01, passed=0.0, share=1.0):
    """(the options, the lines) after a choice where a step takes so many seconds, and so many have passed before it."""
    found, lines, now = options(*argv), [], [0.0]
    plan = Lesson(found, clock=lambda: now[0], say=lines.append)
    now[0] = passed
    plan.fit(lambda o: o.seeds * o.steps * second, "seeds", "steps", share=share, pace="41 steps a second")
    assert not plan.open("seeds", "steps")
    return found, lines


@pytest.mark.parametrize("argv, second, seeds, steps", [
    ((), 0.001, 5, 3000),                       # 15 of 120 seconds
    ((), 0.0075, 4, 3000),                      # 112 are more than nine tenths of 120: 90
    ((), 0.05, 2, 900),                         # two of three thousand would be 300
    (("--minutes", "6"), 0.05, 2, 3000), (("--minutes", "0.5"), 0.05, 2, 300),      # 30 for 27
    ((), 10.0, 2, 300),                         # not even the least
    (("--seeds", "5"), 0.05, 5, 300), (("--steps", "3000"), 0.05, 2, 3000),         # given, though it is the default
    (("--seeds", "9", "--steps", "7000"), 0.05, 9, 7000),
    (("--full",), 10.0, 5, 3000), (("--quick",), 10.0, 1, 3000)])
def test_the_choice(argv, second, seeds, steps):
    found, lines = chosen(*argv, second=second)
    assert (found.seeds, found.steps) == (seeds, steps)
    free = LEAST.keys() - {word.removeprefix("--") for word in argv} if found.minutes and not found.quick else set()
    assert len(lines) == bool(free)
    assert {word for word in shlex.split(getattr(found, "again", "")) if word[:2] == "--"} == {f"--{o}" for o in free}


def test_time_that_has_passed_counts_and_a_share_is_a_share():
    assert chosen(second=0.0075)[0].seeds == 4 and chosen(second=0.0075, passed=60.0)[0].seeds == 2
    assert chosen(second=0.0075, share=0.5)[0].seeds == 2
    assert chosen(second=0.0075, passed=1e6)[0].steps == 300


def test_what_it_says():
    _, (line,) = chosen(second=0.05, passed=5.0)
    assert line == ("41 steps a second here: 2 minutes have room for 2 of 5 seeds and 900 of 3,000 steps (about 1:30 "
                    "of 1:55 left); --minutes 14 runs all of it")
    _, (line,) = chosen("--minutes", "1", second=0.001)
    assert line == ("41 steps a second here: 1 minute has room for all of it, 5 seeds and 3,000 steps (about 0:15 of "
                    "1:00 left)")
    _, (line,) = chosen(second=1.0)
    assert "2 minutes have room for less than the least, 2 of 5 seeds and 300 of 3,000 steps (about 10:00 of" in line


@pytest.mark.parametrize("minutes, second", [(14, 0.05), (2, 0.001), (3, 0.01)])
def test_so_many_minutes_do_run_all_of_it(minutes, second):
    found, (line,) = chosen("--minutes", str(minutes), second=second)
    assert (found.seeds, found.steps) == (5, 3000) and "all of it" in line
    if minutes > 2:
        assert f"--minutes {minutes} runs all of it" in chosen(second=second)[1][0]


def test_full_can_be_more_than_the_defaults_and_have_a_limit():
    assert options("--full", full={"seeds": 9}).seeds == 9 and options("--full").minutes is None
    assert options("--full", "--seeds", "3", full={"seeds": 9}).seeds == 3
    found = options("--full", "--minutes", "60", full={"seeds": 9})
    assert (found.minutes, found.seeds, found.least) == (60.0, 9, LEAST)
    with pytest.raises(SystemExit, match="^x.py: --minutes must be above 0, got 0.0$"):
        options("--minutes", "0")


def test_the_claims_that_full_points_to_are_there():
    named = {claim for path in (EXAMPLES / "lecture").glob("*.py")
             for claim in re.findall(r'claim="(\w+)"', path.read_text(encoding="utf-8"))}
    assert {"masking", "inference"} <= named <= load("claims").CLAIMS.keys()
    helped = laboratory.arguments("", name="x", quick={}, least=LEAST, claim="masking", seeds=5, steps=9).format_help()
    assert "claims.py masking" in " ".join(helped.split())


@pytest.mark.parametrize("value, least, values", [
    (5, 2, [5, 4, 3, 2]), (2, 2, [2]), (1, 2, [1]), (100, 25, [100, 90, 80, 70, 60, 50, 40, 30, 25]),
    (["tag", "infer", "answer"], 2, [["tag", "infer", "answer"], ["tag", "infer"]]), (["tag"], 2, [["tag"]])])
def test_smaller(value, least, values):
    assert smaller(value, least) == values


def test_a_body_that_is_there_is_taken(tmp_path, monkeypatch):
    """Also one of fewer steps, rather than fewer still."""
    made = {3000: False, 1500: True}
    monkeypatch.setattr(laboratory, "is_made", lambda recipe: made.get(recipe.steps, False))
    monkeypatch.setattr(laboratory, "body_step_seconds", lambda recipe, workers: 0.1)
    monkeypatch.setattr(laboratory, "pretrained_body", lambda recipe, workers: recipe.folder)

    def steps(*argv):
        found = options(*argv)
        laboratory.body(Recipe(), found, Lesson(found, say=lambda text: None), None, "steps")
        return found.steps

    assert steps() == 1500 and steps("--minutes", "20") == 3000 and steps("--steps", "77") == 77
    made[3000] = True
    assert steps() == 3000
    made.clear()
    assert steps() == 300                                       # half of two minutes have room for 540


def test_what_is_measured_changes_nothing():
    recipe = Recipe(steps=2, batch_size=4, width=32, layers=1)
    tokenizer = bodies.tokenizer_of("en")
    model = BertForPreTraining(config_of(recipe, len(tokenizer)), rng=np.random.default_rng(0))
    before = [parameter.data.copy() for parameter in model.parameters()]
    setup = laboratory.settings(SimpleNamespace(epochs=2))
    with Workers(1) as workers:
        data, _ = bodies.stories_to_learn(recipe, tokenizer)
        assert step_seconds(model, data.batches(), workers, steps=2) > 0
        task = toy_task("classify", draw("classify", (24, 12, 24)), tokenizer, setup, workers)
        each = head_seconds(task, model.config, setup, workers)
    assert all(np.array_equal(a, p.data) for a, p in zip(before, model.parameters(), strict=True))
    assert 0 < each(setup) < each(laboratory.settings(setup, epochs=20))


def test_the_printed_command_repeats_a_script(tmp_path, monkeypatch):
    """Bit for bit, whatever the speed: here one that leaves room for the least alone."""
    small = ("--variant", "tiny", "--held", "4", "--points", "2", "--width", "32", "--layers", "1", "--batch", "2",
             "--workers", "1")
    monkeypatch.setattr(lesson, "TARGET", 1e-9)
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    first = run("entropy", folders[0], *small, quick=False)
    assert "200 of 2,000 steps" in first.said and first.results["settings"]["steps"] == 200
    again = shlex.split(first.said.split("The same again: ")[1].splitlines()[0])
    assert again[-2:] == ["--steps", "200"] and again[:2] == ["python", "entropy"]
    second = run("entropy", folders[1], *again[2:], quick=False)
    assert "room for" not in second.said
    assert json.dumps(first.results["curves"]) == json.dumps(second.results["curves"])
