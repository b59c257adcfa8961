"""A verifier from samples to choice: it beats the majority where wrong answers are frequent and recognisable."""

import json
import shutil
from pathlib import Path

import pytest
from accelerate.state import AcceleratorState
from real_stages import SMALL, run_here, small_recipe
from tiny import run_inside, tiny_arguments

from domain_tokens.recipe import Recipe, RecipeError, load_recipe
from domain_tokens.recipe.values.overrides import layered
from domain_tokens.runs.layout import verifier_paths
from domain_tokens.verifier.comparison import Comparison, read_comparison, tables
from domain_tokens.verifier.run import train_and_choose

RIGHT, WRONG = "6+6=12\n#### 12", "3+4=34\n#### 34"
NAMES, OTHER_NAMES = ("Ann", "Bob", "Cid", "Dee", "Eve"), ("Fay", "Gus", "Hal", "Ida", "Jim")
THINGS = ("red pens", "blue cups", "old books", "new hats", "big bags", "soft toys")


def questions(names: tuple[str, ...]) -> list[str]:
    return [f"How many {thing} does {name} own?" for name in names for thing in THINGS]


def write(path: Path, rows: list[tuple[str, str]]) -> Path:
    lines = [json.dumps({"question": question, "answer": answer}) for question, answer in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def settings(folder: Path) -> list[str]:
    """Two of three answers of fine-tuning are a guess; the problems and the questions have the right one alone."""
    tuned = [(one, answer) for one in questions(NAMES) for answer in (RIGHT, WRONG, WRONG)]
    files = {
        "tuned": write(folder / "tuned.jsonl", tuned),
        "problems": write(folder / "problems.jsonl", [(one, RIGHT) for one in questions(NAMES)]),
        "asked": write(folder / "asked.jsonl", [(one, RIGHT) for one in questions(OTHER_NAMES)]),
    }
    source = {name: f"{{name: {name}, kind: file, path: {path}}}" for name, path in files.items()}
    return [
        "prereg=null",
        f"sft_stages=[{{name: counting, sources: [{source['tuned']}]}}]",
        "budget.sft_examples_per_step=16",
        "sft.learning_rate=2e-2",
        "sft.num_train_epochs=20",
        "evaluation.tasks=[gsm8k]",
        "evaluation.ablation_tasks=[]",
        "evaluation.checkpoint_tasks=[]",
        "evaluation.sampling={tasks: []}",
        f"evaluation.data={{gsm8k: {source['asked']}}}",
        f"evaluation.data.gsm8k.max_items={len(questions(OTHER_NAMES))}",
        "evaluation.max_new_tokens=16",
        "evaluation.max_samples=null",
        f"verifier.problems=[{source['problems']}]",
        "verifier.validation_problems=6",
        "verifier.samples_per_problem=8",
        "verifier.num_samples=8",
        "verifier.temperature=1.0",
        "verifier.solutions_per_step=16",
        "verifier.args={max_steps: 40, learning_rate: 1e-2, lr_scheduler_type: linear, warmup_steps: 0}",
        "verifier.args.per_device_train_batch_size=8",
    ]


def tuned(outputs: Path, condition: str, *overrides: str) -> Recipe:
    """Return the recipe of a run that was fine-tuned to guess."""
    recipe = small_recipe(outputs, condition, *settings(outputs), *overrides)
    for name in ("sft_final", "checkpoints/sft_drills"):
        shutil.rmtree(recipe.run_dir / name, ignore_errors=True)
    run_here("sft", recipe)
    return recipe


def verified(recipe: Recipe) -> Comparison:
    try:
        (comparison,) = train_and_choose(recipe)
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)
    return comparison


