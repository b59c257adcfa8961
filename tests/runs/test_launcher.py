"""A stage that fails under accelerate's launcher ends it with its own message and exit code, and no traceback."""

import subprocess

import pytest
from tiny import ROOT, start_script
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from domain_tokens.runs import launcher


def test_a_users_mistake_is_the_last_thing_that_is_said() -> None:
    done = start_script(
        "-m", "domain_tokens.runs.launcher", "--config_file", "accelerate_configs/cpu.yaml", "--mixed_precision", "no",
        "scripts/run_pretrain.py", "nowhere.yaml",
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: nowhere.yaml: no such file")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("ended", "code"), [(2, 2), (75, 75), (-9, 137)])
@pytest.mark.parametrize("several", [False, True])
def test_the_exit_code_is_that_of_the_stage(
    several: bool, ended: int, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    failure = ProcessFailure(local_rank=1, pid=7, exitcode=ended, error_file="none")
    error = ChildFailedError("stage", {1: failure}) if several else subprocess.CalledProcessError(ended, ["stage"])

    def launch() -> None:
        raise error

    monkeypatch.setattr("accelerate.commands.launch.main", launch)
    with pytest.raises(SystemExit) as ending:
        launcher.main()
    assert ending.value.code == code


def test_the_commands_that_are_shown_are_quiet() -> None:
    shown = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "scripts").glob("*.py")]
    commands = [
        line
        for file in shown
        for line in file.read_text().splitlines()
        if "accelerate launch " in line and "scripts/" in line
    ]
    assert len(commands) > 4
    assert [line for line in commands if "--quiet" not in line] == []
