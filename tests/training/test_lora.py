"""Adapters: what is trained, what merging gives, what checkpoints hold, and what the ledger says of frozen weights."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from real_stages import run_here, small_recipe
from safetensors.torch import load_file
from tiny import CONDITIONS
from torch.utils.flop_counter import FlopCounterMode
from transformers import GPT2Config, GPT2LMHeadModel

from domain_tokens.recipe import RecipeError
from domain_tokens.recipe.sections.lora import Lora
from domain_tokens.runs.layout import COMPLETIONS, MANIFEST, PASS_RATES
from domain_tokens.runs.ledger import SETTINGS_MAY_DIFFER, as_fields, differences, settings_that_differ, unexplained
from domain_tokens.runs.records import Completion, Manifest, PassRates, read_record, read_rows
from domain_tokens.tokenization.facts import IdRanges
from domain_tokens.training.model import flops_per_token, num_parameters, prepare_to_train
from domain_tokens.training.post_training.adapters import adapted, lora_config, merged
from domain_tokens.training.sft import FineTuning

IDS = IdRanges(1150)  # 1,152 is the next multiple of 64
SHAPE = {"n_layer": 2, "n_head": 2, "n_embd": 64, "n_positions": 32, "vocab_size": IDS.total(45)}
TOKENS = torch.randint(0, IDS.num_base, (2, 32), generator=torch.Generator().manual_seed(0))
LORA = ("lora={rank: 4, alpha: 8}", "sft.save_strategy=steps", "sft.save_steps=8", "sft.learning_rate=1e-2")


def fresh_model() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    ends = dict.fromkeys(("bos_token_id", "eos_token_id"), IDS.end_of_text)
    model = GPT2LMHeadModel(GPT2Config(**SHAPE, **ends, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0))
    prepare_to_train(model)
    return model


def with_adapters(train_fact_rows: bool = True) -> PeftModel:
    config = lora_config(Lora(rank=4, alpha=8, train_fact_rows=train_fact_rows), IDS, SHAPE["vocab_size"])
    return PeftModel(fresh_model(), config)


def move(model: PeftModel) -> None:
    """Change all that is trained."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))


@pytest.mark.parametrize("train_fact_rows", [True, False])
def test_merged_weights_give_the_logits_of_the_adapters(train_fact_rows: bool) -> None:
    untrained, model = fresh_model()(TOKENS).logits, with_adapters(train_fact_rows)
    torch.testing.assert_close(model(TOKENS).logits, untrained)  # new adapters change nothing
    move(model)
    logits = model(TOKENS).logits
    assert (logits - untrained).abs().max() > 0.1
    with model.disable_adapter():
        assert torch.equal(model(TOKENS).logits, untrained)  # the reference model of GRPO
    whole, rows = merged(model), fresh_model().transformer.wte.weight
    torch.testing.assert_close(whole(TOKENS).logits, logits, rtol=0, atol=5e-6)
    assert whole.lm_head.weight is whole.transformer.wte.weight
    moved = (whole.transformer.wte.weight != rows).any(dim=1).nonzero().flatten().tolist()
    assert moved == (list(range(1152, 1197)) if train_fact_rows else [])


@pytest.mark.parametrize("train_fact_rows", [True, False])
def test_what_is_trained_is_counted(train_fact_rows: bool) -> None:
    whole, model = fresh_model(), with_adapters(train_fact_rows)
    found = adapted(whole, lora_config(Lora(rank=4, train_fact_rows=train_fact_rows), IDS, SHAPE["vocab_size"]))
    assert found.trained == sum(one.numel() for one in model.parameters() if one.requires_grad)
    assert found.parameters == num_parameters(whole)
    assert found.in_rows == (45 * 64 if train_fact_rows else 0)


