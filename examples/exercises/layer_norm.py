"""Exercise: layer norm, backward.

    pytest examples/exercises -k layer_norm

Task. The forward pass is given. Write the three gradients. Those of gain and bias are sums over the rows. That of x is
the hard one: each element of a row moves the mean and the variance of the whole row, so there are three ways from x to
y. Work with xhat = (x - mean) / sqrt(variance + eps), and write the gradient of xhat first. The result has three terms.

Before you start: the card "Layer norm"; the chain rule with sums; Ba, Kiros and Hinton 2016, equations 3 and 4.
Time: 60 minutes, most of it on paper.
Solution: numbert/ops/normalization.py, layer_norm; there `python -m numbert.gradcheck layer_norm` checks it.
"""
import numpy as np


def layer_norm(x, gain, bias, eps):
    """x (N, D), gain and bias (D,) -> (N, D). Given."""
    centred = x - x.mean(-1, keepdims=True)
    variance = (centred ** 2).mean(-1, keepdims=True)
    return centred / np.sqrt(variance + eps) * gain + bias


def layer_norm_backward(dy, x, gain, eps):
    """(dx, dgain, dbias), the gradients of x (N, D), gain (D,) and bias (D,), where dy (N, D) is that of the output.

    One instance: the row 1, 3 has mean 2 and variance 1, and with eps = 3 it becomes xhat = -1/2, 1/2.

    >>> dx, dgain, dbias = layer_norm_backward(np.array([[1.0, 0.0]]), np.array([[1.0, 3.0]]), np.ones(2), 3.0)
    >>> dx.round(4).tolist(), dgain.round(4).tolist(), dbias.tolist()
    ([[0.1875, -0.1875]], [-0.5, 0.0], [1.0, 0.0])
    """
    raise NotImplementedError
