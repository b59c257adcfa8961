"""How a stage's script imports: without the search for garbage, which is back before the stage begins."""

import gc
from collections.abc import Iterator

import pytest

from domain_tokens.cli import stages
from domain_tokens.recipe import Recipe


@pytest.fixture
def frozen() -> Iterator[int]:
    """The number of objects that are left out of every search before a test; a test's own are put back after it."""
    yield gc.get_freeze_count()
    gc.unfreeze()


def test_imports_are_not_searched_and_the_stage_is(frozen: int, tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, bool, bool]] = []

    def stage(recipe: Recipe, allow_change: bool, profile: bool) -> None:
        seen.append((recipe.condition, gc.isenabled(), gc.get_freeze_count() > frozen))

    def import_stage(name: str) -> object:
        seen.append((name, gc.isenabled(), gc.get_freeze_count() > frozen))
        return stage

    monkeypatch.setattr(stages, "_import_stage", import_stage)
    monkeypatch.setattr("sys.argv", ["run_sft.py", *tiny("mul_tokens")])
    stages.run_stage("sft", "a script")
    assert seen == [("sft", False, False), ("mul_tokens", True, True)]


def test_a_failed_import_leaves_the_search_on(frozen: int, tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    def import_stage(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(stages, "_import_stage", import_stage)
    monkeypatch.setattr("sys.argv", ["run_sft.py", *tiny("mul_tokens")])
    with pytest.raises(ImportError):
        stages.run_stage("sft", "a script")
    assert gc.isenabled()
