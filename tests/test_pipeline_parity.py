"""A small part of the pipelines' parity card (tests/pipeline_parity.py), where torch and transformers are installed."""
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import pipeline_parity  # noqa: E402


@pytest.mark.parametrize("task, family", [("token-classification", "bert"), ("fill-mask", "roberta"),
                                          ("zero-shot-classification", "albert"), ("text-generation", "gpt")])
def test_the_same_answers(task, family):
    (_, _, found, answers), = pipeline_parity.rows([family], [task])
    assert answers >= 8 and max(found.values()) <= pipeline_parity.LIMIT


@pytest.mark.parametrize("name", ["BERT", "RoBERTa", "GPT-2", "ALBERT, Unigram"])
def test_tokenizer_json(name, tmp_path):
    texts = pipeline_parity.hard_texts(50)
    tokenizer = pipeline_parity.tokenizers_to_try()[name]
    assert set(pipeline_parity.compare_tokenizer(tokenizer, tmp_path, texts).values()) == {len(texts)}


def test_a_difference_is_seen():
    ours = [{"score": 0.5, "word": "a"}]
    assert pipeline_parity.difference(ours, [{"score": 0.25, "word": "a"}]) == 0.25
    for theirs in ([{"score": 0.5, "word": "b"}], [{"score": 0.5}], ours * 2, {"score": 0.5, "word": "a"},
                   [{"score": 0, "word": "a"}]):
        with pytest.raises(ValueError, match="answer.*for"):
            pipeline_parity.difference(ours, theirs)
