"""`scripts/run_seal.py`: what it refuses, a tiny run from end to end, and what happens when it is interrupted."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from adaptable import adaptable_recipe
from adapted_run import adapt_here, files, rows_of

from domain_tokens.recipe import Recipe, RecipeError
from domain_tokens.runs.records import read_rows
from domain_tokens.seal import kept, run
from domain_tokens.seal.bench import Job
from domain_tokens.seal.kept import num_inner_loops
from domain_tokens.seal.plan import plan
from domain_tokens.seal.records import ARMS, POLICY, RECORD, ROWS, AdaptRow, PolicyRow, SealRecord, read_adapted


def interrupt(outputs: Path, adapted: Path, num_bytes: int) -> Recipe:
    """Leave what a run would have left that was killed when so many bytes of its rows were written."""
    recipe = adaptable_recipe(outputs)

    class Killed(Exception):
        pass

    def killed(job: Job) -> list[AdaptRow]:
        raise Killed

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(kept, "work_off", killed)
        with pytest.raises(Killed):
            adapt_here(recipe)
    whole = (adaptable_recipe(adapted).run_dir / "seal" / ROWS).read_bytes()
    assert num_bytes < len(whole)
    (work(recipe) / ROWS).write_bytes(whole[:num_bytes])
    return recipe


def work(recipe: Recipe) -> Path:
    return recipe.run_dir / "checkpoints" / "seal"


def test_rows_of_every_part_and_arm_are_there(adapted: Path) -> None:
    recipe = adaptable_recipe(adapted)
    rows = list(read_adapted(recipe.run_dir / "seal"))
    assert len(rows) == num_inner_loops(recipe.seal) == (4 + 6 * 2 + 6 * 2) * 5
    counts: dict[tuple[str, str], int] = {}
    for row in rows:
        counts[row.part, row.arm] = counts.get((row.part, row.arm), 0) + 1
    assert counts == {
        ("round", "untrained"): 20, **{(part, arm): 10 for part in ("test", "chain") for arm in ARMS},
    }  # fmt: skip
    kept = list(read_rows(recipe.run_dir / "seal" / POLICY, PolicyRow))
    assert [(row.round, row.passage) for row in kept] == [(1, "adapt/0"), (1, "adapt/1")]
    record = SealRecord.model_validate_json((recipe.run_dir / "seal" / RECORD).read_bytes())
    assert (record.complete, record.rows, record.condition) == (True, len(rows), "baseline")
    assert "workers" not in record.settings
    assert record.settings["inner_seeds"] == 5
    assert not (work(recipe) / ROWS).exists()


def test_every_number_of_a_row_is_there_and_right(adapted: Path) -> None:
    for row in read_adapted(adaptable_recipe(adapted).run_dir / "seal"):
        assert row.valid
        assert row.chosen_by is not None
        assert row.scored_by is not None
        assert row.validation is not None
        assert row.reward == pytest.approx(row.chosen_by.drop, abs=1e-8)
        assert row.tokens == 32 * (row.steps or 0) > 0
        assert row.text.endswith(f"steps {row.steps}")
        assert row.chosen_by.before.exact is not None
        assert row.validation.before.exact is None
        assert row.chosen_by.before != row.scored_by.before
        assert row.chosen_by.before != row.chosen_by.after
        assert (row.earlier is None) == (row.part != "chain" or row.place == 0)


def test_all_edits_start_from_the_same_model(adapted: Path) -> None:
    rows = list(read_adapted(adaptable_recipe(adapted).run_dir / "seal"))
    assert len({row.validation.before.bits_per_byte for row in rows if row.validation}) == 1
    before = {(row.passage, row.chosen_by.before.bits_per_byte) for row in rows if row.chosen_by}
    assert len(before) == 4
    assert len({row.reward for row in rows}) > len(rows) / 3


def test_equal_edits_are_equal_with_equal_inner_seeds(adapted: Path) -> None:
    # The first link of a chain is the same work as the test of the same edit.
    rows = list(read_adapted(adaptable_recipe(adapted).run_dir / "seal"))
    test = {(row.arm, row.passage, row.inner_seed): row for row in rows if row.part == "test"}
    first = [row for row in rows if row.part == "chain" and row.place == 0]
    assert len(first) == 6 * 5
    for row in first:
        other = test[row.arm, row.passage, row.inner_seed]
        assert (row.chosen_by, row.scored_by, row.loss) == (other.chosen_by, other.scored_by, other.loss)


def test_a_second_start_skips(adapted: Path) -> None:
    recipe = adaptable_recipe(adapted)
    before = files(adapted)
    assert adapt_here(recipe) == recipe.run_dir / "seal"
    assert files(adapted) == before


CUTS = {  # where the file is cut: whole lines, bytes of the next line, jobs that are then to do
    "in a line": (130, 20, 5),
    "in a chain": (131, 0, 5),
    "in a job": (78, 0, 31),
    "between jobs": (75, 0, 31),
    "at its beginning": (0, 0, 46),
    "in its first line": (0, 20, 46),
}
FAST = ("in a line", "in a chain")


@pytest.mark.parametrize(
    ("num_lines", "more", "num_jobs"),
    [pytest.param(*cut, id=name, marks=[] if name in FAST else pytest.mark.slow) for name, cut in CUTS.items()],
)
def test_an_interrupted_run_ends_with_the_same_rows(
    outputs: Path, adapted: Path, num_lines: int, more: int, num_jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    final = adaptable_recipe(adapted).run_dir / "seal"
    lines = (final / ROWS).read_bytes().splitlines(keepends=True)
    recipe = interrupt(outputs, adapted, sum(map(len, lines[:num_lines])) + more)
    real, carried = kept.work_off, []

    def counts(job: Job) -> list[AdaptRow]:
        carried.append(job)
        return real(job)

    monkeypatch.setattr(kept, "work_off", counts)
    assert rows_of(adapt_here(recipe)) == rows_of(final)
    assert len(carried) == num_jobs
    assert (recipe.run_dir / "seal" / POLICY).read_bytes() == (final / POLICY).read_bytes()


def test_other_settings_on_unfinished_work_are_refused(outputs: Path, adapted: Path) -> None:
    interrupt(outputs, adapted, 3000)
    before = files(outputs)
    with pytest.raises(RecipeError, match=r"checkpoints/seal: unfinished.*settings\.rounds: recorded 1, now 2"):
        adapt_here(adaptable_recipe(outputs, "seal.rounds=2"))
    assert files(outputs) == before


def test_a_changed_setting_is_not_allowed_either(outputs: Path, adapted: Path) -> None:
    interrupt(outputs, adapted, 3000)
    recipe = adaptable_recipe(outputs, "seal.seed=1")
    for attempt in (lambda: run.adapt(recipe, allow_change=True), lambda: list(plan(recipe))):
        with pytest.raises(RecipeError, match=r"other settings, weights or text \(settings\.seed.*begin anew"):
            attempt()


def test_rows_that_no_job_asks_for_are_left_out(
    outputs: Path, adapted: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = interrupt(outputs, adapted, 30_000)
    file = work(recipe) / ROWS
    content = file.read_bytes()
    lines = content[: content.rfind(b"\n") + 1].decode().splitlines(keepends=True)
    other = [line.replace('"edit":0,', '"edit":7,') for line in lines[:5]]
    assert other != lines[:5]
    file.write_text("".join([*other, *lines]))
    folder = adapt_here(recipe)
    assert "1 edits are left out" in caplog.text
    assert rows_of(folder) == rows_of(adaptable_recipe(adapted).run_dir / "seal")


def test_rows_of_another_run_are_refused(outputs: Path, adapted: Path) -> None:
    recipe = interrupt(outputs, adapted, 3000)
    file = work(recipe) / ROWS
    file.write_text(file.read_text().replace('"seed":0,', '"seed":5,'))
    with pytest.raises(RecipeError, match=r"a row of baseline, seed 5, in the work of baseline, seed 0; remove"):
        adapt_here(recipe)


def test_weights_tokenizer_and_text_are_inputs(adaptable: Path) -> None:
    subject = run.read_subject(adaptable_recipe(adaptable))
    changed = [
        replace(subject, identity=subject.identity.model_copy(update={"weights_sha256": "f" * 64})),
        replace(subject, identity=subject.identity.model_copy(update={"tokenizer_sha256": "f" * 64})),
        replace(subject, documents=subject.documents[:-1]),
        replace(subject, settings=replace(subject.settings, temperature=0.5)),
    ]
    inputs = [json.dumps(run._inputs(one)) for one in (subject, *changed)]
    assert len(set(inputs)) == 5


def test_other_settings_on_finished_work_are_refused(adapted: Path) -> None:
    before = files(adapted)
    with pytest.raises(RecipeError, match=r"0/seal: made from another.*settings\.rounds: recorded 1, now 2"):
        adapt_here(adaptable_recipe(adapted, "seal.rounds=2"))
    assert files(adapted) == before


def test_the_number_of_workers_is_no_other_setting(adapted: Path) -> None:
    assert adapt_here(adaptable_recipe(adapted, "seal.workers=3")).name == "seal"


REFUSED = {
    "off": (["seal.enabled=false"], "seal.enabled: self-adaptation is off in this recipe; add seal.enabled=true"),
    "no model": (["seed=7"], "seed_7/pretrain_final"),
    "few documents": (["seal.validation_documents=5000"], "seal.validation_documents: the corpus has "),
    "rows": (["seal.tokens_per_step=200"], "seal.tokens_per_step: expected at most 128"),
}


@pytest.mark.parametrize(("overrides", "message"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused(adaptable: Path, overrides: list[str], message: str) -> None:
    before = files(adaptable)
    with pytest.raises(RecipeError, match=message):
        adapt_here(adaptable_recipe(adaptable, *overrides))
    assert files(adaptable) == before


def test_a_launcher_is_refused(adaptable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    before = files(adaptable)
    with pytest.raises(RecipeError, match=r"starts its own processes.*without a launcher"):
        adapt_here(adaptable_recipe(adaptable))
    assert files(adaptable) == before


def test_a_plan_changes_nothing(adaptable: Path, adapted: Path, outputs: Path) -> None:
    before = files(adaptable)
    shown = "\n".join(plan(adaptable_recipe(adaptable)))
    assert "pretrain_final: complete" in shown
    assert (
        "inner loops: 140 if every edit can be read, of 1 to 2 steps of 32 tokens, side by side in 1: not started"
        in shown
    )
    assert "missing; train it first" in "\n".join(plan(adaptable_recipe(adaptable, "seed=7")))
    with pytest.raises(RecipeError, match=r"seal\.enabled"):
        list(plan(adaptable_recipe(adaptable, "seal.enabled=false")))
    assert files(adaptable) == before
    assert "side by side in 1: complete" in "\n".join(plan(adaptable_recipe(adapted)))
    recipe = interrupt(outputs, adapted, 3000)
    before = files(outputs)
    assert "begun, " in "\n".join(plan(recipe))
    assert files(outputs) == before
