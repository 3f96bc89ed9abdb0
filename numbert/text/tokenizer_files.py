"""What the files of all tokenizers have in common: which of them counts, settings that are checked when they are asked
for, names of special tokens, added tokens. Each complaint is a CheckpointError of one line that names the file and the
place in it, as in "tokenizer.json: model.unk_token must be a string, got 3".
"""
import json
import re
from typing import NamedTuple

from .. import files
from ..hub.errors import CheckpointError, map_file, read_json

ROLES = ("bos", "eos", "pad", "unk", "cls", "sep", "mask")
KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a string", list: "a list",
         dict: "an object"}


class Settings:
    """A JSON object in the file `path`; `place` is where it stands there, such as "model." """

    def __init__(self, path, values, place=""):
        self.path, self.values, self.place = path, values, place

    @classmethod
    def read(cls, path):
        """Those in a file; none where there is no such file."""
        return cls(path, read_json(path) if path.exists() else {})

    def get(self, name, kind, default=None):
        """The value of type `kind` called `name`; `default` where it is missing or null."""
        value = self.values.get(name)
        if value is None:
            return default
        if type(value) is not kind and not (kind is float and type(value) is int):
            raise self.error(name, f"must be {KINDS[kind]}")
        return value

    def need(self, name, kind):
        """The same, and it must be there."""
        if self.values.get(name) is None:
            raise self.error(name, f"must be {KINDS[kind]}")
        return self.get(name, kind)

    def inner(self, name):
        """The Settings in the object called `name`; none where it is missing or null."""
        return Settings(self.path, self.get(name, dict, {}), f"{self.place}{name}.")

    def each(self, name):
        """The Settings in the objects of the list called `name`."""
        listed = Settings(self.path, {f"{name}[{i}]": x for i, x in enumerate(self.get(name, list, []))}, self.place)
        return [listed.inner(i) for i in listed.values]

    def expect(self, name, *allowed):
        """Refuse a value that is none of these; None stands for one that is missing or null."""
        value = self.values.get(name)
        if not any(type(value) is type(one) and value == one for one in allowed):
            raise self.error(name, f"must be {allowed[0]!r}")

    def error(self, name, problem):
        return CheckpointError(self.path, f"{self.place}{name} {problem}, got {self.values.get(name)!r:.100}")


class AddedToken(NamedTuple):
    """A token that no text is cut inside of. `left`, `right`: it takes the white space before it, or after it, too."""
    id: int
    content: str
    special: bool = False
    left: bool = False
    right: bool = False

    @classmethod
    def of(cls, settings, index):
        special = settings.get("special", bool, False)
        if settings.get("single_word", bool, False) and not special:
            raise settings.error("single_word", "is not supported")
        return cls(index, settings.need("content", str), special, settings.get("lstrip", bool, False),
                   settings.get("rstrip", bool, False))


def source(folder, config, vocabulary, classes):
    """(the file to read, the tokenizer's class, None where no file names it) of a folder.

    A `vocabulary` says which tokens there are; how a text is cut, only the class says. So it is read where the class is
    one of `classes` or not named, and tokenizer.json, which says all, where it is another. The class is named in
    tokenizer_config.json or, by older versions of transformers, in config.json.
    """
    named_in = config if "tokenizer_class" in config.values else Settings.read(folder / "config.json")
    kind = named_in.get("tokenizer_class", str)
    kind = kind and kind.removesuffix("Fast")
    plain, whole = folder / vocabulary, folder / "tokenizer.json"
    if plain.exists() and (kind is None or kind in classes):
        return plain, kind
    if whole.exists():
        return whole, kind
    if plain.exists():
        raise named_in.error("tokenizer_class", f"must be one of {', '.join(classes)}")
    raise CheckpointError(folder, f"neither {vocabulary} nor tokenizer.json is there")


def max_length(config):
    """model_max_length of a configuration; None where transformers writes 1e30, which means no limit."""
    limit = config.get("model_max_length", float)
    return int(limit) if limit is not None and limit < 1e9 else None


def read_lines(path):
    """The lines of a text in UTF-8, which end in \\n or \\r\\n and nothing else: a token may hold other line ends."""
    data = map_file(path)[:].removeprefix(b"\xef\xbb\xbf")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CheckpointError(path, f"not UTF-8: byte {data[error.start]:#04x} at offset {error.start}") from None
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]


