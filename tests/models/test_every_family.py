"""A helper works for all four families, or refuses by name: all are walked through all, and through the commands."""
import json
import re
import warnings

import every_family
import numpy as np
import pytest

import numbert as nb
from numbert.hub import safetensors
from numbert.pretraining.evaluation import continuations, fill_mask
from numbert.tasks import tagging
from numbert.tasks.classification import classify, collate, encode, predict
from numbert.tasks.embedding import embed
from numbert.tasks.glue import __main__ as glue
from numbert.tasks.squad import __main__ as squad
from numbert.tasks.squad.data import Answer, Example
from numbert.tasks.squad.reader import Reader, read_passages
from numbert.tasks.squad.windows import batch_of, make_passages, windows_of
from numbert.trace.__main__ import main as trace
from numbert.training.finetuning import Shuffled, finetune
from numbert.training.loop import train
from numbert.training.optimizer import AdamW
from numbert.training.parallel import Workers

LONG = "the old cat saw a dog in the garden " * 9
HEADS = ("SequenceClassification", "TokenClassification", "QuestionAnswering")
FAMILIES = list(every_family.FAMILIES)


class Made:
    """A folder with a model and its tokenizer."""

    def __init__(self, family, folder):
        self.family, self.folder = family, folder
        self.model, self.tokenizer = every_family.write(folder, family)

    def head(self, name, **options):
        return getattr(nb, f"AutoModel{name}").from_pretrained(self.folder, **options)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {family: Made(family, tmp_path_factory.mktemp(family)) for family in FAMILIES}


@pytest.fixture(params=FAMILIES)
def made(request, folders):
    return folders[request.param]


@pytest.fixture(scope="module")
def workers():
    with Workers(1) as workers:
        yield workers


# ---- the longest text ------------------------------------------------------------------------------------------------


def test_the_longest_text_is_the_models_own(made):
    """As many tokens as it says are read, one more is refused, and who follows the advice is heard."""
    body, T = made.head(""), made.model.max_tokens
    assert T == every_family.LONGEST == body.config.max_tokens
    ids = np.full((1, T + 1), made.tokenizer.vocab["a"])
    assert body(ids[:, :T]).last_hidden_state.shape == (1, T, 16)
    with pytest.raises(ValueError, match=r"\(B, T\) = \(1, 25\)") as error:
        body(ids)
    advice = int(re.search(r"max_length=(\d+)", str(error.value))[1])
    encoding = made.tokenizer(LONG, max_length=advice)
    assert len(encoding) == advice and body(**body.accepted(made.tokenizer.pad([encoding])))


def test_helpers_cut_a_text_that_is_too_long(made, workers):
    tokenizer, words = made.tokenizer, LONG.split()
    assert sum(classify(made.head("ForSequenceClassification"), tokenizer, LONG).values()) == pytest.approx(1)
    assert len(classify(made.head("ForSequenceClassification"), tokenizer, LONG, LONG)) == 2
    tags = tagging.tag(made.head("ForTokenClassification"), tokenizer, [words, ["a"], []], workers)
    assert [len(row) for row in tags] == [len(words), 1, 0]
    assert embed(made.head(""), tokenizer, [LONG, "a cat"]).shape == (2, 16)
    reader = Reader(made.head("ForQuestionAnswering"), tokenizer, max_question_length=8)
    reading = reader("where is the dog now ?", LONG)
    assert reader.cutting["max_length"] == 24 and len(reading.answers) == 20
    assert all(span.text and LONG[span.start:span.end] == span.text for span in reading.answers)
    with pytest.raises(ValueError, match="max_length = 25, but the model has only 24 positions"):
        Reader(made.head("ForQuestionAnswering"), tokenizer, max_length=25)


# ---- hidden words, next words ----------------------------------------------------------------------------------------


