"""Who does which kind of work, what each needs, and what all start from."""
import functools
import importlib.util

import numpy as np

from . import inference, ranks, tokenising, torch_rows, training
from .contender import CLASSES
from .rounds import call_apart

TORCH = "torch", "transformers"


@functools.cache
def no_compiler():
    return call_apart(training.compiler)


# {kind: {name: (class, what it needs: packages, and functions that say what is missing)}}
TRAINING = {"numbert": (training.NumbertTraining, ()),
            "Hugging Face": (training.HuggingFaceTraining, TORCH),
            "Hugging Face, batches grouped by length": (training.GroupedTraining, TORCH),
            "PyTorch, our ideas": (torch_rows.RowsTraining, TORCH)}
CONTENDERS = {
    "pretrain": {"numbert": (training.NumbertTraining, ()),
                 "numbert on ranks": (ranks.RanksTraining, ("mpi4py", ranks.no_ranks)),
                 "Hugging Face": (training.HuggingFaceTraining, TORCH),
                 "expert PyTorch": (training.ExpertTraining, TORCH),
                 "torch.compile": (training.CompiledTraining, (*TORCH, no_compiler)),
                 "PyTorch, our ideas": (torch_rows.RowsTraining, TORCH)},
    "classify": TRAINING,
    "finetune": TRAINING,
    "encode": {"numbert": (inference.NumbertEncoding, ()),
               "Hugging Face": (inference.HuggingFaceEncoding, TORCH),
               "ONNX Runtime": (inference.OnnxEncoding, (*TORCH, "onnx", "onnxscript", "onnxruntime"))},
    "generate": {"numbert": (inference.NumbertGenerating, ()),
                 "Hugging Face": (inference.HuggingFaceGenerating, TORCH)},
    "tokenise": {"numbert": (tokenising.NumbertTokenising, ()),
                 "tokenizers": (tokenising.RustTokenising, ("tokenizers",)),
                 "tokenizers, fast": (tokenising.FastRustTokenising, ("tokenizers",))},
}


def contenders_of(case, wanted=None):
    """({name: class} of those that are wanted, None for all, and have what they need; {name: what it lacks})."""
    made, missing = {}, {}
    for name, (make, needs) in CONTENDERS[case.kind].items():
        if name != "numbert" and wanted is not None and name not in wanted:
            continue
        if make is tokenising.FastRustTokenising and case.offsets:
            continue
        lacks = [need for need in needs if isinstance(need, str) and importlib.util.find_spec(need) is None]
        lacks = lacks or [why for need in needs if callable(need) and (why := need())]
        if lacks:
            missing[name] = lacks
        else:
            made[name] = make
    return made, missing


def prepare(case, texts, onnx):
    """Write to case.folder what all contenders start from: the same weights, or the same vocabulary and text."""
    if case.kind == "tokenise":
        tokenising.learn(case, texts)
    else:
        CLASSES[case.kind](case.config(), rng=np.random.default_rng(0)).save_pretrained(case.folder)
        if onnx:
            inference.export(case)
