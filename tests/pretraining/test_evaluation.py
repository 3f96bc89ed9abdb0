import numpy as np
import pytest
import tiny_bert

import numbert as nb
from numbert.pretraining.batches import PretrainingData
from numbert.pretraining.evaluation import (
    blanks,
    characters_per_token,
    continuations,
    describe,
    evaluate,
    fill_mask,
    hits,
    training_figures,
)
from numbert.tokenizers.byte_bpe_files import GPT2
from numbert.training.loop import train
from numbert.training.optimizer import AdamW
from numbert.training.parallel import Workers

SENTENCES = ["the cat sat on the mat and looked at the moon", "the dog sat on the cat and barked at the moon",
             "a dog and a cat looked at the dog on the mat", "the moon barked at a cat", "cat", ""]


@pytest.fixture(scope="module")
def tokenizer():
    return nb.WordPieceTokenizer.train(SENTENCES * 3, vocab_size=46)


def build(kind, tokenizer=None, **changes):
    if tokenizer:
        changes |= {"vocab_size": len(tokenizer), "max_position_embeddings": 40}
    return kind(tiny_bert.config(**changes), rng=np.random.default_rng(0), dtype=np.float64)


def held_out():
    """Batches of different size and label counts, one without any masked token."""
    found = [tiny_bert.pretraining_batch(np.random.default_rng(seed), lengths, share=0.3)
             for seed, lengths in enumerate([(9, 12, 5), (7, 6), (3, 4, 12, 11, 8), (5,)])]
    assert (found[-1]["labels"] == -100).all()
    return found


def by_hand(model, batches):
    """The same figures, one sequence and one token at a time, from the logits without labels."""
    word_losses, word_hits, pair_losses, pair_hits = [], [], [], []
    for batch in batches:
        for b in range(len(batch["input_ids"])):
            T = batch["attention_mask"][b].sum()
            output = model(batch["input_ids"][b:b + 1, :T], batch["token_type_ids"][b:b + 1, :T])
            for t in np.flatnonzero(batch["labels"][b] != -100):
                logits, label = output.prediction_logits.data[0, t], batch["labels"][b, t]
                word_losses.append(np.log(np.exp(logits).sum()) - logits[label])
                word_hits.append(int(np.argmax(logits)) == label)
            logits, label = output.seq_relationship_logits.data[0], batch["next_sentence_label"][b]
            pair_losses.append(np.log(np.exp(logits).sum()) - logits[label])
            pair_hits.append(int(np.argmax(logits)) == label)
    return {"mlm": np.mean(word_losses), "mlm_accuracy": np.mean(word_hits), "masked": len(word_hits),
            "nsp": np.mean(pair_losses), "nsp_accuracy": np.mean(pair_hits), "pairs": len(pair_hits)}


@pytest.mark.parametrize("n", [1, 2])
def test_held_out_figures_are_means_over_all_labels_not_over_batches(n):
    model, batches = build(nb.BertForPreTraining), held_out()
    for parameter in model.mlm.parameters():                      # pulled towards words that occur, so that some hit
        parameter.data *= 3
    labels = batches[2]["labels"]
    labels[labels != -100] = model(**{k: v for k, v in batches[2].items() if "label" not in k}
                                   ).prediction_logits.data.argmax(-1)[labels != -100]
    with Workers(n) as workers:
        figures = evaluate(model, batches, workers)
    expected = by_hand(model, batches)
    assert figures == pytest.approx(expected, rel=1e-10)
    assert 0 < expected["mlm_accuracy"] < 1 and 0 < expected["nsp_accuracy"] < 1
    assert figures.keys() == expected.keys()


def test_without_the_second_task():
    model = build(nb.BertForMaskedLM)
    batches = [{name: x for name, x in batch.items() if name != "next_sentence_label"} for batch in held_out()]
    with Workers(1) as workers:
        figures = evaluate(model, batches, workers)
        nothing = evaluate(model, batches[-1:], workers)
    assert figures.keys() == {"mlm", "mlm_accuracy", "masked"}
    losses = [float(model(**batch).loss) for batch in batches]
    counts = [(batch["labels"] != -100).sum() for batch in batches]
    assert figures["mlm"] == pytest.approx(np.average(losses, weights=counts), rel=1e-12)
    assert nothing == {"mlm": 0, "mlm_accuracy": 0, "masked": 0}


