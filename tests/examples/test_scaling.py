"""examples/scaling.py: the prediction against sums by hand, and the script as a user starts it."""
import pytest
from example_scripts import load

ONE = {"parameters": 1_000_000, "text": 0.01, "fixed": 0.002, "update": 0.004}
NETWORK = {"latency": 1e-4, "bandwidth": 1e8}


@pytest.fixture(scope="module")
def example():
    return load("scaling")


def test_a_step_by_hand(example):
    """4 machines, 10 texts: the slowest has 3. 4 MB go round in 4 pieces, three times 3 steps of 0.1 ms and 10 ms."""
    parts = example.step(ONE, 4, 10, NETWORK)
    assert parts == pytest.approx({"texts": 0.025, "idle": 0.005, "fixed": 0.002, "latency": 9 * 1e-4,
                                   "bytes": 9 * 0.01, "update": 0.001})
    assert parts.keys() == example.PARTS.keys()
    alone = example.step(ONE, 1, 10, NETWORK)
    assert sum(alone.values()) == pytest.approx(0.1 + 0.002 + 0.004) and alone["latency"] == alone["bytes"] == 0


def test_efficiency(example):
    """Without a network, and with nothing that each must do by itself, n machines are n times as fast."""
    free, ideal = {"latency": 0.0, "bandwidth": 1e30}, ONE | {"fixed": 0.0}
    for texts in (lambda n: 4096, lambda n: 32 * n):
        assert [n for n, _, _ in example.predicted(ideal, texts, free)] == list(example.MACHINES)
    assert all(share == pytest.approx(1) for _, _, share in example.predicted(ideal, lambda n: 4096, free))
    n, parts, share = example.predicted(ONE, lambda n: 256, NETWORK)[-1]
    assert n == 1024 and share == pytest.approx((256 * 0.01 + 0.006) / (1024 * sum(parts.values())))
    n, parts, share = example.predicted(ONE, lambda n: 32 * n, NETWORK)[-1]
    assert share == pytest.approx((32 * 0.01 + 0.006) / sum(parts.values()))


def test_the_table_says_where_and_why(example, capsys):
    slow = {"latency": 0.0, "bandwidth": 1e6}
    example.table({"batch 256": example.predicted(ONE, lambda n: 256, slow),
                   "batch 4096": example.predicted(ONE, lambda n: 4096, slow | {"bandwidth": 1e15})}, "slow")
    said = capsys.readouterr().out
    assert "batch 256: below a half at 2 machines; most of the loss is bandwidth, 82% of the step." in said
    assert "batch 4096: never below a half." in said


def test_script(example, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    example.main(["--quick", "--workers", "1", "--bandwidth", "25"])
    said = capsys.readouterr().out
    assert "4,433,468 parameters" in said and "| 50 µs, 25 Gb/s | batch 256: step | efficiency |" in said
    assert "| 1,024 |" in said and (tmp_path / "runs" / "scaling" / "scaling.svg").read_text().startswith("<svg")
