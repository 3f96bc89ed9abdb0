"""The toy world's GLUE, read by the readers of the real one and judged by a reader that knows only sentences."""
import re
from collections import Counter
from functools import cache

import pytest
from toyworld_reader import OPENING, PATTERNS, WOMEN, Reader

from numbert.lab.bodies import tokenizer_of
from numbert.tasks.glue import data as glue_data
from numbert.toyworld import glue as toyworld_glue
from numbert.toyworld import glue_files as toyworld_glue_files
from numbert.toyworld.glue_files import SOURCES, write_glue
from numbert.toyworld.lexicon import PEOPLE, PLACES, THINGS

TRAINING, DEVELOPMENT = 240, 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_glue(tmp_path_factory.mktemp("en"), TRAINING, DEVELOPMENT)


@pytest.fixture(scope="module")
def chinese(tmp_path_factory):
    return write_glue(tmp_path_factory.mktemp("zh"), 40, 20, language="zh")


def rows(folder, task, split="train"):
    return glue_data.read(task, folder / task / f"{split}.tsv").examples


def every(folder, task):
    return [row for split in SOURCES[task] for row in rows(folder, task, split)]


@cache
def understood(text):
    """(kind, {role: word}, opening) of a sentence, or None."""
    body = text.rstrip(".")
    opening = OPENING.match(body)
    for kind, pattern in PATTERNS:
        if match := pattern.match(body[opening.end():] if opening else body):
            found = {name.rstrip("23"): value for name, value in match.groupdict().items() if value is not None}
            return kind, found, opening and opening.group(1)
    return None


# ---- the files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", glue_data.TASKS)
def test_files_are_glue(folder, task):
    for split in SOURCES[task]:
        found = rows(folder, task, split)
        assert len(found) == (TRAINING if split == "train" else DEVELOPMENT)
        assert (found[0].pair is None) == (task in ("CoLA", "SST-2"))
    texts = [row[:2] for row in every(folder, task)]
    assert len(set(texts)) == len(texts)
    assert set(glue_data.find(task).files) - {"test", "test_matched", "test_mismatched", "diagnostic"} <= set(
        SOURCES[task])


def test_the_seed_decides(folder, tmp_path):
    again, other = write_glue(tmp_path / "a", 30, 10), write_glue(tmp_path / "b", 30, 10, seed=1)
    for task in SOURCES:
        assert rows(again, task) == rows(folder, task)[:30] != rows(other, task)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_word_is_known_to_who_has_read_stories(folder, chinese, language):
    tokenizer = tokenizer_of(language)
    for task in SOURCES:
        for row in every(folder if language == "en" else chinese, task):
            assert tokenizer.unk_token_id not in tokenizer(row.text, row.pair).input_ids, row
            assert language == "en" or not re.search("[A-Za-z]", row.text + (row.pair or "")), row


@pytest.mark.parametrize("task,share", [("CoLA", 0.7), ("SST-2", 0.5), ("MRPC", 2 / 3), ("QQP", 3 / 8), ("QNLI", 0.5),
                                        ("RTE", 0.5), ("WNLI", 0.5)])
def test_shares_of_the_labels(folder, chinese, task, share):
    """Within four standard deviations of a share of that size."""
    one = glue_data.find(task).labels.index("entailment") if task in ("QNLI", "RTE") else 1
    for labels in ([row.label for row in every(part, task)] for part in (folder, chinese)):
        assert abs(labels.count(one) / len(labels) - share) < 4 * (share * (1 - share) / len(labels)) ** 0.5


# ---- what the labels say ---------------------------------------------------------------------------------------------


STATEMENT = re.compile(r"(?:the \w+|\w+) (?:is (?:now|not) (?:in|at|on) the \w+(?: now)?|now has the \w+|"
                       r"does not have the \w+ now|feels \w+ now|does not feel \w+ now|is (?:now |not |)\w+(?: now)?)")


def is_a_sentence(text):
    sentence = understood(text)
    return bool(sentence and (sentence[0] != "say" or STATEMENT.fullmatch(sentence[1]["fact"])))


def exchanged(text):
    """All that becomes of a sentence when two neighbouring words change places."""
    first, *rest = re.findall(r"\w+|[.,:?]", text)
    words = [first if first in PEOPLE else first.lower(), *rest]
    for i in range(len(words) - 1):
        other = re.sub(r" ([.,:?])", r"\1", " ".join([*words[:i], words[i + 1], words[i], *words[i + 2:]]))
        yield other[0].upper() + other[1:]


def test_cola(folder):
    for row in every(folder, "CoLA"):
        assert is_a_sentence(row.text) == row.label, row
        assert row.label or any(map(is_a_sentence, exchanged(row.text))), row


def test_sst2(folder):
    for row in every(folder, "SST-2"):
        kind, found, _ = understood(row.text)
        good = found["feeling"] in "happy glad pleased cheerful proud calm hopeful relaxed".split()
        assert kind == "feel" and row.label == (good != found["degree"].startswith("no"))


def test_mrpc(folder):
    for row in every(folder, "MRPC"):
        assert row.text != row.pair
        assert (understood(row.text) == understood(row.pair)) == row.label, row
        assert understood(row.text)[0] == understood(row.pair)[0]


