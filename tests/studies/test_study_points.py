"""Studies: which points a grid has, what they share, what is refused, and what Slurm is given."""

import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from tiny import ROOT

from domain_tokens.experiment.run import Options
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.layout import LOGS
from domain_tokens.stopping.signals import GO_ON
from domain_tokens.studies import declared, running
from domain_tokens.studies.declaration import Study, load_study
from domain_tokens.studies.declared import declare, describe_held_out, read_declarations
from domain_tokens.studies.points import points_of, run_of, varied_keys
from domain_tokens.studies.running import share_data, source_of, tasks_of_points
from domain_tokens.studies.slurm import submit
from domain_tokens.studies.table import check_one_text

SHIPPED = sorted((ROOT / "recipes/studies").glob("*.yaml"))
WIDTHS = {"w16": {"model.n_embd": 16}, "w24": {"model.n_embd": 24}}
Made = Callable[..., Study]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """Return a study of one condition in a temporary folder, read from a file that holds the given keys."""

    def make(**keys: object) -> Study:
        usual = {
            "study": "s", "output_dir": str(tmp_path), "recipes": ["recipes/baseline.yaml"],
            "overlays": ["recipes/scales/try.yaml"], "grid": {"width": WIDTHS},
        }  # fmt: skip
        file = tmp_path / "s.yaml"
        file.write_text(yaml.safe_dump(usual | keys, sort_keys=False))
        return load_study(file)

    return make


def test_a_point_is_a_combination_and_sets_what_it_names(made: Made, tmp_path: Path) -> None:
    study = made(
        recipes=["recipes/baseline.yaml", "recipes/mul_tokens.yaml"],
        grid={"width": WIDTHS, "pretrain.learning_rate": [0.001, 2e-3]},
        held_out={"model.n_embd": 24, "pretrain.learning_rate": 0.002},
    )
    points = points_of(study, "s.yaml")
    names = [f"{width}_learning_rate-{rate}" for width in WIDTHS for rate in ("0.001", "0.002")]
    assert [point.name for point in points] == names
    assert varied_keys(points) == ["model.n_embd", "pretrain.learning_rate"]
    assert [point.held_out for point in points] == [False, False, False, True]
    for point in points:
        reference, other = point.recipes
        assert [reference.condition, other.condition] == ["baseline", "mul_tokens"]
        assert replace(other, condition="baseline", tokenizer=reference.tokenizer) == reference
        for recipe in point.recipes:
            assert recipe.model["n_embd"] == point.settings["model.n_embd"]
            assert recipe.pretrain["learning_rate"] == point.settings["pretrain.learning_rate"]
            assert recipe.experiment_dir == tmp_path / "s" / point.name
            assert not recipe.sft_stages
            assert not recipe.grpo_prompts
            assert recipe.prereg is None


