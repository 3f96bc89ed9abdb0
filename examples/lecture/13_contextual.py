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
import time

import numpy as np

from numbert import AutoModel, AutoTokenizer, BertForPreTraining
from numbert.hub import files
from numbert.lab import instance, laboratory, svg
from numbert.lab.bodies import Recipe, config_of, learn
from numbert.lab.lesson import Lesson, step_seconds
from numbert.lab.two_senses import (
    BASELINE,
    CHANCE,
    NAMES,
    TEN,
    WORD,
    cbow,
    cosines,
    layer_vectors,
    made_up,
    separation,
    static_vectors,
    tokenizer_of,
)
from numbert.ops import IGNORE
from numbert.pretraining.batches import PretrainingData
from numbert.training.seeds import Seeds, plural, table

QUICK = {"steps": 15, "cbow_steps": 15, "sentences": 300, "width": 32, "seeds": 1}
CASES = [("en", "token"), ("zh", "token"), ("zh", "ngram")]    # what is hidden together: PretrainingData's mask_unit

parser = laboratory.arguments(__doc__, name="contextual", quick=QUICK, least={"seeds": 2, "steps": 100}, claim="apples",
                              steps=500, sentences=3000, width=64, layers=3,
                              cbow_steps=300, seeds=5)
parser.add_argument("--model", metavar="FOLDER", help="look at this model, of any family, and its tokenizer instead; "
                    "nothing is trained")
parser.add_argument("--languages", nargs="+", choices=list(WORD), help="(default: en zh; with --model en)")
options, workers = laboratory.begin(parser)
languages = options.languages or (["en"] if options.model else list(WORD))
lesson, results = Lesson(options), laboratory.Results(options)

# %% One word in two sentences: its vector in each, layer by layer


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

# %% What CBOW's one vector is near to: other fruits, or other companies


def likenesses(vectors, tokenizer, language):
    """{"fruits", "companies": the mean cosine of the word with the others of each kind}."""
    def of(name):
        return vectors[tokenizer.encode_batch([name], add_special_tokens=False)[0]].mean(0)
    word = WORD[language]
    return {kind: float(np.mean([cosines(np.stack([of(word), of(name)]))[0, 1] for name in names if name != word]))
            for kind, names in zip(("fruits", "companies"), NAMES[language], strict=True)}


# %% The experiment: BERT and CBOW learn from the same sentences
# `separation` says of a map whether two squares stand out: the gap between the mean cosine within a sense and across.


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
