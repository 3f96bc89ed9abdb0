"""What BERT is used for (Devlin et al. 2019, figure 4): the same body, and on it one small head for each kind of task.

    class of a text or a pair     BertForSequenceClassification      reads the first token
    class of each token           BertForTokenClassification         reads every token
    an answer's start and end     BertForQuestionAnswering           reads every token
    the best of several endings   BertForMultipleChoice              reads the first token of each
    masked words, next sentence   BertForMaskedLM, BertForNextSentencePrediction

Every class takes input_ids, token_type_ids and attention_mask, integers (B, T), and gives an `Output` with `loss` (None
without labels). A generator `rng` turns dropout on. `counts` divides a loss by a number of your own instead of by the
number of labels, {"labels": 32}: see `numbert.training.parallel`.
"""
import numpy as np

from .. import ops
from ..layers import Linear
from ..packing import integers
from .bert import BertTask
from .pretrained import Output, total


def head(config, classes, rng, dtype):
    """The new part: D -> classes, drawn from N(0, initializer_range²)."""
    return Linear(config.hidden_size, classes, rng=rng, std=config.initializer_range, dtype=dtype)


def head_dropout(config, x, rng):
    """Dropout before a classifier."""
    return ops.dropout(x, rate=config.head_dropout_prob, rng=rng)


def first_tokens(body, packed, rng):
    """The pooled first token of each sequence (B, D); the last layer computes nothing else."""
    return body.pool(body.encode(packed, rows=packed.first_rows(), rng=rng))


class BertForMaskedLM(BertTask):
    """Which words were masked? As in pre-training, without the second task."""

    def __init__(self, config, *, rng, dtype=np.float32):
        self.config = config
        self.body = self.body_class(config, rng=rng, dtype=dtype, add_pooling_layer=False)
        self.mlm = self.mlm_class(config, rng=rng, dtype=dtype)

    def __call__(self, input_ids, token_type_ids=None, attention_mask=None, labels=None, *, rng=None, counts=None):
        """labels (B, T), -100 where there is none. `logits` are (B, T, V), with labels (M, V) for the labelled ones."""
        packed, words = self.body.pack(input_ids, token_type_ids, attention_mask), self.body.embeddings.word.weight
        if labels is None:
            logits = self.mlm(self.body.encode(packed, rng=rng), words)
            return Output(loss=None, losses={}, logits=packed.unpack(logits))
        labels = packed.labels("labels", labels)
        rows = np.flatnonzero(labels != ops.IGNORE)
        logits = self.mlm(self.body.encode(packed, rows=rows, rng=rng), words)
        losses = {"mlm": ops.cross_entropy(logits, labels=labels[rows], count=(counts or {}).get("labels"), owned=True)}
        return Output(loss=total(losses), losses=losses, logits=logits)


class BertForNextSentencePrediction(BertTask):
    """Does the second segment follow the first?"""

    def __init__(self, config, *, rng, dtype=np.float32):
        self.config = config
        self.body = self.body_class(config, rng=rng, dtype=dtype)
        self.nsp = head(config, 2, rng, dtype)

    def __call__(self, input_ids, token_type_ids=None, attention_mask=None, labels=None, *, next_sentence_label=None,
                 rng=None, counts=None):
        """labels (B,): 0 where the second segment follows, 1 where not. `logits` are (B, 2).

        `next_sentence_label` is the same, under the name that the batches of pre-training use.
        """
        packed = self.body.pack(input_ids, token_type_ids, attention_mask)
        logits = self.nsp(first_tokens(self.body, packed, rng))
        name, given = (("labels", labels) if next_sentence_label is None else
                       ("next_sentence_label", next_sentence_label))
        losses = {}
        if given is not None:
            losses["nsp"] = ops.cross_entropy(logits, labels=packed.sequence_labels(name, given),
                                              count=(counts or {}).get(name))
        return Output(loss=total(losses), losses=losses, logits=logits)


class BertForSequenceClassification(BertTask):
    """One of C classes (or several, or a number) for a text or a pair of texts: sentiment, inference, similarity.

    `class_weights` (C,), None by default: how much an example of each class counts in the loss.
    """

    def __init__(self, config, *, rng, dtype=np.float32):
        self.config = config
        self.body = self.body_class(config, rng=rng, dtype=dtype)
        self.classifier = head(config, config.num_labels, rng, dtype)
        self.class_weights = None

    def __call__(self, input_ids, token_type_ids=None, attention_mask=None, labels=None, *, rng=None, counts=None):
        """labels: classes (B,), -100 for none; or numbers (B,), for regression; or (B, C) of 0 and 1: several classes.

        Which it is says `problem_type`; if it is None, regression with one label, else classes if the labels are
        integers, else several. `logits` are (B, C).
        """
        packed = self.body.pack(input_ids, token_type_ids, attention_mask)
        logits = self.score(packed, rng)
        losses = {}
        if labels is not None:
            losses["classification"] = self._loss(packed, logits, np.asarray(labels), (counts or {}).get("labels"))
        return Output(loss=total(losses), losses=losses, logits=logits)

    def score(self, packed, rng):
        """Logits (B, C) of packed texts."""
        return self.classifier(head_dropout(self.config, first_tokens(self.body, packed, rng), rng))

    def _loss(self, packed, logits, labels, count):
        kind = self.config.problem_type or (
            "regression" if self.config.num_labels == 1 else
            "single_label_classification" if labels.dtype.kind in "iu" else "multi_label_classification")
        if kind == "single_label_classification":
            return ops.cross_entropy(logits, labels=packed.sequence_labels("labels", labels), count=count,
                                     weights=self.class_weights)
        if labels.shape not in (logits.shape, logits.shape[:1] if logits.shape[1] == 1 else None):
            raise ValueError(f"labels for {kind} must be {logits.shape}, got {labels.shape}")
        if kind == "multi_label_classification" and (outside := (labels < 0) | (labels > 1)).any():
            raise ValueError(f"labels for {kind} must be in 0..1, got {labels[outside][0]}")
        loss = ops.mean_squared_error if kind == "regression" else ops.binary_cross_entropy
        return loss(logits, labels=labels.reshape(logits.shape), count=count)


