"""The example as a user meets it: a real process, killed, interrupted, resumed, and given what it cannot use."""
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from example_scripts import load

import numbert as nb
from numbert.pretraining.families import FAMILIES
from numbert.training.checkpoint import read_settings, read_state
from numbert.training.run_folder import RunFolder

ROOT = Path(__file__).parents[2]
STEPS = 230                                 # not a multiple of the 40 steps between two checkpoints
OPTIONS = ("--steps", str(STEPS), "--save-every", "40", "--vocab-size", "80", "--batch-size", "4", "--max-length", "24",
           "--workers", "2", "--dropout", "0.1")
FILES = ["checkpoint.safetensors", "config.json", "curves.svg", "metrics.jsonl", "model.safetensors",
         "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"]
ANIMALS = "ant bee cat dog elk fox gnu hen ibis jay kite lark mole newt owl pig quail rat seal toad".split()


def heed_ctrl_c():
    """A shell starts what runs in the background deaf to it, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(*arguments):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    return subprocess.Popen([sys.executable, ROOT / "examples" / "pretrain.py", *map(str, arguments)],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
                            preexec_fn=heed_ctrl_c)


def finish(process):
    """(exit code, stdout, stderr)"""
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def succeed(*arguments):
    code, out, err = finish(start(*arguments))
    assert (code, err) == (0, ""), err
    return out


def refused(*arguments):
    """The one line of a run that ends with exit code 1."""
    code, _, err = finish(start(*arguments))
    assert code == 1 and err.count("\n") == 1 and err.startswith("pretrain.py: "), err
    return err


def steps_logged(folder):
    metrics = folder / "metrics.jsonl"
    return metrics.read_bytes().count(b'"training"') if metrics.exists() else 0


def wait_until(condition, process):
    """Wait for a state of the files; False if the process ends before."""
    while not condition():
        if process.poll() is not None:
            return False
        time.sleep(0.002)
    return True


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    rng, path = np.random.default_rng(0), tmp_path_factory.mktemp("text") / "animals.txt"

    def line():
        return " ".join(" ".join(rng.choice(ANIMALS, rng.integers(4, 10))).capitalize() + "." for _ in range(4))
    path.write_text("\n\n".join(f"{line()}\n{line()}" for _ in range(40)))
    return path


@pytest.fixture(scope="module")
def whole(text, tmp_path_factory):
    """The folder and the output of a run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    return folder, succeed("--text", text, "--out", folder, *OPTIONS)


@pytest.fixture(scope="module")
def stopped(text, tmp_path_factory):
    """A run that was interrupted by Ctrl-C: its folder, and what it said."""
    folder = tmp_path_factory.mktemp("stopped") / "run"
    process = start("--text", text, "--out", folder, *OPTIONS)
    assert wait_until(lambda: steps_logged(folder) > 90, process)
    process.send_signal(signal.SIGINT)
    code, out, err = finish(process)
    assert (code, err) == (0, "")
    return folder, out


def assert_same_run(folder, other):
    for name in ("model.safetensors", "checkpoint.safetensors", "metrics.jsonl", "curves.svg", "config.json"):
        assert (folder / name).read_bytes() == (other / name).read_bytes(), name


# What a run leaves


def test_it_leaves_what_it_says(whole):
    folder, out = whole
    assert sorted(os.listdir(folder)) == FILES
    said = out[out.index(f"In {folder}: "):]
    for name in ("model.safetensors", "config.json", "vocab.txt", "metrics.jsonl", "checkpoint.safetensors",
                 "curves.svg"):
        assert name in said
    assert re.search(r"held-out loss to be read against: unigram \d\.\d{3}, neighbours \d\.\d{3}", out)
    assert re.search(r"Held out: mlm \d\.\d{3} \([\d.]+%\)  nsp \d\.\d{3} \([\d.]+%\), \d+ masked tokens, \d+ pairs",
                     out)
    assert "Blanks in held-out sentences" in out and "[MASK]" in out
    assert re.search(r"^  \d\.\d{3} bits per character, .* not a code length", out, re.MULTILINE)