def test_evaluation_draws_no_dropout_and_records_nothing():
    model = build(nb.BertForPreTraining, hidden_dropout_prob=0.5)
    with Workers(2) as workers:
        assert evaluate(model, held_out(), workers) == evaluate(model, held_out(), workers)


def test_hits_are_counted():
    model = build(nb.BertForPreTraining)
    batch = tiny_bert.pretraining_batch(np.random.default_rng(0))
    output = model(**batch)
    guessed = output.prediction_logits.data.argmax(-1)
    masked = batch["labels"] != -100
    batch["labels"][masked] = np.where(np.arange(masked.sum()) % 2, guessed, (guessed + 1) % tiny_bert.WORDS)
    batch["next_sentence_label"] = 1 - output.seq_relationship_logits.data.argmax(-1)
    assert hits(batch, model(**batch)) == {"mlm_labels": masked.sum(), "mlm_hits": masked.sum() // 2,
                                           "nsp_labels": 4, "nsp_hits": 0}


def test_sentence_order_has_names_of_its_own():
    config = nb.AlbertConfig(vocab_size=tiny_bert.WORDS, embedding_size=8, hidden_size=16, num_hidden_layers=2,
                             num_attention_heads=2, intermediate_size=32, max_position_embeddings=20)
    model = nb.AlbertForPreTraining(config, rng=np.random.default_rng(0), dtype=np.float64)
    batches = [{{"next_sentence_label": "sentence_order_label"}.get(name, name): x for name, x in batch.items()}
               for batch in held_out()]
    with Workers(1) as workers:
        figures = evaluate(model, batches, workers)
    output = model(**batches[2])
    assert figures.keys() == {"mlm", "mlm_accuracy", "masked", "sop", "sop_accuracy", "pairs"}
    assert figures["pairs"] == sum(len(batch["labels"]) for batch in batches)
    right = (output.sop_logits.data.argmax(-1) == batches[2]["sentence_order_label"]).sum()
    assert hits(batches[2], output)["sop_hits"] == right and "sop" in describe(figures)


# Next words, and characters

DOCUMENTS = [["The cat sat on the mat. Ärger — 北京 🙂!", "It looked at the moon."],
             ["A dog barked. It barked (twice)."]]


def gpt_and_batches(**settings):
    tokenizer = nb.ByteLevelBPETokenizer.train([p for d in DOCUMENTS for p in d] * 3, vocab_size=280,
                                               add_prefix_space=True, special_tokens=GPT2)
    config = nb.GPT2Config(vocab_size=len(tokenizer), n_positions=40, n_embd=16, n_layer=2, n_head=2,
                           initializer_range=0.4, bos_token_id=0, eos_token_id=0)
    model = nb.GPT2LMHeadModel(config, rng=np.random.default_rng(0), dtype=np.float64)
    data = PretrainingData(DOCUMENTS, tokenizer, objective="causal", **settings)
    return model, tokenizer, list(data.evaluation_batches())


@pytest.mark.parametrize("kind", ["words", "bytes", "bytes, framed"])
def test_characters_add_up_to_the_text(kind):
    texts = [paragraph for document in DOCUMENTS for paragraph in document]
    tokenizer = nb.WordPieceTokenizer.train(texts, vocab_size=46) if kind == "words" else (
        nb.ByteLevelBPETokenizer.train(texts, vocab_size=270, **({"special_tokens": GPT2} if kind == "bytes" else {})))
    characters = characters_per_token(DOCUMENTS, tokenizer)
    sentences = ["The cat sat on the mat.", "Ärger — 北京 🙂!", "It looked at the moon.", "A dog barked.",
                 "It barked (twice)."]
    ids = sum(tokenizer.encode_batch([" " + sentence for sentence in sentences], add_special_tokens=False), [])
    assert characters.shape == (len(tokenizer),)
    assert characters[ids].sum() == pytest.approx(sum(len(sentence) + 1 for sentence in sentences), rel=1e-12)
    assert not characters[np.setdiff1d(np.arange(len(tokenizer)), ids)].any()
    if kind != "words":
        whole = [i for i, token in enumerate(tokenizer.tokens) if token.isascii() and i in ids]
        assert all(characters[i] == len(tokenizer.tokens[i]) for i in whole) and len(whole) > 5


