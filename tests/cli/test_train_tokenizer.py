"""`scripts/train_tokenizer.py`: a base of texts, without those that are held out, and one line on bad input."""

import json
import logging
import re
from pathlib import Path

import pytest
from tiny import ROOT
from transformers import AutoTokenizer

from domain_tokens.cli.train_tokenizer import main
from domain_tokens.corpora.sources import read_documents
from domain_tokens.corpora.synthetic import texts
from domain_tokens.recipe import Source
from domain_tokens.tokenization.bpe.base_vocabulary import TRAINERS, read_base
from domain_tokens.tokenization.contract import load_tokenizer


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr("sys.argv", ["train_tokenizer.py", *map(str, arguments)])
    main("")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of 150 documents."""
    (tmp_path / "texts").mkdir()
    lines = [json.dumps({"text": text}) for text in texts(150, 0, "train")]
    (tmp_path / "texts/all.jsonl").write_text("\n".join(lines))
    return tmp_path / "texts"


def test_a_tokenizer_of_texts(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    kind = "unigram"
    added = ROOT / "recipes/interventions/mul_tokens.yaml"
    with caplog.at_level(logging.INFO):
        run(monkeypatch, "--texts", folder, "--kind", kind, "--num-ids", 1500, "--intervention", added, tmp_path / "t")
    documents = list(read_documents(Source("texts", "file", str(folder)), 0, 0.05, 0, 1))
    training = [text for _, text, held_out in documents if not held_out]
    held_out = [text for _, text, is_held_out in documents if is_held_out]
    assert len(training) + len(held_out) == 150 > len(training) > 100
    base = read_base(tmp_path / "t/base_vocabulary")
    assert base == TRAINERS[kind](training, 1500)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "t")
    assert len(load_tokenizer(tmp_path / "t")) == len(tokenizer) == base.ids.total(45)
    num_tokens = sum(len(tokenizer.encode(text)) for text in held_out)
    measured = f"{sum(len(text.encode()) for text in held_out) / num_tokens:.3f} bytes per token"
    assert measured in caplog.text
    assert f"{kind}: 1,500 ids, from {len(training)} documents" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--num-ids", 1500, "OUT"), "expected a recipe before OUT_DIR, or --texts PATH"),
        (("--texts", "texts", "OUT"), "--num-ids: missing"),
        (("--texts", "texts", "--num-ids", 9, "OUT"), "base_vocabulary.num_ids: expected 1467 to 32768, got 9"),
        (("--texts", "texts", "--num-ids", 9000, "OUT"), r"give no more than \d+ ids, got 9000"),
        (("--texts", "nowhere", "--num-ids", 1500, "OUT"), "path: no file nowhere; expected a file, a folder"),
        (("--texts", "empty", "--num-ids", 1500, "OUT"), "path: no data file in empty"),
        (("--texts", "texts", "--num-ids", 1500, "texts"), "texts: exists, but holds no tokenizer of this project"),
        ((ROOT / "recipes/baseline.yaml", "OUT"), "base_vocabulary.kind: gpt2 is not trained; expected trained"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    arguments: tuple[object, ...],
    message: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder.parent)
    Path("empty").mkdir()
    with pytest.raises(SystemExit) as end:
        run(monkeypatch, *arguments)
    assert end.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert re.search(message, last), last
    assert not Path("OUT").exists()
    assert not Path("OUT.partial").exists()


def test_a_test_split_trains_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "all.jsonl").rename(folder / "test.jsonl")
    with pytest.raises(SystemExit):
        run(monkeypatch, "--texts", folder, "--num-ids", 1500, folder.parent / "t")
    assert "training stages must not read a test split" in capsys.readouterr().err
