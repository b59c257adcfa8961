"""Where an experiment stands is read from the files of runner and stages, whole or half written."""

import contextlib
import json
import os
import re
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny import tiny_arguments
from watched import ASKED_TO_STOP, Experiment, rows, save_checkpoint

from domain_tokens.analysis.report import findings
from domain_tokens.analysis.results_model import Results
from domain_tokens.experiment import run
from domain_tokens.experiment.lines import end_logged
from domain_tokens.experiment.tasks import Ended, Failed, Running, Started, Task
from domain_tokens.recipe import RecipeError, flatten, to_dict
from domain_tokens.runs.files import exclusive, write_json
from domain_tokens.runs.progress import Progress
from domain_tokens.stopping.signals import GO_ON, Interrupted
from domain_tokens.watch.files import signs
from domain_tokens.watch.files.metrics import MetricsReader
from domain_tokens.watch.files.outcome import headline_of
from domain_tokens.watch.files.reading import Reader
from domain_tokens.watch.files.runner_log import read_log
from domain_tokens.watch.looking import Watch
from domain_tokens.watch.remaining import remaining
from domain_tokens.watch.view import ExperimentView, RunView, StageView, State, View, running_stages
from domain_tokens.watch.words import at_work, headline, time_left

LATER = 3600.0  # seconds after which no file is a sign of life


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    made = Experiment(tmp_path)
    made.begin()
    return made


@contextmanager
def alive(experiment: Experiment) -> Iterator[None]:
    """Hold the runner's lock, as the runner does."""
    with exclusive(experiment.folder / "logs" / ".lock"):
        yield


def look(experiment: Experiment, monkeypatch: pytest.MonkeyPatch | None = None) -> View:
    """Look once; an hour later, if a monkeypatch is given, so that only a lock is a sign of life."""
    if monkeypatch is not None:
        newest = max(path.stat().st_mtime for path in experiment.folder.rglob("*"))
        monkeypatch.setattr("time.time", lambda: newest + LATER)
    return Watch(experiment.folder).look()


def stage_of(view: View, name: str, condition: str = "baseline") -> StageView:
    run = run_of(view, condition)
    return next(stage for stage in run.stages if stage.name == name)


def run_of(view: View, condition: str) -> RunView:
    return next(run for run in view.experiments[0].runs if run.condition == condition)


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(folder.rglob("*"))}


def train_all(experiment: Experiment, condition: str) -> None:
    experiment.prepared(condition)
    for stage, kind in (("pretrain", "pretrain"), ("sft_drills", "sft"), ("grpo", "grpo")):
        own = [{**row, "stage": "drills"} for row in rows(1, 4)] if kind == "sft" else rows(1, 4)
        experiment.trains(condition, stage, own)
        experiment.finished(condition, stage, kind)


def test_a_stage_at_work_has_its_step_its_speed_and_the_time_left(experiment, monkeypatch) -> None:
    experiment.prepared("baseline")
    experiment.trains("baseline", "pretrain", rows(1, 2), after='{"step": 3, "loss": 9')
    experiment.started("baseline", "pretrain")
    experiment.reports("baseline", "pretrain", Progress("", 3, 4, "step", 3.71, 99.0))
    with alive(experiment):
        before = snapshot(experiment.folder)
        view = look(experiment, monkeypatch)
        assert snapshot(experiment.folder) == before, "a look changes nothing"
    pretrain = stage_of(view, "pretrain")
    assert (view.state, pretrain.state, view.signs.pid) == ("running", State.RUNNING, os.getpid())
    assert (pretrain.step, pretrain.total, pretrain.loss, pretrain.tokens_per_s) == (3, 4, 3.71, 99.0)
    assert pretrain.validation_loss == pytest.approx(3.85)
    assert pretrain.seconds_left == pytest.approx(2.0), "one step of two seconds is to go"
    assert pretrain.share == pytest.approx(0.75)
    names = ["prepare_data", "pretrain", "sft_drills", "grpo", "eval", "eval_checkpoints"]
    assert [stage.name for stage in run_of(view, "baseline").stages] == names
    assert [stage.state for stage in run_of(view, "baseline").stages[2:]] == [State.WAITING] * 4
    waiting = [(stage.name, stage.state) for stage in run_of(view, "mul_tokens").stages]
    assert waiting == [(name, State.WAITING) for name in names], "as the other's, before a folder of it is there"


