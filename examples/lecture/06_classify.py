# %% [markdown]
"""Sentiment: is it good news? A text goes in, one of two classes comes out.

    python examples/lecture/06_classify.py                 about two minutes: pre-trains on toy stories, then fine-tunes
    python examples/lecture/06_classify.py --examples 100  fewer labelled examples
    python examples/lecture/06_classify.py --language zh   the same world in Chinese

The lecture's first use of BERT: [CLS] goes in front of the text, a linear layer reads its vector, and gradient descent
moves the new layer and the whole body. Is it worth starting from a pre-trained body? The same model from scratch
answers that. Source: Devlin et al. 2019, section 4.1 and figure 4b.
"""
# %%
from numbert import AutoTokenizer
from numbert.lab import comparison as toy
from numbert.lab import instance, laboratory
from numbert.lab.lesson import Lesson
from numbert.lab.toy_tasks import toy_task
from numbert.tasks.classification import classify
from numbert.toyworld import SENTIMENT_LABELS

options, workers = laboratory.begin(toy.arguments(__doc__, name="classify", claim="labels", epochs=16, lr=4e-4))
lesson = Lesson(options)

# %% One text
# Sentences about how someone felt. No single word decides: "not at all sad" is good news, and what else the sentence
# says may agree or not.
splits = toy.splits("classify", options)
text, label = splits[2][0]
untrained = instance.untrained_classifier(toy.tokenizer(options), SENTIMENT_LABELS)
print("A model that has learnt nothing:\n\n"
      + instance.text_class(untrained, toy.tokenizer(options), text, None, label) + "\n")

# %% The comparison: pre-trained and from scratch, the same examples, the same settings
folder = toy.body(options, lesson, workers)
tokenizer = AutoTokenizer.from_pretrained(folder)
task = toy_task("classify", splits, tokenizer, laboratory.settings(options), workers)
runs = toy.compare(task, folder, tokenizer, options, lesson, workers)

# %% What the best model says
model = runs["pre-trained"].model
print(f"\nThe text from above:\n\n{instance.text_class(model, tokenizer, text, None, label)}\n\nAnd others:")
for text, label in splits[2][1:6]:
    answer, share = next(iter(classify(model, tokenizer, text).items()))
    print(f"  {answer} {share:.0%}{'' if answer == label else f'  (WRONG: {label})'}  {text}")

# %% The picture
# How many passes over the examples does each of the two need, and where does each end?
toy.draw_curves(task, runs, options)

# %% The takeaway
toy.end(runs, options, "--examples 100 and --examples 5000 (when does pre-training cease to matter?), --freeze-body "
        "(is the body enough?).")
