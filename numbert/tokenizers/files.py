"""What the files of all tokenizers have in common: which file is read, settings that are checked when they are read,
names of special tokens, added tokens. Each complaint is a CheckpointError of one line that names the file and the
place in it, as in "tokenizer.json: model.unk_token must be a string, got 3".

Tables (see hub/settings.py), here and in the files of each kind of tokenizer, say how every setting is treated that
Hugging Face's transformers (4 and 5) and `tokenizers` write. A setting that no table knows is refused in
tokenizer.json, which programs write and of which each part changes how a text is cut, unless it is off. In the other
files it is logged as not followed: they may hold any entry, and other programs ignore unknown ones.
"""
import json
import re
from typing import NamedTuple

from ..hub import files
from ..hub.errors import CheckpointError, exists, map_file
from ..hub.settings import ANY, FOLLOWED, Only, Settings

ROLES = ("bos", "eos", "pad", "unk", "cls", "sep", "mask")
ADDED_TOKEN = {"content": FOLLOWED, "special": FOLLOWED, "single_word": FOLLOWED, "lstrip": FOLLOWED,
               "rstrip": FOLLOWED, "normalized": FOLLOWED, "__type": Only("AddedToken", None), "id": FOLLOWED}
TOKEN = (FOLLOWED, ADDED_TOKEN)
CALL = "an argument of each call"
FROM = "where the files came from"
NAMES = {f"{role}_token": TOKEN for role in ROLES} | {
    "additional_special_tokens": FOLLOWED, "extra_special_tokens": FOLLOWED}

# tokenizer_config.json, of all kinds of tokenizers
CONFIG = NAMES | {
    "tokenizer_class": FOLLOWED,
    "model_max_length": FOLLOWED,
    "max_len": FOLLOWED,                            # its name before version 3 of transformers
    "added_tokens_decoder": {ANY: ADDED_TOKEN},
    "padding_side": FOLLOWED,
    "truncation_side": FOLLOWED,
    "model_input_names": FOLLOWED,
    "pad_token_type_id": Only(0, None),
    "add_bos_token": Only(False, None),
    "add_eos_token": Only(False, None),
    "auto_map": Only(None, {}),                     # code in the folder, which is never run
    "max_length": CALL, "truncation": CALL, "truncation_strategy": CALL, "stride": CALL, "padding": CALL,
    "pad_to_multiple_of": CALL, "return_tensors": CALL, "return_token_type_ids": CALL, "is_split_into_words": CALL,
    "split_special_tokens": "special tokens in a text are found if and only if a call says special_tokens_in_text",
    "clean_up_tokenization_spaces": "no ids depend on it; the docstring of decode says what that does with spaces",
    "errors": "an argument of decode",
    "chat_template": "how a conversation is made a text; no ids of a text depend on it",
    "response_schema": "how a text is made a conversation",
    "processor_class": "which class holds this tokenizer and, say, an image processor",
    "verbose": "what is printed", "use_fast": "of two classes that do the same, which one",
    "backend": "of two libraries that do the same, which one",
    "name_or_path": FROM, "_name_or_path": FROM, "_commit_hash": FROM, "special_tokens_map_file": FROM,
    "tokenizer_file": FROM, "full_tokenizer_file": FROM, "vocab_file": FROM, "merges_file": FROM, "is_local": FROM,
    "local_files_only": FROM, "cache_dir": FROM, "revision": FROM, "subfolder": FROM, "from_slow": FROM,
    "trust_remote_code": FROM, "token": FROM, "use_auth_token": FROM, "force_download": FROM, "device_map": FROM,
    "transformers_version": FROM, "model_type": FROM,
}

