"""`per_device_train_batch_size: auto`: which number is taken, that all conditions read it, and what is refused."""

import dataclasses
import json
import signal
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import GPT2_BASE, tiny_arguments
from transformers import GPT2Config, GPT2LMHeadModel, TrainingArguments, default_data_collator

from domain_tokens.planning.derived import derive
from domain_tokens.planning.launcher import Launch
from domain_tokens.planning.whole_recipe import check_recipes
from domain_tokens.recipe import Recipe, RecipeError, load_recipe, micro_batch
from domain_tokens.recipe.arguments import check_section
from domain_tokens.recipe.micro_batch import auto_stages, rows_per_process, sizes_to_try, with_numbers
from domain_tokens.runs.files import write_json
from domain_tokens.runs.launcher import Launcher
from domain_tokens.runs.micro_batches import MicroBatchTry, micro_batches_file, read_micro_batches
from domain_tokens.runs.settings import derived_arguments
from domain_tokens.runs.stage_folder import StageFolder
from domain_tokens.training.fitting import search
from domain_tokens.training.fitting.needs import check_found, vocabulary_size
from domain_tokens.training.fitting.request import choose, gains
from domain_tokens.training.fitting.search import Sharing, find_micro_batches
from domain_tokens.training.forward.full_sequences import for_full_sequences
from domain_tokens.training.model import prepare_to_train
from domain_tokens.training.trainers.checkpoints import CheckpointTrainer

KEY = "per_device_train_batch_size"
SHAPE = (
    GPT2_BASE,
    "model={n_layer: 1, n_head: 2, n_embd: 16, n_positions: 64}",
    "sft.max_length=64",
    "pretrain.per_device_train_batch_size=2",
)
LARGER = "recipes/interventions/mul_81.yaml"


@cache
def loaded(condition: str) -> Recipe:
    return load_recipe(tiny_arguments(Path("unused"), condition, *SHAPE))


