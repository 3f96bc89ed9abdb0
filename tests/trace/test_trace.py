"""The trace of a run: every claim that it makes, held to the model, to the source and to gradients()."""
import ast
import dataclasses
import html
import html.parser
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import tiny_bert

import numbert as nb
from numbert import ops
from numbert.autograd import REGISTRY
from numbert.gradcheck.cases import CONFIGS, MODELS
from numbert.models import cost
from numbert.recording import watching
from numbert.trace import trace
from numbert.trace.__main__ import main
from numbert.trace.report import EQUATIONS, columns, page, place, summary, table
from numbert.trace.uses import USES, Given, use_of

ROOT = Path(__file__).parents[2]
CONFIG = tiny_bert.config()
D, F, V, L, H = 12, 20, tiny_bert.WORDS, 2, 3


def model(**changes):
    return nb.BertForPreTraining(tiny_bert.config(**changes), rng=np.random.default_rng(0), dtype=np.float64)


def batch(lengths=(9, 12, 5, 7)):
    return tiny_bert.pretraining_batch(np.random.default_rng(1), lengths)


@pytest.fixture(scope="module")
def found():
    return trace(model(), batch(), backward=True)


def step(found, module, op):
    one, = [s for s in found.steps if (s.module, s.op) == (module, op)]
    return one


def test_the_run_is_the_models_own(found):
    bert = model()
    before = [p.data.copy() for p in bert.parameters()]
    out = bert(**batch())
    again = trace(bert, batch(), backward=True)
    assert float(again.output.loss) == float(out.loss)
    assert np.array_equal(again.output.prediction_logits.data, out.prediction_logits.data)
    for ours, theirs in zip(again.gradients, nb.gradients(out.loss, bert.parameters()), strict=True):
        assert np.array_equal(ours, theirs)
    assert all(np.array_equal(p.data, x) and p.grad is None for p, x in zip(bert.parameters(), before, strict=True))
    assert trace(bert, batch()).gradients is None and trace(bert, batch()).output.loss.node is None
    assert [s.op for s in trace(bert, batch()).steps] == [s.op for s in found.steps]


def test_looking_on_draws_nothing():
    """With dropout everywhere, also in attention, the run takes the same draws as one that nobody looks at."""
    bert = model(hidden_dropout_prob=0.2, attention_probs_dropout_prob=0.2)
    alone = bert(**batch(), rng=np.random.default_rng(5))
    watched = trace(bert, batch() | {"rng": np.random.default_rng(5)}, backward=True)
    assert float(watched.output.loss) == float(alone.loss)
    for ours, theirs in zip(watched.gradients, nb.gradients(alone.loss, bert.parameters()), strict=True):
        assert np.array_equal(ours, theirs)


def test_modules_and_ops_in_their_order():
    names = [(s.module, s.op) for s in trace(nb.BertModel(CONFIG, rng=np.random.default_rng(0)), tiny_bert.text(
        np.random.default_rng(0))).steps]
    layer = [("attention.key", "linear"), ("attention.value", "linear"), ("attention.query", "linear"),
             ("attention", "attention"), ("attention.output", "linear"), ("", "add"), ("attention_norm", "layer_norm"),
             ("feed_forward.expand", "linear"), ("feed_forward", "gelu"), ("feed_forward.contract", "linear"),
             ("", "add"), ("feed_forward_norm", "layer_norm")]
    assert names == [
        ("embeddings.word", "take"), ("embeddings.position", "take"), ("embeddings", "add"),
        ("embeddings.segment", "take"), ("embeddings", "add"), ("embeddings.norm", "layer_norm"),
        *((f"layers.{i}.{module}".strip("."), op) for i in range(L) for module, op in layer),
        ("", "take"), ("pooler", "linear"), ("", "tanh"), ("", "unpack")]


def test_dropout_is_a_step_when_it_is_on():
    bert = model(hidden_dropout_prob=0.1)
    ours = [s.module for s in trace(bert, batch() | {"rng": np.random.default_rng(0)}).steps if s.op == "dropout"]
    assert ours == ["body.embeddings", *(f"body.layers.{i}" for i in (0, 0, 1, 1))]
    assert "dropout" not in [s.op for s in trace(bert, batch()).steps]


