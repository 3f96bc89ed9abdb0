"""The run behind the page: a small model learns a small language, and reads one sentence while it is recorded.

Everything that the page shows as a number was computed here, or is a number of a paper that its text names.
"""
import logging
import math
import tempfile
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from .. import ops
from ..autograd import gradients
from ..models.bert import BertForPreTraining
from ..models.config import SIZES, BertConfig
from ..models.cost import pretraining as operations_of_pretraining
from ..models.gpt2 import GPT2Config, GPT2LMHeadModel
from ..models.heads import BertForQuestionAnswering, BertForSequenceClassification, BertForTokenClassification
from ..module import Parameter
from ..pretraining.batches import PretrainingData
from ..pretraining.masking import IGNORED, mask_tokens, ordinary_table
from ..pretraining.sentence_pairs import TokenizedText, draw_examples
from ..recording import no_grad
from ..tasks import tagging
from ..tasks.classification import collate, encode
from ..tasks.squad.answers import read_answers
from ..tasks.squad.data import Answer, Example
from ..tasks.squad.windows import batch_of, make_passages, windows_of
from ..tokenizers.wordpiece import SPECIAL_TOKENS, WordPieceTokenizer
from ..training.loop import train
from ..training.optimizer import AdamW, linear_schedule
from ..training.parallel import Workers
from . import world
from .line_values import LineValues

FIRST, SECOND = "Anna was in the library.", "She was reading a new book."
STORY = world.LectureStory("Anna", "library", "new", "book", "very", "happy")
QUESTION = "What was she reading?"
LONG = ("Tom was in the park. He was quite sad. Mary was in the kitchen. She was really glad. " + STORY.text
        + " Paul was in the school. He was very angry.")
MASK_RATE, MASK_SEED = 0.2, 791             # of 14 words three are chosen; with this seed each has another fate
WIDTH, HEADS, LAYERS = 24, 2, 2
STEPS, FINE_STEPS, ANSWER_STEPS, GPT_STEPS = 900, 60, 300, 200


@dataclass
class Run:
    """`facts` {name: number or word} for the texts; `shown` {name: what a figure needs}; `seen`, the LineValues of each
    part of the run by its name, and `models` by the same."""
    tokenizer: WordPieceTokenizer
    facts: dict = field(default_factory=dict)
    shown: dict = field(default_factory=dict)
    seen: dict = field(default_factory=dict)
    models: dict = field(default_factory=dict)


def perform(watch, parts=None):
    """The Run. watch: {part: [plain functions to record]}, the parts being the functions below. parts: some of them."""
    run = Run(WordPieceTokenizer([*SPECIAL_TOKENS.values(), *world.vocabulary()]))
    for part in PARTS if parts is None else parts:
        part(run, watch.get(part.__name__, []))
    return run


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def learn(model, batches, steps, lr=1e-2):
    """Train in float32, which is faster, and leave the model in float64, so that what the page shows can be computed
    again to the last digit. The losses of every step, {name: [...]}."""
    losses = {}
    cast(model, np.float32)
    with Workers(1) as workers:
        for step in train(model, batches, optimizer=AdamW(model.parameters()), lr=linear_schedule(steps, lr),
                          steps=steps, seed=0, workers=workers):
            for name, loss in step.sums.items():
                losses.setdefault(name, []).append(float(loss))
    cast(model, np.float64)
    return losses


def cast(model, dtype):
    for parameter in model.parameters():
        parameter.data = parameter.data.astype(dtype)


def endless(examples, batch_size, collate, seed):
    """Batches of examples drawn at random, without end."""
    rng = np.random.default_rng(seed)
    while True:
        yield collate([examples[i] for i in rng.integers(len(examples), size=batch_size)])


