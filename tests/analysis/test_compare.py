"""The comparison end to end: its numbers, its symmetry, its files and its command."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from markupsafe import escape
from pydantic import ValidationError
from tiny import run_inside

from domain_tokens.analysis import compare as module
from domain_tokens.analysis.compare import assemble, compare
from domain_tokens.analysis.measures.answers.equation_use import RECALL
from domain_tokens.analysis.report import pages
from domain_tokens.analysis.report.captions import NAMES
from domain_tokens.analysis.report.figures.drawn import draw
from domain_tokens.analysis.report.markdown import to_markdown
from domain_tokens.analysis.report.tables.answers import equation_table, error_table, sample_table, use_table
from domain_tokens.analysis.report.tables.losses import bits_table
from domain_tokens.analysis.report.tables.modes import ablation_table
from domain_tokens.analysis.report.tables.record import criteria_table, injection_table, text_table
from domain_tokens.analysis.report.tables.results import exploratory_table, facts_needed_table, result_table
from domain_tokens.analysis.report.tables.table import escape_markdown
from domain_tokens.analysis.results_model import Endpoint, OutcomeCounts, ResultRow, Results, Share, results_schema
from domain_tokens.analysis.statistics import mixed_logit
from domain_tokens.analysis.statistics.paired import holm
from domain_tokens.cli.common import declaration_of
from domain_tokens.runs.results import Pair, load_condition

from .conftest import edit, freeze_tree, write_evaluation, written_items

SCHEMA = Path(module.__file__).with_name("results_schema.json")
SCRIPT = Path(__file__).parents[2] / "scripts" / "compare.py"


def as_json(results: Results) -> dict[str, Any]:
    """Return what the file holds."""
    return results.model_dump(mode="json", by_alias=True)


def row_of(results, model="grpo_final", task="gsm8k", group="all"):
    return next(row for row in results.rows if (row.model, row.task, row.group) == (model, task, group))


def answer(folder: Path, seed: int, rights: list[bool]) -> None:
    """Replace the last model's GSM8K results by items with these outcomes."""
    place = folder / f"seed_{seed}" / "eval" / "grpo_final"
    result = json.loads((place / "gsm8k_results.json").read_text())
    items = written_items("gsm8k", seed, 0, 0.5, len(rights))
    for item, right in zip(items, rights, strict=True):
        item["correct"] = right
    fields = {key: result[key] for key in ("condition", "seed", "model", "weights_sha256")}
    write_evaluation(place, "gsm8k", items, **fields)


@pytest.fixture
def pilot(tree):
    """Twenty items: both right 4, only the reference 1, only the other 7, neither 8."""
    folders = tree(num_items=20)
    answer(folders[0], 0, [True] * 4 + [True] + [False] * 7 + [False] * 8)
    answer(folders[1], 0, [True] * 4 + [False] + [True] * 7 + [False] * 8)
    return folders


def test_golden_numbers_of_one_seed(pilot):
    results = assemble(Pair(*map(load_condition, pilot)))
    row = row_of(results)
    assert row.role == "primary"
    assert (row.reference.accuracy, row.other.accuracy) == (0.25, 0.55)
    assert row.delta == pytest.approx(0.30)
    assert row.p_value == pytest.approx(2 * (1 + 8) / 256)  # at most 1 of 8 on one side, two-sided
    assert row.by_seed[0].counts == OutcomeCounts(both=4, reference_only=1, other_only=7, neither=8)
    assert results.label == "pilot, one seed"
    assert results.verdict.h0_rejected is None
    assert results.verdict.sentence.startswith(
        "Exploratory, not a test of H0 (nothing was declared in advance): "
        "Pilot, one seed: gsm8k accuracy of grpo_final is 25.00% for baseline"
    )
    assert "a difference of +30.00 points" in results.verdict.sentence
    assert "exact McNemar, p = 0.070" in results.verdict.sentence


