"""The GLUE command line: every task from files to figures and submissions; other layouts; errors of one line."""
import json
import re

import numpy as np
import pytest
import tiny_run

from numbert import BertForSequenceClassification
from numbert.tasks.classification import encode
from numbert.tasks.glue import __main__ as glue
from numbert.tasks.glue.data import TASKS
from numbert.training.experiment import FineTuning

OPTIONS = ["--epochs", "1", "--batch-size", "8", "--workers", "1", "--max-length", "24"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return tiny_run.write(tmp_path_factory.mktemp("run"))


def words(rng, count=5):
    return " ".join(rng.choice(["film", "day", "was", "a", "the"], count))


def rows(name, count, rng):
    """(texts, label word): a text with "good" in it has the last label, one with "bad" the first."""
    task, labels = TASKS[name], TASKS[name].labels
    for _ in range(count):
        number = int(rng.integers(len(labels) or 6))
        mark = f"good {number}" if not labels else {0: "bad", len(labels) - 1: "good"}.get(number, "not")
        texts = [f"{words(rng)} {mark}", words(rng)][:sum(role.startswith("sentence") for role in task.columns)]
        yield texts, labels[number] if labels else f"{number}.0"


def write_task(folder, name, train=24, dev=12, seed=0):
    """The task's files in GLUE's own layout, all splits."""
    task, rng = TASKS[name], np.random.default_rng(seed)
    folder.mkdir()
    for split, file in task.files.items():
        lines = []
        if split in task.submissions:
            header = task.test_headers[0]
            lines.append("\t".join(header))
            for index, (texts, _) in enumerate(rows(name, 7, rng)):
                cells = dict(zip([task.columns[r] for r in task.columns if r != "label"], texts, strict=True))
                lines.append("\t".join([str(index), *(cells.get(column, "x") for column in header[1:])]))
        elif task.no_header:
            lines += [f"src\t{label}\t\t{texts[0]}" for texts, label in rows(name, train, rng)]
        else:
            lines.append("\t".join(task.columns.values()))
            lines += ["\t".join([*texts, label]) for texts, label in
                      rows(name, train if split == "train" else dev, rng)]
        (folder / file).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(folder)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_from_files_to_submissions(made, tmp_path, capsys, name):
    data, out = write_task(tmp_path / "data", name), tmp_path / "out"
    given = name.replace("-", "").lower()
    glue.main(["--task", given, "--data", data, "--model", made[0], "--out", str(out), *OPTIONS])
    said = capsys.readouterr().out
    measures = list(TASKS[name].measures)
    if name == "MNLI":
        measures += [f"{measure} (dev_mismatched)" for measure in measures]
    assert re.search("^ +" + " +".join(map(re.escape, measures)) + "$", said, re.M)
    assert len(re.findall(r"^(?:fine-tuned|majority) ", said, re.M)) == 2
    record = json.loads((out / "metrics.jsonl").read_text().splitlines()[0])
    assert set(measures) <= record.keys() and record["seed"] == 0 and record["epoch"] == 1
    for split, file in TASKS[name].submissions.items():
        lines = (out / file).read_text().splitlines()
        assert len(lines) == 8 and lines[0] == "index\tprediction" and f"predictions for {split}: {out}/{file}" in said
        for line in lines[1:]:
            answer = line.split("\t")[1]
            assert answer in TASKS[name].labels if TASKS[name].labels else 0 <= float(answer) <= 5
    model = BertForSequenceClassification.from_pretrained(out, strict=True)
    assert model.config.num_labels == max(1, len(TASKS[name].labels))
    assert not any(name.isdigit() for name in (model.config.id2label or {}).values())


def test_it_learns_and_hands_in_what_it_learnt(made, tmp_path, capsys):
    data, out = write_task(tmp_path / "data", "SST-2", train=120, dev=60), tmp_path / "out"
    glue.main(["--task", "sst2", "--data", data, "--model", made[0], "--out", str(out), *OPTIONS, "--epochs", "8",
               "--lr", "3e-3", "--patience", "4", "--seeds", "2", "--class-weights", "--layer-decay", "0.9",
               "--dropout", "0"])
    said = capsys.readouterr().out
    score, majority = (float(re.search(rf"^{name} +([\d.]+)", said, re.M)[1]) for name in ("fine-tuned", "majority"))
    assert majority < 0.7 and score > 0.9 and "±" in said
    texts = (tmp_path / "data" / "test.tsv").read_text().splitlines()[1:]
    answers = (out / "SST-2.tsv").read_text().splitlines()[1:]
    assert sum(("good" in text) == (answer[-1] == "1") for text, answer in zip(texts, answers, strict=True)) >= 6


def test_a_collapsed_run_is_called_so(made, tmp_path, capsys):
    """The texts tell nothing of their labels, nine tenths of which are the same."""
    folder = tmp_path / "data"
    folder.mkdir()
    for split in ("train", "dev"):
        lines = ["sentence\tlabel", *(f"a film {'.' * (i % 3)}\t{int(i % 10 > 0)}" for i in range(40))]
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n")
    glue.main(["--task", "SST-2", "--data", str(folder), "--model", made[0], "--out", str(tmp_path / "out"), *OPTIONS,
               "--epochs", "3", "--lr", "1e-2", "--from-scratch", "--seeds", "2"])
    said = capsys.readouterr().out
    assert re.search(r"^fine-tuned +0\.900 ± 0\.000  2 of 2 collapsed to the majority$", said, re.M)
    assert re.search(r"^majority +0\.900$", said, re.M)


def test_frozen_body(made, tmp_path):
    data, out = write_task(tmp_path / "data", "RTE"), tmp_path / "out"
    glue.main(["--task", "rte", "--data", data, "--model", made[0], "--out", str(out), *OPTIONS, "--freeze-body"])
    before, after = (BertForSequenceClassification.from_pretrained(folder).state_dict() for folder in (made[0], out))
    for name, array in before.items():
        assert np.array_equal(array, after[name]) == (not name.startswith(("classifier", "bert.pooler"))), name


def test_other_names_columns_and_words(made, tmp_path, capsys):
    folder = tmp_path / "data"
    folder.mkdir()
    for split in ("mine", "yours"):
        (folder / f"{split}.tsv").write_text("0\ta film\tit was\n1\ta day\tgood\n1\tbroken\n" * 3)
    arguments = ["--task", "rte", "--data", str(folder), "--model", made[0], "--out", str(tmp_path / "out"), *OPTIONS,
                 "--files", "train=mine.tsv", "dev=yours.tsv", "--columns", "sentence1=1", "sentence2=2", "label=0",
                 "--no-header", "--labels", "0=entailment", "1=not_entailment"]
    glue.main([*arguments, "--skip-broken"])
    said = capsys.readouterr().out
    assert f"{folder}/mine.tsv: 6 examples, 3 rows left out, the first: {folder}/mine.tsv: line 3: 2 columns" in said
    with pytest.raises(SystemExit, match=r"^glue: .*mine\.tsv: line 3: 2 columns, expected 3 \(--skip-broken leaves"):
        glue.main([*arguments, "--out", str(tmp_path / "new")])


def test_a_test_file_has_the_same_columns_but_no_label(made, tmp_path):
    folder, out = tmp_path / "data", tmp_path / "out"
    folder.mkdir()
    for split in ("train", "dev"):
        (folder / f"{split}.tsv").write_text("label\ttext\n" + "0\ta film\n1\tgood\n" * 4)
    (folder / "test.tsv").write_text("text\nit was\ngood day\n")
    glue.main(["--task", "sst2", "--data", str(folder), "--model", made[0], "--out", str(out), *OPTIONS,
               "--columns", "sentence=text", "label=label"])
    assert [line.split("\t")[0] for line in (out / "SST-2.tsv").read_text().splitlines()] == ["index", "0", "1"]


def test_labels_are_saved_by_their_names_and_taken_by_them(made, tmp_path):
    """What an older run saved, by their numbers, is the same head."""
    data, out = write_task(tmp_path / "data", "SST-2"), tmp_path / "out"
    arguments = ["--task", "sst2", "--data", data, *OPTIONS]
    glue.main([*arguments, "--model", made[0], "--out", str(out), "--labels", "0=negative", "1=positive"])
    settings = json.loads((out / "config.json").read_text())
    assert settings["id2label"] == {"0": "negative", "1": "positive"}
    for number in "01":
        settings["id2label"][number] = number
    (out / "config.json").write_text(json.dumps(settings))
    glue.main([*arguments, "--model", str(out), "--out", str(tmp_path / "again"), "--keep-head"])
    again = json.loads((tmp_path / "again" / "config.json").read_text())
    assert again["id2label"] == {"0": "negative", "1": "positive"}


def test_class_weights(made):
    examples = dict.fromkeys(("train", "dev"), encode([("a", None, label) for label in (0, 1, 1, 1)], made[1], 24))
    for given, expected in ((True, [2.0, 2 / 3]), (False, None)):
        task = glue.task_of("RTE", examples, made[1], FineTuning(), None, class_weights=given)
        assert (task.class_weights if expected is None else task.class_weights.tolist()) == pytest.approx(expected)


@pytest.mark.parametrize("change,message", [
    ({"--task": "snli"}, "glue: --task must be one of CoLA, .*, got 'snli'"),
    ({"--data": "nowhere"}, r"glue: .*nowhere/train\.tsv"),
    ({"--model": "nowhere"}, "glue: .*nowhere"),
    ({"--files": "training=x.tsv"}, "glue: --files takes one of train, dev, test, = and a name, got 'training=x.tsv'"),
    ({"--files": "train=test.tsv"}, r"glue: .*test\.tsv: no labels in it"),
    ({"--columns": "sentence1"}, "glue: --columns takes NAME=VALUE, got 'sentence1'"),
    ({"--columns": "text=0"}, "glue: columns of RTE are sentence1, sentence2, label, index; not among them: text"),
    ({"--labels": "yes=entails"}, r"glue: --labels must map words to class ids 0\.\.1, got 'entails'"),
    ({"--files": "dev=test.tsv"}, r"glue: .*test\.tsv: no labels in it \(a column for them: --columns\)"),
    ({"--task": "stsb", "--label-smoothing": "0.1"}, "glue: --class-weights and --label-smoothing are for classes"),
    ({"--epochs": "0"}, "glue: --epochs must be at least 1, got 0"),
    ({"--layer-decay": "2"}, r"glue: --layer-decay must be in \(0, 1\], got 2\.0"),
    ({"--dropout": "1"}, "glue: --dropout must be below 1, got 1.0"),
    ({"--batch-size": "0"}, "glue: --batch-size must be at least 1, got 0"),
    ({"--max-length": "2"}, "glue: .*2"),
    ({"--max-length": "41", "--long": ""}, "glue: --max-length = 41, but the model has only 40 positions"),
    pytest.param({"--lr": "1e30"}, r"glue: step \d: loss", marks=pytest.mark.filterwarnings("ignore::RuntimeWarning")),
])
def test_errors_are_one_line(made, tmp_path, change, message):
    data = write_task(tmp_path / "data", "RTE")
    if "--long" in change:
        path = tmp_path / "data" / "train.tsv"
        path.write_text(path.read_text().replace("film", "film " * 50))
    change = {name: value for name, value in change.items() if name != "--long"}
    options = {"--task": "rte", "--data": data, "--model": made[0], "--out": str(tmp_path / "out")}
    arguments = [*OPTIONS, *(part for pair in (options | change).items() for part in pair)]
    with pytest.raises(SystemExit) as error:
        glue.main(arguments)
    assert re.match(message, str(error.value.code)), error.value.code
    assert "\n" not in str(error.value.code)
