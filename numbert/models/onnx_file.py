"""A model as an ONNX graph, for programs that know nothing of numbert (ONNX Runtime, browsers, phones).

    write_onnx(model, "model.onnx")         # needs the package onnx (the extra `onnx`)

The graph takes input_ids, attention_mask and, where the model has segments, token_type_ids, int64 (B, T) for any B and
T, and gives the outputs of the model by their names. It is the forward pass of `models/`, with padding instead of
packed rows: what it gives on padding means nothing.
"""
from __future__ import annotations

from pathlib import Path

import numpy as np

from .. import ops
from ..hub import files
from . import bert, gpt2, heads, roberta
from .pretrained import PretrainedModel


def write_onnx(model: PretrainedModel, path: str | Path) -> None:
    """Write the graph of a model to `path`, whole or not at all, with its weights in float32. Raises ValueError for a
    class of models that has no graph here, ImportError without the package onnx."""
    try:
        import onnx
    except ImportError:
        raise ImportError("an ONNX file needs the package onnx: pip install onnx (the extra `onnx`)") from None
    graph, make, names = Graph(onnx.helper), onnx.helper, ["input_ids", "attention_mask", "token_type_ids"]
    outputs = [graph.Identity(value, name=name) for name, value in _outputs(graph, model).items()]
    inputs = [make.make_tensor_value_info(name, onnx.TensorProto.INT64, ["B", "T"])
              for name in names[:2 + (model.config.type_vocab_size > 1)]]
    outputs = [make.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs]
    arrays = [onnx.numpy_helper.from_array(np.asarray(x, np.float32 if np.asarray(x).dtype.kind == "f" else None), name)
              for name, x in graph.arrays.values()]
    made = make.make_model(make.make_graph(graph.nodes, type(model).__name__, inputs, outputs, arrays), ir_version=9,
                           opset_imports=[make.make_opsetid("", 20)])           # the first with Gelu
    with files.replacing(path) as file:
        file.write(made.SerializeToString())


class Graph:
    """`graph.Add(a, b)` appends a node with ONNX's operator Add and gives the name of its output; an input is such a
    name, or an array, which is stored once."""

    def __init__(self, helper: object):
        self.helper, self.nodes, self.arrays = helper, [], {}

    def __getattr__(self, operator):
        def append(*inputs, name=None, **attributes):
            name = name or f"{operator}_{len(self.nodes)}"
            self.nodes.append(self.helper.make_node(operator, list(map(self._name, inputs)), [name], **attributes))
            return name
        return append

    def _name(self, given):
        return given if isinstance(given, str) else self.arrays.setdefault(
            id(given), (f"array_{len(self.arrays)}", given))[0]


def _linear(g, layer, x):
    """A Linear, or an Embedding that scores its entries."""
    product = g.MatMul(x, g.Transpose(layer.weight.data, perm=[1, 0]))
    return g.Add(product, layer.bias.data) if hasattr(layer, "bias") else product


def _norm(g, layer, x):
    return g.LayerNormalization(x, layer.gain.data, layer.bias.data, axis=-1, epsilon=layer.eps)


def _activation(g, function, x):
    return {ops.gelu: g.Gelu, ops.gelu_tanh: lambda x: g.Gelu(x, approximate="tanh"), ops.relu: g.Relu,
            ops.tanh: g.Tanh}[function](x)


def _sublayer(g, layer, x, hidden):
    """Attention or the feed-forward network of x (B, T, D). hidden (B, 1, 1 or T, T): 0 where a token is seen, else
    -1e9."""
    if hasattr(layer, "contract"):
        return _linear(g, layer.contract, _activation(g, layer.activation, _linear(g, layer.expand, x)))
    K = layer.query.weight.shape[0] // layer.heads
    q, k, v = (g.Transpose(g.Reshape(_linear(g, one, x), np.array([0, 0, layer.heads, K])), perm=[0, 2, 1, 3])
               for one in (layer.query, layer.key, layer.value))                            # (B, H, T, K) each
    scores = g.Mul(g.MatMul(q, g.Transpose(k, perm=[0, 1, 3, 2])), np.float32(K**-0.5))     # (B, H, T, T)
    mixed = g.Transpose(g.MatMul(g.Softmax(g.Add(scores, hidden), axis=-1), v), perm=[0, 2, 1, 3])
    return _linear(g, layer.output, g.Reshape(mixed, np.array([0, 0, -1])))                 # (B, T, D)


