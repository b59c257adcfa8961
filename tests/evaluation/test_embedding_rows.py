"""Norms and probabilities of the added rows, on models where they are known."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from domain_tokens.evaluation.models.embedding_rows import probabilities, row_norms
from domain_tokens.evaluation.models.token_scores import score_tokens
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.records import FactNorm
from domain_tokens.tokenization import load_intervention
from domain_tokens.tokenization.facts import GPT2_IDS, VOCAB_SIZE

RECIPES = Path(__file__).parents[2] / "recipes" / "interventions"
MUL, NONE = (load_intervention(RECIPES / f"{name}.yaml") for name in ("mul_tokens", "none"))
MUL_6_9 = 50342


def model_of(column: torch.Tensor) -> GPT2LMHeadModel:
    """Return a model whose logits are `column` wherever it reads, and whose rows have its absolute values as norms."""
    config = GPT2Config(vocab_size=VOCAB_SIZE, n_layer=1, n_head=1, n_embd=2, n_positions=8)
    model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for weights in model.parameters():
            weights.zero_()
        model.transformer.ln_f.bias[0] = 1
        model.lm_head.weight[:, 0] = column
    return model


@pytest.fixture(scope="module")
def column() -> torch.Tensor:
    values = torch.zeros(VOCAB_SIZE)
    values[:50257:2] = 2  # ordinary rows: 25,129 of norm 2 and 25,128 of norm 0
    values[50257:50304] = -3
    values[50304:] = 1
    values[MUL_6_9] = 5
    return values


@pytest.mark.parametrize("max_shard_size", ["5GB", "1KB"])
def test_norms_by_hand(tmp_path: Path, column: torch.Tensor, max_shard_size: str) -> None:
    model_of(column).save_pretrained(tmp_path, max_shard_size=max_shard_size)
    assert (len(list(tmp_path.glob("*.safetensors"))) > 1) == (max_shard_size == "1KB")
    found = row_norms(tmp_path, MUL, GPT2_IDS)
    facts, reserved, ordinary = found.facts, found.reserved, found.ordinary
    assert (facts.rows, reserved.rows, ordinary.rows) == (45, 47, 50257)
    assert facts.mean == pytest.approx((44 + 5) / 45)
    assert facts.sd == pytest.approx(math.sqrt((44 + 25) / 45 - (49 / 45) ** 2))
    assert (facts.min, facts.max) == (1, 5)
    assert (reserved.mean, reserved.sd) == (3, 0)
    assert ordinary.mean == pytest.approx(2 * 25129 / 50257)
    assert ordinary.sd == pytest.approx(1, abs=1e-6)
    assert facts.by_id[MUL_6_9 - 50304] == FactNorm(id=MUL_6_9, token="<MUL_6_9_54>", norm=5)


def test_the_same_rows_are_measured_where_they_are_reserved(tmp_path: Path, column: torch.Tensor) -> None:
    model_of(column).save_pretrained(tmp_path)
    one, two = row_norms(tmp_path, MUL, GPT2_IDS), row_norms(tmp_path, NONE, GPT2_IDS)
    assert {row.token for row in two.facts.by_id} == {None}
    assert [row.norm for row in one.facts.by_id] == [row.norm for row in two.facts.by_id]
    assert one.model_dump(exclude={"facts": {"by_id"}}) == two.model_dump(exclude={"facts": {"by_id"}})


def test_a_folder_without_a_model(tmp_path: Path, column: torch.Tensor) -> None:
    with pytest.raises(RecipeError, match="no safetensors file with an embedding"):
        row_norms(tmp_path, MUL, GPT2_IDS)
    model_of(column).save_pretrained(tmp_path)
    with pytest.raises(RecipeError, match="50349 embedding rows, the tokenizer has 50514 ids"):
        row_norms(tmp_path, load_intervention(RECIPES / "mul_20.yaml"), GPT2_IDS)


def test_probabilities_by_hand(column: torch.Tensor) -> None:
    total = 25129 * math.exp(2) + 25128 + 47 * math.exp(-3) + 44 * math.e + math.exp(5)
    fact_mass, reserved_mass = (44 * math.e + math.exp(5)) / total, 47 * math.exp(-3) / total
    ids = [np.array([464, MUL_6_9, 13] * 5, dtype=np.uint16), np.array([50304], dtype=np.uint16)]
    found = probabilities(ids, score_tokens(model_of(column), ids), GPT2_IDS).as_json()
    at_facts = found.pop("at_facts")
    assert found == pytest.approx({"positions": 16 + 2, "fact_mass": fact_mass, "reserved_mass": reserved_mass})
    true_fact = (5 * math.exp(5) + math.e) / 6 / total
    bits = math.log2(total) - (5 * 5 + 1) / 6 / math.log(2)
    assert at_facts == pytest.approx(
        {"positions": 6, "fact_mass": fact_mass, "reserved_mass": reserved_mass, "true_fact": true_fact, "bits": bits}
    )


def test_without_facts_nothing_is_said_about_them() -> None:
    ids = [np.array([464, 13], dtype=np.uint16)]
    found = probabilities(ids, score_tokens(model_of(torch.zeros(VOCAB_SIZE)), ids), GPT2_IDS)
    assert found.fact_mass == pytest.approx(45 / VOCAB_SIZE)
    assert found.reserved_mass == pytest.approx(47 / VOCAB_SIZE)
    at_facts = found.at_facts.as_json()
    assert at_facts.pop("positions") == 0
    assert set(at_facts.values()) == {None}


def test_facts_count_where_they_come_next() -> None:
    """A model that finds a fact likely at one place alone shows at which position a probability is taken."""
    model = model_of(torch.zeros(VOCAB_SIZE))
    with torch.no_grad():
        model.transformer.ln_f.weight[:] = 1
        model.transformer.ln_f.bias[:] = 0
        model.transformer.wte.weight[MUL_6_9] = torch.tensor([-5.0, 5.0])
        model.transformer.wpe.weight[1] = torch.tensor([-1.0, 1.0])
        model.transformer.wpe.weight[2] = torch.tensor([5.0, -5.0])  # of the fact's own row nothing is left
    (scores,) = score_tokens(model, [np.array([464, MUL_6_9, 13])])
    assert scores.fact_mass.argmax() == 1
    found = probabilities([np.array([464, MUL_6_9, 13], dtype=np.uint16)], [scores], GPT2_IDS)
    assert found.at_facts.true_fact == pytest.approx(2.0 ** -float(scores.bits[1]))
    assert found.at_facts.fact_mass == pytest.approx(float(scores.fact_mass[1]))
