"""GLUE in miniature: its nine tasks, made up from the toy world.

GLUE (Wang et al. 2018) asks nine questions about sentences, so that one trick is not enough. Each has its counterpart
here, with the same labels in about the same proportions. The correct label is always known:

    CoLA    is this a sentence?                            two neighbouring words of some have changed places
    SST-2   is it good news?                               "not at all sad" is
    MRPC    do the two sentences say the same?             "Tom lost the key." "Tom could no longer find the key."
    STS-B   how alike are they, from 0 to 5?               how much they share of who, what or where, and what happens
    QQP     do the two questions ask the same?             "Who gave the cup to Tom?" "Who handed the cup to Tom?"
    MNLI    does the second follow from the first?         or contradict it, or neither; half of the names are kept for
                                                           the mismatched development set
    QNLI    does the sentence answer the question?         it is told in the same story, whether it does or not
    RTE     does the second follow from the first?         yes or no; and there is a shortcut, see `rte`
    WNLI    whom does the pronoun mean?                    "Jack had a pen. Mark was there too. He now has the pen."

All texts use words of the toy stories only. Each task is an endless iterator of (text, second text or None, what stands
in the label column), drawn from a generator, in English or in Chinese; glue_files.py writes them to GLUE's files.
"""
import re
from dataclasses import replace

from .language import LANGUAGES, join, question, sentence, statement
from .lexicon import PEOPLE, PLACES, THINGS, TIMES
from .story import Variant, plots, render, stories
from .tasks import SENTIMENT_LABELS, nli_examples, sentiment_examples
from .world import after, facts, truth

# Events that can be told in several ways with the same meaning: the styles of the grammar that say the same.
ALIKE = {"be": (0, 1), "there": (0, 1), "have": (0, 1), "want": (0, 1), "go": (0, 1), "come": (0, 1), "leave": (0, 1),
         "take": (0, 1), "drop": (0, 1), "give": (0, 1, 2), "lose": (0, 1), "plan": (0, 1)}
NAMES = {"who": tuple(PEOPLE), "whom": tuple(PEOPLE), "what": tuple(THINGS), "place": tuple(PLACES)}

# kind of question -> in English and in Chinese, the pattern of the question, and other ways to ask it
REWORDED = {
    "where person": ((r"Where is (.*) now\?", r"Now where is \1?"), (r"(.*)现在在哪里？", r"现在\1在哪里？")),
    "where thing": ((r"Where is (.*) now\?", r"Now where is \1?"), (r"(.*)现在在哪里？", r"现在\1在哪里？")),
    "who has": ((r"Who has (.*) now\?", r"Who is now holding \1?"), (r"现在谁拿着(.*)？", r"谁现在拿着\1？")),
    "what colour": ((r"What colour is (.*)\?", r"Of what colour is \1?"), (r"(.*)是什么颜色？", r"\1什么颜色？")),
    "who gave": ((r"Who gave (.*) to (.*)\?", r"Who handed \1 to \2?"), (r"谁把(.*)给了(.*)？", r"谁把\1交给了\2？")),
    "when did": ((r"When did (.*) go to (.*)\?", r"When did \1 walk to \2?"),
                 (r"(.*)什么时候去了(.*)？", r"什么时候\1去了\2？")),
    "why": ((r"Why was (\w+) (.*)\?", r"Why did \1 feel \2?"), (r"(.*)为什么(.*)？", r"为什么\1\2？")),
}


# ------------------------------------------------------------------------------------------------ one sentence
# Two neighbours with these tags, swapped, make no sentence: "the in park", "in kitchen the", "he a took walk".
ORDERED = {("DET", "NOUN"), ("DET", "ADJ"), ("ADP", "DET"), ("VERB", "DET"), ("NUM", "NOUN")}


def acceptability(rng, language):
    """CoLA: 0 for a sentence with two neighbouring words swapped. A bag of words cannot tell."""
    for story in stories(rng, language):
        one = _draw(rng, story.sentences)
        places = [i for i, pair in enumerate(zip(one.tags, one.tags[1:], strict=False)) if pair in ORDERED]
        if not places:
            continue
        acceptable, place = rng.random() < 0.7, _draw(rng, places)
        words = [_small(one.words[0]) if one.tags[0] != "PROPN" else one.words[0], *one.words[1:]]
        if not acceptable:
            words[place:place + 2] = words[place + 1], words[place]
        yield _capital(join(words, language)[0]), None, str(int(acceptable))


def sentiment(rng, language):
    """SST-2: 1 for good news."""
    while True:
        for text, label in sentiment_examples(64, rng, language):
            yield text, None, str(SENTIMENT_LABELS.index(label))


