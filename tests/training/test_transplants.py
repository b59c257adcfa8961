"""Stages that start with the model of another condition: real ones, on a model so small that they take seconds."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from real_stages import run_here, small_recipe
from tiny import run_inside, tiny_arguments

from domain_tokens.planning.preview import preview
from domain_tokens.recipe import Recipe, RecipeError
from domain_tokens.runs.checkpoints.saved_models import find_saved_models
from domain_tokens.runs.files import link_folder, sha256_weights
from domain_tokens.runs.layout import stage_paths
from domain_tokens.runs.records import Manifest, StartRecord, read_record
from domain_tokens.tokenization.contract import tokenizer_sha256
from domain_tokens.training.inputs import find_predecessor

CROSSED = ("condition=crossed", "start_from.condition=baseline", "prereg=null")


def crossed_recipe(output_dir: Path, *overrides: str) -> Recipe:
    """Return a run that is fine-tuned as `mul_tokens` from the pretrained model of `baseline`."""
    return small_recipe(output_dir, "mul_tokens", *CROSSED, *overrides)


def manifest(folder: Path) -> Manifest:
    return read_record(folder / "manifest.json", Manifest)


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


@pytest.fixture
def ready(trained: Path, tmp_path: Path) -> Path:
    """Both conditions, fine-tuned, and a tokenizer for the crossed run; returns the output folder."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    recipe, own = crossed_recipe(tmp_path), small_recipe(tmp_path, "mul_tokens")
    link_folder(own.tokenizer_dir, recipe.tokenizer_dir)
    link_folder(own.corpus_dir, recipe.corpus_dir)
    return tmp_path


def test_fine_tuning_starts_with_the_other_model_and_the_runs_own_tokenizer(ready: Path) -> None:
    recipe, begun, own = crossed_recipe(ready), small_recipe(ready, "baseline"), small_recipe(ready, "mul_tokens")
    source = begun.run_dir / "pretrain_final"
    run_here("sft", recipe)
    final, whole = manifest(recipe.run_dir / "sft_final"), manifest(own.run_dir / "sft_final")
    assert final.weights_sha256 not in (None, whole.weights_sha256, manifest(source).weights_sha256)
    assert not (recipe.run_dir / "pretrain_final").exists()

    assert final.start == StartRecord(
        condition="baseline",
        folder="exp_baseline/seed_0/pretrain_final",
        weights_sha256=sha256_weights(source),
        tokenizer_sha256=tokenizer_sha256(begun.tokenizer_dir),
    )
    assert whole.start is None
    assert final.inputs["weights"] == {"pretrain_final": final.start.weights_sha256}
    assert final.ledger[0].initial_weights_sha256 == final.start.weights_sha256
    assert final.matched["settings"] == {"start_from": {"condition": "baseline", "model": "pretrain_final"}}

    # the tokenizer, and so the examples in tokens, are those of the condition that fine-tunes
    assert tokenizer_sha256(recipe.run_dir / "sft_final") == tokenizer_sha256(own.tokenizer_dir)
    assert tokenizer_sha256(begun.tokenizer_dir) != tokenizer_sha256(own.tokenizer_dir)
    ours, theirs = (one.ledger[0].as_json() for one in (final, whole))
    assert ours["answer_facts"] > 0
    kept = ours.keys() - {"initial_weights_sha256", "wall_time_s"}
    assert {key: ours[key] for key in kept} == {key: theirs[key] for key in kept}

    before = (recipe.run_dir / "sft_final/manifest.json").read_bytes()
    run_here("sft", recipe)  # complete, skipped
    assert (recipe.run_dir / "sft_final/manifest.json").read_bytes() == before
    (saved,) = find_saved_models(recipe)
    assert (saved.stage, saved.stage_number) == ("sft_drills", 1)


def test_grpo_alone_starts_with_the_other_fine_tuned_model(ready: Path) -> None:
    recipe = crossed_recipe(ready, "start_from.model=sft_final")
    with pytest.raises(RecipeError, match=r"starts with sft_final of baseline and has no stage sft_drills.*grpo"):
        run_here("sft", recipe)
    with pytest.raises(RecipeError, match="has no stage pretrain"):
        run_here("pretrain", recipe)
    run_here("grpo", recipe)
    made = manifest(recipe.run_dir / "grpo_final")
    assert made.start is not None
    assert made.start.folder == "exp_baseline/seed_0/sft_final"
    assert made.ledger[0].initial_weights_sha256 == sha256_weights(ready / "tiny" / made.start.folder)


