"""A tag for each word: parts of speech, names of people and places (Devlin et al. 2019, section 5.3 and figure 4d).

A word may be several pieces. Its tag is learnt at the first of them and read off there; the others have no label, -100:

    words     Helen   unpacked            .
    pieces    helen   un    ##pack  ##ed  .
    labels    PROPN   VERB  -100    -100  PUNCT

A sentence that is longer than `max_length` is cut between words into windows, each read on its own; so every word is
learnt from and gets a tag, and `windows_of` says how many sentences were cut. (A single word of more pieces than a
window holds keeps the first ones.)

    python -m numbert.tasks.tagging --train F --dev F --model RUN_FOLDER
    python -m numbert.tasks.tagging --evaluate FINE_TUNED --dev F
"""
import argparse
import dataclasses
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..models.auto import AutoModelForTokenClassification, look
from ..ops import IGNORE
from ..recording import no_grad
from ..training import command
from ..training.experiment import FineTuning, Task, add_options, run
from ..training.finetuning import Shuffled
from ..training.kept import Kept, add_run_options, opened, recorded
from . import card, conll, metrics
from .classification import softmax
from .evaluating import add_model_options, finished, output
from .report import Report, Row, save, show

USE = """import numbert as nb
from numbert.tasks.tagging import tag
from numbert.training.parallel import Workers

model = nb.AutoModelForTokenClassification.from_pretrained(FOLDER)
tokenizer = nb.AutoTokenizer.from_pretrained(FOLDER)
with Workers() as workers:
    print(tag(model, tokenizer, [["a", "sentence", "in", "words"]], workers))"""


class TaggedWindow(NamedTuple):
    """A stretch of a sentence: `ids` of its pieces with [CLS] and [SEP], if the tokenizer has them, and `firsts`, the
    column of the first piece of each of its words. `labels`, one for each word, -100 where a word has none."""
    ids: list
    firsts: list
    labels: list


def windows_of(sentences, tokenizer, max_length):
    """(windows, cut): for each sentence, a list of words and their class ids, a list of Windows; how many of the
    sentences have more than one.

    sentences: [(words, labels), ...]. A word that the tokenizer finds nothing in is one [UNK].
    """
    before, after = frame = [[tokenizer.id_of_role(role) for role in roles] for roles in tokenizer.frame[0]]
    room = max_length - len(before + after)
    if room < 1:
        raise ValueError(f"max_length must be at least {len(before + after) + 1} (a piece, and the special tokens "
                         f"around it), got {max_length}")
    found = []
    for words, labels in sentences:
        windows, ids, firsts, start = [], [], [], 0
        for number, pieces in enumerate(tokenizer.encode_words(words)):
            pieces = pieces[:room] or [tokenizer.unk_token_id]
            if len(ids) + len(pieces) > room:
                windows.append(_window(frame, ids, firsts, labels[start:number]))
                ids, firsts, start = [], [], number
            firsts.append(len(before) + len(ids))
            ids += pieces
        windows.append(_window(frame, ids, firsts, labels[start:]))
        found.append(windows)
    return found, sum(len(windows) > 1 for windows in found)


def _window(frame, ids, firsts, labels):
    before, after = frame
    return TaggedWindow([*before, *ids, *after], firsts, list(labels))


def collate(tokenizer):
    """A function that makes a batch of Windows: what `tokenizer.pad` gives, and labels (B, T)."""
    def batch_of(windows):
        batch = tokenizer.pad([window.ids for window in windows], side="right")
        batch["labels"] = np.full(batch["input_ids"].shape, IGNORE)
        for row, window in zip(batch["labels"], windows, strict=True):
            row[window.firsts] = window.labels
        return batch
    return batch_of


def predict(model, tokenizer, windows, workers, batch_size=64):
    """Class ids for each word of each sentence: a list of lists, for `windows` as `windows_of` gives them."""
    return [[tag for tag, _ in row] for row in predict_likely(model, tokenizer, windows, workers, batch_size)]