@pytest.mark.parametrize(
    ("gains", "rejected", "outcome", "begins"),
    [
        ((40, 42, 44), True, "better", "H0 is rejected, mul_tokens is better than baseline, 3 seeds"),
        ((-40, -42, -44), True, "worse", "H0 is rejected, mul_tokens is worse than baseline, 3 seeds"),
        ((2, 4, 30), False, "undecided", "Undecided, 3 seeds"),
        ((1, 0, -1), False, "equivalent", "No difference, 3 seeds"),
        ((30, 30, 30), None, "undecided", "Undecided, 3 seeds"),  # copies of one run show nothing about others
    ],
)
def test_golden_verdicts_of_three_seeds(tree, monkeypatch, gains, rejected, outcome, begins):
    monkeypatch.setattr(mixed_logit, "MAX_ANSWERS", 1000)  # a second each, and no part of the verdict
    folders = tree(num_items=20, seeds=(0, 1, 2))
    for seed, gain in enumerate(gains):
        answer(folders[0], seed, [True] * 80 + [False] * 320)
        answer(folders[1], seed, [True] * (80 + gain) + [False] * (320 - gain))
    declare(folders, seeds=(0, 1, 2), endpoints=ENDPOINTS[2:])
    results = assemble(Pair(*map(load_condition, folders)))
    assert results.preregistration.departures == ()
    row = row_of(results)
    assert row.delta == pytest.approx(sum(gains) / 1200)
    assert (results.verdict.h0_rejected, results.verdict.outcome) == (rejected, outcome)
    assert results.verdict.sentence.startswith(begins)
    assert results.success_criteria[0].met is (min(gains) > 0)
    # By hand: runs that vary this little and items that respond alike, so t over seeds is nearly all there is.
    if outcome == "better":
        assert row.interval[0] == pytest.approx(0.105 - 4.303 * 0.005 / 3**0.5, abs=0.02)
    assert (results.sensitivity.paired_t.mean) == pytest.approx(row.delta)
    assert results.sensitivity.mixed_logit.reason.startswith("not fitted: 2,400 answers take too long")


def test_the_primary_endpoint_falls_back_on_arithmetic(tree):
    folders = tree(num_items=12)
    for folder in folders:
        (folder / "seed_0/eval/grpo_final/gsm8k_results.json").unlink()
    results = assemble(Pair(*map(load_condition, folders)))
    expected = Endpoint(model="grpo_final", task="arithmetic", metric="accuracy", group="all")
    assert results.primary_endpoint == expected


ENDPOINTS = [
    {"model": "grpo_final", "task": "arithmetic", "metric": "accuracy", "group": "sums"},
    {"model": "sft_final", "task": "hellaswag", "metric": "acc", "group": None},
    {"model": "grpo_final", "task": "gsm8k", "metric": "accuracy", "group": None},
]


def declare(folders, seeds=(0,), endpoints=ENDPOINTS, sha="a" * 64, **more) -> None:
    declared = {"endpoints": endpoints, "alpha": 0.05, "power": 0.8, "equivalence_margin": 0.02,
                "seeds": list(seeds), "exclusions": ["none"], "test": "crossed", **more}  # fmt: skip
    freeze_tree(folders, declared, sha)


def test_the_primary_endpoint_is_tested_first_and_the_others_after_it(tree):
    folders = tree(num_items=60)
    declare(folders)
    results = assemble(Pair(*map(load_condition, folders)))
    tested = {row.role: [] for row in results.rows}
    for row in results.rows:
        tested[row.role].append(row)
    assert (len(tested["primary"]), len(tested["declared"])) == (1, 2)
    assert results.primary_endpoint == Endpoint(**ENDPOINTS[0])
    assert {row.p_holm for row in tested["exploratory"]} == {None}
    (primary,) = tested["primary"]
    assert primary.p_family == primary.p_value, "the primary endpoint is tested at the full alpha"
    for row, corrected in zip(tested["declared"], holm([row.p_value for row in tested["declared"]]), strict=True):
        assert row.p_family == max(primary.p_value, corrected), "the others wait for it"
    assert {row.p_family for row in tested["exploratory"]} == {None}
    assert "the full alpha" in results.verdict.rule
    assert "are the 2 other declared tests made" in results.verdict.rule
    assert results.preregistration.departures == ()
    assert results.rows[0].equivalence.margin == 0.02


