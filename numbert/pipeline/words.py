"""Words: those that are hidden in a text, and those that follow it."""
from __future__ import annotations

from itertools import pairwise

import numpy as np

from ..hub.errors import quoted
from ..models.auto import AutoModelForCausalLM, AutoModelForMaskedLM
from .base import Pipeline, bars, softmax


class FillMask(Pipeline):
    """The words for each [MASK] (or what the tokenizer calls it) of a text: fill("The cat sat on the [MASK].")

    gives [{"score", "token", "token_str", "sequence"}, ...], the most probable first: probability, id, word, and the
    text with the word in it. Of a text with several masks it gives such a list for each; the others stay masked.
    top_k: how many words. targets: words of one token each, to choose from them alone; the probabilities are still
    those among all words.
    """
    task, auto_class = "fill-mask", AutoModelForMaskedLM
    arguments = {"--top-k": {"type": int, "metavar": "N", "help": "how many words for each mask (default: 5)"},
                 "--targets": {"nargs": "+", "metavar": "WORD", "help": "choose from these words alone"}}

    def results(self, texts: list[str], *, top_k: int = 5, targets: str | list[str] | None = None) -> list:
        mask = self.tokenizer.mask_token_id
        allowed = None if targets is None else self._ids([targets] if isinstance(targets, str) else targets)
        rows = [self.encode(text, special_tokens_in_text=True) for text in texts]
        for text, row in zip(texts, rows, strict=True):
            if mask not in row.input_ids:
                raise ValueError(f"there is no {self.tokenizer.tokens[mask]} to fill in the text {quoted(text)}")

        def best(batch):
            packed = self.model.pack(**batch)
            places = np.flatnonzero(packed.ids == mask)                                     # (M,)
            x = self.model.body.encode(packed, rows=places)                                 # (M, D)
            probs = softmax(self.model.mlm(x, self.model.body.embeddings.word.weight).data)             # (M, V)
            ids = np.arange(probs.shape[1]) if allowed is None else np.array(allowed)
            order = np.argsort(-probs[:, ids], axis=-1, kind="stable")[:, :top_k]
            chosen = ids[order]                                                             # (M, top_k)
            scores = np.take_along_axis(probs, chosen, -1)
            cuts = np.searchsorted(places, packed.starts)
            return [(scores[a:b].tolist(), chosen[a:b].tolist()) for a, b in pairwise(cuts)]

        return [self._filled(row.input_ids, mask, *found)
                for row, found in zip(rows, self.apply(best, rows), strict=True)]

    def _filled(self, ids, mask, scores, chosen):
        decode, found = self.tokenizer.decode, []
        places = [place for place, index in enumerate(ids) if index == mask]
        for place, *row in zip(places, scores, chosen, strict=True):
            found.append([{"score": score, "token": index, "token_str": decode([index], skip_special_tokens=False),
                           "sequence": decode([*ids[:place], index, *ids[place + 1:]],
                                              skip_special_tokens=len(places) == 1)}
                          for score, index in zip(*row, strict=True)])
        return found[0] if len(found) == 1 else found

    def _ids(self, targets):
        """The ids of words of one token each, each once."""
        found = {}
        for target in targets:
            ids = [self.tokenizer.vocab[target]] if target in self.tokenizer.vocab else list(
                self.tokenizer(target, add_special_tokens=False).input_ids)
            if len(ids) != 1:
                tokens = " ".join(self.tokenizer.convert_ids_to_tokens(ids))
                raise ValueError(f"a target must be one token, as a mask is, and {target!r} is {len(ids)}: {tokens}")
            found[ids[0]] = target
        if not found:
            raise ValueError("targets must have at least one word")
        return list(found)

    def picture(self, given: str | dict, result: dict | list | float) -> str:
        masks = [result] if isinstance(result[0], dict) else result
        return "\n\n".join(bars((one["score"], f"{one['token_str']:12}  {one['sequence']}") for one in words)
                           for words in masks)


def seed(text: str) -> np.random.Generator:
    """The generator with this seed; argparse calls a wrong value by the name of this function."""
    return np.random.default_rng(int(text))


