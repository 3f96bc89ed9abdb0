"""BERT on one page: the forward and the backward pass for one sentence, in nothing but NumPy. Run it: it takes seconds.

BERT guesses masked tokens of a sentence from all the others (Devlin et al. 2019, section 3.1). Here are T tokens, M of
them masked; V words; H heads of width K, and so a width of D = H·K; F in the feed-forward layer. A forward line ends
with its number and the shape that it makes. `dx` is the derivative of the loss with respect to x, and has its shape. A
backward pass goes from the last number to the first; each line is the chain rule for the forward line of its number:
    y = a @ b                         gives  da = dy @ b.T  and  db = a.T @ dy
    y = einsum("hij,jhk->ihk", a, b)  gives  da = einsum("ihk,jhk->hij", dy, b): y and a change places; likewise for b
    x used twice                      gives  the sum of both dx; hence the += into g, the gradients of the weights w
"""
import math

import numpy as np


def linear(x, w, name):                                                                 # x (T, D)
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]                                # 1  (T, F)
def linear_backward(dy, x, w, g, name):                                                 # dy (T, F)
    g[f"{name}.bias"] += dy.sum(0)                                                      # 1  (F,): used in all T rows
    g[f"{name}.weight"] += dy.T @ x                                                     # 1  (F, D)
    return dy @ w[f"{name}.weight"]                                                     # 1  (T, D)

def layer_norm(x, w, name):                                                             # x (T, D)
    rstd = 1 / np.sqrt(x.var(-1, keepdims=True) + 1e-12)                                # 1  (T, 1)
    xhat = (x - x.mean(-1, keepdims=True)) * rstd                                       # 2  (T, D)
    return xhat * w[f"{name}.gain"] + w[f"{name}.bias"], (xhat, rstd)                   # 3  (T, D)
def layer_norm_backward(dy, xhat, rstd, w, g, name):                                    # dy (T, D)
    g[f"{name}.bias"] += dy.sum(0)                                                      # 3  (D,)
    g[f"{name}.gain"] += (dy * xhat).sum(0)                                             # 3  (D,)
    dxhat = dy * w[f"{name}.gain"]                                                      # 3  (T, D)
    # In a row, x̂_j = r (x_j - mean) with r = (variance + 1e-12)^(-1/2). From ∂mean/∂x_i = 1/D and ∂variance/∂x_i =
    # 2 (x_i - mean) / D follows ∂r/∂x_i = -½ r³ · 2 (x_i - mean) / D = -r² x̂_i / D, and then by the product rule
    # ∂x̂_j/∂x_i = r ([i = j] - 1/D - x̂_j x̂_i / D), where [i = j] is 1 or 0; dx_i = Σ_j dx̂_j ∂x̂_j/∂x_i has two means:
    return rstd * (dxhat - dxhat.mean(-1, keepdims=True) - xhat * (dxhat * xhat).mean(-1, keepdims=True))  # 2, 1 (T, D)

normal_cdf = np.vectorize(lambda x: (1 + math.erf(x / math.sqrt(2))) / 2, otypes=[float])       # Φ; NumPy has no erf
def gelu(x):                                                                            # x (T, F)
    return x * normal_cdf(x)                                                            # 1  (T, F)
def gelu_backward(dy, x):                                       # the derivative of Φ is the density exp(-x²/2) / √2π
    return dy * (normal_cdf(x) + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi))       # 1  (T, F)

def softmax(scores):                                                                    # scores (..., T)
    powers = np.exp(scores - scores.max(-1, keepdims=True))     # 1  (..., T): the shift changes no ratio; no overflow
    return powers / powers.sum(-1, keepdims=True)                                       # 2  (..., T)
def softmax_backward(dprobs, probs):                                                    # dprobs (..., T)
    # In a row, p_j = exp(s_j) / Σ_k exp(s_k). The quotient rule gives ∂p_j/∂s_i = p_j ([i = j] - p_i), the chain rule
    # ds_i = Σ_j dp_j ∂p_j/∂s_i = Σ_j dp_j p_j [i = j] - Σ_j dp_j p_j p_i = p_i (dp_i - Σ_j dp_j p_j):
    return probs * (dprobs - (dprobs * probs).sum(-1, keepdims=True))                   # 2, 1  (..., T)

def attention(x, w, name, heads):                               # x (T, D); token i asks, token j answers, in head h
    q, k, v = (linear(x, w, f"{name}.{part}").reshape(len(x), heads, -1)                # 1  (T, H, K)
               for part in ("query", "key", "value"))
    scores = np.einsum("ihk,jhk->hij", q, k) / math.sqrt(q.shape[2])                    # 2  (H, T, T)
    probs = softmax(scores)                                                             # 3  (H, T, T)
    mixed = np.einsum("hij,jhk->ihk", probs, v)                                         # 4  (T, H, K)
    return linear(mixed.reshape(x.shape), w, f"{name}.output"), (x, q, k, v, probs, mixed)          # 5  (T, D)
