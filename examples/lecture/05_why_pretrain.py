# %% [markdown]
"""Does pre-training help? The same small BERT with and without it: curves, numbers of labels, and which parts matter.

    python examples/lecture/05_why_pretrain.py                       two minutes, with as many tasks and runs as fit
    python examples/lecture/05_why_pretrain.py --full                all of it, with progress
    python examples/lecture/05_why_pretrain.py --tasks classify tag  two of the four tasks

The lecture shows curves: a model that is fine-tuned from pre-trained weights learns faster than one from scratch, and
to a lower loss (after Hao et al. 2019, "Visualizing and Understanding the Effectiveness of BERT"). Here are five ways
to begin, on the toy world's four tasks, everything else alike:

    pre-trained     all parameters are fine-tuned
    from scratch    the same network with the usual small random weights
    shuffled        the pre-trained numbers of each matrix in random order: their sizes without what they know
    head only       pre-trained, and only what reads the last layer learns (the head, and the pooler where there is one)
    frozen noise    the same from scratch: what a head can read out of a network that has learnt nothing

And how many labels is it worth? One of the tasks again, with fewer labels and with more. All runs begin with the same
body; a seed draws the head, the order of the examples, and the weights from scratch. So this is about that body.
"""
# %%
from numbert import WordPieceTokenizer
from numbert.lab import controls, instance, laboratory, svg
from numbert.lab.bodies import Recipe, tokenizer_of
from numbert.lab.comparison import mean_curve
from numbert.lab.lesson import Lesson, head_seconds
from numbert.lab.toy_tasks import SOURCES, draw, toy_task
from numbert.toyworld import SENTIMENT_LABELS
from numbert.training.experiment import Runs, run
from numbert.training.seeds import Seeds, plural, table

STARTS = ["pre-trained", "from scratch", "shuffled", "head only", "frozen noise"]
FROZEN = ["head only", "frozen noise"]
RATES, HEAD_RATES = (4e-4, 1.5e-3), (3e-3, 1e-2)
SIZES = {"classify": (500, 12), "tag": (100, 10), "infer": (200, 8), "answer": (500, 7)}   # labels, epochs

parser = laboratory.arguments(
    __doc__, name="why_pretrain", quick={"pretraining_steps": 6, "examples": 24, "test": 24, "epochs": 1, "seeds": 1,
                                         "tasks": ["classify"], "labels": [12, 48]},
    least={"pretraining_steps": 600, "seeds": 2, "labels": 2, "tasks": 1},
    pretraining_steps=3000, test=300, seeds=3)
parser.add_argument("--tasks", nargs="+", choices=list(SOURCES), default=list(SOURCES), help="(default: all four)")
parser.add_argument("--examples", type=int, help="labels to learn from (default: " + ", ".join(
    f"{name} {labels}" for name, (labels, _) in SIZES.items()) + ")")
parser.add_argument("--epochs", type=int, help="(default: " + ", ".join(
    f"{name} {epochs}" for name, (_, epochs) in SIZES.items()) + ")")
parser.add_argument("--labels", nargs="+", type=int, default=[30, 100, 300, 1000], metavar="N",
                    help="how many labels, for the second question (default: %(default)s)")
parser.add_argument("--labels-task", choices=list(SOURCES), default="tag", help="(default: %(default)s)")
options, workers = laboratory.begin(parser)
lesson, results = Lesson(options), laboratory.Results(options)

# %% One labelled example of each task, and what a model from scratch says of the first
for name in SOURCES:
    print(f"{name:9}", *draw(name, (1, 1, 1))[0])
text, label = draw("classify", (1, 1, 1))[0][0]
tokenizer = tokenizer_of("en")
model = instance.untrained_classifier(tokenizer, SENTIMENT_LABELS)
print(f"\n{instance.text_class(model, tokenizer, text, None, label)}\n")

# %% One task, one way to begin
# What suits pre-trained weights (small steps) does not suit random ones, and a head alone wants large steps. So each
# way to begin has two learning rates to choose from, by the development examples and with the first seed.


def tuned(task, start, folders, settings, workers):
    """(`Runs` of fine-tuning with every seed, the learning rate). folders: {"pre-trained": ..., "shuffled": ...}."""
    frozen, figure = start in FROZEN, next(iter(task.baseline))

    def at(rate, seeds):
        setup = laboratory.settings(settings, freeze_body=frozen, lr=rate)
        return run(task, folders.get(start, folders["pre-trained"]), setup, workers,
                   from_scratch=start in ("from scratch", "frozen noise"), seeds=seeds, say=None)

    tried = {rate: at(rate, [0]) for rate in (HEAD_RATES if frozen else RATES)}
    rate = max(tried, key=lambda rate: max(record[figure] for record in tried[rate].records))
    runs = [tried[rate], *(at(rate, [seed]) for seed in range(1, settings.seeds))]
    figures = [{figure: one.seeds.mean(figure)} for one in runs]
    return Runs(Seeds(figures, {figure: task.baseline[figure]}), None, [r for one in runs for r in one.records]), rate


def repeated(examples, count):
    """The examples over and over, `count` in all; as they are if they are as many or more."""
    return examples if len(examples) >= count else [examples[i % len(examples)] for i in range(count)]


body = laboratory.body(Recipe(), options, lesson, workers, share=0.3)
folders = {"pre-trained": body,
           "shuffled": controls.changed(body, results.folder / "shuffled", controls.shuffled)}
tokenizer = WordPieceTokenizer.from_pretrained(body)


