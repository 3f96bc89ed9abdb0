"""Find the bug: numbert with one small mistake in it, as real implementations had it, and the tools to hunt it down.

    python examples/bug_hunt.py                     a puzzle at random: a training run beside the right one
    python examples/bug_hunt.py --number 7          puzzle 7 again; with one of these it goes on:
        --copy FOLDER                               the package with the bug in it, to read and to repair
        --check all                                 which checks fail? (or --check NAME: what does this one say?)
        --hint 1                                    what one may notice; 2: in which file; 3: which check fails, and how
        --reveal                                    the bug, its story, and the line
    python examples/bug_hunt.py --gallery           all bugs, several seeds: which of them does a training curve show?

Hardly one of them raises an error; all shapes fit, and the loss falls. The curve is the first thing to look at, and not
enough: the gallery counts the bugs that no curve shows. (A puzzle takes seconds, the gallery a few minutes.)
"""
import argparse
import json
import math
import random
import statistics
import sys
import textwrap
from pathlib import Path

import numpy as np
from museum import BUGS, CHECKS
from museum.checks import failed
from museum.course import STEPS, run

import numbert
from numbert.hub import files
from numbert.lab import svg
from numbert.training import command

QUICK = 24                                          # steps
RIGHT_SEEDS, SEEDS = 8, 3
NOTABLE = 3.0                                       # standard deviations of right runs
COURSES = {"bert": "masked words and sentence pairs (BERT)", "roberta": "masked words alone (RoBERTa)",
           "gpt": "the next word (GPT)"}
# The order of the puzzles, so that neighbours in the collection are not neighbours here
PUZZLES = np.random.default_rng(1704).permutation(len(BUGS)).tolist()


def arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--number", type=int, metavar="N", help=f"the puzzle, 1..{len(BUGS)} (default: one at random)")
    add("--copy", metavar="FOLDER", help="write the package with the bug in it to FOLDER/numbert")
    add("--check", metavar="NAME", help="run all checks, or one by its name; without --number on numbert as it is")
    add("--hint", type=int, choices=(1, 2, 3))
    add("--reveal", action="store_true")
    add("--gallery", action="store_true")
    add("--quick", action="store_true", help=f"see it work once: {QUICK} steps, and a gallery of three bugs")
    add("--out", default="runs/bug_hunt", help="where pictures and numbers go (default: %(default)s)")
    options = parser.parse_args(argv)
    if options.number is not None and not 1 <= options.number <= len(BUGS):
        raise ValueError(f"--number must be in 1..{len(BUGS)}, got {options.number}")
    if options.check not in (None, "all", *CHECKS):
        raise ValueError("--check must be all, or one of\n  " + "\n  ".join(CHECKS) + f"\ngot {options.check}")
    if options.number is None and (options.copy or options.hint or options.reveal):
        raise ValueError("--copy, --hint and --reveal need the --number of a puzzle")
    return options


# %% A puzzle: the curve
#
# The same training with the same seed, once by the right code and once by the code with the bug. What is reported is
# what each says of itself while it trains. The held-out loss of both is measured by the right code, from the weights.


def puzzle(number, options):
    bug = BUGS[PUZZLES[number - 1]]
    steps = QUICK if options.quick else STEPS
    right, buggy = run(bug.course, steps=steps), run(bug.course, bug=bug, steps=steps)
    print(f"Puzzle {number} of {len(BUGS)}. Somewhere in numbert there is a bug.\nA small model learns "
          f"{COURSES[bug.course]} for {steps} steps;\nhalfway it is stopped and resumed. Losses in nats:\n")
    print(table(right, buggy))
    path = Path(options.out) / f"puzzle-{number}.svg"
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_text(path, svg.page(charts(f"Puzzle {number}", right, buggy)))
    print(f"""
In {path}: the curves. Look at the first step (does it know anything yet? ln V is not knowing), at the
end (too high? too low to be true?), at the middle, where the run was resumed, and at what the right code makes of the
weights. If nothing differs, that is worth knowing too: most tests of an implementation are one look at this curve.

Try next, with --number {number}:
  --check all          which of {len(CHECKS)} things that have to hold do not?
  --copy FOLDER        read the package with the bug in it, and repair it; then check your repair with
                       PYTHONPATH=FOLDER python {sys.argv[0]} --check all
  --hint 1, 2, 3       more and more
  --reveal             the solution""")


