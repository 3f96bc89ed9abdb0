"""Large arrays in slices that stay in the processor's cache while several lines work on each."""
import math


def blocks(x, elements):
    """Slices along the first axis of x, of at most about so many elements each, that cover it in order."""
    step = max(1, elements // max(1, math.prod(x.shape[1:])))
    return [slice(i, i + step) for i in range(0, len(x), step)]
