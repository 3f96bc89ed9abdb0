"""The lecture's claims, settled: shown, refuted for models of this size, or undecided and what could have been seen.

    python examples/claims.py --quick                   every experiment once, with numbers that mean nothing
    python examples/claims.py inference masking         two of them, a quarter of an hour to an hour each
    python examples/claims.py dna --data splice.csv     with real sequences, too
    python examples/claims.py --bodies 8 --minutes 60   each with as many of eight bodies as fit into an hour
    python examples/claims.py --show                    the table of the results in examples/results/claims

The scripts in examples/lecture take minutes, with one body or a few. Here the unit is the body: everything is repeated
with several pre-trainings, and a claim is settled by the interval of their mean (numbert/lab/effects.py). Each claim
writes one JSON file with every figure, the settings and the machine; an interrupted run goes on where it was.
"""
import argparse
import functools
import itertools
import shlex
from pathlib import Path

import numpy as np

from numbert import WordPieceTokenizer, svg
from numbert.hub import files
from numbert.hub.errors import read_json
from numbert.lab import controls, splice, translations, two_senses
from numbert.lab.bodies import story_count, tokenizer_of
from numbert.lab.claim import made, new_bert, pretrained, settle, table, worth
from numbert.lab.toy_tasks import SOURCES, class_task, draw
from numbert.machine import cores
from numbert.ops import IGNORE
from numbert.pretraining.batches import PretrainingData
from numbert.pretraining.corpus import hold_out, python_documents
from numbert.pretraining.evaluation import evaluate
from numbert.pretraining.families import FAMILIES, build_model
from numbert.toyworld import LANGUAGES, documents
from numbert.training import command
from numbert.training.experiment import FineTuning

RESULTS = Path(__file__).parent / "results" / "claims"
QUICK = {"bodies": 2, "heads": 1, "steps": 4, "test": 16, "epochs": 1, "out": "runs/claims-quick"}


def inference(lab):
    """pre-training helps natural language inference"""
    return against_scratch(lab, "infer", (200, 500, 2000))


def labels(lab):
    """a pre-trained model needs fewer labels"""
    sizes = 25, 50, 100, 200, 400, 800
    contrasts = against_scratch(lab, "classify", sizes)
    return [*contrasts, worth(0.75, sizes, contrasts)]           # half way from a guess to all


def against_scratch(lab, task, sizes):
    """The contrast of a pre-trained model with one from scratch, for so many labels of a task."""
    for body in lab.bodies():
        folder = made(lab.recipe(body, 3000), lab.workers)
        for size in sizes:
            for how in ("pre-trained", "from scratch"):
                lab.tuned(f"{how}, {size} labels", body, folder, task, size, from_scratch=how == "from scratch")
    return [lab.contrast(f"{task}, pre-trained against from scratch, {size} labels", "above",
                         f"pre-trained, {size} labels", f"from scratch, {size} labels") for size in sizes]


def pairs(lab):
    """next sentence prediction adds nothing downstream, sentence order prediction does"""
    objectives = {"MLM": "mlm", "MLM + NSP": "mlm+nsp", "MLM + SOP": "mlm+sop"}
    for body in lab.bodies():
        for name, objective in objectives.items():
            folder = made(lab.recipe(body, 1500, objective=objective), lab.workers)
            for task in SOURCES:
                lab.tuned(f"{name}, {task}", body, folder, task, 200)
    return [lab.contrast(f"{name} against MLM, {task}", "equal" if "NSP" in name else "above",
                         f"{name}, {task}", f"MLM, {task}")
            for name in ("MLM + NSP", "MLM + SOP") for task in SOURCES]


