"""The live view of an experiment that the real runner and stages have made."""

from pathlib import Path

import pytest
from tiny import run_script

from domain_tokens.analysis.report import findings
from domain_tokens.analysis.results_model import Results
from domain_tokens.runs.checkpoints.verified import damage_of
from domain_tokens.watch.looking import Watch
from domain_tokens.watch.view import State

pytestmark = pytest.mark.integration


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(folder.rglob("*"))}


def test_a_finished_experiment_is_seen_whole_and_left_as_it_is(experiment: Path) -> None:
    before = snapshot(experiment)
    view = Watch(experiment).look()
    (found,) = view.experiments
    assert [run.name for run in found.runs] == ["baseline, seed 0", "mul_tokens, seed 0"]
    assert found.columns == ("prepare_data", "pretrain", "sft_drills", "grpo", "eval", "eval_checkpoints")
    assert {stage.state for stage in found.stages} == {State.DONE}
    assert all(stage.seconds is not None for stage in found.stages)
    results = Results.model_validate_json((experiment / "results.json").read_text(encoding="utf-8"))
    assert (view.state, view.headline) == ("finished", findings.headline(results))
    assert view.report == experiment / "report.html"
    drawn = {chart.title: chart for chart in found.charts}
    assert {"Pretraining: loss (dashed: validation)", "Evaluated checkpoints of all stages"} <= set(drawn)
    healths = found.healths
    assert len(healths) == 6
    assert [health.problem for *_, health in healths] == [""] * 6
    work = experiment / "exp_baseline/seed_0/checkpoints/pretrain" / f"checkpoint-{healths[0][2].step}"
    assert damage_of(work, to_resume=True) is None, "what is whole at a glance is whole by its hashes"
    shown = run_script("scripts/watch.py", str(experiment), "--once")
    assert shown.returncode == 0, shown.stderr
    assert "Finished: all 13 stages are done." in shown.stdout
    assert snapshot(experiment) == before
