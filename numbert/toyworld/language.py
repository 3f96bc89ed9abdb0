"""The two grammars of the toy world, side by side: each line says one thing in English and in Chinese.

A template is words with their universal part-of-speech tags (word/TAG) and slots ({who}, {at:place}) that the roles
of an event fill. Rendering is deterministic: the choice among several wordings (`style`) is made with the
story. So one story has one text in each language, and the two correspond sentence by sentence.
"""
from dataclasses import dataclass
from functools import cache

from .lexicon import (
    CIRCUMSTANCES,
    COLOURS,
    DEGREES,
    FEELINGS,
    LANGUAGES,
    LINKS,
    PEOPLE,
    PLACES,
    THINGS,
    TIMES,
    ZH_STATES,
)

# kind of event -> the styles, each (English, Chinese)
GRAMMAR = {
    "be": [("{who} was/AUX {at:place}", "{who} 在/VERB {in:place}"),
           ("{who} stood/VERB {at:place}", "{who} 站/VERB {at:place}"),
           ("{who} was/AUX waiting/VERB {at:place}", "{who} {at:place} 等/VERB 着/AUX")],
    "be too": [("{who} was/AUX there/ADV too/ADV", "{who} 也/ADV 在/VERB 那里/PRON"),
               ("{who} was/AUX present/ADJ too/ADV", "{who} 也/ADV 在场/VERB")],
    "friend": [("{who} had/VERB a/DET friend/NOUN called/VERB {whom}",
                "{who} 有/VERB 一/NUM 个/NOUN 叫/VERB {whom} 的/PART 朋友/NOUN"),
               ("{who} was/AUX thinking/VERB of/ADP {whom}", "{who} 在/ADV 想/VERB {whom}"),
               ("{who} liked/VERB {whom} very/ADV much/ADV", "{who} 很/ADV 喜欢/VERB {whom}")],
    "there": [("there/PRON was/VERB {a:what} {at:place}", "{in:place} 有/VERB {a:what}"),
              ("{a:what} lay/VERB {at:place}", "{a:what} 放/VERB {at:place}")],
    "have": [("{who} had/VERB {a:what}", "{who} 有/VERB {a:what}"),
             ("{who} was/AUX holding/VERB {a:what}", "{who} 拿/VERB 着/AUX {a:what}")],
    "want": [("{who} wanted/VERB {a:what}", "{who} 想/AUX 要/VERB {a:what}"),
             ("{who} was/AUX looking/VERB for/ADP {a:what}", "{who} 在/ADV 找/VERB {a:what}")],
    "go": [("{who} went/VERB to/ADP {place}", "{who} 去/VERB 了/AUX {place}"),
           ("{who} walked/VERB to/ADP {place}", "{who} 走/VERB 到/VERB 了/AUX {place}"),
           ("{who} ran/VERB to/ADP {place}", "{who} 跑/VERB 到/VERB 了/AUX {place}"),
           ("{who} took/VERB a/DET walk/NOUN to/ADP {place}", "{who} 散步/VERB 去/VERB 了/AUX {place}")],
    "follow": [("{who} followed/VERB {whom} to/ADP {place}", "{who} 跟着/ADP {whom} 去/VERB 了/AUX {place}")],
    "come": [("{who} came/VERB to/ADP {place}", "{who} 来/VERB 到/VERB 了/AUX {place}"),
             ("{who} appeared/VERB {at:place}", "{who} 出现/VERB {at:place}")],
    "leave": [("{who} went/VERB away/ADV", "{who} 走/VERB 了/AUX"),
              ("{who} left/VERB", "{who} 离开/VERB 了/AUX")],
    "take": [("{who} took/VERB {what}", "{who} 拿/VERB 了/AUX {what}"),
             ("{who} picked/VERB up/ADP {what}", "{who} 拿起/VERB 了/AUX {what}"),
             ("{who} took/VERB {what} with/ADP {her} left/ADJ hand/NOUN",
              "{who} 用/ADP 左/ADJ 手/NOUN 拿/VERB 了/AUX {what}")],
    "drop": [("{who} dropped/VERB {what}", "{who} 扔下/VERB 了/AUX {what}"),
             ("{who} put/VERB down/ADP {what}", "{who} 放下/VERB 了/AUX {what}"),
             ("{who} left/VERB {what} there/ADV", "{who} 把/ADP {what} 留/VERB 在/ADP 那里/PRON")],
    "give": [("{who} gave/VERB {what} to/ADP {whom}", "{who} 把/ADP {what} 给/VERB 了/AUX {whom}"),
             ("{who} gave/VERB {whom} {what}", "{who} 给/VERB 了/AUX {whom} {what}"),
             ("{who} handed/VERB {what} to/ADP {whom}", "{who} 把/ADP {what} 交/VERB 给/ADP 了/AUX {whom}")],
    "lose": [("{who} lost/VERB {what}", "{who} 弄丢/VERB 了/AUX {what}"),
             ("{who} could/AUX no/ADV longer/ADV find/VERB {what}",
              "{who} 再/ADV 也/ADV 找/VERB 不/ADV 到/VERB {what}")],
    "find": [("{who} found/VERB {what} {at:place}", "{who} {at:place} 找到/VERB 了/AUX {what}")],
    "see": [("{who} saw/VERB {whom} there/ADV", "{who} 在/ADP 那里/PRON 看见/VERB 了/AUX {whom}"),
            ("{who} stopped/VERB to/PART watch/VERB {whom}", "{who} 停/VERB 下来/VERB 看/VERB {whom}"),
            ("{who} greeted/VERB {whom}", "{who} 向/ADP {whom} 问好/VERB")],
    "look": [("{who} saw/VERB {what} there/ADV", "{who} 在/ADP 那里/PRON 看见/VERB 了/AUX {what}"),
             ("{who} noticed/VERB {what}", "{who} 注意/VERB 到/VERB 了/AUX {what}"),
             ("{who} pointed/VERB at/ADP {what}", "{who} 指/VERB 着/AUX {what}")],
    "plan": [("{who} wanted/VERB to/PART {base:what} {what}", "{who} 想/AUX {base:what} {what}"),
             ("{who} hoped/VERB to/PART {base:what} {what}", "{who} 希望/VERB {base:what} {what}")],
    "use": [("{who} {past:what} {what}", "{who} {past:what} 了/AUX {what}"),
            ("{who} stopped/VERB to/PART {base:what} {what}", "{who} 停/VERB 下来/VERB {base:what} {what}")],
    "hungry": [("{who} was/AUX hungry/ADJ", "{who} 很/ADV 饿/ADJ"),
               ("{who} became/VERB hungry/ADJ", "{who} 饿/ADJ 了/AUX")],
    "tired": [("{who} was/AUX tired/ADJ", "{who} 很/ADV 累/ADJ"),
              ("{who} was/AUX too/ADV tired/ADJ to/PART walk/VERB", "{who} 累/ADJ 得/PART 走/VERB 不/ADV 动/VERB"),
              ("{who} was/AUX tired/ADJ and/CCONJ needed/VERB to/PART rest/VERB",
               "{who} 累/ADJ 了/AUX ，/PUNCT 要/AUX 休息/VERB")],
    "sleep": [("{who} slept/VERB for/ADP an/DET hour/NOUN", "{who} 睡/VERB 了/AUX 一/NUM 个/NOUN 小时/NOUN"),
              ("{who} had/VERB a/DET rest/NOUN", "{who} 休息/VERB 了/AUX 一会儿/NOUN")],
    "rain": [("it/PRON began/VERB to/PART rain/VERB", "天/NOUN 开始/VERB 下雨/VERB 了/AUX"),
             ("a/DET light/ADJ rain/NOUN began/VERB to/PART fall/VERB", "下/VERB 起/VERB 了/AUX 小/ADJ 雨/NOUN")],
    "wet": [("{who} got/VERB wet/ADJ", "{who} 淋/VERB 湿/ADJ 了/AUX"),
            ("{who} was/AUX soon/ADV wet/ADJ", "{who} 很快/ADV 就/ADV 湿/ADJ 了/AUX")],
    "shelter": [("{who} opened/VERB {what} and/CCONJ stayed/VERB dry/ADJ",
                 "{who} 打开/VERB 了/AUX {what} ，/PUNCT 身上/NOUN 还/ADV 是/AUX 干/ADJ 的/PART")],
    "dry": [("{who} was/AUX soon/ADV dry/ADJ again/ADV", "{who} 很快/ADV 又/ADV 干/ADJ 了/AUX"),
            ("{who} used/VERB a/DET towel/NOUN to/PART dry/VERB {her} hair/NOUN",
             "{who} 用/ADP 毛巾/NOUN 擦/VERB 干/ADJ 了/AUX 头发/NOUN")],
    "ask": [("{who} asked/VERB {whom} :/PUNCT {question}", "{who} 问/VERB {whom} ：/PUNCT {question}")],
    "say": [("{who} said/VERB :/PUNCT {fact}", "{who} 说/VERB ：/PUNCT {fact}")],
    "not know": [("{who} did/AUX not/PART know/VERB", "{who} 不/ADV 知道/VERB")],
    "feel": [("{who} was/AUX {feeling}", "{who} {feeling}")],
    "feel but": [("{cause} but/CCONJ {who} was/AUX {feeling}", "{cause} ，/PUNCT 但是/CCONJ {who} {feeling}"),
                 ("although/SCONJ {cause} ,/PUNCT {who} was/AUX {feeling}",
                  "虽然/SCONJ {cause} ，/PUNCT {who} 还是/ADV {feeling}"),
                 ("{who} was/AUX {feeling} although/SCONJ {cause}", "{who} {feeling} ，/PUNCT 虽然/SCONJ {cause}")],
    "feel because": [("{cause} so/CCONJ {who} was/AUX {feeling}", "{cause} ，/PUNCT 所以/CCONJ {who} {feeling}"),
                     ("because/SCONJ {cause} ,/PUNCT {who} was/AUX {feeling}",
                      "因为/SCONJ {cause} ，/PUNCT {who} {feeling}"),
                     ("{who} was/AUX {feeling} because/SCONJ {cause}", "{who} {feeling} ，/PUNCT 因为/SCONJ {cause}")],
}

