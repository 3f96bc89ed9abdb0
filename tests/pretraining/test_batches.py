"""Batches of pre-training: their layout, that seed and step alone decide them, and that they cover the text."""
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from words import WordTokenizer

from numbert import ByteLevelBPETokenizer, WordPieceTokenizer
from numbert.pretraining import batches as batches_module
from numbert.pretraining.batches import MASKED, PretrainingData, Undrawn, end_of_text_id
from numbert.pretraining.corpus import split_sentences
from numbert.pretraining.masking import UNITS
from numbert.pretraining.sentence_pairs import OBJECTIVES, PAIRS
from numbert.tokenizers.byte_bpe_files import GPT2, ROBERTA

PAD, UNK, CLS, SEP, MASK = range(5)


def some_documents(count=12, seed=0):
    """Documents of paragraphs of short sentences; every third word is a piece that continues a word."""
    rng = np.random.default_rng(seed)
    words = [("##" if i % 3 == 0 else "") + f"w{i}" for i in range(60)]
    return [[" ".join(" ".join(rng.choice(words, rng.integers(1, 9))).strip("#").capitalize() + " ."
                      for _ in range(rng.integers(1, 5))) for _ in range(rng.integers(1, 7))] for _ in range(count)]


DOCUMENTS = some_documents()
TOKENIZER = WordTokenizer([paragraph for document in DOCUMENTS for paragraph in document])


def data(**settings):
    return PretrainingData(DOCUMENTS, TOKENIZER, **dict(max_length=24, batch_size=4, seed=1) | settings)


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)


def original(batch):
    return np.where(batch["labels"] >= 0, batch["labels"], batch["input_ids"])


@pytest.mark.parametrize("objective", ["mlm", *PAIRS])
def test_layout(objective):
    for batch in itertools.islice(data(objective=objective).batches(), 30):
        assert set(batch) == {"input_ids", "token_type_ids", "attention_mask", "labels"} | (
            set() if objective == "mlm" else {"next_sentence_label"})
        B, T = batch["input_ids"].shape
        assert B == 4 and T <= 24 and T == batch["attention_mask"].sum(axis=1).max()
        for key, array in batch.items():
            assert array.dtype == np.int64 and array.shape == ((B,) if key == "next_sentence_label" else (B, T))
        for ids, types, mask in zip(original(batch), batch["token_type_ids"], batch["attention_mask"], strict=True):
            length = mask.sum()
            assert mask.tolist() == [1] * length + [0] * (T - length)
            assert ids[0] == CLS and ids[length - 1] == SEP and (ids[length:] == PAD).all()
            seps = np.flatnonzero(ids == SEP)
            if objective == "mlm":
                assert len(seps) == 1 and not types.any()
            else:
                assert len(seps) == 2 and 1 < seps[0] < seps[1] - 1
                assert types.tolist() == [0] * (seps[0] + 1) + [1] * (seps[1] - seps[0]) + [0] * (T - length)


def test_segments_are_the_text():
    """One document of different words: a pair is a stretch of it; sentences end at full stops, not with lines."""
    words = [f"w{i}" for i in range(400)]
    paragraphs = [" ".join(words[i:i + 10]).replace(f"w{i + 5}", f"W{i + 5}").replace(f"w{i + 4} ", f"w{i + 4}. ")
                  for i in range(0, 400, 10)]
    tokenizer = WordTokenizer(paragraphs)
    pretraining = PretrainingData([paragraphs], tokenizer, objective="mlm+sop", max_length=43, batch_size=2)
    assert (np.diff(pretraining.text.sentences) == 5).all()
    for batch in pretraining.evaluation_batches():
        for ids, label in zip(original(batch), batch["next_sentence_label"], strict=True):
            a_end, b_end = np.flatnonzero(ids == SEP)
            a, b = ids[1:a_end].tolist(), ids[a_end + 1:b_end].tolist()
            stretch = b + a if label else a + b
            assert stretch == list(range(stretch[0], stretch[0] + len(stretch)))


