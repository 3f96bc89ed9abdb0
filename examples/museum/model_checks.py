"""The network: formulas as printed, derivatives by differences, and what must not change an output."""
import math

import numpy as np

from numbert import BertModel, GPT2Config, GPT2LMHeadModel, RobertaConfig, RobertaModel, no_grad, ops
from numbert.gradcheck import differences as gradcheck
from numbert.gradcheck.cases import op_cases, subjects
from numbert.ops import IGNORE, Bucket
from numbert.ops.attention import softmax

from .checks import PLACES, SIZES, WORDS, Recorder, batch, bert, check, equal, holds, steps


def gpt():
    config = GPT2Config(vocab_size=WORDS, n_embd=12, n_layer=2, n_head=3, n_positions=PLACES, initializer_range=0.3)
    return GPT2LMHeadModel(config, rng=np.random.default_rng(0), dtype=np.float64)


@check
def layer_norm_is_the_printed_formula():
    """Ba et al. 2016, equations 3 and 4: row by row, number by number; with an eps that matters."""
    rng = np.random.default_rng(0)
    x, gain, bias, eps = rng.standard_normal((4, 5)), rng.standard_normal(5), rng.standard_normal(5), 0.1
    for n, row in enumerate(x.tolist()):
        mean = sum(row) / 5
        variance = sum((v - mean)**2 for v in row) / 5
        expected = [g * (v - mean) / math.sqrt(variance + eps) + b for v, g, b in zip(row, gain, bias, strict=True)]
        equal(f"row {n}", ops.layer_norm(x, gain, bias, eps=eps)[n], expected)


@check
def attention_is_the_printed_formula():
    """Vaswani et al. 2017, section 3.2: for two texts of 3 and 2 tokens, two heads of width 3, token by token."""
    rng, K = np.random.default_rng(0), 3
    q, k, v = rng.standard_normal((3, 5, 2 * K))
    found = ops.attention(q, k, v, heads=2,
                          buckets=[Bucket(slice(0, 3), slice(0, 3)), Bucket(slice(3, 5), slice(3, 5))])
    for n in range(5):
        text = range(0, 3) if n < 3 else range(3, 5)
        for h in range(2):
            part = slice(h * K, h * K + K)
            powers = [math.exp(sum(q[n, part] * k[m, part]) / math.sqrt(K)) for m in text]
            expected = sum(p / sum(powers) * v[m, part] for p, m in zip(powers, text, strict=True))
            equal(f"token {n}, head {h}", found[n, part], expected)


@check
def large_scores_do_no_harm():
    """A softmax of 1,000 is no NaN, and what is masked stays unseen if its score is 50,000."""
    equal("softmax of 1000, 1000", softmax(np.array([1000.0, 1000.0])), [0.5, 0.5])
    query, key, value = np.ones((2, 1)), np.array([[1.0], [50_000.0]]), np.array([[1.0], [2.0]])
    found = ops.attention(query, key, value, buckets=[Bucket(slice(0, 2), slice(0, 2))], heads=1, mask=ops.causal)
    equal("what the first token sees", found[0], [1.0])


@check
def the_future_is_not_seen():
    """Another last token: the logits of all tokens before it must stay what they are, to the last bit."""
    ids = np.array([[7, 8, 9, 10, 11]])
    other, model = np.where(np.arange(5) == 4, 30, ids), gpt()
    with no_grad():
        equal("logits", model(other).logits.data[0, :4], model(ids).logits.data[0, :4], rtol=0, atol=0)


@check
def a_token_is_asked_for_the_next_one():
    """The loss of a left-to-right model, from its own logits: -ln of what token t gives token t + 1."""
    ids, model = np.array([[7, 8, 9, 10, 11]]), gpt()
    with no_grad():
        logits, loss = model(ids).logits.data[0], float(model(ids, labels=ids).loss)
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    equal("loss", loss, -np.mean([logs[t, ids[0, t + 1]] for t in range(4)]))