def _body(g, body):
    """(B, T, D) of all tokens."""
    ids, mask, e, norms_first = "input_ids", "attention_mask", body.embeddings, isinstance(body, gpt2.GPT2Model)
    positions = columns = g.Range(np.array(0), g.Squeeze(g.Shape(ids, start=1)), np.array(1))           # (T,)
    if isinstance(body, roberta.RobertaModel):              # counted behind pad_token_id, at which padding stays
        pad = np.array(body.config.pad_token_id)
        real = g.Cast(g.Not(g.Equal(ids, pad)), to=7)                                       # int64
        positions = g.Add(g.Mul(g.CumSum(real, np.array(1)), real), pad)
    elif norms_first:                                       # GPT-2: counted from the first token of each text
        positions = g.Max(g.Sub(g.CumSum(mask, np.array(1)), np.array(1)), np.array(0))
    x = g.Add(g.Gather(e.word.weight.data, ids), g.Gather(e.position.weight.data, positions))
    if hasattr(e, "segment"):
        types = "token_type_ids" if body.config.type_vocab_size > 1 else g.Mul(ids, np.array(0))
        x = _norm(g, e.norm, g.Add(x, g.Gather(e.segment.weight.data, types)))
    x = _linear(g, e.projection, x) if hasattr(e, "projection") else x                      # ALBERT: (B, T, E) -> D
    seen = g.Unsqueeze(g.Cast(mask, to=9), np.array([1, 2]))                                # bool (B, 1, 1, T)
    if body.mask is ops.causal:
        seen = g.And(seen, g.LessOrEqual(columns, g.Unsqueeze(columns, np.array([1]))))     # (B, 1, T, T)
    hidden = g.Where(seen, np.float32(0), np.float32(-1e9))
    for layer in body.sequence():
        for norm, inner in ((layer.attention_norm, layer.attention), (layer.feed_forward_norm, layer.feed_forward)):
            y = _sublayer(g, inner, _norm(g, norm, x) if norms_first else x, hidden)
            x = g.Add(x, y) if norms_first else _norm(g, norm, g.Add(x, y))
    return _norm(g, body.final_norm, x) if norms_first else x


def _outputs(g, model):
    """{name: output}"""
    body = model if isinstance(model, bert.BertModel) else model.body
    x = _body(g, body)
    first = g.Gather(x, np.array(0), axis=1)                                                # (B, D)
    pooled = body.pooler and g.Tanh(_linear(g, body.pooler, first))
    match model:
        case bert.BertModel():
            return {"last_hidden_state": x} | ({"pooler_output": pooled} if pooled else {})
        case gpt2.GPT2LMHeadModel():
            return {"logits": _linear(g, model.lm_head or body.embeddings.word, x)}
        case heads.BertForMaskedLM(mlm=head):
            h = _norm(g, head.norm, _activation(g, head.activation, _linear(g, head.transform, x)))
            return {"logits": _linear(g, head.decoder, h) if hasattr(head, "decoder") else
                    g.Add(_linear(g, body.embeddings.word, h), head.bias.data)}
        case gpt2.GPT2ForSequenceClassification():          # the last token that is no padding
            last = g.ArgMax(g.Mul(g.CumSum("attention_mask", np.array(1)), "attention_mask"), axis=1)   # (B, 1)
            return {"logits": _linear(g, model.classifier, g.GatherND(x, last, batch_dims=1))}
        case heads.BertForSequenceClassification(classifier=roberta.RobertaClassificationHead() as head):
            return {"logits": _linear(g, head.output, g.Tanh(_linear(g, head.dense, first)))}
        case heads.BertForSequenceClassification():
            return {"logits": _linear(g, model.classifier, pooled)}
        case heads.BertForTokenClassification():
            return {"logits": _linear(g, model.classifier, x)}
        case heads.BertForQuestionAnswering():
            scores = _linear(g, model.qa_outputs, x)                                        # (B, T, 2)
            return {f"{end}_logits": g.Gather(scores, np.array(i), axis=2) for i, end in enumerate(("start", "end"))}
    raise ValueError(f"a {type(model).__name__} has no ONNX graph here")