def test_before_data_are_prepared_the_stages_are_those_of_the_frozen_recipe(experiment) -> None:
    experiment.started("baseline", "prepare_data")
    with alive(experiment):
        view = look(experiment)
    assert [stage.name for stage in view.experiments[0].stages] == ["prepare_data"] * 2, "no recipe is there"
    assert "Time left unknown: no stage has ended yet of data." in headline(view)
    experiment.reports("baseline", "prepare_data", Progress("", 3, None, "document"))
    with alive(experiment):
        assert look(experiment).total == 13, "which the runner knows already"
    recipes = {name: {"recipe": flatten(to_dict(one))} for name, one in experiment.recipes.items()}
    write_json(experiment.folder / "preregistration.json", {"original": {"content": {"conditions": recipes}}})
    with alive(experiment):
        view = look(experiment)
    assert view.experiments[0].columns == (
        "prepare_data",
        "pretrain",
        "sft_drills",
        "grpo",
        "eval",
        "eval_checkpoints",
    )
    assert (stage_of(view, "prepare_data").state, view.total) == (State.RUNNING, 13)


def test_what_was_started_and_is_not_held_by_anybody_was_interrupted(experiment, monkeypatch) -> None:
    experiment.prepared("baseline")
    experiment.trains("baseline", "pretrain", rows(1, 2))
    experiment.started("baseline", "pretrain")
    assert stage_of(look(experiment), "pretrain").state == State.RUNNING, "files that were just written are a sign"
    watch = Watch(experiment.folder)
    with alive(experiment):
        assert watch.look().state == "running"
    assert watch.look().state == "interrupted", "the process that held the lock has let it go"
    view = look(experiment, monkeypatch)
    assert (view.state, stage_of(view, "pretrain").state) == ("interrupted", State.INTERRUPTED)
    assert "goes on" in view.failures[0].why
    experiment.clock = "2026-11-27 13:00:00"
    experiment.begin()
    with alive(experiment):  # another command, which has not come to it yet
        assert stage_of(look(experiment, monkeypatch), "pretrain").state == State.WAITING


@pytest.mark.parametrize(
    ("end", "why"),
    [
        (KeyboardInterrupt(), f": {GO_ON}"),
        (Interrupted(15), f": SIGTERM: {GO_ON}"),
        (RecipeError("frozen otherwise"), ": frozen otherwise"),
        (None, ""),
    ],
)
def test_a_runner_that_says_that_it_has_ended_is_believed_at_once(experiment, end, why: str) -> None:
    experiment.prepared("baseline")
    work = experiment.trains("baseline", "pretrain", rows(1, 2))
    experiment.started("baseline", "pretrain")
    assert look(experiment).state == "running", "by its files, which were just written"
    expected = contextlib.nullcontext() if end is None else pytest.raises(type(end))
    with expected, experiment.runner_log.open("a") as log, end_logged(log):
        if end is not None:
            raise end
    assert experiment.runner_log.read_text().splitlines()[-1][9:] == f"ended{why}"
    view = look(experiment)
    assert (view.state, stage_of(view, "pretrain").state, view.left) == ("interrupted", State.INTERRUPTED, None)
    assert "Interrupted: 1 of 13 stages are done, and nothing works here now." in headline(view)
    with exclusive(work / ".lock"):
        assert look(experiment).state == "running", "a stage that somebody starts by hand"
    experiment.begin()
    assert look(experiment).state == "running", "the next command"


