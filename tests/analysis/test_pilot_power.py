"""The power that is printed before the first step, where the declaration names a pilot."""

from pathlib import Path

import pytest

from domain_tokens.analysis.statistics.crossed import variance_components
from domain_tokens.analysis.statistics.power import power
from domain_tokens.analysis.statistics.smallest_effect import in_points
from domain_tokens.planning.sensitivity import power_line
from domain_tokens.recipe import load_recipe

from .simulated import DECLARED, write_experiment
from .test_family import BASELINE
from .test_verdict import NOISY

DECLARATION = """\
endpoints: [{{model: grpo_final, task: gsm8k}}]
seeds: [5, 6, 7]
smallest_effect: {{scale: logit, value: 0.3}}
contrasts: {{weak: [mul_tokens, baseline]}}
main: [weak]
other_runs: {{{pilot}: {{kind: {kind}, why: variances}}}}
"""


@pytest.mark.parametrize("kind", ["pilot", "study"])
def test_a_named_pilot_gives_the_estimate(tmp_path: Path, kind: str) -> None:
    pilot = write_experiment(tmp_path, {"baseline": BASELINE, "mul_tokens": NOISY}, DECLARED)[0].folder.parent
    (tmp_path / "prereg.yaml").write_text(DECLARATION.format(pilot=pilot.name, kind=kind))
    settings = ["recipes/scales/assay.yaml", f"prereg={tmp_path}/prereg.yaml", f"output_dir={pilot.parent}"]
    recipes = [load_recipe([f"recipes/{name}.yaml", *settings]) for name in ("baseline", "mul_tokens")]
    for recipe in recipes:
        recipe.evaluation.data["gsm8k"].kind = "hub"
        recipe.evaluation.max_samples = None
    found = power_line(recipes, 3, [])
    assert found is not None
    if kind == "study":  # another question's runs are no pilot
        assert found.startswith("power: at best ")
        return
    effect = in_points("logit", 0.3, BASELINE.mean())
    expected = power(effect, variance_components(BASELINE, NOISY), 3, 1319)
    assert 0.02 < expected < 0.6
    assert found.startswith(f"power: {expected:.0%} for the smallest effect (0.3 on the logit scale, 4.4 points")
    assert f"estimated from the pilot {pilot}, 3 seeds and 400 items" in found
