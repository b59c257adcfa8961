"""A stage that fails under accelerate's launcher ends it with its own message and exit code, and no traceback."""

import os
import signal
from types import SimpleNamespace

import pytest
from tiny import ROOT, start_script
from torch.distributed.elastic.agent.server.api import RunResult, WorkerState
from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.run import config_from_args, get_args_parser

from domain_tokens.runs import launcher


def test_a_users_mistake_is_the_last_thing_that_is_said() -> None:
    done = start_script(
        "-m", "domain_tokens.runs.launcher", "--config_file", "accelerate_configs/cpu.yaml", "--mixed_precision", "no",
        "scripts/run_pretrain.py", "nowhere.yaml",
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: nowhere.yaml: no such file")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("ended", "code", "said"),
    [
        ({1: 2}, 2, ""),
        ({0: 75, 1: -15}, 75, ""),
        ({0: 1, 1: -9}, 137, "rank 1 (process 8) was ended by SIGKILL, as the system does when memory runs out"),
        ({0: -15, 1: -11}, 139, "rank 1 (process 8) was ended by SIGSEGV, and with it the job"),
        ({0: 1, 1: 2}, 2, ""),
        ({0: 143, 1: 143}, 143, ""),
        ({0: 143, 1: 130}, 130, ""),
    ],
)
def test_the_exit_code_is_that_of_the_stage(
    ended: dict[int, int], code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failures = {rank: ProcessFailure(rank, 7 + rank, exitcode, "none") for rank, exitcode in ended.items()}

    def launch() -> None:
        raise ChildFailedError("stage", failures)

    monkeypatch.setattr("accelerate.commands.launch.main", launch)
    monkeypatch.setattr(LocalElasticAgent, "_monitor_workers", None)  # put back afterwards, as the next
    monkeypatch.setattr("accelerate.commands.launch.simple_launcher", None)
    with pytest.raises(SystemExit) as ending:
        launcher.main()
    assert ending.value.code == code
    spoken = capsys.readouterr().err
    assert spoken.startswith(said)
    assert bool(spoken) == bool(said)


def test_a_signal_to_the_launcher_is_its_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def launch() -> None:
        raise SignalException("got one", signal.SIGINT)

    monkeypatch.setattr("accelerate.commands.launch.main", launch)
    monkeypatch.setattr(LocalElasticAgent, "_monitor_workers", None)  # put back afterwards, as the next
    monkeypatch.setattr("accelerate.commands.launch.simple_launcher", None)
    with pytest.raises(SystemExit) as ending:
        launcher.main()
    assert ending.value.code == 130


@pytest.mark.parametrize("restarts", ["0", "1"])
def test_every_request_to_stop_is_passed_on_to_the_processes(restarts: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "0")
    arguments = get_args_parser().parse_args(["--max_restarts", restarts, "script.py"])
    assert "SIGUSR1" not in arguments.signals_to_handle
    launcher._run(lambda passed: None, arguments)
    assert arguments.signals_to_handle == "SIGTERM,SIGINT,SIGHUP,SIGUSR1"
    assert config_from_args(arguments)[0].signals_to_handle == arguments.signals_to_handle
    assert (arguments.standalone, os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"]) == (restarts == "1", restarts)


@pytest.mark.parametrize(
    ("codes", "left"),
    [
        ({0: -9, 1: 143}, 1),  # killed, and the launcher ended the other
        ({0: 2, 1: -9}, 1),
        ({0: 1, 1: -15}, 1),  # a crash
        ({0: 1, 1: 143}, 1),
        ({0: 1}, 1),
        ({0: 2, 1: -15}, 0),  # a refused recipe, and the other was ended while it loaded its libraries
        ({0: 2, 1: 1}, 0),  # and the other lost its connection
        ({0: 69}, 0),
        ({0: 75, 1: 143}, 0),
        ({0: 130, 1: 143}, 0),
        ({0: -15}, 0),  # asked before it could answer
        ({0: 138, 1: 138}, 0),
        ({}, 1),  # all is well
    ],
)
def test_only_a_death_is_worth_a_restart(codes: dict[int, int], left: int) -> None:
    failures = {rank: ProcessFailure(rank, 7, exitcode, "none") for rank, exitcode in codes.items()}
    state = WorkerState.FAILED if codes else WorkerState.HEALTHY
    agent, group = SimpleNamespace(_remaining_restarts=1), object()
    look = launcher._without_vain_restarts(lambda asked, of: RunResult(state, failures=failures))
    assert look(agent, group).state == state
    assert agent._remaining_restarts == left


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
