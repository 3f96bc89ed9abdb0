"""Extractive question answering: point at the answer in a text, or say that it is not there.

    python -m numbert.tasks.squad --evaluate DATA.json PREDICTIONS.json [--na-prob-file F]      score a file, as SQuAD
    python -m numbert.tasks.squad --train F --dev F --model RUN_FOLDER --out FOLDER             fine-tune and predict
    python -m numbert.tasks.squad --dev F --model FOLDER --out FOLDER                           predict; --evaluate
                                                                                                is --model here, too

--cmrc scores as CMRC 2018 does. All but the first write predictions.json, na_probs.json and nbest.json into FOLDER, and
dev.predictions.tsv, the answers beside the gold answers; fine-tuning also the model, its card (README.md), and in
answers.json the threshold above which there is no answer.
The parts in reading order: data.py reads the files, windows.py cuts texts that are too long, answers.py finds the best
spans, reader.py applies a model, metrics.py scores.
"""
import argparse
import dataclasses
import json
import sys
from pathlib import Path

from ...hub.files import json_text, write_text
from ...models.auto import AutoModelForQuestionAnswering, look
from ...training import command, experiment
from ...training.kept import Kept, add_run_options, opened, recorded
from ...training.run_folder import RunFolder
from .. import card
from ..report import Report, Row, in_words, save
from . import metrics as squad_metrics
from .answers import best_threshold, check_limits, no_answer_probabilities, predictions, with_threshold
from .data import read
from .reader import Reader, load_threshold, qa_task, read_passages, save_threshold, scores
from .windows import describe, make_passages

MAX_LENGTH = 384                    # tokens of a window with the question, where nothing is said
PREDICTING = ("dev", "model", "evaluate", "cmrc", "max_length", "workers", "out", "step", "max_question_length",
              "max_answer_length", "n_best", "threshold")           # the options that count without --train
USE = """from numbert.tasks.squad.reader import Reader

reader = Reader.from_pretrained(FOLDER)
reading = reader("Where is the banana now?", "David took the banana. He went to the forest.")
print(reading.text, reading.no_answer)"""


def report_of(passages, readings, cmrc=False):
    """The `tasks.report.Report` of the answers: beside each the gold answers, and how probable it is, among all spans
    and "no answer"."""
    rows = []
    for passage, reading in zip(passages, readings, strict=True):
        example, answer = passage.example, reading.text
        probability = reading.answers[0].probability if answer else reading.null_probability
        gold = None if example.answers is None else " | ".join(dict.fromkeys(a.text for a in example.answers))
        right = None if gold is None else scores([passage], [reading], cmrc)["exact"] == 100
        rows.append(Row((example.id, example.question), gold, answer, probability, right, example.question))
    known = all(row.gold is not None for row in rows)
    return Report("dev", ("id", "question"), rows, scores(passages, readings, cmrc) if known else {})


def write_predictions(folder, passages, readings):
    """Three files in `folder`, each an object by question id.

    predictions.json: the answer, "" for none; na_probs.json: Reading.no_answer (both as SQuAD's script takes them);
    nbest.json: a list of candidates and "no answer", best first, with score, probability and place in the context.
    """
    n_best = {}
    for passage, reading in zip(passages, readings, strict=True):
        none = {"text": "", "start": None, "end": None, "score": reading.null_score,
                "probability": reading.null_probability}
        candidates = [none] + [span._asdict() for span in reading.answers]
        n_best[passage.example.id] = sorted(candidates, key=lambda candidate: -candidate["score"])
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (("predictions", predictions(passages, readings)), ("nbest", n_best),
                          ("na_probs", no_answer_probabilities(passages, readings))):
        write_text(folder / f"{name}.json", json_text(content, ensure_ascii=False, indent=1) + "\n")


