"""Tagging: labels on first pieces, every word tagged however long its sentence, the file's format kept; it learns."""
import re

import numpy as np
import pytest
import tiny_run
from hypothesis import given, settings
from hypothesis import strategies as st

from numbert import BertForTokenClassification
from numbert.ops import IGNORE
from numbert.tasks import tagging
from numbert.tasks.conll import read_conllu
from numbert.tasks.tagging import baselines, collate, measure, predict, tag, tag_names, windows_of, with_ids
from numbert.training.finetuning import starting_point
from numbert.training.parallel import Workers


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return tiny_run.write(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def workers():
    with Workers(1) as workers:
        yield workers


def test_a_batch(made):
    windows, cut = windows_of([(["good", "films", "was"], [4, 7, IGNORE]), (["a"], [1])], made[1], 40)
    batch = collate(made[1])([window for sentence in windows for window in sentence])
    assert cut == 0
    assert made[1].convert_ids_to_tokens(batch["input_ids"][0]) == "[CLS] good film ##s was [SEP]".split()
    assert batch["labels"].tolist() == [[-100, 4, 7, -100, -100, -100], [-100, 1, -100, -100, -100, -100]]
    assert batch["attention_mask"].tolist() == [[1] * 6, [1, 1, 1, 0, 0, 0]]
    assert not batch["token_type_ids"].any()


WORDS = st.sampled_from(["good", "films", "dayss", "filmings", "\u200b", "?", "."])


@settings(max_examples=60, deadline=None)
@given(sentences=st.lists(st.lists(WORDS, min_size=1, max_size=9), min_size=1, max_size=5), length=st.integers(3, 12))
def test_every_word_is_in_one_window(tmp_path_factory, sentences, length):
    tokenizer = tiny_run.WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *tiny_run.WORDS])
    numbered = [(words, list(range(len(words)))) for words in sentences]
    windows, cut = windows_of(numbered, tokenizer, length)
    assert len(windows) == len(sentences) and cut == sum(len(w) > 1 for w in windows)
    for words, found in zip(sentences, windows, strict=True):
        assert [label for window in found for label in window.labels] == list(range(len(words)))
        for window in found:
            assert 3 <= len(window.ids) <= length
            assert window.ids[0] == tokenizer.cls_token_id and window.ids[-1] == tokenizer.sep_token_id
            assert len(window.firsts) == len(window.labels)
            for column, label in zip(window.firsts, window.labels, strict=True):
                pieces = tokenizer.encode_batch([words[label]], add_special_tokens=False)[0] or [tokenizer.unk_token_id]
                pieces = pieces[:length - 2]
                assert window.ids[column:column + len(pieces)] == pieces
    short = [words for words in sentences if sum(max(1, len(ids)) for ids in tokenizer.encode_batch(
        words, add_special_tokens=False)) <= length - 2]
    assert cut <= len(sentences) - len(short)


def test_predictions_come_back_to_their_words(made, workers):
    """Each word's tag is what the logits say at its first piece, whatever the batches."""
    model = starting_point(BertForTokenClassification, made[0], num_labels=5)(0)
    sentences = [["good", "films", "was"], ["a"], ["the", "day", "was", "filming", "it", "."]]
    windows, _ = windows_of([(words, [IGNORE] * len(words)) for words in sentences], made[1], 8)
    assert [len(w) for w in windows] == [1, 1, 2]
    whole = made[1](" ".join(sentences[0]))
    logits = model(**made[1].pad([whole])).logits.data[0]
    expected = [int(logits[whole.word_ids.index(word)].argmax()) for word in range(3)]
    for batch_size in (1, 2, 64):
        found = predict(model, made[1], windows, workers, batch_size)
        assert [len(row) for row in found] == [3, 1, 6] and found[0] == expected
    again = predict(model, made[1], windows[::-1], workers, 2)[::-1]
    assert again == found


def test_names_and_ids():
    sentences = [(["a", "b"], ["X", None]), (["c"], ["A"])]
    names = tag_names(sentences)
    assert names == ["A", "X"]
    assert with_ids([*sentences, (["d"], ["Z"])], names) == [(["a", "b"], [1, IGNORE]), (["c"], [0]), (["d"], [IGNORE])]