def masking(lab):
    """a mixture of 80% [MASK], 10% random and 10% kept words serves later tasks better than one kind alone"""
    kinds = {"80/10/10": (0.8, 0.1), "only [MASK]": (1.0, 0.0), "only random": (0.0, 1.0), "only kept": (0.0, 0.0)}
    for body in lab.bodies():
        for kind, (mask_share, random_share) in kinds.items():
            folder = made(lab.recipe(body, 1000, objective="mlm", mask_share=mask_share, random_share=random_share),
                          lab.workers)
            lab.tuned(f"{kind}, fine-tuned", body, folder, "tag", 60)
            lab.tuned(f"{kind}, frozen body", body, folder, "tag", 60, freeze_body=True)
    return [lab.contrast(f"80/10/10 against {kind}, {how}", "above", f"80/10/10, {how}", f"{kind}, {how}")
            for how in ("fine-tuned", "frozen body") for kind in list(kinds)[1:]]


def order(lab):
    """next sentence prediction is too easy: it is solved where sentence order is not, and teaches nothing about it"""
    documents = python_documents()
    documents = documents[:40] if lab.options.quick else documents
    tokenizer = text_tokenizer(Path(lab.options.out), documents)
    names = {"NSP": "mlm+nsp", "SOP": "mlm+sop"}

    def answers(objective, recipe, told, asked):
        data = PretrainingData(told, tokenizer, objective=objective, max_length=recipe.max_length,
                               batch_size=recipe.batch_size, mask_rate=recipe.mask_rate, seed=recipe.seed)
        model = pretrained(new_bert(recipe, tokenizer), data, recipe, lab.workers)
        return {name: evaluate(model, batches, lab.workers)["nsp_accuracy"] for name, batches in asked.items()}

    for body in lab.bodies():
        told, held = hold_out(documents, 0.05, np.random.default_rng(body))
        asked = {name: list(PretrainingData(held, tokenizer, objective=objective, max_length=64,
                                            seed=body).evaluation_batches()) for name, objective in names.items()}
        for trained, objective in names.items():
            lab.measured({f"trained on {trained}, asked {name}": name for name in names}, body,
                         functools.partial(answers, objective, lab.recipe(body, 1500), told, asked))
        for name, batches in asked.items():
            labels = np.concatenate([batch["next_sentence_label"] for batch in batches])
            share = max(labels.mean(), 1 - labels.mean())
            lab.grid.cell(f"majority, {name}", body, 0, lambda share=share: share)
    return [lab.contrast("each asked its own question, NSP against SOP", "above", "trained on NSP, asked NSP",
                         "trained on SOP, asked SOP"),
            lab.contrast("trained on SOP, asked NSP, against the majority", "above", "trained on SOP, asked NSP",
                         "majority, NSP"),
            lab.contrast("trained on NSP, asked SOP, against the majority", "equal", "trained on NSP, asked SOP",
                         "majority, SOP")]


def dna(lab):
    """what a model has read helps it with DNA, beyond the sizes of its weights"""
    options, controlled = lab.options, {"shuffled": controls.shuffled, "same norms": controls.same_norm}
    sources = {"made up": None} | ({"real": options.data} if options.data else {})
    for body in lab.bodies():
        recipe = lab.recipe(body, 3000)
        folder = made(recipe, lab.workers)
        starts = {"pre-trained": folder, "from scratch": folder} | {
            name: lab.kept(f"{recipe.folder.name}-{name}", lambda out, change=change, body=body, folder=folder:
                           controls.changed(folder(), out, change, seed=body)) for name, change in controlled.items()}
        for source, path in sources.items():
            def task(setup, body=body, path=path, folder=folder):
                rng, tokenizer = np.random.default_rng(100 + body), WordPieceTokenizer.from_pretrained(folder())
                words = splice.random_words(tokenizer, rng)
                parts, names = splice.splits(lab.size(500), rng, path)
                return class_task(names, [[(splice.as_words(sequence, words), None, label) for sequence, label in part]
                                          for part in parts], tokenizer, setup, lab.workers)

            for start, begin in starts.items():
                lab.heads({f"{start}, {source}": None}, body, begin, task, from_scratch=start == "from scratch")
            lab.grid.cell(f"majority, {source}", body, 0, lambda task=task: task(FineTuning()).baseline["accuracy"])
    return [lab.contrast(f"{ours} against {other}, {source}", "above", f"{ours}, {source}", f"{other}, {source}")
            for source in sources for ours, other in (
                ("from scratch", "majority"), *(("pre-trained", other) for other in ("from scratch", *controlled)))]