def test_the_runner_logs_how_it_ended(tmp_path: Path, monkeypatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    recipe, overlay, *overrides = tiny_arguments(tmp_path, "baseline")
    command = run.Experiment([Path(recipe)], [Path(overlay)], [0], overrides)
    monkeypatch.setattr(run, "load_experiment", lambda experiment: list(Experiment(tmp_path).recipes.values())[:1])
    monkeypatch.setattr(run, "running_stages", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run.run_experiment(command, run.Options(), lambda event: None)
    begun, ended = (tmp_path / "tiny/logs/experiment.log").read_text().splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d [\d:]{8}[+-]\d{4} .+", begun)
    assert re.fullmatch(rf"[\d:]{{8}} ended: {GO_ON}", ended)


def test_a_stage_without_a_runner_is_known_by_its_own_lock(tmp_path: Path, monkeypatch) -> None:
    experiment = Experiment(tmp_path)
    experiment.prepared("baseline")
    experiment.runner_log.unlink()
    work = experiment.trains("baseline", "pretrain", rows(1, 3))
    assert stage_of(look(experiment, monkeypatch), "pretrain").state == State.INTERRUPTED
    with exclusive(work / ".lock"):
        pretrain = stage_of(look(experiment, monkeypatch), "pretrain")
    assert (pretrain.state, pretrain.step, pretrain.total) == (State.RUNNING, 3, 4), "of as many as the recipe says"
    assert pretrain.seconds_left == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("log", "code", "why"),
    [
        ("step 3\nerror: loss is nan at step 3; lower it\n", 2, "loss is nan at step 3; lower it (exit code 2)"),
        ("Traceback\n  File x\nMemoryError: no room\n", 1, "MemoryError: no room (exit code 1)"),
        (
            "[2026-11-27 12:00:00] python x.py\nerror: of before\n[2026-11-27 12:00:01] python x.py\nstep 3\n",
            -9,
            "ended by SIGKILL, often for want of memory; last said: step 3",
        ),
        ("", 137, "ended by SIGKILL, often for want of memory; its log says nothing"),
    ],
)
def test_a_failed_stage_has_its_reason(experiment, monkeypatch, log: str, code: int, why: str) -> None:
    experiment.prepared("baseline")
    experiment.trains("baseline", "pretrain", rows(1, 3))
    experiment.failed("baseline", "pretrain", log, code)
    view = look(experiment, monkeypatch)
    assert (view.state, stage_of(view, "pretrain").state) == ("failed", State.FAILED)
    assert [(failure.name, failure.why) for failure in view.failures] == [("baseline, seed 0: pretrain", why)]
    assert list(view.failures[0].lines) == log.splitlines()[-2 if "of before" in log else 0 :]
    experiment.started("mul_tokens", "pretrain")  # which the runner ends, since another has failed
    monkeypatch.undo()
    view = look(experiment)
    assert (view.state, view.signs.age < signs.FRESH_S) == ("failed", True), "what was written a moment ago"
    assert stage_of(view, "pretrain", "mul_tokens").state == State.INTERRUPTED
    with alive(experiment):
        assert look(experiment).state == "running", "it waits for the others to save"


def test_a_stage_that_was_asked_to_stop_did_not_fail(experiment, monkeypatch) -> None:
    experiment.prepared("baseline")
    experiment.failed("baseline", "pretrain", "SIGTERM: saved\n", ASKED_TO_STOP)
    assert [one.state for one in look(experiment, monkeypatch).failures] == [State.INTERRUPTED]


def test_the_time_left_rests_on_stages_that_have_ended(experiment, monkeypatch) -> None:
    train_all(experiment, "baseline")
    experiment.evaluated("baseline")
    experiment.prepared("mul_tokens")
    experiment.trains("mul_tokens", "pretrain", rows(1, 1))
    experiment.started("mul_tokens", "pretrain")
    with alive(experiment):
        left = look(experiment).left
    # Three steps of two seconds, then fine-tuning, GRPO and two evaluations as long as the other condition's.
    assert left.seconds == pytest.approx(6 + 100 + 100 + 30 + 30)
    (experiment.recipes["baseline"].run_dir / "eval/checkpoints/manifest.json").unlink()
    text = experiment.runner_log.read_text().replace("eval_checkpoints: done", "eval_checkpoints: gone")
    experiment.runner_log.write_text(text)
    with alive(experiment):
        left = look(experiment).left
    assert (left.seconds, left.without_basis) == (None, (("tiny", "eval_checkpoints"),))
    assert left.at_least == pytest.approx(6 + 100 + 100 + 30)


def test_a_script_of_several_stages_is_one_task_of_the_estimate() -> None:
    parts = StageView("sft_a", "sft", State.DONE), StageView("sft_b", "sft", State.RUNNING, seconds=30.0)
    runs = (RunView("baseline", 0, parts), RunView("mul_tokens", 0, (StageView("sft_a", "sft", State.WAITING),)))
    found = ExperimentView("tiny", Path("tiny"), ("sft_a", "sft_b"), runs, (), (), signs.Signs(None, None, 0.0))
    assert remaining([found], {"tiny": {"sft": 100.0}}, jobs=1).seconds == pytest.approx(70 + 100)
    assert remaining([found], {"tiny": {"sft": 100.0}}, jobs=2).seconds == pytest.approx(100)
    late = (parts[0], replace(parts[1], seconds=101.0))
    late_found = replace(found, runs=(RunView("baseline", 0, late), runs[1]))
    left = remaining([late_found], {"tiny": {"sft": 100.0}}, jobs=1)
    assert (left.seconds, left.at_least) == (None, 100.0), "how long the late one still takes is not known"
    assert time_left(left, is_study=False) == "At least 1:40 left."
    unknown = remaining([found], {}, jobs=1)
    assert (unknown.seconds, unknown.at_least, unknown.without_basis) == (None, 0.0, (("tiny", "sft"),))


def test_before_any_stage_is_known_the_time_left_is_not() -> None:
    nothing = ExperimentView("tiny", Path("tiny"), (), (), (), (), signs.Signs(None, None, 0.0))
    left = remaining([nothing], {}, jobs=1)
    assert (left.seconds, time_left(left, is_study=False)) == (None, "Time left unknown.")


@pytest.mark.parametrize(
    ("after_s", "done", "left_s"),
    [(10, 32, 20.0), (40, 64, 10.0), (40, 80, None)],
    ids=["as long as the other's took", "late: by its own speed", "late, after its last item"],
)
def test_a_late_stage_is_not_about_to_end(experiment, monkeypatch, after_s: int, done: int, left_s) -> None:
    train_all(experiment, "baseline")
    experiment.evaluated("baseline")  # of which each evaluation took 30 seconds
    train_all(experiment, "mul_tokens")
    experiment.started("mul_tokens", "eval")
    experiment.reports("mul_tokens", "eval", Progress("", done, 80, "item"))
    began = datetime.fromisoformat(experiment.clock).timestamp()
    monkeypatch.setattr("time.time", lambda: began + after_s)
    with alive(experiment):
        stage = stage_of(look(experiment), "eval", "mul_tokens")
    assert (stage.state, stage.seconds) == (State.RUNNING, after_s)
    assert stage.seconds_left == (None if left_s is None else pytest.approx(left_s))


def test_a_stage_after_its_last_step_has_no_time_left_that_is_known(experiment) -> None:
    experiment.prepared("baseline")
    experiment.trains("baseline", "pretrain", rows(1, 4))
    experiment.started("baseline", "pretrain")
    with alive(experiment):
        pretrain = stage_of(look(experiment), "pretrain")
    assert (pretrain.state, pretrain.step, pretrain.total, pretrain.seconds_left) == (State.RUNNING, 4, 4, None)


def test_grpo_has_a_reward_and_no_loss_in_nats(experiment) -> None:
    train_all(experiment, "baseline")
    (experiment.recipes["baseline"].run_dir / "grpo_final/manifest.json").unlink()
    experiment.trains("baseline", "grpo", [{"step": 1, "loss": -0.005, "reward": 0.25, "tokens_per_s": 9.0}])
    experiment.started("baseline", "grpo")
    experiment.reports("baseline", "grpo", Progress("", 2, 4, "step", 0.001))
    with alive(experiment):
        grpo = stage_of(look(experiment), "grpo")
    assert (grpo.state, grpo.loss, grpo.validation_loss, grpo.reward) == (State.RUNNING, None, None, 0.25)
    assert at_work(grpo) == "step 2 of 4, reward 0.250"


def test_a_finished_experiment_says_so_once_there_is_a_comparison(experiment, monkeypatch) -> None:
    for condition in experiment.recipes:
        train_all(experiment, condition)
        experiment.evaluated(condition)
    view = look(experiment, monkeypatch)
    assert (view.state, view.done, view.total) == ("interrupted", 12, 13), "no comparison yet"
    assert "12 of 13 stages are done, and the comparison, the last one, is not" in headline(view)
    (experiment.folder / "results.json").write_text("{}")
    experiment.event(Started(Task("compare", "comparison", (), (), Path("x"), lambda: False)))
    os.utime(experiment.folder / "results.json", (1, 1))
    view = look(experiment, monkeypatch)
    assert (view.state, view.headline) == ("interrupted", ""), "these are results of before"
    experiment.event(Failed(Task("compare", "comparison", (), (), Path("x"), lambda: False), 1))
    view = look(experiment, monkeypatch)
    assert (view.state, view.headline, view.done) == ("failed", "", 12)
    os.utime(experiment.folder / "results.json", (view.at, view.at))  # by hand, since
    view = look(experiment, monkeypatch)
    assert (view.state, view.is_over, view.left) == ("finished", True, None)
    assert headline(view) == "Finished: all 13 stages are done."
    assert view.headline == "There are results, but this version cannot read them."
    experiment.event(
        Ended(13, 13, Running(Task("compare", "comparison", (), (), Path("x"), lambda: False), None, 0.0))
    )
    os.utime(experiment.folder / "results.json", (1, 1))
    assert look(experiment, monkeypatch).state == "finished"
    experiment.clock = "2026-11-27 13:00:00"
    experiment.ended("baseline", "eval")  # made again
    assert look(experiment, monkeypatch).state == "interrupted"
    os.utime(experiment.folder / "results.json", (view.at, view.at))
    view = look(experiment, monkeypatch)
    titles = [chart.title for chart in view.experiments[0].charts]
    assert titles == [
        "Pretraining: loss (dashed: validation)",
        "Pretraining: validation loss",
        "Fine-tuning, drills: loss (dashed: validation)",
    ]
    per_byte = view.experiments[0].charts[1]
    # 600 tokens for 2,000 bytes; 3.65 nats are 5.266 bits.
    assert per_byte.unit == "bits per byte"
    assert {line.condition: round(line.points[-1][1], 4) for line in per_byte.lines} == dict.fromkeys(
        experiment.recipes, round(3.65 / 0.693147 * 0.3, 4)
    )


def test_results_of_fewer_runs_are_those_of_before(tmp_path: Path, monkeypatch) -> None:
    made = SimpleNamespace(reference="baseline", other="mul_tokens", seeds=(0, 1))
    monkeypatch.setattr(Results, "model_validate_json", lambda text: made)
    monkeypatch.setattr(findings, "headline", lambda results: "They differ.")
    (tmp_path / "results.json").write_text("{}")
    both = {"baseline": {0, 1}, "mul_tokens": {0, 1}}
    assert headline_of(tmp_path, Reader(), both)[0] == "They differ."
    assert headline_of(tmp_path, Reader(), {"baseline": {0, 1, 2}, "mul_tokens": {0, 1}})[0] == "They differ."
    assert headline_of(tmp_path, Reader(), {"baseline": {0, 2}, "mul_tokens": {0, 2}})[0] == ""
    assert headline_of(tmp_path, Reader(), both | {"random": {0, 1}})[0] == ""


@pytest.mark.parametrize(
    ("file", "content", "problem"),
    [
        ("manifest.json", b"", "manifest.json is damaged"),
        ("manifest.json", b"[]", "manifest.json is damaged"),
        ("model.safetensors", None, "model.safetensors is missing"),
        ("model.safetensors", b"", "model.safetensors is empty"),
        ("model.safetensors", b"\x10\0\0\0\0\0\0\0{}", "model.safetensors is damaged"),
        ("config.json", b'{"n_layer": ', "config.json is damaged"),
        ("optimizer.pt", b"PK\x03\x04half", "optimizer.pt is damaged"),
    ],
)
def test_a_stage_whose_files_are_damaged_is_not_done(experiment, monkeypatch, file, content, problem: str) -> None:
    train_all(experiment, "baseline")
    final = experiment.recipes["baseline"].run_dir / "grpo_final"
    shutil.copytree(save_checkpoint(experiment.trains("baseline", "grpo", rows(1, 4)), 4), final, dirs_exist_ok=True)
    (final / "config.json").write_text("{}")
    with zipfile.ZipFile(final / "optimizer.pt", "w") as archive:
        archive.writestr("moments", "x")
    names = ("model.safetensors", "config.json", "optimizer.pt")
    write_json(final / "manifest.json", {"files": dict.fromkeys(names, "0")})
    assert stage_of(look(experiment, monkeypatch), "grpo").state == State.DONE
    if content is None:
        (final / file).unlink()
    else:
        (final / file).write_bytes(content)
    view = look(experiment, monkeypatch)
    assert (view.state, stage_of(view, "grpo").state) == ("failed", State.FAILED)
    assert [failure.why for failure in view.failures] == [
        f"{final}/{problem}; remove the folder, and the same command makes it again"
    ]


def test_an_evaluation_without_a_manifest_that_can_be_read_is_not_done(experiment, monkeypatch) -> None:
    experiment.evaluated("baseline")
    experiment.prepared("baseline")
    assert stage_of(look(experiment, monkeypatch), "eval").state == State.DONE
    (experiment.recipes["baseline"].run_dir / "eval/manifest.json").write_bytes(b"null")
    assert stage_of(look(experiment, monkeypatch), "eval").state == State.FAILED


def test_a_file_that_is_dated_ahead_is_no_sign_of_life(tmp_path: Path) -> None:
    ahead, now = tmp_path / "x.log", 1_000_000.0
    ahead.touch()
    os.utime(ahead, (now + 30, now + 30))  # a clock of another machine
    assert signs.signs_of(tmp_path / ".lock", [ahead], now).is_alive
    os.utime(ahead, (now + 86400, now + 86400))
    found = signs.signs_of(tmp_path / ".lock", [ahead], now)
    assert (found.is_alive, found.age) == (False, None)


def test_times_of_a_log_are_those_of_the_zone_in_which_it_was_written() -> None:
    task = "baseline, seed 0: pretrain"
    lines = ["2026-11-27 10:00:00-0500 run", f"10:00:00 {task}: started, log: x", f"09:59:59 {task}: started, log: x"]
    log = read_log(lines)
    assert log.began.timestamp() == datetime.fromisoformat("2026-11-27T15:00:00+00:00").timestamp()
    assert log.tasks[task].at - log.began == timedelta(seconds=-1), "a clock that was set"
    later = read_log([*lines[:2], f"06:00:00 {task}: done in 20:00:00 (1 of 13 stages done)"])
    assert later.tasks[task].at - log.began == timedelta(hours=20), "the machine slept, into the next day"
    older = read_log(["2026-11-27 10:00:00 run"])
    assert older.began.timestamp() == datetime(2026, 11, 27, 10).timestamp(), "a log without a zone is this machine's"


def test_a_log_that_is_rewritten_in_place_and_longer_is_read_anew(tmp_path: Path) -> None:
    file, reader = tmp_path / "metrics.jsonl", MetricsReader()
    file.write_text("".join(json.dumps(row) + "\n" for row in rows(1, 2, start=9.0)))
    assert reader.read([file]).curves["loss"][0] == (1, 8.9)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows(1, 5)))
    found = reader.read([file])
    assert found.curves["loss"] == [(step, pytest.approx(4 - step / 10)) for step in range(1, 6)]
    with file.open("a") as more:
        more.write('{"step": NaN, "loss": 1.0}\n{"step": 6, "loss": 1%s}\n{"step": 7, "loss": 2.5}\n' % ("0" * 400))
    assert reader.read([file]).step == 7
    times = [{"step": step, "step_time_s": seconds} for step, seconds in ((8, 1.0), (9, 1.0), (10, 50.0))]
    file.write_text("".join(json.dumps(row) + "\n" for row in times))
    assert reader.read([file]).step_time_s == 1.0, "one slow step says little of the next"