def test_bits_per_character_of_a_causal_model_are_the_code_length():
    """One row: all of the text at once. p(text | its beginning) is then a product over one row of logits."""
    model, tokenizer, batches = gpt_and_batches(max_length=500)
    (batch,) = batches
    assert batch["input_ids"].shape[0] == 1 and batch["attention_mask"].all()
    model = nb.GPT2LMHeadModel(model.config.replace(n_positions=500), rng=np.random.default_rng(0), dtype=np.float64)
    with Workers(1) as workers:
        figures = evaluate(model, batches, workers, characters_per_token(DOCUMENTS, tokenizer))
    ids, logits = batch["input_ids"][0], model(batch["input_ids"]).logits.data[0]
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    bits = -sum(np.log2(p[t, ids[t + 1]]) for t in range(len(ids) - 1))
    text = "".join(" " + paragraph for document in DOCUMENTS for paragraph in document)
    assert figures.keys() == {"lm", "lm_accuracy", "scored", "bits_per_character"}
    assert figures["bits_per_character"] == pytest.approx(bits / len(text), rel=1e-12)
    assert figures["scored"] == len(ids) - 1 and figures["lm"] == pytest.approx(bits * np.log(2) / (len(ids) - 1))


@pytest.mark.parametrize("n", [1, 2])
def test_figures_of_next_words_are_those_of_each_row_alone(n):
    model, tokenizer, batches = gpt_and_batches(max_length=12, batch_size=3)
    assert not batches[-1]["attention_mask"].all()
    losses, right = [], []
    for batch in batches:
        for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True):
            logits = model(ids[None, :mask.sum()]).logits.data[0]
            for t in range(1, mask.sum()):
                losses.append(np.log(np.exp(logits[t - 1]).sum()) - logits[t - 1, ids[t]])
                right.append(logits[t - 1].argmax() == ids[t])
    with Workers(n) as workers:
        figures = evaluate(model, batches, workers)
    assert figures == pytest.approx({"lm": np.mean(losses), "lm_accuracy": np.mean(right), "scored": len(losses)})


def test_bits_per_character_of_a_masked_model_count_the_hidden_tokens(tokenizer):
    model = build(nb.BertForMaskedLM, tokenizer)
    documents = [SENTENCES[:4]]
    batches = list(PretrainingData(documents, tokenizer, objective="mlm", max_length=30).evaluation_batches())
    characters = characters_per_token(documents, tokenizer)
    with Workers(1) as workers:
        figures = evaluate(model, batches, workers, characters)
    hidden = np.concatenate([batch["labels"][batch["labels"] >= 0] for batch in batches])
    expected = figures["mlm"] * len(hidden) / np.log(2) / characters[hidden].sum()
    assert figures["bits_per_character"] == pytest.approx(expected, rel=1e-12) and len(hidden) == figures["masked"] > 3


def test_figures_of_training_steps_are_means_over_their_labels():
    model, batches = build(nb.BertForPreTraining), held_out()
    with Workers(1) as workers:
        steps = list(train(model, iter(batches), optimizer=AdamW(model.parameters()), lr=lambda step: 0.0, steps=4,
                           seed=0, workers=workers, measure=hits))
        expected = evaluate(model, batches, workers)                     # a learning rate of 0 leaves it as it was
    figures = training_figures(steps)
    assert figures.keys() == {"mlm", "mlm_accuracy", "nsp", "nsp_accuracy"}
    assert figures["nsp_accuracy"] == pytest.approx(expected["nsp_accuracy"])
    assert figures["mlm_accuracy"] == pytest.approx(expected["mlm_accuracy"])
    assert figures["mlm"] == pytest.approx(np.mean([step.sums["mlm"] for step in steps]))
    assert describe({"mlm": 1.25, "mlm_accuracy": 0.5, "pairs": 3}) == "mlm 1.250 (50.0%)"


def test_a_causal_model_goes_on_where_a_sentence_was_cut():
    model, tokenizer, _ = gpt_and_batches(max_length=12)
    found = continuations(model, tokenizer, SENTENCES[:5], np.random.default_rng(0), words=(5, 11), count=2)
    assert len(found) == 2
    for begin, written, end in found:
        assert f"{begin} {end}" in SENTENCES and 0 <= len(end.split()) - len(begin.split()) <= 1
        ids, true = tokenizer.encode_batch([" " + begin, " " + end], add_special_tokens=False)
        for _ in true:                                                   # greedy, without the cache
            ids.append(int(model(np.array([ids])).logits.data[0, -1].argmax()))
            if ids[-1] == 0:
                break
        assert tokenizer.decode(ids) == f" {begin}{written}"
    assert continuations(model, tokenizer, SENTENCES[:5], np.random.default_rng(0), words=(5, 11), tokens=5) == []


