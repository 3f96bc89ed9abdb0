# %% [markdown]
"""A language of molecules: a real ALBERT, trained on chemical reactions, fills in blanks in reactions.

    pip install --no-deps rxnmapper==0.4.3           brings the weights (3 MB), as files, without PyTorch
    python examples/use/chemistry.py
    python examples/use/chemistry.py --model FOLDER  an ALBERT for reaction SMILES in the Hugging Face format

SMILES is a way to write a molecule as a line of text: CCO is ethanol, carbon to carbon to oxygen. Digits close rings,
brackets open branches, small letters are aromatic atoms, a dot stands between molecules (this model's texts have ~
between the ions of a salt) and >> between what goes in and what comes out. To guess a hidden symbol, one must know the
grammar (rings that were opened are closed) and some chemistry (the atoms of the product were in the reactants). Nobody
told this model either: it was only trained to guess hidden symbols.
Source: Schwaller et al. 2021, Extraction of organic chemistry grammar from unsupervised learning of chemical reactions.
"""
# %%
import argparse
import importlib.util
import math
import re
from pathlib import Path

import numpy as np

from numbert import AlbertForMaskedLM, no_grad
from numbert.hub import files
from numbert.lab import laboratory, svg
from numbert.training import command

REACTIONS = {
    "esterification": "CCO.CC(=O)O>>CCOC(C)=O",
    "amide from an acid chloride": "CC(=O)Cl.Nc1ccccc1>>CC(=O)Nc1ccccc1",
    "reduction of a ketone": "CC(=O)c1ccccc1.[BH4-]~[Na+].CO>>CC(O)c1ccccc1",
    "Suzuki coupling": "Brc1ccccc1.OB(O)c1ccncc1>>c1ccc(-c2ccncc2)cc1",
    "reductive amination": "O=Cc1ccccc1.C1CCNCC1.CC(=O)O>>c1ccc(CN2CCCCC2)cc1",
    "removal of a Boc group": "CC(C)(C)OC(=O)N1CCN(c2ccccc2)CC1.Cl>>c1ccc(N2CCNCC2)cc1",
    "alkylation of a phenol": "COc1ccc(O)cc1.BrCc1ccccc1.O=C([O-])[O-]~[K+]~[K+]>>COc1ccc(OCc2ccccc2)cc1",
    "hydrolysis of an ester": "COC(=O)c1ccc(Br)cc1.[OH-]~[Na+].C1CCOC1>>O=C(O)c1ccc(Br)cc1",
    "reduction of a nitro group": "Cc1ccc([N+](=O)[O-])cc1.[Fe].CC(=O)O>>Cc1ccc(N)cc1",
    "sulfonamide": "Cc1ccc(S(=O)(=O)Cl)cc1.NCc1ccccc1>>Cc1ccc(S(=O)(=O)NCc2ccccc2)cc1",
}
SYMBOL = re.compile(r"\[[^\]]+\]|Br|Cl|>>|%\d\d|.")      # in brackets, two letters, the arrow, a ring above 9

