"""An independent reader of the English toy world: it knows no event, only sentences, and takes them in by regular
expressions. It complains about a story that does not hang together, judges statements and answers questions."""
import re

GOOD = "happy glad pleased cheerful proud calm hopeful relaxed".split()
BAD = "sad angry upset worried afraid lonely nervous bored".split()
OUTDOORS = "garden park market beach station forest farm square".split()
FOOD = "apple orange banana pear cake pie egg sandwich".split()
WOMEN = "Anna Lucy Mary Amy Lily Sara Helen Emma Kate Rose Nancy Linda".split()
OPPOSITES = {"dry": "wet", "full": "hungry", "rested": "tired"}

WHO = r"(?P<who>[A-Z][a-z]+|[Ss]he|[Hh]e)"
WHOM = r"(?P<whom>[A-Z][a-z]+)"
COLOUR = "(?P<colour>red|blue|green|yellow|white|black|orange|brown|grey|pink)"
NEW = rf"(?:[Aa]|[Aa]n) (?:{COLOUR} )?(?P<what>(?!lay )[a-z]+)"
THE = r"the (?P<what>[a-z]+)"
AT = r"(?:in|at|on) the (?P<place>[a-z]+)"
TO = r"to the (?P<place>[a-z]+)"
MOOD = r"(?P<degree>|very |quite |not |no longer |not at all )(?P<feeling>" + "|".join(GOOD + BAD) + ")"
USED = ("read|studied|played|played with|flew|looked at|repaired|turned on|lit|used|wrote with|cleaned|washed|tried on|"
        "opened|smelled|folded|ate")
USE = ("read|study|play|play with|fly|look at|repair|turn on|light|use|write with|clean|wash|try on|open|smell|"
       "fold|eat")
OPENING = re.compile(r"^(In the morning|At noon|In the afternoon|In the evening|At night|Later|After that|In the end), "
                     r"|^(Then|So) ")

PATTERNS = [(name, re.compile(pattern.replace("WHOM", WHOM).replace("WHO", WHO) + "$")) for name, pattern in [
    ("too", "WHO was (?:there|present) too"),
    ("arrive", f"WHO (?:was|stood|was waiting) {AT}"),
    ("go", f"WHO (?:went|walked|ran|took a walk) {TO}"),
    ("follow", f"WHO followed WHOM {TO}"),
    ("come", f"WHO (?:came {TO}|appeared {AT.replace('<place>', '<place2>')})"),
    ("friend", "WHO (?:had a friend called WHOM|was thinking of (?P<whom2>[A-Z][a-z]+)|liked (?P<whom3>[A-Z][a-z]+) "
               "very much)"),
    ("leave", "WHO (?:went away|left)"),
    ("sleep", "WHO (?:slept for an hour|had a rest)"),
    ("there", f"(?:[Tt]here was )?{NEW}(?: lay)? {AT}"),
    ("want", f"WHO (?:wanted|was looking for) {NEW}"),
    ("have", f"WHO (?:had|was holding) {NEW}"),
    ("take", f"WHO (?:took|picked up) {THE}(?: with (?:her|his) left hand)?"),
    ("drop", f"WHO (?:dropped|put down) {THE}"),
    ("drop", f"WHO left {THE} there"),
    ("give", f"WHO (?:gave|handed) {THE} to WHOM"),
    ("give", f"WHO gave WHOM {THE}"),
    ("lose", f"WHO (?:lost|could no longer find) {THE}"),
    ("find", f"WHO found {THE} {AT}"),
    ("see", "WHO (?:saw WHOM there|stopped to watch (?P<whom2>[A-Z][a-z]+)|greeted (?P<whom3>[A-Z][a-z]+))"),
    ("shelter", "WHO opened the umbrella and stayed dry"),
    ("seen", f"WHO (?:saw {THE} there|(?:noticed|pointed at) {THE.replace('what', 'what2')})"),
    ("plan", f"WHO (?:wanted|hoped) to (?:{USE}) {THE}"),
    ("use", f"WHO (?:(?:{USED})|stopped to (?:{USE})) {THE}"),
    ("hungry", "WHO (?:was|became) hungry"),
    ("tired", "WHO was (?:tired|too tired to walk|tired and needed to rest)"),
    ("rain", "(?:[Ii]t began to rain|[Aa] light rain began to fall)"),
    ("wet", "WHO (?:got|was soon) wet"),
    ("dry", "WHO (?:was soon dry again|used a towel to dry (?:her|his) hair)"),
    ("ask", "WHO asked WHOM: (?P<question>where is .* now)"),
    ("say", "WHO said: (?P<fact>.*)"),
    ("unknown", "WHO did not know"),
    ("feel", f"WHO was {MOOD}"),
    ("feel", f"[Tt]he [a-z]+ was [a-z]+ but WHO was {MOOD}"),
    ("feel", f"[Aa]lthough the [a-z]+ was [a-z]+, WHO was {MOOD}"),
    ("feel", f"WHO was {MOOD} although the [a-z]+ was [a-z]+"),
    ("feel", f"(?P<why>[Tt]he [a-z]+ was [a-z]+) so WHO was {MOOD}"),
    ("feel", f"[Bb]ecause (?P<why>the [a-z]+ was [a-z]+), WHO was {MOOD}"),
    ("feel", f"WHO was {MOOD} because (?P<why>the [a-z]+ was [a-z]+)"),
]]


