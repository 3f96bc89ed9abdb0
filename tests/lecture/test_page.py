"""The page beside the lecture: every card is there in both languages, every line that it names exists, and what it
shows is what the ops compute."""
import ast
import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from bilingual import mistakes, numbers

from numbert import ops
from numbert.autograd import REGISTRY
from numbert.gradcheck.differences import check_mutants
from numbert.lecture import contents, drawing, figures, formula, markup, page, proof, run, source, world
from numbert.lecture.__main__ import main
from numbert.lecture.line_values import LineValues

ROOT = Path(__file__).parents[2]
TEXTS = page.texts()
CODE = [(entry.key, code) for entry in contents.CARDS for code in entry.code]

# The paragraphs of the lecture, in its order.
LECTURE = ["self-supervised", "sizes", "tokens", "masking", "prediction", "cross-entropy", "nsp", "roberta", "sop",
           "two-losses", "glue", "fine-tuning", "classification", "tagging", "inference", "answer", "windows",
           "homework", "contextual", "growth", "dna", "languages",
           "encoder", "embeddings", "linear", "attention", "residual", "layer-norm", "gelu", "backward", "adamw", "gpt"]


@pytest.fixture(scope="module")
def done():
    """The run of the page, as it is."""
    return run.perform(page.watched())


@pytest.fixture(scope="module")
def maker(done):
    return page.Maker(done)


@pytest.fixture(scope="module")
def made(maker):
    return maker.page()


# ------------------------------------------------------------------------------------------------ the cards

def test_every_paragraph_has_a_card_in_both_languages():
    assert [entry.key for entry in contents.CARDS] == LECTURE
    for language in page.LANGUAGES:
        assert list(TEXTS[language]) == LECTURE
        for card in TEXTS[language].values():
            assert card.title and card.chapter and card.says.strip() and card.takeaway, (language, card.key)
            assert len(card.of("predict")) >= 2, (language, card.key)
            assert 2 < len(card.only("table").body.split("\n|")) <= 5, "a head and at most four rows"
            assert all(section.title and section.body.strip() for section in card.of("predict") + card.of("ask"))


def test_every_figure_has_its_caption():
    for entry in contents.CARDS:
        for language in page.LANGUAGES:
            assert [s.key for s in TEXTS[language][entry.key].of("figure")] == list(entry.figures)
        assert entry.picture is None or entry.picture in entry.figures
    assert {name for entry in contents.CARDS for name in entry.figures} == set(figures.FIGURES)


@pytest.mark.parametrize("language", page.LANGUAGES)
def test_a_table_of_measured_figures_has_them_from_the_full_account(language):
    """Cards that share an account have it folded in one of them."""
    cards = TEXTS[language]
    accounts = numbers("".join(one.body for card in cards.values() for one in card.of("measured")))
    for entry, card in zip(contents.CARDS, cards.values(), strict=True):
        if entry.picture is None or card.of("measured"):
            shown = numbers(" ".join(cell for row in markup.rows(card.only("table").body)[1:] for cell in row[1:]))
            assert set(shown) <= set(accounts), card.key


@pytest.mark.parametrize("language", page.LANGUAGES)
def test_every_account_is_on_the_page_with_its_date(language, made):
    """Of several in one card each; recognised by its first words, up to the first that is marked up."""
    for card in TEXTS[language].values():
        section = made.split(f'<section class="card" id="{card.key}">')[1].split("</section>")[0]
        for one in card.of("measured"):
            assert f"All figures, recorded on {one.key}" in section, card.key
            assert markup.block(one.body) in section, card.key
        assert section.count('<details class="full">') == len(card.of("measured")), card.key


@pytest.mark.parametrize("language", page.LANGUAGES)
def test_a_card_without_a_picture_of_its_own_has_bars(language):
    for entry, card in zip(contents.CARDS, TEXTS[language].values(), strict=True):
        if entry.picture is None:
            head, *rows = markup.rows(card.only("table").body)
            made = drawing.chart_of([head, *rows])
            assert made.count("<rect") >= len(rows) and all(row[0] in made for row in rows), card.key


