# %% [markdown]
"""Part of speech: what is each word here, a noun, a verb, a pronoun? A sentence goes in, a tag for each word comes out.

    python examples/lecture/07_tag.py                about two minutes: pre-trains on toy stories, then fine-tunes
    python examples/lecture/07_tag.py --examples 20  fewer tagged sentences
    python examples/lecture/07_tag.py --language zh  the same world in Chinese

The lecture's second use of BERT: every token has a vector, and one linear layer reads a class from each. A dictionary
knows most answers already, so a dictionary stands beside the models: each word with its most frequent tag. Where it
cannot help is "called", "left" or "that", whose tag depends on the words around. Source: Devlin et al. 2019, figure 4d.
"""
# %%
from numbert import AutoTokenizer
from numbert.lab import comparison as toy
from numbert.lab import laboratory
from numbert.lab.lesson import Lesson
from numbert.tasks.tagging import baselines, measure, tag, task_of

options, workers = laboratory.begin(toy.arguments(__doc__, name="tag"))
lesson = Lesson(options)

# %% One sentence, a universal part of speech for every word
# And what a dictionary says that knows the training sentences. Nothing is hidden here; every word has a label.
training, development, test = toy.splits("tag", options)
by_word = baselines(training, test)["by word"]
(words, right), looked_up = test[0], by_word[0]
print("\n".join(f"{word:12}{one:8}{found}" for word, one, found in zip(
    ["the word", *words], ["is a", *right], ["a dictionary", *looked_up], strict=True)) + "\n")

# %% The comparison: pre-trained and from scratch, the same sentences, the same settings
folder = toy.body(options, lesson, workers)
tokenizer = AutoTokenizer.from_pretrained(folder)
task, notes = task_of(training, development, tokenizer, laboratory.settings(options), workers, test)
print("\n".join(notes), end="\n" if notes else "")
runs = toy.compare(task, folder, tokenizer, options, lesson, workers)
tags = [tags for _, tags in test]
print(f"\nA dictionary, each word with its most frequent tag: accuracy {measure(tags, by_word)['accuracy']:.3f}")

# %% Where the dictionary is wrong
# The model has to read the neighbours of the word in brackets.
answers = tag(runs["pre-trained"].model, tokenizer, [words for words, _ in test], workers)
doubtful = [(words, i, right[i], given[i]) for (words, right), looked_up, given in
            zip(test, by_word, answers, strict=True) for i in range(len(words)) if looked_up[i] != right[i]]
print("\nWords that the dictionary gets wrong, and what the best model says:")
for words, i, right, given in doubtful[:8]:
    print(f"  {given}{'' if given == right else f' (WRONG: {right})'}  "
          + " ".join([*words[:i], f"[{words[i]}]", *words[i + 1:]]))

# %% The picture
toy.draw_curves(task, runs, options)

# %% The takeaway
toy.end(runs, options, """--examples 20 (what is pre-training worth when sentences are few?), --freeze-body (are the
tags in the body already?), and your own CoNLL-U files with
python -m numbert.tasks.tagging --train F --dev F --model RUN_FOLDER.""")
