"""What all commands share: --quick, checks of the settings, and how a command ends.

    def main(argv=None):
        command.start(experiment, parser, argv)             # calls experiment(options, workers)

A script that is a notebook as well has its steps at the top level, and no such function:

    options, leaving = command.begin(parser)
"""
import argparse
import atexit
import contextlib
import math
import os
import re
import shlex
import signal
import sys
import threading

from ..hub.errors import CheckpointError
from .parallel import Workers
from .ranks import together

MISTAKES = ValueError, OSError          # what a user's mistake raises
MAY_BE_0 = ("seed", "split_seed", "dropout", "threshold", "warmup", "weight_decay", "label_smoothing")


def add_quick(parser, values):
    """Add --quick, which sets each option in `values` that is not given on the command line. For `parse`."""
    add_preset(parser, "quick", values, "see everything work once, in seconds: " + said(values))


def add_preset(parser, name, values, told):
    """Add the switch --NAME, with the help `told`, which sets each option in `values` that is not given on the command
    line. For `parse`; of several the first that was added wins."""
    parser.add_argument(f"--{name}", action="store_true", help=told)
    parser.set_defaults(presets={**(parser.get_default("presets") or {}), name: values})


def said(values):
    """{option: value} as on the command line, with commas between: --seeds 5, --tasks tag infer."""
    return ", ".join(f"{_option(name)} {' '.join(map(str, value)) if isinstance(value, list) else value}"
                     for name, value in values.items())


def words_of(argv=None):
    """The words of the command line. In a notebook they come from the environment variable NUMBERT_OPTIONS."""
    if argv is None:
        return shlex.split(os.environ.get("NUMBERT_OPTIONS", "")) if in_notebook() else sys.argv[1:]
    return list(argv)


def given(parser, argv=None):
    """The names of the options that stand on the command line, also of those with the value that they have anyway."""
    unset = object()
    names = [action.dest for action in parser._actions]
    found = parser.parse_args(words_of(argv), argparse.Namespace(**dict.fromkeys(names, unset)))
    return {name for name in names if getattr(found, name, unset) is not unset}


def parse(parser, argv=None, check=None):
    """The options, with those of --quick (`add_preset`) where none was given. Ends the program with one line if
    check(dict of options) raises ValueError (default: `check_numbers`)."""
    options = parser.parse_args(argv)
    if presets := vars(options).pop("presets", {}):
        for name in reversed(presets):
            if getattr(options, name):
                parser.set_defaults(**presets[name])
        options = parser.parse_args(argv)
        del options.presets
    with one_line(name_of(parser)), in_options(parser):
        (check or check_numbers)(vars(options))
    return options


def check_numbers(settings):
    """Raises ValueError for a number that no command can use: an integer below 1, a float that is not above 0 (one of
    MAY_BE_0 below 0), infinity, NaN."""
    for name, value in settings.items():
        for number in value if isinstance(value, list) else [value]:
            from_0 = name in MAY_BE_0
            if isinstance(number, bool) or not isinstance(number, int | float):
                continue
            fault = (f"at least {0 if from_0 else 1}" if (type(number) is int or from_0) and not number >= (not from_0)
                     else "above 0" if not (number > 0 or from_0) else
                     "below 1" if name == "dropout" and number >= 1 else
                     "a finite number" if not math.isfinite(number) else None)
            if fault:
                raise ValueError(f"{name} must be {fault}, got {number}")


def start(experiment, parser, argv=None, *, shared=False):
    """Call experiment(options, workers). What a user may do wrong, and Ctrl-C, ends the program in one line. shared:
    whether it can be started on several ranks by mpiexec, which then share its work."""
    with together(name_of(parser), shared) as ranks:
        options = parse(parser, argv)
        with one_line(name_of(parser)), in_options(parser), Workers(options.workers, ranks) as workers:
            experiment(options, workers)


def begin(parser, argv=None):
    """(options, an ExitStack that is closed when the program ends) of a script whose steps follow at its top level.

    As a command it ends as with `start`. In a notebook the options come from the environment variable NUMBERT_OPTIONS,
    written as on the command line, and an error is shown as any other.
    """
    leaving = contextlib.ExitStack()
    atexit.register(leaving.close)
    if in_notebook():
        return parse(parser, words_of(argv)), leaving
    leaving.enter_context(together(name_of(parser), shared=False))
    leaving.enter_context(_ending_as_by_ctrl_c())
    leaving.enter_context(_patient_output())
    sys.excepthook = _said_in_one_line(parser, sys.excepthook)
    return parse(parser, argv), leaving


def in_notebook():
    """Whether this process runs the cells of a notebook, or of an editor."""
    return "ipykernel" in sys.modules