def test_bars_are_as_long_as_their_numbers():
    made = drawing.chart_of([["", "a", "said", "b"], ["x", "−1.5", "no", "3 ± 0.5"], ["y", "1,000", "7", "49%"]])
    bars = [float(found) for found in re.findall(r'width="([\d.]+)" height="12"', made)]
    assert made.count("spread") == 1 and ">said<" not in made               # a column with words is not drawn
    assert [bar / bars[2] for bar in bars] == pytest.approx([0.0015, 0.003, 1, 0.049], abs=0.003)
    assert drawing.chart_of([["", "a"], ["x", "no"]]) is None


def test_both_languages_have_the_same_sections():
    for key in LECTURE:
        english, chinese = ([(s.kind, s.key) for s in TEXTS[language][key].sections] for language in page.LANGUAGES)
        assert english == chinese, key


@pytest.mark.parametrize("question,card", contents.QUESTIONS.items())
def test_what_students_ask_in_public_is_answered(question, card):
    for language in page.LANGUAGES:
        answer, = [s for s in TEXTS[language][card].of("ask") if s.key == question]
        assert len(answer.body) > 40


def test_no_question_is_missing_from_the_table():
    assert {s.key: key for key, card in TEXTS["en"].items() for s in card.of("ask")} == contents.QUESTIONS


def test_numbers_are_read_in_both_languages():
    assert numbers("2.5 billion and 30,522, {V}") == numbers("25 亿、30,522 与 {V}")
    assert numbers("15%") != numbers("14%")


@pytest.mark.parametrize("key", LECTURE)
def test_the_numbers_of_both_languages_are_equal(key):
    english, chinese = (TEXTS[language][key] for language in page.LANGUAGES)
    parts = [(english.says + english.takeaway, chinese.says + chinese.takeaway),
             *((a.title + "\n" + a.body, b.title + "\n" + b.body)
               for a, b in zip(english.sections, chinese.sections, strict=True))]
    for one, other in parts:
        assert set(numbers(one)) == set(numbers(other)), (one, other)


def test_formulas_are_the_same_in_both_languages():
    for key in LECTURE:
        english, chinese = ([re.findall(r"\$[^$]+\$", s.body) for s in TEXTS[language][key].of("derivation")]
                            for language in page.LANGUAGES)
        assert english == chinese


def test_chinese_as_it_is_written():
    text = "".join(f"{card.says}\n{card.takeaway}\n" + "".join(f"{one.title}\n{one.body}\n" for one in card.sections)
                   for card in TEXTS["zh"].values()) + markup.head(page.read("text.zh.md"))
    assert mistakes(text) == []


def test_what_the_page_says_besides_the_cards_is_chinese_as_well():
    """Labels of figures and of the page itself, within <span class="zh"> and both(..., "...")."""
    found = re.findall(r'class="zh">(.*?)</(?:span|div)>', page.read("page.html"), re.S)
    for path in (ROOT / "numbert" / "lecture").glob("*.py"):
        texts = (node.value for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                 if isinstance(node, ast.Constant) and isinstance(node.value, str))
        found += [text for text in texts if re.search("[\u4e00-\u9fff]", text)]
    assert len(found) > 50 and {text: mistakes(text) for text in found if mistakes(text)} == {}


def test_files_that_cards_name_exist():
    named = set(re.findall(r"(?:tests|examples)/[\w/]+\.py(?:::\w+)?", repr(contents.CARDS)))
    for name in named:
        path, _, function = name.partition("::")
        assert (ROOT / path).is_file(), name
        assert not function or re.search(rf"def {function}\b", (ROOT / path).read_text(encoding="utf-8")), name
    exercises = ROOT / "examples" / "exercises"
    if exercises.is_dir():
        assert all((exercises / f"{entry.exercise}.py").is_file() for entry in contents.CARDS if entry.exercise)


# ------------------------------------------------------------------------------------------------ the source

@pytest.mark.parametrize("name", contents.PLACES)
def test_every_place_exists_and_is_used(name):
    assert source.excerpt(contents.PLACES[name]).lines
    assert any(code.place == name for _, code in CODE)


