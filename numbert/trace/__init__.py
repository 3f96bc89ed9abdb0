"""The encoder, step by step: one line for each op of a real run, and what its gradient does on the way back.

    python -m numbert.trace "The cat sat on the mat."                 the forward pass, line by line
    python -m numbert.trace "The cat sat on the mat." --backward      some words hidden, and the gradient of the loss
    python -m numbert.trace "He drank." "It was tea." --html tea.html two segments; a page with a picture of every head
    python -m numbert.trace "A dull film." --model runs/classify --backward --label negative     a fine-tuned model

Only the model computes: a watcher records each op while it runs. In code:

    found = trace(model, batch, backward=True)
    found.steps[7].module, found.steps[7].output, found.steps[7].norm
"""
from .steps import Attention, OpStep, Trace, trace

__all__ = ["Attention", "OpStep", "Trace", "trace"]
