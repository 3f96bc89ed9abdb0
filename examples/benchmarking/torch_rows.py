"""numbert's ideas in PyTorch: rows instead of padding, the last layer's queries and the scores of words only where they
are looked at, the fused AdamW. What numbert is still faster by is not algorithm.

The parts of Hugging Face's model are used as they are, on rows (N, D), but for the attention, which needs to know where
sequences begin.
"""
from .training import HuggingFaceTraining


class RowsTraining(HuggingFaceTraining):
    fused = True

    @staticmethod
    def operations(case):
        return case.operations()

    def loss(self, batch):
        torch, kind, cross_entropy = self.torch, self.case.kind, self.torch.nn.functional.cross_entropy
        order = batch["attention_mask"].sum(1).argsort(descending=True, stable=True)    # equal lengths are neighbours
        batch = {name: x[order] for name, x in batch.items()}
        real = batch["attention_mask"].bool()                                           # (B, T)
        lengths = real.sum(1)
        first = lengths.cumsum(0) - lengths                                             # (B,) rows of first tokens
        if kind == "finetune":
            scores = self.model.qa_outputs(self.encode(batch, real, lengths))           # (N, 2)
            padded = scores.new_full((*real.shape, 2), -torch.inf)
            padded[real] = scores
            return (cross_entropy(padded[..., 0], batch["start_positions"])
                    + cross_entropy(padded[..., 1], batch["end_positions"])) / 2
        if kind == "classify":
            pooled = self.pool(self.encode(batch, real, lengths, first))
            return cross_entropy(self.model.classifier(self.model.dropout(pooled)), batch["labels"])
        labels = batch["labels"][real]
        masked = (labels != -100).nonzero()[:, 0]                                       # (M,)
        rows = torch.cat([masked, first]).sort()[0]             # the first token of a sequence is never masked
        x = self.encode(batch, real, lengths, rows)
        words = self.model.cls.predictions(x[torch.searchsorted(rows, masked)])
        pairs = self.model.cls.seq_relationship(self.pool(x[torch.searchsorted(rows, first)]))
        return cross_entropy(words, labels[masked]) + cross_entropy(pairs, batch["next_sentence_label"])

    def pool(self, first):
        return self.model.bert.pooler(first[:, None])

    def encode(self, batch, real, lengths, rows=None):
        """(N, D) for all tokens, or for `rows` alone, ascending."""
        body = self.model.bert
        x = body.embeddings(input_ids=batch["input_ids"][real][None], position_ids=real.nonzero()[None, :, 1],
                            token_type_ids=batch["token_type_ids"][real][None])[0]      # (N, D)
        *before, last = body.encoder.layer
        lengths = lengths.tolist()
        for layer in before:
            x = self.layer(layer, x, x, lengths, lengths)
        if rows is None:
            return self.layer(last, x, x, lengths, lengths)
        of = self.torch.repeat_interleave(self.torch.arange(len(lengths)), self.torch.tensor(lengths))[rows]
        return self.layer(last, x[rows], x, self.torch.bincount(of, minlength=len(lengths)).tolist(), lengths)

    def layer(self, layer, x_query, x, asked, lengths):
        """One layer for sequences of `lengths` tokens, of which `asked` are queries."""
        attend = layer.attention.self
        query, key, value = attend.query(x_query), attend.key(x), attend.value(x)
        mixed, q, k, b = [], 0, 0, 0
        while b < len(lengths):
            n = 1
            while lengths[b + n:b + n + 1] == lengths[b:b + 1] and asked[b + n] == asked[b]:
                n += 1
            queries, keys = n * asked[b], n * lengths[b]
            mixed.append(self.attention(attend, query[q:q + queries], key[k:k + keys], value[k:k + keys], n))
            q, k, b = q + queries, k + keys, b + n
        h = layer.attention.output(self.torch.cat(mixed), x_query)
        return layer.output(layer.intermediate(h), h)

    def attention(self, attend, query, key, value, n):
        """For n sequences of equal length, end to end."""
        def heads(x):
            return x.view(n, -1, attend.num_attention_heads, attend.attention_head_size).transpose(1, 2)
        out = self.torch.nn.functional.scaled_dot_product_attention(
            heads(query), heads(key), heads(value), dropout_p=attend.dropout.p if attend.training else 0.0)
        return out.transpose(1, 2).reshape(len(query), -1)
