"""What BERT is used for (Devlin et al. 2019, figure 4): the same body, and on it one small head for each kind of task.

    class of a text or a pair     BertForSequenceClassification      reads the first token
    class of each token           BertForTokenClassification         reads every token
    an answer's start and end     BertForQuestionAnswering           reads every token
    the best of several endings   BertForMultipleChoice              reads the first token of each
    masked words, next sentence   BertForMaskedLM, BertForNextSentencePrediction

Every class takes input_ids, token_type_ids and attention_mask, integers (B, T), and gives an `Output` with `loss` (None
without labels), the mean over the labels that were given. A generator `rng` turns dropout on.
"""
from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, DTypeLike

from .. import ops
from ..autograd import Array, Tensor
from ..layers import Linear
from ..packing import Packed, integers
from .bert import BertModel, BertWithHead
from .config import ModelConfig
from .pretrained import Output, correct


def head(config: ModelConfig, classes: int, rng: Generator, dtype: DTypeLike) -> Linear:
    """The linear layer of a head, D -> classes, drawn from N(0, initializer_range²)."""
    return Linear(config.hidden_size, classes, rng=rng, std=config.initializer_range, dtype=dtype)


def head_dropout(config: ModelConfig, x: Tensor, rng: Generator | None) -> Tensor:
    """Dropout before a classifier."""
    return ops.dropout(x, rate=config.head_dropout_prob, rng=rng)


def first_tokens(body: BertModel, packed: Packed, rng: Generator | None) -> Tensor:
    """The pooled first token of each sequence (B, D); the last layer computes these rows alone."""
    return body.pool(body.encode(packed, rows=packed.first_rows(), rng=rng))         # (B, D)


class BertForMaskedLM(BertWithHead):
    """Predicts masked words, as in pre-training, without the second task."""

    def __init__(self, config: ModelConfig, *, rng: Generator, dtype: DTypeLike = np.float32):
        self.config = config
        self.body = self.body_class(config, rng=rng, dtype=dtype, add_pooling_layer=False)
        self.mlm = self.mlm_class(config, rng=rng, dtype=dtype)

    def targets(self, packed: Packed, *, labels: ArrayLike | None = None) -> dict[str, Array]:
        """The labels of the loss: "mlm" (N,)."""
        return {} if labels is None else {"mlm": packed.labels("labels", labels)}

    def __call__(self, input_ids: ArrayLike, token_type_ids: ArrayLike | None = None,
                 attention_mask: ArrayLike | None = None, labels: ArrayLike | None = None, *,
                 rng: Generator | None = None) -> Output:
        """labels (B, T), -100 where there is none. `logits` are (B, T, V). With labels they are (M, V), for the M
        labelled tokens, and are computed only if they are read. `correct` says how many labels are predicted right.

        Other arguments: see `BertModel`. Raises ValueError or TypeError, naming the argument, for what does not fit.
        """
        packed, words = self.pack(input_ids, token_type_ids, attention_mask), self.body.embeddings.word.weight
        targets = self.targets(packed, labels=labels)
        if not targets:
            logits = packed.unpack(self.mlm(self.body.encode(packed, rng=rng), words))           # (B, T, V)
            return self.output({}, targets, logits=logits)
        rows = np.flatnonzero(targets["mlm"] != ops.IGNORE)                                      # (M,)
        loss, right, logits = self.mlm.loss(self.body.encode(packed, rows=rows, rng=rng), words, targets["mlm"][rows])
        return self.output({"mlm": loss}, targets, correct={"mlm": right}, when_read={"logits": logits})