def attention_backward(dy, x, q, k, v, probs, mixed, w, g, name):                       # dy (T, D)
    dmixed = linear_backward(dy, mixed.reshape(x.shape), w, g, f"{name}.output").reshape(mixed.shape)  # 5  (T, H, K)
    dprobs = np.einsum("ihk,jhk->hij", dmixed, v)                                       # 4  (H, T, T)
    dv = np.einsum("hij,ihk->jhk", probs, dmixed)                                       # 4  (T, H, K)
    dscores = softmax_backward(dprobs, probs)                                           # 3  (H, T, T)
    dq = np.einsum("hij,jhk->ihk", dscores, k) / math.sqrt(q.shape[2])                  # 2  (T, H, K)
    dk = np.einsum("hij,ihk->jhk", dscores, q) / math.sqrt(q.shape[2])                  # 2  (T, H, K)
    return sum(linear_backward(d.reshape(x.shape), x, w, g, f"{name}.{part}")           # 1  (T, D): x is used 3 times
               for part, d in (("query", dq), ("key", dk), ("value", dv)))

def layer(x, w, name, heads):                                                           # x (T, D)
    a, saved_a = attention(x, w, f"{name}.attention", heads)                            # 1  (T, D)
    h, saved_h = layer_norm(x + a, w, f"{name}.attention_norm")                         # 2  (T, D)
    u = linear(h, w, f"{name}.feed_forward.expand")                                     # 3  (T, F)
    b = gelu(u)                                                                         # 4  (T, F)
    f = linear(b, w, f"{name}.feed_forward.contract")                                   # 5  (T, D)
    y, saved_y = layer_norm(h + f, w, f"{name}.feed_forward_norm")                      # 6  (T, D)
    return y, (saved_a, saved_h, h, u, b, saved_y)
def layer_backward(dy, saved_a, saved_h, h, u, b, saved_y, w, g, name):                 # dy (T, D)
    df = layer_norm_backward(dy, *saved_y, w, g, f"{name}.feed_forward_norm")           # 6  (T, D)
    db = linear_backward(df, b, w, g, f"{name}.feed_forward.contract")                  # 5  (T, F)
    du = gelu_backward(db, u)                                                           # 4  (T, F)
    dh = df + linear_backward(du, h, w, g, f"{name}.feed_forward.expand")               # 6 + 3  (T, D): h is used twice
    da = layer_norm_backward(dh, *saved_h, w, g, f"{name}.attention_norm")              # 2  (T, D)
    return da + attention_backward(da, *saved_a, w, g, f"{name}.attention")             # 2 + 1  (T, D): x is used twice

def masked_lm(ids, segments, labels, w, layers, heads):
    """(loss, {name: gradient}). ids, segments, labels (T,): labels are the words to guess, one at least, else -100."""
    words, positions, types = (w[f"body.embeddings.{name}.weight"] for name in ("word", "position", "segment"))
    e = words[ids] + positions[:len(ids)] + types[segments]                             # 1  (T, D)
    x, saved_e = layer_norm(e, w, "body.embeddings.norm")                               # 2  (T, D)
    saved = {}
    for i in range(layers):
        x, saved[i] = layer(x, w, f"body.layers.{i}", heads)                            # 3  (T, D)
    masked = np.flatnonzero(labels != -100)                                             #    (M,): places
    u = linear(x[masked], w, "mlm.transform")                                           # 4  (M, D)
    h, saved_h = layer_norm(gelu(u), w, "mlm.norm")                                     # 5  (M, D)
    probs = softmax(h @ words.T + w["mlm.bias"])                                        # 6  (M, V): words once more
    right = labels[masked, None] == np.arange(len(words))                               #    (M, V): True once in a row
    loss = -np.log(probs[right]).mean()                                                 # 7  a number
    g = {name: np.zeros_like(weight) for name, weight in w.items()}
    # In a row, -ln p_right = ln Σ_k exp(s_k) - s_right, and ∂/∂s_i of this is exp(s_i) / Σ_k exp(s_k) - [i = right]:
    dlogits = (probs - right) / len(masked)                                             # 7, 6  (M, V)
    g["mlm.bias"] += dlogits.sum(0)                                                     # 6  (V,)
    g["body.embeddings.word.weight"] += dlogits.T @ h                                   # 6  (V, D)
    du = gelu_backward(layer_norm_backward(dlogits @ words, *saved_h, w, g, "mlm.norm"), u)         # 6, 5  (M, D)
    dx = np.zeros_like(x)
    dx[masked] = linear_backward(du, x[masked], w, g, "mlm.transform")                  # 4  (T, D)
    for i in reversed(range(layers)):
        dx = layer_backward(dx, *saved[i], w, g, f"body.layers.{i}")                    # 3  (T, D)
    de = layer_norm_backward(dx, *saved_e, w, g, "body.embeddings.norm")                # 2  (T, D)
    g["body.embeddings.position.weight"][:len(ids)] += de                               # 1  (T, D)
    np.add.at(g["body.embeddings.segment.weight"], segments, de)                        # 1  (2, D)
    np.add.at(g["body.embeddings.word.weight"], ids, de)        # 1  (V, D): += would count a word that comes twice once
    return loss, g

