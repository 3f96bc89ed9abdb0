"""Making up stories: a chain of small choices, each among the things that may happen in the world as it stands.

The teller never touches a random number. It asks `choose(options)`, each equally likely unless weighted. Give it a
generator's choices and it tells stories without end (`plots`); give it every choice in turn and it tells all the
stories there are, each with its exact probability (entropy.py).
"""
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, islice

from .language import GRAMMAR, join, language_number, sentence
from .lexicon import (
    AFFIRMATIONS,
    BAD_FEELINGS,
    CIRCUMSTANCES,
    COLOURS,
    DENIALS,
    GOOD_FEELINGS,
    PEOPLE,
    PLACES,
    THINGS,
    TIMES,
)
from .world import FACT_KINDS, Event, Fact, World, consequence, facts, possible, towards_goal, truth


@dataclass(frozen=True)
class Variant:
    """A size of the world. The defaults are the open one; `kinds` (None for all) limits what can happen in the body
    of a story, `styles` is how many ways to say a thing are used at most, `moods` tells whether feelings are told."""
    people: Sequence = tuple(PEOPLE)
    places: Sequence = tuple(PLACES)
    things: Sequence = tuple(THINGS)
    colours: Sequence = (None, *COLOURS)
    kinds: Sequence | None = None
    meetings: Sequence = ("be", "be too", "friend")         # how the others enter
    arrivals: Sequence = ("there", "have", "want")          # how a thing enters
    openings: bool = True                                   # times of day and links such as "then"
    things_told: Sequence = (1, 2)                          # how many things a story is about
    people_told: Sequence = (2, 2, 3)
    places_told: int = 3
    lengths: Sequence = (3, 4, 5)                           # how many events there are after the introductions
    styles: int = 9
    moods: bool = True


VARIANTS = {
    "open": Variant(),
    "closed": Variant(
        people=("Anna", "Tom"), places=("kitchen", "park"), things=("ball", "key"),
        colours=("red", "blue", "green", "white"), meetings=("be too",), arrivals=("there", "have"),
        kinds=("go", "take", "give"), lengths=(2,), styles=2, people_told=(2,), places_told=2, things_told=(1,),
        openings=False, moods=False),
    "tiny": Variant(
        people=("Anna", "Tom"), places=("kitchen", "park"), things=("ball", "key"), colours=(None, "red"),
        meetings=("be", "be too"), arrivals=("there", "have"), kinds=("go", "take", "drop", "give"), lengths=(1,),
        styles=1, people_told=(2,), places_told=2, things_told=(1,), openings=False, moods=False),
}

# The weight of a kind of event where it is possible (1 if not listed here).
WEIGHTS = {"go": 4, "take": 8, "give": 10, "drop": 2, "use": 2, "follow": 4, "come": 4, "find": 4, "plan": 2, "talk": 3,
           "sleep": 4, "see": 2}

# After these events a mood has a reason that its own sentence does not state.
MOVING = ("wet", "lose", "find", "give", "use", "hungry", "tired")


@dataclass(frozen=True)
class Story:
    """A story in one language, and the `plot` (its Events) that it shares with its twin in the other language."""
    sentences: list
    text: str
    plot: list
    language: str

    @property
    def starts(self):
        """The offset in `text` at which each sentence starts."""
        return [start for start, _ in join([one.text for one in self.sentences], self.language)[1]]


def stories(rng, language="en", variant="open"):
    """An endless iterator of Story. The same seed gives the same stories in both languages, sentence by sentence."""
    language_number(language)
    for plot in plots(rng, variant):
        yield render(plot, language)


def documents(n, rng, language="en", variant="open"):
    """n documents to pre-train on: each a story, as a list of its sentences' texts."""
    return [[one.text for one in story.sentences] for story in islice(stories(rng, language, variant), n)]


def plots(rng, variant="open"):
    """An endless iterator of stories, independent of the language: lists of Events."""
    described = find_variant(variant)
    draw = rng.random

    def choose(options, weights=None):
        if weights is None:
            return options[int(draw() * len(options))]
        return options[bisect(list(accumulate(weights)), draw() * sum(weights))]

    while True:
        yield tell(choose, described)


def render(plot, language):
    sentences = [sentence(event, language) for event in plot]
    return Story(sentences, join([one.text for one in sentences], language)[0], plot, language)


def find_variant(variant):
    """A Variant, by its name in VARIANTS or as given. Raises ValueError for an unknown name."""
    if isinstance(variant, Variant):
        return variant
    if variant not in VARIANTS:
        raise ValueError(f"variant must be one of {', '.join(VARIANTS)}, got {variant!r}")
    return VARIANTS[variant]


def tell(choose, variant):
    """One story as a list of Events. `choose(options, weights=None)` returns one element of a sequence, drawn
    uniformly or in proportion to its weight."""
    return _Teller(choose, variant).tell()


