"""What each seed moves in the real trainers, and that both conditions read the same examples in the same order."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from accelerate.state import AcceleratorState
from real_stages import run_here, small_recipe
from tiny import CONDITIONS

from domain_tokens.recipe import Recipe, RecipeError
from domain_tokens.runs.layout import MANIFEST
from domain_tokens.runs.records import Manifest, read_record
from domain_tokens.tokenization.facts import END_OF_TEXT
from domain_tokens.tokenization.intervention import default_intervention
from domain_tokens.tokenization.rewriter import canonical
from domain_tokens.training.callbacks.accounting import Counter
from domain_tokens.training.grpo import Reinforcement
from domain_tokens.training.model import weights_sha256
from domain_tokens.training.post_training.base import PostTrainingRun
from domain_tokens.training.pretrain import Pretraining
from domain_tokens.training.sft import FineTuning
from domain_tokens.training.stage import TrainingRun

SEEDS = ("weights", "order", "sampling")


class Moved(NamedTuple):
    """What a stage starts from: weights, the order in which it reads, and what dropout would draw first."""

    weights: str
    order: tuple[object, ...]
    drawn: tuple[float, ...]


@contextmanager
def trainer_of(run: TrainingRun) -> Iterator[Any]:
    try:
        yield run.make_trainer(Counter())
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)


def texts_of(run: PostTrainingRun, ids: torch.Tensor, mask: torch.Tensor) -> list[str]:
    """Return what rows of ids say, with facts in one spelling whatever the condition."""
    rows = [row[kept.bool()] for row, kept in zip(ids, mask, strict=True)]
    return [canonical(run.tokenizer.decode(row), default_intervention()) for row in rows]


def pretraining(recipe: Recipe) -> Moved:
    run = Pretraining(recipe)
    weights = weights_sha256(run.model)
    with trainer_of(run) as trainer:
        drawn = torch.rand(4)
        first = [
            batch["input_ids"].tolist() for batch, _ in zip(trainer.get_train_dataloader(), range(3), strict=False)
        ]
    return Moved(weights, tuple(map(str, first)), tuple(drawn.tolist()))


def fine_tuning(recipe: Recipe) -> Moved:
    """Fine-tune for two epochs; the order is that of the texts in the batches of its steps."""
    run = FineTuning(recipe, 0)
    given: list[object] = []
    with trainer_of(run) as trainer, pytest.MonkeyPatch.context() as patch:
        drawn, compute_loss = torch.rand(4), trainer.compute_loss

        def spy(model: Any, inputs: dict[str, torch.Tensor], *args: Any, **kwargs: Any) -> Any:
            # The demo joins the examples of a micro batch in one row.
            (row,) = texts_of(run, inputs["input_ids"], torch.ones_like(inputs["input_ids"]))
            given.append(tuple(row.split(END_OF_TEXT)[:-1]))
            return compute_loss(model, inputs, *args, **kwargs)

        patch.setattr(trainer, "compute_loss", spy)
        weights = weights_sha256(run.model)
        trainer.train()
    assert weights_sha256(run.model) != weights
    return Moved(weights, tuple(given), tuple(drawn.tolist()))


def reinforcement(recipe: Recipe) -> tuple[Moved, list[list[int]]]:
    """Run GRPO for 2.5 epochs; the order is that of the prompts that answers were sampled for; also those answers."""
    run = Reinforcement(recipe)
    given: list[object] = []
    used: list[object] = []
    answers: list[list[int]] = []
    with trainer_of(run) as trainer, pytest.MonkeyPatch.context() as patch:
        drawn, sample, compute_loss = torch.rand(4), trainer._generate_and_score_completions, trainer.compute_loss

        def spy_on_sampling(rows: list[dict[str, Any]]) -> Any:
            found = sample(rows)
            given.append(tuple(texts_of(run, found["prompt_ids"], found["prompt_mask"])))
            asked = [canonical(row["prompt"][0]["content"], default_intervention()) for row in rows]
            assert all(question in text for question, text in zip(asked, given[-1], strict=True))
            answers.extend(found["completion_ids"].tolist())
            return found

        def spy_on_steps(model: Any, inputs: dict[str, torch.Tensor], *args: Any, **kwargs: Any) -> Any:
            # TRL shuffles the rows of a step; the loss is their sum.
            used.append(tuple(sorted(texts_of(run, inputs["prompt_ids"], inputs["prompt_mask"]))))
            return compute_loss(model, inputs, *args, **kwargs)

        patch.setattr(trainer, "reward_funcs", [rewards_by_first_token, *trainer.reward_funcs[1:]])
        patch.setattr(trainer, "_generate_and_score_completions", spy_on_sampling)
        patch.setattr(trainer, "compute_loss", spy_on_steps)
        weights = weights_sha256(run.model)
        trainer.train()
    assert weights_sha256(run.model) != weights
    assert used == [tuple(sorted(prompts)) for prompts in given]
    return Moved(weights, tuple(given), tuple(drawn.tolist())), answers


def rewards_by_first_token(completion_ids: list[list[int]], **_: Any) -> list[float]:
    """Rewards that differ between the answers of a model that has learned nothing."""
    return [float(ids[0] % 7) for ids in completion_ids]


def differing(one: Moved, other: Moved) -> set[str]:
    return {name for name, left, right in zip(SEEDS, one, other, strict=True) if left != right}


def test_each_seed_moves_its_own_thing_in_pretraining(trained: Path) -> None:
    usual = pretraining(small_recipe(trained, "baseline"))
    for name in SEEDS:
        assert differing(usual, pretraining(small_recipe(trained, "baseline", f"seeds.{name}=7"))) == {name}
    said = (f"seeds.{name}=0" for name in SEEDS)  # what is usual
    assert differing(usual, pretraining(small_recipe(trained, "baseline", *said))) == set()
    everything = pretraining(small_recipe(trained, "baseline", "seed_offset=7"))
    assert differing(usual, everything) == set(SEEDS)
    alone = (f"seeds.{name}=7" for name in SEEDS)
    assert pretraining(small_recipe(trained, "baseline", *alone)) == everything


def test_fine_tuning_reads_the_same_texts_in_the_same_order_in_both_conditions(trained: Path) -> None:
    epochs = "sft.num_train_epochs=2"
    one, other = (fine_tuning(small_recipe(trained, condition, epochs)) for condition in CONDITIONS)
    assert differing(one, other) == {"weights"}
    assert len(one.order) == 8
    first, second = (sorted(text for step in one.order[part] for text in step) for part in (slice(4), slice(4, 8)))
    assert first == second
    assert len(set(first)) > 20
    assert one.order[:4] != one.order[4:]  # another order in the second epoch
    for name in ("order", "sampling"):
        assert differing(one, fine_tuning(small_recipe(trained, "baseline", epochs, f"seeds.{name}=7"))) == {name}


def test_grpo_asks_the_same_prompts_in_the_same_order_in_both_conditions(trained: Path) -> None:
    (one, answers), (other, others) = (reinforcement(small_recipe(trained, condition)) for condition in CONDITIONS)
    assert differing(one, other) == {"weights"}
    assert answers != others
    epochs = [one.order[:2], one.order[2:4]]
    first, second = (sorted(text for step in epoch for text in step) for epoch in epochs)
    assert first == second
    assert len(set(first)) == 4
    assert epochs[0] != epochs[1]  # another order in the second epoch
    again, sampled = reinforcement(small_recipe(trained, "baseline", "seeds.sampling=7"))
    assert differing(one, again) == {"sampling"}
    assert sampled[:8] != answers[:8]
    assert differing(one, reinforcement(small_recipe(trained, "baseline", "seeds.order=7"))[0]) == {"order"}


def test_a_stage_of_another_seed_is_neither_taken_nor_gone_on_with(trained: Path) -> None:
    for name in SEEDS:
        for stage in ("pretrain", "sft"):
            with pytest.raises(RecipeError, match=rf"(seeds\.{name}: recorded None|data_seed: recorded 0), now 7"):
                run_here(stage, small_recipe(trained, "baseline", f"seeds.{name}=7"))
    run_here("pretrain", small_recipe(trained, "baseline", *(f"seeds.{name}=0" for name in SEEDS)))


def test_what_was_trained_names_its_three_seeds(trained: Path) -> None:
    for stage in ("pretrain", "sft"):
        path = small_recipe(trained, "mul_tokens").run_dir / f"{stage}_final" / MANIFEST
        trained_as = read_record(path, Manifest)
        assert trained_as.matched["seeds"] == dict.fromkeys(SEEDS, 0)
        assert {name: trained_as.ledger[-1].seeds[name] for name in SEEDS} == dict.fromkeys(SEEDS, 0)
