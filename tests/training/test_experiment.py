"""An experiment: every seed starts from the same body, the best by development is kept, test figures are reported."""
import argparse
import dataclasses
import json
import re

import numpy as np
import pytest
import tiny_run

from numbert import BertForSequenceClassification
from numbert.tasks.classification import collate, encode
from numbert.training.experiment import FineTuning, Task, add_options, run
from numbert.training.finetuning import Shuffled
from numbert.training.kept import Kept
from numbert.training.parallel import Workers
from numbert.training.run_folder import RunFolder

ROWS = [("good film", None, 1), ("a bad day", None, 0), ("the day was good .", None, 1), ("not it", None, 0)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return tiny_run.write(tmp_path_factory.mktemp("run"))


def experiment(made, figures, *arguments, kept=None, say=None, **settings):
    """Runs whose evaluations give `figures` one after another; and the models that were evaluated."""
    parser = argparse.ArgumentParser()
    add_options(parser, epochs=2, batch_size=2, lr=1e-3, seeds=3)
    script, seen = iter([one if isinstance(one, dict) else {"accuracy": one} for one in figures]), []

    def evaluate(model):
        seen.append((model, [p.data.copy() for p in model.parameters()]))
        return next(script)
    task = Task(BertForSequenceClassification, {"num_labels": 2},
                Shuffled(encode(ROWS, made[1], 40), 2, collate(made[1])), evaluate, {"accuracy": 0.5}, **settings)
    with Workers(1) as workers:
        return run(task, made[0], FineTuning.of(parser.parse_args(arguments)), workers, say=say, kept=kept), seen


def test_the_best_seed_by_development_is_kept_and_all_are_reported(made):
    runs, seen = experiment(made, [0.6, 0.5, 0.2, 0.9, 0.7, 0.8])
    assert runs.model is seen[2][0] is seen[3][0] and len({id(model) for model, _ in seen}) == 3
    for array, kept in zip((p.data for p in runs.model.parameters()), seen[3][1], strict=True):
        assert np.array_equal(array, kept)
    assert [figures["accuracy"] for figures in runs.seeds.figures] == [0.6, 0.9, 0.8]
    assert [(r["seed"], r["epoch"], r["accuracy"]) for r in runs.records] == [
        (0, 1, 0.6), (0, 2, 0.5), (1, 1, 0.2), (1, 2, 0.9), (2, 1, 0.7), (2, 2, 0.8)]


@pytest.mark.parametrize("seeds", ["0", "-1"])
def test_no_seeds(made, seeds):
    with pytest.raises(ValueError, match=f"^seeds must be at least 1, got {seeds}$"):
        experiment(made, [], "--seeds", seeds)


def test_test_figures_are_those_of_the_best_epoch(made):
    tested = []

    def test(model):
        tested.append([p.data.copy() for p in model.parameters()])
        return {"accuracy": 0.1 * len(tested)}
    runs, seen = experiment(made, [0.6, 0.5, 0.2, 0.9, 0.7, 0.8], test=test)
    assert [figures["accuracy"] for figures in runs.seeds.figures] == pytest.approx([0.1, 0.2, 0.3])
    for arrays, epoch in zip(tested, (0, 3, 5), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(arrays, seen[epoch][1], strict=True))


def test_options_reach_the_training(made):
    _, plain = experiment(made, [0.5] * 6)
    model = plain[0][0]
    assert model.config.hidden_dropout_prob == model.config.attention_probs_dropout_prob == 0.1
    for arguments, settings in ((["--dropout", "0"], {}), (["--lr", "1e-2"], {}), (["--layer-decay", "0.5"], {}),
                                (["--freeze-body"], {}), (["--warmup", "0.9"], {}), (["--weight-decay", "0.9"], {}),
                                (["--label-smoothing", "0.2"], {}), (["--gradient-accumulation", "2"], {}),
                                (["--seed", "1"], {}), (["--max-steps", "1"], {}), (["--eval-steps", "1"], {}),
                                ([], {"class_weights": np.array([5.0, 1.0])})):
        _, other = experiment(made, [0.5] * 12, *arguments, **settings)
        assert any((a != b).any() for a, b in zip(plain[0][1], other[0][1], strict=True)), (arguments, settings)
    for option in ("--patience", "--early-stopping"):
        assert len(experiment(made, [0.5] * 4, option, "1", "--seeds", "1", "--epochs", "4")[1]) == 2


def test_every_setting_has_an_option_of_its_name_and_its_range():
    parser = argparse.ArgumentParser()
    add_options(parser)
    assert FineTuning.of(parser.parse_args([])) == FineTuning()
    for one in dataclasses.fields(FineTuning):
        option = f"--{one.name.replace('_', '-')}"
        if one.metadata["must_be"] is None:
            assert getattr(FineTuning.of(parser.parse_args([option])), one.name) is True
            continue
        assert getattr(FineTuning.of(parser.parse_args([option, "1" if one.default is None else str(one.default)])),
                       one.name) == (1 if one.default is None else one.default)
        for value in ("-1", "nan") if isinstance(one.default, float) else ("-1",):
            with pytest.raises(ValueError, match=f"^{one.name} must be {re.escape(one.metadata['must_be'])}, got "):
                FineTuning.of(parser.parse_args([f"{option}={value}"]))
    with pytest.raises(TypeError, match="no settings of a fine-tuning: lr_decay"):
        add_options(argparse.ArgumentParser(), lr_decay=0.5)


@pytest.mark.parametrize("rates", [[1e-3, 1e-3], []])
def test_rates_that_are_no_search(rates):
    with pytest.raises(ValueError, match="lr must be different rates, got"):
        FineTuning(lr=rates)


def test_the_first_seed(made):
    runs, _ = experiment(made, [0.5] * 4, "--seeds", "2", "--seed", "7")
    assert [record["seed"] for record in runs.records] == [7, 7, 8, 8]


# ---- several learning rates ----


def test_the_best_rate_by_development_is_taken_and_all_are_reported(made):
    """By the mean of the seeds' best evaluations: 0.5 and 0.7 against 0.8 and 0.1. The model is the best of all."""
    reported = iter([0.1, 0.2, 0.3, 0.4])
    runs, seen = experiment(made, [0.5, 0.4, 0.6, 0.7, 0.8, 0.1, 0.0, 0.1], "--lr", "1e-3", "3e-3", "--seeds", "2",
                            test=lambda model: {"accuracy": next(reported)})
    assert runs.lr == 1e-3 and [figures["accuracy"] for figures in runs.seeds.figures] == [0.1, 0.2]
    assert runs.model is seen[4][0]
    assert [(r["lr"], r["seed"], r["epoch"]) for r in runs.records] == [
        (lr, seed, epoch) for lr in (1e-3, 3e-3) for seed in (0, 1) for epoch in (1, 2)]
    assert [" ".join(line.split()) for line in runs.table().splitlines()] == [
        "mean ± standard deviation accuracy",
        "lr 0.001, seed 0 0.100 1 of 1 collapsed to the majority",
        "lr 0.001, seed 1 0.200 1 of 1 collapsed to the majority",
        "lr 0.001 0.150 ± 0.071 2 of 2 collapsed to the majority",
        "lr 0.003, seed 0 0.300 1 of 1 collapsed to the majority",
        "lr 0.003, seed 1 0.400 1 of 1 collapsed to the majority",
        "lr 0.003 0.350 ± 0.071 2 of 2 collapsed to the majority",
        "majority 0.500", "", "The best learning rate on the development examples: 0.001."]


def test_a_rate_in_a_search_is_what_it_is_alone(made):
    """Bit for bit, as if nothing else had been run."""
    _, both = experiment(made, [0.5, 0.6] * 2, "--lr", "1e-3", "3e-3", "--seeds", "1")
    for number, lr in enumerate(("1e-3", "3e-3")):
        _, alone = experiment(made, [0.5, 0.6], "--lr", lr, "--seeds", "1")
        for a, b in zip(alone, both[2 * number:], strict=False):
            assert all(np.array_equal(x, y) for x, y in zip(a[1], b[1], strict=True))


def test_one_rate_and_seed_are_one_row(made):
    runs, _ = experiment(made, [0.6, 0.5], "--seeds", "1")
    assert [line.split()[0] for line in runs.table().splitlines()[1:]] == ["fine-tuned", "majority"]


def test_where_figures_tie_the_next_decides(made):
    """As with a reader that has collapsed to "no answer": its first figure is always the same, span_f1 is not."""
    runs, seen = experiment(made, [{"accuracy": 0.5, "span_f1": x} for x in (3.0, 9.0, 5.0, 1.0)], "--seeds", "1",
                            "--lr", "1e-3", "3e-3")
    assert runs.lr == 1e-3 and runs.model is seen[1][0]
    assert runs.seeds.figures == [{"accuracy": 0.5, "span_f1": 9.0}]


# ---- a dry run ----


def test_a_dry_run_tells_and_stops(made, tmp_path):
    """Four examples of 3 to 6 pieces, [CLS] and [SEP] with them, are two steps an epoch."""
    said = []
    with RunFolder(tmp_path / "out") as folder, pytest.raises(SystemExit) as ended:
        experiment(made, [0.5], "--dry-run", "--eval-steps", "3", "--lr", "1e-3", "2e-3", kept=Kept(folder, made[1]),
                   say=said.append)
    assert not ended.value.code and list((tmp_path / "out").iterdir()) == []
    lines = dict(line.split(": ", 1) for line in said[-1].splitlines()[1:])
    assert lines["runs"] == "6 (lr 0.001 0.002; 3 seeds)"
    assert re.fullmatch(r"4 a run, 2 an epoch of \d+ tokens; evaluations: 2 a run", lines["steps"])
    assert re.fullmatch(r"BertForSequenceClassification, ([\d,]+) parameters, of which \1 are trained", lines["model"])
    assert re.fullmatch(r"0:0\d in all, 0:00 a run \(\d.* s a step, [\d,]+ tokens/s, \d.* s an evaluation\)",
                        lines["time"])
    assert re.fullmatch(r"about [\d,]+ MB", lines["memory"])


def test_what_is_kept(made, tmp_path):
    """The best model of all seeds, and every epoch's figures."""
    with RunFolder(tmp_path / "out") as folder:
        runs, seen = experiment(made, [0.6, 0.5, 0.2, 0.9, 0.7, 0.8], kept=Kept(folder, made[1]))
    records = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    assert records == runs.records and len(records) == 6
    back = BertForSequenceClassification.from_pretrained(tmp_path / "out", strict=True)
    assert all(np.array_equal(a.data, b) for a, b in zip(back.parameters(), seen[3][1], strict=True))
