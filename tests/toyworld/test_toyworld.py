import numpy as np
import pytest

from numbert import toyworld


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_command_prints_a_story_with_what_is_known_about_it(capsys, language):
    toyworld.main(["--seed", "3", "--language", language])
    printed = capsys.readouterr().out
    for one in next(toyworld.stories(np.random.default_rng(3), language)).sentences:
        assert one.text in printed and f"{one.words[0]}/{one.tags[0]}" in printed
    for title in ("Story", "Inference", "Sentiment", "Questions"):
        assert f"\n{title}\n" in "\n" + printed
    assert toyworld.qa_examples(1, np.random.default_rng(3), language)[0]["question"] in printed


def test_the_command_refuses_other_languages(capsys):
    with pytest.raises(SystemExit):
        toyworld.main(["--language", "fr"])
    assert "invalid choice: 'fr'" in capsys.readouterr().err


def test_everything_it_names_is_there():
    assert all(hasattr(toyworld, name) for name in toyworld.__all__)
