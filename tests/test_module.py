"""Modules: which parameters they have, and how they show themselves."""
import numpy as np
import pytest

from numbert.layers import LayerNorm, Linear
from numbert.models.albert import AlbertConfig, AlbertModel
from numbert.models.bert import BertForPreTraining
from numbert.models.config import BertConfig
from numbert.module import Module, Parameter

RNG = np.random.default_rng(0)


class Mine(Module):
    def __init__(self, **attributes):
        vars(self).update(attributes)


def linear(size_in=3, size_out=2, dtype=np.float32):
    return Linear(size_in, size_out, rng=RNG, std=0.1, dtype=dtype)


def test_names_are_paths_in_the_order_of_creation():
    model = Mine(first=linear(), some=[linear(), Parameter([1.0])], last=Parameter([2.0]), other="no parameter")
    assert list(model.named_parameters()) == ["first.weight", "first.bias", "some.0.weight", "some.0.bias", "some.1",
                                              "last"]


def test_a_shared_parameter_has_one_name():
    """Otherwise an optimizer would move it twice in each step."""
    first, second = linear(), linear()
    second.weight = first.weight
    model = Mine(first=first, second=second, again=first)
    assert list(model.named_parameters()) == ["first.weight", "first.bias", "second.bias"]
    assert len(model.parameters()) == 3


@pytest.mark.parametrize(("hidden", "where"), [
    ({"a": linear()}, "Mine.inner is a dict"), ((linear(),), "Mine.inner is a tuple"),
    ([[linear()]], r"Mine.inner.0 is a list"), ({"a": Parameter([1.0])}, "Mine.inner is a dict")])
def test_parameters_where_they_would_not_be_trained_are_refused(hidden, where):
    with pytest.raises(TypeError, match=f"{where} with parameters in it"):
        Mine(inner=hidden).parameters()


def test_repr_is_a_tree_with_shapes_and_numbers():
    config = BertConfig(vocab_size=100, hidden_size=16, num_hidden_layers=12, num_attention_heads=2,
                        intermediate_size=32, max_position_embeddings=20)
    model = BertForPreTraining(config, rng=RNG)
    lines = repr(model).splitlines()
    size = sum(p.data.size for p in model.parameters())
    assert lines[0] == f"BertForPreTraining, {size:,} parameters of float32"
    assert lines[1].startswith("  (body): BertModel, ")
    assert "      (word): Embedding, 1,600: weight (100, 16)" in lines
    layer = sum(p.data.size for p in model.body.layers[0].parameters())
    assert f"      (0-11): 12 x TransformerLayer, {layer:,} each" in lines
    assert repr(model).count("TransformerLayer") == 1
    assert "          (query): Linear, 272: weight (16, 16), bias (16,)" in lines
    assert lines[-1] == "  (nsp): Linear, 34: weight (2, 16), bias (2,)"
    assert "  (mlm): MaskedLMHead, 404: bias (100,)" in lines


def test_repr_folds_neighbours_that_look_the_same_alone():
    norm = LayerNorm(2, eps=1e-5, dtype=np.float32)
    text = repr(Mine(layers=[linear(), linear(), norm, linear(), linear(4)]))
    assert text.splitlines() == [
        "Mine, 38 parameters of float32", "  (layers):",
        "    (0-1): 2 x Linear, 8 each: weight (2, 3), bias (2,)", "    (2): LayerNorm, 4: gain (2,), bias (2,)",
        "    (3): Linear, 8: weight (2, 3), bias (2,)", "    (4): Linear, 10: weight (2, 4), bias (2,)"]


def test_repr_counts_what_is_shared_once_and_says_what_is_frozen():
    first, second = linear(), linear(dtype=np.float64)
    second.weight = first.weight
    first.bias.requires_grad = False
    text = repr(Mine(first=first, second=second))
    assert text.startswith("Mine, 10 parameters of float32 and float64\n")
    assert "(first): Linear, 8: weight (2, 3), bias (2,) frozen" in text
    model = AlbertModel(AlbertConfig(vocab_size=10, hidden_size=8, embedding_size=4, num_hidden_layers=12,
                                     num_attention_heads=2, intermediate_size=8), rng=RNG)
    assert "\n    (0): AlbertLayer, " in repr(model)                                # one, used twelve times
    assert repr(Mine()) == "Mine, 0 parameters"