def predict_likely(model, tokenizer, windows, workers, batch_size=64):
    """The same with probabilities: (class id, how likely it is) for each word."""
    flat = [window for sentence in windows for window in sentence]

    def tags(start):
        part = flat[start:start + batch_size]
        batch = tokenizer.pad([window.ids for window in part], side="right")
        with no_grad():
            logits = model(**model.accepted(batch)).logits.data         # (B, T, C)
        of_words = [row[window.firsts] for row, window in zip(logits, part, strict=True)]
        return [list(zip(row.argmax(-1).tolist(), softmax(row).max(-1).tolist(), strict=True)) for row in of_words]

    tagged = iter([row for rows in workers.share(tags, range(0, len(flat), batch_size)) for row in rows])
    return [[tag for _ in sentence for tag in next(tagged)] for sentence in windows]


# ---- tags and figures ------------------------------------------------------------------------------------------------


def tag_names(sentences):
    """The tags in [(words, tags), ...], sorted; the number of a tag in this list is its class id."""
    return sorted({tag for _, tags in sentences for tag in tags if tag is not None})


def with_ids(sentences, names):
    """The same sentences with class ids for tags, -100 for None and for a tag that is not in `names`."""
    ids = {tag: i for i, tag in enumerate(names)}
    return [(words, [ids.get(tag, IGNORE) for tag in tags]) for words, tags in sentences]


class Entities(NamedTuple):
    """How tags are read as entities. `scheme`: its name. `letters`: {tag: the same in IOBES letters}, as
    `metrics.entities` takes it. `strange`: the tags outside the scheme, which are read as O."""
    scheme: str
    letters: dict
    strange: list


# The letters of each scheme for begin, inside, end, and an entity of one word.
SCHEMES = {"IOB": "BI", "IOBES": "BIES", "BILOU": "BILU", "BMES": "BMES", "BMEWO": "BMEW"}


def entities_in(tags):
    """The `Entities` of a collection of tags, of the scheme that most of them belong to; None if fewer than half of
    those that are not O are tags of entities.

    A tag of an entity is a letter of its scheme, a dash (or everywhere an underscore), and a type: B-PER. Where B alone
    is a tag, beside O or S, letters alone are read, too.
    """
    different = sorted({tag for tag in tags if tag is not None and tag != "O"})
    alone = "B" in tags and ("O" in tags or "S" in tags)

    def understood(scheme, mark):
        """{tag: as IOBES has it} for those of the tags that this scheme has."""
        letters = dict(zip(SCHEMES[scheme], "BIES", strict=False))
        return {tag: letters[tag[0]] + ("-" + tag[2:] if tag[1:] else "") for tag in different
                if tag[:1] in letters and (tag[1:2] == mark and tag[2:] or alone and not tag[1:])}

    found = {(scheme, mark): understood(scheme, mark) for mark in "-_" for scheme in SCHEMES}
    scheme, mark = max(found, key=lambda which: len(found[which]))     # of equals the first, which has fewest letters
    letters = found[scheme, mark]
    if not letters or 2 * len(letters) < len(different):
        return None
    strange = [tag for tag in different if tag not in letters]
    return Entities(scheme, letters | dict.fromkeys([*strange, "O", None], "O"), strange)


def measure(tags, predictions, entities=None):
    """{"accuracy": of words that have a tag}, and before it {"f1": of entities} where the tags form entities.

    tags, predictions: lists of sentences, each a list of tags. entities: how they are read (`Entities`; default:
    found from the tags and the predictions).
    """
    pairs = [(a, b) for row, guess in zip(tags, predictions, strict=True) for a, b in zip(row, guess, strict=True)
             if a is not None]
    if not pairs:
        raise ValueError("no word has a tag to be measured by")
    figures = {"accuracy": metrics.accuracy(*zip(*pairs, strict=True))}
    entities = entities or entities_in({tag for row in (*tags, *predictions) for tag in row})
    if entities is None:
        return figures
    wanted, given = ([[entities.letters.get(tag, "O") for tag in row] for row in rows] for rows in (tags, predictions))
    return {"f1": metrics.entity_scores(wanted, given).f1} | figures


