"""How good is a pre-trained model? Its losses and accuracies on held-out batches, filled-in blanks, and written text.

Nats per token cannot be compared between two vocabularies: with fewer tokens for a text, each is harder to guess.
Bits per character can: the nats of all guessed tokens, divided by ln 2 and by the number of characters of these
tokens. What it means depends on the objective, and the two are not the same quantity:

    causal    the code length of the text. Each token is guessed from those before it, so the product of the guesses is
              p(text), and -log2 p(text) the number of bits that the model could compress it to. (A token sees
              what stands before it in its row; longer rows compress better.)
    masked    how hard the hidden tokens are, given those before and *behind* them. The product of such guesses is no
              probability of a text (it is called a pseudo-likelihood), and it is far easier to make large
"""
from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.random import Generator

from ..models.gpt2 import GPT2LMHeadModel
from ..models.pretrained import Output, PretrainedModel, WithLosses
from ..ops import IGNORE
from ..recording import no_grad
from ..tokenizers.encoding import Batch
from ..tokenizers.tokenizer import Tokenizer
from ..training.loop import Step
from ..training.parallel import Workers
from .corpus import split_sentences

TASKS = {"mlm": "masked", "lm": "scored", "nsp": "pairs", "sop": "pairs"}       # a loss, and what it is a mean over


def hits(part: Batch, output: Output) -> dict[str, int]:
    """How many labels a batch has for each task, and how many of them a model guesses right; to be added up over
    batches: {"mlm_labels", "mlm_hits", ...}.

    `part` is a batch of `PretrainingData`, `output` what a model for pre-training gave for it.
    """
    return {f"{task}_{what}": numbers[task] for task in output.losses
            for what, numbers in (("labels", output.counts), ("hits", output.correct))}


def evaluate(model: WithLosses, batches: Iterable[Batch], workers: Workers,
             characters: np.ndarray | None = None) -> dict[str, float]:
    """The figures of held-out batches, by the model's losses: `mlm` in nats per hidden token, `lm` in nats per next
    token, `nsp` and `sop` in nats per pair; of each the accuracy (`mlm_accuracy`, ...); and how many tokens and
    pairs there were (`masked`, `scored`, `pairs`).

    characters    (V,), from `characters_per_token`: then also `bits_per_character`; at the top of this file it says
                  why that of a causal and that of a masked model are two things
    """
    def one(batch):
        with no_grad():
            output = model(**batch)
        sums = hits(batch, output)
        sums |= {name: float(loss) * output.counts[name] for name, loss in output.losses.items()}
        if characters is not None:
            sums["characters"] = float(characters[batch["labels"][batch["labels"] != IGNORE]].sum())
        return sums

    results = workers.share(one, batches)
    if not results:
        raise ValueError("no batches to measure")
    total = {name: sum(result[name] for result in results) for name in results[0]}
    figures = {}
    for name in (name for name in TASKS if name in total):
        n = total[f"{name}_labels"]
        figures |= {name: total[name] / max(1, n), f"{name}_accuracy": total[f"{name}_hits"] / max(1, n),
                    TASKS[name]: n}
    if characters is not None:
        nats = total["lm"] if "lm" in total else total["mlm"]
        figures["bits_per_character"] = nats / math.log(2) / max(1.0, total["characters"])
    return figures


def characters_per_token(documents: Iterable[list[str]], tokenizer: Tokenizer) -> np.ndarray:
    """(V,) float64: how many characters of `documents` each token stands for, on average; 0 for those not in them.

    A token has the characters from the end of the token before it up to its own end, so white space counts with what
    follows it, and all tokens of a sentence have all its characters and one for the space before it. So the sum over
    the tokens of the documents is exact; that over some of them, as over the hidden ones, is an expectation where a
    token stands for more here and less there ([UNK], or a full stop, with a space before it or none).
    """
    counts, characters = np.zeros((2, max(tokenizer.vocab.values()) + 1))
    for document in documents:
        for sentence in (s for paragraph in document for s in split_sentences(paragraph)):
            encoding = tokenizer(" " + sentence, add_special_tokens=False)
            ends = np.maximum.accumulate([0, *(end for _, end in encoding.offsets)])
            np.add.at(counts, encoding.input_ids, 1)
            np.add.at(characters, encoding.input_ids, np.diff(ends))
    return characters / np.maximum(counts, 1)


def training_figures(steps: Sequence[Step]) -> dict[str, float]:
    """The figures of several steps of training (`training.loop.Step`), like those of `evaluate`."""
    figures = {}
    for name in (name for name in TASKS if name in steps[0].sums):
        figures[name] = sum(step.sums[name] for step in steps) / len(steps)
        figures[f"{name}_accuracy"] = (sum(step.sums[f"{name}_hits"] for step in steps)
                                       / max(1, sum(step.sums[f"{name}_labels"] for step in steps)))
    return figures