def test_the_newest_checkpoint_is_checked_without_reading_it(experiment, monkeypatch) -> None:
    experiment.prepared("baseline")
    work = experiment.trains("baseline", "pretrain", rows(1, 3))
    save_checkpoint(work, 1)
    newest = save_checkpoint(work, 3)

    def health():
        return stage_of(look(experiment, monkeypatch), "pretrain").health

    assert (health().step, health().problem, health().older, health().num_files) == (3, "", (1,), 4)
    weights = (newest / "model.safetensors").read_bytes()
    (newest / "model.safetensors").write_bytes(weights[:-10])
    assert health().problem == "model.safetensors is damaged"
    (newest / "model.safetensors").write_bytes(weights)
    (newest / "trainer_state.json").write_text('{"max_steps": 4, ')
    assert health().problem == "trainer_state.json is damaged"
    (newest / "trainer_state.json").write_text('{"max_steps": 4}')
    (newest / "optimizer.pt").write_bytes(b"PK\x03\x04half of it")
    assert health().problem == "optimizer.pt is damaged"
    (newest / "optimizer.pt").write_bytes(b"")
    assert health().problem == "optimizer.pt is empty"
    (newest / "optimizer.pt").unlink()
    assert health().problem == "optimizer.pt is missing"
    (newest / "verified.json").write_text("{")
    assert health().problem == "verified.json is damaged"


