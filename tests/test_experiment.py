"""The runner's state machine with processes that do nothing: order, skipping, failure, interruption, going on."""

import json
import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import ROOT

from domain_tokens.experiment.comparison import Comparison
from domain_tokens.experiment.lines import Lines, describe, duration, whole_left
from domain_tokens.experiment.preparation import Preparation
from domain_tokens.experiment.processes import FreshProcess, Starter, task_environment
from domain_tokens.experiment.run import (
    Experiment,
    Options,
    check_together,
    run_experiment,
    share_cores,
    tasks_of,
)
from domain_tokens.experiment.steps import steps_of
from domain_tokens.experiment.tasks import (
    Ended,
    Event,
    Failed,
    Noted,
    Running,
    Skipped,
    Started,
    Task,
    TaskFailed,
    Updated,
    run_tasks,
    time_left,
)
from domain_tokens.planning.preview import preview
from domain_tokens.recipe import RecipeError, load_recipe
from domain_tokens.recipe.errors import NOT_PUBLISHED
from domain_tokens.runs.progress import PROGRESS_FILE, Progress, ProgressFile, read_progress


class Stages:
    """Tasks whose processes are shell commands, and what happened to them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tasks: list[Task] = []
        self.events: list[Event] = []
        self.processes: list[FreshProcess] = []
        self.most = 0

    def add(self, name: str, command: str = "true", needs: tuple[int, ...] = ()) -> None:
        """Add a task that is complete when it left its file."""
        done = self.folder / name
        self.tasks.append(
            Task(command, name, (f"{command} && touch {done}",), needs, self.folder / f"{name}.log", done.exists)
        )

    def start(self, task: Task) -> FreshProcess:
        """Start a task's command."""
        with task.log.open("ab") as log:
            self.processes.append(FreshProcess(["sh", "-c", *task.arguments], os.environ, log))
        self.most = max(self.most, sum(process.poll() is None for process in self.processes))
        return self.processes[-1]

    def run(self, jobs: int = 1, keeps_going: bool = False) -> list[TaskFailed]:
        """Run all tasks."""
        return run_tasks(self.tasks, self.start, jobs, self.events.append, 0.002, keeps_going)

    def names(self, kind: type[Skipped] | type[Started] | type[Ended] | type[Failed]) -> list[str]:
        """Return the tasks to which something happened, in order."""
        found = [event for event in self.events if isinstance(event, kind)]
        return [event.running.task.name if isinstance(event, Ended) else event.task.name for event in found]


@pytest.fixture
def stages(tmp_path: Path) -> Stages:
    return Stages(tmp_path)


def test_tasks_run_one_after_another_in_order(stages: Stages) -> None:
    for name in ("a", "b", "c"):
        stages.add(name)
    stages.run()
    assert stages.names(Started) == stages.names(Ended) == ["a", "b", "c"]
    assert all((stages.folder / name).exists() for name in ("a", "b", "c"))
    assert stages.most == 1


def test_a_task_starts_when_what_it_needs_is_complete(stages: Stages) -> None:
    stages.add("a", "sleep 0.05")
    stages.add("b", f"test -e {stages.folder / 'a'}", (0,))
    stages.add("c")
    stages.run(jobs=3)
    assert stages.names(Started) == ["a", "c", "b"]


def test_no_more_than_jobs_run_side_by_side(stages: Stages) -> None:
    for name in "abcdef":
        stages.add(name, "sleep 0.03")
    stages.run(jobs=2)
    assert stages.most == 2
    assert len(stages.names(Ended)) == 6


def test_what_is_complete_is_skipped(stages: Stages) -> None:
    stages.add("a")
    stages.add("b", needs=(0,))
    (stages.folder / "a").touch()
    stages.run()
    assert stages.names(Skipped) == ["a"]
    assert stages.names(Started) == ["b"]


def test_whether_a_task_is_complete_is_asked_when_what_it_needs_is_complete(stages: Stages) -> None:
    asked = []
    stages.add("a")
    stages.add("b", needs=(0,))
    stages.tasks[1] = Task(
        "x", "b", ("true",), (0,), stages.folder / "b.log", lambda: asked.append(stages.names(Ended)) or True
    )
    stages.run(jobs=2)
    assert asked == [["a"]]


