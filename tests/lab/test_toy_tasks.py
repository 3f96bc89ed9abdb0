"""The four toy tasks: splits that share nothing, and a Task that a small model can be fine-tuned on."""
import pytest

from numbert.lab.bodies import Recipe, pretrained_body
from numbert.lab.laboratory import SETTINGS
from numbert.lab.toy_tasks import SOURCES, draw, toy_task
from numbert.tokenizers.wordpiece import WordPieceTokenizer
from numbert.training.experiment import FineTuning, run
from numbert.training.parallel import Workers


@pytest.mark.parametrize("name", SOURCES)
def test_splits_share_nothing_and_are_the_same_again(name):
    parts = draw(name, (60, 30, 50))
    assert [len(part) for part in parts] == [60, 30, 50]
    keys = [SOURCES[name][1](one) for part in parts for one in part]
    assert len(set(keys)) == 140
    assert parts == draw(name, (60, 30, 50)) != draw(name, (60, 30, 50), seed=6)


@pytest.mark.parametrize("name", SOURCES)
def test_each_can_be_fine_tuned(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Workers(1) as workers:
        folder = pretrained_body(Recipe(steps=2, batch_size=4, width=32, layers=1), workers)
        chosen = FineTuning(**SETTINGS | {"epochs": 1, "seeds": 2})
        task = toy_task(name, draw(name, (24, 12, 24)), WordPieceTokenizer.from_pretrained(folder), chosen, workers)
        seeds = run(task, folder, chosen, workers, say=None).seeds
    assert len(seeds.figures) == 2 and seeds.deciding == ("f1" if name == "answer" else "accuracy")
    assert seeds.figures[0].keys() >= {seeds.deciding} and seeds.baseline.keys() == seeds.figures[0].keys()


def test_more_than_there_are(monkeypatch):
    monkeypatch.setitem(SOURCES, "few", (lambda n, rng, language: rng.integers(7, size=n).tolist(), lambda one: one))
    assert sorted(sum(draw("few", (5, 1, 1)), [])) == list(range(7))
    with pytest.raises(ValueError, match="few: there are hardly more than 7 different examples, and 8 were asked for"):
        draw("few", (5, 1, 2))
