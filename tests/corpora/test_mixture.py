"""A mixture of sources by weight, and a budget of tokens that is used up exactly."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import CONDITIONS, ROOT, tiny_arguments

from domain_tokens.corpora.preparation.mixture import with_limits
from domain_tokens.corpora.preparation.records import DATA_REPORT, DataReport
from domain_tokens.corpora.preparation.report import Documents, report_split
from domain_tokens.corpora.prepare import prepare_data
from domain_tokens.corpora.shards import PackedSequences, Shards
from domain_tokens.corpora.sizes import estimate_bytes, training_documents
from domain_tokens.corpora.sources import AGAIN
from domain_tokens.recipe import Corpus, Recipe, RecipeError, Source, flatten, load_recipe, to_dict
from domain_tokens.runs.records import read_record
from domain_tokens.training.pretrain import documents_read, source_bytes

BUDGET = 2000


def recipe_of(folder: Path, condition: str, *overrides: str) -> Recipe:
    """Text, a book of five pages that is read several times, and generated text, as 3 : 1 : 1."""
    folder.mkdir(exist_ok=True)
    for name, number, words in (("web", 400, 30), ("book", 5, 30)):
        rows = [{"text": " ".join(f"{name} {n * i % 97} 6*9 = 54" for i in range(words // 5))} for n in range(number)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    sources = (
        f"corpus.sources=[{{name: web, kind: file, path: '{folder}/web.jsonl', weight: 3}}, "
        f"{{name: book, kind: file, path: '{folder}/book.jsonl', weight: 1, max_epochs: 20}}, "
        "{name: made, kind: synthetic, what: text, weight: 1}]"
    )
    arguments = ("corpus.validation_fraction=0.1", "pretrain.max_steps=7", f"corpus.num_tokens={BUDGET}")
    return load_recipe(tiny_arguments(folder / "out", condition, sources, *arguments, *overrides))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Recipe]:
    recipes = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        for condition in CONDITIONS:
            recipes[condition] = recipe_of(tmp_path_factory.getbasetemp() / "mixture", condition)
            prepare_data(recipes[condition])
    return recipes


def test_weights_become_shares_of_bytes_and_the_report_says_which(prepared: dict[str, Recipe]) -> None:
    reports = {name: read_record(one.corpus_dir / DATA_REPORT, DataReport) for name, one in prepared.items()}
    for name, report in reports.items():
        assert report.condition == name
        shares = report.train.sources
        assert [share.weight for share in shares.values()] == [0.6, 0.2, 0.2]
        assert [share.share_of_bytes for share in shares.values()] == pytest.approx([0.6, 0.2, 0.2], abs=0.03)
        assert sum(share.share_of_tokens for share in shares.values()) == pytest.approx(1)
        assert (shares["web"].epochs, shares["made"].epochs) == (1, 1)
        assert 3 < shares["book"].epochs < 20
        assert 0.99 < report.train.characters / report.train.source_bytes < 1  # some signs of two bytes
    base, mul = (reports[name].train for name in CONDITIONS)
    assert [one.source_bytes for one in base.sources.values()] == [one.source_bytes for one in mul.sources.values()]
    assert base.tokens > mul.tokens


def test_every_condition_reads_the_budget_and_not_one_token_more(prepared: dict[str, Recipe]) -> None:
    took = {}
    for condition, recipe in prepared.items():
        shards, drawn = Shards(recipe.corpus_dir / "train"), training_documents(recipe)
        assert drawn.num_tokens == BUDGET < shards.num_tokens
        assert len(PackedSequences(drawn, 8)) == BUDGET // 8
        budget = read_record(recipe.corpus_dir / DATA_REPORT, DataReport).train.budget
        ends = shards.document_ends
        assert (budget.tokens, budget.documents) == (BUDGET, int(np.sum(ends < BUDGET)) + 1)
        number = len(ends)
        assert budget.documents_dropped == (number - budget.documents) / number
        sizes = np.load(recipe.corpus_dir / "train" / "bytes.npy")
        assert sizes[: budget.documents - 1].sum() < budget.source_bytes <= sizes[: budget.documents].sum()
        # What this run's seed reads: 7 steps of 256 tokens.
        tokens, epoch = 7 * 256, len(PackedSequences(drawn, 64, 4)) * 64
        assert epoch == tokens
        read = documents_read(drawn, tokens, epoch)
        assert drawn.document_ends[read - 2] < tokens <= drawn.document_ends[read - 1]
        took[condition] = (budget.documents, budget.source_bytes, read, source_bytes(recipe, drawn, tokens, epoch))
    assert all(base < mul for base, mul in zip(took["baseline"], took["mul_tokens"], strict=True))


def test_a_document_is_held_out_once_and_its_copies_train_together(prepared: dict[str, Recipe]) -> None:
    recipe = prepared["baseline"]
    texts: dict[str, list[str]] = {}
    for split in ("train", "validation"):
        for file in (recipe.documents_dir / split).glob("*.jsonl"):
            for row in map(json.loads, file.read_text().splitlines()):
                texts.setdefault(row["text"], []).append(f"{split} {row['id']}")
    copies = [ids for ids in texts.values() if len(ids) > 1 and "/" in ids[0] and " book/" in ids[0]]
    assert copies
    for ids in copies:
        assert {one.split()[0] for one in ids} == {"train"}
        assert [one.partition(AGAIN)[2] for one in sorted(ids, key=len)][:2] == ["", "2"]


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
    with pytest.raises(
        RecipeError, match=r"corpus\.sources\.book: [\d,]+ bytes of text in 2 epochs, .* max_epochs: \d+"
    ):
        prepare_data(recipe)
    assert not recipe.documents_dir.exists()


def test_a_budget_above_the_documents_is_refused(prepared: dict[str, Recipe]) -> None:
    recipe = recipe_of(prepared["baseline"].documents_dir.parents[2], "baseline", "corpus.num_tokens=1e6")
    with pytest.raises(RecipeError, match=r"corpus\.num_tokens: 1,000,000, and the documents have [\d,]+ in baseline"):
        training_documents(recipe)


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
            "sft_stages.0={name: s, max_items: 4, sources: [{name: a, kind: file, path: a, weight: 1, max_epochs: 2}]}",
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
    whole = report.budget.documents - (report.budget.documents_truncated > 0)
    assert sum(lengths[:whole]) <= budget <= sum(lengths[: report.budget.documents])
    assert report.budget.documents + round(report.budget.documents_dropped * len(lengths)) == len(lengths)