def described(sentences_by_name):
    """(Entities or None, lines about how these tags are judged) for {name: [(words, tags), ...]}."""
    counts = Counter(tag for sentences in sentences_by_name.values() for _, tags in sentences for tag in tags)
    entities = entities_in(counts)
    if entities is None:
        some = sorted(tag for tag in counts if tag and re.match("[BI][-_].", tag))
        return None, [f"tags: {len(some)} of {len(counts)} look like those of entities ({', '.join(some[:5])}), the "
                      "others do not: judged by accuracy"] if some else []
    lines = [f"tags: entities, {entities.scheme}; the epoch is chosen by the F1 of entities"]
    where = [name for name, sentences in sentences_by_name.items()
             if any(tag in entities.strange for _, tags in sentences for tag in tags)]
    if entities.strange:
        lines.append(f"tags that are not of this scheme, read as O ({', '.join(where)}): " + ", ".join(
            f"{tag} ({counts[tag]} words)" for tag in entities.strange))
    return entities, lines


def baselines(training, sentences):
    """Two baselines without a model, learnt from training sentences: {"majority": the most frequent tag of all,
    "by word": the most frequent tag of each word (of a new word the former)}, each a list of tags per sentence."""
    of_word = defaultdict(Counter)
    for words, tags in training:
        for word, tag in zip(words, tags, strict=True):
            if tag is not None:
                of_word[word][tag] += 1
    majority = sum(of_word.values(), Counter()).most_common(1)[0][0]
    best = {word: counts.most_common(1)[0][0] for word, counts in of_word.items()}
    return {"majority": [[majority] * len(words) for words, _ in sentences],
            "by word": [[best.get(word, majority) for word in words] for words, _ in sentences]}


def task_of(training, development, tokenizer, settings, workers, test=None):
    """The `experiment.Task` of tagging sentences [(words, tags), ...], and lines on how their tags are judged.

    settings: an `experiment.FineTuning`.
    """
    names = tag_names(training)
    if not names:
        raise ValueError("no word of the training sentences has a tag")
    notes = []

    def windows(sentences, what):
        found, cut = windows_of(with_ids(sentences, names), tokenizer, settings.max_length)
        unknown = Counter(tag for _, tags in sentences for tag in tags if tag is not None and tag not in names)
        if cut:
            notes.append(f"{what}: {cut} of {len(found)} sentences are longer than {settings.max_length} pieces and "
                         "are read in several windows")
        if unknown:
            notes.append(f"{what}: {unknown.total()} words have a tag that training never shows, and count as wrong: "
                         + ", ".join(sorted(unknown)))
        return found

    def evaluation(sentences, what):
        found = windows(sentences, what)

        def evaluate(model):
            guesses = named(predict(model, tokenizer, found, workers), names)
            return measure([tags for _, tags in sentences], guesses, entities)
        return evaluate

    tagged = {"training": training, "development": development} | ({"test": test} if test else {})
    for what, sentences in tagged.items():
        if all(tag is None for _, tags in sentences for tag in tags):
            raise ValueError(f"{what}: no word has a tag")
    entities, lines = described(tagged)
    notes += lines
    flat = [window for found in windows(training, "training") for window in found]
    reported = development if test is None else test
    baseline = measure([tags for _, tags in reported], baselines(training, reported)["majority"], entities)
    task = Task(AutoModelForTokenClassification, {"num_labels": len(names), "id2label": dict(enumerate(names))},
                Shuffled(flat, settings.batch_size, collate(tokenizer)), evaluation(development, "development"),
                baseline, test=test and evaluation(test, "test"))
    return task, notes


def named(predictions, names):
    """Class ids by sentence -> tags by sentence."""
    return [[names[i] for i in row] for row in predictions]


