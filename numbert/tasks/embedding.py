"""A sentence as one vector: the mean of its tokens' vectors (Reimers and Gurevych 2019, section 3)."""
import numpy as np

from ..recording import no_grad


def embed(model, tokenizer, texts, *, pooling="mean", batch_size=32, max_length=None):
    """Vectors (B, D) of length 1 for B texts: the dot product of two is the cosine of the angle between them.

    model: a body, such as BertModel. pooling: "mean" over the text's tokens, special ones included, or "cls", the first
    token's vector. Texts are cut at `max_length` tokens (default: as many as the model takes). Raises ValueError for
    "cls" where no token sees what comes after it, and for a text without any token.
    """
    check_pooling(pooling, type(model))
    encodings = [tokenizer(text, max_length=max_length or model.max_tokens) for text in texts]
    for number, encoding in enumerate(encodings):
        if not len(encoding):
            raise ValueError(f"texts[{number}] is empty, and this tokenizer puts no tokens around a text")
    order = sorted(range(len(texts)), key=lambda i: len(encodings[i]))          # for little padding
    vectors = np.empty((len(texts), model.config.hidden_size), model.parameters()[0].dtype)
    for start in range(0, len(order), batch_size):
        chosen = order[start:start + batch_size]
        batch = tokenizer.pad([encodings[i] for i in chosen], side="right")
        with no_grad():
            x = model(**model.accepted(batch)).last_hidden_state.data           # (B, T, D), 0 on padding
        vectors[chosen] = pool(x, batch["attention_mask"], pooling)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def check_pooling(pooling, model_class):
    """Raises ValueError for a pooling that there is not, or that says nothing with a body of this class."""
    if pooling not in ("mean", "cls"):
        raise ValueError(f"pooling must be mean or cls, got {pooling!r}")
    if pooling == "cls" and model_class.mask is not None:
        raise ValueError(f'pooling="cls" reads the first token, which in a {model_class.__name__} has seen nothing of '
                         'the text; take "mean"')


def pool(x, attention_mask, pooling):
    """One vector (B, D) for each text of x (B, T, D), which is 0 on padding: the mean of its tokens', or the first."""
    return x[:, 0] if pooling == "cls" else x.sum(1) / attention_mask.sum(1, keepdims=True, dtype=x.dtype)