def describe(figures: dict[str, float]) -> str:
    """One line of figures: losses in nats, and the shares of right guesses."""
    return "  ".join(f"{name} {figures[name]:.3f} ({figures[f'{name}_accuracy']:.1%})"
                     for name in TASKS if name in figures)


def fill_mask(model: PretrainedModel, tokenizer: Tokenizer, text: str, top: int = 5) -> list[list[tuple[str, float]]]:
    """For each [MASK] in `text`, the `top` most likely tokens as [(token, probability), ...], likeliest first.

    Probabilities are among all V words of the model; ids that the tokenizer has no token for are not listed.
    Raises ValueError if there is no [MASK] in it, if one is cut off, and for a model that does not guess hidden words.
    """
    if not hasattr(model, "mlm"):
        raise ValueError(f"hidden words are guessed by a model for masked words, not by a {type(model).__name__}")
    mask, mask_id = tokenizer.special_tokens.get("mask"), tokenizer.mask_token_id
    whole, encoding = (tokenizer(text, max_length=length, special_tokens_in_text=True)
                       for length in (None, model.max_tokens))
    masks = whole.input_ids.count(mask_id)
    if not masks:
        raise ValueError(f"there is no {mask} in {text!r:.200}")
    if (kept := encoding.input_ids.count(mask_id)) < masks:
        raise ValueError(f"the text has {len(whole)} tokens, of which the model takes {model.max_tokens}: "
                         f"{masks - kept} of {masks} {mask} would be cut off")
    batch = tokenizer.pad([encoding], side="right")
    labels = np.where(batch["input_ids"] == mask_id, 0, IGNORE)                     # any label: it selects the logits
    with no_grad():
        output = model(**model.accepted(batch), labels=labels)
    logits = (output.prediction_logits if hasattr(output, "prediction_logits") else output.logits).data
    probabilities = np.exp(logits - logits.max(-1, keepdims=True))
    probabilities /= probabilities.sum(-1, keepdims=True)
    best = np.argsort(-probabilities[:, :len(tokenizer)], axis=-1, kind="stable")[:, :top]
    return [[(tokenizer.tokens[i], float(row[i])) for i in ids] for row, ids in zip(probabilities, best, strict=True)]


def blanks(sentences: Sequence[str], tokenizer: Tokenizer, rng: Generator, *, count: int = 6,
           words: tuple[int, int] = (8, 25), tokens: int = 512) -> list[tuple[str, str]]:
    """`count` of the sentences, each with one ordinary whole word replaced by [MASK]: [(text, word), ...].

    Sentences have a number of words in the range `words`, and at most so many `tokens`; a word is a single token of
    three letters or more.
    """
    found = []
    for i in rng.permutation(len(sentences)):
        encoding = tokenizer(sentences[i])
        places = [(start, end) for (start, end), word, token in
                  zip(encoding.offsets, encoding.word_ids, encoding.tokens, strict=True)
                  if word is not None and encoding.word_ids.count(word) == 1 and token.isalpha() and len(token) >= 3]
        if places and words[0] <= len(sentences[i].split()) <= words[1] and len(encoding) <= tokens:
            start, end = places[rng.integers(len(places))]
            mask = tokenizer.special_tokens["mask"]
            found.append((sentences[i][:start] + mask + sentences[i][end:], sentences[i][start:end]))
        if len(found) == count:
            break
    return found


def continuations(model: GPT2LMHeadModel, tokenizer: Tokenizer, sentences: Sequence[str], rng: Generator, *,
                  count: int = 6, words: tuple[int, int] = (8, 25), tokens: int = 512) -> list[tuple[str, str, str]]:
    """`count` of the sentences, cut in the middle: [(beginning, what a causal model writes after it, true end), ...].

    Sentences have a number of words in the range `words`, and at most so many `tokens`. The model writes as many tokens
    as the true end has, always the most probable one.
    """
    found = []
    for i in rng.permutation(len(sentences)):
        parts = sentences[i].split()
        begin, end = (" ".join(half) for half in (parts[:len(parts) // 2], parts[len(parts) // 2:]))
        seen, true = tokenizer.encode_batch([" " + begin, " " + end], add_special_tokens=False)
        if words[0] <= len(parts) <= words[1] and len(seen) + len(true) <= tokens:
            written = model.generate([seen], len(true))[0, len(seen):]
            found.append((begin, tokenizer.decode(written[written < len(tokenizer)]), end))
        if len(found) == count:
            break
    return found
