"""Text that stays in its files, and tokens that stand in one: the same as both in memory."""
import numpy as np
import pytest
from example_scripts import load
from hypothesis import given, settings
from hypothesis import strategies as st

from numbert.pretraining import batches, sentence_pairs, token_file
from numbert.pretraining.batches import PretrainingData, encoded
from numbert.pretraining.corpus import hold_out, read_documents
from numbert.pretraining.documents import Documents
from numbert.pretraining.sentence_pairs import OBJECTIVES, TokenizedText, draw_examples
from numbert.pretraining.token_file import tokenised
from numbert.tokenizers.wordpiece import SPECIAL_TOKENS, WordPieceTokenizer
from numbert.training.parallel import Workers
from numbert.training.run_folder import RunFolder


def words_of(text):
    return WordPieceTokenizer([*SPECIAL_TOKENS.values(), *text.split()])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(st.sampled_from("ab \n\r\t\x0b\x85\u2028\ufeffé"), max_size=30), min_size=1, max_size=3))
def test_documents_are_those_that_are_read_at_once(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("text")
    files = [folder / f"{i}.txt" for i in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        file.write_bytes(text.encode())
    try:
        expected = read_documents(files)
    except ValueError as error:
        with pytest.raises(ValueError) as caught:
            Documents.of(files)
        assert str(caught.value) == str(error)
        return
    documents = Documents.of(files)
    assert list(documents) == expected and len(documents) == len(expected)
    assert [documents[i] for i in range(len(documents))] == expected and documents[-1] == expected[-1]
    assert documents.words == sum(len(p.split()) for d in expected for p in d)
    for size in (1, 5, 1000):
        assert [d for group in documents.groups(size) for d in group] == expected


def test_what_is_not_utf8_is_said_as_of_a_whole_file(tmp_path):
    (tmp_path / "x.txt").write_bytes(b"a line\n\nand caf\xe9")
    for read in (read_documents, lambda path: Documents.of([path])):
        with pytest.raises(ValueError, match=r"x.txt: not UTF-8: byte 0xe9 at offset 15"):
            read(tmp_path / "x.txt")


@pytest.fixture
def text(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "text.txt"
    path.write_text("\n\n".join("\n".join(" ".join(rng.choice(list("abcdefgh"), rng.integers(3, 9))) + ". Then a b."
                                          for _ in range(rng.integers(1, 6))) for _ in range(40)))
    return path


def test_holding_out_gives_the_same_documents(text):
    for found, expected in zip(hold_out(Documents.of([text]), 0.2, np.random.default_rng(3)),
                               hold_out(read_documents(text), 0.2, np.random.default_rng(3)), strict=True):
        assert list(found) == expected


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("separator", [None, 3])
def test_tokens_in_a_file_are_those_in_memory(text, tmp_path, n, separator, monkeypatch):
    monkeypatch.setattr(token_file, "GROUP", 200)
    documents, tokenizer, said = Documents.of([text]), words_of("a b c d e f g h then ."), []
    expected = TokenizedText(encoded(read_documents(text), tokenizer), separator)
    with Workers(n) as workers:
        found = tokenised(documents, tokenizer, separator, tmp_path / "tokens", workers, said.append)
        for name in ("tokens", "sentences", "documents"):
            a, b = getattr(found, name), getattr(expected, name)
            assert a.dtype == b.dtype and (a == b).all()
        assert found.separator == separator and not isinstance(found.tokens, np.memmap)
        monkeypatch.setattr(token_file, "_encode_all", None)        # what is there is not made again
        again = tokenised(documents, tokenizer, separator, tmp_path / "tokens", workers)
        assert (again.tokens == expected.tokens).all()


def test_tokens_of_another_text_or_tokenizer_are_made_again(text, tmp_path):
    tokenizer = words_of("a b c d e f g h then .")
    documents = Documents.of([text])
    with Workers(1) as workers:
        for some, by in ((documents, tokenizer), (documents.chosen(slice(5)), tokenizer),
                         (documents, words_of("b a c d e f g h then ."))):
            found = tokenised(some, by, None, tmp_path / "tokens", workers)
            assert (found.tokens == TokenizedText(encoded(some, by)).tokens).all()


def test_the_beginning_of_a_text():
    text = TokenizedText([[[1, 2], [3]], [[4] * 5], [[6]], [[7, 8, 9]]])
    for tokens, documents in ((1, 2), (8, 2), (9, 3), (100, 4)):
        part = text.beginning(tokens)
        assert len(part.documents) == documents + 1 and len(part.tokens) == part.sentences[-1]
        assert part.sentences[-1] == text.sentences[text.documents[documents]]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_examples_in_a_file_are_those_in_memory(objective, tmp_path, monkeypatch):
    """And in the same order; the file has no name, and none is left."""
    monkeypatch.setattr(batches, "LISTED", 4)
    documents = [["a b. c d e. f g h. a. b h."] * 3, ["c. d e f. g."] * 4, ["h a b c d."] * 5]
    data = [PretrainingData(documents, words_of("a b c d e f g h ."), objective=objective, max_length=9, batch_size=2,
                            folder=folder) for folder in (None, tmp_path)]
    for found, expected in zip(data[1]._pass(3), data[0]._pass(3), strict=True):
        assert found.dtype == expected.dtype == np.int64 and found.shape == expected.shape and len(found) > 4
        assert (found == expected).all()
    assert not list(tmp_path.iterdir())


def test_examples_are_the_same_however_many_are_written_at_a_time(monkeypatch):
    text, found = TokenizedText([[[1, 2, 3]] * 12, [], [[4, 5]] * 9, [[6]]]), []
    for listed in (1, 2, 100):
        monkeypatch.setattr(sentence_pairs, "LISTED", listed)
        found.append(draw_examples(text, np.random.default_rng(0), objective="mlm", max_length=6))
    assert len(found[0]) > 9 and found[0].dtype == np.int64
    assert (found[0] == found[2]).all() and (found[1] == found[2]).all()


def test_a_large_text(text, tmp_path, monkeypatch, capsys):
    """pretrain.py with the limits of a large text, and on as if nothing had been: the tokens are found again."""
    pretrain = load("pretrain")
    for name, value in (("LARGE", 1000), ("SAMPLE", 1500), ("HELD_OUT", 400), ("COUNTED", 300)):
        monkeypatch.setattr(pretrain, name, value)
    given = ["--text", str(text), "--out", str(tmp_path / "run"), "--vocab-size", "40", "--batch-size", "4",
             "--max-length", "24", "--workers", "1", "--steps", "4"]
    pretrain.main([*given, "--cache", str(tmp_path / "cache")])
    said = capsys.readouterr().out
    assert "the vocabulary is learnt from 0 MB of the text" in said and "2 documents are held out" in said
    assert (tmp_path / "cache" / "tokens.int32").exists() and not (tmp_path / "run" / "tokens").exists()
    records = RunFolder(tmp_path / "run").records()
    monkeypatch.setattr(token_file, "_encode_all", None)
    pretrain.main(["--resume", "--out", str(tmp_path / "run"), "--cache", str(tmp_path / "cache")])
    assert RunFolder(tmp_path / "run").records() == records
    monkeypatch.undo()
    data = PretrainingData(read_documents(text), words_of("a b c d e f g h then ."), max_length=12)
    assert len(data.beginning(100).text.documents) < len(data.text.documents) and data.beginning(10**9) is data
