"""Bugs in the network: what is computed from a batch, and its gradient.

Where a wrong forward pass was met in a framework with automatic differentiation, the gradient was that of the wrong
function, and right for it. So the backward pass is bent with it here, and a gradient check finds nothing: it asks
whether two passes fit together, not whether they are right. (Only the unbiased variance gives itself away, at width 1,
where n - 1 = 0.)
"""
from numbert import layers, packing, sparse
from numbert.models import bert, gpt2, roberta
from numbert.ops import attention, causal, dropout, layer_norm, losses
from numbert.ops.attention import _probs, softmax, split_heads

from .exhibit import Bug, Edit

BUGS = [
    Bug("layer norm with the unbiased variance",
        "Training looks as always. Weights of another implementation, loaded here, give slightly different numbers.",
        "torch.std divides by n - 1 unless told otherwise, and a layer norm written with it was copied from tutorial "
        "to tutorial: codertimo/BERT-pytorch issue 30, harvardnlp/annotated-transformer pull request 119. The "
        "narrower the model, the more it matters: a factor of 1.016 at width 32, 1.0007 at 768.",
        (Edit(layer_norm.forward, "/ x.shape[-1] ", "/ (x.shape[-1] - 1) "),
         Edit(layer_norm.backward, "/ dy.shape[-1]", "/ (dy.shape[-1] - 1)")),
        "layer_norm_is_the_printed_formula"),
    Bug("layer norm with eps outside the root",
        "Training looks as always. Rows that hardly vary come out too small.",
        "x / (std + eps) in place of x / √(variance + eps): hyunwoongko/transformer issue 7, "
        "hkproj/pytorch-transformer pull request 31. With BERT's eps of 1e-12 nobody can tell; with a larger one the "
        "model is another.",
        (Edit(layer_norm.forward, "1 / np.sqrt(variance + eps)", "1 / (np.sqrt(variance) + eps)"),),
        "layer_norm_is_the_printed_formula"),
    Bug("the gain moves before it is used",
        "Training looks almost as always. Evaluating the gradient twice gives two answers.",
        "Networks written by hand like to update a layer's parameters inside its backward pass. Whoever does so "
        "before dx is computed, sends back a gradient through weights that the forward pass never saw.",
        (Edit(layer_norm.backward, "    dxhat = dy * gain ", "    gain -= 0.001 * dgain\n    dxhat = dy * gain "),),
        "a_backward_pass_changes_nothing_it_was_given"),
    Bug("softmax over the wrong axis of attention",
        "The reported loss is almost as usual. Right code makes less of the weights.",
        "dim=1 or dim=2 where there are four axes. labmlai/annotated_deep_learning_paper_implementations issue 146 "
        "had it in a diffusion model, and measured no difference in the quality of its pictures.",
        (Edit(_probs, "softmax(scores)", "softmax(scores.swapaxes(-1, -2)).swapaxes(-1, -2)"),
         Edit(attention.backward, "probs * np.vecdot(do, o)[..., None]", "probs * dscores.sum(-2, keepdims=True)")),
        "attention_is_the_printed_formula"),
    Bug("scores scaled twice",
        "Attention is flatter than it should be. The loss hardly minds: the weights grow until it is sharp again.",
        "The query is divided by √K in the layer, and the product by √K again in the function that the layer calls. "
        "It comes with a change to a fused attention function that scales on its own.",
        (Edit(_probs, "@ k.swapaxes(-1, -2)", "@ (k / math.sqrt(k.shape[-1])).swapaxes(-1, -2)"),
         Edit(attention.backward, "dscores *= scale ", "dscores *= scale * scale ")),
        "attention_is_the_printed_formula"),
    Bug("scores scaled by the width of the model",
        "Nothing. With one head there is no difference at all.",
        "√D in place of √(D / H): lucidrains/vit-pytorch issue 65, whose author calls it a rookie mistake after "
        "nearly a year of coding attention; also omihub777/ViT-CIFAR pull request 12.",
        (Edit(_probs, "math.sqrt(q.shape[-1])", "math.sqrt(query.shape[-1])"),
         Edit(attention.backward, "query.shape[-1] // heads", "query.shape[-1]")),
        "attention_is_the_printed_formula"),
    Bug("heads cut by reshape alone",
        "All shapes are right, and the reported loss is hardly higher. Right code makes much less of the weights.",
        "view(B, H, T, K) in place of view(B, T, H, K).transpose(1, 2): every head then holds all of some tokens "
        "instead of some of every token. reczoo/FuxiCTR issue 30; on the way out in jsbaan/transformer-from-scratch "
        "pull request 6, whose copying test passed all the same.",
        (Edit(split_heads, "rows.reshape(count, -1, heads, rows.shape[-1] // heads).transpose(0, 2, 1, 3)",
              "rows.reshape(count, heads, -1, rows.shape[-1] // heads)"),),
        "attention_is_the_printed_formula"),
    Bug("softmax without subtracting the largest",
        "Nothing, for as long as scores are small. Then NaN, in the middle of a long run.",
        "exp(x) / Σ exp(x), as it stands in the textbook. In float32 exp(89) is infinity.",
        (Edit(softmax, "    x -= largest\n", ""),),
        "large_scores_do_no_harm"),
    Bug("the causal mask multiplies the scores",
        "The loss of a left-to-right model is a little higher: it looks into the future without being able to choose.",
        "A score of 0 is not \"unseen\": softmax gives it exp(0) = 1 of weight. georg-wolflein/good-features pull "
        "request 1; awslabs/gluonts pull request 1401 had +1e-9 where -1e9 was meant.",
        (Edit(_probs, "] = -np.inf", "] *= 0"),),
        "the_future_is_not_seen", "gpt"),
    Bug("the mask adds -10,000",
        "Nothing, for as long as scores stay small. Only one very large score walks through it.",
        "Google's BERT adds -10000 to the scores of padding, and it went on from there into many others. It is a "
        "preference, not a mask.",
        (Edit(_probs, "] = -np.inf", "] -= 10_000"),),
        "large_scores_do_no_harm", "gpt"),
    Bug("the causal mask is off by one",
        "The loss of a left-to-right model falls as no such loss can. It has nothing to say when it has to write.",
        "triu or tril, diagonal 0 or 1, True for hidden or True for seen: two of the eight ways are right, and a "
        "token that sees the next one has nothing to learn but to copy it.",
        (Edit(causal, "<= query_positions", "<= 1 + query_positions"),),
        "the_future_is_not_seen", "gpt"),
    Bug("labels are not shifted",
        "The loss of a left-to-right model falls to almost nothing in a few dozen steps.",
        "Every token is asked for itself, which it sees: huggingface/transformers pull request 404 found both GPT "
        "heads like that. Shifting in the data as well as in the model is its twin (pull request 562).",
        (Edit(gpt2.GPT2LMHeadModel.targets, "np.append(labels[1:], ops.IGNORE)[:len(labels)]", "labels.copy()"),),
        "a_token_is_asked_for_the_next_one", "gpt"),
    Bug("padding is attended to",
        "Hardly anything. A text's answer depends on how long its batch-mates are.",
        "The attention mask is an argument that may be left out, and then everything is text. Nothing fails.",
        (Edit(packing.pack, "real = attention_mask == 1", "real = np.ones(shape, bool)"),
         Edit(packing.pack, "    if not (real | (attention_mask == 0)).all():",
              "    if not ((attention_mask == 1) | (attention_mask == 0)).all():")),
        "padding_changes_nothing"),
    Bug("dropout does not rescale what it keeps",
        "The reported loss is as usual. Without dropout, when it counts, every sum is larger than in training.",
        "The first paper on dropout scales at test time, later code in training. Taking one half from each leaves no "
        "scaling at all; lmjohns3/theanets pull request 123 is a relative, scaled by the wrong share.",
        (Edit(dropout.forward, "1 / (1 - rate)", "1.0"),),
        "dropout_keeps_the_mean"),
    Bug("dropout also when nobody learns",
        "Training is as always. The model gives another answer every time it is asked, or a worse one.",
        "model.eval() was forgotten. There is no such switch here: dropout is on if a generator is given.",
        (Edit(dropout.forward, "    if rng is None or rate == 0:\n",
              "    rng = np.random.default_rng(0) if rng is None else rng\n    if rate == 0:\n"),),
        "without_a_generator_nothing_is_dropped"),
    Bug("tied weights get one gradient",
        "The loss falls more slowly: words are learnt where they are read, not where they are guessed.",
        "The word embeddings are used twice, and have the sum of two gradients. Where the second matrix is a copy, "
        "each gets its own; where it is detached, one is lost: paiml/entrenar issue 314.",
        (Edit(bert.MaskedLMHead.decoding, "(h, words, self.bias)", "(h, words.data, self.bias)"),),
        "the_gradients_of_the_models"),
    Bug("repeated ids keep one gradient",
        "The loss falls more slowly: of a word that stands ten times in a batch, one counts.",
        "g[ids] += d adds once for each id, however often it is listed. HIPS/autograd issue 39, pytorch/pytorch issue "
        "1528, apache/mxnet issue 9172, piskvorky/gensim issue 242.",
        (Edit(sparse.SparseRows.add_to, "table[once.ids] += once.values", "table[self.ids] += self.values"),),
        "the_gradients_of_the_ops"),
    Bug("embeddings start with variance 1",
        "The loss starts far above ln V, the loss of not knowing anything, and spends its first steps coming down.",
        "torch.nn.Embedding draws from N(0, 1) if it is left alone, and tied to the decoder that makes huge logits: "
        "pytorch/pytorch issue 3121; a first loss above 3,000 in syncdoth/RetNet issue 31.",
        (Edit(layers.Embedding.__init__, "(entries, size), std,", "(entries, size), 1.0,"),),
        "the_first_loss_is_that_of_not_knowing"),
    Bug("positions count from 0 in RoBERTa",
        "Training is as always. A published checkpoint, loaded, is worse than it should be, and no error says so.",
        "RoBERTa's positions begin behind the padding id, at 2 in the published models. sbryngelson/ANEForge pull "
        "request 257 (0.65 in place of 1.00 cosine), huggingface/sentence-transformers pull request 3879.",
        (Edit(roberta.RobertaModel.positions, "self.config.pad_token_id + np.cumsum(real, axis=1) * real",
              "(np.cumsum(real, axis=1) - 1) * real"),),
        "roberta_counts_from_behind_the_padding_id", "roberta"),
    Bug("the label -100 is taken for class V - 100",
        "The loss falls far too low: most tokens have the same answer, a word that is not even there.",
        "An index of -100 counts from the end, in NumPy and in PyTorch alike, and complains only if there are fewer "
        "classes. The sentinel itself has changed: huggingface/transformers issue 2759 had -1 on one side, -100 on "
        "the other.",
        (Edit(losses.labelled_rows, "np.flatnonzero(labels != IGNORE)", "np.arange(len(labels))"),
         Edit(losses.labelled_rows, "not (0 <= labels.min() and labels.max() < classes)", "labels.max() >= classes"),
         Edit(losses.label_count, "(labels != IGNORE).sum()", "labels.size"),
         Edit(bert.BertForPreTraining.read, 'np.flatnonzero(targets["mlm"] != ops.IGNORE)',
              'np.arange(len(targets["mlm"]))')),
        "cross_entropy_is_the_printed_formula"),
    Bug("the padding id is ignored as a label, everywhere",
        "The loss of the sentence task falls to nothing, and the share of right answers stays at a half.",
        "Padding is 0, so the loss ignores label 0; and the same loss is used for next-sentence prediction, where 0 "
        "is a class. codertimo/BERT-pytorch issues 32, 49 and 98.",
        (Edit(losses.labelled_rows, "(labels != IGNORE)", "((labels != IGNORE) & (labels != 0))"),),
        "cross_entropy_is_the_printed_formula"),
]