@pytest.mark.parametrize(
    ("change", "departure"),
    [
        ({"seeds": (0, 1, 2)}, "declared seeds that were not run: 2"),
        ({"seeds": (0, 7)}, "seeds that were run and not declared: 1"),
        (
            {"endpoints": [ENDPOINTS[0] | {"task": "svamp"}, ENDPOINTS[2]]},
            "the declared endpoint svamp accuracy (sums) of grpo_final was not evaluated",
        ),
    ],
)
def test_what_was_declared_and_not_done_is_said_in_red(tree, tmp_path, change, departure):
    folders = tree(num_items=12, seeds=(0, 1))
    declare(folders, **({"seeds": (0, 1)} | change))
    results = compare(*folders, tmp_path / "out", plots=False)
    assert departure in results.preregistration.departures
    page = (tmp_path / "out/report.html").read_text()
    warning = page[page.index('<div class="warning"') : page.index("<main")]
    assert "Departs from the preregistration" in warning
    assert departure in warning
    assert departure.split("(")[0] in (tmp_path / "out/results.md").read_text()


def test_a_preregistration_that_was_changed_afterwards_is_said_in_red(tree, tmp_path):
    folders = tree(num_items=12)
    declare(folders)
    edit(folders[1] / "seed_0/grpo_final/manifest.json", lambda value: value["prereg"].update(sha256="b" * 64))
    now = tmp_path / "prereg.yaml"
    now.write_text("alpha: 0.1")
    (folders[0].parent / "preregistration.json").unlink()  # as in results of earlier versions
    departures = compare(*folders, tmp_path / "out", now, plots=False).preregistration.departures
    assert "mul_tokens, seed 0, grpo_final records another preregistration" in departures[0]
    assert departures[1].startswith("prereg.yaml has changed since the first manifest recorded it (sha256 aaaaaaaa")
    assert departures[2] == "no frozen record: preregistration.json was removed; the manifests name its hash"
    assert len(departures) == 3


def test_the_parts_of_the_report_are_computed_from_the_items(tree):
    folders = tree(num_items=40, seeds=(0, 1))
    results = assemble(Pair(*map(load_condition, folders)))
    (need,) = [row for row in results.facts_needed if row.model == "grpo_final"]
    assert [(stratum.count, stratum.num_items) for stratum in need.strata] == [(0, 20), (1, 20)]
    excess = need.strata[1].delta - need.strata[0].delta
    assert need.excess.value == pytest.approx(excess) == pytest.approx(need.slope.value)
    shares = {row.share: row for row in results.equations if (row.model, row.task) == ("grpo_final", "gsm8k")}
    in_digits = shares["equations in digits that are right for the item"]  # the other equation is one item's in four
    assert in_digits.reference == Share(count=80, total=100, value=0.8)
    tokens = shares["fact tokens that are right for the item"]
    assert (tokens.reference.total, tokens.delta, tokens.interval) == (0, None, None)
    assert tokens.other.count == tokens.other.total == 100 - in_digits.other.total
    recall = shares[RECALL]
    assert recall.reference == recall.other == Share(count=40, total=40, value=1.0)
    written = shares["products of the table written as facts"]
    assert written.reference.count == 0
    assert 0 < written.other.count == tokens.other.count < 80
    (mistakes,) = [r for r in results.error_types if (r.model, r.task) == ("grpo_final", "gsm8k")]
    accuracy = results.primary.reference.accuracy
    assert mistakes.reference.right == pytest.approx(accuracy)
    assert sum(share for _, share in mistakes.other) == pytest.approx(1)
    forbidden, exchanged = results.ablations[1], results.ablations[0]
    assert (forbidden.mode, exchanged.mode) == ("facts_forbidden", "facts_exchanged")
    assert forbidden.reference.delta == 0
    assert forbidden.other.delta == pytest.approx(forbidden.other.ablated - forbidden.other.plain)
    assert exchanged.other.delta < 0
    assert {row.metric for row in results.samples} == {"pass@1", "pass@4", "maj@4"}
    assert [(row.stage, row.step) for row in results.bits_per_byte] == [("pretrain", 60), ("sft", 60)]
    bits = results.bits_per_byte[0]
    assert bits.reference == pytest.approx(2.0 - 0.3 + 0.0005)
    assert bits.delta == pytest.approx(-0.01)
    assert bits.interval[0] < -0.5 / 114.5 < bits.interval[1]  # half a bit less for documents of 114.5 bytes


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_swapping_the_conditions_negates_the_differences_and_nothing_else(tree, seeds):
    folders = tree(num_items=30, seeds=seeds)
    forth, back = (
        assemble(Pair(*map(load_condition, folders))),
        assemble(Pair(*map(load_condition, reversed(folders)))),
    )
    for row, swapped in zip(forth.rows, back.rows, strict=True):
        assert row.delta == pytest.approx(-swapped.delta)
        assert (row.reference, row.other) == (swapped.other, swapped.reference)
        assert row.interval == (swapped.interval and pytest.approx([-bound for bound in swapped.interval[::-1]]))
        for same in ("model", "task", "group", "num_items", "role", "test", "delta_sd"):
            assert getattr(row, same) == getattr(swapped, same)
        for same in ("p_value", "p_holm", "smallest_detectable"):
            expected = getattr(swapped, same)
            assert getattr(row, same) == (expected and pytest.approx(expected))
    assert forth.ledger == back.ledger
    assert forth.verdict.h0_rejected == back.verdict.h0_rejected
    assert [item.id for item in forth.answers.items] == [item.id for item in back.answers.items]


