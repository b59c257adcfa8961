"""A Hub on loopback that can be written to, a process that pushes and pulls, and a small run that was trained."""

import shutil
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path

import pytest
from hub import reading, writing
from hub.remote import Remote
from hub.repositories import Repository
from hub.server import HubServer
from publisher import SMALL_RUN, TOKEN, Publisher


@pytest.fixture(scope="session")
def trained(build_once: Callable[..., Path]) -> Path:
    """The output folder of an experiment with one run, pretrained with two checkpoints and fine-tuned."""

    def fill(folder: Path) -> None:
        from real_stages import run_here, small_recipe

        for stage in ("prepare_data", "pretrain", "sft"):
            run_here(stage, small_recipe(folder, "mul_tokens", *SMALL_RUN))

    return build_once("published", fill)


@pytest.fixture
def copied(trained: Path, tmp_path: Path) -> Path:
    """A copy of the output folder that a test may spoil."""
    shutil.copytree(trained, tmp_path / "outputs")
    return tmp_path / "outputs"


@pytest.fixture(scope="session")
def _publisher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Publisher]:
    accounts = writing.Accounts()
    server = HubServer(reading.ROUTES + writing.routes(accounts))
    server.start()
    process = Remote(server.endpoint, tmp_path_factory.mktemp("publisher"))
    yield Publisher(server, accounts, process)
    process.close()
    server.stop()


@pytest.fixture(scope="session")
def _pushed(_publisher: Publisher, trained: Path) -> dict[str, Repository]:
    _empty(_publisher)
    assert _publisher.push(trained / "tiny", "--checkpoints").returncode == 0
    return deepcopy(_publisher.hub.repositories)


@pytest.fixture
def pushed(publisher: Publisher, _pushed: dict[str, Repository]) -> Publisher:
    """A Hub that has the run, its checkpoints and the results."""
    publisher.hub.repositories.update(deepcopy(_pushed))
    return publisher


def _empty(publisher: Publisher) -> None:
    publisher.hub.repositories.clear()
    publisher.hub.received.clear()
    publisher.accounts.collections.clear()
    publisher.accounts.roles.clear()
    publisher.accounts.users = {TOKEN: "me"}


@pytest.fixture
def publisher(_publisher: Publisher) -> Publisher:
    """The Hub, empty, with one user whose token the process has."""
    _empty(_publisher)
    return _publisher
