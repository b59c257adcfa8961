"""Whether two conditions are compute-matched: each field alone is noticed, and what the design lets differ is let."""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tiny import run_inside

from domain_tokens.analysis import matching
from domain_tokens.analysis.matching import EVALUATION_FIELDS, Mismatch, Recorded, match
from domain_tokens.cli.verify_matched import read_recorded
from domain_tokens.recipe import RecipeError, flatten
from domain_tokens.runs.ledger import MAY_DIFFER
from domain_tokens.runs.records import Manifest, TaskResult
from domain_tokens.runs.results import Pair, load_condition

from .conftest import MODELS, edit, ledger, matched

EVALUATION = "eval/sft_final/gsm8k"
RESULT = {
    "way": "plain",
    "task_version": 1,
    "num_items": 12,
    "max_samples": None,
    "generation": {"temperature": 0.0, "stop": ["User:"]},
    "data_sha256": "d",
}


@dataclass
class Written:
    """What one condition's files hold, as JSON that a test can change."""

    name: str
    stages: dict[int, dict[str, dict[str, Any]]]
    evaluations: dict[int, dict[str, dict[str, Any]]]

    def read(self) -> Recorded:
        """Return it as it is read from files."""
        rest = {"stage": "s", "condition": self.name, "seed": 0, "inputs": {}, "environment": {}, "wall_time_s": 1.0}
        stages = {
            seed: {name: Manifest.parse(rest | {"files": {}} | manifest, name) for name, manifest in stages.items()}
            for seed, stages in self.stages.items()
        }
        rest = {"task": "gsm8k", "outcomes": {"accuracy": "correct"}, "condition": self.name, "seed": 0, "model": "m"}
        rest |= {"weights_sha256": "w", "tokenizer_sha256": "t", "metrics": {"accuracy": 0.5}}
        evaluations = {
            seed: {name: TaskResult.parse(rest | result, name) for name, result in results.items()}
            for seed, results in self.evaluations.items()
        }
        return Recorded(self.name, stages, evaluations)


def mismatches(*sides: Written) -> list[Mismatch]:
    """Return what differs and must not, of what two conditions wrote."""
    return matching.mismatches(*(side.read() for side in sides))


def made_up(condition: str, side: int, seeds: tuple[int, ...] = (0,)) -> Written:
    """What the tree's manifests hold, without the files."""
    stages = {
        seed: {
            model: {
                "matched": matched(stage, seed),
                "ledger": ledger(stage, condition, seed, side),
                "reported": {"seed_offset": 0},
            }
            for model, stage in MODELS.items()
        }
        for seed in seeds
    }
    return Written(condition, stages, {seed: {EVALUATION: copy.deepcopy(RESULT)} for seed in seeds})


def change(value: Any, path: str) -> None:
    """Alter the leaf at a dotted path of nested dictionaries and lists."""
    key, _, rest = path.partition(".")
    place = int(key) if isinstance(value, list) else key
    if rest:
        change(value[place], rest)
    elif isinstance(value[place], bool | None):
        value[place] = not value[place]
    else:
        value[place] = f"{value[place]}x" if isinstance(value[place], str) else value[place] + 1


SHARED = [
    pytest.param(model, part, path, id=f"{model}-{part}.{path}")
    for model, stage in MODELS.items()
    for part, value in (("matched", matched(stage, 0)), ("ledger", ledger(stage, "baseline", 0, 0)))
    for path in flatten(value)
    if not (part == "ledger" and path.partition(".")[2] in (*MAY_DIFFER[stage], "wall_time_s"))
]


def test_what_the_design_lets_differ_is_let() -> None:
    assert mismatches(made_up("baseline", 0, (0, 1)), made_up("mul_tokens", 1, (0, 1))) == []


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize(("model", "part", "path"), SHARED)
def test_a_field_changed_alone_is_named(model: str, part: str, path: str, side: int) -> None:
    sides = made_up("baseline", 0), made_up("mul_tokens", 1)
    change(sides[side].stages[0][model][part], path)
    found = mismatches(*sides)
    names = {(mismatch.seed, mismatch.stage) for mismatch in found}
    assert names == {(0, model)}
    if path.endswith(".stage"):  # the entry's own name: all of its fields are without a partner
        return
    place, _, leaf = path.partition(".")
    stage = ledger(MODELS[model], "baseline", 0, 0)[int(place)]["stage"] if part == "ledger" else ""
    field = f"ledger.{stage}.{leaf}" if part == "ledger" else path
    assert [mismatch.field for mismatch in found] == [field]
    one, two = (flatten(each.stages[0][model][part])[path] for each in sides)
    assert str(found[0]) == f"seed 0, {model}: {field} is {one!r} in baseline and {two!r} in mul_tokens"


