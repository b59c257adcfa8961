"""The documents of an experiment are known by their text, whoever wrote them and wherever."""

import json
from pathlib import Path

import pytest
from tiny import ROOT

from domain_tokens.corpora.prepare import corpus_stage, documents_sha256
from domain_tokens.recipe import Recipe, load_recipe

TEXT = {"train/00000.jsonl": "a", "train/00001.jsonl": "b", "validation/00000.jsonl": "c"}


def prepared(folder: Path, condition: str, files: dict[str, str]) -> Recipe:
    """A condition whose tokenizer is there, with documents that another condition may have written."""
    arguments = [f"recipes/{condition}.yaml", "recipes/scales/demo.yaml", f"output_dir={folder}"]
    recipe = load_recipe(arguments)
    for path, text in (
        (recipe.tokenizer_dir / "tokenizer.json", "{}"),
        (recipe.documents_dir / "manifest.json", json.dumps({"files": files})),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return recipe


def test_documents_that_were_prepared_again_are_the_same_corpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    first = prepared(tmp_path / "here", "baseline", TEXT | {"run_config.yaml": "of baseline"})
    again = prepared(tmp_path / "there", "baseline", TEXT | {"run_config.yaml": "of mul_tokens"})
    assert first.documents_dir != again.documents_dir
    assert corpus_stage(first).inputs == corpus_stage(again).inputs
    other = prepared(tmp_path / "other", "baseline", TEXT | {"train/00001.jsonl": "x"})
    assert corpus_stage(other).inputs != corpus_stage(first).inputs


@pytest.mark.parametrize("name", TEXT)
def test_every_document_counts(name: str) -> None:
    assert documents_sha256(TEXT) == documents_sha256(TEXT | {"run_config.yaml": "x", "other": "y"})
    assert documents_sha256(TEXT | {name: "x"}) != documents_sha256(TEXT)
    assert documents_sha256({key: value for key, value in TEXT.items() if key != name}) != documents_sha256(TEXT)