def test_shapes(found):
    N, given = 9 + 12 + 5 + 7, batch()
    M = int((given["labels"] != -100).sum())
    rows = M + len(given["labels"])                                 # the last layer: masked and first tokens
    for layer, asked in ((0, N), (1, rows)):
        name = f"body.layers.{layer}"
        for part, shape in {"attention.key": ([(N, D)], (N, D)), "attention.query": ([(asked, D)], (asked, D)),
                            "feed_forward.expand": ([(asked, D)], (asked, F)),
                            "feed_forward.contract": ([(asked, F)], (asked, D))}.items():
            one = step(found, f"{name}.{part}", "linear")
            assert (one.shapes, one.output) == shape
            assert {n.rpartition(".")[2]: s for n, s in one.parameters.items()} == {
                "weight": (one.output[1], one.shapes[0][1]), "bias": (one.output[1],)}
        one = step(found, f"{name}.attention", "attention")
        assert (one.shapes, one.output) == ([(asked, D), (N, D), (N, D)], (asked, D))
    one = step(found, "body.embeddings.word", "take")
    assert (one.shapes, one.output, one.parameters) == ([(N,)], (N, D), {"body.embeddings.word.weight": (V, D)})
    one = step(found, "mlm", "linear_cross_entropy")                # the tied decoder: words are its weight
    assert (one.shapes, one.output, list(one.parameters)) == (
        [(M, D), (M,)], (2,), ["body.embeddings.word.weight", "mlm.bias"])
    one = step(found, "body.embeddings.norm", "layer_norm")
    assert list(one.parameters.values()) == [(D,), (D,)]


def test_every_parameter_is_in_some_step(found):
    named = {name: p.shape for name, p in model().named_parameters().items()}
    assert {name: shape for s in found.steps for name, shape in s.parameters.items()} == named


def test_the_source_is_the_call_of_the_op():
    """The line is where a call begins whose function is the op by name, or what holds it: an activation, a reduce."""
    batches = [(model(), batch()), (model(), tiny_bert.text(np.random.default_rng(0))),
               (nb.BertForQuestionAnswering(CONFIG, rng=np.random.default_rng(0)),
                tiny_bert.text(np.random.default_rng(0)) | {"start_positions": np.ones(4, int),
                                                           "end_positions": np.ones(4, int)})]
    for bert, given in batches:
        for one in trace(bert, given).steps:
            file, line = one.where[0]
            calls = [node for node in ast.walk(ast.parse(Path(file).read_text(encoding="utf-8")))
                     if isinstance(node, ast.Call) and node.lineno == line]
            names = {getattr(called, "attr", getattr(called, "id", None))
                     for node in calls for called in (node.func, *node.args)}
            assert names & {one.op, "activation"}, (one, names)
            assert re.fullmatch(r"numbert/[\w/]+\.py:\d+", place(file, line))


def test_the_callers_lead_from_the_op_to_the_model(found):
    where = step(found, "body.layers.0.attention.key", "linear").where
    lines = [Path(file).read_text(encoding="utf-8").splitlines()[line - 1] for file, line in where]
    for text, line in zip(("ops.linear(", "self.key(x)", "self.attention(x_query", "layer(x, packed",
                           "self.body.encode(", "self.read("), lines, strict=True):
        assert text in line


@pytest.mark.parametrize("lengths", [(12,), (9, 12, 5, 7)])
def test_operations_add_up_to_the_prediction(lengths):
    given = batch(lengths)
    masked = (given["labels"] != -100).sum(1)
    forward = cost.pretraining(CONFIG, lengths, masked)
    found = trace(model(), given, backward=True)
    assert sum(s.operations for s in found.steps) == forward.total()
    assert sum(s.operations for s in found.steps if s.op == "attention") == forward["attention"]
    assert step(found, "mlm", "linear_cross_entropy").operations == forward["decoder"]
    assert f"backward: {(cost.TRAINING - 1) * forward.total():,} operations" in summary(found)
    text = {name: x for name, x in given.items() if "label" not in name}
    whole = cost.encoder(CONFIG, lengths) + cost.masked_lm_head(CONFIG, sum(lengths)) + cost.classifier(
        CONFIG, len(lengths), 2, pooled=True)
    assert sum(s.operations for s in trace(model(), text).steps) == whole.total()