def test_the_parametrisation_covers_every_stage_and_what_matters() -> None:
    fields = {(param.values[0], param.values[2].rpartition(".")[2]) for param in SHARED}
    for field in ("steps", "examples", "order_sha256", "learning_rate", "vocab_size", "torch", "warmup_steps"):
        assert {model for model, name in fields if name == field} == set(MODELS), field
    assert ("pretrain_final", "tokens") in fields
    assert ("pretrain_final", "flops") in fields


@pytest.mark.parametrize("path", flatten(RESULT))
def test_a_field_of_the_evaluation_changed_alone_is_named(path: str) -> None:
    sides = made_up("baseline", 0), made_up("mul_tokens", 1)
    if path == "way":
        sides[1].evaluations[0][EVALUATION]["way"] = "sampled"
    else:
        change(sides[1].evaluations[0][EVALUATION], path)
    assert [(found.stage, found.field) for found in mismatches(*sides)] == [(EVALUATION, path)]
    assert path.partition(".")[0] in EVALUATION_FIELDS


def test_all_differences_are_named_and_not_only_the_first() -> None:
    sides = made_up("baseline", 0), made_up("mul_tokens", 1)
    change(sides[1].stages[0]["pretrain_final"]["matched"], "steps")
    change(sides[1].stages[0]["grpo_final"]["ledger"], "0.optimizer.weight_decay")
    change(sides[0].evaluations[0][EVALUATION], "max_samples")
    assert [(found.stage, found.field) for found in mismatches(*sides)] == [
        ("pretrain_final", "steps"),
        ("grpo_final", "ledger.grpo.optimizer.weight_decay"),
        (EVALUATION, "max_samples"),
    ]


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("path", ["matched.stages", "matched.stages.1", "ledger.1", "ledger.0.seeds.run"])
def test_what_one_side_lacks_is_named(path: str, side: int) -> None:
    sides = made_up("baseline", 0), made_up("mul_tokens", 1)
    place: Any = sides[side].stages[0]["sft_final"]
    *parents, last = path.split(".")
    for key in parents:
        place = place[int(key)] if isinstance(place, list) else place[key]
    del place[int(last) if isinstance(place, list) else last]
    found = mismatches(*sides)
    assert found
    assert all("(absent)" in str(mismatch) and mismatch.stage == "sft_final" for mismatch in found)


SINCE_0_4 = ("question_facts", "answer_facts")  # older entries lack them


@pytest.mark.parametrize("field", [field for field in ledger("sft", "baseline", 0, 0)[0] if field not in SINCE_0_4])
def test_an_entry_without_one_of_its_fields_is_refused(field: str) -> None:
    sides = made_up("baseline", 0), made_up("mul_tokens", 1)
    del sides[1].stages[0]["sft_final"]["ledger"][1][field]
    with pytest.raises(RecipeError, match=f"sft_final: ledger.1.{field} is missing"):
        mismatches(*sides)


def test_seeds_that_were_evaluated_in_different_ways_are_named() -> None:
    sides = made_up("baseline", 0, (0, 1)), made_up("mul_tokens", 1, (0, 1))
    assert mismatches(*sides) == []
    for side in sides:
        change(side.evaluations[1][EVALUATION], "max_samples")
    found = mismatches(*sides)
    assert {(one.seed, one.stage, one.field) for one in found} == {(1, EVALUATION, "max_samples")}
    assert [one.text.endswith("evaluate all seeds in the same way") for one in found] == [True, True]


def test_a_field_that_this_version_does_not_know_is_compared_too() -> None:
    sides = made_up("baseline", 0), made_up("mul_tokens", 1)
    sides[1].stages[0]["sft_final"]["ledger"][1]["dropout"] = 0.1
    (found,) = mismatches(*sides)
    assert found.text == "ledger.sft/gsm8k.dropout is '(absent)' in baseline and 0.1 in mul_tokens"


