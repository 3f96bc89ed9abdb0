"""The example of an op and a model of one's own: it finds its wrong backward pass, and trains, saves and loads."""
import os
import re
import subprocess
import sys
from pathlib import Path

from example_scripts import path_of

ROOT = Path(__file__).parents[2]


def test_own_op(tmp_path):
    """In a process of its own: its ops are not the package's."""
    done = subprocess.run([sys.executable, path_of("own_op"), "--steps", "60", "--out", tmp_path / "out"], text=True,
                          capture_output=True, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert re.findall(r"^rms_norm: gradient of (\w+) \S.*\) is right", said, re.M) == ["x", "gain"]
    assert re.search(r"^rms_norm_wrong: gradient of x \(4, 6\) is WRONG at \[0, 0\]: backward says \S+, ", said, re.M)
    assert "rms_norm_wrong: gradient of gain (6,) is right" in said
    assert "(0-1): 2 x Layer, " in said and re.search(r"^(\d+) of \1 parameters agree", said, re.M)
    losses = [float(loss) for loss in re.findall(r"^step +\d+  loss (\S+)", said, re.M)]
    assert len(losses) > 5 and losses[-1] < 0.8 * losses[0]
    assert "loaded again: 100% of its answers are those of the trained model" in said
    assert (tmp_path / "out" / "sorter.safetensors").stat().st_size > 10_000
    assert said.index("is WRONG") < said.index("step    0")             # the op comes first, the training last
    assert (tmp_path / "out" / "loss.svg").read_text().startswith("<svg") and "Takeaway: " in said
