"""The preflight of GRPO: what it measures, when it stops, what `--force` records, and what a filter leaves."""

import json
import logging
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from real_stages import run_here, small_recipe
from tiny import CONDITIONS

from domain_tokens.analysis.statistics.paired import wilson_interval
from domain_tokens.corpora.examples import Example
from domain_tokens.evaluation.answers.answer import AnswerReader
from domain_tokens.evaluation.answers.extraction import extract_answer
from domain_tokens.evaluation.models.inference import Decoding, generate
from domain_tokens.evaluation.tasks._generative import pass_at_k
from domain_tokens.recipe import Recipe, RecipeError
from domain_tokens.runs.progress import Progress, listening
from domain_tokens.runs.records import Fields, PassRates, PromptRate, read_record, write_record
from domain_tokens.tokenization.intervention import default_intervention
from domain_tokens.tokenization.prompts import render_prompt
from domain_tokens.training.grpo import Reinforcement, grpo
from domain_tokens.training.reinforcement import pass_rates
from domain_tokens.training.reinforcement.pass_rates import (
    Judgement,
    Sampler,
    evenly_spaced,
    judge,
    measure,
    refuse_too_low,
    undecided,
)

PROMPTS = [Example(f"What is {number} times 9?", f"#### {9 * number}", place=f"row {number}") for number in range(7)]
OF_MODEL: Fields = {"weights_sha256": "w"}


class Known(Sampler):
    """A model whose right answers are known: as many as the prompt's number, of 8."""

    def __init__(self, *, fails_at: int | None = None, temperature: float = 1.0) -> None:
        object.__setattr__(self, "decoding", Decoding(max_new_tokens=4, num_samples=8, temperature=temperature))
        object.__setattr__(self, "fails_at", fails_at)
        object.__setattr__(self, "asked", [])

    def num_right(self, examples, first: int) -> list[int]:
        if first == self.fails_at:
            raise KeyboardInterrupt
        self.asked.extend(example.place for example in examples)
        return [PROMPTS.index(example) for example in examples]


@pytest.fixture
def two_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pass_rates, "PROMPTS_AT_A_TIME", 2)