def test_a_resumed_stage_that_rewrites_its_log_is_read_anew(experiment) -> None:
    experiment.prepared("baseline")
    work = experiment.trains("baseline", "pretrain", rows(1, 2))
    watch = Watch(experiment.folder)
    assert stage_of(watch.look(), "pretrain").step == 2
    with (work / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "loss"')
        file.flush()
        assert stage_of(watch.look(), "pretrain").step == 2, "half a line says nothing"
        file.write(': 3.5}\nno json\n[]\n{"step": 4, "loss": NaN}\n{"step": 5, "loss": 3.25}\n')
    view = watch.look()
    assert (stage_of(view, "pretrain").step, stage_of(view, "pretrain").loss) == (5, 3.25)
    assert [step for step, _ in view.experiments[0].charts[0].lines[0].points] == [1, 2, 3, 5], (
        "what is no number is not drawn"
    )
    experiment.trains("baseline", "pretrain", rows(1, 1))
    pretrain = stage_of(watch.look(), "pretrain")
    assert (pretrain.step, pretrain.loss) == (1, 3.9)
    (work / "metrics.jsonl").rename(work / "before.jsonl")  # another file, which is longer
    experiment.trains("baseline", "pretrain", rows(1, 4, start=5.0))
    points = watch.look().experiments[0].charts[0].lines[0].points
    assert [value for _, value in points] == pytest.approx([4.9, 4.8, 4.7, 4.6])


@pytest.mark.parametrize("damaged", ["looks.json", "manifest.json", "run_config.yaml", "*.progress", "experiment.log"])
def test_a_damaged_file_costs_what_it_says_and_no_more(experiment, damaged: str) -> None:
    experiment.prepared("baseline")
    experiment.trains("baseline", "pretrain", rows(1, 2))
    experiment.started("baseline", "pretrain")
    experiment.reports("baseline", "pretrain", Progress("", 3, 4, "step"))
    paths = list(experiment.folder.rglob(damaged))
    assert paths
    for path in paths:
        path.write_bytes(b'{"looks": [{"what": \xff\xfe')
    assert stage_of(look(experiment), "pretrain").step in (2, 3)


def test_a_study_is_read_by_its_points(tmp_path: Path) -> None:
    points = [Experiment(tmp_path, name=name) for name in ("w8", "w32", "w128")]
    log = tmp_path / "logs" / "study.log"
    log.parent.mkdir()
    log.write_text("2026-11-27 12:00:00 scripts/run_study.py\njobs: 2, threads per stage: 1, in process: True\n")
    (tmp_path / "study.yaml").write_text("study: width\nseeds: [0, 1]\n")
    for point in points[:2]:
        for condition in point.recipes:
            point.prepared(condition)
            point.trains(condition, "pretrain", rows(1, 4))
            point.finished(condition, "pretrain", "pretrain")
        lines = point.runner_log.read_text().splitlines()
        point.runner_log.unlink()  # a study has one log for all points
        with log.open("a") as file:
            file.write("".join(f"{line[:9]}{point.folder.name}, {line[9:]}\n" for line in lines))
    view = Watch(tmp_path).look()
    assert view.is_study
    assert [one.name for one in view.experiments] == ["w8", "w32"], "in the order of their numbers"
    assert view.experiments[0].columns == ("prepare_data", "pretrain", "sft_drills", "grpo", "eval_checkpoints")
    assert {one.stages[1].seconds for one in view.experiments} == {100.0}
    # Two points, conditions and seeds; the data of a condition are those of both seeds.
    assert (view.done, view.total) == (12, 40)
    with log.open("a") as file:
        file.write("12:00:05 w8, baseline, seed 0: eval_checkpoints: started, log: x\n")
        file.write("2026-11-27 12:00:06 scripts/run_study.py --only w32\n")  # beside the other, on another machine
    with alive(points[0]):
        view = Watch(tmp_path).look()
    assert [stage.name for _, _, stage in running_stages(view.experiments)] == ["eval_checkpoints"]
    missing = [(point, kind) for point in ("w8", "w32") for kind in ("sft", "grpo", "eval_checkpoints")]
    assert (view.left.seconds, sorted(view.left.without_basis)) == (None, sorted(missing))
    assert "no stage has ended yet of w8 (sft, grpo, curves), w32 (sft, grpo, curves)." in headline(view)


def test_a_command_of_a_study_ends_for_its_own_points(tmp_path: Path) -> None:
    points = [Experiment(tmp_path, name=name) for name in ("w8", "w32")]
    log = tmp_path / "logs" / "study.log"
    log.parent.mkdir()
    log.write_text("2026-11-27 12:00:00 scripts/run_study.py\n")
    for point in points:
        point.trains("baseline", "pretrain", rows(1, 2))
        with log.open("a") as file:
            file.write(f"12:00:01 {point.folder.name}, baseline, seed 0: pretrain: started, log: x\n")

    def running() -> list[str]:
        return [experiment.name for experiment, *_ in running_stages(Watch(tmp_path).look().experiments)]

    assert running() == ["w8", "w32"]
    with pytest.raises(KeyboardInterrupt), log.open("a") as file, end_logged(file, ["w8"]):
        raise KeyboardInterrupt
    assert running() == ["w32"]
    assert Watch(tmp_path).look().state == "running"
    for path in points[1].folder.rglob("*"):
        os.utime(path, (1, 1))
    assert Watch(tmp_path).look().state == "interrupted", "the other has not said so, and is no more"
    points[1].trains("baseline", "pretrain", rows(1, 3))
    with log.open("a") as file, end_logged(file, ["w32"]):
        pass
    assert (running(), Watch(tmp_path).look().state) == ([], "interrupted")


def test_an_output_folder_with_one_experiment_is_that_experiment(tmp_path: Path) -> None:
    made = Experiment(tmp_path / "controls", name="mine")
    made.begin()
    made.prepared("baseline")
    view = Watch(tmp_path / "controls").look()
    assert (view.is_study, view.folder, view.done, view.total) == (False, made.folder, 1, 13)
    assert "eval" in view.experiments[0].columns, "which no point of a study has"
    Experiment(tmp_path / "controls", name="other").begin()
    with pytest.raises(RecipeError, match="holds 2 experiments and is no study .* expected one of them: .*mine, "):
        Watch(tmp_path / "controls").look()
    (tmp_path / "controls/study.yaml").write_text("study: s\nseeds: [0]\n")
    assert Watch(tmp_path / "controls").look().is_study


def test_what_is_no_experiment_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no such folder; expected outputs/<experiment>"):
        Watch(tmp_path / "nowhere").look()
    (tmp_path / "exp_of_mine").mkdir()
    with pytest.raises(RecipeError, match="neither an experiment"):
        Watch(tmp_path).look()


@pytest.mark.skipif(not signs._LOCKS.is_file(), reason="the system lists no locks")
def test_a_lock_is_seen_without_being_taken(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    assert signs.holder(lock) is None
    with exclusive(lock):
        assert signs.holder(lock) == os.getpid()
    assert signs.holder(lock) is None
