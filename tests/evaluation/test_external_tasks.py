"""A task whose file lies outside the package: found, checked before anything runs, run, and made anew when edited."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from domain_tokens.analysis.matching import EVALUATION_FIELDS
from domain_tokens.evaluation.evaluate import evaluate
from domain_tokens.evaluation.modes import check_tasks, load_tasks
from domain_tokens.experiment.steps import Step
from domain_tokens.recipe import Recipe, RecipeError, SFTStage, Source, load_recipe, to_yaml
from domain_tokens.recipe.schema import Evaluation
from domain_tokens.runs.files import sha256_file

REPOSITORY = Path(__file__).parents[2]

DIVISION = '''"""The multiplication table asked backwards."""

from domain_tokens.evaluation.tasks._base import Row
from domain_tokens.evaluation.tasks._generative import GenerativeTask
from domain_tokens.recipe import Recipe
from domain_tokens.tokenization.facts import FACTS


class Division(GenerativeTask):
    """Questions such as `What is 54 / 6?`."""

    name = "division"

    def read_rows(self, recipe: Recipe) -> list[Row]:
        return [
            {"id": str(fact), "group": None, "question": f"What is {fact.product} / {fact.a}?", "gold": str(fact.b)}
            for fact in FACTS
        ]


TASK = Division()
'''


@pytest.fixture
def division(tmp_path: Path) -> Path:
    path = tmp_path / "my" / "division.py"
    path.parent.mkdir()
    path.write_text(DIVISION, encoding="utf-8")
    return path


def write_recipe(folder: Path, tasks: list[str], **evaluation: Any) -> Path:
    recipe = {
        "extends": os.path.relpath(REPOSITORY / "recipes" / "mul_tokens.yaml", folder),
        "evaluation": {
            "tasks": tasks,
            "ablation_tasks": [],
            "encoding_tasks": [],
            "checkpoint_tasks": [],
            "sampling": {"tasks": []},
        }
        | evaluation,
    }
    path = folder / "recipe.json"
    path.write_text(json.dumps(recipe), encoding="utf-8")
    return path


def test_a_task_is_run_in_every_mode_and_an_edit_makes_its_results_anew(
    tmp_path: Path,
    division: Path,
    make_run: Callable[..., Recipe],
    read_outputs: Callable[[Recipe, str], tuple[dict[str, Any], list[dict[str, Any]]]],
) -> None:
    recipe = make_run(
        tmp_path / "runs", "mul_tokens", ["arithmetic", str(division)], max_new_tokens=3, max_samples=4,
        ablation_tasks=["division"],
    )  # fmt: skip
    evaluate(recipe)
    results, items = read_outputs(recipe, "division")
    assert [item["question"] for item in items[:2]] == ["What is 1 / 1?", "What is 2 / 1?"]
    assert (results["task"], results["num_items"]) == ("division", 4)
    assert results["task_sha256"] == sha256_file(division)
    assert "task_sha256" not in read_outputs(recipe, "arithmetic")[0]
    assert read_outputs(recipe, "division.facts_exchanged")[0]["way"] == "facts_exchanged"
    manifest = json.loads((recipe.run_dir / "eval" / "manifest.json").read_text())
    assert manifest["inputs"]["tasks"] == {"division": sha256_file(division)}

    evaluate(recipe)
    assert read_outputs(recipe, "division")[0] == results  # kept, time stamps and all

    kept = read_outputs(recipe, "arithmetic")[0]
    division.write_text(DIVISION.replace("What is", "How much is"), encoding="utf-8")
    evaluate(recipe)
    assert read_outputs(recipe, "division")[1][0]["question"] == "How much is 1 / 1?"
    assert read_outputs(recipe, "division")[0]["task_sha256"] == sha256_file(division) != results["task_sha256"]
    assert read_outputs(recipe, "arithmetic")[0] == kept


def test_an_edit_of_equal_length_in_the_same_second_is_read(tmp_path: Path, division: Path) -> None:
    recipe = Recipe(evaluation=Evaluation(tasks=[str(division)]))
    times = division.stat()
    assert load_tasks(recipe)["division"].read_rows(recipe)[0]["question"].startswith("What")
    division.write_text(DIVISION.replace("What", "Wasn"), encoding="utf-8")
    os.utime(division, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert load_tasks(recipe)["division"].read_rows(recipe)[0]["question"].startswith("Wasn")


def test_two_conditions_must_have_been_given_the_same_file() -> None:
    assert "task_sha256" in EVALUATION_FIELDS


@pytest.mark.parametrize("script", ["run_eval.py", "eval_checkpoints.py"])
def test_the_experiment_does_not_skip_a_stage_whose_task_was_edited(
    tmp_path: Path, division: Path, script: str
) -> None:
    recipe = Recipe(experiment="test", condition="a", evaluation=Evaluation(tasks=[str(division)]))
    recipe.sft_stages, recipe.grpo_prompts = [SFTStage("drills")], [Source("drills", kind="synthetic", what="drills")]
    recipe.evaluation.models = recipe.evaluated_models()
    recipe.output_dir = str(tmp_path / "outputs")
    recipe.tokenizer = str(REPOSITORY / "recipes" / "interventions" / "mul_tokens.yaml")
    finished = {
        "stage": "any", "condition": "a", "seed": 0, "inputs": {}, "environment": {}, "wall_time_s": 1, "files": {},
        "reported": {"weights_sha256": "abc"},
    }  # fmt: skip
    finals = [recipe.run_dir / name for name in ("pretrain_final", "sft_final", "grpo_final")]
    for folder in (recipe.tokenizer_dir, recipe.documents_dir, *finals):
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(json.dumps(finished))
    folder = recipe.run_dir / "eval" / ("checkpoints" if script == "eval_checkpoints.py" else "")
    folder.mkdir(parents=True)
    inputs = {"weights": {"sft_final": "abc"}, "sources": [], "tasks": {"division": sha256_file(division)}}
    (folder / "manifest.json").write_text(json.dumps({"stage": "eval", "inputs": inputs, "files": ["items.jsonl"]}))
    (folder / "run_config.yaml").write_text(to_yaml(recipe))
    step = Step(script, recipe, (), False)
    assert not step.is_complete()  # a file of results is missing
    (folder / "items.jsonl").write_text("{}")
    assert step.is_complete()
    edited = f"{DIVISION}\n# edited\n"
    division.write_text(edited, encoding="utf-8")
    assert not step.is_complete()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nowhere_at_all", "cannot be imported: ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("TASK =", "cannot be imported: SyntaxError: invalid syntax"),
        ("1 / 0", "cannot be imported: ZeroDivisionError: division by zero"),
        ("", "expected `TASK`, an instance of a task's class"),
        (DIVISION.replace("Division()", "Division"), "expected `TASK`, an instance of a task's class"),
        (
            DIVISION.replace('name = "division"', 'name = "other"'),
            "name: expected 'division', as in the file name, got 'other'",
        ),
        (DIVISION.replace("read_rows", "rows"), "cannot be imported: TypeError: Can't instantiate abstract class"),
    ],
)
def test_a_file_that_is_no_task_is_refused_before_anything_runs(
    tmp_path: Path, division: Path, text: str, message: str
) -> None:
    division.write_text(text, encoding="utf-8")
    recipe = load_recipe([str(write_recipe(tmp_path, ["my/division.py"]))])
    with pytest.raises(RecipeError) as error:
        check_tasks(recipe)
    assert str(error.value).startswith(f"evaluation.tasks: {division}: ")
    assert message in str(error.value)


def test_a_path_is_relative_to_the_recipe_or_to_the_working_folder(
    tmp_path: Path, division: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    below = tmp_path / "recipes"
    below.mkdir()
    (below / "division.py").write_text(DIVISION.replace("What is", "Beside:"), encoding="utf-8")
    for task, found in (("division.py", "recipes/division.py"), ("my/division.py", "my/division.py")):
        path = write_recipe(below, ["arithmetic", task], checkpoint_tasks=["division"]).relative_to(tmp_path)
        recipe = load_recipe([str(path)])
        assert recipe.evaluation.task_names() == ["arithmetic", "division"]
        assert recipe.evaluation.external_tasks() == {"division": Path(found)}
        question = load_tasks(recipe)["division"].read_rows(recipe)[0]["question"]
        assert question.startswith("Beside:") == (task == "division.py")


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        (["my/nothing.py"], "evaluation.tasks: my/nothing.py: no such file; expected the path of a task file"),
        (["my/gsm8k.py"], "my/gsm8k.py: a built-in task is already named 'gsm8k'; rename the file"),
        (["my/division.py", "division.py"], "the name 'division' occurs twice"),
        (["my/more-division.py"], "expected a file name of letters, digits and '_', got 'more-division.py'"),
        (["my/division"], "evaluation.tasks: expected one of arithmetic, asdiv"),
    ],
)
def test_a_name_that_cannot_be_a_task_is_refused_when_the_recipe_is_read(
    tmp_path: Path, division: Path, tasks: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("my/gsm8k.py", "division.py", "my/more-division.py"):
        (tmp_path / name).write_text(DIVISION, encoding="utf-8")
    with pytest.raises(RecipeError) as error:
        load_recipe([str(write_recipe(tmp_path, tasks))])
    assert message in str(error.value)
