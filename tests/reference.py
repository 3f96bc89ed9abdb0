"""The meaning of the ops, the optimiser and the model: the printed formulas as plain loops in float64.

Nothing here is fast, and nothing here uses the package; what the package computes is held to this.

Below a forward pass whose derivative is not obvious stands its backward pass, written as it is derived. `dy` is the
derivative of the loss with respect to the output y; what it gives are those with respect to the inputs, in their order.
[i = j] is 1 if i is j, and 0 otherwise.
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


def softmax_backward(dprobs, probs):
    """dscores. p_j = e_j / S with e_j = exp(s_j) and S = Σ_k e_k, so by the quotient rule

        ∂p_j/∂s_i = ([i = j] e_j S - e_j e_i) / S² = p_j ([i = j] - p_i),

    and each score moves every probability: ds_i = Σ_j dp_j ∂p_j/∂s_i.
    """
    n = range(len(probs))
    return [math.fsum(dprobs[j] * probs[j] * ((i == j) - probs[i]) for j in n) for i in n]


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


def gelu_backward(dy, x):
    """dx. By the product rule (x Φ)' = Φ + x Φ', and the slope of Φ is the normal density exp(-x²/2) / √2π."""
    dx = np.zeros(np.shape(x))
    for place in np.ndindex(dx.shape):
        v = float(x[place])
        cdf, pdf = 0.5 * math.erfc(-v / math.sqrt(2)), math.exp(-v * v / 2) / math.sqrt(2 * math.pi)
        dx[place] = float(dy[place]) * (cdf + v * pdf)
    return dx


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


def layer_norm_backward(dy, x, gain, eps):
    """(dx, dgain, dbias). In one row y_j = gain_j x̂_j + bias_j, with x̂_j = r (x_j - mean), r = (variance + eps)^(-1/2).

    What happens to x̂_j when x_i is moved, in three steps:

        ∂mean/∂x_i     = 1/D
        ∂variance/∂x_i = 2/D Σ_k (x_k - mean) ([i = k] - 1/D) = 2/D (x_i - mean), as Σ_k (x_k - mean) = 0
        ∂r/∂x_i        = -½ (variance + eps)^(-3/2) ∂variance/∂x_i = -r³ (x_i - mean) / D = -r² x̂_i / D

    and by the product rule ∂x̂_j/∂x_i = r ([i = j] - 1/D) + (x_j - mean) ∂r/∂x_i = r ([i = j] - 1/D - x̂_j x̂_i / D).
    """
    D = np.shape(x)[1]
    dx, dgain, dbias = np.zeros(np.shape(x)), np.zeros(D), np.zeros(D)
    for n, row in enumerate(x):
        mean = math.fsum(map(float, row)) / D
        r = (math.fsum((float(v) - mean)**2 for v in row) / D + eps)**-0.5
        xhat = [r * (float(v) - mean) for v in row]
        for j in range(D):
            dbias[j] += dy[n, j]
            dgain[j] += dy[n, j] * xhat[j]
        for i in range(D):
            dx[n, i] = math.fsum(dy[n, j] * gain[j] * r * ((i == j) - 1 / D - xhat[j] * xhat[i] / D) for j in range(D))
    return dx, dgain, dbias


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


def attention_backward(dy, query, key, value, lengths, heads, mask=None, asking=None, keep=None, rate=0.0):
    """(dquery, dkey, dvalue). For one token that asks and one head, from its output back to what it was made of:

        out_d  = Σ_j kept_j v_jd             dkept_j = Σ_d dout_d v_jd           dv_jd = kept_j dout_d
        kept_j = keep_j p_j / (1 - rate)     dp_j    = keep_j dkept_j / (1 - rate)
        p      = softmax(s)                  ds      = softmax_backward(dp, p)
        s_j    = Σ_d q_d k_jd / √K           dq_d    = Σ_j ds_j k_jd / √K        dk_jd = ds_j q_d / √K

    A key and a value get such a term from every token that asks, and these add up.
    """
    asking = [range(n) for n in lengths] if asking is None else asking
    width = key.shape[1] // heads
    dquery, dkey, dvalue = np.zeros(query.shape), np.zeros(key.shape), np.zeros(value.shape)
    row, start = 0, 0
    for b, length in enumerate(lengths):
        for i, q in enumerate(asking[b]):
            for h in range(heads):
                part = slice(h * width, (h + 1) * width)
                dout = dy[row, part]
                probs = softmax([dot(query[row, part], key[start + k, part]) / math.sqrt(width)
                                 if mask is None or mask(q, k) else -math.inf for k in range(length)])
                factor = [1.0 if keep is None else keep[b][h, i, k] / (1 - rate) for k in range(length)]
                dprobs = [factor[k] * dot(dout, value[start + k, part]) for k in range(length)]
                dscores = softmax_backward(dprobs, probs)
                for k in range(length):
                    dvalue[start + k, part] += factor[k] * probs[k] * dout
                    dquery[row, part] += dscores[k] * key[start + k, part] / math.sqrt(width)
                    dkey[start + k, part] += dscores[k] * query[row, part] / math.sqrt(width)
            row += 1
        start += length
    return dquery, dkey, dvalue


def cross_entropy(logits, labels, count=None, weights=None, smoothing=0.0):
    """-Σ weights[label] ln softmax(logits)[label] / count over the rows whose label is not -100. With smoothing there
    stands, in the place of ln p[label], its mean under the targets (1 - smoothing) [i = label] + smoothing / C."""
    losses = []
    for row, label in zip(logits, labels, strict=True):
        if label != -100:
            row = [float(v) for v in row]
            largest = max(row)
            weight = 1.0 if weights is None else float(weights[label])
            expected = math.fsum(v * target(i, label, len(row), smoothing) for i, v in enumerate(row))
            losses.append(weight * (largest - expected + math.log(math.fsum(math.exp(v - largest) for v in row))))
    return math.fsum(losses) / max(1, len(losses) if count is None else count)


def target(i, label, classes, smoothing):
    """What the probability of class i should be."""
    return (1 - smoothing) * (i == label) + smoothing / classes


def cross_entropy_backward(dy, logits, labels, weights=None, smoothing=0.0):
    """dlogits, for the loss divided by the number of labels. A row s with label l has, times its weight, the loss

        -ln p_l = ln Σ_k exp(s_k) - s_l,

    and ∂/∂s_i of this is exp(s_i) / Σ_k exp(s_k) - [i = l] = p_i - [i = l]: what was guessed less what is right. With
    smoothing, `target` is what is right.
    """
    dlogits, count = np.zeros(np.shape(logits)), sum(label != -100 for label in labels)
    for n, label in enumerate(labels):
        if label != -100:
            weight = 1.0 if weights is None else float(weights[label])
            for i, p in enumerate(softmax([float(v) for v in logits[n]])):
                dlogits[n, i] = float(dy) * weight * (p - target(i, label, len(logits[n]), smoothing)) / count
    return dlogits


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


def lamb(w, gradients, lrs, *, beta1=0.9, beta2=0.999, eps=1e-6, decay=0.0, adapt=True):
    """You et al. 2020, algorithm 2 with φ(x) = x, for one layer's numbers (a list) and its gradients over time (lists).

    Without `adapt` the ratio of the norms is 1, as where one of them is 0.
    """
    m, v = [0.0] * len(w), [0.0] * len(w)
    for t, (g, lr) in enumerate(zip(gradients, lrs, strict=True), 1):
        m = [beta1 * a + (1 - beta1) * b for a, b in zip(m, g, strict=True)]
        v = [beta2 * a + (1 - beta2) * b**2 for a, b in zip(v, g, strict=True)]
        r = [a / (1 - beta1**t) / (math.sqrt(b / (1 - beta2**t)) + eps) for a, b in zip(m, v, strict=True)]
        u = [a + decay * b for a, b in zip(r, w, strict=True)]
        norm_w, norm_u = (math.sqrt(sum(x * x for x in vector)) for vector in (w, u))
        ratio = norm_w / norm_u if adapt and norm_w > 0 and norm_u > 0 else 1.0
        w = [a - lr * ratio * b for a, b in zip(w, u, strict=True)]
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
