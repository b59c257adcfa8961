"""What a stage consumed: counted exactly, once, and through interruptions."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from transformers import GPT2Config, TrainerControl, TrainerState, TrainingArguments

from domain_tokens.recipe import RecipeError
from domain_tokens.runs.ledger import MAY_DIFFER, VIEWS, differences, reason_to_differ, unexplained
from domain_tokens.runs.records import LedgerEntry
from domain_tokens.training.callbacks.accounting import Counter, training_flops
from domain_tokens.training.grpo import _relative_cost
from domain_tokens.training.model import flops_per_token


def step(counter: Counter, folder: Path, number: int, save: bool = False) -> None:
    arguments = TrainingArguments(output_dir=str(folder), report_to="none", use_cpu=True)
    state = TrainerState(global_step=number, is_world_process_zero=True)
    counter.on_step_end(arguments, state, TrainerControl())
    if save:
        (folder / f"checkpoint-{number}").mkdir()
        counter.write(folder / f"checkpoint-{number}")


def begun(folder: Path, number: int) -> Counter:
    counter = Counter()
    arguments = TrainingArguments(output_dir=str(folder), report_to="none", use_cpu=True)
    counter.on_train_begin(arguments, TrainerState(global_step=number), TrainerControl())
    return counter


def test_rows_are_counted_with_their_padding(tmp_path: Path) -> None:
    counter = begun(tmp_path, 0)
    counter.add_rows(torch.tensor([[1, 1, 1], [1, 0, 0]]))
    counter.add_rows(torch.tensor([[1, 1, 1, 1, 0]]))
    counter.add(source_bytes=torch.tensor(7), generated_tokens=2, question_facts=torch.tensor(5), answer_facts=1)
    assert counter.totals["tokens"] == 0  # until the step is completed
    step(counter, tmp_path, 1)
    expected = {"tokens": 11, "padding_tokens": 3, "examples": 3, "source_bytes": 7, "generated_tokens": 2}
    expected |= {"question_facts": 5, "answer_facts": 1}
    assert counter.totals == expected | {"squared_lengths": 2 * 9 + 25}
    step(counter, tmp_path, 2)
    assert counter.totals["tokens"] == 11  # a step is counted once


def test_a_resumed_run_goes_on_from_the_checkpoint_and_not_from_where_it_was_cut(tmp_path: Path) -> None:
    counter = begun(tmp_path, 0)
    for number in (1, 2, 3):
        counter.add_rows(torch.ones(number, 4))
        step(counter, tmp_path, number, save=number == 2)
    resumed = begun(tmp_path, 2)
    assert resumed.totals["tokens"] == 4 * (1 + 2)
    assert resumed.seconds > 0
    resumed.add_rows(torch.ones(3, 4))
    step(resumed, tmp_path, 3)
    assert resumed.totals == counter.totals
    with pytest.raises(RecipeError, match=r"checkpoint-7: has no counts.json, .* older version wrote it; remove"):
        begun(tmp_path, 7)


def test_flops_follow_each_row_at_its_own_length(tmp_path: Path) -> None:
    config = GPT2Config(n_layer=2, n_embd=8, n_head=2, n_positions=16)
    counter = begun(tmp_path, 0)
    counter.add_rows(torch.ones(3, 10))
    counter.add_rows(torch.ones(2, 4))
    step(counter, tmp_path, 1)
    by_hand = 30 * flops_per_token(config, 1000, 10) + 8 * flops_per_token(config, 1000, 4)
    assert training_flops(config, 1000, counter) == pytest.approx(by_hand, rel=1e-12)
    assert by_hand == 38 * 6 * (1000 - 16 * 8) + 12 * 2 * 8 * (30 * 10 + 8 * 4)


@pytest.mark.parametrize(
    ("beta", "accumulation", "per_generation", "iterations", "cost"),
    [
        (0.0, 4, 4, 1, 1 + 1 / 3),  # sampling, then forward and backward
        (0.04, 4, 4, 1, 1 + 2 / 3),  # and the reference model: ten FLOPs a weight where training has six
        (0.04, 4, 4, 2, 1 + 3 / 3 / 2),  # a generation serves twice, the second time by another policy
        (0.0, 1, 4, 1, 1 + 2 / 3),
    ],
)
def test_the_cost_of_a_step_of_reinforcement_learning(
    beta: float, accumulation: int, per_generation: int, iterations: int, cost: float
) -> None:
    arguments = SimpleNamespace(
        beta=beta,
        gradient_accumulation_steps=accumulation,
        steps_per_generation=per_generation,
        num_iterations=iterations,
    )
    assert _relative_cost(arguments) == pytest.approx(cost)


def test_the_four_views_are_fields_and_pretraining_is_limited_by_tokens() -> None:
    assert [reason_to_differ("pretrain", field) is None for field in VIEWS.values()] == [True, True, False, True]
    assert [reason_to_differ("sft/a/b", field) is None for field in VIEWS.values()] == [False, False, True, True]
    assert [reason_to_differ("grpo", field) is None for field in VIEWS.values()] == [False, False, True, True]
    assert all(reason_to_differ(stage, "wall_time_s") for stage in MAY_DIFFER)


def test_differences_are_found_leaf_by_leaf() -> None:
    ours, theirs = {"a": {"b": [1, 2], "c": None}}, {"a": {"b": [1, 3]}, "trainer": {"seed": 1}}
    found = {difference.field: difference.values for difference in differences(ours, theirs)}
    assert found == {"a.b.1": (2, 3), "a.c": (None, "(absent)"), "trainer.seed": ("(absent)", 1)}
    assert {difference.field for difference in differences(ours, theirs, other_seeds=True)} == {"a.b.1", "a.c"}


def sft_entry(tokens: int, padding_tokens: int) -> LedgerEntry:
    values = dict.fromkeys(LedgerEntry.model_fields, 1) | {"stage": "sft/drills", "dataset_tokens": 100}
    values |= dict.fromkeys(("order_sha256", "initial_weights_sha256"), "a")
    values |= dict.fromkeys(("seeds", "precision", "optimizer", "schedule"), {}) | {"packed": False}
    return LedgerEntry.parse(values | {"tokens": tokens, "padding_tokens": padding_tokens, "flops": tokens}, "here")


def test_padding_does_not_count_as_epochs() -> None:
    ours, more_padding = sft_entry(400, 100), sft_entry(400, 120)
    (found,) = unexplained([ours], [more_padding], other_seeds=False)
    assert (found.field, found.values) == ("ledger.sft/drills.epochs (within 1%)", (3.0, 2.8))
    assert not list(unexplained([ours], [more_padding], other_seeds=True))
    assert not list(unexplained([ours], [sft_entry(420, 120)], other_seeds=False))
    unknown = LedgerEntry.parse(ours.as_json() | {"dataset_tokens": 0}, "here")
    assert not list(unexplained([unknown], [unknown], other_seeds=False))