class BertForNextSentencePrediction(BertWithHead):
    """Predicts whether the second segment follows the first."""

    def __init__(self, config: ModelConfig, *, rng: Generator, dtype: DTypeLike = np.float32):
        self.config = config
        self.body = self.body_class(config, rng=rng, dtype=dtype)
        self.nsp = head(config, 2, rng, dtype)

    def targets(self, packed: Packed, *, labels: ArrayLike | None = None,
                next_sentence_label: ArrayLike | None = None) -> dict[str, Array]:
        """The labels of the loss: "nsp" (B,), under either of its names."""
        name, given = (("labels", labels) if next_sentence_label is None else
                       ("next_sentence_label", next_sentence_label))
        return {} if given is None else {"nsp": packed.sequence_labels(name, given)}

    def __call__(self, input_ids: ArrayLike, token_type_ids: ArrayLike | None = None,
                 attention_mask: ArrayLike | None = None, labels: ArrayLike | None = None, *,
                 next_sentence_label: ArrayLike | None = None, rng: Generator | None = None) -> Output:
        """labels (B,): 0 where the second segment follows, 1 where not. `logits` are (B, 2).

        `next_sentence_label` is the same, under the name that the batches of pre-training use.

        Other arguments: see `BertModel`. Raises ValueError or TypeError, naming the argument, for what does not fit.
        """
        packed = self.pack(input_ids, token_type_ids, attention_mask)
        targets = self.targets(packed, labels=labels, next_sentence_label=next_sentence_label)
        logits = self.nsp(first_tokens(self.body, packed, rng))                                  # (B, 2)
        return self.output({name: ops.cross_entropy(logits, labels=target) for name, target in targets.items()},
                           targets, correct={name: correct(logits, target) for name, target in targets.items()},
                           logits=logits)


class BertForSequenceClassification(BertWithHead):
    """One of C classes (or several, or a number) for a text or a pair of texts: sentiment, inference, similarity.

    class_weights (C,): how much an example of each class counts in the loss (None: all the same). label_smoothing: how
    much of each label is spread over all classes, see `ops.cross_entropy`.
    """
    options = ("class_weights", "label_smoothing")

    def __init__(self, config: ModelConfig, *, rng: Generator, dtype: DTypeLike = np.float32,
                 class_weights: ArrayLike | None = None, label_smoothing: float = 0.0):
        self.config = config
        self.body = self.body_class(config, rng=rng, dtype=dtype)
        self.classifier = head(config, config.num_labels, rng, dtype)
        self.class_weights, self.label_smoothing = class_weights, label_smoothing

    def __call__(self, input_ids: ArrayLike, token_type_ids: ArrayLike | None = None,
                 attention_mask: ArrayLike | None = None, labels: ArrayLike | None = None, *,
                 rng: Generator | None = None) -> Output:
        """labels: classes (B,), -100 for none; or numbers (B,), for regression; or (B, C) of 0 and 1: several classes.

        `problem_type` of the configuration chooses. If it is None: regression where num_labels is 1, else one class for
        each text if the labels are integers, else several classes. `logits` are (B, C).

        Other arguments: see `BertModel`. Raises ValueError or TypeError, naming the argument, for what does not fit.
        """
        packed = self.pack(input_ids, token_type_ids, attention_mask)
        targets = self.targets(packed, labels=labels)
        logits = self.score(packed, rng)                                                         # (B, C)
        losses = {name: self._loss(self._problem(labels), logits, target) for name, target in targets.items()}
        return self.output(losses, targets, logits=logits)

    def score(self, packed: Packed, rng: Generator | None) -> Tensor:
        """Logits (B, C) of packed texts."""
        return self.classifier(head_dropout(self.config, first_tokens(self.body, packed, rng), rng))        # (B, C)

    def _problem(self, labels):
        return self.config.problem_type or (
            "regression" if self.config.num_labels == 1 else
            "single_label_classification" if np.asarray(labels).dtype.kind in "iu" else "multi_label_classification")

    def targets(self, packed: Packed, *, labels: ArrayLike | None = None) -> dict[str, Array]:
        """The labels of the loss "classification": classes (B,), or numbers (B, C)."""
        if labels is None:
            return {}
        problem, labels = self._problem(labels), np.asarray(labels)
        if problem == "single_label_classification":
            return {"classification": packed.sequence_labels("labels", labels)}
        shape = packed.shape[0], self.config.num_labels
        if labels.shape not in (shape, shape[:1] if shape[1] == 1 else None):
            raise ValueError(f"labels for {problem} must be {shape}, got {labels.shape}")
        if problem == "multi_label_classification" and (outside := (labels < 0) | (labels > 1)).any():
            raise ValueError(f"labels for {problem} must be in 0..1, got {labels[outside][0]}")
        return {"classification": labels.reshape(shape).astype(np.float64)}      # a whole number is no class here

    def _loss(self, problem, logits, labels):
        if problem == "single_label_classification":
            return ops.cross_entropy(logits, labels=labels, weights=self.class_weights, smoothing=self.label_smoothing)
        for name, given in (("class_weights are", self.class_weights is not None),
                            ("label_smoothing is", self.label_smoothing)):
            if given:
                raise ValueError(f"{name} for single_label_classification, not for {problem}")
        return (ops.mean_squared_error if problem == "regression" else ops.binary_cross_entropy)(logits, labels=labels)


