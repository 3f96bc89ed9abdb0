"""The meaning of the ops, the optimiser and the model: the printed formulas as plain loops in float64.

Nothing here is fast, and nothing here uses the package; what the package computes is held to this.
"""
import math

import numpy as np


def softmax(scores):
    """exp(s) / Σ exp(s) of a list; zeros if all are -inf."""
    largest = max(scores, default=-math.inf)
    if largest == -math.inf:
        return [0.0] * len(scores)
    powers = [math.exp(s - largest) for s in scores]
    return [p / math.fsum(powers) for p in powers]


def dot(x, y):
    return math.fsum(float(a) * float(b) for a, b in zip(x, y, strict=True))


def linear(x, weight, bias=None):
    """y[n, f] = Σ_d x[n, d] weight[f, d] + bias[f]."""
    y = np.zeros((len(x), len(weight)))
    for n in range(len(x)):
        for f in range(len(weight)):
            y[n, f] = dot(x[n], weight[f]) + (0.0 if bias is None else float(bias[f]))
    return y


def take(table, ids):
    return np.array([table[i] for i in ids]).reshape(len(ids), *np.shape(table)[1:])


def pad(rows, at, shape, fill=0.0):
    y = np.full((math.prod(shape), *np.shape(rows)[1:]), fill)
    for n, place in enumerate(at):
        y[place] = rows[n]
    return y.reshape(*shape, *np.shape(rows)[1:])


def gelu(x):
    """x Φ(x), with Φ(x) = ½ (1 + erf(x / √2)); written with erfc, which keeps the digits of the left tail."""
    return np.array([float(v) * 0.5 * math.erfc(-float(v) / math.sqrt(2)) for v in np.ravel(x)]).reshape(np.shape(x))


def gelu_tanh(x):
    return np.array([0.5 * v * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3)))
                     for v in map(float, np.ravel(x))]).reshape(np.shape(x))


def layer_norm(x, gain, bias, eps):
    """Ba et al. 2016, equations 3 and 4, row by row."""
    y = np.zeros(np.shape(x))
    for n, row in enumerate(x):
        row = [float(v) for v in row]
        mean = math.fsum(row) / len(row)
        variance = math.fsum((v - mean)**2 for v in row) / len(row)
        for d, v in enumerate(row):
            y[n, d] = float(gain[d]) * (v - mean) / math.sqrt(variance + eps) + float(bias[d])
    return y


def attention(query, key, value, lengths, heads, mask=None, asking=None, keep=None, rate=0.0):
    """Vaswani et al. 2017, section 3.2, for sequences of these lengths that lie end to end.

    `asking[b]` are the places in sequence b that ask (all of them by default), `mask(q, k)` says whether place q sees
    place k, and `keep[b]` (H, Tq, Tk) which probabilities dropout leaves.
    """
    asking = [range(n) for n in lengths] if asking is None else asking
    size = key.shape[1]
    width = size // heads
    out, row, start = np.zeros((sum(len(a) for a in asking), size)), 0, 0
    for b, length in enumerate(lengths):
        for i, q in enumerate(asking[b]):
            for h in range(heads):
                part = slice(h * width, (h + 1) * width)
                scores = [dot(query[row, part], key[start + k, part]) / math.sqrt(width)
                          if mask is None or mask(q, k) else -math.inf for k in range(length)]
                for k, p in enumerate(softmax(scores)):
                    if keep is not None:
                        p = p / (1 - rate) if keep[b][h, i, k] else 0.0
                    for d in range(h * width, (h + 1) * width):
                        out[row, d] += p * float(value[start + k, d])
            row += 1
        start += length
    return out


def cross_entropy(logits, labels, count=None, weights=None):
    """-Σ weights[label] ln softmax(logits)[label] / count over the rows whose label is not -100."""
    losses = []
    for row, label in zip(logits, labels, strict=True):
        if label != -100:
            row = [float(v) for v in row]
            largest = max(row)
            weight = 1.0 if weights is None else float(weights[label])
            losses.append(weight * (largest - row[label] + math.log(math.fsum(math.exp(v - largest) for v in row))))
    return math.fsum(losses) / max(1, len(losses) if count is None else count)