def test_hidden_words(made):
    if made.family == "gpt":
        with pytest.raises(ValueError, match="by a model for masked words, not by a GPT2LMHeadModel"):
            fill_mask(made.model, made.tokenizer, "the [MASK]")
        return
    mask = made.tokenizer.special_tokens["mask"]
    for model in (made.model, made.head("ForMaskedLM")):
        found = fill_mask(model, made.tokenizer, f"the {mask} saw a {mask}", top=3)
        assert [len(row) for row in found] == [3, 3]
        with pytest.raises(ValueError, match=rf"the model takes 24: 1 of 2 {re.escape(mask)} would be cut off"):
            fill_mask(model, made.tokenizer, f"the {mask} {LONG} {mask}")


def test_more_words_than_the_tokenizer_has(made, tmp_path):
    """A vocabulary is often padded to a multiple of 64: what no token stands for is never the answer."""
    model, size = made.model, len(made.tokenizer)
    arrays = {name: np.concatenate([x, np.zeros((7, *x.shape[1:]), x.dtype)]) if len(x) == size else x
              for name, x in model.state_dict().items()}
    for x in arrays.values():
        if len(x) == size + 7 and x.ndim == 1:
            x[-3] = 9.0                                             # the bias of the decoder
    safetensors.write(tmp_path / "model.safetensors", arrays)
    settings = model.config.replace(vocab_size=size + 7).to_dict()
    (tmp_path / "config.json").write_text(json.dumps(settings))
    padded = type(model).from_pretrained(tmp_path, strict=True)
    if made.family == "gpt":
        padded.body.embeddings.word.weight.data[-7:] = 3 * padded.body.embeddings.word.weight.data[5]
        found = continuations(padded, made.tokenizer, every_family.TEXTS, np.random.default_rng(0), count=3, tokens=20)
        assert len(found) == 3 and all(isinstance(written, str) for _, written, _ in found)
        return
    mask = made.tokenizer.special_tokens["mask"]
    found, plain = (fill_mask(one, made.tokenizer, f"the {mask} saw", top=4)[0] for one in (padded, model))
    assert [token for token, _ in found] == [token for token, _ in plain]
    assert sum(share for _, share in found) < sum(share for _, share in plain)


def test_writing_ends_where_the_configuration_says(folders):
    made = folders["gpt"]
    ids = made.tokenizer.encode_batch(["the old cat"])
    n = len(ids[0])
    free = made.model.generate(ids, 8, eos_token_id=[])[0, n:].tolist()
    last = free[-1]
    for ends in (last, [last], [10**6, last], (last,)):
        written = made.model.generate(ids, 8, eos_token_id=ends)[0, n:].tolist()
        assert written == free[:free.index(last) + 1]
    for said in (last, [10**6, last]):
        model = nb.GPT2LMHeadModel(made.model.config.replace(eos_token_id=said), rng=np.random.default_rng(0))
        model.load_state_dict(made.model.state_dict(), strict=True)
        assert model.generate(ids, 8)[0, n:].tolist() == free[:free.index(last) + 1]
        assert model.generate(ids, 8, eos_token_id=[])[0, n:].tolist() == free


# ---- segments, masks, positions --------------------------------------------------------------------------------------


def test_segments_go_to_those_who_have_them(made):
    """Whatever the tokenizer, a pair of texts is read; and who says more himself hears of it."""
    words = nb.WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "dog"])
    batch = words.pad([words("cat", "dog")])
    has = made.family in ("bert", "albert")
    assert ("token_type_ids" in made.tokenizer.pad([[1]])) == has
    for name in HEADS:
        model = made.head("For" + name)
        accepted = model.accepted(batch)
        assert ("token_type_ids" in accepted) == has and model(**accepted)
        if not has:
            with pytest.raises(ValueError, match=r"outside 0..0 \(type_vocab_size = 1\)"):
                model(**batch)
    assert len(classify(made.head("ForSequenceClassification"), words, "cat", "dog")) == 2
    assert Reader(made.head("ForQuestionAnswering"), words)("cat", "cat dog").answers


def test_segments_do_not_stop_the_learning(made, workers):
    words = nb.WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "dog"])
    examples = encode([("cat", "dog", 0), ("dog", "dog", 1)], words, 12)
    result = finetune(made.head("ForSequenceClassification"), Shuffled(examples, 2, collate(words)), epochs=1, lr=1e-3,
                      evaluate=lambda model: {"none": 0.0}, workers=workers, seed=0, say=None)
    assert np.isfinite(result.history[0]["loss"])