class BertForTokenClassification(BertWithHead):
    """One of C classes for each token: parts of speech, names. Its `options` are those of sequence classification."""
    options = ("class_weights", "label_smoothing")

    def __init__(self, config: ModelConfig, *, rng: Generator, dtype: DTypeLike = np.float32,
                 class_weights: ArrayLike | None = None, label_smoothing: float = 0.0):
        self.config = config
        self.body = self.body_class(config, rng=rng, dtype=dtype, add_pooling_layer=False)
        self.classifier = head(config, config.num_labels, rng, dtype)
        self.class_weights, self.label_smoothing = class_weights, label_smoothing

    def targets(self, packed: Packed, *, labels: ArrayLike | None = None) -> dict[str, Array]:
        """The labels of the loss: "tagging" (N,)."""
        return {} if labels is None else {"tagging": packed.labels("labels", labels)}

    def __call__(self, input_ids: ArrayLike, token_type_ids: ArrayLike | None = None,
                 attention_mask: ArrayLike | None = None, labels: ArrayLike | None = None, *,
                 rng: Generator | None = None) -> Output:
        """labels (B, T): classes, -100 for the tokens that have none. `logits` are (B, T, C).

        Other arguments: see `BertModel`. Raises ValueError or TypeError, naming the argument, for what does not fit.
        """
        packed = self.pack(input_ids, token_type_ids, attention_mask)
        targets = self.targets(packed, labels=labels)
        logits = self.classifier(head_dropout(self.config, self.body.encode(packed, rng=rng), rng))         # (N, C)
        losses = {name: ops.cross_entropy(logits, labels=target, weights=self.class_weights,
                                          smoothing=self.label_smoothing) for name, target in targets.items()}
        return self.output(losses, targets, logits=packed.unpack(logits))                                  # (B, T, C)


class BertForQuestionAnswering(BertWithHead):
    """The start and the end of an answer: two vectors, each multiplied with every token's vector (section 4.2).

    The lecture's picture is the matrix qa_outputs.weight (2, D): its row 0 is the start vector S (orange in the
    lecture), its row 1 the end vector E (blue). Their products with the vector h (D,) of a token are two scores, and a
    softmax over the tokens of a text turns the scores into probabilities:

        start_logits[b, t] = S · h[b, t] + b_S      P(the answer starts at t) = softmax of start_logits[b] (T,) at t
        end_logits[b, t]   = E · h[b, t] + b_E      P(the answer ends at t)   = softmax of end_logits[b] (T,) at t

    Four things differ from the lecture. There is a bias, qa_outputs.bias (2,); it shifts all the scores of a text
    alike, a softmax does not see that, and so its gradient is zero up to rounding (like that of the last layer norm's
    bias, which adds the same to every h). The softmax of training also covers [CLS], the question and [SEP]. An answer
    is not the two maxima, of which the second may stand before the first, but the best pair i <= j over all windows of
    a document (`tasks.squad.answers.read_answers`). And "no answer" is not a maximum at [CLS], but a threshold on how
    much better the best span of all windows is than [CLS] (section 4.3).
    """

    def __init__(self, config: ModelConfig, *, rng: Generator, dtype: DTypeLike = np.float32):
        self.config = config
        self.body = self.body_class(config, rng=rng, dtype=dtype, add_pooling_layer=False)
        self.qa_outputs = head(config, 2, rng, dtype)

    def targets(self, packed: Packed, *, start_positions: ArrayLike | None = None,
                end_positions: ArrayLike | None = None) -> dict[str, Array]:
        """The labels of each loss: "start" (B,), "end" (B,), columns of input_ids."""
        return {name: packed.columns(f"{name}_positions", labels)
                for name, labels in (("start", start_positions), ("end", end_positions)) if labels is not None}

    def __call__(self, input_ids: ArrayLike, token_type_ids: ArrayLike | None = None,
                 attention_mask: ArrayLike | None = None, start_positions: ArrayLike | None = None,
                 end_positions: ArrayLike | None = None, *, rng: Generator | None = None) -> Output:
        """start_positions and end_positions (B,): columns of input_ids, the end included; -100 where there is no label.

        `start_logits` and `end_logits` are (B, T), -inf on padding, whose probability is then 0. The loss is the
        mean of the two cross-entropies; `losses` holds half of each.

        Other arguments: see `BertModel`. Raises ValueError or TypeError, naming the argument, for what does not fit.
        """
        packed = self.pack(input_ids, token_type_ids, attention_mask)
        targets = self.targets(packed, start_positions=start_positions, end_positions=end_positions)
        h = self.body.encode(packed, rng=rng)               # (N, D)
        scores = self.qa_outputs(h)                         # (N, 2): S · h + b_S and E · h + b_E of every token
        both = packed.unpack(scores, fill=-np.inf)          # (B, T, 2)
        logits = {name: ops.column(both, index=i) for i, name in enumerate(("start", "end"))}       # (B, T) each
        losses = {name: ops.scale(ops.cross_entropy(logits[name], labels=target), factor=0.5)
                  for name, target in targets.items()}
        return self.output(losses, targets, start_logits=logits["start"], end_logits=logits["end"])


