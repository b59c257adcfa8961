"""The tables by stage: every evaluated model in the order of training, and whether answers end."""

from pathlib import Path

import pytest

from domain_tokens.analysis.compare import assemble
from domain_tokens.analysis.measures.by_stage.published import counterpart
from domain_tokens.analysis.provenance import published_results
from domain_tokens.analysis.report.pages import to_html
from domain_tokens.analysis.report.tables.by_stage import ends_table, stage_table
from domain_tokens.analysis.results_model import ResultRow, Results
from domain_tokens.runs.results import Pair, load_condition

from .conftest import Tree, edit, sha256, write_evaluation, write_stage, written_items

pytestmark = pytest.mark.usefixtures("no_odds_ratio")


def with_drills(folder: Path, side: int, evaluated: bool = True) -> None:
    """Add the fine-tuning stage before the last one to every run of a condition."""
    for run in sorted(folder.glob("seed_*")):
        seed, name = int(run.name.removeprefix("seed_")), ("baseline", "mul_tokens")[side]
        write_stage(run / "sft_drills", "sft", name, seed, side)
        weights = sha256("weights", "sft", name, seed)
        edit(run / "sft_drills/manifest.json", lambda value: value.update(ledger=value["ledger"][:1]))
        if evaluated:
            fields = {"condition": name, "seed": seed, "model": "sft_drills", "weights_sha256": weights}
            write_evaluation(run / "eval/sft_drills", "gsm8k", written_items("gsm8k", seed, side, 0.1, 45), **fields)


def with_ends(folder: Path, model: str, before: int, after: int, seed: int = 0) -> None:
    """Record in a manifest how many of 64 answers end before and after a stage."""
    ends = {"num_prompts": 64, "prompts_sha256": "x", "max_new_tokens": 48, "before": before, "after": after}
    edit(folder / f"seed_{seed}" / model / "manifest.json", lambda value: value.update(answer_ends=ends))


def compared(folders: tuple[Path, Path]) -> Results:
    return assemble(Pair(*map(load_condition, folders)))


def stages_of(results: Results, task: str) -> list[str]:
    return [row.stage for row in results.by_stage.rows if row.task == task]


def test_every_evaluated_stage_has_a_row_in_the_order_of_training(tree: Tree) -> None:
    folders = tree()
    for side, folder in enumerate(folders):
        with_drills(folder, side)
    results = compared(folders)
    assert stages_of(results, "gsm8k") == ["pretraining", "SFT on drills", "SFT on gsm8k", "GRPO"]
    assert stages_of(results, "hellaswag") == ["pretraining", "SFT on gsm8k", "GRPO"]
    of_all = {(row.model, row.task): row for row in results.rows if row.group == "all" and row.metric != "acc"}
    assert len(of_all) == len(results.by_stage.rows) == 10
    for row in results.by_stage.rows:
        same = of_all[row.model, row.task]
        assert (row.reference, row.other, row.delta, row.interval) == (
            same.reference, same.other, same.delta, same.interval,
        )  # fmt: skip
        low, high = row.reference.interval
        assert low <= row.reference.accuracy < high


def test_a_stage_that_was_not_evaluated_has_no_accuracies_and_still_says_whether_answers_end(tree: Tree) -> None:
    folders = tree()
    for side, folder in enumerate(folders):
        with_drills(folder, side, evaluated=False)
        with_ends(folder, "sft_drills", 0, 60 - 4 * side)
        with_ends(folder, "sft_final", 64, 64 - 16 * side)
    results = compared(folders)
    assert stages_of(results, "gsm8k") == ["pretraining", "SFT on gsm8k", "GRPO"]
    rows = ends_table(results).rows
    assert rows == [
        ["SFT on drills", "64", "0.00% → 93.75%", "0.00% → 87.50%", "no"],
        ["SFT on gsm8k", "64", "100.00% → 100.00%", "100.00% → 75.00%", "mul_tokens, seed 0"],
    ]


def test_a_folder_that_an_earlier_recipe_left_is_no_stage_of_the_run(tree: Tree) -> None:
    folders = tree()
    for side, folder in enumerate(folders):
        with_drills(folder, side)
        for run in folder.glob("seed_*"):
            (run / "sft_drills").rename(run / "sft_tulu")
            (run / "eval/sft_drills").rename(run / "eval/sft_tulu")
    assert stages_of(compared(folders), "gsm8k") == ["pretraining", "SFT on gsm8k", "GRPO"]


def test_weights_of_an_earlier_stage_that_changed_since_are_refused(tree: Tree) -> None:
    folders = tree()
    with_drills(folders[0], 0)
    load_condition(folders[0])
    edit(
        folders[0] / "seed_0/sft_drills/manifest.json", lambda value: value["reported"].update(weights_sha256="other")
    )
    with pytest.raises(ValueError, match="sft_drills.*the model was trained again since"):
        load_condition(folders[0])


def test_a_run_without_grpo_is_compared_at_its_last_model(tree: Tree) -> None:
    folders = tree()
    for folder in folders:
        for path in (folder / "seed_0/eval/grpo_final", folder / "seed_0/grpo_final"):
            path.rename(folder / f"unread_{path.parent.name}")
    results = compared(folders)
    assert results.primary_endpoint.model == "sft_final"
    assert stages_of(results, "gsm8k") == ["pretraining", "SFT on gsm8k"]
    assert "What did GRPO change?" not in to_html(results, {})


def test_the_page_shows_both_tables_with_the_earlier_study_beside(tree: Tree) -> None:
    folders = tree()
    for side, folder in enumerate(folders):
        with_drills(folder, side)
        with_ends(folder, "sft_final", 10, 64)
    page = to_html(compared(folders), {})
    assert "What did each stage change?" in page
    assert "2.50% / 2.00% (SFT on GSM8K)" in page
    assert "2.30% / 3.70% (GRPO with shaped rewards)" in page
    assert "0.85, 1.03 and 0.17" in page
    assert "80,000 rollouts" in page
    assert "Do answers end after each stage?" in page


def row(results: Results, task: str = "gsm8k", **changes: object) -> ResultRow:
    found = next(one for one in results.rows if one.task == task and one.group == "all")
    return found.model_copy(update=changes)


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        (("tulu",), "SFT on Tulu"),
        (("tulu", "gsm8k"), "SFT on GSM8K"),
        (("gsm8k",), "SFT on GSM8K"),
        (("drills", "problems", "gsm8k"), "SFT curriculum"),
        (("tulu", "drills", "problems", "gsm8k"), "SFT curriculum"),
        (("tulu", "transition"), None),
        (("tulu", "transition", "tinygsm"), "SFT on TinyGSM 100K"),
        (("grpo",), "GRPO with shaped rewards"),
        ((), None),
    ],
)
def test_a_published_number_stands_beside_the_stage_that_is_most_like_its_own(
    stages: tuple[str, ...], expected: str | None, tree: Tree
) -> None:
    results = compared(tree())
    found = counterpart(published_results(), stages, row(results))
    assert (None if found is None else found.stage) == expected
    # Nothing published belongs beside generated data, or beside another task.
    assert counterpart(published_results(), stages, row(results, source="generated problems")) is None
    assert counterpart(published_results(), stages, row(results, "arithmetic")) is None


def test_results_without_the_tables_are_still_read(tree: Tree) -> None:
    results = compared(tree())
    assert stage_table(results).rows
    older = {key: value for key, value in results.model_dump(by_alias=True).items() if key != "by_stage"}
    assert not stage_table(Results.model_validate(older)).rows
