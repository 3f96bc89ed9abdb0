"""The calculus: every op's forward pass with its backward pass right below it."""
from .activations import gelu, gelu_tanh, relu, tanh
from .attention import Span, attention, attention_probs, causal, prefix
from .dropout import dropout
from .linear import add, linear
from .losses import IGNORE, binary_cross_entropy, cross_entropy, mean_squared_error, overwriting_logits
from .normalization import layer_norm
from .rows import column, pad, reshape, take

__all__ = ["IGNORE", "Span", "add", "attention", "attention_probs", "binary_cross_entropy", "causal", "column",
           "cross_entropy", "dropout", "gelu", "gelu_tanh", "layer_norm", "linear", "mean_squared_error",
           "overwriting_logits", "pad", "prefix", "relu", "reshape", "take", "tanh"]
