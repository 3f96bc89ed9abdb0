"""The precompiled_charsmap of a SentencePiece model: which characters are replaced by which, as in ½ by 1⁄2."""
from __future__ import annotations

import unicodedata

import numpy as np

from .tokenizer import Cache


class CharsMap:
    """Replacements of characters: the precompiled_charsmap of SentencePiece, its bytes in `data`.

    They are the length of a trie, the trie, and texts that end in a zero byte. The trie is a double array (Aoe 1989) of
    numbers of 32 bits. From the node at i one comes to the next by the byte c at i ^ offset ^ c, and has arrived if the
    number there repeats c. Raises ValueError for bytes that are too few for the trie.
    """

    def __init__(self, data: bytes):
        self.data, size = data, int.from_bytes(data[:4], "little")
        if size % 4 or not 4 <= size <= len(data) - 4:
            raise ValueError(f"a trie of {size} bytes does not fit in a charsmap of {len(data)}")
        self.trie, self.texts = np.frombuffer(data[4:4 + size], "<u4").tolist(), data[4 + size:]
        self._pairs = Cache(self._pairs_of)

    def find(self, text: str) -> str | None:
        """What the shortest beginning of `text` is replaced by, if any is."""
        node = _offset(self.trie[0])
        for byte in text.encode("utf-8", "surrogatepass"):
            node ^= byte
            if not byte or node >= len(self.trie) or self.trie[node] & 0x800000FF != byte:
                return None
            leaf, node = self.trie[node] >> 8 & 1, node ^ _offset(self.trie[node])
            if leaf and node < len(self.trie):
                return self.texts[self.trie[node] & 0x7FFFFFFF:].split(b"\0", 1)[0].decode("utf-8", "replace")
        return None

    def replacements(self, text: str) -> list[tuple[str, str]]:
        """`text` cut into parts, each with what takes its place. A part is one of the `clusters`, if it has less than 6
        bytes in UTF-8 and there is a replacement, and else a character. These are the rules of `tokenizers`."""
        return [pair for cluster in clusters(text) for pair in self._pairs[cluster]]

    def _pairs_of(self, cluster):
        whole = self.find(cluster) if len(cluster.encode("utf-8", "surrogatepass")) < 6 else None
        if whole is not None:
            return [(cluster, whole)]
        return [(char, char if (found := self.find(char)) is None else found) for char in cluster]


def _offset(unit):
    return unit >> 10 << ((unit & 0x200) >> 6)


def clusters(text: str) -> list[str]:
    """`text` cut into characters with the marks and joiners that follow them. Unicode's grapheme clusters, so far as
    they matter: of less than 6 bytes in UTF-8."""
    parts = []
    for char in text:
        extends = char > "\x7f" and (is_mark(char) or char in "\u200c\u200d")
        if parts and (extends and unicodedata.category(parts[-1][0]) not in ("Cc", "Cf", "Zl", "Zp")
                      or parts[-1] + char == "\r\n"):
            parts[-1] += char
        else:
            parts.append(char)
    return parts


def is_mark(char: str) -> bool:
    """True for what stands above, below or around the character before it."""
    return unicodedata.category(char).startswith("M")