def test_duplicates_and_what_cannot_be_run_are_named(made: Made) -> None:
    grid = {"width": WIDTHS | {"again": {"model.n_layer": 1, "model.n_embd": 16}, "typo": {"model.n_embed": 9}}}
    first, second, again, typo = points_of(made(grid=grid), "s.yaml")
    assert (first.is_run, second.is_run) == (True, True)
    assert (again.same_as, again.is_run) == ("w16", False)
    assert "n_embed" in typo.problem
    assert not typo.is_run


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"grid": {}}, "grid: empty"),
        ({"grid": {"model.n_embd": 16}}, r"grid\.model\.n_embd: expected a list of values, or names"),
        ({"grid": {"model.n_embd": [16, 16]}}, "a value occurs twice"),
        ({"grid": {"width": {"a b": {"model.n_embd": 16}}}}, "the name of a point: expected letters"),
        ({"grid": {"width": {"w": 3}}}, r"width\.w: expected keys of a recipe"),
        ({"grid": {"width": WIDTHS, "model.n_embd": [3]}}, "sets model.n_embd, which another axis sets too"),
        ({"held_out": {"model.n_layer": 2}}, "held_out: expected one of model.n_embd"),
        ({"held_out": {"model.n_embd": 17}}, "held_out: no point"),
        ({"held_out": {"model.n_embd": [16, 24]}}, "held_out: names every point"),
        ({"held_out": {"model.n_embd": [24, 99]}}, r"held_out\.model\.n_embd: no point of the grid has the value 99"),
        ({"held_out": {"pretrain.bf16": 1}, "grid": {"pretrain.bf16": [True, False]}}, "held_out: no point"),
        ({"grid": {"output_dir": ["a", "b"]}}, "a study sets output_dir itself"),
        ({"same_run": ["pretrain.max_step"]}, "same_run: expected one of model.n_embd"),
        ({"fits": ["tokenz"]}, "fits: expected one of parameters, tokens, flops, context, joint.*did you mean"),
        ({"fits": ["tokens", "tokens"]}, "fits: the name 'tokens' occurs twice"),
        ({"seeds": []}, "seeds: empty"),
        ({"recipes": ["recipes/nothing.yaml"]}, r"recipes/nothing\.yaml: no such file"),
        ({"study": "a/b"}, "study: expected letters"),
        ({"slurm": {"minutes": 0}}, r"slurm\.minutes: expected a whole number of at least 1"),
        ({"griid": {}}, "griid"),
        ({"grid": {"model.n_embed": [1]}}, "no point of the grid is valid"),
    ],
)
def test_a_wrong_study_is_refused_with_its_key(made: Made, keys: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        points_of(made(**keys), "s.yaml")


def test_an_overlay_is_said_to_be_no_study() -> None:
    with pytest.raises(RecipeError, match=r"try\.yaml: no study, for it has neither study nor grid"):
        load_study(Path("recipes/scales/try.yaml"))


def test_points_that_read_the_same_documents_share_them(made: Made) -> None:
    grid = {
        "width": WIDTHS,
        "documents": {"few": {"corpus.sources.0.max_items": 300}, "many": {"corpus.sources.0.max_items": 400}},
    }
    points = points_of(made(grid=grid), "s.yaml")
    sources = {point.name: source_of(point, points).name for point in points}
    assert sources == {"w16_few": "w16_few", "w16_many": "w16_many", "w24_few": "w16_few", "w24_many": "w16_many"}
    share_data(points, [replace(point) for point in points])  # checked again, they are other objects
    for point in points:
        recipe, shared = point.recipes[0], sources[point.name] != point.name
        for folder in (recipe.documents_dir, recipe.corpus_dir, recipe.tokenizer_dir, recipe.base_vocabulary_dir):
            assert folder.is_symlink() == shared
        assert not recipe.run_dir.exists()
    runs = {point.name: point.runs([0, 1]) for point in points}
    tasks = tasks_of_points(points, points, runs)
    assert len(tasks) == 4 * 2 * 3
    by_name = {task.name: index for index, task in enumerate(tasks)}
    needs = tasks[by_name["w24_many, baseline, seed 0: prepare_data"]].needs
    assert by_name["w16_many, baseline, seed 0: prepare_data"] in needs
    assert by_name["w16_few, baseline, seed 0: prepare_data"] not in needs
    assert all(need < index for index, task in enumerate(tasks) for need in task.needs)


def test_the_log_of_a_study_says_for_which_points_a_command_has_ended(made: Made, monkeypatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    study = made()
    points = points_of(study, "s.yaml")
    monkeypatch.setattr(running, "running_stages", interrupted)
    with pytest.raises(KeyboardInterrupt):
        running.run_study(study, points, points[:1], Options(), lambda event: None)
    begun, *ended = (study.folder / LOGS / running.LOG).read_text().splitlines()
    assert begun[:2] == "20"
    assert [line[9:] for line in ended] == [f"w16, ended: {GO_ON}"]


def test_a_value_that_is_a_section_has_a_column_for_each_of_its_keys(made: Made) -> None:
    grid = {"width": {name: {"model": {"n_embd": width}} for name, width in (("a", 16), ("b", 24))}}
    points = points_of(made(grid=grid), "s.yaml")
    assert varied_keys(points) == ["model.n_embd"]
    assert [point.flat["model.n_embd"] for point in points] == [16, 24]
    (wsd,) = [file for file in SHIPPED if file.stem == "scaling_wsd"]
    points = points_of(load_study(wsd), str(wsd))
    assert [point.flat["pretrain.lr_scheduler_kwargs.num_decay_steps"] for point in points] == [10, 20, 40, 100]
    assert "pretrain.lr_scheduler_kwargs.num_decay_steps" in varied_keys(points)


def test_ends_of_one_run_have_its_name(made: Made) -> None:
    grid = {"width": WIDTHS, "pretrain.max_steps": [2, 4]}
    study = made(grid=grid, same_run=["pretrain.max_steps"])
    points = points_of(study, "s.yaml")
    assert [run_of(study, point, points) for point in points] == ["w16_max_steps-2"] * 2 + ["w24_max_steps-2"] * 2
    alone = replace(study, same_run=[])
    assert [run_of(alone, point, points) for point in points] == [point.name for point in points]


def test_rows_of_different_texts_are_no_one_table() -> None:
    rows = [{"point": name, "validation_sha256": name, "validation_bytes": 1} for name in ("a", "b")]
    check_one_text([rows[0], rows[0]])
    with pytest.raises(RecipeError, match="b was measured on another validation text"):
        check_one_text(rows)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_a_shipped_study_has_valid_points(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = load_study(file)
    assert study.study == file.stem
    assert study.question.endswith("?")
    points = points_of(replace(study, recipes=study.recipes[:1]), str(file))
    assert len(points) > (0 if study.study == "sanity" else 2)
    assert all(point.is_run for point in points), [point.problem or point.same_as for point in points]
    assert len({source_of(point, points).name for point in points}) == 1 or study.study == "ablation_tokenizer"


PROGRAMS = {
    "srun": "exit 1",
    "sbatch": 'number=$(($(ls "$SLURM" | grep -c job) + 1)); cp "${@: -1}" "$SLURM/job$number"; '
    '[ -z "$REFUSE" ] || { echo "invalid partition" >&2; exit 1; }; echo "Submitted batch job $number"',
}


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "slurm"
    folder.mkdir()
    for name, script in PROGRAMS.items():
        (folder / name).write_text(f"#!/bin/bash\n{script}\n")
        (folder / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM", str(folder))
    return folder


def test_slurm_is_given_data_then_an_array_of_points_then_the_table(slurm: Path, made: Made, tmp_path: Path) -> None:
    study = made(
        slurm={"partition": "gpu", "minutes": 90, "gpus": 2, "at_a_time": 1, "sbatch_args": {"account": "lab"}}
    )
    points = points_of(study, "s.yaml")
    jobs = submit(study, Path("s.yaml"), points, points[:1], ["--seeds", "3"], ["--copy-to", "there"])
    assert jobs.data == {"w16": "1"}
    assert jobs.points == {"w16": "2_0", "w24": "2_1"}
    assert jobs.table == "3"
    scripts = [(slurm / f"job{number}").read_text() for number in (1, 2, 3)]
    assert ["dependency" in script for script in scripts] == [False, True, True]
    assert "#SBATCH --dependency=afterany:1\n" in scripts[1]
    assert "#SBATCH --dependency=afterany:2\n" in scripts[2]
    assert "#SBATCH --array=0-1%1" in scripts[1]
    for script in scripts:
        for option in ("partition=gpu", "time=90", "gpus-per-node=2", "account=lab"):
            assert f"#SBATCH --{option}\n" in script
    import cloudpickle

    pickles = sorted((study.folder / LOGS / "slurm" / "points").glob("*_submitted.pkl"))
    commands = [cloudpickle.loads(path.read_bytes()).function.command for path in pickles]
    assert [command[-2:] for command in commands] == [["--only", "w16"], ["--only", "w24"]]
    (table,) = (study.folder / LOGS / "slurm" / "table").glob("*_submitted.pkl")
    assert cloudpickle.loads(table.read_bytes()).function.command[-3:] == ["--only-table", "--copy-to", "there"]
    assert all(command[2:5] == ["s.yaml", "--seeds", "3"] for command in commands)


def test_what_slurm_refuses_is_said(slurm: Path, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    study = made()
    points = points_of(study, "s.yaml")
    monkeypatch.setenv("REFUSE", "1")
    with pytest.raises(RecipeError, match="sbatch refused the data of s: .*invalid partition"):
        submit(study, Path("s.yaml"), points, points[:1], [])
    (slurm / "srun").unlink()
    with pytest.raises(RecipeError, match="no srun here"):
        submit(study, Path("s.yaml"), points, points[:1], [])


def test_what_is_held_out_is_declared_before_it_is_run_or_said_not_to_be(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = ["a run"]
    monkeypatch.setattr(declared, "missing_runs", lambda study, points: missing)
    study = made(held_out={"model.n_embd": 24}, fits=["parameters"])
    points = points_of(study, "s.yaml")
    assert "not declared by a command" in describe_held_out(study, points)
    declare(study, points)
    declare(study, points)
    (first,) = read_declarations(study)
    assert (first.held_out, first.points, first.seen) == ({"model.n_embd": 24}, WIDTHS, ())
    assert "before any of their runs was complete" in describe_held_out(study, points)
    missing.clear()
    later = replace(study, held_out={"model.n_embd": 16})
    points = points_of(later, "s.yaml")
    declare(later, points)
    assert [one.seen for one in read_declarations(study)] == [(), ("w16",)]
    assert describe_held_out(later, points).endswith("no test: w16.")
    declare(study, points_of(study, "s.yaml"))
    assert [one.seen for one in read_declarations(study)] == [(), ("w16",), ("w24",)]
    assert [one.seen_fitted for one in read_declarations(study)] == [(), ("w24",), ("w16",)]
    assert "before any" in describe_held_out(study, points_of(study, "s.yaml"))  # as it was at first
    other = replace(study, grid={"width": {**WIDTHS, "w16": {"model.n_embd": 32}}})
    assert "not declared" in describe_held_out(other, points_of(other, "s.yaml"))  # of the same names
    assert describe_held_out(replace(study, held_out={}), points) == ""