@pytest.mark.parametrize("key,code", CODE, ids=[f"{key} {code.place}" for key, code in CODE])
def test_every_range_exists(key, code):
    shown = source.excerpt(contents.PLACES[code.place], code.lines)
    for marker in code.lines:
        assert any(marker in line for line in shown.lines.values())
    assert code.twin is None or source.excerpt_of_file(ROOT / "tests" / "reference.py", code.twin)


def test_a_range_is_what_the_file_says():
    shown = source.excerpt("numbert.ops.linear:linear")
    lines = (ROOT / shown.path).read_text(encoding="utf-8").splitlines()
    assert all(lines[number - 1] == line for number, line in shown.lines.items())
    text = "\n".join(shown.lines.values())
    assert text.startswith("def linear(") and '"""' not in text and "@op" not in text


def test_places_and_markers_that_are_not_there_are_named():
    with pytest.raises(LookupError, match="numbert.ops.linear:lineal: there is no such function"):
        source.excerpt("numbert.ops.linear:lineal")
    with pytest.raises(LookupError, match="numbert.ops.linear:linear: no line contains 'z = '"):
        source.excerpt("numbert.ops.linear:linear", ("z = ", "z = "))


def test_a_gradient_is_the_twin_of_its_name():
    lines = source.excerpt("numbert.ops.normalization:layer_norm", backward=True)
    painted = "".join(source.paint(lines.lines, {"xhat", "x", "y"}).values())
    assert 'data-n="xhat">dxhat<' in painted and 'data-n="x">dx<' in painted and 'data-n="dgain">dgain<' in painted
    assert re.sub(r"<[^>]+>", "", painted).replace("&quot;", '"').replace("&gt;", ">") == "".join(lines.lines.values())


@pytest.mark.parametrize("line,number",
                         [("scores = q @ k.T        # 2  (n, H, Tq, Tk)", "2"), ("dk = ds.T @ q  # 2", "2"),
                                         ("x = y  # 1, 3", "1,3"), ("x = 2  # two", None), ("x[2]  # (N, 1)", None)])
def test_numbers_of_lines(line, number):
    assert source.number_of(line) == number


# ------------------------------------------------------------------------------------------------ the values

def test_values_are_those_that_the_op_computes(done):
    """Attention of the first layer, once more from what it was given, line by line."""
    seen = done.seen["pretraining"]
    call = seen.find(ops.attention.forward, "layers.0.attention")
    q, k, v = (call.arguments[name] for name in ("query", "key", "value"))
    width = run.WIDTH // run.HEADS
    out = np.zeros_like(q)
    inner = seen.find(source.function_of("numbert.ops.attention:_probs"), "layers.0.attention")
    shown = [value for one in (call, inner) for values in one.values.values() for value in values.values()
             if isinstance(value, np.ndarray) and value.ndim == 4]
    for head in range(run.HEADS):
        part = slice(head * width, (head + 1) * width)
        scores = q[:, part] @ k[:, part].T / np.sqrt(width)
        shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
        assert any(np.allclose(array[0, head], scores) for array in shown if array.shape[-1] == len(k))
        assert any(np.allclose(array[0, head], shares) for array in shown if array.shape[-1] == len(k))
        assert np.allclose(done.shown["attention"]["0"][head], shares)
        out[:, part] = shares @ v[:, part]
    assert np.allclose(call.given[0], out)


def test_values_stand_on_the_page(done, made):
    """The loss of the hidden words, and the gradient of their logits: softmax minus one, over their number."""
    logits = np.stack([guess["logits"] for guess in done.shown["guesses"]])
    right = [guess["right"] for guess in done.shown["guesses"]]
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert done.facts["decoder_loss"] == pytest.approx(done.facts["mlm_after"])         # in two ops, or in one
    assert done.facts["mlm_after"] == pytest.approx(-np.log(probs[range(len(right)), right]).mean())
    gradient = (probs - np.eye(logits.shape[1])[right]) / len(right)
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', made, re.S)[1])
    assert any(item["s"] == list(gradient.shape) and np.allclose(item["d"], gradient.reshape(-1), rtol=2e-3, atol=1e-9)
               for item in data["values"])


