"""What a recipe needs is listed with size, licence and place, and copied; offline, one message says so."""

import subprocess
import sys
from pathlib import Path

import pytest
from tiny import ROOT, run_inside, tiny_arguments

from domain_tokens.corpora.sources import read_documents
from domain_tokens.recipe import Source
from hub.conftest import DOCUMENTS, EXAMPLES
from hub.remote import environment
from hub.server import HubServer


def arguments_of(folder: Path) -> list[str]:
    return tiny_arguments(
        folder, "baseline",
        "corpus.sources=[{name: web, kind: hub, path: owner/web, config: sample, licence: CC0}, "
        f"{{name: mine, kind: file, path: '{folder}/mine.txt', licence: mine}}]",
        "grpo_prompts=[{name: sums, kind: hub, path: owner/sums}]",
        "evaluation.data.gsm8k={name: sums-again, kind: hub, path: owner/sums, config: null, split: train}",
    )  # fmt: skip


@pytest.mark.integration
def test_data_is_listed_and_copied(hub: HubServer, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("text")
    place = tmp_path / "data"
    command = [sys.executable, "scripts/download_data.py", *arguments_of(tmp_path), "--folder", str(place)]
    command += ["--only", "web", "mine", "sums"]
    variables = environment(hub.endpoint, tmp_path / "home") | {"COLUMNS": "300"}
    done = subprocess.run(command, env=variables, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = {line.split()[1]: line.split("\u2502")[1:-1] for line in done.stdout.splitlines() if "\u2502" in line}
    web, mine, sums = ([cell.strip() for cell in rows[name]] for name in ("web", "mine", "sums"))
    copied = sorted((place / "owner" / "web").glob("*/sample/*.parquet"))
    size = sum(file.stat().st_size for file in copied)
    assert web[1:5] == ["owner/web sample train", "3", f"{size / 1e6:,.1f}", "CC0"]
    assert web[5] == str(copied[0].parents[1])
    assert mine[2:6] == ["1", "0.0", "mine", "is here"]
    assert sums[4] == "not stated"
    assert sums[6] == "grpo_prompts.0, evaluation.data.gsm8k"
    # A copy is what the line says that it is.
    line = next(one for one in done.stdout.splitlines() if one.startswith("corpus.sources.0: kind: file, path: ["))
    files = [part.strip("' ") for part in line.partition("[")[2].partition("]")[0].split(",")]
    source = Source(name="copy", kind="file", path=files)
    assert [text for _, text, _ in read_documents(source, 0, 0.0, 0, 1)] == DOCUMENTS
    assert len(EXAMPLES) == 60
    assert list((place / "owner" / "sums").glob("*/train.parquet"))


def test_offline_is_one_message_after_the_list(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("text")
    done = run_inside("scripts/download_data.py", *arguments_of(tmp_path), "--dry-run")
    assert done.returncode == 2
    assert "owner/web sample train" in done.stdout
    assert "is here" in done.stdout
    web, others = done.stderr.splitlines()
    assert web.startswith("error: source web: the data set 'owner/web' is on the Hub and HF_HUB_OFFLINE is set")
    assert others.startswith("not asked for, because they are on the Hub, too: owner/sums")
    assert not (tmp_path / "data").exists()


@pytest.mark.integration
def test_without_a_network_the_hub_is_asked_once_and_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("text")
    command = [sys.executable, "scripts/download_data.py", *arguments_of(tmp_path), "--dry-run"]
    nobody = "http://127.0.0.1:9"  # the port of discard, where nobody listens
    variables = environment(nobody, tmp_path / "home")
    done = subprocess.run(command, env=variables, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    web, others = done.stderr.splitlines()
    assert web.startswith(f"error: source web: the data set 'owner/web': no connection to the Hub ({nobody}): ")
    assert others.startswith("not asked for, because they are on the Hub, too: owner/sums")


def test_a_name_that_no_source_has_is_refused(tmp_path: Path) -> None:
    done = run_inside("scripts/download_data.py", *arguments_of(tmp_path), "--only", "wbe")
    assert done.returncode == 2
    assert "--only: no source 'wbe'" in done.stderr
