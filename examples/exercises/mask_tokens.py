"""Exercise: hide words, 80/10/10.

    pytest examples/exercises -k mask_tokens

Task. Of each sequence of n ordinary tokens choose exactly max(1, round(0.15 n)), all of them equally likely, and of a
sequence without ordinary tokens none. Special tokens and padding are never chosen. Of the chosen ones 80% become
[MASK], 10% become an ordinary token drawn at random, 10% stay as they are; the model must guess all three. Every draw
comes from the generator `rng` and from nothing else, and `input_ids` is not changed.

Before you start: the card "Hiding some of the input"; Devlin et al. 2019, section 3.1 and appendix A.1; NumPy's
Generator.
Time: 45 minutes.
Solution: numbert/pretraining/masking.py, mask_tokens (which also hides whole words and runs of words).

One instance. With the ids [PAD] 0, [CLS] 2, [SEP] 3, [MASK] 4 and ordinary ids from 5 on, let "my dog is hairy" be

    input_ids    2  10  11  12  13   3   0        n = 4, so max(1, round(0.6)) = 1 token is chosen. If that is the last:

    masked ids   2  10  11  12   4   3   0        in 8 of 10 cases
                 2  10  11  12  17   3   0        in 1 of 10 cases, with 17 or any other ordinary id
                 2  10  11  12  13   3   0        in 1 of 10 cases
    labels    -100 -100 -100 -100 13 -100 -100    in all of them
"""


def mask_tokens(input_ids, rng, *, ordinary, mask_id):
    """(masked ids, labels), both (B, T) integers; labels are the original id where a token was chosen, -100 elsewhere.

    input_ids (B, T): integers. ordinary (V,): booleans, True for the ids that may be chosen and drawn.
    rng: a numpy.random.Generator.
    """
    raise NotImplementedError
