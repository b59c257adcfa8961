"""Before a run: which declared endpoints have prompts that a condition rewrites."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
from tiny import ROOT
from transformers import PreTrainedTokenizerFast

from domain_tokens.evaluation.encodings import encode_in, encodings
from domain_tokens.evaluation.tasks import load_task
from domain_tokens.planning.questions import EndpointQuestions, Reading, endpoint_questions
from domain_tokens.recipe import Recipe, RecipeError, load_recipe
from domain_tokens.recipe.prereg import Endpoint
from domain_tokens.runs.layout import Mode
from domain_tokens.tokenization.builder import build_tokenizer
from domain_tokens.tokenization.intervention import load_intervention

CONDITIONS = ("baseline", "mul_tokens", "conditions/conflated_digits", "conditions/wrong_numbers")


def recipes(tmp_path: Path, endpoints: str) -> list[Recipe]:
    (tmp_path / "prereg.yaml").write_text(f"endpoints: [{endpoints}]\nseeds: [0]\n")
    settings = [str(ROOT / "recipes/scales/assay.yaml"), f"prereg={tmp_path}/prereg.yaml"]
    return [load_recipe([str(ROOT / f"recipes/{name}.yaml"), *settings]) for name in CONDITIONS]


def counts(found: EndpointQuestions) -> list[tuple[int, int]]:
    return [(reading.num_rewritten, reading.num_unwritable) for reading in found.readings]


@cache
def built(intervention: str) -> PreTrainedTokenizerFast:
    return build_tokenizer(load_intervention(Path(intervention)))


def recorded(task: str, condition: Recipe, group: str) -> int:
    """Return how many items the evaluation would record as rewritten."""
    tokenizer = built(condition.tokenizer)
    one = load_task(task)
    rows = [row for row in one.read_rows(condition) if row.get("group") == group]
    encode = encode_in(Mode.PLAIN, tokenizer, load_intervention(ROOT / "recipes/interventions/mul_tokens.yaml"))
    return sum(found.rewritten for found in encodings([one.texts(row) for row in rows], encode, tokenizer))


@pytest.mark.parametrize(
    ("task", "group", "expected"),
    [
        ("notations", "a*b", [(0, 0), (45, 0), (9, 7), (0, 4)]),
        ("notations", "a times b", [(0, 0), (0, 0), (9, 7), (0, 4)]),
        ("gsm8k", "one product", [(0, 0), (0, 0), (176, 84), (0, 63)]),  # of 600, as docs/INTERVENTIONS.md says
    ],
)
def test_it_counts_what_the_evaluation_will_record(
    task: str, group: str, expected: list[tuple[int, int]], tmp_path: Path
) -> None:
    conditions = recipes(tmp_path, f"{{model: grpo_final, task: {task}, group: {group}}}")
    (found,) = endpoint_questions(conditions)
    assert counts(found) == expected
    assert [recorded(task, one, group) for one in conditions] == [rewritten for rewritten, _ in expected]


def test_solutions_count_by_their_sites(tmp_path: Path) -> None:
    groups = ("with sites", "without sites")
    named = [f"{{model: sft_final, task: gold_bits, metric: bits_per_byte, group: {group}}}" for group in groups]
    with_sites, without = endpoint_questions(recipes(tmp_path, ", ".join(named)))
    assert (with_sites.num_items, without.num_items) == (660, 60)
    assert counts(with_sites)[1:] == [(0, 0), (189, 0), (0, 0)]


def test_an_endpoint_without_items_is_refused_with_the_groups_that_there_are(tmp_path: Path) -> None:
    conditions = recipes(tmp_path, "{model: grpo_final, task: gsm8k, group: two products}")
    with pytest.raises(RecipeError, match=r"prereg\.yaml: endpoints: gsm8k, group 'two products'.*one product"):
        endpoint_questions(conditions)


def test_data_on_the_hub_is_left_out_where_nothing_may_be_downloaded(tmp_path: Path) -> None:
    asked = "{model: grpo_final, task: gsm8k}, {model: grpo_final, task: notations}"
    conditions = recipes(tmp_path, asked)
    assert [found.endpoint.task for found in endpoint_questions(conditions, local=True)] == ["gsm8k", "notations"]
    for one in conditions:
        one.evaluation.data["gsm8k"].kind = "hub"
    assert [found.endpoint.task for found in endpoint_questions(conditions, local=True)] == ["notations"]


@pytest.mark.parametrize(
    ("readings", "line"),
    [
        ([(0, 0), (0, 0)], "no condition rewrites any of its 200 prompts"),
        ([(0, 0), (2, 0)], "b rewrites 2 of 200 prompts (1.0%)"),
        ([(0, 0), (0, 50)], "b cannot write 50 of 200 right answers (25.0%)"),
        (
            [(0, 0), (3, 0)],
            "warning: it would measure tokenizer and model together: b rewrites 3 of 200 prompts (1.5%)",
        ),
    ],
)
def test_an_endpoint_is_one_line_and_warns_above_one_percent(readings: Sequence[tuple[int, int]], line: str) -> None:
    endpoint = Endpoint("grpo_final", "notations", group="a*b")
    read = tuple(Reading(name, *numbers) for name, numbers in zip("ab", readings, strict=True))
    assert EndpointQuestions(endpoint, 200, read).line() == f"endpoint notations accuracy of grpo_final (a*b): {line}"
