"""The folder of a stage: what is skipped, resumed and refused, with content of no meaning."""

import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from domain_tokens.recipe import Recipe, RecipeError, load_recipe
from domain_tokens.runs.files import read_json, sha256_file, sha256_weights
from domain_tokens.runs.layout import LOCK
from domain_tokens.runs.stage_folder import StageFolder, require

INPUTS = {"seed": 0, "pretrain": {"learning_rate": 0.001, "betas": [0.9, 0.95]}}


@pytest.fixture(scope="module")
def recipe(root: Path) -> Recipe:
    return load_recipe([str(root / "recipes/baseline.yaml")])


def stage(folder: Path, **changed: object) -> StageFolder:
    return StageFolder("pretrain", folder / "final", INPUTS | changed)


def finish(recipe: Recipe, folder: Path) -> Path:
    with stage(folder).writing(recipe) as (partial, manifest):
        (partial / "model").mkdir()
        (partial / "model" / "weights.bin").write_bytes(b"weights")
        manifest["reported"] = {"train_loss": 2.5}
    return folder / "final"


def test_a_stage_that_was_not_begun_is_not_complete(tmp_path: Path) -> None:
    assert not stage(tmp_path).is_complete()
    assert not list(tmp_path.iterdir())
    with pytest.raises(RecipeError, match=r"final: missing or incomplete; run scripts/x\.py with the same recipe"):
        require(tmp_path / "final", "scripts/x.py")


def test_a_finished_stage_is_skipped(recipe: Recipe, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    finish(recipe, tmp_path)
    with caplog.at_level(logging.INFO):
        assert stage(tmp_path).is_complete()
    assert caplog.messages == [f"pretrain: complete, skipped ({tmp_path / 'final'})"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["final"]


def test_the_manifest_says_what_is_in_the_folder(recipe: Recipe, tmp_path: Path) -> None:
    folder = finish(recipe, tmp_path)
    manifest = require(folder, "scripts/x.py")
    assert (manifest.stage, manifest.condition, manifest.seed) == ("pretrain", "baseline", recipe.seed)
    assert manifest.inputs == INPUTS
    assert manifest.reported == {"train_loss": 2.5}
    assert manifest.files == {name: sha256_file(folder / name) for name in ("model/weights.bin", "run_config.yaml")}
    assert manifest.environment.packages["torch"]
    assert manifest.prereg is not None
    assert manifest.prereg.file == "prereg.yaml"
    assert set(json.loads((folder / "manifest.json").read_text())) == {
        "stage", "condition", "seed", "reported", "inputs", "prereg", "environment", "wall_time_s", "files",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"seed": 1}, "seed: recorded 0, now 1"),
        (
            {"pretrain": {"learning_rate": 0.002, "betas": [0.9, 0.95]}},
            "pretrain.learning_rate: recorded 0.001, now 0.002",
        ),
        ({"pretrain": {"learning_rate": 0.001, "betas": [0.9, 0.99]}}, "pretrain.betas.1: recorded 0.95, now 0.99"),
        ({"corpus": "new"}, "corpus: recorded None, now 'new'"),
    ],
)
def test_other_inputs_are_refused(changed: dict, named: str, recipe: Recipe, tmp_path: Path) -> None:
    finish(recipe, tmp_path)
    stage(tmp_path).open_work(tmp_path / "work", recipe)
    for claim, wrong, remedy in (
        (stage(tmp_path, **changed).is_complete, "made from", "remove the folder to create it again"),
        (
            lambda: stage(tmp_path, **changed).open_work(tmp_path / "work", recipe),
            "unfinished work that was begun with", "remove the folder to begin anew",
        ),
    ):  # fmt: skip
        with pytest.raises(RecipeError) as caught:
            claim()
        assert f"{wrong} another recipe or other inputs ({named}" in str(caught.value)
        assert remedy in str(caught.value)


def test_work_that_has_saved_nothing_is_begun_anew_with_other_inputs(recipe: Recipe, tmp_path: Path) -> None:
    stage(tmp_path).open_work(tmp_path / "work", recipe)
    declared = (tmp_path / "work/declared.json").read_bytes()
    other = stage(tmp_path, corpus="new")
    with pytest.raises(RecipeError, match="corpus: recorded None, now 'new'"):
        other.open_work(tmp_path / "work", recipe)
    other.open_work(tmp_path / "work", recipe, has_results=False)
    assert read_json(tmp_path / "work/inputs.json")["corpus"] == "new"
    assert not (tmp_path / "work/changes.json").exists()
    assert (tmp_path / "work/declared.json").read_bytes() == declared


def test_of_many_differences_three_are_named(recipe: Recipe, tmp_path: Path) -> None:
    finish(recipe, tmp_path)
    with pytest.raises(RecipeError, match=r"a: recorded None, now 1; b: .*; c: .* and 2 more\)"):
        stage(tmp_path, a=1, b=1, c=1, d=1, e=1).is_complete()


