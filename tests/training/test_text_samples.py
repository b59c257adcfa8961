"""What is looked at of a running pretraining: what is drawn, from what, and that it changes nothing of the run."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from real_stages import run_here, small_recipe
from safetensors.torch import load_file
from tiny import CONDITIONS
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast, TrainerControl, TrainerState

from domain_tokens.publishing.allowed import is_of_stage
from domain_tokens.recipe import RecipeError
from domain_tokens.recipe.sections.monitoring import Monitoring
from domain_tokens.runs.layout import MANIFEST, METRICS, SAMPLES
from domain_tokens.runs.records import Manifest, SampledText, read_record, read_rows, write_rows
from domain_tokens.training.callbacks.samples import TextSamples, beginnings, continuations
from domain_tokens.training.forward.full_sequences import for_full_sequences

WATCHED = "monitoring={samples: 2, max_new_tokens: 12, prompt_tokens: 5, validation_tokens: 64}"
FEW = (
    "pretrain.max_steps=8", "pretrain.warmup_steps=1", "pretrain.eval_steps=3", "model.resid_pdrop=0.1",
    "pretrain.save_strategy=steps", "pretrain.save_steps=4", "model.n_positions=64", "sft.max_length=64",
)  # fmt: skip


def model(seed: int = 0) -> GPT2LMHeadModel:
    torch.manual_seed(seed)
    ends = dict.fromkeys(("bos_token_id", "eos_token_id"), 0)
    sizes = {"n_layer": 2, "n_head": 2, "n_embd": 16, "n_positions": 24, "vocab_size": 40, "initializer_range": 0.3}
    return GPT2LMHeadModel(GPT2Config(**sizes, **ends))


def test_what_is_drawn_is_what_a_loop_over_each_prompt_alone_draws() -> None:
    prompts, native, fast = [[0, 3, 5, 7], [0], [0, 9]], model().eval(), model().train()
    for_full_sequences(fast)
    found = continuations(fast, prompts, 8, 0.7, torch.Generator().manual_seed(5))
    generator, expected = torch.Generator().manual_seed(5), [list(prompt) for prompt in prompts]
    for _ in range(8):
        logits = torch.stack([native(torch.tensor([ids])).logits[0, -1] for ids in expected])
        drawn = torch.multinomial((logits / 0.7).softmax(dim=-1), 1, generator=generator)
        for ids, (new,) in zip(expected, drawn.tolist(), strict=True):
            ids.append(new)
    assert found == [ids[-8:] for ids in expected]
    assert len({tuple(ids) for ids in found}) == 3
    assert fast.training


@pytest.fixture
def corpora(trained: Path, tmp_path: Path) -> Path:
    """Both conditions with nothing but their tokenizers and corpora."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("seed_*"))
    return tmp_path


def pretrained(folder: Path, condition: str, *overrides: str) -> Path:
    recipe = small_recipe(folder, condition, *FEW, *overrides)
    run_here("pretrain", recipe)
    return recipe.run_dir / "pretrain_final"


def what_was_trained(final: Path) -> tuple[list[tuple[int, float, float]], dict[str, torch.Tensor], Manifest]:
    rows = [json.loads(line) for line in (final / METRICS).read_text().splitlines()]
    losses = [(row["step"], row["loss"], row["grad_norm"]) for row in rows if "loss" in row]
    return losses, load_file(final / "model.safetensors"), read_record(final / MANIFEST, Manifest)


def test_a_run_that_is_looked_at_ends_as_one_that_is_not(corpora: Path) -> None:
    plain = pretrained(corpora, "mul_tokens")
    losses, weights, usual = what_was_trained(plain)
    assert not (plain / SAMPLES).exists()
    shutil.rmtree(plain.parent)
    finals = {condition: pretrained(corpora, condition, WATCHED) for condition in CONDITIONS}
    others, same, manifest = what_was_trained(finals["mul_tokens"])
    assert len(losses) == 8
    assert losses == others
    assert all(torch.equal(weights[name], same[name]) for name in weights)
    assert manifest.matched == usual.matched
    assert manifest.inputs == usual.inputs
    assert manifest.reported["validation_tokens"] == 64 < usual.reported["validation_tokens"]
    assert manifest.reported["validation_loss"] != usual.reported["validation_loss"]
    assert SAMPLES in manifest.files
    assert all(map(is_of_stage, manifest.files))  # so it can be published
    first, second = (list(read_rows(final / SAMPLES, SampledText)) for final in finals.values())
    assert [row.step for row in first] == [3, 3, 6, 6, 8, 8]  # the last evaluation is after training
    assert len({row.document for row in first}) == 2
    assert len({row.text for row in first}) == 6
    assert [(row.step, row.document, row.prompt) for row in first] == [
        (row.step, row.document, row.prompt) for row in second
    ]


