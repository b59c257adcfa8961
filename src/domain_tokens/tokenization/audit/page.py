"""A page that shows every site of a file before and after rewriting, and why it is rewritten or left.

It holds no script and asks the network for nothing; all text in it is escaped by the template engine.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

from tqdm import tqdm

from domain_tokens.local_data.files import kind_of
from domain_tokens.local_data.json_rows import decode_json
from domain_tokens.local_data.rows import read_rows
from domain_tokens.local_data.text import read_lines
from domain_tokens.page import render
from domain_tokens.recipe import RecipeError, first_line
from domain_tokens.tokenization.intervention import Intervention
from domain_tokens.tokenization.rewriter import Site, find

_LONGEST_PLAIN = 600  # characters between two sites that the page shows in full
_SHOWN_AROUND = 200


@dataclass(frozen=True)
class ShownText:
    """A text on the page: where it is in its file, its segments before and after rewriting, and its sites."""

    where: str
    before: "list[Segment]"
    after: "list[Segment]"
    sites: list[Site]


@dataclass
class Reading:
    """What an intervention finds in one file: counts of all of it, and the first texts that hold a site."""

    name: str
    num_texts: int = 0
    num_with_sites: int = 0
    by_verdict: Counter[tuple[str, str]] = field(default_factory=Counter)
    by_fact: Counter[tuple[str, str]] = field(default_factory=Counter)
    shown: list[ShownText] = field(default_factory=list)

    def count(self, verdict: str) -> int:
        """Return how many sites have a verdict, `rewritten` or `left`."""
        return sum(number for (found, _), number in self.by_verdict.items() if found == verdict)


def read_file(path: Path, intervention: Intervention, max_lines: int) -> Reading:
    """Find the sites of a file: of each line of a text, of each text in the rows of a `.jsonl` or `.parquet` file.

    Args:
        path (`Path`): the file.
        intervention (`Intervention`): what rewrites.
        max_lines (`int`): how many lines with a site are kept for the page; all are counted.

    Raises:
        RecipeError: if the file is missing, empty, a folder, not UTF-8 or not what its name says.
    """
    reading = Reading(str(path))
    for where, text in tqdm(_texts(path), desc=f"reading {path.name}", unit=" texts", disable=None):
        reading.num_texts += 1
        sites = find(text, intervention)
        if not sites:
            continue
        reading.num_with_sites += 1
        for site in sites:
            reading.by_verdict[site.verdict, site.reason] += 1
            if site.replacement is not None:
                reading.by_fact[site.replacement, site.reason] += 1
        if len(reading.shown) < max_lines:
            before, after = segments(text, sites)
            reading.shown.append(ShownText(where, before, after, sites))
    if not reading.num_texts:
        raise RecipeError(f"{path}: no text in it; expected lines of text, or rows with texts")
    return reading


def _texts(path: Path) -> Iterator[tuple[str, str]]:
    """Yield each text of a file that is not blank, and where it is: its line or row, and the keys that lead to it."""
    if not path.is_file():
        problem = "a folder" if path.is_dir() else "no such file"
        raise RecipeError(f"{path}: {problem}; expected a text file, .jsonl or .parquet")
    lines = ((f"line {number}", line.rstrip("\r\n")) for number, line in read_lines(path))
    if kind_of(path) in (".json", ".parquet"):
        rows: Iterator[tuple[str, object]] = ((row.place.rpartition(", ")[2], row) for row in read_rows(path))
    elif kind_of(path) == ".jsonl":
        rows = ((where, _parse(path, where, line)) for where, line in lines if line.strip())
    else:
        rows = lines
    for where, row in rows:
        for key, text in _strings(row):
            if text.strip():
                # A lone surrogate, which JSON can spell, cannot be written to a page.
                yield where + key, text.encode("utf-8", "replace").decode("utf-8")


def _parse(path: Path, where: str, line: str) -> object:
    try:
        return decode_json(line)
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"{path}, {where}: not JSON: {first_line(error)}") from error


def _strings(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text within a value, with the keys that lead to it."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _strings(item, f"{key}, {name}")
    elif isinstance(value, list):
        for number, item in enumerate(value, 1):
            yield from _strings(item, f"{key}, {number}")


Segment = tuple[str, Site | None]


def segments(text: str, sites: list[Site]) -> tuple[list[Segment], list[Segment]]:
    """Cut a text at its sites, as it is and as it is rewritten.

    Sites that are left alone may overlap, as in `2*3*4`; the later of them is not marked again. Long stretches without
    a site are shortened.
    """
    marked: list[Site] = []
    for site in sites:
        if site.verdict == "rewritten":
            while marked and marked[-1].end > site.start:
                marked.pop()
        if not marked or marked[-1].end <= site.start:
            marked.append(site)
    cuts = [0, *(cut for site in marked for cut in (site.start, site.end)), len(text)]
    plain = [_shorten(text[start:end]) for start, end in list(pairwise(cuts))[::2]]
    before: list[Segment] = [(plain[0], None)]
    after: list[Segment] = [(plain[0], None)]
    for site, between in zip(marked, plain[1:], strict=True):
        source = text[site.start : site.end]
        before += [(source, site), (between, None)]
        after += [(source if site.replacement is None else site.replacement, site), (between, None)]
    return before, after


def _shorten(text: str) -> str:
    if len(text) <= _LONGEST_PLAIN:
        return text
    left_out = len(text) - 2 * _SHOWN_AROUND
    return f"{text[:_SHOWN_AROUND]} [… {left_out:,} characters …] {text[-_SHOWN_AROUND:]}"


def to_html(readings: list[Reading], intervention: Intervention) -> str:
    """Return the page of what an intervention does to the files."""
    by_verdict: Counter[tuple[str, str]] = Counter()
    by_fact: dict[str, Counter[str]] = {}
    for reading in readings:
        by_verdict += reading.by_verdict
        for (replacement, reason), number in reading.by_fact.items():
            by_fact.setdefault(replacement, Counter())[reason] += number
    entries = {entry.token or entry.text: entry.text for entry in intervention.entries()}
    reasons = sorted({reason for counts in by_fact.values() for reason in counts})
    return render(
        Path(__file__).parent,
        "page.html",
        "style.css",
        {},
        intervention=intervention,
        rules=[] if intervention.facts is None else asdict(intervention.rules).items(),
        readings=readings,
        verdicts=by_verdict.most_common(),
        num_rewritten=sum(reading.count("rewritten") for reading in readings),
        num_left=sum(reading.count("left") for reading in readings),
        by_fact=sorted(by_fact.items(), key=lambda item: (-item[1].total(), item[0])),
        reasons=reasons,
        entries=entries,
        num_never=sum(name not in by_fact for name in entries),
    )