@pytest.mark.parametrize("train_fact_rows", [True, False])
def test_the_flops_of_frozen_weights_are_those_that_are_computed(train_fact_rows: bool) -> None:
    def measured(model: torch.nn.Module) -> float:
        with FlopCounterMode(display=False) as counter:
            model(TOKENS, labels=TOKENS).loss.backward()
        return float(counter.get_total_flops())

    whole = fresh_model()
    found = adapted(whole, lora_config(Lora(rank=4, train_fact_rows=train_fact_rows), IDS, SHAPE["vocab_size"]))
    # torch counts no fused attention on a CPU, and the first block needs no gradient of its input if rows are frozen.
    spared = 0 if train_fact_rows else 2 * 64 * 3 * 64
    by_formula = found.flops_per_token(whole.config, 0) - spared
    assert measured(whole) / TOKENS.numel() == pytest.approx(
        flops_per_token(whole.config, num_parameters(whole), 0), rel=0.02
    )
    assert measured(with_adapters(train_fact_rows)) / TOKENS.numel() == pytest.approx(by_formula, rel=0.02)


def tuned(output_dir: Path, condition: str, *overrides: str) -> tuple[Path, Manifest]:
    recipe = small_recipe(output_dir, condition, *LORA, *overrides)
    run_here("sft", recipe)
    return recipe.run_dir, read_record(recipe.run_dir / "sft_final" / MANIFEST, Manifest)


