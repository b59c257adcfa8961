"""The card of an experiment's results: verdicts as the report has them, every published model, what each file is."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from analysis.conftest import edit, write_condition
from card_runs import name_sources, plain, rows_of, section
from huggingface_hub import DatasetCard

from domain_tokens.analysis.compare import compare_all
from domain_tokens.analysis.report import findings
from domain_tokens.analysis.results_model import Results
from domain_tokens.publishing.cards import collection_card
from domain_tokens.publishing.cards.comparisons import read_results
from domain_tokens.recipe import RecipeError

MODELS = ("pretrain_final", "sft_instructions", "sft_final", "grpo_final")


def repositories(
    sides: str = "ab", seeds: tuple[int, ...] = (0, 1), models: tuple[str, ...] = MODELS
) -> dict[str, str]:
    return {
        f"exp_{side}/seed_{seed}/{model}": f"lab/{side}-{seed}-{model}"
        for side in sides
        for seed in seeds
        for model in models
    }


def test_every_published_model_has_its_link(experiment: Path) -> None:
    repos = repositories()
    del repos["exp_b/seed_1/grpo_final"]
    card = collection_card(experiment, repos, "lab/results")
    header, *rows = rows_of(section(card, "The models"))
    assert header == ["condition", "seed", *MODELS]  # in the order of training
    assert [row[:2] for row in rows] == [["`a`", "0"], ["`a`", "1"], ["`b`", "0"], ["`b`", "1"]]
    assert rows[-1][-1] == "–"
    links = re.findall(r"\[model\]\(https://huggingface.co/(\S+?)\)", card)
    assert sorted(links) == sorted(repos.values())


def test_the_verdict_and_the_report(experiment: Path) -> None:
    results = Results.model_validate_json((experiment / "results.json").read_text())
    card = plain(collection_card(experiment, repositories(), "lab/results"))
    assert card.count(findings.headline(results)) == 2  # at the top, and with its pair
    assert results.verdict.sentence in card
    assert "[report.html](https://huggingface.co/datasets/lab/results/blob/main/report.html)" in card
    frozen = json.loads((experiment / "preregistration.json").read_text())
    assert "The tests were declared and frozen at" in card
    assert str(results.preregistration.frozen and results.preregistration.frozen.time_utc) in card
    assert frozen
    assert "depart" not in section(card, "The conditions")
    assert "outputs_again/demo/exp_baseline outputs_again/demo/exp_mul_tokens" in section(card, "How to rebuild it")


def test_what_departs_or_was_never_declared_is_said_at_the_top(copied: Path, runs: Callable[..., Path]) -> None:
    edit(copied / "results.json", lambda value: value["declaration"].update(departures=["looked at earlier"]))
    card = collection_card(copied, {}, "lab/results")
    assert "The runs depart from it, as is said below, so their verdicts are exploratory." in card
    assert "- **Departs from the preregistration**: looked at earlier" in card
    edit(copied / "results.json", lambda value: value["declaration"].update(is_declared=False))
    card = collection_card(copied, {}, "lab/results")
    assert "Nothing was declared before the runs, so every comparison here is exploratory." in card


def test_several_conditions_have_an_overview_and_each_its_verdict(copied: Path) -> None:
    third = copied / "exp_c"
    write_condition(third, "wrong_numbers", 1, (0, 1), 30)
    name_sources(third)
    for path in copied.glob("*.*"):
        path.unlink()
    compare_all(copied / "exp_a", [copied / "exp_b", third], copied, plots=False)
    found = read_results(copied)
    assert [one.other for one in found] == ["mul_tokens", "wrong_numbers"]
    card = plain(collection_card(copied, repositories("abc"), "lab/results"))
    assert findings.overall(found) in card
    for results in found:
        assert f"### {results.other} against baseline" in card
        assert results.verdict.sentence in card
    assert "`*/results.json`" in section(card, "The files")


def test_each_file_that_is_there_is_explained_and_no_other(experiment: Path) -> None:
    files = section(collection_card(experiment, {}, "lab/results"), "The files")
    patterns = [plain(row[0]).strip("`") for row in rows_of(files)[1:]]
    assert len(patterns) > 8
    assert all(next(experiment.glob(pattern), None) is not None for pattern in patterns)
    named = {path for pattern in patterns for path in experiment.glob(pattern)}
    assert experiment / "results.json" in named
    assert experiment / "exp_a/seed_0/eval/grpo_final/gsm8k_items.jsonl" in named
    assert "`overview.json`" not in files


def test_an_experiment_without_a_comparison_answers_nothing(runs: Callable[..., Path]) -> None:
    card = collection_card(runs(compared=False), repositories(), "lab/results")
    assert "The conditions of this experiment were not compared, so it answers nothing yet." in card
    assert "How to rebuild it" not in card
    assert "against" not in card
    assert "report.html" not in card


def test_the_metadata_is_a_data_sets(experiment: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(collection_card(experiment, {}, "lab/results"), encoding="utf-8")
    data = DatasetCard.load(tmp_path / "README.md").data.to_dict()
    assert data == {
        "pretty_name": "domain-token-gpt2: results of demo",
        "tags": ["domain-token-gpt2", "tokenizer"],
        "viewer": False,
    }


def test_what_is_no_repository_and_no_model_is_refused(experiment: Path) -> None:
    with pytest.raises(RecipeError, match="owner/name"):
        collection_card(experiment, {}, "lab/results/more")
    with pytest.raises(ValueError, match="expected a model's folder"):
        collection_card(experiment, {"grpo_final": "lab/model"}, "lab/results")
