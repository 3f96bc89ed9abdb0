"""Is every derivative right? Hand-written backward passes against central differences; `differences.py` says how.

    python -m numbert.gradcheck             checks all ops, layers and models of the package

An op of one's own is checked from Python, at inputs of one's choice:

    import numpy as np
    from numbert import op
    from numbert.gradcheck import check

    @op
    def square(x):
        return x * x, (x,)

    @square.vjp
    def square_backward(dy, saved):
        x, = saved
        return (2 * x * dy,)

    for result in check(square, [np.random.default_rng(0).standard_normal((3, 4))]):
        print(result)                       # square: gradient of x (3, 4) is right: largest error ...

`check_module` does the same for a layer or model. examples/use/own_op.py goes on from here.
"""
from .cases import Case, Subject
from .differences import GradientResult, check, check_module

__all__ = ["Case", "GradientResult", "Subject", "check", "check_module"]
