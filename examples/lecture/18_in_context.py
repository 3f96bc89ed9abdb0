# %% [markdown]
"""Learning without being trained: a small GPT is shown a few examples, and answers. No weight of it moves.

    python examples/lecture/18_in_context.py         two minutes at most
    python examples/lecture/18_in_context.py --full  five models of each kind

BERT is fine-tuned: for each task gradient descent moves the weights, and leaves a model that does this one task. GPT is
given the task as a text, to be read and continued (Brown et al. 2020, section 2 and figure 2.1):

    zero-shot    translate English into French:  cheese =>
    one-shot     translate English into French:  sea otter => loutre de mer    cheese =>
    few-shot     the same with several examples

That is "in-context learning", and it is no learning in the usual sense: no gradient descent, the same weights before
and after, for every task. How can a network do this that does not change? Here is the smallest case, small enough to
look inside. A network of two layers only ever reads letters that repeat themselves. Then it is shown pairs from
dictionaries that no text has contained before, each made up for one question.
"""
# %%
import copy
import itertools
import math
import statistics

import numpy as np

from numbert import GPT2Config, GPT2LMHeadModel, no_grad, ops
from numbert.lab import laboratory, svg
from numbert.lab.lesson import Lesson, step_seconds
from numbert.ops.attention import softmax
from numbert.recording import watching
from numbert.training.loop import train
from numbert.training.optimizer import AdamW, linear_schedule
from numbert.training.seeds import Seeds, plural

LETTERS = "abcdefghijklmnopqrstuvwxyz"
T = 32                                  # tokens in a text: 16 pairs, the last of which is the question
PERIODS = 4, 12                         # a text repeats after so many letters
ENTRIES = 8                             # words in a dictionary
SHOTS = 0, 1, 2, 4, 8
FEW = 4                                 # shots, where one number must do
TUNING = 0, 1, 2, 4, 8, 16, 32          # steps of gradient descent, at the end

options, workers = laboratory.begin(laboratory.arguments(
    __doc__, name="in_context", quick={"steps": 20, "seeds": 1, "questions": 40}, least={"seeds": 1},
    full={"seeds": 5}, steps=200, seeds=3, questions=1000,
    lr=5e-3))
lesson, results = Lesson(options), laboratory.Results(options)

# %% One question: words of a dictionary that was made up a moment ago
# Eight words, eight translations, all different letters. 15 pairs in any order, then a word that has been shown 0, 1,
# 2, 4 or 8 times among them. A model that has learnt nothing gives each letter about 1/26, a loss of ln 26.


