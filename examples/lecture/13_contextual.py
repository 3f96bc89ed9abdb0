# %% [markdown]
"""One word, two senses: does BERT tell the apple that one eats from the Apple that makes phones (吃苹果, 苹果手机)?

    python examples/lecture/13_contextual.py                 two minutes: BERTs and CBOWs, English and Chinese
    python examples/lecture/13_contextual.py --model FOLDER  a real BERT (--languages zh: a Chinese one)

Ten sentences have the word in them, five in each sense. A vector of the word is taken from every sentence, in every
layer, and the cosine of every two of them is drawn: a map of ten times ten. If the layer knows the senses, two squares
stand out. Beside it stands CBOW (Mikolov et al. 2013, "Efficient Estimation of Word Representations in Vector Space",
section 3.1), trained on the same sentences: a word is guessed from the mean of the vectors around it. That table has
one row for a word, so its map is 1 everywhere, and no training can change that.

The models learn from sentences made up here, in which other fruits and other companies stand in the same places. None
of the ten is among them, no two of the ten in one sense share a word of meaning, and the word stands at the same places
in both senses: the similarity must be learnt.

In Chinese the word is two tokens, 苹 and 果. When one of them is hidden, the other gives it away, whatever the sense.
So there the models are trained twice: with single tokens hidden, and with runs of up to three (as in whole word
masking, 全词 mask: what belongs together is hidden together).
"""
# %%
import re
import time

import numpy as np

from numbert import AutoModel, AutoTokenizer, BertForPreTraining, WordPieceTokenizer
from numbert.autograd import gradients
from numbert.hub import files
from numbert.lab import instance, laboratory, svg
from numbert.lab.bodies import Recipe, config_of, learn
from numbert.lab.lesson import Lesson, step_seconds
from numbert.module import Parameter
from numbert.ops import IGNORE, cross_entropy, linear
from numbert.pretraining.batches import PretrainingData
from numbert.recording import no_grad
from numbert.tokenizers.wordpiece import SPECIAL_TOKENS
from numbert.training.optimizer import AdamW, linear_schedule
from numbert.training.seeds import Seeds, plural, table

QUICK = {"steps": 15, "cbow_steps": 15, "sentences": 300, "width": 32, "seeds": 1}
CASES = [("en", "token"), ("zh", "token"), ("zh", "ngram")]    # what is hidden together: PretrainingData's mask_unit
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

parser = laboratory.arguments(__doc__, name="contextual", quick=QUICK, least={"seeds": 2, "steps": 100},
                              steps=500, sentences=3000, width=64, layers=3,
                              cbow_steps=300, seeds=5)
parser.add_argument("--model", metavar="FOLDER", help="look at this model, of any family, and its tokenizer instead; "
                    "nothing is trained")
parser.add_argument("--languages", nargs="+", choices=list(WORD), help="(default: en zh; with --model en)")
options, workers = laboratory.begin(parser)
languages = options.languages or (["en"] if options.model else list(WORD))
lesson, results = Lesson(options), laboratory.Results(options)

# %% One word in two sentences: its vector in each, layer by layer


def tokenizer_of(language):
    """Every word of the frames (every character, in Chinese) is one entry."""
    texts = [*TIMES[language], *(one for sense in (*FRAMES[language], *NAMES[language]) for one in sense)]
    words = {word for text in texts for word in WordPieceTokenizer([]).normaliser.words(re.sub(r"[(|)X]", " ", text))}
    return WordPieceTokenizer([*SPECIAL_TOKENS.values(), *sorted(words)])


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


def recipe_of(options, seed):
    return Recipe(objective="mlm", steps=options.steps, batch_size=32, layers=options.layers, width=options.width,
                  lr=5e-3, seed=seed)


language, word = languages[0], WORD[languages[0]]
fruit, company = TEN[language][0], TEN[language][5]
if options.model:
    body, tokenizer = AutoModel.from_pretrained(options.model), AutoTokenizer.from_pretrained(options.model)
