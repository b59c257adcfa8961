"""Fine-tuning at equal tokens: both conditions take the same steps of as many tokens, and the ledger says so."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from real_stages import run_here, small_recipe
from tiny import CONDITIONS

from domain_tokens.runs.layout import MANIFEST
from domain_tokens.runs.ledger import as_fields, differences, estimand, reason_to_differ, unexplained
from domain_tokens.runs.records import LedgerEntry, Manifest, read_record
from domain_tokens.training.callbacks.accounting import Counter
from domain_tokens.training.fitting.needs import longest_row, needs_of
from domain_tokens.training.fitting.stand_ins import STEPS, stand_in, stand_in_tokenizer, stand_in_weights

PACKED = ("sft.packing=true", "budget.sft_tokens_per_step=256", "sft.per_device_train_batch_size=1")


def packed_stage(output_dir: Path, condition: str) -> Manifest:
    """Fine-tune a condition whose pretrained model exists; return the manifest."""
    recipe = small_recipe(output_dir, condition, *PACKED)
    run_here("sft", recipe)
    return read_record(recipe.run_dir / "sft_final" / MANIFEST, Manifest)


@pytest.fixture
def entries(trained: Path, tmp_path: Path) -> dict[str, tuple[Manifest, LedgerEntry]]:
    # Without what the conditions have of another recipe.
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("sft_final", "sft_drills"))
    found = {condition: packed_stage(tmp_path, condition) for condition in CONDITIONS}
    return {condition: (manifest, manifest.ledger[0]) for condition, manifest in found.items()}


def test_the_conditions_are_equal_in_tokens_and_differ_in_examples(
    entries: dict[str, tuple[Manifest, LedgerEntry]],
) -> None:
    (plain, base), (rewriting, other) = (entries[condition] for condition in CONDITIONS)
    assert other.dataset_tokens < base.dataset_tokens  # or there would be nothing to compare
    assert base.kind == other.kind == "sft (packed)"
    for field in ("steps", "tokens", "flops", "order_sha256"):
        assert getattr(base, field) == getattr(other, field)
    assert base.tokens == base.steps * 256
    assert other.examples > base.examples
    epochs = [(one.tokens - one.padding_tokens) / one.dataset_tokens for one in (base, other)]
    assert 4.9 < epochs[0] < 5.6  # five, and what is left of the last step
    assert epochs[1] > epochs[0]
    found = differences(
        {**plain.matched, **as_fields([base])}, {**rewriting.matched, **as_fields([other])}
    )  # weights differ, and nothing else
    assert [one.field for one in found if one.field != "initial_weights_sha256"] == []
    assert not list(unexplained([base], [other], other_seeds=False))
    assert estimand(base.kind) == "equal tokens"
    assert base.answer_facts == base.question_facts == 0
    assert other.answer_facts > 0
    ends = [manifest.answer_ends for manifest in (plain, rewriting)]
    assert [one.num_prompts for one in ends] == [4, 4]
    assert ends[0].prompts_sha256 == ends[1].prompts_sha256


def test_a_micro_batch_is_tried_with_rows_that_are_full(tmp_path: Path) -> None:
    recipe = small_recipe(tmp_path, "mul_tokens", *PACKED, "lora={rank: 2}")
    tokenizer = stand_in_tokenizer(recipe)
    stand_in_weights(recipe, len(tokenizer), tmp_path / "weights")
    counter = Counter()
    run = stand_in(recipe, "sft_drills", 2, tokenizer, tmp_path / "weights", 1)
    trainer = run.make_trainer(counter)
    trainer.add_callback(counter)
    trainer.train()
    assert counter.totals["tokens"] == STEPS * 2 * 128
    assert counter.totals["padding_tokens"] <= STEPS * 2
    assert longest_row(recipe, "sft_drills") == 128
    usual = small_recipe(tmp_path, "mul_tokens")
    assert {"packing", "lora"} <= set(needs_of([recipe], "sft_drills")["settings"])
    assert not {"packing", "lora"} & set(needs_of([usual], "sft_drills")["settings"])


def test_what_may_differ_with_packing_is_not_what_may_differ_without() -> None:
    assert reason_to_differ("sft (packed)", "examples")
    assert reason_to_differ("sft (packed)", "answer_facts")
    assert reason_to_differ("sft (packed)", "tokens") is None
    assert reason_to_differ("sft (packed)", "flops") is None
    assert reason_to_differ("sft", "examples") is None


def entry(**values: Any) -> LedgerEntry:
    numbers = dict.fromkeys(LedgerEntry.model_fields, 1) | {"stage": "sft/drills", "packed": True, "steps": 1000}
    numbers |= dict.fromkeys(("order_sha256", "initial_weights_sha256"), "a")
    numbers |= dict.fromkeys(("seeds", "precision", "optimizer", "schedule"), {})
    return LedgerEntry.parse(json.loads(json.dumps(numbers | values)), "here")


def test_rows_that_are_much_emptier_are_no_equal_tokens() -> None:
    full = entry(tokens=1000, padding_tokens=10, flops=1000)
    assert not list(unexplained([full], [entry(tokens=1000, padding_tokens=40, flops=1000)], other_seeds=True))
    (found,) = unexplained([full], [entry(tokens=1000, padding_tokens=200, flops=1000)], other_seeds=True)
    assert found.values == (990, 800)
    one_packed = as_fields([full]), as_fields([entry(tokens=1000, padding_tokens=10, flops=1000, packed=False)])
    assert any("packed" in one.field for one in differences(*one_packed))
