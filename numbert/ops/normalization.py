"""Layer normalisation (Ba, Kiros and Hinton 2016, equations 3 and 4)."""
from __future__ import annotations

import numpy as np

from ..autograd import Array, op
from .shapes import check_shapes


@op
def layer_norm(x: Array, gain: Array, bias: Array, *, eps: float):
    """Each row of x (N, D) shifted to mean 0 and scaled to variance 1, then times gain (D,), plus bias (D,).

    The variance is the sum of squares divided by D, not by D - 1, and `eps` is added to it under the root.
    Raises ValueError for other shapes.
    """
    check_shapes("layer_norm", x=(x, "N D"), gain=(gain, "D"), bias=(bias, "D"))
    centred = x - x.mean(-1, keepdims=True)                     # 1  (N, D)
    variance = np.vecdot(centred, centred) / x.shape[-1]        # 2  (N,)    not E[x²] - E[x]²: digits would cancel
    rstd = (1 / np.sqrt(variance + eps))[:, None]               # 3  (N, 1)  reciprocal of the standard deviation
    xhat = centred
    xhat *= rstd                                                # 4  (N, D)
    y = xhat * gain                                             # 5  (N, D)
    y += bias                                                   # 6  (N, D)
    return y, (xhat, rstd, gain)


# With x̂ = (x - μ) r and r = (σ² + ε)^(-½), along one row:
#   ∂x̂ᵢ/∂xⱼ = r (δᵢⱼ - 1/D)         through x itself and through the mean
#            - r x̂ᵢ x̂ⱼ / D          through r, since ∂r/∂xⱼ = -r² x̂ⱼ / D
# so dx = r (dx̂ - mean(dx̂) - x̂ mean(dx̂ · x̂)). The two subtracted terms are the components of dx̂ along
# (1, ..., 1) and along x̂: x̂ does not change when all of x is shifted, nor when x - μ is scaled.
@layer_norm.vjp
def layer_norm_backward(dy, saved):
    xhat, rstd, gain = saved
    dbias = dy.sum(0)                                           # 6     (D,)
    dgain = np.einsum("nd,nd->d", dy, xhat)                     # 5     (D,)
    dxhat = dy * gain                                           # 5     (N, D)
    along = np.vecdot(dxhat, xhat)[:, None] / dy.shape[-1]      # 2, 3  (N, 1)
    dx = dxhat
    dx -= dxhat.mean(-1, keepdims=True)                         # 1
    dx -= xhat * along                                          # 2, 3
    dx *= rstd                                                  # 4     (N, D)
    return dx, dgain, dbias
