"""What the commands that run experiments share: the display, signals, and how a failed stage ends them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from domain_tokens.cli.common import announce_checks
from domain_tokens.cli.display import experiment_display
from domain_tokens.experiment import TaskFailed
from domain_tokens.experiment.tasks import Display
from domain_tokens.stopping.signals import INTERRUPTED, end_by_signals
from domain_tokens.warm_process import WarmProcessError


@contextmanager
def running_experiments(remedy: str = "", announces: bool = True) -> Iterator[Display]:
    """Yield the display of experiments that are run inside the block.

    A signal ends the stages, which save, before it ends the program. A stage that fails ends the program with the
    stage's exit code where that is one of a program or of a request to stop, otherwise with 1.

    Args:
        remedy (`str`, *optional*): what to do beside resuming when the process that stages are forked from has ended.
        announces (`bool`, *optional*): whether to say that recipes are checked; false where the command has said so.
    """
    if announces:
        announce_checks()
    end_by_signals()  # runs the `finally` blocks, which end all stages
    try:
        with experiment_display() as display:
            yield display
    except TaskFailed as failed:
        sys.exit(failed.code if 0 < failed.code < 126 or failed.code in INTERRUPTED else 1)
    except WarmProcessError as error:
        sys.exit(f"error: {error}; run the same command again to resume{remedy}")
