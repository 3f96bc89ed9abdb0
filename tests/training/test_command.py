"""All commands begin and end alike: settings that cannot be, a mistake, Ctrl-C, an output that ends."""
import argparse
import io
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_run

from numbert.hub.errors import CheckpointError
from numbert.training import command

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(str(path.relative_to(ROOT / "examples")) for folder in (".", "lecture", "use")
                 for path in (ROOT / "examples" / folder).glob("*.py")
                 if any(word in path.read_text(encoding="utf-8") for word in ("lr=", '"--lr"', "toy.arguments")))
MODULES = ["numbert.gradcheck", "numbert.trace", "numbert.tasks.glue", "numbert.tasks.tagging", "numbert.tasks.squad"]


def start(name, *arguments, **options):
    program = ["-m", name] if name.startswith("numbert.") else [str(ROOT / "examples" / name)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | options.pop("env", {})
    return subprocess.Popen([sys.executable, *program, *map(str, arguments)], stdout=options.pop("stdout", -1),
                            stderr=subprocess.PIPE, text=True, env=environment, **options)


def options_of(name):
    """The help of a command."""
    out, err = start(name, "--help").communicate()
    assert not err
    return out


@pytest.mark.parametrize("name", [*SCRIPTS, *MODULES])
def test_rates_that_cannot_be_are_refused_in_one_line(name, tmp_path):
    said, needed = options_of(name), {
        "numbert.tasks.glue": ["--task", "rte", "--data", "x", "--model", "x"],
        "numbert.tasks.tagging": ["--train", "x", "--dev", "x", "--model", "x"],
        "numbert.tasks.squad": ["--train", "x", "--dev", "x", "--model", "x", "--out", "x"]}.get(name, [])
    if "--lr " not in said and "--pretraining-lr" not in said:
        pytest.skip("it has no learning rate")
    option = "--lr" if "--lr " in said else "--pretraining-lr"
    process = start(name, *needed, option, "nan", cwd=tmp_path)
    out, err = process.communicate()
    assert process.returncode == 1 and err.count("\n") == 1 and f"{option} must be" in err and "got nan" in err, err
    assert list(tmp_path.iterdir()) == [] and "step" not in out


@pytest.mark.parametrize("settings, message", [
    ({"lr": float("nan")}, "lr must be above 0, got nan"), ({"lr": 0.0}, "lr must be above 0, got 0.0"),
    ({"lr": -1.0}, "lr must be above 0"), ({"lr": float("inf")}, "lr must be a finite number, got inf"),
    ({"rates": [1e-3, float("nan")]}, "rates must be above 0, got nan"), ({"steps": 0}, "steps must be at least 1"),
    ({"seed": -1}, "seed must be at least 0"), ({"dropout": 1.0}, "dropout must be below 1"),
    ({"dropout": float("nan")}, "dropout must be at least 0, got nan"),
    ({"labels": [10, 0]}, "labels must be at least 1, got 0")])
def test_numbers_that_cannot_be(settings, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        command.check_numbers(settings)


def test_numbers_that_can_be():
    command.check_numbers({"lr": 1e-9, "seed": 0, "dropout": 0.0, "threshold": 0.0, "out": "x", "quick": False,
                           "patience": None, "steps": 1, "labels": [1, 2]})


@pytest.mark.parametrize("error, said", [
    ("layer_decay must be in (0, 1], got 2", "--layer-decay must be in (0, 1], got 2"),
    ("a.tsv: say columns=... if it is laid out otherwise", "a.tsv: say --columns if it is laid out otherwise"),
    ("2 columns (skip_broken=True leaves such rows out)", "2 columns (--skip-broken leaves such rows out)"),
    ("columns must be, patience must be", "--columns must be, patience must be"),
    ("patience must be 1", "--early-stopping must be 1"), ("layer_decay=3 is", "--layer-decay 3 is"),
    ("a/layer_decay/b.tsv: no row, layer_decay.txt", "a/layer_decay/b.tsv: no row, layer_decay.txt")])
def test_errors_speak_of_options(error, said):
    some = argparse.ArgumentParser()
    some.add_argument("--early-stopping", "--patience", dest="patience")
    for option in ("--layer-decay", "--columns", "--skip-broken"):
        some.add_argument(option)
    with pytest.raises(ValueError) as found, command.in_options(some):
        raise ValueError(error)
    assert str(found.value) == said
    with pytest.raises(CheckpointError, match="layer_decay"), command.in_options(some):     # a setting in the file
        raise CheckpointError("config.json", "layer_decay must be 1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_run.write(tmp_path_factory.mktemp("model"))[0]


@pytest.mark.parametrize("name, arguments", [
    ("numbert.gradcheck", ["layer_norm", "linear", "Linear"]), ("numbert.trace", ["the film was good"]),
    ("lecture/19_three_masks.py", []),
    ("lecture/11_cost.py", ["--quick"])])
def test_nobody_reads_the_output_or_it_cannot_be_written(name, arguments, folder, tmp_path):
    """No traceback, and what is written to files is written."""
    arguments = [*arguments, "--model", folder] if name.endswith("trace") else arguments
    whole = start(name, *arguments, cwd=tmp_path, env={"PYTHONIOENCODING": "ascii"})
    _, err = whole.communicate()
    assert whole.returncode == 0 and "Traceback" not in err
    written = sorted(path.name for path in tmp_path.rglob("*"))
    for kind in ("pipe", "full"):
        place = tmp_path / kind
        place.mkdir()
        with open("/dev/full", "w") as full:
            process = start(name, *arguments, cwd=place, stdout=subprocess.PIPE if kind == "pipe" else full)
            if kind == "pipe":
                process.stdout.readline()
                process.stdout.close()
            err = process.stderr.read()
        assert process.wait() == 0 and "Traceback" not in err and "Exception" not in err, err
        assert sorted(path.name for path in place.rglob("*")) == written


def parser():
    return argparse.ArgumentParser(prog="python -m numbert.tasks.thing")


@pytest.mark.parametrize("error, said", [
    (ValueError("no"), "thing: no"), (OSError(28, "No space left on device", "/a"),
                                      "thing: [Errno 28] No space left on device: '/a'"),
    (KeyboardInterrupt(), "thing: interrupted"), (KeyboardInterrupt("all is kept"), "thing: interrupted; all is kept")])
def test_what_ends_a_command_is_one_line(error, said):
    with pytest.raises(SystemExit) as ended, command.one_line(command.name_of(parser())):
        raise error
    assert ended.value.code == said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_end_of_the_process_and_of_the_terminal_are_as_ctrl_c(number):
    before = signal.getsignal(number)
    with pytest.raises(SystemExit, match="^thing: interrupted$"), command.one_line("thing"):
        signal.raise_signal(number)
    assert signal.getsignal(number) == before


class Broken(io.StringIO):
    def write(self, text):
        raise BrokenPipeError(32, "Broken pipe")


def test_output_that_breaks_is_dropped_and_comes_back_after_the_command(monkeypatch, capsys):
    broken = Broken()
    monkeypatch.setattr(sys, "stdout", broken)
    with command.one_line("thing"):
        print("nobody reads this")
        sys.stdout.flush()
    assert sys.stdout is broken


def test_quick_gives_way_to_what_is_said():
    some = parser()
    some.add_argument("--steps", type=int, default=100)
    command.add_quick(some, {"steps": 3})
    assert [command.parse(some, given).steps for given in (["--quick", "--steps", "7"], ["--quick"])] == [7, 3]
    assert "--steps 3" in some.format_help()


def test_several_presets_and_what_is_given():
    def some():
        parser = argparse.ArgumentParser()
        parser.add_argument("--steps", type=int, default=100)
        parser.add_argument("--tasks", nargs="+", default=["tag"])
        command.add_quick(parser, {"steps": 3})
        command.add_preset(parser, "full", {"steps": 900, "tasks": ["tag", "infer"]}, "all of it")
        return parser

    assert vars(command.parse(some(), ["--full"])) == {"steps": 900, "tasks": ["tag", "infer"], "quick": False,
                                                       "full": True}
    both = command.parse(some(), ["--full", "--quick"])
    assert (both.steps, both.tasks) == (3, ["tag", "infer"])
    assert command.given(some(), []) == set() and command.given(some(), ["--quick"]) == {"quick"}
    assert command.given(some(), ["--steps", "100", "--tasks", "tag"]) == {"steps", "tasks"}


def test_the_command_as_it_is_typed():
    """What is spelled gives the same options again, and says nothing that holds anyway."""
    parser = argparse.ArgumentParser(prog="python -m numbert.tasks.x")
    parser.add_argument("--train", required=True)
    parser.add_argument("--labels", nargs="+")
    parser.add_argument("--lr", nargs="+", type=float, default=[0.1])
    parser.add_argument("--no-header", action="store_true")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out")
    given = ["--train", "my file's.csv", "--labels", "a=b", "c d=e", "--lr", "0.5", "0.25", "--no-header"]
    options = parser.parse_args([*given, "--out", "o", "--workers", "1", "--epochs", "3"])
    words = shlex.split(command.spelled(parser, options))
    assert words == ["python", "-m", "numbert.tasks.x", *given]
    assert vars(parser.parse_args(words[3:])) == vars(options) | {"out": None, "workers": 2}
    command.only_for(parser, options, "--evaluate", ("train", "labels", "lr", "no_header", "out", "workers"))
    with pytest.raises(ValueError, match="--no-header is for fine-tuning, not for --evaluate"):
        command.only_for(parser, options, "--evaluate", ("train", "labels", "lr", "out", "workers"))


def test_an_option_is_called_as_it_is_typed_first(capsys):
    """--early-stopping sets `patience`; also where the option is one of a task among several."""
    parser = argparse.ArgumentParser(prog="python -m numbert.x")
    task = parser.add_subparsers(dest="task").add_parser("one")
    for some in (parser, task):
        some.add_argument("--early-stopping", "--patience", dest="patience", type=int)
    for argv in (["--patience", "0"], ["one", "--patience", "0"]):
        with pytest.raises(SystemExit, match="^x: --early-stopping must be at least 1, got 0$"):
            command.parse(parser, argv)
    options = parser.parse_args(["--patience", "3"])
    assert command.spelled(parser, options) == "python -m numbert.x --early-stopping 3"
    with pytest.raises(ValueError, match="^--early-stopping is for fine-tuning"):
        command.only_for(parser, options, "--evaluate", ())
