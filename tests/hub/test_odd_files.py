"""What is no file: named pipes, devices, links to nothing, whichever reader meets them; a file is opened once."""
import builtins
import json
import os
import re
import stat
import threading
from pathlib import Path

import numpy as np
import pytest

import numbert as nb
from numbert.hub import errors, files, safetensors, torch_pickle
from numbert.hub.checkpoint import load_weights
from numbert.pretraining.corpus import read_documents
from numbert.tasks import conll
from numbert.tasks.glue import data as glue
from numbert.tasks.squad import data as squad
from numbert.tasks.squad import metrics, reader

ROOT = Path(__file__).parents[2]
READERS = {
    "text": files.read_text, "json": errors.read_json, "map": errors.map_file, "safetensors": safetensors.read,
    "torch": torch_pickle.read, "weights": load_weights, "glue": lambda path: glue.read("RTE", path),
    "squad": squad.read, "conll": conll.read_conll, "predictions": metrics.read_json,
    "corpus": lambda path: read_documents([path]),
}
FOLDERS = {                     # a reader of a folder, and the names that it looks for
    "model": (nb.BertModel.from_pretrained, ["config.json", "model.safetensors"]),
    "writer": (nb.GPT2LMHeadModel.from_pretrained, ["generation_config.json"]),
    "wordpiece": (nb.WordPieceTokenizer.from_pretrained, [
        "vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"]),
    "bytes": (nb.ByteLevelBPETokenizer.from_pretrained, [
        "vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json"]),
    "answers": (reader.load_threshold, ["answers.json"]),
    "documents": (lambda folder: read_documents([folder]), ["a.txt"]),
}


def in_time(read, path):
    """What `read(path)` raises. A reader that hangs fails the test instead of holding it up."""
    raised = []

    def work():
        try:
            read(path)
        except Exception as error:                                  # noqa: BLE001  any: it is looked at below
            raised.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive(), f"{path}: still reading"
    assert raised, f"{path}: nothing was raised"
    assert isinstance(raised[0], ValueError | OSError) and str(path) in str(raised[0]) and "\n" not in str(raised[0])
    return str(raised[0])


def saved_everything(folder):
    """A folder in which each of FOLDERS finds what it needs."""
    small = dict(vocab_size=300, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    nb.BertModel(nb.BertConfig(**small), rng=np.random.default_rng(0)).save_pretrained(folder)
    return folder


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
@pytest.mark.parametrize("kind", READERS)
def test_a_pipe_and_a_device_are_refused_at_once(tmp_path, kind):
    for ending in (".safetensors", ".bin") if kind == "weights" else (".json", ".safetensors", ".bin", ".txt"):
        path = tmp_path / f"pipe{ending}"
        os.mkfifo(path)
        assert "is not a regular file but a pipe or a device" in in_time(READERS[kind], path)
        link = tmp_path / f"zero{ending}"
        link.symlink_to("/dev/zero")
        assert "is not a regular file" in in_time(READERS[kind], link)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
@pytest.mark.parametrize("folder, name", [(folder, name) for folder, (_, names) in FOLDERS.items() for name in names])
@pytest.mark.parametrize("kind", ["pipe", "link to nothing", "link in a circle"])
def test_a_name_that_is_looked_for(tmp_path, folder, name, kind):
    read, _ = FOLDERS[folder]
    if folder == "model":
        saved_everything(tmp_path)
    path = tmp_path / name
    path.unlink(missing_ok=True)
    if name == "merges.txt":
        (tmp_path / "vocab.json").write_text(json.dumps({"a": 0}))
    elif name not in ("vocab.txt", "vocab.json", "tokenizer.json") and folder in ("wordpiece", "bytes"):
        nb.WordPieceTokenizer(["[UNK]", "a"]).save_pretrained(tmp_path) if folder == "wordpiece" else \
            nb.ByteLevelBPETokenizer.train(["a"], vocab_size=261).save_pretrained(tmp_path)
        path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(path if kind == "link in a circle" else tmp_path / "gone")

    def reading(path):
        read(path.parent)

    message = in_time(reading, path)
    if kind == "link to nothing" and folder != "documents":
        assert f"is a link to {tmp_path / 'gone'}, where there is no file" in message


def test_a_file_is_opened_once(tmp_path, monkeypatch):
    opened = []
    for module, name in ((os, "open"), (builtins, "open")):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda path, *more, real=real, **options:
                            (opened.append(str(path)), real(path, *more, **options))[1])
    contents = {"conll.txt": b"\xef\xbb\xbfa\tO\n", "squad.json": b'{"data": []}', "text.txt": b"a b\n\nc",
                "rte.tsv": b"index\tsentence1\tsentence2\tlabel\n0\ta\tb\tentailment\n"}
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    safetensors.write(tmp_path / "x.safetensors", {"a": np.zeros(2)})
    reading = {"conll.txt": conll.read_conll, "rte.tsv": READERS["glue"], "squad.json": squad.read,
               "text.txt": lambda path: read_documents([path]), "x.safetensors": safetensors.read}
    for name, read in reading.items():
        opened.clear()
        read(tmp_path / name)
        assert opened == [str(tmp_path / name)]


def test_what_is_looked_at_is_what_is_read(tmp_path, monkeypatch):
    """The kind of a file is asked of what was opened, so nobody can put a pipe in its place between the two."""
    path = tmp_path / "x"
    path.write_text("text")
    monkeypatch.setattr(os, "stat", None)
    assert files.read_text(path) == "text"
    with files.open_to_read(path) as file:
        assert stat.S_ISREG(os.fstat(file.fileno()).st_mode)


@pytest.mark.parametrize("name, message", [
    ("bert_config.json", "there is no such file, only bert_config.json, as Google's own code calls it"),
    ("adapter_config.json", "there is no such file, only adapter_config.json, that of an adapter: merge it"),
    ("other.json", "there is no such file$")])
def test_what_stands_in_place_of_a_configuration_is_said(tmp_path, name, message):
    (tmp_path / name).write_text("{}")
    with pytest.raises(nb.CheckpointError, match=f"config.json: {message}"):
        nb.BertModel.from_pretrained(tmp_path)


@pytest.mark.parametrize("name", ["bert_model.ckpt.index", "tf_model.h5", "flax_model.msgpack", "model.onnx", "x.gguf"])
def test_weights_of_other_libraries_are_named(tmp_path, name):
    (tmp_path / name).write_text("")
    with pytest.raises(nb.CheckpointError, match=f"has no weights: looked for .*; {name} is of another library"):
        load_weights(tmp_path)


def test_json_is_read_in_one_place():
    """But for what a run writes for itself, in which older runs have NaN."""
    found = {str(path.relative_to(ROOT)) for path in (ROOT / "numbert").rglob("*.py")
             if re.search(r"\bjson\.loads?\(", path.read_text("utf-8"))}
    assert found == {"numbert/hub/errors.py", "numbert/training/run_folder.py"}


def test_other_peoples_files_are_opened_in_one_place():
    rooms = [ROOT / "numbert" / room for room in ("hub", "tokenizers", "models", "tasks", "pretraining")]
    found = [path.name for room in rooms for path in room.rglob("*.py")
             if re.search(r"(?<![\w.])open\(|read_bytes\(|(?<!files)\.read_text\(", path.read_text("utf-8"))]
    assert found == ["files.py"]
