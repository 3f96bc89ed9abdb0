"""A language so small that BERT learns it in seconds: stories of three sentences, and four labelled tasks about them.

    Anna was in the library. She was reading a new book. She was very happy.

The place tells what is done there, and with what; the name tells the pronoun; the rest is chance. So a hidden word can
be guessed from its neighbours, from the other sentence, or not at all.
"""
from itertools import islice
from typing import NamedTuple

SCENES = {"library": ("read", ("book", "letter")), "kitchen": ("eat", ("cake", "pear")),
          "park": ("fly", ("kite", "plane")), "school": ("paint", ("wall", "picture"))}
PEOPLE = {"Anna": "She", "Mary": "She", "Tom": "He", "Paul": "He"}
ADJECTIVES = ("new", "old", "red")
FEELINGS = {"happy": True, "glad": True, "sad": False, "angry": False}
DEGREES = ("very", "quite", "really")

SENTIMENTS = ("negative", "positive")
RELATIONS = ("entailment", "neutral", "contradiction")
TAGS = ("PROPN", "AUX", "ADP", "DET", "NOUN", "PUNCT", "PRON", "VERB", "ADJ", "ADV")


class LectureStory(NamedTuple):
    """What a story tells, in words; `sentences` are its texts."""
    name: str
    place: str
    adjective: str
    thing: str
    degree: str
    feeling: str

    @property
    def pronoun(self):
        return PEOPLE[self.name]

    @property
    def verb(self):
        return SCENES[self.place][0] + "ing"

    @property
    def sentences(self):
        return [f"{self.name} was in the {self.place}.",
                f"{self.pronoun} was {self.verb} a {self.adjective} {self.thing}.",
                f"{self.pronoun} was {self.degree} {self.feeling}."]

    @property
    def text(self):
        return " ".join(self.sentences)

    @property
    def sentiment(self):
        return SENTIMENTS[FEELINGS[self.feeling]]


def stories(rng):
    """An endless iterator of LectureStory."""
    def one(options):
        return options[int(rng.integers(len(options)))]
    while True:
        place = one(tuple(SCENES))
        yield LectureStory(one(tuple(PEOPLE)), place, one(ADJECTIVES), one(SCENES[place][1]), one(DEGREES),
                    one(tuple(FEELINGS)))


def documents(n, rng):
    """n documents to pre-train on, lists of two sentences: where someone was, and what they did, or one in four, felt.
    """
    return [[story.sentences[0], story.sentences[1 + (rng.random() < 0.25)]] for story in islice(stories(rng), n)]


def vocabulary():
    """All words in order, but "reading" and its like in two pieces: read, ##ing."""
    words = {"was", "in", "the", "a", "not", "where", "who", "what", "?", ".", "##ing", *map(str.lower, PEOPLE),
             *map(str.lower, PEOPLE.values()), *SCENES, *ADJECTIVES, *FEELINGS, *DEGREES}
    for verb, things in SCENES.values():
        words |= {verb, *things}
    return sorted(words)


def classified(n, rng):
    """n of (text, None, number of the sentiment)."""
    return [(s.text, None, SENTIMENTS.index(s.sentiment)) for s in islice(stories(rng), n)]


def tagged(n, rng):
    """n of (words, tags): a story's first two sentences, or its last one."""
    first = ("PROPN AUX ADP DET NOUN PUNCT PRON AUX VERB DET ADJ NOUN PUNCT", "PRON AUX ADV ADJ PUNCT")
    made = []
    for s in islice(stories(rng), n):
        k = int(rng.integers(2))
        text = s.sentences[2] if k else " ".join(s.sentences[:2])
        made.append((text.replace(".", " .").split(), first[k].split()))
    return made


def inferred(n, rng):
    """n of (premise, hypothesis, number of the relation), a third of each. (A word gives the label away, "not", as in
    some real data sets; the card says so.)"""
    made = []
    for s in islice(stories(rng), n):
        label = int(rng.integers(3))
        said = (f"in the {s.place}", f"{s.degree} {s.feeling}", f"not in the {s.place}")[label]
        made.append((s.sentences[0], f"{s.pronoun} was {said}.", label))
    return made


def asked(n, rng):
    """n of (question, text, answer): the answer is a part of the text, "" where the text does not say."""
    made, endless = [], stories(rng)
    for s in islice(endless, n):
        first, second, third = s.sentences
        others = [f"{other.sentences[0]} {other.sentences[2]} " for other in islice(endless, 3)]
        before, after = "".join(others[:int(rng.integers(3))]), " " + others[2] if rng.random() < 0.5 else ""
        what = f"What was {s.pronoun.lower()} {s.verb}?"
        made.append([(f"Where was {s.name}?", s.text, s.place), (f"Who was in the {s.place}?", s.text, s.name),
                     (what, before + s.text + after, f"a {s.adjective} {s.thing}"),
                     (what, f"{before}{first} {third}{after}", "")][int(rng.integers(4))])
    return made
