"""A figure of the page as a picture that stands alone: nothing of it is lost, and one language is left."""
import re
from xml.etree import ElementTree

import pytest

from numbert.lecture.drawing import bars, both, label, said, strip, svg, token
from numbert.lecture.stills import still

FIGURE = (said(both("seen", "看到") + " <b>x</b>") + strip([token("[MASK]", "hidden", ("id 4",)), token("a<b")])
          + bars([(both("half", "一半"), 1.0, "50%", "red"), ("whole", 2.0, "100%", "blue")])
          + svg(90, 40, label(1, 2, "place", "位置"), '<a href="#x"><rect width="9" height="9"/></a>'))


@pytest.mark.parametrize("language,words", [("en", ["seen x", "half", "place"]), ("zh", ["看到 x", "一半", "位置"])])
def test_every_word_is_there_in_one_language(language, words):
    root = ElementTree.fromstring(still(FIGURE, language))
    found = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert found == [words[0], "[MASK]", "id 4", "a<b", words[1], "50%", "whole", "100%", words[2]]


def test_bars_keep_their_lengths_and_nothing_lies_outside():
    text = still(FIGURE, "en")
    half, whole = (float(width) for width in re.findall(r'width="([\d.]+)" height="13"', text))
    assert 2 * half == pytest.approx(whole)
    width, height = map(int, re.search(r'viewBox="0 0 (\d+) (\d+)"', text).groups())
    assert all(float(x) < width for x in re.findall(r' x="([\d.]+)"', text))
    assert all(float(y) < height for y in re.findall(r' y="([\d.]+)"', text)) and "href" not in text


def test_rows_of_tokens_are_broken():
    text = still(strip([token("word", below=("one", "two"))] * 30), "en")
    assert len(set(re.findall(r'<rect x="[\d.]+" y="(\d+)"', text))) > 2
