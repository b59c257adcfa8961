"""The card of a model says what the files say, in the report's words, and says what is missing."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from analysis.conftest import edit, write_condition
from card_runs import COMMIT, SOURCES, add_records, plain, rows_of, section
from huggingface_hub import ModelCard
from tiny import ROOT

from domain_tokens.analysis.report import findings
from domain_tokens.analysis.report.formats import Scale, number, percent
from domain_tokens.analysis.results_model import Results
from domain_tokens.analysis.statistics.paired import wilson_interval
from domain_tokens.publishing.cards import model_card
from domain_tokens.recipe import RecipeError
from domain_tokens.tokenization.intervention import load_intervention

Runs = Callable[..., Path]
REPO = "lab/demo-mul-tokens"


def card_of(experiment: Path, model: str = "grpo_final", condition: str = "b", seed: int = 0, **options: Any) -> str:
    return model_card(experiment / f"exp_{condition}" / f"seed_{seed}", model, REPO, **options)


def results_of(experiment: Path) -> Results:
    return Results.model_validate_json((experiment / "results.json").read_text())


def items_of(experiment: Path, task: str, seed: int = 0) -> list[dict[str, Any]]:
    path = experiment / f"exp_b/seed_{seed}/eval/grpo_final/{task}_items.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_scores_are_those_of_the_items(experiment: Path) -> None:
    header, *rows = rows_of(section(card_of(experiment), "Results"))
    assert header == [
        "questions", "metric", "group", "N", "seed 0", "mean of 2 seeds"
    ]  # fmt: skip
    items = items_of(experiment, "gsm8k")
    right = sum(item["correct"] for item in items)
    means = [np.mean([item["correct"] for item in items_of(experiment, "gsm8k", seed)]) for seed in (0, 1)]
    low, high = wilson_interval(right, len(items))
    (row,) = [row for row in rows if row[0] == "gsm8k"]
    assert row[:4] == ["gsm8k", "accuracy", "all", "30"]
    assert row[4] == f"{percent(right / 30)} ({100 * low:.2f} to {100 * high:.2f})"
    assert row[5].startswith(percent(float(np.mean(means))))
    sums = [item["correct"] for item in items_of(experiment, "arithmetic") if item["group"] == "sums"]
    (row,) = [row for row in rows if row[2] == "sums"]
    assert (row[0], row[3]) == ("", "10")  # the task is named in the row above
    assert row[4].startswith(f"{percent(sum(sums) / 10)} (")


def test_the_interval_of_a_score_counts_the_questions_of_a_template_as_one(runs: Runs) -> None:
    experiment = runs(compared=False, seeds=(0,))
    before = score_of(card_of(experiment))
    path = experiment / "exp_b/seed_0/eval/grpo_final/gsm8k_items.jsonl"
    items = items_of(experiment, "gsm8k")
    order = sorted(items, key=lambda item: item["correct"])
    templates = {item["id"]: f"template{index // 3}:{index}" for index, item in enumerate(order)}
    path.write_text("".join(json.dumps(item | {"cluster": templates[item["id"]]}) + "\n" for item in items))
    after = score_of(card_of(experiment))
    assert after[0] == before[0]
    assert after[2] - after[1] > 1.2 * (before[2] - before[1])


def score_of(card: str) -> tuple[float, float, float]:
    found = re.search(r"\| gsm8k \|.*?\| ([\d.]+)% \(([\d.]+) to ([\d.]+)\) \|", card)
    assert found is not None
    return tuple(map(float, found.groups()))  # type: ignore[return-value]


def test_the_metadata_survives_the_hubs_own_reader(experiment: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(card_of(experiment, base_repo="lab/base"), encoding="utf-8")
    card = ModelCard.load(tmp_path / "README.md")
    data = card.data.to_dict()
    (index,) = data["model-index"]
    assert index["name"] == "demo-mul-tokens"
    assert {"task", "dataset", "metrics"} == index["results"][0].keys()
    assert (data["base_model"], data["base_model_relation"], data["license" if "license" in data else "tags"][0]) == (
        "lab/base", "finetune", "domain-token-gpt2"
    )  # fmt: skip
    assert data["datasets"] == ["lab/web-text", "openai/gsm8k"]
    scores = {(one.dataset_type, one.metric_name): one for one in card.data.eval_results}
    right = [item["correct"] for item in items_of(experiment, "gsm8k")]
    gsm8k = scores["openai/gsm8k", "accuracy on gsm8k"]
    assert gsm8k.metric_value == pytest.approx(sum(right) / len(right), abs=1e-12)
    assert (gsm8k.dataset_config, gsm8k.dataset_split, gsm8k.dataset_revision) == ("main", "test", COMMIT)
    assert str(card) == (tmp_path / "README.md").read_text(encoding="utf-8")


def test_generated_questions_have_no_benchmarks_name(experiment: Path) -> None:
    card = ModelCard(card_of(experiment))
    generated = [one for one in card.data.eval_results if "generated" in one.dataset_name]
    assert len(generated) == 4
    assert {one.dataset_type for one in generated} == {"generated-sums"}
    assert "these are no scores on a published benchmark" in card.text
    (row,) = [row for row in rows_of(section(card.text, "Training data").split("asked:")[1]) if row[0] == "`sums`"]
    assert row == ["`sums`", "generated by this project (problems)", "generator version 4", GENERATED]


GENERATED = "made by this project's generator"  # and not the licence of what it stands in for


def test_the_verdict_is_the_reports_and_no_stronger_one(experiment: Path) -> None:
    results, card = results_of(experiment), plain(card_of(experiment))
    assert results.verdict.outcome == "undecided"
    assert results.verdict.sentence in card
    assert card.count(findings.headline(results)) == 1
    for warning in findings.warnings(results):
        assert warning.text in card
    for word in ("outperforms", "improves", "is better", "significant"):
        assert word not in card


def test_departures_are_said_and_a_long_list_is_cut(runs: Runs) -> None:
    experiment = runs(declared=False)
    card = card_of(experiment)
    assert "- **Departs from the preregistration**: nothing was declared before the runs" in card
    assert "Exploratory, not a test of H0" in card
    edit(
        experiment / "results.json",
        lambda value: value["declaration"].update(departures=[f"departure {index}" for index in range(30)]),
    )
    said = re.findall(r"Departs from the preregistration\*\*: (.*)", card_of(experiment))
    assert said == [*(f"departure {index}" for index in range(8)), "22 more, listed in the report"]


def test_what_an_assay_cannot_see_is_said(copied: Path) -> None:
    experiment = copied
    edit(experiment / "results.json", lambda value: value["verdict"].update(outcome="insensitive", sentence="So. It."))
    card = card_of(experiment)
    assert "Nothing follows about the tokenizer, since this experiment is not sensitive" in card
    assert "\nSo. It.\n" in card


def test_one_seed_is_said_in_words(runs: Runs) -> None:
    card = card_of(runs(seeds=(3,)), seed=3)
    assert "- One seed decides nothing: " in card
    assert "**One seed: this decides nothing.**" in card
    assert "the interval under seed 3 is for other questions of this kind, not for other runs" in card
    assert rows_of(section(card, "Results"))[0][-1] == "seed 3"
    assert "mean of" not in card


def test_a_run_without_a_comparison_says_so_and_claims_nothing(runs: Runs) -> None:
    experiment = runs(compared=False)
    card = card_of(experiment)
    assert "**Nothing here says what the tokenizer does**" in card
    assert "against" not in card
    assert "baseline" not in card
    assert "53.33%" in card


def test_the_other_conditions_card_has_the_same_verdict(runs: Runs) -> None:
    experiment = runs(declared=False)
    cards = [card_of(experiment, condition=side) for side in "ab"]
    headline = findings.headline(results_of(experiment))
    assert all(headline in plain(card) for card in cards)
    assert ["this model: Nothing is rewritten." in card for card in cards] == [True, False]
    assert all("only the tokenizer differs, by all that the comparison checks" in card for card in cards)
    assert all("equal examples in sft/drills" in card for card in cards)


def test_a_comparison_of_other_weights_or_seeds_is_left_out(copied: Path) -> None:
    experiment = copied
    shutil.copytree(experiment / "exp_b/seed_1", experiment / "exp_b/seed_7")
    for path in experiment.glob("exp_b/seed_7/*_final/manifest.json"):
        edit(path, lambda value: value.update(seed=7))
    for path in experiment.glob("exp_b/seed_7/eval/*/*_results.json"):
        edit(path, lambda value: value.update(seed=7))
    card = card_of(experiment, seed=7)
    assert "Comparisons of this condition with others are left out (1)" in card
    assert "against" not in card
    path = experiment / "exp_b/seed_0/sft_final/manifest.json"
    edit(path, lambda value: value["reported"].update(weights_sha256="f" * 64))
    assert "against" not in card_of(experiment)  # what it was fine-tuned from was trained again
    retrained = card_of(experiment, "sft_final")
    assert "Evaluations of weights that were trained again since are left out (3)." in retrained
    assert "This model was not evaluated" in retrained
    assert "model-index" not in retrained


def test_another_models_verdict_is_called_so(experiment: Path) -> None:
    assert "This is a verdict about" not in card_of(experiment)
    card = card_of(experiment, "sft_final")
    assert "This is a verdict about `grpo_final`, another model of these runs." in card
    assert [row[0] for row in rows_of(section(card, "What training consumed"))] == [
        "stage", "pretrain", "sft/drills", "sft/gsm8k"
    ]  # fmt: skip


def test_the_ledger_is_the_manifests(experiment: Path) -> None:
    manifest = json.loads((experiment / "exp_b/seed_0/sft_final/manifest.json").read_text())
    rows = {row[0]: row[1:] for row in rows_of(section(card_of(experiment), "What training consumed"))}
    assert list(rows) == ["stage", "pretrain", "sft/drills", "sft/gsm8k", "grpo"]
    for entry in manifest["ledger"]:
        keys = ("steps", "examples", "tokens", "padding_tokens", "generated_tokens", "source_bytes", "flops")
        assert rows[entry["stage"]][:7] == [number(entry[key]) for key in keys]
    assert rows["pretrain"][6] == "123.457 T"
    settings = {row[0]: row[1:] for row in rows_of(section(card_of(experiment), "Recipe"))}
    assert settings["pretrain"] == ["adamw_torch_fused", "0.001", "cosine", "32,768 tokens", "no"]
    assert settings["grpo"][3] == "32 completions"


def test_data_has_licences_and_versions_or_says_that_they_are_missing(copied: Path) -> None:
    card = card_of(copied)
    rows = {(row[0], row[1]): row[2:] for row in rows_of(section(card, "Training data"))}
    link = "[openai/gsm8k](https://huggingface.co/datasets/openai/gsm8k), split train"
    assert rows["`problems`", "sft/gsm8k, grpo"] == [link, f"commit {COMMIT}", "MIT"]
    assert rows["`web`", "pretrain"][1:] == [f"commit {COMMIT}", "ODC-By"]
    assert rows["`own`", "sft/gsm8k"] == [
        "local data, 1 file",
        "own.jsonl sha256 abababababab",
        "licence not recorded",
    ]
    assert rows["`made`", "sft/drills"] == ["generated by this project (drills)", "generator version 4", GENERATED]
    assert "somebody" not in card  # the folder of a person's machine
    for path in [*copied.glob("exp_b/seed_0/*_final/manifest.json"), copied / "documents_0/manifest.json"]:
        edit(path, lambda value: value.pop("hub_commits", None))
    card = card_of(copied)
    assert len(re.findall("revision not recorded", section(card, "Training data"))) == 2
    assert COMMIT not in section(card, "Training data").split("asked:")[0]


def test_what_was_held_out_is_said(copied: Path) -> None:
    experiment = copied
    found = {"questions": {"the test set": 1319}, "questions_sha256": "0" * 64}
    for model, more in (("sft_final", {"texts": {"problems": 5}, "whole": 3}), ("grpo_final", {})):
        path = experiment / f"exp_b/seed_0/{model}/manifest.json"
        edit(path, lambda value, more=more: value.update(contamination=found | more))
    data = section(card_of(experiment), "Training data")
    assert "compared with the questions of the test set (1,319 questions): 5 texts held one; 3 of them" in data
    assert "What trains in `grpo`" in data
    assert "no text was found to hold one" in data


def test_recorded_troubles_are_caveats(copied: Path) -> None:
    experiment = copied
    card = card_of(experiment)
    assert "The code differed" not in card
    ends = {"num_prompts": 64, "prompts_sha256": "0", "max_new_tokens": 48, "before": 60, "after": 7}
    change = {"time_utc": "2026-01-01", "differences": ["lr: 1 recorded, 2 now"]}
    path = experiment / "exp_b/seed_0/grpo_final/manifest.json"
    edit(path, lambda value: value.update(answer_ends=ends, changes=[change]))
    edit(path, lambda value: value["environment"].update(git_dirty=True))
    card = card_of(experiment)
    assert "The code differed from the recorded commit." in card
    assert "While `grpo` was unfinished, this was changed: lr: 1 recorded, 2 now." in card
    assert "60 end within 48 tokens before this stage, and 7 after it: fewer than before" in card


def test_a_run_that_began_as_another_condition_says_so(copied: Path) -> None:
    experiment = copied
    third = experiment / "exp_c"
    write_condition(third, "c", 1, (0,), 30)
    add_records(third, "c", load_intervention(ROOT / "recipes/interventions/mul_tokens.yaml").as_json(), SOURCES)
    shutil.rmtree(third / "seed_0/pretrain_final")
    weights = json.loads((experiment / "exp_a/seed_0/pretrain_final/manifest.json").read_text())["reported"]
    start = {"condition": "baseline", "folder": "exp_a/seed_0/pretrain_final", "tokenizer_sha256": "0"}
    start |= {"weights_sha256": weights["weights_sha256"]}
    edit(third / "seed_0/sft_final/manifest.json", lambda value: value["inputs"].update(start_from=start))
    card = card_of(experiment, condition="c")
    assert "Training begins with `pretrain_final` of condition `baseline`" in card
    assert rows_of(section(card, "What training consumed"))[1][0] == "pretrain"
    rebuild = section(card, "How to rebuild it")
    assert "Rebuild `pretrain_final` of condition `baseline`, seed 0, into the same folder first" in rebuild
    assert "run_sft.py" in rebuild
    assert "run_pretrain.py" not in rebuild


VERSIONS = r"\d+(?:\.\d+){2,}\S*|\d{4}-\d\d-\d\dT\S+"  # of software, and times
NUMBER = r"(?<![\w.])(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?![\w.]*\w)"


def test_every_number_of_a_card_is_in_the_files(experiment: Path) -> None:
    card = ModelCard(card_of(experiment))
    body = re.sub(rf"```.*?```|`[^`]*`|\(http[^)]*\)|{VERSIONS}", " ", card.text, flags=re.DOTALL)
    found = set(re.findall(NUMBER, plain(body)))
    assert len(found) > 50
    assert {"53.33", "45.00", "1.966", "50,349"} <= found
    known = {form for value in set(numbers_of(experiment)) for form in forms(value)}
    for task, key in (("gsm8k", "correct"), ("arithmetic", "correct"), ("hellaswag", "correct_norm")):
        known |= set(intervals(items_of(experiment, task), key))
    wording = {"2", "95", "1"}  # GPT-2, 95% intervals, more than 1% of the prompts
    assert found - known - wording == set()
    assert forms(0.123456) == {"0.123456", "12.35", "0.1235"}
    assert not {"12.34", "0.1234"} & forms(0.123456)


def numbers_of(experiment: Path) -> Iterator[float]:
    """Yield every number in the files of a run and of its comparison, those in their sentences too."""
    files = [experiment / "results.json", *(experiment / "exp_b").glob("seed_*/*_final/manifest.json")]
    files += [*(experiment / "exp_b").glob("seed_*/eval/grpo_final/*_results.json")]
    for file in files:
        yield from numbers_in(json.loads(file.read_text()))


def numbers_in(value: object) -> Iterator[float]:
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from numbers_in(one)
    elif isinstance(value, str):
        found = re.findall(r"\d+(?:\.\d+)*", value) if " " in value or re.match(r"[\d.T:+-]+$", value) else ()
        yield from (float(one) for one in found if one.count(".") < 2)
    elif isinstance(value, int | float):
        yield abs(float(value))


def forms(value: float) -> set[str]:
    """Return how a card may write a number."""
    found = {f"{value:g}", str(value), f"{100 * value:.2f}", f"{value:.4f}", number(value).split(" ")[0]}
    found |= {f"{value:.2f}", f"{value:.3f}"} if value >= 1 else set()
    found |= {str(round(value)), f"{round(value):,}"}
    return found if value >= 1 else {f"{value:g}", f"{100 * value:.2f}", f"{value:.4f}"}


def intervals(items: list[dict[str, Any]], key: str) -> Iterator[str]:
    """Yield the ends of the intervals of a task's groups, and the groups' sizes."""
    for group in {None, *(item.get("group") for item in items)}:
        right = [item[key] for item in items if group in (None, item.get("group"))]
        for end in wilson_interval(sum(right), len(right)):
            yield f"{100 * end:.2f}"
        yield str(len(right))
        yield f"{100 * np.mean(right):.2f}"


@pytest.mark.parametrize(
    ("model", "repo", "expected"),
    [
        ("grpo_finl", REPO, "expected a model of a finished stage"),
        ("grpo_final", "no name", "expected a repository's name on the Hub"),
        ("grpo_final", "a/b/c", "expected a repository's name on the Hub"),
    ],
)
def test_what_is_no_model_or_no_repository_is_refused(experiment: Path, model: str, repo: str, expected: str) -> None:
    with pytest.raises(RecipeError, match=expected):
        model_card(experiment / "exp_b/seed_0", model, repo)


@pytest.mark.parametrize("name", ["results.json", "exp_b/seed_0/grpo_final/tokenizer_config.json"])
def test_a_damaged_file_is_named(copied: Path, name: str) -> None:
    (copied / name).write_text("{}")
    with pytest.raises(RecipeError, match=re.escape(name.rpartition("/")[2])):
        card_of(copied)


def test_values_that_are_no_accuracies_have_their_unit(runs: Runs) -> None:
    experiment = runs(compared=False, seeds=(0,))
    folder = experiment / "exp_b/seed_0/eval/grpo_final"
    values = [0.5 + 0.01 * index for index in range(30)]
    items = [
        item | {"gold": "1", "bits_per_byte": value, "model_bits_per_byte": value / 2}
        for item, value in zip(items_of(experiment, "gsm8k"), values, strict=True)
    ]
    (folder / "gold_bits_items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    result = json.loads((folder / "gsm8k_results.json").read_text())
    names = {key: key for key in ("bits_per_byte", "model_bits_per_byte")}
    result |= {"task": "gold_bits", "outcomes": names, "units": dict.fromkeys(names, "bits per byte")}
    result |= {"lower_is_better": list(names), "metrics": {}}
    (folder / "gold_bits_results.json").write_text(json.dumps(result))
    card = card_of(experiment)
    rows = [row for row in rows_of(section(card, "Results")) if "bits" in row[1]]
    assert [row[1] for row in rows] == ["bits per byte, lower is better", "model bits per byte, lower is better"]
    scale = Scale("bits per byte")
    assert [row[4].split(" ")[0] for row in rows] == [scale.value(np.mean(values)), scale.value(np.mean(values) / 2)]


def test_a_folder_that_a_link_leads_to_is_the_same_run(experiment: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(experiment / "exp_b")
    assert model_card(tmp_path / "linked/seed_0", "grpo_final", REPO) == card_of(experiment)


def test_a_stage_whose_folder_was_removed_is_known_from_the_ledger(experiment: Path) -> None:
    assert not (experiment / "exp_b/seed_0/sft_drills").exists()
    rows = rows_of(section(card_of(experiment), "Recipe"))
    assert [row[0] for row in rows[1:]] == ["pretrain", "sft/drills", "sft/gsm8k", "grpo"]


def test_scores_of_prompts_that_the_tokenizer_rewrites_are_marked(runs: Runs) -> None:
    experiment = runs(compared=False, seeds=(0,))
    path = experiment / "exp_b/seed_0/eval/grpo_final/arithmetic_items.jsonl"
    items = [item | {"rewritten": item["group"] == "sums"} for item in items_of(experiment, "arithmetic")]
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    card = card_of(experiment)
    groups = [row[2] for row in rows_of(section(card, "Results"))[1:]]
    assert [group for group in groups if group.endswith(" †")] == ["all †", "sums †"]
    assert "† Tokenizer and model together" in card


def test_questions_of_a_local_file_have_no_data_sets_id(copied: Path) -> None:
    path = copied / "exp_b/seed_0/grpo_final/run_config.yaml"
    recipe = yaml.safe_load(path.read_text())
    recipe["evaluation"]["data"]["gsm8k"] |= {"kind": "file", "path": "/home/somebody/gsm8k.jsonl"}
    path.write_text(yaml.safe_dump(recipe))
    card = ModelCard(card_of(copied))
    (score,) = [one for one in card.data.eval_results if one.metric_name == "accuracy on gsm8k"]
    assert (score.dataset_type, score.dataset_name) == ("gsm8k-test", "gsm8k-test")
    assert (score.dataset_config, score.dataset_revision) == (None, None)
    assert "somebody" not in str(card)


def test_missing_records_of_earlier_stages_are_said(copied: Path) -> None:
    assert "are missing, so the card does not have it" not in card_of(copied)
    shutil.rmtree(copied / "exp_b/seed_0/pretrain_final")
    card = card_of(copied)
    assert "The records of what came before `sft/drills` are missing, so the card does not have it." in card
    assert [row[0] for row in rows_of(section(card, "Recipe"))[1:]] == ["sft/drills", "sft/gsm8k", "grpo"]
