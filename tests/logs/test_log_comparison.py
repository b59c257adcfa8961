"""The analysis of logs is the project's own, and its sentences say what it does not cover."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from analysis.conftest import write_tree
from logs.conftest import Compare, write_samples

from domain_tokens.analysis.compare import compare as compare_conditions
from domain_tokens.analysis.results_model import ResultRow
from domain_tokens.analysis.statistics import mixed_logit
from domain_tokens.logs.comparison import Options, compare_logs
from domain_tokens.logs.records import DIFFER, EQUIVALENT, UNDECIDED
from domain_tokens.logs.runs import Named, check_named, read_mapping


def answers(accuracy: float, number: int = 200, seed: int = 0) -> list[int]:
    """Right and wrong answers in an order of chance; a seed's higher accuracy adds right ones."""
    ranks = np.random.default_rng(seed).permutation(number)
    return [int(rank < accuracy * number) for rank in ranks]


@pytest.fixture(scope="module")
def quick() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mixed_logit, "MAX_ANSWERS", 0)  # the odds ratio takes a second
        yield


def as_samples(folder: Path, items: list[dict[str, Any]]) -> None:
    """Write a project's items as lm-evaluation-harness would have, in another order."""
    lines = []
    for index, item in enumerate(reversed(items)):
        lines.append(
            {
                "doc_id": index,
                "target": "?",
                "arguments": {"gen_args_0": {"arg_0": item["id"], "arg_1": {}}},  # its text is another in every seed
                "resps": [[item["answer"]]],
                "filter": "none",
                "metrics": ["accuracy"],
                "accuracy": float(item["correct"]),
            }
        )
    folder.mkdir(parents=True)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "samples_gsm8k_2026-01-02T03-04-05.jsonl").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
@pytest.mark.usefixtures("quick")
def test_the_same_items_give_what_the_project_says_of_them(seeds: tuple[int, ...], tmp_path: Path) -> None:
    folders = write_tree(tmp_path, seeds=seeds, num_items=40)
    results = compare_conditions(*folders, tmp_path / "report", plots=False)
    expected: ResultRow = next(
        row for row in results.rows if (row.model, row.task, row.group) == ("grpo_final", "gsm8k", "all")
    )
    named = []
    for folder, condition in zip(folders, ("baseline", "mul_tokens"), strict=True):
        for seed in seeds:
            path = folder / f"seed_{seed}" / "eval" / "grpo_final" / "gsm8k_items.jsonl"
            items = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            as_samples(tmp_path / "logs" / f"{condition}_{seed}", items)
            named.append(Named(condition, str(seed), tmp_path / "logs" / f"{condition}_{seed}"))
    (found,) = compare_logs(named, Options(margin=1.0)).differences

    assert 0 < expected.reference.accuracy < expected.other.accuracy < 1
    assert found.num_items == expected.num_items == 40
    assert found.test == expected.test
    assert (found.reference, found.other) == (expected.reference, expected.other)
    assert expected.interval is not None
    assert found.interval == pytest.approx(expected.interval, abs=1e-12)
    assert found.delta == pytest.approx(expected.delta, abs=1e-12)
    assert found.p_value == pytest.approx(expected.p_value, abs=1e-9)
    assert found.smallest_detectable == pytest.approx(expected.smallest_detectable, abs=1e-9)
    assert found.detectable_range == expected.detectable_range
    assert found.equivalence == expected.equivalence
    assert found.equivalence is not None
    for ours, theirs in zip(found.by_seed, expected.by_seed, strict=True):
        assert ours.seeds == (str(theirs.seed), str(theirs.seed))
        assert (ours.reference, ours.other) == (theirs.reference, theirs.other)
        assert ours.delta == pytest.approx(theirs.delta)
        assert (ours.interval, ours.p_value) == (theirs.interval, theirs.p_value)


def test_one_run_a_side_speaks_of_two_checkpoints(compare: Compare) -> None:
    found = compare({"a": answers(0.3), "b": answers(0.8)})
    assert found.num_runs == 1
    (one,) = found.differences
    assert one.outcome == DIFFER
    assert found.headline == one.sentence
    assert one.sentence.startswith("These two checkpoints, a and b, differ: acc,none of sums (200 questions) is 30")
    assert "exact McNemar" in one.sentence
    assert "over questions alone" in one.sentence
    assert "method" not in one.sentence


