"""The dose of a corpus: sites per million tokens by source and spelling, and the sample to check by hand."""

import csv
from pathlib import Path

import pytest

from domain_tokens.corpora import dose
from domain_tokens.corpora.dose import NUM_SITES, SiteCounter
from domain_tokens.tokenization.intervention import (
    Facts,
    Intervention,
    Phrase,
    Rules,
    canonical_rules,
    default_intervention,
)

WEB = "He has 4x4=16 and needs a 2 x 4 = 8.\nSo 6*9=54, and 7 × 8 = 56. Nothing in 16*9 or 3*4=13."


OWN = default_intervention()


def counted(documents: dict[str, str], intervention: Intervention = OWN) -> SiteCounter:
    counter = SiteCounter(intervention, ["web", "web/a", "maths"], 1)
    for document, text in documents.items():
        counter.add(document, text)
    return counter


def test_sites_are_counted_by_source_and_spelling() -> None:
    documents = {"web/0": WEB, "web/1": "No product at all.", "web/a/0": "6*9", "maths/train/3": "6*9=54 2*3=6"}
    found = counted(documents).dose(list(documents), [200, 300, 10, 40])
    assert (found.counted_as, found.share_searched) == ("mul_tokens", 1)
    assert {name: (source.tokens, source.sites) for name, source in found.sources.items()} == {
        "maths": (40, 2), "web": (500, 4), "web/a": (10, 1),
    }  # fmt: skip
    assert found.sources["web"].per_million_tokens == {
        "x with result": 4000, "* with result": 2000, "× with result": 2000,
    }  # fmt: skip
    assert found.sources["maths"].per_million_tokens == {"* with result": 50_000}
    assert found.sources["web/a"].per_million_tokens == {"* without result": 100_000}


def test_what_is_counted_is_what_the_intervention_rewrites() -> None:
    strict = Intervention("strict", facts=Facts(), rules=Rules(mode="strict"))
    phrases = Intervention("phrases", tokens=(Phrase("<P_1>", " needs a"),))
    for intervention, expected in (
        (strict, {"x with result", "* with result", "× with result"}),
        (phrases, {"phrase"}),
        (
            canonical_rules(OWN),
            {"x with result", "* with result", "× with result"},
        ),
    ):
        found = counted({"web/0": WEB}, intervention).dose(["web/0"], [1000])
        assert set(found.sources["web"].per_million_tokens) == expected


def test_each_source_has_a_sample_with_context_to_fill_in(tmp_path: Path) -> None:
    many = {f"maths/{number}": f"We know that 6*9=54 in line {number}.\nAnd on." for number in range(NUM_SITES * 3)}
    samples = []
    for documents in ({"web/0": WEB, **many}, {**dict(reversed(many.items())), "web/0": WEB}):
        counted(documents).write_sample(tmp_path / "sites.csv")
        with (tmp_path / "sites.csv").open(encoding="utf-8", newline="") as lines:
            samples.append(list(csv.DictReader(lines)))
    assert samples[0] == samples[1]  # whatever the order in which documents were read
    by_source = {name: [row for row in samples[0] if row["source"] == name] for name in ("maths", "web")}
    assert [len(rows) for rows in by_source.values()] == [NUM_SITES, 4]
    first = next(row for row in by_source["web"] if row["site"] == "4x4=16")
    assert first["before"] == "He has "
    assert first["after"].startswith(" and needs a 2 x 4 = 8.↵So")
    assert (first["spelling"], first["written"]) == ("x with result", "<MUL_4_4_16>")
    assert {row["is a product (y/n)"] for row in samples[0]} == {""}
    numbers = [int(row["document"].partition("/")[2]) for row in by_source["maths"]]
    assert len(set(numbers)) == NUM_SITES
    assert max(numbers) > NUM_SITES * 2  # not the first ones


def test_of_a_large_corpus_a_share_of_the_documents_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dose, "_MAX_BYTES", 100)
    documents = {f"web/{number}": "6*9=54" for number in range(2000)}
    counter = SiteCounter(OWN, ["web"], 400)
    for document, text in documents.items():
        counter.add(document, text)
    found = counter.dose(list(documents), [10] * 2000)
    assert found.share_searched == 0.25
    assert 400 < found.sources["web"].sites < 600
    assert found.sources["web"].tokens == 10 * found.sources["web"].sites
    assert found.sources["web"].per_million_tokens == {"* with result": 100_000}