def test_a_resumed_run_draws_what_an_undisturbed_one_draws(
    tokenizers: dict[str, PreTrainedTokenizerFast], tmp_path: Path
) -> None:
    tokenizer, fast = tokenizers["mul_tokens"], model()
    fast.resize_token_embeddings(len(tokenizer))
    (tmp_path / "0.jsonl").write_text(
        "".join(json.dumps({"id": f"{n}", "text": f"{n} and 6*9=54"}) + "\n" for n in "abc")
    )
    settings = Monitoring(samples=2, max_new_tokens=3, prompt_tokens=4)
    texts = beginnings(tmp_path, settings, tokenizer, 24)
    assert [one.text for one in texts] == ["a and 6*", "b and 6*"]

    def step(number: int, resumed: bool = False) -> None:
        callback = TextSamples(tmp_path, settings, texts, tokenizer)
        state = TrainerState(global_step=number if resumed else 0)
        callback.on_train_begin(None, state, TrainerControl(), model=fast)
        state.global_step = number + 1
        callback.on_evaluate(None, state, TrainerControl(), model=fast)

    def rows() -> list[SampledText]:
        return list(read_rows(tmp_path / SAMPLES, SampledText))

    step(0)
    step(1, resumed=True)
    undisturbed = rows()
    assert [row.step for row in undisturbed] == [1, 1, 2, 2]
    assert undisturbed[0].text != undisturbed[2].text
    write_rows(tmp_path / SAMPLES, [*undisturbed, undisturbed[0].model_copy(update={"step": 9})])
    step(1, resumed=True)
    assert rows() == undisturbed
    step(0)  # from the beginning
    assert rows() == undisturbed[:2]


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_beginning_that_leaves_no_room_is_refused(
    condition: str, tokenizers: dict[str, PreTrainedTokenizerFast], tmp_path: Path
) -> None:
    (tmp_path / "0.jsonl").write_text(json.dumps({"id": "a", "text": "one two three four"}))
    settings = Monitoring(samples=1, max_new_tokens=20, prompt_tokens=3)
    (found,) = beginnings(tmp_path, settings, tokenizers[condition], 24)
    assert (found.text, len(found.ids)) == ("one two three", 4)
    with pytest.raises(RecipeError, match=r"'one two three' takes 4 of 23 tokens .* and leaves 19; expected room for"):
        beginnings(tmp_path, settings, tokenizers[condition], 23)
    with pytest.raises(RecipeError, match=r"monitoring.samples: each continues another document, and .* has 1;"):
        beginnings(tmp_path, Monitoring(samples=2), tokenizers[condition], 100)


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("monitoring.validation_tokens=100", "monitoring.validation_tokens: expected at least one sequence of .*128"),
        ("monitoring.samples=-1", "monitoring.samples: expected a whole number of at least 0"),
        ("monitoring.samples=5000", "monitoring.samples: expected a whole number of at most 1,024"),
        ("monitoring.temperature=0", "monitoring.temperature: expected a number of at least 0.01"),
        ("monitoring.max_new_tokens=0", "monitoring.max_new_tokens: expected a whole number of at least 1"),
        ("monitoring={samples: 1, prompt_tokens: 80}", "monitoring.prompt_tokens: expected at most 79 beside"),
    ],
)
def test_a_wrong_section_is_refused(override: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=complaint):
        small_recipe(tmp_path, "baseline", override)


def test_a_schedule_that_follows_the_loss_reads_all_of_the_text(tmp_path: Path) -> None:
    schedule = ("pretrain.lr_scheduler_type=reduce_lr_on_plateau", "pretrain.lr_scheduler_kwargs={}")
    small_recipe(tmp_path, "baseline", *schedule)
    with pytest.raises(RecipeError, match=r"monitoring.validation_tokens: .*plateau follows the loss"):
        small_recipe(tmp_path, "baseline", *schedule, "monitoring.validation_tokens=1000")
