"""An experiment: every seed starts from the same body, the best by development is kept, test figures are reported."""
import argparse
import json

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


def experiment(made, figures, *arguments, kept=None, **settings):
    """Runs whose evaluations give `figures` one after another; and the models that were evaluated."""
    parser = argparse.ArgumentParser()
    add_options(parser, epochs=2, batch_size=2, lr=1e-3, seeds=3)
    script, seen = iter(figures), []

    def evaluate(model):
        seen.append((model, [p.data.copy() for p in model.parameters()]))
        return {"accuracy": next(script)}
    task = Task(BertForSequenceClassification, {"num_labels": 2},
                Shuffled(encode(ROWS, made[1], 40), 2, collate(made[1])), evaluate, {"accuracy": 0.5}, **settings)
    with Workers(1) as workers:
        return run(task, made[0], FineTuning.of(parser.parse_args(arguments)), workers, say=None, kept=kept), seen


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
                                (["--freeze-body"], {}),
                                ([], {"class_weights": np.array([5.0, 1.0])})):
        _, other = experiment(made, [0.5] * 6, *arguments, **settings)
        assert any((a != b).any() for a, b in zip(plain[0][1], other[0][1], strict=True)), (arguments, settings)
    assert len(experiment(made, [0.5] * 4, "--patience", "1", "--seeds", "1", "--epochs", "4")[1]) == 2


def test_what_is_kept(made, tmp_path):
    """The best model of all seeds, and every epoch's figures."""
    with RunFolder(tmp_path / "out") as folder:
        runs, seen = experiment(made, [0.6, 0.5, 0.2, 0.9, 0.7, 0.8], kept=Kept(folder, made[1]))
    records = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    assert records == runs.records and len(records) == 6
    back = BertForSequenceClassification.from_pretrained(tmp_path / "out", strict=True)
    assert all(np.array_equal(a.data, b) for a, b in zip(back.parameters(), seen[3][1], strict=True))
