"""The 2 x 2 of a transplant: main effects, interaction and intervals, and how the four cells are recognized."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from domain_tokens.analysis.compare import assemble
from domain_tokens.analysis.matching import match, mismatches, outside_tokenizer
from domain_tokens.analysis.measures.transplant import transplant
from domain_tokens.analysis.overview import assemble_overview
from domain_tokens.analysis.preregistration import read_preregistration
from domain_tokens.analysis.report.markdown import overview_to_markdown
from domain_tokens.analysis.report.pages import overview_to_html
from domain_tokens.analysis.report.tables.transplant import cells_table, effects_table, enters
from domain_tokens.analysis.results_model import Results, Transplant
from domain_tokens.analysis.statistics.crossed import crossed_difference, crossed_factorial
from domain_tokens.cli.verify_matched import read_recorded
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.results import Condition, Pair, load_condition, load_trained

from .conftest import checkpoint, edit, freeze_tree, sha256, write_condition, write_evaluation, write_json, write_stage

pytestmark = pytest.mark.usefixtures("no_odds_ratio")
CELLS = ("baseline", "mul_tokens", "baseline_then_mul_tokens", "mul_tokens_then_baseline")
SIDES = {"baseline": 0, "mul_tokens": 1}
SEEDS = (0, 1, 2)
NUM_ITEMS = 40
BITS_OF_ITEMS = ("model_bits", "side_bits", "site_model_bits", "site_side_bits", "sites_bits_per_byte",
                 "sites_model_bits_per_byte", "others_bits_per_byte")  # fmt: skip

Rights = dict[str, Sequence[int]]
"""How many of the items are right in each seed, by condition."""


def test_the_effects_of_a_table_worked_by_hand() -> None:
    # accuracies: 20% and 30% with the first pretraining, 40% and 80% with the second
    cells = [[[1, 1] + [0] * 8, [1, 1, 1] + [0] * 7], [[1, 1, 1, 1] + [0] * 6, [1] * 8 + [0] * 2]]
    found = crossed_factorial(np.array(cells)[:, :, None, :])
    assert found.first.value == pytest.approx(((0.4 - 0.2) + (0.8 - 0.3)) / 2)
    assert found.second.value == pytest.approx(((0.3 - 0.2) + (0.8 - 0.4)) / 2)
    assert found.interaction.value == pytest.approx((0.8 - 0.4) - (0.3 - 0.2))
    assert found.first.value + found.second.value == pytest.approx(0.8 - 0.2)


def test_where_only_seeds_vary_the_intervals_are_students_over_paired_seeds() -> None:
    rng = np.random.default_rng(0)
    by_seed = rng.normal(size=(2, 2, 5, 1))
    found = crossed_factorial(np.broadcast_to(by_seed, (2, 2, 5, 30)))
    y = by_seed[..., 0]
    parts = {
        "first": ((y[1, 0] - y[0, 0]) + (y[1, 1] - y[0, 1])) / 2,
        "second": ((y[0, 1] - y[0, 0]) + (y[1, 1] - y[1, 0])) / 2,
        "interaction": (y[1, 1] - y[1, 0]) - (y[0, 1] - y[0, 0]),
    }
    for name, values in parts.items():
        expected = stats.t.interval(0.95, 4, loc=values.mean(), scale=stats.sem(values))
        assert getattr(found, name).interval() == pytest.approx(expected)
    shuffled = by_seed.copy()
    shuffled[1, 1] = shuffled[1, 1, ::-1]  # other pairs of seeds: another interval around the same value
    other = crossed_factorial(np.broadcast_to(shuffled, (2, 2, 5, 30))).interaction
    assert other.value == pytest.approx(found.interaction.value)
    assert other.interval() != pytest.approx(found.interaction.interval())


def test_without_an_effect_intervals_cover_0_as_often_as_they_say() -> None:
    rng, missed, repeats = np.random.default_rng(1), np.zeros(3), 400
    for _ in range(repeats):
        easy = rng.normal(size=(1, 1, 1, 60)) + rng.normal(size=(2, 2, 4, 1)) * 0.5
        found = crossed_factorial(rng.random((2, 2, 4, 60)) < 1 / (1 + np.exp(-easy)))
        for index, effect in enumerate((found.first, found.second, found.interaction)):
            low, high = effect.interval() or (0.0, 0.0)
            missed[index] += not low <= 0 <= high
    assert (missed > 0).all()  # the intervals are not simply too wide
    assert (missed / repeats < 0.08).all(), missed / repeats


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (4, 3, 5), (2, 2, 5)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \(2, 2, num_seeds, num_items\)"):
        crossed_factorial(np.zeros(shape))


def test_clusters_count_as_in_a_difference_of_two_conditions() -> None:
    rng = np.random.default_rng(2)
    y, clusters = rng.random((2, 2, 3, 24)), np.arange(24) // 4
    found = crossed_factorial(y, clusters).first
    assert found == crossed_difference((y[0, 0] + y[0, 1]) / 2, (y[1, 0] + y[1, 1]) / 2, clusters)
    assert found != crossed_factorial(y).first


def answered(run: Path, condition: str, seed: int, num_right: int, model: str = "grpo_final") -> None:
    stage = model.removesuffix("_final")
    items: list[dict[str, Any]] = [
        {"id": f"{index:03}", "question": "6*9?", "gold": "54", "answer": "", "correct": index < num_right}
        for index in range(NUM_ITEMS)
    ]
    weights = sha256("weights", stage, condition, seed)
    fields = {"condition": condition, "seed": seed, "model": model, "weights_sha256": weights}
    write_evaluation(run / "eval" / model, "gsm8k", items, **fields)


def begin_with(run: Path, source: str, ended: str, seed: int, begun_with: str = "pretrain_final") -> None:
    """Make a run one that started with another condition's model, and has the stages after it."""
    begun = sha256("weights", begun_with.removesuffix("_final"), source, seed)
    start = {"condition": source, "folder": f"exp_{source}/seed_{seed}/{begun_with}"}
    start |= {"weights_sha256": begun, "tokenizer_sha256": sha256("tokenizer", source)}
    own = [name for name in ("sft_final", "grpo_final") if name != begun_with]
    for model in own:

        def change(manifest: dict[str, Any], first: bool = model == own[0]) -> None:
            manifest["inputs"] = {"tokenizer_sha256": sha256("tokenizer", ended)}
            manifest["matched"]["settings"] = {"start_from": {"condition": source, "model": begun_with}}
            if first:
                manifest["inputs"]["start_from"] = start
                for entry in manifest["ledger"]:
                    entry["initial_weights_sha256"] = begun

        edit(run / model / "manifest.json", change)


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """Write the four cells; returns the experiment's folder. Right answers: 8, 12, 10 and 20 of 40, seeds apart."""
    root = tmp_path / "experiment"
    write_cells(root, {"baseline": (8, 8, 8), "baseline_then_mul_tokens": (9, 10, 11),
                       "mul_tokens_then_baseline": (11, 12, 13), "mul_tokens": (19, 20, 21)})  # fmt: skip
    return root


