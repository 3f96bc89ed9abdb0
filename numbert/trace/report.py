"""A trace as text, and as a page with the equations, the source and the attention of every head."""
import linecache
from html import escape
from pathlib import Path

import numpy as np

from .. import svg
from ..models import cost

# An op's output y (of two inputs x₁, x₂; of a loss L), and what its backward pass makes of dy = ∂L/∂y. ⊙ multiplies
# element by element, Σ and mean run over rows for parameters and over the width for rows.
EQUATIONS = {
    "add": ("y = x₁ + x₂", "dx₁ = dx₂ = dy"),
    "attention": ("P = softmax(q kᵀ/√K), y = P v", "dv = Pᵀdy, dS = P ⊙ (dy vᵀ − dy·y), dq = dS k/√K, dk = dSᵀq/√K"),
    "binary_cross_entropy": ("L = −Σ (t ln σ(x) + (1−t) ln(1−σ(x)))/n", "dx = (σ(x) − t)/n"),
    "column": ("y = x[…, i]", "dx[…, i] = dy"),
    "cross_entropy": ("L = −Σ ln softmax(x)[label]/n", "dx = (softmax(x) − 1 at label)/n"),
    "dropout": ("y = x ⊙ keep/(1−p)", "dx = dy ⊙ keep/(1−p)"),
    "gelu": ("y = x Φ(x)", "dx = dy ⊙ (Φ(x) + x φ(x))"),
    "gelu_tanh": ("y = x (1 + tanh u)/2, u = √(2/π)(x + 0.044715 x³)",
                  "dx = dy ⊙ (1 + tanh u + x (1 − tanh²u) u′)/2"),
    "layer_norm": ("z = (x − μ)/√(σ² + ε), y = g ⊙ z + b",
                   "dz = g ⊙ dy, dx = (dz − mean dz − z mean(dz ⊙ z))/√(σ² + ε), dg = Σ dy ⊙ z, db = Σ dy"),
    "linear": ("y = x Wᵀ + b", "dx = dy W, dW = dyᵀx, db = Σ dy"),
    "linear_cross_entropy": ("L = −Σ ln softmax(x Wᵀ + b)[label]/n",
                             "dS = (softmax(x Wᵀ + b) − 1 at label)/n, dx = dS W, dW = dSᵀx, db = Σ dS"),
    "mean_squared_error": ("L = Σ (x − t)²/n", "dx = 2 (x − t)/n"),
    "unpack": ("y[place of row n] = x[n]", "dx[n] = dy[place of row n]"),
    "relu": ("y = max(x, 0)", "dx = dy where x > 0, else 0"),
    "reshape": ("y = x", "dx = dy"),
    "scale": ("y = c x", "dx = c dy"),
    "take": ("y = x[ids]", "dx[ids] += dy"),
    "tanh": ("y = tanh x", "dx = dy ⊙ (1 − y²)"),
}
ROOT = Path(__file__).parents[2]


def place(file, line):
    """numbert/layers.py:84"""
    path = Path(file)
    return f"{path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name}:{line}"


def shapes(step):
    return f"{' '.join(map(str, step.shapes))} -> {step.output}"


def last_names(step, values, form):
    """{"a.b.weight": 1.5} -> weight 1.5"""
    return ", ".join(f"{name.rpartition('.')[2]} {form(values[name])}" for name in step.parameters if name in values)


def milliseconds(seconds):
    return f"{1000 * seconds:.3f}"


def columns(trace):
    """{title: text of each step}; `equation` is the forward pass's."""
    steps = trace.steps
    found = {
        "step": [str(number) for number in range(1, len(steps) + 1)],
        "module": [step.module or "(model)" for step in steps],
        "equation": [EQUATIONS[step.op][0] for step in steps],
        "shapes": [shapes(step) for step in steps],
        "parameters": [f"{sum(map(np.prod, step.parameters.values())):,}" if step.parameters else "" for step in steps],
        "operations": [f"{step.operations:,}" if step.operations else "" for step in steps],
        "ms": [milliseconds(step.seconds) for step in steps],
        "source": [place(*step.where[0]) for step in steps]}
    if trace.gradients is not None:
        found |= {
            "|dy|": ["" if step.norm is None else f"{step.norm:.3g}" for step in steps],
            "adds to |gradient|": [last_names(step, step.norms, lambda norm: f"{norm:.3g}") for step in steps],
            "ms back": ["" if step.norm is None else milliseconds(step.backward_seconds) for step in steps]}
    return found


