# %% [markdown]
"""Extractive question answering: a question and a text go in, the place of the answer in the text comes out.

    python examples/lecture/09_answer.py                  two minutes: pre-trains on toy stories, then fine-tunes
    python examples/lecture/09_answer.py --examples 5000  ten times as many questions to learn from
    python examples/lecture/09_answer.py --language zh    the same world in Chinese

The lecture's fourth use of BERT: two new vectors are all that is added. The dot product of one with each token of the
text scores it as the start of the answer, that of the other as its end; a softmax over the text says where. Some
questions have no answer in their story; then both vectors should point at [CLS]. Source: Devlin et al. 2019, sections
4.2 and 4.3.
"""
# %%
from numbert import AutoTokenizer
from numbert.lab import comparison as toy
from numbert.lab import laboratory
from numbert.lab.lesson import Lesson
from numbert.lab.toy_tasks import passages
from numbert.tasks.squad import show as squad_show
from numbert.tasks.squad.answers import best_threshold
from numbert.tasks.squad.reader import Reader, qa_task, read_passages, scores
from numbert.tasks.squad.windows import describe

parser = toy.arguments(__doc__, name="answer", epochs=10, lr=5e-4, seeds=1)
parser.add_argument("--window", type=int, default=40, help="tokens that the model may see at once when the stories "
                    "are read in pieces (default: %(default)s)")
parser.set_defaults(test=600)
options, workers = laboratory.begin(parser)
lesson = Lesson(options)

# %% One question with an answer, and one without
# "Where is the apple now?" Several places are named in the story, and the last one that the apple came to is right. A
# third of the questions cannot be answered from the story. The label of a question is a pair of places: its first and
# its last token, counted from 0 in what the model gets; (0, 0) is [CLS], no answer.
splits = toy.splits("answer", options)
training, development, test = (passages(part, toy.tokenizer(options), options.max_length) for part in splits)
answerable = [number for number, passage in enumerate(test) if passage.answer]
impossible = [number for number, passage in enumerate(test) if not passage.answer]
for passage in (test[answerable[0]], test[impossible[0]]):
    example = passage.example
    print(f"{example.question}\n\n{squad_show.highlight(example.context)}\n\n  answer "
          f"{example.answers[0].text if example.answers else '(none)'!r}, label {passage.label(passage.windows[0])}\n")
print("The training questions: " + "\n  ".join(describe(training)) + "\n")

# %% The comparison: pre-trained and from scratch, and the baseline that always says "no answer"
# f1 is the overlap in words with the right answer, exact the share of answers that are right to the letter.
folder = toy.body(options, lesson, workers)
tokenizer = AutoTokenizer.from_pretrained(folder)
task = qa_task(tokenizer, training, development, workers, test=test, batch_size=options.batch_size)
runs = toy.compare(task, folder, tokenizer, options, lesson, workers)
model = runs["pre-trained"].model

# %% The two vectors, as one draws them by hand
# The start vector's dot product with every token of the story, a softmax, and where it is highest; the same with
# the end vector. The two maxima are the lecture's answer. The model's is the best pair, start before end.
threshold = best_threshold(development, read_passages(model, tokenizer, development, workers))
passage = test[answerable[0]]
reading = read_passages(model, tokenizer, [passage], threshold=threshold)[0]
print(f"\n{passage.example.question}\n\n{squad_show.highlight(passage.example.context)}\n")
print(squad_show.two_vectors(model, tokenizer, passage, passage.windows[0], reading))

# %% Windows
# Real documents are longer than a model can read at once. So they are cut into windows that overlap; each is read
# behind the question, and the best span of all windows is the answer. What does that cost on stories that could be
# read whole? More windows are more chances to see an answer where there is none: look at NoAns_f1.
pieces = passages(splits[2], tokenizer, options.window)
print("\nThe test questions, read in pieces: " + "\n  ".join(describe(pieces)))
for name, read in (("whole", test), ("in pieces", pieces)):
    found = scores(read, read_passages(model, tokenizer, read, workers, threshold=threshold))
    print(f"  {name:<10}" + "".join(f"  {figure} {value:.1f}" for figure, value in found.items()))

# %% Single answers
# '#' is where a window scores a token, '-' where another one does, that has more of the text on both sides of it.
# Are the candidates of a wrong answer places, where a place is asked for? Then the model knows the type of the answer,
# and fails to follow the story.


def show(passage, reader):
    """The story with the answer marked, its windows, the candidates, and whether the answer is right."""
    example = passage.example
    reading = reader(example.question, example.context)
    span = reading.answers[0] if reading.text else None
    gold = example.answers[0].text if example.answers else ""
    print("\n" + "\n\n".join([example.question, squad_show.highlight(example.context, span),
                               squad_show.draw_windows(passage, span), squad_show.candidates(reading)]))
    print("  right" if reading.text == gold else f"  WRONG: it is {gold!r}" if gold else "  WRONG: there is none")


whole = Reader(model, tokenizer, threshold=threshold, max_length=options.max_length)
in_pieces = Reader(model, tokenizer, threshold=threshold, max_length=options.window)
for number, reader, read in ((answerable[0], whole, test), (answerable[0], in_pieces, pieces),
                             (answerable[1], whole, test), (impossible[0], whole, test)):
    show(read[number], reader)
print()

# %% The picture
toy.draw_curves(task, runs, options)

# %% The takeaway
toy.end(runs, options, f"""--examples 5000 (is it the data that is lacking?), --window 60 (where does it begin to matter
that a story is cut?), --freeze-body; or SQuAD, with a model from examples/pretrain.py:
python -m numbert.tasks.squad --train F --dev F --model runs/pretrain --out {options.out}-squad""")
