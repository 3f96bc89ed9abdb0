"""Whether ops record how their outputs were made, and functions that watch them. Both hold for a block of code and the
thread that runs it."""
from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar

recording = ContextVar("recording", default=True)           # is an op that is called now recorded for a backward pass?
watchers = ContextVar("watchers", default=(None, None))     # (forward, backward) of the innermost `watching`


@contextlib.contextmanager
def _within(variable, value):
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def no_grad() -> AbstractContextManager[None]:
    """Within this block nothing is recorded: for inference, which then keeps no intermediate arrays.

        with no_grad():
            logits = model(**batch).logits

    It holds for the thread that runs the block.
    """
    return _within(recording, False)


def watching(forward: Callable | None = None, backward: Callable | None = None) -> AbstractContextManager[None]:
    """Within this block, `forward(op, inputs, options, output, node)` is called after every op's forward pass (node is
    None where nothing is recorded), and `backward(node, dy, found)` after every backward pass. They must
    neither change nor keep the arrays."""
    return _within(watchers, (forward, backward))