# kind of fact -> (English, Chinese) of the fact, (English, Chinese) of its denial
STATEMENTS = {
    "at": (("{who} is/AUX now/ADV {at:place}", "{who} 现在/NOUN 在/VERB {in:place}"),
           ("{who} is/AUX not/PART {at:place} now/ADV", "{who} 现在/NOUN 不/ADV 在/VERB {in:place}")),
    "has": (("{who} now/ADV has/VERB {what}", "{who} 现在/NOUN 拿/VERB 着/AUX {what}"),
            ("{who} does/AUX not/PART have/VERB {what} now/ADV", "{who} 现在/NOUN 没/ADV 拿/VERB 着/AUX {what}")),
    "lies": (("{what} is/AUX now/ADV {at:place}", "{what} 现在/NOUN 在/VERB {in:place}"),
             ("{what} is/AUX not/PART {at:place} now/ADV", "{what} 现在/NOUN 不/ADV 在/VERB {in:place}")),
    "colour": (("{what} is/AUX {colour}", "{what} 是/AUX {colour} 的/PART"),
               ("{what} is/AUX not/PART {colour}", "{what} 不/ADV 是/AUX {colour} 的/PART")),
    "mood": (("{who} feels/VERB {mood} now/ADV", "{who} 现在/NOUN 心情/NOUN 很/ADV {mood}"),
             ("{who} does/AUX not/PART feel/VERB {mood} now/ADV", "{who} 现在/NOUN 心情/NOUN 不/ADV {mood}")),
    "state": (("{who} is/AUX now/ADV {state}", "{who} 现在/NOUN 很/ADV {state}"),
              ("{who} is/AUX not/PART {state} now/ADV", "{who} 现在/NOUN 不/ADV {state}")),
}