def apples(lab):
    """BERT's vectors of 苹果 tell the fruit from the company, where CBOW has one vector for both"""
    kinds = {"runs hidden": "ngram", "single tokens hidden": "token", "untrained": None}
    quick, tokenizer = lab.options.quick, two_senses.tokenizer_of("zh")
    ten, word = two_senses.TEN["zh"], two_senses.WORD["zh"]

    def bert(unit, recipe, sentences):
        model = new_bert(recipe, tokenizer)
        if unit:
            data = PretrainingData([[text] for text in sentences], tokenizer, objective="mlm", max_length=32,
                                   mask_rate=recipe.mask_rate, mask_unit=unit, seed=recipe.seed)
            pretrained(model, data, recipe, lab.workers)
        return two_senses.layer_vectors(model.body, tokenizer, ten, word)[-1]

    def cbow(recipe, sentences):
        table = two_senses.cbow(sentences, tokenizer, lab.workers, width=recipe.width, steps=4 if quick else 300,
                                seed=recipe.seed)
        return two_senses.static_vectors(table, tokenizer, ten, word)

    def told_apart(vectors, *arguments):
        return two_senses.separation(two_senses.cosines(vectors(*arguments)))

    for body in lab.bodies():
        recipe = lab.recipe(body, 500, objective="mlm", batch_size=32, layers=3, width=64, lr=5e-3)
        sentences = two_senses.made_up(300 if quick else 3000, "zh", np.random.default_rng([7, body, 1]))
        for name, vectors in {**{kind: functools.partial(bert, unit) for kind, unit in kinds.items()},
                              "CBOW": cbow}.items():
            lab.measured({f"{figure}, {name}": figure for figure in ("gap", "nearest")}, body,
                         functools.partial(told_apart, vectors, recipe, sentences))
    return [lab.contrast(f"{figure}, {ours} against {other}", "above", f"{figure}, {ours}", f"{figure}, {other}")
            for figure in ("gap", "nearest") for ours, other in (
                *(("runs hidden", other) for other in ("CBOW", "untrained", "single tokens hidden")),
                ("single tokens hidden", "CBOW"))]


