"""The toy world: what events do, what follows from them, and what a reader of them knows.

`World` holds what has been told, not what is so: Anna is in the kitchen, the ball is with Ben, nothing was said
about where Lucy is. Every label of the toy tasks is read from it. A fact is true, false, or not told:
entailment, contradiction, or neutral.
"""
from dataclasses import dataclass
from typing import NamedTuple

from .lexicon import DENIALS, GOOD_FEELINGS, PLACES, STATES, THINGS

UNCLEAR = "unclear"     # not told, but something has happened from which readers may guess


@dataclass(frozen=True)
class Event:
    """One sentence of a story, independent of the language: what happens, who plays which role, and in which style.

    `style` picks one of the grammar's ways to say it, `opening` is a time or a link that stands before it, and
    `pronoun` says that the subject, being that of the sentence before, is "she" or "he".
    """
    kind: str
    roles: dict
    style: int = 0
    opening: str | None = None
    pronoun: bool = False


class Fact(NamedTuple):
    """A statement about the present: at(person, place), has(person, thing), lies(thing, place),
    colour(thing, colour), mood(person, +1 or -1), state(person, adjective); or its denial."""
    kind: str
    subject: str
    value: object
    positive: bool = True


class World:
    """What has been told up to a sentence, and since when.

    `told[variable, subject]` is the value last told: the variables are "place" of a person, "spot" of a thing
    (the person who has it or the place where it lies), "colour" of a thing, "mood", "wet", "hungry", "tired".
    A missing value, or None, was not told. `since` holds the number of the sentence that told it.
    """

    def __init__(self):
        self.told = {}
        self.since = {}
        self.ruled_out = {}         # (variable, subject) -> the one value known to be false, or None
        self.people, self.things, self.places = [], [], []      # in the order in which they were mentioned
        self.done = set()           # what happens at most once to the same people and things
        self.goal = None            # (person, thing): someone wants to use a thing for its purpose
        self.raining = False
        self.last = None            # the last event
        self.sentences = 0

    def get(self, variable, subject):
        return self.told.get((variable, subject))

    def set(self, variable, subject, value, ruled_out=None):
        self.told[variable, subject] = value
        self.since[variable, subject] = self.sentences
        self.ruled_out[variable, subject] = ruled_out

    def where(self, thing):
        """The place of a thing, by way of the person who has it; None if not told."""
        spot = self.get("spot", thing)
        return spot if spot in PLACES else self.get("place", spot)

    def _mention(self, roles):
        for known, names in ((self.people, ("who", "whom")), (self.things, ("what",)), (self.places, ("place",))):
            for name in names:
                if roles.get(name) is not None and roles[name] not in known:
                    known.append(roles[name])

    def happen(self, event):
        """Apply an event: afterwards the World holds what a reader of its sentence knows."""
        kind, roles = event.kind, event.roles
        who, what, whom, place = (roles.get(role) for role in ("who", "what", "whom", "place"))
        self._mention(roles)
        if kind in ("be", "be too", "come", "go", "follow"):
            self.set("place", who, place)
        elif kind == "leave":
            self.set("place", who, None, ruled_out=self.get("place", who))
        elif kind == "there":
            self.set("spot", what, place)
        elif kind in ("have", "take", "find"):
            self.set("spot", what, who)
        elif kind == "drop":
            self.set("spot", what, self.get("place", who))
        elif kind == "give":
            self.set("spot", what, whom)
        elif kind in ("lose", "want"):
            self.set("spot", what, None, ruled_out=who)
        elif kind == "use" and THINGS[what].food:
            self.set("spot", what, UNCLEAR)
            self.set("hungry", who, False)
        elif kind == "rain":
            self.raining = True
        elif kind in ("wet", "hungry", "tired"):
            self.set(kind, who, True)
        elif kind in ("shelter", "dry"):
            self.set("wet", who, False)
        elif kind == "sleep":
            self.set("tired", who, False)
        elif kind.startswith("feel"):
            self.set("mood", who, valence(roles))
        if kind in ("there", "have", "want") and roles.get("colour"):
            self.set("colour", what, roles["colour"])
        self._moods(kind, who, whom)
        self._goals(kind, who, what)
        self.done.add((kind, who, what, whom))
        self.last = event
        self.sentences += 1

    def _moods(self, kind, who, whom):
        """What happens to people may change how they feel: until that is told, readers can only guess."""
        if kind in ("lose", "find", "wet", "use", "give"):
            self.set("mood", whom if kind == "give" else who, UNCLEAR)

    def _goals(self, kind, who, what):
        if kind == "plan":
            self.goal = (who, what)
        elif kind == "hungry":
            food = next((thing for thing in self.things if THINGS[thing].food and self.where(thing)), None)
            self.goal = (who, food) if food else self.goal
        elif kind == "use" or (self.goal and what == self.goal[1] and kind == "lose"):
            self.goal = None


def after(events):
    """The World after a list of Events."""
    world = World()
    for event in events:
        world.happen(event)
    return world


def valence(roles):
    """+1 if the feeling told is good, -1 if it is bad: a denial reverses it."""
    good = roles["feeling"] in GOOD_FEELINGS
    return 1 if good != (roles["degree"] in DENIALS) else -1


# ------------------------------------------------------------------------------------------------ truth

