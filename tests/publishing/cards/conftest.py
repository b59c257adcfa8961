"""Finished runs for the tests of the cards."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from card_runs import write_runs

from domain_tokens.analysis.statistics import mixed_logit


@contextmanager
def without_odds_ratio() -> Iterator[None]:
    """Fit no odds ratio: a second for each comparison of several seeds, and no card says anything of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mixed_logit, "MAX_ANSWERS", 0)
        yield


@pytest.fixture(scope="module", autouse=True)
def no_odds_ratio() -> Iterator[None]:
    """As above; until the module ends, since other tests of the process fit one."""
    with without_odds_ratio():
        yield


@pytest.fixture
def runs(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes an experiment into the test's folder."""
    return lambda **options: write_runs(tmp_path, **options)


@pytest.fixture(scope="session")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two conditions of two seeds, declared, frozen and compared. Nobody may change it."""
    with without_odds_ratio():  # made before the fixture of a module is
        return write_runs(tmp_path_factory.mktemp("cards"))


@pytest.fixture
def copied(experiment: Path, tmp_path: Path) -> Path:
    """A copy of `experiment` that a test may change."""
    shutil.copytree(experiment, tmp_path / experiment.name)
    return tmp_path / experiment.name
