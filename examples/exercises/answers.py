"""Exercise: from the scores of tokens to an answer, over windows.

    pytest examples/exercises -k answers

Task. A document is longer than the model can read, so it is cut into windows that overlap. Write the cut; the label
that a window gets in training; and the choice of the answer from the scores of all windows. The lecture counts the
tokens of a document from one, a program from zero: d_0, d_1, ... A window (first, stop) holds d_first ... d_(stop - 1),
and the model reads

    [CLS] question [SEP] window [SEP]        column 0 is [CLS], and the window's first token stands in column `column`

Before you start: the card "An answer in a text"; Devlin et al. 2019, sections 4.2 and 4.3.
Time: 75 minutes, 15 of them for the first two functions.
Solution: numbert/tasks/squad/windows.py, cut_windows and Passage.label; numbert/tasks/squad/answers.py, read_answers.
"""


def cut_windows(tokens, room, step):
    """The windows [(first, stop), ...] of a document of so many tokens: they begin at 0, step, 2 step, ..., are at most
    `room` tokens long, and end with the first one that reaches the end. 1 <= step <= room. No tokens: one empty window.

    >>> cut_windows(10, 6, 3)
    [(0, 6), (3, 9), (6, 10)]
    """
    raise NotImplementedError


def window_label(answer, window, column):
    """(start, end): the columns of the answer's first and last token, the last one included; (0, 0) where the window
    does not hold the whole answer. answer: its first and last token in the document, or None for no answer.

    >>> window_label((5, 7), (3, 9), 4), window_label((5, 7), (0, 6), 4), window_label(None, (0, 6), 4)
    ((6, 8), (0, 0), (0, 0))
    """
    raise NotImplementedError


def best_span(windows, scores, column, longest):
    """The answer's first and last token in the document (first, last), or None for no answer.

    scores: for each window two arrays, the start and the end scores by column. The score of a span i..j is start at i +
    end at j, with i <= j and at most `longest` tokens. Several windows may hold a span. Then the one counts in which it
    has most context: the smaller of the numbers of the window's tokens before i and behind j, plus a hundredth of the
    window's length (of equal windows the first). The score of "no answer" is start at [CLS] + end at [CLS], and of the
    windows' scores the lowest counts. There is no answer if that is higher than the score of every span.

    One instance: d_0 d_1 d_2 in one window behind [CLS] x [SEP]. The maxima are at d_2 for the start and d_0 for the
    end, which is no span. d_0 alone has 1 + 4 = 5, [CLS] has 0 + 0.

    >>> start, end = np.array([0.0, 0, 0, 1, 0, 3, 0]), np.array([0.0, 0, 0, 4, 0, 0, 0])
    >>> best_span([(0, 3)], [(start, end)], 3, 30)
    (0, 0)
    """
    raise NotImplementedError