def test_operations_of_sequences_of_equal_length():
    """GPT-2 lays several of them into one span; whatever the layout, the count is that of cost.py."""
    x, options = np.ones((12, 6)), dict(heads=2)
    one = nb.Tensor(x)
    several = [ops.Bucket(slice(0, 12), slice(0, 12), count=3)]
    apart = [ops.Bucket(slice(a, a + 4), slice(a, a + 4)) for a in (0, 4, 8)]
    counts = [sum(s.operations for s in trace(_Attention(one), dict(buckets=buckets, **options)).steps)
              for buckets in (several, apart)]
    assert counts == [3 * 4 * 6 * 4 * 4] * 2


class _Attention(nb.layers.Module):
    """Attention alone, as a model."""

    def __init__(self, x):
        self.x = x

    def __call__(self, **options):
        return ops.attention(self.x, self.x, self.x, **options)


def test_norms_are_those_of_gradients(found):
    bert = model()
    out = bert(**batch())
    exact = dict(zip(bert.named_parameters(), nb.gradients(out.loss, bert.parameters()), strict=True))
    used = {name: [s.norms[name] for s in found.steps if name in s.norms] for name in exact}
    words = used.pop("body.embeddings.word.weight")                 # read by the embeddings and by the decoder
    for name, norms in used.items():
        assert norms == [pytest.approx(np.linalg.norm(exact[name]), rel=1e-12, abs=1e-14)], name
    assert len(words) == 2
    assert abs(words[0] - words[1]) <= np.linalg.norm(exact["body.embeddings.word.weight"]) <= sum(words)
    length = np.sqrt(sum((g ** 2).sum() for g in exact.values()))
    assert f"has length {length:.4g}" in summary(found)


def test_the_gradient_at_a_step_is_that_of_its_output(found):
    """Checked where it can be asked for: at the output of the body, and at the loss."""
    bert = model()
    last = step(found, "body.layers.1.feed_forward_norm", "layer_norm")
    kept, original = [], type(bert.body.layers[0]).__call__

    def remember(self, *args, **options):
        kept.append(original(self, *args, **options))
        return kept[-1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(bert.body.layers[0]), "__call__", remember)
        loss = bert(**batch()).loss
    first, second = nb.gradients(loss, kept)
    assert last.norm == pytest.approx(np.linalg.norm(second), rel=1e-12)
    assert step(found, "body.layers.0.feed_forward_norm", "layer_norm").norm == pytest.approx(
        np.linalg.norm(first), rel=1e-12)
    assert [s.norm for s in found.steps if s.op.endswith("cross_entropy")] == [1, 1]


def test_frozen_parameters_get_nothing():
    bert = model()
    frozen = {f"body.embeddings.norm.{name}": p for name, p in vars(bert.body.embeddings.norm).items() if name != "eps"}
    for parameter in frozen.values():
        parameter.requires_grad = False
    found = trace(bert, batch(), backward=True)
    one = step(found, "body.embeddings.norm", "layer_norm")
    assert one.norm > 0 and one.norms == {} and set(one.parameters) == set(frozen)


def test_what_no_gradient_reaches_has_no_norm():
    given = {name: x for name, x in batch().items() if name != "next_sentence_label"}
    found = trace(model(), given, backward=True)
    assert [(s.module, s.op) for s in found.steps if s.norm is None] == [
        ("", "take"), ("body.pooler", "linear"), ("body", "tanh"), ("nsp", "linear")]
    reached = sum(s.operations for s in found.steps if s.norm is not None)
    assert f"backward: {2 * reached:,} operations" in summary(found)
    assert all(s.norm is None and not s.norms for s in trace(model(), given).steps)


