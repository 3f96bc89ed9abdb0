# %% [markdown]
"""Natural language inference: does the second text follow from the first, contradict it, or neither?

    python examples/lecture/08_infer.py                  about two minutes: pre-trains on toy stories, then fine-tunes
    python examples/lecture/08_infer.py --examples 5000  more labelled examples
    python examples/lecture/08_infer.py --language zh    the same world in Chinese

Two texts go in with [SEP] between them, one of three classes comes out of [CLS]. The stance of a comment towards an
article (agrees, denies, asks, only comments) is the same head with an article and a comment for the two texts.
Source: Devlin et al. 2019, section 4.1 and figure 4a.
"""
# %%
from numbert import AutoTokenizer
from numbert.lab import comparison as toy
from numbert.lab import instance, laboratory
from numbert.lab.lesson import Lesson
from numbert.lab.toy_tasks import toy_task
from numbert.tasks.classification import classify
from numbert.toyworld import NLI_LABELS

options, workers = laboratory.begin(toy.arguments(__doc__, name="infer", claim="inference"))
lesson = Lesson(options)

# %% One pair: the beginning of a story, and a statement about where things stand at its end
# The statement uses only words of the story, whatever its label, and one in four is denied, whatever its label: it must
# be read together with the story.
splits = toy.splits("infer", options)
story, statement, label = splits[2][0]
untrained = instance.untrained_classifier(toy.tokenizer(options), NLI_LABELS)
print("A model that has learnt nothing:\n\n"
      + instance.text_class(untrained, toy.tokenizer(options), story, statement, label) + "\n")

# %% The comparison: pre-trained and from scratch, the same examples, the same settings
# Where the loss falls and the accuracy on other examples stays, the model memorises.
folder = toy.body(options, lesson, workers)
tokenizer = AutoTokenizer.from_pretrained(folder)
task = toy_task("infer", splits, tokenizer, laboratory.settings(options), workers)
runs = toy.compare(task, folder, tokenizer, options, lesson, workers)

# %% What the best model says
# Is there a "not" in the statements with wrong answers? A model that has learnt from masked words guesses the same word
# behind "is" and behind "is not".
model = runs["pre-trained"].model
print(f"\nThe pair from above:\n\n{instance.text_class(model, tokenizer, story, statement, label)}\n\nAnd others:")
for story, statement, label in splits[2][1:5]:
    answer, share = next(iter(classify(model, tokenizer, story, statement).items()))
    print(f"  {story}\n    {statement}  {answer} {share:.0%}{'' if answer == label else f'  (WRONG: {label})'}")

# %% The picture
toy.draw_curves(task, runs, options)

# %% The takeaway
toy.end(runs, options, "--examples 5000, --pretraining-steps 10000, and your own articles and comments, as pairs, for "
        "stance.")
