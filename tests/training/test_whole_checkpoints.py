"""Checkpoints are whole or not there: whatever is damaged, whenever a run is killed, it ends as one that was not."""

import math
import os
import re
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from interrupted import (
    KILLED,
    STEPS,
    AtStep,
    Steps,
    code_of_child,
    damages,
    ends,
    full_at,
    killed_at,
    limited_to,
    state_of,
    touches_of,
    train,
)
from safetensors.torch import load_file
from transformers import TrainerCallback, TrainerState

from domain_tokens.recipe import RecipeError
from domain_tokens.runs.checkpoints import room
from domain_tokens.runs.checkpoints.verified import damage_of, newest_whole, saved_steps
from domain_tokens.training.trainers import finite


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing interrupted."""
    work = tmp_path_factory.mktemp("run")
    train(work)
    first, last = (load_file(work / name / "model.safetensors") for name in ("weights-3", "checkpoint-7"))
    assert all(not torch.equal(first[name], last[name]) for name in first)  # it trains
    assert len(set(state_of(work)["loss"].values())) == STEPS
    return work


def test_what_a_run_leaves(undisturbed: Path) -> None:
    losses = state_of(undisturbed)["eval_loss"]
    best = min(losses, key=losses.__getitem__)
    kept = {f"checkpoint-{best}", "checkpoint-7", "weights-3", "weights-6"}
    assert {path.name for path in undisturbed.iterdir()} == kept
    for name in kept:
        assert damage_of(undisturbed / name, to_resume=True) is None


def test_every_damage_is_found_and_an_older_one_is_used(
    undisturbed: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tried = 0
    good, bad = tmp_path / "checkpoint-6", tmp_path / "checkpoint-7"
    shutil.copytree(undisturbed / "checkpoint-7", good)  # its number alone is older
    for file in sorted((undisturbed / "checkpoint-7").iterdir()):
        for kind, content in damages(file.read_bytes()):
            shutil.copytree(undisturbed / "checkpoint-7", bad)
            assert newest_whole(tmp_path) == bad
            if content is None:
                (bad / file.name).unlink()
            else:
                (bad / file.name).write_bytes(content)
            caplog.clear()
            assert newest_whole(tmp_path) == good, (file.name, kind)
            assert "checkpoint-7 is not used: " in caplog.text
            if file.name != "verified.json":  # in the list, a bit more or less is another hash of another file
                assert file.name in caplog.text
            assert not bad.exists()
            tried += 1
    assert tried >= 40


def test_a_file_that_is_not_listed_is_damage(undisturbed: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(undisturbed / "checkpoint-7", tmp_path / "checkpoint-7"))
    (copy / "optimizer.bin").write_bytes(b"another")
    assert damage_of(copy, to_resume=True) == "optimizer.bin is not in verified.json"


def test_nothing_whole_is_a_fresh_start_that_is_said(
    undisturbed: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (Path(shutil.copytree(undisturbed / "checkpoint-7", tmp_path / "checkpoint-7")) / "scheduler.pt").unlink()
    assert newest_whole(tmp_path) is None
    assert "no checkpoint is whole; the stage begins again with its first step" in caplog.text
    assert newest_whole(tmp_path / "nothing") is None


def test_a_run_that_was_interrupted_after_its_last_step_takes_no_other(undisturbed: Path, tmp_path: Path) -> None:
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    trainer = train(tmp_path)
    assert trainer.state.global_step == STEPS
    saved = load_file(undisturbed / "checkpoint-7" / "model.safetensors")
    assert all(torch.equal(saved[name], value) for name, value in trainer.model.state_dict().items() if name in saved)


# Of each place: the steps at whose beginning the run is killed, one after the other; the newest checkpoint then; and
# settings. An epoch is four steps. Every run has two micro batches a step, and dropout.
PLACES: dict[str, tuple[list[int], int, dict[str, Any]]] = {
    "before the first checkpoint": ([2], 0, {}),
    "within an epoch": ([4], 3, {}),
    "at the end of an epoch": ([5], 4, {}),
    "after the last step": ([STEPS + 1], STEPS, {}),
    "three times in a row": ([2, 5, 7], 6, {}),
    "with workers that read data": ([4], 3, {"dataloader_num_workers": 2}),
}


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(place, marks=pytest.mark.slow)
        if place == "within an epoch"
        else place  # so does one with workers
        for place in PLACES
    ],
)
def test_a_run_resumes_from_there_and_ends_the_same(place: str, undisturbed: Path, tmp_path: Path) -> None:
    expected, (kills, saved, settings) = state_of(undisturbed), PLACES[place]
    for step in kills:
        kill = AtStep(step, lambda: os.kill(os.getpid(), signal.SIGKILL))
        assert code_of_child(lambda kill=kill: train(tmp_path, kill, **settings)) == -signal.SIGKILL
    assert max(saved_steps(tmp_path), default=0) == saved
    steps = Steps()
    trainer = train(tmp_path, steps, **settings)
    assert trainer.args.gradient_accumulation_steps == 2
    assert trainer.model.config.resid_pdrop == 0.1
    assert trainer.state.epoch == STEPS / 4
    assert steps.taken == list(range(saved + 1, STEPS + 1))
    assert state_of(tmp_path) == expected


@pytest.mark.parametrize("which", [pytest.param("all", marks=[pytest.mark.slow, pytest.mark.timeout(7200)]), "some"])
def test_killed_at_any_touch_of_the_disk_a_run_ends_bitwise_the_same(
    which: str, undisturbed: Path, tmp_path: Path
) -> None:
    expected, work = state_of(undisturbed), tmp_path / "run"
    kept = {path.name for path in undisturbed.iterdir()}
    touches = touches_of(lambda: train(work), tmp_path / "touches.json")
    shutil.rmtree(work)
    kinds = {touch.split()[0] for touch in touches}
    assert kinds == {
        "before",
        "after",
        "open",
        "os.rename",
        "os.remove",
        "os.rmdir",
        "os.mkdir",
        "os.link",
        "shutil.rmtree",
    }
    first_named = touches.index("os.rename checkpoint-2")
    removed = touches.index("os.rename checkpoint-2", first_named + 1)
    some = [touches.index("open verified.json.partial", first_named), touches.index("os.rename checkpoint-4"), removed]
    for moment in range(len(touches)) if which == "all" else [*some, removed + 5]:
        assert killed_at(moment, lambda: train(work)) == KILLED
        steps = list(saved_steps(work))
        assert all(damage_of(work / f"checkpoint-{step}", to_resume=True) is None for step in steps)
        assert bool(steps) == (moment > first_named), touches[moment]
        assert ends(lambda: train(work))
        assert state_of(work) == expected, touches[moment]
        # One more checkpoint stays if the run was killed after its last one had its name.
        assert kept <= {path.name for path in work.iterdir()} <= kept | {"checkpoint-6", "checkpoint-4"}
        shutil.rmtree(work)


@pytest.mark.parametrize("number", [pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(7200)]), 3])
def test_a_disk_that_is_full_at_any_file_is_said_and_costs_nothing(
    number: int, undisturbed: Path, tmp_path: Path
) -> None:
    expected, work = state_of(undisturbed), tmp_path / "run"
    touches = touches_of(lambda: train(work), tmp_path / "touches.json")
    first = touches.index("os.rename checkpoint-2") + 1
    touched = [at for at in range(first, len(touches)) if touches[at].startswith(("before", "open", "os.mkdir"))]
    assert len(touched) > 50
    for moment in touched[:: max(1, len(touched) // number)]:
        shutil.rmtree(work)
        said = full_at(moment, lambda: train(work))
        assert re.search(r"the disk is full .*: a checkpoint needs 1,234,567 bytes, [\d,]+ are free; earlier", said), (
            said
        )
        steps = list(saved_steps(work))
        assert steps
        assert all(damage_of(work / f"checkpoint-{step}", to_resume=True) is None for step in steps)
        assert not (work / "saving").exists()
    assert ends(lambda: train(work))
    assert state_of(work) == expected


def test_what_libraries_raise_on_a_limit_is_understood(undisturbed: Path, tmp_path: Path) -> None:
    folder = undisturbed / "checkpoint-7"
    sizes = {
        name: (folder / name).stat().st_size for name in ("model.safetensors", "optimizer.pt", "trainer_state.json")
    }
    for size in sizes.values():
        said = limited_to(size - 1, lambda: train(tmp_path / "run"))
        assert "the disk is full" in said, said
        assert list((tmp_path / "run").glob("saving*")) == []


def test_a_stage_without_room_for_two_checkpoints_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "checkpoint-2").mkdir()
    (tmp_path / "checkpoint-2" / "optimizer.pt").write_bytes(b"0" * 100)

    def check(free: int, needed: int) -> None:
        monkeypatch.setattr(room.shutil, "disk_usage", lambda folder: SimpleNamespace(free=free))
        room.check_room(tmp_path, needed)

    for free, needed in ((200, 100), (100, 100), (150, 125)):
        check(free, needed)
    for free, needed in ((99, 100), (100, 101), (300, 201)):
        with pytest.raises(RecipeError, match=f"two checkpoints of {needed} bytes each: {free} bytes are free"):
            check(free, needed)


class Spoil(TrainerCallback):
    """Makes a number of step 6 infinite: a weight, and with it the loss, or nothing but a gradient."""

    def __init__(self, what: str) -> None:
        self.what = what

    def on_step_begin(self, args: object, state: TrainerState, control: object, **kwargs: Any) -> None:
        weight = kwargs["model"].transformer.wte.weight
        if state.global_step == 5 and self.what == "loss":
            weight.data[:] = math.inf
        elif state.global_step == 5:
            weight.register_hook(lambda gradient: gradient * math.inf)


def arrives_late(step: int, values: torch.Tensor) -> finite._Seen:
    """Stand for a GPU, whose numbers are on their way when a step ends."""
    return finite._Seen(step, values, SimpleNamespace(synchronize=lambda: None))


@pytest.mark.parametrize("save_steps", [2, 100])
@pytest.mark.parametrize("what", ["loss", "grad_norm"])
def test_on_a_device_it_ends_the_run_one_step_later_and_before_it_is_saved(
    what: str, save_steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finite, "_works_behind_python", lambda loss: True)
    monkeypatch.setattr(finite, "_on_its_way", arrives_late)
    taken: list[int] = []

    class Steps(Spoil):
        def on_step_end(self, args: object, state: TrainerState, control: object, **kwargs: Any) -> None:
            taken.append(state.global_step)

    with pytest.raises(RecipeError, match=f"{what} is (nan|inf) at step 6"):
        train(tmp_path, Steps(what), logging_steps=100, save_steps=save_steps, eval_strategy="no")
    assert taken[-1] == 6
    whole = newest_whole(tmp_path)
    assert whole is not None
    assert whole.name == ("checkpoint-4" if save_steps == 2 else "checkpoint-3")


@pytest.mark.parametrize("what", ["loss", "grad_norm"])
def test_a_number_that_is_not_finite_ends_the_run_before_it_is_saved(what: str, tmp_path: Path) -> None:
    with pytest.raises(
        RecipeError, match=f"{what} is (nan|inf) at step 6; the run stops, earlier checkpoints are kept"
    ):
        train(tmp_path, Spoil(what), logging_steps=100)
    whole = newest_whole(tmp_path)
    assert whole is not None
    assert whole.name == "checkpoint-4"
    assert all(value.isfinite().all() for value in load_file(whole / "model.safetensors").values())
