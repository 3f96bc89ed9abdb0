"""What all commands share: --quick, settings that cannot be, and how a command ends.

    def main(argv=None):
        command.start(experiment, parser, argv)             # calls experiment(options, workers)
"""
import contextlib
import math
import sys

from .training.parallel import Workers


def add_quick(parser, values):
    """Add --quick, which sets each option in `values` that is not given on the command line. For `parse`."""
    parser.add_argument("--quick", action="store_true", help="see everything work once, in seconds: " + ", ".join(
        f"{_option(name)} {' '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in values.items()))
    parser.set_defaults(quick_values=values)


def parse(parser, argv=None):
    """The options, with those of --quick where none was given. Ends the program, in one line, for a number that cannot
    be (`check_numbers`)."""
    options = parser.parse_args(argv)
    if getattr(options, "quick", False):
        parser.set_defaults(**options.quick_values)
        options = parser.parse_args(argv)
    vars(options).pop("quick_values", None)
    with one_line(parser):
        check_numbers(vars(options))
    return options


def check_numbers(settings):
    """Raises ValueError for a number that no command can use: a whole one below 1 (a seed below 0), any other that is
    not above 0 (a dropout or threshold below 0), infinity, NaN."""
    for name, value in settings.items():
        for number in value if isinstance(value, list) else [value]:
            from_0 = name in ("seed", "dropout", "threshold")
            if isinstance(number, bool) or not isinstance(number, int | float):
                continue
            fault = (f"at least {0 if from_0 else 1}" if (type(number) is int or from_0) and not number >= (not from_0)
                     else "above 0" if not (number > 0 or from_0) else
                     "below 1" if name == "dropout" and number >= 1 else
                     "a finite number" if not math.isfinite(number) else None)
            if fault:
                raise ValueError(f"{_option(name)} must be {fault}, got {number}")


def start(experiment, parser, argv=None):
    """Call experiment(options, workers). What a user may do wrong, and Ctrl-C, ends the program in one line."""
    options = parse(parser, argv)
    with one_line(parser), Workers(options.workers) as workers:
        experiment(options, workers)


@contextlib.contextmanager
def one_line(parser):
    """A block that ends the program in one line, with the name of the command, for a user's mistake and for Ctrl-C."""
    name = parser.prog.removeprefix("python -m numbert.").removeprefix("tasks.")
    try:
        yield
    except (ValueError, OSError) as error:
        sys.exit(f"{name}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{name}: interrupted")


def _option(name):
    return f"--{name.replace('_', '-')}"
