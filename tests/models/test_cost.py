"""Operations predicted against operations counted: in every matrix product of a real forward and backward pass."""
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numbert.models import cost
from numbert.models.albert import AlbertConfig, AlbertForMaskedLM, AlbertForPreTraining, AlbertModel
from numbert.models.bert import BertForPreTraining, BertModel
from numbert.models.config import BertConfig
from numbert.models.gpt2 import GPT2Config, GPT2LMHeadModel
from numbert.models.heads import BertForQuestionAnswering
from numbert.ops import IGNORE
from numbert.recording import no_grad, watching

CONFIG = BertConfig(vocab_size=37, hidden_size=12, num_hidden_layers=3, num_attention_heads=3, intermediate_size=20,
                    max_position_embeddings=16)
ALBERT = AlbertConfig(vocab_size=37, embedding_size=8, hidden_size=12, num_hidden_layers=3, num_attention_heads=3,
                      intermediate_size=20, inner_group_num=2, max_position_embeddings=16)
GPT = GPT2Config(vocab_size=37, n_positions=16, n_embd=12, n_layer=3, n_head=3, n_inner=20)


class Counted(np.ndarray):
    """An array that counts the operations of the matrix products it takes part in, and so do all made from it."""
    operations = 0

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        plain = [x.view(np.ndarray) if isinstance(x, Counted) else x for x in inputs]
        if out is not None:
            options["out"] = tuple(x.view(np.ndarray) if isinstance(x, Counted) else x for x in out)
        result = getattr(ufunc, method)(*plain, **options)
        if ufunc is np.matmul:
            Counted.operations += 2 * result.size * plain[0].shape[-1]
        return result.view(Counted) if isinstance(result, np.ndarray) else result


def counted(run):
    """Operations by part of the ops that run() calls: (of the forward pass, of the forward and the backward pass)."""
    calls = []
    with watching(lambda op, inputs, options, output, node: calls.append((op, inputs, options))):
        run()
    forward, both = Counter(), Counter()
    for op, inputs, options in calls:
        if op.name not in ("linear", "linear_cross_entropy", "attention"):
            continue
        arrays = [None if x is None else np.asarray(x).view(Counted) for x in inputs]
        decoder = op.name != "attention" and arrays[1].shape[0] == CONFIG.vocab_size
        part = "decoder" if decoder else op.name
        Counted.operations = 0
        with no_grad():                         # for an op that computes its gradient in the forward pass
            op.forward(*arrays, **options)
        forward[part] += Counted.operations
        Counted.operations = 0
        output, saved = op.forward(*arrays, **options)
        op.backward(np.ones_like(output), saved)
        both[part] += Counted.operations
    return forward, both


def text(lengths, columns=16):
    mask = (np.arange(columns) < np.asarray(lengths)[:, None]).astype(int)
    return {"input_ids": mask, "attention_mask": mask}


def times(counter, factor):
    return Counter({part: factor * n for part, n in counter.items()})


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(3, 16), min_size=1, max_size=4), st.data())
def test_pretraining(lengths, data):
    masked = [data.draw(st.integers(1, n - 1)) for n in lengths]
    labels = np.full((len(lengths), 16), IGNORE)
    for b, count in enumerate(masked):
        labels[b, 1:1 + count] = 5
    model = BertForPreTraining(CONFIG, rng=np.random.default_rng(0))
    forward, both = counted(lambda: model(**text(lengths), labels=labels, rng=np.random.default_rng(1)))
    predicted = cost.pretraining(CONFIG, lengths, masked)
    assert predicted == forward
    assert times(predicted, cost.TRAINING) == both


@pytest.mark.parametrize("lengths", [[16], [3, 16, 7]])
def test_every_token_computed(lengths):
    rows = sum(lengths)
    model = BertForQuestionAnswering(CONFIG, rng=np.random.default_rng(0))
    forward, both = counted(lambda: model(**text(lengths)))
    predicted = cost.encoder(CONFIG, lengths) + cost.classifier(CONFIG, rows, 2)
    assert predicted == forward and times(predicted, cost.TRAINING) == both

    model = BertModel(CONFIG, rng=np.random.default_rng(0))
    forward, _ = counted(lambda: model(**text(lengths)))
    assert cost.encoder(CONFIG, lengths) + cost.classifier(CONFIG, len(lengths), 0, pooled=True) == forward

    model = BertForPreTraining(CONFIG, rng=np.random.default_rng(0))
    forward, _ = counted(lambda: model(**text(lengths)))
    assert (cost.encoder(CONFIG, lengths) + cost.masked_lm_head(CONFIG, rows)
            + cost.classifier(CONFIG, len(lengths), 2, pooled=True)) == forward


