"""The guide to the lecture, in two languages: everything that it names is there, and both say the same."""
import ast
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDES = {"en": ROOT / "examples" / "LECTURE.md", "zh": ROOT / "examples" / "LECTURE.zh.md"}
FIELDS = {"en": ("The lecture", "Source", "Test", "Command", "Measured"),
          "zh": ("课上说", "源码", "测试", "命令", "测得")}


def entries(language):
    """[(title, {field: text}), ...] of a guide: a heading `## title`, then lines `- **field**: text`."""
    found = []
    for section in re.split(r"^## ", GUIDES[language].read_text(encoding="utf-8"), flags=re.M)[1:]:
        title, _, body = section.partition("\n")
        fields = re.findall(r"^- \*\*(.+?)\*\*[:：] ?(.+(?:\n  .+)*)", body, re.M)
        found.append((title, {name: " ".join(text.split()) for name, text in fields}))
    return found


def code(text):
    return re.findall(r"`([^`]+)`", text)


ENTRIES = [(language, title, fields) for language in GUIDES for title, fields in entries(language)]
IDS = [f"{language} {title}" for language, title, _ in ENTRIES]


def names_in(path):
    """The functions and classes of a Python file, methods as Class.method."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{one.name}" for one in node.body if isinstance(one, ast.FunctionDef)}
        if isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


def test_both_have_the_same_entries():
    assert len(entries("en")) == len(entries("zh")) >= 14
    for (title, english), (titel, chinese) in zip(entries("en"), entries("zh"), strict=True):
        for one, other in zip(FIELDS["en"][1:4], FIELDS["zh"][1:4], strict=True):
            assert code(english[one]) == code(chinese[other]), (title, titel, one)


@pytest.mark.parametrize("language,title,fields", ENTRIES, ids=IDS)
def test_an_entry_is_whole(language, title, fields):
    assert tuple(fields) == FIELDS[language]
    assert all(fields.values())


@pytest.mark.parametrize("language,title,fields", ENTRIES, ids=IDS)
def test_sources_and_tests_exist(language, title, fields):
    _, source, test, _, _ = FIELDS[language]
    for reference in code(fields[source]) + code(fields[test]):
        path, _, name = reference.partition("::")
        assert (ROOT / path).is_file(), reference
        if name:
            assert name.split("[")[0] in names_in(ROOT / path), reference
    assert any("::" in reference for reference in code(fields[source])), "a function is named"
    assert any("::test_" in reference for reference in code(fields[test])), "a test is named"


@pytest.mark.parametrize("language,title,fields", ENTRIES, ids=IDS)
def test_commands_exist(language, title, fields):
    commands = code(fields[FIELDS[language][3]])
    assert commands
    for command in commands:
        python, *words = shlex.split(command)
        assert python == "python", command
        path = ROOT / (words[1].replace(".", "/") + ".py" if words[0] == "-m" else words[0])
        if words[0] == "-m" and not path.is_file():
            path = path.with_suffix("") / "__main__.py"
        assert path.is_file(), command
        told = path.read_text(encoding="utf-8") + (ROOT / "numbert/lab/laboratory.py").read_text(encoding="utf-8") \
            + (ROOT / "numbert/lab/comparison.py").read_text(encoding="utf-8") \
            + (ROOT / "numbert/training/experiment.py").read_text(encoding="utf-8")
        for option in (word for word in words if word.startswith("--")):
            assert option in told or re.search(rf"\b{option[2:].replace('-', '_')}=", told), f"{command}: {option}"


def test_every_example_has_an_entry():
    named = {word for _, _, fields in ENTRIES for text in fields.values() for word in code(text)}
    folder = ROOT / "examples"
    scripts = {str(path.relative_to(ROOT)) for path in (*folder.glob("*.py"), *folder.glob("lecture/*.py"),
                                                        *folder.glob("use/*.py"))} - {"examples/benchmark.py"}
    missing = {script for script in scripts if not any(script in word for word in named)}
    assert not missing
