"""Extractive question answering files: SQuAD 1.1 and 2.0, and CMRC 2018 in both of its layouts.

The answer to a question is a span of its context, given as its text and the character where it starts. The two do
not always agree, and a span that is one character off teaches a wrong answer; so every start is checked here, put
right by a stated rule where that is possible, and otherwise taken away and reported.
"""
import json
from typing import NamedTuple

from ..files import read_text

NEARBY = 32  # characters between where the file says that an answer starts and where it does


class Answer(NamedTuple):
    """The text of an answer, and where it starts in the context in characters; None: it is not known where."""
    text: str
    start: int | None


class Example(NamedTuple):
    """A question. answers: a tuple of Answer, empty if the file gives none, and None if the file has no such entry
    (a test file). is_impossible: the file says that the context does not answer it (SQuAD 2.0 alone can)."""
    id: str
    question: str
    context: str
    answers: tuple | None
    is_impossible: bool


class Questions(NamedTuple):
    """The examples of a file. moved: a line for each answer that starts elsewhere than the file says, or had to be
    chosen from several places; lost: a line for each answer that has no start (Answer.start is None)."""
    examples: list
    moved: list
    lost: list


def read(path):
    """The questions of a JSON file in the layout of SQuAD 1.1, SQuAD 2.0 or CMRC 2018. Returns Questions.

    SQuAD (Rajpurkar et al. 2016, 2018) is {"data": [{"paragraphs": [{"context", "qas": [{"id", "question", "answers":
    [{"text", "answer_start"}], "is_impossible"}]}]}]}; CMRC 2018 (Cui et al. 2019) comes in that layout or as
    [{"context_text", "qas": [{"query_id", "query_text", "answers": [text]}]}], without starts.
    Starts are put right by `find_answer`. Raises ValueError with the file and the path in its JSON, as
    data[0].paragraphs[2].context, if something is missing or of another kind, or an id comes twice.
    """
    try:
        document = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not JSON: line {error.lineno} column {error.colno}: {error.msg}") from None
    questions = Questions([], [], [])
    if isinstance(document, list):
        file = _Json(document, path, "")
        paragraphs, context, question, identity = file.items(), "context_text", "query_text", "query_id"
    else:
        file = _Json(document, path, "the whole file").get("data", list)
        paragraphs = (paragraph for article in file.items() for paragraph in article.get("paragraphs", list).items())
        context, question, identity = "context", "question", "id"
    seen = {}
    for paragraph in paragraphs:
        text = paragraph.get(context, str).value
        for entry in paragraph.get("qas", list).items():
            example = _example(entry, entry.get(identity, str).value, entry.get(question, str).value, text, questions)
            if example.id in seen:
                raise ValueError(f"{path}: {entry.where}: id {example.id!r} is that of {seen[example.id]} already")
            seen[example.id] = entry.where
            questions.examples.append(example)
    return questions


def find_answer(context, text, start=None):
    """Where `text` starts in `context`, in characters, or None if that cannot be told.

    The rule: at `start` if it stands there; else at its occurrence nearest to `start` (of two equally near the
    first), if that is at most NEARBY characters off or is the only one. With `start` None the first occurrence. No
    occurrence at all, or an empty text: None.
    """
    if not text:
        return None
    if start is not None and start >= 0 and context.startswith(text, start):
        return start
    places = [i for i in range(len(context) - len(text) + 1) if context.startswith(text, i)]
    if not places or start is None:
        return places[0] if places else None
    nearest = min(places, key=lambda place: abs(place - start))
    return nearest if len(places) == 1 or abs(nearest - start) <= NEARBY else None


def _example(entry, identity, question, context, questions):
    """The Example of an entry of "qas"; what is noteworthy about its answers goes into `questions`."""
    impossible = entry.has("is_impossible") and entry.get("is_impossible", bool).value
    if not entry.has("answers"):
        return Example(identity, question, context, None, impossible)
    answers = []
    for item in entry.get("answers", list).items():
        if isinstance(item.value, str):
            text, said = item.value, None
        else:
            text, said = item.get("text", str).value, item.get("answer_start", int).value
        start = find_answer(context, text, said)
        line = f"{item.path}: {item.where}: question {identity}: {_short(text)!r}"
        if start is None:
            fault = f"stands only far from {said}, at several places" if text and text in context else "does not stand"
            questions.lost.append(f"{line} {fault} in the context")
        elif said is None and context.count(text) > 1:
            questions.moved.append(f"{line} stands {context.count(text)} times, taken at {start}, the first")
        elif said not in (None, start):
            questions.moved.append(f"{line} does not stand at {said}, found at {start}")
        answers.append(Answer(text, start))
    if impossible and answers:
        raise ValueError(f"{entry.path}: {entry.where}: is_impossible is true beside {len(answers)} answers")
    return Example(identity, question, context, tuple(answers), impossible)


KINDS = {dict: "an object", list: "a list", str: "a string", int: "a whole number", bool: "true or false",
         float: "a number", type(None): "null"}


class _Json(NamedTuple):
    """A value of a JSON file that knows its place, so that a complaint about it can say where it is."""
    value: object
    path: str
    where: str

    def has(self, key):
        return isinstance(self.value, dict) and key in self.value

    def get(self, key, kind):
        """The member `key`, which must be of `kind`."""
        if not isinstance(self.value, dict):
            raise ValueError(f"{self.path}: {self.where}: expected an object with {key!r}, "
                             f"got {KINDS[type(self.value)]}")
        if key not in self.value:
            raise ValueError(f"{self.path}: {self.where}: no {key!r}; it has {', '.join(self.value) or 'nothing'}")
        where = key if self.where == "the whole file" else f"{self.where}.{key}"
        found = self.value[key]
        if type(found) is not kind:
            raise ValueError(f"{self.path}: {where}: expected {KINDS[kind]}, got {KINDS[type(found)]}")
        return _Json(found, self.path, where)

    def items(self):
        """The members of a list."""
        return (_Json(value, self.path, f"{self.where}[{i}]") for i, value in enumerate(self.value))


def _short(text):
    return text if len(text) <= 60 else text[:57] + "..."
