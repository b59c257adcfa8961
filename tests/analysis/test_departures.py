"""What was frozen binds: what was changed later, looked at earlier or tried again demotes the verdict."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from domain_tokens.analysis.compare import compare
from domain_tokens.analysis.preregistration import Preregistration, read_preregistration
from domain_tokens.analysis.results_model import Results
from domain_tokens.runs.preregistration import (
    FrozenContent,
    amend,
    freeze,
    read_frozen,
    read_looks,
    record_look,
)
from domain_tokens.runs.provenance import describe_prereg
from domain_tokens.runs.results import Pair, load_condition

from .conftest import Tree, edit, freeze_tree, sha256, write_condition
from .test_compare import answer

pytestmark = pytest.mark.usefixtures("no_odds_ratio")
SEEDS = (0, 1, 2)
ENDPOINT = {"model": "grpo_final", "task": "gsm8k", "metric": "accuracy", "group": None}
DECLARED = {
    "endpoints": [ENDPOINT], "alpha": 0.05, "power": 0.8, "equivalence_margin": 0.02, "seeds": list(SEEDS),
    "exclusions": [], "test": "crossed",
}  # fmt: skip
GSM8K = "seed_*/eval/grpo_final/gsm8k_results.json"

Change = Callable[[Path], None]


def three_seeds(tree: Tree, tens: int) -> tuple[Path, Path]:
    """Write two conditions that followed what was frozen: 30% and about 40% of some tens of questions right."""
    folders = tree(num_items=3, seeds=SEEDS)
    for seed in SEEDS:
        for folder, right in zip(folders, (3 * tens, 4 * tens + seed), strict=True):
            answer(folder, seed, [True] * right + [False] * (10 * tens - right))
    freeze_tree(folders, DECLARED)
    return folders


@pytest.fixture
def folders(tree: Tree) -> tuple[Path, Path]:
    return three_seeds(tree, 3)


@pytest.fixture
def three_hundred(tree: Tree) -> tuple[Path, Path]:
    return three_seeds(tree, 30)


def declared(folders: tuple[Path, Path], now: Path | None = None) -> Preregistration:
    return read_preregistration(Pair(*map(load_condition, folders)), now)


def in_results(change: Callable[[dict], None]) -> Change:
    """Return a change of every result of the primary endpoint."""

    def apply(folder: Path) -> None:
        for path in folder.glob(GSM8K):
            edit(path, change)

    return apply


def in_manifests(change: Callable[[dict], None]) -> Change:
    def apply(folder: Path) -> None:
        for path in folder.glob("seed_*/sft_final/manifest.json"):
            edit(path, change)

    return apply


def pick_a_third(folder: Path) -> None:
    """Keep a third of the questions, with the hash of all of them: among them those that one condition has right."""
    for path in folder.glob(GSM8K):
        items = path.with_name("gsm8k_items.jsonl")
        rows = items.read_text().splitlines()
        third = len(rows) // 3
        kept = rows[len(rows) // 5 :][:third]
        items.write_text("\n".join(kept) + "\n")
        right = sum(json.loads(line)["correct"] for line in kept) / third
        edit(path, lambda value, right=right, third=third: value.update(num_items=third, metrics={"accuracy": right}))


def other_rate(folder: Path) -> None:
    for path in folder.glob("seed_1/*_final/run_config.yaml"):
        path.write_text(path.read_text() + "sft: {learning_rate: 0.002}\n")


def other_rules(folder: Path) -> None:
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer/manifest.json").write_text(json.dumps({"inputs": {"intervention": {"mode": "strict"}}}))


def other_data(value: dict) -> None:
    value["inputs"]["sources"] = [{"name": "gsm8k", "sha256": {"train": "d" * 64}}]


def other_declaration(value: dict) -> None:
    value["prereg"]["sha256"] = "b" * 64
    value["prereg"]["declared"]["alpha"] = 0.1


ATTACKS: dict[str, tuple[Change, str]] = {
    "hand-picked": (pick_a_third, "gsm8k, items: 30 frozen, 10 used"),
    "data": (in_results(lambda value: value.update(data_sha256="c" * 64)), "gsm8k, data_sha256: "),
    "decoding": (
        in_results(lambda value: value["generation"].update(max_new_tokens=999)),
        "gsm8k, generation.max_new_tokens: 256 frozen, 999 used",
    ),
    "max_samples": (
        in_results(lambda value: value.update(max_samples=100)),
        "gsm8k, max_samples: None frozen, 100 used",
    ),
    "scorer": (in_results(lambda value: value.update(scorer_sha256="d" * 64)), "scorer: "),
    "scorer's version": (in_results(lambda value: value.update(task_version=2)), "gsm8k, task_version: 1 frozen, 2 u"),
    "recipe": (other_rate, "sft.learning_rate: None frozen, 0.002 used"),
    "rules": (other_rules, "intervention.mode: None frozen, 'strict' used"),
    "sources": (in_manifests(other_data), "data of gsm8k: None frozen, "),
    "declaration": (in_manifests(other_declaration), "declaration: alpha: 0.05 frozen, 0.1 used"),
    "record": (
        in_manifests(lambda value: value["prereg"].update(frozen_sha256="e" * 64)),
        "6 of 18 stages began under another frozen record (sha256 eeeeeeeeeeee then",
    ),
    "nothing declared": (
        in_manifests(lambda value: value.update(prereg=None)),
        "6 of 18 stages began before anything was frozen",
    ),
    "begun before": (
        in_manifests(lambda value: value["prereg"].update(frozen_sha256=None)),
        "6 of 18 stages began before anything was frozen",
    ),
}


def test_a_comparison_that_follows_what_was_frozen_is_confirmatory(three_hundred, tmp_path):
    folders = three_hundred
    results = compare(*folders, tmp_path / "out", tmp_path / "gone.yaml", plots=False)
    assert results.preregistration.departures == ()
    assert results.verdict.sentence.startswith("H0 is rejected, mul_tokens is better than baseline, 3 seeds")
    assert (results.verdict.h0_rejected, results.verdict.exploratory) == (True, False)
    frozen = read_frozen(folders[0].parent)
    assert results.preregistration.frozen.sha256 == frozen.original.sha256
    assert frozen.is_intact
    # A deleted declaration is named; the frozen one counts.
    assert results.preregistration.notes == (
        f"{tmp_path / 'gone.yaml'} is not here: the runs were compared with the frozen declaration alone",
    )
    assert "gone.yaml" in (tmp_path / "out/report.html").read_text()


@pytest.mark.parametrize("name", ATTACKS)
def test_each_attack_alone_is_a_departure(name, folders):
    change, expected = ATTACKS[name]
    assert declared(folders).departures == ()
    for folder in folders:
        change(folder)
    departures = declared(folders).departures
    assert [one for one in departures if f"changed later: {expected}" in one], departures
    assert len(departures) <= 2  # one for each condition


def test_a_departure_names_its_first_place_and_counts_the_others(folders):
    other_rate(folders[0])
    (departure,) = declared(folders).departures
    assert len(list(folders[0].glob("seed_1/*_final/run_config.yaml"))) == 3
    assert "(baseline, seed 1, pretrain_final, 20" in departure
    assert departure.endswith(" and 2 more)")
    for name in ("sft_final", "grpo_final"):
        path = folders[0] / "seed_1" / name / "run_config.yaml"
        path.write_text(path.read_text().replace("0.002", "0.003"))
    assert [one.endswith(" and 1 more)") for one in declared(folders).departures] == [False, True]


def test_a_tokenizer_without_recorded_rules_is_compared_all_the_same(folders):
    other_rules(folders[0])
    assert declared(folders).departures
    (folders[0] / "tokenizer/manifest.json").write_text("{}")
    assert declared(folders).departures == ()


def test_a_demoted_verdict_says_so_wherever_it_is_shown(three_hundred, tmp_path):
    folders = three_hundred
    for folder in folders:
        pick_a_third(folder)
    results = compare(*folders, tmp_path / "out", None, plots=False)
    written = {name: (tmp_path / "out" / name).read_text() for name in ("results.json", "results.md", "report.html")}
    assert results.verdict.outcome == "better"
    assert (results.verdict.h0_rejected, results.verdict.exploratory) == (None, True)
    assert results.verdict.sentence.startswith("Exploratory, not a test of H0 (2 departures from the preregistration")
    for text in written.values():
        assert "H0 is rejected, " not in text
        assert "Exploratory, not a test of H0" in text.replace("\\", "")
        assert "items: 300 frozen, 100 used" in text.replace("\\", "")
    assert Results.model_validate_json(written["results.json"]).verdict.exploratory


def test_a_changed_declaration_is_a_departure_and_a_changed_comment_is_none(folders, tmp_path):
    now = tmp_path / "prereg.yaml"
    known = {key: value for key, value in DECLARED.items() if key != "test"}
    whole = {"stopping_rule": "", "tasks_with_exclusions": ["hellaswag"], "other_runs": {}, "contrasts": {}}
    now.write_text(yaml.safe_dump(known))
    freeze_tree(folders, dict(describe_prereg(now).declared), sha="f" * 64)
    now.write_text("# a comment\n" + yaml.safe_dump(known | whole))
    assert declared(folders, now).departures == ()
    now.write_text(yaml.safe_dump(known | {"equivalence_margin": 0.2}))
    (departure,) = declared(folders, now).departures
    assert departure.startswith("changed later: prereg.yaml differs from the frozen declaration, which counts")
    assert "(declaration: equivalence_margin: 0.02 frozen, 0.2 used)" in departure
    assert declared(folders, now).margin == 0.02
    now.write_text("endpoints: {")
    assert "prereg.yaml cannot be read any more; the frozen declaration counts" in declared(folders, now).departures[0]


def test_a_removed_damaged_or_edited_record_is_no_way_out(folders):
    path = folders[0].parent / "preregistration.json"
    text = path.read_text()
    path.write_text(text.replace('"alpha": 0.05', '"alpha": 0.2'))
    assert "preregistration.json was edited by hand" in declared(folders).departures[0]
    path.write_text(text[:-200])
    assert "preregistration.json: damaged" in declared(folders).departures[0]
    path.unlink()
    assert declared(folders).departures == (
        "no frozen record: preregistration.json was removed; the manifests name its hash",
    )


def test_results_without_a_frozen_record_say_when_the_declaration_was_recorded(folders):
    (folders[0].parent / "preregistration.json").unlink()
    for folder in folders:
        for path in folder.glob("seed_*/*_final/manifest.json"):
            edit(path, lambda value: value["prereg"].pop("frozen_sha256"))
    assert (
        declared(folders).departures[0].startswith("no frozen record: each stage recorded the declaration when it b")
    )
    edit(folders[1] / "seed_2/grpo_final/manifest.json", lambda value: value["prereg"].pop("recorded_utc"))
    assert (
        declared(folders).departures[0].startswith("no frozen record: the declaration was recorded at the end of ea")
    )


# --- Amendments ------------------------------------------------------------------------------------------------------


def amended(experiment: Path, **changed: object) -> FrozenContent:
    content = read_frozen(experiment).latest
    update = {"declared": dict(content.prereg.declared) | changed, "sha256": sha256(*changed.values())}
    return content.model_copy(update={"prereg": content.prereg.model_copy(update=update)})


def test_an_amendment_after_an_evaluation_is_a_departure_and_one_before_is_a_note(folders, tmp_path):
    experiment = folders[0].parent
    blind = tmp_path / "blind" / "demo"
    blind.mkdir(parents=True)
    shutil.copy(experiment / "preregistration.json", blind)
    amend(blind, amended(blind, equivalence_margin=0.05), "a margin from the literature")
    shutil.copy(blind / "preregistration.json", experiment)
    for folder in folders:
        for path in folder.glob("seed_*/*_final/manifest.json"):
            edit(path, lambda value: value["prereg"]["declared"].update(equivalence_margin=0.05))
            edit(path, lambda value: value["prereg"].update(sha256=sha256(0.05)))
    found = declared(folders)
    assert found.departures == ()
    assert found.margin == 0.05
    assert "before any evaluation: a margin from the literature" in found.notes[0]
    amend(experiment, amended(experiment, equivalence_margin=0.1), "it looks better")
    found = declared(folders)
    assert found.margin == 0.05
    assert "amended at" in found.departures[0]
    assert "(it looks better), when 6 runs had been evaluated: declaration: equivalence_margin" in found.departures[0]
    assert len(read_frozen(experiment).entries) == 3
    assert read_frozen(experiment).is_intact


def test_what_was_frozen_after_the_first_step_is_a_departure(folders):
    experiment = folders[0].parent
    content = read_frozen(experiment).latest
    (experiment / "preregistration.json").unlink()
    frozen, _ = freeze(experiment, content)
    for folder in folders:
        for path in folder.glob("seed_*/*_final/manifest.json"):
            edit(path, lambda value: value["prereg"].update(frozen_sha256=frozen.original.sha256))
    (departure,) = declared(folders).departures
    assert "when 18 stages had begun, for example exp_a/seed_0/grpo_final" in departure


def test_a_condition_that_was_not_frozen_is_a_departure(folders):
    third = folders[0].parent / "exp_c"
    write_condition(third, "canon_text", 1, SEEDS, 3)
    for seed in SEEDS:
        answer(third, seed, [True] * 30)
    departures = declared((folders[0], third)).departures
    assert "changed later: the condition canon_text is not among the frozen ones" in departures


def test_items_left_out_of_a_task_that_is_not_declared_for_it_are_a_departure(folders):
    for folder in folders:
        in_results(lambda value: value.update(num_items_with_products=7))(folder)
    assert "7 items of gsm8k were left out and not declared" in declared(folders).departures


# --- Looked at earlier -----------------------------------------------------------------------------------------------


def looks(folders: tuple[Path, Path], *steps: tuple[str, list[int], list[int]]) -> None:
    """Write the looks of an experiment: what, of which seeds, and the seeds that were trained by then."""
    experiment = folders[0].parent
    (experiment / "looks.json").unlink()
    # In the end, all is trained and evaluated.
    last = [("evaluation", [seed], list(SEEDS)) for seed in SEEDS]
    for what, seeds, trained in (*steps, *last):
        elsewhere = experiment / "then"
        for folder in folders:
            for seed in trained:
                done = elsewhere / folder.name / f"seed_{seed}" / "grpo_final" / "manifest.json"
                done.parent.mkdir(parents=True)
                done.write_text("{}")
        if (experiment / "looks.json").is_file():
            shutil.copy(experiment / "looks.json", elsewhere)
        elsewhere.mkdir(exist_ok=True)
        for names in [["baseline"], ["mul_tokens"]] if what == "evaluation" else [["baseline", "mul_tokens"]]:
            record_look(elsewhere, what, names, seeds)
        shutil.copy(elsewhere / "looks.json", experiment)
        shutil.rmtree(elsewhere)


def test_one_seed_first_and_then_the_others_is_a_look(folders):
    looks(folders, ("run", [0], []), ("evaluation", [0], [0]), ("run", [0, 1, 2], [0]), ("evaluation", [1], [0, 1, 2]))
    (departure,) = declared(folders).departures
    assert departure.startswith("looked at earlier: baseline, seed 0: evaluation at 20")
    assert "before exp_a/seed_1 was trained" in departure


@pytest.mark.parametrize(
    "steps",
    [
        # One command for all seeds, which evaluates a seed before the next is trained; interrupted and resumed.
        [("run", [0, 1, 2], []), ("evaluation", [0], [0]), ("run", [0, 1, 2], [0]), ("evaluation", [1], [0, 1])],
        # Stage by stage: all seeds are trained before the first is evaluated.
        [("evaluation", [0], [0, 1, 2]), ("evaluation", [1], [0, 1, 2]), ("comparison", [0, 1, 2], [0, 1, 2])],
        # A pilot with other seeds.
        [("run", [7], []), ("evaluation", [7], [7]), ("comparison", [7], [7]), ("run", [0, 1, 2], [7])],
    ],
    ids=["one command", "stage by stage", "pilot"],
)
def test_what_shows_no_declared_seed_early_is_no_look(steps, folders):
    looks(folders, *steps)
    assert declared(folders).departures == ()


def test_a_comparison_of_some_declared_seeds_is_a_look(folders):
    looks(folders, ("run", [0, 1, 2], []), ("comparison", [0, 1], [0, 1]))
    (departure,) = declared(folders).departures
    assert departure.startswith("looked at earlier: baseline and mul_tokens, seed 0, 1: comparison at 20")


def test_looks_that_are_gone_are_a_departure(folders):
    path = folders[0].parent / "looks.json"
    assert len(read_looks(path.parent)) == 7
    path.write_text("{")
    assert "looks.json: damaged" in declared(folders).departures[0]
    path.unlink()
    assert declared(folders).departures == (
        "looked at earlier: unknown: looks.json is missing, which every evaluation writes",
    )


# --- Tried more than once --------------------------------------------------------------------------------------------


def other_experiment(folders: tuple[Path, Path], name: str, seeds: tuple[int, ...] = SEEDS) -> list[Path]:
    """Copy some seeds of both conditions to another experiment in the same outputs folder."""
    copies = []
    for folder in folders:
        copies.append(folder.parents[1] / name / folder.name)
        for seed in seeds:
            shutil.copytree(folder / f"seed_{min(seed, 2)}", copies[-1] / f"seed_{seed}")
            for path in copies[-1].glob(f"seed_{seed}/eval/*/*_results.json"):
                edit(path, lambda value, seed=seed: value.update(seed=seed))
    return copies


def train_otherwise(folder: Path) -> None:
    for path in folder.glob("seed_*/eval/*/*_results.json"):
        edit(path, lambda value: value.update(weights_sha256=sha256("other", folder.name)))
    for path in folder.glob("seed_*/*_final/run_config.yaml"):
        path.write_text(path.read_text() + "sft: {learning_rate: 0.002}\n")


def test_the_same_contrast_with_other_settings_under_another_name_is_a_second_try(folders):
    for copy in other_experiment(folders, "demo_x4"):
        train_otherwise(copy)
    (departure,) = declared(folders).departures
    assert departure.startswith("tried more than once: demo_x4 compared the same conditions, seeds 0, 1, 2")
    assert "other settings: sft.learning_rate" in departure


def test_another_name_of_the_condition_hides_no_second_try(folders):
    for copy in other_experiment(folders, "demo_x4"):
        train_otherwise(copy)
        for path in copy.glob("seed_*/eval/*/*_results.json"):
            edit(path, lambda value: value.update(condition=f"{value['condition']}_new"))
    assert declared(folders).departures[0].startswith("tried more than once: demo_x4")


def test_a_repetition_that_is_equal_byte_for_byte_is_no_second_try(folders):
    other_experiment(folders, "again")
    assert declared(folders).departures == ()


def test_other_weights_of_the_same_settings_are_a_second_try(folders):
    for copy in other_experiment(folders, "again"):
        for path in copy.glob("seed_*/eval/*/*_results.json"):
            edit(path, lambda value, name=copy.name: value.update(weights_sha256=sha256("other", name)))
    (departure,) = declared(folders).departures
    assert "(the same settings, other weights)" in departure


def test_runs_that_were_seen_before_they_were_frozen_are_a_look(folders):
    experiment = folders[0].parent
    other_experiment(folders, "before", (0, 1))
    blind = experiment.with_name("blind")
    frozen, _ = freeze(blind, read_frozen(experiment).latest)
    assert "before" in frozen.original.other_experiments
    assert "blind" not in frozen.original.other_experiments
    shutil.copy(blind / "preregistration.json", experiment)
    shutil.rmtree(blind)
    for folder in folders:
        for path in folder.glob("seed_*/*_final/manifest.json"):
            edit(path, lambda value: value["prereg"].update(frozen_sha256=frozen.original.sha256))
    assert declared(folders).departures == ("looked at earlier: before held seeds 0, 1 of the same runs before",)


def test_a_declared_run_hides_no_other(folders):
    freeze_tree(folders, DECLARED | {"other_runs": {"a_*": {"kind": "study", "why": "said in advance"}}})
    for name in ("a_study", "demo_x4"):
        for copy in other_experiment(folders, name):
            train_otherwise(copy)
    folders[0].parents[1].joinpath("a_folder").mkdir()  # the search goes on behind it
    (departure,) = declared(folders).departures
    assert departure.startswith("tried more than once: demo_x4 compared")


def test_a_condition_of_the_same_experiment_with_the_same_tokenizer_and_other_settings_is_a_second_try(folders):
    for copy in other_experiment(folders, "elsewhere"):
        train_otherwise(copy)
        for path in copy.glob("seed_*/eval/*/*_results.json"):
            edit(path, lambda value: value.update(condition=f"{value['condition']}_new"))
    copy.rename(folders[0].parent / "exp_again")
    shutil.rmtree(copy.parent)
    (departure,) = declared(folders).departures
    assert departure.startswith("tried more than once: exp_again has the tokenizer of mul_tokens and was not frozen")


def test_one_condition_is_no_counterpart_of_two(folders):
    for path in folders[1].glob("seed_*/eval/*/*_results.json"):  # an A/A: both have one tokenizer
        edit(path, lambda value: value.update(tokenizer_sha256=sha256("tokenizer", "baseline")))
    reference, other = other_experiment(folders, "demo_x4")
    train_otherwise(reference)
    shutil.rmtree(other)
    assert declared(folders).departures == ()


def test_a_damaged_neighbour_does_not_stop_a_comparison(folders):
    for copy in other_experiment(folders, "broken"):
        for path in copy.glob("seed_*/eval/*/*_results.json"):
            path.write_text("{")
    assert declared(folders).departures == ()


@pytest.mark.parametrize(
    ("kind", "seeds", "departures"),
    [
        ("robustness", SEEDS, ()),
        ("study", SEEDS, ()),
        ("learning_rate_search", SEEDS, ()),
        ("pilot", (10, 11), ()),
        ("pilot", (2, 10), ("tried more than once: the pilot demo_x4 used declared seeds: 2",)),
    ],
)
def test_a_run_that_the_declaration_names_is_no_second_try(folders, kind, seeds, departures):
    others = {
        "another": {"kind": "study", "why": "said in advance"},
        "demo_*": {"kind": kind, "why": "said in advance"},
    }
    freeze_tree(folders, DECLARED | {"other_runs": others})
    for copy in other_experiment(folders, "demo_x4", seeds):
        train_otherwise(copy)
    assert declared(folders).departures == departures
