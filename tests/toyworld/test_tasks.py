import json
import re
from collections import Counter

import numpy as np
import pytest
from toyworld_reader import BAD, GOOD, Incoherent, Reader

from numbert.toyworld.lexicon import CIRCUMSTANCES
from numbert.toyworld.tasks import (
    NLI_LABELS,
    SENTIMENT_LABELS,
    nli_examples,
    pos_examples,
    qa_examples,
    sentiment_examples,
    squad_dataset,
)

TASKS = [pos_examples, nli_examples, sentiment_examples, qa_examples]


def rng(seed=0):
    return np.random.default_rng(seed)


# ------------------------------------------------------------------------------------------------ truth

def test_an_independent_reader_judges_every_hypothesis_the_same():
    for premise, hypothesis, label in nli_examples(1500, rng()):
        assert Reader(premise).judge(hypothesis) == label, (premise, hypothesis)


def test_an_independent_reader_gives_the_same_answers_or_none():
    for example in qa_examples(1500, rng()):
        answer = Reader(example["context"]).answer(example["question"])
        assert [one["text"] for one in example["answers"]] == ([answer] if answer else []), example


def test_sentiment_is_that_of_the_feeling_word_turned_by_its_denial():
    for text, label in sentiment_examples(1000, rng()):
        (word,) = (word for word in re.findall("[a-z]+", text) if word in GOOD + BAD)
        denied = " not " in text or " no longer " in text
        assert label == SENTIMENT_LABELS[(word in GOOD) != denied], text


def test_circumstances_agree_after_so_and_because_and_contrast_with_but_and_although():
    good = {f"{noun} was {thing.good}" for noun, thing in CIRCUMSTANCES.items()}
    seen = Counter()
    for text, label in sentiment_examples(1000, rng()):
        link = re.search(r"\b([Bb]ut|[Aa]lthough|so|[Bb]ecause)\b", text)
        if link:
            agrees = link[0].lower() in ("so", "because")
            assert (any(phrase in text for phrase in good) == (label == "positive")) == agrees, text
            seen[link[0].lower()] += 1
    assert min(seen.values()) > 30 and len(seen) == 4


@pytest.mark.parametrize("language", ["en", "zh"])
def test_spans_stand_where_they_say(language):
    for example in qa_examples(1000, rng(), language):
        for one in example["answers"] + example["plausible_answers"]:
            end = one["answer_start"] + len(one["text"])
            assert one["text"] and example["context"][one["answer_start"]:end] == one["text"]
        assert example["is_impossible"] == (not example["answers"])


def test_the_span_is_the_last_mention_before_what_settles_the_answer():
    """Read sentence by sentence: k is the one from which the answer stays. No later mention up to k is passed over."""
    several = 0
    for example in qa_examples(1000, rng()):
        question, context = example["question"], example["context"]
        if not re.match("Where is [A-Z]|Who has", question) or not example["answers"]:
            continue
        text, start = (example["answers"][0][key] for key in ("text", "answer_start"))
        reader, answers, ends = Reader(), [], []
        for match in re.finditer(r".*?[.?](?= |$)", context):
            reader.read(match[0].strip())
            answers.append(reader.answer(question))
            ends.append(match.end())
        k = max((number + 1 for number, answer in enumerate(answers) if answer != text), default=0)
        assert start < ends[k] and not re.search(rf"\b{text}\b", context[start + len(text):ends[k]]), example
        several += len(set(answers) - {None}) > 1
    assert several > 50


# ------------------------------------------------------------------------------------------------ shape

def test_both_languages_are_parallel():
    for english, chinese in zip(nli_examples(300, rng(), "en"), nli_examples(300, rng(), "zh"), strict=True):
        assert english[2] == chinese[2]
        assert len(re.findall(r"[.?]", english[0])) == len(re.findall("[。？]", chinese[0]))
    for task in (sentiment_examples, pos_examples):
        assert len(task(300, rng(), "en")) == len(task(300, rng(), "zh")) == 300
    assert [label for _, label in sentiment_examples(300, rng(), "en")] == [
        label for _, label in sentiment_examples(300, rng(), "zh")]
    for english, chinese in zip(qa_examples(300, rng(), "en"), qa_examples(300, rng(), "zh"), strict=True):
        assert english["id"] == chinese["id"] and english["is_impossible"] == chinese["is_impossible"]
        assert len(english["plausible_answers"]) == len(chinese["plausible_answers"])


