"""Who does the work. A contender has

    proof()   does a little of it without dropout and gives an array of numbers, the same for all that do the same work
    reset()   makes ready for a step (not timed)
    step()    is timed

Libraries are imported where they are used: each contender has a process to itself, and none of the others' memory.
"""
import importlib.util
import itertools
import json
import logging
import warnings
from pathlib import Path

import numpy as np

from numbert import BertForPreTraining, BertForQuestionAnswering, BertModel, WordPieceTokenizer, no_grad
from numbert.machine import blas_threads
from numbert.training.optimizer import AdamW, global_norm
from numbert.training.parallel import Workers, cut, loss_and_gradients

from .cases import PROOF_STEPS

LR, DECAY, CLIP, EPS = 1e-4, 0.01, 1.0, 1e-6
CLASSES = {"pretrain": BertForPreTraining, "finetune": BertForQuestionAnswering, "encode": BertModel}
SAMPLE = 256                        # numbers of an encoding that are compared


def prepare(case, texts, onnx):
    """Write to case.folder what all contenders start from: the same weights, or the same vocabulary and text."""
    folder = Path(case.folder)
    if case.kind == "tokenise":
        WordPieceTokenizer.train(texts, vocab_size=case.vocab_size).save_pretrained(folder)
        (folder / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    else:
        model = CLASSES[case.kind](case.config(), rng=np.random.default_rng(0))
        model.save_pretrained(folder)
        if onnx:
            export(case)


class Contender:
    def reset(self):
        pass


class Training(Contender):
    """Forward, backward, clip to a length of 1, AdamW; a subclass says how."""

    def __init__(self, case):
        self.case, self.data = case, case.data()
        self.batches = itertools.cycle(self.data)

    def proof(self):
        """The losses of the first steps: that they agree shows that gradients and updates do too."""
        return np.array([self.train(batch, dropout=False) for batch in self.data[:PROOF_STEPS]])

    def step(self):
        self.train(next(self.batches), dropout=True)


class NumbertTraining(Training):
    def __init__(self, case):
        super().__init__(case)
        self.model = CLASSES[case.kind].from_pretrained(case.folder)
        self.optimizer = AdamW(self.model.parameters(), eps=EPS, weight_decay=DECAY)
        self.workers = Workers(case.threads).__enter__()            # until the process ends

    def train(self, batch, dropout):
        def rngs(part):
            return np.random.default_rng([self.optimizer.t, part]) if dropout else None

        sums, gradients = loss_and_gradients(self.model, batch, rngs, self.workers)
        norm = global_norm(gradients, self.workers)
        self.optimizer.step(gradients, LR, self.workers, scale=min(1.0, CLIP / norm))
        return sums["loss"]


class HuggingFaceTraining(Training):
    """Hugging Face's model as its documentation has it: the padded batch in, the loss out."""
    fused = None

    def __init__(self, case):
        super().__init__(case)
        self.torch, self.model = hugging_face(case)
        self.data = [{name: self.torch.from_numpy(x) for name, x in batch.items()} for batch in self.data]
        self.batches = itertools.cycle(self.data)
        decayed = [p for p in self.model.parameters() if p.ndim > 1]
        plain = [p for p in self.model.parameters() if p.ndim == 1]
        self.optimizer = self.torch.optim.AdamW(
            [{"params": decayed, "weight_decay": DECAY}, {"params": plain, "weight_decay": 0.0}], lr=LR, eps=EPS,
            fused=self.fused)

    def train(self, batch, dropout):
        self.model.train(dropout)
        loss = self.loss(batch)
        loss.backward()
        self.torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.item()

    def loss(self, batch):
        if self.case.kind == "pretrain":
            return self.model(**batch).loss
        # its own loss would let padding have a share in the softmax over the places of a text
        labels = {name: batch[f"{name}_positions"] for name in ("start", "end")}
        out = self.model(**{name: x for name, x in batch.items() if not name.endswith("positions")})
        padding, cross_entropy = batch["attention_mask"] == 0, self.torch.nn.functional.cross_entropy
        return sum(cross_entropy(out[f"{name}_logits"].masked_fill(padding, -np.inf), at) / 2
                   for name, at in labels.items())


class ExpertTraining(HuggingFaceTraining):
    """The same as an expert would write it: word scores for masked tokens alone, and the fused AdamW."""
    fused = True

    def loss(self, batch):
        body, heads, cross_entropy = self.model.bert, self.model.cls, self.torch.nn.functional.cross_entropy
        out = body(batch["input_ids"], token_type_ids=batch["token_type_ids"], attention_mask=batch["attention_mask"])
        masked = batch["labels"] != -100
        scores = heads.predictions(out.last_hidden_state[masked])
        return (cross_entropy(scores, batch["labels"][masked])
                + cross_entropy(heads.seq_relationship(out.pooler_output), batch["next_sentence_label"]))


def hugging_face(case):
    """(torch, the Hugging Face model with the weights in case.folder)"""
    import torch
    import transformers
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(case.threads)
    cls = getattr(transformers, CLASSES[case.kind].__name__)
    return torch, cls.from_pretrained(case.folder, attn_implementation="sdpa", dtype=torch.float32)


class Encoding(Contender):
    """Hidden states (B, T, D) of the last layer, in float32 and without dropout."""

    def __init__(self, case):
        self.case, self.data = case, case.data()
        self.batches = itertools.cycle(self.data)

    def proof(self):
        batch = self.data[0]
        real = np.asarray(self.encode(batch))[batch["attention_mask"] == 1]
        return real.reshape(-1)[:: max(1, real.size // SAMPLE)]

    def step(self):
        self.encode(next(self.batches))


class NumbertEncoding(Encoding):
    """One sequence has both cores in its matrix products; a batch is cut in parts, one for each core."""

    def __init__(self, case):
        super().__init__(case)
        self.model = BertModel.from_pretrained(case.folder)
        single = case.batch < case.threads
        self.workers = Workers(1 if single else case.threads).__enter__()
        self.blas = blas_threads(case.threads if single else 1)     # kept: it is undone when it is forgotten
        self.blas.__enter__()

    def encode(self, batch):
        rows = {"rows": np.arange(len(batch["input_ids"]))}
        parts = list(cut(batch | rows, self.workers.n))
        out = np.empty((*batch["input_ids"].shape, self.model.config.hidden_size), np.float32)

        def one(part):
            rows = part.pop("rows")
            with no_grad():
                out[rows] = self.model(**part).last_hidden_state.data

        self.workers.map(one, parts)
        return out


class HuggingFaceEncoding(Encoding):
    def __init__(self, case):
        super().__init__(case)
        self.torch, self.model = hugging_face(case)
        self.model.eval()

    def encode(self, batch):
        with self.torch.inference_mode():
            return self.model(**{name: self.torch.from_numpy(batch[name]) for name in inputs(self.case)})[0]


def export(case):
    """The Hugging Face model as ONNX, for batches of the case's shape (without a mask where nothing is padded)."""
    torch, model = hugging_face(case)
    names = inputs(case)

    class Hidden(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, *arrays):
            return self.model(**dict(zip(names, arrays, strict=True))).last_hidden_state

    batch = case.data()[0]
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(Hidden().eval(), tuple(torch.from_numpy(batch[name]) for name in names),
                          str(Path(case.folder) / "model.onnx"), input_names=names, output_names=["hidden"],
                          dynamo=True, verbose=False)


def inputs(case):
    """The names of what a padded model is given; a mask only where something is padded."""
    return ["input_ids", "token_type_ids"] + ["attention_mask"] * case.padded


class OnnxEncoding(Encoding):
    def __init__(self, case):
        super().__init__(case)
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = case.threads
        self.session = onnxruntime.InferenceSession(str(Path(case.folder) / "model.onnx"), options,
                                                    providers=["CPUExecutionProvider"])

    def encode(self, batch):
        return self.session.run(None, {name: batch[name] for name in inputs(self.case)})[0]


class Tokenising(Contender):
    """A list of paragraphs to ids, or to ids with the places in the text that they come from."""

    def __init__(self, case):
        self.case = case
        self.vocabulary = (Path(case.folder) / "vocab.txt").read_text(encoding="utf-8").splitlines()
        self.texts = json.loads((Path(case.folder) / "texts.json").read_text(encoding="utf-8"))
        self.tokenizer = self.new()

    def reset(self):
        if not self.case.warm:
            self.tokenizer = self.new()

    def proof(self):
        """All ids, or all offsets, one after another."""
        flat = itertools.chain.from_iterable(self.encode())
        return np.array(list(flat), np.int32)

    def step(self):
        self.encode()


class NumbertTokenising(Tokenising):
    def new(self):
        return WordPieceTokenizer(self.vocabulary)

    def encode(self):
        if self.case.offsets:
            return [e.offsets for e in map(self.tokenizer, self.texts)]
        return self.tokenizer.encode_batch(self.texts)


class RustTokenising(Tokenising):
    """`tokenizers`, on all cores that the process has; its encode_batch works out offsets, wanted or not."""

    def new(self):
        from tokenizers import BertWordPieceTokenizer
        return BertWordPieceTokenizer({token: index for index, token in enumerate(self.vocabulary)})

    def encode(self):
        found = self.tokenizer.encode_batch(self.texts)
        return [e.offsets if self.case.offsets else e.ids for e in found]


class FastRustTokenising(RustTokenising):
    """Its method for those who do not want offsets."""

    def encode(self):
        return [e.ids for e in self.tokenizer._tokenizer.encode_batch_fast(self.texts)]


CONTENDERS = {
    "pretrain": {"numbert": (NumbertTraining, ()),
                 "Hugging Face": (HuggingFaceTraining, ("torch", "transformers")),
                 "expert PyTorch": (ExpertTraining, ("torch", "transformers"))},
    "finetune": {"numbert": (NumbertTraining, ()),
                 "Hugging Face": (HuggingFaceTraining, ("torch", "transformers"))},
    "encode": {"numbert": (NumbertEncoding, ()),
               "Hugging Face": (HuggingFaceEncoding, ("torch", "transformers")),
               "ONNX Runtime": (OnnxEncoding, ("torch", "transformers", "onnx", "onnxscript", "onnxruntime"))},
    "tokenise": {"numbert": (NumbertTokenising, ()),
                 "tokenizers": (RustTokenising, ("tokenizers",)),
                 "tokenizers, fast": (FastRustTokenising, ("tokenizers",))},
}


def contenders_of(case, wanted=None):
    """({name: class} of those that are wanted, None for all, and have their packages; {name: what it lacks})."""
    made, missing = {}, {}
    for name, (make, packages) in CONTENDERS[case.kind].items():
        lacks = [package for package in packages if importlib.util.find_spec(package) is None]
        if name != "numbert" and wanted is not None and name not in wanted:
            continue
        if make is FastRustTokenising and case.offsets:
            continue
        if lacks:
            missing[name] = lacks
        else:
            made[name] = make
    return made, missing
