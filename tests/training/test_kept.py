"""Nothing of a fine-tuning is lost: every command, every way to be stopped, every file that cannot be written."""
import errno
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tiny_run

import numbert as nb
from numbert.hub import files
from numbert.models.heads import BertForQuestionAnswering, BertForSequenceClassification, BertForTokenClassification
from numbert.tasks import tagging
from numbert.tasks.glue import __main__ as glue
from numbert.tasks.squad import __main__ as squad
from numbert.training import command, kept
from numbert.training.run_folder import RunFolder

COMMANDS = {"glue": (glue, BertForSequenceClassification), "tagging": (tagging, BertForTokenClassification),
            "squad": (squad, BertForQuestionAnswering)}
CONTEXT = "the film was good . it was a good day ."
each_command = pytest.mark.parametrize("name", COMMANDS)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with a model, body/, and a little to learn for each command."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    tiny_run.write(folder / "body")
    for split, count in (("train", 24), ("dev", 12), ("test", 5)):
        words = rng.choice(["good", "bad"], count)
        lines = [f"{i}\tthe film was {word}\ta day" + f"\t{'not_' * (word == 'bad')}entailment" * (split != "test")
                 for i, word in enumerate(words)]
        header = "index\tsentence1\tsentence2" + "\tlabel" * (split != "test")
        files.write_text(folder / f"{split}.tsv", "\n".join([header, *lines]) + "\n")
        files.write_text(folder / f"{split}.txt", "".join(f"the O\nfilm B-{word}\nday I-{word}\n\n" for word in words))
        entries = [{"id": f"{split}{i}", "question": "the day was ?", "is_impossible": i % 3 == 0,
                    "answers": [{"text": "good", "answer_start": 13}] * (i % 3 > 0)} for i in range(count)]
        files.write_text(folder / f"{split}.json", json.dumps(
            {"data": [{"paragraphs": [{"context": CONTEXT, "qas": entries}]}]}))
    return folder


def arguments(name, data, out, *more):
    source = {"glue": ["--task", "rte", "--data", f"{data}", "--max-length", "24"],
              "tagging": ["--train", f"{data}/train.txt", "--dev", f"{data}/dev.txt", "--test", f"{data}/test.txt"],
              "squad": ["--train", f"{data}/train.json", "--dev", f"{data}/dev.json", "--max-length", "24",
                        "--step", "6"]}[name]
    return [*source, "--model", f"{data}/body", "--out", f"{out}", "--epochs", "3", "--seeds", "2", "--lr", "3e-3",
            "--batch-size", "8", "--workers", "1", *map(str, more)]


def run(name, data, out, *more):
    COMMANDS[name][0].main(arguments(name, data, out, *more))


def refused(name, data, out, *more):
    """The one line in which the command ends."""
    with pytest.raises(SystemExit) as ended:
        run(name, data, out, *more)
    assert isinstance(ended.value.code, str) and "\n" not in ended.value.code, ended.value.code
    assert ended.value.code.startswith(f"{name}: ")
    return ended.value.code


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*"))
            if path.is_file()}


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """What a run leaves that nothing stopped, for each command."""
    found = {}
    for name in COMMANDS:
        out = tmp_path_factory.mktemp("whole") / "out"
        run(name, data, out)
        found[name] = contents(out)
    return found


@each_command
def test_what_a_run_leaves(name, whole):
    found = set(whole[name])
    assert found >= {"model.safetensors", "config.json", "vocab.txt", "metrics.jsonl", "curves.svg", "README.md",
                     "results.json", "dev.predictions.tsv"}
    assert not found & {"checkpoint.safetensors", "run.lock"} and not any(".tmp" in path for path in found)
    assert found >= {"glue": {"RTE.tsv"}, "tagging": {"dev.predicted.txt", "test.predicted.txt"},
                     "squad": {"predictions.json", "nbest.json", "na_probs.json", "answers.json"}}[name]
    assert [(r["seed"], r["epoch"]) for r in map(json.loads, whole[name]["metrics.jsonl"].splitlines())] == [
        (seed, epoch) for seed in (0, 1) for epoch in (1, 2, 3)]


