"""Extractive question answering files: SQuAD 1.1 and 2.0, CMRC 2018, and other layouts of the same data.

The answer to a question is a span of its context, given as its text and the character where it starts. The two do
not always agree, and a span that is one character off teaches a wrong answer; so every start is checked here, corrected
by a stated rule where that is possible, and otherwise removed and reported.
"""
from typing import NamedTuple

from ...hub.errors import CheckpointError, map_file, parse_json

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
    """The questions of a JSON file. Returns Questions. The layouts:

    SQuAD (Rajpurkar et al. 2016, 2018)  {"data": [{"paragraphs": [{"context", "qas": [{"id", "question", "answers":
                                         [{"text", "answer_start"}], "is_impossible"}]}]}]}
    CMRC 2018 (Cui et al. 2019)          SQuAD's, or without starts [{"context_text", "qas": [{"query_id",
                                         "query_text", "answers": [text]}]}]
    `datasets` of Hugging Face           a row for each question, {"id", "context", "question", "answers": {"text": [],
                                         "answer_start": []}}: [row, ...], {"data": [row, ...]} or one on each line
    the course's homework                {"paragraphs": [text], "questions": [{"id", "paragraph_id", "question_text",
                                         "answer_text", "answer_start", "answer_end"}]}; answer_end is the place of the
                                         last character; all three are null in a test file

    Starts are put right by `find_answer`. The text of an answer may be a number, as in 4.9, and stands for its digits,
    as in CMRC's own script. Raises ValueError with the file and the path in its JSON, as
    data[0].paragraphs[2].context, if something is missing or of another kind, or an id comes twice.
    """
    questions, seen = Questions([], [], []), {}
    for entry, identity, question, text in _entries(_document(path)):
        example = _example(entry, identity, question, text, questions)
        if example.id in seen:
            raise ValueError(f"{path}: {entry.where}: id {example.id!r} is that of {seen[example.id]} already")
        seen[example.id] = entry.where
        questions.examples.append(example)
    return questions


def _document(path):
    """What stands in the file; where it has an object on each line, their list."""
    data = map_file(path)[:].removeprefix(b"\xef\xbb\xbf")
    lines = [line for line in data.split(b"\n") if line.strip()]
    if len(lines) > 1 and lines[0].lstrip().startswith(b"{") and lines[0].rstrip().endswith(b"}"):
        rows = []
        for number, line in enumerate(lines, 1):
            try:
                rows.append(parse_json(path, line))
            except CheckpointError as error:
                raise CheckpointError(path, f"row {number}, one on each line: {error.problem}") from None
        return _Json(rows, path, "")
    value = parse_json(path, data, kind=None)
    return _Json(value, path, "" if isinstance(value, list) else "the whole file")


def _entries(document):
    """For each question of a file its entry, id, question and context."""
    if document.has("questions") and document.has("paragraphs"):
        texts = list(document.get("paragraphs", list).items())
        for entry in document.get("questions", list).items():
            number = entry.get("paragraph_id", int)
            if not 0 <= number.value < len(texts):
                raise ValueError(f"{number.path}: {number.where}: {number.value} is none of 0..{len(texts) - 1}, the "
                                 "paragraphs")
            yield (entry, str(entry.get("id", str, int).value), entry.get("question_text", str).value,
                   texts[number.value].of(str).value)
        return
    rows = document if isinstance(document.value, list) else document.get("data", list)
    for row in rows.items():
        if row.has("context") and row.has("question"):
            yield row, row.get("id", str).value, row.get("question", str).value, row.get("context", str).value
            continue
        if rows is document:
            paragraphs, context, question, identity = [row], "context_text", "query_text", "query_id"
        else:
            paragraphs, context, question, identity = row.get("paragraphs", list).items(), "context", "question", "id"
        for paragraph in paragraphs:
            text = paragraph.get(context, str).value
            for entry in paragraph.get("qas", list).items():
                yield entry, entry.get(identity, str).value, entry.get(question, str).value, text


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
    given = _answers(entry)
    if given is None:
        return Example(identity, question, context, None, impossible)
    answers = []
    for where, text, said in given:
        start = find_answer(context, text, said)
        line = f"{entry.path}: {where}: question {identity}: {_short(text)!r}"
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


def _answers(entry):
    """[(its place in the file, its text, the start that the file says or None)] of each answer; None without any."""
    if entry.has("answer_text"):                                    # the course's homework
        if entry.value["answer_text"] is None:
            return None
        text, start, end = (entry.get(f"answer_{name}", *kinds).value for name, kinds in
                            (("text", (str, int, float)), ("start", (int,)), ("end", (int,))))
        if end != start + len(str(text)) - 1:
            raise ValueError(f"{entry.path}: {entry.where}: answer_start {start} and answer_end {end} are "
                             f"{end - start + 1} characters, the answer_text has {len(str(text))}")
        return [(entry.where, str(text), start)]
    if not entry.has("answers"):
        return None
    answers = entry.get("answers", list, dict)
    if isinstance(answers.value, dict):                             # `datasets`
        texts, starts = (answers.get(name, list) for name in ("text", "answer_start"))
        if len(texts.value) != len(starts.value):
            raise ValueError(f"{answers.path}: {answers.where}: {len(texts.value)} texts, {len(starts.value)} starts")
        return [(text.where, str(text.of(str, int, float).value), start.of(int).value)
                for text, start in zip(texts.items(), starts.items(), strict=True)]
    return [(item.where, str(item.get("text", str, int, float).value), item.get("answer_start", int).value)
            if isinstance(item.value, dict) else (item.where, str(item.of(str, int, float, dict).value), None)
            for item in answers.items()]


KINDS = {dict: "an object", list: "a list", str: "a string", int: "a whole number", bool: "true or false",
         float: "a number", type(None): "null"}


class _Json(NamedTuple):
    """A value of a JSON file that knows its place, so that a complaint about it can say where it is."""
    value: object
    path: str
    where: str

    def has(self, key):
        return isinstance(self.value, dict) and key in self.value

    def get(self, key, *kinds):
        """The member `key`, which must be of one of `kinds`."""
        self.of(dict, saying=f"an object with {key!r}")
        if key not in self.value:
            raise ValueError(f"{self.path}: {self.where}: no {key!r}; it has {', '.join(self.value) or 'nothing'}")
        where = key if self.where == "the whole file" else f"{self.where}.{key}"
        return _Json(self.value[key], self.path, where).of(*kinds)

    def of(self, *kinds, saying=None):
        """The same, if the value is of one of `kinds`."""
        if type(self.value) not in kinds:
            raise ValueError(f"{self.path}: {self.where}: expected {saying or KINDS[kinds[0]]}, "
                             f"got {KINDS[type(self.value)]}")
        return self

    def items(self):
        """The members of a list."""
        return (_Json(value, self.path, f"{self.where}[{i}]") for i, value in enumerate(self.value))


def _short(text):
    return text if len(text) <= 60 else text[:57] + "..."