class TextGeneration(Pipeline):
    """What may follow a text: write("The cat sat") gives [{"generated_text": the text with its continuation}].

    max_new_tokens: how many tokens at most (default: 256, or as many as the model has places left for).
    return_full_text: with the text itself before them. num_return_sequences: how many continuations.
    rng: a generator, with which tokens are drawn; without it the most probable is taken each time. temperature, top_k,
    top_p: see `models.generation.choose`. All texts, and all continuations, draw for themselves. do_sample, as
    transformers calls it, may say whether tokens are drawn, but must agree with rng.
    """
    task, auto_class = "text-generation", AutoModelForCausalLM
    arguments = {"--max-new-tokens": {"type": int, "metavar": "N", "help": "how many tokens at most (default: 256)"},
                 "--new-text-only": {"dest": "return_full_text", "action": "store_false", "help": "without the text "
                                     "that was given"},
                 "--num-return-sequences": {"type": int, "metavar": "N", "help": "how many continuations (default: 1)"},
                 "--seed": {"type": seed, "dest": "rng", "metavar": "N",
                            "help": "draw the tokens, with this seed (default: the most probable one each time)"},
                 "--temperature": {"type": float, "metavar": "T", "help": "below 1 the probable are drawn more often"},
                 "--top-k": {"type": int, "metavar": "N", "help": "draw from the N most probable tokens"},
                 "--top-p": {"type": float, "metavar": "P", "help": "draw from the fewest tokens that have together "
                             "this probability"}}

    def results(self, texts: list[str], *, max_new_tokens: int | None = None, return_full_text: bool = True,
                num_return_sequences: int = 1, rng: np.random.Generator | None = None, do_sample: bool | None = None,
                temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None) -> list:
        if do_sample not in (None, rng is not None):
            raise ValueError(f"do_sample = {do_sample}: tokens are drawn if and only if there is a generator rng")
        if rng is None and num_return_sequences > 1:
            raise ValueError("without drawing (rng; --seed) all continuations are the same: num_return_sequences must "
                             f"be 1, got {num_return_sequences}")
        drawing = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
        rows = [(ids, count, one) for ids, count in (self._with_room(text, max_new_tokens) for text in texts)
                for one in (rng.spawn(num_return_sequences) if rng else [None])]

        def continued(some):
            (count, one), = {row[1:] for row in some}
            batch = self.tokenizer.pad([ids for ids, _, _ in some], side="right")
            grown = self.model.generate(batch["input_ids"], count, attention_mask=batch["attention_mask"], rng=one,
                                        **drawing)
            return [self._new(text[len(ids):len(ids) + count].tolist())
                    for text, (ids, _, _) in zip(grown, some, strict=True)]

        new = [None] * len(rows)
        for count in {count for _, count, _ in rows}:   # what is generated together is of one length
            group = [i for i, row in enumerate(rows) if row[1] == count]
            found = self.apply(continued, [rows[i] for i in group], collate=list, size=lambda row: len(row[0]),
                               most=1 if rng else None)
            for i, text in zip(group, found, strict=True):
                new[i] = text
        n = num_return_sequences
        return [[{"generated_text": (text if return_full_text else "") + one} for one in new[i * n:i * n + n]]
                for i, text in enumerate(texts)]

    def _with_room(self, text, max_new_tokens):
        """The ids of a text, and how many tokens will follow it."""
        ids = self.encode(text, special_tokens_in_text=True).input_ids
        room = self.model.max_tokens - len(ids)
        if room < (max_new_tokens or 1):
            raise ValueError(f"the text {quoted(text)} has {len(ids)} of the {self.model.max_tokens} tokens that the "
                             f"model takes: there is no room for {max_new_tokens or 1} more")
        return ids, max_new_tokens or min(256, room)

    def _new(self, ids):
        """The text of new tokens, up to the one that ends a text."""
        ends = self.model.config.eos_token_id
        ends = [] if ends is None else np.ravel(ends).tolist()
        end = next((i for i, index in enumerate(ids) if index in ends), len(ids))
        return self.tokenizer.decode(ids[:end])

    def picture(self, given: str | dict, result: dict | list | float) -> str:
        return "\n\n".join(one["generated_text"] for one in result)