def test_a_batch_without_a_mask_is_learnt_from(made, workers):
    """Bit for bit as with a mask of ones; and so is what its steps say."""
    ids = np.array(made.tokenizer.encode_batch(["the cat saw a"] * 2, add_special_tokens=False))
    labels = {"SequenceClassification": {"labels": np.array([0, 1])}, "TokenClassification": {"labels": ids % 2},
              "QuestionAnswering": {"start_positions": np.array([0, 1]), "end_positions": np.array([1, 1])}}
    for name in HEADS:
        found = []
        for mask in ({}, {"attention_mask": np.ones_like(ids)}):
            model = made.head("For" + name)
            batch = {"input_ids": ids, **mask, **labels[name]}
            step, = train(model, iter([batch]), optimizer=AdamW(model.parameters()), lr=lambda s: 1e-2, steps=1, seed=0,
                          workers=workers)
            found.append((step.tokens, step.sums["loss"], *(p.data.tobytes() for p in model.parameters())))
        assert found[0] == found[1] and found[0][0] == ids.size


def test_padding_without_a_mask_is_said_once(made):
    model, pad = made.head("", rng=np.random.default_rng(0)), made.model.config.pad_token_id
    ids = np.array([[5, 6, 7 if pad is None else pad]])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            model(ids)
            model(ids, attention_mask=np.array([[1, 1, 0]]))
            model(np.array([[5, 6, 7]]))
    said = [str(one.message) for one in caught]
    assert len(said) == (pad is not None) and all(f"pad_token_id = {pad}, and there is no attention_mask" in text
                                                  for text in said)


def test_a_masked_first_token_costs_only_what_is_pooled(made):
    model = made.head("")
    output = model([[5, 6, 7, 8]], attention_mask=[[0, 1, 1, 1]])
    assert output.last_hidden_state.shape == (1, 4, 16) and not output.last_hidden_state.data[0, 0].any()
    if made.family == "gpt":
        close = model([[6, 7, 8]]).last_hidden_state.data
        np.testing.assert_allclose(output.last_hidden_state.data[:, 1:], close, rtol=1e-5, atol=1e-6)
        return
    with pytest.raises(ValueError, match=r"the first token of every sequence is read, but attention_mask\[0, 0\] is 0"):
        _ = output.pooler_output
    assert model([[6, 7, 8]]).pooler_output.shape == (1, 16)
    with pytest.raises(AttributeError, match="the output has no logits, only pooler_output, last_hidden_state"):
        _ = model([[6, 7, 8]]).logits


@pytest.mark.parametrize("head", ["ForCausalLM", "ForSequenceClassification", "ForTokenClassification"])
def test_gpt_counts_from_its_text_wherever_the_padding_stands(folders, head):
    made = folders["gpt"]
    model = made.head(head, dtype=np.float64)
    texts = made.tokenizer.encode_batch(["the old cat", "good"])
    T = every_family.LONGEST + 5                                    # more columns than positions, but not more tokens
    for left in (True, False):
        ids, mask = np.zeros((2, 2, T), int)
        for b, text in enumerate(texts):
            place = slice(T - len(text), T) if left else slice(0, len(text))
            ids[b, place], mask[b, place] = text, 1
        found = model(ids, attention_mask=mask).logits.data
        for b, text in enumerate(texts):
            one = model(np.array([text])).logits.data[0]
            rows = found[b] if one.ndim == 1 else found[b][mask[b] == 1]
            np.testing.assert_allclose(rows, one, rtol=1e-9, atol=1e-12)


# ---- what stands around texts ----------------------------------------------------------------------------------------