class Incoherent(Exception):
    """A sentence that cannot be true, or cannot be understood, where it stands."""


def expect(condition, complaint):
    if not condition:
        raise Incoherent(complaint)


class Reader:
    def __init__(self, text=""):
        self.place, self.holder, self.lies, self.colour, self.state, self.mood = {}, {}, {}, {}, {}, {}
        self.not_place, self.not_holder = {}, {}
        self.raining, self.subject, self.recent, self.question = False, None, None, None
        self.people, self.things, self.given, self.went, self.reasons = [], [], [], [], []
        self.eaten, self.shaken = set(), set()
        for sentence in re.split(r"(?<=[.?]) ", text):
            if sentence:
                self.read(sentence)

    def read(self, sentence):
        body = sentence.rstrip(".?")
        opening = OPENING.match(body)
        rest = body[opening.end():] if opening else body
        understood = ((kind, pattern.match(rest)) for kind, pattern in PATTERNS)
        kind, match = next(((kind, match) for kind, match in understood if match), (None, None))
        expect(match, f"not understood: {sentence}")
        found = {name.rstrip("23"): value for name, value in match.groupdict().items() if value is not None}
        who = found.get("who")
        if who and who.lower() in ("she", "he"):
            expect(self.subject and (self.subject in WOMEN) == (who.lower() == "she"), f"who is {who}?")
            found["who"] = who = self.subject
        else:
            expect(who is None or who != self.subject, f"{who} is named twice running")
        self.subject = who
        self.time = opening.group(1) if opening and kind == "go" else None
        self.take_in(kind, who, found)

    def take_in(self, kind, who, found):
        whom, what, place = found.get("whom"), found.get("what"), found.get("place")
        if kind not in ("arrive", "friend", "rain", "there", "too"):
            expect(who in self.people, f"{who} was not introduced")
        if what and kind not in ("there", "have", "want"):
            expect(what in self.things and what not in self.eaten, f"no {what} here")
        for one in (who, whom):
            if one and one not in self.people:
                self.people.append(one)
        if kind in ("take", "drop", "give", "lose", "find", "see", "seen", "go", "leave", "use", "follow",
                    "ask", "shelter", "wet", "dry"):
            expect(who in self.place, f"{who} is nowhere")
        if kind in ("there", "have", "want"):
            expect(what not in self.things, f"a second {what}")
            self.things.append(what)
            if found.get("colour"):
                self.colour[what] = found["colour"]
        if kind == "too":
            self.move(who, self.recent, None)
        elif kind in ("arrive", "come"):
            expect(who not in self.place and self.not_place.get(who) != place, f"{who} is somewhere already")
            self.move(who, place, None if kind == "come" else "first")
        elif kind in ("go", "follow"):
            expect(self.place[who] != place, f"{who} is at the {place} already")
            expect(kind == "go" or self.place.get(whom) == place, f"{whom} is not at the {place}")
            self.move(who, place, self.time)
        elif kind == "leave":
            self.not_place[who] = self.place.pop(who)
        elif kind == "there":
            self.lies[what] = place
        elif kind in ("have", "take", "find"):
            if kind == "take":
                expect(self.lies.get(what) == self.place[who], f"{who} cannot take the {what}")
            if kind == "find":
                expect(what not in self.lies and what not in self.holder, f"the {what} is not lost")
                expect(place == self.place[who], f"{who} is not at the {place}")
            self.lies.pop(what, None)
            self.holder[what] = who
        elif kind == "want":
            self.not_holder[what] = who
        elif kind in ("drop", "lose", "give", "shelter", "use"):
            what = what or "umbrella"
            expect(self.holder.get(what) == who, f"{who} does not have the {what}")
            if kind == "drop":
                self.lies[self.holder.pop(what) and what] = self.place[who]
            elif kind == "lose":
                self.not_holder[what] = self.holder.pop(what)
            elif kind == "give":
                expect(self.place.get(whom) == self.place[who], f"{whom} is not there")
                self.holder[what] = whom
                self.given.append((who, what, whom))
            elif kind == "use" and what in FOOD:
                self.eaten.add(self.holder.pop(what) and what)
                self.state[who, "hungry"] = False
            elif kind == "shelter":
                self.state[who, "wet"] = False
        elif kind == "see":
            expect(self.place.get(whom) == self.place[who], f"{whom} is not there")
        elif kind == "seen":
            expect(self.lies.get(what) == self.place[who], f"the {what} is not there")
        elif kind == "rain":
            self.raining = True
        elif kind in ("hungry", "tired"):
            self.state[who, kind] = True
        elif kind == "wet":
            expect(self.raining and self.place.get(who) in OUTDOORS, f"why is {who} wet?")
            self.state[who, "wet"] = True
        elif kind == "dry":
            expect(self.state.get((who, "wet")) and self.place.get(who) not in OUTDOORS, f"how did {who} get dry?")
            self.state[who, "wet"] = False
        elif kind == "sleep":
            expect(self.state.get((who, "tired")), f"{who} is not tired")
            self.state[who, "tired"] = False
        elif kind == "ask":
            expect(who in self.place and self.place[who] == self.place.get(whom), f"{whom} is not there")
        elif kind == "say":
            expect(self.judge(found["fact"]) == "entailment", f"not so: {found['fact']}")
        elif kind == "feel":
            good = (found["feeling"] in GOOD) != found["degree"].startswith("no")
            self.mood[who] = good
            self.shaken.discard(who)
            if "why" in found:
                self.reasons.append((who, found["degree"] + found["feeling"], found["why"]))
        for one in {"lose": [who], "find": [who], "wet": [who], "give": [whom], "use": [who]}.get(kind, []):
            self.shaken.add(one)
        if kind in ("arrive", "too"):
            self.recent = self.place[who]

    def move(self, who, place, time):
        self.place[who] = place
        self.went.append((who, place, time))

    def where(self, what):
        return self.place.get(self.holder.get(what), self.lies.get(what))

    def judge(self, statement):
        """entailment, contradiction or neutral; "unsettled" where a mood may have changed."""
        statement = statement.rstrip(".")
        statement = statement[0].lower() + statement[1:] if statement.startswith("The ") else statement
        positive = " not " not in statement
        plain = re.sub(r" (now|not)\b", "", statement).replace("does have", "has").replace("does feel", "feels")
        if match := re.match(r"(\w+) is (?:in|at|on) the (\w+)$", plain):
            who, place = match.groups()
            truth = self.place[who] == place if who in self.place else self.no(self.not_place, who, place)
        elif match := re.match(r"(\w+) has the (\w+)$", plain):
            who, what = match.groups()
            truth = self.has(who, what)
        elif match := re.match(r"the (\w+) is (?:in|at|on) the (\w+)$", plain):
            what, place = match.groups()
            truth = self.where(what) == place if self.where(what) else None
            if what in self.holder and truth is None:
                truth = self.no(self.not_place, self.holder[what], place)
        elif match := re.match(r"the (\w+) is (\w+)$", plain):
            what, colour = match.groups()
            truth = self.colour[what] == colour if what in self.colour else None
        elif match := re.match(r"(\w+) feels (good|bad)$", plain):
            who, how = match.groups()
            if who in self.shaken:
                return "unsettled"
            truth = self.mood[who] == (how == "good") if who in self.mood else None
        else:
            who, adjective = re.match(r"(\w+) is (\w+)$", plain).groups()
            told = self.state.get((who, OPPOSITES.get(adjective, adjective)))
            truth = None if told is None else told == (adjective not in OPPOSITES)
        return {None: "neutral", positive: "entailment", not positive: "contradiction"}[truth]

    def has(self, who, what):
        if what in self.holder or what in self.lies:
            return self.holder.get(what) == who
        return self.no(self.not_holder, what, who)

    @staticmethod
    def no(ruled_out, subject, value):
        return False if ruled_out.get(subject) == value else None

    def answer(self, question):
        """The words that answer a question about the whole story, or None."""
        if match := re.match(r"Where is ([A-Z]\w+) now\?", question):
            return self.place.get(match[1])
        if match := re.match(r"Where is the (\w+) now\?", question):
            return self.where(match[1])
        if match := re.match(r"Who has the (\w+) now\?", question):
            return self.holder.get(match[1])
        if match := re.match(r"What colour is the (\w+)\?", question):
            return self.colour.get(match[1])
        if match := re.match(r"Who gave the (\w+) to (\w+)\?", question):
            return self.only([who for who, what, whom in self.given if (what, whom) == match.groups()])
        if match := re.match(r"When did (\w+) go to the (\w+)\?", question):
            return self.only([time for who, place, time in self.went if (who, place) == match.groups()])
        match = re.match(r"Why was (\w+) (.*)\?", question)
        return self.only([why for who, how, why in self.reasons if (who, how) == match.groups()])

    @staticmethod
    def only(answers):
        expect(len(answers) < 2, f"{len(answers)} answers")
        expect(answers != [None] and answers != ["first"], "no time was told, though it happened")
        return answers[0] if answers else None
