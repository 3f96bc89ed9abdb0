# %% [markdown]
"""The loss and its lower bound: two losses fall, towards the lowest values that any model can reach.

    python examples/lecture/03_entropy.py                 two minutes, with as many steps as fit
    python examples/lecture/03_entropy.py --steps 6000    closer to the lower bound
    python examples/lecture/03_entropy.py --variant tiny  a world that is learnt in seconds

BERT minimises a sum of two negative log-likelihoods: of the hidden words (token-level), and of "does B continue A?"
(sentence-level). How low can they go? For English this is not known. A small variant of the toy world has so few
stories that they can all be listed with their probabilities, and the best possible guess is Bayes' rule over the list
(numbert/toyworld/entropy.py). Source: Devlin et al. 2019, section 3.1 and appendix A.2.
"""
# %%
import math
import time

import numpy as np

from numbert import BertForPreTraining, no_grad, ops
from numbert.lab import instance, laboratory, svg
from numbert.lab.bodies import Recipe, config_of
from numbert.lab.lesson import Lesson, step_seconds
from numbert.lab.told import Told
from numbert.toyworld.entropy import (
    enumerated,
    masked_posterior,
    masked_word_entropy,
    next_sentence_entropy,
    unigram_entropy,
)
from numbert.training.loop import train
from numbert.training.optimizer import AdamW, linear_schedule
from numbert.training.run_folder import Progress

options, workers = laboratory.begin(laboratory.arguments(
    __doc__, name="entropy", quick={"variant": "tiny", "steps": 20, "held": 20, "points": 2, "width": 32},
    least={"steps": 200},
    variant="closed", steps=2000, batch=16, held=400, points=16, lr=1e-3, layers=2, width=128, seed=0))
if options.held < 2:
    raise ValueError(f"--held must be at least 2, got {options.held}: its standard deviation is measured")
lesson, results = Lesson(options), laboratory.Results(options)

# %% One story, one hidden word: the best guess, and that of a model
# Of all stories there are, those remain that agree with the words that are seen; how probable a word is, is the sum of
# their probabilities. No model can do better. The word that is hidden is the one that is hardest to guess.
known = enumerated(options.variant)
told = Told(known, options.variant)
story = [known.words[i] for i in sum(told.stories(1, np.random.default_rng([options.seed, 3]))[0], [])]
posterior = [masked_posterior(known, [*story[:t], None, *story[t + 1:]])[t] for t in range(len(story))]
place = min(range(len(story)), key=lambda t: posterior[t][story[t]])
ids = np.array(told.tokenizer(" ".join(story)).input_ids)
labels = np.full_like(ids, ops.IGNORE)
labels[place + 1], ids[place + 1] = ids[place + 1], told.tokenizer.mask_token_id           # [CLS] is at place 0
config = config_of(Recipe(layers=options.layers, width=options.width), len(told.tokenizer))
model = BertForPreTraining(config, rng=np.random.default_rng(options.seed))
best_five = sorted(posterior[place].items(), key=lambda item: -item[1])[:5]
print(" ".join(story) + "\n" + told.tokenizer.decode(ids, skip_special_tokens=False) + "\n\nThe best guess: "
      + ", ".join(f"{word} {p:.3f}" for word, p in best_five)
      + f"\n-ln p({story[place]}) = {abs(math.log(posterior[place][story[place]])):.3f}\n")
print("A model that has learnt nothing:\n\n" + instance.hidden_words(model, told.tokenizer, ids, labels))

# %% All the stories there are
# 30,720 in the closed variant, each with its exact probability. Any words that two stories have in common are counted
# where both are; so what can be known from the words that are seen is a sum over the list.
floors = {"words": masked_word_entropy(options.variant), "unigram": unigram_entropy(known),
          "next sentence": next_sentence_entropy(known)}
print(f"\n{len(known.texts)} stories of {known.lengths.min()} to {known.lengths.max()} words, "
      f"{len(known.words)} different ones. Nats a word, at best: {floors['unigram']:.3f} with no word visible, "
      f"{floors['words']:.3f} with all the others visible.")

# %% Held-out examples, and the best guess at each
# The lower bound is known for every single example, so the model is compared with it example by example: the sampling
# error is the same for both and cancels in the difference.
rng = np.random.default_rng([options.seed, 1])
held = {"words": told.masked(options.held, rng), "next sentence": told.pairs(options.held, rng)}
best = {name: told.best(name, batch) for name, batch in held.items()}
for name, (losses, counts) in best.items():
    print(f"{name}: {counts.sum()} held out, at which the best guess costs {losses.sum() / counts.sum():.3f} nats")

