"""Runs without GRPO or without fine-tuning, and with several stages of it, through the real stages to the report."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from real_stages import run_here, small_recipe
from tiny import CONDITIONS, start_script, tiny_arguments

from domain_tokens.analysis.compare import compare
from domain_tokens.evaluation.evaluate import evaluate
from domain_tokens.recipe import Recipe, RecipeError


def stage(name: str) -> str:
    return f"{{name: {name}, sources: [{{name: {name}, kind: synthetic, what: {name}, max_items: 16}}]}}"


TWO_STAGES = f"sft_stages=[{stage('drills')}, {stage('problems')}]"
EVALUATION = (
    "evaluation.tasks=[gsm8k]", "evaluation.encoding_tasks=[]", "evaluation.ablation_tasks=[]",
    "evaluation.checkpoint_tasks=[]", "evaluation.sampling={tasks: []}",
    "evaluation.models=[all]", "evaluation.ending_prompts=6", "prereg=null",
)  # fmt: skip
NO_GRPO, NO_SFT = "grpo_prompts=[]", "sft_stages=[]"


@pytest.fixture
def pretrained(trained: Path, tmp_path: Path) -> Path:
    """Both conditions, prepared and pretrained; returns the output folder."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    for condition in CONDITIONS:
        run = small_recipe(tmp_path, condition).run_dir
        shutil.rmtree(run / "sft_final")
        shutil.rmtree(run / "checkpoints", ignore_errors=True)
    return tmp_path


def manifest(recipe: Recipe, folder: str) -> dict[str, Any]:
    return json.loads((recipe.run_dir / folder / "manifest.json").read_text())


@pytest.mark.slow  # 15 CPU-seconds beside what other tests share
def test_without_grpo_every_stage_of_fine_tuning_is_evaluated_and_reported(pretrained: Path) -> None:
    recipes = [small_recipe(pretrained, one, TWO_STAGES, NO_GRPO, *EVALUATION) for one in CONDITIONS]
    models = ["pretrain_final", "sft_drills", "sft_final"]
    for recipe in recipes:
        assert recipe.evaluation.models == models
        with pytest.raises(RecipeError, match="grpo_prompts: empty, so this run has no GRPO"):
            run_here("grpo", recipe)
        run_here("sft", recipe)
        evaluate(recipe)
        assert [manifest(recipe, name)["inputs"]["weights"].keys() for name in models[1:]] == [
            {"pretrain_final"}, {"sft_drills"},
        ]  # fmt: skip
    for name in models[1:]:  # a folder and a manifest each, with the same prompts in both conditions
        ends = [manifest(recipe, name)["answer_ends"] for recipe in recipes]
        assert ends[0]["num_prompts"] == 6
        assert ends[0]["prompts_sha256"] == ends[1]["prompts_sha256"]
        assert all(0 <= one[key] <= 6 for one in ends for key in ("before", "after"))
    assert [entry["stage"] for entry in manifest(recipes[0], "sft_final")["ledger"]] == ["sft/drills", "sft/problems"]
    output = pretrained / "report"
    results = compare(*(recipe.condition_dir for recipe in recipes), output, plots=False)
    assert [(row.model, row.stage) for row in results.by_stage.rows] == [
        ("pretrain_final", "pretraining"), ("sft_drills", "SFT on drills"), ("sft_final", "SFT on problems"),
    ]  # fmt: skip
    assert [row.model for row in results.by_stage.answer_ends] == models[1:]
    assert results.primary_endpoint.model == "sft_final"
    page = (output / "report.html").read_text()
    assert "What did each stage change?" in page
    assert "What did GRPO change?" not in page


def test_without_fine_tuning_grpo_starts_from_the_pretrained_model(pretrained: Path) -> None:
    recipe = small_recipe(pretrained, "mul_tokens", NO_SFT, *EVALUATION)
    assert recipe.evaluation.models == ["pretrain_final", "grpo_final"]
    with pytest.raises(RecipeError, match="sft_stages: empty, so this run has no fine-tuning"):
        run_here("sft", recipe)
    run_here("grpo", recipe)
    made = manifest(recipe, "grpo_final")
    assert made["inputs"]["weights"] == {
        "pretrain_final": manifest(recipe, "pretrain_final")["reported"]["weights_sha256"]
    }
    assert made["answer_ends"]["num_prompts"] == 4  # of four prompts


@pytest.mark.slow
@pytest.mark.parametrize("without", [[NO_GRPO], [NO_SFT], [NO_GRPO, NO_SFT]], ids=["grpo", "sft", "both"])
def test_the_runner_runs_what_there_is_and_reports_it(without: list[str], tmp_path: Path) -> None:
    last = "pretrain_final" if len(without) == 2 else {NO_GRPO: "sft_final", NO_SFT: "grpo_final"}[without[0]]
    declared = tmp_path / "prereg.yaml"
    declared.write_text(f"endpoints: [{{model: {last}, task: gsm8k}}]\nseeds: [0]\n")
    _, overlay, *overrides = tiny_arguments(tmp_path, "baseline", f"prereg={declared}", *without)
    command = [
        "scripts/run_experiment.py", "recipes/baseline.yaml", "recipes/mul_tokens.yaml", "--overlay", overlay,
        "--config-file", "accelerate_configs/cpu.yaml", "--set", *overrides,
    ]  # fmt: skip
    done = start_script(*command)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    results = json.loads((tmp_path / "tiny/results.json").read_text())
    assert results["primary_endpoint"]["model"] == last
    models = {path.name for path in (tmp_path / "tiny/exp_baseline/seed_0").glob("*_final")}
    assert models == {"pretrain_final", "sft_final", "grpo_final"} - {
        {NO_GRPO: "grpo_final", NO_SFT: "sft_final"}[one] for one in without
    }
    looks = json.loads((tmp_path / "tiny/looks.json").read_text())["looks"]
    assert len(looks[-1]["trained"]) == 2  # both runs count as trained to their last stage
    again = start_script(*command)
    assert again.returncode == 0
    assert "started" not in again.stdout