def table(right, buggy):
    """Reported and held-out losses at a few steps, of both runs, one task below the other."""
    lines = []
    for task, points in right.held_out.items():
        lines += [f"  {task:8}{'right code':^24}{'with the bug':^24}".rstrip(),
                  f"  {'step':8}" + f"{'reported':>12}{'held out':>12}" * 2]
        held = [dict(one.held_out[task]) for one in (right, buggy)]
        reported = [dict(smooth(one.reported[task])) for one in (right, buggy)]
        for step in (1, *(step for step, _ in points)):
            cells = [losses.get(step) for pair in zip(reported, held, strict=True) for losses in pair]
            lines.append(f"  {step:<8}" + "".join(f"{'' if x is None else format(x, '.3f'):>12}" for x in cells))
    return "\n".join(lines)


def smooth(points, window=10):
    """[(step, the mean of the losses up to it)], over as many steps; the first as it is."""
    losses = [loss for _, loss in points]
    return [(step, statistics.fmean(losses[max(i and 1, i + 1 - window):i + 1])) for i, (step, _) in enumerate(points)]


def charts(title, right, buggy):
    return [svg.chart(f"{title}: {task}", "step", "nats",
                      {"right, reported": smooth(right.reported[task]), "buggy, reported": smooth(buggy.reported[task]),
                       "right, held out": right.held_out[task], "buggy, held out": buggy.held_out[task]})
            for task in right.held_out]


# %% The tools: checks, hints, a copy to repair, the solution


def check(name, bug):
    """Run a check or all, with the bug or without; whether nothing was found."""
    names = list(CHECKS) if name == "all" else [name]
    if bug:
        with bug.patch():
            found = {one: failed(one) for one in names}
    else:
        found = {one: failed(one) for one in names}
    print(f"numbert in {Path(numbert.__file__).parent}" + (", with the bug:" if bug else ":"))
    for one, what in found.items():
        print(f"  {'FAILED' if what else 'ok':8}{one}" + (f"\n          {what}" if what and name != "all" else ""))
    if name != "all":
        print(f"\n{CHECKS[name].__doc__}")
    return not any(found.values())


def hint(level, bug):
    if level == 1:
        return f"What one may notice: {bug.symptom}"
    if level == 2:
        return "Look into " + " and ".join(f"numbert/{file}" for file in bug.files()) + "."
    with bug.patch():
        what = failed(bug.caught_by)
    return f"{bug.caught_by} fails:\n  {what}"


def solution(bug):
    told = "\n\n".join(textwrap.fill(text, 100) for text in (f"The bug: {bug.name}.", bug.symptom, bug.story))
    return f"{told}\n\n{bug.diff()}\n\nCaught by {bug.caught_by}."


# %% The gallery: which bugs does a curve show?
#
# Every bug with several seeds, each run against the right one with the same seed. A figure shows a bug if the
# difference is on average more than three standard deviations of right runs, of which there are a few more for that.
# "Nothing at all" means the same numbers to the last bit.


