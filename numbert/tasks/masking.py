"""Fill in the blank: which tokens are hidden, and what the model sees in their place.

BERT learns a language by guessing hidden tokens (Devlin et al. 2019, section 3.1 and appendix A.1).  15% of the
tokens of a sequence are chosen.  Of those

    80%  become [MASK]                my dog is hairy -> my dog is [MASK]
    10%  become a random token        my dog is hairy -> my dog is apple
    10%  stay as they are             my dog is hairy -> my dog is hairy

and the model must guess all of them.  If every chosen token became [MASK], the model could learn that any other
token is right as it stands, and would have nothing to say about text without [MASK], which is all the text that it
meets later.

Two tables over the vocabulary say what the ids are: `ordinary` (everything but [CLS], [SEP], ...) and `continues`
(pieces such as ##ing, that continue a word).
"""
import numpy as np

IGNORED = -100                                                # the label of a position that is not to be guessed


def ordinary_table(tokenizer):
    """(V,) bool: True for the ids that may be hidden and may be drawn as random tokens, so not the special ones."""
    ordinary = np.zeros(max(tokenizer.vocab.values()) + 1, bool)
    ordinary[list(tokenizer.vocab.values())] = True           # an id that no token has stays False
    ordinary[list(tokenizer.all_special_ids)] = False
    return ordinary


def continues_table(tokenizer):
    """(V,) bool: True for the pieces that continue a word, as the tokenizer says."""
    return np.array(tokenizer.continues, bool)


def mask_tokens(input_ids, rng, *, ordinary, mask_id, rate=0.15, mask_share=0.8, random_share=0.1, continues=None):
    """Hide some tokens of each sequence. Returns (masked ids, labels), both (B, T).

    input_ids     (B, T) integers, with special tokens and padding in them
    ordinary      (V,) bool: the ids that may be chosen, and from which random tokens are drawn
    continues     (V,) bool, for whole-word masking: the pieces of a word are then chosen all together or not at all;
                  what becomes of each piece is still drawn piece by piece, as in Google's code

    The masked ids have the dtype of `input_ids`, which is not changed; labels (int64) are the original id where a
    token was chosen and -100 elsewhere.  Of n > 0 ordinary tokens exactly max(1, round(rate * n)) are chosen, as in
    Google's create_pretraining_data.py (which counts [CLS] and [SEP] too): compared with a coin for every token, no
    sequence goes without a blank and the number of blanks in a batch hardly varies.  Whole words are taken in random
    order while they fit, so the number may fall a little short, and a word larger than the whole number is taken only
    where all words are.

    Raises ValueError if shapes, ids or shares do not fit.
    """
    input_ids, ordinary = np.asarray(input_ids), np.asarray(ordinary, bool)
    _check(input_ids, ordinary, mask_id, rate, mask_share, random_share, continues)
    chosen = _choose(ordinary[input_ids], None if continues is None else continues[input_ids], rate, rng)

    labels = np.where(chosen, input_ids, IGNORED).astype(np.int64)
    masked = input_ids.copy()
    originals = masked[chosen]                                                       # (M,)
    fate = rng.random(len(originals))
    drawn = rng.choice(np.flatnonzero(ordinary), size=len(originals))
    masked[chosen] = np.where(fate < mask_share, mask_id, np.where(fate < mask_share + random_share, drawn, originals))
    return masked, labels


def _choose(candidate, continues, rate, rng):
    """(B, T) bool: the chosen tokens. The unit of choice is the word; without `continues` each token is a word."""
    B, T = candidate.shape
    first = candidate.copy()                                  # where a word starts
    if continues is not None:
        first[:, 1:] &= ~(continues[:, 1:] & candidate[:, :-1])
    word = np.maximum.accumulate(np.where(first, np.arange(T), 0), axis=1)           # (B, T): where its word starts
    size = np.zeros((B, T), np.int64)                         # at a word's start its number of tokens, elsewhere 0
    np.add.at(size, (np.arange(B)[:, None], word), candidate)

    smallest = np.where(first, size, T).min(axis=1, initial=T)
    budget = np.maximum(np.rint(rate * candidate.sum(axis=1)), smallest)             # (B,)

    order = np.argsort(rng.random((B, T)), axis=1)            # words in random order
    size = np.take_along_axis(size, order, axis=1)
    taken = np.zeros((B, T), bool)
    while True:                                               # a few rounds; with words of one token a single one
        left = (budget - (size * taken).sum(axis=1))[:, None]
        fits = ~taken & (size > 0) & (size <= left)
        if not fits.any():
            break
        taken |= fits & (np.cumsum(size * fits, axis=1) <= left)                     # those before the first misfit
    chosen = np.zeros((B, T), bool)
    np.put_along_axis(chosen, order, taken, axis=1)
    return np.take_along_axis(chosen, word, axis=1) & candidate


def _check(input_ids, ordinary, mask_id, rate, mask_share, random_share, continues):
    if input_ids.ndim != 2 or not np.issubdtype(input_ids.dtype, np.integer):
        raise ValueError(f"input_ids must be integers (B, T), got {input_ids.dtype} {input_ids.shape}")
    if input_ids.size and not 0 <= input_ids.min() <= input_ids.max() < len(ordinary):
        raise ValueError(f"input_ids must be in 0..{len(ordinary) - 1}, "
                         f"got {input_ids.min()}..{input_ids.max()}")
    if not 0 <= mask_id < len(ordinary) or ordinary[mask_id]:
        raise ValueError(f"mask_id {mask_id} must be an id of the vocabulary (V = {len(ordinary)}) and not ordinary")
    if not ordinary.any():
        raise ValueError("the vocabulary has no ordinary token")
    if continues is not None and np.shape(continues) != ordinary.shape:
        raise ValueError(f"continues must be (V,) = {ordinary.shape}, got {np.shape(continues)}")
    if not 0 < rate <= 1:
        raise ValueError(f"rate must be in (0, 1], got {rate}")
    if mask_share < 0 or random_share < 0 or mask_share + random_share > 1 + 1e-9:
        raise ValueError(f"mask_share and random_share must be shares of one, got {mask_share} and {random_share}")
