"""SVAMP, ASDiv and MultiArith from their files to a declared endpoint, on samples that the project wrote itself.

`samples/` has the columns of the published files and none of their texts.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from domain_tokens.analysis.family import declared_family
from domain_tokens.analysis.measures.accuracy import result_rows
from domain_tokens.analysis.preregistration import read_preregistration
from domain_tokens.evaluation.evaluate import evaluate
from domain_tokens.evaluation.tasks import load_task
from domain_tokens.recipe import Recipe, Source, load_recipe
from domain_tokens.recipe.schema import Evaluation
from domain_tokens.runs.results import Pair, load_condition

SAMPLES = Path(__file__).parent / "samples"
TASKS = ("svamp", "asdiv", "multiarith")


def sources() -> dict[str, Source]:
    return {name: Source(name=f"own-{name}", kind="file", path=str(SAMPLES / f"{name}.jsonl")) for name in TASKS}


def rows(task: str) -> list[dict[str, Any]]:
    return load_task(task).read_rows(Recipe(evaluation=Evaluation(tasks=[task], data=sources())))


def test_what_is_read_of_the_samples() -> None:
    assert [(row["gold"], row["group"]) for row in rows("svamp")] == [
        ("56", "Multiplication"),
        ("5", "Addition"),
        ("24", "Subtraction"),
        ("7", "Common-Division"),
        ("5/2", "Common-Division"),  # misspelled in the row, as in one published row
    ]
    # Two answers are no single number: two numbers, and a ratio.
    assert [(row["id"], row["gold"]) for row in rows("asdiv")] == [("0", "24"), ("1", "7"), ("4", "1/3")]
    assert [row["gold"] for row in rows("multiarith")] == ["33", "11", "44"]
    assert rows("multiarith")[0]["question"].startswith("Tilda bakes")
    assert rows("svamp")[0]["question"] == "Mara packs 7 crates with 8 lemons in each How many lemons does she pack?"


def test_the_full_recipe_names_their_data() -> None:
    recipe = load_recipe(["recipes/baseline.yaml"])
    for task in (*TASKS, "gold_bits"):
        assert task in recipe.evaluation.tasks
        source = load_task(task).source(recipe)
        assert source.kind == "hub"
        assert source.split in ("test", "validation")


def test_the_demo_reads_nothing_from_the_hub() -> None:
    recipe = load_recipe(["recipes/baseline.yaml", "recipes/scales/demo.yaml"])
    kinds = {load_task(task).source(recipe).kind for task in recipe.evaluation.tasks if load_task(task).data}
    assert kinds == {"synthetic"}
    assert "gold_bits" in recipe.evaluation.tasks


@pytest.fixture(scope="module")
def conditions(tmp_path_factory: pytest.TempPathFactory, make_run: Callable[..., Recipe]) -> dict[str, Path]:
    """Both conditions with an untrained model, evaluated on the samples, with SVAMP as the declared endpoint."""
    root, found = tmp_path_factory.mktemp("endpoints"), {}
    endpoints = [{"model": "sft_final", "task": "svamp", "metric": "accuracy", "group": "Multiplication"}]
    endpoints += [{"model": "sft_final", "task": task, "metric": "accuracy", "group": None} for task in TASKS]
    declared = {"endpoints": endpoints, "alpha": 0.05, "power": 0.8, "equivalence_margin": 0.01, "seeds": [0]}
    declared |= {"exclusions": [], "contrasts": {}}
    for condition in ("baseline", "mul_tokens"):
        recipe = make_run(root, condition, list(TASKS), data=sources(), max_new_tokens=4)
        path = recipe.run_dir / "sft_final" / "manifest.json"
        manifest = json.loads(path.read_text()) | {"matched": {}, "reported": {}}
        manifest["prereg"] = {"file": "prereg.yaml", "sha256": "0" * 64, "declared": declared}
        path.write_text(json.dumps(manifest))
        evaluate(recipe)
        found[condition] = recipe.condition_dir
    return found


def test_results_load_as_every_other_task(conditions: dict[str, Path]) -> None:
    condition = load_condition(conditions["mul_tokens"])
    evaluated = condition.first_run.plain()
    assert {task: len(evaluated["sft_final", task].items) for task in TASKS} == {
        "svamp": 5,
        "asdiv": 3,
        "multiarith": 3,
    }
    assert evaluated["sft_final", "svamp"].groups() == [
        "all", "Addition", "Common-Division", "Multiplication", "Subtraction",
    ]  # fmt: skip
    assert evaluated["sft_final", "svamp"].unit("accuracy") is None
    assert evaluated["sft_final", "asdiv"].result.source == "own-asdiv"


def test_one_is_the_primary_endpoint_of_a_comparison(conditions: dict[str, Path]) -> None:
    pair = Pair(load_condition(conditions["baseline"]), load_condition(conditions["mul_tokens"]))
    declared = read_preregistration(pair)
    rows = result_rows(pair, declared, declared_family([pair.reference, pair.other], declared))
    found = [(row.task, row.group, row.role, row.num_items) for row in rows if row.role != "exploratory"]
    assert found == [
        ("asdiv", "all", "declared", 3),
        ("multiarith", "all", "declared", 3),
        ("svamp", "all", "declared", 5),
        ("svamp", "Multiplication", "primary", 1),
    ]
    assert not [one for one in declared.departures if "was not evaluated" in one]
