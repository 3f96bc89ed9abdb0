"""A sentence of the reader's own, read by a model while it is watched: a page with every line's values, on request.

The server is the standard library's. It listens on this machine alone, and answers only to this machine's own names, so
that no page from elsewhere can ask it anything.
"""
from html import escape
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

from .. import ops
from ..layers import FeedForward, SelfAttention
from ..models.auto import AutoTokenizer
from ..ops.attention import softmax
from ..pretraining.evaluation import fill_mask
from ..recording import no_grad
from ..trace.uses import class_in
from . import source
from .drawing import GREY, TEAL, attention_maps, bars, both, percent, said, strip, token
from .line_values import LineValues
from .listing import Lister, made
from .page import frame

HOST, NAMES = "127.0.0.1", ("127.0.0.1", "localhost")
MOST = 40                               # tokens: a map of all of them is still read


class ModelPages:
    """A model and its tokenizer. named: what the page calls them, as HTML."""

    def __init__(self, model, tokenizer, named):
        self.model, self.tokenizer, self.named = model, tokenizer, named
        self.layers = len(list(model.body.sequence()))
        self.example = f"Anna was in the {tokenizer.special_tokens.get('mask', 'library')}."

    @classmethod
    def of(cls, folder):
        """What is in a run folder or a checkpoint. Raises CheckpointError."""
        return cls(class_in(folder)[0].from_pretrained(folder), AutoTokenizer.from_pretrained(folder),
                   escape(str(folder)))

    def page(self, text, pair="", layer=1):
        """The page for a text, or for two. Raises ValueError for what cannot be read."""
        if not 1 <= layer <= self.layers:
            raise ValueError(f"the layer must be 1 to {self.layers}, got {layer}")
        encoding = self.tokenizer(text, pair or None, special_tokens_in_text=True)
        if not 0 < len(encoding) <= min(MOST, self.model.max_tokens):
            raise ValueError(f"1 to {min(MOST, self.model.max_tokens)} tokens can be shown, these are {len(encoding)}")
        tokens = self.tokenizer.convert_ids_to_tokens(encoding.input_ids)
        embeddings, block = self.model.body.embeddings, next(iter(self.model.body.sequence()))
        functions = [function_of(embeddings), function_of(block), SelfAttention.__call__, ops.attention.forward,
                     source.function_of("numbert.ops.attention:_probs"), softmax, ops.layer_norm.forward,
                     FeedForward.__call__]
        with LineValues(functions, self.model) as seen, no_grad():
            self.model(**self.model.accepted(self.tokenizer.pad([encoding])))
        begins = [i for i, call in enumerate(seen.calls) if call.is_of(functions[1])] + [len(seen.calls)]
        inside = seen.calls[begins[layer - 1]:begins[layer]]
        lister = Lister(None)
        code = [self.lines(lister, function, calls, seen) for function, calls in
                [(functions[0], seen.calls), *((function, inside) for function in functions[1:])]]
        maps = attention_maps("key", heads_of(inside, tokens, layer))
        parts = [self.form(text, pair, layer),
                 card(both("Tokens", "token"), strip(map(token, tokens)), self.guesses(text, pair)),
                 card(both(f"Attention of layer {layer}", f"第 {layer} 层的 attention"), f"<figure>{maps}</figure>"),
                 card(both("Line by line", "逐行看"), *code)]
        return frame("", parts, {"values": lister.values.items, "axes": {"own": tokens}, "vocab": []})

    def lines(self, lister, function, calls, seen):
        """The lines of a function with the values of its first call; nothing if it was not called."""
        call = next((call for call in calls if call.is_of(function)), None)
        if call is None:
            return ""
        shown = source.excerpt(f"{function.__module__}:{function.__qualname__}")
        return (f'<h3 class="where">{shown.path}<b>::{escape(function.__qualname__)}</b> <small>{escape(call.module)}'
                f"</small></h3>{lister.lines(shown, made(call, seen), source.names_in([shown]), 'own')}")

    def guesses(self, text, pair):
        """The likeliest words at each [MASK] of a single text, of a model that guesses them."""
        if pair or not hasattr(self.model, "mlm") or (mask := self.tokenizer.special_tokens["mask"]) not in text:
            return ""
        return "".join(said(mask) + bars([(escape(word), p, percent(p), TEAL if i == 0 else GREY)
                                          for i, (word, p) in enumerate(best)], most=1)
                       for best in fill_mask(self.model, self.tokenizer, text))

    def form(self, text="", pair="", layer=1, mistake=""):
        choices = "".join(f'<option{" selected" * (n == layer)}>{n}</option>' for n in range(1, self.layers + 1))
        return (f'<form class="card own"><p>{self.named}</p>'
                f'<label>{both("Text", "文本")} <input name="text" value="{escape(text)}" autofocus></label>'
                f'<label>{both("Second text, if any", "第二段（可以没有）")} <input name="pair" value="{escape(pair)}">'
                f'</label><label>{both("Layer", "层")} <select name="layer">{choices}</select></label>'
                f'<button>{both("Read", "读")}</button><p class="mistake">{escape(mistake)}</p></form>')

    def mistaken(self, text, pair, error):
        return frame("", [self.form(text, pair, mistake=str(error))], {"values": [], "axes": {}, "vocab": []})


def function_of(module):
    return type(module).__call__


def card(title, *parts):
    return f'<section class="card"><header><h2>{title}</h2></header>{"".join(parts)}</section>'


def heads_of(calls, tokens, layer):
    """What `attention_maps` draws, of the attention in these calls."""
    given = next(call for call in calls if call.is_of(ops.attention.forward)).arguments
    shares, = ops.attention_probs(*(given[name] for name in ("query", "key")), buckets=given["buckets"],
                                  heads=given["heads"], mask=given["mask"])                     # (1, H, T, T)
    return [(f"layer {layer}, head {h}", f"第 {layer} 层，head {h}", tokens, tokens, one)
            for h, one in enumerate(shares[0], 1)]


def server(pages, port):
    """An HTTPServer that has these pages, not yet started. Port 0: any that is free. OSError for one in use."""
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
            address = urlsplit(self.path)
            if name not in NAMES:
                return self.send_error(403, "only this machine is served")
            if address.path != "/":
                return self.send_error(404)
            asked = {key: values[0] for key, values in parse_qs(address.query).items()}
            text, pair = asked.get("text", "" if asked else pages.example), asked.get("pair", "")
            try:
                layer = asked.get("layer", "1")
                self.answer(pages.page(text, pair, int(layer) if layer.isdecimal() else 0))
            except ValueError as error:
                self.answer(pages.mistaken(text, pair, error), 400)

        def answer(self, page, status=200):
            data = page.encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; "
                             "script-src 'unsafe-inline'; form-action 'self'")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *parts):
            """Nothing is printed for each request."""

    return HTTPServer((HOST, port), Handler)