# Blanks


@pytest.mark.parametrize("kind", [nb.BertForPreTraining, nb.BertForMaskedLM])
def test_a_blank_is_filled_with_the_likeliest_tokens(kind, tokenizer):
    model, text = build(kind, tokenizer), "the [MASK] sat on the [MASK]"
    filled = fill_mask(model, tokenizer, text, top=4)
    encoding = tokenizer(text, special_tokens_in_text=True)
    output = model(np.array([encoding.input_ids]))
    logits = (output.logits if kind is nb.BertForMaskedLM else output.prediction_logits).data[0]
    places = [t for t, token in enumerate(encoding.tokens) if token == "[MASK]"]
    assert len(places) == len(filled) == 2
    for place, guesses in zip(places, filled, strict=True):
        p = np.exp(logits[place]) / np.exp(logits[place]).sum()
        assert [token for token, _ in guesses] == [tokenizer.tokens[i] for i in sorted(range(len(p)),
                                                                                      key=lambda i: -p[i])[:4]]
        assert [share for _, share in guesses] == pytest.approx(sorted(p, reverse=True)[:4], rel=1e-10)


def test_probabilities_add_up_to_one_and_large_logits_do_not_overflow(tokenizer):
    model = build(nb.BertForMaskedLM, tokenizer)
    guesses, = fill_mask(model, tokenizer, "a [MASK]", top=10**6)
    assert len(guesses) == len(tokenizer) and sum(share for _, share in guesses) == pytest.approx(1, rel=1e-12)
    model.mlm.bias.data[7] = 5000.0
    assert fill_mask(model, tokenizer, "a [MASK]", top=1) == [[(tokenizer.tokens[7], 1.0)]]


def test_a_text_without_a_blank_is_refused(tokenizer):
    with pytest.raises(ValueError, match=r"there is no \[MASK\] in 'the cat'"):
        fill_mask(build(nb.BertForMaskedLM, tokenizer), tokenizer, "the cat")
    with pytest.raises(ValueError, match=r"no \[MASK\]"):
        fill_mask(build(nb.BertForMaskedLM, tokenizer), tokenizer, "the [mask] cat [ MASK ]")


def test_blanks_replace_one_whole_word(tokenizer):
    found = blanks(SENTENCES, tokenizer, np.random.default_rng(0), count=10, words=(5, 11))
    assert len(found) == 3                                # the others are too short, or too long
    for text, word in found:
        assert text.count("[MASK]") == 1 and text.replace("[MASK]", word) in SENTENCES
        assert word.isalpha() and len(word) >= 3 and word in tokenizer.vocab
        assert (" " + text + " ").count(" [MASK] ") == 1
    assert len({text.replace("[MASK]", word) for text, word in found}) == 3


def test_blanks_are_as_many_as_asked_for_and_follow_the_generator(tokenizer):
    def draw(seed, count):
        return blanks(SENTENCES, tokenizer, np.random.default_rng(seed), count=count, words=(5, 11))
    assert len(draw(0, 2)) == 2 and draw(0, 2) == draw(0, 4)[:2]
    assert len({tuple(draw(seed, 2)) for seed in range(10)}) > 5
    assert blanks([], tokenizer, np.random.default_rng(0)) == []
    assert blanks(["on at a it", "xyz qqq ppp zzz kkk jjj"], tokenizer, np.random.default_rng(0), words=(1, 9)) == []


def test_blanks_keep_capitals_and_accents_of_the_text(tokenizer):
    (text, word), = blanks(["Ü Cät ü ü ü"], tokenizer, np.random.default_rng(0), words=(1, 9))
    assert (text, word) == ("Ü [MASK] ü ü ü", "Cät")


def test_blanks_are_not_taken_from_texts_longer_than_asked_for(tokenizer):
    lengths = sorted(len(tokenizer(sentence)) for sentence in SENTENCES[:4])
    for limit in lengths:
        found = blanks(SENTENCES, tokenizer, np.random.default_rng(0), words=(1, 99), tokens=limit)
        texts = {text.replace("[MASK]", word) for text, word in found}
        assert texts == {s for s in SENTENCES if s and len(tokenizer(s)) <= limit}