else:
    tokenizer = tokenizer_of(language)
    model = BertForPreTraining(config_of(recipe_of(options, 0), len(tokenizer)), rng=np.random.default_rng(0))
    body, encoding = model.body, tokenizer(fruit)
    ids = np.array(encoding.input_ids)
    asked = np.isin(ids, tokenizer.encode_batch([word], add_special_tokens=False)[0])
    print(f"How it learns: {word!r} is hidden, and must be guessed. A network that has learnt nothing says:\n\n"
          f"{' '.join(np.where(asked, '[MASK]', encoding.tokens))}\n\n" + instance.hidden_words(
              model, tokenizer, np.where(asked, tokenizer.mask_token_id, ids), np.where(asked, ids, IGNORE)) + "\n")
vectors = layer_vectors(body, tokenizer, [fruit, company], word)                    # (1 + L, 2, D)
print(f"The vector of {word!r}, the first 3 of its {vectors.shape[-1]} numbers, in\n"
      f"  a fruit    {' '.join(tokenizer(fruit).tokens)}\n  a company  {' '.join(tokenizer(company).tokens)}\n\n"
      f"{'':9}{'a fruit':>24}{'a company':>27}{'cosine':>11}")
for number, two in enumerate(vectors):
    print(f"layer {number:<3}" + "   ".join("".join(f"{x:>8.3f}" for x in vector[:3]) for vector in two)
          + f"{cosines(two)[0, 1]:>11.3f}")
print("In a table with one vector for a word, both are the same, and the cosine is 1.\n")

# %% Sentences to learn from


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


# %% Two squares? What a map of ten times ten says


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


# %% CBOW: a word is guessed from the mean of the two on each side


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


def likenesses(vectors, tokenizer, language):
    """{"fruits", "companies": the mean cosine of the word with the others of each kind}."""
    def of(name):
        return vectors[tokenizer.encode_batch([name], add_special_tokens=False)[0]].mean(0)
    word = WORD[language]
    return {kind: float(np.mean([cosines(np.stack([of(word), of(name)]))[0, 1] for name in names if name != word]))
            for kind, names in zip(("fruits", "companies"), NAMES[language], strict=True)}


# %% The experiment


def maps_of(language, unit, seed, options, workers):
    """({row of the table: map (10, 10)}, CBOW's `likenesses`) of one training."""
    sentences = made_up(options.sentences, language, np.random.default_rng([7, seed, 1]))
    tokenizer, word, ten = tokenizer_of(language), WORD[language], TEN[language]
    recipe = recipe_of(options, seed)
    if not seed:
        print(f"\n{language}, hidden: {unit}; {len(sentences)} sentences such as {sentences[0]!r}", flush=True)
    data, held = (PretrainingData([[text] for text in part], tokenizer, objective="mlm", max_length=32, mask_rate=0.25,
                                  mask_unit=unit, seed=seed) for part in (sentences[100:], sentences[:100]))
    model = BertForPreTraining(config_of(recipe, len(tokenizer)), rng=np.random.default_rng(seed))
    before = layer_vectors(model.body, tokenizer, ten, word)
    for record in learn(model, data, list(held.evaluation_batches()), recipe, workers, points=1):
        print(f"seed {seed}: {record['mlm_accuracy']:.0%} of the hidden tokens of new sentences are restored",
              flush=True)
    maps = {f"layer {number}": cosines(vectors)
            for number, vectors in enumerate(layer_vectors(model.body, tokenizer, ten, word))}
    maps |= {f"untrained, layer {number}": cosines(vectors) for number, vectors in enumerate(before)}
    vectors = cbow(sentences[100:], tokenizer, workers, width=options.width, steps=options.cbow_steps, seed=seed)
    return (maps | {"CBOW": cosines(static_vectors(vectors, tokenizer, ten, word))},
            likenesses(vectors, tokenizer, language))


def layers_of(language):
    """{row of the table: map (10, 10)} of the model that --model names."""
    return {f"layer {number}": cosines(vectors)
            for number, vectors in enumerate(layer_vectors(body, tokenizer, TEN[language], WORD[language]))}


