"""A few steps of fine-tuning by numbert and by transformers (tests/finetuning_parity.py), where both are installed."""
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import every_family  # noqa: E402
import finetuning_parity  # noqa: E402


@pytest.fixture
def commands(tmp_path):
    """NAME=MODULE and options of a classification and of a tagging, with a small BERT."""
    every_family.write(tmp_path / "body", "bert")
    texts = [" ".join(text.split()[:6]) for text in every_family.TEXTS[:4]]
    rows = "".join(f'"{text}",{"odd" if i % 2 else "even"}\n' for i, text in enumerate(texts * 4))
    (tmp_path / "texts.csv").write_text("text,label\n" + rows)
    (tmp_path / "tags.txt").write_text("\n".join("".join(f"{word} {len(word) % 3}\n" for word in text.split())
                                                 for text in texts * 2))
    shared = ["--model", str(tmp_path / "body"), "--batch-size", "4", "--max-length", "16"]
    files = {"numbert.tasks.classify": tmp_path / "texts.csv", "numbert.tasks.tagging": tmp_path / "tags.txt"}
    return {module: [f"{module}={module}", "--train", str(file), "--dev", str(file), *shared]
            for module, file in files.items()}


@pytest.mark.parametrize("module", ["numbert.tasks.classify", "numbert.tasks.tagging"])
def test_the_same_steps(commands, module, capsys):
    assert finetuning_parity.main(["--steps", "3", "--", *commands[module]])
    assert f"{module}: 3 steps without dropout" in capsys.readouterr().out


def test_a_difference_is_seen(capsys):
    ours = {"steps": [{"loss": 1.0, "norm": 2.0}]}
    assert finetuning_parity.compare_steps("x", ours, ours)
    for what in ("loss", "norm"):
        theirs = {"steps": [ours["steps"][0] | {what: 1.001}]}
        assert not finetuning_parity.compare_steps("x", ours, theirs), capsys.readouterr().out
