"""A run folder with a tokenizer of whole words and a narrow BERT: what fine-tuning starts from, in tests."""
import numpy as np

from numbert import BertConfig, BertForPreTraining, WordPieceTokenizer
from numbert.tokenizers.wordpiece import SPECIAL_TOKENS

WORDS = "good bad very not day film a the was it and b c d ##s ##ing . ,".split()


def write(folder, words=WORDS, **changes):
    """(folder, tokenizer); the model is drawn, not trained, and has `changes` in its configuration."""
    tokenizer = WordPieceTokenizer([*SPECIAL_TOKENS.values(), *words])
    config = BertConfig(**{"vocab_size": len(tokenizer), "hidden_size": 16, "num_hidden_layers": 2,
                           "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 40,
                           "initializer_range": 0.1, **changes})
    BertForPreTraining(config, rng=np.random.default_rng(0)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder), tokenizer
