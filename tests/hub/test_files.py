import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numbert.hub.files import json_text, read_text, replacing, write_text

ROOT = Path(__file__).parents[2]


def test_the_new_content_takes_the_place_of_the_old(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with replacing(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new" and os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_leaves_the_old_file_and_nothing_else(error, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(error), replacing(path) as file:
        file.write(b"new")
        raise error
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["file"]
    with pytest.raises(error), replacing(tmp_path / "other"):
        raise error
    assert os.listdir(tmp_path) == ["file"]


def test_a_path_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for path, kind in ((tmp_path / "no" / "folder", FileNotFoundError), (tmp_path / "folder", IsADirectoryError),
                       (tmp_path / "file" / "below", NotADirectoryError)):
        with pytest.raises(kind) as error:
            write_text(path, "text")
        assert str(error.value).endswith(f": {str(path)!r}")            # and not the temporary name
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_two_writers_at_once_leave_one_of_two_whole_files(tmp_path):
    path = tmp_path / "file"
    with replacing(path) as first, replacing(path) as second:
        first.write(b"first")
        second.write(b"second")
    assert path.read_bytes() == b"first" and os.listdir(tmp_path) == ["file"]


def test_killed_at_any_moment_it_leaves_a_whole_file(tmp_path):
    path, started = tmp_path / "file", tmp_path / "started"
    script = f"""
from numbert.hub.files import replacing
for number in range(1, 10**9):
    with replacing({str(path)!r}) as file:
        for _ in range(20):
            file.write(bytes([number % 256]) * 10_000)
    open({str(started)!r}, "w").close()
"""
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    while not started.exists():
        assert process.poll() is None
        time.sleep(0.01)
    for _ in range(50):                                     # whoever looks finds it whole
        content = path.read_bytes()
        assert len(content) == 200_000 and len(set(content)) == 1
    process.kill()
    process.wait()
    content = path.read_bytes()
    assert len(content) == 200_000 and len(set(content)) == 1


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_text_comes_back_as_it_was(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "text"
    write_text(path, text)
    assert read_text(path) == text.removeprefix("\ufeff")
    assert path.read_bytes() == text.encode()


def test_a_byte_order_mark_is_dropped_and_line_ends_stay(tmp_path):
    (tmp_path / "file").write_bytes(b"\xef\xbb\xbfa\r\nb\n")
    assert read_text(tmp_path / "file") == "a\r\nb\n"


@pytest.mark.parametrize("data, place", [(b"ab\xff", "byte 0xff at offset 2"),
                                         (b"\xef\xbb\xbfab\x80c", "byte 0x80 at offset 5"),
                                         (b"caf\xc3", "byte 0xc3 at offset 3"),
                                         (b"\xed\xa0\x80", "0xed at offset 0")])
def test_bytes_that_are_not_utf8_are_named_with_their_place(data, place, tmp_path):
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(ValueError, match=f"file: not UTF-8: .*{place}"):
        read_text(tmp_path / "file")


# ---- what is not a regular file ----


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to(Path("disk") / "real")
    (tmp_path / "further").symlink_to("link")
    (tmp_path / "dangling").symlink_to(tmp_path / "disk" / "new")
    for name, place in (("link", "real"), ("further", "real"), ("dangling", "new")):
        write_text(tmp_path / name, name)
        assert (tmp_path / name).is_symlink() and (tmp_path / "disk" / place).read_text() == name
    assert sorted(os.listdir(tmp_path / "disk")) == ["new", "real"]
    with pytest.raises(ValueError), replacing(tmp_path / "link") as file:
        file.write(b"half")
        raise ValueError
    assert (tmp_path / "disk" / "real").read_text() == "further"


def test_a_link_that_leads_nowhere_is_named_as_the_user_named_it(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "no" / "where")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for name in ("link", "circle"):
        with pytest.raises(OSError) as error:
            write_text(tmp_path / name, "text")
        assert error.value.filename == str(tmp_path / name)


def test_a_pipe_is_written_to(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        reader = subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE)
        write_text(tmp_path / name, "through the pipe")
        assert reader.communicate()[0] == b"through the pipe"
    assert (tmp_path / "pipe").is_fifo() and sorted(os.listdir(tmp_path)) == ["link", "pipe"]


@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_the_output_is_written_to_whatever_it_is(path, tmp_path):
    """Also if it is a file, to which others write before and after."""
    script = f"import sys; from numbert.hub.files import write_text\n" \
             f"print('before', flush=True); write_text({path!r}, 'between\\n'); print('after', flush=True)"
    command = [sys.executable, "-c", script]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout == b"before\nbetween\nafter\n"
    with open(tmp_path / "out", "ab") as out:
        subprocess.run(command, cwd=ROOT, stdout=out, check=True)
    assert (tmp_path / "out").read_text() == "before\nbetween\nafter\n" and os.listdir(tmp_path) == ["out"]


def test_a_full_disk_and_a_device_are_named(tmp_path, monkeypatch):
    with pytest.raises(OSError) as error:
        write_text("/dev/full", "text")
    assert (error.value.errno, error.value.filename) == (28, "/dev/full")

    def full(handle):
        raise OSError(28, "No space left on device")                        # as the system says it: without a name
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError) as error:
        write_text(tmp_path / "file", "text")
    assert error.value.filename == str(tmp_path / "file") and os.listdir(tmp_path) == []


def test_an_error_about_another_file_keeps_its_name(tmp_path):
    with pytest.raises(FileNotFoundError) as error, replacing(tmp_path / "file"):
        open(tmp_path / "source")
    assert error.value.filename == str(tmp_path / "source")
    with pytest.raises(OSError, match="^only words$"), replacing(tmp_path / "file"):
        raise OSError("only words")


def test_json_has_null_for_what_is_no_number():
    value = {"a": [float("nan"), 1.5, (float("inf"),)], "b": {"c": -float("inf")}, "d": None, "e": "NaN", "f": 3}
    assert json.loads(json_text(value), parse_constant=pytest.fail) == {
        "a": [None, 1.5, [None]], "b": {"c": None}, "d": None, "e": "NaN", "f": 3}