@pytest.fixture
def pretrained(trained: Path, tmp_path: Path) -> Path:
    """Both conditions with nothing but their pretrained models."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("sft_final", "sft_drills"))
    return tmp_path


def test_a_stage_trains_adapters_and_ends_with_a_whole_model(pretrained: Path) -> None:
    (folder, ours), (_, theirs) = (tuned(pretrained, condition) for condition in CONDITIONS)
    rows = [json.loads(line) for line in (folder / "sft_final" / "metrics.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows if "loss" in row]
    assert losses[-1] < losses[0] - 0.2
    (entry,), (other,) = ours.ledger, theirs.ledger
    # 16 wide, one layer: c_attn, two c_proj and c_fc, and 45 rows.
    assert entry.trained_parameters == 4 * ((16 + 48) + (16 + 16) + (64 + 16) + (16 + 64)) + 45 * 16
    before, after = (load_file(folder / name / "model.safetensors") for name in ("pretrain_final", "sft_final"))
    assert before.keys() == after.keys()
    changed = {name.rpartition("h.0.")[2] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {
        "transformer.wte.weight", "attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight",
    }  # fmt: skip
    moved = (before["transformer.wte.weight"] != after["transformer.wte.weight"]).any(dim=1).nonzero().flatten()
    assert moved.tolist() == list(range(1472, 1517))  # in baseline too
    checkpoint = folder / "checkpoints" / "sft_drills" / "checkpoint-8"
    assert (checkpoint / "adapter_model.safetensors").is_file()
    assert not (checkpoint / "model.safetensors").exists()
    found = differences({**ours.matched, **as_fields([entry])}, {**theirs.matched, **as_fields([other])})
    assert {one.field for one in found} <= {"initial_weights_sha256"}
    assert not list(unexplained([entry], [other], other_seeds=False))


def test_frozen_rows_are_a_declared_setting(pretrained: Path) -> None:
    _, ours = tuned(pretrained, "baseline")
    _, theirs = tuned(pretrained, "mul_tokens", "lora.train_fact_rows=false")
    (entry,), (frozen,) = ours.ledger, theirs.ledger
    assert entry.trained_parameters == (frozen.trained_parameters or 0) + 45 * 16
    assert frozen.flops < entry.flops
    assert [name for name, _ in settings_that_differ(ours.matched, theirs.matched)] == ["frozen_fact_rows"]
    left, right = ({**one.matched, **as_fields(one.ledger)} for one in (ours, theirs))
    assert {one.field for one in differences(left, right)} <= {"initial_weights_sha256"}
    assert not list(unexplained([entry], [frozen], other_seeds=False))


def test_what_follows_from_frozen_rows_is_named_where_the_setting_is_explained(pretrained: Path) -> None:
    other = shutil.copytree(pretrained, pretrained / "other")
    (entry,) = tuned(pretrained, "mul_tokens")[1].ledger
    (frozen,) = tuned(other, "mul_tokens", "lora.train_fact_rows=false")[1].ledger
    ours, theirs = entry.as_json(), frozen.as_json()
    apart = {key for key in ours if ours[key] != theirs[key]} - {"wall_time_s"}
    assert apart == {"trained_parameters", "flops"}
    research = (Path(__file__).parents[2] / "docs" / "RESEARCH.md").read_text()
    (row,) = re.findall(r"^\| `lora\.train_fact_rows: false`.+", research, re.MULTILINE)
    assert all(f"`{key}`" in row for key in apart)
    reason = SETTINGS_MAY_DIFFER["frozen_fact_rows"].reason
    assert "trained parameters" in reason
    assert "FLOPs" in reason


def test_reinforcement_begins_where_its_reference_is(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    recipe = small_recipe(
        tmp_path, "mul_tokens", "lora={rank: 4, alpha: 8, stages: [grpo]}", "grpo.learning_rate=1e-2",
        # Answers about as long as those that brevity begins to cost: so rewards differ.
        "grpo.max_completion_length=50", "rewards.brevity=1", "grpo.max_steps=3",
        "grpo_prompts=[{name: drills, kind: synthetic, what: drills, max_items: 4}]",
        "rollouts={preflight_prompts: 2, min_pass_at_k: 0, keep_every: 1}",
    )  # fmt: skip
    assert recipe.lora_of("sft_drills") is None
    run_here("grpo", recipe)
    final = recipe.run_dir / "grpo_final"
    rows = [json.loads(line) for line in (final / "metrics.jsonl").read_text().splitlines()]
    divergences = [row["kl"] for row in rows if "kl" in row]
    assert abs(divergences[0]) < 1e-6  # new adapters, switched off for the reference
    before, after = (load_file(folder / "model.safetensors") for folder in (recipe.run_dir / "sft_final", final))
    assert not torch.equal(before["transformer.h.0.mlp.c_fc.weight"], after["transformer.h.0.mlp.c_fc.weight"])
    assert torch.equal(before["transformer.h.0.ln_1.weight"], after["transformer.h.0.ln_1.weight"])
    assert max(map(abs, divergences)) > 1e-6
    made = read_record(final / MANIFEST, Manifest)
    (entry,) = made.ledger
    assert entry.trained_parameters == 4 * ((16 + 48) + (16 + 16) + (64 + 16) + (16 + 64)) + 45 * 16
    rates = read_record(final / PASS_RATES, PassRates)
    assert rates.measured["weights_sha256"] == made.inputs["weights"]["sft_final"]
    assert made.reported["preflight"]["num_prompts"] == len(rates.prompts) == 2
    assert {row.step for row in read_rows(final / COMPLETIONS, Completion)} == {1, 2, 3}
    assert made.answer_ends.num_prompts == 4


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("lora={rank: 0}", "lora.rank: expected a whole number of at least 1"),
        ("lora={targets: []}", "lora.targets"),
        ("lora={targets: [lm_head]}", "lora.targets"),
        ("lora={dropout: 1.0}", "lora.dropout: expected a number from 0 to below 1"),
        ("lora={stages: [sft, sft]}", "lora.stages"),
        ("lora={ranks: 4}", "ranks"),
    ],
)
def test_a_wrong_section_is_refused(override: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=complaint):
        small_recipe(tmp_path, "baseline", override)


def test_adapters_are_refused_where_weights_are_spread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = small_recipe(tmp_path, "baseline", "lora={rank: 4}")
    FineTuning(recipe, 0)
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    with pytest.raises(RecipeError, match="lora: not supported under DeepSpeed"):
        FineTuning(recipe, 0)