class BertForMultipleChoice(BertWithHead):
    """Chooses the best of C texts: each gets one score, and a softmax over the C scores gives probabilities."""

    def __init__(self, config: ModelConfig, *, rng: Generator, dtype: DTypeLike = np.float32):
        self.config = config
        self.body = self.body_class(config, rng=rng, dtype=dtype)
        self.classifier = head(config, 1, rng, dtype)

    def pack(self, input_ids: ArrayLike, token_type_ids: ArrayLike | None = None,
             attention_mask: ArrayLike | None = None) -> Packed:
        """`Packed` rows of B·C texts, of (B, C, T) arrays."""
        input_ids = integers("input_ids", input_ids)
        if input_ids.ndim != 3:
            raise ValueError(f"input_ids must be (B, C, T), got {input_ids.shape}")
        for name, x in (("token_type_ids", token_type_ids), ("attention_mask", attention_mask)):
            if x is not None and np.shape(x) != input_ids.shape:
                raise ValueError(f"{name} must be (B, C, T) = {input_ids.shape}, got {np.shape(x)}")
        B, C, T = input_ids.shape
        return self.body.pack(*(None if x is None else np.reshape(x, (B * C, T))
                                for x in (input_ids, token_type_ids, attention_mask)))

    def targets(self, packed: Packed, *, labels: ArrayLike | None = None) -> dict[str, Array]:
        """The labels of the loss: "choice" (B,)."""
        return {} if labels is None else {"choice": integers("labels", labels)}

    def __call__(self, input_ids: ArrayLike, token_type_ids: ArrayLike | None = None,
                 attention_mask: ArrayLike | None = None, labels: ArrayLike | None = None, *,
                 rng: Generator | None = None) -> Output:
        """input_ids, token_type_ids and attention_mask are (B, C, T) here; labels (B,) in 0..C-1; `logits` (B, C).

        Other arguments: see `BertModel`. Raises ValueError or TypeError, naming the argument, for what does not fit.
        """
        packed = self.pack(input_ids, token_type_ids, attention_mask)
        if labels is not None:
            labels = integers("labels", labels, np.shape(input_ids)[:1])
        targets = self.targets(packed, labels=labels)
        scores = self.classifier(head_dropout(self.config, first_tokens(self.body, packed, rng), rng))      # (B·C, 1)
        logits = ops.reshape(scores, shape=np.shape(input_ids)[:2])                                         # (B, C)
        losses = {name: ops.cross_entropy(logits, labels=target) for name, target in targets.items()}
        return self.output(losses, targets, logits=logits)