cases = [] if options.model else [case for case in CASES if case[0] in languages]
if cases and (names := lesson.open("seeds", "steps")):
    began = time.perf_counter()
    sentences = made_up(options.sentences, language, np.random.default_rng(0))
    cbow(sentences, tokenizer, workers, width=options.width, steps=options.cbow_steps, seed=0)
    beside = time.perf_counter() - began                                # a seed's sentences, and its CBOW
    data = PretrainingData([[text] for text in sentences], tokenizer, objective="mlm", max_length=32, mask_rate=0.25,
                          seed=0)
    each = step_seconds(model, data.batches(), workers)
    lesson.fit(lambda o: len(cases) * o.seeds * (o.steps * each + beside), *names,
               pace=f"{1 / each:.1f} steps a second")
# a seed: the sentences that are learnt from, the blanks in them, and all first weights
found = {case: [maps_of(*case, seed, options, workers) for seed in range(options.seeds)] for case in cases}
maps = ({language: layers_of(language) for language in languages} if options.model else
        {f"{language}, {unit}": found[language, unit][0][0] for language, unit in cases})       # of the first seed

# %% What came of it
content, differences, last = {}, {}, f"layer {options.layers}"
for language, unit in cases:
    name, runs = f"{language}, {unit}", found[language, unit]
    rows = {row: Seeds([separation(maps[row]) for maps, _ in runs], BASELINE) for row in runs[0][0]}
    print(f"\n{language}, hidden: {unit}; ten sentences with {WORD[language]!r}, "
          f"{plural(options.seeds, 'seed')}:\n\n{table(rows, 'one vector for all')}")
    pairs = {f"{last} against {other}": (rows[last], rows[other])
             for other in ("CBOW", f"untrained, {last}", "layer 1")}
    if name == "zh, ngram":
        pairs["runs hidden against single tokens hidden"] = rows[last], content["zh, token"]["rows"][last]
    differences[name] = laboratory.compare(options, pairs)
    alike = {kind: float(np.mean([likeness[kind] for _, likeness in runs])) for kind in runs[0][1]}
    print(f"\nCBOW's one vector of {WORD[language]!r}: cosine {alike['fruits']:.2f} with other fruits, "
          f"{alike['companies']:.2f} with other companies")
    content[name] = {"rows": rows, "cbow_likeness": alike, "maps_of_seed_0": runs[0][0]}
seen = {language: {layer: separation(matrix) for layer, matrix in maps[language].items()}
        for language in languages if options.model}
for language, layers in seen.items():
    for layer, one in layers.items():
        print(f"{language}  {layer}: " + "  ".join(f"{key} {figure:.3f}" for key, figure in one.items()))
results.add(**seen if options.model else {"cases": content, "differences": differences})

# %% The picture: a map of each layer, and of CBOW
# In which layer do two squares stand out on the diagonal? At layer 0 only the place in the sentence makes a difference.
# The untrained network mixes neighbours, too, but it does not know which of them matter.
pictures = {f"{name}, {row}": svg.heat_map(f"cosine of the word's vectors: {name}, {row}", TEN[name[:2]], matrix)
            for name, rows in maps.items() for row, matrix in rows.items() if "untrained" not in row}
for name, picture in pictures.items():
    files.write_text(results.folder / f"{name.replace(', ', '-').replace(' ', '-')}.svg", picture)
print(f"\nIn {results.folder}: {len(pictures)} maps, of each layer{'' if options.model else ' and of CBOW (seed 0)'}; "
      "open them in a browser")
first = next(iter(maps))
pictures[f"{first}, {[row for row in maps[first] if row.startswith('layer')][-1]}"]

# %% The takeaway
if options.model:
    takeaway = "; ".join(f"{language}: the gap is widest at {max(layers, key=lambda layer: layers[layer]['gap'])}"
                         for language, layers in seen.items()) + "."
    try_next = "your own sentences in TEN, some of which could mean either."
else:
    takeaway = ("the nearest other sentence has the same sense for " + ", ".join(
        f"{one['rows'][last].mean('nearest'):.0%} ({name}; the gap is {one['rows']['layer 1'].mean():+.3f} after layer "
        f"1 and {one['rows'][last].mean():+.3f} after {last})" for name, one in content.items())
        + f"; chance is {CHANCE:.0%}. CBOW's gap is 0, as it must be.")
    try_next = ('--steps 100; a sentence in TEN that could mean either ("she saw the apple"); a word that is only a '
                "fruit (do its ten vectors fall apart, too?); --model with a BERT that has read real text.")
laboratory.end(options, takeaway, try_next)
