"""What pip and uv install: the pins of constraints.txt for both, the commands and the recipes in a wheel."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from tiny import ROOT

from domain_tokens.recipe.argument_table import TABLE
from domain_tokens.runs.provenance import git_commit, git_is_dirty

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


def test_requirements_are_the_dependencies_of_the_project() -> None:
    """If this fails: `make uv-constraints`."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert lines[1:] == ["-c constraints.txt", *PYPROJECT["project"]["dependencies"]]
    assert "torch>=2.10" in lines


def test_the_citation_has_what_its_format_requires() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= cited.keys()
    assert cited["cff-version"] == "1.2.0"
    assert cited["type"] == "software"
    assert cited["version"] == PYPROJECT["project"]["version"]
    assert cited["license"] == PYPROJECT["project"]["license"]
    assert [set(author) for author in cited["authors"]] == [{"name"}]


IN_WHEEL = ("scripts", "recipes", "accelerate_configs")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of the checkout, built offline on a copy, because building writes into the tree."""
    tree = tmp_path_factory.mktemp("tree")
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    for name in (*IN_WHEEL, "src"):
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, tree / name, ignore=ignored)
    build = "from setuptools import build_meta; build_meta.build_wheel('.')"
    done = subprocess.run([sys.executable, "-c", build], cwd=tree, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    (built,) = tree.glob("*.whl")
    return built


def test_a_wheel_has_the_commands_and_the_recipes(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    package = tmp_path / "installed" / "domain_tokens"
    for folder in IN_WHEEL:
        files = [path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".yaml")]
        assert len(files) > 10
        assert [
            path for path in files if (package / "_shipped" / path).read_bytes() != (ROOT / path).read_bytes()
        ] == []
    pages = [path for path in (ROOT / "src").rglob("*") if path.suffix in (".html", ".css", ".js", ".jinja")]
    assert {path.suffix for path in pages} == {".html", ".css", ".js", ".jinja"}
    assert [path for path in pages if not (tmp_path / "installed" / path.relative_to(ROOT / "src")).is_file()] == []
    (entries,) = (tmp_path / "installed").glob("*.dist-info/entry_points.txt")
    assert "domain-tokens = domain_tokens.cli.commands:main" in entries.read_text()
    elsewhere = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
    command = [sys.executable, "-m", "domain_tokens", "copy-recipes", "lab"]
    done = subprocess.run(command, cwd=tmp_path, env=elsewhere, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for name in ("recipes/conditions/wrong_numbers.yaml", "accelerate_configs/cpu.yaml"):
        assert (tmp_path / "lab" / name).read_bytes() == (ROOT / name).read_bytes()


@pytest.mark.slow
@pytest.mark.integration
def test_an_installed_wheel_runs_an_experiment_in_another_folder(wheel: Path, tmp_path: Path) -> None:
    """As a user does: pip, then the command. Every stage has its own process, with the launcher where it trains."""
    pytest.importorskip("pip")  # uv makes environments without it
    installed, lab = tmp_path / "installed", tmp_path / "lab"
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", installed, wheel], check=True, timeout=120)
    environment = {**os.environ, "PYTHONPATH": str(installed)}

    def run(*arguments: str, folder: Path = lab) -> str:
        command = [str(installed / "bin" / "domain-tokens"), *arguments]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    run("copy-recipes", "lab", folder=tmp_path)
    recipes, scale = ("recipes/baseline.yaml", "recipes/mul_tokens.yaml"), "recipes/scales/try.yaml"
    run("experiment", *recipes, "--overlay", scale, "--config-file", "accelerate_configs/cpu.yaml")
    trained = sorted((lab / "outputs/try").glob("exp_*/seed_0/grpo_final/manifest.json"))
    assert [path.parents[2].name for path in trained] == ["exp_baseline", "exp_mul_tokens"]
    assert (lab / "outputs/try/report.html").is_file()
    log = (lab / "outputs/try/logs/mul_tokens_seed0_pretrain.log").read_text()
    assert f"{installed}/domain_tokens/_shipped/scripts/run_pretrain.py" in log

    launch = ["-m", "domain_tokens.runs.launcher", "--config_file", "accelerate_configs/cpu.yaml", "--module"]
    command = [sys.executable, *launch, "domain_tokens", "pretrain", *recipes[:1], scale, "seed=1"]
    subprocess.run(command, cwd=lab, env=environment, capture_output=True, check=True, timeout=600)
    manifest = json.loads((lab / "outputs/try/exp_baseline/seed_1/pretrain_final/manifest.json").read_text())
    assert manifest["environment"]["command"] == "run_pretrain.py"


def test_a_package_inside_the_checkout_of_another_project_has_no_commit(tmp_path: Path) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    package = tmp_path / ".venv" / "domain_tokens"
    package.mkdir(parents=True)
    for folder, text in ((package, "a"), (tmp_path, ".venv")):
        (folder / ".gitignore").write_text(text)
    for command in (["init"], ["add", ".gitignore"], [*identity, "commit", "-m", "first"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / ".gitignore").write_text(".venv*")
    assert git_commit(tmp_path) is not None
    assert git_is_dirty(tmp_path)
    assert git_commit(package) is None
    assert not git_is_dirty(package)
