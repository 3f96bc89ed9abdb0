"""Tags of the tokens of a text, and entities: neighbours with one tag, as one stretch of the text.

A text that is too long is read in windows that overlap. Each token is scored by the window in which it has
most context, so there is one list of scores for the whole text.
"""
from __future__ import annotations

import numpy as np

from ..models.auto import AutoModelForTokenClassification
from ..tasks.squad.windows import cut_windows, scored_by
from ..tokenizers.wordpiece import WordPieceTokenizer
from .base import Pipeline, names_of, softmax

STRATEGIES = ("none", "simple", "first", "average", "max")


class TokenClassification(Pipeline):
    """The tags of a text: tags("Anna lives in Rome.") gives a list of dicts in the order of the text.

    aggregation_strategy: what one of them is.
        none     a token: {"entity", "score", "index", "word", "start", "end"}; index: its number in the model's input
        simple   neighbours with the same tag, but for B- and I- before it: {"entity_group", "score", "word", "start",
                 "end"}; the score is the mean of theirs. B- begins another one
        first, average, max   the same, but first a word of several tokens gets one tag: that of its first token, the
                 best by the mean of their probabilities, or that of the token that is surest
    start, end: text[start:end] is the stretch. ignore_labels: tags that are left out. stride: how many tokens two
    windows of a long text share (default: a quarter of a window).
    """
    task, auto_class, may_be_0 = "token-classification", AutoModelForTokenClassification, ("stride",)
    arguments = {"--aggregation-strategy": {"choices": STRATEGIES, "help": "which tokens are put together (default: "
                                            "none)"},
                 "--ignore-labels": {"nargs": "*", "metavar": "TAG", "help": "tags to leave out (default: O)"},
                 "--stride": {"type": int, "metavar": "N", "help": "tokens that two windows of a long text share "
                              "(default: a quarter of a window)"}}

    def results(self, texts: list[str], *, aggregation_strategy: str = "none", ignore_labels: list[str] = ("O",),
                stride: int | None = None) -> list[list[dict]]:
        if aggregation_strategy not in STRATEGIES:
            raise ValueError(f"aggregation_strategy must be one of {', '.join(STRATEGIES)}, got "
                             f"{aggregation_strategy!r}")
        names, scored = names_of(self.model.config), self._scores(texts, stride)
        found = []
        for text, one in zip(texts, scored, strict=True):
            pieces = list(self._pieces(text, *one))
            if aggregation_strategy not in ("none", "simple"):
                pieces = _words(pieces, aggregation_strategy)
            tagged = [piece | {"entity": names[piece["scores"].argmax()], "score": float(piece["scores"].max())}
                      for piece in pieces]
            found.append([one for one in (map(self._token, tagged) if aggregation_strategy == "none" else
                                          map(self._group, _grouped(tagged)))
                          if one.get("entity", one.get("entity_group")) not in ignore_labels])
        return found

    def _scores(self, texts, stride):
        """For each text its Encoding without special tokens, and the probabilities (tokens, C)."""
        before, after = ([self.tokenizer.id_of_role(role) for role in roles] for roles in self.tokenizer.frame[0])
        room = self.model.max_tokens - len(before + after)
        stride = room // 4 if stride is None else stride
        if stride >= room:
            raise ValueError(f"stride must be from 0 to {room - 1}, as the windows have {room} tokens, got {stride}")
        encodings = [self.tokenizer(text, add_special_tokens=False) for text in texts]
        windows = [cut_windows(len(encoding), room, room - stride) if len(encoding) else [] for encoding in encodings]
        rows = [[*before, *encoding.input_ids[slice(*window)], *after]
                for encoding, cut in zip(encodings, windows, strict=True) for window in cut]

        def probabilities(batch):
            probs = softmax(self.model(**batch).logits.data)                                # (B, T, C)
            return [each[len(before):n - len(after)].copy()
                    for each, n in zip(probs, batch["attention_mask"].sum(1), strict=True)]

        found = iter(self.apply(probabilities, rows))
        for encoding, cut in zip(encodings, windows, strict=True):
            of_windows = [next(found) for _ in cut]
            probs = [of_windows[number][token - cut[number][0]]
                     for token, number in enumerate(scored_by(cut, len(encoding)) if cut else ())]
            yield encoding, len(before), probs

    def _pieces(self, text, encoding, column, probs):
        """A dict for each token. continues: whether it is part of the word of the token before it. Where tokens of
        WordPiece end, words end; otherwise, as in transformers, a word is what stands between spaces."""
        wordpiece, before = isinstance(self.tokenizer, WordPieceTokenizer), None
        for i, (index, token, word, (start, end)) in enumerate(zip(
                encoding.input_ids, encoding.tokens, encoding.word_ids, encoding.offsets, strict=True)):
            unknown = index == self.tokenizer.vocab.get(self.tokenizer.special_tokens.get("unk"))
            continues = word == before if wordpiece else start > 0 and " " not in text[start - 1:start + 1]
            yield {"scores": probs[i], "index": column + i, "tokens": [text[start:end] if unknown else token],
                   "start": start, "end": end, "continues": continues and not unknown}
            before = word

    def _token(self, piece):
        return {"entity": piece["entity"], "score": piece["score"], "index": piece["index"],
                "word": piece["tokens"][0], "start": piece["start"], "end": piece["end"]}

    def _group(self, pieces):
        tokens = [token for piece in pieces for token in piece["tokens"]]
        return {"entity_group": pieces[0]["entity"].split("-", 1)[-1],
                "score": float(np.mean([piece["score"] for piece in pieces])),
                "word": self.tokenizer.convert_tokens_to_string(tokens),
                "start": pieces[0]["start"], "end": pieces[-1]["end"]}

    def picture(self, given: str, result: list[dict]) -> str:
        """The text with each tag behind what it is the tag of."""
        parts, place = [], 0
        for one in result:
            tag = one.get("entity", one.get("entity_group"))
            parts += [given[place:one["start"]], f"[{given[one['start']:one['end']]} {tag} {one['score']:.0%}]"]
            place = one["end"]
        return "  " + "".join([*parts, given[place:]])


def _words(pieces, strategy):
    """The pieces of each word as one, with the scores by which its tag is chosen."""
    words = []
    for piece in pieces:
        if words and piece["continues"]:
            words[-1].append(piece)
        else:
            words.append([piece])
    choose = {"first": lambda scores: scores[0], "average": lambda scores: np.mean(scores, axis=0),
              "max": lambda scores: max(scores, key=np.max)}[strategy]
    return [{"scores": choose([piece["scores"] for piece in word]), "start": word[0]["start"], "end": word[-1]["end"],
             "tokens": [token for piece in word for token in piece["tokens"]]} for word in words]


def _grouped(pieces):
    """Neighbours that are one entity, a list of lists."""
    groups = []
    for piece in pieces:
        begins, kind = _kind(piece["entity"])
        if groups and not begins and _kind(groups[-1][-1]["entity"])[1] == kind:
            groups[-1].append(piece)
        else:
            groups.append([piece])
    return groups


def _kind(tag):
    """(whether it begins an entity, its kind) of a tag: B-PER, I-PER, or PER."""
    letter, dash, kind = tag.partition("-")
    return (letter == "B", kind) if dash and letter in ("B", "I") else (False, tag)