def write_cells(root: Path, rights: Rights) -> None:
    for condition, by_seed in rights.items():
        source, _, ended = condition.partition("_then_")
        for seed, num_right in enumerate(by_seed):
            run = root / f"exp_{condition}" / f"seed_{seed}"
            for stage in ("pretrain", "sft", "grpo") if not ended else ("sft", "grpo"):
                write_stage(run / f"{stage}_final", stage, condition, seed, SIDES[ended or source])
                if not ended and stage != "pretrain":
                    sha = sha256("tokenizer", source)
                    path = run / f"{stage}_final" / "manifest.json"
                    edit(path, lambda values, sha=sha: values["inputs"].update(tokenizer_sha256=sha))
            answered(run, condition, seed, num_right)
            if ended:
                begin_with(run, source, ended, seed)
            else:
                answered(run, condition, seed, 2 + SIDES[source], "pretrain_final")


def load(root: Path, names: Sequence[str] = CELLS) -> list[Condition]:
    return [load_condition(root / f"exp_{name}") for name in names]


def found_in(conditions: list[Condition]) -> dict[str, Results]:
    return {one.name: assemble(Pair(conditions[0], one), conditions=conditions) for one in conditions[1:]}


def test_a_crossed_cell_has_the_stages_and_results_that_led_to_its_model(cells: Path) -> None:
    baseline, _, there, _ = load(cells)
    run = there.seeds[1]
    assert list(run.stages) == ["pretrain_final", "sft_final", "grpo_final"]
    assert run.stages["pretrain_final"].manifest == baseline.seeds[1].stages["pretrain_final"].manifest
    assert run.stages["sft_final"].manifest.condition == there.name == "baseline_then_mul_tokens"
    assert list(run.evaluations) == [("pretrain_final", "gsm8k"), ("grpo_final", "gsm8k")]
    assert run.evaluations["pretrain_final", "gsm8k"].result.condition == "baseline"
    assert there.start is not None
    assert there.start.condition == "baseline"
    assert baseline.start is None
    match(Pair(baseline, there))  # as much computed, and each stage began where the last one ended
    assert [row.setting for row in outside_tokenizer(Pair(baseline, there))] == ["start_from"] * 2
    assert outside_tokenizer(Pair(*load(cells)[:2])) == ()
    match(Pair(*load(cells)[2:]))  # two runs that start with different models differ in nothing else


