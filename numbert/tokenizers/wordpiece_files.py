"""The files of a WordPiece tokenizer, as Hugging Face transformers writes and reads them.

vocab.txt                 a token per line; the number of the line, from 0, is its id
tokenizer_config.json     do_lower_case, strip_accents, tokenize_chinese_chars, names of special tokens, added tokens
special_tokens_map.json   names of special tokens, once more
tokenizer.json            all of it in one file; read when there is no vocab.txt, and else it must say the same

A setting that `WordPieceTokenizer` could not follow is refused, rather than ignored: nobody notices ids
that are slightly wrong. The tables below and in files.py say how each is treated.
"""
from pathlib import Path

from ..hub import files
from ..hub.errors import exists
from ..hub.settings import ANY, FOLLOWED, Only, Settings
from .files import (
    CONFIG,
    FRAMING,
    NAMES,
    ROLES,
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
    pair_type_id,
    read_lines,
    source,
    tokens_in_order,
    told_tokens,
    write_json,
    write_whole,
)
from .tokenizer import SPACES

SPECIAL_TOKENS = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
# The tokenizers of transformers that differ from BERT's in nothing but the name.
CLASSES = ("BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "MobileBertTokenizer", "ConvBertTokenizer",
           "LxmertTokenizer", "LayoutLMTokenizer", "SqueezeBertTokenizer", "DPRContextEncoderTokenizer",
           "DPRQuestionEncoderTokenizer", "DPRReaderTokenizer")
FRAME = {"single": [("cls", 0), ("A", 0), ("sep", 0)],
         "pair": [("cls", 0), ("A", 0), ("sep", 0), ("B", 1), ("sep", 1)]}

TOKENIZER_CONFIG = CONFIG | {
    "do_lower_case": FOLLOWED, "strip_accents": FOLLOWED, "tokenize_chinese_chars": FOLLOWED,
    "clean_text": FOLLOWED, "max_input_chars_per_word": FOLLOWED,       # these two are our own, and not transformers'
    "do_basic_tokenize": Only(True, None),
    "never_split": Only(None, []),
    "word_tokenizer_type": Only("basic", None), "subword_tokenizer_type": Only("wordpiece", None),  # Japanese BERT's
    "wordpieces_prefix": Only("##", None),
    "add_prefix_space": "of byte-level tokenizers: BERT's has no spaces in its tokens",
    "trim_offsets": "of byte-level tokenizers: BERT's has no spaces in its tokens",
}
TOKENIZER_JSON = WHOLE | {
    "normalizer": {"type": Only("BertNormalizer", None), "clean_text": FOLLOWED, "handle_chinese_chars": FOLLOWED,
                   "strip_accents": FOLLOWED, "lowercase": FOLLOWED},
    "pre_tokenizer": {"type": FOLLOWED},
    "post_processor": FRAMING,
    "decoder": {"type": Only("WordPiece", None), "prefix": Only("##", None), "cleanup": FOLLOWED},
    "model": {"type": FOLLOWED, "unk_token": FOLLOWED, "continuing_subword_prefix": Only("##", None),
              "max_input_chars_per_word": FOLLOWED, "vocab": {ANY: FOLLOWED}},
}


def read(folder):
    """The arguments of `WordPieceTokenizer` for the files in `folder`. Raises CheckpointError."""
    folder = Path(folder)
    config = Settings.read(folder / "tokenizer_config.json", TOKENIZER_CONFIG)
    named = Settings.read(folder / "special_tokens_map.json", NAMES)
    path, _ = source(folder, config, "vocab.txt", CLASSES)
    whole = Settings.read(folder / "tokenizer.json", TOKENIZER_JSON, strict=True)
    names, added = names_by_role(named) | names_by_role(config), added_tokens(folder, config)
    if path == whole.path:
        arguments = _from_tokenizer_json(whole, added, named, config)
    else:
        arguments = _from_vocabulary(path, added, named, config)
        if exists(whole.path):
            theirs = _from_tokenizer_json(whole, [], named, config)
            theirs["special_tokens"] = names | theirs["special_tokens"]     # it may not say which token has which role
            check_agreement(path, _resolved(arguments, names), _resolved(theirs))
    arguments["special_tokens"] |= names
    return arguments | common_options(config, whole) | pair_type_id(config)


def _resolved(arguments, names=()):
    accents = arguments["strip_accents"]
    return arguments | {"special_tokens": SPECIAL_TOKENS | arguments["special_tokens"] | dict(names),
                        "strip_accents": arguments["lowercase"] if accents is None else accents}


