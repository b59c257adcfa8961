"""Before a run: the power of the deciding test, from the best case or from a named pilot."""

from pathlib import Path

import pytest
from tiny import ROOT

from domain_tokens.analysis.statistics.power import power, typed_components
from domain_tokens.analysis.statistics.smallest_effect import in_points
from domain_tokens.planning.questions import endpoint_questions
from domain_tokens.planning.sensitivity import power_line
from domain_tokens.recipe import Recipe, load_recipe

LOGIT = "smallest_effect: {scale: logit, value: 0.3}"
PLANNED, ALSO, UNPLANNED = "weak: [mul_tokens, baseline]", "less: [canon_bare, baseline]", "strict: [strict, baseline]"
GSM8K = "{model: grpo_final, task: gsm8k}"
BITS = "{model: sft_final, task: gold_bits, metric: bits_per_byte}"


def recipes(tmp_path: Path, endpoint: str = GSM8K, more: str = LOGIT) -> list[Recipe]:
    (tmp_path / "prereg.yaml").write_text(f"endpoints: [{endpoint}]\nseeds: [0]\n{more}\n")
    settings = [str(ROOT / "recipes/scales/assay.yaml"), f"prereg={tmp_path}/prereg.yaml", f"output_dir={tmp_path}"]
    names = ("baseline", "mul_tokens", "conditions/canon_bare")
    return [load_recipe([str(ROOT / f"recipes/{name}.yaml"), *settings]) for name in names]


def line(conditions: list[Recipe], num_seeds: int = 3) -> str:
    found = power_line(conditions, num_seeds, endpoint_questions(conditions, local=True))
    assert found is not None
    return found


def test_without_a_pilot_it_is_the_best_case(tmp_path: Path) -> None:
    conditions = recipes(tmp_path)
    (found,) = endpoint_questions(conditions, local=True)
    effect = in_points("logit", 0.3, 0.5)
    best = power(effect, typed_components(0.5, 0.0), 3, found.num_items)
    assert 0.05 < best < 0.8
    text = line(conditions)
    assert text.startswith(f"power: at best {best:.0%} for the smallest effect (0.3 on the logit scale, 7.4 points)")
    assert f"3 seeds and {found.num_items} items at the level 5%, under the declared 80%" in text
    assert "assumed: 50% right, independent items, runs that differ by chance alone" in text
    assert "make plan" in text
    assert "under the declared" not in line(conditions, 20)


@pytest.mark.parametrize(
    ("contrasts", "main", "level"),
    [
        ([PLANNED, UNPLANNED], "weak, strict", "5%"),
        ([PLANNED, ALSO, UNPLANNED], "weak, less, strict", "2.5%"),
        ([UNPLANNED, "other: [other, baseline]"], "strict, other", "2.5%"),  # none is planned: all of them count
    ],
)
def test_alpha_is_divided_among_the_planned_main_comparisons(
    tmp_path: Path, contrasts: list[str], main: str, level: str
) -> None:
    more = f"{LOGIT}\ncontrasts: {{{', '.join(contrasts)}}}\nmain: [{main}]"
    assert f"at the level {level}, " in line(recipes(tmp_path, more=more))


def test_the_size_of_a_test_set_on_the_hub_is_known_without_reading_it(tmp_path: Path) -> None:
    conditions = recipes(tmp_path)
    for one in conditions:
        one.evaluation.data["gsm8k"].kind = "hub"
        one.evaluation.max_samples = None
    assert "1,319 items" in line(conditions)


@pytest.mark.parametrize(
    ("endpoint", "more", "expected"),
    [
        (GSM8K, "", "power: not known, since no smallest effect is declared"),
        (BITS, LOGIT, "power: not known before a pilot for gold_bits bits_per_byte; run a pilot"),
    ],
)
def test_it_says_what_is_missing(tmp_path: Path, endpoint: str, more: str, expected: str) -> None:
    assert line(recipes(tmp_path, endpoint, more)).startswith(expected)


def test_one_seed_and_one_condition_have_no_power(tmp_path: Path) -> None:
    conditions = recipes(tmp_path)
    text = line(conditions, 1)
    assert text.startswith("power: none, since with one seed a difference that the tokenizer makes cannot be told")
    assert text.endswith("declare more seeds in a preregistration of another experiment"), "the declaration has one"
    (tmp_path / "prereg.yaml").write_text(f"endpoints: [{GSM8K}]\nseeds: [4, 5]\n{LOGIT}\n")
    assert line(conditions, 1).endswith("run --seeds 4 5")
    assert power_line(conditions[:1], 3, []) is None


def test_a_huge_shift_of_the_log_odds_ends_at_0_and_1() -> None:
    assert in_points("logit", 1000, 0.3) == 0.3
    assert in_points("logit", 1000, 0.9) == pytest.approx(0.1)