# tokenizer.json: the parts that are alike for all kinds
WHOLE = {
    "version": Only("1.0", None),
    "truncation": {"direction": FOLLOWED, "max_length": CALL, "strategy": CALL, "stride": CALL},
    "padding": {"direction": FOLLOWED, "pad_token": FOLLOWED, "pad_id": FOLLOWED, "pad_type_id": Only(0, None),
                "strategy": CALL, "pad_to_multiple_of": CALL},
    "added_tokens": [ADDED_TOKEN],
}
STEPS = [{kind: {"id": FOLLOWED, "type_id": FOLLOWED} for kind in ("SpecialToken", "Sequence")}]
FRAMING = {"type": FOLLOWED, "sep": FOLLOWED, "cls": FOLLOWED, "single": STEPS, "pair": STEPS,
           "special_tokens": {ANY: {"id": FOLLOWED, "ids": FOLLOWED, "tokens": FOLLOWED}}}


class AddedToken(NamedTuple):
    """A token that no text is cut inside of, with the settings that `Tokenizer` explains."""
    id: int
    content: str
    special: bool
    strip_left: bool
    strip_right: bool
    single_word: bool
    normalized: bool

    @classmethod
    def of(cls, settings, index, special=False):
        content = settings.need("content", str)
        if not content:
            raise settings.error("content", "must have at least one character")
        special = settings.get("special", bool, special)
        return cls(index, content, special, *(settings.get(name, bool, False) for name in
                                              ("lstrip", "rstrip", "single_word")),
                   settings.get("normalized", bool, not special))


FLAGS = {"strip_left": "lstrip", "strip_right": "rstrip", "single_word": "single_word", "normalized": "normalized"}


def flags_of(added):
    """The arguments of `Tokenizer` that say how the AddedTokens are looked for."""
    return {flag: {token.content for token in added if getattr(token, flag)} for flag in FLAGS}


def decoder_of(tokenizer):
    """added_tokens_decoder, as transformers reads it, of what no text is cut inside of."""
    special = set(tokenizer.all_special_ids)
    return {str(index): {"content": token, "special": index in special}
            | {theirs: token in getattr(tokenizer, ours) for ours, theirs in FLAGS.items()}
            for index, token in sorted((tokenizer.vocab[token], token) for token in
                                       {*tokenizer.added_tokens, *(tokenizer.tokens[i] for i in special)})}


def options_of(tokenizer):
    """The settings of tokenizer_config.json that all kinds of tokenizers write."""
    options = {f"{role}_token": token for role, token in tokenizer.special_tokens.items() if token in tokenizer.vocab}
    options |= {"added_tokens_decoder": decoder_of(tokenizer), "padding_side": tokenizer.padding_side,
                "truncation_side": tokenizer.truncation_side}
    if tokenizer.has_segments and tokenizer.pair_type_id == 0:
        options["model_input_names"] = ["input_ids", "attention_mask"]      # read back by `pair_type_id`
    return options | ({} if tokenizer.model_max_length is None else {"model_max_length": tokenizer.model_max_length})


def common_options(config, whole):
    """The arguments of every `Tokenizer` in tokenizer_config.json, and in tokenizer.json where that does not say."""
    options = {"model_max_length": max_length(config)}
    for name, part in (("padding_side", "padding"), ("truncation_side", "truncation")):
        config.expect(name, "right", "left", None)
        direction = whole.inner(part)
        direction.expect("direction", "Right", "Left", None)
        options[name] = config.get(name, str) or (direction.get("direction", str) or "right").lower()
    return options


def pair_type_id(config):
    """The token type of a second text: 0 where the model is not given token types."""
    names = config.get("model_input_names", list)
    return {} if names is None or "token_type_ids" in names else {"pair_type_id": 0}


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
    if exists(plain) and (kind is None or kind in classes):
        return plain, kind
    if exists(whole):
        return whole, kind
    if exists(plain):
        raise named_in.error("tokenizer_class", f"must be one of {', '.join(classes)}")
    raise CheckpointError(folder, f"neither {vocabulary} nor tokenizer.json is there")