def test_measure():
    assert measure([["N", "V"], ["N"]], [["N", "N"], ["V"]]) == {"accuracy": pytest.approx(1 / 3)}
    assert measure([["N", None]], [["N", "V"]]) == {"accuracy": 1.0}
    found = measure([["B-PER", "I-PER", "O", "B-LOC"]], [["B-PER", "I-PER", "O", "O"]])
    assert list(found) == ["f1", "accuracy"] and found == {"f1": pytest.approx(2 / 3), "accuracy": 0.75}
    assert list(measure([["O", "O"]], [["O", "O"]])) == ["accuracy"]
    assert list(measure([["O", "X"]], [["O", "X"]])) == ["accuracy"]


def test_baselines():
    training = [(["a", "b", "a", "a"], ["N", "V", "N", "V"]), (["b", "c"], ["V", None]), (["d"], ["N"])]
    found = baselines(training, [(["a", "b", "c", "z"], [None] * 4)])
    assert found["by word"] == [["N", "V", "N", "N"]]
    assert found["majority"] == [["N"] * 4]


# ---- the command line ------------------------------------------------------------------------------------------------


def conllu(count, seed=0, tags=True):
    """Sentences in which "it" has one tag beside "good" and another without; with a comment, a range, an empty node."""
    rng, lines = np.random.default_rng(seed), []
    for number in range(count):
        lines.append(f"# sent_id = {number}")
        words = rng.choice(["film", "was", "it", "it"], 6)
        words[rng.integers(6)] = rng.choice(["good", "bad"])
        for i, word in enumerate(words, 1):
            tag = {"film": "NOUN", "was": "VERB", "it": "NOUN" if "good" in words else "PRON"}.get(word, "ADJ")
            lines += [f"1-2\t{word}x\t" + "\t".join("_" * 8)] if i == 1 else []
            lines.append(f"{i}\t{word}\t_\t{tag if tags else '_'}\t" + "\t".join("_" * 6))
        lines += ["6.1\tgone\t" + "\t".join("_" * 8), ""]
    return "\n".join(lines) + "\n"


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return str(path)


OPTIONS = ["--epochs", "6", "--lr", "5e-3", "--batch-size", "4", "--dropout", "0", "--workers", "1"]


def test_end_to_end(made, tmp_path, capsys):
    train = write(tmp_path / "train.conllu", conllu(60))
    dev = write(tmp_path / "dev.conllu", conllu(30, seed=1))
    test = write(tmp_path / "test.conllu", conllu(20, seed=2))
    out = tmp_path / "out"
    tagging.main(["--train", train, "--dev", dev, "--test", test, "--model", made[0], "--out", str(out),
                  "--max-length", "6", "--seeds", "2", *OPTIONS])
    said = capsys.readouterr().out
    assert "train: 60 sentences, 360 words, dev: 30 sentences, 180 words" in said and "; 4 tags" in said
    assert "test: 20 of 20 sentences are longer than 6 pieces and are read in several windows" in said
    numbers = {name: float(value) for name, value in re.findall(r"^(fine-tuned|majority) +([\d.]+)", said, re.M)}
    by_word = float(re.search(r"most frequent tag: accuracy ([\d.]+)", said)[1])
    assert numbers["majority"] < 0.5 < by_word < 0.9 and numbers["fine-tuned"] > 0.7
    predicted = read_conllu(out / "test.predicted.conllu")
    given = read_conllu(test)
    right = [a == b for p, g in zip(predicted.sentences, given.sentences, strict=True)
             for a, b in zip(p.tags, g.tags, strict=True)]
    assert sum(right) / len(right) > 0.7
    assert predicted.with_tags([s.tags for s in given.sentences]) == conllu(20, seed=2)
    assert (out / "dev.predicted.conllu").exists() and (out / "metrics.jsonl").exists()
    model = BertForTokenClassification.from_pretrained(out, strict=True)
    with Workers(1) as workers:
        again = tag(model, made[1], [s.words for s in given.sentences], workers, 6)
    assert again == [s.tags for s in predicted.sentences]


