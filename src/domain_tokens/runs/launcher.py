"""What accelerate's launcher sets for a training stage, checked against what the recipe says.

A launcher's file may name a precision, a compiler, gradient accumulation and clipping, and these would overrule the
recipe without a word. A launcher that says something else than the recipe is refused, so that the settings recorded
are those in force. Imports none of the training libraries.

`python -m domain_tokens.runs.launcher` is `accelerate launch` that ends as the stage does: with its exit code, and
without a traceback of the launcher below the stage's own message. It gives the stage time to save when a signal stops
it, and says which process was killed.
"""

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from domain_tokens.recipe import RecipeError, flatten
from domain_tokens.recipe.errors import NOT_PUBLISHED, REFUSED, UNFINISHED
from domain_tokens.recipe.files import read_file
from domain_tokens.runs.records import Fields
from domain_tokens.stopping.parent import end_with_runner
from domain_tokens.stopping.signals import INTERRUPTED, REQUESTS

AUTO = "auto"
"""What DeepSpeed's settings say for `as the trainer has it`."""

_PATIENCE_S = 600

_SILENT = ("", "no", "none", AUTO)


@dataclass(frozen=True)
class Launcher:
    """The settings of a launcher that overrule those of a trainer.

    Attributes:
        mixed_precision: `no`, `bf16`, `fp16` or `fp8`.
        compiler: the backend of torch.compile, `no` if none.
        sharding: `DeepSpeed`, `FSDP`, `Megatron-LM`, or nothing.
        zero_stage: of DeepSpeed.
        accumulation: of DeepSpeed: micro batches of a step, or `auto`.
        clipping: of DeepSpeed: the largest gradient norm, or `auto`.
        deepspeed_file: DeepSpeed's own configuration.
    """

    mixed_precision: str = "no"
    compiler: str = "no"
    sharding: str = ""
    zero_stage: str = AUTO
    accumulation: str = AUTO
    clipping: str = AUTO
    deepspeed_file: str = "none"

    def recorded(self) -> Fields:
        """Return what a stage records of its launcher: how the model is spread over processes; empty if it is not."""
        if self.sharding != "DeepSpeed":
            return {"sharding": self.sharding} if self.sharding else {}
        stage = self.zero_stage
        if self.deepspeed_file not in _SILENT:
            stage = str(_deepspeed(Path(self.deepspeed_file)).get("zero_optimization.stage", AUTO))
        return {"sharding": f"{self.sharding} ZeRO {stage}"}


@dataclass(frozen=True)
class Requested:
    """What a recipe says of one stage.

    Attributes:
        section: the key of its trainer section.
        precision: `no` or `bf16`.
        accumulation: micro batches of a step.
        clipping: the largest gradient norm; 0 for none.
        compiles: whether torch.compile is used.
    """

    section: str
    precision: str
    accumulation: int
    clipping: float
    compiles: bool


def launcher_of(environment: Mapping[str, str]) -> Launcher:
    """Return the launcher that started a process, from the process's environment."""

    def value(name: str, default: str) -> str:
        return environment.get(f"ACCELERATE_{name}", default)

    used = {"DeepSpeed": "USE_DEEPSPEED", "FSDP": "USE_FSDP", "Megatron-LM": "USE_MEGATRON_LM"}
    sharding = next((name for name, flag in used.items() if value(flag, "").lower() in ("true", "1")), "")
    return Launcher(
        value("MIXED_PRECISION", "no"),
        value("DYNAMO_BACKEND", "no"),
        sharding,
        value("DEEPSPEED_ZERO_STAGE", "2"),  # accelerate's default
        value("GRADIENT_ACCUMULATION_STEPS", AUTO) if sharding == "DeepSpeed" else AUTO,
        value("GRADIENT_CLIPPING", AUTO) if sharding == "DeepSpeed" else AUTO,
        value("DEEPSPEED_CONFIG_FILE", "none"),
    )