def check_agreement(path, plain, whole):
    """Refuse a folder of which the files at `path` and tokenizer.json mean different tokenizers; `plain` and `whole`
    are the arguments that each gives. How a special token is looked for in a text they need not agree on."""
    def ordinary(arguments):
        return {token for token, special in arguments["added_tokens"].items() if not special}

    def known(arguments):
        return {role: token for role, token in arguments["special_tokens"].items() if token in arguments["vocabulary"]}

    for name in [name for name in plain if name in whole and plain[name] is not None]:
        ours, theirs = plain[name], whole[name]
        if name in FLAGS:
            ours, theirs = sorted(ours & ordinary(plain)), sorted(theirs & ordinary(plain))
        elif name == "added_tokens":
            ours, theirs = sorted(ordinary(plain)), sorted(ordinary(whole))
        elif name == "special_tokens":
            ours, theirs = known(plain), known(whole)
            ours, theirs = ([f"{role} {named[role]}" for role in sorted(ours.keys() & theirs)] for named in
                            (ours, theirs))
        if ours != theirs:
            if isinstance(ours, list):
                place = next((i for i, (one, other) in enumerate(zip(ours, theirs, strict=False)) if one != other),
                             min(len(ours), len(theirs)))
                name = f"{name}[{place}]"
                ours, theirs = (values[place] if place < len(values) else None for values in (ours, theirs))
            raise CheckpointError(path, f"{name} is {ours!r:.100} here, but {theirs!r:.100} in tokenizer.json: delete "
                                  "the file that is wrong")


def max_length(config):
    """model_max_length of a configuration; None where transformers writes 1e30, which means no limit."""
    limit = config.get("model_max_length", float, config.get("max_len", float))
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


def told_tokens(*settings):
    """The AddedTokens that configurations describe where they name special tokens; their ids are not said there."""
    return [AddedToken.of(one.inner(f"{role}_token"), 0, special=True) for one in settings for role in ROLES
            if isinstance(one.values.get(f"{role}_token"), dict)]


def extra_tokens(*settings):
    """The names of special tokens without a role: lists of names or objects, or {an attribute: name or object}."""
    found = []
    for one in settings:
        for name in ("additional_special_tokens", "extra_special_tokens"):
            listed = one.values.get(name) or []
            for token in listed.values() if isinstance(listed, dict) else listed if isinstance(listed, list) else [0]:
                token = token.get("content") if isinstance(token, dict) else token
                if not isinstance(token, str) or not token:
                    raise one.error(name, "must be a list of tokens")
                found.append(token)
    return list(dict.fromkeys(found))


def added_tokens(folder, config):
    """The AddedTokens that tokenizer_config.json (`config`) and added_tokens.json list."""
    listed, more = config.inner("added_tokens_decoder"), Settings.read(folder / "added_tokens.json")
    for index in listed.values:
        if not re.fullmatch("0|[1-9][0-9]{0,8}", index):
            raise CheckpointError(config.path, f"{listed.place[:-1]} must have ids for names, got {index!r:.100}")
    if "" in more.values:
        raise more.error("", "must have at least one character")
    found = {more.need(token, int): AddedToken(more.need(token, int), token, False, False, False, False, True)
             for token in more.values}
    found |= {int(index): AddedToken.of(listed.inner(index), int(index)) for index in listed.values}
    return list(found.values())


def add_extra(tokens, added, extra, path):
    """The AddedTokens, those among them that are named `extra` made special, and the other ones of these added."""
    ids = {token: index for index, token in enumerate(tokens)} | {token.content: token.id for token in added}
    for name in extra:
        if name not in ids:
            raise CheckpointError(path, f"special token {name!r:.100} has no id in the vocabulary")
    listed = {token.content for token in added}
    return [token._replace(special=token.special or token.content in extra) for token in added] + [
        AddedToken(ids[name], name, True, False, False, False, False) for name in extra if name not in listed]


def add_tokens(tokens, added, path):
    """{token: is it special} of the AddedTokens, in the order of their ids, which `tokens` has or which follow it."""
    tokens, known = list(tokens), len(tokens)
    for token in sorted(added):
        if token.id == len(tokens):
            tokens.append(token.content)
        if not 0 <= token.id < len(tokens) or tokens[token.id] != token.content:
            there = f"{tokens[token.id]!r:.100}" if 0 <= token.id < len(tokens) else f"past the end, {len(tokens)}"
            raise CheckpointError(path, f"added token {token.content!r:.100} should have id {token.id}, which is "
                                  + there)
    twice = set(tokens[:known]).intersection(tokens[known:])
    if twice or len(set(tokens[known:])) < len(tokens) - known:
        raise CheckpointError(path, f"added token {min(twice or tokens[known:])!r:.100} has two ids")
    return {token.content: token.special for token in sorted(added)}