def gallery(options):
    bugs, steps = (BUGS[:3], QUICK) if options.quick else (BUGS, STEPS)
    right_seeds, seeds = (2, 1) if options.quick else (RIGHT_SEEDS, SEEDS)
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    right = {course: [run(course, seed=seed, steps=steps) for seed in range(right_seeds)]
             for course in dict.fromkeys(bug.course for bug in bugs)}
    print(f"{len(bugs)} bugs, {seeds} seeds each, {right_seeds} right runs, {steps} steps. Differences to the right "
          f"runs, in nats;\n* is more than {NOTABLE:g} of their standard deviations.\n")
    print(f"{'':52}{'first step':>12}{'last steps':>12}{'held out':>12}  it shows in")
    records, pictures = [], []
    for bug in bugs:
        runs = [run(bug.course, bug=bug, seed=seed, steps=steps) for seed in range(seeds)]
        record = compare(bug, right[bug.course], runs)
        records.append(record)
        print(f"{bug.name:52}" + "".join(f"{cell:>12}" for cell in cells(record)) + f"  {record['shows']}", flush=True)
        pictures += charts(bug.name, right[bug.course][0], runs[0])
    files.write_text(out / "gallery.svg", svg.page(pictures))
    files.write_text(out / "results.json", json.dumps({
        "steps": steps, "right": {course: [finite(one.figures()) for one in runs] for course, runs in right.items()},
        "bugs": records}, indent=1) + "\n")
    report(records, out)


def compare(bug, right, runs):
    """What becomes of a bug's figures: their values, the mean differences to the right runs, and where it shows."""
    figures, expected = [one.figures() for one in runs], [one.figures() for one in right]
    difference, notable = {}, {}
    for name in expected[0]:
        pairs = zip(figures, expected, strict=False)            # of the same seeds; there are more right runs
        difference[name] = statistics.fmean(one[name] - twin[name] for one, twin in pairs)
        notable[name] = not abs(difference[name]) <= NOTABLE * statistics.stdev(one[name] for one in expected)
    same = figures == expected[:len(figures)]
    reported = any(notable[name] for name in notable if not name.endswith("held out"))
    shows = ("nothing at all" if same else "the reported curve" if reported else
             "the held-out loss alone" if any(notable.values()) else "nothing significant")
    return {"name": bug.name, "course": bug.course, "caught_by": bug.caught_by, "shows": shows,
            "figures": [finite(one) for one in figures], "difference": finite(difference), "notable": notable}


def cells(record):
    """The difference of the task that differs most, at the three places."""
    places = ("first", "last", "held out")
    tasks = dict.fromkeys(name.partition(" ")[0] for name in record["difference"])

    def size(task):
        return sum(record["notable"][f"{task} {place}"] for place in places)
    task = max(tasks, key=size)                     # of equals the first: the words
    for place in places:
        value = record["difference"][f"{task} {place}"]
        star = "*" if record["notable"][f"{task} {place}"] else " "
        yield (f"{value:+.3f}" if value is not None else "diverged") + star


def finite(figures):
    """JSON knows no infinity: None."""
    return {name: value if math.isfinite(value) else None for name, value in figures.items()}


def report(records, out):
    groups = {}
    for record in records:
        groups.setdefault(record["shows"], []).append(record["name"])
    print(f"\nOf {len(records)} bugs:")
    for shows in ("the reported curve", "the held-out loss alone", "nothing significant", "nothing at all"):
        print(f"  {len(groups.get(shows, [])):3}  show in {shows}")
    print(f"""
In {out}: gallery.svg, the curves of all bugs, and results.json, every number. Look at the bugs that show in nothing,
and at those whose reported loss is lower than right: a curve that is too good is the first sign of a leak. Each of
them is caught by a check that takes less than a second.
Try next: python {sys.argv[0]}, and find one yourself.""")


def main(argv=None):
    options = arguments(argv)
    bug = BUGS[PUZZLES[options.number - 1]] if options.number else None
    if options.gallery:
        gallery(options)
    elif options.check:
        return 0 if check(options.check, bug) else 1
    elif options.copy:
        bug.write_package(options.copy)
        print(f"{Path(options.copy) / 'numbert'} is the package with the bug in it. Repair it there, and ask\n"
              f"  PYTHONPATH={options.copy} python {sys.argv[0]} --check all")
    elif options.hint:
        print(hint(options.hint, bug))
    elif options.reveal:
        print(solution(bug))
    else:
        puzzle(options.number or 1 + random.SystemRandom().randrange(len(BUGS)), options)
    return 0


if __name__ == "__main__":
    with command.one_line("bug_hunt.py"):
        sys.exit(main())
