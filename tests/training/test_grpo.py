"""GRPO's trainer: every counter of the ledger against an independent count, and the loss that the recipe asks for.

So too what `metrics.jsonl` says of a step, and which completions are kept.
"""

import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from trl import GRPOConfig

from domain_tokens.corpora.examples import Example
from domain_tokens.recipe import RecipeError, check_fit, load_recipe, parse_arguments, parse_trainers
from domain_tokens.runs.records import Completion, read_rows
from domain_tokens.tokenization.facts import GPT2_IDS
from domain_tokens.training.callbacks.accounting import Counter
from domain_tokens.training.grpo import _NAMES, _counts_completions
from domain_tokens.training.post_training.chat_data import prompts_with_gold
from domain_tokens.training.reinforcement.completions import Generation, KeptCompletions
from domain_tokens.training.stage import trainer_settings
from domain_tokens.training.trainers.completions import CompletionTrainer

FACT = "What is 6 * 9?"
EXAMPLES = [Example("What is 6 times 9?", "#### 54"), Example("Ana has 3 bags. How many bags?", "#### 3")]
MAX_LENGTH = 6


def model_that_ends_now_and_then() -> GPT2LMHeadModel:
    """A model that ends its answer after a quarter of its tokens, so that completions have different lengths."""
    torch.manual_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(n_layer=1, n_head=1, n_embd=8, n_positions=64, vocab_size=50349, eos_token_id=50256)
    )
    with torch.no_grad():
        model.transformer.ln_f.weight.zero_()
        model.transformer.ln_f.bias.copy_(torch.eye(8)[0])
        model.transformer.wte.weight[50256, 0] = 9.7  # the logit of the end; e^9.7 is a third of 50,348
        model.transformer.wte.weight[50304:, 0] = 5.0  # of each fact; all 45 are a tenth
    return model


class Sampled(NamedTuple):
    """A prompt's and a completion's number of tokens, and the completion's ids."""

    prompt: int
    length: int
    ids: list[int]


def train(
    tokenizer: PreTrainedTokenizerFast,
    folder: Path,
    *overrides: str,
    examples: list[Example] = EXAMPLES,
    kept: KeptCompletions | None = None,
    generations: int = 4,
    reward: Callable[[list[int]], float] = lambda ids: -float(len(ids)),
) -> tuple[CompletionTrainer, Counter, list[Sampled]]:
    """Run two steps of eight completions, by the demo's recipe with `overrides`; also return what was sampled."""
    root = Path(__file__).parents[2]
    recipe = load_recipe([str(root / "recipes/baseline.yaml"), str(root / "recipes/scales/demo.yaml"), *overrides])
    values = recipe.grpo | {
        "max_steps": 2, "per_device_train_batch_size": 4, "num_generations": generations,
        "max_completion_length": MAX_LENGTH, "beta": 0.0, "max_grad_norm": 0.0, "logging_steps": 1,
        "save_strategy": "no",
    }  # fmt: skip
    derived = {
        "output_dir": str(folder),
        "gradient_accumulation_steps": 2,
        "reward_weights": [1.0, 0.0],
        "use_cpu": True,
        "seed": 0,
        "disable_tqdm": True,
    }
    arguments = parse_arguments(GRPOConfig, values, "grpo", derived)
    sampled: list[Sampled] = []

    def prefers_short(prompts: Any, completion_ids: list[list[int]], **_: Any) -> list[float]:
        for prompt, ids in zip(prompts, completion_ids, strict=True):
            asked = tokenizer.apply_chat_template(prompt, add_generation_prompt=True)["input_ids"]
            sampled.append(Sampled(len(asked), len(ids), ids))
        return [reward(ids) for ids in completion_ids]

    counter = Counter()
    trainer = CompletionTrainer(
        model=model_that_ends_now_and_then(), args=arguments, train_dataset=prompts_with_gold(examples),
        reward_funcs=[prefers_short, _counts_completions(counter, GPT2_IDS)], processing_class=tokenizer,
    )  # fmt: skip
    trainer.count_with(counter)
    if kept is not None:
        trainer.keep_in(kept)
    trainer.add_callback(counter)
    trainer.train()
    return trainer, counter, sampled