def test_learning_curves_begin_with_those_of_the_other_conditions_pretraining(cells: Path) -> None:
    for name, stages in (("baseline", ("pretrain", "sft")), ("baseline_then_mul_tokens", ("sft",))):
        for stage in stages:
            place = cells / f"exp_{name}/seed_0/eval/checkpoints/{stage}-60.json"
            write_json(place, checkpoint(stage, 60, name, 0, 0))
    found = load_trained(cells / "exp_baseline_then_mul_tokens/seed_0", 0).checkpoints
    assert [(one.result.condition, one.result.stage) for one in found] == [
        ("baseline", "pretrain"), ("baseline_then_mul_tokens", "sft"),
    ]  # fmt: skip


def test_a_run_of_grpo_alone_has_the_other_conditions_fine_tuning(cells: Path) -> None:
    for name in CELLS[2:]:
        source, _, ended = name.partition("_then_")
        for seed in SEEDS:
            run = cells / f"exp_{name}/seed_{seed}"
            shutil.rmtree(run / "sft_final")
            begin_with(run, source, ended, seed, "sft_final")
    conditions = load(cells)
    run = conditions[2].seeds[0]
    owners = {name: stage.folder.parent.parent.name for name, stage in run.stages.items()}
    assert owners == {
        "pretrain_final": "exp_baseline", "sft_final": "exp_baseline", "grpo_final": "exp_baseline_then_mul_tokens",
    }  # fmt: skip
    match(Pair(*conditions[1:3]))
    made = assemble(Pair(*conditions[:2]), conditions=conditions).transplant
    assert made is not None
    assert made.model == "sft_final"
    assert [row.model for row in made.rows] == ["grpo_final"]
    assert cells_table(made).header[1] == "trained up to sft_final as"


def test_a_run_that_starts_between_stages_of_fine_tuning_has_those_before(cells: Path) -> None:
    source, run = cells / "exp_baseline/seed_0", cells / "exp_baseline_then_mul_tokens/seed_0"
    write_stage(source / "sft_drills", "sft", "baseline", 0, 0)
    edit(source / "sft_drills/manifest.json", lambda values: values.update(ledger=values["ledger"][:1]))
    begin_with(run, "baseline", "mul_tokens", 0, "sft_drills")
    change = {"weights_sha256": sha256("weights", "sft", "baseline", 0)}
    edit(run / "sft_final/manifest.json", lambda values: values["inputs"]["start_from"].update(change))
    found = load_trained(run, 0)
    assert {name: stage.manifest.condition for name, stage in found.stages.items()} == {
        "pretrain_final": CELLS[0], "sft_final": CELLS[2], "grpo_final": CELLS[2],
    }  # fmt: skip
    assert {name: stage.folder for name, stage in found.earlier.items()} == {"sft_drills": source / "sft_drills"}


def test_matched_runs_are_verified_with_the_stages_of_the_other_condition(cells: Path) -> None:
    sides = [read_recorded(cells / f"exp_{name}") for name in (CELLS[1], CELLS[2])]
    assert [list(side.stages[0]) for side in sides] == [["pretrain_final", "sft_final", "grpo_final"]] * 2
    assert sides[1].name == CELLS[2]
    assert sides[0].evaluations[0].keys() == sides[1].evaluations[0].keys()
    assert mismatches(*sides) == []


def test_a_model_that_was_trained_again_or_is_missing_is_refused(cells: Path) -> None:
    manifest = cells / "exp_baseline/seed_1/pretrain_final/manifest.json"
    edit(manifest, lambda values: values["reported"].update(weights_sha256="f" * 64))
    with pytest.raises(RecipeError, match=r"seed_1/pretrain_final: has weights ffffffffffff, but runs of another"):
        load_condition(cells / "exp_baseline_then_mul_tokens")
    manifest.unlink()
    with pytest.raises(RecipeError, match=r"seed_1/pretrain_final: missing, but runs of another condition started"):
        load_condition(cells / "exp_baseline_then_mul_tokens")


