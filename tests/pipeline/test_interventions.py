"""Every shipped intervention trains: its recipe's corpus, and twenty steps of pretraining by the real scripts."""

import json
from pathlib import Path

import pytest
from tiny import GPT2_BASE, ROOT, run_script, tiny_arguments

from domain_tokens.tokenization import load_intervention
from domain_tokens.tokenization.facts import GPT2_IDS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

# Without budgets that another run determines (tests/test_experiment.py), and without the placebo, which is for the
# documents for which it was chosen and refuses others (tests/corpora/test_placebo.py).
CONDITIONS = [
    path.stem
    for path in sorted((ROOT / "recipes" / "conditions").glob("*.yaml"))
    if "_equal_" not in path.stem and path.stem != "placebo"
]


@pytest.mark.slow  # by default, the example and `r2l_3` train
@pytest.mark.parametrize("condition", CONDITIONS)
def test_twenty_steps(condition: str, tmp_path: Path) -> None:
    steps = ["pretrain.max_steps=20", "pretrain.eval_steps=20", "pretrain.save_steps=20"]
    arguments = tiny_arguments(tmp_path, f"conditions/{condition}", GPT2_BASE, *steps)
    prepared = run_script("scripts/prepare_data.py", *arguments)
    assert prepared.returncode == 0, prepared.stderr
    trained = run_script("scripts/run_pretrain.py", *arguments)
    assert trained.returncode == 0, trained.stderr
    folder = tmp_path / "tiny" / f"exp_{condition}"
    corpus = json.loads((folder / "corpus_0" / "manifest.json").read_text())["reported"]
    model = json.loads((folder / "seed_0" / "pretrain_final" / "manifest.json").read_text())
    (inputs,) = [json.loads((folder / "tokenizer" / "manifest.json").read_text())["inputs"]["intervention"]]
    intervention = load_intervention(ROOT / "recipes" / "interventions" / f"{inputs['name']}.yaml")
    assert model["matched"]["steps"] == 20
    assert model["matched"]["architecture"]["vocab_size"] == GPT2_IDS.total(intervention.num_ids)
    assert set(corpus["facts_by_token"]) == set(intervention.token_names())
    assert (corpus["facts"] > 0) == bool(intervention.token_names())
    statistics = json.loads((folder / "corpus_0" / "train_stats.json").read_text())
    assert statistics["facts"] == corpus["facts_by_token"]
    assert statistics["rare"] == [name for name, count in corpus["facts_by_token"].items() if count < 100]
