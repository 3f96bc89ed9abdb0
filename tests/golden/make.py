"""Golden values: losses and gradients that Hugging Face transformers computes for models of a few hundred weights.

    python tests/golden/make.py        writes heads.json and family.json beside it; needs torch and transformers

Weights and batches come from an integer hash of a name, so that any version of NumPy makes them again exactly. Recorded
in float64: for each case the loss, and for some parameters (in family.json for all) the norm of the gradient and its
product with a hashed array, which depends on the place and the sign of every element.
"""
import json
import re
import zlib
from pathlib import Path

import numpy as np

FILE = Path(__file__).parent / "heads.json"
FAMILY_FILE = Path(__file__).parent / "family.json"
CONFIG = {"vocab_size": 30, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
          "intermediate_size": 12, "max_position_embeddings": 10, "type_vocab_size": 2, "hidden_dropout_prob": 0.0,
          "attention_probs_dropout_prob": 0.0, "layer_norm_eps": 1e-12}
CONFIGS = {
    "Bert": CONFIG,
    "Roberta": CONFIG | {"pad_token_id": 0},
    "Albert": CONFIG | {"embedding_size": 5, "num_hidden_layers": 3, "num_hidden_groups": 2, "inner_group_num": 2},
    "GPT2": {"vocab_size": 30, "n_embd": 8, "n_layer": 2, "n_head": 2, "n_inner": 12, "n_positions": 10,
             "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0, "bos_token_id": 1, "eos_token_id": 2},
}
LENGTHS = np.array([7, 3, 5, 6])
PROBED = ("embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight",
          "embeddings.token_type_embeddings.weight", "embeddings.LayerNorm.weight",
          "encoder.layer.0.attention.self.query.weight", "encoder.layer.0.attention.self.value.weight",
          "encoder.layer.1.attention.output.dense.weight", "encoder.layer.1.intermediate.dense.bias",
          "encoder.layer.1.output.dense.weight", "pooler.dense.weight", "cls.predictions.transform.dense.weight",
          "cls.predictions.bias", "cls.seq_relationship.weight", "classifier.weight", "qa_outputs.weight")


def hashed(name, shape):
    """Numbers in [-1, 1), the same for a name on every machine."""
    x = np.arange(int(np.prod(shape)), dtype=np.uint64) * np.uint64(2654435761) + np.uint64(zlib.crc32(name.encode()))
    for _ in range(2):
        x = ((x ^ (x >> np.uint64(16))) * np.uint64(0x45D9F3B)) % np.uint64(2**32)
    return (x.astype(np.float64) / 2**31 - 1).reshape(shape)


def weight(name, shape):
    """The value of the parameter called `name` (without `bert.`): gains around 1, all else around 0."""
    return hashed(name, shape) * 0.4 + (1.0 if "LayerNorm.weight" in name else 0.0)


def whole(name, shape, low, high):
    """Whole numbers from low to high - 1."""
    return np.floor((hashed(name, shape) + 1) / 2 * (high - low)).astype(np.int64) + low


def text(lengths=LENGTHS):
    """Padded sequences: input_ids (no padding id in the text), token_type_ids, attention_mask."""
    shape = len(lengths), int(max(lengths))
    mask = np.arange(shape[1]) < np.asarray(lengths)[:, None]
    return {"input_ids": np.where(mask, whole("input_ids", shape, 1, 30), 0),
            "token_type_ids": np.where(mask, whole("token_type_ids", shape, 0, 2), 0),
            "attention_mask": mask.astype(np.int64)}


def cases():
    """[(name, class, changes of the configuration, batch)]; arguments are ours, see `main` for the one that differs."""
    batch = text()
    mask, shape = batch["attention_mask"] == 1, batch["input_ids"].shape
    masked = mask & (hashed("masked", shape) > 0.2)
    words = np.where(masked, whole("words", shape, 1, 30), -100)
    follows, three = whole("follows", (4,), 0, 2), {"num_labels": 3}
    tags = np.where(mask & (hashed("tagged", shape) > -0.6), whole("tags", shape, 0, 3), -100)
    even = text([7, 7, 7, 7])
    choices = {name: np.stack([array, array[::-1]], axis=1) for name, array in batch.items()}
    return [
        ("pretraining", "BertForPreTraining", {}, batch | {"labels": words, "next_sentence_label": follows}),
        ("pretraining, tanh GELU", "BertForPreTraining", {"hidden_act": "gelu_new"},
         batch | {"labels": words, "next_sentence_label": follows}),
        ("masked words", "BertForMaskedLM", {}, batch | {"labels": words}),
        ("next sentence", "BertForNextSentencePrediction", {}, batch | {"next_sentence_label": follows}),
        ("classes", "BertForSequenceClassification", three, batch | {"labels": whole("classes", (4,), 0, 3)}),
        ("several classes", "BertForSequenceClassification", three,
         batch | {"labels": whole("several", (4, 3), 0, 2).astype(np.float64)}),
        ("regression", "BertForSequenceClassification", {"num_labels": 1}, batch | {"labels": hashed("y", (4,))}),
        ("tags", "BertForTokenClassification", three, batch | {"labels": tags}),
        ("answers", "BertForQuestionAnswering", {},                # without padding, which transformers' softmax counts
         even | {"start_positions": whole("start", (4,), 0, 7), "end_positions": whole("end", (4,), 0, 7)}),
        ("choices", "BertForMultipleChoice", {}, choices | {"labels": whole("choice", (4,), 0, 2)}),
    ]


def family_cases():
    """[(name, class, changes of the configuration, batch)] for what is not BERT."""
    batch = text()
    mask, shape = batch["attention_mask"] == 1, batch["input_ids"].shape
    words = np.where(mask & (hashed("masked", shape) > 0.2), whole("words", shape, 1, 30), -100)
    follows, classes = whole("follows", (4,), 0, 2), whole("classes", (4,), 0, 3)
    return [
        ("RoBERTa, masked words", "RobertaForMaskedLM", {}, batch | {"labels": words}),
        ("RoBERTa, classes", "RobertaForSequenceClassification", {"num_labels": 3}, batch | {"labels": classes}),
        ("ALBERT, pretraining", "AlbertForPreTraining", {}, batch | {"labels": words, "sentence_order_label": follows}),
        ("GPT-2, next words", "GPT2LMHeadModel", {}, {"input_ids": batch["input_ids"],
                                                      "attention_mask": batch["attention_mask"], "labels": words}),
    ]


def family(kind):
    """GPT2LMHeadModel -> GPT2"""
    return next(name for name in CONFIGS if kind.startswith(name))


def probes(gradients, names=PROBED):
    """{name: [norm, product]} of the gradients called `names` (None: all), from a dict by Hugging Face's names."""
    found = {}
    for name, array in gradients.items():
        plain = name.removeprefix("bert.")
        if names is None or plain in names:
            found[plain] = [float(np.linalg.norm(array)), float((array * hashed("probe " + plain, array.shape)).sum())]
    return found


def record(kind, changes, batch):
    """The loss and the gradients by name, as transformers computes them."""
    import torch
    import transformers

    config = getattr(transformers, f"{family(kind)}Config")(**CONFIGS[family(kind)] | changes,
                                                            attn_implementation="eager")
    model = getattr(transformers, kind)(config).double().eval()
    with torch.no_grad():
        for theirs, parameter in model.named_parameters():
            parameter.copy_(torch.tensor(weight(theirs.removeprefix("bert."), tuple(parameter.shape))))
    batch = {key: torch.tensor(array) for key, array in batch.items()}
    if kind == "BertForNextSentencePrediction":
        batch["labels"] = batch.pop("next_sentence_label")
    output = model(**batch)
    loss = output.loss
    if kind == "GPT2LMHeadModel":                                   # whose loss is computed from float32 logits there
        loss = torch.nn.functional.cross_entropy(output.logits[:, :-1].flatten(0, 1), batch["labels"][:, 1:].flatten())
    loss.backward()
    return loss.item(), {theirs: p.grad.numpy() for theirs, p in model.named_parameters() if p.grad is not None}


def main():
    import torch
    import transformers

    for file, recorded, names in ((FILE, cases(), PROBED), (FAMILY_FILE, family_cases(), None)):
        golden = {"made with": f"transformers {transformers.__version__}, torch {torch.__version__}, float64"}
        for name, kind, changes, batch in recorded:
            loss, gradients = record(kind, changes, batch)
            golden[name] = {"loss": loss} | probes(gradients, names)
        text = json.dumps(golden, indent=1)
        file.write_text(re.sub(r"\[\s+(\S+)\s+(\S+)\s+\]", r"[\1 \2]", text) + "\n")        # pairs on one line


if __name__ == "__main__":
    main()
