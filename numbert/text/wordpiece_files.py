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

ROLES = ("pad", "unk", "cls", "sep", "mask")
# The tokenizers of transformers that differ from BERT's in nothing but the name.
CLASSES = ("BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "MobileBertTokenizer", "ConvBertTokenizer",
           "LxmertTokenizer", "LayoutLMTokenizer", "SqueezeBertTokenizer", "DPRContextEncoderTokenizer",
           "DPRQuestionEncoderTokenizer", "DPRReaderTokenizer")
FRAME = {"single": [("cls", 0), ("A", 0), ("sep", 0)],
         "pair": [("cls", 0), ("A", 0), ("sep", 0), ("B", 1), ("sep", 1)]}


def read(folder):
    """The arguments of `WordPieceTokenizer` for the files in `folder`. Raises CheckpointError."""
    folder = Path(folder)
    config = Settings.read(folder / "tokenizer_config.json")
    names = names_by_role(Settings.read(folder / "special_tokens_map.json"), ROLES) | names_by_role(config, ROLES)
    path, _ = source(folder, config, "vocab.txt", CLASSES)
    arguments = _from_tokenizer_json(path) if path.suffix == ".json" else _from_vocabulary(path, config)
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


def _from_vocabulary(path, config):
    config.expect("do_basic_tokenize", True, None)
    config.expect("word_tokenizer_type", "basic", None)             # this and the next: Japanese BERT's
    config.expect("subword_tokenizer_type", "wordpiece", None)
    tokens = read_lines(path)
    return {
        "added_tokens": add_tokens(tokens, added_tokens(path.parent, config), path),
        "vocabulary": tokens,
        "lowercase": config.get("do_lower_case", bool, True),
        "strip_accents": config.get("strip_accents", bool),
        "tokenize_chinese_chars": config.get("tokenize_chinese_chars", bool, True),
        "clean_text": config.get("clean_text", bool, True),
        "max_input_chars_per_word": config.get("max_input_chars_per_word", int, 100),
    }


def _from_tokenizer_json(path):
    parts = Settings.read(path)
    normaliser, processor = parts.inner("normalizer"), parts.inner("post_processor")
    model = model_of(parts, "WordPiece", hint="max_input_chars_per_word")
    model.expect("continuing_subword_prefix", "##", None)
    parts.inner("pre_tokenizer").expect("type", "BertPreTokenizer")
    if normaliser.values:
        normaliser.expect("type", "BertNormalizer")
    tokens = tokens_in_order(model.inner("vocab"))
    added = add_tokens(tokens, listed_tokens(parts), path)
    names = {_role(token): token for token, special in added.items() if special and _role(token) in ROLES}
    names |= names_by_role(model, ROLES) | names_by_role(parts.inner("padding"), ROLES)
    return {
        "vocabulary": tokens,
        "special_tokens": names | (framing(processor, "BertProcessing", FRAME) if processor.values else {}),
        "added_tokens": added,
        "lowercase": normaliser.get("lowercase", bool, False),
        "strip_accents": normaliser.get("strip_accents", bool),
        "tokenize_chinese_chars": normaliser.get("handle_chinese_chars", bool, False),
        "clean_text": normaliser.get("clean_text", bool, False),
        "max_input_chars_per_word": model.get("max_input_chars_per_word", int, 100),
    }


def _role(token):
    return token.strip("[]<>|").lower()
