# %% [markdown]
"""Windows and 512: why BERT reads no more than 512 tokens at once, and how it reads longer texts.

    python examples/lecture/10_windows.py                 about half a minute
    python examples/lecture/10_windows.py --longest 4096  further than BERT ever went
    python examples/lecture/10_windows.py --window 60     larger windows for the questions

Attention compares every token with every other, so its cost grows with the square of the length, and all the rest of
the model in proportion to it. Here both are predicted (numbert/models/cost.py) and measured. What is longer than a
model can read is cut into windows that overlap (numbert/tasks/squad/windows.py); what the overlap buys is counted.
Source: Vaswani et al. 2017, table 1; Devlin et al. 2019, sections 4.2 and A.2.
"""
# %%
import textwrap
import tracemalloc

import numpy as np

from numbert import BertConfig, BertForTokenClassification, WordPieceTokenizer
from numbert.lab import laboratory, svg
from numbert.lab.peak import sgemm_peak
from numbert.models import cost
from numbert.tasks.squad import show as squad_show
from numbert.tasks.squad.answers import read_answers
from numbert.tasks.squad.data import Answer, Example
from numbert.tasks.squad.windows import NO_ANSWER, context_around, make_passages
from numbert.tokenizers.wordpiece import SPECIAL_TOKENS
from numbert.toyworld import qa_examples
from numbert.trace import trace

WIDTH = 80                                              # of the drawn windows, in characters
QUICK = {"longest": 256, "questions": 40, "rounds": 1}

options, workers = laboratory.begin(laboratory.arguments(__doc__, name="windows", quick=QUICK, longest=2048, rounds=5,
                                                         questions=400, window=40))
if options.longest < 128:
    raise ValueError(f"--longest must be at least 128, got {options.longest}")
results = laboratory.Results(options)

# %% One document, two questions: the lecture's answers
# A document has N tokens d₁ … d_N, a question M tokens. The model gives two whole numbers, and the answer is d_s … d_e:
# "gravity" for s = e = 17, "within a cloud" for s = 77, e = 79. The lecture counts the document's tokens from one, and
# so does whatever is printed or drawn here. A program counts from zero, and in the model's input [CLS], the question
# and [SEP] stand before the document: d_i is in column M + 1 + i.


def words_of(texts):
    """A tokenizer for which every word of the texts is one token."""
    normaliser = WordPieceTokenizer([]).normaliser
    words = {word for text in texts for word in normaliser.words(text)}
    return WordPieceTokenizer([*SPECIAL_TOKENS.values(), *sorted(words)])


def perfect(passage):
    """The scores of a model that knows: for each window 1 at its label's start and end, 0 elsewhere."""
    scores = []
    for start, stop in passage.windows:
        scores.append(np.zeros((2, passage.column + stop - start + 1)))
        scores[-1][[0, 1], passage.label((start, stop))] = 1
    return scores


DOCUMENT = """Rain, snow and hail begin as water in the air, and fall because of gravity. Warm air takes up water from
the sea and from wet ground, and carries it upwards. High up the water gathers on specks of dust into droplets too small
to fall. They grow when they meet: a large droplet sinks faster than a small one and swallows it. Most of these meetings
happen within a cloud, and only then is a drop heavy enough to reach the ground.""".replace("\n", " ")
WORKED = {"What makes hail fall?": (17, 17, "gravity"), "Where do most droplets meet?": (77, 79, "within a cloud")}


def worked(**cutting):
    """(tokenizer, a Passage for each of the two questions)."""
    tokenizer = words_of([DOCUMENT, *WORKED])
    examples = [Example(question, question, DOCUMENT, (Answer(text, DOCUMENT.index(text)),), False)
                for question, (_, _, text) in WORKED.items()]
    return tokenizer, make_passages(examples, tokenizer, **cutting)


