"""The cost meter: what it counts, what it predicts from, and what it says in human units."""
import numpy as np
import pytest
from example_scripts import ran, run

from numbert import BertForPreTraining
from numbert.models import cost
from numbert.trace import trace


@pytest.fixture(scope="module")
def example():
    """examples/lecture/11_cost.py, as a module."""
    return ran("cost").script


def test_a_case_has_the_operations_of_its_batch(example):
    case = example.Case("tiny", 32, 3)
    batch = case.batch(np.random.default_rng(0))
    assert (batch["labels"] != -100).sum(1).tolist() == [5, 5, 5] and (batch["labels"][:, 0] == -100).all()
    model = BertForPreTraining(case.config, rng=np.random.default_rng(0))
    steps = trace(model, batch, backward=True).steps
    assert case.operations == cost.TRAINING * sum(step.operations for step in steps)
    assert case.step_of(9) == pytest.approx(3 * case.operations)


def test_a_case_is_predicted_from_what_was_measured_before(example):
    cases = example.cases_of(["tiny", "small"], 4096)
    assert [(case.size, case.T, case.B) for case in cases] == [
        ("tiny", 128, 32), ("tiny", 512, 8), ("small", 128, 8), ("small", 512, 2)]
    tiny, small = cases[0], cases[2]
    assert example.references(cases) == [None, tiny, tiny, small]


def test_the_papers_epochs(example):
    """A million steps of 256 texts of 512 tokens are the paper's 128,000 tokens a step and its 40 epochs."""
    assert example.BATCH * 512 == pytest.approx(128_000, rel=0.03)
    assert round(example.tokens_read({512: 1.0}) / example.WORDS) == 40
    assert example.tokens_read(example.SHARES) == 1e6 * 256 * (0.9 * 128 + 0.1 * 512)


def test_pretraining_is_a_million_steps(example):
    """With texts as many as in the paper: so often the time of the gradient and of the optimiser."""
    cases = [example.Case("tiny", T, 256) for T in (128, 512)]
    for case, seconds in zip(cases, (2.0, 10.0), strict=True):
        case.gradient, case.update = [seconds, 2 * seconds], [0.5, 1.0]
    assert example.whole(cases, min) == pytest.approx(900_000 * 2.5 + 100_000 * 10.5)
    assert example.whole(cases, max) == pytest.approx(900_000 * 5 + 100_000 * 21)
    cases[0].B, cases[1].B = 64, 64                     # measured on a quarter of the texts
    assert example.whole(cases, min) == pytest.approx(900_000 * 8.5 + 100_000 * 40.5)


def test_human_units(example):
    year = 365.25 * 86400
    for seconds, text in ((2 * year, "2 years"), (36 * 3600, "1.5 days"), (7200, "2 hours"), (90, "1.5 minutes"),
                          (1, "1 s"), (0.25, "250 ms"), (2e-5, "20 µs"), (5e-7, "0.5 µs"), (None, "")):
        assert example.human(seconds) == text
    assert example.rate(2.5e11) == "250 G/s" and example.rate(6.49e13) == "64.9 T/s"


def test_script(tmp_path):
    done = run("cost", tmp_path, "--sizes", "tiny,tiny")                            # each size is measured once
    short, long = done.results["cases"]
    assert (short["size"], short["T"], short["B"], long["T"], long["B"]) == ("tiny", 128, 4, 512, 1)
    assert short["predicted_seconds"] is None
    assert long["predicted_seconds"] == pytest.approx(
        min(short["gradient_seconds"]) * long["operations"] / short["operations"])
    low, high = done.results["pretraining"]["tiny"]["seconds"]
    assert 0 < low <= high and f"{done.results['base_operations']:.1e}" == "2.2e+19"
    assert "BERT-base takes" not in done.said                                       # the takeaway, with --quick none
    for name in ("steps.svg", "pretraining.svg"):
        assert (tmp_path / "runs/cost" / name).read_text().startswith("<svg")


@pytest.mark.parametrize("arguments, message", [
    (("--sizes", "tiny,huge"), "got 'huge'"), (("--sizes", ""), "got ''"), (("--rounds", "0"), "at least 1, got 0"),
    (("--tokens", "100"), "at least 512, got 100")])
def test_mistakes_are_one_line(arguments, message, tmp_path):
    with pytest.raises(SystemExit, match=message):
        run("cost", tmp_path, *arguments)