def test_answers_are_taken_from_both_kinds_alike(tree):
    folders = tree(num_items=60)
    answer(folders[0], 0, [True] * 20 + [False] * 40)
    answer(folders[1], 0, [False] * 20 + [True] * 40)
    items = assemble(Pair(*map(load_condition, folders))).answers.items
    assert len(items) == 10
    assert sum(item.reference.correct for item in items) == 5
    assert sum(item.other.correct for item in items) == 5


def test_results_markdown_and_report_carry_the_same_numbers(tree):
    results = assemble(Pair(*map(load_condition, tree(num_items=30, seeds=(0, 1)))))
    markdown, page = to_markdown(results), pages.to_html(results, {})
    in_markdown = (result_table, criteria_table, facts_needed_table, error_table)
    makers = (
        result_table, text_table, use_table, criteria_table, facts_needed_table, equation_table, error_table,
        ablation_table, sample_table, bits_table, injection_table, exploratory_table,
    )  # fmt: skip
    for make in makers:
        assert make(results).rows
        table = make(results)
        start = page.index(f"<h3>{escape(table.title)}</h3>")
        for row in table.rows:
            if make in in_markdown and len(table.rows) <= 8:
                assert f"| {' | '.join(escape_markdown(cell) for cell in row)} |" in markdown
            heading = [f">{escape(' · '.join(filter(None, row[: table.grouped])))}</th>"] if table.grouped else []
            for cell in [*heading, *(f">{escape(cell)}</td>" for cell in row[table.grouped :])]:
                assert cell in page[start:]
    (primary,) = (row for row in results.rows if row.role == "primary")
    (cells,) = (row for row in result_table(results).rows if "(primary)" in row[1])
    assert cells[4].startswith(f"{100 * primary.reference.accuracy:.2f}%")
    assert cells[6].startswith(f"{100 * primary.delta:+.2f}")
    assert str(escape(results.verdict.sentence)) in page


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_results_json_keeps_to_its_schema(tree, seeds):
    results = as_json(assemble(Pair(*map(load_condition, tree(num_items=30, seeds=seeds)))))
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(results, schema)
    assert set(schema["required"]) <= set(results) == set(schema["properties"])
    rows = jsonschema.Draft202012Validator({"$defs": schema["$defs"], **schema["properties"]["rows"]})
    row = results["rows"][0]
    assert rows.is_valid([row])
    for key in row.keys() - {"source", "prompts"}:  # that files before 0.4.0 do not have
        assert not rows.is_valid([{name: value for name, value in row.items() if name != key}]), key
    for key, value in {"p_value": 2, "role": "chosen", "num_items": 0, "interval": [0.1]}.items():
        assert not rows.is_valid([row | {key: value}]), key