def test_an_interrupted_measurement_goes_on_where_it_was(two_at_a_time: None, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "rates.json"
    with pytest.raises(KeyboardInterrupt):
        measure(path, Known(fails_at=4), PROMPTS, OF_MODEL)
    assert [one.num_right for one in read_record(path, PassRates).prompts] == [0, 1, 2, 3]
    second, reports = Known(), []
    with listening(reports.append):
        rates = measure(path, second, PROMPTS, OF_MODEL)
    assert second.asked == ["row 4", "row 5", "row 6"]
    assert reports == [Progress("pass rates", done, 7, "prompt") for done in (4, 6, 7)]
    assert [(one.place, one.num_right, one.num_samples) for one in rates.prompts] == [
        (f"row {number}", number, 8) for number in range(7)
    ]
    assert read_record(path, PassRates) == rates
    assert measure(path, third := Known(), PROMPTS, OF_MODEL) == rates
    assert third.asked == []


@pytest.mark.parametrize(
    ("changed", "named"),
    [({"of_model": {"weights_sha256": "v"}}, "weights_sha256"), ({"sampler": Known(temperature=0.5)}, "temperature"),
     ({"examples": PROMPTS[1:]}, "num_prompts, prompts_sha256")],
)  # fmt: skip
def test_rates_of_another_measurement_are_not_mixed_in(tmp_path: Path, changed, named: str) -> None:
    path = tmp_path / "rates.json"
    usual = {"sampler": Known(), "examples": PROMPTS, "of_model": OF_MODEL}
    measure(path, **usual)
    other = {**usual, **changed}
    other["sampler"].asked.clear()
    with pytest.raises(RecipeError, match=rf"rates\.json: has the pass rates of another measurement \(other {named}"):
        measure(path, **other)
    assert len(measure(path, **other, replace=True).prompts) == len(other["examples"])
    assert len(other["sampler"].asked) == len(other["examples"])  # none was taken from before


def rates_of(*right: int, num_samples: int = 8) -> PassRates:
    prompts = tuple(
        PromptRate(
            source="s",
            place=f"row {index}",
            question_sha256=pass_rates._question_sha256(PROMPTS[index % 7]),
            num_samples=num_samples,
            num_right=number,
        )
        for index, number in enumerate(right)
    )
    return PassRates(measured={}, prompts=prompts)


@given(st.lists(st.integers(0, 8), min_size=1, max_size=30), st.integers(1, 8))
def test_pass_at_k_is_the_mean_over_prompts_with_its_interval(right: list[int], k: int) -> None:
    found = judge(rates_of(*right), k)
    assert found.value == pytest.approx(sum(pass_at_k(8, number, k) for number in right) / len(right))
    assert found.interval[0] <= found.value + 1e-12
    assert found.value <= found.interval[1] + 1e-12
    assert (found.k, found.num_prompts, found.num_samples) == (k, len(right), 8)
    solved = sum(number > 0 for number in right)
    assert judge(rates_of(*right), 8).interval == pytest.approx(wilson_interval(solved, len(right)))  # coins


def test_no_right_answer_is_not_taken_for_certain() -> None:
    low, high = judge(rates_of(*[0] * 64), 8).interval
    assert low == 0
    assert 0.04 < high < 0.07


def test_too_few_right_answers_stop_with_one_message_and_force_is_recorded(tmp_path: Path, caplog) -> None:
    path = tmp_path / "rates.json"
    write_record(path, rates_of(1, *[0] * 15))
    found = judge(read_record(path, PassRates), 8)
    with pytest.raises(RecipeError) as error:
        refuse_too_low(path, found, 0.1, force=False)
    said = str(error.value)
    assert "pass@8 is 6.2% (95% interval 1.1% to 28.3%; 16 prompts, 8 answers each), less than" in said
    assert "rollouts.min_pass_at_k (10.0%)" in said
    assert "--force" in said
    assert "\n" not in said
    assert not read_record(path, PassRates).forced
    with caplog.at_level(logging.INFO):
        assert refuse_too_low(path, found, 0.1, force=True)
    assert "goes on by --force" in caplog.text
    assert read_record(path, PassRates).forced
    assert refuse_too_low(path, found, 0.1, force=False)  # as when it is resumed
    assert not refuse_too_low(path, found, found.value, force=True)  # enough: nothing is forced
    assert found.as_fields(forced=True) == {
        "k": 8, "value": 0.0625, "interval": list(found.interval), "num_prompts": 16, "num_samples": 8, "forced": True,
    }  # fmt: skip


def test_prompts_are_evenly_spaced() -> None:
    assert [example.place for example in evenly_spaced(PROMPTS, 3)] == ["row 0", "row 2", "row 4"]
    assert evenly_spaced(PROMPTS, 7) == evenly_spaced(PROMPTS, 100) == PROMPTS


def test_the_file_of_an_interrupted_measurement_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rates.json"
    whole = rates_of(0, 4, 8).model_copy(update={"measured": {"num_prompts": 3}})
    write_record(file, whole)
    assert undecided(PROMPTS, [file])
    write_record(file, whole.model_copy(update={"measured": {"num_prompts": 10}}))
    with pytest.raises(RecipeError, match=r"has 3 of 10 rates"):
        undecided(PROMPTS, [file])


def test_rates_are_not_measured_where_grpo_samples_otherwise(tuned) -> None:
    for other in ("grpo.top_p=0.5", "grpo.top_k=3", "grpo.min_p=0.5", "grpo.repetition_penalty=1.2",
                  "grpo.generation_kwargs={typical_p: 0.5}"):  # fmt: skip
        with pytest.raises(RecipeError, match=re.escape(other.partition("=")[0])):
            Reinforcement(tuned("baseline", other, "rollouts.preflight_prompts=2"))
        Reinforcement(tuned("baseline", other, "rollouts.preflight_prompts=0"))


def test_a_prompt_that_leaves_no_room_in_one_tokenizer_is_refused(tuned, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Reinforcement(tuned("baseline"))
    found, account = stage.read_examples()
    assert found
    longer = [*found, Example("one and " * 200, "#### 1")]
    monkeypatch.setattr("domain_tokens.training.grpo.training_examples", lambda *_, **__: (longer, account))
    with pytest.raises(RecipeError, match=r"leaves \d+ tokens for a prompt, and .* takes \d+"):
        stage.read_examples()


def test_files_together_say_which_prompts_are_decided(tmp_path: Path, caplog) -> None:
    files = [tmp_path / f"{name}.json" for name in CONDITIONS]
    # Rows 0 to 5: never, always, by one alone, by the other alone, sometimes, sometimes and always. Row 6 has none.
    write_record(files[0], rates_of(0, 8, 0, 8, 4, 8))
    write_record(files[1], rates_of(0, 8, 8, 0, 4, 7))
    with caplog.at_level(logging.INFO):
        kept = undecided(PROMPTS, files)
    assert [example.place for example in kept] == ["row 2", "row 3", "row 4", "row 5", "row 6"]
    assert "left out 2 of 7 prompts, always or never solved; 1 have no rate" in caplog.text
    assert undecided(PROMPTS, files[::-1]) == kept
    assert [one.place for one in undecided(PROMPTS, files[:1])] == ["row 4", "row 6"]  # of one alone, fewer
    with pytest.raises(RecipeError, match="none of the 1 prompts has a rate; measure those of this recipe"):
        undecided([Example("Another?", "#### 1")], files)


# --- The real stage --------------------------------------------------------------------------------------------------


@pytest.fixture
def tuned(trained: Path, tmp_path: Path) -> Callable[..., Recipe]:
    """Recipes of a copy of both conditions, pretrained and fine-tuned, that a test may train on."""
    shutil.copytree(trained / "tiny", tmp_path / "out" / "tiny")

    def recipe(condition: str, *overrides: str) -> Recipe:
        return small_recipe(tmp_path / "out", condition, *overrides)

    return recipe


def teach_to_guess(stage: Reinforcement) -> None:
    """Teach a model, in a second, to answer any question with `#### ` and a digit from 1 to 3."""
    texts = [f"{render_prompt(f'What is {n} times 3?')} #### {d}<|endoftext|>" for n in range(2, 8) for d in (1, 2, 3)]
    batch = stage.tokenizer(texts, return_tensors="pt", padding=True)
    optimizer = torch.optim.AdamW(stage.model.parameters(), lr=1e-2)
    for _ in range(60):
        loss = stage.model(**batch, labels=batch["input_ids"]).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def test_right_answers_are_those_that_the_model_writes_however_prompts_are_divided(tuned) -> None:
    stage = Reinforcement(tuned("mul_tokens"))
    teach_to_guess(stage)
    prompts = [render_prompt(f"What is {number} times 3?") for number in range(2, 8)]
    decoding = Decoding(max_new_tokens=24, num_samples=6, temperature=0.8, seed=3)
    written = [
        [extract_answer(stage.tokenizer.decode(ids)) for ids in samples]  # the end-of-text token ends an answer
        for samples in generate(stage.model, stage.tokenizer, prompts, decoding, 64)
    ]
    examples = [Example(f"What is {n} times 3?", "#### 2") for n in range(2, 8)]
    expected = [numbers.count(2) for numbers in written]
    assert 5 < sum(expected) < 30  # of 36
    assert len(set(expected)) > 1
    own = default_intervention()
    sampler = Sampler(stage.model, stage.tokenizer, AnswerReader(own, own), decoding, 64)
    assert sampler.num_right(examples, 0) == expected
    assert sampler.num_right(examples[:2], 0) + sampler.num_right(examples[2:], 2) == expected


def manifest_of(recipe: Recipe) -> dict:
    return json.loads((recipe.run_dir / "grpo_final" / "manifest.json").read_text())


def test_the_stage_stops_before_its_first_step_and_force_changes_nothing_but_the_record(tuned) -> None:
    settings = ("rollouts.preflight_prompts=3", "rollouts.min_pass_at_k=1", "grpo.max_steps=2", "rewards.brevity=1")
    recipe = tuned("mul_tokens", *settings, "rollouts.preflight_samples=6")
    final = recipe.run_dir / "grpo_final"
    with pytest.raises(RecipeError, match=r"^grpo: the model it starts with solves too few of its prompts: pass@4 is"):
        run_here("grpo", recipe)
    assert not final.exists()
    rates = read_record(recipe.run_dir / "checkpoints/grpo/pass_rates.json", PassRates)
    assert len(rates.prompts) == 3
    try:
        grpo(recipe, force=True)
    finally:
        run_here_again()
    found = manifest_of(recipe)["reported"]["preflight"]
    assert found["forced"] is True
    assert (found["num_prompts"], found["k"], found["num_samples"]) == (3, 4, 6)
    assert read_record(final / "pass_rates.json", PassRates).prompts == rates.prompts
    weights = manifest_of(recipe)["reported"]["weights_sha256"]
    # Another threshold is no other result: the finished stage is skipped.
    run_here(
        "grpo",
        tuned(
            "mul_tokens", *settings[:1], "rollouts.preflight_samples=6", "rollouts.min_pass_at_k=0.5", *settings[2:]
        ),
    )
    shutil.rmtree(final)
    shutil.rmtree(recipe.run_dir / "checkpoints/grpo")
    run_here("grpo", tuned("mul_tokens", *settings[2:]))
    assert "preflight" not in manifest_of(recipe)["reported"]
    assert manifest_of(recipe)["reported"]["weights_sha256"] == weights  # measuring moves no random number


def run_here_again() -> None:
    """Put accelerate's state back, as `run_here` does."""
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)


def test_a_filter_leaves_the_same_prompts_in_both_conditions(tuned, tmp_path: Path) -> None:
    files = []
    for condition in CONDITIONS:
        files.append(tmp_path / f"{condition}.json")
        try:
            grpo(tuned(condition), rates=files[-1])
        finally:
            run_here_again()
        assert len(read_record(files[-1], PassRates).prompts) == 4
        assert not (tuned(condition).run_dir / "grpo_final").exists()
    # The model of a few steps solves nothing; say that one solves the second prompt now and then.
    rates = read_record(files[0], PassRates)
    some = [one.model_copy(update={"num_right": int(index in (1, 2))}) for index, one in enumerate(rates.prompts)]
    write_record(files[0], rates.model_copy(update={"prompts": tuple(some)}))
    named = f"rollouts.pass_rates=[{files[0]}, {files[1]}]"
    stages = [Reinforcement(tuned(condition, named)) for condition in CONDITIONS]
    questions = [[example.question for example in stage.examples] for stage in stages]
    assert questions[0] == questions[1]
    assert len(questions[0]) == 2
    whole = Reinforcement(tuned("baseline"))
    assert questions[0] == [example.question for example in whole.examples][1:3]
    assert [stage.matched["examples_decided"] for stage in stages] == [2, 2]
    assert stages[0].matched["example_order_sha256"] == stages[1].matched["example_order_sha256"]
    assert stages[0].inputs()["pass_rates"] == stages[1].inputs()["pass_rates"]
    assert "pass_rates" not in whole.inputs()
    assert "examples_decided" not in whole.matched
    with pytest.raises(RecipeError, match=r"rollouts\.pass_rates: .*nowhere\.json: no such file"):
        _ = Reinforcement(tuned("baseline", "rollouts.pass_rates=[nowhere.json]")).examples


def test_a_judgement_reads_as_a_sentence() -> None:
    assert str(Judgement(4, 0.5, (0.25, 0.75), 8, 4)) == (
        "pass@4 is 50.0% (95% interval 25.0% to 75.0%; 8 prompts, 4 answers each)"
    )
    assert torch.is_grad_enabled()  # measuring leaves training as it was
