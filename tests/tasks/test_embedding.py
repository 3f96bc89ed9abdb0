import numpy as np
import pytest

from numbert import BertConfig, BertModel, WordPieceTokenizer
from numbert.tasks.embedding import embed

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "cat", "dog", "sleeps", "now", "on", "sofa"]


@pytest.fixture(scope="module")
def parts():
    config = BertConfig(vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                        intermediate_size=32, max_position_embeddings=12, initializer_range=0.3)
    return BertModel(config, rng=np.random.default_rng(0), dtype=np.float64), WordPieceTokenizer(WORDS)


TEXTS = ["a cat sleeps", "dog", "a cat sleeps now on a sofa", "sofa now"]


def test_vectors_are_the_normalised_mean_of_the_text_s_tokens(parts):
    model, tokenizer = parts
    vectors = embed(model, tokenizer, TEXTS, batch_size=3)
    for text, vector in zip(TEXTS, vectors, strict=True):
        x = model(np.array([tokenizer(text).input_ids])).last_hidden_state.data[0]      # alone, so without padding
        np.testing.assert_allclose(vector, x.mean(0) / np.linalg.norm(x.mean(0)), atol=1e-12)


def test_cls_pooling_takes_the_first_token(parts):
    model, tokenizer = parts
    x = model(np.array([tokenizer(TEXTS[2]).input_ids])).last_hidden_state.data[0, 0]
    np.testing.assert_allclose(embed(model, tokenizer, TEXTS, pooling="cls")[2], x / np.linalg.norm(x), atol=1e-12)


def test_long_texts_are_cut_and_other_poolings_refused(parts):
    model, tokenizer = parts
    assert embed(model, tokenizer, ["cat " * 50]).shape == (1, 16)
    with pytest.raises(ValueError, match="'max'"):
        embed(model, tokenizer, TEXTS, pooling="max")