def test_a_stage_that_was_not_published_stops_nothing(stages: Stages) -> None:
    stages.add("trained", f"exit {NOT_PUBLISHED}")
    stages.add("next", needs=(0,))
    stages.run()
    assert stages.names(Ended) == ["trained", "next"]
    (noted,) = (event.text for event in stages.events if isinstance(event, Noted))
    assert noted == f"trained: complete, but not published; {stages.folder}/trained.log says why"
    assert stages.names(Failed) == []


def test_a_failure_ends_the_others_and_what_is_complete_stays(stages: Stages) -> None:
    stages.add("a")
    stages.add("b", "sleep 60", (0,))
    stages.add("c", "echo said && exit 7", (0,))
    stages.add("d", needs=(2,))
    begun = time.monotonic()
    with pytest.raises(TaskFailed) as failed:
        stages.run(jobs=2)
    assert (failed.value.task.name, failed.value.code) == ("c", 7)
    assert time.monotonic() - begun < 10
    assert stages.names(Failed) == ["c"]
    assert [process.poll() for process in stages.processes] == [0, -signal.SIGTERM, 7]
    assert "d" not in stages.names(Started)
    assert stages.tasks[2].log.read_text() == "said\n"

    stages.events.clear()
    stages.tasks[1:3] = []
    stages.tasks[1] = Task("x", "d", ("true",), (0,), stages.folder / "d.log", lambda: False)
    stages.run()
    assert stages.names(Skipped) == ["a"]
    assert stages.names(Ended) == ["d"]


def test_a_failure_ends_only_what_needs_it_where_the_rest_keeps_going(stages: Stages) -> None:
    stages.add("a", "exit 3")
    stages.add("needs_a", needs=(0,))
    stages.add("needs_that", needs=(1,))
    stages.add("b")
    stages.add("needs_b", needs=(3,))
    failed = stages.run(jobs=2, keeps_going=True)
    assert [(one.task.name, one.code) for one in failed] == [("a", 3)]
    assert stages.names(Failed) == ["a"]
    assert stages.names(Ended) == ["b", "needs_b"]
    assert not (stages.folder / "needs_a").exists()
    # One that was asked to stop was asked by somebody who wants all to stop.
    stages.tasks[0] = replace(stages.tasks[0], arguments=("exit 130",))
    with pytest.raises(TaskFailed):
        stages.run(keeps_going=True)


def test_an_interruption_ends_all_that_runs(stages: Stages) -> None:
    stages.add("a", "sleep 60")
    stages.add("b", "sleep 60")

    def interrupt(event: Event) -> None:
        if isinstance(event, Updated) and len(event.running) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_tasks(stages.tasks, stages.start, 2, interrupt, 0.002)
    assert [process.poll() for process in stages.processes] == [-signal.SIGTERM] * 2