RIGHT = {"step", "parameters", "operations", "ms", "ms back", "|dy|"}


def table(trace):
    """A line for each step. Beside it the backward pass, to be read from the bottom up."""
    found = columns(trace)
    widths = {title: max(len(title), *map(len, cells)) for title, cells in found.items()}
    return "\n".join("  ".join(cell.rjust(widths[title]) if title in RIGHT else cell.ljust(widths[title])
                               for title, cell in zip(found, row, strict=True)).rstrip()
                     for row in [list(found), *zip(*found.values(), strict=True)])


def summary(trace):
    """The totals of both passes, in lines."""
    def total(name):
        return sum(getattr(step, name) for step in trace.steps)

    lines = [f"forward: {len(trace.steps)} steps, {total('operations'):,} operations in products of matrices, "
             f"{milliseconds(total('seconds'))} ms"]
    if trace.gradients is not None:
        norm = np.sqrt(sum(float(np.vdot(gradient, gradient)) for gradient in trace.gradients))
        reached = sum(step.operations for step in trace.steps if step.norm is not None)
        lines += [f"backward: {(cost.TRAINING - 1) * reached:,} operations (two derivatives for each product), "
                  f"{milliseconds(total('backward_seconds'))} ms; the gradient of all parameters has length {norm:.4g}",
                  ", ".join(f"{name} {float(loss):.4f}" for name, loss in trace.output.losses.items()) + " nats"]
    return "\n".join(lines)


# ---- the page --------------------------------------------------------------------------------------------------------

STYLE = """body{font:14px/1.4 sans-serif;margin:2em}table{border-collapse:collapse}
th,td{padding:2px 8px;text-align:left;vertical-align:top;border-bottom:1px solid #ddd}
td.n{text-align:right;font-variant-numeric:tabular-nums}pre{margin:2px}
.maps{display:flex;flex-wrap:wrap;gap:8px}"""


def page(trace, tokens, title):
    """The text of an HTML file that needs no other: all steps, and a picture of every head for the batch's first
    sequence, whose `tokens` are given. Pointing at a row of a picture tells where that token looks."""
    found = columns(trace)
    found["source"] = [_source(step.where) for step in trace.steps]
    if trace.gradients is not None:
        found["equation back"] = [escape(EQUATIONS[step.op][1]) for step in trace.steps]
    rows = ["".join(f'<td class="{"n" if name in RIGHT else ""}">{cell if name == "source" else escape(cell)}</td>'
                    for name, cell in zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]
    parts = ["<!DOCTYPE html>", '<html lang="en"><head><meta charset="utf-8"/>', f"<title>{escape(title)}</title>",
             f"<style>{STYLE}</style></head><body>", f"<h1>{escape(title)}</h1>", f"<p>{escape(' '.join(tokens))}</p>",
             f"<pre>{escape(summary(trace))}</pre>",
             "<p>The backward pass runs from the last line to the first. Open a source to see who called.</p>",
             "<table><tr>" + "".join(f"<th>{escape(name)}</th>" for name in found) + "</tr>",
             *(f"<tr>{row}</tr>" for row in rows), "</table>"]
    for step in trace.steps:
        if step.attention:
            first = step.attention[0]
            parts += [f"<h2>{escape(step.module)}</h2>", '<div class="maps">']
            queries = [tokens[t] for t in first.query_positions]
            parts += [svg.attention_map(f"head {head}", queries, tokens, shares.tolist())
                      for head, shares in enumerate(first.shares)]
            parts.append("</div>")
    return "\n".join([*parts, "</body></html>"]) + "\n"


def _source(where):
    """The place of the call of an op, to be opened: the lines of source that led to it, innermost first."""
    lines = "\n".join(escape(f"{place(file, line)}  {linecache.getline(file, line).strip()}") for file, line in where)
    return f"<details><summary>{escape(place(*where[0]))}</summary><pre>{lines}</pre></details>"
