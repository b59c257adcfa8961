"""The command `domain-tokens`: every script by its name, and the recipes for a folder without a checkout."""

import subprocess
import sys
from pathlib import Path

import pytest
from tiny import ROOT

from domain_tokens.cli.commands import commands, main
from domain_tokens.cli.copy_recipes import copy_recipes
from domain_tokens.experiment.steps import SCRIPTS
from domain_tokens.recipe import RecipeError, load_recipe


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "domain_tokens", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_every_script_is_a_command() -> None:
    scripts = sorted((ROOT / "scripts").glob("*.py"))
    assert len(scripts) > 25
    assert sorted(commands().values()) == scripts
    assert SCRIPTS == ROOT / "scripts"
    assert commands()["pretrain"].name == "run_pretrain.py"
    assert commands()["prepare-data"].name == "prepare_data.py"


def test_help_names_the_commands_and_a_command_has_its_own() -> None:
    listed, own = run("--help"), run("audit", "--help")
    assert listed.returncode == own.returncode == 0
    assert all(f"\n  {name} " in listed.stdout for name in commands())
    assert own.stdout.startswith("usage: domain-tokens audit ")
    assert "--intervention" in own.stdout


def test_every_command_has_the_name_that_was_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in commands():
        monkeypatch.setattr("sys.argv", ["/somewhere/bin/domain-tokens", name, "--help"])
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == 0
        shown = capsys.readouterr().out
        assert shown.startswith(f"usage: domain-tokens {name} "), name
        assert "python scripts/" not in shown, name


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--bogus"], "domain-tokens: error: unrecognized arguments: --bogus; domain-tokens --help lists the options"),
        (["compare", "--outptu=x"], "compare: error: unrecognized arguments: --outptu; did you mean '--output'?"),
        (["experiment", "--sed", "0"], "experiment: error: unrecognized arguments: --sed; did you mean '--seeds'?"),
        (["experiment", "a", "--sed", "0"], "error: unrecognized arguments: --sed 0; did you mean '--seeds'?"),
        (["sft", "a.yaml", "--dry-rum"], "sft: error: unrecognized arguments: --dry-rum; did you mean '--dry-run'?"),
        (["experiment", "a", "--jobs", "x", "--sed", "0"], "argument --jobs: expected a whole number"),
        (["compare", "nowhere"], "compare: error: the following arguments are required: EXP_B"),
    ],
)
def test_an_unknown_option_is_named_with_the_one_that_is_meant(
    given: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["domain-tokens", *given])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert said in error.splitlines()[-1]
    assert ("usage: " in error) == ("unrecognized" not in error)


@pytest.mark.parametrize(
    ("given", "said"), [("pretrian", "did you mean 'pretrain'?"), ("nothing", "--help lists them")]
)
def test_an_unknown_command_is_named(given: str, said: str) -> None:
    done = run(given)
    assert done.returncode == 2
    assert f"{given}: no such command" in done.stderr
    assert said in done.stderr


def test_a_command_gets_its_arguments_and_its_exit_code() -> None:
    done = run("pretrain", str(ROOT / "recipes/mul_tokens.yaml"), "pretrain.max_stepz=3")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "'max_steps'" in done.stderr


def test_recipes_are_copied_once_and_a_changed_one_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    number = copy_recipes(tmp_path / "lab")
    assert number == sum(
        path.is_file() for name in ("recipes", "accelerate_configs") for path in (ROOT / name).rglob("*")
    )
    monkeypatch.chdir(tmp_path / "lab")
    assert load_recipe(["recipes/mul_tokens.yaml", "recipes/scales/demo.yaml"]).condition == "mul_tokens"
    assert copy_recipes(Path()) == 0
    Path("recipes/base.yaml").write_text("seed: 1")
    Path("recipes/mul_tokens.yaml").unlink()
    with pytest.raises(RecipeError, match=r"recipes/base\.yaml: exists and differs"):
        copy_recipes(Path())
    assert Path("recipes/base.yaml").read_text() == "seed: 1"
    assert not Path("recipes/mul_tokens.yaml").exists()
