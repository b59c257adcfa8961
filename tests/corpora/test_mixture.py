"""A mixture of sources by weight, and a budget of tokens that is used up exactly."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixtures import recipe_of
from tiny import tiny_arguments

from domain_tokens.corpora.preparation.mixture import check_files_suffice, with_limits
from domain_tokens.corpora.preparation.report import Documents, report_split
from domain_tokens.corpora.prepare import prepare_data, work_of
from domain_tokens.corpora.sizes import estimate_bytes
from domain_tokens.recipe import (
    Corpus,
    RecipeError,
    Source,
    check_fit,
    flatten,
    load_recipe,
    parse_trainers,
    to_dict,
)


def test_pilot_and_full_size_differ_in_one_number(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    pilot, full = (recipe_of(tmp_path / "data", "baseline", f"corpus.num_tokens={n}") for n in ("10e6", "10e9"))
    one, other = flatten(to_dict(pilot)), flatten(to_dict(full))
    assert {key for key in one if one[key] != other[key]} == {"corpus.num_tokens"}
    limits = [with_limits(recipe.corpus).sources for recipe in (pilot, full)]
    assert [source.max_tokens for source in limits[0][:2]] == [
        pytest.approx(10e6 / 0.9 * share) for share in (0.6, 0.2)
    ]
    assert limits[1][2].max_items == pytest.approx(1000 * limits[0][2].max_items, rel=0.001)
    made = Corpus(sources=[Source(name="m", kind="synthetic", weight=1)], num_tokens=1e6, validation_fraction=0.2)
    assert estimate_bytes(made) == pytest.approx(5e6 / 0.8, rel=0.02)


def test_a_source_that_is_too_small_is_named_with_the_figures(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    recipe = recipe_of(tmp_path / "data", "baseline", "corpus.sources.1.max_epochs=2")
    with pytest.raises(RecipeError, match=r"corpus\.sources\.book: at most [\d,]+ bytes of text in 2 epochs"):
        prepare_data(recipe)
    # Of parquet files it is not known before.
    monkeypatch.setattr("domain_tokens.corpora.pipeline.texts.check_files_suffice", lambda corpus: None)
    with pytest.raises(
        RecipeError, match=r"corpus\.sources\.book: [\d,]+ bytes of text in 2 epochs, .* max_epochs: \d+"
    ):
        prepare_data(recipe)
    assert not recipe.documents_dir.exists()
    assert not work_of(recipe.documents_dir).exists()  # so that the next attempt, with other values, can begin


def test_files_that_cannot_be_enough_are_refused_before_they_are_read(tmp_path: Path) -> None:
    text = tmp_path / "book.txt"
    text.write_text("a word " * 1000)

    def corpus(num_tokens: float, **keys: int) -> Corpus:
        source = Source(name="book", kind="file", path=str(text), weight=1, **keys)
        return with_limits(Corpus(sources=[source], num_tokens=num_tokens, validation_fraction=0.1))

    check_files_suffice(corpus(1_000))
    with pytest.raises(
        RecipeError, match=r"book: at most 7,000 bytes of text in 1 epoch, .* 55,556; .* max_epochs: 8"
    ):
        check_files_suffice(corpus(10_000))
    check_files_suffice(corpus(10_000, max_epochs=8))


def test_pretraining_reads_no_more_than_the_budget() -> None:
    files = [
        "recipes/baseline.yaml",
        "recipes/scales/demo.yaml",
        "corpus.sources=[{name: m, kind: synthetic, weight: 1}]",
    ]
    recipe = load_recipe([*files, "corpus.num_tokens=1e6", "corpus.epochs=1"])
    parse_trainers(recipe)
    with pytest.raises(
        RecipeError, match=r"corpus.num_tokens: pretraining reads [\d,]+ tokens .* got 1,000; raise it"
    ):
        check_fit(*(lambda one: (one, parse_trainers(one)))(load_recipe([*files, "corpus.num_tokens=1000"])))


def test_preparation_refuses_too_small_a_budget_before_it_reads(tmp_path: Path) -> None:
    source = "corpus.sources=[{name: m, kind: synthetic, weight: 1}]"
    output = f"output_dir={tmp_path / 'outputs'}"
    files = ["recipes/baseline.yaml", "recipes/scales/demo.yaml", source, output]
    with pytest.raises(RecipeError, match=r"corpus.num_tokens: pretraining reads 204,800 tokens .* got 1,000;"):
        prepare_data(load_recipe([*files, "corpus.num_tokens=1000"]))
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize(
    ("source", "corpus", "message"),
    [
        ("weight: 1", "", r"num_tokens: missing; the weights of web divide it"),
        ("max_tokens: 5", "corpus.num_tokens=10", r"web\.weight: missing"),
        ("weight: 1", "corpus.num_tokens=10.5", "a whole number, got 10.5"),
        ("weight: 0", "corpus.num_tokens=10", r"web\.weight: expected a number above 0"),
        ("weight: 1, max_tokens: 5", "corpus.num_tokens=10", "expected neither max_items nor max_tokens"),
        ("max_epochs: 2", "", "a source without a weight is read once"),
        ("weight: 1", "corpus.num_tokens=10 corpus.sample=0.5", "only one of the two"),
    ],
)
def test_a_mixture_that_says_two_things_is_refused(source: str, corpus: str, message: str, tmp_path: Path) -> None:
    sources = f"corpus.sources=[{{name: web, kind: file, path: x.txt, {source}}}]"
    with pytest.raises(RecipeError, match=message):
        load_recipe(tiny_arguments(tmp_path, "baseline", sources, *corpus.split()))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("grpo_prompts=[{name: a, kind: file, path: a.txt, weight: 1}]", "weight: no shares are taken of this list"),
        (
            "sft_stages.0={name: s, max_items: 4, sources: [{name: a, kind: file, path: a, weight: 1,max_epochs: 2}]}",
            "max_epochs: no shares are taken of this list",
        ),
    ],
)
def test_shares_that_nothing_is_made_of_are_refused(override: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(tiny_arguments(tmp_path, "baseline", override))


@given(st.lists(st.integers(1, 300), min_size=1, max_size=40), st.data())
def test_the_report_counts_every_document_once(lengths: list[int], data: st.DataObject) -> None:
    ends = np.cumsum(lengths)
    budget = data.draw(st.integers(1, int(ends[-1])))
    owners = np.array(data.draw(st.lists(st.integers(0, 1), min_size=len(lengths), max_size=len(lengths))))
    ids = [f"{'ab'[owner]}/{number}" for number, owner in enumerate(owners)]
    corpus = Corpus(sources=[Source(name="a", weight=1), Source(name="b", weight=3)], num_tokens=budget)
    documents = Documents(ids, owners, np.array(lengths) * 2, ends, 5)
    report = report_split(documents, corpus, 100, has_budget=True)
    assert (
        sum(report.lengths.at_most.values()) == sum(one.documents for one in report.sources.values()) == len(lengths)
    )
    for low, high in pairwise([0, *report.lengths.at_most]):
        assert report.lengths.at_most[high] >= 1
        assert sum(low < length <= high for length in lengths) == report.lengths.at_most[high]
    assert report.lengths.quantiles["1"] == max(lengths)
    assert report.lengths.longer_than_context == sum(length > 100 for length in lengths) / len(lengths)
    assert report.budget.source_bytes == 2 * budget
    whole = report.budget.documents - report.budget.documents_cut
    assert sum(lengths[:whole]) <= budget <= sum(lengths[: report.budget.documents])
    assert report.budget.documents + report.budget.documents_unread == len(lengths)
