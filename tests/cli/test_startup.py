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

# Runs a script to its end and reports what it imported and what that took.
_PROBE = """
import json, resource, runpy, sys
sys.argv = sys.argv[1:]
code = 0
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    code = end.code or 0
used = resource.getrusage(resource.RUSAGE_SELF)
modules = sorted({name.partition(".")[0] for name in sys.modules})
sys.stderr.write("\\nPROBE " + json.dumps([code, used.ru_utime + used.ru_stime, modules]))
"""


def probe(script: str, *arguments: str) -> tuple[int, float, set[str], str, str]:
    """Return exit code, CPU-seconds, imported packages, output and error output of a script."""
    command = [sys.executable, "-c", _PROBE, f"scripts/{script}.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    stderr, _, report = done.stderr.rpartition("\nPROBE ")
    code, seconds, modules = json.loads(report)
    return code, seconds, set(modules), done.stdout, stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_imports_nothing_heavy(script: str) -> None:
    code, seconds, modules, stdout, _ = probe(script, "--help")
    assert code == 0
    assert f"{script}.py" in stdout
    assert "argparse" in modules
    assert modules.isdisjoint(HEAVY)
    assert seconds < LIMIT_S


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("pretrain.max_stepz=3", ["pretrain.max_stepz", "'max_steps'"]),
        ("sft.max_lenth=3", ["sft.max_lenth", "'max_length'"]),
        ("sft_stages.0.args.learning_rat=1e-5", ["sft_stages.gsm8k.args.learning_rat", "'learning_rate'"]),
        ("grpo.betta=3", ["grpo.betta", "'beta'"]),
        ("model.n_layers=3", ["model.n_layers", "'n_layer'"]),
        ("corpus.sources.0.knd=file", ["corpus.sources.0.knd", "'kind'"]),
        ("evaluation.task=[gsm8k]", ["evaluation.task", "'tasks'"]),
        ("sead=1", ["sead", "'seed'"]),
    ],
)
def test_a_misspelled_key_is_answered_at_once(override: str, parts: list[str]) -> None:
    code, seconds, modules, _, stderr = probe("run_grpo", "recipes/mul_tokens.yaml", override)
    assert code == 2
    assert stderr.startswith("error: ")
    assert all(part in stderr for part in parts), stderr
    assert "omegaconf" in modules
    assert modules.isdisjoint(HEAVY)
    assert seconds < LIMIT_S


@pytest.mark.parametrize("script", [*STAGES, "run_experiment"])
def test_every_stage_answers_a_misspelled_key_in_a_file(script: str, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("experiment: x\ncondition: c\ntokenizer: t\npretrain:\n  max_stepz: 3\n")
    code, seconds, modules, _, stderr = probe(script, str(recipe))
    assert code == 2
    assert "pretrain.max_stepz" in stderr
    assert modules.isdisjoint(HEAVY)
    assert seconds < LIMIT_S


def test_options_may_stand_anywhere_and_no_recipe_is_an_error() -> None:
    code, _, _, _, stderr = probe("run_sft", "recipes/mul_tokens.yaml", "--dry-run", "sead=1")
    assert (code, "sead" in stderr) == (2, True)
    code, _, _, _, stderr = probe("run_sft")
    assert code == 2
    assert re.search(r"usage: run_sft\.py .*RECIPE", stderr)