def check_launcher(launcher: Launcher, requested: Requested) -> None:
    """Check that a launcher does not overrule a recipe.

    Raises:
        RecipeError: naming the launcher's setting and the recipe's.
    """
    section = requested.section
    if launcher.sharding == "Megatron-LM":
        raise RecipeError("launcher: Megatron-LM replaces the trainer; expected another file from accelerate_configs/")
    if _differs(launcher.mixed_precision, requested.precision):
        raise _overruled(
            "mixed_precision", launcher.mixed_precision, f"{section}: precision {requested.precision}",
            'set mixed_precision: "no" in the launcher\'s file, and bf16 in the recipe',
        )  # fmt: skip
    if not requested.compiles and _differs(launcher.compiler, ""):
        raise _overruled(
            "dynamo_backend", launcher.compiler, f"{section}.torch_compile: false",
            "remove dynamo_config from the launcher's file, or set torch_compile in the recipe",
        )  # fmt: skip
    if launcher.sharding != "DeepSpeed":
        return
    if launcher.deepspeed_file not in _SILENT:
        _check_deepspeed(Path(launcher.deepspeed_file), requested)
        return
    for key, found, wanted in (
        ("gradient_accumulation_steps", launcher.accumulation, requested.accumulation),
        ("gradient_clipping", launcher.clipping, requested.clipping),
    ):
        if _differs(found, wanted):
            raise _overruled(
                f"deepspeed_config.{key}", found, f"{section}: {wanted:g}", f"remove {key} from the launcher's file"
            )


def check_sharding(launcher: Launcher, device: str) -> None:
    """Check that the model would be spread over the processes as a launcher says, which the stage records.

    Args:
        launcher (`Launcher`): what started the processes.
        device (`str`): what they train on: `cuda`, `mps` or `cpu`.

    Raises:
        RecipeError: if accelerate would do something else.
    """
    # Accelerate 1.15 asks for FSDP only where processes have accelerators; others get DDP, without a word.
    if launcher.sharding == "FSDP" and device == "cpu":
        raise RecipeError(
            "launcher: FSDP: accelerate would train with DDP on a CPU; use accelerate_configs/ddp_cpu.yaml, or "
            "zero2_cpu.yaml to spread the optimizer over the processes"
        )


def _check_deepspeed(path: Path, requested: Requested) -> None:
    """Check DeepSpeed's own configuration, in which a setting that is missing is off and not `auto`."""
    found = _deepspeed(path)
    for key in ("optimizer", "scheduler"):
        if any(name.partition(".")[0] == key for name in found):
            raise RecipeError(
                f"{path}: {key}: would replace that of the recipe's section {requested.section}; remove it"
            )
    precision = {f"{kind}.enabled": requested.precision == kind for kind in ("bf16", "fp16")}
    for key, wanted, missing in (
        ("gradient_accumulation_steps", requested.accumulation, 1),
        ("gradient_clipping", requested.clipping, 0.0),
        ("train_batch_size", AUTO, AUTO),
        ("train_micro_batch_size_per_gpu", AUTO, AUTO),
        *((key, wanted, AUTO) for key, wanted in precision.items()),
    ):
        value = found.get(key, missing)
        if value not in (AUTO, wanted):
            raise RecipeError(
                f"{path}: {key}: {value!r}{'' if key in found else ' because it is missing'}, but the recipe says "
                f"{wanted!r} ({requested.section}); set it to {AUTO!r}"
            )


def _deepspeed(path: Path) -> dict[str, object]:
    """Return the settings of DeepSpeed's own configuration by dotted key. Raises `RecipeError` if it is no object."""
    return flatten(read_file(path))


def _differs(found: str, wanted: str | float) -> bool:
    text = found.lower()
    if text in _SILENT:
        return False
    try:
        return float(text) != float(wanted)
    except ValueError:
        return text != wanted


def _overruled(key: str, found: str, wanted: str, todo: str) -> RecipeError:
    return RecipeError(f"launcher: {key}: {found} would overrule the recipe ({wanted}); {todo}")


