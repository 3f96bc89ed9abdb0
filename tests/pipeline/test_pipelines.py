"""Each pipeline gives what a plain loop over the texts gives, for all families; what cannot be is refused by name.

`tests/pipeline_parity.py` holds them beside the pipelines of transformers.
"""
import itertools
import re
import types
import typing

import every_family
import numpy as np
import pytest

import numbert as nb
from numbert.pipeline import TASKS, base
from numbert.tasks.embedding import embed

HEADS = {"fill-mask": "ForMaskedLM", "text-generation": "ForCausalLM",
         "text-classification": "ForSequenceClassification",
         "zero-shot-classification": "ForSequenceClassification", "token-classification": "ForTokenClassification",
         "question-answering": "ForQuestionAnswering", "feature-extraction": "Model", "sentence-similarity": "Model"}
CHANGES = {"zero-shot-classification": {"num_labels": 3, "id2label": dict(enumerate(["no", "maybe", "Entailment"]))},
           "text-classification": {"num_labels": 3},
           "token-classification": {"num_labels": 5, "id2label": dict(enumerate(["O", "B-A", "I-A", "B-B", "I-B"]))}}
ABLE = [(task, family) for task in HEADS for family in every_family.FAMILIES
        if {"fill-mask": family != "gpt", "text-generation": family == "gpt"}.get(task, True)]
