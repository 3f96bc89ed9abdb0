"""A toy world to learn BERT on: small enough to be learnt in minutes, consistent enough that the truth is known.

Real text never says how well it could be predicted, and its labels are opinions. Here people move about, take, give,
lose and find things, get wet in the rain and eat when they are hungry, and say how they feel. From one generator come
pre-training text, four labelled tasks, and the loss that no model can beat; in English, and word for word the same
world in Chinese. The files, in reading order:

    lexicon.py      the people, things and places, in two languages
    world.py        what events do, what follows from them, and what is true
    language.py     the two grammars, with part-of-speech tags
    story.py        making up stories
    tasks.py        tags, inference, sentiment, questions
    entropy.py      the floor: the lowest expected loss of pre-training that any model can reach
    glue.py         the nine tasks of GLUE in miniature
    glue_files.py   the same, written to files in GLUE's layout

`python -m numbert.toyworld --seed 0 --language en` prints a story with all that is known about it.
"""
import argparse

import numpy as np

from .entropy import bert_masking_entropy, enumerated, masked_posterior, masked_word_entropy
from .lexicon import LANGUAGES
from .story import VARIANTS, Story, Variant, documents, stories
from .tasks import (
    NLI_LABELS,
    SENTIMENT_LABELS,
    nli_examples,
    pos_examples,
    qa_examples,
    sentiment_examples,
    squad_dataset,
)

__all__ = ["LANGUAGES", "NLI_LABELS", "SENTIMENT_LABELS", "VARIANTS", "Story", "Variant", "bert_masking_entropy",
           "documents", "enumerated", "masked_posterior", "masked_word_entropy", "nli_examples", "pos_examples",
           "qa_examples", "sentiment_examples", "squad_dataset", "stories"]


def show(seed, language):
    """A story, and examples of the four tasks, as readable text."""
    lines = ["Story"]
    for one in next(stories(np.random.default_rng(seed), language)).sentences:
        tagged = "  ".join(f"{word}/{tag}" for word, tag in zip(one.words, one.tags, strict=True))
        lines += [f"  {one.text}", f"      {tagged}"]
    lines += ["", "Inference"]
    for premise, hypothesis, label in nli_examples(4, np.random.default_rng(seed), language):
        lines += [f"  {premise}", f"      {label}: {hypothesis}"]
    lines += ["", "Sentiment"]
    lines += [f"  {label}: {text}" for text, label in sentiment_examples(4, np.random.default_rng(seed), language)]
    lines += ["", "Questions"]
    context = None
    for example in qa_examples(4, np.random.default_rng(seed), language):
        if example["context"] != context:
            context = example["context"]
            lines.append(f"  {context}")
        if example["is_impossible"]:
            plausible = ", ".join(one["text"] for one in example["plausible_answers"])
            answer = "no answer" + (f" (plausible: {plausible})" if plausible else "")
        else:
            answer = "; ".join(f"{one['text']} (from character {one['answer_start']})" for one in example["answers"])
        lines.append(f"      {example['question']}  {answer}")
    return "\n".join(lines)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m numbert.toyworld",
                                     description="Print a story of the toy world with all that is known about it.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--language", choices=LANGUAGES, default="en")
    options = parser.parse_args(arguments)
    print(show(options.seed, options.language))
