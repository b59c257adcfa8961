"""How much text and how many tokens a corpus is said to have, against what it has; and how often it may be read."""

from pathlib import Path

import pytest

from domain_tokens.corpora.sizes import Size, check_epochs, estimate_bytes, estimate_size, pretraining_tokens
from domain_tokens.corpora.sources import read_documents
from domain_tokens.recipe import Corpus, RecipeError, Source, load_recipe


def test_generated_text_is_estimated_within_a_tenth(tokenizers) -> None:
    source = Source(name="s", kind="synthetic", what="text", max_items=2000)
    texts = [text for _, text, _ in read_documents(source, 0, 0.0, 0, 1)]
    num_bytes = sum(len(text.encode()) for text in texts)
    num_tokens = sum(len(ids) + 1 for ids in tokenizers["baseline"](texts)["input_ids"])
    assert num_bytes > 50_000
    estimated = estimate_size(Corpus(sources=[source]))
    assert estimated.num_bytes == estimate_bytes(Corpus(sources=[source])) == pytest.approx(num_bytes, rel=0.1)
    assert estimated.num_tokens == pytest.approx(num_tokens, rel=0.1)


def test_files_count_as_they_are_and_the_hub_by_its_limit(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x" * 1000)
    file = Source(name="f", kind="file", path=str(tmp_path))
    assert estimate_size(Corpus(sources=[file])) == Size(1000, 126)  # 125 of eight letters, and the end
    assert estimate_size(Corpus(sources=[file]), "bytes") == Size(1000, 1001)
    limited = Source(name="l", kind="file", path=str(tmp_path), max_tokens=10)
    hub = Source(name="h", kind="hub", path="owner/name", max_tokens=1e6)
    estimated = estimate_size(Corpus(sources=[limited, hub]))
    assert estimated.num_bytes == 50 + 5e6
    assert 1.1e6 < estimated.num_tokens < 1.2e6  # more than it asks for: the steps must not run out of text


def test_what_is_not_known_is_not_guessed(tmp_path: Path) -> None:
    assert estimate_size(Corpus(sources=[Source(name="h", kind="hub", path="owner/name")])) is None
    assert estimate_size(Corpus(sources=[Source(name="f", kind="file", path=str(tmp_path / "none.txt"))])) is None
    (tmp_path / "empty.txt").write_text("")
    assert estimate_size(Corpus(sources=[Source(name="e", kind="file", path=str(tmp_path / "empty.txt"))])) is None
    assert estimate_size(Corpus()) is None


def test_more_epochs_than_the_recipe_says_are_refused_with_the_figures() -> None:
    arguments = ["recipes/mul_tokens.yaml", "recipes/scales/demo.yaml", "pretrain.max_steps=10"]
    recipe = load_recipe(arguments)
    assert pretraining_tokens(recipe) == 10 * 512
    check_epochs(recipe, 5120, 5120)
    check_epochs(recipe, 5500, 5120)  # 10 whole steps
    with pytest.raises(RecipeError) as caught:
        check_epochs(recipe, 5119, 5120)
    for part in ("corpus.epochs", "reads 5,120 tokens", "have 5,119 in mul_tokens: 1.11 epochs", "at most 1;"):
        assert part in str(caught.value)
    twice = load_recipe([*arguments, "corpus.epochs=2"])
    check_epochs(twice, 2560, 5120)
    with pytest.raises(RecipeError, match=r"2\.50 epochs; expected at most 2;"):
        check_epochs(twice, 2559, 5120)


@pytest.mark.parametrize("scale", [[], ["recipes/scales/demo.yaml"]])
def test_the_shipped_recipes_have_enough_text_for_one_epoch(scale: list[str]) -> None:
    recipe = load_recipe(["recipes/mul_tokens.yaml", *scale])
    estimated = estimate_size(recipe.corpus)
    # Facts make the demo's text a quarter shorter, and the web's hardly.
    shorter = 0.75 if scale else 0.97
    check_epochs(
        recipe,
        int(estimated.num_tokens * (1 - recipe.corpus.validation_fraction) * shorter),
        pretraining_tokens(recipe),
    )
