"""The files of a Unigram tokenizer, as Hugging Face transformers 5 writes and reads them.

tokenizer.json            pieces with their scores, steps, special and added tokens
tokenizer_config.json     the class, names of special tokens; do_lower_case and keep_accents must agree with the steps
special_tokens_map.json   names of special tokens, once more

A setting that `UnigramTokenizer` could not follow is refused, rather than ignored. The tables below, in albert.py and
in files.py say how each is treated.
"""
import base64
import binascii
from collections import Counter
from pathlib import Path

from ..hub.errors import CheckpointError, exists
from ..hub.settings import FOLLOWED, Only, Settings
from .albert import SPACE, TOKENIZER_CONFIG
from .charsmap import CharsMap
from .files import (
    FRAMING,
    NAMES,
    WHOLE,
    add_extra,
    add_tokens,
    added_tokens,
    check_ids,
    common_options,
    extra_tokens,
    flags_of,
    framing,
    listed_tokens,
    model_of,
    names_by_role,
    options_of,
    pair_type_id,
    write_json,
    write_whole,
)

METASPACE = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "always", "split": True}
LAYOUTS = [{"single": [("cls", 0), ("A", 0), ("sep", 0)],
            "pair": [("cls", 0), ("A", 0), ("sep", 0), ("B", type_id), ("sep", type_id)]} for type_id in (0, 1)]
QUOTES, PLAIN, SEVERAL = ("``", "''"), ("NFKD", "StripAccents"), " {2,}"
ORDER = (*QUOTES, *PLAIN, "Lowercase", "Precompiled", SEVERAL)      # of the steps of a normalizer

NORMALIZER = {"type": FOLLOWED, "pattern": {"String": FOLLOWED, "Regex": FOLLOWED}, "content": FOLLOWED,
              "precompiled_charsmap": FOLLOWED}
PRE_TOKENIZER = {"type": FOLLOWED, "replacement": Only(SPACE, None), "str_rep": Only(SPACE, None),
                 "prepend_scheme": Only("always", None), "add_prefix_space": Only(True, None),
                 "split": Only(True, None)}
DECODED = "decode makes each ▁ a space, but the first"
TOKENIZER_JSON = WHOLE | {
    "normalizer": NORMALIZER | {"normalizers": [NORMALIZER]},
    "pre_tokenizer": PRE_TOKENIZER | {"pretokenizers": [PRE_TOKENIZER]},
    "post_processor": FRAMING,
    "decoder": {"type": Only("Metaspace", None), "replacement": Only(SPACE, None), "str_rep": Only(SPACE, None),
                "prepend_scheme": DECODED, "add_prefix_space": DECODED, "split": DECODED},
    "model": {"type": FOLLOWED, "vocab": FOLLOWED, "unk_id": FOLLOWED, "byte_fallback": Only(False, None)},
}


def read(folder):
    """The arguments of `UnigramTokenizer` for the files in `folder`. Raises CheckpointError."""
    folder = Path(folder)
    config = Settings.read(folder / "tokenizer_config.json", TOKENIZER_CONFIG)
    named = Settings.read(folder / "special_tokens_map.json", NAMES)
    path = folder / "tokenizer.json"
    if not exists(path):
        raise CheckpointError(path, "there is no such file")
    whole = Settings.read(path, TOKENIZER_JSON, strict=True)
    model = model_of(whole, "Unigram", hint="unk_id")
    pieces, unknown = _pieces(model), model.need("unk_id", int)
    tokens = [piece for piece, _ in pieces]
    if not 0 <= unknown < len(tokens):
        raise model.error("unk_id", f"must be the id of one of {len(tokens)} pieces")
    entries = list({token.content: token for token in listed_tokens(whole) + added_tokens(folder, config)}.values())
    # transformers 5 calls every added token an extra one, special or not; what it is stands in tokenizer.json.
    plain = {token.content for token in entries if not token.special}
    extra = [name for name in extra_tokens(named, config) if name not in plain]
    entries = add_extra(tokens, entries, extra, path)
    added = add_tokens(tokens, entries, path)
    check_ids(whole, tokens, added)
    processor = whole.inner("post_processor")
    names = {"unk": tokens[unknown]} | names_by_role(whole.inner("padding"), ["pad"])
    names |= framing(processor, "BertProcessing", *LAYOUTS)
    steps = _steps(whole.inner("normalizer"))
    for name, step in (("do_lower_case", "lowercase"), ("keep_accents", "keep_accents")):
        if config.get(name, bool, steps[step]) != steps[step]:
            raise config.error(name, f"must be {steps[step]}, as the normalizer of tokenizer.json has it")
    return {"pieces": pieces, "unknown": unknown, "added_tokens": added,
            "special_tokens": names | names_by_role(named) | names_by_role(config),
            "split_spaces": _splits_spaces(whole.inner("pre_tokenizer")), "pair_type_id": _type_of_pairs(processor),
            } | steps | flags_of(entries) | pair_type_id(config) | common_options(config, whole)


