"""python -m numbert.lecture --out lecture.html: the lecture beside the source, in one file for any browser."""
import argparse
from pathlib import Path

from ..hub import files
from ..training.command import name_of, one_line
from . import guide
from .contents import CARDS
from .page import LANGUAGES, make, watched
from .run import perform


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m numbert.lecture", description=__doc__.partition(": ")[2])
    parser.add_argument("--out", type=Path, default="lecture.html", help="the file to write (default: %(default)s)")
    parser.add_argument("--guide", type=Path, metavar="FOLDER", help="write the same cards as Markdown into this "
                        "folder instead: LECTURE.md, LECTURE.zh.md, and their pictures")
    options = parser.parse_args(arguments)
    with one_line(name_of(parser), mistakes=OSError):
        if options.guide:
            write_guide(options.guide)
        else:
            write_page(options.out)


def write_page(path):
    if path.is_dir() or not path.parent.is_dir():           # said before the work, not after it
        raise OSError(f"--out {path}: " + ("is a folder" if path.is_dir() else f"there is no folder {path.parent}"))
    page = make()
    files.write_text(path, page)
    print(f"{path}: {len(page.encode()) / 1e6:.1f} MB; open it in a browser")


def write_guide(folder):
    if not folder.is_dir():
        raise OSError(f"--guide {folder}: there is no such folder")
    done = perform(watched())
    (folder / guide.PICTURES).mkdir(parents=True, exist_ok=True)
    for language in LANGUAGES:
        files.write_text(folder / guide.FILES[language], guide.guide(language, done.facts))
        for entry in CARDS:
            files.write_text(folder / guide.picture_of(entry, language), guide.drawn(entry, language, done))
    print(f"{', '.join(str(folder / name) for name in guide.FILES.values())}; pictures in {folder / guide.PICTURES}")


if __name__ == "__main__":
    main()