def test_it_does_not_matter_on_which_side_a_tokenizer_pads(made, workers):
    """The files of some say "left"; what reads a first token, or columns, is no worse for it."""
    rows, words = [("a cat", None, 0), ("the old cat saw a dog", None, 1)], [["a"], ["the", "old", "cat"]]
    example = Example("x", "who ?", "anna went to the kitchen and bob to the garden .", (), False)
    found = []
    for side in ("right", "left"):
        made.tokenizer.padding_side = side
        examples = encode(rows, made.tokenizer, 20)
        [passage] = make_passages([example], made.tokenizer, max_length=16)
        batch = collate(made.tokenizer)(examples)
        found.append([predict(made.head("ForSequenceClassification"), made.tokenizer, examples, workers).tolist(),
                      tagging.tag(made.head("ForTokenClassification"), made.tokenizer, words, workers),
                      embed(made.head(""), made.tokenizer, ["a cat", "the old cat saw a dog"]).tolist(),
                      read_passages(made.head("ForQuestionAnswering"), made.tokenizer, [passage]),
                      tagging.collate(made.tokenizer)(tagging.windows_of([(w, [1] * len(w)) for w in words],
                                                      made.tokenizer, 20)[0][1])["labels"].tolist(),
                      batch["input_ids"].tolist()])
    made.tokenizer.padding_side = "right"
    assert found[0] == found[1] and len(passage.windows) > 1


def test_every_parameter_moves_when_nothing_is_frozen(made, workers):
    """Fine-tuning trains the body and not its head alone. Only the keys' bias stays: its gradient is zero, since
    softmax does not see a number that is added to all its inputs."""
    model = made.head("ForSequenceClassification", num_labels=2, rng=np.random.default_rng(0), dtype=np.float64)
    before = {name: p.data.copy() for name, p in model.named_parameters().items()}
    examples = encode([("the old cat", None, 0), ("good films are long", None, 1), ("anna went", None, 0)],
                      made.tokenizer, every_family.LONGEST)
    finetune(model, Shuffled(examples, 2, collate(made.tokenizer)), epochs=2, lr=1e-3, weight_decay=0.0,
             evaluate=lambda model: {"never": 0}, workers=workers, seed=0, say=None)
    far = {name: np.abs(p.data - before[name]).max() for name, p in model.named_parameters().items()}
    assert {name for name, distance in far.items() if distance < 1e-6} == {name for name in far if "key.bias" in name}
    assert any(".key." in name for name in far) and len(far) > 15


def test_a_vector_for_a_text(made):
    model, tokenizer = made.head(""), made.tokenizer
    if made.family != "gpt":
        assert embed(model, tokenizer, ["a cat", ""], pooling="cls").shape == (2, 16)
        return
    for texts, pooling, message in ((["a cat"], "cls", "in a GPT2Model has seen nothing of the text"),
                                    (["a", ""], "mean", r"texts\[1\] is empty")):
        with pytest.raises(ValueError, match=message):
            embed(model, tokenizer, texts, pooling=pooling)
    with pytest.raises(ValueError, match="the text of example 2 is empty"):
        encode([("a", None, 0), ("", None, 1)], tokenizer, 9)


def test_tags_have_names_or_numbers(made, workers):
    named = made.head("ForTokenClassification", id2label={0: "A", 1: "B"})
    plain = made.head("ForTokenClassification")
    words = [["the", "cat"], ["good"]]
    numbers = tagging.tag(plain, made.tokenizer, words, workers)
    assert tagging.tag(named, made.tokenizer, words, workers) == [["AB"[i] for i in row] for row in numbers]
    assert set(classify(made.head("ForSequenceClassification"), made.tokenizer, "good")) == {0, 1}


def test_words_are_encoded_with_their_space(made):
    """A word alone is the same tokens as in its sentence, and the first of each is where its tag is."""
    words = ["the", "garden", "dog", "?"]
    [[window]], cut = tagging.windows_of([(words, [0, 1, 2, 3])], made.tokenizer, 24)
    whole = made.tokenizer(" " + " ".join(words))
    assert (window.ids, cut) == (whole.input_ids, 0)
    begins = [i for i, word in enumerate(whole.word_ids)
              if word is not None and word != (whole.word_ids[i - 1] if i else None)]
    assert window.firsts == begins


