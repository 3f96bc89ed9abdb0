"""--evaluate FOLDER: a model that was fine-tuned before is evaluated again, and predicts what has no labels."""
import contextlib

from ..models.auto import check_head, look
from ..training import command
from ..training.experiment import FineTuning
from ..training.run_folder import RunFolder
from . import card


def add_model_options(parser):
    """Add --model and --evaluate, one of which is needed."""
    either = parser.add_mutually_exclusive_group(required=True)
    either.add_argument("--model", metavar="RUN_FOLDER", help="a pre-trained model with its tokenizer, to fine-tune")
    either.add_argument("--evaluate", metavar="FOLDER", help="a model that is fine-tuned already, to evaluate it and "
                        "to predict what has no labels; predictions are written if --out says where")


def finished(options, parser, auto_class, files):
    """(tokenizer, model, max_length) of the fine-tuned model that --evaluate names. The longest text is what it was in
    the fine-tuning, if no other is given.

    files: the names of the options that say what is read. Raises ValueError for a further option, and for a model whose
    head was never trained, or for another task.
    """
    command.only_for(parser, options, "--evaluate", ("evaluate", "max_length", "out", "workers", *files))
    folder = options.evaluate
    tokenizer, positions = look(folder, auto_class)
    check_head(folder, auto_class)
    given = options.max_length or min(card.max_length_of(folder) or FineTuning.max_length, positions)
    max_length = FineTuning.of(options, positions=positions, max_length=given).max_length
    model = auto_class.from_pretrained(folder)
    if model.load_report.new:
        raise ValueError(f"{folder}: its head is not trained: it lacks {', '.join(model.load_report.new)}")
    return tokenizer, model, max_length


def output(options, workers):
    """A block with the folder of --out, None if there is none."""
    return RunFolder(options.out, workers.ranks) if options.out else contextlib.nullcontext()