def objectives(lab):
    """for tagging, hidden words serve better than the next word; RoBERTa is better than BERT, ALBERT worse"""
    rows = {"BERT": ("bert", "mlm+nsp"), "RoBERTa": ("roberta", "full-sentences"), "ALBERT": ("albert", "mlm+sop"),
            "GPT": ("gpt", "causal")}
    ways, tokenizer = {"fine-tuned": {}, "frozen body": {"freeze_body": True}}, tokenizer_of("en")
    told = documents(story_count(lab.recipe(0, 800)), np.random.default_rng(3))

    def data_of(row, recipe):
        family, objective = rows[row]
        hidden = {} if objective == "causal" else {"mask_rate": recipe.mask_rate,
                                                   "mask_unit": FAMILIES[family].mask_unit}
        named = {"pair_label": FAMILIES[family].pair_label} if FAMILIES[family].pair_label else {}
        return PretrainingData(told, tokenizer, objective=objective, max_length=recipe.max_length,
                               batch_size=recipe.batch_size, seed=recipe.seed, **hidden, **named)

    def pretrain(row, recipe, folder):
        model = build_model(rows[row][0], tokenizer, layers=recipe.layers, width=recipe.width, max_positions=256,
                            heads=recipe.width // 32, rng=np.random.default_rng(recipe.seed))
        pretrained(model, data_of(row, recipe), recipe, lab.workers).save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    guessed = {row: np.mean([(batch["labels"] != IGNORE).sum() for batch in
                             itertools.islice(data_of(row, lab.recipe(0, 800)).batches(), 50)]) for row in rows}
    print("tokens guessed in a step: " + ", ".join(f"{row} {count:.0f}" for row, count in guessed.items()))
    steps, whole = {}, lab.recipe(0, 800).steps
    for row, count in guessed.items():
        fewer = max(1, round(whole * guessed["BERT"] / count))
        steps[row] = {"as many steps": whole, "as many guesses": whole if abs(fewer - whole) < whole / 10 else fewer}
    for body in lab.bodies():
        for row, measures in steps.items():
            for count in sorted(set(measures.values())):
                recipe = lab.recipe(body, 800).replace(steps=count)
                folder = lab.kept(f"{row}-{recipe.folder.name}", functools.partial(pretrain, row, recipe))
                for way, settings in ways.items():
                    lab.tuned(f"{row}, {count} steps, {way}", body, folder, "tag", 60, **settings)
    return [lab.contrast(f"{ours} against {other}, {measure}, {way}", claim,
                         *(f"{row}, {steps[row][measure]} steps, {way}" for row in (ours, other)))
            for measure in ("as many steps", "as many guesses") for ours, other, claim in (
                ("BERT", "GPT", "above"), ("RoBERTa", "BERT", "above"), ("ALBERT", "BERT", "below")) for way in ways]


def languages(lab):
    """a model that reads two languages aligns them, with no word in both, and answers in the one it was not tuned on"""
    tokenizer, tasks = tokenizer_of(*LANGUAGES), {"answer": (500, "f1"), "tag": (200, "accuracy")}
    texts = {"nothing shared": translations.unchanged, "names shared": translations.shared}
    points, told = (0, 0.2, 0.4, 0.6, 0.8, 1), 5 if lab.options.quick else 200

    def pretrain(recipe, change, folder):
        data, _ = translations.two_languages(recipe, tokenizer, change)
        model, ranks = new_bert(recipe, tokenizer), {}

        def look(step):
            if step in [round(point * recipe.steps) for point in points]:
                ranks[step] = translations.alignment(model, tokenizer, told, change, without=("person",))[0]
        look(0)
        pretrained(model, data, recipe, lab.workers, each=lambda step: look(step.number))
        files.write_text(folder / "ranks.json", files.json_text(ranks))
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    def crossed(name, body, setup):
        splits = {one: draw(name, lab.size(tasks[name][0]), one, seed=100 + body) for one in LANGUAGES}
        return translations.crossed(name, "en", splits, tokenizer, setup, lab.workers)

    for body in lab.bodies():
        recipe = lab.recipe(body, 1500, objective="mlm", width=64)
        steps = {point: str(round(point * recipe.steps)) for point in points}
        folders = {text: lab.kept(f"{text}-{recipe.folder.name}", functools.partial(pretrain, recipe, change))
                   for text, change in texts.items()}
        for text, folder in folders.items():
            lab.measured({f"rank, {step} steps, {text}": step for step in steps.values()}, body,
                         lambda folder=folder: read_json(folder() / "ranks.json"))
        for name, (_, figure) in tasks.items():
            task = functools.partial(crossed, name, body)
            both = {language: f"{figure}_{language}" for language in LANGUAGES}
            lab.heads({f"{name} in {language}": one for language, one in both.items()}, body,
                      folders["nothing shared"], task)
            lab.measured({f"majority, {name} in {language}": one for language, one in both.items()}, body,
                         lambda task=task, name=name: {one: share / (100 if name == "answer" else 1) for one, share in
                                                       task(FineTuning()).baseline.items()})
    curves = {text: [(int(step), np.mean(lab.grid.figures(f"rank, {step} steps, {text}"))) for step in steps.values()]
              for text in texts}
    files.write_text(lab.grid.path.with_name("languages-curve.svg"), svg.page([svg.chart(
        "Is the translation the nearest word? Mean of the bodies", "step", "mean reciprocal rank", curves)]))
    last = f"{steps[1]} steps"
    return [*(lab.contrast(f"rank after {last} against before, {text}", "above", f"rank, {last}, {text}",
                           f"rank, 0 steps, {text}") for text in texts),
            lab.contrast(f"rank after {last}, names shared against nothing shared", "equal",
                         f"rank, {last}, names shared", f"rank, {last}, nothing shared"),
            *(lab.contrast(f"{name} in {language}, tuned on English, against the majority", "above",
                           f"{name} in {language}", f"majority, {name} in {language}")
              for name in tasks for language in LANGUAGES)]


CLAIMS = {function.__name__: function for function in (
    inference, labels, pairs, masking, order, dna, apples, objectives, languages)}


def text_tokenizer(folder, documents):
    """A vocabulary of 8,000 pieces of the English that Python carries, made once."""
    folder = folder / "english"
    if not (folder / "vocab.txt").exists():
        folder.mkdir(parents=True, exist_ok=True)
        WordPieceTokenizer.train((text for document in documents for text in document),
                                 vocab_size=8000).save_pretrained(folder)
    return WordPieceTokenizer.from_pretrained(folder)


def typed(name, options):
    """The command that such options come from."""
    said = [[f"--{key}", str(value)] for key in ("bodies", "seed", "heads", "steps", "test", "epochs")
            if (value := getattr(options, key)) != arguments().get_default(key)]
    said += [["--data", Path(options.data).name]] if options.data else []
    return shlex.join(["python", "examples/claims.py", name, *sum(said, [])])


def arguments():
    parser = argparse.ArgumentParser(prog="claims.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("claims", nargs="*", metavar="CLAIM", help=f"(default: all) {', '.join(CLAIMS)}")
    add("--bodies", type=int, default=5, help="pre-trainings of each condition (default: %(default)s)")
    add("--heads", type=int, default=2, help="fine-tunings of each body (default: %(default)s)")
    add("--seed", type=int, default=0, help="of the first body; those of the others follow (default: %(default)s)")
    add("--minutes", type=float, default=120.0, help="for each claim: as many whole bodies as fit, at least two "
        "(default: %(default)s)")
    add("--steps", type=int, help="of pre-training (default: as the claim needs)")
    add("--test", type=int, default=500, help="examples to report on (default: %(default)s)")
    add("--epochs", type=int, default=8, help="of fine-tuning (default: %(default)s)")
    add("--data", metavar="FILE", help="for dna, real sequences as well: label, name, sequence in each line")
    add("--out", default="runs/claims", help="the folder of the result files (default: %(default)s)")
    add("--workers", type=int, default=cores(), help="threads (default: all cores, %(default)s here)")
    add("--show", action="store_true", help="print the table of the results in examples/results/claims, and stop")
    command.add_quick(parser, QUICK)
    return parser


def main(argv=None):
    command.start(experiment, arguments(), argv)


def experiment(options, workers):
    unknown = set(options.claims) - set(CLAIMS)
    if unknown:
        raise ValueError(f"no claim is called {', '.join(sorted(unknown))}; there are {', '.join(CLAIMS)}")
    if options.seed < 0:
        raise ValueError(f"--seed must be at least 0, got {options.seed}")
    if options.bodies < 2:
        raise ValueError(f"--bodies must be at least 2, got {options.bodies}: one body has no spread")
    if options.show:
        for path in sorted(RESULTS.glob("*.json")):
            content = read_json(path)
            print(f"{content['claim']}\n({content['command']}; {content['machine']})\n\n{table(content)}\n")
        return
    Path(options.out).mkdir(parents=True, exist_ok=True)
    for name in options.claims or CLAIMS:
        settle(name, CLAIMS[name], options, workers, typed(name, options))


if __name__ == "__main__":
    main()