QUESTIONS = {
    "where person": ("where/ADV is/AUX {who} now/ADV ?/PUNCT", "{who} 现在/NOUN 在/VERB 哪里/PRON ？/PUNCT"),
    "where thing": ("where/ADV is/AUX {what} now/ADV ?/PUNCT", "{what} 现在/NOUN 在/VERB 哪里/PRON ？/PUNCT"),
    "who has": ("who/PRON has/VERB {what} now/ADV ?/PUNCT", "现在/NOUN 谁/PRON 拿/VERB 着/AUX {what} ？/PUNCT"),
    "what colour": ("what/DET colour/NOUN is/AUX {what} ?/PUNCT", "{what} 是/AUX 什么/DET 颜色/NOUN ？/PUNCT"),
    "who gave": ("who/PRON gave/VERB {what} to/ADP {whom} ?/PUNCT",
                 "谁/PRON 把/ADP {what} 给/VERB 了/AUX {whom} ？/PUNCT"),
    "when did": ("when/ADV did/AUX {who} go/VERB to/ADP {place} ?/PUNCT",
                 "{who} 什么/DET 时候/NOUN 去/VERB 了/AUX {place} ？/PUNCT"),
    "why": ("why/ADV was/AUX {who} {feeling} ?/PUNCT", "{who} 为什么/ADV {feeling} ？/PUNCT"),
}

