"""Exercise: one step of AdamW.

    pytest examples/exercises -k adamw

Task. Write one step of Adam with decoupled weight decay, for one array of weights w with the gradient g:

    m and v are running means of g and g², m = β₁ m + (1 - β₁) g and v likewise; both began at zero, so after t steps
    they are too small by the factors 1 - β₁ᵗ and 1 - β₂ᵗ, by which they are divided before use; w moves against
    m̂ / (√v̂ + ε), times the learning rate; and beside that it shrinks by the learning rate times λ times itself.

Nothing that was given is changed: return new arrays. (Which weights decay is not asked here: in BERT matrices do,
biases and layer norms do not.)

Before you start: the card "One step of AdamW"; Kingma and Ba 2015, algorithm 1; Loshchilov and Hutter
2019, algorithm 2 (what differs is where λ stands).
Time: 30 minutes.
Solution: numbert/training/optimizer.py, AdamW.step.
"""


def adamw_step(w, g, m, v, t, *, lr, beta1, beta2, eps, weight_decay):
    """(w, m, v) after step t (the first one is t = 1). w, g, m and v are of one shape, float64.

    One instance: in the first step m̂ = g and √v̂ = |g|, so whatever the size of g, w moves by the learning rate; and
    it decays by 0.1 · 0.01 · 2 = 0.002.

    >>> w, g, zero = np.array([[2.0]]), np.array([[50.0]]), np.zeros((1, 1))
    >>> w, m, v = adamw_step(w, g, zero, zero, 1, lr=0.1, beta1=0.9, beta2=0.999, eps=1e-6, weight_decay=0.01)
    >>> w.round(4).tolist(), m.round(4).tolist(), v.round(4).tolist()
    ([[1.898]], [[5.0]], [[2.5]])
    """
    raise NotImplementedError
