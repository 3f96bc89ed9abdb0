"""A BERT small enough to compute thousands of times, and batches for it: shared by several tests."""
import numpy as np

from numbert import BertConfig

WORDS, PLACES = 40, 12


def config(**changes):
    """Two layers of width 12, three heads, no dropout."""
    return BertConfig(**{"vocab_size": WORDS, "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3,
                         "intermediate_size": 20, "max_position_embeddings": PLACES, "hidden_dropout_prob": 0.0,
                         "attention_probs_dropout_prob": 0.0, "initializer_range": 0.3, **changes})


def text(rng, lengths=(9, 12, 5, 7)):
    """A batch of sequences of these lengths: input_ids, token_type_ids and attention_mask, (B, T)."""
    lengths = np.asarray(lengths)
    shape = len(lengths), int(lengths.max())
    mask = np.arange(shape[1]) < lengths[:, None]
    split = rng.integers(1, lengths)
    return {"input_ids": np.where(mask, rng.integers(1, WORDS, shape), 0),
            "token_type_ids": np.where(mask & (np.arange(shape[1]) >= split[:, None]), 1, 0),
            "attention_mask": mask.astype(np.int64)}


def pretraining_batch(rng, lengths=(9, 12, 5, 7), share=0.4):
    """The same with labels on about a `share` of the tokens, none in the last sequence, and next_sentence_label."""
    batch = text(rng, lengths)
    chosen = (rng.random(batch["input_ids"].shape) < share) & (batch["attention_mask"] == 1)
    chosen[:, 1] = True
    chosen[-1] = False
    return batch | {"labels": np.where(chosen, rng.integers(1, WORDS, chosen.shape), -100),
                    "next_sentence_label": rng.integers(0, 2, len(lengths))}


def batches(start=0):
    """Batches of pre-training from step `start` on; that of a step is a function of the step."""
    while True:
        yield pretraining_batch(np.random.default_rng(start), share=0.3)
        start += 1