def test_attention_is_what_the_run_used():
    """Each head's shares, times the values, are the output of the op; they are shares of 1."""
    bert, seen = model(), []
    with watching(lambda op, inputs, _, output, node: seen.append((inputs, output)) if op is ops.attention else None):
        bert(**batch())
    steps = [s for s in trace(bert, batch() | {"rng": np.random.default_rng(0)}).steps if s.attention]
    assert len(steps) == L == len(seen)
    starts = np.cumsum([0, 9, 12, 5, 7])
    for one, ((_, _, value), output) in zip(steps, seen, strict=True):
        rows = 0
        for b, (query_positions, shares) in enumerate(one.attention):
            T = starts[b + 1] - starts[b]
            assert shares.shape == (H, len(query_positions), T)
            np.testing.assert_allclose(shares.sum(-1), 1, rtol=1e-12)
            v = value.data[starts[b]:starts[b + 1]].reshape(T, H, D // H)
            ours = np.einsum("hqt,thk->qhk", shares, v).reshape(len(query_positions), D)
            np.testing.assert_allclose(ours, output[rows:rows + len(query_positions)], rtol=1e-12, atol=1e-14)
            rows += len(query_positions)
        assert rows == len(output)
    masked = batch()["labels"] != -100
    masked[:, 0] = True
    assert [a.query_positions.tolist() for a in steps[-1].attention] == [np.flatnonzero(row).tolist() for row in masked]
    assert [a.query_positions.tolist() for a in steps[0].attention] == [list(range(n)) for n in (9, 12, 5, 7)]


def test_times_are_parts_of_the_whole():
    bert, given, began = model(), batch(), time.perf_counter()
    found = trace(bert, given, backward=True)
    whole = time.perf_counter() - began
    assert all(s.seconds > 0 for s in found.steps)
    assert all(s.backward_seconds > 0 for s in found.steps if s.norm is not None)
    assert sum(s.seconds + s.backward_seconds for s in found.steps) < whole


def test_every_op_has_its_equations():
    ours = {name for name, op in REGISTRY.items() if op.forward.__module__.startswith("numbert.")}
    assert set(EQUATIONS) == ours and len(ours) >= 14
    assert all(forward and backward for forward, backward in EQUATIONS.values())


# ---- what is shown ---------------------------------------------------------------------------------------------------

def test_table(found):
    lines = table(found).splitlines()
    assert len(lines) == len(found.steps) + 1
    assert {"module", "equation", "shapes", "parameters", "operations", "ms", "source", "|dy|"} <= set(columns(found))
    line, = [line for line in lines if "body.layers.0.feed_forward.expand" in line]
    one = step(found, "body.layers.0.feed_forward.expand", "linear")
    for text in ("y = x Wᵀ + b", "(33, 12) -> (33, 20)", " 260 ", f" {2 * 33 * 12 * 20:,} ", "numbert/layers.py:",
                 f"weight {one.norms['body.layers.0.feed_forward.expand.weight']:.3g}"):
        assert text in line
    assert "|dy|" not in table(trace(model(), batch()))


def test_page_is_whole_and_needs_nothing_from_elsewhere(found):
    tokens = ["[CLS]", "<b>", "&amp;", *"cdefgh"]
    text = page(found, tokens, "a < b")

    class Parser(html.parser.HTMLParser):
        opened, external = [], []

        def handle_starttag(self, tag, attributes):
            if tag not in ("meta", "rect", "path"):
                self.opened.append(tag)
            self.external += [a for a in attributes if a[0] in ("src", "href", "xlink:href")]

        def handle_endtag(self, tag):
            if tag not in ("meta", "rect", "path"):
                assert self.opened.pop() == tag
    parser = Parser()
    parser.feed(text)
    parser.close()
    assert parser.opened == [] and parser.external == [] and "@import" not in text and "url(" not in text
    assert "<title>a &lt; b</title>" in text and "<b>" not in text
    pictures = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(pictures) == L * H
    for picture in pictures:
        ET.fromstring(picture)
    shares = step(found, "body.layers.0.attention", "attention").attention[0].shares[0, 1]
    best = int(shares.argmax())
    assert f"&lt;b&gt; looks at {html.escape(tokens[best])} {shares[best]:.0%}" in pictures[0]
    for one in found.steps:
        assert html.escape(EQUATIONS[one.op][1]) in text
    assert "(33, 12) -&gt; (33, 20)" in text
    assert "return ops.linear(x, self.weight, self.bias)" in text and "key, value = self.key(x)" in text


def run(capsys, *arguments):
    main(list(arguments))
    return capsys.readouterr().out


def test_command(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys.stdout, "reconfigure", lambda **_: None, raising=False)
    out = run(capsys, "The cat sat .", "It purred .", "--backward", "--html", "page.html")
    assert out.startswith("random BERT, seed 0: L = 2, D = 64") and "[MASK]" in out and "[CLS]" in out
    assert re.search(r"^mlm \d\.\d+, nsp \d\.\d+ nats$", out, re.MULTILINE)
    counted = re.search(r"steps, ([\d,]+) operations", out)[1]
    assert f"for the forward pass: {counted} (linear" in out
    assert "layers.1.attention" in (tmp_path / "page.html").read_text(encoding="utf-8")

    out = run(capsys, "The cat sat .")
    assert "[MASK]" not in out and "|dy|" not in out and re.search(r"-> \(1, 6, \d+\)", out)
    counted = re.search(r"steps, ([\d,]+) operations", out)[1]
    assert f"for the forward pass: {counted} (linear" in out


def test_command_takes_a_folder(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys.stdout, "reconfigure", lambda **_: None, raising=False)
    tokenizer = nb.WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "sat"])
    bert = model(vocab_size=len(tokenizer))
    for folder in ("mine", "runs/pretrain"):
        bert.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    assert run(capsys, "cat sat", "--model", "mine").startswith("mine: L = 2, D = 12")
    assert run(capsys, "cat sat").startswith("runs/pretrain: L = 2, D = 12")
    for arguments, message in ((("cat", "--model", "elsewhere"), "elsewhere"), ((" ",), "no word"),
                               (("[MASK]", "--backward"), "no word to hide"),
                               (("cat " * 40,), "max_position_embeddings")):
        with pytest.raises(SystemExit) as error:
            main(list(arguments))
        assert str(error.value).startswith("trace: ") and message in str(error.value)
        assert "\n" not in str(error.value)