def test_stsb(folder):
    scores = Counter()
    for row in every(folder, "STS-B"):
        (kind, ours, _), (other, theirs, _) = understood(row.text), understood(row.pair)
        same = (kind == other) + sum(ours[role] == theirs[role] for role in ("who", "what", "place") if role in ours)
        assert abs(row.label - 5 * same / 3) < 1e-3, row
        scores[round(row.label, 3)] += 1
    assert set(scores) == {0.0, 1.667, 3.333, 5.0} and min(scores.values()) > 40


ASKED = [("where", r"Where is (.*) now\?|Now where is (.*)\?"),
         ("has", r"Who has (.*) now\?|Who is now holding (.*)\?"),
         ("colour", r"What colour is (.*)\?|Of what colour is (.*)\?"),
         ("gave", r"Who gave (.*) to (.*)\?|Who handed (.*) to (.*)\?"),
         ("when", r"When did (.*) go to (.*)\?|When did (.*) walk to (.*)\?"),
         ("why", r"Why was (\w+) (.*)\?|Why did (\w+) feel (.*)\?")]


def meaning(question):
    return next((kind, *filter(None, match.groups())) for kind, pattern in ASKED
                if (match := re.fullmatch(pattern, question)))


def test_qqp(folder):
    kinds = Counter()
    for row in every(folder, "QQP"):
        assert row.text != row.pair and (meaning(row.text) == meaning(row.pair)) == row.label, row
        kinds[meaning(row.text)[0]] += 1
    assert len(kinds) == 6 and min(kinds.values()) > 5


def test_mnli(folder):
    names = {}
    for split in SOURCES["MNLI"]:
        found = rows(folder, "MNLI", split)
        for row in found:
            assert Reader(row.text).judge(row.pair) == glue_data.TASKS["MNLI"].labels[row.label], row
        names[split] = set(re.findall(r"\w+", " ".join(row.text for row in found))) & {*PEOPLE, *PLACES, *THINGS}
    # "a light rain", "to watch", "an orange box", "saw him", "was present"
    ambiguous = {"light", "watch", "orange", "saw", "present"}
    assert names["train"] & names["dev_mismatched"] <= ambiguous
    assert len(names["train"] & names["dev_matched"]) > 20


def test_qnli(folder):
    """Whether the sentence answers the question, by rules of its own."""
    kinds = Counter()
    for row in every(folder, "QNLI"):
        kind, found, opening = understood(row.pair)
        asked, *about = meaning(row.text)
        names = [name.removeprefix("the ") for name in about]
        mood = found.get("degree", "") + found.get("feeling", "")
        who, whom, what, place = (found.get(role) for role in ("who", "whom", "what", "place"))
        answered = {
            "where": place is not None and (names[0] == what and kind in ("there", "find")
                                            or names[0] == who or names[0] == whom and kind == "follow"),
            "has": names[0] == what and kind in ("have", "take", "give", "find"),
            "colour": names[0] == what and "colour" in found,
            "gave": kind == "give" and names == [what, whom],
            "when": kind == "go" and names == [who, place] and re.match("At |In the [mae].*ing|In the aft",
                                                                                   str(opening)),
            "why": "why" in found and names == [who, mood],
        }[asked]
        assert bool(answered) == (row.label == 0), row
        kinds[asked, row.label] += 1
    assert len(kinds) == 12


def test_rte_and_its_shortcut(folder):
    for split, agreeing in (("train", 0.95), ("control", 0.5)):
        found, agree = rows(folder, "RTE", split), 0
        for row in found:
            assert (Reader(row.text).judge(row.pair) == "entailment") == (row.label == 0), row
            agree += (" not " in row.pair) == (row.label == 1)
        assert abs(agree / len(found) - agreeing) < 4 * (agreeing * (1 - agreeing) / len(found)) ** 0.5


def test_denials_are_seen_in_chinese(chinese):
    found = rows(chinese, "RTE")
    assert sum(toyworld_glue.denies(row.pair, "zh") == (row.label == 1) for row in found) > 0.8 * len(found)


def test_wnli(folder):
    for row in every(folder, "WNLI"):
        told, last = re.fullmatch(r"(.*[.?]) ((?:She|He) .*)", row.text).groups()
        name, rest = row.pair.split(" ", 1)
        assert last.split(" ", 1)[1] == rest
        reader = Reader(told)
        assert reader.judge(row.pair) == ("entailment" if row.label else "contradiction"), row
        assert len(reader.people) == 2 and all((one in WOMEN) == last.startswith("She") for one in reader.people)


# ---- errors ----------------------------------------------------------------------------------------------------------


def test_errors(tmp_path, capsys):
    with pytest.raises(ValueError, match="0 examples to learn from and 5 to measure on"):
        write_glue(tmp_path, 0, 5)
    with pytest.raises(ValueError, match="seed must be at least 0, got -1"):
        write_glue(tmp_path, 5, 5, seed=-1)
    with pytest.raises(ValueError, match="language must be one of en, zh, got 'de'"):
        write_glue(tmp_path, 5, 5, language="de")
    toyworld_glue_files.main([str(tmp_path / "glue"), "--training", "3", "--development", "2"])
    assert "CoLA, SST-2" in capsys.readouterr().out and len(rows(tmp_path / "glue", "WNLI", "dev")) == 2
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match="^toyworld_glue_files: "):
        toyworld_glue_files.main([str(tmp_path / "file")])
