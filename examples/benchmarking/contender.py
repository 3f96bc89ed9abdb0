"""What all contenders have in common. A contender has

    proof()        does a little of the work without dropout and gives an array of numbers, the same for all that do the
                   same work
    reset()        makes ready for a step (not timed)
    step()         is timed
    cycle          steps in a round are a multiple of it: more than 1 where steps differ in length
    library        whose matrix products it uses
    operations()   of a step, as that contender has to do it: a Counter; None if matrix products are not what counts
    processor_seconds(), memory()       the seconds of processor time that all its processes have used, and the most
                   bytes that they held (None where that is not told)

Libraries are imported where they are used: each contender has a process to itself, and none of the others' memory.
"""
import time

from numbert import (
    BertForPreTraining,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertModel,
    GPT2LMHeadModel,
)
from numbert.machine import peak_memory

CLASSES = {"pretrain": BertForPreTraining, "classify": BertForSequenceClassification,
           "finetune": BertForQuestionAnswering, "encode": BertModel, "generate": GPT2LMHeadModel}


class Contender:
    cycle, library = 1, "NumPy"

    @staticmethod
    def operations(case):
        return None

    def reset(self):
        pass

    def processor_seconds(self):
        return time.process_time()

    def memory(self):
        return peak_memory()


def hugging_face(case):
    """(torch, the Hugging Face model with the weights in case.folder)"""
    import torch
    import transformers
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(case.threads)
    cls = getattr(transformers, CLASSES[case.kind].__name__)
    return torch, cls.from_pretrained(case.folder, attn_implementation="sdpa", dtype=torch.float32)
