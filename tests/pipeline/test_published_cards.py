"""The cards of a real experiment: its numbers, its lines of Python and its commands, cut out and run."""

import contextlib
import io
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from tiny import manifest, run_script

from domain_tokens.publishing.cards import collection_card, model_card

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]


def block_of(card: str, language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", card, re.MULTILINE | re.DOTALL)
    assert found is not None, card
    return found[1]


@pytest.mark.parametrize("condition", ["baseline", "mul_tokens"])
def test_a_card_has_the_scores_of_its_model_and_loads_it(experiment: Path, condition: str) -> None:
    run = experiment / f"exp_{condition}/seed_0"
    card = ModelCard(model_card(run, "grpo_final", "lab/tiny"))
    scores = {one.metric_name: one.metric_value for one in card.data.eval_results}
    found = json.loads((run / "eval/grpo_final/gsm8k_results.json").read_text())
    name = "accuracy on generated word problems (in place of GSM8K)"
    assert scores[name] == pytest.approx(found["metrics"]["accuracy"])
    assert len(scores) > 10
    assert "**One seed: this decides nothing.**" in card.text
    code = block_of(card.text, "python").replace('"lab/tiny"', repr(str(run / "grpo_final")), 1)
    names: dict[str, object] = {}
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(code, "card", "exec"), names)
    assert out.getvalue() == f"{names['answer']}\n"
    assert names["prompt"] == "User: What is 6 times 9?\nAssistant:"


def test_the_card_of_the_results_names_the_comparison(experiment: Path) -> None:
    card = collection_card(experiment, {"exp_baseline/seed_0/grpo_final": "lab/tiny"}, "lab/tiny-results")
    assert "One seed decides nothing" in card
    for name in ("exp_*/tokenizer/*", "plots/*", "preregistration.json", "exp_*/seed_*/eval/learning_curves.csv"):
        assert f"| `{name}` |" in card


@pytest.mark.slow
@pytest.mark.parametrize("model", ["grpo_final", "sft_final"])
def test_the_commands_of_a_card_train_the_model_again(experiment: Path, tmp_path: Path, model: str) -> None:
    run = experiment / "exp_mul_tokens/seed_0"
    card = model_card(run, model, "lab/tiny")
    rebuilt = tmp_path / "rebuilt"
    rebuilt.mkdir()
    shutil.copy(run / model / "run_config.yaml", rebuilt)
    commands = [shlex.split(line) for line in block_of(card, "bash").splitlines() if line.startswith("python ")]
    assert [command[1] for command in commands][:3] == [
        "scripts/prepare_data.py", "scripts/run_pretrain.py", "scripts/run_sft.py"
    ]  # fmt: skip
    for _, script, recipe, output, *more in commands:
        assert (recipe, output) == ("rebuilt/run_config.yaml", "output_dir=outputs_again")
        done = run_script(script, str(rebuilt / "run_config.yaml"), f"output_dir={tmp_path / 'again'}", *more)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    made = manifest(tmp_path / "again/tiny", "mul_tokens", model)["reported"]["weights_sha256"]
    assert made == manifest(experiment, "mul_tokens", model)["reported"]["weights_sha256"]
    assert f"it is `{made}`" in card
    results = json.loads((tmp_path / f"again/tiny/exp_mul_tokens/seed_0/eval/{model}/gsm8k_results.json").read_text())
    assert results["num_items"] > 0