def test_a_stage_or_a_seed_that_one_side_lacks_is_named() -> None:
    one, two = made_up("baseline", 0, (0, 1)), made_up("mul_tokens", 1)
    del two.stages[0]["grpo_final"]
    texts = [str(found) for found in mismatches(one, two)]
    assert texts[0].startswith(
        "seed 0, grpo_final: architecture.n_layer is 4 in baseline and '(absent)' in mul_tokens"
    )
    assert texts[-1] == "seed 1, run: is missing in mul_tokens and present in baseline"


@pytest.mark.parametrize(
    ("factor", "field"), [({"tokens": 1.05}, "epochs"), ({"flops": 1.2}, "flops / tokens"), ({"flops": 0.8}, "flops")]
)
def test_tokens_and_flops_of_fine_tuning_differ_only_as_the_encodings_do(factor: dict[str, float], field: str) -> None:
    sides = made_up("baseline", 0), made_up("mul_tokens", 1)
    entry = sides[1].stages[0]["sft_final"]["ledger"][1]
    entry |= {name: entry[name] * times for name, times in factor.items()}
    (found,) = mismatches(*sides)
    assert found.field.startswith(f"ledger.sft/gsm8k.{field}")


def test_flops_per_position_of_grpo_are_bounded_and_its_tokens_are_not() -> None:
    sides = made_up("baseline", 0), made_up("mul_tokens", 1)
    entry = sides[1].stages[0]["grpo_final"]["ledger"][0]
    entry |= {"tokens": entry["tokens"] * 3, "flops": entry["flops"] * 3, "generated_tokens": 5}
    assert mismatches(*sides) == []
    entry["flops"] *= 1.2
    assert [found.field for found in mismatches(*sides)] == ["ledger.grpo.flops / tokens (within 10%)"]


def test_a_stage_begins_with_the_weights_that_the_one_before_it_ended_with() -> None:
    sides = made_up("baseline", 0), made_up("mul_tokens", 1)
    for side in sides:
        for model, before in (("pretrain_final", "sft_final"), ("sft_final", "grpo_final")):
            began = side.stages[0][before]["ledger"][0]["initial_weights_sha256"]
            side.stages[0][model]["reported"]["weights_sha256"] = began
    assert mismatches(*sides) == []
    sides[1].stages[0]["sft_final"]["reported"]["weights_sha256"] = "trained again"
    (found,) = mismatches(*sides)
    assert (found.stage, found.field) == ("grpo_final", "ledger.grpo.initial_weights_sha256")
    assert "in mul_tokens, but its sft_final ended with 'trained again'" in str(found)


def repeated(seed_offset: int) -> tuple[Written, Written]:
    """The reference, and the same once more with other seeds and what follows from them."""
    sides = made_up("baseline", 0), made_up("baseline_again", 0)
    for model, manifest in sides[1].stages[0].items():
        manifest["reported"]["seed_offset"] = seed_offset
        manifest["matched"]["seeds"] = dict.fromkeys(("weights", "order", "sampling"), seed_offset)
        for entry in manifest["ledger"]:
            entry["seeds"] |= dict.fromkeys(("offset", "weights", "order", "sampling", "documents"), seed_offset)
            entry["order_sha256"] = f"of seed {seed_offset}" if seed_offset else entry["order_sha256"]
            if model != "pretrain_final":
                entry["source_bytes"] += 7
                entry["tokens"] += 1000
        for trainer in (manifest["matched"], *manifest["matched"].get("stages", [])):
            if "trainer" in trainer:
                trainer["trainer"]["seed"] = seed_offset
    for part in (sides[1].stages[0]["pretrain_final"][key] for key in ("matched", "ledger")):
        (part if isinstance(part, dict) else part[0])["initial_weights_sha256"] = "another"
    return sides


def test_a_repetition_with_other_seeds_may_differ_in_what_follows_from_the_seed_alone() -> None:
    assert mismatches(*repeated(1000)) == []
    undeclared = {found.field for found in mismatches(*repeated(0))}
    assert undeclared == {
        "initial_weights_sha256", "ledger.pretrain.initial_weights_sha256", "ledger.sft/drills.source_bytes",
        "ledger.sft/gsm8k.source_bytes", "ledger.grpo.source_bytes", "ledger.sft/drills.epochs (within 1%)",
        "ledger.sft/gsm8k.epochs (within 1%)",
    }  # fmt: skip
    sides = repeated(1000)
    change(sides[1].stages[0]["sft_final"]["ledger"], "0.steps")
    assert [found.field for found in mismatches(*sides)] == ["ledger.sft/drills.steps"]


