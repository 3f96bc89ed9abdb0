"""The files of a WordPiece tokenizer, as Hugging Face transformers writes and reads them.

vocab.txt                 a token per line; the number of the line, from 0, is its id
tokenizer_config.json     do_lower_case, strip_accents, tokenize_chinese_chars, names of special tokens, added tokens
special_tokens_map.json   names of special tokens, once more
tokenizer.json            all of it in one file; read when there is no vocab.txt

A setting that `WordPieceTokenizer` could not follow is refused, rather than ignored: ids that are slightly wrong
are the kind of mistake that nobody sees.
"""
from pathlib import Path

from .. import files
from .tokenizer_files import (
    add_tokens,
    added_token_entries,
    expect,
    max_length,
    names_by_role,
    read_json,
    tokens_in_order,
    write_json,
)

ROLES = ("pad", "unk", "cls", "sep", "mask")


def read(folder):
    """The arguments of `WordPieceTokenizer` for the files in `folder`. Raises ValueError naming the file."""
    folder = Path(folder)
    config = read_json(folder / "tokenizer_config.json", missing={})
    names = _names(read_json(folder / "special_tokens_map.json", missing={})) | _names(config)
    if (folder / "vocab.txt").exists():
        arguments = _from_vocabulary(folder, config)
    elif (folder / "tokenizer.json").exists():
        arguments = _from_tokenizer_json(folder / "tokenizer.json")
    else:
        raise ValueError(f"{folder}: neither vocab.txt nor tokenizer.json is there")
    arguments["special_tokens"] = arguments.get("special_tokens", {}) | names
    arguments["model_max_length"] = max_length(config)
    return arguments


def write(folder, tokenizer):
    """Save `tokenizer` as vocab.txt, tokenizer_config.json and special_tokens_map.json in `folder`."""
    folder = Path(folder)
    broken = [token for token in tokenizer.tokens if "\n" in token or token.endswith("\r")]
    if broken:
        raise ValueError(f"{folder / 'vocab.txt'}: token {broken[0]!r} does not fit on a line")
    names = {f"{role}_token": token for role, token in tokenizer.special_tokens.items() if token in tokenizer.vocab}
    normaliser = tokenizer.normaliser
    config = names | {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": normaliser.lowercase,
        "strip_accents": normaliser.strip_accents,
        "tokenize_chinese_chars": normaliser.tokenize_chinese_chars,
        "clean_text": normaliser.clean_text,
        "max_input_chars_per_word": tokenizer.max_input_chars_per_word,
        "added_tokens_decoder": {
            str(tokenizer.vocab[token]): {"content": token, "special": special, "normalized": False}
            for token, special in tokenizer.added_tokens.items()
        },
    }
    if tokenizer.model_max_length is not None:
        config["model_max_length"] = tokenizer.model_max_length
    folder.mkdir(parents=True, exist_ok=True)
    files.write_text(folder / "vocab.txt", "".join(token + "\n" for token in tokenizer.tokens))
    write_json(folder / "special_tokens_map.json", names)
    write_json(folder / "tokenizer_config.json", config)


def _from_vocabulary(folder, config):
    path = folder / "vocab.txt"
    text = files.read_text(path).removesuffix("\n")
    if not text:
        raise ValueError(f"{path}: the file is empty")
    tokens = [line.removesuffix("\r") for line in text.split("\n")]
    if config.get("do_basic_tokenize", True) is not True:
        raise ValueError(f"{folder / 'tokenizer_config.json'}: do_basic_tokenize = false is not supported")
    added = add_tokens(tokens, added_token_entries(folder, config), path)
    return {
        "vocabulary": tokens,
        "added_tokens": added,
        "lowercase": config.get("do_lower_case", True),
        "strip_accents": config.get("strip_accents"),
        "tokenize_chinese_chars": config.get("tokenize_chinese_chars", True),
        "clean_text": config.get("clean_text", True),
        "max_input_chars_per_word": config.get("max_input_chars_per_word", 100),
    }


def _from_tokenizer_json(path):
    parts = read_json(path)
    model = parts.get("model") or {}
    kind = model.get("type") or ("WordPiece" if "max_input_chars_per_word" in model else "not named")
    if kind != "WordPiece":
        raise ValueError(f"{path}: the model is {kind}, and this tokenizer is WordPiece")
    expect(path, "continuing_subword_prefix", model.get("continuing_subword_prefix", "##"), "##")
    pre_tokenizer = parts.get("pre_tokenizer") or {"type": None}
    expect(path, "pre_tokenizer", pre_tokenizer.get("type"), "BertPreTokenizer")
    normaliser = parts.get("normalizer") or {"type": None}
    if normaliser["type"] is not None:
        expect(path, "normalizer", normaliser["type"], "BertNormalizer")
    tokens = tokens_in_order(path, "model.vocab", model.get("vocab"))
    added = add_tokens(tokens, parts.get("added_tokens") or [], path)
    names = {_role(token): token for token, special in added.items() if special and _role(token) in ROLES}
    names |= _names(model) | _names(parts.get("padding") or {}) | _framing_tokens(path, parts.get("post_processor"))
    return {
        "vocabulary": tokens,
        "special_tokens": names,
        "added_tokens": added,
        "lowercase": normaliser.get("lowercase", False),
        "strip_accents": normaliser.get("strip_accents"),
        "tokenize_chinese_chars": normaliser.get("handle_chinese_chars", False),
        "clean_text": normaliser.get("clean_text", False),
        "max_input_chars_per_word": model.get("max_input_chars_per_word", 100),
    }


def _framing_tokens(path, processor):
    """The names of the tokens that a post-processor puts around texts. It must put them where BERT does."""
    if processor is None:
        return {}
    if processor["type"] == "BertProcessing":
        return {"cls": processor["cls"][0], "sep": processor["sep"][0]}
    expect(path, "post_processor", processor["type"], "TemplateProcessing")
    found = [(kind, part["id"], part["type_id"]) for step in processor["pair"] for kind, part in step.items()]
    cls, sep = found[0][1], found[-1][1]
    single = [("SpecialToken", cls, 0), ("Sequence", "A", 0), ("SpecialToken", sep, 0)]
    expect(path, "post_processor.pair", found, single + [("Sequence", "B", 1), ("SpecialToken", sep, 1)])
    return {"cls": cls, "sep": sep}


def _names(config):
    return names_by_role(config, ROLES)


def _role(token):
    return token.strip("[]<>|").lower()
