"""Samples: the same questions in the same order in both conditions, kept as they come, and never mixed."""

import json
from pathlib import Path

import pytest
from accelerate.state import AcceleratorState
from real_stages import small_recipe
from tiny import CONDITIONS

from domain_tokens.recipe import Recipe, RecipeError
from domain_tokens.runs.layout import sample_paths
from domain_tokens.verifier import sampling
from domain_tokens.verifier.evaluating import read_tasks
from domain_tokens.verifier.plan import plan
from domain_tokens.verifier.run import train_and_choose
from domain_tokens.verifier.sampling import Question, Sampled, sample
from domain_tokens.verifier.training import VerifierTraining

SETTINGS = (
    "prereg=null",
    "verifier.problems=[{name: problems, kind: synthetic, what: problems, max_items: 12}]",
    "verifier.validation_problems=2",
    "verifier.samples_per_problem=2",
    "verifier.num_samples=4",
    "evaluation.batch_size=2",  # four questions of two samples at a time
)


def recipe_of(outputs: Path, condition: str, *overrides: str) -> Recipe:
    return small_recipe(outputs, condition, *SETTINGS, *overrides)


def training_of(recipe: Recipe) -> VerifierTraining:
    try:
        return VerifierTraining(recipe)
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)


def samples(recipe: Recipe) -> list[Sampled]:
    training = training_of(recipe)
    return [training.sampled, *(sample(one.part, training.generator) for one in read_tasks(recipe))]


def manifest(recipe: Recipe, part: str) -> dict:
    return json.loads((sample_paths(recipe, part).final / "manifest.json").read_text())


def test_problems_are_held_out_evenly_spaced(outputs: Path) -> None:
    recipe = recipe_of(outputs, "baseline", "verifier.validation_problems=3")
    assert training_of(recipe).held_out == [0, 4, 8]  # of 12


def test_both_conditions_are_asked_the_same_in_the_same_order(outputs: Path) -> None:
    recipes = [recipe_of(outputs, condition) for condition in CONDITIONS]
    found = [samples(recipe) for recipe in recipes]
    for part, (ours, theirs) in zip(("problems", "gsm8k"), zip(*found, strict=True), strict=True):
        asked = [[(row.id, row.question, row.gold) for row in one.rows] for one in (ours, theirs)]
        assert len(set(asked[0])) == {"problems": 12, "gsm8k": 8}[part]
        assert asked[0] == asked[1]
        assert [one.prompt for one in ours.part.questions] == [one.prompt for one in theirs.part.questions]
        assert {len(row.samples) for one in (ours, theirs) for row in one.rows} == {ours.part.num_samples}
        recorded = [manifest(recipe, part) for recipe in recipes]
        assert recorded[0]["matched"] == recorded[1]["matched"]
        assert recorded[0]["inputs"]["weights"] != recorded[1]["inputs"]["weights"]  # the models are two
    problems, questions = ({row.question for row in one.rows} for one in found[0])
    assert problems.isdisjoint(questions)


def test_a_condition_that_would_be_asked_something_else_is_refused(outputs: Path) -> None:
    _ = training_of(recipe_of(outputs, "baseline")).sampled
    for override, field in (
        ("verifier.temperature=0.5", "temperature is 0.5"),
        ("verifier.problems.0.max_items=11", "questions_sha256 is "),
        ("verifier.samples_per_problem=3", "num_samples is 3"),
    ):
        other = training_of(recipe_of(outputs, "mul_tokens", override))
        with pytest.raises(RecipeError, match=f"{field}.*the two conditions would not be asked the same"):
            _ = other.sampled


def test_other_settings_of_the_tasks_are_refused_before_the_first_sample(outputs: Path) -> None:
    recipe = recipe_of(outputs, "baseline")
    (wanted,) = read_tasks(recipe)
    sample(wanted.part, training_of(recipe).generator)
    assert manifest(recipe, "gsm8k")["matched"]["num_samples"] == 4
    more = "verifier.num_samples=6"
    for condition, ours in (("baseline", "this recipe"), ("mul_tokens", "would not be asked the same")):
        other = recipe_of(outputs, condition, more)
        for begin in (lambda recipe: list(plan(recipe)), train_and_choose):
            with pytest.raises(RecipeError, match="num_samples is ") as refused:
                begin(other)
            assert ours in str(refused.value)
        assert not sample_paths(other, "problems").work.exists()