@pytest.mark.parametrize("unit", UNITS)
def test_blanks(unit):
    pretraining = data(mask_unit=unit, mask_rate=0.3)
    continued = np.array([token.startswith("##") for token in TOKENIZER.vocab])
    cut_words = 0
    for batch in pretraining.epoch(0):
        ids, chosen = original(batch), batch["labels"] >= 0
        ordinary = ids > MASK
        assert not (chosen & ~ordinary).any() and chosen.any(axis=1).all()
        if unit == "token":
            assert (chosen.sum(axis=1) == np.maximum(1, np.rint(0.3 * ordinary.sum(axis=1)))).all()
        inside = continued[ids[:, 1:]] & ordinary[:, :-1]     # a piece and the one before it
        cut_words += (chosen[:, 1:] != chosen[:, :-1])[inside].sum()
    assert (cut_words == 0) == (unit != "token")


def test_what_becomes_of_blanks_is_up_to_the_caller():
    """Only [MASK], only random words, nothing at all."""
    for mask_share, random_share in ((1, 0), (0, 1), (0, 0)):
        for batch in data(mask_share=mask_share, random_share=random_share, mask_rate=0.5).epoch(0):
            now, labels = (batch[name][batch["labels"] >= 0] for name in ("input_ids", "labels"))
            assert (now == MASK).mean() == mask_share
            assert ((now == labels).mean() < 0.2 and (now > MASK).all() if random_share else
                    mask_share or (now == labels).all())


def test_labels_of_pairs_have_the_name_that_the_model_has_for_them():
    ours, theirs = next(data().epoch(0)), next(data(pair_label="sentence_order_label").epoch(0))
    assert np.array_equal(ours.pop("next_sentence_label"), theirs.pop("sentence_order_label")) and same(ours, theirs)


# Running text: a text's own tokens, in order, with something between documents


def document_tokens(tokenizer, documents=DOCUMENTS):
    return [[token for paragraph in document for sentence in split_sentences(paragraph)
             for token in tokenizer.encode_batch([" " + sentence], add_special_tokens=False)[0]]
            for document in documents]


def test_full_sentences_are_packed_across_documents():
    pretraining, stream, separators = data(objective="full-sentences", max_length=40), [], 0
    for batch in pretraining.evaluation_batches():
        assert set(batch) == {"input_ids", "token_type_ids", "attention_mask", "labels"}
        assert batch["token_type_ids"].sum() == 0 and batch["input_ids"].shape[1] <= 40
        for ids, mask in zip(original(batch), batch["attention_mask"], strict=True):
            ids, padding = ids[mask == 1], ids[mask == 0]
            assert ids[0] == CLS and ids[-1] == SEP and (padding == PAD).all() and SEP not in ids[[1, -2]]
            separators += (ids[1:-1] == SEP).sum()
            stream += [token for token in ids[1:-1] if token != SEP]
        assert (batch["labels"][:, 0] == -100).all() and not np.isin(batch["labels"], [SEP, PAD]).any()
    assert stream == sum(document_tokens(TOKENIZER), []) and 0 < separators < len(DOCUMENTS)


def test_causal_rows_are_the_text_and_each_token_is_asked_for_once():
    pretraining, stream = data(objective="causal"), []
    for batch in pretraining.evaluation_batches():
        assert set(batch) == {"input_ids", "attention_mask", "labels"}
        real = batch["attention_mask"] == 1
        assert (batch["labels"][:, 0] == -100).all() and (batch["labels"][~real] == -100).all()
        asked = real & (np.arange(real.shape[1]) > 0)
        assert (batch["labels"][asked] == batch["input_ids"][asked]).all()
        stream += batch["labels"][asked].tolist()
    assert SEP == end_of_text_id(TOKENIZER)
    assert stream == sum(([SEP, *tokens] for tokens in document_tokens(TOKENIZER)), [])[1:]
    assert all(batch["attention_mask"].shape == (4, 24) for batch in itertools.islice(pretraining.batches(), 40))


