"""Four labelled tasks from the toy world, where the truth is known: tags, inference, sentiment, questions.

All of them are drawn from plots, independent of the language: one seed gives the same examples in English and in
Chinese. None can be solved from single words: a hypothesis uses only words of its premise, and is denied equally often
under every label; "not at all sad" is good news; the answer to a question is the last of several places.
"""
from .language import QUESTIONS, language_number, question, sentence, statement
from .lexicon import THINGS, TIMES
from .story import plots, render, stories
from .world import FACT_KINDS, UNCLEAR, after, facts, truth, valence

MEANING = {"entailment": True, "neutral": None, "contradiction": False}
NLI_LABELS = tuple(MEANING)
SENTIMENT_LABELS = ("negative", "positive")
ARRIVALS = ("be", "be too", "go", "come", "follow")


def pos_examples(n, rng, language="en", variant="open"):
    """n sentences as (words, tags), tagged with universal parts of speech."""
    examples = []
    for story in stories(rng, language, variant):
        for one in story.sentences:
            if len(examples) == n:
                return examples
            examples.append((one.words, one.tags))


def sentiment_examples(n, rng, language="en", variant="open"):
    """n sentences about how someone felt, as (text, label) with a label from SENTIMENT_LABELS, half of each."""
    language_number(language)
    room = {SENTIMENT_LABELS[0]: n // 2, SENTIMENT_LABELS[1]: n - n // 2}
    examples = []
    for plot in plots(rng, variant):
        for event in plot:
            if len(examples) == n:
                return examples
            if not event.kind.startswith("feel"):
                continue
            label = SENTIMENT_LABELS[valence(event.roles) > 0]
            if room[label]:
                room[label] -= 1
                examples.append((sentence(event, language).text, label))


def nli_examples(n, rng, language="en", variant="open"):
    """n of (premise, hypothesis, label): the first one to three sentences of a story, a statement about the moment at
    which they end, and whether that follows from them (a label from NLI_LABELS, a third of each on average).

    For each kind of fact the label, and whether the fact is denied (one in four), are drawn first and independently;
    the next story that allows such a statement is used. So neither the form of the hypothesis nor its "not" tells
    anything about the label.
    """
    language_number(language)
    wanted = {kind: _wanted_inference(rng) for kind in FACT_KINDS}
    examples = []
    endless = plots(rng, variant)
    while len(examples) < n:
        told = next(endless)[:_draw(rng, range(1, 4))]
        world = after(told)
        for kind in rng.permutation(FACT_KINDS).tolist():
            label, positive = wanted[kind]
            stated = [fact._replace(positive=positive) for fact in facts(world, kind)]
            fitting = [fact for fact in stated if truth(world, fact) is MEANING[label]]
            if fitting and told[-1].kind != "ask":
                wanted[kind] = _wanted_inference(rng)
                examples.append((render(told, language).text, statement(_draw(rng, fitting), language).text, label))
                break
    return examples


def _wanted_inference(rng):
    return _draw(rng, NLI_LABELS), _draw(rng, (True, True, True, False))


def qa_examples(n, rng, language="en", variant="open"):
    """n questions, one dict each, in the fields of SQuAD 2.0: "id", "context" (a whole story), "question", "answers"
    (a list of {"text", "answer_start"}, the offset in characters), "is_impossible", "plausible_answers".

    Of each kind of question two thirds can be answered, as in SQuAD 2.0. For the rest "answers" is empty, and
    "plausible_answers" holds something of the right sort from the story, if there is one.
    """
    language_number(language)
    wanted = {kind: rng.random() < 2 / 3 for kind in QUESTIONS}
    examples = []
    for plot in plots(rng, variant):
        asked = []
        for kind in rng.permutation(list(QUESTIONS)).tolist():
            fitting = [one for one in _questions(plot, kind) if (one[1] is not None) == wanted[kind]]
            if fitting and len(asked) < 3:
                wanted[kind] = rng.random() < 2 / 3
                asked.append((kind, *_draw(rng, fitting)))
        story = render(plot, language)
        for kind, roles, answer in asked:
            if len(examples) == n:
                return examples
            examples.append(_squad_fields(story, kind, roles, answer, len(examples)))


def squad_dataset(n, rng, language="en", variant="open"):
    """n questions in the official JSON structure of SQuAD 2.0, those about the same story in one paragraph."""
    paragraphs = {}
    for example in qa_examples(n, rng, language, variant):
        context = example.pop("context")
        paragraphs.setdefault(context, {"context": context, "qas": []})["qas"].append(example)
    return {"version": "v2.0", "data": [{"title": "Toy world", "paragraphs": list(paragraphs.values())}]}


def _draw(rng, options):
    return options[int(rng.random() * len(options))]


# ------------------------------------------------------------------------------------------------ questions

def _questions(plot, kind):
    """All questions of a kind about a whole story, as (roles, answer): the answer is (category, name, number of the
    sentence that settles it), or None where the story does not tell."""
    world = after(plot)
    if kind == "where person":
        return [({"who": who}, _told(world, "place", who, "place")) for who in world.people]
    if kind == "where thing":
        return [({"what": what}, _where(world, what)) for what in _kept(world)]
    if kind == "who has":
        held = {what: world.get("spot", what) in world.people for what in _kept(world)}
        return [({"what": what}, _told(world, "spot", what, "person") if held[what] else None) for what in held]
    if kind == "what colour":
        return [({"what": what}, _told(world, "colour", what, "colour")) for what in world.things
                if not THINGS[what].food]
    if kind == "who gave":
        found = {(what, whom): [] for what in world.things for whom in world.people}
        for number, event in enumerate(plot):
            if event.kind == "give":
                found[event.roles["what"], event.roles["whom"]].append(("person", event.roles["who"], number))
        return _once(found, ("what", "whom"))
    if kind == "when did":
        found = {(who, place): [] for who in world.people for place in world.places}
        for number, event in enumerate(plot):
            if event.kind in ARRIVALS:
                time = event.opening if event.kind == "go" and event.opening in TIMES else None
                found[event.roles["who"], event.roles["place"]].append(("time", time, number))
        return _once(found, ("who", "place"))
    return _reasons(plot, world)


def _once(found, names):
    """Questions from {(value, value): answers}. What happened twice, or at an unknown time, is left out."""
    return [(dict(zip(names, values, strict=True)), answers[0] if answers else None)
            for values, answers in found.items() if not answers or (len(answers) == 1 and answers[0][1])]


def _kept(world):
    return [what for what in world.things if world.get("spot", what) != UNCLEAR]


def _told(world, variable, subject, category):
    value = world.get(variable, subject)
    return value and (category, value, world.since[variable, subject])


def _where(world, what):
    spot, place = world.get("spot", what), world.where(what)
    if place is None:
        return None
    since = world.since["spot", what]
    return "place", place, max(since, world.since["place", spot]) if spot in world.people else since


def _reasons(plot, world):
    """Why somebody felt so. There is no answer where the only circumstance stated is a contrast ("although ...").
    The event just before may be a reason too, so a mood that it changed is not asked about."""
    questions = []
    feelings = [(number, event.roles, event.kind) for number, event in enumerate(plot) if event.kind.startswith("feel")]
    for number, roles, kind in feelings:
        felt = {name: roles[name] for name in ("feeling", "degree")}
        if any(other != number and again["feeling"] == roles["feeling"] for other, again, _ in feelings):
            continue
        if kind == "feel because":
            questions.append(({"who": roles["who"]} | felt, ("cause", roles["cause"][0], number)))
        elif kind == "feel but" and not roles["moved"]:
            questions.append(({"who": roles["who"]} | felt, None))
        questions += [({"who": who} | felt, None) for who in world.people if who != roles["who"] and "cause" in roles]
    return questions


def _squad_fields(story, kind, roles, answer, number):
    category, name, last = answer or (_category(kind), None, len(story.sentences) - 1)
    spans = [{"text": story.text[start + begin:start + end], "answer_start": start + begin}
             for one, start in zip(story.sentences[:last + 1], story.starts, strict=False)
             for sort, called, begin, end in one.mentions
             if sort == category and name in (None, called)]
    return {"id": f"toy-{number:06d}", "context": story.text, "question": question(kind, roles, story.language).text,
            "answers": spans[-1:] if answer else [], "is_impossible": answer is None,
            "plausible_answers": [] if answer else spans[-1:]}


def _category(kind):
    return {"where person": "place", "where thing": "place", "who has": "person", "what colour": "colour",
            "who gave": "person", "when did": "time", "why": "cause"}[kind]
