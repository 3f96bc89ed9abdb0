"""A tokenizer.json of ALBERT as transformers 5 writes it, made by hand."""
import base64

PIECES = [["<pad>", 0.0], ["<unk>", 0.0], ["[CLS]", 0.0], ["[SEP]", 0.0], ["[MASK]", 0.0], ["-", 0.0], ["▁", -2.0],
          ["▁the", -3.0], ["▁cat", -3.5], ["▁un", -4.0], ["aff", -5.0], ["able", -5.0], ["a", -4.0], ["b", -4.5],
          ["ab", -8.6], ["e", -4.0], ["É", -6.0], ["1", -5.0], ["2", -5.0], ["/", -5.0], [",", -3.0], ["x", -6.0],
          ['"', -5.0], ["c", -5.0], ["9,", -4.0], ["9", -4.0]]
REPLACEMENTS = {"\x07": "", "\u200b": " ", "½": "1/2", "e\u0301": "é", "Ａ": "a"}


def charsmap(replacements=REPLACEMENTS):
    """The bytes of a precompiled_charsmap. Each node of its trie has 256 numbers of its own, those of its children."""
    texts, units, nodes = b"", {}, {b"": 256}
    for old, new in replacements.items():
        key = old.encode()
        for end in range(1, len(key) + 1):
            nodes.setdefault(key[:end], 256 * (len(nodes) + 1))
            place = nodes[key[:end - 1]] ^ key[end - 1]
            leaf = units.get(place, 0) & 0x100 | (end == len(key)) << 8
            units[place] = (place ^ nodes[key[:end]]) << 10 | leaf | key[end - 1]
        units[nodes[key]] = 0x80000000 | len(texts)
        texts += new.encode() + b"\0"
    units[0] = 256 << 10
    size = 256 * (len(nodes) + 1)
    trie = b"".join(units.get(i, 0).to_bytes(4, "little") for i in range(size))
    return len(trie).to_bytes(4, "little") + trie + texts


def whole_unigram():
    """The content of the file; "-" is an added token that is not special, as ALBERT's own symbols are."""
    step, flags = (lambda kind, **more: {"type": kind} | more), dict.fromkeys(
        ("single_word", "lstrip", "rstrip", "normalized"), False)
    frame = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
             {"SpecialToken": {"id": "[SEP]", "type_id": 0}}]
    metaspace = step("Metaspace", replacement="▁", prepend_scheme="always", split=True)
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": i, "content": PIECES[i][0], "special": i < 5} | flags for i in range(6)],
        "normalizer": step("Sequence", normalizers=[
            *(step("Replace", pattern={"String": quote}, content='"') for quote in ("``", "''")), step("NFKD"),
            step("StripAccents"), step("Lowercase"),
            step("Precompiled", precompiled_charsmap=base64.b64encode(charsmap()).decode())]),
        "pre_tokenizer": step("Sequence", pretokenizers=[step("WhitespaceSplit"), dict(metaspace)]),
        "post_processor": step("TemplateProcessing", single=frame, pair=[
            *frame, {"Sequence": {"id": "B", "type_id": 0}}, {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
            special_tokens={token: {"id": token, "ids": [i], "tokens": [token]}
                            for i, token in ((2, "[CLS]"), (3, "[SEP]"))}),
        "decoder": dict(metaspace),
        "model": {"type": "Unigram", "unk_id": 1, "vocab": [list(pair) for pair in PIECES], "byte_fallback": False}}
