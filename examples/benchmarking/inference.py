"""Models that are no longer trained: they encode batches, or generate text."""
import itertools
import logging
import warnings
from pathlib import Path

import numpy as np

from numbert import BertModel, GPT2LMHeadModel, no_grad
from numbert.machine import blas_threads
from numbert.training.parallel import Workers, cut

from .contender import Contender, hugging_face

SAMPLE = 256                        # numbers of an encoding that are compared


class Encoding(Contender):
    """Hidden states (B, T, D) of the last layer, in float32 and without dropout."""

    @staticmethod
    def operations(case):
        return case.operations(padded=True)

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

    @staticmethod
    def operations(case):
        return case.operations()

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
    library = "torch"

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
    library = "ONNX Runtime"

    def __init__(self, case):
        super().__init__(case)
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = case.threads
        self.session = onnxruntime.InferenceSession(str(Path(case.folder) / "model.onnx"), options,
                                                    providers=["CPUExecutionProvider"])

    def encode(self, batch):
        return self.session.run(None, {name: batch[name] for name in inputs(self.case)})[0]


class Generating(Contender):
    """The most probable continuations of random texts, with a cache of keys and values."""

    def __init__(self, case):
        self.case, self.ids = case, case.data()[0]["input_ids"]

    def proof(self):
        """The ids of the new tokens."""
        return np.asarray(self.generate())[:, self.case.length:].reshape(-1)

    def step(self):
        self.generate()


class NumbertGenerating(Generating):
    def __init__(self, case):
        super().__init__(case)
        self.model = GPT2LMHeadModel.from_pretrained(case.folder)
        self.blas = blas_threads(case.threads)                      # kept: it is undone when it is forgotten
        self.blas.__enter__()

    def generate(self):
        return self.model.generate(self.ids, self.case.new_tokens, eos_token_id=[])


class HuggingFaceGenerating(Generating):
    library = "torch"

    def __init__(self, case):
        super().__init__(case)
        self.torch, self.model = hugging_face(case)
        self.model.eval()
        self.model.generation_config.eos_token_id = None

    def generate(self):
        ids = self.torch.from_numpy(self.ids)
        with self.torch.inference_mode():
            return self.model.generate(ids, attention_mask=self.torch.ones_like(ids), do_sample=False, use_cache=True,
                                       max_new_tokens=self.case.new_tokens, pad_token_id=0)