def test_unfinished_work_is_resumed_with_the_same_inputs(recipe: Recipe, tmp_path: Path) -> None:
    work = tmp_path / "work"
    stage(tmp_path).open_work(work, recipe)
    (work / "checkpoint-2").mkdir()
    stage(tmp_path, pretrain={"betas": (0.9, 0.95), "learning_rate": 1e-3}).open_work(
        work, recipe
    )  # as it reads from a file
    names = [LOCK, "checkpoint-2", "declared.json", "inputs.json", "running.json"]
    assert sorted(path.name for path in work.iterdir()) == names
    assert json.loads((work / "inputs.json").read_text()) == INPUTS
    assert not stage(tmp_path).is_complete()


def test_a_stage_that_was_cut_while_it_was_written_is_written_again(recipe: Recipe, tmp_path: Path) -> None:
    def cut() -> None:
        with stage(tmp_path).writing(recipe) as (partial, _):
            (partial / "half.bin").write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut()
    assert (tmp_path / "final.partial" / "half.bin").read_bytes() == b"half"
    assert not stage(tmp_path).is_complete()
    folder = finish(recipe, tmp_path)
    assert not (folder / "half.bin").exists()
    assert not (tmp_path / "final.partial").exists()


def test_a_folder_without_a_manifest_is_replaced(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "final").mkdir()
    (tmp_path / "final" / "old.bin").write_bytes(b"old")
    assert not stage(tmp_path).is_complete()
    assert not (finish(recipe, tmp_path) / "old.bin").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"stage": "pretrain"}'])
def test_a_damaged_manifest_is_named(content: str, recipe: Recipe, tmp_path: Path) -> None:
    manifest = finish(recipe, tmp_path) / "manifest.json"
    manifest.write_text(content)
    for read in (stage(tmp_path).is_complete, lambda: require(tmp_path / "final", "scripts/x.py")):
        with pytest.raises(RecipeError, match=r"manifest\.json: (damaged|\w+ is missing)"):
            read()


def test_damaged_inputs_of_unfinished_work_are_named(recipe: Recipe, tmp_path: Path) -> None:
    stage(tmp_path).open_work(tmp_path / "work", recipe)
    (tmp_path / "work" / "inputs.json").write_text("{")
    with pytest.raises(RecipeError, match=r"inputs\.json: damaged"):
        stage(tmp_path).open_work(tmp_path / "work", recipe)


def test_a_manifest_that_is_not_of_its_type_is_not_written(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="reported"), stage(tmp_path).writing(recipe) as (_, manifest):
        manifest["reported"] = 3
    assert not (tmp_path / "final").exists()


def test_a_removed_folder_is_made_anew(recipe: Recipe, tmp_path: Path) -> None:
    shutil.rmtree(finish(recipe, tmp_path))  # what the refusal says to do
    changed = stage(tmp_path, seed=1)
    assert not changed.is_complete()
    with changed.writing(recipe):
        pass
    assert changed.is_complete()


def test_a_finished_stage_that_lost_a_file_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    (finish(recipe, tmp_path) / "model" / "weights.bin").unlink()
    with pytest.raises(RecipeError, match=r"weights\.bin: missing from a complete stage; remove the folder"):
        stage(tmp_path).is_complete()


def test_two_processes_do_not_work_in_one_folder(recipe: Recipe, tmp_path: Path) -> None:
    work = tmp_path / "work"
    holds = (
        "import fcntl, sys; file = open(sys.argv[1], 'a'); fcntl.flock(file, fcntl.LOCK_EX); "
        "print('held', flush=True); sys.stdin.read()"
    )
    work.mkdir()
    command = [sys.executable, "-c", holds, str(work / LOCK)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(RecipeError, match="work: another process is writing to it"):
            stage(tmp_path).open_work(work, recipe)
        other.communicate("")
    stage(tmp_path).open_work(work, recipe)
    stage(tmp_path).open_work(work, recipe)  # the same process may claim it again


@pytest.mark.parametrize("name", ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"])
def test_the_hash_of_weights_covers_every_file(name: str, tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"model-0000{number}-of-00002.safetensors").write_bytes(b"weights")
    before = sha256_weights(tmp_path)
    (tmp_path / name).write_bytes(b"changed")
    assert sha256_weights(tmp_path) != before


def of_sources(*sources: dict[str, object]) -> dict[str, object]:
    return {"sources": list(sources), "corpus": {"sources": list(sources)}}


MINE = {"name": "mine", "kind": "file", "path": "/here/a.jsonl", "sha256": [["a.jsonl", "1"], ["b.jsonl", "2"]]}
WEB = {"name": "web", "kind": "hub", "path": "owner/data", "sha256": []}


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        (MINE | {"path": "/there/a.jsonl"}, True),
        (MINE | {"path": ["/there/a.jsonl", "/there/b.jsonl"]}, True),
        (MINE | {"sha256": [["c.jsonl", "1"], ["d.jsonl", "2"]]}, True),
        (MINE | {"sha256": [["a.jsonl", "1"], ["b.jsonl", "3"]]}, False),
        (MINE | {"sha256": [["b.jsonl", "2"], ["a.jsonl", "1"]]}, False),
        (MINE | {"name": "other"}, False),
        (WEB | {"path": "owner/other"}, False),
    ],
)
def test_files_are_known_by_their_content_and_not_by_their_place(
    changed: dict[str, object], same: bool, recipe: Recipe, tmp_path: Path
) -> None:
    made = stage(tmp_path, **of_sources(WEB if changed["kind"] == "hub" else MINE))
    with made.writing(recipe):
        pass
    assert made.is_complete()
    again = stage(tmp_path, **of_sources(changed))
    if same:
        assert again.is_complete()
    else:
        with pytest.raises(RecipeError, match=r"made from another recipe or other inputs \((corpus\.)?sources\.0"):
            again.is_complete()