@pytest.mark.parametrize("changes", [{}, {"inner_group_num": 1, "num_hidden_groups": 3}, {"embedding_size": 12}])
@pytest.mark.parametrize("lengths, masked", [([16], [3]), ([3, 16, 7], [1, 4, 2])])
def test_albert(lengths, masked, changes):
    """A shared layer is computed as often as one of its own; the words have width E, at the door and in the decoder."""
    config = ALBERT.replace(**changes)
    labels = np.full((len(lengths), 16), IGNORE)
    for b, count in enumerate(masked):
        labels[b, 1:1 + count] = 5
    model = AlbertForPreTraining(config, rng=np.random.default_rng(0))
    forward, both = counted(lambda: model(**text(lengths), labels=labels, rng=np.random.default_rng(1)))
    predicted = cost.pretraining(config, lengths, masked)
    assert predicted == forward and times(predicted, cost.TRAINING) == both

    model = AlbertForMaskedLM(config, rng=np.random.default_rng(0))
    forward, _ = counted(lambda: model(**text(lengths)))
    assert cost.encoder(config, lengths) + cost.masked_lm_head(config, sum(lengths)) == forward

    model = AlbertModel(config, rng=np.random.default_rng(0))
    forward, _ = counted(lambda: model(**text(lengths)))
    assert cost.encoder(config, lengths) + cost.classifier(config, len(lengths), 0, pooled=True) == forward


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("lengths", [[16], [3, 16, 7], [1, 2]])
def test_gpt(lengths, tied):
    """With labels, all tokens but the last of each text; without, all. What the mask hides is computed all the same."""
    model = GPT2LMHeadModel(GPT.replace(tie_word_embeddings=tied), rng=np.random.default_rng(0))
    batch = text(lengths)
    labels = np.where(batch["attention_mask"], batch["input_ids"], IGNORE)
    forward, both = counted(lambda: model(**batch, labels=labels, rng=np.random.default_rng(1)))
    predicted = cost.language_modelling(GPT, lengths)
    assert predicted == forward and times(predicted, cost.TRAINING) == both

    forward, _ = counted(lambda: model(**batch))
    assert cost.encoder(GPT, lengths) + cost.causal_lm_head(GPT, sum(lengths)) == forward


def test_only_attention_is_quadratic():
    config = BertConfig()
    short, long = (cost.encoder(config, [t]) for t in (100, 200))
    assert long["linear"] == 2 * short["linear"] and long["attention"] == 4 * short["attention"]
    there = cost.encoder(config, [6 * config.hidden_size])
    assert there["linear"] == there["attention"]


def test_published_size():
    # BERT-base, one sequence of 128 tokens: 12 layers of 24 D² operations a token (85 million weights, twice each),
    # and 4 D T for attention
    assert sum(cost.encoder(BertConfig(), [128]).values()) == 128 * 12 * (24 * 768**2 + 4 * 768 * 128)


@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_the_ring_is_what_a_ring_does(n):
    """n machines add up and collect n pieces: every step is played, with what each machine knows."""
    sums = [[{machine} for _ in range(n)] for machine in range(n)]      # sums[m][p]: whose numbers are in m's piece p
    steps = 0
    for step in range(n - 1):                                           # add up: each piece goes round once
        sent = [set(sums[m][(m - step) % n]) for m in range(n)]
        for m in range(n):
            sums[m][(m - 1 - step) % n] |= sent[m - 1]
        steps += 1
    assert all(sums[m][(m + 1) % n] == set(range(n)) for m in range(n))
    for step in range(n - 1):                                           # and once more, complete
        sent = [set(sums[m][(m + 1 - step) % n]) for m in range(n)]
        for m in range(n):
            sums[m][(m - step) % n] |= sent[m - 1]
        steps += 1
    assert all(piece == set(range(n)) for machine in sums for piece in machine)
    seconds = steps * (0.5 + 1200 / n / 100)
    assert cost.ring(n, 1200, latency=0.5, bandwidth=100, rounds=2) == pytest.approx(seconds)
