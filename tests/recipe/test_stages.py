"""A stage of fine-tuning as a mixture of sources: their shares, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain_tokens.recipe import RecipeError, Source, load_recipe
from domain_tokens.recipe.sections.stages import SFTStage


def mixture(max_items: int | None, *weights: float | None, each: int | None = None) -> SFTStage:
    sources = [
        Source(name=f"s{n}", kind="file", path="x", weight=weight, max_items=each) for n, weight in enumerate(weights)
    ]
    return SFTStage("mixed", sources, max_items)


@pytest.mark.parametrize(
    ("max_items", "weights", "expected"),
    [
        (100, (1, 1), [50, 50]),
        (100, (2, 1, 1), [50, 25, 25]),
        (10, (1, 1, 1), [4, 3, 3]),
        (11, (1, 1, 1), [4, 4, 3]),
        (200_000, (0.7, 0.3), [140_000, 60_000]),
        (8, (1e308, 1e308), [4, 4]),
    ],
)
def test_shares(max_items: int, weights: tuple[float, ...], expected: list[int]) -> None:
    stage = mixture(max_items, *weights)
    stage.check("sft_stages.mixed")
    assert [source.max_items for source in stage.portions] == expected
    assert [source.max_items for source in stage.sources] == [None] * len(weights)


@given(st.integers(1, 10**7), st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=6))
def test_the_shares_add_up_and_are_less_than_one_off(max_items: int, weights: list[float]) -> None:
    counts = [source.max_items or 0 for source in mixture(max_items, *weights).portions]
    assert sum(counts) == max_items
    for count, weight in zip(counts, weights, strict=True):
        assert abs(count - max_items * weight / sum(weights)) < 1


def test_without_a_number_of_items_the_sources_say_how_many() -> None:
    stage = mixture(None, None, None, each=7)
    stage.check("sft_stages.mixed")
    assert [source.max_items for source in stage.portions] == [7, 7]


@pytest.mark.parametrize(
    ("stage", "complaint"),
    [
        (mixture(None, 1.0), "sft_stages.mixed.s0.weight: only in a stage whose max_items is set"),
        (mixture(100, 1.0, None), "sft_stages.mixed.s1.weight: missing"),
        (mixture(100, 1.0, 0.0), "sft_stages.mixed.s1.weight: expected a number above 0"),
        (mixture(100, 1.0, -1.0), "sft_stages.mixed.s1.weight: expected a number above 0"),
        (mixture(100, 1.0, each=5), "sft_stages.mixed.s0.max_items: follows from"),
        (mixture(0, 1.0), "sft_stages.mixed.max_items: expected a whole number of at least 1"),
        (mixture(10, 1000.0, 1.0), "sft_stages.mixed.s1.weight: too small for one example of 10"),
    ],
)
def test_a_mixture_that_is_none(stage: SFTStage, complaint: str) -> None:
    with pytest.raises(RecipeError) as error:
        stage.check("sft_stages.mixed")
    assert complaint in str(error.value)


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("corpus.sources.0.answers=final", "corpus.sources.synthetic-math.answers: it is not read here"),
        ("sft_stages.0.sources.0.text_key=body", "sft_stages.drills.sources.drills.text_key: it is not read here"),
        ("grpo_prompts.0.text_key=body", "text_key: it is not read here"),
        ("evaluation.data.gsm8k.split='train[:10]'", "split: expected the name of a split"),
        (
            "sft_stages.0.sources=[{name: a, kind: file, path: a.jsonl, messages_key: m, answer_key: b}]",
            "messages_key",
        ),
        ("sft_stages.0.sources=[{name: a, kind: file, path: a.jsonl, final_key: answer}]", "another column than"),
    ],
)
def test_keys_that_nobody_reads_are_refused(override: str, complaint: str) -> None:
    files = ["recipes/baseline.yaml", "recipes/scales/demo.yaml"]
    load_recipe(files)
    with pytest.raises(RecipeError) as error:
        load_recipe([*files, override])
    assert complaint in str(error.value)