class BertForTokenClassification(BertTask):
    """One of C classes for each token: parts of speech, names. `class_weights` as in sequence classification."""

    def __init__(self, config, *, rng, dtype=np.float32):
        self.config = config
        self.body = self.body_class(config, rng=rng, dtype=dtype, add_pooling_layer=False)
        self.classifier = head(config, config.num_labels, rng, dtype)
        self.class_weights = None

    def __call__(self, input_ids, token_type_ids=None, attention_mask=None, labels=None, *, rng=None, counts=None):
        """labels (B, T): classes, -100 for the tokens that have none. `logits` are (B, T, C)."""
        packed = self.body.pack(input_ids, token_type_ids, attention_mask)
        logits = self.classifier(head_dropout(self.config, self.body.encode(packed, rng=rng), rng))
        losses = {}
        if labels is not None:
            losses["tagging"] = ops.cross_entropy(logits, labels=packed.labels("labels", labels),
                                                  count=(counts or {}).get("labels"), weights=self.class_weights)
        return Output(loss=total(losses), losses=losses, logits=packed.unpack(logits))


class BertForQuestionAnswering(BertTask):
    """Where does the answer start, and where does it end? Two vectors, each asked of every token (section 4.2)."""

    def __init__(self, config, *, rng, dtype=np.float32):
        self.config = config
        self.body = self.body_class(config, rng=rng, dtype=dtype, add_pooling_layer=False)
        self.qa_outputs = head(config, 2, rng, dtype)

    def __call__(self, input_ids, token_type_ids=None, attention_mask=None, start_positions=None, end_positions=None,
                 *, rng=None, counts=None):
        """start_positions and end_positions (B,): columns of input_ids, the end included; -100 for no answer given.

        `start_logits` and `end_logits` are (B, T), -inf on padding, which so has no share in the softmax. The loss is
        the mean of the two cross-entropies; `losses` holds their halves.
        """
        packed = self.body.pack(input_ids, token_type_ids, attention_mask)
        logits = packed.unpack(self.qa_outputs(self.body.encode(packed, rng=rng)), fill=-np.inf)
        output = Output(loss=None, losses={})
        for i, (name, labels) in enumerate({"start": start_positions, "end": end_positions}.items()):
            column = ops.column(logits, index=i)
            setattr(output, f"{name}_logits", column)
            if labels is not None:
                labels = packed.columns(f"{name}_positions", labels)
                count = (counts or {}).get(f"{name}_positions", (labels != ops.IGNORE).sum())
                output.losses[name] = ops.cross_entropy(column, labels=labels, count=2 * max(1, int(count)))
        output.loss = total(output.losses)
        return output


class BertForMultipleChoice(BertTask):
    """Which of C texts fits best? Each gets one score; a softmax over the scores decides."""

    def __init__(self, config, *, rng, dtype=np.float32):
        self.config = config
        self.body = self.body_class(config, rng=rng, dtype=dtype)
        self.classifier = head(config, 1, rng, dtype)

    def __call__(self, input_ids, token_type_ids=None, attention_mask=None, labels=None, *, rng=None, counts=None):
        """input_ids, token_type_ids and attention_mask are (B, C, T) here; labels (B,) say which; `logits` (B, C)."""
        input_ids = integers("input_ids", input_ids)
        if input_ids.ndim != 3:
            raise ValueError(f"input_ids must be (B, C, T), got {input_ids.shape}")
        for name, x in (("token_type_ids", token_type_ids), ("attention_mask", attention_mask)):
            if x is not None and np.shape(x) != input_ids.shape:
                raise ValueError(f"{name} must be (B, C, T) = {input_ids.shape}, got {np.shape(x)}")
        B, C, T = input_ids.shape
        packed = self.body.pack(*(None if x is None else np.reshape(x, (B * C, T))
                                  for x in (input_ids, token_type_ids, attention_mask)))
        scores = self.classifier(head_dropout(self.config, first_tokens(self.body, packed, rng), rng))
        logits = ops.reshape(scores, shape=(B, C))
        losses = {}
        if labels is not None:
            losses["choice"] = ops.cross_entropy(logits, labels=integers("labels", labels, (B,)),
                                                 count=(counts or {}).get("labels"))
        return Output(loss=total(losses), losses=losses, logits=logits)
