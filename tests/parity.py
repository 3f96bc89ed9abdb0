"""The parity card: numbert beside Hugging Face transformers on PyTorch.

    python tests/parity.py        prints a Markdown table; exit code 1 if float64 differs by more than 1e-9

For every class and several random configurations both get the same weights, through a folder that transformers wrote,
and the same batch. Compared are the loss, every output and the gradient of every parameter. Then the same weights go
numbert -> transformers -> numbert, and one step of AdamW is taken on either side.

Four differences are known and kept out of the comparison: transformers gives no gradient to the row of the padding
token (so it does not occur in the texts), gives numbers on padding (only real tokens are compared), and lets padding
share in the softmax over the places of an answer (its logits are masked there before the loss is computed), and rounds
the logits of GPT-2 to float32 before the loss (which is computed from its float64 logits here).
"""
import dataclasses
import re
import sys
import tempfile

import numpy as np

import numbert as nb
from numbert.training.optimizer import AdamW
from numbert.training.parallel import Workers

LIMIT = 1e-9                        # for float64; float32 is shown, not judged: it cannot do better than about 1e-6
BERT = (
    {"vocab_size": 61, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 40,
     "max_position_embeddings": 20},
    {"vocab_size": 50, "hidden_size": 15, "num_hidden_layers": 3, "num_attention_heads": 5, "intermediate_size": 7,
     "max_position_embeddings": 17, "hidden_act": "relu", "type_vocab_size": 3, "layer_norm_eps": 1e-5},
    {"vocab_size": 37, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 31,
     "max_position_embeddings": 13, "hidden_act": "gelu_new", "tie_word_embeddings": False},
    {"vocab_size": 130, "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 12, "intermediate_size": 96,
     "max_position_embeddings": 40, "hidden_act": "gelu_pytorch_tanh", "pad_token_id": 5},
)
ROBERTA = tuple(settings | {"pad_token_id": pad, "type_vocab_size": types}
                for settings, pad, types in zip(BERT, (1, 0, 4, 1), (1, 2, 3, 1), strict=True))
ALBERT = tuple(settings | changes for settings, changes in zip(BERT, (
    {"embedding_size": 10},
    {"embedding_size": 17, "num_hidden_layers": 5, "num_hidden_groups": 2},                     # groups of 3 and 2
    {"embedding_size": 8, "num_hidden_layers": 2, "num_hidden_groups": 2, "inner_group_num": 3},
    {"embedding_size": 5, "num_hidden_layers": 3, "num_hidden_groups": 3, "inner_group_num": 2},
), strict=True))
GPT2 = tuple({"bos_token_id": 1, "eos_token_id": 2} | settings for settings in (
    {"vocab_size": 61, "n_embd": 24, "n_layer": 2, "n_head": 3, "n_positions": 20, "pad_token_id": 0},
    {"vocab_size": 50, "n_embd": 15, "n_layer": 3, "n_head": 5, "n_inner": 7, "n_positions": 17, "pad_token_id": 4,
     "activation_function": "relu", "layer_norm_epsilon": 1e-3},
    {"vocab_size": 37, "n_embd": 8, "n_layer": 1, "n_head": 1, "n_inner": 31, "n_positions": 13, "pad_token_id": 0,
     "activation_function": "gelu", "tie_word_embeddings": False},
))
ROLES = ("Model", "ForMaskedLM", "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering",
         "ForMultipleChoice")
FAMILIES = {"Bert": (("ForPreTraining", "ForNextSentencePrediction", *ROLES), BERT), "Roberta": (ROLES, ROBERTA),
            "Albert": (("ForPreTraining", *ROLES), ALBERT),
            "GPT2": (("Model", "LMHeadModel", "ForSequenceClassification", "ForTokenClassification",
                      "ForQuestionAnswering"), GPT2)}
KINDS = tuple(family + role for family, (roles, _) in FAMILIES.items() for role in roles)
VARIANTS = {"ForSequenceClassification": ("classes", "regression", "several classes")}


def split(kind):
    """BertForMaskedLM -> Bert, ForMaskedLM"""
    family = next(family for family in FAMILIES if kind.startswith(family))
    return family, kind.removeprefix(family)


@dataclasses.dataclass
class Case:
    """One class on both sides with the same weights, and a batch in our names."""
    kind: str
    variant: str
    theirs: object
    ours: object
    batch: dict

    role = property(lambda self: split(self.kind)[1])
    name = property(lambda self: self.kind + (f", {self.variant}" if self.variant else ""))