def test_windows_are_framed_as_pairs_are(made):
    """Question and context stand as the tokenizer sets a pair, and labels and offsets point at the answer."""
    context = "good films are long .  anna went to the kitchen"
    example = Example("x", "where is the dog ?", context, (Answer("the kitchen", context.index("the")),), False)
    [passage] = make_passages([example], made.tokenizer, max_length=200)
    batch = batch_of(windows_of([passage]), made.tokenizer, labels=True)
    whole = made.tokenizer.pad([made.tokenizer(example.question, context)])
    for name, array in whole.items():
        assert np.array_equal(batch[name], array)
    first, last = batch["start_positions"][0], batch["end_positions"][0]
    assert "kitchen" in made.tokenizer.decode(batch["input_ids"][0, first:last + 1])
    start = context.index("the")
    assert passage.text(*passage.answer) == ("the kitchen", start, start + 11) and not passage.misaligned
    [none] = make_passages([Example("y", "who ?", context, (), True)], made.tokenizer, max_length=200)
    assert none.label(none.windows[0]) == (0, 0)


def test_alignment_is_that_of_transformers(made):
    """Words one by one, and a question with the windows of its context, in their own tokenizers."""
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(made.folder)
    words = ["The", "gardens", "don't", "dog", "?", "naïve"]
    [[window]], _ = tagging.windows_of([(words, list(range(6)))], made.tokenizer, 100)
    found = theirs(words, is_split_into_words=True)
    assert window.ids == found["input_ids"]
    assert window.firsts == [found.word_ids().index(number) for number in range(6)]
    [passage] = make_passages([Example("x", "where is it ?", LONG, (), True)], made.tokenizer, max_length=40)
    room = 40 - len(passage.before) - len(passage.after)
    [passage] = make_passages([Example("x", "where is it ?", LONG, (), True)], made.tokenizer, max_length=40,
                              step=room - 5)
    theirs.pad_token = theirs.pad_token or theirs.eos_token
    found = theirs("where is it ?", LONG, truncation="only_second", max_length=40, stride=5,
                   return_overflowing_tokens=True)
    batch = batch_of(windows_of([passage]), made.tokenizer)
    assert [row[mask > 0].tolist() for row, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)] == \
        found["input_ids"]


# ---- the commands ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for name in ("train", "dev"):
        lines = [f"{i}\tthe dog is in the {place}\tgood films {i}\t{('entailment', 'not_entailment')[i % 2]}"
                 for i, place in enumerate(["garden", "kitchen"] * 4)]
        (folder / f"{name}.tsv").write_text("index\tsentence1\tsentence2\tlabel\n" + "\n".join(lines) + "\n")
        (folder / name).write_text("the D\ndog N\nis V\n\ngood A\nfilms N\n\n" * 3)
        context = "anna went to the kitchen and bob to the garden ."
        questions = [{"id": f"{i}", "question": f"where is {who} ?", "is_impossible": not answers, "answers": answers}
                     for i, (who, answers) in enumerate([
                         ("anna", [{"text": "the kitchen", "answer_start": context.index("the")}]), ("the dog", [])])]
        (folder / f"{name}.json").write_text(json.dumps({"version": "v2.0", "data": [
            {"title": "T", "paragraphs": [{"context": context, "qas": questions}]}]}))
    return folder


OPTIONS = ["--epochs", "1", "--batch-size", "4", "--workers", "1"]


