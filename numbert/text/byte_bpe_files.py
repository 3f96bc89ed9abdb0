"""The files of a byte-level BPE tokenizer, as Hugging Face transformers writes and reads them.

vocab.json                {token: id}, its bytes written as characters that can be seen (byte_bpe_words.py)
merges.txt                "#version: 0.2", then a pair of tokens per line, in the order in which they are joined
tokenizer_config.json     RoBERTa's or GPT-2's class, add_prefix_space, trim_offsets, special and added tokens
special_tokens_map.json   names of special tokens, once more
tokenizer.json            all of it in one file; read when there is no vocab.json

A setting that `ByteLevelBPETokenizer` could not follow is refused, rather than ignored.

Where no file says whether <mask> takes the space before it with it, it does, as in the files of roberta-base and in
fairseq; version 5 of transformers assumes the contrary.
"""
import json
from pathlib import Path

from .. import files
from ..hub.errors import CheckpointError
from .byte_bpe_words import printable_bytes
from .tokenizer_files import (
    AddedToken,
    Settings,
    add_tokens,
    added_tokens,
    framing,
    listed_tokens,
    max_length,
    model_of,
    names_by_role,
    read_lines,
    source,
    tokens_in_order,
    write_json,
)

VERSION = "#version: 0.2"
# The special tokens, by role, where the files do not name them.
ROBERTA = {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>", "cls": "<s>", "sep": "</s>"}
GPT2 = {"bos": "<|endoftext|>", "eos": "<|endoftext|>", "unk": "<|endoftext|>"}
# Those of transformers' tokenizers; the classes that share RoBERTa's differ in nothing but the name.
DEFAULTS = {"RobertaTokenizer": ROBERTA, "GPT2Tokenizer": GPT2, "BartTokenizer": ROBERTA,
            "LongformerTokenizer": ROBERTA, "LEDTokenizer": ROBERTA}
FRAME = {"single": [("cls", 0), ("A", 0), ("sep", 0)],
         "pair": [("cls", 0), ("A", 0), ("sep", 0), ("sep", 0), ("B", 0), ("sep", 0)]}
NO_FRAME = {"single": [("A", 0)], "pair": [("A", 0), ("B", 1)]}


def read(folder):
    """The arguments of `ByteLevelBPETokenizer` for the files in `folder`. Raises CheckpointError."""
    folder = Path(folder)
    config = Settings.read(folder / "tokenizer_config.json")
    named = Settings.read(folder / "special_tokens_map.json")
    path, kind = source(folder, config, "vocab.json", DEFAULTS)
    names = names_by_role(named) | names_by_role(config)
    if path.name == "tokenizer.json":
        arguments = _from_tokenizer_json(path, names)
    else:
        told = [AddedToken.of(settings.inner(name), 0) for settings in (named, config)
                for name in settings.values if name.endswith("_token") and isinstance(settings.values[name], dict)]
        arguments = _from_vocabulary(path, kind, config, names, told)
    known = set(arguments["vocabulary"])
    for rank, pair in enumerate(arguments["merges"]):
        if not known.issuperset((*pair, "".join(pair))):
            raise CheckpointError(folder, f"merge {rank} makes {''.join(pair)!r:.50} of {pair[0]!r:.50} and "
                                  f"{pair[1]!r:.50}, but the vocabulary does not have all three")
    return arguments | {"model_max_length": max_length(config)}


def write(folder, tokenizer):
    """Save `tokenizer` as vocab.json, merges.txt, tokenizer_config.json and special_tokens_map.json in `folder`."""
    folder = Path(folder)
    lines = [" ".join(pair) for pair in tokenizer.merges]
    for line in lines:
        if line.count(" ") != 1 or "\n" in line or "\r" in line:
            raise ValueError(f"{folder / 'merges.txt'}: merge {line!r} does not fit on a line")
    names = {f"{role}_token": token for role, token in tokenizer.special_tokens.items() if token in tokenizer.vocab}
    special = {tokenizer.tokens[index] for index in tokenizer.all_special_ids}
    whole = sorted(special.union(tokenizer.added_tokens), key=tokenizer.vocab.get)
    config = names | {
        "tokenizer_class": "RobertaTokenizer" if tokenizer.frame[0][0] else "GPT2Tokenizer",
        "add_prefix_space": tokenizer.add_prefix_space,
        "trim_offsets": tokenizer.trim_offsets,
        "trim_first_space": tokenizer.trim_first_space,
        "added_tokens_decoder": {
            str(tokenizer.vocab[token]): {
                "content": token, "special": token in special, "lstrip": token in tokenizer.strip_left,
                "rstrip": token in tokenizer.strip_right, "single_word": False, "normalized": False}
            for token in whole
        },
    }
    if tokenizer.model_max_length is not None:
        config["model_max_length"] = tokenizer.model_max_length
    folder.mkdir(parents=True, exist_ok=True)
    files.write_text(folder / "vocab.json", json.dumps(tokenizer.vocab, ensure_ascii=False) + "\n")
    files.write_text(folder / "merges.txt", "".join(line + "\n" for line in [VERSION, *lines]))
    write_json(folder / "special_tokens_map.json", names)
    write_json(folder / "tokenizer_config.json", config)


def _from_vocabulary(path, kind, config, names, told):
    tokens = tokens_in_order(Settings.read(path))
    default = DEFAULTS[kind or ("RobertaTokenizer" if {"<s>", "</s>"} <= set(tokens) else "GPT2Tokenizer")]
    config.expect("add_bos_token", False, None)
    added = added_tokens(path.parent, config)
    return {
        "added_tokens": add_tokens(tokens, added, path),
        "vocabulary": tokens,
        "merges": _read_merges(path.with_name("merges.txt")),
        "special_tokens": _unframed(default | names, framed=default is ROBERTA),
        "add_prefix_space": config.get("add_prefix_space", bool, False),
        "trim_offsets": config.get("trim_offsets", bool),
        "trim_first_space": config.get("trim_first_space", bool),
    } | _stripping(added + told)


def _read_merges(path):
    lines = read_lines(path)
    first = 1 if lines[0].startswith("#version") else 0
    merges = [tuple(line.split(" ")) for line in lines[first:]]
    for number, pair in enumerate(merges, first + 1):
        if len(pair) != 2 or "" in pair:
            raise CheckpointError(path, f"line {number} must be two tokens with a space between, "
                                  f"got {' '.join(pair)!r:.100}")
    return merges


def _from_tokenizer_json(path, names):
    parts = Settings.read(path)
    model, pre_tokenizer = model_of(parts, "BPE", hint="merges"), parts.inner("pre_tokenizer")
    for option in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges"):
        if model.values.get(option):
            raise model.error(option, "is not supported")
    parts.expect("normalizer", None)
    pre_tokenizer.expect("type", "ByteLevel")
    pre_tokenizer.expect("use_regex", True, None)
    parts.inner("decoder").expect("type", "ByteLevel")
    tokens = tokens_in_order(model.inner("vocab"))
    if not set(printable_bytes()) <= set(tokens):
        model.expect("unk_token", None)                 # it would stand for the bytes that are no tokens
    entries = listed_tokens(parts)
    added = add_tokens(tokens, entries, path)
    framed, trimming = _post_processing(parts)
    special = {token for token, is_special in added.items() if is_special}
    guessed = {role: token for default in (GPT2, ROBERTA) for role, token in default.items() if token in special}
    return {
        "vocabulary": tokens,
        "merges": _merges_of_json(model),
        "special_tokens": _unframed(guessed | names_by_role(parts.inner("padding")) | framed | names, bool(framed)),
        "added_tokens": added,
        "add_prefix_space": pre_tokenizer.get("add_prefix_space", bool, True),
    } | trimming | _stripping(entries)


def _merges_of_json(model):
    """Pairs, written as ["a", "b"], or by older versions as "a b"."""
    merges = model.get("merges", list, [])
    pairs = [tuple(merge.split(" ")) if isinstance(merge, str) else merge for merge in merges]
    for number, pair in enumerate(pairs):
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(isinstance(token, str) for token in pair):
            raise CheckpointError(model.path, f"model.merges[{number}] must be two tokens, got {merges[number]!r:.100}")
    return pairs


def _post_processing(parts):
    """What is put around texts, {} or {"cls": token, "sep": token} where RoBERTa puts them; and how offsets are cut."""
    framed, trimming, processor = {}, {"trim_offsets": False}, parts.inner("post_processor")
    steps = processor.each("processors") if processor.get("type", str) == "Sequence" else [processor]
    for step in steps if processor.values else ():
        kind = step.get("type", str)
        if kind in ("ByteLevel", "RobertaProcessing"):
            trimming = {"trim_offsets": step.get("trim_offsets", bool, True),
                        "trim_first_space": not step.get("add_prefix_space", bool, True)}
        if kind != "ByteLevel":
            framed = framing(step, "RobertaProcessing", FRAME, NO_FRAME)
    return framed, trimming


def _unframed(names, framed):
    """`names` by role, without cls and sep where nothing is put around texts."""
    return {role: token for role, token in names.items() if framed or role not in ("cls", "sep")}


def _stripping(added):
    """strip_left and strip_right of the AddedTokens."""
    left = {token.content for token in added if token.left} | ({"<mask>"} - {token.content for token in added})
    return {"strip_left": left, "strip_right": {token.content for token in added if token.right}}
