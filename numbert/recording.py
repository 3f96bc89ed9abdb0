"""Whether ops record how their outputs were made, and functions that watch them. Both hold for a block of code and the
thread that runs it."""
import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar

_recording = ContextVar("recording", default=True)
_watchers = ContextVar("watchers", default=(None, None))


@contextlib.contextmanager
def _within(variable, value):
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def recording() -> bool:
    """Whether an op that is called now is recorded for a backward pass."""
    return _recording.get()


def no_grad() -> AbstractContextManager[None]:
    """Within this block nothing is recorded: for inference, which then keeps no intermediate arrays.

        with no_grad():
            logits = model(**batch).logits

    It holds for the thread that runs the block.
    """
    return _within(_recording, False)


def watching(forward: Callable | None = None, backward: Callable | None = None) -> AbstractContextManager[None]:
    """Within this block, `forward(op, inputs, options, output, node)` is called after every op's forward pass (node is
    None where nothing is recorded), and `backward(node, dy, found)` after every backward pass. They must
    neither change nor keep the arrays."""
    return _within(_watchers, (forward, backward))


def watchers() -> tuple[Callable | None, Callable | None]:
    """(forward, backward) of the innermost `watching`; (None, None) outside of one."""
    return _watchers.get()