FULL_STOP = {"en": (".", "PUNCT", None), "zh": ("。", "PUNCT", None)}
COMMA = {"en": (",", "PUNCT", None), "zh": ("，", "PUNCT", None)}
NO_SPACE_BEFORE = set(".,:?")


@dataclass(frozen=True)
class Sentence:
    """A sentence in one language: `text`, its `words` (punctuation apart), a UPOS tag for each in `tags`.

    `mentions` are (category, name, start, end): the characters text[start:end] name that person, place, thing,
    colour, time or cause.
    """
    text: str
    words: list
    tags: list
    mentions: list


def sentence(event, language):
    """The Sentence of an event. Raises ValueError for a language that is not in LANGUAGES."""
    number = language_number(language)
    tokens = _opening(event.opening, language)
    tokens += _expand(GRAMMAR[event.kind][event.style][number], event.roles, language, event.pronoun)
    return _finish(tokens, language)


def statement(fact, language):
    """The Sentence that states a Fact."""
    return _finish(_statement(fact, language), language)


def question(kind, roles, language):
    """The Sentence that asks a question of a kind in QUESTIONS."""
    return _finish(_expand(QUESTIONS[kind][language_number(language)], roles, language), language)


def language_number(language):
    if language not in LANGUAGES:
        raise ValueError(f"language must be one of {', '.join(LANGUAGES)}, got {language!r}")
    return LANGUAGES.index(language)


def join(words, language):
    """The text of words, and for each word its (start, end) in it: English has spaces, Chinese has none."""
    text, ends = "", []
    for word in words:
        if text and language == "en" and word not in NO_SPACE_BEFORE:
            text += " "
        ends.append((len(text), len(text) + len(word)))
        text += word
    return text, ends


# ------------------------------------------------------------------------------------------------ rendering
# A token is (word, tag, mention): the mention is (category, name) or None.

def _finish(tokens, language):
    if tokens[-1][0] not in "?？":
        tokens = [*tokens, FULL_STOP[language]]
    words = [word for word, _, _ in tokens]
    words[0] = words[0][0].upper() + words[0][1:]
    text, ends = join(words, language)
    mentions, before = [], None
    for (_, _, mention), (start, end) in zip(tokens, ends, strict=True):
        if mention and mention == before:                   # the next word of a phrase: "the soup was cold"
            start = mentions.pop()[2]
        if mention:
            mentions.append((*mention, start, end))
        before = mention
    return Sentence(text, words, [tag for _, tag, _ in tokens], mentions)


def _expand(template, roles, language, pronoun=False):
    fill = {"en": _english, "zh": _chinese}[language]
    tokens = []
    for token, slot in _compiled(template):
        tokens += [token] if token else fill(slot, roles, pronoun)
    return tokens


@cache
def _compiled(template):
    """A template as a list of (token, None) and (None, slot)."""
    return [(None, part[1:-1]) if part.startswith("{") else ((*part.rsplit("/", 1), None), None)
            for part in template.split()]


def _tokens(tagged, mention=None):
    return [(*part.rsplit("/", 1), mention) for part in tagged.split()]


def _opening(opening, language):
    if opening is None:
        return []
    number = language_number(language)
    if opening in TIMES:
        return [*_tokens(TIMES[opening][number], ("time", opening)), COMMA[language]]
    tokens = _tokens(LINKS[opening][number])
    return tokens if opening in ("then", "so") else [*tokens, COMMA[language]]


