# %% [markdown]
"""An op of one's own, the check of its derivative, and a model of one's own: a small Transformer that sorts digits.

    python examples/use/own_op.py

RMSNorm divides each row by its root mean square (Zhang and Sennrich 2019, equation 4): a layer norm without the mean.
The package does not have it, so it is written here, checked, and used.
"""
# %%
import argparse
from pathlib import Path

import numpy as np

import numbert as nb
from numbert import ops
from numbert.gradcheck import Subject, check, check_module
from numbert.lab import laboratory, svg
from numbert.layers import Embedding, FeedForward, Linear, SelfAttention
from numbert.packing import pack
from numbert.training import command
from numbert.training.optimizer import AdamW, linear_schedule

parser = argparse.ArgumentParser(prog="own_op.py", description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--out", default="runs/own_op", help="where the model goes (default: %(default)s)")
parser.add_argument("--steps", type=int, default=400, help="steps of training (default: %(default)s)")
parser.add_argument("--lr", type=float, default=3e-3, help="the highest learning rate (default: %(default)s)")
command.add_quick(parser, {"steps": 20})
options, workers = laboratory.begin(parser)

# %% One op: a function of arrays that gives its output and what the derivative needs


@nb.op
def rms_norm(x, gain, *, eps):
    """Each row of x (N, D) divided by its root mean square, times gain (D,)."""
    if x.ndim != 2 or gain.shape != x.shape[1:]:
        raise ValueError(f"rms_norm: x must be (N, D) and gain (D,), got {x.shape} and {gain.shape}")
    mean_square = np.vecdot(x, x) / x.shape[-1]                 # 1  (N,)
    r = (1 / np.sqrt(mean_square + eps))[:, None]               # 2  (N, 1)
    xhat = x * r                                                # 3  (N, D)
    return xhat * gain, (xhat, r, gain)                         # 4  (N, D)


# With r = (mean(x²) + ε)^(-½) and x̂ = r x, along one row:
#   ∂r/∂xⱼ = -½ r³ · 2 xⱼ / D = -r² x̂ⱼ / D, so ∂x̂ᵢ/∂xⱼ = r δᵢⱼ - r x̂ᵢ x̂ⱼ / D
# and dx = r (dx̂ - x̂ mean(dx̂ · x̂)).
@rms_norm.vjp
def rms_norm_backward(dy, saved):
    xhat, r, gain = saved
    dgain = (dy * xhat).sum(0)                                  # 4        (D,)
    dxhat = dy * gain                                           # 4        (N, D)
    along = np.vecdot(dxhat, xhat)[:, None] / dy.shape[-1]      # 2, 1     (N, 1)
    return (dxhat - xhat * along) * r, dgain                    # 3, 2, 1  (N, D)


# %% Its check: every element of both gradients, against central differences, for a random gradient of the output

rng = np.random.default_rng(0)
x, gain = rng.standard_normal((4, 6)), rng.standard_normal(6)
for result in check(rms_norm, [x, gain], {"eps": 1e-6}):
    print(result)

# %% A wrong backward pass: r is taken for a constant, as if it did not depend on x


@nb.op
def rms_norm_wrong(x, gain, *, eps):
    """The same forward pass."""
    return rms_norm.forward(x, gain, eps=eps)


@rms_norm_wrong.vjp
def rms_norm_wrong_backward(dy, saved):
    xhat, r, gain = saved
    return dy * gain * r, (dy * xhat).sum(0)


for result in check(rms_norm_wrong, [x, gain], {"eps": 1e-6}):
    print(result)

# %% A layer and a model: modules hold the parameters, a call computes. There is no backward pass to write


class RMSNorm(nb.Module):
    def __init__(self, size, *, dtype):
        self.gain = nb.Parameter(np.ones(size, dtype))

    def __call__(self, x):
        return rms_norm(x, self.gain, eps=1e-6)                                 # (N, D)


class Layer(nb.Module):
    """A Transformer layer with an RMSNorm before each sublayer."""

    def __init__(self, size, heads, **new):
        self.attention_norm = RMSNorm(size, dtype=new["dtype"])
        self.attention = SelfAttention(size, heads, dropout=0.0, **new)
        self.feed_forward_norm = RMSNorm(size, dtype=new["dtype"])
        self.feed_forward = FeedForward(size, 4 * size, ops.gelu, **new)

    def __call__(self, x, packed):
        h = self.attention_norm(x)                                              # (N, D)
        x = ops.add(x, self.attention(h, h, packed.buckets()))                  # (N, D)
        return ops.add(x, self.feed_forward(self.feed_forward_norm(x)))         # (N, D)


class Sorter(nb.Module):
    """Digits (B, T) -> scores (N, 10), N = B·T: which digit stands at each place once the row is sorted?"""

    def __init__(self, places, size, *, layers, heads, rng, dtype=np.float32):
        new = dict(rng=rng, std=0.1, dtype=dtype)
        self.digit, self.position = Embedding(10, size, **new), Embedding(places, size, **new)
        self.layers = [Layer(size, heads, **new) for _ in range(layers)]
        self.norm = RMSNorm(size, dtype=dtype)
        self.scores = Linear(size, 10, **new)

    def __call__(self, digits):
        packed = pack(digits, vocab_size=10, type_vocab_size=1)                 # all rows of the batch, end to end
        x = ops.add(self.digit(packed.ids), self.position(packed.positions))    # (N, D)
        for layer in self.layers:
            x = layer(x, packed)                                                # (N, D)
        return self.scores(self.norm(x))                                        # (N, 10)

    def loss(self, digits):
        return ops.cross_entropy(self(digits), labels=np.sort(digits, axis=1).reshape(-1))

    def answer(self, digits):
        with nb.no_grad():
            return self(digits).data.argmax(-1).reshape(digits.shape)           # (B, T)


model = Sorter(8, 32, layers=2, heads=4, rng=rng)
print(f"\n{model}\n")

# %% The check of the whole model, small and in float64, along random directions

small = Sorter(4, 8, layers=2, heads=2, rng=rng, dtype=np.float64)
digits = rng.integers(10, size=(3, 4))                                          # (B, T)
results = check_module(Subject("Sorter", small, lambda module: module.loss(digits)))
print(f"{sum(r.passed for r in results)} of {len(results)} parameters agree; the largest error is that of "
      f"{max(results, key=lambda r: r.error).input}\n")

# %% The training

shown = rng.integers(10, size=(1, 8))
optimizer, lr, losses = AdamW(model.parameters()), linear_schedule(options.steps, options.lr), []
for step in range(options.steps + 1):
    digits = rng.integers(10, size=(64, 8))                                     # (B, T)
    loss = model.loss(digits)
    losses.append((step, float(loss)))
    if step % max(1, options.steps // 8) == 0:
        said = " ".join(map(str, model.answer(shown)[0]))
        print(f"step {step:4}  loss {float(loss):.3f}   {' '.join(map(str, shown[0]))}  ->  {said}")
    if step < options.steps:
        optimizer.step(nb.gradients(loss, model.parameters()), lr(step), workers)

# %% Saved, and loaded into a new model

path = Path(options.out) / "sorter.safetensors"
path.parent.mkdir(parents=True, exist_ok=True)
nb.save_parameters(path, model)
again = Sorter(8, 32, layers=2, heads=4, rng=np.random.default_rng(1))
nb.load_parameters(path, again)
test = rng.integers(10, size=(1000, 8))
answers = again.answer(test)
right = answers == np.sort(test, axis=1)
print(f"\n{path}, loaded again: {(answers == model.answer(test)).mean():.0%} of its answers are those of the trained "
      "model.")

# %% The picture
laboratory.draw(path.with_name("loss.svg"), [svg.chart("Sorting eight digits", "step", "nats a digit",
                                                       {"loss": losses})])

# %% The takeaway
laboratory.end(
    options, f"an op of one's own is a pair of functions and a check; the model that uses it sorts "
    f"{right.all(1).mean():.1%} of {len(test):,} new rows without a mistake, and has {right.mean():.1%} of the digits "
    "right.",
    "SwiGLU, silu(a) * b (Shazeer 2020, section 2), as an op of two inputs; the model with rms_norm_wrong in the place "
    "of rms_norm (does its loss fall?); rows of twelve digits; mask=ops.causal (which digits are still right?).")
