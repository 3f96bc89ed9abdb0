"""The command: `python -m numbert.pipeline --help`."""
import argparse
import contextlib
import sys
from itertools import islice

from ..hub import files
from ..hub.errors import parse_json
from ..machine import cores
from ..training import command
from . import TASKS, pipeline
from . import __doc__ as description

AT_ONCE = 256                   # texts of a file that are read before their results are printed
COMMON = ("task", "model", "texts", "file", "json")


class Parser(argparse.ArgumentParser):
    """The texts may stand before and behind the options."""

    def parse_args(self, args=None, namespace=None):
        options, more = self.parse_known_args(args, namespace)
        if unknown := [one for one in more if one.startswith("-")]:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        if options.texts and more:
            self.error(f"texts stand before the options ({options.texts[0]!r:.60}) and behind them ({more[0]!r:.60}): "
                       "put them in one place, and quotation marks around a value of several words")
        options.texts += more
        return options


def arguments():
    parser = Parser(prog="python -m numbert.pipeline", description=description.partition("\n")[0],
                                     epilog="Options of a task: python -m numbert.pipeline TASK --help")
    tasks = parser.add_subparsers(dest="task", required=True, metavar="TASK")
    for name, cls in TASKS.items():
        task = tasks.add_parser(name, help=cls.__doc__.partition(":")[0].partition("\n")[0], description=cls.__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
        add = task.add_argument
        add("model", metavar="FOLDER", help="a model of any family that can do this, and its tokenizer")
        add("texts", nargs="*", metavar="TEXT", help="(default: the lines of standard input)")
        add("--file", metavar="FILE", help="read the texts from its lines, but for blank ones; *.jsonl: what the "
            "pipeline takes from Python, one JSON value a line")
        add("--json", action="store_true", help="print one line of JSON for each text")
        for option, settings in cls.arguments.items():
            add(option, **{"default": argparse.SUPPRESS} | settings)
        add("--batch-size", type=int, default=32, help="texts at once on a core (default: %(default)s)")
        add("--workers", type=int, default=cores(), help="threads (default: all cores, %(default)s here)")
    return parser


def main(argv=None):
    parser = arguments()
    options = command.parse(parser, argv, check=lambda options: None)       # the pipeline does it
    with (command.one_line(command.name_of(parser), (ValueError, OSError, ImportError)),
          command.in_options(parser)):
        run(options)


def run(options):
    if options.texts and options.file:
        raise ValueError("texts are given as arguments or with --file, not both")
    if not (options.texts or options.file or sys.stdin):
        raise ValueError("there is no standard input: give texts as arguments or with --file")
    typed = not (options.texts or options.file) and sys.stdin.isatty()
    settings = {name: value for name, value in vars(options).items() if name not in COMMON}
    pipe = pipeline(options.task, options.model, **settings)
    if typed:
        print("reading texts, one a line; Ctrl-D ends", file=sys.stderr)
    given = iter(options.texts) if options.texts else inputs_of(options.file)
    while some := list(islice(given, 1 if typed else AT_ONCE)):
        for one, result in zip(some, results_of(pipe, some), strict=True):
            print(files.json_text(result, ensure_ascii=False) if options.json else
                  f"{in_words(one)}\n{pipe.picture(one, result)}\n")


def results_of(pipe, some):
    """pipe(some). Objects of a file may be of a kind that the task does not take, which is the user's mistake."""
    try:
        return pipe(some)
    except TypeError as error:
        if all(isinstance(one, str) for one in some):
            raise
        wrong = next(one for one in some if not isinstance(one, str))
        raise ValueError(f"{pipe.task} does not take inputs such as {wrong!r:.100}: {error}") from error


def in_words(given):
    """An input as a line or two above its picture."""
    return given if isinstance(given, str) else "\n".join(
        text for value in given.values() for text in ([value] if isinstance(value, str) else value))


def inputs_of(path):
    """The inputs on the lines of a UTF-8 file, or without one of standard input, as they come. Blank lines are left
    out, and at the end it is said how many they were."""
    json_lines, blank = path is not None and path.endswith(".jsonl"), 0
    with contextlib.nullcontext(sys.stdin.buffer) if path is None else files.open_to_read(path) as file:
        for number, line in enumerate(file, 1):
            where = f"{path or 'standard input'}, line {number}"
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if not line.strip():
                blank += 1
                continue
            if json_lines:
                yield checked(parse_json(where, line.rstrip(), None), where)
                continue
            try:
                yield line.decode("utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise ValueError(f"{where}: not UTF-8: byte {line[error.start]:#04x} at offset {error.start}") from None
    if blank:
        print(f"{path or 'standard input'}: {blank} blank lines are left out", file=sys.stderr)


def checked(value, where):
    """A JSON value, if it is an input: a text, or an object of texts and lists of texts."""
    texts = [value]
    if isinstance(value, dict):
        texts = [text for one in value.values() for text in (one if isinstance(one, list) else [one])]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{where}: must be a text, or an object of texts, got {value!r:.100}")
    return value


if __name__ == "__main__":
    main()
