"""The lines of a card that load a model are cut out of it and run, on a folder."""

import contextlib
import io
import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from analysis.conftest import edit
from card_runs import section
from huggingface_hub import ModelCard
from peft import LoraConfig, get_peft_model
from tiny import ROOT
from transformers import GPT2Config, GPT2LMHeadModel

from domain_tokens.publishing.cards import model_card
from domain_tokens.publishing.cards.loading import expansions
from domain_tokens.tokenization.contract import load_tokenizer
from domain_tokens.tokenization.intervention import load_intervention
from domain_tokens.tokenization.prompts import render_prompt
from domain_tokens.tokenization.rewriter import expand

INTERVENTIONS = sorted((ROOT / "recipes/interventions").glob("*.yaml"))
CHECKPOINT = "checkpoints/sft_gsm8k/checkpoint-7"


@pytest.fixture
def trained(copied: Path, tokenizer_dirs: dict[str, Path]) -> Path:
    """Runs whose models are real: the conditions' tokenizers and a tiny GPT-2 of random weights."""
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=50349, n_layer=1, n_head=2, n_embd=16, n_positions=128, bos_token_id=50256, eos_token_id=50256
    )
    model = GPT2LMHeadModel(config)
    for side, condition in (("a", "baseline"), ("b", "mul_tokens")):
        for name in ("pretrain_final", "sft_final", "grpo_final"):
            folder = copied / f"exp_{side}/seed_0/{name}"
            model.save_pretrained(folder)
            shutil.copytree(tokenizer_dirs[condition], folder, dirs_exist_ok=True)
    return copied


def snippet_of(card: str) -> str:
    found = re.search(r"^```python\n(.*?)^```$", section(card, "How to load it"), re.MULTILINE | re.DOTALL)
    assert found is not None, card
    return found[1]


def run(code: str, **replaced: Path) -> tuple[str, dict[str, object]]:
    """Run a card's lines with other values of some of its names; return what they print, and their names."""
    for name, path in replaced.items():
        code, number = re.subn(rf'^{name} = "[^"]*"', f"{name} = {json.dumps(str(path))}", code, flags=re.MULTILINE)
        assert number == 1, code
    names: dict[str, object] = {}
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(code, "card", "exec"), names)
    return out.getvalue(), names


@pytest.mark.parametrize("side", ["a", "b"])
def test_the_lines_of_a_card_load_the_model_and_ask_it(trained: Path, side: str) -> None:
    folder = trained / f"exp_{side}/seed_0/grpo_final"
    code = snippet_of(model_card(folder.parent, "grpo_final", "lab/demo"))
    assert 'repository = "lab/demo"' in code
    printed, names = run(code, repository=folder)
    model, tokenizer = GPT2LMHeadModel.from_pretrained(folder), load_tokenizer(folder)
    assert names["prompt"] == render_prompt("What is 6 times 9?")
    ids = torch.tensor([tokenizer.encode(render_prompt("What is 6 times 9?"))])
    assert torch.equal(names["inputs"]["input_ids"], ids)  # type: ignore[index]
    written = model.generate(ids, max_new_tokens=24, do_sample=False, pad_token_id=50256)[0, ids.shape[1] :]
    intervention = load_intervention(ROOT / f"recipes/interventions/{'none' if side == 'a' else 'mul_tokens'}.yaml")
    assert printed == expand(tokenizer.decode(written, skip_special_tokens=True), intervention) + "\n"
    assert ("facts = {f" in code) == (side == "b")  # a rule, and no list of 45


def test_an_answer_with_tokens_is_printed_in_digits(trained: Path) -> None:
    folder = trained / "exp_b/seed_0/grpo_final"
    model = GPT2LMHeadModel.from_pretrained(folder)
    with torch.no_grad():  # every answer is the token of 6 * 9
        model.transformer.wte.weight.zero_()
        model.transformer.wte.weight[load_tokenizer(folder).convert_tokens_to_ids("<MUL_6_9_54>")] = 1
        model.transformer.ln_f.weight.zero_()
        model.transformer.ln_f.bias.fill_(1)
    model.save_pretrained(folder)
    code = snippet_of(model_card(folder.parent, "grpo_final", "lab/demo"))
    assert run(code, repository=folder)[0] == "6*9=54" * 24 + "\n"