LONGEST = 40
TEXTS = ["the old cat", "bob and anna", "a dog", "where is the dog ?"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """(task, family) -> a folder with a model that can do the task."""
    made = {}

    def of(task, family):
        key = HEADS[task], family, str(CHANGES.get(task))
        if key not in made:
            made[key] = tmp_path_factory.mktemp(family)
            every_family.write_with_head(made[key], family, HEADS[task], LONGEST, **CHANGES.get(task, {}))
        return made[key]
    return of


def plain_softmax(scores):
    shares = np.exp(np.asarray(scores, np.float64))
    return shares / shares.sum()


def run(pipe, *texts, ids=None):
    """The model's output for one text or pair, alone."""
    batch = pipe.tokenizer.pad([ids] if ids is not None else [pipe.tokenizer(*texts, special_tokens_in_text=True)])
    return pipe.model(**pipe.model.accepted(batch))


def test_every_task_is_tested():
    assert HEADS.keys() == TASKS.keys() and all(cls.task == task for task, cls in TASKS.items())


# ---- what all have in common -----------------------------------------------------------------------------------------

GIVEN = {"zero-shot-classification": {"candidate_labels": ["cat", "a dog"]}, "sentence-similarity": {
    "source_sentence": "the cat"}, "question-answering": {"context": "the old cat saw a dog"},
    "text-generation": {"max_new_tokens": 3}}


def nearly(result):
    """The result with its numbers rounded: how a matrix is cut into blocks changes their last digits."""
    if isinstance(result, dict):
        return {name: nearly(one) for name, one in result.items()}
    return [nearly(one) for one in result] if isinstance(result, list) else (
        pytest.approx(result, abs=1e-5) if isinstance(result, float) else result)


@pytest.mark.parametrize("task, family", ABLE)
def test_a_list_gives_the_list_of_results_however_it_is_shared(folder, task, family):
    pipe = nb.pipeline(task, model=folder(task, family), workers=2, batch_size=2, **GIVEN.get(task, {}))
    texts = TEXTS
    if task == "fill-mask":
        mask = pipe.tokenizer.tokens[pipe.tokenizer.mask_token_id]
        texts = [f"{text} {mask}" for text in TEXTS]
    together = pipe(texts)
    alone = [pipe(text) for text in texts]
    if task == "text-classification":
        alone = [one for one, in alone]
    assert len(together) == 4 and together == nearly(alone)
    model, tokenizer = pipe.model, pipe.tokenizer
    other = nb.pipeline(task, model, tokenizer, workers=1, batch_size=3)
    assert other(texts, **GIVEN.get(task, {})) == nearly(together)
    assert pipe([]) == []
    given = {"question": texts[0], "context": pipe.options["context"]} if task == "question-answering" else texts[0]
    assert pipe.picture(given, together[0]).strip()


@pytest.mark.parametrize("task, family, message", [
    ("fill-mask", "gpt", "model_type is 'gpt2', and AutoModelForMaskedLM is for bert, roberta, albert"),
    *(("text-generation", family, f"model_type is '{family}', and AutoModelForCausalLM is for gpt2")
      for family in ("bert", "roberta", "albert"))])
def test_what_a_family_cannot_do_is_refused_before_anything_is_loaded(tmp_path, task, family, message):
    every_family.write(tmp_path, family)
    for name in ("model.safetensors", "vocab.txt", "vocab.json", "tokenizer.json"):
        (tmp_path / name).unlink(missing_ok=True)
    with pytest.raises(nb.CheckpointError, match=re.escape(message)):
        nb.pipeline(task, model=tmp_path)


@pytest.mark.parametrize("task", ["text-classification", "token-classification", "question-answering",
                                  "zero-shot-classification"])
def test_a_model_that_was_not_trained_for_it(tmp_path, task, caplog):
    every_family.write(tmp_path, "bert")
    if task == "zero-shot-classification":
        config = tmp_path / "config.json"
        config.write_text(config.read_text().replace('"model_type"', '"id2label": {"0": "entailment", "1": "not"},\n'
                                                     '"model_type"'))
    with pytest.raises(ValueError, match=f"not trained for {task}: the file lacks (classifier|qa_outputs).weight"):
        nb.pipeline(task, model=tmp_path)
    assert not caplog.records


def test_a_head_of_another_task_whose_weights_are_called_alike(tmp_path):
    heads = {"ForTokenClassification": "token-classification", "ForSequenceClassification": "text-classification",
             "ForMultipleChoice": None}
    for head in heads:
        folder = tmp_path / head
        folder.mkdir()
        every_family.write_with_head(folder, "bert", head, 40)
        for other, task in heads.items():
            if task and other == head:
                nb.pipeline(task, model=folder)
            elif task:
                with pytest.raises(nb.CheckpointError, match=f"was trained as Bert{head}, and AutoModel{other}"):
                    nb.pipeline(task, model=folder)


def test_mistakes(folder, tmp_path):
    bert = folder("text-classification", "bert")
    for arguments, error, message in [
            (("summarise", bert), ValueError, "task must be one of fill-mask, .*got 'summarise'"),
            (("fill-mask", bert, None, "topk"), TypeError, "fill-mask has no option topk, only top_k, targets"),
            (("fill-mask", tmp_path), nb.CheckpointError, "config.json: there is no such file"),
            (("zero-shot-classification", bert), ValueError, "name begins with entail; this one has LABEL_0"),
            (("feature-extraction", folder("feature-extraction", "gpt"), None, "pooling", "cls"), ValueError,
             "in a GPT2Model has seen nothing")]:
        task, model, *more = arguments
        options = {more[1]: more[2] if len(more) > 2 else 1} if more else {}
        with pytest.raises(error, match=message):
            nb.pipeline(task, model=model, **options)
    pipe = nb.pipeline("text-classification", bert)
    with pytest.raises(ValueError, match="a BertForSequenceClassification needs its tokenizer"):
        nb.pipeline("text-classification", pipe.model)
    for options, message in [({"top_k": 0}, "top_k must be at least 1, got 0"),
                             ({"function_to_apply": "x"}, "got 'x'")]:
        with pytest.raises(ValueError, match=message):
            pipe("a cat", **options)
    with pytest.raises(TypeError, match="no option stride"):
        pipe("a cat", stride=3)
    with pytest.raises(ValueError, match="{'text': ..., 'text_pair': ...}, got {'a': 'b'}"):
        pipe({"a": "b"})


@pytest.mark.parametrize("task", ["fill-mask", "text-classification", "zero-shot-classification", "feature-extraction",
                                  "sentence-similarity"])
def test_a_text_that_is_too_long_is_refused_or_cut(folder, task):
    pipe = nb.pipeline(task, model=folder(task, "bert"), **GIVEN.get(task, {}))
    long = "the [MASK] " + "old " * 50
    with pytest.raises(ValueError, match=r"the text 'the \[MASK\].* has \d+ tokens, and the model takes 40"):
        pipe(long)
    if task == "fill-mask":
        assert "truncation" not in str(pytest.raises(ValueError, pipe, long).value)
    else:
        results = [pipe(text, truncation=True) for text in (long, long + "cat", "a")]
        if task == "zero-shot-classification":
            results = [one["scores"] for one in results]
        assert results[0] == results[1] != results[2]


@pytest.mark.parametrize("task", ["text-classification", "text-generation", "feature-extraction"])
def test_an_empty_text_without_tokens(folder, task):
    with pytest.raises(ValueError, match="there is nothing to read in the text ''"):
        nb.pipeline(task, model=folder(task, "gpt"))("")
    assert nb.pipeline("token-classification", folder("token-classification", "gpt"))("") == []


# ---- the tasks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["bert", "roberta", "albert"])
def test_fill_mask(folder, family):
    pipe = nb.pipeline("fill-mask", model=folder("fill-mask", family))
    tokenizer = pipe.tokenizer
    mask = tokenizer.tokens[tokenizer.mask_token_id]
    text = f"the {mask} cat"
    ids = tokenizer(text, special_tokens_in_text=True).input_ids
    place = ids.index(tokenizer.mask_token_id)
    probs = plain_softmax(run(pipe, text).logits.data[0, place])
    best = np.argsort(-probs)[:3].tolist()
    found = pipe(text, top_k=3)
    assert [one["token"] for one in found] == best
    np.testing.assert_allclose([one["score"] for one in found], probs[best], rtol=1e-4)
    assert [one["token_str"] for one in found] == [tokenizer.decode([i], skip_special_tokens=False) for i in best]
    assert [one["sequence"] for one in found] == [tokenizer.decode([*ids[:place], i, *ids[place + 1:]]) for i in best]
    assert len(pipe(text)) == 5 and len(pipe(text, top_k=10**6)) == len(tokenizer)
    several = pipe(f"the {mask} saw a {mask}", top_k=2)
    assert [len(one) for one in several] == [2, 2] and all(mask in one["sequence"] for row in several for one in row)
    few = pipe(text, targets=[tokenizer.tokens[best[2]], tokenizer.tokens[best[0]]])
    assert [(one["token"], one["score"]) for one in few] == [(best[0], found[0]["score"]), (best[2], found[2]["score"])]
    for given, options, message in [("the cat", {}, f"no {re.escape(mask)} to fill in the text 'the cat'"),
                                    (text, {"targets": "the cat"}, "'the cat' is [2-9]: "),
                                    (text, {"targets": []}, "at least one word")]:
        with pytest.raises(ValueError, match=message):
            pipe(given, **options)


@pytest.mark.parametrize("family", every_family.FAMILIES)
def test_text_classification(folder, family):
    pipe = nb.pipeline("text-classification", model=folder("text-classification", family))
    probs = plain_softmax(run(pipe, "a dog").logits.data[0])
    names = [f"LABEL_{i}" for i in np.argsort(-probs)]
    every = pipe("a dog", top_k=None)
    assert [one["label"] for one in every] == names
    np.testing.assert_allclose([one["score"] for one in every], np.sort(probs)[::-1], rtol=1e-5)
    assert pipe("a dog") == every[:1] == pipe("a dog", top_k=1) and pipe(["a dog"]) == every[:1]
    assert pipe(["a dog"], top_k=2) == [every[:2]]
    pair = plain_softmax(run(pipe, "a dog", "a cat").logits.data[0])
    assert pipe({"text": "a dog", "text_pair": "a cat"}) == {"label": f"LABEL_{pair.argmax()}",
                                                             "score": pytest.approx(pair.max(), rel=1e-5)}


@pytest.mark.parametrize("changes, applied", [
    ({"problem_type": "regression", "num_labels": 1}, lambda x: x),
    ({"num_labels": 1}, lambda x: 1 / (1 + np.exp(-x))),
    ({"problem_type": "multi_label_classification", "num_labels": 3}, lambda x: 1 / (1 + np.exp(-x)))])
def test_scores_of_other_problems(tmp_path, changes, applied):
    every_family.write_with_head(tmp_path, "bert", "ForSequenceClassification", **changes)
    pipe = nb.pipeline("text-classification", model=tmp_path)
    logits = run(pipe, "a dog").logits.data[0].astype(float)
    score = pytest.approx(applied(logits).max(), rel=1e-5)
    assert pipe("a dog") == [{"label": f"LABEL_{logits.argmax()}", "score": score}]
    raw = pipe("a dog", function_to_apply="none", top_k=None)
    np.testing.assert_allclose([one["score"] for one in raw], np.sort(logits)[::-1], rtol=1e-5)


@pytest.mark.parametrize("family", every_family.FAMILIES)
def test_zero_shot_classification(folder, family):
    pipe = nb.pipeline("zero-shot-classification", model=folder("zero-shot-classification", family))
    labels, template = ["cat", "dog", "a film"], "it is {} ."
    logits = np.array([run(pipe, "the old cat", f"it is {label} .").logits.data[0] for label in labels], float)
    shares = plain_softmax(logits[:, 2])
    found = pipe("the old cat", candidate_labels="cat, dog , a film", hypothesis_template=template)
    assert found["sequence"] == "the old cat" and found["labels"] == [labels[i] for i in np.argsort(-shares)]
    np.testing.assert_allclose(found["scores"], np.sort(shares)[::-1], rtol=1e-5)
    each = [plain_softmax(row[[0, 2]])[1] for row in logits]
    found = pipe("the old cat", candidate_labels=labels, hypothesis_template=template, multi_label=True)
    np.testing.assert_allclose(found["scores"], np.sort(each)[::-1], rtol=1e-5)
    for options, message in [({}, "needs candidate_labels"), ({"candidate_labels": " ,"}, "needs candidate_labels"),
                             ({"candidate_labels": ["x"], "hypothesis_template": "it is"}, "where the label goes")]:
        with pytest.raises(ValueError, match=message):
            pipe("a cat", **options)


@pytest.mark.parametrize("family", every_family.FAMILIES)
def test_feature_extraction_and_similarity(folder, family):
    pipe = nb.pipeline("feature-extraction", model=folder("feature-extraction", family))
    x = run(pipe, "a dog").last_hidden_state.data
    np.testing.assert_allclose(pipe("a dog"), x, rtol=1e-5, atol=1e-6)
    assert isinstance(pipe("a dog")[0][0][0], float) and pipe("a dog", return_tensors=True).dtype == np.float32
    np.testing.assert_allclose(pipe(TEXTS, pooling="mean")[2], x[0].mean(0), rtol=1e-4, atol=1e-5)
    if family != "gpt":
        np.testing.assert_allclose(pipe(TEXTS, pooling="cls")[2], x[0, 0], rtol=1e-4, atol=1e-5)
    similar = nb.pipeline("sentence-similarity", pipe.model, pipe.tokenizer)
    vectors = embed(pipe.model, pipe.tokenizer, ["the cat", *TEXTS])
    wanted = vectors[1:] @ vectors[0]
    np.testing.assert_allclose(similar(sentences=TEXTS, source_sentence="the cat"), wanted, rtol=1e-4)
    np.testing.assert_allclose(similar({"source_sentence": "the cat", "sentences": TEXTS}), wanted, rtol=1e-4)
    with pytest.raises(ValueError, match="needs a source_sentence"):
        similar("a cat")
    with pytest.raises(ValueError, match="an input must be {'source_sentence'"):
        similar({"sentences": TEXTS})


def test_text_generation(folder):
    pipe = nb.pipeline("text-generation", model=folder("text-generation", "gpt"), max_new_tokens=4)
    tokenizer, model = pipe.tokenizer, pipe.model
    ids, new = tokenizer("the cat").input_ids, []
    for _ in range(4):                                  # the plain loop: all tokens again for each new one
        new.append(int(run(pipe, ids=[*ids, *new]).logits.data[0, -1].argmax()))
        if new[-1] == model.config.eos_token_id:
            del new[-1]
            break
    assert pipe("the cat") == [{"generated_text": "the cat" + tokenizer.decode(new)}]
    assert pipe("the cat", return_full_text=False, do_sample=False) == [{"generated_text": tokenizer.decode(new)}]
    drawn = [pipe(["the cat", "a dog"], rng=np.random.default_rng(0), num_return_sequences=3, top_k=20, temperature=2.0)
             for _ in range(2)]
    assert drawn[0] == drawn[1] and [len(some) for some in drawn[0]] == [3, 3]
    assert len({one["generated_text"] for one in drawn[0][0]}) == 3
    assert all(one["generated_text"].startswith("the cat") for one in drawn[0][0])
    long = "the old cat saw a dog"
    room = model.max_tokens - len(tokenizer(long))
    assert 0 < room < 256
    whole, = nb.pipeline("text-generation", model, tokenizer)(long, return_full_text=False)
    assert tokenizer(whole["generated_text"])           # as many as there is room for, whatever they spell
    for text, options, message in [(long, {"max_new_tokens": room + 1}, f"there is no room for {room + 1} more"),
                                   ("x" * 100, {}, "and the model takes 40"),
                                   ("a", {"num_return_sequences": 2}, "must be 1, got 2"),
                                   ("a", {"temperature": 0.5}, "are for drawing tokens"),
                                   ("a", {"do_sample": True}, "if and only if there is a generator rng"),
                                   ("a", {"max_new_tokens": 0}, "max_new_tokens must be at least 1, got 0")]:
        with pytest.raises(ValueError, match=message):
            pipe(text, **options)


def test_generation_ends_at_the_end_of_text(folder):
    """What was generated behind the end, in a batch with longer texts, is not shown."""
    pipe = nb.pipeline("text-generation", model=folder("text-generation", "gpt"), max_new_tokens=6, workers=1)
    first = int(run(pipe, "the cat").logits.data[0, -1].argmax())
    pipe.model.config = pipe.model.config.replace(eos_token_id=first)
    found = pipe(["the cat", "a dog", "films"], return_full_text=False)
    assert found[0] == [{"generated_text": ""}] and any(one["generated_text"] for one, in found[1:])


# ---- answers ---------------------------------------------------------------------------------------------------------

CONTEXT = "anna went to the kitchen . the dog is in the garden , and bob saw a cat ."


def plain_answers(pipe, question, context, *, max_seq_len, doc_stride, max_answer_len=15):
    """Every span of every window: {text in small letters: [score, start, end]}, and P(no answer)."""
    tokenizer = pipe.tokenizer
    (cls, behind), (ahead, last) = [[[tokenizer.id_of_role(role) for role in roles] for roles in side]
                                    for side in tokenizer.frame]
    asked, text = (tokenizer(one, add_special_tokens=False) for one in (question, context))
    room = max_seq_len - len(asked) - len(cls + behind + ahead + last)
    found, none, start = {}, 1.0, 0
    while True:
        stop = min(start + room, len(text))
        before = [*cls, *asked.input_ids, *behind, *ahead]
        ids = [*before, *text.input_ids[start:stop], *last]
        batch = tokenizer.pad([ids])
        if "token_type_ids" in batch:
            batch["token_type_ids"][0, len(before):] = 1
        output = pipe.model(**pipe.model.accepted(batch))
        allowed = [0] * bool(cls) + list(range(len(before), len(before) + stop - start))
        starts, ends = (dict(zip(allowed, plain_softmax(logits.data[0, allowed]), strict=True))
                        for logits in (output.start_logits, output.end_logits))
        none = min(none, starts[0] * ends[0] if cls else 0.0)
        for i, j in itertools.product(range(start, stop), repeat=2):
            if i <= j < i + max_answer_len:
                words = [k for k in range(start, stop) if text.word_ids[i] <= text.word_ids[k] <= text.word_ids[j]]
                a, b = text.offsets[words[0]][0], text.offsets[words[-1]][1]
                score = starts[len(before) + i - start] * ends[len(before) + j - start]
                found.setdefault(context[a:b].lower(), [0.0, a, b])[0] += score
        if stop == len(text):
            return found, none
        start += room - doc_stride


@pytest.mark.parametrize("family", every_family.FAMILIES)
@pytest.mark.parametrize("cutting", [{"max_seq_len": 70, "doc_stride": 10}, {"max_seq_len": 26, "doc_stride": 5}])
def test_question_answering(tmp_path, family, cutting):
    every_family.write_with_head(tmp_path, family, "ForQuestionAnswering", longest=70)
    pipe = nb.pipeline("question-answering", model=tmp_path)
    question = "where is the dog ?"
    wanted, none = plain_answers(pipe, question, CONTEXT, **cutting)
    found = pipe(question=question, context=CONTEXT, top_k=10**4, **cutting)
    assert {one["answer"].lower() for one in found} == wanted.keys() and len(found) == len(wanted)
    for one in found:
        assert CONTEXT[one["start"]:one["end"]] == one["answer"]
        assert one["score"] == pytest.approx(wanted[one["answer"].lower()][0], rel=1e-4, abs=1e-7)
    assert [one["score"] for one in found] == sorted((one["score"] for one in found), reverse=True)
    some = pipe(question=question, context=CONTEXT, top_k=10**4, handle_impossible_answer=True, **cutting)
    assert {"score": pytest.approx(none, rel=1e-4, abs=1e-9), "start": 0, "end": 0, "answer": ""} in some
    best = pipe([{"question": question, "context": CONTEXT}], **cutting)
    assert best == [pipe(question=question, context=CONTEXT, **cutting)]
    assert best[0]["score"] <= found[0]["score"] + 1e-6
    several = pipe(question=[question, "who ?"], context=[CONTEXT, "bob saw anna ."], **cutting)
    assert [one["answer"] in text for one, text in zip(several, (CONTEXT, "bob saw anna ."), strict=True)] == [True] * 2


def test_questions_that_cannot_be(folder):
    pipe = nb.pipeline("question-answering", model=folder("question-answering", "bert"))
    for question, options, message in [
            ("where ?", {}, "needs a context, a text that is not empty, got None"),
            (" ", {"context": "x"}, "needs a question"), ({"question": "where ?"}, {}, "an input must be"),
            ("where ?", {"context": "a", "max_seq_len": 41}, "max_seq_len = 41, but the model takes only 40"),
            ("where ? " * 20, {"context": "a"}, "leaves no room for the context"),
            ("where ?", {"context": ["a", "b"]}, "2 contexts need as many questions"),
            ("where ?", {"context": "a", "top_k": 0}, "top_k must be at least 1")]:
        with pytest.raises(ValueError, match=message):
            pipe(question, **options)


# ---- tags ------------------------------------------------------------------------------------------------------------


class Planted:
    """A model whose scores are a table: {id: the number of its tag}, or {id: scores (C,)}."""

    def __init__(self, model, table, longest):
        self.config, self.table, self.max_tokens = model.config, table, longest
        self.seen = []

    def accepted(self, batch):
        return batch

    def __call__(self, input_ids, attention_mask, token_type_ids=None):
        self.seen += [int(n) for n in attention_mask.sum(1)]
        scores = np.array([[self.table.get(int(i), [9, 0, 0, 0, 0]) for i in row] for row in input_ids], float)
        return type("Output", (), {"logits": type("Logits", (), {"data": scores})})


@pytest.fixture
def planted(folder):
    """A pipeline that knows: anna, bob begin a person, went goes on with one, garden is a place, ##arden is not."""
    pipe = nb.pipeline("token-classification", model=folder("token-classification", "bert"))
    tokenizer, tag = pipe.tokenizer, np.eye(5) * 9
    words = dict(zip(["anna", "went", "garden"], tokenizer.encode_words(["anna", "went", "garden"]), strict=True))
    table = {ids[0]: tag[i].tolist() for ids, i in zip(words.values(), (1, 2, 3), strict=True)}
    pipe.model = Planted(pipe.model, table, 24)
    return pipe, words


def test_entities(planted):
    pipe, words = planted
    text = "Anna went to the dog"
    tokens = pipe(text)
    first = pipe.tokenizer(text).tokens
    assert [one["entity"] for one in tokens] == ["B-A", "I-A"]
    assert [first[one["index"]] for one in tokens] == [one["word"] for one in tokens]
    for one in tokens:
        assert text[one["start"]:one["end"]].lower() == one["word"].replace("##", "")
    share = 1 / (1 + 4 * np.exp(-9))
    assert tokens[0]["score"] == pytest.approx(share)
    if len(words["anna"]) == len(words["went"]) == 1:
        group, = pipe(text, aggregation_strategy="simple")
        assert group == {"entity_group": "A", "score": pytest.approx(share), "word": "anna went", "start": 0, "end": 9}
        assert pipe("anna anna", aggregation_strategy="simple")[1]["start"] == 5        # B- begins another one
    assert pipe("the dog") == [] and {one["entity"] for one in pipe("the dog", ignore_labels=[])} == {"O"}
    assert pipe.picture(text, pipe(text, aggregation_strategy="first")).startswith("  [Anna")


def test_a_word_has_one_tag(planted):
    """Of a word of several pieces: the first's, the mean's, or that of the surest."""
    pipe, _ = planted
    word = next(word for word in ("gardens", "dogs", "catted") if len(pipe.tokenizer.encode_words([word])[0]) > 1)
    first, *others = pipe.tokenizer.encode_words([word])[0]
    pipe.model.table = {first: [0, 2, 0, 0, 0]} | {i: [0, 0, 0, 4, 0] for i in others}
    for strategy, wanted in (("first", "A"), ("max", "B"), ("average", "B")):
        group, = pipe(f"the {word}", aggregation_strategy=strategy, ignore_labels=["O"])
        assert (group["entity_group"], group["word"]) == (wanted, word) and group["start"] == 4
        assert group["end"] == 4 + len(word)
    mean = np.mean([plain_softmax([0, 2, 0, 0, 0])] + [plain_softmax([0, 0, 0, 4, 0])] * len(others), axis=0)
    assert group["score"] == pytest.approx(mean.max())
    with pytest.raises(ValueError, match="aggregation_strategy must be one of none, simple, .*got 'mean'"):
        pipe(word, aggregation_strategy="mean")


@pytest.mark.parametrize("stride", [None, 0, 3])
def test_a_long_text_is_read_in_windows(planted, stride):
    """All of it is tagged, at its own place, as if the text had fitted."""
    pipe, words = planted
    text = "anna went to the dog " * 12
    pipe.model.max_tokens = 10**4
    wanted = pipe(text), pipe(text, aggregation_strategy="simple")
    pipe.model.max_tokens, pipe.model.seen = 16, []
    assert (pipe(text, stride=stride), pipe(text, aggregation_strategy="simple", stride=stride)) == wanted
    assert len(pipe.model.seen) > 4 and max(pipe.model.seen) == 16
    assert len(wanted[0]) == 24
    with pytest.raises(ValueError, match="stride must be from 0 to 13, as the windows have 14 tokens, got 14"):
        pipe(text, stride=14)


@pytest.mark.parametrize("family", every_family.FAMILIES)
def test_tags_are_those_of_the_model(folder, family):
    pipe = nb.pipeline("ner", model=folder("token-classification", family), ignore_labels=[])
    text = "the old cat saw bob"
    encoding, logits = pipe.tokenizer(text), run(pipe, text).logits.data[0]
    names = pipe.model.config.id2label
    wanted = [(i, names[int(scores.argmax())], pytest.approx(plain_softmax(scores).max(), rel=1e-5),
               *encoding.offsets[i]) for i, scores in enumerate(logits) if encoding.sequence_ids[i] == 0]
    assert [(one["index"], one["entity"], one["score"], one["start"], one["end"]) for one in pipe(text)] == wanted
    groups = pipe(text, aggregation_strategy="average")
    assert groups[0]["start"] == 0 and groups[-1]["end"] == len(text)
    for group in groups:                                # no word is torn
        assert group["start"] == 0 or " " in text[group["start"] - 1:group["start"] + 1]


# ---- options of a type or size that cannot be ------------------------------------------------------------------------

WRONG = {int: ["5", 2.0, True, [3]], float: ["x", True], bool: ["yes", 1], str: [3, ["a"]],
         list: [3, [3]], np.random.Generator: [0, "x"], typing.Literal: ["5", 2.0, True, [3]]}


def wrong_values(hint):
    """Values that do not belong to a hint: those that are wrong for each of its parts."""
    parts = typing.get_args(hint) if typing.get_origin(hint) in (types.UnionType, typing.Union) else (hint,)
    parts = [part for part in parts if part is not type(None)]
    kinds = [typing.get_origin(part) or part for part in parts]
    listed = [WRONG.get(kind, ["x", object()]) for kind in kinds]
    return [value for value in listed[0] if all(value in some for some in listed[1:])]


@pytest.mark.parametrize("task", TASKS)
def test_options_of_another_type_are_refused_by_name(folder, task):
    """Every option of every task: when the pipeline is made, before the folder is looked at, and in a call."""
    keywords = base._keywords(TASKS[task].results) | base._keywords(base.Pipeline.__init__)
    assert {"batch_size", "workers"} < keywords.keys()
    pipe = nb.pipeline(task, folder(task, "gpt" if task == "text-generation" else "bert"), workers=1)
    for name, (_, hint) in keywords.items():
        values = wrong_values(hint)
        assert values, name
        for value in values:
            with pytest.raises(TypeError, match=rf"^{name} must be .*, got "):
                nb.pipeline(task, "no such folder", **{name: value})
            with pytest.raises(TypeError, match=rf"^{name} must be .*, got |has no option"):
                pipe([], **{name: value})
        for bad in (-1, np.int64(-1)) if base._fits(1, hint) else ():
            with pytest.raises(ValueError, match=rf"^{name} must be .*, got -1"):
                nb.pipeline(task, "no such folder", **{name: bad})
        for bad in (np.nan, np.inf, 0.0) if base._fits(0.5, hint) else ():
            with pytest.raises(ValueError, match=rf"^{name} must be finite and above 0, got "):
                nb.pipeline(task, "no such folder", **{name: bad})


@pytest.mark.parametrize("task", TASKS)
def test_what_is_no_text_is_refused_by_task(folder, task):
    needed = {"candidate_labels": ["a"]} if task.startswith("zero") else {"source_sentence": "a"} if task.startswith(
        "sentence") else {"context": "a"} if task.startswith("question") else {}
    pipe = nb.pipeline(task, folder(task, "gpt" if task == "text-generation" else "bert"), workers=1)
    for given in (3, None, b"text", [None], ["a", 3.5], [["a"]]):
        with pytest.raises(TypeError, match=f"{task} takes texts"):
            pipe(given, **needed)


def test_windows_that_share_nothing(folder):
    """A doc_stride of 0 is one that transformers takes, too; the command and Python agree."""
    pipe = nb.pipeline("question-answering", folder("question-answering", "bert"), doc_stride=0, workers=1)
    assert pipe({"question": "who ?", "context": "the old cat " * 30})["answer"]
    with pytest.raises(ValueError, match="doc_stride must be at least 0, got -1"):
        pipe({"question": "who ?", "context": "the cat"}, doc_stride=-1)
