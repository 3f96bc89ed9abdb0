"""The pictures of the cards, each drawn from the page's own run. Their captions are in the texts."""
import math
from html import escape

import numpy as np

from ..pretraining.masking import IGNORED
from . import world
from .drawing import (
    BLUE,
    GREY,
    ORANGE,
    ROSE,
    TEAL,
    attention_maps,
    bars,
    both,
    cells,
    chart,
    curve,
    label,
    line,
    percent,
    pointed,
    said,
    strip,
    svg,
    table,
    token,
    vectors,
)
from .run import power_of_ten


def _seen(run):
    """The tokens of the running pair as the model sees them."""
    return [run.tokenizer.tokens[i] for i in run.shown["masked"][0]]


def _call(run, name, module):
    """The recorded call of an op in the pre-trained model, by the end of its module's path."""
    return next(call for call in run.seen["pretraining"].calls
                if call.name == name and call.module.endswith(module))


def self_supervised(run):
    words, hidden = run.shown["tokens"].tokens[1:7], 4
    given = [token("[MASK]" if i == hidden else word, "hidden" if i == hidden else "") for i, word in enumerate(words)]
    asked = [token(word, "right" if i == hidden else "faint") for i, word in enumerate(words)]
    return (strip(map(token, words), "x — " + both("a text that nobody labelled", "没有人标注的文字"))
            + strip(given, "x′ — " + both("a part of it is the input", "一部分当作输入"))
            + strip(asked, "x″ — " + both("another part is the label", "另一部分当作标注")))


def sizes(run):
    all_of_it, one = run.shown["operations"]
    return bars([(both("BERT-base, all its pre-training", "BERT-base 的全部预训练"), math.log10(all_of_it),
                  power_of_ten(all_of_it), ORANGE),
                 (both("our small model, our pair once", "我们的小模型，读这两句话一次"), math.log10(one),
                  power_of_ten(one), TEAL)])


def tokens(run):
    e = run.shown["tokens"]
    segment, place = both("segment", "段"), both("position", "位置")
    return strip(token(word, below=(f"id {i}", f"{segment} {'AB'[s]}", f"{place} {t}"))
                 for t, (word, i, s) in enumerate(zip(e.tokens, e.input_ids, e.token_type_ids, strict=True)))


def masked(run):
    made = []
    for word, seen, right in zip(run.shown["tokens"].tokens, _seen(run), run.shown["labels"][0], strict=True):
        if right == IGNORED:
            made.append(token(seen, below=("−100",)))
        else:
            kind, fate = (("hidden", "[MASK]") if seen == "[MASK]" else
                          ("same", both("kept", "不变")) if seen == word else ("other", both("another", "换成别的")))
            made.append(token(seen, kind, (f"{both('guess', '要猜')} {escape(word)}", fate)))
    return strip(made)


def fates(run):
    f = run.shown["fates"]
    names = {"mask": ("[MASK]", ORANGE), "other": (both("another token", "换成别的 token"), ROSE),
             "same": (both("kept as it is", "保持不变"), TEAL)}
    shares = {kind: count / sum(f.values()) for kind, count in f.items()}
    return bars([(name, shares[kind], f"{shares[kind]:.1%}", colour) for kind, (name, colour) in names.items()], most=1)


def prediction(run):
    parts, words = [], run.tokenizer.tokens
    for guess in run.shown["guesses"]:
        right = words[guess["right"]]
        kind = "hidden" if guess["seen"] == "[MASK]" else "same" if guess["seen"] == right else "other"
        best = np.argsort(-guess["probs"], kind="stable")[:5]
        parts.append(said(f'{both("seen", "看到")} {token(guess["seen"], kind)} → {both("right", "答案")} '
                          f"<b>{escape(right)}</b>"))
        parts.append(bars([(escape(words[i]), float(guess["probs"][i]), percent(guess["probs"][i]),
                            TEAL if i == guess["right"] else GREY) for i in best], most=1))
    return "".join(parts)