def _said_in_one_line(parser, hook):
    """A sys.excepthook that does for a whole program what `one_line` does for a block."""
    def say(kind, error, traceback):
        if not isinstance(error, (*MISTAKES, KeyboardInterrupt)):
            return hook(kind, error, traceback)
        with one_line(name_of(parser)), in_options(parser):
            raise error
    return say


@contextlib.contextmanager
def in_options(parser):
    """A block whose errors speak of the parser's options where they name parameters of functions: --columns for
    columns=..., --max-length for max_length. Errors of files (CheckpointError) mean the file's own settings."""
    try:
        yield
    except CheckpointError:
        raise
    except ValueError as error:
        text = str(error)
        for action in _actions_of(parser):
            for option in [o for o in action.option_strings if o.startswith("--")][:1]:
                name = rf"(?<![\w/.-]){action.dest}"
                text = re.sub(rf"{name}=(\.\.\.|True\b|(?=\w))", lambda m, o=option: o + " " * (not m[1]), text)
                text = re.sub(rf"{name}(?![\w/.=-])" if "_" in action.dest else rf"^{action.dest}(?= must | = )",
                              option, text)
        raise ValueError(text) from error


def _actions_of(parser):
    """The actions of a parser and of its sub-parsers."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                yield from _actions_of(one)


@contextlib.contextmanager
def one_line(name, mistakes=MISTAKES):
    """A block that ends the program with one line, led by the command's name, for a user's mistake and for Ctrl-C.

    To be asked to end (SIGTERM), and a closed terminal, are as Ctrl-C. Nothing is lost because nobody can read what is
    printed: see `Stream`.
    """
    with _ending_as_by_ctrl_c(), _patient_output():
        try:
            yield
        except mistakes as error:
            sys.exit(f"{name}: {error}")
        except KeyboardInterrupt as interrupt:
            sys.exit(f"{name}: interrupted" + (f"; {interrupt}" if str(interrupt) else ""))


def name_of(parser):
    """The name of the command: glue for `python -m numbert.tasks.glue`, or a file such as pretrain.py."""
    return parser.prog.removeprefix("python -m numbert.").removeprefix("tasks.")


class Stream:
    """A text stream that goes on when nobody reads any more (`| head`), the terminal is closed, or its disk is full:
    what cannot be written is dropped, since the work is worth more than what is said of it. A character that the
    encoding lacks becomes a question mark."""

    def __init__(self, stream):
        self.stream = stream
        with contextlib.suppress(AttributeError, ValueError, OSError):
            stream.reconfigure(errors="replace", line_buffering=True)

    def write(self, text):
        with contextlib.suppress(OSError):
            self.stream.write(text)
        return len(text)

    def flush(self):
        with contextlib.suppress(OSError):
            self.stream.flush()

    def __getattr__(self, name):
        return getattr(self.stream, name)

    def close_if_broken(self):
        """Empty the buffer of a broken stream, which Python would fail to write when it exits."""
        try:
            self.stream.flush()
        except OSError:
            with contextlib.suppress(OSError, ValueError, AttributeError), open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), self.stream.fileno())


@contextlib.contextmanager
def _patient_output():
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(Stream, before)
    try:
        yield
    finally:
        for output in (sys.stdout, sys.stderr):
            if isinstance(output, Stream):
                output.close_if_broken()
        sys.stdout, sys.stderr = before


@contextlib.contextmanager
def _ending_as_by_ctrl_c():
    def interrupt(number, frame):
        raise KeyboardInterrupt

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP", "SIGUSR1")):
            if number is not None and signal.getsignal(number) == signal.SIG_DFL:
                before[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def spelled(parser, options, without=("out", "resume", "workers")):
    """The command that has these options, as it is typed: those that are not what they are by default, but for those
    in `without`, which change no result."""
    words = []
    for name, value in vars(options).items():
        if name not in without and value != parser.get_default(name):
            words += [_option(name, parser), *(() if value is True else map(str, value) if isinstance(value, list) else
                                       [str(value)])]
    return f"{parser.prog} {shlex.join(words)}"


def only_for(parser, options, purpose, names):
    """Raises ValueError for an option that is given though it is not one of `names`, all that `purpose` takes."""
    for name, value in vars(options).items():
        if name not in names and value != parser.get_default(name):
            raise ValueError(f"{_option(name, parser)} is for fine-tuning, not for {purpose}")


def _option(name, parser=None):
    """What the option is called that sets `name`."""
    own = [option for action in (parser._actions if parser else ()) if action.dest == name
           for option in action.option_strings if option.startswith("--")]
    return own[0] if own else f"--{name.replace('_', '-')}"
