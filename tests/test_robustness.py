"""Variations of one contrast: what each changes, what it shares with the headline, and what is read and written."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from analysis.simulated import DECLARED, write_experiment
from omegaconf import OmegaConf
from tiny import quick_load

from domain_tokens.analysis.compare import compare
from domain_tokens.analysis.results_model import Endpoint
from domain_tokens.analysis.specification.budget_curves import budget_curves
from domain_tokens.experiment import robustness as module
from domain_tokens.experiment import steps
from domain_tokens.experiment.robustness import (
    HEADLINE,
    Robustness,
    check_page,
    load_robustness,
    plan,
    read_curve,
    run_robustness,
    write_curve,
)
from domain_tokens.experiment.run import Options
from domain_tokens.experiment.sharing import STAGES, changed_keys, first_own_stage, link, link_stages
from domain_tokens.experiment.steps import Step
from domain_tokens.experiment.tasks import Task
from domain_tokens.recipe import Recipe, RecipeError
from domain_tokens.recipe.loading import load_prereg
from domain_tokens.runs.results import Condition

SHIPPED = Path("recipes/robustness.yaml")
PAGE = "# Notes\n\n<!-- experiment robustness -->\n\nold\n\n<!-- end of robustness -->\n"


@pytest.fixture(scope="module")
def shipped() -> tuple[Robustness, dict[str, Recipe]]:
    """The shipped declaration, and of every variation the condition that is compared with the reference."""
    robustness = load_robustness(SHIPPED)
    names = [HEADLINE, *robustness.variations]
    return robustness, {name: quick_load(robustness.experiment(name).arguments()[-1]) for name in names}


def named_keys(robustness: Robustness, name: str) -> list[str]:
    """Return the dotted keys that a variation's overrides and overlays name."""
    one = robustness.variations[name]
    keys = [override.partition("=")[0] for override in one.overrides]
    return keys + [str(key) for overlay in one.overlays for key in OmegaConf.load(overlay)]


def test_every_variation_changes_what_it_names_in_both_conditions_alike(
    shipped: tuple[Robustness, dict[str, Recipe]],
) -> None:
    robustness, recipes = shipped
    assert len(recipes) > 12
    varied = [name for name, one in robustness.variations.items() if not one.recipes]
    assert len(varied) > 8
    for name in varied:
        (first, *settings), (second, *others) = robustness.experiment(name).arguments()
        assert [first, second] == robustness.recipes
        assert settings == others, name  # whatever differs from the headline does so in both conditions
        changed, named = changed_keys(recipes[HEADLINE], recipes[name]), named_keys(robustness, name)
        assert changed, name
        assert all(any(f"{key}.".startswith(f"{one}.") for one in named) for key in changed), (name, changed)
        assert all(any(f"{key}.".startswith(f"{one}.") for key in changed) for one in named), (name, named)


def test_another_condition_changes_its_tokenizer_or_budget_alone(
    shipped: tuple[Robustness, dict[str, Recipe]],
) -> None:
    robustness, recipes = shipped
    others = {name: one for name, one in robustness.variations.items() if one.recipes}
    assert {"strict", "equal_text", "equal_flops"} <= others.keys()
    for name, one in others.items():
        assert set(one.recipes[:-1]) <= set(robustness.recipes)
        assert one.recipes[0] == robustness.recipes[0]
        assert not one.overrides
        keys = {key.partition(".")[0] for key in changed_keys(recipes[HEADLINE], recipes[name])}
        assert keys in ({"condition", "tokenizer"}, {"condition", "budget"}), name


def test_the_declaration_names_every_variation_and_tests_what_the_assay_tests(
    shipped: tuple[Robustness, dict[str, Recipe]],
) -> None:
    robustness, recipes = shipped
    path = recipes[HEADLINE].prereg
    assert path is not None
    declared, assay = load_prereg(Path(path)), load_prereg(Path("recipes/scales/assay_prereg.yaml"))
    assert list(declared.other_runs) == list(robustness.variations)
    assert {one.kind for one in declared.other_runs.values()} == {"robustness"}
    assert [one.why for one in declared.other_runs.values()] == [one.words for one in robustness.variations.values()]
    assert declared.endpoints == assay.endpoints[:1]
    for key in ("alpha", "power", "smallest_effect", "seeds", "stopping_rule", "exclusions", "tasks_with_exclusions"):
        assert getattr(declared, key) == getattr(assay, key), key
    assert declared.seeds == robustness.seeds
    assert declared.contrasts == {}
    for name, recipe in recipes.items():
        assert recipe.prereg == (path if name == HEADLINE else None)
        assert recipe.experiment_dir == Path(robustness.output_dir) / name


