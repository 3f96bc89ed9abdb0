"""What several bodies say of a claim, at the end of a card: taken from the result files, whichever there are."""
import json

import pytest
from bilingual import mistakes

from numbert.lecture import contents, guide, markup, verdicts
from numbert.lecture.page import LANGUAGES

RESULTS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in verdicts.RESULTS.glob("*.json")}
CARDS = {entry.key: entry for entry in contents.CARDS}
CONTRAST = {"what": "80/10/10 against only [MASK], frozen body", "claim": "above", "margin": 0.02, "bodies": 5,
            "mean": 0.1208, "low": -0.0267, "high": 0.2149, "could_be_seen": 0.126, "verdict": "undecided"}


def test_a_line():
    assert verdicts.line(CONTRAST, "en") == ("- 80/10/10 against only [MASK], frozen body: **undecided**, +0.121 "
                                             "[−0.027, +0.215], 5 bodies; 0.126 could have been seen")
    assert verdicts.line(CONTRAST, "zh") == ("- 80/10/10 对比只用 [MASK]，冻结 body：**没有定论**，+0.121 [−0.027, "
                                             "+0.215]，5 个 body；能看出的最小差异 0.126")
    equal = CONTRAST | {"claim": "equal", "verdict": "refuted"}
    assert "(claimed: equal): **refuted at this size**" in verdicts.line(equal, "en")
    assert "（说法：相等）：**对这么大的模型不成立**" in verdicts.line(equal, "zh")


def test_a_new_file_is_found_and_a_missing_one_named(tmp_path, monkeypatch):
    monkeypatch.setattr(verdicts, "RESULTS", tmp_path)
    entry = CARDS["masking"]._replace(commands=("python examples/pretrain.py", "python examples/claims.py brand",
                                                "python examples/claims.py new"))
    new = CONTRAST | {"what": "brand new thing against the majority", "verdict": "shown"}
    (tmp_path / "new.json").write_text(json.dumps({"contrasts": [new, CONTRAST]}))
    for language, line in (("en", "- brand new thing against the majority: **shown**"),
                           ("zh", "- brand new thing 对比多数类：**成立**")):
        text = verdicts.settled(entry, language)
        assert line in text and text.count("\n- ") == 2
        assert "`python examples/claims.py brand`" in text and "`python examples/claims.py new`" in text
        assert guide.section(entry, markup.cards(guide.read(f"text.{language}.md"))["masking"], language).endswith(
            text + "\n")
    monkeypatch.setattr(verdicts, "RESULTS", tmp_path / "not installed")
    assert verdicts.settled(entry, "en") == ""


@pytest.mark.parametrize("name", RESULTS)
def test_every_result_is_at_the_end_of_an_entry(name):
    """Every number of it, in both guides."""
    assert any(f"{verdicts.COMMAND}{name}" in entry.commands for entry in contents.CARDS), "which card's claim is it?"
    for language in LANGUAGES:
        text = (verdicts.RESULTS.parents[1] / guide.FILES[language]).read_text(encoding="utf-8")
        for one in RESULTS[name]["contrasts"]:
            assert verdicts.line(one, language) in text


def test_a_card_without_such_a_claim_ends_as_before():
    assert verdicts.settled(CARDS["gelu"], "en") == ""


@pytest.mark.parametrize("what, chinese", [
    ("infer, pre-trained against from scratch, 200 labels", "自然语言推断，预训练对比从零训练，200 个标注"),
    ("MLM + NSP against MLM, classify", "MLM + NSP 对比 MLM，情感分类"),
    ("trained on SOP, asked NSP, against the majority", "用 SOP 训练、用 NSP 测试，对比多数类"),
    ("each asked its own question, NSP against SOP", "各做自己的任务，NSP 对比 SOP"),
    ("gap, runs hidden against CBOW", "差距，连续盖住对比 CBOW"),
    ("rank after 3000 steps against before, names shared", "倒数排名，3000 步之后对比之前，共用人名"),
    ("taggers", "taggers")])
def test_in_chinese(what, chinese):
    assert verdicts.in_chinese(what) == chinese and mistakes(chinese) == []