def record(run, part, functions, model, make_batch):
    """model(**make_batch()) and its gradients, watched: batch, output, and the gradients by name."""
    with LineValues(functions, model) as seen:
        batch = make_batch()
        output = model(**batch)
        found = gradients(output.loss, model.parameters())
    run.seen[part], run.models[part] = seen, model
    return batch, output, dict(zip(model.named_parameters(), found, strict=True))


def wordpiece(run, watch):
    """The running sentences as tokens."""
    with LineValues(watch) as seen:
        run.tokenizer.split_word("reading")
        run.tokenizer.split_word("meteorology")
    run.seen["wordpiece"] = seen
    encoding = run.tokenizer(FIRST, SECOND)
    run.shown["tokens"] = encoding
    run.facts |= {"V": len(run.tokenizer), "T": len(encoding), "first": FIRST, "second": SECOND, "D": WIDTH, "H": HEADS,
                  "L": LAYERS, "K": WIDTH // HEADS, "F": 2 * WIDTH}


def masking(run, watch):
    """What becomes of the words that are hidden."""
    ids = np.array([run.shown["tokens"].input_ids])
    settings = dict(ordinary=ordinary_table(run.tokenizer), mask_id=run.tokenizer.mask_token_id, rate=MASK_RATE)
    with LineValues(watch) as seen:
        masked, labels = mask_tokens(ids, np.random.default_rng(MASK_SEED), **settings)
    run.seen["masking"] = seen
    run.shown |= {"masked": masked, "labels": labels}
    many = np.repeat(ids, 2000, 0)
    hidden, asked = mask_tokens(many, np.random.default_rng(0), **settings)
    chosen = asked != IGNORED
    became = {"mask": (hidden[chosen] == run.tokenizer.mask_token_id).sum(), "same": (hidden == many)[chosen].sum()}
    run.shown["fates"] = {"mask": int(became["mask"]), "other": int(chosen.sum() - became["mask"] - became["same"]),
                          "same": int(became["same"])}
    run.facts |= {"rate": MASK_RATE, "ordinary": int(settings["ordinary"][ids].sum()), "drawn": int(chosen.sum()),
                  "chosen": int((labels != IGNORED).sum())} | {f"fate_{k}": v for k, v in run.shown["fates"].items()}


def pairs(run, watch):
    """Pairs of sentences: one that follows, one from elsewhere, two that were exchanged."""
    documents = [[FIRST, SECOND], ["Tom was in the park.", "He was flying a red kite."]]
    text = TokenizedText([run.tokenizer.encode_batch(d, add_special_tokens=False) for d in documents])
    for objective, name in (("mlm+nsp", "nsp"), ("mlm+sop", "sop")):
        seed = next(seed for seed in range(100) if draw_examples(
            text, np.random.default_rng(seed), objective=objective, max_length=24)[0, 4] == 1)
        with LineValues(watch) as seen:
            table = draw_examples(text, np.random.default_rng(seed), objective=objective, max_length=24)
        run.seen[name] = seen
        a, a_stop, b, b_stop, label = table[0].tolist()
        run.shown[name] = [run.tokenizer.tokens[i] for i in [
            run.tokenizer.cls_token_id, *text.tokens[a:a_stop], run.tokenizer.sep_token_id, *text.tokens[b:b_stop],
            run.tokenizer.sep_token_id]], label


def rows(run, watch):
    """RoBERTa's rows of full sentences."""
    documents = [story.sentences[:2] for story,
                 _ in zip(world.stories(np.random.default_rng(6)), range(4), strict=False)]
    text = TokenizedText([run.tokenizer.encode_batch(d, add_special_tokens=False) for d in documents],
                         run.tokenizer.sep_token_id)
    with LineValues(watch) as seen:
        table = draw_examples(text, np.random.default_rng(0), objective="full-sentences", max_length=26)
    run.seen["rows"] = seen
    run.shown["rows"] = [[run.tokenizer.tokens[i] for i in text.tokens[a:z]] for a, z, *_ in table]


def pretraining(run, watch):
    """The model learns, and reads the masked pair."""
    tokenizer, rng = run.tokenizer, np.random.default_rng
    settings = dict(objective="mlm+nsp", max_length=20, batch_size=32, mask_rate=MASK_RATE)
    data = PretrainingData(world.documents(2000, rng(1)), tokenizer, **settings)
    held = PretrainingData(world.documents(200, rng(2)), tokenizer, **settings).evaluation_batches()
    config = BertConfig(vocab_size=len(tokenizer), hidden_size=WIDTH, num_hidden_layers=LAYERS,
                        num_attention_heads=HEADS, intermediate_size=2 * WIDTH, max_position_embeddings=96,
                        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, initializer_range=0.1)
    model = BertForPreTraining(config, rng=rng(0), dtype=np.float64)
    encoding = run.shown["tokens"]
    batch = {"input_ids": run.shown["masked"], "token_type_ids": np.array([encoding.token_type_ids]),
             "attention_mask": np.ones((1, len(encoding)), int), "labels": run.shown["labels"],
             "next_sentence_label": np.array([0])}
    with no_grad():
        before = {name: float(loss) for name, loss in model(**batch).losses.items()}
    curves = learn(model, data.batches(), STEPS)
    _, output, found = record(run, "pretraining", [*watch, ops.attention.forward], model, lambda: batch)
    run.shown |= {"batch": batch, "curves": curves, "gradients": found}

    places = np.flatnonzero(batch["labels"][0] != IGNORED)
    probs = softmax(output.prediction_logits.data)
    run.shown["guesses"] = [
        {"place": int(t), "seen": tokenizer.tokens[batch["input_ids"][0, t]], "right": int(batch["labels"][0, t]),
         "probs": p, "logits": z} for t, p, z in zip(places, probs, output.prediction_logits.data, strict=True)]
    masked = next(g for g in run.shown["guesses"] if g["seen"] == "[MASK]")
    p = float(masked["probs"][masked["right"]])
    run.shown["attention"] = attention_of(run, "pretraining")
    batches = list(held)
    with no_grad():
        outputs = [model(**b) for b in batches]
    labelled = sum(int((b["labels"] != IGNORED).sum()) for b in batches)
    mlm = sum(float(o.losses["mlm"]) * int((b["labels"] != IGNORED).sum()) for o,
              b in zip(outputs, batches, strict=True))
    nsp_right = np.concatenate([o.seq_relationship_logits.data.argmax(1) == b["next_sentence_label"]
                                for o, b in zip(outputs, batches, strict=True)])
    nsp = np.average([float(o.losses["nsp"]) for o in outputs], weights=[len(b["input_ids"]) for b in batches])
    counts = Counter(i for d in world.documents(2000, rng(1)) for s in d
                     for i in tokenizer(s, add_special_tokens=False).input_ids)
    share = np.array(list(counts.values())) / sum(counts.values())
    follows = softmax(output.seq_relationship_logits.data)[0]
    run.shown["nsp_pairs"] = [([FIRST, SECOND], 0, follows_of(model, tokenizer, FIRST, SECOND)),
                              ([FIRST, "He was flying a red kite."], 1,
                               follows_of(model, tokenizer, FIRST, "He was flying a red kite.")),
                              ([FIRST, "Tom was in the park."], 1, follows_of(model, tokenizer, FIRST,
                                                                              "Tom was in the park."))]
    run.facts |= {
        "steps": STEPS, "positions": config.max_position_embeddings, "ln_V": math.log(len(tokenizer)),
        "unigram": float(-(share * np.log(share)).sum()),
        "mlm_before": before["mlm"], "nsp_before": before["nsp"], "mlm_after": float(output.losses["mlm"]),
        "nsp_after": float(output.losses["nsp"]), "loss": float(output.loss), "held_mlm": mlm / labelled,
        "held_nsp": float(nsp), "held_nsp_right": float(nsp_right.mean()), "ln_2": math.log(2), "p_right": p,
        "nll": -math.log(p), "right": tokenizer.tokens[masked["right"]],
        "guess": tokenizer.tokens[int(masked["probs"].argmax())], "p_follows": float(follows[0]),
        "parameters": sum(p.data.size for p in model.parameters()),
        "key_bias": float(max(np.abs(g).max() for n, g in found.items() if n.endswith("key.bias"))),
        "query_bias": float(max(np.abs(g).max() for n, g in found.items() if n.endswith("query.bias"))),
    }


def decoder(run, watch):
    """The hidden words guessed, and their loss, in two ops. (The model's own loss makes both in one op, for a block of
    rows at a time; the numbers are the same.)"""
    model, batch = run.models["pretraining"], run.shown["batch"]
    labels = batch["labels"][0]
    rows = np.flatnonzero(labels != IGNORED)
    packed = model.body.pack(batch["input_ids"], batch["token_type_ids"], batch["attention_mask"])
    x = model.body.encode(packed, rows=rows)
    with LineValues(watch, model) as seen:
        logits = model.mlm(x, model.body.embeddings.word.weight)
        loss = ops.cross_entropy(logits, labels=labels[rows])
        gradients(loss, model.parameters())
    run.seen["decoder"] = seen
    run.facts["decoder_loss"] = float(loss)


def follows_of(model, tokenizer, first, second):
    """P(second follows first), of a model with the head for it."""
    with no_grad():
        logits = model(**tokenizer.pad([tokenizer(first, second)])).seq_relationship_logits.data
    return float(softmax(logits)[0, 0])


def attention_of(run, part):
    """{layer: (H, Tq, T)} of a watched run: who looks at whom."""
    shares = {}
    for call in run.seen[part].calls:
        if call.is_of(ops.attention.forward):
            given = call.arguments
            probs, = ops.attention_probs(given["query"], given["key"], buckets=given["buckets"], heads=given["heads"],
                                         mask=given["mask"])
            shares[call.module.split(".")[-2]] = probs[0]
    return shares


def sizes(run, watch):
    """What BERT-base costs, from its shapes alone."""
    layers, width = SIZES["base"]
    config = BertConfig(num_hidden_layers=layers, hidden_size=width, num_attention_heads=width // 64,
                        intermediate_size=4 * width)
    short, long = (3 * sum(operations_of_pretraining(config, [length] * 256, [round(0.15 * length)] * 256).values())
                   for length in (128, 512))
    total = 900_000 * short + 100_000 * long
    once = 3 * sum(operations_of_pretraining(run.models["pretraining"].config, [run.facts["T"]],
                                             [run.facts["chosen"]]).values())
    run.shown["operations"] = total, once
    run.facts["operations"] = power_of_ten(total)


def power_of_ten(x):
    """2.2 · 10¹⁹"""
    digits, exponent = f"{x:.1e}".split("e")
    return f"{digits} · 10{str(int(exponent)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def loading(run, watch):
    """A body for a new task: what is loaded, what is new."""
    body = run.models["pretraining"]
    quiet = logging.getLogger("numbert")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        with tempfile.TemporaryDirectory() as folder:
            body.save_pretrained(folder)
            tasks = {"classification": (BertForSequenceClassification, {"num_labels": 2}),
                     "inference": (BertForSequenceClassification, {"num_labels": 3}),
                     "tagged": (BertForTokenClassification, {"num_labels": len(world.TAGS)}),
                     "answer": (BertForQuestionAnswering, {})}
            run.models |= {name: cls.from_pretrained(folder, dtype=np.float64, rng=np.random.default_rng(5), **changes)
                           for name, (cls, changes) in tasks.items()}
    finally:
        quiet.setLevel(level)
    report = run.models["classification"].load_report
    run.shown["load_report"] = "\n".join(str(report).replace(report.source, "runs/body").splitlines())
    run.facts |= {"loaded": len(report.loaded), "new": len(report.new), "unused": len(report.unused)}


def classification(run, watch):
    """The sentiment of a story; how far every parameter moved."""
    tokenizer, model, rng = run.tokenizer, run.models["classification"], np.random.default_rng
    start = {name: p.data.copy() for name, p in model.named_parameters().items()}
    examples, held = (encode(world.classified(n, rng(seed)), tokenizer, 64) for n, seed in ((400, 11), (200, 12)))
    run.shown["fine_curve"] = learn(model, endless(examples, 16, collate(tokenizer), 0), FINE_STEPS)
    run.shown["moved"] = {name: float(np.linalg.norm(p.data - start[name]) / max(1e-12, np.linalg.norm(start[name])))
                          for name, p in model.named_parameters().items() if np.linalg.norm(start[name]) > 0}
    run.facts |= {"moved": sum(bool((p.data != start[name]).any()) for name, p in model.named_parameters().items()),
                  "tensors": len(start), "classified_right": _right(model, tokenizer, held), "fine_steps": FINE_STEPS}
    batch = tokenizer.pad([tokenizer(STORY.text)]) | {"labels": np.array([1])}
    record(run, "classification", watch, model, lambda: batch)
    run.shown["classified"] = [(story.text, softmax(_logits(model, tokenizer, story.text))[0].tolist())
                               for story in (STORY, STORY._replace(feeling="angry"))]
    with no_grad():
        h = model.body.encode(model.body.pack(**{k: v for k, v in batch.items() if k != "labels"})).data
    run.shown["first_and_mean"] = [h[0], h.mean(0)]


def _logits(model, tokenizer, *texts):
    with no_grad():
        return model(**tokenizer.pad([tokenizer(*texts)])).logits.data


def _right(model, tokenizer, examples):
    """The share of the examples whose class is the likeliest."""
    batch = collate(tokenizer)(examples)
    labels = batch.pop("labels")
    with no_grad():
        return float((model(**batch).logits.data.argmax(-1) == labels).mean())


def tagged(run, watch):
    """A part of speech for every word."""
    tokenizer, model, rng = run.tokenizer, run.models["tagged"], np.random.default_rng

    def windows(n, seed):
        sentences = [(words, [world.TAGS.index(tag) for tag in tags]) for words, tags in world.tagged(n, rng(seed))]
        return [window for one in tagging.windows_of(sentences, tokenizer, 64)[0] for window in one]
    learn(model, endless(windows(300, 13), 16, tagging.collate(tokenizer), 0), FINE_STEPS)
    held = tagging.collate(tokenizer)(windows(100, 14))
    labels = held.pop("labels")
    with no_grad():
        right = (model(**held).logits.data.argmax(-1) == labels)[labels != IGNORED]
    words = f"{FIRST} {SECOND}".replace(".", " .").split()
    tags = "PROPN AUX ADP DET NOUN PUNCT PRON AUX VERB DET ADJ NOUN PUNCT".split()
    window, = tagging.windows_of([(words, [world.TAGS.index(tag) for tag in tags])], tokenizer, 64)[0][0]
    batch, *_ = record(run, "tagged", watch, model, lambda: tagging.collate(tokenizer)([window]))
    with no_grad():
        logits = model(**{k: v for k, v in batch.items() if k != "labels"}).logits.data[0]
    run.shown["tags"] = [[tokenizer.tokens[i] for i in window.ids], batch["labels"][0].tolist(), softmax(logits)]
    run.facts |= {"tags_right": float(right.mean())}


def inference(run, watch):
    """Does a second text follow from a first?"""
    tokenizer, model, rng = run.tokenizer, run.models["inference"], np.random.default_rng
    examples, held = (encode(world.inferred(n, rng(seed)), tokenizer, 64) for n, seed in ((600, 15), (200, 16)))
    learn(model, endless(examples, 16, collate(tokenizer), 0), FINE_STEPS)
    pairs = [(FIRST, f"She was {said}.", label) for label, said in
             enumerate(("in the library", "very happy", "not in the library"))]
    record(run, "inference", watch, model, lambda: collate(tokenizer)(encode(pairs[2:], tokenizer, 64)))
    run.shown["inferred"] = [(a, b, softmax(_logits(model, tokenizer, a, b))[0].tolist(), label) for a, b,
                             label in pairs]
    run.facts |= {"inferred_right": _right(model, tokenizer, held)}


def _passages(items, tokenizer, **cutting):
    examples = []
    for number, (question, text, answer) in enumerate(items):
        gold = (Answer(answer, text.index(answer)),) if answer else ()
        examples.append(Example(str(number), question, text, gold, not answer))
    return make_passages(examples, tokenizer, **cutting)


def answer(run, watch):
    """The start and the end vector at work on the running story."""
    tokenizer, model, rng = run.tokenizer, run.models["answer"], np.random.default_rng
    passages = _passages(world.asked(600, rng(17)), tokenizer, max_length=32, step=12)
    learn(model, endless(windows_of(passages), 16, lambda pairs: batch_of(pairs, tokenizer, labels=True), 0),
          ANSWER_STEPS)
    held = _passages(world.asked(100, rng(18)), tokenizer, max_length=64)
    run.facts["answered_right"] = float(np.mean([
        _read(model, tokenizer, passage).text == (passage.gold.text if passage.gold else "") for passage in held]))
    passage, = _passages([(QUESTION, STORY.text, "a new book")], tokenizer, max_length=64)
    batch = batch_of(windows_of([passage]), tokenizer, labels=True)
    _, output, found = record(run, "answer", watch, model, lambda: batch)
    with no_grad():
        h = model.body.encode(model.body.pack(**{k: v for k, v in batch.items() if "positions" not in k})).data
    S, E = model.qa_outputs.weight.data
    doc = slice(passage.column, len(h) - 1)
    run.shown["answer"] = {"tokens": [tokenizer.tokens[i] for i in batch["input_ids"][0]], "h": h, "S": S, "E": E,
                           "scores": h @ np.stack([S, E]).T + model.qa_outputs.bias.data, "document": doc,
                           "reading": _read(model, tokenizer, passage), "passage": passage}
    run.facts |= {"qa_bias": float(np.abs(found["qa_outputs.bias"]).max()),
                  "answer": run.shown["answer"]["reading"].text,
                  "question": QUESTION, "story": STORY.text,
                  "qa_loss": float(output.loss), "start_loss": float(output.losses["start"]),
                  "end_loss": float(output.losses["end"])}
    run.facts |= dict(zip("se", (int(x) + 1 for x in run.shown["answer"]["scores"][doc].argmax(0)), strict=True))
    run.shown["questions"] = []
    for question in ("Where was Anna?", "Who was in the library?", QUESTION):
        one, = _passages([(question, STORY.text, "")], tokenizer, max_length=64)
        run.shown["questions"].append((question, STORY.text, _read(model, tokenizer, one)))
    short = f"{FIRST} {STORY.sentences[2]}"
    one, = _passages([(QUESTION, short, "")], tokenizer, max_length=64)
    run.shown["questions"].append((QUESTION, short, _read(model, tokenizer, one)))


def _scores(model, tokenizer, passage):
    with no_grad():
        outputs = [model(**batch_of([(passage, window)], tokenizer)) for window in passage.windows]
    return [(o.start_logits.data[0], o.end_logits.data[0]) for o in outputs]


def _read(model, tokenizer, passage):
    return read_answers(passage, _scores(model, tokenizer, passage))


def windows(run, watch):
    """A text that is longer than the model may read at once."""
    tokenizer, model = run.tokenizer, run.models["answer"]
    with LineValues(watch) as seen:
        passage, = _passages([(QUESTION, LONG, "a new book")], tokenizer, max_length=32, step=12)
        scores = _scores(model, tokenizer, passage)
        labels = [passage.label(window) for window in passage.windows]
        reading = read_answers(passage, scores)
    run.seen["windows"] = seen
    run.shown["windows"] = {"passage": passage, "labels": labels, "scores": scores, "reading": reading,
                            "tokens": [tokenizer.tokens[i] for i in passage.context]}
    run.facts |= {"long_tokens": len(passage.context), "window_count": len(passage.windows), "room": 32 - 3 - len(
        passage.question), "step": 12, "with_answer": sum(label != (0, 0) for label in labels)}


def gpt(run, watch):
    """A model that guesses the next token, of the same size and for the same stories."""
    tokenizer, rng = run.tokenizer, np.random.default_rng
    config = GPT2Config(vocab_size=len(tokenizer), n_positions=96, n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS,
                        n_inner=2 * WIDTH, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, initializer_range=0.1,
                        bos_token_id=None, eos_token_id=tokenizer.sep_token_id)
    model = GPT2LMHeadModel(config, rng=rng(0), dtype=np.float64)

    def batches():
        draw = rng(19)
        stories = world.stories(draw)
        while True:
            made = tokenizer.pad([tokenizer(f"{s.sentences[0]} {s.sentences[1]}") for s, _ in
                                  zip(stories, range(24), strict=False)])
            labels = np.where(made["attention_mask"] == 1, made["input_ids"], IGNORED)
            yield {"input_ids": made["input_ids"], "attention_mask": made["attention_mask"], "labels": labels}
    run.shown["gpt_curve"] = learn(model, batches(), GPT_STEPS)
    ids = np.array([tokenizer(f"{FIRST} {SECOND}").input_ids])
    _, output, _ = record(run, "gpt", [*watch, ops.attention.forward], model, lambda: {"input_ids": ids, "labels": ids})
    run.shown["gpt_attention"] = attention_of(run, "gpt")
    logits = output.logits.data
    run.shown["gpt"] = [tokenizer.tokens[i] for i in ids[0]], softmax(logits), ids[0]
    prompt = ids[:, :8]
    written = model.generate(prompt, max_new_tokens=8)
    run.facts |= {"prompt": tokenizer.decode(prompt[0].tolist()), "written": tokenizer.decode(
        np.asarray(written[0]).tolist()[8:] if len(written[0]) > 8 else np.asarray(written[0]).tolist()),
        "gpt_steps": GPT_STEPS, "gpt_loss": float(output.loss)}


def graph(run, watch):
    """b = a + a, c = b + b: what a walk in the wrong order gets wrong."""
    a = Parameter(np.array(3.0))
    b = ops.add(a, a)
    c = ops.add(b, b)
    with LineValues(watch) as seen:
        da, db = gradients(c, [a, b])
    run.seen["graph"] = seen
    run.facts |= {"graph_a": float(a.data), "graph_b": float(b.data), "graph_c": float(c.data), "graph_da": float(da),
                  "graph_db": float(db)}


def optimizer(run, watch):
    """One step of AdamW for the running pair."""
    model = run.models["pretraining"]
    bias = model.mlm.bias if hasattr(model.mlm, "bias") else model.parameters()[-1]
    before = bias.data.copy()
    g = run.shown["gradients"]["mlm.bias"]
    one = AdamW([bias])
    with Workers(1) as workers, LineValues(watch) as seen:
        one.step([g.copy()], 1e-3, workers)
    run.seen["optimizer"] = seen
    run.shown["adamw"] = {"w": before, "g": g, "after": bias.data.copy()}
    bias.data = before


PARTS = (wordpiece, masking, pairs, rows, pretraining, decoder, sizes, loading, classification, tagged, inference,
         answer, windows, gpt, graph, optimizer)
SMALL = (wordpiece, masking, pretraining)           # what makes the small model
