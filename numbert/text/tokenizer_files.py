"""What the files of all tokenizers have in common: JSON that may be missing or broken, names of special tokens, added
tokens. Each complaint is a ValueError of one line that names the file."""
import json

from .. import files

ROLES = ("bos", "eos", "pad", "unk", "cls", "sep", "mask")


def read_json(path, missing=None):
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


def write_json(path, value):
    files.write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def tokens_in_order(path, field, vocab):
    """The tokens of a {token: id}, in the order of their ids, which must be 0, 1, 2, ..."""
    if not isinstance(vocab, dict) or sorted(vocab.values()) != list(range(len(vocab))):
        raise ValueError(f"{path}: the ids of {field} are not 0, 1, 2, ... without gaps")
    return sorted(vocab, key=vocab.get)


def names_by_role(config, roles=ROLES):
    """The special tokens that a configuration names, by role; each is a str or an object with its content."""
    values = {role: config.get(f"{role}_token") for role in roles}
    return {role: value["content"] if isinstance(value, dict) else value for role, value in values.items() if value}


def added_token_entries(folder, config):
    """The added tokens that tokenizer_config.json (`config`) and added_tokens.json list: dicts with id and content."""
    listed = config.get("added_tokens_decoder", {})
    entries = [token | {"id": int(index)} for index, token in listed.items()]
    for token, index in read_json(folder / "added_tokens.json", missing={}).items():
        if str(index) not in listed:
            entries.append({"id": index, "content": token})
    return entries


def add_tokens(tokens, entries, path):
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


def expect(path, field, found, expected):
    if found != expected:
        raise ValueError(f"{path}: {field} must be {expected!r}, got {found!r}")


def max_length(config):
    """model_max_length of a configuration; None where transformers writes 1e30, which means no limit."""
    limit = config.get("model_max_length")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int | float)):
        raise ValueError(f"tokenizer_config.json: model_max_length must be a number, got {limit!r}")
    return int(limit) if limit is not None and limit < 1e9 else None
