"""The pictures of the page, drawn from its own run: HTML and SVG in both languages at once."""
import math
from html import escape

import numpy as np

from ..tasks.masking import IGNORED
from . import world

ORANGE, BLUE, TEAL, ROSE = "var(--orange)", "var(--blue)", "var(--teal)", "var(--rose)"
SPECIAL = {"[CLS]", "[SEP]", "[MASK]"}


def both(english, chinese):
    """A text in both languages, of which the page shows one."""
    return f'<span class="en">{english}</span><span class="zh">{chinese}</span>'


def label(x, y, english, chinese=None, **attributes):
    """The same in a drawing; a text without a translation is a name or a number."""
    look = attributes.pop("class_", "")
    more = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return "".join(f'<text x="{x:.1f}" y="{y:.1f}"{more} class="{f"{look} {kind}".strip()}">{escape(text)}</text>'
                   for text, kind in ([(english, "")] if chinese is None else [(english, "en"), (chinese, "zh")]))


def drawing(width, height, *parts):
    return (f'<svg viewBox="0 0 {width:.0f} {height:.0f}" style="max-width:{width:.0f}px" role="img">'
            + "".join(parts) + "</svg>")


def caption(english, chinese):
    return f"<figcaption>{both(english, chinese)}</figcaption>"


def token(text, kind="", below=()):
    """One token with lines of small print below it."""
    kind = kind or ("special" if text in SPECIAL else "")
    return f'<span class="tok {kind}"><b>{escape(text)}</b>' + "".join(f"<i>{line}</i>" for line in below) + "</span>"


def strip(tokens):
    return '<div class="toks">' + "".join(tokens) + "</div>"


def bars(rows, most=None):
    """rows: (label in HTML, value, what stands behind the bar, colour)."""
    most = most or max(value for _, value, *_ in rows) or 1
    return '<div class="bars">' + "".join(
        f'<div class="bar"><span class="name">{name}</span><span class="track"><span style="width:{100 * value / most:.1f}%;'
        f'background:{colour}"></span></span><span class="num">{number}</span></div>'
        for name, value, number, colour in rows) + "</div>"


def percent(p):
    return f"{p:.1%}" if 0.0005 <= p <= 0.9995 or p in (0, 1) else f"{p:.2%}" if p > 0.5 else f"{p:.1e}"


