"""A sentence of one's own: every family is read, the values are the model's, and this machine alone is answered."""
import http.client
import json
import re
import threading
from urllib.parse import urlencode

import every_family
import numpy as np
import pytest

from numbert import ops
from numbert.lecture import serve
from numbert.lecture.__main__ import main
from numbert.pretraining.evaluation import fill_mask


@pytest.fixture(scope="module", params=list(every_family.FAMILIES))
def pages(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    every_family.write(folder, request.param)
    return serve.ModelPages.of(folder)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    every_family.write(folder, "bert")
    return serve.ModelPages.of(folder)


@pytest.fixture(scope="module")
def port(bert):
    with serve.server(bert, 0) as serving:
        assert serving.server_address[0] == "127.0.0.1"
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield serving.server_port
        serving.shutdown()


def ask(port, path="/", host=None, **asked):
    """(status, text) of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path + ("?" + urlencode(asked) if asked else ""), headers={"Host": host} if host else {})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def values(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])["values"]


def test_every_family_is_read(pages):
    page = pages.page("the old cat saw a dog", layer=2)
    assert page.count('class="map"') == 2 and "numbert/ops/attention.py" in page and len(values(page)) > 10
    if hasattr(pages.model, "mlm"):
        mask = pages.tokenizer.special_tokens["mask"]
        text = f"the old {mask} saw"
        for word, _ in fill_mask(pages.model, pages.tokenizer, text)[0]:
            assert f'<span class="name">{serve.escape(word)}</span>' in pages.page(text)


@pytest.mark.parametrize("layer", [1, 2])
def test_the_values_are_those_of_the_layer(bert, layer):
    """The output of the layer, once more without being watched."""
    batch = bert.tokenizer.pad([bert.tokenizer("a cat saw a dog", "it is old")])
    body = bert.model.body
    packed = body.pack(batch["input_ids"], batch["token_type_ids"], batch["attention_mask"])
    x = body.embeddings(packed)
    for one in list(body.sequence())[:layer]:
        before, x = x, one(x, packed)
    page = bert.page("a cat saw a dog", "it is old", layer)
    shown = [np.array(item["d"]) for item in values(page) if item["s"] == list(x.data.shape)]
    assert any(np.allclose(item, x.data.reshape(-1), rtol=2e-3, atol=1e-6) for item in shown)
    attention = list(body.sequence())[layer - 1].attention
    probs, = ops.attention_probs(attention.query(before).data, attention.key(before).data, buckets=packed.buckets(),
                                 heads=attention.heads)
    said = re.findall(r'data-say="[^"]*: ([\d.]+)%"', page)
    assert [float(share) for share in said] == pytest.approx(100 * probs.reshape(-1), abs=0.06)


def test_what_cannot_be_read_is_said(bert, port):
    status, page = ask(port, text="the cat " * 30)
    assert status == 400 and re.search(r"1 to 24 tokens can be shown, these are \d\d", page)
    for layer in ("0", "3", "x", "-1"):
        status, page = ask(port, text="the cat", layer=layer)
        assert status == 400 and "the layer must be 1 to 2" in page


def test_what_is_typed_stays_text(port):
    status, page = ask(port, text='"><script>alert(1)</script>')
    assert status in (200, 400) and "<script>alert" not in page and "&lt;script&gt;" in page


def test_only_this_machine_is_answered(port):
    assert ask(port)[0] == 200 and ask(port, host=f"localhost:{port}")[0] == 200
    for host in ("example.org", f"example.org:{port}", "127.0.0.1.example.org", "[::1]"):
        assert ask(port, host=host)[0] == 403
    assert ask(port, "/etc/passwd")[0] == 404


def test_mistakes_on_the_command_line(tmp_path, port, capsys):
    with pytest.raises(SystemExit, match="lecture: .*config.json"):
        main(["--serve", "0", "--model", str(tmp_path)])
    with pytest.raises(SystemExit):
        main(["--model", str(tmp_path)])
    assert "--model is for --serve" in capsys.readouterr().err