def test_a_process_that_ignores_sigterm_is_killed(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("domain_tokens.experiment.tasks._GRACE_S", 0.1)
    stages.add("a", f"trap '' TERM; touch {stages.folder / 'ready'}; while true; do sleep 0.01; done")

    def interrupt(event: Event) -> None:
        if (stages.folder / "ready").exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_tasks(stages.tasks, stages.start, 1, interrupt, 0.002)
    assert stages.processes[0].poll() == -signal.SIGKILL


def test_progress_of_a_process_is_shown(stages: Stages) -> None:
    stages.add("a", "sleep 0.2")
    stages.tasks[0].progress_file.write_text("left by an earlier run")
    reported = Progress("", 3, 10, "step", 1.5, 1000.0)

    def start(task: Task) -> FreshProcess:
        assert not task.progress_file.exists()
        ProgressFile(task.progress_file)(reported)
        return stages.start(task)

    run_tasks(stages.tasks, start, 1, stages.events.append, 0.002)
    shown = [event.running[0].progress for event in stages.events if isinstance(event, Updated) and event.running]
    assert set(shown) == {reported}
    assert not stages.tasks[0].progress_file.exists()


def running(task: Task, reports: list[tuple[float, int]], usual: float | None = None) -> Running:
    """A task started at 0 that reported how much of 100 is done at some times."""
    one = Running(task, None, 0.0)
    for now, done in reports:
        ProgressFile(task.progress_file)(Progress("", done, 100, "step"))
        one.refresh(now, usual)
    return one


def test_time_left_of_a_task_follows_from_its_speed_since_the_first_report(stages: Stages) -> None:
    stages.add("a")
    assert running(stages.tasks[0], [(10.0, 40)]).seconds_left is None  # resumed at 40, speed not known yet
    assert running(stages.tasks[0], [(10.0, 40), (20.0, 60)]).seconds_left == pytest.approx(20.0)
    assert running(stages.tasks[0], [(10.0, 40)], usual=30.0).seconds_left == pytest.approx(20.0)
    again = running(stages.tasks[0], [(10.0, 40), (20.0, 90), (30.0, 10), (40.0, 20)], usual=70.0)
    assert again.seconds_left == pytest.approx(80.0), "a second loop in the same process has its own speed"
    assert again.whole_left == pytest.approx(30.0)
    assert running(stages.tasks[0], [(10.0, 40), (20.0, 60)]).whole_left is None


@pytest.mark.parametrize(("jobs", "seconds"), [(1, 16.0), (2, 9.0)])
def test_time_left_of_the_whole(stages: Stages, jobs: int, seconds: float) -> None:
    stages.add("a", "x")
    stages.add("b", "y", (0,))
    stages.add("c", "x")
    stages.add("d", "y", (2,))
    known = {"x": 4.0, "y": 5.0}
    assert time_left(stages.tasks, set(), {0: 2.0}, known, jobs) == seconds
    assert time_left(stages.tasks, {0, 1, 2}, {}, {"x": 4.0}, jobs) is None, "no y has been completed"
    assert time_left(stages.tasks, {0, 1, 2, 3}, {}, {}, jobs) == 0
    stages.tasks.append(replace(stages.tasks[0], kind="z", is_brief=True))  # of a kind that never comes twice
    assert time_left(stages.tasks, set(), {0: 2.0}, known, jobs) == seconds


def test_lines_come_at_the_first_report_and_then_every_so_often(stages: Stages) -> None:
    written: list[str] = []
    stages.add("a", "sleep 0.1")

    def start(task: Task) -> FreshProcess:
        ProgressFile(task.progress_file)(Progress("", 30, 400, "step", 3.2142, 1234.4))
        return stages.start(task)

    run_tasks(stages.tasks, start, 1, Lines(written.append), 0.002)
    log = stages.tasks[0].log
    assert written == [
        f"a: started, log: {log}",
        f"a: step 30 of 400, loss 3.214, 1,234 tokens/s (0 of 1 stages done{whole_left(None)})",
        "a: done in 0:00 (1 of 1 stages done)",
    ]
    frequent: list[str] = []
    stages.tasks = []
    stages.add("b", "sleep 0.1")
    run_tasks(stages.tasks, start, 1, Lines(frequent.append, every_s=0.0), 0.002)
    assert len(frequent) > 4


def test_stages_are_counted_as_they_are_done_and_a_resumed_one_says_where_it_goes_on(stages: Stages) -> None:
    for name, command in (("a", "sleep 0.2"), ("b", "true"), ("c", "true")):
        stages.add(name, command)
    (stages.folder / "b").touch()
    stages.tasks[2] = replace(stages.tasks[2], resumes=lambda: "grpo: from step 40")
    written: list[str] = []
    run_tasks(stages.tasks, stages.start, 2, Lines(written.append), 0.002)
    assert written == [
        f"a: started, log: {stages.tasks[0].log}",
        "b: complete, skipped (1 of 3 stages done)",
        f"c: resumes grpo: from step 40, log: {stages.tasks[2].log}",
        "c: done in 0:00 (2 of 3 stages done)",
        "a: done in 0:00 (3 of 3 stages done)",
    ]


def test_words() -> None:
    assert whole_left(None) == ", time left unknown until one of each stage is done"
    assert whole_left(61.0) == ", about 1:01 left"
    assert describe(Progress("gsm8k", 5, 1300, "item"), 3725.0) == "gsm8k, item 5 of 1,300, about 1:02:05 left"
    assert describe(Progress("", 5, 5, "step"), 0.2) == "step 5 of 5"
    assert [duration(seconds) for seconds in (0, 59.6, 61, 3600)] == ["0:00", "1:00", "1:01", "1:00:00"]


def test_reports_are_written_a_few_times_a_second_and_at_the_end(tmp_path: Path) -> None:
    listener = ProgressFile(tmp_path / "x.progress")
    assert read_progress(tmp_path / "x.progress") is None
    found = []
    for done in (1, 2, 3, 4):
        listener(Progress("", done, 4, "step"))
        found.append(read_progress(tmp_path / "x.progress").done)
    assert found == [1, 1, 1, 4]


class Recorder:
    """Stands in for a warm process and records what it was asked to start."""

    def __init__(self) -> None:
        self.started: list[tuple[list[str], dict[str, str]]] = []

    def start(self, arguments: tuple[str, ...], env: dict[str, str], **_: object) -> None:
        self.started.append((list(arguments), env))


@pytest.mark.parametrize("distributed", [True, False])
@pytest.mark.parametrize("chosen", [{}, {"OMP_NUM_THREADS": "1"}])
def test_a_forked_task_gets_what_the_launcher_would_set_and_the_chosen_threads(
    tmp_path: Path, distributed: bool, chosen: dict[str, str]
) -> None:
    launcher = {"ACCELERATE_USE_CPU": "True", "OMP_NUM_THREADS": "4"}
    task = Task("x", "x", ("script.py", "a"), (), tmp_path / "x.log", lambda: False, distributed)
    recorder = Recorder()
    Starter({"A": "1"} | chosen, None, launcher, recorder)(task)
    ((arguments, environment),) = recorder.started
    assert arguments == ["script.py", "a"]
    expected = {"A": "1", PROGRESS_FILE: str(task.progress_file)} | (launcher if distributed else {}) | chosen
    assert environment == expected
    assert "script.py a" in task.log.read_text()


def test_a_task_that_needs_a_launcher_gets_it_beside_a_warm_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = []
    monkeypatch.setattr(
        "domain_tokens.experiment.processes.FreshProcess", lambda command, *_: commands.append(command)
    )
    starter = Starter({}, Path("zero2.yaml"), None, Recorder())
    starter(Task("x", "x", ("script.py",), (), tmp_path / "x.log", lambda: False, distributed=True))
    assert commands[0][1:] == [
        "-m", "domain_tokens.runs.launcher", "--config_file", "zero2.yaml", "script.py"
    ]  # fmt: skip


def test_the_users_environment_stays_and_threads_are_the_same_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_MMAP_MAX_", "7")
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    environment = task_environment(3)
    assert environment["MALLOC_MMAP_MAX_"] == "7"
    assert int(environment["MALLOC_TRIM_THRESHOLD_"]) > 2**30
    assert environment["OMP_NUM_THREADS"] == environment["MKL_NUM_THREADS"] == "3"
    assert task_environment(None)["OMP_NUM_THREADS"] == "5"


def finished(folder: Path, condition: str, threads: int | None) -> None:
    """Leave the manifest of a stage that used a number of threads."""
    path = folder / f"exp_{condition}" / "seed_0" / "sft_final" / "manifest.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"environment": {"threads": threads}}))


def test_all_conditions_get_the_threads_of_the_stages_that_are_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    alone = Preparation(None, False, {}, 1)
    assert share_cores(Options(threads=3, jobs=2), alone, tmp_path, 4) == (3, 2)
    finished(tmp_path, "old", None)
    finished(tmp_path, "baseline", 3)
    assert share_cores(Options(), alone, tmp_path, 4)[0] == 3
    with pytest.raises(RecipeError, match="got 5, but finished stages of this experiment used 3"):
        share_cores(Options(threads=5), alone, tmp_path, 4)
    finished(tmp_path, "mul_tokens", 5)
    with pytest.raises(RecipeError, match=r"used different numbers of threads \(3, 5\)"):
        share_cores(Options(), alone, tmp_path, 4)


@pytest.fixture
def comparison(tmp_path: Path) -> Comparison:
    """A comparison that was just made, of two conditions that hold next to nothing."""
    folders = (tmp_path / "exp_a", tmp_path / "exp_b")
    for folder in folders:
        (folder / "seed_0" / "eval").mkdir(parents=True)
        (folder / "seed_0" / "eval" / "items.jsonl").write_text("{}")
        (folder / "seed_0" / "model.safetensors").write_text("weights")
    (tmp_path / "prereg.yaml").write_text("alpha: 0.05")
    (tmp_path / "plots").mkdir()
    for name in ("results.json", "plots/one.png", "logs.txt"):
        (tmp_path / name).write_text(name)
    made = Comparison(tmp_path, folders, tmp_path / "prereg.yaml")
    assert not made.is_current()
    made.record()
    assert made.is_current()
    return made


@pytest.mark.parametrize("name", ["exp_a/seed_0/eval/items.jsonl", "prereg.yaml", "results.json", "plots/one.png"])
def test_a_comparison_is_made_again_if_anything_that_it_reads_or_wrote_changed(
    comparison: Comparison, name: str
) -> None:
    path = comparison.experiment_dir / name
    path.write_text("changed")
    assert not comparison.is_current()
    path.unlink()
    assert not comparison.is_current()


@pytest.mark.parametrize("name", ["exp_a/seed_0/model.safetensors", "logs/compare.log", "note.txt"])
def test_a_comparison_is_kept_if_something_else_changed(comparison: Comparison, name: str) -> None:
    path = comparison.experiment_dir / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("changed")
    assert comparison.is_current()


@pytest.mark.parametrize("name", ["preregistration.json", "looks.json"])
def test_a_comparison_is_made_again_if_what_was_frozen_or_looked_at_changed(comparison: Comparison, name: str) -> None:
    (comparison.experiment_dir / name).write_text("{}")
    assert not comparison.is_current()
    comparison.record()
    assert comparison.is_current()


def test_a_comparison_of_other_conditions_or_with_more_seeds_is_made_again(comparison: Comparison) -> None:
    one, two = comparison.conditions
    assert not comparison._replace(conditions=(two, one)).is_current()
    (one / "seed_1").mkdir()
    (one / "seed_1" / "manifest.json").write_text("{}")
    assert not comparison.is_current()


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"outputs": {}}', "{"])
def test_a_damaged_record_of_a_comparison_means_to_compare_again(comparison: Comparison, text: str) -> None:
    (comparison.experiment_dir / "comparison.json").write_text(text)
    assert not comparison.is_current()