def write(folder, tokenizer):
    """Save `tokenizer` as tokenizer.json, tokenizer_config.json and special_tokens_map.json in `folder`."""
    folder = Path(folder)
    config = options_of(tokenizer) | {
        "tokenizer_class": "AlbertTokenizer",
        "do_lower_case": tokenizer.lowercase,
        "keep_accents": tokenizer.keep_accents,
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "special_tokens_map.json", {name: config[name] for name in NAMES if name in config})
    write_json(folder / "tokenizer_config.json", config)
    (folder / "spiece.model").unlink(missing_ok=True)       # of another tokenizer, which would be read instead
    steps = [("Replace", {"pattern": {"String": quote}, "content": '"'}) for quote in QUOTES if tokenizer.quotes]
    steps += [] if tokenizer.keep_accents else [("NFKD", {}), ("StripAccents", {})]
    steps += [("Lowercase", {})] if tokenizer.lowercase else []
    if tokenizer.charsmap:
        data = base64.b64encode(tokenizer.charsmap.data).decode("ascii")
        steps.append(("Precompiled", {"precompiled_charsmap": data}))
    steps += [("Replace", {"pattern": {"Regex": SEVERAL}, "content": " "})] if tokenizer.join_spaces else []
    cut = [{"type": "WhitespaceSplit"}] if tokenizer.split_spaces else []
    own = tokenizer.tokens[:tokenizer.cut_from]
    write_whole(folder / "tokenizer.json", tokenizer,
                normalizer={"type": "Sequence", "normalizers": [{"type": kind} | step for kind, step in steps]},
                pre_tokenizer={"type": "Sequence", "pretokenizers": [*cut, METASPACE]},
                post_processor=_template(tokenizer), decoder=METASPACE,
                model={"type": "Unigram", "unk_id": tokenizer.unknown, "byte_fallback": False,
                       "vocab": [list(pair) for pair in zip(own, tokenizer.scores, strict=True)]})


def _template(tokenizer):
    """The post-processor of `LAYOUTS`."""
    names = {role: tokenizer.special_tokens[role] for role in ("cls", "sep")}
    if not set(names.values()) <= tokenizer.vocab.keys():
        raise ValueError(f"the vocabulary must have {' and '.join(names.values())} to be saved")
    rows = {row: [{"SpecialToken" if part in names else "Sequence": {"id": names.get(part, part), "type_id": type_id}}
                  for part, type_id in layout] for row, layout in LAYOUTS[tokenizer.pair_type_id].items()}
    return {"type": "TemplateProcessing"} | rows | {"special_tokens": {
        token: {"id": token, "ids": [tokenizer.vocab[token]], "tokens": [token]} for token in names.values()}}


def _pieces(model):
    """[(piece, score), ...] of the model's vocab."""
    pieces = []
    for number, pair in enumerate(model.need("vocab", list)):
        if not (isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) and pair[0]
                and type(pair[1]) in (int, float)):
            raise CheckpointError(model.path, f"model.vocab[{number}] must be a piece and its score, got {pair!r:.100}")
        pieces.append((pair[0], float(pair[1])))
    twice = [piece for piece, count in Counter(piece for piece, _ in pieces).items() if count > 1]
    if twice:
        raise CheckpointError(model.path, f"model.vocab has {twice[0]!r:.100} twice")
    return pieces


def _inside(settings, name):
    """The steps of a Sequence, or the one step itself; none where there is none."""
    if settings.get("type", str) == "Sequence":
        return settings.each(name)
    return [settings] if settings.values else []


def _steps(normalizer):
    """The arguments of `UnigramTokenizer` that a normalizer stands for."""
    found, charsmap = [], None
    for step in _inside(normalizer, "normalizers"):
        name = step.get("type", str)
        if name == "Replace":
            pattern = step.inner("pattern")
            name = pattern.get("String", str) or pattern.get("Regex", str)
            step.expect("content", " " if name == SEVERAL else '"')
        if name == "Precompiled":
            charsmap = _charsmap(step)
        if name not in ORDER or found and ORDER.index(name) <= ORDER.index(found[-1]):
            raise step.error("type", f"must be one of the steps {', '.join(ORDER)}, each once and in this order")
        found.append(name)
    for pair in (QUOTES, PLAIN):
        if len(set(pair) & set(found)) == 1:
            raise normalizer.error("normalizers", f"must have both {' and '.join(pair)}, or none of them")
    return {"quotes": QUOTES[0] in found, "keep_accents": PLAIN[0] not in found, "lowercase": "Lowercase" in found,
            "charsmap": charsmap, "join_spaces": SEVERAL in found}


def _charsmap(step):
    try:
        data = base64.b64decode(step.get("precompiled_charsmap", str, ""), validate=True)
        return CharsMap(data)
    except (binascii.Error, ValueError) as error:
        raise step.error("precompiled_charsmap", f"must be one, in base64 ({error})") from None


def _splits_spaces(pre_tokenizer):
    """Whether white space is cut off before Metaspace cuts at spaces."""
    kinds = [step.get("type", str) for step in _inside(pre_tokenizer, "pretokenizers")]
    if kinds not in (["Metaspace"], ["WhitespaceSplit", "Metaspace"]):
        raise pre_tokenizer.error("type", "must be Metaspace, or a Sequence of WhitespaceSplit and Metaspace")
    return kinds != ["Metaspace"]


def _type_of_pairs(processor):
    """The token type of a second text in a processor that `framing` allows."""
    steps = processor.each("pair")
    return steps[-1].inner("SpecialToken").get("type_id", int) if steps else 1