_, passages = worked()
found = []
print(textwrap.fill(DOCUMENT, 120) + "\n")
print(f"The lecture's answers, in a document of N = {len(passages[0].context)} tokens:")
for passage in passages:
    s, e, _ = WORKED[passage.example.question]
    columns = passage.label(passage.windows[0])
    reading = read_answers(passage, perfect(passage), n_best=1)
    found.append({"question": passage.example.question, "lecture": [s, e], "columns": columns,
                  "answer": reading.text})
    print(f"  {passage.example.question} (M = {len(passage.question)})\n    s = {s}, e = {e}, counted from one: "
          f"{reading.text!r}, in columns {columns[0]} to {columns[1]} of the input, counted from zero")
results.add(lecture=found)

# %% Time and memory against the length of a text
# One text of T tokens, one step of training, on one core. The model is narrow (D = 64, H = 4), so that attention has
# its say early: its products take as many operations as all others at T = 6 D, and what it keeps for the backward pass
# is as much as all the rest at T = 16 K, K = D / H being the width of a head.


def small(longest):
    return BertConfig(vocab_size=100, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=256,
                      max_position_embeddings=longest, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)


def kept(config, T):
    """(of attention, of all else): bytes that the body's forward pass leaves for the backward pass, in float32.

    Attention keeps its probabilities, H T numbers a token. For the rest, in each layer: query, key, value and what
    attention gives (4 D), the centred rows and the output of two layer norms (4 D) with a number each, and what
    GELU gives and its slope (2 F). In the embeddings: one layer norm more.
    """
    D, F, L = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    return 4 * L * config.num_attention_heads * T * T, 4 * T * (L * (8 * D + 2 * F + 2) + 2 * D + 1)


def operations(config, T):
    """(of attention, of all else) in a step of training, by models/cost.py."""
    predicted = cost.encoder(config, [T]) + cost.classifier(config, T, config.num_labels)
    return cost.TRAINING * predicted["attention"], cost.TRAINING * predicted["linear"]


def batch_of(T):
    rng = np.random.default_rng(T)
    return {"input_ids": rng.integers(100, size=(1, T)), "labels": rng.integers(2, size=(1, T))}


def seconds(model, T):
    """(of attention, of all else) in a step, forward and backward, as its trace tells."""
    both = [0.0, 0.0]
    for step in trace(model, batch_of(T), backward=True).steps:
        both[step.op != "attention"] += step.seconds + step.backward_seconds
    return both


