"""What the exercises are checked by: the definition, in plain loops, beside what was written.

Gradients are held to central differences of the definition (numbert/gradcheck/differences.py says how exact these are).
So the check of a backward pass does not depend on the forward pass of whoever wrote it. Nothing here comes from the
package.
"""
import math

import numpy as np
from verdict import Wrong, call, check, equal, gradient, same, several

# ---- softmax with cross-entropy --------------------------------------------------------------------------------------


def plain_cross_entropy(logits, labels):
    losses = []
    for row, label in zip(logits.tolist(), labels, strict=True):
        if label != -100:
            largest = max(row)
            losses.append(math.log(sum(math.exp(score - largest) for score in row)) + largest - row[label])
    return sum(losses) / len(losses)


def cross_entropy_cases():
    rng = np.random.default_rng(0)
    yield np.log([[1.0, 3.0], [5.0, 1.0]]), np.array([1, -100])
    yield rng.standard_normal((3, 4)), np.array([2, 0, 3])
    yield rng.standard_normal((4, 4)), np.array([3, -100, 0, 0])
    yield 1000 + rng.standard_normal((2, 3)), np.array([0, 2])


@check("cross_entropy")
def check_cross_entropy(cross_entropy):
    for logits, labels in cross_entropy_cases():
        what = f"loss of logits {logits.shape}, labels {labels.tolist()}"
        equal(what + (", about 1000" if logits.max() > 100 else ""), call(cross_entropy, logits, labels),
              plain_cross_entropy(logits, labels))


@check("cross_entropy")
def check_cross_entropy_backward(cross_entropy_backward):
    for dy, (logits, labels) in zip((1.0, 2.0, -0.7, 1.0), cross_entropy_cases(), strict=True):
        def loss(dy=dy, logits=logits, labels=labels):
            return dy * plain_cross_entropy(logits, labels)

        gradient(f"labels {labels.tolist()}, dy {dy}: dlogits", call(cross_entropy_backward, dy, logits, labels), loss,
                 logits)


# ---- layer norm ------------------------------------------------------------------------------------------------------


def plain_layer_norm(x, gain, bias, eps):
    y = np.empty_like(x)
    for n, row in enumerate(x):
        mean = sum(row) / len(row)
        variance = sum((value - mean) ** 2 for value in row) / len(row)
        for d, value in enumerate(row):
            y[n, d] = (value - mean) / math.sqrt(variance + eps) * gain[d] + bias[d]
    return y


@check("layer_norm")
def check_layer_norm_backward(layer_norm_backward):
    rng = np.random.default_rng(0)
    for N, D, eps in ((1, 2, 3.0), (3, 5, 1e-12), (4, 4, 0.5)):
        x, gain, bias, dy = (rng.standard_normal(shape) for shape in ((N, D), D, D, (N, D)))

        def loss(x=x, gain=gain, bias=bias, dy=dy, eps=eps):
            return (dy * plain_layer_norm(x, gain, bias, eps)).sum()

        found = several(call(layer_norm_backward, dy, x, gain, eps), "dx", "dgain", "dbias")
        for name, got, of in zip(("dx", "dgain", "dbias"), found, (x, gain, bias), strict=True):
            gradient(f"x {x.shape}, eps {eps}: {name}", got, loss, of)


# ---- attention -------------------------------------------------------------------------------------------------------


def plain_softmax(scores):
    """Of a list of numbers; -inf has no share."""
    largest = max(scores)
    if largest == -math.inf:
        return [0.0] * len(scores)
    shares = [math.exp(score - largest) for score in scores]
    return [share / sum(shares) for share in shares]


def plain_attention(q, k, v, mask):
    out = np.zeros((*q.shape[:2], v.shape[2]))
    for h, i in np.ndindex(q.shape[:2]):
        scores = [sum(q[h, i] * k[h, j]) / math.sqrt(q.shape[2]) if mask is None or mask[i, j] else -math.inf
                  for j in range(k.shape[1])]
        for j, share in enumerate(plain_softmax(scores)):
            out[h, i] += share * v[h, j]
    return out


def attention_cases():
    """(what, q, k, v, mask)"""
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.standard_normal(shape)

    causal = np.tri(3, dtype=bool)
    nothing = causal.copy()
    nothing[0] = False
    yield "H = Tq = T = K = 2", normal(2, 2, 2), normal(2, 2, 2), normal(2, 2, 2), None
    yield "a causal mask", normal(2, 3, 2), normal(2, 3, 2), normal(2, 3, 2), causal
    yield "a token that sees nothing", normal(2, 3, 2), normal(2, 3, 2), normal(2, 3, 2), nothing
    yield "H = 2, Tq = 2, T = 4, K = 3", normal(2, 2, 3), normal(2, 4, 3), normal(2, 4, 3), None


@check("attention")
def check_attention(attention):
    for what, q, k, v, mask in attention_cases():
        for factor in (1, 40):
            equal(f"{what}, q and k times {factor}: out", call(attention, factor * q, factor * k, v, mask),
                  plain_attention(factor * q, factor * k, v, mask))