def report_of(split, sentences, predicted, names, entities=None):
    """The `report.Report` of tagged sentences [(words, tags), ...] and what `predict_likely` gives for them. names:
    {class id: tag}."""
    rows = []
    for number, ((words, tags), found) in enumerate(zip(sentences, predicted, strict=True), 1):
        for i, (word, gold, (tag, likely)) in enumerate(zip(words, tags, found, strict=True)):
            around = " ".join([*words[max(0, i - 6):i], f"[{word}]", *words[i + 1:i + 7]])
            rows.append(Row((f"{number}", word), gold, names[tag], likely, shown=around))
    gold, given = [tags for _, tags in sentences], [[names[tag] for tag, _ in row] for row in predicted]
    if all(tag is None for row in gold for tag in row):
        return Report(split, ("sentence", "word"), rows, {})
    scores = entities and metrics.entity_scores_by_type(*(
        [[entities.letters.get(tag, "O") for tag in row] for row in some] for some in (gold, given)))
    return Report(split, ("sentence", "word"), rows, measure(gold, given, entities), tuple(names.values()), scores)


def tag(model, tokenizer, sentences, workers, max_length=None):
    """Tags, by the names in the model's configuration, else 0, 1, ..., for [[word, ...], ...]: a list of lists of the
    same lengths."""
    windows, _ = windows_of([(words, [IGNORE] * len(words)) for words in sentences], tokenizer,
                            max_length or model.max_tokens)
    return named(predict(model, tokenizer, windows, workers), model.config.label_names)


# ---- the command line ------------------------------------------------------------------------------------------------


def read(path, column=None):
    """A conll.TaggedFile: CoNLL-U if the file is called *.conllu (column: UPOS, XPOS), else columns (its number)."""
    if Path(path).suffix == ".conllu":
        file = conll.read_conllu(path, column or "UPOS")
    elif column is not None and not re.fullmatch(r"-?\d+", column):
        raise ValueError(f"{path}: a column of this file is a number (-1: the last), got {column!r}")
    else:
        file = conll.read_conll(path, None if column is None else int(column))
    if not file.sentences:
        raise ValueError(f"{path}: no sentence in it")
    return file


def arguments():
    parser = argparse.ArgumentParser(
        prog="python -m numbert.tasks.tagging", description="Fine-tune a model to tag words, evaluate it, and write "
        "its tags in the format of the file. A file *.conllu is CoNLL-U, any other has two columns (or see --column).")
    add = parser.add_argument
    add("--train", metavar="FILE", help="sentences to learn from")
    add("--dev", metavar="FILE", help="sentences by which the best epoch is chosen")
    add("--test", metavar="FILE", help="sentences to report on (default: those of --dev)")
    add_model_options(parser)
    add("--column", help="the column of the tag: UPOS or XPOS in CoNLL-U (default: UPOS), elsewhere its number from 0")
    add_run_options(parser, "runs/tagging")
    add_options(parser, max_length=None)
    return parser


def main(argv=None):
    command.start(tag_files, arguments(), argv, shared=True)


