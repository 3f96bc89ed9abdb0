"""The pipelines' parity card: `numbert.pipeline` beside the pipelines of Hugging Face transformers.

    python tests/pipeline_parity.py        prints a Markdown table; exit code 1 if an answer differs

For each task, and each family that can do it, a small model with random weights is saved by numbert and opened by both
(column "saved by numbert"), then saved by transformers and opened by both again ("by transformers"). Words, labels,
places and their order must be the same; shown is the largest difference of a number. Both compute in float32.

Then every tokenizer is opened from the tokenizer.json alone that numbert wrote, by `tokenizers` and by the fast
tokenizers of transformers: ids and offsets of texts that are hard on tokenizers must be the same.

Transformers 5 has no question-answering pipeline any more; with transformers<5 its row is there, too.
"""
import math
import random
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parent / "helpers"))

import every_family  # noqa: E402
from unigram_folder import PIECES, REPLACEMENTS, charsmap  # noqa: E402

import numbert as nb  # noqa: E402

LIMIT = 1e-5                        # of probabilities and vectors near 1, in float32
TEXTS = every_family.TEXTS[:4] + ["the old cat", "bob saw anna , and the dog saw the cat in the old garden"]
TAGS = dict(enumerate(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]))
NLI = dict(enumerate(["contradiction", "neutral", "entailment"]))
LABELS = ["cats", "dogs and gardens", "films"]
CONTEXT = "anna went to the kitchen . the old dog is in the garden , and bob saw a cat there ."
QUESTIONS = ["where is the dog ?", "who went to the kitchen ?", "what did bob see in the garden ?"]
SHORT = 40                          # max_seq_len with which that context needs several windows

# task: (name of the head, changes of the configuration, [what the pipeline is called with, ...])
TASKS = {
    "fill-mask": ("ForMaskedLM", {}, [(TEXTS, {}), (TEXTS, {"top_k": 3}), (TEXTS, {"targets": ["the", "a"]})]),
    "text-classification": ("ForSequenceClassification", {"num_labels": 3}, [
        (TEXTS, {}), (TEXTS, {"top_k": None}), (TEXTS[0], {}), (TEXTS[0], {"top_k": 2}),
        ({"text": TEXTS[0], "text_pair": "where ?"}, {}), (TEXTS, {"function_to_apply": "sigmoid"})]),
    "zero-shot-classification": ("ForSequenceClassification", {"num_labels": 3, "id2label": NLI}, [
        (TEXTS, {"candidate_labels": LABELS}), (TEXTS[0], {"candidate_labels": LABELS, "multi_label": True}),
        (TEXTS, {"candidate_labels": "cats, dogs", "hypothesis_template": "it is {} ."})]),
    "token-classification": ("ForTokenClassification", {"num_labels": 5, "id2label": TAGS}, [
        (TEXTS, {"aggregation_strategy": strategy}) for strategy in ("none", "simple", "first", "average", "max")]),
    "question-answering": ("ForQuestionAnswering", {}, [
        ({"question": QUESTIONS, "context": CONTEXT}, more) for more in (
            {}, {"top_k": 4}, {"handle_impossible_answer": True, "top_k": 3}, {"max_seq_len": SHORT, "doc_stride": 4},
            {"max_answer_len": 2}, {"align_to_words": False, "top_k": 5})]),
    "feature-extraction": ("Model", {}, [(TEXTS, {})]),
    "text-generation": ("ForCausalLM", {}, [
        (TEXTS[:3], {"max_new_tokens": 5, "do_sample": False}),
        (TEXTS[0], {"max_new_tokens": 3, "return_full_text": False, "do_sample": False})]),
}


def folders(folder, family, head, changes):
    """Save a model of ours with its tokenizer in folder/numbert, and what transformers makes of them in
    folder/transformers."""
    import transformers
    ours, theirs = folder / "numbert", folder / "transformers"
    every_family.write_with_head(ours, family, head, longest=96, **changes)
    for cls in (getattr(transformers, "AutoModel" + head.removeprefix("Model")), transformers.AutoTokenizer):
        cls.from_pretrained(ours).save_pretrained(theirs)
    return ours, theirs