@check("attention")
def check_attention_backward(attention_backward):
    rng = np.random.default_rng(1)
    for what, q, k, v, mask in attention_cases():
        dy = rng.standard_normal(q.shape)

        def loss(q=q, k=k, v=v, mask=mask, dy=dy):
            return (dy * plain_attention(q, k, v, mask)).sum()

        found = several(call(attention_backward, dy, q, k, v, mask), "dq", "dk", "dv")
        for name, got, of in zip(("dq", "dk", "dv"), found, (q, k, v), strict=True):
            gradient(f"{what}: {name}", got, loss, of)


# ---- AdamW -----------------------------------------------------------------------------------------------------------


def plain_adamw(w, g, m, v, t, *, lr, beta1, beta2, eps, weight_decay):
    """For one number."""
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
    step = (m / (1 - beta1 ** t)) / (math.sqrt(v / (1 - beta2 ** t)) + eps)
    return w - lr * (step + weight_decay * w), m, v


@check("adamw")
def check_adamw_step(adamw_step):
    rng = np.random.default_rng(0)
    for what, settings in (("the usual settings", dict(lr=0.1, beta1=0.9, beta2=0.999, eps=1e-6, weight_decay=0.01)),
                           ("no decay", dict(lr=0.1, beta1=0.5, beta2=0.75, eps=1e-6, weight_decay=0.0)),
                           ("a large eps", dict(lr=0.01, beta1=0.9, beta2=0.99, eps=0.5, weight_decay=0.2))):
        w, m, v = rng.standard_normal((2, 3)), np.zeros((2, 3)), np.zeros((2, 3))
        for t in (1, 2, 3):
            g = rng.standard_normal((2, 3))
            found = several(call(adamw_step, w, g, m, v, t, **settings), "w", "m", "v")
            numbers = [plain_adamw(*one, t, **settings) for one in zip(w.flat, g.flat, m.flat, v.flat, strict=True)]
            w, m, v = (np.reshape(column, w.shape) for column in zip(*numbers, strict=True))
            for name, got, expected in zip("mvw", (found[1], found[2], found[0]), (m, v, w), strict=True):
                equal(f"{what}, step {t}: {name}", got, expected)


# ---- masking ---------------------------------------------------------------------------------------------------------

PAD, CLS, SEP, MASK, V = 0, 2, 3, 4, 45                 # ids from 5 on are ordinary
LENGTHS = (4, 8, 20, 40, 0, 3, 16, 34)                  # ordinary tokens: 0.15 n is never half way between two numbers


def mask_tokens_text():
    rng, texts = np.random.default_rng(0), np.full((len(LENGTHS), 42), PAD)
    for text, n in zip(texts, LENGTHS, strict=True):
        text[:n + 2] = [CLS, *rng.integers(5, V, n), SEP]
    return texts


@check("mask_tokens")
def check_mask_tokens(mask_tokens):
    ids, ordinary = mask_tokens_text(), np.arange(V) >= 5

    def draw(seed):
        found = several(call(mask_tokens, ids, np.random.default_rng(seed), ordinary=ordinary, mask_id=MASK),
                        "masked ids", "labels")
        return [np.asarray(x) for x in found]

    before = np.random.get_state()[1].copy()
    results = [draw(seed) for seed in range(400)]
    if (np.random.get_state()[1] != before).any():
        raise Wrong("NumPy's global generator: expected no draw from it, got some; rng is to be used")
    for name, one, other in zip(("masked ids", "labels"), draw(0), results[0], strict=True):
        equal(f"a second time with the same seed: {name}", one, other)
    if all(np.array_equal(labels, results[0][1]) for _, labels in results):
        raise Wrong("labels: expected other ones for another rng, got the same for 400 of them")

    for masked, labels in results:
        for name, x in (("masked ids", masked), ("labels", labels)):
            if x.shape != ids.shape or x.dtype.kind not in "iu":
                raise Wrong(f"{name}: expected integers {ids.shape}, got {x.dtype} {x.shape}")
        chosen = labels != -100
        equal("labels", labels, np.where(chosen & ordinary[ids], ids, -100))
        equal("masked ids", np.where(chosen, ids, masked), ids)
        for b, n in enumerate(LENGTHS):
            expected = max(1, round(0.15 * n)) if n else 0
            same(f"how many are chosen in sequence {b} of {n} ordinary tokens", int(chosen[b].sum()), expected)
        if not (ok := ordinary[masked] | (masked == MASK) | ~chosen).all():
            place = np.argwhere(~ok)[0].tolist()
            raise Wrong(f"masked ids{place}: expected [MASK] or an ordinary id, got {masked[tuple(place)]}")
    masked, labels = (np.array(x) for x in zip(*results, strict=True))
    chosen = labels != -100
    originals, fates = labels[chosen], masked[chosen]
    drawn = fates[(fates != MASK) & (fates != originals)]
    kept = 0.1 + 0.1 / (V - 5)                          # a random token may be the same one
    for what, count, n, share in (
            ("[MASK] in masked ids", (fates == MASK).sum(), len(fates), 0.8),
            ("chosen tokens that stay", (fates == originals).sum(), len(fates), kept),
            *((f"random tokens that are id {i}", (drawn == i).sum(), len(drawn), 1 / (V - 5)) for i in range(5, V)),
            *((f"labels at [3, {t}]", chosen[:, 3, t].sum(), len(chosen), 6 / 40) for t in range(1, 41))):
        spread = math.sqrt(share * (1 - share) / n)
        if abs(count / n - share) > 5 * spread:         # by chance once in two million
            raise Wrong(f"share of {what}: expected {share:.3f} ± {spread:.3f}, got {count / n:.3f}")


