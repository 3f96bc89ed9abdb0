"""Run scripts as notebooks: jupytext makes the cells, nbclient runs them in a kernel, one script after another.

    NUMBERT_OPTIONS=--quick python .ci/notebooks.py FOLDER examples/lecture/*.py

They write into FOLDER. What a notebook printed last is shown; an error ends all, with its cell.
"""
import sys
import time
from pathlib import Path

import jupytext
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

TIMEOUT = 300                           # seconds for a cell


def execute(path, folder):
    notebook, began = jupytext.read(path), time.monotonic()
    NotebookClient(notebook, kernel_name="python3", timeout=TIMEOUT, extra_arguments=["--log-level=ERROR"],
                   resources={"metadata": {"path": str(folder)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    said = "".join(output["text"] for output in outputs if output["output_type"] == "stream")
    pictures = sum("image/svg+xml" in output.get("data", {}) for output in outputs)
    print(f"== {path} as a notebook: {len(notebook.cells)} cells, {pictures} pictures, "
          f"{time.monotonic() - began:.0f} seconds\n{said.strip().splitlines()[-1]}", flush=True)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for path in sys.argv[2:]:
            execute(path, folder)
    except CellExecutionError as error:
        sys.exit(str(error))
