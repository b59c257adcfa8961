"""Experiments of known truth, written as result files and judged from them, as those of real runs are."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from domain_tokens.analysis.assay import check_assay
from domain_tokens.analysis.family import Family, declared_family
from domain_tokens.analysis.measures.accuracy import result_rows
from domain_tokens.analysis.measures.plateau import plateau_rows
from domain_tokens.analysis.preregistration import read_preregistration
from domain_tokens.analysis.results_model import ResultRow, Verdict, primary_row
from domain_tokens.analysis.verdict import Evidence, verdict
from domain_tokens.runs.results import Condition, Pair, load_condition

from .conftest import freeze_tree, sha256, write_evaluation, write_stage

ENDPOINT = {"model": "grpo_final", "task": "gsm8k", "metric": "accuracy", "group": None}
DECLARED: dict[str, Any] = {
    "endpoints": [ENDPOINT],
    "alpha": 0.05,
    "power": 0.8,
    "seeds": [0, 1, 2],
    "exclusions": [],
    "contrasts": {"whole": ["mul_tokens", "baseline"]},
    "main": ["whole"],
}
"""A declaration of one main comparison; tests add what they are about."""


def write_experiment(
    root: Path,
    outcomes: Mapping[str, np.ndarray],
    declared: Mapping[str, Any] | None = None,
    clusters: Sequence[str] | None = None,
    stages: Sequence[str] = ("grpo",),
    **result: Any,
) -> list[Condition]:
    """Write outcomes as the result files of conditions, and read them back.

    Args:
        root: the folder.
        outcomes: right or wrong by condition, shape (num_seeds, num_items); the reference first.
        declared: what is declared and frozen.
        clusters: the cluster of each item.
        stages: the stages that are written; the questions are answered by the model of the last one, GRPO's.
        result: further fields of the results file.
    """
    root = root / "experiment"  # what lies beside it counts as other experiments
    folders = []
    for side, (name, rights_of_seeds) in enumerate(outcomes.items()):
        folders.append(root / f"exp_{name}")
        for seed, rights in enumerate(rights_of_seeds):
            weights = sha256("weights", "grpo", name, seed)
            for stage in stages:
                write_stage(folders[-1] / f"seed_{seed}" / f"{stage}_final", stage, name, seed, min(side, 1))
            texts = {"question": "6*9?", "gold": "54", "answer": ""}
            items = [texts | {"id": str(index), "correct": bool(right)} for index, right in enumerate(rights)]
            for item, cluster in zip(items, clusters or (), strict=False):
                item["cluster"] = cluster
            place = folders[-1] / f"seed_{seed}" / "eval" / "grpo_final"
            fields = {"condition": name, "seed": seed, "model": "grpo_final", "weights_sha256": weights}
            write_evaluation(place, "gsm8k", items, **fields, **result)
    if declared is not None:
        freeze_tree(folders, dict(declared))
    return [load_condition(folder) for folder in folders]


def judge_rows(
    conditions: Sequence[Condition], pair: Pair | None = None
) -> tuple[ResultRow, Verdict, Family, Evidence]:
    """Return the primary row, the verdict, and what it rests on: of a pair, or of the first two conditions."""
    pair = pair or Pair(*conditions[:2])
    declared = read_preregistration(pair)
    family = declared_family(conditions, declared)
    primary = primary_row(result_rows(pair, declared, family))
    assay = check_assay(pair, primary, declared, family, conditions)
    evidence = Evidence(pair, declared, family, assay, plateau_rows(pair, primary.model, declared, conditions))
    return primary, verdict(primary, evidence), family, evidence


def judge(conditions: Sequence[Condition], pair: Pair | None = None) -> Verdict:
    """Return the verdict of a pair, or of the first two conditions."""
    return judge_rows(conditions, pair)[1]
