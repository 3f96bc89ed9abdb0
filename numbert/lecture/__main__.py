"""python -m numbert.lecture --out lecture.html: the lecture beside the source, in one file for any browser."""
import argparse
from pathlib import Path

from ..hub import files
from ..hub.errors import CheckpointError
from ..training.command import name_of, one_line
from . import guide
from .contents import CARDS
from .drawing import both
from .page import LANGUAGES, make, watched
from .run import SMALL, perform
from .serve import HOST, ModelPages, server


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m numbert.lecture", description=__doc__.partition(": ")[2])
    parser.add_argument("--out", type=Path, default="lecture.html", help="the file to write (default: %(default)s)")
    parser.add_argument("--guide", type=Path, metavar="FOLDER", help="write the same cards as Markdown into this "
                        "folder instead: LECTURE.md, LECTURE.zh.md, and their pictures")
    parser.add_argument("--serve", type=int, nargs="?", const=8000, metavar="PORT", help="show a sentence of your own "
                        "in the browser instead, with the values and the attention of a model (port %(const)s)")
    parser.add_argument("--model", metavar="FOLDER", help="for --serve: a run folder or a checkpoint (default: the "
                        "small model of the page)")
    options = parser.parse_args(arguments)
    if options.model and options.serve is None:
        parser.error("--model is for --serve")
    with one_line(name_of(parser), mistakes=(OSError, CheckpointError)):
        if options.serve is not None:
            serve_pages(options.model, options.serve)
        elif options.guide:
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


def serve_pages(folder, port):
    with server(pages_of(folder), port) as serving:
        print(f"http://{HOST}:{serving.server_port}/ on this machine alone; Ctrl-C ends it", flush=True)
        serving.serve_forever()


def pages_of(folder):
    if folder is not None:
        return ModelPages.of(folder)
    done = perform({}, SMALL)
    return ModelPages(done.models["pretraining"], done.tokenizer, both("the small model of the page", "网页上的小模型"))


if __name__ == "__main__":
    main()