@pytest.mark.parametrize("change", [{"delta": -1.5}, {"reference": {"accuracy": 1.5, "interval": [0, 2], "sd": None}}])
def test_accuracies_are_fractions_and_other_values_have_a_unit(tree, change):
    results = as_json(assemble(Pair(*map(load_condition, tree(num_items=30, seeds=(0,))))))
    with pytest.raises(ValidationError, match="fractions of 1; expected a unit"):
        ResultRow.model_validate(results["rows"][0] | change)
    assert ResultRow.model_validate(results["rows"][0] | change | {"unit": "bits per byte"})


def parts(value, path=()):
    """Yield every object in a JSON value with the path that leads to it."""
    if isinstance(value, dict):
        yield path, value
    for key, item in value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ()):
        yield from parts(item, (*path, key))


def test_the_schema_allows_no_other_key_anywhere(tree):
    """Only the values of the ledger, by seed, and the declared contrasts, by name, have keys of their own."""
    folders = tree(num_items=12, seeds=(0, 1))
    declare(folders, seeds=(0, 1))
    results = as_json(assemble(Pair(*map(load_condition, folders))))
    schema = json.loads(SCHEMA.read_text())
    assert not schema["additionalProperties"]
    free = {("ledger", "values"): 1, ("declaration", "record", "declared", "contrasts"): ["mul_tokens", "baseline"]}
    kinds = set()
    for name, whole in results.items():
        value = whole[-4:] if isinstance(whole, list) else whole
        validator = jsonschema.Draft202012Validator({"$defs": schema["$defs"], **schema["properties"][name]})
        assert validator.is_valid(value), name
        for path, part in {
            tuple(key for key in path if isinstance(key, str)): part for path, part in parts(value)
        }.items():
            kinds.add((name, *path))
            part["another key"] = free.get((name, *path), 1)
            assert validator.is_valid(value) == ((name, *path) in free), path
            del part["another key"]
    assert len(kinds) > 40
    assert set(free) < kinds


def test_the_committed_schema_is_the_generated_one():
    done = subprocess.run(
        [sys.executable, "-m", "domain_tokens.analysis.results_model"], capture_output=True, text=True, check=True
    )
    assert done.stdout == SCHEMA.read_text() == results_schema()


def test_results_json_is_strict_and_complete(tree, tmp_path):
    folders = tree(num_items=12)
    edit(
        folders[0] / "seed_0/sft_final/manifest.json", lambda value: value["reported"].update(train_loss=float("nan"))
    )
    results = compare(*folders, tmp_path / "out", plots=False)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    text = (tmp_path / "out/results.json").read_text()
    read = json.loads(text, parse_constant=refuse)
    assert read == as_json(results)
    assert Results.model_validate_json(text) == results
    (loss,) = (row for row in results.text_and_compute if (row.stage, row.quantity) == ("sft_final", "train_loss"))
    assert loss.reference is None
    assert loss.other is not None
    assert read["schema_version"] == 2
    assert len(read["success_criteria"]) == 4
    assert read["reference_results"]["results"][0]["values"] == [0.2604, 0.2618]


def test_a_metric_that_is_not_finite_is_no_point_of_a_curve(tree):
    folders = tree(num_items=12)
    for point in folders[0].glob("seed_0/eval/checkpoints/pretrain-30.json"):
        edit(point, lambda value: value["metrics"].update(bits_per_byte=float("nan")))
    results = assemble(Pair(*map(load_condition, folders)))
    steps = {(row.stage, row.step, row.metric) for row in results.curves}
    assert ("pretrain", 30, "norm_facts") in steps
    assert ("pretrain", 30, "bits_per_byte") not in steps


def test_without_plots_the_report_is_the_same_but_for_its_figures(tree, tmp_path):
    folders = tree(num_items=12)
    results = compare(*folders, tmp_path / "out", plots=False)
    assert (tmp_path / "out/report.html").read_text(encoding="utf-8") == pages.to_html(results, {})
    assert not list((tmp_path / "out/plots").iterdir())


