"""A Hub on loopback with the data sets of these tests, and one process that reads from it."""

import io
import json
import random
from collections.abc import Iterator

import pyarrow
import pyarrow.parquet
import pytest

from hub.remote import Remote
from hub.server import HubServer

DOCUMENTS = [f"Document {number}. {random.Random(number).randbytes(125).hex()}" for number in range(900)]
"""270 bytes each. A file takes several requests, as the process asks for 16 kB at a time."""
EXAMPLES = [
    {"question": f"What is {n} plus 1?", "answer": f"{n} + 1 = <<{n}+1={n + 1}>>{n + 1}\n#### {n + 1}"}
    for n in range(60)
]


def parquet(rows: list[dict[str, str]]) -> bytes:
    """Return a parquet file with ten groups of rows."""
    buffer = io.BytesIO()
    table = pyarrow.Table.from_pylist(rows)
    pyarrow.parquet.write_table(table, buffer, row_group_size=max(1, len(rows) // 10), compression="none")
    return buffer.getvalue()


def jsonl(rows: list[dict[str, str]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def card(**configurations: str) -> bytes:
    """Return a README.md that says which files each configuration has."""
    lines = [f"- config_name: {name}\n  data_files: {pattern}\n" for name, pattern in configurations.items()]
    return f"---\nconfigs:\n{''.join(lines)}---\n# Data\n".encode()


@pytest.fixture(scope="package")
def hub() -> Iterator[HubServer]:
    """The server. Its data sets: `owner/web` and `owner/lines` hold the same documents, `owner/sums` questions."""
    server = HubServer()
    rows = [{"text": text} for text in DOCUMENTS]
    parts = {"0": rows[:400], "1": rows[400:700], "2": rows[700:]}
    files = {f"sample/part-{name}.parquet": parquet(part) for name, part in parts.items()}
    server.add("owner/web").commit({"README.md": card(sample="sample/*.parquet"), **files})
    server.add("owner/lines").commit({f"part-{name}.jsonl": jsonl(part) for name, part in parts.items()})
    sums = {"train.parquet": parquet(EXAMPLES[:40]), "test.parquet": parquet(EXAMPLES[40:])}
    server.add("owner/sums").commit(sums)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="package")
def process(hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    remote = Remote(hub.endpoint, tmp_path_factory.mktemp("hub"))
    yield remote
    remote.close()


@pytest.fixture
def remote(hub: HubServer, process: Remote) -> Remote:
    """The process, which knows nothing of the Hub yet."""
    process.forget()
    hub.requests.clear()
    return process
