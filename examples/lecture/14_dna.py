# %% [markdown]
"""DNA read by a model of English: does knowledge of language help, or only the size of the initial weights?

    python examples/lecture/14_dna.py                         about two minutes, on sequences that are made up here
    python examples/lecture/14_dna.py --sequences splice.csv  your own: a header line, then label, name, sequence

A stretch of DNA is written in four letters. Each becomes a word of the toy world, drawn at random (A -> "garden",
C -> "hungry", ...), the "text" is classified as texts are, and fine-tuning starts from four models:

    pre-trained     has read stories
    from scratch    has read nothing, and begins with the usual small random weights
    shuffled        the pre-trained numbers in random order: their sizes without what they know
    same norms      new random numbers, each matrix as long as the pre-trained one

If the pre-trained model beats all three, something learnt from stories helps with genes. If it only beats
the small random weights, the size of the numbers was what helped. The lecture reports such an experiment; on DNA it is
by Kao and Lee 2021, "Is BERT a cross-disciplinary knowledge learner?".
"""
# %%
import numpy as np

from numbert import WordPieceTokenizer
from numbert.lab import controls, instance, laboratory, svg
from numbert.lab.bodies import Recipe, tokenizer_of
from numbert.lab.comparison import mean_curve
from numbert.lab.lesson import Lesson
from numbert.lab.splice import as_words, random_words, splits
from numbert.lab.toy_tasks import class_task
from numbert.training.experiment import run
from numbert.training.seeds import in_words, plural, table

parser = laboratory.arguments(
    __doc__, name="dna", quick={"pretraining_steps": 10, "examples": 30, "test": 30, "epochs": 1, "seeds": 1},
    least={"pretraining_steps": 600, "seeds": 2, "epochs": 4}, claim="dna",
    pretraining_steps=3000, examples=300, test=900, seeds=5, epochs=10, lr=5e-4)
parser.add_argument("--sequences", metavar="FILE", help="label, name, sequence in each line (default: made up)")
options, workers = laboratory.begin(parser)
lesson = Lesson(options)
results = laboratory.Results(options)

# %% One sequence, as letters and as words
# The real question (a set of splice junctions, three classes) is whether a gene is cut in the middle of the sequence:
# where a coding stretch ends (EI), where one begins (IE), or not at all (N). What is made up here has the signals that
# the cell itself reads, with the noise that they have in nature: GTRAGT begins the stretch that is cut out, a run of C
# and T and then CAG ends it. They stand somewhere near the middle, so that a place alone does not tell.


sizes = options.examples, max(1, options.test // 3), options.test
(training, development, test), names = splits(sizes, np.random.default_rng(7), options.sequences)
tokenizer = tokenizer_of("en")
words = random_words(tokenizer, np.random.default_rng(8))
sequence, label = training[0]
print("drawn at random: " + ", ".join(f"{letter} is {word!r}" for letter, word in words.items())
      + f"\n\n{sequence}\n\nA model that has learnt nothing:\n")
print(instance.text_class(instance.untrained_classifier(tokenizer, names), tokenizer, as_words(sequence, words), None,
                          label) + "\n")

# %% The four starting points, on the same sequences with the same settings
folder = laboratory.body(Recipe(), options, lesson, workers)
tokenizer = WordPieceTokenizer.from_pretrained(folder)
parts = [[(as_words(sequence, words), None, label) for sequence, label in part]
         for part in (training, development, test)]
tokens = [len(ids) for part in parts for ids in tokenizer.encode_batch([text for text, _, _ in part])]
setup = laboratory.settings(options)
if longer := sum(count > setup.max_length for count in tokens):
    print(f"{longer} sequences have more than {setup.max_length} tokens and lose their ends")
task = class_task(names, parts, tokenizer, setup, workers)
laboratory.fit_heads(task, folder, options, lesson, workers, lambda o: 4 * o.seeds, "seeds", "epochs")
setup = laboratory.settings(options)
starts = {"pre-trained": folder, "from scratch": folder,
          "shuffled": controls.changed(folder, results.folder / "shuffled", controls.shuffled),
          "same norms": controls.changed(folder, results.folder / "same-norms", controls.same_norm)}
runs = {}
for name, start in starts.items():
    runs[name] = run(task, start, setup, workers, from_scratch=name == "from scratch", say=None)
    print(f"{name}: accuracy {runs[name].seeds.mean():.3f} on {len(test)} sequences, mean of {options.seeds}",
          flush=True)

# %% What came of it
# A difference that is not significant is a result too: then these figures do not show that stories help with genes.
seeds = {name: one.seeds for name, one in runs.items()}
print(f"\n{len(test)} test sequences, {len(training)} to learn from, {plural(options.seeds, 'seed')}:\n\n"
      f"{table(seeds)}")
differences = laboratory.compare(options, {f"pre-trained against {name}": (seeds["pre-trained"], other)
                                           for name, other in seeds.items() if name != "pre-trained"})
results.add(words=words, accuracy=seeds, differences=differences)
print("\nThe sequence from above, which the best model has learnt from:\n\n"
      + instance.text_class(runs["pre-trained"].model, tokenizer, as_words(sequence, words), None, label) + "\n")

# %% The picture
curves = {name: mean_curve(one.records, "accuracy") for name, one in runs.items()}
results.draw("dna", [svg.chart("accuracy on the sequences that choose the epoch, mean of the seeds", "epoch",
                               "accuracy", curves, {"majority": task.baseline["accuracy"]})])

# %% The takeaway
laboratory.end(
    options, "pre-trained " + "; ".join(f"against {name} {in_words(seeds['pre-trained'], other)}"
                                        for name, other in seeds.items() if name != "pre-trained") + ".",
    "--examples 100 and 2000, --pretraining-steps 10000, --sequences with real splice junctions, and other random "
    "words (is there a better and a worse choice?).")