def _statement(fact, language):
    kind, subject, value, positive = fact
    names = {"at": ("who", "place"), "has": ("who", "what"), "lies": ("what", "place"), "colour": ("what", "colour"),
             "mood": ("who", "mood"), "state": ("who", "state")}[kind]
    template = STATEMENTS[kind][0 if positive else 1][language_number(language)]
    return _expand(template, dict(zip(names, (subject, value), strict=True)), language)


def _english(slot, roles, pronoun):
    form, _, role = slot.rpartition(":")
    value = roles.get(role)
    if role == "who" and pronoun:
        return [("she" if PEOPLE[value].female else "he", "PRON", None)]
    if role in ("who", "whom"):
        return [(value, "PROPN", ("person", value))]
    if role == "her":
        return [("her" if PEOPLE[roles["who"]].female else "his", "PRON", None)]
    if form in ("past", "base"):
        verb, *particles = getattr(THINGS[value], form).split()
        return [(verb, "VERB", None), *((particle, "ADP", None) for particle in particles)]
    if role == "what":
        noun = [(value, "NOUN", ("thing", value))]
        if form != "a":
            return [("the", "DET", None), *noun]
        phrase = [*_colour(roles), *noun]
        return [("an" if phrase[0][0][0] in "aeiou" else "a", "DET", None), *phrase]
    if role == "place":
        where = [("the", "DET", None), (value, "NOUN", ("place", value))]
        return [(PLACES[value].preposition, "ADP", None), *where] if form == "at" else where
    if role == "colour":
        return _colour(roles)
    if role == "feeling":
        return [*_tokens(DEGREES[roles["degree"]][0]), (value, "ADJ", None)]
    if role == "cause":
        noun, good = value
        adjective = CIRCUMSTANCES[noun].good if good > 0 else CIRCUMSTANCES[noun].bad
        return _tokens(f"the/DET {noun}/NOUN was/AUX {adjective}/ADJ", ("cause", noun))
    if role == "mood":
        return [("good" if value > 0 else "bad", "ADJ", None)]
    if role == "state":
        return [(value, "ADJ", None)]
    return _inner(role, roles, "en")


def _colour(roles):
    return [(roles["colour"], "ADJ", ("colour", roles["colour"]))] if roles.get("colour") else []


def _chinese(slot, roles, pronoun):
    form, _, role = slot.rpartition(":")
    value = roles.get(role)
    if role == "who" and pronoun:
        return [("她" if PEOPLE[value].female else "他", "PRON", None)]
    if role in ("who", "whom"):
        return [(PEOPLE[value].zh, "PROPN", ("person", value))]
    if form in ("past", "base"):
        return [(THINGS[value].zh_verb, "VERB", None)]
    if role == "what":
        thing = THINGS[value]
        counted = [("一", "NUM", None) if form == "a" else ("那", "DET", None), (thing.classifier, "NOUN", None)]
        colour = [*_zh_colour(roles), ("的", "PART", None)] if form == "a" and roles.get("colour") else []
        return [*counted, *colour, (thing.zh, "NOUN", ("thing", value))]
    if role == "place":
        place = [(PLACES[value].zh, "NOUN", ("place", value))]
        if form in ("at", "in"):
            place.append((PLACES[value].localizer, "ADP", None))
        return [("在", "ADP", None), *place] if form == "at" else place
    if role == "colour":
        return _zh_colour(roles)
    if role == "feeling":
        return [*_tokens(DEGREES[roles["degree"]][1]), (FEELINGS[value], "ADJ", None)]
    if role == "cause":
        noun, good = value
        thing = CIRCUMSTANCES[noun]
        return _tokens(f"{thing.zh}/NOUN 很/ADV {thing.zh_good if good > 0 else thing.zh_bad}/ADJ", ("cause", noun))
    if role == "mood":
        return [("好" if value > 0 else "坏", "ADJ", None)]
    if role == "state":
        return [(ZH_STATES[value], "ADJ", None)]
    return _inner(role, roles, "zh")


def _zh_colour(roles):
    return [(COLOURS[roles["colour"]], "NOUN", ("colour", roles["colour"]))]


def _inner(role, roles, language):
    """What someone says or asks: a sentence inside a sentence."""
    if role == "fact":
        return _statement(roles["fact"], language)
    kind, inner = roles["question"]
    return _expand(QUESTIONS[kind][language_number(language)], inner, language)
