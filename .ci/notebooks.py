"""Run scripts as notebooks: jupytext makes the cells, nbclient runs them in a kernel, two at a time.

    NUMBERT_OPTIONS=--quick python .ci/notebooks.py FOLDER examples/lecture/*.py

They write into FOLDER/0 and FOLDER/1, since a body is made by one script at a time. What a notebook printed last is
shown; an error ends all, with its cell.
"""
import asyncio
import sys
import time
from pathlib import Path

import jupytext
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

TOGETHER, TIMEOUT = 2, 300              # kernels; seconds for a cell


async def execute(path, folder):
    notebook, began = jupytext.read(path), time.monotonic()
    await NotebookClient(notebook, kernel_name="python3", timeout=TIMEOUT, extra_arguments=["--log-level=ERROR"],
                         resources={"metadata": {"path": str(folder)}}).async_execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    said = "".join(output["text"] for output in outputs if output["output_type"] == "stream")
    pictures = sum("image/svg+xml" in output.get("data", {}) for output in outputs)
    print(f"== {path} as a notebook: {len(notebook.cells)} cells, {pictures} pictures, "
          f"{time.monotonic() - began:.0f} seconds\n{said.strip().splitlines()[-1]}", flush=True)


async def execute_all(folder, paths):
    waiting = list(reversed(paths))

    async def one_after_another(folder):
        folder.mkdir(parents=True, exist_ok=True)
        while waiting:
            await execute(waiting.pop(), folder)

    await asyncio.gather(*(one_after_another(folder / str(i)) for i in range(TOGETHER)))


if __name__ == "__main__":
    try:
        asyncio.run(execute_all(Path(sys.argv[1]), sys.argv[2:]))
    except CellExecutionError as error:
        sys.exit(str(error))
