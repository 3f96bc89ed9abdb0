"""python -m numbert.lecture --out lecture.html: the lecture beside the source, in one file for any browser."""
import argparse
from pathlib import Path

from ..hub import files
from ..training.command import name_of, one_line
from .page import make


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m numbert.lecture", description=__doc__.partition(": ")[2])
    parser.add_argument("--out", type=Path, default="lecture.html", help="the file to write (default: %(default)s)")
    path = parser.parse_args(arguments).out
    with one_line(name_of(parser), mistakes=OSError):
        if path.is_dir() or not path.parent.is_dir():       # said before the work, not after it
            raise OSError(f"--out {path}: " + ("is a folder" if path.is_dir() else f"there is no folder {path.parent}"))
        page = make()
        files.write_text(path, page)
        print(f"{path}: {len(page.encode()) / 1e6:.1f} MB; open it in a browser")


if __name__ == "__main__":
    main()