# --- Effective values ------------------------------------------------------------------------------------------------

SFT = {"seed": 0, "sft": {"learning_rate": 1e-4, "max_length": 64}, "args": {"num_train_epochs": 2}}


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({"sft": SFT["sft"] | {"padding_free": False, "max_grad_norm": 1.0, "weight_decay": 0}}, True),
        ({"args": SFT["args"] | {"padding_free": False, "learning_rate": 0.0001}}, True),
        ({"sft": SFT["sft"] | {"learning_rate": "1e-4"}}, True),
        ({"sft": SFT["sft"] | {"num_train_epochs": 2}, "args": {}}, True),
        ({"sft": SFT["sft"] | {"num_train_epochs": 5}}, True),
        ({"sft": SFT["sft"] | {"lr_scheduler_kwargs": None}}, True),
        ({"sft": SFT["sft"] | {"report_to": ["tensorboard", "trackio"], "run_name": "mine"}}, True),
        ({"args": SFT["args"] | {"report_to": "wandb"}}, True),
        ({"sft": SFT["sft"] | {"padding_free": True}}, False),
        ({"sft": SFT["sft"] | {"learning_rate": 2e-5}}, False),
        ({"args": SFT["args"] | {"padding_free": True}}, False),
        ({"args": {"num_train_epochs": 3}}, False),
        ({"args": {}}, False),
        ({"sft": SFT["sft"] | {"lr_scheduler_kwargs": {"min_lr_rate": 0.1}}}, False),
    ],
)
def test_inputs_are_what_they_come_to(changed: dict, same: bool, recipe: Recipe, tmp_path: Path) -> None:
    for old, new in ((SFT, SFT | changed), (SFT | changed, SFT)):
        folder = tmp_path / f"{old is SFT}"
        with StageFolder("sft", folder / "final", old).writing(recipe):
            pass
        again = StageFolder("sft", folder / "final", new)
        if same:
            assert again.is_complete()
        else:
            with pytest.raises(RecipeError, match=r"other inputs \(sft\.\w+"):
                again.is_complete()


@pytest.mark.parametrize(
    ("section", "argument", "usual", "other"),
    [
        ("pretrain", "max_grad_norm", 1.0, 0.5),
        ("pretrain", "bf16", False, True),
        ("grpo", "beta", 0, 0.04),
        ("grpo", "temperature", 1, 0.9),
        ("model", "n_inner", None, 64),
        ("model", "resid_pdrop", 0.1, 0),
    ],
)
def test_a_default_that_is_spelled_out_is_no_other_input(
    section: str, argument: str, usual: object, other: object, recipe: Recipe, tmp_path: Path
) -> None:
    def of(**values: object) -> StageFolder:
        return StageFolder("any", tmp_path / "final", {section: {"kept": 1, **values}})

    with of().writing(recipe):
        pass
    assert of(**{argument: usual}).is_complete()
    with pytest.raises(RecipeError, match=rf"\({section}\.{argument}: recorded None, now {other}\)"):
        of(**{argument: other}).is_complete()


def test_one_column_in_a_list_is_the_column(recipe: Recipe, tmp_path: Path) -> None:
    with stage(tmp_path, **of_sources(MINE | {"text_key": "text"})).writing(recipe):
        pass
    assert stage(tmp_path, **of_sources(MINE | {"text_key": ["text"]})).is_complete()
    with pytest.raises(RecipeError, match="other inputs"):
        stage(tmp_path, **of_sources(MINE | {"text_key": ["text", "more"]})).is_complete()
