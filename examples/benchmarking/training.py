"""Training, of numbert, of Hugging Face, and of what a practitioner or an expert makes of the latter."""
import itertools

import numpy as np

from numbert.training.optimizer import AdamW, global_norm
from numbert.training.parallel import Workers, loss_and_gradients

from .cases import BATCHES, PROOF_STEPS, grouped
from .contender import CLASSES, Contender, hugging_face

LR, DECAY, CLIP, EPS = 1e-4, 0.01, 1.0, 1e-6


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
    @staticmethod
    def operations(case):
        return case.operations()

    def __init__(self, case, workers=None):
        super().__init__(case)
        self.model = CLASSES[case.kind].from_pretrained(case.folder)
        self.workers = (workers or Workers(case.threads)).__enter__()           # until the process ends
        self.optimizer = AdamW(self.model.parameters(), eps=EPS, weight_decay=DECAY, ranks=self.workers.ranks)

    def train(self, batch, dropout):
        def rngs(part):
            return np.random.default_rng([self.optimizer.t, part]) if dropout else None

        sums, gradients = loss_and_gradients(self.model, batch, rngs, self.workers)
        norm = global_norm(gradients, self.workers)
        self.optimizer.step(gradients, LR, self.workers, scale=min(1.0, CLIP / norm))
        return sums["loss"]


class HuggingFaceTraining(Training):
    """Hugging Face's model as its documentation has it: the padded batch in, the loss out."""
    fused, library = None, "torch"

    def __init__(self, case):
        super().__init__(case)
        self.torch, self.model = hugging_face(case)
        self.data = self.tensors(self.data)
        self.batches = itertools.cycle(self.data)
        decayed = [p for p in self.model.parameters() if p.ndim > 1]
        plain = [p for p in self.model.parameters() if p.ndim == 1]
        self.optimizer = self.torch.optim.AdamW(
            [{"params": decayed, "weight_decay": DECAY}, {"params": plain, "weight_decay": 0.0}], lr=LR, eps=EPS,
            fused=self.fused)

    @staticmethod
    def operations(case):
        return case.operations(padded=True, all_words=True)

    def tensors(self, batches):
        return [{name: self.torch.from_numpy(x) for name, x in batch.items()} for batch in batches]

    def train(self, batch, dropout):
        self.model.train(dropout)
        loss = self.loss(batch)
        loss.backward()
        self.torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.item()

    def loss(self, batch):
        if self.case.kind != "finetune":
            return self.model(**batch).loss
        # its own loss would let padding have a share in the softmax over the places of a text
        labels = {name: batch[f"{name}_positions"] for name in ("start", "end")}
        out = self.model(**{name: x for name, x in batch.items() if not name.endswith("positions")})
        padding, cross_entropy = batch["attention_mask"] == 0, self.torch.nn.functional.cross_entropy
        return sum(cross_entropy(out[f"{name}_logits"].masked_fill(padding, -np.inf), at) / 2
                   for name, at in labels.items())


class GroupedTraining(HuggingFaceTraining):
    """What a practitioner switches on: batches of about equal lengths, and the fused AdamW.

    Its steps run over the same sequences in other batches. So the proof is of the batches that all others are given.
    """
    fused, cycle = True, BATCHES

    @staticmethod
    def operations(case):
        return case.operations(padded=True, all_words=True, batches=grouped(case.data()))

    def __init__(self, case):
        super().__init__(case)
        self.batches = itertools.cycle(self.tensors(grouped(case.data())))


class ExpertTraining(HuggingFaceTraining):
    """The same as an expert would write it: word scores for masked tokens alone, and the fused AdamW."""
    fused = True

    @staticmethod
    def operations(case):
        return case.operations(padded=True)

    def loss(self, batch):
        body, heads, cross_entropy = self.model.bert, self.model.cls, self.torch.nn.functional.cross_entropy
        out = body(batch["input_ids"], token_type_ids=batch["token_type_ids"], attention_mask=batch["attention_mask"])
        masked = batch["labels"] != -100
        scores = heads.predictions(out.last_hidden_state[masked])
        return (cross_entropy(scores, batch["labels"][masked])
                + cross_entropy(heads.seq_relationship(out.pooler_output), batch["next_sentence_label"]))


class CompiledTraining(ExpertTraining):
    """The expert's model, its body under torch.compile."""

    def __init__(self, case):
        super().__init__(case)
        self.model.bert.compile()


def compiler():
    """Why torch.compile does not work here, in a few words; None if it does. (It needs a C++ compiler.)"""
    import torch
    torch.set_num_threads(1)
    try:
        torch.compile(lambda x: torch.tanh(x) * x)(torch.ones(3))
    except Exception as error:              # whatever it meets, of its own many kinds
        return (str(error).strip().splitlines() or [type(error).__name__])[0][:80]
    return None