def cross_entropy(run):
    guess = next(g for g in run.shown["guesses"] if g["seen"] == "[MASK]")
    p, right = guess["probs"], guess["right"]
    best = [right] + [int(i) for i in np.argsort(-p, kind="stable") if i != right][:4]
    return table([both("word", "词"), "z", "p", "y", "p − y"],
                 [(escape(run.tokenizer.tokens[i]), f"{guess['logits'][i]:.2f}", f"{p[i]:.3f}", int(i == right),
                   f"{p[i] - (i == right):+.3f}") for i in best])


def mlm_curve(run):
    levels = [(("ln V: every word alike", "ln V：每个词一样"), run.facts["ln_V"]),
              (("entropy of word counts", "词频的熵"), run.facts["unigram"])]
    return curve(run.shown["curves"]["mlm"], TEAL, levels, math.ceil(max(run.shown["curves"]["mlm"])))


def nsp(run):
    rows = []
    for (first, second), label_, p in run.shown["nsp_pairs"]:
        kind = both("from another text", "来自别的文章") if label_ else both("follows", "接在后面")
        rows.append((f"{escape(first)} <b>{escape(second)}</b><br><small>{kind}</small>", p, percent(p),
                     ROSE if label_ else TEAL))
    return f'<div class="long">{bars(rows, most=1)}</div>' + curve(
        run.shown["curves"]["nsp"], BLUE, [(("ln 2: a coin", "ln 2：抛硬币"), run.facts["ln_2"])], 1.0)


def rows(run):
    return "".join(strip(map(token, row), both(f"row {i}", f"第 {i} 行")) for i, row in enumerate(run.shown["rows"], 1))


def sop(run):
    exchanged, number = run.shown["sop"]
    return (strip(map(token, run.shown["tokens"].tokens), "0 — " + both("in order", "顺序正确"))
            + strip(map(token, exchanged), f"{number} — " + both("exchanged", "前后对调")))


def two_losses(run):
    f = run.facts
    return bars([(name, f[key], f"{f[key]:.3f}", colour) for name, key, colour in
                 (("MLM", "mlm_after", ORANGE), ("NSP", "nsp_after", BLUE), (both("sum", "总和"), "loss", TEAL))])


def loading(run):
    return f'<pre class="report">{escape(run.shown["load_report"])}</pre>'


def moved(run):
    groups = {}
    for name, far in run.shown["moved"].items():
        layer = int(name.split(".")[2]) + 1 if ".layers." in name else 0
        group = (both(f"layer {layer}", f"第 {layer} 层") if layer else "embedding" if ".embeddings." in name else
                 "pooler" if "pooler" in name else both("head (new)", "head（新的）"))
        if name.endswith("weight"):
            groups.setdefault(group, []).append(far)
    return bars([(group, float(np.mean(far)), f"{np.mean(far):.1%}", ORANGE if "head" in group else TEAL)
                 for group, far in groups.items()])


def _classes(texts, names):
    """For each text the probabilities of classes (name, colour)."""
    return "".join(said(text) + bars([(name, p, percent(p), colour)
                                      for (name, colour), p in zip(names, probs, strict=True)], most=1)
                   for text, probs in texts)


def classified(run):
    return _classes([(escape(text), probs) for text, probs in run.shown["classified"]],
                    [(both("negative", "负面"), ROSE), (both("positive", "正面"), TEAL)])


def tags(run):
    words, labels, probs = run.shown["tags"]
    return strip(token(word, "faint", ("−100",)) if right == IGNORED else
                 token(word, below=(world.TAGS[p.argmax()], percent(p.max())))
                 for word, right, p in zip(words, labels, probs, strict=True))


def inferred(run):
    return _classes([(f"{escape(a)} → <b>{escape(b)}</b>", probs) for a, b, probs, _ in run.shown["inferred"]],
                    [(both("entailment", "蕴含"), TEAL), (both("neutral", "中立"), GREY),
                     (both("contradiction", "矛盾"), ROSE)])


