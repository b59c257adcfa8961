"""Settings outside the tokenizer that a run declares, and the trainer arguments that follow from finished runs.

`runs.ledger.SETTINGS_MAY_DIFFER` says what each of them lets differ between two conditions. Imports none of the
training libraries.
"""

from dataclasses import asdict
from pathlib import Path

from pydantic import JsonValue

from domain_tokens.recipe import Recipe, RecipeError
from domain_tokens.recipe.arguments import MICRO_BATCH
from domain_tokens.runs.files import sha256_json
from domain_tokens.runs.layout import MANIFEST, MODELS, VERIFIER, stage_paths
from domain_tokens.runs.ledger import LEARNING_RATE_SEARCH, MEASURES
from domain_tokens.runs.micro_batches import found_micro_batches
from domain_tokens.runs.records import LearningRates, LearningRateSearch, LedgerEntry, Manifest, read_record


def declared_settings(recipe: Recipe, stage: str) -> dict[str, JsonValue]:
    """Return the settings that a stage records under `matched.settings`: only those that are not the usual ones.

    Args:
        recipe (`Recipe`): the run.
        stage (`str`): a name from `stage_paths`, or `verifier`, which has none of these settings.

    Raises:
        RecipeError: if the file of tuned learning rates is missing or damaged.
    """
    settings: dict[str, JsonValue] = {}
    if stage == VERIFIER:
        return settings
    if stage == "pretrain" and recipe.fact_rows != "normal":
        settings["fact_rows"] = recipe.fact_rows
    if stage != "grpo" and recipe.number_token_loss:
        settings["number_token_loss"] = recipe.number_token_loss
    if (lora := recipe.lora_of(stage)) is not None and not lora.train_fact_rows:
        settings["frozen_fact_rows"] = True
    if recipe.budget.equal_to is not None:
        settings["equal_to"] = asdict(recipe.budget.equal_to)
    if recipe.start_from is not None:
        settings["start_from"] = asdict(recipe.start_from)
    if (search := _search(recipe, stage)) is not None:
        settings[LEARNING_RATE_SEARCH] = {
            "sha256": sha256_json(search.as_json()),
            "values": list(search.values),
            "seed": search.seed,
            "budget": dict(search.budget),
        }
    return settings


def check_learning_rates(recipe: Recipe) -> None:
    """Check that the file of tuned learning rates exists and was searched for a recipe's condition, if it names one.

    Raises:
        RecipeError: saying what does not fit.
    """
    for stage in stage_paths(recipe):
        if (search := _search(recipe, stage)) is not None:
            _tuned(recipe, stage, search)


def derived_arguments(recipe: Recipe, stage: str) -> dict[str, int | float]:
    """Return the trainer arguments that follow from runs and tries: `max_steps`, `learning_rate`, the micro batch.

    A micro batch that is `auto` and was not found yet is left out.

    Args:
        recipe (`Recipe`): the run.
        stage (`str`): a name from `stage_paths`, or `verifier`, for which none follow.

    Raises:
        RecipeError: if a run or a record from which one follows is missing or does not fit.
    """
    arguments: dict[str, int | float] = {}
    if stage == VERIFIER:
        return arguments
    if stage in (found := found_micro_batches(recipe)):
        arguments[MICRO_BATCH] = found[stage]
    if recipe.budget.equal_to is not None:
        arguments["max_steps"] = _equal_steps(recipe, stage)
    if (search := _search(recipe, stage)) is not None:
        arguments["learning_rate"] = _tuned(recipe, stage, search)
    return arguments


def _equal_steps(recipe: Recipe, stage: str) -> int:
    """Return the steps with which a stage consumes what it consumed in the reference, at the measured rate."""
    equal_to = recipe.budget.equal_to
    assert equal_to is not None
    reference, own = (_entry(recipe, name, stage) for name in (equal_to.reference, equal_to.measured_on))
    field = MEASURES[equal_to.measure]
    wanted, measured = getattr(reference, field), getattr(own, field)
    if not measured:
        raise RecipeError(f"budget.equal_to: {equal_to.measured_on} recorded no {field} in stage {own.stage}")
    return max(1, round(own.steps * wanted / measured))


def _entry(recipe: Recipe, condition: str, stage: str) -> LedgerEntry:
    """Return what another condition of the same experiment and seed consumed in a stage."""
    kind, _, name = stage.partition("_")
    run = recipe.run_dir_of(condition)
    path = run / next(model for model in MODELS if model.startswith(kind)) / MANIFEST
    if not path.is_file():
        raise RecipeError(
            f"budget.equal_to: {path.parent}: missing or incomplete; run all stages of {condition} with seed "
            f"{recipe.seed} in this experiment first"
        )
    manifest = read_record(path, Manifest)
    wanted = f"{kind}/{name}" if name else kind
    found = next((entry for entry in manifest.ledger if entry.stage == wanted), None)
    if found is None:
        raise RecipeError(f"budget.equal_to: {path}: has no stage {wanted} in its ledger; run {condition} again")
    return found


def _search(recipe: Recipe, stage: str) -> LearningRateSearch | None:
    """Return the search for a stage's learning rate; `None` if the recipe names none, or none for this stage."""
    if recipe.learning_rates is None:
        return None
    path = Path(recipe.learning_rates)
    if not path.is_file():
        raise RecipeError(f"learning_rates: {path}: no such file; make it with scripts/tune_learning_rate.py")
    return read_record(path, LearningRates).searches.get(stage.partition("_")[0])


def _tuned(recipe: Recipe, stage: str, search: LearningRateSearch) -> float:
    found = search.conditions.get(recipe.condition)
    if found is None:
        raise RecipeError(
            f"learning_rates: {recipe.learning_rates}: was searched for {', '.join(search.conditions)} and not for "
            f"{recipe.condition}; search for all conditions together with scripts/tune_learning_rate.py"
        )
    own = next((one.args for one in recipe.sft_stages if f"sft_{one.name}" == stage), {})
    if "learning_rate" in own:
        raise RecipeError(
            f"sft_stages.{stage.removeprefix('sft_')}.args.learning_rate: overruled by learning_rates; remove one"
        )
    return found.learning_rate
