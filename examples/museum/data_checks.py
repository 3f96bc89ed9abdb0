"""The data: what the model is asked, and what it is shown."""
import math

import numpy as np

from numbert.ops import IGNORE
from numbert.pretraining.masking import mask_tokens

from .checks import CLS, MASK, PAD, SEP, WORDS, check, equal, holds, pairs


@check
def a_wrong_continuation_is_not_the_true_one():
    """Two short documents, drawn many times: whatever is labelled as not following must not be what follows."""
    data = pairs(documents=2, mask_rate=1e-9, batch_size=1)
    following = {tuple(data.text.tokens[start:start + 6].tolist()) for start in range(0, 33, 3) if start != 15}
    for epoch in range(20):
        for one in data.epoch(epoch):
            ids = np.where(one["labels"] == IGNORE, one["input_ids"], one["labels"])[0].tolist()
            first, second = (i for i, token in enumerate(ids) if token == SEP)
            a, b = ids[1:first], ids[first + 1:second]
            if len(a) >= 3 <= len(b) and one["next_sentence_label"][0] == 1:
                holds(f"{b[:3]} follows {a[-3:]} in the text and is labelled as random",
                      (*a[-3:], *b[:3]) not in following)


def masked(texts=4000):
    """(ids, masked ids, labels) of texts [CLS] ten words [SEP] and a padding."""
    ids = np.random.default_rng(0).integers(5, WORDS, (texts, 13))
    ids[:, 0], ids[:, -2], ids[:, -1] = CLS, SEP, PAD
    return ids, *mask_tokens(ids, np.random.default_rng(1), ordinary=np.arange(WORDS) >= 5, mask_id=MASK)


@check
def special_tokens_are_left_alone():
    """They are not guessed, and no word becomes one but [MASK]."""
    ids, seen, labels = masked()
    wrong = (labels != IGNORE) & (ids < 5)
    holds(f"{wrong.sum()} special tokens are to be guessed", not wrong.any())
    wrong = (seen < 5) & (ids >= 5) & (seen != MASK)
    holds(f"{wrong.sum()} words became a special token other than [MASK]", not wrong.any())


@check
def a_label_is_the_word_that_stood_there():
    """And not what stands there now."""
    ids, _, labels = masked()
    chosen = labels != IGNORE
    equal("labels", labels[chosen], ids[chosen])


@check
def eighty_ten_and_ten_percent():
    """Of the chosen words become [MASK], another word, or stay: within five standard deviations."""
    ids, seen, labels = masked()
    chosen = labels != IGNORE
    n, others = chosen.sum(), 0.1 * (1 - 1 / (WORDS - 5))              # a random word may be the one that stood there
    for what, count, share in (("[MASK]", (seen[chosen] == MASK).sum(), 0.8),
                               ("another word", ((seen != ids) & (seen != MASK))[chosen].sum(), others)):
        holds(f"{count / n:.1%} of the chosen became {what}, expected {share:.1%}",
              abs(count - n * share) <= 5 * math.sqrt(n * share * (1 - share)))


@check
def every_batch_has_blanks_of_its_own():
    """Among the texts of one length in an epoch, one a batch, there are several choices of places."""
    places = {}
    for one in pairs(objective="mlm", batch_size=1).epoch(0):
        places.setdefault(one["labels"].shape[1], []).append(tuple(np.flatnonzero(one["labels"][0] != IGNORE)))
    length, chosen = max(places.items(), key=lambda item: len(item[1]))
    holds(f"in all {len(chosen)} texts of {length} tokens the blanks are at {list(map(int, chosen[0]))}",
          len(set(chosen)) > 1)


@check
def segments_as_the_paper_draws_them():
    """[CLS] A [SEP] are 0, B [SEP] are 1 (Devlin et al. 2019, figure 2); so is padding 0."""
    for one in pairs(mask_rate=1e-9).epoch(0):
        ids = np.where(one["labels"] == IGNORE, one["input_ids"], one["labels"])
        for row, segments, real in zip(ids, one["token_type_ids"], one["attention_mask"], strict=True):
            first = row.tolist().index(SEP)
            equal("token_type_ids", segments, (np.arange(len(row)) > first) * real)