def test_every_counter_is_what_was_sampled(tokenizers: dict[str, PreTrainedTokenizerFast], tmp_path: Path) -> None:
    _, counter, sampled = train(tokenizers["baseline"], tmp_path)
    assert len(sampled) == 16
    assert len({one.length for one in sampled}) > 2
    totals = counter.totals
    assert totals["examples"] == 16
    assert totals["generated_tokens"] == sum(one.length for one in sampled)
    assert totals["tokens"] - totals["padding_tokens"] == sum(one.prompt + one.length for one in sampled)
    assert totals["source_bytes"] == 8 * sum(len(one.question) for one in EXAMPLES)
    # Rows of a generation of eight are as long as the longest prompt and the longest completion of the eight.
    steps = [sampled[:8], sampled[8:]]
    lengths = [max(one.prompt for one in step) + max(one.length for one in step) for step in steps]
    assert totals["tokens"] == 8 * sum(lengths)
    assert totals["squared_lengths"] == 8 * sum(length**2 for length in lengths)
    assert totals["padding_tokens"] > 0


@pytest.mark.parametrize(("condition", "in_prompts"), [("baseline", 0), ("mul_tokens", 3 * 8)])
def test_facts_are_counted_in_prompts_and_in_completions(
    condition: str, in_prompts: int, tokenizers: dict[str, PreTrainedTokenizerFast], tmp_path: Path
) -> None:
    """Of the two prompts, one has two facts and one has one; each is answered four times a step."""
    examples = [Example(f"{FACT} {FACT}", "#### 54"), Example(f"{FACT} Ana has 3 bags.", "#### 3")]
    _, counter, sampled = train(tokenizers[condition], tmp_path, examples=examples)
    generated = sum(50304 <= token < 50349 for one in sampled for token in one.ids)
    assert generated > 1
    assert counter.totals["answer_facts"] == generated
    assert counter.totals["question_facts"] == in_prompts


def test_a_row_of_the_metrics_says_what_was_sampled(
    tokenizers: dict[str, PreTrainedTokenizerFast], tmp_path: Path
) -> None:
    trainer, _, sampled = train(tokenizers["baseline"], tmp_path, "grpo.temperature=1.0")
    rows = [row for row in trainer.state.log_history if "loss" in row]
    assert len(rows) == 2
    for row, step in zip(rows, (sampled[:8], sampled[8:]), strict=True):
        rewards = [-float(one.length) for one in step]
        groups = [rewards[:4], rewards[4:]]
        assert row["reward"] == row["rewards/prefers_short/mean"] == pytest.approx(statistics.mean(rewards))
        assert row["rewards/prefers_short/std"] == pytest.approx(statistics.stdev(rewards), rel=1e-4)
        assert row["frac_reward_zero_std"] == sum(len(set(group)) == 1 for group in groups) / 2
        assert row["completions/mean_length"] == pytest.approx(statistics.mean(one.length for one in step))
        assert row["completions/clipped_ratio"] == sum(one.ids[-1] != 50256 for one in step) / 8
        assert 0 < row["entropy"] < 11  # ln 50,349 is 10.8
    assert {row["completions/clipped_ratio"] for row in rows} - {0, 1}
    assert set(_NAMES) - {"rewards/facts_per_completion/mean"} <= set(rows[0])  # TRL still calls them so


@pytest.mark.parametrize("reward", [1.35, 1.65, 0.1])
def test_answers_that_earn_the_same_teach_nothing(
    reward: float, tokenizers: dict[str, PreTrainedTokenizerFast], tmp_path: Path
) -> None:
    """In 32 bits, the mean of equal rewards is not always each of them."""
    tokenizer, kept = tokenizers["baseline"], KeptCompletions(tmp_path, every=1, num_prompts=9, group_size=8)
    trainer, _, _ = train(tokenizer, tmp_path, kept=kept, generations=8, reward=lambda ids: reward)
    rows = [row for row in trainer.state.log_history if "loss" in row]
    assert [row["reward"] for row in rows] == [pytest.approx(reward)] * 2
    assert [row["frac_reward_zero_std"] for row in rows] == [1, 1]
    assert [row["grad_norm"] for row in rows] == [0, 0]
    completions = list(read_rows(tmp_path / "completions.jsonl", Completion))
    assert len(completions) == 16
    assert {row.advantage for row in completions} == {0.0}


def test_a_line_that_a_killed_process_left_unfinished_is_dropped(tmp_path: Path) -> None:
    arguments = TrainingArguments(output_dir=str(tmp_path), report_to="none", use_cpu=True)
    kept = KeptCompletions(tmp_path, 1, 1, 1)
    kept.on_train_begin(arguments, TrainerState(global_step=0), TrainerControl())
    kept.add(0, Generation(["q"], ["1"], ["first"], {"a": [1.0]}, [float("nan")]))
    file = tmp_path / "completions.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole + whole[:20])
    kept.on_train_begin(arguments, TrainerState(global_step=1), TrainerControl())
    assert json.loads(file.read_text()) == json.loads(whole)
    assert next(read_rows(file, Completion)).advantage is None