# ------------------------------------------------------------------------------------------------ the same, or alike?

def paraphrases(rng, language):
    """MRPC: 1 where the second sentence says the same in other words; else one name differs, or giver and receiver
    are swapped."""
    for event in _events(rng, ALIKE):
        first, second = rng.permutation(ALIKE[event.kind])[:2].tolist()
        same = rng.random() < 2 / 3
        other = event if same else _with_another_name(event, rng)
        yield _told(event, first, language), _told(other, second, language), str(int(same))


SUBSTITUTES = [("take", "drop", "lose", "plan"), ("be", "go", "come")]      # kinds with the same roles


def similarity(rng, language):
    """STS-B: 5 times the share of what is equal among the event, the person, and the thing or place."""
    for event in _events(rng, sum(SUBSTITUTES, ())):
        aspects = ("kind", *event.roles)
        changed = rng.permutation(aspects)[:rng.integers(len(aspects) + 1)].tolist()
        other = event
        for aspect in changed:
            if aspect == "kind":
                kinds = next(kinds for kinds in SUBSTITUTES if event.kind in kinds)
                other = replace(other, kind=_draw(rng, [kind for kind in kinds if kind != event.kind]))
            else:
                other = _renamed(other, aspect, rng)
        first, second = rng.permutation(2).tolist()
        score = 5 * (1 - len(changed) / len(aspects))
        yield _told(event, first, language), _told(other, second, language), f"{score:.3f}"


ASKED = (*REWORDED, *3 * ("who gave", "when did", "why"))       # more often what can be asked in more ways


def questions(rng, language):
    """QQP: 1 where the second asks the same in other words; else it asks about another name, or something else."""
    wanted = _draw(rng, ASKED)
    for plot in plots(rng):
        asked = [one for event in plot if event.kind in QUIET for one in answered_by(event)]
        if fitting := [one for one in asked if one[0] == wanted]:
            kind, roles = _draw(rng, fitting)
            others = [one for one in asked if one[0] != kind and set(one[1].values()) & set(roles.values())]
            same = rng.random() < 3 / 8
            role = _draw(rng, [role for role in roles if role in NAMES])
            changed = kind, roles | {role: _another(roles, role, rng)}
            other = (kind, roles) if same else _draw(rng, others) if others and rng.random() < 0.5 else changed
            yield question(kind, roles, language).text, reworded(*other, language), str(int(same))
            wanted = _draw(rng, ASKED)


def reworded(kind, roles, language):
    """The question in other words."""
    pattern, other = REWORDED[kind][LANGUAGES.index(language)]
    return re.sub(pattern, other, question(kind, roles, language).text)


# ------------------------------------------------------------------------------------------------ does it follow?

def _every_other(names, first):
    return tuple(names)[first::2]


NEAR, FAR = (Variant(people=_every_other(PEOPLE, first), places=_every_other(PLACES, first),
                     things=_every_other(THINGS, first)) for first in (0, 1))


def inference(rng, language, variant=NEAR):
    """MNLI: a story's beginning, and a statement about its end. The variants NEAR and FAR share no name."""
    while True:
        yield from nli_examples(64, rng, language, variant)


# The sentence of an event of these kinds answers the questions of `answered_by` and no others.
QUIET = ("be", "there", "have", "want", "go", "come", "follow", "leave", "take", "drop", "give", "lose", "find", "see",
         "feel", "feel but", "feel because")


def answered_by(event):
    """The questions, (kind, roles), that the sentence of an event answers without the rest of the story."""
    kind, roles = event.kind, event.roles
    found = {
        "where person": [{"who": roles[role]} for role in ("who", "whom") if role in roles]
        if kind in ("be", "go", "come", "follow", "find") else [],
        "where thing": [{"what": roles.get("what")}] if kind in ("there", "find") else [],
        "who has": [{"what": roles.get("what")}] if kind in ("have", "take", "give", "find") else [],
        "what colour": [{"what": roles.get("what")}] if roles.get("colour") else [],
        "who gave": [{"what": roles.get("what"), "whom": roles.get("whom")}] if kind == "give" else [],
        "when did": [{"who": roles.get("who"), "place": roles.get("place")}]
        if kind == "go" and event.opening in TIMES else [],
        "why": [{role: roles[role] for role in ("who", "feeling", "degree")}] if kind == "feel because" else [],
    }
    return [(asked, names) for asked, all_names in found.items() for names in all_names]


