"""The files of a WordPiece tokenizer, as Hugging Face transformers writes and reads them.

vocab.txt                 a token per line; the number of the line, from 0, is its id
tokenizer_config.json     do_lower_case, strip_accents, tokenize_chinese_chars, names of special tokens, added tokens
special_tokens_map.json   names of special tokens, once more
tokenizer.json            all of it in one file; read when there is no vocab.txt

A setting that `WordPieceTokenizer` could not follow is refused, rather than ignored: ids that are slightly wrong
are the kind of mistake that nobody sees.
"""
import json
from pathlib import Path

from numbert import files

ROLES = ("pad", "unk", "cls", "sep", "mask")


def read(folder):
    """The arguments of `WordPieceTokenizer` for the files in `folder`. Raises ValueError naming the file."""
    folder = Path(folder)
    config = _read_json(folder / "tokenizer_config.json", missing={})
    names = _names(_read_json(folder / "special_tokens_map.json", missing={})) | _names(config)
    if (folder / "vocab.txt").exists():
        arguments = _from_vocabulary(folder, config)
    elif (folder / "tokenizer.json").exists():
        arguments = _from_tokenizer_json(folder / "tokenizer.json")
    else:
        raise ValueError(f"{folder}: neither vocab.txt nor tokenizer.json is there")
    arguments["special_tokens"] = arguments.get("special_tokens", {}) | names
    limit = config.get("model_max_length")
    if limit is not None and limit < 1e9:  # transformers writes 1e30 for "no limit"
        arguments["model_max_length"] = int(limit)
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
    files.write_text(folder / "special_tokens_map.json", json.dumps(names, indent=2, ensure_ascii=False) + "\n")
    files.write_text(folder / "tokenizer_config.json", json.dumps(config, indent=2, ensure_ascii=False) + "\n")


def _from_vocabulary(folder, config):
    path = folder / "vocab.txt"
    text = files.read_text(path).removesuffix("\n")
    if not text:
        raise ValueError(f"{path}: the file is empty")
    tokens = [line.removesuffix("\r") for line in text.split("\n")]
    if config.get("do_basic_tokenize", True) is not True:
        raise ValueError(f"{folder / 'tokenizer_config.json'}: do_basic_tokenize = false is not supported")
    listed = config.get("added_tokens_decoder", {})
    entries = [token | {"id": int(index)} for index, token in listed.items()]
    for token, index in _read_json(folder / "added_tokens.json", missing={}).items():
        if str(index) not in listed:
            entries.append({"id": index, "content": token})
    added = _with_added_tokens(tokens, entries, path)
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
    parts = _read_json(path)
    model = parts.get("model") or {}
    kind = model.get("type") or ("WordPiece" if "max_input_chars_per_word" in model else "not named")
    if kind != "WordPiece":
        raise ValueError(f"{path}: the model is {kind}, and this tokenizer is WordPiece")
    _expect(path, "continuing_subword_prefix", model.get("continuing_subword_prefix", "##"), "##")
    pre_tokenizer = parts.get("pre_tokenizer") or {"type": None}
    _expect(path, "pre_tokenizer", pre_tokenizer.get("type"), "BertPreTokenizer")
    normaliser = parts.get("normalizer") or {"type": None}
    if normaliser["type"] is not None:
        _expect(path, "normalizer", normaliser["type"], "BertNormalizer")
    vocab = model.get("vocab")
    if not isinstance(vocab, dict) or sorted(vocab.values()) != list(range(len(vocab))):
        raise ValueError(f"{path}: the ids of model.vocab are not 0, 1, 2, ... without gaps")
    tokens = sorted(vocab, key=vocab.get)
    entries = parts.get("added_tokens") or []
    added = _with_added_tokens(tokens, entries, path)
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
    _expect(path, "post_processor", processor["type"], "TemplateProcessing")
    found = [(kind, part["id"], part["type_id"]) for step in processor["pair"] for kind, part in step.items()]
    cls, sep = found[0][1], found[-1][1]
    single = [("SpecialToken", cls, 0), ("Sequence", "A", 0), ("SpecialToken", sep, 0)]
    _expect(path, "post_processor.pair", found, single + [("Sequence", "B", 1), ("SpecialToken", sep, 1)])
    return {"cls": cls, "sep": sep}


def _with_added_tokens(tokens, entries, path):
    """Append the added tokens that `tokens` lacks, at their ids. Returns {token: is it special}."""
    added = {}
    for entry in sorted(entries, key=lambda entry: entry["id"]):
        index, token = entry["id"], entry["content"]
        if entry.get("single_word") and not entry.get("special"):
            raise ValueError(f"{path}: added token {token!r} has single_word = true, which is not supported")
        if index == len(tokens):
            tokens.append(token)
        if not index < len(tokens) or tokens[index] != token:
            there = repr(tokens[index]) if index < len(tokens) else f"past the end, {len(tokens)}"
            raise ValueError(f"{path}: added token {token!r} should have id {index}, which is {there}")
        added[token] = bool(entry.get("special"))
    return added


def _names(config):
    """The special tokens that a configuration names, by role; each is a str or an object with its content."""
    values = {role: config.get(f"{role}_token") for role in ROLES}
    return {role: value["content"] if isinstance(value, dict) else value for role, value in values.items() if value}


def _role(token):
    return token.strip("[]<>|").lower()


def _expect(path, field, found, expected):
    if found != expected:
        raise ValueError(f"{path}: {field} must be {expected!r}, got {found!r}")


def _read_json(path, missing=None):
    """The JSON object in the file at `path`; `missing`, if given, when there is no such file."""
    if missing is not None and not path.exists():
        return missing
    try:
        value = json.loads(files.read_text(path))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{path}: must be a JSON object, got {type(value).__name__}")
    return value