@pytest.mark.parametrize("file", INTERVENTIONS, ids=lambda file: file.stem)
def test_the_lines_write_out_every_token_of_any_intervention(copied: Path, file: Path) -> None:
    intervention = load_intervention(file)
    model = copied / "exp_b/seed_0/grpo_final"
    edit(model / "tokenizer_config.json", lambda value: value.update(intervention=intervention.as_json()))
    code = snippet_of(model_card(model.parent, "grpo_final", "lab/demo"))
    texts = expansions(intervention)
    if not texts:
        assert code.endswith("skip_special_tokens=True)\nprint(answer)\n")
        return
    names = {"answer": " and ".join(intervention.token_names())}
    exec(code[code.index("# Every token") :].replace("print(answer)", ""), names)
    said = {entry.token: entry.text for entry in intervention.entries()}
    assert names["answer"] == " and ".join(said[name] for name in intervention.token_names())
    assert "<" not in str(names["answer"])


def test_adapters_alone_are_loaded_onto_their_base(trained: Path) -> None:
    run_dir = trained / "exp_b/seed_0"
    base, folder = run_dir / "pretrain_final", run_dir / CHECKPOINT
    shutil.copytree(base, folder, ignore=shutil.ignore_patterns("*.safetensors", "config.json", "manifest.json"))
    model = GPT2LMHeadModel.from_pretrained(base)
    settings = LoraConfig(
        r=2, lora_alpha=4, target_modules=["c_attn"], fan_in_fan_out=True, trainable_token_indices={"wte": [50304]}
    )
    adapted = get_peft_model(model, settings)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(1))
    adapted.save_pretrained(folder)
    edit(run_dir / "sft_final/manifest.json", adapters_in_the_ledger)
    card = model_card(run_dir, CHECKPOINT, "lab/demo", base_repo="lab/base")
    assert "library_name: peft" in card
    data = ModelCard(card).data
    assert (data.base_model, data.get("base_model_relation")) == ("lab/base", "adapter")
    assert "This repository holds the adapters alone." in card
    assert "`exp_b/seed_0/pretrain_final`" in card
    assert "as it was after step 7 of 60 of its last stage" in card
    code = snippet_of(card)
    assert code.count('revision="step-7"') == 2
    _, names = run(code, repository=folder, base=base)
    loaded = names["model"].state_dict()  # type: ignore[attr-defined]
    expected = adapted.merge_and_unload().state_dict()
    key = "transformer.h.0.attn.c_attn.weight"
    assert torch.equal(loaded[key], expected[key])
    assert not torch.equal(loaded[key], GPT2LMHeadModel.from_pretrained(base).state_dict()[key])


def adapters_in_the_ledger(manifest: dict) -> None:
    manifest["inputs"]["lora"] = {"rank": 2, "alpha": 4, "dropout": 0.0, "targets": ["c_attn"]}
    manifest["ledger"][-1]["trained_parameters"] = 1234


def test_merged_adapters_load_like_any_model(copied: Path) -> None:
    edit(copied / "exp_b/seed_0/sft_final/manifest.json", adapters_in_the_ledger)
    card = model_card(copied / "exp_b/seed_0", "sft_final", "lab/demo")
    assert "In `sft/gsm8k` low-rank adapters (LoRA, rank 2, alpha 4) were trained: 1,234 parameters" in card
    assert "They are merged into the weights, so the model loads like any other, without `peft`." in card
    assert "library_name: transformers" in card
    assert "- lora" in card
    assert "peft" not in snippet_of(card)
    assert "lora" not in model_card(copied / "exp_b/seed_0", "pretrain_final", "lab/demo")


def test_a_model_that_was_only_pretrained_is_said_to_be_so(experiment: Path) -> None:
    card = model_card(experiment / "exp_b/seed_0", "pretrain_final", "lab/demo")
    assert "it completes text, and nobody has taught it this format" in card
    assert "taught it this format" not in model_card(experiment / "exp_b/seed_0", "sft_final", "lab/demo")