def with_masks(given, mask):
    """The texts with their second word replaced; the last two have another mask."""
    found = [" ".join([text.split()[0], mask, *text.split()[2:]]) for text in given]
    return found[:-2] + [f"{text} {mask}" for text in found[-2:]]


def difference(ours, theirs, place="answer"):
    """The largest difference of the numbers in two answers; ValueError, with the place, if anything else differs."""
    if isinstance(theirs, dict):
        if not isinstance(ours, dict) or ours.keys() != theirs.keys():
            raise ValueError(f"{place}: {ours!r:.200} for {theirs!r:.200}")
        return max((difference(ours[name], theirs[name], f"{place}.{name}") for name in theirs), default=0.0)
    if isinstance(theirs, list | tuple):
        if not isinstance(ours, list) or len(ours) != len(theirs):
            raise ValueError(f"{place}: {ours!r:.200} for {theirs!r:.200}")
        return max((difference(*pair, f"{place}[{i}]") for i, pair in enumerate(zip(ours, theirs, strict=True))),
                   default=0.0)
    if isinstance(theirs, float | np.floating) and isinstance(ours, float) and math.isfinite(ours):
        return abs(ours - float(theirs))
    if type(ours) is not type(theirs) or ours != theirs:
        raise ValueError(f"{place}: {ours!r:.200} for {theirs!r:.200}")
    return 0.0


def compare(task, family, folder):
    """({who saved: the largest difference}, how many answers were compared) of a task."""
    import transformers
    head, changes, calls = TASKS[task]
    found, answers = {}, 0
    for saved_by, saved in zip(("numbert", "transformers"), folders(folder, family, head, changes), strict=True):
        ours, theirs = nb.pipeline(task, model=saved), transformers.pipeline(task, model=str(saved))
        worst = 0.0
        for given, options in calls:
            if task == "fill-mask":
                given = with_masks(given, theirs.tokenizer.mask_token)
                if "targets" in options and family == "roberta":
                    continue                            # theirs takes the first of several pieces, and warns
            if task == "question-answering":
                pair = ours(**given, **options), theirs(**given, **options)
            else:
                pair = ours(given, **options), theirs(given, **options)
            worst = max(worst, difference(*pair))
            answers += len(pair[1]) if isinstance(pair[1], list) else 1
        found[saved_by] = worst
    return found, answers


def rows(families=("bert", "roberta", "albert", "gpt"), tasks=TASKS):
    """(task, family, {who saved: difference}, answers) for each row of the table."""
    import transformers
    known = transformers.pipelines.PIPELINE_REGISTRY.get_supported_tasks()
    for task in tasks:
        for family in families:
            able = {"fill-mask": family != "gpt", "text-generation": family == "gpt"}.get(task, True)
            if able and task in known:
                with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    yield task, family, *compare(task, family, Path(folder))


# ---- tokenizer.json --------------------------------------------------------------------------------------------------


def hard_texts(count=400):
    """Texts of all kinds of characters, among them combining marks, controls, spaces, and the special tokens."""
    rng = random.Random(0)
    pools = ["abcdefghij", "THE Old CAT", " \t\n\r\u00a0\u2003\u3000", ".,!?'’“”()[]{}$%&", "0123456789",
             "éèüñçÅİßſﬁ", "\u0301\u0308\u200b\u200d\ufeff\x00\x07\x1f",
             "東京都大阪カタカナ한국어", "привет Ωμέγα שלום مرحبا हिन्दी ไทย",
             "😀👩‍👩‍👧🏽🇫🇷", "'s 't 're n't"]
    marked = ["[CLS]", "[MASK]", "[SEP]", "<s>", "</s>", "<mask>", "<|endoftext|>", " <mask> ", "[UNK]x"]
    texts = ["", " ", "\n", *TEXTS, "Hello, y'all! How are you 😁 ?", "x" * 300, "é" * 101]
    for _ in range(count):
        parts = []
        for _ in range(rng.randint(1, 8)):
            pool = rng.choice(pools)
            parts.append(rng.choice(marked) if rng.random() < 0.1 else
                         "".join(rng.choice(pool) for _ in range(rng.randint(1, 6))))
        texts.append("".join(parts))
    return texts


