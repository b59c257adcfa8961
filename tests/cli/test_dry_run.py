"""`--dry-run` with nothing on disk: what it prints, what it refuses, and that it touches nothing."""

import os
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import ROOT, run_inside, tiny_arguments

from domain_tokens.cli import common
from domain_tokens.cli.dry_run import _seeds
from domain_tokens.corpora.sources import check_files
from domain_tokens.planning.derived import derive
from domain_tokens.planning.preview import STAGES, preview
from domain_tokens.recipe import RecipeError, load_recipe
from domain_tokens.runs.progress import begin, hearing_of_parts

STAGE_SCRIPTS = ("prepare_data", "run_pretrain", "run_sft", "run_grpo", "run_eval", "eval_checkpoints")
FULL = str(ROOT / "recipes/mul_tokens.yaml")

Snapshot = dict[Path, tuple[int, int]]


def snapshot(*folders: Path) -> Snapshot:
    """Return size and time of change of every file and folder, compiled Python left out."""
    found = {}
    for folder in folders:
        for parent, names, files in os.walk(folder):
            names[:] = [name for name in names if name != "__pycache__"]
            for path in (Path(parent, name) for name in ("", *names, *files)):
                status = path.lstat()
                if not path.is_dir() or not (path / "__pycache__").is_dir():
                    found[path] = (status.st_size, status.st_mtime_ns)
    return found


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError(f"the network was used: {arguments}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def rows(stdout: str) -> dict[str, list[str]]:
    """Return the cells of the first plain table, what follows for each stage, by their first cell."""
    found: dict[str, list[str]] = {}
    for line in stdout.splitlines():
        cells = re.split(r"\s{2,}", line.strip())
        if len(cells) > 3:
            found.setdefault(cells[0], cells)
    return found


@pytest.mark.parametrize("script", STAGE_SCRIPTS)
def test_a_stage_says_what_follows_and_touches_nothing(script: str, tmp_path: Path, no_network: None) -> None:
    (tmp_path / "kept.txt").write_text("x")
    watched = (tmp_path, *(ROOT / name for name in ("recipes", "scripts", "src", "accelerate_configs")))
    before = snapshot(*watched)
    done = run_inside(f"scripts/{script}.py", *tiny_arguments(tmp_path, "mul_tokens"), "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "tokens_per_step: 256" in done.stdout
    assert len(before) > 100
    assert snapshot(*watched) == before
    table = rows(done.stdout)
    expected = {
        "pretrain": ["4", "256 tokens", "128", "2"],
        "sft/drills": ["4", "8 examples", "8", "1"],
        "grpo": ["1", "8 completions", "8", "1"],
    }
    of_stage = {name: cells for name, cells in expected.items() if script == f"run_{name.partition('/')[0]}"}
    shown = {name: table[name][1:5] for name in expected if name in table}
    assert shown == (of_stage or expected)
    assert "Dry run: nothing was changed." in done.stdout
    assert "\x1b" not in done.stdout


def test_what_is_missing_is_said_with_the_script_that_makes_it(tmp_path: Path) -> None:
    recipe = load_recipe(tiny_arguments(tmp_path, "baseline"))
    (verdict,) = preview([recipe], ["sft"])
    assert (verdict.name, verdict.action) == ("sft/drills", "wait")
    assert "tokenizer is missing; run scripts/prepare_data.py" in verdict.reason
    assert [one.action for one in preview([recipe], ["prepare_data"])] == ["run"] * 4


def test_an_experiment_runs_every_stage_once_and_shares_the_documents(tmp_path: Path) -> None:
    recipes = [load_recipe(tiny_arguments(tmp_path, name)) for name in ("baseline", "mul_tokens")]
    verdicts = preview(recipes, STAGES)
    assert {verdict.action for verdict in verdicts} == {"run"}
    names = [verdict.name for verdict in verdicts]
    assert names.count("documents") == 1
    assert names.count("tokenizer") == names.count("grpo") == names.count("learning curves") == 2
    assert [verdict.reason for verdict in verdicts if verdict.name == "grpo"] == ["after sft_final"] * 2


def test_the_experiment_prints_one_recipe_and_the_differences(tmp_path: Path, no_network: None) -> None:
    before = snapshot(tmp_path)
    _, overlay, *overrides = tiny_arguments(tmp_path, "baseline")
    done = run_inside(
        "scripts/run_experiment.py", "recipes/baseline.yaml", "recipes/mul_tokens.yaml", "--dry-run", "--overlay",
        overlay, "--seeds", "0", "1", "--set", *overrides,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("experiment: tiny") == 1
    assert "# The same except for condition=mul_tokens, seed=1, tokenizer=" in done.stdout
    assert re.search(r"mul_tokens, seed 1 +grpo +run ", done.stdout)
    assert "for all runs (4)" in done.stdout
    assert re.search(
        r"Corpus: about 12,\d{3} training tokens per seed; pretraining reads 1,024: 0\.08 epochs", done.stdout
    )
    assert "per condition and none per seed" in done.stdout
    assert "endpoint notations accuracy of grpo_final (a times b): no condition rewrites any" in done.stdout
    assert "preregistration: would be frozen before the first step: " in done.stdout
    assert "note: of the declared seeds, 2 are not in this command" in done.stdout
    assert snapshot(tmp_path) == before


def test_the_jobs_of_a_cluster_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs, out = tmp_path / "bin", tmp_path / "out"
    programs.mkdir()
    for name in ("sbatch", "squeue", "launch_pickled_pipeline"):
        (programs / name).write_text("#!/bin/sh\nexit 1\n")
        (programs / name).chmod(0o700)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    overrides = ["corpus.num_shards=300", "corpus.num_workers=20", "corpus.cluster.sbatch_args={account: lab}"]
    arguments = tiny_arguments(out, "baseline", *overrides)
    command = ("scripts/prepare_data.py", *arguments, "--dry-run", "--executor", "slurm")
    done = run_inside(*command, "corpus.cluster={partition: cpu, time: '02:00:00', mem_per_cpu_gb: 3}")
    assert done.returncode == 0, done.stderr
    jobs = [re.split(r"\s{2,}", line.strip()) for line in done.stdout.splitlines() if "02:00:00" in line]
    assert jobs[-3:] == [
        [name, "300", "20", "1", "3 GB", "02:00:00"] for name in ("documents", "tokens_train", "tokens_validation")
    ]
    assert "sbatch --partition=cpu --account=lab" in done.stdout
    missing = run_inside(*command)
    assert missing.returncode == 2
    assert "corpus.cluster.partition: missing" in missing.stderr
    assert not out.exists()


@pytest.mark.parametrize(
    ("override", "part"),
    [
        ("budget.pretrain_tokens_per_step=300", "budget.pretrain_tokens_per_step: 300 does not divide"),
        ("grpo.max_steps=0", "grpo.max_steps: expected a whole number of at least 1"),
        ("pretrain.optim=sgdd", "pretrain.optim"),
        ("corpus.sources=[{name: a, kind: file, path: /nowhere.jsonl}]", "no file /nowhere.jsonl"),
        ("corpus.sources=[]", "corpus.sources: empty"),
        (
            "corpus.num_shards=10000000",
            "num_shards: expected a whole number of at most 100,000, got 10,000,000",
        ),
        ("corpus.num_workers=999999", "corpus.num_workers: expected a whole number of at most 10,000, got 999,999"),
    ],
)
def test_what_the_stage_would_refuse_is_refused(override: str, part: str, tmp_path: Path) -> None:
    done = run_inside("scripts/prepare_data.py", *tiny_arguments(tmp_path, "baseline", override), "--dry-run")
    assert done.returncode == 2
    (error,) = [line for line in done.stderr.splitlines() if not line.endswith(" ...")]  # of slow steps
    assert error.startswith("error: ")
    assert part in error
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_says_which_steps_take_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "_SLOW_IN_A_FILE_S", 0.01)
    done = run_inside("scripts/prepare_data.py", *tiny_arguments(tmp_path, "baseline"), "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "checking the settings of baseline ..." in done.stderr.splitlines()
    assert "estimating what each stage takes, and looking at what is there ..." in done.stderr.splitlines()


def test_a_step_that_ends_soon_is_not_said(capsys: pytest.CaptureFixture[str]) -> None:
    with common.SlowSteps(0.5) as steps, hearing_of_parts(steps):
        begin("reading")
        begin("comparing")
        time.sleep(1)
        begin("writing")
    begin("after")
    time.sleep(0.7)
    assert capsys.readouterr().err == "comparing ...\n"


def test_the_first_line_is_printed_into_a_file_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from domain_tokens.cli import running

    monkeypatch.setattr(running, "end_by_signals", lambda: None)

    with running.running_experiments():
        assert capsys.readouterr().err == common.FIRST_LINE
    monkeypatch.setenv("RANK", "1")  # the second process of a launcher
    common.announce_checks()
    assert capsys.readouterr().err == ""


def test_the_full_experiment_by_hand() -> None:
    derived = derive(load_recipe([FULL]), 8)
    pretrain, sft, grpo = derived.stages
    assert derived.parameters == 124_510_464
    assert (pretrain.steps, pretrain.accumulation, pretrain.micro_batch) == (19073, 1, 64 * 1024)
    # The three newest checkpoints, the best and the next, of 12 bytes for each parameter; the weights of 49 points and
    # of the final folder.
    assert pretrain.disk_bytes == 124_510_464 * (5 * 12 + 50 * 4)
    without = derive(load_recipe([FULL, "pretrain.save_strategy=no"]), 8).stages[0]
    assert without.disk_bytes == 124_510_464 * 4
    assert sft.steps == 3 * -(-7473 // 64)  # every epoch ends with a partial step
    assert derive(load_recipe([FULL, "sft_stages.0.sources.0.path=a/b"]), 8).stages[1].steps is None
    assert grpo.accumulation == 1
    logits = 64 * 1024 * 50349 * 12
    assert pretrain.memory_bytes == 124_510_464 * 16 + 64 * 1024 * 12 * 768 * 34 + logits
    assert pretrain.seconds == pytest.approx(pretrain.cost.flops / derived.device.training_flops / 8)


def test_processes_that_do_not_divide_a_step_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"budget\.pretrain_tokens_per_step: 524288 does not divide"):
        derive(load_recipe([FULL]), 3)


def test_the_processes_of_a_launcher_count_and_one_answers(
    tmp_path: Path, tiny: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    done = run_inside("scripts/run_pretrain.py", *tiny("baseline"), "--dry-run")
    assert rows(done.stdout)["pretrain"][1:5] == ["4", "256 tokens", "128", "1"]
    monkeypatch.setenv("RANK", "1")
    done = run_inside("scripts/run_pretrain.py", *tiny("baseline"), "--dry-run")
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("override", "source"),
    [("sft_stages.0.sources.0", "drills"), ("grpo_prompts.0", "problems"), ("corpus.sources.0", "text")],
)
def test_a_missing_data_file_is_refused_before_any_stage(override: str, source: str, tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.jsonl"
    arguments = [
        *tiny_arguments(tmp_path, "mul_tokens"), f"{override}.kind=file", f"{override}.path={missing}",
        f"{override}.name={source}",
    ]  # fmt: skip
    with pytest.raises(RecipeError, match=rf"source {source}: path: no file {missing}"):
        check_files(load_recipe(arguments))
    if not override.startswith("corpus"):
        found = {verdict.name: verdict for verdict in preview([load_recipe(arguments)], STAGES)}
        refused = [verdict.reason for verdict in found.values() if verdict.action == "refuse"]
        assert len(refused) == 1
        assert f"no file {missing}" in refused[0]


def test_the_three_seeds_of_all_runs_are_named() -> None:
    recipes = [load_recipe([FULL, f"seed={seed}", "seeds.weights=7"]) for seed in (21, 20)]
    named = "initial weights 7; order of documents and examples 20, 21; sampling and dropout 20, 21"
    assert _seeds(recipes) == f"Seeds: {named}"