def test_the_2_x_2_of_four_cells(cells: Path) -> None:
    conditions = load(cells)
    found = assemble(Pair(*conditions[:2]), conditions=conditions).transplant
    assert found is not None
    assert (found.reference, found.other, found.model, found.num_seeds) == (*CELLS[:2], "pretrain_final", 3)
    (row,) = found.rows
    assert (row.model, row.task, row.role) == ("grpo_final", "gsm8k", "primary")
    assert [(cell.begun, cell.ended) for cell in row.cells] == [
        (begun, ended) for begun in CELLS[:2] for ended in CELLS[:2]
    ]
    assert [cell.condition for cell in row.cells] == [CELLS[0], CELLS[2], CELLS[3], CELLS[1]]
    assert [cell.value for cell in row.cells] == pytest.approx([8 / 40, 10 / 40, 12 / 40, 20 / 40])
    assert row.cells[1].by_seed == pytest.approx((9 / 40, 10 / 40, 11 / 40))
    effects = {effect.effect: effect for effect in row.effects}
    values = {"whole": 12, "before": ((12 - 8) + (20 - 10)) / 2, "after": ((10 - 8) + (20 - 12)) / 2}
    values["interaction"] = (20 - 12) - (10 - 8)
    assert {name: effect.value * 40 for name, effect in effects.items()} == pytest.approx(values)
    assert effects["before"].by_seed == pytest.approx((6.5 / 40, 7 / 40, 7.5 / 40))
    for effect in effects.values():
        assert effect.interval is not None
        assert effect.interval[0] < effect.value < effect.interval[1]
    pair = assemble(Pair(*conditions[:2]), conditions=conditions)
    assert effects["whole"].interval == pair.primary.interval


def test_the_other_conditions_stages_are_no_departure_and_their_own_departures_are(cells: Path) -> None:
    folders = [cells / f"exp_{name}" for name in CELLS]
    declared = {"endpoints": [{"model": "grpo_final", "task": "gsm8k", "metric": "accuracy", "group": None}]}
    freeze_tree(folders, declared | {"alpha": 0.05, "power": 0.8, "seeds": list(SEEDS), "exclusions": []})

    def departures() -> list[str]:
        found = read_preregistration(Pair(*load(cells)[::2])).departures
        return [text for text in found if "pretrain_final" in text]

    assert departures() == []
    config = cells / "exp_baseline/seed_1/pretrain_final/run_config.yaml"
    config.write_text("condition: baseline\npretrain: {learning_rate: 1.0}\n")
    assert any("pretrain.learning_rate" in text for text in departures())


def test_without_all_four_cells_there_is_none(cells: Path) -> None:
    conditions = load(cells)
    rows = assemble(Pair(*conditions[:2]), conditions=conditions).rows
    assert transplant(conditions, rows) is not None
    for left_out in range(4):
        assert transplant([one for index, one in enumerate(conditions) if index != left_out], rows) is None
    assert transplant([], rows) is None
    for seed in SEEDS:  # fine-tuned with a tokenizer that neither of the two has
        path = cells / f"exp_baseline_then_mul_tokens/seed_{seed}/grpo_final/manifest.json"
        edit(path, lambda values: values["inputs"].update(tokenizer_sha256="e" * 64))
    assert transplant(load(cells), rows) is None


@pytest.mark.parametrize("change", [{"settings": {"equal_to": {"measure": "flops"}}}, {"seed": 7}])
def test_a_condition_with_the_same_tokenizer_is_not_the_one_that_a_cell_ends_as(
    cells: Path, change: dict[str, Any]
) -> None:
    conditions = load(cells)
    rows = assemble(Pair(*conditions[:2]), conditions=conditions).rows
    assert transplant(conditions, rows) is not None
    for seed in SEEDS:
        manifest = cells / f"exp_mul_tokens/seed_{seed}/grpo_final/manifest.json"
        edit(manifest, lambda values: values["matched"].update(change))
    changed = load(cells)
    hashes = {one.first_run.stages["grpo_final"].manifest.inputs["tokenizer_sha256"] for one in changed[1:3]}
    assert len(hashes) == 1
    assert transplant(changed, rows) is None