# ---- answers ---------------------------------------------------------------------------------------------------------


@check("answers")
def check_cut_windows(cut_windows):
    for tokens, room, step in ((10, 6, 3), (9, 6, 3), (6, 6, 3), (12, 6, 6), (5, 8, 2), (9, 4, 1), (0, 4, 2)):
        starts = [0]
        while starts[-1] + room < tokens:
            starts.append(starts[-1] + step)
        found = call(cut_windows, tokens, room, step)
        same(f"{tokens} tokens, room {room}, step {step}: windows", [tuple(window) for window in found],
             [(start, min(tokens, start + room)) for start in starts])


@check("answers")
def check_window_label(window_label):
    for answer in (None, *((i, j) for i in range(10) for j in range(i, 10))):
        for window in ((0, 6), (3, 9), (6, 10)):
            inside = answer is not None and window[0] <= answer[0] and answer[1] < window[1]
            expected = (4 + answer[0] - window[0], 4 + answer[1] - window[0]) if inside else (0, 0)
            same(f"answer {answer} in window {window}, column 4: label", tuple(call(window_label, answer, window, 4)),
                 expected)


def plain_best_span(windows, scores, column, longest):
    best, most = {}, {}                                 # of each span its score, and the context with which it was had
    for (first, stop), (start, end) in zip(windows, scores, strict=True):
        for i in range(first, stop):
            for j in range(i, min(stop, i + longest)):
                context = min(i - first, stop - 1 - j) + 0.01 * (stop - first)
                if context > most.get((i, j), -1):
                    most[i, j] = context
                    best[i, j] = start[column + i - first] + end[column + j - first]
    none = min(start[0] + end[0] for start, end in scores)
    span = max(best, key=best.get, default=None)
    return span if span is not None and best[span] >= none else None


@check("answers")
def check_best_span(best_span):
    start, end = np.array([0.0, 0, 0, 1, 0, 3, 0]), np.array([0.0, 0, 0, 4, 0, 0, 0])
    cases, rng = [([(0, 3)], [(start, end)], 30)], np.random.default_rng(0)
    for case in range(60):
        windows = [(0, 6), (3, 9), (6, 10)] if case % 3 else [(0, 8), (2, 11)]
        scores = []
        for first, stop in windows:
            pair = rng.standard_normal((2, 3 + stop - first + 1))
            pair[:, [1, 2, -1]] += 6                    # question and [SEP] score high, so that a slip is seen
            pair[:, 0] += case % 4 / 2                  # and now and then there is no answer
            scores.append(tuple(pair))
        cases.append((windows, scores, (2, 30)[case % 2]))
    for number, (windows, scores, longest) in enumerate(cases):
        expected = plain_best_span(windows, scores, 3, longest)
        found = best_span(windows, scores, 3, longest)
        if isinstance(found, tuple | list):
            found = tuple(int(i) for i in found)
        same(f"scores {number}, windows {windows}, at most {longest} tokens: span", found, expected)


# ---- WordPiece -------------------------------------------------------------------------------------------------------


def plain_wordpiece(word, vocabulary, before=""):
    """The pieces, None if there is no way to the end."""
    for end in range(len(word), 0, -1):
        if before + word[:end] in vocabulary:
            rest = plain_wordpiece(word[end:], vocabulary, "##") if word[end:] else []
            return None if rest is None else [before + word[:end], *rest]
    return None


@check("wordpiece")
def check_wordpiece(wordpiece):
    rng = np.random.default_rng(0)
    cases = [("unaffable", {"un", "una", "##aff", "##able", "##ffable"}),
             ("unaffable", {"un", "una", "##aff", "##able"}),
             ("able", {"##able", "##a"}), ("aa", {"a"}), ("a" * 100, {"a", "##a"}), ("a" * 101, {"a", "##a"})]
    for _ in range(200):
        word = "".join(rng.choice(list("abc"), rng.integers(1, 8)))
        pieces = ["".join(rng.choice(list("abc"), rng.integers(1, 4))) for _ in range(12)]
        cases.append((word, {"##" * (i % 3 > 0) + piece for i, piece in enumerate(pieces)}))
    for word, vocabulary in cases:
        expected = plain_wordpiece(word, vocabulary) if len(word) <= 100 else None
        found = wordpiece(word, set(vocabulary))
        if not isinstance(found, list | tuple):
            raise Wrong(f"{word!r}: expected a list of pieces, got {found!r}")
        shown = word if len(word) <= 20 else f"{word[0]!r} {len(word)} times"
        same(f"{shown} with {', '.join(sorted(vocabulary))}: pieces", list(found), expected or ["[UNK]"])