def test_the_shipped_page_has_a_place_for_the_curve(shipped: tuple[Robustness, dict[str, Recipe]]) -> None:
    check_page(shipped[0])
    with pytest.raises(RecipeError, match="expected the lines '<!-- experiment robustness -->'"):
        check_page(replace(shipped[0], page="README.md"))
    with pytest.raises(RecipeError, match=r"page: none\.md: no such file"):
        check_page(replace(shipped[0], page="none.md"))


def test_stages_before_the_first_that_reads_a_setting_are_shared(
    shipped: tuple[Robustness, dict[str, Recipe]],
) -> None:
    made = shipped[1][HEADLINE]
    changes = {
        "prepare_data": [replace(made, corpus=replace(made.corpus, seed=1)), replace(made, seed_offset=1)],
        "pretrain": [
            replace(made, corpus=replace(made.corpus, epochs=2)),
            replace(made, model={**made.model, "n_embd": 64}),
            replace(made, budget=replace(made.budget, pretrain_tokens_per_step=1024)),
        ],
        "sft": [
            replace(made, sft={**made.sft, "learning_rate": 1e-4}),
            replace(made, sft_stages=[replace(made.sft_stages[0], validation_items=3)]),
            replace(made, budget=replace(made.budget, sft_loss="example")),
        ],
        "grpo": [
            replace(made, grpo={**made.grpo, "loss_type": "dr_grpo"}),
            replace(made, rewards=replace(made.rewards, brevity=1.0)),
            replace(made, budget=replace(made.budget, grpo_completions_per_step=32)),
        ],
        "eval": [replace(made, evaluation=replace(made.evaluation, max_samples=3))],
    }
    assert tuple(changes) == STAGES
    for stage, recipes in changes.items():
        assert {first_own_stage(made, recipe) for recipe in recipes} == {STAGES.index(stage)}, stage
    renamed = replace(made, experiment="other", output_dir="elsewhere", prereg=None)
    assert first_own_stage(made, renamed) == len(STAGES)
    assert first_own_stage(None, renamed) == 0


def test_links_lead_to_what_is_shared_and_to_nothing_else(
    shipped: tuple[Robustness, dict[str, Recipe]], tmp_path: Path
) -> None:
    made = replace(shipped[1][HEADLINE], output_dir=str(tmp_path))
    varied, whole = (replace(made, experiment=name) for name in ("varied", "whole"))
    link_stages(made, varied, STAGES.index("sft"), [0, 3])
    links = {path.relative_to(tmp_path): path.readlink() for path in tmp_path.rglob("*") if path.is_symlink()}
    shared = ("tokenizer", "corpus_0", "seed_0/pretrain_final", "seed_3/pretrain_final")
    assert links == {
        Path("varied/exp_mul_tokens") / name: tmp_path / "headline/exp_mul_tokens" / name for name in shared
    }
    link_stages(made, whole, len(STAGES), [0])
    assert whole.condition_dir.readlink() == made.condition_dir
    (tmp_path / "own").mkdir()
    link(tmp_path / "headline", tmp_path / "own")
    assert not (tmp_path / "own").is_symlink()


# What is run and read, with the stages' processes replaced.


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Robustness:
    """The shipped declaration with three of its variations and a folder and a page of its own."""
    for place in (module, steps):
        monkeypatch.setattr(place, "load_recipe", quick_load)
    robustness = load_robustness(SHIPPED)
    (tmp_path / "notes.md").write_text(PAGE, encoding="utf-8")
    kept = {name: robustness.variations[name] for name in ("grpo_dr", "strict", "sft_half", "sft_x2")}
    return replace(
        robustness, output_dir=str(tmp_path / "out"), page=str(tmp_path / "notes.md"),
        figure=str(tmp_path / "pictures" / "curve.png"), variations=kept,
    )  # fmt: skip