def answer(run):
    a = run.shown["answer"]
    places, scores = range(len(a["tokens"]))[a["document"]], a["scores"][a["document"]]
    probs = np.exp(scores - scores.max(0))
    probs /= probs.sum(0)
    lines = []
    for i, place in enumerate(places):
        cells_of = "".join(f'<td>{scores[i, k]:.2f}</td><td class="p"><span style="width:{100 * probs[i, k]:.1f}%;'
                           f'background:{colour}"></span><b>{percent(probs[i, k])}</b></td>'
                           for k, colour in enumerate((ORANGE, BLUE)))
        best = ' class="best"' if i in scores.argmax(0) else ""
        lines.append(f"<tr{best}><td>d{i + 1}</td><td>{escape(a['tokens'][place])}</td>{cells_of}</tr>")
    s, cell = run.facts["s"], 19
    words = [a["tokens"][place] for place in places]
    softmaxes = [label(88, 79 + 26 * k, name, text_anchor="end", fill=colour)
                 for k, (name, colour) in enumerate((("softmax S·h", ORANGE), ("softmax E·h", BLUE)))]
    for (i, k), p in np.ndenumerate(probs):
        softmaxes.append(f'<rect x="{96 + cell * i}" y="{65 + 26 * k}" width="{cell - 1}" height="{cell - 1}" '
                         f'fill="{(ORANGE, BLUE)[k]}" fill-opacity="{max(0.06, p):.3f}"'
                         + pointed(f"{words[i]}: {p:.1%}") + "</rect>")
    across = svg(100 + cell * len(words), 114, *softmaxes, *_above(words, 96, 62, cell))
    return (vectors([("start S", "开头 S", a["S"], ORANGE), ("end E", "结尾 E", a["E"], BLUE),
                     (f"h of d{s}", f"d{s} 的 h", a["h"][places[s - 1]], "var(--ink)")])
            + said(escape(run.facts["question"])) + f'<div class="wide">{across}</div>'
            + table(["", "token", "S·h", "softmax", "E·h", "softmax"], lines, "answer"))


def windows(run):
    w, cell, left, row = run.shown["windows"], 12, 70, 30
    names, (first, last) = w["tokens"], w["passage"].answer
    parts = [label(left, 18, "1", look="small"),
             label(left + cell * len(names), 18, str(len(names)), look="small", text_anchor="end")]
    for i, ((start, stop), where) in enumerate(zip(w["passage"].windows, w["labels"], strict=True)):
        y, has = 30 + row * i, where != (0, 0)
        for t in range(start, stop):
            colour = "var(--soft)" if not first <= t <= last else ORANGE if has else GREY
            parts.append(f'<rect x="{left + cell * t}" y="{y}" width="{cell - 1}" height="18" fill="{colour}">'
                         f"<title>{t + 1}: {escape(names[t])}</title></rect>")
        parts.append(label(left - 8, y + 14, f"window {i + 1}", f"窗口 {i + 1}", text_anchor="end"))
        parts.append(label(left + cell * len(names) + 10, y + 14, "answer" if has else "(0, 0)",
                           "有答案" if has else "(0, 0)", fill=ORANGE if has else "var(--muted)"))
    picture = svg(left + cell * len(names) + 70, 36 + row * len(w["labels"]), *parts)
    return f'<div class="wide">{picture}</div>'


def spans(run):
    """The score of every span i..j of the running story: a row for its first token, a column for its last."""
    a, cell, left, top = run.shown["answer"], 17, 62, 62
    words, scores = a["tokens"][a["document"]], a["scores"][a["document"]]
    both_ends = scores[:, :1] + scores[:, 1]                            # (tokens, tokens)
    pairs = list(zip(*np.triu_indices(len(words)), strict=True))        # i <= j
    best, parts = max(pairs, key=lambda pair: both_ends[pair]), []
    for i, j in pairs:
        share = (both_ends[i, j] - both_ends.min()) / np.ptp(both_ends)
        said_of = f"{' '.join(words[i:j + 1])}: {both_ends[i, j]:.2f}"
        parts.append(f'<rect x="{left + cell * j}" y="{top + cell * i}" width="{cell - 1}" height="{cell - 1}" '
                     f'fill="{TEAL}" fill-opacity="{share ** 3:.3f}" stroke="{ORANGE}" '
                     f'stroke-width="{2 * ((i, j) == best)}"' + pointed(said_of) + "</rect>")
    parts += [label(left - 5, top + cell * k + 12, word, look="small", text_anchor="end")
              for k, word in enumerate(words)]
    size = cell * len(words)
    return svg(left + size + 4, top + size + 4, *parts, *_above(words, left, top, cell))


