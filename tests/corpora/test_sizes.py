"""How much text a corpus is said to have, against what it has."""

from pathlib import Path

import pytest

from domain_tokens.corpora.sizes import estimate_bytes
from domain_tokens.corpora.sources import read_documents
from domain_tokens.recipe import Corpus, Source


def test_generated_text_is_estimated_within_a_tenth() -> None:
    source = Source(name="s", kind="synthetic", what="text", max_items=2000)
    found = sum(len(text.encode()) for _, text, _ in read_documents(source, 0, 0.0, 0, 1))
    assert found > 50_000
    assert estimate_bytes(Corpus(sources=[source])) == pytest.approx(found, rel=0.1)


def test_files_count_as_they_are_and_the_hub_by_its_limit(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x" * 1000)
    file = Source(name="f", kind="file", path=str(tmp_path))
    assert estimate_bytes(Corpus(sources=[file])) == 1000
    limited = Source(name="l", kind="file", path=str(tmp_path), max_tokens=10)
    hub = Source(name="h", kind="hub", path="owner/name", max_tokens=1e6)
    assert estimate_bytes(Corpus(sources=[limited, hub])) == 40 + 4e6


def test_what_is_not_known_is_not_guessed(tmp_path: Path) -> None:
    assert estimate_bytes(Corpus(sources=[Source(name="h", kind="hub", path="owner/name")])) is None
    assert estimate_bytes(Corpus(sources=[Source(name="f", kind="file", path=str(tmp_path / "none.txt"))])) is None
