"""The exercises as a student may answer them: plain, and apart from the package. Mutants are made of this text."""
import numpy as np


def cross_entropy(logits, labels):
    rows = np.flatnonzero(labels != -100)
    x = logits[rows] - logits[rows].max(-1, keepdims=True)
    losses = np.log(np.exp(x).sum(-1)) - x[np.arange(len(rows)), labels[rows]]
    return losses.mean()


def cross_entropy_backward(dy, logits, labels):
    rows = np.flatnonzero(labels != -100)
    p = np.exp(logits - logits.max(-1, keepdims=True))
    p = p / p.sum(-1, keepdims=True)
    p[rows, labels[rows]] -= 1
    p[labels == -100] = 0
    return p * dy / len(rows)


def layer_norm_backward(dy, x, gain, eps):
    centred = x - x.mean(-1, keepdims=True)
    rstd = 1 / np.sqrt((centred ** 2).mean(-1, keepdims=True) + eps)
    xhat = centred * rstd
    dxhat = dy * gain
    dx = rstd * (dxhat - dxhat.mean(-1, keepdims=True) - xhat * (dxhat * xhat).mean(-1, keepdims=True))
    return dx, (dy * xhat).sum(0), dy.sum(0)


def probabilities(q, k, mask):
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    seen = np.ones(scores.shape[1:], bool) if mask is None else mask
    scores = np.where(seen, scores, -np.inf)
    largest = scores.max(-1, keepdims=True)
    e = np.exp(scores - np.where(seen.any(-1)[:, None], largest, 0))
    return e / np.where(seen.any(-1)[:, None], e.sum(-1, keepdims=True), 1)


def attention(q, k, v, mask):
    return probabilities(q, k, mask) @ v


def attention_backward(dy, q, k, v, mask):
    p = probabilities(q, k, mask)
    dv = p.swapaxes(-1, -2) @ dy
    dp = dy @ v.swapaxes(-1, -2)
    dscores = p * (dp - (p * dp).sum(-1, keepdims=True)) / np.sqrt(q.shape[-1])
    return dscores @ k, dscores.swapaxes(-1, -2) @ q, dv


def adamw_step(w, g, m, v, t, *, lr, beta1, beta2, eps, weight_decay):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g ** 2
    step = m / (1 - beta1 ** t) / (np.sqrt(v / (1 - beta2 ** t)) + eps)
    return w - lr * (step + weight_decay * w), m, v


def mask_tokens(input_ids, rng, *, ordinary, mask_id):
    masked, labels = input_ids.copy(), np.full(input_ids.shape, -100)
    for b, text in enumerate(input_ids):
        places = np.flatnonzero(ordinary[text])
        n = max(1, round(0.15 * len(places))) if len(places) else 0
        for t in rng.choice(places, n, replace=False) if n else ():
            labels[b, t] = text[t]
            fate = rng.random()
            if fate < 0.8:
                masked[b, t] = mask_id
            elif fate < 0.9:
                masked[b, t] = rng.choice(np.flatnonzero(ordinary))
    return masked, labels


def cut_windows(tokens, room, step):
    windows = [(0, min(room, tokens))]
    while windows[-1][1] < tokens:
        first = windows[-1][0] + step
        windows.append((first, min(first + room, tokens)))
    return windows


def window_label(answer, window, column):
    if answer is None or answer[0] < window[0] or answer[1] >= window[1]:
        return 0, 0
    return column + answer[0] - window[0], column + answer[1] - window[0]


def best_span(windows, scores, column, longest):
    found = {}
    for (first, stop), (start, end) in zip(windows, scores, strict=True):
        for i in range(first, stop):
            for j in range(i, min(i + longest, stop)):
                context = min(i - first, stop - 1 - j) + 0.01 * (stop - first)
                score = start[column + i - first] + end[column + j - first]
                if (i, j) not in found or context > found[i, j][0]:
                    found[i, j] = context, score
    none = min(start[0] + end[0] for start, end in scores)
    best = max(found, key=lambda span: found[span][1])
    return best if found[best][1] > none else None


def wordpiece(word, vocabulary):
    pieces, start = [], 0
    while start < len(word) <= 100:
        ends = [end for end in range(start + 1, len(word) + 1)
                if ("##" if start else "") + word[start:end] in vocabulary]
        if not ends:
            break
        pieces.append(("##" if start else "") + word[start:ends[-1]])
        start = ends[-1]
    return pieces if start == len(word) else ["[UNK]"]
