"""Bugs in the data: what is asked of the model. The network cannot notice, and gradients are right."""
from numbert.pretraining import masking, sentence_pairs
from numbert.pretraining.batches import PretrainingData

from .exhibit import Bug, Edit

BUGS = [
    Bug("the random sentence is the true one",
        "Nothing, where there is much text. Of a small text, next-sentence prediction cannot be learnt well.",
        "B is drawn from all sentences, the right one among them, and labelled as wrong. codertimo/BERT-pytorch issue "
        "110: hard to see where the corpus is huge, fatal where it is small.",
        (Edit(sentence_pairs._random_segment, "        other += other >= document\n", ""),
         Edit(sentence_pairs._random_segment, "if not np.array_equal(text.tokens[drawn], text.tokens[following]):",
              "if True:")),
        "a_wrong_continuation_is_not_the_true_one"),
    Bug("random words may be special tokens",
        "Nothing. Now and then there is a [PAD] or a second [CLS] in the middle of a text.",
        "randint(len(vocabulary)) draws from all of it: codertimo/BERT-pytorch, and huggingface/transformers issue "
        "15342, where it was left as it is, since the paper does not forbid it.",
        (Edit(masking.mask_tokens, "rng.choice(np.flatnonzero(ordinary), size=len(originals))",
              "rng.integers(len(ordinary), size=len(originals))"),),
        "special_tokens_are_left_alone"),
    Bug("special tokens are guessed, too",
        "The loss is lower than it should be: [CLS] and [SEP] are easy, and counted.",
        "Whoever masks must know which tokens are special. huggingface/transformers issue 11155: after three lines "
        "were lost in a clean-up, even padding was masked.",
        (Edit(masking.mask_tokens, "candidate = ordinary[input_ids]", "candidate = input_ids != 0"),),
        "special_tokens_are_left_alone"),
    Bug("a branch that is never taken",
        "The reported loss is lower than it should be, and the held-out one is not: no blank ever misleads.",
        "if p < 0.8: mask; elif p < 0.1: a random word. The second number has to be 0.9, or a second draw and 0.5; "
        "which of the two confuses readers of right code as well (huggingface/transformers pull request 17377).",
        (Edit(masking.mask_tokens, "fate < mask_share + random_share", "fate < random_share"),),
        "eighty_ten_and_ten_percent"),
    Bug("labels are taken after the masking",
        "The loss falls to almost nothing within a few dozen steps: the answer to [MASK] is [MASK].",
        "labels = inputs, without a copy, and then inputs is changed in place; or the lines stand in the wrong order. "
        "ServiceNow/Fast-LLM pull request 253 is a relative.",
        (Edit(masking.mask_tokens, "    return masked, labels\n",
              "    return masked, np.where(chosen, masked, IGNORED).astype(np.int64)\n"),),
        "a_label_is_the_word_that_stood_there"),
    Bug("every batch has its blanks in the same places",
        "Nothing that a curve would show at once. Words at some places are never guessed.",
        "A generator that is copied into every worker, or seeded again for every batch, draws the same each time. A "
        "search found it in more than 95% of the PyTorch projects that draw with NumPy in several workers (\"A bug "
        "that plagues thousands of open-source ML projects\").",
        (Edit(PretrainingData._rng, "1 + batch]", "1]"),),
        "every_batch_has_blanks_of_its_own"),
    Bug("the first [SEP] belongs to segment B",
        "Nothing. Only a model that was trained with the other convention minds.",
        "Off by one, in the direction that cannot be seen: the model learns whichever segment it is told.",
        (Edit(PretrainingData._batch, "examples[:, 1] - examples[:, 0] + 2", "examples[:, 1] - examples[:, 0] + 1"),),
        "segments_as_the_paper_draws_them"),
]