def write_bits(root: Path, record: float = 0.4) -> None:
    """Write bits of solutions: fine-tuned as `mul_tokens`, 0.1 fewer of the model's, and those of the record."""
    for name in CELLS:
        ended = name.rpartition("_then_")[2]
        side = SIDES[ended]
        for seed in SEEDS:
            run = root / f"exp_{name}/seed_{seed}"
            weights = sha256("weights", "grpo", name, seed)
            items: list[dict[str, Any]] = []
            for index in range(NUM_ITEMS):
                model = 1 + 0.01 * index - 0.1 * side + 0.001 * seed * side
                bits = {"model_bits_per_byte": model, "bits_per_byte": model + record * side}
                items.append({"id": f"{index:03}", "group": ("with sites", "without sites")[index % 2]})
                items[-1] |= {"question": "6*9?", "gold": "54", "correct": True, "num_bytes": 2, "num_tokens": 1}
                items[-1] |= dict.fromkeys(BITS_OF_ITEMS, 1.0) | {"num_sites": 1} | bits
            fields = {"condition": name, "seed": seed, "model": "grpo_final", "weights_sha256": weights}
            write_evaluation(run / "eval/grpo_final", "gold_bits", items, **fields)
            keys = ("bits_per_byte", "model_bits_per_byte")
            change: dict[str, Any] = {"outcomes": {key: key for key in keys}, "lower_is_better": keys}
            change["units"] = dict.fromkeys(keys, "bits per byte")
            change["metrics"] = {key: float(np.mean([item[key] for item in items])) for key in keys}
            edit(run / "eval/grpo_final/gold_bits_results.json", lambda values, new=change: values.update(new))


@pytest.mark.parametrize("declared", ["bits_per_byte", "model_bits_per_byte"])
def test_of_bits_both_bounds_are_shown_whichever_was_declared(cells: Path, declared: str) -> None:
    write_bits(cells)
    conditions = load(cells)
    pair = Pair(*conditions[:2])
    rows = assemble(pair, conditions=conditions).rows
    bits = next(row for row in rows if row.task == "gold_bits" and row.group == "with sites")
    primary = next(row for row in rows if row.role == "primary")
    row = bits.model_copy(update={"metric": declared, "role": "declared"})
    made = transplant(conditions, [row, primary])
    assert made is not None
    other = {"bits_per_byte": "model_bits_per_byte", "model_bits_per_byte": "bits_per_byte"}[declared]
    assert [(one.metric, one.role, one.group) for one in made.rows[1:]] == [
        (declared, "declared", "with sites"), (other, "exploratory", "with sites"),
    ]  # fmt: skip
    found = {one.metric: {effect.effect: effect for effect in one.effects} for one in made.rows[1:]}
    assert found["model_bits_per_byte"]["after"].value == pytest.approx(-0.1 + 0.001)
    assert found["bits_per_byte"]["after"].value == pytest.approx(0.3 + 0.001)
    assert found["model_bits_per_byte"]["after"].interval != found["bits_per_byte"]["after"].interval
    both = transplant(conditions, [row, row.model_copy(update={"metric": other})])
    assert both is not None
    assert [one.role for one in both.rows] == ["declared", "declared"]

    effects = effects_table(made)
    names = {line[0] for line in effects.rows}
    assert any("upper bound, lower is better" in name for name in names)
    assert any("lower bound, lower is better" in name for name in names)
    assert len({line[0] for line in cells_table(made).rows}) == 3
    assert "lie on one side of 0 for: no effect." in effects.note
    assert "The sign is not known, since the bounds differ in it: whole difference and of fine-tuning." in effects.note
    as_first = made.model_copy(update={"rows": made.rows[1:]})
    assert "Neither part can be told from 0" in enters(as_first)
    alone = made.model_copy(update={"rows": made.rows[1:2]})
    assert "Only the part of fine-tuning can be told from 0" in enters(alone)  # as one bound alone would have it


def test_an_effect_that_both_bounds_show_is_named(cells: Path) -> None:
    write_bits(cells, record=0.01)
    conditions = load(cells)
    rows = assemble(Pair(*conditions[:2]), conditions=conditions).rows
    bits = next(row for row in rows if row.metric == "bits_per_byte" and row.group == "with sites")
    made = transplant(conditions, [bits.model_copy(update={"role": "declared"})])
    assert made is not None
    assert "lie on one side of 0 for: whole difference and of fine-tuning." in effects_table(made).note
    assert "The sign is not known" not in effects_table(made).note
    assert "Only the part of fine-tuning can be told from 0" in enters(made)