def curve(lines, levels, x_name, y_name, *, top=None):
    """lines: [(name in both languages, colour, values)]; levels: [(name in both, y)], dashed."""
    left, width, height = 46, 560, 220
    top = top or max(max(values) for *_, values in lines)
    steps = max(len(values) for *_, values in lines)

    def px(x):
        return left + x / max(1, steps - 1) * width

    def py(y):
        return 16 + height * (1 - min(y, top) / top)
    parts = []
    unit = next(u for u in (0.1, 0.2, 0.5, 1, 2, 5) if top / u <= 6)
    for k in range(int(top / unit) + 1):
        parts.append(f'<path d="M{left} {py(k * unit):.1f}h{width}" class="grid"/>')
        parts.append(label(left - 8, py(k * unit) + 4, f"{k * unit:g}", text_anchor="end"))
    for k in range(0, steps + 1, max(1, steps // 4 // 10 * 10)):
        parts.append(label(px(min(k, steps - 1)), height + 34, str(k), text_anchor="middle"))
    for (english, chinese), y in levels:
        parts.append(f'<path d="M{left} {py(y):.1f}h{width}" class="level"/>')
        parts.append(label(left + width - 4, py(y) - 5, f"{english} {y:.2f}", f"{chinese} {y:.2f}", text_anchor="end",
                           class_="small"))
    for row, ((english, chinese), colour, values) in enumerate(lines):
        path = "L".join(f"{px(i):.1f} {py(v):.1f}" for i, v in enumerate(smooth(values)))
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        if len(lines) > 1:
            parts.append(f'<path d="M{left + 10} {34 + 18 * row}h22" stroke="{colour}" stroke-width="3"/>')
            parts.append(label(left + 38, 38 + 18 * row, english, chinese))
    parts.append(label(left + width / 2, height + 54, *x_name, text_anchor="middle", class_="small"))
    parts.append(label(left - 38, 10, *y_name, class_="small"))
    return drawing(left + width + 12, height + 62, *parts)


def smooth(values, window=8):
    """Means of `window` values."""
    return [float(np.mean(values[max(0, i - window + 1):i + 1])) for i in range(len(values))]


def cells(matrix, x, y, size, *, most=None, height=None, title=lambda row, column: ""):
    """A matrix as colours: blue below 0, orange above, the deeper the larger."""
    most = most or float(np.abs(matrix).max()) or 1
    parts, height = [], height or size
    for i, row in enumerate(matrix):
        for j, value in enumerate(row):
            colour, strength = (ORANGE if value > 0 else BLUE), min(1, abs(value) / most)
            parts.append(f'<rect x="{x + j * size:.1f}" y="{y + i * height:.1f}" width="{size - 1:.1f}" height="{height - 1:.1f}" '
                         f'fill="{colour}" fill-opacity="{strength:.2f}" data-say="{escape(title(i, j))}{value:.3f}">'
                         f"<title>{escape(title(i, j))}{value:.3f}</title></rect>")
    return "".join(parts)


def attention_map(name, rows, columns, shares):
    """One head: who (row) looks at whom (column). The number of every cell is in it, in percent, and under the pointer."""
    cell, left = 24, 14 + 8.2 * max(map(len, rows))
    top, width = 26 + 7.4 * max(map(len, columns)), cell * len(columns)
    parts = [label(0, 14, *name, class_="strong")]
    for j, word in enumerate(columns):
        parts.append(f'<text transform="translate({left + cell * j + cell / 2 + 4:.1f},{top - 6:.1f}) rotate(-90)">{escape(word)}</text>')
    for i, word in enumerate(rows):
        parts.append(label(left - 6, top + cell * i + 16, word, text_anchor="end"))
        for j, share in enumerate(shares[i]):
            said = f"{word} → {columns[j]}: {share:.1%}"
            parts.append(f'<g data-say="{escape(said)}" class="cell"><title>{escape(said)}</title>'
                         f'<rect x="{left + cell * j:.1f}" y="{top + cell * i:.1f}" width="{cell - 1}" height="{cell - 1}" '
                         f'fill="{TEAL}" fill-opacity="{share:.3f}"/><rect class="edge" x="{left + cell * j:.1f}" '
                         f'y="{top + cell * i:.1f}" width="{cell - 1}" height="{cell - 1}"/>')
            if share >= 0.005:
                parts.append(f'<text x="{left + cell * j + cell / 2 - .5:.1f}" y="{top + cell * i + 15.5:.1f}" text-anchor="middle" '
                             f'class="{"in light" if share > 0.55 else "in"}">{100 * share:.0f}</text>')
            parts.append("</g>")
    return drawing(left + width + 6, top + cell * len(rows) + 6, *parts)


def colour_key():
    """What the depth of the colour means."""
    parts = ['<defs><linearGradient id="key"><stop offset="0" stop-color="var(--teal)" stop-opacity="0"/>'
             '<stop offset="1" stop-color="var(--teal)"/></linearGradient></defs>',
             '<rect x="36" y="4" width="200" height="12" fill="url(#key)" stroke="var(--line)"/>',
             label(30, 15, "0%", text_anchor="end"), label(242, 15, "100%"),
             label(36, 34, "share of the attention, a row adds up to 100%", "注意力的权重，每一行加起来是 100%", class_="small")]
    return drawing(330, 40, *parts)


def maps(attention, rows, columns):
    """The maps of all heads of all layers, and a line that says the number under the pointer."""
    said = both("Point at a cell, or tap it.", "把鼠标移到格子上，或点一下。")
    grid = "".join(f'<div class="map">{attention_map((f"layer {int(layer) + 1}, head {h + 1}", f"第 {int(layer) + 1} 层，第 {h + 1} 个 head"), rows(shares[h]), columns, shares[h])}</div>'
                   for layer, shares in attention.items() for h in range(len(shares)))
    return f'<div class="maps">{grid}</div>{colour_key()}<p class="said" aria-live="polite">{said}</p>'


# ------------------------------------------------------------------------------------------------ the cards' figures

def _words(run):
    return run.shown["tokens"].tokens


def self_supervised(run):
    words = _words(run)[1:7]
    hidden = 4
    given = [token("[MASK]") if i == hidden else token(w) for i, w in enumerate(words)]
    asked = [token(w, "right" if i == hidden else "faint") for i, w in enumerate(words)]
    return (f'<p class="lab">x — {both("a text nobody labelled", "没有标注的文字")}</p>' + strip([token(w) for w in words])
            + f'<p class="lab">x′ — {both("one part of it is the input", "一部分当作输入")}</p>' + strip(given)
            + f'<p class="lab">x″ — {both("another part is the label", "另一部分当作标注")}</p>' + strip(asked)
            + caption("The text is cut into a question and its answer.", "同一段文字被拆成题目和答案。"))


def sizes(run):
    total, one = run.facts["operations"], run.facts["sentence_operations"]
    rows = [(both("BERT-base, its whole pre-training", "BERT-base 的全部预训练"), math.log10(total), f"{total:.1e}", ORANGE),
            (both("the model of this page, this sentence once", "本页的模型，读这句话一次"), math.log10(one), f"{one:.1e}", TEAL)]
    return bars(rows) + caption("Multiplications and additions, on a logarithmic scale: from the shapes alone.",
                                "乘法与加法的次数（对数刻度），只由形状算出。")


def tokens(run):
    e = run.shown["tokens"]
    made = [token(w, below=(f"id {i}", f"{both('segment', '段')} {'AB'[s]}", f"{both('place', '位置')} {t}"))
            for t, (w, i, s) in enumerate(zip(e.tokens, e.input_ids, e.token_type_ids, strict=True))]
    return strip(made) + caption("The running sentences as BERT gets them: three numbers for each token.",
                                 "贯穿全页的两句话，BERT 看到的是每个 token 的三个数字。")


def masked(run):
    tok, seen, labels = run.tokenizer, run.shown["masked"][0], run.shown["labels"][0]
    made = []
    for i, (word, now, right) in enumerate(zip(_words(run), seen, labels, strict=True)):
        shown = tok.tokens[now]
        if right == IGNORED:
            made.append(token(shown, below=("−100",)))
            continue
        kind, fate = (("hidden", both("[MASK]", "[MASK]")) if shown == "[MASK]" else
                      ("same", both("kept", "不变")) if shown == word else ("other", both("another", "换成别的")))
        made.append(token(shown, kind, (f"{both('guess', '要猜')} {escape(word)}", fate)))
    return strip(made) + caption(
        "What the model sees, and below it the label: −100 means that nobody asks.",
        "模型看到的输入；下面是标注，−100 表示这里不问。")


def fates(run):
    f, n = run.shown["fates"], sum(run.shown["fates"].values())
    return bars([("[MASK]", f["mask"] / n, f"{f['mask'] / n:.1%}", ORANGE),
                 (both("another token", "换成别的 token"), f["other"] / n, f"{f['other'] / n:.1%}", ROSE),
                 (both("kept as it is", "保持不变"), f["same"] / n, f"{f['same'] / n:.1%}", TEAL)], most=1) + caption(
        f"What became of {n:,} chosen tokens, drawn by the function below.", f"用下面的函数抽了 {n:,} 个 token 的结果。")


def prediction(run):
    parts = []
    for guess in run.shown["guesses"]:
        best = np.argsort(-guess["probs"], kind="stable")[:5]
        name = f'<p class="lab">{both("seen", "看到")} {token(guess["seen"], "hidden" if guess["seen"] == "[MASK]" else "other" if guess["seen"] != run.tokenizer.tokens[guess["right"]] else "same")} → {both("right", "答案")} <b>{escape(run.tokenizer.tokens[guess["right"]])}</b></p>'
        parts.append(name + bars([(escape(run.tokenizer.tokens[i]), float(guess["probs"][i]), percent(guess["probs"][i]),
                                   TEAL if i == guess["right"] else "var(--grey)") for i in best], most=1))
    return "".join(parts) + caption("The five likeliest words at each chosen place; the right one in green.",
                                    "每个被选中的位置上机率最高的五个词，绿色的是答案。")


def cross_entropy(run):
    guess = next(g for g in run.shown["guesses"] if g["seen"] == "[MASK]")
    p, right = guess["probs"], guess["right"]
    best = [right] + [int(i) for i in np.argsort(-p, kind="stable") if i != right][:4]
    rows = "".join(f'<tr><td>{escape(run.tokenizer.tokens[i])}</td><td>{guess["logits"][i]:.2f}</td><td>{p[i]:.3f}</td>'
                   f'<td>{int(i == right)}</td><td>{p[i] - (i == right):+.3f}</td></tr>' for i in best)
    return (f'<div class="wide"><table><tr><th>{both("word", "词")}</th><th>z</th><th>p</th><th>y</th><th>p − y</th></tr>{rows}'
            f"</table></div>" + caption(f"At [MASK]: the loss of this token is −ln {p[right]:.3f} = {-math.log(p[right]):.3f}.",
                                        f"在 [MASK] 的位置：这个 token 的 loss 是 −ln {p[right]:.3f} = {-math.log(p[right]):.3f}。"))


def mlm_curve(run):
    f = run.facts
    return curve([(("training loss", "训练 loss"), TEAL, run.shown["curves"]["mlm"])],
                 [(("ln V: every word alike", "ln V：每个词一样"), f["ln_V"]), (("entropy of word counts", "词频的熵"), f["unigram"])],
                 ("step", "步"), ("nats", "nats")) + caption(
        "Where a loss should stand: at ln V before learning, below the entropy of word counts as soon as context helps.",
        "loss 应该在哪里：学习之前在 ln V，一旦用上了上下文，就低于词频的熵。")


def nsp(run):
    rows = []
    for (a, b), kind, p in run.shown["nsp_pairs"]:
        right = both("follows", "接在后面") if kind == 0 else both("from another text", "来自别的文章")
        rows.append((f"{escape(a)} <b>{escape(b)}</b><br><small>{right}</small>", p, percent(p), TEAL if kind == 0 else ROSE))
    return '<div class="long">' + bars(rows, most=1) + "</div>" + curve(
        [(("loss of the pairs", "句对的 loss"), BLUE, run.shown["curves"]["nsp"])], [(("ln 2: a coin", "ln 2：抛硬币"), run.facts["ln_2"])],
        ("step", "步"), ("nats", "nats"), top=1.0) + caption("Above: P(B follows A), as this model says it. Below: its loss while it learnt.",
                                                              "上：模型给出的 P（B 接在 A 后面）。下：训练时的 loss。")


def rows(run):
    return "".join(f'<p class="lab">{both("row", "第")} {i + 1}{both("", " 行")}</p>' + strip([token(w) for w in row])
                   for i, row in enumerate(run.shown["rows"])) + caption(
        "Full sentences, one after another, across the ends of texts: [SEP] says where a text ends.",
        "连续的完整句子一直放到放不下为止，可以跨文章；[SEP] 表示一篇文章结束。")


def sop(run):
    e = run.shown["tokens"]
    swapped, number = run.shown["sop"]
    return (f'<p class="lab">0 — {both("in order", "顺序正确")}</p>' + strip([token(w) for w in e.tokens])
            + f'<p class="lab">{number} — {both("exchanged", "前后对调")}</p>' + strip([token(w) for w in swapped])
            + caption("The same two neighbours: only their order is asked.", "同样两个相邻的片段，只问顺序。"))


def two_losses(run):
    f = run.facts
    rows = [("MLM", f["mlm_after"], f"{f['mlm_after']:.3f}", ORANGE), ("NSP", f["nsp_after"], f"{f['nsp_after']:.3f}", BLUE),
            (both("sum", "总和"), f["loss"], f"{f['loss']:.3f}", TEAL)]
    return bars(rows) + caption("The loss of the running pair after the training, in nats.", "贯穿全页的两句话训练之后的 loss（nats）。")


def loading(run):
    return f'<pre class="report">{escape(run.shown["load_report"])}</pre>' + caption(
        "What the loader says: two tensors are new, and were drawn at random.", "载入时的报告：两个张量是新的，随机初始化。")


def moved(run):
    groups = {}
    for name, far in run.shown["moved"].items():
        key = (("embeddings", "embedding") if ".embeddings." in name else
               (f"layer {int(name.split('.')[2]) + 1}", f"第 {int(name.split('.')[2]) + 1} 层") if ".layers." in name else
               ("pooler", "pooler") if "pooler" in name else ("head (new)", "head（新的）"))
        if name.endswith("weight"):
            groups.setdefault(key, []).append(far)
    rows = [(both(*key), float(np.mean(far)), f"{np.mean(far):.1%}", ORANGE if key[0].startswith("head") else TEAL)
            for key, far in groups.items()]
    return bars(rows) + caption("How far the matrices moved in fine-tuning: the length of the change over that of the matrix.",
                                "微调中各矩阵移动了多远：变化量的范数除以矩阵的范数。")


def _classes(rows, names, colours):
    parts = []
    for text, probs in rows:
        parts.append(f'<p class="lab">{text}</p>' + bars([(name, p, percent(p), colour) for name, p, colour in
                                                          zip(names, probs, colours, strict=True)], most=1))
    return "".join(parts)


def classified(run):
    return _classes([(escape(text), probs) for text, probs in run.shown["classified"]],
                    [both("negative", "负面"), both("positive", "正面")], [ROSE, TEAL]) + caption(
        "Two stories that differ in one word.", "只差一个词的两个故事。")


def tags(run):
    words, labels, probs = run.shown["tags"]
    made = []
    for word, right, p in zip(words, labels, probs, strict=True):
        best = int(p.argmax())
        made.append(token(word, "" if right != IGNORED else "faint",
                          (world.TAGS[best], percent(p[best])) if right != IGNORED else ("−100",)))
    return strip(made) + caption("A tag for each word, read at its first piece; the others have no label.",
                                 "每个词一个词性，在它的第一个 piece 上读出；其余的没有标注。")


def inferred(run):
    names = [both("entailment", "蕴含"), both("neutral", "中立"), both("contradiction", "矛盾")]
    return _classes([(f"{escape(a)} → <b>{escape(b)}</b>", p) for a, b, p, _ in run.shown["inferred"]], names,
                    [TEAL, "var(--grey)", ROSE]) + caption("One premise, three hypotheses.", "一个前提，三个假设。")


def answer(run):
    a = run.shown["answer"]
    doc, scores = range(len(a["tokens"]))[a["document"]], a["scores"][a["document"]]
    probs = np.exp(scores - scores.max(0))
    probs /= probs.sum(0)
    rows = []
    for i, t in enumerate(doc):
        cellsof = "".join(
            f'<td>{scores[i, k]:.2f}</td><td class="p"><span style="width:{100 * probs[i, k]:.1f}%;background:{colour}"></span>'
            f'<b>{percent(probs[i, k])}</b></td>' for k, colour in ((0, ORANGE), (1, BLUE)))
        best = " best" if i in scores.argmax(0) else ""
        rows.append(f'<tr class="{best}"><td>d{i + 1}</td><td>{escape(a["tokens"][t])}</td>{cellsof}</tr>')
    s, e = (int(x) + 1 for x in scores.argmax(0))
    size = 19
    left = 78
    pictures = [label(left - 8, 16, "start S", "start S", text_anchor="end", fill=ORANGE), cells(a["S"][None], left, 4, size),
                label(left - 8, 44, "end E", "end E", text_anchor="end", fill=BLUE), cells(a["E"][None], left, 32, size),
                label(left - 8, 72, f"h of d{s}", f"d{s} 的 h", text_anchor="end"), cells(a["h"][doc[s - 1]][None], left, 60, size)]
    return (drawing(left + size * a["h"].shape[1] + 4, 84, *pictures)
            + f'<p class="lab">{escape(run.facts["question"])}</p><div class="wide"><table class="answer"><tr><th></th><th>token</th>'
            f'<th class="o">S·h</th><th class="o">softmax</th><th class="b">E·h</th><th class="b">softmax</th></tr>{"".join(rows)}</table></div>'
            + caption(f"s = {s}, e = {e}: “{escape(run.facts['answer'])}”. Tokens are counted from 1.",
                      f"s = {s}，e = {e}：“{escape(run.facts['answer'])}”。token 从 1 数起。"))


def windows(run):
    w = run.shown["windows"]
    passage, names = w["passage"], w["tokens"]
    cell, left, row = 12, 70, 30
    parts = []
    first, last = passage.answer
    for i, (start, stop) in enumerate(passage.windows):
        y = 30 + row * i
        has = w["labels"][i] != (0, 0)
        parts.append(label(left - 8, y + 14, f"window {i + 1}", f"窗口 {i + 1}", text_anchor="end"))
        for t in range(len(names)):
            inside, part = start <= t < stop, first <= t <= last
            if inside:
                parts.append(f'<rect x="{left + cell * t}" y="{y}" width="{cell - 1}" height="18" fill="'
                             f'{ORANGE if part and has else "var(--grey)" if part else "var(--soft)"}" data-say="{t + 1}: {escape(names[t])}">'
                             f"<title>{t + 1}: {escape(names[t])}</title></rect>")
        parts.append(label(left + cell * len(names) + 10, y + 14, "answer" if has else "(0, 0)", "有答案" if has else "(0, 0)",
                           fill=ORANGE if has else "var(--muted)"))
    parts.append(label(left, 18, "1", class_="small"))
    parts.append(label(left + cell * len(names), 18, str(len(names)), class_="small", text_anchor="end"))
    return '<div class="wide">' + drawing(left + cell * len(names) + 70, 36 + row * len(passage.windows), *parts) + "</div>" + caption(
        f"{len(names)} tokens in {len(passage.windows)} windows of at most {run.facts['room']}, {run.facts['step']} apart. "
        "Orange: the answer, where the window holds all of it.",
        f"{len(names)} 个 token 切成 {len(passage.windows)} 个窗口，每个最多 {run.facts['room']} 个，相隔 {run.facts['step']} 个。橙色是答案，且整个落在这个窗口里。")


def encoder(run):
    """The blocks of a layer, each with a link to its card."""
    blocks = [("embeddings", "Embeddings", "Embedding", "#embeddings"), ("attention", "Self-attention", "Self-attention", "#attention"),
              ("norm", "Add & layer norm", "Residual + layer norm", "#residual"),
              ("ff", "Feed-forward: linear, GELU, linear", "Feed-forward：linear、GELU、linear", "#gelu"),
              ("norm", "Add & layer norm", "Residual + layer norm", "#layer-norm")]
    parts, y = [], 250
    for i, (kind, english, chinese, link) in enumerate(blocks):
        parts.append(f'<a href="{link}"><rect x="90" y="{y - 32}" width="300" height="34" rx="8" class="block {kind}"/>'
                     + label(240, y - 10, english, chinese, text_anchor="middle") + "</a>")
        if i < len(blocks) - 1:
            parts.append(f'<path d="M240 {y - 34}v-14" class="flow"/>')
        y -= 50
    parts += ['<path d="M240 208 H60 V126 H88" class="flow skip"/>', '<path d="M240 108 H60 V26 H88" class="flow skip"/>',
              '<path d="M410 214 h14 V14 h-14" class="flow skip"/>', label(430, 118, f"× {run.facts['L']}")]
    return drawing(480, 262, *parts) + caption("A layer of this page's model; the thin lines are the residuals.",
                                               "本页模型的一层；细线是 residual。")


def embeddings(run):
    model, batch = run.models["pretraining"], run.shown["batch"]
    e, t = model.body.embeddings, 14
    i, s = int(batch["input_ids"][0, t]), int(batch["token_type_ids"][0, t])
    word, place, segment = e.word.weight.data[i], e.position.weight.data[t], e.segment.weight.data[s]
    size, left = 19, 92
    names = [(run.tokenizer.tokens[i], run.tokenizer.tokens[i], word), (f"place {t}", f"位置 {t}", place),
             (f"segment {'AB'[s]}", f"段 {'AB'[s]}", segment), ("sum", "相加", word + place + segment)]
    most = max(float(np.abs(v).max()) for *_, v in names)
    parts = []
    for row, (english, chinese, v) in enumerate(names):
        y = 6 + 30 * row + (8 if row == 3 else 0)
        parts.append(label(left - 8, y + 14, english, chinese, text_anchor="end"))
        parts.append(cells(v[None], left, y, size, most=most))
    parts.append(f'<path d="M{left} 95h{size * len(word)}" class="grid"/>')
    return '<div class="wide">' + drawing(left + size * len(word) + 4, 132, *parts) + "</div>" + caption(
        "Three vectors of one token, and their sum. Orange is above 0, blue below.", "一个 token 的三个向量与它们的和。橙色大于 0，蓝色小于 0。")


def linear(run):
    layer = run.models["pretraining"].body.layers[0].attention.query
    size = 15
    w = layer.weight.data
    parts = [label(0, 12, "W (D, D) of the first layer's queries", "第一层 query 的 W (D, D)", class_="strong"), cells(w, 0, 22, size)]
    return drawing(size * w.shape[1] + 2, 24 + size * len(w), *parts) + caption(
        "Row f holds the numbers that make output f of the inputs.", "第 f 行的数字把输入变成第 f 个输出。")


def attention(run):
    words = [run.tokenizer.tokens[i] for i in run.shown["masked"][0]]
    asking = {len(words): words}
    asked = np.union1d([0], [g["place"] for g in run.shown["guesses"]])
    asking[len(asked)] = [words[t] for t in asked]
    return maps(run.shown["attention"], lambda shares: asking[len(shares)], words) + caption(
        "The last layer computes only the rows that somebody looks at: [CLS] and the tokens to guess.",
        "最后一层只算有人要看的行：[CLS] 和要猜的 token。")


def _values(run, place, module):
    """{name: array} of everything that the recorded call of an op gave."""
    call = next(c for c in run.recordings["pretraining"].calls if c.name == place and c.module.endswith(module))
    return call


def residual(run):
    call = _values(run, "add", "layers.0")
    x, f = (np.asarray(getattr(v, "data", v)) for v in call.arguments.values())
    words = [run.tokenizer.tokens[i] for i in run.shown["masked"][0]]
    a, b, c = (np.linalg.norm(v, axis=1) for v in (x, f, x + f))
    rows = [(escape(w), float(q), f"{p:.2f} + {q:.2f} → {r:.2f}", TEAL) for w, p, q, r in zip(words, a, b, c, strict=True)]
    return '<div class="tight">' + bars(rows) + "</div>" + caption(
        "Norms of x, of what attention adds (the bar), and of their sum, token by token.", "每个 token：x 的范数 + attention 加上的范数（长条）→ 和的范数。")


def layer_norm(run):
    call = _values(run, "layer_norm", "layers.0.attention_norm")
    x = np.asarray(call.arguments["x"])
    xhat = call.given[0] if call.given and call.given[0] is not None else x
    parts, width, left = [], 440, 74
    words = [run.tokenizer.tokens[i] for i in run.shown["masked"][0]]
    low, high = min(x.min(), xhat.min()), max(x.max(), xhat.max())
    for i, word in enumerate(words[:8]):
        for k, (values, colour) in enumerate(((x[i], "var(--grey)"), (xhat[i], TEAL))):
            y = 20 + 30 * i + 10 * k
            parts += [f'<circle cx="{left + (v - low) / (high - low) * width:.1f}" cy="{y}" r="3.2" fill="{colour}" fill-opacity=".65"/>'
                      for v in values]
        parts.append(label(left - 10, 29 + 30 * i, word, text_anchor="end"))
    zero = left + (0 - low) / (high - low) * width
    parts.append(f'<path d="M{zero:.1f} 8V{20 + 30 * 8}" class="grid"/>' + label(zero, 272, "0", text_anchor="middle"))
    return drawing(left + width + 8, 280, *parts) + caption(
        "Each row's numbers before (grey) and after (green): mean 0, variance 1, then gain and bias.",
        "每一行的数字，之前（灰）与之后（绿）：平均 0，方差 1，再乘 gain、加 bias。")


def gelu(run):
    call = _values(run, "gelu", "layers.0.feed_forward")
    x, y = np.asarray(call.arguments["x"]).reshape(-1), call.given[0].reshape(-1)
    width, height, span = 460, 200, 4.0

    def px(v):
        return 20 + (v + span) / (2 * span) * width

    def py(v):
        return height - 30 - v / span * (height - 50)
    line = "L".join(f"{px(v):.1f} {py(0.5 * v * math.erfc(-v / math.sqrt(2))):.1f}" for v in np.linspace(-span, span, 81))
    keep = np.abs(x) < span
    dots = "".join(f'<circle cx="{px(a):.1f}" cy="{py(b):.1f}" r="3" fill="{ORANGE}" fill-opacity=".35"/>'
                   for a, b in list(zip(x[keep], y[keep], strict=True))[:200])
    axis = f'<path d="M20 {py(0):.1f}h{width}M{px(0):.1f} 10V{height - 14}" class="grid"/>'
    marks = "".join(label(px(v), py(0) + 18, f"{v}", text_anchor="middle", class_="small") for v in (-3, -2, -1, 1, 2, 3))
    return drawing(width + 40, height, axis, marks, f'<path d="M{line}" fill="none" stroke="{TEAL}" stroke-width="2"/>', dots) + caption(
        "x Φ(x), and as dots the numbers that this run sent through it.", "x Φ(x)；圆点是这次运行真正送进去的数字。")


def graph(run):
    f = run.facts
    nodes = [("a", f["graph_a"], f["graph_da"], 50), ("b = a + a", f["graph_b"], f["graph_db"], 210), ("c = b + b", f["graph_c"], 1, 370)]
    parts = []
    for name, value, slope, x in nodes:
        parts.append(f'<rect x="{x - 48}" y="40" width="110" height="56" rx="8" class="block norm"/>')
        parts.append(label(x + 7, 62, f"{name}", text_anchor="middle", class_="strong") + label(x + 7, 84, f"{value:g}   ∂c = {slope:g}", text_anchor="middle"))
    for x in (112, 272):
        parts.append(f'<path d="M{x} 58q25 -18 50 0M{x} 78q25 18 50 0" class="flow"/>')
    return drawing(450, 130, *parts) + caption("Two edges between each two nodes: a's gradient is the sum over four paths.",
                                               "每两个节点之间有两条边：a 的梯度是四条路径之和。")


def adamw(run):
    a = run.shown["adamw"]
    best = np.argsort(-np.abs(a["g"]), kind="stable")[:6]
    rows = "".join(f'<tr><td>{escape(a["tokens"][i])}</td><td>{a["w"][i]:+.4f}</td><td>{a["g"][i]:+.4f}</td><td>{a["after"][i] - a["w"][i]:+.5f}</td></tr>'
                   for i in best)
    return (f'<div class="wide"><table><tr><th>{both("bias of", "这个词的 bias")}</th><th>w</th><th>g</th><th>Δw</th></tr>{rows}</table></div>'
            + caption("The first step with learning rate 0.001: every number moves about as far, whatever the size of its gradient.",
                      "第一步，学习率 0.001：不管梯度大小，每个数移动得差不多远。"))


def gpt(run):
    words, probs, ids = run.shown["gpt"]
    made = [token(words[0], below=("",))]
    for t in range(1, len(words)):
        made.append(token(words[t], below=(percent(probs[t - 1, ids[t]]),)))
    return (strip(made) + f'<p class="lab">{escape(run.facts["prompt"])} <b>{escape(run.facts["written"])}</b></p>'
            + caption("Below each token: how probable it was, given those before it. Then what the model writes by itself.",
                      "每个 token 下面是看过前面之后它的机率。再下面是模型自己接着写的。"))


def gpt_attention(run):
    words = run.shown["gpt"][0]
    first = dict(list(run.shown["gpt_attention"].items())[:1])
    return maps(first, lambda shares: words[:len(shares)], words) + caption(
        "The upper right is empty: nobody sees what comes later.", "右上角是空的：谁也看不到后面的 token。")


FIGURES = {f.__name__: f for f in (
    self_supervised, sizes, tokens, masked, fates, prediction, cross_entropy, mlm_curve, nsp, rows, sop, two_losses, loading,
    moved, classified, tags, inferred, answer, windows, encoder, embeddings, linear, attention, residual, layer_norm, gelu,
    graph, adamw, gpt, gpt_attention)}
