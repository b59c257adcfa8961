"""The frozen record stays whole: two processes at once, a process that is killed, a clock that goes backwards."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from domain_tokens.recipe import RecipeError, load_recipe
from domain_tokens.runs import preregistration
from domain_tokens.runs.files import exclusive
from domain_tokens.runs.layout import PREREGISTRATION_LOCK
from domain_tokens.runs.preregistration import (
    FrozenContent,
    amend,
    comparable,
    content_differences,
    freeze,
    read_frozen,
    read_looks,
    record_look,
)
from domain_tokens.runs.provenance import git_is_dirty
from domain_tokens.runs.stage_folder import StageFolder, require

TASK = {"data_sha256": "d", "num_items": 3, "max_samples": None, "generation": None, "outcomes": {}, "task_version": 1}


def content(steps: int = 10, seeds: tuple[int, ...] = (0, 1)) -> FrozenContent:
    condition = {
        "recipe": {"pretrain.max_steps": steps},
        "by_seed": {str(seed): {"corpus.seed": seed} for seed in seeds},
        "intervention": {},
        "sources": {"web": "s"},
        "tasks": {"gsm8k": TASK},
    }
    prereg = {"file": "prereg.yaml", "sha256": "a" * 64, "declared": {"seeds": list(seeds)}}
    return FrozenContent.model_validate({"prereg": prereg, "conditions": {"a": condition}, "scorer_sha256": "x"})


def test_what_is_frozen_first_stays(tmp_path: Path) -> None:
    first, is_new = freeze(tmp_path, content(10))
    assert is_new
    assert first.is_intact
    assert (first.original.stages_before, first.original.evaluations_before) == ((), ())
    second, is_new = freeze(tmp_path, content(20))
    assert not is_new
    assert second == first == read_frozen(tmp_path)
    amended = amend(tmp_path, content(20), "diverged")
    assert amended.original == first.original
    assert amended.latest.conditions["a"].recipe_of(1) == {"pretrain.max_steps": 20, "corpus.seed": 1}
    assert [entry.reason for entry in amended.entries] == [None, "diverged"]
    assert content_differences(first.latest, amended.latest) == ["pretrain.max_steps: 10 frozen, 20 used (a)"]


def test_an_amendment_adds_planned_conditions_and_takes_none_away(tmp_path: Path) -> None:
    condition = content().conditions["a"]
    freeze(tmp_path, content().model_copy(update={"conditions": {"a": condition, "b": condition}}))
    amended = amend(tmp_path, content().model_copy(update={"conditions": {"a": condition, "c": condition}}), "why")
    assert sorted(amended.latest.conditions) == ["a", "c"]
    assert amended.planned == {"a", "b", "c"}
    late = amended.amendments[0].model_copy(update={"evaluations_before": ("exp_a/seed_0",)})
    assert amended.model_copy(update={"amendments": (late,)}).planned == {"a", "b"}


def test_nothing_is_amended_before_something_is_frozen(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no such file; freeze first"):
        amend(tmp_path, content(), "why")
    assert read_frozen(tmp_path) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value["original"].update(time_utc="2020-01-01T00:00:00+00:00"),
        lambda value: value["original"]["content"]["conditions"]["a"]["recipe"].update({"pretrain.max_steps": 11}),
        lambda value: value["amendments"].pop(0),
        lambda value: value["amendments"].reverse(),
        lambda value: value["amendments"][0].update(evaluations_before=[]),
    ],
)
def test_a_change_by_hand_is_noticed(change, tmp_path: Path) -> None:
    (tmp_path / "exp_a/seed_0/eval/grpo_final").mkdir(parents=True)
    (tmp_path / "exp_a/seed_0/eval/grpo_final/gsm8k_results.json").write_text("{}")
    freeze(tmp_path, content(10))
    amend(tmp_path, content(20), "one")
    assert amend(tmp_path, content(30), "two").amendments[0].evaluations_before == ("exp_a/seed_0",)
    path = tmp_path / "preregistration.json"
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))
    frozen = read_frozen(tmp_path)
    assert frozen is not None
    assert not frozen.is_intact


def test_a_clock_that_goes_backwards_changes_no_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(f"{year}-01-01T00:00:00+00:00" for year in (2030, 2020, 2010, 2000, 1990))
    monkeypatch.setattr(preregistration, "_now", lambda: next(times))
    freeze(tmp_path, content(10))
    amend(tmp_path, content(20), "one")
    frozen = amend(tmp_path, content(30), "two")
    assert [entry.time_utc[:4] for entry in frozen.entries] == ["2030", "2020", "2010"]
    assert frozen.is_intact
    assert frozen.blind == frozen.latest == content(30)
    record_look(tmp_path, "run", ["a"], [0])
    record_look(tmp_path, "evaluation", ["a"], [0])
    assert [look.what for look in read_looks(tmp_path) or ()] == ["run", "evaluation"]


WRITER = """
import os, sys
from pathlib import Path
from domain_tokens.runs import preregistration
from tests.runs.test_preregistration import content
folder, steps = Path(sys.argv[1]), int(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for number in range(8):
    preregistration.freeze(folder, content(steps))
    preregistration.record_look(folder, "evaluation", ["a"], [steps * 100 + number])
"""
KILLED = """
import os, signal, sys
from pathlib import Path
from domain_tokens.runs import preregistration
from tests.runs.test_preregistration import content
os.fsync = lambda number: os.kill(os.getpid(), signal.SIGKILL)  # after the text is written, before it is in place
{call}
"""
ROOT = Path(__file__).parents[2]


def start(code: str, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", code, *arguments]
    path = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    return subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def test_of_two_processes_at_once_one_freezes_and_no_look_is_lost(tmp_path: Path) -> None:
    both = [start(WRITER, str(tmp_path), str(steps)) for steps in (1, 2)]
    for one in both:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    with exclusive(tmp_path / PREREGISTRATION_LOCK):
        for one in both:
            assert one.stdin is not None
            one.stdin.write("\n")
            one.stdin.flush()
        time.sleep(0.3)
        assert not (tmp_path / "preregistration.json").exists()  # both wait
    for one in both:
        one.communicate(timeout=50)
        assert one.returncode == 0
    frozen = read_frozen(tmp_path)
    assert frozen is not None
    assert frozen.is_intact
    assert frozen.latest in (content(1), content(2))
    assert frozen.amendments == ()
    assert sorted(look.seeds for look in read_looks(tmp_path) or ()) == [
        (steps * 100 + number,) for steps in (1, 2) for number in range(8)
    ]


def test_a_process_that_is_killed_while_it_writes_leaves_the_record_whole(tmp_path: Path) -> None:
    call = "preregistration.amend(Path(sys.argv[1]), content(20), 'killed')"
    frozen, _ = freeze(tmp_path, content(10))
    with start(KILLED.format(call=call), str(tmp_path)) as killed:
        killed.communicate(timeout=50)
    assert killed.returncode == -signal.SIGKILL
    assert list(tmp_path.glob("*.partial"))
    assert read_frozen(tmp_path) == frozen
    assert amend(tmp_path, content(20), "again").is_intact  # the lock went with the process


def test_a_damaged_record_is_refused_with_what_to_do(tmp_path: Path) -> None:
    freeze(tmp_path, content())
    (tmp_path / "preregistration.json").write_text('{"original": 3}')
    for use in (lambda: read_frozen(tmp_path), lambda: freeze(tmp_path, content())):
        with pytest.raises(
            RecipeError, match=r"preregistration\.json: damaged.*restore it from a copy, or use another"
        ):
            use()


def test_an_equal_look_is_recorded_once(tmp_path: Path) -> None:
    for _ in range(2):
        record_look(tmp_path, "comparison", ["b", "a"], [1, 0])
    (look,) = read_looks(tmp_path) or ()
    assert (look.conditions, look.seeds, look.trained) == (("a", "b"), (0, 1), ())


def test_names_folders_and_paths_of_hashed_files_are_not_compared() -> None:
    recipe = {
        "experiment": "demo", "output_dir": "outputs", "seed": 0, "prereg": "x", "tokenizer": "y",
        "corpus.sources.0.kind": "file", "corpus.sources.0.path": "/data/x", "corpus.sources.1.kind": "hub",
        "corpus.sources.1.path": "owner/data", "sft_stages.0.sources.0.kind": "file",
        "sft_stages.0.sources.0.path.0": "/data/y", "evaluation.tasks.0": "/my/own_task.py", "sft.learning_rate": 1e-3,
    }  # fmt: skip
    assert comparable(recipe) == {
        "corpus.sources.0.kind": "file", "corpus.sources.1.kind": "hub", "corpus.sources.1.path": "owner/data",
        "sft_stages.0.sources.0.kind": "file", "evaluation.tasks.0": "own_task", "sft.learning_rate": 1e-3,
    }  # fmt: skip


def test_a_stage_records_the_declaration_as_it_was_when_the_stage_began(tmp_path: Path) -> None:
    declared = tmp_path / "prereg.yaml"
    declared.write_text("endpoints: [{model: grpo_final, task: gsm8k}]\nseeds: [0]\n")
    recipe = load_recipe([str(ROOT / "recipes/baseline.yaml"), f"prereg={declared}", f"output_dir={tmp_path}"])
    frozen, _ = freeze(recipe.experiment_dir, content())
    begun = StageFolder("sft", tmp_path / "final", {"a": 1})
    begun.open_work(tmp_path / "work", recipe)
    declared.write_text(declared.read_text() + "alpha: 0.2\n")
    with begun.writing(recipe):
        pass
    record = require(tmp_path / "final", "x").prereg
    assert record is not None
    assert record.declared["alpha"] == 0.05
    assert record.frozen_sha256 == frozen.original.sha256
    assert record.recorded_utc
    resumed = StageFolder("sft", tmp_path / "again", {"a": 1})
    resumed.open_work(tmp_path / "work", recipe)
    with resumed.writing(recipe):
        pass
    assert require(tmp_path / "again", "x").prereg == record
    fresh = StageFolder("tokenizer", tmp_path / "fresh", {"a": 1})
    with fresh.writing(recipe):
        declared.write_text(declared.read_text().replace("0.2", "0.3"))
    assert require(tmp_path / "fresh", "x").prereg.declared["alpha"] == 0.2


def test_untracked_files_among_code_and_recipes_count_as_changes(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes/a.yaml").write_text("a")
    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    assert not git_is_dirty(tmp_path / "recipes")
    (tmp_path / "notes.txt").write_text("no run reads this")
    assert not git_is_dirty(tmp_path / "recipes")
    (tmp_path / "recipes/b.yaml").write_text("b")
    assert git_is_dirty(tmp_path / "recipes")
    git("add", ".")
    git("commit", "-m", "second")
    assert not git_is_dirty(tmp_path / "recipes")
    (tmp_path / "notes.txt").write_text("changed")
    assert git_is_dirty(tmp_path / "recipes")
