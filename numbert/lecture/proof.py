"""Is this backward pass right, and would anybody notice if it were not?"""
from typing import NamedTuple

import numpy as np

from ..gradcheck.cases import op_cases
from ..gradcheck.differences import check, judge, measure
from ..gradcheck.mutants import EQUIVALENT, Mutant, mutants


class Fate(NamedTuple):
    """What became of one mistake, a `Mutant`: `end` is "wrong", "error" or "same"; `case` and `said` are where and how
    it was found, or why it changes nothing."""
    mutant: Mutant
    end: str
    case: str
    said: str


def verdicts(op, inputs, options):
    """The gradient check of an op at the page's own inputs: a `gradcheck.GradientResult` for each array."""
    inputs = [None if x is None else np.array(x, np.float64) for x in inputs]
    return check(op, inputs, options, np.random.default_rng(0))


def fates(op):
    """A Fate for every mutant of the op's backward pass."""
    rng = np.random.default_rng(0)
    measured = [measure(case, rng) for case in op_cases() if case.op is op]
    return [_fate(op, mutant, measured) for mutant in mutants(op, [m.case.inputs for m in measured])]


def _fate(op, mutant, measured):
    for one in measured:
        try:
            with np.errstate(all="ignore"):
                results = judge(one.of(mutant.forward), mutant.backward)
                bad = next((result for result in results if not result.passed), None)
        except Exception as error:                      # a mistake that cannot even be computed is found, too
            return Fate(mutant, "error", one.case.name,
                        f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}")
        if bad:
            return Fate(mutant, "wrong", one.case.name,
                        f"d{bad.input}{bad.place}: {bad.backward:.6g} ≠ {bad.difference:.6g}")
    return Fate(mutant, "same", "", EQUIVALENT.get((op.name, mutant.what), ""))
