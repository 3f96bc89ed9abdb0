"""Texts for a model that writes, and how what it writes is checked."""
import math
import re
import statistics
from typing import NamedTuple

import numpy as np

from ..pretraining.corpus import hold_out, python_documents
from ..tokenizers.byte_bpe import ByteLevelBPETokenizer
from ..tokenizers.byte_bpe_files import GPT2
from ..tokenizers.wordpiece import SPECIAL_TOKENS, WordPieceTokenizer
from ..toyworld import documents, enumerated

HELD_OUT = 400                          # texts of the small and of the larger world that are held out


class Material(NamedTuple):
    """training, held_out: texts as lists of ids.  prompt: function of such a list -> how many tokens of it are given.
    checks: {what is counted: function of Written -> share}.  floor: nats a token on `held_out`,
    for one who knows the probability of every text.
    """
    tokenizer: object
    training: list
    held_out: list
    prompt: object
    checks: dict
    floor: float | None = None


class Written(NamedTuple):
    """Texts (list of str), from their beginnings on, and what of each was written by the model."""
    whole: list
    new: list


def sentences(text):
    return [one.strip() for one in re.findall(r"[^.?]+[.?]?", text) if one.strip()]


def words(text):
    return re.findall(r"[a-z]+", text.lower())


def found_in(known, parts=lambda text: [text], of="new"):
    """A check: the share of the parts of texts that are among the known ones."""
    def share(written):
        found = [part in known for text in getattr(written, of) for part in parts(text)]
        return statistics.fmean(found) if found else math.nan
    return share


def closed(quick):
    """A world whose stories are all known, each with its probability. Half of them are never shown to the model."""
    language, rng = enumerated("tiny" if quick else "closed"), np.random.default_rng(0)
    tokenizer = WordPieceTokenizer([*SPECIAL_TOKENS.values(), *language.words])
    ours = np.array([tokenizer.vocab[word] for word in language.words])
    stories = [ours[text[:length]].tolist() for text, length in zip(language.texts, language.lengths, strict=True)]
    texts = list(map(tokenizer.decode, stories))
    hidden = rng.random(len(stories)) < 0.5
    training, held_out = (rng.choice(len(stories), size, p=p / p.sum()) for p, size in (
        (language.probabilities * ~hidden, 20_000), (language.probabilities * hidden, HELD_OUT)))
    possible, unseen = set(texts), {text for text, one in zip(texts, hidden, strict=True) if one}
    checks = {"sentences of the world": found_in({s for text in texts for s in sentences(text)}, sentences),
              "stories that can be": found_in(possible, of="whole"),
              "of these never read": lambda written: found_in(unseen, of="whole")(
                  Written([text for text in written.whole if text in possible], []))}
    nats = -np.log(language.probabilities[held_out]).sum() / (language.lengths[held_out] + 1).sum()
    return Material(tokenizer, [stories[i] for i in training], [stories[i] for i in held_out],
                    lambda ids: 1 + ids.index(tokenizer.vocab["."]), checks, float(nats))


def open_world(quick):
    """24 people, 16 places, 42 things, moods and weather: too many stories to be listed, so 20,000 must do."""
    parts = [documents(n, np.random.default_rng([1, n]), "en") for n in (20_000, HELD_OUT)]
    normaliser = WordPieceTokenizer([]).normaliser
    known = sorted({word for story in parts[0] for text in story for word in normaliser.words(text)})
    tokenizer = WordPieceTokenizer([*SPECIAL_TOKENS.values(), *known])
    training, held_out = ([tokenizer(" ".join(story), add_special_tokens=False).input_ids for story in part]
                          for part in parts)
    seen = {s for ids in training for s in sentences(tokenizer.decode(ids))}
    return Material(tokenizer, training, held_out, lambda ids: 1 + ids.index(tokenizer.vocab["."]),
                    {"sentences that were read": found_in(seen, sentences)})


def python(quick):
    """The manual, docstrings and comments of this Python and of NumPy, a paragraph a text, in pieces of words."""
    parts = [[paragraph for document in part for paragraph in document]
             for part in hold_out(python_documents(), 0.05, np.random.default_rng(0))]
    tokenizer = ByteLevelBPETokenizer.train(parts[0], vocab_size=4000, special_tokens=GPT2)
    training, held_out = (tokenizer.encode_batch(part, add_special_tokens=False) for part in parts)
    return Material(tokenizer, training, held_out, lambda ids: min(8, len(ids)),
                    {"words that were read": found_in({word for text in parts[0] for word in words(text)}, words)})


READ = {"closed": closed, "open": open_world, "python": python}           # quick -> Material: of a still smaller world


def rows_of(texts, end, length):
    """Lists of at most `length` ids: each text with an end before and after it, cut so that each token comes after
    another one exactly once."""
    framed = ([end, *ids, end] for ids in texts)
    return [ids[start:start + length] for ids in framed for start in range(0, len(ids) - 1, length - 1)]


def batch_of(rows):
    """{input_ids, attention_mask, labels} (B, T): a token is asked for the one behind it."""
    lengths = np.array(list(map(len, rows)))
    mask = np.arange(lengths.max()) < lengths[:, None]
    ids = np.zeros(mask.shape, np.int64)
    ids[mask] = np.concatenate(rows)
    labels = np.where(mask, ids, -100)
    labels[:, 0] = -100
    return {"input_ids": ids, "attention_mask": mask.astype(np.int64), "labels": labels}