class _Teller:
    def __init__(self, choose, variant):
        self.choose = choose
        self.variant = variant
        self.world = World()
        self.plot = []
        self.clock = 0              # the number of the next time of the day that has not been told
        self.due = {}               # person -> the mood that must follow from what happened
        self.causes = list(CIRCUMSTANCES)

    def tell(self):
        variant, choose = self.variant, self.choose
        self.people = self.some(variant.people, choose(variant.people_told))
        every = variant.places_told == len(variant.places)
        self.places = variant.places if every else self.some(variant.places, variant.places_told)
        self.things = self.some(variant.things, choose(variant.things_told))
        self.introduce()
        for _ in range(choose(variant.lengths)):
            self.go_on()
        if variant.moods:
            self.settle()
            self.feel(self.people[0], choose((None, "in the end")))
        return self.plot

    def some(self, options, count):
        rest, chosen = list(options), []
        for _ in range(count):
            chosen.append(self.choose(rest))
            rest.remove(chosen[-1])
        return chosen

    def happen(self, kind, opening=None, **roles):
        """Add an event, in one of the ways to say it; a subject repeated from the sentence before becomes a pronoun."""
        styles = min(len(GRAMMAR[kind]), self.variant.styles)
        style = self.choose(range(styles)) if styles > 1 else 0
        pronoun = bool(self.plot and "who" in roles and self.plot[-1].roles.get("who") == roles["who"])
        event = Event(kind, roles, style, opening, pronoun)
        self.plot.append(event)
        self.world.happen(event)

    def introduce(self):
        """Introduce the people, where they are, and the things."""
        variant, choose = self.variant, self.choose
        hero, *others = self.people
        home = choose(self.places)
        self.happen("be", self.time(), who=hero, place=home)
        for what in self.things[1:]:
            self.introduce_thing(what, [hero], [home])
        for other in others:
            met = self.plot[-1].kind.startswith("be")
            meeting = choose([way for way in variant.meetings if way != "be too" or met])
            if meeting == "be":
                self.happen("be", who=other, place=choose([place for place in self.places if place != home]))
            elif meeting == "be too":
                self.happen("be too", who=other, place=self.plot[-1].roles["place"])
            else:
                self.happen("friend", who=hero, whom=other)
        present = [person for person in self.people if self.world.get("place", person)]
        self.introduce_thing(self.things[0], present, self.places)

    def introduce_thing(self, what, people, places):
        arrival = self.choose(self.variant.arrivals)
        colour = None if THINGS[what].food else self.choose(self.variant.colours)
        if arrival == "there":
            self.happen("there", what=what, place=self.choose(places), colour=colour)
        else:
            self.happen(arrival, who=self.choose(people), what=what, colour=colour)

    def go_on(self):
        """The next event: what must follow; a mood that is due; the next step to what someone wants; or any."""
        if following := consequence(self.world):
            kind, roles = following
            self.happen(kind, **roles)
        elif self.due and self.choose((True, False)):
            self.feel(next(iter(self.due)))
        elif (step := towards_goal(self.world)) and (not self.variant.openings or self.choose((True, True, False))):
            kind, roles = step
            self.happen(kind, self.link("so"), **roles)
        else:
            self.go_anywhere()

    def go_anywhere(self):
        events = possible(self.world, self.people, self.things, self.places)
        kinds = [kind for kind in events if self.variant.kinds is None or kind in self.variant.kinds]
        if not kinds:
            return
        kind = self.choose(kinds, [WEIGHTS.get(kind, 1) for kind in kinds])
        roles = self.choose(events[kind])
        if kind == "talk":
            self.talk(**roles)
            return
        self.happen(kind, self.time() if kind == "go" else self.link("then", "later", "after that"), **roles)
        if self.variant.moods and kind in ("lose", "find", "give"):
            self.due[roles["whom" if kind == "give" else "who"]] = -1 if kind == "lose" else 1

    def settle(self):
        """Tell the consequences that are still to be told."""
        while following := consequence(self.world):
            kind, roles = following
            self.happen(kind, **roles)

    def link(self, *links):
        return self.choose((None, None, *links)) if self.variant.openings else None

    def time(self):
        """A time of the day, later than the last one told, or none."""
        later = list(TIMES)[self.clock:self.clock + 2]
        if not self.variant.openings or not later or self.choose((True, False)):
            return None
        time = self.choose(later)
        self.clock = list(TIMES).index(time) + 1
        return time

    def talk(self, who, whom):
        """Someone says something true, or asks and is answered."""
        self.world.done.add(("talk", who, None, whom))
        kind = self.choose(FACT_KINDS)
        known = [fact for fact in facts(self.world, kind) if truth(self.world, fact) is not None]
        if known and self.choose((True, False)):
            fact = self.choose(known)
            self.happen("say", who=who, fact=fact._replace(positive=truth(self.world, fact)))
            return
        subject = self.choose([person for person in self.people if person not in (who, whom)] + self.world.things)
        person = subject in self.people
        question = ("where person", {"who": subject}) if person else ("where thing", {"what": subject})
        self.happen("ask", who=who, whom=whom, question=question)
        place = self.world.get("place", subject) if person else self.world.where(subject)
        if place:
            self.happen("say", who=whom, fact=Fact("at" if person else "lies", subject, place))
        else:
            self.happen("not know", who=whom)

    def feel(self, who, opening=None):
        """Someone's mood: the one that is due, or any; with or without a circumstance that agrees or contrasts."""
        choose = self.choose
        moved = who in self.due or any(event.kind in MOVING for event in self.plot[-2:])
        mood = self.due.pop(who, None) or choose((1, -1))
        degree = choose(choose((AFFIRMATIONS, DENIALS)))
        good = (mood > 0) != (degree in DENIALS)
        feeling = choose(tuple(GOOD_FEELINGS if good else BAD_FEELINGS))
        roles = {"who": who, "feeling": feeling, "degree": degree, "moved": moved}
        kind = choose(("feel", "feel but") if moved else ("feel", "feel but", "feel because"))
        if kind != "feel":
            noun = choose(self.causes)
            self.causes.remove(noun)
            roles["cause"] = (noun, mood if kind == "feel because" else -mood)
        self.happen(kind, opening, **roles)
