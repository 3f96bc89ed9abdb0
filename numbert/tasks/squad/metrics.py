"""How answers are scored: SQuAD's exact match and F1 with its no-answer thresholds, and CMRC 2018's.

`evaluate` gives the keys and numbers of SQuAD's official evaluation script, version 2.0, on any predictions that are
complete; a question without a prediction, at which that script stops, is counted, listed and scored as wrong.
"""
import argparse
import json
import math
import numbers
import re
import string
import sys
from collections import Counter

from ...hub.errors import read_json
from ...hub.files import write_text
from ...training.command import name_of, one_line
from .data import read

# ---- SQuAD: words ----


def normalize_answer(text):
    """What is compared of an answer: lower case, no ASCII punctuation, no a, an, the, one space between words.

    (Rajpurkar et al. 2016, "SQuAD", section 6.1: "we ignore punctuations and articles".) May be empty: "The" is.
    """
    text = "".join(character for character in text.lower() if character not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def exact_match(gold, prediction):
    """1 if both are the same after `normalize_answer`, else 0."""
    return int(normalize_answer(gold) == normalize_answer(prediction))


def word_f1(gold, prediction):
    """F1 of the bags of words of the two normalised answers; if one of them is empty, 1 if the other is too, else 0.

    With s words in common (a word as often as it is in both), p in the prediction and g in the gold answer:
    precision s/p, recall s/g, F1 = 2 precision recall / (precision + recall)  (Rajpurkar et al. 2016, section 6.1).
    """
    gold, prediction = normalize_answer(gold).split(), normalize_answer(prediction).split()
    if not gold or not prediction:
        return int(gold == prediction)
    same = sum((Counter(gold) & Counter(prediction)).values())
    if not same:
        return 0
    precision, recall = same / len(prediction), same / len(gold)
    return 2 * precision * recall / (precision + recall)


def evaluate(examples, predictions, na_probs=None, na_prob_thresh=1.0):
    """SQuAD 2.0's evaluation (Rajpurkar et al. 2018, "Know What You Don't Know", section 5). Returns a dict.

    examples: of squad_data.Example.  predictions: id -> text, "" for "no answer"; ids of no example are ignored.
    na_probs: id -> probability (or any score) that there is no answer, for every id with a prediction.

    A score is the best over the gold answers; gold answers that normalise to nothing do not count, and a question
    left with none is answered right by what normalises to nothing. Where na_prob > na_prob_thresh the prediction
    is "no answer": right if the question has no gold answer. In percent: exact, f1; HasAns_exact, HasAns_f1 over the
    questions with answers; NoAns_exact, NoAns_f1 over those without; *total counts; and with na_probs best_exact and
    best_f1, the scores at the threshold that is best in hindsight, and best_exact_thresh, best_f1_thresh.
    Keys of which there is nothing are absent. "missing" counts the questions without prediction, if there are any:
    they score 0 everywhere, and the thresholds leave them out. Raises ValueError if an example has no answers entry.
    """
    examples = list(examples)
    _check(examples, predictions)
    has_answer = {example.id: bool(example.answers) for example in examples}
    exact, f1 = {}, {}
    for example in examples:
        if example.id in predictions:
            gold = [answer.text for answer in example.answers if normalize_answer(answer.text)] or [""]
            exact[example.id] = max(exact_match(text, predictions[example.id]) for text in gold)
            f1[example.id] = max(word_f1(text, predictions[example.id]) for text in gold)
    missing = [example.id for example in examples if example.id not in predictions]
    if na_probs is not None:
        _check_na_probs(exact, na_probs)

    def final(scores):
        """The scores at the threshold, of all examples in their order."""
        withheld = {i for i in scores if (na_probs[i] if na_probs is not None else 0.0) > na_prob_thresh}
        return {i: 0 if i not in scores else int(not has_answer[i]) if i in withheld else scores[i]
                for i in has_answer}

    final_exact, final_f1 = final(exact), final(f1)
    result = {}
    for prefix, ids in (("", list(has_answer)), ("HasAns_", [i for i in has_answer if has_answer[i]]),
                        ("NoAns_", [i for i in has_answer if not has_answer[i]])):
        if ids:
            result[prefix + "exact"] = 100.0 * sum(final_exact[i] for i in ids) / len(ids)
            result[prefix + "f1"] = 100.0 * sum(final_f1[i] for i in ids) / len(ids)
            result[prefix + "total"] = len(ids)
    if na_probs is not None:
        for name, scores in (("exact", exact), ("f1", f1)):
            best, threshold = sweep_thresholds(scores, predictions, na_probs, has_answer)
            result[f"best_{name}"] = 100.0 * best / len(examples)
            result[f"best_{name}_thresh"] = threshold
    if missing:
        result["missing"] = len(missing)
    return result


def sweep_thresholds(scores, predictions, na_probs, has_answer):
    """(the largest sum of scores that a threshold on na_probs gives, that threshold); every dict by id.

    At first everything is "no answer" and each question without answer scores 1. Then, from the least probable "no
    answer" on, one prediction after the other is let through: a question with an answer adds its score, one
    without loses its 1 unless the prediction is "". Among equal na_probs the order is that of `na_probs`, and the
    sum between them counts, as in the official script: with ties best_exact may be a little too good to be true.
    """
    score = sum(1 for i in scores if not has_answer[i])
    best, threshold = score, 0.0
    for i in sorted(na_probs, key=na_probs.get):
        if i in scores:
            score += scores[i] if has_answer[i] else -1 if predictions[i] else 0
            if score > best:
                best, threshold = score, na_probs[i]
    return best, threshold


# ---- CMRC 2018: characters ----

CMRC_PUNCTUATION = set("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
CHINESE = "\u4e00-\u9fa5"
# A word goes up to a space or a mark that English never keeps inside one; a comma before a digit (1,000) and every
# period but the last of the text stay inside. Anything else is a unit of its own.
WORD = re.compile(r"""(?:(?!\.[])}>"' ]*$)[^\s,;@#$%&?!()<>"{}[\]–—]|,(?=\d))+|\S""")


def cmrc_units(text):
    """The units that CMRC compares: each Chinese character alone, other words whole, its punctuation dropped.

    The official script cuts what is not Chinese with NLTK's English tokenizer; here one pattern does (`WORD`). It
    does not part "it's" into "it" and "'s", nor tell opening from closing quotes: on the sentences and answers of
    CMRC's trial set (4,264 texts) it cuts 98% as NLTK's word tokenizer does, and of 5,010 random spans near an
    answer 8 get another F1.
    """
    text = "".join(c for c in text.lower().strip() if c not in CMRC_PUNCTUATION)
    return [unit for run in re.findall(f"[{CHINESE}]|[^{CHINESE}]+", text) for unit in WORD.findall(run)]


def cmrc_exact_match(gold, prediction):
    """1 if both are the same in lower case without CMRC's punctuation and outer spaces, else 0."""
    gold, prediction = ("".join(c for c in text.lower().strip() if c not in CMRC_PUNCTUATION)
                        for text in (gold, prediction))
    return int(gold == prediction)


def cmrc_f1(gold, prediction):
    """F1 of the longest run of units that both have (they follow each other without a gap).

    With a run of s units, p in the prediction and g in the gold answer: precision s/p, recall s/g
    (Cui et al. 2019, "A Span-Extraction Dataset for Chinese Machine Reading Comprehension", section 4.1). 0 if s is 0.
    """
    gold, prediction = cmrc_units(gold), cmrc_units(prediction)
    longest, ending = 0, [0] * (len(prediction) + 1)        # ending[j]: the common run that ends before prediction[j]
    for unit in gold:
        ending = [0] + [ending[j] + 1 if unit == other else 0 for j, other in enumerate(prediction)]
        longest = max(longest, *ending)
    return 2 * longest / (len(gold) + len(prediction)) if longest else 0.0


def evaluate_cmrc(examples, predictions):
    """CMRC 2018's evaluation: the keys of its official script, in percent and unrounded. Returns a dict.

    F1 and EM: the best over the gold answers, mean over all questions; AVERAGE: the mean of the two; TOTAL: the
    questions; SKIP: those without a prediction, which score 0. Raises ValueError if an example has no gold answer.
    """
    examples = list(examples)
    _check(examples, predictions)
    without = [example.id for example in examples if not example.answers]
    if without:
        raise ValueError(f"{len(without)} questions have no gold answer, the first {without[0]!r}")
    f1 = em = 0
    for example in examples:
        if example.id in predictions:
            f1 += max(cmrc_f1(answer.text, predictions[example.id]) for answer in example.answers)
            em += max(cmrc_exact_match(answer.text, predictions[example.id]) for answer in example.answers)
    f1, em = 100.0 * f1 / len(examples), 100.0 * em / len(examples)
    skipped = sum(example.id not in predictions for example in examples)
    return {"AVERAGE": (em + f1) * 0.5, "F1": f1, "EM": em, "TOTAL": len(examples), "SKIP": skipped}


# ---- the command ----


def main(argv):
    """Score a file of predictions: `data.json predictions.json [--na-prob-file F] [--na-prob-thresh X] [-o OUT]`.

    The arguments are the official script's, and --cmrc for CMRC 2018's measures. The scores go to the output (or to
    OUT) as JSON; what is missing, and every malformed file in one line, to the error output.
    """
    parser = argparse.ArgumentParser(prog="python -m numbert.tasks.squad --evaluate",
                                     description="Score predictions as SQuAD or CMRC 2018 does.")
    parser.add_argument("data_file", metavar="data.json", help="questions and gold answers, laid out as SQuAD or CMRC")
    parser.add_argument("pred_file", metavar="predictions.json", help='{"id": "answer", ...}; "" is no answer')
    parser.add_argument("-o", "--out-file", metavar="eval.json", help="write the scores there (default: print them)")
    parser.add_argument("-n", "--na-prob-file", metavar="na_prob.json", help='{"id": probability of no answer, ...}')
    parser.add_argument("-t", "--na-prob-thresh", type=float, default=1.0,
                        help='answer "" where the probability is above this (default: 1)')
    parser.add_argument("--cmrc", action="store_true", help="CMRC 2018's character-level measures")
    options = parser.parse_args(argv)
    with one_line(name_of(parser)):
        examples = read(options.data_file).examples
        predictions = read_json(options.pred_file, limit=None)
        na_probs = read_json(options.na_prob_file, limit=None) if options.na_prob_file else None
        if options.cmrc and na_probs is not None:
            raise ValueError("--na-prob-file is SQuAD's: CMRC has no questions without an answer")
        scores = (evaluate_cmrc(examples, predictions) if options.cmrc
                  else evaluate(examples, predictions, na_probs, options.na_prob_thresh))
        missing = [example.id for example in examples if example.id not in predictions]
        if missing:
            print(f"{options.pred_file}: no prediction for {len(missing)} of {len(examples)} questions, scored as "
                  f"wrong: {', '.join(missing[:10])}{', ...' if len(missing) > 10 else ''}", file=sys.stderr)
        if options.out_file:
            write_text(options.out_file, json.dumps(scores))
        else:
            print(json.dumps(scores, indent=2))


def _check(examples, predictions):
    if not examples:
        raise ValueError("no questions to evaluate")
    for example in examples:
        if example.answers is None:
            raise ValueError(f"question {example.id!r} has no entry for answers: this is no file to evaluate on")
        if not isinstance(predictions.get(example.id, ""), str):
            raise ValueError(f"the prediction for {example.id!r} must be a string, got {predictions[example.id]!r:.60}")


def _check_na_probs(scores, na_probs):
    without = [i for i in scores if i not in na_probs]
    if without:
        raise ValueError(f"na_probs lacks {len(without)} of {len(scores)} questions, the first {without[0]!r}")
    for i in scores:
        if isinstance(na_probs[i], bool) or not isinstance(na_probs[i], numbers.Real) or math.isnan(na_probs[i]):
            raise ValueError(f"na_probs of {i!r} must be a number, got {na_probs[i]!r:.60}")