def test_a_comparison_follows_links(comparison: Comparison, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    seed = comparison.conditions[0] / "seed_0"
    seed.rename(elsewhere)
    seed.symlink_to(elsewhere)
    comparison.record()
    assert comparison.is_current()
    (elsewhere / "eval" / "items.jsonl").write_text("changed")
    assert not comparison.is_current()


@pytest.mark.parametrize("value", ["0", "4,2", "abc"])
def test_a_number_of_threads_that_is_none_is_refused(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    with pytest.raises(RecipeError, match=f"OMP_NUM_THREADS: expected a whole number of at least 1, got '{value}'"):
        share_cores(Options(), Preparation(None, False, {}, 1), tmp_path, 2)


@pytest.mark.parametrize(
    ("seeds", "overrides", "message"),
    [
        ([0, 0], [], "--seeds: expected different seeds, got 0 twice"),
        ([0], ["seed=3"], "--set seed=3: expected the seeds"),
    ],
)
def test_seeds_are_given_once_and_in_one_place(seeds: list[int], overrides: list[str], message: str) -> None:
    experiment = Experiment([ROOT / "recipes/baseline.yaml"], [], seeds, overrides)
    with pytest.raises(RecipeError, match=message):
        run_experiment(experiment, Options(), lambda event: None)


def test_allowed_changes_are_those_of_the_stages_that_train(tiny, tmp_path: Path) -> None:
    runs = [list(steps_of([*tiny("mul_tokens"), "seed=0"]))]
    asked = [
        [task.kind for task in tasks_of(runs, None, tmp_path, allow) if "--allow-change" in task.arguments]
        for allow in (True, False)
    ]
    assert asked == [["pretrain", "sft", "grpo"], []]
    forced = [
        [task.kind for task in tasks_of(runs, None, tmp_path, force=force) if "--force" in task.arguments]
        for force in (True, False)
    ]
    assert forced == [["grpo"], []]


def test_a_run_with_the_budget_of_others_is_pretrained_after_they_are_trained(tiny, tmp_path: Path) -> None:
    budget = "budget.equal_to={measure: text, reference: baseline, measured_on: mul_tokens}"
    recipes = [tiny("baseline"), tiny("mul_tokens"), tiny("mul_tokens", "condition=equal", budget)]
    runs = [list(steps_of([*one, f"seed={seed}"])) for seed in (0, 1) for one in recipes]
    tasks = tasks_of(runs, None, tmp_path)
    for seed in (0, 1):
        (pretrain,) = [task for task in tasks if task.name == f"equal, seed {seed}: pretrain"]
        needed = {tasks[index].name for index in pretrain.needs}
        assert needed >= {f"baseline, seed {seed}: grpo", f"mul_tokens, seed {seed}: grpo"}
        assert len(needed) == 3  # and its own data
        (usual,) = [task for task in tasks if task.name == f"mul_tokens, seed {seed}: pretrain"]
        assert not any("grpo" in tasks[index].name for index in usual.needs)
    loaded = [load_recipe(one) for one in recipes]
    check_together(loaded)
    with pytest.raises(RecipeError, match="equal: budget.equal_to names mul_tokens; expected its recipe before this"):
        check_together([loaded[0], loaded[2], loaded[1]])
    waiting = {verdict.name: verdict.reason for verdict in preview([loaded[2]], ["pretrain"])}
    assert "exp_baseline/seed_0/grpo_final is missing; run scripts/run_grpo.py" in waiting["pretrain"]


def test_a_comparison_by_other_code_or_of_other_documents_is_made_again(
    comparison: Comparison, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path_factory.mktemp("package")  # beside the experiment: files within it would count as outputs
    monkeypatch.setattr("domain_tokens.experiment.comparison._PACKAGE", package)
    documents = comparison.experiment_dir / "documents_held_out"
    documents.mkdir()
    for path in (package / "verdict.py", documents / "manifest.json"):
        path.write_text("before")
        comparison.record()
        assert comparison.is_current()
        path.write_text("after")
        assert not comparison.is_current()


@pytest.mark.parametrize(("delay", "timeout"), [(0.3, 10.0), (30.0, 0.3)])
def test_a_process_that_is_ended_is_waited_for_with_its_children(delay: float, timeout: float, tmp_path: Path) -> None:
    """The leader ends at the first signal, as accelerate's launcher does; its child takes its time."""
    child = f"trap 'sleep {delay}; exit' TERM; echo ready; while :; do sleep 0.01; done"
    with (tmp_path / "log").open("wb") as log:
        process = FreshProcess(["sh", "-c", f"({child}) & wait"], os.environ, log)
    while "ready" not in (tmp_path / "log").read_text():
        time.sleep(0.01)
    start = time.monotonic()
    process.signal_group(signal.SIGTERM)
    if delay < timeout:
        assert process.wait(timeout) == -signal.SIGTERM
        assert time.monotonic() - start > delay
    else:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout)
        assert process.poll() == -signal.SIGTERM  # the leader alone has ended
        process.signal_group(signal.SIGKILL)
        process.wait(10)
    assert not process._has_group()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("documents", "0"), "'documents_0' is a folder that the project itself writes"),
        (("learning", "rate"), "'learning_rate' is a folder that the project itself writes"),
        (("base", "Base"), "'base' and 'Base' are one folder on some file systems"),
        (("base", "base"), "several recipes have the same condition"),
    ],
)
def test_conditions_whose_folders_meet_are_refused(names: tuple[str, str], message: str) -> None:
    recipe = load_recipe([str(ROOT / "recipes/baseline.yaml")])
    first, second = (replace(recipe, condition=name) for name in names)
    check_together([first, replace(recipe, condition="mul_tokens")])
    with pytest.raises(RecipeError, match=message):
        check_together([first, second])


@pytest.mark.parametrize(
    ("experiment", "message"),
    [
        (
            Experiment([Path("pretrain.max_steps=3")], [], [0], []),
            "pretrain.max_steps=3: no such file",
        ),
        (Experiment([], [Path("nowhere.yaml")], [0], []), "nowhere.yaml: no such file; .* overrides after --set"),
        (Experiment([ROOT / "recipes/baselin.yaml"], [], [0], []), "no such file; .*did you mean '.*/baseline.yaml'"),
        (Experiment([], [], [0], ["recipes/baseline.yaml"]), "--set recipes/baseline.yaml: expected key.path=value"),
    ],
)
def test_recipes_overlays_and_overrides_are_not_mixed_up(experiment: Experiment, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        experiment.arguments()