def test_the_report_shows_cells_effects_and_what_is_confounded(cells: Path) -> None:
    conditions = load(cells)
    found = found_in(conditions)
    overview = assemble_overview(found, conditions)
    made = overview.transplant
    assert made == found["mul_tokens"].transplant == found[CELLS[2]].transplant
    assert made is not None
    table = cells_table(made)
    assert [row[1:] for row in table.rows] == [
        ["baseline", "20.00%", "25.00%", "+5.00"],
        ["mul_tokens", "30.00%", "50.00%", "+20.00"],
        ["mul_tokens less baseline", "+10.00", "+25.00", "interaction +15.00"],
    ]
    assert "no text of its pretraining used" in table.note
    assert "reads more text" in table.note
    assert "cannot be told from it" in table.note
    effects = effects_table(made)
    assert [row[1:3] for row in effects.rows] == [
        ["whole difference", "+30.00"], ["of pretraining", "+17.50"], ["of fine-tuning", "+12.50"],
        ["interaction", "+15.00"],
    ]  # fmt: skip
    assert effects.rows[1][4] == "+16.25, +17.50, +18.75"
    assert "exploratory" in effects.note
    markdown = overview_to_markdown(overview, list(found.values()))
    html = overview_to_html(overview, list(found.values()), {})
    for page in (markdown, html):
        assert "Where does the difference enter?" in page
        assert "What does the difference consist of?" in page
        assert "interaction +15.00" in page
        assert "adds up in the interaction" in page
    assert enters(made) in html


def test_what_is_said_follows_from_the_intervals(cells: Path) -> None:
    conditions = load(cells)
    made = assemble(Pair(*conditions[:2]), conditions=conditions).transplant
    assert made is not None

    def said(num_seeds: int = 3, **intervals: tuple[float, float]) -> str:
        row = made.rows[0]
        effects = [one.model_copy(update={"interval": intervals.get(one.effect, (-0.1, 0.2))}) for one in row.effects]
        changed = row.model_copy(update={"effects": tuple(effects)})
        return enters(made.model_copy(update={"rows": (changed,), "num_seeds": num_seeds}))

    assert "Neither part can be told from 0" in said()
    assert "Only the part of pretraining can be told from 0, which does not show" in said(before=(0.1, 0.2))
    assert "Only the part of fine-tuning can be told from 0" in said(after=(-0.2, -0.1))
    assert "Both parts, of pretraining and of fine-tuning" in said(before=(0.1, 0.2), after=(0.1, 0.2))
    assert "depend on each other" in said(interaction=(0.1, 0.2))
    assert "depend on each other" not in said()
    assert "With one seed this says nothing of other runs" in said(1, before=(0.1, 0.2))
    later = made.model_copy(update={"model": "sft_final"})
    assert "of training up to sft_final" in enters(later)
    assert enters(Transplant(reference="a", other="b", model="m", num_seeds=1, rows=())) == ""


def test_one_seed_gives_intervals_over_questions(tmp_path: Path) -> None:
    write_cells(tmp_path / "e", {name: (8 + 2 * index,) for index, name in enumerate(CELLS)})
    conditions = load(tmp_path / "e")
    made = assemble(Pair(*conditions[:2]), conditions=conditions).transplant
    assert made is not None
    assert made.num_seeds == 1
    assert all(effect.interval is not None for effect in made.rows[0].effects)
    assert "say nothing of other runs" in effects_table(made).note


def test_the_corpus_and_the_words_are_those_of_the_pretraining(cells: Path) -> None:
    reported = {"documents": 1, "source_bytes": 2, "tokens": 3, "facts": 0}
    manifest: dict[str, Any] = {"stage": "corpus", "condition": "x", "seed": 0, "inputs": {}, "files": {}}
    manifest |= {"environment": {}, "wall_time_s": 1.0}
    for tokens, name in ((7, "baseline"), (9, "baseline_then_mul_tokens")):
        values = manifest | {"reported": reported | {"tokens": tokens}}
        write_json(cells / f"exp_{name}/corpus_0/manifest.json", values)
    there = load_condition(cells / "exp_baseline_then_mul_tokens")
    assert there.corpus is not None
    assert there.corpus.tokens == 7
    assert there.about == "Begins with pretrain_final of baseline."


def test_a_condition_written_by_an_older_version_starts_with_its_own(tmp_path: Path) -> None:
    write_condition(tmp_path / "exp_baseline", "baseline", 0, (0,), num_items=6)
    assert load_condition(tmp_path / "exp_baseline").start is None
    manifest = json.loads((tmp_path / "exp_baseline/seed_0/sft_final/manifest.json").read_text())
    assert "start_from" not in manifest["inputs"]
