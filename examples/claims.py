"""The lecture's claims, settled: shown, refuted for models of this size, or undecided and what could have been seen.

    python examples/claims.py --quick                   every experiment once, with numbers that mean nothing
    python examples/claims.py inference masking         two of them, about half an hour each on two cores
    python examples/claims.py --bodies 8 --minutes 60   each with as many of eight bodies as fit into an hour
    python examples/claims.py --show                    the table of the results in examples/results/claims

The scripts in examples/lecture take minutes, with one body or a few. Here the unit is the body: everything is repeated
with several pre-trainings, and a claim is settled by the interval of their mean (numbert/lab/effects.py). Each claim
writes one JSON file with every figure, the settings and the machine; an interrupted run goes on where it was.
"""
import argparse
import functools
import shlex
from pathlib import Path
from typing import NamedTuple

import numpy as np

from numbert import BertForPreTraining, WordPieceTokenizer
from numbert.hub import files
from numbert.hub.errors import read_json
from numbert.lab import effects
from numbert.lab.bodies import Recipe, config_of, pretrained_body
from numbert.lab.grid import Grid
from numbert.lab.toy_tasks import SOURCES, draw, toy_task
from numbert.machine import cores
from numbert.pretraining.batches import PretrainingData
from numbert.pretraining.corpus import hold_out, python_documents
from numbert.pretraining.evaluation import evaluate
from numbert.training import command
from numbert.training.experiment import FineTuning, run
from numbert.training.loop import train
from numbert.training.optimizer import AdamW, linear_schedule

RESULTS = Path(__file__).parent / "results" / "claims"
QUICK = {"bodies": 2, "heads": 1, "steps": 4, "test": 16, "epochs": 1, "out": "runs/claims-quick"}
ACCURACY = 0.02                                 # a smaller difference of accuracies, or of F1 / 100, does not matter


class Contrast(NamedTuple):
    """One comparison of a claim: `ours` less `others`, rows of heads for each body; claimed to be `above`, `below` or
    `equal` to 0."""
    what: str
    claim: str
    ours: list
    others: list
    margin: float = ACCURACY


