import json
import os
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from numbert.hub import safetensors
from numbert.hub.errors import CheckpointError

EXAMPLE = (b'\x40\0\0\0\0\0\0\0{"b":{"dtype":"I16","shape":[3],"data_offsets":[0,6]}}          '
           b"\1\0\2\0\xff\xff")


def craft(path, header, data=b""):
    """A file with this header (bytes, or something for json) and this data."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def test_the_format_by_hand(tmp_path):
    (tmp_path / "a").write_bytes(EXAMPLE)
    arrays, metadata = safetensors.read(tmp_path / "a")
    assert same(arrays["b"], np.array([1, 2, -1], "<i2")) and metadata == {}
    safetensors.write(tmp_path / "b", {"b": np.array([1, 2, -1], np.int16)})
    written = (tmp_path / "b").read_bytes()
    assert written == EXAMPLE[:8].replace(b"\x40", b"\x38") + EXAMPLE[8:64] + EXAMPLE[-6:]


NUMERIC = [np.dtype(text) for code, text in safetensors.DTYPES.items() if code != "BF16"]


@settings(max_examples=100, deadline=None)
@given(data=st.data(), metadata=st.dictionaries(st.text(), st.text(), max_size=3))
def test_round_trip(tmp_path_factory, data, metadata):
    names = data.draw(st.lists(st.text().filter(lambda name: name != "__metadata__"), unique=True, max_size=4))
    arrays = {}
    for name in names:
        dtype = data.draw(st.sampled_from(NUMERIC)).newbyteorder(data.draw(st.sampled_from("<>")))
        shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
        array = data.draw(hnp.arrays(dtype, shape))
        arrays[name] = array.T[..., ::2] if array.ndim and data.draw(st.booleans()) else array
    path = tmp_path_factory.mktemp("round") / "x"
    safetensors.write(path, arrays, metadata)
    read, read_metadata = safetensors.read(path)
    assert read.keys() == arrays.keys() and read_metadata == metadata
    for name, array in arrays.items():
        assert same(read[name], array.astype(array.dtype.newbyteorder("<")))
        assert not read[name].flags.writeable
        assert read[name].flags.aligned
    first = path.read_bytes()
    safetensors.write(path, dict(reversed(read.items())), dict(reversed(metadata.items())))
    assert path.read_bytes() == first


def test_bfloat16_is_the_upper_half_of_a_float32(tmp_path):
    halves = np.arange(2**16, dtype="<u2")
    path = craft(tmp_path / "x", {"h": entry("BF16", (256, 256), (0, 2**17))}, halves.tobytes())
    array = safetensors.read(path)[0]["h"]
    assert array.dtype == np.float32 and array.shape == (256, 256) and not array.flags.writeable
    assert (array.reshape(-1).view(np.uint32) == halves.astype(np.uint32) * 2**16).all()
    assert array[0x3F, 0x80] == 1.0 and array[0xC0, 0x49] == -3.140625


def test_nothing_is_read_before_it_is_used(tmp_path):
    size = 2**22
    safetensors.write(tmp_path / "x", {"a": np.arange(size, dtype=np.float64)})
    tracemalloc.start()
    array = safetensors.read(tmp_path / "x")[0]["a"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000 and array[size - 1] == size - 1
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1


def test_a_file_can_be_written_over_while_it_is_mapped(tmp_path):
    path = tmp_path / "x"
    safetensors.write(path, {"a": np.arange(10_000.0), "b": np.arange(5)})
    arrays, _ = safetensors.read(path)
    safetensors.write(path, {"b": arrays["a"][::-1], "a": arrays["b"]})
    assert (arrays["a"] == np.arange(10_000)).all()
    again, _ = safetensors.read(path)
    assert (again["b"] == np.arange(10_000)[::-1]).all() and again["a"].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("value", [np.array([None]), np.array([1j]), np.array(["a"]), np.array([b"a"]), 2**70,
                                   np.zeros(1, "M8[s]"), np.zeros(1, "i4,i4"), np.zeros(1, "V2")], ids=repr)
def test_what_cannot_be_stored_is_refused_by_name(tmp_path, value):
    path = tmp_path / "x"
    path.write_bytes(b"precious")
    with pytest.raises(CheckpointError, match="tensor 'bad one': arrays of dtype .* cannot be stored") as caught:
        safetensors.write(path, {"good": np.zeros(2), "bad one": value})
    assert caught.value.tensor == "bad one" and caught.value.file == path
    assert path.read_bytes() == b"precious" and os.listdir(tmp_path) == ["x"]


@pytest.mark.parametrize("arrays, metadata", [({"__metadata__": np.zeros(1)}, {}), ({1: np.zeros(1)}, {}),
                                              ({"\ud800": np.zeros(1)}, {}), ({}, {"a": 1}), ({}, {2: "a"}),
                                              ({}, {"a": "\ud800"})], ids=repr)
def test_names_and_metadata_are_text(tmp_path, arrays, metadata):
    with pytest.raises(CheckpointError):
        safetensors.write(tmp_path / "x", arrays, metadata)
    assert os.listdir(tmp_path) == []


def test_what_is_unusual_and_right(tmp_path):
    empty, _ = safetensors.read(craft(tmp_path / "a", {}))
    assert empty == {}
    header = json.dumps({
        "zero": entry("F32", (3, 0, 2), (8, 8)), "scalar": entry("F64", (), (0, 8)),
        "late": entry("F16", (2,), (9, 13)),
        "odd": entry("BOOL", (1,), (8, 9)), "__metadata__": {"format": "pt"}}).encode() + b" " * 37
    data = np.float64(-0.0).tobytes() + b"\1" + np.array([np.nan, np.inf], "<f2").tobytes()
    arrays, metadata = safetensors.read(craft(tmp_path / "b", header, data))
    assert list(arrays) == ["zero", "scalar", "late", "odd"] and metadata == {"format": "pt"}
    assert arrays["zero"].shape == (3, 0, 2) and arrays["scalar"].shape == () and np.signbit(arrays["scalar"])
    for header in ({"__metadata__": None}, b" \n\t{}", b'  {"__metadata__": null}  '):    # as the reference reads them
        assert safetensors.read(craft(tmp_path / "c", header)) == ({}, {})
    assert np.isnan(arrays["late"][0]) and arrays["late"][1] == np.inf and arrays["odd"].tolist() == [True]


EIGHT = b"\0" * 8
LIES = {
    "empty": (b"", "is empty"),
    "short": (b"\1\2\3", "3 bytes, too short"),
    "header past the end": (b"\x09\0\0\0\0\0\0\0{}      ", r"header of 9 bytes in a file of 16"),
    "header of 2**63 bytes": (b"\0\0\0\0\0\0\0\x80{}", r"header of 9,223,372,036,854,775,808 bytes"),
    "git lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "Git LFS pointer"),
    "no header": (EIGHT, "not JSON"),
    "list": ([], "must be of type dict, got list"),
    "space first, nothing after": (b" {}", "the header describes 0 bytes of data, the file holds 16"),
    "brace": (b"{", "not JSON"),
    "not utf-8": (b'{"\xff":1}', "not UTF-8: byte 0xff at offset 2"),
    "nested objects": (b'{"a":' * 100_000, "nested too deeply|not JSON"),
    "nested lists": (b'{"a":' + b"[" * 1_000_000, "nested too deeply|not JSON"),
    "two names": (b'{"a":%b,"a":%b}' % ((json.dumps(entry()).encode(),) * 2), "key 'a' comes twice"),
    "two dtypes": (b'{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}', "key 'dtype' comes twice"),
    "metadata number": ({"__metadata__": {"a": 1}}, "metadata"),
    "metadata list": ({"__metadata__": []}, "metadata"),
    "no entry": ({"a": None}, "tensor 'a': its header entry"),
    "lacks shape": ({"a": {"dtype": "F32", "data_offsets": [0, 8]}}, "tensor 'a': its header entry"),
    "has more": ({"a": entry() | {"scale": 2}}, "tensor 'a': its header entry"),
    "one offset": ({"a": entry(offsets=[0])}, "tensor 'a': its header entry"),
    "unknown dtype": ({"a": entry("F31")}, "tensor 'a': dtype 'F31' is not one of BOOL, U8"),
    "complex": ({"a": entry("C64", (1,))}, "tensor 'a': dtype 'C64'"),
    "dtype number": ({"a": entry(4)}, "tensor 'a': its header entry"),
    "overlap": ({"a": entry(), "b": entry(offsets=(4, 12))}, "tensor 'b': begins at byte 4 .* ends at 8"),
    "gap": ({"a": entry(offsets=(4, 12))}, "tensor 'a': begins at byte 4"),
    "the same bytes": ({"a": entry(), "b": entry()}, "tensor 'b': begins at byte 0"),
    "past the end": ({"a": entry(), "b": entry("U8", (100,), (8, 108))}, "describes 108 bytes of data, .* holds 16"),
    "unused bytes": ({"a": entry()}, "describes 8 bytes of data, .* holds 16"),
    "backwards": ({"a": entry(offsets=(8, 0))}, "tensor 'a': data_offsets span -8"),
    "negative": ({"a": entry(offsets=(-8, 0))}, "tensor 'a': .* must be integers"),
    "negative shape": ({"a": entry(shape=(-1, -2))}, "tensor 'a': .* must be integers"),
    "boolean": ({"a": entry("U8", (1,), (False, True))}, "tensor 'a': .* must be integers"),
    "boolean shape": ({"a": entry(shape=(2, True))}, "tensor 'a': .* must be integers"),
    "fraction": ({"a": entry(offsets=(0.0, 8.0))}, "tensor 'a': .* must be integers"),
    "fractional shape": ({"a": entry(shape=(2.0,))}, "tensor 'a': .* must be integers"),
    "shape and span": ({"a": entry(shape=(3,))}, "tensor 'a': data_offsets span 8 bytes, shape"),
    "dtype and span": ({"a": entry("F64")}, "tensor 'a': data_offsets span 8 bytes, shape"),
    "overflow": ({"a": entry(shape=(2**32, 2**32))}, "tensor 'a': data_offsets span 8 bytes"),
    "overflow to the span": ({"a": entry(shape=(2**61 + 1, 2))}, "tensor 'a': data_offsets span 8 bytes"),
    "above 2**63": ({"a": entry(shape=(2**64 + 2,))}, "tensor 'a': .* must be integers"),
    "wide zero": ({"a": entry(shape=(0, 2**62, 2**62), offsets=(0, 0))}, "describes 0 bytes|NumPy cannot hold"),
    "65 dimensions": ({"a": entry(shape=(1,) * 64 + (2,))}, "tensor 'a': 65 dimensions"),
    "a million dimensions": ({"a": entry(shape=(10**90,) * 100_000)}, "tensor 'a': 100000 dimensions"),
    "5000 digits": (b'{"a":{"dtype":"F32","shape":[%b],"data_offsets":[0,8]}}' % (b"9" * 5000), "5000 digits"),
    "NaN": (b'{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,8]}}', "'NaN' is not a finite number"),
    "infinity": (b'{"a":{"dtype":"F32","shape":[-Infinity],"data_offsets":[0,8]}}', "'-Infinity' is not"),
    "1e999": (b'{"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,8]}}', "'1e999' is not"),
    "bool of 2": ({"a": entry("BOOL", (16,), (0, 16))}, "tensor 'a': byte 0x02 in a BOOL"),
    "line end in a name": ({"a\nb" * 1000: None}, r"tensor 'a\\nba\\nb"),
}


@pytest.mark.parametrize("header, message", LIES.values(), ids=LIES.keys())
def test_files_that_lie(tmp_path, header, message):
    path = tmp_path / "x.safetensors"
    if isinstance(header, bytes) and not header.startswith((b"{", b" ")):
        path.write_bytes(header)
    else:
        craft(path, header, b"\2" * 16)
    tracemalloc.start()
    with pytest.raises(CheckpointError, match=message) as caught:
        safetensors.read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value).splitlines()) == 1 and len(str(caught.value)) < 2000
    assert peak < 20 * path.stat().st_size + 100_000


def test_a_wide_array_of_no_elements(tmp_path):
    path = craft(tmp_path / "x", {"a": entry(shape=(0, 2**62, 2**62), offsets=(0, 0))})
    with pytest.raises(CheckpointError, match="tensor 'a': NumPy cannot hold"):
        safetensors.read(path)


def test_header_limit(tmp_path):
    path = tmp_path / "x"
    with open(path, "wb") as file:
        file.write((100_000_001).to_bytes(8, "little") + b"{}")
        file.truncate(200_000_000)  # sparse
    with pytest.raises(CheckpointError, match="limit 100,000,000"):
        safetensors.read(path)


def test_every_beginning_of_a_file(tmp_path):
    path = tmp_path / "x"
    for length in range(len(EXAMPLE)):
        path.write_bytes(EXAMPLE[:length])
        with pytest.raises(CheckpointError):
            safetensors.read(path)


def test_the_safetensors_package_agrees(tmp_path):
    package = pytest.importorskip("safetensors.numpy")
    rng = np.random.default_rng(0)
    arrays = {f"n {dtype} ä\n": rng.integers(0, 2, (3, 0 if dtype == "<u4" else 5)).astype(dtype) for dtype in NUMERIC}
    arrays |= {"scalar": np.float32(3), "a": rng.normal(size=7), "b": rng.normal(size=(2, 3)).astype(np.float32)}
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    safetensors.write(ours, arrays, {"format": "np"})
    package.save_file({name: np.asarray(array) for name, array in arrays.items()}, theirs, {"format": "np"})
    assert ours.read_bytes() == theirs.read_bytes()
    read, metadata = safetensors.read(theirs)
    loaded = package.load_file(ours)
    assert metadata == {"format": "np"} and read.keys() == arrays.keys() == loaded.keys()
    for name in arrays:
        assert same(read[name], np.asarray(arrays[name])) and same(loaded[name], read[name])


def test_bfloat16_of_torch(tmp_path):
    torch = pytest.importorskip("torch")
    package = pytest.importorskip("safetensors.torch")
    tensor = torch.randn(5, 3).to(torch.bfloat16)
    package.save_file({"a": tensor}, tmp_path / "x")
    assert same(safetensors.read(tmp_path / "x")[0]["a"], tensor.float().numpy())
