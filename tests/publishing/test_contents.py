"""What is pushed of a stage and of results: the files as they were made, and a refusal that names any other."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from publisher import RUN

from domain_tokens.publishing.contents import (
    Contents,
    checkpoint_contents,
    find_stages,
    results_contents,
    stage_at,
    stage_contents,
)
from domain_tokens.recipe import RecipeError

FINAL = RUN / "pretrain_final"


def stage(output_dir: Path) -> Contents:
    return stage_contents(stage_at(output_dir / FINAL), "me", str)


def first_checkpoint(output_dir: Path) -> Contents:
    return next(checkpoint_contents(stage_at(output_dir / FINAL), "me"))


def results(output_dir: Path) -> Contents:
    return results_contents(output_dir / "tiny", "me", str)


def listed(contents: Contents) -> set[str]:
    """Return the files that `published.json` lists."""
    (record,) = (one for one in contents.files if one.path == "published.json")
    assert isinstance(record.content, bytes)
    return {*json.loads(record.content)["files"]}


def test_every_file_is_under_a_hash(trained: Path) -> None:
    manifest = json.loads((trained / FINAL / "manifest.json").read_text())
    assert listed(stage(trained)) == {"manifest.json", "tokenizer/manifest.json", "tokenizer/run_config.yaml"}
    assert {one.path for one in stage(trained).files} == {
        *listed(stage(trained)),
        *manifest["files"],
        "published.json",
    }
    assert listed(first_checkpoint(trained)) == {"inputs.json", "verified.json"}
    assert {one.path for one in results(trained).files} == {*listed(results(trained)), "published.json"}


@pytest.mark.parametrize(
    ("path", "of", "said"),
    [
        (FINAL / "metrics.jsonl", stage, "metrics.jsonl: changed since the manifest was written"),
        (RUN.parent / "tokenizer" / "run_config.yaml", stage, "changed since the manifest beside it was written"),
        (RUN / "checkpoints" / "pretrain" / "inputs.json", first_checkpoint, "seed: recorded 0, now 7"),
    ],
)
def test_what_was_changed_is_not_pushed(path: Path, of: Callable[[Path], Contents], said: str, copied: Path) -> None:
    assert of(copied).files
    content = (copied / path).read_text()
    (copied / path).write_text(content.replace('"seed": 0', '"seed": 7', 1) + "\n")
    assert (copied / path).read_text().strip() != content or path.name != "inputs.json"
    with pytest.raises(RecipeError) as refused:
        of(copied)
    assert said in str(refused.value)
    assert str(copied / path) in str(refused.value)


def test_a_copy_of_a_stage_is_named(copied: Path) -> None:
    assert [one.folder.name for one in find_stages(copied / RUN)] == ["pretrain_final", "sft_final"]
    shutil.copytree(copied / RUN / "sft_final", copied / RUN / "sft_old_final")
    with pytest.raises(RecipeError, match=r"sft_old_final: its manifest is of sft_.*: move a copy out of the run"):
        find_stages(copied / RUN)


def test_a_link_to_the_stage_of_another_experiment_is_published_with_that(copied: Path) -> None:
    (copied / RUN / "pretrain_final").rename(copied / "elsewhere")
    (copied / RUN / "pretrain_final").symlink_to(copied / "elsewhere")
    assert [one.folder.name for one in find_stages(copied / RUN)] == ["sft_final"]


def test_results_are_named_files_and_no_links(copied: Path) -> None:
    for path in ("diary.md", "report.html", "my_notes/customers.csv"):
        (copied / "tiny" / path).parent.mkdir(exist_ok=True)
        (copied / "tiny" / path).write_text("x")
    assert "report.html" in listed(results(copied))
    assert results(copied).left == ("diary.md",)
    assert not {"diary.md", "my_notes/customers.csv"} & listed(results(copied))
    (copied / "secret.json").write_text("{}")
    (copied / "tiny" / "overview.json").symlink_to(copied / "secret.json")
    with pytest.raises(RecipeError, match=r"overview\.json: is a link to a file outside of the experiment"):
        results(copied)