def test_every_command_takes_the_folder(made, data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.reconfigure", lambda **_: None, raising=False)
    folder, kind = str(made.folder), {"gpt": "GPT2"}.get(made.family, made.family.capitalize())
    glue.main(["--task", "rte", "--data", str(data), "--model", folder, "--out", str(tmp_path / "glue"), *OPTIONS])
    tagging.main(["--train", str(data / "train"), "--dev", str(data / "dev"), "--model", folder, "--out",
                  str(tmp_path / "tags"), *OPTIONS])
    files = ["--dev", str(data / "dev.json"), "--max-length", "20", "--max-question-length", "6"]
    answers, again = str(tmp_path / "answers"), str(tmp_path / "again")
    squad.main(["--train", str(data / "train.json"), *files, "--model", folder, "--out", answers, *OPTIONS])
    squad.main([*files, "--model", answers, "--out", again, "--workers", "1"])
    for name, head in (("glue", "SequenceClassification"), ("tags", "TokenClassification"),
                       ("answers", "QuestionAnswering")):
        loaded = getattr(nb, "AutoModelFor" + head).from_pretrained(tmp_path / name, strict=True)
        assert type(loaded).__name__ == f"{kind}For{head}"
        assert type(nb.AutoTokenizer.from_pretrained(tmp_path / name)) is type(made.tokenizer)
    read = [json.loads((tmp_path / name / "predictions.json").read_text()) for name in ("answers", "again")]
    assert read[0] == read[1] and read[0].keys() == {"0", "1"}
    capsys.readouterr()
    trace(["the dog", "good films", "--model", folder, "--backward"])
    said = capsys.readouterr().out
    losses = {"bert": "mlm .*, nsp", "roberta": "mlm", "albert": "mlm .*, sop", "gpt": "lm"}[made.family]
    assert re.search(rf"^{losses} [\d.]+ nats$", said, re.MULTILINE)
    for arguments in (["the dog", "--model", folder], ["the dog", "good films", "--model", folder, "--backward"]):
        trace(arguments)
        said = capsys.readouterr().out
        counted = re.search(r"steps, ([\d,]+) operations", said)[1]
        assert f"for the forward pass: {counted} (linear" in said


@pytest.mark.parametrize("change, message", [
    ({"model_type": "t5"}, "model_type must be one of bert, roberta, albert, gpt2, got 't5'"),
    (None, "the folder has no weights"),
])
def test_a_folder_is_refused_before_any_data_is_read(made, tmp_path, change, message):
    """The data is not even there."""
    for path in made.folder.iterdir():
        if change or path.name != "model.safetensors":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    settings = json.loads((tmp_path / "config.json").read_text()) | (change or {})
    (tmp_path / "config.json").write_text(json.dumps(settings))
    folder, nowhere, out = str(tmp_path), str(tmp_path / "nowhere"), str(tmp_path / "out")
    said = []
    for main, arguments in ((glue.main, ["--task", "rte", "--data", nowhere]),
                            (tagging.main, ["--train", nowhere, "--dev", nowhere]),
                            (squad.main, ["--train", nowhere, "--dev", nowhere, "--max-length", "20"])):
        with pytest.raises(SystemExit) as error:
            main([*arguments, "--model", folder, "--out", out, *OPTIONS])
        said.append(str(error.value))
    assert all(message in text and text.strip().count("\n") == 0 for text in said)


# ---- a tokenizer that pads on the left -------------------------------------------------------------------------------


def test_heads_read_texts_from_the_left_whatever_the_folder_says(made, workers):
    """Padding on the left is for texts that are written on; whoever looks for columns pads on the right."""
    right, left = (type(made.tokenizer).from_pretrained(made.folder) for _ in range(2))
    left.padding_side = "left"
    assert left.pad([[1, 2], [1]])["attention_mask"].tolist() == [[1, 1], [0, 1]]
    sentences = [["the", "dog"], ["a", "cat", "saw", "the", "garden"]]
    tagger = made.head("ForTokenClassification")
    assert tagging.tag(tagger, left, sentences, workers) == tagging.tag(tagger, right, sentences, workers)
    examples = [Example(str(i), "where ?", text, (Answer("dog", text.index("dog")),), False)
                for i, text in enumerate(("the dog", "a cat saw the dog in the garden"))]
    pairs = windows_of(make_passages(examples, right, max_length=20))
    rows = encode([("the dog", None, 0), ("a cat saw the dog", None, 1)], right, max_length=20)
    for ours, theirs in ((batch_of(pairs, left, labels=True), batch_of(pairs, right, labels=True)),
                         (collate(left)(rows), collate(right)(rows))):
        assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)
    assert np.array_equal(*(embed(made.head(""), tokenizer, ["a", "the old dog"]) for tokenizer in (left, right)))
