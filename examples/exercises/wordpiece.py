"""Exercise: WordPiece, a word to its pieces.

    pytest examples/exercises -k wordpiece

Task. Cut a word greedily: take the longest entry of the vocabulary that the word begins with; then the longest one,
written with ## before it, that the rest begins with; and so on. If at some point there is none, the whole word is one
[UNK]. So is a word of more than 100 characters.

Before you start: the card "Tokens, [CLS] and [SEP]"; Wu et al. 2016, section 4.1; slices of a str.
Time: 20 minutes.
Solution: numbert/tokenizers/wordpiece.py, WordPieceTokenizer.split_word.
"""


def wordpiece(word, vocabulary):
    """The pieces of a word, a list of str. vocabulary: a set of str. The word is not empty.

    >>> wordpiece("unaffable", {"un", "una", "##aff", "##able", "##ffable"})      # una is longer than un
    ['una', '##ffable']
    >>> wordpiece("unaffable", {"un", "una", "##aff", "##able"})                  # but with una it cannot go on
    ['[UNK]']
    """
    raise NotImplementedError
