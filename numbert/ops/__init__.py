"""The ops: each forward pass, and right below it the backward pass."""
from .activations import dropout, gelu, gelu_tanh, relu, tanh
from .attention import Bucket, Mask, attention, attention_probs, causal, prefix
from .linear import add, linear, scale
from .losses import IGNORE, binary_cross_entropy, cross_entropy, label_count, linear_cross_entropy, mean_squared_error
from .normalization import layer_norm
from .rows import column, reshape, take, unpack

__all__ = ["IGNORE", "Bucket", "Mask", "add", "attention", "attention_probs", "binary_cross_entropy", "causal",
           "column", "cross_entropy", "dropout", "gelu", "gelu_tanh", "label_count", "layer_norm", "linear",
           "linear_cross_entropy", "mean_squared_error", "unpack", "prefix", "relu", "reshape", "scale", "take", "tanh"]