def test_module_runs():
    done = subprocess.run([sys.executable, "-m", "numbert.trace", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "--backward" in done.stdout and not done.stderr


def test_prediction_of_the_command_is_for_its_batch():
    predicted, one = USES[nb.BertForPreTraining].predicted, {"input_ids": np.ones((1, 9), int)}
    assert predicted(CONFIG, one)["decoder"] == 2 * 9 * D * V
    labels = np.full((1, 9), -100)
    labels[0, 3] = 1
    assert predicted(CONFIG, one | {"labels": labels})["decoder"] == 2 * D * V


# ---- the uses --------------------------------------------------------------------------------------------------------

WORDS = ["when", "did", "kate", "go", "at", "noon", "##ish", "a", "walk", "."]
TOKENIZER = nb.WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])
QUESTION, TEXT = "When did Kate go ?", "At noonish Kate did go a walk ."
TAGS = ["DET", "NOUN", "VERB"]
# class, changes of the configuration, --label, what is said of it, and the labels that it means (of two texts)
FOLDERS = [
    (nb.BertForPreTraining, {}, None, "hidden: ", None),
    (nb.BertForMaskedLM, {}, None, "hidden: ", None),
    (nb.BertForNextSentencePrediction, {}, "1", "label: 1", {"labels": [1]}),
    (nb.BertForSequenceClassification, {"num_labels": 3, "id2label": dict(enumerate(TAGS))}, "VERB", "label: VERB",
     {"labels": [2]}),
    (nb.BertForSequenceClassification, {"num_labels": 1}, "2.5", "label: 2.5", {"labels": [2.5]}),
    (nb.BertForSequenceClassification, {"num_labels": 3, "problem_type": "multi_label_classification"}, "0 2",
     "labels: LABEL_0 LABEL_2", {"labels": [[1, 0, 1]]}),
    (nb.BertForTokenClassification, {"num_labels": 3, "id2label": dict(enumerate(TAGS))},
     "DET NOUN VERB DET NOUN VERB 0 1 2 DET NOUN VERB DET", "labels: DET NOUN VERB",
     {"labels": [[-100, 0, 1, 2, 0, 1, -100, 2, 0, -100, 1, 2, 0, 1, 2, 0, -100]]}),
    (nb.BertForQuestionAnswering, {}, "noonish Kate", "answer: 'noonish Kate', columns 8 to 10",
     {"start_positions": [8], "end_positions": [10]}),
    (nb.BertForQuestionAnswering, {}, "", "answer: none, columns 0 to 0",
     {"start_positions": [0], "end_positions": [0]}),
]
NAMES = [f"{cls.__name__} {label}" for cls, _, label, *_ in FOLDERS]


