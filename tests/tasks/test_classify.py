"""The command for a user's own spreadsheet: from a file to a model, its report and card, and back to its figures."""
import csv
import json
import re
import shlex

import numpy as np
import pytest
import tiny_run

from numbert import AutoModelForSequenceClassification, AutoTokenizer
from numbert.tasks import classify
from numbert.tasks.card import MARK
from numbert.tasks.classification import classify as probabilities
from numbert.tasks.glue import __main__ as glue

OPTIONS = ["--batch-size", "8", "--workers", "1", "--max-length", "24", "--dropout", "0"]
LEARN = [*OPTIONS, "--epochs", "6", "--lr", "5e-3"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return tiny_run.write(tmp_path_factory.mktemp("run"))[0]


def rows(count, seed=0):
    """(text, label): three labels, the word that decides is in the text."""
    rng = np.random.default_rng(seed)
    for word in rng.choice(["good", "bad", "not"], count):
        text = [*rng.choice(["film", "day", "was", "the"], 4), word]
        rng.shuffle(text)
        yield " ".join(text), {"good": "praise", "bad": "blame, harsh", "not": "neither"}[word]


def write(path, rows, header=("text", "label")):
    with open(path, "w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows([*([header] if header else []), *rows])
    return str(path)


@pytest.fixture(scope="module")
def learnt(made, tmp_path_factory):
    """(folder of a fine-tuned model, what was printed, the folder of the files)"""
    folder = tmp_path_factory.mktemp("learnt")
    write(folder / "my.csv", rows(80))
    write(folder / "dev.csv", rows(40, 1))
    out, said = folder / "out", []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", lambda *text, sep=" ", **_: said.append(sep.join(map(str, text))))
        classify.main(["--train", f"{folder}/my.csv", "--dev", f"{folder}/dev.csv", "--model", made, "--out", str(out),
                       *LEARN])
    return out, "\n".join(said), folder


def table_row(text, name):
    return [float(cell) for cell in re.search(rf"^{re.escape(name)} +((?:[\d.]+ *)+)$", text, re.M)[1].split()]


def test_it_learns_and_says_what(learnt):
    out, said, folder = learnt
    assert f"{folder}/my.csv: 80 rows; columns: text = 'text', label = 'label'" in said
    assert "3 labels: blame, harsh, neither, praise" in said
    assert table_row(said, "fine-tuned")[0] > 0.9 > 0.6 > table_row(said, "majority")[0]
    names = ("blame, harsh", "neither", "praise")
    config = json.loads((out / "config.json").read_text())
    assert config["id2label"] == {str(i): name for i, name in enumerate(names)}
    with open(out / "dev.predictions.tsv", encoding="utf-8") as file:
        found = [line.rstrip("\n").split("\t") for line in file]
    assert found[0] == ["text", "gold", "predicted", "probability"]
    assert [tuple(row[:2]) for row in found[1:]] == list(rows(40, 1))
    right = sum(gold == predicted for _, gold, predicted, _ in found[1:])
    assert table_row(said, "fine-tuned")[0] == pytest.approx(right / 40, abs=1e-3)
    for name in names:
        precision, recall, f1, count = table_row(said, name)
        assert count == sum(row[1] == name for row in found[1:])
        hits = sum(row[1] == row[2] == name for row in found[1:])
        assert recall == pytest.approx(hits / count, abs=1e-3)
        assert precision == pytest.approx(hits / sum(row[2] == name for row in found[1:]), abs=1e-3)
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(out), AutoTokenizer.from_pretrained(out)
    for text, _, predicted, probability in found[1:4]:
        likeliest = next(iter(probabilities(model, tokenizer, text).items()))
        assert likeliest == (predicted, pytest.approx(float(probability), abs=2e-4))
    assert (out / "dev.confusion.svg").read_text().count("<title>") == 9


def test_the_card_says_how_it_was_made(learnt, tmp_path, monkeypatch, capsys):
    """The command on it makes the same model, and its figures are those of the report."""
    out, _, folder = learnt
    text, results = (out / "README.md").read_text(), json.loads((out / "results.json").read_text())
    assert MARK in text and "# " in text and "my.csv" in text
    assert "- train: 80 examples (" in text and "- dev: 40 examples (" in text and "| `lr` | 0.005 |" in text
    given = re.search(r"## Command\n\n```\n(.+)\n```", text)[1]
    assert given == results["command"] and "--out" not in given and "--workers" not in given
    words = shlex.split(given)
    assert words[:3] == ["python", "-m", "numbert.tasks.classify"]
    classify.main([*words[3:], "--out", str(tmp_path / "again"), "--workers", "1"])
    for name in ("model.safetensors", "README.md", "results.json", "dev.predictions.tsv", "dev.confusion.svg"):
        assert (tmp_path / "again" / name).read_bytes() == (out / name).read_bytes(), name
    accuracy = results["figures"]["dev"]["accuracy"]
    assert f"accuracy {accuracy:.4f}" in text and f"value: {accuracy:.6f}" in text
    assert results["settings"]["max_length"] == 24 and len(results["scores"]["dev"]) == 4
    assert results["scores"]["dev"][0].keys() == {"name", "precision", "recall", "f1", "support"}


def test_the_code_on_the_card_runs(learnt, capsys):
    out, _, _ = learnt
    code = re.search(r"## Use\n\n```python\n(.+?)\n```", (out / "README.md").read_text(), re.S)[1]
    exec(code, {"FOLDER": str(out)})
    assert capsys.readouterr().out.startswith("{")


def test_the_head_of_the_card_is_yaml(learnt):
    yaml = pytest.importorskip("yaml")
    head = yaml.safe_load((learnt[0] / "README.md").read_text().split("---\n")[1])
    assert head["pipeline_tag"] == "text-classification" and "numbert" in head["tags"]
    [result] = head["model-index"][0]["results"]
    assert [metric["name"] for metric in result["metrics"]] == ["accuracy", "macro_f1"]


def test_evaluated_again(learnt, tmp_path, capsys):
    out, said, folder = learnt
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    given = ["--evaluate", str(out), "--workers", "1"]
    classify.main([*given, "--dev", f"{folder}/dev.csv", "--out", str(tmp_path / "ev")])
    again = capsys.readouterr().out
    report = said[said.index("dev, 40 predictions"):said.index("predictions for dev")]
    assert report in again
    for name in ("dev.predictions.tsv", "dev.confusion.svg"):
        assert (tmp_path / "ev" / name).read_bytes() == before[name]
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    other = write(tmp_path / "a.csv", [("praise", "a good film"), ("neither", "not film")], ("label", "review"))
    classify.main([*given, "--test", other])
    assert "test, 2 predictions: accuracy 1.000" in capsys.readouterr().out


def test_texts_without_labels_are_predicted(learnt, tmp_path, capsys):
    out, _, _ = learnt
    path = write(tmp_path / "new.csv", [("a good film",), ("the bad day",)], ("text",))
    classify.main(["--evaluate", str(out), "--dev", path, "--workers", "1"])
    assert re.search(r"  0\.\d+  praise: a good film\n  0\.\d+  blame, harsh: the bad day\n", capsys.readouterr().out)
    classify.main(["--evaluate", str(out), "--dev", path, "--out", str(tmp_path / "ev"), "--workers", "1"])
    lines = (tmp_path / "ev" / "dev.predictions.tsv").read_text().splitlines()
    assert [line.split("\t")[:3] for line in lines[1:]] == [["a good film", "", "praise"],
                                                            ["the bad day", "", "blame, harsh"]]
    assert [path.name for path in (tmp_path / "ev").iterdir()] == ["dev.predictions.tsv"]


def test_a_part_is_split_off_and_the_test_is_reported(made, tmp_path, capsys):
    train = write(tmp_path / "my.csv", [*list(rows(60))[:57], *list(rows(20, 2))[:1], ("the film", "rare")], None)
    test = write(tmp_path / "test.csv", rows(20, 2))
    given = ["--train", train, "--test", test, "--model", made, *OPTIONS, "--epochs", "1", "--no-header"]
    classify.main([*given[:-1], "--out", str(tmp_path / "a"), "--dev-share", "0.2"])
    said = capsys.readouterr().out
    assert re.search(r"without --dev, 1[12] of .*my\.csv's rows are split off to evaluate on, of each label alike, by "
                     r"--split-seed 0; 4[78] are left to learn from", said)
    assert "columns: text = 0, label = 1 (no header, counted from 0)" in said
    assert "texts stand in the training rows, too" in said
    assert "my.csv, test set:" in said and "a little too good" not in said
    assert (tmp_path / "a" / "test.predictions.tsv").exists() and (tmp_path / "a" / "dev.predictions.tsv").exists()
    assert "Of the saved model, test:" in (tmp_path / "a" / "README.md").read_text()
    parts = []
    for out, seed in (("b", "0"), ("c", "0"), ("d", "1")):
        classify.main(["--train", train, "--model", made, *OPTIONS, "--epochs", "1", "--split-seed", seed, "--out",
                       str(tmp_path / out)])
        lines = (tmp_path / out / "dev.predictions.tsv").read_text().splitlines()[1:]
        parts.append([line.split("\t")[:2] for line in lines])
    assert parts[0] == parts[1] != parts[2]


def test_numbers_are_predicted(made, tmp_path, capsys):
    data = [(text, f"{len(label) / 2 - 3:.1f}") for text, label in rows(80)]
    train, dev = (write(tmp_path / f"{name}.csv", some) for name, some in (("a", data[:60]), ("b", data[60:])))
    out = tmp_path / "out"
    classify.main(["--train", train, "--dev", dev, "--model", made, "--regression", "--out", str(out), *LEARN])
    said = capsys.readouterr().out
    assert table_row(said, "fine-tuned")[0] > 0.8 and "The largest errors:" in said
    assert json.loads((out / "config.json").read_text())["problem_type"] == "regression"
    assert "- train: 60 examples, labels from 0 to 3\n" in (out / "README.md").read_text()
    assert not (out / "dev.confusion.svg").exists()
    classify.main(["--evaluate", str(out), "--dev", dev, "--workers", "1"])
    assert "dev, 20 predictions: pearson 0." in capsys.readouterr().out


def test_json_lines_with_two_texts(made, tmp_path, capsys):
    path = tmp_path / "my.jsonl"
    path.write_text("\n".join(json.dumps({"premise": text, "hypothesis": "a film", "label": int(label == "praise")})
                              for text, label in rows(30)))
    classify.main(["--train", str(path), "--model", made, *OPTIONS, "--epochs", "1", "--out", str(tmp_path / "out")])
    said = capsys.readouterr().out
    assert "columns: text = 'premise', pair = 'hypothesis', label = 'label'" in said and "2 labels: 0, 1" in said
    header, first, *_ = (tmp_path / "out" / "dev.predictions.tsv").read_text().splitlines()
    assert header.split("\t")[:3] == ["text", "pair", "gold"] and first.split("\t")[1] == "a film"
    assert 'classify(model, tokenizer, "a text", "another")' in (tmp_path / "out" / "README.md").read_text()


def test_a_readme_of_the_user_is_left(learnt, made, tmp_path, capsys):
    _, _, folder = learnt
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "README.md").write_text("mine")
    classify.main(["--train", f"{folder}/dev.csv", "--model", made, *OPTIONS, "--epochs", "1", "--out",
                   str(tmp_path / "out")])
    assert (tmp_path / "out" / "README.md").read_text() == "mine" and "is left as it is" in capsys.readouterr().out


def test_a_model_of_glue_is_evaluated_again(made, tmp_path, capsys):
    """By glue on its own files, by classify on a spreadsheet with the same labels; submissions are written again."""
    data = tmp_path / "data"
    data.mkdir()
    for split, seed in (("train", 0), ("dev", 1)):
        lines = [f"{text}\tit was\t{'' if label == 'praise' else 'not_'}entailment" for text, label in rows(40, seed)]
        (data / f"{split}.tsv").write_text("\n".join(["sentence1\tsentence2\tlabel", *lines]) + "\n")
    (data / "test.tsv").write_text("index\tsentence1\tsentence2\n0\tgood film\tit was\n")
    out, ev = tmp_path / "out", tmp_path / "ev"
    glue.main(["--task", "rte", "--data", str(data), "--model", made, "--out", str(out), *LEARN])
    said = capsys.readouterr().out
    glue.main(["--task", "rte", "--data", str(data), "--evaluate", str(out), "--out", str(ev), "--workers", "1"])
    again = capsys.readouterr().out
    assert said[said.index("dev, 40"):said.index("predictions for dev")] in again
    for name in ("RTE.tsv", "dev.predictions.tsv", "dev.confusion.svg"):
        assert (ev / name).read_bytes() == (out / name).read_bytes(), name
    (data / "train.tsv").unlink()
    glue.main(["--task", "rte", "--data", str(data), "--evaluate", str(out), "--workers", "1"])
    classify.main(["--evaluate", str(out), "--dev", f"{data}/dev.tsv", "--workers", "1"])
    report = said[said.index("   precision"):said.index("predictions for dev")]
    assert capsys.readouterr().out.count(report) == 2
    with pytest.raises(SystemExit, match="predicts entailment, not_entailment; WNLI has not_entailment, entailment"):
        glue.main(["--task", "wnli", "--data", str(data), "--evaluate", str(out), "--workers", "1"])


@pytest.mark.parametrize("change,message", [
    ({"--train": None}, "classify: --train FILE is needed to fine-tune"),
    ({"--train": "one"}, r"classify: .*one\.csv: every row has the label 'x': there is nothing to learn"),
    ({"--train": "many"}, r"classify: .*many\.csv: 30 different labels in 30 rows: is the column right \(--columns\)\? "
                          "If they are amounts: --regression"),
    ({"--train": "words"}, r"classify: .*words\.csv: 3 columns, so label cannot be column 7"),
    ({"--regression": ""}, r"classify: .*my\.csv: line 2, column 'label': the label .* is no finite number"),
    ({"--dev-share": "1"}, "classify: --dev-share must be above 0 and below 1, got 1.0"),
    ({"--dev-share": "nan"}, "classify: --dev-share must be"),
    ({"--split-seed": "-1"}, "classify: --split-seed must be at least 0, got -1"),
    ({"--columns": "text"}, "classify: --columns takes NAME=VALUE, got 'text'"),
    ({"--dev": "nowhere.csv"}, r"classify: .*nowhere\.csv"),
    ({"--regression": "", "--class-weights": ""}, "classify: --class-weights and --label-smoothing are for classes"),
])
def test_errors_are_one_line(made, learnt, tmp_path, change, message):
    files = {"one": [("a", "x"), ("b", "x")], "many": [(f"a{i}", f"{i}.5") for i in range(30)],
             "words": [("a", "b", "c")]}
    if change.get("--train") in files:
        path = write(tmp_path / f"{change['--train']}.csv", files[change["--train"]], None)
        change = {"--train": path} | ({"--columns": ["text=0", "label=7"]} if "words" in path else {})
    options = {"--train": f"{learnt[2]}/my.csv", "--model": made, "--out": str(tmp_path / "out")} | change
    given = [word for name, value in options.items() if value is not None
             for word in [name, *(value if isinstance(value, list) else [value] if value else [])]]
    with pytest.raises(SystemExit) as error:
        classify.main([*OPTIONS, *given])
    assert re.match(message, str(error.value.code)) and "\n" not in str(error.value.code), error.value.code


@pytest.mark.parametrize("more,message", [
    ([], "--dev FILE or --test FILE is needed"),
    (["--dev", "DEV", "--epochs", "7"], "--epochs is for fine-tuning, not for --evaluate"),
    (["--dev", "DEV", "--keep-head"], "--keep-head is for fine-tuning"),
    (["--dev", "DEV", "--train", "DEV"], "--train is for fine-tuning"),
    (["--dev", "DEV", "--max-length", "99"], "99, but the model has only 40 positions"),
    (["--dev", "OTHER"], r"other\.csv: line 3, column 'label': the label 'anger' is none of blame, harsh, neither, pr"),
])
def test_what_an_evaluation_does_not_take(learnt, tmp_path, more, message):
    other = write(tmp_path / "other.csv", [("good", "praise"), ("bad", "anger")])
    more = [{"DEV": f"{learnt[2]}/dev.csv", "OTHER": other}.get(word, word) for word in more]
    with pytest.raises(SystemExit, match=message):
        classify.main(["--evaluate", str(learnt[0]), *more])


def test_a_head_that_was_never_trained_is_refused(made, learnt):
    with pytest.raises(SystemExit, match="its head is not trained: it lacks classifier.weight, classifier.bias"):
        classify.main(["--evaluate", made, "--dev", f"{learnt[2]}/dev.csv"])


def test_what_is_odd_about_labels_is_said(made, tmp_path, capsys):
    """A file sorted by its labels whose first rows show one alone, and labels that differ in capitals alone."""
    sort = [(f"good film {i}", label) for label in ("Praise", "blame", "praise") for i in range(10)]
    path = write(tmp_path / "sorted.csv", sort)
    with pytest.raises(SystemExit):
        classify.main(["--train", path, "--dev", path, "--model", made, "--dry-run", "--max-train-samples", "15",
                       *OPTIONS])
    said = capsys.readouterr().out
    assert "different classes here: Praise, praise" in said
    assert "the first 15 training examples never show praise: --max-train-samples" in said
