import pytest

from numbert.lab import peak

AMD = "Intel(R) Architecture processors"
INTEL = "Intel(R) Advanced Vector Extensions 512 (Intel(R) AVX-512) enabled processors"
OLD = "Intel(R) Advanced Vector Extensions 2 (Intel(R) AVX2) enabled processors"


@pytest.mark.parametrize("says, has, slow", [
    (AMD, {"avx2", "avx512f"}, "AVX-512"), (AMD, {"avx2"}, "AVX2"), (OLD, {"avx2", "avx512f"}, "AVX-512"),
    (INTEL, {"avx2", "avx512f"}, None), (OLD, {"avx2"}, None), (AMD, {"neon"}, None), ("", {"avx2"}, None)])
def test_slow_path_of_mkl(says, has, slow, monkeypatch):
    monkeypatch.setattr(peak, "_mkl_says", lambda: says)
    monkeypatch.setattr(peak, "_instructions", lambda: has)
    sentence = peak.slow_path_of_mkl()
    assert sentence is None if slow is None else f"the {slow} of this processor" in sentence and says in sentence


def test_peak_of_numpy():
    assert 1e8 < peak.sgemm_peak(1, size=64)["NumPy"] < 1e13