def test_line_values_are_kept_values_as_they_were():
    def work(x):
        y = x + 1
        y *= 2
        return y

    with LineValues([work]) as seen:
        work(np.ones(2))
    call, = seen.calls
    first, second = (call.values[call.first_line + i]["y"].tolist() for i in (1, 2))
    assert (first, second, call.given[0].tolist()) == ([2, 2], [4, 4], [4, 4])
    assert sys.gettrace() is seen._before
    with pytest.raises(LookupError, match="work was not called by nobody"):
        seen.find(work, "nobody")


def test_the_backward_pass_is_that_of_the_call(done):
    seen = done.seen["pretraining"]
    for module in ("layers.0.attention.query", "layers.1.attention.value"):
        call = seen.find(ops.linear.forward, module)
        back = seen.backward_of(call, ops.linear.backward)
        dx, dweight, dbias = back.given
        assert (dx.shape, dweight.shape) == (call.arguments["x"].shape, call.arguments["weight"].shape)
        assert np.allclose(dx, back.arguments["dy"] @ call.arguments["weight"])


@pytest.mark.parametrize("name", ["layer_norm", "linear", "cross_entropy"])
def test_mistakes_are_those_of_the_gradient_check(name):
    op = REGISTRY[name]
    fates = proof.fates(op)
    assert [(f.mutant.what, f.end if f.end != "same" else None) for f in fates] == check_mutants(
        op, np.random.default_rng(0))
    assert all(f.said for f in fates)


def test_no_picture_is_empty(done):
    for name, figure in figures.FIGURES.items():
        drawn = figure(done)
        assert re.search(r'class="(tok|bar|cell|block|report)|<(rect|path|td|circle)', drawn), name
        if 'class="maps"' in drawn:
            assert drawn.count('class="cell"') > 100, name


def test_what_a_line_returns_stands_below_it(made):
    text = made[made.index('id="residual"'):made.index('id="layer-norm"')]
    assert {"→ dx", "→ dy"} <= set(re.findall(r"<b>(→ \w+)</b>", text))


def test_every_card_with_a_backward_pass_has_its_proof(made):
    shown = {code.place for _, code in CODE if code.place in REGISTRY}
    assert shown >= {"linear", "attention", "layer_norm", "cross_entropy", "gelu", "tanh", "add", "take"}
    for name in shown:
        assert f"<code>{name}</code> <small>" in made
    assert "✗" not in made


# ------------------------------------------------------------------------------------------------ what the texts say

def test_the_run_is_as_the_texts_say(done):
    f, shown = done.facts, done.shown
    assert Counter("mask" if g["seen"] == "[MASK]" else done.tokenizer.tokens[g["right"]] == g["seen"]
                   for g in shown["guesses"]) == {"mask": 1, True: 1, False: 1}
    assert f["right"] == "book" and 0.3 < f["p_right"] < 0.7        # book or letter: nothing in the text tells which
    assert f["held_mlm"] < f["unigram"] < f["ln_V"] and f["held_nsp"] < f["ln_2"]
    assert f["answer"] == "a new book" == shown["windows"]["reading"].text
    assert f["with_answer"] == 2 and f["window_count"] == len(shown["windows"]["labels"])
    assert [reading.text for *_, reading in shown["questions"]] == ["library", "Anna", "a new book", ""]
    assert f["key_bias"] < 1e-12 < f["query_bias"] and f["qa_bias"] < 1e-12
    assert f["moved"] == f["tensors"] and f["new"] == 2
    assert [np.argmax(p) for _, _, p, _ in shown["inferred"]] == [0, 1, 2]
    assert (f["graph_db"], f["graph_da"], f["graph_c"]) == (2, 4, 4 * f["graph_a"])
    assert all(np.argmax(p) == label for p, label in zip(shown["tags"][2], shown["tags"][1], strict=True) if label >= 0)


def test_gpt_looks_back_and_bert_both_ways(done):
    assert len(done.shown["gpt_attention"]) == run.LAYERS == len(done.shown["attention"])
    for shares in done.shown["gpt_attention"].values():
        assert len(shares) == run.HEADS and shares.sum(-1) == pytest.approx(1)
        assert (shares[:, np.triu(np.ones(shares.shape[1:]), 1) == 1] == 0).all()
    assert (done.shown["attention"]["0"] > 0).all()


