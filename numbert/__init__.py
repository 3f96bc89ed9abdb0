"""BERT in NumPy: every forward and backward pass by hand, small enough to read, fast enough to use.

Letters, the same in every file:

    B  sequences in a batch        D  width of the model, H·K        V  words in the vocabulary
    T  tokens in a sequence        H  heads of attention             C  classes
    N  rows: all real tokens       K  width of a head                L  layers
    M  masked rows                 F  width of the feed-forward layer
"""
from .autograd import Parameter, Tensor, gradients, no_grad
from .hub.errors import CheckpointError
from .models.bert import BertForPreTraining, BertModel
from .models.config import BertConfig
from .models.heads import (
    BertForMaskedLM,
    BertForMultipleChoice,
    BertForNextSentencePrediction,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
)
from .text.wordpiece import WordPieceTokenizer

__version__ = "0.1.0"

__all__ = ["BertConfig", "BertForMaskedLM", "BertForMultipleChoice", "BertForNextSentencePrediction",
           "BertForPreTraining", "BertForQuestionAnswering", "BertForSequenceClassification",
           "BertForTokenClassification", "BertModel", "CheckpointError", "Parameter", "Tensor", "WordPieceTokenizer",
           "gradients", "no_grad"]
