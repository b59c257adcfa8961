"""`what: worlds`: documents of a corpus, the same in every condition, and no questions of anything else."""

import re
from dataclasses import replace

import pytest
from tiny import ROOT

from domain_tokens.corpora import gallery
from domain_tokens.corpora.sizes import estimate_size
from domain_tokens.corpora.sources import check_distinct, read_documents, read_rows
from domain_tokens.corpora.synthetic import asked_by
from domain_tokens.corpora.worlds.language import read_facts, split_of_person
from domain_tokens.corpora.worlds.passages import documents
from domain_tokens.recipe import GENERATOR_VERSION, Corpus, RecipeError, Source, load_recipe
from domain_tokens.runs.files import sha256_json
from domain_tokens.tokenization import load_intervention
from domain_tokens.tokenization.rewriter import rewriter_of

WORLDS = Source(name="mine", kind="synthetic", what="worlds", max_items=400)
# Worlds were added to version 4. A change here is a change of an experiment's data: raise GENERATOR_VERSION.
TEXT = "612602a1ddb60e24c82cf89f6f874e540b77cb16b4c791e56716478bd22e2051"


def test_a_corpus_reads_the_documents_of_both_splits() -> None:
    read = list(read_documents(WORLDS, 3, 0.1, 0, 1))
    assert [text for _, text, held_out in read if not held_out] == list(documents(360, 3, "train"))
    assert [text for _, text, held_out in read if held_out] == list(documents(40, 3, "validation"))
    assert (read[0][0], read[360][0]) == ("train/0", "validation/0")
    assert (GENERATOR_VERSION, sha256_json(read)) == (4, TEXT)


def test_workers_share_them() -> None:
    whole = list(read_documents(WORLDS, 3, 0.1, 0, 1))
    parts = [one for rank in range(3) for one in read_documents(WORLDS, 3, 0.1, rank, 3)]
    assert len(parts) == len(whole) == 400
    assert sorted(parts) == sorted(whole)


def test_their_size_is_estimated() -> None:
    many = replace(WORLDS, max_items=4000)
    num_bytes = sum(len(text.encode()) for _, text, _ in read_documents(many, 0, 0.0, 0, 1))
    estimated = estimate_size(Corpus(sources=[many]))
    assert estimated is not None
    assert estimated.num_bytes == pytest.approx(num_bytes, rel=0.1)


@pytest.mark.parametrize("split", ["train", "prompts", "validation", "test"])
def test_no_questions_are_made_of_them(split: str) -> None:
    said = "source mine: what: `worlds` generates documents, not questions; expected drills, problems or lessons"
    with pytest.raises(RecipeError, match=said):
        check_distinct(WORLDS, split)
    with pytest.raises(RecipeError, match=said):
        read_rows(WORLDS, 0, split)


def test_they_ask_nothing_that_an_evaluation_could() -> None:
    assert len(asked_by("text", "train")) > 100
    assert asked_by("worlds", "train") == frozenset()


def test_they_have_no_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    given = ["recipes/baseline.yaml", "recipes/scales/seal_demo.yaml"]
    assert load_recipe(given).corpus.sources[0].what == "worlds"
    with pytest.raises(RecipeError, match=r"only lessons have kinds; expected what: lessons, got 'worlds'"):
        load_recipe([*given, "corpus.sources.0.kinds={problems: 1}"])


# The placebo's tokens are pairs of frequent words, of which every English text is full.
# `mul_20` takes long to compile.
WITH_PRODUCTS = sorted(
    path.stem
    for path in (ROOT / "recipes/interventions").glob("*.yaml")
    if path.stem not in ("none", "placebo", "mul_20")
)


@pytest.mark.parametrize("name", WITH_PRODUCTS)
def test_no_product_is_found_in_them(name: str) -> None:
    texts = list(documents(2000 if name == "mul_tokens" else 100, 0, "train"))
    rewriter = rewriter_of(load_intervention(ROOT / f"recipes/interventions/{name}.yaml"))
    if name == "mul_tokens":
        assert len(texts) == 2000
        assert rewriter.rewrite(f"{texts[0]} 6*9=54").edits
    assert [text for text in texts if rewriter.rewrite(text).edits] == []


def test_they_have_no_number_and_no_sign_of_a_product() -> None:
    texts = [text for split in ("train", "validation") for text in documents(4000, 1, split)]
    assert re.search(r"[\d*×·]", "6 × 9")
    assert [text for text in texts if re.search(r"[\d*×·]", text)] == []


def test_they_can_be_looked_at() -> None:
    shown = list(gallery.examples("worlds", 5, 2))
    assert shown == list(documents(5, 2, "train"))
    passage, *questions = next(gallery.examples("passages", 1, 2)).splitlines()
    assert passage.count(".") >= 8
    assert len(questions) == 16
    assert {split_of_person(fact.person) for fact in read_facts(passage)} <= set(range(60, 80))  # of `adapt`
    assert all(answer in passage for answer in (line.rpartition("? ")[2] for line in questions))
    assert {"worlds", "passages"} <= set(gallery.kinds())