@pytest.mark.slow  # 5 CPU-seconds
def test_a_stage_between_continues_the_others_ledger(ready: Path) -> None:
    stage = "{{name: {0}, sources: [{{name: {0}, kind: synthetic, what: {0}, max_items: 16}}]}}"
    two = f"sft_stages=[{stage.format('drills')}, {stage.format('problems')}]"
    begun = small_recipe(ready, "baseline", two, "prereg=null")
    shutil.rmtree(begun.run_dir / "sft_final")
    shutil.rmtree(begun.run_dir / "checkpoints", ignore_errors=True)
    shutil.rmtree(small_recipe(ready, "mul_tokens").run_dir)
    run_here("sft", begun)
    recipe = crossed_recipe(ready, two, "start_from.model=sft_drills")
    run_here("sft", recipe)
    made = manifest(recipe.run_dir / "sft_final")
    assert [entry.stage for entry in made.ledger] == ["sft/drills", "sft/problems"]
    assert [entry.answer_facts for entry in made.ledger][0] == 0  # the other condition's
    assert made.ledger[1].initial_weights_sha256 == sha256_weights(begun.run_dir / "sft_drills")
    assert not (recipe.run_dir / "sft_drills").exists()


def test_another_model_in_its_place_is_noticed(ready: Path) -> None:
    recipe = crossed_recipe(ready)
    run_here("sft", recipe)
    source = small_recipe(ready, "baseline").run_dir / "pretrain_final/manifest.json"
    edit(source, lambda values: values["reported"].update(weights_sha256="f" * 64))
    with pytest.raises(RecipeError, match=r"start_from.weights_sha256: recorded '\w+', now 'f+'"):
        run_here("sft", recipe)
    verdict = preview([recipe], ["sft"])[0]
    assert verdict.action == "refuse"

    paths = stage_paths(recipe)["sft_drills"]  # as if it had been interrupted before the change
    inputs = manifest(paths.final).inputs
    shutil.rmtree(paths.final)
    (paths.work / "inputs.json").write_text(json.dumps(inputs))
    (paths.work / "checkpoint-1").mkdir()
    verdict = preview([recipe], ["sft"])[0]
    assert verdict.action == "refuse"
    assert "unfinished work that was begun with another recipe or other inputs" in verdict.reason
    assert "start_from.weights_sha256: recorded" in verdict.reason


def test_weights_that_are_not_the_manifests_are_refused(ready: Path) -> None:
    weights = small_recipe(ready, "baseline").run_dir / "pretrain_final/model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(RecipeError, match=r"pretrain_final: the weights do not match the manifest"):
        run_here("sft", crossed_recipe(ready))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["start_from.condition=nobody"], r"exp_nobody/seed_0/pretrain_final: missing or unfinished; .* nobody"),
        (["start_from.model=sft_final", "seed=1"], r"seed_1/sft_final: missing or unfinished; .*with seed 1"),
        (["seed_offset=7"], r"other seeds \(run 0, seed 0\) than this run \(0, seed 7\)"),
        (["seeds.sampling=5"], r"other seeds .*this run \(0, seed 0, seeds {'sampling': 5}\)"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(overrides: list[str], message: str, ready: Path) -> None:
    with pytest.raises(RecipeError, match=message):
        find_predecessor(
            crossed_recipe(ready, *overrides), "sft_drills" if "sft_final" not in str(overrides) else "grpo"
        )


def test_another_seeds_folder_or_conditions_is_refused(ready: Path) -> None:
    recipe = crossed_recipe(ready)
    assert find_predecessor(recipe, "sft_drills").folder.name == "pretrain_final"
    path = small_recipe(ready, "baseline").run_dir / "pretrain_final/manifest.json"
    edit(path, lambda values: values.update(seed=4))
    with pytest.raises(RecipeError, match=r"other seeds \(run 4"):
        find_predecessor(recipe, "sft_drills")
    edit(path, lambda values: values.update(seed=0, condition="mine"))
    with pytest.raises(RecipeError, match="the condition in its manifest: expected one of baseline, got 'mine'"):
        find_predecessor(recipe, "sft_drills")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("num_ids", 81, "the vocabulary of baseline is not that of crossed: the numbers of rows"),
        ("base", ["0" * 64, "1" * 64], "the base vocabularies differ"),
    ],
)
def test_another_vocabulary_is_refused(key: str, value: object, message: str, ready: Path) -> None:
    path = small_recipe(ready, "baseline").run_dir / "pretrain_final/tokenizer_config.json"

    def change(values: dict[str, Any]) -> None:
        if key == "base":
            values["base_vocabulary"] = value
        else:
            values["intervention"][key] = value

    edit(path, change)
    with pytest.raises(RecipeError, match=message):
        run_here("sft", crossed_recipe(ready))


def test_a_dry_run_says_with_which_model_a_run_starts(ready: Path) -> None:
    arguments = tiny_arguments(ready, "mul_tokens", *CROSSED)
    done = run_inside("scripts/run_sft.py", *arguments, "--dry-run")
    source = small_recipe(ready, "baseline").run_dir / "pretrain_final"
    weights = sha256_weights(source)[:12]
    said = f"crossed, seed 0: sft/drills starts with pretrain_final of baseline: {source} (weights {weights})"
    assert said in done.stdout
    shutil.rmtree(source)
    done = run_inside("scripts/run_sft.py", *arguments, "--dry-run")
    assert "(not trained yet)" in done.stdout
    assert "is missing; run scripts/run_pretrain.py of the condition baseline first" in done.stdout