TEXTS = ["Ärger im Büro — déjà vu, naïve 北京 🙂 end. And then, don't stop! It's so.",
         "One more document. It is short.", "The low lower lowest is newer. The newest is widest."]


@pytest.mark.parametrize("kind", ["wordpiece", "roberta", "gpt"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_tokenizers_of_words_and_of_bytes(kind, objective):
    if kind == "wordpiece":
        tokenizer = WordPieceTokenizer.train(TEXTS * 3, vocab_size=100)
    else:
        tokenizer = ByteLevelBPETokenizer.train(TEXTS * 3, vocab_size=290, add_prefix_space=kind == "roberta",
                                                special_tokens=ROBERTA if kind == "roberta" else GPT2)
    documents = [[text] for text in TEXTS]
    def build(unit="word"):
        return PretrainingData(documents, tokenizer, objective=objective, max_length=30, batch_size=2, mask_unit=unit)
    if kind == "gpt" and objective != "causal":
        with pytest.raises(ValueError, match="has no (pad|cls) token, needed here"):
            build()
        return
    batches = list(itertools.islice(build().batches(), 6)) + list(build("span").evaluation_batches())
    assert all((batch["labels"] >= 0).any() for batch in batches)
    if objective == "causal" and kind != "wordpiece":
        ids = np.concatenate([batch["labels"][batch["labels"] >= 0] for batch in build().evaluation_batches()])
        end = tokenizer.eos_token_id
        assert tokenizer.decode(ids, skip_special_tokens=False).split(tokenizer.tokens[end]) == [
            " " + text for text in TEXTS]


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(OBJECTIVES), st.integers(0, 60), st.integers(0, 2**40))
def test_the_stream_starts_at_any_step(objective, start, seed):
    whole = list(itertools.islice(data(objective=objective, seed=seed).batches(), start + 12))
    rest = list(itertools.islice(data(objective=objective, seed=seed).batches(start), 12))
    assert all(map(same, whole[start:], rest))


def test_epochs_are_fixed_and_differ():
    pretraining = data()
    epochs = [list(pretraining.epoch(number)) for number in (0, 1, 0)]
    assert all(map(same, epochs[0], epochs[2]))
    stream = itertools.islice(pretraining.batches(), 2 * pretraining.batches_per_epoch)
    assert all(map(same, stream, epochs[0] + epochs[1]))
    assert not any(map(same, epochs[0], epochs[1]))
    assert not any(map(same, epochs[0], data(seed=2).epoch(0)))


def test_every_epoch_has_the_same_number_of_full_batches():
    size = data().examples_per_pass                           # one batch is all of a pass, sometimes more
    counts = [len(data()._pass(number)[0]) for number in range(30)]
    assert min(counts) < size < max(counts)
    for pretraining in (data(batch_size=size), data(batch_size=7)):
        for number in range(30):
            batches = list(pretraining.epoch(number))
            assert len(batches) == pretraining.batches_per_epoch == size // pretraining.batch_size
            assert all(len(batch["labels"]) == pretraining.batch_size for batch in batches)


def test_an_epoch_is_one_pass_in_another_order():
    pretraining = data(batch_size=1, objective="mlm+sop")
    def rows(batches):
        return sorted(original(batch).tobytes() for batch in batches)
    epoch, evaluation = list(pretraining.epoch(0)), list(pretraining.evaluation_batches())
    assert rows(epoch) == rows(evaluation) and len(epoch) == pretraining.examples_per_pass
    assert [original(b).tobytes() for b in epoch] != [original(b).tobytes() for b in evaluation]


def test_evaluation_is_fixed_and_whole():
    pretraining = data(batch_size=5)
    batches = list(pretraining.evaluation_batches())
    assert all(map(same, batches, pretraining.evaluation_batches()))
    assert sum(len(batch["labels"]) for batch in batches) == pretraining.examples_per_pass
    assert 0 < len(batches[-1]["labels"]) < 5 and pretraining.examples_per_pass % 5


def test_examples_and_blanks_never_share_a_generator():
    pretraining = data()
    firsts = [pretraining._rng(*key).integers(2**60) for key in [(0,), (1,), (0, 0), (0, 1), (1, 0), (1, 1)]]
    assert len(set(firsts)) == 6


@pytest.mark.parametrize("change, message", [
    (dict(objective="nsp"), "mlm, mlm\\+nsp, mlm\\+sop, full-sentences, causal, got 'nsp'"),
    (dict(max_length=4), "at least 5 .* got 4"),
    (dict(batch_size=0), "got 0"),
    (dict(mask_rate=0.0), "got 0.0"),
    (dict(seed=-1), "got -1"),
    (dict(mask_unit="words"), "unit must be one of token, word, ngram, span, got 'words'"),
    (dict(mask_share=0.9, random_share=0.2), "shares of one, got 0.9 and 0.2"),
    (dict(documents=DOCUMENTS[:1]), "at least 2 are needed, got 1"),
    (dict(documents=[["one ."], ["two ."]]), "2 documents with 4 tokens make no example of mlm\\+nsp: each needs two"),
    (dict(documents=[], objective="mlm"), "0 documents with 0 tokens make no example of mlm$"),
    (dict(documents=[], objective="causal"), "0 documents with 0 tokens make no example of causal$"),
    (dict(documents=[], objective="full-sentences"), "make no example of full-sentences$"),
])
def test_errors(change, message):
    arguments = dict(documents=DOCUMENTS) | change
    with pytest.raises(ValueError, match=message):
        PretrainingData(arguments.pop("documents"), TOKENIZER, **arguments)


def test_errors_of_use():
    with pytest.raises(TypeError, match="list of paragraphs, got a string: 'a text'"):
        PretrainingData(["a text"], TOKENIZER)
    small = data(batch_size=10_000)
    assert len(list(small.evaluation_batches())) == 1
    with pytest.raises(ValueError, match=r"makes \d+ examples of up to 24 tokens, fewer than one batch of 10000"):
        next(small.batches())


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_some_rows_are_drawn_without_the_others(objective, monkeypatch):
    """They are those of the whole batch, and of its other rows hardly any are made."""
    monkeypatch.setattr(batches_module, "MASKED", 4)
    pretraining, made = data(objective=objective, batch_size=14, max_length=16), []
    row = PretrainingData._row
    monkeypatch.setattr(PretrainingData, "_row", lambda self, *places: made.append(places) or row(self, *places))
    for whole, undrawn in itertools.islice(zip(pretraining.batches(), pretraining.undrawn(), strict=True), 5):
        assert undrawn.lengths.tolist() == whole["attention_mask"].sum(1).tolist()
        for start, stop in ((0, 14), (0, 4), (3, 9), (13, 14), (8, 8 + 1), (5, 14)):
            made.clear()
            found = undrawn.rows(start, stop)
            assert same(found, {name: x[start:stop] for name, x in whole.items()})
            assert len(made) <= stop - start + 6


def test_each_group_of_rows_has_blanks_of_its_own():
    """Two texts of many tokens, each in all rows of a batch: no two groups, batches or epochs hide the same tokens."""
    pretraining = data(objective="mlm")
    examples = np.tile(pretraining._pass(0)[0][:2], (3 * MASKED // 2, 1))
    blanks = set()
    for place in ((0, 0), (0, 1), (1, 0)):
        labels = Undrawn(pretraining, examples, *place).rows()["labels"]
        blanks |= {(labels[MASKED * group:][:MASKED] >= 0).tobytes() for group in range(3)}
    assert len(blanks) == 9