def build(kind, variant, settings, dtype, rng, folder):
    import torch
    import transformers
    torch.set_num_threads(1)                            # matrices this small gain nothing from threads
    family, role = split(kind)
    labels = {"classes": 3, "several classes": 4, "regression": 1, "": 2 if "Question" in role or "Pre" in role else 3}
    config = getattr(transformers, f"{family}Config")(**settings, num_labels=labels[variant],
                                                      attn_implementation="eager")
    theirs = getattr(transformers, kind)(config).to(getattr(torch, np.dtype(dtype).name)).eval()
    with torch.no_grad():                               # away from biases of 0 and gains of 1
        for parameter in theirs.parameters():
            parameter += torch.tensor(0.2 * rng.standard_normal(parameter.shape))
    theirs.save_pretrained(folder)
    ours = getattr(nb, kind).from_pretrained(folder, dtype=dtype, strict=True)
    return Case(kind, variant, theirs, ours, draw(kind, variant, ours.config, dtype, rng))


def draw(kind, variant, config, dtype, rng):
    """A padded batch, with two or more segments where there are any, and labels that fit the class."""
    family, role = split(kind)
    pad = config.pad_token_id or 0
    B, T = 4, config.max_position_embeddings - (pad + 1 if family == "Roberta" else 0)
    lengths = np.array([T, T // 2, T - 1, 3])
    if role == "ForMultipleChoice":
        B, lengths = 12, np.concatenate([lengths, lengths[::-1], np.roll(lengths, 1)])
    mask = np.arange(T) < lengths[:, None]
    ids = rng.integers(1, config.vocab_size - 1, (B, T))
    ids += ids >= pad if pad else 0
    batch = {"input_ids": np.where(mask, ids, pad), "attention_mask": mask.astype(np.int64)}
    if family != "GPT2":
        batch["token_type_ids"] = np.where(mask, rng.integers(0, config.type_vocab_size, (B, T)), 0)
    some = mask & (rng.random((B, T)) < 0.4)
    some[0, 1] = True
    words = {"labels": np.where(some, rng.integers(0, config.vocab_size, (B, T)), -100)}
    follows = {"sentence_order_label" if family == "Albert" else "next_sentence_label": rng.integers(0, 2, B)}
    match role:
        case "Model":
            return batch
        case "ForPreTraining":
            return batch | words | follows
        case "ForMaskedLM" | "LMHeadModel":
            return batch | words
        case "ForNextSentencePrediction":
            return batch | follows
        case "ForSequenceClassification":
            return batch | {"labels": {"classes": rng.integers(0, 3, B), "regression": rng.standard_normal(B),
                                       "several classes": rng.integers(0, 2, (B, 4)).astype(dtype)}[variant]}
        case "ForTokenClassification":
            return batch | {"labels": np.where(some, rng.integers(0, 3, (B, T)), -100)}
        case "ForQuestionAnswering":
            return batch | {"start_positions": rng.integers(0, lengths), "end_positions": rng.integers(0, lengths)}
        case "ForMultipleChoice":
            return {name: x.reshape(4, 3, T) for name, x in batch.items()} | {"labels": rng.integers(0, 3, 4)}


def named(theirs):
    """{name: parameter} of transformers. The bias of an untied decoder has two names there, and here the second."""
    untied = theirs.config.tie_word_embeddings is False
    return {re.sub(r"(predictions|lm_head)\.bias$", r"\1.decoder.bias", name) if untied else name: parameter
            for name, parameter in theirs.named_parameters()}


def run_theirs(case, upstream):
    """(loss or None, {name: output}, {name: gradient}) of transformers; without a loss, gradients for `upstream`."""
    import torch
    dtype = next(case.theirs.parameters()).dtype
    batch = {name: torch.tensor(x, dtype=dtype) if x.dtype.kind == "f" else torch.tensor(x)
             for name, x in case.batch.items()}
    if case.role == "ForNextSentencePrediction":
        batch["labels"] = batch.pop("next_sentence_label")
    positions = {name: batch.pop(name) for name in ("start_positions", "end_positions") if name in batch}
    output = case.theirs(**batch)
    loss = output.get("loss")
    if positions:
        padding = batch["attention_mask"] == 0
        loss = sum(torch.nn.functional.cross_entropy(output[f"{end}_logits"].masked_fill(padding, float("-inf")),
                                                     positions[f"{end}_positions"]) for end in ("start", "end")) / 2
    if case.role == "LMHeadModel":
        logits, labels = output.logits[:, :-1], batch["labels"][:, 1:]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
    outputs = {name: x for name, x in output.items() if name != "loss" and torch.is_tensor(x)}
    case.theirs.zero_grad()
    if loss is None:
        loss_like = sum((x * torch.tensor(upstream[name], dtype=dtype)).sum() for name, x in outputs.items())
        loss_like.backward()
    else:
        loss.backward()
    gradients = {name: np.zeros(p.shape) if p.grad is None else p.grad.numpy()
                 for name, p in named(case.theirs).items()}
    return loss and loss.item(), {name: x.detach().numpy() for name, x in outputs.items()}, gradients


def run_ours(case, upstream):
    """The same of numbert. Logits of words come from a second call without labels, which gives them all."""
    model = case.ours
    inputs = {name: case.batch[name] for name in ("input_ids", "token_type_ids", "attention_mask")
              if name in case.batch}
    outputs = {name: value.data for name, value in vars(model(**inputs)).items() if isinstance(value, nb.Tensor)}
    if case.role == "Model":
        each = [nb.gradients(getattr(model(**inputs), name), model.parameters(),
                             upstream[name].astype(array.dtype)) for name, array in outputs.items()]
        return None, outputs, model.state_dict([sum(parts) for parts in zip(*each, strict=True)])
    output = model(**case.batch)
    gradients = nb.gradients(output.loss, model.parameters())
    return float(output.loss), outputs, model.state_dict(gradients)


class Differences:
    """The largest absolute difference, and the largest relative to the largest element of its array."""

    def __init__(self):
        self.absolute = self.relative = 0.0
        self.arrays = 0                                                 # how many were compared

    def add(self, ours, theirs, zero=False):
        """`zero`: both are rounding errors of 0, and one relative to the other says nothing."""
        assert np.shape(ours) == np.shape(theirs), (np.shape(ours), np.shape(theirs))
        difference = np.abs(np.asarray(ours, np.float64) - theirs).max(initial=0)
        size = np.abs(theirs).max(initial=0)
        assert np.isfinite(difference)
        self.arrays += 1
        self.absolute = max(self.absolute, difference)
        self.relative = max(self.relative, difference / size if size and not zero else 0.0)

    def __str__(self):
        return f"{self.absolute:.1e} / {self.relative:.1e}" if self.arrays else "none"


def compare(case, rng, loss, outputs, gradients):
    """Add the differences of one case to three `Differences`."""
    mask = case.batch["attention_mask"] == 1
    upstream = {"last_hidden_state": rng.standard_normal((*mask.shape, case.ours.config.hidden_size)) * mask[..., None],
                "pooler_output": rng.standard_normal((len(mask), case.ours.config.hidden_size))
                } if case.role == "Model" else {}
    their_loss, their_outputs, their_gradients = run_theirs(case, upstream)
    our_loss, our_outputs, our_gradients = run_ours(case, upstream)
    if our_loss is not None:
        loss.add(our_loss, their_loss)
    assert our_outputs.keys() == their_outputs.keys() and our_gradients.keys() == their_gradients.keys()
    for name, theirs in their_outputs.items():
        ours = our_outputs[name]
        per_token = theirs.shape[:mask.ndim] == mask.shape
        outputs.add(ours[mask] if per_token else ours, theirs[mask] if per_token else theirs)
    rounding = np.sqrt(np.finfo(case.ours.parameters()[0].dtype).eps) * max(abs(g).max()
                                                                            for g in their_gradients.values())
    for name, theirs in their_gradients.items():
        # a softmax sees no shift: biases of keys, and of what scores places or choices, have no gradient
        gradients.add(our_gradients[name], theirs, zero=abs(theirs).max() < rounding)


def rows(kinds=KINDS, dtypes=(np.float64, np.float32), configurations=None):
    """(name, dtype, loss, outputs, gradients): a row of the table for each class and dtype, over all configurations,
    or the first few."""
    for kind in kinds:
        family, role = split(kind)
        for variant in VARIANTS.get(role, ("",)):
            for dtype in dtypes:
                found = Differences(), Differences(), Differences()
                for number, settings in enumerate(FAMILIES[family][1][:configurations]):
                    rng = np.random.default_rng(number)
                    with tempfile.TemporaryDirectory() as folder:
                        case = build(kind, variant, settings, dtype, rng, folder)
                        compare(case, rng, *found)
                yield case.name, np.dtype(dtype).name, *found


def round_trip(kind, settings, folder):
    """numbert -> transformers -> numbert in float32: what transformers complains of, and whether all bits came back."""
    import transformers
    model = getattr(nb, kind)(getattr(nb, f"{split(kind)[0]}Config")(**settings), rng=np.random.default_rng(7))
    for parameter in model.parameters():
        parameter.data += 0.1 * np.random.default_rng(8).standard_normal(parameter.shape).astype(np.float32)
    model.save_pretrained(f"{folder}/ours")
    theirs, info = getattr(transformers, kind).from_pretrained(f"{folder}/ours", output_loading_info=True)
    theirs.save_pretrained(f"{folder}/theirs")
    back = getattr(nb, kind).from_pretrained(f"{folder}/theirs", strict=True)
    before, after = model.state_dict(), back.state_dict()
    parameters = named(theirs)
    same = before.keys() == after.keys() == parameters.keys() and all(
        before[name].tobytes() == after[name].tobytes() == parameters[name].detach().numpy().tobytes()
        for name in before)
    return {name: sorted(map(str, found)) for name, found in info.items() if found}, same


def adamw_step(dtype, steps=3):
    """The largest difference after a few steps of our AdamW and torch's, relative to how far the weights moved."""
    import torch
    rng, lr = np.random.default_rng(0), 1e-3
    model = nb.BertForPreTraining(nb.BertConfig(**BERT[0]), rng=rng, dtype=dtype)
    theirs = [torch.nn.Parameter(torch.tensor(p.data)) for p in model.parameters()]
    groups = [{"params": [p for p in theirs if p.ndim > 1], "weight_decay": 0.01},
              {"params": [p for p in theirs if p.ndim == 1], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=lr, eps=1e-6)
    ours = AdamW(model.parameters(), eps=1e-6, weight_decay=0.01)
    with Workers(1) as workers:
        for _ in range(steps):
            gradients = [rng.standard_normal(p.shape).astype(dtype) for p in theirs]
            for p, g in zip(theirs, gradients, strict=True):
                p.grad = torch.tensor(g)
            optimizer.step()
            ours.step(gradients, lr, workers)
    return max(np.abs(p.data - q.detach().numpy()).max() for p, q in zip(model.parameters(), theirs, strict=True)) / lr


def main():
    try:
        import torch
        import transformers
    except ImportError as error:
        sys.exit(f"parity.py: needs torch and transformers, and there is no {error.name}: pip install '.[parity]'")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.manual_seed(0)
    print(f"numbert {nb.__version__} beside transformers {transformers.__version__} on torch {torch.__version__}; "
          "three or four configurations a family; largest difference, absolute / relative to the array's largest\n")
    print("| class | dtype | loss | outputs | gradients |\n|---|---|---|---|---|")
    good = True
    for name, dtype, *found in rows():
        print(f"| {name} | {dtype} | " + " | ".join(map(str, found)) + " |", flush=True)
        good &= dtype == "float32" or all(max(d.absolute, d.relative) <= LIMIT for d in found)

    trips = total = 0
    for kind in KINDS:
        for settings in FAMILIES[split(kind)[0]][1]:
            total += 1
            with tempfile.TemporaryDirectory() as folder:
                complaints, same = round_trip(kind, settings, folder)
            trips += same and not complaints
            if complaints or not same:
                print(f"\n{kind}: bits {'same' if same else 'DIFFER'}, transformers says {complaints}")
    print(f"\nnumbert -> transformers -> numbert in float32: {trips} of {total} come back bit for bit, "
          "with no missing or unexpected key")
    steps = {dtype.__name__: adamw_step(dtype) for dtype in (np.float64, np.float32)}
    print("AdamW beside torch.optim.AdamW after 3 steps, in units of the learning rate: "
          + ", ".join(f"{name} {difference:.1e}" for name, difference in steps.items()))
    good &= trips == total and steps["float64"] <= LIMIT
    print(f"\n{'agreed' if good else 'NOT agreed'}: the limit in float64 is {LIMIT:g}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
