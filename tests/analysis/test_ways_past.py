"""Ways past what was frozen: results moved away, looks emptied, code changed, tries under an exempted name."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from domain_tokens.runs.preregistration import (
    FrozenContent,
    FrozenPreregistration,
    amend,
    evaluated_runs,
    freeze,
    read_frozen,
    record_look,
)

from .conftest import Tree, edit, freeze_tree, sha256
from .test_departures import DECLARED, SEEDS, declared, in_results, other_experiment, three_seeds, train_otherwise

Folders = tuple[Path, Path]


@pytest.fixture
def folders(tree: Tree) -> Folders:
    return three_seeds(tree, 1)


def refreeze(experiment: Path, change: Callable[[dict], None], amendment: str | None = None) -> FrozenPreregistration:
    """Freeze other content, in the place of the first record or as an amendment to it."""
    frozen = read_frozen(experiment)
    assert frozen is not None
    value = frozen.latest.as_json()
    change(value)
    content = FrozenContent.parse(value, "changed")
    if amendment is not None:
        return amend(experiment, content, amendment)
    (experiment / "preregistration.json").unlink()
    return freeze(experiment, content)[0]


def with_scorer(value: dict) -> None:
    value["scorer_sha256"] = sha256("another")


# --- Amendments ------------------------------------------------------------------------------------------------------


def test_an_amendment_is_not_blind_because_the_results_lie_elsewhere(folders: Folders) -> None:
    experiment = folders[0].parent
    for run in experiment.glob("exp_*/seed_*/eval"):
        run.rename(run.with_name("away"))
    assert evaluated_runs(experiment) == ()
    frozen = refreeze(experiment, with_scorer, "a better scorer")
    assert len(frozen.amendments[0].evaluations_before) == 6
    assert frozen.blind == frozen.original.content
    for run in experiment.glob("exp_*/seed_*/away"):
        run.rename(run.with_name("eval"))
    for folder in folders:
        in_results(lambda value: value.update(scorer_sha256=sha256("another")))(folder)
    (departure,) = declared(folders).departures
    assert "(a better scorer), when 6 runs had been evaluated: the code that reads and scores answers" in departure


def test_results_of_a_checkpoint_are_results(tmp_path: Path) -> None:
    (tmp_path / "exp_a/seed_0/eval/checkpoints").mkdir(parents=True)
    assert evaluated_runs(tmp_path) == ()
    (tmp_path / "exp_a/seed_0/eval/checkpoints/grpo-60.json").write_text("{}")
    assert evaluated_runs(tmp_path) == ("exp_a/seed_0",)


def test_what_is_frozen_anew_after_looks_is_late(folders: Folders) -> None:
    experiment = folders[0].parent
    for run in experiment.glob("exp_*/seed_*"):
        run.rename(run.with_name(f"away_{run.name}"))
    frozen = refreeze(experiment, with_scorer)
    assert frozen.original.stages_before == ()
    for run in experiment.glob("exp_*/away_*"):
        run.rename(run.with_name(run.name.removeprefix("away_")))
    for path in experiment.glob("exp_*/seed_*/*_final/manifest.json"):
        edit(path, lambda value: value["prereg"].update(frozen_sha256=frozen.original.sha256))
    assert "when 6 runs had been evaluated" in declared(folders).departures[0]


# --- Looks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kept", "missing"),
    [
        (lambda look: False, 6),
        (lambda look: look["what"] == "run", 6),
        (lambda look: look["what"] == "run" or look["conditions"] == ["baseline"], 3),
    ],
    ids=["all", "all but the run", "one condition's"],
)
def test_looks_that_were_taken_out_are_missed(kept: Callable[[dict], bool], missing: int, folders: Folders) -> None:
    path = folders[0].parent / "looks.json"
    looks = json.loads(path.read_text())["looks"]
    assert len(looks) == 7
    path.write_text(json.dumps({"looks": [look for look in looks if kept(look)]}))
    (departure,) = declared(folders).departures
    assert departure.startswith(f"looked at earlier: unknown: looks.json names no evaluation of {missing} of 6 runs")


def test_a_file_of_looks_begun_anew_by_a_comparison_is_missed(folders: Folders) -> None:
    (folders[0].parent / "looks.json").unlink()
    record_look(folders[0].parent, "comparison", ["baseline", "mul_tokens"], list(SEEDS))
    assert "names no evaluation of 6 of 6 runs" in declared(folders).departures[0]


def test_a_run_of_one_condition_covers_no_other(folders: Folders) -> None:
    path = folders[0].parent / "looks.json"
    value = json.loads(path.read_text())
    assert value["looks"][0]["what"] == "run"
    assert declared(folders).departures == ()
    value["looks"][0]["conditions"] = ["mul_tokens"]
    path.write_text(json.dumps(value))
    (departure,) = declared(folders).departures
    assert departure.startswith("looked at earlier: baseline, seed 0: evaluation at 20")


# --- Code ------------------------------------------------------------------------------------------------------------


def with_code(folder: Path, code: str) -> None:
    for path in folder.glob("seed_*/*_final/manifest.json"):
        edit(path, lambda value: value["environment"].update(code_sha256=code))


def test_conditions_that_other_code_trained_are_a_departure(folders: Folders) -> None:
    for folder in folders:
        with_code(folder, "a" * 64)
    assert declared(folders).departures == ()  # frozen before code was recorded, and one code trained all
    with_code(folders[1], "b" * 64)
    departures = declared(folders).departures
    assert len(departures) == 1
    assert "the project's code: 'aaaa" in departures[0]
    assert "mul_tokens, seed 0, pretrain_final" in departures[0]
    assert "and 8 more" in departures[0]


def test_code_that_is_not_the_frozen_one_is_a_departure(folders: Folders) -> None:
    frozen = read_frozen(folders[0].parent)
    assert frozen is not None
    assert frozen.latest.code_sha256 is None
    freeze_tree(folders, DECLARED, code="c" * 64)
    for folder in folders:
        with_code(folder, "c" * 64)
    assert declared(folders).departures == ()
    with_code(folders[0], "d" * 64)
    (departure,) = declared(folders).departures
    assert "the project's code: 'cccc" in departure


# --- Tries -----------------------------------------------------------------------------------------------------------


def exempt(folders: Folders, kind: str) -> None:
    freeze_tree(folders, DECLARED | {"other_runs": {"again*": {"kind": kind, "why": "said in advance"}}})


def other_weights(folder: Path) -> None:
    for path in folder.glob("seed_*/eval/*/*_results.json"):
        edit(path, lambda value: value.update(weights_sha256=sha256("other", folder.name)))


@pytest.mark.parametrize("kind", ["study", "robustness"])
def test_an_exempted_experiment_must_differ_in_its_recipe(kind: str, folders: Folders) -> None:
    exempt(folders, kind)
    copies = other_experiment(folders, "again_1")
    found = declared(folders)
    assert found.departures == ()  # byte for byte the same
    assert f"the {kind} again_1 ran the same conditions, seeds 0, 1, 2" in found.notes[0]
    for copy in copies:
        other_weights(copy)
    (departure,) = declared(folders).departures
    assert departure.startswith(
        "tried more than once: again_1 compared the same conditions, seeds 0, 1, 2 (the same se"
    )
    assert f"and a {kind} must differ in its recipe" in departure
    for copy in copies:
        train_otherwise(copy)
    found = declared(folders)
    assert found.departures == ()
    other = "(other settings: sft.learning_rate); declared as: said in advance"
    assert found.notes == (f"the {kind} again_1 ran the same conditions, seeds 0, 1, 2 {other}",)


def test_an_exempted_experiment_without_a_recipe_or_with_other_data(folders: Folders) -> None:
    exempt(folders, "study")
    copies = other_experiment(folders, "again")
    for copy in copies:
        other_weights(copy)
    source = {"corpus": {"sources": [{"name": "web", "sha256": [["a.jsonl", "1"]]}]}}
    for path in copies[0].glob("seed_*/pretrain_final/manifest.json"):
        edit(path, lambda value: value.update(inputs=source))
    found = declared(folders)
    assert found.departures == ()
    assert "other settings: corpus.sources.0.sha256.0.1" in found.notes[0]
    for path in copies[0].glob("seed_*/*_final/run_config.yaml"):
        path.unlink()
    assert "(settings unknown, and a study must differ" in declared(folders).departures[0]


@pytest.mark.parametrize("is_exempt", [False, True])
def test_a_try_that_is_gone_is_not_forgotten(is_exempt: bool, folders: Folders) -> None:
    experiment = folders[0].parent
    (copy, _) = other_experiment(folders, "again")
    away = experiment.parents[1] / "away"
    shutil.move(experiment, away)
    experiment.mkdir()
    shutil.copy(away / "preregistration.json", experiment)
    other_runs = {"again": {"kind": "study", "why": "w"}} if is_exempt else {}
    frozen = refreeze(experiment, lambda value: value["prereg"]["declared"].update(other_runs=other_runs))
    assert frozen.original.other_experiments == ("again",)
    shutil.copy(experiment / "preregistration.json", away)
    shutil.rmtree(experiment)
    shutil.move(away, experiment)
    for path in experiment.glob("exp_*/seed_*/*_final/manifest.json"):
        edit(path, lambda value: value["prereg"].update(frozen_sha256=frozen.original.sha256))
    assert declared(folders).departures == ()
    shutil.rmtree(copy.parent)
    found = declared(folders)
    gone = "again had results when this was frozen and has none now"
    if is_exempt:
        assert found.departures == ()
        assert found.notes == (f"the study {gone}; declared as: w",)
    else:
        assert found.departures == (f"tried more than once: unknown: {gone}; restore it",)