parser = argparse.ArgumentParser(prog="chemistry.py", description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--model", help="a folder with config.json, weights and vocab.txt (default: the package above)")
parser.add_argument("--out", default="runs/chemistry", help="where the picture goes (default: %(default)s)")
parser.add_argument("--quick", dest="few", action="store_true", help="only the first three reactions")
options, _ = command.begin(parser)

# %% One reaction, each of its symbols hidden once
# The tokenizer is a regular expression, and a vocabulary with a symbol in each line. Each symbol is hidden once, all
# the others are shown.


def packaged():
    """The folder inside the package rxnmapper; its code is not imported."""
    found = importlib.util.find_spec("rxnmapper")
    if found is None:
        raise ValueError("no model: pip install --no-deps rxnmapper==0.4.3, or --model FOLDER")
    return Path(found.submodule_search_locations[0]) / "models" / "transformers" / "albert_heads_8_uspto_all_1310k"


class SmilesTokenizer:
    def __init__(self, folder):
        self.tokens = files.read_text(Path(folder) / "vocab.txt").split("\n")
        self.ids = {token: i for i, token in enumerate(self.tokens)}

    def __call__(self, smiles):
        """The ids (T,) of [CLS], the symbols, [SEP]."""
        symbols = ["[CLS]", *SYMBOL.findall(smiles), "[SEP]"]
        return np.array([self.ids.get(symbol, self.ids["[UNK]"]) for symbol in symbols])


def guesses(model, tokenizer, smiles):
    """(ids (T,), the model's probabilities (T - 2, V) for each hidden symbol)."""
    ids = tokenizer(smiles)
    places = np.arange(1, len(ids) - 1)
    hidden = np.repeat(ids[None], len(places), axis=0)                      # a batch: one copy for each blank
    hidden[np.arange(len(places)), places] = tokenizer.ids["[MASK]"]
    labels = np.where(hidden == tokenizer.ids["[MASK]"], ids, -100)         # asks for the logits of the blanks only
    with no_grad():
        logits = model(hidden, labels=labels).logits.data.astype(np.float64)
    probs = np.exp(logits - logits.max(-1, keepdims=True))
    return ids, probs / probs.sum(-1, keepdims=True)


folder = options.model or packaged()
model, tokenizer = AlbertForMaskedLM.from_pretrained(folder), SmilesTokenizer(folder)
results = laboratory.Results(options)
size, c = sum(p.data.size for p in model.parameters()), model.config
print(f"{size:,} parameters: word vectors of width {c.embedding_size}; {len(model.body.layers)} layer of width "
      f"{c.hidden_size} is applied {len(model.body.sequence())} times\n")


def with_blank(ids, t):
    """The text with its symbol t as a blank."""
    return "".join(tokenizer.tokens[i] if n != t else " _ " for n, i in enumerate(ids[1:-1]))


ids, probs = guesses(model, tokenizer, REACTIONS["esterification"])
print(f"{'the blank':26}{'hidden':8}{'p(it)':>6}{'-ln p':>7}   the 3 best guesses")
for t, shares in enumerate(probs):
    right, best = ids[t + 1], np.argsort(-shares)[:3]
    print(f"{with_blank(ids, t):26}{tokenizer.tokens[right]:8}{shares[right]:6.3f}{-math.log(shares[right]):7.3f}   "
          + ", ".join(f"{tokenizer.tokens[i]} {shares[i]:.3f}" for i in best))

# %% Ten reactions
found, shares_found = {"up to the arrow": [], "in the products": []}, {}
for name, smiles in list(REACTIONS.items())[:3 if options.few else None]:
    ids, probs = guesses(model, tokenizer, smiles)
    best = probs[:, :len(tokenizer.tokens)].argmax(-1)
    hits = best == ids[1:-1]
    arrow = int(np.flatnonzero(ids == tokenizer.ids[">>"])[0])
    found["up to the arrow"] += hits[:arrow].tolist()
    found["in the products"] += hits[arrow:].tolist()
    shares_found[name] = hits.mean()
    print(f"\n{name}: {smiles}\n  {hits.sum()} of {len(hits)} hidden symbols found")
    for t in np.flatnonzero(~hits):
        print(f"    {with_blank(ids, t)}: {tokenizer.tokens[ids[t + 1]]} hidden ({probs[t, ids[t + 1]]:.0%}), "
              f"{tokenizer.tokens[best[t]]} guessed ({probs[t, best[t]]:.0%})")
print()
for where, hits in (found | {"in all": sum(found.values(), [])}).items():
    print(f"{sum(hits)} of {len(hits)} hidden symbols {where} found: {np.mean(hits):.1%}")

# %% The picture
results.add(found=found, by_reaction=shares_found)
results.draw("found", [svg.bars("Hidden symbols that are found, by reaction", "share", {"found": shares_found})])

# %% The takeaway
# What the rest of the line decides (rings, brackets, the atoms of a product) can be known; what helps a reaction, an
# ion or a solvent, often could be another, and so could chlorine be bromine. Look at the mistakes: of which
# kind are they?
laboratory.end(
    options, "a model that only filled in blanks finds " + " and ".join(
        f"{np.mean(hits):.1%} of the symbols {where}" for where, hits in found.items()) + ".",
    "reactions of your own in REACTIONS; one with an atom too many in the product; two symbols hidden at once.")
