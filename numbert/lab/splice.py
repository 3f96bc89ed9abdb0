"""Splice junctions, stretches of DNA with three classes: made up here, or read from a file, and as words.

    (training, development, test), names = splits((500, 250, 500), rng)     # [("CCAGGTAAGT...", "EI"), ...]
    as_words("AC", random_words(tokenizer, rng))                            # "garden hungry"
"""
import csv
import io

from ..hub import files

LETTERS = "ACGT"


def made_up(n, rng, length=60):
    """[(sequence, label), ...]: random letters, and in two of three classes a signal near the middle."""
    found = []
    for _ in range(n):
        letters = list(rng.choice(list(LETTERS), length))
        label = ("EI", "IE", "N")[rng.integers(3)]
        signal = {"EI": "MAGGTRAGT", "IE": "YYYYYYYYNCAGG", "N": ""}[label]
        start = length // 2 - len(signal) // 2 + int(rng.integers(-10, 11))
        for place, one in enumerate(signal, start):
            if rng.random() < 0.85:                     # nature is not strict
                letters[place] = rng.choice(list({"R": "AG", "Y": "CT", "M": "AC", "N": LETTERS}.get(one, one)))
        found.append(("".join(letters), label))
    return found


def read(path):
    """[(sequence, label), ...] of a file with a header and lines of label, name, sequence."""
    found = []
    for number, row in enumerate(csv.reader(io.StringIO(files.read_text(path))), 1):
        if number > 1 and row:
            if len(row) != 3 or not row[2].strip().isalpha():
                raise ValueError(f"{path}: line {number} is not label, name, sequence: {row}")
            found.append((row[2].strip().upper(), row[0].strip()))
    return found


def splits(sizes, rng, path=None):
    """(Training, development and test sequences, the names of the classes): as many as `sizes` (3,) says, drawn from a
    file or made up. No sequence occurs twice. Raises ValueError where there are not so many."""
    pool = list(dict(read(path) if path else made_up(2 * sum(sizes), rng)).items())
    if len(pool) < sum(sizes):
        raise ValueError(f"{len(pool)} different sequences are fewer than the {sizes[0]} to learn from, {sizes[1]} to "
                         f"choose by and {sizes[2]} to report on")
    pool = [pool[i] for i in rng.permutation(len(pool))[:sum(sizes)]]
    first, second = sizes[0], sizes[0] + sizes[1]
    return (pool[:first], pool[first:second], pool[second:]), sorted({label for _, label in pool})


def random_words(tokenizer, rng):
    """{letter: a word of the tokenizer's}, four different ones."""
    drawn = rng.choice([word for word in tokenizer.tokens if word.isalpha()], 4, replace=False)
    return dict(zip(LETTERS, drawn.tolist(), strict=True))


def as_words(sequence, words):
    """ "AC" -> "garden hungry". A letter for which there is no word (N: any of the four) becomes [UNK]."""
    return " ".join(words.get(letter, "?!") for letter in sequence)
