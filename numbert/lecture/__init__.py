"""The lecture beside the source: one page to read, made by `python -m numbert.lecture --out lecture.html`.

A small model learns a small language in seconds, reads one sentence, and every line of the source that did the work is
shown with the values that it made. In reading order:

    contents    the cards in the lecture's order, and which lines of the source belong to each: one table
    text.en.md, text.zh.md      what the cards say
    world       stories of three sentences, and four labelled tasks about them
    run         the model learns, and reads the running sentence while it is watched
    line_values which line gave which value
    source      lines of a function, found by what they say; painted
    formula     a formula, written in Python, as MathML
    markup      the few marks that the texts use, as HTML
    proof       the gradient check of an op at the page's own values, and every mistake made on purpose
    listing     source with values and proofs, as HTML
    drawing     tokens, bars, curves, matrices, attention maps
    figures     the pictures of the cards
    verdicts    what experiments with several bodies say of a card's claim
    page        all of it in one file
    stills      a figure of the page as a picture that stands alone
    serve       a sentence of the reader's own, read by any model
    guide       the same cards as Markdown: examples/LECTURE.md and LECTURE.zh.md
"""
