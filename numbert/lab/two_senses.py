"""One word with two senses, in sentences made up here: the apple that one eats, and the company (吃苹果, 苹果手机).

    sentences = made_up(3000, "zh", rng)                        # to learn from; none of TEN is among them
    vectors = layer_vectors(model.body, tokenizer_of("zh"), TEN["zh"], WORD["zh"])          # (1 + L, 10, D)
    separation(cosines(vectors[-1]))                            # does the last layer tell the senses apart?
    cbow(sentences, tokenizer, workers, ...)                    # the table that cannot (Mikolov et al. 2013)
"""
import re

import numpy as np

from ..autograd import gradients
from ..module import Parameter
from ..ops import cross_entropy, linear
from ..recording import no_grad
from ..tokenizers.wordpiece import SPECIAL_TOKENS, WordPieceTokenizer
from ..training.optimizer import AdamW, linear_schedule

CHANCE = 4 / 9                      # four of the other nine sentences have the same sense

# A frame says what may stand where; X is a fruit or a company, and the word with two senses is both. Before any of them
# may stand a time, so that the place in the sentence tells no sense: the ten have the word at the same five places in
# both.

WORD = {"en": "apple", "zh": "苹果"}
NAMES = {"en": (["apple", "pear", "banana", "orange", "mango"], ["apple", "google", "nokia", "sony", "dell"]),
         "zh": (["苹果", "香蕉", "橙子", "梨", "芒果"], ["苹果", "谷歌", "小米", "华为", "联想"])}
TIMES = {"en": ["", "then ", "yesterday ", "last week ", "in the morning "],
         "zh": ["", "然后", "昨天", "上周", "前几天"]}
FRAMES = {
    "en": (["(she|he|the boy|the girl) (ate|bit|tasted|swallowed) the (sweet|ripe|sour|juicy) X (for lunch|at home)",
            "(she|he|my mother) (peeled|cut|washed|sliced) the X with (a knife|water|care)",
            "the (red|green|small|fresh) X (fell from|grew on|hung in) the (tree|branch)",
            "(she|he|my mother) (baked|cooked|made) (a cake|a pie|jam) with the X and (sugar|butter|flour)",
            "the X (juice|salad|tart) was (sweet|sour|fresh|juicy)",
            "the farmer (picked|planted|sold) the (ripe|red|fresh) X in the (garden|field|orchard)"],
           ["the (new|fast|cheap|latest) X (phone|computer|tablet) had a (screen|battery|camera)",
            "X (released|announced|presented|launched) the (latest|new) (phone|software|tablet)",
            "the (shares|profits|sales) of X (rose|dropped|doubled)",
            "(customers|workers|engineers) (queued|waited|talked) in the (store|office|factory) of X",
            "(she|he|my boss) (updated|repaired|charged) the X (laptop|phone|computer) with (software|a cable|care)",
            "(investors|lawyers|customers) (sued|praised|trusted) X"]),
    "zh": (["(她|他|男孩|女孩)(吃|咬|尝)了一个(甜|熟|酸|脆)的X",
            "(她|他|妈妈)用(刀|水|手)(削|切|洗)X",
            "(红|绿|新鲜)的X(掉下|长在|挂在)(树|枝头)上",
            "(她|他|妈妈)拿X和(糖|黄油|面粉)(做|烤|煮)(蛋糕|馅饼|果酱)",
            "X(汁|沙拉|派)很(甜|酸|新鲜|好喝)",
            "农民在(花园|田野|果园)里(摘|种|卖)(熟|红|新鲜)的X"],
           ["(新|快|便宜|最新)的X(手机|电脑|平板)有(屏幕|电池|相机)",
            "X(发布|宣布|推出)了(最新|新)的(手机|软件|平板)",
            "X的(销量|利润|股票)(上涨|下跌|翻倍)",
            "(她|他|客户)(买|卖)X的(股票|债券)",
            "(她|他|老板)用(软件|电线|手)(更新|修理|充好)了X(电脑|手机)",
            "(投资者|客户|律师)(起诉|称赞|信任)X"])}

TEN = {
    "en": ["the boy tasted the sour apple at home", "then my mother peeled the apple with a knife",
           "yesterday the red apple hung in the tree", "last week he made jam with the apple and sugar",
           "in the morning the apple salad was juicy",
           "my boss repaired the apple laptop with a cable", "then investors sued apple",
           "yesterday customers queued in the store of apple", "last week the shares of apple dropped",
           "in the morning the cheap apple tablet had a camera"],
    "zh": ["男孩尝了一个脆的苹果", "然后妈妈用刀削苹果", "昨天红的苹果挂在枝头上", "上周苹果沙拉很新鲜",
           "前几天他拿苹果和面粉烤馅饼",
           "老板用电线修理了苹果电脑", "然后投资者起诉苹果", "昨天快的苹果手机有屏幕", "上周苹果推出了最新的软件",
           "前几天他买苹果的股票"]}


