"""A small BERT pre-trained on toy stories, which the examples fine-tune: made once for each recipe, then kept.

    folder = pretrained_body(Recipe(objective="mlm+sop", steps=1000), workers)
    # runs/toy-en-objective=mlm+sop-steps=1000
    model = BertForSequenceClassification.from_pretrained(folder, num_labels=2)
"""
import dataclasses
import functools
import json
import math
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..hub import files
from ..hub.errors import read_json
from ..models.bert import BertForPreTraining
from ..models.config import BertConfig
from ..pretraining.batches import PretrainingData
from ..pretraining.evaluation import evaluate
from ..tokenizers.wordpiece import SPECIAL_TOKENS, WordPieceTokenizer
from ..toyworld import documents, nli_examples, qa_examples
from ..training.finetuning import save
from ..training.loop import train
from ..training.optimizer import AdamW, linear_schedule
from ..training.run_folder import Progress, RunFolder
from .lesson import step_seconds


@dataclass(frozen=True)
class Recipe:
    """The settings that determine a body. The defaults are those of the examples: about two minutes on two cores.

    `objective` to `random_share`, and `seed`: as in PretrainingData; the seed also draws the first weights. `lr`: the
    highest learning rate. `layers`, `width`: the model's; heads are 32 wide and the feed-forward layer 4 times the
    width. Raises ValueError for less than a step, and for a width that is no whole number of heads.
    """
    language: str = "en"
    objective: str = "mlm+nsp"
    steps: int = 3000
    batch_size: int = 16
    max_length: int = 64
    mask_rate: float = 0.25
    mask_share: float = 0.8
    random_share: float = 0.1
    lr: float = 1.5e-3
    layers: int = 2
    width: int = 128
    seed: int = 0

    def __post_init__(self):
        if self.steps < 1:
            raise ValueError(f"steps of pre-training must be at least 1, got {self.steps}")
        if self.width < 32 or self.width % 32:
            raise ValueError(f"width must be a multiple of 32, the width of a head, got {self.width}")

    def replace(self, **changes):
        return dataclasses.replace(self, **changes)

    @property
    def folder(self):
        """The run folder: its name tells the language and what differs from the defaults."""
        changed = [f"{field.name}={getattr(self, field.name)}" for field in dataclasses.fields(self)[1:]
                   if getattr(self, field.name) != field.default]
        return Path("runs") / "-".join(["toy", self.language, *changed])


def is_made(recipe):
    """Whether the model is there that `recipe` says."""
    record = recipe.folder / "recipe.json"
    return record.exists() and read_json(record) == dataclasses.asdict(recipe)


def pretrained_body(recipe, workers):
    """The folder of a model pre-trained as `recipe` says, and its tokenizer; made if it is not there."""
    record, content = recipe.folder / "recipe.json", dataclasses.asdict(recipe)
    if is_made(recipe):
        print(f"takes the model in {recipe.folder}, pre-trained for {recipe.steps} steps")
    else:
        with RunFolder(recipe.folder) as folder:
            record.unlink(missing_ok=True)
            model, tokenizer, records = pretrain(recipe, workers)
            save(folder, model, tokenizer, records)
            files.write_text(record, json.dumps(content, indent=2) + "\n")
    return recipe.folder


def pretrain(recipe, workers):
    """(model, tokenizer, records): see `learn`. The stories are drawn for the run and told once."""
    tokenizer = tokenizer_of(recipe.language)
    print(f"pre-trains for {recipe.steps} steps on {story_count(recipe)} stories, {len(tokenizer)} words")
    data, held = stories_to_learn(recipe, tokenizer)
    model = BertForPreTraining(config_of(recipe, len(tokenizer)), rng=np.random.default_rng(recipe.seed))
    records = list(learn(model, data, held, recipe, workers))
    figures = records[-1]
    print(f"held-out stories: masked words {figures['mlm']:.3f} nats ({figures['mlm_accuracy']:.1%} right)"
          + (f", sentence pairs {figures['nsp_accuracy']:.1%} right" if "nsp" in figures else ""))
    return model, tokenizer, records


def learn(model, data, held, recipe, workers, points=5, each=lambda step: None):
    """Train for recipe.steps steps, and yield at so many `points` on the way a dict: the step, the mean training loss
    since the last point ("training"), and what `evaluate` says of the batches `held`. The model may be looked at, and
    saved, between two of them. each(step) is called after every step, with a `training.loop.Step`."""
    progress, losses = Progress(recipe.steps), []
    for step in train(model, data.batches(), optimizer=AdamW(model.parameters()),
                      lr=linear_schedule(recipe.steps, recipe.lr), steps=recipe.steps, seed=recipe.seed,
                      workers=workers):
        losses.append(step.sums["loss"])
        each(step)
        progress.update(step, lambda: f"loss {statistics.fmean(losses[-100:]):.3f}")
        if step.number % math.ceil(recipe.steps / points) == 0 or step.number == recipe.steps:
            yield {"step": step.number, "training": statistics.fmean(losses)} | evaluate(model, held, workers)
            losses.clear()


def body_step_seconds(recipe, workers):
    """Seconds that a step of such a pre-training takes here, with the stories that it reads: some are timed."""
    few, tokenizer = recipe.replace(steps=20), tokenizer_of(recipe.language)
    began = time.perf_counter()
    data, _ = stories_to_learn(few, tokenizer)
    stories = (time.perf_counter() - began) / (story_count(few) + 100)
    model = BertForPreTraining(config_of(few, len(tokenizer)), rng=np.random.default_rng(0))
    return step_seconds(model, data.batches(), workers) + stories * recipe.batch_size * 2 / 5


def story_count(recipe):
    """How many stories such a run reads: one makes about two and a half examples."""
    return 20 + recipe.steps * recipe.batch_size * 2 // 5


def stories_to_learn(recipe, tokenizer):
    """(PretrainingData of stories to learn from, batches of 100 held-out ones)."""
    settings = {name: getattr(recipe, name) for name in ("objective", "batch_size", "max_length", "mask_rate",
                                                         "mask_share", "random_share", "seed")}
    training, held_out = (documents(count, np.random.default_rng(rng), recipe.language)
                          for count, rng in ((story_count(recipe), 3), (100, 4)))
    return (PretrainingData(training, tokenizer, **settings),
            list(PretrainingData(held_out, tokenizer, **settings).evaluation_batches()))


def config_of(recipe, vocab_size):
    return BertConfig(vocab_size=vocab_size, hidden_size=recipe.width, num_hidden_layers=recipe.layers,
                      num_attention_heads=recipe.width // 32, intermediate_size=4 * recipe.width,
                      max_position_embeddings=256, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)


def tokenizer_of(*languages):
    """A tokenizer with every word of the toy world (every character, in Chinese) as one entry, and no pieces."""
    return WordPieceTokenizer([*SPECIAL_TOKENS.values(), *sorted(set().union(*map(_words, languages)))])


@functools.cache
def _words(language):
    """The words of stories, statements and questions: enough that every word of a language occurs."""
    texts = [sentence for document in documents(3000, np.random.default_rng(0), language) for sentence in document]
    texts += [text for *pair, _ in nli_examples(500, np.random.default_rng(1), language) for text in pair]
    texts += [example["question"] for example in qa_examples(200, np.random.default_rng(2), language)]
    normaliser = WordPieceTokenizer([]).normaliser
    return frozenset(word for text in texts for word in normaliser.words(text))
