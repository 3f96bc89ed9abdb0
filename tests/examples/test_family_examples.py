"""The examples of ALBERT and of the three masks, run small."""
import importlib.util
import math
import os
import re
import subprocess
import sys

import pytest
from example_scripts import EXAMPLES, path_of, ran


def run(name, *arguments):
    path = os.pathsep.join(filter(None, [str(EXAMPLES.parent), os.environ.get("PYTHONPATH")]))
    return subprocess.run([sys.executable, str(path_of(name)), *arguments], capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": path})


def test_three_masks(tmp_path):
    done = run("three_masks", "--text", "a b a c d", "--prefix", "2", "--out", str(tmp_path))
    assert done.returncode == 0 and not done.stderr
    for name, pairs, row in (("bidirectional", 25, "# # # # #"), ("causal", 15, "# . . . ."),
                             ("prefix", 16, "# # . . .")):
        assert f"{name}: {pairs} of 25 pairs see each other\n             a  {row}\n" in done.stdout
        assert (tmp_path / f"{name}.svg").read_text().startswith("<svg")
    done = run("three_masks", "--text", "alone")
    assert done.returncode == 1
    assert done.stderr == "three_masks.py: --text must have two words or more, got 'alone'\n"


def test_chemistry_splits_smiles_into_symbols():
    if importlib.util.find_spec("rxnmapper") is None:
        pytest.skip("needs pip install --no-deps rxnmapper==0.4.3")
    chemistry = ran("chemistry").script
    assert chemistry.SYMBOL.findall("C[N+](=O)c1ccc(Br)cc1.ClC%12>>O=B") == [
        "C", "[N+]", "(", "=", "O", ")", "c", "1", "c", "c", "c", "(", "Br", ")", "c", "c", "1", ".", "Cl", "C", "%12",
        ">>", "O", "=", "B"]
    for smiles in chemistry.REACTIONS.values():
        assert "".join(chemistry.SYMBOL.findall(smiles)) == smiles


def test_chemistry():
    if importlib.util.find_spec("rxnmapper") is None:
        done = run("chemistry")
        assert done.returncode == 1 and "pip install --no-deps rxnmapper==0.4.3" in done.stderr
        assert done.stderr.count("\n") == 1
        pytest.skip("needs pip install --no-deps rxnmapper==0.4.3")
    said = ran("chemistry").said
    assert "82 of 89 hidden symbols in all found" in said
    p, loss = re.search(r"^CCO\.CC\(=O\) _ >>CCOC\(C\)=O +O +(0\.\d+) +(\d\.\d+)", said, re.M).groups()
    assert float(loss) == pytest.approx(-math.log(float(p)), abs=5e-3)