def test_names_of_seeds_in_an_older_run_are_no_difference() -> None:
    sides = made_up("baseline", 0), made_up("mul_tokens", 1)
    for manifest in sides[0].stages[0].values():
        del manifest["matched"]["seeds"]
        for entry in manifest["ledger"]:
            seeds = {
                key: value for key, value in entry["seeds"].items() if key not in ("weights", "order", "sampling")
            }
            entry["seeds"] = seeds | {"training": 0, "data": 0}
    assert mismatches(*sides) == []
    sides[1].stages[0]["sft_final"]["matched"]["stages"][0]["trainer"]["seed"] = 7
    assert [found.field for found in mismatches(*sides)] == ["stages.0.trainer.seed"]


def test_stages_of_one_run_have_one_seed_offset() -> None:
    sides = repeated(1000)
    sides[1].stages[0]["sft_final"]["reported"]["seed_offset"] = 0
    with pytest.raises(RecipeError, match="baseline_again, seed 0: .* different seed_offset"):
        mismatches(*sides)


def test_a_manifest_of_an_older_version_is_refused() -> None:
    sides = made_up("baseline", 0), made_up("mul_tokens", 1)
    del sides[1].stages[0]["sft_final"]["ledger"]
    with pytest.raises(RecipeError, match="mul_tokens, seed 0, sft_final: its manifest has no ledger"):
        mismatches(*sides)


def test_the_comparison_refuses_by_the_same_rule(tree: Callable[..., tuple[Path, Path]]) -> None:
    folders = tree(num_items=12, seeds=(0, 1))
    rows = match(Pair(*map(load_condition, folders)))
    by_place = {(row.stage, row.field): row.values for row in rows}
    assert by_place["pretrain_final", "ledger.pretrain.tokens"] == {"0": 1_966_080, "1": 1_966_080}
    assert by_place["eval/sft_final/gsm8k", "generation.max_new_tokens"] == {"0": 256, "1": 256}
    assert ("sft_final", "ledger.sft/gsm8k.tokens") not in by_place
    edit(folders[1] / "seed_1/sft_final/manifest.json", lambda value: value["ledger"][0].update(examples=9))
    for folder in folders:
        edit(folder / "seed_1/eval/sft_final/gsm8k_results.json", lambda result: result.update(max_samples=5))
    with pytest.raises(
        RecipeError, match="not compute-matched: seed 1, sft_final: ledger.sft/drills.examples"
    ) as caught:
        match(Pair(*map(load_condition, folders)))
    assert "max_samples is None in baseline, seed 0 and 5 in seed 1; evaluate all seeds in the same" in str(
        caught.value
    )


def test_conditions_of_different_vocabularies_are_never_compared(tree: Callable[..., tuple[Path, Path]]) -> None:
    folders = tree(num_items=12)
    for stage in MODELS:
        manifest = folders[1] / "seed_0" / stage / "manifest.json"
        edit(manifest, lambda value: value["matched"]["architecture"].update(vocab_size=50385))
    with pytest.raises(RecipeError, match="architecture.vocab_size is 50349 in .* and 50385"):
        match(Pair(*map(load_condition, folders)))


def test_the_command_prints_four_views_and_names_what_is_wrong(tree: Callable[..., tuple[Path, Path]]) -> None:
    folders = tree(num_items=12)
    done = run_inside("scripts/verify_matched.py", *map(str, folders))
    assert (done.returncode, done.stderr) == (0, "")
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines() if "│" in line]
    assert ["0", "pretrain", "equal tokens", "tokens", "1,966,080", "1,966,080", "1.0000", "equal", "equal"] in rows
    rules = "Compute-matched: equal tokens in pretrain, equal examples in sft, equal completions in grpo; every other"
    assert rules in " ".join(done.stdout.split())
    (sft,) = [row for row in rows if row[1:4] == ["sft/gsm8k", "equal examples", "tokens"]]
    assert sft[4:] == [
        "40,000", "38,000", "0.9500", "may differ: the same text in different tokens", "different"
    ]  # fmt: skip
    assert len(rows) == 4 * 4
    edit(folders[1] / "seed_0/pretrain_final/manifest.json", lambda value: value["ledger"][0].update(tokens=1))
    edit(
        folders[1] / "seed_0/grpo_final/manifest.json", lambda value: value["matched"]["rewards"].update(exact_match=2)
    )
    done = run_inside("scripts/verify_matched.py", *map(str, folders))
    assert (done.returncode, done.stderr) == (1, "")
    assert "Not compute-matched: 2 fields differ that must be equal." in done.stdout
    assert "seed 0, pretrain_final: ledger.pretrain.tokens is 1966080 in baseline and 1 in mul_tokens" in done.stdout
    assert "seed 0, grpo_final: rewards.exact_match is 1.0 in baseline and 2 in mul_tokens" in done.stdout
    assert "WRONG" in done.stdout