def write_json(path, value):
    files.write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


# Tokens


def tokens_in_order(vocab):
    """The tokens of the Settings {token: id}, in the order of their ids, which must be 0, 1, 2, ..."""
    ids = list(vocab.values.values())
    if any(type(index) is not int for index in ids) or sorted(ids) != list(range(len(ids))):
        raise CheckpointError(vocab.path, f"the ids of {vocab.place[:-1] or 'the vocabulary'} are not 0, 1, 2, ... "
                              "without gaps")
    return sorted(vocab.values, key=vocab.values.get)


def names_by_role(settings, roles=ROLES):
    """The special tokens that a configuration names, by role; each is a string or an object with its content."""
    names = {role: f"{role}_token" for role in roles if settings.values.get(f"{role}_token")}
    return {role: settings.inner(name).need("content", str) if isinstance(settings.values[name], dict)
            else settings.get(name, str) for role, name in names.items()}


def added_tokens(folder, config):
    """The AddedTokens that tokenizer_config.json (`config`) and added_tokens.json list."""
    listed, more = config.inner("added_tokens_decoder"), Settings.read(folder / "added_tokens.json")
    for index in listed.values:
        if not re.fullmatch("[0-9]{1,9}", index):
            raise CheckpointError(config.path, f"{listed.place[:-1]} must have ids for names, got {index!r:.100}")
    found = {more.need(token, int): AddedToken(more.need(token, int), token) for token in more.values}
    found |= {int(index): AddedToken.of(listed.inner(index), int(index)) for index in listed.values}
    return list(found.values())


def add_tokens(tokens, added, path):
    """Append the AddedTokens that `tokens` lacks, at their ids. Returns {token: is it special}."""
    for token in sorted(added):
        if token.id == len(tokens):
            tokens.append(token.content)
        if not 0 <= token.id < len(tokens) or tokens[token.id] != token.content:
            there = f"{tokens[token.id]!r:.100}" if 0 <= token.id < len(tokens) else f"past the end, {len(tokens)}"
            raise CheckpointError(path, f"added token {token.content!r:.100} should have id {token.id}, which is "
                                  + there)
    return {token.content: token.special for token in sorted(added)}


# tokenizer.json


def model_of(parts, kind, hint):
    """The Settings of the model, which must be of this kind; old files do not say so, but have the setting `hint`."""
    model = parts.inner("model")
    model.expect("type", kind, None if hint in model.values else kind)
    return model


def listed_tokens(parts):
    """The AddedTokens of a tokenizer.json."""
    return [AddedToken.of(token, token.need("id", int)) for token in parts.each("added_tokens")]


def framing(processor, kind, *layouts):
    """{"cls": token, "sep": token}, which a post-processor puts around texts, {} where it puts none.

    It is one of this `kind`, or a template that gives one of `layouts`, {"single": ..., "pair": ...}: what becomes of
    one text and of two, as roles and texts ("A", "B"), each with its token type id. Anything else is refused.
    """
    if processor.get("type", str) == kind:
        return {role: _token_of(processor, role) for role in ("cls", "sep")}
    processor.expect("type", "TemplateProcessing")
    found = {row: [(key, part.need("id", str), part.need("type_id", int)) for step in processor.each(row)
                   for key in step.values for part in [step.inner(key)]] for row in ("single", "pair")}
    special = [name for key, name, _ in found["single"] if key == "SpecialToken"]
    names = {"cls": special[0], "sep": special[-1]} if special else {}
    for row in found:
        meant = [[("SpecialToken" if name in names else "Sequence", names.get(name, name), type_id)
                  for name, type_id in layout[row]] for layout in layouts]
        if found[row] not in meant:
            raise processor.error(row, "must be " + " ".join(f"{name}:{type_id}" for _, name, type_id in meant[0]))
    return names


def _token_of(processor, role):
    """The token of a [token, id]."""
    pair = processor.need(role, list)
    if len(pair) != 2 or not isinstance(pair[0], str):
        raise processor.error(role, "must be a token and its id")
    return pair[0]
