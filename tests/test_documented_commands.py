"""Every command of README and the documents is one that its program accepts, and the recipes it names can be read.

Nothing is run: a program is left as soon as it has read its command line. The guides' blocks are run by
`test_guides.py`; here their commands are read, too.
"""

import argparse
import itertools
import re
import runpy
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from tiny import ROOT

from domain_tokens.cli.commands import commands
from domain_tokens.cli.common import Parser
from domain_tokens.recipe import load_recipe

FOUND = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "recipes").rglob("*.md")]
PAGES = sorted(page for page in FOUND if page.name != "CHANGELOG.md")  # which has the commands of former versions
FENCE = re.compile(r"^[ ]*```(\w*)\n(.*?)^[ ]*```", re.MULTILINE | re.DOTALL)
STARTS = re.compile(
    r"(?:\w+=\S+ )*(?:python(?:3)? |\.venv/bin/python |accelerate launch |domain-tokens |make |srun |scripts/\w+\.py )"
)
MADE_BEFORE = ("mine/", "programs.jsonl", "FILE")  # by the blocks above a command, or by the reader
TRANSPLANT = "scripts/run_experiment.py --transplant"  # beside a command in full
OPTIONS_OF_ACCELERATE = ("--quiet", "--config_file", "--machine_rank", "--module", "--max_restarts")
STANDS_FOR = {
    "RECIPE...": "recipes/mul_tokens.yaml",
    "$HALF": "experiment=half sft.num_train_epochs=0.5",
    "A=... B=...": "A=outputs/a/exp_a B=outputs/a/exp_b",
    "make compare": "make compare B=outputs/demo/exp_mul_tokens",  # by default, what is there
    "--price P": "--price 2 recipes/mul_tokens.yaml",
    '--amend "REASON"': '--amend "REASON" recipes/mul_tokens.yaml',
}
"""What stands for something else in a command that is shown, and one thing it may stand for."""


class Parsed(Exception):
    """A command line was accepted."""


def documented(page: Path) -> Iterator[str]:
    """Yield the commands of a page, each up to `&&`: the lines of its blocks, and code in its sentences."""
    text = page.read_text(encoding="utf-8")
    for language, block in FENCE.findall(text):
        if language in ("bash", "console"):
            for line in re.sub(r"\s*\\\n\s*", " ", block).splitlines():
                if STARTS.match(found := line.strip().removeprefix("$ ").partition(" && ")[0]):
                    yield found
    for found in re.findall(r"`([^`\n]+)`", FENCE.sub("", text)):
        if STARTS.match(found) and found != TRANSPLANT and "..." not in found.replace("RECIPE...", ""):
            yield found


def scripts(command: str) -> Iterator[list[str]]:
    """Yield what a command starts of the project: the path of a script or benchmark, and its arguments."""
    for shown, meant in STANDS_FOR.items():
        command = command.replace(shown, meant)
    words = shlex.split(command, comments=True)
    while "=" in words[0] and not words[0].startswith("scripts/"):
        words.pop(0)
    if words[0] == "srun":
        words.pop(0)
    if words[0] == "make":
        done = subprocess.run(
            ["make", "-n", "CHANGED=", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=True
        )
        for line in done.stdout.splitlines():
            if re.search(r"(scripts|benchmarks)/\w+\.py", line) and "pytest" not in line:
                yield from scripts(line.replace(".venv/bin/python", "python"))
        return
    if words[0] == "domain-tokens":
        if len(words) > 2:  # not a command's name alone, nor `--help`
            yield [str(commands()[words[1]]), *words[2:]]
        return
    check_launcher(words)
    if "--module" in words:
        at = words.index("domain_tokens") + 1
        yield [str(commands()[words[at]]), *words[at + 1 :]]
        return
    at = next((index for index, word in enumerate(words) if re.match(r"(scripts|benchmarks)/", word)), None)
    if at is not None:
        yield words[at:]


def check_launcher(words: list[str]) -> None:
    """Check the options before the script, if there is a launcher; its own parser would import its libraries."""
    before = itertools.takewhile(lambda word: not word.startswith("scripts/") and word != "domain_tokens", words)
    if words[0] == "accelerate" or "domain_tokens.runs.launcher" in words:
        assert {word for word in before if word.startswith("--")} <= set(OPTIONS_OF_ACCELERATE), words


def accepted(script: list[str], monkeypatch: pytest.MonkeyPatch) -> argparse.Namespace:
    """Return what a script reads from its command line."""

    def stop(namespace: argparse.Namespace, unknown: list[str], parser: Parser) -> NoReturn:
        if unknown:
            parser.error(f"unrecognized arguments: {' '.join(unknown)}")
        raise Parsed(namespace)

    def parse_args(parser: Parser, *_: Any) -> NoReturn:
        stop(*parser.parse_known_args(), parser)

    def parse_intermixed_args(parser: Parser, *_: Any) -> NoReturn:
        stop(*parser.parse_known_intermixed_args(), parser)

    monkeypatch.setattr(Parser, "parse_args", parse_args)
    monkeypatch.setattr(Parser, "parse_intermixed_args", parse_intermixed_args)
    monkeypatch.setattr("sys.argv", script)
    with pytest.raises(Parsed) as parsed:
        runpy.run_path(str(ROOT / script[0]), run_name="__main__")
    (namespace,) = parsed.value.args
    return namespace


def check_recipes(given: argparse.Namespace) -> int:
    """Check that the files of a command are there, and that its overrides fit; return how many recipes it names.

    Whether every recipe and overlay can be read is tested elsewhere.
    """
    named = vars(given)
    overrides = [*named.get("overrides", []), *(named.get("strict") or [])]
    shared = [*map(str, named.get("overlay", [])), *overrides]
    lists = [[str(one), *shared] for one in named.get("recipes") or []]
    lists += [list(map(str, given.recipe))] if named.get("recipe") else []
    lists = [one for one in lists if not any(word.startswith((*MADE_BEFORE, "learning_rates=")) for word in one)]
    for one in lists:
        assert [word for word in one if "=" not in word and not Path(word).is_file()] == []
    if lists and any("=" in word for word in lists[0]):
        load_recipe(lists[0])
    return len(lists)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_are_accepted(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for command in documented(page):
        for script in scripts(command):
            if script[0].startswith("benchmarks/"):  # which import their libraries first
                source = (ROOT / script[0]).read_text(encoding="utf-8")
                assert [word for word in script if word.startswith("--") and f'"{word}"' not in source] == [], command
                continue
            given = accepted(script, monkeypatch)
            check_recipes(given)
            config = vars(given).get("config_file")
            assert config is None or config.is_file(), command


def test_commands_are_found_and_a_wrong_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    number = {page: len(list(documented(page))) for page in PAGES}
    assert number[ROOT / "README.md"] > 40
    assert sum(number.values()) > 150
    page = tmp_path / "page.md"
    page.write_text(
        "```bash\nHF=1 python scripts/run_experiment.py recipes/baseline.yaml \\\n    --sed 0\n```\n`make plan`\n"
    )
    commands = list(documented(page))
    assert commands == ["HF=1 python scripts/run_experiment.py recipes/baseline.yaml --sed 0", "make plan"]
    (wrong,), (plan,) = (list(scripts(one)) for one in commands)
    assert plan == ["scripts/plan.py", "outputs/demo/exp_baseline", "outputs/demo/exp_mul_tokens"]
    with pytest.raises(SystemExit):
        accepted(wrong, monkeypatch)
    assert "did you mean '--seeds'" in capsys.readouterr().err
    right = accepted([*wrong[:2], "--set", "seed=1"], monkeypatch)
    assert check_recipes(right) == 1
