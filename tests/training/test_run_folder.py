import os

import pytest

from numbert.training import run_folder
from numbert.training.loop import Step
from numbert.training.run_folder import Progress, RunFolder


def test_a_folder_is_made_and_left_empty(tmp_path):
    folder = RunFolder(tmp_path / "a" / "b")
    assert os.listdir(tmp_path / "a" / "b") == []
    assert folder.checkpoint == tmp_path / "a" / "b" / "checkpoint.safetensors"
    assert folder.records() == []


def test_a_folder_that_is_there_keeps_its_files(tmp_path):
    (tmp_path / "model.safetensors").write_text("x")
    RunFolder(tmp_path)
    assert os.listdir(tmp_path) == ["model.safetensors"] and (tmp_path / "model.safetensors").read_text() == "x"


def test_a_folder_that_cannot_be_is_an_error_at_once(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(OSError):
            RunFolder(path)

    def no(*_):
        raise PermissionError(13, "Permission denied")
    monkeypatch.setattr(run_folder, "replacing", no)                       # root may write wherever it likes
    with pytest.raises(PermissionError):
        RunFolder(tmp_path / "other")


def test_records_come_back_in_their_order(tmp_path):
    folder = RunFolder(tmp_path)
    records = [{"step": 1, "mlm": 0.1 + 0.2, "split": "training"}, {"step": 1, "mlm": 3}, {"step": 2, "mlm": 1e-300}]
    for record in records:
        folder.log(record)
    assert RunFolder(tmp_path).records() == records
    assert folder.metrics.read_text().count("\n") == 3


def test_a_line_that_was_cut_short_is_left_out_and_written_anew(tmp_path):
    folder = RunFolder(tmp_path)
    for step in (1, 2):
        folder.log({"step": step})
    whole = folder.metrics.read_bytes()
    for end in range(len(whole)):
        folder.metrics.write_bytes(whole[:end])
        assert folder.records() == [{"step": 1}, {"step": 2}][:whole[:end].count(b"\n")]
        folder.rewind(1)
        folder.log({"step": 2})
        if end > 11:
            assert folder.metrics.read_bytes() == whole


def test_rewinding_forgets_what_came_after(tmp_path):
    folder = RunFolder(tmp_path)
    for step in (1, 2, 2, 3, 4):
        folder.log({"step": step})
    folder.rewind(2)
    assert [record["step"] for record in folder.records()] == [1, 2, 2]
    folder.rewind(0)
    assert folder.records() == [] and folder.metrics.read_bytes() == b""
    folder.rewind(5)


def test_a_line_that_is_no_record_is_named(tmp_path):
    folder = RunFolder(tmp_path)
    folder.metrics.write_text('{"step": 1}\n{"step": 2\n{"step": 3}\n')
    with pytest.raises(ValueError, match="metrics.jsonl: line 2 is not JSON"):
        folder.records()


def test_progress_says_now_and_then_how_far_it_is(monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr(run_folder.time, "monotonic", lambda: now[0])
    progress = Progress(steps=200, start=100, every=5)
    for number in range(101, 201):
        now[0] += 2.0
        progress.update(Step(number, {}, lr=1.5e-4, gradient_norm=1.0, tokens=1000, seconds=2.0), lambda: "mlm 1")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "step 103/200  mlm 1  lr 1.5e-04  500 tokens/s  3:14 left"
    assert len(lines) == 34 and lines[-1] == "step 200/200  mlm 1  lr 1.5e-04  500 tokens/s  0:00 left"


def test_nan_is_null(tmp_path):
    folder = RunFolder(tmp_path)
    folder.log({"step": 1, "pearson": float("nan")})
    assert folder.metrics.read_text() == '{"step": 1, "pearson": null}\n'
    folder.rewind(1)
    assert folder.records() == [{"step": 1, "pearson": None}]


@pytest.mark.parametrize("line", ['{"loss": 1}', '[1]', '3', '{"step": "one"}', 'null'])
def test_somebody_elses_metrics(line, tmp_path):
    (tmp_path / "metrics.jsonl").write_text(line + "\n")
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(ValueError, match="metrics.jsonl: line 1 is no record of a run"), RunFolder(tmp_path):
        pass
    assert sorted(os.listdir(tmp_path)) == before and (tmp_path / "metrics.jsonl").read_text() == line + "\n"


def test_metrics_that_lead_to_another_disk(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.jsonl").symlink_to(tmp_path / "elsewhere")
    with RunFolder(tmp_path / "run") as folder:
        folder.rewrite([{"step": 1}])
        folder.log({"step": 2})
    assert (tmp_path / "run" / "metrics.jsonl").is_symlink()
    assert (tmp_path / "elsewhere").read_text() == '{"step": 1}\n{"step": 2}\n'


def test_a_full_disk_is_named_by_the_path_that_the_user_gave(tmp_path):
    with RunFolder(tmp_path) as folder:
        folder.metrics.symlink_to("/dev/full")
        with pytest.raises(OSError, match=f"No space left on device: '{folder.metrics}'"):
            folder.log({"step": 1})
