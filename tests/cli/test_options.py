"""Options of a command line: one value each, and what adds up adds up."""

import argparse
import importlib
import re
from pathlib import Path

import pytest
from tiny import ROOT

from domain_tokens.cli import run_experiment
from domain_tokens.cli.common import Parser

ONE = ["recipes/baseline.yaml"]


def parser() -> argparse.ArgumentParser:
    return run_experiment._parser()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--jobs", "1", "--jobs", "2"], "argument --jobs: given twice, as 1 and 2"),
        (["--threads=2", "--jobs=2", "--threads=3"], "argument --threads: given twice, as 2 and 3"),
        (["--seeds", "0", "1", "--seeds", "2"], "argument --seeds: given twice, as [0, 1] and [2]"),
        (["--config-file", "a.yaml", "--config-file", "b.yaml"], "given twice, as a.yaml and b.yaml"),
        (["--in-process", "--no-in-process"], "--in-process contradicts --no-in-process"),
        (["--no-in-process", "--in-process"], "--no-in-process contradicts --in-process"),
    ],
)
def test_an_option_that_is_given_two_values_is_refused(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        parser().parse_args([*ONE, *options])
    assert end.value.code == 2
    assert said in capsys.readouterr().err


def test_the_same_value_twice_is_one() -> None:
    read = parser().parse_args([*ONE, "--jobs", "2", "--jobs", "2", "--seeds", "1", "--seeds", "1", "--no-in-process"])
    assert (read.jobs, read.seeds, read.in_process) == (2, [1], False)


def test_what_adds_up_is_kept() -> None:
    read = parser().parse_args(
        [
            *ONE,
            "--set",
            "seed_offset=1",
            "--overlay",
            "a.yaml",
            "--set",
            "rules=2",
            "generator=4",
            "--overlay",
            "b.yaml",
        ]
    )
    assert read.overrides == ["seed_offset=1", "rules=2", "generator=4"]
    assert read.overlay == [Path("a.yaml"), Path("b.yaml")]


def test_no_command_has_a_parser_of_the_library() -> None:
    """Such a parser would neither have the name that was typed nor say what a misspelled option may be."""
    sources = list((ROOT / "src/domain_tokens/cli").glob("*.py")) + list((ROOT / "scripts").glob("*.py"))
    assert len(sources) > 50
    assert [one.name for one in sources if re.search(r"= (argparse\.)?ArgumentParser\(", one.read_text())] == []


def test_every_command_has_options_of_one_value() -> None:
    commands = ["calibrate_pipeline", "preregister", "tune_learning_rate", "run_robustness", "compare", "sample"]
    for name in commands:
        made = importlib.import_module(f"domain_tokens.cli.{name}")._parser("")
        assert isinstance(made, Parser)
        overrides = [action for action in made._actions if action.dest == "overrides"]
        assert [type(action).__name__ for action in overrides] == ["_ExtendAction"] * len(overrides)
        assert not [action for action in made._actions if type(action).__name__ == "_StoreAction"]


@pytest.mark.parametrize("option", ["--threads", "--jobs"])
def test_more_processes_than_a_machine_has_are_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert parser().parse_args([*ONE, option, "64"])
    with pytest.raises(SystemExit):
        parser().parse_args([*ONE, option, "999999"])
    assert f"argument {option}: expected at most 1,024, got 999,999" in capsys.readouterr().err