def tokenizers_to_try():
    """{name: tokenizer}"""
    from numbert.pretraining.families import train_tokenizer
    from numbert.tokenizers.byte_bpe_files import GPT2
    from numbert.tokenizers.charsmap import CharsMap
    texts = [text for text in every_family.TEXTS] + ["Hello , how are you ? 東京 is a city . it's é"]
    bert, roberta, gpt = (train_tokenizer(family, texts, size) for family, size in
                          (("bert", 120), ("roberta", 330), ("gpt", 330)))
    return {
        "BERT": bert,
        "BERT, cased, added tokens": nb.WordPieceTokenizer(
            [*bert.tokens, "Hello", "[E1]"], lowercase=False, added_tokens={"[E1]": True, "new word": False},
            strip_left=["new word"], normalized=["new word"]),
        "RoBERTa": roberta,
        "RoBERTa, no prefix space": nb.ByteLevelBPETokenizer(roberta.tokens, roberta.merges),
        "GPT-2": gpt,
        "GPT-2, no prefix space": nb.ByteLevelBPETokenizer(gpt.tokens, gpt.merges, special_tokens=GPT2,
                                                          added_tokens={"<user>": False}, single_word=["<user>"]),
        "ALBERT, Unigram": nb.UnigramTokenizer(PIECES, 1, added_tokens={"-": False}, charsmap=CharsMap(charsmap(
            {old: new for old, new in REPLACEMENTS.items() if new}))),
    }


def compare_tokenizer(tokenizer, folder, texts):
    """How many of the texts, alone and in pairs, get the same ids and offsets from `tokenizers`, from transformers, and
    from our own reader of tokenizer.json."""
    import tokenizers
    import transformers
    tokenizer.save_pretrained(folder)
    for name in ("vocab.txt", "vocab.json", "merges.txt"):
        (folder / name).unlink(missing_ok=True)
    plain = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    fast = transformers.AutoTokenizer.from_pretrained(folder)
    own = type(tokenizer).from_pretrained(folder)
    same = {"tokenizers": 0, "transformers": 0, "numbert": 0}
    for i, text in enumerate(texts):
        arguments = (text, texts[i - 1]) if i % 3 == 0 and text else (text,)
        wanted = tokenizer(*arguments, special_tokens_in_text=True)
        encoding, theirs = plain.encode(*arguments), fast(*arguments, return_offsets_mapping=True)
        same["tokenizers"] += (encoding.ids, encoding.offsets) == (wanted.input_ids, wanted.offsets)
        same["transformers"] += (theirs["input_ids"], list(map(tuple, theirs["offset_mapping"]))) == (
            wanted.input_ids, wanted.offsets)
        same["numbert"] += own(*arguments, special_tokens_in_text=True) == wanted
    return same


def main():
    try:
        import torch
        import transformers
    except ImportError as error:
        sys.exit(f"pipeline_parity.py: needs torch and transformers, and there is no {error.name}: pip install "
                 "'.[parity]'")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    print(f"numbert {nb.__version__} beside transformers {transformers.__version__} on torch {torch.__version__}\n")
    print("| task | family | answers | saved by numbert | saved by transformers |\n|---|---|---|---|---|")
    good = True
    for task, family, found, answers in rows():
        print(f"| {task} | {family} | {answers} | " + " | ".join(f"{x:.1e}" for x in found.values()) + " |", flush=True)
        good &= max(found.values()) <= LIMIT
    texts = hard_texts()
    print(f"\nThe same ids and offsets, of {len(texts)} texts:\n\n"
          "| tokenizer.json of | tokenizers | transformers | numbert |\n|---|---|---|---|")
    for name, tokenizer in tokenizers_to_try().items():
        with tempfile.TemporaryDirectory() as folder:
            same = compare_tokenizer(tokenizer, Path(folder), texts)
        print(f"| {name} | " + " | ".join(map(str, same.values())) + " |", flush=True)
        good &= set(same.values()) == {len(texts)}
    print(f"\n{'agreed' if good else 'NOT agreed'}: the limit for numbers is {LIMIT:g}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