def test_whole_sentences_are_learnt_by_their_context(made, tmp_path, capsys):
    train, dev = (write(tmp_path / f"{seed}.conllu", conllu(120, seed)) for seed in (0, 1))
    tagging.main(["--train", train, "--dev", dev, "--model", made[0], "--out", str(tmp_path / "out"), *OPTIONS])
    said = capsys.readouterr().out
    score = float(re.search(r"^fine-tuned +([\d.]+)", said, re.M)[1])
    assert score > 0.95 > 0.9 > float(re.search(r"most frequent tag: accuracy ([\d.]+)", said)[1])
    assert "windows" not in said and "a little too good" in said


def test_entities_in_columns(made, tmp_path, capsys):
    text = "-DOCSTART- O\n\ngood B-PER\nday I-PER\nwas O\n\nfilm B-LOC\n. O\n"
    train, dev = write(tmp_path / "a.txt", text * 4), write(tmp_path / "b.txt", text + "\nit B-ORG\n")
    tagging.main(["--train", train, "--dev", dev, "--model", made[0], "--out", str(tmp_path / "out"), "--from-scratch",
                  *OPTIONS])
    said = capsys.readouterr().out
    assert re.search(r"^ +f1 +accuracy$", said, re.M)
    assert "dev: 1 words have a tag that training never shows, and count as wrong: B-ORG" in said.replace(
        "development", "dev")
    predicted = (tmp_path / "out" / "b.predicted.txt").read_text()
    assert [line.split(" ")[0] for line in predicted.splitlines()] == [
        line.split(" ")[0] for line in (text + "\nit B-ORG\n").splitlines()]


@pytest.mark.parametrize("change,message", [
    ({"--dev": "nowhere.conllu"}, r"tagging: .*nowhere\.conllu"),
    ({"--train": "no sentence"}, r"tagging: .*given\.conllu: no sentence in it"),
    ({"--train": "untagged"}, "tagging: no word of the training sentences has a tag"),
    ({"--column": "TAG"}, "tagging: --column must be one of ID, .* got 'TAG'"),
    ({"--max-length": "2"}, "tagging: --max-length must be at least 3 .* got 2"),
    ({"--max-length": "41"}, "tagging: --max-length = 41, but the model has only 40 positions"),
    ({"--epochs": "0"}, "tagging: --epochs must be at least 1, got 0"),
    ({"--seeds": "0"}, "tagging: --seeds must be at least 1, got 0"),
    ({"--workers": "0"}, "tagging: --workers must be at least 1, got 0"),
    ({"--model": "nowhere"}, "tagging: .*nowhere"),
])
def test_errors_are_one_line(made, tmp_path, capsys, change, message):
    contents = {"no sentence": "\n\n", "untagged": conllu(2, tags=False)}
    if change.get("--train") in contents:
        change = {"--train": write(tmp_path / "given.conllu", contents[change["--train"]])}
    long = conllu(2) if change.get("--max-length") != "41" else conllu(1).replace("\tgood\t", "\t" + "x " * 50 + "\t")
    files = {"--train": write(tmp_path / "t.conllu", long), "--dev": write(tmp_path / "d.conllu", conllu(2))}
    options = files | {"--model": made[0], "--out": str(tmp_path / "out"), "--epochs": "1"} | change
    with pytest.raises(SystemExit) as error:
        tagging.main([part for pair in options.items() for part in pair])
    assert re.match(message, str(error.value.code)) and "\n" not in str(error.value.code)