def test_completions_are_kept_with_what_they_earned(
    tokenizers: dict[str, PreTrainedTokenizerFast], tmp_path: Path
) -> None:
    tokenizer, kept = tokenizers["mul_tokens"], KeptCompletions(tmp_path, every=1, num_prompts=1, group_size=4)
    trainer, _, sampled = train(tokenizer, tmp_path, kept=kept)
    rows = list(read_rows(tmp_path / "completions.jsonl", Completion))
    assert [row.step for row in rows] == [1] * 4 + [2] * 4
    assert {row.prompt for row in rows} == {0}
    first_groups = [*sampled[:4], *sampled[8:12]]
    written = tokenizer.batch_decode([one.ids for one in first_groups], skip_special_tokens=True)
    assert [row.completion for row in rows] == written
    assert any("<MUL_" in text for text in written)  # as the model wrote it
    assert [row.rewards["prefers_short"] for row in rows] == [-one.length for one in first_groups]
    assert [row.rewards["tokens_per_completion"] for row in rows] == [one.length for one in first_groups]
    gold = {example.question: example.answer.removeprefix("#### ") for example in EXAMPLES}
    assert [row.gold for row in rows] == [gold[row.question] for row in rows]
    assert len({row.question for row in rows[:4]}) == 1
    assert sum(row.advantage for row in rows[:4]) == pytest.approx(0, abs=1e-4)
    every_second, folder = KeptCompletions(tmp_path / "2", every=2, num_prompts=9, group_size=4), tmp_path / "2"
    folder.mkdir()
    train(tokenizer, folder, kept=every_second)
    again = list(read_rows(folder / "completions.jsonl", Completion))
    assert [(row.step, row.prompt) for row in again] == [(1, 0)] * 4 + [(1, 1)] * 4  # all there are, of step 1 alone


def test_a_resumed_run_keeps_the_completions_of_an_undisturbed_one(tmp_path: Path) -> None:
    def run(kept: KeptCompletions, first: int, last: int) -> None:
        arguments = TrainingArguments(output_dir=str(tmp_path), report_to="none", use_cpu=True)
        kept.on_train_begin(arguments, TrainerState(global_step=first), TrainerControl())
        for done in range(first, last):
            generation = Generation(["q"], ["1"], [f"at {done}"], {"a": [float("nan")]}, [0.0])
            kept.add(done, generation)

    def steps() -> list[int]:
        return [row.step for row in read_rows(tmp_path / "completions.jsonl", Completion)]

    run(KeptCompletions(tmp_path, 3, 1, 1), 0, 8)
    assert steps() == [1, 4, 7]
    assert next(read_rows(tmp_path / "completions.jsonl", Completion)).rewards == {"a": None}
    for cut, resumed in ((8, 6), (8, 5), (5, 3), (4, 4)):
        run(KeptCompletions(tmp_path, 3, 1, 1), 0, cut)
        run(KeptCompletions(tmp_path, 3, 1, 1), resumed, 8)
        assert steps() == [1, 4, 7], (cut, resumed)
    run(KeptCompletions(tmp_path, 0, 1, 1), 0, 8)  # never
    assert steps() == [1, 4, 7]


def test_the_loss_that_the_recipe_names_is_the_one_that_is_minimized(
    tokenizers: dict[str, PreTrainedTokenizerFast], tmp_path: Path
) -> None:
    losses, lengths = {}, {}
    for name in ("dapo", "dr_grpo"):
        trainer, _, sampled = train(tokenizers["baseline"], tmp_path, f"grpo.loss_type={name}")
        assert trainer.args.loss_type == trainer.loss_type == name
        assert trainer_settings(trainer.args)["loss_type"] == name  # which a stage records as matched
        losses[name] = next(row["loss"] for row in trainer.state.log_history if "loss" in row)
        lengths[name] = sampled[:8]
    assert lengths["dapo"] == lengths["dr_grpo"]  # the same first completions
    assert losses["dapo"] != 0
    tokens = sum(one.length for one in lengths["dapo"])
    assert tokens < 8 * MAX_LENGTH
    # The sum over tokens is divided by their number, or by completions times the longest length that is allowed.
    assert losses["dr_grpo"] / losses["dapo"] == pytest.approx(tokens / (8 * MAX_LENGTH), rel=1e-3)


def test_a_loss_that_does_not_exist_is_refused_before_the_first_stage(root: Path) -> None:
    recipe = load_recipe([str(root / "recipes/baseline.yaml"), "grpo.loss_type=dr_gpro"])
    with pytest.raises(RecipeError, match=r"grpo.loss_type: expected one of .*, got 'dr_gpro'; did you mean"):
        check_fit(recipe, parse_trainers(recipe))