@check
def padding_changes_nothing():
    """A text alone, and the same text with padding behind it, whatever stands there."""
    ids, model = np.array([[7, 8, 9]]), bert(BertModel)
    with no_grad():
        alone = model(ids).last_hidden_state.data
        padded = model(np.array([[7, 8, 9, 30, 31]]), attention_mask=np.array([[1, 1, 1, 0, 0]]))
    equal("last_hidden_state", padded.last_hidden_state.data[:, :3], alone)


@check
def dropout_keeps_the_mean():
    """What is kept grows by as much as is lost."""
    found = float(ops.dropout(np.ones((400, 500)), rate=0.3, rng=np.random.default_rng(0)).mean())
    holds(f"the mean of 200,000 ones after dropout is {found:.3f}", abs(found - 1) < 0.01)


@check
def without_a_generator_nothing_is_dropped():
    """Inference asks without a generator, and gets what the network computes, all of it."""
    x = np.arange(1.0, 101).reshape(10, 10)
    equal("x", ops.dropout(x, rate=0.3, rng=None), x)
    model, ids = bert(BertModel, dropout=0.3), np.array([[7, 8, 9]])
    with no_grad():
        plain = bert(BertModel)(ids).last_hidden_state.data
        equal("a model with dropout, when nobody learns", model(ids).last_hidden_state.data, plain)


@check
def roberta_counts_from_behind_the_padding_id():
    """With the padding id 1 the positions are 2, 3, 4 (fairseq's habit, kept by all published models)."""
    config = RobertaConfig(**SIZES, max_position_embeddings=PLACES, pad_token_id=1)
    model = RobertaModel(config, rng=np.random.default_rng(0))
    packed = model.pack(np.array([[7, 8, 9, 1]]), attention_mask=np.array([[1, 1, 1, 0]]))
    equal("positions", packed.positions, [2, 3, 4])


@check
def cross_entropy_is_the_printed_formula():
    """-ln softmax(logits)[label], the mean over the rows with a label; -100 is none, 0 is a class like the others."""
    logits, labels = np.random.default_rng(0).standard_normal((5, 120)), np.array([0, IGNORE, 7, IGNORE, 0])
    rows = [0, 2, 4]
    expected = [math.log(sum(map(math.exp, logits[n]))) - logits[n, labels[n]] for n in rows]
    equal("loss", ops.cross_entropy(logits, labels=labels), sum(expected) / 3)


@check
def the_gradients_of_the_ops():
    """Each against central differences, for every element of every input."""
    rng = np.random.default_rng(0)
    for case in op_cases():
        for result in gradcheck.judge(gradcheck.measure(case, rng), case.op.backward):
            holds(str(result), result.passed)


@check
def the_gradients_of_the_models():
    """BERT's, with both losses, against central differences along random directions, for every parameter."""
    subject = next(one for one in subjects() if one.name == "BertForPreTraining.loss")
    for result in gradcheck.check_module(subject, np.random.default_rng(0)):
        holds(str(result), result.passed)


@check
def a_backward_pass_changes_nothing_it_was_given():
    """It may be called twice, and gives the same gradient twice: what the forward pass saved stays as it is."""
    for case in op_cases():
        output, saved = case.forward(*case.inputs)
        arrays = [x for x in (saved if isinstance(saved, tuple) else ()) if isinstance(x, np.ndarray)]
        before = [x.copy() for x in arrays]
        case.op.backward(np.ones_like(output), saved)
        for x, old in zip(arrays, before, strict=True):
            holds(f"{case.name}: backward has changed what forward saved", x.tobytes() == old.tobytes())


@check
def the_first_loss_is_that_of_not_knowing():
    """Before it has learnt anything, a model with small weights gives every word about 1/V: ln V nats for a blank. The
    same as training reports it.
    """
    model = bert(initializer_range=0.02)
    step, = steps(model, [batch()], Recorder())
    found, expected = step.sums["mlm"], math.log(WORDS)
    holds(f"the first loss is {found:.2f}, ln {WORDS} is {expected:.2f}", abs(found - expected) < 0.05 * expected)