def test_the_report_and_the_model_evaluated_again(made, tmp_path, capsys):
    train, dev = (write(tmp_path / f"{seed}.conllu", conllu(60, seed)) for seed in (0, 1))
    out, ev = tmp_path / "out", tmp_path / "ev"
    tagging.main(["--train", train, "--dev", dev, "--model", made[0], "--out", str(out), *OPTIONS, "--max-length", "12",
                  "--epochs", "2"])
    said = capsys.readouterr().out
    report = said[said.index("\ndev, 360 predictions: accuracy"):said.index("tags of dev")]
    lines = [line.split("\t") for line in (out / "dev.predictions.tsv").read_text().splitlines()]
    assert lines[0] == ["sentence", "word", "gold", "predicted", "probability"] and len(lines) == 361
    gold = [(f"{n}", word, tag) for n, s in enumerate(read_conllu(dev).sentences, 1)
            for word, tag in zip(s.words, s.tags, strict=True)]
    assert [tuple(line[:3]) for line in lines[1:]] == gold
    predicted = [tag for s in read_conllu(out / "1.predicted.conllu").sentences for tag in s.tags]
    assert [line[3] for line in lines[1:]] == predicted and all(0.25 <= float(line[4]) <= 1 for line in lines[1:])
    for tag_ in ("ADJ", "NOUN", "PRON", "VERB"):
        hits, given, wanted = (sum(map(test, gold, predicted)) for test in (
            lambda g, p, t=tag_: g[2] == p == t, lambda g, p, t=tag_: p == t, lambda g, p, t=tag_: g[2] == t))
        cells = re.search(rf"^{tag_} +([\d.]+) +([\d.]+) +[\d.]+ +(\d+)$", report, re.M).groups()
        assert [float(cell) for cell in cells] == pytest.approx([hits / max(1, given), hits / wanted, wanted], abs=1e-3)
    assert "| NOUN | " in (out / "README.md").read_text() and (out / "dev.confusion.svg").exists()
    code = re.search(r"## Use\n\n```python\n(.+?)\n```", (out / "README.md").read_text(), re.S)[1]
    exec(code, {"FOLDER": str(out)})
    assert re.match(r"\[\['[A-Z]+', '[A-Z]+', '[A-Z]+', '[A-Z]+'\]\]", capsys.readouterr().out)

    tagging.main(["--evaluate", str(out), "--dev", dev, "--out", str(ev), "--workers", "1"])
    assert report in capsys.readouterr().out
    assert {path.name for path in ev.iterdir()} == {"1.predicted.conllu", "dev.predictions.tsv", "dev.confusion.svg"}
    assert all(path.read_bytes() == (out / path.name).read_bytes() for path in ev.iterdir())
    untagged = write(tmp_path / "u.conllu", conllu(3, seed=5, tags=False))
    tagging.main(["--evaluate", str(out), "--test", untagged, "--workers", "1", "--out", str(tmp_path / "u")])
    assert "accuracy" not in capsys.readouterr().out and [path.name for path in (tmp_path / "u").iterdir()] == [
        "u.predicted.conllu"]


def test_entities_have_scores_by_type(made, tmp_path, capsys):
    text = "good B-PER\nday I-PER\nwas O\n\nfilm B-LOC\n. O\n\n"
    train = write(tmp_path / "a.txt", text * 8)
    tagging.main(["--train", train, "--dev", train, "--model", made[0], "--out", str(tmp_path / "out"), *OPTIONS])
    said = capsys.readouterr().out
    for out in (said, tagging.main(["--evaluate", f"{tmp_path}/out", "--dev", train]) or capsys.readouterr().out):
        assert re.search(r"^entity LOC +1\.000 +1\.000 +1\.000 +8$", out, re.M)
        assert re.search(r"^entity PER +1\.000 +1\.000 +1\.000 +8$", out, re.M)
        assert "dev, 40 predictions: f1 1.000  accuracy 1.000" in out


@pytest.mark.parametrize("given,message", [
    (["--model", "MODEL", "--dev", "DEV"], "--train FILE and --dev FILE are needed"),
    (["--evaluate", "MODEL", "--dev", "DEV"], "its head is not trained: it lacks classifier.weight"),
    (["--evaluate", "MODEL", "--dev", "DEV", "--epochs", "7"], "--epochs is for fine-tuning, not for --evaluate"),
])
def test_what_is_needed(made, tmp_path, given, message):
    names = {"MODEL": made[0], "DEV": write(tmp_path / "d.conllu", conllu(2))}
    with pytest.raises(SystemExit, match=message):
        tagging.main([names.get(word, word) for word in given])
