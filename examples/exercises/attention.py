"""Exercise: attention, forward and backward.

    pytest examples/exercises -k attention

Task. Write softmax(q kᵀ / √K) v for one sequence and H heads, with a mask, and the gradients of q, k and v. What the
mask hides gets the probability 0, whatever its score; a token that may look at nothing gets zeros. Scores of 1000 must
not overflow. Number the lines of your forward pass, and write the backward pass by inverting them, the last one first.

Before you start: the card "Self-attention"; the exercise cross_entropy (the gradient of a softmax: of probabilities p
with the gradient dp it is p * (dp - Σ p dp)); Vaswani et al. 2017, section 3.2.1.
Time: 90 minutes.
Solution: numbert/ops/attention.py, attention; there `python -m numbert.gradcheck attention` checks it.
"""


def attention(q, k, v, mask):
    """(H, Tq, K), from q (H, Tq, K), k and v (H, T, K), all float64.

    mask: (Tq, T) booleans, True where a token (row) may look at another (column); None: all see all.

    One instance, H = 1 and K = 1: the scores are 0 and ln 3, so the probabilities are 1/4 and 3/4.

    >>> q, k, v = np.array([[[1.0]]]), np.log([[[1.0], [3.0]]]), np.array([[[8.0], [4.0]]])
    >>> attention(q, k, v, None).round(4).tolist()                                  # 8/4 + 4 · 3/4
    [[[5.0]]]
    >>> attention(q, k, v, np.array([[True, False]])).round(4).tolist()
    [[[8.0]]]
    """
    raise NotImplementedError


def attention_backward(dy, q, k, v, mask):
    """(dq, dk, dv), the gradients of q, k and v, where dy (H, Tq, K) is that of the output.

    >>> q, k, v = np.array([[[1.0]]]), np.log([[[1.0], [3.0]]]), np.array([[[8.0], [4.0]]])
    >>> dq, dk, dv = attention_backward(np.ones((1, 1, 1)), q, k, v, None)
    >>> dq.round(4).tolist(), dk.round(4).tolist(), dv.round(4).tolist()            # dq = -3/4 · ln 3
    ([[[-0.824]]], [[[0.75], [-0.75]]], [[[0.25], [0.75]]])
    """
    raise NotImplementedError