if __name__ == "__main__":
    sentences = ("birds fly in the sky / planes fly in the sky / fish swim in the sea / ships sail on the sea / "
                 "cows eat grass / cats drink milk / bees make honey / hens lay eggs").split(" / ")
    vocab = ["[MASK]", "[CLS]", "[SEP]", *dict.fromkeys(" ".join(sentences).split())]
    texts = [[vocab.index(word) for word in f"[CLS] {sentence} [SEP]".split()] for sentence in sentences]
    V, T, D, F, layers, heads, rng = len(vocab), max(map(len, texts)), 16, 32, 2, 2, np.random.default_rng(0)
    inside = {f"attention.{part}": (D, D) for part in ("query", "key", "value", "output")} | {"attention_norm": (D,),
              "feed_forward.expand": (F, D), "feed_forward.contract": (D, F), "feed_forward_norm": (D,)}
    parts = {f"body.layers.{i}.{part}": shape for i in range(layers) for part, shape in inside.items()}
    parts |= {"body.embeddings.norm": (D,), "mlm.transform": (D, D), "mlm.norm": (D,)}
    shapes = {f"body.embeddings.{part}.weight": (n, D) for part, n in (("word", V), ("position", T), ("segment", 2))}
    shapes |= {f"{part}.{'weight' if len(shape) == 2 else 'gain'}": shape for part, shape in parts.items()}
    shapes |= {f"{part}.bias": shape[:1] for part, shape in parts.items()} | {"mlm.bias": (V,)}
    w = {name: 0.2 * rng.standard_normal(shape) + name.endswith("gain") for name, shape in shapes.items()}

    # Is every gradient right? Ten of its entries beside (loss(weight + h) - loss(weight - h)) / 2h; one is printed.
    example = np.array([1, 5, 0, 7, 0, 5, 2]), np.array([0, 0, 0, 0, 1, 1, 1]), np.array([-100, 9, 3, -100, 6, 4, -100])
    for name, gradient in masked_lm(*example, w, layers, heads)[1].items():
        entries = rng.choice(gradient.size, 10, replace=False)
        nudges = 1e-5 * np.eye(gradient.size)[entries].reshape(10, *gradient.shape)
        above = [masked_lm(*example, w | {name: w[name] + nudge}, layers, heads)[0] for nudge in nudges]
        below = [masked_lm(*example, w | {name: w[name] - nudge}, layers, heads)[0] for nudge in nudges]
        exact, numeric = gradient.flat[entries], np.subtract(above, below) / 2e-5
        print(f"{name:44} {exact[0]:13.9f} {numeric[0]:13.9f}  worst of ten {np.abs(exact - numeric).max():.0e}")
        if not np.allclose(exact, numeric, rtol=1e-6, atol=1e-8):
            raise SystemExit(f"the gradient of {name} is wrong")

    # Gradient descent: each step masks one word of one sentence.
    def blank(ids, place, word):
        here = np.arange(len(ids)) == place
        return np.where(here, 0, ids), np.zeros(len(ids), int), np.where(here, word, -100)
    blanks = [(ids, place) for ids in texts for place in range(1, len(ids) - 1)]
    for epoch in range(1, 91):
        losses = []
        for ids, place in sorted(blanks, key=lambda _: rng.random()):
            loss, g = masked_lm(*blank(ids, place, ids[place]), w, layers, heads)
            w = {name: w[name] - 0.01 * g[name] for name in w}
            losses.append(loss)
        if epoch % 15 == 0:
            print(f"epoch {epoch}: loss {np.mean(losses):.3f}")

    # Fill in: a loss is -ln of the probability of the right word, so exp(-loss) is that of any word called right.
    for ids, place in blanks:
        probs = np.exp([-masked_lm(*blank(ids, place, word), w, layers, heads)[0] for word in range(V)])
        best, text = (-probs).argsort()[:5], " ".join(vocab[i] for i in blank(ids, place, 0)[0][1:-1])
        print(f"{text:25}", "  ".join(f"{vocab[i]} {probs[i]:.2f}" for i in best))
        if text.replace("[MASK]", vocab[best[0]]) not in sentences:
            raise SystemExit(f"{vocab[best[0]]} was never read there")
