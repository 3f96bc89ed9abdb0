"""The command: it fine-tunes, predicts and scores, its files are those of SQuAD's script, its errors are one line."""
import json
import shutil
import sys

import numpy as np
import pytest

from numbert import BertConfig, BertForPreTraining, WordPieceTokenizer
from numbert.tasks.squad.__main__ import main
from numbert.tasks.squad.metrics import exact_match
from numbert.tasks.squad.reader import Reader, save_threshold

WORDS = "the cat sat on a mat dog ran to where is".split()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A pre-trained model (that knows nothing), two files of questions, and what --train makes of them in out/."""
    folder = tmp_path_factory.mktemp("squad")
    tokenizer = WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "?", "."])
    config = BertConfig(vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                        intermediate_size=16, max_position_embeddings=32)
    BertForPreTraining(config, rng=np.random.default_rng(0)).save_pretrained(folder / "body")
    tokenizer.save_pretrained(folder / "body")
    write(folder / "train.json", *[entry(f"{i}", "mat", 15 if i else 17) for i in range(6)], entry("none"))
    write(folder / "dev.json", entry("one", "cat", 4), entry("two", "the mat", 22), entry("three"))
    write(folder / "answerable.json", entry("one", "cat", 4), entry("two", "the mat", 22))
    write(folder / "test.json", {"id": "t", "question": "where is the cat?"})
    return folder


def entry(identity, text=None, start=None):
    answers = [] if text is None else [{"text": text, "answer_start": start}]
    return {"id": identity, "question": "where is the cat?", "answers": answers, "is_impossible": not answers}


CONTEXT = "the cat sat on a mat. the mat ran to the dog."


def write(path, *entries):
    path.write_text(json.dumps({"data": [{"paragraphs": [{"context": CONTEXT, "qas": list(entries)}]}]}))


def run(folder, *arguments, capsys):
    code = ended([str(folder / a) if a.endswith(".json") or a in ("body", "out", "elsewhere") else a
                  for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def ended(argv):
    """The exit code of the command; what it ends with goes to the error output, as it does in a terminal."""
    try:
        main(argv)
    except SystemExit as stop:
        print(stop.code, file=sys.stderr)
        return 1
    return 0


TRAIN = ("--train", "train.json", "--dev", "dev.json", "--model", "body", "--out", "out", "--max-length", "16",
         "--step", "4", "--epochs", "1", "--workers", "1")
NEW = (*TRAIN, "--out", "new")


@pytest.fixture
def trained(folder, capsys):
    if not (folder / "out").exists():
        code, out, err = run(folder, *TRAIN, capsys=capsys)
        assert (code, err.count("error")) == (0, 0)
        (folder / "said.txt").write_text(out)
    return folder


def test_training_tells_what_it_did(trained):
    said = (trained / "said.txt").read_text()
    assert "train.json: answers found elsewhere than the file says, or at several places: 5" in said
    assert "7 questions, 21 windows: 3.00 a question, at most 3" in said
    assert "step between windows (Google's doc_stride): 4 tokens; overlap (Hugging Face's stride): 4" in said
    assert "windows without the answer" in said and "majority" in said and "in hindsight" in said
    assert json.loads(said[said.index("\n{") + 1:])["total"] == 3


def test_the_files_are_those_that_the_evaluation_takes(trained, capsys):
    out = trained / "out"
    predictions, na_probs, n_best = (json.loads((out / f"{name}.json").read_text())
                                     for name in ("predictions", "na_probs", "nbest"))
    assert set(predictions) == set(na_probs) == set(n_best) == {"one", "two", "three"}
    assert all(0 <= p <= 1 for p in na_probs.values())
    for candidates in n_best.values():
        assert [c["score"] for c in candidates] == sorted((c["score"] for c in candidates), reverse=True)
        assert sum(c["text"] == "" for c in candidates) == 1
        assert all(c["text"] == "" or CONTEXT[c["start"]:c["end"]] == c["text"] for c in candidates)
        assert sum(c["probability"] for c in candidates) <= 1 + 1e-9
    code, again, err = run(trained, "--evaluate", "dev.json", str(out / "predictions.json"), "--na-prob-file",
                           str(out / "na_probs.json"), capsys=capsys)
    said = (trained / "said.txt").read_text()
    assert (code, err) == (0, "") and json.loads(again) == json.loads(said[said.index("\n{") + 1:])


@pytest.mark.parametrize("option", ["--model", "--evaluate"])
def test_predicting_with_a_fine_tuned_model_gives_the_same(trained, option, capsys):
    code, out, err = run(trained, "--dev", "dev.json", option, "out", "--out", "elsewhere", "--max-length", "16",
                         "--step", "4", "--workers", "1", capsys=capsys)
    assert (code, err) == (0, "")
    for name in ("predictions", "nbest", "na_probs"):
        assert (trained / "elsewhere" / f"{name}.json").read_text() == (trained / "out" / f"{name}.json").read_text()
    reading = Reader.from_pretrained(trained / "out", max_length=16, step=4)(
        "where is the cat?", CONTEXT)
    assert reading.answers[0].text in [c["text"] for c in
                                       json.loads((trained / "out" / "nbest.json").read_text())["one"][:2]]


def test_the_threshold(trained, capsys):
    predict = ("--model", "out", "--out", "elsewhere", "--max-length", "32", "--workers", "1")

    def predictions(*arguments):
        code, out, err = run(trained, *predict, *arguments, capsys=capsys)
        assert (code, err) == (0, "")
        return out, json.loads((trained / "elsewhere" / "predictions.json").read_text())

    assert all(predictions("--dev", "dev.json", "--threshold", "1")[1].values())
    assert not any(predictions("--dev", "dev.json", "--threshold", "0")[1].values())
    out, found = predictions("--dev", "answerable.json", "--cmrc")
    assert set(json.loads(out[out.index("\n{") + 1:])) == {"AVERAGE", "F1", "EM", "TOTAL", "SKIP"}
    out, found = predictions("--dev", "test.json")
    assert list(found) == ["t"] and "{" not in out                      # nothing to score with


def test_what_the_fine_tuning_found_is_remembered(trained, capsys):
    """The same model on questions of which nothing is known: with a threshold of 0 it never answers, without always."""
    said = (trained / "said.txt").read_text()
    threshold = json.loads((trained / "out" / "answers.json").read_text())["threshold"]
    assert f"threshold {threshold:.4g}: the best on" in said
    model = trained / "remembering"
    shutil.copytree(trained / "out", model)

    def predictions(threshold, dev="test.json"):
        save_threshold(model, threshold)
        code = ended(["--model", str(model), "--out", str(trained / "elsewhere"), "--max-length", "32", "--workers",
                      "1", "--dev", str(trained / dev)])
        captured = capsys.readouterr()
        assert (code, captured.err) == (0, "")
        return captured.out, json.loads((trained / "elsewhere" / "predictions.json").read_text())

    out, found = predictions(0.0)
    assert not any(found.values()) and "threshold 0: as" in out and "remembers" in out
    out, found = predictions(0.0, "dev.json")                           # not the best in hindsight on the new questions
    assert not any(found.values()) and "hindsight" not in out
    out, found = predictions(None)
    assert all(found.values()) and "always answers" in out
    (model / "answers.json").unlink()
    code = ended(["--model", str(model), "--out", str(trained / "elsewhere"), "--max-length", "32", "--workers", "1",
                 "--dev", str(trained / "dev.json")])
    assert code == 0 and "dev.json in hindsight" in capsys.readouterr().out
    (model / "answers.json").write_text('{"threshold": "high"}')
    with pytest.raises(ValueError, match="answers.json: threshold must be a number or null, got 'high'"):
        Reader.from_pretrained(model)
    (model / "answers.json").write_text("{}")
    with pytest.raises(ValueError, match="answers.json: must have a threshold"):
        Reader.from_pretrained(model)


def test_a_reader_takes_the_remembered_threshold(trained):
    stored = json.loads((trained / "out" / "answers.json").read_text())["threshold"]
    assert Reader.from_pretrained(trained / "out", max_length=16).deciding["threshold"] == stored
    assert Reader.from_pretrained(trained / "out", max_length=16, threshold=0.25).deciding["threshold"] == 0.25


def test_limits_are_refused_before_anything_is_read_or_trained(trained, capsys):
    code, out, err = run(trained, *TRAIN, "--n-best", "0", capsys=capsys)
    assert (code, out, err) == (1, "", "squad: --n-best must be at least 1, got 0\n")


@pytest.mark.parametrize("arguments, complaint", [
    (("--dev", "dev.json", "--model", "body", "--out", "elsewhere"), "not fine-tuned for answers"),
    (("--dev", "missing.json", "--model", "out", "--out", "elsewhere", "--max-length", "32"), "missing.json"),
    (("--dev", "dev.json", "--model", "out", "--out", "elsewhere", "--max-length", "384"),
     "--max-length = 384, but the model has only 32"),
    (("--dev", "dev.json", "--model", "out", "--out", "elsewhere", "--max-length", "8"), "leaves no room"),
    ((*NEW, "--dev", "test.json"), "test.json: has questions without an entry for answers"),
    ((*NEW, "--max-length", "33"), "--max-length = 33, but the model has only 32 positions"),
    ((*NEW, "--label-smoothing", "0.1"), "--label-smoothing is for classes of texts or words, a BertForQuestionAnsw"),
    (("--dev", "dev.json", "--model", "out", "--out", "elsewhere", "--dry-run"),
     "--dry-run is for fine-tuning, not for answering without --train"),
    (("--train", "train.json", "--dev", "dev.json", "--evaluate", "out", "--out", "x"), "not for --evaluate"),
    ((*NEW, "--step", "0"), "step must be at least 1"),
    ((*NEW, "--train", "test.json"), "none of 1 questions has a known answer"),
    (("--evaluate", "dev.json", "missing.json"), "missing.json"),
])
def test_errors_are_one_line(trained, capsys, arguments, complaint):
    code, _, err = run(trained, *arguments, capsys=capsys)
    lines = [line for line in err.splitlines() if line.startswith("squad: ") or line.startswith("squad --evaluate: ")]
    assert complaint in "".join(lines)
    assert (code, len(lines)) == (1, 1)
    assert "Traceback" not in err


def test_the_answers_beside_the_gold_answers(trained, capsys):
    """In fine-tuning and when the model only predicts; what is wrong is printed, the most confident first."""
    run(trained, *TRAIN[2:], "--model", "out", "--out", "elsewhere", capsys=capsys)
    gold = [["one", "cat"], ["two", "the mat"], ["three", ""]]
    for out in ("elsewhere", "out"):
        header, *lines = [line.split("\t") for line in (trained / out / "dev.predictions.tsv").read_text().splitlines()]
        assert header == ["id", "question", "gold", "predicted", "probability"]
        assert [line[:3] for line in lines] == [[name, "where is the cat?", text] for name, text in gold]
        assert {line[0]: line[3] for line in lines} == json.loads((trained / out / "predictions.json").read_text())
        assert all(0 <= float(line[4]) <= 1 for line in lines)
    said = (trained / "said.txt").read_text()
    wrong = [line for line in lines if not exact_match(line[2], line[3])]
    mistakes = said.split("The most confident mistakes:\n")[1].splitlines()[:len(wrong)]
    assert len(wrong) >= 1 and [float(line.split()[0]) for line in mistakes] == sorted(
        (float(f"{float(line[4]):.3f}") for line in wrong), reverse=True)


def test_the_card(trained, capsys):
    text = (trained / "out" / "README.md").read_text()
    assert "pipeline_tag: question-answering" in text and "train.json, 7 questions" in text
    code = text.split("## Use\n\n```python\n")[1].split("\n```")[0]
    exec(code, {"FOLDER": str(trained / "out")})
    assert capsys.readouterr().out.strip()
    assert json.loads((trained / "out" / "results.json").read_text())["figures"]["dev"].keys() >= {"f1", "exact"}