def tokenizer_of(language):
    """Every word of the frames (every character, in Chinese) is one entry."""
    texts = [*TIMES[language], *(one for sense in (*FRAMES[language], *NAMES[language]) for one in sense)]
    words = {word for text in texts for word in WordPieceTokenizer([]).normaliser.words(re.sub(r"[(|)X]", " ", text))}
    return WordPieceTokenizer([*SPECIAL_TOKENS.values(), *sorted(words)])


def made_up(count, language, rng):
    """`count` sentences, half about fruits and half about companies, in random order; none of TEN among them."""
    found = []
    while len(found) < count:
        sense = len(found) % 2
        frame = FRAMES[language][sense][rng.integers(len(FRAMES[language][sense]))]
        text = re.sub(r"\(([^)]*)\)", lambda options: str(rng.choice(options[1].split("|"))), frame)
        text = str(rng.choice(TIMES[language])) + text.replace("X", str(rng.choice(NAMES[language][sense])))
        if text not in TEN[language]:
            found.append(text)
    return [found[i] for i in rng.permutation(count)]


def layer_vectors(body, tokenizer, sentences, word):
    """(1 + L, n, D): of each of n sentences the mean vector of the word's tokens, before the first layer (the row of
    the table, with the vector of its place added and normalised) and after each."""
    encodings = [tokenizer(text) for text in sentences]
    packed = body.pack(**body.accepted(tokenizer.pad(encodings)))
    inside = []                                             # of each sentence, the rows of the word's tokens
    for text, encoding, begin in zip(sentences, encodings, packed.starts, strict=False):
        first = text.lower().index(word)
        inside.append([begin + i for i, (start, end) in enumerate(encoding.offsets)
                       if start < first + len(word) and first < end])
    with no_grad():
        x = body.embeddings(packed)
        states = [x.data]
        for layer in body.sequence():
            x = layer(x, packed, mask=body.mask)
            states.append(x.data)
    return np.array([[state[rows].mean(0) for rows in inside] for state in states])


def cosines(vectors):
    """(n, n) of n rows, float64."""
    vectors = np.asarray(vectors, np.float64)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit @ unit.T


def separation(matrix):
    """Of the map of ten, the first five in one sense: {"gap": mean cosine within a sense less that across, "within",
    "across", "nearest": the share of the ten whose nearest other sentence has the same sense}. Where several are
    equally near, each counts in part, so a map that is 1 everywhere has `nearest` 4/9: chance."""
    sense, other = np.arange(10) // 5, ~np.eye(10, dtype=bool)
    same = (sense[:, None] == sense[None, :]) & other
    within, across = float(matrix[same].mean()), float(matrix[~same & other].mean())
    nearest = other & (matrix >= np.where(other, matrix, -2).max(1, keepdims=True) - 1e-6)
    return {"gap": round(within - across, 9) + 0.0,         # no "-0.000" where all are 1
            "nearest": float(((nearest & same).sum(1) / nearest.sum(1)).mean()), "within": within, "across": across}


BASELINE = {"gap": 0.0, "nearest": CHANCE, "within": 1.0, "across": 1.0}       # one vector for a word, whatever it is


def contexts(sentences, tokenizer, reach=2):
    """Of each token of the sentences: the shares (N, V) that the tokens around it have in their mean, its id (N,)."""
    bags, ids = [], []
    for row in tokenizer.encode_batch(sentences, add_special_tokens=False):
        for place, one in enumerate(row):
            around = row[max(0, place - reach):place] + row[place + 1:place + 1 + reach]
            bags.append(np.bincount(around, minlength=len(tokenizer)) / len(around))
            ids.append(one)
    return np.array(bags, np.float32), np.array(ids)


def cbow(sentences, tokenizer, workers, *, width, steps, seed, batch_size=256, lr=0.01):
    """The table of input vectors (V, D). The mean of the rows around a word is a product: bag (N, V) times table."""
    rng, V = np.random.default_rng([seed, 2]), len(tokenizer)
    bags, ids = contexts(sentences, tokenizer)
    inward, outward = (Parameter((0.1 * rng.standard_normal(shape)).astype(np.float32)) for shape in
                       ((width, V), (V, width)))
    zero, bias = np.zeros(width, np.float32), Parameter(np.zeros(V, np.float32))
    optimizer = AdamW([inward, outward, bias], weight_decay=0.0)
    rate = linear_schedule(steps, lr)
    for step in range(steps):
        some = rng.integers(len(ids), size=batch_size)
        loss = cross_entropy(linear(linear(bags[some], inward, zero), outward, bias), labels=ids[some])
        optimizer.step(gradients(loss, optimizer.parameters), rate(step), workers)
    return inward.data.T


def static_vectors(vectors, tokenizer, sentences, word):
    """(n, D): what a table of one row a word has to say about the word in each of n sentences."""
    return np.array([vectors[tokenizer.encode_batch([word], add_special_tokens=False)[0]].mean(0) for _ in sentences])