def test_several_runs_a_side_are_crossed_and_the_names_of_seeds_are_the_users(compare: Compare) -> None:
    hard = np.random.default_rng(0).random(200)
    chances = {"a": 0.3, "b": 0.6}
    runs = {f"{name}:{seed}": hard < chances[name] + 0.01 * seed for name in chances for seed in (1, 2, 3)}
    found = compare({name: values.astype(int).tolist() for name, values in runs.items()})
    (one,) = found.differences
    assert one.test == "crossed test over seeds and items"
    assert one.outcome == DIFFER
    assert [seed.seeds for seed in one.by_seed] == [("1", "1"), ("2", "2"), ("3", "3")]
    assert "differ over 3 pairs of runs" in one.sentence
    assert "logs hold no training seed" in one.sentence
    assert "checkpoints" not in one.sentence


def test_runs_are_paired_by_their_seeds_in_any_order(compare: Compare) -> None:
    first, second = answers(0.2), answers(0.7)
    found = compare({"a:10": second, "a:9": first, "b:9": first, "b:10": second})
    (one,) = found.differences
    assert [seed.seeds for seed in one.by_seed] == [("9", "9"), ("10", "10")]
    assert [seed.delta for seed in one.by_seed] == [0, 0]
    assert [seed.reference for seed in one.by_seed] == [0.2, 0.7]


def test_single_runs_may_have_any_seeds(compare: Compare) -> None:
    (one,) = compare({"a:0": answers(0.5), "b:7": answers(0.5)}).differences
    assert one.by_seed[0].seeds == ("0", "7")


def test_a_margin_shows_that_there_is_no_difference(compare: Compare) -> None:
    right = answers(0.5, 400)
    runs = {"a": right, "b": [*right[:-2], 1 - right[-2], 1 - right[-1]]}
    assert compare(runs).differences[0].outcome == UNDECIDED
    found = compare(runs, margin=5.0)
    assert found.differences[0].outcome == EQUIVALENT
    assert "differ by less than the margin" in found.headline
    assert "within 5.00 points of 0" in found.headline
    assert compare(runs, margin=0.1).differences[0].outcome == UNDECIDED
    assert "Margin" in {note.about for note in found.notes}


def test_equivalence_is_tested_at_the_level_of_all_tests(tmp_path: Path) -> None:
    """Of two tasks, each has half of the level; p lies between the two."""
    right = answers(0.5, 200)
    others = [*right[:-4], *(1 - value for value in right[-4:])]
    named = []
    for name, values in (("a", right), ("b", others)):
        for task in ("sums", "products"):
            write_samples(tmp_path / name, values, task=task)
        named.append(Named(name, "", tmp_path / name))
    (alone,) = compare_logs(named, Options(tasks=["sums"], margin=2.5)).differences
    assert alone.equivalence is not None
    assert alone.equivalence.p_value is not None
    assert 0.025 < alone.equivalence.p_value < 0.05
    assert alone.outcome == EQUIVALENT
    both = compare_logs(named, Options(margin=2.5)).differences
    assert [one.outcome for one in both] == [UNDECIDED, UNDECIDED]


@pytest.mark.parametrize("order", [("easy", "hard"), ("hard", "easy")])
def test_the_unit_of_a_metric_is_that_of_all_tasks(order: tuple[str, str], tmp_path: Path) -> None:
    """A task with scores of at most 1 out of 100 is not taken for one of percentages, nor for right and wrong."""
    named = []
    for name in ("a", "b"):
        low = [index % 2 if name == "a" else int(index % 3 > 0) for index in range(30)]
        write_samples(tmp_path / name, [40 * score + (name == "b") for score in low], task="easy")
        write_samples(tmp_path / name, low, task="hard")
        named.append(Named(name, "", tmp_path / name))
    found = compare_logs(named, Options(tasks=order, margin=5.0))
    assert [one.task for one in found.differences] == list(order)
    for one in found.differences:
        assert one.unit == "acc,none"
        assert one.test == "t-test over items"
        assert one.equivalence is not None
        assert one.equivalence.margin == 5
    (note,) = [note for note in found.notes if note.about == "Margin"]
    assert note.text.startswith("5.0000 acc,none for acc,none: the command's.")
    (alone,) = compare_logs(named, Options(tasks=["hard"], margin=5.0)).differences
    assert alone.unit is None
    assert alone.equivalence is not None
    assert alone.equivalence.margin == 0.05


def test_an_interval_and_a_test_that_disagree_are_said_to_be_two_methods(compare: Compare) -> None:
    """Of 100 questions, 2 and 9 that one model alone answers right."""
    first = [1] * 2 + [0] * 9 + [1] * 40 + [0] * 49
    second = [0] * 2 + [1] * 9 + [1] * 40 + [0] * 49
    (one,) = compare({"a": first, "b": second}).differences
    assert one.interval is not None
    assert one.p_value is not None
    assert one.interval[0] > 0
    assert one.p_value > 0.05
    assert "The interval and the test are two methods, and disagree here" in one.sentence
    assert "disagree here" not in compare({"a": first, "b": answers(0.5, 100)}).differences[0].sentence


