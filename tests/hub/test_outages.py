"""A Hub that drops, slows, fails or asks to be left alone: what is read is what an undisturbed read gives."""

import re

import pytest

from domain_tokens.recipe import RecipeError, Source
from hub.conftest import DOCUMENTS, card, jsonl
from hub.faults import Fault
from hub.remote import Remote
from hub.server import HubServer

WEB = Source(name="web", kind="hub", path="owner/web", config="sample")
LINES = Source(name="lines", kind="hub", path="owner/lines")
PART_1 = r"GET .*part-1\."
"""A file in the middle. The first two requests for it are small: the redirect, and the schema or the footer."""

FAULTS = {
    "a cut connection": [Fault(PART_1, times=3, cut_after=1000)],
    "a connection cut before the first byte": [Fault(PART_1, times=3, cut_after=0)],
    "a slow answer": [Fault(r"GET /large/.*part-1\.", pause=0.02)],
    "an outage that the libraries bridge": [Fault(PART_1, times=4, status=503)],
    "a longer outage": [Fault(PART_1, times=15, status=503)],
    "errors of the server": [Fault(PART_1, times=9, status=500), Fault(PART_1, times=9, status=502)],
    "a limit of requests": [Fault(PART_1, times=2, status=429, headers={"Retry-After": "7"})],
    "a long limit of requests": [Fault(PART_1, times=20, status=429, headers={"Retry-After": "100"})],
    "a limit of requests when the commit is looked up": [
        Fault("GET /api/datasets/owner/[a-z]*$", times=2, status=429, headers={"Retry-After": "50"})
    ],
    "an outage when the files are listed": [Fault("GET .*/tree/", times=8, status=503)],
    "an outage when the data set is opened": [Fault("HEAD .*README", times=2, status=500)],
    "an outage when the commit is looked up": [Fault("GET .*/revision/", times=3, status=504)],
}


@pytest.mark.parametrize("source", [WEB, LINES], ids=["parquet", "jsonl"])
@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
def test_nothing_is_lost_or_doubled(source: Source, faults: list[Fault], hub: HubServer, remote: Remote) -> None:
    with hub.trouble(*faults):
        read = remote.documents(source)
    assert read == [(f"0/{number}", text) for number, text in enumerate(DOCUMENTS)]
    if any(fault.status is not None for fault in faults):
        assert sum(remote.slept_s) > 0
    for fault in faults:
        assert max(remote.slept_s, default=0) >= int(fault.headers.get("Retry-After", 0))


def test_reading_goes_on_in_the_middle_of_a_file(hub: HubServer, remote: Remote) -> None:
    """In a file of 11 MB, of which `datasets` reads 10 MB at first."""
    texts = [f"Document {number}. {'word ' * 20_000}" for number in range(110)]
    hub.add("owner/long").commit({"a.jsonl": jsonl([{"text": text} for text in texts])})
    with hub.trouble(Fault("GET /large/owner/long/", after=4, times=15, status=503)):
        read = remote.documents(Source(name="long", kind="hub", path="owner/long"))
    assert read == [(f"0/{number}", text) for number, text in enumerate(texts)]
    assert {int(row) for row in re.findall(r"long, after row (\d+)", remote.log())} == {105}


@pytest.mark.parametrize("number", [2, 7])
def test_a_card_that_cannot_be_read_is_not_taken_for_one_that_is_missing(
    number: int, hub: HubServer, remote: Remote
) -> None:
    chosen, other = ({"text": "chosen by the card"}, {"text": "another file"})
    hub.add("owner/chosen").commit(
        {"README.md": card(default="a.jsonl"), "a.jsonl": jsonl([chosen]), "b.jsonl": jsonl([other])}
    )
    with hub.trouble(Fault("(HEAD|GET) .*README", times=number, status=503)):
        assert remote.documents(Source(name="c", kind="hub", path="owner/chosen")) == [("0/0", "chosen by the card")]


def test_a_commit_of_an_earlier_day_is_not_read_in_place_of_the_present_one(hub: HubServer, remote: Remote) -> None:
    source = Source(name="moving", kind="hub", path="owner/moving")
    repository = hub.add("owner/moving")
    repository.commit({"README.md": b"# Old", "a.jsonl": jsonl([{"text": "old"}])})
    assert remote.documents(source) == [("0/0", "old")]
    new = repository.commit({"README.md": b"# New", "a.jsonl": jsonl([{"text": "new"}])})
    remote.forget(downloads=False)
    with hub.trouble(Fault("HEAD .*README", times=3, status=503)):
        assert remote.documents(source) == [("0/0", "new")]
    assert remote.commit(source) == new


def test_an_outage_between_two_rows_of_a_sample(hub: HubServer, remote: Remote) -> None:
    source = Source(name="web", kind="hub", path="owner/web", config="sample", max_items=50)
    undisturbed = remote.rows(source, "train", seed=3)
    with hub.trouble(Fault(PART_1, times=15, status=503)):
        assert remote.rows(source, "train", seed=3) == undisturbed
    assert len({str(row["text"]) for row in undisturbed}) == 50
    assert undisturbed != remote.rows(source, "train", seed=4)


def test_tasks_share_the_files_and_none_reads_anothers(hub: HubServer, remote: Remote) -> None:
    with hub.trouble(Fault(PART_1, times=9, status=503)):
        shares = [remote.documents(WEB, rank, 4) for rank in range(4)]
    assert [len(share) for share in shares] == [400, 300, 200, 0]
    assert [text for share in shares for _, text in share] == DOCUMENTS


def test_an_outage_without_end_is_reported_with_the_row(hub: HubServer, remote: Remote) -> None:
    with hub.trouble(Fault(r"GET /large/.*part-1\.", times=48, status=503)), pytest.raises(RecipeError) as error:
        remote.documents(WEB)
    for part in ("source web: ", "(sample, train)", hub.endpoint, "does not answer after row 400", "503"):
        assert part in str(error.value)
    assert 1800 < sum(remote.slept_s) < 2400


def test_a_file_that_is_taken_away_is_reported_at_once(hub: HubServer, remote: Remote) -> None:
    gone = Fault(r"GET .*part-1\.", times=1, status=404, headers={"X-Error-Code": "EntryNotFound"})
    with hub.trouble(gone), pytest.raises(RecipeError, match="after row 400.*part-1.parquet.*local copy"):
        remote.documents(WEB)
    assert remote.slept_s == []