def main() -> None:
    """Run accelerate's launcher, and end with the exit code of the process that failed first."""
    from accelerate.commands import launch
    from torch.distributed import run
    from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    end_with_runner()
    # The library waits 30 s for a step and a checkpoint before it kills the processes.
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(_PATIENCE_S))
    # One process takes this one's place, so that signals reach it and its exit code is this one's.
    launch.simple_launcher = _become
    run.run = partial(_run, run.run)
    LocalElasticAgent._monitor_workers = _without_vain_restarts(LocalElasticAgent._monitor_workers)  # type: ignore[method-assign]
    try:
        launch.main()
    except ChildFailedError as error:
        number, code = _first_failure({rank: failure.exitcode for rank, failure in error.failures.items()})
        if code < 0:
            sys.stderr.write(_killed(number, error.failures[number].pid, signal.Signals(-code).name))
        sys.exit(_exit_code(code))
    except SignalException as error:
        sys.exit(128 + error.sigval)


def _run(run: Callable[[Any], None], arguments: Any) -> None:
    """Pass on every signal that asks to stop, and start the processes of one machine so that they can start again.

    By default, SIGUSR1 would end the launcher, and with it its processes before they have saved. A second start would
    keep the addresses of the processes that have ended, and new ones try to reach them: so each start finds its own
    place to meet, with a store of addresses that is not the launcher's.
    """
    arguments.signals_to_handle = ",".join(number.name for number in REQUESTS)
    if int(arguments.max_restarts) and str(arguments.nnodes) in ("1", "1:1"):
        arguments.standalone = True
        os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    run(arguments)


def _without_vain_restarts(monitor: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return the method by which torch's agent looks at its processes, but without restarts that would change nothing.

    The agent starts processes again whatever their exit code, and asks nobody (torch 2.13, `_invoke_run`).
    """

    def look(agent: Any, group: Any) -> Any:
        found = monitor(agent, group)
        if found.failures and not _is_worth_a_restart([one.exitcode for one in found.failures.values()]):
            agent._remaining_restarts = 0
        return found

    return look


def _is_worth_a_restart(codes: Sequence[int]) -> bool:
    """Return whether processes died, rather than ended as they meant to.

    They mean to where a recipe is refused, where work goes on elsewhere or was not published, and where they were
    asked to stop. The launcher itself asks those that are left when one has failed, so an exit code of a request
    alone does not say that somebody asked.

    Args:
        codes (`Sequence[int]`): the exit codes of the processes that failed; negative for signals.
    """
    ended = {_exit_code(code) for code in codes}
    if any(code < 0 and _exit_code(code) not in INTERRUPTED for code in codes):
        return True
    return not ended & {REFUSED, NOT_PUBLISHED, UNFINISHED} and not ended <= set(INTERRUPTED)


def _become(arguments: Any) -> None:
    from accelerate.utils.launch import prepare_simple_launcher_cmd_env

    command, environment = prepare_simple_launcher_cmd_env(arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execvpe(command[0], command, environment)


def _first_failure(codes: Mapping[int, int]) -> tuple[int, int]:
    """Return the rank that ended the others and its exit code.

    That is one that a signal ended; else one with an exit code of its own: not 1, as one has that only lost the
    connection, nor that of SIGTERM, which the launcher sends to those that are left; else any.

    Args:
        codes (`Mapping[int, int]`): the exit codes of the processes that failed, by rank.
    """

    def order(rank: int) -> tuple[bool, bool, int]:
        code = codes[rank]
        return code >= 0 or code == -signal.SIGTERM, code in (1, -signal.SIGTERM, 128 + signal.SIGTERM), rank

    first = min(codes, key=order)
    return first, codes[first]


def _killed(rank: int, process: int, name: str) -> str:
    memory = ", as the system does when memory runs out" if name == "SIGKILL" else ""
    return (
        f"rank {rank} (process {process}) was ended by {name}{memory}, and with it the job; checkpoints are kept; run "
        "the same command again to resume, or with --max_restarts 1 to let the launcher do so\n"
    )


def _exit_code(code: int) -> int:
    """Return the exit code of a process; one that a signal ended has 128 and its number, as in a shell."""
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    main()