# tokenizer.json


def write_whole(path, tokenizer, **parts):
    """Write tokenizer.json: the `parts` that are a kind of tokenizer's own, and what all write alike. Of tokens that
    come twice it can hold only one; then it is not written, and an old one, which would say something else, removed."""
    own = tokenizer.tokens[:tokenizer.cut_from]
    if len(set(own)) < len(own):
        path.unlink(missing_ok=True)
        return
    parts["model"].setdefault("vocab", {token: index for index, token in enumerate(own)})
    added = [{"id": int(index)} | token for index, token in decoder_of(tokenizer).items()]
    write_json(path, {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added} | parts)


def frame_of(tokenizer, kind):
    """A post-processor of this `kind` that puts cls and sep around texts; None where the vocabulary lacks one."""
    names = {role: tokenizer.special_tokens.get(role) for role in ("sep", "cls")}
    if not set(names.values()) <= tokenizer.vocab.keys():
        return None
    return {"type": kind} | {role: [token, tokenizer.vocab[token]] for role, token in names.items()}


def model_of(parts, kind, hint):
    """The Settings of the model, which must be of this kind; old files do not say so, but have the setting `hint`."""
    model = parts.inner("model")
    model.expect("type", kind, None if hint in model.values else kind)
    return model


def listed_tokens(parts):
    """The AddedTokens of a tokenizer.json."""
    return [AddedToken.of(token, token.need("id", int)) for token in parts.each("added_tokens")]


def check_ids(parts, tokens, added):
    """Refuse a tokenizer.json of which one part gives a token another id than the vocabulary `tokens` and the `added`
    ones behind it have."""
    known = set(tokens)
    tokens = [*tokens, *(token for token in added if token not in known)]

    def check(settings, name, token, index):
        if type(index) is not int or not 0 <= index < len(tokens) or tokens[index] != token:
            there = repr(tokens[index]) if type(index) is int and 0 <= index < len(tokens) else "nothing"
            raise settings.error(name, f"must agree with the vocabulary, in which id {index!r:.20} is {there:.100} and "
                                 f"not {token!r:.100}")

    padding, processor = parts.inner("padding"), parts.inner("post_processor")
    if padding.values.get("pad_id") is not None:
        check(padding, "pad_id", padding.get("pad_token", str, "[PAD]"), padding.get("pad_id", int))
    for step in [processor, *(processor.each("processors") if "processors" in processor.values else [])]:
        for role in ("sep", "cls"):
            if step.values.get(role) is not None:
                _token_of(step, role)
                check(step, role, *step.get(role, list))
        named = step.inner("special_tokens")
        for name in named.values:
            one = named.inner(name)
            ids, texts = one.get("ids", list, []), one.get("tokens", list, [name])
            if len(ids) != 1 or texts != [name]:
                raise named.error(name, "must be one token and its id")
            check(named, name, name, ids[0])


def framing(processor, kind, *layouts):
    """{"cls": token, "sep": token}, which a post-processor puts around texts, {} where it puts none.

    It is one of this `kind`, or a template that gives one of `layouts`, {"single": ..., "pair": ...}: what becomes of
    one text and of two, as roles and texts ("A", "B"), each with its token type id. Anything else is refused.
    """
    if processor.get("type", str) == kind:
        return {role: _token_of(processor, role) for role in ("cls", "sep")}
    processor.expect("type", "TemplateProcessing")
    found = {row: [(key, part.need("id", str), part.need("type_id", int)) for step in processor.each(row)
                   for key in STEPS[0] if key in step.values for part in [step.inner(key)]]
             for row in ("single", "pair")}
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