def answers(rng, language):
    """QNLI: a question, and a sentence of a story that answers it, or another sentence of this story, mostly one that
    shares a name with the question."""
    for plot in plots(rng):
        told = [event for event in plot if event.kind in QUIET]
        asked = [one for event in told for one in answered_by(event)]
        if not asked:
            continue
        kinds = sorted({kind for kind, _ in asked})                             # each kind as often as possible
        wanted = _draw(rng, kinds)
        kind, roles = _draw(rng, [one for one in asked if one[0] == wanted])
        entailed = rng.random() < 0.5
        fitting = [event for event in told if ((kind, roles) in answered_by(event)) == entailed]
        near = [event for event in fitting if set(event.roles.values()) & set(roles.values())]
        if fitting:
            event = _draw(rng, near if near and rng.random() < 0.8 else fitting)
            yield question(kind, roles, language).text, _alone(event, language), _entailment(entailed)


def rte(rng, language, agreeing=0.95):
    """RTE, with a shortcut: few of the statements that follow are denials, most of the others are; `agreeing` is the
    share of examples for which this holds. With 0.5 a denial tells nothing about the label.

    Real collections have such annotation artifacts: people who are asked for a statement that does not follow
    often write a "not" (Gururangan et al. 2018, "Annotation Artifacts in Natural Language Inference Data").
    """
    def wish():
        entailed = rng.random() < 0.5
        return entailed, entailed != (rng.random() < agreeing)
    wanted = wish()
    for story, hypothesis, label in inference(rng, language, "open"):
        if (label == "entailment", denies(hypothesis, language)) == wanted:
            yield story, hypothesis, _entailment(wanted[0])
            wanted = wish()


def denies(hypothesis, language):
    """Whether a statement is a denial."""
    return bool(re.search({"en": r"\bnot\b", "zh": "[不没]"}[language], hypothesis))


def pronouns(rng, language):
    """WNLI: a story of two women or two men, and a statement about "she" or "he" that is true of one and false of the
    other; 1 if the second text has the right name for the pronoun."""
    casts = [tuple(name for name, person in PEOPLE.items() if person.female == female) for female in (True, False)]
    endless = [plots(rng, Variant(people=cast, people_told=(2,))) for cast in casts]
    while True:
        female = rng.random() < 0.5
        told = next(endless[not female])[:rng.integers(2, 5)]
        world = after(told)
        if len(world.people) < 2 or told[-1].kind == "ask":
            continue
        meant, other = rng.permutation(world.people).tolist()
        positive = rng.random() < 0.5
        fitting = [fact for kind in ("at", "has") for fact in facts(world, kind) if fact.subject == meant
                   and truth(world, fact) is positive and truth(world, fact._replace(subject=other)) is (not positive)]
        if fitting:
            fact = _draw(rng, fitting)._replace(positive=positive)
            name = {"en": meant, "zh": PEOPLE[meant].zh}[language]
            pronoun = {"en": ("He", "She"), "zh": ("他", "她")}[language][female]
            ending = pronoun + statement(fact, language).text.removeprefix(name)
            right = rng.random() < 0.5
            claim = statement(fact if right else fact._replace(subject=other), language).text
            yield join([render(told, language).text, ending], language)[0], claim, str(int(right))


# ------------------------------------------------------------------------------------------------ drawing, changing

def _draw(rng, options):
    return options[int(rng.random() * len(options))]


def _events(rng, kinds):
    """Events of these kinds, one of a story, each kind in it as likely as the others."""
    for plot in plots(rng):
        if told := [event for event in plot if event.kind in kinds]:
            kind = _draw(rng, sorted({event.kind for event in told}))
            yield _draw(rng, [event for event in told if event.kind == kind])


def _another(roles, role, rng):
    """Another name for a role, one that has no role yet."""
    return _draw(rng, [name for name in NAMES[role] if name not in roles.values()])


def _renamed(event, role, rng):
    return replace(event, roles=event.roles | {role: _another(event.roles, role, rng)})


def _with_another_name(event, rng):
    roles = event.roles
    if "whom" in roles and rng.random() < 0.5:
        return replace(event, roles=roles | {"who": roles["whom"], "whom": roles["who"]})
    return _renamed(event, _draw(rng, [role for role in NAMES if role in roles]), rng)


def _told(event, style, language):
    return sentence(replace(event, style=style, opening=None, pronoun=False), language).text


def _alone(event, language):
    """The sentence of an event, understandable without those before it; with a time only if it is asked for."""
    return sentence(replace(event, opening=event.opening if event.kind == "go" else None, pronoun=False), language).text


def _small(word):
    return word[0].lower() + word[1:]


def _capital(text):
    return text[0].upper() + text[1:]


def _entailment(entailed):
    return "entailment" if entailed else "not_entailment"
