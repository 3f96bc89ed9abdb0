"""The README, in two languages: short, both with the same commands and code, and every link leads somewhere."""
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = {"en": ROOT / "README.md", "zh": ROOT / "examples" / "README.zh.md"}
TEXTS = {language: path.read_text(encoding="utf-8") for language, path in PAGES.items()}


@pytest.mark.parametrize("language", PAGES)
def test_a_reader_is_through_soon(language):
    assert len(TEXTS[language].splitlines()) <= 120


def commands(text):
    """Every command of a page: indented lines, and `python ...` within a sentence."""
    return re.findall(r"^    (\S.*)$", re.sub(r"```.*?```", "", text, flags=re.S), re.M) + \
        re.findall(r"`(python [^`]+)`", text)


def test_both_say_the_same():
    assert sorted(set(commands(TEXTS["en"]))) == sorted(set(commands(TEXTS["zh"])))
    code = {language: re.sub(r"#.*", "", re.search(r"```python\n(.*?)```", text, re.S)[1]).split()
            for language, text in TEXTS.items()}
    assert code["en"] == code["zh"]
    numbers = [sorted(re.findall(r"\d[\d.,]*\d(?:e-\d+)?", text)) for text in TEXTS.values()]
    assert numbers[0] == numbers[1]


@pytest.mark.parametrize("language", PAGES)
def test_links_lead_somewhere(language):
    links = re.findall(r"\]\(([^)]+)\)", TEXTS[language])
    assert len(links) > 15
    assert [link for link in links if not (PAGES[language].parent / link).exists()] == []


def test_the_code_runs(tmp_path, monkeypatch):
    """On a folder as pretrain.py leaves it, small."""
    import tiny_run
    tiny_run.write(tmp_path / "runs" / "pretrain", ["the", "first", "argument", "is", "a", "string", "."])
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(re.search(r"```python\n(.*?)```", TEXTS["en"], re.S)[1], names)
    assert len(names["gradients"]) == len(names["model"].parameters())
    assert (tmp_path / "my-bert" / "model.safetensors").exists()