def test_samples_of_another_seed_are_not_mixed_with_these(outputs: Path) -> None:
    _ = training_of(recipe_of(outputs, "baseline")).sampled
    with pytest.raises(RecipeError, match="made from another recipe or other inputs .*seed: recorded 0, now 1"):
        _ = training_of(recipe_of(outputs, "baseline", "verifier.seed=1")).sampled


def test_interrupted_sampling_ends_with_the_file_of_an_undisturbed_run(
    outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(outputs, "baseline")
    undisturbed = training_of(recipe).sampled
    paths = sample_paths(recipe, "problems")
    kept = (paths.final / "samples.jsonl").read_bytes()
    paths.final.rename(paths.final.with_name("undisturbed"))

    real, starts = sampling._answer, []

    def answer(part: object, generator: object, start: int, stop: int) -> object:
        starts.append(start)
        if len(starts) == 2:
            raise KeyboardInterrupt
        return real(part, generator, start, stop)

    monkeypatch.setattr(sampling, "_answer", answer)
    with pytest.raises(KeyboardInterrupt):
        _ = training_of(recipe).sampled
    file = paths.work / "samples.jsonl"
    assert file.read_bytes().count(b"\n") == 4
    with file.open("ab") as out:  # as a cut of the power leaves it: one whole question of the next four, and a half
        out.write(kept.splitlines(keepends=True)[4] + b'{"id": "half')
    resumed = training_of(recipe).sampled
    assert starts == [0, 4, 4, 8]
    assert resumed.sha256 == undisturbed.sha256
    assert (paths.final / "samples.jsonl").read_bytes() == kept
    assert resumed.counts == undisturbed.counts


def test_a_list_that_is_answered_in_parts_has_the_draws_of_the_whole_list(outputs: Path) -> None:
    in_parts = training_of(recipe_of(outputs, "baseline")).sampled
    final = sample_paths(recipe_of(outputs, "baseline"), "problems").final
    final.rename(final.with_name("in_parts"))
    at_once = training_of(recipe_of(outputs, "baseline", "evaluation.batch_size=64")).sampled
    assert len({one.text for row in at_once.rows for one in row.samples}) > 12
    assert at_once.rows == in_parts.rows


def test_unfinished_samples_of_another_setting_are_refused(outputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipe_of(outputs, "baseline")
    real = sampling._answer

    def answer(part: object, generator: object, start: int, stop: int) -> object:
        if start:
            raise KeyboardInterrupt
        return real(part, generator, start, stop)

    monkeypatch.setattr(sampling, "_answer", answer)
    with pytest.raises(KeyboardInterrupt):
        _ = training_of(recipe).sampled
    with pytest.raises(RecipeError, match="unfinished work that was begun with another recipe .*temperature"):
        _ = training_of(recipe_of(outputs, "baseline", "verifier.temperature=0.9")).sampled


def test_a_file_that_was_changed_is_refused(outputs: Path) -> None:
    recipe = recipe_of(outputs, "baseline")
    _ = training_of(recipe).sampled
    file = sample_paths(recipe, "problems").final / "samples.jsonl"
    file.write_text(file.read_text().replace('"gold"', '"gold" ', 1))
    with pytest.raises(RecipeError, match="not the file that was written here"):
        _ = training_of(recipe).sampled


def test_what_is_counted_is_what_was_sampled(outputs: Path) -> None:
    training = training_of(recipe_of(outputs, "mul_tokens"))
    counts, tokenizer = training.sampled.counts, training.tokenizer
    written = [one for row in training.sampled.rows for one in row.samples]
    assert counts.num_samples == len(written) == 24
    assert counts.unfinished == sum(not one.finished for one in written) > 0
    assert counts.generated_tokens == sum(len(one.ids) for one in written) + 24 - counts.unfinished
    questions: list[Question] = list(training.sampled.part.questions)
    assert counts.prompt_tokens == 2 * sum(len(tokenizer.encode(one.prompt)) for one in questions)
    assert all(tokenizer.decode(list(one.ids)) == one.text for one in written)