def test_what_few_questions_cannot_show_is_said(compare: Compare) -> None:
    """Five questions are never enough for McNemar's test; a few fractions can differ too much for a t-test."""
    (one,) = compare({"a": [1, 0, 1, 0, 0], "b": [0, 1, 1, 0, 1]}).differences
    assert one.smallest_detectable is None
    assert "cannot be estimated" in one.sentence
    values = compare({"a": [0.0, 0.9, 0.1], "b": [0.9, 0.0, 0.5]})
    assert values.differences[0].smallest_detectable is not None
    assert values.differences[0].smallest_detectable > 1
    assert "Not even a true difference of 100 points would be found" in values.headline
    (note,) = [note for note in values.notes if note.about == "Few questions"]
    assert "the mean of 3 differences" in note.text


def test_settings_that_are_known_of_one_run_alone_are_said(tmp_path: Path) -> None:
    for name, own in (("a", {"acc,none": 0.5}), ("b", None)):
        write_samples(tmp_path / name, answers(0.5), own=own)
    found = compare_logs([Named(name, "", tmp_path / name) for name in "ab"], Options())
    (note,) = [note for note in found.notes if note.about == "Unknown settings"]
    assert note.text.startswith("sums: the settings of b are unknown")


def test_tests_of_several_conditions_are_corrected(compare: Compare) -> None:
    base = answers(0.5, 100)
    better = [1 if index % 13 == 0 else value for index, value in enumerate(base)]
    found = compare({"b": better, "a": base, "c": base}, reference="a")
    assert found.conditions == ("b", "c")
    assert found.num_tests == 2
    first, second = found.differences
    assert first.p_value is not None
    assert first.p_holm == pytest.approx(min(1.0, 2 * first.p_value))
    assert second.p_holm == second.p_value == 1
    assert first.smallest_detectable is not None
    (alone,) = compare({"b": better, "a": base}, reference="a").differences
    assert alone.smallest_detectable is not None
    assert alone.smallest_detectable < first.smallest_detectable
    assert found.headline.startswith("2 comparisons with a (each of 2 conditions, 1 task), after Holm's correction:")
    assert "it speaks of these checkpoints" in found.headline


def test_values_that_are_no_fractions_have_their_unit(compare: Compare) -> None:
    values = 20 + np.arange(50) % 7
    (one,) = compare({"a": values.tolist(), "b": (values + 2 + np.arange(50) % 3).tolist()}, margin=30.0).differences
    assert one.unit == "acc,none"
    assert one.delta == pytest.approx(2.98)
    assert one.test == "t-test over items"
    assert one.equivalence is not None
    assert one.equivalence.margin == 30
    assert "acc,none (95% interval" in one.sentence


def test_copies_of_a_question_count_as_one_cluster(tmp_path: Path) -> None:
    scores = answers(0.5, 40)
    for name, values in (("a", scores), ("b", answers(0.8, 40, seed=1))):
        path = write_samples(tmp_path / name, values)
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        copies = [line | {"doc_id": 100 + line["doc_id"]} for line in lines[:10]]
        path.write_text("".join(json.dumps(line) + "\n" for line in [*lines, *copies]))
    found = compare_logs([Named(name, "", tmp_path / name) for name in "ab"], Options())
    (one,) = found.differences
    assert (one.num_items, one.num_clusters) == (50, 40)
    assert one.test == "exact sign test over clusters of items"
    assert "50 questions, 40 of them different" in one.sentence
    assert {"Copies"} <= {note.about for note in found.notes}


def test_settings_that_differ_are_said(tmp_path: Path, written: Path) -> None:
    named = []
    for condition, shots in (("baseline", 0), ("mul_tokens", 5)):
        source = written / "lm_eval" / f"{condition}_0" / condition
        target = tmp_path / condition
        target.mkdir()
        for file in source.iterdir():
            text = file.read_text(encoding="utf-8")
            if file.suffix == ".json":
                text = json.dumps(json.loads(text) | {"n-shot": {"products": shots}})
            (target / file.name).write_text(text, encoding="utf-8")
        named.append(Named(condition, "", target))
    found = compare_logs(named, Options(tasks=["products"], metrics=["exact_match,strict-match"]))
    (note,) = [note for note in found.notes if note.about == "Evaluated differently"]
    assert "examples in the prompt is not the same in all runs: 0 for baseline; 5 for mul_tokens" in note.text