def test_the_command_needs_no_evaluation_and_refuses_what_is_no_run(
    tree: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    folders = tree(num_items=12)
    for path in folders[0].parent.rglob("*_results.json"):
        path.unlink()
    assert matching.mismatches(*map(read_recorded, folders)) == []
    with pytest.raises(RecipeError, match="nowhere: expected the runs of one condition"):
        read_recorded(tmp_path / "nowhere")
    manifest = folders[0] / "seed_0/sft_final/manifest.json"
    manifest.write_text(json.dumps([]))
    with pytest.raises(RecipeError, match="sft_final/manifest.json: damaged"):
        read_recorded(folders[0])


def stages_of(side: Written) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each stage's `matched` with each entry of its ledger."""
    return [(one["matched"], entry) for one in side.stages[0].values() for entry in one["ledger"]]


def equal_text() -> tuple[Written, Written]:
    """The reference, and a condition that stops when it has read as much text."""
    sides = made_up("baseline", 0), made_up("mul_tokens_equal_text", 1)
    for stage, manifest in sides[1].stages[0].items():
        fields = manifest["matched"]
        fields["settings"] = {"equal_to": {"measure": "text", "reference": "baseline", "measured_on": "mul_tokens"}}
        if stage == "pretrain_final":
            fields |= {"steps": 59, "tokens": 59 * 32768, "flops": 1.2e14}
            (entry,) = manifest["ledger"]
            entry |= {"steps": 59, "tokens": 59 * 32768, "flops": 1.2e14, "examples": 472, "source_bytes": 8_003_000}
            entry["schedule"]["max_steps"] = 59
        for one in (fields, *fields.get("stages", [])):
            if "trainer" in one:
                one["trainer"]["max_steps"] = 59
                one["trainer"]["num_train_epochs"] = 1.0
    for manifest in sides[0].stages[0].values():
        for one in (manifest["matched"], *manifest["matched"].get("stages", [])):
            if "trainer" in one:
                one["trainer"] |= {"max_steps": 60, "num_train_epochs": 3.0}
    return sides


def test_a_declared_budget_lets_steps_differ_and_checks_what_it_holds_equal() -> None:
    sides = equal_text()
    assert mismatches(*sides) == []
    assert mismatches(*reversed(sides)) == []
    entry = sides[1].stages[0]["pretrain_final"]["ledger"][0]
    entry["source_bytes"] = 8_300_000  # 3.6% more; 2% and half a step of 59 are 2.8%
    (found,) = mismatches(*sides)
    assert found.field == "ledger.pretrain.source_bytes (within 3%)"
    entry["source_bytes"] = 8_003_000
    sides[1].stages[0]["sft_final"]["ledger"][0]["source_bytes"] = 140_000
    assert [found.field for found in mismatches(*sides)] == ["ledger.sft/drills.source_bytes (within 3%)"]


def test_without_the_declaration_every_one_of_these_fields_is_named() -> None:
    sides = equal_text()
    for manifest in sides[1].stages[0].values():
        del manifest["matched"]["settings"]
    names = {found.field for found in mismatches(*sides)}
    assert names >= {
        "steps", "tokens", "flops", "trainer.max_steps", "stages.0.trainer.num_train_epochs", "ledger.pretrain.steps",
        "ledger.pretrain.examples", "ledger.pretrain.schedule.max_steps",
    }  # fmt: skip


def test_a_declared_budget_lets_nothing_else_differ() -> None:
    for path in ("trainer.learning_rate", "document_order_sha256", "initial_weights_sha256", "tokens_per_step"):
        sides = equal_text()
        change(sides[1].stages[0]["pretrain_final"]["matched"], path)
        assert [found.field for found in mismatches(*sides)] == [path]


def test_two_budgets_are_not_compared() -> None:
    sides = equal_text()
    for manifest in sides[0].stages[0].values():
        manifest["matched"]["settings"] = {"equal_to": {"measure": "flops", "reference": "a", "measured_on": "b"}}
    assert "settings.equal_to.measure" in {found.field for found in mismatches(*sides)}


def test_equal_flops_are_checked_as_flops() -> None:
    sides = equal_text()
    for manifest in sides[1].stages[0].values():
        manifest["matched"]["settings"]["equal_to"]["measure"] = "flops"
    fields = {found.field for found in mismatches(*sides)}
    assert fields == {f"ledger.{stage}.flops (within 3%)" for stage in ("sft/drills", "sft/gsm8k", "grpo")}
    ours = {entry["stage"]: entry for _, entry in stages_of(sides[0])}
    for _, entry in stages_of(sides[1]):
        entry |= {"tokens": ours[entry["stage"]]["tokens"], "flops": ours[entry["stage"]]["flops"] * 1.01}
    assert mismatches(*sides) == []


def test_rows_of_facts_may_start_elsewhere_if_it_is_declared_and_all_other_weights_are_equal() -> None:
    sides = made_up("baseline", 0), made_up("mul_digits", 1)
    for side in sides:
        side.stages[0]["pretrain_final"]["matched"]["other_initial_weights_sha256"] = "the same"
    pretrained = sides[1].stages[0]["pretrain_final"]
    pretrained["matched"]["initial_weights_sha256"] = "started elsewhere"
    pretrained["ledger"][0]["initial_weights_sha256"] = "started elsewhere"
    undeclared = {found.field for found in mismatches(*sides)}
    assert undeclared == {"initial_weights_sha256", "ledger.pretrain.initial_weights_sha256"}
    pretrained["matched"]["settings"] = {"fact_rows": "digit_mean"}
    assert mismatches(*sides) == []
    pretrained["matched"]["other_initial_weights_sha256"] = "another"
    assert [found.field for found in mismatches(*sides)] == ["other_initial_weights_sha256"]


def with_learning_rates(*searches: dict[str, Any] | None) -> tuple[Written, Written]:
    """Two conditions with different learning rates in fine-tuning, each with the search that it declares."""
    sides = made_up("baseline", 0), made_up("mul_tokens", 1)
    for side, search in zip(sides, searches, strict=True):
        if search is not None:
            side.stages[0]["sft_final"]["matched"]["settings"] = {"learning_rate_search": search}
    tuned = sides[1].stages[0]["sft_final"]
    for stage, entry in zip(tuned["matched"]["stages"], tuned["ledger"], strict=True):
        stage["trainer"]["learning_rate"] = entry["optimizer"]["learning_rate"] = 2e-3
    return sides


def test_learning_rates_differ_only_by_the_same_search_in_both_conditions() -> None:
    search = {"sha256": "s", "values": [1e-3, 2e-3, 4e-3], "seed": 0, "budget": {"steps": 60}}
    rates = {
        *(f"stages.{number}.trainer.learning_rate" for number in (0, 1)),
        *(f"ledger.sft/{name}.optimizer.learning_rate" for name in ("drills", "gsm8k")),
    }
    assert {found.field for found in mismatches(*with_learning_rates(None, None))} == rates
    assert mismatches(*with_learning_rates(search, dict(search))) == []
    one_sided = {found.field for found in mismatches(*with_learning_rates(search, None))}
    assert one_sided > rates
    assert "settings.learning_rate_search.sha256" in one_sided
    wider = search | {"values": [1e-3, 2e-3, 8e-3]}
    found = {found.field for found in mismatches(*with_learning_rates(search, wider))}
    assert found == rates | {"settings.learning_rate_search.values.2"}
    sides = with_learning_rates(search, search)
    change(sides[1].stages[0]["sft_final"]["ledger"], "0.optimizer.weight_decay")  # nothing else may be tuned
    assert [found.field for found in mismatches(*sides)] == ["ledger.sft/drills.optimizer.weight_decay"]