def questions(n, shots, rng):
    """n texts (n, T) whose last pair asks for a word that was shown `shots` times: the answer is the last letter."""
    letters = rng.permuted(np.tile(np.arange(len(LETTERS)), (n, 1)), axis=1)
    entry = rng.integers(1, ENTRIES, (n, T // 2))
    entry[:, -1] = 0
    entry[:, :shots] = 0
    entry[:, :-1] = rng.permuted(entry[:, :-1], axis=1)
    pairs = np.stack([np.take_along_axis(letters, entry, 1), np.take_along_axis(letters, ENTRIES + entry, 1)], axis=2)
    return pairs.reshape(n, T)


def asked(model, ids):
    """The letters that are shown and the one that is asked for, in one question (1, T); what the model says of it."""
    with no_grad():
        shares = softmax(model(ids[:, :-1]).logits.data[0, -1:].astype(np.float64))[0]
    text, best = [LETTERS[i] for i in ids[0]], np.argsort(-shares)[:5]
    pairs = " ".join(map("".join, zip(text[:-2:2], text[1:-2:2], strict=True)))
    return (f"{pairs} {text[-2]}?\n  right is {text[-1]}, p({text[-1]}) = {shares[ids[0, -1]]:.3f}, -ln p = "
            f"{-math.log(shares[ids[0, -1]]):.3f}; the five best: "
            + ", ".join(f"{LETTERS[i]} {shares[i]:.3f}" for i in best))


def untrained(layers, seed):
    """A GPT of so many layers, four heads and width 64, whose weights are drawn."""
    config = GPT2Config(vocab_size=len(LETTERS), n_embd=64, n_layer=layers, n_head=4, n_positions=T, embd_pdrop=0.0,
                        resid_pdrop=0.0, attn_pdrop=0.0, bos_token_id=None, eos_token_id=None,
                        initializer_range=0.02 * math.sqrt(768 / 64))       # 0.02 is for 768 wide matrices
    return GPT2LMHeadModel(config, rng=np.random.default_rng([seed, 0]))


example = questions(1, FEW, np.random.default_rng(0))
print(asked(untrained(2, 0), example) + f" (ln {len(LETTERS)} = {math.log(len(LETTERS)):.3f})\n")

# %% What it learns from: letters that repeat themselves
# c k a x c k a x c k a ... with other letters in each text, and another number of them. There is nothing to be learnt
# by heart. Nothing can be said about a letter when it comes for the first time, so those are not asked for; all others
# can be known, but only from the text itself: what came after this letter the last time? In no text that the model
# learns from do pairs come in any order.


def repetitions(rng, B=64):
    """A batch of such texts (B, T). -100 where there is nothing to be known."""
    period = rng.integers(PERIODS[0], PERIODS[1] + 1, (B, 1))
    letters = rng.permuted(np.tile(np.arange(len(LETTERS)), (B, 1)), axis=1)
    ids = np.take_along_axis(letters, np.arange(T) % period, axis=1)
    return {"input_ids": ids, "attention_mask": np.ones_like(ids),
            "labels": np.where(np.arange(T) <= period, -100, ids)}


def trained(layers, seed, options, workers):
    """Returns (model, loss of the last steps)."""
    model, rng = untrained(layers, seed), np.random.default_rng([seed, 1])
    batches = (repetitions(rng) for _ in itertools.count())
    losses = [step.sums["loss"] for step in train(
        model, batches, optimizer=AdamW(model.parameters()), lr=linear_schedule(options.steps, options.lr),
        steps=options.steps, seed=seed, workers=workers)]
    return model, statistics.fmean(losses[-10:])


def answers(model, ids):
    """What the model says after the questions ids (n, T), whose last token is not looked at: (n,)."""
    with no_grad():
        return model(ids[:, :-1]).logits.data[:, -1].argmax(-1)


def accuracy(model, shots, n, seed=0):
    ids = questions(n, shots, np.random.default_rng([seed, 2, shots]))
    return float((answers(model, ids) == ids[:, -1]).mean())


def spread(values):
    """Mean and standard deviation of shares."""
    return f"{statistics.fmean(values):.1%}" + (f" ± {statistics.stdev(values):.1%}" if len(values) > 1 else "")


print("a text to learn from: " + "".join(LETTERS[i] for i in repetitions(np.random.default_rng(0), 1)["input_ids"][0]))
if lesson.open("seeds"):
    each = step_seconds(untrained(2, 0), (repetitions(rng) for rng in itertools.repeat(np.random.default_rng(0))),
                        workers)
    lesson.fit(lambda o: 2 * o.seeds * o.steps * each, "seeds", share=0.8, pace=f"{1 / each:.1f} steps a second")
models, curves, chance = {}, {}, 1 / len(LETTERS)
for layers, seed in itertools.product((1, 2), range(options.seeds)):
    model, loss = models[layers, seed] = trained(layers, seed, options, workers)
    curves[layers, seed] = {shots: accuracy(model, shots, options.questions, seed) for shots in SHOTS}
    print(f"{plural(layers, 'layer')}, seed {seed}: loss on repetitions {loss:.3f} nats", flush=True)
NAMES = {1: "one layer", 2: "two layers"}
table = {name: {shots: [curves[layers, seed][shots] for seed in range(options.seeds)] for shots in SHOTS}
         for layers, name in NAMES.items()}
print(f"\nShare of right answers, mean ± standard deviation of {plural(options.seeds, 'seed')}; a letter at random is "
      f"right in {chance:.1%}, and a model that only copies has 0% with no shot\n\nshots       "
      + "".join(f"{shots:>15}" for shots in SHOTS))
for name, row in table.items():
    print(f"{name:12}" + "".join(f"{spread(values):>15}" for values in row.values()))
seeds = {name: {shots: Seeds([{"accuracy": value} for value in values], {"accuracy": chance})
                for shots, values in row.items()} for name, row in table.items()}
differences = laboratory.compare(options, {
    f"{shots} shots: two layers against one": (seeds["two layers"][shots], seeds["one layer"][shots])
    for shots in SHOTS})
model, _ = models[2, 0]
print(f"\nThe question from above:\n{asked(model, example)}")

# %% The heads that do it
# Copying takes two heads, one above the other ("induction heads": Olsson et al. 2022): the first tells each letter what
# came before it, the second looks for a letter before which the present one came, and brings it. One layer cannot. In
# large models the first looks exactly one letter back. Does it here? Measured is where each head looks, beside a head
# that looks at all letters evenly, and what is lost without it.


def attention(model, ids):
    """The shares (n, H, T, T) with which tokens look at tokens, for each layer."""
    found = []

    def keep(op, inputs, options, output, node):
        if op is ops.attention:
            query, key, _ = (x.data for x in inputs)
            found.append(np.concatenate(ops.attention_probs(
                query, key, buckets=options["buckets"], heads=options["heads"], mask=options["mask"])))
    with no_grad(), watching(keep):
        model(ids)
    return found


def roles(layers, ids):
    """{(layer, head): shares (2,)} of `attention` on the questions ids: of the look of all letters that which goes one
    letter back, and of the question's look that which goes to letters behind the asked word: to the answers."""
    answer = np.roll(ids[:, :-2] == ids[:, -2:-1], 1, axis=1)           # words stand at even places: none is the last
    found = {}
    for layer, shares in enumerate(layers):
        back = np.diagonal(shares, offset=-1, axis1=2, axis2=3).mean(axis=(0, 2))
        bring = (shares[:, :, -2, :-2] * answer[:, None]).sum(-1).mean(0)
        found |= {(layer, head): (float(back[head]), float(bring[head])) for head in range(len(back))}
    return found


def without(model, layer, head):
    """A copy of the model in which this head says nothing."""
    changed = copy.deepcopy(model)
    width = model.config.n_embd // model.config.n_head
    changed.body.layers[layer].attention.output.weight.data[:, head * width:(head + 1) * width] = 0
    return changed


ids = questions(options.questions, FEW, np.random.default_rng([0, 2, FEW]))
heads = {place: (*role, accuracy(without(model, *place), FEW, options.questions))
         for place, role in roles(attention(model, ids), ids).items()}
even = roles([np.tril(np.ones((len(ids), 1, T, T))) / np.arange(1, T + 1)[:, None]], ids)[0, 0]
print(f"""
The heads of seed 0: how much of the look of all letters goes one letter back; how much of the question's look goes to
the answers; right answers to {FEW} shots without the head
""")
for (layer, head), (back, bring, left) in heads.items():
    print(f"layer {layer + 1}, head {head + 1}   {back:6.1%} back  {bring:6.1%} to the answers  {left:6.1%} right")
print(f"an even look      {even[0]:6.1%} back  {even[1]:6.1%} to the answers; with all heads "
      f"{curves[2, 0][FEW]:.1%} right")
(layer, head), (_, _, left) = min(heads.items(), key=lambda item: item[1][2])
print(f"Most is lost without head {head + 1} of layer {layer + 1}.")

# %% The other way: the same dictionary by gradient descent
# Fine-tuning on the eight pairs. Then the model is asked for each without any example before it. What has it learnt,
# and what has become of what it could do before?


def fine_tuned(model, seed, options, workers):
    """{steps: (accuracy on the eight words without a shot, accuracy on other dictionaries with a few shots)}."""
    model, rng = copy.deepcopy(model), np.random.default_rng([seed, 3])
    pairs = rng.permutation(len(LETTERS))[:2 * ENTRIES].reshape(2, ENTRIES).T
    batch = {"input_ids": pairs, "attention_mask": np.ones_like(pairs), "labels": pairs * [[0, 1]] + [[-100, 0]]}
    optimizer, found = AdamW(model.parameters()), {}
    steps = train(model, itertools.repeat(batch), optimizer=optimizer, lr=lambda step: 1e-3, steps=TUNING[-1],
                  seed=seed, workers=workers)
    for number in range(TUNING[-1] + 1):
        if number:
            next(steps)
        if number in TUNING:
            own = float((answers(model, pairs) == pairs[:, 1]).mean())
            found[number] = own, accuracy(model, FEW, max(1, options.questions // 4), seed)
    return found


tuned = [fine_tuned(models[2, seed][0], seed, options, workers) for seed in range(options.seeds)]
means = {steps: [statistics.fmean(one[steps][i] for one in tuned) for i in (0, 1)] for steps in TUNING}
print(f"\nThe other way, fine-tuning on the {ENTRIES} pairs of one dictionary:\n\nsteps of gradient descent     "
      + "".join(f"{steps:>8}" for steps in TUNING))
for i, name in enumerate(("its words, no example shown", f"other dictionaries, {FEW} shots")):
    print(f"{name:<30}" + "".join(f"{means[steps][i]:8.1%}" for steps in TUNING))
print()
results.add(chance=chance, accuracy=table, differences=differences, heads=[
    dict(layer=layer + 1, head=head + 1, back=back, answers=bring, accuracy_without=left)
    for (layer, head), (back, bring, left) in heads.items()], even_look=even, fine_tuning={
    steps: {"own": own, "others": others} for steps, (own, others) in means.items()})

# %% The picture of one head: where each letter of the question from above looks
layer, head = max(heads, key=lambda place: heads[place][1])
results.draw("head", svg.heat_map(f"Layer {layer + 1}, head {head + 1}: where the letter of the row looks",
                                  [LETTERS[i] for i in example[0]], attention(model, example)[layer][0, head]))

# %% The picture of all
results.draw("shots", [
    svg.chart("Accuracy against the number of shots, no gradient step", "shots", "share of right answers",
              {name: [(shots, statistics.fmean(values)) for shots, values in row.items()]
               for name, row in reversed(table.items())}, {"chance": chance}),
    svg.chart("Fine-tuning on one dictionary", "steps of gradient descent", "share of right answers",
              {name: [(steps, means[steps][i]) for steps in TUNING]
               for i, name in enumerate(("its words, no shot", f"others, {FEW} shots"))}, {"chance": chance})])

# %% The takeaway
two, (_, before), (own, others) = table["two layers"], means[0], means[TUNING[-1]]
laboratory.end(
    options, "no weight has moved, and two layers give " + ", ".join(
        f"{spread(two[shots])} right answers with {shots} shots" for shots in (0, 1, 8)) + "; fine-tuning puts one "
    f"dictionary into the weights instead, {own:.1%} right without a shot after {TUNING[-1]} steps, while other "
    f"dictionaries with {FEW} shots go from {before:.1%} to {others:.1%}.",
    "--steps 50, 100, 150 (does it come slowly or at once?); longer PERIODS or more ENTRIES in this file.")
