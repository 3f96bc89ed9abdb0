"""`python -m numbert.pipeline`: texts from arguments, a file or standard input, JSON lines or pictures, mistakes in one
line."""
import io
import json
import sys
from types import SimpleNamespace

import every_family
import pytest

import numbert as nb
from numbert.pipeline import TASKS, __main__, base
from numbert.pipeline.__main__ import main

TEXTS = ["the old cat", "bob and anna", "", "é"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = {}

    def of(head, family="bert", **changes):
        key = head, family
        if key not in made:
            made[key] = str(tmp_path_factory.mktemp(family))
            every_family.write_with_head(made[key], family, head, 40, **changes)
        return made[key]
    return of


@pytest.fixture
def run(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "reconfigure", lambda **_: None, raising=False)

    def run(*arguments, given=None):
        if given is not None:
            monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(given), isatty=lambda: False))
        main([*map(str, arguments), "--workers", "1"])
        return capsys.readouterr().out
    return run


def fails(*arguments):
    with pytest.raises(SystemExit) as error:
        main(list(map(str, arguments)))
    assert "\n" not in str(error.value)
    return str(error.value)


def values(out):
    return [json.loads(line) for line in out.splitlines()]


def test_texts_from_arguments_a_file_and_standard_input(folder, run, tmp_path):
    model = folder("ForSequenceClassification", num_labels=3)
    wanted = nb.pipeline("text-classification", model)(TEXTS)
    (tmp_path / "texts.txt").write_bytes("\ufeff".encode() + "\r\n".join(TEXTS).encode())
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(text) + "\n" for text in TEXTS))
    lines = [one for text, one in zip(TEXTS, wanted, strict=True) if text]
    for arguments, given, some in ((TEXTS, None, wanted), (["--file", tmp_path / "texts.txt"], None, lines),
                                   ([], "\n".join(TEXTS).encode(), lines),
                                   (["--file", tmp_path / "texts.jsonl"], None, wanted)):
        found = values(run("text-classification", model, "--json", *arguments, given=given))
        assert [one["label"] for one in found] == [one["label"] for one in some]
        assert [one["score"] for one in found] == pytest.approx([one["score"] for one in some], abs=1e-6)
    (tmp_path / "pairs.jsonl").write_text(json.dumps({"text": "a dog", "text_pair": "a cat"}) + "\n")
    pair, = values(run("text-classification", model, "--json", "--file", tmp_path / "pairs.jsonl"))
    assert pair["score"] == pytest.approx(nb.pipeline("text-classification", model)(
        {"text": "a dog", "text_pair": "a cat"})["score"], abs=1e-6)
    assert run("text-classification", model, given=b"") == ""


# task, head, family, what it is given, and a part of the picture
PICTURES = [
    ("fill-mask", "ForMaskedLM", "bert", ["the [MASK]", "--top-k", "2"], "%  #"),
    ("fill-mask", "ForMaskedLM", "bert", ["the [MASK]", "--targets", "dog", "garden"], "dog"),
    ("text-classification", "ForSequenceClassification", "bert", ["a dog", "--top-k", "3"], "LABEL_2"),
    ("token-classification", "ForTokenClassification", "bert",
     ["a dog", "--aggregation-strategy", "first", "--ignore-labels"], "  [a"),
    ("question-answering", "ForQuestionAnswering", "bert",
     ["where ?", "--context", "the dog is in the garden", "--top-k", "3", "--handle-impossible-answer"], ">>"),
    ("feature-extraction", "Model", "roberta", ["a dog", "--pooling", "mean"], "  1 x 16\n"),
    ("sentence-similarity", "Model", "albert", ["a dog", "--source-sentence", "a dog"], "  1.000"),
    ("text-generation", "ForCausalLM", "gpt",
     ["a dog", "--max-new-tokens", "3", "--seed", "1", "--num-return-sequences", "2"], "a dog"),
]


@pytest.mark.parametrize("task, head, family, arguments, part", PICTURES)
def test_a_picture_and_json(folder, run, task, head, family, arguments, part):
    model = folder(head, family, **({"num_labels": 3} if "Classification" in head else {}))
    picture = run(task, model, *arguments)
    assert picture.startswith(arguments[0] + "\n") and part in picture
    result, = values(run(task, model, *arguments, "--json"))
    assert result is not None and run(task, model, *arguments) == picture       # also what is drawn


def test_zero_shot(run, tmp_path):
    every_family.write_with_head(tmp_path, "bert", "ForSequenceClassification", 40, num_labels=2,
                                 id2label={0: "entailment", 1: "not_entailment"})
    arguments = ["zero-shot-classification", tmp_path, "a dog", "--candidate-labels", "cat, dog", "--multi-label",
                 "--hypothesis-template", "a {} ."]
    assert "cat" in run(*arguments)
    assert {*values(run(*arguments, "--json"))[0]["labels"]} == {"cat", "dog"}


def test_every_option_of_the_command_is_one_of_the_task():
    for task, cls in TASKS.items():
        names = {settings.get("dest", option[2:].replace("-", "_")) for option, settings in cls.arguments.items()}
        assert base._keywords(cls.results).keys() >= names, task