def saved(folder, cls, **changes):
    bert = cls(tiny_bert.config(vocab_size=len(TOKENIZER), max_position_embeddings=20, **changes),
               rng=np.random.default_rng(3))
    bert.save_pretrained(folder)
    TOKENIZER.save_pretrained(folder)
    return bert


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys.stdout, "reconfigure", lambda **_: None, raising=False)


@pytest.mark.parametrize("cls,changes,label,said,labels", FOLDERS, ids=NAMES)
def test_a_folder_is_traced_as_what_was_saved_there(cls, changes, label, said, labels, here, capsys):
    bert = saved("mine", cls, **changes)
    for arguments in ((QUESTION, TEXT), (QUESTION, TEXT, "--backward", *(() if label is None else ("--label", label)))):
        out = run(capsys, *arguments, "--model", "mine")
        title, loaded, tokens, *_ = lines = out.splitlines()
        assert title.endswith(f"a {cls.__name__}")
        assert loaded == f"mine: {len(bert.parameters())} tensors loaded, 0 new, 0 not used"
        assert re.search(r"steps, ([\d,]+) operations", out)[1] == re.search(r"for the forward pass: ([\d,]+)", out)[1]
    assert lines[3].startswith(said)
    if labels is None:
        return
    batch = TOKENIZER.pad([TOKENIZER(QUESTION, TEXT)]) | {name: np.array(x) for name, x in labels.items()}
    losses = bert(**batch).losses
    assert ", ".join(f"{name} {float(loss):.4f}" for name, loss in losses.items()) + " nats" in lines


@pytest.mark.parametrize("cls,changes", [(cls, changes) for cls, changes, label, *_ in FOLDERS if label != "2.5"])
def test_without_a_label_it_is_the_models_own_guess(cls, changes, here, capsys):
    """Which has a lower loss than any other."""
    bert = saved("mine", cls, **changes)
    lines = run(capsys, QUESTION, TEXT, "--model", "mine", "--backward").splitlines()
    if cls in (nb.BertForPreTraining, nb.BertForMaskedLM):
        return
    assert lines[3].endswith(" (the model's own guess)")
    batch = TOKENIZER.pad([TOKENIZER(QUESTION, TEXT)])
    output = bert(**batch)
    match cls:
        case nb.BertForTokenClassification:
            chosen = [TAGS[i] for i in output.logits.data[0, [1, 2, 3, 4, 5, 7, 8, 10, 11, 12, 13, 14, 15]].argmax(-1)]
            assert lines[3].startswith("labels: " + " ".join(chosen) + " (")
        case nb.BertForQuestionAnswering:
            start, end = output.start_logits.data[0], output.end_logits.data[0]
            pairs = [(i, j) for i in range(7, 16) for j in range(i, 16)]
            best = max(pairs, key=lambda pair: start[pair[0]] + end[pair[1]])
            assert "columns {} to {} (".format(*best) in lines[3]
        case _ if changes.get("problem_type"):
            chosen = [f"LABEL_{i}" for i in np.flatnonzero(output.logits.data[0] > 0)]
            assert lines[3].startswith(f"labels: {' '.join(chosen) or '(none)'} (")
        case _:
            names = TAGS if "id2label" in changes else ["0", "1"]
            assert lines[3].startswith(f"label: {names[output.logits.data[0].argmax()]} (")