def test_help_comes_without_the_libraries_of_the_comparison():
    program = (
        "import contextlib, runpy, sys\n"
        "sys.argv = [sys.argv[1], '--help']\n"
        "with contextlib.suppress(SystemExit):\n    runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "sys.exit(str({'matplotlib', 'scipy', 'statsmodels', 'jinja2', 'torch', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(SCRIPT)], capture_output=True, text=True)
    assert "--prereg" in done.stdout
    assert done.stderr.strip() == "set()"


def test_several_seeds_of_one_item_decide_nothing(tree):
    results = assemble(Pair(*map(load_condition, tree(num_items=1, seeds=(0, 1)))))
    assert (results.primary.num_items, results.primary.interval, results.primary.p_value) == (1, None, None)
    assert (results.verdict.outcome, results.verdict.h0_rejected) == ("undecided", None)
    assert results.sensitivity is None
    assert [(side.interval, side.p_value) for row in results.ablations for side in (row.reference, row.other)] == [
        (None, None)
    ] * 4


def test_a_run_that_kept_little_is_compared_all_the_same(tree, tmp_path):
    folders = tree(num_items=12)
    for folder in folders:
        (folder / "corpus_0/manifest.json").unlink()
        for log in folder.rglob("metrics.jsonl"):
            log.write_text('{"step": 1}\n{"step": 2, "loss": null, "mfu": null}\n')
        for manifest in folder.rglob("manifest.json"):
            edit(manifest, lambda value: value.update(reported={}, environment={}))
    pair = Pair(*map(load_condition, folders))
    results = compare(*folders, tmp_path / "out", plots=False)
    assert text_table(results).rows[0] == ["corpus", "documents", "–", "–", "–"]
    figures = draw(pair, results)
    assert "effects" in figures
    assert not [name for name in figures if "loss" in name]


def run_script(*arguments: object, cwd: Path) -> subprocess.CompletedProcess:
    environment = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "MPLBACKEND")}
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=60)


@pytest.mark.slow  # draws every plot twice; the pipeline's tests run the command, without the second look
def test_the_command_writes_beside_the_conditions_without_a_display(tree, tmp_path):
    folders = tree(num_items=12)
    done = run_script(*folders, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for name in ("results.json", "results.md", "report.html", "plots"):
        assert (folders[0].parent / name).exists()
    said = (
        "One seed decides nothing",
        "Endpoints, not declared",
        "Where the difference lies",
        "What the equations say",
    )
    for text in (*said, "Whether tokens are used", str(folders[0].parent / "report.html")):
        assert done.stdout.count(text) == 1
    assert len(done.stdout.splitlines()) < 30
    again = tmp_path / "again"
    compare(*folders, again)  # in another process than the command's: the same inputs give the same bytes
    written = {path.relative_to(again): path.read_bytes() for path in again.rglob("*") if path.is_file()}
    assert written == {name: (folders[0].parent / name).read_bytes() for name in written}
    plots = {path.name for path in written if path.parent.name == "plots"}
    assert {name.partition(".")[0] for name in plots} < set(NAMES)
    names = (
        "training_loss",
        "validation_loss",
        "accuracy",
        "effects",
        "learning_curves",
        "fact_rows",
        "grpo",
        "fact_use",
        "facts_needed",
        "mistakes",
        "lengths",
    )
    assert plots == {f"{name}.{kind}" for name in names for kind in ("png", "svg")}


def test_the_command_refuses_unmatched_runs_and_leaves_the_old_report(tree):
    folders = tree(num_items=12)
    page = folders[0].parent / "report.html"
    page.write_text("old")
    edit(folders[1] / "seed_0/pretrain_final/manifest.json", lambda value: value["matched"].update(steps=61))
    done = run_inside("scripts/compare.py", *map(str, folders))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: the two runs are not compute-matched: seed 0, pretrain_final: steps is 60")
    assert done.stderr.count("\n") == 1
    assert page.read_text() == "old"
    assert not (folders[0].parent / "results.json").exists()


def test_the_declaration_is_the_one_that_the_recipe_names(tmp_path: Path) -> None:
    assert declaration_of(tmp_path) == Path("recipes/prereg.yaml")
    for stage, text in (("grpo_final", "prereg: mine.yaml\n"), ("sft_final", "prereg: null\n")):
        (tmp_path / "seed_0" / stage).mkdir(parents=True)
        (tmp_path / "seed_0" / stage / "run_config.yaml").write_text(text)
    assert declaration_of(tmp_path) == Path("mine.yaml")