def test_the_headline_is_run_first_and_each_variation_runs_its_own_stages(
    small: Robustness, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    done: set[str] = set()

    @contextmanager
    def running(*_: Any) -> Iterator[tuple[Callable[[Task], Any], int]]:
        yield start, 1

    def start(task: Task) -> Any:
        started.append(task.name)
        done.add(task.name)
        return SimpleNamespace(poll=lambda: 0, wait=lambda timeout=None: 0, signal_group=lambda number: None)

    def is_complete(step: Step) -> bool:
        recipe = step.recipe
        place = recipe.run_dir / f"{step.stage}_final"
        name = f"{recipe.experiment_dir.name}: {recipe.condition}, seed {recipe.seed}: {step.stage}"
        shared = recipe.tokenizer_dir if step.stage == "prepare_data" else place
        return name in done or shared.is_symlink()

    monkeypatch.setattr(module, "run_experiment", lambda experiment, *_: started.append(str(experiment.overrides[-1])))
    monkeypatch.setattr(module, "running_stages", running)
    monkeypatch.setattr(Step, "is_complete", is_complete)
    small.seeds = [0, 1]
    chosen = plan(small, ["strict", "grpo_dr"])
    assert [one.name for one in chosen] == [HEADLINE, "grpo_dr", "strict"]  # in the order of the declaration
    run_robustness(small, chosen, Options(), lambda event: None)
    first, *others = started
    assert first == f"experiment={HEADLINE}"
    assert sorted(others[:8]) == sorted(
        f"grpo_dr: {condition}, seed {seed}: {stage}"
        for condition in ("baseline", "mul_tokens") for seed in (0, 1) for stage in ("grpo", "eval")
    )  # fmt: skip
    assert sorted(others[8:]) == sorted(
        f"strict: mul_tokens_strict, seed {seed}: {stage}" for seed in (0, 1) for stage in STAGES
    )
    assert (Path(small.output_dir) / "strict" / "exp_baseline").is_symlink()
    started.clear()
    run_robustness(small, chosen, Options(), lambda event: None)
    assert started == [f"experiment={HEADLINE}"]  # everything else is complete


@pytest.fixture
def results(small: Robustness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Robustness:
    """Simulated results of the headline and of all variations but one; one of them has the opposite sign."""
    declared = {key: value for key, value in DECLARED.items() if key not in ("contrasts", "main")}
    out = Path(small.output_dir)
    effects = {HEADLINE: 8, "grpo_dr": 6, "strict": -8, "sft_x2": 2}
    for name, effect in effects.items():
        other = "mul_tokens_strict" if name == "strict" else "mul_tokens"
        right = np.zeros((3, 30), dtype=bool)
        right[:, :12] = True
        changed = right.copy()
        changed[:, 12 : 12 + max(effect, 0)] = True
        changed[:, 12 - max(-effect, 0) : 12] = False
        changed[2, 29] = True
        write_experiment(tmp_path / name, {"baseline": right, other: changed}, declared)
        shutil.move(tmp_path / name / "experiment", out / name)
    compare(out / HEADLINE / "exp_baseline", out / HEADLINE / "exp_mul_tokens", out / HEADLINE, plots=False)
    monkeypatch.setattr(Step, "is_complete", lambda step: step.recipe.run_dir.is_dir())
    return small


def test_the_curve_is_read_from_what_is_complete(results: Robustness) -> None:
    curve = read_curve(results, plan(results, []))
    assert [one.name for one in curve.specifications] == ["strict", "sft_x2", "grpo_dr", HEADLINE]
    assert curve.not_run == ("sft_half",)
    assert (curve.agreement.num_variations, curve.agreement.same_sign) == (3, 2)
    assert curve.main.outcome != curve.specifications[0].outcome
    assert curve.specifications[0].settings["condition"] == "mul_tokens_strict"
    assert curve.main.settings == results.settings
    results.seeds = [0, 1]
    assert read_curve(results, plan(results, [])).seeds == (0, 1)


def test_the_curve_is_written_and_goes_into_the_page_only_if_asked(results: Robustness) -> None:
    curve = read_curve(results, plan(results, []))
    page = Path(results.page)
    written = write_curve(results, curve, with_page=False)
    assert {path.suffix for path in written} == {".json", ".md", ".png", ".svg"}
    assert all(path.stat().st_size for path in written)
    assert page.read_text(encoding="utf-8") == PAGE
    assert page in write_curve(results, curve, with_page=True)
    text = page.read_text(encoding="utf-8")
    assert "](pictures/curve.png)" in text
    assert "Of 3 variations, 2 agree" in text
    assert Path(results.figure).read_bytes().startswith(b"\x89PNG")
    assert "| fine-tuning | mul_tokens | 67.78% | 47.78% |" in text


def test_multiples_of_a_setting_make_a_budget_curve(results: Robustness, tmp_path: Path) -> None:
    made = Path(results.output_dir)
    shutil.copytree(made / "grpo_dr", made / "sft_half")
    curve = read_curve(results, plan(results, []))
    (found,) = budget_curves(curve)
    assert (found.setting, found.multiples) == ("fine-tuning", (0.5, 1.0, 2.0))
    means = {name: [round(float(np.mean(seeds)), 3) for seeds in values] for name, values in found.values.items()}
    assert means == {"baseline": [0.4, 0.4, 0.4], "mul_tokens": [0.611, 0.678, 0.478]}  # 6, 8 and 2 of 30 more
    write_curve(results, curve, with_page=True)
    text = Path(results.page).read_text(encoding="utf-8")
    assert "| fine-tuning | mul_tokens | 61.11% | 67.78% | 47.78% |" in text
    assert "](pictures/curve_budgets.png)" in text
    assert (tmp_path / "pictures" / "curve_budgets.png").stat().st_size > 1000


def test_the_curve_has_the_floor_of_every_condition_that_has_one(
    results: Robustness, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = plan(results, [])
    assert all(one.floors == {} for one in read_curve(results, plans).specifications), "each question is a problem"

    def floors_of_one(condition: Condition, endpoint: Endpoint) -> tuple[float, ...] | None:
        assert endpoint.model == "grpo_final"
        return None if condition.name == "baseline" else tuple(0.1 * seed for seed in condition.seeds)

    monkeypatch.setattr("domain_tokens.experiment.robustness.floors_at", floors_of_one)
    for one in read_curve(results, plans).specifications:
        assert one.floors.keys() == one.values.keys() - {"baseline"}
        assert all(len(seeds) == len(results.seeds) for seeds in one.floors.values())


def test_without_a_headline_there_is_no_curve(small: Robustness) -> None:
    with pytest.raises(RecipeError, match="run the headline first"):
        read_curve(small, plan(small, []))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recipes": ["recipes/baseline.yaml"]}, "recipes: expected two conditions"),
        ({"seeds": []}, "seeds: empty"),
        ({"variations": {HEADLINE: {"words": "a", "settings": {"width": "1"}}}}, "the headline's name"),
        ({"variations": {"a": {"words": "a", "settings": {"depth": "1"}}}}, "'depth' is not among the headline's"),
        ({"variations": {"a": {"words": "a", "settings": {"width": "128"}}}}, "a value that is not the headline's"),
    ],
)
def test_a_declaration_that_does_not_fit_is_an_error(change: dict[str, object], message: str, tmp_path: Path) -> None:
    values = OmegaConf.to_container(OmegaConf.load(SHIPPED))
    assert isinstance(values, dict)
    file = tmp_path / "variations.yaml"
    OmegaConf.save(OmegaConf.create({**values, **change}), file)
    with pytest.raises(RecipeError, match=message):
        load_robustness(file)


def test_an_unknown_variation_is_an_error(small: Robustness) -> None:
    with pytest.raises(RecipeError, match="no variation 'nothing'; expected one of grpo_dr, strict, sft_half, sft_x2"):
        plan(small, ["nothing"])