def test_logs_that_are_equal_byte_for_byte_are_said(compare: Compare, tmp_path: Path) -> None:
    compare({"a:0": answers(0.5), "b:0": answers(0.6)})
    shutil.copytree(tmp_path / "a:0", tmp_path / "a:1")
    write_samples(tmp_path / "b:1", answers(0.6, seed=1))
    found = compare_logs(
        [Named(name[0], name[2], tmp_path / name) for name in ("a:0", "a:1", "b:0", "b:1")], Options()
    )
    (note,) = [note for note in found.notes if note.about == "Equal logs"]
    assert note.text.startswith("The logs of a:0 and a:1 are equal byte for byte.")


def test_a_mean_that_the_harness_makes_otherwise_is_said(tmp_path: Path) -> None:
    named = []
    for name in "ab":
        write_samples(tmp_path / name, answers(0.5), own={"acc,none": 0.9})
        (results,) = (tmp_path / name).glob("results_*.json")
        results.write_text(results.read_text().replace('"aggregation": "mean"', '"aggregation": "median"'))
        named.append(Named(name, "", tmp_path / name))
    found = compare_logs(named, Options())
    (note,) = [note for note in found.notes if note.about == "The harness's own results"]
    assert "In 0 of 2 logs they are the means" in note.text
    assert "In 2 they are not: they are made by median" in note.text


def test_a_file_names_runs_and_reference(tmp_path: Path) -> None:
    for name in ("x", "y"):
        write_samples(tmp_path / "logs" / name, answers(0.5))
    path = tmp_path / "runs.yaml"
    path.write_text("reference: b\nruns:\n  a: {0: logs/x}\n  b: logs/y\n")
    named, reference = read_mapping(path)
    assert named == [Named("a", "0", tmp_path / "logs" / "x"), Named("b", "", tmp_path / "logs" / "y")]
    assert check_named(named, reference) == "b"
    assert check_named(named, None) == "a"


def test_a_filter_may_be_left_out_where_there_is_one(compare: Compare) -> None:
    runs = {name: [{"acc": 1, "f1": index % 2} for index in range(9)] for name in "ab"}
    assert compare(runs, metrics=["f1"]).differences[0].metric == "f1,none"


def test_the_logs_of_one_run_may_be_in_several_places(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for task in ("sums", "products"):
            write_samples(tmp_path / task / name, answers(0.5), task=task)
    (tmp_path / "runs.yaml").write_text("runs: {a: {0: [sums/a, products/a]}, b: {0: [products/b, sums/b]}}")
    named, reference = read_mapping(tmp_path / "runs.yaml")
    found = compare_logs(named, Options(reference=reference))
    assert [(one.task, one.condition) for one in found.differences] == [("sums", "b"), ("products", "b")]
    assert found.num_runs == 1


def test_a_lower_value_may_be_better(tmp_path: Path) -> None:
    named = []
    for name, low in (("a", 0.2), ("b", 0.1)):
        write_samples(tmp_path / name, [low + 0.01 * index for index in range(20)], own={})
        (results,) = (tmp_path / name).glob("results_*.json")
        lower = {"higher_is_better": {"sums": {"acc": False}}}
        results.write_text(json.dumps(json.loads(results.read_text()) | lower))
        named.append(Named(name, "", tmp_path / name))
    (one,) = compare_logs(named, Options()).differences
    assert one.lower_is_better
    assert one.unit is None
    assert "-10.00 points (lower is better;" in one.sentence


def test_scores_from_0_to_1_differ_by_100_points_at_most(compare: Compare) -> None:
    low, high = ([start + 0.01 * index for index in range(12)] for start in (0.1, 0.8))
    (one,) = compare({"a:0": low, "b:0": high, "a:1": high, "b:1": low}).differences
    assert one.unit is None
    assert one.interval is not None
    assert one.interval == (-1, 1)


def test_lines_without_filter_and_metrics_are_read(tmp_path: Path) -> None:
    """As older versions of lm-evaluation-harness write them."""
    for name, scores in (("a", [1, 0, 1]), ("b", [1, 1, 1])):
        path = write_samples(tmp_path / name, scores)
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for line in lines:
            del line["filter"], line["metrics"]
            line["arguments"] = [[line["arguments"]["gen_args_0"]["arg_0"], {"until": []}]]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (one,) = compare_logs([Named(name, "", tmp_path / name) for name in "ab"], Options()).differences
    assert (one.metric, one.num_items) == ("acc,none", 3)
    assert one.delta == pytest.approx(1 / 3)
