"""A signal, or a stage that fails, ends every command that runs experiments in the same way."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tiny import ROOT, run_inside

from domain_tokens.cli import running
from domain_tokens.experiment.tasks import Display, Task, TaskFailed
from domain_tokens.stopping.signals import REQUESTS
from domain_tokens.warm_process import WarmProcessError

RECIPES = ("recipes/baseline.yaml", "recipes/mul_tokens.yaml")
DEMO = ("--overlay", "recipes/scales/demo.yaml")
COMMANDS = {
    "run_experiment": (*RECIPES, *DEMO),
    "run_robustness": ("--file",),
    "run_study": ("--study",),
    "research_tables": ("assay",),
    "calibrate_pipeline": (*RECIPES, *DEMO),
    "tune_learning_rate": (*RECIPES, *DEMO, "--values", "1e-4", "2e-4", "4e-4"),
}


def unhandled(number: int, _: object) -> None:
    pytest.fail(f"{signal.Signals(number).name} would end the program at once, and leave its stages")


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Fail where a command handles no signal, and give this process its own handlers back."""
    before = {number: signal.signal(number, unhandled) for number in REQUESTS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the stages of any command be one that gets a signal, and is ended."""
    said: list[str] = []

    @contextmanager
    def display() -> Iterator[Display]:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            yield lambda event: pytest.fail("a stage was started")
        finally:
            said.append("ended")

    monkeypatch.setattr(running, "experiment_display", display)
    return said


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_ends_its_stages_and_says_how_to_go_on(command: str, ended: list[str], tmp_path: Path) -> None:
    arguments = list(COMMANDS[command])
    if arguments == ["--file"]:  # the shipped one has many variations, which take seconds to read
        arguments.append(str(tmp_path / "robustness.yaml"))
        recipes = {"recipes": list(RECIPES), "overlays": [DEMO[1]], "seeds": [0]}
        own = {"output_dir": str(tmp_path), "page": "docs/RESEARCH.md", "figure": str(tmp_path / "curve.png")}
        Path(arguments[1]).write_text(json.dumps(recipes | own), encoding="utf-8")
    if arguments == ["--study"]:
        study = {"study": "s", "output_dir": str(tmp_path), "recipes": [RECIPES[0]], "overlays": [DEMO[1]]}
        arguments = [str(tmp_path / "study.yaml")]
        Path(arguments[0]).write_text(json.dumps(study | {"grid": {"model.n_embd": [16]}}), encoding="utf-8")
    done = run_inside(f"scripts/{command}.py", *arguments)
    assert ended == ["ended"], done.stderr
    assert done.returncode == 143
    assert done.stderr.endswith("SIGTERM: interrupted; run the same command again to go on\n")


def test_these_are_all_commands_that_run_experiments() -> None:
    files = (ROOT / "src" / "domain_tokens" / "cli").glob("*.py")
    runners = {file.stem for file in files if "with running_experiments(" in file.read_text(encoding="utf-8")}
    assert runners == set(COMMANDS)
    starts = [file for file in (ROOT / "src").rglob("*.py") if "experiment_display()" in file.read_text("utf-8")]
    assert {file.stem for file in starts} == {"display", "running"}


@pytest.mark.parametrize(
    ("code", "expected"), [(2, 2), (75, 75), (1, 1), (126, 1), (-9, 1), (143, 143), (130, 130), (129, 129), (138, 138)]
)
def test_a_stage_that_fails_ends_the_command_with_its_code(code: int, expected: int) -> None:
    task = Task("sft", "baseline, seed 0: sft", ("run_sft.py",), (), Path("log"), lambda: False)
    with pytest.raises(SystemExit) as ending, running.running_experiments():
        raise TaskFailed(task, code)
    assert ending.value.code == expected


def test_a_warm_process_that_has_ended_is_said_with_what_to_do() -> None:
    with pytest.raises(SystemExit, match="gone; run the same command again to resume, or else"):  # noqa: SIM117
        with running.running_experiments(", or else"):
            raise WarmProcessError("gone")