def _above(words, left, top, cell):
    """Words above the columns of a picture."""
    return [f'<text transform="translate({left + cell * k + cell * 0.7:.1f},{top - 5}) rotate(-90)" class="small">'
            f"{escape(word)}</text>" for k, word in enumerate(words)]


def encoder(run):
    """The blocks of a layer, each with a link to its card."""
    blocks = [("embeddings", "Embeddings", "Embedding", "embeddings"),
              ("attention", "Self-attention", "Self-attention", "attention"),
              ("norm", "Add & layer norm", "Residual + layer norm", "residual"),
              ("ff", "Feed-forward: linear, GELU, linear", "Feed-forward：linear、GELU、linear", "gelu"),
              ("norm", "Add & layer norm", "Residual + layer norm", "layer-norm")]
    parts = []
    for i, (kind, english, chinese, card) in enumerate(blocks):
        y = 250 - 50 * i
        block = f'<rect x="90" y="{y - 32}" width="300" height="34" rx="8" class="block {kind}"/>'
        parts.append(f'<a href="#{card}">{block}{label(240, y - 10, english, chinese, text_anchor="middle")}</a>')
        parts += [line(f"M240 {y - 34}v-14", "flow")] * (i < len(blocks) - 1)
    return svg(480, 262, *parts, line("M240 208H60V126H88", "flow skip"), line("M240 108H60V26H88", "flow skip"),
               line("M410 214h14V14h-14", "flow skip"), label(430, 118, f"× {run.facts['L']}"))


def embeddings(run):
    tables, batch, place = run.models["pretraining"].body.embeddings, run.shown["batch"], 14
    i, s = int(batch["input_ids"][0, place]), int(batch["token_type_ids"][0, place])
    three = [tables.word.weight.data[i], tables.position.weight.data[place], tables.segment.weight.data[s]]
    names = [(run.tokenizer.tokens[i],) * 2, (f"position {place}", f"位置 {place}"),
             (f"segment {'AB'[s]}", f"段 {'AB'[s]}"), ("sum", "相加")]
    most = max(float(np.abs(v).max()) for v in (*three, sum(three)))
    return vectors([(*name, vector, "var(--ink)") for name, vector in zip(names, (*three, sum(three)), strict=True)],
                   [most] * 4)


def linear(run):
    w, size = run.models["pretraining"].body.layers[0].attention.query.weight.data, 15
    return svg(size * w.shape[1] + 2, 24 + size * len(w), cells(w, 0, 22, size),
               label(0, 12, "W (D, D) of the first layer's queries", "第一层 query 的 W (D, D)", "strong"))


def _heads(layers, rows_of, columns):
    return [(f"layer {int(layer) + 1}, head {h}", f"第 {int(layer) + 1} 层，head {h}", rows_of(one), columns, one)
            for layer, shares in layers.items() for h, one in enumerate(shares, 1)]


def attention(run):
    words = _seen(run)
    asking = [words[t] for t in np.union1d([0], [guess["place"] for guess in run.shown["guesses"]])]
    return attention_maps("key-bert", _heads(
        run.shown["attention"], lambda shares: words if len(shares) == len(words) else asking, words))


def residual(run):
    call = _call(run, "add", "layers.0")
    x, f = (np.asarray(value) for value in call.arguments.values())
    norms = [np.linalg.norm(rows, axis=1) for rows in (x, f, x + f)]
    return '<div class="tight">' + bars([
        (escape(word), float(added), f"{before:.2f} + {added:.2f} → {after:.2f}", TEAL)
        for word, before, added, after in zip(_seen(run), *norms, strict=True)]) + "</div>"