def test_the_world_has_what_its_tasks_say():
    rng = np.random.default_rng(0)
    words = set(world.vocabulary())
    for text, _, _ in world.classified(50, rng):
        assert {w.removesuffix("ing") for w in re.findall(r"\w+", text.lower())} <= words
    for question, text, answer in world.asked(50, rng):
        assert answer in text and question.endswith("?")
    assert {label for *_, label in world.inferred(50, rng)} == {0, 1, 2}
    assert all(len(tokens) == len(tags) for tokens, tags in world.tagged(50, rng))


# ------------------------------------------------------------------------------------------------ the file

def test_no_address_of_the_web(made):
    assert not re.search(r"https?:|//[a-z]+\.|src=|@import|url\((?!#)", made.replace("www.w3.org", ""))


def test_every_fact_was_filled_in(done, made):
    used = {name for language in page.LANGUAGES for name in re.findall(r"\{(\w+)(?::[^}]*)?\}",
                                                                       page.read(f"text.{language}.md"))}
    assert used <= set(done.facts)
    prose = re.sub(r'<div class="src">.*?</div></div>', "", made[made.index("<main"):made.index("<script")], flags=re.S)
    assert not any("{" + name in prose for name in used)


def test_the_same_bytes_twice(tmp_path):
    """With few steps, in two processes whose hashes differ."""
    code = ("import sys; from numbert.lecture import run, page; "
            "run.STEPS = run.FINE_STEPS = run.ANSWER_STEPS = run.GPT_STEPS = 3; "
            "sys.stdout.buffer.write(page.make().encode())")
    pages = [subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=ROOT,
                            env=os.environ | {"PYTHONHASHSEED": seed}).stdout
             for seed in "12"]
    assert len(pages[0]) > 500_000 and pages[0] == pages[1]


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr("numbert.lecture.__main__.make", lambda: "<p>页")
    main(["--out", str(tmp_path / "l.html")])
    assert (tmp_path / "l.html").read_text(encoding="utf-8") == "<p>页"
    assert list(tmp_path.iterdir()) == [tmp_path / "l.html"]
    for wrong in (tmp_path, tmp_path / "no" / "l.html"):
        with pytest.raises(SystemExit, match=f"lecture: --out {re.escape(str(wrong))}: "):
            main(["--out", str(wrong)])


# ------------------------------------------------------------------------------------------------ formulas and marks

@pytest.mark.parametrize("text,plain", [
    ("D(L, z[i]) == p[i] - y[i]", "∂L/∂z_i=p_i−y_i"), ("of(a + b) * c", "(a+b)·c"), ("(a + b) * c", "(a+b)·c"),
    ("a - (b - c)", "a−(b−c)"), ("exp(-x**2 / 2)", "e^−x^2/2"), ("sqrt(K)", "√K"), ("W.T @ x", "W^⊤x")])
def test_formulas(text, plain):
    made = formula.mathml(text)
    for tag, sign in (("mfrac", "/"), ("msub", "_"), ("msup", "^")):
        made = _between(made, tag, sign)
    made = made.replace("<msqrt>", "√")
    assert re.sub(r"<[^>]+>", "", made) == plain


def _between(made, tag, sign):
    """<msub>a b</msub> -> a_b, for reading."""
    while (found := re.search(rf"<{tag}>((?:(?!<{tag}>).)*?)</{tag}>", made)):
        parts, depth, cut = found[1], 0, 0
        for piece in re.finditer(r"<(/?)\w+[^>]*?(/?)>", parts):
            depth += 0 if piece[2] else -1 if piece[1] else 1
            if depth == 0:
                cut = piece.end()
                break
        made = made[:found.start()] + parts[:cut] + sign + parts[cut:] + made[found.end():]
    return made


def test_a_formula_that_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="a formula has no"):
        formula.mathml("[x for x in y]")


def test_marks():
    assert markup.inline("a **b** `c < d`") == "a <strong>b</strong> <code>c &lt; d</code>"
    assert markup.block("| a | b |\n| 1 | 2 |").count("<td>") == 2
    assert markup.block("中文\n中文 and\nmore") == "<p>中文中文 and more</p>"
    with pytest.raises(ValueError, match="'a' comes twice"):
        markup.cards("## a: A\n## a: B\n")
