"""The guide to the lecture, in two languages: it is what the cards say, and everything that it names is there."""
import ast
import re
import shlex
from pathlib import Path
from xml.etree import ElementTree

import pytest
from bilingual import mistakes, numbers

from numbert.lecture import contents, guide, markup, page

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples"
TEXTS = {language: (FOLDER / name).read_text(encoding="utf-8") for language, name in guide.FILES.items()}
WRITTEN_IN_CHINESE = ("examples/LECTURE.zh.md", "examples/README.zh.md", "examples/exercises/README.zh.md")


class Anything:
    """A fact of the run, whatever it is."""

    def __format__(self, how):
        return "ANYTHING"


ANYTHING = type("Facts", (), {"__getitem__": lambda self, name: Anything()})()


@pytest.mark.parametrize("language", page.LANGUAGES)
def test_the_guide_says_what_the_cards_say(language):
    """But for the numbers of the page's run, whose last digits depend on the machine."""
    expected, found = guide.guide(language, ANYTHING).splitlines(), TEXTS[language].splitlines()
    again = "python -m numbert.lecture --guide examples"
    for one, other in zip(expected, found, strict=True):
        assert re.fullmatch(re.escape(one).replace("ANYTHING", ".+?"), other), f"{other!r}: write it again: {again}"


@pytest.mark.parametrize("language", page.LANGUAGES)
@pytest.mark.parametrize("entry", contents.CARDS, ids=lambda entry: entry.key)
def test_an_entry_has_its_picture(entry, language):
    text = (FOLDER / guide.picture_of(entry, language)).read_text(encoding="utf-8")
    assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
    labels = re.findall(r"<text[^>]*>([^<]+)</text>", text)
    chinese = [one for one in labels if re.search("[\u4e00-\u9fff]", one)]
    assert len(re.findall("<(?:rect|path|circle)", text)) >= 3 and labels
    assert (language == "zh" or not chinese) and not any(map(mistakes, chinese))
    if entry.picture is None:
        assert text == guide.drawn(entry, language, None)


def test_no_picture_is_left_over():
    assert {str(path.relative_to(FOLDER)) for path in (FOLDER / guide.PICTURES).iterdir()} == {
        guide.picture_of(entry, language) for entry in contents.CARDS for language in page.LANGUAGES}


def test_both_have_the_same_numbers():
    english, chinese = (re.split(r"^## ", text, flags=re.M) for text in TEXTS.values())
    assert len(english) == len(chinese) == 1 + len(contents.CARDS)
    for one, other in zip(english, chinese, strict=True):
        assert set(numbers(plain(one))) == set(numbers(plain(other))), other.partition("\n")[0]


def plain(text):
    return re.sub(r"\]\([^)]*\)", "]", text)


@pytest.mark.parametrize("path", WRITTEN_IN_CHINESE)
def test_chinese_as_it_is_written(path):
    assert mistakes((ROOT / path).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("wrong,said", [
    ("遮住一个词", "盖住"), ("他说:好", "full-width"), ("好(吗)", "full-width"), ("是的,对", "full-width"),
    ("为什么?", "full-width"), ("相差 +2.9 倍", "ratio"),
    ("速度快 267 倍", "ratio"), ("學會了", "simplified"), ("句子.", "full-width")])
def test_mistakes_in_chinese_are_found(wrong, said):
    assert any(said in one for one in mistakes(f"前面没有错，{wrong}"))


@pytest.mark.parametrize("right", ["`f(x),` 是代码", "[中文](a.md)、好", "形状是 (n, m)", "窗口数是 1.5 倍",
                                   "在 `x` 里：(T, D) 的矩阵"])
def test_what_is_right_is_left_alone(right):
    assert mistakes(right) == []


@pytest.mark.parametrize("language", page.LANGUAGES)
def test_links_lead_somewhere(language):
    links = re.findall(r"\]\(([^)]+)\)", TEXTS[language])
    headings = {guide.slug(title) for title in re.findall(r"^##? (.+)", TEXTS[language], re.M)}
    assert len(links) > 150
    wrong = [link for link in links if link[0] == "#" and link[1:] not in headings]
    assert not wrong and not [link for link in links if link[0] != "#" and not (FOLDER / link).is_file()]


def test_every_heading_has_a_link_of_its_own():
    for text in TEXTS.values():
        slugs = [guide.slug(title) for title in re.findall(r"^##? (.+)", text, re.M)]
        assert len(slugs) == len(set(slugs))


def names_in(path):
    """The functions and classes of a Python file, methods as Class.method."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{one.name}" for one in node.body if isinstance(one, ast.FunctionDef)}
    return found


@pytest.mark.parametrize("entry", contents.CARDS, ids=lambda entry: entry.key)
def test_sources_and_tests_exist(entry):
    for reference in (*guide.sources(entry), *entry.tests):
        path, _, name = reference.partition("::")
        assert name in names_in(ROOT / path), reference
    assert guide.sources(entry) and entry.tests
    assert all(re.fullmatch(r"tests/[\w/]+\.py::test_\w+", test) for test in entry.tests)
    assert not any(test.endswith("::test_quick") for test in entry.tests), "that proves the script"


@pytest.mark.parametrize("entry", contents.CARDS, ids=lambda entry: entry.key)
def test_commands_exist(entry):
    assert entry.commands
    for command in entry.commands:
        python, *words = shlex.split(command)
        assert python == "python", command
        path = ROOT / (words[1].replace(".", "/") + ".py" if words[0] == "-m" else words[0])
        if words[0] == "-m" and not path.is_file():
            path = path.with_suffix("") / "__main__.py"
        assert path.is_file(), command
        told = "".join((ROOT / one).read_text(encoding="utf-8") for one in (
            path, "numbert/lab/laboratory.py", "numbert/lab/comparison.py", "numbert/training/experiment.py"))
        for option in (word for word in words if word.startswith("--") and word != "--help"):
            assert option in told or re.search(rf"\b{option[2:].replace('-', '_')}=", told), f"{command}: {option}"


def test_every_example_has_an_entry():
    scripts = {str(path.relative_to(ROOT)) for path in (*FOLDER.glob("*.py"), *FOLDER.glob("lecture/*.py"),
                                                        *FOLDER.glob("use/*.py"))} - {"examples/benchmark.py"}
    for text in TEXTS.values():
        assert not {script for script in scripts if script not in text}


@pytest.mark.parametrize("language", page.LANGUAGES)
def test_the_head_says_how_to_make_the_page(language):
    head = markup.head(page.read(f"text.{language}.md"))
    assert TEXTS[language].startswith(head)
    assert "    pip install . && python -m numbert.lecture --out lecture.html" in head
