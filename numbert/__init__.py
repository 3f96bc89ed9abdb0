"""BERT in NumPy: every forward and backward pass by hand, small enough to read, fast enough to use.

Letters, the same in every file:

    B  sequences in a batch        D  width of the model, H·K        V  words in the vocabulary
    T  tokens in a sequence        H  heads of attention             C  classes
    N  rows: all real tokens       K  width of a head                L  layers
    M  masked rows                 F  width of the feed-forward layer
                                   E  width of the word vectors: D, but less in ALBERT

Models, their configurations and tokenizers have the names that they have in Hugging Face's transformers, and are read
from a folder in its format: `AutoModel.from_pretrained(folder)`. A call of a model gives an `Output`, whose `loss` and
logits are `Tensor`s; `gradients(loss, model.parameters())` gives arrays. For an op or a model of one's own: `op`,
`Parameter`, `Module`, and the modules

    numbert.ops            functions with their derivatives: linear, layer_norm, attention, cross_entropy, ...
    numbert.layers         what models are made of: Linear, Embedding, LayerNorm, SelfAttention, ...
    numbert.gradcheck      is a derivative right?
    numbert.training       optimizer (AdamW, learning rates), parallel (threads that share a batch), loop (train)
    numbert.pretraining    corpus, masking, sentence_pairs, batches, evaluation
"""
from .autograd import Tensor, gradients, op
from .hub.checkpoint import load_parameters, save_parameters
from .hub.errors import CheckpointError
from .machine import keep_memory
from .models.albert import (
    AlbertConfig,
    AlbertForMaskedLM,
    AlbertForMultipleChoice,
    AlbertForPreTraining,
    AlbertForQuestionAnswering,
    AlbertForSequenceClassification,
    AlbertForTokenClassification,
    AlbertModel,
)
from .models.auto import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForMultipleChoice,
    AutoModelForPreTraining,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)
from .models.bert import BertForPreTraining, BertModel
from .models.config import BertConfig
from .models.gpt2 import (
    GPT2Config,
    GPT2ForQuestionAnswering,
    GPT2ForSequenceClassification,
    GPT2ForTokenClassification,
    GPT2LMHeadModel,
    GPT2Model,
)
from .models.heads import (
    BertForMaskedLM,
    BertForMultipleChoice,
    BertForNextSentencePrediction,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
)
from .models.roberta import (
    RobertaConfig,
    RobertaForMaskedLM,
    RobertaForMultipleChoice,
    RobertaForQuestionAnswering,
    RobertaForSequenceClassification,
    RobertaForTokenClassification,
    RobertaModel,
)
from .module import Module, Parameter
from .pipeline import pipeline
from .recording import no_grad
from .tokenizers.auto import AutoTokenizer
from .tokenizers.byte_bpe import ByteLevelBPETokenizer
from .tokenizers.sentence_piece import SentencePieceTokenizer
from .tokenizers.unigram import UnigramTokenizer
from .tokenizers.wordpiece import WordPieceTokenizer

__version__ = "0.1.0"

keep_memory()           # a setting of the whole process, made here and nowhere else: numbert/machine.py says why

__all__ = ["AlbertConfig", "AlbertForMaskedLM", "AlbertForMultipleChoice", "AlbertForPreTraining",
           "AlbertForQuestionAnswering", "AlbertForSequenceClassification", "AlbertForTokenClassification",
           "AlbertModel", "AutoConfig", "AutoModel", "AutoModelForCausalLM", "AutoModelForMaskedLM",
           "AutoModelForMultipleChoice", "AutoModelForPreTraining", "AutoModelForQuestionAnswering",
           "AutoModelForSequenceClassification", "AutoModelForTokenClassification", "AutoTokenizer", "BertConfig",
           "BertForMaskedLM", "BertForMultipleChoice", "BertForNextSentencePrediction", "BertForPreTraining",
           "BertForQuestionAnswering", "BertForSequenceClassification", "BertForTokenClassification", "BertModel",
           "ByteLevelBPETokenizer", "CheckpointError", "GPT2Config", "GPT2ForQuestionAnswering",
           "GPT2ForSequenceClassification", "GPT2ForTokenClassification", "GPT2LMHeadModel", "GPT2Model", "Module",
           "Parameter", "RobertaConfig", "RobertaForMaskedLM", "RobertaForMultipleChoice",
           "RobertaForQuestionAnswering", "RobertaForSequenceClassification", "RobertaForTokenClassification",
           "RobertaModel", "SentencePieceTokenizer", "Tensor", "UnigramTokenizer", "WordPieceTokenizer", "gradients",
           "load_parameters", "no_grad", "op", "pipeline", "save_parameters"]