# %% Training
# Half of a batch are whole stories with hidden words, half are pairs that are seen in full, A from the front of a
# story and B from behind, of the same story or of another one. BERT has both losses on the same text; here they are
# kept apart, so that each of the two losses is measured on what its lower bound was computed for.


def losses_of(model, name, batch):
    """(B,): the model's loss in each example, the sum over its hidden words."""
    with no_grad():
        output = model(**batch)
    words = name == "words"
    logits = (output.prediction_logits if words else output.seq_relationship_logits).data.astype(np.float64)
    labels = batch["labels" if words else "next_sentence_label"]
    asked = labels != ops.IGNORE
    logits -= logits.max(axis=1, keepdims=True)
    right = np.take_along_axis(logits, labels[asked][:, None], axis=1)[:, 0]
    return np.bincount(np.nonzero(asked)[0], np.log(np.exp(logits).sum(axis=1)) - right, minlength=len(labels))


def compare(losses, best, counts):
    """The mean loss and that of the best guesser, how much the one lies above the other, and its standard error."""
    above = (losses - best) * len(counts) / counts.sum()
    return {"loss": losses.sum() / counts.sum(), "best": best.sum() / counts.sum(), "above": above.mean(),
            "error": above.std(ddof=1) / math.sqrt(len(above))}


curves = {"words": [], "next sentence": []}


def look(step):
    for name, batch in held.items():
        curves[name].append({"step": step} | compare(losses_of(model, name, batch), *best[name]))


began = time.perf_counter()
look(0)
looking = time.perf_counter() - began
if lesson.open("steps"):
    each = step_seconds(model, told.batches(options.batch, np.random.default_rng(0)), workers)
    lesson.fit(lambda o: o.steps * each + o.points * looking, "steps", pace=f"{1 / each:.1f} steps a second")
progress, every = Progress(options.steps), math.ceil(options.steps / options.points)
for step in train(model, told.batches(options.batch, np.random.default_rng([options.seed, 2])),
                  optimizer=AdamW(model.parameters()), lr=linear_schedule(options.steps, options.lr),
                  steps=options.steps, seed=options.seed, workers=workers):
    progress.update(step, lambda sums=step.sums: f"words {sums['mlm']:.3f}  next sentence {sums['nsp']:.3f}")
    if step.number % every == 0 or step.number == options.steps:
        look(step.number)
results.add(exact={**floors, "guessing": math.log(2)}, curves=curves)
print("\nThe story from above, after training:\n\n" + instance.hidden_words(model, told.tokenizer, ids, labels))

# %% What was reached
# No point lies significantly below the lowest dashed line: that would be an error in the program, not a good model.


def verdict(name, records):
    """One sentence. Raises ArithmeticError where a loss is below its lower bound by more than four standard errors."""
    lowest = min(records, key=lambda record: record["above"] + 4 * record["error"])
    if lowest["above"] + 4 * lowest["error"] < 0:
        raise ArithmeticError(f"{name}: at step {lowest['step']} {-lowest['above']:.4f} nats below what is possible, "
                              f"standard error {lowest['error']:.4f}: the bound or the loss is computed wrongly")
    end = records[-1]
    return (f"{name}: {records[0]['loss']:.3f} nats at first, {end['loss']:.3f} in the end; the best guess costs "
            f"{end['best']:.3f}, so {end['above']:.3f} ± {end['error']:.3f} are still to be learnt")


print()
for name, records in curves.items():
    print(verdict(name, records))

# %% The picture
results.draw("entropy", [
    svg.chart("hidden words, held out", "step", "nats",
              {"model": [(record["step"], record["loss"]) for record in curves["words"]]},
              {"unigram": floors["unigram"], "best guess": curves["words"][-1]["best"], "one hidden": floors["words"]}),
    svg.chart("does B follow A? held out", "step", "nats",
              {"model": [(record["step"], record["loss"]) for record in curves["next sentence"]]},
              {"guessing": math.log(2), "best guess": curves["next sentence"][-1]["best"]})])

# %% The takeaway
laboratory.end(
    options, "both losses fall towards the entropy of what is predicted, and no lower: after "
    f"{options.steps} steps " + " and ".join(
        f"{records[-1]['above']:.3f} ± {records[-1]['error']:.3f} nats above it ({name})"
        for name, records in curves.items()) + ".",
    "--steps 6000, --layers 1 (what cannot be reached without a second layer?). Look at both curves of entropy.svg: "
    "where do most of the nats go, and which cost most?")