def test_mistakes_take_one_line(folder, tmp_path):
    model, gpt = folder("ForSequenceClassification", num_labels=3), folder("ForCausalLM", "gpt")
    (tmp_path / "bad.txt").write_bytes(b"good\nb\xffd\n")
    (tmp_path / "bad.jsonl").write_text('"good"\n{"text": 3}\n')
    (tmp_path / "worse.jsonl").write_text('"good"\n{"text"\n')
    for arguments, message in [
            (["fill-mask", gpt, "x"], "AutoModelForMaskedLM is for bert, roberta, albert"),
            (["text-generation", model, "x"], "AutoModelForCausalLM is for gpt2"),
            (["text-classification", tmp_path / "none", "x"], "config.json: there is no such file"),
            (["question-answering", model, "x", "--context", "y"], "not trained for question-answering"),
            (["text-classification", model, "x " * 99], "and the model takes 40; with truncation it is cut"),
            (["text-classification", model, "x", "--file", "y"], "as arguments or with --file, not both"),
            (["text-classification", model, "--file", tmp_path / "none.txt"], "No such file or directory"),
            (["text-classification", model, "--file", tmp_path / "bad.txt"], "bad.txt, line 2: not UTF-8: byte 0xff"),
            (["text-classification", model, "--file", tmp_path / "bad.jsonl"], "bad.jsonl, line 2: must be a text, or"),
            (["text-classification", model, "--file", tmp_path / "worse.jsonl"], "line 2: not JSON"),
            (["sentence-similarity", model, "x"], "needs a --source-sentence"),
            (["text-classification", model, "x", "--top-k", "0"], "--top-k must be at least 1, got 0"),
            (["text-generation", gpt, "x", "--temperature", "nan", "--seed", "1"], "--temperature must be"),
            (["text-generation", gpt, "x", "--top-p", "0.5"], "are for drawing tokens"),
            (["text-generation", gpt, "x", "--max-new-tokens", "99"], "there is no room for 99 more")]:
        assert message in fails(*arguments, "--workers", "1"), arguments
        assert fails(*arguments, "--workers", "1").startswith("pipeline: ")


def test_a_mistake_is_told_in_the_options_of_the_task(folder):
    reader = folder("ForQuestionAnswering")
    assert "--doc-stride must be from 0 to --max-seq-len = 9, got 10" in fails(
        "question-answering", reader, "who?", "--context", "bob", "--max-seq-len", "9", "--doc-stride", "10")
    for length, message in (("3", "--max-seq-len = 3 leaves no room for the context"),
                            ("999", "--max-seq-len = 999, but the model takes only 40 tokens")):
        assert message in fails("question-answering", reader, "who?", "--context", "bob", "--max-seq-len", length)


@pytest.mark.parametrize("task, head, line", [
    ("feature-extraction", "ForSequenceClassification", '{"text": "a"}'),
    ("fill-mask", "ForMaskedLM", '{"text": "a"}'), ("token-classification", "ForTokenClassification", '{"text": "a"}'),
    ("text-classification", "ForSequenceClassification", '{"text": ["a"]}'),
    ("text-classification", "ForSequenceClassification", '{"sentences": []}'),
    ("question-answering", "ForQuestionAnswering", '{"question": ["a"], "context": "b"}'),
    ("sentence-similarity", "ForSequenceClassification", '{"source_sentence": ["a"], "sentences": ["b"]}')])
def test_objects_that_a_task_does_not_take(folder, tmp_path, task, head, line):
    (tmp_path / "some.jsonl").write_text(line)
    assert fails(task, folder(head), "--file", tmp_path / "some.jsonl", "--workers", "1").startswith("pipeline: ")


def test_blank_lines_are_left_out_and_counted(folder, run, tmp_path, capsys):
    """As inputs they would give answers to nothing, or end a long run with an error."""
    (tmp_path / "texts.txt").write_text("the old cat\n\n \t\nbob\n\n")
    found = values(run("text-classification", folder("ForSequenceClassification", num_labels=3), "--json", "--file",
                       tmp_path / "texts.txt"))
    assert len(found) == 2
    main(["text-classification", folder("ForSequenceClassification", num_labels=3), "--file",
          str(tmp_path / "texts.txt"), "--workers", "1"])
    assert capsys.readouterr().err == f"{tmp_path / 'texts.txt'}: 3 blank lines are left out\n"


def test_lines_of_json_may_be_empty(folder, run, tmp_path):
    model = folder("ForSequenceClassification", num_labels=3)
    (tmp_path / "some.jsonl").write_bytes(b'"the cat"\r\n\r\n"bob"\r\n\n')
    assert len(values(run("text-classification", model, "--json", "--file", tmp_path / "some.jsonl"))) == 2
    (tmp_path / "bad.jsonl").write_bytes(b'"the cat"\n\n"bob\n')
    assert "bad.jsonl, line 3: not JSON: line 1 column 1" in fails(
        "text-classification", model, "--file", tmp_path / "bad.jsonl")


def test_no_standard_input(folder, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert "there is no standard input: give texts" in fails("fill-mask", folder("ForMaskedLM"))


def test_what_comes_before_a_mistake_is_printed(folder, run, tmp_path, capsys, monkeypatch):
    model = folder("ForSequenceClassification", num_labels=3)
    monkeypatch.setattr(__main__, "AT_ONCE", 2)
    (tmp_path / "texts.txt").write_text("a\nb\n" + "x " * 99)
    assert "and the model takes 40" in fails("text-classification", model, "--json", "--file", tmp_path / "texts.txt",
                                             "--workers", "1")
    assert len(values(capsys.readouterr().out)) == 2


@pytest.mark.parametrize("arguments, message", [
    (["summarise", "x"], "invalid choice: 'summarise'"), (["fill-mask"], "required: FOLDER"),
    (["text-generation", "x", "y", "--seed", "-1"], "--seed: invalid seed value: '-1'"),
    (["zero-shot-classification", "x", "y", "--candidate-labels", "good", "bad"],
     "texts stand before the options ('y') and behind them ('bad')"),
    (["fill-mask", "x", "y", "--pooling", "cls"], "--pooling")])
def test_options_that_there_are_not(arguments, message, capsys):
    with pytest.raises(SystemExit) as error:
        main(arguments)
    assert error.value.code == 2 and message in capsys.readouterr().err.splitlines()[-1]
