import re

import numpy as np
import pytest

from numbert.toyworld.language import GRAMMAR, QUESTIONS, STATEMENTS, join, question, sentence, statement
from numbert.toyworld.story import stories
from numbert.toyworld.world import Event, Fact

UPOS = {"ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT", "SCONJ", "VERB"}


def templates():
    for pairs in (*GRAMMAR.values(), [pair for both in STATEMENTS.values() for pair in both], QUESTIONS.values()):
        yield from pairs


def test_both_grammars_tell_the_same_roles():
    def roles(template):
        return {slot.rpartition(":")[2] for slot in re.findall(r"{(.*?)}", template)} - {"her"}

    for english, chinese in templates():
        assert roles(english) == roles(chinese), (english, chinese)


def test_every_word_of_a_template_has_a_universal_tag():
    for pair in templates():
        for part in " ".join(pair).split():
            assert part.startswith("{") or part.rsplit("/", 1)[1] in UPOS, part


@pytest.mark.parametrize("event, english, tags, chinese", [
    (Event("give", {"who": "Anna", "what": "saw", "whom": "Tom"}, style=1, pronoun=True),
     "She gave Tom the saw.", "PRON VERB PROPN DET NOUN PUNCT", "她给了汤姆那把锯子。"),
    (Event("see", {"who": "Anna", "whom": "Rose"}, opening="later"),
     "Later, Anna saw Rose there.", "ADV PUNCT PROPN VERB PROPN ADV PUNCT", "后来，安娜在那里看见了罗丝。"),
    (Event("there", {"what": "umbrella", "place": "beach", "colour": None}),
     "There was an umbrella on the beach.", "PRON VERB DET NOUN ADP DET NOUN PUNCT", "海滩上有一把雨伞。"),
    (Event("there", {"what": "umbrella", "place": "station", "colour": "red"}, style=1),
     "A red umbrella lay at the station.", "DET ADJ NOUN VERB ADP DET NOUN PUNCT", "一把红色的雨伞放在车站里。"),
    (Event("use", {"who": "Tom", "what": "ball"}), "Tom played with the ball.",
     "PROPN VERB ADP DET NOUN PUNCT", "汤姆玩了那个球。"),
    (Event("feel but", {"who": "Anna", "feeling": "sad", "degree": "not at all", "cause": ("soup", -1)}),
     "The soup was cold but Anna was not at all sad.",
     "DET NOUN AUX ADJ CCONJ PROPN AUX PART ADP DET ADJ PUNCT", "汤很凉，但是安娜一点也不难过。"),
    (Event("say", {"who": "Tom", "fact": Fact("has", "Anna", "key", False)}),
     "Tom said: Anna does not have the key now.",
     "PROPN VERB PUNCT PROPN AUX PART VERB DET NOUN ADV PUNCT", "汤姆说：安娜现在没拿着那把钥匙。"),
    (Event("ask", {"who": "Tom", "whom": "Anna", "question": ("where thing", {"what": "key"})}),
     "Tom asked Anna: where is the key now?",
     "PROPN VERB PROPN PUNCT ADV AUX DET NOUN ADV PUNCT", "汤姆问安娜：那把钥匙现在在哪里？"),
])
def test_an_event_in_words(event, english, tags, chinese):
    told = sentence(event, "en")
    assert told.text == english and told.tags == tags.split()
    assert sentence(event, "zh").text == chinese


def test_statements_and_questions():
    assert statement(Fact("mood", "Anna", -1, False), "en").text == "Anna does not feel bad now."
    assert statement(Fact("colour", "ball", "red"), "zh").text == "那个球是红色的。"
    assert question("why", {"who": "Anna", "feeling": "sad", "degree": "plain"}, "en").text == "Why was Anna sad?"
    assert question("who has", {"what": "ball"}, "zh").text == "现在谁拿着那个球？"


def test_mentions_stand_where_they_say():
    told = sentence(Event("there", {"what": "orange", "place": "park", "colour": None}, opening="noon"), "en")
    assert [(*mention[:2], told.text[mention[2]:mention[3]]) for mention in told.mentions] == [
        ("time", "noon", "At noon"), ("thing", "orange", "orange"), ("place", "park", "park")]
    fact = Fact("has", "Anna", "key")
    told = sentence(Event("say", {"who": "Anna", "fact": fact}), "en")
    assert [told.text[start:end] for *_, start, end in told.mentions] == ["Anna", "Anna", "key"]
    because = Event("feel because", {"who": "Tom", "feeling": "sad", "degree": "plain", "cause": ("tea", -1)}, style=1)
    told = sentence(because, "en")
    assert [told.text[start:end] for sort, _, start, end in told.mentions if sort == "cause"] == ["the tea was cold"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_words_tags_and_text_belong_together(language):
    for story, _ in zip(stories(np.random.default_rng(0), language), range(300), strict=False):
        for one in story.sentences:
            assert len(one.words) == len(one.tags) and set(one.tags) <= UPOS
            assert join(one.words, language)[0] == one.text
            assert "".join(one.words) == one.text.replace(" ", "") and (language == "en" or " " not in one.text)


def test_unknown_language_is_named():
    with pytest.raises(ValueError, match="en, zh, got 'fr'"):
        sentence(Event("rain", {}), "fr")