@each_command
@pytest.mark.parametrize("more", [(), ("--seeds", "1"), ("--dry-run",)])
def test_a_run_that_is_finished_is_not_overwritten(name, more, data, whole, tmp_path):
    for path, content in whole[name].items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    assert "holds a model, which would be overwritten: take another --out" in refused(name, data, tmp_path, *more)
    assert contents(tmp_path) == whole[name]


# ---- stopped, and gone on ----


@each_command
@pytest.mark.parametrize("epoch", [1, 2, 3, 4])
def test_ctrl_c_keeps_the_best_and_the_run_can_be_resumed(name, epoch, data, whole, tmp_path, monkeypatch):
    """Bit for bit: whatever the run that nothing stopped leaves. The fourth epoch is the second seed's first."""
    log, done = RunFolder.log, []

    def pressed_in_the_next_epoch(folder, record):
        log(folder, record)
        done.append(record)
        if len(done) == epoch:
            monkeypatch.setattr(RunFolder, "log", log)
            signal.raise_signal(signal.SIGINT)
    monkeypatch.setattr(RunFolder, "log", pressed_in_the_next_epoch)
    out = tmp_path / "out"
    said = refused(name, data, out)
    assert said.startswith(f"{name}: interrupted; {out} keeps the model of epoch ") and "--resume goes on" in said
    assert COMMANDS[name][1].from_pretrained(out, strict=True) and (out / "metrics.jsonl").read_text().count("\n") == (
        epoch)
    before = contents(out)
    assert "holds a run that was stopped: --resume goes on" in refused(name, data, out)
    assert "lr is 0.5, was 0.003" in refused(name, data, out, "--resume", "--lr", "0.5")
    assert contents(out) == before
    run(name, data, out, "--resume")
    assert contents(out) == whole[name]
    assert "nothing to resume" in refused(name, data, out, "--resume")


SEARCH = ("--lr", "3e-3", "1e-3", "--seed", "3", "--eval-steps", "2", "--early-stopping", "2", "--warmup", "0.3",
          "--gradient-accumulation", "2", "--weight-decay", "0.1", "--max-train-samples", "20", "--epochs", "2",
          "--seeds", "1")


@each_command
def test_a_search_over_rates_is_resumed_within_an_epoch(name, data, tmp_path, monkeypatch, capsys):
    """With an evaluation every two steps of three an epoch, and Ctrl-C in the second trial."""
    smoothing = () if name == "squad" else ("--label-smoothing", "0.1")
    run(name, data, tmp_path / "whole", *SEARCH, *smoothing)
    said = capsys.readouterr().out
    assert "lr 0.003, seed 3  epoch 0.67/2  loss " in said and "The best learning rate on the development" in said
    wanted = contents(tmp_path / "whole")
    records = [json.loads(line) for line in wanted["metrics.jsonl"].splitlines()]
    assert records[0]["epoch"] == 2 / 3 and {(r["lr"], r["seed"]) for r in records} == {
        (3e-3, 3), (1e-3, 3)}
    first = sum(r["lr"] == 3e-3 for r in records)
    log, done = RunFolder.log, []

    def pressed(folder, record):
        log(folder, record)
        done.append(record)
        if len(done) == first + 1:
            monkeypatch.setattr(RunFolder, "log", log)
            signal.raise_signal(signal.SIGINT)
    monkeypatch.setattr(RunFolder, "log", pressed)
    said = refused(name, data, tmp_path / "out", *SEARCH, *smoothing)
    assert "keeps the model of epoch " in said and ", lr 0.003, seed " in said
    changed = refused(name, data, tmp_path / "out", *SEARCH, *smoothing, "--resume", "--eval-steps", "1")
    assert "--eval-steps is 1, was 2" in changed
    run(name, data, tmp_path / "out", *SEARCH, *smoothing, "--resume")
    assert contents(tmp_path / "out") == wanted


