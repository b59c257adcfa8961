"""How soon a script answers: help and misspelled keys come before any heavy library is imported."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import ROOT

SCRIPTS = sorted(path.stem for path in (ROOT / "scripts").glob("*.py"))
STAGES = ("prepare_data", "run_pretrain", "run_sft", "run_grpo", "run_eval", "eval_checkpoints")
HEAVY = ("torch", "transformers", "trl", "accelerate", "datasets", "datatrove", "lighteval", "deepspeed")
LIMIT_S = 1.5  # CPU-seconds, user and system

MISSPELLED = {
    "pretrain.max_stepz=3": ["pretrain.max_stepz", "'max_steps'"],
    "sft.max_lenth=3": ["sft.max_lenth", "'max_length'"],
    "sft_stages.0.args.learning_rat=1e-5": ["sft_stages.gsm8k.args.learning_rat", "'learning_rate'"],
    "grpo.betta=3": ["grpo.betta", "'beta'"],
    "model.n_layers=3": ["model.n_layers", "'n_layer'"],
    "corpus.sources.0.knd=file": ["corpus.sources.0.knd", "'kind'"],
    "evaluation.task=[gsm8k]": ["evaluation.task", "'tasks'"],
    "sead=1": ["sead", "'seed'"],
}

# Runs one script after the other to its end. Of each it reports what is imported by then, and the CPU-seconds that it
# took itself. Modules stay: what a script imports is what no script before it has imported.
_PROBE = """
import contextlib, io, json, runpy, sys, time
sys.dont_write_bytecode = True
for command in json.loads(sys.argv[1]):
    sys.argv = command
    before, code, stdout, stderr = time.process_time(), 0, io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        try:
            runpy.run_path(command[0], run_name="__main__")
        except SystemExit as end:
            code = end.code or 0
    modules = sorted({name.partition(".")[0] for name in sys.modules})
    used = time.process_time() - before
    print(json.dumps([code, used, modules, stdout.getvalue(), stderr.getvalue()]), flush=True)
"""

Probe = tuple[int, float, set[str], str, str]
"""Exit code, CPU-seconds, imported packages, output and error output of a script."""


def probe(*commands: list[str]) -> list[Probe]:
    """Run scripts with their arguments one after the other in one process, each as if it began there."""
    given = json.dumps([[f"scripts/{script}.py", *arguments] for script, *arguments in commands])
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, given], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(commands), done.stderr
    return [(code, seconds, set(modules), stdout, stderr) for code, seconds, modules, stdout, stderr in found]


@pytest.fixture(scope="module")
def helped() -> dict[str, Probe]:
    return dict(zip(SCRIPTS, probe(*([script, "--help"] for script in SCRIPTS)), strict=True))


@pytest.fixture(scope="module")
def misspelled() -> dict[str, Probe]:
    commands = (["run_grpo", "recipes/mul_tokens.yaml", override] for override in MISSPELLED)
    return dict(zip(MISSPELLED, probe(*commands), strict=True))


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_imports_nothing_heavy(script: str, helped: dict[str, Probe]) -> None:
    code, seconds, modules, stdout, _ = helped[script]
    assert code == 0
    assert f"{script}.py" in stdout
    assert "argparse" in modules
    assert modules.isdisjoint(HEAVY)
    assert seconds < LIMIT_S


@pytest.mark.parametrize("override", MISSPELLED)
def test_a_misspelled_key_is_answered_at_once(override: str, misspelled: dict[str, Probe]) -> None:
    code, seconds, modules, _, stderr = misspelled[override]
    assert code == 2
    assert stderr.startswith("error: ")
    assert all(part in stderr for part in MISSPELLED[override]), stderr
    assert "omegaconf" in modules
    assert modules.isdisjoint(HEAVY)
    assert seconds < LIMIT_S


def test_every_stage_answers_a_misspelled_key_in_a_file(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("experiment: x\ncondition: c\ntokenizer: t\npretrain:\n  max_stepz: 3\n")
    scripts = (*STAGES, "run_experiment")
    for script, (code, seconds, modules, _, stderr) in zip(
        scripts, probe(*([script, str(recipe)] for script in scripts)), strict=True
    ):
        assert code == 2, script
        assert "pretrain.max_stepz" in stderr, script
        assert modules.isdisjoint(HEAVY), script
        assert seconds < LIMIT_S, script


def test_options_may_stand_anywhere_and_no_recipe_is_an_error() -> None:
    unknown, missing = probe(["run_sft", "recipes/mul_tokens.yaml", "--dry-run", "sead=1"], ["run_sft"])
    assert (unknown[0], "sead" in unknown[4]) == (2, True)
    assert missing[0] == 2
    assert re.search(r"usage: run_sft\.py .*RECIPE", missing[4])
