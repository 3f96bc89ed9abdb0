"""The toy world's GLUE as files laid out as GLUE's own, so that the readers of the real ones read them.

    python -m numbert.toyworld.glue_files glue                             nine folders, glue/CoLA to glue/WNLI
    python -m numbert.tasks.glue --task rte --data glue/RTE --model RUN_FOLDER

glue.py describes the nine tasks.
"""
import argparse
import sys
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from ..hub.files import write_text
from .glue import FAR, acceptability, answers, inference, paraphrases, pronouns, questions, rte, sentiment, similarity
from .lexicon import LANGUAGES

# task: its files, and where their examples come from
SOURCES = {
    "CoLA": {"train": acceptability, "dev": acceptability},
    "SST-2": {"train": sentiment, "dev": sentiment},
    "MRPC": {"train": paraphrases, "dev": paraphrases},
    "STS-B": {"train": similarity, "dev": similarity},
    "QQP": {"train": questions, "dev": questions},
    "MNLI": {"train": inference, "dev_matched": inference, "dev_mismatched": partial(inference, variant=FAR)},
    "QNLI": {"train": answers, "dev": answers},
    "RTE": {"train": rte, "dev": rte, "control": partial(rte, agreeing=0.5)},
    "WNLI": {"train": pronouns, "dev": pronouns},
}

# task: the columns of GLUE's own files, and which of them hold the text, the second text and the label
COLUMNS = {
    "CoLA": (("source", "label", "mark", "sentence"), "sentence", None, "label"),
    "SST-2": (("sentence", "label"), "sentence", None, "label"),
    "MRPC": (("Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"), "#1 String", "#2 String", "Quality"),
    "STS-B": (("index", "genre", "filename", "year", "old_index", "source1", "source2", "sentence1", "sentence2",
               "score"), "sentence1", "sentence2", "score"),
    "QQP": (("id", "qid1", "qid2", "question1", "question2", "is_duplicate"), "question1", "question2", "is_duplicate"),
    "MNLI": (("index", "promptID", "pairID", "genre", "sentence1_binary_parse", "sentence2_binary_parse",
              "sentence1_parse", "sentence2_parse", "sentence1", "sentence2", "label1", "gold_label"),
             "sentence1", "sentence2", "gold_label"),
    "QNLI": (("index", "question", "sentence", "label"), "question", "sentence", "label"),
    "RTE": (("index", "sentence1", "sentence2", "label"), "sentence1", "sentence2", "label"),
    "WNLI": (("index", "sentence1", "sentence2", "label"), "sentence1", "sentence2", "label"),
}
WITHOUT_HEADER = ("CoLA",)


def write_glue(folder, training, development, *, seed=0, language="en"):
    """Nine folders with train.tsv of `training` examples and dev.tsv (MNLI: two) of `development`; RTE has control.tsv
    besides, without the shortcut. No two examples of a task have the same texts. Returns the folder as a Path.

    Raises ValueError for sizes below 1, a seed below 0 and a language that is not in LANGUAGES.
    """
    if min(training, development) < 1:
        raise ValueError(f"{training} examples to learn from and {development} to measure on: each must be at least 1")
    if seed < 0:
        raise ValueError(f"seed must be at least 0, got {seed}")
    if language not in LANGUAGES:
        raise ValueError(f"language must be one of {', '.join(LANGUAGES)}, got {language!r}")
    for task_number, (task, files) in enumerate(SOURCES.items()):
        seen = set()
        Path(folder, task).mkdir(parents=True, exist_ok=True)
        for file_number, (name, source) in enumerate(files.items()):
            rng = np.random.default_rng([seed, task_number, file_number, 1])
            rows = islice(_new(source(rng, language), seen), training if name == "train" else development)
            write_text(Path(folder, task, f"{name}.tsv"), "".join(line + "\n" for line in _lines(task, rows)))
    return Path(folder)


def _new(rows, seen):
    """The rows whose texts are not in `seen`; they are added to it."""
    for row in rows:
        if row[:2] not in seen:
            seen.add(row[:2])
            yield row


def _lines(task, rows):
    columns, *roles = COLUMNS[task]
    if task not in WITHOUT_HEADER:
        yield "\t".join(columns)
    for number, row in enumerate(rows):
        cells = dict.fromkeys(columns, "toy") | dict.fromkeys({"index", "id"} & set(columns), str(number))
        cells |= {role: cell for role, cell in zip(roles, row, strict=True) if role}
        yield "\t".join(cells.values())


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m numbert.toyworld.glue_files",
                                     description="Write the nine tasks of GLUE, made up from the toy world.")
    parser.add_argument("folder")
    parser.add_argument("--training", type=int, default=500, help="examples to learn from (default: %(default)s)")
    parser.add_argument("--development", type=int, default=500, help="to measure on (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--language", choices=LANGUAGES, default="en")
    options = parser.parse_args(arguments)
    try:
        folder = write_glue(options.folder, options.training, options.development, seed=options.seed,
                            language=options.language)
    except (ValueError, OSError) as error:
        sys.exit(f"toyworld_glue_files: {error}")
    print(f"{folder}: {', '.join(SOURCES)}")


if __name__ == "__main__":
    main()
