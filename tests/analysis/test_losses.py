"""Bits per byte as an interval: whose sums stand where, for all documents, those with sites and the others."""

import json
from pathlib import Path

import pytest

from domain_tokens.analysis.compare import assemble
from domain_tokens.analysis.measures.losses import loss_rows
from domain_tokens.analysis.report.tables.losses import bits_table
from domain_tokens.runs.results import Pair, load_condition


def set_bits(folder: Path, model_bits: tuple[float, float], side_bits: float) -> None:
    """Give the 30 documents of every checkpoint known bits; the first ten have a site and need a side record."""
    for point in folder.glob("seed_*/eval/checkpoints/*.json"):
        path = point.with_suffix("") / "documents.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for index, row in enumerate(rows):
            with_site = index < 10
            row |= {"bytes": 100, "sites": int(with_site), "model_bits": model_bits[not with_site]}
            row["side_bits"] = side_bits if with_site else 0.0
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        value = json.loads(point.read_text())
        groups = {"all": rows, "with_sites": rows[:10], "without_sites": rows[10:]}
        for name, group in groups.items():
            sums = {key: sum(row[key] for row in group) for key in ("bytes", "model_bits", "side_bits")}
            value["bits"][name] |= sums
        point.write_text(json.dumps(value))


def test_the_losses_by_hand(tree) -> None:
    folders = tree(num_items=10, seeds=(0, 1))
    set_bits(folders[0], (200.0, 150.0), 0.0)
    set_bits(folders[1], (170.0, 150.0), 10.0)
    rows = [row for row in loss_rows(Pair(*map(load_condition, folders))) if row.stage == "pretrain"]
    assert [(row.text, row.step) for row in rows] == [("all", 60), ("with sites", 60), ("without sites", 60)]
    everything, sites, plain = rows
    assert everything.reference == pytest.approx(((2000 + 3000) / 3000,) * 2)
    assert everything.other == pytest.approx(((1700 + 3000) / 3000, (1800 + 3000) / 3000))
    assert everything.delta == pytest.approx((-0.1, -200 / 3000))
    assert sites.reference == pytest.approx((2.0, 2.0))
    assert sites.other == pytest.approx((1.7, 1.8))
    assert sites.delta == pytest.approx((-0.3, -0.2))
    assert sites.interval == pytest.approx((-0.3, -0.2))  # all ten documents agree
    assert plain.reference == plain.other == pytest.approx((1.5, 1.5))
    assert plain.interval == (0.0, 0.0)
    low, high = everything.interval
    assert low < -0.1 < -200 / 3000 < high  # how many of the documents have sites varies with the sample


def test_two_conditions_that_rewrite_are_compared_at_their_far_ends(tree) -> None:
    folders = tree(num_items=10, seeds=(0,))
    set_bits(folders[0], (200.0, 150.0), 20.0)
    set_bits(folders[1], (170.0, 150.0), 10.0)
    sites = next(row for row in loss_rows(Pair(*map(load_condition, folders))) if row.text == "with sites")
    assert sites.reference == pytest.approx((2.0, 2.2))
    assert sites.delta == pytest.approx((1.7 - 2.2, 1.8 - 2.0))


def test_a_text_without_documents_has_no_row(tree) -> None:
    folders = tree(num_items=10, seeds=(0,))
    for folder in folders:
        for point in folder.glob("seed_*/eval/checkpoints/*.json"):
            value = json.loads(point.read_text())
            value["bits"]["with_sites"] |= {"bytes": 0}
            point.write_text(json.dumps(value))
    assert {row.text for row in loss_rows(Pair(*map(load_condition, folders)))} == {"all", "without sites"}


def test_the_table_shows_ranges_where_a_condition_rewrites(tree) -> None:
    folders = tree(num_items=10, seeds=(0, 1))
    set_bits(folders[0], (200.0, 150.0), 0.0)
    set_bits(folders[1], (170.0, 150.0), 10.0)
    table = bits_table(assemble(Pair(*map(load_condition, folders))))
    cells = {(row[0], row[2]): row[3:] for row in table.rows}
    assert cells["pretrain", "bits per byte, with sites"] == [
        "2", "1.7 to 1.8", "-0.3000 to -0.2000", "-0.3000 to -0.2000",
    ]  # fmt: skip
    assert cells["pretrain", "bits per byte"][:2] == ["1.667", "1.567 to 1.6"]
    assert ("pretrain", "bits per byte without sites") not in cells  # the same number twice would be two claims