@each_command
def test_a_dry_run_leaves_nothing(name, data, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        run(name, data, tmp_path / "out", "--dry-run", "--max-steps", "4", "--max-train-samples", "8")
    assert not ended.value.code and not (tmp_path / "out").exists()
    said = capsys.readouterr().out
    assert re.search(r"^steps: 4 a run, 1 an epoch of [\d,]+ tokens; evaluations: 4 a run$", said, re.M), said
    assert re.search("^time: .* in all", said, re.M) and re.search("^memory: about ", said, re.M)


@each_command
def test_a_disk_that_is_full_from_some_moment_on(name, data, whole, tmp_path, monkeypatch, capsys):
    """Whichever write fails: the error names its path, what was best is there whole, and the run can be resumed."""
    replace, writes, limit = os.replace, [], None

    def counted(source, target):
        writes.append(str(target))
        if limit is not None and len(writes) > limit:
            raise OSError(errno.ENOSPC, "No space left on device", str(source))
        replace(source, target)
    monkeypatch.setattr(os, "replace", counted)
    run(name, data, tmp_path / "all")
    total = len(writes)
    assert total >= 12 and contents(tmp_path / "all") == whole[name]
    for limit in range(total):
        out = tmp_path / f"{limit}"
        writes.clear()
        said = refused(name, data, out)
        assert "No space left on device" in said and str(out) in said and ".tmp" not in said
        found = contents(out) if out.exists() else {}
        records = [json.loads(line) for line in found.get("metrics.jsonl", b"").splitlines()]
        if records:                                     # whatever was measured is kept
            model = COMMANDS[name][1].from_pretrained(out, strict=True)
            assert all(np.isfinite(p.data).all() for p in model.parameters())
        if len(records) == 6:                           # predictions never cost the model
            assert found["model.safetensors"] == whole[name]["model.safetensors"]
        keep, limit = limit, None
        run(name, data, out, *(["--resume"] if "checkpoint.safetensors" in found else []))
        assert contents(out) == whole[name], keep


@each_command
def test_the_best_model_stands_there_before_anything_is_said(name, data, tmp_path, monkeypatch):
    out, seen = tmp_path / "out", []

    class Watched(command.Stream):
        def write(self, text):
            if "  loss " in text:
                seen.append(sorted(path.name for path in out.iterdir()))
            return super().write(text)
    monkeypatch.setattr(command, "Stream", Watched)
    run(name, data, out)
    assert len(seen) == 6 and all({"model.safetensors", "metrics.jsonl", "checkpoint.safetensors"} <= set(found)
                                  for found in seen)


# ---- refused, and nothing touched ----


def foreign_metrics(folder):
    files.write_text(folder / "metrics.jsonl", '{"loss": 1.0}\n')


def foreign_model(folder):
    tiny_run.write(folder)


def other_run(folder):
    script = "import sys, time; from numbert.training.run_folder import RunFolder\n" \
             "with RunFolder(sys.argv[1]): print('here', flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"here\n"
    (folder / ".checkpoint.safetensors.1234.tmp").write_bytes(b"half of the other's checkpoint")
    return process


@each_command
@pytest.mark.parametrize("make, message", [
    (foreign_metrics, "metrics.jsonl: line 1 is no record of a run"),
    (foreign_model, "holds a model, which would be overwritten"), (other_run, "is in use by process")])
def test_a_folder_that_is_not_for_this_run(name, make, message, data, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    process = make(out)
    try:
        before, when = contents(out), {path: path.stat().st_mtime_ns for path in out.iterdir()}
        assert message in refused(name, data, out)
        assert contents(out) == before and when == {path: path.stat().st_mtime_ns for path in out.iterdir()}
    finally:
        if process:
            process.kill()
            process.communicate()
    if process:                                         # and when the other has died, its lock means nothing
        run(name, data, out)
        assert not (out / "run.lock").exists() and not (out / ".checkpoint.safetensors.1234.tmp").exists()


@each_command
def test_out_is_a_file_or_the_model_or_nothing_can_be_read(name, data, tmp_path):
    (tmp_path / "file").write_text("mine")
    assert f"{tmp_path}/file cannot be a run folder" in refused(name, data, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"
    (tmp_path / "link").symlink_to(data / "body")
    before = contents(data / "body")
    for out in (data / "body", tmp_path / "link"):
        assert "--out and --model are the same folder" in refused(name, data, out)
    assert contents(data / "body") == before
    refused(name, data, tmp_path / "a" / "b", "--model", tmp_path / "nowhere")
    assert not (tmp_path / "a").exists()


@each_command
@pytest.mark.parametrize("option, value", [
    ("--lr", "nan"), ("--lr", "0"), ("--lr", "-0.5"), ("--lr", "inf"), ("--dropout", "nan"), ("--dropout", "1"),
    ("--dropout", "-0.1"), ("--epochs", "0"), ("--batch-size", "-1"), ("--seeds", "0"), ("--early-stopping", "0"),
    ("--layer-decay", "nan"), ("--layer-decay", "1.5"), ("--max-length", "2"), ("--max-length", "41"),
    ("--warmup", "1.5"), ("--weight-decay", "inf"), ("--label-smoothing", "1"), ("--eval-steps", "0"),
    ("--max-steps", "-3"), ("--max-train-samples", "0")])
def test_settings_that_cannot_be_are_refused_before_the_first_step(name, option, value, data, tmp_path, monkeypatch):
    monkeypatch.setattr("numbert.training.finetuning.train", lambda *_, **__: pytest.fail("it trains"))
    said = refused(name, data, tmp_path / "out", f"{option}={value}")
    assert value.lstrip("-")[:3] in said and option in said and not (tmp_path / "out").exists(), said


# ---- how the output ends, and the process ----


def start(name, data, out, *more, **options):
    return subprocess.Popen([sys.executable, "-m", f"numbert.tasks.{name}", *arguments(name, data, out, *more)],
                            stderr=subprocess.PIPE, **options)


@each_command
def test_an_ascii_terminal_and_a_full_disk_behind_the_output(name, data, whole, tmp_path):
    process = start(name, data, tmp_path / "a", stdout=subprocess.PIPE, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    out, err = process.communicate()
    assert process.returncode == 0 and b"Traceback" not in err and b" ? " in out        # for the plus-minus sign
    assert contents(tmp_path / "a") == whole[name]
    with open("/dev/full", "wb") as full:
        process = start(name, data, tmp_path / "b", stdout=full)
        _, err = process.communicate()
    assert process.returncode == 0 and b"Traceback" not in err and b"Exception" not in err
    assert contents(tmp_path / "b") == whole[name]


@each_command
def test_nobody_reads_the_output(name, data, tmp_path):
    """As `| head -1`: the run stops when it has saved, as by Ctrl-C."""
    process = start(name, data, tmp_path / "out", stdout=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read()
    assert process.wait() == 1 and b"Traceback" not in err and b"keeps the model of epoch 1" in err
    COMMANDS[name][1].from_pretrained(tmp_path / "out", strict=True)
    run(name, data, tmp_path / "out", "--resume")


@each_command
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGKILL])
def test_a_closed_terminal_and_the_end_of_the_process(name, number, data, tmp_path):
    out = tmp_path / "out"
    process = start(name, data, out, "--epochs", "500", stdout=subprocess.PIPE)
    for line in process.stdout:
        if b"epoch 2/" in line:
            break
    assert "is in use by process" in refused(name, data, out)
    process.send_signal(number)
    _, err = process.communicate()
    assert b"Traceback" not in err
    assert number == signal.SIGKILL or b"keeps the model of epoch" in err
    COMMANDS[name][1].from_pretrained(out, strict=True)
    assert "holds a run that was stopped" in refused(name, data, out, "--epochs", "500")


# ---- the folder that is taken when none is named ----


@pytest.mark.parametrize("name, folder", [("glue", "runs/glue-RTE"), ("tagging", "runs/tagging")])
def test_a_second_run_takes_another_folder(name, folder, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = arguments(name, data, "x", "--epochs", "1", "--seeds", "1")
    del given[given.index("--out"):given.index("--out") + 2]
    COMMANDS[name][0].main(given)
    before = contents(tmp_path / folder)
    COMMANDS[name][0].main([*given, "--batch-size", "4"])
    assert contents(tmp_path / folder) == before and (tmp_path / f"{folder}-2" / "model.safetensors").exists()


# ---- the head ----


def head_of(folder, cls, prefix):
    return {name: array for name, array in cls.from_pretrained(folder).state_dict().items() if name.startswith(prefix)}


def test_a_head_of_the_same_size_is_new_unless_it_is_to_be_kept(data, tmp_path, monkeypatch, caplog):
    run("glue", data, tmp_path / "first")
    seen, before = [], kept.Kept.before

    def watched(self, course, *rest):
        seen.append(course.model.classifier.weight.data.copy())
        before(self, course, *rest)
    monkeypatch.setattr(kept.Kept, "before", watched)
    for more, new in (((), True), (("--keep-head",), False)):
        seen.clear()
        run("glue", data, tmp_path / f"second{new}", "--model", tmp_path / "first", *more)
        saved = head_of(tmp_path / "first", BertForSequenceClassification, "classifier")["classifier.weight"]
        assert [np.array_equal(drawn, saved) for drawn in seen] == [not new] * 2
        assert ("classifier.weight: the head is new" in caplog.text) == new
        caplog.clear()


def test_a_head_of_another_task_never_lands_in_this_one(data, tmp_path):
    """A tagger's classifier has the name and the size of the other's."""
    model = BertForTokenClassification.from_pretrained(data / "body", num_labels=2)
    model.save_pretrained(tmp_path / "tagger")
    nb.WordPieceTokenizer.from_pretrained(data / "body").save_pretrained(tmp_path / "tagger")
    said = refused("glue", data, tmp_path / "out", "--model", tmp_path / "tagger", "--keep-head")
    assert "must be that of a BertForSequenceClassification" in said
    assert contents(tmp_path / "out") == {}
    other = BertForSequenceClassification.from_pretrained(
        data / "body", num_labels=2, id2label={0: "not_entailment", 1: "entailment"})
    other.save_pretrained(tmp_path / "turned")
    nb.WordPieceTokenizer.from_pretrained(data / "body").save_pretrained(tmp_path / "turned")
    said = refused("glue", data, tmp_path / "out", "--model", tmp_path / "turned", "--keep-head")
    assert "the head to keep was learnt with id2label" in said


def test_a_head_of_another_size_is_new(data, tmp_path, caplog):
    BertForSequenceClassification.from_pretrained(data / "body", num_labels=3).save_pretrained(tmp_path / "mnli")
    nb.WordPieceTokenizer.from_pretrained(data / "body").save_pretrained(tmp_path / "mnli")
    caplog.clear()
    run("glue", data, tmp_path / "out", "--model", tmp_path / "mnli")
    assert "classifier.weight: the head is new" in caplog.text
    assert "classifier.weight: the head of an earlier task, (3, 16)" in caplog.text


# ---- tags ----


def lines(*sentences):
    return "\n\n".join("\n".join(f"{word}\t{tag}" for word, tag in sentence) for sentence in sentences) + "\n"


def tag_files(data, tmp_path, dev, *more, **paths):
    files.write_text(tmp_path / "dev.txt", dev)
    tagging.main(arguments("tagging", data, tmp_path / "out", "--dev", tmp_path / "dev.txt", *more))


def test_one_strange_tag_does_not_end_the_run(data, tmp_path, capsys):
    tag_files(data, tmp_path, "the O\nfilm B-good\nday I-good\n\nit B_bad\n")
    said = capsys.readouterr().out
    assert "tags: entities, IOB; the epoch is chosen by the F1 of entities" in said
    assert "not of this scheme, read as O (development): B_bad (1 words)" in said
    assert said.index("not of this scheme") < said.index("epoch 1/3") and "f1" in said


def test_files_of_one_name_are_not_one_file(data, tmp_path):
    (tmp_path / "b").mkdir()
    files.write_text(tmp_path / "b" / "dev.txt", "film O\n")
    tag_files(data, tmp_path, "the O\nfilm B-good\n", "--test", tmp_path / "b" / "dev.txt")
    found = contents(tmp_path / "out")
    assert found["dev-dev.predicted.txt"].count(b"\n") == 2 and found["test-dev.predicted.txt"].startswith(b"film ")
    assert "dev.predicted.txt" not in found


def test_a_development_file_without_a_tag(data, tmp_path):
    row = "1\tfilm\t_\t{}\t" + "\t".join("_" * 6) + "\n\n"
    for split, tag in (("train", "NOUN"), ("dev", "_"), ("test", "_")):
        files.write_text(tmp_path / f"{split}.conllu", row.format(tag) * 9)
    given = [f"--{split}={tmp_path}/{split}.conllu" for split in ("train", "dev", "test")]
    assert refused("tagging", data, tmp_path / "out", *given) == "tagging: development: no word has a tag"
    assert contents(tmp_path / "out") == {}
    given[1] = f"--dev={tmp_path}/train.conllu"
    run("tagging", data, tmp_path / "out", *given)
    assert (tmp_path / "out" / "test.predicted.conllu").read_text().count("NOUN") == 9


@pytest.mark.parametrize("tags, scheme, strange", [
    (["O", "B-X", "I-X"], "IOB", []), (["O", "I-X"], "IOB", []), (["O", "B", "I"], "IOB", []),
    (["O", "B_X", "I_X"], "IOB", []), (["O", "B-X", "E-X", "S-X"], "IOBES", []),
    (["O", "B-X", "L-X", "U-X"], "BILOU", []), (["B", "M", "E", "S"], "BMES", []),
    (["O", "B-X", "I-X", "X"], "IOB", ["X"]), (["B-X", "I-X", None], "IOB", []),
    (["NOUN", "VERB", "O"], None, None), (["O"], None, None), (["B", "I"], None, None),
    (["O", "B-X", "Y", "Z"], None, None), (["O", "S", "V"], None, None)])
def test_which_tags_are_those_of_entities(tags, scheme, strange):
    found = tagging.entities_in(set(tags))
    assert (found and found.scheme) == scheme and (found and found.strange) == strange


def test_every_scheme_is_scored_alike():
    """PER of two words, LOC of one: half of them found."""
    as_written = {"IOB": ["B-P", "I-P", "O", "B-L"], "BILOU": ["B-P", "L-P", "O", "U-L"],
                  "IOBES": ["B-P", "E-P", "O", "S-L"], "BMEWO": ["B-P", "E-P", "O", "W-L"]}
    for tags in as_written.values():
        assert tagging.measure([tags], [[*tags[:3], "O"]]) == {"f1": pytest.approx(2 / 3), "accuracy": 0.75}
    assert tagging.measure([["O", "B", "I", "O", "B"]], [["O", "B", "O", "O", "B"]])["f1"] == 0.5


def test_a_lock_of_a_process_whose_number_came_again(tmp_path):
    """The number of this very process's parent, which began at another time."""
    (tmp_path / "run.lock").write_text(json.dumps({"pid": os.getppid(), "host": os.uname().nodename, "started": 1}))
    with RunFolder(tmp_path):
        assert json.loads((tmp_path / "run.lock").read_text())["pid"] == os.getpid()
        with pytest.raises(ValueError, match="in use by this very process"):
            RunFolder(tmp_path).hold()
    assert not (tmp_path / "run.lock").exists()
    (tmp_path / "run.lock").write_text(json.dumps({"pid": 1, "host": "elsewhere", "started": 1}))
    with pytest.raises(ValueError, match="in use by process 1 on elsewhere"):
        RunFolder(tmp_path)


def test_a_process_that_has_ended_and_is_not_yet_buried(tmp_path):
    process = other_run(tmp_path)
    process.kill()
    for _ in range(500):
        with open(f"/proc/{process.pid}/stat") as file:
            if file.read().rpartition(")")[2].split()[0] == "Z":
                break
        time.sleep(0.01)
    with RunFolder(tmp_path):
        pass
    process.communicate()
