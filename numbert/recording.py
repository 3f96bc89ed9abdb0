"""Whether ops record how their outputs were made, and functions that watch them. Both hold for a block of code and the
thread that runs it."""
import contextlib
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


def no_grad():
    """Within this block nothing is recorded: for inference, which then keeps no intermediate arrays."""
    return _within(recording, False)


def watching(forward=None, backward=None):
    """Within this block, `forward(op, inputs, options, output, node)` is called after every op's forward pass (node is
    None where nothing is recorded), and `backward(node, dy, found)` after every backward pass. They must
    neither change nor keep the arrays."""
    return _within(watchers, (forward, backward))
