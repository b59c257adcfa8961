"""What can be known before work begins is refused then, and by `--dry-run`."""

import ast
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import ROOT, tiny_arguments

from domain_tokens.cli import run_experiment as command
from domain_tokens.evaluation import modes
from domain_tokens.experiment import Experiment, load_experiment
from domain_tokens.recipe import Recipe, RecipeError
from domain_tokens.runs.layout import MODELS
from domain_tokens.runs.provenance import CODE_SHA256, environment
from domain_tokens.runs.records import LearningRates, write_record

PACKAGE = ROOT / "src" / "domain_tokens"
EQUAL = "budget.equal_to={measure: text, reference: canon_bare, measured_on: mul_tokens}"
Load = Callable[..., list[Recipe]]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """A function that checks a tiny experiment of one condition, with a declaration and overrides."""
    monkeypatch.chdir(ROOT)

    def call(*overrides: str, declared: str = "") -> list[Recipe]:
        path = tmp_path / "declared.yaml"
        endpoints = "" if "endpoints" in declared else "endpoints: [{model: grpo_final, task: gsm8k}]\n"
        path.write_text(f"{endpoints}seeds: [0]\n{declared}")
        recipe, overlay, *settings = tiny_arguments(tmp_path / "outputs", "baseline", f"prereg={path}", *overrides)
        return load_experiment(Experiment([Path(recipe)], [Path(overlay)], [0, 1], settings))

    return call


def test_what_fits_is_accepted(load: Load) -> None:
    assert [recipe.condition for recipe in load(declared="positive_control: facts_forbidden")] == ["baseline"]


@pytest.mark.parametrize(
    ("override", "declared", "message"),
    [
        ("learning_rates=/nowhere.json", "", "learning_rates: /nowhere.json: no such file"),
        ("evaluation.models=[grpo_final,grpo_final]", "", "evaluation.models: the name 'grpo_final' occurs twice"),
        ("evaluation.encoding_tasks=[nope]", "", "evaluation.encoding_tasks: nope is not among"),
        ("output_dir=/dev/null/outputs", "", "output_dir: /dev/null is a file; expected a folder"),
        (EQUAL, "", "baseline: budget.equal_to names canon_bare, which is not among the recipes and not trained"),
        ("seed_offset=0", "positive_control: nope", "positive_control: expected one of facts_forbidden"),
        ("seed_offset=0", "contrasts: {x: [a, b]}\npositive_control: y", "positive_control: expected one of x, "),
        ("seed_offset=0", "endpoints: [{model: grpo_final, task: gsm8kk}]", "did you mean 'gsm8k'?"),
        ("seed_offset=0", "endpoints: [{model: grpo_final, task: gsm8k, metric: acc}]", "gsm8k: metric: expected one"),
    ],
)
def test_what_cannot_work_is_refused_before_work(override: str, declared: str, message: str, load: Load) -> None:
    with pytest.raises(RecipeError) as error:
        load(override, declared=declared)
    assert message in str(error.value)


def test_a_search_for_other_conditions_is_refused(load: Load, tmp_path: Path) -> None:
    search = {"values": [1.0], "seed": 0, "budget": {}, "conditions": {}}
    path = tmp_path / "rates.json"
    write_record(path, LearningRates.parse({"searches": {"sft": search}}, path))
    with pytest.raises(RecipeError, match="was searched for .* and not for baseline"):
        load(f"learning_rates={path}")


def test_what_equal_to_names_may_be_trained_already(load: Load, tmp_path: Path) -> None:
    for run in [f"exp_{name}/seed_{seed}" for name in ("canon_bare", "mul_tokens") for seed in (0, 1)]:
        with pytest.raises(RecipeError, match=f"not trained .*{run}"):
            load(EQUAL)
        for model in MODELS:
            done = tmp_path / "outputs/tiny" / run / model / "manifest.json"
            done.parent.mkdir(parents=True)
            done.write_text("{}")
    assert len(load(EQUAL)) == 1


def test_a_dry_run_says_what_the_run_would_refuse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    recipe, overlay, *settings = tiny_arguments(tmp_path, "baseline", "learning_rates=/nowhere.json")
    arguments = ["run_experiment.py", recipe, "--dry-run", "--overlay", overlay, "--set", *settings]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as end:
        command.main()
    assert end.value.code == 2
    *_, said = capsys.readouterr().err.splitlines()
    assert said.startswith("error: learning_rates: /nowhere.json: no such file")


def test_strict_refuses_a_test_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    rows = [{"question": f"How many legs have {n} horses?", "answer": f"#### {4 * n}"} for n in range(9)]
    for name, count in (("train", 9), ("test", 1)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:count]))
    recipe, overlay, *settings = tiny_arguments(
        tmp_path, "baseline", f"sft_stages.0.sources=[{{name: mine, kind: file, path: {tmp_path}/train.jsonl}}]",
        f"evaluation.data.gsm8k={{name: test, kind: file, path: {tmp_path}/test.jsonl}}",
    )  # fmt: skip
    arguments = ["run_experiment.py", recipe, "--strict", "--dry-run", "--overlay", overlay, "--set", *settings]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as end:
        command.main()
    assert end.value.code == 2
    assert "train.jsonl, line 1: holds a question of an evaluation set" in capsys.readouterr().err


# --- The code whose hash is kept -------------------------------------------------------------------------------------


def test_whatever_scoring_imports_is_in_its_hash() -> None:
    files = {path for name in modes._SCORER for path in PACKAGE.glob(name)}
    for name in (
        "evaluation/models/token_scores.py", "evaluation/models/inference.py", "tokenization/side_record/code.py",
        "tokenization/prompts.py", "tokenization/rewriter.py",
    ):  # fmt: skip
        assert PACKAGE / name in files
    imported = {
        node.module
        for path in files
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("domain_tokens.")
    }
    assert "domain_tokens.corpora.synthetic" in imported
    # A recipe and what a run records are frozen or compared themselves.
    others = {name for name in imported if name.split(".")[1] not in ("recipe", "runs")}
    paths = {name: ROOT / "src" / name.replace(".", "/") for name in others if name}
    assert {n for n, path in paths.items() if not {path.with_suffix(".py"), path / "__init__.py"} & files} == set()


def test_the_hash_of_the_code_that_trains_is_that_of_every_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from domain_tokens.runs import provenance

    assert environment().code_sha256 == CODE_SHA256
    found = set()
    monkeypatch.setattr(provenance, "_PACKAGE", tmp_path)
    for name in (
        "training/reinforcement/rewards.py",
        "training/callbacks/metrics.py",
        "evaluation/models/token_scores.py",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
        found.add(provenance._code_sha256())
        (tmp_path / name).write_text("x = 2\n")
        found.add(provenance._code_sha256())
    assert len(found) == 6
    (tmp_path / "analysis").mkdir()
    (tmp_path / "analysis/report.py").write_text("x = 1\n")
    assert provenance._code_sha256() in found