class Experiment:
    """What the claims share: the grid of figures, the options, the workers."""

    def __init__(self, grid, options, workers):
        self.grid, self.options, self.workers = grid, options, workers

    def bodies(self):
        return self.grid.bodies(self.options.bodies, self.options.minutes)

    def recipe(self, body, steps, **settings):
        return Recipe(steps=self.options.steps or steps, seed=body, **settings)

    def tuned(self, condition, body, folder, name, labels, *, from_scratch=False, **settings):
        """Fine-tune each head on `labels` examples, drawn anew for each body and alike for all conditions."""
        keys = [f"{condition} / {body} / {head}" for head in range(self.options.heads)]
        if all(key in self.grid.content["figures"] for key in keys):
            return
        test = self.options.test
        tokenizer = WordPieceTokenizer.from_pretrained(folder())
        setup = FineTuning(**{"epochs": self.options.epochs, "lr": 7e-4, "batch_size": 16, "dropout": 0.0} | settings)
        splits = draw(name, (16 if self.options.quick else labels, test // 2, test), seed=100 + body)
        task = toy_task(name, splits, tokenizer, setup, self.workers)

        def one(head):
            found = run(task, folder(), setup, self.workers, from_scratch=from_scratch, seeds=[100 * body + head],
                        say=None).seeds
            return found.mean() / (100 if found.deciding == "f1" else 1)

        for head in range(self.options.heads):
            self.grid.cell(condition, body, head, lambda head=head: one(head))


def inference(lab):
    """pre-training helps natural language inference"""
    return against_scratch(lab, "infer", (200, 500, 2000))


def labels(lab):
    """a pre-trained model needs fewer labels"""
    return against_scratch(lab, "classify", (25, 50, 100, 200, 400, 800))


def against_scratch(lab, task, sizes):
    """The contrast of a pre-trained model with one from scratch, for so many labels of a task."""
    for body in lab.bodies():
        folder = made(lab.recipe(body, 3000), lab.workers)
        for size in sizes:
            for how in ("pre-trained", "from scratch"):
                lab.tuned(f"{how}, {size} labels", body, folder, task, size, from_scratch=how == "from scratch")
    return [Contrast(f"{task}, pre-trained against from scratch, {size} labels", "above",
                     *(lab.grid.figures(f"{how}, {size} labels") for how in ("pre-trained", "from scratch")))
            for size in sizes]


def pairs(lab):
    """next sentence prediction adds nothing downstream, sentence order prediction does"""
    objectives = {"MLM": "mlm", "MLM + NSP": "mlm+nsp", "MLM + SOP": "mlm+sop"}
    for body in lab.bodies():
        for name, objective in objectives.items():
            folder = made(lab.recipe(body, 1500, objective=objective), lab.workers)
            for task in SOURCES:
                lab.tuned(f"{name}, {task}", body, folder, task, 200)
    return [Contrast(f"{name} against MLM, {task}", "equal" if "NSP" in name else "above",
                     *(lab.grid.figures(f"{which}, {task}") for which in (name, "MLM")))
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
    return [Contrast(f"80/10/10 against {kind}, {how}", "above",
                     *(lab.grid.figures(f"{which}, {how}") for which in ("80/10/10", kind)))
            for how in ("fine-tuned", "frozen body") for kind in list(kinds)[1:]]


def order(lab):
    """next sentence prediction is too easy: it is solved where sentence order is not, and teaches nothing about it"""
    recipe = lab.recipe(0, 1500, max_length=64)
    documents = python_documents()
    documents = documents[:40] if lab.options.quick else documents
    tokenizer = text_tokenizer(Path(lab.options.out), documents)
    names = {"NSP": "mlm+nsp", "SOP": "mlm+sop"}
    for body in lab.bodies():
        told, held = hold_out(documents, 0.05, np.random.default_rng(body))
        asked = {name: list(PretrainingData(held, tokenizer, objective=objective, max_length=64,
                                            seed=body).evaluation_batches()) for name, objective in names.items()}
        for trained, objective in names.items():
            figures = {}                        # of both questions, once the model is there

            def answers(name, trained=trained, objective=objective, body=body, told=told, asked=asked, figures=figures):
                if not figures:
                    model = trained_on_text(told, tokenizer, objective, recipe, body, lab.workers)
                    figures.update((question, evaluate(model, batches, lab.workers)["nsp_accuracy"])
                                   for question, batches in asked.items())
                return figures[name]

            for name in names:
                lab.grid.cell(f"trained on {trained}, asked {name}", body, 0, lambda name=name: answers(name))
        for name, batches in asked.items():
            labels = np.concatenate([batch["next_sentence_label"] for batch in batches])
            share = max(labels.mean(), 1 - labels.mean())
            lab.grid.cell(f"majority, {name}", body, 0, lambda share=share: share)
    found = lab.grid.figures
    return [Contrast("NSP asked NSP against SOP asked SOP", "above", found("trained on NSP, asked NSP"),
                     found("trained on SOP, asked SOP")),
            Contrast("trained on SOP, asked NSP, against the majority", "above", found("trained on SOP, asked NSP"),
                     found("majority, NSP")),
            Contrast("trained on NSP, asked SOP, against the majority", "equal", found("trained on NSP, asked SOP"),
                     found("majority, SOP"))]


CLAIMS = {function.__name__: function for function in (inference, labels, pairs, masking, order)}


def made(recipe, workers):
    """A function that gives the folder of such a body, which is pre-trained when it is first asked for."""
    return functools.cache(lambda: pretrained_body(recipe, workers))


def text_tokenizer(folder, documents):
    """A vocabulary of 8,000 pieces of the English that Python carries, made once."""
    folder = folder / "english"
    if not (folder / "vocab.txt").exists():
        folder.mkdir(parents=True, exist_ok=True)
        WordPieceTokenizer.train((text for document in documents for text in document),
                                 vocab_size=8000).save_pretrained(folder)
    return WordPieceTokenizer.from_pretrained(folder)


def trained_on_text(documents, tokenizer, objective, recipe, seed, workers):
    data = PretrainingData(documents, tokenizer, objective=objective, max_length=64, batch_size=recipe.batch_size,
                           mask_rate=recipe.mask_rate, seed=seed)
    model = BertForPreTraining(config_of(recipe, len(tokenizer)), rng=np.random.default_rng(seed))
    for _ in train(model, data.batches(), optimizer=AdamW(model.parameters()), steps=recipe.steps, seed=seed,
                   lr=linear_schedule(recipe.steps, recipe.lr), workers=workers):
        pass
    return model


def settle(name, options, workers):
    """Run the experiment of one claim; print and keep what it says."""
    settings = {key: getattr(options, key) for key in ("heads", "steps", "test", "epochs", "quick")}
    path = Path(options.out) / f"{name}.json"
    grid = Grid(path, settings, workers=options.workers)
    print(f"\n{name}: {CLAIMS[name].__doc__}")
    contrasts = CLAIMS[name](Experiment(grid, options, workers))
    rows = {one.what: effects.difference(one.ours, one.others) for one in contrasts}
    grid.save(claim=CLAIMS[name].__doc__, command=typed(name, options), contrasts=[
        {"what": one.what, "claim": one.claim, "margin": one.margin, "bodies": len(one.ours),
         **{field: round(getattr(rows[one.what], field), 4) for field in ("mean", "low", "high", "could_be_seen")},
         "verdict": effects.verdict(rows[one.what], one.claim, one.margin)} for one in contrasts])
    files.write_text(path.with_suffix(".svg"), effects.picture(name, "difference", rows, ACCURACY))
    if not options.quick:
        print("\n" + table(grid.content) + f"\n{path.with_suffix('.svg')}: a dot for each body")


def typed(name, options):
    """The command that such options come from."""
    said = [[f"--{key}", str(value)] for key in ("bodies", "heads", "steps", "test", "epochs")
            if (value := getattr(options, key)) != arguments().get_default(key)]
    return shlex.join(["python", "examples/claims.py", name, *sum(said, [])])


def table(content):
    """The contrasts of a result file, as lines of text."""
    lines = [("", "difference [95%]", "could be seen", "bodies", "claimed", "verdict")]
    lines += [(one["what"], f"{one['mean']:+.3f} [{one['low']:+.3f}, {one['high']:+.3f}]",
               f"{one['could_be_seen']:.3f}", str(one["bodies"]), one["claim"], one["verdict"])
              for one in content["contrasts"]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def arguments():
    parser = argparse.ArgumentParser(prog="claims.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("claims", nargs="*", metavar="CLAIM", help=f"(default: all) {', '.join(CLAIMS)}")
    add("--bodies", type=int, default=5, help="pre-trainings of each condition (default: %(default)s)")
    add("--heads", type=int, default=2, help="fine-tunings of each body (default: %(default)s)")
    add("--minutes", type=float, default=120.0, help="for each claim: as many whole bodies as fit, at least two "
        "(default: %(default)s)")
    add("--steps", type=int, help="of pre-training (default: as the claim needs)")
    add("--test", type=int, default=500, help="examples to report on (default: %(default)s)")
    add("--epochs", type=int, default=8, help="of fine-tuning (default: %(default)s)")
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
    if options.bodies < 2:
        raise ValueError(f"--bodies must be at least 2, got {options.bodies}: one body has no spread")
    if options.show:
        for path in sorted(RESULTS.glob("*.json")):
            content = read_json(path)
            print(f"{content['claim']}\n({content['command']}; {content['machine']})\n\n{table(content)}\n")
        return
    Path(options.out).mkdir(parents=True, exist_ok=True)
    for name in options.claims or CLAIMS:
        settle(name, options, workers)


if __name__ == "__main__":
    main()