def prepared(name, labels, epochs, least=0):
    """(Task, settings of fine-tuning) with so many labels, repeated up to `least` examples an epoch."""
    training, *apart = draw(name, (labels, max(1, options.test // 2), options.test))
    setup = laboratory.settings(options, epochs=epochs)
    return toy_task(name, [repeated(training, least), *apart], tokenizer, setup, workers), setup


# %% How much of it there is time for
# A way to begin takes a run for each seed, and one more, since it has two learning rates to choose from.
if names := lesson.open("seeds", "labels", "tasks"):
    ready = {name: prepared(name, options.examples or labels, options.epochs or epochs)
             for name, (labels, epochs) in SIZES.items() if name in {*options.tasks, options.labels_task}}
    each = {name: head_seconds(task, body, setup, workers)(setup) for name, (task, setup) in ready.items()}
    lesson.fit(lambda o: (o.seeds + 1) * (len(STARTS) * sum(each[name] for name in o.tasks)
                                          + 2 * len(o.labels) * each[o.labels_task]), *names,
               pace=f"{sum(each.values()) / len(each):.1f} seconds a fine-tuning")

# %% Four tasks, five ways to begin
tables, rates, curves, differences, charts = {}, {}, {}, {}, []
for name in options.tasks:
    labels, epochs = options.examples or SIZES[name][0], options.epochs or SIZES[name][1]
    task, setup = prepared(name, labels, epochs)
    runs, rates[name] = {}, {}
    for start in STARTS:
        runs[start], rates[name][start] = tuned(task, start, folders, setup, workers)
        print(f"{name}, {start}: {runs[start].seeds.mean():.3f}, learning rate {rates[name][start]:g}", flush=True)
    tables[name] = rows = {start: one.seeds for start, one in runs.items()}
    figure = rows["pre-trained"].deciding
    print(f"\n{name}: {plural(labels, 'label')}, {plural(epochs, 'epoch')}, "
          f"{plural(options.test, 'test example')}, {plural(options.seeds, 'seed')}\n\n"
          + table(rows))
    differences[name] = laboratory.compare(options, {
        f"{one} against {other}": (rows[one], rows[other]) for one, other in (
            ("pre-trained", "from scratch"), ("pre-trained", "shuffled"), ("shuffled", "from scratch"),
            ("head only", "frozen noise"), ("pre-trained", "head only"))})
    print(flush=True)
    curves[name] = {what: {start: mean_curve(one.records, what) for start, one in runs.items()}
                    for what in ("loss", figure)}
    charts += [svg.chart(f"{name}: training loss, mean of the seeds", "epoch", "nats", curves[name]["loss"]),
               svg.chart(f"{name}: {figure} on the development examples, mean of the seeds", "epoch", figure,
                         curves[name][figure], {"majority": task.baseline[figure]})]
    results.add(tables=tables, rates=rates, differences=differences, curves=curves)

# %% How fast?


def first_at(level, curve):
    """The first x of a curve [(x, y), ...] with y of at least `level`; None if there is none."""
    return next((x for x, y in curve if y >= level), None)


for name, rows in tables.items():
    figure = rows["pre-trained"].deciding
    ours, other = (curves[name][figure][start] for start in ("pre-trained", "from scratch"))
    best = max(y for _, y in other)
    epoch = first_at(best, ours)
    print(f"{name}: the best that scratch reaches on the development examples ({best:.3f}, epoch "
          f"{first_at(best, other)}) the pre-trained has " + ("never" if epoch is None else f"in epoch {epoch}"))

# %% How many labels is it worth?
# Everyone takes about as many steps: fewer labels are repeated within an epoch, of more there are fewer epochs.
name = options.labels_task
usual, epochs = options.examples or SIZES[name][0], options.epochs or SIZES[name][1]
by_labels = {"pre-trained": [], "from scratch": []}
print()
for count in options.labels:
    task, setup = prepared(name, count, max(1, round(epochs * min(1, usual / count))), usual)
    for start, seeds in by_labels.items():
        seeds.append(tuned(task, start, folders, setup, workers)[0].seeds)
    print(f"{name}, {count} labels: " + ", ".join(f"{start} {seeds[-1].mean():.3f}"
                                                  for start, seeds in by_labels.items()), flush=True)
worth = laboratory.compare(options, {f"{name}, {count} labels: pre-trained against from scratch": both
                                     for count, *both in zip(options.labels, *by_labels.values(), strict=True)})
lines = {start: [(count, one.mean()) for count, one in zip(options.labels, seeds, strict=True)]
         for start, seeds in by_labels.items()}
figure = by_labels["pre-trained"][0].deciding
charts.append(svg.chart(f"{name}: {figure} on the test examples, mean of the seeds", "labels", figure, lines,
                        {"majority": task.baseline[figure]}, log="x"))
results.add(labels=options.labels, by_labels=by_labels, worth=worth)

# %% The picture
# The loss of "pre-trained" beside "from scratch": faster? Lower? And where does "shuffled" run? If with "from scratch",
# it is not the size of the numbers that helps; if with "pre-trained", that is all that helps.
results.draw("why_pretrain", charts)

# %% The takeaway
against = {task: one["pre-trained against from scratch"]["in_standard_deviations"] for task, one in differences.items()}
laboratory.end(
    options, "pre-trained against from scratch, in standard deviations of a difference (significant at two): "
    + ", ".join(f"{task} {times:+.1f}" for task, times in against.items()).replace("+nan", "(unknown: one seed)") + ".",
    """--tasks answer --examples 1000; --labels-task classify --labels 100 300 1000; --pretraining-steps 300
(how little reading is enough?); other RATES: how much of the difference is the learning rate? Look at the rows of each
table: one run that fails makes a large standard deviation. What "head only" has over "frozen noise" was in the body
before any label was seen.""")