def layer_norm(run):
    call = _call(run, "layer_norm", "layers.0.attention_norm")
    before, after, width, left = np.asarray(call.arguments["x"]), call.given[0], 440, 74
    low, high = min(before.min(), after.min()), max(before.max(), after.max())

    def px(value):
        return left + (value - low) / (high - low) * width
    parts = [line(f"M{px(0):.1f} 8V260"), label(px(0), 274, "0", text_anchor="middle")]
    for i, word in enumerate(_seen(run)[:8]):
        parts.append(label(left - 10, 29 + 30 * i, word, text_anchor="end"))
        for y, values, colour in ((20 + 30 * i, before[i], GREY), (30 + 30 * i, after[i], TEAL)):
            parts += [f'<circle cx="{px(v):.1f}" cy="{y}" r="3.2" fill="{colour}" fill-opacity=".65"/>' for v in values]
    return svg(left + width + 8, 280, *parts)


def gelu(run):
    call = _call(run, "gelu", "layers.0.feed_forward")
    x, y = np.asarray(call.arguments["x"]).reshape(-1), call.given[0].reshape(-1)
    width, height, reach = 460, 200, 4.0

    def at(x, y):
        return 20 + (x + reach) / (2 * reach) * width, height - 30 - y / reach * (height - 50)
    points = [at(v, 0.5 * v * math.erfc(-v / math.sqrt(2))) for v in np.linspace(-reach, reach, 81)]
    middle, zero = at(0, 0)
    parts = [line(f"M20 {zero:.1f}h{width}M{middle:.1f} 10V{height - 14}"),
             line("M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in points), "", fill="none", stroke=TEAL, stroke_width=2)]
    parts += [label(at(v, 0)[0], zero + 18, f"{v}", None, "small", text_anchor="middle") for v in (-3, -2, -1, 1, 2, 3)]
    for a, b in (at(*pair) for pair in zip(x[:200], y[:200], strict=True) if abs(pair[0]) < reach):
        parts.append(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{ORANGE}" fill-opacity=".35"/>')
    return svg(width + 40, height, *parts)


def graph(run):
    f, parts = run.facts, []
    nodes = (50, "a", "graph_a", "graph_da"), (210, "b = a + a", "graph_b", "graph_db"), (
        370, "c = b + b", "graph_c", "")
    for x, name, value, slope in nodes:
        parts += [f'<rect x="{x - 48}" y="40" width="110" height="56" rx="8" class="block norm"/>',
                  label(x + 7, 62, f"{name} = {f[value]:g}", None, "strong", text_anchor="middle"),
                  label(x + 7, 84, f"∂c/∂{name[0]} = {f.get(slope, 1):g}", text_anchor="middle")]
    return svg(450, 130, *parts, *(line(f"M{x} 58q25 -18 50 0M{x} 78q25 18 50 0", "flow") for x in (112, 272)))


def adamw(run):
    """Gradients of very different sizes, and the steps that they cause, each over the largest of its kind."""
    a, words = run.shown["adamw"], run.tokenizer.tokens
    steps, order = a["after"] - a["w"], np.argsort(-np.abs(a["g"]), kind="stable")
    some = order[::max(1, len(order) // 6)][:6]

    def bar(name, values, i):
        return abs(values[i]) / np.abs(values[some]).max(), None, f"{name} {values[i]:+.1e}"
    return chart([(words[i], [bar("g", a["g"], i), bar("Δw", steps, i)]) for i in some])


def gpt(run):
    words, probs, ids = run.shown["gpt"]
    made = [token(words[0], below=("",))]
    made += [token(words[t], below=(percent(probs[t - 1, ids[t]]),)) for t in range(1, len(words))]
    return strip(made) + said(f"{escape(run.facts['prompt'])} <b>{escape(run.facts['written'])}</b>")


def gpt_attention(run):
    words = run.shown["gpt"][0]
    first = dict(list(run.shown["gpt_attention"].items())[:1])
    return attention_maps("key-gpt", _heads(first, lambda shares: words[:len(shares)], words))


FIGURES = {f.__name__: f for f in (
    self_supervised, sizes, tokens, masked, fates, prediction, cross_entropy, mlm_curve, nsp, rows, sop, two_losses,
    loading, moved, classified, tags, inferred, answer, windows, spans, encoder, embeddings, linear, attention,
    residual, layer_norm, gelu, graph, adamw, gpt, gpt_attention)}
