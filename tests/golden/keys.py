"""Which settings transformers and `tokenizers` write into a folder: every key of every file, recorded in keys.json.

    python tests/golden/keys.py        adds what the installed versions write; run it with transformers 4 and with 5

A key inside an object is written with a dot, "model.unk_token"; "*" stands for any token, id or number.
"""
import inspect
import json
import tempfile
from pathlib import Path

import tokenizers
import transformers

FILE = Path(__file__).with_name("keys.json")
WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] hello world ##s a".split()
OBJECTS = ("added_tokens_decoder", "special_tokens", "vocab", "id2label", "label2id")      # whose keys are no settings


def paths(value, place=""):
    """The places of all values inside a JSON value."""
    if isinstance(value, list):
        for part in value:
            yield from paths(part, place)
    elif isinstance(value, dict):
        for key, part in value.items():
            name = "*" if place.rstrip(".").rpartition(".")[2] in OBJECTS else key
            yield place + name
            yield from paths(part, f"{place}{name}.")


def folders(root):
    """(kind, a folder that a tokenizer of this kind has been saved in)."""
    (root / "bert").mkdir()
    (root / "bert" / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    (root / "bytes").mkdir()
    trained = tokenizers.ByteLevelBPETokenizer()
    trained.train_from_iterator(["hello world"] * 3, vocab_size=270, min_frequency=1,
                                special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>", "<|endoftext|>"])
    trained.save_model(str(root / "bytes"))
    (root / "raw").mkdir()
    trained.enable_padding()
    trained.enable_truncation(5)
    trained.save(str(root / "raw" / "tokenizer.json"))
    yield "Roberta", root / "raw"
    (root / "raw2").mkdir()
    plain = tokenizers.BertWordPieceTokenizer(str(root / "bert" / "vocab.txt"))
    plain.enable_padding()
    plain.enable_truncation(5)
    plain.save(str(root / "raw2" / "tokenizer.json"))
    yield "Bert", root / "raw2"
    for kind, source in (("Bert", "bert"), ("Roberta", "bytes"), ("GPT2", "bytes")):
        for cls in (f"{kind}Tokenizer", f"{kind}TokenizerFast"):
            tokenizer = getattr(transformers, cls).from_pretrained(
                root / source, model_max_length=512, padding_side="left", truncation_side="left",
                split_special_tokens=False, model_input_names=["input_ids", "attention_mask"], pad_token_type_id=0)
            tokenizer.add_tokens(["COVID-19"])
            tokenizer.add_special_tokens({"additional_special_tokens": ["<usr>"], "pad_token": "<pad>"})
            tokenizer.save_pretrained(root / cls)
            yield kind, root / cls


def arguments(kind):
    """What the constructors of a kind of tokenizer are given, and so keep and write."""
    for name in (f"{kind}Tokenizer", f"{kind}TokenizerFast"):
        for parameter in inspect.signature(getattr(transformers, name).__init__).parameters.values():
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD and parameter.name not in ("self", "vocab", "merges"):
                yield parameter.name


def written():
    found = {}
    with tempfile.TemporaryDirectory() as root:
        for kind, folder in folders(Path(root)):
            for path in folder.glob("*.json"):
                if path.name not in ("vocab.json", "added_tokens.json"):
                    found.setdefault(f"{kind}/{path.name}", set()).update(paths(json.loads(path.read_text("utf-8"))))
    for kind in ("Bert", "Roberta", "GPT2", "Albert"):
        found.setdefault(f"{kind}/tokenizer_config.json", set()).update(arguments(kind))
        config = getattr(transformers, f"{kind}Config")().to_dict()
        found[f"{kind}/config.json"] = set(config)
    found["GPT2/generation_config.json"] = set(transformers.GenerationConfig().to_dict())
    return found


if __name__ == "__main__":
    recorded = json.loads(FILE.read_text("utf-8")) if FILE.exists() else {"versions": []}
    version = f"transformers {transformers.__version__}, tokenizers {tokenizers.__version__}"
    recorded["versions"] = sorted({*recorded["versions"], version})
    for name, keys in written().items():
        recorded[name] = sorted({*recorded.get(name, ()), *keys})
    FILE.write_text(json.dumps(recorded, indent=1) + "\n", "utf-8")