def test_the_files_hold_what_their_names_promise(whole):
    folder, out = whole
    model = nb.BertForPreTraining.from_pretrained(folder, strict=True)
    tokenizer = nb.WordPieceTokenizer.from_pretrained(folder)
    assert model.config.vocab_size == len(tokenizer) == 80
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [r["step"] for r in records if r["split"] == "training"] == list(range(1, STEPS + 1))
    held_out = [r for r in records if r["split"] == "held-out"]
    assert [r["step"] for r in held_out] == list(range(23, STEPS + 1, 23))
    assert f"Held out: mlm {held_out[-1]['mlm']:.3f}" in out
    assert not any("second" in name or "time" in name for name in records[0])
    step, settings = read_settings(folder / "checkpoint.safetensors")
    assert step == STEPS and settings["steps"] == STEPS and settings["dropout"] == 0.1


def test_it_learns(whole):
    """From ln 80 = 4.4 nats towards the entropy of the pieces: words drawn at random leave no more to learn."""
    records = [json.loads(line) for line in (whole[0] / "metrics.jsonl").read_text().splitlines()]
    mlm = [r["mlm"] for r in records if r["split"] == "training"]
    assert np.mean(mlm[:5]) > 4.0 and np.mean(mlm[-50:]) < 3.6


# The other families


@pytest.fixture(scope="module", params=["roberta", "albert", "gpt"])
def other(request, text, tmp_path_factory):
    """(family, folder, output) of a run of another model, with its own tokenizer and objective."""
    folder = tmp_path_factory.mktemp(request.param) / "run"
    size = "80" if request.param == "albert" else "300"
    return request.param, folder, succeed("--text", text, "--out", folder, "--model", request.param, "--steps", "60",
                                          "--save-every", "25", "--batch-size", "4", "--max-length", "24",
                                          "--vocab-size", size, "--workers", "2")


def test_the_others_leave_what_they_say(other):
    family, folder, out = other
    row = FAMILIES[family]
    tokenizer = row.tokenizer_class.from_pretrained(folder)
    model = row.model_class.from_pretrained(folder, strict=True)
    assert model.config.vocab_size == len(tokenizer)
    said = out[out.index(f"In {folder}: "):]
    for name in {path.name for path in folder.iterdir()} - {"special_tokens_map.json", "tokenizer_config.json"}:
        assert name in said, name
    figures = {"roberta": r"mlm [\d.]+ \([\d.]+%\)", "albert": r"mlm [\d.]+ \([\d.]+%\)  sop [\d.]+ \([\d.]+%\)",
               "gpt": r"lm [\d.]+ \([\d.]+%\)"}[family]
    count = r"[\d,]+ tokens" if family == "gpt" else r"[\d,]+ masked tokens"
    pairs = r", \d+ pairs" if family == "albert" else ""
    assert re.search(rf"^Held out: {figures}, {count}{pairs}$", out, re.MULTILINE)
    assert ("the code length of the text" if family == "gpt" else "not a code length") in out
    assert re.search(rf"unigram [\d.]+, {'trigram' if family == 'gpt' else 'neighbours'} [\d.]+ nats", out)
    assert "Beginnings of held-out sentences" in out if family == "gpt" else "Blanks in held-out sentences" in out
    _, settings = read_settings(folder / "checkpoint.safetensors")
    assert (settings["model"], settings["objective"]) == (family, row.objectives[0])
    assert settings["mask_unit"] == ("ngram" if family == "albert" else "token")
    curves = (folder / "curves.svg").read_text()
    titles = {"gpt": ["Next words"], "roberta": ["Masked words"], "albert": ["Masked words", "Sentence order"]}[family]
    assert all(f"{title}: nats" in curves for title in titles) and curves.count(": nats") == len(titles)


@pytest.mark.parametrize("family", ["bert", "gpt"])
def test_a_text_without_spaces_shows_no_sentences_and_says_why(family, tmp_path):
    text, rng = tmp_path / "text.txt", np.random.default_rng(0)
    text.write_text("\n\n".join("".join(rng.choice(list("一二三四五六七八九十"), 9)) + "。" for _ in range(200)),
                    encoding="utf-8")
    out = succeed("--text", text, "--out", tmp_path / "run", "--model", family, "--objective",
                  "causal" if family == "gpt" else "mlm", "--steps", "4", "--batch-size", "4", "--max-length", "24",
                  "--vocab-size", "290", "--workers", "1")
    assert "(none: this takes sentences of 8 to 25 words with spaces between them)" in out