class Runs:
    """Makes recipes without reading files, and stands in for `load_recipe`, which takes 0.1 s a recipe."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.recipes: dict[str, Recipe] = {}

    def __call__(self, *auto: str, condition: str = "baseline", **changed: Any) -> list[str]:
        """Return the arguments of a recipe whose sections `auto` say `auto`."""
        recipe = dataclasses.replace(loaded(condition), output_dir=str(self.folder), **changed)
        sections = {section: getattr(recipe, section) | {KEY: "auto"} for section in auto}
        name = f"recipe {len(self.recipes)}"
        self.recipes[name] = dataclasses.replace(recipe, **sections)
        return [name]

    def recipe(self, arguments: Sequence[str]) -> Recipe:
        return self.recipes[arguments[0]]


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    made = Runs(tmp_path)
    monkeypatch.setattr(search, "load_recipe", made.recipe)
    return made


ALL = ("pretrain", "sft", "grpo")


class Trials:
    """Stands in for the trials: writes what one would, up to the micro batch at which it ends."""

    def __init__(self, *, fits_up_to: int = 2, code: int = 0, ends_at: int | None = None) -> None:
        self.fits_up_to, self.code, self.ends_at = fits_up_to, code, ends_at
        self.asked: list[dict] = []

    def __call__(self, arguments: Sequence[str], log: Path) -> int:
        request = json.loads(Path(arguments[1]).read_text())
        self.asked.append(request)
        lines: list[dict] = [{"device": "CPU", "memory_bytes": 1000}]
        for size in request["sizes"]:
            lines.append({"trying": size})
            if size == self.ends_at:
                break
            fits = size <= self.fits_up_to
            taken = {"seconds": 1.0, "rows": size, "peak_bytes": size} if fits else {"reason": "out of memory"}
            lines.append({"micro_batch": size, "fits": fits, **taken})
            if not fits:
                break
        Path(arguments[2]).write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        log.write_text("Traceback\nKeyError: 'x'\n")
        return self.code


def found(runs: Runs, arguments: list[list[str]], trials: Trials, **sharing: int) -> dict[str, int]:
    find_micro_batches(arguments, trials, Sharing(**sharing))
    stages = read_micro_batches(runs.recipe(arguments[0])).stages
    return {stage: one.micro_batch for stage, one in stages.items()}


@pytest.mark.parametrize(
    ("rows", "sizes"), [(1, [1]), (7, [1, 7]), (15, [1, 3, 5, 15]), (48, [1, 2, 4, 8, 16, 24, 48]), (8, [1, 2, 4, 8])]
)
def test_sizes_divide_a_step_and_about_double(rows: int, sizes: list[int]) -> None:
    assert sizes_to_try(rows) == sizes


def tries(**seconds: float | None) -> list[MicroBatchTry]:
    return [
        MicroBatchTry(micro_batch=int(size[1:]), fits=taken is not None, seconds=taken, rows=int(size[1:]))
        for size, taken in seconds.items()
    ]


@pytest.mark.parametrize(
    ("tried", "size"),
    [
        (tries(_1=1.0, _2=1.0, _4=1.0), 4),
        (tries(_1=1.0, _2=1.0, _4=None), 2),
        (tries(_1=1.0, _2=1.0, _4=1.93), 2),  # as fast as 4, in half of the memory
        (tries(_1=1.0, _2=1.0, _4=1.87), 4),
        (tries(_1=1.0, _2=2.4, _4=5.0), 1),
        (tries(_1=None), None),
    ],
)
def test_the_smallest_of_the_fastest_that_fit_is_taken(tried: list[MicroBatchTry], size: int | None) -> None:
    assert choose(tried) == size


def test_larger_ones_are_tried_as_long_as_they_gain() -> None:
    assert gains([1.0, 1.0])
    assert not gains([1.0, 1.0, 1.04])
    assert gains([1.0, 1.0, 1.06])
    assert gains([1.0, 2.0, 2.0])
    assert not gains([1.0, 2.0, 2.0, 2.0])


@pytest.mark.parametrize("value", ["AUTO ", -1, 0, "automatic", True, 1.5, "Auto", ["auto"]])
def test_another_value_is_one_message(value: object) -> None:
    check_section({KEY: "auto"}, "pretrain", "TrainingArguments")
    with pytest.raises(RecipeError, match=rf"pretrain\.{KEY}: expected a whole number of at least 1, or auto, got"):
        check_section({KEY: value}, "pretrain", "TrainingArguments")


@pytest.mark.parametrize("own", [{"steps_per_generation": 2}, {"generation_batch_size": 8}, {"loss_type": "bnpo"}])
def test_a_result_that_would_depend_on_the_machine_is_refused(own: dict[str, object], runs: Runs) -> None:
    runs.recipe(runs(grpo=loaded("baseline").grpo | own)).check()
    with pytest.raises(RecipeError, match=rf"grpo\.{next(iter(own))}: .*{KEY}: auto"):
        runs.recipe(runs("grpo", grpo=loaded("baseline").grpo | own)).check()


def test_all_conditions_read_what_was_found_once_at_the_largest_vocabulary(runs: Runs) -> None:
    larger = runs(*ALL, condition="mul_tokens", tokenizer=LARGER)
    arguments = [runs(*ALL), larger]
    recipes = [runs.recipe(one) for one in arguments]
    assert vocabulary_size(recipes[1]) > vocabulary_size(recipes[0])
    trials = Trials()
    assert found(runs, arguments, trials) == {"pretrain": 2, "sft_drills": 2, "grpo": 2}
    assert [one["recipe"] for one in trials.asked] == [larger] * 3
    for recipe in recipes:
        for stage in auto_stages(recipe):
            assert derived_arguments(dataclasses.replace(recipe, seed=5), stage) == {KEY: 2}
            check_found(recipe, stage, "CPU")
    planned = {one.cost.stage: (one.micro_batch, one.accumulation) for one in derive(recipes[0], 1).stages}
    assert planned == {"pretrain": (2 * 64, 2), "sft/drills": (2, 4), "grpo": (2, 4)}
    recorded = read_micro_batches(recipes[0]).stages["pretrain"]
    assert recorded.needs["vocabulary_size"] == vocabulary_size(recipes[1])
    assert [one.fits for one in recorded.tries] == [True, True, False]
    found(runs, arguments, trials)
    assert len(trials.asked) == 3


def test_a_second_stage_of_fine_tuning_with_the_same_needs_is_not_tried_again(runs: Runs) -> None:
    (first,) = loaded("baseline").sft_stages
    others = [
        dataclasses.replace(first, name="again"),
        dataclasses.replace(first, name="short", args={"max_length": 32}),
    ]
    trials = Trials()
    stages = found(runs, [runs("sft", sft_stages=[first, *others])], trials)
    assert stages == {"sft_drills": 2, "sft_again": 2, "sft_short": 2}
    assert [one["stage"] for one in trials.asked] == ["sft_drills", "sft_short"]


def test_a_trial_that_is_killed_for_memory_has_shown_what_fits(runs: Runs) -> None:
    arguments = [runs("pretrain")]
    assert found(runs, arguments, Trials(fits_up_to=4, ends_at=4, code=-signal.SIGKILL)) == {"pretrain": 2}
    last = read_micro_batches(runs.recipe(arguments[0])).stages["pretrain"].tries[-1]
    assert (last.micro_batch, last.fits) == (4, False)
    assert "ended by SIGKILL" in last.reason


@pytest.mark.parametrize(
    ("trials", "message"),
    [
        (Trials(fits_up_to=0), r"pretrain: .*not even 1 row at a time fits into .*: out of memory; free memory"),
        (Trials(ends_at=1, code=-signal.SIGKILL), r"not even 1 row at a time fits .*ended by SIGKILL"),
        (Trials(ends_at=1, code=1), r"the trial of pretrain ended with code 1 and no answer: KeyError: 'x'; run"),
        (Trials(ends_at=4, code=-signal.SIGTERM), r"ended with code -15 and no answer"),
    ],
)
def test_nothing_is_recorded_if_nothing_fits_or_a_trial_fails(trials: Trials, message: str, runs: Runs) -> None:
    arguments = [runs("pretrain")]
    with pytest.raises(RecipeError, match=message):
        found(runs, arguments, trials)
    assert not micro_batches_file(runs.recipe(arguments[0])).exists()
    assert found(runs, arguments, Trials()) == {"pretrain": 2}  # and the lock is free


def test_two_processes_that_look_at_once_find_it_once(runs: Runs) -> None:
    arguments, trials, both = [runs("pretrain")], Trials(), threading.Barrier(2, timeout=20)
    waiting = threading.Event()

    def start(command: Sequence[str], log: Path) -> int:
        waiting.wait(0.3)  # as long as the other has to wait for the lock
        return trials(command, log)

    def look() -> None:
        both.wait()
        find_micro_batches(arguments, start, Sharing())

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(trials.asked) == 1
    assert derived_arguments(runs.recipe(arguments[0]), "pretrain") == {KEY: 2}


def one_found(runs: Runs) -> tuple[Recipe, Path]:
    arguments = runs("pretrain")
    found(runs, [arguments], Trials())
    recipe = runs.recipe(arguments)
    return recipe, micro_batches_file(recipe)


@pytest.mark.parametrize("content", ["{", "", "[]", '{"stages": {"pretrain": {"micro_batch": 0}}}', '{"stages": 1}'])
def test_a_damaged_record_is_named_with_what_to_do(content: str, runs: Runs) -> None:
    recipe, file = one_found(runs)
    file.write_text(content)
    with pytest.raises(RecipeError) as caught:
        derived_arguments(recipe, "pretrain")
    assert str(caught.value).startswith(f"{file}: damaged: ")
    assert str(caught.value).endswith("remove this file, and the next start finds the micro batches again")


def test_another_device_is_refused_unless_the_change_is_allowed(runs: Runs, caplog: pytest.LogCaptureFixture) -> None:
    recipe, _ = one_found(runs)
    check_found(recipe, "pretrain", "CPU")
    with pytest.raises(RecipeError, match=r"micro batch of pretrain, 2, was found on CPU, and this machine has H100"):
        check_found(recipe, "pretrain", "H100")
    check_found(recipe, "pretrain", "H100", allow_change=True)
    assert "goes on with the micro batch 2, which was found on CPU; this is H100" in caplog.text


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"model": {"n_layer": 2, "n_head": 2, "n_embd": 16, "n_positions": 64}},
            r"model.n_layer: found for 1, now 2",
        ),
        ({"model": {"n_layer": 1, "n_head": 2, "n_embd": 16, "n_positions": 128}}, r"length: found for 64, now 128"),
        ({"pretrain": {KEY: "auto", "optim": "adafactor"}}, r"settings.optim: found for .*, now 'adafactor'"),
    ],
)
def test_a_record_for_another_recipe_is_refused(changed: dict, message: str, runs: Runs) -> None:
    recipe, _ = one_found(runs)
    with pytest.raises(RecipeError, match=message):
        check_found(dataclasses.replace(recipe, **changed), "pretrain", "CPU")


def test_a_few_more_ids_or_fewer_are_covered_and_many_more_are_not(runs: Runs) -> None:
    recipe, file = one_found(runs)
    record = json.loads(file.read_text())
    size = vocabulary_size(recipe)
    for recorded, covered in ((2 * size, True), (size - 45, True), (int(size / 1.03), False)):
        record["stages"]["pretrain"]["needs"]["vocabulary_size"] = recorded
        write_json(file, record)
        if covered:
            check_found(recipe, "pretrain", "CPU")
        else:
            with pytest.raises(RecipeError, match="vocabulary_size: found for"):
                check_found(recipe, "pretrain", "CPU")


def test_more_runs_at_a_time_are_refused(runs: Runs) -> None:
    arguments = [runs("pretrain")]
    found(runs, arguments, Trials(), runs_at_a_time=2)
    found(runs, arguments, Trials(), runs_at_a_time=1)
    with pytest.raises(RecipeError, match=r"found with 2 at a time, and now 3 runs .*--jobs 2"):
        found(runs, arguments, Trials(), runs_at_a_time=3)


def test_processes_share_the_rows_of_a_step(runs: Runs) -> None:
    trials = Trials(fits_up_to=8)
    assert found(runs, [runs("pretrain")], trials, num_processes=2) == {"pretrain": 2}
    assert trials.asked[0]["sizes"] == [1, 2]  # of four sequences
    assert rows_per_process(loaded("baseline"), "pretrain", 1) == 4


def test_auto_is_for_all_conditions_or_none(runs: Runs) -> None:
    recipes = [runs.recipe(runs("pretrain")), runs.recipe(runs(condition="mul_tokens"))]
    with pytest.raises(RecipeError, match=rf"pretrain: {KEY}: auto in baseline and 2 in mul_tokens; expected auto"):
        check_recipes(recipes, Launch(1, Launcher(), {}), trains_here=False)


def test_before_it_is_found_a_number_is_assumed_for_estimates_and_a_stage_does_not_start(runs: Runs) -> None:
    budget = dataclasses.replace(loaded("baseline").budget, sft_examples_per_step=12)
    recipe = runs.recipe(runs(*ALL, budget=budget))
    assert [micro_batch(with_numbers(recipe, {}).pretrain), derive(recipe, 1).stages[1].micro_batch] == [4, 6]
    with pytest.raises(RecipeError, match=r"auto, and nothing was found for this stage yet; start it by its script"):
        micro_batch(recipe.pretrain | derived_arguments(recipe, "pretrain"))


def test_what_was_found_counts_as_if_the_recipe_had_given_it(tmp_path: Path) -> None:
    auto = {"sft": {KEY: "auto"}, "args": {}, "derived": {KEY: 4}}
    for given, same in ((4, True), (2, False)):
        folder = StageFolder("sft", tmp_path, {"sft": {KEY: given}, "args": {}, "derived": {}})
        if same:
            folder.refuse_other(auto, tmp_path)
        else:
            with pytest.raises(RecipeError, match=rf"sft.{KEY}: recorded 4, now 2"):
                folder.refuse_other(auto, tmp_path)


class Recorded(CheckpointTrainer):
    """Keeps each micro batch's share of its step's loss; what the library logs is rounded."""

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        loss = super().training_step(*args, **kwargs)
        self.shares = [*getattr(self, "shares", []), loss.item()]
        return loss


def test_the_losses_of_pretraining_do_not_depend_on_the_micro_batch(tmp_path: Path) -> None:
    shape = {"n_layer": 2, "n_head": 2, "n_embd": 16, "n_positions": 16, "vocab_size": 101}
    ids = torch.randint(101, (24, 16), generator=torch.Generator().manual_seed(0))
    losses, weights = [], []
    for size in (4, 2, 1):
        torch.manual_seed(0)
        model = GPT2LMHeadModel(GPT2Config(**shape, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0))
        prepare_to_train(model)
        for_full_sequences(model)
        arguments = TrainingArguments(
            output_dir=str(tmp_path), per_device_train_batch_size=size, gradient_accumulation_steps=4 // size,
            max_steps=6, learning_rate=1e-2, report_to="none", use_cpu=True, save_strategy="no", disable_tqdm=True,
            train_sampling_strategy="sequential", logging_strategy="no",
        )  # fmt: skip
        rows = [{"input_ids": row, "labels": row} for row in ids]
        trainer = Recorded(model=model, args=arguments, train_dataset=rows, data_collator=default_data_collator)
        trainer.train()
        assert len(trainer.shares) == 6 * 4 // size
        losses.append(torch.tensor(trainer.shares).view(6, -1).sum(dim=1))
        weights.append(model.transformer.wte.weight.detach().clone())
    assert losses[0][-1] < losses[0][0] - 0.01  # it trained
    for other in (1, 2):
        torch.testing.assert_close(losses[other], losses[0], rtol=1e-5, atol=0)
        torch.testing.assert_close(weights[other], weights[0], rtol=1e-3, atol=1e-5)
