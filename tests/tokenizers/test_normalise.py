import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numbert.tokenizers.normalise import YOUNGER, Normaliser, is_chinese, is_control, is_punctuation, is_white_space

OPTIONS = st.builds(Normaliser, st.booleans(), st.sampled_from([None, True, False]), st.booleans(), st.booleans())


def test_by_hand():
    assert Normaliser().words("Crème brûlée,\n東京") == ["creme", "brulee", ",", "東", "京"]
    assert Normaliser().align("É, 東") == (["e", ",", "東"], [0, 1, 3])
    assert Normaliser().align("A b!") == (["a", "b", "!"], [0, 2, 3])
    assert [*Normaliser().align("Ab!")[1]] == [0, 1, 2]


@pytest.mark.parametrize("text, words", [
    ("a\0b\u200dc\ufffdd\x85e\x1ff", ["abcdef"]),              # control and format characters join what they part
    ("a\tb\nc\rd\u00a0e\u3000f\u2028g", list("abcdefg")),       # white space parts
    ("Cre\u0301me Åse", ["creme", "ase"]),                     # a mark of its own, and one in a composed letter
    ("don't $5 a+b …x", ["don", "'", "t", "$", "5", "a", "+", "b", "…", "x"]),
    ("東京tower", ["東", "京", "tower"]),
    ("カタカナ 한", ["カタカナ", "\u1112\u1161\u11ab"]),         # kana make words; Hangul comes apart into letters
    ("ΣΑΣ İ ẞ", ["σασ", "i", "ß"]),                            # letter by letter: no final sigma
    ("\u037e \u2260", [";", "="]),                              # these decompose into punctuation
    ("\ud800a", ["a"]),                                        # half a surrogate pair
    ("x\u2e43y", ["x\u2e43y"]),                                # punctuation that came after Unicode 8
    ("x\U00011938y", ["x\U00011938y"]),                        # and a composed letter that did
    ("", []), (" \n", []), ("\u0301", []),
])
def test_uncased(text, words):
    assert Normaliser().words(text) == words


def test_options():
    assert Normaliser(lowercase=False).words("Éa") == ["Éa"]
    assert Normaliser(lowercase=False, strip_accents=True).words("Éa") == ["Ea"]
    assert Normaliser(strip_accents=False).words("Éa İ") == ["éa", "i\u0307"]
    assert Normaliser(tokenize_chinese_chars=False).words("東京") == ["東京"]
    assert Normaliser(clean_text=False).words("a\0b\x1cc\x85d") == ["a\0b\x1cc", "d"]


@given(OPTIONS, st.text())
@settings(max_examples=300, deadline=None)
def test_align_says_where_each_character_comes_from(normaliser, text):
    words, sources = normaliser.align(text)
    assert words == normaliser.words(text)
    assert list(sources) == sorted(sources)
    for char, source in zip("".join(words), sources, strict=True):
        assert char in "".join(normaliser.words(text[source]))


@given(OPTIONS, st.text(st.characters(max_codepoint=127)) | st.text("aB ,\n\0éİ"))
@settings(max_examples=300, deadline=None)
def test_align_is_one_character_at_a_time(normaliser, text):
    """The short way for ASCII against the long one."""
    expected = [index for index, char in enumerate(text) for _ in "".join(normaliser.words(char))]
    assert list(normaliser.align(text)[1]) == expected


@given(st.text(), st.text())
@settings(max_examples=200, deadline=None)
def test_characters_do_not_affect_each_other(left, right):
    normaliser = Normaliser()
    assert (left + right).translate(normaliser) == left.translate(normaliser) + right.translate(normaliser)


def test_classes():
    assert [char for char in map(chr, range(128)) if is_punctuation(char)] == list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
    assert not is_control("\n") and is_control("\x0b") and not is_control("\U000e0fff")
    assert is_white_space("\u3000") and not is_white_space("\u200b")
    assert is_chinese("\u4e00") and is_chinese("\U0002ceaf") and not is_chinese("\U0002b820") and not is_chinese("カ")


def test_no_old_mark_or_punctuation_counts_as_younger():
    old = unicodedata.ucd_3_2_0  # the oldest tables that Python carries
    assert not [char for char in YOUNGER if old.category(char) in ("Mn", "Cc", "Cf", "Zs") or old.decomposition(char)]
    assert not [char for char in YOUNGER if old.category(char).startswith("P")]


def test_code_points_as_tokenizers_has_it():
    tokenizers = pytest.importorskip("tokenizers", minversion="0.13")
    reference = tokenizers.normalizers.BertNormalizer(lowercase=False, strip_accents=True)
    split = tokenizers.pre_tokenizers.BertPreTokenizer()
    ours = Normaliser(lowercase=False, strip_accents=True)
    blocks = [*range(0, 0xd800, 0x400), *range(0xe000, 0x32000, 0x400), 0xe0000, 0xf0000, 0x10fc00]  # where any differ
    for first in blocks:
        text = " ".join(f"a{chr(code)}b" for code in range(first, first + 0x400))
        theirs = [word for word, _ in split.pre_tokenize_str(reference.normalize_str(text))]
        assert ours.words(text) == theirs, hex(first)


def test_capitals_differ_from_tokenizers_only_where_unicode_versions_do():
    tokenizers = pytest.importorskip("tokenizers", minversion="0.13")
    reference = tokenizers.normalizers.Lowercase()
    characters = [chr(code) for code in range(0x20000) if not 0xd800 <= code < 0xe000]
    differing = [char for char in characters if reference.normalize_str(char) != char.lower()]
    assert all(unicodedata.category(char) in ("Cn", "Lu", "Ll") for char in differing)
    assert len(differing) < 200
    assert not any(char < "\u1c89" for char in differing)