def truth(world, fact):
    """True, False, or None where the story does not tell. Ask only what is not `arguable`."""
    kind, subject, value, positive = fact
    if kind == "at":
        answer = _is(world, "place", subject, value)
    elif kind == "has":
        answer = _is(world, "spot", value, subject)
    elif kind == "lies":
        spot = world.get("spot", subject)
        answer = _is(world, "place", spot, value) if spot in world.people else _is(world, "spot", subject, value)
    elif kind == "state":
        variable, whether = _state(value)
        told = world.get(variable, subject)
        answer = None if told is None else told == whether
    else:
        answer = _is(world, kind, subject, value)
    return answer if answer is None or positive else not answer


def _is(world, variable, subject, value):
    told = world.get(variable, subject)
    if told is None:
        return False if world.ruled_out.get((variable, subject)) == value else None
    return told == value


def _state(adjective):
    return next((variable, whether) for variable, adjectives in STATES.items()
                for whether, word in zip((True, False), adjectives, strict=True) if word == adjective)


def arguable(world, fact):
    """Whether careful readers could disagree: a mood after something happened, a thing that was eaten,
    someone outdoors of whom we are about to hear that the rain made them wet."""
    kind, subject, value, _ = fact
    if kind == "state":
        variable, _ = _state(value)
        return variable == "wet" and world.raining and world.get("wet", subject) is None
    thing = value if kind == "has" else subject
    return world.get("mood" if kind == "mood" else "spot", thing) == UNCLEAR


def facts(world, kind):
    """Every positive fact of a kind that can be stated in words that the story has used, arguable ones left out."""
    people, things, places = world.people, world.things, world.places
    coloured = [thing for thing in things if not THINGS[thing].food]
    colours = [world.get("colour", thing) for thing in things if world.get("colour", thing)]
    adjectives = [adjective for pair in STATES.values() for adjective in pair]
    subjects, values = {
        "at": (people, places), "has": (people, things), "lies": (things, places), "colour": (coloured, colours),
        "mood": (people, (1, -1)), "state": (people, adjectives),
    }[kind]
    found = [Fact(kind, subject, value) for subject in subjects for value in values]
    return [fact for fact in found if not arguable(world, fact)]


FACT_KINDS = ("at", "has", "lies", "colour", "mood", "state")


# ------------------------------------------------------------------------------------------------ what can happen

def consequence(world):
    """What must be told next, as (kind, roles), or None: whoever stands in the rain gets wet."""
    for person in world.people if world.raining else ():
        place = world.get("place", person)
        if place and PLACES[place].outdoors and not world.get("wet", person):
            if world.get("spot", "umbrella") != person:
                return "wet", {"who": person}
            if world.get("wet", person) is None:
                return "shelter", {"who": person, "what": "umbrella"}
    return None


def towards_goal(world):
    """The next step to what someone wants, as (kind, roles): whoever is wet goes indoors and gets dry; whoever
    has a goal goes where the thing is, takes it and uses it. None if nothing is wanted or can be done."""
    for who in world.people:
        here, indoors = world.get("place", who), [place for place in world.places if not PLACES[place].outdoors]
        if here and indoors and world.get("wet", who):
            return ("go", {"who": who, "place": indoors[0]}) if PLACES[here].outdoors else ("dry", {"who": who})
    if world.goal is None:
        return None
    who, what = world.goal
    here, spot = world.get("place", who), world.get("spot", what)
    if here is None:
        return None
    if spot == who:
        return "use", {"who": who, "what": what}
    if spot == here:
        return "take", {"who": who, "what": what}
    if spot in world.people and world.get("place", spot) == here:
        return "give", {"who": spot, "what": what, "whom": who}
    there = world.where(what)
    return ("go", {"who": who, "place": there}) if there else None


def possible(world, people, things, places):
    """All that may happen now to a story's cast: {kind: [roles, ...]}, without the empty kinds."""
    events = {}
    last = world.last

    def may(kind, once=False, **roles):
        if not (once and (kind, roles.get("who"), roles.get("what"), roles.get("whom")) in world.done):
            events.setdefault(kind, []).append(roles)

    for who in people:
        here = world.get("place", who)
        if here is None:
            if last.kind == "leave":
                continue
            for place in places:
                if world.ruled_out.get(("place", who)) != place:
                    may("come", who=who, place=place)
            continue
        for place in places:
            if place != here:
                may("go", who=who, place=place)
        may("leave", once=True, who=who)
        may("hungry", once=True, who=who)
        may("tired", once=True, who=who)
        if world.get("tired", who):
            may("sleep", who=who)
        if PLACES[here].outdoors:
            may("rain", once=True)
        elif world.get("wet", who):
            may("dry", who=who)
        for whom in people:
            if whom == who:
                continue
            there = world.get("place", whom)
            if there == here:
                may("see", once=True, who=who, whom=whom)
                may("talk", once=True, who=who, whom=whom)
            elif there and last.kind == "go" and last.roles["who"] == whom:
                may("follow", who=who, whom=whom, place=there)
        for what in things:
            spot = world.get("spot", what)
            handled = last.roles.get("what") == what
            if spot == who:
                if not handled:
                    may("drop", who=who, what=what)
                    may("lose", who=who, what=what)
                may("use", once=True, who=who, what=what)
                for whom in people:
                    if whom != who and world.get("place", whom) == here and last.kind != "give":
                        may("give", who=who, what=what, whom=whom)
            elif spot == here:
                if not handled or last.kind == "there":
                    may("take", who=who, what=what)
                may("look", once=True, who=who, what=what)
            elif spot is None and not handled:
                may("find", who=who, what=what, place=here)
            if spot != UNCLEAR and world.goal is None and not THINGS[what].food:
                may("plan", once=True, who=who, what=what)
    return events
