"""The sites of real text that were read: the table in docs/DATA.md is that of the labels, and they are those drawn."""

import csv
from collections import Counter
from pathlib import Path

import pytest
from real_data import real_data
from scipy.stats import binomtest
from tiny import ROOT

from domain_tokens.corpora.dose import SiteCounter
from domain_tokens.corpora.sources import read_documents
from domain_tokens.recipe import Source
from domain_tokens.tokenization.intervention import load_intervention

SAMPLES = {"w": "mul_tokens", "s": "mul_tokens_strict", "n": "mul_tokens_no_x"}
SOURCES = {"c4": "C4", "openstax": "OpenStax", "tinygsm": "TinyGSM", "gsm8k-train": "GSM8K, train"}
HELD_OUT = 0.001  # as in recipes/base.yaml


@pytest.fixture(scope="module")
def checked() -> list[dict[str, str]]:
    with (ROOT / "docs/checked_sites.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) > 500
    assert {row["label"] for row in rows} <= {"product", "size", "other"}
    return rows


def source_of(row: dict[str, str]) -> str:
    return row["document"].partition("/")[0]


def test_the_table_is_that_of_the_labels(checked: list[dict[str, str]]) -> None:
    documented = (ROOT / "docs/DATA.md").read_text(encoding="utf-8").splitlines()
    for key, title in SOURCES.items():
        for letter, name in SAMPLES.items():
            found = Counter(row["label"] for row in checked if letter in row["samples"] and source_of(row) == key)
            if not (number := found.total()):
                continue
            assert number <= 200
            interval = binomtest(found["product"], number).proportion_ci(method="exact")
            counts = " | ".join(str(found[label]) for label in ("product", "size", "other"))
            share = f"{found['product'] / number:.1%} | {interval.low:.1%} to {interval.high:.1%}".replace("%", "")
            assert f"| {title} | `{name}` | {number} | {counts} | {share} |" in documented


def test_every_site_of_gsm8k_with_a_sign_that_misleads_was_read(checked: list[dict[str, str]]) -> None:
    rows = [row for row in checked if source_of(row) == "gsm8k-train"]
    misleading = [row for row in rows if "×" in row["site"] or ("x" in row["site"] and "=" not in row["site"])]
    assert (len(misleading), {row["label"] for row in misleading}) == (146, {"product"})


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize(("letter", "name"), SAMPLES.items())
def test_the_labelled_sites_are_those_that_are_drawn(
    letter: str, name: str, checked: list[dict[str, str]], tmp_path: Path
) -> None:
    folder = real_data().folder
    sources = {
        "c4": Source(name="c4", kind="file", path=str(folder / "web/c4_300.jsonl")),
        "openstax": Source(name="openstax", kind="file", path=str(folder / "openstax/*.jsonl")),
        "tinygsm": Source(
            name="tinygsm", kind="file", path=str(folder / "tinygsm/*.jsonl"), text_key=["user", "assistant"]
        ),
        "gsm8k-train": Source(
            name="gsm8k-train", kind="file", path=str(folder / "gsm8k/train.jsonl"), text_key=["question", "answer"]
        ),
    }
    counter = SiteCounter(load_intervention(ROOT / f"recipes/interventions/{name}.yaml"), sources, 1)
    texts = {}
    for key, source in sources.items():
        for number, text, is_held_out in read_documents(source, 0, HELD_OUT, 0, 1):
            if not is_held_out:
                counter.add(f"{key}/{number}", text)
                texts[f"{key}/{number}"] = text
    counter.write_sample(tmp_path / "sites.csv")
    with (tmp_path / "sites.csv").open(encoding="utf-8", newline="") as lines:
        drawn = sorted((row["document"], row["site"]) for row in csv.DictReader(lines))
    assert drawn == sorted((row["document"], row["site"]) for row in checked if letter in row["samples"])
    for row in checked:
        assert texts[row["document"]][int(row["offset"]) :].startswith(row["site"])