def tag_files(options, workers):
    if options.evaluate:
        evaluate_files(options, workers)
        return
    if not (options.train and options.dev):
        raise ValueError("--train FILE and --dev FILE are needed to fine-tune")
    with opened(options.out, options.model, options.resume, default="runs/tagging",
                ranks=workers.ranks) as folder:
        tokenizer, positions = look(options.model, AutoModelForTokenClassification, from_scratch=options.from_scratch)
        settings = FineTuning.of(options, positions=positions)
        files = read_files(options, ("train", "dev", "test"))
        sentences = {name: [sentence[:2] for sentence in file.sentences] for name, file in files.items()}
        sentences["train"] = sentences["train"][:settings.max_train_samples]
        print(", ".join(f"{name}: {_counted(some)}" for name, some in sentences.items()), end="")
        if "test" in sentences and not any(tag for _, tags in sentences["test"] for tag in tags):
            del sentences["test"]                       # it is there to be tagged
            print("; no word of test has a tag", end="")
        training, development, test = map(sentences.get, ("train", "dev", "test"))
        task, notes = task_of(training, development, tokenizer, settings, workers, test)
        print(f"; {task.settings['num_labels']} tags", *notes, sep="\n")
        kept = Kept(folder, tokenizer, recorded(options, settings, sentences), options.resume)
        runs = run(task, options.model, settings, workers, from_scratch=options.from_scratch,
                   keep_head=options.keep_head, kept=kept)

        reported = test or development
        entities, _ = described(sentences)
        by_word = measure([tags for _, tags in reported], baselines(training, reported)["by word"], entities)
        figures = (f"{runs.table()}\neach word's most frequent tag: "
                   + "  ".join(f"{name} {value:.3f}" for name, value in by_word.items()))
        print(f"\n{figures}")
        if not test:
            print("The best epoch was chosen on these same sentences, so the figures are a little too good; --test "
                  "FILE.")
        reports = judge(runs.model, tokenizer, {name: files[name] for name in ("dev", "test") if name in files},
                        settings.max_length, workers, entities, folder.path, options)
        card.save(folder.path, card.ModelCard(
            f"tags of {Path(options.train).name}", "token-classification",
            {name: f"{Path(getattr(options, name)).name}, {_counted(some)}" for name, some in sentences.items()},
            options.model, options.from_scratch, dataclasses.asdict(settings), figures,
            command.spelled(arguments(), options), USE, [reports["test" if test else "dev"]]))
        kept.finish()


def evaluate_files(options, workers):
    """Evaluate a model that was fine-tuned before on --dev and --test, or tag them if they have no tags."""
    tokenizer, model, max_length = finished(options, arguments(), AutoModelForTokenClassification,
                                            ("dev", "test", "column"))
    files = read_files(options, ("dev", "test"))
    if not files:
        raise ValueError("--dev FILE or --test FILE is needed to evaluate")
    entities = entities_in([str(name) for name in model.config.label_names.values()])
    with output(options, workers) as folder:
        judge(model, tokenizer, files, max_length, workers, entities, folder and folder.path, options)


def judge(model, tokenizer, files, max_length, workers, entities, folder, options):
    """Tag `files` {name: TaggedFile}, print how good the tags are, and write them into `folder` if there is one.
    Returns {name: Report}."""
    names, reports = {i: str(name) for i, name in model.config.label_names.items()}, {}
    paths = predicted_files(folder, options, files) if folder else {}
    for name, file in files.items():
        sentences = [sentence[:2] for sentence in file.sentences]
        windows, _ = windows_of([(words, [IGNORE] * len(words)) for words, _ in sentences], tokenizer, max_length)
        found = predict_likely(model, tokenizer, windows, workers)
        reports[name] = report = report_of(name, sentences, found, names, entities)
        if report.labelled or not folder:
            show(report)
        if folder:
            file.write(paths[name], [[names[tag] for tag, _ in row] for row in found])
            print(f"tags of {name}: {paths[name]}")
        if folder and report.labelled:
            for what, path in save(report, folder).items():
                print(f"{what} for {name}: {path}")
    return reports


def read_files(options, names):
    """{name: TaggedFile} of the options that name a file."""
    return {name: read(path, options.column) for name in names if (path := getattr(options, name))}


def _counted(sentences):
    return f"{len(sentences)} sentences, {sum(len(words) for words, _ in sentences)} words"


def predicted_files(folder, options, files):
    """{name: path}: where the tags of --dev and --test go, each to a file of its own."""
    given = {name: Path(getattr(options, name)) for name in ("dev", "test") if name in files}
    alike = len({path.name for path in given.values()}) < len(given)
    return {name: folder / f"{f'{name}-' if alike else ''}{path.stem}.predicted{path.suffix}"
            for name, path in given.items()}


if __name__ == "__main__":
    main()
