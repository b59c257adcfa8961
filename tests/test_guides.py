"""The guides do what they say: their blocks are cut out and run as they stand, and print what the page says.

A fast test writes a guide's files and reads the recipes of its commands. Slow tests run every block, and so train.
"""

import doctest
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tiny import ROOT

from domain_tokens.recipe import Recipe, load_recipe

GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))
EXAMPLES = [page for page in GUIDES if page.stem != "pitfalls"]
PITFALLS = ROOT / "docs" / "guides" / "pitfalls.md"
STARTS = "python scripts/"

Said = tuple[str, str]
"""A command of a page, and the line that it prints; empty where the page shows none."""


def blocks(page: Path, language: str = "bash") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def commands(block: str) -> list[list[str]]:
    """Return the commands of a block that start a script, without variables before them."""
    lines = block.replace("\\\n", " ").splitlines()
    return [shlex.split(line[line.index(STARTS) :]) for line in lines if STARTS in line]


def said(page: Path) -> list[Said]:
    """Return the commands of a page's console blocks, each with the line below it."""
    lines = [line for block in blocks(page, "console") for line in [*block.splitlines(), "$ "]]
    return [
        (line.removeprefix("$ "), "" if after.startswith("$ ") else after)
        for line, after in zip(lines, lines[1:], strict=False)
        if line.startswith(f"$ {STARTS}")
    ]


def recipes(command: list[str]) -> list[Recipe]:
    """Return the recipes of `run_experiment.py` or `tune_learning_rate.py`, one for each condition."""
    given, options = command[2:], {"--overlay": [], "--set": []}
    conditions, taken = [], ""
    for one in given:
        if one.startswith("--"):
            taken = one
        elif taken in options:
            options[taken].append(one)
        elif not taken:
            conditions.append(one)
    learned = [one for one in options["--set"] if not one.startswith("learning_rates=")]  # made by the block before
    return [load_recipe([one, *options["--overlay"], *learned]) for one in conditions]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like the root of the repository, which becomes the working folder."""
    for name in ("recipes", "scripts", "accelerate_configs"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(block: str) -> str:
    """Run a block in the working folder as bash does, up to the first command that fails; return what it prints."""
    python = Path(sys.executable).parent
    paths = {"PATH": f"{python}:{os.environ['PATH']}", "PYTHONPATH": f"{ROOT / 'src'}:{os.environ['PYTHONPATH']}"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block], env={**os.environ, **paths}, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{block}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


@pytest.mark.parametrize("page", EXAMPLES, ids=lambda page: page.stem)
def test_a_guide_writes_files_that_its_commands_read(page: Path, workspace: Path) -> None:
    names = []
    for block in blocks(page):
        if block.startswith(("mkdir ", "cat >")):
            run(block)
        for command in commands(block):
            assert (workspace / command[1]).is_file()
            if command[1] in ("scripts/run_experiment.py", "scripts/tune_learning_rate.py"):
                names += [(one.experiment, one.condition) for one in recipes(command)]
    assert list((workspace / "mine").iterdir())
    assert len(set(names)) == 2
    assert len({experiment for experiment, _ in names}) == 1


def test_every_block_of_a_page_is_found() -> None:
    for page in GUIDES:
        assert page.read_text(encoding="utf-8").count("\n```") == 2 * len([*blocks(page), *blocks(page, "console")]), (
            page
        )
    assert len(said(PITFALLS)) == 9
    assert [expected for _, expected in said(PITFALLS)].count("") == 2


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", EXAMPLES, ids=lambda page: page.stem)
def test_a_guide_can_be_followed_word_for_word(page: Path, workspace: Path) -> None:
    for block in blocks(page):
        run(block)
    (report,) = (workspace / "outputs").glob("*/report.html")
    assert "One seed decides nothing" in report.read_text(encoding="utf-8")
    models = sorted((workspace / "outputs").glob("*/exp_*/seed_0/grpo_final/model.safetensors"))
    assert len(models) == 2


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.timeout(900)
def test_the_pitfalls_say_what_the_page_says(workspace: Path) -> None:
    for command, expected in said(PITFALLS):
        shown = run(f"{command} 2>&1 || true")
        assert expected in shown, command
        assert expected.startswith("error: ") == ("error: " in shown), command


def test_what_readme_shows_of_python_is_what_python_says() -> None:
    (block,) = blocks(ROOT / "README.md", "python")
    test = doctest.DocTestParser().get_doctest(block, {}, "README.md", "README.md", 0)
    assert len(test.examples) == 4
    assert doctest.DocTestRunner().run(test).failed == 0


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.*)", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_every_link_between_documents_leads_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "recipes").rglob("*.md")]
    links = [
        (page, path, anchor)
        for page in pages
        for path, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", page.read_text(encoding="utf-8"))
        if "://" not in path
    ]
    assert sum(bool(anchor) for _, _, anchor in links) > 50
    for page, path, anchor in links:
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name}: {path}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {path}#{anchor}"


def test_readme_leads_from_the_question_to_the_limits() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)", text, re.MULTILINE) == [
        "A result", "Two commands", "What you get", "The full experiment", "Bring your own intervention",
        "Bring your own logs", "Limits",
    ]  # fmt: skip
    (picture,) = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    assert (ROOT / picture).is_file()


def test_the_site_has_every_page() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    named = [page for entry in site["nav"] for value in entry.values() for page in pages_of(value)]
    docs = ROOT / "docs"
    assert sorted(named) == sorted(str(page.relative_to(docs)) for page in docs.rglob("*.md"))
    assert not site["theme"]["highlightjs"]  # would be loaded from the network


def pages_of(value: str | list[dict[str, str]]) -> list[str]:
    return [value] if isinstance(value, str) else [page for entry in value for page in entry.values()]


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "guides" / "pitfalls.html").is_file()
