"""What pip and uv install: the pins of constraints.txt, for both."""

import importlib.util
import json
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from tiny import ROOT

from domain_tokens.recipe.argument_table import TABLE

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins() -> list[str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_uv_is_given_the_pins_of_constraints() -> None:
    """If this fails: `make uv-constraints`."""
    assert len(pins()) > 100
    assert PYPROJECT["tool"]["uv"]["constraint-dependencies"] == pins()


def test_the_pins_are_written_once_however_often(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("uv_constraints", ROOT / ".ci" / "uv_constraints.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = (ROOT / "pyproject.toml").read_text()
    assert module.with_pins(text, module.read_pins((ROOT / "constraints.txt").read_text())) == text
    other = module.with_pins(text, ["torch==1.0"])
    assert tomllib.loads(other)["tool"]["uv"]["constraint-dependencies"] == ["torch==1.0"]
    assert tomllib.loads(other)["tool"]["uv"]["environments"] == PYPROJECT["tool"]["uv"]["environments"]


def test_a_lock_file_with_the_hosts_of_a_machine_is_not_committed() -> None:
    assert "uv.lock" in (ROOT / ".gitignore").read_text().splitlines()
    assert not {"index", "sources", "index-url", "extra-index-url"} & set(PYPROJECT["tool"]["uv"])


def test_the_table_of_arguments_is_part_of_the_package() -> None:
    assert json.loads(TABLE.read_text())["arguments"].keys() == {
        "TrainingArguments", "SFTConfig", "GRPOConfig", "GPT2Config"
    }  # fmt: skip
    assert "**/*.json" in PYPROJECT["tool"]["setuptools"]["package-data"]["domain_tokens"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not installed")
def test_uv_resolves_to_the_pins(tmp_path: Path) -> None:
    """Asks the package index: for a machine with a network."""
    command = [
        "uv",
        "pip",
        "compile",
        "-q",
        "--no-annotate",
        "--no-header",
        "--extra",
        "dev",
        str(ROOT / "pyproject.toml"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    resolved = {line.split("==")[0]: line for line in done.stdout.split()}
    pinned = {pin.split("==")[0].lower().replace("_", "-").replace(".", "-"): pin for pin in pins()}
    assert "torch" in resolved
    for name, line in resolved.items():
        if name in pinned:
            assert line.split("==")[1] == pinned[name].split("==")[1]