@pytest.mark.slow  # votes and scores by hand are fast tests
def test_a_verifier_beats_the_majority_where_guesses_are_frequent(
    outputs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(outputs / "tiny/exp_mul_tokens/seed_0/sft_final")  # of other data: no run to compare with
    recipe = tuned(outputs, "baseline")
    comparison = verified(recipe)
    at_1, at_8 = (
        {name: points["baseline"][index][0] for name, points in comparison.points.items()} for index in (0, -1)
    )
    assert 0.15 < at_1["passed"] < 0.45  # most samples are guesses
    assert at_1["passed"] == pytest.approx(at_1["verify"]) == pytest.approx(at_1["majority"])
    assert at_8["majority"] < 0.4 < at_8["passed"] - 0.3
    assert at_8["verify"] > at_8["majority"] + 0.35
    difference, interval = tables(comparison)[1].rows[0][2:]
    assert float(difference) > 35
    assert float(interval.split(" to ")[0]) > 0

    manifest = json.loads((recipe.run_dir / "verifier_final/manifest.json").read_text())
    (entry,) = manifest["ledger"]
    assert (entry["stage"], entry["steps"], entry["examples"]) == ("verifier", 40, 640)
    assert entry["generated_tokens"] > 240  # of 30 problems, 8 samples each
    assert entry["answer_facts"] is entry["question_facts"] is None
    assert "answer_ends" not in manifest
    assert manifest["contamination"]["questions"]["gsm8k"] == 30
    assert manifest["matched"]["solutions_held_out"] == 6 * 8
    assert manifest["reported"]["validation_ranked_pairs"] > 0.7
    asked = {json.loads(line)["question"] for line in (recipe.run_dir / "verifier/gsm8k_items.jsonl").open()}
    trained = {json.loads(line)["question"] for line in (recipe.run_dir / SAMPLED).open()}
    assert len(asked) == len(trained) == 30
    assert asked.isdisjoint(trained)
    assert (recipe.experiment_dir / "verifiers_gsm8k.png").stat().st_size > 1000

    before = {path: path.stat().st_mtime_ns for path in recipe.run_dir.rglob("*") if path.is_file()}
    caplog.set_level("INFO")
    verified(recipe)
    assert caplog.text.count("complete, skipped") == 4  # samples of both, the verifier, its choice
    assert {path: path.stat().st_mtime_ns for path in recipe.run_dir.rglob("*") if path.is_file()} == before

    items = recipe.run_dir / "verifier/gsm8k_items.jsonl"
    items.write_text("".join(items.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(RecipeError, match="29 items, other ones"):
        read_comparison(recipe.experiment_dir, "gsm8k")


SAMPLED = "verifier/problems_samples/samples.jsonl"


def refused(recipe: Recipe) -> str:
    with pytest.raises(RecipeError) as error:
        verified(recipe)
    return str(error.value)


def test_what_does_not_fit_is_refused_before_the_first_sample(outputs: Path) -> None:
    def recipe(*overrides: str) -> Recipe:
        return small_recipe(outputs, "baseline", *settings(outputs), *overrides)

    questions = outputs / "asked.jsonl"
    assert "source stolen: " in (message := refused(recipe(f"verifier.problems={stolen(questions)}")))
    assert "is a test set; training stages must not read one" in message
    assert "verifier.tasks: svamp is not among evaluation.tasks" in refused(recipe("verifier.tasks=[svamp]"))
    direct = refused(recipe("verifier.tasks=[gsm8k_direct]", "evaluation.tasks=[gsm8k, gsm8k_direct]"))
    assert direct.startswith("verifier.tasks: gsm8k_direct is not answered with a worked solution")
    assert "expected fewer than the 30 problems, got 30" in refused(recipe("verifier.validation_problems=30"))
    assert "verifier.solutions_per_step: 12 does not divide" in refused(recipe("verifier.solutions_per_step=12"))
    assert refused(recipe("verifier.args.optim=adamww")).startswith("verifier.args.optim: ")
    assert "grpo_final: missing or incomplete; run scripts/run_grpo.py" in refused(recipe("verifier.model=grpo_final"))
    without = refused(recipe("verifier.model=grpo_final", "grpo_prompts=[]"))
    assert without.startswith("verifier.model: the run trains pretrain_final, sft_final, got grpo_final")
    assert not list(outputs.rglob("samples.jsonl"))


def test_a_dry_run_says_what_would_be_sampled_and_changes_nothing(outputs: Path) -> None:
    overrides = layered(SMALL, settings(outputs))
    before = {path: path.stat().st_mtime_ns for path in outputs.rglob("*")}
    done = run_inside("scripts/run_verifier.py", "--dry-run", *tiny_arguments(outputs, "baseline", *overrides))
    assert done.returncode == 0, done.stderr
    assert "training problems: problems; 6 held out; 8 samples of each at temperature 1: not started" in done.stdout
    assert "gsm8k: 30 questions x 8 samples = 240, of up to 16 tokens: not started" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in outputs.rglob("*")} == before


def stolen(questions: Path) -> str:
    return f"[{{name: stolen, kind: file, path: {questions}}}]"


def test_samples_that_are_all_wrong_teach_nothing(outputs: Path) -> None:
    shutil.rmtree(outputs / "tiny/exp_mul_tokens/seed_0/sft_final")
    recipe = small_recipe(outputs, "baseline", *settings(outputs), "evaluation.max_new_tokens=2")
    assert "all 192 samples of the training problems are wrong: there is nothing to tell apart" in refused(recipe)
    assert not verifier_paths(recipe).final.exists()


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("verifier.num_samples=1", "verifier.num_samples: expected a whole number of at least 2, got 1"),
        ("verifier.temperature=0", "verifier.temperature: expected a number of at least 0.01"),
        ("verifier.language_model_weight=-1", "verifier.language_model_weight: expected a weight of at least 0"),
        ("verifier.args.learning_rat=1", "verifier.args.learning_rat: TrainingArguments has no such argument"),
        ("verifier.args.per_device_train_batch_size=auto", "per_device_train_batch_size: expected a number, got auto"),
        ("verifier.loss=hinge", "verifier.loss"),
        ("verifier.tasks=[gsm8k, gsm8k]", "verifier.tasks: the name 'gsm8k' occurs twice"),
        ("verifier.validation_problems=0", "verifier.validation_problems: expected a whole number of at least 1"),
    ],
)
def test_a_section_that_says_nothing_sensible(root: Path, override: str, complaint: str) -> None:
    with pytest.raises(RecipeError) as error:
        load_recipe([str(root / "recipes/baseline.yaml"), override])
    assert complaint in str(error.value)