def arguments():
    parser = argparse.ArgumentParser(prog="python -m numbert.tasks.squad", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--train", metavar="F", help="questions to learn from, laid out as SQuAD 1.1, SQuAD 2.0 or CMRC 2018")
    add("--dev", metavar="F", required=True, help="questions to answer; they also choose the best epoch and threshold")
    either = parser.add_mutually_exclusive_group(required=True)
    either.add_argument("--model", metavar="FOLDER", help="a pre-trained or (without --train) a fine-tuned model")
    either.add_argument("--evaluate", metavar="FOLDER", help="the same without --train, as in the other commands")
    add("--cmrc", action="store_true", help="CMRC 2018's character-level measures")
    experiment.add_options(parser, max_length=None, up_to=MAX_LENGTH)
    add_run_options(parser, None)
    add("--step", "--doc-stride", type=int, help="tokens from one window to the next: Google's doc_stride; the overlap "
        "is the rest of the window (default: a third of --max-length)")
    add("--max-question-length", type=int, default=64, help="a longer question loses its end (default: %(default)s)")
    add("--max-answer-length", type=int, default=30, help="in tokens (default: %(default)s)")
    add("--n-best", type=int, default=20, help="candidates in nbest.json (default: %(default)s)")
    add("--threshold", type=float, help='answer "" where the probability of no answer is above this (default: what the '
        "fine-tuned model remembers; while fine-tuning what is best on --dev, and that is remembered; never, if --dev "
        "has no question without an answer)")
    return parser


def main(argv=None):
    argv = list(sys.argv[1:] if argv is None else argv)
    if "--evaluate" in argv and not {"--dev", "--train"} & {word.partition("=")[0] for word in argv}:
        argv.remove("--evaluate")
        squad_metrics.main(argv)
    else:
        command.start(fine_tune_and_predict, arguments(), argv, shared=True)


def fine_tune_and_predict(options, workers):
    deciding = {name: getattr(options, name) for name in ("n_best", "max_answer_length", "threshold")}
    check_limits(options.n_best, options.max_answer_length)             # fails now, not after the training
    if not options.train:
        command.only_for(arguments(), options, "answering without --train", PREDICTING)
    elif options.evaluate:
        raise ValueError("--train is for fine-tuning, not for --evaluate")
    options.model = options.model or options.evaluate
    del options.evaluate                                # no setting of a run
    if options.train:
        with opened(options.out, options.model, options.resume, ranks=workers.ranks) as folder:
            fine_tune(options, folder, deciding, workers)
    else:
        with RunFolder(options.out, workers.ranks) as folder:
            _, positions = look(options.model, AutoModelForQuestionAnswering)
            if options.max_length is None:
                options.max_length = min(card.max_length_of(options.model) or MAX_LENGTH, positions)
            experiment.check_length(options.max_length, positions)
            reader = Reader.from_pretrained(options.model, max_length=options.max_length)
            dev = load(options.dev, reader.tokenizer, options)
            readings, _ = predict(options, folder, reader.model, reader.tokenizer, dev, deciding, workers)
            print_scores(options, dev, readings)


def fine_tune(options, folder, deciding, workers):
    tokenizer, positions = look(options.model, AutoModelForQuestionAnswering, from_scratch=options.from_scratch)
    options.max_length = options.max_length or min(MAX_LENGTH, positions)
    settings = experiment.FineTuning.of(options, positions=positions)
    training = load(options.train, tokenizer, options, most=settings.max_train_samples)
    dev = load(options.dev, tokenizer, options)
    if not judged(dev):
        raise ValueError(f"{options.dev}: has questions without an entry for answers, which cannot choose an epoch")
    task = qa_task(tokenizer, training, dev, workers, batch_size=settings.batch_size, cmrc=options.cmrc, **deciding)
    examples = [[passage.example for passage in passages] for passages in (training, dev)]
    kept = Kept(folder, tokenizer, recorded(options, settings, examples), options.resume)
    runs = experiment.run(task, options.model, settings, workers, from_scratch=options.from_scratch,
                          keep_head=options.keep_head, kept=kept)
    print(runs.table())
    readings, report = predict(options, folder, runs.model, tokenizer, dev, deciding, workers)
    card.save(folder.path, card.ModelCard(
        f"answers in {Path(options.train).name}", "question-answering",
        {name: f"{Path(getattr(options, name)).name}, {len(passages)} questions"
         for name, passages in (("train", training), ("dev", dev))}, options.model, options.from_scratch,
        dataclasses.asdict(settings), runs.table(), command.spelled(arguments(), options), USE, [report]))
    print_scores(options, dev, readings)
    kept.finish()


def predict(options, folder, model, tokenizer, dev, deciding, workers):
    """Answer the questions of --dev, and write the answers. Returns a Reading for each, and their
    `tasks.report.Report`."""
    readings = read_passages(model, tokenizer, dev, workers, **deciding)
    readings = with_threshold(readings, choose_threshold(options, dev, readings))
    if options.train:
        save_threshold(folder.path, readings[0].threshold)
    write_predictions(folder.path, dev, readings)
    print(f"{folder.path}: predictions.json, na_probs.json, nbest.json")
    report = report_of(dev, readings, options.cmrc)
    if report.labelled:
        print(in_words(report))
    for what, path in save(report, folder.path).items():
        print(f"{what} beside what is right: {path}")
    return readings, report


def print_scores(options, dev, readings):
    """The figures of SQuAD's script or CMRC's, as JSON, if it is known what is right."""
    if judged(dev):
        examples, answers = [passage.example for passage in dev], predictions(dev, readings)
        print(json.dumps(squad_metrics.evaluate_cmrc(examples, answers) if options.cmrc else
                         squad_metrics.evaluate(examples, answers, no_answer_probabilities(dev, readings)), indent=2))


def choose_threshold(options, dev, readings):
    """The threshold given, or the one saved with the fine-tuned model, or the best on `dev`, or None."""
    if options.threshold is not None:
        return options.threshold
    stored = {} if options.train else load_threshold(options.model)
    if stored:
        threshold, why = stored["threshold"], f"as {options.model} remembers from its fine-tuning"
    else:
        threshold = best_threshold(dev, readings) if judged(dev) else None
        why = f"the best on {options.dev} in hindsight, so the scores flatter a little"
    if threshold is None:
        print('threshold none: always answers, never says ""; --threshold changes that')
    else:
        print(f"threshold {threshold:.4g}: {why}")
    return threshold


def judged(passages):
    """Whether every question has gold answers, or is known to have none."""
    return all(passage.example.answers is not None for passage in passages)


def load(path, tokenizer, options, most=None, shown=5):
    """The passages of a file, of the first `most` questions. Problems of its answers, and what the windows lose of
    them, are printed."""
    questions = read(path)
    for fate, lines in (("found elsewhere than the file says, or at several places", questions.moved),
                        ("not found, and not used", questions.lost)):
        if lines:
            print("\n".join([f"{path}: answers {fate}: {len(lines)}", *(f"  {line}" for line in lines[:shown])]))
    passages = make_passages(questions.examples[:most], tokenizer, max_length=options.max_length, step=options.step,
                             max_question_length=options.max_question_length)
    for line in describe(passages):
        print(f"{path}: {line}")
    return passages


if __name__ == "__main__":
    main()
