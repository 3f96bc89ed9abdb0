"""A tokenizer for tests: words between spaces are tokens, the vocabulary is those of some texts."""
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


class WordTokenizer:
    pad_token_id, unk_token_id, cls_token_id, sep_token_id, mask_token_id = all_special_ids = range(5)

    def __init__(self, texts):
        words = dict.fromkeys(word for text in texts for word in text.split())
        self.vocab = {token: token_id for token_id, token in enumerate([*SPECIAL, *words])}

    @property
    def continues(self):
        return [token.startswith("##") for token in self.vocab]

    def encode_batch(self, texts, add_special_tokens=True):
        assert not add_special_tokens
        return [[self.vocab.get(word, self.unk_token_id) for word in text.split()] for text in texts]
