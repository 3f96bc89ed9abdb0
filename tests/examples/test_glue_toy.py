"""examples/lecture/04_glue_toy.py: nine scores, their average as GLUE takes it, the control set, and results.json."""
import math
import re

import numpy as np
import pytest
from example_scripts import ran, run

from numbert.tasks.glue import data as glue_data
from numbert.training.seeds import Seeds

FIGURES = {"CoLA": {"matthews_correlation": 0.6}, "SST-2": {"accuracy": 0.9}, "MRPC": {"f1": 0.8, "accuracy": 0.7},
           "STS-B": {"pearson": 0.5, "spearman": 0.3}, "QQP": {"f1": 0.6, "accuracy": 0.8},
           "MNLI": {"accuracy": 0.5, "accuracy (dev_mismatched)": 0.4}, "QNLI": {"accuracy": 0.7},
           "RTE": {"accuracy": 0.95, "accuracy (control)": 0.5}, "WNLI": {"accuracy": 0.55}}
SCORES = {"CoLA": 0.6, "SST-2": 0.9, "MRPC": 0.75, "STS-B": 0.4, "QQP": 0.7, "MNLI": 0.45, "QNLI": 0.7, "RTE": 0.95,
          "WNLI": 0.55}


@pytest.fixture(scope="module")
def glue_toy():
    return ran("glue_toy").script


def test_scores_and_average(glue_toy):
    """The control set and the number of measures of a task change nothing in the average."""
    seeds = {name: Seeds([figures, figures], figures) for name, figures in FIGURES.items()}
    for name, one in seeds.items():
        assert glue_toy.score(name, one).mean() == pytest.approx(SCORES[name])
    average = glue_toy.overall([seeds[name] for name in glue_data.TASKS])
    assert average.mean() == pytest.approx(sum(SCORES.values()) / 9) and len(average.figures) == 2
    assert average.baseline["average"] == pytest.approx(sum(SCORES.values()) / 9)


def test_each_seed_has_an_average_of_its_own(glue_toy):
    def shifted(by):
        return {name: {measure: value + by for measure, value in figures.items()} for name, figures in FIGURES.items()}
    both = [Seeds([FIGURES[name], shifted(0.01)[name]], FIGURES[name]) for name in glue_data.TASKS]
    average = glue_toy.overall(both)
    assert average.figures[1]["average"] - average.figures[0]["average"] == pytest.approx(0.01)


def test_no_correlation_counts_as_none(glue_toy):
    assert glue_toy.measured("STS-B", {"pearson": math.nan, "spearman": math.nan}) == {
        "STS-B": {"pearson": 0.0, "spearman": 0.0}}


def test_fallen_compares_control_with_development(glue_toy):
    control, development = glue_toy.fallen(Seeds([FIGURES["RTE"]] * 2, FIGURES["RTE"]))
    assert (control.mean(), development.mean()) == (0.5, 0.95) and control.deciding == development.deciding


def test_quick():
    said, content = ran("glue_toy").said, ran("glue_toy").results
    said = said[said.index("mean of the seeds"):]
    assert list(content["runs"]) == list(glue_data.TASKS)
    for name, both in content["runs"].items():
        shown = re.search(rf"^{name} +(.*)", said, re.M)[1].split()
        wanted = [value for one in (both["pre-trained"]["baseline"], *(both[start]["runs"][0] for start in both))
                  for measure, value in one.items() if "control" not in measure]
        wanted = np.array(wanted, float)                                # None, no correlation, is printed as nan
        np.testing.assert_allclose([float(x) for x in shown], wanted, atol=5e-4)
    for start, one in content["average"].items():
        assert re.search(rf"^{start} +{one['mean']:.3f}", said, re.M)
        assert one["mean"] == pytest.approx(np.mean([both[start]["mean"] for both in content["scores"].values()]))
    for name, one in content["shortcut"].items():
        figures = one["runs"][0]
        assert re.search(rf"^{name} +{figures['accuracy']:.3f} +{figures['accuracy (control)']:.3f}", said, re.M)
    assert "Try next" in said and "significant" not in said
    folder = ran("glue_toy").folder / "runs/glue_toy"
    assert (folder / "scores.svg").read_text().startswith("<svg") and (folder / "glue/RTE/control.tsv").exists()


def test_the_instance_is_the_first_line_of_the_training_file():
    before = ran("glue_toy").before_training
    assert re.findall(r"^(\S+) +.+ -> ", before, re.M) == list(glue_data.TASKS)
    first = (ran("glue_toy").folder / "runs/glue_toy/glue/RTE/train.tsv").read_text().splitlines()[1].split("\t")
    assert f"RTE    {first[1]} | {first[2]}  -> {first[3]}\n" in before
    shares = dict(re.findall(r"(\w+) (0\.\d{3})", re.search("^the model says (.*)$", before, re.M)[1]))
    loss = float(re.search(r"^-ln p\(label\) +(.*)$", before, re.M)[1])
    assert sum(map(float, shares.values())) == pytest.approx(1, abs=2e-3)
    assert loss == pytest.approx(-math.log(float(shares[first[3]])), abs=2e-3)


def test_errors_are_one_line(tmp_path):
    with pytest.raises(SystemExit) as error:
        run("glue_toy", tmp_path, "--workers", "1", "--training", "0")
    assert str(error.value.code) == "glue_toy.py: --training must be at least 1, got 0"