def mean_squared_error(x, labels, count=None):
    squares = [(float(a) - float(b))**2 for a, b in zip(np.ravel(x), np.ravel(labels), strict=True)]
    return math.fsum(squares) / max(1, len(squares) if count is None else count)


def binary_cross_entropy(logits, labels, count=None):
    """-Σ (y ln σ(x) + (1 - y) ln σ(-x)) / count, with ln σ(x) = -ln(1 + exp(-x))."""
    def log_sigmoid(x):
        return -math.log1p(math.exp(-x)) if x > 0 else x - math.log1p(math.exp(x))
    losses = [-(y * log_sigmoid(x) + (1 - y) * log_sigmoid(-x))
              for x, y in zip(map(float, np.ravel(logits)), map(float, np.ravel(labels)), strict=True)]
    return math.fsum(losses) / max(1, len(losses) if count is None else count)


def adamw(w, gradients, lrs, *, beta1=0.9, beta2=0.999, eps=1e-6, decay=0.0):
    """Loshchilov and Hutter 2019, algorithm 2, for one number and its gradients over time.

    As everywhere since PyTorch, the learning rate scales the decay, too.
    """
    m = v = 0.0
    for t, (g, lr) in enumerate(zip(gradients, lrs, strict=True), 1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        w = w - lr * (m / (1 - beta1**t) / (math.sqrt(v / (1 - beta2**t)) + eps) + decay * w)
    return w


def bert_forward(state_dict, config, ids, segments, mask):
    """BERT over a padded rectangle (B, T), from a state dict with Hugging Face's names.

    Gives a dict: last_hidden_state (B, T, D), which means nothing where mask is 0, pooler_output (B, D), and where the
    state dict has the heads, prediction_logits (B, T, V) and seq_relationship_logits (B, 2).
    """
    w = {name.removeprefix("bert."): value.astype(np.float64) for name, value in state_dict.items()}
    (B, T), D, H = ids.shape, config.hidden_size, config.num_attention_heads
    activation = {"gelu": gelu, "gelu_new": gelu_tanh, "relu": lambda x: x * (x > 0)}[config.hidden_act]

    def dense(x, name):
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(x, name):
        mean = x.mean(-1, keepdims=True)
        variance = ((x - mean)**2).mean(-1, keepdims=True)
        return (x - mean) / np.sqrt(variance + config.layer_norm_eps) * w[f"{name}.weight"] + w[f"{name}.bias"]

    def heads(x):                                                           # (B, T, D) -> (B, H, T, K)
        return x.reshape(B, T, H, D // H).swapaxes(1, 2)

    words = w["embeddings.word_embeddings.weight"]
    positions, types = w["embeddings.position_embeddings.weight"], w["embeddings.token_type_embeddings.weight"]
    x = words[ids] + positions[:T] + types[segments]
    x = norm(x, "embeddings.LayerNorm")
    for n in range(config.num_hidden_layers):
        layer = f"encoder.layer.{n}"
        q, k, v = (heads(dense(x, f"{layer}.attention.self.{name}")) for name in ("query", "key", "value"))
        scores = q @ k.swapaxes(-1, -2) / math.sqrt(D // H)                 # (B, H, T, T)
        scores = np.where(mask[:, None, None, :] == 1, scores, -np.inf)
        powers = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (powers / powers.sum(-1, keepdims=True) @ v).swapaxes(1, 2).reshape(B, T, D)
        x = norm(x + dense(mixed, f"{layer}.attention.output.dense"), f"{layer}.attention.output.LayerNorm")
        hidden = activation(dense(x, f"{layer}.intermediate.dense"))
        x = norm(x + dense(hidden, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
    out = {"last_hidden_state": x, "pooler_output": np.tanh(dense(x[:, 0], "pooler.dense"))}
    if "cls.predictions.transform.dense.weight" in w:                       # a decoder of its own, or the tied one
        h = norm(activation(dense(x, "cls.predictions.transform.dense")), "cls.predictions.transform.LayerNorm")
        bias = w["cls.predictions.decoder.bias" if "cls.predictions.decoder.bias" in w else "cls.predictions.bias"]
        out["prediction_logits"] = h @ w.get("cls.predictions.decoder.weight", words).T + bias
        out["seq_relationship_logits"] = dense(out["pooler_output"], "cls.seq_relationship")
    return out