def test_the_others_learn(other):
    family, folder, _ = other
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    held_out = [record["lm" if family == "gpt" else "mlm"] for record in records if record["split"] == "held-out"]
    bits = [record["bits_per_character"] for record in records if record["split"] == "held-out"]
    assert len(held_out) == 10 and held_out[-1] < held_out[0] - 0.3
    assert np.allclose(np.array(bits) / bits[0], np.array(held_out) / held_out[0], rtol=1e-9)


def test_the_others_go_on_where_they_stopped(other, text, tmp_path):
    family, folder, _ = other
    process = start("--text", text, "--out", tmp_path / "run", "--model", family, "--steps", "60", "--save-every", "25",
                    "--batch-size", "4", "--max-length", "24", "--workers", "2",
                    "--vocab-size", "80" if family == "albert" else "300")
    if wait_until(lambda: steps_logged(tmp_path / "run") > 28, process):
        process.kill()
    finish(process)
    out = succeed("--resume", "--out", tmp_path / "run")
    assert re.search(r"goes on after step (25|50|60)", out)
    assert_same_run(folder, tmp_path / "run")


@pytest.mark.parametrize("arguments, message", [
    (["--model", "gpt", "--objective", "mlm"], "--model gpt learns by causal, not by mlm"),
    (["--model", "bert", "--objective", "causal"], "bert learns by mlm+nsp or mlm or mlm+sop or full-sentences, not by "
                                                   "causal"),
    (["--model", "roberta", "--objective", "mlm+nsp"], "roberta learns by full-sentences or mlm, not by mlm+nsp"),
    (["--model", "gpt", "--mask-unit", "span"], "--mask-unit is for masked words, and --model gpt masks none"),
    (["--model", "gpt", "--mask-rate", "0.2"], "--mask-rate is for masked words, and --model gpt masks none"),
    (["--model", "roberta"], "--vocab-size must be at least 261, the special tokens and 256 bytes, got 80"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else None)
def test_what_does_not_go_together(arguments, message, text, tmp_path):
    assert message in refused("--text", text, "--out", tmp_path / "run", *OPTIONS, *arguments)
    assert os.listdir(tmp_path / "run") == []


def test_masking_by_spans_is_recorded_and_held_out_text_is_measured_alike(text, tmp_path):
    """So that runs that mask otherwise can be compared."""
    held = []
    for unit in ("token", "span"):
        out = succeed("--text", text, "--out", tmp_path / unit, *OPTIONS, "--steps", "1", "--mask-unit", unit)
        held.append(re.search(r"unigram [\d.]+", out)[0])                # depends on which tokens are hidden
        assert read_settings(tmp_path / unit / "checkpoint.safetensors")[1]["mask_unit"] == unit
    assert held[0] == held[1]


# Stopping and going on


def test_killed_again_and_again_it_ends_the_same(text, whole, tmp_path):
    """SIGKILL in the set-up, in the middle of writing a checkpoint, and at random moments of the training."""
    folder, rng = tmp_path / "run", np.random.default_rng()

    def saving():
        return folder.exists() and any(name.startswith(".checkpoint") for name in os.listdir(folder))

    def training():
        goal = steps_logged(folder) + int(rng.integers(1, 60))
        return lambda: steps_logged(folder) >= goal
    plans = [lambda: folder.exists, lambda: saving, training, training, lambda: saving, training, training]
    kills, places = 0, set()
    for plan in plans:
        process = begin(text, folder)
        if wait_until(plan(), process):
            time.sleep(rng.random() * 0.02)
            process.kill()
            kills += process.wait() == -signal.SIGKILL
            places.add(steps_logged(folder))
        finish(process)
    code, out, err = finish(begin(text, folder))
    assert (code, err) == (0, "") and kills >= 4 and len(places) >= 3, (kills, places, err)
    assert_same_run(folder, whole[0])


def begin(text, folder):
    """Start, or go on where there is something to go on with."""
    if (folder / "checkpoint.safetensors").exists():
        return start("--resume", "--out", folder)
    return start("--text", text, "--out", folder, *OPTIONS)


def test_ctrl_c_saves_and_says_how_to_go_on(stopped, whole, tmp_path):
    folder, out = stopped
    step, _ = read_settings(folder / "checkpoint.safetensors")
    assert 90 < step < STEPS and step == steps_logged(folder) and not (folder / "model.safetensors").exists()
    said = re.search(r"^stopped; python examples/pretrain.py (.*)  goes on$", out, re.MULTILINE)
    assert said[1].split() == ["--resume", "--out", str(folder)]
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in os.listdir(folder):
        (copy / name).write_bytes((folder / name).read_bytes())
    assert f"goes on after step {step}" in succeed("--resume", "--out", copy)
    assert_same_run(copy, whole[0])


def test_ctrl_c_before_the_first_step_leaves_nothing_in_the_way(text, tmp_path):
    folder = tmp_path / "run"
    process = start("--text", text, "--out", folder, "--vocab-size", "80", "--batch-size", "64",
                    "--size", "small", "--minutes", "1", "--workers", "1")          # timing the steps takes seconds
    assert any(" parameters, 1 workers" in line for line in process.stdout)
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert (code, err) == (1, "pretrain.py: interrupted\n") and os.listdir(folder) == []
    assert "there is nothing to resume" in refused("--resume", "--out", folder)
    out = succeed("--text", text, "--out", folder, *OPTIONS, "--steps", "1", "--model", "gpt", "--vocab-size", "300")
    assert "vocab.json and merges.txt" in out and not (folder / "vocab.txt").exists()


def test_a_finished_run_can_be_resumed_and_stays_as_it_is(whole, tmp_path):
    before = {name: (whole[0] / name).read_bytes() for name in FILES}
    assert "goes on after step 230" in succeed("--resume", "--out", whole[0])
    assert {name: (whole[0] / name).read_bytes() for name in os.listdir(whole[0])} == before


def test_a_second_start_is_refused_and_touches_nothing(text, stopped):
    folder, _ = stopped
    before = {name: (folder / name).read_bytes() for name in os.listdir(folder)}
    assert "holds a run: --resume goes on with it" in refused("--text", text, "--out", folder, *OPTIONS)
    assert {name: (folder / name).read_bytes() for name in os.listdir(folder)} == before


def test_a_folder_with_someone_elses_model_is_not_overwritten(text, whole, tmp_path):
    for name in ("config.json", "model.safetensors", "vocab.txt"):
        (tmp_path / name).write_bytes((whole[0] / name).read_bytes())
    assert "holds a model, which would be overwritten" in refused("--text", text, "--out", tmp_path, *OPTIONS)


@pytest.fixture
def copy(stopped, tmp_path):
    """A stopped run of one's own, to be spoilt."""
    folder = tmp_path / "copy"
    folder.mkdir()
    for name in os.listdir(stopped[0]):
        (folder / name).write_bytes((stopped[0] / name).read_bytes())
    yield folder
    if (folder / "checkpoint.safetensors").exists():                # refused, it must not have gone on
        assert ((folder / "metrics.jsonl").read_bytes() == (stopped[0] / "metrics.jsonl").read_bytes())


def test_resuming_with_other_options_lists_them(copy):
    line = refused("--resume", "--out", copy, "--lr", "0.5", "--seed", "7", "--batch-size", "4")
    assert "was started with other options: lr is 0.5, was 0.002; seed is 7, was 0" in line


def test_resuming_with_another_vocabulary_is_refused(copy):
    tokens = (copy / "vocab.txt").read_text().split("\n")
    tokens[20], tokens[21] = tokens[21], tokens[20]
    (copy / "vocab.txt").write_text("\n".join(tokens))
    assert "in tokenizer.json: delete the file that is wrong" in refused("--resume", "--out", copy)
    (copy / "tokenizer.json").unlink()
    assert re.search(r"checkpoint.safetensors belongs to another run: .*vocabulary is '\w+', was '\w+'",
                     refused("--resume", "--out", copy))


def test_resuming_with_another_text_is_refused(copy, text):
    before = text.read_text()
    try:
        text.write_text(before.replace("owl", "pig"))
        line = refused("--resume", "--out", copy)
    finally:
        text.write_text(before)
    assert re.search(r"belongs to another run: tokens is '\w+', was '\w+'", line) and "vocabulary" not in line


# Bad input: one line, which names the file, the line or the value


def test_a_vocabulary_without_mask(copy):
    path = copy / "vocab.txt"
    path.write_text(path.read_text().replace("[MASK]", "[mask]"))
    assert "vocab.txt: added token '[MASK]' should have id 4, which is '[mask]'" in refused("--resume", "--out", copy)


def test_a_checkpoint_that_is_damaged_or_not_ours(copy, whole):
    path = copy / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    assert "checkpoint.safetensors: the header describes" in refused("--resume", "--out", copy)
    path.write_bytes((whole[0] / "model.safetensors").read_bytes())
    assert "not a checkpoint of a training run" in refused("--resume", "--out", copy)
    path.unlink()
    assert "holds no checkpoint.safetensors: there is nothing to resume" in refused("--resume", "--out", copy)


@pytest.mark.parametrize("content, message", [
    (b"", "bad.txt: no text in it"),
    (b"\n \n\t\n", "bad.txt: no text in it"),
    (b"The cat sat.\n\nThe dog s\xe4t.\n", "bad.txt: not UTF-8: byte 0xe4 at offset 23"),
    (b"One document only. It has two sentences.\nAnd another paragraph.\n", "needs at least 4 documents, two on each "
                                                                         "side, got 1"),
    (b"a\n\nb\n\nc\n\nd\n\ne\n", "make no example of mlm+nsp"),
], ids=["empty", "blank", "not UTF-8", "one document", "too short"])
def test_a_text_that_cannot_be_used(content, message, tmp_path):
    (tmp_path / "bad.txt").write_bytes(content)
    assert message in refused("--text", tmp_path / "bad.txt", "--out", tmp_path / "run", "--vocab-size", "9")


@pytest.mark.parametrize("arguments, message", [
    (["--text", "{tmp}/nothing.txt"], "nothing.txt: no such file or folder"),
    (["--text", "{tmp}"], "no *.txt file in this folder"),
    (["--out", "{text}"], "File exists"),
    (["--out", "{text}/below"], "Not a directory"),
    (["--steps", "0"], "--steps must be in 1..1e+12, got 0"),
    (["--minutes", "-1"], "--minutes must be in 0.001..1e+06, got -1.0"),
    (["--minutes", "nan"], "--minutes must be in 0.001..1e+06, got nan"),
    (["--save-every", "0"], "--save-every must be in 1..1e+12, got 0"),
    (["--workers", "0"], "--workers must be in 1..10000, got 0"),
    (["--vocab-size", "5"], "--vocab-size must be in 6..1e+09, got 5"),
    (["--batch-size", "0"], "--batch-size must be in 1..1e+06, got 0"),
    (["--batch-size", "9999"], "fewer than one batch of 9999"),
    (["--mask-rate", "1.5"], "--mask-rate must be in 0.001..1, got 1.5"),
    (["--dropout", "1"], "--dropout must be in 0..0.99, got 1.0"),
    (["--max-length", "3"], "--max-length must be in 5..512, got 3"),
    (["--max-length", "5000"], "--max-length must be in 5..512, got 5000"),
    (["--lr", "-1"], "--lr must be in 1e-12..10, got -1.0"),
    (["--lr", "nan"], "--lr must be in 1e-12..10, got nan"),
    (["--seed", "-1"], "--seed must be in 0..1e+18, got -1"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else None)
def test_options_that_cannot_be(arguments, message, text, tmp_path):
    arguments = [argument.format(tmp=tmp_path, text=text) for argument in arguments]
    line = refused("--text", text, "--out", tmp_path / "run", *OPTIONS, *arguments)
    assert message in line
    assert not (tmp_path / "run" / "checkpoint.safetensors").exists()
    assert text.is_file()


def test_help_explains_every_option():
    out = succeed("--help")
    for name in ("text", "out", "resume", "steps", "minutes", "model", "size", "vocab-size", "objective", "mask-unit",
                 "seed", "workers", "quick"):
        assert re.search(rf"^  --{name} .*?(\n {{20,}}\S|  \S)", out, re.MULTILINE), name


def test_a_run_keeps_to_its_optimizer(text, tmp_path, monkeypatch, capsys):
    """LAMB, stopped and resumed, gives what it gives in one go; with AdamW it does not go on, nor is it the same."""
    pretrain = load("pretrain")
    given = ["--text", str(text), "--vocab-size", "80", "--batch-size", "4", "--max-length", "24", "--workers", "1",
             "--steps", "6", "--out"]
    whole, stopped, usual = (tmp_path / name for name in ("whole", "stopped", "usual"))
    pretrain.main([*given, str(whole), "--optimizer", "lamb"])
    pretrain.main([*given, str(usual)])
    assert "optimizer" not in read_settings(usual / "checkpoint.safetensors")[1]        # as before there was a choice
    with monkeypatch.context() as patch:
        steps = pretrain.train

        def interrupted(*arguments, **options):
            for step in steps(*arguments, **options):
                if step.number == 3:
                    signal.raise_signal(signal.SIGINT)
                yield step
        patch.setattr(pretrain, "train", interrupted)
        pretrain.main([*given, str(stopped), "--optimizer", "lamb"])
    step, settings = read_settings(stopped / "checkpoint.safetensors")
    assert step == 3 and settings["optimizer"] == "lamb"
    with pytest.raises(SystemExit, match="started with other options: optimizer is 'adamw', was 'lamb'"):
        pretrain.main(["--resume", "--out", str(stopped), "--optimizer", "adamw"])
    pretrain.main(["--resume", "--out", str(stopped)])
    for name in ("model.safetensors", "metrics.jsonl", "checkpoint.safetensors"):
        assert (stopped / name).read_bytes() == (whole / name).read_bytes() != (usual / name).read_bytes()
    capsys.readouterr()


def test_the_minutes_that_were_promised(text, tmp_path, monkeypatch, capsys):
    """The machine gets six times slower on the way; stopped and resumed, the run has the time that was left."""
    pretrain, clock = load("pretrain"), [0.0]
    pretrain_train = pretrain.train

    def slower(*arguments, **options):
        for step in pretrain_train(*arguments, **options):
            clock[0] += 0.1 if clock[0] < 20 else 0.6
            if 30 < clock[0] < 30.5:
                signal.raise_signal(signal.SIGINT)
            yield step
    monkeypatch.setattr(pretrain, "train", slower)
    monkeypatch.setattr(pretrain, "steps_within", lambda *_: 600)
    monkeypatch.setattr(pretrain, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    given = ["--text", str(text), "--out", str(tmp_path / "run"), "--vocab-size", "80", "--batch-size", "4",
             "--max-length", "24", "--workers", "1"]
    pretrain.main([*given, "--minutes", "1"])
    assert "stopped; " in capsys.readouterr().out
    saved = read_state(tmp_path / "run" / "checkpoint.safetensors")
    assert saved["minutes"] == 1 and 30 < saved["seconds"] < 31 and saved["changes"]
    with pytest.raises(SystemExit, match=r"was started with other options: minutes is 2.0, was 1.0"):
        pretrain.main(["--resume", "--out", str(tmp_path / "run"), "--minutes", "2"])
    pretrain.main(["--resume", "--out", str(tmp_path / "run")])
    assert 54 <= clock[0] <= 66, clock
    step, _ = read_settings(tmp_path / "run" / "checkpoint.safetensors")
    assert read_state(tmp_path / "run" / "checkpoint.safetensors")["changes"][-1][2] == step < 600
    rates = [record["lr"] for record in RunFolder(tmp_path / "run").records() if record["split"] == "training"]
    assert len(rates) == step and rates.index(max(rates)) == 59 and sorted(rates[59:], reverse=True) == rates[59:]