@pytest.mark.parametrize("task", TASKS)
def test_the_number_asked_for_and_the_same_seed_the_same_items(task):
    for n in (0, 1, 37):
        assert len(task(n, rng(3))) == n
    assert task(40, rng(3)) == task(40, rng(3)) != task(40, rng(4))
    with pytest.raises(ValueError, match="language must be one of en, zh, got 'de'"):
        task(2, rng(), "de")


def test_squad_layout():
    dataset = json.loads(json.dumps(squad_dataset(200, rng())))
    assert dataset["version"] == "v2.0"
    questions = [(one, paragraph["context"]) for article in dataset["data"] for paragraph in article["paragraphs"]
                 for one in paragraph["qas"]]
    assert len(questions) == len({one["id"] for one, _ in questions}) == 200
    for one, context in questions:
        assert set(one) == {"id", "question", "answers", "is_impossible", "plausible_answers"}
        assert all(context.startswith(answer["text"], answer["answer_start"]) for answer in one["answers"])


def test_labels_are_balanced_also_within_a_kind_of_question_or_statement():
    examples = nli_examples(3000, rng(1))
    labels = Counter(label for *_, label in examples)
    assert all(900 < labels[label] < 1100 for label in NLI_LABELS)
    denied = [label for _, hypothesis, label in examples if " not " in hypothesis]
    assert 650 < len(denied) < 850 and max(Counter(denied).values()) < 0.4 * len(denied)
    examples = sentiment_examples(1001, rng(1))
    assert Counter(label for _, label in examples) == {"negative": 500, "positive": 501}
    examples = qa_examples(3000, rng(1))
    first_words = [" ".join(one["question"].split()[:2]) for one in examples]
    impossible = [one["is_impossible"] for one in examples]
    for kind in set(first_words):
        share = np.mean([no for word, no in zip(first_words, impossible, strict=True) if word == kind])
        assert 0.2 < share < 0.48, kind


def test_a_reader_notices_what_was_left_out():
    with pytest.raises(Incoherent):
        Reader("Anna was in the park. She gave the ball to Tom.")


# ------------------------------------------------------------------------------------------------ difficulty

def bag_of_words_accuracy(train, test, labels):
    """Test accuracy of multinomial logistic regression on which words occur; examples are (set of words, label)."""
    vocabulary = {word: number for number, word in enumerate(sorted(set().union(*(words for words, _ in train))))}

    def matrix(examples):
        x = np.zeros((len(examples), len(vocabulary) + 1))
        x[:, -1] = 1
        for row, (words, _) in zip(x, examples, strict=True):
            row[[vocabulary[word] for word in words if word in vocabulary]] = 1
        return x, np.array([labels.index(label) for _, label in examples])

    (x, y), (x_test, y_test) = matrix(train), matrix(test)
    weights, velocity = np.zeros((x.shape[1], len(labels))), 0
    for _ in range(150):
        p = np.exp(x @ weights - (x @ weights).max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        velocity = 0.9 * velocity - x.T @ (p - np.eye(len(labels))[y]) / len(x)
        weights += velocity
    return np.mean((x_test @ weights).argmax(axis=1) == y_test)


def words_of(text, mark=""):
    return {mark + word.lower() for word in re.findall(r"\w+", text)}


def test_words_alone_do_not_solve_inference():
    def bags(seed, n):
        return [(words_of(premise, "p:") | words_of(hypothesis, "h:"), label)
                for premise, hypothesis, label in nli_examples(n, rng(seed))]

    accuracy = bag_of_words_accuracy(bags(0, 3000), bags(1, 1500), NLI_LABELS)
    print(f"bag of words on inference: {accuracy:.3f}, majority 0.333")
    assert 0.37 < accuracy < 0.67


def test_words_alone_do_not_solve_sentiment():
    def bags(seed, n):
        return [(words_of(text), label) for text, label in sentiment_examples(n, rng(seed))]

    accuracy = bag_of_words_accuracy(bags(0, 3000), bags(1, 1500), SENTIMENT_LABELS)
    print(f"bag of words on sentiment: {accuracy:.3f}, majority 0.500")
    assert 0.55 < accuracy < 0.8
