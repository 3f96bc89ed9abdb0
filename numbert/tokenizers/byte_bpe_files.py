"""The files of a byte-level BPE tokenizer, as Hugging Face transformers writes and reads them.

vocab.json                {token: id}, its bytes written as characters that can be seen (byte_bpe_words.py)
merges.txt                "#version: 0.2", then a pair of tokens per line, in the order in which they are joined
tokenizer_config.json     RoBERTa's or GPT-2's class, add_prefix_space, trim_offsets, special and added tokens
special_tokens_map.json   names of special tokens, once more
tokenizer.json            all of it in one file; read when there is no vocab.json, and else it must say the same

A setting that `ByteLevelBPETokenizer` could not follow is refused, rather than ignored. The tables
below and in files.py say how each is treated.

Where no file says whether <mask> takes the space before it with it, it does, as in the files of roberta-base and in
fairseq; version 5 of transformers assumes the contrary.
"""
import json
from pathlib import Path

from ..hub import files
from ..hub.errors import CheckpointError, exists
from ..hub.settings import ANY, FOLLOWED, Only, Settings
from .byte_bpe_words import printable_bytes
from .files import (
    CONFIG,
    FRAMING,
    NAMES,
    WHOLE,
    add_extra,
    add_tokens,
    added_tokens,
    check_agreement,
    check_ids,
    common_options,
    extra_tokens,
    flags_of,
    frame_of,
    framing,
    listed_tokens,
    model_of,
    names_by_role,
    options_of,
    read_lines,
    source,
    tokens_in_order,
    told_tokens,
    write_json,
    write_whole,
)

