"""The table of families: each builds, learns from its own batches, and is read back as it was saved."""
import math

import numpy as np
import pytest
from tiny_family import same_bits

import numbert as nb
from numbert.pretraining.baselines import baselines
from numbert.pretraining.batches import PretrainingData
from numbert.pretraining.evaluation import evaluate, hits
from numbert.pretraining.families import FAMILIES, build_model, train_tokenizer
from numbert.pretraining.sentence_pairs import OBJECTIVES
from numbert.toyworld import documents
from numbert.training.loop import train
from numbert.training.optimizer import AdamW, linear_schedule
from numbert.training.parallel import Workers

STORIES = documents(60, np.random.default_rng(0), "en")
TEXTS = [paragraph for document in STORIES for paragraph in document]
BYTES_OR_WORDS = {"bert": nb.WordPieceTokenizer, "roberta": nb.ByteLevelBPETokenizer,
                  "albert": nb.WordPieceTokenizer, "gpt": nb.ByteLevelBPETokenizer}


@pytest.fixture(scope="module")
def tokenizers():
    return {family: train_tokenizer(family, TEXTS, 400) for family in FAMILIES}


def build(family, tokenizer, **changes):
    sizes = dict(layers=2, width=32, heads=2, max_positions=40)
    return build_model(family, tokenizer, **sizes | changes, rng=np.random.default_rng(0))


def batches_of(family, tokenizer, objective=None, **settings):
    row = FAMILIES[family]
    return PretrainingData(STORIES, tokenizer, objective=objective or row.objectives[0], mask_unit=row.mask_unit,
                           pair_label=row.pair_label, **dict(max_length=40, batch_size=8) | settings)


def test_the_table():
    assert set(FAMILIES) == set(BYTES_OR_WORDS)
    assert {name: row.objectives[0] for name, row in FAMILIES.items()} == {
        "bert": "mlm+nsp", "roberta": "full-sentences", "albert": "mlm+sop", "gpt": "causal"}
    assert {objective for row in FAMILIES.values() for objective in row.objectives} == set(OBJECTIVES)


@pytest.mark.parametrize("family", FAMILIES)
def test_its_own_tokenizer(family, tokenizers):
    tokenizer = tokenizers[family]
    assert type(tokenizer) is BYTES_OR_WORDS[family] is FAMILIES[family].tokenizer_class
    if type(tokenizer) is nb.ByteLevelBPETokenizer:
        assert tokenizer.tokenize("the") == tokenizer.tokenize(" the") == ["Ġthe"]


@pytest.mark.parametrize("family, objective", [(name, objective) for name, row in FAMILIES.items()
                                               for objective in row.objectives])
def test_every_objective_of_a_family_fits_its_model(family, objective, tokenizers):
    """Also with a tokenizer of words for all of them, as when families are compared on the same tokens."""
    for tokenizer in (tokenizers[family], tokenizers["bert"]):
        model, batch = build(family, tokenizer), next(batches_of(family, tokenizer, objective).batches())
        output = model(**batch)
        pairs = {"bert": {"nsp"}, "albert": {"sop"}}[family] if "+" in objective else set()
        assert set(output.losses) == {"lm" if family == "gpt" else "mlm"} | pairs
        assert float(output.loss) == pytest.approx(math.log(len(tokenizer)) + len(pairs) * math.log(2), rel=0.3)


@pytest.mark.parametrize("family", FAMILIES)
def test_it_learns_which_words_are_frequent(family, tokenizers):
    tokenizer = tokenizers[family]
    model, data = build(family, tokenizer, dropout=0.1), batches_of(family, tokenizer)
    held = list(batches_of(family, tokenizer, seed=1).evaluation_batches())[:5]
    with Workers(1) as workers:
        before = evaluate(model, held, workers)
        for step in train(model, data.batches(), optimizer=AdamW(model.parameters()), lr=linear_schedule(60, 5e-3),
                          steps=60, seed=0, workers=workers, measure=hits):
            assert math.isfinite(step.sums["loss"])
        after = evaluate(model, held, workers)
    task = "lm" if family == "gpt" else "mlm"
    floor = baselines(data, held)["unigram"]
    assert before[task] - after[task] > 0.8 * (before[task] - floor) > 1


@pytest.mark.parametrize("family", FAMILIES)
def test_there_and_back(family, tokenizers, tmp_path):
    model = build(family, tokenizers[family])
    model.save_pretrained(tmp_path)
    tokenizers[family].save_pretrained(tmp_path)
    again = FAMILIES[family].model_class.from_pretrained(tmp_path, strict=True)
    assert same_bits(model, again)
    tokenizer = FAMILIES[family].tokenizer_class.from_pretrained(tmp_path)
    assert tokenizer.encode_batch(TEXTS) == tokenizers[family].encode_batch(TEXTS)


@pytest.mark.parametrize("family", FAMILIES)
def test_there_are_so_many_positions_as_asked_for(family, tokenizers):
    tokenizer = tokenizers[family]
    model = build(family, tokenizer, max_positions=9)
    model(np.full((1, 9), 7))
    with pytest.raises(ValueError, match="at most|position"):
        model(np.full((1, 10), 7))


def test_what_the_families_change(tokenizers):
    models = {family: build(family, tokenizers["bert"], width=128, heads=None) for family in FAMILIES}
    count = {family: sum(p.data.size for p in model.parameters()) for family, model in models.items()}
    assert count["albert"] < 0.6 * count["bert"] and count["roberta"] < count["bert"]
    assert models["albert"].config.embedding_size == 64 and len(models["albert"].body.layers) == 1
    assert models["roberta"].body.embeddings.segment.weight.shape == (1, 128)
    assert models["gpt"].config.eos_token_id == tokenizers["bert"].sep_token_id
    for model in models.values():
        config = model.config
        assert (config.num_hidden_layers, config.hidden_size, config.num_attention_heads) == (2, 128, 2)
        assert config.intermediate_size == 512 and config.initializer_range == 0.02 * math.sqrt(6)
        assert config.hidden_dropout_prob == config.attention_probs_dropout_prob == 0
    assert build("gpt", tokenizers["gpt"], dropout=0.3).config.embd_pdrop == 0.3


def test_berts_default_is_the_plain_preset(tokenizers):
    """So a run of BERT draws the weights that it always drew."""
    config = nb.BertConfig.preset("tiny", vocab_size=400, hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1,
                                  initializer_range=0.02 * math.sqrt(768 / 128))
    tokenizer = nb.WordPieceTokenizer([*tokenizers["bert"].tokens, *"abcdefgh"][:400])
    ours = build_model("bert", tokenizer, layers=2, width=128, max_positions=512, dropout=0.1,
                       rng=np.random.default_rng(5))
    config = config.replace(vocab_size=len(tokenizer))
    assert ours.config == config
    assert same_bits(ours, nb.BertForPreTraining(config, rng=np.random.default_rng(5)))
