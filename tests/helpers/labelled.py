"""Every class of model that has a loss, with every kind of label that it takes, at a size to compute often."""
import numpy as np
import tiny_bert

import numbert as nb

LENGTHS = (9, 12, 5, 7, 3, 10)
FAMILIES = {
    "Bert": nb.BertConfig, "Roberta": nb.RobertaConfig, "Albert": nb.AlbertConfig, "GPT2": nb.GPT2Config}
SIZES = {"vocab_size": tiny_bert.WORDS, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
         "intermediate_size": 10, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
         "initializer_range": 0.3, "max_position_embeddings": tiny_bert.PLACES + 2}
GPT2_SIZES = {"vocab_size": tiny_bert.WORDS, "n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": tiny_bert.PLACES,
              "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0, "initializer_range": 0.3}


def some(rng, labels, share=0.6):
    """Labels with holes; the first sequences, which may be a part of their own, have none."""
    holes = rng.random(labels.shape) > share
    holes[:2] = True
    return np.where(holes, -100, labels)


def kinds_of_labels(name, rng, batch):
    """{what is particular: (changes of the configuration, labels by name)} for a class of model."""
    (B, T), real, head = batch["input_ids"].shape, batch["attention_mask"] == 1, name.partition("For")[2] or name
    words, lengths = np.where(real, rng.integers(1, tiny_bert.WORDS, (B, T)), -100), batch["attention_mask"].sum(1)
    place = rng.integers(0, lengths)
    match head:
        case "PreTraining":
            pair, order = ("sentence_order_label" if name == "AlbertForPreTraining" else "next_sentence_label",
                           rng.integers(0, 2, B))
            return {"both": ({}, {"labels": some(rng, words), pair: some(rng, order)}),
                    "words only": ({}, {"labels": some(rng, words)}), "pairs only": ({}, {pair: order}),
                    "untied": ({"tie_word_embeddings": False}, {"labels": some(rng, words), pair: order}),
                    "no word at all": ({}, {"labels": np.full((B, T), -100), pair: order})}
        case "MaskedLM":
            return {"all": ({}, {"labels": words}), "holes": ({}, {"labels": some(rng, words)}),
                    "none": ({}, {"labels": np.full((B, T), -100)})}
        case "GPT2LMHeadModel":
            ids = np.where(real, batch["input_ids"], -100)
            return {"the text itself": ({}, {"labels": ids}), "holes": ({}, {"labels": some(rng, words)}),
                    "first tokens only": ({}, {"labels": np.where(np.arange(T) == 0, ids, -100)})}
        case "NextSentencePrediction":
            return {f"{label} {what}": ({}, {label: one}) for label in ("labels", "next_sentence_label")
                    for what, one in (("all", rng.integers(0, 2, B)), ("holes", some(rng, rng.integers(0, 2, B))))}
        case "SequenceClassification":
            classes, numbers = rng.integers(0, 3, B), rng.standard_normal(B)
            return {"classes": ({"num_labels": 3}, {"labels": classes}),
                    "holes": ({"num_labels": 3}, {"labels": some(rng, classes)}),
                    "regression": ({"num_labels": 1}, {"labels": numbers}),
                    "regression of whole numbers": ({"num_labels": 1}, {"labels": np.where(classes, classes, -100)}),
                    "regression of three": ({"num_labels": 3, "problem_type": "regression"},
                                            {"labels": rng.standard_normal((B, 3))}),
                    "several": ({"num_labels": 3}, {"labels": rng.random((B, 3))}),
                    "several, whole": ({"num_labels": 3, "problem_type": "multi_label_classification"},
                                       {"labels": rng.integers(0, 2, (B, 3))}),
                    "weights": ({"num_labels": 3}, {"labels": some(rng, classes)}, np.array([0.5, 0.0, 3.0]))}
        case "TokenClassification":
            tags = np.where(real, rng.integers(0, 3, (B, T)), -100)
            return {"all": ({"num_labels": 3}, {"labels": tags}),
                    "holes": ({"num_labels": 3}, {"labels": some(rng, tags)}),
                    "weights": ({"num_labels": 3}, {"labels": some(rng, tags)}, np.array([0.5, 0.0, 3.0]))}
        case "QuestionAnswering":
            return {"both": ({}, {"start_positions": place, "end_positions": place}),
                    "holes": ({}, {"start_positions": some(rng, place), "end_positions": place}),
                    "start only": ({}, {"start_positions": some(rng, place)})}
        case "MultipleChoice":
            return {"all": ({}, {"labels": rng.integers(0, 2, B // 2)}),
                    "holes": ({}, {"labels": np.array([-100, 1, 0])})}
    raise AssertionError(f"{name}: which labels does it take?")


CASES = [(name, what) for name in sorted(vars(nb)) if hasattr(getattr(nb, name), "label_counts")
         for what in kinds_of_labels(name, np.random.default_rng(0), tiny_bert.text(np.random.default_rng(0), LENGTHS))]


def case(name, what, text):
    family = next(family for family in FAMILIES if name.startswith(family))
    rng, batch = np.random.default_rng(2), dict(text)
    changes, labels, *weights = kinds_of_labels(name, rng, batch)[what]
    options = {"class_weights": weights[0]} if weights else {}
    if family in ("GPT2", "Roberta"):
        del batch["token_type_ids"]
    if name.endswith("MultipleChoice"):
        batch = {name: x.reshape(-1, 2, x.shape[-1]) for name, x in batch.items()}
    config = FAMILIES[family](**(GPT2_SIZES if family == "GPT2" else SIZES) | changes)
    return getattr(nb, name)(config, rng=rng, dtype=np.float64, **options), batch | labels