@pytest.mark.parametrize("cls,changes", [(cls, changes) for cls, changes, *_ in MODELS
                                         if not cls.__name__.endswith("MultipleChoice")])
def test_every_family_has_its_uses(cls, changes):
    """The operations that are predicted are those of the run, without labels and with them."""
    use, config = use_of(cls), dataclasses.replace(CONFIGS[cls.config_class], vocab_size=len(TOKENIZER), **changes)
    config = dataclasses.replace(config, **{"n_positions" if "GPT2" in cls.__name__ else "max_position_embeddings": 24})
    bert, encoding = cls(config, rng=np.random.default_rng(0), dtype=np.float64), TOKENIZER(QUESTION, TEXT)
    batch = TOKENIZER.pad([encoding])
    if "GPT2" in cls.__name__:
        del batch["token_type_ids"]
    if (config.problem_type, config.num_labels) == (None, 1):
        label = "1.5"
    else:
        label = None
    batches = [batch]
    if use.labels:
        given = Given(QUESTION, TEXT, encoding, batch, label)
        batches.append(use.labels(bert, TOKENIZER, given, np.random.default_rng(0))[0])
        assert set(batches[1]) > set(batch)
    for one, backward in zip(batches, (False, True), strict=False):
        found = trace(bert, one, backward=backward)
        assert sum(s.operations for s in found.steps) == use.predicted(config, one).total()
        assert not backward or found.output.losses


def test_a_body_has_no_loss(here, capsys):
    saved("body", nb.BertModel)
    assert run(capsys, QUESTION, TEXT, "--model", "body").splitlines()[0].endswith("a BertModel")
    assert fails("cat", "--model", "body", "--backward") == (
        "trace: a BertModel has no loss, so there is nothing for --backward")


def fails(*arguments):
    with pytest.raises(SystemExit) as error:
        main(list(arguments))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_was_not_loaded_is_said(here, capsys):
    saved("mine", nb.BertForMaskedLM)
    path = Path("mine/config.json")
    path.write_text(path.read_text().replace("BertForMaskedLM", "BertForSequenceClassification"))
    out = run(capsys, QUESTION, "--model", "mine")
    assert " 4 new, 5 not used" in out and "  new       classifier.weight: not in the file" in out
    path.write_text(path.read_text().replace('"architectures"', '"before"'))
    assert "\nconfig.json names no class: taken for a BertForPreTraining\n" in run(capsys, QUESTION, "--model", "mine")


def test_mistakes_take_one_line(here):
    for cls, name in ((nb.BertForSequenceClassification, "class"), (nb.BertForTokenClassification, "tags"),
                      (nb.BertForQuestionAnswering, "answers"), (nb.BertForMaskedLM, "words"),
                      (nb.BertForMultipleChoice, "choice")):
        saved(name, cls, num_labels=2)
    saved("number", nb.BertForSequenceClassification, num_labels=1)
    both = [QUESTION, TEXT]
    for model, texts, more, message in (
            ("class", [TEXT], ["--label", "1"], "--label is for --backward"),
            ("class", [TEXT], ["--backward", "--label", "2"], "--label must be one of 0, 1; got '2'"),
            ("tags", [TEXT], ["--backward", "--label", "0 1"], "each of 8 words (at noon kate did go a walk .)"),
            ("answers", [TEXT], ["--backward"], "reads a question and a text: give both"),
            ("answers", both, ["--backward", "--label", "Nancy"], "--label 'Nancy' is not a part of the second"),
            ("answers", [QUESTION, ""], ["--backward"], "there is no word in ''"),
            ("words", [TEXT], ["--backward", "--label", "1"], "takes no --label"),
            ("number", [TEXT], ["--backward", "--label", "1 2"], "labels for regression must be (1, 1), got (1, 2)"),
            ("number", [TEXT], ["--backward"], "give another one, --label NUMBER"),
            ("number", [TEXT], ["--backward", "--label", "x"], "--label must be a number, got 'x'"),
            ("choice", [TEXT], [], "architectures must be one of AlbertForMaskedLM, ")):
        assert message in fails(*texts, "--model", model, *more)
