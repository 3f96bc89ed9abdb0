"""The cards in the lecture's order, and where in the source each of them stands: what to change when a file moves.

What the cards say is in text.en.md and text.zh.md, under the same keys.
"""
from typing import NamedTuple

# A short name for every function that a card shows: module:function, or module:Class.method.
PLACES = {
    "add":              "numbert.ops.linear:add",
    "linear":           "numbert.ops.linear:linear",
    "take":             "numbert.ops.rows:take",
    "column":           "numbert.ops.rows:column",
    "gelu":             "numbert.ops.activations:gelu",
    "tanh":             "numbert.ops.activations:tanh",
    "layer_norm":       "numbert.ops.normalization:layer_norm",
    "attention":        "numbert.ops.attention:attention",
    "softmax":          "numbert.ops.attention:softmax",
    "causal":           "numbert.ops.attention:causal",
    "cross_entropy":    "numbert.ops.losses:cross_entropy",
    "attention_probs":  "numbert.ops.attention:_probs",
    "walk":             "numbert.autograd:_walk",
    "accumulate":       "numbert.autograd:accumulate",
    "layer":            "numbert.layers:TransformerLayer.__call__",
    "self_attention":   "numbert.layers:SelfAttention.__call__",
    "feed_forward":     "numbert.layers:FeedForward.__call__",
    "embeddings":       "numbert.models.bert:BertEmbeddings.__call__",
    "mlm_decoding":     "numbert.models.bert:MaskedLMHead.decoding",
    "pool":             "numbert.models.bert:BertModel.pool",
    "both_losses":      "numbert.models.bert:BertForPreTraining.both",
    "pretraining_read": "numbert.models.bert:BertForPreTraining.read",
    "classifier":       "numbert.models.heads:BertForSequenceClassification.score",
    "first_tokens":     "numbert.models.heads:first_tokens",
    "tagger":           "numbert.models.heads:BertForTokenClassification.__call__",
    "answers":          "numbert.models.heads:BertForQuestionAnswering.__call__",
    "from_pretrained":  "numbert.models.pretrained:PretrainedModel.from_pretrained",
    "gpt_labels":        "numbert.models.gpt2:GPT2LMHeadModel.targets",
    "cost":             "numbert.models.cost:encoder",
    "split_word":       "numbert.tokenizers.wordpiece:WordPieceTokenizer.split_word",
    "mask_tokens":      "numbert.pretraining.masking:mask_tokens",
    "batch":            "numbert.pretraining.batches:PretrainingData._batch",
    "draw_examples":    "numbert.pretraining.sentence_pairs:draw_examples",
    "full_sentences":   "numbert.pretraining.sentence_pairs:full_sentences",
    "average":          "numbert.tasks.glue.data:average",
    "tag_batch":        "numbert.tasks.tagging:collate",
    "cut_windows":      "numbert.tasks.squad.windows:cut_windows",
    "window_label":     "numbert.tasks.squad.windows:Passage.label",
    "span_scores":      "numbert.tasks.squad.answers:span_scores",
    "adamw":            "numbert.training.optimizer:adamw",
    "finetune":         "numbert.training.finetuning:finetune",
}


class Code(NamedTuple):
    """Lines of one of PLACES: all of it, or ranges. `lines` are markers in pairs: a range goes from the next line that
    contains the first to the next one that contains the second.

    part: of the run, whose recording gives the values; None: it is shown without. module: whose call, by the end of its
    path in the model. twin: the function of tests/reference.py that says the same in plain loops. An op is shown with
    its backward pass.
    """
    place: str
    lines: tuple = ()
    part: str | None = None
    module: str | None = None
    twin: str | None = None


class Entry(NamedTuple):
    """What belongs to a card in both languages: its `figures` by name, its `code`, the `exercise` (a file of
    examples/exercises), the `command` that shows more, and the `test` that would fail if the card were wrong."""
    key: str
    figures: tuple
    code: tuple
    command: str
    test: str
    exercise: str | None = None


