"""How good is a pre-trained model? Its losses and hits on held-out batches, and what it puts into a blank."""
import numpy as np

from ..autograd import no_grad
from ..ops import IGNORE


def hits(part, output):
    """How many labels of a batch a model guesses right, by task; to be added up over batches.

    `part` is a batch of `PretrainingData`, `output` what BertForPreTraining or BertForMaskedLM gave for it.
    """
    logits = getattr(output, "prediction_logits", None)
    logits = output.logits if logits is None else logits
    counts = {"mlm_hits": (logits.data.argmax(-1) == part["labels"][part["labels"] != IGNORE]).sum()}
    if "nsp" in output.losses:
        counts["nsp_hits"] = (output.seq_relationship_logits.data.argmax(-1) == part["next_sentence_label"]).sum()
    return {name: int(count) for name, count in counts.items()}


def evaluate(model, batches, workers):
    """The figures of held-out batches: `mlm` in nats per masked token, `nsp` in nats per pair, the share of hits of
    both (`mlm_accuracy`, `nsp_accuracy`), and how many there were (`masked`, `pairs`).
    """
    def one(batch):
        with no_grad():
            output = model(**batch)
        counts = {"masked": (batch["labels"] != IGNORE).sum(), "pairs": len(batch["labels"])}
        sums = {name: float(loss) * counts["masked" if name == "mlm" else "pairs"]
                for name, loss in output.losses.items()}
        return sums | counts | hits(batch, output)

    results = workers.map(one, batches)
    if not results:
        raise ValueError("no batches to measure")
    total = {name: sum(result[name] for result in results) for name in results[0]}
    figures = {"mlm": total["mlm"] / max(1, total["masked"]),
               "mlm_accuracy": total["mlm_hits"] / max(1, total["masked"]), "masked": int(total["masked"])}
    if "nsp" in total:
        figures |= {"nsp": total["nsp"] / total["pairs"], "nsp_accuracy": total["nsp_hits"] / total["pairs"],
                    "pairs": int(total["pairs"])}
    return figures


def fill_mask(model, tokenizer, text, top=5):
    """For each [MASK] in `text`, the `top` most likely tokens as [(token, probability), ...], likeliest first.

    Raises ValueError if there is no [MASK] in it.
    """
    batch = tokenizer.pad([tokenizer(text, max_length=model.config.max_position_embeddings,
                                     special_tokens_in_text=True)])
    labels = np.where(batch["input_ids"] == tokenizer.mask_token_id, 0, IGNORE)     # any label: which logits we want
    if not (labels != IGNORE).any():
        raise ValueError(f"there is no {tokenizer.special_tokens['mask']} in {text!r}")
    with no_grad():
        output = model(**batch, labels=labels)
    logits = getattr(output, "prediction_logits", None)
    logits = (output.logits if logits is None else logits).data
    probabilities = np.exp(logits - logits.max(-1, keepdims=True))
    probabilities /= probabilities.sum(-1, keepdims=True)
    best = np.argsort(-probabilities, axis=-1, kind="stable")[:, :top]
    return [[(tokenizer.tokens[i], float(row[i])) for i in ids] for row, ids in zip(probabilities, best, strict=True)]


def blanks(sentences, tokenizer, rng, *, count=6, words=(8, 25), tokens=512):
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
