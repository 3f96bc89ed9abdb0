"""Layer normalisation (Ba, Kiros and Hinton 2016, equations 3 and 4)."""
import numpy as np

from ..autograd import op


@op
def layer_norm(x, gain, bias, *, eps):
    """Each row of x (N, D) moved to mean 0 and scaled to variance 1, then times gain (D,), plus bias (D,).

    The variance is the sum of squares over D, not over D - 1, and `eps` stands inside the root, beside the variance.
    """
    centred = x - x.mean(-1, keepdims=True)
    variance = np.vecdot(centred, centred) / x.shape[-1]        # of the centred values: E[x²] - E[x]² would cancel
    rstd = (1 / np.sqrt(variance + eps))[:, None]               # (N, 1)
    xhat = centred
    xhat *= rstd
    y = xhat * gain
    y += bias
    return y, (xhat, rstd, gain)


@layer_norm.vjp
def layer_norm_backward(dy, saved):
    xhat, rstd, gain = saved
    dgain, dbias = np.einsum("nd,nd->d", dy, xhat), dy.sum(0)
    dxhat = dy * gain
    # a row cannot move its own mean, nor its own length: what dxhat has along 1 and along xhat is lost
    along = np.vecdot(dxhat, xhat)[:, None] / dy.shape[-1]
    dx = dxhat
    dx -= dxhat.mean(-1, keepdims=True)
    dx -= xhat * along
    dx *= rstd
    return dx, dgain, dbias
