"""Every option of the four commands: with a model that is finished it counts, or it is refused."""
import argparse

import pytest

from numbert.tasks import classify, tagging
from numbert.tasks.glue import __main__ as glue
from numbert.tasks.squad import __main__ as squad

# The command, how it is called without fine-tuning, and the options that count then.
READS = {
    "classify": (classify, ["--evaluate", "F", "--dev", "D.csv"],
                 {"dev", "test", "columns", "no_header", "skip_broken"}),
    "glue": (glue, ["--evaluate", "F", "--task", "rte", "--data", "D"],
             {"task", "data", "files", "columns", "no_header", "labels", "skip_broken"}),
    "tagging": (tagging, ["--evaluate", "F", "--dev", "D.conllu"],
                {"dev", "test", "column"}),
    "squad": (squad, ["--evaluate", "F", "--dev", "D.json", "--out", "O"],
              {"dev", "cmrc", "step", "max_question_length", "max_answer_length", "n_best", "threshold"}),
    "squad --model": (squad, ["--model", "F", "--dev", "D.json", "--out", "O"],
                      {"dev", "cmrc", "step", "max_question_length", "max_answer_length", "n_best", "threshold"})}
ALWAYS = {"model", "evaluate", "out", "workers", "max_length", "help", "quick"}


def another_value(action):
    """What is typed to give an option a value that is not its default."""
    if isinstance(action, argparse._StoreTrueAction):
        return []
    if action.choices:
        return [next(str(choice) for choice in action.choices if choice != action.default)]
    return [{int: "7", float: "0.123"}.get(action.type, "x=y")]


@pytest.mark.parametrize("name", READS)
def test_options_without_effect_are_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module, called, count = READS[name]
    assert count | {"out"} <= {action.dest for action in module.arguments()._actions}
    refused = [action for action in module.arguments()._actions if action.dest not in count | ALWAYS
               and not (action.dest == "train" and name == "squad --model")]        # then it is a fine-tuning
    assert len(refused) > 15
    for action in refused:
        option = next(one for one in action.option_strings if one.startswith("--"))
        with pytest.raises(SystemExit) as ended:
            module.main([*called, option, *another_value(action)])
        assert isinstance(ended.value.code, str) and f"{option} is for fine-tuning, not for" in ended.value.code, option
    assert not list(tmp_path.iterdir())