VERSION = "#version: 0.2"
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
# The special tokens, by role, where the files do not name them.
ROBERTA = {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>", "cls": "<s>", "sep": "</s>"}
GPT2 = {"bos": "<|endoftext|>", "eos": "<|endoftext|>", "unk": "<|endoftext|>"}
# Those of transformers' tokenizers; the classes that share RoBERTa's differ in nothing but the name.
DEFAULTS = {"RobertaTokenizer": ROBERTA, "GPT2Tokenizer": GPT2, "BartTokenizer": ROBERTA,
            "LongformerTokenizer": ROBERTA, "LEDTokenizer": ROBERTA}
FRAME = {"single": [("cls", 0), ("A", 0), ("sep", 0)],
         "pair": [("cls", 0), ("A", 0), ("sep", 0), ("sep", 0), ("B", 0), ("sep", 0)]}
NO_FRAME = {"single": [("A", 0)], "pair": [("A", 0), ("B", 1)]}


BERTS = "of BERT's tokenizer; byte-level ones leave a text as it is"
DECODED = "decode gives the bytes back as they were, whatever this says"
TOKENIZER_CONFIG = CONFIG | {
    "add_prefix_space": FOLLOWED, "trim_offsets": FOLLOWED,
    "trim_first_space": FOLLOWED,                                       # our own, and not transformers'
    "do_lower_case": BERTS, "strip_accents": BERTS, "tokenize_chinese_chars": BERTS, "do_basic_tokenize": BERTS,
    "never_split": BERTS,
    "model_input_names": "neither GPT-2 nor RoBERTa has segments: the token types are 0",
}
PROCESSOR = FRAMING | {"trim_offsets": FOLLOWED, "add_prefix_space": FOLLOWED,
                       "use_regex": "a text is cut before this step"}
TOKENIZER_JSON = WHOLE | {
    "normalizer": Only(None),
    "pre_tokenizer": {"type": FOLLOWED, "add_prefix_space": FOLLOWED, "use_regex": Only(True, None),
                      "trim_offsets": "offsets are cut by the post-processor"},
    "post_processor": PROCESSOR | {"processors": [PROCESSOR]},
    "decoder": {"type": Only("ByteLevel"), "add_prefix_space": DECODED, "trim_offsets": DECODED, "use_regex": DECODED},
    "model": {"type": FOLLOWED, "vocab": {ANY: FOLLOWED}, "merges": FOLLOWED, "unk_token": FOLLOWED,
              "fuse_unk": "every byte is a token, so none is unknown",
              "dropout": Only(None, 0.0, 0), "continuing_subword_prefix": Only(None, ""),
              "end_of_word_suffix": Only(None, ""), "byte_fallback": Only(False, None),
              "ignore_merges": Only(False, None)},
}


def read(folder):
    """The arguments of `ByteLevelBPETokenizer` for the files in `folder`. Raises CheckpointError."""
    folder = Path(folder)
    config = Settings.read(folder / "tokenizer_config.json", TOKENIZER_CONFIG)
    named = Settings.read(folder / "special_tokens_map.json", NAMES)
    path, kind = source(folder, config, "vocab.json", DEFAULTS)
    whole = Settings.read(folder / "tokenizer.json", TOKENIZER_JSON, strict=True)
    added = added_tokens(folder, config)
    if path == whole.path:
        arguments = _from_tokenizer_json(whole, added, named, config)
    else:
        arguments = _from_vocabulary(path, kind, added, named, config)
        if exists(whole.path):
            check_agreement(path, _resolved(arguments), _resolved(_from_tokenizer_json(whole, [], named, config)))
    known = set(arguments["vocabulary"])
    for rank, pair in enumerate(arguments["merges"]):
        if not known.issuperset((*pair, "".join(pair))):
            raise CheckpointError(folder, f"merge {rank} makes {''.join(pair)!r:.50} of {pair[0]!r:.50} and "
                                  f"{pair[1]!r:.50}, but the vocabulary does not have all three")
    return arguments | common_options(config, whole)


def _resolved(arguments):
    """With the tokenizer's default in place of each None."""
    trim, first = arguments["trim_offsets"], arguments.get("trim_first_space")
    trim = "cls" in arguments["special_tokens"] if trim is None else trim
    first = not arguments["add_prefix_space"] if first is None else first
    return arguments | {"trim_offsets": trim, "trim_first_space": trim and first}


def write(folder, tokenizer):
    """Save `tokenizer` as vocab.json, merges.txt, tokenizer_config.json, special_tokens_map.json and tokenizer.json in
    `folder`."""
    folder = Path(folder)
    lines = [" ".join(pair) for pair in tokenizer.merges]
    for line in lines:
        if line.count(" ") != 1 or "\n" in line or "\r" in line:
            raise ValueError(f"{folder / 'merges.txt'}: merge {line!r} does not fit on a line")
    config = options_of(tokenizer) | {
        "tokenizer_class": "RobertaTokenizer" if tokenizer.frame[0][0] else "GPT2Tokenizer",
        "add_prefix_space": tokenizer.add_prefix_space,
        "trim_offsets": tokenizer.trim_offsets,
        "trim_first_space": tokenizer.trim_first_space,
    }
    folder.mkdir(parents=True, exist_ok=True)
    own = {token: index for index, token in enumerate(tokenizer.tokens[:tokenizer.cut_from])}
    files.write_text(folder / "vocab.json", json.dumps(own, ensure_ascii=False) + "\n")
    files.write_text(folder / "merges.txt", "".join(line + "\n" for line in [VERSION, *lines]))
    write_json(folder / "special_tokens_map.json", {name: config[name] for name in NAMES if name in config})
    write_json(folder / "tokenizer_config.json", config)
    trimming = {"add_prefix_space": not tokenizer.trim_first_space, "trim_offsets": tokenizer.trim_offsets}
    framed = frame_of(tokenizer, "RobertaProcessing") if tokenizer.frame[0][0] else None
    write_whole(folder / "tokenizer.json", tokenizer, normalizer=None,
                pre_tokenizer=BYTE_LEVEL | {"add_prefix_space": tokenizer.add_prefix_space},
                post_processor=(framed or BYTE_LEVEL) | trimming, decoder=BYTE_LEVEL,
                model={"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
                       "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False, "merges": lines})


def _from_vocabulary(path, kind, added, named, config):
    tokens = tokens_in_order(Settings.read(path))
    default = DEFAULTS[kind or ("RobertaTokenizer" if {"<s>", "</s>"} <= set(tokens) else "GPT2Tokenizer")]
    added = add_extra(tokens, added, extra_tokens(named, config), path)
    names = default | names_by_role(named) | names_by_role(config)
    return {
        "added_tokens": add_tokens(tokens, added, path),
        "vocabulary": tokens,
        "merges": _read_merges(path.with_name("merges.txt")),
        "special_tokens": _unframed(names, framed=default is ROBERTA),
        "add_prefix_space": config.get("add_prefix_space", bool, False),
        "trim_offsets": config.get("trim_offsets", bool),
        "trim_first_space": config.get("trim_first_space", bool),
    } | _flags_of(told_tokens(named, config) + added)


def _read_merges(path):
    lines = read_lines(path)
    first = 1 if lines[0].startswith("#version") else 0
    merges = [tuple(line.split(" ")) for line in lines[first:]]
    for number, pair in enumerate(merges, first + 1):
        if len(pair) != 2 or "" in pair:
            raise CheckpointError(path, f"line {number} must be two tokens with a space between, "
                                  f"got {' '.join(pair)!r:.100}")
    return merges


def _from_tokenizer_json(parts, added, named, config):
    model, pre_tokenizer = model_of(parts, "BPE", hint="merges"), parts.inner("pre_tokenizer")
    pre_tokenizer.expect("type", "ByteLevel")
    parts.inner("decoder").expect("type", "ByteLevel")
    tokens = tokens_in_order(model.inner("vocab"))
    if not set(printable_bytes()) <= set(tokens):
        model.expect("unk_token", None)                 # it would stand for the bytes that are no tokens
    entries = {token.content: token for token in listed_tokens(parts) + added}.values()
    entries = add_extra(tokens, entries, extra_tokens(named, config), parts.path)
    added = add_tokens(tokens, entries, parts.path)
    check_ids(parts, tokens, added)
    framed, trimming = _post_processing(parts)
    special = {token for token, is_special in added.items() if is_special}
    guessed = {role: token for default in (GPT2, ROBERTA) for role, token in default.items() if token in special}
    names = guessed | names_by_role(parts.inner("padding"), ["pad"]) | framed | names_by_role(named)
    return {
        "vocabulary": tokens,
        "merges": _merges_of_json(model),
        "special_tokens": _unframed(names | names_by_role(config), bool(framed)),
        "added_tokens": added,
        "add_prefix_space": pre_tokenizer.get("add_prefix_space", bool, True),
    } | trimming | _flags_of(entries)


def _merges_of_json(model):
    """Pairs, written as ["a", "b"], or by older versions as "a b"."""
    merges = model.get("merges", list, [])
    pairs = [tuple(merge.split(" ")) if isinstance(merge, str) else merge for merge in merges]
    for number, pair in enumerate(pairs):
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(isinstance(token, str) for token in pair):
            raise CheckpointError(model.path, f"model.merges[{number}] must be two tokens, got {merges[number]!r:.100}")
    return list(map(tuple, pairs))


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


def _flags_of(added):
    """`flags_of`, with the rule for <mask> in the docstring of this module."""
    flags = flags_of(added)
    return flags | {"strip_left": flags["strip_left"] | ({"<mask>"} - {token.content for token in added})}
