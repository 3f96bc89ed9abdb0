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
from .byte_bpe_words import printable_bytes
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

VERSION = "#version: 0.2"
# The special tokens, by role, where the files do not name them.
ROBERTA = {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>", "cls": "<s>", "sep": "</s>"}
GPT2 = {"bos": "<|endoftext|>", "eos": "<|endoftext|>", "unk": "<|endoftext|>"}
DEFAULTS = {"RobertaTokenizer": ROBERTA, "GPT2Tokenizer": GPT2}


def read(folder):
    """The arguments of `ByteLevelBPETokenizer` for the files in `folder`. Raises ValueError naming the file."""
    folder = Path(folder)
    config = read_json(folder / "tokenizer_config.json", missing={})
    named = read_json(folder / "special_tokens_map.json", missing={})
    named = named | {name: value for name, value in config.items() if value is not None}
    if (folder / "vocab.json").exists():
        arguments = _from_vocabulary(folder, config, named)
    elif (folder / "tokenizer.json").exists():
        arguments = _from_tokenizer_json(folder / "tokenizer.json", named)
    else:
        raise ValueError(f"{folder}: neither vocab.json nor tokenizer.json is there")
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


def _from_vocabulary(folder, config, named):
    path = folder / "vocab.json"
    tokens = tokens_in_order(path, "the vocabulary", read_json(path))
    default = "RobertaTokenizer" if {"<s>", "</s>"} <= set(tokens) else "GPT2Tokenizer"
    kind = config.get("tokenizer_class", default).removesuffix("Fast")
    if kind not in DEFAULTS:
        raise ValueError(f"{folder / 'tokenizer_config.json'}: tokenizer_class must be one of {', '.join(DEFAULTS)}, "
                         f"got {kind!r}")
    if config.get("add_bos_token"):
        raise ValueError(f"{folder / 'tokenizer_config.json'}: add_bos_token = true is not supported")
    entries = added_token_entries(folder, config)
    return {
        "vocabulary": tokens,
        "merges": _read_merges(folder / "merges.txt"),
        "special_tokens": _unframed(DEFAULTS[kind] | names_by_role(named), framed=kind == "RobertaTokenizer"),
        "added_tokens": add_tokens(tokens, entries, path),
        "add_prefix_space": config.get("add_prefix_space", False),
        "trim_offsets": config.get("trim_offsets"),
        "trim_first_space": config.get("trim_first_space"),
    } | _stripping(entries + [value for value in named.values() if isinstance(value, dict) and "content" in value])


def _read_merges(path):
    if not path.exists():
        raise ValueError(f"{path}: not there, but vocab.json is")
    lines = files.read_text(path).removesuffix("\n").split("\n")
    first = 1 if lines[0].startswith("#version") else 0
    merges = [tuple(line.removesuffix("\r").split(" ")) for line in lines[first:] if len(lines) > 1 or line]
    for number, pair in enumerate(merges, first + 1):
        if len(pair) != 2 or "" in pair:
            raise ValueError(f"{path}: line {number} must be two tokens with a space between, got {' '.join(pair)!r}")
    return merges


def _from_tokenizer_json(path, named):
    parts = read_json(path)
    model = parts.get("model") or {}
    kind = model.get("type") or ("BPE" if "merges" in model else "not named")
    if kind != "BPE":
        raise ValueError(f"{path}: the model is {kind}, and this tokenizer is byte-level BPE")
    for option in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges"):
        if model.get(option):
            raise ValueError(f"{path}: model.{option} = {model[option]!r} is not supported")
    expect(path, "normalizer", (parts.get("normalizer") or {"type": None}).get("type"), None)
    pre_tokenizer = parts.get("pre_tokenizer") or {"type": None}
    expect(path, "pre_tokenizer", pre_tokenizer.get("type"), "ByteLevel")
    expect(path, "pre_tokenizer.use_regex", pre_tokenizer.get("use_regex", True), True)
    expect(path, "decoder", (parts.get("decoder") or {"type": None}).get("type"), "ByteLevel")
    tokens = tokens_in_order(path, "model.vocab", model.get("vocab"))
    missing = [char for char in printable_bytes() if char not in model["vocab"]]
    if missing and model.get("unk_token"):
        raise ValueError(f"{path}: model.unk_token = {model['unk_token']!r} stands for the byte of {missing[0]}, which "
                         "is not in model.vocab: not supported")
    entries = parts.get("added_tokens") or []
    added = add_tokens(tokens, entries, path)
    framing, trimming = _post_processing(path, parts.get("post_processor"))
    special = {token for token, is_special in added.items() if is_special}
    guessed = {role: token for default in (GPT2, ROBERTA) for role, token in default.items() if token in special}
    names = guessed | names_by_role(parts.get("padding") or {}) | framing | names_by_role(named)
    return {
        "vocabulary": tokens,
        "merges": _merges_of_json(path, model.get("merges")),
        "special_tokens": _unframed(names, framed=bool(framing)),
        "added_tokens": added,
        "add_prefix_space": pre_tokenizer.get("add_prefix_space", True),
    } | trimming | _stripping(entries)


def _merges_of_json(path, merges):
    """Pairs, written as ["a", "b"], or by older versions as "a b"."""
    pairs = [tuple(merge.split(" ") if isinstance(merge, str) else merge) for merge in merges or ()]
    for number, pair in enumerate(pairs):
        if len(pair) != 2:
            raise ValueError(f"{path}: model.merges[{number}] must be two tokens, got {merges[number]!r}")
    return pairs


def _post_processing(path, processor):
    """What is put around texts, {} or {"cls": token, "sep": token} where RoBERTa puts them; and how offsets are cut."""
    framing, trimming = {}, {"trim_offsets": False}
    steps = processor["processors"] if processor and processor["type"] == "Sequence" else [processor] * bool(processor)
    for step in steps:
        if step["type"] in ("ByteLevel", "RobertaProcessing"):
            trimming = {"trim_offsets": step.get("trim_offsets", True),
                        "trim_first_space": not step.get("add_prefix_space", True)}
        if step["type"] == "RobertaProcessing":
            framing = {"cls": step["cls"][0], "sep": step["sep"][0]}
        elif step["type"] == "TemplateProcessing":
            framing = _framing_of_template(path, step)
        elif step["type"] != "ByteLevel":
            raise ValueError(f"{path}: post_processor {step['type']!r} is not supported")
    return framing, trimming


def _framing_of_template(path, step):
    single, pair = ([(part["id"], part["type_id"]) for item in step[name] for part in item.values()]
                    for name in ("single", "pair"))
    if single == [("A", 0)] and pair == [("A", 0), ("B", 1)]:
        return {}
    cls, sep = single[0], single[-1]
    expect(path, "post_processor.single", single, [cls, ("A", 0), sep])
    expect(path, "post_processor.pair", pair, [cls, ("A", 0), sep, sep, ("B", 0), sep])
    return {"cls": cls[0], "sep": sep[0]}


def _unframed(names, framed):
    """`names`, without cls and sep where nothing is put around texts."""
    return {role: token for role, token in names.items() if framed or role not in ("cls", "sep")}


def _stripping(entries):
    """strip_left and strip_right of the added tokens that `entries` tell of."""
    told = {entry["content"] for entry in entries}
    left = {entry["content"] for entry in entries if entry.get("lstrip")} | ({"<mask>"} - told)
    return {"strip_left": left, "strip_right": {entry["content"] for entry in entries if entry.get("rstrip")}}