def write(folder, tokenizer):
    """Save `tokenizer` as vocab.txt, tokenizer_config.json, special_tokens_map.json and tokenizer.json in `folder`."""
    folder = Path(folder)
    own = tokenizer.tokens[:tokenizer.cut_from]
    broken = [token for token in own if "\n" in token or token != token.rstrip(SPACES)]
    if broken:
        raise ValueError(f"{folder / 'vocab.txt'}: token {broken[0]!r} does not fit on a line")
    normaliser = tokenizer.normaliser
    config = options_of(tokenizer) | {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": normaliser.lowercase,
        "strip_accents": normaliser.strip_accents,
        "tokenize_chinese_chars": normaliser.tokenize_chinese_chars,
        "clean_text": normaliser.clean_text,
        "max_input_chars_per_word": tokenizer.max_input_chars_per_word,
    }
    folder.mkdir(parents=True, exist_ok=True)
    files.write_text(folder / "vocab.txt", "".join(token + "\n" for token in own))
    write_json(folder / "special_tokens_map.json", {name: config[name] for name in NAMES if name in config})
    write_json(folder / "tokenizer_config.json", config)
    write_whole(folder / "tokenizer.json", tokenizer,
                normalizer={"type": "BertNormalizer", "clean_text": normaliser.clean_text,
                            "handle_chinese_chars": normaliser.tokenize_chinese_chars,
                            "strip_accents": normaliser.strip_accents, "lowercase": normaliser.lowercase},
                pre_tokenizer={"type": "BertPreTokenizer"},
                post_processor=frame_of(tokenizer, "BertProcessing"),
                decoder={"type": "WordPiece", "prefix": "##", "cleanup": tokenizer.tidy},
                model={"type": "WordPiece", "unk_token": tokenizer.special_tokens["unk"],
                       "continuing_subword_prefix": "##",
                       "max_input_chars_per_word": tokenizer.max_input_chars_per_word})


def _from_vocabulary(path, added, named, config):
    tokens = [line.rstrip(SPACES) for line in read_lines(path)]         # as `tokenizers` does, and Google's own code
    added = add_extra(tokens, added, extra_tokens(named, config), path)
    return {
        "special_tokens": {},
        "added_tokens": add_tokens(tokens, added, path),
        "vocabulary": tokens,
        "lowercase": config.get("do_lower_case", bool, True),
        "strip_accents": config.get("strip_accents", bool),
        "tokenize_chinese_chars": config.get("tokenize_chinese_chars", bool, True),
        "clean_text": config.get("clean_text", bool, True),
        "max_input_chars_per_word": _longest(config, "max_input_chars_per_word"),
    } | flags_of(told_tokens(named, config) + added)


def _from_tokenizer_json(parts, added, named, config):
    normaliser, processor = parts.inner("normalizer"), parts.inner("post_processor")
    model = model_of(parts, "WordPiece", hint="max_input_chars_per_word")
    parts.inner("pre_tokenizer").expect("type", "BertPreTokenizer")
    tokens = tokens_in_order(model.inner("vocab"))
    entries = {token.content: token for token in listed_tokens(parts) + added}.values()
    entries = add_extra(tokens, entries, extra_tokens(named, config), parts.path)
    added = add_tokens(tokens, entries, parts.path)
    check_ids(parts, tokens, added)
    names = {_role(token): token for token, special in added.items() if special and _role(token) in ROLES}
    names |= names_by_role(model, ["unk"]) | names_by_role(parts.inner("padding"), ["pad"])
    return {
        "vocabulary": tokens,
        "special_tokens": names | (framing(processor, "BertProcessing", FRAME) if processor.values else {}),
        "added_tokens": added,
        "lowercase": normaliser.get("lowercase", bool, False),
        "strip_accents": normaliser.get("strip_accents", bool),
        "tokenize_chinese_chars": normaliser.get("handle_chinese_chars", bool, False),
        "clean_text": normaliser.get("clean_text", bool, False),
        "max_input_chars_per_word": _longest(model, "max_input_chars_per_word"),
        "tidy": parts.inner("decoder").get("cleanup", bool, True),
    } | flags_of(entries)


def _longest(settings, name):
    """How many characters of a word are looked at."""
    if (length := settings.get(name, int, 100)) < 0:
        raise settings.error(name, "must be at least 0")
    return length


def _role(token):
    return token.strip("[]<>|").lower()