def memory(model, T):
    """Bytes that a forward pass leaves behind: those that Python counts for NumPy."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    output = model(**batch_of(T))
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    del output
    return held


def power(lengths, values):
    """The p for which values grow as T^p, over the longer half of the lengths: the slope in the logarithms."""
    half = len(lengths) // 2
    return float(np.polyfit(np.log(lengths[half:]), np.log(values[half:]), 1)[0])


def crossing(lengths, first, second):
    """The length from which on `first` is more than `second`, between two measured ones in the logarithms; or None."""
    ratio = np.log(first) - np.log(second)
    for i in range(len(ratio) - 1, 0, -1):
        if ratio[i] > 0 >= ratio[i - 1]:
            share = ratio[i - 1] / (ratio[i - 1] - ratio[i])
            return round(float(np.exp(np.log(lengths[i - 1]) + share * np.log(lengths[i] / lengths[i - 1]))))
    return None


config = small(options.longest)
model = BertForTokenClassification(config, rng=np.random.default_rng(0))
lengths = [2**k for k in range(5, options.longest.bit_length())]
rounds, peaks = [], []
for number in range(options.rounds):                # each length in each round: what disturbs one disturbs all
    peaks.append(sgemm_peak(1, size=768)["NumPy"])
    rounds.append([seconds(model, T) for T in lengths])
    print(f"round {number + 1} of {options.rounds}", flush=True)
peak, rounds = max(peaks), np.array(rounds)                                     # (rounds, lengths, 2)
names = ("attention", "all else")
time = {name: (1000 * rounds[:, :, i].min(0)).tolist() for i, name in enumerate(names)}
floor = {name: [1000 * operations(config, T)[i] / peak for T in lengths] for i, name in enumerate(names)}
predicted = {name: [kept(config, T)[i] / 2**20 for T in lengths] for i, name in enumerate(names)}
total = [memory(model, T) / 2**20 for T in lengths]
print(f"\nOne step of training on one text, one core, the best of {options.rounds}; NumPy multiplies at "
      f"{peak / 1e9:.0f} G operations a second here\n"
      f"{'T':>6} {'attention ms':>13} {'at peak':>9} {'all else ms':>13} {'at peak':>9} {'kept MB':>9} "
      f"{'predicted':>9} {'attention in it':>15}")
for i, T in enumerate(lengths):
    print(f"{T:>6} {time['attention'][i]:>13.2f} {floor['attention'][i]:>9.2f} {time['all else'][i]:>13.2f} "
          f"{floor['all else'][i]:>9.2f} {total[i]:>9.2f} {sum(kept(config, T)) / 2**20:>9.2f} "
          f"{kept(config, T)[0] / sum(kept(config, T)):>15.0%}")
D, K = config.hidden_size, config.hidden_size // config.num_attention_heads
powers = {name: [power(lengths, one[:, i]) for one in rounds] for i, name in enumerate(names)}
crossed = crossing(lengths, time["attention"], time["all else"])
grown = ", ".join(f"p = {np.median(one):.2f} ({min(one):.2f} to {max(one):.2f}) for {name}"
                  for name, one in powers.items())
wrong = max(abs(sum(kept(config, T)) / 2**20 / m - 1) for T, m in zip(lengths, total, strict=True) if T >= 128)
print(f"""
Time grows as T^p over the longer half of the lengths: {grown}. By theory 2 and 1.
A p above 2 comes most likely from memory access, not from operations: the shares take 4 H T² bytes in each layer.
Attention has as many operations as all else from T = 6 D = {6 * D} on; measured, it takes as long from {crossed} on.
It keeps as much memory from T = 16 K = {16 * K} on; the prediction is within {wrong:.1%} of what was kept.""")
base, short = BertConfig(), operations(BertConfig(), 128)
shares = {T: (operations(base, T)[0] / sum(operations(base, T)), kept(base, T)[0] / sum(kept(base, T)))
          for T in (128, 512, 2048, 6 * base.hidden_size)}
print("\nBERT-base (D = 768, K = 64), predicted: attention's share\n"
      f"{'T':>6} {'of operations':>14} {'of memory':>10} {'cost of a token against 128':>28}")
for T, (of_operations, of_memory) in shares.items():
    longer = sum(operations(base, T)) / sum(short) / (T / 128)
    print(f"{T:>6} {of_operations:>14.0%} {of_memory:>10.0%} {longer:>27.2f}x")
results.add(lengths=lengths, milliseconds=time, milliseconds_at_peak=floor, kept_megabytes=total,
            predicted_megabytes=predicted, powers=powers, crossing={"operations": 6 * D, "time": crossed,
                                                                "memory": 16 * K},
            base_attention_share={str(T): share for T, share in shares.items()}, peak=peak)

# %% What is longer is cut into windows
# Every window stands behind the question. A token near the edge of a window has little to be understood by, so windows
# overlap, and of those that hold a token the one with most context on both sides scores it. More overlap costs more
# windows. The questions are the toy world's; '#' is where a window scores a token, '-' where another one does.


def side(window, first, last):
    """Tokens on the poorer side of first..last in a window, -inf if it does not hold them."""
    return context_around(window, first, last) - 0.01 * (window[1] - window[0])


drawn = list(qa_examples(options.questions, np.random.default_rng(0), "en"))
examples = [Example(str(number), one["question"], one["context"],
                    tuple(Answer(gold["text"], gold["answer_start"]) for gold in one["answers"]), False)
            for number, one in enumerate(drawn) if one["answers"]]
tokenizer = words_of([text for one in examples for text in (one.question, one.context)])
room = options.window - 3 - max(len(tokenizer(one.question, add_special_tokens=False)) for one in examples)
if room < 4:
    raise ValueError(f"--window {options.window} leaves room for {room} tokens behind the longest question")
print(f"\nWindows of {options.window} tokens, {len(examples)} toy questions that have an answer\n"
      f"{'step':>6} {'windows a question':>20} {'answers that no window holds':>30} {'context of the answer':>23}")
table = []
for step in sorted({room, 3 * room // 4, room // 2, room // 4, 2}, reverse=True):
    passages = make_passages(examples, tokenizer, max_length=options.window, step=step)
    context = [max(side(window, *passage.answer) for window in passage.windows)
               for passage in passages if not passage.beyond]
    table.append({"step": step, "windows": float(np.mean([len(passage.windows) for passage in passages])),
                  "lost": sum(passage.beyond for passage in passages), "context": float(np.mean(context))})
    print(f"{step:>6} {table[-1]['windows']:>20.2f} {table[-1]['lost']:>30} {table[-1]['context']:>16.1f} tokens")
results.add(room=room, questions=len(examples), windows=table)

passage = max(make_passages(examples, tokenizer, max_length=options.window, step=max(1, room // 2)),
              key=lambda one: (len(one.context) <= WIDTH, sum(one.label(w) != NO_ANSWER for w in one.windows)))
gold = passage.gold
span = read_answers(passage, perfect(passage), n_best=1).answers[0]
print(f"\n{passage.example.question}  {gold.text!r}\n\n{squad_show.draw_windows(passage, span, WIDTH)}\n")
for number, window in enumerate(passage.windows):
    label = passage.label(window)
    print(f"window {number}: " + (
        "without the answer, so its label is [CLS]" if label == NO_ANSWER else
        f"its label is columns {label}, the answer's context {side(window, *passage.answer):g} tokens"))

# %% The picture


def lines(**series):
    return {name: list(zip(lengths, values, strict=True)) for name, values in series.items()}


results.draw("length", [
    svg.chart("Time of a training step; parallel lines: the same power of T", "tokens in the text", "ms",
              lines(**{"attention": time["attention"], "all else": time["all else"],
                       "attention at peak": floor["attention"], "all else at peak": floor["all else"]}), log="xy"),
    svg.chart("Memory kept for the backward pass", "tokens in the text", "MB",
              lines(**{"kept": total, "attention (predicted)": predicted["attention"],
                       "all else (predicted)": predicted["all else"]}), log="xy")])
tents = {f"window {number}": [(token + 1, float(side(window, token, token))) for token in range(*window)]
         for number, window in enumerate(passage.windows)}
height = max(side(window, *passage.answer) for window in passage.windows)
first, last = passage.answer[0] + 1 - 0.3, passage.answer[1] + 1 + 0.3
place = {f"answer: {gold.text}": [(first, 0), (first, height), (last, height), (last, 0)]}
results.draw("windows", [svg.chart("Each token is scored by the window in which it has most context",
                                   "token of the context", "tokens on its poorer side", tents | place)])

# %% The takeaway
longest, (share, memory_share) = lengths[-1], shares[512]
slower = [f"{times[-1] / times[-2]:.1f}" for times in (time["attention"], time["all else"])]
first, half = table[0], table[2]
laboratory.end(
    options, f"From {longest // 2} to {longest} tokens attention took {slower[0]} times as long, all else {slower[1]} "
    f"times (by operations: 4 and 2). For BERT-base the cost does not jump at 512 tokens: attention is {share:.0%} of "
    f"the operations there, though {memory_share:.0%} of the memory; only its table of positions ends there. Windows "
    f"without overlap lost {first['lost']} of {len(examples)} answers, with a step of half a window {half['lost']}, "
    f"for {half['windows'] / first['windows']:.1f} times as many windows.",
    "--longest 4096 (does attention leave the cache?), --window 60 (how much overlap is still worth it?), and a "
    "document of your own in DOCUMENT: count its tokens by hand and let the program count them.")