CARDS = (
    Entry("self-supervised", ("self_supervised",),
          (Code("batch", ("masked, labels = mask_tokens", "labels=labels)")),),
          "python examples/pretrain.py", "tests/pretraining/test_batches.py::test_blanks"),
    Entry("sizes", ("sizes",), (Code("cost", ('total["linear"] += int(2 * (2 * D * D)', 'total["attention"]')),),
          "python examples/lecture/11_cost.py", "tests/models/test_cost.py::test_pretraining"),
    Entry("tokens", ("tokens",), (Code("split_word", part="wordpiece"),),
          "python examples/pretrain.py", "tests/tokenizers/test_wordpiece.py::test_by_hand", "wordpiece"),
    Entry("masking", ("masked", "fates"),
          (Code("mask_tokens", ("labels = np.where(chosen", "return masked, labels"), part="masking"),),
          "python examples/lecture/01_masking_input.py", "tests/pretraining/test_masking.py::test_shares",
          "mask_tokens"),
    Entry("prediction", ("prediction",),
          (Code("mlm_decoding", part="decoder", module="mlm"),
           Code("linear", ("y = x @", "return y"), part="decoder", module="mlm", twin="linear")),
          "python -m numbert.trace \"the cat sat on the mat\"",
          "tests/models/test_bert.py::test_with_labels_only_labelled_rows_are_scored"),
    Entry("cross-entropy", ("cross_entropy", "mlm_curve"),
          (Code("cross_entropy", ("n = max(1", "return "), part="decoder",
                twin="cross_entropy"),),
          "python examples/lecture/03_entropy.py", "tests/test_ops.py::test_cross_entropy_by_hand", "cross_entropy"),
    Entry("nsp", ("nsp",),
          (Code("draw_examples", ("if rng.random() < 0.5:", "stop = middle"), part="nsp"),
           Code("pool", part="pretraining"), Code("tanh", part="pretraining")),
          "python examples/lecture/02_sentence_pairs.py",
          "tests/pretraining/test_sentence_pairs.py::test_half_of_the_labels_are_one"),
    Entry("roberta", ("rows",), (Code("full_sentences", part="rows"),),
          "python examples/lecture/16_objectives.py",
          "tests/pretraining/test_sentence_pairs.py::test_full_sentences_are_full_and_lose_nothing"),
    Entry("sop", ("sop",),
          (Code("draw_examples", ("middle = int(", "a, b = b, a"), part="sop"),),
          "python examples/lecture/02_sentence_pairs.py",
          "tests/pretraining/test_sentence_pairs.py::test_segments_come_from_where_the_label_says"),
    Entry("two-losses", ("two_losses",),
          (Code("pretraining_read", ("loss, right, logits = self.mlm.loss", "found = {"), part="pretraining"),
           Code("both_losses", part="pretraining")),
          "python examples/lecture/03_entropy.py",
          "tests/models/test_bert.py::test_each_loss_is_the_mean_over_its_own_labels"),

    Entry("glue", (), (Code("average", ("by_task = {}", "return sum")),),
          "python examples/lecture/04_glue_toy.py", "tests/tasks/glue/test_data.py::test_average_is_the_leaderboards"),
    Entry("fine-tuning", ("loading", "moved"),
          (Code("from_pretrained", ("model.load_report = model.load_state_dict", "model.draw_new(")),
           Code("finetune", ("course = Course(", "lr_factors=layer_lr_factors(")),),
          "python examples/lecture/05_why_pretrain.py",
          "tests/models/test_pretrained.py::test_a_new_head_is_drawn_and_said_to_be_new"),
    Entry("classification", ("classified",),
          (Code("classifier", part="classification"), Code("first_tokens", part="classification"),
           Code("linear", ("y = x @", "return y"), part="classification", module="classifier", twin="linear")),
          "python examples/lecture/06_classify.py", "tests/models/test_heads.py::test_the_loss_is_that_of_the_logits"),
    Entry("tagging", ("tags",),
          (Code("tag_batch", part="tagged"),
           Code("tagger", ("logits = self.classifier", "return self.output"), part="tagged")),
          "python examples/lecture/07_tag.py", "tests/tasks/test_tagging.py::test_a_batch"),
    Entry("inference", ("inferred",),
          (Code("classifier", part="inference"),),
          "python examples/lecture/08_infer.py", "tests/tasks/test_classification.py::test_a_batch"),
    Entry("answer", ("answer",),
          (Code("answers", ("h = self.body.encode", "return self.output"), part="answer"),
           Code("linear", ("y = x @", "return y"), part="answer", module="qa_outputs", twin="linear"),
           Code("column", ("return x[", "return x["), part="answer")),
          "python examples/lecture/09_answer.py", "tests/tasks/squad/test_answers.py::test_one_window_by_hand",
          "answers"),
    Entry("windows", ("windows",),
          (Code("cut_windows", ("windows = [", "return windows"), part="windows"),
           Code("window_label", part="windows")),
          "python examples/lecture/10_windows.py",
          "tests/tasks/squad/test_windows.py::test_every_token_is_in_a_window_and_every_window_is_needed", "answers"),
    Entry("homework", (), (Code("span_scores", part="windows"),),
          "python -m numbert.tasks.squad --help", "tests/tasks/squad/test_answers.py::test_against_plain_loops",
          "answers"),

    Entry("encoder", ("encoder",), (Code("layer", part="pretraining", module="layers.0"),),
          "python examples/bert_on_one_page.py", "tests/test_layers.py::test_transformer_layer"),
    Entry("embeddings", ("embeddings",),
          (Code("embeddings", part="pretraining", module="embeddings"),
           Code("take", ("return table", "return table"), part="pretraining", module="embeddings.word", twin="take")),
          "python -m numbert.trace \"the cat sat on the mat\"", "tests/test_ops.py::test_take_with_repeated_ids"),
    Entry("linear", ("linear",),
          (Code("linear", ("y = x @", "return y"), part="pretraining", module="layers.0.attention.query",
                twin="linear"),),
          "python -m numbert.gradcheck", "tests/test_ops.py::test_linear"),
    Entry("attention", ("attention",),
          (Code("self_attention", ("key, value = self.key(x)", "return self.output"), part="pretraining",
                module="layers.0.attention"),
           Code("attention", ("out, looks =", "return "), part="pretraining", module="layers.0.attention",
                twin="attention"),
           Code("attention_probs", part="pretraining", module="layers.0.attention"),
           Code("softmax", part="pretraining", twin="softmax")),
          "python examples/lecture/19_three_masks.py", "tests/test_ops.py::test_attention", "attention"),
    Entry("residual", ("residual",),
          (Code("add", ("return x + y", "return x + y"), part="pretraining", module="layers.0"),),
          "python -m numbert.gradcheck", "tests/test_ops.py::test_add"),
    Entry("layer-norm", ("layer_norm",),
          (Code("layer_norm", ("centred = x", "return y"), part="pretraining", module="layers.0.attention_norm",
                twin="layer_norm"),),
          "python -m numbert.gradcheck", "tests/test_ops.py::test_layer_norm", "layer_norm"),
    Entry("gelu", ("gelu",),
          (Code("feed_forward", part="pretraining", module="layers.0.feed_forward"),
           Code("gelu", part="pretraining", module="layers.0.feed_forward", twin="gelu")),
          "python -m numbert.gradcheck", "tests/test_ops.py::test_gelu_by_hand"),
    Entry("backward", ("graph",),
          (Code("walk", ("nodes = sorted(", "total[parent] = accumulate"), part="graph"),
           Code("accumulate", part="graph")),
          "python examples/bug_hunt.py", "tests/gradcheck/test_gradcheck.py::test_all_mutants_are_found"),
    Entry("adamw", ("adamw",), (Code("adamw", part="optimizer", twin="adamw"),),
          "python examples/pretrain.py", "tests/training/test_optimizer.py::test_adamw", "adamw"),
    Entry("gpt", ("gpt", "gpt_attention"),
          (Code("gpt_labels", ("labels = packed.labels", "return {"), part="gpt"), Code("causal", part="gpt")),
          "python examples/lecture/17_complete.py",
          "tests/models/test_gpt2.py::test_a_changed_future_token_never_changes_an_earlier_output"),
)

# Questions that students ask in public, and the card that answers each: a test finds every answer in both languages.
QUESTIONS = {
    "one-start-vector": "answer", "why-keep": "masking", "why-not-only-mask": "masking",
             "cls-or-mean": "classification",
    "which-tokens": "cross-entropy", "ignore-and-zero": "cross-entropy", "is-my-loss-normal": "cross-entropy",
    "nsp-at-once": "nsp", "why-add": "embeddings", "do-all-move": "fine-tuning", "newly-initialised": "fine-tuning",
    "p-minus-y": "cross-entropy", "jacobian": "layer-norm", "topological": "backward", "stride": "windows",
    "minus-infinity": "attention", "key-bias": "attention", "collapse": "classification",
}
